//! Snapshots.

use super::{done, failed};

#[test]
fn a_snapshot_is_only_read() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'\nput 't', 'r', 'f:q', 'v', 1\nsnapshot 't', 's'");
    let snapshot = dir.path().join(".hbase-snapshot/s");
    let before = done(&snapshot, "scan 't'");
    assert!(before.ends_with("1 row(s)\n"), "{before}");
    for command in ["put 't', 's', 'f:q', 'w', 2", "deleteall 't', 'r'", "major_compact 't'"] {
        let (code, said) = failed(&snapshot, &format!("get 't', 'r'\n{command}"));
        assert!(code == 2 && said.contains("only be opened for reading"), "{command}: {code} {said}");
    }
    assert_eq!(done(&snapshot, "scan 't'"), before);
    assert_eq!(done(dir.path(), "scan 't'"), before);
}

#[test]
fn snapshots_are_taken_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let found = done(
        &root,
        r#"
create 't1', 'f'
put 't1', 'r1', 'f:q', 'old', 1000
snapshot 't1', 's1'
put 't1', 'r1', 'f:q', 'new', 2000
clone_snapshot 's1', 'c1'
get 'c1', 'r1'
get 't1', 'r1'
restore_snapshot 's1'
get 't1', 'r1'
put 't1', 'r2', 'f:q', 'x', 1000
delete_snapshot 's1'
list_snapshots
snapshot 't1', 's2'
"#,
    );
    let get = |value: &str| {
        format!("COLUMN                    CELL\n f:q                      {value}\n1 row(s)\n")
    };
    let (old, new) = (get("timestamp=1000, value=old"), get("timestamp=2000, value=new"));
    let head = "Created table t1\n=> Hbase::Table - t1\n";
    let none = "SNAPSHOT                  TABLE + CREATION TIME\n0 row(s)\n=> []\n";
    assert_eq!(found, format!("{head}{old}{new}{old}{none}"));
    let listed = done(&root, "list_snapshots");
    assert!(
        listed.contains(" s2                       t1 (") && listed.ends_with("1 row(s)\n=> [\"s2\"]\n"),
        "{listed}"
    );
    assert_eq!(
        done(&root, "count 't1'; count 'c1'").lines().filter(|line| line.contains("row(s)")).count(),
        2
    );
    let (exit, message) = failed(&root, "clone_snapshot 's2', 't1'");
    assert_eq!(exit, 5, "{message}");
    let table = root.join("data/default/t1");
    for command in ["snapshot 't1', 's3'", "list_snapshots", "restore_snapshot 's2'", "delete_snapshot 's2'"]
    {
        let (exit, message) = failed(&table, command);
        assert_eq!(exit, 2, "{message}");
    }
}
