//! The write-ahead log of a region: what survives what, what is left of it, and that HBase replays it.

use crate::support::churn::churn;
use crate::support::forward::forward;
use crate::support::hbase::programs;
use crate::support::no_sync::NoSync;
use crate::support::protobuf::unsealed;
use crate::support::random_ops::play_all;
use crate::support::rng::Rng;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::io::{DirEntry, FileReader};
use hregion::wal::{WalEnd, WalReader};
use hregion::{
    Append, Compaction, Delete, Durability, ErrorKind, Family, Get, Increment, Limits, LocalStorage,
    Mutation, Put, Region, RegionOptions, Scan, Storage, Table,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const DIR: &str = "store/region";

fn options(storage: &FaultyStorage) -> RegionOptions {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    let options = Region::options().storage(storage).create_if_missing(true);
    options.family(Family::new("f")).family(Family::new("g"))
}

fn open(storage: &FaultyStorage) -> Region {
    options(storage).open(DIR).unwrap()
}

fn put(row: &str, value: &str) -> Put {
    Put::new(row.to_owned()).cell("f", "q", value.to_owned()).cell("g", "q", value.to_owned())
}

/// The values of all rows. Both families must have the same.
fn values(region: &Region) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = BTreeMap::new();
    for row in region.scan(Scan::new()).unwrap() {
        let row = row.unwrap();
        let [f, g] = ["f", "g"].map(|family| row.value(family, "q").map(text));
        assert_eq!(f, g, "a torn row");
        found.insert(text(row.key()), f.unwrap());
    }
    found
}

fn logs(storage: &FaultyStorage) -> Vec<PathBuf> {
    let dir = Path::new(DIR).join("recovered.edits");
    storage.names().into_iter().filter(|name| name.starts_with(&dir)).collect()
}

/// Simulates the end of the process, which frees nothing.
fn forget(region: Region) {
    std::mem::forget(region);
}

#[test]
fn a_write_survives_what_it_says() {
    for (durability, killed, cut) in [
        (Durability::UseDefault, true, true),
        (Durability::FsyncWal, true, true),
        (Durability::SyncWal, true, false),
        (Durability::AsyncWal, true, false),
        (Durability::SkipWal, false, false),
    ] {
        for (crash, survives) in [(Crash::OfTheProcess, killed), (Crash::Hard, cut)] {
            let storage = FaultyStorage::new();
            let region = open(&storage);
            region.put(put("r1", "v").durability(durability)).unwrap();
            let delete = Delete::new("r1").column("f", "q").column("g", "q").durability(durability);
            region.delete(delete).unwrap();
            region.put(put("r2", "v").durability(durability)).unwrap();
            let counter = Increment::new("n").column("f", "q", 5).column("g", "q", 5);
            region.increment(counter.durability(durability)).unwrap();
            let longer = Append::new("r2").column("f", "q", "w").column("g", "q", "w");
            region.append(longer.durability(durability)).unwrap();
            let left = storage.after(crash);
            forget(region);
            let found = values(&open(&left));
            let five = String::from_utf8(5i64.to_be_bytes().to_vec()).unwrap();
            let expected = BTreeMap::from([("n".into(), five), ("r2".into(), "vw".into())]);
            assert_eq!(found, if survives { expected } else { BTreeMap::new() }, "{durability:?}, {crash:?}");
        }
    }
}

/// In an object store, a request to remove a log may be carried out late, if it had no answer: no later log
/// has its name, whatever is left of what was in it.
#[test]
fn no_name_of_a_log_is_made_again_in_an_object_store() {
    let open = |storage: &FaultyStorage| {
        let family = Family::new("f").configuration("hbase.store.file-tracker.impl", "FILE");
        let options = Region::options().storage(Arc::new(storage.clone())).create_if_missing(true);
        options.family(family.ttl(Duration::from_secs(1))).open(DIR).unwrap()
    };
    let names = |storage: &FaultyStorage| -> BTreeSet<PathBuf> {
        logs(storage).into_iter().filter(|path| path.extension().is_none()).collect()
    };
    // No store file has the cell.
    let expired = || Put::new("r").cell_at("f", "q", 1, "v");
    let base = FaultyStorage::new();
    base.has_objects();
    let mut seen = BTreeSet::new();
    for session in 0..3 {
        let region = open(&base);
        region.put(expired()).unwrap();
        let made = names(&base);
        assert!(!made.is_empty() && made.is_disjoint(&seen), "{session}: {made:?}, {seen:?}");
        seen.extend(made);
        region.close().unwrap();
        // The greatest sequence id.
        assert!(names(&base).is_empty() && logs(&base).len() == 1, "{session}: {:?}", logs(&base));
    }
    let mut at = 0;
    loop {
        let storage = base.after(Crash::OfTheProcess);
        let region = open(&storage);
        storage.die_after(at);
        let result = region.put(expired());
        let (has_died, left) = (storage.has_died(), storage.after(Crash::OfTheProcess));
        forget(region);
        let seen = names(&left);
        let region = open(&left);
        region.put(expired()).unwrap();
        let made = names(&left);
        assert!(!made.is_empty() && made.is_disjoint(&seen), "{at}, {result:?}: {made:?}, {seen:?}");
        forget(region);
        if !has_died {
            break;
        }
        at += 1;
    }
    assert!(at > 5, "{at}");
}

/// Of mutations that are written together, those with SKIP_WAL are not logged, and the others are as durable
/// as the greatest of them.
#[test]
fn mutations_written_together_have_their_own_durability() {
    let storage = FaultyStorage::new();
    let region = open(&storage);
    let results = region.batch(vec![
        Mutation::Put(put("skipped", "v").durability(Durability::SkipWal)),
        Mutation::Put(put("synced", "v").durability(Durability::FsyncWal)),
        Mutation::Put(put("with it", "v").durability(Durability::SyncWal)),
    ]);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(values(&region).len(), 3);
    let left = storage.after(Crash::Hard);
    forget(region);
    assert_eq!(values(&open(&left)).into_keys().collect::<Vec<_>>(), ["synced", "with it"]);
    // of the region, unless the write says otherwise
    let region = options(&left).durability(Durability::SkipWal).open(DIR).unwrap();
    region.put(put("lost", "v")).unwrap();
    region.put(put("kept", "v").durability(Durability::FsyncWal)).unwrap();
    let left = left.after(Crash::Hard);
    forget(region);
    assert_eq!(values(&open(&left)).into_keys().collect::<Vec<_>>(), ["kept", "synced", "with it"]);
}

/// A write that could not be replayed is refused. All that is accepted can be.
#[test]
fn an_entry_can_be_read_again() {
    let storage = FaultyStorage::new();
    let options = || options(&storage).limits(Limits::new().with_block_bytes(300_000));
    let region = options().open(DIR).unwrap();
    let of = |len: usize| put(&format!("r{len}"), &"v".repeat(len));
    let mut accepted = 0;
    for len in (140_000..160_000).step_by(100) {
        match region.put(of(len)) {
            Ok(()) => accepted = len,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Limit, "{error}"),
        }
    }
    assert!((140_000..150_000).contains(&accepted), "{accepted}");
    let small = |n: usize| Put::new("s").cell("f", n.to_string(), "v").cell("g", n.to_string(), "v");
    let batch = |puts: usize| region.batch((0..puts).map(|n| small(n).into()).collect());
    assert!(batch(3_500).iter().all(Result::is_ok));
    assert!(batch(20_000).iter().all(|done| done.as_ref().is_err_and(|e| e.kind() == ErrorKind::Limit)));
    region.put(of(20_000_000).durability(Durability::SkipWal)).unwrap_err();
    region.abort().unwrap();
    drop(region);
    let region = options().open(DIR).unwrap();
    assert_eq!(
        region.get(&Get::new(format!("r{accepted}"))).unwrap().value("f", "q").map(<[u8]>::len),
        Some(accepted)
    );
    assert_eq!(region.get(&Get::new("s")).unwrap().len(), 7_000);
}

/// With the least limits, the key of an entry is too long.
#[test]
fn an_entry_whose_key_could_not_be_read_is_refused() {
    let mut accepted = 0;
    for limit in (4_400..20_000).step_by(400) {
        let storage = FaultyStorage::new();
        let limits = Limits::new().with_block_bytes(limit);
        let region = options(&storage).limits(limits.clone()).open(DIR).unwrap();
        match region.put(put("r", "v")) {
            Ok(()) => accepted += 1,
            Err(error) => {
                assert_eq!((error.kind(), accepted), (ErrorKind::Limit, 0), "{limit}: {error}");
                continue;
            }
        }
        let reader = Region::options().storage(Arc::new(storage.clone())).limits(limits).open(DIR).unwrap();
        assert_eq!(values(&reader).into_keys().collect::<Vec<_>>(), ["r"], "{limit}");
        region.abort().unwrap();
    }
    assert!((1..40).contains(&accepted), "{accepted}");
}

/// What a process that has died has logged need not be on disk when the next one replays it. The families are
/// flushed one after the other.
#[test]
fn a_loss_of_power_during_a_replay_tears_no_row() {
    for calls in 0.. {
        let storage = FaultyStorage::new();
        let region = open(&storage);
        for row in ["a", "b"] {
            region.put(put(row, "v").durability(Durability::SyncWal)).unwrap();
        }
        region.abort().unwrap();
        drop(region);
        storage.die_after(calls);
        let opened = options(&storage).open(DIR);
        let has_died = storage.has_died();
        assert!(has_died || opened.is_ok());
        std::mem::forget(opened);
        for crash in (0..10).map(Crash::Chance).chain([Crash::Hard, Crash::Torn]) {
            // Fails at a torn row.
            let left = values(&open(&storage.after(crash)));
            assert!(has_died || left.len() == 2, "{calls} {crash:?}: {left:?}");
        }
        if !has_died {
            assert!(calls > 10, "{calls}");
            break;
        }
    }
}

#[test]
fn a_log_that_cannot_be_synced_is_not_replayed() {
    let storage = FaultyStorage::new();
    let region = open(&storage);
    region.put(put("r", "v")).unwrap();
    region.abort().unwrap();
    drop(region);
    storage.break_calls(Call::SyncFile);
    let error = options(&storage).open(DIR).map(drop).unwrap_err();
    assert!(error.message().starts_with("cannot sync"), "{error}");
    let dir = error.path().and_then(Path::parent);
    assert!(dir.is_some_and(|dir| dir.ends_with("recovered.edits")), "{error}");
    storage.repair();
    assert_eq!(values(&open(&storage)), BTreeMap::from([("r".into(), "v".into())]));
}

/// A table's setting counts if neither the write nor the caller says anything.
#[test]
fn a_table_has_a_durability() {
    for (name, survives) in
        [("SKIP_WAL", false), ("SYNC_WAL", false), ("FSYNC_WAL", true), ("USE_DEFAULT", true)]
    {
        let storage = FaultyStorage::new();
        set_durability(&storage, name);
        let region = open(&storage);
        region.put(put("table", "v")).unwrap();
        let left = storage.after(Crash::Hard);
        forget(region);
        assert_eq!(values(&open(&left)).len(), usize::from(survives), "{name}");
        let region = options(&left).durability(Durability::FsyncWal).open(DIR).unwrap();
        region.put(put("caller", "v")).unwrap();
        let left = left.after(Crash::Hard);
        forget(region);
        assert!(values(&open(&left)).contains_key("caller"), "{name}");
    }
    let storage = FaultyStorage::new();
    set_durability(&storage, "PERHAPS");
    let error = options(&storage).open(DIR).unwrap_err();
    assert!(error.to_string().contains("PERHAPS"), "{error}");
}

/// Creates the region, and adds the setting to its table descriptor.
fn set_durability(storage: &FaultyStorage, name: &str) {
    open(storage).close().unwrap();
    let is_descriptor = |path: &PathBuf| path.to_string_lossy().contains(".tableinfo.");
    let path = storage.names().into_iter().find(is_descriptor).unwrap();
    let mut bytes = unsealed(&storage.bytes(&path).unwrap()).to_vec();
    // Of a field that is repeated, parts of a message can be appended.
    let len = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let value = [&[2 << 3 | 2, len(name.as_bytes())], name.as_bytes()].concat();
    let pair = [&[1 << 3 | 2, 10][..], b"DURABILITY", &value].concat();
    bytes.extend([2 << 3 | 2, len(&pair)]);
    bytes.extend(pair);
    storage.remove(&path).unwrap();
    // the name has the length
    let mut file = storage.create(&path.with_extension(bytes.len().to_string())).unwrap();
    file.write_all(&bytes).and_then(|()| file.sync()).unwrap();
    storage.sync_dir(path.parent().unwrap()).unwrap();
}

#[test]
fn a_log_is_removed_when_all_its_cells_are_in_files() {
    let storage = FaultyStorage::new();
    let region = open(&storage);
    assert_eq!(logs(&storage), [""; 0].map(PathBuf::from), "there is no log without a write");
    region.put(put("r1", "v1")).unwrap();
    assert_eq!(logs(&storage).len(), 1);
    region.flush().unwrap();
    assert_eq!(logs(&storage).len(), 0);
    region.put(put("r2", "v2")).unwrap();
    region.flush_families(&["f"]).unwrap();
    assert_eq!(logs(&storage).len(), 1, "g is not flushed");
    region.put(put("r3", "v3")).unwrap();
    region.flush_families(&["f"]).unwrap();
    assert_eq!(logs(&storage).len(), 2);
    assert!(logs(&storage).is_sorted());
    region.flush_families(&["g"]).unwrap();
    assert_eq!(logs(&storage).len(), 0);
    // A log that cannot be removed is named, and removed later.
    region.put(put("r4", "v4")).unwrap();
    let log = logs(&storage).pop().unwrap();
    storage.stick(&log);
    region.flush().unwrap();
    assert_eq!(region.health().unarchived_files, [log.file_name().unwrap().to_str().unwrap()]);
    region.put(put("r5", "v5")).unwrap();
    region.flush().unwrap();
    assert_eq!(logs(&storage).len(), 2, "a later one stays after an earlier one");
    storage.repair();
    region.close().unwrap();
    assert_eq!(logs(&storage).len(), 0);
    assert_eq!(values(&open(&storage)).len(), 5);
}

/// Local files. After a log has been opened, and before the files of a family are listed, a writer puts a
/// row and flushes that family only.
#[derive(Debug)]
struct Between {
    files: LocalStorage,
    family: PathBuf,
    has_opened: AtomicBool,
    writer: Mutex<Option<Region>>,
}

impl Storage for Between {
    forward!(files: create create_new create_log rename hard_link remove remove_dir create_dir_all lock);
    forward!(files: sync_file sync_dir optional);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        if path.parent().is_some_and(|dir| dir.ends_with("recovered.edits")) {
            self.has_opened.store(true, Ordering::Relaxed);
        }
        self.files.open(path)
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        if path == self.family
            && self.has_opened.load(Ordering::Relaxed)
            && let Some(writer) = self.writer.lock().unwrap().take()
        {
            writer.put(put("b", "2")).unwrap();
            writer.flush_families(&["f"]).unwrap();
        }
        self.files.list_dir(path)
    }
}

/// A log that has grown since it was opened lacks the cells of families that were not flushed.
#[test]
fn a_reader_sees_whole_rows_if_a_log_grows_before_files_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let options = || Region::options().family(Family::new("f")).family(Family::new("g"));
    let writer = options().create_if_missing(true).open(&path).unwrap();
    writer.put(put("a", "1")).unwrap();
    let (files, has_opened) = (LocalStorage, AtomicBool::new(false));
    let family = path.join("f");
    let between = Arc::new(Between { files, family, has_opened, writer: Mutex::new(Some(writer.clone())) });
    let reader = options().storage(Arc::clone(&between) as Arc<dyn Storage>).open(&path).unwrap();
    assert!(between.writer.lock().unwrap().is_none(), "the writer has written");
    let expected = [("a", "1"), ("b", "2")].map(|(row, value)| (row.to_owned(), value.to_owned()));
    assert_eq!(values(&reader), BTreeMap::from(expected));
    assert_eq!(values(&writer), values(&reader));
}

/// What a reader in another process sees: everything that was acknowledged.
#[test]
fn a_reader_beside_a_writer_sees_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let options = || Region::options().family(Family::new("f")).family(Family::new("g"));
    let region = options().create_if_missing(true).open(&path).unwrap();
    for n in 0..30 {
        region.put(put(&format!("r{n}"), "v")).unwrap();
        if n % 7 == 3 {
            region.flush().unwrap();
        }
        assert_eq!(values(&options().open(&path).unwrap()), values(&region));
    }
    region.abort().unwrap();
    assert_eq!(region.get(&Get::new("r1")).unwrap_err().kind(), ErrorKind::Closed);
    drop(region);
    assert_eq!(values(&options().writable(true).open(&path).unwrap()).len(), 30);
}

/// A reader in another process sees all that was acknowledged before it opens, and no torn row, while the
/// writer flushes both families, or one of them, and compacts.
#[test]
fn a_reader_sees_whole_rows_while_families_are_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let options = || Region::options().family(Family::new("f")).family(Family::new("g"));
    let storage: Arc<dyn Storage> = Arc::new(NoSync::default());
    let region = options().create_if_missing(true).storage(storage).open(&path).unwrap();
    let (acknowledged, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let found: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| {
            churn(&region, &done, |n| {
                region.put(put(&format!("r{:02}", n % 50), &format!("{n:06}"))).unwrap();
                acknowledged.store(n, Ordering::SeqCst);
            });
        });
        let read = |_| {
            let least = acknowledged.load(Ordering::SeqCst);
            let found = options().open(&path).map(|region| {
                let rows = region.scan(Scan::new()).unwrap().map(Result::unwrap);
                rows.map(|row| ["f", "g"].map(|family| row.value(family, "q").map(<[u8]>::to_vec))).collect()
            });
            (least, found)
        };
        let found = (0..400).map(read).collect();
        done.store(true, Ordering::SeqCst);
        found
    });
    let mut opened = 0;
    for (least, found) in found {
        let rows: Vec<[Option<Vec<u8>>; 2]> = match found {
            Ok(rows) => rows,
            // It gives up if the files change each time that it looks.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "{error}");
                continue;
            }
        };
        opened += 1;
        assert!(rows.iter().all(|[f, g]| f == g), "a torn row: {rows:?}");
        let newest = rows.iter().flat_map(|[f, _]| f).max();
        let newest = newest.map_or(0, |value| String::from_utf8(value.clone()).unwrap().parse().unwrap());
        assert!(newest >= least, "{newest} of {least}");
    }
    assert!(opened > 300, "{opened}");
}

#[test]
fn a_full_disk_refuses_writes_and_poisons_nothing() {
    let storage = FaultyStorage::new();
    storage.fail_with(io::ErrorKind::StorageFull);
    let region = open(&storage);
    let refused = |call: Call, rows: usize| {
        storage.break_calls(call);
        let error = region.put(put("r2", "never")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(region.health().poisoned.is_none());
        assert_eq!(values(&region).len(), rows);
        storage.repair();
    };
    for call in [Call::CreateDir, Call::Create, Call::Write, Call::Sync, Call::SyncDir] {
        refused(call, 0);
    }
    region.put(put("r1", "v1")).unwrap();
    refused(Call::Write, 1);
    region.flush().unwrap(); // ends the log, so that the next write creates another
    refused(Call::Create, 1);
    region.put(put("r3", "v3")).unwrap();
    region.flush().unwrap();
    region.put(put("r3", "again").durability(Durability::SyncWal)).unwrap();
    // Room for an entry, but not for zeros after it.
    storage.fail_after(0);
    region.put(put("r4", "v4")).unwrap();
    region.put(put("r5", "v5")).unwrap();
    let left = storage.after(Crash::Hard);
    forget(region);
    assert_eq!(values(&open(&left)).into_keys().collect::<Vec<_>>(), ["r1", "r3", "r4", "r5"]);
}

/// The cells of writes that a full disk refuses have been in memory.
#[test]
fn refused_writes_of_many_threads_leave_no_cells_and_no_memory() {
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 40;
    let storage = FaultyStorage::new();
    storage.fail_with(io::ErrorKind::StorageFull);
    let region = options(&storage).memstore_flush_size(256 << 10).open(DIR).unwrap();
    let value = |round: u64| format!("{round:04}").repeat(1_000);
    let is_refused = |round: u64| !round.is_multiple_of(4);
    for round in 0..ROUNDS {
        if is_refused(round) {
            storage.break_calls(Call::Write);
        }
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (region, value) = (&region, value(round));
                scope.spawn(move || {
                    let done = region.put(put(&format!("r{thread}"), &value));
                    assert_eq!(done.is_err(), is_refused(round), "{done:?}");
                });
            }
        });
        storage.repair();
        let newest = value(round / 4 * 4);
        let found = values(&region);
        assert_eq!(found.len() as u64, THREADS);
        assert!(found.values().all(|value| *value == newest));
    }
    // A flush, whenever it was, has freed what refused writes took.
    region.flush().unwrap();
    assert_eq!(region.memstore_size(), 0);
    assert_eq!(values(&open(&storage.after(Crash::Hard))), values(&region));
}

#[test]
fn a_log_whose_end_is_unknown_takes_no_more_writes() {
    for (kind, broken) in [
        (io::ErrorKind::Other, vec![Call::Write]),
        (io::ErrorKind::Other, vec![Call::Sync]),
        (io::ErrorKind::StorageFull, vec![Call::Write, Call::Truncate]),
    ] {
        let storage = FaultyStorage::new();
        storage.fail_with(kind);
        let region = open(&storage);
        region.put(put("r1", "v1")).unwrap();
        broken.iter().for_each(|call| storage.break_calls(*call));
        for _ in 0..3 {
            let error = region.put(put("r2", "perhaps")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{error}");
            storage.repair();
        }
        let skipped = region.put(put("r3", "never").durability(Durability::SkipWal));
        assert_eq!(skipped.unwrap_err().kind(), ErrorKind::Poisoned);
        let poisoned = region.health().poisoned.unwrap();
        assert!(poisoned.message().contains("log"), "{poisoned}");
        assert_eq!(values(&region).into_keys().collect::<Vec<_>>(), ["r1"], "reads go on");
        for crash in [Crash::OfTheProcess, Crash::Hard, Crash::Torn] {
            let found = values(&open(&storage.after(crash)));
            assert!(found.contains_key("r1") && !found.contains_key("r3"), "{found:?}");
        }
        // A flush of some families must not tear the doubtful write, which may be in the log as a whole.
        region.flush_families(&["f"]).unwrap();
        for crash in [Crash::OfTheProcess, Crash::Hard, Crash::Torn] {
            assert!(values(&open(&storage.after(crash))).contains_key("r1"));
        }
        // What is in memory can still be flushed. The doubtful write is there as a whole or not at all.
        region.flush().unwrap();
        region.close().unwrap();
        let region = open(&storage);
        let found = values(&region);
        assert!(found.contains_key("r1") && !found.contains_key("r3"), "{found:?}");
        assert_eq!(logs(&storage).iter().filter(|log| log.extension().is_none()).count(), 0);
        region.put(put("r4", "v4")).unwrap();
    }
}

/// A log that has failed is replayed when the region is opened again, and with it entries whose cells are in
/// files: what hides them must not be gone.
#[test]
fn a_marker_outlives_the_entries_of_a_failed_log() {
    let one = |storage: &FaultyStorage| {
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let options = Region::options().storage(shared).create_if_missing(true);
        options.family(Family::new("f")).open(DIR).unwrap()
    };
    let put = |row: &str, timestamp| Put::new(row.to_owned()).cell_at("f", "q", timestamp, "v");
    let rows = |region: &Region| {
        let rows = region.scan(Scan::new()).unwrap();
        rows.map(|row| row.unwrap().key().to_vec()).collect::<Vec<_>>()
    };
    for marker_is_old in [false, true] {
        let storage = FaultyStorage::new();
        let region = one(&storage);
        let delete = Delete::new("r1").column_at("f", "q", 100);
        if marker_is_old {
            region.delete(delete.clone()).unwrap();
            region.flush().unwrap();
        }
        region.put(put("r1", 50).durability(Durability::SyncWal)).unwrap();
        if !marker_is_old {
            region.delete(delete.durability(Durability::SkipWal)).unwrap();
        }
        assert!(rows(&region).is_empty());
        storage.break_calls(Call::Sync);
        assert_eq!(region.put(put("r2", 1)).unwrap_err().kind(), ErrorKind::Poisoned);
        storage.repair();
        region.flush().unwrap();
        assert_eq!(region.compact(Compaction::Major).unwrap_err().kind(), ErrorKind::Poisoned);
        assert!(rows(&region).is_empty());
        region.close().unwrap();
        let region = one(&storage);
        assert!(!rows(&region).contains(&b"r1".to_vec()), "{:?}", rows(&region));
        region.compact(Compaction::Major).unwrap();
        assert!(!rows(&region).contains(&b"r1".to_vec()));
    }
}

#[test]
fn writes_that_cannot_create_a_log_leave_no_files() {
    let storage = FaultyStorage::new();
    storage.fail_with(io::ErrorKind::StorageFull);
    let region = open(&storage);
    for call in [Call::Write, Call::Sync, Call::SyncDir] {
        storage.break_calls(call);
        for _ in 0..20 {
            region.put(put("r", "never")).unwrap_err();
        }
        storage.repair();
        assert_eq!(logs(&storage), Vec::<PathBuf>::new(), "{call:?}");
    }
    region.put(put("r", "v")).unwrap();
    assert_eq!(logs(&storage).len(), 1);
    assert_eq!(values(&open(&storage.after(Crash::Hard))), values(&region));
}

/// Ends, when it is dropped, what others do until a flag is set: also if the test fails.
struct Until<'d>(&'d AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Threads write while the power fails at any moment: all that was acknowledged before is there, and nothing
/// that was not written.
#[test]
fn a_loss_of_power_under_load_loses_nothing() {
    play_all(25, 1, |seed| {
        let (mut rng, storage) = (Rng::new(seed), FaultyStorage::new());
        let region = open(&storage);
        let threads = 1 + rng.below(6);
        let acknowledged: Vec<AtomicU64> = (0..threads).map(|_| AtomicU64::new(0)).collect();
        let begun: Vec<AtomicU64> = (0..threads).map(|_| AtomicU64::new(0)).collect();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let writing = Until(&done);
            for thread in 0..threads {
                let (region, acknowledged, begun) = (&region, &acknowledged[thread], &begun[thread]);
                let done = &done;
                scope.spawn(move || {
                    for n in 1.. {
                        begun.store(n, Ordering::SeqCst);
                        region.put(put(&format!("{thread}-{:03}", n % 20), &format!("{n:06}"))).unwrap();
                        acknowledged.store(n, Ordering::SeqCst);
                        if done.load(Ordering::SeqCst) {
                            break;
                        }
                    }
                });
            }
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(2));
                    region.flush().unwrap();
                }
            });
            for _ in 0..8 {
                thread::sleep(Duration::from_micros(rng.next() % 4_000));
                let least: Vec<u64> = acknowledged.iter().map(|n| n.load(Ordering::SeqCst)).collect();
                let left = storage.after(Crash::Chance(rng.next()));
                let most: Vec<u64> = begun.iter().map(|n| n.load(Ordering::SeqCst)).collect();
                let found = values(&open(&left));
                for thread in 0..threads {
                    // The last values of a thread, of which each row has one.
                    let prefix = format!("{thread}-");
                    let numbers = found.iter().filter(|(row, _)| row.starts_with(&prefix));
                    let numbers: Vec<u64> = numbers.map(|(_, value)| value.parse().unwrap()).collect();
                    let last = numbers.iter().copied().max().unwrap_or(0);
                    assert!(
                        least[thread] <= last && last <= most[thread],
                        "seed {seed}: thread {thread} has {last} of {} to {}",
                        least[thread],
                        most[thread]
                    );
                    let expected: Vec<u64> = (last.saturating_sub(19).max(1)..=last).collect();
                    let mut numbers = numbers;
                    numbers.sort_unstable();
                    assert_eq!(numbers, expected, "seed {seed}: thread {thread}");
                }
            }
            drop(writing);
        });
    });
}

/// Rows that are written together survive a loss of power together, at whatever call it happens.
#[test]
fn rows_written_together_are_there_together() {
    let all =
        || vec![put("a", "2").into(), put("b", "2").into(), Delete::new("c").into(), put("d", "2").into()];
    let before: BTreeMap<String, String> = ["a", "b", "c"].map(|row| (row.to_owned(), "1".to_owned())).into();
    let after: BTreeMap<String, String> = ["a", "b", "d"].map(|row| (row.to_owned(), "2".to_owned())).into();
    let (mut done, mut undone) = (0, 0);
    for n in 0..20 {
        for seed in 0..20 {
            let storage = FaultyStorage::new();
            let region = open(&storage);
            for row in ["a", "b", "c"] {
                region.put(put(row, "1")).unwrap();
            }
            region.flush().unwrap();
            storage.die_after(n);
            let written = region.mutate_rows(all()).is_ok();
            let left = storage.after(Crash::Chance(seed));
            forget(region);
            let found = values(&open(&left));
            assert!(found == after || !written && found == before, "{n}, {seed}: {written}, {found:?}");
            *(if found == after { &mut done } else { &mut undone }) += 1;
        }
    }
    assert!(done > 20 && undone > 20, "{done}, {undone}");
    let storage = FaultyStorage::new();
    let region = options(&storage).key_range("a", "m").open(DIR).unwrap();
    let kind = |mutations| region.mutate_rows(mutations).unwrap_err().kind();
    assert_eq!(kind(vec![put("a", "1").into(), put("z", "1").into()]), ErrorKind::WrongRegion);
    let other = Put::new("b").cell("h", "q", "v");
    assert_eq!(kind(vec![put("a", "1").into(), other.into()]), ErrorKind::NoSuchFamily);
    let counter = Increment::new("b").column("f", "q", 1);
    assert_eq!(kind(vec![put("a", "1").into(), counter.into()]), ErrorKind::InvalidArgument);
    assert_eq!(kind(Vec::new()), ErrorKind::InvalidArgument);
    assert!(values(&region).is_empty());
}

/// Threads that write at the same time share syncs.
#[test]
fn writers_share_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let storage = NoSync { log_sync: Duration::from_millis(1), ..NoSync::default() };
    let syncs = Arc::clone(&storage.log_syncs);
    let options = Region::options().create_if_missing(true).storage(Arc::new(storage));
    let options = options.family(Family::new("f")).family(Family::new("g"));
    let region = options.open(dir.path().join("region")).unwrap();
    const THREADS: usize = 32;
    const PUTS: usize = 50;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let region = &region;
            scope.spawn(move || {
                for n in 0..PUTS {
                    region.put(put(&format!("{thread}-{n}"), "v")).unwrap();
                }
            });
        }
    });
    let syncs = syncs.load(Ordering::Relaxed);
    println!("{syncs} syncs of {} puts", THREADS * PUTS);
    assert!(syncs <= (THREADS * PUTS) as u64 / 10, "{syncs}");
    let log =
        std::fs::read_dir(region.path().join("recovered.edits")).unwrap().next().unwrap().unwrap().path();
    let mut reader = WalReader::open(&log).unwrap();
    let mut sequence_ids = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        assert_eq!(entry.cells().len(), 2);
        sequence_ids.push(entry.key().sequence_id);
    }
    assert_eq!(reader.end(), Some(&WalEnd::NoTrailer));
    assert_eq!(sequence_ids.len(), THREADS * PUTS);
    assert!(sequence_ids.is_sorted_by(|a, b| a < b), "in the order of the sequence ids");
    assert_eq!(values(&region).len(), THREADS * PUTS);
}

/// The length of the log does not change with each sync, and every entry is read.
#[test]
fn a_log_that_is_synced_is_longer_than_its_entries() {
    let storage = FaultyStorage::new();
    let region = open(&storage);
    region.put(put("a", "1").durability(Durability::SyncWal)).unwrap();
    let [log] = &logs(&storage)[..] else { panic!("{:?}", logs(&storage)) };
    let len = || storage.bytes(log).unwrap().len();
    let read = || {
        let mut reader = WalReader::new(storage.open(log).unwrap(), &Limits::new()).unwrap();
        let mut cells = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            cells.push(entry.cells().len());
        }
        assert_eq!(reader.end(), Some(&WalEnd::NoTrailer));
        (cells, usize::try_from(reader.offset()).unwrap())
    };
    assert_eq!(read(), (vec![2], len()), "nothing was synced");
    region.put(put("b", "2")).unwrap();
    let longer = len();
    for n in 0..50 {
        let durability = [Durability::FsyncWal, Durability::SyncWal][n % 2];
        region.put(put("c", "3").durability(durability)).unwrap();
        let (cells, end) = read();
        assert_eq!((len(), cells), (longer, vec![2; 3 + n]));
        assert!(end < longer, "{end}");
    }
    storage.break_calls(Call::Remove);
    region.flush().unwrap();
    let (mut cells, _) = read();
    assert_eq!(
        (cells.pop(), cells, len()),
        (Some(0), vec![2; 52], longer),
        "an entry without cells is the last"
    );
    storage.repair();
    // Entries beyond the length, synced or not.
    for durability in [Durability::FsyncWal, Durability::SyncWal, Durability::FsyncWal, Durability::SyncWal] {
        region.put(put("d", &"4".repeat(40 << 10)).durability(durability)).unwrap();
        region.put(put("e", "5").durability(durability)).unwrap();
    }
    forget(region);
    let left = storage.after(Crash::OfTheProcess);
    assert_eq!(values(&open(&left)).len(), 5);
}

/// What is written over synced bytes is there or not after a loss of power, in units of 512 bytes.
#[test]
fn bytes_that_are_written_over_are_old_or_new_after_a_loss_of_power() {
    let (storage, path) = (FaultyStorage::new(), Path::new("log"));
    let mut log = storage.create_log(path).unwrap();
    log.append(&[b'a'; 2_000], 300).unwrap();
    log.sync().unwrap();
    storage.sync_dir(Path::new("")).unwrap();
    log.append(&[b'b'; 1_000], 1_000).unwrap();
    let state = |parts: &[(u8, usize)]| -> Vec<u8> {
        parts.iter().flat_map(|(byte, len)| vec![*byte; *len]).collect()
    };
    let after = |crash| storage.after(crash).bytes(path).unwrap();
    assert_eq!(after(Crash::OfTheProcess), state(&[(b'a', 300), (b'b', 1_000), (b'a', 700)]));
    assert_eq!(after(Crash::Hard), state(&[(b'a', 2_000)]));
    let found: BTreeSet<Vec<u8>> = (0..100).map(|seed| after(Crash::Chance(seed))).collect();
    assert_eq!(found.len(), 8, "each of three units");
    assert!(found.iter().all(|bytes| bytes.len() == 2_000 && bytes[..300] == [b'a'; 300]));
    log.sync().unwrap();
    assert_eq!(after(Crash::Hard), after(Crash::OfTheProcess));
}

/// A log with more entries costs as many more reads as it has more chunks.
#[test]
fn a_log_is_read_once_when_its_region_is_opened() {
    const CHUNK: u64 = 64 << 10;
    let reads = |rows: usize| {
        let storage = FaultyStorage::new();
        let region = open(&storage);
        for row in 0..rows {
            region.put(put(&format!("{row:05}"), &"v".repeat(500)).durability(Durability::SyncWal)).unwrap();
        }
        forget(region);
        let storage = storage.after(Crash::OfTheProcess);
        let len: usize = logs(&storage).iter().map(|log| storage.bytes(log).unwrap().len()).sum();
        let before = storage.all_calls();
        let region = options(&storage).create_if_missing(false).writable(false).open(DIR).unwrap();
        let reads = storage.all_calls() - before;
        assert_eq!(values(&region).len(), rows);
        (len as u64 / CHUNK, reads)
    };
    let ((less, few), (more, many)) = (reads(200), reads(2_200));
    let (chunks, reads) = (more - less, many - few);
    assert!(chunks > 30 && (chunks..chunks * 3 / 2).contains(&reads), "{reads} reads of {chunks} chunks");
}

/// Each bit of a log that a killed process left: flipped, it is refused, or changes nothing.
#[test]
fn no_flipped_bit_of_a_log_changes_an_answer() {
    let storage = FaultyStorage::new();
    let region = open(&storage);
    for n in 0..6 {
        region.put(put(&format!("r{n}"), "value")).unwrap();
    }
    region.delete(Delete::new("r1")).unwrap();
    let expected = values(&region);
    let left = storage.after(Crash::OfTheProcess);
    forget(region);
    let path = logs(&left).pop().unwrap();
    let bytes = left.bytes(&path).unwrap();
    let read = || Region::options().storage(Arc::new(left.clone())).open(DIR).map(|region| values(&region));
    assert_eq!(read().unwrap(), expected);
    let mut reader = WalReader::new(left.open(&path).unwrap(), &Limits::new()).unwrap();
    while reader.next_entry().unwrap().is_some() {}
    let end = usize::try_from(reader.offset()).unwrap();
    let (mut refused, mut same) = (0, 0);
    // All entries, the mark after them, and some of the zeros, which are all alike.
    for bit in (0..(end + 64) * 8).chain((bytes.len() - 2) * 8..bytes.len() * 8) {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        left.create(&path).unwrap().write_all(&bad).unwrap();
        match read() {
            Ok(found) => {
                assert_eq!(found, expected, "bit {bit} of byte {}", bit / 8);
                same += usize::from(bit / 8 < end);
            }
            Err(error) => {
                assert!(bit / 8 < end, "bit {bit} of byte {}: {error}", bit / 8);
                assert_eq!(
                    error.path(),
                    Some(Path::new(DIR).join(path.strip_prefix(DIR).unwrap()).as_path())
                );
                refused += 1;
            }
        }
    }
    println!("{refused} refused, {same} the same");
    assert!(refused > 100 * same, "{refused}, {same}");
}

/// HBase opens a region whose process was killed, replays its log, and has its cells.
#[test]
#[ignore = "starts a JVM"]
fn hbase_replays_our_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let options = Region::options().create_if_missing(true).table("t").durability(Durability::SyncWal);
    let options = options.family(Family::new("f").max_versions(9)).family(Family::new("g"));
    let region = options.open(&path).unwrap();
    let mut rng = Rng::new(7);
    for n in 0..2_000 {
        let row = format!("r{:02}", rng.below(60));
        write_any(&region, &row, &mut rng, n);
        if n == 1_000 {
            region.flush().unwrap();
        } else if n % 300 == 299 {
            region.flush_families(&["g"]).unwrap(); // the cells of f are in the log alone
        }
    }
    let expected = cells_of(&region);
    region.abort().unwrap();
    let logs = std::fs::read_dir(path.join("recovered.edits")).unwrap().map(|log| log.unwrap().path());
    let logs: Vec<PathBuf> = logs.collect();
    assert!(logs.len() > 1);
    let is_longer = |log: &PathBuf| std::fs::read(log).unwrap().ends_with(&[0; 1_000]);
    assert!(logs.iter().all(is_longer), "HBase is to read past entries that were synced");
    assert!(expected.len() > 200);
    assert_eq!(cells_of_hbase(&path), expected);
}

/// HBase opens regions that share a log, one after the other, and each has its own cells. The sequence ids of
/// one are much greater than those of the others.
#[test]
#[ignore = "starts a JVM"]
fn hbase_replays_a_log_that_regions_share() {
    let dir = tempfile::tempdir().unwrap();
    let families = [Family::new("f").max_versions(9), Family::new("g")];
    let options = Region::options().durability(Durability::SyncWal).compaction_enabled(false);
    let table = Table::create_with(dir.path(), "t", &families, &["h", "p"], options).unwrap();
    let mut rng = Rng::new(8);
    for n in 0..3_000 {
        let region = ["a", "j", "q"][rng.below(20).saturating_sub(17)];
        let row = format!("{region}{:02}", rng.below(40));
        write_any(&table.region(&row).unwrap(), &row, &mut rng, n);
        if n % 500 == 250 {
            table.region(region).unwrap().flush_families(&["g"]).unwrap();
        } else if n % 100 == 99 {
            let rows = ["a00", "j00", "q00", "q01"].map(|row| Put::new(row).cell("f", "b", format!("{n}")));
            assert!(table.batch(rows.into_iter().map(Mutation::from).collect()).iter().all(Result::is_ok));
        } else if n == 2_000 {
            table.region("j").unwrap().flush().unwrap();
        }
    }
    let regions = ["a", "j", "q"].map(|row| table.region(row).unwrap());
    let expected = regions.each_ref().map(cells_of);
    regions.iter().for_each(|region| region.abort().unwrap());
    for (region, expected) in regions.iter().zip(expected) {
        assert!(expected.len() > 50, "{}", expected.len());
        assert_eq!(cells_of_hbase(region.path()), expected);
    }
}

/// Puts, deletes or appends to cells of a row.
fn write_any(region: &Region, row: &str, rng: &mut Rng, n: usize) {
    let qualifier = format!("q{}", rng.below(3));
    match rng.below(10) {
        0 => region.delete(Delete::new(row.to_owned()).column("f", qualifier)).unwrap(),
        1 => region.delete(Delete::new(row.to_owned()).family("g")).unwrap(),
        2 => drop(region.append(Append::new(row.to_owned()).column("f", "a", "x")).unwrap()),
        _ => {
            let put = Put::new(row.to_owned()).cell("f", qualifier, format!("v{n}"));
            let durability = [Durability::UseDefault, Durability::FsyncWal][rng.below(2)];
            let put = put.cell("g", "q", "w".repeat(rng.below(200)));
            region.put(put.durability(durability)).unwrap();
        }
    }
}

/// The cells that a scan returns: row, family, qualifier, timestamp and value.
fn cells_of(region: &Region) -> Vec<Value> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut cells = Vec::new();
    for row in region.scan(Scan::new()).unwrap() {
        for cell in row.unwrap().cells() {
            let [row, family, qualifier, value] =
                [cell.row(), cell.family(), cell.qualifier(), cell.value()].map(text);
            cells.push(json!([row, family, qualifier, cell.timestamp(), value]));
        }
    }
    cells
}

/// The cells that HBase's scan of a region returns, as [`cells_of`] does.
fn cells_of_hbase(path: &Path) -> Vec<Value> {
    let program = programs().join("check-region");
    let output = Command::new(program).arg(path).arg("--offline").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let plain = lines.filter(|cell| cell["plain"] == true);
    let members = ["row", "family", "qualifier", "timestamp", "value"];
    plain.map(|cell| json!(members.map(|name| cell[name].clone()))).collect()
}
