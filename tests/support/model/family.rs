//! The settings of a family (read-path.md §1.6).

use hregion::KeepDeletedCells;

/// The settings that change results.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_versions: u32,
    pub(crate) min_versions: u32,
    /// In seconds.
    pub(crate) ttl: Option<u32>,
    pub(crate) keep_deleted: KeepDeletedCells,
    pub(crate) new_version_behavior: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_versions: 1,
            min_versions: 0,
            ttl: None,
            keep_deleted: KeepDeletedCells::False,
            new_version_behavior: false,
        }
    }
}

impl Settings {
    /// `oldestUnexpiredTs`: cells before it have expired.
    pub(crate) fn oldest_unexpired(&self, now: i64) -> i64 {
        self.ttl.map_or(i64::MIN, |seconds| now - i64::from(seconds) * 1000)
    }
}
