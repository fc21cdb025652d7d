//! `hregion export --to csv` with typed columns: the lines equal those of a scan, `--check` finds
//! differences, and complete files are reused when a failed export is repeated.
#![cfg(all(unix, feature = "arrow"))]

use crate::batches::{files, table, text};
use crate::support::{code, json_lines, last_error, ok, read_gz, run, stderr};
use hregion::{Put, Region, Table};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const COLUMNS: [&str; 2] = ["--columns", "f:n=long@,f:t=utf8"];

/// Returns the lines for a scan, with the header before each region.
fn expected(table: &Path) -> Vec<String> {
    let header = "row,f:n,f:n_timestamp,f:t";
    let cells = json_lines(&ok(&["scan", "--json", text(table)]));
    let mut lines = Vec::new();
    let mut region = None;
    for row in cells.chunk_by(|a, b| a["row"] == b["row"]) {
        let key = row[0]["row"].as_str().unwrap();
        let start = (key.as_bytes()[0] - b'0') / 2;
        if region.replace(start) != Some(start) {
            lines.push(header.to_owned());
        }
        let cell = |name: &str| row.iter().find(|cell| cell["qualifier"] == name);
        let number = cell("n").map(|cell| {
            let bytes = hregion::cell::from_string_binary(cell["value"].as_str().unwrap());
            (i64::from_be_bytes(bytes.try_into().unwrap()).to_string(), cell["timestamp"].to_string())
        });
        let (number, time) = number.unwrap_or_default();
        // only quotes and empty values occur that need quoting
        let value = cell("t").map(|cell| match cell["value"].as_str().unwrap() {
            value if value.is_empty() || value.contains('"') => format!("\"{}\"", value.replace('"', "\"\"")),
            value => value.to_owned(),
        });
        lines.push(format!("{key},{number},{time},{}", value.unwrap_or_default()));
    }
    lines
}

/// A table of four regions, with null, empty and quoted values.
fn make(root: &Path, rows: usize) -> PathBuf {
    let path = table(root, rows);
    let table = Table::open_with(root, "t", Region::options().writable(true)).unwrap();
    table.put(Put::new("3-null").cell_at("f", "n", 1, [0xff; 8].to_vec())).unwrap();
    table.put(Put::new("3-empty").cell_at("f", "t", 1, "")).unwrap();
    table.put(Put::new("5-quote").cell_at("f", "t", 1, "say \"hi\"")).unwrap();
    table.flush().unwrap();
    table.close().unwrap();
    path
}

#[test]
fn lines_are_those_of_a_scan() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    let path = make(&root, 300);
    for gzip in [false, true] {
        let dir = scratch.path().join(format!("out-{gzip}"));
        let mut args = ["export", "--json", text(&path), "--to", "csv", "--out", text(&dir)].to_vec();
        args.extend(COLUMNS);
        if gzip {
            args.push("--gzip");
        }
        let mut lines = json_lines(&ok(&args));
        let summary = lines.pop().unwrap();
        assert_eq!((lines.len(), &summary["summary"]["rows"]), (4, &Value::from(303)));
        let manifest: Value = serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest["files"].as_array().unwrap(), &lines);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 5);
        let mut found = Vec::new();
        for line in &lines {
            let file = dir.join(line["file"].as_str().unwrap());
            let text = if gzip { read_gz(file) } else { fs::read_to_string(file).unwrap() };
            found.extend(text.lines().map(str::to_owned));
        }
        assert_eq!(found, expected(&path));
        for line in ["3-null,-1,1,", "3-empty,,,\"\"", "5-quote,,,\"say \"\"hi\"\"\""] {
            assert!(found.iter().any(|found| found == line), "{line}");
        }
        let check = || run(&[&args[..], &["--check"]].concat());
        assert_eq!((code(&check()), check().stdout), (0, Vec::new()));
        // another form of the same rows, and other rows
        assert_eq!(code(&run(&[&args[..], &["--check", "--start", "2"]].concat())), 2);
        // a changed file, and a manifest that was changed with it
        let file = dir.join(lines[1]["file"].as_str().unwrap());
        let sound = fs::read(&file).unwrap();
        let mut bytes = sound.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
        let found = json_lines(&String::from_utf8(check().stdout).unwrap());
        assert_eq!((code(&check()), found.len(), &found[0]["file"]), (1, 1, &lines[1]["file"]));
        fs::write(&file, sound).unwrap();
        assert_eq!(code(&check()), 0);
    }
    // a file with one cell less, whose sums match the manifest
    let dir = scratch.path().join("out-false");
    let name = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let file = name.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "csv")).unwrap();
    let lines = fs::read_to_string(&file).unwrap();
    let (shorter, _) = lines.trim_end().rsplit_once('\n').unwrap();
    fs::write(&file, format!("{shorter}\n")).unwrap();
    let path_of_manifest = dir.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path_of_manifest).unwrap()).unwrap();
    for entry in manifest["files"].as_array_mut().unwrap() {
        if file.ends_with(entry["file"].as_str().unwrap()) {
            use sha2::{Digest as _, Sha256};
            let bytes = fs::read(&file).unwrap();
            entry["bytes"] = bytes.len().into();
            entry["sha256"] =
                Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        }
    }
    fs::write(&path_of_manifest, manifest.to_string()).unwrap();
    let args = ["export", text(&path), "--to", "csv", "--out", text(&dir), "--check"];
    let checked = run(&[&args[..], &COLUMNS].concat());
    assert_eq!(code(&checked), 1);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("not those of the source"));
    // a changed source
    let table = Table::open_with(&root, "t", Region::options().writable(true)).unwrap();
    table.put(Put::new("7-00007").cell_at("f", "t", 7, "other")).unwrap();
    table.close().unwrap();
    let dir = scratch.path().join("out-true");
    let args = ["export", text(&path), "--to", "csv", "--gzip", "--out", text(&dir), "--check"];
    let checked = run(&[&args[..], &COLUMNS].concat());
    assert_eq!((code(&checked), String::from_utf8_lossy(&checked.stdout).lines().count()), (1, 1));
}

#[test]
fn what_has_no_place_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 40);
    let dir = scratch.path().join("out");
    let export = |more: &[&str]| {
        run(&[&["export", "--json", text(&path), "--to", "csv", "--out", text(&dir)], more].concat())
    };
    for wrong in [
        &["--columns", "f:n=long,f:t"][..],
        &["--columns", "f:n=number"],
        &["--columns", "f:n=long", "--raw"],
        &["--columns", "f:n=long", "--row-group-bytes", "4K"],
        &["--columns", "f:n", "--check"],
        &["--columns", "f:n", "--invalid-as-null"],
        &["--columns", "f:t=int"],
    ] {
        let refused = export(wrong);
        assert_eq!(code(&refused), 2, "{wrong:?}: {}", stderr(&refused));
        assert!(!dir.exists());
    }
    // JSON has no types; a qualifier that only looks like a typed one is valid
    for (columns, exit) in [("f:n=long", 2), ("f:n=long@,f:t=utf8[]", 2), ("f:n=number", 0), ("f:n,f:t=x", 0)]
    {
        let out = scratch.path().join(columns);
        let args = ["export", text(&path), "--to", "jsonl", "--columns", columns, "--out", text(&out)];
        let exported = run(&args);
        assert_eq!((code(&exported), out.exists()), (exit, exit == 0), "{columns}");
        assert_eq!(
            stderr(&exported).contains("types are only allowed for parquet"),
            exit == 2,
            "{}",
            stderr(&exported)
        );
    }
    assert_eq!(code(&export(&["--columns", "f:t=int", "--invalid-as-null"])), 0);
    let manifest: Value = serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap();
    let invalid = manifest["files"].as_array().unwrap().iter().map(|file| file["invalid"].as_u64().unwrap());
    assert_eq!(invalid.sum::<u64>(), 40);
    // parts of the row key
    let mapping = scratch.path().join("mapping");
    let parts = r#"{"separator":"-","parts":[{"name":"a","type":"utf8"},{"name":"b","type":"binary"}]}"#;
    let columns = r#"[{"column":"f:n","type":"long","name":"n","versions":true}]"#;
    fs::write(&mapping, format!(r#"{{"row":{parts},"columns":{columns}}}"#)).unwrap();
    assert_eq!(code(&export(&["--force", "--mapping", text(&mapping)])), 0);
    let mut lines: Vec<String> = files(&dir)
        .into_iter()
        .filter(|(name, _)| name.extension().is_some_and(|ending| ending == "csv"))
        .flat_map(|(_, bytes)| {
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    assert_eq!((lines.len(), &*lines[0], &*lines[43]), (44, "0,00000,[0]", "a,b,n"));
}

#[test]
fn complete_files_are_kept_when_a_failed_export_is_repeated() {
    let scratch = tempfile::tempdir().unwrap();
    let path = make(&scratch.path().join("root"), 400);
    let (whole, dir, partial) =
        (scratch.path().join("whole"), scratch.path().join("out"), scratch.path().join(".out.partial"));
    let export = |out: &Path, more: &[&str]| {
        let args = ["export", text(&path), "--to", "csv", "--jobs", "1", "--out", text(out)];
        run(&[&args[..], &COLUMNS, more].concat())
    };
    assert_eq!(code(&export(&whole, &[])), 0);
    let expected = files(&whole);
    let timeless = |mut files: BTreeMap<PathBuf, Vec<u8>>| {
        let manifest = files.get_mut(Path::new("manifest.json")).unwrap();
        let mut parsed: Value = serde_json::from_slice(manifest).unwrap();
        assert!(parsed.as_object_mut().unwrap().remove("now").is_some());
        *manifest = parsed.to_string().into_bytes();
        files
    };
    // the third region cannot be read
    let manifest: Value = serde_json::from_slice(&expected[Path::new("manifest.json")]).unwrap();
    let of_region = |at: usize| manifest["files"][at]["encoded"].as_str().unwrap().to_owned();
    let store = fs::read_dir(path.join(of_region(2)).join("f")).unwrap().map(|entry| entry.unwrap().path());
    let store = store.into_iter().find(|path| path.is_file()).unwrap();
    let sound = fs::read(&store).unwrap();
    let mut bytes = sound.clone();
    bytes[40] ^= 1;
    fs::write(&store, bytes).unwrap();
    let failed = export(&dir, &[]);
    assert_eq!(code(&failed), 3, "{}", stderr(&failed));
    assert!(!dir.exists());
    let kept = [0, 1].map(|at| format!("{}.csv", of_region(at)));
    let inodes = |dir: &Path| kept.each_ref().map(|name| dir.join(name).metadata().unwrap().ino());
    let before = inodes(&partial);
    assert!(kept.iter().all(|name| partial.join(format!("{name}.json")).exists()));
    fs::write(&store, &sound).unwrap();
    // a file that was damaged since is written again
    fs::write(partial.join(&kept[1]), "row\n").unwrap();
    assert_eq!(code(&export(&dir, &[])), 0);
    assert!(timeless(files(&dir)) == timeless(expected.clone()) && !partial.exists());
    assert_eq!(inodes(&dir)[0], before[0]);
    assert_ne!(inodes(&dir)[1], before[1]);
    // other options: no file is reused
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&store, &expected[Path::new("manifest.json")]).unwrap();
    assert_eq!(code(&export(&dir, &[])), 3);
    fs::write(&store, &sound).unwrap();
    let before = inodes(&partial);
    assert_eq!(code(&export(&dir, &["--versions", "2"])), 0);
    assert!(inodes(&dir).iter().zip(before).all(|(now, before)| *now != before));
}

/// A directory with the temporary name may belong to others: nothing in it is removed or changed.
#[test]
fn what_others_have_under_the_temporary_name_remains() {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 40);
    let (dir, partial) = (scratch.path().join("out"), scratch.path().join(".out.partial"));
    let export = || {
        let args = ["export", "--json", text(&path), "--to", "csv", "--out", text(&dir)];
        let refused = run(&[&args[..], &COLUMNS].concat());
        assert_eq!(code(&refused), 2, "{}", stderr(&refused));
        assert!(!dir.exists());
        last_error(&refused)["path"].as_str().unwrap().to_owned()
    };
    // a link to a directory
    let other = scratch.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("a.csv"), "theirs").unwrap();
    std::os::unix::fs::symlink(&other, &partial).unwrap();
    assert_eq!(export(), text(&partial));
    assert!(partial.is_symlink() && fs::read_dir(&other).unwrap().count() == 1);
    assert_eq!(fs::read_to_string(other.join("a.csv")).unwrap(), "theirs");
    fs::remove_file(&partial).unwrap();
    // a link to nothing, and a file
    std::os::unix::fs::symlink(scratch.path().join("nothing"), &partial).unwrap();
    assert_eq!(export(), text(&partial));
    fs::remove_file(&partial).unwrap();
    fs::write(&partial, "").unwrap();
    assert_eq!(export(), text(&partial));
    fs::remove_file(&partial).unwrap();
    // files in it, in any order of names
    fs::create_dir(&partial).unwrap();
    let names = ["0.csv", "a.csv", "notes.txt", "z.parquet", "zz.tmp"];
    names.iter().for_each(|name| fs::write(partial.join(name), "theirs").unwrap());
    assert_eq!(export(), text(&partial.join("notes.txt")));
    for name in names {
        assert_eq!(fs::read_to_string(partial.join(name)).unwrap(), "theirs", "{name}");
    }
}
