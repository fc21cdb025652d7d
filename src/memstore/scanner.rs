//! Walks and searches the cells of a segment (read-path.md §3.2; HBase: `SegmentScanner`).

use super::position::Position;
use super::segment::{Segment, SegmentEntry};
use crate::cell::{CellKey, CellRef};
use std::fmt;

/// A cursor over those cells of a [`Segment`] that a read point sees: whose sequence id is not above it.
///
/// Cells that are added meanwhile may be met or not, which is no matter, since their sequence ids are above the read
/// point. It stands nowhere until it is sought. Nothing here fails, and nothing is allocated.
pub(crate) struct SegmentScanner<'s> {
    segment: &'s Segment,
    read_point: i64,
    place: Place<'s>,
}

enum Place<'s> {
    /// Not sought yet.
    Nowhere,
    /// On a visible cell.
    At(SegmentEntry<'s>),
    /// A search or a walk found nothing.
    End,
}

/// How many cells [`SegmentScanner::reseek`] looks at before it searches.
const STEPS: usize = 4;

impl<'s> SegmentScanner<'s> {
    pub(super) fn new(segment: &'s Segment, read_point: i64) -> Self {
        Self { segment, read_point, place: Place::Nowhere }
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
        match &self.place {
            Place::At(entry) => Some(entry.key().cell()),
            Place::Nowhere | Place::End => None,
        }
    }

    /// Goes to the first visible cell that is not before a key.
    pub(crate) fn seek(&mut self, key: &CellKey) {
        // newer versions of the very key are invisible: it may begin behind them
        let position = Position::of_key(self.segment.order(), key, self.read_point);
        self.stand_on_visible(self.segment.at_or_after(&position));
    }

    /// Goes to the first visible cell that is not before a row.
    pub(crate) fn seek_to_row(&mut self, row: &[u8]) {
        self.stand_on_visible(self.segment.at_or_after(&Position::of_row(self.segment.order(), row)));
    }

    /// As [`seek`](Self::seek), but never backward: stays if it stands at the key or behind it, or has come to an end.
    pub(crate) fn reseek(&mut self, key: &CellKey) {
        let order = self.segment.order();
        for _ in 0..STEPS {
            match &self.place {
                Place::Nowhere => break,
                Place::End => return,
                Place::At(entry) if order.compare(entry.key().cell().key, key).is_ge() => return,
                Place::At(_) => self.advance(),
            }
        }
        self.seek(key);
    }

    /// Goes to the next visible cell.
    #[inline]
    pub(crate) fn advance(&mut self) {
        let Place::At(entry) = &mut self.place else { return };
        while entry.move_next() {
            if entry.key().seq_id() <= self.read_point {
                return;
            }
        }
        self.place = Place::End;
    }

    /// Goes to the first visible cell.
    pub(crate) fn seek_to_first(&mut self) {
        self.stand_on_visible(self.segment.first());
    }

    fn stand_on_visible(&mut self, entry: Option<SegmentEntry<'s>>) {
        let Some(entry) = entry else {
            self.place = Place::End;
            return;
        };
        let visible = entry.key().seq_id() <= self.read_point;
        self.place = Place::At(entry);
        if !visible {
            self.advance();
        }
    }
}

impl fmt::Debug for SegmentScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentScanner")
            .field("read_point", &self.read_point)
            .field("at", &self.peek())
            .finish()
    }
}
