//! The program `hregion-sql`.

use crate::root;
use hregion::{Family, Put, Table};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn sql(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hregion-sql")).current_dir(root()).args(args).output().unwrap()
}

fn printed(args: &[&str]) -> String {
    let output = sql(args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "{args:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// The message and the exit code of a failure.
fn refused(args: &[&str]) -> (String, Option<i32>) {
    let output = sql(args);
    assert!(!output.status.success(), "{args:?}");
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

const HALVES: &str = "t=testdata/region/split-references/root/data/default/halves";

/// The commands on the page of the documentation print what the page shows.
#[test]
fn the_examples_of_the_page_are_true() {
    let page = std::fs::read_to_string(root().join("docs/sql.md")).unwrap();
    let mut examples = 0;
    for block in page.split("```").skip(1).step_by(2) {
        let Some((command, expected)) = block.split_once('\n').map(|(_, text)| text).and_then(|text| {
            let command = text.strip_prefix("$ hregion-sql ")?;
            // a command ends at the first line that is not continued
            let mut end = 0;
            for line in command.split_inclusive('\n') {
                end += line.len();
                if !line.trim_end().ends_with('\\') {
                    break;
                }
            }
            Some(command.split_at(end))
        }) else {
            continue;
        };
        let program = env!("CARGO_BIN_EXE_hregion-sql");
        let shell =
            Command::new("sh").current_dir(root()).arg("-c").arg(format!("{program} {command}")).output();
        let output = shell.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {error}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{command}");
        examples += 1;
    }
    assert!(examples >= 3, "{examples} examples");
}

#[test]
fn targets_of_all_kinds_are_queried() {
    let count = "SELECT count(*) AS n FROM t";
    let of_table = printed(&[count, "--table", HALVES, "--csv"]);
    assert!(of_table.starts_with("n\n"), "{of_table}");
    let number = |text: &str| text.lines().nth(1).unwrap().parse::<u64>().unwrap();
    assert!(number(&of_table) > 100);
    let file = printed(&[count, "--table", "t=testdata/golden/small-none-row.hfile", "--csv"]);
    assert!(number(&file) > 10);
    let table = root().join("testdata/region/split-references/root/data/default/halves");
    let region = std::fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path());
    let regions: Vec<PathBuf> = region.filter(|path| path.join(".regioninfo").is_file()).collect();
    let region = format!("t={}", regions[0].display());
    assert!(number(&printed(&[count, "--table", &region, "--csv"])) > 0);
    let url =
        format!("t=file://{}/testdata/golden/small-none-row.hfile", root().canonicalize().unwrap().display());
    assert_eq!(printed(&[count, "--table", &url, "--csv"]), file);
    let rows = printed(&[
        "SELECT row, \"p:q0\" FROM t ORDER BY row LIMIT 2",
        "--table",
        HALVES,
        "--infer",
        "--json",
    ]);
    let rows: Vec<serde_json::Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows[0]["row"].as_str().unwrap().starts_with("row-"), "{rows:?}");
}

#[test]
fn logs_that_are_not_read_are_warned_of_once() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[] as &[&str]).unwrap();
    table.put(Put::new("r").cell("f", "q", "v")).unwrap();
    table.snapshot("s").unwrap();
    table.close().unwrap();
    let warnings = |target: &str| {
        let [a, b] = ["a", "b"].map(|name| format!("{name}={}", dir.path().join(target).display()));
        let output = sql(&["SELECT count(*) AS n FROM a", "--csv", "--table", &a, "--table", &b]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && output.stdout == b"n\n1\n", "{target}: {said}");
        assert_eq!(said.lines().count(), said.matches("writes that are not read").count(), "{said}");
        said.lines().count()
    };
    assert_eq!(warnings("data/default/t"), 0);
    let server = dir.path().join("WALs/h,1,2");
    std::fs::create_dir_all(&server).unwrap();
    std::fs::write(server.join("h%2C1%2C2.1000"), "log").unwrap();
    assert_eq!(warnings("data/default/t"), 1);
    assert_eq!(warnings(".hbase-snapshot/s"), 0);
}

/// Control characters in a table do not reach the terminal. CSV has the values unchanged.
#[test]
fn tables_have_no_control_characters() {
    let query = "SELECT 'a\u{1b}[2J' AS v";
    let table = printed(&[query, "--table", HALVES]);
    assert!(table.contains("a\\x1B[2J") && !table.contains('\u{1b}'), "{table:?}");
    assert_eq!(printed(&[query, "--table", HALVES, "--csv"]), "v\na\u{1b}[2J\n");
}

#[test]
fn errors_are_told() {
    let (error, exit) = refused(&["SELECT nothing FROM t", "--table", HALVES]);
    assert!(error.contains("nothing") && exit == Some(2), "{error}");
    let (error, exit) = refused(&["SELECT 1", "--table", "t=testdata/no-such-table"]);
    assert!(error.contains("no-such-table") && exit == Some(5), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let empty = format!("t={}", dir.path().display());
    for target in ["t=testdata/golden", &empty] {
        let (error, exit) = refused(&["SELECT 1", "--table", target]);
        assert!(error.contains("neither a region nor a table") && exit == Some(4), "{error}");
    }
    std::fs::create_dir(dir.path().join(".tabledesc")).unwrap();
    std::fs::write(dir.path().join(".tabledesc/.tableinfo.0000000001"), "").unwrap();
    let (error, exit) = refused(&["SELECT 1", "--table", &empty]);
    assert!(error.contains("there is no region") && exit == Some(1), "{error}");
    let (error, exit) = refused(&["SELECT 1", "--table", "t=no\u{1b}[2J\u{202e}such"]);
    assert!(error.contains("no\\x1B[2J\\xE2\\x80\\xAEsuch") && exit == Some(5), "{error}");
    if cfg!(not(feature = "remote")) {
        let (error, exit) = refused(&["SELECT 1", "--table", "t=s3://bucket/table"]);
        assert!(error.contains("feature `remote`") && exit == Some(4), "{error}");
    }
    let (error, exit) = refused(&["SELECT 1", "--table", "t=ftp://user:secret@host/table"]);
    assert!(error.contains("ftp") && !error.contains("secret") && exit == Some(4), "{error}");
    let (error, exit) = refused(&["SELECT 1", "--table", "t=file://host/table"]);
    assert!(error.contains("file:///PATH") && exit == Some(2), "{error}");
    for statement in ["CREATE TABLE x AS SELECT 1", "COPY (SELECT 1) TO '/tmp/x.csv'", "SET a.b = 1"] {
        let (error, exit) = refused(&[statement, "--table", HALVES]);
        assert!(error.contains("not supported") && exit == Some(2), "{statement}: {error}");
    }
    for name in ["Halves", "of.halves"] {
        let table = HALVES.replacen('t', name, 1);
        let query = |name: &str| format!("SELECT count(*) FROM {name}");
        let (error, exit) = refused(&[&query(name), "--table", &table]);
        assert!(error.contains(&format!("double quotes: \"{name}\"")) && exit == Some(2), "{error}");
        printed(&[&query(&format!("\"{name}\"")), "--table", &table]);
        let (error, _) = refused(&["SELECT 1 FROM others", "--table", &table]);
        assert!(error.contains("not found") && !error.contains("quotes"), "{error}");
    }
    // a file that is not a map, and a map of a family that does not exist
    let (error, exit) = refused(&["SELECT 1", "--table", HALVES, "--map", "Cargo.toml"]);
    assert!(error.starts_with("error: table t: Cargo.toml: ") && exit == Some(2), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("map.json");
    std::fs::write(&map, r#"{"columns":[{"column":"none:q","type":"utf8"}]}"#).unwrap();
    let (error, exit) = refused(&["SELECT * FROM t", "--table", HALVES, "--map", map.to_str().unwrap()]);
    assert!(error.starts_with("error: there is no family none") && exit == Some(2), "{error}");
    let mapped = ["SELECT 1", "--table", HALVES, "--map", map.to_str().unwrap(), "--infer"];
    let (error, exit) = refused(&mapped);
    assert!(error.contains("--infer: all tables have maps") && exit == Some(2), "{error}");
    for wrong in [&["--table", "t"][..], &["--table", HALVES, "--infer=0"]] {
        assert_eq!(refused(&[&["SELECT 1"][..], wrong].concat()).1, Some(2), "{wrong:?}");
    }
    let (error, _) = refused(&["SELECT 1", "--table", HALVES, "--table", HALVES]);
    assert!(error.contains("twice"), "{error}");
    for maps in [["a.json", "b.json"], ["t=a.json", "t=b.json"]] {
        let (error, exit) = refused(&["SELECT 1", "--table", HALVES, "--map", maps[0], "--map", maps[1]]);
        assert!(error.contains("two maps") && exit == Some(2), "{error}");
    }
}

/// A map may be a pipe, which can be read only once. A pipe without an end is refused.
#[test]
#[cfg(target_os = "linux")]
fn maps_are_read_once_and_to_an_end() {
    use std::io::Write as _;
    let other = HALVES.replacen('t', "u", 1);
    let query = "SELECT count(\"p:q0\") FROM t UNION SELECT count(\"p:q0\") FROM u";
    let mut program = Command::new(env!("CARGO_BIN_EXE_hregion-sql"));
    program.current_dir(root()).args([query, "--csv", "--table", HALVES, "--table", &other]);
    program.args(["--map", "/dev/stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = program.spawn().unwrap();
    let map = br#"{"columns":[{"column":"p:q0","type":"utf8"}]}"#;
    running.stdin.take().unwrap().write_all(map).unwrap();
    let output = running.wait_with_output().unwrap();
    let (printed, error) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert_eq!((printed.lines().count(), output.status.code()), (2, Some(0)), "{printed} {error}");
    let (error, exit) = refused(&["SELECT 1", "--table", HALVES, "--map", "/dev/zero"]);
    assert!(error.contains("/dev/zero: larger than the limit") && exit == Some(2), "{error}");
}

/// The options for reading have the same names as the tool's.
#[test]
#[cfg(all(feature = "crypto", feature = "zstd"))]
fn keys_and_dictionaries_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let key = file("key", "000102030405060708090a0b0c0d0e0f\n");
    let other = file("other", "ff0102030405060708090a0b0c0d0e0f");
    let broken = file("broken", "000102030405060708090a0b0c0d0e");
    let count = |options: &[&str], target: &str| {
        let args = ["SELECT count(*) AS n, count(DISTINCT value) AS v FROM t", "--csv", "--table", target];
        sql(&[&args[..], options].concat())
    };
    let counted = |options: &[&str], target: &str| {
        let output = count(options, target);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{options:?}: {error}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with("n,v\n") && text.len() > 7, "{text}");
        text
    };
    let refused = |options: &[&str], target: &str| {
        let output = count(options, target);
        assert!(!output.status.success() && output.stdout.is_empty(), "{options:?}");
        (String::from_utf8(output.stderr).unwrap(), output.status.code())
    };
    let encrypted = "t=testdata/golden/small-encrypted.hfile";
    let by_key = counted(&["--master-key-file", &key], encrypted);
    let changed = ["--master-key-file", &other, "--alternate-master-key-file", &key];
    assert_eq!(counted(&changed, encrypted), by_key);
    let cached = ["--master-key-file", &key, "--cache-bytes", "1M", "--filter-cache-bytes", "64K"];
    assert_eq!(counted(&cached, encrypted), by_key);
    let (error, exit) = refused(&[], encrypted);
    assert!(error.contains("master key") && exit == Some(4), "{error}");
    let (error, _) = refused(&["--master-key-file", &other], encrypted);
    assert!(error.contains("not the master key"), "{error}");
    let (error, exit) = refused(&["--master-key-file", &broken], encrypted);
    assert!(error.contains("hexadecimal") && !error.contains("0a0b0c") && exit == Some(2), "{error}");
    let (error, exit) = refused(&["--master-key-file", "testdata/no-such-key"], encrypted);
    assert!(error.contains("no-such-key") && exit == Some(5), "{error}");
    for alone in [["--alternate-master-key-file", &*key], ["--filter-cache-bytes", "1M"]] {
        assert_eq!(refused(&alone, encrypted).1, Some(2));
    }
    let compressed = "t=testdata/golden/codec-zstd-dictionary.hfile";
    counted(&["--zstd-dictionary", "testdata/golden/zstd.dict"], compressed);
    let (error, exit) = refused(&[], compressed);
    assert!(error.contains("dictionary") && exit == Some(4), "{error}");
}

#[test]
fn what_exceeds_a_limit_is_refused() {
    let query = ["SELECT * FROM t", "--table", "t=testdata/golden/small-none-row.hfile", "--csv"];
    for limit in ["--limit-block-bytes", "--limit-memory-bytes"] {
        let (error, exit) = refused(&[&query[..], &[limit, "10"]].concat());
        assert!(error.contains("limit") && exit == Some(3), "{limit}: {error}");
        assert_eq!(refused(&[&query[..], &[limit, "ten"]].concat()).1, Some(2));
        printed(&[&query[..], &[limit, "1M", "--limit-row-bytes", "1M"]].concat());
    }
}

/// A closed pipe is not an error, whatever is printed, and whenever it is closed.
#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let formats: [&[&str]; 3] = [&["--csv"], &["--json"], &[]];
    // more than a buffer
    let many = "SELECT a.* FROM t AS a, (SELECT * FROM t LIMIT 20) AS b";
    for format in formats {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut program = Command::new(env!("CARGO_BIN_EXE_hregion-sql"));
        program.current_dir(root()).args([many, "--table", HALVES]).args(format);
        let output = program.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*error), (Some(0), ""), "{format:?}");
        // an error of the query is still an error
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut program = Command::new(env!("CARGO_BIN_EXE_hregion-sql"));
        program.current_dir(root()).args(["SELECT nothing FROM t", "--table", HALVES]).args(format);
        let output = program.stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.code() == Some(2) && !output.stderr.is_empty(), "{format:?}");
    }
    // closed standard output is an error, also for help
    let query = ["SELECT * FROM t", "--table", HALVES];
    let calls = formats.map(|format| [&query[..], format].concat());
    for call in calls.into_iter().chain([vec!["--help"], vec!["--version"]]) {
        let mut program = Command::new("sh");
        program.args(["-c", "exec \"$0\" \"$@\" >&-", env!("CARGO_BIN_EXE_hregion-sql")]);
        let output = program.current_dir(root()).args(&call).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{call:?}: {error}");
        assert!(error.starts_with("error: cannot write to standard output"), "{call:?}: {error}");
    }
    assert!(printed(&["--help"]).contains("--table") && printed(&["--version"]).starts_with("hregion-sql "));
    // a full disk is an error
    if cfg!(target_os = "linux") {
        for format in formats {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
            let mut program = Command::new(env!("CARGO_BIN_EXE_hregion-sql"));
            program.current_dir(root()).args(["SELECT * FROM t", "--table", HALVES]).args(format);
            let output = program.stdout(full).stderr(Stdio::piped()).output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(5), "{format:?}: {error}");
            assert!(error.starts_with("error: cannot write to standard output"), "{format:?}: {error}");
        }
    }
}

#[test]
fn nulls_of_csv_are_not_empty_texts() {
    let csv = |query: &str| printed(&[query, "--table", HALVES, "--csv"]);
    let values = "SELECT NULL AS a, '' AS b, arrow_cast('', 'Utf8View') AS c, X'' AS d, 1 AS e, \
        arrow_cast('', 'Dictionary(Int32, Utf8)') AS f, \
        arrow_cast(NULL, 'Dictionary(Int32, Utf8)') AS g, CAST(NULL AS VARCHAR) AS h";
    assert_eq!(csv(values), "a,b,c,d,e,f,g,h\n,\"\",\"\",\"\",1,\"\",,\n");
    // also for one column
    assert_eq!(csv("SELECT v FROM (VALUES (NULL), (''), ('x')) AS v(v)"), "v\n\n\"\"\nx\n");
    let special = "SELECT 'a,b' AS \"x,y\", 'a\"b' AS b, 'line\nline' AS c, ' ' AS d, 'plain text' AS e";
    assert_eq!(csv(special), "\"x,y\",b,c,d,e\n\"a,b\",\"a\"\"b\",\"line\nline\",\" \",plain text\n");
    assert_eq!(csv("SELECT row FROM t WHERE false"), "row\n");
}

/// Arrow prints `[a, b, ]` for each of these lists.
#[test]
fn lists_of_csv_are_json() {
    let query = "SELECT v FROM (VALUES (['a, b', NULL]), (['a', 'b, ']), (['a', 'b', '']), (NULL)) AS v(v)";
    let lines =
        "v\n\"[\"\"a, b\"\",null]\"\n\"[\"\"a\"\",\"\"b, \"\"]\"\n\"[\"\"a\"\",\"\"b\"\",\"\"\"\"]\"\n\n";
    assert_eq!(printed(&[query, "--table", HALVES, "--csv"]), lines);
    let query = "SELECT [arrow_cast('NaN', 'Float64'), 1.5] AS f, [X'6162'] AS b, struct(1 AS n, 'x') AS s";
    let lines = "f,b,s\n\"[\"\"NaN\"\",1.5]\",\"[\"\"6162\"\"]\",\"{\"\"n\"\":1,\"\"c1\"\":\"\"x\"\"}\"\n";
    assert_eq!(printed(&[query, "--table", HALVES, "--csv"]), lines);
}

#[test]
fn numbers_that_json_does_not_have_are_strings() {
    let query = "SELECT v, arrow_cast(v, 'Float32') AS f, arrow_cast(v, 'Float16') AS h, [v] AS l \
        FROM (VALUES (arrow_cast('NaN', 'Float64')), (arrow_cast('inf', 'Float64')), \
        (arrow_cast('-inf', 'Float64')), (1.5), (1e300), (NULL)) AS v(v)";
    let lines = printed(&[query, "--table", HALVES, "--json"]);
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let infinite = serde_json::json!({"v": 1e300, "f": "Infinity", "h": "Infinity", "l": [1e300]});
    let of = |value: serde_json::Value| serde_json::json!({"v": value, "f": value, "h": value, "l": [value]});
    let expected = [
        of("NaN".into()),
        of("Infinity".into()),
        of("-Infinity".into()),
        of(1.5.into()),
        infinite,
        // a null is omitted
        serde_json::json!({"l": [null]}),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn values_without_a_text_are_errors_in_all_formats() {
    let formats: [&[&str]; 3] = [&["--csv"], &["--json"], &[]];
    let none = "arrow_cast(9000000000000000000, 'Timestamp(Millisecond, Some(\"UTC\"))')";
    for format in formats {
        let (error, exit) =
            refused(&[&[&format!("SELECT {none} AS v")[..], "--table", HALVES], format].concat());
        assert!(error.contains("9000000000000000000") && exit == Some(2), "{format:?}: {error}");
        for nested in ["make_array", "struct"] {
            let query = format!("SELECT 1 AS n, {nested}({none}) AS v");
            let output = sql(&[&[&query[..], "--table", HALVES], format].concat());
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(
                error.contains("v: a value in it") && output.status.code() == Some(2),
                "{query}: {error}"
            );
            assert!(!String::from_utf8_lossy(&output.stdout).contains("ERROR"), "{query} {format:?}");
        }
    }
}

#[test]
fn members_of_json_have_different_names() {
    let query = "SELECT a.row, b.row FROM t AS a JOIN t AS b ON a.row = b.row LIMIT 1";
    let (error, exit) = refused(&[query, "--table", HALVES, "--json"]);
    assert!(error.contains("the name row") && exit == Some(2), "{error}");
    assert!(printed(&[query, "--table", HALVES, "--csv"]).starts_with("row,row\n"));
    let query = "SELECT a.row, b.row AS other FROM t AS a JOIN t AS b ON a.row = b.row LIMIT 1";
    assert_eq!(printed(&[query, "--table", HALVES, "--json"]).lines().count(), 1);
}

/// DataFusion's recursion takes more than the usual stacks for that many terms, in a build without
/// optimization.
#[test]
fn a_chain_of_many_terms_has_a_stack() {
    let terms = (0..600).map(|at| format!("(timestamp + 0 = {at} AND length(type) < {at})"));
    let query = format!("SELECT count(*) AS n FROM t WHERE {}", terms.collect::<Vec<_>>().join(" OR "));
    assert!(printed(&[&query, "--table", HALVES, "--csv"]).starts_with("n\n"));
}
