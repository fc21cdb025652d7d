//! The files that were compacted: a copy of their successor does not name them, and a failure to archive them
//! is an error.

use crate::support::{code, last_error, ok, run, stderr, stdout, temp_file};
use hregion::{Delete, Family, Put, Table};
use std::fs;
use std::path::Path;

#[test]
fn copies_replace_no_files() {
    const NAME: &str = "0123456789abcdef0123456789abcdef";
    const CELL: &str = r#"{"row":"r","family":"f","qualifier":"q","timestamp":5,"type":"Put","value":"v"}"#;
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    let list = temp_file("compacted.jsonl", CELL.as_bytes());
    let event = |names: &str| format!("COMPACTION_EVENT_KEY=PBUF{names}");
    for (i, (names, is_kept)) in
        [(format!("\\x0A\\x20{NAME}"), false), (String::new(), true)].iter().enumerate()
    {
        let from = path(&format!("from{i}"));
        ok(&["write", &list, "--out", &from, "--seqid", "7", "--info", &event(names)]);
        assert_eq!(ok(&["inspect", &from]).contains(NAME), !is_kept);
        let (converted, salvaged) = (path(&format!("converted{i}")), path(&format!("salvaged{i}")));
        ok(&["convert", &from, "--out", &converted]);
        let output = run(&["salvage", &from, "--out", &salvaged]);
        assert_eq!(code(&output), 0);
        let said = stderr(&output);
        assert_eq!(said.contains("not in the new file: file info COMPACTION_EVENT_KEY"), !is_kept, "{said}");
        for copy in [&converted, &salvaged] {
            let inspected = ok(&["inspect", "--json", copy]);
            assert!(!inspected.contains(NAME), "{inspected}");
            assert!(inspected.contains("MAX_SEQ_ID_KEY"), "{inspected}");
        }
    }
}

/// The compaction succeeds, and the next one archives the files that it has replaced.
#[test]
fn replaced_files_that_cannot_be_archived_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &["m"]).unwrap();
    for value in ["1", "2"] {
        for row in ["a", "b", "x"] {
            table.put(Put::new(row).cell("f", "q", value)).unwrap();
        }
        table.delete(Delete::new("b")).unwrap();
        table.flush().unwrap();
    }
    let region = table.region("a").unwrap().path().to_owned();
    table.close().unwrap();
    let path = dir.path().join("data/default/t");
    let (path, region) = (path.to_str().unwrap(), region.to_str().unwrap());
    let rows = || ok(&["scan", "--format", "csv", "--versions", "all", path]);
    let before = rows();
    let files = |dir: &Path| fs::read_dir(dir.join("f")).unwrap().count();
    // a file where the directory of archived files should be
    let archive = dir.path().join("archive/data/default");
    fs::create_dir_all(&archive).unwrap();
    fs::write(archive.join("t"), "in the way").unwrap();

    let compact = |target: &str| run(&["compact", "--major", "--json", target]);
    for (target, regions) in [(path, 2), (path, 0), (region, 0)] {
        let output = compact(target);
        assert_eq!(code(&output), 5, "{target}: {}{}", stdout(&output), stderr(&output));
        let error = last_error(&output);
        let place = error["path"].as_str().unwrap();
        assert!(error["kind"] == "Io" && place.contains("archive"), "{error}");
        let lines = stdout(&output);
        // the completed work is printed
        assert_eq!(lines.matches(r#""files":1"#).count(), regions, "{lines}");
        assert_eq!(rows(), before);
        assert_eq!(code(&run(&["check", dir.path().to_str().unwrap()])), 0);
    }
    fs::remove_file(archive.join("t")).unwrap();
    assert_eq!(code(&compact(path)), 0);
    assert_eq!(rows(), before);
    assert_eq!(files(region.as_ref()), 1);
    assert!(files(&archive.join("t").join(Path::new(region).file_name().unwrap())) >= 2);
}
