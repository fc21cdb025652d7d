//! Tables with values in MOB files (IS_MOB) are read by every command, and changed by none.

use crate::library::files::{copy_dir, unlocked_contents};
use crate::support::{
    code, golden, has_leftovers, json_lines, last_error, ok, run, stderr, stdout, testdata,
};
use hregion::{Family, Table};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

/// The large values of a table, a clone and a snapshot are also copied into another table.
#[test]
fn large_values_are_copied_into_other_tables() {
    let dir = tempfile::tempdir().unwrap();
    let families = ["m", "n", "p"].map(|name| Family::new(name).max_versions(u32::MAX));
    for (name, from) in [
        ("live", "flushed/root/data/default/mob"),
        ("clone", "compacted/root/data/default/copy"),
        ("snapshot", "cloned/root/.hbase-snapshot/shot"),
    ] {
        let from = text(testdata("mob").join(from));
        Table::create(dir.path(), name, &families, &["row-005"]).unwrap().close().unwrap();
        let to = text(dir.path().join("data/default").join(name));
        let copied = json_lines(&ok(&["copy", "--json", &from, &to])).remove(0);
        assert!(copied["rows"].as_u64().unwrap() > 10, "{copied}");
        assert_eq!(ok(&["diff", &from, &to, "--versions", "all"]), "", "{name}");
        let counted = |at: &str| ok(&["count", at, "--versions", "all"]);
        assert_eq!(counted(&from), counted(&to), "{name}");
        let cells = json_lines(&ok(&["scan", "--json", &to, "--versions", "all"]));
        let is_large = |value: &str| value.len() == 300;
        assert!(cells.iter().any(|cell| is_large(cell["value"].as_str().unwrap())), "{name}");
    }
}

#[test]
fn no_command_changes_a_table_with_mob_files() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    copy_dir(&testdata("mob/cloned/root"), &root);
    let table = root.join("data/default/copy");
    let regions = Table::open_dir(&table, hregion::Region::options()).unwrap().regions();
    let region = text(table.join(regions[0].encoded_name()));
    let (root_text, table, file) = (text(&root), text(&table), golden("small-none-row.hfile"));
    let list = text(dir.path().join("cells.jsonl"));
    fs::write(&list, r#"{"row":"a","family":"p","qualifier":"q","timestamp":1,"type":"Put","value":"v"}"#)
        .unwrap();
    let before = unlocked_contents(&root);
    for line in [
        &["flush", &table][..],
        &["flush", &region],
        &["compact", "--major", &table],
        &["compact", &region],
        &["recover", &region],
        &["recover", "--dry-run", &region],
        &["split", &root_text, "copy", "row-003"],
        &["import", &table, &list],
        &["copy", &file, &table],
        &["copy", &table, &table],
    ] {
        let output = run(&[line, &["--json"]].concat());
        assert_eq!(code(&output), 4, "{line:?}: {}", last_error(&output));
        assert!(last_error(&output)["message"].as_str().unwrap().contains("MOB"), "{line:?}");
        assert!(unlocked_contents(&root) == before && !has_leftovers(&table), "{line:?}");
    }
    // Commands that change nothing are allowed.
    ok(&["compact", "--major", "--dry-run", &table]);
    assert!(unlocked_contents(&root) == before);
}

/// Returns the files of a report's regions that serve no rows, which contain the MOB files.
fn mob_files_of_report(target: &str) -> (Value, Vec<Value>) {
    let report = json_lines(&ok(&["report", "--json", "--no-cells", target])).remove(0);
    let table = report["tables"][0].clone();
    let regions = table["regions"].as_array().unwrap();
    let of_mob: Vec<&Value> = regions.iter().filter(|region| region["serves"] == false).collect();
    assert_eq!(of_mob.len(), 1, "{target}");
    let files = of_mob[0]["files"].as_array().unwrap().clone();
    (report["summary"]["total"].clone(), files)
}

#[test]
fn mob_files_count_in_reports_and_measures_of_tables() {
    // Eight store files in MOB families, four in another; the clone has links, and its own files.
    for (stage, table, files, mob) in [("flushed", "mob", 20, 8), ("cloned", "copy", 30, 12)] {
        let root = testdata("mob").join(stage).join("root");
        let dir = text(root.join("data/default").join(table));
        let measured = json_lines(&ok(&["du", "--json", &dir]));
        let sum = |member: &str| measured.iter().filter_map(|file| file[member].as_u64()).sum::<u64>();
        assert_eq!(measured.len(), files, "{stage}");
        assert!(measured.iter().all(|file| file["table"] == table), "{stage}");
        for target in [&text(&root), &dir] {
            let (total, found) = mob_files_of_report(target);
            assert_eq!(found.len(), mob, "{target}");
            assert!(found.iter().all(|file| file["hfile"]["cells"].as_u64() > Some(0)), "{target}");
            assert_eq!(total["files"], files, "{target}");
            assert_eq!((&total["bytes"], &total["cells"]), (&json!(sum("bytes")), &json!(sum("cells"))));
        }
        let inspected = json_lines(&ok(&["inspect", "--json", &dir])).remove(0);
        let last = inspected["regions"].as_array().unwrap().last().unwrap().clone();
        let families = last["families"].as_array().unwrap().iter();
        let count = families.map(|family| family["files"].as_array().unwrap().len()).sum::<usize>();
        assert_eq!((&last["start"], count), (&json!(".mob"), mob), "{stage}");
    }
    // Only once, even if both directories are given.
    let root = testdata("mob/flushed/root");
    let both = [text(root.join("data")), text(root.join("mobdir"))];
    assert_eq!(json_lines(&ok(&["du", "--json", &both[0], &both[1]])).len(), 20);
    assert_eq!(json_lines(&ok(&["du", "--json", &both[0]])).len(), 20);
}

#[test]
fn statistics_of_files_count_their_values_in_mob_files() {
    let dir = text(testdata("mob/flushed/root/data/default/mob"));
    let bytes = |args: &[&str]| -> u64 {
        let lines = json_lines(&ok(&[&["stats", "--json", &dir][..], args].concat()));
        lines.iter().map(|line| line["bytes"].as_u64().unwrap()).sum()
    };
    let cells = json_lines(&ok(&["scan", "--json", "--versions", "all", &dir]));
    let lengths = cells.iter().map(|cell| cell["value"].as_str().unwrap().len() as u64);
    let large: u64 = lengths.filter(|len| *len == 300).sum();
    assert!(large > 0 && bytes(&[]) > large, "{large}");
    assert_eq!(bytes(&["--by", "file"]), bytes(&[]));
    assert_eq!(bytes(&["--by", "region"]), bytes(&[]));
}

/// Returns a store file of a MOB family.
fn store_file(root: &Path) -> PathBuf {
    let regions = Table::open(root, "mob").unwrap().regions();
    let family = root.join("data/default/mob").join(regions[0].encoded_name()).join("m");
    fs::read_dir(family).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn no_command_prints_the_name_of_a_mob_file_as_a_value_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let root = testdata("mob/flushed/root");
    let file = text(store_file(&root));
    let is_name = |cell: &Value| cell["tags"].as_array().is_some_and(|tags| tags[0]["type"] == 5);
    // Within its root, the values are found.
    let cells = json_lines(&ok(&["scan", "--json", "--versions", "all", &file]));
    assert!(cells.len() > 5 && !cells.iter().any(is_name));
    // Commands for stored cells report once that values are references.
    let out = text(dir.path().join("cells.jsonl"));
    for line in [&["cells", "--json", &file][..], &["convert", &file, "--to", "jsonl", "--out", &out]] {
        let output = run(line);
        assert_eq!(code(&output), 0, "{line:?}");
        assert_eq!(stderr(&output).matches("values are in MOB files").count(), 1, "{line:?}");
    }
    assert!(json_lines(&fs::read_to_string(out).unwrap()).iter().any(is_name));
    let other = text(
        fs::read_dir(root.join("data/default/mob"))
            .unwrap()
            .find_map(|entry| {
                let family = entry.unwrap().path().join("p");
                Some(fs::read_dir(family).ok()?.next()?.unwrap().path())
            })
            .unwrap(),
    );
    assert!(!stderr(&run(&["cells", &other])).contains("MOB"));
    // Elsewhere, the values are not found.
    let copy = text(dir.path().join("0123456789abcdef0123456789abcdef"));
    fs::copy(&file, &copy).unwrap();
    Table::create(dir.path().join("root"), "t", &[Family::new("m")], &[""; 0]).unwrap().close().unwrap();
    let table = text(dir.path().join("root/data/default/t"));
    for line in [&["scan", &copy][..], &["copy", &copy, &table]] {
        let output = run(&[line, &["--json"]].concat());
        assert_eq!(code(&output), 5, "{line:?}");
        assert!(last_error(&output)["message"].as_str().unwrap().contains("MOB files"), "{line:?}");
    }
    assert_eq!(ok(&["scan", "--json", &table]), "");
}

#[test]
fn a_region_is_verified_with_its_mob_files_and_a_root_checked_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    copy_dir(&testdata("mob/flushed/root"), &root);
    let family = store_file(&root).parent().unwrap().to_owned();
    let region = family.parent().unwrap();
    let files = |target: &Path| {
        let lines = json_lines(&ok(&["verify", "--json", &text(target)]));
        lines.last().unwrap()["summary"]["files"].as_u64().unwrap()
    };
    assert_eq!((files(region), files(&family)), (10, 4));
    assert_eq!(ok(&["check", "--json", &text(&root)]).lines().count(), 1);
    let mut mob = unlocked_contents(&root.join("mobdir")).into_keys();
    let of_region = |path: &PathBuf| text(path).ends_with(region.file_name().unwrap().to_str().unwrap());
    let lost = mob.find(|path| of_region(path) && text(path).contains("/m/")).unwrap();
    fs::remove_file(&lost).unwrap();
    for target in [root.as_path(), &root.join("data/default/mob"), region, &family] {
        let output = run(&["verify", "--json", &text(target)]);
        let faults = json_lines(&stdout(&output));
        assert_eq!((code(&output), &faults[0]["path"]), (5, &json!(text(&lost))), "{faults:?}");
    }
    let output = run(&["check", "--json", &text(&root)]);
    let found = json_lines(&stdout(&output));
    assert_eq!((code(&output), found.len()), (3, 2), "{found:?}");
    assert_eq!((&found[0]["kind"], &found[0]["path"]), (&json!("missing_mob_file"), &json!(text(&lost))));
    assert_eq!(found[0]["region"], region.file_name().unwrap().to_str().unwrap());
}
