//! One key range of one table: the unit of reading, writing and isolation (HBase: `HRegion`).
//!
//! A region's families share their sequence ids and are read at one point in time. A read uses one immutable
//! state of all families; flushes and compactions create new states.

mod added_families;
mod background;
mod batch;
mod bulk_load;
mod check_and_mutate;
mod commit;
mod compact;
#[cfg(test)]
mod directory_tests;
mod events;
mod files;
mod flush;
mod held_threads;
mod in_memory_flush;
mod increment;
mod lifecycle;
mod locks;
mod log;
mod many_gets;
mod memory_limit;
mod mutate;
mod observer;
mod open;
mod options;
mod read;
mod replay;
mod retire;
mod scanner;
mod scheduler;
mod snapshot;
mod split_row;
mod super_version;
mod updates;
mod verify;
mod view;
mod write;

pub use crate::layout::{FileKind, MobFile, SnapshotStoreFile, UnreadLogs};
pub use crate::store::{CellReason, ExplainedCell, ExplainedFile, FileReason};
pub(crate) use bulk_load::{CopyInput, origin_of_part, remove_loaded};
pub use check_and_mutate::CheckResult;
pub use compact::{Compaction, CompactionPlan};
pub use held_threads::HeldThreads;
pub use lifecycle::RegionHealth;
pub(crate) use many_gets::{GetThreads, RowSource, SharedRead, read_rows};
pub use memory_limit::MemoryLimit;
pub use observer::{CompactionFilter, MiniBatch, ObserverContext, RegionObserver, ScanOptions};
pub(crate) use observer::{Held, HeldMark, TableId};
pub use options::RegionOptions;
pub use replay::ReplayReport;
pub(crate) use retire::{RetiredFile, RetiredRegion};
pub use scanner::{Explanation, RegionScanner, ResultScanner, ScanResult, ScanResults};
pub use scheduler::{Scheduler, SchedulerBuilder};
pub use view::ReadView;

use crate::cell::{CellOrder, Row, RowBuf, check_row_len, same_bytes};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::io::{FileLock, Owner};
use crate::layout::RegionDir;
use crate::metrics::{BlockCounts, Counters, RegionMetrics};
use crate::mvcc::Mvcc;
use crate::op::{Durability, Get, Scan};
use crate::schema::{Family, RegionInfo, TableDescription};
use crate::store::{Store, StoreVersion};
use background::Background;
use commit::FileChanges;
use in_memory_flush::InMemoryFlush;
use lifecycle::Handle;
use locks::RowLocks;
use log::RegionLog;
use observer::Observers;
use replay::Replaying;
use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use super_version::SuperVersionCell;
use updates::Updates;

/// A region of a table, open for reading only, or for reading and writing (HBase: `HRegion`).
///
/// Cheap to clone, and safe to share between threads; clones refer to the same region. When the last clone,
/// view and scanner of a region open for writing is dropped, the region is flushed and its lock is released,
/// as by [`close`](Self::close); only `close` returns an error.
///
/// By default an acknowledged write is on disk, in a log in the region's directory of recovered edits: it
/// survives a loss of power. After a crash, opening the region replays the log, as HBase does. See
/// [`Durability`] for the alternatives. If the log cannot be written, the region accepts no more writes until
/// it is opened again ([`Poisoned`](crate::ErrorKind::Poisoned)); a write that fails because the disk is full
/// has never happened, and later ones may succeed. The log is not encrypted, whatever the families' settings.
#[derive(Clone)]
pub struct Region(
    Arc<RegionCore>,
    #[expect(dead_code, reason = "closes the region when the last one is dropped")] Arc<Handle>,
);

pub(crate) struct RegionCore {
    dir: RegionDir,
    info: RegionInfo,
    order: CellOrder,
    /// One per family, sorted by family name.
    stores: Vec<Store>,
    states: SuperVersionCell<RegionVersion>,
    mvcc: Arc<Mvcc>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    block_counts: Arc<BlockCounts>,
    is_writable: bool,
    /// The process that has opened the region.
    owner: Owner,
    /// The lock on the region's directory, held while the region is open for writing.
    lock: Mutex<Option<FileLock>>,
    /// Held while the region is being closed.
    closing: Mutex<()>,
    /// Whether writes are refused because the region is being closed. Changed only while `updates` is held
    /// exclusively.
    is_closing: AtomicBool,
    is_closed: AtomicBool,
    /// Whether the files no longer change, because other regions replace this one. It can still be read.
    is_retired: AtomicBool,
    /// Whether opening the region is complete.
    is_open: AtomicBool,
    rows: RowLocks,
    updates: Updates,
    flushing: Mutex<()>,
    /// One lock per store.
    compacting: Vec<Mutex<()>>,
    files: FileChanges,
    /// The log of writes, of a region that is open for writing. Boxed to keep the fields that reads use close
    /// together.
    log: Option<Box<RegionLog>>,
    /// The durability of writes without one of their own.
    durability: Durability,
    /// Whether the table's descriptor says that no writes are accepted.
    is_table_read_only: bool,
    /// The maximum length of a cell in bytes: its key and value.
    max_cell_len: usize,
    /// The maximum length of its row and qualifier.
    max_key_len: usize,
    /// The number of milliseconds by which a value's timestamp may exceed the time of writing; `i64::MAX` for
    /// no limit.
    timestamp_slop: i64,
    /// The maximum number of mutations of a batch that are written together.
    mini_batch: usize,
    /// Whether gets load families on demand by default.
    loads_families_on_demand: bool,
    /// The maximum size of a row that is assembled after it was read:
    /// [`Limits::row_bytes`](crate::Limits::row_bytes).
    max_row_bytes: usize,
    /// Whether values may be in MOB files.
    may_have_mob: bool,
    warnings: Vec<Error>,
    /// Why the region, which is open for reading, could not be opened for writing: a setting is invalid.
    invalid_settings: Option<Error>,
    /// Set when the region is open.
    replayed: OnceLock<ReplayReport>,
    replaying: Replaying,
    background: Option<Background>,
    in_memory_flush: InMemoryFlush,
    observers: Observers,
    get_threads: GetThreads,
    /// The table that has opened the region.
    table_id: TableId,
    /// The region itself, passed to its observers.
    handle: OnceLock<Weak<Handle>>,
}

/// The contents of a region's stores at one point in time.
#[derive(Debug)]
pub(crate) struct RegionVersion {
    pub(crate) stores: Vec<Arc<StoreVersion>>,
}

impl RegionVersion {
    /// Returns the number of bytes taken by cells in memory.
    fn memory(&self) -> u64 {
        self.stores.iter().map(|store| store.memory()).sum()
    }
}

impl Region {
    fn new(inner: RegionCore) -> Self {
        let handle = Arc::new(Handle(Arc::new(inner)));
        let region = Self::of(&handle);
        // Set only once, here.
        let _ = region.0.handle.set(Arc::downgrade(&handle));
        region
    }

    fn of(handle: &Arc<Handle>) -> Self {
        Self(Arc::clone(&handle.0), Arc::clone(handle))
    }

    /// Opens a region directory for reading. Changes nothing in it.
    ///
    /// # Errors
    ///
    /// Same as [`RegionOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Returns the options to open a region with.
    #[must_use]
    pub fn options() -> RegionOptions {
        RegionOptions::new()
    }

    /// Returns the region's table and key range.
    #[must_use]
    pub fn info(&self) -> &RegionInfo {
        &self.0.info
    }

    /// Returns the region's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.dir.path()
    }

    /// Returns the families, sorted by name.
    pub fn families(&self) -> impl ExactSizeIterator<Item = &Family> {
        self.0.stores.iter().map(|store| &store.family)
    }

    /// Whether the region has a table descriptor. Without one, its [families](Self::families) are those that
    /// were given and those with a directory: other regions of the table may have others.
    #[must_use]
    pub fn has_descriptor(&self) -> bool {
        self.0.dir.has_descriptor()
    }

    /// Returns all settings of the table, including those that a [`Family`] does not represent: from the
    /// descriptor or, without one, from the [families](Self::families).
    #[must_use]
    pub fn description(&self) -> TableDescription {
        self.0.dir.description(self.families())
    }

    /// Reads the current cells of a row. A row that does not exist has no cells.
    ///
    /// # Errors
    ///
    /// If the row is outside of the region or longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN), has more
    /// bytes than [`Limits::row_bytes`](crate::Limits::row_bytes), a family is unknown, or a file is damaged
    /// or unreadable.
    pub fn get(&self, get: &Get) -> Result<Row> {
        let mut row = RowBuf::new();
        self.get_into(get, &mut row)?;
        Ok(row.freeze())
    }

    /// Reads the current cells of a row into a buffer. Returns false if there are no cells. Allocates only to
    /// grow the buffer.
    ///
    /// # Errors
    ///
    /// If the row is outside of the region or longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN), has more
    /// bytes than [`Limits::row_bytes`](crate::Limits::row_bytes), a family is unknown, or a file is damaged
    /// or unreadable.
    pub fn get_into(&self, get: &Get, row: &mut RowBuf) -> Result<bool> {
        row.clear();
        self.0.get_observed(get, row, |row| self.0.get_now(get, row))?;
        Ok(!row.is_empty())
    }

    /// Whether a row has any of the cells requested.
    ///
    /// # Errors
    ///
    /// If the row is outside of the region or longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN), has more
    /// bytes than [`Limits::row_bytes`](crate::Limits::row_bytes), a family is unknown, or a file is damaged
    /// or unreadable.
    pub fn exists(&self, get: &Get) -> Result<bool> {
        let mut exists = false;
        if self.0.observe_or_bypass(|observer, context| observer.pre_exists(context, get, &mut exists))? {
            return Ok(exists);
        }
        exists = self.get_into(get, &mut RowBuf::new())?;
        self.0.observe(|observer, context| observer.post_exists(context, get, &mut exists))?;
        Ok(exists)
    }

    /// Reads rows, all at the same point in time, and returns them in the order of `gets`. They are read in
    /// row order, so that rows in the same block are read together.
    ///
    /// # Errors
    ///
    /// If any of the rows is outside of the region or longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN),
    /// has more bytes than [`Limits::row_bytes`](crate::Limits::row_bytes), a family is unknown, or a file is
    /// damaged or unreadable.
    pub fn get_many(&self, gets: &[Get]) -> Result<Vec<Row>> {
        self.view().get_many(gets)
    }

    /// Reads the current rows of a range, in order, with a scanner that borrows nothing. For several reads at
    /// the same point in time, and for scans that need not be moved, see [`view`](Self::view).
    ///
    /// ```
    /// use hregion::{Region, Scan};
    ///
    /// # fn main() -> hregion::Result<()> {
    /// # let dir =
    /// #     "testdata/region/split-references/root/data/default/halves/b080bd824b133f7fd142d58caf423392";
    /// let rows = Region::open(dir)?.scan(Scan::new().rows("row-0010".."row-0020"))?;
    /// let read = std::thread::spawn(move || rows.map(|row| Ok(row?.len())).sum::<hregion::Result<usize>>());
    /// # assert!(read.join().expect("no panic")? > 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - If a family is unknown, or the start row is longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN).
    /// - If a raw scan names columns, a filter that applies to whole rows is combined with a
    ///   [batch](Scan::batch), or a reversed scan would load families [on
    ///   demand](Scan::load_families_on_demand).
    /// - If a file is damaged or unreadable.
    pub fn scan(&self, scan: Scan) -> Result<ResultScanner> {
        self.view().into_scanner(scan)
    }

    /// Returns the region's current state as a view for any number of reads. Later writes, flushes and
    /// compactions do not change the view.
    #[must_use]
    pub fn view(&self) -> ReadView {
        ReadView::new(self.clone())
    }

    /// Returns the number of store files of a family; `None` if the family is unknown.
    #[must_use]
    pub fn store_file_count(&self, family: impl AsRef<[u8]>) -> Option<usize> {
        let store = self.0.store_index(family.as_ref()).ok()?;
        Some(self.0.states.load().stores[store].files.len())
    }

    /// Returns the number of bytes of unflushed cells in memory.
    #[must_use]
    pub fn memstore_size(&self) -> u64 {
        self.0.memstore_size()
    }

    /// Returns counters of the costs of reads and writes so far.
    #[must_use]
    pub fn metrics(&self) -> RegionMetrics {
        let mut metrics = self.0.counters.sum();
        self.0.block_counts.add_to(&mut metrics);
        metrics
    }
}

impl RegionCore {
    /// Returns the index of a family's store.
    pub(crate) fn store_index(&self, family: &[u8]) -> Result<usize> {
        // A linear search: most regions have one or two families.
        match self.stores.iter().position(|store| same_bytes(store.family.name(), family)) {
            Some(index) => Ok(index),
            None => {
                let existing = self.stores.iter().map(|store| store.family.name());
                Err(Error::no_such_family(family, existing))
            }
        }
    }

    /// Checks that `row` can be a row, and is in the region's key range.
    pub(crate) fn check_row(&self, row: &[u8]) -> Result<()> {
        check_row_len(row)?;
        let (start, end) = (self.info.start_key(), self.info.end_key());
        let before = !start.is_empty() && self.order.compare_rows(row, start).is_lt();
        if before || !end.is_empty() && self.order.compare_rows(row, end).is_ge() {
            return Err(Error::wrong_region(row, start, end));
        }
        Ok(())
    }

    pub(crate) fn memstore_size(&self) -> u64 {
        self.states.load().stores.iter().map(|state| state.memstore_size()).sum()
    }

    /// Fails in a process forked from the one that opened the region for writing: both would change the same
    /// files. Not called by writes that are not logged, which change no file.
    fn check_owner(&self) -> Result<()> {
        if !self.is_writable {
            return Ok(());
        }
        self.owner.check().map_err(|error| Error::io("change", self.dir.path(), error))
    }

    fn check_writable(&self) -> Result<()> {
        if !self.is_writable {
            return Err(Error::invalid_argument("the region is open for reading only: open it as writable"));
        }
        self.check_changes()?;
        self.files.check()
    }

    /// Like [`check_writable`](Self::check_writable), for calls that change the table's data.
    fn check_takes_data(&self) -> Result<()> {
        if self.is_table_read_only {
            return Err(Error::invalid_argument("the table is read-only: its descriptor sets READONLY"));
        }
        self.check_writable()
    }

    /// Replaces the state of a store by one computed from it.
    fn swap(&self, store: usize, change: impl FnOnce(&StoreVersion) -> StoreVersion) {
        self.swap_all(|stores| stores[store] = Arc::new(change(&stores[store])));
    }

    /// Like [`swap`](Self::swap), for any number of stores at once.
    fn swap_all(&self, change: impl FnOnce(&mut [Arc<StoreVersion>])) {
        self.states.swap(|state| {
            let mut stores = state.stores.clone();
            change(&mut stores);
            RegionVersion { stores }
        });
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("path", &self.path())
            .field("info", self.info())
            .finish_non_exhaustive()
    }
}
