//! What a get or scan becomes for one family.

use super::TimeRange;
use bytes::Bytes;

/// What one store is asked (read-path.md §5, §6).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'q> {
    /// The first row, or the one behind which to begin; empty for all.
    pub(crate) start: &'q [u8],
    pub(crate) include_start: bool,
    /// The last row, or the one before which the scan ends: it is told apart by who takes the rows; empty for all.
    pub(crate) stop: &'q [u8],
    /// Whether rows are asked for from the last to the first: `start` is the greatest then.
    pub(crate) reversed: bool,
    /// Whether one row is asked for, which is then known to be the only one.
    pub(crate) get_like: bool,
    /// The columns, sorted; none for all.
    pub(crate) columns: &'q [Bytes],
    pub(crate) time_range: TimeRange,
    pub(crate) max_versions: u32,
    pub(crate) raw: bool,
    /// Whether a filter judges the cells behind the store's own rules, so that more versions are needed than are returned.
    pub(crate) filtered: bool,
    pub(crate) store_limit: Option<u32>,
    pub(crate) store_offset: u32,
    pub(crate) read_point: i64,
    /// Whether data blocks that are read go into the cache.
    pub(crate) cache_blocks: bool,
}

impl<'q> Query<'q> {
    /// The newest version of every column of every row.
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
        store_limit: None,
        store_offset: 0,
        read_point: i64::MAX,
        cache_blocks: true,
    };

    /// The least row that is asked for, and the greatest; empty where there is none.
    #[inline]
    pub(crate) fn bounds(&self) -> (&'q [u8], &'q [u8]) {
        if self.reversed { (self.stop, self.start) } else { (self.start, self.stop) }
    }
}
