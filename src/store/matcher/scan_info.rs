//! What is kept of a family (read-path.md §1.6; HBase: `ScanInfo`).

use crate::schema::{Family, KeepDeletedCells};

/// What is kept of a family, at the time a scan began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScanInfo {
    pub(crate) max_versions: u32,
    pub(crate) min_versions: u32,
    /// The first timestamp that has not expired, in milliseconds; `i64::MIN` without a time to live.
    pub(crate) oldest_unexpired_ts: i64,
    /// When the scan began, by the clock.
    pub(crate) now: i64,
    pub(crate) keep_deleted_cells: KeepDeletedCells,
    pub(crate) new_version_behavior: bool,
    /// For how many milliseconds a major compaction keeps every marker; 0 for none.
    pub(crate) time_to_purge_deletes: i64,
}

impl ScanInfo {
    /// What a family keeps at `now`.
    pub(crate) fn new(family: &Family, now: i64) -> Self {
        Self {
            max_versions: family.max_versions,
            min_versions: family.min_versions,
            oldest_unexpired_ts: family.ttl_millis().map_or(i64::MIN, |ttl| now.saturating_sub(ttl)),
            now,
            keep_deleted_cells: family.keep_deleted_cells,
            new_version_behavior: family.new_version_behavior,
            time_to_purge_deletes: 0,
        }
    }

    /// The first timestamp that has not expired for a scan: raw scans know no time to live.
    pub(crate) fn oldest_unexpired_ts(&self, raw: bool) -> i64 {
        if raw { 0 } else { self.oldest_unexpired_ts }
    }

    /// A file or segment whose newest timestamp is before this holds nothing that a scan returns (read-path.md §6.3).
    pub(crate) fn cutoff(&self, raw: bool) -> i64 {
        if self.min_versions == 0 { self.oldest_unexpired_ts(raw) } else { i64::MIN }
    }

    /// Whether the family's time to live has passed for a timestamp.
    #[inline]
    pub(super) fn is_expired(&self, timestamp: i64) -> bool {
        timestamp < self.oldest_unexpired_ts
    }

    /// Whether a compaction or flush applies a marker of this timestamp to the cells behind it.
    pub(super) fn drops_what_it_hides(&self, marker: i64) -> bool {
        match self.keep_deleted_cells {
            KeepDeletedCells::False => true,
            KeepDeletedCells::True => false,
            KeepDeletedCells::Ttl => self.is_expired(marker),
        }
    }
}
