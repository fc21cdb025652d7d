//! The versions of a column seen so far, to name the one that hides another.

use crate::cell::{Cell, CellRef};
use crate::store::matcher::Rule;

/// A column of a row.
#[derive(Debug, Default)]
pub(super) struct Column {
    qualifier: Option<Vec<u8>>,
    /// Number of values that the matcher included.
    pub(super) count: u32,
    /// The first of these.
    newest: Option<Cell>,
    /// The last cell that was included.
    last: Option<Cell>,
    /// The rule by which the rest of the column is skipped.
    pub(super) left: Option<Rule>,
    /// Number of values that the read returns.
    pub(super) returned: u32,
    /// The first of these.
    newest_returned: Option<Cell>,
}

impl Column {
    /// Begins the column of a cell, unless it is the current one. Returns whether it begins.
    pub(super) fn enter(&mut self, cell: CellRef<'_>) -> bool {
        if self.qualifier.as_deref() == Some(cell.qualifier()) {
            return false;
        }
        *self = Self { qualifier: Some(cell.qualifier().to_vec()), ..Self::default() };
        true
    }

    /// Records that the matcher includes a cell.
    pub(super) fn include(&mut self, cell: CellRef<'_>) {
        if !cell.cell_type().is_delete() {
            self.count = self.count.saturating_add(1);
            self.newest.get_or_insert_with(|| cell.into());
        }
        self.last = Some(cell.into());
    }

    /// Records that the read returns a cell.
    pub(super) fn note_returned(&mut self, cell: CellRef<'_>) {
        self.returned = self.returned.saturating_add(1);
        self.newest_returned.get_or_insert_with(|| cell.into());
    }

    /// Returns the first value that the matcher included.
    pub(super) fn newest(&self) -> Option<CellRef<'_>> {
        self.newest.as_ref().map(Cell::as_ref)
    }

    /// Returns the first value that the read returns.
    pub(super) fn newest_returned(&self) -> Option<CellRef<'_>> {
        self.newest_returned.as_ref().map(Cell::as_ref)
    }

    /// Returns the last cell that was included, if a cell has its timestamp and type.
    pub(super) fn repeated_by(&self, cell: CellRef<'_>) -> Option<CellRef<'_>> {
        let last = self.last.as_ref().map(Cell::as_ref)?;
        (last.timestamp() == cell.timestamp() && last.cell_type() == cell.cell_type()).then_some(last)
    }
}
