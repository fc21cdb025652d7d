//! The markers of a row that hide its cells, to name the one that hides a cell.

use crate::cell::{Cell, CellRef, CellType, MarkerLabels, has_labels};
use std::collections::BTreeMap;

/// Markers that apply to the cells after them.
#[derive(Debug, Default)]
pub(super) struct Markers {
    family: Scope,
    column: Scope,
    /// Markers with visibility labels, of the family and of any column; no others hide values with labels.
    labelled: Vec<Cell>,
}

/// The markers of the family, or of one column.
#[derive(Debug, Default)]
struct Scope {
    /// Markers of all older versions, newest timestamp first. Each was written after the previous ones;
    /// others are dropped, because they hide nothing more.
    reaching: Vec<Cell>,
    /// Markers of single versions: for each timestamp, the one written last.
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
        if has_labels(marker.tag_bytes()) {
            self.labelled.push(marker.into());
            return;
        }
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
        if has_labels(put.tag_bytes()) {
            let mut labelled = self.labelled.iter().map(Cell::as_ref);
            return labelled.find(|marker| marker.seq_id() >= written && hides_labelled(*marker, put));
        }
        [&self.family, &self.column].into_iter().find_map(|scope| scope.hiding(put.timestamp(), written))
    }
}

/// Whether a marker with labels hides a value, if it was written after it.
fn hides_labelled(marker: CellRef<'_>, put: CellRef<'_>) -> bool {
    let covers = match marker.cell_type() {
        CellType::DeleteFamily | CellType::DeleteColumn => put.timestamp() <= marker.timestamp(),
        _ => put.timestamp() == marker.timestamp(),
    };
    let in_scope = marker.cell_type().is_family_delete() || marker.qualifier() == put.qualifier();
    covers && in_scope && MarkerLabels::of(marker.tag_bytes()).match_value(put.tag_bytes())
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
