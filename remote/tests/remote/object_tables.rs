//! Tables in a bucket are deleted and created again, truncated, altered, and restored from a snapshot.

use crate::fake_s3::FakeS3;
use crate::history::turns;
use crate::support::{held_at, local_dir, patient};
use crate::tables::{
    ROOT, TABLE, client, client_with, fail_at, failing, free_locks, names, options, prepared, requests,
};
use crate::trackers::with_list;
use hregion::{Compaction, ErrorKind, Family, Put, Region, RegionOptions, Result, Scan, Table, TableChanges};
use hregion_remote::RemoteStorage;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The split keys of the table.
const SPLITS: [&str; 1] = ["m"];

/// A change of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Delete,
    Truncate,
    Alter,
    Restore,
}

const CHANGES: [Change; 4] = [Change::Delete, Change::Truncate, Change::Alter, Change::Restore];

impl Change {
    fn make(self, options: &RegionOptions) -> Result<()> {
        match self {
            Self::Delete => Table::delete_table(ROOT, "t", options),
            Self::Truncate => Table::truncate(ROOT, "t", true, options),
            Self::Alter => {
                let changes = TableChanges::new().delete_family("g").family(with_list(Family::new("h")));
                Table::alter(ROOT, "t", &changes, options)
            }
            Self::Restore => Table::restore_snapshot(ROOT, "s", options.clone())?.close(),
        }
    }

    /// Repeats the change, which may have been made.
    fn repeat(self, server: &FakeS3, context: &str) {
        match (self, self.make(&options(client(server)))) {
            (_, Ok(())) => {}
            (Self::Delete, Err(error)) if error.kind() == ErrorKind::TableNotFound => {}
            (Self::Alter, Err(error)) if error.kind() == ErrorKind::NoSuchFamily => {}
            (_, Err(error)) => panic!("{context}: {error}"),
        }
    }

    /// Returns the cells after the change; `None` if the table does not exist then.
    fn after(self, old: &Cells) -> Option<Cells> {
        match self {
            Self::Delete => None,
            Self::Truncate => Some(Cells::new()),
            Self::Alter => Some(old.iter().filter(|cell| !cell.contains("/g=")).cloned().collect()),
            Self::Restore => Some(snapshot()),
        }
    }
}

type Cells = BTreeSet<String>;

/// The cells of the snapshot: the cells written by [`prepare`].
fn snapshot() -> Cells {
    let rows = ["a/1", "b/2", "x/1", "y/2"].map(|row| row.split_once('/').unwrap());
    rows.iter().flat_map(|(row, value)| ["f", "g"].map(|family| format!("{row}/{family}={value}"))).collect()
}

fn cells(table: &Table) -> Cells {
    assert!(table.inconsistencies().is_empty(), "{:?}", table.inconsistencies());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = Cells::new();
    for row in table.scan(Scan::new()).unwrap() {
        let row = row.unwrap();
        let cells = row.cells();
        found.extend(cells.map(|c| format!("{}/{}={}", text(c.row()), text(c.family()), text(c.value()))));
    }
    found
}

fn open(storage: Arc<RemoteStorage>, writable: bool) -> Result<Table> {
    Table::open_with(ROOT, "t", options(storage).writable(writable))
}

fn create(storage: Arc<RemoteStorage>) -> Result<Table> {
    let families = [Family::new("f"), Family::new("g")].map(with_list);
    Table::create_with(ROOT, "t", &families, &SPLITS, options(storage))
}

/// Returns the cells of the table; `None` if it does not exist.
fn state(storage: Arc<RemoteStorage>, context: &str) -> Option<Cells> {
    match open(storage, false) {
        Ok(table) => Some(cells(&table)),
        Err(error) if error.kind() == ErrorKind::TableNotFound => None,
        Err(error) => panic!("{context}: {error}"),
    }
}

fn put(table: &Table, row: &'static str, value: &str) -> Result<()> {
    table.put(Put::new(row).cell("f", "q", value.to_owned()))
}

/// The progress of a run whose calls may fail.
#[derive(Clone, Debug, Default)]
struct Progress {
    is_made: bool,
    is_created: bool,
    is_written: bool,
}

/// Changes the table and writes a row, until a call fails.
fn run(change: Change, storage: &Arc<RemoteStorage>, progress: &mut Progress) -> Result<()> {
    change.make(&options(Arc::clone(storage)))?;
    progress.is_made = true;
    let table = match change {
        Change::Delete => create(Arc::clone(storage))?,
        _ => open(Arc::clone(storage), true)?,
    };
    progress.is_created = true;
    put(&table, "c", "new")?;
    progress.is_written = true;
    table.close()
}

fn with(cells: &Cells, cell: &str) -> Cells {
    cells.iter().cloned().chain([cell.to_owned()]).collect()
}

/// Checks the state after a run: the old table, the new one, or none in between.
fn check_state(change: Change, old: &Cells, progress: &Progress, found: Option<&Cells>, context: &str) {
    let after = change.after(old);
    let empty = after.clone().unwrap_or_default();
    let mut allowed = vec![Some(with(&empty, "c/f=new"))];
    if !progress.is_written {
        allowed.push(Some(empty));
    }
    if !progress.is_created {
        allowed.push(after);
    }
    if !progress.is_made {
        allowed.push(Some(old.clone()));
    }
    assert!(allowed.iter().any(|one| one.as_ref() == found), "{context}: {progress:?}, {found:?}");
}

/// Checks that a copy of the bucket in a local directory has the same content, and can be written to.
fn check_copy(server: &FakeS3, expected: Option<&Cells>, context: &str) {
    let local = local_dir();
    server.download("root", local.path());
    let read = |writable| match Table::open_with(local.path(), "t", Region::options().writable(writable)) {
        Ok(table) => Some(table),
        Err(error) if error.kind() == ErrorKind::TableNotFound => None,
        Err(error) => panic!("{context}: {error}"),
    };
    assert_eq!(read(false).as_ref().map(cells).as_ref(), expected, "{context}");
    if let Some(table) = read(true) {
        let before = cells(&table);
        put(&table, "local", "1").unwrap();
        table.compact(Compaction::Major).unwrap_or_else(|error| panic!("{context}: {error}"));
        table.close().unwrap();
        assert_eq!(read(false).as_ref().map(cells), Some(with(&before, "local/f=1")), "{context}");
        Table::delete_table(local.path(), "t", &Region::options()).unwrap();
        assert!(read(false).is_none(), "{context}");
    }
}

/// Uses the table, if it exists, makes the change, and uses the new table.
fn finish(server: &FakeS3, change: Change, is_used: bool, context: &str) {
    let fail = |error: hregion::Error| -> ! { panic!("{context}: {error}") };
    let before = state(client(server), context);
    if let (true, Some(before)) = (is_used, &before) {
        let table = open(client(server), true).unwrap_or_else(|error| fail(error));
        put(&table, "v", "used").unwrap_or_else(|error| fail(error));
        table.compact(Compaction::Major).unwrap_or_else(|error| fail(error));
        assert_eq!(cells(&table), with(before, "v/f=used"), "{context}");
        table.close().unwrap_or_else(|error| fail(error));
    }
    let before = state(client(server), context).unwrap_or_default();
    change.repeat(server, context);
    let after = change.after(&before);
    assert_eq!(state(client(server), context), after, "{context}");
    let table = match after {
        None => create(client(server)),
        Some(_) => open(client(server), true),
    };
    let table = table.unwrap_or_else(|error| fail(error));
    let after = after.unwrap_or_default();
    assert_eq!(cells(&table), after, "{context}");
    put(&table, "w", "end").unwrap_or_else(|error| fail(error));
    table.compact(Compaction::Major).unwrap_or_else(|error| fail(error));
    let regions: BTreeSet<String> = table.regions().iter().map(|region| region.encoded_name()).collect();
    table.close().unwrap_or_else(|error| fail(error));
    assert_eq!(state(client(server), context), Some(with(&after, "w/f=end")), "{context}");
    let mut left = names(server);
    // A file of a new region of a restoration may be created late; without a region info it is ignored.
    let keys: BTreeSet<String> = server.keys().into_iter().collect();
    let is_part = |name: &str| {
        let is_dir = change == Change::Restore && !name.starts_with('.');
        is_dir && !keys.contains(&format!("{TABLE}{name}/.regioninfo"))
    };
    left.retain(|name| !regions.contains(name) && !is_part(name));
    // Objects of deletions and of interrupted creations remain.
    let has_left = change == Change::Delete;
    assert!(left.is_empty() != has_left, "{context}: {left:?}");
    assert!(left.iter().all(|name| name.starts_with(".change.")), "{context}: {left:?}");
    if change == Change::Alter {
        let add = TableChanges::new().family(with_list(Family::new("g")));
        Table::alter(ROOT, "t", &add, &options(client(server))).unwrap_or_else(|error| fail(error));
        assert_eq!(state(client(server), context), Some(with(&after, "w/f=end")), "{context}: it came back");
    }
}

fn check(server: &FakeS3, change: Change, old: &Cells, progress: &Progress, is_used: bool, context: &str) {
    let found = state(client(server), context);
    check_state(change, old, progress, found.as_ref(), context);
    check_copy(server, found.as_ref(), context);
    free_locks(server);
    finish(server, change, is_used, context);
}

/// Creates the table in a new bucket, and the snapshot if it is needed. Returns the table's cells.
fn begin(change: Change) -> (FakeS3, Cells) {
    let (server, _) = prepared(&SPLITS);
    if change == Change::Restore {
        let table = open(client(&server), true).unwrap();
        table.snapshot("s").unwrap();
        put(&table, "a", "later").unwrap();
        put(&table, "z", "later").unwrap();
        table.close().unwrap();
    }
    let old = state(client(&server), "begin").unwrap();
    (server, old)
}

#[test]
fn tables_are_deleted_truncated_altered_and_restored() {
    for change in CHANGES {
        let (server, old) = begin(change);
        let mut progress = Progress::default();
        run(change, &client(&server), &mut progress).unwrap();
        check(&server, change, &old, &progress, false, &format!("{change:?}"));
        let keys = server.keys();
        assert!(keys.iter().any(|key| key.starts_with("root/archive/data/default/t/")), "{keys:?}");
    }
    let (server, _) = begin(Change::Restore);
    let table = open(client(&server), true).unwrap();
    put(&table, "a", "open").unwrap();
    for change in CHANGES {
        let error = change.make(&options(client(&server))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    }
}

#[test]
fn a_run_is_cut_off_at_each_request() {
    for change in CHANGES {
        let (before, old) = begin(change);
        for is_made in [false, true] {
            for at in turns(if is_made { 20 } else { 1 }, 167) {
                let server = before.copy();
                let mut progress = Progress::default();
                server.die_at(at, is_made);
                let result = run(change, &client(&server), &mut progress);
                let is_over = !server.revive();
                let context = format!("{change:?}, request {at}, made: {is_made}, {result:?}");
                check(&server, change, &old, &progress, at % 2 == 0, &context);
                if is_over {
                    result.unwrap();
                    println!("{change:?}: {at} requests");
                    break;
                }
            }
        }
    }
}

#[test]
fn requests_of_a_run_fail() {
    let begun = CHANGES.map(begin);
    let sent: Vec<_> = CHANGES
        .into_iter()
        .zip(&begun)
        .map(|(change, (before, _))| {
            let server = before.copy();
            run(change, &client(&server), &mut Progress::default()).unwrap();
            requests(&server)
        })
        .collect();
    let mut failures = 0;
    for (number, at, manner, count) in failing(1, |number| sent[number % CHANGES.len()]) {
        let change = CHANGES[number % CHANGES.len()];
        let (before, old) = &begun[number % CHANGES.len()];
        let (server, mut progress) = (before.copy(), Progress::default());
        let (result, asked) =
            fail_at(&server, at, manner, count, |storage| run(change, &storage, &mut progress));
        failures += u32::from(result.is_err());
        let context = format!("{change:?}, request {at}, {count} {manner:?}, {result:?}, {asked:?}");
        check(&server, change, old, &progress, at % 2 == 0, &context);
    }
    assert!(failures > 3, "{failures}");
}

/// A process is stopped at each request, loses its locks, and continues when another one uses the table, or
/// has made the same change: its request is carried out late.
#[test]
fn a_process_that_was_taken_for_dead_goes_on_with_a_run() {
    for change in CHANGES {
        let (begun, old) = begin(change);
        for at in turns(3, 131) {
            let server = begun.copy();
            let storage = client_with(&server, patient);
            let mut progress = Progress::default();
            let first = held_at(&server, at, move || {
                let result = run(change, &storage, &mut progress);
                (progress, result)
            });
            if first.is_finished() {
                let (progress, result) = first.join().unwrap();
                result.unwrap();
                check(&server, change, &old, &progress, true, "not stopped");
                println!("{change:?}: {at} requests");
                break;
            }
            server.behave([]);
            free_locks(&server);
            let context = format!("{change:?}, request {at}");
            let repeats = at % 2 == 0;
            if repeats {
                change.repeat(&server, &context);
            }
            let table = match state(client(&server), &context) {
                None => create(client(&server)),
                Some(_) => open(client(&server), true),
            };
            let table = table.unwrap_or_else(|error| panic!("{context}: {error}"));
            let before = cells(&table);
            for row in ["d", "y"] {
                put(&table, row, "other").unwrap_or_else(|error| panic!("{context}: {error}"));
            }
            // The request is carried out while the other process has the regions open.
            server.release();
            let (progress, result) = first.join().unwrap();
            let context = format!("{context}, {result:?}");
            if !repeats {
                check_state(change, &old, &progress, Some(&before), &context);
            }
            let mut expected = with(&before, "d/f=other");
            expected.retain(|cell| !cell.starts_with("y/f="));
            let expected = with(&expected, "y/f=other");
            assert_eq!(cells(&table), expected, "{context}");
            // It may have to be opened again, but no acknowledged write is lost.
            let flushed = table.flush();
            let context = format!("{context}, {flushed:?}");
            drop(table);
            free_locks(&server);
            assert_eq!(state(client(&server), &context), Some(expected.clone()), "{context}");
            let table = open(client(&server), true).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(cells(&table), expected, "{context}");
            table.close().unwrap_or_else(|error| panic!("{context}: {error}"));
            finish(&server, change, at % 3 == 0, &context);
        }
    }
}

/// Hadoop's client marks directories by empty objects.
#[test]
fn a_table_with_marked_directories_is_deleted() {
    let server = FakeS3::start();
    create(client(&server)).unwrap().close().unwrap();
    let infos: Vec<String> = server.keys().into_iter().filter(|key| key.ends_with("/.regioninfo")).collect();
    assert_eq!(infos.len(), 2);
    for info in infos {
        let region = info.trim_end_matches(".regioninfo");
        ["", "f/", "recovered.edits/"]
            .iter()
            .for_each(|below| server.put(&format!("{region}{below}"), Vec::new()));
    }
    Change::Delete.make(&options(client(&server))).unwrap();
    let left: Vec<String> = server.keys().into_iter().filter(|key| key.ends_with('/')).collect();
    assert_eq!(left, [""; 0]);
}
