//! `hregion split`, `hregion merge`.

use crate::library::files::copy_dir;
use crate::support::{code, json_lines, last_error, ok, run, stderr, testdata, unread};
use hregion::{Family, Put, Table};
use serde_json::Value;
use std::fs;

/// The names of the directories of regions.
fn dirs(table: &str) -> Vec<String> {
    let names = fs::read_dir(table).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}

/// The regions are printed even if they cannot be compacted: they have replaced the old one.
#[test]
fn a_split_is_printed_before_a_compaction_fails() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let table = Table::create(root, "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    for row in ["a", "m", "z"] {
        table.put(Put::new(row).cell("f", "q", "a value that is flipped")).unwrap();
    }
    let region = table.region("a").unwrap();
    region.flush().unwrap();
    let family = region.path().join("f");
    table.close().unwrap();
    let files: Vec<_> = fs::read_dir(family).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let mut bytes = fs::read(file).unwrap();
    let at = bytes.windows(5).position(|bytes| bytes == b"value").unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
    let split = run(&["split", "--compact", "--json", root, "t", "m"]);
    assert_eq!(code(&split), 3, "{}", String::from_utf8_lossy(&split.stderr));
    let lines = json_lines(&String::from_utf8(split.stdout).unwrap());
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0]["error"].is_null() && lines[1]["error"].is_null());
    assert!(lines[2]["error"].is_object());
    assert_eq!(Table::open(root, "t").unwrap().regions().len(), 2);
}

/// The bounds of the regions are longer than a buffer: printing them fails before the compaction.
#[test]
fn a_split_is_compacted_though_no_one_reads_the_new_regions() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let table = Table::create(root, "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    for row in [vec![0_u8], vec![1; 30_000], vec![2]] {
        table.put(Put::new(row).cell("f", "q", "v")).unwrap();
    }
    table.close().unwrap();
    let split = unread(&["split", "--compact", "--json", root, "t", &"\\x01".repeat(30_000)]);
    assert_eq!((code(&split), stderr(&split).as_str()), (0, "1 region moved to the archive\n"));
    let path = format!("{root}/data/default/t");
    assert_eq!(dirs(&path).len(), 2);
    assert_eq!(ok(&["count", &path]), "rows 3\ncells 3\n");
}

#[test]
fn a_table_is_split_and_merged_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let table = Table::create(root, "ns:t", &[Family::new("f")], &[] as &[&str]).unwrap();
    for row in ["a", "m", "z"] {
        table.put(Put::new(row).cell("f", "q", row)).unwrap();
    }
    table.close().unwrap();
    let path = dir.path().join("data/ns/t");
    let path = path.to_str().unwrap();
    let before = ok(&["scan", path]);
    let regions = json_lines(&ok(&["split", "--json", root, "ns:t", "m"]));
    let ends: Vec<(&Value, &Value)> =
        regions.iter().map(|region| (&region["start"], &region["end"])).collect();
    assert_eq!(ends, [(&"".into(), &"m".into()), (&"m".into(), &"".into())]);
    assert_eq!(ok(&["scan", path]), before);
    assert_eq!(json_lines(&ok(&["regions", "--json", "ns:t", "--meta", root])), regions);
    let again = run(&["split", root, "ns:t", "c"]);
    assert_eq!(code(&again), 4, "the daughters have references");
    assert_eq!(code(&run(&["split", root, "ns:t", "m"])), 2, "a region begins there");
    assert_eq!(code(&run(&["split", root, "ns:u", "m"])), 1);
    let [first, second] = [0, 1].map(|i| format!("{path}/{}", regions[i]["encoded"].as_str().unwrap()));
    ok(&["compact", "--major", &first]);
    assert_eq!(dirs(path).len(), 3, "the second region needs the old one");
    ok(&["compact", "--major", &second]);
    assert_eq!(dirs(path).len(), 3, "it is not the table that was compacted");
    let compacted = run(&["compact", path]);
    let said = String::from_utf8(compacted.stderr.clone()).unwrap();
    assert_eq!((code(&compacted), said.as_str()), (0, "1 region moved to the archive\n"));
    assert_eq!(dirs(path).len(), 2);
    assert_eq!(ok(&["scan", path]), before);
    let names: Vec<&str> = regions.iter().map(|region| region["encoded"].as_str().unwrap()).collect();
    assert_eq!(code(&run(&["merge", root, "ns:t", names[0], "0123"])), 2);
    let refused = run(&["merge", root, "ns:t", names[0], names[0]]);
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains(&format!("region {} cannot be merged with itself", names[0])));
    let merged = json_lines(&ok(&["merge", "--compact", "--json", root, "ns:t", names[1], names[0]]));
    assert_eq!((merged.len(), &merged[0]["start"], &merged[0]["end"]), (1, &"".into(), &"".into()));
    assert_eq!(ok(&["scan", path]), before);
    assert_eq!(dirs(path), [merged[0]["encoded"].as_str().unwrap()]);
}

/// HBase has a single region of it. The error used to be about a lock, as if another process had it open.
#[test]
fn the_catalog_is_not_split() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("meta/root"), dir.path());
    let refused = run(&["split", dir.path().to_str().unwrap(), "hbase:meta", "m"]);
    let said = stderr(&refused);
    assert_eq!(code(&refused), 4, "{said}");
    assert!(said.contains("a split of hbase:meta is not supported"), "{said}");
}

/// A mistyped option is not used as the row, at which the region would be split.
#[test]
fn a_mistyped_option_is_no_row() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    Table::create(root, "t", &[Family::new("f")], &[] as &[&str]).unwrap().close().unwrap();
    let path = format!("{root}/data/default/t");
    for command in [
        &["split", &path][..],
        &["split", root, "t"],
        &["get", &path],
        &["explain", "get", &path],
        &["locate", "--meta", root, "t"],
        &["seek", &path],
    ] {
        let refused = run(&[command, &["--compct"]].concat());
        let said = stderr(&refused);
        assert_eq!(code(&refused), 2, "{command:?}: {said}");
        assert!(said.contains("neither an option nor a row"), "{command:?}: {said}");
        assert_eq!(dirs(&path).len(), 1, "{command:?}");
    }
    let regions = json_lines(&ok(&["split", "--json", &path, "\\x2D-compct"]));
    assert_eq!(regions[1]["start"], "--compct");
}

#[test]
fn regions_are_split_and_merged_by_their_directories() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let table = Table::create(root, "t", &[Family::new("f")], &["c"]).unwrap();
    for row in ["a", "b", "d", "e"] {
        table.put(Put::new(row).cell("f", "q", row)).unwrap();
    }
    let [first, second] = ["a", "d"].map(|row| {
        let region = table.region(row).unwrap();
        region.path().to_str().unwrap().to_owned()
    });
    table.close().unwrap();
    let path = format!("{root}/data/default/t");
    let before = ok(&["scan", &path]);
    let wrong = run(&["split", &first, "e", "--json"]);
    assert_eq!((code(&wrong), last_error(&wrong)["kind"].as_str()), (2, Some("WrongRegion")));
    assert_eq!(code(&run(&["split", root, "b"])), 2, "a root needs the name of a table");
    let split = json_lines(&ok(&["split", &first, "b", "--compact", "--json"]));
    assert_eq!((split.len(), &split[1]["start"], &split[1]["end"]), (2, &"b".into(), &"c".into()));
    let region = format!("{path}/{}", split[1]["encoded"].as_str().unwrap());
    // of a table, the region that contains the row
    let split = json_lines(&ok(&["split", "--json", "--compact", &path, "e"]));
    assert_eq!((split.len(), &split[0]["start"], &split[0]["end"]), (2, &"c".into(), &"e".into()));
    assert!(!fs::exists(&second).unwrap());
    for other in [dir.path().to_str().unwrap(), "0123", &region] {
        assert_eq!(code(&run(&["merge", &region, other])), 2, "{other}");
    }
    assert_eq!(code(&run(&["merge", &path, &region])), 2, "it is no region");
    assert_eq!(code(&run(&["merge", root, "t", &region])), 2, "one argument is missing");
    let other = format!("{path}/{}", split[0]["encoded"].as_str().unwrap());
    let merged = json_lines(&ok(&["merge", "--compact", "--json", &other, &region]));
    assert_eq!((merged.len(), &merged[0]["start"], &merged[0]["end"]), (1, &"b".into(), &"e".into()));
    let last = split[1]["encoded"].as_str().unwrap();
    let region = format!("{path}/{}", merged[0]["encoded"].as_str().unwrap());
    let merged = json_lines(&ok(&["merge", "--json", &region, last]));
    assert_eq!((&merged[0]["start"], &merged[0]["end"]), (&"b".into(), &"".into()));
    assert_eq!(ok(&["scan", &path]), before);
}

#[test]
fn a_region_that_was_split_is_not_written() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name).into_os_string().into_string().unwrap();
    let root = path("root");
    let commands = ["create 't', 'f'", "put 't', 'a', 'f:q', '1'", "put 't', 'z', 'f:q', '2'"];
    ok(&[&["shell", &root][..], &commands.map(|command| ["-e", command]).concat()].concat());
    let under_root = path("root/data/default/t");
    let parent = dirs(&under_root).remove(0);
    ok(&["split", &root, "t", "m"]);
    // outside a root directory, replaced files are removed
    let alone = path("alone");
    fs::rename(&under_root, &alone).unwrap();
    let before = ok(&["scan", &alone]);
    let region = format!("{alone}/{parent}");
    for args in [
        vec!["compact", "--major", &region],
        vec!["compact", "--major", "--dry-run", &region],
        vec!["flush", &region],
        vec!["recover", &region],
        vec!["recover", "--dry-run", &region],
        vec!["shell", &region, "-e", "put 't', 'b', 'f:q', '3'"],
    ] {
        let refused = run(&args);
        assert_eq!(code(&refused), 2, "{args:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains("was split or merged"), "{args:?}: {}", stderr(&refused));
    }
    assert_eq!(ok(&["scan", &alone]), before);
    // it is not known that it was split while a region beside it cannot be read
    let child = dirs(&alone).into_iter().find(|name| *name != parent).unwrap();
    let info = format!("{alone}/{child}/.regioninfo");
    fs::rename(&info, path("aside")).unwrap();
    fs::create_dir_all(format!("{info}/x")).unwrap();
    let refused = run(&["flush", &region]);
    assert_eq!(code(&refused), 5, "{}", stderr(&refused));
    fs::remove_dir_all(&info).unwrap();
    fs::rename(path("aside"), &info).unwrap();
    for child in dirs(&alone).iter().filter(|name| **name != parent) {
        ok(&["compact", "--major", &format!("{alone}/{child}")]);
    }
    assert_eq!(ok(&["scan", &alone]), before);
}
