//! Every call of a change fails once, or is the last one; and damaged manifests.

use super::{OTHER, ROOT, World, files, open, options, read, read_snapshot, rows};
use crate::support::files::io_kind;
use crate::support::golden;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::{Error, ErrorKind, Scan, Storage, Table};
use std::io;
use std::path::{Path, PathBuf};

/// Plays a change with each of its calls failing, and with the process or the machine dying at each, and
/// repeats it. `check` gets the storage after the first attempt and whether it succeeded; `done`, after the
/// change has succeeded.
fn each_call(
    world: &World,
    crashes: &[Crash],
    change: impl Fn(&FaultyStorage) -> Result<(), Error>,
    check: impl Fn(&FaultyStorage, bool, &str),
    done: impl Fn(&FaultyStorage, &str),
) -> u64 {
    let storage = world.copy();
    let before = storage.calls();
    change(&storage).unwrap();
    let calls = storage.calls() - before;
    done(&storage, "without faults");
    for n in 0..calls {
        let context = format!("call {n} fails");
        let storage = world.copy();
        storage.fail_after(n);
        let changed = change(&storage).is_ok();
        storage.heal();
        check(&storage, changed, &context);
        if !changed && let Err(error) = change(&storage) {
            // It failed when all was done: a table that was cloned could not be opened.
            let is_done = [Some(io::ErrorKind::AlreadyExists)];
            assert!(is_done.contains(&io_kind(&error)), "{context}: {error}");
        }
        done(&storage, &context);
        for crash in crashes {
            let context = format!("{crash:?} at call {n}");
            let storage = world.copy();
            storage.die_after(n);
            let changed = change(&storage).is_ok();
            let crash = if let Crash::Chance(seed) = crash { Crash::Chance(seed + n) } else { *crash };
            let storage = storage.after(crash);
            check(&storage, changed, &context);
            if let Err(error) = change(&storage) {
                let is_done = [io::ErrorKind::AlreadyExists, io::ErrorKind::NotFound].map(Some);
                assert!(is_done.contains(&io_kind(&error)), "{context}: {error}");
            }
            done(&storage, &context);
            done(&storage.after(Crash::Hard), &context);
        }
    }
    calls
}

/// Copies a root that HBase wrote into memory.
fn in_memory(stage: &str) -> FaultyStorage {
    let storage = FaultyStorage::new();
    for (path, bytes) in files(&golden::root("testdata/region").join(stage).join("root")) {
        let mut file = storage.create(&Path::new(ROOT).join(path)).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync().unwrap();
    }
    storage
}

/// A manifest of HBase has no checksum: a flipped bit gives an error, or a table that can be opened.
#[test]
fn damaged_manifests_panic_nowhere() {
    let sound = in_memory("clone-references");
    let path = Path::new(ROOT).join(".hbase-snapshot/joined-snap/data.manifest");
    let manifest = sound.bytes(&path).unwrap();
    let (mut cloned, mut refused) = (0, 0);
    for bit in (0..manifest.len() * 8).step_by(11) {
        let storage = sound.after(Crash::OfTheProcess);
        let mut damaged = manifest.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        storage.create(&path).unwrap().write_all(&damaged).unwrap();
        let name = "joined-snap";
        match Table::clone_snapshot(ROOT, name, "d", options(&storage)) {
            Ok(table) => {
                cloned += 1;
                // Its regions may be cut elsewhere, or have settings that cannot be.
                let _ = table.view().scan(&Scan::new()).map(|rows| rows.collect::<Vec<_>>());
            }
            Err(_) => {
                refused += 1;
                assert_eq!(read(&storage, "d").unwrap_err().kind(), ErrorKind::TableNotFound, "bit {bit}");
            }
        }
        let exported = Table::export_snapshot_with(ROOT, name, OTHER, options(&storage));
        let found = Table::open_snapshot_with(OTHER, name, options(&storage).writable(false));
        assert_eq!(exported.is_ok(), found.is_ok(), "bit {bit}");
        let joined = read(&storage, "joined").unwrap();
        if Table::restore_snapshot(ROOT, name, options(&storage)).is_err() {
            assert_eq!(read(&storage, "joined").unwrap(), joined, "bit {bit}: it is as it was");
        }
    }
    assert!(cloned > 100 && refused > 100, "{cloned} {refused}");
}

const CRASHES: [Crash; 5] =
    [Crash::OfTheProcess, Crash::Hard, Crash::Torn, Crash::Chance(1), Crash::Chance(1_000)];

#[test]
fn a_snapshot_is_taken_whole_or_not() {
    let world = World::new();
    let take = |storage: &FaultyStorage| {
        let table = Table::open_with(ROOT, "ns:t", options(storage))?;
        let taken = table.snapshot("s").map(drop);
        // A region that could not be opened or flushed may refuse writes until it is opened again.
        table.regions().iter().for_each(|info| {
            if let Ok(region) = table.region(info.start_key()) {
                region.abort().unwrap();
            }
        });
        taken
    };
    let check = |storage: &FaultyStorage, taken: bool, context: &str| {
        world.check_others(storage, context);
        assert_eq!(read(storage, "ns:t").unwrap(), world.now, "{context}");
        let found = read_snapshot(storage, ROOT, "s");
        assert!(found.is_none() && !taken || found.as_ref() == Some(&world.now), "{context}: {found:?}");
    };
    let calls = each_call(&world, &CRASHES, take, check, |storage, context| check(storage, true, context));
    assert!(calls > 50, "{calls}");
}

#[test]
fn a_snapshot_is_removed_whole_or_not() {
    let mut world = World::new();
    open(&world.storage, "ns:t").snapshot("s").unwrap();
    world.storage = world.copy();
    let remove = |storage: &FaultyStorage| Table::delete_snapshot_with(ROOT, "s", options(storage));
    let check = |storage: &FaultyStorage, removed: bool, context: &str| {
        world.check_others(storage, context);
        let found = read_snapshot(storage, ROOT, "s");
        assert!(found.is_none() || !removed && found.as_ref() == Some(&world.now), "{context}: {found:?}");
    };
    let done = |storage: &FaultyStorage, context: &str| {
        check(storage, true, context);
        let storage = &storage.after(Crash::OfTheProcess);
        let table = open(storage, "ns:t");
        table.snapshot("s").unwrap();
        assert_eq!(
            read_snapshot(storage, ROOT, "s"),
            Some(rows(&table)),
            "{context}: the name can be used again"
        );
    };
    let calls = each_call(&world, &CRASHES, remove, check, done);
    assert!(calls > 5, "{calls}");
}

#[test]
fn a_table_is_cloned_whole_or_not() {
    let world = World::new();
    let clone = |storage: &FaultyStorage| {
        Table::clone_snapshot(ROOT, "old", "ns:d", options(storage)).and_then(|table| table.close())
    };
    let check = |storage: &FaultyStorage, cloned: bool, context: &str| {
        world.check_others(storage, context);
        match read(storage, "ns:d") {
            Ok(found) => assert_eq!(found, world.old, "{context}"),
            Err(error) => assert!(!cloned && error.kind() == ErrorKind::TableNotFound, "{context}: {error}"),
        }
    };
    let calls = each_call(&world, &CRASHES, clone, check, |storage, context| check(storage, true, context));
    assert!(calls > 50, "{calls}");
}

#[test]
fn a_table_is_restored_whole_or_not() {
    let world = World::new();
    let restore = |storage: &FaultyStorage| {
        Table::restore_snapshot(ROOT, "old", options(storage)).and_then(|table| table.close())
    };
    let check = |storage: &FaultyStorage, restored: bool, context: &str| {
        world.check_others(storage, context);
        match read(storage, "ns:t") {
            Ok(found) => {
                assert!(found == world.old || !restored && found == world.now, "{context}: {found:?}");
            }
            // It is between two renames.
            Err(error) => {
                assert!(!restored && error.kind() == ErrorKind::TableNotFound, "{context}: {error}");
            }
        }
    };
    // Not by chance: a rename that is lost on one side only would lose the whole table.
    let calls =
        each_call(&world, &CRASHES[..3], restore, check, |storage, context| check(storage, true, context));
    assert!(calls > 100, "{calls}");
}

/// A restoration that is repeated may fail again, for want of space: what it replaces remains until then.
#[test]
fn a_table_between_two_renames_remains_until_the_restored_one_is_complete() {
    let world = World::new();
    let restore = |storage: &FaultyStorage| {
        Table::restore_snapshot(ROOT, "old", options(storage)).and_then(|table| table.close())
    };
    let removed = Path::new(ROOT).join(".tmp/data/ns/t");
    let removed_files = |storage: &FaultyStorage| -> Vec<PathBuf> {
        storage.names().into_iter().filter(|name| Path::new("/").join(name).starts_with(&removed)).collect()
    };
    let has_info = |name: &PathBuf| name.ends_with(".regioninfo");
    let mut between = 0;
    for n in 0.. {
        let storage = world.copy();
        storage.die_after(n);
        if restore(&storage).is_ok() {
            break;
        }
        let storage = storage.after(Crash::OfTheProcess);
        let before = removed_files(&storage);
        let is_there = read(&storage, "ns:t").is_ok();
        if is_there || !before.iter().any(has_info) {
            continue;
        }
        between += 1;
        storage.break_calls(Call::Write);
        restore(&storage).unwrap_err();
        assert_eq!(removed_files(&storage), before, "call {n} was the last");
        storage.repair();
        restore(&storage).unwrap();
        assert!(read(&storage, "ns:t").unwrap() == world.old, "call {n} was the last");
        assert_eq!(removed_files(&storage), Vec::<PathBuf>::new());
    }
    assert!(between > 0);
}

#[test]
fn a_snapshot_is_exported_whole_or_not() {
    let world = World::new();
    let export = |storage: &FaultyStorage| Table::export_snapshot_with(ROOT, "old", OTHER, options(storage));
    let check = |storage: &FaultyStorage, exported: bool, context: &str| {
        world.check_others(storage, context);
        let found = read_snapshot(storage, OTHER, "old");
        assert!(found.is_none() && !exported || found.as_ref() == Some(&world.old), "{context}: {found:?}");
    };
    let calls = each_call(&world, &CRASHES, export, check, |storage, context| check(storage, true, context));
    assert!(calls > 30, "{calls}");
}
