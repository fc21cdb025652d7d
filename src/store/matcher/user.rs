//! What scans return (read-path.md §9.4).

use super::{Disorder, MatchCode, ScanQueryMatcher, Version};
use crate::schema::KeepDeletedCells;

impl ScanQueryMatcher<'_> {
    /// HBase: `NormalUserScanQueryMatcher`.
    #[inline]
    pub(super) fn match_user(&mut self, version: Version<'_>) -> Result<MatchCode, Disorder> {
        match self.check_hidden(version)? {
            Some(code) => Ok(code),
            None => self.match_wanted(version),
        }
    }

    /// Whether a version is a marker, which is applied, or a value that one hides: where to go then.
    #[inline]
    pub(super) fn check_hidden(&mut self, version: Version<'_>) -> Result<Option<MatchCode>, Disorder> {
        if version.is_delete() { self.match_marker(version).map(Some) } else { self.check_deleted(version) }
    }

    /// HBase: `RawScanQueryMatcher`.
    pub(super) fn match_raw(&mut self, version: Version<'_>) -> Result<MatchCode, Disorder> {
        self.match_wanted(version)
    }

    /// Whether a version that is not deleted is one of those asked for (HBase: `UserScanQueryMatcher.matchColumn`).
    #[inline]
    pub(super) fn match_wanted(&mut self, version: Version<'_>) -> Result<MatchCode, Disorder> {
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

    /// A marker counts though it is newer than the range, unless one wants to see what was before it (§9.9).
    fn match_marker(&mut self, marker: Version<'_>) -> Result<MatchCode, Disorder> {
        let before_all = self.info.keep_deleted_cells != KeepDeletedCells::False;
        if marker.timestamp < self.oldest || before_all && marker.timestamp > self.newest {
            return Ok(MatchCode::Skip);
        }
        let leave_column = self.track(marker)?;
        Ok(if leave_column && !before_all {
            self.columns.next_row_or_column(marker.qualifier)
        } else {
            MatchCode::Skip
        })
    }
}
