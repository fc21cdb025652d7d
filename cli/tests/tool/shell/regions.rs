//! Tables of several regions.

use super::{done, failed, files, shell};
use crate::support::*;
use serde_json::json;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

/// HBase decodes `\xHH` in split keys and in the row of `locate_region`, but not in the row of `split`.
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

/// Starts a shell, and waits until it has begun to answer the commands.
fn start(dir: &Path, commands: &str) -> (Child, ChildStdin) {
    let mut shell =
        hregion().arg("shell").arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    writeln!(input, "{commands}").unwrap();
    let mut answer = [0; 8];
    shell.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
    (shell, input)
}

/// A table that is open for writing is locked for other writers, but not for readers.
#[test]
fn writers_are_alone() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'");
    // an answer means that the first shell has the lock
    let (first, input) = start(dir.path(), "put 't', 'r', 'f:q', 'v', 1\nget 't', 'r'");
    let (code, said) = failed(dir.path(), "put 't', 's', 'f:q', 'v', 1");
    assert!(code == 5 && said.contains("region is open for writing elsewhere"), "{code} {said}");
    // the row is in the log of the first shell
    assert!(done(dir.path(), "scan 't'").ends_with("1 row(s)\n"));
    drop(input);
    assert!(first.wait_with_output().unwrap().status.success());
    assert!(done(dir.path(), "scan 't'").ends_with("1 row(s)\n"));
}

/// Another process may have replaced regions that a shell has read before it writes.
#[test]
fn writes_go_to_the_regions_that_serve() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'\nput 't', 'a', 'f:q', 'v', 1\nput 't', 'z', 'f:q', 'v', 1");
    // an answer means that the shell has opened the regions
    let (shell, mut input) = start(dir.path(), "get 't', 'a'");
    ok(&["split", dir.path().to_str().unwrap(), "t", "m"]);
    writeln!(input, "put 't', 'b', 'f:q', 'v', 1\nput 't', 'y', 'f:q', 'v', 1").unwrap();
    drop(input);
    assert!(shell.wait_with_output().unwrap().status.success());
    let found = done(dir.path(), "scan 't'");
    assert!(found.ends_with("4 row(s)\n"), "{found}");
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
