//! `hregion stats`.

use crate::support::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

const NOW: &str = "1700000000000";

/// Compares the statistics with those computed naively from the list of the file's cells.
#[test]
fn numbers_are_those_of_the_cells() {
    for name in ["small-none-row", "region-a-flush1", "shape-versions-fast_diff"] {
        let cells = json_lines(&read_gz(golden(&format!("{name}.cells.jsonl.gz"))));
        let found = json_lines(&ok(&["stats", "--json", "--now", NOW, &golden(&format!("{name}.hfile"))]));
        let [found] = found.as_slice() else { panic!("{found:?}") };
        let len = |cell: &Value, member: &str| hregion_bytes(cell[member].as_str().unwrap());
        let key = |cell: &Value| 12 + len(cell, "row") + len(cell, "family") + len(cell, "qualifier");
        let tags = |cell: &Value| match cell["tags"].as_array() {
            Some(tags) => 2 + tags.iter().map(|tag| 3 + len(tag, "value")).sum::<u64>(),
            None => 0,
        };
        let bytes = |cell: &Value| 8 + key(cell) + len(cell, "value") + tags(cell);
        let mut rows: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let mut columns: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for cell in &cells {
            let row = rows.entry(cell["row"].as_str().unwrap()).or_default();
            (row.0, row.1) = (row.0 + bytes(cell), row.1 + 1);
            if cell["type"] == "Put" {
                let column = (cell["row"].as_str().unwrap(), cell["qualifier"].as_str().unwrap());
                *columns.entry(column).or_default() += 1;
            }
        }
        let sum = |of: &dyn Fn(&Value) -> u64| cells.iter().map(of).sum::<u64>();
        assert_eq!(found["rows"], rows.len(), "{name}");
        assert_eq!(found["columns"], columns.len(), "{name}");
        assert_eq!(found["cells"], cells.len(), "{name}");
        assert_eq!(found["bytes"], sum(&bytes), "{name}");
        assert_eq!(found["key_bytes"]["max"], cells.iter().map(key).max().unwrap(), "{name}");
        assert_eq!(found["value_bytes"]["max"], cells.iter().map(|cell| len(cell, "value")).max().unwrap());
        assert_eq!(found["row_bytes"]["max"], rows.values().map(|row| row.0).max().unwrap());
        assert_eq!(found["row_cells"]["min"], rows.values().map(|row| row.1).min().unwrap());
        assert_eq!(found["column_versions"]["max"], *columns.values().max().unwrap());
        let heaviest = rows.iter().max_by_key(|(key, row)| (row.0, std::cmp::Reverse(**key))).unwrap();
        let expected = json!({"row": heaviest.0, "bytes": heaviest.1.0, "cells": heaviest.1.1});
        assert_eq!(found["heaviest_rows"][0], expected, "{name}");
        let times: Vec<i64> = cells.iter().map(|cell| cell["timestamp"].as_i64().unwrap()).collect();
        let bounds = json!({"min": times.iter().min(), "max": times.iter().max()});
        assert_eq!(found["timestamps"], bounds, "{name}");
    }
}

/// Returns the number of bytes that an escaped text represents.
fn hregion_bytes(text: &str) -> u64 {
    let escapes = text.matches("\\x").count();
    (text.len() - 3 * escapes) as u64
}

#[test]
fn people_see_bars() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("cells.jsonl");
    let cell = |row: &str, timestamp: i64, value: &str| {
        let cell = json!({
            "row": row, "family": "f", "qualifier": "q",
            "timestamp": timestamp, "type": "Put", "value": value,
        });
        cell.to_string()
    };
    // a minute, an hour and a day before `NOW`, and a minute after it
    let cells = [
        cell("a", 1_699_999_939_000, "0123456789"),
        cell("a", 1_699_996_399_000, ""),
        cell("b", 1_699_913_599_000, "0123"),
        cell("c\\x1B", 1_700_000_060_000, "0123"),
    ];
    fs::write(&list, cells.join("\n")).unwrap();
    let file = dir.path().join("file").into_os_string().into_string().unwrap();
    ok(&["write", list.to_str().unwrap(), "--out", &file]);
    let svg = dir.path().join("picture.svg").into_os_string().into_string().unwrap();
    let full = "█".repeat(40);
    let half = "█".repeat(20);
    let expected = format!(
        "\
rows 3, columns 3, cells 4, bytes 111
types: Put 4
family f: cells 4, bytes 111
timestamps 1699913599000 to 1700000060000

Bytes of a row: half up to 28, 95 % up to 56, 99 % up to 56, greatest 56
  16 to 31 │{full} 2 (66.7 %)
  32 to 63 │{half} 1 (33.3 %)

Cells of a row: half up to 1, 95 % up to 2, 99 % up to 2, greatest 2
       1 │{full} 2 (66.7 %)
  2 to 3 │{half} 1 (33.3 %)
"
    );
    let printed = ok(&["stats", &file, "--now", NOW, "--top", "2", "--svg", &svg]);
    assert!(printed.starts_with(&expected), "{printed}");
    let ages = format!(
        "\
Age of a cell: half up to 1.0 h, 95 % up to 1.0 days, 99 % up to 1.0 days, greatest 1.0 days
   1 min to 10 min │{full} 1 (33.3 %)
     10 min to 1 h │ 0 (0.0 %)
        1 h to 6 h │{full} 1 (33.3 %)
      6 h to 1 day │ 0 (0.0 %)
  1 day to 7 days │{full} 1 (33.3 %)
"
    );
    let squeezed = |text: &str| text.replace(' ', "");
    assert!(squeezed(&printed).contains(&squeezed(&ages)), "{printed}");
    let end = "\
Cells of the future: 1

Heaviest rows
            56 bytes         2 cells  a
            28 bytes         1 cells  c\\x1B
";
    assert!(printed.ends_with(end), "{printed}");
    let picture = fs::read_to_string(&svg).unwrap();
    assert!(
        picture.starts_with("<svg ") && picture.contains(">28 bytes, 1 cells: c\\x1B</text>"),
        "{picture}"
    );
    assert_eq!(code(&run(&["stats", &file, "--svg", &svg])), 2);
    ok(&["stats", &file, "--svg", &svg, "--force", "--json"]);
}

#[test]
fn regions_and_tables_have_statistics() {
    let table = testdata("region/bulk-loaded/root/data/default/loaded");
    let table = table.to_str().unwrap();
    let stats = json_lines(&ok(&["stats", "--json", table]));
    let raw = json_lines(&ok(&["scan", "--json", "--raw", "--versions", "all", table]));
    assert_eq!(stats[0]["cells"], raw.len());
    let families: Vec<&str> = stats[0]["families"]
        .as_array()
        .unwrap()
        .iter()
        .map(|family| family["family"].as_str().unwrap())
        .collect();
    assert_eq!(families, ["p", "q"]);
}
