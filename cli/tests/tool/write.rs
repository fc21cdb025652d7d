//! `hregion write` as a process: sorting, bad input, and output that appears complete or not at all.

use crate::support::*;
use hregion::io::{LocalFileWriter, name_unfinished};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn cell(row: &str, timestamp: i64, value: &str) -> String {
    let key = format!(r#""row":"{row}","family":"f","qualifier":"q","timestamp":{timestamp},"type":"Put""#);
    format!(r#"{{{key},"value":"{value}","sequence_id":3}}"#) + "\n"
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn written_files_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let out = text(&dir.path().join("out"));
    let lines = cell("a", 5, "v") + "\n" + &cell("b", 5, "\\\\x00\\\"") + " \r\n" + &cell("b", 4, "");
    let list = temp_file("write-read.jsonl", lines.as_bytes());
    let printed = json_lines(&ok(&["write", "--json", &list, "--out", &out, "--mvcc"]));
    assert_eq!(members(&printed[0]), ["path", "cells", "bytes"]);
    assert_eq!(
        (&printed[0]["cells"], &printed[0]["bytes"]),
        (&3.into(), &fs::metadata(&out).unwrap().len().into())
    );
    let cells: Vec<_> = lines.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(ok(&["cells", "--json", &out]).lines().collect::<Vec<_>>(), cells);

    // uncompressed from standard input, and from a gzip file
    let mut child = piped(&["write", "--out", &out, "--force", "--mvcc", "--create-time", "7"]);
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(lines.as_bytes()).unwrap();
    let packed = temp_file("write-read.jsonl.gz", &packed.finish().unwrap());
    let again = text(&dir.path().join("again"));
    ok(&["write", &packed, "--out", &again, "--mvcc", "--create-time", "7"]);
    assert_eq!(fs::read(&out).unwrap(), fs::read(&again).unwrap());
    assert_eq!(names(dir.path()), ["again", "out"]);
}

fn piped(args: &[&str]) -> Child {
    hregion().args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn sorting_on_disk_makes_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let (mut lines, mut state) = (String::new(), 1_u64);
    for i in 0..3000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        lines += &cell(&format!("row{:04}", state >> 54), 5, &format!("{i}"));
    }
    let list = temp_file("write-sort.jsonl", lines.as_bytes());
    let mut files = Vec::new();
    for memory in ["256M", "100K", "1000"] {
        let out = dir.path().join(memory);
        let args = ["--sort", "--sort-memory", memory, "--mvcc", "--create-time", "7"];
        ok(&[&["write", &list, "--out", &text(&out)], &args[..]].concat());
        files.push(fs::read(out).unwrap());
    }
    assert!(files[0] == files[1] && files[0] == files[2]);
    assert_eq!(names(dir.path()), ["1000", "100K", "256M"]);
    // cells with equal keys keep their input order
    let sorted = json_lines(&ok(&["cells", "--json", &text(&dir.path().join("1000"))]));
    let key = |at: usize| {
        let number: u64 = sorted[at]["value"].as_str().unwrap().parse().unwrap();
        (sorted[at]["row"].as_str().unwrap().to_owned(), number)
    };
    assert!((1..sorted.len()).all(|at| key(at - 1) < key(at)));
}

#[test]
fn bad_input_is_refused_by_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let out = text(&dir.path().join("out"));
    let good = cell("b", 5, "v");
    let cases = [
        (cell("a", 5, ""), "line 2: cell a/f:q/5/Put"),
        (cell("b", 6, ""), "line 2: cell b/f:q/6/Put"),
        (good.replace("\"f\"", "\"g\""), "line 2: cell b/g:q"),
        ("{\"row\":1}".into(), "line 2: column 8: row: expected a string"),
        (good.replace("Put", "Minimum"), "line 2: column "),
        (good.replace('}', ",\"tags\":[{\"type\":1,\"value\":\"\"}]}"), "line 2: cell b/f:q/5/Put"),
        (good.replace(":3}", ":-3}"), "line 2: cell b/f:q/5/Put"),
    ];
    for (number, (line, expected)) in cases.iter().enumerate() {
        let list = temp_file(&format!("write-bad-{number}.jsonl"), format!("{good}{line}").as_bytes());
        let output = run(&["write", &list, "--out", &out, "--json", "--mvcc"]);
        // a malformed line, or a cell that is not valid in this file
        let (exit, kind) = if expected.contains("column") { (3, "Corrupt") } else { (2, "InvalidArgument") };
        assert_eq!(code(&output), exit, "{line}");
        let error = last_error(&output);
        assert_eq!((error["kind"].as_str().unwrap(), error["path"].as_str().unwrap()), (kind, &*list));
        assert!(error["message"].as_str().unwrap().starts_with(expected), "{error}");
        assert_eq!(stderr(&output).contains("use --sort to sort them"), number < 2, "{}", stderr(&output));
        assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
    }
    // errors name the input line with --sort too
    let list =
        temp_file("write-bad-sorted.jsonl", (cell("b", 5, "") + &good.replace("\"f\"", "\"g\"")).as_bytes());
    let output = run(&["write", &list, "--sort", "--out", &out]);
    assert!(stderr(&output).contains("line 2: cell b/g:q"), "{}", stderr(&output));
    let output = run(&["write", "none.jsonl", "--out", &out]);
    assert_eq!(code(&output), 5);
    for wrong in [
        &["--encoding", "fast"][..],
        &["--bloom", "ROWPREFIX_FIXED_LENGTH"],
        &["--blocksize", "0"],
        &["--compression", "ZSTD", "--codec", "my.Codec"],
        &["--conf", "a=b"],
        &["--zstd-dictionary", "none"],
        &["--zstd-dictionary", "none", "--compression", "GZ"],
        &["--info", "hfile.LASTKEY=x"],
        &["--out", "-"],
    ] {
        let list = temp_file("write-good.jsonl", good.as_bytes());
        let out = if wrong[0] == "--out" { &[][..] } else { &["--out", &out] };
        let output = run(&[&["write", &list], out, wrong].concat());
        assert_eq!(code(&output), 2, "{wrong:?} {}", stderr(&output));
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_file_is_replaced_only_if_it_is_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let (out, list) = (dir.path().join("out"), dir.path().join("cells.jsonl"));
    fs::write(&out, "what was there").unwrap();
    fs::write(&list, cell("a", 5, "v")).unwrap();
    let (out, list) = (text(&out), text(&list));
    let output = run(&["write", &list, "--out", &out]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("use --force to replace it"), "{}", stderr(&output));
    let bad = temp_file("write-force.jsonl", b"{}");
    assert_eq!(code(&run(&["write", &bad, "--out", &out, "--force"])), 3);
    assert_eq!(fs::read(&out).unwrap(), b"what was there");
    // the input is never overwritten
    let output = run(&["write", &list, "--out", &list, "--force"]);
    assert_eq!((code(&output), fs::read_to_string(&list).unwrap()), (2, cell("a", 5, "v")));
    ok(&["write", &list, "--out", &out, "--force"]);
    assert_eq!(ok(&["cells", &out]), "a/f:q/5/Put/vlen=1/seqid=0\n");
    assert_eq!(names(dir.path()), ["cells.jsonl", "out"]);
}

#[test]
fn settings_that_mean_nothing_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = text(&dir.path().join("out"));
    let list = temp_file("write-unused.jsonl", cell("a", 5, "v").as_bytes());
    let output =
        run(&["write", &list, "--out", &out, "--writer", "hfile", "--bloom", "ROW", "--exclude-minor"]);
    assert_eq!(code(&output), 0);
    let said = stderr(&output);
    assert!(said.contains("--bloom has no effect") && said.contains("--exclude-minor"), "{said}");
    assert!(said.contains("use --mvcc to keep them"), "{said}");
    let class = "org.apache.hadoop.io.compress.ZStandardCodec";
    let more = ["--writer", "hfile", "--hash", "jenkins", "--codec", class, "--force"];
    let said = stderr(&run(&[&["write", &list, "--out", &out][..], &more].concat()));
    for name in ["--hash", "--codec"] {
        assert!(said.contains(&format!("{name} has no effect")), "{said}");
    }
    // a list whose first cell has no sequence id
    let lines = cell("a", 5, "v").replace(r#","sequence_id":3"#, "") + &cell("b", 5, "v");
    let list = temp_file("write-unkept.jsonl", lines.as_bytes());
    let said = stderr(&run(&["write", &list, "--out", &out, "--force"]));
    assert!(said.contains("use --mvcc to keep them"), "{said}");
}

/// As `hb write` does: the file info of a bulk load does not depend on the kind of file.
#[test]
fn a_plain_file_for_a_bulk_load_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let out = text(&dir.path().join("out"));
    let list = temp_file("write-plain-load.jsonl", cell("a", 5, "v").as_bytes());
    let load = ["--writer", "hfile", "--bulkload", "--bulkload-time", "7", "--mvcc"];
    let more = ["--exclude-minor", "--info", "BULKLOAD_SOURCE_TASK=mine"];
    let written = run(&[&["write", &list, "--out", &out][..], &load, &more].concat());
    assert_eq!((code(&written), stderr(&written).lines().count()), (0, 1), "{}", stderr(&written));
    let info = |file: &str| json_lines(&ok(&["inspect", "--json", file])).remove(0)["file_info"].clone();
    let written = info(&out);
    for (key, value) in [
        ("BULKLOAD_TIMESTAMP", Value::from(7)),
        ("BULKLOAD_SOURCE_TASK", "mine".into()),
        ("MAJOR_COMPACTION_KEY", true.into()),
        ("EXCLUDE_FROM_MINOR_COMPACTION", true.into()),
        ("SKIP_RESET_SEQ_ID", Value::Null),
        ("TIMERANGE", Value::Null),
    ] {
        assert_eq!(written[key], value, "{key}");
    }
    // a conversion keeps them
    let again = text(&dir.path().join("again"));
    let converted = run(&["convert", &out, "--out", &again, "--encoding", "DIFF"]);
    assert_eq!((code(&converted), stderr(&converted).lines().count()), (0, 1), "{}", stderr(&converted));
    let converted = info(&again);
    for key in ["BULKLOAD_TIMESTAMP", "BULKLOAD_SOURCE_TASK", "SKIP_RESET_SEQ_ID"] {
        assert_eq!(converted[key], written[key], "{key}");
    }
}

#[test]
fn a_sequence_id_may_be_negative() {
    let dir = tempfile::tempdir().unwrap();
    let out = text(&dir.path().join("out"));
    let list = temp_file("write-seqid.jsonl", cell("a", 5, "v").as_bytes());
    ok(&["write", &list, "--out", &out, "--seqid", "-1"]);
    let info = json_lines(&ok(&["inspect", "--json", &out])).remove(0)["file_info"].clone();
    assert_eq!(info["MAX_SEQ_ID_KEY"], -1);
}

#[test]
fn tags_are_left_out_only_if_they_are_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let out = text(&dir.path().join("out"));
    let line = cell("a", 5, "v").replace('}', ",\"tags\":[{\"type\":1,\"value\":\"t\"}]}");
    let list = temp_file("write-tags.jsonl", line.as_bytes());
    for sort in [&[][..], &["--sort"]] {
        let refused = run(&[&["write", &list, "--out", &out][..], sort].concat());
        assert_eq!(code(&refused), 2);
        assert!(stderr(&refused).contains("--tags=false to drop them"), "{}", stderr(&refused));
    }
    ok(&["write", &list, "--out", &out, "--tags=false"]);
    assert_eq!(ok(&["cells", "-p", &out]), "K: a/f:q/5/Put/vlen=1/seqid=0 V: v\n");
    ok(&["write", &list, "--out", &out, "--tags", "--force"]);
    assert!(ok(&["cells", "-p", &out]).contains("[Tag type : 1, value : t]"));
}

/// Sends a signal while the tool waits for more cells.
#[cfg(unix)]
#[test]
fn a_signal_leaves_no_file() {
    for (signal, number, sort, left) in [
        ("HUP", 1, "", 0),
        ("INT", 2, "", 0),
        ("TERM", 15, "", 0),
        ("INT", 2, "--sort", 0),
        ("KILL", 9, "", 1),
        ("KILL", 9, "--sort", 1),
    ] {
        if is_ignored(number) {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let out = text(&dir.path().join("out"));
        let mut args = vec!["write", "--out", &out, "--sort-memory", "1000"];
        args.extend(Some(sort).filter(|sort| !sort.is_empty()));
        let mut child = piped(&args);
        let mut stdin = child.stdin.take().unwrap();
        for i in 0..1000 {
            stdin.write_all(cell(&format!("{i:04}"), 5, "v").as_bytes()).unwrap();
        }
        stdin.flush().unwrap();
        wait_for(|| names(dir.path()).len() == 1);
        // the tool may or may not have read the cells yet: both must work
        let kill = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let status = child.wait().unwrap();
        assert!(!status.success());
        if left == 0 {
            assert_eq!(status.code(), Some(128 + number));
        }
        assert_eq!(names(dir.path()).len(), left, "{signal} {sort}");
        assert!(!Path::new(&out).exists());
        drop(stdin);
        // the next run removes the remains of a killed process, but no file that another process is writing,
        // nor a file with such a name that does not belong to this output
        let path = dir.path().join("out");
        let (written, other) = (name_unfinished(&path), name_unfinished(&dir.path().join("other")));
        let _writer = LocalFileWriter::create_new(&written).unwrap();
        fs::write(&other, "bytes").unwrap();
        let list = temp_file("write-after-kill.jsonl", cell("a", 5, "v").as_bytes());
        ok(&["write", &list, "--out", &out]);
        let mut expected = [&written, &other, &path].map(|path| text(Path::new(path.file_name().unwrap())));
        expected.sort();
        assert_eq!(names(dir.path()), expected, "{signal} {sort}");
    }
}

/// Whether this process ignores a signal, as the processes that it starts then do.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0");
    u64::from_str_radix(set.trim(), 16).unwrap() >> (signal - 1) & 1 == 1
}

/// As with `nohup`, whose processes continue when their terminal is closed.
#[cfg(target_os = "linux")]
#[test]
fn an_ignored_signal_stays_ignored() {
    for signal in ["HUP", "INT"] {
        let dir = tempfile::tempdir().unwrap();
        let out = text(&dir.path().join("out"));
        let mut child = std::process::Command::new("sh")
            .args(["-c", "trap '' HUP INT; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_hregion")])
            .args(["write", "--out", &out])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        for i in 0..1000 {
            stdin.write_all(cell(&format!("{i:04}"), 5, "v").as_bytes()).unwrap();
        }
        wait_for(|| names(dir.path()).len() == 1);
        let kill = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        thread::sleep(Duration::from_millis(100));
        stdin.write_all(cell("b", 5, "v").as_bytes()).unwrap();
        drop(stdin);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        assert_eq!(ok(&["count", &out]), "rows 1001\ncells 1001\n");
    }
}

#[cfg(unix)]
fn wait_for(mut what: impl FnMut() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(30), "timed out");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_long_key_is_shortened_in_messages() {
    let dir = tempfile::tempdir().unwrap();
    let (longest, before) = ("r".repeat(30_000), "q".repeat(30_000));
    let cells = temp_file("long-keys.jsonl", (cell(&longest, 1, "v") + &cell(&before, 1, "v")).as_bytes());
    let output = run(&["write", "--out", dir.path().join("out").to_str().unwrap(), &cells]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    let message = stderr(&output);
    assert!(message.contains("line 2: cell qqq") && message.len() < 1000, "{message}");
    assert!(message.contains("q…/f:q/1/Put/vlen=1"), "{message}");
}
