//! Queries on several executors, compared with those of one process; executors that die.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a test")]

#[path = "../../../../tests/support/golden_tables.rs"]
mod golden_tables;
mod processes;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::error::Result;
use datafusion::execution::context::{SessionConfig, SessionContext};
use hregion::{Family, Put, Region, Table};
use hregion_arrow::{Column, Layout, Mapping, RowKey, ValueType};
use hregion_ballista::{connect_with, session_config, standalone};
use hregion_datafusion::{Target, TargetOptions};
use processes::Cluster;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn snapshots() -> Vec<PathBuf> {
    let found = golden_tables::golden_snapshots();
    assert!(!found.is_empty());
    found
}

const QUERIES: [&str; 8] = [
    "SELECT count(*) FROM t",
    "SELECT * FROM t",
    "SELECT row FROM t WHERE row >= 'row-0050' ORDER BY row LIMIT 7",
    "SELECT count(*), min(row), max(row) FROM t WHERE row LIKE 'row-00%'",
    "SELECT substr(row, 1, 6) AS part, count(*) AS n FROM t GROUP BY substr(row, 1, 6) ORDER BY part",
    "SELECT family, qualifier, count(*), sum(octet_length(value)) FROM c GROUP BY family, qualifier",
    "SELECT t.row, count(*) AS cells FROM t JOIN c ON arrow_cast(t.row, 'Binary') = c.row GROUP BY t.row",
    "SELECT row, value FROM c WHERE timestamp > 1000 AND family < X'71' ORDER BY row, value",
];

/// Registers the rows of a target as `t`, its cells as `c`.
fn register(context: &SessionContext, dir: &Path) {
    let target = Target::open(dir.to_str().unwrap(), TargetOptions::default()).unwrap();
    let rows = Layout::Columns(target.infer(1000).unwrap());
    for (name, layout) in [("t", rows), ("c", Layout::Cells)] {
        let table = target.table(layout).unwrap().min_partition_bytes(1);
        context.deregister_table(name).unwrap();
        context.register_table(name, Arc::new(table)).unwrap();
    }
}

async fn rows(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    context.sql(sql).await?.collect().await
}

fn sorted(batches: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(batches).unwrap().to_string();
    let mut lines: Vec<String> =
        text.lines().filter(|line| line.starts_with('|')).map(str::to_owned).collect();
    lines.sort();
    lines
}

async fn answers_are_those_of_one_process(context: &SessionContext, dir: &Path) {
    let local = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    register(&local, dir);
    register(context, dir);
    for sql in QUERIES {
        let expected = sorted(&rows(&local, sql).await.unwrap());
        assert!(expected.len() > 1, "{sql}");
        let found = rows(context, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(sorted(&found), expected, "{}: {sql}", dir.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_in_this_process_answers() {
    let context = standalone(TargetOptions::default()).await.unwrap();
    answers_are_those_of_one_process(&context, &snapshots()[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executors_give_the_rows_of_one_process() {
    let cluster = Cluster::start();
    let config = session_config(TargetOptions::default()).with_target_partitions(6);
    let context = connect_with(&cluster.url(), config).await.unwrap();
    for dir in snapshots() {
        answers_are_those_of_one_process(&context, &dir).await;
    }
    // both have worked
    for executor in 0..2 {
        assert!(cluster.has_results(executor), "executor {executor} has no results");
    }
    // a damaged table is an error, which names the file
    let dir = tempfile::tempdir().unwrap();
    let path = table(dir.path(), 1000);
    let target = Target::open(path.to_str().unwrap(), TargetOptions::default()).unwrap();
    context.register_table("gone", Arc::new(target.table(Layout::Cells).unwrap())).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    let error = rows(&context, "SELECT * FROM gone").await.unwrap_err().to_string();
    assert!(!error.contains("panicked"), "{error}");
    let printed = cluster.program(&[
        "sql",
        "SELECT count(*) AS n FROM t",
        "--scheduler",
        &cluster.url(),
        "--table",
        &format!("t={}", snapshots()[0].display()),
    ]);
    assert!(printed.starts_with("n\n"), "{printed}");
}

/// Writes a table of several regions, with a number in each row. Returns its directory.
fn table(root: &Path, count: u32) -> PathBuf {
    let splits: Vec<String> = (1..8).map(|region| format!("{:08}", region * count / 8)).collect();
    let options = Region::options().durability(hregion::Durability::SkipWal);
    let table = Table::create_with(root, "t", &[Family::new("f")], &splits, options).unwrap();
    for row in 0..count {
        let number = i64::from(row).to_be_bytes().to_vec();
        table.put(Put::new(format!("{row:08}")).cell_at("f", "n", 1, number)).unwrap();
    }
    table.close().unwrap();
    root.join("data/default/t")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_dies_makes_no_wrong_answer() {
    const ROWS: u32 = 40_000;
    const REST: u32 = 400;
    let dir = tempfile::tempdir().unwrap();
    let path = table(dir.path(), ROWS);
    let mut cluster = Cluster::start();
    let config = session_config(TargetOptions::default()).with_target_partitions(8);
    let context = connect_with(&cluster.url(), config).await.unwrap();
    let target = Target::open(path.to_str().unwrap(), TargetOptions::default()).unwrap();
    let columns = vec![Column::parse("f:n=long").unwrap()];
    let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap();
    context.register_table("t", Arc::new(target.table(Layout::Columns(mapping)).unwrap())).unwrap();
    let sql = format!("SELECT count(*) AS n FROM t a JOIN t b ON a.\"f:n\" % {REST} = b.\"f:n\" % {REST}");
    let expected = (ROWS / REST) * (ROWS / REST) * REST;
    let query = tokio::spawn({
        let (context, sql) = (context.clone(), sql.clone());
        async move { rows(&context, &sql).await }
    });
    // in the middle: it has results of a stage
    let begun = Instant::now();
    while !cluster.has_results(0) && begun.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!query.is_finished(), "the query is too short");
    cluster.kill_executor(0);
    let answer = tokio::time::timeout(Duration::from_secs(240), query).await;
    match answer.expect("the query ends").expect("without a panic") {
        Ok(batches) => {
            let found = sorted(&batches);
            assert!(found.contains(&format!("| {expected} |")), "{found:?}, expected {expected}");
            println!("answered after {:?}", begun.elapsed());
        }
        Err(error) => {
            let error = error.to_string();
            assert!(!error.is_empty() && !error.contains("panicked"), "{error}");
            println!("failed after {:?}: {error}", begun.elapsed());
        }
    }
    // the other one answers alone
    let counted =
        tokio::time::timeout(Duration::from_secs(120), rows(&context, "SELECT count(*) AS n FROM t"));
    let counted = sorted(&counted.await.expect("an answer").unwrap());
    assert!(counted.contains(&format!("| {ROWS} |")), "{counted:?}");
}
