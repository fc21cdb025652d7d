//! Output files: files of other programs are not changed, whatever their names.

use crate::support::{
    code, hregion, json_lines, last_error, names, ok, plain, run, stderr, stdout, temp_file,
};
use serde_json::json;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;

/// Returns `count` sorted cells as JSON lines.
fn cells(value: &str, count: usize) -> String {
    let cell = |i| {
        format!(
            r#"{{"row":"{i:06}","family":"f","qualifier":"q","timestamp":5,"type":"Put","value":"{value}"}}"#
        ) + "\n"
    };
    (0..count).map(cell).collect()
}

/// Returns commands that have an output file, whose path follows. None begins to read before it refuses one.
fn with_output(plain: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["write", "no-such-list", "--out"],
        vec!["convert", plain, "--out"],
        vec!["convert", plain, "--to", "jsonl", "--out"],
        vec!["salvage", plain, "--out"],
        vec!["stats", plain, "--svg"],
        vec!["report", plain, "--out"],
        vec!["bench", "--rows", "1", "--svg"],
    ]
}

#[cfg(unix)]
#[test]
fn files_of_the_user_are_not_used() {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    let list = temp_file("outputs-list.jsonl", cells("v", 10).as_bytes());
    let splits = temp_file("outputs-splits.txt", b"000005\n");
    let plain = plain();
    for args in [
        vec!["write", &list],
        vec!["convert", &plain],
        vec!["convert", &plain, "--to", "jsonl"],
        vec!["salvage", &plain],
        vec!["bulkload", &list, "--regions", &splits],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
        fs::write(path("victim"), "bytes").unwrap();
        symlink(path("victim"), path("o.tmp")).unwrap();
        let out = path("o");
        ok(&[&args[..], &["--out", &out]].concat());
        assert_eq!(fs::read(path("victim")).unwrap(), b"bytes", "{args:?}");
        assert_eq!(fs::read_link(path("o.tmp")).unwrap(), Path::new(&path("victim")), "{args:?}");
        assert_eq!(names(dir.path()), ["o", "o.tmp", "victim"], "{args:?}");

        // a failed run leaves no file
        let output = run(&[&args[..], &["--out", &out]].concat());
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert_eq!(names(dir.path()), ["o", "o.tmp", "victim"], "{args:?}");
    }
}

/// A path that is not a regular file is refused before anything is read, also with --force.
#[cfg(unix)]
#[test]
fn only_regular_files_are_replaced() {
    use std::os::unix::fs::{FileTypeExt as _, symlink};
    use std::process::Command;

    let list = temp_file("outputs-special.jsonl", cells("v", 2).as_bytes());
    let plain = plain();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
    fs::create_dir(path("directory")).unwrap();
    symlink(path("pipe"), path("link")).unwrap();
    for args in [with_output(&plain), vec![vec!["write", &list, "--out"]]].concat() {
        for name in ["pipe", "directory", "link"] {
            let out = path(name);
            for force in [&[][..], &["--force"]] {
                let output = run(&[&args[..], &[&*out], force].concat());
                assert_eq!(code(&output), 2, "{args:?} {name} {force:?}: {}", stderr(&output));
                let said = stderr(&output);
                assert!(said.contains("not a regular file, and not replaced"), "{args:?} {name}: {said}");
                assert!(!said.contains("--force"), "{args:?} {name}: {said}");
            }
        }
    }
    assert_eq!(names(dir.path()), ["directory", "link", "pipe"]);
    assert!(fs::symlink_metadata(path("pipe")).unwrap().file_type().is_fifo());
    assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
    assert!(names(&dir.path().join("directory")).is_empty());
    // the name of a missing directory is refused before anything is read
    for name in ["new/", "new/.", "file/"] {
        fs::write(path("file"), "bytes").unwrap();
        let out = dir.path().to_str().unwrap().to_owned() + "/" + name;
        let output = run(&["write", "no-such-list", "--force", "--out", &out]);
        assert_eq!(code(&output), 2, "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains("not of a directory"), "{name}: {}", stderr(&output));
        fs::remove_file(path("file")).unwrap();
    }
    // a link without a target is replaced
    symlink(path("nothing"), path("dangling")).unwrap();
    ok(&["write", &list, "--out", &path("dangling"), "--force"]);
    assert!(fs::symlink_metadata(path("dangling")).unwrap().is_file());
}

#[test]
fn one_of_two_writers_wins() {
    let lists = ["left", "right"]
        .map(|value| temp_file(&format!("outputs-{value}.jsonl"), cells(value, 5000).as_bytes()));
    for round in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("o").into_os_string().into_string().unwrap();
        let children: Vec<_> = lists
            .iter()
            .map(|list| {
                let mut command = hregion();
                command.args(["write", list, "--out", &out, "--json"]).stderr(Stdio::piped());
                command.stdout(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let outputs = children.into_iter().map(|child| child.wait_with_output().unwrap());
        let codes: Vec<i32> = outputs.map(|output| code(&output)).collect();
        let won: Vec<usize> = (0..2).filter(|&i| codes[i] == 0).collect();
        assert_eq!(won.len(), 1, "round {round}: {codes:?}");
        assert_eq!(names(dir.path()), ["o"]);
        let output = run(&["cells", "--json", &out]);
        assert_eq!(code(&output), 0, "round {round}: {}", stderr(&output));
        let found = json_lines(&stdout(&output));
        let value = ["left", "right"][won[0]];
        assert_eq!(found.len(), 5000);
        assert!(found.iter().all(|cell| cell["value"] == value), "round {round}");
    }
}

/// Also with --force: a directory that was created after the command began is checked.
#[test]
fn a_directory_of_others_is_not_replaced_at_the_end() {
    let splits = temp_file("outputs-splits-3.txt", b"");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("o");
    let mut command = hregion();
    command.args(["bulkload", "-", "--regions", &splits, "--force", "--out"]).arg(&out);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // the directory of the new files is created after the name has been checked
    while names(dir.path()).is_empty() {
        std::thread::yield_now();
    }
    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine"), "bytes").unwrap();
    child.stdin.take().unwrap().write_all(cells("v", 2).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert_eq!((names(dir.path()), names(&out)), (vec!["o".to_owned()], vec!["mine".to_owned()]));
}

/// With --force the new directory replaces the earlier one completely.
#[test]
fn directories_are_replaced_as_a_whole() {
    let splits = temp_file("outputs-splits-2.txt", b"000005\n");
    let lists = ["left", "right"]
        .map(|value| temp_file(&format!("outputs-dir-{value}.jsonl"), cells(value, 10).as_bytes()));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("o").into_os_string().into_string().unwrap();
    for list in &lists {
        ok(&["bulkload", list, "--regions", &splits, "--out", &out, "--force"]);
        assert_eq!(names(dir.path()), ["o"]);
        assert_eq!(fs::read_dir(dir.path().join("o/f")).unwrap().count(), 2);
    }
    let output = run(&["bulkload", &lists[0], "--regions", &splits, "--out", &out]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
}

/// An unreadable directory is an error. It is not treated as one without tables or settings.
#[cfg(unix)]
#[test]
fn an_unreadable_directory_is_an_error() {
    use std::os::unix::fs::symlink;

    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    // a symlink loop fails for root too, unlike missing permissions
    symlink(path("data"), path("data")).unwrap();
    let root = dir.path().to_str().unwrap();
    for args in [
        vec!["locate", "t", "r", "--meta", root],
        vec!["regions", "t", "--meta", root],
        vec!["count", &path("data")],
        vec!["shell", root, "--execute", "list"],
    ] {
        let output = run(&args);
        assert_eq!(code(&output), 5, "{args:?}: {}{}", stdout(&output), stderr(&output));
    }
}

/// A URL is not the path of a local directory `s3:`.
#[test]
fn nothing_is_written_to_a_url() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("list.jsonl"), cells("v", 1)).unwrap();
    let script = r#"{"id":1,"op":"create","now":1,"families":[{"name":"f"}]}"#;
    fs::write(dir.path().join("script.jsonl"), script).unwrap();
    for args in [["replay", "script.jsonl", "--dir"], ["salvage", "list.jsonl", "--out"]] {
        let output = hregion().args(args).arg("s3://bucket/new").current_dir(dir.path()).output().unwrap();
        assert_eq!(code(&output), 4, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("writes to local files only"), "{args:?}: {}", stderr(&output));
        assert_eq!(names(dir.path()), ["list.jsonl", "script.jsonl"], "{args:?}");
    }
}

/// Errors name neither temporary files nor temporary directories.
#[test]
fn a_missing_directory_of_an_output_is_named() {
    let list = temp_file("outputs-missing.jsonl", cells("v", 2).as_bytes());
    let splits = temp_file("outputs-missing.txt", b"");
    let plain = plain();
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let out = missing.join("out").into_os_string().into_string().unwrap();
    let bulk_load = vec!["bulkload", &list, "--regions", &splits, "--out"];
    for args in [with_output(&plain), vec![bulk_load]].concat() {
        let output = run(&[&args[..], &[&*out, "--json"]].concat());
        assert_eq!(code(&output), 5, "{args:?}: {}", stderr(&output));
        let error = last_error(&output);
        let expected = if args[0] == "bulkload" { json!(out) } else { json!(missing) };
        assert_eq!((&error["kind"], &error["path"]), (&json!("Io"), &expected), "{args:?}: {error}");
    }
    assert!(names(dir.path()).is_empty());
}
