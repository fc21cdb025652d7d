//! Decides what scans return (read-path.md §9.4).

use super::{Disorder, MatchCode, ScanInfo, ScanQueryMatcher, Version};
use crate::cell::OLDEST_TIMESTAMP;
use crate::op::{Query, TimeRange};
use crate::schema::KeepDeletedCells;

/// Returns the first and the last timestamp that a query selects.
#[inline]
pub(super) fn times(query: &Query<'_>) -> (i64, i64) {
    if query.time_range == TimeRange::ALL {
        return (i64::MIN, i64::MAX);
    }
    // A range that ends at 0 is empty: there is no smaller timestamp.
    (query.time_range.min(), query.time_range.max() - 1)
}

/// Returns the timestamp below which the rest of a column is not returned.
#[inline]
pub(super) fn done_before(info: &ScanInfo, new_version: bool) -> i64 {
    // Only the fake cells of columns, which are in no file, have the oldest timestamp.
    let no_cell = OLDEST_TIMESTAMP + 1;
    let expire = info.min_versions == 0 && !new_version;
    if expire { info.oldest_unexpired_ts.max(no_cell) } else { no_cell }
}

impl ScanQueryMatcher<'_> {
    /// Matches a version in a scan that is not raw (HBase: `NormalUserScanQueryMatcher`).
    #[inline]
    pub(super) fn match_user(&mut self, version: Version<'_>) -> Result<MatchCode, Disorder> {
        match self.check_hidden(version)? {
            Some(code) => Ok(code),
            None => self.match_column(version),
        }
    }

    /// Applies a marker, or checks whether a value is hidden. For a marker or a hidden value, returns where
    /// to go.
    #[inline]
    pub(super) fn check_hidden(&mut self, version: Version<'_>) -> Result<Option<MatchCode>, Disorder> {
        if version.is_delete() { self.match_marker(version).map(Some) } else { self.check_deleted(version) }
    }

    /// Matches a version in a raw scan (HBase: `RawScanQueryMatcher`).
    pub(super) fn match_raw(&mut self, version: Version<'_>) -> Result<MatchCode, Disorder> {
        self.match_column(version)
    }

    /// Checks whether a version that is not deleted is selected (HBase: `UserScanQueryMatcher.matchColumn`).
    #[inline]
    pub(super) fn match_column(&mut self, version: Version<'_>) -> Result<MatchCode, Disorder> {
        if version.timestamp > self.newest {
            return Ok(MatchCode::Skip);
        }
        if version.timestamp < self.oldest {
            return Ok(self.columns.next_row_or_column(version.qualifier));
        }
        if let Some(code) = self.columns.check_column(version.qualifier) {
            return Ok(code);
        }
        self.check_versions(version, false)
    }

    /// Applies a marker. A marker newer than the range applies unless deleted cells are kept: then the scan
    /// sees the state before the marker (§9.9).
    fn match_marker(&mut self, marker: Version<'_>) -> Result<MatchCode, Disorder> {
        if !self.affects_times(marker) {
            return Ok(MatchCode::Skip);
        }
        let leave_column = self.track(marker)?;
        Ok(if leave_column && !self.sees_deleted() {
            self.columns.next_row_or_column(marker.qualifier)
        } else {
            MatchCode::Skip
        })
    }

    /// Whether a marker applies to the timestamps that the query selects.
    #[inline(always)] // as `match_marker`
    pub(super) fn affects_times(&self, marker: Version<'_>) -> bool {
        marker.timestamp >= self.oldest && !(self.sees_deleted() && marker.timestamp > self.newest)
    }

    /// Whether a scan of an older time sees what newer markers hide.
    #[inline(always)] // as `match_marker`
    fn sees_deleted(&self) -> bool {
        self.info.keep_deleted_cells != KeepDeletedCells::False
    }
}
