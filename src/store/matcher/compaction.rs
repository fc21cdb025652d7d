//! Decides what flushes and compactions keep (read-path.md §17.2, §17.3).

use super::{Disorder, MatchCode, ScanQueryMatcher, Version};
use crate::cell::{CellType, has_labels};

/// The kind of file being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompactionKind {
    /// A file made from segments.
    Flush,
    /// A file that replaces some files.
    Minor,
    /// A file that replaces all files.
    Major {
        /// The least timestamp of a value in any of the files. An older marker hides nothing.
        earliest_put_ts: i64,
    },
}

/// The parameters of a compaction's rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compaction {
    pub(super) kind: CompactionKind,
    /// The sequence id up to which all cells are visible to every scanner.
    pub(super) max_read_point: i64,
}

impl ScanQueryMatcher<'_> {
    pub(super) fn match_compaction(
        &mut self,
        version: Version<'_>,
        compaction: Compaction,
    ) -> Result<MatchCode, Disorder> {
        let code = self.compaction_code(version, compaction)?;
        Ok(self.stay_in_column(code))
    }

    /// With NEW_VERSION_BEHAVIOR, a column is not left before its end: cells not yet visible to some scanner
    /// may follow (§23.33).
    pub(super) fn stay_in_column(&mut self, code: MatchCode) -> MatchCode {
        match &mut self.new_version {
            Some(tracker) => tracker.stay_in_column(code),
            None => code,
        }
    }

    /// Returns the code for a cell. One that leaves the column applies to its cells that every scanner sees.
    pub(super) fn compaction_code(
        &mut self,
        version: Version<'_>,
        compaction: Compaction,
    ) -> Result<MatchCode, Disorder> {
        // Some scanner may not see the version yet, so it is kept uncounted.
        let live = version.seq_id > compaction.max_read_point;
        if let Some(tracker) = &mut self.new_version {
            if live {
                return Ok(MatchCode::Include);
            }
            tracker.enter(version.qualifier)?;
            if tracker.is_full() {
                return Ok(MatchCode::SeekNextCol);
            }
        }
        if self.deletes.passes_over(version) {
            return Ok(MatchCode::Skip);
        }
        if !version.is_delete() {
            if let Some(code) = self.check_deleted(version)? {
                return Ok(code);
            }
            return self.check_versions(version, live);
        }
        if live {
            return Ok(MatchCode::Include);
        }
        match compaction.kind {
            CompactionKind::Flush | CompactionKind::Minor => self.match_minor_marker(version),
            CompactionKind::Major { earliest_put_ts } => self.match_major_marker(version, earliest_put_ts),
        }
    }

    /// Matches a marker in a flush or minor compaction (HBase: `MinorCompactionScanQueryMatcher`).
    fn match_minor_marker(&mut self, marker: Version<'_>) -> Result<MatchCode, Disorder> {
        if self.deletes.is_redundant(marker) {
            let family_markers_follow =
                marker.qualifier.is_empty() && marker.type_code != CellType::DeleteFamily.code();
            return Ok(if family_markers_follow { MatchCode::Skip } else { self.leave_column(marker) });
        }
        self.track_in_compaction(marker)?;
        Ok(MatchCode::Include)
    }

    /// Matches a marker in a major compaction (HBase: `DropDeletesCompactionScanQueryMatcher`,
    /// `MajorCompactionScanQueryMatcher`).
    fn match_major_marker(
        &mut self,
        marker: Version<'_>,
        earliest_put_ts: i64,
    ) -> Result<MatchCode, Disorder> {
        self.track_in_compaction(marker)?;
        let info = &self.info;
        let age = info.now.saturating_sub(marker.timestamp);
        if info.time_to_purge_deletes > 0 && age <= info.time_to_purge_deletes {
            return Ok(MatchCode::Include);
        }
        if info.applies_marker(marker.timestamp) {
            return Ok(MatchCode::Skip);
        }
        if marker.timestamp < earliest_put_ts {
            return Ok(self.columns.next_row_or_column(marker.qualifier));
        }
        match &mut self.new_version {
            None if has_labels(marker.tags) => self.columns.check_labelled_marker(marker, &self.limits),
            None => self.columns.check_versions(marker, &self.limits, false),
            Some(tracker) => tracker.check_marker(marker, &self.limits),
        }
    }

    fn track_in_compaction(&mut self, marker: Version<'_>) -> Result<(), Disorder> {
        if self.info.applies_marker(marker.timestamp) {
            self.track(marker)?;
        }
        Ok(())
    }
}
