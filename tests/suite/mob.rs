//! Tables with large values in MOB files (IS_MOB), as HBase wrote and read them: `testdata/mob`.

mod verify;

use crate::support::cells::json_lines;
use crate::support::files::{contents, copy_dir, relative_to, unlocked_contents};
use crate::support::golden;
use crate::support::json_cell::json_cell;
use crate::support::protobuf::field;
use hregion::cell::from_string_binary;
use hregion::io::faulty::FaultyStorage;
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{
    BlockCache, CellRef, CellType, Compaction, Error, ErrorKind, Family, Filter, Get, Put, Region,
    RegionObserver, RegionOptions, Row, Scan, SeekKey, Storage, Table, TableChanges, TimeRange,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const STAGES: [&str; 3] = ["flushed", "cloned", "compacted"];

fn stage(name: &str) -> PathBuf {
    golden::root("testdata/mob").join(name)
}

/// Copies the root of a stage to its own directory.
fn copy_of(name: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    copy_dir(&stage(name).join("root"), &root);
    (dir, root)
}

fn text(value: &Value) -> Vec<u8> {
    from_string_binary(value.as_str().unwrap())
}

/// Returns the scan that a line of `scans.jsonl` describes.
fn scan_of(described: &Value) -> Scan {
    let mut scan = Scan::new();
    for (key, value) in described.as_object().unwrap() {
        let number = || u32::try_from(value.as_u64().unwrap()).unwrap();
        scan = match key.as_str() {
            "versions" => scan.max_versions(number()),
            "raw" => scan.raw(true).max_versions(u32::MAX),
            "reversed" => scan.reversed(true),
            "start" => scan.start_row(text(value), true),
            "stop" => scan.stop_row(text(value), false),
            "columns" => value.as_array().unwrap().iter().fold(scan, |scan, column| {
                let (family, qualifier) = column.as_str().unwrap().split_once(':').unwrap();
                scan.column(family.to_owned(), qualifier.to_owned())
            }),
            "time_range" => scan
                .time_range(TimeRange::new(value[0].as_i64().unwrap(), value[1].as_i64().unwrap()).unwrap()),
            "filter" => scan.filter(Filter::parse(value.as_str().unwrap()).unwrap()),
            other => panic!("{other}"),
        };
    }
    scan
}

/// Returns the scans of a stage, each with the table and HBase's answer.
fn scans(stage: &Path) -> Vec<(String, Value, Vec<Value>)> {
    let parsed = json_lines(&stage.join("scans.jsonl.gz")).into_iter().map(|line| {
        let table = line["table"].as_str().unwrap().to_owned();
        (table, line["scan"].clone(), line["cells"].as_array().unwrap().clone())
    });
    parsed.collect()
}

fn as_json(rows: &[Row]) -> Vec<Value> {
    rows.iter().flat_map(Row::cells).map(|cell| json_cell(&cell)).collect()
}

fn compare(table: &Table, scan: &Value, expected: &[Value]) {
    let rows: Vec<Row> = table.scan(scan_of(scan)).unwrap().collect::<Result<_, _>>().unwrap();
    let found = as_json(&rows);
    let different = found.iter().zip(expected).find(|(found, expected)| found != expected);
    assert_eq!(different, None, "{scan}");
    assert_eq!(found.len(), expected.len(), "{scan}");
}

#[test]
fn values_in_mob_files_are_read_as_by_hbase() {
    let mut large = 0;
    for name in STAGES {
        let root = stage(name).join("root");
        for (table, scan, expected) in scans(&stage(name)) {
            large += expected.iter().filter(|cell| cell["value"].as_str().unwrap().len() > 200).count();
            let cache = BlockCache::with_capacity(1 << 20);
            for options in [Region::options(), Region::options().cache(&cache)] {
                compare(&Table::open_with(&root, &table, options).unwrap(), &scan, &expected);
            }
        }
    }
    assert!(large > 200);
}

#[test]
fn gets_views_and_callbacks_read_them_too() {
    for name in STAGES {
        let root = stage(name).join("root");
        let (table, _, expected) = scans(&stage(name))
            .into_iter()
            .find(|(_, scan, _)| *scan == serde_json::json!({"versions": 5}))
            .unwrap();
        let mut by_row: BTreeMap<Vec<u8>, Vec<Value>> = BTreeMap::new();
        for cell in expected {
            by_row.entry(text(&cell["row"])).or_default().push(cell);
        }
        let table = Table::open(&root, &table).unwrap();
        assert!(by_row.len() > 10);
        for (row, expected) in &by_row {
            let get = Get::new(row.clone()).max_versions(5);
            assert_eq!(as_json(&[table.get(&get).unwrap()]), *expected);
            assert_eq!(as_json(&table.get_many(std::slice::from_ref(&get)).unwrap()), *expected);
            let filtered = get.filter(Filter::parse("TimestampsFilter(0)").unwrap());
            assert!(table.get(&filtered).unwrap().is_empty());
        }
        let gets: Vec<Get> = by_row.keys().rev().map(|row| Get::new(row.clone()).max_versions(5)).collect();
        let expected: Vec<Value> = by_row.values().rev().flatten().cloned().collect();
        assert_eq!(as_json(&table.get_many(&gets).unwrap()), expected);
        for region in table.regions() {
            let region = table.region(region.start_key()).unwrap();
            let mut found = Vec::new();
            let scan = Scan::new().max_versions(5);
            let view = region.view();
            let each = view.scan(&scan).unwrap().for_each_cell(|cell| {
                found.push(json_cell(&cell));
                ControlFlow::Continue(())
            });
            each.unwrap();
            let rows = by_row.iter().filter(|(row, _)| region.info().contains(row));
            assert_eq!(found, rows.flat_map(|(_, cells)| cells.clone()).collect::<Vec<_>>());
        }
    }
}

/// An observer that makes scans take the path of scans that observers may change.
#[derive(Debug)]
struct Watcher;

impl RegionObserver for Watcher {}

/// Returns the cells of a scan that is read by calls of at most `max` results.
fn read_by_calls(region: &Region, scan: &Scan, max: Option<usize>) -> Vec<Value> {
    let view = region.view();
    let (mut scanner, mut found) = (view.scan(scan).unwrap(), Vec::new());
    loop {
        let results = scanner.next_results(max).unwrap();
        found.extend(results.results.iter().flat_map(|result| as_json(std::slice::from_ref(&result.row))));
        if !results.more {
            return found;
        }
    }
}

#[test]
fn parts_of_rows_have_their_large_values() {
    for name in STAGES {
        let root = stage(name).join("root");
        let (table, ..) = scans(&stage(name)).swap_remove(0);
        for options in [Region::options(), Region::options().observer(0, Arc::new(Watcher))] {
            let table = Table::open_with(&root, &table, options).unwrap();
            for region in table.regions() {
                let region = table.region(region.start_key()).unwrap();
                let whole = || Scan::new().max_versions(5);
                let mut rows: Vec<Row> = region.scan(whole()).unwrap().collect::<Result<_, _>>().unwrap();
                let expected = as_json(&rows);
                let part = |bytes: u64| whole().allow_partial(true).max_result_size(bytes);
                for scan in [whole(), whole().batch(1), whole().batch(3), part(1), part(500)] {
                    for max in [None, Some(1), Some(5)] {
                        assert_eq!(read_by_calls(&region, &scan, max), expected, "{scan:?}");
                    }
                }
                rows.reverse();
                assert_eq!(read_by_calls(&region, &whole().reversed(true), Some(2)), as_json(&rows));
                let filter = "SingleColumnValueFilter('p', 'q1', =, 'substring:a', true, true)";
                let filtered = || whole().filter(Filter::parse(filter).unwrap());
                let on_demand = filtered().load_families_on_demand(true);
                let expected = read_by_calls(&region, &filtered(), None);
                assert_eq!(read_by_calls(&region, &on_demand, Some(1)), expected);
            }
        }
    }
}

#[test]
fn a_snapshot_is_read_without_its_table() {
    let expected = |scan: &Value| {
        let found = scans(&stage("flushed")).into_iter().find(|(_, other, _)| other == scan);
        found.unwrap().2
    };
    // The table was dropped after the snapshot, so all of its files are in the archive.
    for name in ["cloned", "compacted"] {
        let table = Table::open_snapshot(stage(name).join("root"), "shot").unwrap();
        for scan in
            [serde_json::json!({}), serde_json::json!({"raw": true}), serde_json::json!({"versions": 5})]
        {
            compare(&table, &scan, &expected(&scan));
        }
    }
}

/// Returns the MOB files of a root directory.
fn mob_files(root: &Path) -> Vec<PathBuf> {
    let files = unlocked_contents(&root.join("mobdir")).into_keys();
    files.filter(|path| !path.file_name().unwrap().to_str().unwrap().contains('=')).collect()
}

#[test]
fn a_mob_file_that_is_missing_or_damaged_is_an_error() {
    let (_dir, root) = copy_of("flushed");
    let scanned = || -> Result<usize, Error> {
        let table = Table::open(&root, "mob")?;
        table.scan(Scan::new().max_versions(5))?.try_fold(0, |count, row| Ok(count + row?.len()))
    };
    let all = scanned().unwrap();
    let files = mob_files(&root);
    assert!(files.len() >= 4);
    let mut checked = 0;
    for path in &files {
        let bytes = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        let error = scanned().unwrap_err();
        assert!(error.is_not_found() && error.to_string().contains("MOB file"), "{error}");
        for at in (0..bytes.len()).step_by(97) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::write(path, &flipped).unwrap();
            // Not all bytes of a file are read; those of the Bloom filter are not.
            match scanned() {
                Ok(count) => assert_eq!(count, all),
                Err(error) => {
                    checked += 1;
                    assert!(error.path().is_some_and(|at| at == path), "{error}");
                }
            }
        }
        std::fs::write(path, bytes).unwrap();
    }
    assert!(checked > 20, "{checked}");
    // A file that was moved to the archive is found there.
    for path in &files {
        let to = root.join("archive").join(path.strip_prefix(root.join("mobdir")).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::rename(path, to).unwrap();
    }
    assert_eq!(scanned().unwrap(), all);
}

#[test]
fn tables_with_mob_files_are_not_changed() {
    let (dir, root) = copy_of("cloned");
    let before = unlocked_contents(&root);
    let options = || Region::options().writable(true);
    let table = || Table::open_with(&root, "copy", options());
    type Change<'c> = Box<dyn Fn() -> Result<(), Error> + 'c>;
    let put = || Put::new("row-001").cell("p", "q", "value");
    let input = dir.path().join("input");
    std::fs::create_dir_all(input.join("p")).unwrap();
    let regions = Table::open(&root, "copy").unwrap().regions();
    let region = root.join("data/default/copy").join(regions[0].encoded_name());
    let changes: [(&str, Change<'_>); 14] = [
        ("region", Box::new(|| options().open(&region).map(drop))),
        ("merge", Box::new(|| table()?.merge(&regions[0], &regions[1]).map(drop))),
        ("archive parents", Box::new(|| table()?.archive_parents().map(drop))),
        ("bulk load", Box::new(|| table()?.bulk_load(&input).map(drop))),
        ("put", Box::new(|| table()?.put(put()))),
        ("compact", Box::new(|| table()?.compact(Compaction::Major).map(drop))),
        ("split", Box::new(|| table()?.split("row-003").map(drop))),
        ("snapshot", Box::new(|| table()?.snapshot("another").map(drop))),
        (
            "alter",
            Box::new(|| {
                let changes = TableChanges::new().family(Family::new("added"));
                Table::alter(&root, "copy", &changes, &options()).map(drop)
            }),
        ),
        ("truncate", Box::new(|| Table::truncate(&root, "copy", true, &options()))),
        ("delete", Box::new(|| Table::delete_table(&root, "copy", &options()))),
        ("clone", Box::new(|| Table::clone_snapshot(&root, "shot", "other", options()).map(drop))),
        ("restore", Box::new(|| Table::restore_snapshot(&root, "shot", options()).map(drop))),
        ("export", Box::new(|| Table::export_snapshot(&root, "shot", dir.path().join("elsewhere")))),
    ];
    for (name, change) in changes {
        let error = change().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
        assert!(error.to_string().contains("MOB"), "{name}: {error}");
        assert!(unlocked_contents(&root) == before, "{name}");
    }
}

/// A server's log is not split over the regions of a table whose edits cannot be flushed.
#[test]
fn a_recovery_of_a_table_with_mob_files_changes_nothing() {
    let (_dir, root) = copy_of("flushed");
    let region = Table::open(&root, "mob").unwrap().regions()[0].encoded_name();
    let log = root.join("WALs/h,1,2/h%2C1%2C2.1000");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    let mut writer = WalWriterOptions::new().create(&log).unwrap();
    let key = SeekKey::of(b"row-001", b"p", b"q", 9, CellType::Put);
    writer.append(&WalKey::new(&*region, "mob", 1000, 500), [CellRef::new(&key, b"logged")]).unwrap();
    writer.close().unwrap();
    let before = unlocked_contents(&root);
    let recovered =
        [Table::recover(&root, Region::options()), Table::plan_recovery(&root, Region::options())];
    for recovered in recovered {
        let error = recovered.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    assert!(unlocked_contents(&root) == before);
}

#[test]
fn a_table_that_has_become_one_with_mob_files_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let table = Table::create(root, "t", &[Family::new("f")], &["m"]).unwrap();
    table.put(Put::new("a").cell("f", "q", "value")).unwrap();
    table.snapshot("plain").unwrap();
    table.close().unwrap();
    let attribute = [field(1, "IS_MOB"), field(2, "true")].concat();
    let family = [field(1, "f"), field(2, attribute)].concat();
    let name = [field(1, "default"), field(2, "t")].concat();
    let descriptor = [b"PBUF".to_vec(), field(1, name), field(3, family)].concat();
    let file = format!("data/default/t/.tabledesc/.tableinfo.0000009999.{}", descriptor.len());
    std::fs::write(root.join(file), descriptor).unwrap();
    let before = unlocked_contents(root);
    let options = Region::options;
    let changed = [
        Table::restore_snapshot(root, "plain", options()).map(drop),
        Table::delete_table(root, "t", &options()),
        Table::truncate(root, "t", false, &options()),
        Table::open_with(root, "t", options().writable(true)).map(drop),
    ];
    for changed in changed {
        let error = changed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(unlocked_contents(root) == before, "{error}");
    }
    assert_eq!(Table::open(root, "t").unwrap().get(&Get::new("a")).unwrap().len(), 1);
}

/// No writer of this crate could fill such a table.
#[test]
fn no_table_becomes_one_with_mob_files_here() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let mob = || Family::new("f").configuration("IS_MOB", "true");
    Table::create(root, "t", &[Family::new("f")], &["m"]).unwrap().close().unwrap();
    let changes = TableChanges::new().family(mob());
    let changed = [
        Table::create(root, "u", &[mob()], &["m"]).map(drop),
        Table::alter(root, "t", &changes, &Region::options()),
    ];
    for changed in changed {
        let error = changed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains("MOB"), "{error}");
    }
    assert!(!root.join("data/default/u").exists());
    Table::open_with(root, "t", Region::options().writable(true)).unwrap().close().unwrap();
}

/// The altered schema may be sent to a cluster.
#[test]
fn an_altered_schema_keeps_what_it_says_of_mob_files() {
    let dir = stage("flushed").join("root/data/default/mob/.tabledesc");
    let (_, file) = contents(&dir).pop_first().unwrap();
    let schema = file.strip_prefix(b"PBUF").unwrap();
    let count =
        |schema: &[u8], text: &[u8]| schema.windows(text.len()).filter(|found| *found == text).count();
    let changes = TableChanges::new().family(Family::new("m").max_versions(9));
    let altered = changes.apply_to_table_schema_bytes(schema).unwrap();
    for text in [&b"IS_MOB"[..], b"MOB_THRESHOLD"] {
        assert_eq!((count(schema, text), count(&altered, text)), (2, 2));
    }
}

/// Returns a storage with the root of a stage at `/hbase`.
fn in_memory(name: &str) -> FaultyStorage {
    let (storage, root) = (FaultyStorage::new(), stage(name).join("root"));
    for (path, bytes) in relative_to(&root, contents(&root)) {
        let path = Path::new("/hbase").join(path);
        storage.create_dir_all(path.parent().unwrap()).unwrap();
        storage.create(&path).unwrap().write_all(&bytes).unwrap();
    }
    storage
}

fn on(storage: &FaultyStorage) -> RegionOptions {
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    Region::options().storage(shared)
}

/// Returns the number of cells of a table, and of its values of more than 40 bytes.
fn count(table: &Table) -> (usize, u64) {
    let rows: Vec<Row> = table.scan(Scan::new().max_versions(5)).unwrap().collect::<Result<_, _>>().unwrap();
    let cells = || rows.iter().flat_map(Row::cells);
    (cells().count(), cells().filter(|cell| cell.value().len() > 40).count() as u64)
}

#[test]
fn a_mob_file_that_is_moved_while_it_is_open_is_read_in_the_archive() {
    // In HDFS, open files are found by their path.
    for is_by_path in [false, true] {
        let storage = in_memory("flushed");
        if is_by_path {
            storage.read_by_path();
        }
        let table = Table::open_with("/hbase", "mob", on(&storage)).unwrap();
        let all = count(&table);
        assert!(all.1 > 10);
        let files = stage("flushed").join("root/mobdir");
        for path in relative_to(&files, contents(&files)).into_keys() {
            let to = Path::new("/hbase/archive").join(&path);
            storage.create_dir_all(to.parent().unwrap()).unwrap();
            storage.rename(&Path::new("/hbase/mobdir").join(&path), &to).unwrap();
        }
        assert_eq!(count(&table), all);
        assert_eq!(count(&Table::open_with("/hbase", "mob", on(&storage)).unwrap()), all);
    }
}

/// The values of a clone are in the archive, which is searched only once.
#[test]
fn a_mob_file_in_the_archive_is_looked_for_once() {
    let storage = in_memory("cloned");
    let cache = BlockCache::with_capacity(1 << 24);
    let table = Table::open_with("/hbase", "copy", on(&storage).cache(&cache)).unwrap();
    let all = count(&table);
    let before = storage.all_calls();
    assert_eq!(count(&table), all);
    let calls = storage.all_calls() - before;
    assert!(calls < all.1, "{calls} calls for {} values", all.1);
}

/// The store files of a region, opened separately, have the same values.
#[test]
fn store_files_alone_have_the_values_in_mob_files() {
    let raw = || Scan::new().raw(true).max_versions(u32::MAX);
    let cells = |region: &Region, scan: Scan| -> Result<Vec<Value>, Error> {
        let rows: Vec<Row> = region.scan(scan)?.collect::<Result<_, _>>()?;
        Ok(as_json(&rows))
    };
    for (name, table) in [("flushed", "mob"), ("cloned", "copy")] {
        let root = stage(name).join("root");
        let open = Table::open(&root, table).unwrap();
        for info in open.regions() {
            let region = open.region(info.start_key()).unwrap();
            for family in ["m", "n", "p"] {
                let dir = root.join("data/default").join(table).join(info.encoded_name()).join(family);
                let files: Vec<PathBuf> = contents(&dir).into_keys().collect();
                let alone = Region::options().open_files(&files).unwrap();
                let expected = cells(&region, raw().family(family)).unwrap();
                assert_eq!(cells(&alone, raw()).unwrap(), expected, "{}", dir.display());
            }
        }
    }
    // Elsewhere their values are not known, and the names of the MOB files are not returned instead.
    let dir = tempfile::tempdir().unwrap();
    let root = stage("flushed").join("root/data/default/mob");
    let (mut with_values, mut failed) = (0, 0);
    for (path, bytes) in contents(&root) {
        if !["m", "n"].iter().any(|family| path.parent().unwrap().ends_with(family)) {
            continue;
        }
        let copy = dir.path().join(path.file_name().unwrap());
        std::fs::write(&copy, bytes).unwrap();
        with_values += 1;
        let error = cells(&Region::options().open_files([&copy]).unwrap(), raw()).unwrap_err();
        failed += usize::from(error.is_not_found() && error.to_string().contains("MOB files"));
    }
    assert_eq!((with_values, failed), (8, 8));
}
