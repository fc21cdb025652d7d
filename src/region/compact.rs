//! From several files of a store to one (read-path.md §17).

use super::commit::StoreChange;
use super::events::Task;
use super::{Inner, Region, Scheduler};
use crate::error::{Error, Result};
use crate::layout::StagedFile;
use crate::metrics::ReadCounts;
use crate::store::compact::{self, Merge, Selection};
use crate::store::{Keep, Store, StoreFile};
use crate::sync::unpoisoned;
use std::sync::TryLockError;

/// Which files to compact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compaction {
    /// All of them: delete markers and what they hide go. Of a family with windows of time one file for each window is
    /// made; of one whose files are a queue, nothing but the expired files goes.
    Major,
    /// Those that the family's policy chooses: by default, if there are enough that are alike (HBase:
    /// `ExploringCompactionPolicy`; read-path.md §17.6).
    Minor,
}

impl Region {
    /// Compacts the files of each family.
    ///
    /// Reads go on meanwhile. Files that are no longer needed are moved to the archive of HBase's root directory, if the region is in
    /// one, and removed otherwise; views that are open still read them.
    ///
    /// # Errors
    ///
    /// If the region is read-only, or [closed](crate::ErrorKind::Closed) before it is done, or a file cannot be read or written. The
    /// files are what they were then.
    pub fn compact(&self, compaction: Compaction) -> Result<()> {
        self.0.compact_all(compaction)
    }

    /// As [`compact`](Self::compact), of one family.
    ///
    /// # Errors
    ///
    /// As there, or if the family is unknown.
    pub fn compact_family(&self, family: impl AsRef<[u8]>, compaction: Compaction) -> Result<()> {
        self.0.compact(self.0.store_index(family.as_ref())?, compaction)
    }

    /// Compacts the `count` files of a family that begin with the `from`-th oldest, or those of them that there are.
    ///
    /// Files that have expired as a whole are dropped first, and not counted.
    ///
    /// # Errors
    ///
    /// As [`compact_family`](Self::compact_family).
    pub fn compact_files(&self, family: impl AsRef<[u8]>, from: usize, count: usize) -> Result<()> {
        let store = self.0.store_index(family.as_ref())?;
        self.0.compact_now(
            store,
            |_| Ok(()),
            |files, _| {
                let mut files: Vec<StoreFile> = files.to_vec();
                files.sort_by_key(|file| (file.max_seq_id(), file.bulk_load_time().is_some()));
                Ok(Chosen::of(files.into_iter().skip(from).take(count).collect()))
            },
        )
    }

    /// Compacts files of a family by their names, as [`store_file_names`](Self::store_file_names) has them; those alone, whether
    /// the policy would choose them or not. Markers go only if these are all that there are. Files that have expired as a
    /// whole are dropped first, these or others.
    ///
    /// # Errors
    ///
    /// As [`compact_family`](Self::compact_family), or if there is no file of a name.
    pub fn compact_named_files<N: AsRef<str>>(&self, family: impl AsRef<[u8]>, names: &[N]) -> Result<()> {
        let store = self.0.store_index(family.as_ref())?;
        let check = |files: &[StoreFile]| {
            let unknown = |name: &&N| files.iter().all(|file| file.name() != name.as_ref());
            let Some(name) = names.iter().find(unknown) else { return Ok(()) };
            let name: String = name.as_ref().chars().take(200).collect();
            Err(Error::invalid_argument(format!("the family has no store file {name:?}")))
        };
        self.0.compact_now(store, check, |files, _| {
            let is_named = |file: &&StoreFile| names.iter().any(|name| name.as_ref() == file.name());
            Ok(Chosen::of(files.iter().filter(is_named).cloned().collect()))
        })
    }

    /// The names of the files of a family, oldest first; none for an unknown one.
    #[must_use]
    pub fn store_file_names(&self, family: impl AsRef<[u8]>) -> Option<Vec<String>> {
        let store = self.0.store_index(family.as_ref()).ok()?;
        let files = &self.0.states.load().stores[store].files;
        Some(files.iter().map(|file| file.name().to_owned()).collect())
    }
}

/// Files that are to be compacted, oldest first, and where what comes of them is cut.
struct Chosen {
    files: Vec<StoreFile>,
    boundaries: Vec<i64>,
}

impl Chosen {
    fn of(files: Vec<StoreFile>) -> Self {
        Self { files, boundaries: Vec::new() }
    }
}

/// What came of a compaction that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Compacted,
    /// There was nothing to do.
    Idle,
    /// A caller compacts the store.
    Busy,
}

impl Inner {
    /// Compacts every store.
    pub(super) fn compact_all(&self, compaction: Compaction) -> Result<()> {
        (0..self.stores.len()).try_for_each(|store| self.compact(store, compaction))
    }

    fn compact(&self, store: usize, compaction: Compaction) -> Result<()> {
        let major = compaction == Compaction::Major;
        self.compact_now(store, |_| Ok(()), |files, now| Ok(self.choose(store, files, now, major)))
    }

    /// How many bytes the policy of a store would compact now; none if there is nothing to do.
    pub(super) fn compaction_size(&self, store: usize) -> Option<u64> {
        let (files, now) = (self.states.load().stores[store].files.clone(), self.clock.now());
        let chosen = self.choose(store, &files, now, false).files;
        let is_idle = chosen.is_empty() && self.unneeded(store, &files, now).is_empty();
        (!is_idle).then(|| chosen.iter().map(StoreFile::file_len).sum())
    }

    /// Compacts what the policy of a store chooses, at the pace of a scheduler.
    pub(super) fn compact_in_background(&self, store: usize, scheduler: &Scheduler) -> Result<Outcome> {
        let _compacting = match self.compacting[store].try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(Outcome::Busy),
        };
        let progress = |bytes| {
            self.check_open()?;
            scheduler.spend(bytes, || self.check_open())
        };
        let choose = |files: &[StoreFile], now| Ok(self.choose(store, files, now, false));
        let compacted = self.compact_chosen(store, |_| Ok(()), choose, &progress)?;
        Ok(if compacted { Outcome::Compacted } else { Outcome::Idle })
    }

    /// Compacts on the thread of a caller, after compactions of the store that are under way.
    fn compact_now(
        &self,
        store: usize,
        check: impl FnOnce(&[StoreFile]) -> Result<()>,
        choose: impl FnOnce(&[StoreFile], i64) -> Result<Chosen>,
    ) -> Result<()> {
        let _compacting = unpoisoned(self.compacting[store].lock());
        self.compact_chosen(store, check, choose, &|_| self.check_open()).map(drop)
    }

    /// What the policy of a store chooses of its files.
    fn choose(&self, store: usize, files: &[StoreFile], now: i64, major: bool) -> Chosen {
        let Store { family, compaction: config, .. } = &self.stores[store];
        let candidates: Vec<_> = files.iter().map(StoreFile::candidate).collect();
        let chosen = compact::select(&candidates, &[], config, now, family.ttl_millis(), major, major);
        chosen.map_or_else(
            || Chosen::of(Vec::new()),
            |Selection { files: places, boundaries, .. }| Chosen {
                files: places.into_iter().map(|i| files[i].clone()).collect(),
                boundaries,
            },
        )
    }

    /// Drops files that have expired, and merges those that are chosen of the others, unless the check of what there is
    /// before fails. Returns whether anything was dropped or merged. `progress` may end it, as [`Merge`] says.
    fn compact_chosen(
        &self,
        store: usize,
        check: impl FnOnce(&[StoreFile]) -> Result<()>,
        choose: impl FnOnce(&[StoreFile], i64) -> Result<Chosen>,
        progress: &dyn Fn(u64) -> Result<()>,
    ) -> Result<bool> {
        // While the store's lock is held, for which a region that is closed waits.
        self.check_writable()?;
        let now = self.clock.now();
        check(&self.states.load().stores[store].files)?;
        self.archive_replaced(Some(store))?;
        let dropped = self.drop_unneeded(store, now)?;
        let files = self.states.load().stores[store].files.clone();
        let family = self.stores[store].family.name();
        let Chosen { files: inputs, boundaries } =
            self.choose_observed(family, &files, |files| choose(files, now))?;
        if inputs.is_empty() {
            return Ok(dropped);
        }
        self.tell_compaction_started(
            store,
            inputs.len(),
            inputs.iter().map(StoreFile::file_len).sum(),
            inputs.len() == files.len(),
        );
        let compacted = self.merge(store, files, inputs, &boundaries, now, progress);
        match &compacted {
            Ok(names) => self.tell_compaction_ended(store, names),
            Err(error) => self.tell_failed(Task::Compaction, error),
        }
        let names = compacted?;
        names.iter().try_for_each(|name| {
            self.observe(|observer, context| observer.post_compact(context, family, name))
        })?;
        Ok(true)
    }

    /// Merges some of the files of a store; returns the names of the new ones.
    fn merge(
        &self,
        store: usize,
        files: Vec<StoreFile>,
        inputs: Vec<StoreFile>,
        boundaries: &[i64],
        now: i64,
        progress: &dyn Fn(u64) -> Result<()>,
    ) -> Result<Vec<String>> {
        let family = self.stores[store].family.name();
        let newest = |files: &[StoreFile]| files.iter().map(StoreFile::max_seq_id).max();
        let all_files = inputs.len() == files.len();
        let info = self.stores[store].scan_info(now);
        let info = self.observed_info(store, info, |observer, context, family, options| {
            observer.pre_compact_scanner_open(context, family, all_files, options)
        })?;
        let passes = self.passes(|observer, context| observer.pre_compact(context, family, all_files))?;
        let newest = newest(&inputs) == newest(&files);
        let merge = Merge { inputs: &inputs, all_files, boundaries, newest, progress };
        let keep = Keep { info, max_read_point: self.mvcc.smallest_read_point(), passes };
        let outputs = self.stores[store].compact(merge, keep)?;
        let names: Vec<String> = outputs.iter().map(|file| file.name().to_owned()).collect();
        drop(files);
        self.replace(store, inputs, outputs, now)?;
        self.counters.add(&ReadCounts { compactions: 1, ..ReadCounts::default() });
        if let Some(background) = &self.background {
            background.compacted(store);
        }
        Ok(names)
    }

    /// Chooses among the files that the observers leave.
    fn choose_observed(
        &self,
        family: &[u8],
        files: &[StoreFile],
        choose: impl FnOnce(&[StoreFile]) -> Result<Chosen>,
    ) -> Result<Chosen> {
        if self.observers.is_empty() {
            return choose(files);
        }
        let mut names: Vec<String> = files.iter().map(|file| file.name().to_owned()).collect();
        let bypassed = self.observe_or_bypass(|observer, context| {
            observer.pre_compact_selection(context, family, &mut names)
        })?;
        let left: Vec<StoreFile> =
            files.iter().filter(|file| names.iter().any(|name| name == file.name())).cloned().collect();
        let chosen = if bypassed { Chosen::of(left) } else { choose(&left)? };
        let names: Vec<String> = chosen.files.iter().map(|file| file.name().to_owned()).collect();
        self.observe(|observer, context| observer.post_compact_selection(context, family, &names))?;
        Ok(chosen)
    }

    /// Drops the files of which every cell has expired (§17.5, "unneeded files").
    /// Returns whether there were any.
    fn drop_unneeded(&self, store: usize, now: i64) -> Result<bool> {
        let files = self.states.load().stores[store].files.clone();
        let unneeded = self.unneeded(store, &files, now);
        if unneeded.is_empty() {
            return Ok(false);
        }
        drop(files);
        self.replace(store, unneeded, Vec::new(), now)?;
        Ok(true)
    }

    fn unneeded(&self, store: usize, files: &[StoreFile], now: i64) -> Vec<StoreFile> {
        let Store { family, compaction, .. } = &self.stores[store];
        let candidates: Vec<_> = files.iter().map(StoreFile::candidate).collect();
        let ttl = family.ttl_millis();
        let unneeded = compact::unneeded(&candidates, &[], compaction, now, ttl, family.min_versions);
        unneeded.into_iter().map(|i| files[i].clone()).collect()
    }

    /// Puts files in place of others, which go to the archive. Those that cannot be archived are tried again before the next
    /// compaction, and when the region is closed.
    fn replace(
        &self,
        store: usize,
        inputs: Vec<StoreFile>,
        outputs: Vec<StagedFile>,
        now: i64,
    ) -> Result<()> {
        // Until they are gone, only the files that replaced them say so.
        self.archive_replaced(Some(store))?;
        let change = StoreChange { store, add: outputs, remove: inputs.clone() };
        self.commit(vec![change], now, |opened| {
            let outputs = opened.into_iter().flatten().collect();
            self.swap(store, |state| state.compacted(&inputs, outputs));
        })?;
        // Files that nothing reads any more need not stay open when they lose their names.
        drop(inputs);
        // The change is done; what could not be archived is in the region's health.
        if let Err(error) = self.archive_replaced(Some(store)) {
            self.tell_unarchived(&error);
        }
        Ok(())
    }
}
