//! Files, tables and snapshots are read by URL, with the same results as from a directory.

use super::{TABLE, ask, compare, put_root, roots, run, tables};
use crate::library::fake_s3::{FakeS3, Manner};
use crate::support::{code, plain, stderr, stdout, testdata};
use hregion::{Durability, Family, Put, Table};
use std::fs;
use std::io::Write as _;
use std::path::Path;

#[test]
fn a_bucket_answers_as_a_directory() {
    let server = FakeS3::start();
    let mut compared = 0;
    for (name, root) in roots() {
        // Only roots that are also in this repository: `against_moto` covers all.
        if testdata("region").join(&name).is_dir() {
            server.upload(&name, &root);
            compared += compare(&server.endpoint(), &format!("s3://bucket/{name}"), &root);
        }
    }
    assert!(compared > 50, "{compared}");
}

#[test]
fn a_file_of_a_bucket_is_converted_and_exported() {
    let server = FakeS3::start();
    let root = testdata("region/bulk-loaded/root");
    server.upload("root", &root);
    let dir = tempfile::tempdir().unwrap();
    let out = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
    let [table] = &tables(&root)[..] else { panic!("one table") };
    for (place, name) in [(root.to_str().unwrap(), "local"), ("s3://bucket/root", "remote")] {
        let to = out(name);
        let exported =
            run(&server.endpoint(), &words(&format!("export --to jsonl {place}/{table} --out {to}")));
        assert_eq!(code(&exported), 0, "{}", stderr(&exported));
        let to = out(&format!("{name}.jsonl"));
        let converted =
            run(&server.endpoint(), &words(&format!("convert {place}/{table} --to jsonl --out {to}")));
        assert_eq!(code(&converted), 0, "{}", stderr(&converted));
    }
    assert_eq!(fs::read(out("local.jsonl")).unwrap(), fs::read(out("remote.jsonl")).unwrap());
    for entry in fs::read_dir(out("local")).unwrap() {
        let name = entry.unwrap().file_name();
        let of = |place: &str| fs::read(Path::new(&out(place)).join(&name)).unwrap();
        assert!(of("local") == of("remote"), "{name:?}");
    }
}

/// Most web servers list no directories.
#[test]
fn a_file_of_a_web_server_without_listings_answers_as_a_local_one() {
    let (server, local) = (FakeS3::start(), plain());
    server.put("file.hfile", fs::read(&local).unwrap());
    let url = format!("{}/file.hfile", server.endpoint());
    for question in [
        "inspect FILE",
        "cells FILE",
        "seek FILE row-00001",
        "scan FILE",
        "get FILE row-00001",
        "count FILE",
        "stats --now 1800000000000 FILE",
        "stats --by file --now 1800000000000 FILE",
        "explain scan FILE",
        "verify FILE",
        "du FILE",
        "export FILE --to jsonl --out OUT",
    ] {
        let outputs: Vec<(String, String)> = [local.as_str(), &url]
            .map(|place| {
                let out = tempfile::tempdir().unwrap();
                let to = out.path().join("export");
                let line = question.replace("FILE", place).replace("OUT", to.to_str().unwrap());
                let output = ask(&server, &format!("--json {line}"));
                assert_eq!(code(&output), 0, "{line} {}", stderr(&output));
                let manifest = fs::read_to_string(to.join("manifest.json")).unwrap_or_default();
                (stdout(&output).replace(place, "FILE"), manifest.replace(place, "FILE"))
            })
            .into();
        assert_eq!(outputs[0], outputs[1], "{question}");
    }
    assert!(server.take_asked().0.iter().any(|asked| asked.starts_with("PROPFIND ")));
}

/// Returns a root directory with a snapshot `s` of a table of four regions, about 2.5 MB each, and the number
/// of bytes of its store files.
fn root_with_snapshot() -> (tempfile::TempDir, u64) {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &["1", "2", "3"]).unwrap();
    let mut state = 1_u64;
    for row in 0..20_000 {
        let mut value = String::new();
        for _ in 0..30 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            value += &format!("{:016x}", state ^ (state >> 29));
        }
        let put = Put::new(format!("{}{row:05}", row % 4)).cell_at("f", "q", 7, value);
        table.put(put.durability(Durability::SkipWal)).unwrap();
    }
    table.flush().unwrap();
    table.snapshot("s").unwrap();
    let mut bytes = 0;
    for region in table.regions() {
        let family = dir.path().join("data/default/t").join(region.encoded_name()).join("f");
        let files = fs::read_dir(family).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
        bytes += files.filter(|meta| meta.is_file()).map(|meta| meta.len()).sum::<u64>();
    }
    table.close().unwrap();
    (dir, bytes)
}

#[test]
fn commands_read_a_snapshot_of_a_bucket_once() {
    let (root, must) = root_with_snapshot();
    let server = FakeS3::start();
    server.upload("root", root.path());
    let out = tempfile::tempdir().unwrap();
    for (number, command) in ["count", "scan", "export --to jsonl", "export --to csv"].into_iter().enumerate()
    {
        let args = |place: &str, name: &str| {
            let mut words = format!("--json {command} {place}/.hbase-snapshot/s");
            if command != "scan" {
                words += " --jobs 4";
            }
            if command.starts_with("export") {
                words += &format!(" --out {}/{number}-{name}", out.path().display());
            }
            words.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let expected = run("", &args(root.path().to_str().unwrap(), "local"));
        server.take_asked();
        let found = run(&server.endpoint(), &args("s3://bucket/root", "remote"));
        let (asked, bytes) = server.take_asked();
        assert_eq!(code(&found), 0, "{command} {}", stderr(&found));
        println!("{command}: {} requests, {bytes} bytes of {must}", asked.len());
        if !command.starts_with("export") {
            assert!(stdout(&found) == stdout(&expected), "{command}");
        }
        // This includes listings and the descriptions of the snapshot and the table.
        assert!(bytes <= must + must / 5, "{command}: {bytes} bytes of {must}");
        assert!((asked.len() as u64) < 60 + must / (80 << 10), "{command}: {asked:#?}");
    }
    for number in [2, 3] {
        for entry in fs::read_dir(out.path().join(format!("{number}-local"))).unwrap() {
            let name = entry.unwrap().file_name();
            let of =
                |place: &str| fs::read(out.path().join(format!("{number}-{place}")).join(&name)).unwrap();
            assert!(name == "manifest.json" || of("local") == of("remote"), "{name:?}");
        }
    }
}

/// Each listing of a bucket costs money.
#[test]
fn logs_are_looked_for_in_a_bucket_by_one_request() {
    let server = FakeS3::start();
    put_root(&server);
    // The output, the message about logs, and the number of requests for them.
    let count = || {
        server.take_asked();
        let output = ask(&server, &format!("--json count {TABLE}"));
        server.behave([]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let asked = server.take_asked().0.into_iter().enumerate();
        let of_logs = asked.filter(|(_, asked)| asked.contains("WALs")).map(|(at, _)| at);
        (stdout(&output), stderr(&output), of_logs.collect::<Vec<_>>())
    };
    let (answer, said, of_logs) = count();
    assert!(!said.contains("s3://bucket/root/WALs") && of_logs.len() == 1, "{said} {of_logs:?}");
    server.put("root/WALs/h,1,2/h%2C1%2C2.1000", b"log".to_vec());
    let (same, said, of_logs) = count();
    let expected = "warning: s3://bucket/root/WALs: logs of servers may have writes that are not read (";
    assert!(same == answer && said.matches(expected).count() == 1, "{same} {said}");
    let [at] = of_logs[..] else { panic!("{of_logs:?}") };
    server.behave(std::iter::repeat_n(Manner::Good, at).chain([Manner::Fails(403)]));
    let (same, said, of_logs) = count();
    assert!(same == answer && of_logs == [at], "{same} {of_logs:?}");
    let expected = "; writes that are only in logs of servers are not read\n";
    assert!(said.starts_with("warning: s3://bucket/root/WALs: ") && said.contains(expected), "{said}");
}

#[test]
fn lists_of_cells_are_read_by_url() {
    let (server, dir) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    // longer than a buffer
    let text: String = (0..40_000).map(|n| format!("row-{n:06}\tvalue {n}\n")).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    server.put("in/cells.tsv", text.clone().into_bytes());
    server.put("in/cells.tsv.gz", gzip.finish().unwrap());
    fs::write(path("cells.tsv"), &text).unwrap();
    let columns = "--columns HBASE_ROW_KEY,f:q --timestamp 5";
    let written = |list: &str, out: &str| {
        let output = ask(&server, &format!("write {list} {columns} --out {}", path(out)));
        assert_eq!(code(&output), 0, "{list}: {}", stderr(&output));
        let cells = ask(&server, &format!("cells --json {}", path(out)));
        assert_eq!(code(&cells), 0, "{list}: {}", stderr(&cells));
        stdout(&cells)
    };
    let expected = written(&path("cells.tsv"), "local");
    assert_eq!(expected.lines().count(), 40_000);
    assert!(written("s3://bucket/in/cells.tsv", "remote") == expected);
    assert!(written("s3://bucket/in/cells.tsv.gz", "packed") == expected);
    Table::create(dir.path().join("root"), "t", &[Family::new("f")], &[] as &[&str])
        .unwrap()
        .close()
        .unwrap();
    let table = path("root/data/default/t");
    let imported = ask(&server, &format!("import {table} s3://bucket/in/cells.tsv.gz {columns}"));
    assert_eq!(code(&imported), 0, "{}", stderr(&imported));
    let count = ask(&server, &format!("--json count {table}"));
    assert!(stdout(&count).contains(r#""rows":40000"#), "{}", stdout(&count));
    // missing, and damaged in transit
    let output = ask(&server, &format!("write s3://bucket/in/none {columns} --out {}", path("none")));
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    server.put("in/cut.tsv.gz", vec![0x1f, 0x8b, 8]);
    let output = ask(&server, &format!("write s3://bucket/in/cut.tsv.gz {columns} --out {}", path("cut")));
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    // shorter than declared by the server
    server.behave(std::iter::repeat_n(Manner::Halves, 1000));
    let output = ask(&server, &format!("write s3://bucket/in/cells.tsv {columns} --out {}", path("cut")));
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert!(!Path::new(&path("none")).exists() && !Path::new(&path("cut")).exists());
}
