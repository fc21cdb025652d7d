//! Explains the result of a read: runs it, and also reads every stored cell of its rows.

use super::stores::{Bounds, query_of};
use super::{RegionScanner, compare_rows};
use crate::cell::{Row, RowBuf};
use crate::error::{Corruption, Error, Result};
use crate::op::{Get, Scan};
use crate::region::{ReadView, Region};
use crate::store::matcher::ScanInfo;
use crate::store::{ExplainedCell, ExplainedFile, ReturnedCells, StoreExplainer};
use std::ops::ControlFlow;

/// The files and rows of an explained read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The files of the region by family, oldest first.
    pub files: Vec<ExplainedFile>,
    /// The number of rows returned.
    pub rows: u64,
    /// Whether `take` or the filter has ended the read, including the following regions.
    pub is_over: bool,
}

impl Region {
    /// Like [`ReadView::explain`], on the region's current state.
    ///
    /// # Errors
    ///
    /// Same as [`ReadView::explain`].
    pub fn explain(
        &self,
        scan: &Scan,
        take: impl FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
    ) -> Result<Explanation> {
        self.view().explain(scan, take)
    }

    /// Like [`ReadView::explain_get`], on the region's current state.
    ///
    /// # Errors
    ///
    /// Same as [`ReadView::explain_get`].
    pub fn explain_get(
        &self,
        get: &Get,
        take: impl FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
    ) -> Result<Explanation> {
        self.view().explain_get(get, take)
    }
}

impl ReadView {
    /// Explains a scan: passes every stored cell of its rows to `take`, with the rule that keeps or hides it,
    /// until `take` breaks. Rows come in the direction of the scan, and their cells in order of the families.
    /// The [returned](crate::region::CellReason::Returned) cells are the result of the scan, in order; a
    /// filter may change their values in the result.
    ///
    /// If a [limit on rows](Scan::limit) ends the scan, the explanation ends with the last row.
    ///
    /// Reads all files of the rows, including those that the scan skips. Uses memory for one row of the
    /// result, and for the delete markers of one row.
    ///
    /// # Errors
    ///
    /// Same as [`scan`](Self::scan); or if the region has observers, which may change what is returned; or if
    /// a file's Bloom filter or time range excludes cells that the file has.
    pub fn explain(
        &self,
        scan: &Scan,
        mut take: impl FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
    ) -> Result<Explanation> {
        self.region.check_open()?;
        if !self.region.observers.is_empty() {
            let message =
                "reads of a region with observers cannot be explained: they may change what is returned";
            return Err(Error::not_supported(message));
        }
        let now = self.region.clock.now();
        let mut results = WholeRows { scanner: RegionScanner::at(self, scan, now)?, ahead: RowBuf::new() };
        let (mut stores, files) = open(self, scan, now)?;
        let bounds = Bounds::of(scan, self.region.order);
        let mut explanation = Explanation { files, ..Explanation::default() };
        let mut row = Vec::new();
        while !results.are_over() && first_row(&stores, scan, self, &mut row) && !bounds.is_after_end(&row) {
            self.region.check_open()?;
            let result = results.take(&row)?;
            explanation.rows += u64::from(!result.is_empty());
            let mut returned =
                ReturnedCells::new(result.cells(), self.region.order, scan.select.filter.is_some());
            for store in stores.iter_mut().filter(|store| store.peek_row() == Some(&row)) {
                if store.explain_row(Some(&mut returned), &mut take)?.is_break() {
                    explanation.is_over = true;
                    return Ok(explanation);
                }
            }
            if !returned.is_empty() {
                return Err(not_stored(self));
            }
        }
        if !results.ahead.is_empty() {
            return Err(not_stored(self));
        }
        explanation.is_over = results.scanner.is_filter_done() && explanation.rows == 0;
        Ok(explanation)
    }

    /// Explains a get, as [`explain`](Self::explain).
    ///
    /// # Errors
    ///
    /// Same as [`explain`](Self::explain), or if the row is empty or outside of the region.
    pub fn explain_get(
        &self,
        get: &Get,
        take: impl FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
    ) -> Result<Explanation> {
        // A scan from the empty row to the empty row would return all rows.
        if get.row().is_empty() {
            return Err(Error::invalid_argument("a get of the empty row returns nothing: no row is empty"));
        }
        self.region.check_row(get.row())?;
        self.explain(&Scan::of_get(get, self.region.loads_families_on_demand), take)
    }
}

/// Opens an explainer of each store, and returns the files of all.
fn open<'v>(
    view: &'v ReadView,
    scan: &'v Scan,
    now: i64,
) -> Result<(Vec<StoreExplainer<'v>>, Vec<ExplainedFile>)> {
    let read_point = view.point_for(scan.select.isolation);
    let (mut stores, mut files) = (Vec::new(), Vec::new());
    for (store, state) in view.region.stores.iter().zip(&view.state.stores) {
        let family = &store.family;
        let columns = scan.columns().of(family.name());
        let wanted = scan.columns().is_empty() || columns.is_some();
        let query = query_of(scan, store, columns.unwrap_or_default(), read_point);
        let may_have_tags = read_point == i64::MAX || state.may_have_tags();
        let info = ScanInfo::new(family, now, may_have_tags);
        files.extend(state.explain_files(&query, &info, wanted));
        stores.push(StoreExplainer::new(state, &query, &info, wanted)?);
    }
    Ok((stores, files))
}

/// Sets `row` to the next row of the stores, in scan direction. Returns false if there is none.
fn first_row(stores: &[StoreExplainer<'_>], scan: &Scan, view: &ReadView, row: &mut Vec<u8>) -> bool {
    let rows = stores.iter().filter_map(StoreExplainer::peek_row);
    let Some(first) = rows.min_by(|a, b| compare_rows(view.region.order, scan.reversed, a, b)) else {
        return false;
    };
    row.clear();
    row.extend_from_slice(first);
    true
}

#[cold]
fn not_stored(view: &ReadView) -> Error {
    Corruption::Malformed("a cell that was read is not found again").at(view.region.dir.path(), 0)
}

/// The results of a scan, with the parts of each row joined.
struct WholeRows<'v> {
    scanner: RegionScanner<'v>,
    /// The first part of the next row; empty if it has not been read, or there is none.
    ahead: RowBuf,
}

impl WholeRows<'_> {
    /// Whether a limit has ended the scan, and all rows have been taken.
    fn are_over(&self) -> bool {
        self.scanner.left == 0 && self.ahead.is_empty()
    }

    /// Returns the cells of a row; rows must be asked for in their order.
    fn take(&mut self, row: &[u8]) -> Result<Row> {
        if self.ahead.is_empty() && !self.advance()? {
            return Ok(RowBuf::new().freeze());
        }
        let mut whole = RowBuf::new();
        whole.set_limit(self.scanner.region.max_row_bytes);
        while self.ahead.as_row().key() == row {
            self.ahead.as_row().cells().try_for_each(|cell| whole.try_push(cell))?;
            self.advance()?;
        }
        Ok(whole.freeze())
    }

    /// Reads the next part.
    fn advance(&mut self) -> Result<bool> {
        self.ahead.clear();
        if let Some(row) = self.scanner.next_row()? {
            row.cells().for_each(|cell| self.ahead.push(cell));
        }
        Ok(!self.ahead.is_empty())
    }
}
