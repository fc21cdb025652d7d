//! The write-ahead log of a region: which writes survive which failures, which logs remain, and HBase replays
//! them.

mod failures;
mod hbase;
mod readers;
mod syncs;

use crate::support::files::write_synced;
use crate::support::protobuf::{field, unsealed};
use crate::support::random_ops::play_all;
use crate::support::rng::Rng;
use crate::support::trackers::with_list;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::{
    Append, CheckAndMutate, Delete, Durability, ErrorKind, Family, Get, Increment, Limits, Mutation, Put,
    Region, RegionOptions, Scan, Storage,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// The values of all rows, which must be equal in both families.
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

/// Simulates the end of the process, without releasing anything.
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

/// In an object store, an unanswered request to remove a log may be carried out late: no later log may have
/// its name, whatever remains of its content.
#[test]
fn no_name_of_a_log_is_made_again_in_an_object_store() {
    let open = |storage: &FaultyStorage| {
        let family = with_list(Family::new("f"));
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

/// Of mutations that are written together, those with SKIP_WAL are not logged, and the others have the
/// greatest durability among them.
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
    // the durability of the region, unless the write sets another
    let region = options(&left).durability(Durability::SkipWal).open(DIR).unwrap();
    region.put(put("lost", "v")).unwrap();
    region.put(put("kept", "v").durability(Durability::FsyncWal)).unwrap();
    let left = left.after(Crash::Hard);
    forget(region);
    assert_eq!(values(&open(&left)).into_keys().collect::<Vec<_>>(), ["kept", "synced", "with it"]);
}

#[test]
fn an_atomic_change_is_logged_as_a_whole() {
    let storage = FaultyStorage::new();
    let region = open(&storage);
    let halves = |row: &'static str| -> Vec<Mutation> {
        let half = |family: &'static str, durability| {
            Mutation::Put(Put::new(row).cell(family, "q", "v").durability(durability))
        };
        vec![half("f", Durability::SkipWal), half("g", Durability::FsyncWal)]
    };
    region.mutate_row("row", halves("row")).unwrap();
    region.mutate_rows([halves("rows 1"), halves("rows 2")].concat()).unwrap();
    let check = CheckAndMutate::if_not_exists("checked", "f", "q");
    let check = halves("checked").into_iter().fold(check, CheckAndMutate::then);
    assert!(region.check_and_mutate(check).unwrap().success);
    let left = storage.after(Crash::Hard);
    forget(region);
    let found = values(&open(&left));
    assert_eq!(found.into_keys().collect::<Vec<_>>(), ["checked", "row", "rows 1", "rows 2"]);
}

/// A write that could not be replayed is refused. All accepted writes can be replayed.
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

/// With the smallest limits, the key of an entry is too long.
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

/// Entries logged by a dead process may not be on disk yet when the next process replays them. The families
/// are flushed one after the other.
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

/// A table's setting applies if neither the write nor the caller sets one.
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
    let read = Region::options().storage(Arc::new(storage)).open(DIR).unwrap();
    assert!(values(&read).is_empty(), "reads need no durability");
    assert_eq!(read.check_write_settings().unwrap_err().to_string(), error.to_string());
}

/// Creates the region, and adds the setting to its table descriptor.
fn set_durability(storage: &FaultyStorage, name: &str) {
    open(storage).close().unwrap();
    add_table_value(storage, "DURABILITY", name);
}

/// Adds a value to the only table descriptor in a storage. The descriptor is then not sealed.
pub(crate) fn add_table_value(storage: &FaultyStorage, key: &str, value: &str) {
    let is_descriptor = |path: &PathBuf| path.to_string_lossy().contains(".tableinfo.");
    let path = storage.names().into_iter().find(is_descriptor).unwrap();
    // A repeated field allows parts of a message to be appended.
    let pair = field(2, [field(1, key), field(2, value)].concat());
    let bytes = [unsealed(&storage.bytes(&path).unwrap()), &pair].concat();
    storage.remove(&path).unwrap();
    // the length is part of the name
    write_synced(storage, &path.with_extension(bytes.len().to_string()), &bytes);
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
    region.delete(Delete::new("r0").column("f", "q")).unwrap();
    assert_eq!(logs(&storage).len(), 1);
    region.flush().unwrap();
    assert_eq!(logs(&storage).len(), 0, "nothing of g was in it");
    region.put(put("r2", "v2")).unwrap();
    region.flush_families(&["f"]).unwrap();
    assert_eq!(logs(&storage).len(), 1, "g is not flushed");
    region.put(put("r3", "v3")).unwrap();
    region.flush_families(&["f"]).unwrap();
    assert_eq!(logs(&storage).len(), 2);
    assert!(logs(&storage).is_sorted());
    region.flush_families(&["g"]).unwrap();
    assert_eq!(logs(&storage).len(), 0);
    // A log that cannot be removed is reported, and removed later.
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

/// Sets a flag when it is dropped, so that other threads end, also if the test fails.
struct Until<'d>(&'d AtomicBool);

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Threads write until power is lost at any moment: all writes acknowledged before are found, and nothing
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
                    // The last values of a thread; each row has one.
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

/// Rows that are written together survive a loss of power together, whichever call it interrupts.
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
