//! `hregion diff` of tables, regions and snapshots: exactly the writes made between them.

use crate::library::files::copy_dir;
use crate::support::{code, json_lines, last_error, ok, plain, run, stderr, stdout, testdata};
use hregion::{
    CellRef, CellType, Clock as _, Compaction, Delete, Family, HFileWriter, Put, Region, SeekKey,
    SystemClock, Table,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns side, row, column, timestamp and type of each difference.
fn differences(args: &[&str]) -> Vec<String> {
    let output = run(&[&["diff", "--json"], args].concat());
    let lines: Vec<String> = json_lines(&stdout(&output)).iter().map(shown).collect();
    assert_eq!(code(&output), i32::from(!lines.is_empty()), "{lines:?}");
    lines
}

fn shown(line: &Value) -> String {
    let (side, cell) = (line["side"].as_str().unwrap(), &line["cell"]);
    assert!(cell.get("sequence_id").is_none(), "{cell}");
    let text = |member: &str| cell[member].as_str().unwrap().to_owned();
    let (column, kind) = (format!("{}:{}", text("family"), text("qualifier")), text("type"));
    format!("{side} {} {column} {} {kind}", text("row"), cell["timestamp"])
}

#[test]
fn a_table_is_compared_with_its_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let families = [Family::new("a").max_versions(2), Family::new("b")];
    let table = Table::create(root, "t", &families, &["m"]).unwrap();
    let put = |row: &str, family: &str, time: i64| {
        table.put(Put::new(row.to_owned()).cell_at(family.to_owned(), "q", time, "v")).unwrap();
    };
    for row in ["a", "b", "m", "x"] {
        put(row, "a", 5);
        put(row, "b", 5);
    }
    table.flush().unwrap();
    table.snapshot("before").unwrap();
    let (path, snapshot) = (root.join("data/default/t"), root.join(".hbase-snapshot/before"));
    let both = [text(&snapshot), text(&path)];
    assert_eq!(differences(&both), Vec::<String>::new());
    put("a", "a", 7);
    put("c", "b", 6);
    table.delete(Delete::new("x").column("b", "q")).unwrap();
    let expected = ["right a a:q 7 Put", "right c b:q 6 Put", "left x b:q 5 Put"];
    assert_eq!(differences(&both), expected);
    // A compaction changes files, but not answers.
    table.flush().unwrap();
    table.compact(Compaction::Major).unwrap();
    assert_eq!(differences(&both), expected);
    assert_eq!(differences(&[&both[..], &["--columns", "b"]].concat()), expected[1..]);
    assert_eq!(differences(&[&both[..], &["--start", "b", "--stop", "m"]].concat()), expected[1..2]);
    // With one version each: the new one replaces the other.
    let one = differences(&[&both[..], &["--versions", "1", "--prefix", "a"]].concat());
    assert_eq!(one, ["right a a:q 7 Put", "left a a:q 5 Put"]);
    table.close().unwrap();
    let same = run(&["diff", both[0], both[0]]);
    assert_eq!((code(&same), stdout(&same)), (0, String::new()));
}

/// In one file, a cell expires each millisecond, and the first ones have expired long ago, so the first row
/// of one side is found some time before the other side is opened.
#[test]
fn cells_that_expire_meanwhile_are_no_differences() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("expiring");
    let mut writer = HFileWriter::options().tags(true).create(&path).unwrap();
    let hour = 3_600_000_i64;
    let written = SystemClock.now() - hour;
    for number in 0..120_000 {
        let millis = if number < 100_000 { 1 } else { hour + number - 100_000 };
        // a tag: its length, the type of a time to live, the milliseconds
        let tag = [&[0, 9, 8][..], &millis.to_be_bytes()].concat();
        let row = format!("{number:06}");
        let key = SeekKey::of(row.as_bytes(), b"f", b"q", written, CellType::Put);
        writer.append(CellRef::new(&key, b"").with_tag_bytes(&tag).unwrap()).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(differences(&[text(&path), text(&path), "--versions", "all"]), Vec::<String>::new());
    let expired = ok(&["count", text(&path), "--versions", "all"]);
    assert!(expired.starts_with("rows 1") && !expired.starts_with("rows 120000"), "{expired}");
}

#[test]
fn regions_and_files_of_hbase_are_compared() {
    let root = testdata("region/split-references/root/data/default/halves");
    let regions: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join(".regioninfo").exists())
        .collect();
    assert!(regions.len() > 1);
    for region in &regions {
        assert_eq!(differences(&[text(region), text(region)]), Vec::<String>::new());
    }
    let cells = |path: &Path| -> BTreeSet<String> {
        let mut cells = json_lines(&ok(&["scan", "--json", text(path), "--versions", "all"]));
        cells.iter_mut().for_each(|cell| drop(cell.as_object_mut().unwrap().remove("sequence_id")));
        cells.iter().map(Value::to_string).collect()
    };
    for pair in regions.windows(2) {
        let [left, right] = [cells(&pair[0]), cells(&pair[1])];
        let found = differences(&[text(&pair[0]), text(&pair[1])]);
        let only = |side: &str| found.iter().filter(|line| line.starts_with(side)).count();
        let expected = (left.difference(&right).count(), right.difference(&left).count());
        assert_eq!((only("left"), only("right")), expected);
        assert!(expected != (0, 0));
    }
    // Files are compared as stored if no options are given, otherwise as rows.
    assert_eq!(ok(&["diff", &plain(), &plain()]), "");
    assert_eq!(ok(&["diff", &plain(), &plain(), "--versions", "1"]), "");
    let missing = run(&["diff", "--json", &plain(), "no-such"]);
    assert_eq!((code(&missing), last_error(&missing)["kind"].as_str()), (5, Some("Io")));
}

/// Root directories, with a catalog whose rows have another order, and with a table that exists in only one.
#[test]
fn directories_of_tables_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let root = |name: &str| dir.path().join(name);
    let families = [Family::new("f")];
    for name in ["a", "b"] {
        for table in ["t", "t1", "ns:t"] {
            let table = Table::create(root(name), table, &families, &["m"]).unwrap();
            table.put(Put::new("r").cell_at("f", "q", 5, "v")).unwrap();
            table.flush().unwrap();
            table.close().unwrap();
        }
    }
    let [a, b] = ["a", "b"].map(|name| root(name).display().to_string());
    let namespace = |root: &str| format!("{root}/data/default");
    assert_eq!(ok(&["diff", &a, &a]), "");
    assert_eq!(ok(&["diff", &namespace(&a), &namespace(&b)]), "");
    let table = Table::open_with(root("b"), "t", Region::options().writable(true)).unwrap();
    table.put(Put::new("x").cell_at("f", "q", 5, "more")).unwrap();
    table.flush().unwrap();
    table.close().unwrap();
    Table::delete_table(root("b"), "ns:t", &Region::options()).unwrap();
    let output = run(&["diff", &namespace(&a), &namespace(&b)]);
    assert_eq!(
        (code(&output), stdout(&output).as_str()),
        (1, "table t\n+ K: x/f:q/5/Put/vlen=4/seqid=5 V: more\n")
    );
    let output = run(&["diff", "--json", &a, &b]);
    assert_eq!(code(&output), 1);
    let lines = json_lines(&stdout(&output));
    let cells: Vec<_> =
        lines.iter().map(|line| (&line["table"], &line["side"], &line["cell"]["row"])).collect();
    for expected in [("ns:t", "left", "r"), ("t", "right", "x")] {
        let expected = [expected.0, expected.1, expected.2].map(Value::from);
        let found = cells.iter().filter(|(table, side, row)| [*table, *side, *row] == expected.each_ref());
        assert_eq!(found.count(), 1, "{lines:#?}");
    }
    assert!(lines.iter().all(|line| {
        ["hbase:meta", "hbase:namespace", "ns:t", "t"].contains(&line["table"].as_str().unwrap())
    }));
    let mixed = run(&["diff", &a, &format!("{}/t", namespace(&a))]);
    assert_eq!(code(&mixed), 2, "{}", stderr(&mixed));
}

/// The rows of `hbase:meta` have their own order.
#[test]
fn a_catalog_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (testdata("meta/root/data/hbase/meta"), dir.path().join("data/hbase/meta"));
    copy_dir(&ours, &theirs);
    let region = Region::options().writable(true).open(theirs.join("1588230740")).unwrap();
    region.put(Put::new("new,,1.d41d8cd98f00b204e9800998ecf8427e.").cell("info", "q", "v")).unwrap();
    region.flush().unwrap();
    region.close().unwrap();
    let root = dir.path().join("other");
    Table::create(&root, "t", &[Family::new("info")], &[""; 0]).unwrap().close().unwrap();
    let other = root.join("data/default/t");
    for part in ["", "1588230740", "1588230740/info"] {
        let [ours, theirs] = [&ours, &theirs].map(|meta| text(&meta.join(part)).to_owned());
        assert_eq!(ok(&["diff", &ours, &ours]), "", "{part}");
        let output = run(&["diff", &ours, &theirs]);
        assert_eq!((code(&output), stdout(&output).lines().count()), (1, 1), "{part}: {}", stdout(&output));
    }
    let mixed = run(&["diff", text(&theirs), text(&other)]);
    assert_eq!(code(&mixed), 4, "{}", stderr(&mixed));
}

/// Many cells of one key, which may be in any order within a file.
#[test]
fn many_cells_of_one_key_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, cells: &mut dyn Iterator<Item = (String, i64)>| {
        let path = dir.path().join(name);
        let mut file = HFileWriter::options().create(&path).unwrap();
        let key = SeekKey::of(b"r", b"f", b"q", 5, CellType::Put);
        for (value, seq_id) in cells {
            file.append(CellRef::new(&key, value.as_bytes()).with_seq_id(seq_id)).unwrap();
        }
        file.finish().unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let count = 200_000;
    let cells = |at: i64| (format!("{}", at / 2 * 7919 % count), 0);
    let left = write("left", &mut (0..count).map(cells));
    let right = write("right", &mut (0..count).rev().map(cells));
    assert_eq!(ok(&["diff", &left, &right]), "");
    // a cell that occurs less often in the other file, and one that is missing there
    let more = write("more", &mut (0..count + 1).rev().map(|at| cells(at % (count - 1))));
    let found = run(&["diff", &more, &left, "--json"]);
    let lines = json_lines(&stdout(&found));
    let lines: Vec<_> = lines.iter().map(|line| (&line["side"], &line["cell"]["value"])).collect();
    let (first, last) = (Value::from(cells(0).0), Value::from(cells(count - 1).0));
    let (left_side, right_side) = (Value::from("left"), Value::from("right"));
    assert_eq!(code(&found), 1);
    assert_eq!(lines, [(&left_side, &first), (&left_side, &first), (&right_side, &last)]);
    let limits = ["--limit-memory-bytes", "1M", "--limit-block-bytes", "1G"];
    let refused = run(&[&["diff", &left, &right, "--json"], &limits[..]].concat());
    let error = last_error(&refused);
    assert_eq!(
        (code(&refused), error["kind"].as_str(), error["path"].as_str()),
        (3, Some("Limit"), Some(&*left))
    );
    assert!(error["message"].as_str().unwrap().contains("one key"), "{error}");
}
