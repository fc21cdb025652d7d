//! Reads single HFiles and families as rows.

use crate::support::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Compares the first rows of two files with the cells that their versions and markers leave visible.
#[test]
fn a_file_has_the_rows_that_its_cells_make() {
    let first_rows = "\
row-00000  column=cf:col0, timestamp=1600946217652, value=eta mu
row-00000  column=cf:col1, timestamp=1600763636348, value=iota lambda d
";
    assert_eq!(ok(&["scan", &plain(), "--limit", "1", "--quiet"]), first_rows);
    assert_eq!(ok(&["scan", &plain(), "--limit", "0", "--quiet"]), ok(&["scan", &plain(), "--quiet"]));
    assert_eq!(ok(&["get", &plain(), "row-00000"]), first_rows);
    assert_eq!(
        ok(&["get", &plain(), "row-00000", "--versions", "2", "--columns", "cf:col0"]),
        "row-00000  column=cf:col0, timestamp=1600946217652, value=eta mu\n\
         row-00000  column=cf:col0, timestamp=1600909925047, value=beta the\n"
    );
    assert_eq!(
        ok(&["scan", &plain(), "--filter", "ValueFilter(=, 'substring:lambda d')", "--prefix", "row-00000"]),
        "row-00000  column=cf:col1, timestamp=1600763636348, value=iota lambda d\n"
    );
    assert_eq!(ok(&["get", &plain(), "no-such-row"]), "");
    assert_eq!(
        ok(&["scan", &plain(), "--stop", "row-00003", "--time-range", "..1600600000000"]),
        "row-00000  column=cf:col0, timestamp=1600285970255, value=beta zeta alpha al\n\
         row-00000  column=cf:col1, timestamp=1600532374341, value=zeta de\n"
    );
    let edges = golden("shape-edges-none.hfile");
    assert_eq!(
        ok(&["scan", &edges, "--stop", "c", "--versions", "all"]),
        "a  column=f:, timestamp=0, value=\n\
         a  column=f:q, timestamp=5, value=\n\
         b  column=f:q, timestamp=9223372036854775807, value=latest\n\
         b  column=f:q, timestamp=9223372036854775806, value=nearly\n"
    );
}

/// A raw scan returns all cells of a file in order. As in HBase, it returns one of several cells with equal
/// keys, and no cells with a timestamp before 1970.
#[test]
fn raw_scans_of_files_are_their_cells() {
    let mut files = 0;
    for name in golden_names() {
        let stored = json_lines(&stdout(&run_golden(&["cells", "--json"], &name)));
        let families: Vec<&Value> = stored.iter().map(|cell| &cell["family"]).collect();
        let output = run_golden(&["scan", "--json", "--raw", "--versions", "all"], &name);
        if families.iter().any(|family| **family != *families[0]) || stderr(&output).contains("comparator") {
            assert_eq!(code(&output), 4, "{name}");
            continue;
        }
        assert_eq!(code(&output), 0, "{name}: {}", stderr(&output));
        let without_ids = |mut cells: Vec<Value>| {
            for cell in &mut cells {
                cell.as_object_mut().unwrap().shift_remove("sequence_id");
            }
            cells
        };
        let mut expected = stored.clone();
        let key = |cell: &Value| ["row", "qualifier", "timestamp", "type"].map(|member| cell[member].clone());
        expected.retain(|cell| cell["timestamp"].as_i64().unwrap() >= 0);
        expected.dedup_by(|next, cell| key(next) == key(cell));
        assert_eq!(without_ids(json_lines(&stdout(&output))), without_ids(expected), "{name}");
        files += 1;
    }
    assert!(files > 50, "{files}");
}

/// Compares a scan with a naive reference: for each column, the newest Put that no marker hides. The
/// reference is right only for files with one version of each key.
#[test]
fn delete_markers_hide_older_cells() {
    let name = "region-a-flush1";
    let stored = json_lines(&read_gz(golden(&format!("{name}.cells.jsonl.gz"))));
    let mut expected: Vec<String> = Vec::new();
    let mut columns: BTreeMap<(String, String), Vec<&Value>> = BTreeMap::new();
    for cell in &stored {
        let text = |member: &str| cell[member].as_str().unwrap().to_owned();
        columns.entry((text("row"), text("qualifier"))).or_default().push(cell);
    }
    for ((row, qualifier), cells) in &columns {
        let of_family = columns.get(&(row.clone(), String::new())).map(Vec::as_slice).unwrap_or_default();
        let time = |cell: &Value| cell["timestamp"].as_i64().unwrap();
        let hides = |put: &Value, marker: &Value| match marker["type"].as_str().unwrap() {
            "DeleteFamily" | "DeleteColumn" => time(put) <= time(marker),
            "DeleteFamilyVersion" | "Delete" => time(put) == time(marker),
            _ => false,
        };
        let visible = cells.iter().find(|cell| {
            cell["type"] == "Put" && !cells.iter().chain(of_family).any(|marker| hides(cell, marker))
        });
        if let Some(cell) = visible {
            let (timestamp, value) = (time(cell), cell["value"].as_str().unwrap());
            expected.push(format!("{row}  column=cf:{qualifier}, timestamp={timestamp}, value={value}"));
        }
    }
    let found = ok(&["scan", &golden(&format!("{name}.hfile"))]);
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    let counted = ok(&["count", &golden(&format!("{name}.hfile")), "--versions", "1", "--json"]);
    assert_eq!(json_lines(&counted)[0]["cells"], expected.len());
}

/// The region info of a directory that is not below a root determines whether it is a region.
#[test]
fn a_file_is_read_whatever_is_damaged_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("region/cf").join("0123456789abcdef".repeat(2));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(dir.path().join("region/.regioninfo"), "damaged").unwrap();
    fs::copy(plain(), &file).unwrap();
    let (file, new) = (file.to_str().unwrap(), dir.path().join("new"));
    for command in [
        &["cells", "--json", "FILE"][..],
        &["count", "--json", "FILE"],
        &["scan", "--json", "FILE"],
        &["get", "FILE", "row-00000"],
        &["seek", "FILE", "row-00003"],
        &["stats", "--json", "--now", "9", "FILE"],
        &["convert", "FILE", "--to", "csv", "--out", "-"],
    ] {
        let of = |file: &str| {
            let words: Vec<&str> =
                command.iter().map(|&word| if word == "FILE" { file } else { word }).collect();
            ok(&words)
        };
        assert_eq!(of(file), of(&plain()), "{command:?}");
    }
    assert_eq!(ok(&["diff", file, &plain()]), "");
    ok(&["salvage", file, "--out", new.to_str().unwrap()]);
    // unlike `verify`, which accepts no damage there
    assert_ne!(code(&run(&["verify", file])), 0);
}

#[test]
fn a_scan_goes_on_where_it_ended() {
    let all = ok(&["scan", &plain()]);
    let (mut pieces, mut cursor) = (String::new(), None::<String>);
    for _ in 0..100 {
        let mut args = vec!["scan".to_owned(), plain(), "--limit".into(), "4".into()];
        if let Some(cursor) = &cursor {
            args.extend(["--resume".to_owned(), cursor.clone()]);
        }
        let output = run(&args);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        pieces += &stdout(&output);
        let said = stderr(&output);
        let Some((_, place)) = said.split_once("--resume '") else { break };
        cursor = Some(place.trim_end().trim_end_matches('\'').to_owned());
    }
    assert_eq!(pieces, all);
    let output = run(&["scan", "--json", &plain(), "--limit", "1"]);
    assert_eq!(json_lines(&stderr(&output)), [json!({"cursor": "after:row-00000"})]);
    assert_eq!(stderr(&run(&["scan", &plain(), "--limit", "1", "--quiet"])), "");
}

#[test]
fn rows_in_pieces_are_the_same_rows() {
    let whole = ok(&["scan", &plain(), "--versions", "all"]);
    assert_eq!(ok(&["scan", &plain(), "--versions", "all", "--batch", "2"]), whole);
    let counts = |args: &[&str]| {
        json_lines(&ok(&[&["count", "--json", &plain(), "--versions", "all"], args].concat()))
    };
    assert_eq!(counts(&["--batch", "1"]), counts(&[]));
    assert_eq!(counts(&["--batch", "1", "--limit", "2"]), counts(&["--limit", "2"]));
}

#[test]
fn rows_come_in_reverse() {
    let forward = json_lines(&ok(&["scan", &plain(), "--json"]));
    let rows = |cells: &[Value]| {
        let mut rows: Vec<String> =
            cells.iter().map(|cell| cell["row"].as_str().unwrap().to_owned()).collect();
        rows.dedup();
        rows
    };
    let mut expected = rows(&forward);
    expected.reverse();
    assert_eq!(rows(&json_lines(&ok(&["scan", &plain(), "--json", "--reversed"]))), expected);
    let table = testdata("region/split-references/root/data/default/halves");
    let table = table.to_str().unwrap();
    let forward = json_lines(&ok(&["scan", table, "--json", "--prefix", "row-00"]));
    let mut expected = rows(&forward);
    expected.reverse();
    assert!(expected.len() > 10);
    let prefix = ["scan", table, "--json", "--prefix", "row-00", "--reversed"];
    assert_eq!(rows(&json_lines(&ok(&prefix))), expected);
    let first = run(&[&prefix[..], &["--limit", "3"]].concat());
    let cursor = json_lines(&stderr(&first))[0]["cursor"].as_str().unwrap().to_owned();
    assert_eq!(cursor, format!("after:{}", expected[2]));
    let rest = json_lines(&ok(&[&prefix[..], &["--resume", &cursor]].concat()));
    assert_eq!(rows(&rest), expected[3..]);
}

const HALVES: &str = "region/split-references/root/data/default/halves/36870a128e2b61b11b5b6154f73464e8";

#[test]
fn a_family_is_read_with_or_without_its_region() {
    let region = testdata(HALVES);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (region, family) = (path(&region), path(&region.join("p")));
    let of_region = ok(&["scan", &region, "--columns", "p", "--json"]);
    assert!(of_region.lines().count() > 10);
    assert_eq!(ok(&["scan", &family, "--json"]), of_region);
    assert_eq!(ok(&["scan", &family, "--json", "--as", "family"]), of_region);
    let output = run(&["scan", &family, "--columns", "q"]);
    assert_eq!((code(&output), stderr(&output).contains("not in the family p")), (2, true));
    // copies elsewhere: the number of kept versions of the family is unknown, so all are read
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&family).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let alone = path(dir.path());
    assert_eq!(
        ok(&["scan", &alone, "--raw", "--versions", "all"]),
        ok(&["scan", &family, "--raw", "--versions", "all"])
    );
    let newest = json_lines(&ok(&["count", &alone, "--json"]));
    assert_eq!(newest, json_lines(&ok(&["count", &family, "--json"])));
}

#[test]
fn files_of_several_families_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (i, name) in ["small-none-row", "bloom-fills-exactly"].into_iter().enumerate() {
        fs::copy(golden(&format!("{name}.hfile")), dir.path().join(format!("{i:032x}"))).unwrap();
    }
    let output = run(&["scan".as_ref(), dir.path().as_os_str()]);
    assert_eq!(code(&output), 4);
    assert!(stderr(&output).contains("several families"), "{}", stderr(&output));
}
