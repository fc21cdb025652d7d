//! The same session of the shell on a directory and on a cluster.

use crate::support::{code, json_lines, ok, run, stderr};
use std::path::Path;

/// The typed commands. Times are given where they are printed, and for the deletion of a counter: the second
/// increment of a millisecond gets the following time, and is not deleted by a delete of the same
/// millisecond.
const SESSION: &str = r#"
list
create 's', {NAME => 'f', VERSIONS => 3}, 'g', SPLITS => ['m']
exists 's'
exists 'none'
list 's.*'
is_enabled 's'
describe 's'
get_splits 's'
put 's', 'a', 'f:q', 'first', 1000
put 's', 'a', 'f:q', 'second', 2000
put 's', 'a', 'g:', "\x00\xff", 1500
put 's', 'b1', 'f:q', 'b', 1000, {TTL => 9000000000000}
put 's', 'b2', 'f:r', 'b', 1001
put 's', 'n', 'f:q', "\x00\x00\x00\x07", 1002
put 's', 'z', 'g:q', 'last', 1003
get 's', 'a'
get 's', 'a', 'f:q', {VERSIONS => 3}
get 's', 'a', {COLUMN => ['f', 'g:'], TIMERANGE => [1000, 2000]}
get 's', 'n', 'f:q:toInt'
get 's', 'none'
get 's', 'a', {CONSISTENCY => 'TIMELINE'}
scan 's'
scan 's', {VERSIONS => 3, REVERSED => true}
scan 's', {COLUMNS => ['f:q'], STARTROW => 'b', STOPROW => 'n'}
scan 's', {LIMIT => 2, CACHE => 1}
scan 's', {LIMIT => 2, REVERSED => true}
scan 's', {ROWPREFIXFILTER => 'b'}
scan 's', {ROWPREFIXFILTER => 'b', REVERSED => true}
scan 's', {FILTER => "QualifierFilter(=, 'binary:r') OR ValueFilter(=, 'substring:las')"}
scan 's', {TIMESTAMP => 1001}
scan 's', {TIMERANGE => [1001, 1003], MAXLENGTH => 1}
scan 's', {BATCH => 1, LIMIT => 1}
scan 's', {MAX_RESULT_SIZE => 1, ALLOW_PARTIAL_RESULTS => true, STOPROW => 'b'}
scan 's', {MAX_RESULTS_PER_COLUMN_FAMILY => 1, OFFSET => 0, ISOLATION_LEVEL => 'READ_UNCOMMITTED'}
scan 's', {FORMATTER => 'toString', STARTROW => 'z'}
count 's'
count 's', INTERVAL => 2
count 's', {FILTER => "PrefixFilter('b')"}
count 's', {MAX_RESULTS_PER_COLUMN_FAMILY => 1, OFFSET => 1, VERSIONS => 3}
count 's', {COLUMNS => 'g', BATCH => 1, REVERSED => true, CACHE_BLOCKS => true}
t = get_table 's'
t.get 'z'
delete 's', 'a', 'f:q', 2000
get 's', 'a'
deleteall 's', 'a', 'g:', 1500
scan 's', {RAW => true, VERSIONS => 3, STOPROW => 'b'}
count 's', {RAW => true, VERSIONS => 3, STOPROW => 'c'}
deleteall 's', {ROWPREFIXFILTER => 'b'}
count 's'
deleteall 's', 'n'
incr 's', 'm', 'g:n'
incr 's', 'm', 'g:n', 41
get_counter 's', 'm', 'g:n'
get_counter 's', 'm', 'g:m'
append 's', 'm', 'g:a', 'some'
append 's', 'm', 'g:a', ' more'
deleteall 's', 'm', 'g', 9000000000000
flush 's'
scan 's'
alter 's', {NAME => 'f', VERSIONS => 5}, {NAME => 'h', TTL => 3600}
alter 's', DURABILITY => 'SYNC_WAL', METADATA => {'mine' => 'm', 'ours' => 'o'}
alter 's', METHOD => 'table_conf_unset', NAME => 'ours'
alter 's', {NAME => 'g', IN_MEMORY => true, BLOCKCACHE => false, METADATA => {'mine' => 'm'}}
alter 's', 'delete' => 'h'
describe 's'
snapshot 's', 'one'
put 's', 'later', 'f:q', 'v', 1
disable 's'
is_disabled 's'
restore_snapshot 'one'
enable 's'
scan 's'
clone_snapshot 'one', 'copy'
scan 'copy'
delete_snapshot 'one'
list_snapshots
disable 'copy'
drop 'copy'
exists 'copy'
put 's', 'c', 'f:q', 'v', 1
flush 's'
split 's', 'c'
get_splits 's'
scan 's'
catalogjanitor_run
compact 's'
truncate_preserve 's'
count 's'
get_splits 's'
truncate 's'
get_splits 's'
put 's', 'a', 'f:q', 'v', 1
major_compact 's', 'f'
scan 's'
disable 's'
drop 's'
exists 's'
"#;

/// Runs the shell, and returns the output of each command.
fn play(target: &[&str]) -> Vec<(String, String)> {
    let commands: Vec<&str> = SESSION.lines().filter(|line| !line.is_empty()).collect();
    let mut line = vec!["shell"];
    line.extend(target);
    // a value is printed unchanged
    let marks: Vec<String> = (0..commands.len()).map(|at| format!("mark = 'mark {at}'")).collect();
    for (command, mark) in commands.iter().zip(&marks) {
        line.extend(["-e", command, "-e", mark]);
    }
    let text = ok(&line);
    let mut rest = text.as_str();
    let mut parts = Vec::new();
    for (at, command) in commands.iter().enumerate() {
        let mark = format!("=> \"mark {at}\"\n");
        let (part, after) = rest.split_once(&mark).unwrap_or_else(|| panic!("{command}: {rest}"));
        parts.push(((*command).to_owned(), part.to_owned()));
        rest = after;
    }
    parts
}

/// Compares sessions, and runs commands that only one of them supports.
pub(super) fn check(dir: &Path, servers: &[[&str; 2]]) {
    let root = dir.join("shell").display().to_string();
    let local = play(&[&root]);
    let tables = ok(&["shell", servers[0][0], servers[0][1], "-e", "list", "--json"]);
    let before = json_lines(&tables).len();
    let ours = play(&servers[0]);
    for ((command, expected), (_, found)) in local.iter().zip(&ours) {
        match command.as_str() {
            // the cluster has other tables
            "list" => assert!(found.contains(&format!("{before} row(s)")), "{found}"),
            _ => assert_eq!(found, expected, "{command}"),
        }
    }
    println!("shell: {} commands have the same answers", ours.len());

    let one = |server: &[&str; 2], command: &str| run(&["shell", server[0], server[1], "-e", command]);
    for server in servers {
        let status = one(server, "status");
        assert_eq!(code(&status), 0, "{}", stderr(&status));
        let text = String::from_utf8(status.stdout).unwrap();
        assert_eq!(text, format!("2 servers, {before} tables\n"));
    }
    // regions are merged by their names
    let json =
        |command: &str| json_lines(&ok(&["shell", servers[0][0], servers[0][1], "--json", "-e", command]));
    json("create 'halves', 'f', SPLITS => ['m']");
    let halves = json("list_regions 'halves'");
    let name = |at: usize| halves[at]["encoded"].as_str().unwrap();
    json(&format!("merge_region '{}', '{}'", name(0), name(1)));
    assert_eq!(json("list_regions 'halves'").len(), 1);
    let place = ok(&["shell", servers[0][0], servers[0][1], "-e", "locate_region 'halves', 'x'"]);
    assert!(place.contains("localhost,") && place.contains("ENCODED =>"), "{place}");
    for (command, expected) in [
        ("get 'missing', 'r'", "missing"),
        ("scan 'halves', {COLUMNS => 'none'}", "none"),
        ("create 'halves', 'f'", "halves"),
        ("drop 'halves'", "TableNotDisabledException"),
        ("alter 'halves', 'delete' => 'x'", "x"),
        ("restore_snapshot 'missing'", "there is no snapshot missing"),
        ("delete_snapshot 'missing'", "missing"),
        ("snapshot 'missing', 's'", "missing"),
        ("clone_snapshot 'one', 'halves'", "table already exists: halves"),
        ("move 'x'", "move is not supported by this client"),
        ("grant 'u', 'R'", "grant is not supported by this client"),
        ("disable 'halves'; scan 'halves'", "DISABLED"),
    ] {
        let out = one(&servers[0], command);
        assert_ne!(code(&out), 0, "{command}");
        assert!(stderr(&out).contains(expected), "{command}: {}", stderr(&out));
        println!("{command}: {}", stderr(&out).trim());
    }
    assert!(ok(&["shell", servers[0][0], servers[0][1], "-e", "drop 'halves'"]).is_empty());
    let both = run(&["shell", &root, servers[0][0], servers[0][1]]);
    assert_eq!(code(&both), 2, "{}", stderr(&both));
    for more in [&["--as", "table"][..], &["--family", "f"], &["--no-checksums"]] {
        let out = run(&[&["shell", servers[0][0], servers[0][1]], more].concat());
        assert_eq!(code(&out), 2, "{more:?}: {}", stderr(&out));
    }
}
