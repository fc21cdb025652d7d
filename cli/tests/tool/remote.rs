//! Targets given as URLs: helpers shared by the tests of reads, changes and copies.

mod changes;
mod copies;
mod reads;
mod real_servers;
mod refusals;
mod shell;

use crate::library::fake_s3::{FakeS3, Manner};
use crate::library::files::{relative_to, unlocked_contents};
use crate::library::golden;
use crate::library::trackers::with_list;
use crate::support::{code, hregion, last_error, ok, stderr, stdout, testdata};
use hregion::{Family, Put, Table};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The settings of a test's server, except its endpoint.
pub(crate) const SETTINGS: [(&str, &str); 5] = [
    ("aws_allow_http", "true"),
    // Parsing the certificates takes longer than most requests, and no server here uses one.
    ("aws_disable_system_certificates", "true"),
    ("aws_region", "us-east-1"),
    ("aws_access_key_id", "key"),
    ("aws_secret_access_key", "s3cret"),
];

const TABLE: &str = "s3://bucket/root/data/default/t";

pub(crate) fn command(endpoint: &str, args: &[String]) -> Command {
    let mut command = hregion();
    command.args(args).env("AWS_ENDPOINT", endpoint);
    command.envs(SETTINGS.map(|(name, value)| (name.to_uppercase(), value)));
    command
}

fn run(endpoint: &str, args: &[String]) -> Output {
    command(endpoint, args).output().unwrap()
}

/// Runs a command whose words contain no spaces.
pub(crate) fn ask(server: &FakeS3, line: &str) -> Output {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    run(&server.endpoint(), &words)
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

/// Returns the root directories written by HBase, by name.
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
    // The tool prints paths of snapshots without `..`.
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

/// Returns the reading commands for a root, with `ROOT` in place of its path.
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

/// Runs the same commands on a directory and on a URL. Returns the number of answers that are not errors.
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

/// Uploads a root to a bucket. Its table `t` has two regions of two files each, and rows that are only in its
/// logs. Returns the encoded names of the regions.
fn put_root(server: &FakeS3) -> Vec<String> {
    let (dir, regions) = local_root();
    server.upload("root", dir.path());
    server.keys().iter().filter(|key| key.ends_with('/')).for_each(|marker| server.remove(marker));
    regions
}

/// Creates that root in a local directory.
fn local_root() -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let family = with_list(Family::new("f"));
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

/// Takes, reads, clones, exports, deletes and restores snapshots of the table `root/data/default/t` in a
/// bucket, which has rows.
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
    // Within the bucket, from it, and back to it.
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
    let put = ["shell", &root, "-e", "put 't', 'later', 'f:q', 'later'"].map(str::to_owned);
    let output = run(endpoint, &put);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert_ne!(rows(&table), before);
    assert_eq!(done(&format!("snapshot restore {root} s2")), "");
    assert_eq!((rows(&table), rows(&format!("{root}/data/default/u"))), (before.clone(), before));
}

/// Creates a table whose families keep all versions, and returns its directory.
fn table_of(root: &Path, families: &[&str], splits: &[&str]) -> PathBuf {
    let _ = fs::remove_dir_all(root);
    let families: Vec<_> =
        families.iter().map(|name| Family::new((*name).to_owned()).max_versions(u32::MAX)).collect();
    Table::create(root, "t", &families, splits).unwrap().close().unwrap();
    root.join("data/default/t")
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

/// Returns lines of CSV without sequence ids, which a compaction drops.
fn without_sequence_ids(text: &str) -> String {
    let line = |line: &str| line.split(',').take(6).collect::<Vec<_>>().join(",");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the files below a directory, by path, without lock files.
fn files_below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    relative_to(dir, unlocked_contents(dir))
}

/// Runs a command with some of its requests refused, or with a connection that ends in the middle of an
/// answer, which is requested again: about a dozen of these cases, or one in `HREGION_EVERY`. `check` gets
/// the exit code, after which the command is repeated.
pub(crate) fn with_each_request(server: &FakeS3, line: &str, prepare: impl Fn(), check: impl Fn(i32, &str)) {
    prepare();
    server.take_asked();
    let output = ask(server, line);
    assert_eq!(code(&output), 0, "{line}: {}{}", stdout(&output), stderr(&output));
    let requests = server.take_asked().0.len();
    assert!(requests > 5, "{line}: {requests}");
    let cases = (0..requests).flat_map(|at| [Manner::Fails(403), Manner::Cuts].map(|manner| (at, manner)));
    // An odd number, so that both kinds occur.
    let every = std::env::var("HREGION_EVERY").map_or(3 + requests / 20 * 2, |every| every.parse().unwrap());
    for (at, manner) in cases.step_by(every) {
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
