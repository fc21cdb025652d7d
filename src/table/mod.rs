//! Tables of many regions under a root directory (locator.md §13, §15; HBase: `Table`, `ResultScanner`).
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
mod catalog;
mod check;
mod compact;
mod explain;
mod in_place;
mod locks;
mod open;
mod parents;
mod recover;
mod regions;
mod result_scanner;
mod scanner;
mod snapshot;
mod split;
mod steps;
mod uncommitted;
mod verify;
mod view;
mod write;

pub use alter::TableChanges;
pub use bulk_load::BulkLoad;
pub use check::{CheckReport, Finding, FindingKind, Severity};
pub use recover::{RegionOutcome, RegionRecovery, RootRecovery};
pub use result_scanner::TableResultScanner;
pub use scanner::TableScanner;
pub use view::TableView;

use crate::cell::{Row, RowBuf, RowRef};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::table::sync_table_dirs;
use crate::layout::{TableIdentity, TableListing, find_region_info, is_gone};
use crate::locator::RegionInconsistency;
use crate::op::{Get, Scan};
use crate::region::{GetThreads, Region, RegionOptions};
use crate::schema::{RegionInfo, TableName};
use crate::store::StoreFileUse;
use crate::sync::unpoisoned;
use arc_swap::ArcSwap;
use regions::{RegionList, RegionSlot};
use std::ffi::OsString;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use steps::{RowsLeft, Steps};

/// A table on disk, either current or [in a snapshot](Self::open_snapshot): its regions, which are opened on
/// first use (HBase: `Table`, and for snapshots `TableSnapshotScanner`).
///
/// Cheap to clone, and safe to share between threads; clones are the same table. Rows are read and written
/// atomically, but different regions are not read at a common point in time.
///
/// A table with inconsistent regions can still be opened. Reads of rows that no region has, or more than one,
/// fail with the kind [`Inconsistent`](crate::ErrorKind::Inconsistent); other reads succeed.
///
/// Before a table that is open for reading first reads a region, another process may split or merge the
/// region and archive it. The table then lists its regions again, and reads the rows from the new ones. If
/// another table of the same name has replaced it, reads fail with the kind
/// [`RegionNotFound`](crate::ErrorKind::RegionNotFound), unless nothing was read before.
#[derive(Clone)]
pub struct Table(Arc<TableCore>);

struct TableCore {
    name: TableName,
    /// The current regions. Splits and merges replace the list.
    regions: ArcSwap<RegionList>,
    options: RegionOptions,
    get_threads: GetThreads,
    /// The number of regions kept open.
    open: AtomicUsize,
    is_closed: AtomicBool,
    /// Held shared by writers to a table with observers, and exclusively by a split or merge while it takes
    /// its regions. See [`enter`](Self::enter).
    writing: RwLock<()>,
    /// Held while regions are split, merged or archived, and while the table is closed. Taken by
    /// [`change`](Self::change).
    changing: Mutex<()>,
    /// The names in the table's directory when all regions of the list were last known to serve. Another
    /// process may have replaced regions if there are others.
    seen: Mutex<Vec<OsString>>,
    /// The identity of the table whose first region was opened, which distinguishes it from others of its
    /// name.
    identity: OnceLock<TableIdentity>,
    /// The encoded names of regions that were split or merged here, and their files that may still be read.
    replaced: Mutex<Vec<(String, Vec<StoreFileUse>)>>,
    /// The number of times that the regions were listed again since one was opened. Locked during a listing.
    listings: Mutex<u32>,
}

/// The maximum number of regions kept open after use, which limits their memory, tens of kilobytes each; the
/// number of open files has its own bound. Writable regions are always kept open, because they hold unflushed
/// writes.
const KEPT_OPEN: usize = 10_000;

impl Table {
    /// Opens a table under a root directory, `name` or `namespace:name`, for reading. Changes nothing in it.
    ///
    /// The recovered edits of regions are read, including those in this crate's own logs. Edits that are only
    /// in the logs of dead servers (`WALs/` of the root) are not read before [`recover`](Self::recover) has
    /// replayed them: [`unread_logs`](Self::unread_logs) returns these logs, and
    /// [`plan_recovery`](Self::plan_recovery) lists the regions with such edits.
    ///
    /// # Errors
    ///
    /// If the table does not exist ([`TableNotFound`](crate::ErrorKind::TableNotFound)), or its directories
    /// cannot be read.
    pub fn open(root: impl AsRef<Path>, name: &str) -> Result<Self> {
        Self::open_with(root, name, Region::options())
    }

    /// Returns the table's name.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.0.name
    }

    /// Returns the regions that serve rows, in row order.
    #[must_use]
    pub fn regions(&self) -> Vec<RegionInfo> {
        self.0.regions.load().slots.iter().map(|slot| slot.info.clone()).collect()
    }

    /// Returns the inconsistencies between regions, in row order: ranges of rows that no region has, or more
    /// than one.
    #[must_use]
    pub fn inconsistencies(&self) -> Vec<RegionInconsistency> {
        self.0.regions.load().inconsistencies.clone()
    }

    /// Returns the region that has a row, and opens it if necessary.
    ///
    /// After the region is [split](Self::split) or merged, it refuses writes, with the kind
    /// [`Closed`](crate::ErrorKind::Closed), and reads return its last state.
    ///
    /// # Errors
    ///
    /// If no region, or more than one, has the row, or the region cannot be opened.
    pub fn region(&self, row: impl AsRef<[u8]>) -> Result<Region> {
        self.0.region_of(row.as_ref())
    }

    /// Reads a row. A row that does not exist has no cells.
    ///
    /// # Errors
    ///
    /// If no region, or more than one, has the row; if the row is longer than
    /// [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN) or has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes); if a family is unknown, or a file is damaged or
    /// unreadable.
    pub fn get(&self, get: &Get) -> Result<Row> {
        self.region(get.row())?.get(get)
    }

    /// Reads a row into a buffer. Returns false if there are no cells.
    ///
    /// # Errors
    ///
    /// If no region, or more than one, has the row; if the row is longer than
    /// [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN) or has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes); if a family is unknown, or a file is damaged or
    /// unreadable.
    pub fn get_into(&self, get: &Get, row: &mut RowBuf) -> Result<bool> {
        row.clear();
        self.region(get.row())?.get_into(get, row)
    }

    /// Whether a row has any of the cells requested.
    ///
    /// # Errors
    ///
    /// If no region, or more than one, has the row; if the row is longer than
    /// [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN) or has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes); if a family is unknown, or a file is damaged or
    /// unreadable.
    pub fn exists(&self, get: &Get) -> Result<bool> {
        self.region(get.row())?.exists(get)
    }

    /// Reads rows, and returns them in the order of `gets`. Rows of the same region are read at the same
    /// point in time.
    ///
    /// # Errors
    ///
    /// If no region, or more than one, has one of the rows; if a row is longer than
    /// [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN) or has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes); if a family is unknown, or a file is damaged or
    /// unreadable.
    pub fn get_many(&self, gets: &[Get]) -> Result<Vec<Row>> {
        self.view().get_many(gets)
    }

    /// Reads the rows of a range, in order, with a scanner that borrows nothing. Each region is read in its
    /// state when the scan reaches it.
    ///
    /// # Errors
    ///
    /// If a family is unknown, a raw scan names columns, a file is damaged or unreadable, or no region, or
    /// more than one, has the first row.
    pub fn scan(&self, scan: Scan) -> Result<TableResultScanner> {
        TableResultScanner::new(self.view(), scan)
    }

    /// Closes all regions, as [`Region::close`] does: flushes their memory, and lets other processes open
    /// them for writing. Later reads and writes of the table fail with the kind
    /// [`Closed`](crate::ErrorKind::Closed), also through clones, views and scanners. Closing a closed table
    /// does nothing.
    ///
    /// # Errors
    ///
    /// Same as [`Region::close`], for the first region that fails; the others are still closed. A region
    /// whose memory could not be flushed loses nothing, and is closed by another call.
    pub fn close(&self) -> Result<()> {
        self.0.check_may_change("close its table")?;
        self.0.is_closed.store(true, Ordering::Release);
        let _changing = self.0.change("close its table")?;
        let close = |slot: &Arc<RegionSlot>| {
            // Waits for a region that is being opened, and then closes it.
            let _opening = unpoisoned(slot.opening.lock());
            slot.region.get().map_or(Ok(()), Region::close)
        };
        self.0.regions.load_full().slots.iter().map(close).fold(Ok(()), Result::and)
    }

    /// Returns a view of the table for any number of reads. Each region is read in its state at the first
    /// read through the view. The view keeps the regions it has read open.
    #[must_use]
    pub fn view(&self) -> TableView {
        TableView::new(self.clone())
    }

    /// Passes the rows of a scan to `take`, until it returns `Break` or there are no more. Opens one region
    /// at a time, however many there are.
    ///
    /// # Errors
    ///
    /// If a family is unknown, a raw scan names columns, a file is damaged or unreadable, or the scan reaches
    /// rows that no region, or more than one, has. Rows passed before the error are correct.
    pub fn for_each_row<E: From<Error>>(
        &self,
        scan: &Scan,
        mut take: impl FnMut(RowRef<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let regions = self.0.regions.load_full();
        let mut steps = Steps::new(scan);
        let mut left = RowsLeft::new(scan);
        while !left.is_none()
            && let Some((region, rest)) = self.0.next_region(&regions, &mut steps)?
        {
            let view = region.view();
            let mut rows = view.scan(rest.as_ref().unwrap_or(scan))?;
            while !left.is_none() && rows.next_row()?.is_some() {
                if !left.take(rows.row(), rows.is_partial()) || take(rows.row())?.is_break() {
                    return Ok(());
                }
            }
            if left.end_region(rows.is_filter_done()) {
                break;
            }
        }
        Ok(())
    }
}

impl TableCore {
    fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(Error::closed()) } else { Ok(()) }
    }

    /// Returns the region that has a row, and opens it if necessary.
    fn region_of(&self, row: &[u8]) -> Result<Region> {
        loop {
            let regions = self.regions.load();
            let at = regions.find(row)?;
            if let Some(region) = self.open(&regions.slots[at])? {
                return Ok(region);
            }
        }
    }

    /// Opens all regions, and returns them in row order. `changing` must be held.
    fn open_all(&self) -> Result<Vec<Region>> {
        loop {
            let regions = self.regions.load_full();
            let opened: Vec<Option<Region>> =
                regions.slots.iter().map(|slot| self.open(slot)).collect::<Result<_>>()?;
            // Regions that turned out to be replaced are no longer in the list.
            if let Some(opened) = opened.into_iter().collect() {
                return Ok(opened);
            }
        }
    }

    /// Returns the next region of a scan, and opens it if necessary; with the rest of the scan if this is not
    /// its start. If the region turns out to have been replaced, returns the one that the table has now.
    fn next_region(
        &self,
        regions: &Arc<RegionList>,
        steps: &mut Steps<'_>,
    ) -> Result<Option<(Region, Option<Scan>)>> {
        let mut regions = Arc::clone(regions);
        while let Some(at) = steps.next(&regions)? {
            let slot = &regions.slots[at];
            if let Some(region) = self.open(slot)? {
                let rest = steps.rest_in(&slot.info);
                return Ok(Some((region, rest)));
            }
            steps.go_back();
            regions = self.regions.load_full();
        }
        Ok(None)
    }

    /// Passes a mutation, with the region that has its row, to `write`. The region is not split or merged
    /// during the write.
    fn write<M, T>(
        &self,
        mutation: M,
        row: impl Fn(&M) -> &[u8],
        write: impl FnOnce(&Region, M) -> Result<T>,
    ) -> Result<T> {
        loop {
            let regions = self.regions.load();
            let slot = &regions.slots[regions.find(row(&mutation))?];
            let writing = self.enter(slot)?;
            if writing.is_current()
                && let Some(region) = self.open(slot)?
            {
                return write(&region, mutation);
            }
        }
    }

    /// Returns a region, and opens it if necessary; `None` if other regions have replaced it: an unfinished
    /// split or merge turned out to be complete, or the region no longer exists. The current list does not
    /// have it then.
    fn open(&self, slot: &Arc<RegionSlot>) -> Result<Option<Region>> {
        self.check_open()?;
        if let Some(region) = slot.region.get() {
            return Ok(Some(region.clone()));
        }
        let _held = self.mark_opening()?;
        let _opening = unpoisoned(slot.opening.lock());
        // Checked only with the lock held: closing a table waits for this lock.
        self.check_open()?;
        if let Some(region) = slot.region.get() {
            return Ok(Some(region.clone()));
        }
        if slot.is_gone() {
            return Ok(None);
        }
        if let Some(unfinished) = &slot.unfinished
            && self.resolve_change(unfinished)?
        {
            return Ok(None);
        }
        let region = match slot.source.open(self.options.clone()) {
            Ok(region) => region,
            Err(error) => match self.find_gone(slot, &error) {
                Some(gone) if !self.options.is_writable() => {
                    self.list_again(slot, gone)?;
                    return Ok(None);
                }
                gone => return Err(gone.unwrap_or(error)),
            },
        };
        if self.was_removed(slot)? || self.was_archived(slot, &region)? {
            self.list_again(slot, is_gone(region.path()))?;
            return Ok(None);
        }
        self.check_same_table(&region)?;
        *unpoisoned(self.listings.lock()) = 0;
        if self.options.is_writable() {
            self.check_serving(slot)?;
        }
        let add = |open: usize| (open < KEPT_OPEN).then_some(open + 1);
        let is_kept = self.options.is_writable()
            || self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok();
        if is_kept {
            let _ = slot.region.set(region.clone());
        }
        Ok(Some(region))
    }

    /// Fails if a region is not of the same table as those opened before: restoring a snapshot replaces all
    /// regions by new ones with the same names, and truncation by ones with other names.
    fn check_same_table(&self, region: &Region) -> Result<()> {
        let Some(identity) = region.table_identity() else { return Ok(()) };
        if self.identity.get().is_none()
            && self.options.is_writable()
            && let Some(table) = region.path().parent()
        {
            // Since the table was opened, another process may have put the content of a snapshot in its
            // place, and died before it synced the name.
            sync_table_dirs(&**self.options.file_storage(), table)?;
        }
        if self.identity.get_or_init(|| identity.clone()).file == identity.file {
            return Ok(());
        }
        let message = format!(
            "another process has replaced table {} by an empty one, or by the content of a snapshot: open \
             the table again",
            self.name
        );
        Err(Error::new(ErrorKind::RegionNotFound, message))
    }

    /// Whether the first region opened for reading was removed by a truncation in a storage without renames,
    /// where its directory may still exist, even after the truncation is complete. The descriptor may then be
    /// the new table's, which does not distinguish the regions of both tables.
    fn was_removed(&self, slot: &RegionSlot) -> Result<bool> {
        let storage = &**self.options.file_storage();
        let Some((dir, table)) = slot.dir().and_then(|dir| Some((dir, dir.parent()?))) else {
            return Ok(false);
        };
        if self.options.is_writable() || self.identity.get().is_some() || storage.can_rename(table) {
            return Ok(false);
        }
        // The region info is removed before the truncation is forgotten.
        Ok(TableListing::read(storage, table)?.is_removed(&slot.info)
            || find_region_info(storage, dir)?.is_none())
    }

    /// Whether files of a region that was opened for reading may be missing, because other regions have
    /// replaced it and another process archives it: the files are moved to the archive before the directory
    /// is removed.
    fn was_archived(&self, slot: &RegionSlot, region: &Region) -> Result<bool> {
        let may_be = !self.options.is_writable() && slot.dir().is_some() && region.may_be_archived();
        if may_be { self.is_replaced(slot) } else { Ok(false) }
    }

    /// Returns the error of a region that could not be opened because its directory no longer exists, or, for
    /// reading, because other regions have replaced it and its files are being archived.
    fn find_gone(&self, slot: &RegionSlot, error: &Error) -> Option<Error> {
        let storage = &**self.options.file_storage();
        let dir = slot.dir().filter(|_| error.is_stale())?;
        let is_removed = matches!(find_region_info(storage, dir), Ok(None));
        let is_archived = || !self.options.is_writable() && matches!(self.is_replaced(slot), Ok(true));
        (is_removed || is_archived()).then(|| is_gone(dir))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let regions = self.0.regions.load();
        f.debug_struct("Table")
            .field("name", self.name())
            .field("regions", &regions.slots.len())
            .field("inconsistencies", &regions.inconsistencies)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
