//! `hregion copy`: either all rows of a source become rows of a table, or none.

use crate::support::{
    code, golden, has_leftovers, hregion, json_lines, last_error, ok, run, stderr, temp_file, testdata,
};
use hregion::{Delete, Family, Put, Region, Table};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Creates a table with regions from "" and `split`, and returns its directory.
fn table(root: &Path, name: &str, families: &[Family], split: &str) -> String {
    Table::create(root, name, families, &[split]).unwrap().close().unwrap();
    root.join("data/default").join(name).into_os_string().into_string().unwrap()
}

fn all_versions(name: &str) -> Family {
    Family::new(name.to_owned()).max_versions(u32::MAX)
}

fn halves() -> String {
    testdata("region/split-references/root/data/default/halves").into_os_string().into_string().unwrap()
}

/// Rows of a table with references, written by HBase: without and with delete markers.
#[test]
fn rows_are_the_same_in_the_other_table() {
    let dir = tempfile::tempdir().unwrap();
    let from = halves();
    let range = ["--start", "row-0050", "--stop", "row-0070"];
    for (name, options) in [
        ("seen", &[][..]),
        ("raw", &["--raw"]),
        ("range", &range),
        ("column", &["--columns", "p", "--versions", "1"]),
    ] {
        let to = table(dir.path(), name, &[all_versions("p"), all_versions("q")], "row-0061");
        let copied = json_lines(&ok(&[&["copy", "--json", &from, &to], options].concat())).remove(0);
        let same = if options.contains(&"--versions") {
            options.to_vec()
        } else {
            [options, &["--versions", "all"]].concat()
        };
        let (rows, cells) = (&copied["rows"], &copied["cells"]);
        let counted = json_lines(&ok(&[&["count", "--json", &from][..], &same].concat())).remove(0);
        assert_eq!((rows, cells), (&counted["rows"], &counted["cells"]), "{name}");
        assert!(rows.as_u64().unwrap() >= 20, "{name}: {copied}");
        assert_eq!(ok(&[&["diff", &from, &to][..], &same].concat()), "", "{name}");
        assert!(!has_leftovers(&to));
        assert_eq!(code(&run(&["verify", &to])), 0);
    }
}

/// Lost rows are recovered from a snapshot of the same table. Later writes and deletes take precedence.
#[test]
fn rows_come_back_from_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let path = table(dir.path(), "t", &[Family::new("f")], "m");
    let open = Table::open_dir(&path, Region::options().writable(true)).unwrap();
    for row in ["a", "b", "n", "o"] {
        open.put(Put::new(row).cell_at("f", "q", 5, "old")).unwrap();
    }
    open.snapshot("before").unwrap();
    open.put(Put::new("a").cell_at("f", "q", 5, "same time")).unwrap();
    open.put(Put::new("b").cell_at("f", "q", 6, "newer")).unwrap();
    open.delete(Delete::new("n").column_at("f", "q", 6)).unwrap();
    open.flush().unwrap();
    open.close().unwrap();
    let snapshot = dir.path().join(".hbase-snapshot/before").into_os_string().into_string().unwrap();
    assert_eq!(ok(&["copy", &snapshot, &path, "--stop", "o"]), "rows 3, cells 3, files 2\n");
    let cells = json_lines(&ok(&["scan", "--json", &path]));
    let found: Vec<_> = cells.iter().map(|cell| json!([cell["row"], cell["value"]])).collect();
    assert_eq!(found, [json!(["a", "old"]), json!(["b", "newer"]), json!(["o", "old"])]);
}

/// A single file, copied into a table.
#[test]
fn a_file_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let file = golden("small-none-row.hfile");
    let cells = json_lines(&ok(&["cells", "--json", &file]));
    let family = cells[0]["family"].as_str().unwrap();
    let to = table(dir.path(), "t", &[all_versions(family)], cells[cells.len() / 2]["row"].as_str().unwrap());
    ok(&["copy", &file, &to, "--raw"]);
    assert_eq!(ok(&["diff", &file, &to, "--raw"]), "");
    assert_eq!(
        json_lines(&ok(&["count", "--raw", "--versions", "all", "--json", &to]))[0]["cells"],
        cells.len()
    );
}

#[test]
fn nothing_is_copied_if_anything_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let to = table(dir.path(), "t", &[all_versions("p")], "row-0061");
    let ordered = table(dir.path(), "n", &[all_versions("p").new_version_behavior(true)], "row-0061");
    let region = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().path());
    let region: PathBuf = region.into_iter().find(|path| path.join(".regioninfo").exists()).unwrap();
    let damaged = dir.path().join("damaged");
    let mut bytes = fs::read(golden("small-none-row.hfile")).unwrap();
    bytes[100] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let (from, damaged) = (halves(), damaged.to_str().unwrap());
    for (line, exit, expected) in [
        (&["copy", &from, &to][..], 2, "no family q"),
        (&["copy", &from, &ordered, "--raw"], 4, "NEW_VERSION_BEHAVIOR"),
        (&["copy", &ordered, &to, "--raw"], 4, "NEW_VERSION_BEHAVIOR"),
        (&["copy", damaged, &to], 3, "damaged"),
        (&["copy", &from, region.to_str().unwrap()], 2, "expected the directory of a table"),
        (&["copy", "missing", &to], 5, "missing"),
    ] {
        let output = run(line);
        assert_eq!(code(&output), exit, "{line:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{line:?}: {}", stderr(&output));
        for table in [&to, &ordered] {
            assert_eq!(ok(&["count", "--raw", table]), "rows 0\ncells 0\n", "{line:?}");
            assert!(!has_leftovers(table), "{line:?}");
        }
    }
    ok(&["copy", &from, &ordered, "--columns", "p"]);
    let open = Table::open_dir(&to, Region::options().writable(true)).unwrap();
    open.put(Put::new("a").cell_at("p", "q", 1, "v")).unwrap();
    let output = hregion().args(["copy", "--json", &from, &to, "--columns", "p"]).output().unwrap();
    assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (5, Some("Locked")));
}

/// For example the master key: the table's files may need it, although the rows come from a running cluster.
#[test]
fn options_for_reading_files_are_those_of_the_table_that_gets_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    let to = table(dir.path(), "t", &[all_versions("f")], "m");
    let key = temp_file("copy.key", b"000102030405060708090a0b0c0d0e0f");
    let cluster = ["--bootstrap", "127.0.0.1:1", "--timeout", "1", "--master-key-file", &key];
    let output = run(&[&["copy", "t", &to][..], &cluster].concat());
    assert_eq!(code(&output), 5, "no server is there: {}", stderr(&output));
    assert_eq!(code(&run(&[&["count", "t"][..], &cluster].concat())), 2, "servers need no key");
    assert!(!has_leftovers(&to));
}
