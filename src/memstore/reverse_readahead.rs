//! Reads cells of a segment ahead in reverse order.

use super::entry::SegmentEntry;
use super::key::{Key, StoredCell};
use super::segment::Segment;
use crate::block::search::common_prefix;
use crate::cell::{CellOrder, prefix};

/// The cells directly before a position, for reverse scans.
///
/// The links of a skip list only lead forward: finding the previous cell takes a search, with many cache
/// misses. After some single steps, it estimates from the distance between the rows so far where the
/// preceding cells begin, and walks forward from there up to the position. A wrong guess costs one search,
/// and further guesses are then made less often.
pub(super) struct ReverseReadahead<'s> {
    /// The cells read, in ascending order.
    cells: Vec<SegmentEntry<'s>>,
    /// The common prefix of the segment's rows when the first step was made.
    common: Vec<u8>,
    /// The row of the first step: the bytes after `common`, as a number.
    from: u64,
    /// The number of single steps.
    steps: usize,
    /// The number of single steps before a guess.
    patience: usize,
    /// How far to go back, as a difference of row numbers; 0 if unknown.
    span: u64,
    /// Buffer for a row.
    row: Vec<u8>,
}

/// The desired number of cells per read.
const WANTED: usize = 64;
/// The maximum number of cells per read.
const MAX_CELLS: usize = 4 * WANTED;
/// The number of single steps before the first guess.
const FEW: usize = 8;

impl<'s> ReverseReadahead<'s> {
    /// Creates a read-ahead without a position.
    pub(super) fn new() -> Self {
        let (cells, common, row) = (Vec::new(), Vec::new(), Vec::new());
        Self { cells, common, from: 0, steps: 0, patience: FEW, span: 0, row }
    }

    /// Resets the position.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        (self.steps, self.span) = (0, 0);
    }

    /// Returns the cell before `cell`, which must not be after the previous call's cell.
    pub(super) fn before(
        &mut self,
        cell: &SegmentEntry<'s>,
        segment: &'s Segment,
    ) -> Option<SegmentEntry<'s>> {
        // drops the cell itself and later ones of its row
        while self.cells.pop_if(|last| last.compare(cell).is_ge()).is_some() {}
        if self.cells.is_empty() && !self.read_back(cell, segment) {
            return cell.prev();
        }
        self.cells.pop()
    }

    /// Reads cells before `cell`. Returns whether there are any.
    fn read_back(&mut self, cell: &SegmentEntry<'s>, segment: &'s Segment) -> bool {
        // The previous cell of an array is found without a search. The rows of `hbase:meta` do not sort as
        // numbers.
        let SegmentEntry::Listed(end) = cell else { return false };
        if segment.order() == CellOrder::Meta {
            return false;
        }
        let row = cell.cell().row();
        if self.steps == 0 {
            self.begin(row, segment);
        }
        let here = prefix(row, self.common.len());
        self.steps += 1;
        if self.steps <= self.patience || !row.starts_with(&self.common) {
            return false;
        }
        if self.span == 0 {
            let apart = self.from.saturating_sub(here) / self.steps as u64;
            self.span = apart.max(1).saturating_mul(WANTED as u64);
        }
        if self.read_from(here.saturating_sub(self.span), end.key(), segment) {
            match self.cells.len() {
                0..WANTED => self.span = self.span.saturating_mul(2),
                len if len > 2 * WANTED => self.span = (self.span / 2).max(1),
                _ => {}
            }
        } else {
            self.cells.clear();
        }
        if self.cells.is_empty() {
            self.clear();
            self.patience = self.patience.saturating_mul(2);
        }
        !self.cells.is_empty()
    }

    /// Records where the steps begin.
    fn begin(&mut self, row: &[u8], segment: &Segment) {
        self.common.clear();
        if let (Some(first), Some(last)) = (segment.first_row(), segment.last_row()) {
            self.common.extend_from_slice(&first[..common_prefix(&first, &last)]);
        }
        self.from = prefix(row, self.common.len());
    }

    /// Reads the cells before `end` from the row with this number on. Returns false if there are too many.
    fn read_from(&mut self, number: u64, end: &Key<StoredCell>, segment: &'s Segment) -> bool {
        self.row.clear();
        self.row.extend_from_slice(&self.common);
        self.row.extend_from_slice(&number.to_be_bytes());
        segment.hold(&Key::of_row(segment.order(), &self.row), end, MAX_CELLS, &mut self.cells)
    }
}
