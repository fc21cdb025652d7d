//! Scans of a region: merges its stores row by row (read-path.md §11, §12; HBase: `RegionScannerImpl`, and
//! the scanning part of `RSRpcServices`).

mod explain;
mod owned_results;
mod partial_results;
mod plain;
mod result_scanner;
mod stores;

pub use explain::Explanation;
pub use result_scanner::ResultScanner;

use super::background::caught;
use super::{ReadView, RegionCore, RegionVersion};
use crate::cell::{CellRef, Row, RowBuf, RowRef};
use crate::clock::whole_millis;
use crate::error::{Error, Result};
use crate::filter::FilterEvaluator;
use crate::metrics::ReadCounts;
use crate::op::{Cursor, Get, Scan};
use crate::store::context::{LimitScope, ScannerContext};
use owned_results::OwnedResults;
use partial_results::PartialResults;
use plain::PlainRows;
use std::fmt;
use std::ops::{ControlFlow, Deref};
use std::sync::Arc;
use stores::compare_rows;

/// Scans the rows of a region in order (HBase: `RegionScanner`).
///
/// There are three ways to read, cheapest first: [`for_each_cell`](Self::for_each_cell) passes each cell to a
/// callback, [`next_row`](Self::next_row) returns references to rows in a reused buffer, and the iterator
/// returns owned rows. [`next_results`](Self::next_results) returns results as one call to a RegionServer
/// does.
///
/// A scanner that has failed returns the same error again; as an iterator, it ends. After a panic within a
/// call, of a filter or a hook for example, later ones fail.
pub struct RegionScanner<'v> {
    rows: Rows<'v>,
    region: &'v RegionCore,
    scan: ScanOf<'v>,
    /// The last result; empty before the first one and at the end.
    row: RowBuf,
    /// Whether the last result is part of a row that may continue.
    partial: bool,
    /// The row key of that part.
    partial_row: Vec<u8>,
    /// How many more rows may be completed before the limit is reached.
    left: u64,
    /// Whether anything may follow the last result.
    more: bool,
    observed: Option<Observed>,
    /// The error of a call that failed. A later call would skip the cells that could not be read.
    failed: Option<Error>,
    /// Whether a call is in progress or has panicked, for example in a filter or a hook.
    is_reading: bool,
}

/// A result of a scan: a row, or a part of one (HBase: `Result`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanResult {
    /// The cells.
    pub row: Row,
    /// Whether more cells of the row may follow in the next result (HBase: `mayHaveMoreCellsInRow`).
    pub partial: bool,
}

/// The results of one call of a scanner (HBase: `ScanResponse`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanResults {
    /// The results, in scan order.
    pub results: Vec<ScanResult>,
    /// Whether there may be more results: false once the end or the limit on rows is known to be reached.
    pub more: bool,
    /// Whether the [time](Scan::time_limit) of the call ran out; there may be no results then (HBase: a
    /// heartbeat message).
    pub heartbeat: bool,
    /// The position from which the next call continues, or [another scan](Scan::resume), which repeats none
    /// of the results except a part of a row; `None` if there are no more.
    pub cursor: Option<Cursor>,
}

impl ScanResults {
    /// Returns the results after the end.
    pub(crate) fn end() -> Self {
        Self { results: Vec::new(), more: false, heartbeat: false, cursor: None }
    }
}

/// A scan, either the caller's or a changed copy.
enum ScanOf<'v> {
    Caller(&'v Scan),
    Owned(Arc<Scan>),
}

impl Deref for ScanOf<'_> {
    type Target = Scan;

    fn deref(&self) -> &Scan {
        match self {
            Self::Caller(scan) => scan,
            Self::Owned(scan) => scan,
        }
    }
}

/// A scan of a region with observers. Borrows nothing, so that the caller may change its scan while an unused
/// scanner has not been dropped yet.
struct Observed {
    region: Arc<RegionCore>,
    scan: Arc<Scan>,
}

impl Drop for Observed {
    fn drop(&mut self) {
        // No caller is left to receive an error, and a panic may be in progress.
        let Self { region, scan } = &*self;
        let pre = || region.observe(|observer, context| observer.pre_scanner_close(context, scan));
        let _ = caught(pre, region);
        let post = || region.observe(|observer, context| observer.post_scanner_close(context, scan));
        let _ = caught(post, region);
    }
}

/// The ways to read rows. Where more than one applies, the results are the same.
enum Rows<'v> {
    Plain(PlainRows<'v>),
    Partial(Box<PartialResults<'v>>),
    /// Parts of rows, for a scan of its own.
    Owned(OwnedResults<'v>),
}

impl<'v> Rows<'v> {
    fn plain(&mut self) -> Option<&mut PlainRows<'v>> {
        match self {
            Self::Plain(rows) => Some(rows),
            Self::Partial(_) | Self::Owned(_) => None,
        }
    }
}

impl<'v> RegionScanner<'v> {
    pub(super) fn new(view: &'v ReadView, scan: &'v Scan) -> Result<Self> {
        Self::at(view, scan, view.region.clock.now())
    }

    /// Like [`new`](Self::new), at a time by which cells expire.
    #[inline]
    fn at(view: &'v ReadView, scan: &'v Scan, now: i64) -> Result<Self> {
        let (region, state) = (&*view.region, &*view.state);
        let read_point = view.point_for(scan.select.isolation);
        let rows = if scan.takes_whole_rows() {
            Rows::Plain(PlainRows::open(region, state, scan, read_point, now)?)
        } else {
            let filter = start_filter(scan)?;
            Rows::Partial(Box::new(PartialResults::open(region, state, scan, read_point, filter, now)?))
        };
        Ok(Self::of(rows, region, ScanOf::Caller(scan), None))
    }

    /// Like [`new`](Self::new), with a scan of its own: one that observers of the region may have changed, or
    /// the rest of a scan of several regions.
    pub(super) fn owning(view: &'v ReadView, scan: Arc<Scan>) -> Result<Self> {
        let (region, state) = (&*view.region, &*view.state);
        let read_point = view.point_for(scan.select.isolation);
        let rows = Rows::Owned(OwnedResults::open(region, state, Arc::clone(&scan), read_point)?);
        let is_observed = !region.observers.is_empty();
        let observed =
            is_observed.then(|| Observed { region: Arc::clone(&view.region), scan: Arc::clone(&scan) });
        Ok(Self::of(rows, region, ScanOf::Owned(scan), observed))
    }

    fn of(rows: Rows<'v>, region: &'v RegionCore, scan: ScanOf<'v>, observed: Option<Observed>) -> Self {
        region.counters.add(&ReadCounts { scans: 1, ..ReadCounts::default() });
        Self {
            left: scan.limit.filter(|limit| *limit > 0).unwrap_or(u64::MAX),
            rows,
            region,
            scan,
            row: RowBuf::new(),
            partial: false,
            partial_row: Vec::new(),
            more: true,
            observed,
            failed: None,
            is_reading: false,
        }
    }

    /// Fails if the region is closed, or an earlier call has failed.
    #[inline]
    fn check(&self) -> Result<()> {
        self.region.check_open()?;
        if self.is_reading {
            return Err(Error::invalid_argument("an earlier call of the scanner panicked"));
        }
        self.failed.as_ref().map_or(Ok(()), |error| Err(error.clone()))
    }

    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        (self.more, self.partial) = (false, false);
        self.row.clear();
        self.failed.insert(error).clone()
    }

    /// Returns the next row that has any of the cells requested, valid until the next call; `None` at the
    /// end. The result may be a part of a row if the scan has a [batch](Scan::batch), or
    /// [allows](Scan::allow_partial) the limit on result size to split rows: see
    /// [`is_partial`](Self::is_partial).
    ///
    /// # Errors
    ///
    /// If a file is damaged or unreadable, a filter cannot compare a value, a row has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes), or the region [was
    /// closed](crate::ErrorKind::Closed).
    #[inline]
    pub fn next_row(&mut self) -> Result<Option<RowRef<'_>>> {
        self.check()?;
        self.is_reading = true;
        let advanced = self.advance();
        self.is_reading = false;
        match advanced {
            Ok(true) => Ok(Some(self.row.as_row())),
            Ok(false) => Ok(None),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Reads the next result. Returns false if there is none.
    #[inline]
    fn advance(&mut self) -> Result<bool> {
        match &mut self.rows {
            Rows::Plain(_) if self.left == 0 => Ok(false),
            Rows::Plain(rows) => {
                let found = next_whole_row(rows, &mut self.row)?;
                self.region.read_mob(self.scan.select.cache_blocks, &mut self.row)?;
                self.left -= u64::from(found);
                self.more = found;
                Ok(found)
            }
            Rows::Partial(_) | Rows::Owned(_) => {
                let mut context = self.context();
                self.next_observed(&mut context)
            }
        }
    }

    /// Whether the last result is a part of a row, and the next result may have more cells of that row. In
    /// the end, there may be none.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether the filter accepts no more rows of the region. If it has accepted none at all, a scan of
    /// several regions ends; otherwise it continues in the next region, where the filter starts again.
    #[must_use]
    pub fn is_filter_done(&self) -> bool {
        match &self.rows {
            Rows::Plain(_) => false,
            Rows::Partial(rows) => rows.is_filter_done(),
            Rows::Owned(rows) => rows.is_filter_done(),
        }
    }

    /// Returns the row read last.
    pub(crate) fn row(&self) -> RowRef<'_> {
        self.row.as_row()
    }

    /// Whether there may be another result. Returns false once the end or the limit is known to be reached.
    /// True does not guarantee a result: the remaining rows may have none of the cells requested.
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        self.left > 0
            && self.more
            && !self.is_reading
            && match &self.rows {
                Rows::Plain(rows) => rows.may_have_more(),
                Rows::Partial(rows) => rows.may_have_more(),
                Rows::Owned(rows) => rows.may_have_more(),
            }
    }

    /// Returns results as one call to a RegionServer does (read-path.md §12.2): at most `max`, or, if that is
    /// `None`, at most the number [set by the scan](Scan::caching). Returns fewer at the end, or if the
    /// scan's limit on result size or on time, which applies to each call, is reached. Without any of these
    /// limits, returns all remaining results.
    ///
    /// # Errors
    ///
    /// If a file is damaged or unreadable, a filter cannot compare a value, a row has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes), or the region [was closed](crate::ErrorKind::Closed).
    pub fn next_results(&mut self, max: Option<usize>) -> Result<ScanResults> {
        self.check()?;
        self.is_reading = true;
        let results = self.results(max);
        self.is_reading = false;
        results.map_err(|error| self.fail(error))
    }

    fn results(&mut self, max: Option<usize>) -> Result<ScanResults> {
        let max = max.unwrap_or(if self.scan.caching == 0 { usize::MAX } else { self.scan.caching });
        let mut context = self.context();
        let clock = &*self.region.clock;
        if !self.scan.time_limit.is_zero() {
            let limit = whole_millis(self.scan.time_limit).max(1);
            context.end_at(clock.now().saturating_add(limit));
        }
        let mut heartbeat = false;
        let mut results: Vec<ScanResult> = Vec::new();
        while results.len() < max && self.left > 0 {
            if self.next_observed(&mut context)? {
                results.push(ScanResult { row: self.row.freeze(), partial: self.partial });
            } else if !self.more && self.left > 0 {
                // The last result is complete then, even if a limit was reached within it.
                if let Some(last) = results.last_mut() {
                    last.partial = false;
                }
            }
            if !self.more || context.is_size_reached(LimitScope::BetweenRows) {
                break;
            }
            heartbeat = context.is_time_reached(clock);
            if heartbeat {
                break;
            }
        }
        // Also for a call that requests no results.
        self.more &= !results.is_empty() || !self.is_filter_done();
        let more = self.more && self.left > 0;
        let cursor = if more { self.next_position() } else { None };
        Ok(ScanResults { results, more, heartbeat: heartbeat && more, cursor })
    }

    /// Returns the earliest position of the next result.
    fn next_position(&self) -> Option<Cursor> {
        let next = match &self.rows {
            Rows::Plain(_) => None,
            Rows::Partial(rows) => rows.next_row().map(<[u8]>::to_vec),
            Rows::Owned(rows) => rows.next_row(),
        };
        next.map(|row| Cursor::new(row, true)).or_else(|| self.position())
    }

    /// Returns the position of the scan, from which another scanner can [resume](Scan::resume) it later,
    /// possibly on another state of the region. Returns `None` before the first result, after an error, and
    /// at the end, unless the scan ended because of the [limit on rows](Scan::limit).
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        // After a panic, the row may lack cells.
        if self.is_reading { None } else { self.position() }
    }

    fn position(&self) -> Option<Cursor> {
        if !self.row.is_empty() {
            return Some(Cursor::new(self.row.as_row().key().to_vec(), self.partial));
        }
        // The limit was reached when the next row turned out to follow a part of this one.
        let is_after_part = self.left == 0 && !self.partial_row.is_empty();
        is_after_part.then(|| Cursor::new(self.partial_row.clone(), false))
    }

    /// Passes each cell of the remaining rows to `take`, until it returns `Break` or there are no more.
    ///
    /// # Errors
    ///
    /// If a file is damaged or unreadable, a filter cannot compare a value, a row has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes), or the region [was closed](crate::ErrorKind::Closed).
    /// Cells passed before the error are correct.
    pub fn for_each_cell(mut self, mut take: impl FnMut(CellRef<'_>) -> ControlFlow<()>) -> Result<()> {
        self.check()?;
        let may_have_mob = self.region.may_have_mob;
        let Some(rows) = self.rows.plain().filter(|_| !may_have_mob) else {
            while let Some(row) = self.next_row()? {
                if row.cells().try_for_each(&mut take).is_break() {
                    break;
                }
            }
            return Ok(());
        };
        let mut going = true;
        while going && self.left > 0 {
            self.region.check_open()?;
            let mut cells = 0u64;
            let more = rows.read_row(
                &mut take,
                |_, _| (),
                |take, cell| {
                    cells += 1;
                    let flow = take(cell);
                    going = flow.is_continue();
                    Ok(flow)
                },
            )?;
            going &= more;
            self.left -= u64::from(cells > 0);
        }
        Ok(())
    }

    /// Reads the next result, and calls the observers before and after.
    fn next_observed(&mut self, context: &mut ScannerContext) -> Result<bool> {
        let Some(Observed { region, scan }) = &self.observed else { return self.next_result(context) };
        let (region, scan) = (Arc::clone(region), Arc::clone(scan));
        while self.left > 0 && self.more {
            self.row.clear();
            let row = &mut self.row;
            if region.observe_or_bypass(|observer, hook| observer.pre_scanner_next(hook, &scan, row))? {
                (self.more, self.partial) = (!row.is_empty(), false);
                self.left -= u64::from(self.more);
                return Ok(self.more);
            }
            let piece_of = self.partial.then(|| self.partial_row.clone());
            let before = context.progress();
            let found = self.next_result(context)?;
            let is_rest = piece_of.is_some_and(|row| row == self.row.as_row().key());
            let row = &mut self.row;
            region.observe(|observer, hook| observer.post_scanner_next(hook, &scan, row))?;
            if !found {
                self.row.clear();
                return Ok(false);
            }
            if !self.row.is_empty() {
                return Ok(true);
            }
            if !is_rest {
                self.uncount_row();
            }
            // Otherwise the limit on size could end a call, and with it the scan, that has returned nothing.
            context.set_progress(before);
            if self.more && context.is_time_reached(&*region.clock) {
                return Ok(false);
            }
        }
        self.next_result(context)
    }

    /// Uncounts a row that observers have emptied: a scan of several regions continues in the next region
    /// only if this one has counted fewer rows than the limit.
    fn uncount_row(&mut self) {
        if self.partial {
            // It is counted if another part of it is returned.
            self.partial = false;
            self.partial_row.clear();
        } else {
            self.left += 1;
        }
    }

    fn context(&self) -> ScannerContext {
        let scope = if self.scan.allow_partial { LimitScope::BetweenCells } else { LimitScope::BetweenRows };
        ScannerContext::new(self.scan.batch, self.scan.max_result_size, scope)
    }

    /// Reads the next result. Returns false if there is none, or none within the limits of the call.
    fn next_result(&mut self, context: &mut ScannerContext) -> Result<bool> {
        while self.more && self.left > 0 {
            self.row.clear();
            context.begin_result();
            self.more = match &mut self.rows {
                Rows::Plain(rows) => next_whole_row(rows, &mut self.row)? && rows.may_have_more(),
                Rows::Partial(rows) => rows.next(context, &mut self.row)?,
                Rows::Owned(rows) => rows.next(context, &mut self.row)?,
            };
            if self.row.is_empty() {
                if context.is_size_reached(LimitScope::BetweenRows)
                    || context.is_time_reached(&*self.region.clock)
                {
                    break;
                }
                continue;
            }
            self.region.read_mob(self.scan.select.cache_blocks, &mut self.row)?;
            let row = self.row.as_row().key();
            if self.partial && row != self.partial_row {
                // A new row has begun, so the row of the last part is complete.
                self.partial = false;
                self.left -= 1;
                if self.left == 0 {
                    self.row.clear();
                    return Ok(false);
                }
            }
            self.partial = context.may_have_more_cells_in_row();
            self.partial_row.clear();
            if self.partial {
                self.partial_row.extend_from_slice(row);
            } else {
                self.left -= 1;
            }
            return Ok(true);
        }
        if !self.more {
            self.partial = false;
            self.row.clear();
        }
        Ok(false)
    }
}

/// Reads the next row that has any cells. Returns false if there is none.
#[inline]
fn next_whole_row(rows: &mut PlainRows<'_>, row: &mut RowBuf) -> Result<bool> {
    row.clear();
    loop {
        let more = rows.read_row(row, RowBuf::set_limit, |row, cell| {
            row.try_push(cell)?;
            Ok(ControlFlow::Continue(()))
        })?;
        if !more || !row.is_empty() {
            return Ok(more);
        }
    }
}

/// Returns the filter of a scan in its initial state.
fn start_filter(scan: &Scan) -> Result<Option<FilterEvaluator>> {
    let mut filter = scan.select.filter.as_ref().map(FilterEvaluator::new);
    if let Some(filter) = &mut filter {
        filter.set_reversed(scan.reversed);
    }
    scan.check_batch(filter.as_ref())?;
    Ok(filter)
}

impl RegionCore {
    /// Reads a row with a filter: runs a scan of one row and takes its first result.
    pub(super) fn get_filtered(
        &self,
        state: &RegionVersion,
        get: &Get,
        read_point: i64,
        row: &mut RowBuf,
    ) -> Result<()> {
        let scan = Scan::of_get(get, self.loads_families_on_demand);
        let mut rows =
            PartialResults::open(self, state, &scan, read_point, start_filter(&scan)?, self.clock.now())?;
        rows.next(&mut ScannerContext::unlimited(), row)?;
        if row.as_row().key() != get.row {
            // No result: row keys are never empty.
            row.clear();
        }
        self.counters.add(&ReadCounts { gets: 1, ..ReadCounts::default() });
        Ok(())
    }
}

impl Iterator for RegionScanner<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed.is_some() {
            return None;
        }
        let row = self.next_row().map(|row| row.map(RowRef::to_row));
        row.map_err(|error| self.fail(error)).transpose()
    }
}

impl fmt::Debug for RegionScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionScanner").field("scan", &*self.scan).finish_non_exhaustive()
    }
}
