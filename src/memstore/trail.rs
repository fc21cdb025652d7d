//! Cells of a segment before a place, read ahead.

use super::entry::SegmentEntry;
use super::position::Position;
use super::segment::Segment;
use crate::block::search::common_prefix;
use crate::cell::{CellOrder, prefix};

/// The cells directly before a place, for who goes backward from one to the next.
///
/// A skip list leads forward only: the cell before another has to be searched for, and each search waits for memory many
/// times. So, once some have been, it is guessed from how far apart they were where those begin that come next, and they are
/// walked through from there up to the place. A guess that leads nowhere costs a search, and others are made less often then.
pub(super) struct Trail<'s> {
    /// Those that have been read, in their order.
    cells: Vec<SegmentEntry<'s>>,
    /// What the rows of the segment had in common when the first step was made.
    common: Vec<u8>,
    /// Where the steps began: what is behind `common`, as a number.
    from: u64,
    /// How many steps have been made one by one.
    steps: usize,
    /// After so many a guess is made.
    patience: usize,
    /// How far to go back: a difference of such numbers; 0 if it is not known.
    span: u64,
    /// Memory for a row.
    row: Vec<u8>,
}

/// How many cells are wanted at once.
const WANTED: usize = 64;
/// How many are taken if there are more.
const MOST: usize = 4 * WANTED;
/// How many steps are made before the first guess.
const FEW: usize = 8;

impl<'s> Trail<'s> {
    /// Of no place yet.
    pub(super) fn new() -> Self {
        let (cells, common, row) = (Vec::new(), Vec::new(), Vec::new());
        Self { cells, common, from: 0, steps: 0, patience: FEW, span: 0, row }
    }

    /// Forgets the place.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        (self.steps, self.span) = (0, 0);
    }

    /// The cell before another, which is not behind the last one that was asked for.
    pub(super) fn before(
        &mut self,
        cell: &SegmentEntry<'s>,
        segment: &'s Segment,
    ) -> Option<SegmentEntry<'s>> {
        // others of its row, or itself
        while self.cells.pop_if(|last| last.key() >= cell.key()).is_some() {}
        if self.cells.is_empty() && !self.read_back(cell, segment) {
            return cell.prev();
        }
        self.cells.pop()
    }

    /// Reads cells before another; whether there are any now.
    fn read_back(&mut self, cell: &SegmentEntry<'s>, segment: &'s Segment) -> bool {
        // rows of `hbase:meta` do not sort as numbers
        if segment.order() == CellOrder::Meta {
            return false;
        }
        let row = cell.key().cell().row();
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
        if self.read_from(here.saturating_sub(self.span), cell, segment) {
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

    /// Notes where the steps begin.
    fn begin(&mut self, row: &[u8], segment: &Segment) {
        self.common.clear();
        if let (Some(first), Some(last)) = (segment.first_row(), segment.last_row()) {
            self.common.extend_from_slice(&first[..common_prefix(&first, &last)]);
        }
        self.from = prefix(row, self.common.len());
    }

    /// Reads the cells from the row of a number on that are before another; whether there are not too many.
    fn read_from(&mut self, number: u64, end: &SegmentEntry<'s>, segment: &'s Segment) -> bool {
        self.row.clear();
        self.row.extend_from_slice(&self.common);
        self.row.extend_from_slice(&number.to_be_bytes());
        segment.hold(&Position::of_row(segment.order(), &self.row), end.key(), MOST, &mut self.cells)
    }
}
