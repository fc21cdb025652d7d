//! A data block in memory: plain, checked cells and an index of them.

mod rows;

pub(crate) use rows::RowSpan;

use super::Decoded;
use super::position::{AHEAD, CHUNK, CellPosition, key_at, position_at, prefetch, row_at};
use super::seek_index::{Candidates, STRIDE, SeekIndex};
use crate::cell::{CellFormat, CellKey, CellOrder, CellRef, key_value, same_bytes};
use crate::coding::Cursor;
use crate::error::Corruption;
use std::cmp::Ordering;
use std::fmt;
use std::hint;
use std::ops::{ControlFlow, Range};

/// The cells of one block.
///
/// Whatever the encoding on disk, the cells here are plain (hfile.md §2.1) and contiguous; delta encodings
/// are decoded when the block is loaded. All lengths were checked when this type was created, so stepping
/// through the cells cannot fail. There is at least one cell.
pub(crate) struct DataBlock {
    /// The bytes read or decoded, which include the cells, followed by the entries of `index`.
    bytes: Vec<u8>,
    cells: Range<usize>,
    format: CellFormat,
    count: u32,
    /// The offset of the last cell.
    last: usize,
    index: SeekIndex,
    prev_block_offset: i64,
    /// Whether the stored block has these cells, unchanged, at these offsets.
    as_stored: bool,
}

/// The result of a search for a row in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowSearch {
    /// The first cell of the row in this block.
    Found(CellPosition),
    /// The row is not in this block, but a greater row is.
    Absent,
    /// All cells are before the row.
    After,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowStep {
    /// Moved to another cell of the same row.
    InRow,
    /// Moved to the first cell of another row.
    NextRow,
    /// Not moved: the block has no further cell.
    End,
}

/// Whether the cells of a block have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Read from a file: every cell must be checked.
    Unchecked,
    /// From a decoder that checked every cell; it may provide the number of cells and the offset of the last
    /// one.
    Decoded(Option<Decoded>),
}

impl DataBlock {
    /// Takes the cells in `bytes[cells]`, checks them if necessary and, given an order, builds the index.
    pub(crate) fn new(
        mut bytes: Vec<u8>,
        cells: Range<usize>,
        format: CellFormat,
        trust: Trust,
        index: Option<CellOrder>,
    ) -> Result<Self, Corruption> {
        bytes.truncate(cells.end);
        // estimate: 100 bytes per cell
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
                    let position = position_at(&bytes, at, format);
                    if index {
                        entries.see(at, key_at(&bytes, &position).row());
                    }
                    last = at;
                    count += 1;
                    at = position.next;
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
        Ok(Self { bytes, cells, format, count, last, index, prev_block_offset: -1, as_stored: false })
    }

    /// Takes cells that have been checked, without an index. `last` is the offset of the last one.
    pub(super) fn of_checked(bytes: Vec<u8>, format: CellFormat, count: u32, last: usize) -> Self {
        let (cells, index) = (0..bytes.len(), SeekIndex::default());
        Self { bytes, cells, format, count, last, index, prev_block_offset: -1, as_stored: false }
    }

    /// Adds an index in this order to a block that has none.
    pub(crate) fn with_index(self, order: Option<CellOrder>) -> Result<Self, Corruption> {
        if order.is_none() || self.is_indexed() {
            return Ok(self);
        }
        let Self { bytes, cells, format, prev_block_offset, as_stored, .. } = self;
        let block = Self::new(bytes, cells, format, Trust::Decoded(None), order)?;
        Ok(Self { prev_block_offset, as_stored, ..block })
    }

    /// Adds cells after the last one to a block without an index: `read` appends their bytes. Returns `None`,
    /// and adds nothing, if `read` does, or if the bytes are not cells.
    pub(crate) fn extend(&mut self, read: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
        debug_assert_eq!(self.index.len(), 0, "entries follow the cells");
        let end = self.cells.end;
        self.bytes.truncate(end);
        let read = read(&mut self.bytes);
        let cells = end..self.bytes.len();
        let walk = || walk_checked(&self.bytes, &cells, self.format, |_, _| {}).ok();
        let Some((count, last)) = read.and_then(|()| walk()).filter(|(count, _)| *count > 0) else {
            self.bytes.truncate(end);
            return None;
        };
        self.count += count;
        (self.last, self.cells.end) = (last, cells.end);
        Some(())
    }

    /// Returns the cell at an offset in the bytes; `None` if none begins there.
    pub(crate) fn cell_at(&self, at: usize) -> Option<CellPosition> {
        let mut position = self.first();
        while position.at < at && self.step(&mut position) {}
        (position.at == at).then_some(position)
    }

    /// Returns the offset of a cell in the bytes.
    pub(crate) fn offset_of(position: &CellPosition) -> usize {
        position.at
    }

    /// Records that the stored block has these cells, unchanged, at the same offsets.
    pub(crate) fn with_stored_cells(self) -> Self {
        Self { as_stored: true, ..self }
    }

    /// Returns the cells, if the stored block has them unchanged, at the same offsets.
    pub(super) fn stored_cells(&self) -> Option<&[u8]> {
        self.as_stored.then(|| self.cell_bytes())
    }

    pub(super) fn format(&self) -> CellFormat {
        self.format
    }

    /// Returns the offset of the first cell.
    pub(super) fn start(&self) -> usize {
        self.cells.start
    }

    /// Whether the rows ascend and have an index.
    pub(super) fn is_indexed(&self) -> bool {
        self.index.len() > 0
    }

    /// Returns the bytes of all cells.
    pub(super) fn cell_bytes(&self) -> &[u8] {
        &self.bytes[self.cells.clone()]
    }

    /// Returns the bytes of a cell.
    pub(super) fn bytes_of(&self, position: &CellPosition) -> &[u8] {
        &self.bytes[position.at..position.next]
    }

    pub(crate) fn with_prev_block_offset(self, prev_block_offset: i64) -> Self {
        Self { prev_block_offset, ..self }
    }

    /// Returns the file offset of the previous data block; -1 if there is none.
    pub(crate) fn prev_block_offset(&self) -> i64 {
        self.prev_block_offset
    }

    /// Returns the number of cells.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Returns the memory size in bytes, for cache accounting.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    /// Returns the bytes up to the end of the cells, where the cells begin in them, and whether the stored
    /// block has these cells, unchanged, at these offsets.
    pub(crate) fn content(&self) -> (&[u8], usize, bool) {
        (&self.bytes[..self.cells.end], self.cells.start, self.as_stored)
    }

    /// Returns the buffer, for reuse.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the first cell.
    #[inline]
    pub(crate) fn first(&self) -> CellPosition {
        self.position(self.cells.start)
    }

    /// Returns the first cell, for a long scan: also touches the following bytes.
    pub(crate) fn first_of_many(&self) -> CellPosition {
        let mut position = self.first();
        // `advance` touches the following chunks
        let end = self.bytes.len().min(position.next + AHEAD + CHUNK);
        position.ahead = self.bytes.get(position.next..end).map(prefetch).unwrap_or_default();
        position
    }

    /// Returns the last cell.
    pub(crate) fn last(&self) -> CellPosition {
        self.position(self.last)
    }

    /// Moves to the next cell. Returns false, and does not move, if there is none in this block.
    #[inline(always)] // the loop of every scan
    pub(crate) fn advance(&self, position: &mut CellPosition) -> bool {
        if !self.step(position) {
            return false;
        }
        self.prefetch_ahead(position);
        true
    }

    /// Like [`advance`](Self::advance), but returns whether the row is still the same.
    #[inline(always)] // the loop of every scan
    pub(crate) fn advance_in_row(&self, position: &mut CellPosition) -> RowStep {
        let step = self.step_in_row(position);
        if step != RowStep::End {
            self.prefetch_ahead(position);
        }
        step
    }

    /// Like [`advance_in_row`](Self::advance_in_row), for short scans: does not touch the following bytes.
    #[inline(always)] // as `advance`
    pub(crate) fn step_in_row(&self, position: &mut CellPosition) -> RowStep {
        let before = position.at;
        if !self.step(position) {
            return RowStep::End;
        }
        let same = same_bytes(row_at(&self.bytes, before), row_at(&self.bytes, position.at));
        if same { RowStep::InRow } else { RowStep::NextRow }
    }

    /// Visits the cells of a row from `position` on, until `visit` breaks; `position` is then the last cell
    /// visited. Otherwise returns the result of the step from the last cell of the row; for [`RowStep::End`],
    /// `position` stays there.
    #[inline(always)] // the loop of every scan
    pub(crate) fn walk_row<B>(
        &self,
        position: &mut CellPosition,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B, RowStep> {
        loop {
            visit(self.cell(position))?;
            match self.advance_in_row(position) {
                RowStep::InRow => {}
                step => return ControlFlow::Continue(step),
            }
        }
    }

    /// If the cell at `position` is followed by another row in this block, passes it to `visit`, and advances
    /// if `visit` returns a result. Otherwise returns `None`.
    #[inline(always)] // the loop of every scan
    pub(crate) fn visit_single_cell<R>(
        &self,
        position: &mut CellPosition,
        visit: impl FnOnce(CellRef<'_>) -> Option<R>,
    ) -> Option<R> {
        let mut next = *position;
        if self.advance_in_row(&mut next) != RowStep::NextRow {
            return None;
        }
        let result = visit(self.cell(position))?;
        *position = next;
        Some(result)
    }

    #[inline(always)] // as `advance`
    fn step(&self, position: &mut CellPosition) -> bool {
        if position.next >= self.cells.end {
            return false;
        }
        *position = position_at(&self.bytes, position.next, self.format);
        true
    }

    #[inline(always)] // as `advance`
    fn prefetch_ahead(&self, position: &mut CellPosition) {
        if position.at / CHUNK != position.next / CHUNK {
            let from = position.next / CHUNK * CHUNK + AHEAD;
            position.ahead = self.bytes.get(from..from + CHUNK).map(prefetch).unwrap_or_default();
        }
    }

    /// Touches the cache lines that usually hold the rest of a cell, all at once. The length of the cell is
    /// known only when its start has been loaded; waiting for one line after the other takes twice as long.
    #[inline(always)] // a few instructions
    fn prefetch_before(&self, at: usize) {
        for line in [64, 128] {
            hint::black_box(self.bytes.get(at + line).copied());
        }
    }

    #[inline]
    fn position(&self, at: usize) -> CellPosition {
        position_at(&self.bytes, at, self.format)
    }

    /// Whether this is the first cell.
    pub(crate) fn is_first(&self, position: &CellPosition) -> bool {
        position.at == self.cells.start
    }

    /// Returns the key of a cell.
    #[inline]
    pub(crate) fn key(&self, position: &CellPosition) -> &CellKey {
        key_at(&self.bytes, position)
    }

    /// Returns the row of a cell.
    #[inline]
    pub(crate) fn row(&self, position: &CellPosition) -> &[u8] {
        row_at(&self.bytes, position.at)
    }

    /// Returns a cell.
    #[inline]
    pub(crate) fn cell(&self, position: &CellPosition) -> CellRef<'_> {
        let rest = &self.bytes[position.at + key_value::LENGTHS..];
        let (key, rest) = rest.split_at(position.key_len);
        let (value, rest) = rest.split_at(position.value_len);
        let tags = if position.tags_len == 0 { &[] } else { &rest[2..2 + position.tags_len] };
        CellRef { key: CellKey::from_checked(key), value, tags, seq_id: position.seq_id }
    }

    /// Returns the first cell whose key is not less than `key`, and how it compares; `None` if all are less.
    #[inline]
    pub(crate) fn seek(&self, key: &CellKey, order: CellOrder) -> Option<(CellPosition, Ordering)> {
        let (low, high) = match self.candidates(key.row()) {
            Candidates::Before => (0, 0),
            Candidates::After => return None,
            Candidates::Between { low, high } => (low, high),
        };
        let mut position = if self.index.len() == 0 {
            self.first()
        } else {
            // nearly always at most one entry has the row's bits
            let entry = if high - low > 1 { self.bisect(low, high, key, order) } else { low };
            if entry > low {
                // cells after an entry that have no entry of their own may also be less than `key`
                self.position(self.entry_at(entry - 1))
            } else if entry == high && entry < self.index.len() {
                return Some((self.position(self.entry_at(entry)), Ordering::Greater));
            } else if entry < self.index.len() {
                self.position(self.entry_at(entry))
            } else {
                return None;
            }
        };
        loop {
            match order.compare(self.key(&position), key) {
                Ordering::Less if !self.advance(&mut position) => return None,
                Ordering::Less => {}
                found => return Some((position, found)),
            }
        }
    }

    /// Finds the first cell of a row. For most absent rows, only the index is read.
    #[inline]
    pub(crate) fn find_row(&self, row: &[u8], order: CellOrder) -> RowSearch {
        if self.index.len() == 0 {
            return self.walk_to_row(row, order);
        }
        let (low, high) = match self.candidates(row) {
            Candidates::Before => return RowSearch::Absent,
            Candidates::After => return RowSearch::After,
            Candidates::Between { low, high } => (low, high),
        };
        if low < high {
            // nearly always a match; the first cell of every row has an entry
            let at = self.entry_at(low);
            self.prefetch_before(at);
            let position = self.position(at);
            if same_bytes(self.row(&position), row) {
                return RowSearch::Found(position);
            }
            return self.bisect_rows(low, high, row, order);
        }
        if low < self.index.len() { RowSearch::Absent } else { RowSearch::After }
    }

    /// Touches the block's fields, which [`find_row`](Self::find_row) reads first.
    #[inline]
    pub(crate) fn prefetch_fields(&self) {
        hint::black_box(self.bytes.len());
        self.index.prefetch_fields();
    }

    /// Touches the index entries, which [`find_row`](Self::find_row) reads after the fields.
    #[inline]
    pub(crate) fn prefetch_entries(&self, row: &[u8]) {
        self.index.prefetch_entries(&self.bytes, row);
    }

    /// Touches the row's first cell, which [`find_row`](Self::find_row) reads last.
    #[inline]
    pub(crate) fn prefetch_row(&self, row: &[u8]) {
        if let Candidates::Between { low, high } = self.candidates(row)
            && low < high
        {
            let at = self.entry_at(low);
            hint::black_box(self.bytes.get(at).copied());
            self.prefetch_before(at);
        }
    }

    /// Like [`find_row`](Self::find_row), in a block without an index.
    #[cold]
    fn walk_to_row(&self, row: &[u8], order: CellOrder) -> RowSearch {
        let mut position = self.first();
        loop {
            match order.compare_rows(self.row(&position), row) {
                Ordering::Less if !self.advance(&mut position) => return RowSearch::After,
                Ordering::Less => {}
                Ordering::Equal => return RowSearch::Found(position),
                Ordering::Greater => return RowSearch::Absent,
            }
        }
    }

    /// Like [`find_row`](Self::find_row), among the cells of the entries `low..high`, the only ones where the
    /// row can begin.
    #[cold]
    fn bisect_rows(&self, mut low: usize, mut high: usize, row: &[u8], order: CellOrder) -> RowSearch {
        while low < high {
            let middle = low.midpoint(high);
            if order.compare_rows(row_at(&self.bytes, self.entry_at(middle)), row).is_lt() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low == self.index.len() {
            return RowSearch::After;
        }
        let position = self.position(self.entry_at(low));
        if self.row(&position) == row { RowSearch::Found(position) } else { RowSearch::Absent }
    }

    /// Returns the last cell whose key is less than `key`; `None` if there is none.
    pub(crate) fn seek_before(&self, key: &CellKey, order: CellOrder) -> Option<CellPosition> {
        let start = match self.candidates(key.row()) {
            Candidates::Before => return None,
            Candidates::After if self.index.len() > 0 => self.entry_at(self.index.len() - 1),
            Candidates::After => self.cells.start,
            Candidates::Between { low, high } => match self.bisect(low, high, key, order).checked_sub(1) {
                Some(entry) => self.entry_at(entry),
                None => self.cells.start,
            },
        };
        let mut before = None;
        let mut position = self.position(start);
        while order.compare(self.key(&position), key).is_lt() {
            before = Some(position);
            if !self.advance(&mut position) {
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

    /// Returns the first entry of `low..high` whose cell is not less than `key`, or `high`.
    #[inline]
    fn bisect(&self, mut low: usize, mut high: usize, key: &CellKey, order: CellOrder) -> usize {
        while low < high {
            let middle = low.midpoint(high);
            let position = self.position(self.entry_at(middle));
            if order.compare(self.key(&position), key).is_lt() {
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

/// Collects the cells that get an entry: the first of each row, and every 16th within a row.
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

/// Checks every cell and passes its offset and row to `see`. Returns the number of cells and the offset of
/// the last one.
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
        if let Some((row, next)) = key_value::fast_parse(bytes, at, format) {
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

#[cfg(test)]
mod tests;
