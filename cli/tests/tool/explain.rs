//! `hregion explain`: text, JSON, and agreement with `get` and `scan` on tables written by HBase.

use crate::support::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Creates a region by a script: three versions and a marker of a row in two files, and a row in another one.
fn scratch(dir: &Path) -> PathBuf {
    let (script, region) = (dir.join("script.jsonl"), dir.join("region"));
    let lines = [
        json!({"id": 1, "op": "create", "now": 1000,
            "families": [{"name": "f", "versions": 2, "bloom": "ROW"}]}),
        json!({"id": 2, "op": "put", "row": "a", "cells": [["f", "q", 1, "v1"], ["f", "q", 2, "v2"]]}),
        json!({"id": 3, "op": "put", "row": "a", "cells": [["f", "p", 1, "v1"]]}),
        json!({"id": 4, "op": "flush"}),
        json!({"id": 5, "op": "put", "row": "a", "cells": [["f", "q", 3, "v3"]]}),
        json!({"id": 6, "op": "delete", "row": "a", "cells": [["column", "f", "p", 1]]}),
        json!({"id": 7, "op": "flush"}),
        json!({"id": 8, "op": "put", "row": "b\x1b", "cells": [["f", "q", 1, "v1"]]}),
        json!({"id": 9, "op": "flush"}),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(&script, lines.join("\n")).unwrap();
    ok(&["replay".as_ref(), script.as_os_str(), "--dir".as_ref(), region.as_os_str()]);
    region
}

fn file_name(path: &Value) -> String {
    Path::new(path.as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_get_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let region = scratch(dir.path());
    let region = region.to_str().unwrap();
    let lines = json_lines(&ok(&["explain", "get", region, "a", "--json"]));
    let (cells, files) = lines.split_at(5);
    let cell = |qualifier: &str, timestamp: i64, cell_type: &str, value: &str, id: i64| {
        json!({"row": "a", "family": "f", "qualifier": qualifier, "timestamp": timestamp,
            "type": cell_type, "value": value, "sequence_id": id})
    };
    let marker = cells[0]["cell"].clone();
    assert_eq!((&marker["type"], &marker["qualifier"]), (&json!("DeleteColumn"), &json!("p")));
    let (old, new) = (&files[0]["file"], &files[1]["file"]);
    let id = |at: usize| cells[at]["cell"]["sequence_id"].as_i64().unwrap();
    let newest = cell("q", 3, "Put", "v3", id(2));
    let expected = [
        json!({"cell": marker, "from": new, "kept": false, "reason": "raw_only"}),
        json!({"cell": cell("p", 1, "Put", "v1", id(1)), "from": old, "kept": false,
            "reason": "delete_marker", "by": marker}),
        json!({"cell": newest, "from": new, "kept": true, "reason": "returned"}),
        json!({"cell": cell("q", 2, "Put", "v2", id(3)), "from": old, "kept": false,
            "reason": "newer_versions", "by": newest}),
        json!({"cell": cell("q", 1, "Put", "v1", id(4)), "from": old, "kept": false,
            "reason": "newer_versions", "by": newest}),
    ];
    assert_eq!(cells, expected);
    assert_eq!(members(&cells[1]), ["cell", "from", "kept", "reason", "by"]);
    let reasons: Vec<_> = files.iter().map(|file| (&file["read"], &file["reason"])).collect();
    let [yes, no, read, skipped] = [json!(true), json!(false), json!("may_match"), json!("key_range")];
    assert_eq!(reasons, [(&yes, &read), (&yes, &read), (&no, &skipped)]);
    assert_eq!(members(&files[0]), ["file", "read", "reason"]);

    let text = ok(&["explain", "get", region, "a"]);
    let names: Vec<String> = files.iter().map(|file| file_name(&file["file"])).collect();
    let expected = [
        format!("raw_only         a/f:p/1/DeleteColumn/vlen=0/seqid={}  in {}", id(0), names[1]),
        format!(
            "delete_marker    a/f:p/1/Put/vlen=2/seqid={}  in {}  by a/f:p/1/DeleteColumn/vlen=0/seqid={}",
            id(1),
            names[0],
            id(0)
        ),
        format!("returned         a/f:q/3/Put/vlen=2/seqid={}  in {}", id(2), names[1]),
        format!(
            "newer_versions   a/f:q/2/Put/vlen=2/seqid={}  in {}  by a/f:q/3/Put/vlen=2/seqid={}",
            id(3),
            names[0],
            id(2)
        ),
    ];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], expected);
    assert!(lines[5].starts_with("may_match        read  ") && lines[5].ends_with(&names[0]), "{text}");
    assert!(lines[7].starts_with("key_range        not read  ") && lines[7].ends_with(&names[2]), "{text}");
    assert_eq!(lines.len(), 8);
}

/// No row has an empty key: a scan from the empty row to the empty row covers all rows.
#[test]
fn a_get_of_the_empty_row_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let region = scratch(dir.path());
    let region = region.to_str().unwrap();
    for args in [&["get", region, ""][..], &["get", region, "", "--raw"], &["explain", "get", region, ""]] {
        let output = run(args);
        assert_eq!((code(&output), stdout(&output).as_str()), (2, ""), "{args:?}: {}", stderr(&output));
    }
    for command in ["get 'x', ''", "get_counter 'x', '', 'f:q'"] {
        let output = run(&["shell", region, "-e", command]);
        assert_eq!((code(&output), stdout(&output).as_str()), (2, ""), "{command}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("expected a row that is not empty"), "{command}: {said}");
    }
}

#[test]
fn a_scan_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let region = scratch(dir.path());
    let region = region.to_str().unwrap();
    let reasons = |args: &[&str]| -> Vec<String> {
        let lines = json_lines(&ok(&[&["explain", "scan", region, "--json"], args].concat()));
        lines.iter().map(|line| line["reason"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(reasons(&["--limit", "1"]).len(), 5 + 3);
    assert_eq!(reasons(&["--limit", "1", "--reversed"])[0], "returned");
    assert_eq!(reasons(&["--limit", "2"]), reasons(&[]));
    let late = reasons(&["--time-range", "3..", "--stop", "b"]);
    let cells = ["raw_only", "time_range", "returned", "time_range", "time_range"];
    assert_eq!(late, [&cells[..], &["time_range", "may_match", "time_range"]].concat());
    assert!(ok(&["explain", "scan", region, "--start", "b"]).contains("b\\x1B/f:q/1/Put"));
    // A row of one file; the Bloom filters of the others are not needed.
    let absent = ok(&["explain", "get", region, "aa", "--json"]);
    assert_eq!(json_lines(&absent).iter().filter(|line| line["read"] == true).count(), 0);
    let raw = json_lines(&ok(&["explain", "get", region, "a", "--raw", "--versions", "all", "--json"]));
    assert_eq!(raw.iter().filter(|line| line["kept"] == true).count(), 5);
    // Targets of other kinds.
    let family = format!("{region}/f");
    assert_eq!(ok(&["explain", "scan", &family]), ok(&["explain", "scan", region, "--columns", "f"]));
    for file in fs::read_dir(&family).unwrap().map(|entry| entry.unwrap().path()) {
        let file = file.to_str().unwrap();
        let explained = json_lines(&ok(&["explain", "scan", "--json", file]));
        let kept = explained.iter().filter(|line| line["kept"] == true).map(|line| &line["cell"]);
        assert!(kept.eq(&json_lines(&ok(&["scan", "--json", file]))), "{explained:?}");
    }
    for (args, exit, expected) in [
        (&["explain", "get", region, "a", "--columns", "z"][..], 2, "z"),
        (&["explain", "scan", region, "--raw", "--columns", "f:q"], 2, "raw"),
        (&["explain", "scan", region, "--as", "wal"], 4, "neither a region nor a table nor a snapshot"),
        (&["explain", "scan", "no/such/region"], 5, "no/such/region"),
    ] {
        let output = run(args);
        assert_eq!(code(&output), exit, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{args:?}: {}", stderr(&output));
    }
}

/// For tables written by HBase, the kept cells equal those of a scan, and no stored cell is omitted.
#[test]
fn explanations_agree_with_scans_of_tables_of_hbase() {
    let mut tables = 0;
    for stage in ["bulk-loaded", "clone-references", "split-references", "tracked-split"] {
        let namespace = testdata("region").join(stage).join("root/data/default");
        for table in fs::read_dir(namespace).unwrap().map(|entry| entry.unwrap().path()) {
            for args in [&[][..], &["--versions", "all"], &["--reversed"], &["--limit", "3"]] {
                let with = |command: &[&str]| {
                    let mut line: Vec<&str> = [command, &["--json", table.to_str().unwrap()]].concat();
                    line.extend(args);
                    json_lines(&ok(&line))
                };
                let explained = with(&["explain", "scan"]);
                let kept = explained.iter().filter(|line| line["kept"] == true).map(|line| &line["cell"]);
                assert!(kept.eq(&with(&["scan"])), "{} {args:?}", table.display());
                if !args.contains(&"--limit") {
                    let stored = json_lines(&ok(&[
                        "scan",
                        "--raw",
                        "--json",
                        "--versions=all",
                        table.to_str().unwrap(),
                    ]));
                    let cells = explained.iter().filter(|line| line["cell"].is_object()).count();
                    assert!(cells >= stored.len() && cells > 0, "{} {args:?}", table.display());
                    let name = |cell: &Value| {
                        ["row", "family", "qualifier", "timestamp", "type"]
                            .map(|member| cell[member].to_string())
                    };
                    let names: BTreeSet<_> = explained.iter().map(|line| name(&line["cell"])).collect();
                    let omitted = stored.iter().find(|cell| !names.contains(&name(cell)));
                    assert_eq!(omitted, None, "{} {args:?}", table.display());
                }
            }
            tables += 1;
        }
    }
    assert!(tables >= 4, "{tables}");
}
