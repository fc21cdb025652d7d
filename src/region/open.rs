//! Opening a region (read-path.md §20; HBase: `HRegion.openHRegion`).

use super::background::Background;
use super::dir::RegionDir;
use super::locks::RowLocks;
use super::state_cell::StateCell;
use super::{Inner, Region, RegionOptions, RegionState};
use crate::error::{Error, Result};
use crate::io::FileLock;
use crate::metrics::{BlockCounts, Counters};
use crate::mvcc::Mvcc;
use crate::schema::{Family, RegionInfo, TableName};
use crate::store::compact::CompactionConfig;
use crate::store::tracker::open_files;
use crate::store::{Store, StoreFile, StoreState};
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock, Weak};

/// What a writer locks in the region's directory. HBase passes over it.
const LOCK: &str = ".hregion.lock";

/// The table of a region that nobody named one for.
pub(super) const DEFAULT_TABLE: &str = "default";

/// What is open of a region that is about to be one.
pub(super) struct Opened {
    pub(super) dir: RegionDir,
    pub(super) stores: Vec<Store>,
    pub(super) states: Vec<Arc<StoreState>>,
    pub(super) mvcc: Mvcc,
    pub(super) lock: Option<FileLock>,
    pub(super) block_counts: Arc<BlockCounts>,
}

impl RegionOptions {
    pub(super) fn open_region(mut self, path: &Path) -> Result<Region> {
        self.families.iter().try_for_each(Family::check)?;
        let dir = self.open_dir(path)?;
        self.observers.call(dir.info(), None, false, |observer, context| observer.pre_open(context))?;
        let lock = if self.writable { Some(self.lock(&dir)?) } else { None };
        let block_counts = Arc::new(BlockCounts::default());
        self.files = self.files.block_counts(Arc::clone(&block_counts));
        let (mut stores, mut states) = (Vec::new(), Vec::new());
        let mut max_seq_id = dir.max_seq_id().unwrap_or(0);
        for family in self.families_of(&dir) {
            let store = Store {
                compaction: self.compaction_of(&dir, &family)?,
                dir: dir.family_dir(family.name()),
                tmp: dir.tmp().join(String::from_utf8_lossy(family.name()).as_ref()),
                family,
                order: dir.order(),
                options: self.files.clone(),
                storage: Arc::clone(&self.storage),
            };
            let files = self.open_store_files(&dir, &store)?;
            max_seq_id = files.iter().map(greatest_seq_id).fold(max_seq_id, i64::max);
            let mut state = StoreState::new(&store.family, store.order, files);
            state.lazy_seek = self.lazy_seek;
            states.push(Arc::new(state));
            stores.push(store);
        }
        let mvcc = Mvcc::new(0);
        mvcc.advance_to(max_seq_id.saturating_add(1))?;
        self.region(Opened { dir, stores, states, mvcc, lock, block_counts })
    }

    /// The region, now that its files are open.
    pub(super) fn region(self, opened: Opened) -> Result<Region> {
        let Opened { dir, stores, states, mvcc, lock, block_counts } = opened;
        let inner = Arc::new_cyclic(|this| Inner {
            observers: self.observers,
            this: Weak::clone(this),
            info: dir.info().clone(),
            order: dir.order(),
            dir,
            stores,
            states: StateCell::new(RegionState { stores: states }),
            mvcc: Arc::new(mvcc),
            clock: self.clock,
            counters: Arc::new(Counters::default()),
            block_counts,
            lock,
            rows: RowLocks::new(),
            updates: RwLock::new(()),
            flushing: Mutex::new(()),
            compacting: Mutex::new(()),
            background: self.background_flush_size.filter(|_| self.writable).map(Background::new),
        });
        if let Some(background) = &inner.background {
            background.start(&inner)?;
        }
        inner.observe(|observer, context| observer.post_open(context))?;
        Ok(Region(inner))
    }

    /// The directory; one that is not there is made, if it may be.
    fn open_dir(&self, path: &Path) -> Result<RegionDir> {
        match RegionDir::open(&self.storage, path) {
            Err(error) if self.create_if_missing && error.is_not_found() => {}
            opened => return opened,
        }
        if self.families.is_empty() {
            return Err(Error::invalid_argument("a new region needs a family at least"));
        }
        let table = TableName::parse(self.table.as_deref().unwrap_or(DEFAULT_TABLE))?;
        let info = RegionInfo::new(table, self.start_key.clone(), self.end_key.clone(), self.clock.now())?;
        RegionDir::create(&self.storage, path, &info, &self.families)
    }

    /// Keeps other writers away.
    fn lock(&self, dir: &RegionDir) -> Result<FileLock> {
        let path = dir.path().join(LOCK);
        self.storage.lock(&path).map_err(|error| Error::io("lock, for writing,", &path, error))
    }

    /// How the files of a family are compacted, if they may be: as is set of the family that was given, or in the descriptor.
    fn compaction_of(&self, dir: &RegionDir, family: &Family) -> Result<CompactionConfig> {
        if !self.writable {
            return Ok(CompactionConfig::default());
        }
        let given = self.families.iter().find(|given| given.name() == family.name());
        let setting = |key: &str| {
            let given = given.and_then(|given| given.configuration.get(key)).map(String::as_str);
            given.or_else(|| dir.setting(family.name(), key))
        };
        CompactionConfig::from_settings(family, &setting)
    }

    /// The families by name: those given, and the others that the directory has.
    fn families_of(&self, dir: &RegionDir) -> Vec<Family> {
        let given = |family: &&Family| self.families.iter().any(|given| given.name() == family.name());
        let others = dir.families().iter().filter(|family| !given(family));
        let mut families: Vec<Family> = self.families.iter().chain(others).cloned().collect();
        families.sort_by(|a, b| a.name().cmp(b.name()));
        families
    }

    /// The files of a store, but for those that others were made of: a compaction that was cut off left them.
    fn open_store_files(&self, dir: &RegionDir, store: &Store) -> Result<Vec<StoreFile>> {
        let places = dir.files(store.family.name())?.files;
        let (files, replaced) = open_files(&store.options, &places)?;
        if self.writable {
            replaced
                .iter()
                .try_for_each(|file| dir.archive(store.family.name(), &store.dir.join(file.name())))?;
        }
        Ok(files)
    }
}

/// The greatest sequence id that a file knows of. A cell may have a greater one than the log's that its file ends with: what
/// was computed for it, or came by a bulk load with the ids it had.
fn greatest_seq_id(file: &StoreFile) -> i64 {
    file.max_seq_id().max(file.max_memstore_ts())
}
