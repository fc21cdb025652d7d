//! Threads for flushes and compactions, shared by regions (HBase: `MemStoreFlusher`, `CompactSplit`).
//!
//! | file | contents |
//! |---|---|
//! | `options` | limits on concurrent work |
//! | `queue` | work that waits for a thread |
//! | `pace` | the throughput limit of compactions |

mod options;
mod pace;
mod queue;

pub use options::SchedulerBuilder;
pub(super) use queue::{Job, Work, WorkKind};

use super::RegionCore;
use crate::clock::{SystemTimer, Timer};
use crate::error::{Error, Result};
use crate::io::Owner;
use crate::sync::unpoisoned;
use pace::Pace;
use queue::Queue;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, Weak};
use std::time::{Duration, Instant};

/// Starts a thread with a name.
type Spawn = Arc<dyn Fn(&'static str, Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync>;

const HAS_THREADS: bool = cfg!(any(not(target_family = "wasm"), target_feature = "atomics"));

/// About 34 years: longer than any process runs.
const FAR: Duration = Duration::from_secs(1 << 30);

/// A thread without work ends after this time.
const IDLE: Duration = Duration::from_secs(10);

/// Threads that flush and compact any number of regions (HBase: `MemStoreFlusher`, `CompactSplit`).
///
/// Flushes, large compactions and small compactions have separate threads: no flush waits for a compaction,
/// and no small compaction for a large one. Compactions of stores closest to
/// `hbase.hstore.blockingStoreFiles` run first. Threads start when there is work for them, and end after ten
/// seconds without any. Their number is limited by the [builder](Self::builder)'s settings, however many
/// regions there are.
///
/// Cheap to clone; clones are the same scheduler. Regions without a scheduler of their own share [the
/// scheduler of the process](Self::global).
#[derive(Clone)]
pub struct Scheduler(Arc<Handle>);

/// Held by users and regions. Threads hold only [`Shared`], and end when the last handle is dropped.
struct Handle(Arc<Shared>);

struct Shared {
    options: SchedulerBuilder,
    /// Whether all work is done on the threads of callers.
    is_inline: bool,
    pace: Option<Pace>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The process that has the threads.
    owner: Owner,
    stopped: bool,
    queue: Queue,
    /// The number of threads, and of those that wait for work, by kind.
    threads: [usize; 3],
    idle: [usize; 3],
}

impl State {
    fn new() -> Self {
        Self { owner: Owner::this(), stopped: false, queue: Queue::default(), threads: [0; 3], idle: [0; 3] }
    }

    /// Whether there is a thread that takes work of a kind.
    fn has_thread_for(&self, kind: WorkKind) -> bool {
        let mut takers = WorkKind::ALL.into_iter().filter(|taker| taker.takes(kind));
        takers.any(|taker| self.threads[taker as usize] > 0)
    }
}

impl Scheduler {
    /// Returns the scheduler of the process, with the default settings, used by regions without a scheduler
    /// of their own. On a system without threads (WebAssembly), it is an [inline](Self::inline) one.
    #[must_use]
    pub fn global() -> Self {
        static GLOBAL: OnceLock<Scheduler> = OnceLock::new();
        let new = || if HAS_THREADS { Self::builder().build() } else { Self::inline() };
        GLOBAL.get_or_init(new).clone()
    }

    /// Creates a scheduler without threads: a writer that finds too much in memory flushes and compacts
    /// before it continues. Failures are retried only by the next such writer.
    #[must_use]
    pub fn inline() -> Self {
        Self::with(SchedulerBuilder::default(), true)
    }

    /// Returns the settings for a new scheduler.
    #[must_use]
    pub fn builder() -> SchedulerBuilder {
        SchedulerBuilder::default()
    }

    /// Returns the current number of threads.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        self.state().threads.iter().sum()
    }

    /// Returns the number of flushes and compactions that wait for a thread or for a retry.
    #[must_use]
    pub fn queue_len(&self) -> usize {
        self.state().queue.len()
    }

    fn new(options: SchedulerBuilder) -> Self {
        Self::with(options, false)
    }

    fn with(options: SchedulerBuilder, is_inline: bool) -> Self {
        let pace = options.throughput.map(Pace::new);
        let (state, changed) = (Mutex::new(State::new()), Condvar::new());
        Self(Arc::new(Handle(Arc::new(Shared { options, is_inline, pace, state, changed }))))
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }

    /// Locks the state. A forked process has none of the threads, and must not change the regions that have
    /// queued work.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = unpoisoned(self.shared().state.lock());
        if !state.owner.is_this() {
            *state = State::new();
        }
        state
    }

    pub(super) fn is_inline(&self) -> bool {
        self.shared().is_inline
    }

    /// Returns the kind of a compaction of `bytes` bytes.
    pub(super) fn compaction_kind(&self, bytes: u64) -> WorkKind {
        if bytes > self.shared().options.throttle_point { WorkKind::Large } else { WorkKind::Small }
    }

    pub(super) fn blocking_wait(&self) -> Duration {
        self.shared().options.blocking_wait
    }

    /// Returns how long after a region is opened its first compactions begin.
    pub(super) fn wait_after_open(&self) -> Duration {
        self.shared().options.wait_after_open
    }

    /// Returns when to retry after `failures` consecutive failures.
    pub(super) fn retry_at(&self, failures: u32) -> Instant {
        let SchedulerBuilder { first_retry, longest_retry, .. } = self.shared().options;
        let factor = 1u32.checked_shl(failures.saturating_sub(1).min(31)).unwrap_or(u32::MAX);
        after(first_retry.saturating_mul(factor).min(longest_retry))
    }

    /// Returns how long after a compaction that failed, but not with an I/O error, it is tried again.
    pub(super) fn compaction_check(&self) -> Duration {
        self.shared().options.compaction_check
    }

    /// Waits as long as the throughput limit requires for `bytes`, unless `check` fails first.
    pub(super) fn spend(&self, bytes: u64, check: impl Fn() -> Result<()>) -> Result<()> {
        self.shared().pace.as_ref().map_or(Ok(()), |pace| pace.spend(bytes, check))
    }

    /// Queues a job, and starts a thread for it if none is idle and the limit allows another.
    ///
    /// # Errors
    ///
    /// If there is no thread that takes this kind of work and none can be started. Then the job is not
    /// queued.
    pub(super) fn submit(&self, job: Job) -> Result<()> {
        let (region, work, kind) = (job.region.clone(), job.work, job.kind);
        let mut state = self.state();
        state.queue.push(job);
        self.shared().changed.notify_all();
        match self.start_thread(kind, &mut state) {
            Err(error) if !state.has_thread_for(kind) => {
                state.queue.cancel(&region, work);
                Err(Error::io("start a thread", Path::new(work.name()), error))
            }
            _ => Ok(()),
        }
    }

    /// Makes a queued job due now.
    pub(super) fn expedite(&self, region: &Weak<RegionCore>, work: Work) {
        if self.state().queue.expedite(region, work) {
            self.shared().changed.notify_all();
        }
    }

    /// Removes the queued jobs of a region.
    pub(super) fn remove(&self, region: &Weak<RegionCore>) {
        if self.state().queue.remove(region) {
            // A thread that waits until one of them is due waits for others, or ends.
            self.shared().changed.notify_all();
        }
    }

    /// Starts a thread for a kind of work if that has more jobs than idle threads, and may have more threads.
    /// The state stays locked, so that no other job is left to a thread that cannot be started.
    fn start_thread(&self, kind: WorkKind, state: &mut State) -> io::Result<()> {
        let shared = &self.0.0;
        let at = kind as usize;
        // A job that is not due yet also needs a thread that waits for it: the others may be busy when it is
        // due.
        if state.queue.count_of(kind) <= state.idle[at] || state.threads[at] >= shared.options.threads(kind) {
            return Ok(());
        }
        let worker = Arc::clone(shared);
        (shared.options.spawn)(kind.thread_name(), Box::new(move || worker.work(kind)))?;
        state.threads[at] += 1;
        Ok(())
    }
}

impl SchedulerBuilder {
    fn threads(&self, kind: WorkKind) -> usize {
        match kind {
            WorkKind::Flush => self.flush_threads,
            WorkKind::Large => self.large_threads,
            WorkKind::Small => self.small_threads,
        }
    }
}

impl Shared {
    fn work(&self, kind: WorkKind) {
        while let Some(job) = self.next(kind) {
            if let Some(region) = job.region.upgrade() {
                // The region reports failures itself. Any other panic must not end a thread that other
                // regions depend on.
                drop(catch_unwind(AssertUnwindSafe(|| region.run(job.work, job.kind))));
            }
        }
    }

    /// Waits for a job. Returns `None` if the thread must end.
    fn next(&self, kind: WorkKind) -> Option<Job> {
        let at = kind as usize;
        let mut state = unpoisoned(self.state.lock());
        let idle_until = after(IDLE);
        loop {
            let now = SystemTimer.now();
            if state.stopped {
                state.threads[at] -= 1;
                return None;
            }
            if let Some(job) = state.queue.take(kind, now) {
                return Some(job);
            }
            let due = state.queue.next_due(kind);
            if due.is_none() && now >= idle_until {
                state.threads[at] -= 1;
                return None;
            }
            let until = due.unwrap_or(idle_until);
            state.idle[at] += 1;
            state = unpoisoned(self.changed.wait_timeout(state, until.saturating_duration_since(now))).0;
            state.idle[at] -= 1;
        }
    }
}

impl WorkKind {
    fn thread_name(self) -> &'static str {
        match self {
            Self::Flush => "hregion-flush",
            Self::Large => "hregion-large",
            Self::Small => "hregion-small",
        }
    }
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Flush => "flushes",
            Self::Compact(_) => "compactions",
        }
    }
}

pub(super) fn now() -> Instant {
    SystemTimer.now()
}

/// Returns the time `time` from now; a distant time if that overflows the clock.
pub(super) fn after(time: Duration) -> Instant {
    let now = now();
    now.checked_add(time).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}

impl Drop for Handle {
    fn drop(&mut self) {
        unpoisoned(self.0.state.lock()).stopped = true;
        self.0.changed.notify_all();
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("is_inline", &self.is_inline())
            .field("options", &self.shared().options)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    /// Returns a scheduler with at most `threads` threads for flushes, which do nothing, and the number of
    /// threads started.
    fn counting(threads: usize) -> (Scheduler, Arc<AtomicUsize>) {
        let started = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&started);
        let spawn = move |_: &'static str, _: Box<dyn FnOnce() + Send>| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        (Scheduler::builder().flush_threads(threads).spawner(spawn).build(), started)
    }

    fn job(due: Option<Instant>) -> Job {
        Job { region: Weak::new(), work: Work::Flush, kind: WorkKind::Flush, priority: 0, due }
    }

    #[test]
    fn a_forked_process_starts_threads_of_its_own() {
        let (scheduler, started) = counting(1);
        scheduler.submit(job(None)).unwrap();
        // Like a process forked from one whose thread waits for work.
        let mut state = scheduler.state();
        (state.owner, state.idle[WorkKind::Flush as usize]) = (Owner::other(), 1);
        drop(state);
        assert_eq!((scheduler.queue_len(), scheduler.thread_count()), (0, 0));
        scheduler.submit(job(None)).unwrap();
        assert_eq!((scheduler.queue_len(), scheduler.thread_count()), (1, 1));
        assert_eq!(started.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_job_that_is_not_due_yet_does_not_wait_for_a_busy_thread() {
        let (scheduler, started) = counting(2);
        scheduler.submit(job(None)).unwrap();
        // Taken as by the thread, which is then busy.
        assert!(scheduler.shared().next(WorkKind::Flush).is_some());
        scheduler.submit(job(Some(after(Duration::from_secs(60))))).unwrap();
        assert_eq!(started.load(Ordering::Relaxed), 2);
        // The number of threads has reached its limit.
        scheduler.submit(job(None)).unwrap();
        assert_eq!(started.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn small_work_waits_for_a_large_thread_if_it_gets_none_of_its_own() {
        let spawn = |name: &'static str, _: Box<dyn FnOnce() + Send>| match name {
            "hregion-small" => Err(io::Error::from(io::ErrorKind::WouldBlock)),
            _ => Ok(()),
        };
        let scheduler = Scheduler::builder().spawner(spawn).build();
        let compaction = |kind, store| Job { work: Work::Compact(store), kind, ..job(None) };
        scheduler.submit(job(None)).unwrap();
        let refused = scheduler.submit(compaction(WorkKind::Small, 0));
        assert!(refused.is_err(), "threads of flushes do not take it");
        assert_eq!(scheduler.queue_len(), 1);
        scheduler.submit(compaction(WorkKind::Large, 1)).unwrap();
        scheduler.submit(compaction(WorkKind::Small, 2)).unwrap();
        assert_eq!(scheduler.queue_len(), 3);
    }

    #[test]
    fn no_job_is_left_to_a_thread_that_cannot_be_started() {
        let spawn = |_: &'static str, _: Box<dyn FnOnce() + Send>| {
            thread::yield_now();
            Err(io::Error::from(io::ErrorKind::WouldBlock))
        };
        let scheduler = Scheduler::builder().flush_threads(1).spawner(spawn).build();
        let submit = |first: usize| {
            for store in first..first + 500 {
                let job = Job { work: Work::Compact(store), ..job(None) };
                assert!(scheduler.submit(job).is_err(), "no thread will take it");
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| submit(0));
            submit(500);
        });
        assert_eq!((scheduler.queue_len(), scheduler.thread_count()), (0, 0));
    }

    #[test]
    fn each_kind_of_work_has_up_to_as_many_threads_as_set() {
        let threads = |options: SchedulerBuilder| {
            let scheduler = options.spawner(|_, _| Ok(())).build();
            WorkKind::ALL.map(|kind| {
                (0..6).for_each(|_| scheduler.submit(Job { kind, ..job(None) }).unwrap());
                scheduler.state().threads[kind as usize]
            })
        };
        assert_eq!(threads(Scheduler::builder()), [2, 1, 1]);
        for (set, expected) in [([3, 4, 5], [3, 4, 5]), ([0; 3], [1; 3])] {
            let [flushes, large, small] = set;
            let options = Scheduler::builder().flush_threads(flushes);
            let options = options.large_compaction_threads(large).small_compaction_threads(small);
            assert_eq!(threads(options), expected);
        }
    }

    #[test]
    fn compactions_wait_only_if_their_throughput_is_limited() {
        let waits = |options: SchedulerBuilder| {
            let scheduler = options.build();
            // The first bytes are not waited for; what follows waits for them.
            scheduler.spend(1 << 30, || Err(Error::closed())).unwrap();
            scheduler.spend(1, || Err(Error::closed())).is_err()
        };
        assert!(!waits(Scheduler::builder()));
        for rate in [0, 1, 1 << 10] {
            assert!(waits(Scheduler::builder().compaction_throughput(rate)), "{rate} bytes per second");
        }
    }

    #[test]
    fn a_time_beyond_the_clock_is_far_away() {
        let in_a_year = now() + Duration::from_secs(365 * 24 * 3600);
        assert!(after(Duration::MAX) > in_a_year);
        let never = Scheduler::builder().retry(Duration::MAX, Duration::MAX).build();
        assert!(never.retry_at(1) > in_a_year && never.retry_at(40) > in_a_year);
        assert!(after(Duration::from_secs(1)) < in_a_year);
    }

    #[test]
    fn retries_come_at_doubled_intervals_up_to_the_longest() {
        let seconds = Duration::from_secs;
        let scheduler = Scheduler::builder().retry(seconds(10), seconds(75)).build();
        for (failures, interval) in [(0, 10), (1, 10), (2, 20), (3, 40), (4, 75), (40, 75), (u32::MAX, 75)] {
            let before = now();
            let due = scheduler.retry_at(failures);
            let expected = before + seconds(interval)..=now() + seconds(interval);
            assert!(expected.contains(&due), "{failures}");
        }
    }
}
