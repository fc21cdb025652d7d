//! `hregion du`: the bytes and cells of every store file, and matching sums.

use crate::support::{
    code, golden, json_lines, last_error, members, ok, plain, run, stderr, stdout, testdata, unread,
};
use hregion::{Family, Put, RegionInfo, Table};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

#[test]
fn every_store_file_is_measured_once() {
    let table = testdata("region/split-references/root/data/default/halves");
    let table = table.to_str().unwrap();
    let lines = json_lines(&ok(&["du", "--json", table]));
    assert_eq!(lines.len(), 14);
    let mut sums = [0; 2];
    for line in &lines {
        let expected = ["table", "region", "family", "path", "bytes", "cells", "oldest", "newest"];
        assert_eq!(members(line)[..8], expected);
        let expected = ["encoding", "compression", "uncompressed_bytes", "first", "last", "overlap"];
        assert_eq!(members(line)[8..], expected);
        let path = line["path"].as_str().unwrap();
        assert_eq!(
            (&line["table"], line["bytes"].as_u64()),
            (&json!("halves"), Some(fs::metadata(path).unwrap().len()))
        );
        let is_whole = !path.contains(['=']) && !path.rsplit('/').next().unwrap().contains('.');
        assert_eq!(line["cells"].is_null(), !is_whole, "{path}");
        if is_whole {
            let cells = json_lines(&ok(&["cells", "--json", path]));
            // In HBase, a marker that deletes all older versions covers times from 0 on.
            let time = |cell: &Value| match cell["type"].as_str().unwrap() {
                "DeleteColumn" | "DeleteFamily" => vec![0, cell["timestamp"].as_i64().unwrap()],
                _ => vec![cell["timestamp"].as_i64().unwrap()],
            };
            let times = || cells.iter().flat_map(time);
            assert_eq!(line["cells"], cells.len());
            assert_eq!((line["oldest"].as_i64(), line["newest"].as_i64()), (times().min(), times().max()));
            sums[1] += cells.len() as u64;
        }
        sums[0] += line["bytes"].as_u64().unwrap();
    }
    let text = ok(&["du", table]);
    let total: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(total[..2], sums.map(|sum: u64| sum.to_string()));
    assert_eq!(total[6], table);
    // A line for each file, family, region and the table, and the heading.
    assert_eq!(text.lines().count(), 1 + 14 + 6 + 3 + 1, "{text}");
}

/// The rows and blocks of files equal those of `cells` and `inspect`; files overlap as their rows do.
#[test]
fn overlaps_and_savings_are_those_of_the_files() {
    let table = testdata("region/bulk-loaded/root/data/default/loaded");
    let lines = json_lines(&ok(&["du", "--json", table.to_str().unwrap()]));
    let mut ranges = Vec::new();
    for line in &lines {
        let path = line["path"].as_str().unwrap();
        let cells = json_lines(&ok(&["cells", "--json", path]));
        let rows =
            [&cells[0]["row"], &cells[cells.len() - 1]["row"]].map(|row| row.as_str().unwrap().to_owned());
        assert_eq!([&line["first"], &line["last"]], [&json!(rows[0]), &json!(rows[1])]);
        let inspected = json_lines(&ok(&["inspect", "--json", path])).remove(0);
        assert_eq!(line["uncompressed_bytes"], inspected["trailer"]["total_uncompressed_bytes"]);
        assert_eq!(
            [&line["encoding"], &line["compression"]],
            [&inspected["encoding"], &inspected["trailer"]["compression_codec"]]
        );
        ranges.push((line["family"].clone(), rows));
    }
    let mut most = 0;
    for (line, (family, rows)) in lines.iter().zip(&ranges) {
        let touches = |(other, range): &&(Value, [String; 2])| {
            other == family && range[0] <= rows[1] && rows[0] <= range[1]
        };
        let overlap = ranges.iter().filter(touches).count() - 1;
        assert_eq!(line["overlap"], overlap);
        most = most.max(overlap);
    }
    assert!(most > 0);
    let text = ok(&["du", table.to_str().unwrap()]);
    let columns: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
    assert!(columns[4].ends_with('%') && columns[5].parse::<usize>().unwrap() <= most + 1, "{text}");
}

/// The blocks equal those listed by `inspect`, and together with the trailers they make up all bytes of the
/// files.
#[test]
fn blocks_are_summed_by_type() {
    let table = testdata("region/bulk-loaded/root/data/default/loaded");
    let lines = json_lines(&ok(&["du", "--json", "--blocks", table.to_str().unwrap()]));
    let (types, files): (Vec<&Value>, Vec<&Value>) =
        lines.iter().partition(|line| line["blocks"].is_object());
    // for each family and type: blocks, bytes, runs
    const TRAILER: u64 = 4096;
    let mut expected: BTreeMap<[String; 2], [u64; 3]> = BTreeMap::new();
    for file in &files {
        let inspected = &json_lines(&ok(&["inspect", "--json", "-h", file["path"].as_str().unwrap()]))[0];
        let blocks = inspected["blocks"].as_array().unwrap();
        let offsets = blocks.iter().map(|block| block["offset"].as_u64().unwrap());
        let end = file["bytes"].as_u64().unwrap() - TRAILER;
        let ends = offsets.clone().skip(1).chain([end]);
        let mut before = None;
        for ((block, offset), end) in blocks.iter().zip(offsets).zip(ends) {
            let block_type = block["type"].as_str().unwrap();
            let key = [file["family"].as_str().unwrap(), block_type].map(str::to_owned);
            let sums = expected.entry(key).or_default();
            sums[0] += 1;
            sums[1] += end - offset;
            sums[2] += u64::from(before.replace(block_type) != Some(block_type));
        }
    }
    let sums = |line: &&Value| {
        let line = &line["blocks"];
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        ([text("family"), text("type")], ["blocks", "bytes", "runs"].map(|name| line[name].as_u64().unwrap()))
    };
    assert_eq!(types.iter().map(sums).collect::<BTreeMap<_, _>>(), expected);
    assert!(types.len() > 5 && types.iter().all(|line| line["blocks"]["table"] == "loaded"));
    let text = ok(&["du", "--blocks", table.to_str().unwrap()]);
    assert!(text.contains("  DATA\n") && text.contains(" %  "), "{text}");
}

/// The estimate for a file's own settings equals its size, and other estimates equal the output of `convert`.
#[test]
fn what_another_encoding_would_give_is_estimated() {
    let file = golden("region-a-major.hfile");
    let lines = json_lines(&ok(&["du", "--what-if", "--json", &file]));
    let (measured, estimates) = lines.split_first().unwrap();
    assert_eq!(estimates.len(), 5 * if cfg!(feature = "zstd") { 5 } else { 4 });
    let dir = tempfile::tempdir().unwrap();
    let bytes = |estimate: &Value| estimate["what_if"]["bytes"].as_u64().unwrap();
    let (now, mut compared) = (measured["bytes"].as_u64().unwrap(), 0);
    for estimate in estimates {
        let what = &estimate["what_if"];
        let [encoding, codec] = ["encoding", "compression"].map(|name| what[name].as_str().unwrap());
        let is_now = (encoding, codec) == ("FAST_DIFF", "SNAPPY");
        assert_eq!(
            is_now,
            bytes(estimate) == now && measured["encoding"] == encoding && measured["compression"] == codec
        );
        let out = dir.path().join(format!("{encoding}-{codec}")).into_os_string().into_string().unwrap();
        let settings =
            ["--encoding", encoding, "--compression", codec, "--blocksize", "64K", "--bloom", "NONE"];
        ok(&[&["convert", &file, "--out", &out][..], &settings].concat());
        let inspected = json_lines(&ok(&["inspect", "--json", &out])).remove(0);
        assert_eq!(
            inspected["trailer"]["load_on_open_data_offset"], what["sample_bytes"],
            "{encoding} {codec}"
        );
        compared += 1;
    }
    assert_eq!(compared, estimates.len());
    let text = ok(&["du", "--what-if", &file]);
    assert!(text.contains(" %  FAST_DIFF SNAPPY\n") && text.contains("sample of "), "{text}");
}

#[test]
fn any_level_and_single_files_are_targets() {
    let root = testdata("region/clone-references/root");
    let of = |path: &std::path::Path| json_lines(&ok(&["du", "--json", path.to_str().unwrap()])).len();
    assert_eq!(of(&root), of(&root.join("data/default/cloned")) + of(&root.join("data/default/joined")));
    assert!(of(&root) > 20);
    let file = json_lines(&ok(&["du", "--json", &plain()]));
    assert_eq!((file.len(), &file[0]["table"]), (1, &Value::Null));
    assert!(file[0]["cells"].as_u64().unwrap() > 10);
    let missing = run(&["du", "--json", "no-such"]);
    assert_eq!((code(&missing), &last_error(&missing)["kind"]), (5, &json!("Io")));
    let descriptor = root.join("data/default/joined/.tabledesc/.tableinfo.0000000001.627");
    let other = run(&["du", "--json", descriptor.to_str().unwrap()]);
    assert_eq!((code(&other), &last_error(&other)["kind"]), (4, &json!("Unsupported")));
}

/// A family is printed before the files of the next one are opened; they are not opened if the output is
/// closed.
#[test]
fn each_family_is_printed_when_its_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let families = [Family::new("f"), Family::new("g")];
    let table = Table::create(dir.path(), "t", &families, &[""; 0]).unwrap();
    table.put(Put::new("r").cell("f", "q", "v").cell("g", "q", "v")).unwrap();
    table.flush().unwrap();
    table.close().unwrap();
    let args = ["du", "--json", dir.path().to_str().unwrap()];
    let whole = json_lines(&ok(&args));
    assert_eq!(whole.len(), 2);
    fs::write(whole[1]["path"].as_str().unwrap(), "damaged").unwrap();
    let failed = run(&args);
    assert_eq!((code(&failed), &json_lines(&stdout(&failed))[0]), (3, &whole[0]));
    assert_eq!((stdout(&failed).lines().count(), &last_error(&failed)["path"]), (2, &whole[1]["path"]));
    let ended = unread(&args);
    assert_eq!((code(&ended), stderr(&ended)), (0, String::new()));
}

/// Entries of a family's directory that no region reads are neither opened nor counted.
#[test]
fn files_of_others_in_a_family_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[""; 0]).unwrap();
    table.put(Put::new("r").cell("f", "q", "v")).unwrap();
    table.flush().unwrap();
    table.close().unwrap();
    let root = dir.path().to_str().unwrap();
    let before = json_lines(&ok(&["du", "--json", root]));
    assert_eq!(before.len(), 1);
    let path = std::path::Path::new(before[0]["path"].as_str().unwrap());
    for name in ["ABC", ".hidden", "_under", "a-b", "abc.orig"] {
        fs::copy(path, path.with_file_name(name)).unwrap();
    }
    fs::write(path.with_file_name("README.txt"), "hello").unwrap();
    assert_eq!(json_lines(&ok(&["du", "--json", root])), before);
    let report = json_lines(&ok(&["report", "--json", root])).remove(0);
    assert_eq!(report["summary"]["total"]["files"], 1);
    let warning = "skipped: no store file has such a name";
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["message"] == warning), "{findings:?}");
    let scanned = run(&["scan", &format!("{root}/data/default/t")]);
    assert!(stderr(&scanned).contains(&format!("README.txt: at 0: {warning}\n")), "{}", stderr(&scanned));
}

/// One region has most of the bytes, and two neighbours have few.
#[test]
fn regions_out_of_balance_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &["b", "c", "d"]).unwrap();
    for (row, bytes) in [("a", 40_000), ("b", 10), ("c", 20), ("d", 9_000)] {
        table.put(Put::new(row).cell("f", "q", vec![7; bytes])).unwrap();
    }
    table.flush().unwrap();
    table.close().unwrap();
    let names: Vec<String> = table.regions().iter().map(RegionInfo::encoded_name).collect();
    let root = dir.path().to_str().unwrap();
    let lines = json_lines(&ok(&["du", "--json", "--balance", root]));
    let bytes = |at: usize| -> u64 {
        let of_region = lines.iter().filter(|line| line["region"] == names[at].as_str());
        of_region.map(|line| line["bytes"].as_u64().unwrap()).sum()
    };
    let mean = (0..4).map(bytes).sum::<u64>() / 4;
    let advice: Vec<&Value> = lines.iter().filter_map(|line| line.get("balance")).collect();
    let expected = [
        json!({"table": "t", "action": "split", "regions": [names[0]], "bytes": bytes(0),
            "mean_bytes": mean}),
        json!({"table": "t", "action": "merge", "regions": [names[1], names[2]], "bytes": bytes(1) + bytes(2),
            "mean_bytes": mean}),
    ];
    assert_eq!(advice, expected.iter().collect::<Vec<_>>());
    let printed = ok(&["du", "--balance", root]);
    assert!(printed.contains(&format!("t: merge {} {}: ", names[1], names[2])), "{printed}");
    let region = format!("{root}/data/default/t/{}", names[0]);
    assert_eq!(code(&run(&["du", "--balance", &region])), 4);
}

/// A file in `.tmp` has no trailer until it is complete.
#[test]
fn of_files_that_are_being_written_only_the_bytes_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[""; 0]).unwrap();
    table.put(Put::new("a").cell("f", "q", "v")).unwrap();
    table.close().unwrap();
    let region = dir.path().join("data/default/t").join(table.regions()[0].encoded_name());
    let unfinished = region.join(".tmp/f/0123456789abcdef0123456789abcdef");
    fs::create_dir_all(unfinished.parent().unwrap()).unwrap();
    fs::write(&unfinished, b"DATABLK*").unwrap();
    let lines = json_lines(&ok(&["du", "--json", region.to_str().unwrap()]));
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        let is_whole = line["path"].as_str() != unfinished.to_str();
        assert_eq!((line["cells"].is_null(), line["bytes"] == 8), (!is_whole, !is_whole), "{line}");
    }
}

#[test]
fn mob_files_are_measured_with_those_of_their_root() {
    let root = testdata("mob/flushed/root");
    let lines = json_lines(&ok(&["du", "--json", root.to_str().unwrap()]));
    let is_mob = |line: &&Value| line["path"].as_str().unwrap().contains("/mobdir/");
    let mob: Vec<&Value> = lines.iter().filter(is_mob).collect();
    assert_eq!((lines.len(), mob.len()), (20, 8));
    assert!(mob.iter().all(|line| line["table"] == "mob" && line["cells"].as_u64() > Some(0)));
}
