//! Many rows: the stores of a region, row by row (read-path.md §11, §12; HBase: `RegionScannerImpl`, and the scanning part of
//! `RSRpcServices`).

mod observed;
mod owned;
mod pieces;
mod results;
mod stores;
mod whole_rows;

pub use owned::ResultScanner;
pub use results::{ScanResult, ScanResults};

use super::{Inner, ReadView, RegionState};
use crate::cell::{CellRef, Row, RowBuf, RowRef};
use crate::error::{Error, Result};
use crate::filter::FilterState;
use crate::metrics::ReadCounts;
use crate::op::{Cursor, Get, Scan};
use crate::store::context::{LimitScope, ScannerContext};
use observed::ObservedPieces;
use pieces::Pieces;
use std::fmt;
use std::ops::{ControlFlow, Deref};
use std::sync::Arc;
use whole_rows::WholeRows;

/// The rows that a scan asks for, in their order.
///
/// Three ways to take them, from the cheapest on: [`for_each_cell`](Self::for_each_cell) lends each cell, [`next_row`](Self::next_row)
/// lends rows from a buffer that is used again, and as an iterator it gives owned rows. [`next_results`](Self::next_results)
/// answers as a RegionServer answers one call.
pub struct RegionScanner<'v> {
    rows: Rows<'v>,
    region: &'v Inner,
    scan: ScanOf<'v>,
    /// The last result; empty before the first and at the end.
    row: RowBuf,
    /// Whether that is a piece of which the row may go on.
    partial: bool,
    /// The row of that piece.
    partial_row: Vec<u8>,
    /// How many rows may still be completed.
    left: u64,
    /// Whether anything may come behind the last result.
    more: bool,
    observed: Option<Observed>,
}

/// A scan, whose region may have observers that have changed it.
enum ScanOf<'v> {
    Caller(&'v Scan),
    Observed(Arc<Scan>),
}

impl Deref for ScanOf<'_> {
    type Target = Scan;

    fn deref(&self) -> &Scan {
        match self {
            Self::Caller(scan) => scan,
            Self::Observed(scan) => scan,
        }
    }
}

/// A scan whose region has observers. It borrows nothing, so that a scan may change while a scanner that is no longer used
/// has not gone yet.
struct Observed {
    region: Arc<Inner>,
    scan: Arc<Scan>,
}

impl Drop for Observed {
    fn drop(&mut self) {
        // nobody is there any more to be told of an error
        let _ = self.region.observe(|observer, context| observer.pre_scanner_close(context, &self.scan));
        let _ = self.region.observe(|observer, context| observer.post_scanner_close(context, &self.scan));
    }
}

/// The ways through rows, which give the same where both can go.
enum Rows<'v> {
    Whole(WholeRows<'v>),
    Pieces(Box<Pieces<'v>>),
    /// Pieces of a scan that observers may have changed.
    Observed(ObservedPieces<'v>),
}

impl<'v> RegionScanner<'v> {
    pub(super) fn new(view: &'v ReadView, scan: &'v Scan) -> Result<Self> {
        let (region, state) = (&*view.region, &*view.state);
        let read_point = view.point_for(scan.select.isolation);
        let rows = if scan.takes_whole_rows() {
            Rows::Whole(WholeRows::open(region, state, scan, read_point)?)
        } else {
            let filter = start_filter(scan)?;
            Rows::Pieces(Box::new(Pieces::open(region, state, scan, read_point, filter)?))
        };
        Ok(Self::of(rows, region, ScanOf::Caller(scan), None))
    }

    /// As [`new`](Self::new), of a region that has observers, who may have changed the scan.
    pub(super) fn observed(view: &'v ReadView, scan: Arc<Scan>) -> Result<Self> {
        let (region, state) = (&*view.region, &*view.state);
        let read_point = view.point_for(scan.select.isolation);
        let rows = Rows::Observed(ObservedPieces::open(region, state, Arc::clone(&scan), read_point)?);
        let observed = Observed { region: Arc::clone(&view.region), scan: Arc::clone(&scan) };
        Ok(Self::of(rows, region, ScanOf::Observed(scan), Some(observed)))
    }

    fn of(rows: Rows<'v>, region: &'v Inner, scan: ScanOf<'v>, observed: Option<Observed>) -> Self {
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
        }
    }

    /// The next row that has any of the cells asked for, lent until the next call; none at the end. If the scan has a
    /// [batch](Scan::batch), or [allows](Scan::allow_partial) a limit on size to cut rows, it may be a piece of a row: see
    /// [`is_partial`](Self::is_partial).
    ///
    /// # Errors
    ///
    /// If a file is damaged or cannot be read, a filter cannot compare what it finds, or the region
    /// [was closed](crate::ErrorKind::Closed).
    #[inline]
    pub fn next_row(&mut self) -> Result<Option<RowRef<'_>>> {
        self.region.check_open()?;
        let found = match &mut self.rows {
            Rows::Whole(_) if self.left == 0 => false,
            Rows::Whole(rows) => {
                let found = next_whole_row(rows, &mut self.row)?;
                self.left -= u64::from(found);
                self.more = found;
                found
            }
            Rows::Pieces(_) | Rows::Observed(_) => {
                let mut context = self.context();
                self.next_observed(&mut context)?
            }
        };
        Ok(if found { Some(self.row.as_row()) } else { None })
    }

    /// Whether the last result is a piece, and more cells of its row may follow in the next one. It may turn out that there are none.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// Whether the filter has said that it takes no more rows: then a scan of several regions ends, too.
    pub(crate) fn is_filter_done(&self) -> bool {
        match &self.rows {
            Rows::Whole(_) => false,
            Rows::Pieces(rows) => rows.is_filter_done(),
            Rows::Observed(rows) => rows.is_filter_done(),
        }
    }

    /// The row that was lent last.
    pub(crate) fn row(&self) -> RowRef<'_> {
        self.row.as_row()
    }

    /// Whether there may be another result: false once the end or the limit is known to be reached. A row that is there may still
    /// turn out to have no cells that are asked for.
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        self.left > 0
            && self.more
            && match &self.rows {
                Rows::Whole(rows) => rows.may_have_more(),
                Rows::Pieces(rows) => rows.may_have_more(),
                Rows::Observed(rows) => rows.may_have_more(),
            }
    }

    /// Results as a RegionServer gives them in one call (read-path.md §12.2): no more than `max`, or than
    /// [the scan says](Scan::caching); fewer if the scan's limit on size is reached, which counts anew in every call, or the
    /// end. Without any of these, all that are left.
    ///
    /// # Errors
    ///
    /// As [`next_row`](Self::next_row).
    pub fn next_results(&mut self, max: Option<usize>) -> Result<ScanResults> {
        self.region.check_open()?;
        let max = max.unwrap_or(if self.scan.caching == 0 { usize::MAX } else { self.scan.caching });
        let mut context = self.context();
        let mut results: Vec<ScanResult> = Vec::new();
        while results.len() < max && self.left > 0 {
            if self.next_observed(&mut context)? {
                results.push(ScanResult { row: self.row.freeze(), partial: self.partial });
            } else if !self.more && self.left > 0 {
                // then the last one is complete, though a limit was reached in it
                if let Some(last) = results.last_mut() {
                    last.partial = false;
                }
            }
            if !self.more || context.is_size_reached(LimitScope::BetweenRows) {
                break;
            }
        }
        Ok(ScanResults { results, more: self.more && self.left > 0 })
    }

    /// Where the scan has come to, to [resume](Scan::resume) it later with another scanner, which may see another state of the
    /// region. None before the first result, and at the end, but for that by the [limit of rows](Scan::limit).
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        if !self.row.is_empty() {
            return Some(Cursor::new(self.row.as_row().key().to_vec(), self.partial));
        }
        // the limit was reached when a row followed upon a piece
        let is_behind_piece = self.left == 0 && !self.partial_row.is_empty();
        is_behind_piece.then(|| Cursor::new(self.partial_row.clone(), false))
    }

    /// Lends each cell of the rows that are left to `take`, until that breaks off or there are no more.
    ///
    /// # Errors
    ///
    /// As [`next_row`](Self::next_row). Cells lent before are right.
    pub fn for_each_cell(mut self, mut take: impl FnMut(CellRef<'_>) -> ControlFlow<()>) -> Result<()> {
        let Rows::Whole(rows) = &mut self.rows else {
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
            let more = rows.read_row(|cell| {
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

    /// Reads the next result, before and behind which the observers are called.
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
            let found = self.next_result(context)?;
            let row = &mut self.row;
            region.observe(|observer, hook| observer.post_scanner_next(hook, &scan, row))?;
            if !found {
                self.row.clear();
                return Ok(false);
            }
            if !self.row.is_empty() {
                return Ok(true);
            }
        }
        self.next_result(context)
    }

    fn context(&self) -> ScannerContext {
        let scope = if self.scan.allow_partial { LimitScope::BetweenCells } else { LimitScope::BetweenRows };
        ScannerContext::new(self.scan.batch, self.scan.max_result_size, scope)
    }

    /// Reads the next result; false if there is none, or none before the limits of the call.
    fn next_result(&mut self, context: &mut ScannerContext) -> Result<bool> {
        while self.more && self.left > 0 {
            self.row.clear();
            context.begin_result();
            self.more = match &mut self.rows {
                Rows::Whole(rows) => next_whole_row(rows, &mut self.row)? && rows.may_have_more(),
                Rows::Pieces(rows) => rows.next(context, &mut self.row)?,
                Rows::Observed(rows) => rows.next(context, &mut self.row)?,
            };
            if self.row.is_empty() {
                if context.is_size_reached(LimitScope::BetweenRows) {
                    break;
                }
                continue;
            }
            let row = self.row.as_row().key();
            if self.partial && row != self.partial_row {
                // which means that the row of the piece is complete
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

/// Reads the next row that has any cells; false if there is none.
#[inline]
fn next_whole_row(rows: &mut WholeRows<'_>, row: &mut RowBuf) -> Result<bool> {
    row.clear();
    loop {
        let more = rows.read_row(|cell| {
            row.push(cell);
            Ok(ControlFlow::Continue(()))
        })?;
        if !more || !row.is_empty() {
            return Ok(more);
        }
    }
}

/// The filter of a scan, as it is when the scan begins.
fn start_filter(scan: &Scan) -> Result<Option<FilterState>> {
    let mut filter = scan.select.filter.as_ref().map(FilterState::new);
    if let Some(filter) = &mut filter {
        filter.set_reversed(scan.reversed);
    }
    if scan.batch > 0 && filter.as_ref().is_some_and(FilterState::has_filter_row) {
        return Err(Error::incompatible_filter(
            "a filter that judges whole rows and a batch, which cuts them, do not go together",
        ));
    }
    Ok(filter)
}

impl Inner {
    /// Reads a row that a filter judges: a scan of one row, of which the first result is taken.
    pub(super) fn get_filtered(
        &self,
        state: &RegionState,
        get: &Get,
        read_point: i64,
        row: &mut RowBuf,
    ) -> Result<()> {
        let scan = Scan::of_get(get);
        let mut rows = Pieces::open(self, state, &scan, read_point, start_filter(&scan)?)?;
        rows.next(&mut ScannerContext::unlimited(), row)?;
        if row.as_row().key() != get.row {
            // there is no row without a key
            row.clear();
        }
        self.counters.add(&ReadCounts { gets: 1, ..ReadCounts::default() });
        Ok(())
    }
}

impl Iterator for RegionScanner<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_row().map(|row| row.map(RowRef::to_row)).transpose()
    }
}

impl fmt::Debug for RegionScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegionScanner").field("scan", &*self.scan).finish_non_exhaustive()
    }
}
