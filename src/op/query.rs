//! The query that a get or scan becomes for one family.

use super::TimeRange;
use bytes::Bytes;

/// The query of one store (read-path.md §5, §6).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'q> {
    /// The row at which the scan begins, or after which if `include_start` is false; empty for no bound.
    pub(crate) start: &'q [u8],
    pub(crate) include_start: bool,
    /// The row at which or before which the scan ends; the caller enforces which. Empty for no bound.
    pub(crate) stop: &'q [u8],
    /// Whether rows are read in descending order; then `start` is the greatest row.
    pub(crate) reversed: bool,
    /// Whether the query is for exactly one row.
    pub(crate) get_like: bool,
    /// The columns, sorted; empty for all.
    pub(crate) columns: &'q [Bytes],
    pub(crate) time_range: TimeRange,
    pub(crate) max_versions: u32,
    pub(crate) raw: bool,
    /// Whether a filter is applied after the store's own rules; then more versions must be read than are
    /// returned.
    pub(crate) filtered: bool,
    pub(crate) max_results: Option<u32>,
    pub(crate) row_offset: u32,
    pub(crate) read_point: i64,
    /// Whether data blocks read from files are added to the cache.
    pub(crate) cache_blocks: bool,
}

impl<'q> Query<'q> {
    /// Reads the newest version of every column of every row.
    #[cfg(feature = "internals")]
    pub(crate) const ALL: Self = Self {
        start: b"",
        include_start: true,
        stop: b"",
        reversed: false,
        get_like: false,
        columns: &[],
        time_range: TimeRange::ALL,
        max_versions: 1,
        raw: false,
        filtered: false,
        max_results: None,
        row_offset: 0,
        read_point: i64::MAX,
        cache_blocks: true,
    };

    /// Returns the least and the greatest row of the range; empty for no bound.
    #[inline]
    pub(crate) fn bounds(&self) -> (&'q [u8], &'q [u8]) {
        if self.reversed { (self.stop, self.start) } else { (self.start, self.stop) }
    }
}
