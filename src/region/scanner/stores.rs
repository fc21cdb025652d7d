//! Merges the store scanners of a scan (read-path.md §5.3, §8; HBase: `KeyValueHeap` over `StoreScanner`s).

use crate::cell::{CellKey, CellOrder, RowBuf};
use crate::error::Result;
use crate::filter::FilterEvaluator;
use crate::metrics::Counters;
use crate::op::{Query, Scan};
use crate::region::{RegionCore, RegionVersion};
use crate::store::context::ScannerContext;
use crate::store::matcher::ScanInfo;
use crate::store::{Store, StoreScanner};
use bytes::Bytes;
use std::cmp::Ordering;

/// The end of a scan's row range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<'v> {
    order: CellOrder,
    stop: &'v [u8],
    include_stop: bool,
    reversed: bool,
}

impl<'v> Bounds<'v> {
    pub(super) fn of(scan: &'v Scan, order: CellOrder) -> Self {
        Self { order, stop: &scan.stop, include_stop: scan.include_stop, reversed: scan.reversed }
    }

    /// Whether a row is after the last row of the scan, in scan direction.
    #[inline]
    pub(super) fn is_after_end(&self, row: &[u8]) -> bool {
        if self.stop.is_empty() {
            return false;
        }
        let compared = compare_rows(self.order, self.reversed, row, self.stop);
        if self.include_stop { compared.is_gt() } else { compared.is_ge() }
    }
}

/// Store scanners, in family order. Their costs are added to the region's counters on drop.
pub(super) struct Stores<'v> {
    pub(super) scanners: Vec<StoreScanner<'v>>,
    pub(super) order: CellOrder,
    /// Whether rows are read in descending order.
    reversed: bool,
    counters: &'v Counters,
}

/// Returns a scan's query of a family.
#[inline]
pub(super) fn query_of<'v>(
    scan: &'v Scan,
    store: &Store,
    columns: &'v [Bytes],
    read_point: i64,
) -> Query<'v> {
    Query {
        start: &scan.start,
        include_start: scan.include_start,
        stop: &scan.stop,
        reversed: scan.reversed,
        get_like: scan.is_get_like() && !scan.raw,
        columns,
        time_range: scan.select.time_range_of(store.family.name()),
        max_versions: scan.select.max_versions,
        raw: scan.raw,
        filtered: scan.select.filter.is_some(),
        max_results: scan.select.max_results_per_family,
        row_offset: scan.select.row_offset_per_family,
        read_point,
        cache_blocks: scan.select.cache_blocks && store.cache_data,
    }
}

/// Compares two rows in scan direction.
#[inline]
pub(super) fn compare_rows(order: CellOrder, reversed: bool, a: &[u8], b: &[u8]) -> Ordering {
    if reversed { order.compare_rows(b, a) } else { order.compare_rows(a, b) }
}

impl<'v> Stores<'v> {
    /// Creates the merge without any scanners.
    pub(super) fn new(region: &'v RegionCore, scan: &Scan) -> Self {
        let (order, reversed) = (region.order, scan.reversed);
        Self { scanners: Vec::new(), order, reversed, counters: &region.counters }
    }

    /// Opens a scanner of each store the scan reads, and passes it to `put` with the name of its family.
    /// `now` is the time by which cells expire.
    pub(super) fn open(
        region: &'v RegionCore,
        state: &'v RegionVersion,
        scan: &'v Scan,
        read_point: i64,
        now: i64,
        mut put: impl FnMut(&[u8], StoreScanner<'v>),
    ) -> Result<()> {
        region.each_store(scan.columns(), |store, columns| {
            let family = &region.stores[store].family;
            let query = query_of(scan, &region.stores[store], columns, read_point);
            // A read of uncommitted writes sees those that come later.
            let may_have_tags = read_point == i64::MAX || state.stores[store].may_have_tags();
            let info = region.observed_info(
                store,
                ScanInfo::new(family, now, may_have_tags),
                |observer, context, family, options| {
                    observer.pre_store_scanner_open(context, family, options)
                },
            )?;
            let mut scanner = StoreScanner::new(&state.stores[store], &query, &info)?;
            scanner.max_row_bytes = region.stores[store].max_row_bytes;
            put(family.name(), scanner);
            Ok(())
        })
    }

    /// Returns the next row in scan order; `None` at the end.
    #[inline]
    pub(super) fn first_row(&self) -> Option<&[u8]> {
        if let [only] = &*self.scanners {
            return only.peek_row();
        }
        let rows = self.scanners.iter().filter_map(StoreScanner::peek_row);
        rows.min_by(|a, b| self.compare_rows(a, b))
    }

    /// Advances the scanner with the least row: see [`StoreScanner::next`].
    #[inline]
    pub(super) fn next(
        &mut self,
        context: &mut ScannerContext,
        filter: Option<&mut FilterEvaluator>,
        out: &mut RowBuf,
    ) -> Result<()> {
        if let [only] = &mut *self.scanners {
            return only.next(context, filter, out);
        }
        self.next_of_several(context, filter, out)
    }

    #[inline(never)] // keeps the reads of one family short
    fn next_of_several(
        &mut self,
        context: &mut ScannerContext,
        filter: Option<&mut FilterEvaluator>,
        out: &mut RowBuf,
    ) -> Result<()> {
        let (order, reversed) = (self.order, self.reversed);
        let standing = self.scanners.iter_mut().filter(|scanner| scanner.peek_row().is_some());
        // Of several scanners at the same row, takes the first in family order.
        let first = standing.min_by(|a, b| match (a.peek_row(), b.peek_row()) {
            (Some(a), Some(b)) => compare_rows(order, reversed, a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        match first {
            Some(scanner) => scanner.next(context, filter, out),
            None => Ok(()),
        }
    }

    /// Whether [`next`](Self::next) always reads the rest of its row.
    #[inline]
    pub(super) fn take_whole_rows(&self, context: &ScannerContext) -> bool {
        self.scanners.len() == 1 && !context.may_cut_rows()
    }

    /// Seeks forward to the first cell at or after `key`.
    pub(super) fn reseek(&mut self, key: &CellKey) -> Result<()> {
        self.scanners
            .iter_mut()
            .filter(|scanner| scanner.is_before(key))
            .try_for_each(|scanner| scanner.reseek(key))
    }

    /// Skips a row, wherever the scanners are positioned in it (§11.3, for reversed scans).
    pub(super) fn skip_row(&mut self, row: &[u8]) -> Result<()> {
        let mut in_row = self.scanners.iter_mut().filter(|scanner| scanner.peek_row() == Some(row));
        in_row.try_for_each(StoreScanner::leave_row)
    }

    /// Compares two rows in scan direction.
    pub(super) fn compare_rows(&self, a: &[u8], b: &[u8]) -> Ordering {
        compare_rows(self.order, self.reversed, a, b)
    }

    /// Whether rows are read in descending order.
    pub(super) fn are_reversed(&self) -> bool {
        self.reversed
    }
}

impl Drop for Stores<'_> {
    fn drop(&mut self) {
        self.scanners.iter().for_each(|scanner| self.counters.add(&scanner.counts));
    }
}
