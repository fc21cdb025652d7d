//! HBase takes over a table that was altered and truncated here.

use super::*;
use serde_json::{Value, json};
use std::process::Command;

#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn hbase_opens_a_table_that_was_altered_and_truncated() {
    let dir = tempfile::tempdir().unwrap();
    let (root, options) = (dir.path(), Region::options());
    let families = [Family::new("f").max_versions(3), Family::new("g")];
    let table = Table::create(root, "t", &families, &["m"]).unwrap();
    table.put(Put::new("old").cell_at("f", "q", 5, "old").cell_at("g", "q", 5, "old")).unwrap();
    table.close().unwrap();
    let alter = |changes: &TableChanges| Table::alter(root, "t", changes, &options).unwrap();
    alter(&TableChanges::new().delete_family("g").family(Family::new("h")).set("DURABILITY", "SYNC_WAL"));
    Table::truncate(root, "t", true, &options).unwrap();
    alter(&TableChanges::new().family(Family::new("g")).set("hbase.hstore.blockingStoreFiles", "21"));
    let table = Table::open_with(root, "t", Region::options().writable(true)).unwrap();
    for (row, family, time) in [("a", "f", 5), ("a", "f", 7), ("a", "g", 6), ("z", "h", 8)] {
        table.put(Put::new(row).cell_at(family, "q", time, format!("new{time}"))).unwrap();
    }
    table.compact(Compaction::Major).unwrap();
    table.close().unwrap();
    let expected = read_plain(root);
    assert_eq!(expected.len(), 4);
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/cluster/check-region");
    let output = Command::new(program).arg(root.join("data/default/t")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let raw = lines.filter(|cell| cell["plain"] != true);
    let members = ["row", "family", "qualifier", "timestamp", "value"];
    let found: Vec<Value> = raw.map(|cell| json!(members.map(|name| cell[name].clone()))).collect();
    assert_eq!(found, expected);
}

/// Returns all versions of all cells, as the tool prints those of HBase.
fn read_plain(root: &Path) -> Vec<Value> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = Vec::new();
    for row in Table::open(root, "t").unwrap().scan(Scan::new().max_versions(u32::MAX)).unwrap() {
        for cell in row.unwrap().cells() {
            let [row, family, qualifier, value] =
                [cell.row(), cell.family(), cell.qualifier(), cell.value()].map(text);
            found.push(json!([row, family, qualifier, cell.timestamp(), value]));
        }
    }
    found
}
