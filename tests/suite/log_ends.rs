//! Logs that end with a failing sync, and log content that resembles something else.

use crate::support::forward::forward;
use crate::support::hooked_logs::{HookedLogs, LogCall};
use hregion::io::LogFile;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::wal::{WalEnd, WalReader};
use hregion::{
    Delete, Durability, ErrorKind, Family, Get, Limits, Mutation, Put, Region, RegionOptions, Scheduler,
    Storage,
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

const DIR: &str = "store/region";

fn options(storage: Arc<dyn Storage>) -> RegionOptions {
    let options = Region::options().storage(storage).create_if_missing(true).scheduler(&Scheduler::inline());
    options.compaction_enabled(false)
}

/// Opens a region with the family f.
fn open(storage: Arc<dyn Storage>) -> Region {
    options(storage).family(Family::new("f")).open(DIR).unwrap()
}

fn put(row: &str) -> Put {
    Put::new(row.to_owned()).cell("f", "q", "v")
}

/// A sync that signals its beginning, and waits to be released.
struct Gate {
    begun: Barrier,
    ends: Barrier,
}

impl Gate {
    fn new() -> Self {
        Self { begun: Barrier::new(2), ends: Barrier::new(2) }
    }

    fn pass(&self) {
        self.begun.wait();
        self.ends.wait();
    }
}

/// A flush syncs the file that it has ended while writers use the next one. If that sync fails, each writer
/// returns.
#[test]
fn no_writer_waits_after_the_sync_of_an_ended_file_has_failed() {
    let gates = Arc::new([Gate::new(), Gate::new()]);
    let passed = Arc::clone(&gates);
    let storage = HookedLogs::shared(&FaultyStorage::new(), move |call| match call {
        LogCall::Sync { log: 1, sync: 3 } => {
            passed[0].pass();
            Err(io::Error::other("the disk is gone"))
        }
        LogCall::Sync { log: 2, sync: 2 } => {
            passed[1].pass();
            Ok(())
        }
        _ => Ok(()),
    });
    let region = open(storage);
    // The first sync is for the header, and the second for the put.
    region.put(put("before")).unwrap();
    let flush = {
        let region = region.clone();
        thread::spawn(move || region.flush())
    };
    gates[0].begun.wait();
    // Not scoped: the test must fail rather than wait if a writer waits forever.
    let (done, results) = mpsc::channel();
    let write = |row: usize| {
        let (region, done) = (region.clone(), done.clone());
        thread::spawn(move || {
            let written = region.put(put(&format!("row {row}")));
            // If nothing receives, the test has ended.
            let _ = done.send(written.map_err(|error| error.kind()));
        });
    };
    write(0);
    gates[1].begun.wait();
    (1..5).for_each(write);
    thread::sleep(Duration::from_millis(300)); // the others wait for the next sync
    gates[0].ends.wait();
    flush.join().unwrap().unwrap();
    gates[1].ends.wait();
    let received = (0..5).map_while(|_| results.recv_timeout(Duration::from_secs(20)).ok());
    let mut received: Vec<Result<(), ErrorKind>> = received.collect();
    received.sort_by_key(Result::is_err);
    let mut expected = vec![Err(ErrorKind::Poisoned); 5];
    expected[0] = Ok(());
    assert_eq!(received, expected);
}

/// A gate for the next call.
struct Delay {
    is_set: AtomicBool,
    gate: Gate,
}

impl Delay {
    fn new() -> Self {
        Self { is_set: AtomicBool::new(false), gate: Gate::new() }
    }

    /// Passes the gate if one is set. Returns whether one was.
    fn pass(&self) -> bool {
        let is_set = self.is_set.swap(false, Ordering::Relaxed);
        if is_set {
            self.gate.pass();
        }
        is_set
    }
}

/// A flush begins a new file, and syncs the old one while writers append to the new one: no write to the new
/// file may survive without an earlier write that is only in the old file.
#[test]
fn a_write_does_not_survive_without_those_in_the_file_before() {
    let durabilities = [Durability::AsyncWal, Durability::SyncWal, Durability::FsyncWal];
    for (fails, durability) in [false, true].into_iter().flat_map(|fails| durabilities.map(|d| (fails, d))) {
        let storage = FaultyStorage::new();
        let delay = Arc::new(Delay::new());
        let of_sync = Arc::clone(&delay);
        let delayed = HookedLogs::shared(&storage, move |call| {
            if matches!(call, LogCall::Sync { log: 1, .. }) && of_sync.pass() && fails {
                return Err(io::Error::other("the disk is gone"));
            }
            Ok(())
        });
        let region = open(delayed);
        region.put(put("first").durability(durability.min(Durability::SyncWal))).unwrap();
        delay.is_set.store(true, Ordering::Relaxed);
        let flush = {
            let region = region.clone();
            thread::spawn(move || region.flush())
        };
        delay.gate.begun.wait();
        let (done, written) = mpsc::channel();
        thread::spawn({
            let region = region.clone();
            move || {
                let written = region.put(put("second").durability(durability));
                // If nothing receives, the test has ended.
                let _ = done.send(written.map_err(|error| error.kind()));
            }
        });
        // Long enough for a write that does not wait.
        let early = written.recv_timeout(Duration::from_millis(300)).ok();
        for crash in (0..50).map(Crash::Chance).chain([Crash::Hard, Crash::Torn]) {
            let left = open(Arc::new(storage.after(crash)));
            let is_left = |row: &str| !left.get(&Get::new(row)).unwrap().is_empty();
            assert!(
                is_left("first") || !is_left("second"),
                "one without the other: {durability:?}, {crash:?}"
            );
        }
        delay.gate.ends.wait();
        flush.join().unwrap().unwrap();
        let late = early.or_else(|| written.recv_timeout(Duration::from_secs(20)).ok());
        assert_eq!(late, Some(if fails { Err(ErrorKind::Poisoned) } else { Ok(()) }), "{durability:?}");
        region.close().unwrap();
        let left = open(Arc::new(storage));
        assert!(!left.get(&Get::new("first")).unwrap().is_empty());
    }
}

/// A log is locked while it is created; health is still reported.
#[test]
fn health_is_told_while_a_log_is_created() {
    let asked = Arc::new(Mutex::new(None::<Region>));
    let of_log = Arc::clone(&asked);
    let storage = HookedLogs::shared(&FaultyStorage::new(), move |call| {
        // The sync of the header.
        if matches!(call, LogCall::Sync { log: 1, sync: 1 }) {
            let region = of_log.lock().unwrap().take().unwrap();
            let (done, health) = mpsc::channel();
            thread::spawn(move || done.send(region.health()).is_ok());
            assert!(health.recv_timeout(Duration::from_secs(20)).unwrap().is_healthy());
        }
        Ok(())
    });
    let region = options(storage).family(Family::new("f")).open(DIR).unwrap();
    *asked.lock().unwrap() = Some(region.clone());
    region.put(put("r")).unwrap();
    assert!(asked.lock().unwrap().is_none());
    region.close().unwrap();
}

/// Writes are synced before a flush ends the file, and writers continue during the sync.
#[test]
fn a_flush_syncs_what_was_written_beside_the_writers() {
    for fails in [false, true] {
        let (storage, writer) = (FaultyStorage::new(), Arc::new(Mutex::new(None::<Region>)));
        let of_log = Arc::clone(&writer);
        let hooked = HookedLogs::with_syncers(&storage, move |call| {
            let writer = match call {
                LogCall::SyncBeside => of_log.lock().unwrap().take(),
                _ => None,
            };
            let Some(region) = writer else { return Ok(()) };
            region.put(put("second").durability(Durability::SyncWal)).unwrap();
            if fails { Err(io::Error::other("the disk is gone")) } else { Ok(()) }
        });
        let open = |storage: Arc<dyn Storage>| {
            options(storage).compaction_enabled(false).family(Family::new("f")).open(DIR).unwrap()
        };
        let region = open(Arc::clone(&hooked));
        region.put(put("first").durability(Durability::SyncWal)).unwrap();
        *writer.lock().unwrap() = Some(region.clone());
        region.flush().unwrap();
        assert!(writer.lock().unwrap().is_none(), "nothing was synced");
        let left = open(Arc::new(storage.after(Crash::Hard)));
        for row in ["first", "second"] {
            assert!(!left.get(&Get::new(row)).unwrap().is_empty(), "{row} {fails}");
        }
        let later = region.put(put("third")).map_err(|error| error.kind());
        assert_eq!(later, if fails { Err(ErrorKind::Poisoned) } else { Ok(()) });
        region.close().unwrap();
        // Nothing remains to be synced.
        let region = open(hooked);
        *writer.lock().unwrap() = Some(region.clone());
        region.put(put("fourth")).unwrap();
        region.flush().unwrap();
        assert!(writer.lock().unwrap().take().is_some());
    }
}

/// The system may report only once that bytes could not be written: to the sync of the flush.
#[test]
fn no_write_is_acknowledged_if_a_sync_beside_its_own_fails() {
    let both = Barrier::new(2);
    let storage = HookedLogs::with_syncers(&FaultyStorage::new(), move |call| match call {
        LogCall::SyncBeside => {
            both.wait();
            Err(io::Error::other("the disk is gone"))
        }
        // The first sync is for the header.
        LogCall::Sync { log: 1, sync: 2 } => {
            both.wait();
            Ok(())
        }
        _ => Ok(()),
    });
    let region = open(storage);
    region.put(put("first").durability(Durability::SyncWal)).unwrap();
    let flush = {
        let region = region.clone();
        thread::spawn(move || region.flush())
    };
    let written = region.put(put("second")).map_err(|error| error.kind());
    assert_eq!(written, Err(ErrorKind::Poisoned));
    flush.join().unwrap().unwrap();
    assert!(region.get(&Get::new("second")).unwrap().is_empty());
}

/// A value, and a time to live, that end with the bytes of a trailer.
#[test]
fn the_last_entry_of_a_log_may_end_as_a_log_does() {
    let millis = u64::from(u32::from_be_bytes(*b"LAWP"));
    let puts = [
        Put::new("r").cell("f", "q", b"a whole log\0\0\0\0LAWP".to_vec()),
        Put::new("r").cell("f", "q", "v").ttl(Duration::from_millis(millis)),
    ];
    let open = |storage: &FaultyStorage| open(Arc::new(storage.clone()));
    let value = |region: &Region, row: &'static str| {
        region.get(&Get::new(row)).unwrap().value("f", "q").map(<[u8]>::to_vec)
    };
    for last in &puts {
        for (durability, is_full) in
            [(Durability::SyncWal, false), (Durability::FsyncWal, false), (Durability::FsyncWal, true)]
        {
            let storage = FaultyStorage::new();
            let region = open(&storage);
            region.put(put("a").durability(Durability::SyncWal)).unwrap();
            if is_full {
                // There is space for the entry, but not for anything after it.
                storage.fail_with(io::ErrorKind::StorageFull);
                storage.fail_after(0);
            }
            region.put(last.clone().durability(durability)).unwrap();
            let expected = value(&region, "r").unwrap();
            let left = storage.after(Crash::OfTheProcess);
            std::mem::forget(region);
            let is_log = |path: &PathBuf| path.to_string_lossy().contains("recovered.edits");
            let log = left.names().into_iter().find(is_log).unwrap();
            assert_eq!(left.bytes(&log).unwrap().ends_with(b"\0\0\0\0LAWP"), is_full);
            let mut reader = WalReader::new(left.open(&log).unwrap(), &Limits::new()).unwrap();
            while reader.next_entry().unwrap().is_some() {}
            assert_eq!((reader.entries(), reader.end()), (2, Some(&WalEnd::NoTrailer)));
            let region = open(&left);
            assert_eq!(value(&region, "r").as_ref(), Some(&expected));
            assert!(value(&region, "a").is_some());
        }
    }
}

/// A storage whose logs can only be appended to, as in HDFS.
#[derive(Debug)]
struct AppendsOnly {
    inner: FaultyStorage,
    ended: Mutex<Vec<PathBuf>>,
}

impl Storage for AppendsOnly {
    forward!(inner: open create create_new rename remove remove_dir sync_file sync_dir list_dir);
    forward!(inner: create_dir_all lock create_scratch can_rename rename_new can_hide_writes full_path);
    forward!(inner: can_read_removed);

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(AppendedLog(self.inner.create_log(path)?)))
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        self.ended.lock().unwrap().push(path.to_owned());
        Ok(())
    }
}

#[derive(Debug)]
struct AppendedLog(Box<dyn LogFile>);

impl LogFile for AppendedLog {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn append(&mut self, bytes: &[u8], kept: usize) -> io::Result<()> {
        assert_eq!(bytes.len(), kept, "all bytes are kept");
        self.0.append(bytes, kept)
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn can_overwrite(&self) -> bool {
        false
    }

    fn max_len(&self) -> u64 {
        self.0.max_len()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }
}

#[test]
fn a_log_that_is_only_appended_to_is_replayed_and_does_not_end_as_a_whole_one() {
    let storage = FaultyStorage::new();
    let appends = |inner: FaultyStorage| Arc::new(AppendsOnly { inner, ended: Mutex::default() });
    let region = open(appends(storage.clone()));
    for durability in [Durability::SyncWal, Durability::FsyncWal, Durability::AsyncWal] {
        for row in ["a", "b", "c"] {
            region.put(put(row).durability(durability)).unwrap();
        }
    }
    let like_a_trailer = Put::new("r").cell("f", "q", b"a whole log\0\0\0\0LAWP".to_vec());
    region.put(like_a_trailer).unwrap();
    let left = storage.after(Crash::OfTheProcess);
    std::mem::forget(region);
    let is_log = |path: &PathBuf| path.to_string_lossy().contains("recovered.edits");
    let log = left.names().into_iter().find(is_log).unwrap();
    assert!(!left.bytes(&log).unwrap().ends_with(b"LAWP"));
    let mut reader = WalReader::new(left.open(&log).unwrap(), &Limits::new()).unwrap();
    while reader.next_entry().unwrap().is_some() {}
    // An entry without cells follows the last.
    assert_eq!((reader.entries(), reader.end()), (11, Some(&WalEnd::NoTrailer)));
    let after = appends(left);
    let region = open(Arc::clone(&after) as Arc<dyn Storage>);
    assert_eq!(*after.ended.lock().unwrap(), [log], "its writing was ended before it was read");
    for row in ["a", "b", "c", "r"] {
        assert!(region.get(&Get::new(row)).unwrap().value("f", "q").is_some(), "{row}");
    }
    let reader = options(Arc::clone(&after) as Arc<dyn Storage>).create_if_missing(false).writable(false);
    reader.open(DIR).unwrap();
    assert_eq!(after.ended.lock().unwrap().len(), 1, "a reader ends nothing");
}

/// The behaviour of the next append to a log.
struct NextAppend {
    panics: AtomicBool,
    delay: Delay,
}

impl NextAppend {
    /// Also returns a region whose logs behave so.
    fn with_region() -> (Arc<Self>, Region) {
        let next = Arc::new(Self { panics: AtomicBool::new(false), delay: Delay::new() });
        let of_log = Arc::clone(&next);
        let storage = HookedLogs::shared(&FaultyStorage::new(), move |call| {
            if matches!(call, LogCall::Append) {
                assert!(!of_log.panics.swap(false, Ordering::Relaxed), "an append that panics");
                of_log.delay.pass();
            }
            Ok(())
        });
        (next, open(storage))
    }
}

/// A write that is not in the log must not be read: it would be lost in a crash.
#[test]
fn a_write_whose_log_panics_is_not_read() {
    let (next, region) = NextAppend::with_region();
    region.put(put("before")).unwrap();
    next.panics.store(true, Ordering::Relaxed);
    let write = thread::spawn({
        let region = region.clone();
        move || region.put(put("lost"))
    });
    assert!(write.join().is_err(), "the append panics");
    let found = |row: &str| !region.get(&Get::new(row)).unwrap().is_empty();
    assert!(found("before") && !found("lost"));
    assert!(region.put(put("after")).is_err());
    assert!(!found("after"));
}

/// Flushes and closing wait for pending writes.
#[test]
fn a_write_that_has_waited_ends_if_its_log_panics() {
    let (next, region) = NextAppend::with_region();
    region.put(put("before")).unwrap();
    let write = |row: &'static str| {
        let region = region.clone();
        thread::spawn(move || region.put(put(row)))
    };
    next.delay.is_set.store(true, Ordering::Relaxed);
    let first = write("first");
    next.delay.gate.begun.wait();
    let second = write("second");
    thread::sleep(Duration::from_millis(300)); // it waits for the next append
    next.panics.store(true, Ordering::Relaxed);
    next.delay.gate.ends.wait();
    first.join().unwrap().unwrap();
    assert!(second.join().is_err(), "the append panics");
    let found = |row: &str| !region.get(&Get::new(row)).unwrap().is_empty();
    assert!(found("before") && found("first") && !found("second"));
    // Not scoped: the test must fail rather than wait if closing waits forever.
    let (done, closed) = mpsc::channel();
    thread::spawn({
        let region = region.clone();
        // If nothing receives, the test has ended.
        move || drop(done.send(region.close()))
    });
    closed.recv_timeout(Duration::from_secs(20)).expect("it is closed").unwrap();
    assert!(region.put(put("after")).is_err());
}

/// The family of markers in logs.
const MARKERS: &str = "METAFAMILY";

/// Opens a region with the family f, and one with the name of the markers' family.
fn open_with_markers(storage: &FaultyStorage) -> Region {
    let options = options(Arc::new(storage.clone())).family(Family::new("f")).family(Family::new(MARKERS));
    options.open(DIR).unwrap()
}

/// A replay treats cells of a family with the name of the markers' family as markers: they are refused.
#[test]
fn cells_like_markers_are_not_logged() {
    let storage = FaultyStorage::new();
    let region = open_with_markers(&storage);
    let like_a_marker = Put::new("r").cell("f", "q", "v").cell(MARKERS, "HBASE::COMPACTION", "v");
    let refused = region.put(like_a_marker.clone()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    let mutations = vec![Mutation::from(put("r")), like_a_marker.clone().into()];
    assert_eq!(region.mutate_row("r", mutations).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(region.delete(Delete::new("r")).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(region.get(&Get::new("r")).unwrap().is_empty());
    region.put(put("r")).unwrap();
    let left = storage.after(Crash::OfTheProcess);
    assert_eq!(open_with_markers(&left).get(&Get::new("r")).unwrap().len(), 1);
    // A write that is not logged survives only a flush.
    region.put(like_a_marker.durability(Durability::SkipWal)).unwrap();
    region.flush().unwrap();
    let left = storage.after(Crash::OfTheProcess);
    std::mem::forget(region);
    assert_eq!(open_with_markers(&left).get(&Get::new("r")).unwrap().len(), 2);
}

/// They are refused too when the memstore is logged again because the log has failed.
#[test]
fn cells_like_markers_are_not_logged_again() {
    let storage = FaultyStorage::new();
    let region = open_with_markers(&storage);
    let like_a_marker = Put::new("m").cell(MARKERS, "HBASE::COMPACTION", "v");
    region.put(put("r").durability(Durability::AsyncWal)).unwrap();
    region.put(like_a_marker.durability(Durability::SkipWal)).unwrap();
    storage.break_calls(Call::Sync);
    let failed = region.put(put("s").durability(Durability::FsyncWal)).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Poisoned, "{failed}");
    storage.repair();
    storage.break_calls(Call::Rename);
    region.flush().unwrap_err();
    let left = storage.after(Crash::Hard);
    std::mem::forget(region);
    let region = open_with_markers(&left);
    assert_eq!(region.get(&Get::new("r")).unwrap().len(), 1);
    assert!(region.get(&Get::new("m")).unwrap().is_empty());
}
