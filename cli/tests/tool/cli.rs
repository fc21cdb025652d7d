//! Runs the tool as a process on files written by HBase, with valid and invalid arguments.

use crate::support::*;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

#[test]
fn cells_are_those_that_hbase_reads() {
    for name in golden_names() {
        let output = run_golden(&["cells", "--json"], &name);
        assert_eq!(code(&output), 0, "{name}: {}", stderr(&output));
        let expected = read_gz(golden(&format!("{name}.cells.jsonl.gz")));
        assert!(stdout(&output) == expected, "{name}");
    }
}

#[test]
fn inspect_agrees_with_hbase() {
    let mut files = 0;
    for name in golden_names() {
        let Ok(expected) = fs::read_to_string(golden(&format!("{name}.inspect.json"))) else { continue };
        let mut expected: Value = serde_json::from_str(&expected).unwrap();
        expected.as_object_mut().unwrap().remove("blocks");
        let output = run_golden(&["inspect", "--json"], &name);
        let printed = json_lines(&stdout(&output));
        assert_eq!(printed, [expected], "{name}");
        files += 1;
    }
    assert!(files > 50, "{files}");
}

#[test]
fn inspect_lists_the_blocks_that_hbase_finds() {
    let mut files = 0;
    for name in golden_names() {
        let path = golden(&format!("{name}.blocks.json.gz"));
        if !Path::new(&path).exists() {
            continue;
        }
        let expected: Value = serde_json::from_str(&read_gz(path)).unwrap();
        let output =
            run_golden(&["inspect", if files % 2 == 0 { "--blocks" } else { "-h" }, "--json"], &name);
        assert_eq!(json_lines(&stdout(&output)), [expected], "{name}");
        files += 1;
    }
    assert!(files > 50, "{files}");
}

#[test]
fn blocks_without_checksums_are_listed_too() {
    let printed = json_lines(&ok(&["inspect", "--blocks", "--json", &golden("0.94-prefix-gz.hfile")]));
    let blocks = printed[0]["blocks"].as_array().unwrap();
    assert!(!blocks.is_empty());
    for block in blocks {
        assert_eq!((&block["checksum_type"], &block["bytes_per_checksum"]), (&json!(0), &json!(0)));
        let size = block["on_disk_size"].as_u64().unwrap();
        assert_eq!(block["on_disk_data_size_with_header"], size + 24);
    }
}

#[test]
fn seeks_agree_with_hbase() {
    let mut compared = 0;
    for name in golden_names() {
        let path = golden(&format!("{name}.seek.jsonl.gz"));
        if !Path::new(&path).exists() {
            continue;
        }
        let expected = json_lines(&read_gz(path));
        let keys: String = expected.iter().map(|line| format!("{}\n", line["key"])).collect();
        let keys = temp_file(&format!("{name}.keys.jsonl"), keys.as_bytes());
        let output = run_golden(&["seek", "--keys", &keys, "--json"], &name);
        let printed = json_lines(&stdout(&output));
        assert_eq!(printed.len(), expected.len(), "{name}: {}", stderr(&output));
        for (printed, expected) in printed.iter().zip(&expected) {
            assert_eq!(members(printed), ["key", "seek", "cell", "before"]);
            // HBase's wrong answers are omitted from the file: a member, or the tags of a cell
            for (member, value) in expected.as_object().unwrap() {
                let mut found = printed[member].clone();
                if value.get("tags").is_none()
                    && let Some(cell) = found.as_object_mut()
                {
                    cell.remove("tags");
                }
                assert_eq!(&found, value, "{name} {member} {}", expected["key"]);
                compared += 1;
            }
        }
    }
    assert!(compared > 5000, "{compared}");
}

#[test]
fn keys_may_lack_parts_and_come_from_anywhere() {
    let keys = "{\"row\":\"row-00003\"}\n\n{}\n";
    let mut seek = hregion();
    seek.args(["seek", &plain(), "--keys", "-", "--json"]);
    let lines = json_lines(&stdout(&run_with_input(&mut seek, Stdio::piped(), keys.as_bytes())));
    assert_eq!(lines.len(), 2);
    let key =
        json!({"row": "row-00003", "family": "", "qualifier": "", "timestamp": i64::MAX, "type": "Maximum"});
    assert_eq!(lines[0]["key"], key);
    assert_eq!((&lines[1]["seek"], &lines[1]["cell"]), (&json!(-1), &Value::Null));

    let text = ok(&["seek", &plain(), "--keys", &temp_file("keys.jsonl", keys.as_bytes())]);
    assert_eq!(text.lines().count(), 2);
    assert_eq!(text.lines().last().unwrap(), "//LATEST_TIMESTAMP/Maximum\t-1\t-\t-");
    let values = ok(&["seek", "-p", &plain(), "--keys", &temp_file("keys.jsonl", keys.as_bytes())]);
    assert!(values.contains(" V: ") && !text.contains(" V: "), "{values}");

    let cell = ok(&["seek", &plain(), "row-00003", "--json"]);
    let found = ok(&["seek", &plain(), "--json", "--keys", &temp_file("cell.jsonl", cell.as_bytes())]);
    assert_eq!(json_lines(&found)[0]["cell"], json_lines(&cell)[0], "a cell is a key");

    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(keys.as_bytes()).unwrap();
    let packed = temp_file("keys.jsonl.gz", &packed.finish().unwrap());
    assert_eq!(ok(&["seek", &plain(), "--keys", &packed]), text);
}

#[test]
fn wrong_keys_are_refused_by_their_line() {
    let wrongs = [
        "nonsense",
        "[]",
        "{\"row\":1}",
        "{\"timestamp\":\"x\"}",
        "{\"timestamp\":1e300}",
        "{\"type\":\"Unknown99\"}",
        "{\"rows\":\"r\"}",
        "{\"key\":{\"row\":\"r\"}}",
        &format!("{{\"row\":\"{}\"}}", "r".repeat(32768)),
        &format!("{{\"family\":\"{}\"}}", "f".repeat(128)),
    ];
    for (number, wrong) in wrongs.iter().enumerate() {
        let keys = temp_file(&format!("wrong-{number}.jsonl"), format!("{{}}\n{wrong}\n").as_bytes());
        let output = run(&["seek", &plain(), "--keys", &keys, "--json"]);
        assert_eq!(code(&output), 3, "{wrong}");
        assert_eq!(stdout(&output).lines().count(), 2, "the first key is answered");
        let error = last_error(&output);
        assert_eq!(error["kind"], "Corrupt");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("line 2: ") && !message.contains("at line"), "{error}");
        assert_eq!(error["path"], keys);
    }
}

#[test]
fn seek_finds_the_cell_at_after_and_before_a_key() {
    let cells = json_lines(&ok(&["cells", "--json", &plain()]));
    let find = |args: &[&str]| json_lines(&ok(&[&["seek", "--json", &plain()], args].concat()));
    let text = |cell: &Value, member: &str| cell[member].as_str().unwrap().to_owned();
    for cell in cells.iter().step_by(3) {
        let (row, column) =
            (text(cell, "row"), format!("{}:{}", text(cell, "family"), text(cell, "qualifier")));
        let same_row = |other: &&Value| other["row"] == cell["row"];
        let of_row = cells.iter().find(same_row).unwrap();
        assert_eq!(find(&[&row]), std::slice::from_ref(of_row));
        let of_column = cells
            .iter()
            .position(|other| {
                same_row(&other)
                    && other["family"] == cell["family"]
                    && other["qualifier"] == cell["qualifier"]
            })
            .unwrap();
        assert_eq!(find(&[&row, &column]), [cells[of_column].clone()]);
        let before = if of_column == 0 { vec![] } else { vec![cells[of_column - 1].clone()] };
        assert_eq!(find(&[&row, &column, "--before"]), before);
    }
    assert_eq!(find(&[""]), [cells[0].clone()]);
    assert!(find(&["", "--before"]).is_empty());
    assert!(find(&["\\xFF"]).is_empty());
    assert_eq!(find(&["\\xFF", "--before"]), [cells.last().unwrap().clone()]);
    assert_eq!(ok(&["seek", &plain(), "\\xFF"]), "");
    assert!(ok(&["seek", &plain(), "-1"]).starts_with("row-"), "a row may look like a flag");
    let mistyped = run(&["seek", &plain(), "row-00003", "--befor"]);
    assert!(code(&mistyped) == 2 && stdout(&mistyped).is_empty(), "it is no column");
    assert_eq!(ok(&["seek", &plain(), "row-00003", "--befor:"]), ok(&["seek", &plain(), "row-00003"]));
}

#[test]
fn cells_look_like_those_of_hbase() {
    let cells = json_lines(&ok(&["cells", "--json", &plain()]));
    let (keys, values) = (ok(&["cells", "-e", &plain()]), ok(&["cells", "-p", &plain()]));
    let text = ok(&["cells", &plain()]);
    assert_eq!(text.lines().count(), cells.len());
    for (((cell, line), key), value) in cells.iter().zip(text.lines()).zip(keys.lines()).zip(values.lines()) {
        let member = |name: &str| cell[name].as_str().unwrap();
        let (row, family, qualifier) = (member("row"), member("family"), member("qualifier"));
        let (timestamp, kind, seq_id) = (&cell["timestamp"], member("type"), &cell["sequence_id"]);
        let len = hregion::cell::from_string_binary(member("value")).len();
        let expected = format!("{row}/{family}:{qualifier}/{timestamp}/{kind}/vlen={len}/seqid={seq_id}");
        assert_eq!(line, expected);
        assert_eq!(key, format!("K: {expected}"));
        assert_eq!(value, format!("K: {expected} V: {}", member("value")));
    }
}

#[test]
fn tags_are_printed_with_values() {
    let text = ok(&["cells", "-p", &golden("small-prefix-gz.hfile")]);
    let cells = json_lines(&ok(&["cells", "--json", &golden("small-prefix-gz.hfile")]));
    let mut tags = 0;
    for (cell, line) in cells.iter().zip(text.lines()) {
        for (i, tag) in cell["tags"].as_array().into_iter().flatten().enumerate() {
            let (number, value) = (&tag["type"], tag["value"].as_str().unwrap());
            let expected = format!(" T[{i}]: [Tag type : {number}, value : {value}]");
            assert!(line.contains(&expected), "{line} {expected}");
            tags += 1;
        }
    }
    assert!(tags > 0);
}

#[test]
fn several_files_are_printed_one_after_the_other() {
    let other = golden("small-prefix-gz.hfile");
    let both = ok(&["cells", &plain(), &other]);
    assert_eq!(both, ok(&["cells", &plain()]) + &ok(&["cells", &other]));
}

#[test]
fn count_counts() {
    for name in golden_names() {
        let cells = json_lines(&read_gz(golden(&format!("{name}.cells.jsonl.gz"))));
        let mut rows: Vec<&Value> = cells.iter().map(|cell| &cell["row"]).collect();
        rows.dedup();
        let printed = stdout(&run_golden(&["count", "--json"], &name));
        assert_eq!(printed, format!("{{\"rows\":{},\"cells\":{}}}\n", rows.len(), cells.len()), "{name}");
    }
    let text = ok(&["count", &plain()]);
    assert!(text.starts_with("rows ") && text.contains("\ncells "), "{text}");
}

#[test]
fn the_flags_of_hbase_hfile_show_the_parts() {
    let inspect = |flags: &[&str]| ok(&[&["inspect", &plain()], flags].concat());
    let all = inspect(&[]);
    for part in ["File:", "Trailer:", "Fileinfo:", "Mid-key:", "Bloom filter:", "Block index:"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert!(!all.contains("Block headers:"));
    let meta = inspect(&["-m"]);
    assert!(meta.starts_with("Trailer:\n") && !meta.contains("Block index:"));
    assert!(inspect(&["-b"]).starts_with("Block index:"));
    assert!(inspect(&["-h"]).starts_with("Block headers:\n"));
    assert_eq!(inspect(&["-p"]), ok(&["cells", "-p", &plain()]));
    assert_eq!(inspect(&["-e"]), ok(&["cells", "-e", &plain()]));
    assert_eq!(inspect(&["-k"]), "", "rows are in order");
    let cells = ok(&["cells", &plain(), "-mbh"]);
    assert_eq!(cells, ok(&["cells", &plain()]) + &inspect(&["-mbh"]));

    let stats = inspect(&["-s"]);
    assert!(stats.starts_with("Stats:\nKey length:\n") && stats.contains("Key of biggest row: "), "{stats}");
    let lines = json_lines(&ok(&["inspect", "-s", "--json", &plain()]));
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["stats"]["key_bytes"]["count"], lines[0]["trailer"]["entry_count"]);

    let families = run(&["inspect", "-a", &plain()]);
    assert_eq!(code(&families), 0);
    assert!(stderr(&families).contains("is not in the path"), "{}", stderr(&families));
    assert_eq!(stderr(&run(&["inspect", "-a", "--quiet", &plain()])), "");
}

#[test]
fn help_is_help_and_h_is_block_headers() {
    let commands = [
        "inspect",
        "cells",
        "seek",
        "count",
        "verify",
        "explain",
        "diff",
        "write",
        "convert",
        "bulkload",
        "import",
        "completions",
        "man",
    ];
    for command in [&[][..]].into_iter().chain(commands.iter().map(std::slice::from_ref)) {
        let help = ok(&[command, &["--help"]].concat());
        assert!(help.contains("Usage: hregion") && help.contains("Examples:"), "{help}");
        assert!(!help.contains('\x1b'));
    }
    assert!(ok(&["--version"]).starts_with("hregion "));
}

#[test]
fn every_kind_of_error_has_its_exit_code() {
    let cases: &[(&[&str], i32, &str)] = &[
        (&["cells", &corrupt("flip-data.hfile")], 3, "Corrupt"),
        (&["cells", &corrupt("cut-50.hfile")], 3, "Truncated"),
        (&["count", &corrupt("gz-bomb-open.hfile")], 3, "Limit"),
        (&["count", "--limit-block-bytes", "100", &plain()], 3, "Limit"),
        (&["count", "--limit-memory-bytes", "100", &plain()], 3, "Limit"),
        (&["cells", &golden("1.4-prefix_tree-refused.hfile")], 4, "Unsupported"),
        (&["cells", &golden("small-encrypted.hfile")], 4, "Unsupported"),
        (&["cells", &golden("codec-zstd-dictionary.hfile")], 4, "Unsupported"),
        (&["count", &golden("")], 4, "Unsupported"),
        (&["count", &plain(), "--as", "wal"], 4, "Unsupported"),
        (&["scan", &plain(), "--filter", "NoSuchFilter()"], 2, "Usage"),
        (&["stats", &corrupt("flip-data.hfile")], 3, "Corrupt"),
        (&["scan", &plain(), "--columns", "g"], 2, "NoSuchFamily"),
        (&["scan", &golden("no-such-region")], 5, "Io"),
        (&["scan", &golden(""), "--versions", "0"], 2, "Usage"),
        (&["replay", &golden("no-such.jsonl")], 5, "Io"),
        (&["replay", &plain()], 3, "Corrupt"),
        (&["replay", "-", "--set", "versions=2"], 2, "Usage"),
        (&["count", "gopher://bucket/file"], 4, "Unsupported"),
        (&["inspect", &golden("no-such.hfile")], 5, "Io"),
        (&["cells", &plain(), "--zstd-dictionary", &golden("no-such.dict")], 5, "Io"),
        (&["seek", &plain(), "--keys", &golden("no-such.jsonl")], 5, "Io"),
        (&["cells", &plain(), "--master-key-file", &plain()], 2, "InvalidArgument"),
        (&["seek", &plain(), &"r".repeat(40_000)], 2, "InvalidArgument"),
        (&["seek", &plain(), "r", &"f".repeat(128)], 2, "InvalidArgument"),
        (&["cells"], 2, "Usage"),
        (&["seek", &plain()], 2, "Usage"),
        (&["seek", &plain(), "row", "--keys", "keys"], 2, "Usage"),
        (&["nonsense"], 2, "Usage"),
        (&["cells", "--nonsense", &plain()], 2, "Usage"),
        (&["count", "--limit-block-bytes", "much", &plain()], 2, "Usage"),
        (&["seek", &plain(), "--keys", "-", "--limit-line-bytes", "3G"], 2, "Usage"),
        (&["scan", &plain(), "--timeout", "1"], 2, "Usage"),
        (&["locate", "t", "r", "--meta", "root", "--timeout", "1"], 2, "Usage"),
        (&["shell", "root", "-e", "list", "--timeout", "1"], 2, "Usage"),
        (&["shell", "root", "-e", "list", "--limit-line-bytes", "1G"], 2, "Usage"),
        (&["seek", &plain(), "row", "--limit-line-bytes", "1G"], 2, "Usage"),
        (&["bench", "--force"], 2, "Usage"),
        (&["bench", "--svg", "-"], 2, "Usage"),
        (&["salvage", &plain(), "--out", "-"], 2, "Usage"),
        (&["bulkload", "cells", "--regions", "splits", "--out", "-"], 2, "Usage"),
        (&["completions", "basic"], 2, "Usage"),
        (&[], 2, "Usage"),
    ];
    for &(args, expected, kind) in cases {
        let output = run(&[args, &["--json"]].concat());
        assert_eq!(code(&output), expected, "{args:?}: {}", stderr(&output));
        let error = last_error(&output);
        assert_eq!(error["kind"], kind, "{args:?}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert_eq!(stderr(&output).lines().count(), 1, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("error: "), "{args:?}: {}", stderr(&output));
        let text = run(args);
        assert_eq!(code(&text), expected, "{args:?}");
        assert!(!stdout(&text).contains("\"error\""));
        if !args.is_empty() {
            assert_eq!(stderr(&text), stderr(&output), "{args:?}");
        }
    }
}

#[test]
fn errors_have_path_offset_and_block() {
    let file = corrupt("flip-data.hfile");
    let output = run(&["cells", "--json", &file]);
    let error = last_error(&output);
    assert_eq!(members(&error), ["kind", "message", "path", "offset", "block"]);
    assert_eq!(error["path"], file);
    let line = stderr(&output);
    assert!(line.starts_with(&format!("error: {file}: DATA at {}: checksum", error["offset"])), "{line}");

    // the cells before the error are printed, and are correct
    let sound = ok(&["cells", "--json", &corrupt("sound-plain.hfile")]);
    let printed = stdout(&output);
    let cells = printed.trim_end().rsplit_once('\n').expect("some cells").0;
    assert!(sound.starts_with(&format!("{cells}\n")));

    // errors name the option or command to try
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("WALs").into_os_string().into_string().unwrap();
    fs::create_dir(&logs).unwrap();
    let archived = golden(
        "../region/clone-references/root/archive/data/default/joined/f237048a77d5bd1e16c5faee9577007e",
    );
    for (args, option) in [
        (&["cells", &golden("small-encrypted.hfile")][..], "--master-key-file"),
        (&["verify", &golden("small-encrypted.hfile")], "--master-key-file"),
        (&["cells", &golden("codec-zstd-dictionary.hfile")], "--zstd-dictionary"),
        (&["cells", "--limit-block-bytes", "9", &plain()], "--limit-block-bytes"),
        (&["cells", &file], "hregion verify"),
        // a table given by its name
        (&["scan", "users"], "scan TABLE --zookeeper"),
        (&["compact", "ns:users"], "ROOT/data/NAMESPACE/TABLE"),
        // these two commands have no option --as
        (&["cells", &golden("")], "`hregion scan --as family`"),
        (&["seek", &plain(), "--keys", &logs], "expected a file, not a directory"),
        (&["check", &logs], "`hregion wal` prints its entries"),
        (&["cells", &logs], "`hregion wal` prints its entries"),
        (&["scan", &logs], "`hregion wal` prints its entries"),
        (&["check", &archived], "`hregion wal` prints logs"),
        (&["check", &golden("../region/clone-references/root/data/default")], "expected ROOT, or"),
        (&["scan", &golden("../region/clone-references/root")], "name one of its tables"),
        (&["compact", &golden("../region/clone-references/root/data/default")], "name one of its tables"),
        (&["import", &golden("../region/clone-references/root"), &file], "name one of its tables"),
    ] {
        assert!(stderr(&run(args)).contains(option), "{}", stderr(&run(args)));
    }
    let path = run(&["scan", "data/default/users"]);
    assert!(code(&path) == 5 && !stderr(&path).contains("--zookeeper"), "{}", stderr(&path));

    let missing = last_error(&run(&["cells", "--json", "no-such"]));
    assert_eq!(members(&missing), ["kind", "message", "path"]);
    assert_eq!(missing["path"], "no-such");
}

#[test]
fn no_checksums_prints_a_warning() {
    let warning = "warning: checksums are not verified, damaged bytes may be returned as data\n";
    let output = run(&["count", "--json", "--quiet", "--no-checksums", &plain()]);
    assert_eq!((code(&output), stderr(&output).as_str()), (0, warning));
    let flipped = run(&["count", "--no-checksums", &corrupt("flip-data.hfile")]);
    assert_eq!(code(&flipped), 0, "{}", stderr(&flipped));
    // once for all files
    let table = testdata("region/bulk-loaded/root/data/default/loaded");
    for command in ["cells", "inspect", "verify"] {
        let output = run(&[command, "--json", "--quiet", "--no-checksums", table.to_str().unwrap()]);
        assert_eq!((code(&output), stderr(&output).as_str()), (0, warning), "{command}");
    }
}

#[test]
fn an_unknown_comparator_is_warned_of() {
    let file = corrupt("trailer-comparator.hfile");
    let output = run(&["inspect", "--json", &file]);
    assert_eq!(code(&output), 0);
    assert!(stderr(&output).starts_with("warning: "), "{}", stderr(&output));
    let report = json_lines(&stdout(&output));
    assert_eq!(report[0]["trailer"]["comparator_class_name"], "com.example.NoSuchComparator");
    assert_eq!(code(&run(&["cells", &file])), 0);
    let seek = run(&["seek", "--json", &file, "r"]);
    assert_eq!(code(&seek), 4, "without an order there is no search");
    assert_eq!(last_error(&seek)["kind"], "Unsupported");
}

#[test]
fn other_kinds_of_files_are_named() {
    let reference = "a6a6562b777440fd9c34885428f5cb61.21e75333ada3d5bafb34bb918f29576c";
    for (name, bytes, what) in [
        ("log", b"PWAL and what follows".as_slice(), "write-ahead log"),
        ("message", b"PBUF\x0a\x00", "protobuf"),
        (reference, b"\x00\x00\x00\x00\x12row", "reference"),
    ] {
        let output = run(&["count", "--json", &temp_file(name, bytes)]);
        assert_eq!(code(&output), 4, "{name}");
        let error = last_error(&output);
        assert!(error["message"].as_str().unwrap().contains(what), "{error}");
    }
    let directory = run(&["seek", "--json", ".", "row"]);
    let message = "a directory, expected a file: `scan`, `get`, `count` and `stats` read those of families, \
        regions, tables and snapshots";
    assert_eq!(last_error(&directory)["message"], message);
    for (args, what) in [
        (&["flush", &plain()][..], "a file"),
        (&["get", ".", "row"], "neither a region nor a table"),
        (&["count", "."], "neither a region nor a table"),
        (&["cells", "."], "neither a region nor a table"),
        (&["inspect", "."], "neither a region nor a table"),
        (&["compact", "."], "neither a region nor a table"),
        (&["flush", "http://server/region"], "http"),
        (&["scan", "--as", "wal", "."], "neither a region nor a table"),
    ] {
        let output = run(&[args, &["--json"]].concat());
        assert_eq!(code(&output), 4, "{args:?}");
        assert!(last_error(&output)["message"].as_str().unwrap().contains(what), "{}", stdout(&output));
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let file = golden("matrix-none-gz.hfile");
    let mut child = hregion()
        .args(["cells", "--json"])
        .args(std::iter::repeat_n(file, 50))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    // the pipe is dropped, and so closed, after one line
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"row\":"));
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_of_io() {
    for args in
        [&["cells", &plain()][..], &["inspect", "--json", &plain()], &["man"], &["completions", "fish"]]
    {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = hregion().args(args).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        assert_eq!(code(&output), 5, "{args:?}");
        assert!(
            stderr(&output).starts_with("error: cannot write to standard output: "),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
#[cfg(unix)]
fn no_control_character_reaches_a_terminal() {
    use std::os::unix::ffi::OsStrExt as _;
    let wild = OsStr::from_bytes(b"a\x1b[31m\n\xff\x9b\x07");
    let controls = OsStr::from_bytes(b"a\x1b]0;title\x07\xc2\x9b\xe2\x80\xae\n");
    let file = plain();
    let commands: [&[&str]; 6] =
        [&["cells"], &["inspect"], &["verify"], &["seek", &file], &["cells", "--as"], &[]];
    for arg in [wild, controls] {
        for json in [false, true] {
            for command in commands {
                let mut run = hregion();
                run.args(command).arg(arg).args(json.then_some("--json"));
                let output = run.output().unwrap();
                for bytes in [&output.stdout, &output.stderr] {
                    let text = String::from_utf8(bytes.clone()).unwrap();
                    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
                    assert!(!text.contains(bad), "{text:?}");
                }
            }
        }
    }
    // a path that is not UTF-8 is printed with escapes
    let error = last_error(&run(&[OsStr::new("cells"), OsStr::new("--json"), wild]));
    assert_eq!(error["path"], "a\\x1B[31m\\x0A\\xFF\\x9B\\x07");
}

#[test]
fn nonsense_never_panics() {
    let words = [
        "cells",
        "inspect",
        "seek",
        "count",
        "import",
        "scan",
        "get",
        "explain",
        "compact",
        "replay",
        "verify",
        "man",
        "completions",
        "--json",
        "--keys",
        "--before",
        "-",
        "--",
        "-h",
        "-mpebkas",
        "--limit-block-bytes",
        "0",
        "\\x",
        "\\xZZ",
        "ü",
        "",
        ":",
        "--as",
        "hfile",
        "--help",
    ];
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let dir = tempfile::tempdir().unwrap();
    let file = fs::canonicalize(plain()).unwrap().into_os_string().into_string().unwrap();
    for _ in 0..300 {
        let mut args: Vec<&str> = (0..1 + next(5)).map(|_| words[next(words.len())]).collect();
        args.insert(next(args.len() + 1), &file);
        let output = hregion().args(&args).current_dir(dir.path()).stdin(Stdio::null()).output().unwrap();
        assert!((0..=5).contains(&code(&output)), "{args:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{args:?}");
    }
}

#[test]
fn damaged_files_are_refused_or_read_right() {
    let expect: Value =
        serde_json::from_str(&fs::read_to_string(testdata("corrupt/expect.json")).unwrap()).unwrap();
    for case in expect.as_array().unwrap() {
        let (file, sound) = (case["file"].as_str().unwrap(), case["sound"].as_str().unwrap());
        let stage = case["rejected_at"].as_str().unwrap();
        let cells = read_gz(corrupt(&sound.replace(".hfile", ".cells.jsonl.gz")));
        let output = run(&["cells", "--json", &corrupt(file)]);
        match code(&output) {
            0 => {
                assert!(!matches!(stage, "open" | "scan"), "{file}: {stage}");
                assert!(stdout(&output) == cells || stage == "verify", "{file}");
            }
            3 | 4 => {
                assert!(!matches!(stage, "accept" | "filter"), "{file}: {}", stderr(&output));
                assert_ne!(last_error(&output)["offset"], Value::Null, "{file}");
            }
            code => panic!("{file}: {code} {}", stderr(&output)),
        }
    }
}

#[test]
fn completions_and_manual_pages_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = ok(&["completions", shell]);
        assert!(script.contains("inspect") && script.contains("zstd-dictionary"), "{shell}");
    }
    let page = ok(&["man"]);
    assert!(page.contains(".TH hregion 1") && page.contains("verify"), "{page}");

    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    assert_eq!(ok(&["man", "--out", out]), "");
    let mut commands = [
        "-bench",
        "-bulkload",
        "-cells",
        "-check",
        "-compact",
        "-completions",
        "-convert",
        "-copy",
        "-count",
        "-diff",
        "-du",
        "-explain",
        "-explain-get",
        "-explain-scan",
        "-export",
        "-flush",
        "-get",
        "-import",
        "-inspect",
        "-load",
        "-locate",
        "-man",
        "-merge",
        "-recover",
        "-regions",
        "-replay",
        "-report",
        "-salvage",
        "-scan",
        "-seek",
        "-shell",
        "-snapshot",
        "-snapshot-clone",
        "-snapshot-create",
        "-snapshot-delete",
        "-snapshot-export",
        "-snapshot-info",
        "-snapshot-list",
        "-snapshot-restore",
        "-split",
        "-stats",
        "-verify",
        "-wal",
        "-write",
        "",
    ];
    commands.sort_by_key(|command| format!("{command}."));
    assert_eq!(names(dir.path()), commands.map(|command| format!("hregion{command}.1")));
    let again = run(&["man", "--out", out]);
    assert_eq!(code(&again), 2);
    assert!(stderr(&again).contains("--force"));
    assert_eq!(ok(&["man", "--out", out, "--force"]), "");
    assert_eq!(code(&run(&["man", "--out", "no/such/directory"])), 5);
}

#[cfg(unix)]
#[test]
fn a_manual_page_replaces_only_regular_files() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("hregion-write.1");
    std::os::unix::fs::symlink("/dev/null", &page).unwrap();
    let output = run(&["man", "--out", dir.path().to_str().unwrap(), "--force"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("not a regular file"), "{}", stderr(&output));
    assert!(page.symlink_metadata().unwrap().is_symlink());
    // not even the files before it are written
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
