//! A running HBase opens tables with FILE and DEFAULT trackers after hregion has changed their files, and
//! returns every cell.

use crate::support::hbase::{Client, Cluster, json_cells, programs};
use crate::support::written::write_store_file;
use hregion::{CellType, Compaction, Delete, HFileWriter, Put, Region, SeekKey, StoreFileOrigin, Table};
use serde_json::{Value, json};
use std::path::Path;

const TABLES: [&str; 2] = ["tracked", "plain"];

/// Returns all visible versions of a table as read by hregion.
fn cells_of_ours(root: &Path, table: &str) -> Vec<Value> {
    json_cells(&Table::open(root, table).unwrap())
}

fn write(client: &mut Client, table: &str, round: i64) {
    for row in ["a", "b", "k", "m", "n", "z"] {
        for family in ["f", "g"] {
            let value = format!("hbase{round}");
            client.ask(&json!({"op": "put", "table": table, "row": row, "family": family, "qualifier": "q",
                "timestamp": round, "value": value}));
        }
    }
    client.ask(&json!({"op": "delete", "table": table, "row": "k", "family": "f", "qualifier": "q",
        "timestamp": round, "all": true}));
    client.ask(&json!({"op": "flush", "table": table}));
}

/// Writes to, flushes, bulk-loads and compacts each region.
fn change(root: &Path, table: &str, round: i64) {
    let dirs = Table::open(root, table).unwrap();
    let regions: Vec<_> = dirs.regions().iter().map(|info| dirs.region(info.start_key()).unwrap()).collect();
    for region in regions {
        let region = Region::options().writable(true).open(region.path()).unwrap();
        let row = if region.info().start_key().is_empty() { "b" } else { "n" };
        for family in ["f", "g"] {
            region.put(Put::new(row).cell_at(family, "q", round, format!("ours{round}"))).unwrap();
        }
        region.delete(Delete::new(row).column_at("g", "old", round)).unwrap();
        region.flush().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let load = dir.path().join("load");
        let key = SeekKey::of(row.as_bytes(), b"f", b"loaded", round, CellType::Put);
        let cells = [(key, format!("loaded{round}"))];
        write_store_file(HFileWriter::options(), &load, cells, &StoreFileOrigin::flush(0));
        region.bulk_load(&[("f", &load)]).unwrap();
        region.compact_family("f", Compaction::Major).unwrap();
        region.put(Put::new(row).cell_at("f", "after", round, "compaction")).unwrap();
        region.close().unwrap();
    }
}

#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn a_running_hbase_sees_every_cell_of_a_table_whose_files_we_changed() {
    let (programs, dir) = (programs(), tempfile::tempdir().unwrap());
    let root = dir.path().join("hbase");
    let mut cluster = Cluster::start(&programs, dir.path(), &[]);
    let mut client = Client::of(&cluster);
    for (table, tracker) in TABLES.into_iter().zip(["FILE", "DEFAULT"]) {
        client.ask(&json!({"op": "create", "table": table, "splits": ["m"],
            "families": [{"name": "f", "VERSIONS": 3}, {"name": "g", "VERSIONS": 2}],
            "attributes": {"hbase.store.file-tracker.impl": tracker}}));
    }
    for round in [10, 20, 30] {
        for table in TABLES {
            write(&mut client, table, round);
        }
        let seen: Vec<_> = TABLES.iter().map(|table| client.cells(table)).collect();
        drop(client);
        cluster.stop();
        for (table, seen) in TABLES.into_iter().zip(seen) {
            assert_eq!(cells_of_ours(&root, table), seen, "{table}, written by HBase");
            change(&root, table, round + 5);
        }
        cluster = Cluster::start(&programs, dir.path(), &[]);
        client = Client::of(&cluster);
        for table in TABLES {
            let ours = cells_of_ours(&root, table);
            let found = client.cells(table);
            assert_eq!(found, ours, "{table}, changed by us");
            assert!(found.iter().any(|cell| cell["value"] == format!("loaded{}", round + 5)));
            println!("{table}, round {round}: HBase sees {} cells", found.len());
            if round == 20 {
                client.ask(&json!({"op": "compact", "table": table, "major": true}));
                assert_eq!(client.cells(table), ours);
            }
        }
    }
}
