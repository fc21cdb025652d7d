//! `bulkload` and `write` with --columns: rows of text become the same cells as with ImportTsv, and an export
//! is loaded into another table.

use crate::support::{code, json_lines, last_error, ok, run, stderr, testdata};
use flate2::Compression;
use flate2::write::GzEncoder;
use hregion::{Family, Region, Table};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::Path;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns row, column, timestamp and value of the cells of the files below a directory.
fn cells(dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for family in fs::read_dir(dir).unwrap() {
        files.extend(fs::read_dir(family.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    let args = ["cells", "--json"].into_iter().chain(files.iter().map(|file| text(file)));
    let mut cells: Vec<String> = json_lines(&ok(&args.collect::<Vec<_>>())).iter().map(shown).collect();
    cells.sort();
    cells
}

fn shown(cell: &Value) -> String {
    let text = |member: &str| cell[member].as_str().unwrap().to_owned();
    let tags = cell.get("tags").map(|tags| format!(" {tags}")).unwrap_or_default();
    format!(
        "{} {}:{} {} {}{tags}",
        text("row"),
        text("family"),
        text("qualifier"),
        cell["timestamp"],
        text("value")
    )
}

#[test]
fn rows_of_text_become_cells() {
    let scratch = tempfile::tempdir().unwrap();
    let (input, splits) = (scratch.path().join("in.csv"), scratch.path().join("splits"));
    fs::write(&splits, "m\n").unwrap();
    let lines = "key,name,age,when\nzoe,\"Zoe, \"\"Z\"\"\",7,50\nann,Ann,,\nno key\n,x,1,2\nbob,Bob\n";
    fs::write(&input, lines).unwrap();
    let load = |out: &str, more: &[&str]| {
        let dir = scratch.path().join(out);
        let columns = "HBASE_ROW_KEY,cf:name,d:age,HBASE_TS_KEY";
        let args = ["bulkload", "--json", text(&input), "--regions", text(&splits), "--out", text(&dir)];
        let args =
            [&args[..], &["--columns", columns, "--separator", ",", "--timestamp", "9"], more].concat();
        (run(&args), dir)
    };
    let (output, dir) = load("all", &["--quoted", "--skip-lines", "1", "--skip-bad-lines"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("3 malformed lines were skipped"), "{}", stderr(&output));
    let expected = ["ann cf:name 9 Ann", "ann d:age 9 ", "zoe cf:name 50 Zoe, \"Z\"", "zoe d:age 50 7"];
    assert_eq!(cells(&dir), expected);
    let (output, dir) =
        load("some", &["--quoted", "--skip-lines", "1", "--skip-bad-lines", "--skip-empty-columns"]);
    assert_eq!(code(&output), 0);
    assert_eq!(cells(&dir), [expected[0], expected[2], expected[3]]);
    // Without --skip-bad-lines, a bad line is an error with its number, and no output remains.
    let (output, dir) = load("none", &["--skip-lines", "1"]);
    let error = last_error(&output);
    assert_eq!((code(&output), error["kind"].as_str()), (3, Some("Corrupt")), "{error}");
    assert!(error["message"].as_str().unwrap().contains("line 2: 5 fields, expected 4 at most"), "{error}");
    assert!(!dir.exists());
    let args = ["write", "--json", text(&input), "--out", "x", "--separator", ","];
    assert_eq!(code(&run(&args)), 2);
}

/// As in HBase: such a line would be a row without cells.
#[test]
fn a_line_without_a_separator_is_malformed() {
    let scratch = tempfile::tempdir().unwrap();
    let (input, file) = (scratch.path().join("in.csv"), scratch.path().join("out.hfile"));
    fs::write(&input, "ann,Ann\nbob,Bob\n").unwrap();
    let args = ["write", "--json", text(&input), "--out", text(&file), "--columns", "HBASE_ROW_KEY,f:n"];
    let output = run(&args);
    let error = last_error(&output);
    assert_eq!((code(&output), error["kind"].as_str()), (3, Some("Corrupt")), "{error}");
    assert!(error["message"].as_str().unwrap().contains("line 1: no separator \\x09"), "{error}");
    assert!(!file.exists());
    ok(&[&args[..], &["--separator", ","]].concat());
    assert_eq!(json_lines(&ok(&["cells", "--json", text(&file)])).len(), 2);
}

/// As in HBase, which has no rows without a key, but accepts rows and values of blanks.
#[test]
fn a_line_of_blanks_is_read_as_any_other() {
    let scratch = tempfile::tempdir().unwrap();
    let (input, file) = (scratch.path().join("in.tsv"), scratch.path().join("out.hfile"));
    let args = ["write", "--json", text(&input), "--out", text(&file), "--columns", "HBASE_ROW_KEY,f:n"];
    let args = [&args[..], &["--timestamp", "9"]].concat();
    for (line, message) in [("\t", "line 3: no row key"), ("  ", "line 3: no separator \\x09")] {
        fs::write(&input, format!("\na\tAnn\n{line}\n\r\n")).unwrap();
        let output = run(&args);
        let error = last_error(&output);
        assert_eq!((code(&output), error["kind"].as_str()), (3, Some("Corrupt")), "{line:?}: {error}");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
        let output = run(&[&args[..], &["--skip-bad-lines", "--force"]].concat());
        assert!(stderr(&output).contains("1 malformed line"), "{line:?}: {}", stderr(&output));
        fs::remove_file(&file).unwrap();
    }
    fs::write(&input, " \t \n  \t\n\na\tAnn\n").unwrap();
    ok(&args);
    let cells: Vec<String> = json_lines(&ok(&["cells", "--json", text(&file)])).iter().map(shown).collect();
    assert_eq!(cells, ["  f:n 9  ", "   f:n 9 ", "a f:n 9 Ann"]);
    // Splits are rows too.
    let (splits, load) = (scratch.path().join("splits"), scratch.path().join("load"));
    fs::write(&splits, " !\n\n  \n").unwrap();
    let args = ["bulkload", "--json", text(&input), "--regions", text(&splits), "--out", text(&load)];
    let files = json_lines(&ok(&[&args[..], &["--columns", "HBASE_ROW_KEY,f:n"]].concat()));
    assert_eq!(files.len(), 3, "{files:?}");
}

/// As with ImportTsv: the byte order mark that some programs write before text does not belong to the first
/// row. It does not count towards the limit of a line.
#[test]
fn a_byte_order_mark_is_left_out() {
    const LIST: &[u8] = b"\xEF\xBB\xBFr1\tv\nr2\tv\n";
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("out.hfile");
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(LIST).unwrap();
    let packed = packed.finish().unwrap();
    let write = |name: &str, bytes: &[u8], more: &[&str]| {
        let input = scratch.path().join(name);
        fs::write(&input, bytes).unwrap();
        let args = ["write", "--json", text(&input), "--out", text(&file), "--force", "--timestamp", "9"];
        run(&[&args[..], &["--columns", "HBASE_ROW_KEY,f:n"], more].concat())
    };
    let both = &["r1 f:n 9 v", "r2 f:n 9 v"][..];
    let quoted = &["--quoted", "--separator", ","][..];
    for (name, bytes, more, expected) in [
        ("in.tsv", LIST, &[][..], both),
        ("in.tsv.gz", &packed, &[], both),
        ("in.tsv", LIST, &["--skip-lines", "1"], &both[1..]),
        ("in.tsv", b"\xEF\xBB\xBF\nr1\tv\n", &[], &both[..1]),
        ("in.tsv", b"\xEF\xBB\xBFr1\tv\r\n", &["--limit-line-bytes", "4"], &both[..1]),
        ("in.csv", b"\xEF\xBB\xBF\"a,b\",v\n", quoted, &["a,b f:n 9 v"]),
        ("in.tsv", b"r1\tv\n\xEF\xBB\xBFr2\tv\n", &[], &[both[0], "\\xEF\\xBB\\xBFr2 f:n 9 v"]),
        ("in.tsv", b"\xEF\xBB\xBF\xEF\xBB\xBFr1\tv\n", &[], &["\\xEF\\xBB\\xBFr1 f:n 9 v"]),
    ] {
        let output = write(name, bytes, more);
        assert_eq!(code(&output), 0, "{bytes:?}: {}", stderr(&output));
        let found = json_lines(&ok(&["cells", "--json", text(&file)]));
        assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expected, "{bytes:?}");
    }
    let output = write("in.tsv", LIST, &["--limit-line-bytes", "3"]);
    let error = last_error(&output);
    assert_eq!((code(&output), error["kind"].as_str()), (3, Some("Limit")), "{error}");
    assert!(error["message"].as_str().unwrap().contains("line 1: over the limit of 3 bytes"), "{error}");
}

#[test]
fn empty_lines_of_a_header_are_skipped_as_lines() {
    let scratch = tempfile::tempdir().unwrap();
    let (input, splits) = (scratch.path().join("in.tsv"), scratch.path().join("splits"));
    fs::write(&splits, "").unwrap();
    fs::write(&input, "# key, name\n\na\tAnn\n\nb\tBob\n").unwrap();
    for (skipped, expected) in
        [("2", &["a f:n 9 Ann", "b f:n 9 Bob"][..]), ("4", &["b f:n 9 Bob"]), ("99", &[])]
    {
        let dir = scratch.path().join(skipped);
        let args = ["bulkload", text(&input), "--regions", text(&splits), "--out", text(&dir)];
        let more = ["--columns", "HBASE_ROW_KEY,f:n", "--timestamp", "9", "--skip-lines", skipped];
        ok(&[&args[..], &more].concat());
        let found = if expected.is_empty() { Vec::new() } else { cells(&dir) };
        assert_eq!(found, expected, "{skipped}");
    }
}

#[test]
fn fields_have_times_to_live_and_any_bytes() {
    let scratch = tempfile::tempdir().unwrap();
    let (input, file) = (scratch.path().join("in.tsv"), scratch.path().join("out.hfile"));
    fs::write(&input, b"5\tb\t\xff\x00,\n\ta\tx\n").unwrap();
    let columns = "HBASE_CELL_TTL,HBASE_ROW_KEY,f:\\x01";
    ok(&["write", text(&input), "--columns", columns, "--timestamp", "1", "--tags", "--out", text(&file)]);
    let cells: Vec<String> = json_lines(&ok(&["cells", "--json", text(&file)])).iter().map(shown).collect();
    let ttl = r#" [{"type":8,"value":"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x05"}]"#;
    assert_eq!(cells, ["a f:\\x01 1 x".to_owned(), format!("b f:\\x01 1 \\xFF\\x00,{ttl}")]);
}

#[test]
fn an_export_is_loaded_into_another_table() {
    let scratch = tempfile::tempdir().unwrap();
    let source = testdata("region/split-references/root/data/default/halves");
    let (files, load, root) =
        (scratch.path().join("files"), scratch.path().join("load"), scratch.path().join("root"));
    let all = ["--versions", "all"];
    ok(&[&["export", text(&source), "--to", "jsonl", "--out", text(&files)][..], &all].concat());
    let region = Table::open_dir(&source, Region::options()).unwrap().region("").unwrap();
    let families: Vec<Family> = region.families().cloned().collect();
    Table::create(&root, "copy", &families, &["row-0040"]).unwrap().close().unwrap();
    let splits = scratch.path().join("splits");
    fs::write(&splits, "row-0040\n").unwrap();
    let mut list = String::new();
    for file in fs::read_dir(&files).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "jsonl") {
            list += &fs::read_to_string(file).unwrap();
        }
    }
    let input = scratch.path().join("cells.jsonl");
    fs::write(&input, list).unwrap();
    ok(&["bulkload", text(&input), "--sort", "--regions", text(&splits), "--out", text(&load)]);
    let copy = root.join("data/default/copy");
    ok(&["load", text(&copy), text(&load)]);
    let scan = |table: &Path| -> Vec<String> {
        let cells = ok(&[&["scan", "--json", text(table)][..], &all].concat());
        json_lines(&cells).iter().map(shown).collect()
    };
    let copied = scan(&copy);
    assert!(copied.len() > 50);
    assert_eq!(copied, scan(&source));
}
