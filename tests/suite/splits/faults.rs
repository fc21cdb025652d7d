//! Every call of a split, merge or archival fails once, or the machine stops at that call.

use super::{
    META, ROOT, TABLE, add_catalog, check_catalog, compact, create, died_after, families, names, open,
    options, put, region_dirs, values,
};
use crate::support::crashes::one_in;
use crate::support::random_ops::number;
use crate::support::trackers::with_list;
use hregion::io::faulty::{Crash, FaultyEntry, FaultyStorage};
use hregion::{
    Compaction, Delete, FindingKind, Get, ManualClock, RegionInfo, Result, RowRef, Scan, Severity, Storage,
    Table, TableView,
};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// A closed table with rows on both sides of `m`, in files and in a log.
pub(super) fn written(splits: &[&str]) -> FaultyStorage {
    written_in(FaultyStorage::new(), splits)
}

/// The same table in an object store.
fn written_in_objects(splits: &[&str]) -> FaultyStorage {
    let storage = FaultyStorage::new();
    storage.has_objects();
    written_in(storage, splits)
}

/// The same table, with a list that tracks the files of one family.
fn written_with_list(splits: &[&str]) -> FaultyStorage {
    let (storage, [f, g]) = (FaultyStorage::new(), families());
    let table = Table::create_with(ROOT, "t", &[with_list(f), g], splits, options(&storage)).unwrap();
    fill(&table);
    storage.after(Crash::OfTheProcess)
}

fn written_in(storage: FaultyStorage, splits: &[&str]) -> FaultyStorage {
    let table = create(&storage, splits);
    fill(&table);
    storage.after(Crash::OfTheProcess)
}

fn fill(table: &Table) {
    for rows in [&["a", "b", "x"][..], &["n", "y", "z"], &["b", "m"]] {
        rows.iter().for_each(|row| table.put(put(row, &rows.len().to_string())).unwrap());
        table.flush().unwrap();
    }
    table.delete(Delete::new("x")).unwrap();
    table.put(put("l", "log")).unwrap();
}

/// The same table, with a catalog.
fn in_a_catalog(splits: &[&str]) -> FaultyStorage {
    with_catalog(written(splits))
}

fn objects_in_a_catalog(splits: &[&str]) -> FaultyStorage {
    with_catalog(written_in_objects(splits))
}

fn with_catalog(storage: FaultyStorage) -> FaultyStorage {
    let table = Table::open_with(ROOT, "t", options(&storage)).unwrap();
    add_catalog(&storage, &table);
    storage
}

/// Splits the table.
fn split(storage: FaultyStorage) -> FaultyStorage {
    let table = open(&storage, true);
    table.split("m").unwrap();
    table.close().unwrap();
    storage
}

/// Splits the table and compacts its regions, so that the parent can be archived.
fn compacted(storage: FaultyStorage) -> FaultyStorage {
    let storage = split(storage);
    let table = open(&storage, true);
    compact(&table);
    table.close().unwrap();
    storage
}

/// A region that serves again because a snapshot with it was restored. The catalog has it as split or, if the
/// parent was archived, not at all.
fn restored_without_catalog(split_at: &str, is_archived: bool) -> FaultyStorage {
    let storage = in_a_catalog(&[]);
    let table = open(&storage, true);
    table.snapshot("before").unwrap();
    table.split(split_at).unwrap();
    if is_archived {
        table.compact(Compaction::Major).unwrap();
        assert_eq!(region_dirs(&storage), 2);
    }
    table.close().unwrap();
    let of_catalog = || storage.names().into_iter().map(|path| Path::new("/").join(path));
    let of_catalog = || of_catalog().filter(|path| path.starts_with(META)).collect::<Vec<_>>();
    let rows: Vec<_> = of_catalog().into_iter().map(|path| (storage.bytes(&path).unwrap(), path)).collect();
    Table::restore_snapshot(ROOT, "before", options(&storage)).unwrap().close().unwrap();
    of_catalog().iter().for_each(|path| storage.remove(path).unwrap());
    for (bytes, path) in rows {
        storage.create(&path).unwrap().write_all(&bytes).unwrap();
        storage.sync_file(&path).unwrap();
        storage.sync_dir(path.parent().unwrap()).unwrap();
    }
    storage
}

const NEW: [&str; 2] = ["c-new", "q-new"];

/// All kinds of crashes.
fn all_crashes(n: u64) -> Vec<Crash> {
    vec![Crash::OfTheProcess, Crash::Hard, Crash::Torn, Crash::Chance(n)]
}

/// One kind of crash for each call; all of them if `HREGION_EVERY` is 1.
fn one_crash(n: u64) -> Vec<Crash> {
    let all = all_crashes(n);
    if is_long() { all } else { vec![all[usize::try_from(n).unwrap() % all.len()]] }
}

/// No crash: calls only fail.
fn no_crash(_: u64) -> Vec<Crash> {
    Vec::new()
}

/// Whether each case is played to its end.
fn is_long() -> bool {
    number("HREGION_EVERY") == Some(1)
}

/// What the rest of a case depends on, if the table has the expected cells: the names and lengths of the
/// files, the cells of the catalog, and the regions in memory.
fn outline(storage: &FaultyStorage, table: &Table) -> Vec<String> {
    let shown = |entry: FaultyEntry| {
        let name = entry.path.file_name().unwrap().to_string_lossy();
        // The names of new store files begin with 32 random digits.
        let is_random = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = match name.split_at_checked(32) {
            Some((digits, rest)) if entry.bytes.is_some() && is_random(digits) => format!("*{rest}"),
            _ => name.to_string(),
        };
        let len = entry.bytes.as_ref().map(|bytes| bytes.len());
        format!("{} {len:?}", entry.path.with_file_name(name).display())
    };
    let mut outline: Vec<String> = storage.entries().into_iter().map(shown).collect();
    outline.sort_unstable();
    if storage.list_dir(Path::new(META)).is_ok() {
        let meta = options(storage).open(META).unwrap();
        let rows = meta.scan(Scan::new().max_versions(u32::MAX)).unwrap();
        outline.extend(rows.map(|row| format!("{:?}", row.unwrap())));
    }
    for info in table.regions() {
        let region = table.region(info.start_key()).unwrap();
        outline.push(format!("{info} {} {:?}", region.memstore_size(), region.health()));
    }
    outline
}

/// Makes `change` fail at each of its calls, or the process die there, and checks that it takes effect or
/// not, that nothing is lost, and that it can be made then. `regions` is the number of regions afterwards.
/// A run selects every second call, all if `HREGION_EVERY` is 1.
///
/// Many cases end alike. Storages that are the same after crashes are checked once, and of cases with the
/// same [`outline`] when the change is made, the rest is played once.
fn each_failure(
    crashes: fn(u64) -> Vec<Crash>,
    setup: impl FnOnce() -> FaultyStorage,
    regions: usize,
    change: impl Fn(&Table) -> Result<()>,
) {
    let before = setup();
    let begin = || {
        let storage = before.copy();
        let table = open(&storage, true);
        (storage, table)
    };
    let put_new = |table: &Table| NEW.into_iter().try_for_each(|row| table.put(put(row, "new")));
    let expected = values(&open(&before.copy(), false));
    let is_new = |line: &String| NEW.iter().any(|row| line.starts_with(row));
    let check = |table: &Table, acknowledged: bool, shown: &str| {
        let (new, old): (Vec<_>, Vec<_>) = values(table).into_iter().partition(is_new);
        assert_eq!(old, expected, "{shown}");
        assert!(!acknowledged || new.len() == 2 * NEW.len(), "{shown}: {new:?}");
    };
    let mut outlines = HashSet::new();
    let mut go_on = |table: Table, storage: &FaultyStorage, acknowledged: bool, shown: &str| {
        check(&table, acknowledged, shown);
        let table = sound(table, storage, shown);
        change_again(&table, regions, &change).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(table.regions().len(), regions, "{shown}");
        check(&table, acknowledged, shown);
        for row in NEW {
            table.put(put(row, "newer")).unwrap();
        }
        check(&table, true, shown);
        if !outlines.insert(outline(storage, &table)) && !is_long() {
            check(&open(storage, false), true, shown);
            return;
        }
        table.compact(Compaction::Major).unwrap();
        if storage.list_dir(Path::new(META)).is_ok() {
            let rows = check_catalog(storage, &table);
            assert!(rows.iter().all(|row| row.merge_parents().is_empty()), "{shown}");
        }
        assert_eq!(region_dirs(storage), regions, "{shown}");
        assert!(names(storage, ".change").is_empty(), "{shown}");
        check(&table, true, shown);
        table.split("b").unwrap();
        check(&table, true, shown);
        table.close().unwrap_or_else(|error| panic!("{shown}: {error}"));
        check(&open(storage, false), true, shown);
        let mut report = Table::check_root(ROOT, options(storage)).unwrap();
        // The finding for the parent of the last split.
        report.findings.retain(|finding| finding.severity > Severity::Info);
        if !storage.can_rename(Path::new(ROOT)) {
            // A flush that was cut off leaves an untracked file.
            report.findings.retain(|finding| finding.kind != FindingKind::UntrackedFile);
        }
        assert!(report.findings.is_empty(), "{shown}: {:?}", report.findings);
    };
    for n in one_in(2) {
        let (storage, table) = begin();
        storage.fail_among_all([n]);
        let changed = change(&table);
        let acknowledged = changed.is_ok() && put_new(&table).is_ok();
        if !storage.pending_faults().is_empty() {
            assert!(changed.is_ok() && n > 30, "{n}");
            break;
        }
        go_on(table, &storage, acknowledged, &format!("call {n}"));
    }
    let (storage, table) = begin();
    storage.fork_at_each();
    change(&table).unwrap();
    put_new(&table).unwrap();
    for crash in crashes(0) {
        check(&open(&storage.after(crash), false), true, &format!("acknowledged, then {crash:?}"));
    }
    let (forks, mut left) = (storage.take_forks(), HashSet::new());
    for n in one_in(2) {
        let Some(fork) = forks.get(usize::try_from(n).unwrap()) else { break };
        for crash in crashes(n) {
            let shown = format!("death {n}, {crash:?}");
            let storage = fork.after(crash);
            if left.insert(storage.entries()) {
                check(&open(&storage, false), false, &shown);
                go_on(open(&storage, true), &storage, false, &shown);
            }
        }
    }
    println!("{} deaths, {} different ones", forks.len(), left.len());
    assert!(left.len() > 10 || crashes(0).is_empty(), "{}", left.len());
}

/// Opens the table again if a region refuses writes because writing its log failed.
fn sound(table: Table, storage: &FaultyStorage, shown: &str) -> Table {
    let is_poisoned = |info: &RegionInfo| {
        let region = table.region(info.start_key()).unwrap_or_else(|error| panic!("{shown}: {error}"));
        region.health().poisoned.is_some()
    };
    if !table.regions().iter().any(is_poisoned) {
        return table;
    }
    // Whether this fails or not, the cells are in files or logs.
    let _ = table.close();
    open(storage, true)
}

fn change_again(table: &Table, regions: usize, change: impl Fn(&Table) -> Result<()>) -> Result<()> {
    if table.regions().len() == regions { Ok(()) } else { change(table) }
}

#[test]
fn a_split_is_made_or_not() {
    each_failure(all_crashes, || written(&[]), 2, |table| table.split("m").map(drop));
    each_failure(one_crash, || written_in_objects(&[]), 2, |table| table.split("m").map(drop));
}

#[test]
fn a_split_of_listed_files_is_made_or_not() {
    each_failure(no_crash, || written_with_list(&[]), 2, |table| table.split("m").map(drop));
}

#[test]
fn a_compaction_of_listed_files_archives_parents_or_the_next_does() {
    let compact = |table: &Table| table.compact(Compaction::Major);
    each_failure(no_crash, || split(written_with_list(&[])), 2, compact);
}

/// The rows of the first split do not prove that the second one was made. The clock does not advance, so
/// daughters of both splits may have the same names.
#[test]
fn a_split_of_a_restored_region_is_made_or_not() {
    let cases = [("g", true), ("m", false), ("g", false), ("m", true)];
    for (split_at, is_archived) in &cases[..if is_long() { 4 } else { 2 }] {
        let setup = || restored_without_catalog(split_at, *is_archived);
        each_failure(one_crash, setup, 2, |table| table.split("m").map(drop));
    }
}

#[test]
fn a_merge_is_made_or_not() {
    let merge = |table: &Table| match &table.regions()[..] {
        [first, second] => table.merge(first, second).map(drop),
        other => panic!("{other:?}"),
    };
    each_failure(all_crashes, || written(&["m"]), 1, merge);
    each_failure(one_crash, || written_in_objects(&["m"]), 1, merge);
}

#[test]
fn the_catalog_decides_whether_a_change_has_been_made() {
    let merge = |table: &Table| match &table.regions()[..] {
        [first, second] => table.merge(first, second).map(drop),
        other => panic!("{other:?}"),
    };
    for setup in [in_a_catalog, objects_in_a_catalog] {
        each_failure(one_crash, || setup(&[]), 2, |table| table.split("m").map(drop));
        each_failure(one_crash, || setup(&["m"]), 1, merge);
    }
}

#[test]
fn archived_parents_are_not_needed() {
    let archive = |table: &Table| table.archive_parents().map(drop);
    each_failure(all_crashes, || compacted(written(&[])), 2, archive);
    each_failure(one_crash, || compacted(in_a_catalog(&[])), 2, archive);
    each_failure(one_crash, || compacted(written_in_objects(&[])), 2, archive);
    each_failure(one_crash, || compacted(objects_in_a_catalog(&[])), 2, archive);
}

#[test]
fn a_compaction_archives_parents_or_the_next_does() {
    let compact = |table: &Table| table.compact(Compaction::Major);
    each_failure(one_crash, || split(in_a_catalog(&[])), 2, compact);
    let merged = || {
        let storage = in_a_catalog(&["m"]);
        let table = open(&storage, true);
        table.merge(&table.regions()[0], &table.regions()[1]).unwrap();
        table.close().unwrap();
        storage
    };
    each_failure(one_crash, merged, 1, compact);
}

/// Two calls fail: the change cannot be resolved at once, but when the region is used next.
#[test]
fn a_change_that_could_not_be_undone_is_resolved_later() {
    for setup in [written, written_in_objects] {
        change_that_cannot_be_undone(&setup(&[]));
    }
}

fn change_that_cannot_be_undone(before: &FaultyStorage) {
    let expected = values(&open(before, false));
    let mut calls = 0;
    let storage = before.copy();
    let table = open(&storage, true);
    let first = storage.all_calls();
    table.split("m").unwrap();
    let all = storage.all_calls() - first;
    for n in 0..all {
        let storage = before.copy();
        let table = open(&storage, true);
        storage.fail_among_all([n, n + 1, n + 2, n + 3]);
        let result = table.split("m");
        storage.heal();
        if result.is_ok() {
            continue;
        }
        calls += 1;
        let hard = storage.after(Crash::Hard);
        for table in [open(&hard, false), open(&hard, true), open(&storage, false)] {
            assert_eq!(values(&table), expected, "call {n}");
        }
        if table
            .regions()
            .iter()
            .any(|info| table.region(info.start_key()).is_ok_and(|region| region.health().poisoned.is_some()))
        {
            continue;
        }
        assert_eq!(values(&table), expected, "call {n}");
        match table.regions().len() {
            1 => table.split("m").map(drop).unwrap_or_else(|error| panic!("call {n}: {error}")),
            _ => println!("call {n}: made all the same"),
        }
        assert_eq!(values(&table), expected, "call {n}");
        table.put(put("m", "later")).unwrap();
        let later = values(&table);
        assert_ne!(later, expected);
        assert_eq!(values(&open(&storage.after(Crash::Hard), true)), later, "call {n}");
    }
    assert!(calls > 50, "{calls}");
}

/// The process dies after the catalog has a split. HBase, which ignores the file of the change, continues: it
/// serves the daughters, removes the parent, and replaces and removes daughters.
#[test]
fn a_change_that_the_catalog_has_was_made_whatever_came_later() {
    type Work<'w> = &'w dyn Fn(&Table) -> Result<()>;
    let catalog_rows = |storage: &FaultyStorage| {
        let meta = options(storage).open(META).unwrap();
        meta.scan(Scan::new().family("info")).unwrap().count()
    };
    let before = in_a_catalog(&[]);
    let died = |n| {
        let (storage, split) = died_after(&before, n, |table| table.split("m"));
        storage.filter(|_| split.is_err()).unwrap_or_else(|| panic!("call {n}: {split:?}"))
    };
    let is_between =
        |storage: &FaultyStorage| !names(storage, "/.change.").is_empty() && catalog_rows(storage) == 3;
    let begun = (0..).map(died).find(is_between).unwrap();
    let [path] = &names(&begun, "/.change.")[..] else { panic!("one change") };
    let bytes = begun.bytes(path).unwrap();
    let merge = |table: &Table| table.merge(&table.regions()[0], &table.regions()[1]).map(drop);
    let later: [(&str, Work<'_>); 7] = [
        ("nothing", &|_| Ok(())),
        ("a daughter was split, the parent remains", &|table| {
            compact(table);
            table.split("b").map(drop)
        }),
        ("the daughters were merged, the parent remains", &|table| {
            compact(table);
            merge(table)
        }),
        ("the parent was removed", &|table| table.compact(Compaction::Major)),
        ("a daughter was split", &|table| {
            table.compact(Compaction::Major)?;
            table.split("b").map(drop)
        }),
        ("a daughter was removed", &|table| {
            table.compact(Compaction::Major)?;
            table.split("b")?;
            table.compact(Compaction::Major)
        }),
        ("the daughters were merged", &|table| {
            table.compact(Compaction::Major)?;
            merge(table)
        }),
    ];
    for (shown, work) in later {
        let storage = begun.after(Crash::OfTheProcess);
        storage.remove(path).unwrap();
        let table = open(&storage, true);
        for row in ["b", "y"] {
            table.put(put(row, "later")).unwrap();
        }
        work(&table).unwrap();
        let (expected, regions) = (values(&table), table.regions());
        table.close().unwrap();
        // The file existed throughout.
        storage.create(path).unwrap().write_all(&bytes).unwrap();
        let reader = open(&storage, false);
        assert_eq!((values(&reader), reader.regions()), (expected.clone(), regions.clone()), "{shown}");
        each_failure_of_opening(&storage, &expected, shown);
        let table = open(&storage, true);
        assert_eq!((values(&table), table.regions()), (expected.clone(), regions), "{shown}");
        assert!(names(&storage, "/.change.").is_empty(), "{shown}");
        check_catalog(&storage, &table);
        table.put(put("c", "new")).unwrap();
        table.close().unwrap();
        let found = values(&open(&storage, false));
        assert!(expected.iter().all(|cell| found.contains(cell)), "{shown}");
    }
}

/// Merges two regions in a process that dies after `n` calls. Returns the storage, and whether the process
/// has died and the merge has failed.
fn died_in_a_merge(before: &FaultyStorage, n: u64) -> (FaultyStorage, bool) {
    let storage = before.copy();
    let table = open(&storage, true);
    storage.die_after(n);
    let merged = table.merge(&table.regions()[0], &table.regions()[1]);
    drop(table);
    let has_died = storage.has_died() && merged.is_err();
    (storage.after(Crash::OfTheProcess), has_died)
}

/// The process dies in a merge, before the catalog has it. HBase, which ignores the file of the change,
/// continues: it splits one of the parents, and may remove it, and serves the other.
#[test]
fn a_merge_that_the_catalog_does_not_have_was_not_made_whatever_came_later() {
    let before = in_a_catalog(&["m"]);
    let died = |n| {
        let (storage, has_died) = died_in_a_merge(&before, n);
        assert!(has_died, "call {n}");
        storage
    };
    let is_child = |storage: &FaultyStorage, name: &str| {
        let changes = names(storage, "/.change.");
        changes.first().is_some_and(|change| change.to_string_lossy().ends_with(name))
    };
    let has_child = |storage: &FaultyStorage| {
        names(storage, "/.regioninfo").iter().any(|path| {
            let dir = path.parent().and_then(Path::file_name);
            dir.is_some_and(|dir| is_child(storage, &dir.to_string_lossy()))
        })
    };
    let begun = (0..).map(died).find(has_child).unwrap();
    let [change] = &names(&begun, "/.change.")[..] else { panic!("one change") };
    let child = change.to_string_lossy().rsplit_once('.').unwrap().1.to_owned();
    let left: Vec<_> = names(&begun, &child).into_iter().filter(|path| begun.bytes(path).is_some()).collect();
    for (parent, is_removed) in [("b", false), ("b", true), ("y", false), ("y", true)] {
        let shown = format!("the parent with {parent} was split, removed: {is_removed}");
        let storage = begun.after(Crash::OfTheProcess);
        left.iter().for_each(|path| storage.remove(path).unwrap());
        let later = options(&storage).writable(true).clock(Arc::new(ManualClock::new(2000)));
        let table = Table::open_with(ROOT, "t", later).unwrap();
        table.split(parent).unwrap();
        if is_removed {
            table.compact(Compaction::Major).unwrap();
        }
        for row in ["b", "z"] {
            table.put(put(row, "later")).unwrap();
        }
        let (expected, regions) = (values(&table), table.regions());
        table.close().unwrap();
        // The files existed throughout.
        for path in &left {
            storage.create_dir_all(path.parent().unwrap()).unwrap();
            storage.create(path).unwrap().write_all(&begun.bytes(path).unwrap()).unwrap();
        }
        let reader = open(&storage, false);
        assert_eq!((values(&reader), reader.regions()), (expected.clone(), regions.clone()), "{shown}");
        each_failure_of_opening(&storage, &expected, &shown);
        let table = open(&storage, true);
        assert_eq!((values(&table), table.regions()), (expected.clone(), regions), "{shown}");
        assert!(names(&storage, &child).is_empty(), "{shown}");
        check_catalog(&storage, &table);
    }
}

/// The process dies after the catalog has a merge. HBase continues, and has removed one of the parents.
#[test]
fn a_merge_that_the_catalog_has_was_made_when_one_parent_is_left() {
    let before = in_a_catalog(&["m"]);
    let storage = before.copy();
    let table = open(&storage, true);
    let parents = table.regions();
    let calls = storage.all_calls();
    table.merge(&parents[0], &parents[1]).unwrap();
    let calls = storage.all_calls() - calls;
    let died = |n| died_in_a_merge(&before, n).0;
    // The last call at which the file exists.
    let has_change = |storage: &FaultyStorage| !names(storage, "/.change.").is_empty();
    let begun = (0..calls).rev().map(died).find(has_change).unwrap();
    let [change] = &names(&begun, "/.change.")[..] else { panic!("one change") };
    let bytes = begun.bytes(change).unwrap();
    for parent in &parents {
        let storage = begun.after(Crash::OfTheProcess);
        let table = open(&storage, true);
        assert_eq!(table.regions().len(), 1);
        compact(&table);
        table.put(put("y", "later")).unwrap();
        let (expected, regions) = (values(&table), table.regions());
        table.close().unwrap();
        let dir = Path::new(TABLE).join(parent.encoded_name());
        storage.rename(&dir, Path::new("/removed")).unwrap();
        storage.create(change).unwrap().write_all(&bytes).unwrap();
        let reader = open(&storage, false);
        assert_eq!((values(&reader), reader.regions()), (expected.clone(), regions.clone()), "{parent}");
        each_failure_of_opening(&storage, &expected, &format!("{parent} was removed"));
        let table = open(&storage, true);
        assert_eq!((values(&table), table.regions()), (expected, regions), "{parent}");
        check_catalog(&storage, &table);
    }
}

/// Opens the table for writing, with each call failing once, and then again. It has the cells each time.
fn each_failure_of_opening(storage: &FaultyStorage, expected: &[String], shown: &str) {
    for n in 0.. {
        let storage = storage.after(Crash::OfTheProcess);
        storage.fail_among_all([n]);
        let opened = Table::open_with(ROOT, "t", options(&storage).writable(true));
        if !storage.pending_faults().is_empty() {
            assert!(opened.is_ok() && n > 5, "{shown}, {n} calls");
            return;
        }
        drop(opened);
        for storage in [storage.after(Crash::Hard), storage] {
            assert_eq!(values(&open(&storage, false)), expected, "{shown}, call {n}");
            assert_eq!(values(&open(&storage, true)), expected, "{shown}, call {n}");
            assert!(names(&storage, "/.change.").is_empty(), "{shown}, call {n}");
        }
    }
}

/// The process dies in a split, and regions are then opened by their directories, not through the table.
#[test]
fn what_is_written_by_directory_is_not_lost_with_an_interrupted_split() {
    for setup in [written, in_a_catalog, written_in_objects, objects_in_a_catalog] {
        let before = setup(&[]);
        let (mut refused, mut deaths) = (0, 0);
        for n in 0.. {
            let (storage, split) = died_after(&before, n, |table| table.split("m"));
            let Some(storage) = storage else {
                assert!(split.is_ok() && refused > 3, "{n} calls, {refused} of {deaths} refused");
                break;
            };
            if names(&storage, "/.change.").is_empty() {
                continue;
            }
            deaths += 1;
            let mut written = Vec::new();
            for entry in storage.list_dir(Path::new(TABLE)).unwrap().iter().filter(|entry| entry.is_dir) {
                match options(&storage).writable(true).open(Path::new(TABLE).join(&entry.name)) {
                    Ok(region) => {
                        let row = if region.info().contains(b"b9") { "b9" } else { "n9" };
                        region.put(put(row, "new")).unwrap();
                        region.close().unwrap();
                        written.push(row);
                    }
                    Err(_) => refused += 1,
                }
            }
            let found = values(&open(&storage, true));
            let is_there = |row: &&str| found.iter().any(|cell| cell.starts_with(*row));
            assert!(written.iter().all(is_there), "call {n}: {written:?} {found:?}");
        }
    }
}

/// Splits a table of one region, or merges the first two.
pub(super) fn split_or_merge(table: &Table) -> Result<()> {
    match &table.regions()[..] {
        [_] => table.split("m").map(drop),
        [first, second, ..] => table.merge(first, second).map(drop),
        [] => Ok(()),
    }
}

/// A compaction succeeds although a replaced reference cannot be archived at first.
#[test]
fn a_compaction_of_a_table_archives_the_parents_or_fails() {
    for (merges, setup) in [(false, written(&[])), (true, written(&["m"]))] {
        let table = open(&setup, true);
        split_or_merge(&table).unwrap();
        table.close().unwrap();
        let mut failed = 0;
        for n in 0.. {
            let shown = format!("merge {merges}, call {n}");
            let storage = setup.after(Crash::OfTheProcess);
            let table = open(&storage, true);
            storage.fail_among_all([n]);
            let compacted = table.compact(Compaction::Major);
            let is_past = !storage.pending_faults().is_empty();
            storage.heal();
            if compacted.is_ok() {
                table.close().unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert_eq!(region_dirs(&storage), if merges { 1 } else { 2 }, "{shown}");
            } else {
                failed += 1;
            }
            if is_past {
                compacted.unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert!(failed > 20, "{shown}: {failed} have failed");
                break;
            }
        }
    }
}

/// The process dies in a split or merge. The next process that opens the table for writing completes or
/// undoes it.
#[test]
fn an_unfinished_change_is_no_damage() {
    for (setup, splits) in [
        (written as fn(&[&str]) -> _, &[][..]),
        (written, &["m"]),
        (in_a_catalog, &[]),
        (in_a_catalog, &["m"]),
    ] {
        let before = setup(splits);
        let mut unfinished = 0;
        for n in 0.. {
            let (storage, changed) = died_after(&before, n, split_or_merge);
            let Some(storage) = storage else {
                assert!(changed.is_ok() && unfinished > 5, "{n} calls, {unfinished} unfinished");
                break;
            };
            let report = Table::check_root(ROOT, options(&storage)).unwrap();
            let (errors, others): (Vec<_>, Vec<_>) =
                report.findings.into_iter().partition(|finding| finding.severity == Severity::Error);
            assert!(errors.is_empty(), "call {n}: {errors:?}");
            unfinished += usize::from(!names(&storage, "/.change.").is_empty());
            let is_told = others.iter().any(|finding| finding.kind == FindingKind::LeftoverTmp);
            assert!(is_told || names(&storage, "/.change.").is_empty(), "call {n}: {others:?}");
        }
    }
}

/// Another process makes a split or merge after the table was opened here, and before its regions are opened.
#[test]
fn a_view_has_the_regions_of_a_change_that_ended_meanwhile() {
    let text = |row: RowRef<'_>| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        format!("{}={}", text(row.key()), text(row.value("f", "q").unwrap()))
    };
    let gets = ["a", "b", "l", "m", "n", "y", "z"].map(Get::new);
    type Read<'r> = &'r dyn Fn(&Table, &TableView) -> Result<Vec<String>>;
    let of_view: [(&str, Read<'_>); 4] = [
        ("scan", &|_, view| view.scan(&Scan::new())?.map(|row| Ok(text(row?.as_row()))).collect()),
        ("reversed scan", &|_, view| {
            let scan = Scan::new().reversed(true);
            let mut rows: Vec<_> = view.scan(&scan)?.collect::<Result<_>>()?;
            rows.reverse();
            Ok(rows.iter().map(|row| text(row.as_row())).collect())
        }),
        ("get", &|_, view| gets.iter().map(|get| Ok(text(view.get(get)?.as_row()))).collect()),
        ("get_many", &|_, view| Ok(view.get_many(&gets)?.iter().map(|row| text(row.as_row())).collect())),
    ];
    let of_table: [(&str, Read<'_>); 3] = [
        ("for_each_row", &|table, _| {
            let mut rows = Vec::new();
            table.for_each_row(&Scan::new(), |row| {
                rows.push(text(row));
                Ok::<_, hregion::Error>(ControlFlow::Continue(()))
            })?;
            Ok(rows)
        }),
        ("table scan", &|table, _| table.scan(Scan::new())?.map(|row| Ok(text(row?.as_row()))).collect()),
        ("explain", &|table, view| {
            let explained = view.explain(&Scan::new(), |_| ControlFlow::Continue(()))?;
            assert_eq!(explained.rows, 7);
            table.view().scan(&Scan::new())?.map(|row| Ok(text(row?.as_row()))).collect()
        }),
    ];
    for splits in [&[][..], &["m", "n"]] {
        let before = written(splits);
        let died = |n| {
            let storage = before.copy();
            let table = open(&storage, true);
            storage.die_after(n);
            let changed = split_or_merge(&table);
            drop(table);
            (storage.has_died() || changed.is_ok()).then(|| storage.after(Crash::OfTheProcess))
        };
        // The last call before which the file of the change exists.
        let has_change = |storage: &FaultyStorage| !names(storage, "/.change.").is_empty();
        let begun = (0..).map_while(died).skip_while(|storage| !has_change(storage));
        let begun = begun.take_while(has_change).last().unwrap();
        let [change] = &names(&begun, "/.change.")[..] else { panic!("one change") };
        let parents = open(&begun, false).regions();
        for (is_view, (shown, read)) in
            of_view.iter().map(|read| (true, read)).chain(of_table.iter().map(|read| (false, read)))
        {
            let storage = begun.after(Crash::OfTheProcess);
            let lock = Path::new(TABLE).join(parents[0].encoded_name()).join(".hregion.lock");
            let lock = storage.lock(&lock).unwrap();
            let table = open(&storage, true);
            assert_eq!(table.regions(), parents, "the change may still fail");
            let view = table.view();
            // A region that the view has read stays unchanged.
            let is_other_read = parents.len() > 2;
            if is_other_read {
                view.get(&Get::new("y")).unwrap();
                table.put(put("y", "later")).unwrap();
            }
            storage.remove(change).unwrap();
            drop(lock);
            let found = read(&table, &view).unwrap_or_else(|error| panic!("{shown}: {error}"));
            let y = if is_other_read && !is_view { "later" } else { "3" };
            let expected = ["a=3", "b=2", "l=log", "m=2", "n=3", &format!("y={y}"), "z=3"];
            assert_eq!(found, expected, "{shown}");
            assert_eq!(table.regions().len(), 2, "{shown}");
        }
    }
}
