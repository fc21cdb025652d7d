//! Compactions: merge several files of a store into one (read-path.md §17).

mod plan;

pub use plan::CompactionPlan;

use super::commit::StoreChange;
use super::events::Task;
use super::observer::Held;
use super::{Region, RegionCore, Scheduler};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::StagedFile;
use crate::metrics::ReadCounts;
use crate::store::compact::{self, CompactionJob, Selection};
use crate::store::{Retention, Store, StoreFile, have_tags};
use crate::sync::unpoisoned;
use std::path::PathBuf;
use std::sync::TryLockError;

/// The kind of a compaction, which determines the files to compact (HBase: `Admin#compact`, `majorCompact`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compaction {
    /// Compacts all files, and drops delete markers and the cells they hide. A family with date-tiered
    /// compaction gets one file for each time window. With FIFO compaction, only expired files are dropped.
    Major,
    /// Compacts the files selected by the family's policy: by default, only if there are enough files of
    /// similar size (HBase: `ExploringCompactionPolicy`; read-path.md §17.6).
    Minor,
}

impl Region {
    /// Compacts the files of each family.
    ///
    /// Reads continue during the compaction. Replaced files are moved to the archive of HBase's root
    /// directory if the region is in one, and removed otherwise. Open views can still read them.
    ///
    /// # Errors
    ///
    /// If the region is read-only, is [closed](crate::ErrorKind::Closed) during the call, or its log has
    /// failed ([`Poisoned`](crate::ErrorKind::Poisoned)), or a file cannot be read or written. The region's
    /// files are then unchanged.
    pub fn compact(&self, compaction: Compaction) -> Result<()> {
        self.0.compact_all(compaction)
    }

    /// Like [`compact`](Self::compact), for one family.
    ///
    /// # Errors
    ///
    /// If the family is unknown; if the region is read-only, is [closed](crate::ErrorKind::Closed) during the
    /// call, or its log has failed ([`Poisoned`](crate::ErrorKind::Poisoned)); if a file cannot be read or
    /// written. The region's files are then unchanged.
    pub fn compact_family(&self, family: impl AsRef<[u8]>, compaction: Compaction) -> Result<()> {
        self.0.compact(self.0.store_index(family.as_ref())?, compaction)
    }

    /// Compacts up to `count` consecutive files of a family, from oldest to newest, starting at index `from`.
    ///
    /// Files that have expired as a whole are dropped first, and not counted.
    ///
    /// # Errors
    ///
    /// If the family is unknown; if the region is read-only, is [closed](crate::ErrorKind::Closed) during the
    /// call, or its log has failed ([`Poisoned`](crate::ErrorKind::Poisoned)); if a file cannot be read or
    /// written. The region's files are then unchanged.
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

    /// Compacts exactly the named files of a family, whether the policy would select them or not. The names
    /// are neighbours in the list that [`store_file_names`](Self::store_file_names) returns. Delete markers
    /// are dropped only if all files of the family are named. Files that have expired as a whole are dropped
    /// first, whether named or not.
    ///
    /// # Errors
    ///
    /// If the family is unknown, there is no file of a given name, or a file between two of them is not
    /// named: of cells with equal keys and sequence ids, as in files of one bulk load, the one in the newest
    /// file counts, and the new file would be newer than that file. If the region is read-only, is
    /// [closed](crate::ErrorKind::Closed) during the call, or its log has failed
    /// ([`Poisoned`](crate::ErrorKind::Poisoned)); if a file cannot be read or written. The region's files
    /// are then unchanged.
    pub fn compact_named_files<N: AsRef<str>>(&self, family: impl AsRef<[u8]>, names: &[N]) -> Result<()> {
        let store = self.0.store_index(family.as_ref())?;
        let is_named = |file: &&StoreFile| names.iter().any(|name| name.as_ref() == file.name());
        let check = |files: &[StoreFile]| {
            let unknown = |name: &&N| files.iter().all(|file| file.name() != name.as_ref());
            if let Some(name) = names.iter().find(unknown) {
                let name: String = name.as_ref().chars().take(200).collect();
                return Err(Error::invalid_argument(format!("the family has no store file {name:?}")));
            }
            let mut rest = files.iter().skip_while(|file| !is_named(file)).skip_while(is_named);
            let Some(between) = rest.next().filter(|_| rest.any(|file| is_named(&file))) else {
                return Ok(());
            };
            let message = format!("store file {:?} is between the named ones by age", between.name());
            Err(Error::invalid_argument(message))
        };
        self.0.compact_now(store, check, |files, _| {
            Ok(Chosen::of(files.iter().filter(is_named).cloned().collect()))
        })
    }

    /// Returns the names of the files of a family, oldest first; `None` if the family is unknown.
    #[must_use]
    pub fn store_file_names(&self, family: impl AsRef<[u8]>) -> Option<Vec<String>> {
        let store = self.0.store_index(family.as_ref()).ok()?;
        let files = &self.0.states.load().stores[store].files;
        Some(files.iter().map(|file| file.name().to_owned()).collect())
    }

    /// Returns the paths of the HFiles that the files of a family are, refer to or link to, in the order of
    /// [`store_file_names`](Self::store_file_names); `None` if the family is unknown.
    #[must_use]
    pub fn hfile_paths(&self, family: impl AsRef<[u8]>) -> Option<Vec<PathBuf>> {
        let store = self.0.store_index(family.as_ref()).ok()?;
        let files = &self.0.states.load().stores[store].files;
        Some(files.iter().map(|file| file.path().to_owned()).collect())
    }
}

/// The files selected for a compaction.
struct Chosen {
    /// Oldest first.
    files: Vec<StoreFile>,
    /// The timestamps at which the output is split.
    boundaries: Vec<i64>,
    /// Whether a major compaction was requested, or due, and this is one.
    major: bool,
}

impl Chosen {
    fn of(files: Vec<StoreFile>) -> Self {
        Self { files, boundaries: Vec::new(), major: false }
    }
}

/// The outcome of a background compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Compacted,
    /// There was nothing to compact.
    Idle,
    /// A caller is compacting the store.
    Busy,
}

impl RegionCore {
    /// Compacts every store.
    pub(super) fn compact_all(&self, compaction: Compaction) -> Result<()> {
        (0..self.stores.len()).try_for_each(|store| self.compact(store, compaction))
    }

    fn compact(&self, store: usize, compaction: Compaction) -> Result<()> {
        let major = compaction == Compaction::Major;
        self.compact_now(store, |_| Ok(()), |files, now| Ok(self.choose(store, files, now, major)))
    }

    /// Returns the number of bytes the policy of a store would compact now; `None` if there is nothing to do.
    pub(super) fn compaction_size(&self, store: usize) -> Option<u64> {
        let (files, now) = (self.states.load().stores[store].files.clone(), self.clock.now());
        let chosen = self.choose(store, &files, now, false).files;
        let is_idle = chosen.is_empty() && self.unneeded(store, &files, now).is_empty();
        (!is_idle).then(|| chosen.iter().map(StoreFile::file_len).sum())
    }

    /// Compacts the files selected by the policy of a store, within the throughput limit of a scheduler.
    pub(super) fn compact_in_background(&self, store: usize, scheduler: &Scheduler) -> Result<Outcome> {
        let _compacting = match self.compacting[store].try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(Outcome::Busy),
        };
        let progress = |bytes| {
            self.check_changes()?;
            scheduler.spend(bytes, || self.check_changes())
        };
        let choose = |files: &[StoreFile], now| Ok(self.choose(store, files, now, false));
        let compacted = self.compact_chosen(store, |_| Ok(()), choose, &progress)?;
        Ok(if compacted { Outcome::Compacted } else { Outcome::Idle })
    }

    /// Compacts on the caller's thread, after any running compaction of the store.
    fn compact_now(
        &self,
        store: usize,
        check: impl FnOnce(&[StoreFile]) -> Result<()>,
        choose: impl FnOnce(&[StoreFile], i64) -> Result<Chosen>,
    ) -> Result<()> {
        // A close takes the compaction locks before the flush lock. Hooks that hold one of them may write.
        self.check_not_held(&[Held::Rows, Held::Flush, Held::Compaction], "compact")?;
        let _compacting = unpoisoned(self.compacting[store].lock());
        self.compact_chosen(store, check, choose, &|_| self.check_changes()).map(drop)
    }

    /// Selects files of a store by its policy.
    fn choose(&self, store: usize, files: &[StoreFile], now: i64, major: bool) -> Chosen {
        let Store { family, compaction: config, .. } = &self.stores[store];
        let candidates: Vec<_> = files.iter().map(StoreFile::candidate).collect();
        let chosen = compact::select(&candidates, &[], config, now, family.store_file_ttl(), major, major);
        chosen.map_or_else(
            || Chosen::of(Vec::new()),
            |Selection { files: places, boundaries, major, .. }| Chosen {
                files: places.into_iter().map(|i| files[i].clone()).collect(),
                boundaries,
                major,
            },
        )
    }

    /// Drops expired files, then merges the selected ones of the rest. If `check` fails on the current files,
    /// nothing is done. Returns whether anything was dropped or merged. `progress` may cancel the merge: see
    /// [`CompactionJob`].
    fn compact_chosen(
        &self,
        store: usize,
        check: impl FnOnce(&[StoreFile]) -> Result<()>,
        choose: impl FnOnce(&[StoreFile], i64) -> Result<Chosen>,
        progress: &dyn Fn(u64) -> Result<()>,
    ) -> Result<bool> {
        self.check_owner()?;
        let _held = self.mark_held(Held::Compaction);
        // Checked with the store's lock held: closing a region waits for that lock.
        self.check_writable()?;
        // Cells that a marker hides may still be replayed.
        if self.replaying.is_under_way() {
            return Ok(false);
        }
        let now = self.clock.now();
        check(&self.files_to_compact(store)?)?;
        self.archive_replaced(Some(store))?;
        let dropped = self.drop_unneeded(store, now)?;
        let files = self.files_to_compact(store)?;
        let family = self.stores[store].family.name();
        let chosen = self.choose_observed(family, &files, |files| choose(files, now))?;
        if chosen.files.is_empty() {
            return Ok(dropped);
        }
        self.report_compaction_started(
            store,
            chosen.files.len(),
            chosen.files.iter().map(StoreFile::file_len).sum(),
            chosen.files.len() == files.len(),
        );
        let compacted = self.merge(store, files, chosen, now, progress);
        match &compacted {
            Ok(names) => self.report_compaction_ended(store, names),
            Err(error) => self.report_failed(Task::Compaction, error),
        }
        let names = compacted?;
        names.iter().try_for_each(|name| {
            self.observe(|observer, context| observer.post_compact(context, family, name))
        })?;
        Ok(true)
    }

    /// Merges some of the files of a store. Returns the names of the new files.
    fn merge(
        &self,
        store: usize,
        files: Vec<StoreFile>,
        chosen: Chosen,
        now: i64,
        progress: &dyn Fn(u64) -> Result<()>,
    ) -> Result<Vec<String>> {
        let Chosen { files: inputs, boundaries, major } = chosen;
        let family = self.stores[store].family.name();
        let newest = |files: &[StoreFile]| files.iter().map(StoreFile::max_seq_id).max();
        let all_files = inputs.len() == files.len();
        let newest = newest(&inputs) == newest(&files);
        let merge = CompactionJob {
            inputs: &inputs,
            files: &files,
            all_files,
            major: major && all_files,
            boundaries: &boundaries,
            newest,
            progress,
        };
        let write = |read_points| {
            let info = self.stores[store].scan_info(now, have_tags(&inputs));
            let info = self.observed_info(store, info, |observer, context, family, options| {
                observer.pre_compact_scanner_open(context, family, all_files, options)
            })?;
            let filters = self
                .compaction_filters(|observer, context| observer.pre_compact(context, family, all_files))?;
            let max_read_point = self.mvcc.smallest_read_point();
            let keep = Retention { info, max_read_point, filters };
            self.stores[store].compact(merge, keep, read_points)
        };
        let outputs = match write(None) {
            // All equal cells of a file are in one block. Reads that begin later see the newest. With
            // NEW_VERSION_BEHAVIOR, markers in other files may need the others.
            Err(error)
                if error.kind() == ErrorKind::Limit && !self.stores[store].family.new_version_behavior =>
            {
                write(Some(self.mvcc.registered_points()))?
            }
            written => written?,
        };
        let names: Vec<String> = outputs.iter().map(|file| file.name().to_owned()).collect();
        drop(files);
        self.replace(store, inputs, outputs, now)?;
        self.counters.add(&ReadCounts { compactions: 1, ..ReadCounts::default() });
        if let Some(background) = &self.background {
            background.compacted(store);
        }
        Ok(names)
    }

    /// Selects among the files that the observers have not removed: among neighbours, because the new file
    /// would otherwise be newer than a file between those that it replaces.
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
        let is_left = |file: &StoreFile| names.iter().any(|name| name == file.name());
        let runs =
            files.chunk_by(|a, b| is_left(a) == is_left(b)).filter(|run| run.first().is_some_and(is_left));
        let left = runs.max_by_key(|run| run.len()).unwrap_or_default();
        let chosen = match left {
            // Background compactions would write it again and again: the number of files stays the same. A
            // reference is replaced once by a file of its own.
            [file] if bypassed && files.len() > 1 && !file.is_reference() => Chosen::of(Vec::new()),
            left if bypassed => Chosen::of(left.to_vec()),
            left => choose(left)?,
        };
        let names: Vec<String> = chosen.files.iter().map(|file| file.name().to_owned()).collect();
        self.observe(|observer, context| observer.post_compact_selection(context, family, &names))?;
        Ok(chosen)
    }

    /// Returns the files of a store. A failed log is replayed in full when the region is opened again, so no
    /// marker may be dropped: the cells it hides would come back. The log is checked after the files are
    /// loaded, because one of them may have been flushed after the failure.
    ///
    /// # Errors
    ///
    /// If the log has failed.
    fn files_to_compact(&self, store: usize) -> Result<Vec<StoreFile>> {
        let files = self.states.load().stores[store].files.clone();
        self.log.as_ref().map_or(Ok(()), |log| log.check())?;
        Ok(files)
    }

    /// Drops files whose cells have all expired (§17.5, "unneeded files"). Returns whether there were any.
    fn drop_unneeded(&self, store: usize, now: i64) -> Result<bool> {
        let files = self.files_to_compact(store)?;
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
        let unneeded = compact::unneeded(&candidates, &[], compaction, now, family.store_file_ttl());
        unneeded.into_iter().map(|i| files[i].clone()).collect()
    }

    /// Replaces files by others, and archives the replaced ones. Those that cannot be archived are retried
    /// before the next compaction, and when the region is closed.
    fn replace(
        &self,
        store: usize,
        inputs: Vec<StoreFile>,
        outputs: Vec<StagedFile>,
        now: i64,
    ) -> Result<()> {
        // Files replaced earlier must be archived first: only the files that replaced them record it.
        self.archive_replaced(Some(store))?;
        let change = StoreChange { store, add: outputs, remove: inputs.clone() };
        self.commit(vec![change], now, |opened| {
            let outputs = opened.into_iter().flatten().collect();
            self.swap(store, |state| state.compacted(&inputs, outputs));
        })?;
        // Files that are no longer read should not stay open when they are moved or removed.
        drop(inputs);
        // The change is committed; the region's health reports files that could not be archived.
        if let Err(error) = self.archive_replaced(Some(store)) {
            self.report_unarchived(&error);
        }
        Ok(())
    }
}
