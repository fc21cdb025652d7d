//! Walks and searches the cells of a segment (read-path.md §3.2; HBase: `SegmentScanner`).

use super::copies::Copies;
use super::entry::SegmentEntry;
use super::position::Position;
use super::segment::Segment;
use crate::block::data::Step;
use crate::cell::{CellKey, CellRef};
use std::fmt;
use std::ops::ControlFlow;

/// A cursor over those cells of a [`Segment`] that a read point sees: whose sequence id is not above it.
///
/// Cells that are added meanwhile may be met or not, which is no matter, since their sequence ids are above the read
/// point. It stands nowhere until it is sought. Nothing here fails. Who [reads ahead](Self::reading_ahead) and walks far is lent
/// [`Copies`], for which memory is allocated; nothing else is.
pub(crate) struct SegmentScanner<'s> {
    segment: &'s Segment,
    read_point: i64,
    place: Place<'s>,
    /// Whether cells are copied before they are asked for.
    reads_ahead: bool,
    /// How many cells it has passed one by one since it was sought.
    passed: usize,
    /// No memory unless they are needed.
    copies: Option<Box<Copies>>,
}

enum Place<'s> {
    /// Not sought yet.
    Nowhere,
    /// On a visible cell.
    At(SegmentEntry<'s>),
    /// On the copy of one.
    Copied,
    /// A search or a walk found nothing.
    End,
}

/// How many cells [`SegmentScanner::reseek`] looks at before it searches.
const STEPS: usize = 4;

/// So many cells are passed one by one before others are copied.
const FEW: usize = 8;

impl<'s> SegmentScanner<'s> {
    pub(super) fn new(segment: &'s Segment, read_point: i64) -> Self {
        Self { segment, read_point, place: Place::Nowhere, reads_ahead: false, passed: 0, copies: None }
    }

    /// The same for who may walk far: then cells are copied some at a time, which is faster.
    pub(crate) fn reading_ahead(self) -> Self {
        Self { reads_ahead: true, ..self }
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
            Place::Copied => self.copies.as_ref()?.peek(),
            Place::At(entry) => Some(entry.key().cell()),
            Place::Nowhere | Place::End => None,
        }
    }

    /// The row of that.
    #[inline]
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        match &self.place {
            Place::Copied => self.copies.as_ref()?.peek_row(),
            Place::At(entry) => Some(entry.key().cell().row()),
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
            match self.peek() {
                None if matches!(self.place, Place::Nowhere) => break,
                None => return,
                Some(cell) if order.compare(cell.key, key).is_ge() => return,
                Some(_) => self.advance(),
            }
        }
        self.seek(key);
    }

    /// Goes to the next visible cell.
    #[inline]
    pub(crate) fn advance(&mut self) {
        if let (Place::Copied, Some(copies)) = (&self.place, &mut self.copies)
            && copies.advance()
        {
            return;
        }
        self.advance_in_list();
    }

    /// Lends the cells of a row from the one it stands on on, until `visit` breaks off; it stands on that then, or where the
    /// step has led, save that it stays on the last cell where that is the [`End`](Step::End). None if it must be walked
    /// cell by cell.
    #[inline]
    pub(crate) fn walk_row<B>(
        &mut self,
        visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Option<ControlFlow<B, Step>> {
        match (&self.place, &mut self.copies) {
            (Place::Copied, Some(copies)) => copies.walk_row(visit),
            _ => None,
        }
    }

    /// Lends the cell it stands on if it is seen at once that its row ends there, and goes on if `visit` has a result; else there
    /// is none, and it stays.
    #[inline]
    pub(crate) fn walk_lone<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        match (&self.place, &mut self.copies) {
            (Place::Copied, Some(copies)) => copies.walk_lone(visit),
            _ => None,
        }
    }

    /// As [`advance`](Self::advance), where there is no copy of the next cell.
    fn advance_in_list(&mut self) {
        match &mut self.place {
            Place::Nowhere | Place::End => return,
            Place::At(entry) if !self.reads_ahead || self.passed < FEW => {
                self.passed += 1;
                while entry.move_next() {
                    if entry.key().seq_id() <= self.read_point {
                        return;
                    }
                }
                self.place = Place::End;
                return;
            }
            Place::At(entry) => {
                let cell = entry.key().cell();
                match &mut self.copies {
                    Some(copies) => copies.begin_behind(cell),
                    None => self.copies = Some(Box::new(Copies::behind(cell))),
                }
            }
            Place::Copied => {}
        }
        let Some(copies) = &mut self.copies else { return };
        if copies.read_on(self.segment, self.read_point) {
            self.place = Place::Copied;
            return;
        }
        let behind = self.segment.after(&copies.end(self.segment));
        self.stand_on_visible(behind);
    }

    /// Goes to the first visible cell.
    pub(crate) fn seek_to_first(&mut self) {
        self.stand_on_visible(self.segment.first());
    }

    fn stand_on_visible(&mut self, entry: Option<SegmentEntry<'s>>) {
        self.passed = 0;
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
