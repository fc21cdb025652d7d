//! Reads regions and tables written by HBase.

use crate::library::golden;
use crate::support::*;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the folders of tables written by a running HBase, with the cells that its client read. Empty if
/// none exist.
fn tables() -> Vec<PathBuf> {
    let Some(dir) = golden::shared("cluster/tables") else { return Vec::new() };
    let mut stages: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    stages.sort();
    assert!(stages.len() >= 14, "{}", stages.len());
    stages
}

fn regions(stage: &Path) -> Vec<Value> {
    json_lines(&fs::read_to_string(stage.join("regions.jsonl")).unwrap())
}

/// Returns the directory of a region's table.
fn table_dir(stage: &Path, region: &Value) -> PathBuf {
    let table = region["table"].as_str().unwrap();
    let (namespace, name) = table.split_once(':').unwrap_or(("default", table));
    stage.join("root/data").join(namespace).join(name)
}

/// Parses the tool's output of cells, without the sequence ids, which HBase's client does not have.
fn cells(lines: &str) -> Vec<Value> {
    let mut cells = json_lines(lines);
    for cell in &mut cells {
        cell.as_object_mut().unwrap().shift_remove("sequence_id");
    }
    cells
}

#[test]
fn regions_have_the_cells_that_hbase_reads() {
    for stage in tables() {
        for region in regions(&stage) {
            let encoded = region["encoded"].as_str().unwrap();
            let dir = table_dir(&stage, &region).join(encoded);
            let expected = |kind: &str| {
                let path = stage.join("cells").join(format!("{encoded}.{kind}.jsonl"));
                json_lines(&fs::read_to_string(path).unwrap())
            };
            let scan =
                ["scan".as_ref(), "--json".as_ref(), "--versions".as_ref(), "all".as_ref(), dir.as_os_str()];
            assert_eq!(cells(&ok(&scan)), expected("plain"), "{}", dir.display());
            let raw = cells(&ok(&[&scan[..], &["--raw".as_ref()]].concat()));
            assert_eq!(raw, expected("raw"), "{}", dir.display());
        }
    }
}

#[test]
fn tables_are_their_regions_in_order() {
    for stage in tables() {
        let regions = regions(&stage);
        let dir = table_dir(&stage, &regions[0]);
        if regions.iter().any(|region| table_dir(&stage, region) != dir) {
            // a clone and the cloned table
            continue;
        }
        let all: Vec<Value> = regions
            .iter()
            .flat_map(|region| {
                let name = format!("{}.plain.jsonl", region["encoded"].as_str().unwrap());
                json_lines(&fs::read_to_string(stage.join("cells").join(name)).unwrap())
            })
            .collect();
        let with = |args: &[&str]| {
            let mut line = vec![args[0].as_ref(), dir.as_os_str()];
            line.extend(args[1..].iter().map(std::ffi::OsStr::new));
            ok(&line)
        };
        assert_eq!(cells(&with(&["scan", "--json", "--versions", "all"])), all, "{}", dir.display());
        let mut rows: Vec<&str> = all.iter().map(|cell| cell["row"].as_str().unwrap()).collect();
        rows.dedup();
        let counted = with(&["count", "--json", "--versions", "all"]);
        assert_eq!(json_lines(&counted), [json!({"rows": rows.len(), "cells": all.len()})]);
        let middle = rows[rows.len() / 2];
        let of_row: Vec<&Value> = all.iter().filter(|cell| cell["row"] == middle).collect();
        let got = cells(&with(&["get", middle, "--json", "--versions", "all"]));
        assert_eq!(got.iter().collect::<Vec<_>>(), of_row, "{middle}");
        let limited =
            cells(&with(&["scan", "--json", "--versions", "all", "--start", middle, "--limit", "1"]));
        assert_eq!(limited, got);
        let before = cells(&with(&["scan", "--json", "--versions", "all", "--stop", middle]));
        assert!(before.iter().eq(all.iter().take_while(|cell| cell["row"] != middle)));
    }
}

/// Creates a region by a script: rows a to c, with two versions in two files.
fn scratch(dir: &Path) -> PathBuf {
    let (script, region) = (dir.join("script.jsonl"), dir.join("region"));
    let mut lines = vec![json!({"id": 1, "op": "create", "now": 1000,
        "families": [{"name": "f", "versions": 2}, {"name": "g"}]})];
    for (i, (row, timestamp)) in [("a", 1), ("b", 1), ("c", 1), ("a", 2), ("b", 2)].into_iter().enumerate() {
        let id = 2 * i + 2;
        let cell = json!(["f", "q", timestamp, format!("v{timestamp}")]);
        lines.push(json!({"id": id, "op": "put", "row": row, "cells": [cell]}));
        if i == 2 || i == 4 {
            lines.push(json!({"id": id + 1, "op": "flush"}));
        }
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(&script, lines.join("\n")).unwrap();
    ok(&["replay".as_ref(), script.as_os_str(), "--dir".as_ref(), region.as_os_str()]);
    region
}

#[test]
fn rows_are_printed_as_they_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let region = scratch(dir.path()).into_os_string().into_string().unwrap();
    let region = region.as_str();
    let newest = "a  column=f:q, timestamp=2, value=v2\nb  column=f:q, timestamp=2, value=v2\n\
        c  column=f:q, timestamp=1, value=v1\n";
    assert_eq!(ok(&["scan", region]), newest);
    assert_eq!(ok(&["scan", region, "--limit", "1"]), newest.lines().next().unwrap().to_owned() + "\n");
    assert_eq!(ok(&["scan", region, "--columns", "g"]), "");
    assert_eq!(
        ok(&["scan", region, "--time-range", "..2", "--prefix", "b"]),
        "b  column=f:q, timestamp=1, value=v1\n"
    );
    assert_eq!(ok(&["get", region, "a", "--versions", "all"]).lines().count(), 2);
    assert_eq!(ok(&["get", region, "a", "--raw", "--versions", "all"]).lines().count(), 2);
    assert_eq!(ok(&["get", region, "aa"]), "");
    assert_eq!(ok(&["count", region]), "rows 3\ncells 3\n");
    let csv = ok(&["scan", region, "--format", "csv", "--stop", "b"]);
    assert!(
        csv.starts_with("row,family,qualifier,")
            && csv.lines().nth(1).unwrap().starts_with("a,f,q,2,Put,v2,")
    );
    for (args, expected) in [
        (&["scan", region, "--columns", "z"][..], "no family z"),
        (&["scan", region, "--raw", "--columns", "f:q"], "raw"),
        (&["scan", region, "--json", "--format", "csv"], "--format"),
    ] {
        let output = run(args);
        assert_eq!(code(&output), 2, "{args:?}");
        assert!(stderr(&output).contains(expected), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn regions_are_flushed_and_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let region = scratch(dir.path()).into_os_string().into_string().unwrap();
    let before = ok(&["scan", &region, "--versions", "all"]);
    assert_eq!(ok(&["flush", &region]), "f: files 2, before 2\ng: files 0, before 0\n");
    assert_eq!(
        json_lines(&ok(&["compact", "--major", &region, "--json"])),
        [
            json!({"family": "f", "files_before": 2, "files": 1}),
            json!({"family": "g", "files_before": 0, "files": 0})
        ]
    );
    assert_eq!(ok(&["scan", &region, "--versions", "all"]), before);
}

#[test]
fn tables_are_flushed_and_compacted() {
    let root = tempfile::tempdir().unwrap();
    let families = [hregion::Family::new("f"), hregion::Family::new("g")];
    let table = hregion::Table::create(root.path(), "t", &families, &["m"]).unwrap();
    for _ in 0..2 {
        for row in ["a", "z"] {
            table.put(hregion::Put::new(row).cell("f", "q", "v")).unwrap();
        }
        table.flush().unwrap();
    }
    let names: Vec<String> = table.regions().iter().map(|region| region.encoded_name()).collect();
    table.close().unwrap();
    let dir = root.path().join("data/default/t").into_os_string().into_string().unwrap();
    let before = ok(&["scan", &dir, "--versions", "all"]);
    let flushed: String = names
        .iter()
        .map(|name| format!("{name} f: files 2, before 2\n{name} g: files 0, before 0\n"))
        .collect();
    assert_eq!(ok(&["flush", &dir]), flushed);
    let compacted = json_lines(&ok(&["compact", "--major", &dir, "--json"]));
    assert_eq!(compacted.len(), 4);
    assert_eq!(compacted[0], json!({"region": names[0], "family": "f", "files_before": 2, "files": 1}));
    assert_eq!(compacted[2], json!({"region": names[1], "family": "f", "files_before": 2, "files": 1}));
    assert_eq!(ok(&["scan", &dir, "--versions", "all"]), before);
}

/// Each failing region is named, and the others are compacted.
#[test]
fn all_regions_that_fail_are_named() {
    let root = tempfile::tempdir().unwrap();
    let table = hregion::Table::create(root.path(), "t", &[hregion::Family::new("f")], &["d", "m"]).unwrap();
    for _ in 0..2 {
        for row in ["a", "e", "z"] {
            table.put(hregion::Put::new(row).cell("f", "q", "v")).unwrap();
        }
        table.flush().unwrap();
    }
    let names: Vec<String> = table.regions().iter().map(|region| region.encoded_name()).collect();
    table.close().unwrap();
    let dir = root.path().join("data/default/t");
    for name in [&names[0], &names[2]] {
        for file in fs::read_dir(dir.join(name).join("f")).unwrap() {
            fs::write(file.unwrap().path(), "no HFile").unwrap();
        }
    }
    // a plan comes first, and changes nothing
    for (options, of_sound) in [
        (&["--dry-run"][..], json!({"region": names[1], "cells_before": 2, "cells_after": 1})),
        (&[], json!({"region": names[1], "family": "f", "files_before": 2, "files": 1})),
    ] {
        let output = run(&[&["compact", "--major", "--json", dir.to_str().unwrap()][..], options].concat());
        let (said, mut lines) = (stderr(&output), json_lines(&stdout(&output)));
        assert_eq!(code(&output), 3, "{said}");
        let error = lines.pop().unwrap();
        assert!(error["error"]["path"].as_str().unwrap().contains(&names[0]), "{error}");
        let sound = lines.pop().unwrap();
        for (member, value) in of_sound.as_object().unwrap() {
            assert_eq!(&sound[member], value, "{sound}");
        }
        assert!(lines.iter().all(|line| line["region"].is_null()), "{lines:?}");
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        for name in [&names[0], &names[2]] {
            assert!(errors.iter().any(|error| error.contains(name.as_str())), "{name}: {said}");
        }
    }
}

#[test]
fn other_directories_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    for args in [&["scan", path][..], &["count", path], &["get", path, "r"], &["compact", path]] {
        let output = run(args);
        assert_eq!(code(&output), 4, "{args:?}");
        assert!(stderr(&output).contains("neither a region nor a table"), "{}", stderr(&output));
    }
}
