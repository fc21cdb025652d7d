//! Targets by URL: a bucket answers as the same files do in a directory.

use crate::library::fake_s3::FakeS3;
use crate::support::{code, hregion, last_error, ok, plain, stderr, stdout, testdata};
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{CellRef, CellType, Durability, Family, Put, Region, SeekKey, Storage as _, Table};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Returns the root directories that HBase wrote, by name.
fn roots() -> Vec<(String, PathBuf)> {
    let mut dirs = vec![testdata("region")];
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/cluster/tables");
    if shared.is_dir() {
        dirs.push(shared);
    }
    let mut roots = BTreeMap::new();
    for dir in dirs {
        for entry in fs::read_dir(dir).unwrap() {
            let root = entry.unwrap().path().join("root");
            if root.is_dir() {
                let name = root.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
                roots.insert(name, root);
            }
        }
    }
    assert!(roots.len() >= 4);
    // As the tool shows paths of snapshots: without `..`.
    roots.into_iter().map(|(name, root)| (name, root.canonicalize().unwrap())).collect()
}

/// Returns the tables below `root/data`, relative to the root.
fn tables(root: &Path) -> Vec<String> {
    let names = |dir: &Path| -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        let dirs = entries.filter(|entry| entry.path().is_dir());
        let mut names: Vec<_> = dirs.map(|dir| dir.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let mut tables = Vec::new();
    for namespace in names(&root.join("data")) {
        let dir = root.join("data").join(&namespace);
        tables.extend(names(&dir).into_iter().map(|table| format!("data/{namespace}/{table}")));
    }
    tables
}

fn snapshots(root: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join(".hbase-snapshot")) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}

fn run(endpoint: &str, args: &[String]) -> Output {
    hregion()
        .args(args)
        .env("AWS_ENDPOINT", endpoint)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "s3cret")
        .output()
        .unwrap()
}

/// Returns the reading commands for a root, with `ROOT` for its place.
fn questions(root: &Path) -> Vec<Vec<String>> {
    let mut questions: Vec<Vec<String>> = Vec::new();
    let mut ask = |words: &str| questions.push(words.split_whitespace().map(str::to_owned).collect());
    ask("snapshot list ROOT");
    ask("count ROOT");
    for table in tables(root) {
        let name = table.strip_prefix("data/").unwrap().replace('/', ":");
        ask(&format!("regions {name} --meta ROOT"));
        ask(&format!("locate {name} row-0001 --meta ROOT"));
    }
    for name in snapshots(root) {
        ask(&format!("snapshot info ROOT {name}"));
        ask(&format!("scan --raw --versions all ROOT/.hbase-snapshot/{name}"));
        ask(&format!("inspect ROOT/.hbase-snapshot/{name}"));
    }
    for table in tables(root) {
        for words in ["inspect", "scan", "scan --raw --versions all", "scan --reversed --limit 3", "count"] {
            ask(&format!("{words} ROOT/{table}"));
        }
        let report = "report --now 1800000000000";
        for words in ["stats --now 1800000000000", "du", "verify", "check", "cells", "explain scan", report] {
            ask(&format!("{words} ROOT/{table}"));
        }
        ask(&format!("get ROOT/{table} row-0001"));
        ask(&format!("diff ROOT/{table} ROOT/{table}"));
    }
    questions
}

/// Asks for the same of a directory and of a URL. Returns the number of answers compared.
fn compare(endpoint: &str, url: &str, root: &Path) -> usize {
    let local = root.to_str().unwrap();
    let mut compared = 0;
    for question in questions(root) {
        let args = |place: &str| -> Vec<String> {
            let words = question.iter().map(|word| word.replace("ROOT", place));
            ["--json".to_owned()].into_iter().chain(words).collect()
        };
        let (expected, found) = (run(endpoint, &args(local)), run(endpoint, &args(url)));
        assert_eq!(code(&found), code(&expected), "{question:?} {}{}", stdout(&found), stderr(&found));
        let expected = stdout(&expected).replace(local, url);
        assert!(stdout(&found) == expected, "{question:?}\n{}\nexpected\n{expected}", stdout(&found));
        compared += 1;
    }
    compared
}

#[test]
fn a_bucket_answers_as_a_directory() {
    let server = FakeS3::start();
    let mut compared = 0;
    for (name, root) in roots() {
        // Only those that this repository has, too: `against_moto` takes all.
        if testdata("region").join(&name).is_dir() {
            server.upload(&name, &root);
            compared += compare(&server.endpoint(), &format!("s3://bucket/{name}"), &root);
        }
    }
    assert!(compared > 50, "{compared}");
}

/// Every golden root, in a bucket of moto's server: `HREGION_MOTO` is its endpoint.
#[test]
#[ignore = "needs a server"]
fn against_moto() {
    let endpoint = std::env::var("HREGION_MOTO").expect("the endpoint of a server of moto");
    put(&endpoint, "/bucket", &[]);
    let mut compared = 0;
    for (name, root) in roots() {
        upload(&endpoint, &format!("/bucket/{name}"), &root);
        compared += compare(&endpoint, &format!("s3://bucket/{name}"), &root);
    }
    println!("{compared} answers are equal");
}

/// Every golden root, in HDFS: `HREGION_HDFS` is the URL of a directory that has each root by the name of its
/// directory.
#[test]
#[ignore = "needs a server"]
fn against_hdfs() {
    let base = std::env::var("HREGION_HDFS").expect("the URL of a directory with the roots");
    let roots = roots();
    let compared = roots.iter().map(|(name, root)| compare("", &format!("{base}/{name}"), root));
    let compared: usize = compared.sum();
    println!("{compared} answers are equal");
}

/// What writes to a table in HDFS, and what refuses to as long as a server's log is open.
#[test]
#[ignore = "needs a server"]
fn writes_against_hdfs() {
    let base = std::env::var("HREGION_HDFS").expect("the URL of a file system");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let root = format!("{base}/tool-{}", since.as_nanos());
    let table = format!("{root}/data/default/t");
    let storage = std::sync::Arc::new(hregion_remote::RemoteOptions::default().build().unwrap());
    let options = Region::options().storage(storage.clone());
    let made = Table::create_with(&root, "t", &[Family::new("f")], &["m"], options).unwrap();
    for (row, value) in [("a", "1"), ("x", "1"), ("a", "2"), ("x", "2")] {
        made.put(Put::new(row).cell("f", "q", value)).unwrap();
        made.region(row).unwrap().flush().unwrap();
    }
    made.put(Put::new("c").cell("f", "q", "logged")).unwrap();
    let regions: Vec<_> = made.regions().iter().map(|region| region.encoded_name()).collect();
    for row in ["a", "x"] {
        made.region(row).unwrap().abort().unwrap();
    }
    drop(made);
    let tool = |line: &str| run("", &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let done = |line: &str| {
        let output = tool(line);
        assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    let scan = |table: &str| without_sequence_ids(&done(&format!("scan --format csv {table}")));

    let log = PathBuf::from(format!("{root}/WALs/h,1,2/h%2C1%2C2.1000"));
    storage.create_dir_all(log.parent().unwrap()).unwrap();
    let mut writer = WalWriterOptions::new().create_in(&*storage, &log).unwrap();
    let key = SeekKey::of(b"y", b"f", b"q", 500, CellType::Put);
    writer.append(&WalKey::new(&*regions[1], "t", 40, 500), [CellRef::new(&key, b"open")]).unwrap();
    writer.sync().unwrap();
    for line in [
        &format!("compact {table}"),
        &format!("snapshot create {table} s"),
        &format!("recover --dry-run {root}"),
        &format!("recover {table}/{}", regions[0]),
    ] {
        let output = tool(&format!("--json {line}"));
        assert_eq!(code(&output), 2, "{line}: {}{}", stdout(&output), stderr(&output));
        let message = last_error(&output)["message"].as_str().unwrap().to_owned();
        assert!(message.contains("has not closed"), "{line}: {message}");
    }
    done(&format!("recover {root}"));
    let before = scan(&table);
    assert!(before.contains("open") && before.contains("logged"), "{before}");

    for line in [
        format!("compact --dry-run {table}"),
        format!("flush {table}"),
        format!("compact --major {table}"),
        format!("snapshot create {table} s"),
        format!("split {root} t b"),
        format!("snapshot clone {root} s u"),
    ] {
        done(&line);
        assert_eq!(scan(&table), before, "{line}");
    }
    assert_eq!(scan(&format!("{root}/data/default/u")), before);
    done(&format!("snapshot restore {root} s"));
    assert_eq!(scan(&table), before);
    done(&format!("snapshot delete {root} s"));
    let listed: Vec<String> = done(&format!("regions t --meta {root}")).lines().map(str::to_owned).collect();
    assert!(listed.len() >= 2, "{listed:?}");
}

fn upload(endpoint: &str, key: &str, dir: &Path) {
    let mut is_empty = true;
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let below = format!("{key}/{}", entry.file_name().to_str().unwrap().replace('%', "%25"));
        is_empty = false;
        match entry.path().is_dir() {
            true => upload(endpoint, &below, &entry.path()),
            false => put(endpoint, &below, &fs::read(entry.path()).unwrap()),
        }
    }
    if is_empty {
        put(endpoint, &format!("{key}/"), &[]);
    }
}

fn put(endpoint: &str, path: &str, bytes: &[u8]) {
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        bytes.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
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

#[test]
fn commands_that_write_refuse_urls() {
    let (s3, web) = ("s3://bucket/t", "http://127.0.0.1:9/t");
    let (local, dir) = (plain(), tempfile::tempdir().unwrap());
    let table = dir.path().to_str().unwrap();
    for args in [
        vec!["shell", s3],
        vec!["load", s3, table],
        vec!["import", s3, &local],
        vec!["copy", &local, s3],
        vec!["snapshot", "export", s3, "s", table],
        vec!["snapshot", "export", table, "s", s3],
        vec!["convert", &local, "--out", s3],
        vec!["export", "--to", "jsonl", &local, "--out", s3],
        // which those in buckets are not
        vec!["compact", web],
        vec!["flush", web],
        vec!["split", web, "t", "m"],
        vec!["merge", web, "t", "a", "b"],
        vec!["recover", web],
        vec!["snapshot", "create", web, "s"],
        vec!["snapshot", "delete", web, "s"],
        vec!["snapshot", "clone", web, "s", "u"],
        vec!["snapshot", "restore", web, "s"],
    ] {
        let args: Vec<String> = ["--json"].into_iter().chain(args).map(str::to_owned).collect();
        let output = run("http://127.0.0.1:9", &args);
        assert_eq!(code(&output), 4, "{args:?} {}{}", stdout(&output), stderr(&output));
        let message = last_error(&output)["message"].as_str().unwrap().to_owned();
        assert!(message.contains("only read"), "{args:?} {message}");
    }
}

/// Runs a command with words that have no spaces.
fn ask(server: &FakeS3, line: &str) -> Output {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    run(&server.endpoint(), &words)
}

/// Puts a root in a bucket, whose table `t` has two regions of two files each and rows that are in its logs
/// only. Returns the encoded names of the regions.
fn put_root(server: &FakeS3) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let family = Family::new("f").configuration("hbase.store.file-tracker.impl", "FILE");
    let table = Table::create(dir.path(), "t", &[family], &["m"]).unwrap();
    for value in ["1", "2"] {
        for row in ["a", "b", "x"] {
            table.put(Put::new(row).cell("f", "q", value)).unwrap();
        }
        table.flush().unwrap();
    }
    table.put(Put::new("c").cell("f", "q", "logged")).unwrap();
    table.put(Put::new("y").cell("f", "q", "logged")).unwrap();
    let regions: Vec<_> = table.regions().iter().map(|region| region.encoded_name()).collect();
    for region in ["a", "x"] {
        table.region(region).unwrap().abort().unwrap();
    }
    server.upload("root", dir.path());
    server.keys().iter().filter(|key| key.ends_with('/')).for_each(|marker| server.remove(marker));
    regions
}

/// Returns lines of CSV without sequence ids, which a compaction drops.
fn without_sequence_ids(text: &str) -> String {
    let line = |line: &str| line.split(',').take(6).collect::<Vec<_>>().join(",");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

const TABLE: &str = "s3://bucket/root/data/default/t";

#[test]
fn a_table_of_a_bucket_is_compacted() {
    for target in ["the table", "its regions"] {
        let server = FakeS3::start();
        let regions = put_root(&server);
        let scan = || {
            let output = ask(&server, &format!("scan --format csv {TABLE}"));
            assert_eq!(code(&output), 0, "{}", stderr(&output));
            without_sequence_ids(&stdout(&output))
        };
        let before = scan();
        assert_eq!(before.matches("logged").count(), 2, "{before}");
        let targets = match target {
            "the table" => vec![TABLE.to_owned()],
            _ => regions.iter().map(|region| format!("{TABLE}/{region}")).collect(),
        };
        for command in ["compact --dry-run", "flush", "compact --major"] {
            for target in &targets {
                let output = ask(&server, &format!("--json {command} {target}"));
                let said = format!("{command} {}{}", stdout(&output), stderr(&output));
                assert_eq!(code(&output), 0, "{said}");
                assert!(command != "compact --major" || said.contains(r#""files":1"#), "{said}");
                assert_eq!(scan(), before, "{said}");
            }
        }
        let archived: Vec<_> =
            server.keys().into_iter().filter(|key| key.starts_with("root/archive/data/default/t/")).collect();
        assert_eq!(archived.len(), 6, "{archived:?}");
        let local = tempfile::tempdir().unwrap();
        server.download("root", local.path());
        let dir = local.path().join("data/default/t");
        assert_eq!(without_sequence_ids(&ok(&["scan", "--format", "csv", dir.to_str().unwrap()])), before);
        for region in &regions {
            let files = fs::read_dir(dir.join(region).join("f")).unwrap();
            let files = files.filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
            assert_eq!(files, 1, "{region}");
            let edits = fs::read_dir(dir.join(region).join("recovered.edits"));
            let logs = edits.map_or(0, |edits| {
                let names = edits.map(|entry| entry.unwrap().file_name().into_string().unwrap());
                names.filter(|name| !name.ends_with(".seqid")).count()
            });
            assert_eq!(logs, 0, "{region}");
        }
        let verified = run("", &["verify".into(), local.path().to_str().unwrap().into()]);
        assert_eq!(code(&verified), 0, "{}{}", stdout(&verified), stderr(&verified));
    }
}

#[test]
fn a_region_of_a_bucket_is_recovered_and_what_needs_renames_is_refused() {
    let server = FakeS3::start();
    let regions = put_root(&server);
    let scan = || without_sequence_ids(&stdout(&ask(&server, &format!("scan --format csv {TABLE}"))));
    let before = scan();
    let objects = || {
        let dir = tempfile::tempdir().unwrap();
        server.download("root", dir.path());
        let mut files = BTreeMap::new();
        for key in server.keys().into_iter().filter(|key| !key.ends_with(".lock")) {
            let path = dir.path().join(key.strip_prefix("root/").unwrap());
            files.insert(key, fs::read(path).unwrap_or_default());
        }
        files
    };
    let recovered = ask(&server, &format!("--json recover --dry-run {TABLE}/{}", regions[0]));
    assert_eq!(code(&recovered), 0, "{}", stderr(&recovered));
    let recovered = ask(&server, &format!("--json recover {TABLE}/{}", regions[0]));
    assert_eq!(code(&recovered), 0, "{}", stderr(&recovered));
    assert!(stdout(&recovered).contains(r#""cells":1"#), "{}", stdout(&recovered));
    assert_eq!(scan(), before);
    let compacted = ask(&server, &format!("compact --major {TABLE}"));
    assert_eq!(code(&compacted), 0, "{}", stderr(&compacted));
    let expected = objects();
    let (first, second) = (&regions[0], &regions[1]);
    for line in [
        "recover s3://bucket/root",
        "split s3://bucket/root t b",
        &format!("merge s3://bucket/root t {first} {second}"),
        &format!("snapshot create {TABLE} s"),
        "snapshot delete s3://bucket/root s",
        "snapshot clone s3://bucket/root s u",
        "snapshot restore s3://bucket/root s",
    ] {
        let output = ask(&server, &format!("--json {line}"));
        assert_eq!(code(&output), 4, "{line}: {}{}", stdout(&output), stderr(&output));
        let message = last_error(&output)["message"].as_str().unwrap().to_owned();
        assert!(message.contains("without renames"), "{line}: {message}");
        assert!(objects() == expected, "{line}");
    }
    // nothing is locked
    let compacted = ask(&server, &format!("compact --major {TABLE}"));
    assert_eq!(code(&compacted), 0, "{}", stderr(&compacted));
    assert_eq!(scan(), before);
    // files that no list names
    let dir = tempfile::tempdir().unwrap();
    Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap().close().unwrap();
    server.upload("untracked", dir.path());
    let output = ask(&server, "--json compact s3://bucket/untracked/data/default/t");
    assert_eq!(code(&output), 4, "{}{}", stdout(&output), stderr(&output));
    assert!(stderr(&output).contains("tracker"), "{}", stderr(&output));
}

#[test]
fn errors_show_the_url_and_no_credentials() {
    let server = FakeS3::start();
    server.put("damaged/cf/0123456789abcdef0123456789abcdef", vec![1; 5000]);
    for (url, expected) in [
        ("s3://bucket/damaged/cf/0123456789abcdef0123456789abcdef", 3),
        ("s3://bucket/missing", 5),
        ("s3://u:s3cret@bucket/t", 4),
        ("http://127.0.0.1/t?sig=s3cret", 4),
        ("ftp://u:s3cret@host/t", 4),
    ] {
        let output = run(&server.endpoint(), &["--json".into(), "inspect".into(), url.into()]);
        let all = format!("{}{}", stdout(&output), stderr(&output));
        assert_eq!(code(&output), expected, "{url} {all}");
        assert!(!all.contains("s3cret") && all.contains("://"), "{all}");
    }
}

/// The metadata services that the environment names are the server, which is asked for nothing.
#[test]
fn without_credentials_nothing_is_requested() {
    let server = FakeS3::start();
    let mut command = hregion();
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
    }
    for name in ["AWS_ENDPOINT", "AWS_METADATA_ENDPOINT", "AWS_CONTAINER_CREDENTIALS_FULL_URI"] {
        command.env(name, server.endpoint());
    }
    command.env("AWS_ALLOW_HTTP", "true").env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", plain());
    let output = command.args(["--json", "count", "s3://bucket/t"]).output().unwrap();
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    let message = last_error(&output)["message"].as_str().unwrap().to_owned();
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SKIP_SIGNATURE"] {
        assert!(message.contains(name), "{message}");
    }
    assert!(server.take_asked().0.is_empty());
}

/// Returns a root directory with a snapshot `s` of a table of four regions, about 2.5 MB each, and the bytes
/// of its store files.
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
        // Listings and what describes the snapshot and the table are in it.
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
