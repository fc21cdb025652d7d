//! `hregion export`: the files together equal the output of `scan`, and the manifest describes them.

use crate::library::files::{contents, copy_dir};
use crate::support::{code, golden, json_lines, last_error, members, ok, plain, read_gz, run, testdata};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const MEMBERS: [&str; 10] =
    ["file", "table", "region", "encoded", "start", "end", "rows", "cells", "bytes", "sha256"];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns the files of the manifest, after checking them against the directory.
fn files(dir: &Path) -> Vec<Value> {
    let manifest: Value = serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(members(&manifest), ["files", "rows", "cells", "bytes"]);
    let files = manifest["files"].as_array().unwrap().clone();
    for file in &files {
        assert_eq!(members(file), MEMBERS);
        let bytes = fs::read(dir.join(file["file"].as_str().unwrap())).unwrap();
        let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (file["bytes"].as_u64(), file["sha256"].as_str()),
            (Some(bytes.len() as u64), Some(&*sum))
        );
    }
    for member in ["rows", "cells", "bytes"] {
        let sum: u64 = files.iter().map(|file| file[member].as_u64().unwrap()).sum();
        assert_eq!(manifest[member], sum, "{member}");
    }
    assert_eq!(fs::read_dir(dir).unwrap().count(), files.len() + 1);
    files
}

#[test]
fn the_files_of_a_table_have_the_rows_of_a_scan() {
    let scratch = tempfile::tempdir().unwrap();
    for (i, name) in
        ["split-references/root/data/default/halves", "clone-references/root/data/default/joined"]
            .iter()
            .enumerate()
    {
        let table = testdata("region").join(name);
        let scanned = ok(&["scan", "--json", text(&table), "--versions", "all"]);
        assert!(scanned.lines().count() > 10);
        for jobs in ["1", "3"] {
            let dir = scratch.path().join(format!("{i}-{jobs}"));
            let printed = ok(&[
                "export",
                "--json",
                text(&table),
                "--to",
                "jsonl",
                "--out",
                text(&dir),
                "--versions",
                "all",
                "--jobs",
                jobs,
            ]);
            let files = files(&dir);
            assert!(files.len() > 1);
            let mut lines = json_lines(&printed);
            let summary = lines.pop().unwrap();
            assert_eq!((&lines, summary["summary"]["files"].as_u64()), (&files, Some(files.len() as u64)));
            let content =
                |file: &Value| fs::read_to_string(dir.join(file["file"].as_str().unwrap())).unwrap();
            assert_eq!(files.iter().map(content).collect::<String>(), scanned);
            for pair in files.windows(2) {
                assert_eq!(pair[0]["end"], pair[1]["start"]);
            }
            for file in &files {
                let cells = json_lines(&content(file));
                assert_eq!(file["cells"], cells.len());
                let rows = cells.chunk_by(|a, b| a["row"] == b["row"]).count();
                assert_eq!(file["rows"], rows);
                assert!(file["file"].as_str().unwrap().starts_with(file["encoded"].as_str().unwrap()));
            }
        }
    }
}

#[test]
fn ranges_columns_and_formats_are_those_of_a_scan() {
    let scratch = tempfile::tempdir().unwrap();
    let table = testdata("region/split-references/root/data/default/halves");
    let dir = scratch.path().join("csv");
    let select = ["--start", "row-0050", "--stop", "row-0080", "--now", "1800000000000"];
    ok(&[&["export", text(&table), "--to", "csv", "--gzip", "--out", text(&dir)][..], &select].concat());
    let scanned = ok(&[&["scan", text(&table), "--format", "csv"][..], &select].concat());
    let header = scanned.lines().next().unwrap();
    let mut found = vec![header.to_owned()];
    let files = files(&dir);
    assert_eq!(files.len(), 2);
    for file in &files {
        let text = read_gz(dir.join(file["file"].as_str().unwrap()));
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, header);
        found.extend(rest.lines().map(str::to_owned));
    }
    assert!(found.len() > 10);
    assert_eq!(found, scanned.lines().collect::<Vec<_>>());
    let dir = scratch.path().join("file");
    ok(&["export", &plain(), "--to", "jsonl", "--out", text(&dir)]);
    let file = self::files(&dir).remove(0);
    assert_eq!((&file["file"], &file["table"]), (&json!("rows.jsonl"), &Value::Null));
    assert_eq!(fs::read_to_string(dir.join("rows.jsonl")).unwrap(), ok(&["scan", "--json", &plain()]));
}

#[test]
fn only_an_export_is_replaced() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("out");
    let export = |more: &[&str]| {
        run(&[&["export", "--json", &plain(), "--to", "jsonl", "--out", text(&dir)], more].concat())
    };
    assert_eq!(code(&export(&[])), 0);
    assert_eq!(code(&export(&[])), 2);
    assert_eq!(code(&export(&["--force", "--limit-block-bytes", "100"])), 3);
    files(&dir);
    assert_eq!(code(&export(&["--force"])), 0);
    fs::remove_file(dir.join("manifest.json")).unwrap();
    let refused = export(&["--force"]);
    assert_eq!((code(&refused), last_error(&refused)["kind"].as_str()), (2, Some("InvalidArgument")));
    assert!(dir.join("rows.jsonl").exists());
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
}

#[test]
fn files_of_others_are_not_replaced_by_an_export() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("out");
    let export = || run(&["export", "--json", &plain(), "--to", "jsonl", "--out", text(&dir), "--force"]);
    // manifests of other programs
    for manifest in [r#"{"name":"app"}"#, r#"{"files":["main.js","rows.jsonl"]}"#, "[]", "", "files"] {
        fs::create_dir_all(dir.join("src")).unwrap();
        fs::write(dir.join("src/main.js"), "code").unwrap();
        fs::write(dir.join("manifest.json"), manifest).unwrap();
        let refused = export();
        assert_eq!((code(&refused), last_error(&refused)["kind"].as_str()), (2, Some("InvalidArgument")));
        assert_eq!(fs::read(dir.join("src/main.js")).unwrap(), b"code", "{manifest}");
    }
    // an export, and a file that was added beside it
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(code(&export()), 0);
    fs::write(dir.join("notes"), "kept").unwrap();
    let refused = export();
    let message = last_error(&refused)["message"].as_str().unwrap().to_owned();
    assert!(code(&refused) == 2 && message.contains("notes"), "{message}");
    assert_eq!(fs::read(dir.join("notes")).unwrap(), b"kept");
    fs::remove_file(dir.join("notes")).unwrap();
    assert_eq!(code(&export()), 0);
    // a directory with the name of one of its files
    fs::remove_file(dir.join("rows.jsonl")).unwrap();
    fs::create_dir(dir.join("rows.jsonl")).unwrap();
    fs::write(dir.join("rows.jsonl/notes"), "kept").unwrap();
    assert_eq!((code(&export()), fs::read(dir.join("rows.jsonl/notes")).unwrap()), (2, b"kept".to_vec()));
}

/// The directory would be taken for a part of the table.
#[test]
fn nothing_is_exported_into_the_source() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    copy_dir(&testdata("region/clone-references/root"), &root);
    let table = root.join("data/default/joined");
    let is_region = |path: &PathBuf| path.join(".regioninfo").is_file();
    let region = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path()).find(is_region).unwrap();
    let snapshot = fs::read_dir(root.join(".hbase-snapshot")).unwrap().next().unwrap().unwrap().path();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&table, scratch.path().join("link")).unwrap();
    let refused = [
        (&table, table.clone()),
        (&table, table.join("out")),
        (&table, table.join("../joined/out")),
        (&table, region.join("out")),
        (&region, region.join("out")),
        (&region, table.join("abc")),
        (&snapshot, snapshot.join("out")),
        #[cfg(unix)]
        (&table, scratch.path().join("link/out")),
    ];
    let before = contents(scratch.path());
    for (source, out) in &refused {
        for form in ["jsonl", "csv"] {
            let output =
                run(&["export", "--json", text(source), "--to", form, "--out", text(out), "--force"]);
            let message = last_error(&output)["message"].as_str().unwrap().to_owned();
            assert_eq!(code(&output), 2, "{message}");
            assert!(message.starts_with("the output is in the input"), "{}: {message}", out.display());
        }
    }
    assert!(contents(scratch.path()) == before);
    ok(&["export", text(&table), "--to", "jsonl", "--out", text(&root.join("joined"))]);
}

/// Neither a link nor its target is replaced.
#[cfg(unix)]
#[test]
fn links_are_not_replaced_by_an_export() {
    use std::os::unix::fs::symlink;

    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let export = |out: &str, force: &[&str]| {
        run(&[&["export", "--json", &plain(), "--to", "jsonl", "--out", out], force].concat())
    };
    assert_eq!(code(&export(text(&path("real")), &[])), 0);
    let before = fs::read(path("real/manifest.json")).unwrap();
    fs::write(path("file"), "text").unwrap();
    for (link, to) in [("to-directory", "real"), ("to-file", "file"), ("to-nothing", "nothing")] {
        symlink(path(to), path(link)).unwrap();
        let link = path(link);
        for force in [&[][..], &["--force"]] {
            for out in [text(&link).to_owned(), format!("{}/", text(&link))] {
                let refused = export(&out, force);
                // with a slash, a link to nothing or to a file is not a directory
                let is_refused = matches!(code(&refused), 2 | 5);
                assert!(is_refused, "{out}: {}", last_error(&refused));
                assert_eq!(fs::read_link(&link).unwrap(), path(to), "{out}");
            }
            assert_eq!(code(&export(text(&link), force)), 2);
        }
    }
    let refused = export(text(&path("to-directory")), &["--force"]);
    assert!(last_error(&refused)["message"].as_str().unwrap().ends_with("it is a symbolic link"));
    assert_eq!(fs::read(path("real/manifest.json")).unwrap(), before);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 5);
    assert_eq!(code(&export(text(&path("real")), &["--force"])), 0);
}

#[test]
fn nothing_is_left_of_an_export_that_fails() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("out");
    let damaged = scratch.path().join("damaged");
    let mut bytes = fs::read(golden("small-none-row.hfile")).unwrap();
    bytes[2000] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let failed = run(&["export", "--json", text(&damaged), "--to", "csv", "--out", text(&dir)]);
    assert_eq!((code(&failed), last_error(&failed)["kind"].as_str()), (3, Some("Corrupt")));
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
}
