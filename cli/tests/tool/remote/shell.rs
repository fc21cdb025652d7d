//! The shell, on a root in a bucket.

use super::{put_root, run};
use crate::library::fake_s3::FakeS3;
use crate::support::{code, stderr, stdout};

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
    for command in ["create 'w', 'f'", "alter 't', 'h'"] {
        let output = shell(root, &[command]);
        let said = stderr(&output);
        assert_ne!(code(&output), 0, "{command}: {}", stdout(&output));
        assert!(said.contains("tracker"), "{command}: {said}");
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
    // A new shell does not list the dropped table, whatever remains of it.
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
