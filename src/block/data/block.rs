//! A data block in memory: plain cells, checked, and an index over them.

mod rows;

pub(crate) use rows::RowSpan;

use super::Undone;
use super::seek_index::{Candidates, STRIDE, SeekIndex};
use crate::cell::{CellFormat, CellKey, CellOrder, CellRef, key_value};
use crate::coding::Cursor;
use crate::error::Corruption;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

/// The cells of one block.
///
/// Whatever the encoding on disk, here they are plain (hfile.md §2.1), one after the other; the delta encodings are
/// decoded when the block is loaded. The type is the proof that every length has been checked, so stepping through the
/// cells cannot fail. There is at least one cell.
pub(crate) struct DataBlock {
    /// What was read or decoded, the cells among it, then the entries of `index`.
    bytes: Vec<u8>,
    cells: Range<usize>,
    format: CellFormat,
    count: u32,
    /// Where the last cell starts.
    last: usize,
    index: SeekIndex,
    prev_block_offset: i64,
}

/// Where a cell and its parts are in its block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CellPlace {
    /// Where it starts.
    at: usize,
    key_len: usize,
    value_len: usize,
    tags_len: usize,
    seq_id: i64,
    /// Where the cell behind it starts, or the cells end.
    next: usize,
    /// A byte of a cell further on, for [`DataBlock::advance`].
    ahead: u8,
}

/// So many bytes further on a cell is touched while one walks: cells follow each other by their lengths, so a processor
/// that does not guess waits for each at every new page. 4 to 6 % of a scan of blocks that lie in no cache.
const AHEAD: usize = 2048;

/// How the cells of a block came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Read from a file: every cell is to be checked.
    Unchecked,
    /// Made by a decoder that checked each, and may say how many there are and where the last is.
    Decoded(Option<Undone>),
}

impl DataBlock {
    /// Takes the cells in `bytes[cells]`, checks them if need be and, given an order, builds the index over them.
    pub(crate) fn new(
        mut bytes: Vec<u8>,
        cells: Range<usize>,
        format: CellFormat,
        trust: Trust,
        index: Option<CellOrder>,
    ) -> Result<Self, Corruption> {
        bytes.truncate(cells.end);
        // a guess: cells of a hundred bytes
        let mut starts = Vec::with_capacity(if index.is_some() { cells.len() / 100 } else { 0 });
        let (count, last) = match (trust, index.is_some()) {
            (Trust::Unchecked, false) => walk_checked(&bytes, &cells, format, |_, _| {}),
            (Trust::Unchecked, true) => {
                let mut entries = Entries::new(&mut starts, cells.start);
                walk_checked(&bytes, &cells, format, |at, row| entries.see(at, row))
            }
            (Trust::Decoded(Some(undone)), false) => {
                let count = u32::try_from(undone.cells).expect("a block is below 4 GiB");
                Ok((count, undone.last))
            }
            (Trust::Decoded(_), index) => {
                let mut entries = Entries::new(&mut starts, cells.start);
                let (mut at, mut last, mut count) = (cells.start, cells.start, 0);
                while at < cells.end {
                    let place = place_at(&bytes, at, format);
                    if index {
                        entries.see(at, key_at(&bytes, &place).row());
                    }
                    last = at;
                    count += 1;
                    at = place.next;
                }
                Ok((count, last))
            }
        }?;
        if count == 0 {
            return Err(Corruption::Malformed("data block without a cell"));
        }
        let index = match index {
            Some(order) => {
                let first = cells.start;
                SeekIndex::build(&mut bytes, &starts, order, |bytes, start| {
                    row_at(bytes, first + start as usize)
                })
            }
            None => SeekIndex::default(),
        };
        Ok(Self { bytes, cells, format, count, last, index, prev_block_offset: -1 })
    }

    pub(crate) fn with_prev_block_offset(self, prev_block_offset: i64) -> Self {
        Self { prev_block_offset, ..self }
    }

    /// The offset in the file of the data block before this one; -1 for none.
    pub(crate) fn prev_block_offset(&self) -> i64 {
        self.prev_block_offset
    }

    /// How many cells there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of memory, for a cache to count.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    /// The buffer, to be used again.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// The first cell.
    #[inline]
    pub(crate) fn first(&self) -> CellPlace {
        self.place(self.cells.start)
    }

    /// The last cell.
    pub(crate) fn last(&self) -> CellPlace {
        self.place(self.last)
    }

    /// Goes to the cell behind; false, and nowhere else, if there is none in this block.
    #[inline(always)] // the loop of every scan
    pub(crate) fn advance(&self, place: &mut CellPlace) -> bool {
        if place.next >= self.cells.end {
            return false;
        }
        *place = place_at(&self.bytes, place.next, self.format);
        place.ahead = self.bytes.get(place.next + AHEAD).copied().unwrap_or_default();
        true
    }

    #[inline]
    fn place(&self, at: usize) -> CellPlace {
        place_at(&self.bytes, at, self.format)
    }

    /// Whether it is the first cell.
    pub(crate) fn is_first(&self, place: &CellPlace) -> bool {
        place.at == self.cells.start
    }

    /// The key of a cell.
    #[inline]
    pub(crate) fn key(&self, place: &CellPlace) -> &CellKey {
        key_at(&self.bytes, place)
    }

    /// A cell.
    #[inline]
    pub(crate) fn cell(&self, place: &CellPlace) -> CellRef<'_> {
        let rest = &self.bytes[place.at + key_value::LENGTHS..];
        let (key, rest) = rest.split_at(place.key_len);
        let (value, rest) = rest.split_at(place.value_len);
        let tags = if place.tags_len == 0 { &[] } else { &rest[2..2 + place.tags_len] };
        CellRef { key: CellKey::from_checked(key), value, tags, seq_id: place.seq_id }
    }

    /// The first cell whose key is not smaller than `key`, and how it compares; `None` if all are smaller.
    #[inline]
    pub(crate) fn seek(&self, key: &CellKey, order: CellOrder) -> Option<(CellPlace, Ordering)> {
        let (low, high) = match self.candidates(key.row()) {
            Candidates::Before => (0, 0),
            Candidates::Behind => return None,
            Candidates::Between { low, high } => (low, high),
        };
        let mut place = if self.index.len() == 0 {
            self.first()
        } else {
            // nearly always one entry or none has the row's bits
            let entry = if high - low > 1 { self.bisect(low, high, key, order) } else { low };
            if entry > low {
                // the cells behind an entry that have none of their own may be smaller, too
                self.place(self.entry_at(entry - 1))
            } else if entry == high && entry < self.index.len() {
                return Some((self.place(self.entry_at(entry)), Ordering::Greater));
            } else if entry < self.index.len() {
                self.place(self.entry_at(entry))
            } else {
                return None;
            }
        };
        loop {
            match order.compare(self.key(&place), key) {
                Ordering::Less if !self.advance(&mut place) => return None,
                Ordering::Less => {}
                found => return Some((place, found)),
            }
        }
    }

    /// The first cell whose row is not smaller than `row`; `None` if all are smaller.
    #[inline]
    pub(crate) fn seek_row(&self, row: &[u8], order: CellOrder) -> Option<CellPlace> {
        if self.index.len() == 0 {
            let mut place = self.first();
            while order.compare_rows(self.key(&place).row(), row).is_lt() {
                if !self.advance(&mut place) {
                    return None;
                }
            }
            return Some(place);
        }
        let (mut low, mut high) = match self.candidates(row) {
            Candidates::Before => (0, 0),
            Candidates::Behind => return None,
            Candidates::Between { low, high } => (low, high),
        };
        while low < high {
            let middle = low.midpoint(high);
            if order.compare_rows(row_at(&self.bytes, self.entry_at(middle)), row).is_lt() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // the first cell of every row has an entry
        (low < self.index.len()).then(|| self.place(self.entry_at(low)))
    }

    /// The last cell whose key is smaller than `key`; `None` if none is.
    pub(crate) fn seek_before(&self, key: &CellKey, order: CellOrder) -> Option<CellPlace> {
        let start = match self.candidates(key.row()) {
            Candidates::Before => return None,
            Candidates::Behind if self.index.len() > 0 => self.entry_at(self.index.len() - 1),
            Candidates::Behind => self.cells.start,
            Candidates::Between { low, high } => match self.bisect(low, high, key, order).checked_sub(1) {
                Some(entry) => self.entry_at(entry),
                None => self.cells.start,
            },
        };
        let mut before = None;
        let mut place = self.place(start);
        while order.compare(self.key(&place), key).is_lt() {
            before = Some(place);
            if !self.advance(&mut place) {
                break;
            }
        }
        before
    }

    #[inline]
    fn candidates(&self, row: &[u8]) -> Candidates {
        if self.index.len() == 0 {
            return Candidates::Between { low: 0, high: 0 };
        }
        self.index.candidates(&self.bytes, row, |bytes| row_at(bytes, self.cells.start))
    }

    /// The first entry of `low..high` whose cell is not smaller than `key`, or `high`.
    #[inline]
    fn bisect(&self, mut low: usize, mut high: usize, key: &CellKey, order: CellOrder) -> usize {
        while low < high {
            let middle = low.midpoint(high);
            let place = self.place(self.entry_at(middle));
            if order.compare(self.key(&place), key).is_lt() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    #[inline]
    fn entry_at(&self, entry: usize) -> usize {
        self.cells.start + self.index.offset(&self.bytes, entry) as usize
    }
}

impl fmt::Debug for DataBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataBlock").field("cells", &self.count).field("bytes", &self.cells.len()).finish()
    }
}

/// Which cells get an entry: the first of each row, and every 16th within one.
struct Entries<'b, 's> {
    starts: &'s mut Vec<u32>,
    base: usize,
    row: Option<&'b [u8]>,
    skipped: u32,
}

impl<'b, 's> Entries<'b, 's> {
    fn new(starts: &'s mut Vec<u32>, base: usize) -> Self {
        Self { starts, base, row: None, skipped: 0 }
    }

    #[inline]
    fn see(&mut self, at: usize, row: &'b [u8]) {
        self.skipped += 1;
        if self.row != Some(row) || self.skipped == STRIDE {
            self.row = Some(row);
            self.skipped = 0;
            self.starts.push(u32::try_from(at - self.base).expect("a block is below 4 GiB"));
        }
    }
}

/// Checks every cell, shows where it starts and its row, and says how many there are and where the last starts.
fn walk_checked<'b>(
    bytes: &'b [u8],
    cells: &Range<usize>,
    format: CellFormat,
    mut see: impl FnMut(usize, &'b [u8]),
) -> Result<(u32, usize), Corruption> {
    let bytes = &bytes[..cells.end];
    let (mut count, mut last, mut at) = (0, cells.start, cells.start);
    while at < bytes.len() {
        last = at;
        count += 1;
        if let Some((row, next)) = key_value::glance(bytes, at, format) {
            see(at, &bytes[row]);
            at = next;
            continue;
        }
        let mut cursor = Cursor::new(&bytes[at..]);
        let cell = key_value::parse(&mut cursor, format)?;
        see(at, cell.row());
        at += cursor.position();
    }
    Ok((count, last))
}

#[inline(always)] // the loop of every scan
fn place_at(bytes: &[u8], at: usize, format: CellFormat) -> CellPlace {
    let (lengths, _) = bytes[at..].split_first_chunk::<{ key_value::LENGTHS }>().expect("a cell has lengths");
    let [k0, k1, k2, k3, v0, v1, v2, v3] = *lengths;
    let key_len = u32::from_be_bytes([k0, k1, k2, k3]) as usize;
    let value_len = u32::from_be_bytes([v0, v1, v2, v3]) as usize;
    let mut place = CellPlace { at, key_len, value_len, ..CellPlace::default() };
    place.next = at + key_value::LENGTHS + key_len + value_len;
    if format.tags {
        let (tags_len, _) = bytes[place.next..].split_first_chunk().expect("a cell has a tags length");
        place.tags_len = u16::from_be_bytes(*tags_len).into();
        place.next += 2 + place.tags_len;
    }
    if format.mvcc {
        let rest = &bytes[place.next..];
        let first = rest[0].cast_signed();
        if first >= -112 {
            place.seq_id = first.into();
            place.next += 1;
        } else if let (-120..=-113, Some((bytes, _))) = (first, rest[1..].split_first_chunk::<8>()) {
            // one to eight bytes of a number that is not negative, and others behind them
            let len = u32::from(first.abs_diff(-112));
            place.seq_id = (u64::from_be_bytes(*bytes) >> (64 - 8 * len)).cast_signed();
            place.next += 1 + len as usize;
        } else {
            (place.seq_id, place.next) = vlong_at(bytes, place.next);
        }
    }
    place
}

/// A number of any form, and where it ends.
#[cold]
fn vlong_at(bytes: &[u8], at: usize) -> (i64, usize) {
    let mut cursor = Cursor::new(&bytes[at..]);
    let number = cursor.vlong("mvcc").expect("a cell's mvcc is whole");
    (number, at + cursor.position())
}

#[inline]
fn key_at<'b>(bytes: &'b [u8], place: &CellPlace) -> &'b CellKey {
    let at = place.at + key_value::LENGTHS;
    CellKey::from_checked(&bytes[at..at + place.key_len])
}

/// The row of the cell at an offset.
#[inline]
fn row_at(bytes: &[u8], at: usize) -> &[u8] {
    let at = at + key_value::LENGTHS;
    let len = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    &bytes[at + 2..at + 2 + len]
}

#[cfg(test)]
mod tests {
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
        for undone in [None, Some(Undone { cells: cells.len(), last })] {
            let trust = Trust::Decoded(undone);
            let decoded = DataBlock::new(bytes.clone(), range.clone(), format, trust, index).unwrap();
            assert_eq!(
                (block.count, block.last, &block.bytes),
                (decoded.count, decoded.last, &decoded.bytes)
            );
        }
        block
    }

    fn cells_of(block: &DataBlock) -> Vec<Cell> {
        let mut place = block.first();
        let mut cells = vec![Cell::from(block.cell(&place))];
        while block.advance(&mut place) {
            cells.push(Cell::from(block.cell(&place)));
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
                let rows =
                    ["a", "aa", "b", "c", "longer-than-8-a", "longer-than-8-b", "longer-than-8-bb", "x"];
                let keys = rows.iter().flat_map(|row| {
                    (10..50).map(|q| SeekKey::of(row.as_bytes(), b"f", &[q], 1, CellType::Put))
                });
                let cells: Vec<Cell> = keys.map(|key| Cell::from(CellRef::new(&key, b"v"))).collect();
                let block = block(&cells, CellFormat { tags: false, mvcc: false }, index);
                let others = ["", "0", "ab", "longer", "longer-than-8-", "longer-than-8-ba", "y"];
                for row in rows.iter().chain(&others) {
                    let found = block.seek_row(row.as_bytes(), order);
                    let expected = block.seek(&SeekKey::first_on_row(row.as_bytes()), order);
                    assert_eq!(found.map(|p| p.at), expected.map(|(p, _)| p.at), "{row} {order:?}");
                }
            }
        }
    }

    fn arbitrary_key() -> impl Strategy<Value = SeekKey> {
        let row = prop_oneof![
            4 => "(user|users)?[ab]{0,2}(0000000){0,2}[a-d]{0,3}",
            1 => "[a-z,]{0,3}",
        ];
        let cell_type = prop_oneof![4 => Just(CellType::Put), 1 => Just(CellType::DeleteColumn), 1 => Just(CellType::DeleteFamily)];
        (row, "[ab]{0,2}", 0i64..4, cell_type).prop_map(|(row, qualifier, ts, ty)| {
            SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), ts, ty)
        })
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
            prop_assert_eq!(Cell::from(block.cell(&block.last())), cells[cells.len() - 1].clone());
            for key in wanted.iter().chain(&keys) {
                let (found, walked) = (block.seek(key, order), linear.seek(key, order));
                if sorted {
                    let plain = keys.iter().position(|k| order.compare(k, key).is_ge());
                    prop_assert_eq!(found.map(|(p, _)| p.at), walked.map(|(p, _)| p.at));
                    prop_assert_eq!(found.is_some(), plain.is_some());
                    if let (Some((place, how)), Some(plain)) = (found, plain) {
                        prop_assert_eq!(Cell::from(block.cell(&place)), cells[plain].clone());
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
            let (place, how) = block.seek(&SeekKey::first_on_row(row), CellOrder::User).unwrap();
            assert_eq!((Cell::from(block.cell(&place)), how), (cell.clone(), Ordering::Greater));
        }
    }

    #[test]
    fn an_empty_block_is_refused() {
        let made = DataBlock::new(Vec::new(), 0..0, CellFormat::default(), Trust::Unchecked, None);
        assert!(made.is_err());
    }
}
