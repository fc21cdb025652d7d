//! The log shared by the regions of a table: one file with a name in each region's directory.

use crate::support::churn::churn;
use crate::support::forward::forward;
use crate::support::in_time::within_a_minute;
use crate::support::no_sync::NoSync;
use hregion::io::LogFile;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::{
    Clock, Delete, Durability, ErrorKind, Family, Get, ManualClock, Mutation, Put, Region, RegionOptions,
    Scan, Scheduler, Storage, Table,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ROOT: &str = "/hbase";
const SPLITS: [&str; 3] = ["b", "c", "d"];
const ROWS: [&str; 4] = ["a1", "b1", "c1", "d1"];

fn options(storage: impl Storage + 'static) -> RegionOptions {
    let options = Region::options().storage(Arc::new(storage)).scheduler(&Scheduler::inline());
    options.clock(Arc::new(ManualClock::new(1))).compaction_enabled(false).writable(true)
}

fn create(options: RegionOptions) -> Table {
    Table::create_with(ROOT, "t", &[Family::new("f")], &SPLITS, options).unwrap()
}

fn open(storage: &FaultyStorage) -> Table {
    Table::open_with(ROOT, "t", options(storage.clone())).unwrap()
}

fn put(row: &str, value: &str) -> Put {
    Put::new(row.to_owned()).cell("f", "q", value.to_owned())
}

fn batch(table: &Table, rows: &[&str], value: &str) -> Vec<hregion::Result<()>> {
    table.batch(rows.iter().map(|row| put(row, value).into()).collect())
}

fn values(table: &Table) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let rows = table.scan(Scan::new()).unwrap().map(Result::unwrap);
    rows.map(|row| (text(row.key()), text(row.value("f", "q").unwrap()))).collect()
}

fn expected(rows: &[&str], value: &str) -> BTreeMap<String, String> {
    rows.iter().map(|row| ((*row).to_owned(), value.to_owned())).collect()
}

/// The names of the logs of a row's region.
fn logs(storage: &FaultyStorage, table: &Table, row: &str) -> Vec<PathBuf> {
    let dir = table.region(row).unwrap().path().join("recovered.edits");
    let is_log = |path: &PathBuf| path.extension().is_none() && path.file_name().is_some();
    let relative = dir.strip_prefix("/").unwrap().to_owned();
    let names = storage.names().into_iter().filter(|path| path.parent() == Some(&relative));
    names.filter(is_log).collect()
}

/// The bytes of all logs, each only once.
fn files(storage: &FaultyStorage, table: &Table) -> BTreeSet<Vec<u8>> {
    let logs = ROWS.iter().flat_map(|row| logs(storage, table, row));
    logs.map(|path| storage.bytes(&path).unwrap()).collect()
}

#[test]
fn regions_share_a_file_and_each_replays_its_own_entries() {
    for crash in [Crash::OfTheProcess, Crash::Hard] {
        let storage = FaultyStorage::new();
        let table = create(options(storage.clone()));
        assert!(batch(&table, &ROWS, "1").iter().all(Result::is_ok));
        assert!(batch(&table, &ROWS[1..], "2").iter().all(Result::is_ok));
        table.delete(Delete::new("d1")).unwrap();
        for row in ROWS {
            assert_eq!(logs(&storage, &table, row).len(), 1);
        }
        assert_eq!(files(&storage, &table).len(), 1, "all names are of one file");
        let left = storage.after(crash);
        std::mem::forget(table);
        // A region opened separately has its part.
        let table = open(&left);
        let path = table.region("b1").unwrap().path().to_owned();
        let replayed = table.region("b1").unwrap().replayed();
        assert_eq!((replayed.edits, replayed.cells, replayed.skipped), (2, 2, 0));
        assert!(table.region("b1").unwrap().warnings().is_empty());
        table.region("b1").unwrap().close().unwrap();
        let alone = options(left.clone()).open(path).unwrap();
        assert_eq!(alone.get(&Get::new("b1")).unwrap().value("f", "q"), Some(&b"2"[..]));
        drop((alone, table));
        let table = open(&left);
        let mut rows = expected(&ROWS[..3], "2");
        rows.insert("a1".into(), "1".into());
        assert_eq!(values(&table), rows);
        assert_eq!(files(&left, &table).len(), 0);
    }
}

/// A storage that creates the next log, or another name of one, and reports that this has failed.
#[derive(Clone, Debug)]
struct LostAnswers {
    inner: FaultyStorage,
    is_lost: Arc<AtomicBool>,
}

impl LostAnswers {
    fn answer(&self) -> io::Result<()> {
        match self.is_lost.swap(false, Ordering::SeqCst) {
            true => Err(io::Error::other("the answer is lost")),
            false => Ok(()),
        }
    }
}

impl Storage for LostAnswers {
    forward!(inner: open create create_new rename remove remove_dir sync_file sync_dir list_dir);
    forward!(inner: create_dir_all lock optional);

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let log = self.inner.create_log(path)?;
        self.answer().map(|()| log)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.inner.hard_link(original, link)?;
        self.answer()
    }
}

/// Otherwise it would not be removed before the region is opened again.
#[test]
fn a_name_that_was_made_although_that_failed_is_removed() {
    let inner = FaultyStorage::new();
    let storage = LostAnswers { inner: inner.clone(), is_lost: Arc::default() };
    let table = create(options(storage.clone()));
    // The first creates the file, the second another name of it.
    for row in ["a1", "b1"] {
        storage.is_lost.store(true, Ordering::SeqCst);
        assert_eq!(table.put(put(row, "1")).unwrap_err().kind(), ErrorKind::Io, "{row}");
        assert_eq!(logs(&inner, &table, row), [""; 0].map(PathBuf::from), "{row}");
        table.put(put(row, "2")).unwrap();
        assert_eq!(logs(&inner, &table, row).len(), 1, "{row}");
    }
    assert_eq!(files(&inner, &table).len(), 1);
    table.close().unwrap();
    assert_eq!(values(&open(&inner)), expected(&["a1", "b1"], "2"));
}

#[test]
fn a_region_gives_up_its_name_when_its_cells_are_in_files() {
    let storage = FaultyStorage::new();
    let table = create(options(storage.clone()));
    assert!(batch(&table, &ROWS, "1").iter().all(Result::is_ok));
    table.region("a1").unwrap().flush().unwrap();
    let count = |row| logs(&storage, &table, row).len();
    assert_eq!(ROWS.map(count), [0, 1, 1, 1]);
    // This region had created the file.
    table.put(put("a2", "2")).unwrap();
    assert_eq!(ROWS.map(count), [1, 1, 1, 1]);
    assert_eq!(files(&storage, &table).len(), 1);
    let left = storage.after(Crash::Hard);
    let again = open(&left);
    assert_eq!(values(&again), values(&table));
    let replayed = again.region("a1").unwrap().replayed();
    assert_eq!((replayed.cells, replayed.skipped), (2, 1), "one is in a file");
    table.flush().unwrap();
    assert_eq!(ROWS.map(count), [0; 4]);
    // A file without a name receives no more writes.
    table.put(put("a2", "3")).unwrap();
    assert_eq!(values(&open(&storage.after(Crash::Hard))), values(&table));
    table.close().unwrap();
    assert_eq!(values(&open(&storage)).len(), 5);
}

#[test]
fn a_region_that_was_aborted_is_replayed_while_others_write() {
    let storage = FaultyStorage::new();
    let table = create(options(storage.clone()));
    assert!(batch(&table, &ROWS, "1").iter().all(Result::is_ok));
    let region = table.region("a1").unwrap();
    let path = region.path().to_owned();
    region.abort().unwrap();
    assert_eq!(table.put(put("a1", "2")).unwrap_err().kind(), ErrorKind::Closed);
    table.put(put("b1", "2")).unwrap();
    let alone = options(storage.clone()).open(&path).unwrap();
    assert_eq!((alone.replayed().edits, alone.warnings().len()), (1, 0));
    alone.put(put("a3", "3")).unwrap();
    // Of the batch, only the part of the closed region fails.
    let done = batch(&table, &ROWS, "3");
    assert_eq!(done[0].as_ref().unwrap_err().kind(), ErrorKind::Closed);
    assert!(done[1..].iter().all(Result::is_ok));
    alone.close().unwrap();
    let left = storage.after(Crash::Hard);
    let mut rows = expected(&ROWS[1..], "3");
    rows.extend([("a1".into(), "1".into()), ("a3".into(), "3".into())]);
    assert_eq!(values(&open(&left)), rows);
}

#[test]
fn a_write_fails_if_the_file_cannot_be_named_in_its_region() {
    for call in [Call::HardLink, Call::SyncDir, Call::CreateDir] {
        let storage = FaultyStorage::new();
        let table = create(options(storage.clone()));
        ROWS.iter().for_each(|row| drop(table.region(row).unwrap()));
        table.put(put("a1", "1")).unwrap();
        storage.break_calls(call);
        table.put(put("b1", "1")).unwrap_err();
        let done = batch(&table, &ROWS, "2");
        assert!(done[0].is_ok() && done[1..].iter().all(Result::is_err), "{call:?} {done:?}");
        assert!(table.region("b1").unwrap().health().poisoned.is_none());
        storage.repair();
        assert!(batch(&table, &ROWS[2..], "3").iter().all(Result::is_ok));
        table.put(put("b2", "3")).unwrap();
        let mut rows = expected(&["c1", "d1", "b2"], "3");
        rows.insert("a1".into(), "2".into());
        assert_eq!(values(&table), rows);
        for crash in (0..20).map(Crash::Chance).chain([Crash::Hard, Crash::OfTheProcess]) {
            assert_eq!(values(&open(&storage.after(crash))), rows, "{call:?} {crash:?}");
        }
        table.close().unwrap();
        assert_eq!(files(&storage, &open(&storage)).len(), 0);
    }
}

#[test]
fn the_process_may_die_at_any_call_of_the_first_writes() {
    for calls in 0..60 {
        let storage = FaultyStorage::new();
        let table = create(options(storage.clone()));
        ROWS.iter().for_each(|row| drop(table.region(row).unwrap()));
        storage.die_after(calls);
        let done: Vec<bool> = batch(&table, &ROWS, "1").iter().map(Result::is_ok).collect();
        std::mem::forget(table);
        for crash in (0..5).map(Crash::Chance).chain([Crash::Hard, Crash::OfTheProcess, Crash::Torn]) {
            let found = values(&open(&storage.after(crash)));
            for (row, is_done) in ROWS.iter().zip(&done) {
                assert!(!is_done || found.contains_key(*row), "{calls} {crash:?} {row}");
            }
        }
    }
}

#[test]
fn a_failed_sync_ends_the_writes_of_all_regions() {
    let storage = FaultyStorage::new();
    let table = create(options(storage.clone()));
    assert!(batch(&table, &ROWS, "1").iter().all(Result::is_ok));
    storage.break_calls(Call::Sync);
    table.put(put("b1", "2")).unwrap_err();
    storage.repair();
    for row in ROWS {
        let error = table.put(put(row, "3")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
        let health = table.region(row).unwrap().health();
        assert!(health.poisoned.is_some());
        assert_eq!(table.get(&Get::new(row)).unwrap().value("f", "q"), Some(&b"1"[..]));
    }
    assert!(batch(&table, &ROWS, "4").iter().all(Result::is_err));
    // Acknowledged writes can still be flushed; the uncertain entry is replayed as a whole, or not at all.
    table.flush().unwrap();
    for crash in (0..10).map(Crash::Chance).chain([Crash::Hard, Crash::OfTheProcess]) {
        let mut found = values(&open(&storage.after(crash)));
        let in_doubt = found.remove("b1").unwrap();
        assert!(["1", "2"].contains(&&*in_doubt));
        found.insert("b1".into(), "1".into());
        assert_eq!(found, expected(&ROWS, "1"));
    }
    drop(table);
    let table = open(&storage);
    assert!(batch(&table, &ROWS, "5").iter().all(Result::is_ok));
}

#[test]
fn a_full_disk_fails_only_what_did_not_fit() {
    let storage = FaultyStorage::new();
    let table = create(options(storage.clone()));
    assert!(batch(&table, &ROWS, "1").iter().all(Result::is_ok));
    storage.fail_with(io::ErrorKind::StorageFull);
    storage.break_calls(Call::Write);
    assert!(batch(&table, &ROWS, "2").iter().all(Result::is_err));
    storage.repair();
    assert_eq!(values(&table), expected(&ROWS, "1"));
    assert!(batch(&table, &ROWS[..2], "3").iter().all(Result::is_ok));
    let mut rows = expected(&ROWS[..2], "3");
    rows.extend(expected(&ROWS[2..], "1"));
    assert_eq!(values(&open(&storage.after(Crash::Hard))), rows);
    table.close().unwrap();
    assert_eq!(values(&open(&storage)), rows);
}

#[test]
fn files_end_at_a_length_and_idle_regions_are_flushed() {
    let storage = FaultyStorage::new();
    let table = create(options(storage.clone()).log_roll_size(1_000).max_logs(3));
    table.put(put("d1", "idle")).unwrap();
    let mut most = 0;
    for n in 0..100 {
        table.put(put(&format!("a{n}"), "1")).unwrap();
        table.put(put(&format!("b{n}"), "1")).unwrap();
        most = most.max(files(&storage, &table).len());
        if n % 9 == 0 {
            let left = storage.after(Crash::Hard);
            assert_eq!(values(&open(&left)), values(&table));
        }
    }
    assert!((3..=5).contains(&most), "{most}");
    assert_eq!(logs(&storage, &table, "d1").len(), 0, "it was flushed");
    assert!(table.region("d1").unwrap().store_file_count("f") == Some(1));
    table.close().unwrap();
    assert_eq!(values(&open(&storage)).len(), 201);
}

#[test]
fn daughters_have_no_part_of_a_file_with_entries_of_their_parent() {
    let storage = FaultyStorage::new();
    let table = create(options(storage.clone()));
    assert!(batch(&table, &ROWS, "1").iter().all(Result::is_ok));
    table.split("b5").unwrap();
    assert!(batch(&table, &["a1", "b1", "b7", "c1"], "2").iter().all(Result::is_ok));
    assert_eq!(logs(&storage, &table, "a1").len(), 2);
    assert_eq!(logs(&storage, &table, "b7").len(), 1);
    let of = |row, at: usize| storage.bytes(&logs(&storage, &table, row)[at]).unwrap();
    assert_eq!(of("a1", 1), of("b7", 0));
    assert_ne!(of("a1", 0), of("b7", 0));
    assert_eq!(values(&open(&storage.after(Crash::Hard))), values(&table));
}

/// A storage without hard links.
#[derive(Debug, Clone)]
struct NoLinks {
    inner: FaultyStorage,
    /// The maximum time that creating a log takes: it waits for the creation of another log.
    delay: Duration,
    /// The number of attempts to create a log.
    created: Arc<AtomicU64>,
}

impl NoLinks {
    fn new(inner: &FaultyStorage) -> Self {
        Self { inner: inner.clone(), delay: Duration::ZERO, created: Arc::default() }
    }

    fn slow(inner: &FaultyStorage) -> Self {
        Self { delay: Duration::from_millis(500), ..Self::new(inner) }
    }
}

impl Storage for NoLinks {
    forward!(inner: open create create_new rename remove remove_dir sync_file sync_dir list_dir);
    forward!(inner: create_dir_all lock optional);

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let (n, start) = (self.created.fetch_add(1, Ordering::SeqCst) + 1, Instant::now());
        while self.created.load(Ordering::SeqCst) == n && start.elapsed() < self.delay {
            thread::sleep(Duration::from_millis(1));
        }
        self.inner.create_log(path)
    }
}

#[test]
fn writers_that_find_no_hard_links_at_once_append_to_one_log() {
    let storage = FaultyStorage::new();
    let slow = NoLinks::slow(&storage);
    let table = create(options(slow.clone()));
    within_a_minute("writes", move || {
        // The first writer creates the shared file, with a name that equals that of the others' own first
        // file.
        let first = thread::spawn({
            let table = table.clone();
            move || table.put(put("a1", "1")).unwrap()
        });
        while slow.created.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        thread::scope(|scope| {
            for row in ["b1", "b2", "b3"] {
                let table = &table;
                scope.spawn(move || table.put(put(row, "1")).unwrap());
            }
        });
        first.join().unwrap();
        assert_eq!(files(&storage, &table).len(), 2);
        let left = storage.after(Crash::Hard);
        assert_eq!(values(&open(&left)), expected(&["a1", "b1", "b2", "b3"], "1"));
        table.flush().unwrap();
        assert_eq!(files(&storage, &table).len(), 0);
    });
}

#[test]
fn an_entry_is_waited_for_in_the_log_that_has_it() {
    let storage = FaultyStorage::new();
    let slow = NoLinks::slow(&storage);
    let table = create(options(slow.clone()).log_roll_size(50_000));
    within_a_minute("writes", move || {
        for value in ["1", "2", "3"] {
            table.put(put("a1", value)).unwrap();
        }
        assert_eq!(slow.created.load(Ordering::SeqCst), 1);
        // The entry of the first region ends the file, and the second region creates the next one, in which
        // the first has no name. The first region gets its own log while the third region creates one.
        let long = "x".repeat(100_000);
        let other = thread::spawn({
            let (table, slow) = (table.clone(), slow.clone());
            move || {
                while slow.created.load(Ordering::SeqCst) == 1 {
                    thread::yield_now();
                }
                table.put(put("a2", "1")).unwrap();
            }
        });
        assert!(batch(&table, &["a1", "c1", "d1"], &long).iter().all(Result::is_ok));
        other.join().unwrap();
        table.put(put("a3", &long)).unwrap();
        let mut rows = expected(&["a1", "a3", "c1", "d1"], &long);
        rows.insert("a2".into(), "1".into());
        let left = storage.after(Crash::Hard);
        assert_eq!(values(&open(&left)), rows);
        table.flush().unwrap();
        assert_eq!(files(&storage, &table).len(), 0);
        assert_eq!(values(&table), rows);
    });
}

#[test]
fn without_hard_links_each_region_has_a_log() {
    let storage = FaultyStorage::new();
    let table = create(options(NoLinks::new(&storage)));
    for value in ["1", "2"] {
        assert!(batch(&table, &ROWS, value).iter().all(Result::is_ok));
    }
    assert_eq!(files(&storage, &table).len(), 4);
    assert_eq!(values(&open(&storage.after(Crash::Hard))), expected(&ROWS, "2"));
    table.flush().unwrap();
    assert_eq!(files(&storage, &table).len(), 0);
}

/// Panics when the time is read for the `left`th time.
#[derive(Debug)]
struct PanickingClock {
    left: AtomicU64,
}

impl Clock for PanickingClock {
    fn now(&self) -> i64 {
        assert!(self.left.fetch_sub(1, Ordering::SeqCst) != 1, "a panic that the table survives");
        1
    }
}

/// Calls `check` after a batch over two regions has panicked, once for each reading of the clock.
fn each_panic<S: Storage + 'static>(
    make: impl Fn(&FaultyStorage) -> S,
    check: impl Fn(&FaultyStorage, &Table, u64),
) {
    for n in 1.. {
        let storage = FaultyStorage::new();
        let clock = Arc::new(PanickingClock { left: AtomicU64::new(u64::MAX) });
        let table = create(options(make(&storage)).clock(Arc::clone(&clock) as Arc<dyn Clock>));
        assert!(batch(&table, &ROWS, "1").iter().all(Result::is_ok));
        clock.left.store(n, Ordering::SeqCst);
        let done = catch_unwind(AssertUnwindSafe(|| batch(&table, &["b1", "c1"], "2")));
        clock.left.store(u64::MAX, Ordering::SeqCst);
        if done.is_ok() {
            assert!(n > 2, "the clock is asked for the time for each region");
            break;
        }
        check(&storage, &table, n);
    }
}

#[test]
fn a_batch_that_panics_leaves_nothing_for_the_next_log() {
    each_panic(NoLinks::new, |storage, table, n| {
        table.flush().unwrap();
        for row in ["b1", "c1"] {
            table.put(put(row, "3")).unwrap();
        }
        let mut rows = expected(&ROWS, "1");
        rows.extend(expected(&["b1", "c1"], "3"));
        assert_eq!(values(table), rows, "{n}");
        assert_eq!(values(&open(&storage.after(Crash::Hard))), rows, "{n}");
        table.flush().unwrap();
        assert_eq!(files(storage, table).len(), 0, "{n}");
    });
}

#[test]
fn what_a_batch_that_panics_has_logged_is_written() {
    let check = |storage: &FaultyStorage, table: &Table, n: u64| {
        let mut rows = values(table);
        // Synced with everything that was logged before.
        table.put(put("b2", "3")).unwrap();
        rows.extend(expected(&["b2"], "3"));
        assert_eq!(values(table), rows, "{n}");
        assert_eq!(values(&open(&storage.after(Crash::Hard))), rows, "{n}");
    };
    each_panic(FaultyStorage::clone, check);
    each_panic(NoLinks::new, check);
}

/// A storage whose files can have at most two more names.
#[derive(Debug)]
struct FewLinks {
    inner: FaultyStorage,
    linked: AtomicU64,
}

impl Storage for FewLinks {
    forward!(inner: open create create_new create_log rename remove remove_dir sync_file sync_dir list_dir);
    forward!(inner: create_dir_all lock optional);

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        if self.linked.fetch_add(1, Ordering::SeqCst) >= 2 {
            return Err(io::ErrorKind::TooManyLinks.into());
        }
        self.inner.hard_link(original, link)
    }
}

#[test]
fn a_region_has_a_log_of_its_own_if_the_file_cannot_have_more_names() {
    let storage = FaultyStorage::new();
    let table = create(options(FewLinks { inner: storage.clone(), linked: AtomicU64::new(0) }));
    for value in ["1", "2"] {
        assert!(batch(&table, &ROWS, value).iter().all(Result::is_ok));
    }
    assert_eq!(files(&storage, &table).len(), 2);
    assert_eq!(values(&open(&storage.after(Crash::Hard))), expected(&ROWS, "2"));
    table.flush().unwrap();
    assert_eq!(files(&storage, &table).len(), 0);
}

/// The number of syncs of logs while `write` runs, in a table of 16 regions on a disk with slow syncs. All
/// regions have a name of the file before.
fn syncs(dir: &Path, write: impl FnOnce(&Table)) -> u64 {
    let storage = NoSync { log_sync: Duration::from_millis(2), ..NoSync::default() };
    let syncs = Arc::clone(&storage.log_syncs);
    let splits: Vec<[u8; 1]> = (1..16).map(|n| [n * 16]).collect();
    let options = Region::options().storage(Arc::new(storage));
    let table = Table::create_with(dir, "t", &[Family::new("f")], &splits, options).unwrap();
    let rows = (0..16u8).map(|n| Put::new(vec![n * 16 + 1]).cell("f", "q", "0").into());
    assert!(table.batch(rows.collect()).iter().all(Result::is_ok));
    let before = syncs.load(Ordering::Relaxed);
    write(&table);
    syncs.load(Ordering::Relaxed) - before
}

#[test]
fn a_batch_over_regions_needs_one_sync() {
    let dir = tempfile::tempdir().unwrap();
    let found = syncs(dir.path(), |table| {
        let puts: Vec<Mutation> =
            (0..32u8).map(|n| Put::new(vec![n * 8 + 2]).cell("f", "q", "1").into()).collect();
        assert!(table.batch(puts).iter().all(Result::is_ok));
    });
    assert_eq!(found, 1);
}

#[test]
fn writers_of_different_regions_share_syncs() {
    let run = |regions: u8| {
        let dir = tempfile::tempdir().unwrap();
        syncs(dir.path(), |table| {
            thread::scope(|scope| {
                for writer in 0..32u8 {
                    scope.spawn(move || {
                        for n in 0..20u8 {
                            let row = vec![writer % regions * 16, writer, n];
                            table.put(Put::new(row).cell("f", "q", "1")).unwrap();
                        }
                    });
                }
            });
        })
    };
    let (one, many) = (run(1), run(16));
    println!("640 puts of 32 writers: {one} syncs in one region, {many} in 16");
    // without sharing there would be at least 20 for each region
    assert!(one < 160 && many < 160, "{one} {many}");
}

/// Batches that lock the same rows in opposite orders, beside flushes and writers of single rows, must not
/// deadlock.
#[test]
fn batches_over_regions_do_not_wait_for_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let options = Region::options().storage(Arc::new(NoSync::default())).log_roll_size(20_000);
    let table = Table::create_with(dir.path(), "t", &[Family::new("f")], &SPLITS, options).unwrap();
    thread::scope(|scope| {
        for writer in 0..6usize {
            let table = &table;
            scope.spawn(move || {
                for n in 0..150usize {
                    let value = format!("{writer}-{n}");
                    let mut rows: Vec<Mutation> = ROWS.iter().map(|row| put(row, &value).into()).collect();
                    rows.extend(ROWS.iter().map(|row| Delete::new(format!("{row}x")).into()));
                    rows.rotate_left(writer);
                    assert!(table.batch(rows).iter().all(Result::is_ok));
                    table.put(put(ROWS[n % 4], &value).durability(Durability::AsyncWal)).unwrap();
                    let add = hregion::Increment::new(ROWS[(n + writer) % 4]).column("f", "n", 1);
                    table.increment(add).unwrap();
                    if n % 10 == writer {
                        table.region(ROWS[n % 4]).unwrap().flush().unwrap();
                    }
                }
            });
        }
    });
    let count = |row: &str| {
        let row = table.get(&Get::new(row)).unwrap();
        i64::from_be_bytes(row.value("f", "n").unwrap().try_into().unwrap())
    };
    assert_eq!(ROWS.map(count).iter().sum::<i64>(), 900);
    for row in ROWS {
        table.region(row).unwrap().abort().unwrap();
    }
    drop(table);
    let table = Table::open_with(dir.path(), "t", Region::options().writable(true)).unwrap();
    let count = |row: &str| {
        let row = table.get(&Get::new(row)).unwrap();
        i64::from_be_bytes(row.value("f", "n").unwrap().try_into().unwrap())
    };
    assert_eq!(ROWS.map(count).iter().sum::<i64>(), 900);
}

/// A reader in another process returns whole rows of a region, and everything acknowledged before it opened,
/// while the writer flushes one family after the other, and other regions append to the file.
#[test]
fn a_reader_sees_whole_rows_while_other_regions_write() {
    let dir = tempfile::tempdir().unwrap();
    // The reader reads whole files.
    let options = Region::options().storage(Arc::new(NoSync::default())).log_roll_size(100_000);
    let families = [Family::new("f"), Family::new("g")];
    let table = Table::create_with(dir.path(), "t", &families, &SPLITS, options).unwrap();
    let put = |row: String, value: String| {
        table.put(Put::new(row).cell("f", "q", value.clone()).cell("g", "q", value)).unwrap();
    };
    let region = table.region("b1").unwrap();
    let (acknowledged, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            churn(&region, &done, |n| {
                put(format!("b{:02}", n % 50), format!("{n:06}"));
                acknowledged.store(n, Ordering::SeqCst);
                (0..9).for_each(|other| put(format!("c{other}"), format!("{n:0200}")));
            });
        });
        let read = |_| {
            let least = acknowledged.load(Ordering::SeqCst);
            // It returns an error if the files change at each attempt.
            let reader = Region::open(region.path()).ok()?;
            let rows = reader.scan(Scan::new()).and_then(Iterator::collect::<hregion::Result<Vec<_>>>);
            Some((least, rows))
        };
        let found: Vec<_> = (0..150).filter_map(read).collect();
        done.store(true, Ordering::SeqCst);
        assert!(found.len() > 100, "{}", found.len());
        for (least, rows) in found {
            let mut newest = 0;
            for row in rows.unwrap() {
                assert!(row.key().starts_with(b"b"));
                let value = row.value("f", "q");
                assert!(value.is_some() && value == row.value("g", "q"), "a torn row: {row:?}");
                newest = newest.max(std::str::from_utf8(value.unwrap()).unwrap().parse().unwrap());
            }
            assert!(newest >= least, "{newest} of {least}");
        }
    });
}

#[test]
fn torn_files_are_removed_once_they_are_replayed() {
    let mut torn = 0;
    for seed in 0..40 {
        let storage = FaultyStorage::new();
        let table = create(options(storage.clone()));
        assert!(batch(&table, &ROWS, "1").iter().all(Result::is_ok));
        let unsynced = put("a2", &"v".repeat(5_000)).durability(Durability::AsyncWal);
        table.put(unsynced).unwrap();
        let left = storage.after(Crash::Chance(seed));
        let again = open(&left);
        let mut rows = values(&again);
        rows.remove("a2");
        assert_eq!(rows, expected(&ROWS, "1"));
        torn += again.region("a1").unwrap().warnings().len();
        let dir = |path: &PathBuf| path.parent().is_some_and(|dir| dir.ends_with("recovered.edits"));
        let names: Vec<PathBuf> = left.names().into_iter().filter(dir).collect();
        assert!(names.is_empty(), "{names:?}");
    }
    assert!(torn > 5, "{torn}");
}
