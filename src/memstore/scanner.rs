//! Iterates and seeks the cells of a segment (read-path.md §3.2; HBase: `SegmentScanner`).

use super::entry::SegmentEntry;
use super::key::Key;
use super::readahead::Readahead;
use super::segment::Segment;
use crate::block::data::RowStep;
use crate::cell::{CellKey, CellRef};
use std::fmt;
use std::ops::ControlFlow;

/// A cursor over the cells of a [`Segment`] that are visible at a read point: those whose sequence id is not
/// above it.
///
/// Cells added during the scan may or may not be visited, but are not returned, because their sequence ids
/// are above the read point. The cursor has no position until the first seek. No method fails. Only long
/// scans that [read ahead](Self::reading_ahead) allocate memory, for [`Readahead`].
pub(crate) struct SegmentScanner<'s> {
    segment: &'s Segment,
    read_point: i64,
    position: Position<'s>,
    /// Whether cells are copied ahead.
    reads_ahead: bool,
    /// The number of single steps since the last seek.
    passed: usize,
    /// Allocated on first use.
    readahead: Option<Box<Readahead>>,
}

enum Position<'s> {
    /// Before the first seek.
    Nowhere,
    /// At a visible cell.
    At(SegmentEntry<'s>),
    /// At a copy of a cell.
    Copied,
    /// After the last cell.
    End,
}

/// The number of cells that [`SegmentScanner::reseek`] steps over before it searches.
const STEPS: usize = 4;

/// The number of single steps before cells are copied ahead.
const FEW: usize = 8;

impl<'s> SegmentScanner<'s> {
    pub(super) fn new(segment: &'s Segment, read_point: i64) -> Self {
        Self {
            segment,
            read_point,
            position: Position::Nowhere,
            reads_ahead: false,
            passed: 0,
            readahead: None,
        }
    }

    /// Enables reading ahead: after a few steps, cells are copied in batches, which makes long scans faster.
    pub(crate) fn reading_ahead(self) -> Self {
        Self { reads_ahead: true, ..self }
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
        match &self.position {
            Position::Copied => self.readahead.as_ref()?.peek(),
            Position::At(entry) => Some(entry.cell()),
            Position::Nowhere | Position::End => None,
        }
    }

    /// Returns the row of the current cell.
    #[inline]
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        match &self.position {
            Position::Copied => self.readahead.as_ref()?.peek_row(),
            Position::At(entry) => Some(entry.cell().row()),
            Position::Nowhere | Position::End => None,
        }
    }

    /// Seeks to the first visible cell at or after `key`.
    pub(crate) fn seek(&mut self, key: &CellKey) {
        // newer versions of this very key are invisible: the search starts after them
        let position = Key::of_key(self.segment.order(), key, self.read_point);
        self.move_to_visible(self.segment.at_or_after(&position));
    }

    /// Seeks to the first visible cell at or after the start of `row`.
    pub(crate) fn seek_to_row(&mut self, row: &[u8]) {
        self.move_to_visible(self.segment.at_or_after(&Key::of_row(self.segment.order(), row)));
    }

    /// Like [`seek`](Self::seek), but never moves backward: does nothing if the current cell is at or after
    /// `key`, or at the end.
    pub(crate) fn reseek(&mut self, key: &CellKey) {
        let order = self.segment.order();
        for _ in 0..STEPS {
            match self.peek() {
                None if matches!(self.position, Position::Nowhere) => break,
                None => return,
                Some(cell) if order.compare(cell.key, key).is_ge() => return,
                Some(_) => self.advance(),
            }
        }
        self.seek(key);
    }

    /// Passes visible cells of `row` to `visit` from the current one on, without moving: at most `most` cells
    /// are read.
    pub(crate) fn look_ahead(&self, row: &[u8], most: usize, mut visit: impl FnMut(CellRef<'_>)) {
        let Position::At(entry) = &self.position else { return };
        visit(entry.cell());
        let mut entry = entry.clone();
        for _ in 1..most {
            if !entry.move_next() || entry.cell().row() != row {
                return;
            }
            if entry.seq_id() <= self.read_point {
                visit(entry.cell());
            }
        }
    }

    /// Moves to the next visible cell.
    #[inline]
    pub(crate) fn advance(&mut self) {
        if let (Position::Copied, Some(readahead)) = (&self.position, &mut self.readahead)
            && readahead.advance()
        {
            return;
        }
        self.advance_in_list();
    }

    /// Visits the cells of the row from the current one, until `visit` breaks. The cursor is then at the cell
    /// where `visit` broke, or where the returned step led; for [`End`](RowStep::End) it stays at the last
    /// cell. Returns `None` if the row must be read cell by cell.
    #[inline]
    pub(crate) fn walk_row<B>(
        &mut self,
        visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Option<ControlFlow<B, RowStep>> {
        match (&self.position, &mut self.readahead) {
            (Position::Copied, Some(readahead)) => readahead.walk_row(visit),
            _ => None,
        }
    }

    /// If it is known without a search that the current cell is the last of its row, passes it to `visit`,
    /// and advances if `visit` returns a result. Otherwise returns `None` and does not move.
    #[inline]
    pub(crate) fn visit_single_cell<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        match (&self.position, &mut self.readahead) {
            (Position::Copied, Some(readahead)) => readahead.visit_single_cell(visit),
            _ => None,
        }
    }

    /// Like [`advance`](Self::advance), when the next cell has not been copied.
    fn advance_in_list(&mut self) {
        match &mut self.position {
            Position::Nowhere | Position::End => return,
            Position::At(entry) if !self.reads_ahead || self.passed < FEW => {
                self.passed += 1;
                while entry.move_next() {
                    if entry.seq_id() <= self.read_point {
                        return;
                    }
                }
                self.position = Position::End;
                return;
            }
            Position::At(entry) => {
                let cell = entry.cell();
                match &mut self.readahead {
                    Some(readahead) => readahead.begin_after(cell),
                    None => self.readahead = Some(Box::new(Readahead::after(cell))),
                }
            }
            Position::Copied => {}
        }
        let Some(readahead) = &mut self.readahead else { return };
        if readahead.read_on(self.segment, self.read_point) {
            self.position = Position::Copied;
            return;
        }
        let after = self.segment.after(&readahead.end(self.segment));
        self.move_to_visible(after);
    }

    /// Seeks to the first visible cell.
    #[cfg(feature = "internals")]
    pub(crate) fn seek_to_first(&mut self) {
        self.move_to_visible(self.segment.first());
    }

    fn move_to_visible(&mut self, entry: Option<SegmentEntry<'s>>) {
        self.passed = 0;
        let Some(entry) = entry else {
            self.position = Position::End;
            return;
        };
        let visible = entry.seq_id() <= self.read_point;
        self.position = Position::At(entry);
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
