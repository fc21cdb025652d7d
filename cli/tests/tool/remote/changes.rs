//! Tables in a bucket are compacted, recovered, split and merged.

use super::{TABLE, ask, put_root, run, use_snapshots, without_sequence_ids};
use crate::library::fake_s3::FakeS3;
use crate::support::{code, last_error, ok, stderr, stdout};
use hregion::{Family, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

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
fn regions_of_a_bucket_are_recovered_and_untracked_files_are_refused() {
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
    for said in [&*regions[1], ""] {
        let recovered = ask(&server, "--json recover s3://bucket/root");
        assert_eq!(code(&recovered), 0, "{}", stderr(&recovered));
        let is_one = stdout(&recovered).lines().count() == usize::from(!said.is_empty());
        assert!(is_one && stdout(&recovered).contains(said), "{said}: {}", stdout(&recovered));
        assert_eq!(scan(), before);
    }
    let compacted = ask(&server, &format!("compact --major {TABLE}"));
    assert_eq!(code(&compacted), 0, "{}", stderr(&compacted));
    let expected = objects();
    let output = ask(&server, "--json snapshot restore s3://bucket/root s");
    assert_eq!(code(&output), 5, "{}{}", stdout(&output), stderr(&output));
    let message = last_error(&output)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("no such snapshot"), "{message}");
    assert!(objects() == expected);
    // no lock is left
    let compacted = ask(&server, &format!("compact --major {TABLE}"));
    assert_eq!(code(&compacted), 0, "{}", stderr(&compacted));
    assert_eq!(scan(), before);
    // files that are on no list
    let dir = tempfile::tempdir().unwrap();
    Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap().close().unwrap();
    server.upload("untracked", dir.path());
    let output = ask(&server, "--json compact s3://bucket/untracked/data/default/t");
    assert_eq!(code(&output), 4, "{}{}", stdout(&output), stderr(&output));
    assert!(stderr(&output).contains("tracker"), "{}", stderr(&output));
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
    // Only files in the archive remain of the replaced regions.
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
fn a_table_of_a_bucket_has_snapshots() {
    let server = FakeS3::start();
    put_root(&server);
    use_snapshots(&server.endpoint(), "s3://bucket");
}
