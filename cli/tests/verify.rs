//! `hregion verify` as a process: accepts what HBase wrote, and nothing else.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use support::*;

#[test]
fn verify_finds_no_fault_in_golden_files() {
    for name in golden_names() {
        let output = run_golden(&["verify", "--json"], &name);
        assert_eq!(code(&output), 0, "{name}: {}", stdout(&output));
        let lines = json_lines(&stdout(&output));
        assert_eq!(lines.len(), 1);
        assert_eq!(members(&lines[0]["summary"]), ["files", "blocks", "cells", "faults"]);
        let cells = read_gz(golden(&format!("{name}.cells.jsonl.gz"))).lines().count();
        let summary = &lines[0]["summary"];
        assert_eq!((&summary["files"], &summary["faults"]), (&json!(1), &json!(0)));
        assert_eq!(summary["cells"], cells, "{name}");
    }
}

#[test]
fn verify_goes_on_after_a_fault_and_to_the_next_file() {
    let flipped = corrupt("flip-data.hfile");
    let output = run(&["verify", "--json", &flipped, &plain()]);
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    let lines = json_lines(&stdout(&output));
    let (summary, faults) = lines.split_last().unwrap();
    assert!(!faults.is_empty());
    for fault in faults {
        assert_eq!(members(fault), ["path", "offset", "block", "kind", "message"]);
        assert_eq!(fault["path"], flipped);
    }
    assert!(faults.iter().any(|fault| fault["kind"] == "Corrupt" && fault["block"] == "DATA"));
    assert_eq!(summary["summary"]["files"], 2);
    assert_eq!(summary["summary"]["faults"], faults.len());

    let text = run(&["verify", &flipped, &plain()]);
    assert_eq!(code(&text), 3);
    assert_eq!(stdout(&text).lines().count(), faults.len());
    assert!(stderr(&text).starts_with("files 2, "), "{}", stderr(&text));
    assert_eq!(stderr(&run(&["verify", "--quiet", &plain()])), "");
}

#[test]
fn verify_ends_with_the_unverifiable_files() {
    let missing = corrupt("no-such.hfile");
    let output = run(&["verify", "--json", &missing, &corrupt("flip-data.hfile"), &plain()]);
    assert_eq!(code(&output), 5);
    let lines = json_lines(&stdout(&output));
    assert_eq!((&lines[0]["kind"], &lines[0]["offset"]), (&json!("Io"), &Value::Null));
    assert_eq!(lines[lines.len() - 2]["summary"]["files"], 3);
    assert_eq!(lines[lines.len() - 1]["error"]["kind"], "Io");
    let refused = run(&["verify", "--json", &golden("1.4-prefix_tree-refused.hfile")]);
    assert_eq!(code(&refused), 4, "{}", stdout(&refused));
    assert_eq!(last_error(&refused)["kind"], "Unsupported");
}

#[test]
fn verify_finds_the_damage_of_every_damaged_file() {
    let expect: Value =
        serde_json::from_str(&fs::read_to_string(testdata("corrupt/expect.json")).unwrap()).unwrap();
    let mut missed = Vec::new();
    for case in expect.as_array().unwrap() {
        let (file, stage) = (case["file"].as_str().unwrap(), case["rejected_at"].as_str().unwrap());
        let output = run(&["verify", "--json", &corrupt(file)]);
        match code(&output) {
            3 | 4 => {}
            0 if matches!(stage, "accept" | "any") => {}
            _ => missed.push(format!("{file} ({stage}): {}", stderr(&output))),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// The tables of `testdata/region`.
const TABLES: [&str; 5] = [
    "bulk-loaded/root/data/default/loaded",
    "split-references/root/data/default/halves",
    "tracked-split/root/data/default/tracked",
    "clone-references/root/data/default/cloned",
    "clone-references/root/data/default/joined",
];

#[test]
fn verify_takes_families_regions_and_tables() {
    for table in TABLES {
        let dir = testdata("region").join(table);
        let output = run(&["verify".as_ref(), "--json".as_ref(), dir.as_os_str()]);
        assert_eq!(code(&output), 0, "{table}: {}{}", stdout(&output), stderr(&output));
        let summary = &json_lines(&stdout(&output))[0]["summary"];
        assert!(summary["files"].as_u64().unwrap() > 0 && summary["cells"].as_u64().unwrap() > 0, "{table}");
    }
    let table = testdata("region").join(TABLES[0]);
    let region = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path());
    let region = region.into_iter().find(|path| path.join(".regioninfo").is_file()).unwrap();
    let of = |dir: &Path| json_lines(&ok(&["verify".as_ref(), "--json".as_ref(), dir.as_os_str()]));
    let families = fs::read_dir(&region).unwrap().map(|entry| entry.unwrap().path());
    let is_family =
        |path: &PathBuf| path.is_dir() && !path.file_name().unwrap().to_str().unwrap().contains('.');
    let families: Vec<_> = families.filter(is_family).collect();
    assert!(!families.is_empty());
    assert_eq!(of(&table), of(&region));
    let sum = |member: &str| -> u64 {
        families.iter().map(|dir| of(dir)[0]["summary"][member].as_u64().unwrap()).sum()
    };
    assert_eq!(
        of(&region)[0]["summary"],
        json!({
            "files": sum("files"), "blocks": sum("blocks"), "cells": sum("cells"), "faults": 0,
        })
    );
}

#[test]
fn verify_finds_faults_of_a_region() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    copy_tree(&testdata("region/split-references/root"), &root);
    let table = root.join("data/default/halves");
    let verify = |code_expected: i32| {
        let output = run(&["verify".as_ref(), "--json".as_ref(), table.as_os_str()]);
        assert_eq!(code(&output), code_expected, "{}", stdout(&output));
        let mut lines = json_lines(&stdout(&output));
        lines.retain(|line| line.get("kind").is_some());
        lines
    };
    assert!(verify(0).is_empty());
    let files = files_below(&root);
    let (largest, bytes) = files
        .iter()
        .map(|path| (path, fs::read(path).unwrap()))
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap();
    let mut flipped = bytes.clone();
    flipped[60] ^= 1;
    fs::write(largest, flipped).unwrap();
    let faults = verify(3);
    assert!(!faults.is_empty());
    assert!(faults.iter().all(|fault| fault["path"] == largest.to_str().unwrap()), "{faults:?}");
    fs::remove_file(largest).unwrap();
    let faults = verify(5);
    assert!(faults.iter().any(|fault| fault["kind"] == "Io"), "{faults:?}");
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy_tree(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}
