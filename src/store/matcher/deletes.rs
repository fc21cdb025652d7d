//! The markers that apply in a row (read-path.md §9.8).

use super::{Disorder, Version};
use crate::cell::{CellType, compare_bytes, same_bytes};
use std::cmp::Ordering;

const DELETE: u8 = CellType::Delete as u8;
const DELETE_FAMILY_VERSION: u8 = CellType::DeleteFamilyVersion as u8;
const DELETE_COLUMN: u8 = CellType::DeleteColumn as u8;
const DELETE_FAMILY: u8 = CellType::DeleteFamily as u8;

/// After this many markers that each hide the rest of one column, a seek to the next column pays.
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

/// The markers of a row that hide later cells, in the order of cells (HBase: `ScanDeleteTracker`).
#[derive(Debug, Default)]
pub(super) struct DeleteTracker {
    /// Whether any marker applies.
    any: bool,
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

    /// Adds a marker. Returns whether enough markers of its kind were repeated that leaving the column pays.
    pub(super) fn add(&mut self, marker: Version<'_>) -> bool {
        let Version { qualifier, timestamp, type_code, .. } = marker;
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
        self.any = self.family.is_some() || !self.family_versions.is_empty();
        Ok(DeleteResult::Visible)
    }

    /// Whether [`is_deleted`](Self::is_deleted), which was called for a value, found it hidden.
    pub(super) fn hides(&self, put: Version<'_>) -> bool {
        self.in_family(put.timestamp)
            || self.family_versions.binary_search_by(|version| put.timestamp.cmp(version)).is_ok()
            || self.is_of_column(put.qualifier)
    }

    /// Whether a marker hides nothing beyond what the current ones hide.
    pub(super) fn is_redundant(&self, marker: Version<'_>) -> bool {
        let of_column = matches!(marker.type_code, DELETE | DELETE_COLUMN);
        let column_deletes = || {
            self.column.is_some_and(|(at, code)| code == DELETE_COLUMN && marker.timestamp <= at)
                && self.is_of_column(marker.qualifier)
        };
        self.in_family(marker.timestamp) || of_column && column_deletes()
    }
}
