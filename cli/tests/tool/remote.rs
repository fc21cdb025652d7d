//! Targets by URL: a bucket answers as the same files do in a directory.

use crate::library::fake_s3::{FakeS3, Manner};
use crate::library::files::{relative_to, unlocked_contents};
use crate::library::golden;
use crate::support::{code, has_leftovers, hregion, last_error, ok, plain, stderr, stdout, testdata};
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{CellRef, CellType, Durability, Family, Put, Region, SeekKey, Storage as _, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Returns the root directories that HBase wrote, by name.
fn roots() -> Vec<(String, PathBuf)> {
    let mut dirs = vec![testdata("region")];
    dirs.extend(golden::shared("cluster/tables"));
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
    command(endpoint, args).output().unwrap()
}

pub(crate) fn command(endpoint: &str, args: &[String]) -> Command {
    let mut command = hregion();
    command.args(args).env("AWS_ENDPOINT", endpoint);
    command.envs(SETTINGS.map(|(name, value)| (name.to_uppercase(), value)));
    command
}

/// The settings of a server of a test, but its endpoint.
pub(crate) const SETTINGS: [(&str, &str); 4] = [
    ("aws_allow_http", "true"),
    ("aws_region", "us-east-1"),
    ("aws_access_key_id", "key"),
    ("aws_secret_access_key", "s3cret"),
];

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

/// Asks for the same of a directory and of a URL. Returns the number of answers that are no errors.
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
        compared += usize::from(code(&found) == 0);
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

/// Takes, reads, clones, exports and deletes a snapshot of the table `root/data/default/t` of a bucket, which
/// has rows.
fn use_snapshots(endpoint: &str, bucket: &str) {
    let dir = tempfile::tempdir().unwrap();
    let local = dir.path().join("local").to_str().unwrap().to_owned();
    let (root, table) = (format!("{bucket}/root"), format!("{bucket}/root/data/default/t"));
    let ask = |line: &str| run(endpoint, &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let done = |line: &str| {
        let output = ask(line);
        assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    let rows = |place: &str| without_sequence_ids(&done(&format!("scan --format csv {place}")));
    let before = rows(&table);
    assert!(before.lines().count() > 3, "{before}");
    let taken = done(&format!("--json snapshot create {table} s"));
    assert!(taken.contains(r#""name":"s","table":"t""#), "{taken}");
    done(&format!("compact --major {table}"));
    assert_eq!(rows(&format!("{root}/.hbase-snapshot/s")), before);
    let shown = done(&format!("snapshot info {root} s"));
    assert!(shown.contains("region "), "{shown}");
    assert_eq!(done(&format!("snapshot clone {root} s u")), "");
    assert_eq!(rows(&format!("{root}/data/default/u")), before);
    done(&format!("compact --major {root}/data/default/u"));
    assert_eq!(rows(&format!("{root}/data/default/u")), before);
    // Within the bucket, from it, and back.
    for (from, to) in [(&root, &format!("{bucket}/a")), (&root, &local), (&local, &format!("{bucket}/b"))] {
        done(&format!("snapshot export {from} s {to}"));
        assert_eq!(rows(&format!("{to}/.hbase-snapshot/s")), before);
        let again = ask(&format!("snapshot export {from} s {to}"));
        assert_eq!(code(&again), 5, "{}", stderr(&again));
    }
    done(&format!("snapshot delete {root} s"));
    assert_eq!(done(&format!("snapshot list {root}")), "");
    let again = ask(&format!("--json snapshot create {table} s"));
    assert_eq!(code(&again), 4, "{}", stderr(&again));
    let message = last_error(&again)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("take another name"), "{message}");
    done(&format!("snapshot create {table} s2"));
    assert!(done(&format!("snapshot list {root}")).starts_with("s2: table t, "));
    assert_eq!((rows(&table), rows(&format!("{root}/data/default/u"))), (before.clone(), before));
}

#[test]
fn a_table_of_a_bucket_has_snapshots() {
    let server = FakeS3::start();
    put_root(&server);
    use_snapshots(&server.endpoint(), "s3://bucket");
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
    assert!(compared > 50, "{compared}");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let bucket = format!("snapshots-{}", since.as_nanos());
    put(&endpoint, &format!("/{bucket}"), &[]);
    let (dir, _) = local_root();
    remove_empty_dirs(dir.path());
    upload(&endpoint, &format!("/{bucket}/root"), dir.path());
    use_snapshots(&endpoint, &format!("s3://{bucket}"));
}

fn remove_empty_dirs(dir: &Path) {
    let below = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    below.filter(|path| path.is_dir()).for_each(|path| remove_empty_dirs(&path));
    if fs::read_dir(dir).unwrap().next().is_none() {
        fs::remove_dir(dir).unwrap();
    }
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
    assert!(compared > 50, "{compared}");
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

pub(crate) fn put(endpoint: &str, path: &str, bytes: &[u8]) {
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

#[test]
fn commands_that_write_refuse_urls() {
    let (s3, web) = ("s3://bucket/t", "http://127.0.0.1:9/t");
    let (local, dir) = (plain(), tempfile::tempdir().unwrap());
    let table = dir.path().to_str().unwrap();
    for args in [
        vec!["report", table, "--out", s3],
        vec!["salvage", &local, "--out", s3],
        // which those in buckets are not
        vec!["bulkload", &local, "--regions", &local, "--out", web],
        vec!["write", &local, "--out", web],
        vec!["convert", &local, "--out", web],
        vec!["export", "--to", "jsonl", &local, "--out", web],
        vec!["compact", web],
        vec!["flush", web],
        vec!["split", web, "t", "m"],
        vec!["merge", web, "t", "a", "b"],
        vec!["recover", web],
        vec!["snapshot", "create", web, "s"],
        vec!["snapshot", "delete", web, "s"],
        vec!["snapshot", "clone", web, "s", "u"],
        vec!["snapshot", "restore", web, "s"],
        vec!["snapshot", "export", table, "s", web],
        vec!["load", web, table],
        vec!["import", web, &local],
        vec!["copy", &local, web],
    ] {
        let args: Vec<String> = ["--json"].into_iter().chain(args).map(str::to_owned).collect();
        let output = run("http://127.0.0.1:9", &args);
        assert_eq!(code(&output), 4, "{args:?} {}{}", stdout(&output), stderr(&output));
        let message = last_error(&output)["message"].as_str().unwrap().to_owned();
        let is_refused = message.contains("only read") || message.contains("local files only");
        assert!(is_refused, "{args:?} {message}");
    }
}

/// Runs a command with words that have no spaces.
pub(crate) fn ask(server: &FakeS3, line: &str) -> Output {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    run(&server.endpoint(), &words)
}

/// Puts a root in a bucket, whose table `t` has two regions of two files each and rows that are in its logs
/// only. Returns the encoded names of the regions.
fn put_root(server: &FakeS3) -> Vec<String> {
    let (dir, regions) = local_root();
    server.upload("root", dir.path());
    server.keys().iter().filter(|key| key.ends_with('/')).for_each(|marker| server.remove(marker));
    regions
}

/// Makes that root in a directory.
fn local_root() -> (tempfile::TempDir, Vec<String>) {
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
    (dir, regions)
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
    for line in ["recover s3://bucket/root", "snapshot restore s3://bucket/root s"] {
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

/// Returns the files below a directory, by path, without those that lock it.
fn files_below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    relative_to(dir, unlocked_contents(dir))
}

/// Runs a command with each of some requests refused, or with a connection that ends in the middle of an
/// answer, which is asked for again. `check` gets the exit code, after which the command is repeated.
pub(crate) fn with_each_request(server: &FakeS3, line: &str, prepare: impl Fn(), check: impl Fn(i32, &str)) {
    prepare();
    server.take_asked();
    let output = ask(server, line);
    assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
    let requests = server.take_asked().0.len();
    assert!(requests > 5, "{line}: {requests}");
    let step = 1 + requests / 20;
    for at in (0..requests).step_by(step) {
        for manner in [Manner::Fails(403), Manner::Cuts] {
            prepare();
            server.behave((0..at).map(|_| Manner::Good).chain([manner]));
            let output = ask(server, line);
            server.behave([]);
            let context = format!("{line}: {manner:?} at {at} of {requests}: {}", stderr(&output));
            if manner == Manner::Cuts {
                assert_eq!(code(&output), 0, "{context}");
            }
            check(code(&output), &context);
            if code(&output) != 0 {
                let again = ask(server, line);
                assert_eq!(code(&again), 0, "again, {context}: {}", stderr(&again));
                check(0, &context);
            }
        }
    }
}

#[test]
fn a_snapshot_of_a_bucket_is_exported() {
    let (server, dir) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let root = testdata("region/clone-references/root");
    server.upload("root", &root);
    let (expected, out) = (dir.path().join("expected"), dir.path().join("out"));
    ok(&["snapshot", "export", root.to_str().unwrap(), "joined-snap", expected.to_str().unwrap()]);
    let expected = files_below(&expected);
    assert!(expected.len() > 3, "{:?}", expected.keys());
    let line = format!("snapshot export s3://bucket/root joined-snap {}", out.display());
    let info = out.join(".hbase-snapshot/joined-snap");
    let prepare = || {
        let _ = fs::remove_dir_all(&out);
    };
    let is_there = |context: &str| assert!(files_below(&out) == expected, "{context}");
    with_each_request(&server, &line, prepare, |exit, context| match exit {
        0 => is_there(context),
        _ => assert!(!info.exists(), "{context}"),
    });
    let scan = |place: &str| stdout(&ask(&server, &format!("scan --raw --versions all {place}")));
    let copied = scan(info.to_str().unwrap());
    assert_eq!(copied, scan("s3://bucket/root/.hbase-snapshot/joined-snap"));
    assert!(copied.len() > 1000);
    // It is there.
    let output = ask(&server, &line);
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    is_there("nothing is replaced");

    // A server that is gone, a file that is missing, one that is damaged, and one in the place of a copy.
    let hfile = server.keys().into_iter().rfind(|key| {
        let name = key.rsplit('/').next().unwrap();
        name.len() == 32 && key.contains("/data/default/")
    });
    let hfile = hfile.unwrap();
    let sound = {
        let below = hfile.strip_prefix("root/").unwrap();
        fs::read(root.join(below)).unwrap()
    };
    let below = hfile.strip_prefix("root/").unwrap();
    let place = out.join("archive").join(below);
    for fault in ["gone", "missing", "damaged", "in its place"] {
        prepare();
        let exit = match fault {
            "gone" => {
                server.die_at(12, false);
                5
            }
            "missing" => {
                server.remove(&hfile);
                5
            }
            "damaged" => {
                let mut damaged = sound.clone();
                damaged[60] ^= 1;
                server.put(&hfile, damaged);
                3
            }
            _ => {
                fs::create_dir_all(place.parent().unwrap()).unwrap();
                fs::write(&place, "other").unwrap();
                5
            }
        };
        let output = ask(&server, &line);
        assert_eq!(code(&output), exit, "{fault}: {}", stderr(&output));
        assert!(!info.exists(), "{fault}");
        assert_eq!(place.exists(), fault == "in its place", "{fault}");
        server.revive();
        server.put(&hfile, sound.clone());
        if fault == "in its place" {
            assert_eq!(fs::read(&place).unwrap(), b"other");
            fs::remove_file(&place).unwrap();
        }
        let output = ask(&server, &line);
        assert_eq!(code(&output), 0, "{fault}: {}", stderr(&output));
        is_there(fault);
    }
}

/// Creates a table whose families keep all versions, and returns its directory.
fn table_of(root: &Path, families: &[&str], splits: &[&str]) -> PathBuf {
    let _ = fs::remove_dir_all(root);
    let families: Vec<_> =
        families.iter().map(|name| Family::new((*name).to_owned()).max_versions(u32::MAX)).collect();
    Table::create(root, "t", &families, splits).unwrap().close().unwrap();
    root.join("data/default/t")
}

#[test]
fn rows_of_a_bucket_are_copied() {
    let (server, dir) = (FakeS3::start(), tempfile::tempdir().unwrap());
    server.upload("root", &testdata("region/split-references/root"));
    let to = dir.path().join("data/default/t");
    let table = to.to_str().unwrap();
    let from = "s3://bucket/root/data/default/halves";
    let prepare = || drop(table_of(dir.path(), &["p", "q"], &["row-0061"]));
    with_each_request(&server, &format!("copy {from} {table}"), prepare, |exit, context| {
        assert!(!has_leftovers(table), "{context}");
        match exit {
            0 => {
                let output = ask(&server, &format!("diff {from} {table} --versions all"));
                assert_eq!((code(&output), stdout(&output)), (0, String::new()), "{context}");
            }
            _ => assert_eq!(ok(&["count", "--raw", table]), "rows 0\ncells 0\n", "{context}"),
        }
    });
    assert_eq!(code(&run("", &["verify".into(), table.into()])), 0);
}

/// Writes the files of a bulk load of 300 cells, cut at the row `k`.
fn bulk_load_files(dir: &Path) -> PathBuf {
    let cell = |i: usize| {
        let (row, family) = (["a", "d", "m", "x"][i % 4], if i.is_multiple_of(3) { "g" } else { "f" });
        let key = format!(r#""row":"{row}{i}","family":"{family}","qualifier":"q","timestamp":{i}"#);
        format!(r#"{{{key},"type":"Put","value":"v{i}"}}"#) + "\n"
    };
    let (list, splits, out) = (dir.join("cells"), dir.join("splits"), dir.join("files"));
    fs::write(&list, (0..300).map(cell).collect::<String>()).unwrap();
    fs::write(&splits, "k\n").unwrap();
    let [list, splits, to] = [&list, &splits, &out].map(|path| path.to_str().unwrap());
    ok(&["bulkload", list, "--regions", splits, "--out", to, "--sort"]);
    out
}

#[test]
fn files_of_a_bucket_are_loaded() {
    let (server, dir) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let files = bulk_load_files(dir.path());
    fs::write(files.join("_SUCCESS"), "").unwrap();
    server.upload("files", &files);
    let keys = server.keys();
    // A load from a directory moves them.
    let key = keys.iter().rfind(|key| key.contains("/g/")).unwrap();
    let sound = fs::read(dir.path().join(key)).unwrap();
    let root = dir.path().join("root");
    let to = root.join("data/default/t");
    let table = to.to_str().unwrap();
    let prepare = || drop(table_of(&root, &["f", "g"], &["c", "n"]));
    let line = format!("--json load {table} s3://bucket/files");
    let (none, all) = ("rows 0\ncells 0\n", "rows 300\ncells 300\n");
    let count = || ok(&["count", "--raw", "--versions", "all", table]);
    with_each_request(&server, &line, prepare, |exit, context| {
        assert!(!has_leftovers(table), "{context}");
        assert_eq!(count(), if exit == 0 { all } else { none }, "{context}");
        assert_eq!(server.keys(), keys, "{context}");
    });
    // The same as from a directory.
    let scan =
        || without_sequence_ids(&ok(&["scan", "--format", "csv", "--raw", "--versions", "all", table]));
    let from_bucket = scan();
    prepare();
    let local = ok(&["--json", "load", table, files.to_str().unwrap()]);
    assert_eq!(scan(), from_bucket);
    prepare();
    let output = ask(&server, &line);
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (found, local) = (parse(&stdout(&output)), parse(&local));
    assert_eq!(found["loaded"], local["loaded"]);
    assert_eq!(found["skipped"], serde_json::json!(["s3://bucket/files/_SUCCESS"]));
    let split = found["split"].as_array().unwrap();
    assert_eq!(split.len(), local["split"].as_array().unwrap().len());
    assert!(split.iter().all(|path| {
        let path = path.as_str().unwrap();
        path.strip_prefix("s3://bucket/").is_some_and(|key| keys.iter().any(|found| found == key))
    }));
    assert_eq!(code(&run("", &["verify".into(), table.into()])), 0);

    // Nothing is loaded if a file is damaged, or the family is unknown, or it is no such directory.
    prepare();
    let mut damaged = sound.clone();
    damaged[60] ^= 1;
    server.put(key, damaged);
    let refused = |line: &str, exit: i32| {
        let output = ask(&server, line);
        assert_eq!(code(&output), exit, "{line}: {}{}", stdout(&output), stderr(&output));
        assert_eq!(count(), none, "{line}");
        assert!(!has_leftovers(table), "{line}");
    };
    refused(&line, 3);
    server.put(key, sound.clone());
    server.put("files/h/8e8ab58dcf39412d8e8ab58dcf39412d", sound);
    refused(&line, 2);
    refused(&format!("load {table} s3://bucket/none"), 5);
    refused(&format!("load {table} s3://bucket/files/f"), 2);
    server.upload("root", &testdata("region/bulk-loaded/root"));
    let keys = server.keys();
    let region = keys.iter().find_map(|key| key.strip_suffix("/.regioninfo")).unwrap();
    refused(&format!("load {table} s3://bucket/{region}"), 2);
}

/// Puts a table with the families f and g and three regions in a bucket, in place of all that is there.
fn put_table(server: &FakeS3, root: &Path) {
    server.keys().iter().for_each(|key| server.remove(key));
    server.upload("root", root);
    server.keys().iter().filter(|key| key.ends_with('/')).for_each(|marker| server.remove(marker));
}

/// Removes the locks of processes that could not free them.
fn remove_locks(server: &FakeS3) {
    server.keys().iter().filter(|key| key.ends_with(".hregion.lock")).for_each(|key| server.remove(key));
}

#[test]
fn files_are_loaded_into_a_bucket() {
    let (server, dir) = (FakeS3::start(), tempfile::tempdir().unwrap());
    let files = bulk_load_files(dir.path());
    fs::write(files.join("_SUCCESS"), "").unwrap();
    let family = |name: &str| {
        Family::new(name.to_owned()).configuration("hbase.store.file-tracker.impl", "FILE").max_versions(9)
    };
    let root = dir.path().join("root");
    Table::create(&root, "t", &[family("f"), family("g")], &["c", "n"]).unwrap().close().unwrap();
    let done = |line: &str| {
        let output = ask(&server, line);
        assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    let (none, all) = ("rows 0\ncells 0\n", "rows 300\ncells 300\n");
    let count = || done(&format!("count --raw --versions all {TABLE}"));
    let left =
        || -> Vec<String> { server.keys().into_iter().filter(|key| key.starts_with("files/")).collect() };
    let has_leftovers = || server.keys().iter().any(|key| key.contains("/.tmp/import"));

    // Those of the same bucket are removed.
    let prepare = || {
        put_table(&server, &root);
        server.upload("files", &files);
    };
    prepare();
    assert_eq!(count(), none);
    let line = format!("--json load {TABLE} s3://bucket/files");
    server.take_asked();
    let found: serde_json::Value = serde_json::from_str(&done(&line)).unwrap();
    let requests = server.take_asked().0.len();
    assert_eq!(found["skipped"], serde_json::json!(["s3://bucket/files/_SUCCESS"]));
    assert_eq!((found["loaded"].as_u64(), found["split"].as_array().unwrap().len()), (Some(8), 4));
    assert_eq!((count(), left()), (all.to_owned(), vec!["files/_SUCCESS".to_owned()]));
    for at in (0..requests).step_by(1 + requests / 16) {
        for manner in [Manner::Fails(403), Manner::Cuts] {
            prepare();
            server.behave((0..at).map(|_| Manner::Good).chain([manner]));
            let output = ask(&server, &line);
            server.behave([]);
            let context = format!("{manner:?} at {at} of {requests}: {}", stderr(&output));
            if manner == Manner::Cuts {
                assert_eq!(code(&output), 0, "{context}");
            }
            if code(&output) != 0 {
                remove_locks(&server);
                done(&line);
            }
            assert_eq!((count(), left()), (all.to_owned(), vec!["files/_SUCCESS".to_owned()]), "{context}");
        }
    }
    done(&format!("compact --major {TABLE}"));
    assert_eq!(count(), all);
    let again: serde_json::Value = serde_json::from_str(&done(&line)).unwrap_or_default();
    assert_eq!(again["loaded"], 0, "{again}");

    // Others stay, and are loaded again.
    put_table(&server, &root);
    let local = files_below(&files);
    let line = format!("--json load {TABLE} {}", files.display());
    for _ in 0..2 {
        let found: serde_json::Value = serde_json::from_str(&done(&line)).unwrap();
        assert_eq!(found["loaded"], 8);
        assert_eq!(count(), all);
        assert!(files_below(&files) == local && !has_leftovers());
    }
    let scan = || without_sequence_ids(&done(&format!("scan --format csv --raw --versions all {TABLE}")));
    let loaded = scan();
    put_table(&server, &root);
    let cells = dir.path().join("cells");
    done(&format!("import {TABLE} {}", cells.display()));
    assert_eq!((count().as_str(), scan(), has_leftovers()), (all, loaded.clone(), false));
    let copied = dir.path().join("copied");
    server.download("root", &copied);
    put_table(&server, &root);
    done(&format!("copy --versions all {}/data/default/t {TABLE}", copied.display()));
    assert_eq!((count().as_str(), scan(), has_leftovers()), (all, loaded, false));
    let verified = run(&server.endpoint(), &["verify".into(), TABLE.into()]);
    assert_eq!(code(&verified), 0, "{}{}", stdout(&verified), stderr(&verified));

    // Nothing is loaded if a file is damaged, or the family is unknown, or it is no such directory.
    put_table(&server, &root);
    server.upload("files", &files);
    let key = left().into_iter().rfind(|key| key.contains("/g/")).unwrap();
    let sound = fs::read(dir.path().join(&key)).unwrap();
    let refused = |line: &str, exit: i32| {
        let output = ask(&server, line);
        assert_eq!(code(&output), exit, "{line}: {}{}", stdout(&output), stderr(&output));
        assert_eq!(count(), none, "{line}");
    };
    server.put("files/h/8e8ab58dcf39412d8e8ab58dcf39412d", sound);
    refused(&format!("load {TABLE} s3://bucket/files"), 2);
    refused(&format!("load {TABLE} s3://bucket/none"), 5);
    refused(&format!("load {TABLE} s3://bucket/files/f"), 2);
    refused(&format!("import {TABLE} {}", dir.path().join("none").display()), 5);
}

#[test]
fn regions_of_a_bucket_are_split_and_merged() {
    let server = FakeS3::start();
    let regions = put_root(&server);
    let scan = || without_sequence_ids(&stdout(&ask(&server, &format!("scan --format csv {TABLE}"))));
    let before = scan();
    let replaced = |line: &str| -> Vec<String> {
        let output = ask(&server, &format!("--json {line}"));
        assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
        assert_eq!(scan(), before, "{line}");
        let json = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let output = stdout(&output);
        let found = output.lines().map(json).filter_map(|line| Some(line["encoded"].as_str()?.to_owned()));
        found.collect()
    };
    let new = replaced("split --compact s3://bucket/root t b");
    assert_eq!(new.len(), 2, "{new:?}");
    let merged = replaced(&format!("merge --compact s3://bucket/root t {} {}", new[1], regions[1]));
    assert_eq!(merged.len(), 1, "{merged:?}");
    // Nothing is left of the regions that were replaced but files in the archive.
    let keys = server.keys();
    let below = keys.iter().filter_map(|key| key.strip_prefix("root/data/default/t/")?.split('/').next());
    let found: BTreeSet<&str> = below.collect();
    assert_eq!(found, BTreeSet::from([".tabledesc", &*new[0], &*merged[0]]));
    let local = tempfile::tempdir().unwrap();
    server.download("root", local.path());
    let dir = local.path().join("data/default/t");
    assert_eq!(without_sequence_ids(&ok(&["scan", "--format", "csv", dir.to_str().unwrap()])), before);
    let verified = run("", &["verify".into(), local.path().to_str().unwrap().into()]);
    assert_eq!(code(&verified), 0, "{}{}", stdout(&verified), stderr(&verified));
}

#[test]
fn the_shell_reads_and_writes_a_bucket() {
    let server = FakeS3::start();
    put_root(&server);
    let local = tempfile::tempdir().unwrap();
    server.download("root", local.path());
    let shell = |place: &str, commands: &[&str]| {
        let mut args: Vec<String> = vec!["shell".into(), place.into()];
        commands.iter().for_each(|command| args.extend(["-e".to_owned(), (*command).to_owned()]));
        run(&server.endpoint(), &args)
    };
    let done = |place: &str, commands: &[&str]| {
        let output = shell(place, commands);
        assert_eq!(code(&output), 0, "{commands:?}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    let commands = [
        "list",
        "describe 't'",
        "scan 't'",
        "get 't', 'a'",
        "count 't'",
        "list_regions 't'",
        "status",
        "list_snapshots",
        "exists 't'",
        "exists 'u'",
        "locate_region 't', 'x'",
    ];
    let keys = server.keys();
    for below in ["", "/data/default/t"] {
        let commands = if below.is_empty() { &commands[..] } else { &commands[..5] };
        let expected = done(&format!("{}{below}", local.path().display()), commands);
        let found = done(&format!("s3://bucket/root{below}"), commands);
        let expected = expected.replace("(local files) ", "(remote files)").replace("(local", "(remote");
        assert_eq!(found, expected);
        assert!(found.contains("logged"), "{found}");
    }
    assert_eq!(server.keys(), keys, "reading creates nothing");

    let root = "s3://bucket/root";
    done(root, &["put 't', 'a', 'f:q', 'put'", "deleteall 't', 'b'", "flush 't'", "compact 't'"]);
    let found = done(root, &["scan 't'"]);
    assert!(found.contains("value=put") && found.contains("value=logged"), "{found}");
    assert!(!found.contains(" b "), "{found}");
    assert_eq!(done("s3://bucket/empty", &["list"]), "TABLE\n0 row(s)\n=> []\n");
    let file = "CONFIGURATION => {'hbase.store.file-tracker.impl' => 'FILE'}";
    for create in [format!("create 'x', {{NAME => 'f', {file}}}"), format!("create 'y', 'f', {file}")] {
        let table = &create[7..10];
        done(root, &[&create, &format!("put {table}, 'r', 'f:q', 'made'"), &format!("flush {table}")]);
        assert!(done(root, &[&format!("scan {table}")]).contains("value=made"), "{create}");
    }
    let keys = server.keys();
    for command in ["restore_snapshot 's'", "create 'w', 'f'", "alter 't', 'h'"] {
        let commands: &[&str] = match command.starts_with("restore") {
            true => &["disable 't'", command],
            false => &[command],
        };
        let output = shell(root, commands);
        let said = stderr(&output);
        assert_ne!(code(&output), 0, "{command}: {}", stdout(&output));
        assert!(said.contains("without renames") || said.contains("tracker"), "{command}: {said}");
        let left = |keys: Vec<String>| -> Vec<String> {
            keys.into_iter().filter(|key| !key.ends_with(".lock")).collect()
        };
        assert_eq!(left(server.keys()), left(keys.clone()), "{command}");
    }
    let regions = done(root, &["split 't', 'bb'", "list_regions 't'"]);
    assert!(regions.ends_with("3 row(s)\n"), "{regions}");
    assert_eq!(done(root, &["scan 't'"]), found);
    // Tables are altered, truncated and deleted.
    let alter = format!("alter 'x', {{NAME => 'h', {file}}}, MAX_FILESIZE => '1000000000'");
    let found =
        done(root, &[&alter, "put 'x', 'r', 'h:q', 'added'", "alter 'x', 'delete' => 'f'", "scan 'x'"]);
    assert!(found.contains("value=added") && !found.contains("value=made"), "{found}");
    let found = done(root, &["truncate 'x'", "scan 'x'", "truncate_preserve 't'", "list_regions 't'"]);
    assert!(!found.contains("value=") && found.ends_with("3 row(s)\n"), "{found}");
    let drop = ["disable 'x'", "drop 'x'", "list", "exists 'x'"];
    let found = done(root, &drop);
    assert!(found.contains("does not exist") && !found.contains("\nx\n"), "{found}");
    let found =
        done(root, &[&format!("create 'x', 'f', {file}"), "put 'x', 'r', 'f:q', 'again'", "scan 'x'"]);
    assert!(found.contains("value=again") && !found.contains("value=made"), "{found}");
    // A new shell does not know the table that was dropped, in whatever state that is left.
    let is_of_x = |key: &String| {
        let is_file = !key.ends_with('/') && !key.ends_with(".lock");
        key.starts_with("root/data/default/x/") && is_file
    };
    let keys_of = || -> Vec<String> { server.keys().into_iter().filter(is_of_x).collect() };
    let before = tempfile::tempdir().unwrap();
    server.download("root/data/default/x/.tabledesc", before.path());
    done(root, &["disable 'x'", "drop 'x'"]);
    let left = keys_of();
    assert!(left.len() == 1 && left[0].contains("/.change."), "{left:?}");
    let is_refused = |command: &str| {
        let output = shell(root, &[command]);
        assert_ne!(code(&output), 0, "{command}: {}", stdout(&output));
        assert!(stderr(&output).contains("there is no table x"), "{command}: {}", stderr(&output));
    };
    let is_unknown = || {
        let found = done(root, &["list", "exists 'x'"]);
        assert!(found.contains("does not exist") && !found.contains("\nx\n"), "{found}");
        for command in
            ["is_enabled 'x'", "enable 'x'", "describe 'x'", "scan 'x'", "put 'x', 'r', 'f:q', '1'"]
        {
            is_refused(command);
        }
    };
    is_unknown();
    ["disable 'x'", "drop 'x'", "truncate 'x'"].into_iter().for_each(is_refused);
    // As after a deletion that has failed at the descriptor.
    server.upload("root/data/default/x/.tabledesc", before.path());
    assert!(keys_of().len() > 1);
    is_unknown();
    done(root, &["disable 'x'", "drop 'x'"]);
    assert_eq!(keys_of(), left);
    is_unknown();
    // Web servers are only read.
    let output = shell("http://127.0.0.1:9/root", &["list"]);
    assert_eq!(code(&output), 5, "{}", stderr(&output));
}

/// What is written to HDFS, and read from there.
#[test]
#[ignore = "needs a server"]
fn copies_against_hdfs() {
    let base = std::env::var("HREGION_HDFS").expect("the URL of a file system");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let remote = format!("{base}/copies-{}", since.as_nanos());
    let storage = hregion_remote::RemoteOptions::default().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let local = dir.path().to_str().unwrap();
    let tool = |line: &str| run("", &line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let done = |line: &str| {
        let output = tool(line);
        assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    let fails = |line: &str, exit: i32, expected: &str| {
        let output = tool(line);
        assert_eq!(code(&output), exit, "{line}: {}{}", stdout(&output), stderr(&output));
        assert!(stderr(&output).contains(expected), "{line}: {}", stderr(&output));
    };

    // A snapshot: into HDFS, to another root there, and back.
    let root = testdata("region/clone-references/root");
    done(&format!("snapshot export {} joined-snap {local}/expected", root.display()));
    let from = root.to_str().unwrap().to_owned();
    for (from, to) in [
        (from.clone(), format!("{remote}/one")),
        (format!("{remote}/one"), format!("{remote}/two")),
        (format!("{remote}/two"), format!("{local}/back")),
    ] {
        done(&format!("snapshot export {from} joined-snap {to}"));
        fails(&format!("snapshot export {from} joined-snap {to}"), 5, "exists");
        let scan =
            |root: &str| done(&format!("scan --raw --versions all {root}/.hbase-snapshot/joined-snap"));
        assert_eq!(scan(&to), scan(&from));
    }
    assert!(files_below(&dir.path().join("back")) == files_below(&dir.path().join("expected")));
    fails(&format!("snapshot export {remote}/two none {local}/none"), 5, "no such snapshot");
    done(&format!("snapshot clone {remote}/two joined-snap u"));
    done(&format!("verify {remote}/two/data/default/u"));

    // Tables: rows copied, cells imported, files loaded, in each direction.
    let families = || ["f", "g", "p", "q"].map(|family| Family::new(family).max_versions(u32::MAX));
    let shared = std::sync::Arc::new(hregion_remote::RemoteOptions::default().build().unwrap());
    let in_hdfs = |name: &str| {
        let options = Region::options().storage(shared.clone());
        let splits = ["c", "n", "row-0061"];
        Table::create_with(&remote, name, &families(), &splits, options).unwrap().close().unwrap();
        format!("{remote}/data/default/{name}")
    };
    let has_leftovers = |table: &str| {
        let entries = storage.list_dir(Path::new(table)).unwrap();
        entries.iter().any(|entry| entry.name.len() != 32 && entry.name != ".tabledesc")
    };
    let halves = testdata("region/split-references/root/data/default/halves");
    let halves = halves.to_str().unwrap();
    let copied = in_hdfs("copied");
    done(&format!("copy {halves} {copied}"));
    assert_eq!(done(&format!("diff {halves} {copied} --versions all")), "");
    let back = table_of(&dir.path().join("root"), &["p", "q"], &["row-0020"]);
    done(&format!("copy {copied} {}", back.display()));
    assert_eq!(done(&format!("diff {halves} {} --versions all", back.display())), "");
    let again = in_hdfs("again");
    done(&format!("copy {copied} {again}"));
    assert_eq!(done(&format!("diff {halves} {again} --versions all")), "");

    let files = bulk_load_files(dir.path());
    let all = "rows 300\ncells 300\n";
    let count = |table: &str| done(&format!("count --raw --versions all {table}"));
    let imported = in_hdfs("imported");
    done(&format!("import {imported} {local}/cells --sort-memory 4K"));
    assert_eq!(count(&imported), all);
    let loaded = in_hdfs("loaded");
    done(&format!("load {loaded} {}", files.display()));
    assert_eq!(count(&loaded), all);
    assert_eq!(done(&format!("diff {imported} {loaded} --versions all")), "");
    assert_eq!(fs::read_dir(files.join("f")).unwrap().count(), 2, "they stay");
    // Those in HDFS are moved, and those that are copied from there stay.
    let input = format!("{remote}/input");
    for family in ["f", "g"] {
        for file in fs::read_dir(files.join(family)).unwrap() {
            let file = file.unwrap();
            let to = Path::new(&input).join(family).join(file.file_name());
            storage.create_dir_all(to.parent().unwrap()).unwrap();
            let mut writer = storage.create_new(&to).unwrap();
            writer.write_all(&fs::read(file.path()).unwrap()).unwrap();
            writer.sync().unwrap();
        }
    }
    let back = table_of(&dir.path().join("root"), &["f", "g"], &["b"]);
    done(&format!("load {} {input}", back.display()));
    assert_eq!(count(back.to_str().unwrap()), all);
    let moved = in_hdfs("moved");
    done(&format!("load {moved} {input}"));
    assert_eq!(count(&moved), all);
    let left = |family: &str| storage.list_dir(&Path::new(&input).join(family)).unwrap().len();
    assert_eq!((left("f"), left("g")), (0, 0));
    assert_eq!(done(&format!("load {moved} {input}")), "loaded 0, split 0, passed over 0\n");

    // What fails leaves nothing, and what was left is removed.
    let failed = in_hdfs("failed");
    fails(&format!("import {failed} {}", plain()), 3, "");
    fails(&format!("load {failed} {local}/none"), 5, "");
    let (damaged, leftover) = (files.join("g"), Table::import_dir(&failed).join("f/left"));
    let damaged = fs::read_dir(damaged).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[60] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    fails(&format!("load {failed} {}", files.display()), 3, "");
    assert!(!has_leftovers(&failed));
    storage.create_dir_all(leftover.parent().unwrap()).unwrap();
    storage.create_new(&leftover).unwrap().sync().unwrap();
    assert_eq!(count(&failed), "rows 0\ncells 0\n");
    done(&format!("import {failed} {local}/cells"));
    assert_eq!(count(&failed), all);
    for table in [&copied, &again, &imported, &loaded, &moved, &failed] {
        assert!(!has_leftovers(table), "{table}");
        done(&format!("verify {table}"));
    }

    // The shell.
    let shell = |commands: &[&str]| {
        let mut args: Vec<String> = vec!["shell".into(), format!("{remote}/new")];
        commands.iter().for_each(|command| args.extend(["-e".to_owned(), (*command).to_owned()]));
        let output = run("", &args);
        assert_eq!(code(&output), 0, "{commands:?}: {}{}", stdout(&output), stderr(&output));
        stdout(&output)
    };
    shell(&["create 't', 'f', SPLITS => ['m']", "put 't', 'a', 'f:q', '1'", "put 't', 'x', 'f:q', '2'"]);
    let before = shell(&["scan 't'"]);
    assert!(before.contains("value=1") && before.contains("value=2"), "{before}");
    shell(&["snapshot 't', 's'", "put 't', 'a', 'f:q', '3'", "clone_snapshot 's', 'u'"]);
    assert_eq!(shell(&["scan 'u'"]), before);
    shell(&["disable 't'", "restore_snapshot 's'", "delete_snapshot 's'"]);
    assert_eq!(shell(&["scan 't'"]), before);
    shell(&["split 't', 'c'", "alter 't', NAME => 'g'", "compact 't'"]);
    shell(&["truncate 't'", "disable 'u'", "drop 'u'"]);
    assert!(!shell(&["list", "scan 't'"]).contains("value="));
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
    // missing, and damaged on the way
    let output = ask(&server, &format!("write s3://bucket/in/none {columns} --out {}", path("none")));
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    server.put("in/cut.tsv.gz", vec![0x1f, 0x8b, 8]);
    let output = ask(&server, &format!("write s3://bucket/in/cut.tsv.gz {columns} --out {}", path("cut")));
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    // shorter than the server has said
    server.behave(std::iter::repeat_n(Manner::Halves, 1000));
    let output = ask(&server, &format!("write s3://bucket/in/cells.tsv {columns} --out {}", path("cut")));
    assert_eq!(code(&output), 5, "{}", stderr(&output));
    assert!(!Path::new(&path("none")).exists() && !Path::new(&path("cut")).exists());
}
