//! `hregion locate` and `hregion regions` on directories written by HBase.

use crate::library::files::copy_dir;
use crate::library::golden;
use crate::support::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn testdata(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(path).display().to_string()
}

#[test]
fn lookups_are_answered_as_by_hbase() {
    let root = testdata("meta/root");
    let Some(dir) = golden::shared("cluster/locator") else { return };
    let script = fs::read_to_string(dir.join("script.jsonl")).unwrap();
    let mut count = 0;
    for line in json_lines(&script) {
        let command = &line["command"];
        if command["op"] != "locate" || command["table"] != "ns1:binary" || command["client"] != "sync" {
            continue;
        }
        let row = command["row"].as_str().unwrap();
        let found = json_lines(&ok(&["locate", "ns1:binary", row, "--meta", &root, "--json"]));
        assert_eq!(found, [line["ok"].clone()]);
        count += 1;
    }
    assert_eq!(count, 30);
}

#[test]
fn regions_are_listed_in_the_order_of_their_rows() {
    let root = testdata("meta/root");
    let starts = |table: &str, root: &str| -> Vec<Value> {
        let lines = json_lines(&ok(&["regions", table, "--meta", root, "--json"]));
        lines.iter().map(|line| line["start"].clone()).collect()
    };
    assert_eq!(starts("halves", &root), [json!(""), json!("row-0060")]);
    // without a catalog, where the parent's directory still exists
    assert_eq!(starts("halves", &testdata("region/split-references/root")), [json!(""), json!("row-0060")]);
    let text = ok(&["regions", "halves", "--meta", &root]);
    assert!(
        text.lines().next().unwrap().contains("b080bd824b133f7fd142d58caf423392.  [, row-0060)  localhost,")
    );
}

#[test]
fn a_missing_table_exits_with_1() {
    let root = testdata("meta/root");
    for line in [
        &["locate", "nowhere", "a", "--meta", &root, "--json"][..],
        &["regions", "nowhere", "--meta", &root, "--json"],
    ] {
        let out = run(line);
        assert_eq!(out.status.code(), Some(1), "{line:?}");
        let error = json_lines(&String::from_utf8(out.stdout).unwrap());
        assert_eq!(error[0]["error"]["kind"], "TableNotFound");
    }
    for line in [
        &["locate", "t", "a", "--bootstrap", "127.0.0.1:1", "--timeout", "1"][..],
        &["get", "t", "a", "--bootstrap", "127.0.0.1:1", "--timeout", "1"],
        &["scan", "t", "--zookeeper", "127.0.0.1:1", "--timeout", "1"],
    ] {
        let out = run(line);
        assert_eq!(out.status.code(), Some(5), "{line:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
    for line in [
        &["get", "t", "a", "--bootstrap", "127.0.0.1:1", "--now", "5"][..],
        &["count", "t", "--bootstrap", "127.0.0.1:1", "--no-checksums"],
        &["count", "t", "--bootstrap", "127.0.0.1:1", "--zookeeper", "127.0.0.1:1"],
        &["count", "t", "--bootstrap", "127.0.0.1:1", "--site", "hbase-site.xml"],
    ] {
        assert_eq!(run(line).status.code(), Some(2), "{line:?}");
    }
    assert_eq!(run(&["locate", "t", "a"]).status.code(), Some(2));
}

#[test]
fn holes_and_overlaps_are_pointed_out() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let table = root.join("data/default/halves");
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/region/split-references/root/data/default/halves");
    // only the lower daughter
    let region = "b080bd824b133f7fd142d58caf423392";
    fs::create_dir_all(table.join(region)).unwrap();
    fs::copy(from.join(region).join(".regioninfo"), table.join(region).join(".regioninfo")).unwrap();
    let root = root.display().to_string();
    let out = run(&["regions", "halves", "--meta", &root, "--json"]);
    assert_eq!(out.status.code(), Some(3));
    let lines = json_lines(&String::from_utf8(out.stdout).unwrap());
    assert_eq!(lines[1], json!({ "hole": { "start": "row-0060", "end": "" } }));
    let out = run(&["scan", table.to_str().unwrap(), "--start", "row-0070", "--json"]);
    assert_eq!(out.status.code(), Some(3));
    let lines = json_lines(&String::from_utf8(out.stdout).unwrap());
    assert_eq!(lines.last().unwrap()["error"]["kind"], "Inconsistent");
}

/// HBase skips such a file, too: what the catalog had in it is not found.
#[test]
fn files_of_the_catalog_that_are_not_read_are_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(Path::new(&testdata("meta/root")), dir.path());
    let info = dir.path().join("data/hbase/meta/1588230740/info");
    let files: Vec<_> = fs::read_dir(&info).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.iter().for_each(|file| fs::write(file, "").unwrap());
    let root = dir.path().to_str().unwrap();
    for args in [&["regions", "halves", "--meta", root][..], &["locate", "halves", "a", "--meta", root]] {
        let output = run(args);
        assert_eq!(code(&output), 1, "{}", stderr(&output));
        assert!(stderr(&output).contains("no bytes: it is not read"), "{}", stderr(&output));
    }
}
