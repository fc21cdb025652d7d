//! Many regions: a table under a root directory (locator.md §13, §16.4; HBase: `Table`, `ResultScanner`).
//!
//! ```
//! use hregion::{Get, Scan, Table};
//!
//! # fn main() -> hregion::Result<()> {
//! # let root = "testdata/region/split-references/root";
//! let table = Table::open(root, "halves")?; // reads only
//! let row = table.get(&Get::new("row-0100"))?;
//! # assert!(!row.is_empty());
//! let view = table.view();
//! let scan = Scan::new().rows("row-0050".."row-0070"); // of two regions
//! let mut rows = view.scan(&scan)?;
//! let mut count = 0;
//! while let Some(row) = rows.next_row()? {
//!     count += row.len();
//! }
//! # assert!(count > 0);
//! # Ok(())
//! # }
//! ```

mod open;
mod owned;
mod scanner;
mod steps;
mod view;
mod write;

pub use owned::TableResultScanner;
pub use scanner::TableScanner;
pub use view::TableView;

use crate::cell::{Row, RowBuf, RowRef};
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::locator::{Locator, Position, RegionLocations, TilingFault};
use crate::op::{Get, Scan};
use crate::region::{Region, RegionOptions};
use crate::schema::{RegionInfo, TableName};
use crate::sync::unpoisoned;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use steps::{RowsLeft, Steps};

/// A table on a disk: its regions, opened as they are needed, and a [`Locator`] that says which of them has a row.
///
/// Cheap to clone, and safe to share between threads; clones are the same table. Rows are whole; there is no moment that is the
/// same for several regions.
///
/// A table whose regions do not fit together is opened all the same. Reads that concern rows which no region has, or
/// several, fail with the kind [`Inconsistent`](ErrorKind::Inconsistent); others succeed.
#[derive(Clone)]
pub struct Table(Arc<Inner>);

struct Inner {
    name: TableName,
    locator: Locator,
    /// In the order of their rows.
    places: Vec<Place>,
    /// What is wrong with them, in the order of the rows.
    faults: Vec<TilingFault>,
    options: RegionOptions,
    /// How many regions are kept open.
    open: AtomicUsize,
    is_closed: AtomicBool,
}

/// A region that serves rows.
struct Place {
    info: RegionInfo,
    path: PathBuf,
    region: OnceLock<Region>,
    /// Held while it is opened, so that it is opened once.
    opening: Mutex<()>,
}

/// How many regions are kept open once they have been. Each has its files open; writable regions stay open all the same, as they
/// hold what has been written.
const KEPT_OPEN: usize = 256;

impl Table {
    /// Opens a table under a root directory, `name` or `namespace:name`, for reading. Nothing in it is changed.
    ///
    /// # Errors
    ///
    /// If there is no such table ([`TableNotFound`](ErrorKind::TableNotFound)), or its directories cannot be read.
    pub fn open(root: impl AsRef<Path>, name: &str) -> Result<Self> {
        Self::open_with(root, name, Region::options())
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.0.name
    }

    /// The regions that serve rows, in the order of the rows.
    pub fn regions(&self) -> impl ExactSizeIterator<Item = &RegionInfo> {
        self.0.places.iter().map(|place| &place.info)
    }

    /// What is wrong with the regions: rows that none has, or several, in the order of the rows.
    #[must_use]
    pub fn faults(&self) -> &[TilingFault] {
        &self.0.faults
    }

    /// The region that has a row, opened.
    ///
    /// # Errors
    ///
    /// If not one region has the row, or it cannot be opened.
    pub fn region(&self, row: impl AsRef<[u8]>) -> Result<Region> {
        self.0.region(self.0.find(row.as_ref())?)
    }

    /// Reads a row. A row that is not there has no cells.
    ///
    /// # Errors
    ///
    /// As [`Region::get`]; or if not one region has the row.
    pub fn get(&self, get: &Get) -> Result<Row> {
        self.region(get.row())?.get(get)
    }

    /// Reads a row into a buffer; false if there are no cells.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_into(&self, get: &Get, row: &mut RowBuf) -> Result<bool> {
        row.clear();
        self.region(get.row())?.get_into(get, row)
    }

    /// Whether a row has any of the cells asked for.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn exists(&self, get: &Get) -> Result<bool> {
        self.region(get.row())?.exists(get)
    }

    /// Reads rows, those of one region all as they are at one moment; answers in the order asked.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), for one that fails.
    pub fn get_many(&self, gets: &[Get]) -> Result<Vec<Row>> {
        self.view().get_many(gets)
    }

    /// Reads the rows of a range, in their order, with a scanner that borrows nothing: each region as it is when the scan comes to it.
    ///
    /// # Errors
    ///
    /// As [`TableView::scan`].
    pub fn scan(&self, scan: Scan) -> Result<TableResultScanner> {
        TableResultScanner::new(self.view(), scan)
    }

    /// Closes all regions, as [`Region::close`] does: what is in memory is flushed, and other processes may open them for
    /// writing. Every read and write of the table fails with the kind [`Closed`](ErrorKind::Closed) from then on, through
    /// clones, views and scanners too. Closing a closed table does nothing.
    ///
    /// # Errors
    ///
    /// As [`Region::close`], for the first region that fails; the others are closed all the same. Nothing is lost of one whose
    /// memory could not be flushed: it is closed when this is called again.
    pub fn close(&self) -> Result<()> {
        self.0.is_closed.store(true, Ordering::Release);
        let close = |place: &Place| {
            // One that is being opened is opened first.
            let _opening = unpoisoned(place.opening.lock());
            place.region.get().map_or(Ok(()), Region::close)
        };
        self.0.places.iter().map(close).fold(Ok(()), Result::and)
    }

    /// The table for any number of reads: each region as it is when it is read first, which does not move from then on. It keeps
    /// what it has read open.
    #[must_use]
    pub fn view(&self) -> TableView {
        TableView::new(self.clone())
    }

    /// Lends the rows that a scan asks for to `take`, until that breaks off or there are no more. One region at a time is open for
    /// it, however many there are.
    ///
    /// # Errors
    ///
    /// As [`TableView::scan`] and [`TableScanner::next_row`]. Rows lent before are right.
    pub fn for_each_row<E: From<Error>>(
        &self,
        scan: &Scan,
        mut take: impl FnMut(RowRef<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut steps = Steps::new(scan);
        let mut left = RowsLeft::new(scan);
        while !left.is_none()
            && let Some(at) = steps.next(&self.0)?
        {
            let view = self.0.region(at)?.view();
            let mut rows = view.scan(scan)?;
            while !left.is_none() && rows.next_row()?.is_some() {
                if !left.take(rows.row(), rows.is_partial()) || take(rows.row())?.is_break() {
                    return Ok(());
                }
            }
            if rows.is_filter_done() {
                break; // the filter wants no more rows, of whichever region
            }
            left.end_region();
        }
        Ok(())
    }
}

impl Inner {
    /// Which of the regions has a row.
    fn find(&self, row: &[u8]) -> Result<usize> {
        let end = [row, &[0]].concat();
        if let Some(fault) = self.faults.iter().find(|fault| fault.touches(row, &end)) {
            return Err(fault.to_error());
        }
        self.place_of(self.locator.locate(&self.name, row)?.region())
    }

    /// The region at a row, or before or behind it.
    fn locate(&self, row: &[u8], position: Position) -> Result<RegionLocations> {
        self.locator.locate_position(&self.name, row, position, false, Deadline::NEVER)
    }

    /// Where a region is among those of the table.
    fn place_of(&self, region: &RegionInfo) -> Result<usize> {
        let at = self.places.binary_search_by(|place| place.info.start_key().cmp(region.start_key()));
        let at = at.ok().filter(|at| self.places.get(*at).is_some_and(|place| place.info == *region));
        at.ok_or_else(|| {
            let message = format!("{region} was not there when the table was opened");
            Error::locating(ErrorKind::RegionNotFound, message)
        })
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(Error::closed()) } else { Ok(()) }
    }

    /// A region, opened now or before.
    fn region(&self, at: usize) -> Result<Region> {
        let Some(place) = self.places.get(at) else {
            return Err(Error::locating(ErrorKind::RegionNotFound, "the table has not as many regions"));
        };
        self.check_open()?;
        if let Some(region) = place.region.get() {
            return Ok(region.clone());
        }
        let _opening = unpoisoned(place.opening.lock());
        // Not before: a table that is closed waits for this lock.
        self.check_open()?;
        if let Some(region) = place.region.get() {
            return Ok(region.clone());
        }
        let region = self.options.clone().open(&place.path)?;
        let is_kept = self.options.is_writable() || self.open.fetch_add(1, Ordering::Relaxed) < KEPT_OPEN;
        if is_kept {
            let _ = place.region.set(region.clone());
        }
        Ok(region)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", self.name())
            .field("regions", &self.0.places.len())
            .field("faults", &self.0.faults)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
