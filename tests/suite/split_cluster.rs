//! A running HBase serves tables whose regions hregion has split and merged, and returns every cell.

use crate::support::hbase::{Client, Cluster, check_region, json_cells, programs};
use crate::support::json_cell::json_cell;
use hregion::{Compaction, Delete, Family, Put, Scan, Table};
use serde_json::{Value, json};

const TABLES: [(&str, &str); 2] = [("tracked", "FILE"), ("plain", "DEFAULT")];

fn put(row: &str, time: i64, value: &str) -> Put {
    let value = value.to_owned();
    Put::new(row.to_owned()).cell_at("f", "q", time, value.clone()).cell_at("g", "q", time, value)
}

const ROWS: [&str; 8] = ["a", "b", "k", "l", "n", "o", "u", "z"];

/// Splits the first region at `at`, merges the last two, and writes to all.
fn change(table: &Table, at: &str, time: i64) {
    table.split(at).unwrap();
    let regions = table.regions();
    let [.., first, second] = &regions[..] else { panic!("{regions:?}") };
    table.merge(first, second).unwrap();
    for row in ROWS {
        table.put(put(row, time, "ours")).unwrap();
        // The same keys as before, which later writes replace.
        table.put(put(row, time - 5, "replaced")).unwrap();
    }
    table.delete(Delete::new("b").family_at("g", time)).unwrap();
}

#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn a_running_hbase_serves_the_regions_that_its_catalog_has_now() {
    let (programs, dir) = (programs(), tempfile::tempdir().unwrap());
    let root = dir.path().join("hbase");
    let mut cluster = Cluster::start(&programs, dir.path(), &[]);
    let mut client = Client::of(&cluster);
    for (table, tracker) in TABLES {
        client.ask(&json!({"op": "create", "table": table, "splits": ["m", "p", "t"],
            "families": [{"name": "f", "VERSIONS": 3}, {"name": "g", "VERSIONS": 2}],
            "attributes": {"hbase.store.file-tracker.impl": tracker}}));
    }
    for (round, at) in [(10, "c"), (20, "ab")] {
        for (table, _) in TABLES {
            for row in ROWS {
                for family in ["f", "g"] {
                    client.ask(&json!({"op": "put", "table": table, "row": row, "family": family,
                        "qualifier": "q", "timestamp": round, "value": format!("hbase{round}")}));
                }
            }
            client.ask(&json!({"op": "flush", "table": table}));
        }
        let seen: Vec<_> = TABLES.iter().map(|(table, _)| client.cells(table)).collect();
        drop(client);
        cluster.stop();
        for ((name, _), seen) in TABLES.iter().zip(seen) {
            assert_eq!(json_cells(&Table::open(&root, name).unwrap()), seen, "{name}, written by HBase");
            let options = hregion::Region::options().writable(true);
            let table = Table::open_with(&root, name, options).unwrap();
            for info in table.regions() {
                table.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
            }
            let archived = table.archive_parents().unwrap().len();
            println!("{name}, round {round}: {archived} parents archived");
            change(&table, at, round + 5);
            table.close().unwrap();
        }
        cluster = Cluster::start(&programs, dir.path(), &[]);
        client = Client::of(&cluster);
        for (table, _) in TABLES {
            client.ask(&json!({"op": "wait_assigned", "table": table}));
            let ours = Table::open(&root, table).unwrap();
            let found = client.ask(&json!({"op": "regions", "table": table}));
            let encoded: Vec<Value> = ours.regions().iter().map(|info| info.encoded_name().into()).collect();
            let regions = found.as_array().unwrap();
            let of_hbase: Vec<Value> = regions.iter().map(|region| region["encoded"].clone()).collect();
            assert_eq!(of_hbase, encoded, "{table}: {found}");
            let cells = json_cells(&ours);
            assert_eq!(client.cells(table), cells, "{table}, changed by us");
            assert!(cells.iter().any(|cell| cell["value"] == "replaced"));
            client.ask(&json!({"op": "compact", "table": table, "major": true}));
            assert_eq!(client.cells(table), cells, "{table}, compacted");
            println!("{table}, round {round}: HBase sees {} cells", cells.len());
        }
    }
}

#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn a_new_hbase_takes_the_regions_of_a_table_that_it_never_had() {
    let dir = tempfile::tempdir().unwrap();
    let families = [Family::new("f").max_versions(3), Family::new("g").max_versions(2)];
    let table = Table::create(dir.path(), "own", &families, &["m", "p", "t"]).unwrap();
    for row in ROWS {
        table.put(put(row, 10, "first")).unwrap();
    }
    table.flush().unwrap();
    change(&table, "c", 15);
    table.close().unwrap();
    let (_, plain) = check_region(&dir.path().join("data/default/own"), &[]);
    let table = Table::open(dir.path(), "own").unwrap();
    let mut newest = Vec::new();
    for row in table.scan(Scan::new()).unwrap() {
        newest.extend(row.unwrap().cells().map(|cell| json_cell(&cell)));
    }
    assert_eq!(plain, newest);
    println!("HBase sees {} cells", plain.len());
}
