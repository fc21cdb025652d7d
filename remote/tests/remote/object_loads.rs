//! Files are loaded into a table in a bucket.

use crate::fake_s3::FakeS3;
use crate::history::{read_file, turns};
use crate::support::{held_at, patient};
use crate::tables::{ROOT, client, client_with, fail_at, failing, free_locks, options, prepared, requests};
use hregion::{
    CellRef, CellType, Compaction, Delete, ErrorKind, HFileWriter, Result, Row, Scan, SeekKey, Storage as _,
    StoreFileOrigin, StoreFileWriter, Table,
};
use hregion_remote::RemoteStorage;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The directory of the files.
const INPUT: &str = "s3://bucket/input";

/// The input files: the first has rows of both regions.
const FILES: [(&str, &[&str]); 3] = [("f/0a", &["c", "p"]), ("f/0b", &["d"]), ("g/0c", &["c", "d"])];

/// The cells of a table, as their row, family and value.
type Cells = BTreeSet<String>;

/// Writes a file of the input, of cells whose values have `len` bytes.
fn write_file(storage: &RemoteStorage, name: &str, rows: &[String], len: usize) {
    write_to(storage, &format!("{INPUT}/{name}"), name, rows, len);
}

/// As [`write_file`], at any path.
fn write_to(storage: &RemoteStorage, path: &str, name: &str, rows: &[String], len: usize) {
    let file = storage.create_new(Path::new(path)).unwrap();
    let mut writer = StoreFileWriter::create_in(HFileWriter::options().mvcc(true), file).unwrap();
    let family = name.split_once('/').unwrap().0;
    for row in rows {
        let key = SeekKey::of(row.as_bytes(), family.as_bytes(), b"loaded", 1, CellType::Put);
        let mut value = format!("{name}:{row}:").into_bytes();
        (value.len()..len).for_each(|n| value.push(b'a' + u8::try_from((n * n * 7 + n / 13) % 26).unwrap()));
        writer.append(CellRef::new(&key, &value)).unwrap();
    }
    let origin = StoreFileOrigin::BulkLoad {
        timestamp: 7,
        source_task: Vec::new(),
        exclude_from_minor_compaction: false,
        skip_reset_seq_id: false,
    };
    writer.finish(&origin).unwrap();
}

/// Returns a bucket with a table of two regions, which have rows in files and logs, and the files.
fn bucket() -> FakeS3 {
    let (server, _) = prepared(&["m"]);
    for (name, rows) in FILES {
        let rows: Vec<String> = rows.iter().map(|row| (*row).to_owned()).collect();
        write_file(&client(&server), name, &rows, 0);
    }
    server
}

/// Returns the cells of the input.
fn loaded() -> Cells {
    let of = |(name, rows): &(&str, &[&str])| {
        let (name, family) = (name.to_string(), name.split_once('/').unwrap().0.to_owned());
        rows.iter().map(move |row| format!("{row} {family} {name}:{row}:")).collect::<Vec<_>>()
    };
    FILES.iter().flat_map(of).collect()
}

fn open(storage: Arc<RemoteStorage>) -> Result<Table> {
    Table::open_with(ROOT, "t", options(storage).writable(true))
}

/// Returns the loaded cells of a table, and the number of others.
fn cells(table: &Table) -> (Cells, usize) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let rows: Vec<Row> = table.scan(Scan::new()).unwrap().collect::<Result<_>>().unwrap();
    let (mut loaded, mut others) = (Cells::new(), 0);
    for cell in rows.iter().flat_map(Row::cells) {
        if cell.qualifier() == b"loaded" {
            loaded.insert(format!("{} {} {}", text(cell.row()), text(cell.family()), text(cell.value())));
        } else {
            others += 1;
        }
    }
    (loaded, others)
}

/// The number of cells of [`prepared`].
const OTHERS: usize = 8;

/// Loads the files.
fn load(storage: Arc<RemoteStorage>) -> Result<()> {
    let table = open(storage)?;
    table.bulk_load(INPUT)?;
    table.close()
}

fn input(server: &FakeS3) -> Vec<String> {
    server.keys().into_iter().filter(|key| key.starts_with("input/")).collect()
}

/// Whether a region has records of loaded files.
fn has_records(server: &FakeS3) -> bool {
    let (storage, mut keys) = (client(server), server.keys());
    keys.retain(|key| key.ends_with("/.loaded"));
    keys.iter().any(|key| read_file(&*storage, Path::new(&format!("s3://bucket/{key}"))).contains(&b'\t'))
}

/// Checks the state after a failed load: each cell is loaded or can be loaded, and is not loaded again if it
/// is deleted before. Returns the cells that were not loaded yet.
fn check(server: &FakeS3, acknowledged: bool, context: &str) -> Cells {
    free_locks(server);
    let fail = |error: hregion::Error| -> ! { panic!("{context}: {error}") };
    let table = open(client(server)).unwrap_or_else(|error| fail(error));
    let (found, others) = cells(&table);
    assert_eq!(others, OTHERS, "{context}");
    assert!(found.is_subset(&loaded()) && (!acknowledged || found == loaded()), "{context}: {found:?}");
    for cell in &found {
        let mut parts = cell.split(' ');
        let (row, family) = (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned());
        let delete = Delete::new(row).column(family, "loaded");
        table.delete(delete).unwrap_or_else(|error| fail(error));
    }
    table.flush().and_then(|()| table.compact(Compaction::Major)).unwrap_or_else(|error| fail(error));
    let left: Cells = loaded().difference(&found).cloned().collect();
    let is_complete = input(server).is_empty() && !has_records(server);
    match table.bulk_load(INPUT) {
        Ok(_) => assert!(!is_complete, "{context}"),
        // The files are no longer known.
        Err(error) => assert!(is_complete && error.is_not_found(), "{context}: {error}"),
    }
    assert_eq!(cells(&table), (left.clone(), OTHERS), "{context}");
    assert!(input(server).is_empty(), "{context}: {:?}", input(server));
    table.compact(Compaction::Major).unwrap_or_else(|error| fail(error));
    table.split("c").unwrap_or_else(|error| fail(error));
    table.close().unwrap_or_else(|error| fail(error));
    check_end(server, &left, context);
    left
}

/// Checks the table, and a copy of it in a local directory.
fn check_end(server: &FakeS3, expected: &Cells, context: &str) {
    let table = Table::open_with(ROOT, "t", options(client(server))).unwrap();
    assert_eq!(cells(&table), (expected.clone(), OTHERS), "{context}");
    let local = tempfile::tempdir().unwrap();
    server.download("root", local.path());
    let copied = Table::open(local.path(), "t").unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(cells(&copied), (expected.clone(), OTHERS), "{context}");
}

#[test]
fn files_are_loaded() {
    let server = bucket();
    let requests = || server.take_asked().0.len();
    let table = open(client(&server)).unwrap();
    assert_eq!(cells(&table), (Cells::new(), OTHERS));
    requests();
    let done = table.bulk_load(INPUT).unwrap();
    let asked = requests();
    assert!(asked < 140, "{asked}");
    assert_eq!((done.loaded, done.split.len(), done.skipped.len()), (4, 1, 0));
    assert_eq!(cells(&table), (loaded(), OTHERS));
    assert!(input(&server).is_empty());
    table.close().unwrap();
    check_end(&server, &loaded(), "loaded");
    let uploads = server.uploads();
    assert_eq!(uploads, 0);
    check(&server, true, "loaded");
}

/// The file is in no directory.
#[test]
fn a_file_in_a_bucket_itself_is_loaded() {
    const FILE: &str = "s3://bucket/file";
    let server = bucket();
    let storage = client(&server);
    write_to(&storage, FILE, "f/file", &["c".to_owned()], 0);
    let table = open(Arc::clone(&storage)).unwrap();
    let region = table.region("c").unwrap();
    region.bulk_load(&[("f", FILE)]).unwrap();
    assert_eq!(cells(&table), (Cells::from(["c f f/file:c:".to_owned()]), OTHERS));
    assert!(!server.keys().contains(&"file".to_owned()));
    assert!(region.bulk_load(&[("f", FILE)]).unwrap_err().is_not_found());
    // The bucket may be the directory of a region.
    write_to(&storage, "s3://bucket/f/file", "f/file", &["d".to_owned()], 0);
    server.put(".regioninfo", b"region".to_vec());
    let refused = region.bulk_load(&[("f", "s3://bucket/f/file")]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    server.remove(".regioninfo");
    region.bulk_load(&[("f", "s3://bucket/f/file")]).unwrap();
    assert_eq!(cells(&table).0.len(), 2);
    table.close().unwrap();
}

/// Memory is bounded, whatever the length of a file.
#[test]
fn large_files_are_copied_in_parts() {
    const PART: usize = 100_000;
    let server = bucket();
    let rows: Vec<String> = (0..300).map(|row| format!("c{row:04}")).collect();
    write_file(&client(&server), "f/large", &rows, 10_000);
    let storage = client_with(&server, |options| options.upload_part_bytes(PART));
    let table = open(storage).unwrap();
    table.bulk_load(INPUT).unwrap();
    let (found, _) = cells(&table);
    assert_eq!(found.len(), loaded().len() + rows.len());
    assert!(found.iter().filter(|cell| cell.len() > 10_000).count() == rows.len());
    assert!(input(&server).is_empty());
    assert_eq!(server.uploads(), 0, "none is left");
    table.close().unwrap();
}

#[test]
fn a_load_is_cut_off_at_each_request() {
    let before = bucket();
    for is_made in [false, true] {
        for at in turns(if is_made { 5 } else { 1 }, 61) {
            let server = before.copy();
            server.die_at(at, is_made);
            let result = load(client(&server));
            let is_over = !server.revive();
            let context = format!("request {at}, made: {is_made}, {result:?}");
            check(&server, result.is_ok(), &context);
            if is_over {
                result.unwrap();
                println!("{at} requests");
                break;
            }
        }
    }
}

#[test]
fn requests_of_a_load_fail() {
    let before = bucket();
    let server = before.copy();
    load(client(&server)).unwrap();
    let (sent, mut failures) = (requests(&server), 0);
    for (_, at, manner, count) in failing(1, |_| sent) {
        let server = before.copy();
        let (result, asked) = fail_at(&server, at, manner, count, load);
        failures += u32::from(result.is_err());
        check(&server, result.is_ok(), &format!("request {at}, {count} {manner:?}, {result:?}, {asked:?}"));
    }
    assert!(failures > 3, "{failures}");
}

/// A process is stopped at each request, loses its locks, and continues when another has loaded the files:
/// its request is carried out late.
#[test]
fn a_process_that_was_taken_for_dead_goes_on_with_a_load() {
    let before = bucket();
    for at in turns(2, 47) {
        let server = before.copy();
        let storage = client_with(&server, patient);
        let first = held_at(&server, at, move || load(storage));
        if first.is_finished() {
            first.join().unwrap().unwrap();
            check(&server, true, "not stopped");
            println!("{at} requests");
            break;
        }
        server.behave([]);
        let context = format!("request {at}");
        let left = check(&server, false, &context);
        // The request is carried out after that.
        server.release();
        let result = first.join().unwrap();
        let context = format!("{context}, {result:?}");
        free_locks(&server);
        check_end(&server, &left, &context);
        let table = open(client(&server)).unwrap_or_else(|error| panic!("{context}: {error}"));
        write_file(&client(&server), "f/other", &["e".to_owned()], 0);
        assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 1, "{context}");
        let mut expected = left;
        expected.insert("e f f/other:e:".to_owned());
        assert_eq!(cells(&table), (expected.clone(), OTHERS), "{context}");
        table.close().unwrap_or_else(|error| panic!("{context}: {error}"));
        check_end(&server, &expected, &context);
    }
}
