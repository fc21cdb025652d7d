//! Tables with values in MOB files (IS_MOB): read by every command, and changed by none.

use crate::library::files::{copy_dir, unlocked_contents};
use crate::support::{code, golden, has_leftovers, json_lines, last_error, ok, run, testdata};
use hregion::{Family, Table};
use std::fs;
use std::path::Path;

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

/// The rows of a table, a clone and a snapshot have their large values in another table, too.
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
    // What changes nothing is allowed.
    ok(&["compact", "--major", "--dry-run", &table]);
    assert!(unlocked_contents(&root) == before);
}
