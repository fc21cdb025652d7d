//! `hregion verify` as a process: it accepts files written by HBase, and no damaged ones.

use crate::library::files::{copy_dir, files_below, replace_in_descriptor};
use crate::support::*;
use hregion::{Family, Put, RegionInfo, Table};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn verify_finds_no_fault_in_golden_files() {
    for name in golden_names() {
        let output = run_golden(&["verify", "--json"], &name);
        assert_eq!(code(&output), 0, "{name}: {}", stdout(&output));
        let lines = json_lines(&stdout(&output));
        assert_eq!(lines.len(), 1);
        assert_eq!(members(&lines[0]["summary"]), ["files", "blocks", "cells", "faults"]);
        let cells = read_gz(golden(&format!("{name}.cells.jsonl.gz"))).lines().count();
        let summary = &lines[0]["summary"];
        assert_eq!((&summary["files"], &summary["faults"]), (&json!(1), &json!(0)));
        assert_eq!(summary["cells"], cells, "{name}");
    }
}

#[test]
fn verify_goes_on_after_a_fault_and_to_the_next_file() {
    let flipped = corrupt("flip-data.hfile");
    let output = run(&["verify", "--json", &flipped, &plain()]);
    assert_eq!(code(&output), 3, "{}", stdout(&output));
    let lines = json_lines(&stdout(&output));
    let (summary, faults) = lines.split_last().unwrap();
    assert!(!faults.is_empty());
    for fault in faults {
        assert_eq!(members(fault), ["path", "offset", "block", "kind", "message"]);
        assert_eq!(fault["path"], flipped);
    }
    assert!(faults.iter().any(|fault| fault["kind"] == "Corrupt" && fault["block"] == "DATA"));
    assert_eq!(summary["summary"]["files"], 2);
    assert_eq!(summary["summary"]["faults"], faults.len());

    let text = run(&["verify", &flipped, &plain()]);
    assert_eq!(code(&text), 3);
    assert_eq!(stdout(&text).lines().count(), faults.len());
    assert!(stderr(&text).starts_with("files 2, "), "{}", stderr(&text));
    assert_eq!(stderr(&run(&["verify", "--quiet", &plain()])), "");
}

#[test]
fn verify_leaves_out_checksums_on_request() {
    let mut bytes = fs::read(plain()).unwrap();
    // the last byte of the first block is one of its checksums
    let len = u32::from_be_bytes(bytes[8..12].try_into().unwrap());
    bytes[33 + usize::try_from(len).unwrap() - 1] ^= 1;
    let file = temp_file("wrong-checksum.hfile", &bytes);
    let output = run(&["verify", "--json", &file]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let output = run(&["verify", "--json", "--no-checksums", &file]);
    assert_eq!(code(&output), 0, "{}", stdout(&output));
    assert!(stderr(&output).starts_with("warning: checksums are not verified"), "{}", stderr(&output));
}

#[test]
fn verify_ends_with_the_unverifiable_files() {
    let missing = corrupt("no-such.hfile");
    let output = run(&["verify", "--json", &missing, &corrupt("flip-data.hfile"), &plain()]);
    assert_eq!(code(&output), 5);
    let lines = json_lines(&stdout(&output));
    assert_eq!((&lines[0]["kind"], &lines[0]["offset"]), (&json!("Io"), &Value::Null));
    assert_eq!(lines[lines.len() - 2]["summary"]["files"], 3);
    assert_eq!(lines[lines.len() - 1]["error"]["kind"], "Io");
    let refused = run(&["verify", "--json", &golden("1.4-prefix_tree-refused.hfile")]);
    assert_eq!(code(&refused), 4, "{}", stdout(&refused));
    assert_eq!(last_error(&refused)["kind"], "Unsupported");
}

/// The exit code, and the error, do not depend on the order in which files are found.
#[test]
fn the_greatest_exit_code_of_faults_decides() {
    let (damaged, refused, missing) =
        (corrupt("flip-data.hfile"), golden("1.4-prefix_tree-refused.hfile"), corrupt("no-such.hfile"));
    for (files, expected, kind) in [
        (vec![&refused, &missing], 5, "Io"),
        (vec![&damaged, &refused], 4, "Unsupported"),
        (vec![&damaged, &missing], 5, "Io"),
        (vec![&refused, &damaged, &missing], 5, "Io"),
    ] {
        let reversed: Vec<&String> = files.iter().rev().copied().collect();
        for files in [files, reversed] {
            let args = ["verify", "--json"].into_iter().chain(files.iter().map(|file| file.as_str()));
            let output = run(&args.collect::<Vec<_>>());
            let error = last_error(&output);
            assert_eq!((code(&output), error["kind"].as_str()), (expected, Some(kind)), "{files:?}");
            let path = if kind == "Io" { &missing } else { &refused };
            assert_eq!(error["path"].as_str(), Some(&**path), "{files:?}");
        }
    }
}

#[test]
fn verify_finds_the_damage_of_every_damaged_file() {
    let expect: Value =
        serde_json::from_str(&fs::read_to_string(testdata("corrupt/expect.json")).unwrap()).unwrap();
    let mut missed = Vec::new();
    for case in expect.as_array().unwrap() {
        let (file, stage) = (case["file"].as_str().unwrap(), case["rejected_at"].as_str().unwrap());
        let output = run(&["verify", "--json", &corrupt(file)]);
        match code(&output) {
            3 | 4 => {}
            0 if matches!(stage, "accept" | "any") => {}
            _ => missed.push(format!("{file} ({stage}): {}", stderr(&output))),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// The tables of `testdata/region`.
const TABLES: [&str; 5] = [
    "bulk-loaded/root/data/default/loaded",
    "split-references/root/data/default/halves",
    "tracked-split/root/data/default/tracked",
    "clone-references/root/data/default/cloned",
    "clone-references/root/data/default/joined",
];

#[test]
fn verify_takes_families_regions_and_tables() {
    for table in TABLES {
        let dir = testdata("region").join(table);
        let output = run(&["verify".as_ref(), "--json".as_ref(), dir.as_os_str()]);
        assert_eq!(code(&output), 0, "{table}: {}{}", stdout(&output), stderr(&output));
        let summary = &json_lines(&stdout(&output))[0]["summary"];
        assert!(summary["files"].as_u64().unwrap() > 0 && summary["cells"].as_u64().unwrap() > 0, "{table}");
    }
    let table = testdata("region").join(TABLES[0]);
    let region = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path());
    let region = region.into_iter().find(|path| path.join(".regioninfo").is_file()).unwrap();
    let of = |dir: &Path| json_lines(&ok(&["verify".as_ref(), "--json".as_ref(), dir.as_os_str()]));
    let families = fs::read_dir(&region).unwrap().map(|entry| entry.unwrap().path());
    let is_family =
        |path: &PathBuf| path.is_dir() && !path.file_name().unwrap().to_str().unwrap().contains('.');
    let families: Vec<_> = families.filter(is_family).collect();
    assert!(!families.is_empty());
    assert_eq!(of(&table), of(&region));
    let sum = |member: &str| -> u64 {
        families.iter().map(|dir| of(dir)[0]["summary"][member].as_u64().unwrap()).sum()
    };
    assert_eq!(
        of(&region)[0]["summary"],
        json!({
            "files": sum("files"), "blocks": sum("blocks"), "cells": sum("cells"), "faults": 0,
        })
    );
}

#[test]
fn verify_finds_faults_of_a_region() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    copy_dir(&testdata("region/split-references/root"), &root);
    let table = root.join("data/default/halves");
    let verify = |code_expected: i32| {
        let output = run(&["verify".as_ref(), "--json".as_ref(), table.as_os_str()]);
        assert_eq!(code(&output), code_expected, "{}", stdout(&output));
        let mut lines = json_lines(&stdout(&output));
        lines.retain(|line| line.get("kind").is_some());
        lines
    };
    assert!(verify(0).is_empty());
    let files = files_below(&root);
    let (largest, bytes) = files
        .iter()
        .map(|path| (path, fs::read(path).unwrap()))
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap();
    let mut flipped = bytes.clone();
    flipped[60] ^= 1;
    fs::write(largest, flipped).unwrap();
    let faults = verify(3);
    assert!(!faults.is_empty());
    assert!(faults.iter().all(|fault| fault["path"] == largest.to_str().unwrap()), "{faults:?}");
    fs::remove_file(largest).unwrap();
    let faults = verify(5);
    assert!(faults.iter().any(|fault| fault["kind"] == "Io"), "{faults:?}");
}

/// A reference that cannot be followed hides no other fault of its family, and its other files are read.
#[test]
fn verify_goes_on_after_references_that_cannot_be_followed() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/split-references/root"), dir.path());
    let table = dir.path().join("data/default/halves");
    let verify = || run(&["verify", "--json", table.to_str().unwrap()]);
    let summary = |lines: &[Value]| lines.iter().find_map(|line| line.get("summary").cloned()).unwrap();
    let sound = summary(&json_lines(&stdout(&verify())));
    let (parent, halves) = (
        "36870a128e2b61b11b5b6154f73464e8",
        ["93e53ef8671385578b50691051cf8cd5", "b080bd824b133f7fd142d58caf423392"],
    );
    let (lost, damaged) = ("fbfd96424b854fcc8968ce6ba9b32467", "759e84d3981d40c8bcc473041f25b39d");
    let reference = |half: &str, file: &str| table.join(half).join("q").join(format!("{file}.{parent}"));
    fs::remove_file(table.join(parent).join("q").join(lost)).unwrap();
    let check = |expected: &[PathBuf], files: u64| {
        let output = verify();
        assert_eq!(code(&output), 5, "{}", stderr(&output));
        let lines = json_lines(&stdout(&output));
        let found: BTreeSet<_> = lines.iter().filter_map(|line| line.get("path")?.as_str()).collect();
        assert_eq!(found, expected.iter().map(|path| path.to_str().unwrap()).collect(), "{lines:?}");
        assert_eq!(summary(&lines)["files"].as_u64().unwrap() + files, sound["files"], "{lines:?}");
    };
    let mut expected = halves.map(|half| reference(half, lost)).to_vec();
    check(&expected, 3);
    expected.push(reference(halves[0], damaged));
    fs::write(&expected[2], b"PBUF\xff\xff").unwrap();
    check(&expected, 4);
}

/// HBase skips such files, too, and warns of a loss of data.
#[test]
fn store_files_without_bytes_are_faults_and_reads_warn_of_them() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/split-references/root"), dir.path());
    let region = dir.path().join("data/default/halves/93e53ef8671385578b50691051cf8cd5");
    let path = region.join("q").join("a".repeat(32));
    fs::write(&path, "").unwrap();
    for target in [dir.path(), region.parent().unwrap(), &region, &region.join("q"), &path] {
        let output = run(&["verify".as_ref(), "--json".as_ref(), target.as_os_str()]);
        assert_eq!(code(&output), 3, "{}", stderr(&output));
        let lines = json_lines(&stdout(&output));
        let faults: Vec<_> = lines.iter().filter(|line| line.get("path").is_some()).collect();
        assert_eq!((faults.len(), &faults[0]["path"]), (1, &json!(path)), "{lines:?}");
        assert_eq!(faults[0]["message"], "no bytes: it is not read");
    }
    let output = run(&["count", region.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("no bytes: it is not read"), "{}", stderr(&output));
}

/// Tables and families may have names like those of regions.
#[test]
fn a_kind_that_a_target_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let made = Table::create(root, "abc", &[Family::new("f")], &[""; 0]).unwrap();
    made.put(Put::new("r").cell("f", "q", "v")).unwrap();
    made.snapshot("s").unwrap();
    made.close().unwrap();
    let namespace = format!("{root}/data/default");
    let table = format!("{namespace}/abc");
    let region = format!("{table}/{}", made.regions()[0].encoded_name());
    let family = format!("{region}/f");
    let entry = fs::read_dir(&family).unwrap().map(|entry| entry.unwrap().path());
    let file =
        entry.filter(|path| path.is_file()).map(|path| path.to_str().unwrap().to_owned()).next().unwrap();
    let snapshot = format!("{root}/.hbase-snapshot/s");
    let targets = [
        ("hfile", &*file),
        ("family", &*family),
        ("region", &*region),
        ("table", &*table),
        ("namespace", &*namespace),
        ("root", root),
        ("snapshot", &*snapshot),
    ];
    for (kind, target) in targets {
        for command in ["verify", "count", "stats", "inspect"] {
            let output = run(&[command, "--as", kind, target]);
            assert_eq!(code(&output), 0, "{command} --as {kind} {target}: {}", stderr(&output));
        }
        for (_, other) in targets.into_iter().filter(|(of, _)| *of != kind) {
            let refused = |args: &[&str], message: &str| {
                let output = run(args);
                assert_eq!(code(&output), 2, "{args:?}: {}", stderr(&output));
                assert!(stderr(&output).contains(&format!("{other}: {message}")), "{}", stderr(&output));
            };
            let message = match kind {
                _ if other == file => "a file, not a directory".to_owned(),
                "hfile" => "not an HFile: ".to_owned(),
                kind => format!("not a {kind}: "),
            };
            for command in ["verify", "count", "stats", "inspect"] {
                refused(&[command, "--as", kind, other], &message);
            }
            refused(&["diff", "--as", kind, other, other], &message);
            refused(&["get", "--as", kind, other, "r"], &message);
        }
    }
    // A target that does not exist does not have the wrong kind.
    for (kind, _) in targets {
        let missing = format!("{root}/none");
        assert_eq!(code(&run(&["count", "--as", kind, &missing])), 5, "{kind}");
    }
}

/// A sound file in the directory of another family, or of another region, is a fault of its place.
#[test]
fn verify_finds_files_in_the_wrong_place() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &["f", "g"].map(Family::new), &["m"]).unwrap();
    for row in ["a", "z"] {
        table.put(Put::new(row).cell("f", "q", "v").cell("g", "q", "v")).unwrap();
    }
    table.flush().unwrap();
    table.close().unwrap();
    let names: Vec<String> = table.regions().iter().map(RegionInfo::encoded_name).collect();
    let path = dir.path().join("data/default/t");
    let file = |region: usize, family: &str| {
        let files = files_below(&path.join(&names[region]).join(family));
        let [file] = &files[..] else { panic!("{files:?}") };
        file.clone()
    };
    let faults = || {
        let output = run(&["verify".as_ref(), "--json".as_ref(), path.as_os_str()]);
        let mut lines = json_lines(&stdout(&output));
        lines.retain(|line| line.get("kind").is_some());
        assert_eq!(code(&output), if lines.is_empty() { 0 } else { 3 }, "{lines:?}");
        lines
    };
    assert_eq!(faults().len(), 0);
    let bytes = fs::read(file(0, "f")).unwrap();
    for (other, message) in [
        (file(0, "g"), "cells of another family than that of the directory"),
        (file(1, "f"), "rows outside of the region"),
    ] {
        fs::copy(other, file(0, "f")).unwrap();
        let found = faults();
        let [fault] = &found[..] else { panic!("{found:?}") };
        assert_eq!(
            [&fault["path"], &fault["message"]],
            [&json!(file(0, "f").to_str().unwrap()), &json!(message)]
        );
    }
    fs::write(file(0, "f"), &bytes).unwrap();
    assert_eq!(faults().len(), 0);
    // A file of the family that cannot be opened hides no file in the wrong place.
    let damaged = file(0, "f");
    fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    let misplaced = damaged.with_file_name("0123456789abcdef0123456789abcdef");
    fs::copy(file(1, "f"), &misplaced).unwrap();
    let found = faults();
    let of = |path: &Path| {
        let of_path = found.iter().filter(|fault| fault["path"] == json!(path.to_str().unwrap()));
        of_path.map(|fault| fault["message"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((of(&misplaced), found.len()), (vec!["rows outside of the region"], 2), "{found:?}");
    assert_eq!(of(&damaged).len(), 1, "{found:?}");
}

/// HBase accepts such names, and replaces the wrong bytes in those of the directories.
#[test]
fn a_family_whose_name_is_not_utf_8_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let name = "f\u{fffd}";
    let table = Table::create(dir.path(), "t", &[Family::new(name)], &[""; 0]).unwrap();
    table.put(Put::new("a").cell(name, "q", "v")).unwrap();
    table.flush().unwrap();
    table.close().unwrap();
    let path = dir.path().join("data/default/t");
    let stores = files_below(&path.join(table.regions()[0].encoded_name()).join(name));
    let [store] = &stores[..] else { panic!("{stores:?}") };
    let cell = r#"{"row":"a","family":"f\\xFF","qualifier":"q","timestamp":1,"type":"Put","value":"v"}"#;
    let cells = temp_file("not-utf-8.jsonl", cell.as_bytes());
    ok(&["write", &cells, "--out", store.to_str().unwrap(), "--force"]);
    assert_eq!(ok(&["verify", path.to_str().unwrap()]), "");
    replace_in_descriptor(&path, name.as_bytes(), b"f\xff\xff\xff");
    let output = run(&["verify", "--json", path.to_str().unwrap()]);
    let lines = json_lines(&stdout(&output));
    assert_eq!((code(&output), &lines[0]["kind"]), (4, &json!("Unsupported")), "{lines:?}");
    assert_eq!(lines[1]["summary"]["faults"], 1, "{lines:?}");
    let output = run(&["check", "--json", path.to_str().unwrap()]);
    let lines = json_lines(&stdout(&output));
    let (summary, found) = lines.split_last().unwrap();
    assert!(!found.is_empty() && found.iter().all(|one| one["kind"] == "unsupported"), "{lines:?}");
    assert_eq!((code(&output), &summary["summary"]["errors"]), (4, &json!(found.len())), "{lines:?}");
}

/// Every file below a table written by HBase is recognized.
#[test]
fn verify_finds_every_file_of_a_root() {
    let mut with_references = 0;
    for table in TABLES.iter().map(|table| testdata("region").join(table)) {
        let files = files_below(&table);
        for jobs in ["1", "3"] {
            let mut args: Vec<&std::ffi::OsStr> =
                ["verify", "--json", "--jobs", jobs].map(AsRef::as_ref).to_vec();
            args.extend(files.iter().map(|path| path.as_os_str()));
            let output = run(&args);
            assert_eq!(code(&output), 0, "{}", stdout(&output));
            assert!(json_lines(&stdout(&output))[0]["summary"]["cells"].as_u64().unwrap() > 0);
        }
        for dir in [".tabledesc", "."] {
            assert_eq!(code(&run(&["verify".as_ref(), table.join(dir).as_os_str()])), 0);
        }
        with_references +=
            files.iter().filter(|path| path.extension().is_some_and(|e| e.len() == 32)).count();
    }
    assert!(with_references > 10, "{with_references}");
    for root in ["wal/plain/split", "region/clone-references/root", "meta/root"] {
        let root = testdata(root);
        let output = run(&["verify".as_ref(), "--json".as_ref(), root.as_os_str()]);
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        assert!(json_lines(&stdout(&output))[0]["summary"]["files"].as_u64().unwrap() > 0);
        let mut args: Vec<PathBuf> = vec!["verify".into()];
        args.extend(files_below(&root.join("data")));
        assert_eq!(code(&run(&args)), 0, "{}", root.display());
    }
}

#[test]
fn verify_finds_what_is_wrong_with_other_files() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/tracked-split/root"), dir.path());
    copy_dir(&testdata("wal/plain/split"), dir.path());
    let files = files_below(&dir.path().join("data"));
    let find = |part: &str| files.iter().find(|path| path.to_str().unwrap().contains(part)).unwrap();
    let mut parts = vec![".regioninfo", ".tableinfo", ".filelist/"];
    let reference = files.iter().find(|path| path.extension().is_some_and(|e| e.len() == 32)).unwrap();
    parts.push(reference.file_name().unwrap().to_str().unwrap());
    for part in parts {
        let path = find(part);
        let bytes = fs::read(path).unwrap();
        let mut damaged = bytes.clone();
        damaged[4..].fill(0xff);
        fs::write(path, damaged).unwrap();
        let output = run(&["verify".as_ref(), "--json".as_ref(), path.as_os_str()]);
        let lines = json_lines(&stdout(&output));
        assert_eq!(
            (code(&output), &lines[0]["path"]),
            (3, &json!(path.to_str().unwrap())),
            "{part}: {lines:#?}"
        );
        fs::write(path, bytes).unwrap();
    }
    let log = find("recovered.edits/00000");
    let mut bytes = fs::read(log).unwrap();
    let middle = bytes.len() / 2;
    bytes[100..middle].fill(0xee);
    fs::write(log, bytes).unwrap();
    assert_eq!(code(&run(&["verify".as_ref(), log.as_os_str()])), 3);
    assert_eq!(code(&run(&["verify".as_ref(), log.parent().unwrap().as_os_str()])), 3);
}

#[test]
fn faults_are_in_the_order_of_the_files_whatever_the_number_of_jobs() {
    let files = [corrupt("flip-data.hfile"), plain(), corrupt("no-such.hfile"), corrupt("flip-data.hfile")];
    let with = |jobs: &str| {
        let mut args = vec!["verify", "--json", "--jobs", jobs];
        args.extend(files.iter().map(String::as_str));
        stdout(&run(&args))
    };
    assert_eq!(with("1"), with("4"));
    assert_eq!(code(&run(&["verify", "--jobs", "0", &plain()])), 2);
}

/// References and links are read as their targets.
#[test]
fn references_and_links_are_read() {
    let table = testdata("region/split-references/root/data/default/halves");
    let (parent, halves) = (
        "36870a128e2b61b11b5b6154f73464e8",
        ["b080bd824b133f7fd142d58caf423392", "93e53ef8671385578b50691051cf8cd5"],
    );
    let file = "fbfd96424b854fcc8968ce6ba9b32467";
    let arg = |path: PathBuf| path.into_os_string().into_string().unwrap();
    let whole = arg(table.join(parent).join("q").join(file));
    let parts = halves.map(|half| arg(table.join(half).join("q").join(format!("{file}.{parent}"))));
    let cells = |path: &str| json_lines(&ok(&["cells", "--json", path]));
    let rows = |cells: &[Value]| cells.iter().map(|cell| cell["row"].to_string()).collect::<Vec<_>>();
    let together = [cells(&parts[0]), cells(&parts[1])];
    assert!(together.iter().all(|half| !half.is_empty()));
    assert_eq!(rows(&together.concat()), rows(&cells(&whole)));
    let count = |path: &str| json_lines(&ok(&["count", "--json", path])).remove(0);
    let sum = |member: &str| parts.iter().map(|half| count(half)[member].as_u64().unwrap()).sum::<u64>();
    assert_eq!(count(&whole), json!({ "rows": sum("rows"), "cells": sum("cells") }));
    let inspected = run(&["inspect", "--json", &parts[0]]);
    assert_eq!(stdout(&inspected), ok(&["inspect", "--json", &whole]));
    assert!(stderr(&inspected).contains("a reference to a half of"), "{}", stderr(&inspected));
    let scanned = json_lines(&ok(&["scan", "--json", "--raw", "--versions", "all", &parts[1]]));
    assert_eq!(rows(&scanned), rows(&together[1]));
    let stats = json_lines(&ok(&["stats", "--json", &parts[1]])).remove(0);
    assert_eq!(stats["cells"], together[1].len());

    let linked = "bd31035abf2d4880b915b52b4d19f223";
    let link = arg(table.join(halves[0]).join("p").join(format!("halves={parent}-{linked}")));
    let whole = arg(table.join(parent).join("p").join(linked));
    assert!(fs::read(&link).unwrap().is_empty());
    for command in [
        &["cells", "--json"][..],
        &["count"],
        &["inspect"],
        &["scan", "--json"],
        &["stats", "--json", "--now", "0"],
    ] {
        let of = |path: &str| ok(&[command, &[path]].concat());
        assert_eq!(of(&link), of(&whole), "{command:?}");
    }
    assert_eq!(code(&run(&["diff", &link, &whole])), 0);
    let out = temp_file("converted-link.hfile", b"");
    ok(&["convert", &link, "--out", &out, "--force"]);
    assert_eq!(code(&run(&["diff", "--ignore-sequence-ids", &out, &whole])), 0);
}

/// A table without its descriptor is still a table: faults in its files are found.
#[test]
fn tables_without_a_descriptor_are_not_left_out() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/clone-references/root"), dir.path());
    let root = dir.path().to_str().unwrap();
    let count = || {
        let output = run(&["count", root, "--json"]);
        let lines = json_lines(&stdout(&output));
        let tables: Vec<_> = lines.iter().map(|line| line["table"].clone()).collect();
        (tables, stderr(&output).contains("no table descriptor"))
    };
    let (before, table) = (count().0, dir.path().join("data/default/joined"));
    assert_eq!(before, [json!("cloned"), json!("joined"), Value::Null]);
    fs::remove_dir_all(table.join(".tabledesc")).unwrap();
    assert_eq!(count(), (before, true));
    assert_eq!(code(&run(&["verify", root])), 0);
    let mut stores = files_below(&table).into_iter().filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.len() == 32 && path.metadata().unwrap().len() > 500
    });
    let store = stores.next_back().unwrap();
    let mut bytes = fs::read(&store).unwrap();
    bytes[60] ^= 1;
    fs::write(&store, bytes).unwrap();
    let output = run(&["verify", root]);
    assert_eq!(code(&output), 3, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains(store.to_str().unwrap()));
}

/// A directory that cannot be read, as on a broken disk, does not hide others.
#[cfg(unix)]
#[test]
fn verify_goes_on_after_a_directory_that_cannot_be_read() {
    use std::os::unix::fs::symlink;

    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/clone-references/root"), dir.path());
    let namespace = dir.path().join("data/default");
    let table = namespace.join("joined");
    let region = table.join("0".repeat(32));
    let targets: [&Path; 3] = [dir.path(), &namespace, &table];
    // Without a descriptor, a table is recognized by its regions.
    let cases = [(namespace.join("loop"), 2, true), (region.clone(), 3, true), (region, 3, false)];
    for (broken, count, has_descriptor) in cases {
        if !has_descriptor {
            fs::remove_dir_all(table.join(".tabledesc")).unwrap();
        }
        for target in &targets[..count] {
            let target = target.to_str().unwrap();
            let sound = json_lines(&ok(&["verify", "--json", target])).remove(0)["summary"].clone();
            // also an error for root, unlike missing permissions
            symlink(&broken, &broken).unwrap();
            let output = run(&["verify", "--json", target]);
            assert_eq!(code(&output), 5, "{target}: {}", stderr(&output));
            let lines = json_lines(&stdout(&output));
            assert_eq!((lines.len(), lines[0]["path"].as_str()), (3, broken.to_str()), "{lines:?}");
            let summary = &lines[1]["summary"];
            assert_eq!((&summary["cells"], &summary["faults"]), (&sound["cells"], &json!(1)), "{target}");
            let files = sound["files"].as_u64().map(|files| files + 1);
            assert_eq!(summary["files"].as_u64(), files, "{target}");
            fs::remove_file(&broken).unwrap();
        }
    }
}

/// Regions that cannot be opened hide no damage of their store files.
#[test]
fn store_files_are_verified_without_region_info_or_descriptor() {
    let source = testdata("region/clone-references/root");
    let sound = json_lines(&ok(&["verify", "--json", source.to_str().unwrap()])).remove(0)["summary"].clone();
    for (lost, new) in
        [(".regioninfo", Some("damaged")), (".regioninfo", None), (".tableinfo", Some("damaged"))]
    {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(&source, dir.path());
        let root = dir.path().to_str().unwrap();
        let verify = || json_lines(&stdout(&run(&["verify", "--json", root])));
        let files = files_below(&dir.path().join("data"));
        let named = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(lost);
        for path in files.iter().filter(named) {
            match new {
                Some(text) => fs::write(path, text).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
        }
        let lines = verify();
        let summary = lines.iter().find_map(|line| line.get("summary")).unwrap();
        let counts = |of: &Value| ["files", "blocks", "cells"].map(|member| of[member].clone());
        assert_eq!(counts(summary), counts(&sound), "{lost} {new:?}: {lines:?}");
        let mut paths = lines.iter().filter_map(|line| line.get("path")?.as_str()).peekable();
        assert!(paths.peek().is_some() && paths.all(|path| path.contains(lost)), "{lost} {new:?}: {lines:?}");
        let once: BTreeSet<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(once.len(), lines.len(), "{lost} {new:?}: {lines:?}");
        let is_store = |path: &&PathBuf| path.file_name().unwrap().len() == 32;
        let store = files.iter().find(is_store).unwrap();
        let mut bytes = fs::read(store).unwrap();
        bytes[60] ^= 1;
        fs::write(store, bytes).unwrap();
        let is_found = |line: &Value| line["path"] == store.to_str().unwrap();
        assert!(verify().iter().any(is_found), "{lost} {new:?}");
    }
}

/// Regions that cannot be opened hide no damage of their recovered edits and recovered HFiles.
#[test]
fn recovered_edits_are_verified_without_region_info_or_descriptor() {
    let name = "98dba62d65639a55f56c67ca8316b411";
    for (lost, new) in
        [(".regioninfo", Some("damaged")), (".regioninfo", None), (".tableinfo", Some("damaged"))]
    {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(&testdata("wal/plain/split"), dir.path());
        let table = dir.path().join("data/default/w1");
        let region = table.join(name);
        let named = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(lost);
        let files = files_below(if lost == ".tableinfo" { &table } else { &region });
        let path = files.iter().find(named).unwrap();
        match new {
            Some(text) => fs::write(path, text).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let faults = || {
            let output = run(&["verify", "--json", table.to_str().unwrap()]);
            assert_eq!(code(&output), if new.is_some() { 3 } else { 5 }, "{lost} {new:?}");
            let mut faults = json_lines(&stdout(&output));
            faults.retain(|line| line.get("path").is_some());
            let paths = faults.iter().map(|fault| PathBuf::from(fault["path"].as_str().unwrap()));
            paths.collect::<Vec<_>>()
        };
        let before = faults();
        assert!(before.iter().all(|fault| named(&fault)), "{lost} {new:?}: {before:?}");

        let log = region.join("recovered.edits/0000000000000000029");
        let mut bytes = fs::read(&log).unwrap();
        let middle = bytes.len() / 2;
        bytes[100..middle].fill(0xee);
        let misplaced = dir.path().join("default/w1").join(name).join("recovered.edits/0000000000000000050");
        let hfile = region.join("a/recovered.hfiles").join("0".repeat(32));
        for path in [&misplaced, &hfile] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        [&log, &misplaced].iter().for_each(|path| fs::write(path, &bytes).unwrap());
        fs::copy(corrupt("flip-data.hfile"), &hfile).unwrap();
        let found = faults();
        let misplaced = misplaced.strip_prefix(dir.path()).unwrap();
        let is_found = |path: &Path| found.iter().any(|fault| fault.ends_with(path));
        assert!([&*log, &*hfile, misplaced].into_iter().all(is_found), "{lost} {new:?}: {found:?}");
        let others = found.iter().filter(|fault| named(fault)).count();
        assert_eq!(others, before.len(), "{lost} {new:?}: {found:?}");
    }
}

/// An entry that cannot be examined hides no others of a region that cannot be opened.
#[cfg(unix)]
#[test]
fn store_files_are_verified_next_to_what_cannot_be_examined() {
    use std::os::unix::fs::symlink;

    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/clone-references/root"), dir.path());
    let region = dir.path().join("data/default/joined/f237048a77d5bd1e16c5faee9577007e");
    let target = region.to_str().unwrap();
    let sound = json_lines(&ok(&["verify", "--json", target])).remove(0)["summary"].clone();
    let info = region.join(".regioninfo");
    fs::write(&info, "damaged").unwrap();
    let loops = [region.join("loop"), region.join("p").join("0".repeat(32))];
    for path in &loops {
        symlink(path, path).unwrap();
    }
    let output = run(&["verify", "--json", target]);
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    let lines = json_lines(&stdout(&output));
    let paths: Vec<_> = lines.iter().filter_map(|line| line.get("path")?.as_str()).collect();
    let faulty = [&info, &loops[0], &loops[1]].map(|path| path.to_str().unwrap());
    assert_eq!(paths, faulty, "{lines:?}");
    let summary = lines.iter().find_map(|line| line.get("summary")).unwrap();
    for member in ["files", "blocks", "cells"] {
        assert_eq!(summary[member], sound[member], "{member}: {lines:?}");
    }
}

/// So are those of a single family.
#[test]
fn store_files_of_a_family_are_verified_although_its_region_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/split-references/root"), dir.path());
    let region = dir.path().join("data/default/halves/93e53ef8671385578b50691051cf8cd5");
    let verify = |expected: i32| {
        let output = run(&["verify".as_ref(), "--json".as_ref(), region.join("q").as_os_str()]);
        assert_eq!(code(&output), expected, "{}", stdout(&output));
        json_lines(&stdout(&output))
    };
    let sound = verify(0).remove(0)["summary"].clone();
    assert!(sound["files"].as_u64().unwrap() > 0);
    let info = region.join(".regioninfo");
    fs::write(&info, "damaged").unwrap();
    let lines = verify(3);
    assert_eq!((lines.len(), &lines[0]["path"]), (2, &json!(info)), "{lines:?}");
    for member in ["files", "blocks", "cells"] {
        assert_eq!(lines[1]["summary"][member], sound[member], "{member}: {lines:?}");
    }
}

/// Outside of a root, only the region info tells which files are those of a region.
#[test]
fn store_files_of_a_copied_region_are_verified_without_region_info() {
    let dir = tempfile::tempdir().unwrap();
    let source = testdata("region/clone-references/root/data/default/joined");
    let name = "f237048a77d5bd1e16c5faee9577007e";
    let (region, family) = (dir.path().join(name), dir.path().join(name).join("p"));
    copy_dir(&source.join(name), &region);
    let mob_file = files_below(&testdata("mob/flushed/root/mobdir")).remove(0);
    fs::copy(&mob_file, family.join(mob_file.file_name().unwrap())).unwrap();
    let is_store = |path: &PathBuf| path.file_name().unwrap().len() >= 32;
    let files: Vec<_> = files_below(&region).into_iter().filter(is_store).collect();
    assert_eq!(files.len(), 5);
    let mut args: Vec<&std::ffi::OsStr> = ["verify", "--json"].map(AsRef::as_ref).to_vec();
    args.extend(files.iter().map(|path| path.as_os_str()));
    let sound = json_lines(&ok(&args)).remove(0)["summary"].clone();
    let info = region.join(".regioninfo");
    fs::write(&info, "damaged").unwrap();
    let verify = |expected: i32| {
        let output = run(&["verify".as_ref(), "--json".as_ref(), region.as_os_str()]);
        let lines = json_lines(&stdout(&output));
        assert_eq!(code(&output), expected, "{lines:?}");
        let summary = lines.iter().find_map(|line| line.get("summary")).unwrap();
        for member in ["files", "blocks", "cells"] {
            assert_eq!(summary[member], sound[member], "{member}: {lines:?}");
        }
        lines.into_iter().filter(|line| line.get("path").is_some()).collect::<Vec<_>>()
    };
    let found = verify(3);
    assert_eq!((found.len(), found[0]["path"].as_str()), (1, info.to_str()), "{found:?}");
    let empty = family.join("e".repeat(32));
    fs::write(&empty, "").unwrap();
    let found = run(&["verify".as_ref(), "--json".as_ref(), region.as_os_str()]);
    let found = json_lines(&stdout(&found));
    assert!(found.iter().any(|line| line["path"] == empty.to_str().unwrap()), "{found:?}");
    fs::remove_file(&empty).unwrap();

    let reference = family.join(format!("{}.{}", "a".repeat(32), "b".repeat(32)));
    let link = family.join(format!("joined={}-{}", "c".repeat(32), "d".repeat(32)));
    fs::write(&reference, "half").unwrap();
    fs::write(&link, "").unwrap();
    let found = verify(4);
    assert_eq!(found.len(), 3, "{found:?}");
    for (fault, (path, what)) in found[1..].iter().zip([(&reference, "a reference, "), (&link, "a link, ")]) {
        assert_eq!((fault["path"].as_str(), &fault["kind"]), (path.to_str(), &json!("Unsupported")));
        assert!(fault["message"].as_str().unwrap().starts_with(what), "{fault}");
    }
    [reference, link].iter().for_each(|path| fs::remove_file(path).unwrap());
    let mut bytes = fs::read(&files[0]).unwrap();
    bytes[60] ^= 1;
    fs::write(&files[0], bytes).unwrap();
    let output = run(&["verify".as_ref(), "--json".as_ref(), region.as_os_str()]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(json_lines(&stdout(&output)).iter().any(|line| line["path"] == files[0].to_str().unwrap()));
}

/// In an object store, the directory of an archived region is removed file by file, the region info first.
#[test]
fn what_is_left_of_an_archived_region_is_no_region() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/clone-references/root"), dir.path());
    let table = dir.path().join("data/default/joined");
    let name = "0123456789abcdef0123456789abcdef";
    let left = table.join(name);
    fs::create_dir_all(left.join("q")).unwrap();
    let verify = || run(&["verify", table.to_str().unwrap()]);
    assert_eq!(code(&verify()), 5, "{}", stderr(&verify()));
    fs::write(table.join(format!(".{name}.emptied")), "").unwrap();
    assert_eq!(code(&verify()), 0, "{}", stderr(&verify()));
    // With a region info, it is archived again first.
    fs::write(left.join(".regioninfo"), "damaged").unwrap();
    assert_eq!(code(&verify()), 3, "{}", stderr(&verify()));
}

#[test]
fn verify_reads_the_mob_files_of_tables() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("mob/flushed/root"), dir.path());
    let mob_files = files_below(&dir.path().join("mobdir"));
    assert_eq!(mob_files.len(), 8);
    let table = dir.path().join("data/default/mob");
    let targets = [dir.path().to_owned(), dir.path().join("data/default"), table, dir.path().join("mobdir")];
    let verify = |target: &Path| {
        let output = run(&["verify".as_ref(), "--json".as_ref(), target.as_os_str()]);
        (code(&output), json_lines(&stdout(&output)))
    };
    let files = targets.each_ref().map(|target| {
        let (code, lines) = verify(target);
        assert_eq!(code, 0, "{lines:#?}");
        lines[0]["summary"]["files"].as_u64().unwrap()
    });
    // two of each of the three families, in two regions
    assert_eq!(files, [20, 20, 20, 8]);
    let damaged = &mob_files[3];
    let mut bytes = fs::read(damaged).unwrap();
    bytes[50] ^= 1;
    fs::write(damaged, bytes).unwrap();
    for target in &targets {
        let (code, lines) = verify(target);
        assert_eq!((code, &lines[0]["path"]), (3, &json!(damaged.to_str().unwrap())), "{lines:#?}");
    }
    // The MOB files of a clone, and of a snapshot, are in the archive.
    for target in ["cloned/root", "compacted/root", "cloned/root/.hbase-snapshot/shot"] {
        let (code, lines) = verify(&testdata("mob").join(target));
        assert_eq!(code, 0, "{target}: {lines:#?}");
        assert!(lines[0]["summary"]["files"].as_u64().unwrap() > 8);
    }
}
