//! `hregion verify`, from outside: content with what HBase wrote, and with nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::{Value, json};
use std::fs;
use support::*;

#[test]
fn verify_is_content_with_what_hbase_wrote() {
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
fn verify_says_at_the_end_what_it_could_not_judge() {
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
