//! Snapshots of a table in a bucket are taken, cloned, exported, restored and deleted.

use crate::fake_s3::FakeS3;
use crate::history::{Attempt, Rows, put, table_rows, turns};
use crate::support::{held_at, moto, options_at, patient};
use crate::tables::{
    ROOT, client, client_with, fail_at, failing, free_locks, options, prepare, prepared, requests, write,
};
use hregion::{Compaction, Error, ErrorKind, Region, RegionOptions, Result, Storage as _, Table};
use hregion_remote::RemoteStorage;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Another root directory, to which snapshots are exported.
const OTHER: &str = "s3://bucket/other";

/// The split keys of the table.
const SPLITS: [&str; 1] = ["m"];

fn open(storage: Arc<RemoteStorage>, root: &str, name: &str) -> Result<Table> {
    Table::open_with(root, name, options(storage).writable(true))
}

/// Returns the rows of a table; `None` if it does not exist.
fn rows_of_table(storage: Arc<RemoteStorage>, root: &str, name: &str) -> Option<Rows> {
    match Table::open_with(root, name, options(storage)) {
        Ok(table) => Some(table_rows(&table)),
        Err(error) if error.kind() == ErrorKind::TableNotFound => None,
        Err(error) => panic!("{error}"),
    }
}

/// Returns the rows of a snapshot; `None` if it does not exist.
fn rows_of_snapshot(options: RegionOptions, root: &str, name: &str) -> Option<Rows> {
    match Table::open_snapshot_with(root, name, options) {
        Ok(table) => Some(table_rows(&table)),
        Err(error) if error.is_not_found() => None,
        Err(error) => panic!("{error}"),
    }
}

/// Takes a snapshot of the table, moves its files to the archive, clones it, copies it to another root, and
/// deletes it, until a call fails.
fn run(attempt: &mut Attempt, storage: &Arc<RemoteStorage>) -> Result<()> {
    let options = || options(Arc::clone(storage));
    let table = open(Arc::clone(storage), ROOT, "t")?;
    table.snapshot("s")?;
    write(attempt, &table, "c", "3")?;
    table.compact(Compaction::Major)?;
    Table::clone_snapshot(ROOT, "s", "c", options())?.close()?;
    Table::export_snapshot_with(ROOT, "s", OTHER, options())?;
    Table::delete_snapshot_with(ROOT, "s", options())?;
    table.close()
}

/// Checks the state after a failure of any call: each part is complete, or missing. Returns whether the
/// snapshot, the clone and the exported snapshot exist.
fn check_parts(server: &FakeS3, attempt: &Attempt, then: &Rows, context: &str) -> [bool; 3] {
    let rows = rows_of_table(client(server), ROOT, "t").unwrap_or_else(|| panic!("{context}: no table"));
    attempt.clone().check(&rows, context);
    let parts = [
        rows_of_snapshot(options(client(server)), ROOT, "s"),
        rows_of_table(client(server), ROOT, "c"),
        rows_of_snapshot(options(client(server)), OTHER, "s"),
    ];
    parts.iter().flatten().for_each(|found| assert_eq!(found, then, "{context}"));
    // A copy of the bucket in a local directory has the same.
    let local = tempfile::tempdir().unwrap();
    server.download("root", local.path());
    let root = local.path().to_str().unwrap();
    let copied = rows_of_snapshot(Region::options(), root, "s");
    assert_eq!(copied, parts[0], "{context}");
    let copied = match Table::open(root, "c") {
        Ok(table) => Some(table_rows(&table)),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::TableNotFound, "{context}: {error}");
            None
        }
    };
    assert_eq!(copied, parts[1], "{context}");
    let listed = Table::list_snapshots_with(ROOT, &*client(server)).unwrap();
    assert_eq!(listed.len(), usize::from(parts[0].is_some()), "{context}");
    parts.map(|part| part.is_some())
}

/// Completes the remaining steps. Returns the rows of the table.
fn finish(server: &FakeS3, parts: [bool; 3], then: &Rows, context: &str) -> Rows {
    let [has_snapshot, has_clone, is_exported] = parts;
    let new = || options(client(server));
    let fail = |error: Error| -> ! { panic!("{context}: {error}") };
    let is_deleted = server.keys().iter().any(|key| key.ends_with(".hregion.deleted-snapshots/s"));
    let table = open(client(server), ROOT, "t").unwrap_or_else(|error| fail(error));
    let mut rows = table_rows(&table);
    let name = if is_deleted && !has_snapshot { "s2" } else { "s" };
    let taken = if has_snapshot {
        let error = table.snapshot("s").unwrap_err();
        assert!(error.is_already_exists(), "{context}: {error}");
        then.clone()
    } else {
        if is_deleted {
            let error = table.snapshot("s").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{context}: {error}");
        }
        table.snapshot(name).unwrap_or_else(|error| fail(error));
        rows.clone()
    };
    table.put(put("w", "after")).unwrap_or_else(|error| fail(error));
    table.compact(Compaction::Major).unwrap_or_else(|error| fail(error));
    rows.insert("w".to_owned(), "after".to_owned());
    assert_eq!(rows_of_snapshot(new(), ROOT, name).as_ref(), Some(&taken), "{context}");
    let mut cloned = if has_clone { then.clone() } else { taken.clone() };
    let clone = match has_clone {
        true => open(client(server), ROOT, "c"),
        false => Table::clone_snapshot(ROOT, name, "c", new()),
    };
    let clone = clone.unwrap_or_else(|error| fail(error));
    assert_eq!(table_rows(&clone), cloned, "{context}");
    clone.put(put("d", "cloned")).unwrap_or_else(|error| fail(error));
    cloned.insert("d".to_owned(), "cloned".to_owned());
    clone.compact(Compaction::Major).unwrap_or_else(|error| fail(error));
    assert_eq!(table_rows(&clone), cloned, "{context}");
    clone.close().unwrap_or_else(|error| fail(error));
    let error = Table::clone_snapshot(ROOT, name, "c", new()).unwrap_err();
    assert!(error.is_already_exists(), "{context}: {error}");
    if !is_exported {
        Table::export_snapshot_with(ROOT, name, OTHER, new()).unwrap_or_else(|error| fail(error));
        assert_eq!(rows_of_snapshot(new(), OTHER, name).as_ref(), Some(&taken), "{context}");
    }
    Table::delete_snapshot_with(ROOT, name, new()).unwrap_or_else(|error| fail(error));
    assert_eq!(rows_of_snapshot(new(), ROOT, name), None, "{context}");
    table.close().unwrap_or_else(|error| fail(error));
    check_end(server, &rows, &cloned, context);
    rows
}

/// Checks the table and its clone at the end.
fn check_end(server: &FakeS3, rows: &Rows, cloned: &Rows, context: &str) {
    assert_eq!(rows_of_table(client(server), ROOT, "t").as_ref(), Some(rows), "{context}");
    assert_eq!(rows_of_table(client(server), ROOT, "c").as_ref(), Some(cloned), "{context}");
    assert!(Table::list_snapshots_with(ROOT, &*client(server)).unwrap().is_empty(), "{context}");
    let exported = Table::list_snapshots_with(OTHER, &*client(server)).unwrap();
    assert_eq!(exported.len(), 1, "{context}");
    let left = rows_of_snapshot(options(client(server)), OTHER, exported[0].name());
    assert!(left.is_some_and(|left| left.contains_key("a")), "{context}");
}

/// Checks everything after a run that was cut off.
fn check(server: &FakeS3, attempt: &Attempt, then: &Rows, context: &str) {
    let parts = check_parts(server, attempt, then, context);
    free_locks(server);
    finish(server, parts, then, context);
}

#[test]
fn snapshots_are_taken_cloned_exported_and_deleted() {
    let (server, mut attempt) = prepared(&SPLITS);
    let then = attempt.acknowledged.clone();
    run(&mut attempt, &client(&server)).unwrap();
    let keys = server.keys();
    let has = |part: &str| keys.iter().any(|key| key.contains(part));
    assert!(has("root/archive/data/default/t/") && has("/.links-") && has("other/archive/data/default/t/"));
    assert!(!has("root/.hbase-snapshot/") && !has("/.change."), "{keys:?}");
    assert_eq!(check_parts(&server, &attempt, &then, "at once"), [false, true, true]);
    check(&server, &attempt, &then, "at once");

    // Also in a root without the table.
    let restored = Table::restore_snapshot(OTHER, "s", options(client(&server))).unwrap();
    assert_eq!(table_rows(&restored), then);
    restored.close().unwrap();
}

/// The same in a bucket of moto's server: `HREGION_MOTO` is its endpoint.
#[test]
#[ignore = "needs a server"]
fn snapshots_are_made_in_a_bucket_of_moto() {
    let endpoint = moto("snapshots");
    let client = || {
        let options = options_at(endpoint.clone()).request_timeout(Duration::from_secs(20));
        Arc::new(options.deadline(Duration::from_secs(60)).build().unwrap())
    };
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let base = format!("s3://snapshots/{}", time.as_nanos());
    let (root, other) = (format!("{base}/root"), format!("{base}/other"));
    let expected = prepare(client(), &root, &SPLITS).acknowledged;
    for name in ["", "/data/default/t"] {
        let dir = format!("{root}{name}");
        for entry in client().list_dir(Path::new(&dir)).unwrap() {
            let lock = Path::new(&dir).join(&entry.name).join(".hregion.lock");
            if entry.is_dir && client().open(&lock).is_ok() {
                client().end_writing(&lock).unwrap();
            }
        }
    }
    let table = open(client(), &root, "t").unwrap();
    table.snapshot("s").unwrap();
    table.put(put("z", "later")).unwrap();
    table.compact(Compaction::Major).unwrap();
    let clone = Table::clone_snapshot(&root, "s", "c", options(client())).unwrap();
    assert_eq!(table_rows(&clone), expected);
    clone.compact(Compaction::Major).unwrap();
    assert_eq!(table_rows(&clone), expected);
    clone.close().unwrap();
    Table::export_snapshot_with(&root, "s", &other, options(client())).unwrap();
    Table::delete_snapshot_with(&root, "s", options(client())).unwrap();
    assert_eq!(rows_of_snapshot(options(client()), &root, "s"), None);
    assert_eq!(table.snapshot("s").unwrap_err().kind(), ErrorKind::Unsupported);
    table.close().unwrap();
    assert_eq!(rows_of_snapshot(options(client()), &other, "s"), Some(expected.clone()));
    assert_eq!(rows_of_table(client(), &root, "c"), Some(expected));
}

#[test]
fn a_run_is_cut_off_at_each_request() {
    let (before, unchanged) = prepared(&SPLITS);
    let then = unchanged.acknowledged.clone();
    for is_made in [false, true] {
        for at in turns(if is_made { 30 } else { 1 }, 257) {
            let (server, mut attempt) = (before.copy(), unchanged.clone());
            server.die_at(at, is_made);
            let result = run(&mut attempt, &client(&server));
            let is_over = !server.revive();
            let context = format!("request {at}, made: {is_made}, {result:?}");
            check(&server, &attempt, &then, &context);
            if is_over {
                result.unwrap();
                println!("{at} requests");
                break;
            }
        }
    }
}

#[test]
fn requests_of_a_run_fail() {
    let (before, unchanged) = prepared(&SPLITS);
    let then = unchanged.acknowledged.clone();
    let server = before.copy();
    run(&mut unchanged.clone(), &client(&server)).unwrap();
    let (sent, mut failures) = (requests(&server), 0);
    for (_, at, manner, count) in failing(1, |_| sent) {
        let (server, mut attempt) = (before.copy(), unchanged.clone());
        let (result, asked) = fail_at(&server, at, manner, count, |storage| run(&mut attempt, &storage));
        failures += u32::from(result.is_err());
        let context = format!("request {at}, {count} {manner:?}, {result:?}, {asked:?}");
        check(&server, &attempt, &then, &context);
    }
    assert!(failures > 3, "{failures}");
}

/// A process is stopped at each request, loses its locks, and continues when another has completed the run:
/// its request is carried out late.
#[test]
fn a_process_that_was_taken_for_dead_goes_on_with_a_run() {
    let (before, unchanged) = prepared(&SPLITS);
    let then = unchanged.acknowledged.clone();
    for at in turns(3, 193) {
        let (server, mut attempt) = (before.copy(), unchanged.clone());
        let storage = client_with(&server, patient);
        let first = held_at(&server, at, move || {
            let result = run(&mut attempt, &storage);
            (attempt, result)
        });
        if first.is_finished() {
            let (attempt, result) = first.join().unwrap();
            result.unwrap();
            check(&server, &attempt, &then, "not stopped");
            println!("{at} requests");
            break;
        }
        server.behave([]);
        free_locks(&server);
        let context = format!("request {at}");
        let found = rows_of_table(client(&server), ROOT, "t").unwrap();
        let parts = [
            rows_of_snapshot(options(client(&server)), ROOT, "s").is_some(),
            rows_of_table(client(&server), ROOT, "c").is_some(),
            rows_of_snapshot(options(client(&server)), OTHER, "s").is_some(),
        ];
        let rows = finish(&server, parts, &then, &context);
        let cloned = rows_of_table(client(&server), ROOT, "c").unwrap();
        // The request is carried out after that.
        server.release();
        let (attempt, result) = first.join().unwrap();
        let context = format!("{context}, {result:?}");
        attempt.check(&found, &context);
        free_locks(&server);
        check_end(&server, &rows, &cloned, &context);
        for (name, mut expected) in [("t", rows), ("c", cloned)] {
            let table =
                open(client(&server), ROOT, name).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(table_rows(&table), expected, "{context}");
            table.put(put("v", "end")).unwrap_or_else(|error| panic!("{context}: {error}"));
            table.compact(Compaction::Major).unwrap_or_else(|error| panic!("{context}: {error}"));
            expected.insert("v".to_owned(), "end".to_owned());
            assert_eq!(table_rows(&table), expected, "{context}");
            table.close().unwrap_or_else(|error| panic!("{context}: {error}"));
        }
    }
}
