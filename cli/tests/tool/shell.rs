//! `hregion shell`.

use crate::support::*;
use serde_json::json;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

/// Runs the shell with `commands` as standard input.
fn shell(dir: &Path, args: &[&str], commands: &str) -> Output {
    let mut child = hregion()
        .arg("shell")
        .arg(dir)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // the write fails if the shell ends early
    let _ = child.stdin.take().unwrap().write_all(commands.as_bytes());
    child.wait_with_output().unwrap()
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
    // everything was flushed at the end, and the families have the settings they were created with
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

#[test]
fn a_column_that_ends_with_a_colon_has_the_empty_qualifier() {
    let dir = tempfile::tempdir().unwrap();
    let printed = done(
        dir.path(),
        "create 't', {NAME => 'f', VERSIONS => 2}
put 't', 'r', 'f:', 'none', 1
put 't', 'r', 'f:q', 'other', 1
get 't', 'r', 'f:'
scan 't', {COLUMNS => ['f:']}
delete 't', 'r', 'f:', 1
get 't', 'r', 'f:'
get 't', 'r', 'f'
put 't', 'r', 'f:', 'again', 2
deleteall 't', 'r', 'f:'
get 't', 'r', {COLUMN => 'f'}",
    );
    let expected = "\
COLUMN                    CELL
 f:                       timestamp=1, value=none
1 row(s)
ROW                       COLUMN+CELL
 r                        column=f:, timestamp=1, value=none
1 row(s)
COLUMN                    CELL
0 row(s)
COLUMN                    CELL
 f:q                      timestamp=1, value=other
1 row(s)
COLUMN                    CELL
 f:q                      timestamp=1, value=other
1 row(s)
";
    assert_eq!(printed.split_once("t\n=> Hbase::Table - t\n").unwrap().1, expected);
}

#[test]
fn an_empty_column_deletes_a_row_up_to_a_timestamp() {
    let dir = tempfile::tempdir().unwrap();
    let printed = done(
        dir.path(),
        "create 't', {NAME => 'f', VERSIONS => 5}, {NAME => 'g', VERSIONS => 5}
put 't', 'r', 'f:q', 'old', 5
put 't', 'r', 'f:q', 'new', 9
put 't', 's', 'f:q', 'old', 5
deleteall 't', 'r', '', 6
deleteall 't', {ROWPREFIXFILTER => 's'}, '', 6
put 't', 'n', 'f:q', 'old', 5
put 't', 'n', 'g:q', 'old', 6
put 't', 'n', 'g:q', 'newer', 7
deleteall 't', 'n', nil, 6
scan 't', {VERSIONS => 0}
scan 't', {VERSIONS => 5}",
    );
    assert_eq!(printed.matches("2 row(s)").count(), 2, "{printed}");
    assert_eq!(printed.matches("timestamp=7, value=newer").count(), 2, "{printed}");
    assert!(printed.contains("timestamp=9, value=new") && !printed.contains("value=old"), "{printed}");
}

/// As in HBase's shell, the number after a scan is that of its results, and a limit is one of rows.
#[test]
fn batches_of_a_scan_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    done(
        dir.path(),
        "create 't', 'f'
put 't', 'a', 'f:1', 'v', 1
put 't', 'a', 'f:2', 'v', 1
put 't', 'a', 'f:3', 'v', 1
put 't', 'b', 'f:1', 'v', 1",
    );
    for (options, expected) in [
        ("BATCH => 1", "4 row(s)"),
        ("BATCH => 2", "3 row(s)"),
        ("BATCH => 3", "2 row(s)"),
        ("BATCH => 2, LIMIT => 1", "2 row(s)"),
        ("BATCH => 2, REVERSED => true, LIMIT => 1", "1 row(s)"),
        ("LIMIT => 1", "1 row(s)"),
    ] {
        let printed = done(dir.path(), &format!("scan 't', {{{options}}}"));
        assert_eq!(printed.lines().last(), Some(expected), "{options}: {printed}");
    }
    assert_eq!(done(dir.path(), "count 't', {BATCH => 1}"), "2 row(s)\n=> 2\n");
}

/// Files that a compaction has replaced, and a table that was deleted, when nothing can be archived.
#[test]
fn what_cannot_be_archived_is_an_error_until_it_is_repeated() {
    for repeated in ["drop 't'", "disable 't'; drop 't'"] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let archive = root.join("archive");
        for value in ["old", "new"] {
            let create = if value == "old" { "create 't', 'f'" } else { "" };
            done(&root, &format!("{create}\nput 't', 'r', 'f:q', '{value}'\nflush 't'"));
        }
        fs::write(&archive, "not a directory").unwrap();
        let (status, message) = failed(&root, "major_compact 't'");
        assert_eq!(status, 5, "{message}");
        let (status, message) = failed(&root, "disable 't'; drop 't'");
        assert_eq!(status, 5, "{message}");
        fs::remove_file(&archive).unwrap();
        done(&root, repeated);
        assert!(!root.join(".tmp/data/default/t").exists() && !root.join("data/default/t").exists());
        assert_eq!(failed(&root, "drop 't'").0, 1);
        assert_eq!(failed(&root, "disable 't'").0, 1);
        let checked = ok(&["check", root.to_str().unwrap()]);
        assert!(!checked.contains("leftover"), "{checked}");
    }
}

#[test]
fn deletes_counters_and_appends() {
    let dir = tempfile::tempdir().unwrap();
    let printed = done(
        dir.path(),
        "create 't', {NAME => 'f', VERSIONS => 5}
put 't', 'a', 'f:x', '1', 1
put 't', 'a', 'f:x', '2', 2
put 't', 'a', 'f:y', '1', 1
delete 't', 'a', 'f:x'
scan 't'
deleteall 't', 'a', 'f:x'
scan 't', {RAW => true, VERSIONS => 9, LIMIT => 1, COLUMNS => 'f', TIMERANGE => [0, 10]}
put 't', 'b1', 'f:x', 'v', 1
put 't', 'b2', 'f:x', 'v', 1
deleteall 't', {ROWPREFIXFILTER => 'b'}
count 't'
incr 't', 'c', 'f:n'
incr 't', 'c', 'f:n', 41
get_counter 't', 'c', 'f:n'
append 't', 'c', 'f:s', 'one'
append 't', 'c', 'f:s', ' two'
incr 't', 'c', 'f', 7
append 't', 'd', 'f', 'no qualifier'
append 't', 'd', 'f:', ', or an empty one'
get_counter 't', 'c', 'f'
deleteall 't', 'd'
count 't', INTERVAL => 1, FILTER => \"PrefixFilter('c')\"",
    );
    let expected = "\
Created table t
=> Hbase::Table - t
ROW                       COLUMN+CELL
 a                        column=f:x, timestamp=1, value=1
 a                        column=f:y, timestamp=1, value=1
1 row(s)
ROW                       COLUMN+CELL
 a                        column=f:x, timestamp=2, type=Delete
 a                        column=f:x, timestamp=2, value=2
 a                        column=f:x, timestamp=1, value=1
 a                        column=f:y, timestamp=1, value=1
1 row(s)
1 row(s)
=> 1
COUNTER VALUE = 1
COUNTER VALUE = 42
COUNTER VALUE = 42
CURRENT VALUE = one
CURRENT VALUE = one two
COUNTER VALUE = 7
CURRENT VALUE = no qualifier
CURRENT VALUE = no qualifier, or an empty one
COUNTER VALUE = 7
Current count: 1, row: c
1 row(s)
=> 1
";
    assert_eq!(printed, expected);
}

/// Between the renames of a truncation there is no table, and no other command brings it back.
#[test]
fn a_truncation_that_was_interrupted_is_completed_when_it_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (root, other) = (dir.path().join("root"), dir.path().join("other"));
    done(&root, "create 't', 'f'\nput 't', 'a', 'f:q', 'v', 1");
    done(&other, "create 't', 'f'");
    let aside = root.join(".tmp/data/default");
    fs::create_dir_all(&aside).unwrap();
    fs::rename(root.join("data/default/t"), aside.join("t")).unwrap();
    fs::rename(other.join("data/default/t"), aside.join(".t.new")).unwrap();
    assert_eq!(done(&root, "exists 't'").lines().next(), Some("Table t does not exist"));
    for command in ["truncate 't'", "truncate 't'"] {
        let printed = done(&root, command);
        assert!(printed.starts_with("Truncating 't' table"), "{printed}");
        assert!(done(&root, "scan 't'").ends_with("0 row(s)\n"));
    }
    assert!(!aside.join("t").exists() && !aside.join(".t.new").exists());
    let (code, error) = failed(&other, "truncate 't'");
    assert!(code == 1 && error.starts_with("error: there is no table t"), "{code}: {error}");
}

#[test]
fn tables_are_altered_truncated_and_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let printed = done(
        dir.path(),
        "create 't', {NAME => 'f', BLOCKSIZE => 4096}, 'g', SPLITS => ['m']
put 't', 'a', 'f:q', 'v', 1
alter 't', NAME => 'f', VERSIONS => 5
alter 't', {NAME => 'h', BLOOMFILTER => 'NONE'}, {'delete' => 'g'}
alter 't', DURABILITY => 'SYNC_WAL'
put 't', 'z', 'h:q', 'v', 1
describe 't'
scan 't'
get_splits 't'
truncate_preserve 't'
get_splits 't'
disable 't'; truncate 't'
scan 't'
get_splits 't'
is_enabled 't'
disable 't'
is_disabled 't'; is_enabled 't'
enable 't'
put 't', 'b', 'f:q', 'v', 1
status
disable 't'; drop 't'
exists 't'
create 't', 'f'
scan 't'",
    );
    let families = "{NAME => 'f', INDEX_BLOCK_ENCODING => 'NONE', VERSIONS => '5', \
        KEEP_DELETED_CELLS => 'FALSE', DATA_BLOCK_ENCODING => 'NONE', TTL => 'FOREVER', MIN_VERSIONS => '0', \
        REPLICATION_SCOPE => '0', BLOOMFILTER => 'ROW', IN_MEMORY => 'false', COMPRESSION => 'NONE', \
        BLOCKCACHE => 'true', BLOCKSIZE => '4096 B (4KB)', ";
    let altered = "Updating all regions with the new schema...\n2/2 regions updated.\nDone.\n";
    assert_eq!(printed.matches(altered).count(), 3, "{printed}");
    assert!(printed.contains("\nt, {TABLE_ATTRIBUTES => {DURABILITY => 'SYNC_WAL', METADATA"), "{printed}");
    assert!(printed.contains(families) && !printed.contains("NAME => 'g'"), "{printed}");
    let after = printed.split("2 row(s)\n").last().unwrap();
    let expected = "\
Total number of splits = 2
=> [\"m\"]
Truncating 't' table (it may take a while):
Disabling table...
Truncating table...
Total number of splits = 2
=> [\"m\"]
Truncating 't' table (it may take a while):
Truncating table...
ROW                       COLUMN+CELL
0 row(s)
Total number of splits = 1
=> []
true
=> true
true
=> true
false
=> false
0 servers (local files), 1 tables, 1 regions open, 1 of them for writing
Table t does not exist
=> false
Created table t
=> Hbase::Table - t
ROW                       COLUMN+CELL
0 row(s)
";
    assert_eq!(after, expected);
    let json =
        shell(dir.path(), &["--json"], "is_disabled 't'; status; locate_region 't', 'row'; describe 't'");
    let lines = json_lines(&stdout(&json));
    assert_eq!(lines[0], json!({"disabled": false}));
    assert_eq!(lines[1], json!({"servers": 0, "tables": 1, "open": 0, "writable": 0}));
    assert_eq!((&lines[2]["start"], &lines[2]["end"]), (&json!(""), &json!("")));
    let archived = dir.path().join("archive/data/default/t");
    assert!(files(&archived).iter().filter(|path| path.is_file()).count() >= 2);
    // a single table cannot be changed as a whole
    let table = dir.path().join("data/default/t");
    let (code, said) = failed(&table, "disable 't'; drop 't'");
    assert!(code == 2 && said.contains("drop: needs a root directory"), "{said}");
}

/// Attributes that mean something to HBase only.
#[test]
fn attributes_for_hbase_are_kept_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let described = |commands: &str| done(dir.path(), &format!("{commands}; describe 't'"));
    let create = "create 't', {NAME => 'f', IN_MEMORY => true, BLOCKCACHE => 'false', \
                  REPLICATION_SCOPE => 1, \
                  CACHE_DATA_ON_WRITE => true, STORAGE_POLICY => 'one_ssd', METADATA => {'mine' => 1}}, 'g', \
                  METADATA => {'ours' => 'x'}, CONFIGURATION => {'a.b' => 20}";
    let found = described(create);
    for part in [
        "t, {TABLE_ATTRIBUTES => {METADATA => {'a.b' => '20', 'hbase.store.file-tracker.impl' => 'DEFAULT', \
         'ours' => 'x'}}}\n",
        "REPLICATION_SCOPE => '1', BLOOMFILTER => 'ROW', IN_MEMORY => 'true', COMPRESSION => 'NONE', \
         BLOCKCACHE => 'false', BLOCKSIZE => '65536 B (64KB)', METADATA => {'CACHE_DATA_ON_WRITE' => 'true', \
         'NEW_VERSION_BEHAVIOR' => 'false', 'STORAGE_POLICY' => 'ONE_SSD', 'mine' => '1'}}",
    ] {
        assert!(found.contains(part), "{found}");
    }
    let found = described(
        "alter 't', NAME => 'f', VERSIONS => 7
alter 't', {NAME => 'f', IN_MEMORY => false, COMPRESSION_COMPACT => 'gz', METADATA => {'mine' => nil}}
alter 't', METHOD => 'table_conf_unset', NAME => 'a.b'
alter 't', METHOD => 'table_att_unset', NAME => ['ours']",
    );
    assert!(found.contains("t, {TABLE_ATTRIBUTES => {METADATA => {'hbase.store.file-"), "{found}");
    let kept = ["VERSIONS => '7'", "REPLICATION_SCOPE => '1'", "BLOCKCACHE => 'false'"];
    assert!(kept.iter().all(|part| found.contains(part)), "{found}");
    assert!(!found.contains("mine") && !found.contains("ours") && !found.contains("a.b"), "{found}");
    assert!(found.contains("'COMPRESSION_COMPACT' => 'GZ'"), "{found}");
    assert!(!found.contains("IN_MEMORY => 'true'"), "{found}");
    let json = json_lines(&stdout(&shell(dir.path(), &["--json"], "describe 't'")));
    assert_eq!(json[0]["attributes"], json!({"hbase.store.file-tracker.impl": "DEFAULT"}));
    for (command, code_of, expected) in [
        ("alter 't', NAME => 'f', IN_MEMORY => 'maybe'", 2, "expected true or false"),
        ("alter 't', NAME => 'f', REPLICATION_SCOPE => 'x'", 2, "expected a number"),
        ("alter 't', NAME => 'f', IN_MEMORY_COMPACTION => 'x'", 2, "expected one of NONE, BASIC"),
        ("alter 't', NAME => 'f', METADATA => {'VERSIONS' => 3}", 2, "VERSIONS is an attribute of a Family"),
        ("alter 't', NAME => 'f', IS_MOB => true", 4, "IS_MOB of family f is not supported"),
        ("create 'u', {NAME => 'f', IS_MOB => true}", 4, "IS_MOB of family f is not supported"),
    ] {
        let (code, said) = failed(dir.path(), command);
        assert!(said.contains(expected), "{command}: {said}");
        assert_eq!(code, code_of, "{command}");
    }
}

/// The regions of a new table: in a file, or by HBase's algorithms.
#[test]
fn tables_are_created_with_regions() {
    let dir = tempfile::tempdir().unwrap();
    let file = temp_file("splits.txt", b"m\n\n\\x00\\xFF\nd\n");
    let printed = done(
        dir.path(),
        &format!(
            "create 'a', 'f', SPLITS_FILE => '{file}'
get_splits 'a'
create 'b', 'f', {{NUMREGIONS => 4, SPLITALGO => 'HexStringSplit'}}
get_splits 'b'
create 'c', {{NAME => 'f', VERSIONS => 2}}, NUMREGIONS => 2, SPLITALGO => 'UniformSplit'
get_splits 'c'"
        ),
    );
    let lists: Vec<&str> = printed.lines().filter(|line| line.starts_with("=> [")).collect();
    let expected = [
        "=> [\"\\x00\\xFF\", \"d\", \"m\"]",
        "=> [\"40000000\", \"80000000\", \"c0000000\"]",
        "=> [\"\\x80\\x00\\x00\\x00\\x00\\x00\\x00\\x00\"]",
    ];
    assert_eq!(lists, expected, "{printed}");
    for (options, expected) in [
        ("NUMREGIONS => 4", "both NUMREGIONS and SPLITALGO"),
        ("SPLITALGO => 'HexStringSplit'", "both NUMREGIONS and SPLITALGO"),
        ("NUMREGIONS => 1, SPLITALGO => 'HexStringSplit'", "from 2 to"),
        ("NUMREGIONS => 3, SPLITALGO => 'Other'", "expected HexStringSplit"),
        ("SPLITS_FILE => '/missing/file'", "/missing/file"),
        // the commands are read from there
        ("SPLITS_FILE => '-'", "not standard input"),
    ] {
        let (code, said) = failed(dir.path(), &format!("create 'd', 'f', {options}"));
        assert!([2, 5].contains(&code) && said.contains(expected), "{options}: {code} {said}");
        assert!(done(dir.path(), "exists 'd'").contains("=> false"));
    }
}

/// HBase decodes `\xHH` in split keys and in the row of `locate_region`, but not in that of `split`.
#[test]
fn split_keys_may_be_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let printed = done(
        dir.path(),
        r#"create 't', 'f', SPLITS => ['\x80', "\xc3\x00", 'm\xzz']
get_splits 't'
create 'u', 'f'; put 'u', 'a', 'f:q', 'v'
split 'u', '\x80'
get_splits 'u'"#,
    );
    let lists: Vec<&str> = printed.lines().filter(|line| line.starts_with("=> [")).collect();
    assert_eq!(lists, [r#"=> ["m\x5Cxzz", "\x80", "\xC3\x00"]"#, r#"=> ["\x5Cx80"]"#], "{printed}");
    for (row, start) in [(r"'\x80a'", r"\x80"), ("\"\\xff\"", r"\xC3\x00"), ("'a'", "")] {
        let found = shell(dir.path(), &["--json"], &format!("locate_region 't', {row}"));
        assert_eq!(json_lines(&stdout(&found))[0]["start"], json!(start), "{row}");
    }
    for splits in [r#"SPLITS => ['a', '\x80', "\x80"]"#, "SPLITS => ['b', 'b']"] {
        let (code, said) = failed(dir.path(), &format!("create 'v', 'f', {splits}"));
        assert!(code == 2 && said.contains("is given twice"), "{splits}: {code} {said}");
        assert!(done(dir.path(), "exists 'v'").contains("=> false"));
    }
}

/// A filter starts again in each region, unless it accepts nothing in one.
#[test]
fn filters_end_scans_of_several_regions() {
    let dir = tempfile::tempdir().unwrap();
    let puts = ["a", "b", "c", "d", "f", "g"].map(|row| format!("put 't', '{row}', 'f:q', 'v', 1\n"));
    done(dir.path(), &format!("create 't', 'f', SPLITS => ['c', 'f']\n{}", puts.concat()));
    for (filter, expected) in [
        ("PageFilter(1)", ["a", "c", "f"].as_slice()),
        ("WHILE RowFilter(!=, 'binary:d')", &["a", "b", "c", "f", "g"]),
        ("WHILE RowFilter(!=, 'binary:c')", &["a", "b"]),
    ] {
        let printed = done(dir.path(), &format!("scan 't', FILTER => \"{filter}\""));
        let found = ["a", "b", "c", "d", "f", "g"].into_iter();
        let found: Vec<&str> =
            found.filter(|row| printed.lines().any(|line| line.starts_with(&format!(" {row} ")))).collect();
        assert_eq!(found, expected, "{filter}: {printed}");
    }
}

#[test]
fn tables_of_several_regions_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let printed = done(
        dir.path(),
        "create 'ns:t', 'f', SPLITS => ['m', 'f']
put 'ns:t', 'z', 'f:q', '3', 1
put 'ns:t', 'f', 'f:q', '2', 1
put 'ns:t', 'a', 'f:q', '1', 1
scan 'ns:t', LIMIT => 2
scan 'ns:t', {REVERSED => true, STOPROW => 'a'}
get_splits 'ns:t'
flush 'ns:t'
put 'ns:t', 'z', 'f:q', '4', 2
major_compact 'ns:t'
get 'ns:t', 'z', 'f'
list 'ns.*'",
    );
    let expected = "\
Created table ns:t
=> Hbase::Table - ns:t
ROW                       COLUMN+CELL
 a                        column=f:q, timestamp=1, value=1
 f                        column=f:q, timestamp=1, value=2
2 row(s)
ROW                       COLUMN+CELL
 z                        column=f:q, timestamp=1, value=3
 f                        column=f:q, timestamp=1, value=2
2 row(s)
Total number of splits = 3
=> [\"f\", \"m\"]
COLUMN                    CELL
 f:q                      timestamp=2, value=4
1 row(s)
TABLE
ns:t
1 row(s)
=> [\"ns:t\"]
";
    assert_eq!(printed, expected);
    let regions = shell(
        dir.path(),
        &["--json"],
        "list_regions 'ns:t'\nscan 'ns:t', ROWPREFIXFILTER => 'z'\nlist\ncount 'ns:t'",
    );
    let lines = json_lines(&stdout(&regions));
    assert_eq!((&lines[0]["end"], &lines[2]["start"]), (&json!("f"), &json!("m")));
    assert_eq!((&lines[3]["row"], &lines[3]["value"]), (&json!("z"), &json!("4")));
    assert_eq!(lines[4..], [json!({"table": "ns:t"}), json!({"rows": 3})]);
}

/// Reading a region that HBase wrote changes nothing in its directory.
#[test]
fn regions_of_hbase_are_read() {
    let root = testdata("region/split-references/root");
    let before = files(&root);
    let printed = done(&root, "list\nscan 'halves', {LIMIT => 1, MAXLENGTH => 3}\ncount 'halves', 100000");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[..4], ["TABLE", "halves", "1 row(s)", "=> [\"halves\"]"]);
    assert!(lines.iter().any(|line| line.starts_with(" row-00")), "{printed}");
    let table = root.join("data/default/halves");
    let counted = json_lines(&ok(&["count", "--json", table.to_str().unwrap()]));
    assert_eq!(lines[lines.len() - 1], format!("=> {}", counted[0]["rows"]));
    assert_eq!(done(&table, "count 'halves', 100000"), lines[lines.len() - 2..].join("\n") + "\n");
    assert_eq!(files(&root), before);
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
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
fn errors_have_a_position_and_end_the_shell() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'");
    for (commands, exit, message) in [
        ("scan 't', {LIMIT 3}", 2, "line 1, column 18: expected =>, found 3"),
        ("list\n\nscan 't', {LIMITS => 3}", 2, "line 3, column 12: the option LIMITS is not supported here"),
        ("scan 't', {FILTER => \"NoSuch()\"}", 2, "line 1, column 22: FILTER: "),
        ("get 't', 'r', VERSIONS => 0", 2, "line 1, column 27: VERSIONS must be positive"),
        ("put 't', 'r'", 2, "line 1, column 1: put: expected a column; `help 'put'` says more"),
        (
            "get 't', 'r', 'f:q:toDate'",
            2,
            "line 1, column 15: the converter toDate is not supported; there are",
        ),
        ("scan 't', FORMATTER => 'x'", 2, "line 1, column 24: the converter x is not supported"),
        ("scan 't', FORMATTER_CLASS => 'a.B'", 2, "column 30: converters of the class a.B are not supported"),
        ("scan 't', COLUMNS => 'f:q:c(a.B).c'", 2, "column 22: converters of the class a.B are not"),
        ("scan 't', {", 2, "line 1, column 12: expected a value, found the end"),
        ("balancer", 2, "balancer is not done on local files: it is for a running HBase"),
        ("drop 't'", 2, "Table t is enabled. Disable it first."),
        ("drop 'nowhere'", 1, "there is no table nowhere"),
        ("disable 't'; scan 't'", 1, "Table t is disabled."),
        ("alter 't', 'delete' => 'f'", 2, "a table needs at least one family"),
        ("alter 't', 'delete' => 'g'", 2, "there is no family g"),
        ("alter 't', NONSENSE => 1", 2, "line 1, column 12: the option NONSENSE is not supported here"),
        ("alter 't', DURABILITY => 'NEVER'", 2, "DURABILITY NEVER is not known"),
        ("alter 't', {METHOD => 'x', NAME => 'f'}", 2, "line 1, column 23: expected METHOD"),
        ("truncate 'nowhere'", 1, "there is no table nowhere"),
        ("locate_region 't'", 2, "expected a row"),
        ("nonsense", 2, "there is no command nonsense; `help` lists them"),
        ("create 't', 'f'", 2, "table already exists: t"),
        ("create 'u', {NAME => 'f', COMPRESSION => 'ARC'}", 2, "column 42"),
        ("scan 'nowhere'", 1, "there is no table nowhere"),
        ("put 't', 'r', 'g:q', 'v'", 2, "no family g"),
        ("incr 't', 'r', 'f:q', 'x'", 2, "line 1, column 23: expected an amount, found a string"),
        ("x = 5 6", 2, "line 1, column 7: expected the end of the command, found 6"),
        ("x = 5\nscan x", 1, "there is no table 5"),
        ("scan x", 2, "line 1, column 6: there is no variable x; strings are in quotes"),
        ("t = get_table 'nowhere'", 1, "there is no table nowhere"),
        ("t = get_table 't'\nscan t", 2, "line 2, column 6: expected the name of a table, found a table"),
        ("t = get_table 't'; t.list", 2, "line 1, column 22: a table has no method list; `help 'get_table'`"),
        ("x = count 't'", 2, "line 1, column 5: count: only get_table, create and values can be assigned"),
    ] {
        let (code, said) = failed(dir.path(), commands);
        assert!(said.contains(message), "{commands}: {said}");
        assert_eq!(code, exit, "{commands}");
    }
    // commands before the error keep their effect
    let (code, _) =
        failed(dir.path(), "put 't', 'r', 'f:q', 'kept', 1\nnonsense\nput 't', 's', 'f:q', 'never', 1");
    assert_eq!(code, 2);
    assert_eq!(
        done(dir.path(), "scan 't'"),
        "ROW                       COLUMN+CELL\n\
         \x20r                        column=f:q, timestamp=1, value=kept\n\
         1 row(s)\n"
    );
}

#[cfg(feature = "crypto")]
#[test]
fn an_encrypted_table_is_written_with_the_key_alone() {
    let dir = tempfile::tempdir().unwrap();
    let key = temp_file("shell.key", b"000102030405060708090a0b0c0d0e0f");
    let root = dir.path().join("root");
    let with_key = ["--master-key-file", &key];
    let marker = "pack my box with five dozen jugs";
    let shows = |path: &std::path::PathBuf| {
        path.is_file() && fs::read(path).unwrap().windows(marker.len()).any(|w| w == marker.as_bytes())
    };
    let create = "create 't', {NAME => 'f', ENCRYPTION => 'AES'}; describe 't'";
    let output = shell(&root, &with_key, &format!("{create}; put 't', 'r', 'f:q', '{marker}'"));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(
        stdout(&output).contains("{NAME => 'f', ENCRYPTION => 'AES', INDEX_BLOCK_ENCODING"),
        "{}",
        stdout(&output)
    );
    assert!(!files(&root).iter().any(shows));
    let output = shell(&root, &with_key, "scan 't'");
    assert!(stdout(&output).contains(marker), "{}", stderr(&output));

    let (exit, said) = failed(&root, "scan 't'");
    assert!(exit == 4 && said.contains("--master-key-file gives it"), "{said}");
    let root = dir.path().join("other");
    let (exit, said) = failed(&root, &format!("{create}; put 't', 'r', 'f:q', '{marker}'; flush 't'"));
    assert!(exit == 4 && said.contains("cannot be written in the clear"), "{said}");
    assert!(said.contains("--master-key-file gives it") && !files(&root).iter().any(shows), "{said}");
    let (exit, said) = failed(&root, "create 'u', {NAME => 'f', ENCRYPTION => 'DES'}");
    assert!(exit == 2 && said.contains("expected AES"), "{said}");
}

#[test]
fn commands_of_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let printed = ok(&[
        "shell",
        path,
        "-e",
        "create 't', 'f'",
        "-e",
        "put 't', 'r', 'f:q', 'v', 1; get 't', 'r'; exit",
        "-e",
        "nonsense",
    ]);
    assert!(printed.ends_with(" f:q                      timestamp=1, value=v\n1 row(s)\n"), "{printed}");
    let help = ok(&["shell", path, "-e", "help", "-e", "help 'scan'"]);
    assert!(help.contains("  put 't', 'row', 'f:q', 'value'\n") && help.contains("write-ahead log"));
    assert!(help.contains("scan: reads rows. COLUMNS,"));
    let of = |command: &str| json_lines(&ok(&["shell", "--json", path, "-e", command]));
    let texts = [of("help"), of("help 'scan'"), of("table_help"), of("version")].concat();
    let names: Vec<&str> = texts.iter().flat_map(members).collect();
    assert_eq!(names, ["help", "help", "help", "version"]);
    let printed = [&texts[0]["help"], &texts[1]["help"]].map(|text| text.as_str().unwrap()).concat();
    assert_eq!(printed, help);
    let nothing = run(&["shell", &plain()]);
    assert_ne!(code(&nothing), 0);
    let other = run(&["shell", testdata("corrupt").to_str().unwrap(), "-n"]);
    assert_eq!(code(&other), 4, "{}", stderr(&other));
}

#[test]
fn tables_and_values_are_assigned() {
    let dir = tempfile::tempdir().unwrap();
    let printed = done(
        dir.path(),
        r#"
t = create 't', {NAME => 'f', VERSIONS => 3}
row = "r\x001"
column = 'f:q'
first = 2
t.put row, column, 'v', 1
t.put(row, column, 'w', first)
u = get_table 't'
u.get row, column
options = {LIMIT => 1, VERSIONS => first}
u.scan options
u.count
t.incr 'n', 'f:n', 40; t.incr 'n', 'f:n'; t.get_counter 'n', 'f:n'
t.append 'n', 'f:s', 'x'
t.delete row, column
t.deleteall 'n', 'f:n', 9000000000000; t.deleteall 'n', 'f:s', 9000000000000
t.scan
t.flush; t.major_compact
t.get_splits
t.disable; t.is_disabled; t.enable; t.truncate; t.count; t.disable; t.drop
row; first; t; options
list
"#,
    );
    let expected = "\
Created table t
=> Hbase::Table - t
=> \"r\\x001\"
=> \"f:q\"
=> 2
=> Hbase::Table - t
COLUMN                    CELL
 f:q                      timestamp=2, value=w
1 row(s)
=> {LIMIT => 1, VERSIONS => 2}
ROW                       COLUMN+CELL
 r\\x001                   column=f:q, timestamp=2, value=w
 r\\x001                   column=f:q, timestamp=1, value=v
1 row(s)
1 row(s)
=> 1
COUNTER VALUE = 40
COUNTER VALUE = 41
COUNTER VALUE = 41
CURRENT VALUE = x
ROW                       COLUMN+CELL
 r\\x001                   column=f:q, timestamp=1, value=v
1 row(s)
Total number of splits = 1
=> []
true
=> true
Truncating 't' table (it may take a while):
Disabling table...
Truncating table...
0 row(s)
=> 0
=> \"r\\x001\"
=> 2
=> Hbase::Table - t
=> {LIMIT => 1, VERSIONS => 2}
TABLE
0 row(s)
=> []
";
    assert_eq!(printed, expected);
    let help = done(dir.path(), "t = create 't', 'f'\nt.help\ntable_help\nt.help 'scan'");
    assert_eq!(help.matches("get_table: makes a table an object").count(), 2, "{help}");
    assert!(help.contains("scan: reads rows"), "{help}");
    let json = shell(dir.path(), &["--json"], "x = ['a', 5]\nt = get_table 't'\nt.count\nx");
    let value = json!({"value": "[\"a\", 5]"});
    assert_eq!(json_lines(&stdout(&json)), [value.clone(), json!({"rows": 0}), value]);
}

#[test]
fn values_are_converted_as_by_hbase() {
    let dir = tempfile::tempdir().unwrap();
    let printed = done(
        dir.path(),
        r#"
create 't', 'family08'
put 't', "\x00\x00\x00\x00\x00\x00\x00\x01", "family08:12345678", "\x00\x00\x00\x00\x00\x00\x01\x00", 1
put 't', 'r', 'family08:a:b', "\xff\xff\xff\xff", 1
put 't', 'r', 'family08:s', "\u00e4\n", 1
put 't', 'r', 'family08:t', "\x01", 1
incr 't', 'z', 'family08:n', 5
scan 't', COLUMNS => ['family08:12345678:toLong', 'family08:a:b:c(org.apache.hadoop.hbase.util.Bytes).toInt']
get 't', 'r', 'family08:a:b:toInt', 'family08:s:toString', 'family08:t:toBoolean'
get 't', 'r', {COLUMNS => 'family08:s:toString', MAXLENGTH => 20}
get 't', 'r', {COLUMN => 'family08:s', MAXLENGTH => 11}
scan 't', {COLUMN => 'family08:s', MAXLENGTH => 0}
scan 't', {LIMIT => 1, FORMATTER => 'toLong', FORMATTER_CLASS => 'org.apache.hadoop.hbase.util.Bytes'}
get 't', 'r', {COLUMN => ['family08:s', 'family08:t:toStringBinary'], FORMATTER => 'toString'}
count 't', COLUMNS => 'family08:n:toLong'
"#,
    );
    let expected = "\
COUNTER VALUE = 5
ROW                       COLUMN+CELL
 \\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01 column=family08:12345678, timestamp=1, value=256
 r                        column=family08:a:b, timestamp=1, value=-1
2 row(s)
COLUMN                    CELL
 family08:a:b             timestamp=1, value=-1
 family08:s               timestamp=1, value=\u{e4}\\x0A
 family08:t               timestamp=1, value=true
1 row(s)
COLUMN                    CELL
 family08:s               timestamp=1, value=\u{e4}
1 row(s)
COLUMN                    CELL
 family08:s               timestamp=1
1 row(s)
ROW                       COLUMN+CELL
 r                        column=family08:s,\u{20}
1 row(s)
ROW                       COLUMN+CELL
 1                        column=7377297964168458296:3544952156018063160, timestamp=1, value=256
1 row(s)
COLUMN                    CELL
 family08:s               timestamp=1, value=\u{e4}\\x0A
 family08:t               timestamp=1, value=\\x01
1 row(s)
1 row(s)
=> 1
";
    assert_eq!(printed.split_once("t\n=> Hbase::Table - t\n").unwrap().1, expected);
    for (command, message) in [
        (
            "scan 't', COLUMNS => ['family08:a:b:toLong']",
            "toLong: row r, column family08:a:b: expected a value of 8 bytes, found 4",
        ),
        (
            "get 't', 'r', 'family08:t:toShort'",
            "toShort: row r, column family08:t: expected a value of 2 bytes, found 1",
        ),
        (
            "get 't', 'r', {FORMATTER => 'toLong', COLUMN => 'family08:t'}",
            "toLong: row r, column family08:t: expected a qualifier of 8 bytes, found 1",
        ),
        ("scan 't', {FORMATTER => 'toInt'}", "expected a row of 4 bytes, found 8"),
    ] {
        let (code, said) = failed(dir.path(), command);
        assert!(code == 2 && said.contains(message), "{command}: {said}");
    }
    let output = shell(
        dir.path(),
        &["--json"],
        "get 't', 'r', 'family08:a:b:toInt', 'family08:t:toBoolean'
scan 't', {FORMATTER => 'toString', STARTROW => 'z'}",
    );
    let lines = json_lines(&stdout(&output));
    assert_eq!((&lines[0]["value"], &lines[1]["value"]), (&json!(-1), &json!(true)));
    assert_eq!((&lines[2]["row"], &lines[2]["value"]), (&json!("z"), &json!("\0\0\0\0\0\0\0\u{5}")));
    assert_eq!(lines[2]["qualifier"], json!("n"));
}

/// A table that is open for writing is locked for other writers, but not for readers.
#[test]
fn writers_are_alone() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'");
    let mut first =
        hregion().arg("shell").arg(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = first.stdin.take().unwrap();
    writeln!(input, "put 't', 'r', 'f:q', 'v', 1\nget 't', 'r'").unwrap();
    // an answer means that the first shell has the lock
    let mut answer = [0; 8];
    std::io::Read::read_exact(first.stdout.as_mut().unwrap(), &mut answer).unwrap();
    let (code, said) = failed(dir.path(), "put 't', 's', 'f:q', 'v', 1");
    assert!(code == 5 && said.contains("region is open for writing elsewhere"), "{code} {said}");
    // it is in the log of the first shell
    assert!(done(dir.path(), "scan 't'").ends_with("1 row(s)\n"));
    drop(input);
    assert!(first.wait_with_output().unwrap().status.success());
    assert!(done(dir.path(), "scan 't'").ends_with("1 row(s)\n"));
}

/// Regions that a shell has read may have been replaced by another process before it writes.
#[test]
fn writes_go_to_the_regions_that_serve() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'\nput 't', 'a', 'f:q', 'v', 1\nput 't', 'z', 'f:q', 'v', 1");
    let mut shell =
        hregion().arg("shell").arg(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    writeln!(input, "get 't', 'a'").unwrap();
    // an answer means that the shell has opened the regions
    let mut answer = [0; 8];
    std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut answer).unwrap();
    ok(&["split", dir.path().to_str().unwrap(), "t", "m"]);
    writeln!(input, "put 't', 'b', 'f:q', 'v', 1\nput 't', 'y', 'f:q', 'v', 1").unwrap();
    drop(input);
    assert!(shell.wait_with_output().unwrap().status.success());
    let found = done(dir.path(), "scan 't'");
    assert!(found.ends_with("4 row(s)\n"), "{found}");
}

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

/// `list` shows HBase's own tables if they are asked for; all but those that a master makes can be changed.
#[test]
fn tables_of_hbase_are_changed_like_others() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    done(&root, "create 't', 'f'; create 'hbase:acl', 'l'; create 'hbase:quota', 'q'");
    done(&root, "put 'hbase:acl', 't', 'l:user', 'RW'");
    assert_eq!(done(&root, "list"), "TABLE\nt\n1 row(s)\n=> [\"t\"]\n");
    let listed = "TABLE\nhbase:acl\nhbase:quota\n2 row(s)\n=> [\"hbase:acl\", \"hbase:quota\"]\n";
    assert_eq!(done(&root, "list 'hbase:.*'"), listed);
    assert_eq!(done(&root, "list 'hbase:acl'"), "TABLE\nhbase:acl\n1 row(s)\n=> [\"hbase:acl\"]\n");
    assert_eq!(done(&root, "list 'h.*'"), "TABLE\n0 row(s)\n=> []\n");
    let alone = root.join("data/hbase/acl");
    for command in ["list", "list 'hbase:.*'"] {
        assert_eq!(done(&alone, command), "TABLE\nhbase:acl\n1 row(s)\n=> [\"hbase:acl\"]\n", "{command}");
    }
    let altered = done(&root, "alter 'hbase:acl', 'm'\ndescribe 'hbase:acl'\ncount 'hbase:acl'");
    assert!(altered.contains("NAME => 'm'") && altered.ends_with("1 row(s)\n=> 1\n"), "{altered}");
    done(&root, "disable 'hbase:acl'; drop 'hbase:acl'");
    assert_eq!(done(&root, "exists 'hbase:acl'"), "Table hbase:acl does not exist\n=> false\n");
    done(&root, "snapshot 't', 's'");
    for command in [
        "create 'hbase:namespace', 'f'",
        "snapshot 'hbase:quota', 's'",
        "truncate 'hbase:meta'",
        "clone_snapshot 's', 'hbase:meta'",
        "clone_snapshot 's', 'hbase:namespace'",
    ] {
        let (exit, message) = failed(&root, command);
        assert!([2, 4].contains(&exit) && message.contains("hbase:"), "{command}: {exit} {message}");
    }
}

#[test]
fn a_directory_without_descriptor_and_regions_is_no_table() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'");
    let stray = dir.path().join("data/default/stray");
    fs::create_dir(&stray).unwrap();
    fs::write(stray.join("file"), "").unwrap();
    assert_eq!(done(dir.path(), "list"), "TABLE\nt\n1 row(s)\n=> [\"t\"]\n");
    assert_eq!(done(dir.path(), "exists 'stray'"), "Table stray does not exist\n=> false\n");
    assert!(done(dir.path(), "status").contains("1 tables"));
}

#[test]
fn regions_are_split_merged_and_archived() {
    let dir = tempfile::tempdir().unwrap();
    let printed = done(
        dir.path(),
        "create 't', 'f'
put 't', 'a', 'f:q', '1', 1
put 't', 'x', 'f:q', '2', 1
split 't', 'm'
get_splits 't'
put 't', 'y', 'f:q', '3', 1
scan 't'
major_compact 't'
catalogjanitor_run",
    );
    assert!(printed.contains("=> [\"m\"]") && printed.ends_with("3 row(s)\n"), "{printed}");
    let regions = hregion::Table::open(dir.path(), "t").unwrap().regions();
    let table = dir.path().join("data/default/t");
    let names = || {
        let names = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.len()
    };
    assert_eq!((regions.len(), names()), (2, 2));
    // by either name
    let (first, second) = (regions[0].to_string(), regions[1].encoded_name());
    let merge = format!("merge_region '{second}', '{first}'\nget_splits 't'\nscan 't'");
    let printed = done(dir.path(), &merge);
    assert!(printed.contains("=> []") && printed.ends_with("3 row(s)\n"), "{printed}");
    assert_eq!(names(), 3);
}

/// HBase's shell makes a get of a scan whose rows are the same.
#[test]
fn a_scan_from_a_row_to_itself_returns_it() {
    let dir = tempfile::tempdir().unwrap();
    let puts: String =
        ["a", "b", "b1", "m", "n"].map(|row| format!("put 't', '{row}', 'f:q', 'v'\n")).concat();
    done(dir.path(), &format!("create 't', 'f', SPLITS => ['m']\n{puts}"));
    for (range, rows) in [
        ("STARTROW => 'b', STOPROW => 'b'", 1),
        ("STARTROW => 'm', ENDROW => 'm'", 1),
        ("STARTROW => 'b0', STOPROW => 'b0'", 0),
        ("STARTROW => 'b', STOPROW => 'b1'", 1),
        ("STARTROW => '', STOPROW => ''", 5),
        ("STARTROW => 'b', STOPROW => 'b', ROWPREFIXFILTER => 'b'", 2),
    ] {
        for reversed in [false, true] {
            if reversed && range.ends_with("'b1'") {
                continue;
            }
            let options = format!("{{{range}, REVERSED => {reversed}}}");
            let counted = done(dir.path(), &format!("count 't', {options}"));
            assert!(counted.starts_with(&format!("{rows} row(s)")), "{options}: {counted}");
            let scanned = done(dir.path(), &format!("scan 't', {options}"));
            assert!(scanned.ends_with(&format!("\n{rows} row(s)\n")), "{options}: {scanned}");
        }
    }
}

/// HBase sets the prefix last.
#[test]
fn a_prefix_of_rows_stands_in_place_of_their_range() {
    let dir = tempfile::tempdir().unwrap();
    let puts: String = ["a1", "a2", "b1", "c1"].map(|row| format!("put 't', '{row}', 'f:q', 'v'\n")).concat();
    done(dir.path(), &format!("create 't', 'f'\n{puts}"));
    for range in ["STOPROW => 'z'", "ENDROW => 'z'", "STARTROW => 'b'", "STARTROW => 'a2', STOPROW => 'c'"] {
        for reversed in [false, true] {
            let options = format!("{{{range}, ROWPREFIXFILTER => 'a', REVERSED => {reversed}}}");
            let counted = done(dir.path(), &format!("count 't', {options}"));
            assert!(counted.starts_with("2 row(s)"), "{options}: {counted}");
        }
    }
}

/// All lines after an odd quote are of one string. Each of them was read again for each line.
#[test]
fn an_odd_quote_in_a_long_script_does_not_hang_the_shell() {
    let dir = tempfile::tempdir().unwrap();
    let rest = "put 't', 'r', 'f:q', 'a value'\n".repeat(20_000);
    let started = std::time::Instant::now();
    let (code, message) = failed(dir.path(), &format!("create 't', 'f'\nput 't', \"r\n{rest}"));
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    assert_eq!((code, message.contains("line 2, column 10: the string has no end")), (2, true), "{message}");
    // a list that is as long is read in the same way, and its commands are executed
    let list = "'f:q',\n".repeat(20_000);
    let printed = done(dir.path(), &format!("scan 't', {{COLUMNS => [\n{list}]}}\nlist"));
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    assert!(printed.contains("0 row(s)") && printed.contains("=> [\"t\"]"), "{printed}");
}

#[test]
fn a_backslash_joins_two_lines() {
    let dir = tempfile::tempdir().unwrap();
    let commands = "create 't', 'f'; \\\nput 't', \\\n'r', 'f:q', 'v', 5\nscan 't' \\\n, COLUMN => 'f:none'";
    let printed = done(dir.path(), commands);
    assert!(printed.contains("0 row(s)") && !printed.contains("value=v"), "{printed}");
}

#[test]
fn a_root_that_an_interrupted_create_has_begun_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    for name in [".hregion.lock", ".hregion.probe.0123456789abcdef0123456789abcdef"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let root = dir.path().to_str().unwrap();
    ok(&["shell", root, "-e", "create 't', 'f'", "-e", "put 't', 'r', 'f:q', 'v'"]);
    assert!(ok(&["shell", root, "-e", "get 't', 'r'"]).contains("value=v"));
    // Anything else is not replaced.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join(".other"), "").unwrap();
    assert_eq!(code(&run(&["shell", other.path().to_str().unwrap(), "-e", "create 't', 'f'"])), 4);
}
