//! The stores of a region that a scan reads, as one (read-path.md §5.3, §8; HBase: `KeyValueHeap` over `StoreScanner`s).

use crate::cell::{CellKey, CellOrder, CellRef, RowBuf};
use crate::error::Result;
use crate::filter::FilterState;
use crate::metrics::Counters;
use crate::op::{Query, Scan};
use crate::region::{Inner, RegionState};
use crate::store::StoreScanner;
use crate::store::context::ScannerContext;
use crate::store::matcher::ScanInfo;

/// The rows that a scan is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds<'v> {
    order: CellOrder,
    stop: &'v [u8],
    include_stop: bool,
}

impl<'v> Bounds<'v> {
    pub(super) fn of(scan: &'v Scan, order: CellOrder) -> Self {
        Self { order, stop: &scan.stop, include_stop: scan.include_stop }
    }

    /// Whether a row is behind the last one.
    #[inline]
    pub(super) fn is_behind(&self, row: &[u8]) -> bool {
        if self.stop.is_empty() {
            return false;
        }
        let compared = self.order.compare_rows(row, self.stop);
        if self.include_stop { compared.is_gt() } else { compared.is_ge() }
    }
}

/// Scanners of stores, in the order of the families; what they have cost is counted when they go.
pub(super) struct Stores<'v> {
    pub(super) scanners: Vec<StoreScanner<'v>>,
    pub(super) order: CellOrder,
    counters: &'v Counters,
}

impl<'v> Stores<'v> {
    /// None yet.
    pub(super) fn new(region: &'v Inner) -> Self {
        Self { scanners: Vec::new(), order: region.order, counters: &region.counters }
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
                get_like: scan.is_get_like() && !scan.raw,
                columns,
                time_range: scan.select.time_range_of(family.name()),
                max_versions: scan.select.max_versions,
                raw: scan.raw,
                filtered: scan.select.filter.is_some(),
                store_limit: scan.select.store_limit,
                store_offset: scan.select.store_offset,
                read_point,
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
    pub(super) fn first_row(&self) -> Option<&[u8]> {
        self.scanners.iter().filter_map(StoreScanner::peek_row).min_by(|a, b| self.order.compare_rows(a, b))
    }

    /// Lets the scanner that stands first go on: see [`StoreScanner::next`].
    pub(super) fn next(
        &mut self,
        context: &mut ScannerContext,
        filter: Option<&mut FilterState>,
        out: &mut RowBuf,
    ) -> Result<()> {
        let order = self.order;
        let standing = self.scanners.iter_mut().filter(|scanner| scanner.peek_row().is_some());
        // of several in a row the first, in the order of the families
        let first = standing.min_by(|a, b| match (a.peek_row(), b.peek_row()) {
            (Some(a), Some(b)) => order.compare_rows(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        match first {
            Some(scanner) => scanner.next(context, filter, out),
            None => Ok(()),
        }
    }

    /// Goes forward to the first cell that is not before `key`.
    pub(super) fn reseek(&mut self, key: &CellKey) -> Result<()> {
        let order = self.order;
        let is_before = |cell: CellRef<'_>| order.compare(cell.key(), key).is_lt();
        let behind = self.scanners.iter_mut().filter(|scanner| scanner.peek().is_some_and(is_before));
        for scanner in behind {
            scanner.reseek(key)?;
        }
        Ok(())
    }
}

impl Drop for Stores<'_> {
    fn drop(&mut self) {
        self.scanners.iter().for_each(|scanner| self.counters.add(&scanner.counts));
    }
}
