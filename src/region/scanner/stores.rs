//! The stores of a region that a scan reads, as one (read-path.md §5.3, §8; HBase: `KeyValueHeap` over `StoreScanner`s).

use crate::cell::{CellKey, CellOrder, RowBuf};
use crate::error::Result;
use crate::filter::FilterState;
use crate::metrics::Counters;
use crate::op::{Query, Scan};
use crate::region::{Inner, RegionState};
use crate::store::StoreScanner;
use crate::store::context::ScannerContext;
use crate::store::matcher::ScanInfo;
use std::cmp::Ordering;

/// The rows that a scan is of.
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

    /// Whether a row is behind the last one, in the direction of the scan.
    #[inline]
    pub(super) fn is_behind(&self, row: &[u8]) -> bool {
        if self.stop.is_empty() {
            return false;
        }
        let compared = compare_rows(self.order, self.reversed, row, self.stop);
        if self.include_stop { compared.is_gt() } else { compared.is_ge() }
    }
}

/// Scanners of stores, in the order of the families; what they have cost is counted when they go.
pub(super) struct Stores<'v> {
    pub(super) scanners: Vec<StoreScanner<'v>>,
    pub(super) order: CellOrder,
    /// Whether the scanners go from the last row to the first.
    reversed: bool,
    counters: &'v Counters,
}

/// Which of two rows comes first.
#[inline]
fn compare_rows(order: CellOrder, reversed: bool, a: &[u8], b: &[u8]) -> Ordering {
    if reversed { order.compare_rows(b, a) } else { order.compare_rows(a, b) }
}

impl<'v> Stores<'v> {
    /// None yet.
    pub(super) fn new(region: &'v Inner, scan: &Scan) -> Self {
        let (order, reversed) = (region.order, scan.reversed);
        Self { scanners: Vec::new(), order, reversed, counters: &region.counters }
    }

    /// Opens a scanner of each store that is asked, and hands it to `put` with the name of its family.
    pub(super) fn open(
        region: &'v Inner,
        state: &'v RegionState,
        scan: &'v Scan,
        read_point: i64,
        mut put: impl FnMut(&[u8], StoreScanner<'v>),
    ) -> Result<()> {
        let now = region.clock.now();
        region.each_store(scan.columns(), |store, columns| {
            let family = &region.stores[store].family;
            let query = Query {
                start: &scan.start,
                include_start: scan.include_start,
                stop: &scan.stop,
                reversed: scan.reversed,
                get_like: scan.is_get_like() && !scan.raw,
                columns,
                time_range: scan.select.time_range_of(family.name()),
                max_versions: scan.select.max_versions,
                raw: scan.raw,
                filtered: scan.select.filter.is_some(),
                store_limit: scan.select.store_limit,
                store_offset: scan.select.store_offset,
                read_point,
                cache_blocks: scan.select.cache_blocks,
            };
            let info = region.observed_info(
                store,
                ScanInfo::new(family, now),
                |observer, context, family, options| {
                    observer.pre_store_scanner_open(context, family, options)
                },
            )?;
            put(family.name(), StoreScanner::new(&state.stores[store], &query, &info)?);
            Ok(())
        })
    }

    /// The row that comes first; none at the end.
    #[inline]
    pub(super) fn first_row(&self) -> Option<&[u8]> {
        if let [only] = &*self.scanners {
            return only.peek_row();
        }
        let rows = self.scanners.iter().filter_map(StoreScanner::peek_row);
        rows.min_by(|a, b| self.compare_rows(a, b))
    }

    /// Lets the scanner that stands first go on: see [`StoreScanner::next`].
    pub(super) fn next(
        &mut self,
        context: &mut ScannerContext,
        filter: Option<&mut FilterState>,
        out: &mut RowBuf,
    ) -> Result<()> {
        if let [only] = &mut *self.scanners {
            return only.next(context, filter, out);
        }
        let (order, reversed) = (self.order, self.reversed);
        let standing = self.scanners.iter_mut().filter(|scanner| scanner.peek_row().is_some());
        // of several in a row the first, in the order of the families
        let first = standing.min_by(|a, b| match (a.peek_row(), b.peek_row()) {
            (Some(a), Some(b)) => compare_rows(order, reversed, a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        match first {
            Some(scanner) => scanner.next(context, filter, out),
            None => Ok(()),
        }
    }

    /// Whether [`next`](Self::next) always goes behind the row it begins in.
    #[inline]
    pub(super) fn take_whole_rows(&self, context: &ScannerContext) -> bool {
        self.scanners.len() == 1 && !context.may_cut_rows()
    }

    /// Goes on to the first cell that is not before `key`.
    pub(super) fn reseek(&mut self, key: &CellKey) -> Result<()> {
        self.scanners
            .iter_mut()
            .filter(|scanner| scanner.is_before(key))
            .try_for_each(|scanner| scanner.reseek(key))
    }

    /// Leaves a row, wherever the scanners stand in it (§11.3, of reversed scans).
    pub(super) fn leave_row(&mut self, row: &[u8]) -> Result<()> {
        let mut in_row = self.scanners.iter_mut().filter(|scanner| scanner.peek_row() == Some(row));
        in_row.try_for_each(StoreScanner::leave_row)
    }

    /// Which of two rows comes first.
    pub(super) fn compare_rows(&self, a: &[u8], b: &[u8]) -> Ordering {
        compare_rows(self.order, self.reversed, a, b)
    }

    /// Whether the scanners go from the last row to the first.
    pub(super) fn are_reversed(&self) -> bool {
        self.reversed
    }
}

impl Drop for Stores<'_> {
    fn drop(&mut self) {
        self.scanners.iter().for_each(|scanner| self.counters.add(&scanner.counts));
    }
}
