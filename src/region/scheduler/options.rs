//! Settings of a scheduler.

use super::{Scheduler, Spawn};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The settings of a [`Scheduler`]. Created by [`Scheduler::builder`] (HBase: `CompactSplit`,
/// `MemStoreFlusher`).
#[derive(Clone)]
pub struct SchedulerBuilder {
    pub(super) flush_threads: usize,
    pub(super) large_threads: usize,
    pub(super) small_threads: usize,
    pub(super) throttle_point: u64,
    pub(super) throughput: Option<u64>,
    pub(super) first_retry: Duration,
    pub(super) longest_retry: Duration,
    pub(super) blocking_wait: Duration,
    pub(super) wait_after_open: Duration,
    pub(super) compaction_check: Duration,
    pub(super) spawn: Spawn,
}

impl Default for SchedulerBuilder {
    fn default() -> Self {
        Self {
            flush_threads: 2,
            large_threads: 1,
            small_threads: 1,
            throttle_point: 2 * 10 * (128 << 20),
            throughput: None,
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(60),
            blocking_wait: Duration::from_secs(90),
            wait_after_open: Duration::from_secs(60),
            compaction_check: Duration::from_secs(10_000),
            spawn: Arc::new(|name, run| thread::Builder::new().name(name.into()).spawn(run).map(drop)),
        }
    }
}

impl SchedulerBuilder {
    /// Sets the number of threads for flushes (default: 2; at least 1; HBase: `hbase.hstore.flusher.count`).
    #[must_use]
    pub fn flush_threads(mut self, threads: usize) -> Self {
        self.flush_threads = threads.max(1);
        self
    }

    /// Sets the number of threads for compactions above the [throttle point](Self::compaction_throttle). They
    /// run smaller ones if there are no large ones (default: 1; at least 1; HBase:
    /// `hbase.regionserver.thread.compaction.large`).
    #[must_use]
    pub fn large_compaction_threads(mut self, threads: usize) -> Self {
        self.large_threads = threads.max(1);
        self
    }

    /// Sets the number of threads for other compactions (default: 1; at least 1; HBase:
    /// `hbase.regionserver.thread.compaction.small`).
    #[must_use]
    pub fn small_compaction_threads(mut self, threads: usize) -> Self {
        self.small_threads = threads.max(1);
        self
    }

    /// Sets the number of input bytes above which a compaction is large (default: 2.5 GiB, twice ten files of
    /// 128 MiB; HBase: `hbase.regionserver.thread.compaction.throttle`).
    #[must_use]
    pub fn compaction_throttle(mut self, bytes: u64) -> Self {
        self.throttle_point = bytes;
        self
    }

    /// Sets the number of bytes per second that all compactions of the scheduler may write together (default:
    /// no limit; HBase: `PressureAwareCompactionThroughputController`). Counts, as HBase does, the cells that
    /// a compaction keeps, before they are encoded and compressed and before observers change them; also 64
    /// bytes for each row read. Compactions on threads of callers are not limited.
    #[must_use]
    pub fn compaction_throughput(mut self, bytes_per_second: u64) -> Self {
        self.throughput = Some(bytes_per_second);
        self
    }

    /// Sets the delay before a flush that failed, or a compaction that failed with an I/O error, is retried.
    /// The delay doubles with each failure, up to `longest` (default: 1 s, up to 60 s).
    #[must_use]
    pub fn retry(mut self, first: Duration, longest: Duration) -> Self {
        (self.first_retry, self.longest_retry) = (first, longest);
        self
    }

    /// Sets the delay before a compaction that failed with another error, as of a damaged file or an
    /// observer, is tried again (default: 10,000 s; HBase: `hbase.server.thread.wakefrequency` times
    /// `hbase.server.compactchecker.interval.multiplier`, and after each flush).
    #[must_use]
    pub fn compaction_check(mut self, delay: Duration) -> Self {
        self.compaction_check = delay;
        self
    }

    /// Sets how long a flush waits for compactions of a store with too many files,
    /// `hbase.hstore.blockingStoreFiles` or more (default: 90 s; HBase: `hbase.hstore.blockingWaitTime`).
    #[must_use]
    pub fn blocking_wait(mut self, wait: Duration) -> Self {
        self.blocking_wait = wait;
        self
    }

    /// Sets the delay after which a region opened for writing compacts families with references to files of a
    /// parent, or with enough files for a minor compaction. A flush causes this earlier. Default: 60 s, so
    /// that a process that opens a region briefly compacts nothing; HBase: at once.
    ///
    /// Has no effect on [inline](Scheduler::inline) schedulers, and on regions without
    /// [compactions](crate::RegionOptions::compaction_enabled).
    #[must_use]
    pub fn compact_after_open(mut self, wait: Duration) -> Self {
        self.wait_after_open = wait;
        self
    }

    /// Sets how threads are started, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn spawner(
        mut self,
        spawn: impl Fn(&'static str, Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.spawn = Arc::new(spawn);
        self
    }

    /// Creates the scheduler. Its threads are started when there is work for them.
    #[must_use]
    pub fn build(self) -> Scheduler {
        Scheduler::new(self)
    }
}

impl std::fmt::Debug for SchedulerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchedulerBuilder")
            .field("flush_threads", &self.flush_threads)
            .field("large_threads", &self.large_threads)
            .field("small_threads", &self.small_threads)
            .field("throttle_point", &self.throttle_point)
            .field("throughput", &self.throughput)
            .finish_non_exhaustive()
    }
}
