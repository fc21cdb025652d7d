//! Gets: reads of one row (read-path.md §5.1).

use super::{RegionCore, RegionVersion};
use crate::cell::RowBuf;
use crate::error::Result;
use crate::metrics::ReadCounts;
use crate::mvcc::ReadPoint;
use crate::op::{Get, Isolation, Query};
use crate::store::matcher::ScanInfo;
use crate::store::{Store, is_mob_reference};
use bytes::Bytes;
use std::sync::Arc;

impl RegionCore {
    /// Registers a read point. Returns it with a state that contains everything visible at it, as long as the
    /// read point exists.
    pub(super) fn register(&self) -> (ReadPoint, Arc<RegionVersion>) {
        let point = || self.mvcc.register(|_| ()).0;
        self.states.read_at(point, |state, point| (point, Arc::clone(state)))
    }

    /// Reads the current cells of a row. Needs no registered read point, because one read uses only this
    /// state.
    #[inline]
    pub(super) fn get_now(&self, get: &Get, row: &mut RowBuf) -> Result<()> {
        let point = || match get.select.isolation {
            Isolation::ReadCommitted => self.mvcc.read_point(),
            Isolation::ReadUncommitted => i64::MAX,
        };
        self.states.read_at(point, |state, point| self.get_at(state, get, point, row))
    }

    /// Reads a row with `read`, and calls the observers before and after.
    #[inline]
    pub(super) fn get_observed(
        &self,
        get: &Get,
        row: &mut RowBuf,
        read: impl FnOnce(&mut RowBuf) -> Result<()>,
    ) -> Result<()> {
        if self.observers.is_empty() {
            return read(row);
        }
        if !self.observe_or_bypass(|observer, context| observer.pre_get_op(context, get, row))? {
            row.clear();
            read(row)?;
            self.observe(|observer, context| observer.post_get_op(context, get, row))?;
        }
        Ok(())
    }

    /// Reads a row of a state at a read point.
    #[inline]
    pub(super) fn get_at(
        &self,
        state: &RegionVersion,
        get: &Get,
        read_point: i64,
        row: &mut RowBuf,
    ) -> Result<()> {
        self.get_stored(state, get, read_point, None, row)?;
        self.read_mob(get.select.cache_blocks, row)
    }

    /// Like [`get_at`](Self::get_at), at a time by which cells expire, and without the values that are in MOB
    /// files. Without a time, reads the clock if needed.
    pub(super) fn get_stored(
        &self,
        state: &RegionVersion,
        get: &Get,
        read_point: i64,
        mut now: Option<i64>,
        row: &mut RowBuf,
    ) -> Result<()> {
        self.check_open()?;
        self.check_row(&get.row)?;
        row.clear();
        if get.select.filter.is_some() {
            return self.get_filtered(state, get, read_point, row);
        }
        let mut counts = ReadCounts { gets: 1, ..ReadCounts::default() };
        let result = self.each_store(get.columns(), |store, columns| {
            let (family, state) = (&self.stores[store].family, &state.stores[store]);
            // A segment may not yet report tags that are being written; only reads of uncommitted writes see
            // those.
            let may_have_tags = get.select.isolation == Isolation::ReadUncommitted || state.may_have_tags();
            // Reading the clock is expensive, so it is read only if a cell may expire.
            let may_expire = family.ttl_millis().is_some() || may_have_tags || !self.observers.is_empty();
            let now = if may_expire { *now.get_or_insert_with(|| self.clock.now()) } else { 0 };
            let query = Query {
                start: &get.row,
                include_start: true,
                stop: &get.row,
                reversed: false,
                get_like: !get.row.is_empty(),
                columns,
                time_range: get.select.time_range_of(family.name()),
                max_versions: get.select.max_versions,
                raw: false,
                filtered: false,
                max_results: get.select.max_results_per_family,
                row_offset: get.select.row_offset_per_family,
                read_point,
                cache_blocks: get.select.cache_blocks && self.stores[store].cache_data,
            };
            let info = self.observed_info(
                store,
                ScanInfo::new(family, now, may_have_tags),
                |observer, context, family, options| {
                    observer.pre_store_scanner_open(context, family, options)
                },
            )?;
            row.set_limit(self.stores[store].max_row_bytes);
            state.get(&query, &info, row, &mut counts)
        });
        self.counters.add(&counts);
        result
    }

    /// Replaces references to MOB files in a row by the values. As in HBase, filters have seen the
    /// references. After an error the row is empty, so that a file name is never returned as a value.
    #[inline]
    pub(super) fn read_mob(&self, cache_blocks: bool, row: &mut RowBuf) -> Result<()> {
        match self.may_have_mob {
            true => self.read_mob_cells(cache_blocks, row).inspect_err(|_| row.clear()),
            false => Ok(()),
        }
    }

    #[cold]
    fn read_mob_cells(&self, cache_blocks: bool, row: &mut RowBuf) -> Result<()> {
        if !row.as_row().cells().any(is_mob_reference) {
            return Ok(());
        }
        let mut whole = RowBuf::new();
        whole.set_limit(self.max_row_bytes);
        for cell in row.as_row().cells() {
            let of_family = |store: &&Store| store.family.name() == cell.family();
            let store = self.stores.iter().find(of_family).filter(|_| is_mob_reference(cell));
            match store.and_then(|store| Some((store.mob.as_ref()?, store.cache_data))) {
                Some((mob, may_cache)) => {
                    mob.read(cell, cache_blocks && may_cache, |cell| whole.try_push(cell))?;
                }
                None => whole.try_push(cell)?,
            }
        }
        row.replace(whole);
        Ok(())
    }

    /// Calls `read` for each store to read, in family order, with its columns to read.
    pub(super) fn each_store<'q>(
        &self,
        columns: &'q crate::op::Columns,
        mut read: impl FnMut(usize, &'q [Bytes]) -> Result<()>,
    ) -> Result<()> {
        if columns.is_empty() {
            return (0..self.stores.len()).try_for_each(|store| read(store, &[]));
        }
        let mut families = columns.families();
        if families.len() == 1
            && let Some((family, qualifiers)) = families.next()
        {
            return read(self.store_index(family)?, qualifiers);
        }
        // All families must exist before any is read.
        for (family, _) in columns.families() {
            self.store_index(family)?;
        }
        columns.families().try_for_each(|(family, qualifiers)| read(self.store_index(family)?, qualifiers))
    }
}
