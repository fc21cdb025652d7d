//! Tables of many regions under a root directory (locator.md §13, §16.4; HBase: `Table`, `ResultScanner`).
//!
//! ```
//! use hregion::{Get, Scan, Table};
//!
//! # fn main() -> hregion::Result<()> {
//! # let root = "testdata/region/split-references/root";
//! let table = Table::open(root, "halves")?; // for reading only
//! let row = table.get(&Get::new("row-0100"))?;
//! # assert!(!row.is_empty());
//! let view = table.view();
//! let scan = Scan::new().rows("row-0050".."row-0070"); // spans two regions
//! let mut rows = view.scan(&scan)?;
//! let mut count = 0;
//! while let Some(row) = rows.next_row()? {
//!     count += row.len();
//! }
//! # assert!(count > 0);
//! # Ok(())
//! # }
//! ```

mod admin;
mod alter;
mod bulk_load;
mod compact;
mod open;
mod owned;
mod recover;
mod scanner;
mod snapshot;
mod steps;
mod view;
mod write;

pub use alter::TableChanges;
pub use bulk_load::BulkLoad;
pub use owned::TableResultScanner;
pub use recover::{RegionOutcome, RegionRecovery, RootRecovery};
pub use scanner::TableScanner;
pub use view::TableView;

use crate::cell::{Row, RowBuf, RowRef};
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::Snapshot;
use crate::locator::{LocateType, Locator, RegionInconsistency, RegionLocations};
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

/// A table on disk, as it is or [as in a snapshot](Self::open_snapshot): its regions, which are opened on
/// first use, and a [`Locator`] that finds the region of a row.
///
/// Cheap to clone, and safe to share between threads; clones are the same table. Rows are read and written as
/// a whole, but there is no common point in time for several regions.
///
/// A table with inconsistent regions can still be opened. Reads of rows that no region has, or more than one,
/// fail with the kind [`Inconsistent`](ErrorKind::Inconsistent); other reads succeed.
#[derive(Clone)]
pub struct Table(Arc<TableCore>);

struct TableCore {
    name: TableName,
    locator: Locator,
    /// The regions in row order.
    places: Vec<RegionSlot>,
    /// The inconsistencies between regions, in row order.
    faults: Vec<RegionInconsistency>,
    options: RegionOptions,
    /// The number of regions kept open.
    open: AtomicUsize,
    is_closed: AtomicBool,
}

/// A region that serves rows.
struct RegionSlot {
    info: RegionInfo,
    source: RegionSource,
    region: OnceLock<Region>,
    /// Held while the region is being opened, so that it is opened only once.
    opening: Mutex<()>,
}

/// What a region is opened from.
enum RegionSource {
    /// A directory.
    Dir(PathBuf),
    /// The region of a snapshot at an index.
    Snapshot(Arc<Snapshot>, usize),
}

impl RegionSource {
    fn open(&self, options: RegionOptions) -> Result<Region> {
        match self {
            Self::Dir(path) => options.open(path),
            Self::Snapshot(snapshot, index) => match snapshot.region(*index) {
                Some(region) => options.open_of_snapshot(snapshot, region),
                None => Err(Error::locating(ErrorKind::RegionNotFound, "the snapshot has fewer regions")),
            },
        }
    }
}

/// The maximum number of regions kept open after use, because each has its files open. Writable regions are
/// always kept open, because they hold unflushed writes.
const KEPT_OPEN: usize = 256;

impl Table {
    /// Opens a table under a root directory, `name` or `namespace:name`, for reading. Changes nothing in it.
    ///
    /// # Errors
    ///
    /// If the table does not exist ([`TableNotFound`](ErrorKind::TableNotFound)), or its directories cannot
    /// be read.
    pub fn open(root: impl AsRef<Path>, name: &str) -> Result<Self> {
        Self::open_with(root, name, Region::options())
    }

    /// Returns the table's name.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.0.name
    }

    /// Returns the regions that serve rows, in row order.
    pub fn regions(&self) -> impl ExactSizeIterator<Item = &RegionInfo> {
        self.0.places.iter().map(|place| &place.info)
    }

    /// Returns the inconsistencies between regions, in row order: ranges of rows that no region has, or more
    /// than one.
    #[must_use]
    pub fn inconsistencies(&self) -> &[RegionInconsistency] {
        &self.0.faults
    }

    /// Returns the region that has a row, and opens it if necessary.
    ///
    /// # Errors
    ///
    /// If no region, or more than one, has the row, or the region cannot be opened.
    pub fn region(&self, row: impl AsRef<[u8]>) -> Result<Region> {
        self.0.region(self.0.find(row.as_ref())?)
    }

    /// Reads a row. A row that does not exist has no cells.
    ///
    /// # Errors
    ///
    /// As [`Region::get`]; or if no region, or more than one, has the row.
    pub fn get(&self, get: &Get) -> Result<Row> {
        self.region(get.row())?.get(get)
    }

    /// Reads a row into a buffer. Returns false if there are no cells.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_into(&self, get: &Get, row: &mut RowBuf) -> Result<bool> {
        row.clear();
        self.region(get.row())?.get_into(get, row)
    }

    /// Whether a row has any of the cells requested.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn exists(&self, get: &Get) -> Result<bool> {
        self.region(get.row())?.exists(get)
    }

    /// Reads rows, and returns them in the order of `gets`. Rows of the same region are read at the same
    /// point in time.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), for any of the rows.
    pub fn get_many(&self, gets: &[Get]) -> Result<Vec<Row>> {
        self.view().get_many(gets)
    }

    /// Reads the rows of a range, in order, with a scanner that borrows nothing. Each region is read as it is
    /// when the scan reaches it.
    ///
    /// # Errors
    ///
    /// As [`TableView::scan`].
    pub fn scan(&self, scan: Scan) -> Result<TableResultScanner> {
        TableResultScanner::new(self.view(), scan)
    }

    /// Closes all regions, as [`Region::close`] does: flushes their memory, and lets other processes open
    /// them for writing. From then on every read and write of the table fails with the kind
    /// [`Closed`](ErrorKind::Closed), also through clones, views and scanners. Closing a closed table does
    /// nothing.
    ///
    /// # Errors
    ///
    /// As [`Region::close`], for the first region that fails; the others are still closed. A region whose
    /// memory could not be flushed loses nothing, and is closed when this is called again.
    pub fn close(&self) -> Result<()> {
        self.0.is_closed.store(true, Ordering::Release);
        let close = |place: &RegionSlot| {
            // Waits for a region that is being opened, and then closes it.
            let _opening = unpoisoned(place.opening.lock());
            place.region.get().map_or(Ok(()), Region::close)
        };
        self.0.places.iter().map(close).fold(Ok(()), Result::and)
    }

    /// Returns a view of the table for any number of reads. Each region is read as it is at its first read
    /// through the view, and does not change from then on. The view keeps open the regions it has read.
    #[must_use]
    pub fn view(&self) -> TableView {
        TableView::new(self.clone())
    }

    /// Passes the rows of a scan to `take`, until it returns `Break` or there are no more. Opens one region
    /// at a time, however many there are.
    ///
    /// # Errors
    ///
    /// As [`TableView::scan`] and [`TableScanner::next_row`]. Rows passed before the error are correct.
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
                break; // the filter accepts no more rows, of any region
            }
            left.end_region();
        }
        Ok(())
    }
}

impl TableCore {
    /// Returns the index of the region that has a row.
    fn find(&self, row: &[u8]) -> Result<usize> {
        let end = [row, &[0]].concat();
        if let Some(fault) = self.faults.iter().find(|fault| fault.touches(row, &end)) {
            return Err(fault.to_error());
        }
        self.place_of(self.locator.locate(&self.name, row)?.region())
    }

    /// Locates the region at, before or after a row.
    fn locate(&self, row: &[u8], position: LocateType) -> Result<RegionLocations> {
        self.locator.locate_position(&self.name, row, position, false, Deadline::NEVER)
    }

    /// Returns the index of a region among those of the table.
    fn place_of(&self, region: &RegionInfo) -> Result<usize> {
        let at = self.places.binary_search_by(|place| place.info.start_key().cmp(region.start_key()));
        let at = at.ok().filter(|at| self.places.get(*at).is_some_and(|place| place.info == *region));
        at.ok_or_else(|| {
            let message = format!("{region} did not exist when the table was opened");
            Error::locating(ErrorKind::RegionNotFound, message)
        })
    }

    /// Whether the region at an index has a row.
    fn has_row(&self, at: usize, row: &[u8]) -> bool {
        self.places.get(at).is_some_and(|place| place.info.contains(row))
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(Error::closed()) } else { Ok(()) }
    }

    /// Returns a region, and opens it if necessary.
    fn region(&self, at: usize) -> Result<Region> {
        let Some(place) = self.places.get(at) else {
            return Err(Error::locating(ErrorKind::RegionNotFound, "the table has fewer regions"));
        };
        self.check_open()?;
        if let Some(region) = place.region.get() {
            return Ok(region.clone());
        }
        let _opening = unpoisoned(place.opening.lock());
        // Checked only with the lock held: closing a table waits for this lock.
        self.check_open()?;
        if let Some(region) = place.region.get() {
            return Ok(region.clone());
        }
        let region = place.source.open(self.options.clone())?;
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
