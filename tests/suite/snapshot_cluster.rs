//! A running HBase clones, restores and exports snapshots taken by hregion, and serves a table restored by
//! hregion.

use crate::support::hbase::{Client, Cluster, json_cells, programs};
use hregion::{Compaction, Delete, Family, Put, Region, Table};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const TABLES: [&str; 3] = ["tracked", "plain", "halves"];

/// Writes to every region of a table.
fn write(table: &Table, round: i64) {
    for row in ["b", "c", "k", "n", "x"] {
        let put = Put::new(row).cell_at("f", "q", round, format!("ours{round}"));
        table.put(put.cell_at("g", "q", round, format!("ours{round}"))).unwrap();
    }
    table.delete(Delete::new("k").column_at("f", "q", round)).unwrap();
}

/// Creates tables in another root, takes snapshots of one with references and one with links, and copies
/// these to `root` with HBase's `ExportSnapshot`. Returns their names and cells.
fn export(programs: &Path, other: &Path, root: &Path) -> Vec<(&'static str, Vec<Value>)> {
    let families = [Family::new("f").max_versions(3), Family::new("g").max_versions(2)];
    let options = Region::options().compaction_enabled(false);
    let table = Table::create_with(other, "sent", &families, &["m"], options).unwrap();
    write(&table, 20);
    table.split("c").unwrap();
    write(&table, 30);
    table.snapshot("sent-split").unwrap();
    let linked = Table::clone_snapshot(other, "sent-split", "linked", Region::options()).unwrap();
    write(&linked, 40);
    linked.snapshot("sent-linked").unwrap();
    let expected = vec![("sent-split", json_cells(&table)), ("sent-linked", json_cells(&linked))];
    for (name, cells) in &expected {
        assert!(cells.len() > 10, "{name}");
        let export = Command::new(programs.join("export-snapshot")).arg(other).arg(name).arg(root).output();
        let export = export.unwrap();
        assert!(export.status.success(), "{name}: {}", String::from_utf8_lossy(&export.stderr));
    }
    table.close().unwrap();
    linked.close().unwrap();
    expected
}

fn open(root: &Path, table: &str) -> Table {
    let options = Region::options().writable(true).compaction_enabled(false);
    Table::open_with(root, table, options).unwrap()
}

#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn a_running_hbase_reads_our_snapshots() {
    let (programs, dir) = (programs(), tempfile::tempdir().unwrap());
    let root = dir.path().join("hbase");
    let cluster = Cluster::start(&programs, dir.path(), &[]);
    let mut client = Client::of(&cluster);
    for (table, tracker) in TABLES.into_iter().zip(["FILE", "DEFAULT", "DEFAULT"]) {
        client.ask(&json!({"op": "create", "table": table, "splits": ["m"],
            "families": [{"name": "f", "VERSIONS": 3}, {"name": "g", "VERSIONS": 2}],
            "attributes": {"hbase.store.file-tracker.impl": tracker}}));
        for row in ["a", "b", "k", "m", "n", "z"] {
            for family in ["f", "g"] {
                client.ask(&json!({"op": "put", "table": table, "row": row, "family": family,
                    "qualifier": "q", "timestamp": 10, "value": "hbase"}));
            }
        }
        client.ask(&json!({"op": "flush", "table": table}));
    }
    // A table with links: a clone.
    client.ask(&json!({"op": "snapshot", "name": "theirs", "table": "halves"}));
    client.ask(&json!({"op": "clone_snapshot", "name": "theirs", "table": "linked"}));
    drop(client);
    cluster.stop();

    let mut expected: Vec<(String, Vec<Value>)> = Vec::new();
    for name in TABLES.into_iter().chain(["linked"]) {
        let table = open(&root, name);
        write(&table, 20);
        let snapshot = format!("ours-{name}");
        table.snapshot(&snapshot).unwrap();
        let cells = json_cells(&table);
        assert!(cells.len() > 15, "{name}");
        // Later changes, after which the files of the snapshot are in the archive.
        write(&table, 30);
        table.delete(Delete::new("b")).unwrap();
        table.flush().unwrap();
        for row in ["b", "n"] {
            table.region(row).unwrap().compact(Compaction::Major).unwrap();
        }
        assert_ne!(json_cells(&table), cells);
        table.close().unwrap();
        expected.push((name.to_owned(), cells));
    }
    for name in ["tracked", "plain"] {
        let restored = Table::restore_snapshot(&root, &format!("ours-{name}"), Region::options()).unwrap();
        restored.close().unwrap();
    }

    let exported = export(&programs, &dir.path().join("other"), &root);

    let cluster = Cluster::start(&programs, dir.path(), &[]);
    let mut client = Client::of(&cluster);
    for (name, cells) in &exported {
        let clone = format!("clone-{name}");
        client.ask(&json!({"op": "clone_snapshot", "name": name, "table": clone}));
        assert_eq!(&client.cells(&clone), cells, "{name}, exported and cloned by HBase");
        println!("{name}: HBase exports and reads {} cells", cells.len());
    }
    for (name, cells) in &expected[..2] {
        assert_eq!(&client.cells(name), cells, "{name}, restored by us");
    }
    for (name, cells) in &expected {
        let (snapshot, clone) = (format!("ours-{name}"), format!("clone-{name}"));
        client.ask(&json!({"op": "clone_snapshot", "name": snapshot, "table": clone}));
        assert_eq!(&client.cells(&clone), cells, "{name}, cloned by HBase");
        client.ask(&json!({"op": "compact", "table": clone, "major": true}));
        assert_eq!(&client.cells(&clone), cells, "{name}, compacted by HBase");
        println!("{name}: HBase reads {} cells", cells.len());
        // HBase 2.6.4 cannot restore a FILE list, not even of its own snapshot: no region opens then.
        if name == "tracked" {
            continue;
        }
        client.ask(&json!({"op": "disable", "table": name}));
        client.ask(&json!({"op": "restore_snapshot", "name": snapshot}));
        client.ask(&json!({"op": "enable", "table": name}));
        assert_eq!(&client.cells(name), cells, "{name}, restored by HBase");
    }
    // HBase deletes a snapshot taken by hregion.
    client.ask(&json!({"op": "delete_snapshot", "name": "ours-halves"}));
    drop(client);
    cluster.stop();
    let left: Vec<_> =
        Table::list_snapshots(&root).unwrap().into_iter().map(|found| found.name().to_owned()).collect();
    assert_eq!(left, ["ours-linked", "ours-plain", "ours-tracked", "sent-linked", "sent-split", "theirs"]);
}
