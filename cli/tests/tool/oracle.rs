//! The tool prints the same as HBase's own tools: `inspect`, `inspect --blocks`, `cells`, `seek --keys`.
//!
//! HBase's answers are beside the files of `testdata`. The answers for all golden files are written by
//! `tests/suite/oracle.rs` and read from the folder `HREGION_EXPECT`.

#![cfg(all(feature = "lzo", feature = "bzip2", feature = "brotli", feature = "crypto"))]

use crate::library::cells;
use crate::library::golden::{self, Golden};
use serde_json::Value;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_tool_agrees_with_hbase() {
    let goldens = golden::in_folder(&golden::root("testdata/golden"));
    let files = compare_all(&goldens, &|g, what| match what {
        Answer::Seek => g.beside("seek.jsonl.gz"),
        Answer::Blocks => g.beside("blocks.json.gz"),
    });
    assert!(files > 60, "only {files} files");
}

#[test]
#[ignore = "needs HBase's answers for all golden files: HREGION_EXPECT"]
fn tool_agrees_with_hbase_on_all_golden_files() {
    let expect =
        PathBuf::from(env::var_os("HREGION_EXPECT").expect("HREGION_EXPECT, the folder of the answers"));
    let files = compare_all(&golden::whole(), &|g, what| match what {
        Answer::Seek => expect.join("seek").join(format!("{}.jsonl.gz", g.name)),
        Answer::Blocks => expect.join("blocks").join(format!("{}.json.gz", g.name)),
    });
    assert!(files > 200, "only {files} files");
}

/// A kind of HBase's answers.
#[derive(Clone, Copy)]
enum Answer {
    Seek,
    Blocks,
}

fn compare_all(goldens: &[Golden], answer: &dyn Fn(&Golden, Answer) -> PathBuf) -> usize {
    let mut files = 0;
    for golden in goldens.iter().filter(|g| !g.is_refused()) {
        let cells: String = golden.cell_lines().iter().map(|line| format!("{line}\n")).collect();
        assert!(hregion(golden, &["cells", "--json"], &[]) == cells, "{}: other cells", golden.name);
        if !golden.read_by_current {
            continue;
        }
        inspect(golden, &answer(golden, Answer::Blocks));
        seek(golden, &answer(golden, Answer::Seek));
        files += 1;
    }
    eprintln!("{files} files: inspect, cells and seek are the same");
    files
}

fn inspect(golden: &Golden, blocks: &Path) {
    let parse = |text: String| -> Value {
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}: {text}", golden.name))
    };
    let found = parse(hregion(golden, &["inspect", "--json", "--blocks"], &[]));
    assert_contains(&found, &golden::parse(blocks), &golden.name);
    if let Some(mut expected) = golden.inspect() {
        let found = parse(hregion(golden, &["inspect", "--json"], &[]));
        expected.as_object_mut().expect("an object").remove("blocks");
        assert_contains(&found, &expected, &golden.name);
        assert!(found.get("blocks").is_none(), "{}: blocks without --blocks", golden.name);
    }
}

fn seek(golden: &Golden, answers: &Path) {
    let answers = cells::json_lines(answers);
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys.jsonl");
    let lines: String = answers.iter().map(|answer| format!("{}\n", answer["key"])).collect();
    fs::write(&keys, lines).expect("a file of keys");
    let found = hregion(golden, &["seek", "--json", "--keys"], &[&keys]);
    assert_eq!(found.lines().count(), answers.len(), "{}", golden.name);
    for (found, expected) in found.lines().zip(&answers) {
        let mut found = cells::parse(found);
        // HBase's answer omits its own errors: compressed tags after its seeker moved backward
        for member in ["cell", "before"] {
            let moved_back = member == "before" || expected["seek"] == 1;
            let left_out = golden.made.contains("--compress-tags")
                && moved_back
                && expected.get(member).is_some_and(|cell| cell.get("tags").is_none());
            if let Some(cell) = found[member].as_object_mut().filter(|_| left_out) {
                cell.remove("tags");
            }
        }
        assert_contains(&found, expected, &golden.name);
    }
}

/// Asserts that `found` has every member of `expected` with the same value. It may have more members.
fn assert_contains(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in expected {
                let place = format!("{place}.{name}");
                let found = found.get(name).unwrap_or_else(|| panic!("{place} is missing, expected {value}"));
                assert_contains(found, value, &place);
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{place}: the number of entries");
            for (n, (found, value)) in found.iter().zip(expected).enumerate() {
                assert_contains(found, value, &format!("{place}[{n}]"));
            }
        }
        _ => assert_eq!(found, expected, "{place}"),
    }
}

/// Runs the tool on a golden file with the options needed to read it. Returns its standard output.
fn hregion(golden: &Golden, words: &[&str], paths: &[&Path]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hregion"));
    command.args(words).args(paths).arg(golden.hfile());
    if let Some(dictionary) = golden.zstd_dictionary() {
        command.arg("--zstd-dictionary").arg(dictionary);
    }
    if let Some(hex) = golden.setting("--master-key") {
        let key = folder.path().join("master.key");
        fs::write(&key, hex).expect("a file of the key");
        command.arg("--master-key-file").arg(key);
    }
    let output = command.output().expect("the tool starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {words:?}: {}: {errors}", golden.name, output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}
