//! Iterates over the rows of a segment from the last to the first (read-path.md §3.2; HBase:
//! `SegmentScanner`).

#[cfg(test)]
pub(crate) mod naive;
#[cfg(test)]
mod tests;

use super::entry::SegmentEntry;
use super::key::Key;
use super::reverse_readahead::ReverseReadahead;
use super::segment::Segment;
use crate::cell::{CellKey, CellRef};
use std::fmt;

/// A cursor over the cells of a [`Segment`] that are visible at a read point. It moves backward from row to
/// row, skips rows without visible cells, and moves forward within a row.
///
/// The cursor is at a cell of its row or after the last cell of the row. It has no row when it is new or
/// before the first row. No method fails. Only long scans allocate memory, for a [`ReverseReadahead`].
pub(crate) struct ReversedSegmentScanner<'s> {
    segment: &'s Segment,
    read_point: i64,
    /// The current cell, which is visible.
    at: Option<SegmentEntry<'s>>,
    row: Option<RowEntries<'s>>,
    readahead: ReverseReadahead<'s>,
}

/// The bounds of a row of a segment, visible or not. Cells added later are above the read point.
struct RowEntries<'s> {
    first: SegmentEntry<'s>,
    last: SegmentEntry<'s>,
    /// The cell before the first one, if it has been looked up.
    before: Option<Option<SegmentEntry<'s>>>,
}

/// The number of cells that [`ReversedSegmentScanner::reseek`] steps over before it searches.
const STEPS: usize = 4;

impl<'s> ReversedSegmentScanner<'s> {
    pub(super) fn new(segment: &'s Segment, read_point: i64) -> Self {
        Self { segment, read_point, at: None, row: None, readahead: ReverseReadahead::new() }
    }

    /// Returns the first row of the segment, visible or not.
    pub(crate) fn first_row(&self) -> Option<bytes::Bytes> {
        self.segment.first_row()
    }

    /// Returns the last row of the segment, visible or not.
    pub(crate) fn last_row(&self) -> Option<bytes::Bytes> {
        self.segment.last_row()
    }

    /// Returns the current cell.
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        self.at.as_ref().map(|entry| entry.cell())
    }

    /// If it is known without a search that the current cell is the last of its row, passes it to `visit`.
    /// Otherwise returns `None`.
    #[inline]
    pub(crate) fn peek_single_cell<R>(&self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        match (&self.at, &self.row) {
            (Some(at), Some(row)) if row.is_last(at) => visit(at.cell()),
            _ => None,
        }
    }

    /// Seeks to the first visible cell of the last row with visible cells. If there is none, the cursor has
    /// no position.
    pub(crate) fn seek_to_last_row(&mut self) {
        self.readahead.clear();
        self.enter_row_of(self.segment.last());
    }

    /// Seeks to the first visible cell of the last row before `key` with visible cells. `key` must not be
    /// within a row. If there is no such row, the cursor has no position.
    pub(crate) fn seek_before(&mut self, key: &CellKey) {
        let position = Key::of_key(self.segment.order(), key, i64::MAX);
        self.readahead.clear();
        self.enter_row_of(self.segment.before(&position));
    }

    /// Moves to the first visible cell of the nearest earlier row with visible cells. If there is none, the
    /// cursor has no position.
    pub(crate) fn previous_row(&mut self) {
        if let Some(row) = self.row.take() {
            let before = row.into_before(&mut self.readahead, self.segment);
            self.enter_row_of(before);
        }
    }

    /// Moves to the next visible cell of the row, or after the row if there is none.
    #[inline]
    pub(crate) fn advance(&mut self) {
        let (Some(at), Some(row)) = (&mut self.at, &self.row) else { return };
        loop {
            if row.is_last(at) || !at.move_next() || !row.reaches(at) {
                self.at = None;
                return;
            }
            if at.seq_id() <= self.read_point {
                return;
            }
        }
    }

    /// Seeks forward within the row to the first visible cell at or after `key`. Does not move if the current
    /// cell is already there. Moves after the row if there is no such cell.
    pub(crate) fn reseek(&mut self, key: &CellKey) {
        let order = self.segment.order();
        for _ in 0..STEPS {
            match &self.at {
                Some(at) if order.compare(at.cell().key, key).is_lt() => self.advance(),
                _ => return,
            }
        }
        let Some(row) = &self.row else { return };
        // newer versions of this very key are invisible: the search starts after them
        let position = Key::of_key(order, key, self.read_point);
        self.at = self.segment.at_or_after(&position).filter(|found| row.reaches(found));
        if self.at.as_ref().is_some_and(|found| found.seq_id() > self.read_point) {
            self.advance();
        }
    }

    /// Moves to the first visible cell of the row that ends with `last`, or of the nearest earlier row that
    /// has one.
    fn enter_row_of(&mut self, mut last: Option<SegmentEntry<'s>>) {
        (self.at, self.row) = (None, None);
        while let Some(end) = last {
            let row = self.row.insert(RowEntries::up_to(end, &mut self.readahead, self.segment));
            self.at = Some(row.first.clone());
            if row.first.seq_id() > self.read_point {
                self.advance();
            }
            if self.at.is_some() {
                return;
            }
            last = self.row.take().and_then(|row| row.into_before(&mut self.readahead, self.segment));
        }
    }
}

impl<'s> RowEntries<'s> {
    /// Returns the row that ends with the cell `last`.
    fn up_to(last: SegmentEntry<'s>, readahead: &mut ReverseReadahead<'s>, segment: &'s Segment) -> Self {
        let row = last.cell().row();
        let before = readahead.before(&last, segment);
        if before.as_ref().is_none_or(|before| before.cell().row() != row) {
            return Self { first: last.clone(), last, before: Some(before) };
        }
        // The cells of a failed write are removed, and `last` and `before` may be such cells: the cell found
        // may then be of a later row.
        let first = segment.at_or_after(&Key::of_row(segment.order(), row));
        let first = first.filter(|first| first.compare(&last).is_le());
        Self { first: first.unwrap_or_else(|| last.clone()), last, before: None }
    }

    fn into_before(
        self,
        readahead: &mut ReverseReadahead<'s>,
        segment: &'s Segment,
    ) -> Option<SegmentEntry<'s>> {
        self.before.unwrap_or_else(|| readahead.before(&self.first, segment))
    }

    /// Whether a cell is known to be the last of the row. A cell that has been replaced is not.
    #[inline]
    fn is_last(&self, entry: &SegmentEntry<'s>) -> bool {
        entry.is_same(&self.last)
    }

    /// Whether a cell is not after the last one of the row.
    fn reaches(&self, entry: &SegmentEntry<'s>) -> bool {
        entry.compare(&self.last).is_le()
    }
}

impl fmt::Debug for ReversedSegmentScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReversedSegmentScanner")
            .field("read_point", &self.read_point)
            .field("at", &self.peek())
            .finish_non_exhaustive()
    }
}
