//! The language of the shell: statements, assignments, errors.

use super::{done, failed, shell};
use crate::support::*;
use serde_json::json;

#[test]
fn errors_have_a_position_and_end_the_shell() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), "create 't', 'f'");
    for (commands, exit, message) in [
        ("scan 't', {LIMIT 3}", 2, "line 1, column 18: expected =>, found 3"),
        ("list\n\nscan 't', {LIMITS => 3}", 2, "line 3, column 12: the option LIMITS is not supported here"),
        ("scan 't', {FILTER => \"NoSuch()\"}", 2, "line 1, column 22: FILTER: "),
        ("get 't', 'r', VERSIONS => 0", 2, "line 1, column 27: VERSIONS must be positive"),
        ("put 't', 'r'", 2, "line 1, column 1: put: expected a column; see `help 'put'`"),
        (
            "get 't', 'r', 'f:q:toDate'",
            2,
            "line 1, column 15: the converter toDate is not supported; there are",
        ),
        ("scan 't', FORMATTER => 'x'", 2, "line 1, column 24: the converter x is not supported"),
        ("scan 't', FORMATTER_CLASS => 'a.B'", 2, "column 30: converters of the class a.B are not supported"),
        ("scan 't', COLUMNS => 'f:q:c(a.B).c'", 2, "column 22: converters of the class a.B are not"),
        ("scan 't', {", 2, "line 1, column 12: expected a value, found the end"),
        ("balancer", 2, "balancer is not supported on local files: it needs a running HBase"),
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
        ("t = get_table 't'; t.list", 2, "line 1, column 22: a table has no method list; see"),
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
    assert!(help.contains("scan: read rows. Options: COLUMNS,"));
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
    assert_eq!(help.matches("get_table: return a table as an object").count(), 2, "{help}");
    assert!(help.contains("scan: read rows"), "{help}");
    let json = shell(dir.path(), &["--json"], "x = ['a', 5]\nt = get_table 't'\nt.count\nx");
    let value = json!({"value": "[\"a\", 5]"});
    assert_eq!(json_lines(&stdout(&json)), [value.clone(), json!({"rows": 0}), value]);
}

/// All lines after an unclosed quote belong to one string. Each of them used to be read again for each line.
#[test]
fn an_odd_quote_in_a_long_script_does_not_hang_the_shell() {
    let dir = tempfile::tempdir().unwrap();
    let rest = "put 't', 'r', 'f:q', 'a value'\n".repeat(20_000);
    let started = std::time::Instant::now();
    let (code, message) = failed(dir.path(), &format!("create 't', 'f'\nput 't', \"r\n{rest}"));
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    assert_eq!((code, message.contains("line 2, column 10: the string has no end")), (2, true), "{message}");
    // a list of the same length is read in the same way, and its commands are executed
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
