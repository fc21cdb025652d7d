//! `hregion bulkload` as a process: its output can be read back, region by region, and a running HBase loads
//! it.

use crate::support::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const SPLITS: [&str; 5] = ["k\\x00\\xFF", "d", "row", "row5", "x"];

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Returns unsorted cells of two families.
fn cells() -> Vec<String> {
    let (mut lines, mut state) = (Vec::new(), 7_u64);
    for i in 0..2000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let rows = ["a", "d", "k\\\\x00\\\\xFE", "k\\\\x00\\\\xFF", "row", "row49", "row5", "w", "x", "z"];
        let row = format!(
            "{}{}",
            rows[usize::try_from(state >> 60).unwrap() % 10],
            if i % 3 == 0 { "" } else { "1" }
        );
        let family = if state >> 40 & 3 == 0 { "g" } else { "f" };
        let tags = if i % 5 == 0 { r#","tags":[{"type":64,"value":"t"}]"# } else { "" };
        let key =
            format!(r#""row":"{row}","family":"{family}","qualifier":"q{i}","timestamp":{i},"type":"Put""#);
        lines.push(format!(r#"{{{key},"value":"v{i}","sequence_id":{i}{tags}}}"#) + "\n");
    }
    lines
}

#[test]
fn bytes_are_shown_as_they_are_typed() {
    let dir = tempfile::tempdir().unwrap();
    let splits = temp_file("splits-shown.txt", b"k\\x00\n");
    let cell = |family: &str| {
        format!(r#"{{"row":"a","family":"{family}","qualifier":"q","timestamp":1,"type":"Put","value":"v"}}"#)
    };
    let load = |name: &str, family: &str| {
        let list = temp_file(&format!("{name}.jsonl"), cell(family).as_bytes());
        run(&["bulkload", &list, "--regions", &splits, "--out", &text(&dir.path().join(name))])
    };
    let output = load("shown", "f");
    assert!(stdout(&output).contains(": from '' to 'k\\x00', cells 1, bytes "), "{}", stdout(&output));
    let output = load("not-shown", "a\\\\x0A");
    assert!(stderr(&output).contains("'a\\x0A' is not a valid family name"), "{}", stderr(&output));
}

/// The files show no cell in plain text, and only the output directory remains.
#[cfg(feature = "crypto")]
#[test]
fn files_are_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let out = text(&dir.path().join("load"));
    let list = temp_file("bulkload-encrypted.jsonl", cells().concat().as_bytes());
    let splits = temp_file("splits-encrypted.txt", SPLITS.join("\n").as_bytes());
    let key = temp_file("bulkload.key", b"000102030405060708090a0b0c0d0e0f");
    let with_key = ["--master-key-file", &key];
    let args = ["bulkload", &list, "--regions", &splits, "--out", &out, "--sort", "--sort-memory", "20K"];
    let printed = ok(&[&args[..], &with_key, &["--encryption", "AES", "--json"]].concat());
    let mut found = 0;
    for file in json_lines(&printed) {
        let path = file["path"].as_str().unwrap();
        assert!(!fs::read(path).unwrap().windows(5).any(|window| window == b"row49"), "{path}");
        assert_eq!(code(&run(&["cells", path])), 4);
        found += ok(&[&["cells", "--json", path], &with_key[..]].concat()).lines().count();
    }
    assert_eq!(found, 2000);
    let output = run(&[&args[..], &["--force", "--encryption", "AES"]].concat());
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn cells_come_back_by_family_and_region() {
    let dir = tempfile::tempdir().unwrap();
    let out = text(&dir.path().join("load"));
    let list = temp_file("bulkload.jsonl", cells().concat().as_bytes());
    let splits = temp_file("splits.txt", SPLITS.join("\n").as_bytes());
    let args =
        ["bulkload", &list, "--regions", &splits, "--out", &out, "--sort", "--sort-memory", "20K", "--json"];
    let printed = json_lines(&ok(&args));
    assert_eq!(members(&printed[0]), ["path", "family", "start", "end", "cells", "bytes"]);
    assert_eq!(printed.len(), 12, "two families in six regions");

    let mut sorted: Vec<&str> = SPLITS.to_vec();
    sorted.sort_unstable();
    let bytes = |shown: &str| hregion::cell::from_string_binary(shown);
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (i, file) in printed.iter().enumerate() {
        let (path, family) = (file["path"].as_str().unwrap(), file["family"].as_str().unwrap());
        let (start, end) = (file["start"].as_str().unwrap(), file["end"].as_str().unwrap());
        let region = i % 6;
        assert_eq!(start, if region == 0 { "" } else { sorted[region - 1] });
        assert_eq!(end, if region == 5 { "" } else { sorted[region] });
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        assert!(
            name.len() == 32 && name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')),
            "{name}"
        );
        assert_eq!(Path::new(path).parent().unwrap(), Path::new(&out).join(family));
        for cell in json_lines(&ok(&["cells", "--json", path])) {
            let row = bytes(cell["row"].as_str().unwrap());
            assert!(row >= bytes(start) && (end.is_empty() || row < bytes(end)), "{start} {end} {cell}");
            assert_eq!((&cell["family"], &cell["sequence_id"]), (&family.into(), &0.into()));
            found.entry(family.to_owned()).or_default().push(cell);
        }
        assert_eq!(code(&run(&["verify", path])), 0);
        let info = &json_lines(&ok(&["inspect", "--json", path]))[0]["file_info"];
        let keys = members(info);
        for key in [
            "BLOOM_FILTER_TYPE",
            "BULKLOAD_SOURCE_TASK",
            "BULKLOAD_TIMESTAMP",
            "EARLIEST_PUT_TS",
            "EXCLUDE_FROM_MINOR_COMPACTION",
            "KEY_VALUE_VERSION",
            "MAJOR_COMPACTION_KEY",
            "TIMERANGE",
            "hfile.MAX_TAGS_LEN",
        ] {
            assert!(keys.contains(&key), "{key} in {keys:?}");
        }
        assert!(!keys.contains(&"MAX_SEQ_ID_KEY"));
        assert_eq!((&info["MAJOR_COMPACTION_KEY"], &info["MAX_MEMSTORE_TS_KEY"]), (&true.into(), &0.into()));
    }
    // all cells, in the order that `write --sort` gives each family
    for (family, found) in found {
        let of_family: Vec<String> =
            cells().into_iter().filter(|line| line.contains(&format!("\"family\":\"{family}\""))).collect();
        let list = temp_file("bulkload-family.jsonl", of_family.concat().as_bytes());
        let plain = text(&dir.path().join(&family));
        ok(&["write", &list, "--out", &plain, "--sort", "--tags"]);
        let mut expected = json_lines(&ok(&["cells", "--json", &plain]));
        for cell in &mut expected {
            let cell = cell.as_object_mut().unwrap();
            let tags = cell.remove("tags");
            cell.insert("sequence_id".into(), 0.into());
            cell.extend(tags.map(|tags| ("tags".into(), tags)));
        }
        assert_eq!(found, expected);
    }
}

/// A running HBase bulk-loads cells, and markers that hide some of them. A raw scan of its client must return
/// all of them, and a plain scan those that are not hidden.
#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn a_running_hbase_loads_the_directory() {
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/cluster/check-region");
    let dir = tempfile::tempdir().unwrap();
    let splits = temp_file("cluster-splits.txt", SPLITS.join("\n").as_bytes());
    let (mut lines, mut hidden) = (cells(), BTreeSet::new());
    for i in (0..lines.len()).step_by(7) {
        let mut marker: Value = serde_json::from_str(&lines[i]).unwrap();
        hidden.insert(seen(&marker));
        (marker["type"], marker["value"]) = ("DeleteColumn".into(), "".into());
        marker["timestamp"] = (marker["timestamp"].as_i64().unwrap() + 1).into();
        lines.push(format!("{marker}\n"));
    }
    let list = temp_file("cluster.jsonl", lines.concat().as_bytes());
    let mut raw: Vec<_> = json_lines(&lines.concat()).iter().map(seen).collect();
    raw.sort_unstable();
    let plain: Vec<_> = raw
        .iter()
        .filter(|cell| !cell.contains("DeleteColumn") && !hidden.contains(*cell))
        .cloned()
        .collect();

    for encoding in ["NONE", "FAST_DIFF"] {
        let out = text(&dir.path().join(encoding));
        let mut args = vec!["bulkload", &list, "--regions", &splits, "--out", &out, "--sort"];
        args.extend(["--encoding", encoding, "--compression", "GZ", "--bloom", "ROW", "--blocksize", "4K"]);
        ok(&args);
        let output = Command::new(&check).arg(&out).output().unwrap();
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        let answers = json_lines(&stdout(&output));
        let (loaded, found) = answers.split_first().unwrap();
        assert_eq!(loaded["loaded"], 12, "two families in six regions");
        let (mut found_plain, mut found_raw): (Vec<_>, Vec<_>) =
            found.iter().partition(|cell| cell["plain"] == true);
        for (found, expected) in [(&mut found_raw, &raw), (&mut found_plain, &plain)] {
            let mut found: Vec<_> = found.iter().map(|cell| seen(cell)).collect();
            found.sort_unstable();
            let wrong = found.iter().zip(expected).find(|(found, expected)| found != expected);
            assert_eq!(wrong, None, "what a client found and what was written, {encoding}");
            assert_eq!(found.len(), expected.len(), "{encoding}");
        }
        println!("{encoding}: HBase gave back {} cells, {} of them not hidden", raw.len(), plain.len());
    }
}

/// Returns a cell in the form of HBase's client: without tags and sequence id.
fn seen(cell: &Value) -> String {
    let parts = ["row", "family", "qualifier", "timestamp", "type", "value"];
    parts.map(|part| cell[part].to_string()).join(" ")
}

#[test]
fn a_directory_is_replaced_only_if_it_is_one_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("load");
    let list = temp_file("bulkload-one.jsonl", cells()[0].as_bytes());
    let splits = temp_file("no-splits.txt", b"\n");
    let args = ["bulkload", &list, "--regions", &splits, "--out", &text(&out)];
    ok(&args);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    let output = run(&args);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("use --force to replace it"), "{}", stderr(&output));
    let forced = [&args[..], &["--force"]].concat();
    ok(&forced);
    fs::write(out.join("precious"), "x").unwrap();
    assert_eq!(code(&run(&forced)), 2);
    assert_eq!(fs::read(out.join("precious")).unwrap(), b"x");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left aside");
}

#[test]
fn bad_input_leaves_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let out = text(&dir.path().join("load"));
    let splits = temp_file("bad-splits.txt", b"m\n");
    let load = |lines: &str, splits: &str, more: &[&str]| {
        let list = temp_file("bulkload-bad.jsonl", lines.as_bytes());
        let output = run(&[&["bulkload", &list, "--regions", splits, "--out", &out], more].concat());
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "{lines}");
        (code(&output), stderr(&output))
    };
    let line = |row: &str, family: &str| {
        format!(r#"{{"row":"{row}","family":"{family}","qualifier":"","timestamp":1,"type":"Put"}}"#) + "\n"
    };
    let (exit, said) = load(&(line("z", "f") + &line("a", "f")), &splits, &[]);
    assert!(exit == 2 && said.contains("line 2: ") && said.contains("--sort"), "{said}");
    let (exit, said) = load(&(line("b", "f") + &line("a", "f")), &splits, &[]);
    assert!(exit == 2 && said.contains("line 2: ") && said.contains("--sort"), "{said}");
    for family in ["", "..", "a/b", ".f", "a:b"] {
        let (exit, said) = load(&line("a", family), &splits, &[]);
        assert!(exit == 2 && said.contains("line 1: "), "{said}");
    }
    let twice = temp_file("twice-splits.txt", b"m\na\nm\n");
    assert_eq!(load(&line("a", "f"), &twice, &[]).0, 2);
    assert_eq!(load(&line("a", "f"), &splits, &["--writer", "hfile"]).0, 2);
    assert_eq!(load(&line("a", "f"), "none.txt", &[]).0, 5);
    // the cells would be read as split points
    let both = run(&["bulkload", "-", "--regions", "-", "--out", &out]);
    assert_eq!(code(&both), 2, "{}", stderr(&both));
    assert!(stderr(&both).contains("--regions: standard input"), "{}", stderr(&both));
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
}

/// Interrupts the tool while it waits for more cells.
#[cfg(unix)]
#[test]
fn a_signal_leaves_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let splits = temp_file("signal-splits.txt", b"m\n");
    let mut child = hregion()
        .args(["bulkload", "-", "--regions", &splits, "--out", &text(&dir.path().join("load"))])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // more than any buffer holds, so that the tool has begun a file
    for i in 0..3000 {
        let line = format!(
            r#"{{"row":"{i:06}","family":"f","qualifier":"{}","timestamp":1,"type":"Put"}}"#,
            "q".repeat(100)
        );
        stdin.write_all((line + "\n").as_bytes()).unwrap();
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let killed = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Whenever the tool is killed, the directory is complete or does not exist.
#[cfg(unix)]
#[test]
fn no_half_of_a_directory_gets_the_name() {
    let splits = temp_file("bulkload-kill-splits.txt", b"0500\n1000\n1500\n");
    let cell = |row: usize| {
        format!(r#"{{"row":"{row:04}","family":"f","qualifier":"q","timestamp":5,"type":"Put","value":"v"}}"#)
            + "\n"
    };
    let list = temp_file("bulkload-kill.jsonl", (0..2000).map(cell).collect::<String>().as_bytes());
    let (mut whole, mut none, mut left) = (0, 0, 0);
    for round in 0..80 {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("load");
        let args = ["bulkload", &list, "--regions", &splits, "--out", &text(&out), "--force"];
        let replaces = round % 4 > 1;
        if replaces {
            ok(&args);
        }
        let mut child = hregion().args(args).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(round * 400));
        let signal = if round % 2 == 0 { "TERM" } else { "KILL" };
        let kill = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        let status = child.wait().unwrap();
        // a signal that arrives before its handler is installed leaves no files either
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        if signal == "TERM" {
            assert!(names.iter().all(|name| name == "load"), "{names:?} {status} {kill:?}");
        }
        if replaces || out.exists() {
            assert_eq!(fs::read_dir(out.join("f")).unwrap().count(), 4, "{status}");
            whole += 1;
        } else {
            none += 1;
        }
        if names.iter().any(|name| name != "load") {
            left += 1;
            ok(&args);
            let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(names.eq(["load"]), "what a killed process has left is removed");
        }
    }
    assert!(whole > 0 && none > 0 && left > 0, "{whole} {none} {left}");
}

/// Files are not renamed from one file system to another.
#[test]
#[cfg(target_os = "linux")]
fn files_of_another_file_system_are_copied() {
    use std::os::unix::fs::MetadataExt;
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    let device = |dir: &Path| fs::metadata(dir).unwrap().dev();
    assert_ne!(device(dir.path()), device(elsewhere.path()), "temporary files are not in memory");
    let (root, out) = (dir.path().join("root"), text(&elsewhere.path().join("load")));
    let list = temp_file("elsewhere.jsonl", cells().concat().as_bytes());
    let splits = temp_file("splits-elsewhere.txt", b"k");
    ok(&["bulkload", &list, "--regions", &splits, "--out", &out, "--sort"]);
    let state = || -> Vec<(PathBuf, Vec<u8>)> {
        let dirs = ["f", "g"].map(|family| fs::read_dir(Path::new(&out).join(family)).unwrap());
        let mut files: Vec<_> = dirs.into_iter().flatten().map(|file| file.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    };
    let before = state();
    assert!(before.len() >= 2);
    let families = ["f", "g"].map(|family| hregion::Family::new(family).max_versions(u32::MAX));
    hregion::Table::create(&root, "t", &families, &["d", "row"]).unwrap().close().unwrap();
    let table = text(&root.join("data/default/t"));
    ok(&["load", &table, &out]);
    assert_eq!(ok(&["count", &table, "--versions", "all"]).lines().last().unwrap(), "cells 2000");
    assert!(state() == before, "the files stay as they are");
}

/// The files are cut at rows other than the region bounds of the table.
#[test]
fn the_output_is_loaded_into_a_table_of_other_regions() {
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dir.path().join("root"), text(&dir.path().join("load")));
    let list = temp_file("load.jsonl", cells().concat().as_bytes());
    let splits = temp_file("splits-load.txt", b"k\nx");
    ok(&["bulkload", &list, "--regions", &splits, "--out", &out, "--sort"]);
    let families = ["f", "g"].map(|family| hregion::Family::new(family).max_versions(u32::MAX));
    hregion::Table::create(&root, "t", &families, &["d", "row"]).unwrap().close().unwrap();
    let table = text(&root.join("data/default/t"));
    let done: Value = serde_json::from_str(&ok(&["load", &table, &out, "--json"])).unwrap();
    assert!(done["loaded"].as_u64().unwrap() > 6 && !done["split"].as_array().unwrap().is_empty(), "{done}");
    assert_eq!(ok(&["count", &table, "--versions", "all"]).lines().last().unwrap(), "cells 2000");
    assert_eq!(ok(&["load", &table, &out]), "loaded 0, split 0, skipped 0\n");
    assert_eq!(code(&run(&["load", &out, &out])), 4, "not a table");
    // the directory of a family instead of the parent directory
    let family = out.clone() + "/f";
    assert_eq!(ok(&["load", &table, &family]), "loaded 0, split 0, skipped 0\n");
    fs::write(out.clone() + "/f/_SUCCESS", "").unwrap();
    assert_eq!(ok(&["load", &table, &family]).lines().count(), 2);
    let file = "8e8ab58dcf39412d8e8ab58dcf39412d";
    fs::copy(plain(), format!("{family}/{file}")).unwrap();
    let refused = run(&["load", &table, &family, "--json"]);
    assert_eq!((code(&refused), last_error(&refused)["path"].as_str()), (2, Some(&*family)));
    assert!(Path::new(&family).join(file).exists());
    // beside directories of families, ignored files are reported
    fs::remove_file(format!("{family}/{file}")).unwrap();
    fs::copy(plain(), format!("{out}/{file}")).unwrap();
    assert!(ok(&["load", &table, &out]).ends_with("loaded 0, split 0, skipped 2\n"));
    assert_eq!(code(&run(&["load", &table, "/nowhere"])), 5);
}

#[test]
fn a_region_takes_over_files_of_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let families = ["f", "g"].map(hregion::Family::new);
    let table = hregion::Table::create(&root, "t", &families, &["m"]).unwrap();
    let [first, second] = ["a", "m"].map(|row| text(table.region(row).unwrap().path()));
    table.close().unwrap();
    let line = |row: &str, family: &str| {
        format!(r#"{{"row":"{row}","family":"{family}","qualifier":"","timestamp":1,"type":"Put"}}"#) + "\n"
    };
    let list = temp_file("load-region.jsonl", (line("a", "f") + &line("b", "g")).as_bytes());
    let splits = temp_file("splits-region.txt", b"m");
    let out = text(&dir.path().join("load"));
    ok(&["bulkload", &list, "--regions", &splits, "--out", &out, "--sort"]);
    let empty = temp_file("load-region-empty.jsonl", b"");
    ok(&["write", &empty, "--out", &format!("{out}/f/empty"), "--bulkload"]);
    fs::write(format!("{out}/_SUCCESS"), "").unwrap();

    let refused = run(&["load", &second, &out, "--json"]);
    assert_eq!((code(&refused), last_error(&refused)["kind"].as_str()), (2, Some("WrongRegion")));
    let done: Value = serde_json::from_str(&ok(&["load", &first, &out, "--json"])).unwrap();
    assert_eq!((&done["loaded"], done["skipped"].as_array().unwrap().len()), (&2.into(), 2));
    assert_eq!(ok(&["count", &first]), "rows 2\ncells 2\n");
    assert_eq!(ok(&["count", &text(&root.join("data/default/t"))]), "rows 2\ncells 2\n");
    assert_eq!(ok(&["load", &first, &out]).lines().last().unwrap(), "loaded 0, split 0, skipped 2");
    assert_eq!(code(&run(&["load", &first, "/nowhere"])), 5);
    let refused = run(&["load", &text(&root.join("data/default/t")), &out, "--family", "f"]);
    assert_eq!(code(&refused), 2, "{}", stderr(&refused));
}
