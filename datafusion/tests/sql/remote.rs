//! Tables in a bucket.

use crate::fake_s3::FakeS3;
use crate::golden_tables::{golden_snapshots, golden_tables};
use crate::{root, rows, session};
use datafusion::arrow::util::pretty::pretty_format_batches;
use hregion_arrow::Layout;
use hregion_datafusion::{Target, TargetOptions};
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn storage(server: &FakeS3) -> RemoteStorage {
    let options = RemoteOptions::default()
        .setting("aws_endpoint", server.endpoint())
        .setting("aws_allow_http", "true")
        .setting("aws_disable_system_certificates", "true")
        .setting("aws_region", "us-east-1")
        .setting("aws_access_key_id", "key")
        .setting("aws_secret_access_key", "s3cret");
    options.backoff(Duration::from_millis(1), Duration::from_millis(5)).build().unwrap()
}

/// Uploads a root directory, and returns the URL of a directory in it.
fn upload(server: &FakeS3, root: &Path, dir: &Path) -> String {
    server.upload("root", root);
    format!("s3://bucket/root/{}", dir.strip_prefix(root).unwrap().to_str().unwrap())
}

fn root_of(dir: &Path) -> &Path {
    dir.ancestors().find(|dir| dir.ends_with("root")).unwrap()
}

async fn answer(target: &Target, layout: &Layout, sql: &str) -> String {
    let context = session(target.table(layout.clone()).unwrap().min_partition_bytes(1), 3, 100);
    pretty_format_batches(&rows(&context, sql).await.unwrap()).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_bucket_are_those_on_disk() {
    let halves = root().join("testdata/region/split-references/root/data/default/halves");
    assert!(golden_tables().iter().any(|table| table.ends_with("default/halves")));
    let snapshot = golden_snapshots().remove(0);
    for dir in [halves, snapshot] {
        let server = FakeS3::start();
        let url = upload(&server, root_of(&dir), &dir);
        let local = Target::open(dir.to_str().unwrap(), TargetOptions::default()).unwrap();
        let remote = Target::open(&url, TargetOptions::default().remote(storage(&server))).unwrap();
        let layout = Layout::Columns(local.infer(1000).unwrap());
        assert_eq!(Layout::Columns(remote.infer(1000).unwrap()), layout);
        for sql in ["SELECT * FROM t ORDER BY row", "SELECT count(*) FROM t"] {
            for layout in [&Layout::Cells, &layout] {
                let expected = answer(&local, layout, sql).await;
                assert!(expected.lines().count() > 4, "{expected}");
                assert_eq!(answer(&remote, layout, sql).await, expected, "{url}: {sql}");
            }
        }
        assert!(server.take_asked().0.len() > 4);
    }
}

#[test]
fn the_program_reads_urls() {
    let halves = root().join("testdata/region/split-references/root/data/default/halves");
    let server = FakeS3::start();
    let url = upload(&server, root_of(&halves), &halves);
    let run = |target: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hregion-sql"));
        command.env("AWS_ENDPOINT", server.endpoint()).env("AWS_ALLOW_HTTP", "true");
        command.env("AWS_REGION", "us-east-1").env("AWS_ACCESS_KEY_ID", "key");
        command.env("AWS_SECRET_ACCESS_KEY", "s3cret").args([
            "SELECT * FROM t ORDER BY row",
            "--csv",
            "--infer",
        ]);
        command.args(["--table", &format!("t={target}")]).output().unwrap()
    };
    let (remote, local) = (run(&url), run(halves.to_str().unwrap()));
    assert!(remote.status.success(), "{}", String::from_utf8_lossy(&remote.stderr));
    assert!(remote.stdout.len() > 1000);
    assert_eq!(remote.stdout, local.stdout);
    let absent = run("s3://bucket/root/data/default/absent");
    assert_eq!(absent.status.code(), Some(5), "{}", String::from_utf8_lossy(&absent.stderr));
}
