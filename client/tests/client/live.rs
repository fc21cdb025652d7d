//! The same reads and writes by HBase's client and by this one.

use crate::hbase::{Client as Java, Cluster, programs};
use crate::json_cell::json_cell;
use hregion::locator::RetryPolicy;
use hregion::{
    Append, CheckAndMutate, Consistency, Delete, Family, Filter, Get, Increment, Mutation, Put, Row, Scan,
    TableName, TimeRange,
};
use hregion_client::{Client, Table};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TABLE: &str = "t";
const ROWS: usize = 100_000;
const REGIONS: usize = 20;

fn row_key(at: usize) -> String {
    format!("row-{at:06}")
}

fn json_of(row: &Row) -> Vec<Value> {
    row.cells().map(|cell| json_cell(&cell)).collect()
}

/// Returns the cells of a scan, and the lengths of its results.
async fn scanned(table: &Table, scan: Scan) -> (Vec<Value>, Vec<usize>) {
    let mut scanner = table.scan(scan).unwrap();
    let (mut cells, mut lens) = (Vec::new(), Vec::new());
    while let Some(result) = scanner.next().await.unwrap() {
        cells.extend(json_of(&result.row));
        lens.push(result.row.len());
    }
    (cells, lens)
}

fn assert_same(ours: &[Value], theirs: &Value, what: &str) {
    let theirs = theirs.as_array().unwrap();
    let first = ours.iter().zip(theirs).position(|(a, b)| a != b);
    if let Some(at) = first {
        panic!("{what}: cell {at} is {}, HBase's client reads {}", ours[at], theirs[at]);
    }
    assert_eq!(ours.len(), theirs.len(), "{what}");
    println!("{what}: {} cells", ours.len());
}

/// Whether a row has the cells that [`fill`] wrote.
fn is_as_filled(at: usize, row: &Row) -> bool {
    let value = format!("value {at}");
    row.value("f", "a") == Some(value.as_bytes())
        && row.len() == 1 + at % 4
        && (0..at % 4).all(|column| {
            row.value("g", format!("c{column}")).is_some_and(|value| value == vec![b'x'; at % 50])
        })
}

/// Creates the table with HBase's client, and fills it with this one.
async fn fill(java: &mut Java, client: &Client) -> Table {
    let splits: Vec<String> = (1..REGIONS).map(|at| row_key(at * ROWS / REGIONS)).collect();
    let family = |name: &str| json!({"name": name, "VERSIONS": "3"});
    java.ask(
        &json!({"op": "create", "table": TABLE, "families": [family("f"), family("g")], "splits": splits}),
    );
    let table = client.table(&TableName::parse(TABLE).unwrap());
    for first in (0..ROWS).step_by(1000) {
        let put = |at: usize| -> Mutation {
            let mut put = Put::new(row_key(at)).cell_at("f", "a", 1000, format!("value {at}"));
            for column in 0..at % 4 {
                put = put.cell_at("g", format!("c{column}"), 1000 + at as i64, vec![b'x'; at % 50]);
            }
            put.into()
        };
        let puts: Vec<Mutation> = (first..first + 1000).map(put).collect();
        for result in table.batch(&puts).await {
            assert!(result.unwrap().is_empty());
        }
    }
    table
}

async fn locations_are_those_of_hbase(java: &mut Java, client: &Client) {
    let table = TableName::parse(TABLE).unwrap();
    for row in ["", "row-000000", "row-004999", "row-005000", "row-052500", "zzz"] {
        let theirs = java.ask(&json!({"op": "locate", "table": TABLE, "row": row}));
        let ours = client.locate(&table, row).await.unwrap();
        let server = ours.server().unwrap().to_string();
        assert_eq!(
            (ours.region().encoded_name(), server.as_str()),
            (theirs["encoded"].as_str().unwrap().to_owned(), theirs["server"].as_str().unwrap())
        );
    }
    assert_eq!(client.regions(&table).await.unwrap().len(), REGIONS);
    let missing = client.locate(&TableName::parse("missing").unwrap(), "r").await.unwrap_err();
    assert_eq!(missing.kind(), hregion::ErrorKind::TableNotFound);
}

async fn reads_are_those_of_hbase(java: &mut Java, table: &Table) {
    for at in [0, 1, 4999, 5000, 50_001, ROWS - 1, ROWS] {
        let theirs = java.ask(&json!({"op": "get", "table": TABLE, "row": row_key(at), "versions": 3}));
        let ours = table.get(&Get::new(row_key(at)).max_versions(3)).await.unwrap();
        assert_same(&json_of(&ours), &theirs, "get");
    }
    let rows: Vec<String> = (0..200).map(|at| row_key(at * 7919 % (ROWS + 100))).collect();
    let theirs = java.ask(&json!({"op": "multi_get", "table": TABLE, "rows": rows}));
    let ours = table.get_many(&rows.iter().map(Get::new).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(json!(ours.iter().map(json_of).collect::<Vec<_>>()), theirs);
    let error = table.get(&Get::new("row-000001").family("none")).await.unwrap_err();
    assert_eq!(error.kind(), hregion::ErrorKind::NoSuchFamily, "{error}");

    let filter = "SingleColumnValueFilter('f', 'a', >=, 'binary:value 15000') AND PageFilter(1000)";
    let scans: Vec<(&str, Scan, Value)> = vec![
        ("all", Scan::new(), json!({})),
        ("reversed", Scan::new().reversed(true), json!({"reversed": true})),
        (
            "a range",
            Scan::new().rows("row-004990".."row-015010").max_versions(3),
            json!({"start": "row-004990", "stop": "row-015010", "versions": 3}),
        ),
        (
            "a range after its first row, with its last",
            Scan::new().start_row("row-004999", false).stop_row("row-010000", true),
            json!({"start": "row-004999", "include_start": false, "stop": "row-010000",
                "include_stop": true}),
        ),
        (
            "a reversed range",
            Scan::new().start_row("row-015000", true).stop_row("row-004999", false).reversed(true),
            json!({"start": "row-015000", "stop": "row-004999", "reversed": true}),
        ),
        (
            "a reversed range from a region's start, without it",
            Scan::new().start_row("row-010000", false).stop_row("row-004999", true).reversed(true),
            json!({"start": "row-010000", "include_start": false, "stop": "row-004999", "include_stop": true,
                   "reversed": true}),
        ),
        ("columns", Scan::new().column("g", "c1").family("f"), json!({"columns": ["g:c1", "f"]})),
        ("a limit", Scan::new().limit(2500), json!({"limit": 2500})),
        (
            "a limit backward",
            Scan::new().limit(1500).reversed(true),
            json!({"limit": 1500, "reversed": true}),
        ),
        ("few results at a time", Scan::new().caching(100), json!({"caching": 100})),
        ("few bytes at a time", Scan::new().max_result_size(3000), json!({"max_result_size": 3000})),
        (
            "few bytes at a time, backward",
            Scan::new().max_result_size(3000).reversed(true),
            json!({"max_result_size": 3000, "reversed": true}),
        ),
        ("a filter", Scan::new().filter(Filter::parse(filter).unwrap()), json!({"filter": filter})),
        (
            "a time range",
            Scan::new().time_range(TimeRange::new(1500, 2500).unwrap()),
            json!({"time_range": [1500, 2500]}),
        ),
        (
            "batches",
            Scan::new().batch(2).max_result_size(500).rows("row-000000".."row-012500"),
            json!({"batch": 2, "max_result_size": 500, "start": "row-000000", "stop": "row-012500"}),
        ),
        (
            "parts",
            Scan::new().allow_partial(true).max_result_size(100).rows("row-004900".."row-005100"),
            json!({"allow_partial": true, "max_result_size": 100, "start": "row-004900",
                "stop": "row-005100"}),
        ),
        ("raw", Scan::new().raw(true).max_versions(u32::MAX).limit(300), json!({"raw": true, "limit": 300})),
    ];
    for (what, scan, mut command) in scans {
        command["op"] = "scan".into();
        command["table"] = TABLE.into();
        let theirs = java.ask(&command);
        let batch = scan.limits().batch as usize;
        let (ours, lens) = scanned(table, scan).await;
        assert_same(&ours, &theirs, what);
        assert!(batch == 0 || lens.iter().all(|len| *len <= batch) && lens.contains(&batch), "{what}");
    }
}

/// Both clients count the same metrics for the same scans, and the families are the created ones.
async fn metrics_and_families_are_those_of_hbase(java: &mut Java, client: &Client, table: &Table) {
    let families = client.families(table.name()).await.unwrap();
    assert_eq!(families, ["f", "g"].map(|name| Family::new(name).max_versions(3)));
    let missing = client.families(&TableName::parse("missing").unwrap()).await.unwrap_err();
    assert_eq!(missing.kind(), hregion::ErrorKind::TableNotFound, "{missing}");
    let filter = "SingleColumnValueFilter('f', 'a', =, 'substring:77')";
    for (scan, command) in [
        (Scan::new(), json!({})),
        (Scan::new().rows("row-012000".."row-051000"), json!({"start": "row-012000", "stop": "row-051000"})),
        (Scan::new().filter(Filter::parse(filter).unwrap()), json!({"filter": filter})),
    ] {
        let mut scanner = table.scan(scan).unwrap().track_metrics();
        while scanner.next().await.unwrap().is_some() {}
        let ours = scanner.metrics().unwrap();
        let mut asked = command;
        asked["op"] = "scan_metrics".into();
        asked["table"] = TABLE.into();
        let theirs = java.ask(&asked);
        for (name, count) in [
            ("ROWS_SCANNED", ours.rows_scanned),
            ("ROWS_FILTERED", ours.rows_filtered),
            ("REGIONS_SCANNED", ours.regions_scanned),
            ("BYTES_IN_RESULTS", ours.bytes_in_results),
        ] {
            assert_eq!(theirs[name], count, "{name} of {asked}: {theirs}");
        }
        println!("metrics of a scan: {ours:?}");
    }
}

/// The same cells are read with each compressor that the servers have; for others, the error names the class.
async fn cells_are_compressed(cluster: &Cluster, table: &Table) {
    let scan = || Scan::new().rows("row-004000".."row-012000").max_versions(3);
    let expected = scanned(table, scan()).await;
    let (hadoop, hbase) = ("org.apache.hadoop.io.compress", "org.apache.hadoop.hbase.io.compress");
    for (class, is_there) in [
        (format!("{hadoop}.GzipCodec"), true),
        (format!("{hbase}.ReusableStreamGzipCodec"), true),
        (format!("{hadoop}.SnappyCodec"), true),
        (format!("{hbase}.aircompressor.SnappyCodec"), true),
        (format!("{hbase}.aircompressor.Lz4Codec"), true),
        (format!("{hbase}.aircompressor.ZstdCodec"), true),
        (format!("{hbase}.xerial.SnappyCodec"), true),
        (format!("{hbase}.zstd.ZstdCodec"), true),
        // the server does not have the class
        (format!("{hbase}.lz4.Lz4Codec"), false),
        // The server has the class, but not its native library: it sends no answer.
        (format!("{hadoop}.ZStandardCodec"), false),
    ] {
        let begin = Instant::now();
        let time = Duration::from_secs(if is_there { 60 } else { 5 });
        let retries = RetryPolicy::default().operation_timeout(time);
        let builder = Client::builder().retries(retries).compressor(&class).unwrap();
        let table = builder.zookeeper(cluster.zookeeper()).unwrap().table(table.name());
        let mut scanner = table.scan(scan()).unwrap();
        match scanner.next().await {
            Ok(_) => {
                assert!(is_there, "{class}");
                assert!(scanned(&table, scan()).await == expected, "{class}");
                println!("{class}: {} cells, {:?}", expected.0.len(), begin.elapsed());
            }
            Err(error) => {
                assert!(!is_there && error.message().contains(&class), "{class}: {error}");
                println!("{class}: {error}, {:?}", begin.elapsed());
            }
        }
    }
}

/// Reads of region replicas return the same cells as HBase's client, and mark the same ones as stale.
async fn copies_are_read_as_by_hbase(java: &mut Java, client: &Client) {
    let name = "copies";
    java.ask(&json!({"op": "create", "table": name, "families": ["f"], "splits": ["m"],
        "attributes": {"REGION_REPLICATION": "2"}}));
    let table = client.table(&TableName::parse(name).unwrap());
    let put =
        |row: &str, value: &str, time| Put::new(row.to_owned()).cell_at("f", "q", time, value.to_owned());
    for row in ["a", "b", "m", "n"] {
        table.put(put(row, "old", 1)).await.unwrap();
    }
    // the replicas open with the files that exist at that time
    for op in ["flush", "disable", "enable"] {
        java.ask(&json!({"op": op, "table": name}));
    }
    table.put(put("b", "new", 2)).await.unwrap();
    let selected: [(&str, Consistency, Option<u16>); 5] = [
        ("strong", Consistency::Strong, None),
        ("strong, of a copy", Consistency::Strong, Some(1)),
        ("of any", Consistency::Timeline, None),
        ("of the primary", Consistency::Timeline, Some(0)),
        ("of the other", Consistency::Timeline, Some(1)),
    ];
    for (what, consistency, replica) in selected {
        let asked = |op: &str| {
            let mut asked = json!({"op": op, "table": name, "row": "b"});
            asked["consistency"] = format!("{consistency:?}").to_uppercase().into();
            if let Some(id) = replica {
                asked["replica"] = id.into();
            }
            asked
        };
        let mut get = Get::new("b").consistency(consistency);
        let mut scan = Scan::new().consistency(consistency);
        if let Some(id) = replica {
            (get, scan) = (get.replica_id(id), scan.replica_id(id));
        }
        let row = table.get(&get).await.unwrap();
        let theirs = java.ask(&asked("stale_get"));
        let many = table.get_many(&[get]).await.unwrap();
        let mut scanner = table.scan(scan).unwrap();
        let (mut cells, mut stale) = (Vec::new(), Vec::new());
        while let Some(result) = scanner.next().await.unwrap() {
            cells.extend(json_of(&result.row));
            stale.push(result.row.is_stale());
        }
        // a strong scan of the blocking client also reads the named replica
        let mut asynchronous = asked("stale_scan");
        asynchronous["async"] = true.into();
        let scanned = java.ask(&asynchronous);
        if consistency == Consistency::Timeline && replica.is_some() {
            assert_eq!(java.ask(&asked("stale_scan")), scanned, "{what}");
        }
        // which replica answers first is not determined
        if (consistency, replica) == (Consistency::Timeline, None) {
            let is_new = row.value("f", "q") == Some(&b"new"[..]);
            assert_eq!(is_new, !row.is_stale(), "{row:?}");
            continue;
        }
        let ours = json!({"cells": json_of(&row), "stale": [row.is_stale()]});
        assert_eq!(ours, theirs, "{what}");
        assert_eq!(json!({"cells": json_of(&many[0]), "stale": [many[0].is_stale()]}), theirs, "{what}");
        assert_eq!(json!({"cells": cells, "stale": stale}), scanned, "{what}");
        println!("{what}: {theirs}");
        let is_other = (consistency, replica) == (Consistency::Timeline, Some(1));
        assert_eq!(row.is_stale(), is_other, "{what}");
        assert_eq!(row.value("f", "q"), Some(if is_other { &b"old"[..] } else { b"new" }), "{what}");
    }
    java.ask(&json!({"op": "disable", "table": name}));
    java.ask(&json!({"op": "drop", "table": name}));
}

async fn cells_have_tags_if_they_are_asked_for(table: &Table, with_tags: &Table) {
    let put = Put::new("row-tagged").cell("f", "a", "v").ttl(Duration::from_secs(3600));
    table.put(put).await.unwrap();
    for (table, expected) in [(table, &b""[..]), (with_tags, b"\0\x09\x08\0\0\0\0\0\x36\xEE\x80")] {
        let row = table.get(&Get::new("row-tagged")).await.unwrap();
        assert_eq!(row.cell("f", "a").unwrap().tag_bytes(), expected);
    }
    table.delete(Delete::new("row-tagged")).await.unwrap();
}

async fn writes_are_read_by_hbase(java: &mut Java, table: &Table) {
    let row = "row-new";
    table
        .put(Put::new(row).cell("f", "a", "1").cell("g", "b", "2").ttl(Duration::from_secs(3600)))
        .await
        .unwrap();
    for version in 1..4 {
        table.put(Put::new(row).cell_at("f", "v", version, format!("v{version}"))).await.unwrap();
    }
    table.delete(Delete::new(row).version_at("f", "v", 2)).await.unwrap();
    let sum = table.increment(Increment::new(row).column("f", "n", 41)).await.unwrap();
    assert_eq!(sum.value("f", "n"), Some(&41_i64.to_be_bytes()[..]));
    let sum = table.increment(Increment::new(row).column("f", "n", 1)).await.unwrap();
    assert_eq!(sum.value("f", "n"), Some(&42_i64.to_be_bytes()[..]));
    let none = table.increment(Increment::new(row).column("f", "n", 0).return_results(false)).await.unwrap();
    assert!(none.is_empty());
    table.append(Append::new(row).column("g", "b", " and 3")).await.unwrap();

    let put = |value: &'static str| Put::new(row).cell("f", "lock", value);
    let check = CheckAndMutate::if_not_exists(row, "f", "lock").then(put("me"));
    assert!(table.check_and_mutate(check.clone()).await.unwrap().success);
    assert!(!table.check_and_mutate(check).await.unwrap().success);
    let two = CheckAndMutate::if_equals(row, "f", "lock", "me")
        .then(put("you"))
        .then(Delete::new(row).column("f", "a"));
    assert!(table.check_and_mutate(two.clone()).await.unwrap().success);
    assert!(!table.check_and_mutate(two).await.unwrap().success);
    let filter = Filter::parse("SingleColumnValueFilter('f', 'lock', =, 'binary:you')").unwrap();
    let check = CheckAndMutate::if_filter(row, filter).then(Increment::new(row).column("f", "n", 8));
    let checked = table.check_and_mutate(check).await.unwrap();
    assert!(checked.success);
    assert_eq!(checked.cells.value("f", "n"), Some(&50_i64.to_be_bytes()[..]));

    let mutations = vec![
        Put::new(row).cell("g", "x", "y").into(),
        Delete::new(row).column("f", "v").into(),
        Increment::new(row).column("f", "n", -1).into(),
    ];
    let returned = table.mutate_row(row, mutations).await.unwrap();
    assert_eq!(returned.value("f", "n"), Some(&49_i64.to_be_bytes()[..]));
    let other = vec![Put::new("other").cell("g", "x", "y").into()];
    assert!(table.mutate_row(row, other).await.is_err());

    let theirs = java.ask(&json!({"op": "get", "table": TABLE, "row": row, "versions": 9}));
    let ours = table.get(&Get::new(row).max_versions(9)).await.unwrap();
    assert_same(&json_of(&ours), &theirs, "a row written");
    let columns: Vec<String> =
        ours.cells().map(|cell| String::from_utf8_lossy(cell.qualifier()).into_owned()).collect();
    assert_eq!(columns, ["lock", "lock", "n", "n", "n", "b", "b", "x"]);

    // one of two fails, and the other is written
    let results = table.batch(&[Put::new("row-b1").cell("none", "q", "").into(), put("batch").into()]).await;
    assert_eq!(results[0].as_ref().unwrap_err().kind(), hregion::ErrorKind::NoSuchFamily);
    assert!(results[1].is_ok());
    table.delete(Delete::new(row)).await.unwrap();
    assert!(!table.exists(&Get::new(row)).await.unwrap());
    assert_eq!(java.ask(&json!({"op": "get", "table": TABLE, "row": row})), json!([]));
}

/// Scans while regions are split, merged and moved, and a server stops: each row is returned once, in order.
async fn rows_are_read_once_while_regions_change(java: &mut Java, cluster: &Cluster, table: &Table) {
    let expected: Vec<String> = (0..ROWS).map(row_key).collect();
    let names = |value: Value| -> Vec<String> {
        let field = |region: &Value| region["encoded"].as_str().unwrap().to_owned();
        value.as_array().unwrap().iter().map(field).collect()
    };
    let servers: Vec<String> = serde_json::from_value(cluster.ready["servers"].clone()).unwrap();
    for round in 0..3 {
        for reversed in [false, true] {
            let scan = Scan::new()
                .caching(397)
                .stop_row(if reversed { "" } else { "row-1" }, false)
                .reversed(reversed);
            let mut scanner = table.scan(scan).unwrap();
            let (mut found, mut changes, mut done) = (Vec::new(), 0, 0);
            while let Some(row) = scanner.next_row().await.unwrap() {
                found.push(String::from_utf8(row.key().to_vec()).unwrap());
                let at = if reversed { ROWS.saturating_sub(found.len()) } else { found.len() - 1 };
                assert!(is_as_filled(at, &row), "round {round}, reversed {reversed}: {row:?}");
                // several changes within a region, and at the bounds of others
                if found.len().is_multiple_of(ROWS / 14 + 21) {
                    let regions = names(java.ask(&json!({"op": "regions", "table": TABLE})));
                    let at = found.len() / (ROWS / 14) % (regions.len() - 1);
                    let command = match changes % 4 {
                        0 => {
                            let last = found.last().unwrap();
                            let region = json!({"op": "locate", "table": TABLE, "row": last, "reload": true});
                            let region = java.ask(&region)["encoded"].clone();
                            let key = format!("{last}{round}{}", u8::from(reversed));
                            json!({"op": "split", "table": TABLE, "row": key, "region": region})
                        }
                        1 => json!({"op": "merge", "table": TABLE, "regions": &regions[at..at + 2]}),
                        _ => {
                            let server = &servers[changes % servers.len()];
                            json!({"op": "move", "region": regions[at], "server": server})
                        }
                    };
                    // HBase refuses to split or merge a region that has references
                    done += usize::from(java.try_ask(&command).get("ok").is_some());
                    changes += 1;
                }
            }
            if reversed {
                found.reverse();
            }
            let once: BTreeSet<&String> = found.iter().collect();
            assert_eq!((found.len(), once.len()), (ROWS, ROWS), "round {round}, reversed {reversed}");
            assert!(found == expected);
            assert!(done >= changes / 2, "{done} of {changes}");
            println!(
                "round {round}, reversed {reversed}: {ROWS} rows once, during {done} changes of regions"
            );
        }
    }
}

/// Continues to read and write while a server stops.
async fn a_server_ends(java: &mut Java, cluster: &Cluster, client: &Client, table: &Table) {
    let servers: Vec<String> = serde_json::from_value(cluster.ready["servers"].clone()).unwrap();
    let mut scanner = table.scan(Scan::new().caching(500).stop_row("row-1", false)).unwrap();
    let mut found = 0;
    while let Some(row) = scanner.next_row().await.unwrap() {
        assert_eq!(row.key(), row_key(found).as_bytes());
        found += 1;
        if found == ROWS / 3 {
            java.ask(&json!({"op": "stop_server", "server": servers[0]}));
        }
    }
    assert_eq!(found, ROWS);
    let rows: Vec<Get> = (0..400).map(|at| Get::new(row_key(at * 50))).collect();
    assert!(table.get_many(&rows).await.unwrap().iter().all(|row| !row.is_empty()));
    table.put(Put::new("row-after").cell("f", "a", "v")).await.unwrap();
    let server = client.locate(table.name(), "row-after").await.unwrap().server().unwrap().to_string();
    assert!(servers[1..].contains(&server), "{server}");
    println!("{ROWS} rows once, while {} ended", servers[0]);
}

/// Reads and writes while a server crashes with memstores that are only in its log: no acknowledged write is
/// lost, each increment counts once, and the cache is right afterwards.
async fn a_server_crashes(java: &mut Java, root: &Path, victim: &str, client: &Client, table: &Table) {
    const LATE: usize = 2000;
    const COUNTERS: usize = 40;
    let late: Vec<Mutation> = (0..LATE)
        .map(|at| Put::new(format!("{}-late", row_key(at * ROWS / LATE))).cell("g", "late", "v").into())
        .collect();
    assert!(table.batch(&late).await.iter().all(Result::is_ok));

    let (is_over, gets) = (&AtomicBool::new(false), &AtomicUsize::new(0));
    let counter = |at: usize| format!("{}-sum", row_key(at * ROWS / COUNTERS));
    let scans = async {
        let mut scanner = table.scan(Scan::new().caching(500).stop_row("row-1", false)).unwrap();
        let (mut found, mut late) = (0, 0);
        while let Some(row) = scanner.next_row().await.unwrap() {
            if row.key() != row_key(found).as_bytes() {
                late += usize::from(row.key().ends_with(b"-late"));
                continue; // of this test
            }
            assert!(is_as_filled(found, &row), "{row:?}");
            found += 1;
            if found == ROWS / 3 {
                fs::write(root.join("abort.half"), victim).unwrap();
                fs::rename(root.join("abort.half"), root.join("abort")).unwrap();
            }
        }
        assert_eq!((found, late), (ROWS, LATE));
        while root.join("abort").exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let increments = async {
        let mut sums = BTreeMap::new();
        for at in 0.. {
            let row = counter(at % COUNTERS);
            let sum = table.increment(Increment::new(row.clone()).column("g", "sum", 1)).await.unwrap();
            let counted: &mut i64 = sums.entry(row).or_default();
            *counted += 1;
            assert_eq!(sum.value("g", "sum"), Some(&counted.to_be_bytes()[..]));
            if at >= 10 * COUNTERS && is_over.load(Ordering::Relaxed) {
                break;
            }
        }
        sums
    };
    let reads = async {
        for at in 0.. {
            let at = at * 7919 % ROWS;
            assert!(is_as_filled(at, &table.get(&Get::new(row_key(at))).await.unwrap()));
            gets.fetch_add(1, Ordering::Relaxed);
            if is_over.load(Ordering::Relaxed) {
                break;
            }
        }
    };
    let ((), sums, ()) = tokio::join!(scans, increments, reads);

    for (row, sum) in &sums {
        let read = table.get(&Get::new(row.clone())).await.unwrap();
        assert_eq!(read.value("g", "sum"), Some(&sum.to_be_bytes()[..]), "{row}");
    }
    for reversed in [false, true] {
        let (ours, _) = scanned(table, Scan::new().reversed(reversed)).await;
        let theirs = java.ask(&json!({"op": "scan", "table": TABLE, "reversed": reversed}));
        assert_same(&ours, &theirs, "after the crash");
    }
    let regions = java.ask(&json!({"op": "regions", "table": TABLE}));
    for region in regions.as_array().unwrap() {
        let start = region["start"].as_str().unwrap();
        let place = json!({"op": "locate", "table": TABLE, "row": start, "reload": true});
        let theirs = java.ask(&place);
        let ours = client.locate(table.name(), start).await.unwrap();
        let server = ours.server().unwrap().to_string();
        assert_ne!(server, victim);
        assert_eq!(
            (ours.region().encoded_name(), server.as_str()),
            (theirs["encoded"].as_str().unwrap().to_owned(), theirs["server"].as_str().unwrap())
        );
    }
    let sum: i64 = sums.values().sum();
    println!(
        "{ROWS} rows once, {} gets and {sum} increments, while {victim} crashed; {} locations are right",
        gets.load(Ordering::Relaxed),
        regions.as_array().unwrap().len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a running HBase: Java and Maven"]
async fn answers_are_those_of_hbases_client() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&programs(), dir.path(), &["--servers", "3"]);
    let mut java = Java::of(&cluster);
    let zookeeper = Client::builder().zookeeper(cluster.zookeeper()).unwrap();
    let master = cluster.ready["master"].as_str().unwrap();
    let master = hregion::ServerName::parse(master).unwrap();
    let retries = RetryPolicy::default().operation_timeout(Duration::from_secs(300));
    let builder = Client::builder().retries(retries);
    let bootstrap = builder.bootstrap(&format!("{}:{}", master.host(), master.port())).unwrap();
    let id = zookeeper.cluster_id().await.unwrap();
    assert!(id.is_some());
    assert_eq!(bootstrap.cluster_id().await.unwrap(), id);
    assert_eq!(bootstrap.active_master().await.unwrap(), Some(master.clone()));
    assert_eq!(zookeeper.active_master().await.unwrap(), Some(master));

    fill(&mut java, &zookeeper).await;
    for client in [&zookeeper, &bootstrap] {
        locations_are_those_of_hbase(&mut java, client).await;
    }
    let table = bootstrap.table(&TableName::parse(TABLE).unwrap());
    reads_are_those_of_hbase(&mut java, &table).await;
    let compressed = Client::builder().gzip(true).zookeeper(cluster.zookeeper()).unwrap();
    reads_are_those_of_hbase(&mut java, &compressed.table(table.name())).await;
    cells_are_compressed(&cluster, &table).await;
    copies_are_read_as_by_hbase(&mut java, &zookeeper).await;
    for client in [&zookeeper, &bootstrap] {
        metrics_and_families_are_those_of_hbase(&mut java, client, &table).await;
    }
    let meta = zookeeper.table(&TableName::meta());
    let (ours, _) = scanned(&meta, Scan::new().caching(3)).await;
    assert_same(&ours, &java.ask(&json!({"op": "scan", "table": "hbase:meta"})), "the catalog");
    writes_are_read_by_hbase(&mut java, &table).await;
    let with_tags = Client::builder().tags(true).zookeeper(cluster.zookeeper()).unwrap();
    reads_are_those_of_hbase(&mut java, &with_tags.table(table.name())).await;
    cells_have_tags_if_they_are_asked_for(&table, &with_tags.table(table.name())).await;
    rows_are_read_once_while_regions_change(&mut java, &cluster, &table).await;
    a_server_ends(&mut java, &cluster, &bootstrap, &table).await;
    let victim = cluster.ready["servers"][1].as_str().unwrap();
    a_server_crashes(&mut java, dir.path(), victim, &bootstrap, &table).await;

    java.ask(&json!({"op": "disable", "table": TABLE}));
    for client in [&zookeeper, &bootstrap] {
        let table = client.table(&TableName::parse(TABLE).unwrap());
        let error = table.get(&Get::new("row-000000")).await.unwrap_err();
        assert_eq!(error.kind(), hregion::ErrorKind::TableNotEnabled, "{error}");
    }
    java.ask(&json!({"op": "drop", "table": TABLE}));
    let error = table.get(&Get::new("row-000000")).await.unwrap_err();
    assert_eq!(error.kind(), hregion::ErrorKind::TableNotFound, "{error}");
}
