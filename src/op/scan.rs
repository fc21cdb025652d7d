//! Reads of many rows.

use super::select::select_methods;
use super::{Columns, Cursor, Get, Select};
use crate::error::{Error, Result};
use crate::filter::FilterEvaluator;
use bytes::Bytes;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

/// A read of a range of rows (HBase: `Scan`).
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    pub(crate) start: Bytes,
    pub(crate) include_start: bool,
    pub(crate) stop: Bytes,
    pub(crate) include_stop: bool,
    pub(crate) raw: bool,
    pub(crate) reversed: bool,
    pub(crate) limit: Option<u64>,
    /// The maximum number of cells in a result; 0 for no limit.
    pub(crate) batch: u32,
    /// The maximum number of bytes in one call; 0 for no limit.
    pub(crate) max_result_size: u64,
    pub(crate) allow_partial: bool,
    /// The maximum number of results in one call; 0 for no limit.
    pub(crate) caching: usize,
    /// The time of one call; zero for no limit.
    pub(crate) time_limit: Duration,
    pub(crate) select: Select,
}

/// The range of rows of a [`Scan`] (HBase: `Scan#withStartRow`, `withStopRow`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanRows<'s> {
    /// The row at which the scan begins: the least, or the greatest if it is reversed. Empty for no bound.
    pub start: &'s [u8],
    /// Whether that row is read.
    pub include_start: bool,
    /// The row at which the scan ends; empty for no bound.
    pub stop: &'s [u8],
    /// Whether that row is read.
    pub include_stop: bool,
    /// Whether rows are read in descending order.
    pub reversed: bool,
}

impl<'s> ScanRows<'s> {
    /// Returns the least row and the greatest; empty for no bound.
    #[must_use]
    pub fn low_and_high(&self) -> (&'s [u8], &'s [u8]) {
        if self.reversed { (self.stop, self.start) } else { (self.start, self.stop) }
    }
}

/// The amount that a [`Scan`] returns, in total and at a time. 0 means no limit (HBase: `Scan#setLimit`,
/// `setBatch`, `setMaxResultSize`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimits {
    /// The maximum number of rows.
    pub rows: u64,
    /// The maximum number of cells in a result.
    pub batch: u32,
    /// The number of bytes at which a call of the scanner ends.
    pub max_result_size: u64,
    /// Whether that may split a row.
    pub allow_partial: bool,
    /// The maximum number of results of a call of the scanner.
    pub caching: usize,
}

impl Default for Scan {
    fn default() -> Self {
        Self::new()
    }
}

impl Scan {
    /// Creates a read of the newest version of every column of every row.
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
            time_limit: Duration::ZERO,
            select: Select::default(),
        }
    }

    select_methods!();

    /// Sets the families and columns to read, replacing those added before (HBase: `setFamilyMap`).
    #[must_use]
    pub fn family_map(mut self, columns: Columns) -> Self {
        self.select.columns = columns;
        self
    }

    /// Sets the rows to read, as a range of anything that is bytes: `"a".."m"`.
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

    /// Sets the row at which the scan begins, or after which if `include` is false (HBase: `withStartRow`).
    /// An empty row is no bound.
    #[must_use]
    pub fn start_row(mut self, row: impl Into<Bytes>, include: bool) -> Self {
        (self.start, self.include_start) = (row.into(), include);
        self
    }

    /// Sets the row at which the scan ends, or before which if `include` is false (HBase: `withStopRow`). An
    /// empty row is no bound.
    #[must_use]
    pub fn stop_row(mut self, row: impl Into<Bytes>, include: bool) -> Self {
        (self.stop, self.include_stop) = (row.into(), include);
        self
    }

    /// Sets the rows to those that begin with `prefix` (HBase: `setStartStopRowForPrefixScan`). To read them
    /// [reversed](Self::reversed), set the bounds yourself: start at the [first row after them](next_prefix),
    /// not included, and stop at `prefix`, included.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<Bytes>) -> Self {
        self.start = prefix.into();
        self.include_start = true;
        self.stop = next_prefix(&self.start).unwrap_or_default().into();
        self.include_stop = false;
        self
    }

    /// Sets whether to read everything stored, including delete markers and the cells they hide (default:
    /// no). A raw scan cannot name columns.
    #[must_use]
    pub fn raw(mut self, raw: bool) -> Self {
        self.raw = raw;
        self
    }

    /// Sets whether rows are read in descending order (default: no). The start row is then the greatest row
    /// and the stop row the least. The cells within a row keep their order.
    #[must_use]
    pub fn reversed(mut self, reversed: bool) -> Self {
        self.reversed = reversed;
        self
    }

    /// Sets the maximum number of rows to read (default: no limit; 0 means no limit).
    #[must_use]
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Sets the maximum number of cells in a result. A longer row is split into several results (default: no
    /// limit; 0 means no limit). Cannot be combined with a filter that applies to whole rows.
    #[must_use]
    pub fn batch(mut self, cells: u32) -> Self {
        self.batch = cells;
        self
    }

    /// Sets the number of bytes of cells, as HBase estimates them (read-path.md §1.1), at which a call of
    /// the scanner ends (default: no limit; 0 means no limit). The cell that reaches the limit is still
    /// returned, and so is the rest of its row, unless the scan [allows partial rows](Self::allow_partial).
    #[must_use]
    pub fn max_result_size(mut self, bytes: u64) -> Self {
        self.max_result_size = bytes;
        self
    }

    /// Sets whether [`max_result_size`](Self::max_result_size) may split a row, to continue it in the next
    /// result (default: no). A filter that applies to whole rows still sees them whole.
    #[must_use]
    pub fn allow_partial(mut self, allow: bool) -> Self {
        self.allow_partial = allow;
        self
    }

    /// Sets the maximum number of results of a call of the scanner that does not set its own (default: no
    /// limit; 0 means no limit).
    #[must_use]
    pub fn caching(mut self, results: usize) -> Self {
        self.caching = results;
        self
    }

    /// Sets the time after which a call of `next_results` of a [region's](crate::RegionScanner::next_results)
    /// or [table's](crate::TableScanner::next_results) scanner ends, even if it has read only rows that are
    /// not returned. Default: zero, which means no limit. The call then returns the position that it has
    /// reached (HBase: the heartbeat of a RegionServer).
    ///
    /// The region's [clock](crate::Clock) is read after each row, so that a call reads at least one whole
    /// row. A cluster's servers have their own time limits.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Continues the scan from the position another one has reached. A limit on rows, and any count a filter
    /// keeps, starts again.
    #[must_use]
    pub fn resume(self, cursor: &Cursor) -> Self {
        self.start_row(cursor.row.clone(), cursor.include)
    }

    /// Returns the range of rows.
    #[must_use]
    pub fn row_range(&self) -> ScanRows<'_> {
        ScanRows {
            start: &self.start,
            include_start: self.include_start,
            stop: &self.stop,
            include_stop: self.include_stop,
            reversed: self.reversed,
        }
    }

    /// Returns the limits.
    #[must_use]
    pub fn limits(&self) -> ScanLimits {
        ScanLimits {
            rows: self.limit.unwrap_or(0),
            batch: self.batch,
            max_result_size: self.max_result_size,
            allow_partial: self.allow_partial,
            caching: self.caching,
        }
    }

    /// Creates the scan equivalent to a get (read-path.md §5.1). `on_demand` is whether families are loaded
    /// on demand by default.
    pub(crate) fn of_get(get: &Get, on_demand: bool) -> Self {
        let row = Bytes::copy_from_slice(&get.row);
        let mut select = get.select.clone();
        select.load_families_on_demand.get_or_insert(on_demand);
        Self { start: row.clone(), stop: row, include_stop: true, select, ..Self::new() }
    }

    /// Checks that no filter on whole rows is combined with a batch.
    pub(crate) fn check_batch(&self, filter: Option<&FilterEvaluator>) -> Result<()> {
        if self.batch > 0 && filter.is_some_and(FilterEvaluator::has_filter_row) {
            return Err(Error::incompatible_filter(
                "a filter on whole rows cannot be combined with a batch, which splits rows",
            ));
        }
        Ok(())
    }

    /// Whether the scan returns plain whole rows: it has no filter, no batch and no limit on size or time.
    pub(crate) fn takes_whole_rows(&self) -> bool {
        self.select.filter.is_none()
            && self.batch == 0
            && self.max_result_size == 0
            && self.time_limit.is_zero()
    }

    /// Whether rows are read in descending order.
    pub(crate) fn is_reversed(&self) -> bool {
        self.reversed
    }

    /// Whether the scan is of exactly one row, which is read like a get (read-path.md §5.2).
    pub(crate) fn is_get_like(&self) -> bool {
        self.include_start && self.include_stop && !self.start.is_empty() && self.start == self.stop
    }
}

/// Returns the first row after all rows that begin with `prefix`; `None` if there is none, because `prefix`
/// is empty or has only bytes 0xff (HBase: `ClientUtil.calculateTheClosestNextRowKeyForPrefix`).
#[must_use]
pub fn next_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let at = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix.get(..=at)?.to_vec();
    *next.last_mut()? += 1;
    Some(next)
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
        assert_eq!(next_prefix(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!((next_prefix(b"\xff\xff"), next_prefix(b"")), (None, None));
    }
}
