//! `hregion check`: no false alarm for directories written by HBase, and a finding for everything that is
//! broken on purpose.

use crate::library::files::copy_dir;
use crate::library::golden;
use crate::library::protobuf::{field, number, varint};
use crate::support::{code, json_lines, last_error, members, run, stderr, stdout, testdata};
use hregion::{Delete, Put, Region, RegionInfo, Scan, TableName};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// The tables of `testdata/region`.
const TABLES: [&str; 5] = ["loaded", "cloned", "joined", "halves", "tracked"];
/// A region of `halves` that was split, and its daughters.
const PARENT: &str = "36870a128e2b61b11b5b6154f73464e8";
const FIRST: &str = "b080bd824b133f7fd142d58caf423392";
const SECOND: &str = "93e53ef8671385578b50691051cf8cd5";
/// A daughter of a split region of `tracked`.
const TRACKED: &str = "50cfdb4114f32bf2118f7ccabaab9d87";
/// The only region of `loaded`.
const LOADED: &str = "150a5eac58323b577aeaa3410203a04e";
/// A region of `cloned`, with links.
const CLONED: &str = "637bb120857c20316dcfda06089d5dca";

fn check(path: &Path) -> Output {
    run(&["check".as_ref(), "--json".as_ref(), path.as_os_str()])
}

/// Returns the findings of errors and warnings, and the summary.
fn findings(output: &Output) -> (Vec<Value>, Value) {
    let mut lines = json_lines(&stdout(output));
    let summary = lines.pop().unwrap()["summary"].clone();
    assert_eq!(
        members(&summary),
        ["tables", "regions", "files", "errors", "warnings", "infos", "meta"],
        "{}",
        stderr(output)
    );
    for line in &lines {
        assert_eq!(members(line), ["kind", "severity", "table", "region", "path", "message", "fix"]);
        assert!(line["fix"].as_str().unwrap().len() > 10);
    }
    lines.retain(|line| line["severity"] != "info");
    (lines, summary)
}

fn kinds(findings: &[Value]) -> Vec<&str> {
    findings.iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
}

fn meta(root: &Path) -> Region {
    Region::options().writable(true).open(root.join("data/hbase/meta/1588230740")).unwrap()
}

/// Changes rows of `hbase:meta`.
fn change_meta(root: &Path, change: impl FnOnce(&Region)) {
    let meta = meta(root);
    change(&meta);
    meta.close().unwrap();
}

/// Returns the key of a region's row.
fn row_of(meta: &Region, encoded: &str) -> Vec<u8> {
    let view = meta.view();
    let scan = Scan::new();
    let mut rows = view.scan(&scan).unwrap();
    while let Some(row) = rows.next_row().unwrap() {
        if String::from_utf8_lossy(row.key()).contains(encoded) {
            return row.key().to_vec();
        }
    }
    panic!("{encoded}")
}

/// A root directory of HBase with a catalog and five tables, all consistent.
pub(crate) fn base() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("meta/root"), dir.path());
    for stage in ["bulk-loaded", "clone-references", "split-references", "tracked-split"] {
        copy_dir(&testdata("region").join(stage).join("root"), dir.path());
    }
    change_meta(dir.path(), |meta| {
        let mut others = Vec::new();
        let view = meta.view();
        let scan = Scan::new();
        let mut rows = view.scan(&scan).unwrap();
        while let Some(row) = rows.next_row().unwrap() {
            let key = String::from_utf8_lossy(row.key()).into_owned();
            if !TABLES.contains(&key.split(',').next().unwrap()) {
                others.push(row.key().to_vec());
            }
        }
        assert!(others.len() > 20);
        others.into_iter().for_each(|row| meta.delete(Delete::new(row)).unwrap());
    });
    dir
}

#[test]
fn a_consistent_root_has_no_errors() {
    let root = base();
    let output = check(root.path());
    assert_eq!(findings(&output).0, [] as [Value; 0], "{}", stdout(&output));
    assert_eq!(code(&output), 0);
    let summary = findings(&output).1;
    assert_eq!((&summary["tables"], &summary["meta"]), (&json!(6), &json!(true)));
    assert!(summary["files"].as_u64() > summary["regions"].as_u64(), "{summary}");
    let lines = json_lines(&stdout(&output));
    let parent = lines.iter().find(|line| line["region"] == PARENT).unwrap();
    assert_eq!((&parent["kind"], &parent["message"]), (&json!("leftover_parent"), &json!("it was split")));
    assert_eq!(lines.iter().filter(|line| line["message"] == "it was merged").count(), 2);
}

/// Directories written by HBase: roots, and whether they have writes that no server has replayed.
fn written() -> Vec<(PathBuf, bool)> {
    let mut roots = vec![(testdata("wal/plain/split"), true), (testdata("wal/plain/recovered/root"), false)];
    let below = |dir: &Path| {
        let mut paths: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let stages =
        |dir: &Path| below(dir).into_iter().map(|stage| (stage.join("root"), false)).collect::<Vec<_>>();
    roots.extend(stages(&testdata("region")));
    if let Some(cluster) = golden::shared("cluster") {
        roots.extend(stages(&cluster.join("tables")));
        for variant in below(&cluster.join("wal")) {
            roots.extend([(variant.join("split"), true), (variant.join("crashed"), false)]);
            roots.push((variant.join("recovered/root"), false));
        }
        assert!(roots.len() > 30, "{}", roots.len());
    }
    roots.retain(|(root, _)| root.exists());
    roots
}

#[test]
fn no_false_alarm_in_what_hbase_wrote() {
    let mut tables = 0;
    for (root, is_split) in written() {
        let output = check(&root);
        let (found, summary) = findings(&output);
        // Their logs were split, but no server has opened the regions yet.
        let only = |found: &[Value]| found.iter().all(|one| one["kind"] == "recovered_edits" && is_split);
        assert!(only(&found), "{}: {found:#?}", root.display());
        assert_eq!((code(&output), &summary["errors"], found.is_empty()), (0, &json!(0), !is_split));
        for namespace in fs::read_dir(root.join("data")).unwrap() {
            for table in fs::read_dir(namespace.unwrap().path()).unwrap() {
                let table = table.unwrap().path();
                let output = check(&table);
                let (found, summary) = findings(&output);
                assert!(only(&found), "{}: {found:#?}", table.display());
                assert_eq!((&summary["tables"], &summary["meta"]), (&json!(1), &json!(false)));
                tables += 1;
            }
        }
    }
    assert!(tables >= 5);
}

#[test]
fn regions_of_the_catalog_without_directories_are_found() {
    let output = check(&testdata("meta/root"));
    assert_eq!(code(&output), 3);
    let found = findings(&output).0;
    assert!(found.iter().all(|one| one["kind"] == "no_directory"), "{found:#?}");
    let severity = |name: &str| found.iter().filter(|one| one["severity"] == name).count();
    // The findings for split regions are warnings.
    assert_eq!((severity("error"), severity("warning")), (26, 6));
}

/// One of a region's store files.
fn any_file(root: &Path, below: &str, wanted: impl Fn(&str) -> bool) -> PathBuf {
    let files = fs::read_dir(root.join(below)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.is_file() && wanted(path.file_name().unwrap().to_str().unwrap())).collect();
    files.sort();
    files.swap_remove(0)
}

/// The message of a region of `table`, with rows from `start` to `end`.
fn region_message(table: &str, id: i64, start: &str, end: &str) -> Vec<u8> {
    let name = [field(1, "default"), field(2, table)].concat();
    let rows = [field(3, start), field(4, end)].concat();
    [number(1, id.cast_unsigned()), field(2, name), rows, number(5, 0), number(6, 0), number(7, 0)].concat()
}

/// Adds a region to the catalog.
fn add_region(root: &Path, table: &str, id: i64, start: &str, end: &str) {
    let message = region_message(table, id, start, end);
    let cell = [b"PBUF".as_slice(), &message].concat();
    let info = RegionInfo::new(TableName::parse(table).unwrap(), start.to_owned(), end.to_owned(), id);
    let encoded = info.unwrap().encoded_name();
    let row = format!("{table},{start},{id}.{encoded}.");
    change_meta(root, |meta| meta.put(Put::new(row).cell("info", "regioninfo", cell)).unwrap());
    write_region_info(root, table, &encoded, &message);
}

fn write_region_info(root: &Path, table: &str, region: &str, message: &[u8]) {
    let dir = root.join("data/default").join(table).join(region);
    fs::create_dir_all(&dir).unwrap();
    let length = varint(message.len() as u64);
    fs::write(dir.join(".regioninfo"), [b"PBUF".as_slice(), &length, message].concat()).unwrap();
}

/// Breaks something. Returns the kind and severity of the expected finding, and its path; with the other
/// kinds that result from it.
type Break = fn(&Path) -> (&'static str, &'static str, PathBuf, &'static [&'static str]);

const HALVES: &str = "data/default/halves";

const BREAKS: &[(&str, Break)] = &[
    ("a region of the catalog has no directory", |root| {
        let path = root.join(HALVES).join(SECOND);
        fs::remove_dir_all(&path).unwrap();
        ("no_directory", "error", path, &[])
    }),
    ("a region is not in the catalog", |root| {
        change_meta(root, |meta| meta.delete(Delete::new(row_of(meta, SECOND))).unwrap());
        ("no_meta_row", "error", root.join(HALVES).join(SECOND), &["hole"])
    }),
    ("rows without a region", |root| {
        change_meta(root, |meta| meta.delete(Delete::new(row_of(meta, SECOND))).unwrap());
        fs::remove_dir_all(root.join(HALVES).join(SECOND)).unwrap();
        ("hole", "error", root.join("data/hbase/meta/1588230740"), &[])
    }),
    ("two regions with the same rows", |root| {
        add_region(root, "halves", 1_900_000_000_000, "row-0050", "row-0070");
        ("overlap", "error", root.join("data/hbase/meta/1588230740"), &["overlap"])
    }),
    ("two regions that begin at one row", |root| {
        add_region(root, "halves", 1_900_000_000_000, "row-0060", "row-0070");
        ("duplicate_start", "error", root.join("data/hbase/meta/1588230740"), &[])
    }),
    ("a directory without a region info", |root| {
        let path = root.join(HALVES).join(SECOND);
        fs::remove_file(path.join(".regioninfo")).unwrap();
        ("no_region_info", "error", path, &[])
    }),
    ("references of a split that HBase has begun, without a region info", |root| {
        let path = root.join(HALVES).join("b".repeat(32));
        fs::create_dir_all(path.join("q")).unwrap();
        fs::write(path.join(format!("q/{}.{SECOND}", "a".repeat(32))), b"x").unwrap();
        ("leftover_tmp", "warning", path, &[])
    }),
    ("a store file without a region info, and without a row in the catalog", |root| {
        let path = root.join(HALVES).join("b".repeat(32));
        fs::create_dir_all(path.join("q")).unwrap();
        fs::write(path.join("q").join("a".repeat(32)), b"x").unwrap();
        ("no_region_info", "error", path, &[])
    }),
    ("edits beside families, without a region info", |root| {
        let path = root.join(HALVES).join("b".repeat(32));
        fs::create_dir_all(path.join("q")).unwrap();
        fs::create_dir_all(path.join("recovered.edits")).unwrap();
        fs::write(path.join("recovered.edits/0000000000000000300"), b"x").unwrap();
        ("no_region_info", "error", path, &[])
    }),
    ("nothing but edits: the region was archived before a log was split", |root| {
        let path = root.join(HALVES).join("b".repeat(32));
        fs::create_dir_all(path.join("recovered.edits")).unwrap();
        fs::write(path.join("recovered.edits/0000000000000000300"), b"x").unwrap();
        ("no_region_info", "warning", path, &[])
    }),
    ("the region info of another region", |root| {
        let path = root.join(HALVES).join(SECOND);
        fs::copy(root.join(HALVES).join(FIRST).join(".regioninfo"), path.join(".regioninfo")).unwrap();
        ("region_info_differs", "error", path, &[])
    }),
    ("the region info of another table", |root| {
        let path = root.join(HALVES).join(SECOND);
        let other = root.join("data/default/loaded").join(LOADED);
        fs::copy(other.join(".regioninfo"), path.join(".regioninfo")).unwrap();
        ("region_info_differs", "error", path, &[])
    }),
    ("a region info with another end key than the catalog", |root| {
        let message = region_message("halves", 1_795_161_822_392, "row-0060", "row-0090");
        write_region_info(root, "halves", SECOND, &message);
        ("region_info_differs", "error", root.join(HALVES).join(SECOND), &[])
    }),
    ("a region info that is cut off", |root| {
        let path = root.join(HALVES).join(SECOND).join(".regioninfo");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        ("unreadable", "error", path, &[])
    }),
    ("a table without a descriptor", |root| {
        let path = root.join(HALVES).join(".tabledesc");
        fs::remove_dir_all(&path).unwrap();
        ("no_descriptor", "error", path, &[])
    }),
    ("a descriptor that is damaged", |root| {
        let path = any_file(root, "data/default/halves/.tabledesc", |_| true);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, vec![0xff; bytes.len()]).unwrap();
        ("unreadable", "error", path, &[])
    }),
    ("a reference to a file that is gone", |root| {
        let of = any_file(root, &format!("{HALVES}/{PARENT}/q"), |_| true);
        fs::remove_file(&of).unwrap();
        let name = of.file_name().unwrap().to_str().unwrap();
        let path = root.join(HALVES).join(FIRST).join("q").join(format!("{name}.{PARENT}"));
        ("dangling_reference", "error", path, &["dangling_reference"])
    }),
    ("a reference that is damaged", |root| {
        let path = any_file(root, &format!("{HALVES}/{FIRST}/q"), |_| true);
        fs::write(&path, b"PBUF\xff\xff").unwrap();
        ("unreadable", "error", path, &[])
    }),
    ("a reference without bytes", |root| {
        let path = any_file(root, &format!("{HALVES}/{FIRST}/q"), |_| true);
        fs::write(&path, b"").unwrap();
        ("empty_file", "error", path, &[])
    }),
    ("a store file without bytes", |root| {
        let path = root.join(HALVES).join(SECOND).join("q").join("a".repeat(32));
        fs::write(&path, b"").unwrap();
        ("empty_file", "error", path, &[])
    }),
    ("a link to a file that is gone", |root| {
        let path = any_file(root, &format!("data/default/cloned/{CLONED}/q"), |_| true);
        let name = path.file_name().unwrap().to_str().unwrap();
        let (region, file) = name.strip_prefix("joined=").unwrap().split_once('-').unwrap();
        fs::remove_file(root.join("data/default/joined").join(region).join("q").join(file)).unwrap();
        ("dangling_link", "error", path, &[])
    }),
    ("a file that is not on the list", |root| {
        let path = root.join("data/default/tracked").join(TRACKED).join("q").join("a".repeat(32));
        fs::write(&path, b"x").unwrap();
        ("untracked_file", "warning", path, &[])
    }),
    ("a file on the list that is gone", |root| {
        let path = any_file(root, &format!("data/default/tracked/{TRACKED}/q"), |_| true);
        fs::remove_file(&path).unwrap();
        ("missing_file", "error", path, &[])
    }),
    ("a name of no store file", |root| {
        let path = root.join(HALVES).join(SECOND).join("q").join("hello.txt");
        fs::write(&path, b"x").unwrap();
        ("unknown_file", "warning", path, &[])
    }),
    ("a family that the table does not have", |root| {
        let path = root.join(HALVES).join(SECOND).join("other");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("a".repeat(32)), b"x").unwrap();
        ("unknown_family", "warning", path, &[])
    }),
    ("sequence ids below those of the catalog", |root| {
        let put = |row| Put::new(row).cell("info", "seqnumDuringOpen", 9999_i64.to_be_bytes().to_vec());
        change_meta(root, |meta| meta.put(put(row_of(meta, SECOND))).unwrap());
        let path = root.join(HALVES).join(SECOND).join("recovered.edits");
        ("sequence_id_behind", "warning", path, &[])
    }),
    ("edits that were not replayed", |root| {
        let dir = root.join(HALVES).join(SECOND).join("recovered.edits");
        fs::write(dir.join("0000000000000000300"), b"x").unwrap();
        ("recovered_edits", "warning", dir.join("0000000000000000300"), &[])
    }),
    ("a table with an unknown state", |root| {
        change_meta(root, |meta| meta.put(Put::new("halves").cell("table", "state", vec![8, 9])).unwrap());
        ("unknown_state", "error", root.join("data/hbase/meta/1588230740"), &[])
    }),
    ("a table without a state", |root| {
        change_meta(root, |meta| meta.delete(Delete::new("halves")).unwrap());
        ("unknown_state", "warning", root.join("data/hbase/meta/1588230740"), &[])
    }),
    ("a state without a table", |root| {
        change_meta(root, |meta| meta.put(Put::new("gone").cell("table", "state", vec![8, 0])).unwrap());
        ("unknown_state", "warning", root.join("data/default/gone"), &[])
    }),
    ("a region with an unknown state", |root| {
        change_meta(root, |meta| {
            meta.put(Put::new(row_of(meta, SECOND)).cell("info", "state", "?")).unwrap();
        });
        ("unknown_state", "error", root.join("data/hbase/meta/1588230740"), &["no_meta_row", "hole"])
    }),
    ("a row of the catalog without a region info", |root| {
        change_meta(root, |meta| {
            let row = row_of(meta, SECOND);
            meta.put(Put::new(row).cell("info", "regioninfo", "PBUF?")).unwrap();
        });
        ("unreadable", "error", root.join("data/hbase/meta/1588230740"), &["no_meta_row", "hole"])
    }),
    ("a table whose removal was interrupted", |root| {
        let path = root.join(".tmp/data/default/old");
        fs::create_dir_all(&path).unwrap();
        ("leftover_tmp", "warning", path, &[])
    }),
    ("a table whose creation was interrupted", |root| {
        let path = root.join("data/default/.new.0123456789abcdef.tmp");
        fs::create_dir_all(&path).unwrap();
        ("unfinished_table", "warning", path, &[])
    }),
    ("an import that failed", |root| {
        let path = root.join(HALVES).join(".tmp/import");
        fs::create_dir_all(&path).unwrap();
        ("unfinished_import", "warning", path, &[])
    }),
    ("a split or merge that HBase has begun", |root| {
        let (id, start, end) = (1_900_000_000_000, "row-0060", "row-0070");
        let info = RegionInfo::new(TableName::parse("halves").unwrap(), start, end, id).unwrap();
        let path = root.join(HALVES).join(info.encoded_name());
        write_region_info(root, "halves", &info.encoded_name(), &region_message("halves", id, start, end));
        ("leftover_tmp", "warning", path, &[])
    }),
    ("a split that was interrupted", |root| {
        let path = root.join(HALVES).join(format!(".change.{}", "a".repeat(32)));
        let text = format!("parent {SECOND}\nchild {}\n", "a".repeat(32));
        fs::write(&path, format!("{text}crc32c {:08x}\n", crc32c(text.as_bytes()))).unwrap();
        ("leftover_tmp", "warning", path, &[])
    }),
];

/// Returns the CRC32C of bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let shift = |sum: u32, _| sum >> 1 ^ 0x82F6_3B78 & (sum & 1).wrapping_neg();
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), shift))
}

#[test]
fn everything_that_is_broken_is_found_and_named() {
    assert!(BREAKS.len() > 25);
    for (what, break_it) in BREAKS {
        let root = base();
        let (kind, severity, path, follows) = break_it(root.path());
        let output = check(root.path());
        let (found, summary) = findings(&output);
        let is_it = |one: &&Value| {
            one["kind"] == kind
                && one["severity"] == severity
                && Path::new(one["path"].as_str().unwrap()) == path
        };
        assert!(found.iter().any(|one| is_it(&one)), "{what}: {found:#?} {}", stderr(&output));
        let mut expected: Vec<&str> = [&[kind], follows].concat();
        let mut all = kinds(&found);
        expected.sort_unstable();
        all.sort_unstable();
        assert_eq!(all, expected, "{what}: {found:#?}");
        let is_error = found.iter().any(|one| one["severity"] == "error");
        assert_eq!(code(&output), if is_error { 3 } else { 0 }, "{what}");
        assert_eq!(summary["errors"].as_u64().unwrap() > 0, is_error);
    }
}

/// The directory's name of the other table's region is before those of the table.
#[test]
fn a_region_of_another_table_does_not_name_the_table() {
    let root = base();
    let table = root.path().join(HALVES);
    let moved = table.join(LOADED);
    copy_dir(&root.path().join("data/default/loaded").join(LOADED), &moved);
    let output = check(&table);
    let differ: Vec<_> = findings(&output).0.into_iter().filter(|one| one["severity"] == "error").collect();
    let [found] = &differ[..] else { panic!("{differ:#?}") };
    assert_eq!((&found["kind"], &found["path"]), (&json!("region_info_differs"), &json!(moved)));
    let output = run(&["scan".as_ref(), table.as_os_str()]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains(&format!("{}: ", moved.display())), "{}", stderr(&output));
}

#[test]
fn infos_are_about_what_is_normal_for_a_while() {
    let root = base();
    let tmp = root.path().join(HALVES).join(SECOND).join(".tmp/q");
    fs::create_dir_all(&tmp).unwrap();
    fs::write(tmp.join("x"), b"x").unwrap();
    let log = root.path().join("WALs/h,1,2/h%2C1%2C2.17");
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    fs::write(&log, b"x").unwrap();
    let log_of_meta = log.with_file_name("h%2C1%2C2.meta.17.meta");
    fs::write(&log_of_meta, b"x").unwrap();
    let deleted = root.path().join(HALVES).join(PARENT).join("deleted");
    fs::create_dir_all(&deleted).unwrap();
    fs::write(deleted.join("a".repeat(32)), b"x").unwrap();
    let descriptor = root.path().join(HALVES).join(".tmp/.tableinfo.0000000002.400");
    fs::create_dir_all(descriptor.parent().unwrap()).unwrap();
    fs::write(&descriptor, b"x").unwrap();
    // the remains of a process that died
    let aside = root.path().join(HALVES).join(".0123456789abcdef.tmp");
    let descriptor_aside = root.path().join(HALVES).join(".tabledesc/.fedcba9876543210.tmp");
    for path in [&aside, &descriptor_aside] {
        fs::write(path, b"x").unwrap();
    }
    // as HBase moves a log and a store file aside, with Hadoop's checksums
    let sidelined =
        ["corrupt/h%2C1%2C2.18", "corrupt/t/0a/f/0b", ".corrupt/h%2C1%2C2.19", "corrupt/t/.0a.crc"]
            .map(|name| root.path().join(name));
    for path in &sidelined {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }
    let [sidelined_log, sidelined_file, sidelined_before, checksum] = sidelined;
    let output = check(root.path());
    assert_eq!((code(&output), findings(&output).0), (0, Vec::new()));
    let lines = json_lines(&stdout(&output));
    for (kind, path) in [
        ("leftover_tmp", tmp.parent().unwrap()),
        ("leftover_tmp", descriptor.parent().unwrap()),
        ("leftover_tmp", &aside),
        ("leftover_tmp", &descriptor_aside),
        ("unknown_family", &deleted),
        ("unsplit_log", &log),
        ("unsplit_log", &log_of_meta),
        ("sidelined_file", &sidelined_log),
        ("sidelined_file", &sidelined_file),
        ("sidelined_file", &sidelined_before),
    ] {
        let is_it = |line: &&Value| line["kind"] == kind && line["path"] == path.to_str().unwrap();
        assert!(lines.iter().any(|line| is_it(&line)), "{kind}: {lines:#?}");
    }
    assert!(lines.iter().all(|line| line["path"] != checksum.to_str().unwrap()), "{lines:#?}");
    // Rows that the catalog has only in its log are not read.
    let of_meta = lines.iter().find(|line| line["path"] == log_of_meta.to_str().unwrap()).unwrap();
    assert!(of_meta["message"].as_str().unwrap().contains("findings about hbase:meta"), "{of_meta}");
}

#[test]
fn regions_of_a_table_are_compared_without_a_catalog() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/split-references/root"), dir.path());
    let table = dir.path().join(HALVES);
    fs::remove_dir_all(table.join(SECOND)).unwrap();
    // The parent serves again, as only one of the daughters remains: several regions have its rows.
    let (found, _) = findings(&check(&table));
    assert_eq!(kinds(&found), ["duplicate_start"], "{found:#?}");
    fs::remove_dir_all(table.join(PARENT)).unwrap();
    let output = check(&table);
    let (found, _) = findings(&output);
    let references = kinds(&found).iter().filter(|kind| **kind == "dangling_reference").count();
    let links = kinds(&found).iter().filter(|kind| **kind == "dangling_link").count();
    assert_eq!((kinds(&found)[0], references, links), ("hole", found.len() - 2, 1), "{found:#?}");
    assert_eq!(code(&output), 3);
}

/// Nothing remains that names the key ranges of the regions, but the regions exist.
#[test]
fn regions_of_a_table_are_found_though_none_is_sound() {
    for (is_cut, has_descriptor, kind) in
        [(true, true, "unreadable"), (true, false, "unreadable"), (false, true, "no_region_info")]
    {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(&testdata("region/split-references/root"), dir.path());
        let table = dir.path().join(HALVES);
        for region in [PARENT, FIRST, SECOND] {
            let info = table.join(region).join(".regioninfo");
            let bytes = fs::read(&info).unwrap();
            fs::remove_file(&info).unwrap();
            if is_cut {
                fs::write(&info, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        if !has_descriptor {
            fs::remove_dir_all(table.join(".tabledesc")).unwrap();
        }
        let output = check(&table);
        let (found, summary) = findings(&output);
        let regions: Vec<&Value> = found.iter().filter(|one| one["kind"] == kind).collect();
        assert!(
            regions.iter().all(|one| one["table"] == "halves" && one["severity"] == "error"),
            "{found:#?}"
        );
        assert_eq!((code(&output), regions.len(), &summary["regions"]), (3, 3, &json!(3)), "{found:#?}");
        assert_eq!(found.len(), 3 + usize::from(!has_descriptor), "no hole: {found:#?}");
        assert_eq!(kinds(&found).contains(&"no_descriptor"), !has_descriptor, "{found:#?}");
    }
    let empty = tempfile::tempdir().unwrap();
    fs::create_dir(empty.path().join(".tabledesc")).unwrap();
    let output = check(empty.path());
    assert_eq!((code(&output), &last_error(&output)["kind"]), (1, &json!("TableNotFound")));
}

/// A directory must not be removed together with files that a load ignores.
#[test]
fn the_fix_of_a_region_without_its_info_loses_no_cells() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("region/split-references/root"), dir.path());
    let table = dir.path().join(HALVES);
    let region = table.join(FIRST);
    fs::remove_file(region.join(".regioninfo")).unwrap();
    let (found, _) = findings(&check(&table));
    let fix = found.iter().find(|one| one["kind"] == "no_region_info").unwrap()["fix"].as_str().unwrap();
    assert!(fix.contains("which skips references, links and recovered edits"), "{fix}");
    let loaded = run(&["load".as_ref(), table.as_os_str(), region.as_os_str()]);
    assert!(stdout(&loaded).ends_with("loaded 0, split 0, skipped 6\n"), "{}", stderr(&loaded));
}

#[test]
fn text_names_the_fix_and_other_targets_are_refused() {
    let root = base();
    fs::remove_dir_all(root.path().join(HALVES).join(SECOND)).unwrap();
    let output = run(&["check".as_ref(), root.path().as_os_str()]);
    let text = stdout(&output);
    assert_eq!(code(&output), 3);
    assert!(text.contains(&format!("error no_directory: {}", root.path().display())), "{text}");
    assert!(text.contains("\n    restore the directory"), "{text}");
    assert!(
        stderr(&output).contains("tables 6, regions 13, files 68, errors 1, warnings 0"),
        "{}",
        stderr(&output)
    );
    let region =
        run(&["check".as_ref(), "--json".as_ref(), root.path().join(HALVES).join(FIRST).as_os_str()]);
    assert_eq!((code(&region), &last_error(&region)["kind"]), (4, &json!("Unsupported")));
}
