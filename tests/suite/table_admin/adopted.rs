//! HBase takes over a table that hregion has altered and truncated.

use super::*;
use crate::support::hbase::{Client, Cluster, check_region, json_cells, programs};
use serde_json::{Value, json};

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
    let (raw, _) = check_region(&root.join("data/default/t"), &[]);
    let members = ["row", "family", "qualifier", "timestamp", "value"];
    let found: Vec<Value> = raw.iter().map(|cell| json!(members.map(|name| &cell[name]))).collect();
    assert_eq!(found, expected);
}

#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn a_running_hbase_serves_the_tables_that_its_catalog_has_now() {
    let (programs, dir) = (programs(), tempfile::tempdir().unwrap());
    let root = dir.path().join("hbase");
    let cluster = Cluster::start(&programs, dir.path(), &[]);
    let mut client = Client::of(&cluster);
    for table in ["kept", "truncated", "replaced", "deleted", "restored"] {
        client.ask(&json!({"op": "create", "table": table, "splits": ["m"],
            "families": [{"name": "f", "VERSIONS": 3}]}));
        for row in ["a", "z"] {
            client.ask(&json!({"op": "put", "table": table, "row": row, "family": "f", "qualifier": "q",
                "timestamp": 10, "value": "hbase"}));
        }
        client.ask(&json!({"op": "flush", "table": table}));
    }
    drop(client);
    cluster.stop();

    let options = Region::options();
    for name in ["deleted", "replaced"] {
        Table::delete_table(&root, name, &options).unwrap();
    }
    Table::truncate(&root, "truncated", true, &options).unwrap();
    let open = |name: &str| Table::open_with(&root, name, Region::options().writable(true)).unwrap();
    let restored = open("restored");
    restored.snapshot("s").unwrap();
    restored.split("c").unwrap();
    restored.close().unwrap();
    let opened = [
        open("truncated"),
        Table::create(&root, "replaced", &[Family::new("f").max_versions(3)], &["c", "x"]).unwrap(),
        Table::create(&root, "ours", &[Family::new("f")], &["k"]).unwrap(),
        Table::clone_snapshot(&root, "s", "cloned", Region::options()).unwrap(),
        Table::restore_snapshot(&root, "s", Region::options()).unwrap(),
    ];
    for table in opened {
        for row in ["b", "n", "z"] {
            table.put(Put::new(row).cell_at("f", "q", 20, "ours")).unwrap();
        }
        table.close().unwrap();
    }

    let cluster = Cluster::start(&programs, dir.path(), &[]);
    let mut client = Client::of(&cluster);
    let names = ["cloned", "kept", "ours", "replaced", "restored", "truncated"];
    assert_eq!(client.ask(&json!({"op": "list_tables"})), json!(names));
    for (name, cells) in names.into_iter().zip([4, 2, 3, 3, 4, 3]) {
        client.ask(&json!({"op": "wait_assigned", "table": name}));
        let found = client.ask(&json!({"op": "regions", "table": name}));
        let found: Vec<Value> = found.as_array().unwrap().iter().map(|r| r["encoded"].clone()).collect();
        let table = Table::open(&root, name).unwrap();
        let ours: Vec<Value> = table.regions().iter().map(|info| info.encoded_name().into()).collect();
        assert_eq!(found, ours, "{name}");
        let seen = client.cells(name);
        assert_eq!(seen, json_cells(&table), "{name}");
        assert!(seen.len() >= cells, "{name}: {seen:?}");
        client.ask(&json!({"op": "put", "table": name, "row": "y", "family": "f", "qualifier": "q",
            "timestamp": 30, "value": "hbase"}));
        client.ask(&json!({"op": "compact", "table": name, "major": true}));
        assert_eq!(client.cells(name).len(), seen.len() + 1, "{name}");
        println!("{name}: HBase sees {} cells in {} regions", seen.len(), found.len());
    }
    drop(client);
    cluster.stop();
}

/// Returns all versions of all cells, in the form in which the tool prints HBase's.
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
