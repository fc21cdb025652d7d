//! Regions of a table in a bucket are split and merged.

use crate::fake_s3::FakeS3;
use crate::history::{Attempt, Rows, put, table_rows, turns};
use crate::support::{held_at, local_dir, patient};
use crate::tables::{
    ROOT, client, client_with, fail_at, failing, free_locks, names, options, prepared, requests, write,
};
use hregion::{Compaction, Durability, Get, Region, Result, Scan, Table};
use hregion_remote::RemoteStorage;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The split keys before the change, and the number of regions after it: of a split, and of a merge.
const CHANGES: [(&[&str], usize); 2] = [(&[], 2), (&["m"], 1)];

fn open(storage: Arc<RemoteStorage>, writable: bool) -> Result<Table> {
    Table::open_with(ROOT, "t", options(storage).writable(writable))
}

/// Splits a table of one region, or merges two.
fn change(table: &Table) -> Result<()> {
    match &table.regions()[..] {
        [first, second] => table.merge(first, second).map(drop),
        _ => table.split("m").map(drop),
    }
}

/// Changes the regions of a table, and removes the old ones, until a call fails.
fn run(attempt: &mut Attempt, storage: Arc<RemoteStorage>) -> Result<()> {
    let table = open(storage, true)?;
    write(attempt, &table, "c", "3")?;
    change(&table)?;
    write(attempt, &table, "b", "4")?;
    write(attempt, &table, "z", "4")?;
    table.compact(Compaction::Major)?;
    write(attempt, &table, "x", "5")?;
    table.close()
}

/// Checks the rows in a copy of the bucket in a local directory.
fn check_copy(server: &FakeS3, expected: &Rows, context: &str) {
    let local = local_dir();
    server.download("root", local.path());
    let read = || Table::open(local.path(), "t").unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(table_rows(&read()), *expected, "{context}");
    let table = Table::open_with(local.path(), "t", Region::options().writable(true));
    let table = table.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(table_rows(&table), *expected, "{context}");
    table.put(put("local", "1")).unwrap();
    table.compact(Compaction::Major).unwrap();
    table.close().unwrap();
    let mut expected = expected.clone();
    expected.insert("local".to_owned(), "1".to_owned());
    assert_eq!(table_rows(&read()), expected, "{context}");
}

/// Checks the state after the change: the rows exist, in the old regions or the new ones, and the change can
/// be made if it was not.
fn check(server: &FakeS3, attempt: &Attempt, after: usize, context: &str) {
    let reader = open(client(server), false).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = table_rows(&reader);
    attempt.clone().check(&found, context);
    check_copy(server, &found, context);
    free_locks(server);
    let table = open(client(server), true).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = table_rows(&table);
    attempt.clone().check(&found, context);
    finish(server, table, found, after, context);
}

/// Makes the change, unless it was made, and removes the remains of the old regions.
fn finish(server: &FakeS3, table: Table, mut expected: Rows, after: usize, context: &str) {
    if table.regions().len() != after {
        change(&table).unwrap_or_else(|error| panic!("{context}: {error}"));
    }
    assert_eq!(table_rows(&table), expected, "{context}");
    for row in ["d", "w"] {
        table.put(put(row, "after")).unwrap_or_else(|error| panic!("{context}: {error}"));
        expected.insert(row.to_owned(), "after".to_owned());
    }
    table.compact(Compaction::Major).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(table_rows(&table), expected, "{context}");
    let regions: BTreeSet<String> = table.regions().iter().map(|region| region.encoded_name()).collect();
    assert_eq!(regions.len(), after, "{context}");
    assert_eq!(names(server), regions, "{context}");
    table.close().unwrap_or_else(|error| panic!("{context}: {error}"));
    let reader = open(client(server), false).unwrap();
    assert_eq!(table_rows(&reader), expected, "{context}");
}

#[test]
fn regions_are_split_and_merged() {
    let (server, attempt) = prepared(&[]);
    let expected = attempt.acknowledged;
    let table = open(client(&server), true).unwrap();
    let reader = open(client(&server), false).unwrap();
    assert_eq!(table_rows(&reader), expected);
    let view = table.view();
    assert_eq!(view.get(&Get::new("a")).unwrap().value("f", "q"), Some(&b"1"[..]));
    let (bottom, top) = table.split("m").unwrap();
    assert_eq!(table.regions(), [bottom.clone(), top.clone()]);
    assert_eq!(table_rows(&table), expected);
    check_copy(&server, &expected, "split");
    // A second split is refused because there are still references.
    table.split("c").unwrap_err();
    table.put(put("k", "new").durability(Durability::SyncWal)).unwrap();
    // The old region stays while a view reads it.
    table.compact(Compaction::Major).unwrap();
    let read = view.scan(&Scan::new()).unwrap().collect::<Result<Vec<_>>>().unwrap();
    assert_eq!(read.len(), expected.len());
    assert!(names(&server).len() > 2, "{:?}", names(&server));
    drop(view);
    assert_eq!(table.archive_parents().unwrap().len(), 1);
    let regions: BTreeSet<String> = [&bottom, &top].iter().map(|region| region.encoded_name()).collect();
    assert_eq!(names(&server), regions);
    let merged = table.merge(&bottom, &top).unwrap();
    table.compact(Compaction::Major).unwrap();
    assert_eq!(names(&server), BTreeSet::from([merged.encoded_name()]));
    let mut expected = expected;
    expected.insert("k".to_owned(), "new".to_owned());
    assert_eq!(table_rows(&table), expected);
    table.close().unwrap();
    check_copy(&server, &expected, "merge");
}

#[test]
fn a_change_is_cut_off_at_each_request() {
    for (splits, after) in CHANGES {
        let (before, unchanged) = prepared(splits);
        for is_made in [false, true] {
            for at in turns(if is_made { 4 } else { 1 }, 181) {
                let (server, mut attempt) = (before.copy(), unchanged.clone());
                server.die_at(at, is_made);
                let result = run(&mut attempt, client(&server));
                let is_over = !server.revive();
                let context = format!("{splits:?}, request {at}, made: {is_made}, {result:?}");
                check(&server, &attempt, after, &context);
                if is_over {
                    result.unwrap();
                    println!("{splits:?}: {at} requests");
                    break;
                }
            }
        }
    }
}

#[test]
fn requests_of_a_change_fail() {
    let begun = CHANGES.map(|(splits, _)| {
        let (before, unchanged) = prepared(splits);
        let server = before.copy();
        run(&mut unchanged.clone(), client(&server)).unwrap();
        (before, unchanged, requests(&server))
    });
    let mut failures = 0;
    for (number, at, manner, count) in failing(1, |number| begun[number % 2].2) {
        let ((splits, after), (before, unchanged, _)) = (CHANGES[number % 2], &begun[number % 2]);
        let (server, mut attempt) = (before.copy(), unchanged.clone());
        let (result, asked) = fail_at(&server, at, manner, count, |storage| run(&mut attempt, storage));
        failures += u32::from(result.is_err());
        let context = format!("{splits:?}, request {at}, {count} {manner:?}, {result:?}");
        check(&server, &attempt, after, &format!("{context}, {asked:?}"));
    }
    assert!(failures > 3, "{failures}");
}

/// A process is stopped at each request, loses its locks, and continues when another has the table open: its
/// request is carried out late.
#[test]
fn a_process_that_was_taken_for_dead_goes_on_with_a_change() {
    for (splits, after) in CHANGES {
        let (before, unchanged) = prepared(splits);
        for at in turns(3, 107) {
            let (server, mut attempt) = (before.copy(), unchanged.clone());
            let storage = client_with(&server, patient);
            let first = held_at(&server, at, move || {
                let result = run(&mut attempt, storage);
                (attempt, result)
            });
            if first.is_finished() {
                let (attempt, result) = first.join().unwrap();
                result.unwrap();
                check(&server, &attempt, after, "not stopped");
                println!("{splits:?}: {at} requests");
                break;
            }
            server.behave([]);
            free_locks(&server);
            let table = open(client(&server), true).unwrap();
            let before = table_rows(&table);
            for row in ["a", "z"] {
                table.put(put(row, "other")).unwrap();
            }
            // The request is carried out while the other process has the regions open.
            server.release();
            let (attempt, result) = first.join().unwrap();
            let context = format!("{splits:?}, request {at}, {result:?}");
            attempt.check(&before, &context);
            let mut expected = before;
            expected.extend(["a", "z"].map(|row| (row.to_owned(), "other".to_owned())));
            assert_eq!(table_rows(&table), expected, "{context}");
            // It may have to be opened again, but no acknowledged write is lost.
            let flushed = table.flush();
            let context = format!("{context}, {flushed:?}");
            drop(table);
            free_locks(&server);
            let table = open(client(&server), true).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(table_rows(&table), expected, "{context}");
            finish(&server, table, expected, after, &context);
        }
    }
}
