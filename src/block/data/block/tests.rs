//! Compares walks and seeks with plain lists.

use super::*;
use crate::cell::{Cell, CellType, SeekKey};
use proptest::prelude::*;

fn block(cells: &[Cell], format: CellFormat, index: Option<CellOrder>) -> DataBlock {
    let mut bytes = b"header".to_vec();
    cells.iter().for_each(|cell| key_value::put(&mut bytes, &cell.as_ref(), format));
    let range = 6..bytes.len();
    bytes.extend_from_slice(b"sums");
    let block = DataBlock::new(bytes.clone(), range.clone(), format, Trust::Unchecked, index).unwrap();
    let last = block.last;
    for undone in [None, Some(Decoded { cells: cells.len(), last })] {
        let trust = Trust::Decoded(undone);
        let decoded = DataBlock::new(bytes.clone(), range.clone(), format, trust, index).unwrap();
        assert_eq!((block.count, block.last, &block.bytes), (decoded.count, decoded.last, &decoded.bytes));
    }
    block
}

fn cells_of(block: &DataBlock) -> Vec<Cell> {
    let mut position = block.first();
    let mut cells = vec![Cell::from(block.cell(&position))];
    while block.advance(&mut position) {
        cells.push(Cell::from(block.cell(&position)));
    }
    cells
}

#[test]
fn sequence_ids_of_any_length_are_read() {
    let mut ids = vec![0, 1, 127, -1, -112, -113, i64::MIN, i64::MAX];
    ids.extend((7..63).flat_map(|bits| [(1 << bits) - 1, 1 << bits, -(1 << bits)]));
    let cells: Vec<Cell> = ids
        .iter()
        .enumerate()
        .map(|(i, &id)| {
            let key = SeekKey::of(format!("{i:04}").as_bytes(), b"f", b"q", 1, CellType::Put);
            Cell::from(CellRef::new(&key, b"").with_seq_id(id))
        })
        .collect();
    for tags in [false, true] {
        let block = block(&cells, CellFormat { tags, mvcc: true }, Some(CellOrder::User));
        assert_eq!(cells_of(&block), cells);
    }
}

#[test]
fn a_row_is_found_as_its_first_key_is() {
    for order in [CellOrder::User, CellOrder::Meta] {
        for index in [None, Some(order)] {
            let rows = ["a", "aa", "b", "c", "longer-than-8-a", "longer-than-8-b", "longer-than-8-bb", "x"];
            let keys = rows
                .iter()
                .flat_map(|row| (10..50).map(|q| SeekKey::of(row.as_bytes(), b"f", &[q], 1, CellType::Put)));
            let cells: Vec<Cell> = keys.map(|key| Cell::from(CellRef::new(&key, b"v"))).collect();
            let block = block(&cells, CellFormat { tags: false, mvcc: false }, index);
            let others = ["", "0", "ab", "longer", "longer-than-8-", "longer-than-8-ba", "y"];
            for row in rows.iter().chain(&others) {
                let found = match block.find_row(row.as_bytes(), order) {
                    RowSearch::Found(position) => Some(Some(position.at)),
                    RowSearch::Absent => Some(None),
                    RowSearch::After => None,
                };
                let next =
                    block.seek(&SeekKey::first_on_row(row.as_bytes()), order).map(|(position, _)| position);
                let expected = next.map(|p| Some(p.at).filter(|_| block.row(&p) == row.as_bytes()));
                assert_eq!(found, expected, "{row} {order:?}");
            }
        }
    }
}

/// The rows in order, as separated by the steps.
fn rows_of(block: &DataBlock) -> Vec<Vec<Cell>> {
    let mut position = block.first();
    let mut rows = vec![vec![Cell::from(block.cell(&position))]];
    loop {
        match block.advance_in_row(&mut position) {
            RowStep::InRow => {}
            RowStep::NextRow => rows.push(Vec::new()),
            RowStep::End => return rows,
        }
        rows.last_mut().unwrap().push(Cell::from(block.cell(&position)));
    }
}

fn arbitrary_key() -> impl Strategy<Value = SeekKey> {
    let row = prop_oneof![
        4 => "(user|users)?[ab]{0,2}(0000000){0,2}[a-d]{0,3}",
        1 => "[a-z,]{0,3}",
    ];
    let cell_type = prop_oneof![
        4 => Just(CellType::Put),
        1 => Just(CellType::DeleteColumn),
        1 => Just(CellType::DeleteFamily),
    ];
    (row, "[ab]{0,2}", 0i64..4, cell_type)
        .prop_map(|(row, qualifier, ts, ty)| SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), ts, ty))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn a_seek_agrees_with_a_walk(
        mut keys in proptest::collection::vec(arbitrary_key(), 1..200),
        wanted in proptest::collection::vec(arbitrary_key(), 1..20),
        filler in prop_oneof![9 => Just(0usize), 1 => Just(3000)],
        sorted in prop::bool::weighted(0.9),
        meta: bool, tags: bool, mvcc: bool,
    ) {
        let order = if meta { CellOrder::Meta } else { CellOrder::User };
        if sorted {
            keys.sort_by(|a, b| order.compare(a, b));
        }
        let format = CellFormat { tags, mvcc };
        let value = vec![7; filler];
        let cells: Vec<Cell> = keys.iter().enumerate().map(|(i, key)| {
            let cell = CellRef::new(key, &value);
            let tags = if tags && i % 3 == 0 { &[0, 2, 1, 9][..] } else { &[] };
            Cell::from(CellRef { tags, ..cell.with_seq_id(if mvcc { i as i64 * 99 - 50 } else { 0 }) })
        }).collect();
        let linear = block(&cells, format, None);
        let block = block(&cells, format, Some(order));
        prop_assert_eq!(&cells_of(&block), &cells);
        let rows = cells.chunk_by(|a, b| a.as_ref().row() == b.as_ref().row());
        prop_assert!(rows_of(&block).iter().map(Vec::as_slice).eq(rows));
        prop_assert_eq!(Cell::from(block.cell(&block.last())), cells[cells.len() - 1].clone());
        for key in wanted.iter().chain(&keys) {
            let (found, walked) = (block.seek(key, order), linear.seek(key, order));
            if sorted {
                let plain = keys.iter().position(|k| order.compare(k, key).is_ge());
                prop_assert_eq!(found.map(|(p, _)| p.at), walked.map(|(p, _)| p.at));
                prop_assert_eq!(found.is_some(), plain.is_some());
                if let (Some((position, how)), Some(plain)) = (found, plain) {
                    prop_assert_eq!(Cell::from(block.cell(&position)), cells[plain].clone());
                    prop_assert_eq!(how, order.compare(&keys[plain], key));
                }
                let before = keys.iter().rposition(|k| order.compare(k, key).is_lt());
                let found = block.seek_before(key, order).map(|p| Cell::from(block.cell(&p)));
                prop_assert_eq!(found, before.map(|i| cells[i].clone()));
                let walked = linear.seek_before(key, order).map(|p| Cell::from(block.cell(&p)));
                prop_assert_eq!(walked, before.map(|i| cells[i].clone()));
            }
        }
    }
}

#[test]
fn rows_equal_but_for_the_last_byte_are_found() {
    let rows: Vec<Vec<u8>> = (0..600u32).map(|i| format!("{:064}{i:04}", 0).into_bytes()).collect();
    let cells: Vec<Cell> = rows
        .iter()
        .map(|row| Cell::from(CellRef::new(&SeekKey::of(row, b"f", b"q", 1, CellType::Put), b"v")))
        .collect();
    let block = block(&cells, CellFormat::default(), Some(CellOrder::User));
    assert_eq!(block.index.len(), 600);
    for (row, cell) in rows.iter().zip(&cells) {
        let (position, how) = block.seek(&SeekKey::first_on_row(row), CellOrder::User).unwrap();
        assert_eq!((Cell::from(block.cell(&position)), how), (cell.clone(), Ordering::Greater));
    }
}

#[test]
fn an_empty_block_is_refused() {
    let made = DataBlock::new(Vec::new(), 0..0, CellFormat::default(), Trust::Unchecked, None);
    assert!(made.is_err());
}
