//! Snapshots as targets: the cells of a table at the time when HBase took a snapshot of it.

use crate::library::files::copy_dir;
use crate::library::golden::recorded_table;
use crate::support::{code, json_lines, last_error, members, ok, run, stderr, stdout, testdata};
use hregion::{Family, Put, Table};
use serde_json::{Value, json};
use std::fs;

fn snapshot() -> String {
    testdata("region/clone-references/root/.hbase-snapshot/joined-snap").to_str().unwrap().to_owned()
}

/// The cells that HBase's client read from the table, in row order.
fn recorded() -> Vec<Value> {
    recorded_table(&testdata("region/clone-references"), "joined", "raw").unwrap()
}

#[test]
fn a_snapshot_is_read_in_place() {
    let expected = recorded();
    let mut found = json_lines(&ok(&["scan", &snapshot(), "--raw", "--versions", "all", "--json"]));
    found.iter_mut().for_each(|cell| drop(cell.as_object_mut().unwrap().remove("sequence_id")));
    assert_eq!(found, expected);

    let row = expected[100]["row"].as_str().unwrap();
    let mut got = json_lines(&ok(&["get", &snapshot(), row, "--raw", "--versions", "all", "--json"]));
    got.iter_mut().for_each(|cell| drop(cell.as_object_mut().unwrap().remove("sequence_id")));
    assert_eq!(got, expected.iter().filter(|cell| cell["row"] == row).cloned().collect::<Vec<_>>());

    let counted = json_lines(&ok(&["count", &snapshot(), "--raw", "--versions", "all", "--json"]));
    assert_eq!(counted[0]["cells"], expected.len());
}

#[test]
fn a_snapshot_elsewhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(format!("{}/.snapshotinfo", snapshot()), dir.path().join(".snapshotinfo")).unwrap();
    let output = run(&["scan", dir.path().to_str().unwrap(), "--json"]);
    assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (4, Some("Unsupported")));
}

/// Copies a root directory written by HBase.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/clone-references/root"), root.path());
    root
}

#[test]
fn snapshots_are_taken_cloned_restored_exported_and_deleted() {
    let (dir, other) = (root(), tempfile::tempdir().unwrap());
    let (root, other) = (dir.path().to_str().unwrap(), other.path().join("new"));
    let other = other.to_str().unwrap();
    let table = format!("{root}/data/default/joined");
    let made = json_lines(&ok(&["snapshot", "create", &table, "ours", "--json"]));
    assert_eq!(members(&made[0]), ["name", "table", "created", "type", "version", "owner", "ttl"]);
    assert_eq!((&made[0]["name"], &made[0]["table"]), (&json!("ours"), &json!("joined")));
    let listed = json_lines(&ok(&["snapshot", "list", root, "--json"]));
    assert_eq!((listed.len(), &listed[1]), (2, &made[0]));
    assert_eq!(listed[0]["name"], "joined-snap");
    assert_eq!(
        ok(&["snapshot", "list", root]).lines().next().unwrap(),
        "joined-snap: table joined, created 1795161858144, FLUSH"
    );
    let info = |name: &str| json_lines(&ok(&["snapshot", "info", root, name, "--json"])).remove(0);
    let regions = info("ours")["regions"].clone();
    assert_eq!(regions, info("joined-snap")["regions"]);
    assert_eq!((regions.as_array().unwrap().len(), &regions[0]["files"]), (2, &json!(8)));
    assert_eq!(ok(&["snapshot", "info", root, "ours"]).lines().count(), 3);

    let cells = |target: &str| {
        let mut found = json_lines(&ok(&["scan", target, "--raw", "--versions", "all", "--json"]));
        found.iter_mut().for_each(|cell| drop(cell.as_object_mut().unwrap().remove("sequence_id")));
        found
    };
    let again = json_lines(&ok(&["snapshot", "--json", &table, "--out", "again"]));
    assert_eq!((&again[0]["name"], &again[0]["table"]), (&json!("again"), &json!("joined")));
    assert_eq!(info("again")["regions"], regions);
    ok(&["snapshot", "delete", root, "again"]);
    ok(&["snapshot", "clone", root, "ours", "ns:copy"]);
    assert_eq!(cells(&format!("{root}/data/ns/copy")), recorded());
    ok(&["snapshot", "export", root, "ours", other]);
    assert_eq!(cells(&format!("{other}/.hbase-snapshot/ours")), recorded());
    let refused = run(&["check", other]);
    assert_eq!(code(&refused), 4, "it has no tables that could be checked");
    assert!(stderr(&refused).contains("name a snapshot"), "{}", stderr(&refused));
    fs::remove_dir_all(&table).unwrap();
    assert_eq!(code(&run(&["snapshot", "restore", root, "ours"])), 5, "its files are gone");
    ok(&["snapshot", "restore", other, "ours"]);
    assert_eq!(cells(&format!("{other}/data/default/joined")), recorded());
    ok(&["snapshot", "delete", other, "ours"]);
    assert_eq!(ok(&["snapshot", "list", other]), "");
    assert_eq!(cells(&format!("{other}/data/default/joined")), recorded());
}

#[test]
fn impossible_changes_of_snapshots_are_errors() {
    let dir = root();
    let root = dir.path().to_str().unwrap();
    let [table, missing] = ["joined", "missing"].map(|name| format!("{root}/data/default/{name}"));
    let mut paths = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path());
    let region = paths.find(|path| path.join(".regioninfo").is_file()).unwrap();
    let region = region.to_str().unwrap();
    for (args, exit, kind) in [
        (&["create", &table, "joined-snap"][..], 5, "Io"),
        (&["create", &table, "../s"], 2, "InvalidArgument"),
        (&["create", root, "s"], 2, "InvalidArgument"),
        (&["create", region, "s"], 2, "InvalidArgument"),
        (&["create", &missing, "s"], 5, "Io"),
        (&["info", root, "none"], 5, "Io"),
        (&["delete", root, "none"], 5, "Io"),
        (&["clone", root, "joined-snap", "joined"], 5, "Io"),
        (&["clone", root, "joined-snap", "a:b:c"], 2, "InvalidArgument"),
        (&["restore", root, "none"], 5, "Io"),
        (&["export", root, "joined-snap", root], 5, "Io"),
        (&["list", "/nowhere/at/all"], 5, "Io"),
        (&["frob"], 2, "Usage"),
        (&["--out", "s"], 2, "Usage"),
        (&[table.as_str(), "--out", "s", "list", root], 2, "Usage"),
        (&["--limit-row-bytes", "1G", "list", root], 2, "Usage"),
    ] {
        let args: Vec<&str> =
            ["snapshot"].into_iter().chain(args.iter().copied()).chain(["--json"]).collect();
        let output = run(&args);
        assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (exit, Some(kind)), "{args:?}");
    }
    assert_eq!(json_lines(&ok(&["snapshot", "list", root, "--json"])).len(), 1);
}

#[test]
fn a_directory_that_is_no_root_is_named_and_not_locked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    for action in ["delete", "restore"] {
        let output = run(&["snapshot", action, path, "s", "--json"]);
        assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (5, Some("Io")), "{action}");
        let said = stderr(&output);
        assert!(said.contains("no snapshot s") && said.contains("root directory"), "{action}: {said}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{action}");
    }
    let output = run(&["snapshot", "list", path]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, ""));
    assert!(stderr(&output).contains("not a root directory"), "{}", stderr(&output));
    fs::create_dir(dir.path().join("data")).unwrap();
    assert_eq!(stderr(&run(&["snapshot", "list", path])), "");
}

/// As in HBase, others are listed, described and restored.
#[test]
fn a_damaged_snapshot_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[""; 0]).unwrap();
    ["a", "m", "z"].iter().for_each(|name| drop(table.snapshot(name).unwrap()));
    table.close().unwrap();
    let damaged = dir.path().join(".hbase-snapshot/m/.snapshotinfo");
    fs::write(&damaged, "x").unwrap();
    let root = dir.path().to_str().unwrap();
    let output = run(&["snapshot", "list", root, "--json"]);
    assert_eq!((code(&output), &last_error(&output)["path"]), (3, &json!(damaged)));
    let names: Vec<_> = json_lines(&stdout(&output)).iter().map(|line| line["name"].clone()).collect();
    assert_eq!(names, [json!("a"), json!("z"), Value::Null]);
    assert_eq!(json_lines(&ok(&["snapshot", "info", root, "z", "--json"]))[0]["name"], "z");
    let output = run(&["shell", root, "-e", "list_snapshots; restore_snapshot 'z'"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("=> [\"a\", \"z\"]"), "{}", stdout(&output));
    assert!(stderr(&output).contains(".snapshotinfo"), "{}", stderr(&output));
    // One that cannot be read may be sound: the list would not be complete.
    fs::remove_file(&damaged).unwrap();
    std::os::unix::fs::symlink("elsewhere", &damaged).unwrap();
    let output = run(&["shell", root, "-e", "list_snapshots"]);
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert_eq!(json_lines(&ok(&["snapshot", "info", root, "z", "--json"]))[0]["name"], "z");
}

/// A table without the `.regioninfo` of a region has a hole, which a snapshot cannot fill.
#[test]
fn a_snapshot_without_a_region_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &["m"]).unwrap();
    table.put(Put::new("a").cell("f", "q", "v")).unwrap();
    table.close().unwrap();
    let table = dir.path().join("data/default/t");
    let table_arg = table.to_str().unwrap();
    let output = run(&["snapshot", "create", table_arg, "whole"]);
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
    let mut infos = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path().join(".regioninfo"));
    fs::remove_file(infos.find(|path| path.is_file()).unwrap()).unwrap();
    let (root, other) = (dir.path().to_str().unwrap(), tempfile::tempdir().unwrap());
    let other = other.path().to_str().unwrap();
    let in_shell = |root, command| ["shell", root, "-e", command];
    for args in [
        &["snapshot", "create", table_arg, "torn"][..],
        &["snapshot", "clone", root, "torn", "copy"],
        &["snapshot", "export", root, "torn", other],
        &["snapshot", "restore", other, "torn"],
        &in_shell(root, "snapshot 't', 'again'"),
        &in_shell(root, "clone_snapshot 'torn', 'again'"),
        &in_shell(other, "restore_snapshot 'torn'"),
    ] {
        let output = run(args);
        let said = stderr(&output);
        assert_eq!(code(&output), 0, "{args:?}: {said}");
        let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning: ")).collect();
        let [warning] = warnings[..] else { panic!("{args:?}: {said}") };
        assert!(warning.starts_with("warning: no region has the rows ["), "{args:?}: {said}");
        assert!(warning.ends_with("; so it is in the snapshot"), "{args:?}: {said}");
    }
}

/// Whether the directory is a root is only doubted if it does not look like one.
#[test]
fn a_root_without_snapshots_is_still_a_root() {
    let root = tempfile::tempdir().unwrap();
    let args = ["snapshot", "restore", root.path().to_str().unwrap(), "none"];
    let output = run(&args);
    assert!(code(&output) == 5 && stderr(&output).contains("root directory"), "{}", stderr(&output));
    fs::create_dir(root.path().join("data")).unwrap();
    let output = run(&args);
    assert!(code(&output) == 5 && !stderr(&output).contains("root directory"), "{}", stderr(&output));
}
