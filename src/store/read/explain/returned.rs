//! The cells that a read returns of a row, to compare with those stored.

use crate::cell::{CellOrder, CellRef, Cells};
use std::iter::Peekable;

/// The cells that a read has returned of a row, taken in order.
pub(crate) struct ReturnedCells<'r> {
    cells: Peekable<Cells<'r>>,
    order: CellOrder,
    filtered: bool,
}

impl<'r> ReturnedCells<'r> {
    /// `filtered`: whether the read has a filter.
    pub(crate) fn new(cells: Cells<'r>, order: CellOrder, filtered: bool) -> Self {
        Self { cells: cells.peekable(), order, filtered }
    }

    /// Takes the next cell if it is the stored one. A filter may have changed its value, and dropped its
    /// sequence id.
    pub(super) fn take(&mut self, stored: CellRef<'_>) -> bool {
        let Self { order, filtered, .. } = *self;
        let is_same = |cell: &CellRef<'_>| {
            let has_id = cell.seq_id() == stored.seq_id() || filtered && cell.seq_id() == 0;
            has_id && order.compare(cell.key(), stored.key()).is_eq()
        };
        self.cells.next_if(is_same).is_some()
    }

    /// Whether all cells have been taken.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.cells.peek().is_none()
    }
}
