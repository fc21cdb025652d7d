//! Options to open a region with.

use super::log::{LogSettings, SharedLog};
use super::observer::{Observers, RegionObserver, TableId};
use super::{MemoryLimit, Region, Scheduler};
use crate::cache::BlockCache;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};
use crate::hfile::{HFile, HFileOptions};
use crate::io::{BoundedStorage, FileHandles, LocalStorage, Storage};
use crate::layout::{Snapshot, SnapshotRegion, moved_paths};
use crate::limits::Limits;
use crate::op::Durability;
use crate::schema::Family;
use crate::wal::WalReaderOptions;
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Options to open a [`Region`] with. Created by [`Region::options`]. If HBase has a property or attribute
/// for a setting, the documentation of the method gives its name.
#[derive(Clone, Debug)]
pub struct RegionOptions {
    pub(super) files: HFileOptions,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) file_handles: Option<FileHandles>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) is_clock_given: bool,
    pub(super) writable: bool,
    pub(super) create_if_missing: bool,
    pub(super) alter: bool,
    /// Held while a region alters the descriptor, and shared by clones: the lock of a root directory does not
    /// wait.
    pub(super) altering: Arc<Mutex<()>>,
    pub(super) families: Vec<Family>,
    pub(super) descriptor_file: Option<PathBuf>,
    pub(super) replay_logs: Vec<PathBuf>,
    /// Whether server logs have been split, so that the region's edits are in its recovered edits.
    pub(super) logs_are_split: bool,
    pub(super) accept_torn_logs: bool,
    pub(super) table: Option<String>,
    pub(super) start_key: Bytes,
    pub(super) end_key: Bytes,
    pub(super) memstore_flush_size: Option<u64>,
    pub(super) in_memory_flush_size: Option<u64>,
    pub(super) memory_limit: Option<MemoryLimit>,
    pub(super) scheduler: Option<Scheduler>,
    pub(super) compaction_enabled: Option<bool>,
    pub(super) utc_offset: i32,
    pub(super) observers: Observers,
    pub(super) get_threads: usize,
    pub(super) lazy_seek: bool,
    pub(super) zstd_framed: Option<bool>,
    pub(super) durability: Durability,
    pub(super) log_roll_size: u64,
    pub(super) max_logs: u64,
    /// The log that the region shares with others.
    pub(super) log: Option<Arc<SharedLog>>,
    /// The table that opens the regions.
    pub(super) table_id: TableId,
}

impl RegionOptions {
    pub(super) fn new() -> Self {
        Self {
            files: HFile::options(),
            storage: LocalStorage::shared(),
            file_handles: None,
            clock: Arc::new(SystemClock),
            is_clock_given: false,
            writable: false,
            create_if_missing: false,
            alter: false,
            families: Vec::new(),
            descriptor_file: None,
            replay_logs: Vec::new(),
            altering: Arc::default(),
            logs_are_split: false,
            accept_torn_logs: false,
            table: None,
            start_key: Bytes::new(),
            end_key: Bytes::new(),
            memstore_flush_size: None,
            in_memory_flush_size: None,
            memory_limit: None,
            scheduler: None,
            compaction_enabled: None,
            utc_offset: 0,
            observers: Observers::default(),
            get_threads: 16,
            lazy_seek: true,
            zstd_framed: None,
            durability: Durability::UseDefault,
            log_roll_size: 64 << 20,
            max_logs: 32,
            log: None,
            table_id: TableId::default(),
        }
    }

    /// Sets the cache of decoded blocks (default: none, so that each read accesses the files). HBase:
    /// `hfile.block.cache.size`.
    #[must_use]
    pub fn cache(mut self, cache: &BlockCache) -> Self {
        self.files = self.files.cache(cache);
        self
    }

    /// Sets the bound on the number of open store files, which other regions may share (default:
    /// [`FileHandles::global`]).
    #[must_use]
    pub fn file_handles(mut self, handles: &FileHandles) -> Self {
        self.file_handles = Some(handles.clone());
        self
    }

    /// Wraps the storage to bound its open files, for a region that is about to be opened.
    pub(super) fn bounded(mut self) -> Self {
        let handles = self.file_handles.clone().unwrap_or_else(FileHandles::global);
        self.storage = Arc::new(BoundedStorage::new(self.storage, handles, moved_paths));
        self.files = self.files.storage(Arc::clone(&self.storage));
        self
    }

    /// Sets whether the region may be written to (default: no). Only one process at a time may open it for
    /// writing.
    ///
    /// Logs of dead servers are searched for only in the root directory. Logs and recovered edits in a
    /// separate directory (`hbase.wal.dir`) are not found: [give](Self::replay_logs) all logs of its `WALs/`
    /// and the recovered edits of the region when it is first opened for writing (`hregion recover REGION
    /// --wal …`).
    #[must_use]
    pub fn writable(mut self, writable: bool) -> Self {
        self.writable = writable;
        self
    }

    /// Sets whether to create the region, with the given families, if it does not exist. Opens it for
    /// writing.
    #[must_use]
    pub fn create_if_missing(mut self, create: bool) -> Self {
        self.create_if_missing = create;
        self.writable |= create;
        self
    }

    /// Adds a family to a region that is created, or that has no table descriptor.
    ///
    /// For a region with a table descriptor, the family must equal the descriptor's, or opening fails, unless
    /// the descriptor is [altered](Self::alter).
    #[must_use]
    pub fn family(mut self, family: Family) -> Self {
        self.families.retain(|other| other.name() != family.name());
        self.families.push(family);
        self
    }

    /// Sets an HBase table descriptor, a file like `.tableinfo.0000000001.626`, and uses its families as if
    /// [given](Self::family), and the table's settings if the region has no descriptor: for a region that was
    /// copied without its table.
    #[must_use]
    pub fn descriptor_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.descriptor_file = Some(path.into());
        self
    }

    /// Sets whether the table descriptor is rewritten if the [given families](Self::family) differ from it
    /// (default: no). Families not given are unchanged (HBase: `modify_column_family`, `add_column_family`).
    /// Requires a writable region. A family is not added while logs of servers, recovered edits of the table,
    /// or [given logs](Self::replay_logs) have cells of a deleted family of its name
    /// ([`InvalidArgument`](crate::ErrorKind::InvalidArgument)). The root directory, if any, is locked during
    /// the change: opening fails while another change of tables or snapshots holds the lock
    /// ([`Locked`](crate::ErrorKind::Locked)).
    #[must_use]
    pub fn alter(mut self, alter: bool) -> Self {
        self.alter = alter;
        self
    }

    /// Sets the table of a region to create: `name` or `namespace:name` (default: `default`).
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// Sets the key range of a region to create: from `start`, inclusive, to `end`, exclusive; empty for no
    /// bound.
    #[must_use]
    pub fn key_range(mut self, start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        (self.start_key, self.end_key) = (start.into(), end.into());
        self
    }

    /// Sets the number of bytes in memory, of cells and their indexes, at which the region is flushed, and
    /// then compacted as the policy selects, on threads of the [scheduler](Self::scheduler). Writers wait at
    /// four times this size, or at another multiple set by the table's
    /// `hbase.hregion.memstore.block.multiplier`. Default: the setting of the table descriptor, else 128 MiB
    /// (HBase: `hbase.hregion.memstore.flush.size`).
    #[must_use]
    pub fn memstore_flush_size(mut self, bytes: u64) -> Self {
        self.memstore_flush_size = Some(bytes);
        self
    }

    /// Sets the number of bytes of recent cells of a family at which they are moved, in memory, from a list
    /// to sorted arrays, which take less memory and are searched faster (default: a 32nd of the [flush
    /// size](Self::memstore_flush_size), at most 4 MiB; 0: never). Nothing is written to a file.
    ///
    /// The next write moves the cells before it writes. If another thread is writing at that moment, a later
    /// write moves them; at twice the size, it waits for the other threads. More than eight times the size is
    /// not moved, because it would delay a write for too long.
    ///
    /// HBase: the `BASIC` `IN_MEMORY_COMPACTION` of a family, which is ignored here, and
    /// `hbase.memstore.inmemoryflush.threshold.factor`.
    #[must_use]
    pub fn in_memory_flush_size(mut self, bytes: u64) -> Self {
        self.in_memory_flush_size = Some(bytes);
        self
    }

    /// Sets the limit on memory taken by unflushed cells in all regions that share the limit (default: [the
    /// limit of the process](MemoryLimit::global)). HBase: `hbase.regionserver.global.memstore.size`.
    #[must_use]
    pub fn memory_limit(mut self, limit: &MemoryLimit) -> Self {
        self.memory_limit = Some(limit.clone());
        self
    }

    /// Sets the scheduler of background flushes and compactions (default: [the scheduler of the
    /// process](Scheduler::global)). HBase: `CompactSplit`, `MemStoreFlusher`.
    #[must_use]
    pub fn scheduler(mut self, scheduler: &Scheduler) -> Self {
        self.scheduler = Some(scheduler.clone());
        self
    }

    /// Sets whether background flushes and [opening](crate::SchedulerBuilder::compact_after_open) the region
    /// are followed by compactions (default: no if the table descriptor sets `READONLY` to true or
    /// `COMPACTION_ENABLED` to false, else yes). [Explicit compactions](Region::compact) always run; in these
    /// tables, HBase ignores requests for them as well.
    #[must_use]
    pub fn compaction_enabled(mut self, enabled: bool) -> Self {
        self.compaction_enabled = Some(enabled);
        self
    }

    /// Sets the number of seconds by which local time is ahead of UTC (default: 0). The off-peak hours, in
    /// which compactions may be larger, are in local time (`hbase.offpeak.start.hour`,
    /// `hbase.offpeak.end.hour`). HBase uses the time zone of the server, which no file records.
    #[must_use]
    pub fn utc_offset(mut self, seconds: i32) -> Self {
        self.utc_offset = seconds;
        self
    }

    /// Sets the durability of writes that have [none of their own](crate::Put::durability) (default: the
    /// setting `DURABILITY` of the table descriptor, else [`FsyncWal`](Durability::FsyncWal)).
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the length in bytes at which the regions of a [`Table`](crate::Table) begin another file of their
    /// common log (default: 64 MiB; HBase: `hbase.regionserver.hlog.blocksize`, times
    /// `hbase.regionserver.logroll.multiplier`).
    #[must_use]
    pub fn log_roll_size(mut self, bytes: u64) -> Self {
        self.log_roll_size = bytes;
        self
    }

    /// Sets the number of files of a table's common log above which the regions with entries in the oldest
    /// are flushed, so that it can be removed (default: 32; HBase: `hbase.regionserver.maxlogs`).
    #[must_use]
    pub fn max_logs(mut self, files: u32) -> Self {
        self.max_logs = u64::from(files.max(1));
        self
    }

    /// Whether regions have observers, which may write to any region when they are called.
    pub(crate) fn has_observers(&self) -> bool {
        !self.observers.is_empty()
    }

    /// Makes the regions that are opened with clones of these options share a log.
    pub(crate) fn with_shared_log(mut self) -> Self {
        let (roll_size, max_logs) = (self.log_roll_size, self.max_logs);
        self.log = Some(Arc::new(SharedLog::new(LogSettings { roll_size, max_logs, is_shared: true })));
        self
    }

    /// Makes regions that are opened with clones of these options belong to a new table.
    pub(crate) fn of_new_table(mut self) -> Self {
        self.table_id = TableId::new();
        self
    }

    /// Returns the table that opens the regions.
    pub(crate) fn table_id(&self) -> TableId {
        self.table_id
    }

    /// Ends the file of the shared log: regions opened later do not use it.
    pub(crate) fn roll_log(&self) {
        if let Some(log) = &self.log {
            log.roll();
        }
    }

    /// Adds an observer, called before and after the region's operations. Observers with a higher `priority`
    /// are called later; use 0 if the order does not matter. HBase: `hbase.coprocessor.region.classes`.
    /// Coprocessors that the table descriptor names are not called.
    #[must_use]
    pub fn observer(mut self, priority: i32, observer: Arc<dyn RegionObserver>) -> Self {
        self.observers.add(priority, observer);
        self
    }

    /// Sets the maximum number of threads with which [`get_many`](Region::get_many) reads rows (default: 16;
    /// 0 and 1: only the calling thread, as always with [observers](Self::observer)).
    ///
    /// Other threads help if reading the rows takes longer than waking them. If gets are short, the process
    /// uses at most as many of these threads at a time as it has other processors; it uses more if gets wait
    /// for a disk or a network. The threads end after ten idle seconds.
    #[must_use]
    pub fn get_threads(mut self, threads: usize) -> Self {
        self.get_threads = threads;
        self
    }

    /// Sets whether scans of columns seek lazily, only when the next cell must be known (default: yes). Does
    /// not affect results; for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn lazy_seek(mut self, lazy: bool) -> Self {
        self.lazy_seek = lazy;
        self
    }

    /// Sets the clock for cell expiry and timestamps (default: the system clock). Must be given on a system
    /// without a clock (`wasm32-unknown-unknown`), where regions can only be read. HBase:
    /// `EnvironmentEdgeManager`.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self.is_clock_given = true;
        self
    }

    /// Sets the storage of the files (default: the local file system).
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.files = self.files.storage(Arc::clone(&storage));
        self.storage = storage;
        self
    }

    /// Sets whether block checksums are verified (default: yes). HBase: `hbase.regionserver.checksum.verify`.
    #[must_use]
    pub fn verify_checksums(mut self, verify: bool) -> Self {
        self.files = self.files.verify_checksums(verify);
        self
    }

    /// Adds logs of dead servers: the region's edits in them are replayed when it is opened, after its
    /// recovered edits and in the same way (wal.md §12). The logs are synced, but not changed; in HDFS their
    /// writing is [ended](Storage::end_writing). A region is not opened for reading if a log has not been
    /// closed. Only for regions of directories, not of snapshots or [files](Self::open_files).
    #[must_use]
    pub fn replay_logs(mut self, paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.replay_logs.extend(paths.into_iter().map(Into::into));
        self
    }

    /// Sets whether logs with a torn end are accepted although acknowledged writes may be missing (default:
    /// no).
    ///
    /// In a [recovery](crate::Table::recover), these are logs whose servers continued with newer logs. HBase
    /// leaves such logs when a data node fails (`AsyncFSWAL`): it repeats the entries that were not
    /// acknowledged in the next log, so nothing is missing. In recoveries, recovered edits and [given
    /// logs](Self::replay_logs), these are also logs with a trailer, which were closed: a length in them is
    /// damaged, and the entries after it are lost.
    ///
    /// HBase always accepts them.
    #[must_use]
    pub fn accept_torn_logs(mut self, accept: bool) -> Self {
        self.accept_torn_logs = accept;
        self
    }

    /// Whether torn logs are accepted that may lack acknowledged writes.
    pub(crate) fn accepts_torn_logs(&self) -> bool {
        self.accept_torn_logs
    }

    /// Sets the limits on memory allocated for data read from files.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.files = self.files.limits(limits);
        self
    }

    /// Sets the dictionary of files compressed by Zstandard with one. See [`HFileOptions::zstd_dictionary`].
    ///
    /// New files of a family are written with it if the family or its table names one
    /// (`hbase.io.compress.zstd.dictionary`). Its path is not read: without the dictionary, the region cannot
    /// be opened for writing ([`Unsupported`](crate::ErrorKind::Unsupported)), unless new files are
    /// [bare frames](Self::zstd_framed), which have none.
    #[must_use]
    pub fn zstd_dictionary(mut self, dictionary: impl Into<Arc<[u8]>>) -> Self {
        self.files = self.files.zstd_dictionary(dictionary);
        self
    }

    /// Sets whether new files of a family compressed by Zstandard have Hadoop's framing, which HBase's own
    /// codec classes read and write. Otherwise they have bare frames, as written by Hadoop's class, which is
    /// HBase's default. Default: framed only if [a dictionary](Self::zstd_dictionary) is given or named,
    /// which Hadoop's class does not support.
    ///
    /// Has no effect once the region has files of the family with that codec: new files have the form of the
    /// newest one, since HBase reads all of them with the cluster's class (`hbase.io.compress.zstd.codec`).
    #[must_use]
    pub fn zstd_framed(mut self, framed: bool) -> Self {
        self.zstd_framed = Some(framed);
        self
    }

    /// Whether new files compressed by Zstandard have Hadoop's framing, unless a file of the family shows
    /// another. `named`: whether the family names a dictionary.
    pub(super) fn is_zstd_framed(&self, named: bool) -> bool {
        self.zstd_framed.unwrap_or_else(|| named || self.files.given_zstd_dictionary().is_some())
    }

    /// Sets the cluster's master key, for encrypted files and logs. See [`HFileOptions::master_key`] and
    /// [`WalReaderOptions::master_key`].
    #[must_use]
    pub fn master_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        self.files = self.files.master_key(key);
        self
    }

    /// Sets another master key, for data keys that the [master key](Self::master_key) does not unwrap. See
    /// [`HFileOptions::alternate_master_key`].
    #[must_use]
    pub fn alternate_master_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        self.files = self.files.alternate_master_key(key);
        self
    }

    /// Lets regions be opened for writing although server logs exist: their edits are in recovered edits.
    pub(crate) fn with_split_logs(mut self) -> Self {
        self.logs_are_split = true;
        self
    }

    /// Fails if logs are given, because `what` cannot have edits in logs.
    pub(super) fn refuse_logs(&self, what: &'static str) -> Result<()> {
        if self.replay_logs.is_empty() {
            return Ok(());
        }
        Err(Error::invalid_argument(format!("logs cannot be replayed into {what}")))
    }

    /// Returns the maximum number of threads that read the rows of one call: one with observers, which are
    /// called in row order.
    pub(crate) fn max_get_threads(&self) -> usize {
        if self.has_observers() { 1 } else { self.get_threads }
    }

    fn check_clock(&self) -> Result<()> {
        match (self.writable, self.is_clock_given) {
            (true, _) => Error::if_no_clock("a writable region"),
            (_, false) => Error::if_no_clock("a region without a clock of its own"),
            _ => Ok(()),
        }
    }

    /// Returns the time of the regions' clock, in milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Returns options to open the catalog's region for writing, on the same storage.
    pub(crate) fn of_catalog(&self) -> Self {
        Self {
            files: self.files.clone(),
            storage: Arc::clone(&self.storage),
            file_handles: self.file_handles.clone(),
            clock: Arc::clone(&self.clock),
            is_clock_given: self.is_clock_given,
            memory_limit: self.memory_limit.clone(),
            scheduler: self.scheduler.clone(),
            utc_offset: self.utc_offset,
            zstd_framed: self.zstd_framed,
            ..Self::new()
        }
        .writable(true)
    }

    /// Returns the options to read logs with: the limits and master keys of the files.
    pub(crate) fn wal_options(&self) -> WalReaderOptions {
        WalReaderOptions::of_files(self.files.limit_values(), self.files.given_master_keys())
    }

    /// Returns the options to open the files with.
    pub(crate) fn hfile_options(&self) -> &HFileOptions {
        &self.files
    }

    /// Returns the storage of the files.
    pub(crate) fn file_storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Whether regions are opened for writing.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Opens the region in a directory.
    ///
    /// Replays recovered edits, the writes that a server's crash has left in a log. A region open for writing
    /// flushes them and removes the logs before this returns; one open for reading keeps them in memory.
    ///
    /// A region under a root directory is not opened for writing while logs of dead servers (`WALs/`) have
    /// edits of it that are in no file. Otherwise a write could get the sequence id of such an edit, and the
    /// recovery of the root would then skip the edit.
    ///
    /// A region without a table descriptor is read with all versions of all cells, and has a
    /// [warning](Region::warnings). It can be opened for writing only if all of its families [are
    /// given](Self::family).
    ///
    /// # Errors
    ///
    /// - If the directory does not exist and must not be created, or is not a region's, or one of its files
    ///   is damaged or unreadable.
    /// - If it has recovered HFiles; recovered edits that take more memory than
    ///   [`Limits::load_on_open_bytes`]; or recovered edits that some releases of HBase have written to
    ///   `<namespace>/<table>/<region>` of the root, without `data` (HBASE-20734).
    /// - If the given families differ from the table descriptor.
    /// - If it is opened for writing, and another process has it open for writing
    ///   ([`Locked`](crate::ErrorKind::Locked)).
    /// - If it is opened for writing, and the root must be [recovered](crate::Table::recover) first
    ///   ([`InvalidArgument`](crate::ErrorKind::InvalidArgument)); also if a split or merge of the region was
    ///   interrupted, which [opening its table](crate::Table::open_with) for writing ends, or has replaced it
    ///   by regions that have directories.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Region> {
        self.check_clock()?;
        self.bounded().open_region(path.as_ref())
    }

    /// Opens a region of a snapshot for reading, wherever its files are now.
    ///
    /// # Errors
    ///
    /// Same as [`open`](Self::open); if the options are for writing; if a file is missing, or its length
    /// differs from the snapshot's.
    pub(crate) fn open_of_snapshot(self, snapshot: &Snapshot, region: &SnapshotRegion) -> Result<Region> {
        self.check_clock()?;
        self.bounded().open_region_of(snapshot, region)
    }

    /// Opens HFiles outside of any region, for reading, as the files of one family in a region that covers
    /// all rows.
    ///
    /// HFiles do not record the settings of their family. Unless a family [is given](Self::family), it gets
    /// the name found in the files' cells and has no limits: cells and versions are hidden only by delete
    /// markers and by the settings of the read. The files may overlap; they are ordered by sequence id, as in
    /// a store. References and links in the directory of a region are followed, and entries there that are
    /// not store files are skipped. Values in MOB files (IS_MOB) are read if the first file is under the root
    /// directory that has them; otherwise reads of them fail.
    ///
    /// # Errors
    ///
    /// If there are no files, or one is damaged or unreadable; if their cells are of several families
    /// (checked on the first and last cell of each file) or in different orders; if the options are for
    /// writing, or more than one family is given.
    pub fn open_files(self, files: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Region> {
        self.check_clock()?;
        let files: Vec<_> = files.into_iter().map(|file| file.as_ref().to_owned()).collect();
        self.bounded().open_hfiles(&files)
    }
}
