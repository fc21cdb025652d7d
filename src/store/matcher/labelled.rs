//! What only rows with visibility labels need: their markers with labels (read-path.md §9.13).

use super::Version;
use crate::cell::{CellType, MarkerLabels, same_bytes};

const DELETE_COLUMN: u8 = CellType::DeleteColumn as u8;
const DELETE_FAMILY: u8 = CellType::DeleteFamily as u8;

/// The markers of a row that have visibility labels, in the order of cells (HBase:
/// `VisibilityScanDeleteTracker`). Each hides the values with the same labels among those that it covers.
#[derive(Debug, Default)]
pub(super) struct LabelledMarkers {
    family: Vec<LabelledMarker>,
    /// Those of one column.
    column: Vec<LabelledMarker>,
    qualifier: Vec<u8>,
    /// Whether all cells without labels that are left in a column are passed over.
    has_left: bool,
    left: Vec<u8>,
}

#[derive(Debug)]
struct LabelledMarker {
    timestamp: i64,
    /// Whether it covers older versions, too.
    reaches_back: bool,
    labels: MarkerLabels,
}

impl LabelledMarkers {
    /// Whether nothing applies to the cells that follow.
    pub(super) fn is_empty(&self) -> bool {
        self.family.is_empty() && self.column.is_empty() && !self.has_left
    }

    pub(super) fn clear(&mut self) {
        self.family.clear();
        self.column.clear();
        self.has_left = false;
    }

    /// Passes over the rest of a column, except for cells with labels.
    pub(super) fn leave(&mut self, qualifier: &[u8]) {
        self.has_left = true;
        self.left.clear();
        self.left.extend_from_slice(qualifier);
    }

    /// Whether the cells of a column that have no labels are passed over.
    pub(super) fn has_left(&self, qualifier: &[u8]) -> bool {
        self.has_left && same_bytes(qualifier, &self.left)
    }

    /// Adds a marker. One of a new column takes the place of those of the column before.
    pub(super) fn add(&mut self, marker: Version<'_>) {
        let Version { qualifier, timestamp, type_code, tags, .. } = marker;
        let reaches_back = matches!(type_code, DELETE_COLUMN | DELETE_FAMILY);
        let added = LabelledMarker { timestamp, reaches_back, labels: MarkerLabels::of(tags) };
        if CellType::from_code(type_code).is_some_and(CellType::is_family_delete) {
            self.family.push(added);
            return;
        }
        if !same_bytes(qualifier, &self.qualifier) {
            self.column.clear();
            self.qualifier.clear();
            self.qualifier.extend_from_slice(qualifier);
        }
        self.column.push(added);
    }

    /// Whether a marker hides a value with labels.
    pub(super) fn hide(&self, put: Version<'_>) -> bool {
        let hides = |marker: &LabelledMarker| {
            let covers = match marker.reaches_back {
                true => put.timestamp <= marker.timestamp,
                false => put.timestamp == marker.timestamp,
            };
            covers && marker.labels.match_value(put.tags)
        };
        self.family.iter().any(hides)
            || same_bytes(put.qualifier, &self.qualifier) && self.column.iter().any(hides)
    }
}
