//! Tests on real servers, which `.ci/run remote` starts: moto's, with S3's interface, and HDFS.

use super::{
    bulk_load_files, compare, files_below, local_root, put, roots, run, table_of, use_snapshots,
    without_sequence_ids,
};
use crate::support::{code, last_error, plain, stderr, stdout, testdata};
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{CellRef, CellType, Family, Put, Region, SeekKey, Storage as _, Table};
use std::fs;
use std::path::{Path, PathBuf};

/// Every golden root, in a bucket of moto's server: `HREGION_MOTO` is its endpoint.
#[test]
#[ignore = "needs a server"]
fn against_moto() {
    let endpoint = std::env::var("HREGION_MOTO").expect("the endpoint of a server of moto");
    put(&endpoint, "/bucket", &[]);
    let mut compared = 0;
    for (name, root) in roots() {
        upload(&endpoint, &format!("/bucket/{name}"), &root);
        compared += compare(&endpoint, &format!("s3://bucket/{name}"), &root);
    }
    println!("{compared} answers are equal");
    assert!(compared > 50, "{compared}");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let bucket = format!("snapshots-{}", since.as_nanos());
    put(&endpoint, &format!("/{bucket}"), &[]);
    let (dir, _) = local_root();
    remove_empty_dirs(dir.path());
    upload(&endpoint, &format!("/{bucket}/root"), dir.path());
    use_snapshots(&endpoint, &format!("s3://{bucket}"));
}

/// Every golden root, in HDFS: `HREGION_HDFS` is the URL of a directory that contains each root under the
/// name of its directory.
#[test]
#[ignore = "needs a server"]
fn against_hdfs() {
    let base = std::env::var("HREGION_HDFS").expect("the URL of a directory with the roots");
    let roots = roots();
    let compared = roots.iter().map(|(name, root)| compare("", &format!("{base}/{name}"), root));
    let compared: usize = compared.sum();
    println!("{compared} answers are equal");
    assert!(compared > 50, "{compared}");
}

/// Commands that write to a table in HDFS, and those that refuse to while a server's log is open.
#[test]
#[ignore = "needs a server"]
fn writes_against_hdfs() {
    let base = std::env::var("HREGION_HDFS").expect("the URL of a file system");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let root = format!("{base}/tool-{}", since.as_nanos());
    let table = format!("{root}/data/default/t");
    let storage = std::sync::Arc::new(hregion_remote::RemoteOptions::default().build().unwrap());
    let options = Region::options().storage(storage.clone());
    let made = Table::create_with(&root, "t", &[Family::new("f")], &["m"], options).unwrap();
    for (row, value) in [("a", "1"), ("x", "1"), ("a", "2"), ("x", "2")] {
        made.put(Put::new(row).cell("f", "q", value)).unwrap();
        made.region(row).unwrap().flush().unwrap();
    }
    made.put(Put::new("c").cell("f", "q", "logged")).unwrap();
    let regions: Vec<_> = made.regions().iter().map(|region| region.encoded_name()).collect();
    for row in ["a", "x"] {
        made.region(row).unwrap().abort().unwrap();
    }
    drop(made);
    let tool = |line: &str| run("", &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let done = |line: &str| {
        let output = tool(line);
        assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    let scan = |table: &str| without_sequence_ids(&done(&format!("scan --format csv {table}")));

    let log = PathBuf::from(format!("{root}/WALs/h,1,2/h%2C1%2C2.1000"));
    storage.create_dir_all(log.parent().unwrap()).unwrap();
    let mut writer = WalWriterOptions::new().create_in(&*storage, &log).unwrap();
    let key = SeekKey::of(b"y", b"f", b"q", 500, CellType::Put);
    writer.append(&WalKey::new(&*regions[1], "t", 40, 500), [CellRef::new(&key, b"open")]).unwrap();
    writer.sync().unwrap();
    for line in [
        &format!("compact {table}"),
        &format!("snapshot create {table} s"),
        &format!("recover --dry-run {root}"),
        &format!("recover {table}/{}", regions[0]),
    ] {
        let output = tool(&format!("--json {line}"));
        assert_eq!(code(&output), 2, "{line}: {}{}", stdout(&output), stderr(&output));
        let message = last_error(&output)["message"].as_str().unwrap().to_owned();
        assert!(message.contains("has not closed"), "{line}: {message}");
    }
    done(&format!("recover {root}"));
    let before = scan(&table);
    assert!(before.contains("open") && before.contains("logged"), "{before}");

    for line in [
        format!("compact --dry-run {table}"),
        format!("flush {table}"),
        format!("compact --major {table}"),
        format!("snapshot create {table} s"),
        format!("split {root} t b"),
        format!("snapshot clone {root} s u"),
    ] {
        done(&line);
        assert_eq!(scan(&table), before, "{line}");
    }
    assert_eq!(scan(&format!("{root}/data/default/u")), before);
    done(&format!("snapshot restore {root} s"));
    assert_eq!(scan(&table), before);
    done(&format!("snapshot delete {root} s"));
    let listed: Vec<String> = done(&format!("regions t --meta {root}")).lines().map(str::to_owned).collect();
    assert!(listed.len() >= 2, "{listed:?}");
}

/// Commands that copy into HDFS, and from it.
#[test]
#[ignore = "needs a server"]
fn copies_against_hdfs() {
    let base = std::env::var("HREGION_HDFS").expect("the URL of a file system");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let remote = format!("{base}/copies-{}", since.as_nanos());
    let storage = hregion_remote::RemoteOptions::default().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let local = dir.path().to_str().unwrap();
    let tool = |line: &str| run("", &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let done = |line: &str| {
        let output = tool(line);
        assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    let fails = |line: &str, exit: i32, expected: &str| {
        let output = tool(line);
        assert_eq!(code(&output), exit, "{line}: {}{}", stdout(&output), stderr(&output));
        assert!(stderr(&output).contains(expected), "{line}: {}", stderr(&output));
    };

    // A snapshot: into HDFS, to another root there, and back.
    let root = testdata("region/clone-references/root");
    done(&format!("snapshot export {} joined-snap {local}/expected", root.display()));
    let from = root.to_str().unwrap().to_owned();
    for (from, to) in [
        (from.clone(), format!("{remote}/one")),
        (format!("{remote}/one"), format!("{remote}/two")),
        (format!("{remote}/two"), format!("{local}/back")),
    ] {
        done(&format!("snapshot export {from} joined-snap {to}"));
        fails(&format!("snapshot export {from} joined-snap {to}"), 5, "exists");
        let scan =
            |root: &str| done(&format!("scan --raw --versions all {root}/.hbase-snapshot/joined-snap"));
        assert_eq!(scan(&to), scan(&from));
    }
    assert!(files_below(&dir.path().join("back")) == files_below(&dir.path().join("expected")));
    fails(&format!("snapshot export {remote}/two none {local}/none"), 5, "no such snapshot");
    done(&format!("snapshot clone {remote}/two joined-snap u"));
    done(&format!("verify {remote}/two/data/default/u"));

    // Tables: rows copied, cells imported, files loaded, in each direction.
    let families = || ["f", "g", "p", "q"].map(|family| Family::new(family).max_versions(u32::MAX));
    let shared = std::sync::Arc::new(hregion_remote::RemoteOptions::default().build().unwrap());
    let in_hdfs = |name: &str| {
        let options = Region::options().storage(shared.clone());
        let splits = ["c", "n", "row-0061"];
        Table::create_with(&remote, name, &families(), &splits, options).unwrap().close().unwrap();
        format!("{remote}/data/default/{name}")
    };
    let has_leftovers = |table: &str| {
        let entries = storage.list_dir(Path::new(table)).unwrap();
        entries.iter().any(|entry| entry.name.len() != 32 && entry.name != ".tabledesc")
    };
    let halves = testdata("region/split-references/root/data/default/halves");
    let halves = halves.to_str().unwrap();
    let copied = in_hdfs("copied");
    done(&format!("copy {halves} {copied}"));
    assert_eq!(done(&format!("diff {halves} {copied} --versions all")), "");
    let back = table_of(&dir.path().join("root"), &["p", "q"], &["row-0020"]);
    done(&format!("copy {copied} {}", back.display()));
    assert_eq!(done(&format!("diff {halves} {} --versions all", back.display())), "");
    let again = in_hdfs("again");
    done(&format!("copy {copied} {again}"));
    assert_eq!(done(&format!("diff {halves} {again} --versions all")), "");

    let files = bulk_load_files(dir.path());
    let all = "rows 300\ncells 300\n";
    let count = |table: &str| done(&format!("count --raw --versions all {table}"));
    let imported = in_hdfs("imported");
    done(&format!("import {imported} {local}/cells --sort-memory 4K"));
    assert_eq!(count(&imported), all);
    let loaded = in_hdfs("loaded");
    done(&format!("load {loaded} {}", files.display()));
    assert_eq!(count(&loaded), all);
    assert_eq!(done(&format!("diff {imported} {loaded} --versions all")), "");
    assert_eq!(fs::read_dir(files.join("f")).unwrap().count(), 2, "they stay");
    // Files in HDFS are moved, and files copied from there stay.
    let input = format!("{remote}/input");
    for family in ["f", "g"] {
        for file in fs::read_dir(files.join(family)).unwrap() {
            let file = file.unwrap();
            let to = Path::new(&input).join(family).join(file.file_name());
            storage.create_dir_all(to.parent().unwrap()).unwrap();
            let mut writer = storage.create_new(&to).unwrap();
            writer.write_all(&fs::read(file.path()).unwrap()).unwrap();
            writer.sync().unwrap();
        }
    }
    let back = table_of(&dir.path().join("root"), &["f", "g"], &["b"]);
    done(&format!("load {} {input}", back.display()));
    assert_eq!(count(back.to_str().unwrap()), all);
    let moved = in_hdfs("moved");
    done(&format!("load {moved} {input}"));
    assert_eq!(count(&moved), all);
    let left = |family: &str| storage.list_dir(&Path::new(&input).join(family)).unwrap().len();
    assert_eq!((left("f"), left("g")), (0, 0));
    assert_eq!(done(&format!("load {moved} {input}")), "loaded 0, split 0, skipped 0\n");

    // A failing command leaves nothing, and earlier remains are removed.
    let failed = in_hdfs("failed");
    fails(&format!("import {failed} {}", plain()), 3, "");
    fails(&format!("load {failed} {local}/none"), 5, "");
    let (damaged, leftover) = (files.join("g"), Table::import_dir(&failed).join("f/left"));
    let damaged = fs::read_dir(damaged).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[60] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    fails(&format!("load {failed} {}", files.display()), 3, "");
    assert!(!has_leftovers(&failed));
    storage.create_dir_all(leftover.parent().unwrap()).unwrap();
    storage.create_new(&leftover).unwrap().sync().unwrap();
    assert_eq!(count(&failed), "rows 0\ncells 0\n");
    done(&format!("import {failed} {local}/cells"));
    assert_eq!(count(&failed), all);
    for table in [&copied, &again, &imported, &loaded, &moved, &failed] {
        assert!(!has_leftovers(table), "{table}");
        done(&format!("verify {table}"));
    }

    // The shell.
    let shell = |commands: &[&str]| {
        let mut args: Vec<String> = vec!["shell".into(), format!("{remote}/new")];
        commands.iter().for_each(|command| args.extend(["-e".to_owned(), (*command).to_owned()]));
        let output = run("", &args);
        assert_eq!(code(&output), 0, "{commands:?}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    shell(&["create 't', 'f', SPLITS => ['m']", "put 't', 'a', 'f:q', '1'", "put 't', 'x', 'f:q', '2'"]);
    let before = shell(&["scan 't'"]);
    assert!(before.contains("value=1") && before.contains("value=2"), "{before}");
    shell(&["snapshot 't', 's'", "put 't', 'a', 'f:q', '3'", "clone_snapshot 's', 'u'"]);
    assert_eq!(shell(&["scan 'u'"]), before);
    shell(&["disable 't'", "restore_snapshot 's'", "delete_snapshot 's'"]);
    assert_eq!(shell(&["scan 't'"]), before);
    shell(&["split 't', 'c'", "alter 't', NAME => 'g'", "compact 't'"]);
    shell(&["truncate 't'", "disable 'u'", "drop 'u'"]);
    assert!(!shell(&["list", "scan 't'"]).contains("value="));
}

fn upload(endpoint: &str, key: &str, dir: &Path) {
    let mut is_empty = true;
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let below = format!("{key}/{}", entry.file_name().to_str().unwrap().replace('%', "%25"));
        is_empty = false;
        match entry.path().is_dir() {
            true => upload(endpoint, &below, &entry.path()),
            false => put(endpoint, &below, &fs::read(entry.path()).unwrap()),
        }
    }
    if is_empty {
        put(endpoint, &format!("{key}/"), &[]);
    }
}

fn remove_empty_dirs(dir: &Path) {
    let below = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    below.filter(|path| path.is_dir()).for_each(|path| remove_empty_dirs(&path));
    if fs::read_dir(dir).unwrap().next().is_none() {
        fs::remove_dir(dir).unwrap();
    }
}
