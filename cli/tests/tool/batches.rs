//! `hregion export --to parquet` and `arrow`: the remains of an export that was cut off are reused, the files
//! equal those of an uninterrupted export, and `--check` finds differences from the source.
#![cfg(all(unix, feature = "arrow"))]

use crate::library::files::copy_dir;
use crate::support::{code, hregion, json_lines, ok, run, stderr, testdata};
use hregion::{Durability, Family, ManualClock, Put, Region, Table};
use hregion_arrow::files::{BatchFile, FileFormat};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// The time that determines which cells have expired.
const NOW: &str = "1800000000000";

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns the files of a directory with their bytes.
pub(crate) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().into(), fs::read(&path).unwrap())).collect()
}

/// A table of four regions.
pub(crate) fn table(root: &Path, rows: usize) -> PathBuf {
    let table = Table::create(root, "t", &[Family::new("f").max_versions(2)], &["2", "4", "6"]).unwrap();
    for row in 0..rows {
        let put = Put::new(format!("{}-{row:05}", row % 8)).cell_at(
            "f",
            "n",
            5,
            (row as u64).to_be_bytes().to_vec(),
        );
        let put = put.cell_at("f", "t", 6, format!("text {row}"));
        table.put(put.durability(Durability::SkipWal)).unwrap();
    }
    table.flush().unwrap();
    table.close().unwrap();
    root.join("data/default/t")
}

#[test]
fn exports_are_those_of_their_source() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    copy_dir(&testdata("region/clone-references/root"), &root);
    let joined = root.join("data/default/joined");
    for (i, form) in ["parquet", "arrow"].into_iter().enumerate() {
        let dir = scratch.path().join(format!("out-{i}"));
        let options = ["--to", form, "--versions", "all", "--out", text(&dir)];
        let args = [&["export", "--json", text(&joined)][..], &options].concat();
        let mut lines = json_lines(&ok(&args));
        let summary = lines.pop().unwrap();
        let count = json_lines(&ok(&["count", "--json", text(&joined), "--versions", "all"])).remove(0);
        assert_eq!(summary["summary"]["cells"], count["cells"]);
        let manifest: Value = serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap();
        assert_eq!(manifest["files"].as_array().unwrap(), &lines);
        assert!(lines.iter().all(|line| line["contents"].as_str().is_some_and(|sum| sum.len() == 64)));
        assert_eq!(ok(&[&args[..], &["--check"]].concat()), "");
        assert_eq!(code(&run(&args)), 2);
        // options other than the export's
        assert_eq!(code(&run(&[&args[..], &["--check", "--start", "a"]].concat())), 2);
        // a changed file
        let name = dir.join(lines[0]["file"].as_str().unwrap());
        let mut bytes = fs::read(&name).unwrap();
        bytes[20] ^= 1;
        fs::write(&name, bytes).unwrap();
        let checked = run(&[&args[..], &["--check"]].concat());
        let found = json_lines(&String::from_utf8(checked.stdout.clone()).unwrap());
        assert_eq!((code(&checked), found.len(), &found[0]["file"]), (1, 1, &lines[0]["file"]));
        assert_eq!(code(&run(&[&args[..], &["--force"]].concat())), 0);
        assert_eq!(ok(&[&args[..], &["--check"]].concat()), "");
    }
    let path = table(&scratch.path().join("own"), 100);
    let dir = scratch.path().join("out");
    let args =
        ["export", text(&path), "--to", "parquet", "--columns", "f:n=long@,f:t=utf8", "--out", text(&dir)];
    ok(&args);
    assert_eq!(ok(&[&args[..], &["--check"]].concat()), "");
    // a file that readers of the directory would also read
    let file = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let file =
        file.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "parquet")).unwrap();
    for (name, is_read) in [("_SUCCESS", false), (".part.parquet.crc", false), ("more.parquet", true)] {
        fs::copy(&file, dir.join(name)).unwrap();
        let checked = run(&[&args[..], &["--check"]].concat());
        let expected = if is_read { "more.parquet: the manifest does not list it\n" } else { "" };
        assert_eq!(String::from_utf8(checked.stdout.clone()).unwrap(), expected);
        assert_eq!(code(&checked), i32::from(is_read));
        fs::remove_file(dir.join(name)).unwrap();
    }
    // a changed source
    let table = Table::open_with(scratch.path().join("own"), "t", Region::options().writable(true)).unwrap();
    table.put(Put::new("3-00003").cell_at("f", "t", 7, "other")).unwrap();
    table.close().unwrap();
    let checked = run(&[&args[..], &["--check"]].concat());
    assert_eq!((code(&checked), String::from_utf8_lossy(&checked.stdout).lines().count()), (1, 1));
    // a manifest that lists one more file
    let manifest = dir.join("manifest.json");
    let mut listed: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let mut other = listed["files"][0].clone();
    other["file"] = "\x1b[2J.parquet".into();
    listed["files"].as_array_mut().unwrap().push(other);
    fs::write(&manifest, listed.to_string()).unwrap();
    let checked = run(&[&args[..], &["--check"]].concat());
    let lines = String::from_utf8(checked.stdout).unwrap();
    assert!(lines.contains("\\x1B[2J.parquet: ") && !lines.contains('\x1b'), "{lines:?}");
    // and one that lists a file twice
    let other = listed["files"][0].clone();
    listed["files"].as_array_mut().unwrap().push(other);
    fs::write(&manifest, listed.to_string()).unwrap();
    assert_eq!(code(&run(&[&args[..], &["--check"]].concat())), 3);
}

/// A filter may end the scan in a region whose file is damaged or missing: the files of later regions are
/// still correct.
#[test]
fn a_damaged_file_does_not_make_others_differ() {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 100);
    for form in ["parquet", "arrow"] {
        let dir = scratch.path().join(form);
        let filter = ["--filter", "WHILE RowFilter(!=, 'substring:4-')"];
        let args = [&["export", "--json", text(&path), "--to", form, "--out", text(&dir)][..], &filter];
        let args = args.concat();
        let files = json_lines(&ok(&args));
        let rows: Vec<_> = files[..4].iter().map(|file| file["rows"].as_u64().unwrap()).collect();
        assert!(rows[0] > 0 && rows[1] > 0 && rows[2..] == [0, 0], "{rows:?}");
        assert_eq!(ok(&[&args[..], &["--check"]].concat()), "");
        let name = dir.join(files[2]["file"].as_str().unwrap());
        let mut bytes = fs::read(&name).unwrap();
        bytes[20] ^= 1;
        fs::write(&name, bytes).unwrap();
        let checked = run(&[&args[..], &["--check"]].concat());
        let found = json_lines(&String::from_utf8(checked.stdout.clone()).unwrap());
        assert_eq!((code(&checked), found.len()), (1, 1), "{found:?}");
        assert_eq!(found[0]["file"], files[2]["file"]);
        fs::remove_file(&name).unwrap();
        let checked = run(&[&args[..], &["--check"]].concat());
        let expected = json!({"file": files[2]["file"], "message": "there is no such file"});
        let found = json_lines(&String::from_utf8(checked.stdout.clone()).unwrap());
        assert_eq!((code(&checked), found), (1, vec![expected]));
    }
}

#[test]
fn a_manifest_of_more_than_64_mib_is_read() {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 8);
    let dir = scratch.path().join("out");
    let args = ["export", text(&path), "--to", "parquet", "--out", text(&dir)];
    ok(&args);
    let manifest = dir.join("manifest.json");
    let mut json = fs::read(&manifest).unwrap();
    json.resize((64 << 20) + 1, b' ');
    fs::write(&manifest, json).unwrap();
    assert_eq!(ok(&[&args[..], &["--check"]].concat()), "");
}

#[test]
fn an_equals_sign_of_a_qualifier_is_no_type() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    let table = Table::create(&root, "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    table.put(Put::new("r").cell_at("f", "a=b", 7, "x").cell_at("f", "a", 7, "y")).unwrap();
    table.close().unwrap();
    let (path, dir) = (root.join("data/default/t"), scratch.path().join("out"));
    let export = |columns: &str| {
        ok(&["export", text(&path), "--to", "csv", "--columns", columns, "--out", text(&dir), "--force"]);
        let files = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        let csv = files.filter(|path| path.extension().is_some_and(|extension| extension == "csv"));
        csv.map(|path| fs::read_to_string(path).unwrap()).collect::<String>()
    };
    assert_eq!(export("f:a\\x3Db=utf8"), "row,f:a=b\nr,x\n");
    // a row for each cell
    let cells = export("f:a\\x3Db");
    assert!(cells.lines().count() == 2 && cells.contains("a=b,7,Put,x"), "{cells}");
}

#[test]
fn types_are_those_of_the_mapping() {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 40);
    let dir = scratch.path().join("out");
    let export = |more: &[&str]| {
        run(&[&["export", "--json", text(&path), "--to", "parquet", "--out", text(&dir)], more].concat())
    };
    for wrong in [
        &["--columns", "f:n=long,f:t"][..],
        &["--columns", "f:n=number"],
        &["--columns", "f:n=long", "--raw"],
        &["--invalid-as-null"],
        &["--gzip"],
        // values that do not have the type
        &["--columns", "f:t=int"],
    ] {
        let refused = export(wrong);
        assert_eq!(code(&refused), 2, "{wrong:?}: {}", stderr(&refused));
    }
    let refused = export(&["--columns", "f:t=int"]);
    let error = stderr(&refused) + &String::from_utf8_lossy(&refused.stdout);
    assert!(error.contains("f:t") && error.contains("text"), "{error}");
    let lines = json_lines(&ok(&[
        "export",
        "--json",
        text(&path),
        "--to",
        "parquet",
        "--out",
        text(&dir),
        "--columns",
        "f:t=int",
        "--invalid-as-null",
    ]));
    let invalid: u64 = lines.iter().filter_map(|line| line["invalid"].as_u64()).sum();
    assert_eq!(invalid, 40);
    let mapping = scratch.path().join("mapping");
    let parts = r#"{"separator":"-","parts":[{"name":"a","type":"utf8"},{"name":"b","type":"utf8"}]}"#;
    let columns = r#"[{"column":"f:n","type":"long"}]"#;
    fs::write(&mapping, format!(r#"{{"row":{parts},"columns":{columns}}}"#)).unwrap();
    assert_eq!(code(&export(&["--force", "--mapping", text(&mapping)])), 0);
    // a mapping names all columns to be read
    for columns in ["f:t", "f:t=utf8", "f"] {
        let refused = export(&["--force", "--mapping", text(&mapping), "--columns", columns]);
        assert_eq!(code(&refused), 2, "{columns}");
        let error = stderr(&refused) + &String::from_utf8_lossy(&refused.stdout);
        assert!(error.contains("--columns: not allowed with --mapping"), "{error}");
    }
    fs::write(&mapping, r#"{"columns":[{"column":"f:n","kind":"long"}]}"#).unwrap();
    assert_eq!(code(&export(&["--force", "--mapping", text(&mapping)])), 2);
}

#[test]
fn an_export_that_was_cut_off_is_continued() {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 4000);
    let (whole, dir, partial) =
        (scratch.path().join("whole"), scratch.path().join("out"), scratch.path().join(".out.partial"));
    let export = |out: &Path| {
        let mut command = hregion();
        command.args(["export", text(&path), "--to", "parquet", "--columns", "f:n=long,f:t=utf8", "--out"]);
        command
            .arg(out)
            .args(["--row-group-bytes", "4K", "--jobs", "1", "--now", NOW])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    assert!(export(&whole).status().unwrap().success());
    let expected = files(&whole);
    assert_eq!(expected.len(), 5);
    // complete files, a part of a file, a temporary file, and a file of another export
    fs::create_dir(&partial).unwrap();
    let names: Vec<_> =
        expected.keys().filter(|name| name.extension().is_some_and(|e| e == "parquet")).collect();
    for name in &names[..2] {
        fs::copy(whole.join(name), partial.join(name)).unwrap();
        describe(&partial.join(name), &json!(NOW.parse::<i64>().unwrap()));
    }
    let bytes = &expected[names[2]];
    fs::write(partial.join(names[2]), &bytes[..bytes.len() / 2]).unwrap();
    // a complete file that was damaged later, not at its end
    let mut bytes = expected[names[1]].clone();
    bytes[40] ^= 1;
    fs::write(partial.join(names[1]), bytes).unwrap();
    fs::write(partial.join(".0123.tmp"), "a part").unwrap();
    fs::write(partial.join("gone.parquet"), "of a region that is gone").unwrap();
    let kept = partial.join(names[0]).metadata().unwrap().ino();
    assert!(export(&dir).status().unwrap().success());
    assert!(files(&dir) == expected && !partial.exists());
    assert_eq!(dir.join(names[0]).metadata().unwrap().ino(), kept);
    fs::remove_dir_all(&dir).unwrap();
    // another process that writes to the same directory
    fs::create_dir(&partial).unwrap();
    let locked = fs::File::open(&partial).unwrap();
    locked.lock().unwrap();
    let refused = export(&dir).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(code(&refused), 5, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("another process") && !dir.exists(), "{}", stderr(&refused));
    drop(locked);
    // processes that are killed
    let mut kills = 0;
    for micros in (0..40).map(|step| 1500 * step) {
        let mut child = export(&dir).spawn().unwrap();
        thread::sleep(Duration::from_micros(micros));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        if dir.exists() {
            break;
        }
    }
    assert!(dir.exists() || export(&dir).status().unwrap().success());
    assert!(kills > 0 && files(&dir) == expected && !partial.exists(), "{kills} kills");
    fs::remove_dir_all(&dir).unwrap();
    // a disk that accepts only some kilobytes of a file
    let script = "ulimit -f 6; exec \"$0\" \"$@\"";
    let command = export(&dir);
    let mut limited = Command::new("sh");
    limited.args(["-c", script]).arg(command.get_program()).args(command.get_args());
    let failed = limited.output().unwrap();
    assert_eq!(code(&failed), 5, "{}", stderr(&failed));
    assert!(stderr(&failed).contains("File too large"), "{}", stderr(&failed));
    assert!(!dir.exists() && export(&dir).status().unwrap().success());
    assert!(files(&dir) == expected);
    // files that do not belong to an export are never removed
    fs::remove_dir_all(&dir).unwrap();
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("notes.txt"), "mine").unwrap();
    assert!(!export(&dir).status().unwrap().success());
    assert!(partial.join("notes.txt").exists() && !dir.exists());
}

/// Another process writes to the directory that the export replaces.
#[test]
fn an_export_that_cannot_be_renamed_is_continued() {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 8);
    let (dir, partial) = (scratch.path().join("out"), scratch.path().join(".out.partial"));
    let export =
        || run(&["export", text(&path), "--to", "parquet", "--now", NOW, "--force", "--out", text(&dir)]);
    assert_eq!(code(&export()), 0);
    let expected = files(&dir);
    let locked = fs::File::open(&dir).unwrap();
    locked.lock().unwrap();
    assert_eq!(code(&export()), 5);
    let identities = |dir: &Path| {
        let names = expected.keys().filter(|name| name.extension().is_some_and(|e| e == "parquet"));
        names.map(|name| dir.join(name).metadata().unwrap().ino()).collect::<Vec<_>>()
    };
    let kept = identities(&partial);
    drop(locked);
    assert_eq!(code(&export()), 0);
    assert!(identities(&dir) == kept && files(&dir) == expected && !partial.exists());
}

/// Writes the description beside a complete file of Parquet or Arrow, as an export does until its end.
fn describe(file: &Path, now: &Value) {
    let format = if file.extension().unwrap() == "arrow" { FileFormat::Arrow } else { FileFormat::Parquet };
    let opened = BatchFile::open(fs::File::open(file).unwrap(), format, 1).unwrap();
    let mut description: Value = serde_json::from_str(&opened.metadata("hregion").unwrap()).unwrap();
    let sum = Sha256::digest(fs::read(file).unwrap());
    description["now"] = now.clone();
    description["sha256"] = sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    fs::write(format!("{}.json", text(file)), description.to_string()).unwrap();
}

/// Makes an export look as if it had been killed before its end.
fn cut_off(dir: &Path) {
    let partial = dir.with_file_name(format!(".{}.partial", dir.file_name().unwrap().to_str().unwrap()));
    fs::rename(dir, &partial).unwrap();
    let manifest = partial.join("manifest.json");
    let described: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    fs::remove_file(manifest).unwrap();
    files(&partial).keys().for_each(|name| describe(&partial.join(name), &described["now"]));
}

#[test]
fn files_that_were_read_without_checksums_are_not_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let path = table(&scratch.path().join("root"), 40);
    let dir = scratch.path().join("out");
    let args = ["export", text(&path), "--to", "arrow", "--out", text(&dir)];
    let export = |more: &[&str]| {
        ok(&[&args[..], more].concat());
        let manifest: Value = serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap();
        dir.join(manifest["files"][0]["file"].as_str().unwrap()).metadata().unwrap().ino()
    };
    let unverified = export(&["--no-checksums"]);
    cut_off(&dir);
    assert_eq!(export(&["--no-checksums"]), unverified);
    cut_off(&dir);
    let verified = export(&[]);
    assert_ne!(verified, unverified);
    cut_off(&dir);
    assert_eq!(export(&[]), verified);
}

/// An export that is continued later has the cells that had not expired when it began.
#[test]
fn an_export_is_of_one_time() {
    const WRITTEN: i64 = 1_500_000_000_000;
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    let options = Region::options().clock(Arc::new(ManualClock::new(WRITTEN)));
    let family = Family::new("f").ttl(Duration::from_secs(60));
    let table = Table::create_with(&root, "t", &[family], &["2", "4"], options).unwrap();
    for row in ["1", "2", "3", "4", "5"] {
        table.put(Put::new(row).cell_at("f", "q", WRITTEN, row)).unwrap();
        // expires between the first run and the others
        table.put(Put::new(row).cell_at("f", "r", WRITTEN - 30_000, row)).unwrap();
    }
    table.flush().unwrap();
    table.close().unwrap();
    let path = root.join("data/default/t");
    let (first, later) = ((WRITTEN + 20_000).to_string(), (WRITTEN + 40_000).to_string());
    for form in [&["--to", "parquet"], &["--to", "arrow"]] {
        let export = |dir: &Path, more: &[&str]| {
            let args = [&["export", "--json", text(&path), "--out", text(dir)][..], &form[..], more].concat();
            run(&args)
        };
        let refused = |output: &Output, context: &str| {
            let said = stderr(output);
            assert_eq!(code(output), 2, "{context}: {said}");
            assert!(said.contains(&first) && said.contains(&later), "{context}: {said}");
        };
        let (whole, dir) = (scratch.path().join("whole"), scratch.path().join("out"));
        assert_eq!(code(&export(&whole, &["--now", &first])), 0);
        let expected = files(&whole);
        let manifest: Value = serde_json::from_slice(&expected[Path::new("manifest.json")]).unwrap();
        assert_eq!((&manifest["cells"], manifest["now"].to_string()), (&json!(10), first.clone()));

        copy_dir(&whole, &dir);
        cut_off(&dir);
        let partial = scratch.path().join(".out.partial");
        let region = manifest["files"][0]["file"].as_str().unwrap();
        fs::remove_file(partial.join(manifest["files"][1]["file"].as_str().unwrap())).unwrap();
        let kept = partial.join(region).metadata().unwrap().ino();
        let other_time = export(&dir, &["--now", &later]);
        refused(&other_time, "continued");
        assert!(stderr(&other_time).contains("remove the directory"), "{}", stderr(&other_time));
        assert_eq!(partial.join(region).metadata().unwrap().ino(), kept);
        let continued = export(&dir, &[]);
        assert_eq!(code(&continued), 0, "{}", stderr(&continued));
        assert!(stderr(&continued).contains(&first), "{}", stderr(&continued));
        assert_eq!(dir.join(region).metadata().unwrap().ino(), kept);
        assert!(files(&dir) == expected);

        // a comparison uses the same time
        assert_eq!(code(&export(&dir, &["--check"])), 0);
        assert_eq!(code(&export(&dir, &["--check", "--now", &first])), 0);
        let other_time = export(&dir, &["--check", "--now", &later]);
        refused(&other_time, "compared");
        // the export is complete
        assert!(!stderr(&other_time).contains("remove the"), "{}", stderr(&other_time));
        // an export that replaces it uses its own time
        assert_eq!(code(&export(&dir, &["--force", "--now", &later])), 0);
        let manifest: Value = serde_json::from_slice(&files(&dir)[Path::new("manifest.json")]).unwrap();
        assert_eq!((&manifest["cells"], manifest["now"].to_string()), (&json!(5), later.clone()));
        fs::remove_dir_all(&whole).unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn files_of_what_a_source_was_before_are_not_kept() {
    let scratch = tempfile::tempdir().unwrap();
    // a file with the same name and length
    let (file, cells, dir) =
        (scratch.path().join("file"), scratch.path().join("cells"), scratch.path().join("out"));
    let write = |value: &str| {
        let cell = json!({
            "row": "r", "family": "f", "qualifier": "q", "timestamp": 7, "type": "Put", "value": value
        });
        fs::write(&cells, format!("{cell}\n")).unwrap();
        ok(&["write", text(&cells), "--force", "--out", text(&file)]);
    };
    write("old");
    let args = ["export", text(&file), "--to", "parquet", "--out", text(&dir)];
    ok(&args);
    cut_off(&dir);
    write("new");
    ok(&args);
    assert_eq!(ok(&[&args[..], &["--check"]].concat()), "");
    // a file at the same relative path
    let (here, there) = (scratch.path().join("here"), scratch.path().join("there"));
    let dir = scratch.path().join("relative");
    for (place, value) in [(&here, "one"), (&there, "two")] {
        fs::create_dir(place).unwrap();
        write(value);
        fs::copy(&file, place.join("file")).unwrap();
    }
    let export = |place: &Path, more: &[&str]| {
        let args = ["export", "file", "--to", "arrow", "--out", text(&dir)];
        hregion().current_dir(place).args(args).args(more).output().unwrap()
    };
    assert_eq!(code(&export(&here, &[])), 0);
    cut_off(&dir);
    assert_eq!(code(&export(&there, &[])), 0);
    assert_eq!(code(&export(&there, &["--check"])), 0);
    // a table with other settings
    let (root, dir) = (scratch.path().join("root"), scratch.path().join("table"));
    let table = Table::create(&root, "t", &[Family::new("f").max_versions(2)], &[] as &[&str]).unwrap();
    for time in [1, 2] {
        table.put(Put::new("r").cell_at("f", "q", time, "v")).unwrap();
        table.flush().unwrap();
    }
    table.close().unwrap();
    let path = root.join("data/default/t");
    let args = ["export", text(&path), "--versions", "all", "--to", "parquet", "--out", text(&dir)];
    ok(&args);
    cut_off(&dir);
    ok(&["shell", text(&root), "-e", "alter 't', {NAME => 'f', VERSIONS => 1}"]);
    ok(&args);
    assert_eq!(ok(&[&args[..], &["--check"]].concat()), "");
}

/// Cells in a log have no file that distinguishes them from others of the same size.
#[test]
fn files_of_a_region_with_unflushed_cells_are_not_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let [first, second, root] = ["first", "second", "root"].map(|name| scratch.path().join(name));
    Table::create(&first, "t", &[Family::new("f")], &[] as &[&str]).unwrap().close().unwrap();
    copy_dir(&first, &second);
    // the directory before the cell is flushed
    let write = |from: &Path, value: &'static str| {
        let table = Table::open_with(from, "t", Region::options().writable(true)).unwrap();
        table.put(Put::new("r").cell_at("f", "q", 7, value)).unwrap();
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        copy_dir(from, &root);
        table.close().unwrap();
    };
    let (path, dir) = (root.join("data/default/t"), scratch.path().join("out"));
    let args = ["export", text(&path), "--to", "parquet", "--out", text(&dir)];
    write(&first, "old");
    ok(&args);
    let manifest: Value = serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["cells"], 1);
    cut_off(&dir);
    write(&second, "new");
    ok(&args);
    assert_eq!(ok(&[&args[..], &["--check"]].concat()), "");
}
