//! Relative paths and symbolic links lead to the same table.

use crate::support::{code, hregion, json_lines, last_error, ok, stderr, stdout, testdata};
use hregion::{Family, Put, Table};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TABLE: &str = "data/default/users";

/// A root with a table of two files, and a snapshot of it.
struct Root {
    dir: tempfile::TempDir,
    region: PathBuf,
}

impl Root {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("hbase");
        let table = Table::create(&root, "users", &[Family::new("f")], &[""; 0]).unwrap();
        for value in ["1", "2"] {
            table.put(Put::new("a").cell("f", "q", value)).unwrap();
            table.flush().unwrap();
        }
        table.snapshot("s").unwrap();
        let region = table.region("a").unwrap().path().to_owned();
        table.close().unwrap();
        symlink(root.join(TABLE), dir.path().join("table")).unwrap();
        symlink(&region, dir.path().join("region")).unwrap();
        Self { dir, region }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("hbase")
    }

    /// The working directories, and the paths of the table or the region relative to them.
    fn paths(&self) -> Vec<(PathBuf, PathBuf)> {
        let (outside, root) = (self.dir.path().to_owned(), self.path());
        let name = self.region.file_name().unwrap();
        let region_in_table = Path::new("users").join(name);
        [
            (root.clone(), Path::new(TABLE).to_owned()),
            (root.join("data"), "default/users".into()),
            (root.join("data/default"), "users".into()),
            (root.join("data/default"), "./users".into()),
            (root.join("data/default"), region_in_table),
            (root.join(TABLE), ".".into()),
            (root.join(TABLE), name.into()),
            (self.region.clone(), ".".into()),
            (self.region.clone(), "..".into()),
            (self.region.join("f"), "../../../users".into()),
            (outside.clone(), "table".into()),
            (outside.clone(), "region".into()),
            (outside.clone(), Path::new("table").join(name)),
            (outside.clone(), outside.join("table")),
            (outside.clone(), outside.join("hbase").join(TABLE)),
        ]
        .to_vec()
    }
}

fn run_in(dir: &Path, args: &[&str]) -> Output {
    hregion().current_dir(dir).args(args).output().unwrap()
}

fn names(dir: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(dir) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn values(target: &Path) -> Vec<Value> {
    json_lines(&ok(&["scan", "--json", "--versions", "all", target.to_str().unwrap()]))
}

#[test]
fn replaced_files_are_archived_whatever_the_path() {
    let cases = Root::new().paths().len();
    for case in 0..cases {
        let root = Root::new();
        let (dir, target) = root.paths().swap_remove(case);
        let files = names(&root.region.join("f"));
        let snapshot = root.path().join(".hbase-snapshot/s");
        let before = values(&snapshot);
        let output = run_in(&dir, &["compact", "--major", target.to_str().unwrap()]);
        let context = format!("{} in {}: {}", target.display(), dir.display(), stderr(&output));
        assert_eq!(code(&output), 0, "{context}");
        let archive = root.path().join("archive").join(TABLE).join(root.region.file_name().unwrap());
        assert_eq!(names(&archive.join("f")), files, "{context}");
        assert!(names(&root.region.join("f")).is_disjoint(&files), "{context}");
        assert_eq!(values(&snapshot), before, "{context}");
    }
}

#[test]
fn writes_before_a_recovery_are_refused_whatever_the_path() {
    let root = Root::new();
    let logs = root.path().join("WALs/h,1,2");
    fs::create_dir_all(&logs).unwrap();
    fs::write(logs.join("h%2C1%2C2.3"), "a log").unwrap();
    for (dir, target) in root.paths() {
        let output = run_in(&dir, &["compact", "--major", "--json", target.to_str().unwrap()]);
        let context = format!("{} in {}", target.display(), dir.display());
        assert_ne!(code(&output), 0, "{context}");
        let error = last_error(&output)["message"].as_str().unwrap().to_owned();
        assert!(error.contains("write-ahead log"), "{context}: the logs are looked at: {error}");
    }
}

#[test]
fn archived_files_are_not_loaded_whatever_the_path() {
    let root = Root::new();
    let table = root.path().join(TABLE);
    ok(&["compact", "--major", table.to_str().unwrap()]);
    Table::create(root.path(), "other", &[Family::new("f")], &[""; 0]).unwrap().close().unwrap();
    let other = root.path().join("data/default/other");
    let archived = root.path().join("archive").join(TABLE).join(root.region.file_name().unwrap());
    let link = root.dir.path().join("archived");
    symlink(&archived, &link).unwrap();
    let files = names(&archived.join("f"));
    assert_eq!(files.len(), 2);
    for (dir, input) in [
        (root.path(), archived.clone()),
        (archived.clone(), ".".into()),
        (archived.join("f"), "..".into()),
        (archived.parent().unwrap().to_owned(), archived.file_name().unwrap().into()),
        (root.dir.path().to_owned(), "archived".into()),
        (root.region.clone(), ".".into()),
    ] {
        let args = ["load", other.to_str().unwrap(), input.to_str().unwrap(), "--json"];
        let output = run_in(&dir, &args);
        let context = format!("{} in {}", input.display(), dir.display());
        assert_eq!(last_error(&output)["kind"], "InvalidArgument", "{context}");
        assert_eq!(names(&archived.join("f")), files, "{context}");
    }
}

/// A family is read with the settings of its table, and shown in its region, whatever path names it.
#[test]
fn families_are_those_of_their_region_whatever_the_path() {
    let root = Root::new();
    let (outside, family) = (root.dir.path().to_owned(), root.region.join("f"));
    symlink(&family, outside.join("family")).unwrap();
    let places = [
        (family.clone(), "."),
        (family.clone(), "../f"),
        (root.region.clone(), "f"),
        (root.region.clone(), "./f"),
        (outside, "family"),
    ];
    let full = family.to_str().unwrap();
    for command in [&["scan", "--versions", "all"][..], &["count", "--versions", "all"], &["verify"]] {
        let expected = ok(&[command, &["--json", full]].concat());
        for (dir, path) in &places {
            let output = run_in(dir, &[command, &["--json", *path]].concat());
            let context = format!("{command:?} {path} in {}: {}", dir.display(), stderr(&output));
            assert_eq!((code(&output), stdout(&output)), (0, expected.clone()), "{context}");
        }
    }
    let shown = |dir: &Path, path: &str| {
        let report = json_lines(&stdout(&run_in(dir, &["report", "--json", "--no-cells", path]))).remove(0);
        let table = &report["tables"][0];
        let files = table["regions"][0]["files"].as_array().unwrap();
        let families: BTreeSet<_> = files.iter().map(|file| file["family"].to_string()).collect();
        (table["table"].clone(), table["regions"][0]["encoded"].clone(), files.len(), families)
    };
    let expected = shown(Path::new("/"), full);
    assert_eq!((&expected.0, expected.2), (&Value::from("users"), 2));
    for (dir, path) in &places {
        assert_eq!(shown(dir, path), expected, "{path} in {}", dir.display());
    }
    // A file of the family is shown there, too.
    let file = names(&family).into_iter().find(|name| name.len() == 32).unwrap();
    let expected = shown(Path::new("/"), family.join(&file).to_str().unwrap());
    assert_eq!((&expected.0, expected.2), (&Value::from("users"), 1));
    assert_eq!(shown(&family, &file), expected);
    let checked = run_in(&family, &["cells", "-a", &file]);
    assert_eq!((code(&checked), stderr(&checked).as_str()), (0, ""), "its cells are of the family");
}

/// Logs among the recovered edits of a region do not repeat the fault of its region info.
#[test]
fn the_fault_of_a_region_info_is_found_once_whatever_the_path() {
    let root = Root::new();
    let [edits, family] = ["recovered.edits", "f"].map(|name| root.region.join(name));
    fs::create_dir_all(&edits).unwrap();
    fs::write(edits.join("0000000000000000007"), "").unwrap();
    fs::write(root.region.join(".regioninfo"), "damaged").unwrap();
    let name = root.region.file_name().unwrap().to_str().unwrap();
    for (dir, path) in [
        (Path::new("/"), root.region.to_str().unwrap()),
        (&*root.region, "."),
        (&*family, ".."),
        (root.region.parent().unwrap(), name),
    ] {
        let output = run_in(dir, &["verify", "--json", path]);
        let lines = json_lines(&stdout(&output));
        let faults = lines.iter().filter(|line| line.get("path").is_some()).count();
        assert_eq!((code(&output), faults), (3, 1), "{path} in {}: {lines:?}", dir.display());
    }
}

/// A link or a reference is read as its HFile or its half, also if the path lacks names of directories.
#[test]
fn links_and_references_are_followed_whatever_the_path() {
    let table = testdata("region/split-references/root/data/default/halves").canonicalize().unwrap();
    let (parent, half) = ("36870a128e2b61b11b5b6154f73464e8", "b080bd824b133f7fd142d58caf423392");
    let region = table.join(half);
    let outside = tempfile::tempdir().unwrap();
    symlink(&region, outside.path().join("region")).unwrap();
    let link = format!("halves={parent}-bd31035abf2d4880b915b52b4d19f223");
    let reference = format!("fbfd96424b854fcc8968ce6ba9b32467.{parent}");
    for (family, name) in [("p", &link), ("q", &reference)] {
        let file = Path::new(family).join(name);
        let places = [
            (region.join(family), Path::new(name).to_owned()),
            (region.join(family), Path::new(".").join(name)),
            (region.join("recovered.edits"), Path::new("..").join(&file)),
            (region.join("p"), Path::new("..").join(&file)),
            (region.clone(), file.clone()),
            (table.clone(), Path::new(half).join(&file)),
            (table.join(parent), Path::new("..").join(half).join(&file)),
            (outside.path().to_owned(), Path::new("region").join(&file)),
        ];
        for command in [
            &["cells", "--json"][..],
            &["count", "--json"],
            &["scan", "--json", "--raw", "--versions", "all"],
            &["inspect", "--json"],
            &["verify", "--json"],
        ] {
            let full = region.join(&file);
            let expected = ok(&[command, &[full.to_str().unwrap()]].concat());
            for (dir, path) in &places {
                let output = run_in(dir, &[command, &[path.to_str().unwrap()]].concat());
                let context = format!("{command:?} {} in {}", path.display(), dir.display());
                assert_eq!((code(&output), stdout(&output)), (0, expected.clone()), "{context}");
            }
        }
    }
    // So are those of a region.
    let full = region.to_str().unwrap();
    let without_path = |mut line: Value| {
        line.as_object_mut().unwrap().remove("path");
        line
    };
    let listed = |text: &str| json_lines(text).into_iter().map(without_path).collect::<Vec<_>>();
    let in_namespace = format!("halves/{half}");
    for (dir, path) in [
        (region.clone(), "."),
        (region.join("p"), ".."),
        (table.clone(), half),
        (table.parent().unwrap().to_owned(), in_namespace.as_str()),
        (outside.path().to_owned(), "region"),
    ] {
        let context = format!("{path} in {}", dir.display());
        for command in ["verify", "du"] {
            let output = run_in(&dir, &[command, "--json", path]);
            assert_eq!(code(&output), 0, "{command} {context}: {}", stderr(&output));
            assert_eq!(
                listed(&stdout(&output)),
                listed(&ok(&[command, "--json", full])),
                "{command} {context}"
            );
        }
        let report = json_lines(&stdout(&run_in(&dir, &["report", "--json", "--no-cells", path]))).remove(0);
        let files = &report["summary"]["total"]["files"];
        assert_eq!((files, &report["unread"]), (&Value::from(5), &Value::Array(Vec::new())), "{context}");
    }
    // The name of a file of recovered edits is a sequence id in that directory only.
    let output = run_in(&region.join("recovered.edits"), &["verify", "203.seqid"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

/// A pipe in place of one of HBase's files is an error that names it. If it were opened, the command would
/// hang.
#[test]
fn pipes_among_files_are_not_opened() {
    let root = Root::new();
    let table = root.path().join(TABLE);
    let server = root.path().join("WALs/h,1,2");
    fs::create_dir_all(&server).unwrap();
    let (lock, log) = (root.region.join(".hregion.lock"), server.join("h%2C1%2C2.3"));
    let descriptor = table.join(".tabledesc/.tableinfo.0000000009");
    let store_file = root.region.join("f").join("a".repeat(32));
    for (pipe, command, target, expected) in [
        (&store_file, "scan", &table, 5),
        (&store_file, "verify", &root.region, 5),
        (&store_file, "check", &table, 3),
        (&descriptor, "scan", &table, 5),
        (&descriptor, "count", &root.region, 5),
        (&lock, "flush", &root.region, 5),
        (&log, "verify", &root.path().join("WALs"), 4),
    ] {
        if pipe.exists() {
            fs::remove_file(pipe).unwrap();
        }
        assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
        let output = run_in(&root.path(), &[command, target.to_str().unwrap()]);
        let found = stdout(&output) + &stderr(&output);
        assert_eq!(code(&output), expected, "{command}: {found}");
        let place = format!("{}: ", pipe.display());
        assert!(found.contains(&place) && found.contains("not a regular file"), "{command}: {found}");
        fs::remove_file(pipe).unwrap();
    }
}

/// A symbolic link to nothing among the store files makes reads fail.
#[test]
fn a_link_to_nothing_is_found_by_check() {
    let root = Root::new();
    let link = root.region.join("f").join("a".repeat(32));
    symlink("missing", &link).unwrap();
    let table = root.path().join(TABLE);
    let output = run_in(&root.path(), &["check", table.to_str().unwrap()]);
    let found = stdout(&output);
    assert_eq!(code(&output), 3, "{found}");
    assert!(found.contains(&format!("error unreadable: {}: cannot open", link.display())), "{found}");
}
