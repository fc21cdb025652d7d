//! `hregion recover`: regions and root directories left by HBase when it was killed.

use crate::library::files::{copy_dir, replace_in_descriptor, unlocked_contents};
use crate::support::{code, hregion, json_lines, last_error, members, ok, run, stderr, stdout, testdata};
use hregion::{ErrorKind, Family, Put, Region, Table, TableChanges};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = "wal/plain/split";
/// The split region of `w2`.
const PARENT: &str = "e1d6328125d87bc475b8635bba240574";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The files below a directory except locks, with their contents; none if the directory does not exist.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    if dir.exists() { unlocked_contents(dir) } else { BTreeMap::new() }
}

/// A copy of the root directory with logs that HBase has split.
fn split_root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let from = testdata(ROOT);
    for (path, bytes) in contents(&from) {
        let to = root.path().join(path.strip_prefix(&from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
    root
}

/// The same root before its logs were split: the recovered edits are logs of a server.
fn crashed_root() -> tempfile::TempDir {
    let root = split_root();
    let server = root.path().join("WALs/h,1,2");
    fs::create_dir_all(&server).unwrap();
    for path in contents(root.path()).into_keys() {
        let is_number = path.file_name().unwrap().to_str().unwrap().bytes().all(|c| c.is_ascii_digit());
        if is_number && path.parent().unwrap().ends_with("recovered.edits") {
            let number = fs::read_dir(&server).unwrap().count();
            fs::rename(path, server.join(format!("h%2C1%2C2.{number}"))).unwrap();
        }
    }
    assert_eq!(fs::read_dir(&server).unwrap().count(), 7);
    root
}

fn logs(root: &Path) -> Vec<PathBuf> {
    contents(&root.join("WALs")).into_keys().collect()
}

fn region(root: &Path, table: &str, encoded: &str) -> PathBuf {
    root.join("data/default").join(table).join(encoded)
}

/// HBase's answers after it has recovered the root: table, encoded name, cells of a scan of all versions.
fn answers() -> Vec<(String, String, Vec<Value>)> {
    let dir = testdata("wal/plain/recovered");
    let regions = json_lines(&fs::read_to_string(dir.join("regions.jsonl")).unwrap());
    let mut found = Vec::new();
    for one in regions {
        let (table, encoded) = (one["table"].as_str().unwrap(), one["encoded"].as_str().unwrap());
        let cells = dir.join("cells").join(format!("{encoded}.plain.jsonl"));
        if cells.exists() {
            let cells = json_lines(&fs::read_to_string(cells).unwrap());
            found.push((table.to_owned(), encoded.to_owned(), cells));
        }
    }
    assert_eq!(found.len(), 4);
    found
}

/// Checks that the tool's scans of the regions equal HBase's.
fn assert_recovered(root: &Path) {
    for (table, encoded, cells) in answers() {
        let found = ok(&["scan", "--json", "--versions", "all", text(&region(root, &table, &encoded))]);
        let mut found = json_lines(&found);
        for cell in &mut found {
            cell.as_object_mut().unwrap().remove("sequence_id");
        }
        assert_eq!(found, cells, "{encoded}");
    }
}

#[test]
fn a_root_is_recovered_to_the_cells_of_hbase() {
    for root in [crashed_root(), split_root()] {
        let (dir, before) = (text(root.path()), contents(root.path()));
        let logs = logs(root.path()).len();
        let planned = json_lines(&ok(&["recover", "--json", "--dry-run", dir]));
        assert!(contents(root.path()) == before, "a dry run changes nothing");
        let done = json_lines(&ok(&["recover", "--json", dir]));
        assert_recovered(root.path());

        let without_files = |mut line: Value| {
            line["flushed"] = json!([]);
            line
        };
        assert_eq!(done.iter().cloned().map(without_files).collect::<Vec<_>>(), planned);
        assert_eq!(done.len(), if logs == 0 { 4 } else { 5 });
        for line in &done {
            let mut names = members(line);
            names.sort_unstable();
            assert_eq!(names, ["cells", "edits", "flushed", "outcome", "region", "skipped", "table"]);
            let (encoded, table) = (line["region"].as_str().unwrap(), line["table"].as_str().unwrap());
            let count = |name: &str| line[name].as_u64().unwrap();
            let is_parent = encoded == PARENT;
            assert_eq!(line["outcome"], if is_parent { "parent" } else { "replayed" });
            assert_eq!(is_parent, count("cells") == count("skipped"), "{line}");
            assert!(count("edits") > 0 && count("cells") >= count("edits"), "{line}");
            let flushed = line["flushed"].as_array().unwrap();
            assert_eq!(is_parent, flushed.is_empty(), "{line}");
            let files = contents(&region(root.path(), table, encoded));
            for name in flushed {
                assert!(files.keys().any(|path| path.ends_with(name.as_str().unwrap())), "{line}");
            }
        }
        assert_eq!(contents(&root.path().join("WALs")).len(), 0);
        assert_eq!(fs::read_dir(root.path().join("oldWALs")).map_or(0, Iterator::count), logs);

        let before = contents(root.path());
        let output = run(&["recover", "--json", dir]);
        assert_eq!((code(&output), stdout(&output)), (0, String::new()), "nothing is left to do");
        assert!(contents(root.path()) == before, "nothing has changed");
    }
}

#[test]
fn text_has_a_line_for_each_region() {
    let root = crashed_root();
    let out = ok(&["recover", text(root.path())]);
    assert_eq!(out.lines().count(), 5, "{out}");
    let parent = out.lines().find(|line| line.contains(PARENT)).unwrap();
    assert!(parent.starts_with("w2 ") && parent.contains("parent, edits"), "{parent}");
}

#[test]
fn a_region_is_recovered_with_its_edits_and_with_logs() {
    let (table, encoded, cells) = answers().remove(0);
    let scan = |dir: &str| {
        let mut found = json_lines(&ok(&["scan", "--json", "--versions", "all", dir]));
        found.iter_mut().for_each(|cell| drop(cell.as_object_mut().unwrap().remove("sequence_id")));
        found
    };
    let root = crashed_root();
    let (path, server) = (region(root.path(), &table, &encoded), root.path().join("WALs"));
    let (dir, all_logs) = (text(&path), logs(root.path()));
    assert_ne!(scan(dir), cells);
    let each: Vec<&str> = all_logs.iter().map(|log| text(log)).collect();
    let before = contents(root.path());
    let planned = ok(&["recover", "--json", "--dry-run", dir, "--wal", text(&server)]);
    assert_eq!(ok(&[&["recover", "--json", "--dry-run", dir, "--wal"], &each[..]].concat()), planned);
    assert!(contents(root.path()) == before, "a dry run changes nothing");
    let done = json_lines(&ok(&["recover", "--json", dir, "--wal", text(&server)]));
    let mut planned = json_lines(&planned);
    planned[0]["flushed"] = done[0]["flushed"].clone();
    assert_eq!(done, planned);
    assert_eq!((done.len(), &done[0]["region"], &done[0]["table"]), (1, &json!(encoded), &json!(table)));
    assert_eq!(scan(dir), cells);
    assert_eq!(logs(root.path()), all_logs, "logs that are given stay");
    let again = json_lines(&ok(&["recover", "--json", "--wal", text(&server), "--", dir]));
    assert_eq!((&again[0]["skipped"], &again[0]["flushed"]), (&again[0]["cells"], &json!([])));

    // Recovered edits in the region's directory need no option.
    let root = split_root();
    let path = region(root.path(), &table, &encoded);
    let done = json_lines(&ok(&["recover", "--json", text(&path)]));
    assert_eq!(done[0]["cells"], planned[0]["cells"]);
    assert_eq!(scan(text(&path)), cells);
    let again = json_lines(&ok(&["recover", "--json", text(&path)]));
    assert_eq!(again[0]["edits"], 0);

    // A region outside a root, without a directory of recovered edits.
    let copy = tempfile::tempdir().unwrap();
    let root = crashed_root();
    let path = copy.path().join(&encoded);
    fs::rename(region(root.path(), &table, &encoded), &path).unwrap();
    fs::remove_dir_all(path.join("recovered.edits")).unwrap();
    fs::rename(root.path().join("data/default").join(&table).join(".tabledesc"), path.join(".tabledesc"))
        .unwrap();
    ok(&["recover", "--json", text(&path), "--wal", text(&root.path().join("WALs"))]);
    assert_eq!(scan(text(&path)), cells);
}

#[test]
fn a_torn_log_is_a_message() {
    let root = crashed_root();
    let log = logs(root.path()).pop().unwrap();
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 20]).unwrap();
    for args in [vec!["recover", "--dry-run"], vec!["recover", "--quiet"]] {
        let output = run(&[&args[..], &[text(root.path())]].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let message = stderr(&output);
        assert!(message.contains("bytes are left") && message.contains(text(&log)), "{message}");
    }
}

#[test]
fn damage_exits_with_3_and_changes_nothing() {
    let root = crashed_root();
    let log = logs(root.path()).remove(1);
    let bytes = fs::read(&log).unwrap();
    // A rolled log that is torn; its last bytes are a trailer.
    for (kind, damaged) in [("Truncated", &bytes[..bytes.len() - 20]), ("Corrupt", &b"not a log"[..])] {
        fs::write(&log, damaged).unwrap();
        let before = contents(root.path());
        for dry_run in [&["--dry-run"][..], &[]] {
            let output = run(&[&["recover", "--json", text(root.path())], dry_run].concat());
            let error = last_error(&output);
            assert_eq!((code(&output), error["kind"].as_str()), (3, Some(kind)), "{error}");
            assert_eq!(error["path"].as_str(), Some(text(&log)));
        }
        assert!(contents(root.path()) == before, "{kind}");
    }
    // The header of a log with an encryption key.
    fs::write(&log, b"PWAL\x05\x08\0\x12\x01k").unwrap();
    let output = run(&["recover", "--json", text(root.path())]);
    assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (4, Some("Unsupported")));
    fs::write(&log, bytes).unwrap();
    ok(&["recover", text(root.path())]);
    assert_recovered(root.path());
}

#[test]
fn a_torn_log_before_a_newer_one_needs_an_option() {
    let root = crashed_root();
    let newest = logs(root.path()).pop().unwrap();
    let (empty, log) = (newest.with_file_name("h%2C1%2C2.7"), newest.with_file_name("h%2C1%2C2.9"));
    fs::write(&empty, b"").unwrap();
    fs::rename(&newest, &log).unwrap();
    let bytes = fs::read(&log).unwrap();
    let refused = run(&["recover", "--json", text(root.path())]);
    let error = last_error(&refused);
    assert_eq!((code(&refused), error["path"].as_str()), (3, Some(text(&empty))), "{error}");
    assert!(error["message"].as_str().unwrap().contains("--accept-torn-logs"), "{error}");
    assert_eq!(fs::read(&log).unwrap(), bytes, "nothing has changed");
    for args in [&["--dry-run"][..], &[]] {
        let output = run(&[&["recover", "--accept-torn-logs", text(root.path())], args].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert!(stderr(&output).contains(text(&empty)), "{}", stderr(&output));
    }
    assert_recovered(root.path());
    let (table, encoded, _) = answers().remove(0);
    let path = region(root.path(), &table, &encoded);
    ok(&["recover", "--json", text(&path), "--accept-torn-logs"]);
}

#[test]
fn an_open_region_exits_with_5() {
    let (table, encoded, _) = answers().remove(0);
    let root = crashed_root();
    let path = region(root.path(), &table, &encoded);
    let (wal, aside) = (root.path().join("WALs"), root.path().join("aside"));
    // The region is not opened while logs have its edits.
    let refused = Region::options().writable(true).open(&path).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
    fs::rename(&wal, &aside).unwrap();
    let open = Region::options().writable(true).open(&path).unwrap();
    fs::rename(&aside, &wal).unwrap();
    for args in [vec![text(root.path())], vec![text(&path)], vec![text(&path), "--wal", text(&wal)]] {
        let output = run(&[&["recover", "--json"], &args[..]].concat());
        assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (5, Some("Locked")), "{args:?}");
        assert!(stderr(&output).contains("(try again when the other process"), "{}", stderr(&output));
    }
    ok(&["recover", "--dry-run", text(root.path())]);
    open.close().unwrap();
    assert_eq!(logs(root.path()).len(), 7);
    ok(&["recover", text(root.path())]);
    assert_recovered(root.path());
}

/// A dry run fails like the change itself: without a descriptor, the settings of the families are not known.
#[test]
fn dry_runs_need_the_descriptor_that_the_change_needs() {
    let root = crashed_root();
    let (table, encoded, _) = answers().remove(0);
    let dir = region(root.path(), &table, &encoded);
    fs::remove_dir_all(dir.parent().unwrap().join(".tabledesc")).unwrap();
    // The region would be refused because of its edits in the logs.
    fs::rename(root.path().join("WALs"), root.path().join("aside")).unwrap();
    for command in ["recover", "compact"] {
        for dry_run in [&["--dry-run"][..], &[]] {
            let output = run(&[&[command, "--json", text(&dir)], dry_run].concat());
            let (found, said) = (last_error(&output)["kind"].clone(), stderr(&output));
            assert_eq!((code(&output), found.as_str()), (2, Some("InvalidArgument")), "{command}: {said}");
            assert!(said.contains("there is no table descriptor") && said.contains("--family"), "{said}");
        }
    }
}

/// So it does if a setting is invalid that reads do not need.
#[test]
fn dry_runs_refuse_settings_that_the_change_refuses() {
    for (key, sound, invalid) in [
        ("DURABILITY", "SYNC_WAL", "SYNC_WAX"),
        ("hbase.hregion.memstore.block.multiplier", "4", "x"),
        ("hbase.hstore.compaction.min", "5", "x"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let table = Table::create(root.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
        table.put(Put::new("r").cell("f", "q", "v")).unwrap();
        let dir = region(root.path(), "t", &table.regions()[0].encoded_name());
        table.close().unwrap();
        Table::alter(root.path(), "t", &TableChanges::new().set(key, sound), &Region::options()).unwrap();
        let len = char::from(u8::try_from(sound.len()).unwrap());
        let pair = |value: &str| format!("{key}\x12{len}{value}");
        let table = dir.parent().unwrap();
        replace_in_descriptor(table, pair(sound).as_bytes(), pair(invalid).as_bytes());
        ok(&["count", text(&dir)]);
        for (command, target) in [("recover", &*dir), ("compact", &*dir), ("compact", table)] {
            let answer = |dry_run: &[&str]| {
                let output = run(&[&[command, "--json", text(target)], dry_run].concat());
                (code(&output), last_error(&output).to_string())
            };
            let refused = answer(&[]);
            assert_eq!(answer(&["--dry-run"]), refused, "{key}, {command}");
            assert!(refused.0 > 1 && refused.1.contains(invalid), "{key}, {command}: {refused:?}");
        }
    }
}

/// The other tables are recovered. The edits of this one, and the logs with them, stay.
#[test]
fn a_table_that_cannot_be_recovered_fails_alone() {
    let root = crashed_root();
    let (dir, (table, ..)) = (text(root.path()), answers().remove(0));
    let (descriptor, aside) =
        (root.path().join("data/default").join(&table).join(".tabledesc"), root.path().join("aside"));
    fs::rename(&descriptor, &aside).unwrap();
    for dry_run in [&["--dry-run"][..], &[]] {
        let output = run(&[&["recover", "--json", dir], dry_run].concat());
        let (error, said) = (last_error(&output), stderr(&output));
        assert_eq!((code(&output), error["kind"].as_str()), (2, Some("InvalidArgument")), "{said}");
        let expected = format!("table {table}: there is no table descriptor");
        assert!(error["message"].as_str().unwrap().starts_with(&expected), "{error}");
        assert!(said.contains(&expected) && said.contains(" logs stay in WALs"), "{said}");
        let mut lines = json_lines(&stdout(&output));
        lines.retain(|line| line["error"].is_null());
        assert_eq!(lines.len(), 5, "{lines:?}");
        for line in &lines {
            assert_eq!(line["table"] == table.as_str(), line["outcome"] == "failed", "{line}");
            assert!(line["outcome"] != "failed" || line["cells"] == line["skipped"], "{line}");
        }
    }
    let (kept, moved) = (logs(root.path()).len(), contents(&root.path().join("oldWALs")).len());
    assert!(kept > 0 && moved > 0 && kept + moved == 7, "{kept} and {moved}");
    fs::rename(&aside, &descriptor).unwrap();
    ok(&["recover", dir]);
    assert_recovered(root.path());
    assert!(logs(root.path()).is_empty());
}

#[test]
fn gone_regions_are_named() {
    let root = crashed_root();
    let (table, encoded, _) = answers().remove(0);
    fs::remove_dir_all(region(root.path(), &table, &encoded)).unwrap();
    let output = run(&["recover", "--json", text(root.path())]);
    assert_eq!(code(&output), 0);
    let lines = json_lines(&stdout(&output));
    let gone = lines.iter().find(|line| line["region"] == encoded.as_str()).unwrap();
    assert_eq!((&gone["outcome"], &gone["skipped"]), (&json!("gone"), &gone["cells"]));
    let message = stderr(&output);
    assert!(message.contains(&format!("there is no region {encoded}")), "{message}");
}

#[test]
fn what_cannot_be_recovered_is_an_error() {
    let root = crashed_root();
    let (dir, wal) = (text(root.path()), root.path().join("WALs"));
    for (args, kind, exit) in [
        (vec![dir, "--wal", text(&wal)], "Usage", 2),
        (vec![dir, "--family", "cf"], "Usage", 2),
        (vec![text(&wal)], "Unsupported", 4),
        (vec!["no such directory"], "Io", 5),
        (vec!["no such directory", "--dry-run"], "Io", 5),
        (vec!["http://127.0.0.1:9/hbase"], "Unsupported", 4),
    ] {
        let output = run(&[&["recover", "--json"], &args[..]].concat());
        assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (exit, Some(kind)), "{args:?}");
    }
    let (table, encoded, _) = answers().remove(0);
    let path = region(root.path(), &table, &encoded);
    let output = run(&["recover", "--json", text(&path), "--wal", "no such log"]);
    assert_eq!((code(&output), last_error(&output)["kind"].as_str()), (5, Some("Io")));
    assert_eq!(code(&run(&["recover"])), 2);
}

/// A part of the warning about logs.
const UNREAD: &str = "logs of servers may have writes that are not read";

#[test]
fn commands_that_read_rows_warn_once_of_logs() {
    let (root, out) = (crashed_root(), tempfile::tempdir().unwrap());
    let (dir, logs) = (text(root.path()), root.path().join("WALs"));
    let warning =
        format!("warning: {}: {UNREAD} (`hregion recover --dry-run {dir}` lists them)\n", text(&logs));
    let (table, encoded, _) = answers().remove(0);
    let one = region(root.path(), &table, &encoded);
    let answers_with = |warnings: usize| -> Vec<(i32, String)> {
        let lines = [
            "scan $ROOT/data/default/w1",
            "scan --json $ROOT/data/default/w1",
            "scan $REGION",
            "get $ROOT/data/default/w1 row",
            "explain get $ROOT/data/default/w1 row",
            "count $ROOT",
            "count --json $ROOT/data/default",
            "stats --now 9 $ROOT/data/default/w1",
            "stats --now 9 --by file --json $REGION",
            "cells $ROOT/data/default/w1",
            "convert $ROOT/data/default/w1 --to jsonl --out $OUT/cells --force",
            "diff $ROOT/data/default/w1 $ROOT/data/default/w2",
            "export $ROOT/data/default/w1 --to jsonl --out $OUT/rows --force",
            "report --json --now 9 $ROOT/data/default/w1",
            "shell $ROOT/data/default/w1 -e list",
        ];
        let answer = |line: &str| {
            let line =
                line.replace("$ROOT", dir).replace("$OUT", text(out.path())).replace("$REGION", text(&one));
            let output = run(&line.split(' ').collect::<Vec<_>>());
            let said = stderr(&output);
            assert_eq!(said.matches(&warning).count(), warnings, "{line}: {said}");
            assert_eq!(said.matches(UNREAD).count(), warnings, "{line}: {said}");
            (code(&output), stdout(&output))
        };
        lines.into_iter().map(answer).collect()
    };
    let before = answers_with(1);
    let here = hregion().current_dir(&one).args(["count", "."]).output().unwrap();
    assert_eq!(stderr(&here).matches(UNREAD).count(), 1, "by a relative path");
    assert_eq!(stderr(&run(&["scan", "--quiet", text(&one)])), "");
    let both = run(&["shell", dir, "-e", "count 'w1'", "-e", "count 'w2'"]);
    assert_eq!(stderr(&both).matches(&warning).count(), 1, "{}", stderr(&both));
    let listed = run(&["shell", dir, "-e", "list"]);
    assert!(!stderr(&listed).contains(UNREAD), "no table is read: {}", stderr(&listed));
    let aside = out.path().join("WALs");
    fs::rename(&logs, &aside).unwrap();
    assert!(answers_with(0) == before, "exit codes and answers do not depend on logs");
    fs::rename(&aside, &logs).unwrap();
    ok(&["recover", dir]);
    answers_with(0);
}

#[test]
fn only_logs_that_may_have_rows_of_a_target_are_warned_of() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let table = Table::create(root.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    table.put(Put::new("r").cell("f", "q", "v")).unwrap();
    table.flush().unwrap();
    table.snapshot("s").unwrap();
    let encoded = table.regions()[0].encoded_name();
    table.close().unwrap();
    let (one, copied) = (region(root.path(), "t", &encoded), outside.path().join(&encoded));
    copy_dir(&one, &copied);
    let mut files = fs::read_dir(one.join("f")).unwrap().map(|entry| entry.unwrap().path());
    let file = files.find(|path| path.file_name().unwrap().len() == 32).unwrap();
    let count = |target: &Path| {
        let output = run(&["count", "--json", text(target)]);
        assert_eq!(code(&output), 0, "{}: {}", target.display(), stderr(&output));
        assert!(stdout(&output).starts_with('{') && stdout(&output).contains(r#""rows":1,"#));
        stderr(&output)
    };
    let warnings = |target: &Path| count(target).matches(UNREAD).count();
    let (namespace, family) = (root.path().join("data/default"), one.join("f"));
    let all: [&Path; 5] = [root.path(), &namespace, one.parent().unwrap(), &one, &family];
    assert_eq!(all.map(warnings), [0; 5], "there are no logs");
    let server = root.path().join("WALs/h,1,2");
    fs::create_dir_all(&server).unwrap();
    let log = |name: &str, bytes: &str| fs::write(server.join(name), bytes).unwrap();
    log("h%2C1%2C2.1000", "");
    assert_eq!(all.map(warnings), [0; 5], "it is empty");
    log("h%2C1%2C2.meta.1000.meta", "log");
    assert_eq!(all.map(warnings), [0; 5], "no table is hbase:meta");
    log("h%2C1%2C2.1000", "log");
    assert_eq!(all.map(warnings), [1; 5]);
    for other in [root.path().join(".hbase-snapshot/s"), file, copied] {
        assert_eq!(warnings(&other), 0, "{}", other.display());
    }
    fs::remove_dir_all(root.path().join("WALs")).unwrap();
    fs::write(root.path().join("WALs"), "a file").unwrap();
    for target in all {
        let said = count(target);
        let expected = "; writes that are only in logs of servers are not read\n";
        assert!(said.starts_with("warning: ") && said.contains(expected), "{said}");
    }
}
