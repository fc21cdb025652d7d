//! Background flushes and compactions: the calls that wait for them, the number of their threads, and the
//! effect of failures.

mod memory_limit;

use crate::support::forward::forward;
use hregion::io::FileWriter;
use hregion::io::faulty::{Call, FaultyStorage};
use hregion::region::ObserverContext;
use hregion::{
    Clock, Compaction, Durability, Error, ErrorKind, Family, Get, LocalStorage, MemoryLimit, Put, Region,
    RegionObserver, RegionOptions, Scheduler, Storage, Table, TableChanges,
};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const KIB: u64 = 1 << 10;
const HOUR: Duration = Duration::from_secs(3600);

/// A storage with a gate that blocks compaction threads.
#[derive(Debug)]
struct Gate<S> {
    inner: S,
    closed: Mutex<bool>,
    opened: Condvar,
    /// The number of times that compactions arrived at the gate.
    arrived: AtomicU64,
    /// Whether compactions fail after the gate.
    fails: AtomicBool,
}

impl<S> Gate<S> {
    fn new(inner: S) -> Arc<Self> {
        Arc::new(Self {
            inner,
            closed: Mutex::new(true),
            opened: Condvar::new(),
            arrived: AtomicU64::new(0),
            fails: AtomicBool::new(false),
        })
    }

    fn open_gate(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    /// Waits at the gate if the thread is a compaction thread. Returns whether it is.
    fn pass(&self) -> bool {
        let is_compaction = matches!(thread::current().name(), Some("hregion-small" | "hregion-large"));
        if is_compaction {
            self.arrived.fetch_add(1, Ordering::SeqCst);
            drop(self.opened.wait_while(self.closed.lock().unwrap(), |closed| *closed).unwrap());
        }
        is_compaction
    }
}

impl<S: Storage> Storage for Gate<S> {
    forward!(inner: open create_log rename hard_link remove remove_dir sync_file sync_dir list_dir);
    forward!(inner: create_dir_all lock optional);

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        if self.pass() && self.fails.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.pass();
        self.inner.create_new(path)
    }
}

/// Regions without a log: a write fails only if a flush does.
fn options(scheduler: &Scheduler) -> RegionOptions {
    let options = Region::options().create_if_missing(true).durability(Durability::SkipWal);
    options.family(Family::new("f")).scheduler(scheduler)
}

/// Regions in a storage with a gate, with a small flush size.
fn gated<S: Storage + 'static>(scheduler: &Scheduler, gate: &Arc<Gate<S>>) -> RegionOptions {
    options(scheduler).storage(Arc::clone(gate) as Arc<dyn Storage>).memstore_flush_size(16 * KIB)
}

/// Regions in memory, with a flush size in KiB.
fn in_memory(scheduler: &Scheduler, storage: &FaultyStorage, kib: u64) -> RegionOptions {
    options(scheduler).storage(Arc::new(storage.clone())).memstore_flush_size(kib * KIB)
}

/// Puts `kib` rows of about 1 KiB.
fn fill(region: &Region, kib: u64) -> hregion::Result<()> {
    (0..kib).try_for_each(|i| put(region, i))
}

fn put(region: &Region, i: u64) -> hregion::Result<()> {
    region.put(Put::new(format!("{i:08}")).cell("f", "q", vec![7; 900]))
}

/// Waits up to a minute for a condition.
#[track_caller]
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn writers_do_not_wait_for_a_compaction() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(LocalStorage));
    let scheduler = Scheduler::builder().blocking_wait(Duration::ZERO).build();
    let region = gated(&scheduler, &gate).open(dir.path().join("r")).unwrap();
    for i in 0..100 {
        fill(&region, 16).unwrap();
        eventually("a flush does not wait either", || !region.health().flush_pending);
        if region.metrics().flushes > 20 {
            break;
        }
        assert!(i < 99);
    }
    assert_eq!((gate.arrived.load(Ordering::SeqCst), region.metrics().compactions), (1, 0));
    gate.open_gate();
    eventually("compactions end", || {
        region.metrics().compactions > 0 && region.health().compactions_pending == 0
    });
    assert!(region.store_file_count("f").unwrap() < 12);
    assert!(region.health().is_healthy());
}

#[test]
fn a_region_is_closed_once_it_is_dropped_whatever_runs() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(LocalStorage));
    let scheduler = Scheduler::builder().blocking_wait(Duration::ZERO).build();
    let open = || gated(&scheduler, &gate).open(dir.path().join("r"));
    let region = open().unwrap();
    while gate.arrived.load(Ordering::SeqCst) == 0 {
        fill(&region, 16).unwrap();
        eventually("a flush ends", || !region.health().flush_pending);
    }
    put(&region, 1000).unwrap();
    let dropping = thread::spawn(move || drop(region));
    thread::sleep(Duration::from_millis(100));
    let is_dropped = dropping.is_finished();
    gate.open_gate();
    dropping.join().unwrap();
    assert!(!is_dropped, "the region waits for its compaction");
    let region = open().unwrap();
    assert!(region.exists(&Get::new(format!("{:08}", 1000))).unwrap());
}

#[test]
fn flushes_wait_for_compactions_at_the_blocking_number_of_files() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(LocalStorage));
    let scheduler = Scheduler::builder().blocking_wait(HOUR).build();
    let region = gated(&scheduler, &gate).open(dir.path().join("r")).unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            fill(&region, 4000).unwrap();
            is_done.store(true, Ordering::SeqCst);
        });
        eventually("memory is full", || {
            region.store_file_count("f") == Some(16) && region.memstore_size() > 50 * KIB
        });
        thread::sleep(Duration::from_millis(100));
        assert!(!is_done.load(Ordering::SeqCst));
        assert_eq!(region.store_file_count("f"), Some(16));
        gate.open_gate();
    });
    assert!(region.memstore_size() < 80 * KIB);
}

/// Opens a gate when it is dropped, also if the test fails.
struct Opening<'g, S>(&'g Gate<S>);

impl<S> Drop for Opening<'_, S> {
    fn drop(&mut self) {
        self.0.open_gate();
    }
}

/// A waiting flush would block the writers of all regions that share the memory.
#[test]
fn flushes_wait_for_no_compaction_when_memory_is_short() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(LocalStorage));
    let scheduler = Scheduler::builder().blocking_wait(HOUR).build();
    let options = gated(&scheduler, &gate).memory_limit(&MemoryLimit::new(24 * KIB));
    let region = options.open(dir.path().join("r")).unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _opening = Opening(gate.as_ref());
        scope.spawn(|| {
            fill(&region, 600).unwrap();
            is_done.store(true, Ordering::SeqCst);
        });
        eventually("all is written", || is_done.load(Ordering::SeqCst));
        assert!(region.store_file_count("f") > Some(16), "{:?}", region.store_file_count("f"));
    });
}

#[test]
fn a_hundred_regions_do_not_mean_a_hundred_threads() {
    let (storage, scheduler) = (FaultyStorage::new(), Scheduler::builder().flush_threads(2).build());
    let open = |i| in_memory(&scheduler, &storage, 8).open(format!("/r{i}")).unwrap();
    let regions: Vec<Region> = (0..100).map(open).collect();
    assert_eq!(scheduler.thread_count(), 0);
    for _ in 0..4 {
        for region in &regions {
            fill(region, 9).unwrap();
            assert!(scheduler.thread_count() <= 4);
        }
    }
    eventually("all are flushed", || regions.iter().all(|region| region.metrics().flushes > 0));
    eventually("all is done", || scheduler.queue_len() == 0);
    assert!(scheduler.thread_count() <= 4);
    let (before, weak) = (scheduler.thread_count(), scheduler.clone());
    assert!(before > 0);
    regions.iter().for_each(|region| region.close().unwrap());
    drop((regions, weak));
}

#[test]
fn failed_flushes_are_reported_and_retried() {
    let (storage, scheduler) = (
        FaultyStorage::new(),
        Scheduler::builder().retry(Duration::from_millis(1), Duration::from_millis(5)).build(),
    );
    let region = in_memory(&scheduler, &storage, 64).open("/r").unwrap();
    storage.break_calls(Call::Create);
    fill(&region, 120).unwrap();
    eventually("it is tried again", || region.health().background_failures > 3);
    let health = region.health();
    assert!(!health.is_healthy() && health.background_failing_since.is_some());
    assert_eq!(health.background_failure.map(|error| error.kind()), Some(ErrorKind::Io));
    // The memstore is full.
    let error = (0..400).find_map(|i| put(&region, i).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(region.memstore_size() <= 4 * 64 * KIB);
    storage.repair();
    // The retry does not need another write.
    eventually("it is flushed in the end", || region.health().is_healthy() && region.metrics().flushes > 0);
    fill(&region, 400).unwrap();
    region.close().unwrap();
}

/// Refuses flushes, and counts the requests.
#[derive(Debug, Default)]
struct Refusing {
    refuses: AtomicBool,
    asked: AtomicU64,
}

impl RegionObserver for Refusing {
    fn pre_flush(&self, _: &mut ObserverContext<'_>) -> hregion::Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.refuses.load(Ordering::SeqCst) {
            true => Err(Error::invalid_argument("no flush")),
            false => Ok(()),
        }
    }
}

#[test]
fn a_flush_that_fails_for_another_reason_is_not_tried_again_by_each_write() {
    let observer = Arc::new(Refusing::default());
    observer.refuses.store(true, Ordering::SeqCst);
    let scheduler = Scheduler::builder().retry(HOUR, HOUR).build();
    let region = in_memory(&scheduler, &FaultyStorage::new(), 64)
        .observer(0, Arc::clone(&observer) as Arc<dyn RegionObserver>)
        .open("/r")
        .unwrap();
    fill(&region, 80).unwrap();
    eventually("it is reported", || region.health().background_failures > 0);
    let failure = region.health().background_failure.unwrap();
    assert_eq!(failure.kind(), ErrorKind::InvalidArgument);
    for i in 80..120 {
        put(&region, i).unwrap();
        assert!(region.health().flush_pending, "it waits for its retry");
    }
    assert_eq!(observer.asked.load(Ordering::SeqCst), 1);
    observer.refuses.store(false, Ordering::SeqCst);
    region.flush().unwrap();
    assert!(region.health().is_healthy());
    region.close().unwrap();
}

/// Panics on threads with this name while it is broken.
#[derive(Debug)]
struct BrokenClock {
    thread: &'static str,
    is_broken: AtomicBool,
}

impl Clock for BrokenClock {
    fn now(&self) -> i64 {
        let is_here = thread::current().name() == Some(self.thread);
        assert!(!is_here || !self.is_broken.load(Ordering::SeqCst), "a panic that the region survives");
        1000
    }
}

#[test]
fn a_clock_that_panics_ends_no_background_work_for_ever() {
    for thread in ["hregion-flush", "hregion-small"] {
        let clock = Arc::new(BrokenClock { thread, is_broken: AtomicBool::new(true) });
        let retry = Duration::from_millis(1);
        let scheduler = Scheduler::builder().retry(retry, retry).build();
        let region = in_memory(&scheduler, &FaultyStorage::new(), 16)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .open("/r")
            .unwrap();
        if thread == "hregion-flush" {
            // A writer that waits for the flush gets its error.
            let error = (0..1000).find_map(|i| put(&region, i).err()).unwrap();
            assert_eq!(error.kind(), ErrorKind::Io);
        }
        eventually("it is tried again", || {
            if thread == "hregion-small" {
                fill(&region, 4).unwrap();
            }
            region.health().background_failures > 3
        });
        clock.is_broken.store(false, Ordering::SeqCst);
        eventually("it is well again", || region.health().is_healthy() && region.metrics().flushes > 0);
        eventually("and compacts", || {
            fill(&region, 4).unwrap();
            region.metrics().compactions > 0
        });
        region.close().unwrap();
    }
}

#[test]
fn failed_compactions_are_retried_and_block_no_flush() {
    let gate = Gate::new(FaultyStorage::new());
    gate.fails.store(true, Ordering::SeqCst);
    gate.open_gate();
    let retry = Duration::from_millis(1);
    let scheduler = Scheduler::builder().retry(retry, retry).blocking_wait(HOUR).build();
    let region = gated(&scheduler, &gate).open("/r").unwrap();
    // Above the blocking number of files, flushes do not wait for compactions that fail.
    eventually("there are many files", || {
        fill(&region, 16).unwrap();
        region.store_file_count("f").unwrap() > 16
    });
    eventually("it is tried again", || region.health().background_failures > 3);
    let failure = region.health().background_failure.unwrap();
    assert_eq!(failure.kind(), ErrorKind::Io);
    gate.fails.store(false, Ordering::SeqCst);
    eventually("it is compacted without a write", || {
        region.health().is_healthy() && region.store_file_count("f") < Some(12)
    });
    region.close().unwrap();
}

/// Refuses compactions, and counts the requests.
#[derive(Debug, Default)]
struct RefusingCompactions {
    refuses: AtomicBool,
    asked: AtomicU64,
}

impl RegionObserver for RefusingCompactions {
    fn pre_compact_selection(
        &self,
        _: &mut ObserverContext<'_>,
        _: &[u8],
        _: &mut Vec<String>,
    ) -> hregion::Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.refuses.load(Ordering::SeqCst) {
            true => Err(Error::invalid_argument("no compaction")),
            false => Ok(()),
        }
    }
}

/// HBase: `HRegionServer.CompactionChecker`.
#[test]
fn a_compaction_that_fails_for_another_reason_is_tried_again_without_a_write() {
    for check in [HOUR, Duration::from_millis(1)] {
        let observer = Arc::new(RefusingCompactions::default());
        observer.refuses.store(true, Ordering::SeqCst);
        let asked = || observer.asked.load(Ordering::SeqCst);
        let scheduler = Scheduler::builder().compaction_check(check).build();
        let region = in_memory(&scheduler, &FaultyStorage::new(), 16)
            .observer(0, Arc::clone(&observer) as Arc<dyn RegionObserver>)
            .open("/r")
            .unwrap();
        eventually("it has failed", || {
            fill(&region, 16).unwrap();
            region.health().background_failures > 0
        });
        let failure = region.health().background_failure.unwrap();
        assert_eq!(failure.kind(), ErrorKind::InvalidArgument);
        if check == HOUR {
            let flushes = region.metrics().flushes;
            eventually("it is flushed again", || {
                fill(&region, 16).unwrap();
                region.metrics().flushes > flushes + 3
            });
            assert_eq!((asked(), region.health().compactions_pending), (1, 1), "not after each flush");
        } else {
            eventually("it is tried again", || asked() > 3);
            observer.refuses.store(false, Ordering::SeqCst);
            eventually("it is compacted", || {
                region.health().is_healthy() && region.metrics().compactions > 0
            });
        }
        region.close().unwrap();
        assert_eq!(scheduler.queue_len(), 0);
    }
}

/// A storage on which the next removal of a store file waits to be released.
#[derive(Debug)]
struct SlowRemoval {
    inner: FaultyStorage,
    is_slow: AtomicBool,
    begun: Barrier,
    ends: Barrier,
}

impl Storage for SlowRemoval {
    forward!(inner: open create create_new create_log rename hard_link remove_dir sync_file sync_dir);
    forward!(inner: list_dir create_dir_all lock optional);

    fn remove(&self, path: &Path) -> io::Result<()> {
        let is_in_store = path.parent().is_some_and(|dir| dir.ends_with("r/f"));
        if is_in_store && self.is_slow.swap(false, Ordering::SeqCst) {
            self.begun.wait();
            self.ends.wait();
        }
        self.inner.remove(path)
    }
}

#[test]
fn flushes_and_health_do_not_wait_for_files_that_are_archived() {
    let storage = Arc::new(SlowRemoval {
        inner: FaultyStorage::new(),
        is_slow: AtomicBool::new(false),
        begun: Barrier::new(2),
        ends: Barrier::new(2),
    });
    let region = options(&Scheduler::builder().build())
        .storage(Arc::clone(&storage) as Arc<dyn Storage>)
        .compaction_enabled(false)
        .open("/r")
        .unwrap();
    for i in 0..2 {
        put(&region, i).unwrap();
        region.flush().unwrap();
    }
    storage.is_slow.store(true, Ordering::SeqCst);
    let compaction = thread::spawn({
        let region = region.clone();
        move || region.compact(Compaction::Major)
    });
    storage.begun.wait();
    // Not scoped: the test must fail rather than wait if the flush waits.
    let (done, flushed) = mpsc::channel();
    thread::spawn({
        let region = region.clone();
        move || {
            let is_healthy = region.health().is_healthy();
            let flushed = put(&region, 2).and_then(|()| region.flush());
            // If nothing receives, the test has ended.
            let _ = done.send((is_healthy, flushed));
        }
    });
    let (is_healthy, flushed) = flushed.recv_timeout(Duration::from_secs(20)).unwrap();
    flushed.unwrap();
    assert!(is_healthy, "nothing has failed");
    storage.ends.wait();
    compaction.join().unwrap().unwrap();
    assert!(region.health().is_healthy());
    assert_eq!(region.store_file_count("f"), Some(2));
    region.close().unwrap();
}

#[test]
fn closing_cancels_a_compaction() {
    let (dir, gate) = (tempfile::tempdir().unwrap(), Gate::new(LocalStorage));
    let scheduler = Scheduler::builder().build();
    let path = dir.path().join("r");
    let open = || gated(&scheduler, &gate).open(&path).unwrap();
    let region = open();
    while gate.arrived.load(Ordering::SeqCst) == 0 {
        fill(&region, 16).unwrap();
    }
    thread::scope(|scope| {
        let closing = scope.spawn(|| region.close());
        eventually("it is closed but for the compaction", || {
            region.get(&Get::new("r")).is_err_and(|error| error.kind() == ErrorKind::Closed)
        });
        gate.open_gate();
        closing.join().unwrap().unwrap();
    });
    assert_eq!(region.metrics().compactions, 0);
    assert_eq!(scheduler.queue_len(), 0);
    let dirs = std::fs::read_dir(path.join(".tmp")).unwrap().map(|dir| dir.unwrap().path());
    let left: usize = dirs.map(|dir| std::fs::read_dir(dir).unwrap().count()).sum();
    assert_eq!(left, 0);
    let region = open();
    assert!(region.health().is_healthy());
}

#[test]
fn threads_that_cannot_be_started_are_an_error() {
    let works = Arc::new(AtomicBool::new(false));
    let scheduler = Scheduler::builder()
        .spawner({
            let works = Arc::clone(&works);
            move |_, run| match works.load(Ordering::SeqCst) {
                true => thread::Builder::new().spawn(run).map(drop),
                false => Err(io::ErrorKind::WouldBlock.into()),
            }
        })
        .build();
    let region = in_memory(&scheduler, &FaultyStorage::new(), 64).open("/r").unwrap();
    fill(&region, 120).unwrap();
    let failure = region.health().background_failure.unwrap();
    assert!(failure.to_string().contains("start a thread"), "{failure}");
    let error = (0..400).find_map(|i| put(&region, i).err()).unwrap();
    assert!(error.to_string().contains("start a thread"), "{error}");
    works.store(true, Ordering::SeqCst);
    fill(&region, 400).unwrap();
    eventually("it is well again", || region.health().is_healthy());
}

/// Not only by the next flush, which may never come.
#[test]
fn a_compaction_that_gets_no_thread_is_requested_again() {
    let works = Arc::new(AtomicBool::new(false));
    let millisecond = Duration::from_millis(1);
    let scheduler = Scheduler::builder()
        .retry(millisecond, millisecond)
        .spawner({
            let works = Arc::clone(&works);
            move |name, run| match name == "hregion-flush" || works.load(Ordering::SeqCst) {
                true => thread::Builder::new().spawn(run).map(drop),
                false => Err(io::ErrorKind::WouldBlock.into()),
            }
        })
        .build();
    let region = in_memory(&scheduler, &FaultyStorage::new(), 16).open("/r").unwrap();
    for _ in 0..4 {
        fill(&region, 4).unwrap();
        region.flush().unwrap();
    }
    let flushes = region.metrics().flushes;
    fill(&region, 20).unwrap();
    eventually("a flush requests a compaction", || region.health().background_failure.is_some());
    let failure = region.health().background_failure.unwrap();
    assert!(failure.to_string().starts_with("compactions: cannot start a thread"), "{failure}");
    eventually("no flush is left", || !region.health().flush_pending && region.metrics().flushes > flushes);
    works.store(true, Ordering::SeqCst);
    eventually("it is compacted", || region.metrics().compactions > 0 && region.health().is_healthy());
}

#[test]
fn without_threads_writers_do_the_work() {
    let files = || {
        let storage = FaultyStorage::new();
        let region = in_memory(&Scheduler::inline(), &storage, 64).open("/r").unwrap();
        fill(&region, 1000).unwrap();
        let metrics = region.metrics();
        assert!(metrics.flushes > 10 && metrics.compactions > 3, "{metrics:?}");
        assert!(region.memstore_size() <= 64 * KIB && region.health().is_healthy());
        (metrics.flushes, metrics.compactions, region.store_file_count("f"), storage.calls())
    };
    assert_eq!(files(), files());
}

/// Also if the region's memory has not grown since, because the limit is reached.
#[test]
fn without_threads_a_full_limit_tries_a_failed_flush_again() {
    let (storage, limit) = (FaultyStorage::new(), MemoryLimit::new(256 * KIB));
    let region = options(&Scheduler::inline())
        .storage(Arc::new(storage.clone()))
        .memory_limit(&limit)
        .open("/r")
        .unwrap();
    storage.break_calls(Call::Create);
    let error = (0..1000).find_map(|i| put(&region, i).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(put(&region, 1000).is_err() && !region.health().is_healthy());
    storage.repair();
    put(&region, 1001).unwrap();
    assert!(region.health().is_healthy() && region.metrics().flushes == 1);
    assert!(limit.used() < 64 * KIB, "{}", limit.used());
}

#[test]
fn a_failed_flush_is_told_until_its_cells_are_in_files() {
    let storage = FaultyStorage::new();
    let options = in_memory(&Scheduler::inline(), &storage, 64).family(Family::new("g"));
    let region = options.open("/r").unwrap();
    region.put(Put::new("row").cell("g", "q", "v")).unwrap();
    storage.break_calls(Call::Create);
    assert!((0..1000).any(|i| put(&region, i).is_err()));
    storage.repair();
    region.flush_families(&["g"]).unwrap();
    let failure = region.health().background_failure.unwrap();
    assert_eq!(failure.kind(), ErrorKind::Io);
    region.flush_families(&["f"]).unwrap();
    assert!(region.health().is_healthy());
}

/// Opens a region with four files that have not been compacted.
fn open_with_files(storage: &FaultyStorage, scheduler: &Scheduler, enabled: bool) -> Region {
    let open = |enabled| in_memory(scheduler, storage, 16).compaction_enabled(enabled).open("/r").unwrap();
    let region = open(false);
    for i in 0..4 {
        put(&region, i).unwrap();
        region.flush().unwrap();
    }
    region.close().unwrap();
    open(enabled)
}

#[test]
fn a_region_with_many_files_is_compacted_when_it_is_opened() {
    let at_once = Scheduler::builder().compact_after_open(Duration::ZERO).build();
    let region = open_with_files(&FaultyStorage::new(), &at_once, true);
    eventually("it is compacted", || region.store_file_count("f") == Some(1));
    region.close().unwrap();

    for (scheduler, enabled) in [(Scheduler::inline(), true), (at_once.clone(), false)] {
        let region = open_with_files(&FaultyStorage::new(), &scheduler, enabled);
        assert_eq!(region.health().compactions_pending, 0);
        region.close().unwrap();
    }
}

#[test]
fn a_compaction_takes_as_long_as_its_throughput_requires() {
    let scheduler = Scheduler::builder().compact_after_open(Duration::ZERO).compaction_throughput(1 << 20);
    let (scheduler, storage) = (scheduler.build(), FaultyStorage::new());
    let open =
        |enabled| in_memory(&scheduler, &storage, 1024).compaction_enabled(enabled).open("/r").unwrap();
    let region = open(false);
    for i in 0..360 {
        put(&region, i).unwrap();
        if i % 90 == 89 {
            region.flush().unwrap();
        }
    }
    region.close().unwrap();
    let start = Instant::now();
    let region = open(true);
    eventually("it is compacted", || region.store_file_count("f") == Some(1));
    // The last of six steps waits for the five before it, of 64 KiB each.
    let taken = start.elapsed();
    assert!(taken >= Duration::from_millis(300), "{taken:?}");
    region.close().unwrap();
}

/// A flush does not wait for the compaction's scheduled time.
#[test]
fn a_compaction_after_opening_begins_with_the_first_flush_at_the_latest() {
    let later = Scheduler::builder().compact_after_open(HOUR).blocking_wait(HOUR).build();
    let storage = FaultyStorage::new();
    let region = open_with_files(&storage, &later, true);
    assert_eq!((region.health().compactions_pending, later.queue_len()), (1, 1));
    eventually("it is compacted", || {
        fill(&region, 4).unwrap();
        region.metrics().compactions > 0
    });
    region.close().unwrap();
    assert_eq!(later.queue_len(), 0);
}

/// The files of the daughters are compacted although there are no writes.
#[test]
fn daughters_that_are_only_read_do_not_keep_their_parent() {
    let storage = FaultyStorage::new();
    let at_once = Scheduler::builder().compact_after_open(Duration::ZERO).build();
    let options = Region::options().storage(Arc::new(storage)).scheduler(&at_once);
    let none: [&str; 0] = [];
    let table = Table::create_with("/hbase", "t", &[Family::new("f")], &none, options).unwrap();
    for row in ["a", "m"] {
        table.put(Put::new(row).cell("f", "q", "v")).unwrap();
    }
    table.flush().unwrap();
    table.split("m").unwrap();
    for row in ["a", "m"] {
        let region = table.region(row).unwrap();
        eventually("its files are its own", || {
            let paths = region.hfile_paths("f").unwrap();
            paths.len() == 1 && paths[0].starts_with(region.path())
        });
        assert_eq!(region.get(&Get::new(row)).unwrap().len(), 1);
    }
    table.close().unwrap();
}

#[test]
fn compactions_can_be_left_to_callers() {
    let options = in_memory(&Scheduler::inline(), &FaultyStorage::new(), 16);
    let region = options.compaction_enabled(false).open("/r").unwrap();
    fill(&region, 500).unwrap();
    assert!(region.store_file_count("f").unwrap() > 16);
    assert_eq!(region.metrics().compactions, 0);
    region.compact(Compaction::Major).unwrap();
    assert_eq!(region.store_file_count("f"), Some(1));
}

#[test]
fn compactions_are_left_to_callers_if_the_table_says_so() {
    let root = tempfile::tempdir().unwrap();
    Table::create(root.path(), "t", &[Family::new("f")], &[""; 0]).unwrap().close().unwrap();
    let changes = TableChanges::new().set("COMPACTION_ENABLED", "false").set("MEMSTORE_FLUSHSIZE", "16384");
    Table::alter(root.path(), "t", &changes, &Region::options()).unwrap();
    let compactions = |options: RegionOptions| {
        let table = Table::open_with(root.path(), "t", options.writable(true)).unwrap();
        let region = table.region("r").unwrap();
        fill(&region, 500).unwrap();
        let compactions = region.metrics().compactions;
        region.compact(Compaction::Major).unwrap();
        assert_eq!(region.store_file_count("f"), Some(1));
        table.close().unwrap();
        compactions
    };
    let inline = Region::options().durability(Durability::SkipWal).scheduler(&Scheduler::inline());
    assert_eq!(compactions(inline.clone()), 0);
    assert!(compactions(inline.compaction_enabled(true)) > 0);
}

/// HBase: `HStore.areWritesEnabled`.
#[test]
fn a_read_only_table_is_not_compacted_when_it_is_opened() {
    let storage = FaultyStorage::new();
    let later = Scheduler::builder().compact_after_open(HOUR).build();
    let options = || Region::options().storage(Arc::new(storage.clone())).scheduler(&later);
    let created = options().compaction_enabled(false);
    let table = Table::create_with("/hbase", "t", &[Family::new("f")], &[""; 0], created).unwrap();
    for value in ["1", "2", "3", "4"] {
        table.put(Put::new("r").cell("f", "q", value)).unwrap();
        table.flush().unwrap();
    }
    table.close().unwrap();
    for (is_read_only, pending) in [("true", 0), ("false", 1)] {
        let changes = TableChanges::new().set("READONLY", is_read_only);
        Table::alter("/hbase", "t", &changes, &options()).unwrap();
        let table = Table::open_with("/hbase", "t", options().writable(true)).unwrap();
        let region = table.region("r").unwrap();
        assert_eq!(region.store_file_count("f"), Some(4), "{is_read_only}");
        assert_eq!(region.health().compactions_pending, pending, "{is_read_only}");
        table.close().unwrap();
    }
}

#[test]
fn the_flush_size_is_that_of_the_table() {
    let root = tempfile::tempdir().unwrap();
    let splits: [&str; 0] = [];
    Table::create(root.path(), "t", &[Family::new("f")], &splits).unwrap().close().unwrap();
    let changes = TableChanges::new().set("MEMSTORE_FLUSHSIZE", "65536");
    Table::alter(root.path(), "t", &changes, &Region::options()).unwrap();

    let open = |options: RegionOptions| {
        let table = Table::open_with(root.path(), "t", options.writable(true)).unwrap();
        let region = table.region("r").unwrap();
        fill(&region, 100).unwrap();
        let flushes = region.metrics().flushes;
        table.close().unwrap();
        flushes
    };
    let inline = Region::options().scheduler(&Scheduler::inline());
    assert_eq!(open(inline.clone()), 1);
    assert_eq!(open(inline.memstore_flush_size(1 << 30)), 0);
}

/// HBase: `HRegion.blockingMemStoreSize`.
#[test]
fn the_size_at_which_writers_wait_is_that_of_the_table() {
    for (multiplier, times) in [(None, 4), (Some("2"), 2), (Some("9"), 9), (Some("0"), 1)] {
        let storage = FaultyStorage::new();
        let options = || {
            let options = Region::options().durability(Durability::SkipWal).scheduler(&Scheduler::inline());
            options.storage(Arc::new(storage.clone()))
        };
        let families = [Family::new("f")];
        Table::create_with("/hbase", "t", &families, &[""; 0], options()).unwrap().close().unwrap();
        let changes = TableChanges::new().set("MEMSTORE_FLUSHSIZE", "65536");
        let set = |value: &str| changes.clone().set("hbase.hregion.memstore.block.multiplier", value);
        let changes = multiplier.map_or_else(|| changes.clone(), set);
        Table::alter("/hbase", "t", &changes, &options()).unwrap();
        let table = Table::open_with("/hbase", "t", options().writable(true)).unwrap();
        let region = table.region("r").unwrap();
        storage.break_calls(Call::Create);
        let error = (0..1000).find_map(|i| put(&region, i).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::Io);
        let (size, most) = (region.memstore_size(), times * 64 * KIB);
        assert!((most / 4 * 3..=most + KIB).contains(&size), "{multiplier:?}: {size}");
        storage.repair();
        table.close().unwrap();
    }
}
