//! Reads rows, or parts of rows, under a filter and limits (read-path.md §11; HBase:
//! `RegionScannerImpl.nextInternal`).

use super::stores::{Bounds, Stores};
use crate::cell::{RowBuf, SeekKey};
use crate::error::{Error, Result};
use crate::filter::FilterEvaluator;
use crate::metrics::ReadCounts;
use crate::op::{Get, Scan};
use crate::region::{RegionCore, RegionVersion};
use crate::store::context::{LimitScope, NextState, Progress, ScannerContext};
use bytes::Bytes;

/// Reads the stores row by row, and stops within a row if a limit is reached.
pub(super) struct PartialResults<'v> {
    /// The stores the filter needs.
    stores: Stores<'v>,
    /// The stores read only for rows that pass the filter (§5.3: the joined heap).
    joined: Stores<'v>,
    filter: Option<FilterEvaluator>,
    /// Whether the filter decides on whole rows; then limits do not split them.
    has_filter_row: bool,
    bounds: Bounds<'v>,
    /// The current row.
    current: Vec<u8>,
    /// A reused buffer for a seek key.
    key: SeekKey,
    /// Whether a limit was reached while the joined stores of the current row were read.
    is_in_joined: bool,
    /// The region whose observers are called when a row is dropped.
    region: &'v RegionCore,
    scan: &'v Scan,
    state: &'v RegionVersion,
    read_point: i64,
    /// The time by which cells expire.
    now: i64,
    /// The families of the stores the filter needs (HBase: `Filter.isFamilyEssential`).
    essential: Vec<Bytes>,
}

impl<'v> PartialResults<'v> {
    pub(super) fn open(
        region: &'v RegionCore,
        state: &'v RegionVersion,
        scan: &'v Scan,
        read_point: i64,
        filter: Option<FilterEvaluator>,
        now: i64,
    ) -> Result<Self> {
        let (mut stores, mut joined) = (Stores::new(region, scan), Stores::new(region, scan));
        let on_demand = scan.select.load_families_on_demand.unwrap_or(false);
        let mut essential = Vec::new();
        Stores::open(region, state, scan, read_point, now, |family, scanner| {
            let is_essential = filter.as_ref().is_none_or(|filter| filter.is_family_essential(family));
            if on_demand && !is_essential {
                joined.scanners.push(scanner);
                return;
            }
            stores.scanners.push(scanner);
            if filter.is_some() {
                essential.push(Bytes::copy_from_slice(family));
            }
        })?;
        if scan.reversed && !joined.scanners.is_empty() {
            return Err(Error::invalid_argument("a reversed scan cannot load families on demand"));
        }
        Ok(Self {
            stores,
            joined,
            has_filter_row: filter.as_ref().is_some_and(FilterEvaluator::has_filter_row),
            filter,
            bounds: Bounds::of(scan, region.order),
            current: Vec::new(),
            key: SeekKey::new(),
            is_in_joined: false,
            region,
            scan,
            state,
            read_point,
            now,
            essential,
        })
    }

    /// Whether there may be more to read.
    pub(super) fn may_have_more(&self) -> bool {
        self.is_in_joined || !self.is_at_stop()
    }

    /// Reads the next result into `row`. Returns false if nothing can follow it. An empty result may be
    /// followed by more, if a limit is reached while rows are skipped, and the last result may be non-empty.
    pub(super) fn next(&mut self, context: &mut ScannerContext, row: &mut RowBuf) -> Result<bool> {
        let more = self.next_internal(context, row)?;
        if !context.may_have_more_cells_in_row() {
            self.reset_filter();
        }
        Ok(more && !self.is_filter_done())
    }

    fn next_internal(&mut self, context: &mut ScannerContext, row: &mut RowBuf) -> Result<bool> {
        let before = context.progress();
        if self.has_filter_row {
            context.keep_rows_whole();
        }
        // The scope in which a limit ends the call after a row without a result.
        let scope = if self.has_filter_row { LimitScope::BetweenRows } else { LimitScope::BetweenCells };
        let mut was_dropped = false;
        loop {
            context.set_progress(before);
            row.clear();
            if self.is_in_joined {
                self.read_joined(context, row)?;
                if self.is_in_joined || !row.is_empty() {
                    return Ok(self.may_have_more());
                }
                self.reset_filter();
                continue;
            }
            let follows_dropped = std::mem::take(&mut was_dropped);
            if !self.begin_row() {
                if self.has_filter_row && !follows_dropped {
                    self.filter_row_cells(row);
                }
                return Ok(end(context));
            }
            if self.filter_row_key()? {
                if self.is_filter_done() {
                    return Ok(end(context));
                }
                if !self.skip_rejected_row(context, row)? {
                    return Ok(end(context));
                }
                if context.is_any_reached(scope) || self.is_time_reached(context) {
                    return Ok(true);
                }
                continue;
            }
            populate(&mut self.stores, &self.current, self.filter.as_mut(), context, row)?;
            if context.is_any_reached(LimitScope::BetweenCells) {
                return Ok(true);
            }
            if self.is_dropped(context, before, row) {
                context.set_progress(before);
                row.clear();
                if !self.end_row()? {
                    return Ok(end(context));
                }
                if context.is_any_reached(scope) || self.is_time_reached(context) {
                    return Ok(!self.is_at_stop() || end(context));
                }
                was_dropped = true;
                continue;
            }
            if self.has_joined()? {
                self.read_joined(context, row)?;
                if self.is_in_joined {
                    return Ok(true);
                }
            }
            if row.is_empty() {
                // The filter has removed all cells.
                if self.end_row()? && !self.is_at_stop() {
                    if context.is_size_reached(scope) || self.is_time_reached(context) {
                        return Ok(true);
                    }
                    continue;
                }
            }
            return Ok(if row.is_empty() || self.is_at_stop() { end(context) } else { true });
        }
    }

    /// Returns the row at which the next call begins, all of it or its rest; `None` at the end.
    pub(super) fn next_row(&self) -> Option<&[u8]> {
        // The limit may have been reached with the last cell of the row.
        if self.is_in_joined && self.joined.first_row() == Some(&self.current) {
            return Some(&self.current);
        }
        self.stores.first_row().filter(|row| !self.bounds.is_after_end(row))
    }

    fn is_time_reached(&self, context: &ScannerContext) -> bool {
        context.is_time_reached(&*self.region.clock)
    }

    /// Moves to the next row. Returns false if there is none.
    fn begin_row(&mut self) -> bool {
        match self.stores.first_row().filter(|row| !self.bounds.is_after_end(row)) {
            Some(row) => {
                self.current.clear();
                self.current.extend_from_slice(row);
                true
            }
            None => false,
        }
    }

    fn is_at_stop(&self) -> bool {
        self.stores.first_row().is_none_or(|row| self.bounds.is_after_end(row))
    }

    pub(super) fn is_filter_done(&self) -> bool {
        self.filter.as_ref().is_some_and(FilterEvaluator::filter_all_remaining)
    }

    fn reset_filter(&mut self) {
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }

    /// Whether the filter rejects the current row by its key.
    #[inline]
    fn filter_row_key(&mut self) -> Result<bool> {
        match &self.filter {
            Some(filter) if filter.checks_row_keys() => self.apply_row_key_filter(),
            _ => Ok(false),
        }
    }

    /// Same as [`filter_row_key`](Self::filter_row_key), for any filter.
    #[inline(never)] // keeps the loop over rows short
    fn apply_row_key_filter(&mut self) -> Result<bool> {
        let Some(filter) = &mut self.filter else { return Ok(false) };
        let is_rejected = filter.filter_row_key(&self.current)?;
        if !filter.ends_at_row() || self.row_exists()? {
            return Ok(is_rejected);
        }
        if let Some(filter) = &mut self.filter {
            filter.take_back_row();
        }
        Ok(true)
    }

    /// Whether the current row has a visible cell in the scan's time range, in any column. A row whose cells
    /// are all deleted does not count, because compactions may have removed it.
    #[cold]
    fn row_exists(&self) -> Result<bool> {
        if self.scan.raw {
            return Ok(true);
        }
        let mut get = Get::new(self.current.clone());
        get.select.cache_blocks = self.scan.select.cache_blocks;
        get.select.isolation = self.scan.select.isolation;
        get.select.max_results_per_family = Some(1);
        get.select.time_range = self.scan.select.time_range;
        get.select.family_time_ranges.clone_from(&self.scan.select.family_time_ranges);
        let get = self.essential.iter().fold(get, |get, family| get.family(family.clone()));
        let mut row = RowBuf::new();
        self.region.get_stored(self.state, &get, self.read_point, Some(self.now), &mut row)?;
        Ok(!row.is_empty())
    }

    fn filter_row_cells(&mut self, row: &mut RowBuf) {
        if let Some(filter) = &mut self.filter {
            filter.filter_row_cells(row);
        }
    }

    /// Whether a row that has been read must be dropped: it has no cells, or the filter drops it. A row that
    /// the filter has emptied cell by cell is not dropped: families loaded on demand may still have cells of
    /// it.
    fn is_dropped(&mut self, context: &mut ScannerContext, before: Progress, row: &mut RowBuf) -> bool {
        let was_empty = row.is_empty();
        let Some(filter) = &mut self.filter else { return was_empty };
        if !self.has_filter_row {
            return was_empty || filter.filter_row();
        }
        filter.filter_row_cells(row);
        // A filter that counts rows does not count empty ones.
        let is_dropped = was_empty || !row.is_empty() && filter.filter_row();
        context.set_progress(before);
        row.as_row().cells().for_each(|cell| context.count(cell));
        is_dropped
    }

    /// Skips the rest of the current row without returning any of it. The filter still sees its cells, except
    /// in a reversed scan, as in HBase. Returns whether the observers let the scan continue.
    fn skip_row(&mut self, context: &mut ScannerContext, row: &mut RowBuf) -> Result<bool> {
        if self.stores.are_reversed() {
            self.stores.skip_row(&self.current)?;
            return self.end_row();
        }
        context.set_skips_row(true);
        while self.stores.first_row() == Some(&self.current) {
            self.stores.next(context, self.filter.as_mut(), row)?;
        }
        context.set_skips_row(false);
        self.end_row()
    }

    /// Ends a row without a result. No store may be positioned in it. Returns whether the observers let the
    /// scan continue.
    #[inline]
    fn end_row(&mut self) -> Result<bool> {
        debug_assert!(self.stores.first_row() != Some(&*self.current), "the row has been read");
        self.reset_filter();
        if self.region.observers.is_empty() { Ok(true) } else { self.observe_row() }
    }

    /// Notifies the observers of a row without a result. Returns whether they let the scan continue.
    #[cold]
    fn observe_row(&self) -> Result<bool> {
        let mut more = true;
        self.region.observe(|observer, context| {
            more = observer.post_scanner_filter_row(context, self.scan, &self.current, more)?;
            Ok(())
        })?;
        Ok(more)
    }

    /// Skips the current row, whose key the filter has rejected, and seeks to the filter's hint if it has
    /// one.
    fn skip_rejected_row(&mut self, context: &mut ScannerContext, row: &mut RowBuf) -> Result<bool> {
        let hint = self.filter.as_mut().and_then(|filter| filter.hint_for_rejected_row(&self.current));
        let is_hint = hint.is_some();
        match hint.filter(|hint| self.stores.compare_rows(hint.row(), &self.current).is_gt()) {
            Some(hint) => {
                self.stores.reseek(hint)?;
                self.end_row()
            }
            None => {
                if let Some(filter) = self.filter.as_mut().filter(|_| is_hint) {
                    filter.count_ignored_hint();
                }
                self.skip_row(context, row)
            }
        }
    }

    /// Seeks the families loaded on demand to the current row, and returns whether they have any cell of it.
    fn has_joined(&mut self) -> Result<bool> {
        if self.joined.scanners.is_empty() {
            return Ok(false);
        }
        if self.joined.first_row() != Some(&self.current) {
            self.joined.reseek(self.key.set_first_on_row(&self.current))?;
        }
        Ok(self.joined.first_row() == Some(&self.current))
    }

    /// Reads the cells of the current row from the families loaded on demand.
    fn read_joined(&mut self, context: &mut ScannerContext, row: &mut RowBuf) -> Result<()> {
        if self.joined.first_row() == Some(&self.current) {
            populate(&mut self.joined, &self.current, self.filter.as_mut(), context, row)?;
            row.sort(self.joined.order);
        }
        self.is_in_joined = context.is_any_reached(LimitScope::BetweenCells);
        Ok(())
    }
}

impl Drop for PartialResults<'_> {
    fn drop(&mut self) {
        let hints_ignored = self.filter.as_ref().map_or(0, FilterEvaluator::hints_ignored);
        if hints_ignored > 0 {
            self.region.counters.add(&ReadCounts { hints_ignored, ..ReadCounts::default() });
        }
    }
}

/// Reads the cells of the current row from `stores`, until a limit is reached (§11.5).
#[inline(always)] // the loop of scans with a filter
fn populate(
    stores: &mut Stores<'_>,
    current: &[u8],
    mut filter: Option<&mut FilterEvaluator>,
    context: &mut ScannerContext,
    row: &mut RowBuf,
) -> Result<()> {
    let whole = stores.take_whole_rows(context);
    loop {
        stores.next(context, filter.as_deref_mut(), row)?;
        let more_in_row = !whole && stores.first_row() == Some(current);
        if more_in_row && context.is_batch_reached() {
            context.state = NextState::BatchLimitReached;
            return Ok(());
        }
        if context.is_size_reached(LimitScope::BetweenCells) {
            context.state =
                if more_in_row { NextState::SizeLimitReachedMidRow } else { NextState::SizeLimitReached };
            return Ok(());
        }
        if !more_in_row {
            return Ok(());
        }
    }
}

/// Records that there are no more cells, and returns false.
fn end(context: &mut ScannerContext) -> bool {
    context.state = NextState::NoMoreValues;
    false
}
