//! Many rows: the stores of a region, row by row (read-path.md §11; HBase: `RegionScannerImpl`).

use super::ReadView;
use crate::cell::{CellOrder, CellRef, Row, RowBuf, RowRef};
use crate::error::Result;
use crate::metrics::{Counters, ReadCounts};
use crate::op::{Query, Scan};
use crate::store::StoreScanner;
use crate::store::matcher::ScanInfo;
use std::fmt;
use std::ops::ControlFlow;

/// The rows that a scan asks for, in their order.
///
/// Three ways to take them, from the cheapest on: [`for_each_cell`](Self::for_each_cell) lends each cell, [`next_row`](Self::next_row)
/// lends rows from a buffer that is used again, and as an iterator it gives owned rows.
pub struct RegionScanner<'v> {
    rows: Rows<'v>,
    row: RowBuf,
    left: u64,
}

/// The stores, gone through row by row.
struct Rows<'v> {
    stores: Vec<StoreScanner<'v>>,
    scan: &'v Scan,
    order: CellOrder,
    /// The key of the row, where several stores must agree on it.
    current: Vec<u8>,
    counters: &'v Counters,
}

impl<'v> RegionScanner<'v> {
    pub(super) fn new(view: &'v ReadView, scan: &'v Scan) -> Result<Self> {
        let region = &*view.region;
        let now = region.clock.now();
        let read_point = view.point_for(scan.select.isolation);
        let mut stores = Vec::new();
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
                store_limit: scan.select.store_limit,
                store_offset: scan.select.store_offset,
                read_point,
            };
            let info = ScanInfo::new(family, now);
            stores.push(StoreScanner::new(&view.state.stores[store], &query, &info)?);
            Ok(())
        })?;
        region.counters.add(&ReadCounts { scans: 1, ..ReadCounts::default() });
        let counters = &*region.counters;
        Ok(Self {
            rows: Rows { stores, scan, order: region.order, current: Vec::new(), counters },
            row: RowBuf::new(),
            left: scan.limit.filter(|limit| *limit > 0).unwrap_or(u64::MAX),
        })
    }

    /// The next row that has any of the cells asked for, lent until the next call; none at the end.
    ///
    /// # Errors
    ///
    /// If a file is damaged or cannot be read.
    #[inline]
    pub fn next_row(&mut self) -> Result<Option<RowRef<'_>>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.row.clear();
        loop {
            let more = self.rows.read_row(|cell| {
                self.row.push(cell);
                Ok(ControlFlow::Continue(()))
            })?;
            if !more {
                return Ok(None);
            }
            if !self.row.is_empty() {
                self.left -= 1;
                return Ok(Some(self.row.as_row()));
            }
        }
    }

    /// Whether there may be another row: false once the end or the limit is known to be reached. A row that is there may still
    /// turn out to have no cells that are asked for.
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        let Rows { stores, scan, order, .. } = &self.rows;
        self.left > 0 && first_row(stores, *order, scan).is_some_and(|row| !is_behind(*order, row, scan))
    }

    /// Lends each cell of the rows that are left to `take`, until that breaks off or there are no more.
    ///
    /// # Errors
    ///
    /// If a file is damaged or cannot be read. Cells lent before are right.
    pub fn for_each_cell(mut self, mut take: impl FnMut(CellRef<'_>) -> ControlFlow<()>) -> Result<()> {
        let mut going = true;
        while going && self.left > 0 {
            let mut cells = 0u64;
            let more = self.rows.read_row(|cell| {
                cells += 1;
                let flow = take(cell);
                going = flow.is_continue();
                Ok(flow)
            })?;
            going &= more;
            self.left -= u64::from(cells > 0);
        }
        Ok(())
    }
}

impl Rows<'_> {
    /// Hands the cells of the row that comes first to `take`, in order; false if there is none.
    #[inline]
    fn read_row(&mut self, mut take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>) -> Result<bool> {
        if let [store] = &mut *self.stores {
            return store.next_row_unless(|row| is_behind(self.order, row, self.scan), take);
        }
        let Some(first) = first_row(&self.stores, self.order, self.scan) else { return Ok(false) };
        if is_behind(self.order, first, self.scan) {
            return Ok(false);
        }
        self.current.clear();
        self.current.extend_from_slice(first);
        let mut broken = false;
        for store in &mut self.stores {
            if !broken && store.peek_row() == Some(&self.current) {
                store.next_row(|cell| {
                    let flow = take(cell)?;
                    broken = flow.is_break();
                    Ok(flow)
                })?;
            }
        }
        Ok(true)
    }
}

/// The row that comes first.
fn first_row<'s>(stores: &'s [StoreScanner<'_>], order: CellOrder, scan: &Scan) -> Option<&'s [u8]> {
    let rows = stores.iter().filter_map(StoreScanner::peek_row);
    match scan.reversed {
        false => rows.min_by(|a, b| order.compare_rows(a, b)),
        true => rows.max_by(|a, b| order.compare_rows(a, b)),
    }
}

/// Whether a row is behind the last one asked for, in the direction of the scan.
#[inline]
fn is_behind(order: CellOrder, row: &[u8], scan: &Scan) -> bool {
    if scan.stop.is_empty() {
        return false;
    }
    let compared = match scan.reversed {
        false => order.compare_rows(row, &scan.stop),
        true => order.compare_rows(&scan.stop, row),
    };
    if scan.include_stop { compared.is_gt() } else { compared.is_ge() }
}

impl Iterator for RegionScanner<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().map(|row| row.map(RowRef::to_row)).transpose()
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        self.stores.iter().for_each(|store| self.counters.add(&store.counts));
    }
}

impl fmt::Debug for RegionScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionScanner").field("scan", self.rows.scan).finish_non_exhaustive()
    }
}
