//! `hregion du`: the bytes and cells of every store file, and sums that agree with them.

use crate::support::{code, json_lines, last_error, members, ok, plain, run, testdata};
use serde_json::{Value, json};
use std::fs;

#[test]
fn every_store_file_is_measured_once() {
    let table = testdata("region/split-references/root/data/default/halves");
    let table = table.to_str().unwrap();
    let lines = json_lines(&ok(&["du", "--json", table]));
    assert_eq!(lines.len(), 14);
    let mut sums = [0; 2];
    for line in &lines {
        let expected = ["table", "region", "family", "path", "bytes", "cells", "oldest", "newest"];
        assert_eq!(members(line), expected);
        let path = line["path"].as_str().unwrap();
        assert_eq!(
            (&line["table"], line["bytes"].as_u64()),
            (&json!("halves"), Some(fs::metadata(path).unwrap().len()))
        );
        let is_whole = !path.contains(['=']) && !path.rsplit('/').next().unwrap().contains('.');
        assert_eq!(line["cells"].is_null(), !is_whole, "{path}");
        if is_whole {
            let cells = json_lines(&ok(&["cells", "--json", path]));
            // HBase counts a marker that deletes all older versions from 0 on.
            let time = |cell: &Value| match cell["type"].as_str().unwrap() {
                "DeleteColumn" | "DeleteFamily" => vec![0, cell["timestamp"].as_i64().unwrap()],
                _ => vec![cell["timestamp"].as_i64().unwrap()],
            };
            let times = || cells.iter().flat_map(time);
            assert_eq!(line["cells"], cells.len());
            assert_eq!((line["oldest"].as_i64(), line["newest"].as_i64()), (times().min(), times().max()));
            sums[1] += cells.len() as u64;
        }
        sums[0] += line["bytes"].as_u64().unwrap();
    }
    let text = ok(&["du", table]);
    let total: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(total[..2], sums.map(|sum: u64| sum.to_string()));
    assert_eq!(total[4], table);
    // A line for each file, family, region and the table, and the heading.
    assert_eq!(text.lines().count(), 1 + 14 + 6 + 3 + 1, "{text}");
}

#[test]
fn any_level_and_single_files_are_targets() {
    let root = testdata("region/clone-references/root");
    let of = |path: &std::path::Path| json_lines(&ok(&["du", "--json", path.to_str().unwrap()])).len();
    assert_eq!(of(&root), of(&root.join("data/default/cloned")) + of(&root.join("data/default/joined")));
    assert!(of(&root) > 20);
    let file = json_lines(&ok(&["du", "--json", &plain()]));
    assert_eq!((file.len(), &file[0]["table"]), (1, &Value::Null));
    assert!(file[0]["cells"].as_u64().unwrap() > 10);
    let missing = run(&["du", "--json", "no-such"]);
    assert_eq!((code(&missing), &last_error(&missing)["kind"]), (5, &json!("Io")));
}
