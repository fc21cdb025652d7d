//! An operator's questions about HBase's files, each answered by one command of the tool. The answers are
//! compared with HBase's for the same files.

use crate::check::base;
use crate::library::files::copy_dir;
use crate::library::golden::recorded_region;
use crate::support::*;
use hregion::{Family, Table};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The tables of `testdata/region`: the stage, the name, and how many regions HBase served.
const TABLES: [(&str, &str, usize); 5] = [
    ("bulk-loaded", "loaded", 1),
    ("clone-references", "cloned", 2),
    ("clone-references", "joined", 2),
    ("split-references", "halves", 2),
    ("tracked-split", "tracked", 2),
];

fn root(stage: &str) -> PathBuf {
    testdata("region").join(stage).join("root")
}

fn dir(stage: &str, table: &str) -> String {
    text(&root(stage).join("data/default").join(table))
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Returns the regions of a table from HBase's catalog, in row order.
fn regions(stage: &str, table: &str) -> Vec<Value> {
    let mut regions =
        json_lines(&fs::read_to_string(testdata("region").join(stage).join("regions.jsonl")).unwrap());
    regions.retain(|region| region["table"] == table);
    regions
}

/// Returns the cells that HBase's client read in a raw scan of a region.
fn raw(stage: &str, region: &Value) -> Vec<Value> {
    let encoded = region["encoded"].as_str().unwrap();
    recorded_region(&testdata("region").join(stage), encoded, "raw").unwrap()
}

/// Returns the cells that HBase's client read in a raw scan of a table.
fn raw_of(stage: &str, table: &str) -> Vec<Value> {
    regions(stage, table).iter().flat_map(|region| raw(stage, region)).collect()
}

/// Parses the tool's output of cells, without the sequence ids, which HBase's client does not have.
fn cells(lines: &str) -> Vec<Value> {
    let mut cells = json_lines(lines);
    cells.iter_mut().for_each(|cell| drop(cell.as_object_mut().unwrap().shift_remove("sequence_id")));
    cells
}

/// Returns a command's lines of JSON; it must succeed.
fn answer(args: &[&str]) -> Vec<Value> {
    json_lines(&ok(&[args, &["--json"]].concat()))
}

fn sum<'v>(values: impl IntoIterator<Item = &'v Value>) -> u64 {
    values.into_iter().map(|value| value.as_u64().unwrap_or(0)).sum()
}

/// Returns the length of the bytes that an escaped text represents.
fn len(escaped: &Value) -> usize {
    hregion::cell::from_string_binary(escaped.as_str().unwrap()).len()
}

#[test]
fn how_large_are_the_regions() {
    // The files of a split region have the cells that a client read in the new regions, which refer to them.
    let files = answer(&["du", &dir("tracked-split", "tracked")]);
    let (whole, references): (Vec<&Value>, Vec<&Value>) =
        files.iter().partition(|file| file["cells"].is_number());
    let served: Vec<Value> =
        regions("tracked-split", "tracked").iter().map(|region| region["encoded"].clone()).collect();
    assert!(references.len() >= 4 && references.iter().all(|file| served.contains(&file["region"])));
    assert!(whole.iter().all(|file| file["table"] == "tracked" && !served.contains(&file["region"])));
    let stored = raw_of("tracked-split", "tracked");
    let bounds = |times: Vec<i64>| (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    for family in ["p", "q"] {
        let files: Vec<_> = whole.iter().filter(|file| file["family"] == family).collect();
        let stored: Vec<_> = stored.iter().filter(|cell| cell["family"] == family).collect();
        assert_eq!(sum(files.iter().map(|file| &file["cells"])), stored.len() as u64);
        let times = |name: &str| files.iter().map(|file| file[name].as_i64().unwrap()).collect::<Vec<_>>();
        let found = bounds([times("oldest"), times("newest")].concat());
        let said = bounds(stored.iter().map(|cell| cell["timestamp"].as_i64().unwrap()).collect());
        assert_eq!(found, said, "{family}");
    }
    for file in &files {
        let path = file["path"].as_str().unwrap();
        assert_eq!(file["bytes"], fs::metadata(path).unwrap().len(), "{path}");
    }
}

#[test]
fn which_files_are_not_needed() {
    let root = base();
    let lines = answer(&["check", &text(root.path())]);
    let leftover: BTreeSet<&str> = lines
        .iter()
        .filter(|line| line["kind"] == "leftover_parent")
        .map(|line| line["region"].as_str().unwrap())
        .collect();
    // Directories of regions that HBase no longer served: they were split or merged.
    let mut expected = BTreeSet::new();
    let entries: Vec<PathBuf> = TABLES
        .iter()
        .flat_map(|(stage, table, _)| fs::read_dir(dir(stage, table)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    let served: Vec<Value> = TABLES.iter().flat_map(|(stage, table, _)| regions(stage, table)).collect();
    for name in entries.iter().map(|path| path.file_name().unwrap().to_str().unwrap()) {
        if name.len() == 32 && !served.iter().any(|region| region["encoded"] == name) {
            expected.insert(name);
        }
    }
    assert_eq!(leftover, expected);
    assert_eq!(expected.len(), 4);
}

#[test]
fn which_file_is_newer() {
    // The name of a bulk-loaded file contains the sequence id of the load; the file itself has its writer's.
    let found = answer(&["inspect", &dir("bulk-loaded", "loaded")]).remove(0);
    let listed = |value: &Value, member: &str| value[member].as_array().unwrap().clone();
    let families = listed(&found, "regions").into_iter().flat_map(|region| listed(&region, "families"));
    let files: Vec<Value> = families.flat_map(|family| listed(&family, "files")).collect();
    let mut loaded = 0;
    for file in &files {
        let path = file["path"].as_str().unwrap();
        let own = answer(&["inspect", path]).remove(0)["file_info"]["MAX_SEQ_ID_KEY"].clone();
        let Some((_, rest)) = path.split_once("_SeqId_") else {
            assert_eq!(file["sequence_id"], own, "{path}");
            continue;
        };
        let of_load: i64 = rest.trim_end_matches('_').parse().unwrap();
        assert_eq!(file["sequence_id"], of_load, "{path}");
        assert!(own != of_load, "{path}");
        let cells = answer(&["cells", path.rsplit_once('/').unwrap().0]);
        let of_file = cells.iter().filter(|cell| cell["file"] == path);
        let ids: Vec<&Value> = of_file.map(|cell| &cell["sequence_id"]).collect();
        assert!(!ids.is_empty() && ids.iter().all(|id| **id == of_load), "{path}: {ids:?}");
        loaded += 1;
    }
    assert!(loaded > 0 && loaded < files.len());
}

#[test]
fn what_is_in_a_file() {
    for name in ["region-a-flush1", "region-a-major"] {
        let found = answer(&["inspect", &golden(&format!("{name}.hfile"))]);
        let said = fs::read_to_string(golden(&format!("{name}.inspect.json"))).unwrap();
        let mut said: Value = serde_json::from_str(&said).unwrap();
        said.as_object_mut().unwrap().remove("blocks");
        assert_eq!(found, [said]);
        let found = answer(&["cells", &golden(&format!("{name}.hfile"))]);
        assert_eq!(found, json_lines(&read_gz(golden(&format!("{name}.cells.jsonl.gz")))));
        assert!(found.len() > 500);
    }
}

#[test]
fn why_does_a_get_return_nothing() {
    // A client of HBase read these cells of the row, and a marker as new as the newest of them.
    let row = "row-0012";
    let mut stored = raw_of("clone-references", "joined");
    stored.retain(|cell| cell["row"] == row);
    let lines = answer(&["explain", "get", &dir("clone-references", "joined"), row, "--columns", "p"]);
    let (cells, files): (Vec<&Value>, Vec<&Value>) = lines.iter().partition(|line| line["cell"].is_object());
    let shown = |cell: &Value| {
        let mut cell = cell.clone();
        cell.as_object_mut().unwrap().shift_remove("sequence_id");
        cell
    };
    assert_eq!(cells.iter().map(|line| shown(&line["cell"])).collect::<Vec<_>>(), stored);
    assert_eq!((stored.len(), &stored[0]["type"]), (7, &json!("DeleteFamily")));
    assert!(cells.iter().all(|line| line["kept"] == false), "{lines:#?}");
    for line in &cells[1..4] {
        assert_eq!((&line["reason"], shown(&line["by"])), (&json!("delete_marker"), stored[0].clone()));
    }
    assert!(cells[4..].iter().all(|line| line["reason"] == "family" && line["cell"]["family"] == "q"));
    assert!(files.iter().any(|file| file["read"] == true));
}

#[test]
fn what_does_a_major_compaction_drop() {
    for (stage, table, _) in TABLES {
        let lines = answer(&["compact", "--major", "--dry-run", &dir(stage, table)]);
        let (plans, dropped): (Vec<&Value>, Vec<&Value>) =
            lines.iter().partition(|line| line["all_files"].is_boolean());
        let mut seen = 0;
        for region in regions(stage, table) {
            let plans: Vec<_> = plans.iter().filter(|plan| plan["region"] == region["encoded"]).collect();
            // HBase: the cells of a raw scan, and the cells of a scan of all versions.
            let [before, after] =
                ["cells_before", "cells_after"].map(|name| sum(plans.iter().map(|plan| &plan[name])));
            // A raw scan also omits cells that were written twice.
            let twice = sum(plans.iter().map(|plan| &plan["dropped"]["duplicate"]));
            let said = [&region["raw"], &region["plain"]].map(|count| count.as_u64().unwrap());
            assert_eq!([before - twice, after], said, "{stage} {}", region["encoded"]);
            seen += before - after;
        }
        assert_eq!(seen, dropped.len() as u64, "{stage} {table}");
        for line in dropped {
            let is_marker = line["cell"]["type"] != "Put";
            assert_eq!(line["reason"] == "purged_marker", is_marker, "{line}");
        }
    }
}

#[test]
fn one_row_out() {
    for (stage, table, _) in TABLES {
        let stored = raw_of(stage, table);
        for row in ["row-0000", "row-0060", "row-0072"] {
            let found = ok(&["get", &dir(stage, table), row, "--raw", "--versions", "all", "--json"]);
            let of_row: Vec<_> = stored.iter().filter(|cell| cell["row"] == row).cloned().collect();
            assert_eq!(cells(&found), of_row, "{stage} {table} {row}");
            assert!(of_row.len() >= 6);
        }
    }
}

#[test]
fn what_can_be_rescued_of_a_damaged_file() {
    let scratch = tempfile::tempdir().unwrap();
    let new = text(&scratch.path().join("rescued"));
    let output = run(&["salvage", "--json", &corrupt("flip-data.hfile"), "--out", &new]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let lost = &json_lines(&stdout(&output))[0]["lost"];
    // HBase read this file before it was damaged.
    let sound = json_lines(&read_gz(corrupt("sound-plain.cells.jsonl.gz")));
    let rescued = json_lines(&ok(&["cells", "--json", &new]));
    let at = |cell: &Value| {
        let members = ["row", "family", "qualifier", "timestamp", "type"];
        sound.iter().position(|one| members.iter().all(|name| one[name] == cell[name]))
    };
    // All cells before and after the lost block are recovered.
    let (first, last) = (
        if lost["after"].is_null() { 0 } else { at(&lost["after"]).unwrap() + 1 },
        if lost["before"].is_null() { sound.len() } else { at(&lost["before"]).unwrap() },
    );
    assert!(first < last && last - first < sound.len() / 4, "{lost}");
    assert_eq!(rescued, [&sound[..first], &sound[last..]].concat());
}

#[test]
fn an_export() {
    for (stage, table, count) in TABLES {
        let scratch = tempfile::tempdir().unwrap();
        let out = text(&scratch.path().join("export"));
        let all = ["--raw", "--versions", "all"];
        let table_dir = dir(stage, table);
        let args = [&["export", &table_dir, "--to", "jsonl", "--out", &out][..], &all].concat();
        let printed = answer(&args);
        assert_eq!(printed.len(), count + 1);
        for (file, region) in printed.iter().zip(regions(stage, table)) {
            let expected = raw(stage, &region);
            let lines = fs::read_to_string(Path::new(&out).join(file["file"].as_str().unwrap())).unwrap();
            assert_eq!(cells(&lines), expected);
            assert_eq!(
                [&file["encoded"], &file["start"], &file["end"], &file["cells"]],
                [&region["encoded"], &region["start"], &region["end"], &region["raw"]]
            );
        }
    }
}

#[test]
fn what_changed_in_a_table() {
    // The table, and its clone: HBase's client read the same cells in both.
    let (joined, cloned) = (dir("clone-references", "joined"), dir("clone-references", "cloned"));
    assert_eq!(raw_of("clone-references", "joined"), raw_of("clone-references", "cloned"));
    let snapshot = text(&root("clone-references").join(".hbase-snapshot/joined-snap"));
    assert_eq!(ok(&["diff", "--raw", &joined, &cloned, "--json"]), "");
    assert_eq!(ok(&["diff", "--raw", &snapshot, &joined, "--json"]), "");
    // Tables with the same rows and families, and different writes.
    let sides = [("left", "split-references", "halves"), ("right", "tracked-split", "tracked")];
    let output =
        run(&["diff", "--raw", "--json", &dir(sides[0].1, sides[0].2), &dir(sides[1].1, sides[1].2)]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let lines = json_lines(&stdout(&output));
    let stored = sides.map(|(_, stage, table)| raw_of(stage, table));
    for (at, (side, ..)) in sides.iter().enumerate() {
        let found = lines.iter().filter(|line| line["side"] == *side).map(|line| &line["cell"]);
        let (mine, other) = (&stored[at], &stored[1 - at]);
        assert!(found.eq(mine.iter().filter(|cell| !other.contains(cell))), "{side}");
    }
    assert!(lines.len() > 500);
}

#[test]
fn which_region_has_a_row() {
    let catalog = text(&testdata("meta/root"));
    for (stage, table, _) in TABLES {
        for (row, at) in [("row-0059", 0), ("row-0060", 1), ("", 0), ("\\xFF", 1)] {
            let found = answer(&["locate", table, row, "--meta", &catalog]);
            let regions = regions(stage, table);
            let region = &regions[at.min(regions.len() - 1)];
            for member in ["name", "encoded", "table", "start", "end", "id", "replica", "split", "offline"] {
                assert_eq!(found[0][member], region[member], "{table} {row} {member}");
            }
        }
    }
}

#[test]
fn which_row_is_the_widest_and_which_the_hottest() {
    for (stage, table, _) in TABLES {
        let mut rows: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        for cell in raw_of(stage, table) {
            let row = rows.entry(cell["row"].as_str().unwrap().to_owned()).or_default();
            let key = ["row", "family", "qualifier"].iter().map(|name| len(&cell[name])).sum::<usize>();
            // two lengths (of row and family), the timestamp and the type
            row.0 += 8 + key + 2 + 1 + 8 + 1 + len(&cell["value"]);
            row.1 += 1;
        }
        let stats = &answer(&["stats", &dir(stage, table), "--top", "1"])[0];
        let (row, (bytes, cells)) =
            rows.iter().max_by_key(|(row, size)| (size.0, std::cmp::Reverse(*row))).unwrap();
        let found = &stats["heaviest_rows"][0];
        assert_eq!(
            (&found["row"], &found["bytes"], &found["cells"]),
            (&json!(row), &json!(bytes), &json!(cells)),
            "{table}"
        );
        let (row, (_, cells)) =
            rows.iter().max_by_key(|(row, size)| (size.1, std::cmp::Reverse(*row))).unwrap();
        let found = &stats["hottest_rows"][0];
        assert_eq!((&found["row"], &found["cells"]), (&json!(row), &json!(cells)), "{table}");
        assert_eq!(stats["row_cells"]["max"], *cells);
    }
}

#[test]
fn how_many_tombstones_are_there() {
    for (stage, table, _) in TABLES {
        let mut types: BTreeMap<String, u64> = BTreeMap::new();
        for cell in raw_of(stage, table) {
            *types.entry(cell["type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        let stats = &answer(&["stats", &dir(stage, table)])[0];
        assert_eq!(stats["types"], json!(types), "{table}");
    }
}

#[test]
fn is_a_table_sound() {
    for (stage, table, _) in TABLES {
        let lines = answer(&["verify", &dir(stage, table)]);
        let [Value::Object(line)] = &lines[..] else { panic!("{lines:#?}") };
        let summary = &line["summary"];
        assert_eq!(summary["faults"], 0);
        // Files of parents are read too, and the halves of references.
        let stored = raw_of(stage, table).len() as u64;
        assert!(summary["cells"].as_u64().unwrap() >= stored, "{table}: {summary}");
    }
}

#[test]
fn does_the_catalog_agree_with_the_disk() {
    // The catalog lists all tables that HBase had, and the directories contain only one of them.
    let scratch = tempfile::tempdir().unwrap();
    copy_dir(&testdata("meta/root"), scratch.path());
    copy_dir(&root("split-references"), scratch.path());
    let output = run(&["check", "--json", &text(scratch.path())]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let missing: BTreeSet<String> = json_lines(&stdout(&output))
        .into_iter()
        .filter(|line| line["kind"] == "no_directory")
        .map(|line| line["region"].as_str().unwrap().to_owned())
        .collect();
    for (stage, table, _) in TABLES {
        for region in regions(stage, table) {
            let encoded = region["encoded"].as_str().unwrap();
            assert_eq!(missing.contains(encoded), table != "halves", "{table} {encoded}");
        }
    }
}

/// The cells that HBase's client read in one table are imported into another one, which has other regions.
#[test]
fn how_are_rows_imported() {
    let scratch = tempfile::tempdir().unwrap();
    let families = ["p", "q"].map(|name| Family::new(name).max_versions(u32::MAX));
    Table::create(scratch.path(), "new", &families, &["row-0033"]).unwrap().close().unwrap();
    let (table, list) = (scratch.path().join("data/default/new"), scratch.path().join("cells.jsonl"));
    let stored = raw_of("split-references", "halves");
    fs::write(&list, stored.iter().map(|cell| format!("{cell}\n")).collect::<String>()).unwrap();
    ok(&["import", &text(&table), &text(&list)]);
    assert_eq!(cells(&ok(&["scan", "--raw", "--versions", "all", "--json", &text(&table)])), stored);
}
