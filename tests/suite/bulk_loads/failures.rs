//! Failing loads, and their repetitions.

use super::{
    INPUT, ROOT, ROWS, expected, left, open, open_copy, rows, table_with_settings, world, world_with_lists,
    write, write_and_load,
};
use hregion::io::Storage;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::{Compaction, Delete, Durability, ErrorKind, Get, Put, Region, Result, Table};
use std::path::{Path, PathBuf};

/// Whichever call fails, either all rows of the file are loaded or none, and a repeated call loads them.
#[test]
fn a_file_that_could_not_be_written_is_written_again() {
    let before = table_with_settings();
    for n in 0.. {
        let storage = before.copy();
        let table = open(&storage);
        let region = table.region("").unwrap();
        storage.fail_among_all([n]);
        let loaded = write_and_load(&region, "/input/0a");
        if !storage.pending_faults().is_empty() {
            assert!(loaded.is_ok() && n > 10, "{n}");
            return;
        }
        storage.heal();
        let all = |path: &str| ROWS.map(|row| format!("{row}/f={path}"));
        let seen = rows(&table);
        assert!(seen.is_empty() && loaded.is_err() || seen == all("/input/0a"), "call {n}: {seen:?}");
        let closed = table.close();
        assert!(closed.is_ok() || loaded.is_err(), "call {n}");
        drop((region, table));
        let table = open(&storage);
        assert!(rows(&table).is_empty() || rows(&table) == all("/input/0a"), "call {n}");
        write_and_load(&table.region("").unwrap(), "/input/0b").unwrap();
        assert_eq!(rows(&table), all("/input/0b"), "call {n}");
    }
}

/// Whichever call fails, loaded cells are newer than earlier writes. The flush before the load may find that
/// the log has failed: the next opening then replays the write, so nothing is loaded.
#[test]
fn a_loaded_value_is_newer_than_a_logged_one() {
    let value = |region: &Region| -> String {
        let row = region.get(&Get::new("a")).unwrap();
        String::from_utf8(row.value("f", "q").unwrap().to_vec()).unwrap()
    };
    let (before, mut failed_logs) = (table_with_settings(), 0);
    for n in 0.. {
        let storage = before.copy();
        let table = open(&storage);
        let region = table.region("").unwrap();
        let put = Put::new("a").cell_at("f", "q", 1, "written").durability(Durability::SyncWal);
        region.put(put).unwrap();
        storage.fail_among_all([n]);
        let loaded = write_and_load(&region, "/input/0a");
        let is_over = !storage.pending_faults().is_empty();
        storage.heal();
        let is_newest = |found: &str| found == "/input/0a" || loaded.is_err() && found == "written";
        assert!(is_newest(&value(&region)), "call {n}: {loaded:?}, {}", value(&region));
        let poisoned = region.health().poisoned;
        failed_logs += u32::from(poisoned.is_some_and(|error| error.message().contains("log")));
        let left = storage.after(Crash::OfTheProcess);
        std::mem::forget((region, table));
        let table = open(&left);
        let region = table.region("").unwrap();
        assert!(is_newest(&value(&region)), "call {n}, opened again: {loaded:?}, {}", value(&region));
        write_and_load(&region, "/input/0b").unwrap_or_else(|error| panic!("call {n}: {error}"));
        assert_eq!(value(&region), "/input/0b", "call {n}");
        if is_over {
            assert!(loaded.is_ok() && n > 10 && failed_logs > 0, "{n} calls, {failed_logs}");
            return;
        }
    }
}

/// What happens after a call has failed: nothing, or a crash.
const CRASHES: [Option<Crash>; 4] = [None, Some(Crash::OfTheProcess), Some(Crash::Hard), Some(Crash::Torn)];

#[test]
fn a_failing_load_can_be_repeated() {
    repeat_failing_loads(&world(), &CRASHES);
}

/// The files are moved to another directory first. All changes are durable in such a storage.
#[test]
fn a_failing_load_with_a_lock_that_can_be_lost_can_be_repeated() {
    for before in [world(), world_with_lists(false)] {
        before.has_leases();
        repeat_failing_loads(&before, &CRASHES[..1]);
    }
}

/// A later sync may succeed although the system has dropped the written bytes.
#[test]
fn a_file_that_cannot_be_synced_is_to_be_written_again() {
    let storage = world();
    let (table, before) = (open(&storage), left(&storage));
    let region = table.region("").unwrap();
    storage.break_calls(Call::SyncFile);
    let error = region.bulk_load(&[("g", "/input/g/0b")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.path(), Some(Path::new("/input/g/0b")));
    assert!(error.to_string().contains("write it again before it is loaded"), "{error}");
    assert_eq!(left(&storage), before);
    assert!(rows(&table).is_empty());
}

#[test]
fn a_failing_load_into_listed_families_can_be_repeated() {
    repeat_failing_loads(&world_with_lists(true), &CRASHES);
}

/// Closes a table after a load with a fault, or ends its process, and checks that it has only loaded rows,
/// and all of them if the load succeeded. Returns the storage and the rows.
fn check_left(
    storage: FaultyStorage,
    table: Table,
    is_loaded: bool,
    crash: Option<Crash>,
    shown: &str,
) -> (FaultyStorage, Vec<String>) {
    let crashed = crash.map(|crash| storage.after(crash));
    storage.heal();
    // A region whose files could not be changed back refuses to be closed, and is opened again.
    let closed = table.close();
    assert!(closed.is_ok() || !is_loaded, "{shown}");
    drop(table);
    let storage = crashed.unwrap_or(storage);
    let (all, seen) = (expected(), rows(&open(&storage)));
    assert!(seen.iter().all(|cell| all.contains(cell)), "{shown}: {seen:?}");
    assert!(!is_loaded || seen == all, "{shown}: {seen:?}");
    (storage, seen)
}

fn repeat_failing_loads(before: &FaultyStorage, crashes: &[Option<Crash>]) {
    for n in 0.. {
        for &crash in crashes {
            let shown = format!("call {n}, {crash:?}");
            let (storage, table) = open_copy(before);
            storage.fail_among_all([n]);
            let loaded = table.bulk_load(INPUT);
            if !storage.pending_faults().is_empty() {
                assert!(loaded.is_ok() && n > 60, "{n}");
                println!("{n} calls");
                return;
            }
            let (storage, seen) = check_left(storage, table, loaded.is_ok(), crash, &shown);
            let all = expected();
            // The files of a region are loaded together.
            for bounds in [&all[..3], &all[3..5], &all[5..]] {
                let count = bounds.iter().filter(|cell| seen.contains(cell)).count();
                assert!(count == 0 || count == bounds.len(), "{shown}: {seen:?}");
            }
            let table = open(&storage);
            table.bulk_load(INPUT).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!(rows(&table), all, "{shown}");
            assert!(
                left(&storage).iter().all(|path| !path.starts_with("f")),
                "{shown}: {:?}",
                left(&storage)
            );
            if crash.is_none() {
                delete_rows(table, &storage, &shown);
            }
        }
    }
}

/// Deletes some loaded rows, and checks that neither a compaction nor another opening brings them back.
fn delete_rows(table: Table, storage: &FaultyStorage, shown: &str) {
    let mut left = expected();
    for row in ["a", "m", "x"] {
        table.delete(Delete::new(row)).unwrap_or_else(|error| panic!("{shown}: {error}"));
        left.retain(|cell| !cell.starts_with(row));
    }
    table.flush().unwrap_or_else(|error| panic!("{shown}: {error}"));
    table.compact(Compaction::Major).unwrap_or_else(|error| panic!("{shown}: {error}"));
    table.close().unwrap_or_else(|error| panic!("{shown}: {error}"));
    drop(table);
    assert_eq!(rows(&open(storage)), left, "{shown}");
}

/// From one call on, all calls fail, including those that undo the load: a file that is in the directory of a
/// family and on no list would be lost from the input.
#[test]
fn a_load_into_listed_families_that_is_cut_off_can_be_repeated() {
    for (both, has_leases) in [(false, false), (true, false), (false, true)] {
        let before = world_with_lists(both);
        if has_leases {
            before.has_leases();
        }
        for calls in 0.. {
            let crashes = [Crash::OfTheProcess, Crash::Hard, Crash::Torn, Crash::Chance(calls)];
            let crashes = &crashes[..if has_leases { 1 } else { crashes.len() }];
            let mut is_loaded = false;
            for crash in crashes.iter().copied().map(Some).chain([None]) {
                let shown = format!("both {both}, leases {has_leases}, {calls} calls, {crash:?}");
                let (storage, table) = open_copy(&before);
                storage.die_after(calls);
                is_loaded = table.bulk_load(INPUT).is_ok();
                let crashed = crash.map(|crash| storage.after(crash));
                if crashed.is_none() {
                    storage.heal();
                }
                drop(table);
                let storage = crashed.unwrap_or(storage);
                let (all, table) = (expected(), open(&storage));
                let seen = rows(&table);
                assert!(seen.iter().all(|cell| all.contains(cell)), "{shown}: {seen:?}");
                assert!(!is_loaded || seen == all, "{shown}: {seen:?}");
                table.bulk_load(INPUT).unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert_eq!(rows(&table), all, "{shown}");
                let names = storage.names();
                assert!(names.iter().all(|path| !path.starts_with("input/f")), "{shown}: {names:?}");
                assert!(names.iter().all(|path| !path.ends_with(".load")), "{shown}: {names:?}");
                let is_moving = |path: &PathBuf| path.to_string_lossy().contains("/.loading.");
                assert!(!names.iter().any(is_moving), "{shown}: {names:?}");
                table.close().unwrap();
                assert_eq!(rows(&open(&storage)), all, "{shown}");
            }
            if is_loaded {
                assert!(calls > 40, "{calls}");
                break;
            }
        }
    }
}

/// The files loaded into the first family belong to it: they may be compacted before the load is repeated.
#[test]
fn a_repeated_load_takes_nothing_that_was_taken_before() {
    let before = world_with_lists(true);
    for calls in 0.. {
        let (storage, table) = open_copy(&before);
        storage.die_after(calls);
        table.bulk_load(INPUT).unwrap_err();
        let crashed = storage.after(Crash::OfTheProcess);
        drop((table, storage));
        let (storage, names) = (crashed.clone(), crashed.names());
        let has_record = names.iter().any(|path| path.ends_with(".load"));
        let table = open(&storage);
        if !has_record || rows(&table).is_empty() || rows(&table).contains(&"b/g=/input/g/0b".to_owned()) {
            continue;
        }
        // f has its file, and g has not
        let region = table.region("a").unwrap();
        let name = region.store_file_names("f").unwrap().remove(0);
        let path = region.path().join("f").join(&name);
        let bytes = storage.bytes(&path).unwrap();
        for row in ["a", "b"] {
            region.delete(Delete::new(row).family("f")).unwrap();
        }
        region.flush().unwrap();
        region.compact(Compaction::Major).unwrap();
        // as if it could not be archived
        if storage.bytes(&path).is_none() {
            storage.create(&path).unwrap().write_all(&bytes).unwrap();
        }
        let before = rows(&table);
        assert!(before.iter().all(|cell| !cell.starts_with('a') && !cell.starts_with('b')), "{before:?}");
        table.bulk_load(INPUT).unwrap();
        let seen = rows(&table);
        assert!(seen.iter().all(|cell| !cell.starts_with('a') && !cell.starts_with("b/f")), "{seen:?}");
        assert!(seen.contains(&"b/g=/input/g/0b".to_owned()), "{seen:?}");
        return;
    }
}

/// A record does not replace an input that is gone or exists again. A damaged record is an error.
#[test]
fn the_record_of_a_load_replaces_nothing() {
    let is_moved = |storage: &FaultyStorage| left(storage).iter().all(|path| !path.starts_with("f"));
    let cut_off = || {
        for calls in 0.. {
            let storage = world_with_lists(true);
            let table = open(&storage);
            table.region("a").unwrap();
            storage.die_after(calls);
            let loaded = table.bulk_load(INPUT);
            let crashed = storage.after(Crash::OfTheProcess);
            drop(table);
            assert!(loaded.is_err(), "{calls}");
            let has_record = crashed.names().iter().any(|path| path.ends_with(".load"));
            if has_record && !left(&crashed).contains(&PathBuf::from("g/0b")) {
                return crashed;
            }
        }
        unreachable!("a call moves the file")
    };
    // The input exists again.
    let storage = cut_off();
    write(&storage, "/input/g/0b", &["b"]);
    let table = open(&storage);
    assert_eq!(rows(&table), [] as [&str; 0]);
    table.bulk_load(INPUT).unwrap();
    assert!(is_moved(&storage) && rows(&table) == expected());
    // Its directory no longer exists.
    let storage = cut_off();
    for path in left(&storage).iter().filter(|path| path.starts_with("g")) {
        storage.remove(&Path::new(INPUT).join(path)).unwrap();
    }
    storage.remove_dir(Path::new("/input/g")).unwrap();
    let table = open(&storage);
    table.bulk_load(INPUT).unwrap();
    let of_f: Vec<String> = expected().into_iter().filter(|cell| cell.contains("/f=")).collect();
    assert_eq!(rows(&table), of_f);
    assert!(!storage.names().iter().any(|path| path.ends_with(".load") || path.starts_with("input/g")));
    // Another input, distinguished by the path in the record or by its files: nothing is moved there, and the
    // record is kept for the first one.
    let storage = cut_off();
    write(&storage, "/other/f/0c", &["c"]);
    let before = storage.names();
    let table = open(&storage);
    for refused in [
        table.bulk_load("/other").map(drop),
        table.region("a").unwrap().bulk_load(&[("f", "/other/f/0c")]),
        table.split("c").map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains(".load"), "{refused}");
    }
    let is_input = |path: &&PathBuf| path.starts_with("input") || path.starts_with("other");
    assert!(before.iter().filter(is_input).eq(storage.names().iter().filter(is_input)));
    table.bulk_load(INPUT).unwrap();
    assert!(is_moved(&storage) && rows(&table) == expected());
    table.bulk_load("/other").unwrap();
    assert_eq!(rows(&table).len(), expected().len() + 1);
    // Damaged.
    let storage = cut_off();
    let names = storage.names();
    let record = names.iter().find(|path| path.ends_with(".load")).unwrap();
    let mut bytes = storage.bytes(record).unwrap();
    bytes[0] ^= 1;
    storage.create(record).unwrap().write_all(&bytes).unwrap();
    let refused = open(&storage).bulk_load(INPUT).unwrap_err();
    assert_eq!((refused.kind(), refused.path()), (ErrorKind::Corrupt, Some(&*Path::new("/").join(record))));
    bytes[0] ^= 1;
    storage.create(record).unwrap().write_all(&bytes).unwrap();
    let table = open(&storage);
    table.bulk_load(INPUT).unwrap();
    assert!(is_moved(&storage) && rows(&table) == expected());
}

/// Copies the input to the directory of imports, and loads the copies.
fn load_copies(table: &Table, storage: &FaultyStorage) -> Result<Vec<PathBuf>> {
    let dir = Path::new(ROOT).join("data/default/t");
    let (all, own) = (Table::import_dir(&dir), Table::import_dir(&dir).join("own"));
    Table::remove_import_dir(&dir, &all, storage)?;
    let skipped = table.copy_for_bulk_load(INPUT, &own)?;
    table.bulk_load(&own)?;
    Table::remove_import_dir(&dir, &own, storage)?;
    Ok(skipped)
}

#[test]
fn a_failing_load_of_copies_can_be_repeated() {
    let of_input = |storage: &FaultyStorage| -> Vec<_> {
        let bytes = |path: &PathBuf| storage.bytes(&Path::new(INPUT).join(path)).unwrap();
        left(storage).into_iter().map(|path| (bytes(&path), path)).collect()
    };
    let before = world();
    let input = of_input(&before);
    for n in 0.. {
        for crash in [None, Some(Crash::OfTheProcess), Some(Crash::Hard), Some(Crash::Torn)] {
            let shown = format!("call {n}, {crash:?}");
            let (storage, table) = open_copy(&before);
            storage.fail_among_all([n]);
            let loaded = load_copies(&table, &storage);
            if !storage.pending_faults().is_empty() {
                assert!(n > 100, "{n}");
                let skipped = ["/input/_SUCCESS", "/input/g/0c", "/input/g/_ignored"].map(PathBuf::from);
                assert_eq!(loaded.unwrap(), skipped);
                return;
            }
            let (storage, _) = check_left(storage, table, loaded.is_ok(), crash, &shown);
            load_copies(&open(&storage), &storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!(rows(&open(&storage)), expected(), "{shown}");
            assert_eq!(of_input(&storage), input, "{shown}");
            let is_left = |path: &PathBuf| path.to_str().unwrap().contains(".tmp/import");
            assert!(!storage.names().iter().any(is_left), "{shown}");
            if crash.is_none() {
                delete_rows(open(&storage), &storage, &shown);
            }
        }
    }
}
