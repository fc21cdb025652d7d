//! Tables are created, altered, truncated and dropped.

use super::{done, failed, files, shell};
use crate::support::*;
use serde_json::json;
use std::fs;

/// Files replaced by a compaction, and a deleted table, when nothing can be archived.
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

/// Between the renames of a truncation the table does not exist, and no other command restores it.
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

/// Attributes that only HBase uses.
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
        ("alter 't', METHOD => 'table_att_unset', NAME => 'MAX_FILESZE'", 2, "has no attribute MAX_FILESZE"),
        ("alter 't', METHOD => 'table_conf_unset', NAME => ['a.b']", 2, "has no attribute a.b"),
        ("alter 'v', METHOD => 'table_att_unset', NAME => 'READONLY'", 1, "there is no table v"),
    ] {
        let (code, said) = failed(dir.path(), command);
        assert!(said.contains(expected), "{command}: {said}");
        assert_eq!(code, code_of, "{command}");
    }
}

/// Times and sizes are taken with units, and as `describe` shows them.
#[test]
fn times_and_sizes_have_units() {
    let dir = tempfile::tempdir().unwrap();
    let create = "create 't', {NAME => 'f', TTL => '1 day 2 hours', BLOCKSIZE => '4 KB'}, \
                  MAX_FILESIZE => '10 GB', MEMSTORE_FLUSHSIZE => 1500000";
    done(dir.path(), create);
    let shown = done(dir.path(), "describe 't'");
    let family = "NAME => 'f', TTL => '93600 SECONDS (1 DAY 2 HOURS)', BLOCKSIZE => '4096 B (4KB)'";
    let table = "MAX_FILESIZE => '10737418240 B (10GB)', \
                 MEMSTORE_FLUSHSIZE => '1500000 B (1MB 440KB 864B)'";
    for part in family.split(", ").chain(table.split(", ")) {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    done(dir.path(), &format!("alter 't', {{{family}}}, {{{table}}}"));
    assert_eq!(done(dir.path(), "describe 't'"), shown);
    for (command, expected) in [
        ("alter 't', NAME => 'f', TTL => '2 DAYS (1 DAY)'", "expected seconds or FOREVER"),
        ("alter 't', NAME => 'f', BLOCKSIZE => '4 XB'", "expected a number of bytes"),
        ("alter 't', MAX_FILESIZE => '4 XB'", "MAX_FILESIZE 4 XB is not a number"),
    ] {
        let (code, said) = failed(dir.path(), command);
        assert!(said.contains(expected), "{command}: {said}");
        assert_eq!(code, 2, "{command}");
    }
}

/// The regions of a new table: from a file, or by HBase's algorithms.
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
        // the commands are read from standard input
        ("SPLITS_FILE => '-'", "not standard input"),
    ] {
        let (code, said) = failed(dir.path(), &format!("create 'd', 'f', {options}"));
        assert!([2, 5].contains(&code) && said.contains(expected), "{options}: {code} {said}");
        assert!(done(dir.path(), "exists 'd'").contains("=> false"));
    }
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
    assert!(exit == 4 && said.contains("use --master-key-file"), "{said}");
    let root = dir.path().join("other");
    let (exit, said) = failed(&root, &format!("{create}; put 't', 'r', 'f:q', '{marker}'; flush 't'"));
    assert!(exit == 4 && said.contains("cannot be written in the clear"), "{said}");
    assert!(said.contains("use --master-key-file") && !files(&root).iter().any(shows), "{said}");
    let (exit, said) = failed(&root, "create 'u', {NAME => 'f', ENCRYPTION => 'DES'}");
    assert!(exit == 2 && said.contains("expected AES"), "{said}");
}

/// `list` shows HBase's own tables on request; all but those created by a master can be changed.
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
fn a_root_that_an_interrupted_create_has_begun_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    for name in [".hregion.lock", ".hregion.probe.0123456789abcdef0123456789abcdef"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let root = dir.path().to_str().unwrap();
    ok(&["shell", root, "-e", "create 't', 'f'", "-e", "put 't', 'r', 'f:q', 'v'"]);
    assert!(ok(&["shell", root, "-e", "get 't', 'r'"]).contains("value=v"));
    // No other directory is replaced.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join(".other"), "").unwrap();
    assert_eq!(code(&run(&["shell", other.path().to_str().unwrap(), "-e", "create 't', 'f'"])), 4);
}
