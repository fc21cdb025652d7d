//! Many rows.

use super::select::select_methods;
use super::{Cursor, Get, Select};
use bytes::Bytes;
use std::ops::{Bound, RangeBounds};

/// A read of the rows of a range (HBase: `Scan`).
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    pub(crate) start: Bytes,
    pub(crate) include_start: bool,
    pub(crate) stop: Bytes,
    pub(crate) include_stop: bool,
    pub(crate) raw: bool,
    pub(crate) reversed: bool,
    pub(crate) limit: Option<u64>,
    /// Cells of a result; 0 for all of a row.
    pub(crate) batch: u32,
    /// Bytes of a call; 0 for no limit.
    pub(crate) max_result_size: u64,
    pub(crate) allow_partial: bool,
    /// Results of a call; 0 for no limit.
    pub(crate) caching: usize,
    pub(crate) select: Select,
}

impl Default for Scan {
    fn default() -> Self {
        Self::new()
    }
}

impl Scan {
    /// A read of the newest version of every column of every row.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Bytes::new(),
            include_start: true,
            stop: Bytes::new(),
            include_stop: false,
            raw: false,
            reversed: false,
            limit: None,
            batch: 0,
            max_result_size: 0,
            allow_partial: false,
            caching: 0,
            select: Select::default(),
        }
    }

    select_methods!();

    /// The rows to read, as a range of anything that is bytes: `"a".."m"`.
    #[must_use]
    pub fn rows<R>(mut self, rows: impl RangeBounds<R>) -> Self
    where
        R: AsRef<[u8]>,
    {
        let (start, include_start) = match rows.start_bound() {
            Bound::Included(row) => (row.as_ref(), true),
            Bound::Excluded(row) => (row.as_ref(), false),
            Bound::Unbounded => (&[][..], true),
        };
        let (stop, include_stop) = match rows.end_bound() {
            Bound::Included(row) => (row.as_ref(), true),
            Bound::Excluded(row) => (row.as_ref(), false),
            Bound::Unbounded => (&[][..], false),
        };
        (self.start, self.include_start) = (Bytes::copy_from_slice(start), include_start);
        (self.stop, self.include_stop) = (Bytes::copy_from_slice(stop), include_stop);
        self
    }

    /// The first row, or the one behind which the scan begins. An empty row is the start of the region.
    #[must_use]
    pub fn start_row(mut self, row: impl Into<Bytes>, include: bool) -> Self {
        (self.start, self.include_start) = (row.into(), include);
        self
    }

    /// The last row, or the one before which the scan ends. An empty row is the end of the region.
    #[must_use]
    pub fn stop_row(mut self, row: impl Into<Bytes>, include: bool) -> Self {
        (self.stop, self.include_stop) = (row.into(), include);
        self
    }

    /// All rows that begin with `prefix`: from it on, up to the first row behind. To read them
    /// [reversed](Self::reversed), start at a row behind and stop at `prefix`, which then is included.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<Bytes>) -> Self {
        self.start = prefix.into();
        self.include_start = true;
        self.stop = next_prefix(&self.start);
        self.include_stop = false;
        self
    }

    /// Whether to read all that is stored, delete markers and what they hide (default: no). A raw scan names no columns.
    #[must_use]
    pub fn raw(mut self, raw: bool) -> Self {
        self.raw = raw;
        self
    }

    /// Whether rows come from the last to the first (default: no). The start row is then the greatest, and the stop row the
    /// least: one that is empty is the end of the region, or its start. The cells of a row are in their order all the same.
    #[must_use]
    pub fn reversed(mut self, reversed: bool) -> Self {
        self.reversed = reversed;
        self
    }

    /// How many rows to read at most (default: all; 0 is all, too).
    #[must_use]
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// How many cells a result has at most: a longer row comes in several (default: all of a row; 0 is all, too). Not with a
    /// filter that judges whole rows.
    #[must_use]
    pub fn batch(mut self, cells: u32) -> Self {
        self.batch = cells;
        self
    }

    /// At how many bytes of cells, as HBase estimates them (read-path.md §1.1), a call of the scanner ends (default: none; 0 is
    /// none, too). The cell that reaches the limit is still returned; and so is the rest of its row, unless the scan
    /// [allows pieces of rows](Self::allow_partial).
    #[must_use]
    pub fn max_result_size(mut self, bytes: u64) -> Self {
        self.max_result_size = bytes;
        self
    }

    /// Whether [`max_result_size`](Self::max_result_size) may cut a row, to go on with it in the next result (default: no). A
    /// filter that judges whole rows sees them whole all the same.
    #[must_use]
    pub fn allow_partial(mut self, allow: bool) -> Self {
        self.allow_partial = allow;
        self
    }

    /// How many results a call of the scanner has at most (default: no limit; 0 is none, too), where the call does not say.
    #[must_use]
    pub fn caching(mut self, results: usize) -> Self {
        self.caching = results;
        self
    }

    /// The same scan from where another one has come to. A limit of rows counts anew, and so does what a filter counts.
    #[must_use]
    pub fn resume(self, cursor: &Cursor) -> Self {
        self.start_row(cursor.row.clone(), cursor.include)
    }

    /// The scan that a get is (read-path.md §5.1).
    pub(crate) fn of_get(get: &Get) -> Self {
        let row = Bytes::copy_from_slice(&get.row);
        let mut select = get.select.clone();
        select.load_on_demand.get_or_insert(true);
        Self { start: row.clone(), stop: row, include_stop: true, select, ..Self::new() }
    }

    /// Whether it takes rows as they are: neither does a filter judge them, nor is there a limit below whole rows.
    pub(crate) fn takes_whole_rows(&self) -> bool {
        self.select.filter.is_none() && self.batch == 0 && self.max_result_size == 0
    }

    /// Whether rows come in descending order.
    pub(crate) fn is_reversed(&self) -> bool {
        self.reversed
    }

    /// Whether the scan is of one row, which is read like a get (read-path.md §5.2).
    pub(crate) fn is_get_like(&self) -> bool {
        self.include_start && self.include_stop && !self.start.is_empty() && self.start == self.stop
    }
}

/// The first row behind all rows that begin with `prefix`; empty if there is none (HBase: `ClientUtil`).
fn next_prefix(prefix: &[u8]) -> Bytes {
    let kept = prefix.iter().rposition(|&byte| byte != u8::MAX).map_or(0, |at| at + 1);
    let mut next = prefix[..kept].to_vec();
    if let Some(last) = next.last_mut() {
        *last += 1;
    }
    next.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_prefixes() {
        let scan = Scan::new().rows("a".."m");
        assert_eq!(
            (&scan.start[..], scan.include_start, &scan.stop[..], scan.include_stop),
            (&b"a"[..], true, &b"m"[..], false)
        );
        assert!(Scan::new().rows("a"..="a").is_get_like() && !Scan::new().rows("a".."a").is_get_like());
        assert_eq!(Scan::new().prefix(&b"a\xff\xff"[..]).stop, "b");
        assert_eq!(Scan::new().prefix(&b"\xff"[..]).stop, "");
        assert_eq!(Scan::new().prefix("").stop, "");
    }
}
