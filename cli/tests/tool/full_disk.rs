//! Commands that write, on a disk that accepts only some kilobytes of each file: they return an error that
//! names the file, leave no part of it, and change nothing, and the same command succeeds afterwards.
#![cfg(unix)]

use crate::library::files::{copy_dir, unlocked_contents};
use crate::support::{code, golden, hregion, json_lines, ok, stderr, testdata};
use hregion::{Family, Table};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The maximum length of a file, in units of the shell: half or whole kilobytes.
const LIMIT: &str = "6";

/// Runs a command that can write only files of a limited length.
fn run_limited(args: &[&str]) -> Output {
    // The shell does not change SIGXFSZ, which ends a process that does not catch it.
    let script = format!("ulimit -f {LIMIT}; exec \"$0\" \"$@\"");
    Command::new("sh").args(["-c", &script]).arg(hregion().get_program()).args(args).output().unwrap()
}

#[test]
fn nothing_is_left_or_lost_on_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let text = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    let root = text("root");
    copy_dir(&testdata("region/clone-references/root"), Path::new(&root));
    let joined = format!("{root}/data/default/joined");
    let families = ["p", "q"].map(|name| Family::new(name).max_versions(u32::MAX));
    Table::create(text("to"), "t", &families, &["row-0030"]).unwrap().close().unwrap();
    let table = text("to/data/default/t");
    let (cells, splits) = (text("cells"), text("splits"));
    fs::write(&cells, ok(&["scan", "--raw", "--versions", "all", "--json", &joined])).unwrap();
    fs::write(&splits, "row-0030\n").unwrap();
    let (file, list) = (golden("small-none-row.hfile"), text("list"));
    fs::write(&list, ok(&["cells", "--json", &file])).unwrap();
    fs::create_dir(text("new")).unwrap();
    let new = |name: &str| format!("{}/{name}", text("new"));
    let (page, rows, hfile) = (new("page.html"), new("rows"), new("hfile"));
    let (load, saved, other) = (new("load"), new("saved"), new("other"));
    let snapshots = new("root");
    let before = unlocked_contents(dir.path());
    for line in [
        &["import", &table, &cells][..],
        &["import", &table, &cells, "--sort-memory", "1"],
        &["copy", &joined, &table],
        &["report", &root, "--out", &page],
        &["export", &joined, "--to", "jsonl", "--out", &rows],
        &["convert", &file, "--out", &hfile],
        &["convert", &file, "--to", "csv", "--out", &hfile],
        &["write", &list, "--sort", "--out", &hfile],
        &["bulkload", &cells, "--sort", "--regions", &splits, "--out", &load],
        &["salvage", &file, "--out", &saved],
        &["stats", &file, "--svg", &other],
        &["snapshot", "export", &root, "joined-snap", &snapshots],
    ] {
        let output = run_limited(line);
        assert_eq!(code(&output), 5, "{line:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("File too large"), "{line:?}: {}", stderr(&output));
        let after = unlocked_contents(dir.path());
        let changed: Vec<_> = after.keys().filter(|path| before.get(*path) != after.get(*path)).collect();
        assert!(changed.is_empty() && after.len() == before.len(), "{line:?}: {changed:?}");
    }
    // the same commands on a disk with enough space
    for line in [
        &["import", &table, &cells][..],
        &["copy", &joined, &table],
        &["report", &root, "--out", &page],
        &["export", &joined, "--to", "jsonl", "--out", &rows],
        &["convert", &file, "--out", &hfile],
        &["bulkload", &cells, "--sort", "--regions", &splits, "--out", &load],
        &["salvage", &file, "--out", &saved],
        &["stats", &file, "--svg", &other],
        &["snapshot", "export", &root, "joined-snap", &snapshots],
    ] {
        ok(line);
    }
    assert_eq!(ok(&["diff", &joined, &table]), "");
    let count = |path: &str| json_lines(&ok(&["count", "--json", path])).remove(0);
    assert_eq!(count(&format!("{snapshots}/.hbase-snapshot/joined-snap")), count(&joined));
}
