//! Unusable input (overlong lines, damaged lists), and failures of the system: no threads, closed output.

use crate::support::{
    code, corrupt, golden, hregion, last_error, ok, plain, run, run_with_input, stderr, stdout, temp_file,
    unread,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use hregion::{Family, Put, Table};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const CELL: &str = r#"{"row":"r","family":"f","qualifier":"q","timestamp":5,"type":"Put","value":"v"}"#;

/// Returns the commands that read lines, with `list` as their input.
fn readers(list: &str) -> Vec<Vec<String>> {
    let splits = temp_file("input-no-splits.txt", b"\n");
    let cells = temp_file("input-cells.jsonl", CELL.as_bytes());
    [
        vec!["write", list, "--out", "OUT"],
        vec!["write", list, "--out", "OUT", "--sort"],
        vec!["bulkload", list, "--out", "OUT", "--regions", &splits],
        vec!["bulkload", &cells, "--out", "OUT", "--regions", list],
        vec!["replay", list],
        vec!["seek", &plain(), "--keys", list],
    ]
    .map(|args| args.into_iter().map(str::to_owned).collect())
    .into()
}

/// Runs a command with its output in a new directory, which must stay empty.
fn run_in_vain(mut args: Vec<String>, more: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    for arg in args.iter_mut().filter(|arg| *arg == "OUT") {
        *arg = dir.path().join("out").into_os_string().into_string().unwrap();
    }
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    let output = run(&args);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{args:?}");
    output
}

/// A command may need a key, a dictionary or a mapping several times, but can read a pipe only once. A file
/// without an end is refused.
#[cfg(all(target_os = "linux", feature = "crypto"))]
#[test]
fn small_files_may_be_pipes() {
    let encrypted = golden("small-encrypted.hfile");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    for args in [vec!["verify", &encrypted], vec!["convert", &encrypted, "--out", out.to_str().unwrap()]] {
        let mut command = hregion();
        command.args(&args).args(["--master-key-file", "/dev/stdin"]);
        let key = b"000102030405060708090a0b0c0d0e0f\n";
        let output = run_with_input(&mut command, Stdio::piped(), key);
        assert_eq!(code(&output), 0, "{args:?}: {}{}", stdout(&output), stderr(&output));
    }
    let endless = run(&["cells", "--json", &encrypted, "--master-key-file", "/dev/zero"]);
    assert_eq!(code(&endless), 2, "{}", stderr(&endless));
    let error = last_error(&endless);
    assert!(error["message"].as_str().unwrap().contains("larger than 64 MiB"), "{error}");
}

#[test]
fn lines_have_a_limit() {
    let long = temp_file("input-long.jsonl", &vec![b'x'; 5000]);
    for args in readers(&long) {
        let output = run_in_vain(args.clone(), &["--limit-line-bytes", "4999", "--json"]);
        assert_eq!(code(&output), 3, "{args:?}: {}", stderr(&output));
        let error = last_error(&output);
        assert_eq!(
            (error["kind"].as_str(), error["path"].as_str()),
            (Some("Limit"), Some(&*long)),
            "{error}"
        );
        assert!(error["message"].as_str().unwrap().starts_with("line 1: over the limit"), "{error}");
        assert!(stderr(&output).contains("use --limit-line-bytes to raise it"), "{}", stderr(&output));
    }
    // at the limit the line is read, but is not a valid cell
    for args in readers(&long).into_iter().filter(|args| args.last() != Some(&long)) {
        let output = run_in_vain(args.clone(), &["--limit-line-bytes", "5000", "--json"]);
        assert_eq!(last_error(&output)["kind"], "Corrupt", "{args:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let mut shell = hregion();
    shell.args(["shell", dir.path().to_str().unwrap(), "--limit-line-bytes", "99"]);
    let output = run_with_input(&mut shell, Stdio::piped(), &[b'x'; 100]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("line 1: a command over the limit of 99 bytes"), "{}", stderr(&output));
}

/// A row of 2 MiB exceeds a limit of 1 MiB where it is read as a whole.
#[test]
fn rows_have_a_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    let create = |root: &str| Table::create(path(root), "t", &[Family::new("f")], &[""; 0]).unwrap();
    let (from, to) = (path("from/data/default/t"), path("to/data/default/t"));
    let put = (0..32).fold(Put::new("r"), |put, n| put.cell("f", format!("{n:02}"), vec![b'v'; 64 << 10]));
    let table = create("from");
    table.put(put).unwrap();
    table.flush().unwrap();
    table.close().unwrap();
    create("to").close().unwrap();
    let out = path("out");
    for args in [
        &["get", &from, "r"][..],
        &["scan", &from],
        &["export", &from, "--to", "csv", "--out", &out],
        &["copy", &from, &to],
    ] {
        let output = run(&[args, &["--json", "--limit-row-bytes", "1M"]].concat());
        assert_eq!(code(&output), 3, "{args:?}: {}", stderr(&output));
        assert_eq!(last_error(&output)["kind"], "Limit", "{args:?}");
        let said = stderr(&output);
        assert!(said.contains("use --limit-row-bytes to raise the limit"), "{args:?}: {said}");
        assert!(said.contains("--batch") && !said.contains("--limit-block-bytes"), "{args:?}: {said}");
        ok(&[args, &["--limit-row-bytes", "3M"]].concat());
    }
    // in parts, it is within the limit
    let parts = ok(&["scan", &from, "--batch", "4", "--limit-row-bytes", "1M"]);
    assert_eq!(parts, ok(&["get", &from, "r"]));
    assert_eq!(parts.lines().count(), 32);
    assert_eq!(ok(&["get", &to, "r"]), parts);
}

#[test]
fn damaged_lists_are_corrupt() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(CELL.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let mut flipped = packed.clone();
    flipped[20] ^= 0xff;
    for (name, bytes, kind) in [
        ("no-json.jsonl", b"{".to_vec(), "Corrupt"),
        ("no-utf8.jsonl", b"{\"row\":\"\xff\"}".to_vec(), "Corrupt"),
        ("cut.jsonl.gz", packed[..packed.len() - 12].to_vec(), "Truncated"),
        ("flipped.jsonl.gz", flipped, "Corrupt"),
        ("no-gz.jsonl.gz", b"not packed at all".to_vec(), "Corrupt"),
    ] {
        let list = temp_file(&format!("input-{name}"), &bytes);
        for args in readers(&list) {
            // any text is a valid split row
            if args.last() == Some(&list) && name == "no-json.jsonl" && args[0] == "bulkload" {
                continue;
            }
            let output = run_in_vain(args.clone(), &["--json"]);
            let error = last_error(&output);
            assert_eq!(code(&output), 3, "{args:?}: {error}");
            assert_eq!(
                (error["kind"].as_str(), error["path"].as_str()),
                (Some(kind), Some(&*list)),
                "{error}"
            );
            assert!(error["message"].as_str().unwrap().starts_with("line 1: "), "{error}");
        }
    }
}

/// Sets a stack size larger than any address space, so that no thread can be started.
#[cfg(unix)]
#[test]
fn without_threads_there_is_an_error() {
    let list = temp_file("input-threads.jsonl", CELL.as_bytes());
    let script = [
        r#"{"id":1,"op":"create","now":1000,"families":[{"name":"f"}]}"#,
        r#"{"id":2,"op":"put","row":"r","cells":[["f","q",null,"v"]]}"#,
        r#"{"id":3,"op":"open_scanner","name":"s"}"#,
    ];
    let script = temp_file("input-threads-script.jsonl", script.join("\n").as_bytes());
    let splits = temp_file("input-threads-splits.txt", b"\n");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").into_os_string().into_string().unwrap();
    let plain = plain();
    for args in [
        &["write", &list, "--out", &out][..],
        &["convert", &plain, "--out", &out],
        &["salvage", &plain, "--out", &out],
        &["bulkload", &list, "--regions", &splits, "--out", &out],
        &["replay", &script],
    ] {
        let output = hregion().args(args).env("RUST_MIN_STACK", (1_u64 << 46).to_string()).output().unwrap();
        assert_eq!(code(&output), 5, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("error: "), "{args:?}: {}", stderr(&output));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{args:?}");
    }
    let root = tempfile::tempdir().unwrap();
    Table::create(root.path(), "t", &[Family::new("f")], &["m"]).unwrap().close().unwrap();
    let mut count = hregion();
    count.arg("count").arg(root.path().join("data/default/t")).args(["--jobs", "2"]);
    let output = count.env("RUST_MIN_STACK", (1_u64 << 46).to_string()).output().unwrap();
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert!(stderr(&output).contains("(use --jobs 1)"), "{}", stderr(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_goes_nowhere_is_an_error() {
    let plain = golden("small-none-row.hfile");
    let commands = [
        vec!["cells", &plain],
        vec!["cells", "--json", &plain],
        vec!["inspect", &plain],
        vec!["count", &plain],
        vec!["verify", "--json", &plain],
        vec!["man"],
        vec!["completions", "bash"],
        vec!["--help"],
        vec!["--version"],
        vec!["scan", "--help"],
    ];
    for args in &commands {
        for to in [">&-", "> /dev/full"] {
            let shell = format!("exec \"$0\" \"$@\" {to}");
            let tool = env!("CARGO_BIN_EXE_hregion");
            let output = Command::new("sh").args(["-c", &shell, tool]).args(args).output().unwrap();
            assert_eq!(code(&output), 5, "{args:?} {to}: {}", stderr(&output));
            assert!(
                stderr(&output).starts_with("error: cannot write to standard output"),
                "{args:?} {to}: {}",
                stderr(&output)
            );
        }
        let output = unread(args);
        assert_eq!((code(&output), stderr(&output)), (0, String::new()), "{args:?}");
        let null = hregion().args(args).stdout(Stdio::null()).output().unwrap();
        assert_eq!(code(&null), 0, "{args:?}");
    }
    // a command that prints nothing needs no standard output
    let dir = tempfile::tempdir().unwrap();
    let shell = "exec \"$0\" write \"$1\" --out \"$2\" >&-";
    let list = temp_file("input-silent.jsonl", CELL.as_bytes());
    let tool = env!("CARGO_BIN_EXE_hregion");
    let output = Command::new("sh").args(["-c", shell, tool, &list]).arg(dir.path().join("out")).output();
    let output = output.unwrap();
    assert_eq!((code(&output), stdout(&output)), (0, String::new()), "{}", stderr(&output));
}

/// With `<&-`, the input would be considered empty, and an empty file be written.
#[cfg(target_os = "linux")]
#[test]
fn input_that_is_closed_is_an_error() {
    let closed = |args: Vec<String>, more: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" <&-", env!("CARGO_BIN_EXE_hregion")]);
        shell.args(args).args(more).output().unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").into_os_string().into_string().unwrap();
    let with_out = |args: Vec<String>| -> Vec<String> {
        args.into_iter().map(|arg| if arg == "OUT" { out.clone() } else { arg }).collect()
    };
    let shell = vec!["shell".to_owned(), dir.path().to_str().unwrap().to_owned()];
    for args in readers("-").into_iter().map(with_out).chain([shell]) {
        let output = closed(args.clone(), &["--json"]);
        assert_eq!(code(&output), 5, "{args:?}: {}", stderr(&output));
        let error = last_error(&output);
        assert!(error["message"].as_str().unwrap().starts_with("cannot read"), "{args:?}: {error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{args:?}");
    }
    // a command that does not read standard input works without it
    let output = closed(vec!["count".to_owned(), plain()], &[]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn errors_are_reported_though_no_one_reads_the_output() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    ok(&["shell", &path("root"), "-e", "create 't', 'f'"]);
    let (list, table) = (path("list.jsonl"), path("root/data/default/t"));
    fs::write(&list, "{\"row\":").unwrap();
    for json in [&["--json"][..], &[]] {
        let failed = unread(&[&["import", &table, &list][..], json].concat());
        assert_eq!(code(&failed), 3, "{json:?}");
        assert!(stderr(&failed).starts_with("error: "), "{json:?}: {}", stderr(&failed));
    }
    // the answer is also unchanged
    let differs = unread(&["diff", "--quiet", &plain(), &golden("cells-diff-tags1-mvcc2.hfile")]);
    assert_eq!((code(&differs), stderr(&differs)), (1, String::new()));
}

/// The exit code does not depend on how much of the output is read.
#[test]
fn an_answer_stays_though_no_one_reads_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let [left, right] = ["l", "r"].map(|value| {
        let value = value.repeat(100);
        let cells: String = (0..2000)
            .map(|i| {
                CELL.replace("\"r\"", &format!("\"{i:06}\"")).replace("\"v\"", &format!("\"{value}\"")) + "\n"
            })
            .collect();
        let [list, out] = ["jsonl", "hfile"].map(|ending| dir.path().join(format!("{value}.{ending}")));
        fs::write(&list, cells).unwrap();
        ok(&["write".as_ref(), list.as_os_str(), "--out".as_ref(), out.as_os_str()]);
        out.into_os_string().into_string().unwrap()
    });
    let differs = unread(&["diff", &left, &right]);
    assert_eq!((code(&differs), stderr(&differs)), (1, String::new()));
    let damaged = corrupt("cut-half.hfile");
    let faults = unread(&[&["verify", "--json"][..], &vec![damaged.as_str(); 1000]].concat());
    assert_eq!((code(&faults), stderr(&faults)), (3, String::new()));
}

/// A command that writes does not stop when its output is closed.
#[test]
fn all_regions_are_flushed_though_no_one_reads_of_it() {
    let dir = tempfile::tempdir().unwrap();
    // names with a long printed form
    let families: Vec<Family> =
        (10..40).map(|n| Family::new(format!("{}{n}", "\u{fc}".repeat(60)))).collect();
    let starts: Vec<String> = (1..10).map(|n| n.to_string()).collect();
    let table = Table::create(dir.path(), "t", &families, &starts).unwrap();
    for row in 0..10 {
        table.put(Put::new(format!("{row}x")).cell(families[0].name().to_vec(), "q", "v")).unwrap();
    }
    // the rows are in the logs
    (0..10).for_each(|row| table.region(format!("{row}x")).unwrap().abort().unwrap());
    drop(table);
    let path = dir.path().join("data/default/t");
    let store = std::str::from_utf8(families[0].name()).unwrap();
    let files = || -> usize {
        let regions = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path().join(store));
        regions.filter(|store| store.is_dir()).map(|store| fs::read_dir(store).unwrap().count()).sum()
    };
    assert_eq!(files(), 0);
    let args = ["flush", "--json", path.to_str().unwrap()];
    let flushed = unread(&args);
    assert_eq!((code(&flushed), stderr(&flushed)), (0, String::new()));
    assert_eq!(files(), 10);
    // more than one write call prints
    assert!(ok(&args).len() > 128 << 10);
}
