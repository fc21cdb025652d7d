//! Flushes memory to files (read-path.md §4).

use super::commit::StoreChange;
use super::events::Task;
use super::log::RegionLog;
use super::observer::Held;
use super::write::OnDrop;
use super::{Region, RegionCore};
use crate::error::{ErrorKind, Result};
use crate::layout::StagedFile;
use crate::memstore::Segment;
use crate::metrics::ReadCounts;
use crate::store::{Retention, StoreFile};
use crate::sync::{cores, unpoisoned};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

impl Region {
    /// Writes the cells in memory to files: one for each family that has any, or several if one would exceed
    /// the [limits](crate::RegionOptions::limits). Returns when the files are durable. Families with many
    /// cells are written at the same time, by as many threads as there are cores.
    ///
    /// Cells that no read can see are dropped: expired cells, surplus versions, deleted cells.
    ///
    /// No compaction follows: unlike in HBase, only background flushes and opening the region request one.
    /// After many flushes of this kind, [compact](Self::compact) the files.
    ///
    /// # Errors
    ///
    /// If the region is read-only or a file cannot be written. The cells then stay in memory, and can be
    /// flushed again.
    pub fn flush(&self) -> Result<()> {
        self.0.check_not_held(&[Held::Rows], "flush")?;
        self.0.flush_all()
    }

    /// Like [`flush`](Self::flush), for some families. Flushes all families once the log has failed: it may
    /// lack cells of the other families.
    ///
    /// # Errors
    ///
    /// If a family is unknown; if the region is read-only; or if the log cannot be synced first, or a file
    /// cannot be written. The cells then stay in memory, and can be flushed again.
    pub fn flush_families<F: AsRef<[u8]>>(&self, families: &[F]) -> Result<()> {
        let stores = families.iter().map(|family| self.0.store_index(family.as_ref()));
        let mut stores = stores.collect::<Result<Vec<_>>>()?;
        stores.sort_unstable();
        stores.dedup();
        self.0.check_not_held(&[Held::Rows], "flush")?;
        self.0.flush(&stores)
    }
}

impl RegionCore {
    /// Flushes every store.
    pub(super) fn flush_all(&self) -> Result<()> {
        self.flush(&self.all_stores())
    }

    /// Flushes every store, and returns the files of each, which contain exactly the writes up to one moment.
    /// Compactions and bulk loads that end during the flush do not affect the result; some of the files may
    /// be in the archive by then.
    pub(super) fn flush_for_snapshot(&self) -> Result<Vec<Vec<StoreFile>>> {
        Ok(self.flush_at(&self.all_stores(), None)?.files)
    }

    /// Flushes every store for a bulk load, and returns the sequence id of the flush. No later write gets the
    /// next id, which is reserved for cells in the top half of a loaded file, or any id up to `kept`, the
    /// greatest sequence id of cells that keep theirs.
    pub(super) fn flush_for_load(&self, kept: i64) -> Result<i64> {
        Ok(self.flush_at(&self.all_stores(), Some(kept))?.seq_id)
    }

    fn all_stores(&self) -> Vec<usize> {
        (0..self.stores.len()).collect()
    }

    fn flush(&self, stores: &[usize]) -> Result<()> {
        self.flush_at(stores, None).map(drop)
    }

    /// Flushes stores; for a [load](Self::flush_for_load) with the greatest sequence id of cells that keep
    /// theirs.
    fn flush_at(&self, stores: &[usize], kept: Option<i64>) -> Result<Flushed> {
        self.check_owner()?;
        self.check_not_held(&[Held::Flush], "flush")?;
        let _flushing = unpoisoned(self.flushing.lock());
        let _held = self.mark_held(Held::Flush);
        // Checked only with the lock held: closing a region waits for this lock.
        self.check_writable()?;
        self.report_flush_started(self.memstore_size());
        // Runs even if an observer or the clock panics.
        let mut merge = OnDrop(Some(|| self.merge_frozen()));
        let flushed = self.flush_stores(stores, kept);
        match &flushed {
            Ok(flushed) => {
                merge.0 = None;
                self.report_flush_ended(flushed.seq_id);
            }
            Err(error) => self.report_failed(Task::Flush, error),
        }
        flushed
    }

    /// Merges the segments left by failed flushes, in stores that have many: each flush freezes a segment,
    /// and reads search every one. No other flush may be running.
    fn merge_frozen(&self) {
        for store in self.all_stores() {
            let segments = self.states.load().stores[store].frozen.clone();
            if segments.len() > MAX_FROZEN
                && let Some(flat) = Segment::flat(&segments)
            {
                self.swap(store, |state| state.with_frozen_merged(flat));
            }
        }
        self.report_memory();
    }

    fn flush_stores(&self, stores: &[usize], kept: Option<i64>) -> Result<Flushed> {
        self.observe(|observer, context| observer.pre_flush(context))?;
        if let Some(log) = &self.log {
            log.sync_ahead();
        }
        let all = self.all_stores();
        let has_failed = self.log.as_deref().is_some_and(|log| log.failure().is_some());
        // A row whose log has failed must not be in the files of only some families.
        let stores = if has_failed { &all } else { stores };
        let mut flushed = self.freeze(stores, kept)?;
        // Later reads have later read points, so they do not need the dropped cells.
        let smallest = self.mvcc.smallest_read_point().min(self.replaying.read_point());
        let now = self.clock.now();
        let (seq_id, files) = (flushed.seq_id, Mutex::new(&mut flushed.files));
        self.flush_each(stores, |store| {
            let written = self.flush_store(store, seq_id, smallest, now)?;
            unpoisoned(files.lock())[store].extend(written);
            Ok(())
        })?;
        if let Some(background) = &self.background {
            let memory = self.memory();
            background.flushed(memory, memory == 0 || stores.len() == all.len());
        }
        // The flush is complete nevertheless; the region's health reports the remaining logs.
        if let Some(Err(error)) = self.log.as_deref().map(RegionLog::remove_flushed) {
            self.report_unarchived(&error);
        }
        self.observe(|observer, context| observer.post_flush(context))?;
        Ok(flushed)
    }

    /// Flushes the frozen memory of stores with `flush`, several at a time if they have many cells.
    ///
    /// # Errors
    ///
    /// The first error. No store is begun after it; flushes that have begun are completed.
    fn flush_each(&self, stores: &[usize], flush: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
        let state = Arc::clone(&self.states.load());
        let is_large = |store: &&usize| cell_count(&state.stores[**store].frozen) >= MANY_CELLS;
        let large = stores.iter().filter(is_large).count();
        drop(state);
        let threads = if large > 1 { large.min(cores()) } else { 1 };
        let (next, failure) = (AtomicUsize::new(0), OnceLock::new());
        let work = || {
            while failure.get().is_none()
                && let Some(&store) = stores.get(next.fetch_add(1, Ordering::Relaxed))
            {
                if let Err(error) = flush(store) {
                    failure.get_or_init(|| error);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                // If no thread can be started, the others do its work.
                let _ = thread::Builder::new().name("hregion-flush".into()).spawn_scoped(scope, work);
            }
            work();
        });
        failure.into_inner().map_or(Ok(()), Err)
    }

    /// Writes the frozen memory of a store to a file, which takes its place; to several if one would exceed
    /// the limits. Returns the files; none if no cell was in memory.
    fn flush_store(&self, store: usize, seq_id: i64, smallest: i64, now: i64) -> Result<Vec<StoreFile>> {
        let segments = self.states.load().stores[store].frozen.clone();
        if segments.is_empty() {
            return Ok(Vec::new());
        }
        let family = self.stores[store].family.name();
        // This thread may differ from the one that holds the lock.
        let _held = self.mark_held(Held::Flush);
        let (encrypted, compression) = {
            // Not kept during the flush: files in use cannot be archived.
            let state = Arc::clone(&self.states.load().stores[store]);
            let newest_first = state.files.iter().rev().map(StoreFile::hfile);
            let (store, encrypted) = (&self.stores[store], state.files.iter().any(StoreFile::is_encrypted));
            (encrypted, store.flush_compression(newest_first))
        };
        let write = |seq_ids| {
            let info = self.observed_info(
                store,
                self.stores[store].scan_info(now, segments.iter().any(|segment| segment.has_tags())),
                |observer, context, family, options| {
                    observer.pre_flush_scanner_open(context, family, options)
                },
            )?;
            let filters =
                self.compaction_filters(|observer, context| observer.pre_flush_store(context, family))?;
            let keep = Retention { info, max_read_point: smallest, filters };
            self.stores[store].flush(&segments, seq_ids, seq_id, encrypted, compression, keep)
        };
        let add = write_files(&segments, i64::MIN..=i64::MAX, &write)?;
        let mut flushed = Vec::new();
        if add.is_empty() {
            self.swap(store, |state| state.flushed(&segments, None));
        } else {
            let change = StoreChange { store, add, remove: Vec::new() };
            self.commit(vec![change], now, |opened| {
                flushed = opened.into_iter().flatten().collect();
                self.swap(store, |state| state.flushed(&segments, flushed.clone()));
            })?;
        }
        if let Some(log) = &self.log {
            log.flushed(store, seq_id);
        }
        free(segments);
        if !flushed.is_empty() {
            self.counters.add(&ReadCounts { flushes: 1, ..ReadCounts::default() });
        }
        flushed.iter().try_for_each(|file| {
            self.observe(|observer, context| observer.post_flush_store(context, family, file.name()))
        })?;
        Ok(flushed)
    }

    /// Freezes the active segments, so that writes use new ones, and ends the log file. When this returns,
    /// all writes to them are complete and visible to reads. Returns the flush, without the files it will
    /// write.
    ///
    /// # Errors
    ///
    /// If too few sequence ids are left after those kept; or if the log has failed and either other stores
    /// have cells in memory or the cells of several stores cannot be [logged again](Self::log_again). The
    /// segments stay in memory, and can be frozen again.
    fn freeze(&self, stores: &[usize], kept: Option<i64>) -> Result<Flushed> {
        let updates = self.updates.exclusive();
        let entry = self.mvcc.begin();
        let (seq_id, number) = (entry.seq_id(), entry.seq_id());
        self.mvcc.complete_and_wait(entry);
        if let Some(kept) = kept {
            self.mvcc.advance_to(kept.max(seq_id.saturating_add(1)))?;
        }
        stores.iter().for_each(|&store| self.swap(store, |state| state.freeze()));
        // Loaded before new writes are admitted: the result must not have a later bulk load without an
        // earlier write.
        let state = Arc::clone(&self.states.load());
        let files = state.stores.iter().map(|store| store.files.clone()).collect();
        let seq_id = seq_id.min(self.replaying.seq_id());
        let Some(log) = &self.log else { return Ok(Flushed { seq_id, files }) };
        let seq_id = log.limit_flush(seq_id);
        let frozen = log.freeze();
        let is_empty = |store: &usize| state.stores[*store].has_no_memory();
        (0..self.stores.len()).filter(is_empty).for_each(|store| log.flushed(store, seq_id));
        drop(updates);
        if let Err(error) = log.finish(frozen, seq_id) {
            let filled: Vec<usize> = (0..self.stores.len()).filter(|store| !is_empty(store)).collect();
            if filled.iter().any(|store| !stores.contains(store)) {
                return Err(error);
            }
            // The stores are committed one after the other, so a crash could lose a part of a row.
            if filled.len() > 1 {
                self.log_again(&state, number)?;
            }
        }
        Ok(Flushed { seq_id, files })
    }
}

/// A flush.
struct Flushed {
    seq_id: i64,
    /// The files of each store when its memory was frozen, and those written by the flush.
    files: Vec<Vec<StoreFile>>,
}

/// Writes the cells of segments with `write`, which gets the range of the sequence ids of a file's cells. If
/// a file exceeds the limits, as all its equal cells are in one block, writes two files: of the older writes
/// and of the newer ones, as two flushes would have done. Returns the files, the oldest first.
fn write_files(
    segments: &[Arc<Segment>],
    seq_ids: RangeInclusive<i64>,
    write: &impl Fn(RangeInclusive<i64>) -> Result<Option<StagedFile>>,
) -> Result<Vec<StagedFile>> {
    match write(seq_ids.clone()) {
        Err(error) if error.kind() == ErrorKind::Limit => {
            let Some(middle) = middle_of(segments, &seq_ids) else { return Err(error) };
            let (first, last) = seq_ids.into_inner();
            let mut files = write_files(segments, first..=middle, write)?;
            files.extend(write_files(segments, middle + 1..=last, write)?);
            Ok(files)
        }
        written => Ok(written?.into_iter().collect()),
    }
}

/// Returns the middle between the oldest and the newest sequence id of cells in a range; `None` if all are
/// equal.
fn middle_of(segments: &[Arc<Segment>], seq_ids: &RangeInclusive<i64>) -> Option<i64> {
    let (mut oldest, mut newest) = (i64::MAX, i64::MIN);
    for entry in segments.iter().flat_map(|segment| segment.entries()) {
        let seq_id = entry.cell().seq_id;
        if seq_ids.contains(&seq_id) {
            (oldest, newest) = (oldest.min(seq_id), newest.max(seq_id));
        }
    }
    (oldest < newest).then(|| oldest + (newest - oldest) / 2)
}

/// The maximum number of segments that a store keeps after a flush that has failed.
const MAX_FROZEN: usize = 4;

/// Segments with fewer cells are freed inline, and written by the thread that flushes.
const MANY_CELLS: usize = 10_000;

/// Frees segments whose cells are now in a file. Freeing each cell takes nearly as long as writing it, so a
/// separate thread frees large segments, if one can be started.
fn free(segments: Vec<Arc<Segment>>) {
    if cell_count(&segments) >= MANY_CELLS {
        // If no thread can be started, dropping the closure frees the segments here.
        let _ = thread::Builder::new().name("hregion-free".into()).spawn(|| drop(segments));
    }
}

fn cell_count(segments: &[Arc<Segment>]) -> usize {
    segments.iter().map(|segment| segment.cell_count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::{CompactionFilter, ObserverContext};
    use crate::{Delete, Durability, Error, Family, Put, RegionObserver, Row, Scan};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::AtomicBool;

    /// Refuses flushes after their memory is frozen, by an error or a panic.
    #[derive(Debug)]
    struct Refusing {
        is_on: AtomicBool,
        panics: bool,
    }

    impl RegionObserver for Refusing {
        fn pre_flush_store(
            &self,
            _: &mut ObserverContext<'_>,
            _: &[u8],
        ) -> Result<Option<Box<dyn CompactionFilter>>> {
            match self.is_on.load(Ordering::Relaxed) {
                true if self.panics => panic!("not now"),
                true => Err(Error::invalid_argument("not now")),
                false => Ok(None),
            }
        }
    }

    #[test]
    fn flushes_that_fail_leave_few_segments() {
        [false, true].into_iter().for_each(expect_few_segments);
    }

    fn expect_few_segments(panics: bool) {
        let dir = tempfile::tempdir().unwrap();
        let observer = Arc::new(Refusing { is_on: AtomicBool::new(true), panics });
        let region = Region::options()
            .create_if_missing(true)
            .family(Family::new("f").max_versions(5))
            .durability(Durability::SkipWal)
            .observer(0, Arc::clone(&observer) as Arc<dyn RegionObserver>)
            .open(dir.path())
            .unwrap();
        let rows = || -> Vec<Row> {
            region.scan(Scan::new().max_versions(5)).unwrap().map(Result::unwrap).collect()
        };
        let frozen = || region.0.states.load().stores[0].frozen.len();
        for number in 0..30 {
            let row = format!("{}", number % 7);
            region.put(Put::new(row).cell_at("f", "q", number, format!("{number}"))).unwrap();
            if number % 5 == 4 {
                region.delete(Delete::new(format!("{}", number % 3)).column_at("f", "q", number)).unwrap();
            }
            let before = rows();
            let flushed = catch_unwind(AssertUnwindSafe(|| region.flush()));
            assert_eq!((flushed.is_err(), matches!(flushed, Ok(Err(_)))), (panics, !panics));
            assert!((1..=MAX_FROZEN).contains(&frozen()), "{}", frozen());
            assert_eq!(rows(), before);
        }
        let before = rows();
        observer.is_on.store(false, Ordering::Relaxed);
        region.flush().unwrap();
        assert_eq!((frozen(), region.memstore_size(), region.store_file_count("f")), (0, 0, Some(1)));
        assert_eq!(rows(), before);
    }
}
