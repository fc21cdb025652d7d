//! Tables that HBase wrote, with snapshots and clones of them.

use super::*;
use crate::support::cells::json_of;
use crate::support::files::{copy_dir, files_below};
use crate::support::golden;
use serde_json::Value;

/// The stages with a table to which others refer: the stage, the table, its snapshot, and a clone of it.
fn stages() -> Vec<(PathBuf, &'static str, &'static str, &'static str)> {
    let mut found =
        vec![(golden::root("testdata/region/clone-references"), "joined", "joined-snap", "cloned")];
    if let Some(tables) = golden::shared("cluster/tables") {
        found.push((tables.join("clone"), "halves", "halves-snap", "cloned2"));
        found.push((tables.join("clone-references"), "joined", "joined-snap", "cloned"));
    }
    found
}

/// Returns the cells that HBase's client read from a table, with all versions and markers, in row order.
fn recorded(stage: &Path, table: &str) -> Vec<Value> {
    golden::recorded_table(stage, table, "raw").unwrap()
}

fn read(table: &Table) -> Vec<Value> {
    let rows = table.scan(Scan::new().max_versions(u32::MAX).raw(true)).unwrap();
    json_of(&rows.map(Result::unwrap).collect::<Vec<_>>())
}

/// Copies a stage, and checks that the snapshot and the clone have HBase's cells after `change`.
fn after(change: impl Fn(&Path, &str)) {
    for (stage, name, snapshot, clone) in stages() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        copy_dir(&stage.join("root"), root);
        let (of_table, back) = (recorded(&stage, name), files_below(&root.join("archive")));
        let is_link = |path: &&PathBuf| path.to_string_lossy().contains(".links-");
        let back: Vec<&PathBuf> = back.iter().filter(is_link).collect();
        assert!(of_table.len() > 500 && !back.is_empty(), "{}", stage.display());
        assert_eq!(read(&Table::open(root, name).unwrap()), of_table);
        change(root, name);
        assert_eq!(read(&Table::open_snapshot(root, snapshot).unwrap()), of_table, "{}", stage.display());
        assert_eq!(read(&Table::open(root, clone).unwrap()), recorded(&stage, clone), "{}", stage.display());
        assert!(back.iter().all(|path| path.exists()), "the archive keeps the back references");
    }
}

#[test]
fn clones_and_snapshots_outlive_their_table() {
    after(|root, name| {
        Table::delete_table(root, name, &Region::options()).unwrap();
        assert_eq!(Table::open(root, name).unwrap_err().kind(), ErrorKind::TableNotFound);
        assert_eq!(files_below(&root.join("data/default").join(name)), [""; 0].map(PathBuf::from));
        assert_eq!(files_below(&root.join(".tmp")), [""; 0].map(PathBuf::from));
    });
}

#[test]
fn clones_and_snapshots_outlive_a_truncation() {
    after(|root, name| {
        let descriptors = || {
            let paths = files_below(&root.join("data/default").join(name).join(".tabledesc"));
            // Another file distinguishes the new table from the old one.
            let is_descriptor = |path: &&PathBuf| path.to_string_lossy().contains(".tableinfo.");
            let paths = paths.iter().filter(is_descriptor);
            paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect::<Vec<_>>()
        };
        let (before, bounds) = (descriptors(), bounds(root, name));
        Table::truncate(root, name, true, &Region::options()).unwrap();
        assert_eq!(descriptors(), before, "byte for byte");
        assert_eq!(self::bounds(root, name), bounds);
        let table = Table::open_with(root, name, Region::options().writable(true)).unwrap();
        assert_eq!(read(&table), [""; 0].map(Value::from));
        table.put(Put::new("row-0001").cell("p", "new", "v")).unwrap();
        table.close().unwrap();
        assert_eq!(read(&Table::open(root, name).unwrap()).len(), 1);
    });
}

fn bounds(root: &Path, name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let table = Table::open(root, name).unwrap();
    table.regions().iter().map(|region| (region.start_key().to_vec(), region.end_key().to_vec())).collect()
}

#[test]
fn clones_and_snapshots_keep_a_deleted_family() {
    after(|root, name| {
        let family = |cell: &Value| cell["family"].as_str().unwrap().to_owned();
        let before = read(&Table::open(root, name).unwrap());
        assert!(before.iter().any(|cell| family(cell) == "q"));
        let alter = |changes: &TableChanges| Table::alter(root, name, changes, &Region::options()).unwrap();
        alter(&TableChanges::new().delete_family("q").set("DURABILITY", "SYNC_WAL"));
        let left: Vec<Value> = before.into_iter().filter(|cell| family(cell) != "q").collect();
        assert_eq!(read(&Table::open(root, name).unwrap()), left);
        alter(&TableChanges::new().family(Family::new("q")));
        assert_eq!(read(&Table::open(root, name).unwrap()), left);
    });
}

/// Deleting a clone removes no file of the table to which its links lead.
#[test]
fn a_table_outlives_its_clone() {
    for (stage, name, snapshot, clone) in stages() {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(&stage.join("root"), dir.path());
        Table::delete_table(dir.path(), clone, &Region::options()).unwrap();
        assert_eq!(read(&Table::open(dir.path(), name).unwrap()), recorded(&stage, name));
        assert_eq!(read(&Table::open_snapshot(dir.path(), snapshot).unwrap()), recorded(&stage, name));
    }
}
