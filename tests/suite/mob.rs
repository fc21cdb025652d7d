//! Tables whose large values are in MOB files (IS_MOB), as HBase wrote and read them: `testdata/mob`.

use crate::support::cells::lines;
use crate::support::files::{copy_dir, unlocked_contents};
use crate::support::golden;
use crate::support::json_cell::json_cell;
use hregion::cell::from_string_binary;
use hregion::{
    BlockCache, Compaction, Error, ErrorKind, Family, Filter, FindingKind, Get, Put, Region, Row, Scan,
    Table, TableChanges, TimeRange,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

const STAGES: [&str; 3] = ["flushed", "cloned", "compacted"];

fn stage(name: &str) -> PathBuf {
    golden::root("testdata/mob").join(name)
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
    let parsed = lines(&stage.join("scans.jsonl.gz")).into_iter().map(|line| {
        let line: Value = serde_json::from_str(&line).unwrap();
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
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    copy_dir(&stage("flushed").join("root"), &root);
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
            // Not all bytes of a file are read, as of the Bloom filter.
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
    // One that was moved to the archive is found there.
    for path in &files {
        let to = root.join("archive").join(path.strip_prefix(root.join("mobdir")).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::rename(path, to).unwrap();
    }
    assert_eq!(scanned().unwrap(), all);
}

#[test]
fn tables_with_mob_files_are_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    copy_dir(&stage("cloned").join("root"), &root);
    let before = unlocked_contents(&root);
    let options = || Region::options().writable(true);
    let table = || Table::open_with(&root, "copy", options());
    type Change<'c> = Box<dyn Fn() -> Result<(), Error> + 'c>;
    let put = || Put::new("row-001").cell("p", "q", "value");
    let changes: [(&str, Change<'_>); 10] = [
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

#[test]
fn a_check_says_that_mob_files_are_not_checked() {
    for name in STAGES {
        let report = Table::check_root(stage(name).join("root"), Region::options()).unwrap();
        let others: Vec<_> =
            report.findings.iter().filter(|finding| finding.kind != FindingKind::Unsupported).collect();
        assert!(others.is_empty(), "{others:#?}");
        assert!(!report.findings.is_empty());
    }
}
