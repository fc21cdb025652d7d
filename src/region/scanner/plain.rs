//! Reads whole rows, without a filter and without limits within rows.

use super::stores::{Bounds, Stores};
use crate::cell::CellRef;
use crate::error::Result;
use crate::op::Scan;
use crate::region::{RegionCore, RegionVersion};
use std::ops::ControlFlow;

/// Reads the stores row by row.
pub(super) struct PlainRows<'v> {
    stores: Stores<'v>,
    bounds: Bounds<'v>,
    /// A copy of the row key, to compare several stores with.
    current: Vec<u8>,
}

impl<'v> PlainRows<'v> {
    pub(super) fn open(
        region: &'v RegionCore,
        state: &'v RegionVersion,
        scan: &'v Scan,
        read_point: i64,
        now: i64,
    ) -> Result<Self> {
        let mut stores = Stores::new(region, scan);
        Stores::open(region, state, scan, read_point, now, |_, scanner| stores.scanners.push(scanner))?;
        Ok(Self { stores, bounds: Bounds::of(scan, region.order), current: Vec::new() })
    }

    /// Passes the cells of the next row to `take`, in order, and before those of each family the limit on
    /// their bytes to `begin`. Both get `row`. Returns false if there is no row.
    #[inline]
    pub(super) fn read_row<T>(
        &mut self,
        row: &mut T,
        begin: impl Fn(&mut T, usize),
        mut take: impl FnMut(&mut T, CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<bool> {
        let bounds = self.bounds;
        if let [store] = &mut *self.stores.scanners {
            begin(row, store.max_row_bytes);
            return store.next_row_unless(|key| bounds.is_after_end(key), |cell| take(row, cell));
        }
        let Some(first) = self.stores.first_row() else { return Ok(false) };
        if bounds.is_after_end(first) {
            return Ok(false);
        }
        self.current.clear();
        self.current.extend_from_slice(first);
        let mut broken = false;
        for store in &mut self.stores.scanners {
            if !broken && store.peek_row() == Some(&self.current) {
                begin(row, store.max_row_bytes);
                store.next_row(|cell| {
                    let flow = take(row, cell)?;
                    broken = flow.is_break();
                    Ok(flow)
                })?;
            }
        }
        Ok(true)
    }

    /// Whether there may be another row.
    pub(super) fn may_have_more(&self) -> bool {
        self.stores.first_row().is_some_and(|row| !self.bounds.is_after_end(row))
    }
}
