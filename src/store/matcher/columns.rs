//! Selects columns, and the number of versions of each (read-path.md §9.6, §9.7).

use super::{Disorder, MatchCode, Version};
use crate::cell::{CellType, LATEST_TIMESTAMP, compare_bytes, same_bytes};
use bytes::Bytes;
use std::cmp::Ordering;

/// The number of versions of a column to return, and which have expired.
#[derive(Clone, Copy, Debug)]
pub(super) struct VersionLimits {
    /// The number of versions to return (§9.2: `versionToCheck`).
    pub(super) max: u32,
    /// The number of versions to return even if they have expired.
    pub(super) min: u32,
    pub(super) oldest_unexpired_ts: i64,
}

impl VersionLimits {
    #[inline]
    pub(super) fn is_expired(&self, timestamp: i64) -> bool {
        timestamp < self.oldest_unexpired_ts
    }
}

/// The columns of a row during a scan (HBase: `ColumnTracker`).
#[derive(Debug)]
pub(super) enum ColumnTracker<'q> {
    All(AllColumns),
    Explicit(ExplicitColumns<'q>),
}

impl<'q> ColumnTracker<'q> {
    /// Creates a tracker of the named columns, which are in order, or of all columns if none is named.
    pub(super) fn new(columns: &'q [Bytes]) -> Self {
        if columns.is_empty() {
            Self::All(AllColumns::default())
        } else {
            Self::Explicit(ExplicitColumns { columns, at: 0, count: 0, last_ts: LATEST_TIMESTAMP })
        }
    }

    /// Swaps the tracker's memory for a qualifier with `qualifier`.
    #[inline]
    pub(super) fn swap_memory(&mut self, qualifier: &mut Vec<u8>) {
        if let Self::All(all) = self {
            all.in_column = false;
            std::mem::swap(&mut all.qualifier, qualifier);
        }
    }

    /// Returns the action for a value that neither a marker nor its timestamp excludes: [`done`](Self::done),
    /// [`check_column`](Self::check_column) and [`check_versions`](Self::check_versions) in one.
    #[inline(always)] // the loop of every scan
    pub(super) fn match_put(
        &mut self,
        qualifier: &[u8],
        timestamp: i64,
        limits: &VersionLimits,
    ) -> Result<MatchCode, Disorder> {
        match self {
            Self::All(all) => {
                let type_code = CellType::Put.code();
                let version = Version { qualifier, timestamp, type_code, seq_id: 0, tags: &[] };
                all.check_versions(version, limits, false)
            }
            Self::Explicit(explicit) => Ok(match explicit.check_column(qualifier) {
                Some(code) => code,
                None => explicit.check_versions(timestamp, limits),
            }),
        }
    }

    /// Begins a row.
    #[inline]
    pub(super) fn reset(&mut self) {
        match self {
            Self::All(all) => all.in_column = false,
            Self::Explicit(explicit) => explicit.move_to(0),
        }
    }

    /// Whether no further column of the row is selected.
    #[inline]
    pub(super) fn done(&self) -> bool {
        match self {
            Self::All(_) => false,
            Self::Explicit(explicit) => explicit.at == explicit.columns.len(),
        }
    }

    /// If a column is not selected, returns where to go.
    #[inline]
    pub(super) fn check_column(&mut self, qualifier: &[u8]) -> Option<MatchCode> {
        match self {
            Self::All(_) => None,
            Self::Explicit(explicit) => explicit.check_column(qualifier),
        }
    }

    /// Checks whether one more version of a column is selected; `uncounted` versions always are (§9.7).
    #[inline]
    pub(super) fn check_versions(
        &mut self,
        version: Version<'_>,
        limits: &VersionLimits,
        uncounted: bool,
    ) -> Result<MatchCode, Disorder> {
        match self {
            Self::All(all) => all.check_versions(version, limits, uncounted),
            Self::Explicit(explicit) => Ok(explicit.check_versions(version.timestamp, limits)),
        }
    }

    /// Like [`check_versions`](Self::check_versions), for a marker with visibility labels. It does not repeat
    /// a previous marker, and no later one repeats it: they may hide different values (§23.38).
    pub(super) fn check_labelled_marker(
        &mut self,
        marker: Version<'_>,
        limits: &VersionLimits,
    ) -> Result<MatchCode, Disorder> {
        self.forget_last();
        let code = self.check_versions(marker, limits, false);
        self.forget_last();
        code
    }

    /// Makes the next version a new one, not a repetition.
    fn forget_last(&mut self) {
        if let Self::All(all) = self {
            all.last = (0, 0);
        }
    }

    /// Returns where to go when the rest of a column is not selected (HBase: `getNextRowOrNextColumn`).
    pub(super) fn next_row_or_column(&mut self, qualifier: &[u8]) -> MatchCode {
        self.done_with_column(qualifier);
        if self.done() { MatchCode::SeekNextRow } else { MatchCode::SeekNextCol }
    }

    /// Records that the rest of a column is not selected, for reasons outside the tracker.
    pub(super) fn done_with_column(&mut self, qualifier: &[u8]) {
        if let Self::Explicit(explicit) = self {
            explicit.done_with_column(qualifier);
        }
    }

    /// Whether a column is selected.
    pub(super) fn names(&self, qualifier: &[u8]) -> bool {
        match self {
            Self::All(_) => true,
            Self::Explicit(explicit) => {
                explicit.columns.binary_search_by(|column| column.as_ref().cmp(qualifier)).is_ok()
            }
        }
    }

    /// Returns the column to go to next, if it is known (HBase: `getColumnHint`).
    pub(super) fn hint(&self) -> Option<&'q [u8]> {
        match self {
            Self::All(_) => None,
            Self::Explicit(explicit) => explicit.columns.get(explicit.at).map(AsRef::as_ref),
        }
    }
}

/// The columns a read names (HBase: `ExplicitColumnTracker`).
#[derive(Debug)]
pub(super) struct ExplicitColumns<'q> {
    columns: &'q [Bytes],
    at: usize,
    /// Number of versions of the column at `at` returned so far.
    count: u32,
    /// The timestamp of the last version that did not complete its column. HBase initializes it to the latest
    /// timestamp, so an explicit read treats a version of that timestamp as a duplicate.
    last_ts: i64,
}

impl ExplicitColumns<'_> {
    #[inline]
    fn move_to(&mut self, at: usize) {
        (self.at, self.count, self.last_ts) = (at, 0, LATEST_TIMESTAMP);
    }

    #[inline]
    fn check_column(&mut self, qualifier: &[u8]) -> Option<MatchCode> {
        loop {
            let Some(current) = self.columns.get(self.at) else {
                return Some(MatchCode::SeekNextRow);
            };
            if same_bytes(qualifier, current) {
                return None;
            }
            match compare_bytes(qualifier, current) {
                Ordering::Equal => return None,
                Ordering::Less => {
                    self.last_ts = LATEST_TIMESTAMP;
                    return Some(MatchCode::SeekNextCol);
                }
                Ordering::Greater => self.move_to(self.at + 1),
            }
        }
    }

    /// Checks the versions of the current column.
    #[inline]
    fn check_versions(&mut self, timestamp: i64, limits: &VersionLimits) -> MatchCode {
        if timestamp == self.last_ts {
            return MatchCode::Skip;
        }
        self.count += 1;
        if self.count >= limits.max || self.count >= limits.min && limits.is_expired(timestamp) {
            self.move_to(self.at + 1);
            return if self.at == self.columns.len() {
                MatchCode::IncludeAndSeekNextRow
            } else {
                MatchCode::IncludeAndSeekNextCol
            };
        }
        self.last_ts = timestamp;
        MatchCode::Include
    }

    fn done_with_column(&mut self, qualifier: &[u8]) {
        let passed = self.columns[self.at..].partition_point(|column| column.as_ref() <= qualifier);
        if passed > 0 {
            self.move_to(self.at + passed);
        }
        self.last_ts = LATEST_TIMESTAMP;
    }
}

/// All columns (HBase: `ScanWildcardColumnTracker`).
#[derive(Debug, Default)]
pub(super) struct AllColumns {
    in_column: bool,
    qualifier: Vec<u8>,
    /// Number of values of the column so far.
    count: u32,
    /// Timestamp and type of the last version of the column that was returned. Type 0, which no cell has, for
    /// none.
    last: (i64, u8),
}

impl AllColumns {
    #[inline(always)] // the loop of every scan
    fn check_versions(
        &mut self,
        version: Version<'_>,
        limits: &VersionLimits,
        uncounted: bool,
    ) -> Result<MatchCode, Disorder> {
        let id = (version.timestamp, version.type_code);
        // The first column of a row is usually equal to the last one of the previous row.
        let equal = same_bytes(version.qualifier, &self.qualifier);
        let same = self.in_column && equal;
        if !same {
            if !equal {
                self.enter(version.qualifier)?;
            }
            (self.in_column, self.count, self.last) = (true, 0, (0, 0));
        }
        if uncounted {
            return Ok(MatchCode::Include);
        }
        if same && id == self.last {
            return Ok(MatchCode::Skip);
        }
        self.count += u32::from(!version.is_delete());
        if self.count > limits.max || self.count > limits.min && limits.is_expired(version.timestamp) {
            return Ok(MatchCode::SeekNextCol);
        }
        self.last = id;
        Ok(MatchCode::Include)
    }

    #[inline]
    fn enter(&mut self, qualifier: &[u8]) -> Result<(), Disorder> {
        if self.in_column && compare_bytes(qualifier, &self.qualifier).is_lt() {
            return Err(Disorder::Columns);
        }
        self.qualifier.clear();
        self.qualifier.extend_from_slice(qualifier);
        Ok(())
    }
}
