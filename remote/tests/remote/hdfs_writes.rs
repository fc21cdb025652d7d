//! Regions and tables written in HDFS. `HREGION_HDFS` is the URL of a file system.

use crate::cut_proxy::{Cut, CutProxy};
use crate::history::{Attempt, Rows, Step, expect_locked, play, put, read_file, rows, turns, write_file};
use hdfs_native::WriteOptions;
use hdfs_native::client::ClientBuilder;
use hregion::io::{FileWriter, LocalStorage, LogFile, ScratchFile};
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{
    CellRef, CellType, Compaction, Delete, DirEntry, Durability, ErrorKind, Family, FileLock, FileReader,
    Get, ManualClock, Put, Region, Result, Scan, SeekKey, Storage, Table,
};
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

pub(crate) const LOCK: &str = ".hregion.lock";

fn base() -> String {
    std::env::var("HREGION_HDFS").expect("the URL of a file system")
}

/// Returns a directory that no test has used.
fn fresh(name: &str) -> PathBuf {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    PathBuf::from(format!("{}/writes/{name}-{}", base(), time.as_nanos()))
}

pub(crate) fn client() -> Arc<RemoteStorage> {
    Arc::new(RemoteOptions::default().build().unwrap())
}

pub(crate) fn open_in(storage: Arc<dyn Storage>, dir: &Path) -> Result<Region> {
    let options = Region::options().storage(storage).create_if_missing(true).compaction_enabled(false);
    options.family(Family::new("f")).family(Family::new("g")).open(dir)
}

fn read_in(storage: Arc<dyn Storage>, dir: &Path) -> Result<Region> {
    Region::options().storage(storage).open(dir)
}

#[test]
#[ignore = "needs a server"]
fn calls_do_what_the_trait_says() {
    let (storage, dir) = (client(), fresh("calls"));
    let at = |name: &str| dir.join(name);
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    let write = |name: &str, bytes: &[u8]| write_file(&*storage, &at(name), bytes);
    let read = |name: &str| read_file(&*storage, &at(name));
    assert_eq!(kind(storage.create_new(&at("a")).map(drop)), io::ErrorKind::NotFound);
    storage.create_dir_all(&at("d/e")).unwrap();
    storage.create_dir_all(&at("d/e")).unwrap();
    write("a", b"one");
    assert_eq!(kind(storage.create_new(&at("a")).map(drop)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(storage.create_log(&at("a")).map(drop)), io::ErrorKind::AlreadyExists);
    assert!(storage.create_dir_all(&at("a/b")).is_err());
    assert_eq!(read("a"), b"one");
    write("b", b"another");
    storage.rename(&at("b"), &at("a")).unwrap();
    assert_eq!(
        (read("a"), kind(storage.rename(&at("b"), &at("a")))),
        (b"another".to_vec(), io::ErrorKind::NotFound)
    );
    storage.rename(&at("a"), &at("a")).unwrap();
    assert_eq!(read("a"), b"another");
    write("third", b"third");
    assert_eq!(kind(storage.rename_new(&at("third"), &at("a"))), io::ErrorKind::AlreadyExists);
    assert_eq!((read("third"), read("a")), (b"third".to_vec(), b"another".to_vec()));
    storage.rename_new(&at("third"), &at("new")).unwrap();
    assert_eq!(read("new"), b"third");
    assert_eq!(kind(storage.open(&at("third")).map(drop)), io::ErrorKind::NotFound);

    // A directory replaces an empty one only.
    storage.create_dir_all(&at("empty")).unwrap();
    write("d/file", b"kept");
    storage.rename(&at("d"), &at("empty")).unwrap();
    assert_eq!(read("empty/file"), b"kept");
    storage.create_dir_all(&at("d")).unwrap();
    assert_eq!(kind(storage.rename(&at("d"), &at("empty"))), io::ErrorKind::DirectoryNotEmpty);
    assert!(storage.rename(&at("a"), &at("empty")).is_err());
    assert!(storage.rename(&at("empty"), &at("a")).is_err());
    assert_eq!((read("a"), read("empty/file")), (b"another".to_vec(), b"kept".to_vec()));

    assert_eq!(kind(storage.remove_dir(&at("empty"))), io::ErrorKind::DirectoryNotEmpty);
    assert_eq!(kind(storage.remove(&at("d"))), io::ErrorKind::IsADirectory);
    assert_eq!(kind(storage.remove_dir(&at("a"))), io::ErrorKind::NotADirectory);
    storage.remove_dir(&at("d")).unwrap();
    storage.remove(&at("a")).unwrap();
    assert_eq!(kind(storage.remove(&at("a"))), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.remove_dir(&at("d"))), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.end_writing(&at("a"))), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.hard_link(&at("empty/file"), &at("a"))), io::ErrorKind::Unsupported);
    assert_eq!(kind(storage.list_dir(&at("empty/file")).map(drop)), io::ErrorKind::NotADirectory);

    // A file of several blocks, written in parts, with a sync between them.
    let bytes: Vec<u8> = (0..3_500_000_u32).map(|n| n.to_be_bytes()[2] ^ n.to_be_bytes()[3]).collect();
    let mut file = storage.create(&at("large")).unwrap();
    for (number, part) in bytes.chunks(100_001).enumerate() {
        file.write_all(part).unwrap();
        if number == 7 {
            file.sync().unwrap();
            assert!(read("large") == bytes[..8 * 100_001]);
        }
    }
    file.sync().unwrap();
    drop(file);
    assert!(read("large") == bytes);
    storage.sync_file(&at("large")).unwrap();
    storage.sync_dir(&dir).unwrap();
    drop(storage.create(&at("large")).unwrap());
    assert!(read("large").is_empty());

    // A log of several blocks: each append is there when the writing is ended by another client.
    let mut log = storage.create_log(&at("log")).unwrap();
    let mut kept = 0;
    for part in bytes.chunks(70_003).take(30) {
        log.append(part, part.len() - 3).unwrap();
        kept += part.len() - 3;
    }
    log.sync().unwrap();
    let other = client();
    assert!(other.open(&at("log")).is_err(), "its end cannot be read yet");
    other.end_writing(&at("log")).unwrap();
    let whole = read("log");
    assert_eq!(whole.len(), kept);
    let expected: Vec<u8> =
        bytes.chunks(70_003).take(30).flat_map(|part| &part[..part.len() - 3]).copied().collect();
    assert!(whole == expected);
    log.append(b"late", 4).unwrap_err();
    log.sync().unwrap_err();
    assert_eq!(read("log").len(), kept);
}

#[test]
#[ignore = "needs a server"]
fn a_region_is_written_and_read_as_the_model_says() {
    let dir = fresh("model");
    let mut model = Rows::new();
    for seed in 0..3 {
        let region = open_in(client(), &dir).unwrap();
        play(seed, &region, &mut model);
        region.close().unwrap();
        assert_eq!(rows(&read_in(client(), &dir).unwrap()), model);
    }
    let region = open_in(client(), &dir).unwrap();
    for (row, value) in &model {
        assert_eq!(region.get(&Get::new(row.clone())).unwrap().value("f", "q"), Some(value.as_bytes()));
    }
    assert!(region.warnings().is_empty());
}

#[test]
#[ignore = "needs a server"]
fn a_table_is_created_written_split_and_opened_again() {
    let root = fresh("table");
    let options = || Region::options().storage(client());
    let table = Table::create_with(&root, "t", &[Family::new("f")], &["m"], options()).unwrap();
    let keys: Vec<String> = (0..40).map(|n| format!("{}{n:02}", char::from(b'a' + n % 26))).collect();
    for key in &keys {
        table.put(Put::new(key.clone()).cell("f", "q", key.clone())).unwrap();
    }
    table.flush().unwrap();
    table.split("f").unwrap();
    for key in &keys[..10] {
        table.put(Put::new(key.clone()).cell("f", "q", "again")).unwrap();
    }
    table.compact(Compaction::Major).unwrap();
    table.snapshot("s").unwrap();
    table.delete(Delete::new(keys[0].clone())).unwrap();
    table.close().unwrap();
    let count = |table: &Table| table.scan(Scan::new()).unwrap().collect::<Result<Vec<_>>>().unwrap().len();
    let table = Table::open_with(&root, "t", options().writable(true)).unwrap();
    assert_eq!((table.regions().len(), count(&table)), (3, 39));
    table.close().unwrap();
    let snapshot = Table::open_snapshot_with(&root, "s", options()).unwrap();
    assert_eq!(count(&snapshot), 40);
}

/// Compactions in the background move what is being read to the archive, or remove it.
/// The log of a server that still runs, or has died without anybody knowing: the name node counts none of its
/// bytes.
#[test]
#[ignore = "needs a server"]
fn edits_in_a_log_that_is_open_are_not_overlooked() {
    let (storage, root) = (client(), fresh("logged"));
    let options = || Region::options().storage(client());
    let table = Table::create_with(&root, "t", &[Family::new("f")], &["m"], options()).unwrap();
    table.put(Put::new("a").cell("f", "q", "1")).unwrap();
    let encoded = table.regions()[0].encoded_name();
    table.close().unwrap();
    let local = tempfile::tempdir().unwrap();
    let mut log = WalWriterOptions::new().create_in(&LocalStorage, &local.path().join("log")).unwrap();
    // Of the second entry, the last packet has not been sent.
    for (number, row, len) in [(40, b"b", 1), (41, b"c", 700_000)] {
        let (key, value) = (SeekKey::of(row, b"f", b"q", 500, CellType::Put), vec![b'2'; len]);
        log.append(&WalKey::new(&*encoded, "t", number, 500), [CellRef::new(&key, &value)]).unwrap();
    }
    log.sync().unwrap();
    let bytes = std::fs::read(local.path().join("log")).unwrap();
    let logs = root.join("WALs/h,1,2");
    storage.create_dir_all(&logs).unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = ClientBuilder::new().with_url(base()).build().unwrap();
    let path = format!("{}/h%2C1%2C2.1000", logs.to_str().unwrap().strip_prefix(&base()).unwrap());
    let mut open = runtime.block_on(async {
        let mut file = server.create(&path, WriteOptions::default().replication(1)).await.unwrap();
        file.write_bytes(bytes.into()).await.unwrap();
        file
    });
    std::thread::sleep(Duration::from_secs(1));
    let listed = storage.list_dir(&logs).unwrap();
    assert_eq!((listed.len(), listed[0].len), (1, 0));

    let kind = |done: Result<()>| done.unwrap_err().kind();
    let dir = root.join("data/default/t").join(&encoded);
    assert_eq!(kind(options().writable(true).open(&dir).map(drop)), ErrorKind::InvalidArgument);
    let written = Table::open_with(&root, "t", options().writable(true)).unwrap();
    assert_eq!(kind(written.put(Put::new("a").cell("f", "q", "3"))), ErrorKind::InvalidArgument);
    written.close().unwrap();
    assert_eq!(kind(Table::plan_recovery(&root, options()).map(drop)), ErrorKind::InvalidArgument);
    let found = Table::recover(&root, options()).unwrap();
    assert_eq!((found.regions.len(), found.regions[0].replayed.cells), (1, 1), "{found:?}");
    runtime.block_on(open.close()).expect_err("its writing was ended");
    let table = Table::open_with(&root, "t", options().writable(true)).unwrap();
    table.put(Put::new("a").cell("f", "q", "3")).unwrap();
    let rows = table.scan(Scan::new()).unwrap().map(|row| row.unwrap().key().to_vec()).collect::<Vec<_>>();
    assert_eq!(rows, [b"a", b"b"]);
    table.close().unwrap();
}

#[test]
#[ignore = "needs a server"]
fn reads_go_on_while_compactions_replace_their_files() {
    const ROWS: usize = 600;
    // The name of a region's directory depends on when it is created.
    let (name, root) = ("f39a688dd117a795ba32e5609f267c24", fresh("archived"));
    for dir in [root.join("data/default/t").join(name), fresh("alone")] {
        let options = |storage| {
            // As small files are read as a whole otherwise.
            let family = Family::new("f").block_size(4096).configuration("hbase.hstore.compaction.min", "2");
            let options = Region::options().storage(storage).clock(Arc::new(ManualClock::new(1000)));
            options.table("t").family(family).create_if_missing(true)
        };
        let storage =
            Arc::new(RemoteOptions::default().tail_bytes(1).read_ahead_bytes(1 << 16).build().unwrap());
        let region = options(storage.clone()).open(&dir).unwrap();
        let row = |n: usize| format!("row{n:04}");
        let write = |value: u32| {
            for n in 0..ROWS {
                let put = Put::new(row(n)).cell("f", "q", format!("{value}-{}", "x".repeat(500)));
                region.put(put.durability(Durability::SkipWal)).unwrap();
            }
            region.flush().unwrap();
        };
        write(0);
        let view = region.view();
        let mut readers = vec![region.scan(Scan::new()).unwrap()];
        // Another process: it finds the files in the archive, if there is one.
        let other = read_in(client(), &dir).unwrap();
        if dir.starts_with(&root) {
            readers.push(other.scan(Scan::new()).unwrap());
        }
        let mut read = vec![0; readers.len()];
        let is_first = |row: hregion::Row| row.value("f", "q").unwrap().starts_with(b"0-");
        for round in 1..6 {
            for (rows, read) in readers.iter_mut().zip(&mut read) {
                *read += rows.take(ROWS / 8).map(Result::unwrap).filter(|row| is_first(row.clone())).count();
            }
            write(round);
            if round % 2 == 0 {
                region.compact(Compaction::Major).unwrap();
            }
            let found = view.get(&Get::new(row(round as usize * 100))).unwrap();
            assert!(is_first(found), "round {round}");
        }
        for (rows, read) in readers.iter_mut().zip(&mut read) {
            *read += rows.map(Result::unwrap).filter(|row| is_first(row.clone())).count();
        }
        assert_eq!(read, vec![ROWS; read.len()]);
        assert!(region.metrics().compactions > 1);
        let aside = || storage.list_dir(&dir.join(".tmp/f")).map_or(0, |files| files.len());
        assert_eq!(aside(), usize::from(!dir.starts_with(&root)));
        drop((readers, view));
        region.compact(Compaction::Major).unwrap();
        assert_eq!(aside(), 0);
        assert!(region.warnings().is_empty() && region.health().unarchived_files.is_empty());
        region.close().unwrap();
    }
}

#[test]
#[ignore = "needs a server"]
fn a_second_writer_is_refused_and_a_lost_lock_ends_all_changes() {
    let dir = fresh("second");
    let (first, second) = (client(), client());
    let region = open_in(first.clone(), &dir).unwrap();
    region.put(put("a", "1")).unwrap();
    expect_locked(open_in(first.clone(), &dir));
    expect_locked(open_in(second.clone(), &dir));
    // The end of an open log cannot be read: a reader must not miss rows.
    assert!(read_in(second.clone(), &dir).is_err());
    region.flush().unwrap();
    region.put(put("b", "2")).unwrap();
    region.put(put("c", "unlogged").durability(Durability::SkipWal)).unwrap();

    // As if the first had been stopped until its lease was over.
    second.end_writing(&dir.join(LOCK)).unwrap();
    let other = open_in(second.clone(), &dir).unwrap();
    let both = Rows::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(rows(&other), both);
    region.put(put("d", "lost")).unwrap_err();
    region.flush().unwrap_err();
    drop(region);
    assert!(first.create_new(&dir.join("f/name")).is_err());
    other.put(put("e", "3")).unwrap();
    other.flush().unwrap();
    other.close().unwrap();
    let expected = [("a", "1"), ("b", "2"), ("e", "3")].map(|(row, value)| (row.into(), value.into()));
    assert_eq!(rows(&read_in(second, &dir).unwrap()), Rows::from(expected));
    open_in(first, &dir).unwrap().close().unwrap();
}

/// Locks of a directory above are taken and released while a region is written.
#[test]
#[ignore = "needs a server"]
fn the_release_of_a_lock_above_fails_no_change() {
    let root = fresh("released");
    let storage = client();
    let region = open_in(storage.clone(), &root.join("r")).unwrap();
    let above = root.join(LOCK);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                drop(storage.lock(&above).unwrap());
            }
        });
        let changed = (0..300).try_for_each(|n| {
            let name = root.join(format!("r/f/.{n}"));
            drop(storage.create_new(&name)?);
            storage.remove(&name)
        });
        is_done.store(true, Ordering::Relaxed);
        changed.unwrap();
    });
    region.put(put("a", "1")).unwrap();
    region.close().unwrap();
}

/// As if this process had been stopped while it had the lock of a directory above.
#[test]
#[ignore = "needs a server"]
fn the_loss_of_a_lock_above_leaves_those_below() {
    let root = fresh("above");
    let (first, second) = (client(), client());
    let region = open_in(first.clone(), &root.join("r")).unwrap();
    let above = first.lock(&root.join(LOCK)).unwrap();
    above.check().unwrap();
    second.end_writing(&root.join(LOCK)).unwrap();
    above.check().unwrap_err();
    first.create_new(&root.join("file")).unwrap_err();
    region.put(put("a", "1")).unwrap();
    region.flush().unwrap();
    drop(above);
    first.create_new(&root.join("file")).unwrap_err();
    region.put(put("b", "2")).unwrap();
    region.compact(Compaction::Major).unwrap();
    drop(first.lock(&root.join(LOCK)).unwrap());
    drop(first.create_new(&root.join("file")).unwrap());
    region.close().unwrap();
}

/// A region whose lock was lost must not change files under the lock that the same storage takes later.
#[test]
#[ignore = "needs a server"]
fn a_region_that_lost_its_lock_keeps_its_storage_from_locking_again() {
    let dir = fresh("stale");
    let (first, second) = (client(), client());
    let stale = open_in(first.clone(), &dir).unwrap();
    stale.put(put("a", "1")).unwrap();
    stale.flush().unwrap();
    second.end_writing(&dir.join(LOCK)).unwrap();
    let other = open_in(second, &dir).unwrap();
    other.put(put("b", "2")).unwrap();
    other.close().unwrap();
    expect_locked(open_in(first.clone(), &dir));
    stale.compact(Compaction::Major).unwrap_err();
    drop(stale);
    let region = open_in(first, &dir).unwrap();
    assert_eq!(rows(&region).len(), 2);
    region.close().unwrap();
}

/// Calls a storage that has a lock, whose request with a number, from 1 on, is carried out when another
/// process has the lock. Returns the error of the call.
fn late(
    name: &str,
    request: u64,
    prepare: impl Fn(&RemoteStorage, &Path),
    call: impl FnOnce(&RemoteStorage, &Path) -> io::Result<()> + Send + 'static,
) -> (PathBuf, io::Error) {
    let host = base().strip_prefix("hdfs://").unwrap().to_owned();
    let (dir, storage, other) = (fresh(name), client(), client());
    other.create_dir_all(&dir).unwrap();
    prepare(&other, &dir);
    let proxy = CutProxy::start(&host, Cut::Late, u64::MAX / 4);
    let through = PathBuf::from(dir.to_str().unwrap().replace(&host, &proxy.address()));
    let lost = storage.lock(&through.join(LOCK)).unwrap();
    proxy.cut_at(request);
    let caller = Arc::clone(&storage);
    let called = std::thread::spawn(move || call(&caller, &through));
    while !proxy.has_cut() {
        assert!(!called.is_finished());
        std::thread::sleep(Duration::from_millis(1));
    }
    other.end_writing(&dir.join(LOCK)).unwrap();
    let lock = other.lock(&dir.join(LOCK)).unwrap();
    proxy.release();
    let error = called.join().unwrap().unwrap_err();
    drop((lost, lock));
    (dir, error)
}

/// The request to create a log is carried out when another process has the lock, and has looked which logs
/// there are: what is appended to it would be acknowledged, and not found.
#[test]
#[ignore = "needs a server"]
fn a_log_that_is_created_late_is_not_written_to() {
    // The first request asks whether the lock is held.
    let create = |storage: &RemoteStorage, dir: &Path| storage.create_log(&dir.join("log")).map(drop);
    let (_, error) = late("late-log", 2, |_, _| {}, create);
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
}

/// The other process has looked which files there are.
#[test]
#[ignore = "needs a server"]
fn a_file_that_is_renamed_late_is_not_said_to_be_renamed() {
    let prepare = |other: &RemoteStorage, dir: &Path| write_file(other, &dir.join("a"), b"bytes");
    // It is asked for both names whether the lock is held.
    let rename = |storage: &RemoteStorage, dir: &Path| storage.rename(&dir.join("a"), &dir.join("b"));
    let (dir, error) = late("late-rename", 3, prepare, rename);
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
    assert_eq!(read_file(&*client(), &dir.join("b")), b"bytes");
}

/// The connection is closed at the request that follows the sync of a log by the data nodes: it is not known
/// what is in the log.
#[test]
#[ignore = "needs a server"]
fn a_log_goes_on_after_a_sync_without_an_answer() {
    let host = base().strip_prefix("hdfs://").unwrap().to_owned();
    for cut in [Cut::Request, Cut::Answer] {
        let (dir, other) = (fresh("synced"), client());
        other.create_dir_all(&dir).unwrap();
        let proxy = CutProxy::start(&host, cut, u64::MAX / 4);
        let through = PathBuf::from(dir.to_str().unwrap().replace(&host, &proxy.address()));
        let storage = RemoteOptions::default().deadline(Duration::from_secs(20)).build().unwrap();
        let lock = storage.lock(&through.join(LOCK)).unwrap();
        let mut log = storage.create_log(&through.join("log")).unwrap();
        log.append(b"first", 5).unwrap();
        proxy.cut_at(1);
        log.append(b" second", 7).unwrap();
        assert!(proxy.has_cut(), "{cut:?}");
        log.append(b" third", 6).unwrap();
        // Not if the lock is lost.
        other.end_writing(&dir.join(LOCK)).unwrap();
        let next = other.lock(&dir.join(LOCK)).unwrap();
        proxy.cut_at(1);
        let error = log.append(b" fourth", 7).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{cut:?} {error}");
        log.append(b" fifth", 6).unwrap_err();
        other.end_writing(&dir.join("log")).unwrap();
        let found = read_file(&*other, &dir.join("log"));
        assert!([&b"first second third"[..], b"first second third fourth"].contains(&&*found), "{found:?}");
        drop((lock, next));
    }
}

/// The connection is closed at each part of what a client sends while it locks and releases: what it has open
/// then must not stay so. The client lives on.
#[test]
#[ignore = "needs a server"]
fn a_lock_is_free_after_a_lost_answer() {
    let host = base().strip_prefix("hdfs://").unwrap().to_owned();
    for cut in [Cut::Request, Cut::Answer] {
        for at in 1.. {
            let (dir, other) = (fresh("lost-answers"), client());
            other.create_dir_all(&dir).unwrap();
            let proxy = CutProxy::start(&host, cut, at);
            let through =
                |path: PathBuf| PathBuf::from(path.to_str().unwrap().replace(&host, &proxy.address()));
            let storage = RemoteOptions::default().deadline(Duration::from_secs(8)).build().unwrap();
            let locked = storage.lock(&through(dir.join(LOCK))).map(drop);
            let (context, since) = (format!("part {at}, {cut:?}, {locked:?}"), Instant::now());
            let lock = loop {
                match other.lock(&dir.join(LOCK)) {
                    Ok(lock) => break lock,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{context}: {error}"),
                }
                assert!(since.elapsed() < Duration::from_secs(20), "{context}");
                std::thread::sleep(Duration::from_millis(300));
            };
            drop(lock);
            locked.unwrap_or_else(|error| panic!("{context}: {error}"));
            drop(storage.lock(&through(dir.join(LOCK))).unwrap());
            if !proxy.has_cut() {
                println!("{at} parts, {cut:?}");
                break;
            }
        }
    }
}

/// A storage whose nth call fails: before it is made, or after, as if the answer were lost.
#[derive(Debug)]
struct FailsOnce {
    inner: Arc<RemoteStorage>,
    left: Arc<AtomicU64>,
    is_made: bool,
}

impl FailsOnce {
    fn call<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        once(&self.left, self.is_made, call)
    }
}

fn once<T>(left: &AtomicU64, is_made: bool, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if left.fetch_sub(1, Ordering::Relaxed) != 1 {
        return call();
    }
    if is_made {
        call()?;
    }
    Err(io::Error::other("an injected fault"))
}

#[derive(Debug)]
struct FailsOnceFile<F: ?Sized> {
    left: Arc<AtomicU64>,
    is_made: bool,
    inner: Box<F>,
}

impl FileWriter for FailsOnceFile<dyn FileWriter> {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        once(&self.left, self.is_made, || self.inner.sync())
    }
}

impl LogFile for FailsOnceFile<dyn LogFile> {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn append(&mut self, bytes: &[u8], kept: usize) -> io::Result<()> {
        once(&self.left, self.is_made, || self.inner.append(bytes, kept))
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }

    fn can_overwrite(&self) -> bool {
        self.inner.can_overwrite()
    }

    fn max_len(&self) -> u64 {
        self.inner.max_len()
    }

    fn sync(&mut self) -> io::Result<()> {
        once(&self.left, self.is_made, || self.inner.sync())
    }
}

impl Storage for FailsOnce {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        self.call(|| self.inner.open(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        let inner = self.call(|| self.inner.create(path))?;
        Ok(Box::new(FailsOnceFile { left: Arc::clone(&self.left), is_made: self.is_made, inner }))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        let inner = self.call(|| self.inner.create_new(path))?;
        Ok(Box::new(FailsOnceFile { left: Arc::clone(&self.left), is_made: self.is_made, inner }))
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let inner = self.call(|| self.inner.create_log(path))?;
        Ok(Box::new(FailsOnceFile { left: Arc::clone(&self.left), is_made: self.is_made, inner }))
    }

    fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
        self.inner.create_scratch(path, len)
    }

    fn can_rename(&self, path: &Path) -> bool {
        self.inner.can_rename(path)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.inner.hard_link(original, link)
    }

    fn full_path(&self, path: &Path, follow_links: bool) -> io::Result<PathBuf> {
        self.inner.full_path(path, follow_links)
    }

    fn can_hide_writes(&self, path: &Path) -> bool {
        self.inner.can_hide_writes(path)
    }

    fn can_read_removed(&self) -> bool {
        self.inner.can_read_removed()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| self.inner.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| self.inner.rename_new(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.remove_dir(path))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.sync_file(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.sync_dir(path))
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.call(|| self.inner.list_dir(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.create_dir_all(path))
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.end_writing(path))
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.call(|| self.inner.lock(path))
    }
}

/// Creates a region with two files and a log that was left open.
fn prepare(name: &str) -> (PathBuf, Attempt) {
    let (dir, storage) = (fresh(name), client());
    let mut attempt = Attempt::default();
    let region = open_in(storage, &dir).unwrap();
    attempt.write(&region, "a", Some("1")).unwrap();
    region.flush().unwrap();
    attempt.write(&region, "b", Some("1")).unwrap();
    region.close().unwrap();
    (dir, attempt)
}

#[test]
#[ignore = "needs a server"]
fn calls_fail_in_turn_and_the_region_is_the_old_or_the_new_one() {
    let storage = client();
    let mut failures = [0_u32; 2];
    for is_made in [false, true] {
        for at in turns(if is_made { 5 } else { 2 }, 6) {
            let (dir, mut attempt) = prepare("calls-fail");
            let left = Arc::new(AtomicU64::new(at));
            let failing = FailsOnce { inner: storage.clone(), left: Arc::clone(&left), is_made };
            let result = attempt.run(open_in(Arc::new(failing), &dir));
            failures[usize::from(is_made)] += u32::from(result.is_err());
            let context = format!("call {at}, made: {is_made}, {result:?}");
            if result.is_ok() {
                // Some failures are not those of the caller, such as that of an archive.
                assert!(attempt.in_doubt.is_none());
            }
            let region = open_in(client(), &dir).unwrap_or_else(|error| panic!("{context}: {error}"));
            attempt.check(&rows(&region), &context);
            region.put(put("z", "after")).unwrap();
            region.close().unwrap();
            assert_eq!(rows(&read_in(client(), &dir).unwrap())["z"], "after", "{context}");
            if left.load(Ordering::Relaxed) <= u64::MAX / 2 && left.load(Ordering::Relaxed) > 0 {
                println!("{at} calls, made: {is_made}");
                break;
            }
        }
    }
    assert!(failures.iter().all(|failures| *failures > 5), "{failures:?}");
}

/// The requests to the name node go through a proxy, which closes the connection at the nth: before the name
/// node has it, or before its answer is there.
#[test]
#[ignore = "needs a server"]
fn requests_lose_their_connection_in_turn() {
    let host = base().strip_prefix("hdfs://").unwrap().to_owned();
    let mut failures = 0;
    for cut in [Cut::Request, Cut::Answer] {
        for at in turns(if cut == Cut::Request { 4 } else { 9 }, 10) {
            let (dir, mut attempt) = prepare("connections");
            let proxy = CutProxy::start(&host, cut, at);
            let url = dir.to_str().unwrap().replace(&host, &proxy.address());
            let storage: Arc<dyn Storage> =
                Arc::new(RemoteOptions::default().deadline(Duration::from_secs(8)).build().unwrap());
            let started = Instant::now();
            let result = attempt.run(open_in(storage, Path::new(&url)));
            assert!(started.elapsed() < Duration::from_secs(60));
            failures += u32::from(result.is_err());
            let context = format!("request {at}, {cut:?}, {result:?}");
            let was_cut = proxy.has_cut();
            drop(proxy);
            let after = client();
            // The locks of the client that has lost its connections are those of a process that has died.
            if let Err(error) = after.end_writing(&dir.join(LOCK)) {
                assert_eq!(error.kind(), io::ErrorKind::NotFound, "{context}");
            }
            let region = open_in(after, &dir).unwrap_or_else(|error| panic!("{context}: {error}"));
            attempt.check(&rows(&region), &context);
            region.close().unwrap();
            if !was_cut {
                println!("{at} requests, {cut:?}");
                break;
            }
        }
    }
    println!("{failures} failures");
    assert!(failures > 2, "{failures}");
}

const CHILD: &str = "hdfs_writes::a_process_that_is_killed";

/// Starts this test in another process, which writes to a region until it is killed.
fn start_child(dir: &Path, seed: u64, from: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", CHILD])
        .env("HREGION_KILLED", format!("{seed} {from} {}", dir.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// The process that [`start_child`] starts. By itself it does nothing.
#[test]
#[ignore = "needs a server"]
fn a_process_that_is_killed() {
    let Ok(given) = std::env::var("HREGION_KILLED") else { return };
    let mut words = given.splitn(3, ' ');
    let mut number = || words.next().unwrap().parse::<u64>().unwrap();
    let (seed, from) = (number(), number());
    let dir = PathBuf::from(words.next().unwrap());
    let region = open_in(client(), &dir).unwrap();
    println!("\nopen");
    for number in from.. {
        println!("begin {number}");
        Step::number(seed, number).run(&region).unwrap();
        println!("done {number}");
    }
}

#[test]
#[ignore = "needs a server"]
fn no_acknowledged_write_is_lost_when_the_process_is_killed() {
    const KILLS: u64 = 24;
    const SEED: u64 = 7;
    let (dir, storage) = (fresh("killed"), client());
    open_in(storage.clone(), &dir).unwrap().close().unwrap();
    let (mut model, mut next, mut steps) = (Rows::new(), 0, 0);
    for kill in 0..KILLS {
        let mut child = start_child(&dir, SEED, next);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_open = |line: &io::Result<String>| line.as_ref().unwrap() == "open";
        assert!(lines.by_ref().any(|line| is_open(&line)), "kill {kill}");
        let id = child.id().to_string();
        // Some are killed at the start of a step, others within it.
        let wait = Duration::from_millis(kill * 97 % 1300);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(wait);
            assert!(Command::new("kill").args(["-9", &id]).status().unwrap().success());
        });
        let (mut done, mut begun) = (None, None);
        for line in lines.map_while(io::Result::ok) {
            match line.split_once(' ') {
                Some(("begin", number)) => begun = number.parse::<u64>().ok(),
                Some(("done", number)) => done = number.parse::<u64>().ok(),
                _ => {}
            }
        }
        killer.join().unwrap();
        assert!(!child.wait().unwrap().success());
        let first = next;
        for number in first..done.map_or(first, |done| done + 1) {
            Step::number(SEED, number).apply(&mut model);
            steps += 1;
        }
        storage.end_writing(&dir.join(LOCK)).unwrap();
        let region = open_in(storage.clone(), &dir).unwrap();
        let found = rows(&region);
        next = done.map_or(first, |done| done + 1);
        if found != model {
            let begun = begun.filter(|begun| Some(*begun) != done).expect("a step had begun");
            Step::number(SEED, begun).apply(&mut model);
            assert_eq!(found, model, "kill {kill}");
        }
        next = begun.map_or(next, |begun| next.max(begun + 1));
        region.close().unwrap();
    }
    println!("{KILLS} kills, {steps} steps");
    assert!(steps > KILLS);
}

/// A process that lives keeps its lock, however long it is idle. That of one that was killed is free after
/// the time of a lease.
#[test]
#[ignore = "needs a server"]
fn a_lock_lasts_as_long_as_its_process() {
    let (idle, killed) = (fresh("idle"), fresh("stopped"));
    let (first, second) = (client(), client());
    let region = open_in(first, &idle).unwrap();
    region.put(put("a", "1")).unwrap();
    open_in(second.clone(), &killed).unwrap().close().unwrap();
    let mut child = start_child(&killed, 11, 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(io::Result::ok);
    assert!(lines.by_ref().any(|line| line == "done 3"));
    child.kill().unwrap();
    child.wait().unwrap();
    let since = Instant::now();
    let recovered = loop {
        match open_in(second.clone(), &killed) {
            Ok(region) => break region,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Locked, "{error}"),
        }
        assert!(since.elapsed() < Duration::from_secs(120));
        expect_locked(open_in(second.clone(), &idle));
        std::thread::sleep(Duration::from_secs(3));
    };
    assert!(since.elapsed() > Duration::from_secs(25), "{:?}", since.elapsed());
    let (mut model, mut next) = (Rows::new(), 0);
    let found = rows(&recovered);
    // It may have done more steps before it died.
    while next < 4 || next < 10_000 && found != model {
        Step::number(11, next).apply(&mut model);
        next += 1;
    }
    assert!(found == model, "{found:?} is after no number of steps");
    recovered.close().unwrap();
    while since.elapsed() < Duration::from_secs(75) {
        expect_locked(open_in(second.clone(), &idle));
        std::thread::sleep(Duration::from_secs(5));
    }
    region.put(put("b", "2")).unwrap();
    region.flush().unwrap();
    region.close().unwrap();
    assert_eq!(rows(&open_in(second, &idle).unwrap()).len(), 2);
}
