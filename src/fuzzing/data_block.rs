//! Data blocks and their encodings.

use super::input::Input;
use crate::block::DataBlockEncoding;
use crate::block::data::{self, DataBlock, DataFormat, Encoder, Trust};
use crate::cell::{Cell, CellFormat, CellOrder, CellRef, CellType, SeekKey, key_value};
use crate::error::ErrorKind;

/// Checks the data block encodings: a payload that decodes is encoded again and decodes to the same, and any
/// cells survive every encoding; seeks agree with a walk; nothing decodes to more than the limit.
///
/// The first byte chooses the format of the cells and whether tags are compressed. The rest is used twice: as
/// the payload of a block in each encoding (after the encoding id, which is added), and as choices that make
/// cells.
pub fn data_block(input: &[u8]) {
    let mut input = Input::new(input);
    let choice = input.byte();
    let cells = CellFormat { tags: choice & 1 != 0, mvcc: choice & 2 != 0 };
    let format = DataFormat { encoding: DataBlockEncoding::None, cells, tags_compressed: choice & 4 != 0 };
    let limit = if choice & 8 == 0 { LIMIT } else { input.rest().len() };
    for encoding in DataBlockEncoding::ALL {
        raw(&DataFormat { encoding, ..format }, input.rest(), limit);
    }
    let made = make_cells(&mut input, cells);
    if !made.is_empty() {
        check(&made, &format, &DataBlockEncoding::ALL);
    }
}

const LIMIT: usize = 1 << 18;

/// Checks a payload of any bytes.
fn raw(format: &DataFormat, body: &[u8], limit: usize) {
    let mut payload = Vec::new();
    if format.encoding != DataBlockEncoding::None {
        payload.extend_from_slice(&format.encoding.id().to_be_bytes());
    }
    payload.extend_from_slice(body);
    let mut plain = b"before".to_vec();
    let start = plain.len();
    let decoded = data::decode(format, &payload, limit, &mut plain);
    assert!(plain.starts_with(b"before"));
    plain.drain(..start);
    let Ok(count) = decoded else {
        assert!(plain.is_empty(), "a failed decoder left its output");
        return;
    };
    assert!(!plain.is_empty() && plain.len() <= limit);
    if format.keeps_cells_plain() {
        let range = data::plain_cells(format, &payload).expect("what decodes");
        assert!(payload[range] == plain[..]);
    }
    let cells = walk(&plain, format.cells);
    assert_eq!(cells.len(), count);
    let is_sorted = |a: &Cell, b: &Cell| CellOrder::User.compare(a.as_ref().key, b.as_ref().key).is_le();
    if cells.is_sorted_by(is_sorted) {
        check(&cells, format, &[format.encoding]);
    } else {
        // out of order, the results of seeks are unspecified, but seeks end
        let block = new_block(&plain, format.cells, Some(CellOrder::User));
        for cell in cells.iter().take(16) {
            let _ = block.seek(cell.as_ref().key, CellOrder::User);
            let _ = block.seek_before(cell.as_ref().key, CellOrder::User);
        }
    }
}

fn new_block(plain: &[u8], format: CellFormat, order: Option<CellOrder>) -> DataBlock {
    let block = |trust| DataBlock::new(plain.to_vec(), 0..plain.len(), format, trust, order);
    let decoded = block(Trust::Decoded(None)).expect("there is a cell");
    let unchecked = block(Trust::Unchecked).expect("plain cells that were decoded");
    assert_eq!(decoded.count(), unchecked.count());
    assert!(decoded.cell(&decoded.last()) == unchecked.cell(&unchecked.last()));
    unchecked
}

/// Returns the cells in block order.
fn walk(plain: &[u8], format: CellFormat) -> Vec<Cell> {
    let block = new_block(plain, format, None);
    let mut position = block.first();
    let mut cells = vec![Cell::from(block.cell(&position))];
    while block.advance(&mut position) {
        cells.push(Cell::from(block.cell(&position)));
    }
    assert_eq!(u32::try_from(cells.len()), Ok(block.count()));
    cells
}

/// Checks sorted cells in several encodings, with tags compressed and not, and seeks in them.
fn check(cells: &[Cell], format: &DataFormat, encodings: &[DataBlockEncoding]) {
    let mut plain = Vec::new();
    cells.iter().for_each(|cell| key_value::put(&mut plain, &cell.as_ref(), format.cells));
    for &encoding in encodings {
        for tags_compressed in [false, true] {
            let format = DataFormat { encoding, tags_compressed, ..*format };
            there_and_back(cells, &plain, &format);
        }
    }
    seeks(cells, &plain, format.cells);
}

fn there_and_back(cells: &[Cell], plain: &[u8], format: &DataFormat) {
    let mut encoder = Encoder::new(format);
    for cell in cells {
        match encoder.append(&cell.as_ref()) {
            Ok(()) => assert!(!encoder.is_empty() && encoder.encoded_size() > 0),
            // two families, or more tags than HBase could read
            Err(error) => return assert_eq!(error.kind(), ErrorKind::InvalidArgument),
        }
    }
    assert_eq!(encoder.unencoded_size(), plain.len());
    let mut payload = Vec::new();
    encoder.finish(&mut payload);
    let mut decoded = Vec::new();
    let count = data::decode(format, &payload, plain.len(), &mut decoded).expect("what was encoded");
    assert!(count == cells.len() && decoded == plain, "{format:?}");
    decoded.clear();
    let over = data::decode(format, &payload, plain.len() - 1, &mut decoded);
    assert_eq!(over.map_err(|corruption| corruption.kind()), Err(ErrorKind::Limit), "{format:?}");
    assert!(decoded.is_empty());
}

/// Compares seeks, with an index and without, with a walk over the cells.
fn seeks(cells: &[Cell], plain: &[u8], format: CellFormat) {
    let order = CellOrder::User;
    let (indexed, linear) = (new_block(plain, format, Some(order)), new_block(plain, format, None));
    let find = |key: &SeekKey| {
        let at = cells.iter().position(|cell| order.compare(cell.as_ref().key, key).is_ge());
        let how = at.map(|at| (cells[at].as_ref(), order.compare(cells[at].as_ref().key, key)));
        let before = at.unwrap_or(cells.len()).checked_sub(1).map(|at| cells[at].as_ref());
        for block in [&indexed, &linear] {
            let found = block.seek(key, order);
            assert!(found.map(|(position, how)| (block.cell(&position), how)) == how, "{key:?}");
            // the first of equal keys
            let position = at.map(|at| {
                block.is_first(&found.map(|(position, _)| position).unwrap_or_default()) == (at == 0)
            });
            assert_ne!(position, Some(false), "{key:?}");
            let found = block.seek_before(key, order);
            assert!(found.map(|position| block.cell(&position)) == before, "{key:?}");
        }
    };
    let step = cells.len().div_ceil(12);
    for cell in cells.iter().step_by(step) {
        let key = SeekKey::from(cell.as_ref().key);
        find(&key);
        find(&SeekKey::first_on_row(key.row()));
        find(&SeekKey::last_on_row(key.row()));
        find(&SeekKey::first_on_column(key.row(), key.family(), key.qualifier()));
        find(&SeekKey::last_on_row(&key.row()[..key.row().len() / 2]));
    }
    find(&SeekKey::first_on_row(b""));
    find(&SeekKey::last_on_row(&[0xff; 300]));
}

/// Makes sorted cells of one family, without anything that the format does not store.
pub(super) fn make_cells(input: &mut Input<'_>, format: CellFormat) -> Vec<Cell> {
    const TYPES: [CellType; 5] = [
        CellType::Put,
        CellType::Delete,
        CellType::DeleteColumn,
        CellType::DeleteFamily,
        CellType::DeleteFamilyVersion,
    ];
    let family = input.run(3);
    let (mut row, mut timestamp) = (Vec::new(), 1_700_000_000_000_i64);
    let (mut qualifier, mut value, mut tags) = (&b""[..], &b""[..], Vec::new());
    let mut cells = Vec::new();
    while !input.is_empty() && cells.len() < 120 {
        input.row(&mut row);
        let choice = input.byte();
        if choice & 1 != 0 {
            qualifier = input.run(12);
        }
        if choice & 2 != 0 {
            value = input.run(u8::MAX);
        }
        match choice >> 2 & 3 {
            0 => {}
            1 => timestamp = timestamp.wrapping_sub(i64::from(input.byte())),
            2 => timestamp = i64::from(input.byte()) - 128,
            _ => timestamp = input.i64(),
        }
        if format.tags && choice & 0x10 != 0 {
            make_tags(input, &mut tags);
        }
        let seq_id = match format.mvcc {
            false => 0,
            true if choice & 0x20 == 0 => i64::from(input.byte()),
            true => input.i64(),
        };
        let cell_type = if choice & 0x40 == 0 { CellType::Put } else { input.choose(&TYPES) };
        let key = SeekKey::of(&row, family, qualifier, timestamp, cell_type);
        cells.push(Cell::from(CellRef { key: &key, value, tags: &tags, seq_id }));
    }
    cells.sort_by(|a, b| CellOrder::User.compare(a.as_ref().key, b.as_ref().key));
    cells
}

fn make_tags(input: &mut Input<'_>, tags: &mut Vec<u8>) {
    tags.clear();
    for _ in 0..input.byte() % 3 {
        let tag = input.run(20);
        // the length includes the type, which is the first byte
        let len = u16::try_from(tag.len().max(1)).expect("a short tag");
        tags.extend_from_slice(&len.to_be_bytes());
        tags.extend_from_slice(if tag.is_empty() { &[1] } else { tag });
    }
}
