//! `hregion convert` and `hregion diff` as processes: the cells are the same in every encoding and codec.

use crate::library::golden::{self, Golden};
use crate::support::*;
use hregion::{CellRef, CellType, HFileWriter, SeekKey};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const ENCODINGS: [&str; 5] = ["NONE", "PREFIX", "DIFF", "FAST_DIFF", "ROW_INDEX_V1"];

fn codecs() -> Vec<&'static str> {
    let mut codecs = vec!["NONE", "GZ", "SNAPPY", "LZ4", "ZSTD"];
    let more = [
        ("LZO", cfg!(feature = "lzo")),
        ("BZIP2", cfg!(feature = "bzip2")),
        ("LZMA", cfg!(feature = "xz")),
        ("BROTLI", cfg!(feature = "brotli")),
    ];
    codecs.extend(more.iter().filter(|(_, built_in)| *built_in).map(|(name, _)| name));
    codecs
}

/// Converts a file through every encoding and every codec (with `all`, every pair) and compares the cells.
fn there_and_back(golden: &Golden, all: bool, dir: &Path) {
    let name = &golden.name;
    let expected: String = golden.cell_lines().iter().map(|line| format!("{line}\n")).collect();
    let (mut forms, codecs) = (Vec::new(), codecs());
    for (i, encoding) in ENCODINGS.iter().enumerate() {
        for (j, codec) in codecs.iter().enumerate() {
            if all || j % ENCODINGS.len() == i {
                forms.push((*encoding, *codec));
            }
        }
    }
    let key = temp_file(&format!("convert-{name}.key"), b"000102030405060708090a0b0c0d0e0f\n");
    let mut reading = Vec::new();
    if golden.master_key().is_some() {
        reading.extend(["--master-key-file".into(), key]);
    }
    if let Some(path) = golden.zstd_dictionary() {
        reading.extend(["--zstd-dictionary".into(), path.into_os_string().into_string().unwrap()]);
    }
    let path = |name: &str| dir.join(name).into_os_string().into_string().unwrap();
    let is_encrypted = golden.master_key().is_some();
    let read = |command: &[&str]| {
        // the output of an encrypted file is encrypted
        let key = if is_encrypted { &reading[..2] } else { &[] };
        run(&command.iter().copied().chain(key.iter().map(String::as_str)).collect::<Vec<_>>())
    };
    let mut from = golden.hfile().into_os_string().into_string().unwrap();
    for (i, (encoding, codec)) in forms.iter().enumerate() {
        let to = path(&format!("{name}-{}", i % 2));
        let mut args = vec!["convert", &from, "--out", &to, "--force"];
        args.extend(["--encoding", encoding, "--compression", codec]);
        if i == 0 || is_encrypted {
            args.extend(reading.iter().map(String::as_str));
        }
        let output = run(&args);
        assert_eq!(code(&output), 0, "{name} to {encoding} {codec}: {}", stderr(&output));
        assert_eq!(code(&run(&["cells", &to, "--quiet"])), if is_encrypted { 4 } else { 0 }, "{name}");
        from = to;
        if i % 3 == 0 || i + 1 == forms.len() {
            assert!(stdout(&read(&["cells", "--json", &from])) == expected, "{name} as {encoding} {codec}");
            assert_eq!(code(&read(&["verify", &from])), 0, "{name} as {encoding} {codec}");
        }
    }
    let last = golden.hfile().into_os_string().into_string().unwrap();
    let mut args = vec!["diff", &last, &from];
    args.extend(reading.iter().map(String::as_str));
    assert_eq!(ok(&args), "", "{name}");
}

#[test]
fn cells_survive_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let goldens = golden::in_folder(&golden::root("testdata/golden"));
    for (i, golden) in goldens.iter().filter(|golden| is_readable(golden)).enumerate() {
        // a sample: every pair for one file in 40, some pairs for one in four
        if i % 4 == 0 {
            there_and_back(golden, i % 40 == 0, dir.path());
        }
    }
}

#[test]
#[ignore = "minutes: every golden file in 45 forms"]
fn cells_of_every_golden_file_survive_every_form() {
    let dir = tempfile::tempdir().unwrap();
    let mut goldens = golden::whole();
    if goldens.is_empty() {
        goldens = golden::in_folder(&golden::root("testdata/golden"));
    }
    for golden in goldens.iter().filter(|golden| is_readable(golden)) {
        there_and_back(golden, true, dir.path());
    }
}

fn is_readable(golden: &Golden) -> bool {
    let name = golden
        .setting("--compression")
        .or_else(|| golden.made.split_whitespace().find_map(|word| word.strip_prefix("--compression=")));
    let built_in = codecs().contains(&name.unwrap_or("NONE"));
    !golden.is_refused() && built_in && (golden.master_key().is_none() || cfg!(feature = "crypto"))
}

const KEY: &[u8] = b"000102030405060708090a0b0c0d0e0f\n";
/// Part of the cells' values. In an encrypted file it is not visible without the key.
const MARKER: &str = "sphinx of black quartz";

fn shows(path: &str) -> bool {
    fs::read(path).unwrap().windows(MARKER.len()).any(|window| window == MARKER.as_bytes())
}

#[cfg(feature = "crypto")]
#[test]
fn convert_keeps_encryption_unless_plaintext_is_requested() {
    let dir = tempfile::tempdir().unwrap();
    let key = temp_file("convert-master.key", KEY);
    let lines: Vec<String> =
        (0..50).map(|i| cell(&format!("row{i:02}"), &format!("{MARKER} {i}"), i)).collect();
    let clear = write(&dir, "clear", &lines, &["--mvcc"]);
    let with_key = ["--master-key-file", &key];
    let encrypted = write(
        &dir,
        "encrypted",
        &lines,
        &[&["--mvcc", "--encryption", "AES", "--compression", "ZSTD"][..], &with_key].concat(),
    );
    assert!(shows(&clear) && !shows(&encrypted));
    let cells = ok(&["cells", "--json", &clear]);
    let out = path(&dir, "out");
    let convert = |args: &[&str]| run(&[&["convert", "--out", &out, "--force"], args].concat());
    let converted = |args: &[&str]| {
        let output = convert(args);
        assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
        stderr(&output)
    };

    // the output is encrypted like the input
    assert!(!converted(&[&[encrypted.as_str()], &with_key[..]].concat()).contains("warning"));
    assert_eq!(code(&run(&["cells", &out])), 4);
    assert_eq!(ok(&[&["cells", "--json", &out], &with_key[..]].concat()), cells);
    // one encrypted input of several is enough, and compression has no effect
    converted(&[&[clear.as_str(), &encrypted, "--compression", "NONE"], &with_key[..]].concat());
    assert!(!shows(&out));
    assert_eq!(code(&run(&["cells", &out])), 4);
    // encrypted or unencrypted output on request
    converted(&[&[clear.as_str(), "--encryption", "AES"], &with_key[..]].concat());
    assert!(!shows(&out));
    let in_the_clear = ["--encryption", "NONE", "--compression", "NONE", "--quiet"];
    let said = converted(&[&[encrypted.as_str()], &with_key[..], &in_the_clear].concat());
    assert!(said.contains("--encryption NONE: the input is encrypted, the output is not"), "{said}");
    assert!(shows(&out));
    assert_eq!(ok(&["cells", "--json", &out]), cells);
    assert_eq!(converted(&[clear.as_str(), "--encryption", "NONE", "--quiet"]), "");
    fs::remove_file(&out).unwrap();

    // without the key
    for (args, expected) in [
        (&[encrypted.as_str()][..], 4),
        (&[&encrypted, "--encryption", "NONE"], 4),
        (&[&clear, "--encryption", "AES"], 2),
        (&[&clear, "--encryption", "DES"], 2),
        (&[&clear, "--encryption", "AES", "--to", "csv", with_key[0], with_key[1]], 2),
    ] {
        let output = convert(args);
        assert_eq!(code(&output), expected, "{args:?}: {}", stderr(&output));
        assert!(fs::metadata(&out).is_err(), "{args:?}");
    }
    let said = stderr(&convert(&[&clear, "--encryption", "AES"]));
    assert!(said.contains("use --master-key-file"), "{said}");

    // CSV and JSON lines cannot be encrypted
    for form in ["csv", "jsonl"] {
        let list = [&[encrypted.as_str(), "--to", form], &with_key[..]].concat();
        let output = convert(&list);
        assert_eq!(code(&output), 2);
        let said = stderr(&output);
        assert!(said.contains("use --encryption NONE to write it unencrypted"), "{said}");
        assert!(fs::metadata(&out).is_err());
        let said = converted(&[&list[..], &["--encryption", "NONE"]].concat());
        assert!(said.contains("the input is encrypted, the output is not"), "{said}");
        assert!(shows(&out));
        fs::remove_file(&out).unwrap();
        assert!(
            ok(&[&["convert", "--out", "-"], &list[..]].concat()).contains(MARKER),
            "as `cells` prints it"
        );
    }
}

/// HBase reads a ZSTD file only with the kind of class (framed or bare) that wrote it. Without the key, the
/// kind of an encrypted file cannot be determined.
#[cfg(feature = "crypto")]
#[test]
fn an_encrypted_zstd_file_stays_framed_or_bare() {
    let dir = tempfile::tempdir().unwrap();
    let key = temp_file("convert-framed.key", KEY);
    let lines = [cell("row", MARKER, 1)];
    for class in
        ["org.apache.hadoop.io.compress.ZStandardCodec", "org.apache.hadoop.hbase.io.compress.zstd.ZstdCodec"]
    {
        let reading = ["--master-key-file", &key];
        let settings = ["--encryption", "AES", "--compression", "ZSTD", "--codec", class];
        let from = write(&dir, "from", &lines, &[&settings[..], &reading].concat());
        let to = path(&dir, "to");
        ok(&[&["convert", &from, "--out", &to, "--force"], &reading[..]].concat());
        let framed = |path: &str| {
            let options = hregion::HFile::options().master_key((0..16).collect::<Vec<u8>>());
            options.open(path).unwrap().zstd_framed().unwrap()
        };
        assert_eq!((framed(&from), framed(&to)), (Some(class.contains("hbase")), framed(&from)));
        fs::remove_file(from).unwrap();
    }
}

#[test]
fn a_key_without_a_cipher_is_asked_about() {
    let dir = tempfile::tempdir().unwrap();
    let (key, list) = (temp_file("write-master.key", KEY), path(&dir, "list"));
    fs::write(&list, cell("row", MARKER, 1)).unwrap();
    let out = path(&dir, "out");
    let output = run(&["write", &list, "--out", &out, "--master-key-file", &key]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("expected --encryption AES, or NONE"), "{}", stderr(&output));
    ok(&["write", &list, "--out", &out, "--master-key-file", &key, "--encryption", "NONE"]);
    assert!(shows(&out));
    fs::remove_file(&out).unwrap();
    let output = run(&["write", &list, "--out", &out, "--encryption", "AES"]);
    assert_eq!(code(&output), 2);
    let output = run(&["write", &list, "--out", &out, "--encryption", "AES", "--master-key-file", &key]);
    if cfg!(feature = "crypto") {
        assert_eq!(code(&output), 0);
        assert!(!shows(&out));
    } else {
        assert_eq!(code(&output), 4);
        assert!(stderr(&output).contains("build with the feature `crypto`") && fs::metadata(&out).is_err());
    }
}

fn path(dir: &tempfile::TempDir, name: &str) -> String {
    dir.path().join(name).into_os_string().into_string().unwrap()
}

fn write(dir: &tempfile::TempDir, name: &str, lines: &[String], settings: &[&str]) -> String {
    let (list, out) = (path(dir, &format!("{name}.jsonl")), path(dir, name));
    fs::write(&list, lines.concat()).unwrap();
    ok(&[&["write", &list, "--out", &out][..], settings].concat());
    out
}

fn cell(row: &str, value: &str, seq_id: i64) -> String {
    let key = format!(r#""row":"{row}","family":"f","qualifier":"q","timestamp":5,"type":"Put""#);
    format!(r#"{{{key},"value":"{value}","sequence_id":{seq_id}}}"#) + "\n"
}

#[test]
fn convert_keeps_the_file_info() {
    let dir = tempfile::tempdir().unwrap();
    let lines = [cell("a", "1", 4), cell("b", "2", 9)];
    let info = |path: &str| json_lines(&ok(&["inspect", "--json", path])).remove(0);
    let given = [
        "--mvcc",
        "--tags",
        "--bloom",
        "ROWCOL",
        "--seqid",
        "77",
        "--major",
        "--info",
        "MOB_CELLS_COUNT=\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x05",
        "--info",
        "mine=yes",
        "--create-time",
        "5",
    ];
    let (from, to) = (write(&dir, "store", &lines, &given), path(&dir, "store2"));
    ok(&["convert", &from, "--out", &to, "--create-time", "5", "--encoding", "DIFF"]);
    let (mut old, mut new) = (info(&from), info(&to));
    assert_eq!(
        (&new["encoding"], &new["file_info"]["DATA_BLOCK_ENCODING"]),
        (&json!("DIFF"), &json!("DIFF"))
    );
    old["file_info"].as_object_mut().unwrap().remove("DATA_BLOCK_ENCODING");
    new["file_info"].as_object_mut().unwrap().remove("DATA_BLOCK_ENCODING");
    assert_eq!(old["file_info"], new["file_info"]);
    assert_eq!(new["file_info"]["MAX_SEQ_ID_KEY"], 77);
    // converting back gives the same bytes
    let back = path(&dir, "store3");
    ok(&["convert", &to, "--out", &back, "--create-time", "5", "--encoding", "NONE"]);
    assert_eq!(fs::read(&from).unwrap(), fs::read(&back).unwrap());
    ok(&["convert", &from, "--out", &to, "--seqid", "3", "--major=false", "--force"]);
    let new = info(&to);
    assert_eq!(
        (&new["file_info"]["MAX_SEQ_ID_KEY"], &new["file_info"]["MAJOR_COMPACTION_KEY"]),
        (&json!(3), &json!(false))
    );

    let from = write(
        &dir,
        "bulk",
        &lines,
        &["--mvcc", "--bulkload", "--bulkload-time", "9", "--exclude-minor", "--create-time", "5"],
    );
    ok(&["convert", &from, "--out", &to, "--force", "--create-time", "5"]);
    assert_eq!(fs::read(&from).unwrap(), fs::read(&to).unwrap());
    let from = write(
        &dir,
        "plain",
        &lines,
        &["--writer", "hfile", "--meta-block", "m=x", "--info", "k=v", "--create-time", "5"],
    );
    ok(&["convert", &from, "--out", &to, "--force", "--create-time", "5"]);
    assert_eq!(fs::read(&from).unwrap(), fs::read(&to).unwrap());
}

#[test]
fn zstd_stays_as_the_cluster_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let (framed, bare) = (path(&dir, "framed"), path(&dir, "bare"));
    let magic = |file: &str, at: usize| fs::read(file).unwrap()[33 + at..][..4] == [0x28, 0xb5, 0x2f, 0xfd];
    ok(&["convert", &golden("small-fast_diff-zstd.hfile"), "--out", &framed, "--encoding", "NONE"]);
    assert!(magic(&framed, 8));
    let class = "org.apache.hadoop.io.compress.ZStandardCodec";
    ok(&["convert", &framed, "--out", &bare, "--codec", class]);
    assert!(magic(&bare, 0));
    ok(&["convert", &bare, "--out", &framed, "--force"]);
    assert!(magic(&framed, 0));
}

#[test]
fn files_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let a = write(
        &dir,
        "a",
        &[cell("a", "a1", 1), cell("c", "a2", 5), cell("c", "a3", 5)],
        &["--mvcc", "--seqid", "5"],
    );
    let b = write(
        &dir,
        "b",
        &[cell("b", "b1", 2), cell("c", "b2", 7), cell("c", "b3", 5)],
        &["--mvcc", "--seqid", "9"],
    );
    let out = path(&dir, "out");
    let printed = json_lines(&ok(&["convert", &a, &b, "--out", &out, "--json"]));
    assert_eq!(printed[0]["cells"], 6);
    let values: Vec<Value> =
        json_lines(&ok(&["cells", "--json", &out])).iter().map(|cell| cell["value"].clone()).collect();
    // of cells with the same sequence id, the newer file's are first
    assert_eq!(values, ["a1", "b1", "b2", "b3", "a2", "a3"]);
    assert_eq!(json_lines(&ok(&["inspect", "--json", &out]))[0]["file_info"]["MAX_SEQ_ID_KEY"], 9);
    assert_eq!(ok(&["convert", &a, &b, "--to", "jsonl", "--out", "-"]), ok(&["cells", "--json", &out]));
    // the input is never overwritten
    let output = run(&["convert", &a, &b, "--out", &a, "--force"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    let meta = golden("small-meta.hfile");
    assert_eq!(code(&run(&["convert", &a, &meta, "--out", &out, "--force"])), 2);
    assert_eq!(code(&run(&["convert", &corrupt("cut-half.hfile"), "--out", &out, "--force"])), 3);
    assert_eq!(json_lines(&ok(&["count", "--json", &out]))[0]["cells"], 6, "the old one is still there");
}

#[test]
fn lists_go_out_and_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let from = golden("small-row_index-lz4.hfile");
    let (list, packed, csv) = (path(&dir, "l.jsonl"), path(&dir, "l.jsonl.gz"), path(&dir, "l.csv"));
    ok(&["convert", &from, "--to", "jsonl", "--out", &list]);
    ok(&["convert", &from, "--to", "jsonl", "--out", &packed]);
    assert_eq!(fs::read_to_string(&list).unwrap(), ok(&["cells", "--json", &from]));
    assert_eq!(read_gz(&packed), ok(&["cells", "--json", &from]));
    let back = path(&dir, "back");
    ok(&["write", &packed, "--out", &back, "--tags", "--mvcc"]);
    assert_eq!(ok(&["diff", &from, &back]), "");

    assert_eq!(code(&run(&["convert", &from, "--to", "csv", "--out", &list])), 2, "it exists");
    ok(&["convert", &from, "--to", "csv", "--out", &csv]);
    let csv = fs::read_to_string(&csv).unwrap();
    assert_eq!(csv, ok(&["convert", &from, "--to", "csv", "--out", "-"]));
    assert_eq!(csv.lines().next().unwrap(), "row,family,qualifier,timestamp,type,value,sequence_id,tags");
    assert_eq!(csv.lines().count(), 69);
    for file in fs::read_dir(dir.path()).unwrap() {
        assert!(!file.unwrap().file_name().to_str().unwrap().ends_with(".tmp"));
    }

    // a list has no file settings
    let new = path(&dir, "new");
    for (setting, name) in [
        (&["--encoding", "FAST_DIFF"][..], "--encoding"),
        (&["--compression", "GZ"], "--compression"),
        (&["--compression", "NONE"], "--compression"),
        (&["--writer", "hfile"], "--writer"),
        (&["--tags=false"], "--tags"),
        (&["--info", "K=V"], "--info"),
        (&["--skip-reset-seqid"], "--skip-reset-seqid"),
        (&["--encryption", "AES"], "--encryption AES"),
        (&["--out-zstd-dictionary", &list], "--out-zstd-dictionary"),
    ] {
        for to in ["jsonl", "csv"] {
            let output = run(&[&["convert", &from, "--to", to, "--out", &new][..], setting].concat());
            assert_eq!(code(&output), 2, "{setting:?}: {}", stderr(&output));
            let said = stderr(&output);
            assert!(
                said.contains(&format!("{name}: not allowed for a list of cells")),
                "{setting:?}: {said}"
            );
        }
    }
    assert!(!Path::new(&new).exists());
}

#[test]
fn diff_lists_all_differences() {
    let dir = tempfile::tempdir().unwrap();
    let left = [
        cell("a", "1", 1),
        cell("b", "x", 2),
        cell("c", "1", 9),
        cell("c", "2", 8),
        cell("d", "1", 1),
        cell("d", "1", 1),
    ];
    let right =
        [cell("b", "y", 2), cell("c", "2", 8), cell("c", "1", 9), cell("d", "1", 1), cell("e", "1", 4)];
    let (a, b) =
        (write(&dir, "a", &left, &["--mvcc"]), write(&dir, "b", &right, &["--mvcc", "--encoding", "DIFF"]));
    let output = run(&["diff", &a, &b]);
    assert_eq!(code(&output), 1);
    let expected = "- K: a/f:q/5/Put/vlen=1/seqid=1 V: 1\n\
        - K: b/f:q/5/Put/vlen=1/seqid=2 V: x\n\
        + K: b/f:q/5/Put/vlen=1/seqid=2 V: y\n\
        - K: d/f:q/5/Put/vlen=1/seqid=1 V: 1\n\
        + K: e/f:q/5/Put/vlen=1/seqid=4 V: 1\n";
    assert_eq!(stdout(&output), expected);
    assert_eq!(stderr(&output), "only left 3, only right 2\n");
    let output = run(&["diff", "--json", &b, &a]);
    assert_eq!(code(&output), 1);
    let lines = json_lines(&stdout(&output));
    let found =
        lines.iter().map(|line| (line["side"].as_str().unwrap(), line["cell"]["row"].as_str().unwrap()));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [("right", "a"), ("left", "b"), ("right", "b"), ("right", "d"), ("left", "e")]
    );
    assert_eq!(lines[0]["cell"], serde_json::from_str::<Value>(&left[0]).unwrap());

    let without = write(&dir, "c", &left, &[]);
    assert_eq!(code(&run(&["diff", &a, &without])), 1);
    assert_eq!(ok(&["diff", &a, &without, "--ignore-sequence-ids"]), "");
    assert_eq!(code(&run(&["diff", &a, &corrupt("cut-half.hfile")])), 3);
}

/// Returns the store files below a directory, references and links among them.
fn store_files(dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(store_files(&path));
        } else if dir.ends_with("f") {
            files.push(path.into_os_string().into_string().unwrap());
        }
    }
    files
}

/// The cells of a file that a table has bulk-loaded have the sequence id of the load.
#[test]
fn merged_files_answer_as_the_table_does() {
    let dir = tempfile::tempdir().unwrap();
    let (root, table) = (path(&dir, "root"), path(&dir, "root/data/default/t"));
    let make = |root: &str| ok(&["shell", root, "-e", "create 't', {NAME => 'f', VERSIONS => 9}"]);
    make(&root);
    let import = |value: &str| {
        let list = path(&dir, value);
        fs::write(&list, cell("r", value, 1)).unwrap();
        ok(&["import", &table, &list]);
    };
    import("1st");
    import("2nd");
    ok(&["shell", &root, "-e", "put 't', 'r', 'f:q', '3rd', 5"]);
    import("4th");
    assert!(ok(&["get", &table, "r"]).contains("value=4th"));
    let mut files = store_files(Path::new(&table));
    files.sort();
    let mut reversed = files.clone();
    reversed.reverse();
    let expected = ["4th", "3rd", "2nd", "1st"];
    for (at, inputs) in [files, reversed, vec![table.clone()]].iter().enumerate() {
        let out = path(&dir, &format!("merged{at}"));
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        ok(&[&["convert", "--out", &out][..], &inputs].concat());
        assert!(ok(&["get", &out, "r"]).contains("value=4th"), "{inputs:?}");
        let cells = json_lines(&ok(&["cells", "--json", &out]));
        let values: Vec<&str> = cells.iter().map(|cell| cell["value"].as_str().unwrap()).collect();
        assert_eq!(values, expected, "{inputs:?}");
        let ids: Vec<i64> = cells.iter().map(|cell| cell["sequence_id"].as_i64().unwrap()).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "{inputs:?}: {ids:?}");
        let inspected = json_lines(&ok(&["inspect", "--json", &out]));
        assert!(inspected[0].to_string().contains("MAX_SEQ_ID_KEY"), "{}", inspected[0]);
        // a list of them, in another table
        let (list, other) = (path(&dir, &format!("list{at}.jsonl")), path(&dir, &format!("other{at}")));
        ok(&[&["convert", "--to", "jsonl", "--out", &list][..], &inputs].concat());
        make(&other);
        let copy = format!("{other}/data/default/t");
        ok(&["import", &copy, &list]);
        assert!(ok(&["get", &copy, "r"]).contains("value=4th"), "{inputs:?}");
    }
}

/// Creates a table of one file with two references to it, as after a split. Returns the references, the one
/// with the first rows first, and the file.
fn halves_of_a_file(dir: &Path) -> ([String; 2], String) {
    let (root, table) = (dir.to_str().unwrap(), dir.join("data/default/t"));
    let commands = ["create 't', 'f'", "put 't', 'a', 'f:q', '1'", "put 't', 'z', 'f:q', '2'", "flush 't'"];
    let commands = commands.iter().flat_map(|command| ["-e", *command]);
    ok(&["shell", root].into_iter().chain(commands).collect::<Vec<_>>());
    ok(&["split", root, "t", "m"]);
    let (mut references, mut hfiles): (Vec<_>, Vec<_>) =
        store_files(&table).into_iter().partition(|file| Path::new(file).extension().is_some());
    references.sort_by_key(|path| ok(&["cells", path]).starts_with('z'));
    ([references.remove(0), references.remove(0)], hfiles.remove(0))
}

/// A scan returns the first of two cells with one key, and none from before 1970.
#[test]
fn halves_have_every_stored_cell() {
    let dir = tempfile::tempdir().unwrap();
    let ([bottom, top], hfile) = halves_of_a_file(dir.path());
    let mut writer = HFileWriter::options().block_size(64).create(&hfile).unwrap();
    for row in ["a", "l\\xFF", "m", "z"] {
        for (timestamp, kind, value) in [
            (7, CellType::DeleteColumn, ""),
            (7, CellType::Put, "first"),
            (7, CellType::Put, "second"),
            (7, CellType::Put, "second"),
            (-5, CellType::Put, "before 1970"),
            (i64::MIN, CellType::Put, "long before"),
        ] {
            let key = SeekKey::of(row.as_bytes(), b"f", b"q", timestamp, kind);
            writer.append(CellRef::new(&key, value.as_bytes())).unwrap();
        }
    }
    writer.finish().unwrap();
    for args in [&["cells", "--json"][..], &["cells", "-p"], &["convert", "--to", "jsonl", "--out", "-"]] {
        let of = |path: &str| ok(&[args, &[path]].concat());
        let [whole, first, second] = [of(&hfile), of(&bottom), of(&top)];
        assert_eq!((whole.lines().count(), first.lines().count()), (24, 12), "{args:?}");
        assert_eq!(first + &second, whole, "{args:?}");
    }
    for half in [&bottom, &top] {
        assert_eq!(ok(&["count", half]), "rows 2\ncells 12\n");
        let out = path(&dir, "converted");
        ok(&["convert", half, "--out", &out, "--force"]);
        assert_eq!(ok(&["cells", "-p", &out]), ok(&["cells", "-p", half]));
        // the metadata covers the whole file
        let said = stderr(&run(&["cells", "-m", half]));
        assert!(said.contains("a reference (`hregion inspect` shows"), "{said}");
    }
    let merged = ok(&["convert", &top, &bottom, "--to", "jsonl", "--out", "-"]);
    assert_eq!(merged, ok(&["cells", "--json", &hfile]));
}

#[test]
fn no_file_that_is_read_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let table = path(&dir, "data/default/t");
    let commands = [
        "create 't', 'f'",
        "put 't', 'a', 'f:q', '1'",
        "put 't', 'z', 'f:q', '2'",
        "flush 't'",
        "snapshot 't', 's'",
        "clone_snapshot 's', 'c'",
    ];
    let commands = commands.iter().flat_map(|command| ["-e", *command]);
    ok(&["shell", root].into_iter().chain(commands).collect::<Vec<_>>());
    ok(&["split", root, "t", "m"]);
    let (references, hfiles): (Vec<_>, Vec<_>) =
        store_files(Path::new(&table)).into_iter().partition(|file| Path::new(file).extension().is_some());
    let links = store_files(&dir.path().join("data/default/c"));
    assert_eq!((references.len(), hfiles.len(), links.len()), (2, 1, 1));
    let (before, hfile) = (fs::read(&hfiles[0]).unwrap(), hfiles[0].as_str());
    let cells = ok(&["scan", &table]);
    let [snapshot, list, key] = [".hbase-snapshot/s", "list.jsonl", "key"].map(|name| path(&dir, name));
    fs::write(&list, ok(&["cells", "--json", hfile])).unwrap();
    fs::write(&key, "00112233445566778899aabbccddeeff").unwrap();
    for args in [
        vec!["convert", &references[0], "--out", hfile],
        vec!["convert", &links[0], "--to", "csv", "--out", hfile],
        vec!["convert", &table, "--to", "csv", "--out", hfile],
        vec!["convert", &table, "--out", &references[0]],
        vec!["stats", &table, "--svg", hfile],
        vec!["stats", &links[0], "--svg", hfile],
        vec!["stats", &snapshot, "--svg", hfile],
        vec!["write", &list, "--out", &list],
        vec!["write", &list, "--encryption", "AES", "--master-key-file", &key, "--out", &key],
        vec!["write", &list, "--compression", "ZSTD", "--zstd-dictionary", &key, "--out", &key],
        vec!["convert", hfile, "--zstd-dictionary", &key, "--out", &key],
        vec!["convert", hfile, "--out-zstd-dictionary", &key, "--out", &key],
        vec!["stats", hfile, "--zstd-dictionary", &key, "--svg", &key],
        vec!["report", root, "--out", hfile],
    ] {
        let refused = run(&[&args[..], &["--force"]].concat());
        assert_eq!(code(&refused), 2, "{args:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains("the output is the input"), "{}", stderr(&refused));
    }
    assert_eq!(fs::read(hfile).unwrap(), before);
    assert_eq!(fs::read_to_string(&key).unwrap(), "00112233445566778899aabbccddeeff");
    assert_eq!(ok(&["scan", &table]), cells);
    // any other file at that path is replaced
    let picture = path(&dir, "stats.svg");
    fs::write(&picture, "").unwrap();
    ok(&["stats", &table, "--svg", &picture, "--force"]);
}
