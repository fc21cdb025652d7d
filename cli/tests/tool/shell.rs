//! `hregion shell`.

mod regions;
mod rows;
mod scans;
mod snapshots;
mod syntax;
mod tables;

use crate::support::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

/// Runs the shell with `commands` as standard input.
fn shell(dir: &Path, args: &[&str], commands: &str) -> Output {
    run_with_input(hregion().arg("shell").arg(dir).args(args), Stdio::piped(), commands.as_bytes())
}

fn done(dir: &Path, commands: &str) -> String {
    let output = shell(dir, &[], commands);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stdout(&output)
}

fn failed(dir: &Path, commands: &str) -> (i32, String) {
    let output = shell(dir, &[], commands);
    (code(&output), stderr(&output))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn a_table_is_made_written_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    assert_eq!(done(&root, "list"), "TABLE\n0 row(s)\n=> []\n");
    let made = done(
        &root,
        r#"
create 't1', {NAME => 'f', VERSIONS => 3}, 'g'  # two families
put 't1', 'r1', 'f:q', 'old', 1000
put 't1', 'r1', 'f:q', 'new', 2000
put 't1', 'r1', 'g:', "\x00\xff", 5
put('t1', 'r2', 'f:q', 42,
    7)
scan 't1'
get 't1', 'r1', {COLUMN => 'f:q', VERSIONS => 2}
get 't1', 'r3'
exists 't1'; exists 't2'
"#,
    );
    let expected = "\
Created table t1
=> Hbase::Table - t1
ROW                       COLUMN+CELL
 r1                       column=f:q, timestamp=2000, value=new
 r1                       column=g:, timestamp=5, value=\\x00\\xFF
 r2                       column=f:q, timestamp=7, value=42
2 row(s)
COLUMN                    CELL
 f:q                      timestamp=2000, value=new
 f:q                      timestamp=1000, value=old
1 row(s)
COLUMN                    CELL
0 row(s)
Table t1 does exist
=> true
Table t2 does not exist
=> false
";
    assert_eq!(made, expected);
    // everything was flushed at the end, and the families still have their initial settings
    let again = done(
        &root,
        "scan 't1', {COLUMNS => ['f:q'], STARTROW => 'r1', STOPROW => 'r2', VERSIONS => 9, \
                    TIMERANGE => [0, 2000]}
list
describe 't1'",
    );
    let expected = "\
ROW                       COLUMN+CELL
 r1                       column=f:q, timestamp=1000, value=old
1 row(s)
TABLE
t1
1 row(s)
=> [\"t1\"]
Table t1 is ENABLED
t1, {TABLE_ATTRIBUTES => {METADATA => {'hbase.store.file-tracker.impl' => 'DEFAULT'}}}
COLUMN FAMILIES DESCRIPTION
{NAME => 'f', INDEX_BLOCK_ENCODING => 'NONE', VERSIONS => '3', KEEP_DELETED_CELLS => 'FALSE', \
DATA_BLOCK_ENCODING => 'NONE', TTL => 'FOREVER', MIN_VERSIONS => '0', REPLICATION_SCOPE => '0', \
BLOOMFILTER => 'ROW', IN_MEMORY => 'false', COMPRESSION => 'NONE', BLOCKCACHE => 'true', \
BLOCKSIZE => '65536 B (64KB)', METADATA => {'NEW_VERSION_BEHAVIOR' => 'false'}}

{NAME => 'g', INDEX_BLOCK_ENCODING => 'NONE', VERSIONS => '1', KEEP_DELETED_CELLS => 'FALSE', \
DATA_BLOCK_ENCODING => 'NONE', TTL => 'FOREVER', MIN_VERSIONS => '0', REPLICATION_SCOPE => '0', \
BLOOMFILTER => 'ROW', IN_MEMORY => 'false', COMPRESSION => 'NONE', BLOCKCACHE => 'true', \
BLOCKSIZE => '65536 B (64KB)', METADATA => {'NEW_VERSION_BEHAVIOR' => 'false'}}

2 row(s)
";
    assert_eq!(again, expected);
    let table = root.join("data/default/t1").into_os_string().into_string().unwrap();
    assert_eq!(ok(&["count", &table]), "rows 2\ncells 3\n");
}
