//! A process dies at each call of a change, another one completes the change, and then power is lost: a
//! change acknowledged to the second process must not depend on names that the first one did not sync.

mod regions;

use crate::support::files::io_kind;
use crate::support::forward::forward;
use crate::support::trackers::with_list;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{
    CellRef, CellType, Compaction, Delete, Error, ErrorKind, Family, Get, ManualClock, Put, Region,
    RegionOptions, Result, Row, Scan, SeekKey, Storage, StoreFileOrigin, Table, TableChanges,
};
use std::io;
use std::path::Path;
use std::sync::Arc;

const ROOT: &str = "/hbase";
const OTHER: &str = "/other/hbase";
const T: &str = "ns:t";
const BEFORE: [&str; 4] = ["a/f=1", "a/g=1", "n/f=1", "n/g=1"];

fn options(storage: &FaultyStorage) -> RegionOptions {
    let clock = Arc::new(ManualClock::new(1000));
    Region::options().storage(Arc::new(storage.clone())).clock(clock).writable(true)
}

fn put(row: &str, value: &str) -> Put {
    Put::new(row.to_owned()).cell_at("f", "q", 5, value.to_owned()).cell_at("g", "q", 5, value.to_owned())
}

/// The family f, whose files are tracked by a list.
fn listed() -> Family {
    with_list(Family::new("f"))
}

fn create(storage: &FaultyStorage, name: &str) -> Result<Table> {
    Table::create_with(ROOT, name, &[listed(), Family::new("g")], &["m"], options(storage))
}

fn open(storage: &FaultyStorage, name: &str) -> Result<Table> {
    Table::open_with(ROOT, name, options(storage))
}

/// A durable root with a table of two regions, and a snapshot of it.
fn root() -> FaultyStorage {
    let storage = FaultyStorage::new();
    let table = create(&storage, T).unwrap();
    for row in ["a", "n"] {
        table.put(put(row, "1")).unwrap();
    }
    table.snapshot("s").unwrap();
    table.close().unwrap();
    storage.after(Crash::OfTheProcess)
}

fn cells(table: &Table) -> Vec<String> {
    cells_of(table.scan(Scan::new()).unwrap())
}

fn cells_of(rows: impl Iterator<Item = Result<Row>>) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = Vec::new();
    for row in rows {
        let row = row.unwrap();
        let cells = row.cells();
        found.extend(
            cells.map(|cell| format!("{}/{}={}", text(cell.row()), text(cell.family()), text(cell.value()))),
        );
    }
    found
}

/// Returns the cells of a table; `None` if it does not exist.
fn read(storage: &FaultyStorage, name: &str) -> Option<Vec<String>> {
    match Table::open_with(ROOT, name, options(storage).writable(false)) {
        Err(error) if error.kind() == ErrorKind::TableNotFound => None,
        opened => Some(cells(&opened.unwrap())),
    }
}

/// Checks that the snapshot has all cells.
fn check_snapshot(storage: &FaultyStorage, root: &str, shown: &str) {
    check_snapshot_named("s", storage, root, shown);
}

fn check_snapshot_named(name: &str, storage: &FaultyStorage, root: &str, shown: &str) {
    let snapshot = Table::open_snapshot_with(root, name, options(storage).writable(false));
    let snapshot = snapshot.unwrap_or_else(|error| panic!("{shown}: {error}"));
    for row in snapshot.scan(Scan::new()).unwrap() {
        row.unwrap_or_else(|error| panic!("{shown}: {error}"));
    }
    assert_eq!(cells(&snapshot), BEFORE, "{shown}");
}

/// Makes the process die at each call of `change`, makes the change again, and checks the storage after each
/// kind of power loss. `is_done` returns whether an error means that the first process had completed the
/// change.
fn each_death(
    setup: impl FnOnce() -> FaultyStorage,
    change: impl Fn(&FaultyStorage) -> Result<()>,
    is_done: impl Fn(&Error) -> bool,
    check: impl Fn(&FaultyStorage, &str),
) {
    let again = |storage: &FaultyStorage| match change(storage) {
        Err(error) if is_done(&error) => Ok(()),
        done => done,
    };
    each_death_before(setup, &change, again, check);
}

/// Makes the process die at each call of `change`, makes another change, and checks the storage after each
/// kind of power loss.
fn each_death_before(
    setup: impl FnOnce() -> FaultyStorage,
    change: impl Fn(&FaultyStorage) -> Result<()>,
    next: impl Fn(&FaultyStorage) -> Result<()>,
    check: impl Fn(&FaultyStorage, &str),
) {
    let before = setup();
    for n in 0.. {
        let storage = before.copy();
        storage.die_after(n);
        let changed = change(&storage);
        if !storage.has_died() {
            assert!(changed.is_ok() && n > 5, "{n}: {changed:?}");
            println!("{n} calls");
            return;
        }
        storage.heal();
        next(&storage).unwrap_or_else(|error| panic!("call {n}: {error}"));
        let chances = [Crash::Chance(n), Crash::Chance(n + 1000)];
        for crash in [Crash::OfTheProcess, Crash::Hard, Crash::Torn].into_iter().chain(chances) {
            check(&storage.after(crash), &format!("call {n}, {crash:?}"));
        }
    }
}

fn never(_: &Error) -> bool {
    false
}

fn is_there_already(error: &Error) -> bool {
    io_kind(error) == Some(io::ErrorKind::AlreadyExists)
}

#[test]
fn a_deleted_table_keeps_its_snapshot() {
    let delete = |storage: &FaultyStorage| Table::delete_table(ROOT, T, &options(storage));
    let is_done = |error: &Error| error.kind() == ErrorKind::TableNotFound;
    each_death(root, delete, is_done, |storage, shown| {
        assert_eq!(read(storage, T), None, "{shown}");
        check_snapshot(storage, ROOT, shown);
    });
}

#[test]
fn a_truncated_table_is_empty_and_keeps_its_snapshot() {
    let truncate = |storage: &FaultyStorage| Table::truncate(ROOT, T, true, &options(storage));
    each_death(root, truncate, never, |storage, shown| {
        assert_eq!(read(storage, T), Some(Vec::new()), "{shown}");
        check_snapshot(storage, ROOT, shown);
        // Before power is lost.
        if shown.ends_with("OfTheProcess") {
            let tmp = Path::new("hbase/.tmp");
            let left: Vec<_> = storage.names().into_iter().filter(|path| path.starts_with(tmp)).collect();
            assert!(left.is_empty(), "{shown}: {left:?}");
        }
    });
}

#[test]
fn a_deleted_family_stays_in_the_snapshot() {
    let changes = TableChanges::new().delete_family("f");
    let alter = |storage: &FaultyStorage| Table::alter(ROOT, T, &changes, &options(storage));
    let is_done = |error: &Error| error.kind() == ErrorKind::NoSuchFamily;
    each_death(root, alter, is_done, |storage, shown| {
        assert_eq!(read(storage, T), Some(vec!["a/g=1".into(), "n/g=1".into()]), "{shown}");
        check_snapshot(storage, ROOT, shown);
    });
}

/// The second process finds some directories of the family removed, and adds it again. No list of its files
/// may reappear then.
#[test]
fn a_family_that_is_added_again_is_empty() {
    let replace = |storage: &FaultyStorage| {
        let delete = TableChanges::new().delete_family("f");
        match Table::alter(ROOT, T, &delete, &options(storage)) {
            Err(error) if error.kind() == ErrorKind::NoSuchFamily => {}
            deleted => deleted?,
        }
        Table::alter(ROOT, T, &TableChanges::new().family(listed()), &options(storage))
    };
    each_death(root, replace, never, |storage, shown| {
        assert_eq!(read(storage, T), Some(vec!["a/g=1".into(), "n/g=1".into()]), "{shown}");
        check_snapshot(storage, ROOT, shown);
        if !shown.ends_with("Hard") {
            return;
        }
        let table = open(storage, T).unwrap();
        for row in ["a", "n"] {
            table.put(put(row, "2")).unwrap();
        }
        table.compact(Compaction::Major).unwrap();
        table.close().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let found = read(storage, T).unwrap();
        assert_eq!(found, ["a/f=2", "a/g=2", "n/f=2", "n/g=2"], "{shown}");
    });
}

/// The first process replays and removes a log with cells of the family.
#[test]
fn cells_of_a_deleted_family_do_not_return_with_a_log() {
    let setup = || {
        let storage = root();
        let table = open(&storage, T).unwrap();
        table.put(put("c", "1")).unwrap();
        // Neither flushed nor closed.
        storage.after(Crash::OfTheProcess)
    };
    let replay = |storage: &FaultyStorage| {
        let table = open(storage, T)?;
        table.region("c")?.flush()?;
        table.close()
    };
    let replace = |storage: &FaultyStorage| {
        Table::alter(ROOT, T, &TableChanges::new().delete_family("f"), &options(storage))?;
        Table::alter(ROOT, T, &TableChanges::new().family(listed()), &options(storage))
    };
    each_death_before(setup, replay, replace, |storage, shown| {
        assert_eq!(read(storage, T).unwrap(), ["a/g=1", "c/g=1", "n/g=1"], "{shown}");
        check_snapshot(storage, ROOT, shown);
    });
}

#[test]
fn an_added_family_keeps_what_is_written() {
    let add = |storage: &FaultyStorage| {
        Table::alter(ROOT, T, &TableChanges::new().family(Family::new("h")), &options(storage))?;
        let table = open(storage, T)?;
        table.put(Put::new("b").cell_at("h", "q", 5, "2"))?;
        table.flush()
    };
    each_death(root, add, never, |storage, shown| {
        let found = read(storage, T).unwrap();
        assert!(found.contains(&"b/h=2".to_owned()), "{shown}: {found:?}");
    });
}

#[test]
fn a_created_table_keeps_what_is_written() {
    let write = |storage: &FaultyStorage| {
        let table = match create(storage, "u") {
            Err(error) if is_there_already(&error) => open(storage, "u"),
            created => created,
        }?;
        table.put(put("b", "2"))
    };
    // In a root that exists, and in a new one.
    for setup in [root, FaultyStorage::new] {
        each_death(setup, write, never, |storage, shown| {
            assert_eq!(read(storage, "u"), Some(vec!["b/f=2".into(), "b/g=2".into()]), "{shown}");
        });
    }
}

#[test]
fn a_created_table_that_is_altered_stays() {
    let new = |storage: &FaultyStorage| create(storage, "u").map(drop);
    let alter = |storage: &FaultyStorage| {
        if read(storage, "u").is_none() {
            new(storage)?;
        }
        Table::alter(ROOT, "u", &TableChanges::new().family(Family::new("h")), &options(storage))
    };
    each_death_before(root, new, alter, |storage, shown| {
        let table = Table::open_with(ROOT, "u", options(storage).writable(false));
        let table = table.unwrap_or_else(|error| panic!("{shown}: {error}"));
        // It has the new family.
        let found = table.get(&Get::new("a").family("h"));
        assert!(found.is_ok_and(|row| row.is_empty()), "{shown}");
    });
}

/// The clock stands still, so the regions get the names of the deleted ones.
#[test]
fn a_table_that_is_created_again_has_no_old_cells() {
    let again = |storage: &FaultyStorage| {
        match Table::delete_table(ROOT, T, &options(storage)) {
            Err(error) if error.kind() == ErrorKind::TableNotFound => {}
            deleted => deleted?,
        }
        create(storage, T)?.put(put("b", "2"))
    };
    each_death(root, again, never, |storage, shown| {
        assert_eq!(read(storage, T), Some(vec!["b/f=2".into(), "b/g=2".into()]), "{shown}");
        check_snapshot(storage, ROOT, shown);
    });
}

#[test]
fn a_clone_keeps_what_is_written() {
    let write = |storage: &FaultyStorage| {
        let table = match Table::clone_snapshot(ROOT, "s", "u", options(storage)) {
            Err(error) if is_there_already(&error) => open(storage, "u"),
            cloned => cloned,
        }?;
        table.put(put("b", "2"))
    };
    each_death(root, write, never, |storage, shown| {
        let found = read(storage, "u").unwrap();
        assert_eq!(found, ["a/f=1", "a/g=1", "b/f=2", "b/g=2", "n/f=1", "n/g=1"], "{shown}");
    });
}

#[test]
fn a_restored_table_keeps_what_is_written() {
    let setup = || {
        let storage = root();
        let table = open(&storage, T).unwrap();
        table.put(put("c", "1")).unwrap();
        table.flush().unwrap();
        table.compact(Compaction::Major).unwrap();
        table.close().unwrap();
        storage.after(Crash::OfTheProcess)
    };
    let restore =
        |storage: &FaultyStorage| Table::restore_snapshot(ROOT, "s", options(storage))?.put(put("b", "2"));
    each_death(setup, restore, never, |storage, shown| {
        let found = read(storage, T).unwrap_or_else(|| panic!("{shown}"));
        assert_eq!(found, ["a/f=1", "a/g=1", "b/f=2", "b/g=2", "n/f=1", "n/g=1"], "{shown}");
        check_snapshot(storage, ROOT, shown);
    });
}

/// The second process has opened the table before, but none of its regions.
#[test]
fn a_table_that_is_restored_keeps_what_is_written_through_an_older_handle() {
    let (before, mut written) = (root(), 0);
    for n in 0.. {
        let storage = before.copy();
        let table = open(&storage, T).unwrap();
        storage.die_after(n);
        let restored = Table::restore_snapshot(ROOT, "s", options(&storage)).map(drop);
        let has_died = storage.has_died();
        storage.heal();
        // Between two renames, there is no table.
        if table.put(put("b", "2")).is_ok() {
            let found = read(&storage.after(Crash::Hard), T).unwrap_or_else(|| panic!("call {n}"));
            let expected = ["a/f=1", "a/g=1", "b/f=2", "b/g=2", "n/f=1", "n/g=1"];
            assert_eq!(found, expected, "call {n}");
            written += 1;
        }
        if !has_died {
            restored.unwrap();
            break;
        }
    }
    assert!(written > 5, "{written}");
}

#[test]
fn an_exported_snapshot_is_there() {
    let export = |storage: &FaultyStorage| Table::export_snapshot_with(ROOT, "s", OTHER, options(storage));
    each_death(root, export, is_there_already, |storage, shown| check_snapshot(storage, OTHER, shown));
}

#[test]
fn a_snapshot_that_was_taken_stays() {
    let take = |storage: &FaultyStorage| open(storage, T)?.snapshot("new").map(drop);
    each_death(root, take, is_there_already, |storage, shown| {
        check_snapshot_named("new", storage, ROOT, shown);
        check_snapshot(storage, ROOT, shown);
    });
}

/// The second process dies, too, and power is lost. While there is no table, the snapshot is needed.
#[test]
fn a_snapshot_that_is_being_restored_stays() {
    let before = root();
    let mut taken = Vec::new();
    for n in 0.. {
        let storage = before.copy();
        storage.die_after(n);
        let table = open(&storage, T);
        let done = table.and_then(|table| table.snapshot("new").map(drop));
        let has_died = storage.has_died();
        storage.heal();
        if Table::open_snapshot_with(ROOT, "new", options(&storage).writable(false)).is_ok() {
            taken.push(storage);
        }
        if !has_died {
            done.unwrap();
            break;
        }
    }
    // Also before the name is synced.
    assert!(taken.len() > 1, "{}", taken.len());
    for (n, taken) in taken.iter().enumerate() {
        for calls in 0.. {
            let storage = taken.copy();
            storage.die_after(calls);
            let done = Table::restore_snapshot(ROOT, "new", options(&storage)).map(drop);
            let left = storage.after(Crash::Hard);
            let found = read(&left, T).unwrap_or_else(|| {
                let restored = Table::restore_snapshot(ROOT, "new", options(&left));
                cells(&restored.unwrap_or_else(|error| panic!("{n}, call {calls}: {error}")))
            });
            assert_eq!(found, BEFORE, "{n}, call {calls}");
            if !storage.has_died() {
                done.unwrap();
                break;
            }
        }
    }
}

#[test]
fn a_deleted_snapshot_stays_deleted() {
    let delete = |storage: &FaultyStorage| Table::delete_snapshot_with(ROOT, "s", options(storage));
    let is_done = |error: &Error| io_kind(error) == Some(io::ErrorKind::NotFound);
    each_death(root, delete, is_done, |storage, shown| {
        let found = Table::open_snapshot_with(ROOT, "s", options(storage).writable(false));
        let error = found.map(drop).expect_err(shown);
        assert_eq!(io_kind(&error), Some(io::ErrorKind::NotFound), "{shown}: {error}");
        assert_eq!(read(storage, T), Some(BEFORE.map(str::to_owned).to_vec()), "{shown}");
    });
}

#[test]
fn splits_merges_and_parents_lose_nothing() {
    let split = |storage: &FaultyStorage| {
        let table = open(storage, T)?;
        if table.regions().len() == 2 {
            table.split("g")?;
        }
        table.put(put("b", "2"))?;
        table.put(put("h", "2"))
    };
    let expected = ["a/f=1", "a/g=1", "b/f=2", "b/g=2", "h/f=2", "h/g=2", "n/f=1", "n/g=1"];
    each_death(root, split, never, |storage, shown| {
        assert_eq!(read(storage, T).unwrap(), expected, "{shown}");
        check_snapshot(storage, ROOT, shown);
    });
    let setup = || {
        let storage = root();
        split(&storage).unwrap();
        open(&storage, T).unwrap().close().unwrap();
        storage.after(Crash::OfTheProcess)
    };
    let compact = |storage: &FaultyStorage| {
        let table = open(storage, T)?;
        table.compact(Compaction::Major)?;
        table.put(put("h", "3"))
    };
    each_death(setup, compact, never, |storage, shown| {
        let expected = expected.map(|cell| cell.replace("h/f=2", "h/f=3").replace("h/g=2", "h/g=3"));
        assert_eq!(read(storage, T).unwrap(), expected, "{shown}");
        check_snapshot(storage, ROOT, shown);
    });
    let merge = |storage: &FaultyStorage| {
        let table = open(storage, T)?;
        if let [first, second] = &table.regions()[..] {
            table.merge(first, second)?;
        }
        table.put(put("b", "2"))?;
        table.compact(Compaction::Major)?;
        table.put(put("h", "2"))
    };
    each_death(root, merge, never, |storage, shown| {
        assert_eq!(read(storage, T).unwrap(), expected, "{shown}");
        check_snapshot(storage, ROOT, shown);
    });
}

#[test]
fn writes_flushes_and_compactions_lose_nothing() {
    let write = |storage: &FaultyStorage| {
        let table = open(storage, T)?;
        table.put(put("b", "2"))?;
        table.flush()?;
        table.delete(Delete::new("n"))?;
        table.flush()?;
        table.compact(Compaction::Major)?;
        table.put(put("h", "2"))
    };
    let setup = || {
        let storage = root();
        let table = open(&storage, T).unwrap();
        table.put(put("x", "1")).unwrap();
        // Neither flushed nor closed.
        storage.after(Crash::OfTheProcess)
    };
    each_death(setup, write, never, |storage, shown| {
        let found = read(storage, T).unwrap();
        let expected = ["a/f=1", "a/g=1", "b/f=2", "b/g=2", "h/f=2", "h/g=2", "x/f=1", "x/g=1"];
        assert_eq!(found, expected, "{shown}");
        check_snapshot(storage, ROOT, shown);
    });
}

/// The second process changes no files of the compacted families.
#[test]
fn files_that_a_compaction_has_replaced_stay_in_the_snapshot() {
    let setup = || {
        let storage = root();
        let table = open(&storage, T).unwrap();
        table.put(put("c", "1")).unwrap();
        // Has both files, so also the one that is archived last.
        table.snapshot("both").unwrap();
        table.close().unwrap();
        storage.after(Crash::OfTheProcess)
    };
    let compact = |storage: &FaultyStorage| open(storage, T)?.compact(Compaction::Major);
    let write = |storage: &FaultyStorage| open(storage, T)?.put(put("b", "2"));
    each_death_before(setup, compact, write, |storage, shown| {
        let expected = ["a/f=1", "a/g=1", "b/f=2", "b/g=2", "c/f=1", "c/g=1", "n/f=1", "n/g=1"];
        assert_eq!(read(storage, T).unwrap(), expected, "{shown}");
        check_snapshot(storage, ROOT, shown);
        let both = Table::open_snapshot_with(ROOT, "both", options(storage).writable(false));
        let both = both.unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(cells(&both), ["a/f=1", "a/g=1", "c/f=1", "c/g=1", "n/f=1", "n/g=1"], "{shown}");
    });
}

#[test]
fn what_is_recovered_is_not_lost_with_the_logs() {
    let setup = || {
        let storage = root();
        let region = open(&storage, T).unwrap().regions()[0].encoded_name();
        let path = Path::new("/hbase/WALs/h,1,2/h%2C1%2C2.1000");
        storage.create_dir_all(path.parent().unwrap()).unwrap();
        let mut writer = WalWriterOptions::new().create_in(&storage, path).unwrap();
        let keys = [b"f", b"g"].map(|family| SeekKey::of(b"b", family, b"q", 5, CellType::Put));
        let cells = keys.each_ref().map(|key| CellRef::new(key, b"2"));
        writer.append(&WalKey::new(&*region, T, 1_000_000, 500), cells).unwrap();
        writer.close().unwrap();
        storage.after(Crash::OfTheProcess)
    };
    let recover = |storage: &FaultyStorage| {
        Table::recover(ROOT, options(storage))?;
        open(storage, T)?.put(put("h", "2"))
    };
    each_death(setup, recover, never, |storage, shown| {
        let expected = ["a/f=1", "a/g=1", "b/f=2", "b/g=2", "h/f=2", "h/g=2", "n/f=1", "n/g=1"];
        assert_eq!(read(storage, T).unwrap(), expected, "{shown}");
        let names = storage.names();
        assert!(names.iter().any(|name| name.ends_with("oldWALs/h%2C1%2C2.1000")), "{shown}: {names:?}");
    });
}

/// Writes a file to be loaded, of two rows.
fn write_load(region: &Region, family: &str) {
    let mut writer = region.bulk_load_writer(family, format!("/load/{family}/file")).unwrap();
    for row in ["b", "x"] {
        let key = SeekKey::of(row.as_bytes(), family.as_bytes(), b"q", 5, CellType::Put);
        writer.append(CellRef::new(&key, b"2")).unwrap();
    }
    let (timestamp, source_task) = (1000, Vec::new());
    let (exclude_from_minor_compaction, skip_reset_seq_id) = (false, false);
    let origin = StoreFileOrigin::BulkLoad {
        timestamp,
        source_task,
        exclude_from_minor_compaction,
        skip_reset_seq_id,
    };
    writer.finish(&origin).unwrap();
}

/// A durable root with a file to be loaded into both regions of a table.
fn to_load() -> FaultyStorage {
    let storage = root();
    let table = open(&storage, T).unwrap();
    storage.create_dir_all(Path::new("/load/f")).unwrap();
    write_load(&table.region("a").unwrap(), "f");
    table.close().unwrap();
    storage.after(Crash::OfTheProcess)
}

#[test]
fn bulk_loads_lose_nothing() {
    let load = |storage: &FaultyStorage| {
        let table = open(storage, T)?;
        table.bulk_load("/load")?;
        table.delete(Delete::new("n"))
    };
    each_death(to_load, load, never, |storage, shown| {
        assert_eq!(read(storage, T).unwrap(), ["a/f=1", "a/g=1", "b/f=2", "x/f=2"], "{shown}");
    });
}

fn load(storage: &FaultyStorage) -> Result<()> {
    open(storage, T)?.bulk_load("/load").map(drop)
}

fn write_both(table: &Table) -> Result<()> {
    ["c", "z"].into_iter().try_for_each(|row| table.put(put(row, "3")))
}

/// A durable root after a process has died that had moved files into a family.
fn with_moved_files() -> FaultyStorage {
    let before = to_load();
    let has_moved = |storage: &FaultyStorage| {
        let names = storage.names();
        let any = |is_wanted: fn(&str) -> bool| names.iter().any(|name| name.to_str().is_some_and(is_wanted));
        any(|name| name.ends_with("/.load")) && any(|name| name.contains("_SeqId_"))
    };
    let died_at = |n| {
        let storage = before.copy();
        storage.die_after(n);
        assert!(load(&storage).is_err(), "no process died between a move and its list");
        storage.after(Crash::OfTheProcess)
    };
    (0..).map(died_at).find(has_moved).unwrap()
}

/// A process dies after it has moved files into the families, another one while it moves them back and loads
/// them, and a third one writes: the files are still in one of the places.
#[test]
fn files_of_a_bulk_load_that_are_moved_back_are_not_lost() {
    let write = |storage: &FaultyStorage| write_both(&open(storage, T)?);
    each_death_before(with_moved_files, load, write, |storage, shown| {
        load(storage).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let expected =
            ["a/f=1", "a/g=1", "b/f=2", "c/f=3", "c/g=3", "n/f=1", "n/g=1", "x/f=2", "z/f=3", "z/g=3"];
        assert_eq!(read(storage, T).unwrap(), expected, "{shown}");
    });
}

/// A storage in which directories of files to be loaded cannot be synced.
#[derive(Debug)]
struct LoadUnsynced {
    files: FaultyStorage,
    error: io::ErrorKind,
}

impl Storage for LoadUnsynced {
    forward!(files: open create create_new create_log rename hard_link remove remove_dir);
    forward!(files: sync_file list_dir create_dir_all lock optional);

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if path.starts_with("/load") { Err(self.error.into()) } else { self.files.sync_dir(path) }
    }
}

/// Files that were moved back are not durable there. Directories of another user are not taken from it.
#[test]
fn a_region_is_not_written_if_files_of_a_bulk_load_cannot_be_synced() {
    let files = with_moved_files();
    for (error, is_written) in [(io::ErrorKind::Other, false), (io::ErrorKind::PermissionDenied, true)] {
        let storage = Arc::new(LoadUnsynced { files: files.clone(), error });
        let table = Table::open_with(ROOT, T, options(&files).storage(storage)).unwrap();
        match write_both(&table) {
            Ok(()) => assert!(is_written, "{error}"),
            Err(failed) => {
                assert!(!is_written && failed.path().unwrap().starts_with("/load"), "{error}: {failed}");
            }
        }
    }
}
