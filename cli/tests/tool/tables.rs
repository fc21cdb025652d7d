//! Commands on all tables of a namespace or a root directory, on several threads, and on all store files of a
//! directory.

use crate::library::files::{copy_dir, files_below, replace_in_descriptor};
use crate::library::golden::recorded_region;
use crate::support::{code, json_lines, last_error, ok, run, stderr, stdout, testdata};
use hregion::{Family, Put, Table};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const STAGE: &str = "clone-references";

fn root() -> PathBuf {
    testdata("region").join(STAGE).join("root")
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

/// Returns the regions from HBase's catalog, and the number of cells that its client read in each.
fn regions(table: &str) -> Vec<Value> {
    let list = fs::read_to_string(testdata("region").join(STAGE).join("regions.jsonl")).unwrap();
    json_lines(&list).into_iter().filter(|region| region["table"] == table).collect()
}

fn cells_of(table: &str, count: &str) -> u64 {
    regions(table).iter().map(|region| region[count].as_u64().unwrap()).sum()
}

#[test]
fn rows_and_cells_are_counted_by_table() {
    let (root, namespace) = (text(root()), text(root().join("data/default")));
    let all = ["--versions", "all", "--json"];
    for (more, count) in [(&["--raw"][..], "raw"), (&[], "plain")] {
        for target in [&root, &namespace] {
            for jobs in ["1", "3"] {
                let lines = json_lines(&ok(&[&["count", target, "--jobs", jobs][..], &all, more].concat()));
                let [cloned, joined, summary] = &lines[..] else { panic!("{lines:#?}") };
                for (line, table) in [(cloned, "cloned"), (joined, "joined")] {
                    let cells = cells_of(table, count);
                    assert_eq!((&line["table"], &line["cells"]), (&json!(table), &json!(cells)));
                }
                let sum = |name: &str| cloned[name].as_u64().unwrap() + joined[name].as_u64().unwrap();
                let expected = json!({"tables": 2, "rows": sum("rows"), "cells": sum("cells")});
                assert_eq!(summary["summary"], expected);
            }
        }
    }
    let table = text(root_table("joined"));
    let one = |jobs: &str| ok(&["count", &table, "--versions", "all", "--jobs", jobs]);
    let cells = cells_of("joined", "plain");
    assert!(one("1") == one("7") && one("7").ends_with(&format!("cells {cells}\n")), "{}", one("7"));
    let printed = ok(&["count", &root, "--start", "row-0060", "--stop", "row-0062"]);
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((lines[1][0], lines[1][2], lines[2][2], lines[3][0]), ("2", "cloned", "joined", "4"));
    let limited = run(&["count", &root, "--limit", "3"]);
    assert_eq!(code(&limited), 2, "{}", stderr(&limited));
    assert_eq!(ok(&["count", &table, "--limit", "3"]).lines().next().unwrap(), "rows 3");
}

/// There is no sum without their rows or files.
#[test]
fn tables_that_cannot_be_read_do_not_stop_the_others() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        let table = Table::create(dir.path(), name, &[Family::new("fam")], &["m"]).unwrap();
        for row in ["d", "x"] {
            table.put(Put::new(row).cell("fam", "q", "value".repeat(20))).unwrap();
        }
        table.flush().unwrap();
        table.close().unwrap();
    }
    let (root, data) = (text(dir.path().to_owned()), dir.path().join("data/default"));
    let mut stores = files_below(&data.join("a"));
    stores.retain(|path| path.parent().unwrap().ends_with("fam"));
    let [damaged, other] = &stores[..] else { panic!("{stores:?}") };
    let mut bytes = fs::read(damaged).unwrap();
    bytes[60] ^= 1;
    fs::write(damaged, bytes).unwrap();
    replace_in_descriptor(&data.join("b"), b"fam", b"f\xffm");
    for (line, tables) in [
        (&["count", "--jobs", "1"][..], &["c"][..]),
        (&["count", "--jobs", "3"], &["c"]),
        (&["count", "--filter", "PageFilter(9)"], &["c"]),
        (&["stats"], &["c"]),
        (&["stats", "--by", "region"], &["a", "c", "c"]),
    ] {
        let output = run(&[line, &[root.as_str(), "--json"]].concat());
        let (lines, errors) = (json_lines(&stdout(&output)), stderr(&output));
        let (last, printed) = lines.split_last().unwrap();
        let printed: Vec<&str> = printed.iter().map(|line| line["table"].as_str().unwrap()).collect();
        assert_eq!(printed, tables, "{line:?}");
        assert_eq!((code(&output), &last["error"]["kind"]), (4, &json!("Unsupported")), "{line:?}");
        assert!(errors.contains("table a: ") && errors.contains(damaged.to_str().unwrap()), "{errors}");
    }

    fs::write(other, "short").unwrap();
    let output = run(&["du", &root, "no-such"]);
    assert!(code(&output) == 5 && stderr(&output).contains(other.to_str().unwrap()), "{}", stderr(&output));
    let output = run(&["du", &root]);
    let printed = stdout(&output);
    assert_eq!(code(&output), 3, "{printed}");
    assert!(stderr(&output).contains(other.to_str().unwrap()), "{}", stderr(&output));
    let has = |path: &Path| printed.lines().any(|line| line.ends_with(path.to_str().unwrap()));
    assert_eq!(["a", "b", "c"].map(|name| has(&data.join(name))), [false, true, true], "{printed}");
    assert_eq!(
        [damaged, other].map(|store| has(store.ancestors().nth(2).unwrap())),
        [true, false],
        "{printed}"
    );
    assert!(!has(&data) && !has(dir.path()), "{printed}");
}

/// HBase ignores tables beside `data`, where it had them before 0.96.
#[test]
fn tables_that_are_not_read_with_their_root_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let table = Table::create(dir.path(), name, &[Family::new("f")], &[""; 0]).unwrap();
        table.put(Put::new("r").cell("f", "q", "v")).unwrap();
        table.flush().unwrap();
        table.close().unwrap();
    }
    let (root, old) = (text(dir.path().to_owned()), dir.path().join("b"));
    fs::rename(dir.path().join("data/default/b"), &old).unwrap();
    let old = text(old);
    for command in
        [&["count"][..], &["stats"], &["verify"], &["cells"], &["inspect"], &["shell", "-e", "list"]]
    {
        let output = run(&[command, &["--json", root.as_str()]].concat());
        let errors = stderr(&output);
        assert_eq!((code(&output), errors.matches(&old).count()), (0, 1), "{command:?}: {errors}");
        assert!(!stdout(&output).contains(&old), "{command:?}");
    }
    assert_eq!(stderr(&run(&["count", "--quiet", &root])), "");
    let counted = json_lines(&ok(&["count", "--json", &root]));
    assert_eq!(counted[0], json!({"table": "a", "rows": 1, "cells": 1}));
    assert_eq!(counted[1], json!({"summary": {"tables": 1, "rows": 1, "cells": 1}}));
    let found = json_lines(&ok(&["check", "--json", &root]));
    let is_named = |finding: &Value| finding["kind"] == "unsupported" && finding["path"] == old.as_str();
    assert!(found.iter().any(is_named), "{found:?}");
}

/// A filter that accepts no more rows ends a scan in a region that returns none; commands that read the
/// regions one by one also stop there.
#[test]
fn regions_after_the_end_of_a_scan_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let create = |name: &str, splits: &[&str], rows: &[&str]| {
        let table = Table::create(dir.path(), name, &[Family::new("f")], splits).unwrap();
        for row in rows {
            table.put(Put::new((*row).to_owned()).cell_at("f", "q", 5, (*row).to_owned())).unwrap();
            if *row >= "d" {
                table.put(Put::new((*row).to_owned()).cell_at("f", "late", 5, "1")).unwrap();
            }
        }
        table.flush().unwrap();
        table.close().unwrap();
        text(dir.path().join("data/default").join(name))
    };
    let all = ["a", "b", "c", "d", "f", "g"];
    let table = create("t", &["c", "f"], &all);
    let namespace = text(dir.path().join("data/default"));
    let rows_of = |text: &str| -> Vec<String> {
        let mut rows: Vec<_> =
            json_lines(text).iter().map(|cell| cell["row"].as_str().unwrap().to_owned()).collect();
        rows.dedup();
        rows
    };
    // without the column, a row is excluded after it has been read
    let late = "SingleColumnValueFilter('f', 'late', =, 'binary:1', true, true)";
    for (at, (filter, forward, back)) in [
        ("WHILE RowFilter(!=, 'binary:c')", &["a", "b"][..], &["g", "f", "d", "b", "a"][..]),
        ("WHILE RowFilter(!=, 'binary:d')", &["a", "b", "c", "f", "g"], &["g", "f"]),
        ("WHILE RowFilter(!=, 'binary:a')", &[], &["g", "f", "d", "c", "b"]),
        ("KeyOnlyFilter() AND (WHILE RowFilter(!=, 'binary:c'))", &["a", "b"], &["g", "f", "d", "b", "a"]),
        ("PageFilter(1)", &["a", "c", "f"], &["g", "d", "b"]),
        (&format!("PageFilter(1) AND {late}"), &[], &["g", "d"]),
        (&format!("{late} AND PageFilter(1)"), &["d", "f"], &["g", "d"]),
        ("PrefixFilter('d')", &["d"], &["d"]),
    ]
    .into_iter()
    .enumerate()
    {
        let select = ["--filter", filter, "--json"];
        let with = |args: &[&str]| ok(&[args, &select].concat());
        assert_eq!(rows_of(&with(&["scan", &table])), forward, "{filter}");
        assert_eq!(rows_of(&with(&["scan", &table, "--reversed"])), back, "{filter}");
        let count = |args: &[&str]| json_lines(&with(&[&["count"], args].concat()));
        assert_eq!(count(&[&table])[0]["rows"], forward.len(), "{filter}");
        assert_eq!(count(&[&table, "--jobs", "3"])[0]["rows"], forward.len(), "{filter}");
        assert_eq!(count(&[&table, "--reversed"])[0]["rows"], back.len(), "{filter}");
        assert_eq!(count(&[&namespace])[0]["rows"], forward.len(), "{filter}");

        let out = text(dir.path().join(format!("out{at}")));
        let exported = |more: &[&str], wanted: &[&str]| {
            with(&[&["export", &table, "--out", &out, "--force", "--jobs", "2"], more].concat());
            let manifest = fs::read(PathBuf::from(&out).join("manifest.json")).unwrap();
            let manifest: Value = serde_json::from_slice(&manifest).unwrap();
            assert_eq!(
                (&manifest["rows"], manifest["files"].as_array().unwrap().len()),
                (&json!(wanted.len()), 3)
            );
            let files = manifest["files"].as_array().unwrap().iter();
            files
                .map(|file| fs::read_to_string(format!("{out}/{}", file["file"].as_str().unwrap())).unwrap())
                .collect::<String>()
        };
        assert_eq!(rows_of(&exported(&["--to", "jsonl"], forward)), forward, "{filter}");
        #[cfg(feature = "arrow")]
        {
            let typed = ["--to", "csv", "--columns", "f:q=utf8,f:late=utf8"];
            let lines = exported(&typed, forward);
            let found: Vec<&str> =
                lines.lines().filter_map(|line| line.split_once(',')).map(|(row, _)| row).collect();
            let found: Vec<&str> = found.into_iter().filter(|row| *row != "row").collect();
            assert_eq!(found, forward, "{filter}");
            with(&[&["export", &table, "--out", &out, "--check"][..], &typed].concat());
        }

        let copied = create(&format!("copied{at}"), &["e"], &[]);
        with(&["copy", &table, &copied]);
        assert_eq!(rows_of(&ok(&["scan", "--json", &copied])), forward, "{filter}");
        // one region with these rows, and another one after it
        let same = create(&format!("same{at}"), &["h"], forward);
        if !filter.contains("Page") && !filter.starts_with("Key") {
            assert_eq!(ok(&["diff", &table, &same, "--filter", filter]), "", "{filter}");
        }
        for table in [&copied, &same] {
            fs::remove_dir_all(table).unwrap();
        }
    }
}

fn root_table(name: &str) -> PathBuf {
    root().join("data/default").join(name)
}

#[test]
fn statistics_are_by_table_and_the_same_on_any_number_of_threads() {
    let (root, now) = (text(root()), ["--now", "1800000000000", "--json"]);
    let stats = |args: &[&str]| json_lines(&ok(&[&["stats"][..], args, &now].concat()));
    let tables = stats(&[&root]);
    assert_eq!(tables.iter().map(|table| &table["table"]).collect::<Vec<_>>(), ["cloned", "joined"]);
    for mut table in tables {
        let name = table.as_object_mut().unwrap().shift_remove("table").unwrap();
        let path = text(root_table(name.as_str().unwrap()));
        for jobs in ["1", "2"] {
            assert_eq!(stats(&[&path, "--jobs", jobs]), std::slice::from_ref(&table));
        }
        assert_eq!(table["cells"], cells_of(name.as_str().unwrap(), "raw"));
    }
    assert_eq!(code(&run(&["stats", &root, "--svg", "x.svg"])), 2);
    let printed = ok(&["stats", &root]);
    assert!(
        printed.starts_with("table cloned\nrows 120,") && printed.contains("\ntable joined\n"),
        "{printed}"
    );
}

/// The density of delete markers by region equals that of the cells that HBase's client read.
#[test]
fn delete_markers_are_counted_by_region_and_by_file() {
    let path = text(root_table("joined"));
    let by = |part: &str| json_lines(&ok(&["stats", &path, "--by", part, "--json"]));
    let found = by("region");
    let mut markers = 0;
    for (line, region) in found.iter().zip(regions("joined")) {
        let encoded = region["encoded"].as_str().unwrap();
        let cells = recorded_region(&testdata("region").join(STAGE), encoded, "raw").unwrap();
        let deletes = cells.iter().filter(|cell| cell["type"] != "Put").count();
        assert_eq!((&line["table"], &line["region"]), (&json!("joined"), &region["encoded"]));
        assert_eq!((&line["cells"], &line["delete_markers"]), (&json!(cells.len()), &json!(deletes)));
        let percent = line["marker_percent"].as_f64().unwrap();
        assert!((percent - deletes as f64 * 100.0 / cells.len() as f64).abs() < 0.01, "{percent}");
        markers += deletes as u64;
    }
    let files = by("file");
    assert!(files.len() >= 8 && markers > 0, "{files:#?}");
    let sum = |name: &str| files.iter().map(|file| file[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("delete_markers"), sum("cells")), (markers, cells_of("joined", "raw")));
    for file in &files {
        let cells = json_lines(&ok(&["cells", "--json", file["path"].as_str().unwrap()]));
        assert_eq!(file["cells"], cells.len());
        assert_eq!(file["delete_markers"], cells.iter().filter(|cell| cell["type"] != "Put").count());
    }
    for flag in ["--top", "--now"] {
        assert_eq!(code(&run(&["stats", &path, "--by", "region", flag, "1"])), 2, "{flag}");
        ok(&["stats", &path, "--by", "region", flag, "1", "--json"]);
    }
    let printed = ok(&["stats", &path, "--by", "region"]);
    let columns: Vec<&str> = printed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((columns.len(), columns[6]), (7, regions("joined")[0]["encoded"].as_str().unwrap()));
}

/// All store files of a directory, each with its name, contain together the cells that HBase's client read.
#[test]
fn cells_of_directories_are_those_of_their_files() {
    for table in ["joined", "cloned"] {
        let path = text(root_table(table));
        let cells = json_lines(&ok(&["cells", "--json", &path]));
        assert_eq!(cells.len() as u64, cells_of(table, "raw"));
        let mut by_file: Vec<(String, Vec<Value>)> = Vec::new();
        for mut cell in cells {
            let file = cell.as_object_mut().unwrap().shift_remove("file").unwrap();
            let file = file.as_str().unwrap().to_owned();
            match by_file.last_mut() {
                Some((last, cells)) if *last == file => cells.push(cell),
                _ => by_file.push((file, vec![cell])),
            }
        }
        for (file, cells) in &by_file {
            assert_eq!(&json_lines(&ok(&["cells", "--json", file])), cells, "{file}");
        }
        let printed = ok(&["cells", &path]);
        let names: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("Scanning -> ")).collect();
        assert_eq!(names, by_file.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>());
        assert_eq!(printed.lines().count() as u64, cells_of(table, "raw") + names.len() as u64);
        // A family, and its output, which is read again.
        let family = fs::canonicalize(PathBuf::from(&by_file[0].0).parent().unwrap()).unwrap();
        let lines = ok(&["cells", "--json", family.to_str().unwrap()]);
        let expected =
            by_file.iter().filter(|(file, _)| PathBuf::from(file).parent().unwrap().ends_with("p"));
        assert!(!lines.is_empty() && expected.count() >= 2);
        let dir = tempfile::tempdir().unwrap();
        let (list, out) = (dir.path().join("list"), text(dir.path().join("out")));
        fs::write(&list, &lines).unwrap();
        ok(&["write", list.to_str().unwrap(), "--sort", "--mvcc", "--out", &out]);
        assert_eq!(ok(&["cells", &out]).lines().count(), lines.lines().count());
    }
}

/// A snapshot has the files that its table had: the same cells while they exist there, then in the archive,
/// and an error for a reference that is only in the manifest.
#[test]
fn the_files_of_a_snapshot_are_found_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&root(), dir.path());
    let (table, archive) =
        (dir.path().join("data/default/joined"), dir.path().join("archive/data/default/joined"));
    let (snapshot, table_path) = (text(dir.path().join(".hbase-snapshot/joined-snap")), text(table.clone()));
    // the name of a file, and its cells
    let cells = |path: &str| -> Vec<Value> {
        let mut cells = json_lines(&ok(&["cells", "--json", path]));
        for cell in &mut cells {
            let file = PathBuf::from(cell["file"].as_str().unwrap());
            cell["file"] = json!(file.file_name().unwrap().to_str());
        }
        cells
    };
    let (of_table, files) =
        (cells(&table_path), json_lines(&ok(&["stats", "--json", "--by", "file", &snapshot])));
    assert_eq!(of_table.len() as u64, cells_of("joined", "raw"));
    assert_eq!(files.iter().map(|file| file["cells"].as_u64().unwrap()).sum::<u64>(), of_table.len() as u64);
    let rows = ok(&["convert", "--to", "jsonl", &table_path, "--out", "-"]);
    let verified = |exit: i32| {
        let output = run(&["verify", "--json", &snapshot]);
        assert_eq!(code(&output), exit, "{}", stdout(&output));
        let mut lines = json_lines(&stdout(&output));
        lines.retain(|line| line["error"].is_null());
        let summary = lines.pop().unwrap()["summary"].clone();
        assert_eq!(summary["files"], 12);
        assert_eq!(summary["faults"], lines.len());
        lines
    };
    for moved in [false, true] {
        if moved {
            // the table is deleted
            copy_dir(&table, &archive);
            fs::remove_dir_all(&table).unwrap();
        }
        assert_eq!(cells(&snapshot), of_table);
        assert_eq!(ok(&["convert", "--to", "jsonl", &snapshot, "--out", "-"]), rows);
        let inspected = json_lines(&ok(&["inspect", "--json", &snapshot])).remove(0);
        let expected: Vec<Value> = regions("joined").iter().map(|region| region["encoded"].clone()).collect();
        let found = inspected["regions"].as_array().unwrap().iter().map(|region| region["region"].clone());
        assert_eq!((&inspected["kind"], found.collect::<Vec<_>>()), (&json!("snapshot"), expected));
        measured(&snapshot, &inspected);
        verified(0);
    }
    let below = |ending: &str| -> PathBuf {
        let mut dirs = fs::read_dir(&archive).unwrap().map(|entry| entry.unwrap().path().join("p"));
        let mut files = dirs.by_ref().filter_map(|dir| fs::read_dir(dir).ok()).flatten();
        files
            .find_map(|entry| Some(entry.unwrap().path()).filter(|path| text(path.clone()).ends_with(ending)))
            .unwrap()
    };
    fs::remove_file(below(".cdfe67995da60acca7ff4edde08e6ef2")).unwrap();
    let refused = run(&["cells", "--json", &snapshot]);
    assert_eq!((code(&refused), last_error(&refused)["kind"].as_str()), (4, Some("Unsupported")));
    assert_eq!(ok(&["scan", "--raw", "--versions", "all", &snapshot]).lines().count(), of_table.len());
    verified(0);
    let damaged = below("35f1aab5ab964a18b25cfde9be60f597");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[100] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let faults = verified(3);
    assert!(faults.iter().all(|fault| fault["path"] == text(damaged.clone())), "{faults:?}");
    fs::remove_file(&damaged).unwrap();
    let output = run(&["verify", "--json", &snapshot]);
    assert_eq!(code(&output), 5, "{}", stdout(&output));
    let lines = json_lines(&stdout(&output));
    assert!(lines[0]["message"].as_str().unwrap().contains("35f1aab5ab964a18b25cfde9be60f597"), "{lines:?}");
    assert_eq!((&lines[1]["summary"]["files"], &lines[1]["summary"]["faults"]), (&json!(11), &json!(1)));
    let missing = run(&["du", "--json", &snapshot]);
    assert_eq!((code(&missing), last_error(&missing)["kind"].as_str()), (5, Some("Io")));
}

/// `du` of a snapshot lists the same files as `inspect`, and their sum.
fn measured(snapshot: &str, inspected: &Value) {
    let listed = |value: &Value, member: &str| value[member].as_array().unwrap().clone();
    let families = listed(inspected, "regions").into_iter().flat_map(|region| listed(&region, "families"));
    let inspected: Vec<Value> = families.flat_map(|family| listed(&family, "files")).collect();
    let du = json_lines(&ok(&["du", "--json", snapshot]));
    let paths = |files: &[Value]| files.iter().map(|file| file["path"].clone()).collect::<Vec<_>>();
    assert_eq!(paths(&du), paths(&inspected));
    assert!(!du.is_empty() && du.iter().all(|file| file["table"] == "joined"), "{du:?}");
    for (file, inspected) in du.iter().zip(&inspected) {
        // references and links do not have separate cells
        let cells = if inspected["of"].is_null() { &inspected["cells"] } else { &Value::Null };
        assert_eq!(&file["cells"], cells, "{file}");
    }
    let bytes: u64 = du.iter().map(|file| file["bytes"].as_u64().unwrap()).sum();
    let text = ok(&["du", snapshot]);
    let total: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
    assert_eq!((total[0], total.last()), (bytes.to_string().as_str(), Some(&snapshot)));
    assert_eq!(text.lines().count(), 1 + du.len() + 1);
}

#[test]
fn directories_are_inspected_without_reading_cells() {
    let found = json_lines(&ok(&["inspect", "--json", &text(root())])).remove(0);
    assert_eq!(found["kind"], "root");
    let listed = found["regions"].as_array().unwrap();
    let said: Vec<Value> = regions("cloned").into_iter().chain(regions("joined")).collect();
    assert_eq!(listed.len(), said.len());
    let mut linked = 0;
    for (region, said) in listed.iter().zip(&said) {
        for (ours, hbase) in [("table", "table"), ("region", "encoded"), ("start", "start"), ("end", "end")] {
            assert_eq!(region[ours], said[hbase]);
        }
        for family in region["families"].as_array().unwrap() {
            for file in family["files"].as_array().unwrap() {
                let path = file["of"].as_str().or_else(|| file["path"].as_str()).unwrap();
                linked += u64::from(file["of"].is_string());
                let du = json_lines(&ok(&["du", "--json", path])).remove(0);
                for name in ["bytes", "cells", "oldest", "newest", "first", "last"] {
                    assert_eq!(file[name], du[name], "{path} {name}");
                }
            }
        }
    }
    assert!(linked > 0);
    let family = text(root_table("joined").join(said[2]["encoded"].as_str().unwrap()).join("p"));
    let printed = ok(&["inspect", &family]);
    assert!(printed.contains("  p: files ") && printed.contains(", rows row-0000 to "), "{printed}");
    assert_eq!(code(&run(&["inspect", "-m", &family])), 2);
}

/// The store files of a directory are converted to one list, or one HFile of a family: the cells of HBase's
/// client.
#[test]
fn directories_are_converted() {
    let (dir, table) = (tempfile::tempdir().unwrap(), text(root_table("joined")));
    let key = |cell: &Value| {
        ["row", "family", "qualifier", "timestamp", "type", "value"].map(|name| cell[name].to_string())
    };
    let mut stored: Vec<_> = Vec::new();
    for region in regions("joined") {
        let encoded = region["encoded"].as_str().unwrap();
        stored.extend(recorded_region(&testdata("region").join(STAGE), encoded, "raw").unwrap());
    }
    let list = ok(&["convert", &table, "--to", "jsonl", "--out", "-"]);
    assert_eq!(
        json_lines(&list).iter().map(key).collect::<Vec<_>>(),
        stored.iter().map(key).collect::<Vec<_>>()
    );
    let out = text(dir.path().join("out"));
    let refused = run(&["convert", &table, "--out", &out]);
    assert!(code(&refused) == 2 && stderr(&refused).contains("--to jsonl"), "{}", stderr(&refused));
    // A family with references, each to the half of a file.
    let encoded = regions("joined")[0]["encoded"].as_str().unwrap().to_owned();
    ok(&["convert", &text(root_table("joined").join(&encoded).join("p")), "--out", &out]);
    let merged = json_lines(&ok(&["cells", "--json", &out]));
    let end = regions("joined")[0]["end"].as_str().unwrap().to_owned();
    let of_family =
        stored.iter().filter(|cell| cell["family"] == "p" && cell["row"].as_str() < Some(end.as_str()));
    assert_eq!(merged.iter().map(key).collect::<Vec<_>>(), of_family.map(key).collect::<Vec<_>>());
    assert_eq!(code(&run(&["verify", &out])), 0);
}
