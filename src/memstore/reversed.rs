//! Walks the rows of a segment from the last to the first (read-path.md §3.2; HBase: `SegmentScanner`).

#[cfg(test)]
pub(crate) mod naive;
#[cfg(test)]
mod tests;

use super::entry::SegmentEntry;
use super::position::Position;
use super::segment::Segment;
use super::trail::Trail;
use crate::cell::{CellKey, CellRef};
use std::fmt;
use std::ptr;

/// A cursor over those cells of a [`Segment`] that a read point sees, from each row that has any to the one before it, and
/// forward within a row.
///
/// It stands on a cell of its row, or behind the row's last; or it has no row: when it is new, or before the first row.
/// Nothing here fails. Who goes far back is lent a [`Trail`], for which memory is allocated; nothing else is.
pub(crate) struct ReversedSegmentScanner<'s> {
    segment: &'s Segment,
    read_point: i64,
    /// The cell it stands on, which is visible.
    at: Option<SegmentEntry<'s>>,
    row: Option<RowEntries<'s>>,
    trail: Trail<'s>,
}

/// A row of a segment, whoever may see its cells. What is added to it meanwhile concerns no reader.
struct RowEntries<'s> {
    first: SegmentEntry<'s>,
    last: SegmentEntry<'s>,
    /// The cell before the first, if it has been looked for.
    before: Option<Option<SegmentEntry<'s>>>,
}

/// How many cells [`ReversedSegmentScanner::reseek`] looks at before it searches.
const STEPS: usize = 4;

impl<'s> ReversedSegmentScanner<'s> {
    pub(super) fn new(segment: &'s Segment, read_point: i64) -> Self {
        Self { segment, read_point, at: None, row: None, trail: Trail::new() }
    }

    /// The first row of the segment, whoever may see its cells.
    pub(crate) fn first_row(&self) -> Option<bytes::Bytes> {
        self.segment.first_row()
    }

    /// The last row of the segment, whoever may see its cells.
    pub(crate) fn last_row(&self) -> Option<bytes::Bytes> {
        self.segment.last_row()
    }

    /// The cell it stands on.
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        self.at.as_ref().map(|entry| entry.key().cell())
    }

    /// Lends the cell it stands on if it is seen at once that its row ends there; else there is no result.
    #[inline]
    pub(crate) fn lend_lone<R>(&self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        match (&self.at, &self.row) {
            (Some(at), Some(row)) if row.is_last(at) => visit(at.key().cell()),
            _ => None,
        }
    }

    /// Goes to the first visible cell of the last row that has one; nowhere if there is none.
    pub(crate) fn seek_to_last_row(&mut self) {
        self.trail.clear();
        self.enter_row_of(self.segment.last());
    }

    /// Goes to the first visible cell of the last row that has one before `key`, which does not lie within a row; nowhere if
    /// there is none.
    pub(crate) fn seek_before(&mut self, key: &CellKey) {
        let position = Position::of_key(self.segment.order(), key, i64::MAX);
        self.trail.clear();
        self.enter_row_of(self.segment.before(&position));
    }

    /// Goes to the first visible cell of the nearest row before the current one that has one; nowhere if there is none.
    pub(crate) fn previous_row(&mut self) {
        if let Some(row) = self.row.take() {
            let before = row.into_before(&mut self.trail, self.segment);
            self.enter_row_of(before);
        }
    }

    /// Goes to the next visible cell of the row; behind the row if there is none.
    #[inline]
    pub(crate) fn advance(&mut self) {
        let (Some(at), Some(row)) = (&mut self.at, &self.row) else { return };
        loop {
            if row.is_last(at) || !at.move_next() || !row.reaches(at) {
                self.at = None;
                return;
            }
            if at.key().seq_id() <= self.read_point {
                return;
            }
        }
    }

    /// Goes forward within the row to the first visible cell that is not before `key`; stays where it is if that is not
    /// before `key`; goes behind the row if there is none.
    pub(crate) fn reseek(&mut self, key: &CellKey) {
        let order = self.segment.order();
        for _ in 0..STEPS {
            match &self.at {
                Some(at) if order.compare(at.key().cell().key, key).is_lt() => self.advance(),
                _ => return,
            }
        }
        let Some(row) = &self.row else { return };
        // newer versions of the very key are invisible: it may begin behind them
        let position = Position::of_key(order, key, self.read_point);
        self.at = self.segment.at_or_after(&position).filter(|found| row.reaches(found));
        if self.at.as_ref().is_some_and(|found| found.key().seq_id() > self.read_point) {
            self.advance();
        }
    }

    /// Stands on the first visible cell of the row of a cell, which is its last, or of a row before.
    fn enter_row_of(&mut self, mut last: Option<SegmentEntry<'s>>) {
        (self.at, self.row) = (None, None);
        while let Some(end) = last {
            let row = self.row.insert(RowEntries::up_to(end, &mut self.trail, self.segment));
            self.at = Some(row.first.clone());
            if row.first.key().seq_id() > self.read_point {
                self.advance();
            }
            if self.at.is_some() {
                return;
            }
            last = self.row.take().and_then(|row| row.into_before(&mut self.trail, self.segment));
        }
    }
}

impl<'s> RowEntries<'s> {
    /// The row of a cell, which is its last.
    fn up_to(last: SegmentEntry<'s>, trail: &mut Trail<'s>, segment: &'s Segment) -> Self {
        let row = last.key().cell().row();
        let before = trail.before(&last, segment);
        if before.as_ref().is_none_or(|before| before.key().cell().row() != row) {
            return Self { first: last.clone(), last, before: Some(before) };
        }
        let first = segment.at_or_after(&Position::of_row(segment.order(), row));
        Self { first: first.unwrap_or_else(|| last.clone()), last, before: None }
    }

    fn into_before(self, trail: &mut Trail<'s>, segment: &'s Segment) -> Option<SegmentEntry<'s>> {
        self.before.unwrap_or_else(|| trail.before(&self.first, segment))
    }

    /// Whether a cell is known to be the row's last. One that has been replaced meanwhile is not.
    #[inline]
    fn is_last(&self, entry: &SegmentEntry<'s>) -> bool {
        ptr::eq(entry.key(), self.last.key())
    }

    /// Whether a cell is not behind the row's last.
    fn reaches(&self, entry: &SegmentEntry<'s>) -> bool {
        entry.key() <= self.last.key()
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
