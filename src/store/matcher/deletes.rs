//! The markers that apply in a row (read-path.md §9.8).

use super::labelled::LabelledMarkers;
use super::{Disorder, Version};
use crate::cell::{CellType, compare_bytes, has_labels, same_bytes};
use std::cmp::Ordering;

const DELETE: u8 = CellType::Delete as u8;
const DELETE_FAMILY_VERSION: u8 = CellType::DeleteFamilyVersion as u8;
const DELETE_COLUMN: u8 = CellType::DeleteColumn as u8;
const DELETE_FAMILY: u8 = CellType::DeleteFamily as u8;

/// After this many markers that each hide the rest of one column, a seek to the next column is faster.
const SEEK_AFTER: u32 = 10;

/// How the markers affect a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeleteResult {
    /// The version is not hidden.
    Visible,
    /// This version is hidden.
    Version,
    /// This version and all older ones in its column are hidden.
    Column,
}

/// The markers of a row that hide later cells, in the order of cells (HBase: `ScanDeleteTracker`). A marker
/// hides only values with the same visibility labels, or, like most, values without any.
#[derive(Debug, Default)]
pub(super) struct DeleteTracker {
    /// Whether any marker applies.
    any: bool,
    /// The markers with labels; all others are below. None in tables without tags.
    labelled: Option<Box<LabelledMarkers>>,
    /// The timestamp of the newest DeleteFamily.
    family: Option<i64>,
    /// The timestamps of the DeleteFamilyVersions, newest first.
    family_versions: Vec<i64>,
    /// The last marker of a column: its timestamp and type.
    column: Option<(i64, u8)>,
    qualifier: Vec<u8>,
    /// Number of consecutive markers that hide the rest of the same column.
    run: u32,
}

impl DeleteTracker {
    /// Swaps the tracker's memory for a qualifier and timestamps with the arguments.
    #[inline]
    pub(super) fn swap_memory(&mut self, qualifier: &mut Vec<u8>, family_versions: &mut Vec<i64>) {
        self.reset();
        std::mem::swap(&mut self.qualifier, qualifier);
        std::mem::swap(&mut self.family_versions, family_versions);
    }

    /// Begins a row.
    #[inline]
    pub(super) fn reset(&mut self) {
        if self.any {
            (self.any, self.family, self.column, self.run) = (false, None, None, 0);
            self.family_versions.clear();
            if let Some(labelled) = &mut self.labelled {
                labelled.clear();
            }
        }
    }

    /// Whether no marker applies.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.any
    }

    fn in_family(&self, timestamp: i64) -> bool {
        self.family.is_some_and(|family| timestamp <= family)
    }

    fn is_of_column(&self, qualifier: &[u8]) -> bool {
        self.column.is_some() && same_bytes(qualifier, &self.qualifier)
    }

    /// Adds a marker. Returns whether enough markers of its kind were repeated to make leaving the column
    /// worthwhile.
    pub(super) fn add(&mut self, marker: Version<'_>) -> bool {
        let Version { qualifier, timestamp, type_code, tags, .. } = marker;
        if has_labels(tags) {
            self.labelled.get_or_insert_default().add(marker);
            (self.any, self.run) = (true, 0);
            return false;
        }
        let repeated = match type_code {
            DELETE_FAMILY => true,
            DELETE_COLUMN => !qualifier.is_empty() && self.is_of_column(qualifier),
            _ => false,
        };
        self.run = if repeated { self.run + 1 } else { 0 };
        self.any = true;
        if !self.in_family(timestamp) {
            match type_code {
                DELETE_FAMILY => self.family = Some(timestamp),
                DELETE_FAMILY_VERSION => {
                    let at = self.family_versions.partition_point(|&version| version > timestamp);
                    self.family_versions.insert(at, timestamp);
                }
                // A column's DeleteColumn remains in force over the Deletes that follow.
                _ if self.column.is_some_and(|(_, kept)| type_code < kept)
                    && self.is_of_column(qualifier) => {}
                _ => {
                    self.column = Some((timestamp, type_code));
                    self.qualifier.clear();
                    self.qualifier.extend_from_slice(qualifier);
                }
            }
        }
        self.run >= SEEK_AFTER
    }

    /// Whether a value is hidden.
    pub(super) fn is_deleted(&mut self, put: Version<'_>) -> Result<DeleteResult, Disorder> {
        self.run = 0;
        if has_labels(put.tags) {
            let hidden = self.is_labelled_deleted(put);
            return Ok(if hidden { DeleteResult::Version } else { DeleteResult::Visible });
        }
        if self.in_family(put.timestamp) {
            return Ok(DeleteResult::Column);
        }
        if self.family_versions.binary_search_by(|version| put.timestamp.cmp(version)).is_ok() {
            return Ok(DeleteResult::Version);
        }
        let Some((timestamp, type_code)) = self.column else {
            return Ok(DeleteResult::Visible);
        };
        match compare_bytes(put.qualifier, &self.qualifier) {
            Ordering::Less => return Err(Disorder::Columns),
            Ordering::Equal if type_code == DELETE_COLUMN => return Ok(DeleteResult::Column),
            Ordering::Equal if put.timestamp == timestamp => return Ok(DeleteResult::Version),
            Ordering::Equal | Ordering::Greater => {}
        }
        self.column = None;
        self.any = self.family.is_some() || !self.family_versions.is_empty() || self.has_labelled();
        Ok(DeleteResult::Visible)
    }

    /// Skips the rest of a column whose values a marker without labels hides, except for cells with labels.
    pub(super) fn leave_unlabelled(&mut self, qualifier: &[u8]) {
        self.labelled.get_or_insert_default().leave(qualifier);
    }

    /// Whether a cell is skipped because [its column was left](Self::leave_unlabelled).
    pub(super) fn passes_over(&self, version: Version<'_>) -> bool {
        self.labelled.as_ref().is_some_and(|labelled| labelled.has_left(version.qualifier))
            && !has_labels(version.tags)
    }

    fn has_labelled(&self) -> bool {
        self.labelled.as_ref().is_some_and(|labelled| !labelled.is_empty())
    }

    /// Whether a value with labels is hidden.
    fn is_labelled_deleted(&self, put: Version<'_>) -> bool {
        self.labelled.as_ref().is_some_and(|labelled| labelled.hide(put))
    }

    /// Whether [`is_deleted`](Self::is_deleted), which was called for a value, found it hidden.
    pub(super) fn hides(&self, put: Version<'_>) -> bool {
        if has_labels(put.tags) {
            return self.is_labelled_deleted(put);
        }
        self.in_family(put.timestamp)
            || self.family_versions.binary_search_by(|version| put.timestamp.cmp(version)).is_ok()
            || self.is_of_column(put.qualifier)
    }

    /// Whether a marker hides nothing beyond what the current ones hide. HBase keeps all markers with labels.
    pub(super) fn is_redundant(&self, marker: Version<'_>) -> bool {
        if has_labels(marker.tags) {
            return false;
        }
        let of_column = matches!(marker.type_code, DELETE | DELETE_COLUMN);
        let column_deletes = || {
            self.column.is_some_and(|(at, code)| code == DELETE_COLUMN && marker.timestamp <= at)
                && self.is_of_column(marker.qualifier)
        };
        self.in_family(marker.timestamp) || of_column && column_deletes()
    }
}
