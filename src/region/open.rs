//! Opens a region (read-path.md §20; HBase: `HRegion.openHRegion`).

mod dir;
mod store_files;

use super::background::Background;
use super::commit::{FileChanges, Replaced};
use super::in_memory_flush::InMemoryFlush;
use super::locks::RowLocks;
use super::log::{LogSettings, RegionLog, SharedLog};
use super::replay::{LaterEdits, RecoveredEdits, ReplayError, Replayed, Replaying, Window};
use super::super_version::SuperVersionCell;
use super::updates::Updates;
use super::write::{max_cell_len, max_key_len};
use super::{GetThreads, MemoryLimit, Region, RegionCore, RegionOptions, RegionVersion, Scheduler};
use crate::cell::CellOrder;
use crate::error::{Corruption, Error, Result};
use crate::hfile::HFileOptions;
use crate::io::{FileLock, Owner};
use crate::layout::file_name::new_file_name;
use crate::layout::{
    RECOVERED_EDITS, RegionDir, SchemaChange, Snapshot, SnapshotRegion, StoreFiles, path_of_region,
};
use crate::limits::Limits;
use crate::memstore::Segment;
use crate::metrics::{BlockCounts, Counters};
use crate::mvcc::Mvcc;
use crate::op::Durability;
use crate::schema::Family;
use crate::store::compact::CompactionConfig;
use crate::store::{
    FileSettings, MobFiles, Store, StoreFile, StoreFileUse, StoreVersion, WriteLimits,
    loads_families_on_demand, max_row_bytes, memstore_flush_size, read_settings,
};
use dir::describe;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use store_files::{StoreContent, greatest_seq_id};

/// The table of a region that is created without a table name.
pub(super) const DEFAULT_TABLE: &str = "default";

/// The default flush size in bytes (hbase.hregion.memstore.flush.size).
const DEFAULT_FLUSH_SIZE: u64 = 128 << 20;

/// The maximum number of times that files are listed again because another process has changed them.
pub(super) const LISTINGS: u32 = 100;

/// The number of sequence ids skipped when a region is opened for writing in a storage whose locks may
/// outlive their processes: more than a writer has in progress.
pub(super) const SKIPPED_IDS: i64 = 1 << 20;

/// Returns the files of a family: by its directory, or from a list.
pub(super) type ListFiles<'l> = &'l dyn Fn(&RegionDir, &[u8]) -> Result<StoreFiles>;

/// The opened parts of a region.
pub(super) struct Opened {
    pub(super) dir: RegionDir,
    pub(super) stores: Vec<Store>,
    pub(super) states: Vec<Arc<StoreVersion>>,
    pub(super) mvcc: Mvcc,
    /// The greatest sequence id in the files.
    pub(super) files_seq_id: i64,
    /// Whether all families have the same writes, even if another process has flushed some of them during the
    /// opening.
    pub(super) is_consistent: bool,
    pub(super) lock: Option<FileLock>,
    pub(super) block_counts: Arc<BlockCounts>,
    pub(super) replaced: Vec<Replaced>,
    pub(super) replayed: Replayed,
    /// The edits to replay once the first ones are in files.
    pub(super) later: Option<LaterEdits>,
    pub(super) warnings: Vec<Error>,
}

impl RegionOptions {
    pub(super) fn open_region(mut self, path: &Path) -> Result<Region> {
        let check = if self.writable { Family::check } else { Family::check_readable };
        self.families.iter().try_for_each(check)?;
        let described = self.read_descriptor_file()?;
        let path = &path_of_region(&*self.storage, path)?;
        let (dir, lock) = self.open_dir(path, described.as_ref())?;
        self.pre_open(&dir)?;
        if self.writable {
            let opened = self.load(dir, lock, Vec::new(), &RegionDir::store_files)?;
            return self.region(opened);
        }
        let (mut dir, logs) = (dir, path.join(RECOVERED_EDITS));
        for _ in 0..LISTINGS {
            match self.load(dir, None, Vec::new(), &RegionDir::store_files) {
                Ok(opened) if opened.is_consistent && !opened.dir.is_altered()? => {
                    return self.region(opened);
                }
                Ok(_) => {}
                // In an object store, a log is replaced as it grows, and cannot be read once it is removed.
                Err(error)
                    if error.is_stale() && error.path().is_some_and(|file| file.starts_with(&logs)) => {}
                Err(error) => return Err(error),
            }
            (dir, _) = self.open_dir(path, described.as_ref())?;
        }
        let message = "another process keeps changing the logs or the families: try again later";
        let error = io::Error::new(io::ErrorKind::Interrupted, message);
        Err(Error::io("list", &logs, error))
    }

    fn pre_open(&self, dir: &RegionDir) -> Result<()> {
        self.observers.call(dir.info(), None, false, |observer, context| observer.pre_open(context))?;
        Ok(())
    }

    /// Opens a region of a snapshot, for reading. Its directory need not exist.
    pub(super) fn open_region_of(mut self, snapshot: &Snapshot, region: &SnapshotRegion) -> Result<Region> {
        if self.writable || self.alter {
            return Err(Error::invalid_argument("a region of a snapshot can only be opened for reading"));
        }
        self.refuse_logs("a region of a snapshot")?;
        self.families.iter().try_for_each(Family::check_readable)?;
        let described = self.read_descriptor_file()?;
        let mut dir = snapshot.region_dir(&self.storage, region);
        describe(&mut dir, described.as_ref())?;
        self.pre_open(&dir)?;
        let warnings = snapshot.warnings().to_vec();
        let list = |dir: &RegionDir, family: &[u8]| snapshot.store_files(dir, region, family);
        let opened = self.load(dir, None, warnings, &list)?;
        self.region(opened)
    }

    /// Opens the store files that `list` returns for each family, and replays recovered edits.
    fn load(
        &self,
        dir: RegionDir,
        lock: Option<FileLock>,
        mut warnings: Vec<Error>,
        list: ListFiles<'_>,
    ) -> Result<Opened> {
        let block_counts = Arc::new(BlockCounts::default());
        let options = self.files.clone().block_counts(Arc::clone(&block_counts));
        let (families, mut unknown) = self.families_of(&dir)?;
        warnings.append(&mut unknown);
        let reading = self.wal_options().limits(self.replay_limits(&dir)?);
        let may_vanish = !self.writable;
        let (given, accept_torn) = (&self.replay_logs, self.accept_torn_logs);
        let mut edits = RecoveredEdits::new(&dir, given, &self.storage, reading, may_vanish, accept_torn)?;
        let new_store = |family: Family| self.new_store(&dir, family, &options);
        let stores = families.into_iter().map(new_store).collect::<Result<Vec<Store>>>()?;
        let files = self.open_store_files(&dir, &stores, list, &mut warnings)?;
        for (store, opened) in stores.iter().zip(&files) {
            edits.add_files(store.family.name(), opened.files.iter().map(StoreFile::name));
        }
        let greatest =
            |opened: &StoreContent| opened.files.iter().map(StoreFile::max_seq_id).fold(0, i64::max);
        let flushed: Vec<i64> = files.iter().map(greatest).collect();
        if self.writable
            && !self.logs_are_split
            && let Some(root) = dir.root_of_table()
        {
            edits.refuse_unsplit(root, &stores, &flushed)?;
        }
        let (segments, mut replayed, windows) = self.replay_edits(&edits, &stores, &flushed)?;
        let (mut states, mut replaced, mut files_seq_id) = (Vec::new(), Vec::new(), 0);
        for (index, ((store, mut opened), segment)) in stores.iter().zip(files).zip(segments).enumerate() {
            let is_compacted =
                |name: &str| replayed.compacted.contains(&(store.family.name().to_vec(), name.to_owned()));
            opened.leave_out(is_compacted);
            let left_over = |name: String| Replaced {
                store: index,
                name,
                in_use: StoreFileUse::default(),
                is_left: true,
            };
            replaced.extend(opened.replaced.into_iter().map(left_over));
            files_seq_id = opened.files.iter().map(greatest_seq_id).fold(files_seq_id, i64::max);
            states.push(Arc::new(self.state_of(store, opened.files, segment)?));
        }
        // A flush that ended after the logs were opened, and is in the listings of only some families, must
        // not have cells that are missing from the logs. A file of a flush that writes several may end with
        // the first write that is missing.
        let (least, most) = (flushed.iter().min().copied(), flushed.iter().max().copied());
        let is_logged = most <= least.max(Some(replayed.max_seq_id));
        let is_consistent = self.writable || is_logged || edits.are_unchanged(&dir)?;
        warnings.append(&mut replayed.warnings);
        let mvcc = Mvcc::new(0);
        let max_seq_id = dir.max_seq_id().unwrap_or(0).max(files_seq_id).max(replayed.max_seq_id);
        // A writer that was believed to be dead may still log a write, which it does not acknowledge. The
        // next files get greater sequence ids, so that it is not replayed.
        let is_shared = self.writable && !self.storage.can_rename(dir.path());
        mvcc.advance_to(max_seq_id.saturating_add(if is_shared { SKIPPED_IDS } else { 1 }))?;
        let later = (!windows.is_empty()).then_some(LaterEdits { edits, windows, flushed });
        Ok(Opened {
            dir,
            stores,
            states,
            mvcc,
            files_seq_id,
            is_consistent,
            lock,
            block_counts,
            replaced,
            replayed,
            later,
            warnings,
        })
    }

    /// Returns the limits on what a replay reads.
    fn replay_limits(&self, dir: &RegionDir) -> Result<Limits> {
        let mut limits = self.files.limit_values().clone();
        if self.writable {
            // Writers wait at half of this, so their logged writes can nearly always be replayed at once.
            let (_, block_size) = self.memory_sizes(dir, write_limits(dir)?)?;
            let most = usize::try_from(block_size).unwrap_or(usize::MAX).saturating_mul(2);
            limits.load_on_open_bytes = limits.load_on_open_bytes.max(most);
        }
        Ok(limits)
    }

    fn new_store(&self, dir: &RegionDir, family: Family, options: &HFileOptions) -> Result<Store> {
        let (settings, invalid_settings) = match self.settings_of(dir, &family) {
            Err(error) if !self.writable => (Default::default(), Some(error)),
            settings => (settings?, None),
        };
        let (compaction, file_settings, zstd_dictionary) = settings;
        let most = max_row_bytes(family.name(), &|key| self.setting_of(dir, family.name(), key))?;
        let mob_files = || MobFiles::new(dir.mob_dirs(family.name()), dir.info().table(), options);
        let mob = dir.may_have_mob(family.name()).then(mob_files);
        // A new directory for each opening: moves by a process that has lost its lock then fail, because its
        // own is gone.
        let tmp = format!("{}.{}", String::from_utf8_lossy(family.name()), new_file_name(0));
        Ok(Store {
            compaction,
            invalid_settings,
            file_settings,
            max_row_bytes: self.files.limit_values().row_bytes.min(most),
            cache_data: dir.flag(family.name(), "BLOCKCACHE", true),
            zstd_framed: self.is_zstd_framed(zstd_dictionary.is_some()),
            zstd_dictionary,
            dir: dir.family(family.name()).path(),
            tmp: dir.tmp().join(tmp),
            family,
            order: dir.order(),
            options: options.clone(),
            mob,
            storage: Arc::clone(&self.storage),
        })
    }

    /// Replays edits into new segments, one for each store. If they take too much memory at once, replays the
    /// first window, and returns the remaining ones.
    fn replay_edits(
        &self,
        edits: &RecoveredEdits,
        stores: &[Store],
        flushed: &[i64],
    ) -> Result<(Vec<Arc<Segment>>, Replayed, Vec<Window>)> {
        let new_segments = || -> Vec<Arc<Segment>> {
            stores.iter().map(|store| Arc::new(Segment::new(store.order))).collect()
        };
        let mut segments = new_segments();
        let mut windows = Vec::new();
        let replayed = match edits.replay(stores, &segments, flushed) {
            Err(ReplayError::TooLarge(_)) if self.writable => {
                segments = new_segments();
                windows = edits.windows(stores, flushed)?;
                edits.replay_window(stores, &segments, flushed, &windows.remove(0))?
            }
            replayed => replayed.map_err(ReplayError::into_error)?,
        };
        Ok((segments, replayed, windows))
    }

    /// Returns the state of a store with these files, and a segment of replayed cells.
    fn state_of(&self, store: &Store, files: Vec<StoreFile>, segment: Arc<Segment>) -> Result<StoreVersion> {
        // For example files of a table with `hbase.region.use.meta.cell.comparator`.
        let is_other = |file: &&StoreFile| file.order() != store.order && file.first_row().is_some();
        if let Some(file) = files.iter().find(is_other) {
            let name = if file.order() == CellOrder::Meta {
                "of hbase:meta in a region of another table"
            } else {
                "of other tables in a region of hbase:meta"
            };
            return Err(Corruption::unsupported("order of cells", name).at(file.path(), 0));
        }
        let mut state = StoreVersion::new(&store.family, store.order, files);
        if self.writable {
            // Refused here rather than at the first flush, when writes have already been acknowledged.
            store.check_keys(&state.files)?;
        }
        state.lazy_seek = self.lazy_seek;
        state.active = segment;
        Ok(state)
    }

    /// Returns the memory sizes, in bytes, at which it is flushed and at which writers wait.
    fn memory_sizes(&self, dir: &RegionDir, limits: WriteLimits) -> Result<(u64, u64)> {
        let set = match self.memstore_flush_size {
            None => memstore_flush_size(&|key| dir.setting(&[], key))?,
            given => given,
        };
        let flush_size = set.unwrap_or(DEFAULT_FLUSH_SIZE);
        Ok((flush_size, flush_size.saturating_mul(limits.block_multiplier)))
    }

    fn new_background(&self, dir: &RegionDir, memory_sizes: (u64, u64), stores: usize) -> Background {
        let scheduler = self.scheduler.clone().unwrap_or_else(Scheduler::global);
        let limit = self.memory_limit.clone().unwrap_or_else(MemoryLimit::global);
        let table_compacts = || !is_read_only(dir) && dir.flag(&[], "COMPACTION_ENABLED", true);
        let compacts = self.compaction_enabled.unwrap_or_else(table_compacts);
        Background::new(scheduler, limit, memory_sizes, compacts, stores)
    }

    /// Returns the region's part of the table's log, or of a log of its own.
    fn new_log(&self, dir: &RegionDir, stores: usize) -> RegionLog {
        let shared = self.log.clone().unwrap_or_else(|| Arc::new(SharedLog::new(LogSettings::alone())));
        RegionLog::new(dir, &self.storage, shared, stores, self.files.limit_values())
    }

    /// Creates the region from its opened files.
    pub(super) fn region(self, opened: Opened) -> Result<Region> {
        let Opened { dir, stores, states, mvcc, files_seq_id, lock, block_counts, .. } = opened;
        let Opened { replaced, mut replayed, later, warnings, .. } = opened;
        let get_threads = GetThreads::new(self.max_get_threads());
        // A region that takes no writes needs none of the table's settings of writes, which may be invalid.
        let limits = WriteLimits::from_settings(&|key| dir.setting(&[], key).filter(|_| lock.is_some()))?;
        let durability = if lock.is_some() { durability_of(&dir)? } else { Durability::UseDefault };
        let memory_sizes = if lock.is_some() { self.memory_sizes(&dir, limits)? } else { (0, 0) };
        let in_memory_flush = InMemoryFlush::new(self.in_memory_flush_size, memory_sizes.0);
        let background = lock.is_some().then(|| self.new_background(&dir, memory_sizes, stores.len()));
        let log = lock.is_some().then(|| Box::new(self.new_log(&dir, stores.len())));
        let of_stores = stores.iter().find_map(|store| store.invalid_settings.clone());
        let of_table = if lock.is_some() { None } else { self.check_write_settings(&dir).err() };
        let inner = RegionCore {
            log,
            durability: self.durability.or(durability).or(Durability::FsyncWal),
            is_table_read_only: is_read_only(&dir),
            max_cell_len: max_cell_len(self.files.limit_values(), limits.cell_len),
            max_key_len: max_key_len(self.files.limit_values()),
            timestamp_slop: limits.timestamp_slop,
            mini_batch: limits.mini_batch,
            loads_families_on_demand: loads_families_on_demand(&|key| dir.setting(&[], key)),
            max_row_bytes: self.files.limit_values().row_bytes,
            may_have_mob: stores.iter().any(|store| store.mob.is_some()),
            compacting: stores.iter().map(|_| Mutex::new(())).collect(),
            get_threads,
            in_memory_flush,
            observers: self.observers,
            table_id: self.table_id,
            handle: OnceLock::new(),
            info: dir.info().clone(),
            order: dir.order(),
            dir,
            stores,
            states: SuperVersionCell::new(RegionVersion { stores: states }),
            mvcc: Arc::new(mvcc),
            clock: self.clock,
            counters: Arc::new(Counters::default()),
            block_counts,
            is_writable: lock.is_some(),
            owner: Owner::this(),
            lock: Mutex::new(lock),
            closing: Mutex::new(()),
            is_closing: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_retired: AtomicBool::new(false),
            is_open: AtomicBool::new(false),
            rows: RowLocks::new(),
            updates: Updates::default(),
            flushing: Mutex::new(()),
            files: FileChanges::new(replaced),
            warnings,
            invalid_settings: of_table.or(of_stores),
            replayed: OnceLock::new(),
            replaying: Replaying::new(&replayed, later.as_ref(), files_seq_id),
            background,
        };
        let region = Region::new(inner);
        if let Some(background) = &region.0.background {
            background.start(&region.0);
        }
        if let Some(log) = &region.0.log {
            log.add(Arc::downgrade(&region.0));
        }
        if region.0.is_writable {
            region.0.end_recovery(later.as_ref(), &mut replayed)?;
        }
        region.0.replayed.get_or_init(|| replayed.report);
        region.0.observe(|observer, context| observer.post_open(context))?;
        region.0.is_open.store(true, Ordering::Release);
        region.0.request_compactions_after_open();
        Ok(region)
    }

    /// Returns the settings of a family's compactions and of its new files.
    fn settings_of(
        &self,
        dir: &RegionDir,
        family: &Family,
    ) -> Result<(CompactionConfig, FileSettings, Option<String>)> {
        let setting = |key: &str| self.setting_of(dir, family.name(), key);
        let (mut compaction, files, zstd_dictionary) = read_settings(family, &setting)?;
        compaction.utc_offset = self.utc_offset;
        Ok((compaction, files, zstd_dictionary))
    }

    /// Returns a setting of a family: of the given family, else of the descriptor.
    fn setting_of<'s>(&'s self, dir: &'s RegionDir, family: &[u8], key: &str) -> Option<&'s str> {
        let given = self.families.iter().find(|given| given.name() == family);
        let given = given.and_then(|given| given.configuration.get(key)).map(String::as_str);
        given.or_else(|| dir.setting(family, key))
    }

    /// Opens the directory of a region that will be opened for writing.
    ///
    /// # Errors
    ///
    /// Also if the region could not be opened for writing, because the settings of its families are unknown,
    /// settings of the table are invalid, also such as only writes need, or values are in MOB files.
    pub(crate) fn dir_to_write(&self, path: &Path) -> Result<RegionDir> {
        let mut options = self.clone();
        let described = options.read_descriptor_file()?;
        let mut dir = RegionDir::open(&options.storage, path)?;
        describe(&mut dir, described.as_ref())?;
        dir.refuse_mob()?;
        let (families, unknown) = options.families_of(&dir)?;
        if let Some(unknown) = unknown.into_iter().next() {
            return Err(unknown);
        }
        options.check_write_settings(&dir)?;
        families.iter().try_for_each(|family| options.settings_of(&dir, family).map(drop))?;
        Ok(dir)
    }

    /// Fails if settings of the table that only writes need are invalid.
    fn check_write_settings(&self, dir: &RegionDir) -> Result<()> {
        self.memory_sizes(dir, write_limits(dir)?)?;
        durability_of(dir).map(drop)
    }

    /// Returns the families by name, and a warning if the settings of some are unknown.
    fn families_of(&self, dir: &RegionDir) -> Result<(Vec<Family>, Vec<Error>)> {
        let (families, _) = dir.reconcile(&self.families, SchemaChange::Refuse)?;
        let is_known = dir.has_descriptor() || families.len() == self.families.len();
        let warnings = if is_known { Vec::new() } else { vec![self.unknown_settings(dir)] };
        Ok((families, warnings))
    }
}

impl RegionCore {
    /// Archives replaced files that are left from compactions, flushes the replayed edits, and replays and
    /// flushes the rest.
    fn end_recovery(&self, later: Option<&LaterEdits>, replayed: &mut Replayed) -> Result<()> {
        // Files that cannot be archived are retried before the next compaction. The logs may be the only
        // record of them, and remain until they are archived.
        let archived = self.archive_replaced(None);
        if !replayed.is_empty() {
            if let Some(later) = later {
                self.replay_later(later, replayed)?;
            }
            self.flush_replay(&mut replayed.report)?;
            self.replaying.end();
            self.keep_edits(replayed);
            if archived.is_ok() {
                self.retire_kept_edits()?;
            }
        }
        if let Err(error) = archived {
            self.report_unarchived(&error);
        }
        Ok(())
    }
}

/// Whether the table's descriptor allows no writes.
fn is_read_only(dir: &RegionDir) -> bool {
    dir.flag(&[], "READONLY", false)
}

/// Returns the limits on writes in the table's descriptor.
fn write_limits(dir: &RegionDir) -> Result<WriteLimits> {
    WriteLimits::from_settings(&|key| dir.setting(&[], key))
}

/// Returns the durability that the table's descriptor sets.
fn durability_of(dir: &RegionDir) -> Result<Durability> {
    const KEY: &str = "DURABILITY";
    let Some(name) = dir.setting(&[], KEY) else { return Ok(Durability::UseDefault) };
    Durability::from_name(name)
        .ok_or_else(|| Corruption::unknown_name("durability of the table", name.as_bytes()).at(dir.path(), 0))
}
