//! `hregion compact --dry-run`: its output, that it writes nothing, and that `compact` then does the same.

use crate::support::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Creates a region by a script: three files with an old version, a deleted one and a marker.
fn scratch(dir: &Path) -> PathBuf {
    let (script, region) = (dir.join("script.jsonl"), dir.join("region"));
    let mut lines = vec![json!({"id": 1, "op": "create", "now": 1000, "families": [{"name": "f"}]})];
    for (id, operation) in [
        json!({"op": "put", "row": "a", "cells": [["f", "p", 1, "v1"], ["f", "q", 1, "v1"]]}),
        json!({"op": "flush"}),
        json!({"op": "put", "row": "a", "cells": [["f", "q", 2, "v2"]]}),
        json!({"op": "flush"}),
        json!({"op": "delete", "row": "a", "cells": [["column", "f", "p", 1]]}),
        json!({"op": "flush"}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut operation = operation;
        operation["id"] = json!(id + 2);
        lines.push(operation);
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(&script, lines.join("\n")).unwrap();
    ok(&["replay".as_ref(), script.as_os_str(), "--dir".as_ref(), region.as_os_str()]);
    region
}

/// Returns the files below a directory, with length and modification time.
fn state_of(dir: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() {
            files.extend(state_of(&entry.path()));
        }
        files.insert(entry.path(), (meta.len(), meta.modified().unwrap()));
    }
    files
}

#[test]
fn a_region_is_compacted_as_planned() {
    let dir = tempfile::tempdir().unwrap();
    let region = scratch(dir.path());
    let path = region.to_str().unwrap();
    let before = state_of(&region);
    let lines = json_lines(&ok(&["compact", "--dry-run", "--major", "--json", path]));
    let reasons: Vec<_> = lines[..3].iter().map(|line| (&line["reason"], &line["cell"]["type"])).collect();
    let [purged, deleted, newer] =
        ["purged_marker", "delete_marker", "newer_versions"].map(|reason| json!(reason));
    let (put, marker) = (json!("Put"), json!("DeleteColumn"));
    assert_eq!(reasons, [(&purged, &marker), (&deleted, &put), (&newer, &put)]);
    assert_eq!(lines[1]["by"], lines[0]["cell"]);
    let plan = &lines[3];
    let expected = [
        "family",
        "files",
        "expired_files",
        "all_files",
        "bytes_before",
        "bytes_after",
        "cells_before",
        "cells_after",
        "dropped",
    ];
    assert_eq!(members(plan), expected);
    assert_eq!((&plan["cells_before"], &plan["cells_after"]), (&json!(4), &json!(1)));
    assert_eq!(plan["dropped"], json!({"newer_versions": 1, "delete_marker": 1, "purged_marker": 1}));
    assert_eq!(plan["files"].as_array().unwrap().len(), 3);
    let text = ok(&["compact", "--dry-run", "--major", "--verbose", path]);
    assert!(text.contains("f: 3 files, cells 1, before 4, bytes about "), "{text}");
    assert!(text.contains("newer_versions   a/f:q/1/Put/vlen=2"), "{text}");
    assert!(text.contains("\n  newer_versions   1\n") && text.contains("\n  merge  "), "{text}");
    let brief = ok(&["compact", "--dry-run", "--major", path]);
    assert!(text.ends_with(&brief) && brief.starts_with("f: 3 files"), "{brief}");
    // A minor compaction of all files also drops markers.
    assert_eq!(json_lines(&ok(&["compact", "--dry-run", "--json", path])), lines);
    assert_eq!(state_of(&region), before);

    ok(&["compact", "--major", path]);
    let files: Vec<PathBuf> =
        fs::read_dir(region.join("f")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(json_lines(&ok(&["cells", "--json", files[0].to_str().unwrap()])).len(), 1);
    assert_eq!(ok(&["compact", "--dry-run", path]), "f: nothing to compact\n");

    for (args, exit) in [
        (&["compact", "--verbose", path][..], 2),
        (&["compact", "--dry-run", &format!("{path}/f")], 2),
        (&["compact", "--dry-run", "no/such/region"], 5),
    ] {
        let output = run(args);
        assert_eq!(code(&output), exit, "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn tables_are_planned_where_they_are() {
    let stage = testdata("region").join("split-references");
    let before = state_of(&stage);
    let table = stage.join("root/data/default/halves");
    let lines = json_lines(&ok(&["compact", "--dry-run", "--major", "--json", table.to_str().unwrap()]));
    let plans: Vec<&Value> = lines.iter().filter(|line| line["region"].is_string()).collect();
    assert!(plans.len() >= 2, "{plans:?}");
    let dropped: u64 = plans
        .iter()
        .map(|plan| plan["cells_before"].as_u64().unwrap() - plan["cells_after"].as_u64().unwrap())
        .sum();
    assert_eq!(dropped, (lines.len() - plans.len()) as u64);
    assert_eq!(state_of(&stage), before);
}
