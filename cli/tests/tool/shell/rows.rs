//! Reads and writes of rows.

use super::{done, failed, shell};
use crate::support::*;
use serde_json::json;

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
