//! `hregion import`: either all rows of text or lists of cells become part of a table, or none.

use crate::library::files::copy_dir;
use crate::support::{
    code, has_leftovers, hregion, json_lines, last_error, ok, run, stderr, stdout, testdata,
};
use hregion::{Family, Put, Table};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Creates a table with two families and regions from "", "d" and "row".
fn table(dir: &Path) -> String {
    let families = [Family::new("f").max_versions(u32::MAX), Family::new("g").max_versions(u32::MAX)];
    let table = Table::create(dir.join("root"), "t", &families, &["d", "row"]).unwrap();
    table.put(Put::new("e").cell_at("f", "q", 5, "old")).unwrap();
    table.close().unwrap();
    dir.join("root/data/default/t").into_os_string().into_string().unwrap()
}

fn write(dir: &Path, name: &str, content: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, content).unwrap();
    path.into_os_string().into_string().unwrap()
}

fn cells(table: &str) -> Vec<Value> {
    let mut cells = json_lines(&ok(&["scan", "--raw", "--versions", "all", "--json", table]));
    cells.iter_mut().for_each(|cell| drop(cell.as_object_mut().unwrap().shift_remove("sequence_id")));
    cells
}

fn cell(row: &str, family: &str, qualifier: &str, timestamp: i64, value: &str) -> Value {
    json!({"row": row, "family": family, "qualifier": qualifier, "timestamp": timestamp, "type": "Put",
        "value": value})
}

#[test]
fn rows_of_text_become_rows_of_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let input = write(dir.path(), "in.csv", "key,name,age\nzoe,\"Zoe, Z\",7\ne,Eve,\na,b,c,d\nann,Ann,3\n");
    let args = ["import", &table, &input, "--columns", "HBASE_ROW_KEY,f:q,g:age", "--separator", ","];
    let more =
        ["--quoted", "--skip-lines", "1", "--skip-bad-lines", "--skip-empty-columns", "--timestamp", "9"];
    let output = run(&[&args[..], &more, &["--json"]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(
        json_lines(&stdout(&output)),
        [json!({"cells": 5, "files": 5, "regions": 3, "skipped_lines": 1})]
    );
    let expected = [
        cell("ann", "f", "q", 9, "Ann"),
        cell("ann", "g", "age", 9, "3"),
        cell("e", "f", "q", 9, "Eve"),
        cell("e", "f", "q", 5, "old"),
        cell("zoe", "f", "q", 9, "Zoe, Z"),
        cell("zoe", "g", "age", 9, "7"),
    ];
    assert_eq!(cells(&table), expected);
    assert!(!has_leftovers(&table));
    // Again, with sorting on disk: the result has the same rows.
    let plain = |table: &str| json_lines(&ok(&["count", "--versions", "all", "--json", table]));
    let before = plain(&table);
    let printed = ok(&[&args[..], &more, &["--sort-memory", "1"]].concat());
    assert_eq!((printed.as_str(), plain(&table)), ("cells 5, files 5\n", before));
    assert_eq!(code(&run(&["verify", &table])), 0);
}

#[test]
fn each_text_may_begin_with_a_byte_order_mark() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let (first, second) =
        (write(dir.path(), "1.csv", "\u{feff}a,1\n"), write(dir.path(), "2.csv", "\u{feff}b,2\nc,3\n"));
    let columns = ["--columns", "HBASE_ROW_KEY,f:q", "--separator", ",", "--timestamp", "9"];
    ok(&[&["import", &table, &first, &second][..], &columns].concat());
    let expected = [
        cell("a", "f", "q", 9, "1"),
        cell("b", "f", "q", 9, "2"),
        cell("c", "f", "q", 9, "3"),
        cell("e", "f", "q", 5, "old"),
    ];
    assert_eq!(cells(&table), expected);
}

/// Exports each region of a table written by HBase, and imports them into another table in one call.
#[test]
fn an_export_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/split-references/root"), &dir.path().join("from"));
    let from = dir.path().join("from/data/default/halves").into_os_string().into_string().unwrap();
    let files = dir.path().join("files");
    ok(&[
        "export",
        &from,
        "--to",
        "jsonl",
        "--gzip",
        "--raw",
        "--versions",
        "all",
        "--out",
        files.to_str().unwrap(),
    ]);
    let families = ["p", "q"].map(|name| Family::new(name).max_versions(u32::MAX));
    Table::create(dir.path().join("to"), "ns:copy", &families, &["row-0030", "row-0090"])
        .unwrap()
        .close()
        .unwrap();
    let to = dir.path().join("to/data/ns/copy").into_os_string().into_string().unwrap();
    let lists: Vec<PathBuf> = fs::read_dir(&files).unwrap().map(|entry| entry.unwrap().path()).collect();
    let lists = lists.iter().filter(|path| path.extension().is_some_and(|extension| extension == "gz"));
    let lists: Vec<&str> = lists.map(|path| path.to_str().unwrap()).collect();
    assert_eq!(lists.len(), 2);
    ok(&[&["import", &to][..], &lists].concat());
    assert_eq!(cells(&to), cells(&from));
    assert!(cells(&to).len() > 500);
}

/// Cells with the same key in bulk-loaded files are in the order of the files.
#[test]
fn cells_of_bulk_loaded_files_have_their_sequence_ids() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let [from, to] = [from, to].map(|dir| table(&dir));
    let line = |n: usize| format!("{}\n", cell("e", "f", "q", 9, &format!("v{n}")));
    for n in 0..6 {
        let list = write(dir.path(), "one.jsonl", &line(n));
        ok(&["import", &from, &list]);
    }
    let listed = ok(&["cells", "--json", &from]);
    let loaded = json_lines(&listed).into_iter().filter(|cell| cell["timestamp"] == json!(9));
    let mut loaded: Vec<Value> = loaded.collect();
    loaded.sort_by_key(|cell| cell["value"].to_string());
    let ids: Vec<i64> = loaded.iter().map(|cell| cell["sequence_id"].as_i64().unwrap_or(0)).collect();
    assert!(ids.len() == 6 && ids[0] > 0 && ids.is_sorted_by(|a, b| a < b), "{loaded:?}");
    // For one file, its stored cells, as printed by HBase's reader
    for cell in &loaded {
        let alone = ok(&["cells", "--json", cell["file"].as_str().unwrap()]);
        let stored = json_lines(&alone).into_iter().map(|cell| cell["sequence_id"].as_i64().unwrap_or(0));
        assert_eq!(stored.collect::<Vec<_>>(), [0], "{alone}");
    }
    let list = write(dir.path(), "all.jsonl", &listed);
    ok(&["import", &to, &list]);
    for table in [&from, &to] {
        assert_eq!(json_lines(&ok(&["scan", "--json", table]))[0]["value"], json!("v5"));
    }
}

/// A range of rows, copied from one root directory to another through a pipe.
#[test]
fn a_range_is_copied_to_another_root() {
    let dir = tempfile::tempdir().unwrap();
    let from = testdata("region/split-references/root/data/default/halves");
    let families = ["p", "q"].map(|name| Family::new(name).max_versions(u32::MAX));
    let none: [&str; 0] = [];
    Table::create(dir.path(), "copy", &families, &none).unwrap().close().unwrap();
    let to = dir.path().join("data/default/copy").into_os_string().into_string().unwrap();
    let range = ["--start", "row-0050", "--stop", "row-0070", "--versions", "all", "--raw", "--json"];
    let rows = ok(&[&["scan", from.to_str().unwrap()][..], &range].concat());
    let list = write(dir.path(), "rows", &rows);
    let output = hregion().args(["import", &to, "-"]).stdin(fs::File::open(&list).unwrap()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(rows.lines().count() > 100);
    let diff = [&["diff", from.to_str().unwrap(), &to][..], &range[..4], &["--raw"]].concat();
    assert_eq!(ok(&diff), "");
}

#[test]
fn several_lists_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let list = |value: &str| {
        write(dir.path(), &format!("{value}.jsonl"), &cell("r", "f", "q", 7, value).to_string())
    };
    let (first, second, empty) = (list("first"), list("second"), write(dir.path(), "empty.jsonl", ""));
    for (lists, value) in [([&first, &empty, &second], "first"), ([&empty, &second, &first], "second")] {
        let scratch = tempfile::tempdir().unwrap();
        let table = table(scratch.path());
        let said = ok(&["import", "--json", &table, lists[0], lists[1], lists[2]]);
        assert_eq!(
            json_lines(&said),
            [json!({"cells": 2, "files": 1, "regions": 3, "skipped_lines": 0})],
            "{lists:?}"
        );
        assert!(ok(&["get", &table, "r"]).contains(&format!("value={value}")), "{lists:?}");
    }
    // Rows of text without a timestamp all get the same one.
    let text = |value: &str| write(dir.path(), &format!("{value}.tsv"), &format!("r\t{value}\nbad\n"));
    let (scratch, columns) = (tempfile::tempdir().unwrap(), ["--columns", "HBASE_ROW_KEY,f:q"]);
    let table = table(scratch.path());
    let args = ["import", "--json", "--skip-bad-lines", &table, &text("first"), &text("second")];
    let said = json_lines(&ok(&[&args[..], &columns].concat()));
    assert_eq!(said, [json!({"cells": 2, "files": 1, "regions": 3, "skipped_lines": 2})]);
    let found = json_lines(&ok(&["get", "--json", "--versions", "all", &table, "r"]));
    assert_eq!((found.len(), found[0]["value"].as_str()), (1, Some("first")), "{found:?}");
    // Errors after sorting name the list and the line.
    let lines = [cell("b", "f", "q", 1, "v"), cell("c", "a/b", "q", 1, "v")].map(|line| format!("{line}\n"));
    let wrong = write(dir.path(), "wrong.jsonl", &lines.concat());
    for lists in [[&first, &second, &wrong], [&wrong, &first, &second]] {
        let output = run(&["import", &table, lists[0], lists[1], lists[2]]);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains("wrong.jsonl: line 2: "), "{}", stderr(&output));
    }
}

/// A directory that was unpacked from an archive may contain links.
#[cfg(unix)]
#[test]
fn nothing_is_removed_or_written_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let input = write(dir.path(), "in.json", &cell("x", "f", "q", 5, "v").to_string());
    for below in ["", "import"] {
        let (victim, tmp) = (dir.path().join("victim"), Path::new(&table).join(".tmp"));
        fs::create_dir_all(victim.join("import")).unwrap();
        fs::write(victim.join("import/thesis"), "text").unwrap();
        if below.is_empty() {
            std::os::unix::fs::symlink(&victim, &tmp).unwrap();
        } else {
            fs::create_dir(&tmp).unwrap();
            std::os::unix::fs::symlink(victim.join("import"), tmp.join("import")).unwrap();
        }
        let output = run(&["import", &table, &input]);
        assert_ne!(code(&output), 0);
        assert!(stderr(&output).contains("symbolic link"), "{}", stderr(&output));
        assert_eq!(fs::read_dir(victim.join("import")).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(victim.join("import/thesis")).unwrap(), "text");
        if below.is_empty() { fs::remove_file(tmp) } else { fs::remove_dir_all(tmp) }.unwrap();
    }
    ok(&["import", &table, &input]);
}

#[test]
fn nothing_is_imported_if_anything_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let before = cells(&table);
    let good = write(dir.path(), "good.jsonl", &cell("z", "g", "q", 1, "v").to_string());
    for (name, line, exit, expected) in [
        (
            "family.jsonl",
            cell("a", "h", "q", 1, "v").to_string(),
            2,
            "family.jsonl: line 1: there is no family h",
        ),
        ("json.jsonl", "{".to_owned(), 3, "line 1"),
        ("gone.jsonl", String::new(), 5, "gone.jsonl"),
    ] {
        let bad = write(dir.path(), name, &line);
        if line.is_empty() {
            fs::remove_file(&bad).unwrap();
        }
        let output = run(&["import", "--json", &table, &good, &bad]);
        assert_eq!(code(&output), exit, "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{name}: {}", stderr(&output));
        assert!(last_error(&output)["message"].is_string());
        assert_eq!(cells(&table), before, "{name}");
        assert!(!has_leftovers(&table), "{name}");
    }
    // of cells that are loaded at once, none counts as written before another
    let families = [Family::new("f").new_version_behavior(true)];
    Table::create(dir.path().join("root"), "n", &families, &[""; 0]).unwrap().close().unwrap();
    let ordered = dir.path().join("root/data/default/n").display().to_string();
    let put = cell("a", "f", "q", 1, "v");
    let mut delete = cell("a", "f", "q", 2, "");
    delete["type"] = json!("DeleteColumn");
    let marked = write(dir.path(), "marked.jsonl", &format!("{put}\n{delete}\n"));
    let output = run(&["import", &ordered, &marked]);
    assert_eq!(code(&output), 4, "{}", stderr(&output));
    assert!(stderr(&output).contains("f has NEW_VERSION_BEHAVIOR"), "{}", stderr(&output));
    assert!(cells(&ordered).is_empty() && !has_leftovers(&ordered));
    ok(&["import", &ordered, &write(dir.path(), "put.jsonl", &put.to_string())]);
    assert_eq!(cells(&ordered).len(), 1);
    let region = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path());
    let region = region.into_iter().find(|path| path.join(".regioninfo").exists()).unwrap();
    assert_eq!(code(&run(&["import", region.to_str().unwrap(), &good])), 2, "not a table");
    let open = Table::open_dir(&table, hregion::Region::options().writable(true)).unwrap();
    open.put(Put::new("a").cell_at("f", "q", 1, "v")).unwrap();
    let output = run(&["import", "--json", &table, &good]);
    assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (5, Some("Locked")));
    drop(open);
}

/// Otherwise each of its regions would get a lock file.
#[test]
fn a_table_is_not_opened_without_what_it_is_to_get() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let regions = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path());
    let locks: Vec<PathBuf> = regions.map(|region| region.join(".hregion.lock")).collect();
    let found: Vec<&PathBuf> = locks.iter().filter(|lock| lock.exists()).collect();
    assert!(!found.is_empty(), "{locks:?}");
    found.into_iter().for_each(|lock| fs::remove_file(lock).unwrap());
    let good = write(dir.path(), "good.jsonl", &cell("z", "g", "q", 1, "v").to_string());
    let missing = dir.path().join("missing").into_os_string().into_string().unwrap();
    let folder = dir.path().to_str().unwrap();
    for line in [
        &["import", &table, &good, &missing][..],
        &["import", &table, folder],
        &["copy", &missing, &table],
        &["copy", &missing, &table, "--as", "table"],
        &["load", &table, &missing],
    ] {
        let output = run(line);
        assert_eq!(code(&output), 5, "{line:?}: {}", stderr(&output));
        assert!(!locks.iter().any(|lock| lock.exists()), "{line:?}");
    }
}

/// The next import removes the remains of a failed one, which it must not read.
#[cfg(unix)]
#[test]
fn files_of_the_last_import_are_no_input() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let before = cells(&table);
    let left = Path::new(&table).join(".tmp/import/left");
    fs::create_dir_all(&left).unwrap();
    let line = cell("z", "g", "q", 1, "v").to_string();
    let (list, key) = (write(&left, "cells.jsonl", &line), write(&left, "key", &"00".repeat(16)));
    let good = write(dir.path(), "good.jsonl", &line);
    let regions = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path());
    let locks: Vec<PathBuf> = regions.map(|region| region.join(".hregion.lock")).collect();
    locks.iter().filter(|lock| lock.exists()).for_each(|lock| fs::remove_file(lock).unwrap());
    let link = dir.path().join("link").into_os_string().into_string().unwrap();
    std::os::unix::fs::symlink(&list, &link).unwrap();
    for line in [
        vec!["import", &table, &good, &list],
        vec!["import", &table, &link],
        vec!["import", &table, &good, "--master-key-file", &key],
        vec!["copy", &list, &table],
    ] {
        let output = run(&line);
        assert_eq!(code(&output), 2, "{line:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("is in .tmp/import of the table"), "{line:?}: {}", stderr(&output));
        assert!(!locks.iter().any(|lock| lock.exists()), "{line:?}: refused before anything is changed");
    }
    let staged_link = left.join("link.jsonl");
    std::os::unix::fs::symlink(&good, &staged_link).unwrap();
    let output = hregion().current_dir(&left).args(["import", &table, "link.jsonl"]).output().unwrap();
    assert!(stderr(&output).contains("is in .tmp/import of the table"), "{}", stderr(&output));
    assert!(staged_link.exists() && Path::new(&list).exists() && cells(&table) == before);
    ok(&["import", &table, &good]);
    assert!(!has_leftovers(&table));
}

/// A file in place of the directory of imports is found before the regions are locked.
#[test]
fn a_table_without_a_place_for_imports_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let regions = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path());
    let locks: Vec<PathBuf> = regions.map(|region| region.join(".hregion.lock")).collect();
    locks.iter().filter(|lock| lock.exists()).for_each(|lock| fs::remove_file(lock).unwrap());
    let line = cell("z", "g", "q", 1, "v").to_string();
    let good = write(dir.path(), "good.jsonl", &line);
    fs::create_dir_all(Path::new(&table).join(".tmp")).unwrap();
    let place = write(Path::new(&table), ".tmp/import", &line);
    for (line, exit) in [(["import", &table, &good], 5), (["import", &table, &place], 2)] {
        let output = run(&line);
        assert_eq!(code(&output), exit, "{line:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(".tmp/import: "), "{line:?}: {}", stderr(&output));
        assert!(!locks.iter().any(|lock| lock.exists()), "{line:?}");
    }
    assert!(Path::new(&place).exists());
}

/// Interrupts the tool while it waits for more cells.
#[cfg(unix)]
#[test]
fn a_signal_leaves_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let table = table(dir.path());
    let mut child = hregion().args(["import", &table, "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{}\n", cell("z", "g", "q", 1, "v")).as_bytes()).unwrap();
    // the directory is created before the input is read
    let import = Path::new(&table).join(".tmp/import");
    while !fs::read_dir(&import).is_ok_and(|mut entries| entries.next().is_some()) {
        assert!(child.try_wait().unwrap().is_none());
        thread::yield_now();
    }
    let killed = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(!has_leftovers(&table));
}

/// Whenever the tool is killed, each family of a region has all of the cells or none, and a repeated call
/// completes them.
#[cfg(unix)]
#[test]
fn an_import_that_was_killed_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let lines = (0..3000).map(|i| {
        let row = ["a", "e", "s"][i % 3];
        cell(&format!("{row}{i:04}"), ["f", "g"][i % 2], "q", 7, "v").to_string() + "\n"
    });
    let input = write(dir.path(), "cells.jsonl", &lines.collect::<String>());
    let (mut parts, mut rounds) = (0, 0);
    for round in 0..24 {
        let scratch = tempfile::tempdir().unwrap();
        let table = table(scratch.path());
        let mut child = hregion().args(["import", &table, &input]).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(round * 1500));
        let signal = if round % 3 == 0 { "TERM" } else { "KILL" };
        let _ = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        let status = child.wait().unwrap();
        let found = cells(&table);
        for (prefix, family) in [("a", "f"), ("a", "g"), ("e", "f"), ("e", "g"), ("s", "f"), ("s", "g")] {
            let is_part = |cell: &&Value| {
                cell["row"].as_str().unwrap().starts_with(prefix)
                    && cell["family"] == family
                    && cell["timestamp"] == 7
            };
            let cells = found.iter().filter(is_part).count();
            assert!(cells == 500 || cells == 0, "{prefix}, {family}: {cells}, {status}");
            parts += cells;
        }
        ok(&["import", &table, &input]);
        assert_eq!(ok(&["count", "--versions", "all", &table]), "rows 3001\ncells 3001\n");
        assert!(!has_leftovers(&table));
        rounds += 1;
    }
    assert!(parts < 3000 * rounds, "no process was killed in time");
}
