//! How to open a region.

use super::observer::{Observers, RegionObserver};
use super::{MemoryLimit, Region, Scheduler};
use crate::cache::BlockCache;
use crate::clock::{Clock, SystemClock};
use crate::error::Result;
use crate::hfile::{HFile, HFileOptions};
use crate::io::{BoundedStorage, FileHandles, LocalStorage, Storage};
use crate::layout::archived_path;
use crate::limits::Limits;
use crate::schema::Family;
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to open a [`Region`]: made by [`Region::options`].
#[derive(Clone, Debug)]
pub struct RegionOptions {
    pub(super) files: HFileOptions,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) file_handles: Option<FileHandles>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) writable: bool,
    pub(super) create_if_missing: bool,
    pub(super) alter: bool,
    pub(super) families: Vec<Family>,
    pub(super) descriptor_file: Option<PathBuf>,
    pub(super) table: Option<String>,
    pub(super) start_key: Bytes,
    pub(super) end_key: Bytes,
    pub(super) memstore_flush_size: Option<u64>,
    pub(super) memory_limit: Option<MemoryLimit>,
    pub(super) scheduler: Option<Scheduler>,
    pub(super) compaction_enabled: bool,
    pub(super) observers: Observers,
    pub(super) lazy_seek: bool,
}

impl RegionOptions {
    pub(super) fn new() -> Self {
        Self {
            files: HFile::options(),
            storage: LocalStorage::shared(),
            file_handles: None,
            clock: Arc::new(SystemClock),
            writable: false,
            create_if_missing: false,
            alter: false,
            families: Vec::new(),
            descriptor_file: None,
            table: None,
            start_key: Bytes::new(),
            end_key: Bytes::new(),
            memstore_flush_size: None,
            memory_limit: None,
            scheduler: None,
            compaction_enabled: true,
            observers: Observers::default(),
            lazy_seek: true,
        }
    }

    /// Keeps decoded blocks in this cache (default: none, so that each read goes to the files).
    #[must_use]
    pub fn cache(mut self, cache: &BlockCache) -> Self {
        self.files = self.files.cache(cache);
        self
    }

    /// How many store files may be open at once, a bound that other regions may share (default:
    /// [`FileHandles::of_process`]).
    #[must_use]
    pub fn file_handles(mut self, handles: &FileHandles) -> Self {
        self.file_handles = Some(handles.clone());
        self
    }

    /// The storage with its files bounded, for a region that is about to be opened.
    pub(super) fn bounded(mut self) -> Self {
        let handles = self.file_handles.clone().unwrap_or_else(FileHandles::of_process);
        self.storage = Arc::new(BoundedStorage::new(self.storage, handles, archived_path));
        self.files = self.files.storage(Arc::clone(&self.storage));
        self
    }

    /// Whether the region may be written to (default: no). One process at a time may open it so.
    #[must_use]
    pub fn writable(mut self, writable: bool) -> Self {
        self.writable = writable;
        self
    }

    /// Creates a region where there is none, of the families given, and opens it for writing.
    #[must_use]
    pub fn create_if_missing(mut self, create: bool) -> Self {
        self.create_if_missing = create;
        self.writable |= create;
        self
    }

    /// A family of a region that is created, or of one that has no table descriptor.
    ///
    /// For a region with a table descriptor it must be as the descriptor has it; opening fails otherwise, unless the
    /// descriptor is to be [altered](Self::alter).
    #[must_use]
    pub fn family(mut self, family: Family) -> Self {
        self.families.retain(|other| other.name() != family.name());
        self.families.push(family);
        self
    }

    /// A table descriptor of HBase's, a file like `.tableinfo.0000000001.626`, whose families are [given](Self::family): for a
    /// region that was copied without its table.
    #[must_use]
    pub fn descriptor_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.descriptor_file = Some(path.into());
        self
    }

    /// Whether the table descriptor is rewritten if the [families given](Self::family) differ from it (default: no). Families that
    /// are not given stay as they are (HBase: `modify_column_family`, `add_column_family`). Needs a writable region.
    #[must_use]
    pub fn alter(mut self, alter: bool) -> Self {
        self.alter = alter;
        self
    }

    /// The table of a region that is created: `name` or `namespace:name` (default: `default`).
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = Some(name.into());
        self
    }

    /// The rows of a region that is created: from `start` on to before `end`; empty for no bound.
    #[must_use]
    pub fn key_range(mut self, start: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        (self.start_key, self.end_key) = (start.into(), end.into());
        self
    }

    /// Flushes when cells in memory and what finds them take this many bytes, on a thread of the [scheduler](Self::scheduler),
    /// and compacts what the policy chooses after it (default: what the table's descriptor sets, else 128 MiB; HBase:
    /// `hbase.hregion.memstore.flush.size`). Writers wait when four times as much is there.
    #[must_use]
    pub fn memstore_flush_size(mut self, bytes: u64) -> Self {
        self.memstore_flush_size = Some(bytes);
        self
    }

    /// How much memory unflushed cells may take in all regions that share the limit (default: [that of the
    /// process](MemoryLimit::global)).
    #[must_use]
    pub fn memory_limit(mut self, limit: &MemoryLimit) -> Self {
        self.memory_limit = Some(limit.clone());
        self
    }

    /// What flushes and compacts the region when nobody asks for it (default: [the scheduler of the process](Scheduler::global)).
    #[must_use]
    pub fn scheduler(mut self, scheduler: &Scheduler) -> Self {
        self.scheduler = Some(scheduler.clone());
        self
    }

    /// Whether flushes of the scheduler are followed by compactions (default: yes; HBase: `COMPACTION_ENABLED`). Those that are
    /// [asked for](Region::compact) are made all the same.
    #[must_use]
    pub fn compaction_enabled(mut self, enabled: bool) -> Self {
        self.compaction_enabled = enabled;
        self
    }

    /// Calls an observer before and behind what the region does, with those of higher `priority` after it; 0 for no matter
    /// when.
    #[must_use]
    pub fn observer(mut self, priority: i32, observer: Arc<dyn RegionObserver>) -> Self {
        self.observers.add(priority, observer);
        self
    }

    /// Whether scans of columns put seeks off until they must know what is there (default: yes). No answer depends on it: it
    /// is for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn lazy_seek(mut self, lazy: bool) -> Self {
        self.lazy_seek = lazy;
        self
    }

    /// The clock by which cells expire and are dated (default: the system's).
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where files are (default: the local file system).
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.files = self.files.storage(Arc::clone(&storage));
        self.storage = storage;
        self
    }

    /// Whether to compare the checksums of blocks (default: yes).
    #[must_use]
    pub fn verify_checksums(mut self, verify: bool) -> Self {
        self.files = self.files.verify_checksums(verify);
        self
    }

    /// The most that a file may make us allocate.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.files = self.files.limits(limits);
        self
    }

    /// The dictionary of files compressed by Zstandard with one. See [`HFileOptions::zstd_dictionary`].
    #[must_use]
    pub fn zstd_dictionary(mut self, dictionary: impl Into<Arc<[u8]>>) -> Self {
        self.files = self.files.zstd_dictionary(dictionary);
        self
    }

    /// The cluster's master key, for encrypted files. See [`HFileOptions::master_key`].
    #[must_use]
    pub fn master_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        self.files = self.files.master_key(key);
        self
    }

    /// The time by the clock of the regions, in milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Where files are.
    pub(crate) fn file_storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Whether regions are opened to be written to.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Opens the region of a directory.
    ///
    /// A region without a table descriptor is read with all versions of all cells, and [says so](Region::warnings). It is opened for writing
    /// only if all of its families [are given](Self::family).
    ///
    /// # Errors
    ///
    /// If there is none and none is to be created; if the directory is not a region, or a file of it is damaged or not
    /// readable; if it has recovered edits, which must be replayed first; if another process has it open for writing
    /// ([`Locked`](crate::ErrorKind::Locked)); if families that are given differ from the table descriptor.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Region> {
        self.bounded().open_region(path.as_ref())
    }

    /// Opens HFiles that are in no region, for reading, as the files of one family of a region of all rows.
    ///
    /// No file says what its family promises. Unless one [is given](Self::family), it is called as that of the files' cells and
    /// keeps everything: versions and cells are hidden by delete markers and by what is asked for, and by nothing else.
    /// The files may overlap; sequence ids order them as in a store.
    ///
    /// # Errors
    ///
    /// If there are no files, or one is damaged or not readable; if their cells are of several families (which is told by the
    /// first and the last of each) or have several orders; if the region is to be writable, or more than one family is given.
    pub fn open_files(self, files: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Region> {
        let files: Vec<_> = files.into_iter().map(|file| file.as_ref().to_owned()).collect();
        self.bounded().open_hfiles(&files)
    }
}
