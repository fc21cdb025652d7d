//! Snapshots, rows and files are copied from a bucket and into one.

use super::{
    TABLE, ask, bulk_load_files, files_below, run, table_of, with_each_request, without_sequence_ids,
};
use crate::library::fake_s3::{FakeS3, Manner};
use crate::library::trackers::with_list;
use crate::support::{code, has_leftovers, ok, stderr, stdout, testdata};
use hregion::{Family, Table};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn a_snapshot_of_a_bucket_is_exported() {
    let (server, dir) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let root = testdata("region/clone-references/root");
    server.upload("root", &root);
    let (expected, out) = (dir.path().join("expected"), dir.path().join("out"));
    ok(&["snapshot", "export", root.to_str().unwrap(), "joined-snap", expected.to_str().unwrap()]);
    let expected = files_below(&expected);
    assert!(expected.len() > 3, "{:?}", expected.keys());
    let line = format!("snapshot export s3://bucket/root joined-snap {}", out.display());
    let info = out.join(".hbase-snapshot/joined-snap");
    let prepare = || {
        let _ = fs::remove_dir_all(&out);
    };
    let is_there = |context: &str| assert!(files_below(&out) == expected, "{context}");
    with_each_request(&server, &line, prepare, |exit, context| match exit {
        0 => is_there(context),
        _ => assert!(!info.exists(), "{context}"),
    });
    let scan = |place: &str| stdout(&ask(&server, &format!("scan --raw --versions all {place}")));
    let copied = scan(info.to_str().unwrap());
    assert_eq!(copied, scan("s3://bucket/root/.hbase-snapshot/joined-snap"));
    assert!(copied.len() > 1000);
    // It exists already.
    let output = ask(&server, &line);
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    is_there("nothing is replaced");

    // A server that is gone, a missing file, a damaged one, and a file in place of a copy.
    let hfile = server.keys().into_iter().rfind(|key| {
        let name = key.rsplit('/').next().unwrap();
        name.len() == 32 && key.contains("/data/default/")
    });
    let hfile = hfile.unwrap();
    let sound = {
        let below = hfile.strip_prefix("root/").unwrap();
        fs::read(root.join(below)).unwrap()
    };
    let below = hfile.strip_prefix("root/").unwrap();
    let place = out.join("archive").join(below);
    let other = fs::read(testdata("golden/small-none-row.hfile")).unwrap();
    for fault in ["gone", "missing", "damaged", "in its place"] {
        prepare();
        let exit = match fault {
            "gone" => {
                server.die_at(12, false);
                5
            }
            "missing" => {
                server.remove(&hfile);
                5
            }
            "damaged" => {
                let mut damaged = sound.clone();
                damaged[60] ^= 1;
                server.put(&hfile, damaged);
                3
            }
            _ => {
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                fs::write(&place, &other).unwrap();
                5
            }
        };
        let output = ask(&server, &line);
        assert_eq!(code(&output), exit, "{fault}: {}", stderr(&output));
        assert!(!info.exists(), "{fault}");
        assert_eq!(place.exists(), fault == "in its place", "{fault}");
        server.revive();
        server.put(&hfile, sound.clone());
        if fault == "in its place" {
            assert_eq!(fs::read(&place).unwrap(), other);
            fs::remove_file(&place).unwrap();
        }
        let output = ask(&server, &line);
        assert_eq!(code(&output), 0, "{fault}: {}", stderr(&output));
        is_there(fault);
    }
    // a damaged copy is replaced
    prepare();
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, &sound[..sound.len() / 2]).unwrap();
    let output = ask(&server, &line);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    is_there("half of it");
}

#[test]
fn rows_of_a_bucket_are_copied() {
    let (server, dir) = (FakeS3::start(), tempfile::tempdir().unwrap());
    server.upload("root", &testdata("region/split-references/root"));
    let to = dir.path().join("data/default/t");
    let table = to.to_str().unwrap();
    let from = "s3://bucket/root/data/default/halves";
    let prepare = || drop(table_of(dir.path(), &["p", "q"], &["row-0061"]));
    with_each_request(&server, &format!("copy {from} {table}"), prepare, |exit, context| {
        assert!(!has_leftovers(table), "{context}");
        match exit {
            0 => {
                let output = ask(&server, &format!("diff {from} {table} --versions all"));
                assert_eq!((code(&output), stdout(&output)), (0, String::new()), "{context}");
            }
            _ => assert_eq!(ok(&["count", "--raw", table]), "rows 0\ncells 0\n", "{context}"),
        }
    });
    assert_eq!(code(&run("", &["verify".into(), table.into()])), 0);
}

#[test]
fn files_of_a_bucket_are_loaded() {
    let (server, dir) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let files = bulk_load_files(dir.path());
    fs::write(files.join("_SUCCESS"), "").unwrap();
    server.upload("files", &files);
    let keys = server.keys();
    // A load from a directory moves the files.
    let key = keys.iter().rfind(|key| key.contains("/g/")).unwrap();
    let sound = fs::read(dir.path().join(key)).unwrap();
    let root = dir.path().join("root");
    let to = root.join("data/default/t");
    let table = to.to_str().unwrap();
    let prepare = || drop(table_of(&root, &["f", "g"], &["c", "n"]));
    let line = format!("--json load {table} s3://bucket/files");
    let (none, all) = ("rows 0\ncells 0\n", "rows 300\ncells 300\n");
    let count = || ok(&["count", "--raw", "--versions", "all", table]);
    with_each_request(&server, &line, prepare, |exit, context| {
        assert!(!has_leftovers(table), "{context}");
        assert_eq!(count(), if exit == 0 { all } else { none }, "{context}");
        assert_eq!(server.keys(), keys, "{context}");
    });
    // The same result as from a directory.
    let scan =
        || without_sequence_ids(&ok(&["scan", "--format", "csv", "--raw", "--versions", "all", table]));
    let from_bucket = scan();
    prepare();
    let local = ok(&["--json", "load", table, files.to_str().unwrap()]);
    assert_eq!(scan(), from_bucket);
    prepare();
    let output = ask(&server, &line);
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (found, local) = (parse(&stdout(&output)), parse(&local));
    assert_eq!(found["loaded"], local["loaded"]);
    assert_eq!(found["skipped"], serde_json::json!(["s3://bucket/files/_SUCCESS"]));
    let split = found["split"].as_array().unwrap();
    assert_eq!(split.len(), local["split"].as_array().unwrap().len());
    assert!(split.iter().all(|path| {
        let path = path.as_str().unwrap();
        path.strip_prefix("s3://bucket/").is_some_and(|key| keys.iter().any(|found| found == key))
    }));
    assert_eq!(code(&run("", &["verify".into(), table.into()])), 0);

    // Nothing is loaded if a file is damaged, if the family is unknown, or if the directory has another
    // structure.
    prepare();
    let mut damaged = sound.clone();
    damaged[60] ^= 1;
    server.put(key, damaged);
    let refused = |line: &str, exit: i32| {
        let output = ask(&server, line);
        assert_eq!(code(&output), exit, "{line}: {}{}", stdout(&output), stderr(&output));
        assert_eq!(count(), none, "{line}");
        assert!(!has_leftovers(table), "{line}");
    };
    refused(&line, 3);
    server.put(key, sound.clone());
    server.put("files/h/8e8ab58dcf39412d8e8ab58dcf39412d", sound);
    refused(&line, 2);
    refused(&format!("load {table} s3://bucket/none"), 5);
    refused(&format!("load {table} s3://bucket/files/f"), 2);
    server.upload("root", &testdata("region/bulk-loaded/root"));
    let keys = server.keys();
    let region = keys.iter().find_map(|key| key.strip_suffix("/.regioninfo")).unwrap();
    refused(&format!("load {table} s3://bucket/{region}"), 2);
}

/// Creates a table for such files, with file lists. Returns its root.
fn tracked_table(dir: &Path) -> PathBuf {
    let family = |name: &'static str| with_list(Family::new(name)).max_versions(9);
    let root = dir.join("root");
    Table::create(&root, "t", &[family("f"), family("g")], &["c", "n"]).unwrap().close().unwrap();
    root
}

/// Uploads a table with the families f and g and three regions to a bucket, replacing its content.
fn put_table(server: &FakeS3, root: &Path) {
    server.keys().iter().for_each(|key| server.remove(key));
    server.upload("root", root);
    server.keys().iter().filter(|key| key.ends_with('/')).for_each(|marker| server.remove(marker));
}

/// Removes the locks of processes that could not release them.
fn remove_locks(server: &FakeS3) {
    server.keys().iter().filter(|key| key.ends_with(".hregion.lock")).for_each(|key| server.remove(key));
}

#[test]
fn files_are_loaded_into_a_bucket() {
    let (server, dir) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let files = bulk_load_files(dir.path());
    fs::write(files.join("_SUCCESS"), "").unwrap();
    let root = tracked_table(dir.path());
    let done = |line: &str| {
        let output = ask(&server, line);
        assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    let (none, all) = ("rows 0\ncells 0\n", "rows 300\ncells 300\n");
    let count = || done(&format!("count --raw --versions all {TABLE}"));
    let left =
        || -> Vec<String> { server.keys().into_iter().filter(|key| key.starts_with("files/")).collect() };
    let has_leftovers = || server.keys().iter().any(|key| key.contains("/.tmp/import"));

    // Files in the same bucket are removed.
    let prepare = || {
        put_table(&server, &root);
        server.upload("files", &files);
    };
    prepare();
    assert_eq!(count(), none);
    let line = format!("--json load {TABLE} s3://bucket/files");
    server.take_asked();
    let found: serde_json::Value = serde_json::from_str(&done(&line)).unwrap();
    let requests = server.take_asked().0.len();
    assert_eq!(found["skipped"], serde_json::json!(["s3://bucket/files/_SUCCESS"]));
    assert_eq!((found["loaded"].as_u64(), found["split"].as_array().unwrap().len()), (Some(8), 4));
    assert_eq!((count(), left()), (all.to_owned(), vec!["files/_SUCCESS".to_owned()]));
    for at in (0..requests).step_by(1 + requests / 16) {
        for manner in [Manner::Fails(403), Manner::Cuts] {
            prepare();
            server.behave((0..at).map(|_| Manner::Good).chain([manner]));
            let output = ask(&server, &line);
            server.behave([]);
            let context = format!("{manner:?} at {at} of {requests}: {}", stderr(&output));
            if manner == Manner::Cuts {
                assert_eq!(code(&output), 0, "{context}");
            }
            if code(&output) != 0 {
                remove_locks(&server);
                done(&line);
            }
            assert_eq!((count(), left()), (all.to_owned(), vec!["files/_SUCCESS".to_owned()]), "{context}");
        }
    }
    done(&format!("compact --major {TABLE}"));
    assert_eq!(count(), all);
    let again: serde_json::Value = serde_json::from_str(&done(&line)).unwrap_or_default();
    assert_eq!(again["loaded"], 0, "{again}");

    // Files elsewhere stay, and are loaded again.
    put_table(&server, &root);
    let local = files_below(&files);
    let line = format!("--json load {TABLE} {}", files.display());
    for _ in 0..2 {
        let found: serde_json::Value = serde_json::from_str(&done(&line)).unwrap();
        assert_eq!(found["loaded"], 8);
        assert_eq!(count(), all);
        assert!(files_below(&files) == local && !has_leftovers());
    }
    let scan = || without_sequence_ids(&done(&format!("scan --format csv --raw --versions all {TABLE}")));
    let loaded = scan();
    put_table(&server, &root);
    let cells = dir.path().join("cells");
    done(&format!("import {TABLE} {}", cells.display()));
    assert_eq!((count().as_str(), scan(), has_leftovers()), (all, loaded.clone(), false));
    let copied = dir.path().join("copied");
    server.download("root", &copied);
    put_table(&server, &root);
    done(&format!("copy --versions all {}/data/default/t {TABLE}", copied.display()));
    assert_eq!((count().as_str(), scan(), has_leftovers()), (all, loaded, false));
    let verified = run(&server.endpoint(), &["verify".into(), TABLE.into()]);
    assert_eq!(code(&verified), 0, "{}{}", stdout(&verified), stderr(&verified));

    // Nothing is loaded if a file is damaged, if the family is unknown, or if the directory has another
    // structure.
    put_table(&server, &root);
    server.upload("files", &files);
    let key = left().into_iter().rfind(|key| key.contains("/g/")).unwrap();
    let sound = fs::read(dir.path().join(&key)).unwrap();
    let refused = |line: &str, exit: i32| {
        let output = ask(&server, line);
        assert_eq!(code(&output), exit, "{line}: {}{}", stdout(&output), stderr(&output));
        assert_eq!(count(), none, "{line}");
    };
    server.put("files/h/8e8ab58dcf39412d8e8ab58dcf39412d", sound);
    refused(&format!("load {TABLE} s3://bucket/files"), 2);
    refused(&format!("load {TABLE} s3://bucket/none"), 5);
    refused(&format!("load {TABLE} s3://bucket/files/f"), 2);
    refused(&format!("import {TABLE} {}", dir.path().join("none").display()), 5);
}

/// When the command fails, all files are already removed, and their directory with them.
#[test]
fn a_load_of_which_only_records_are_left_is_repeated() {
    let (server, dir) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let files = bulk_load_files(dir.path());
    let root = tracked_table(dir.path());
    let line = format!("load {TABLE} s3://bucket/files");
    let load = |manners: Vec<Manner>| {
        put_table(&server, &root);
        server.upload("files", &files);
        server.take_asked();
        server.behave(manners);
        let output = ask(&server, &line);
        server.behave([]);
        output
    };
    assert_eq!(code(&load(Vec::new())), 0);
    let requests = server.take_asked().0;
    let last_removal = requests.iter().rposition(|asked| asked.starts_with("DELETE files/")).unwrap();
    // The number of lock requests depends on the time.
    let failed = (last_removal..requests.len()).find(|good| {
        let output = load([vec![Manner::Good; *good], vec![Manner::Fails(403)]].concat());
        code(&output) != 0 && !server.keys().iter().any(|key| key.starts_with("files/"))
    });
    assert!(failed.is_some(), "{requests:?}");
    remove_locks(&server);
    let again = ask(&server, &line);
    assert_eq!(stdout(&again), "loaded 0, split 0, skipped 0\n", "{}", stderr(&again));
    let counted = ask(&server, &format!("count --raw --versions all {TABLE}"));
    assert_eq!(stdout(&counted), "rows 300\ncells 300\n", "{}", stderr(&counted));
    assert_eq!(code(&ask(&server, &line)), 5, "it is complete");
}
