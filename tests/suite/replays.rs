//! The edits that opening a region replays, the steps of the replay, and the files that remain.

use crate::support::hooked_logs::{HookedLogs, LogCall};
use crate::support::protobuf::field;
use crate::support::trackers::with_list;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{
    CellRef, CellType, Compaction, Delete, Durability, Error, ErrorKind, Family, Get, Limits, Mutation, Put,
    Region, RegionOptions, Scan, SeekKey, Storage,
};
use std::io;
use std::mem::forget;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;

const DIR: &str = "store/region";

fn options(storage: &FaultyStorage) -> RegionOptions {
    let storage: Arc<dyn Storage> = Arc::new(storage.clone());
    let options = Region::options().storage(storage).create_if_missing(true).compaction_enabled(false);
    options.family(Family::new("f")).family(Family::new("g"))
}

fn put(row: &str, value: &str) -> Put {
    Put::new(row.to_owned()).cell("f", "q", value.to_owned()).cell("g", "q", value.to_owned())
}

fn rows(region: &Region) -> Vec<(String, usize)> {
    let rows = region.scan(Scan::new()).unwrap().map(Result::unwrap);
    rows.map(|row| (String::from_utf8(row.key().to_vec()).unwrap(), row.len())).collect()
}

fn names(storage: &FaultyStorage, folder: &str) -> Vec<PathBuf> {
    let dir = Path::new(DIR).join(folder);
    let is_file = |name: &PathBuf| name.parent() == Some(&*dir) && storage.bytes(name).is_some();
    storage.names().into_iter().filter(is_file).collect()
}

/// Limits under which the entries of a log are too large for one replay.
fn small_memory() -> Limits {
    Limits::new().with_load_on_open_bytes(64 << 10).with_block_bytes(4 << 20)
}

fn with_small_memory(storage: &FaultyStorage) -> RegionOptions {
    options(storage).limits(small_memory()).memstore_flush_size(1_000)
}

/// A region after the end of its process, whose logs need more memory than a replay may use.
fn with_long_logs() -> (FaultyStorage, Vec<(String, usize)>) {
    let storage = FaultyStorage::new();
    let region = options(&storage).limits(small_memory()).memstore_flush_size(1 << 20).open(DIR).unwrap();
    region.put(put("gone", "v")).unwrap();
    region.flush().unwrap();
    let version =
        |timestamp, value: &str| Put::new("versions").cell_at("f", "q", timestamp, value.to_owned());
    region.put(version(1, "older")).unwrap();
    region.put(version(2, "newer")).unwrap();
    for batch in 0..5 {
        let row = |n: usize| Mutation::from(put(&format!("r{batch}{n:02}"), &"v".repeat(500)));
        assert!(region.batch((0..40).map(row).collect()).iter().all(Result::is_ok));
    }
    // Hides a cell in a file, and, in the same memory, a cell of an earlier part.
    region.delete(Delete::new("gone")).unwrap();
    region.delete(Delete::new("r000")).unwrap();
    region.put(Put::new("r001").cell("f", "q", "newer")).unwrap();
    // The version before it must not have been dropped as exceeding the maximum.
    region.delete(Delete::new("versions").version_at("f", "q", 2)).unwrap();
    let expected = rows(&region);
    assert_eq!(expected.len(), 200);
    forget(region);
    (storage.after(Crash::Hard), expected)
}

/// Acknowledged writes are replayed with any amount of memory: edits for which there is no memory follow
/// after the rest is in files.
#[test]
fn a_replay_without_room_for_all_edits_flushes_between() {
    let (storage, expected) = with_long_logs();
    let refused = with_small_memory(&storage).writable(false).create_if_missing(false).open(DIR).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Limit, "a reader cannot flush: {refused}");
    let region = with_small_memory(&storage).open(DIR).unwrap();
    let report = region.replayed().clone();
    assert_eq!((report.edits, report.cells, report.skipped), (11, 404 + 4, 0));
    assert!(report.flushed.len() > 2 * 3, "several flushes of each family: {report:?}");
    assert_eq!(rows(&region), expected);
    assert_eq!(region.get(&Get::new("r001")).unwrap().value("f", "q"), Some(&b"newer"[..]));
    assert!(names(&storage, "recovered.edits").is_empty());
    region.put(put("later", "v")).unwrap();
    // The restrictions on flushes and compactions during a replay have ended.
    region.flush().unwrap();
    assert!(names(&storage, "recovered.edits").is_empty());
    region.put(put("later", "w")).unwrap();
    region.compact(Compaction::Major).unwrap();
    assert_eq!(region.store_file_count("f"), Some(1));
    assert_eq!(rows(&region).len(), 201);
    region.abort().unwrap();
    assert_eq!(rows(&options(&storage).open(DIR).unwrap()).len(), 201);
}

/// Each call fails, or the process dies after it, while such edits are replayed.
#[test]
fn a_replay_that_is_cut_off_loses_nothing() {
    let (whole, expected) = with_long_logs();
    let copy = || whole.after(Crash::OfTheProcess);
    let counted = copy();
    let before = counted.calls();
    drop(with_small_memory(&counted).open(DIR).unwrap());
    let calls = counted.calls() - before;
    for n in 0..calls {
        for dies in [false, true] {
            let storage = copy();
            if dies {
                storage.die_after(n);
            } else {
                storage.fail_after(n);
            }
            // Failures after the opening happen in the close.
            match with_small_memory(&storage).open(DIR) {
                Ok(region) => drop(region),
                Err(error) => assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned), "{error}"),
            }
            let storage = storage.after(if n % 2 == 0 { Crash::Hard } else { Crash::OfTheProcess });
            let region = with_small_memory(&storage).open(DIR).unwrap();
            assert_eq!(rows(&region), expected, "call {n} of {calls}");
        }
    }
}

/// If an entry has cells of several families, its cells that are in files are not replayed with the others:
/// the markers that hide them may be gone.
#[test]
fn cells_of_a_family_that_was_flushed_are_not_replayed_with_those_of_another() {
    let storage = FaultyStorage::new();
    let region = options(&storage).open(DIR).unwrap();
    region.put(put("r", "v")).unwrap();
    region.delete(Delete::new("r").family("f").durability(Durability::SkipWal)).unwrap();
    region.flush_families(&["f"]).unwrap();
    region.compact_family("f", Compaction::Major).unwrap();
    let in_g = [("r".to_owned(), 1)];
    assert_eq!(rows(&region), in_g);
    forget(region);
    let region = options(&storage.after(Crash::OfTheProcess)).open(DIR).unwrap();
    assert_eq!(rows(&region), in_g);
    let report = region.replayed();
    assert_eq!((report.edits, report.cells, report.skipped), (1, 2, 1));
}

/// Entries of several logs may be interleaved: HBase writes such a log when it takes over another server's
/// region.
#[test]
fn logs_with_entries_between_those_of_others_are_replayed_in_order() {
    let storage = FaultyStorage::new();
    let region = options(&storage).open(DIR).unwrap();
    let name = region.info().encoded_name();
    region.close().unwrap();
    for first in 0..2 {
        let path = Path::new(DIR).join("recovered.edits").join(format!("{:019}", 198 + first));
        storage.create_dir_all(path.parent().unwrap()).unwrap();
        let mut log = WalWriterOptions::new().create_in(&storage, &path).unwrap();
        for seq_id in (first + 100..200).step_by(2) {
            let (key, row) = (WalKey::new(&*name, "t", seq_id, 1), format!("r{}", seq_id / 4));
            let value = format!("{seq_id}{}", "v".repeat(2_000));
            let cell = SeekKey::of(row.as_bytes(), b"f", b"q", 7, CellType::Put);
            log.append(&key, [CellRef::new(&cell, value.as_bytes())]).unwrap();
        }
        log.close().unwrap();
        storage.sync_dir(path.parent().unwrap()).unwrap();
    }
    let region = with_small_memory(&storage).open(DIR).unwrap();
    assert_eq!(region.replayed().edits, 100);
    assert!(region.replayed().flushed.len() > 2, "{:?}", region.replayed());
    for row in 25..50 {
        let got = region.get(&Get::new(format!("r{row}"))).unwrap();
        let value = got.value("f", "q").unwrap();
        assert!(value.starts_with((row * 4 + 3).to_string().as_bytes()), "the last write counts: {row}");
    }
    assert!(names(&storage, "recovered.edits").is_empty());
}

/// When a log fails, the memstore is logged only once more, however often it cannot be flushed.
#[test]
fn flushes_that_fail_after_the_log_add_one_log() {
    let storage = FaultyStorage::new();
    let region = options(&storage).durability(Durability::AsyncWal).open(DIR).unwrap();
    for n in 0..20 {
        region.put(put(&format!("r{n:02}"), "v")).unwrap();
    }
    storage.break_calls(Call::Sync);
    let failed = region.put(put("failed", "v").durability(Durability::FsyncWal)).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Poisoned);
    // The copy cannot be written either.
    for _ in 0..3 {
        region.flush().unwrap_err();
    }
    storage.repair();
    assert_eq!(names(&storage, "recovered.edits").len(), 1);
    storage.break_calls(Call::Rename);
    for _ in 0..5 {
        region.flush().unwrap_err();
    }
    assert_eq!(names(&storage, "recovered.edits").len(), 2);
    let lost = storage.after(Crash::Hard);
    lost.repair();
    assert_eq!(rows(&options(&lost).open(DIR).unwrap()).len(), 20);
    storage.repair();
    region.flush().unwrap();
    region.close().unwrap();
    // Until then, it is not known whether the log has the failed write.
    let region = options(&storage).open(DIR).unwrap();
    assert_eq!(names(&storage, "recovered.edits"), Vec::<PathBuf>::new());
    assert!((20..=21).contains(&rows(&region).len()));
}

/// A flush may detect that the log has failed after later writes were accepted. These are in no log then, and
/// the next flush must not tear them.
#[test]
fn what_was_written_before_a_failure_was_known_is_logged_again_too() {
    let (inner, write) = (FaultyStorage::new(), Arc::new(Barrier::new(2)));
    let of_log = Arc::clone(&write);
    // Fails the sync of a log that a flush has ended, after another write.
    let storage = HookedLogs::shared(&inner, move |call| match call {
        // The first sync is for the header.
        LogCall::Sync { log: 1, sync: 2 } => {
            of_log.wait();
            of_log.wait();
            Err(io::Error::other("the disk is gone"))
        }
        _ => Ok(()),
    });
    let region = Region::options().storage(storage).create_if_missing(true);
    let region = region.compaction_enabled(false).durability(Durability::AsyncWal);
    let region = region.family(Family::new("f")).family(Family::new("g")).open(DIR).unwrap();
    region.put(put("r0", "v")).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            write.wait();
            // A logged put would wait for the sync.
            region.put(put("r1", "v").durability(Durability::SkipWal)).unwrap();
            write.wait();
        });
        region.flush().unwrap();
    });
    region.put(put("r2", "v")).unwrap_err();
    inner.break_calls(Call::Rename);
    region.flush().unwrap_err();
    let lost = inner.after(Crash::Hard);
    lost.repair();
    let expected = [("r0".to_owned(), 2), ("r1".to_owned(), 2)];
    assert_eq!(rows(&options(&lost).open(DIR).unwrap()), expected);
}

/// A family's file list may exist without its setting, so it must agree with the directory. It does not name
/// a replaced file that could not be archived yet.
#[test]
fn a_list_without_its_setting_differs_by_files_that_were_replaced() {
    let storage = FaultyStorage::new();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let tracked = Region::options().storage(shared).create_if_missing(true).compaction_enabled(false);
    let tracked =
        tracked.family(with_list(Family::new("f"))).family(with_list(Family::new("g"))).open(DIR).unwrap();
    for row in ["r0", "r1"] {
        tracked.put(put(row, "v")).unwrap();
        tracked.flush().unwrap();
    }
    tracked.close().unwrap();
    // The setting is lost with the descriptor.
    let descriptor = Path::new(DIR).join(".tabledesc");
    for path in storage.names().into_iter().filter(|name| name.starts_with(&descriptor)) {
        storage.remove(&path).unwrap();
    }
    storage.remove_dir(&descriptor).unwrap();
    let region = options(&storage).open(DIR).unwrap();
    let inputs = names(&storage, "f");
    assert_eq!(inputs.len(), 2);
    inputs.iter().for_each(|file| storage.stick(file));
    region.compact(Compaction::Major).unwrap();
    assert_eq!(names(&storage, "f").len(), 3);
    region.put(put("r2", "v")).unwrap();
    region.flush().unwrap();
    region.put(put("r3", "v")).unwrap();
    forget(region);
    let storage = storage.after(Crash::OfTheProcess);
    // Again, with edits to replay.
    inputs.iter().for_each(|file| storage.stick(file));
    let region = options(&storage).open(DIR).unwrap();
    assert_eq!(rows(&region).len(), 4);
    assert!(region.close().is_err(), "two files are not archived");
    storage.repair();
    let region = options(&storage).open(DIR).unwrap();
    assert_eq!(rows(&region).len(), 4);
    assert_eq!(names(&storage, "f").len(), 3, "those of the compaction and of two flushes");
    // An entry that is not a file of the region is an error.
    let other = names(&storage, "g").remove(0);
    let unknown = Path::new(DIR).join("f").join("0123456789abcdef0123456789abcdef");
    storage.hard_link(&other, &unknown).unwrap();
    region.put(put("r4", "v")).unwrap();
    assert_eq!(region.flush().map_err(|error| error.kind()), Err(ErrorKind::Unsupported));
}

/// HBase removes the inputs of a compaction after it has logged them. There is no output if no cell was kept:
/// then the log is the only record, and remains until the inputs are in the archive.
#[test]
fn a_log_remains_until_the_files_that_it_replaces_are_archived() {
    let storage = FaultyStorage::new();
    let region = options(&storage).open(DIR).unwrap();
    region.put(put("r", "v")).unwrap();
    region.flush().unwrap();
    region.delete(Delete::new("r")).unwrap();
    region.flush().unwrap();
    let name = region.info().encoded_name();
    region.close().unwrap();
    let edits = Path::new(DIR).join("recovered.edits").join(format!("{:019}", 90));
    storage.create_dir_all(edits.parent().unwrap()).unwrap();
    let mut log = WalWriterOptions::new().create_in(&storage, &edits).unwrap();
    for (family, seq_id) in [("f", 80), ("g", 81)] {
        let inputs = names(&storage, family).into_iter();
        let inputs = inputs.flat_map(|path| field(4, path.file_name().unwrap().to_string_lossy().as_bytes()));
        let fields = [field(1, "t"), field(2, &name), field(3, family), inputs.collect(), field(6, family)];
        let key = SeekKey::of(b"r", b"METAFAMILY", b"HBASE::COMPACTION", 1, CellType::Put);
        let key_of_entry = WalKey::new(&*name, "t", seq_id, 1);
        log.append(&key_of_entry, [CellRef::new(&key, &fields.concat())]).unwrap();
    }
    log.close().unwrap();
    storage.sync_dir(edits.parent().unwrap()).unwrap();
    // The file with the put cannot be moved; the file with the marker can.
    let stuck: Vec<PathBuf> = ["f", "g"].iter().flat_map(|family| names(&storage, family)).collect();
    assert_eq!(stuck.len(), 4);
    for one in &stuck {
        let storage = storage.after(Crash::OfTheProcess);
        storage.stick(one);
        let region = options(&storage).open(DIR).unwrap();
        assert!(!region.health().unarchived_files.is_empty(), "{one:?}");
        assert!(rows(&region).is_empty());
        assert!(storage.bytes(&edits).is_some());
        region.close().unwrap_err();
        let storage = storage.after(Crash::OfTheProcess);
        assert!(rows(&read(&storage).unwrap()).is_empty(), "{one:?}");
        let region = options(&storage).open(DIR).unwrap();
        assert!(rows(&region).is_empty(), "{one:?}");
        region.close().unwrap();
        assert!(storage.bytes(&edits).is_none());
        assert!(rows(&read(&storage).unwrap()).is_empty(), "{one:?}");
    }
    // When they can be moved, closing the region moves the file, and removes the log.
    for one in &stuck {
        let storage = storage.after(Crash::OfTheProcess);
        storage.stick(one);
        let region = options(&storage).open(DIR).unwrap();
        assert!(storage.bytes(&edits).is_some());
        storage.repair();
        region.close().unwrap();
        assert!(storage.bytes(&edits).is_none(), "{one:?}");
        let storage = storage.after(Crash::Hard);
        assert!(storage.bytes(&edits).is_none(), "{one:?}");
        assert!(rows(&read(&storage).unwrap()).is_empty(), "{one:?}");
    }
}

fn read(storage: &FaultyStorage) -> Result<Region, Error> {
    options(storage).create_if_missing(false).writable(false).open(DIR)
}
