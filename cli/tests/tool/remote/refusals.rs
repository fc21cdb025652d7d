//! Refused URLs, and the messages for them.

use super::run;
use crate::library::fake_s3::FakeS3;
use crate::support::{code, hregion, last_error, plain, stderr, stdout};

#[test]
fn commands_that_write_refuse_urls() {
    let (s3, web) = ("s3://bucket/t", "http://127.0.0.1:9/t");
    let (local, dir) = (plain(), tempfile::tempdir().unwrap());
    let table = dir.path().to_str().unwrap();
    for args in [
        vec!["report", table, "--out", s3],
        vec!["salvage", &local, "--out", s3],
        // unlike directories in buckets
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
        let is_refused = message.contains("can only be read") || message.contains("local files only");
        assert!(is_refused, "{args:?} {message}");
    }
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

/// The metadata services named by the environment are this server, which must receive no requests.
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
