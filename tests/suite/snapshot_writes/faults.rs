//! Every call of a change fails once, or is the last one; and manifests are damaged.

use super::hbase::compact;
use super::{OTHER, ROOT, World, files, open, options, read, read_snapshot, rows};
use crate::support::crashes::{crashes_at, one_in};
use crate::support::files::{io_kind, write_synced};
use crate::support::forward::forward;
use crate::support::golden;
use crate::support::trackers::with_list;
use hregion::io::FileWriter;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::{Delete, Error, ErrorKind, Family, ManualClock, Put, Row, Scan, Storage, Table};
use std::cell::Cell;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Runs a change with each of its calls failing, and with the process or the machine dying at each, and
/// repeats it. Of some calls, only the answer is lost. `check` gets the storage after the first attempt and
/// whether it succeeded; `done` gets the storage after the change has succeeded. Storages that are the same
/// after crashes are checked once.
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
    done(&storage.after(Crash::Hard), "without faults");
    let fail = |n: u64, loses_answer: bool| {
        let context = format!("call {n} fails, its answer is lost: {loses_answer}");
        let storage = world.copy();
        storage.lose_answers(loses_answer);
        storage.fail_after(n);
        let changed = change(&storage).is_ok();
        storage.heal();
        check(&storage, changed, &context);
        if !changed && let Err(error) = change(&storage) {
            // It failed after it was complete: a cloned table could not be opened, or the last file of a
            // snapshot was removed.
            let is_done = match io_kind(&error) {
                Some(io::ErrorKind::AlreadyExists) => true,
                Some(io::ErrorKind::NotFound) => loses_answer,
                _ => false,
            };
            assert!(is_done, "{context}: {error}");
        }
        done(&storage, &context);
    };
    one_in(4).take_while(|n| *n < calls).for_each(|n| fail(n, true));
    for n in 0..calls {
        fail(n, false);
        // The process dies, and tries to go on.
        let storage = world.copy();
        storage.die_after(n);
        if change(&storage).is_ok() {
            for crash in crashes_at(n, crashes) {
                let crash = if let Crash::Chance(seed) = crash { Crash::Chance(seed + n) } else { crash };
                check(&storage.after(crash), true, &format!("{crash:?} at call {n}"));
            }
        }
    }
    let storage = world.copy();
    storage.fork_at_each();
    change(&storage).unwrap();
    let mut seen = HashSet::new();
    for (n, fork) in (0..).zip(storage.take_forks()) {
        for crash in crashes_at(n, crashes) {
            let context = format!("{crash:?} at change {n}");
            let crash = if let Crash::Chance(seed) = crash { Crash::Chance(seed + n) } else { crash };
            let storage = fork.after(crash);
            if !seen.insert(storage.entries()) {
                continue;
            }
            check(&storage, false, &context);
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

/// Copies a root written by HBase into memory.
fn in_memory(stage: &str) -> FaultyStorage {
    let storage = FaultyStorage::new();
    for (path, bytes) in files(&golden::root("testdata/region").join(stage).join("root")) {
        write_synced(&storage, &Path::new(ROOT).join(path), &bytes);
    }
    storage
}

/// HBase's manifests have no checksum: a flipped bit causes an error, or a table that can be opened.
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
                // Its regions may have other bounds, or impossible settings.
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

/// In an object store, all changes are durable at once.
const CRASH: [Crash; 1] = [Crash::OfTheProcess];

#[test]
fn a_snapshot_is_taken_whole_or_not() {
    for (world, crashes) in [(World::new(), &CRASHES[..]), (World::in_objects(), &CRASH)] {
        take_snapshot_with_faults(&world, crashes);
    }
}

fn take_snapshot_with_faults(world: &World, crashes: &[Crash]) {
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
    let calls = each_call(world, crashes, take, check, |storage, context| check(storage, true, context));
    assert!(calls > 50, "{calls}");
}

#[test]
fn a_snapshot_is_removed_whole_or_not() {
    for (world, crashes) in [(World::new(), &CRASHES[..]), (World::in_objects(), &CRASH)] {
        remove_snapshot_with_faults(world, crashes);
    }
}

fn remove_snapshot_with_faults(mut world: World, crashes: &[Crash]) {
    let has_renames = world.storage.can_rename(Path::new(ROOT));
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
        if !has_renames {
            // The removal may be carried out late.
            let error = table.snapshot("s").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{context}: {error}");
            assert!(error.message().contains("take another name"), "{context}: {error}");
            table.snapshot("s2").unwrap();
            assert_eq!(read_snapshot(storage, ROOT, "s2"), Some(rows(&table)), "{context}");
            return;
        }
        table.snapshot("s").unwrap();
        assert_eq!(
            read_snapshot(storage, ROOT, "s"),
            Some(rows(&table)),
            "{context}: the name can be used again"
        );
    };
    let calls = each_call(&world, crashes, remove, check, done);
    assert!(calls > 5, "{calls}");
}

/// After a failed call, deletes a row of a table of links, and compacts them: the row does not reappear, and
/// the other tables and the snapshots keep their cells.
fn compact_links(world: &World, storage: &FaultyStorage, name: &str, context: &str) {
    if !context.starts_with("call") {
        return;
    }
    let storage = &storage.after(Crash::OfTheProcess);
    let table = open(storage, name);
    table.delete(Delete::new("a")).unwrap();
    table.flush().unwrap();
    compact(&table);
    table.close().unwrap_or_else(|error| panic!("{context}: {error}"));
    let left: Vec<Row> = world.old.iter().filter(|row| row.key() != b"a").cloned().collect();
    assert_eq!(read(storage, name).unwrap(), left, "{context}");
    world.check_others(storage, context);
}

#[test]
fn a_table_is_cloned_whole_or_not() {
    for (world, crashes) in [(World::new(), &CRASHES[..]), (World::in_objects(), &CRASH)] {
        clone_with_faults(&world, crashes);
    }
}

fn clone_with_faults(world: &World, crashes: &[Crash]) {
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
    let done = |storage: &FaultyStorage, context: &str| {
        check(storage, true, context);
        if storage.can_rename(Path::new(ROOT)) {
            return compact_links(world, storage, "ns:d", context);
        }
        // The table can be used like any other, whatever an attempt has left; the files of the others stay.
        let storage = &storage.after(Crash::OfTheProcess);
        let table = open(storage, "ns:d");
        table.put(Put::new("q").cell("f", "q", "6").cell("g", "q", "6")).unwrap();
        compact(&table);
        let expected = rows(&table);
        assert_eq!(expected.len(), world.old.len() + 1, "{context}");
        table.close().unwrap();
        let source = open(storage, "ns:t");
        compact(&source);
        source.close().unwrap();
        world.check_others(storage, context);
        assert_eq!(read(storage, "ns:d").unwrap(), expected, "{context}");
        let report = Table::check_root(ROOT, options(storage).writable(false)).unwrap();
        let is_bad = |finding: &&hregion::Finding| finding.severity == hregion::Severity::Error;
        let bad: Vec<_> = report.findings.iter().filter(is_bad).collect();
        assert!(bad.is_empty(), "{context}: {bad:?}");
    };
    let calls = each_call(world, crashes, clone, check, done);
    assert!(calls > 50, "{calls}");
}

/// Whatever an interrupted clone has left, the table can be created with other families, and contains no cell
/// of the clone.
#[test]
fn a_table_is_created_after_a_clone_without_renames_that_was_interrupted() {
    let world = World::in_objects();
    let mut cloned = 0;
    for n in one_in(5) {
        let context = format!("call {n}");
        let storage = world.copy();
        storage.die_after(n);
        let clone = Table::clone_snapshot(ROOT, "old", "ns:d", options(&storage)).and_then(|d| d.close());
        let is_over = !storage.has_died();
        let storage = storage.after(Crash::OfTheProcess);
        let family = with_list(Family::new("h"));
        let create = |storage: &FaultyStorage, now: i64| {
            let options = options(storage).clock(Arc::new(ManualClock::new(now)));
            Table::create_with(ROOT, "ns:d", std::slice::from_ref(&family), &["k"], options)
        };
        if read(&storage, "ns:d").is_ok() {
            let error = create(&storage, 2_000_000).unwrap_err();
            assert!(error.is_already_exists(), "{context}: {error}");
            cloned += 1;
        } else {
            clone.unwrap_err();
            let has_announced =
                storage.names().iter().any(|name| name.to_string_lossy().contains("/.change."));
            // The creation is interrupted as well.
            for m in (n % 7..).step_by(7).take_while(|_| has_announced) {
                let storage = storage.after(Crash::OfTheProcess);
                storage.die_after(m);
                let created = create(&storage, 2_000_000).map(drop);
                let is_created = !storage.has_died();
                let storage = storage.after(Crash::OfTheProcess);
                if let Err(error) = read(&storage, "ns:d") {
                    assert_eq!(error.kind(), ErrorKind::TableNotFound, "{context}, {m}: {error}");
                    created.unwrap_err();
                    create(&storage, 3_000_000).unwrap();
                }
                let table = open(&storage, "ns:d");
                assert_eq!((table.regions().len(), rows(&table).len()), (2, 0), "{context}, {m}");
                table.put(Put::new("a").cell("h", "q", "1")).unwrap();
                let error = table.put(Put::new("a").cell("f", "q", "1")).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NoSuchFamily, "{context}, {m}");
                table.close().unwrap();
                world.check_others(&storage, &context);
                if is_created {
                    break;
                }
            }
        }
        if is_over {
            break;
        }
    }
    assert!(cloned > 0, "{cloned}");
}

/// HBase finds the files of a clone in an object store by lists, whatever tracker the table had.
#[test]
fn a_clone_without_renames_has_lists() {
    let world = World::new();
    let storage = FaultyStorage::new();
    storage.has_objects();
    for path in world.storage.names() {
        let bytes = world.storage.bytes(&path).unwrap();
        write_synced(&storage, &Path::new("/").join(path), &bytes);
    }
    let refused = open(&storage, "ns:t").region("a").map(drop);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    let later = options(&storage).clock(Arc::new(ManualClock::new(2_000_000)));
    let table = Table::clone_snapshot(ROOT, "new", "d", later).unwrap();
    assert_eq!(rows(&table), world.new);
    table.put(Put::new("q").cell("f", "q", "6").cell("g", "q", "6")).unwrap();
    let (expected, ids) = (rows(&table), table.regions());
    table.close().unwrap();
    assert_eq!(read(&storage, "d").unwrap(), expected);
    let lists = storage.names().into_iter().filter(|name| name.starts_with("hbase/data/default/d"));
    let lists = lists.filter(|name| name.iter().any(|part| part == ".filelist")).count();
    assert_eq!(lists, 4, "of two families in two regions");
    let found = Table::open_snapshot_with(ROOT, "new", options(&storage).writable(false)).unwrap();
    assert!(found.regions().iter().zip(&ids).all(|(of, clone)| of.region_id() != clone.region_id()));
}

/// Another process has broken the lock of the root, and created the snapshot, while this one was stopped.
#[test]
fn a_snapshot_without_renames_is_that_of_the_lock() {
    let world = World::in_objects();
    let info = Path::new(ROOT).join(".hbase-snapshot/s/.snapshotinfo");
    for is_late in [false, true] {
        let storage = world.copy();
        let other = world.copy();
        let later = options(&other).clock(Arc::new(ManualClock::new(2_000_000)));
        Table::open_with(ROOT, "ns:t", later).unwrap().snapshot("s").unwrap();
        let (late, bytes) = (storage.clone(), other.bytes(&info).unwrap());
        let paused = Paused {
            files: storage.clone(),
            at: info.clone(),
            act: Box::new(move || {
                let mut file = late.create(&Path::new(ROOT).join(".hbase-snapshot/s/.snapshotinfo")).unwrap();
                file.write_all(&bytes).unwrap();
                if is_late {
                    file.sync().unwrap();
                }
            }),
        };
        let shared = options(&storage).storage(Arc::new(paused));
        let table = Table::open_with(ROOT, "ns:t", shared).unwrap();
        table.put(Put::new("z").cell("f", "q", "6").cell("g", "q", "6")).unwrap();
        let expected = rows(&table);
        table.snapshot("s").unwrap();
        assert_eq!(read_snapshot(&storage, ROOT, "s"), Some(expected), "{is_late}");
        assert_eq!(Table::list_snapshots_with(ROOT, &storage).unwrap().len(), 3);
    }
}

/// Storage that calls a function before a file is created.
struct Paused {
    files: FaultyStorage,
    at: PathBuf,
    act: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Paused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Paused").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Storage for Paused {
    forward!(files: open create create_log hard_link rename remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        let created = self.files.create_new(path);
        if path == self.at {
            (self.act)();
        }
        created
    }
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
            // The process died between two renames.
            Err(error) => {
                assert!(!restored && error.kind() == ErrorKind::TableNotFound, "{context}: {error}");
            }
        }
    };
    // Without `Crash::Chance`: a rename that is lost on one side only would lose the whole table.
    let done = |storage: &FaultyStorage, context: &str| {
        check(storage, true, context);
        compact_links(&world, storage, "ns:t", context);
    };
    let calls = each_call(&world, &CRASHES[..3], restore, check, done);
    assert!(calls > 100, "{calls}");
}

/// The snapshots and the clone have files of the replaced table. `table_admin::objects` covers failing calls.
#[test]
fn a_table_is_restored_without_renames() {
    let world = World::in_objects();
    let storage = world.copy();
    for (name, expected) in [("old", &world.old), ("new", &world.new), ("old", &world.old)] {
        let table = Table::restore_snapshot(ROOT, name, options(&storage)).unwrap();
        assert_eq!(&rows(&table), expected, "{name}");
        table.put(Put::new("q").cell("f", "q", "6").cell("g", "q", "6")).unwrap();
        compact(&table);
        let written = rows(&table);
        assert_eq!(written.len(), expected.len() + 1, "{name}");
        table.close().unwrap();
        assert_eq!(read(&storage, "ns:t").unwrap(), written, "{name}");
        world.check_others(&storage, name);
    }
}

/// A repeated restoration may fail again, for lack of space: the replaced table remains until it succeeds.
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

/// A table that a restoration has moved away can be recovered only through its snapshot, as long as no other
/// table exists.
#[test]
fn a_snapshot_whose_restoration_was_interrupted_is_not_deleted() {
    let world = World::new();
    let restore = |storage: &FaultyStorage| {
        Table::restore_snapshot(ROOT, "old", options(storage)).and_then(|table| table.close())
    };
    let delete = |storage: &FaultyStorage, name: &str| {
        let Err(error) = Table::delete_snapshot_with(ROOT, name, options(storage)) else { return true };
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let message = error.message();
        let says = |part: &str| assert!(message.contains(part), "{part}: {message}");
        ["a restoration", "of table ns:t", "was interrupted (", ".tmp/data/ns/t"].into_iter().for_each(says);
        false
    };
    let (mut between, mut after, mut whole) = (0, 0, 0);
    for n in 0.. {
        let context = format!("call {n} was the last");
        let died = world.copy();
        died.die_after(n);
        let is_over = restore(&died).is_ok();
        let died = died.after(Crash::OfTheProcess);
        let found = read(&died, "ns:t");
        let is_gone = found.is_err();
        let has_remains =
            |storage: &FaultyStorage| storage.list_dir(&Path::new(ROOT).join(".tmp/data/ns/t")).is_ok();
        let storage = died.after(Crash::OfTheProcess);
        let is_deleted = delete(&storage, "old");
        assert_eq!(is_deleted, !is_gone, "{context}");
        if is_deleted {
            let found = found.unwrap();
            assert!(found == world.old || found == world.now, "{context}");
            assert!(read(&storage, "ns:t").unwrap() == found, "{context}");
            assert!(!has_remains(&storage), "{context}");
        } else {
            // Nothing was changed.
            assert_eq!(storage.names(), died.names(), "{context}");
            restore(&storage).unwrap();
            assert!(delete(&storage, "old"), "{context}");
            assert!(read(&storage, "ns:t").unwrap() == world.old, "{context}");
        }
        // If the table is missing, it may also be restored from another snapshot.
        let storage = died.after(Crash::OfTheProcess);
        assert_eq!(delete(&storage, "new"), !is_gone, "{context}");
        // A deletion of the table also ends the restoration.
        Table::delete_table(ROOT, "ns:t", &options(&storage)).unwrap();
        assert!(delete(&storage, "old"), "{context}");
        match (has_remains(&died), is_gone) {
            (true, true) => between += 1,
            (true, false) => after += 1,
            (false, _) => whole += 1,
        }
        if is_over {
            break;
        }
    }
    assert!(between > 0 && after > 0 && whole > 10, "{between} {after} {whole}");
}

/// The process died after the restored table was complete: the table has been written to since, and no longer
/// needs the snapshot. The deletion of the snapshot first archives the remains of the restoration.
#[test]
fn a_restoration_is_completed_when_its_snapshot_is_deleted() {
    let mut world = World::new();
    let removed = Path::new(ROOT).join(".tmp/data/ns/t");
    let died = (0..2_000).find_map(|n| {
        let storage = world.copy();
        storage.die_after(n);
        let is_over = Table::restore_snapshot(ROOT, "old", options(&storage)).is_ok();
        assert!(!is_over, "call {n} was the last");
        let storage = storage.after(Crash::OfTheProcess);
        (storage.list_dir(&removed).is_ok() && read(&storage, "ns:t").is_ok()).then_some(storage)
    });
    let died = died.unwrap();
    let table = open(&died, "ns:t");
    table.put(Put::new("x").cell("f", "q", "6").cell("g", "q", "6")).unwrap();
    table.flush().unwrap();
    table.put(Put::new("y").cell("f", "q", "7")).unwrap();
    let written = rows(&table);
    assert_eq!(written.len(), world.old.len() + 2);
    world.storage = died.after(Crash::OfTheProcess);
    drop(table);
    let delete = |storage: &FaultyStorage| Table::delete_snapshot_with(ROOT, "old", options(storage));
    let check = |storage: &FaultyStorage, deleted: bool, context: &str| {
        assert_eq!(read(storage, "ns:t").unwrap(), written, "{context}");
        assert_eq!(read(storage, "c").unwrap(), world.old, "{context}");
        assert_eq!(read_snapshot(storage, ROOT, "new").as_ref(), Some(&world.new), "{context}");
        match read_snapshot(storage, ROOT, "old") {
            None => assert!(storage.list_dir(&removed).is_err(), "{context}"),
            found => assert!(!deleted && found.as_ref() == Some(&world.old), "{context}: {found:?}"),
        }
    };
    let calls = each_call(&world, &CRASHES, delete, check, |storage, context| check(storage, true, context));
    assert!(calls > 30, "{calls}");
}

/// Truncations and alterations need no snapshot, whatever the table was before.
#[test]
fn a_snapshot_of_a_table_whose_truncation_was_interrupted_is_deleted() {
    let world = World::new();
    Table::restore_snapshot(ROOT, "old", options(&world.storage)).unwrap().close().unwrap();
    let mut with_remains = 0;
    for n in 0.. {
        let context = format!("call {n} was the last");
        let storage = world.copy();
        storage.die_after(n);
        let is_over = Table::truncate(ROOT, "ns:t", true, &options(&storage)).is_ok();
        let storage = storage.after(Crash::OfTheProcess);
        with_remains += u32::from(storage.list_dir(&Path::new(ROOT).join(".tmp/data/ns/t")).is_ok());
        let deleted = Table::delete_snapshot_with(ROOT, "old", options(&storage));
        assert!(deleted.is_ok(), "{context}: {deleted:?}");
        Table::truncate(ROOT, "ns:t", true, &options(&storage)).unwrap();
        assert!(read(&storage, "ns:t").unwrap().is_empty(), "{context}");
        if is_over {
            break;
        }
    }
    assert!(with_remains > 1, "{with_remains}");
}

#[test]
fn a_snapshot_is_exported_whole_or_not() {
    for (world, crashes) in [(World::new(), &CRASHES[..]), (World::in_objects(), &CRASH)] {
        export_with_faults(&world, crashes);
    }
}

fn export_with_faults(world: &World, crashes: &[Crash]) {
    let export = |storage: &FaultyStorage| Table::export_snapshot_with(ROOT, "old", OTHER, options(storage));
    let check = |storage: &FaultyStorage, exported: bool, context: &str| {
        world.check_others(storage, context);
        let found = read_snapshot(storage, OTHER, "old");
        assert!(found.is_none() && !exported || found.as_ref() == Some(&world.old), "{context}: {found:?}");
    };
    let left = |storage: &FaultyStorage| {
        let mut names = storage.names();
        names.retain(|name| name.starts_with("other") && name.extension().is_some_and(|end| end == "tmp"));
        names
    };
    let unfinished = Cell::new(0);
    let calls = each_call(
        world,
        crashes,
        export,
        |storage, exported, context| {
            unfinished.set(unfinished.get() + left(storage).len());
            check(storage, exported, context);
        },
        |storage, context| {
            check(storage, true, context);
            assert_eq!(left(storage), [] as [PathBuf; 0], "{context}");
        },
    );
    assert!(calls > 30, "{calls}");
    let has_renames = world.storage.can_rename(Path::new(OTHER));
    assert_eq!(unfinished.get() > 10, has_renames, "{unfinished:?}");
    if !has_renames {
        return;
    }
    // Another process, each call of which fails, removes the remains of a copy.
    let died = (0..).find_map(|n| {
        let storage = world.copy();
        storage.die_after(n);
        export(&storage).unwrap_err();
        let storage = storage.after(Crash::OfTheProcess);
        (!left(&storage).is_empty()).then_some(storage)
    });
    let died = World { storage: died.unwrap(), old: world.old.clone(), new: Vec::new(), now: Vec::new() };
    let done = |storage: &FaultyStorage, context: &str| {
        check(storage, true, context);
        assert_eq!(left(storage), [] as [PathBuf; 0], "{context}");
    };
    each_call(&died, &crashes[..1], export, check, done);
}
