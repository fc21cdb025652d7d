//! Snapshots as targets: the cells of a table when HBase took a snapshot of it.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod support;

use serde_json::Value;
use std::fs;
use support::{code, json_lines, last_error, ok, read_gz, run, testdata};

fn snapshot() -> String {
    testdata("region/clone-references/root/.hbase-snapshot/joined-snap").to_str().unwrap().to_owned()
}

/// The cells that HBase's client read from the table, in row order.
fn recorded() -> Vec<Value> {
    let stage = testdata("region/clone-references");
    let mut regions = json_lines(&fs::read_to_string(stage.join("regions.jsonl")).unwrap());
    regions.retain(|region| region["table"] == "joined");
    regions.sort_by_key(|region| region["start"].as_str().unwrap().to_owned());
    let raw = |region: &Value| {
        let name = format!("raw/{}.raw.jsonl.gz", region["encoded"].as_str().unwrap());
        json_lines(&read_gz(stage.join(name)))
    };
    regions.iter().flat_map(raw).collect()
}

#[test]
fn a_snapshot_is_read_in_place() {
    let expected = recorded();
    let mut found = json_lines(&ok(&["scan", &snapshot(), "--raw", "--versions", "all", "--json"]));
    found.iter_mut().for_each(|cell| drop(cell.as_object_mut().unwrap().remove("sequence_id")));
    assert_eq!(found, expected);

    let row = expected[100]["row"].as_str().unwrap();
    let mut got = json_lines(&ok(&["get", &snapshot(), row, "--raw", "--versions", "all", "--json"]));
    got.iter_mut().for_each(|cell| drop(cell.as_object_mut().unwrap().remove("sequence_id")));
    assert_eq!(got, expected.iter().filter(|cell| cell["row"] == row).cloned().collect::<Vec<_>>());

    let counted = json_lines(&ok(&["count", &snapshot(), "--raw", "--versions", "all", "--json"]));
    assert_eq!(counted[0]["cells"], expected.len());
}

#[test]
fn a_snapshot_elsewhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(format!("{}/.snapshotinfo", snapshot()), dir.path().join(".snapshotinfo")).unwrap();
    let output = run(&["scan", dir.path().to_str().unwrap(), "--json"]);
    assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (4, Some("Unsupported")));
}
