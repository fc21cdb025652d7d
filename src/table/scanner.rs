//! Scans over many regions, one after the other (locator.md §13; HBase: `ClientScanner`).

use super::TableView;
use super::steps::{RowsLeft, Steps};
use crate::cell::{Row, RowRef};
use crate::error::{Error, Result};
use crate::op::Scan;
use crate::region::{RegionScanner, ScanResult, ScanResults};
use std::fmt;

/// The rows of a table scan, in order, each read once from its region (HBase: `ClientScanner`).
///
/// A scanner that has failed returns the same error again; as an iterator, it ends. After a panic within a
/// call, of a filter or a hook for example, later ones fail.
pub struct TableScanner<'v> {
    view: &'v TableView,
    scan: &'v Scan,
    steps: Steps<'v>,
    /// The scanner of the current region.
    rows: Option<RegionScanner<'v>>,
    left: RowsLeft,
    /// The error of a call that failed.
    failed: Option<Error>,
    /// Whether a call is in progress or has panicked.
    is_reading: bool,
}

impl<'v> TableScanner<'v> {
    pub(super) fn new(view: &'v TableView, scan: &'v Scan) -> Result<Self> {
        let (steps, left) = (Steps::new(scan), RowsLeft::new(scan));
        let mut scanner = Self { view, scan, steps, rows: None, left, failed: None, is_reading: false };
        scanner.open_next_region()?;
        Ok(scanner)
    }

    /// Returns the next row that has any of the cells requested, valid until the next call; `None` at the
    /// end. The result may be a part of a row if the scan has a [batch](Scan::batch), or
    /// [allows](Scan::allow_partial) the limit on result size to split rows: see
    /// [`is_partial`](Self::is_partial).
    ///
    /// # Errors
    ///
    /// If a file is damaged or unreadable, or the scan reaches rows that no region, or more than one, has.
    /// Rows returned before are correct.
    pub fn next_row(&mut self) -> Result<Option<RowRef<'_>>> {
        self.check()?;
        self.is_reading = true;
        let advanced = self.advance();
        self.is_reading = false;
        match advanced {
            Ok(true) => Ok(self.rows.as_ref().map(RegionScanner::row)),
            Ok(false) => Ok(None),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Whether the last result is a part of a row, and the next result may have more cells of that row. In
    /// the end, there may be none.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.rows.as_ref().is_some_and(RegionScanner::is_partial)
    }

    /// Returns results as one call to a server does: at most `max`, and within the scan's limits on result
    /// size and on time ([`RegionScanner::next_results`]). A call reads only one region: at the region's end
    /// it returns fewer results, or none, and the next call reads the next region.
    ///
    /// # Errors
    ///
    /// If a file is damaged or unreadable, or the scan reaches rows that no region, or more than one, has.
    /// Rows returned before are correct.
    pub fn next_results(&mut self, max: Option<usize>) -> Result<ScanResults> {
        self.check()?;
        self.is_reading = true;
        let results = self.results(max);
        self.is_reading = false;
        results.map_err(|error| self.fail(error))
    }

    /// Fails if the table is closed, or an earlier call has failed.
    fn check(&self) -> Result<()> {
        self.view.table().0.check_open()?;
        if self.is_reading {
            return Err(Error::invalid_argument("an earlier call of the scanner panicked"));
        }
        self.failed.as_ref().map_or(Ok(()), |error| Err(error.clone()))
    }

    fn results(&mut self, max: Option<usize>) -> Result<ScanResults> {
        let Some(rows) = self.rows.as_mut().filter(|_| !self.left.is_none()) else {
            return Ok(ScanResults::end());
        };
        let mut call = rows.next_results(max)?;
        let is_filter_done = rows.is_filter_done();
        let within = |result: &&ScanResult| self.left.take(result.row.as_row(), result.partial);
        let count = call.results.iter().take_while(within).count();
        let ends = count < call.results.len();
        call.results.truncate(count);
        if !call.more && !ends && !self.left.end_region(is_filter_done) && !self.left.is_none() {
            call.cursor = self.steps.position();
            self.open_next_region()?;
            call.more = self.rows.is_some();
        }
        if !call.more || ends || self.left.is_none() {
            self.rows = None;
            (call.more, call.heartbeat, call.cursor) = (false, false, None);
        }
        Ok(call)
    }

    /// Reads the next row, which [`rows`](Self::rows) then has. Returns false at the end.
    fn advance(&mut self) -> Result<bool> {
        while !self.left.is_none()
            && let Some(rows) = &mut self.rows
        {
            if rows.next_row()?.is_some() {
                if !self.left.take(rows.row(), rows.is_partial()) {
                    break;
                }
                return Ok(true);
            }
            if self.left.end_region(rows.is_filter_done()) {
                break;
            }
            self.open_next_region()?;
        }
        self.rows = None;
        Ok(false)
    }

    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        self.rows = None;
        self.failed.insert(error).clone()
    }

    /// Advances to the next region.
    fn open_next_region(&mut self) -> Result<()> {
        self.rows = None;
        if let Some((region, rest)) = self.view.next_region(&mut self.steps)? {
            self.rows = Some(match rest {
                None => region.scan(self.scan)?,
                Some(rest) => region.scan_owned(rest)?,
            });
        }
        Ok(())
    }
}

impl Iterator for TableScanner<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed.is_some() {
            return None;
        }
        let row = self.next_row().map(|row| row.map(RowRef::to_row));
        row.map_err(|error| self.fail(error)).transpose()
    }
}

impl fmt::Debug for TableScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableScanner").field("scan", self.scan).finish_non_exhaustive()
    }
}
