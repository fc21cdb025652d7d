//! Background work of a region: flushes when much memory is used, and compactions after them (HBase:
//! `MemStoreFlusher`, `CompactSplit`).

mod compactions;

use super::events;
use super::observer::{Held, is_held};
use super::scheduler::{Job, Work, WorkKind, after, now};
use super::{MemoryLimit, RegionCore, Scheduler};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::unpoisoned;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, Instant};

/// A region's memory is reported to the shared limit after changing by more than this many bytes.
const GRANULE: u64 = 64 << 10;
/// How often a flush that waits for compactions checks whether it can continue (HBase: a hundredth of the
/// wait).
const BLOCKED_CHECK: Duration = Duration::from_millis(900);

/// The background work of a region that is open for writing.
#[derive(Debug)]
pub(super) struct Background {
    pub(super) scheduler: Scheduler,
    limit: MemoryLimit,
    flush_size: u64,
    /// The bytes in memory at which writers wait.
    block_size: u64,
    compacts: bool,
    /// The region.
    region: OnceLock<Weak<RegionCore>>,
    /// The bytes taken by cells in memory, as last reported to the limit.
    memory: AtomicU64,
    /// The bytes in memory at which [`RegionCore::admit`] must act: the flush size, or, once a flush is
    /// queued, the size at which writers wait.
    make_room_at: AtomicU64,
    tasks: Mutex<Tasks>,
    changed: Condvar,
}

#[derive(Debug)]
struct Tasks {
    /// Whether the region is closed.
    closed: bool,
    /// Whether the region's memory does not count towards the limit: it is closed, or its memory can no
    /// longer be flushed.
    is_uncounted: bool,
    flush: Task,
    /// The number of flushes that have ended, whether background or explicit.
    flushes: u64,
    /// The time until which a flush waits for compactions.
    blocked_until: Option<Instant>,
    /// The bytes in memory when a flush on a writer's thread last failed.
    failed_at: u64,
    /// One per store.
    compactions: Vec<Task>,
}

/// A flush, or the compaction of a store.
#[derive(Clone, Debug, Default)]
struct Task {
    status: Status,
    failure: Option<Failure>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Status {
    #[default]
    Idle,
    Queued,
    Running,
}

/// Consecutive failures.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The last error.
    pub(super) error: Error,
    /// The time of the first failure, in milliseconds since 1970.
    pub(super) since: i64,
    pub(super) count: u32,
}

/// The pending work of a region at one point in time.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) failure: Option<Failure>,
    pub(super) flush: bool,
    pub(super) compactions: usize,
}

impl Background {
    pub(super) fn new(
        scheduler: Scheduler,
        limit: MemoryLimit,
        (flush_size, block_size): (u64, u64),
        compacts: bool,
        stores: usize,
    ) -> Self {
        let tasks = Tasks {
            closed: false,
            is_uncounted: false,
            flush: Task::default(),
            flushes: 0,
            blocked_until: None,
            failed_at: 0,
            compactions: vec![Task::default(); stores],
        };
        Self {
            scheduler,
            limit,
            flush_size: flush_size.max(1),
            block_size: block_size.max(1),
            compacts,
            region: OnceLock::new(),
            memory: AtomicU64::new(0),
            make_room_at: AtomicU64::new(flush_size.max(1)),
            tasks: Mutex::new(tasks),
            changed: Condvar::new(),
        }
    }

    /// Registers the region with the memory limit, so that it can be flushed to make room for other regions.
    pub(super) fn start(&self, region: &Arc<RegionCore>) {
        let region = self.region.get_or_init(|| Arc::downgrade(region));
        self.limit.add(region.clone());
    }

    /// Drops queued work, and wakes waiting threads.
    pub(super) fn stop(&self) {
        self.tasks().closed = true;
        self.leave_limit();
        self.changed.notify_all();
        if let Some(region) = self.region.get() {
            self.scheduler.remove(region);
        }
    }

    /// Takes the region out of the memory limit: its memory is no longer flushed, so writers of other regions
    /// must not wait for it.
    pub(super) fn leave_limit(&self) {
        let mut tasks = self.tasks();
        tasks.is_uncounted = true;
        self.set_memory(&tasks, 0);
        drop(tasks);
        if let Some(region) = self.region.get() {
            self.limit.remove(region);
        }
    }

    /// Like [`leave_limit`](Self::leave_limit), in a process forked from the one that opened the region.
    /// Every later write asks for room and is refused, because it would never be flushed.
    pub(super) fn leave_limit_of_other(&self) {
        self.leave_limit();
        self.make_room_at.store(0, Ordering::Relaxed);
    }

    pub(super) fn pending(&self) -> Pending {
        let tasks = self.tasks();
        let is_pending = |task: &&Task| task.status != Status::Idle;
        let all = [&tasks.flush].into_iter().chain(&tasks.compactions);
        Pending {
            failure: all.filter_map(|task| task.failure.clone()).next(),
            flush: is_pending(&&tasks.flush),
            compactions: tasks.compactions.iter().filter(is_pending).count(),
        }
    }

    /// Whether a writer must do more than write: request a flush, or wait.
    #[inline]
    pub(super) fn needs_room(&self) -> bool {
        self.memory.load(Ordering::Relaxed) >= self.make_room_at.load(Ordering::Relaxed)
            || self.limit.needs_flush()
    }

    /// Called after a write: reports the bytes in memory to the limit if they have changed enough.
    #[inline]
    pub(super) fn note_memory(&self, bytes: u64) {
        let granule = GRANULE.min(self.flush_size / 16);
        if bytes.abs_diff(self.memory.load(Ordering::Relaxed)) > granule {
            self.report_memory(bytes);
        }
    }

    #[cold]
    fn report_memory(&self, bytes: u64) {
        self.set_memory(&self.tasks(), bytes);
    }

    fn set_memory(&self, tasks: &Tasks, bytes: u64) {
        let bytes = if tasks.is_uncounted { 0 } else { bytes };
        let old = self.memory.swap(bytes, Ordering::Relaxed);
        self.limit.change(old, bytes);
    }

    /// Called after a successful flush, whether background or explicit. `is_whole`: whether all cells that
    /// were in memory when it began were flushed.
    pub(super) fn flushed(&self, memory: u64, is_whole: bool) {
        let mut tasks = self.tasks();
        self.set_memory(&tasks, memory);
        // The flush of some stores does not show that the stores whose flush failed can be flushed.
        if is_whole || tasks.flush.failure.is_none() {
            tasks.flush.failure = None;
            tasks.flushes += 1;
        }
        tasks.blocked_until = None;
        self.changed.notify_all();
    }

    /// Called after a successful compaction of a store, whether background or explicit.
    pub(super) fn compacted(&self, store: usize) {
        self.tasks().compactions[store].failure = None;
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        unpoisoned(self.tasks.lock())
    }

    fn submit(&self, work: Work, kind: WorkKind, priority: i64, due: Option<Instant>) -> Result<()> {
        let region = self.region.get().cloned().unwrap_or_default();
        self.scheduler.submit(Job { region, work, kind, priority, due })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Task {
    fn fail(&mut self, error: Error, now: i64) -> u32 {
        let since = self.failure.as_ref().map_or(now, |failure| failure.since);
        let count = self.failure.as_ref().map_or(0, |failure| failure.count).saturating_add(1);
        self.failure = Some(Failure { error, since, count });
        count
    }
}

/// Used by writers.
impl RegionCore {
    /// Called before a write, with no lock held: requests a flush if too much memory is used, and waits while
    /// far too much is used.
    ///
    /// # Errors
    ///
    /// If the flush that is needed to make room fails.
    #[inline]
    pub(super) fn admit(&self) -> Result<()> {
        self.flush_lagging();
        self.flush_in_memory();
        match &self.background {
            Some(background) if background.needs_room() => self.make_room(background),
            _ => Ok(()),
        }
    }

    #[cold]
    fn make_room(&self, background: &Background) -> Result<()> {
        // A write in a hook with a lock held cannot wait for a flush, which may wait for the lock, or for the
        // hook.
        if is_held() {
            return Ok(());
        }
        // Without the threads of the other process, nothing would make room.
        self.check_owner()?;
        loop {
            self.check_writable()?;
            let memory = self.memory();
            background.note_memory(memory);
            if memory >= background.block_size {
                self.flush_and_wait()?;
                continue;
            }
            if memory >= background.flush_size {
                // There is still room, so the write continues; the region's health reports the failed flush.
                let _ = self.request_flush();
            }
            if !background.limit.needs_flush() {
                return Ok(());
            }
            let largest = background.limit.largest();
            if !background.limit.needs_flush() {
                return Ok(());
            }
            // The failure of a compaction prevents no flush.
            let is_flushed = |region: &&Arc<Self>| !region.flush_fails();
            let Some(region) = largest.iter().find(is_flushed).or_else(|| largest.first()) else {
                return Ok(());
            };
            if !background.limit.is_full() {
                let _ = region.request_flush();
                background.limit.record_request();
                return Ok(());
            }
            let flushed = region.flush_and_wait();
            // A region poisoned in the meantime no longer counts towards the limit: flush another one.
            if background.limit.is_full() && region.files.poison().is_none() {
                flushed?;
            }
        }
    }

    /// Whether flushes run on the threads of writers.
    pub(super) fn is_inline(&self) -> bool {
        self.background.as_ref().is_some_and(|background| background.scheduler.is_inline())
    }

    /// Returns the number of bytes taken by cells in memory.
    pub(super) fn memory(&self) -> u64 {
        self.states.load().memory()
    }

    /// Like [`memory`](Self::memory), and reports it to the limit. The last report may be outdated: a writer
    /// that was interrupted before its report may have made it after a flush.
    pub(super) fn report_memory(&self) -> u64 {
        let state = self.states.load();
        self.in_memory_flush.note(&state);
        let memory = state.memory();
        self.background.as_ref().inspect(|background| background.note_memory(memory));
        memory
    }

    pub(super) fn pending(&self) -> Pending {
        self.background.as_ref().map(Background::pending).unwrap_or_default()
    }

    /// Whether the last background flush failed.
    fn flush_fails(&self) -> bool {
        self.background.as_ref().is_some_and(|background| background.tasks().flush.failure.is_some())
    }

    /// Requests a flush, unless one is pending.
    ///
    /// # Errors
    ///
    /// If no thread can be started for it; or if it runs on the caller's thread and fails.
    pub(super) fn request_flush(&self) -> Result<()> {
        self.request_flush_if(false)
    }

    /// Like [`request_flush`](Self::request_flush). After a failure on a writer's thread, a flush that is not
    /// `needed` is not retried until more memory is used.
    fn request_flush_if(&self, needed: bool) -> Result<()> {
        let Some(background) = &self.background else { return Ok(()) };
        let mut tasks = background.tasks();
        if tasks.closed || tasks.flush.status != Status::Idle {
            return Ok(());
        }
        if background.scheduler.is_inline() {
            // In a hook of a flush, the flush continues after the hook.
            if self.check_not_held(&[Held::Flush], "flush").is_err() {
                return Ok(());
            }
            let grown = tasks.failed_at.saturating_add(background.flush_size / 8);
            if !needed && tasks.flush.failure.is_some() && self.memory() < grown {
                return Ok(());
            }
            tasks.flush.status = Status::Running;
            drop(tasks);
            self.run(Work::Flush, WorkKind::Flush);
            return background
                .tasks()
                .flush
                .failure
                .as_ref()
                .map_or(Ok(()), |failure| Err(failure.error.clone()));
        }
        tasks.flush.status = Status::Queued;
        background.make_room_at.store(background.block_size, Ordering::Relaxed);
        let submitted = background.submit(Work::Flush, WorkKind::Flush, 0, None);
        if let Err(error) = &submitted {
            background.make_room_at.store(background.flush_size, Ordering::Relaxed);
            tasks.flush.status = Status::Idle;
            drop(tasks);
            let now = self.time();
            background.tasks().flush.fail(error.clone(), now);
        }
        submitted
    }

    /// Requests a flush and waits until it has been attempted.
    ///
    /// # Errors
    ///
    /// If the flush fails.
    fn flush_and_wait(&self) -> Result<()> {
        let Some(background) = &self.background else { return Ok(()) };
        let flushes = background.tasks().flushes;
        self.request_flush_if(true)?;
        if let Some(region) = background.region.get() {
            // A pending flush may be waiting for its retry.
            background.scheduler.expedite(region, Work::Flush);
        }
        let mut tasks = background.tasks();
        while tasks.flushes == flushes && tasks.flush.status != Status::Idle && !tasks.closed {
            tasks = unpoisoned(background.changed.wait(tasks));
        }
        match &tasks.flush.failure {
            Some(failure) if !tasks.closed => Err(failure.error.clone()),
            _ => Ok(()),
        }
    }
}

/// Runs on the threads of the scheduler, or on those of writers if there are none.
impl RegionCore {
    /// Runs queued work, and records its outcome.
    pub(super) fn run(&self, work: Work, kind: WorkKind) {
        let Some(background) = &self.background else { return };
        // Observers get handles of the region. Dropping the last handle would close the region in the middle
        // of the work, so one is held here. Without observers none is held: dropping it could close the
        // region after its user has dropped it and opened it again.
        let observed = self.handle.get().filter(|_| !self.observers.is_empty());
        let handle = observed.and_then(Weak::upgrade);
        match work {
            Work::Flush => self.run_flush(background),
            Work::Compact(store) => self.run_compaction(background, store, kind),
        }
        drop(handle);
    }

    fn run_flush(&self, background: &Background) {
        {
            let mut tasks = background.tasks();
            if tasks.closed {
                return;
            }
            tasks.flush.status = Status::Running;
        }
        if self.waits_for_compactions(background) {
            let mut tasks = background.tasks();
            tasks.flush.status = Status::Queued;
            let left = tasks
                .blocked_until
                .map_or(Duration::ZERO, |until| until.saturating_duration_since(now()).min(BLOCKED_CHECK));
            if background.submit(Work::Flush, WorkKind::Flush, 0, Some(after(left))).is_ok() {
                return;
            }
            tasks.flush.status = Status::Running;
        }
        // A caller may have flushed the region in the meantime.
        let has_log = self.log.as_ref().is_some_and(|log| log.has_files());
        let result = if self.memory() > 0 || has_log {
            caught(|| self.flush_all(), self)
        } else {
            // The last flush may have failed after the cells were flushed, as in a hook.
            background.flushed(self.memory(), true);
            Ok(())
        };
        let is_flushed = result.is_ok();
        self.end_flush(background, result.err());
        if is_flushed {
            (0..self.stores.len()).for_each(|store| self.request_compaction(background, store));
        }
    }

    fn end_flush(&self, background: &Background, error: Option<Error>) {
        let now = if error.is_some() { self.time() } else { 0 };
        let memory = self.memory();
        background.note_memory(memory);
        let mut tasks = background.tasks();
        tasks.flush.status = Status::Idle;
        let mut retried = None;
        if let Some(error) = error.filter(|error| error.kind() != ErrorKind::Closed) {
            // Whatever the error: without an interval, each write would try it again.
            let is_over = error.kind() == ErrorKind::Poisoned || tasks.closed;
            let retries = !is_over && !background.scheduler.is_inline();
            let failures = tasks.flush.fail(error, now);
            tasks.failed_at = memory;
            tasks.flushes += 1;
            if retries {
                let due = background.scheduler.retry_at(failures);
                // If it cannot be queued, the next writer requests it again.
                if background.submit(Work::Flush, WorkKind::Flush, 0, Some(due)).is_ok() {
                    tasks.flush.status = Status::Queued;
                    retried = Some(failures);
                }
            }
        }
        if tasks.flush.status == Status::Idle {
            background.make_room_at.store(background.flush_size, Ordering::Relaxed);
        }
        drop(tasks);
        background.changed.notify_all();
        // Without the lock: a subscriber may ask for the region's health.
        if let Some(failures) = retried {
            self.report_retry(events::Task::Flush, failures);
        }
    }

    /// Whether a flush must wait for compactions, because a store has reached the blocking number of files
    /// (HBase: `MemStoreFlusher.flushRegion`). Waits only for a limited time, only if a compaction is
    /// pending, and not if the memory limit is nearly reached.
    fn waits_for_compactions(&self, background: &Background) -> bool {
        if background.scheduler.is_inline() || background.limit.is_above_low_mark() {
            return false;
        }
        let state = Arc::clone(&self.states.load());
        let is_blocking =
            |store: &usize| state.stores[*store].files.len() >= self.stores[*store].compaction.blocking_files;
        let blocking: Vec<usize> = (0..self.stores.len()).filter(is_blocking).collect();
        blocking.iter().for_each(|&store| self.request_compaction(background, store));
        let mut tasks = background.tasks();
        let is_pending = |store: &usize| {
            let task = &tasks.compactions[*store];
            task.status == Status::Running || task.status == Status::Queued && task.failure.is_none()
        };
        if tasks.closed || !blocking.iter().any(is_pending) {
            return false;
        }
        let wait = background.scheduler.blocking_wait();
        let until = *tasks.blocked_until.get_or_insert_with(|| after(wait));
        now() < until
    }

    /// Returns the time of a failure; 0 if the clock panics, which may be the failure. No lock may be held:
    /// the clock may ask for the region's health.
    fn time(&self) -> i64 {
        catch_unwind(AssertUnwindSafe(|| self.clock.now())).unwrap_or_default()
    }
}

/// Runs `work` and turns a panic, for example of an observer, into an error: the thread also serves other
/// regions, or is dropping the region or a scanner.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T>, region: &RegionCore) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let error = io::Error::other("a flush, compaction or close panicked");
        Err(Error::io("work on", region.dir.path(), error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Put;
    use crate::region::{ObserverContext, Region, RegionObserver};
    use crate::schema::Family;
    use std::sync::atomic::AtomicBool;

    fn open(dir: &tempfile::TempDir, name: &str, limit: &MemoryLimit) -> Region {
        let options = Region::options().create_if_missing(true).family(Family::new("f"));
        options.memory_limit(limit).open(dir.path().join(name)).unwrap()
    }

    fn put(region: &Region) {
        region.put(Put::new("row").cell("f", "q", vec![0; 1000])).unwrap();
    }

    /// Fails after the first flush.
    #[derive(Debug, Default)]
    struct FailsOnce(AtomicBool);

    impl RegionObserver for FailsOnce {
        fn post_flush(&self, _: &mut ObserverContext<'_>) -> Result<()> {
            let has_failed = self.0.swap(true, Ordering::Relaxed);
            if has_failed { Ok(()) } else { Err(Error::invalid_argument("the observer fails")) }
        }
    }

    #[test]
    fn a_failure_after_a_flush_is_told_until_the_next_attempt() {
        let (dir, hour) = (tempfile::tempdir().unwrap(), Duration::from_secs(3600));
        let region = Region::options()
            .create_if_missing(true)
            .family(Family::new("f"))
            .scheduler(&Scheduler::builder().retry(hour, hour).build())
            .observer(0, Arc::new(FailsOnce::default()))
            .open(dir.path())
            .unwrap();
        put(&region);
        region.0.run(Work::Flush, WorkKind::Flush);
        assert!(region.health().background_failure.is_some());
        assert_eq!(region.memstore_size(), 0);
        region.0.run(Work::Flush, WorkKind::Flush);
        assert!(region.health().is_healthy());
    }

    /// Only a region whose flush fails is, if another one can be flushed.
    #[test]
    fn a_region_whose_compaction_fails_is_not_passed_over_for_room() {
        let (dir, limit) = (tempfile::tempdir().unwrap(), MemoryLimit::new(64 << 10));
        let (large, small) = (open(&dir, "a", &limit), open(&dir, "b", &limit));
        let background = large.0.background.as_ref().unwrap();
        background.tasks().compactions[0].fail(Error::invalid_argument("no compaction"), 0);
        put(&small);
        (0..1000).take_while(|_| large.store_file_count("f") == Some(0)).for_each(|_| put(&large));
        assert_eq!((large.store_file_count("f"), small.store_file_count("f")), (Some(1), Some(0)));
    }

    #[test]
    fn a_late_report_of_memory_flushes_no_other_region() {
        let (dir, limit) = (tempfile::tempdir().unwrap(), MemoryLimit::new(1 << 20));
        let (idle, busy) = (open(&dir, "a", &limit), open(&dir, "b", &limit));
        let late = |region: &Region| region.0.background.as_ref().unwrap().note_memory(2 << 20);
        // Like a thread that was interrupted after its write while a flush ran.
        late(&idle);
        assert!(limit.is_full());
        (0..10).for_each(|_| put(&busy));
        assert_eq!((limit.used(), busy.store_file_count("f")), (0, Some(0)));
        // Like a writer that was about to wait for room when the region was closed.
        idle.close().unwrap();
        late(&idle);
        assert_eq!(limit.used(), 0);
    }
}
