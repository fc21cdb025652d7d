//! Failing calls, and damaged logs.

use super::{DIR, forget, logs, open, options, put, values};
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::wal::WalReader;
use hregion::{Compaction, Delete, Durability, ErrorKind, Family, Limits, Put, Region, Scan, Storage};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

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
    // There is space for an entry, but not for zeros after it.
    storage.fail_after(0);
    region.put(put("r4", "v4")).unwrap();
    region.put(put("r5", "v5")).unwrap();
    let left = storage.after(Crash::Hard);
    forget(region);
    assert_eq!(values(&open(&left)).into_keys().collect::<Vec<_>>(), ["r1", "r3", "r4", "r5"]);
}

/// The cells of writes that a full disk refuses were temporarily in memory.
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
    // A flush at any time has released the memory of refused writes.
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
        // A flush of some families must not tear the uncertain write, which may be in the log as a whole.
        region.flush_families(&["f"]).unwrap();
        for crash in [Crash::OfTheProcess, Crash::Hard, Crash::Torn] {
            assert!(values(&open(&storage.after(crash))).contains_key("r1"));
        }
        // The memstore can still be flushed. The uncertain write is stored as a whole or not at all.
        region.flush().unwrap();
        region.close().unwrap();
        let region = open(&storage);
        let found = values(&region);
        assert!(found.contains_key("r1") && !found.contains_key("r3"), "{found:?}");
        assert_eq!(logs(&storage).iter().filter(|log| log.extension().is_none()).count(), 0);
        region.put(put("r4", "v4")).unwrap();
    }
}

/// A failed log is replayed when the region is opened again, including entries whose cells are in files: the
/// markers that hide them must still exist.
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

/// Flips each bit of a log that a killed process left: the log is refused, or the answers are unchanged.
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
    // All entries, the end mark after them, and some of the zeros, which are all equivalent.
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
