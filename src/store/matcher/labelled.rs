//! The state for rows with visibility labels: their markers with labels (read-path.md §9.13).

use super::Version;
use crate::cell::{CellType, MarkerLabels, same_bytes};

const DELETE_COLUMN: u8 = CellType::DeleteColumn as u8;
const DELETE_FAMILY: u8 = CellType::DeleteFamily as u8;

/// The markers of a row that have visibility labels, in the order of cells (HBase:
/// `VisibilityScanDeleteTracker`). Each hides the values with the same labels among those that it covers.
#[derive(Debug, Default)]
pub(super) struct LabelledMarkers {
    /// The DeleteFamilies.
    family: Vec<LabelledMarker>,
    /// The DeleteFamilyVersions, newest first: there may be one for each timestamp.
    family_versions: Vec<LabelledMarker>,
    /// The markers of one column.
    column: Vec<LabelledMarker>,
    qualifier: Vec<u8>,
    /// Whether the remaining cells without labels in a column are skipped.
    has_left: bool,
    left: Vec<u8>,
}

#[derive(Debug)]
struct LabelledMarker {
    timestamp: i64,
    /// Whether it also covers older versions.
    reaches_back: bool,
    labels: MarkerLabels,
}

impl LabelledMarkers {
    /// Whether no marker applies to the cells that follow.
    pub(super) fn is_empty(&self) -> bool {
        self.family.is_empty() && self.family_versions.is_empty() && self.column.is_empty() && !self.has_left
    }

    pub(super) fn clear(&mut self) {
        self.family.clear();
        self.family_versions.clear();
        self.column.clear();
        self.has_left = false;
    }

    /// Skips the rest of a column, except for cells with labels.
    pub(super) fn leave(&mut self, qualifier: &[u8]) {
        self.has_left = true;
        self.left.clear();
        self.left.extend_from_slice(qualifier);
    }

    /// Whether the cells without labels of a column are skipped.
    pub(super) fn has_left(&self, qualifier: &[u8]) -> bool {
        self.has_left && same_bytes(qualifier, &self.left)
    }

    /// Adds a marker. A marker of a new column replaces those of the previous column. Of those of the family
    /// that reach back and of those of the column, keeps only markers that can hide the following, older
    /// cells, because each value is compared with all of them.
    pub(super) fn add(&mut self, marker: Version<'_>) {
        let Version { qualifier, timestamp, type_code, tags, .. } = marker;
        let reaches_back = matches!(type_code, DELETE_COLUMN | DELETE_FAMILY);
        let added = LabelledMarker { timestamp, reaches_back, labels: MarkerLabels::of(tags) };
        let is_repeated = |markers: &[LabelledMarker]| {
            markers.iter().any(|newer| newer.reaches_back && newer.labels == added.labels)
        };
        if CellType::from_code(type_code).is_some_and(CellType::is_family_delete) {
            if is_repeated(&self.family) {
                return;
            }
            if reaches_back {
                self.family.push(added);
            } else {
                // At the end: markers come newest first.
                let at = self.family_versions.partition_point(|newer| newer.timestamp >= timestamp);
                self.family_versions.insert(at, added);
            }
            return;
        }
        if same_bytes(qualifier, &self.qualifier) {
            self.column.retain(|newer| newer.reaches_back || newer.timestamp == timestamp);
        } else {
            self.column.clear();
            self.qualifier.clear();
            self.qualifier.extend_from_slice(qualifier);
        }
        if !is_repeated(&self.column) {
            self.column.push(added);
        }
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
        let first = self.family_versions.partition_point(|marker| marker.timestamp > put.timestamp);
        let same_time = self.family_versions[first..].iter();
        self.family.iter().any(hides)
            || same_time.take_while(|marker| marker.timestamp == put.timestamp).any(hides)
            || same_bytes(put.qualifier, &self.qualifier) && self.column.iter().any(hides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_that_hide_nothing_more_are_not_kept() {
        const TAGS: [&[u8]; 2] = [&[0, 2, 4, 1, 0, 2, 2, 1], &[0, 2, 4, 1, 0, 2, 2, 2]];
        let version = |qualifier: &'static [u8], cell_type: CellType, timestamp: i64, label: usize| Version {
            qualifier,
            timestamp,
            type_code: cell_type.code(),
            seq_id: 0,
            tags: TAGS[label],
        };
        let mut markers = LabelledMarkers::default();
        for timestamp in (1..100).rev() {
            markers.add(version(b"", CellType::DeleteFamily, timestamp, 0));
            markers.add(version(b"", CellType::DeleteFamilyVersion, timestamp, 0));
        }
        for timestamp in (10..100).rev() {
            markers.add(version(b"q", CellType::Delete, timestamp, 0));
            markers.add(version(b"q", CellType::Delete, timestamp, 1));
        }
        assert_eq!((markers.family.len(), markers.family_versions.len(), markers.column.len()), (1, 0, 2));
        assert!(markers.hide(version(b"q", CellType::Put, 10, 1)));
        assert!(!markers.hide(version(b"q", CellType::Put, 9, 1)));
        for timestamp in (1..9).rev() {
            markers.add(version(b"q", CellType::DeleteColumn, timestamp, 1));
            markers.add(version(b"q", CellType::Delete, timestamp, 1));
        }
        assert_eq!(markers.column.len(), 1);
        assert!(markers.hide(version(b"q", CellType::Put, 8, 1)));
        assert!(!markers.hide(version(b"p", CellType::Put, 8, 1)));
    }

    /// Each value was compared with all of them, which took minutes.
    #[test]
    fn many_markers_of_versions() {
        const MANY: i64 = 200_000;
        const TAGS: &[u8] = &[0, 2, 4, 1, 0, 2, 2, 1];
        let version = |cell_type: CellType, timestamp: i64| {
            let (qualifier, type_code) = (&b""[..], cell_type.code());
            Version { qualifier, timestamp, type_code, seq_id: 0, tags: TAGS }
        };
        let mut markers = LabelledMarkers::default();
        for timestamp in (0..MANY).rev() {
            markers.add(version(CellType::DeleteFamilyVersion, 2 * timestamp));
        }
        for timestamp in (0..2 * MANY).rev() {
            assert_eq!(markers.hide(version(CellType::Put, timestamp)), timestamp % 2 == 0, "{timestamp}");
        }
    }
}
