//! The program `hregion-sql`.

use crate::root;
use std::path::PathBuf;
use std::process::{Command, Output};

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

/// The commands of the page of the documentation, and what it says that they print.
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
fn errors_are_told() {
    let (error, exit) = refused(&["SELECT nothing FROM t", "--table", HALVES]);
    assert!(error.contains("nothing") && exit == Some(2), "{error}");
    let (error, exit) = refused(&["SELECT 1", "--table", "t=testdata/no-such-table"]);
    assert!(error.contains("no-such-table") && exit == Some(5), "{error}");
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
    let (_, exit) = refused(&["SELECT 1", "--table", "t"]);
    assert_eq!(exit, Some(2));
    let (error, _) = refused(&["SELECT 1", "--table", HALVES, "--table", HALVES]);
    assert!(error.contains("twice"), "{error}");
}
