//! A naive model of a cursor that moves backward row by row.

use crate::cell::{Cell, CellKey, CellOrder, CellRef};
use std::ops::Range;

/// A cursor over sorted cells.
pub(crate) struct NaiveRows {
    pub(crate) order: CellOrder,
    pub(crate) cells: Vec<Cell>,
    row: Option<Range<usize>>,
    at: Option<usize>,
}

/// An operation of a reverse cursor.
#[derive(Clone, Debug)]
pub(crate) enum RowStep<K> {
    LastRow,
    /// To the row of the last cell before the key, which must not be within a row.
    Before(K),
    PreviousRow,
    Advance,
    Reseek(K),
}

impl NaiveRows {
    pub(crate) fn new(order: CellOrder, cells: Vec<Cell>) -> Self {
        Self { order, cells, row: None, at: None }
    }

    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        self.at.map(|at| self.cells[at].as_ref())
    }

    pub(crate) fn take<K: AsRef<CellKey>>(&mut self, step: &RowStep<K>) {
        let is_before = |cell: &Cell, key: &K| self.order.compare(cell.as_ref().key, key.as_ref()).is_lt();
        match step {
            RowStep::LastRow => self.enter_row_of_cell_before(self.cells.len()),
            RowStep::Before(key) => {
                self.enter_row_of_cell_before(
                    self.cells.iter().take_while(|cell| is_before(cell, key)).count(),
                );
            }
            RowStep::PreviousRow => match self.row.clone() {
                Some(row) => self.enter_row_of_cell_before(row.start),
                None => self.at = None,
            },
            RowStep::Advance => self.at = self.at.map(|at| at + 1).filter(|&at| self.is_in_row(at)),
            RowStep::Reseek(key) => {
                let found =
                    self.at.map(|at| at + self.cells[at..].iter().take_while(|c| is_before(c, key)).count());
                self.at = found.filter(|&at| self.is_in_row(at));
            }
        }
    }

    fn is_in_row(&self, at: usize) -> bool {
        self.row.as_ref().is_some_and(|row| row.contains(&at))
    }

    fn enter_row_of_cell_before(&mut self, end: usize) {
        let row = |at: usize| self.cells[at].as_ref().row();
        let start = end.checked_sub(1).map(|last| (0..end).find(|&at| row(at) == row(last)).unwrap_or(last));
        self.row = start.map(|start| start..end);
        self.at = start;
    }
}
