//! The rules by which a family keeps cells (read-path.md §1.6; HBase: `ScanInfo`).

use crate::schema::{Family, KeepDeletedCells};

/// The rules by which a family keeps cells, at the start of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScanInfo {
    pub(crate) max_versions: u32,
    pub(crate) min_versions: u32,
    /// The first unexpired timestamp, in milliseconds; `i64::MIN` without a time to live.
    pub(crate) oldest_unexpired_ts: i64,
    /// When the scan began, by the clock.
    pub(crate) now: i64,
    pub(crate) keep_deleted_cells: KeepDeletedCells,
    pub(crate) new_version_behavior: bool,
    /// The number of milliseconds for which a major compaction keeps every marker; 0 to keep none.
    pub(crate) time_to_purge_deletes: i64,
    /// Whether cells may have tags. A marker may then hide only the values with its visibility labels among
    /// those that it covers, so each of them is matched.
    pub(crate) may_have_tags: bool,
}

impl ScanInfo {
    /// Returns the rules of a family at `now`, for cells that may have tags or not.
    pub(crate) fn new(family: &Family, now: i64, may_have_tags: bool) -> Self {
        Self {
            max_versions: family.max_versions,
            min_versions: family.min_versions,
            oldest_unexpired_ts: family.ttl_millis().map_or(i64::MIN, |ttl| now.saturating_sub(ttl)),
            now,
            keep_deleted_cells: family.keep_deleted_cells,
            new_version_behavior: family.new_version_behavior,
            time_to_purge_deletes: 0,
            may_have_tags,
        }
    }

    /// Returns the first unexpired timestamp for a scan. Raw scans ignore the time to live.
    pub(crate) fn oldest_unexpired_ts(&self, raw: bool) -> i64 {
        if raw { 0 } else { self.oldest_unexpired_ts }
    }

    /// Returns the cutoff: a file or segment whose newest timestamp is less has no cells for a scan
    /// (read-path.md §6.3).
    pub(crate) fn cutoff(&self, raw: bool) -> i64 {
        if self.min_versions == 0 { self.oldest_unexpired_ts(raw) } else { i64::MIN }
    }

    /// Whether a timestamp has expired by the family's time to live.
    #[inline]
    pub(super) fn is_expired(&self, timestamp: i64) -> bool {
        timestamp < self.oldest_unexpired_ts
    }

    /// Whether a compaction or flush applies a marker of this timestamp to the cells after it.
    pub(super) fn applies_marker(&self, marker: i64) -> bool {
        match self.keep_deleted_cells {
            KeepDeletedCells::False => true,
            KeepDeletedCells::True => false,
            KeepDeletedCells::Ttl => self.is_expired(marker),
        }
    }
}
