//! A table through all changes in one history: split, merged, snapshotted, cloned, altered, restored,
//! deleted.

use crate::support::files;
use hregion::{
    Compaction, Delete, Durability, Family, LocalStorage, Put, Region, RegionOptions, Scan, Table,
    TableChanges,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Rows with the value of `f:q`.
type Rows = BTreeMap<String, String>;

fn rows(table: &Table) -> Rows {
    let mut found = Rows::new();
    for row in table.scan(Scan::new()).unwrap() {
        let row = row.unwrap();
        let value = row.value("f", "q").unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert!(found.insert(text(row.key()), text(value)).is_none(), "each row once");
    }
    found
}

fn write(table: &Table, expected: &mut Rows, value: &str, numbers: impl Iterator<Item = u32>) {
    for number in numbers {
        let row = format!("{number:03}");
        if number % 7 == 3 {
            table.delete(Delete::new(row.clone())).unwrap();
            expected.remove(&row);
        } else {
            table.put(Put::new(row.clone()).cell("f", "q", value.to_owned())).unwrap();
            expected.insert(row, value.to_owned());
        }
    }
}

fn options() -> RegionOptions {
    Region::options().durability(Durability::SyncWal)
}

fn open(root: &Path, name: &str) -> Table {
    Table::open_with(root, name, options().writable(true)).unwrap()
}

/// The number of directories of a table's regions.
fn region_dirs(root: &Path, name: &str) -> usize {
    files::region_dirs(&LocalStorage, &root.join("data/default").join(name))
}

fn snapshot(root: &Path, name: &str) -> Rows {
    rows(&Table::open_snapshot(root, name).unwrap())
}

#[test]
fn snapshots_and_clones_outlive_whatever_happens_to_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let table = Table::create_with(root, "t", &[Family::new("f")], &["500"], options()).unwrap();
    let mut now = Rows::new();
    write(&table, &mut now, "first", 0..1000);
    table.flush().unwrap();
    write(&table, &mut now, "second", (0..1000).step_by(3));

    // Daughters with references, with a snapshot and a clone.
    table.split("250").unwrap();
    table.split("750").unwrap();
    write(&table, &mut now, "third", (0..1000).step_by(5));
    table.snapshot("halves").unwrap();
    let halves = now.clone();
    let cloned = Table::clone_snapshot(root, "halves", "cloned", options()).unwrap();
    assert_eq!(
        (rows(&table), snapshot(root, "halves"), rows(&cloned)),
        (now.clone(), now.clone(), now.clone())
    );

    // The references are compacted, and the parents archived; then two regions are merged.
    assert_eq!(region_dirs(root, "t"), 4 + 2);
    table.compact(Compaction::Major).unwrap();
    assert_eq!(region_dirs(root, "t"), 4);
    let regions = table.regions();
    table.merge(&regions[1], &regions[2]).unwrap();
    write(&table, &mut now, "fourth", (1..1000).step_by(4));
    assert_eq!(table.regions().len(), 3);
    table.snapshot("merged").unwrap();
    let merged = now.clone();
    table.compact(Compaction::Major).unwrap();
    assert_eq!(region_dirs(root, "t"), 3);
    assert!(table.archive_parents().unwrap().is_empty(), "the compaction has archived them");
    assert_eq!((rows(&table), snapshot(root, "merged")), (now.clone(), now.clone()));
    assert_eq!((snapshot(root, "halves"), rows(&cloned)), (halves.clone(), halves.clone()));
    table.close().unwrap();

    // A family is added and removed, the table is emptied, and restored.
    Table::alter(root, "t", &TableChanges::new().family(Family::new("g")), &options()).unwrap();
    Table::alter(root, "t", &TableChanges::new().delete_family("g"), &options()).unwrap();
    assert_eq!(rows(&Table::open(root, "t").unwrap()), now);
    Table::truncate(root, "t", true, &options()).unwrap();
    let table = open(root, "t");
    assert_eq!((rows(&table), table.regions().len()), (Rows::new(), 3));
    write(&table, &mut Rows::new(), "fifth", 0..100);
    table.close().unwrap();
    let table = Table::restore_snapshot(root, "merged", options()).unwrap();
    assert_eq!(rows(&table), merged);
    table.split("100").unwrap();
    assert_eq!(rows(&table), merged);
    table.close().unwrap();

    // The clone and the snapshots remain.
    assert!(cloned.split("900").is_err(), "it still has references");
    cloned.close().unwrap();
    Table::delete_table(root, "t", &options()).unwrap();
    assert!(Table::open(root, "t").is_err());
    let cloned = open(root, "cloned");
    assert_eq!((rows(&cloned), snapshot(root, "halves")), (halves.clone(), halves.clone()));
    cloned.compact(Compaction::Major).unwrap();
    cloned.split("900").unwrap();
    cloned.compact(Compaction::Major).unwrap();
    assert_eq!(region_dirs(root, "cloned"), 5);
    assert_eq!((rows(&cloned), snapshot(root, "merged")), (halves, merged.clone()));
    let other = tempfile::tempdir().unwrap();
    Table::export_snapshot(root, "merged", other.path()).unwrap();
    assert_eq!(snapshot(other.path(), "merged"), merged);
    let again = Table::create(root, "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    assert_eq!(rows(&again), Rows::new());
}
