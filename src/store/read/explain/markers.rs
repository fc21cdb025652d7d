//! The markers of a row that hide its cells, to name the one that hides a cell.

use crate::cell::{Cell, CellRef, CellType};
use std::collections::BTreeMap;

/// Markers that apply to the cells after them.
#[derive(Debug, Default)]
pub(super) struct Markers {
    family: Scope,
    column: Scope,
}

/// The markers of the family, or of one column.
#[derive(Debug, Default)]
struct Scope {
    /// Those that reach back in time, newest timestamp first. Each was written after those before it: one
    /// that was not hides nothing more than they do.
    reaching: Vec<Cell>,
    /// Those of single versions, by timestamp: of each the one written last.
    versions: BTreeMap<i64, Cell>,
}

impl Markers {
    /// Begins a row.
    pub(super) fn begin_row(&mut self) {
        *self = Self::default();
    }

    /// Begins a column.
    pub(super) fn begin_column(&mut self) {
        self.column = Scope::default();
    }

    /// Adds a marker.
    pub(super) fn add(&mut self, marker: CellRef<'_>) {
        let scope = if marker.cell_type().is_family_delete() { &mut self.family } else { &mut self.column };
        if matches!(marker.cell_type(), CellType::DeleteFamily | CellType::DeleteColumn) {
            if scope.reaching.last().is_none_or(|last| last.as_ref().seq_id() < marker.seq_id()) {
                scope.reaching.push(marker.into());
            }
        } else {
            scope.versions.entry(marker.timestamp()).or_insert_with(|| marker.into());
        }
    }

    /// Returns the marker that hides a value of the current column; if `by_seq_id`, only one that was written
    /// after it.
    pub(super) fn hiding(&self, put: CellRef<'_>, by_seq_id: bool) -> Option<CellRef<'_>> {
        let written = if by_seq_id { put.seq_id() } else { i64::MIN };
        [&self.family, &self.column].into_iter().find_map(|scope| scope.hiding(put.timestamp(), written))
    }
}

impl Scope {
    /// Returns a marker that hides a version of a timestamp, and was not written before a sequence id.
    fn hiding(&self, timestamp: i64, written: i64) -> Option<CellRef<'_>> {
        let first = self.reaching.partition_point(|marker| marker.as_ref().seq_id() < written);
        let reaching = self.reaching.get(first).map(Cell::as_ref);
        reaching.filter(|marker| marker.timestamp() >= timestamp).or_else(|| {
            let version = self.versions.get(&timestamp).map(Cell::as_ref);
            version.filter(|marker| marker.seq_id() >= written)
        })
    }
}
