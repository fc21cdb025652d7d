//! Queries on several executors, compared with queries in one process; executors that die.
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

/// Queries on the rows `t` of a snapshot, and its cells `c`.
const OF_SNAPSHOTS: [&str; 12] = [
    "SELECT count(*) FROM t",
    "SELECT count(*) FROM c",
    "SELECT * FROM t",
    "SELECT * FROM c",
    "SELECT row FROM t WHERE row >= 'row-0050' ORDER BY row LIMIT 7",
    "SELECT count(*), min(row), max(row) FROM t WHERE row LIKE 'row-00%'",
    "SELECT substr(row, 1, 6) AS part, count(*) AS n FROM t GROUP BY substr(row, 1, 6) ORDER BY part",
    "SELECT family, qualifier, count(*), max(timestamp) FROM c GROUP BY family, qualifier",
    "SELECT family, qualifier, min(value), count(DISTINCT row) FROM c GROUP BY family, qualifier",
    "SELECT t.row, count(*) AS cells FROM t JOIN c ON arrow_cast(t.row, 'Binary') = c.row GROUP BY t.row",
    "SELECT count(*) FROM t WHERE arrow_cast(row, 'Binary') IN (SELECT row FROM c WHERE family = X'70')",
    "SELECT row, value FROM c WHERE timestamp > 1000 AND family < X'71' ORDER BY row, value",
];

/// Queries on a table `t` of 1,000 rows with the columns n, a number, and s, a text that not all rows have.
const OF_NUMBERS: [&str; 32] = [
    "SELECT count(*) FROM t",
    "SELECT count(*), count(n), count(s), count(DISTINCT s) FROM t",
    "SELECT sum(n), min(n), max(n), avg(n) FROM t",
    "SELECT * FROM t",
    "SELECT row FROM t WHERE n = 500",
    "SELECT row FROM t WHERE row = '00000500'",
    "SELECT row, n FROM t WHERE row IN ('00000000', '00000130', '00000999', '00001000')",
    "SELECT count(*) FROM t WHERE row BETWEEN '00000120' AND '00000380'",
    "SELECT count(*), sum(n) FROM t WHERE row < '00000125' OR row >= '00000875'",
    "SELECT count(*) FROM t WHERE row < '0'",
    "SELECT count(*) FROM t WHERE s IS NULL",
    "SELECT count(*) FROM t WHERE s IS NOT NULL AND n % 2 = 0",
    "SELECT s, count(*), sum(n) FROM t GROUP BY s",
    "SELECT n % 10 AS last, count(*) FROM t GROUP BY n % 10 HAVING count(s) > 20 ORDER BY last",
    "SELECT n % 3 AS a, s, max(row) FROM t GROUP BY n % 3, s ORDER BY a, s NULLS LAST",
    "SELECT DISTINCT s FROM t",
    "SELECT row FROM t ORDER BY row",
    "SELECT row FROM t ORDER BY row LIMIT 5",
    "SELECT row FROM t ORDER BY row LIMIT 5 OFFSET 123",
    "SELECT row FROM t ORDER BY row DESC LIMIT 5",
    "SELECT row, s, n FROM t ORDER BY s NULLS FIRST, n DESC LIMIT 17",
    "SELECT count(*) FROM (SELECT row FROM t LIMIT 130)",
    "SELECT a.row, b.row FROM t a JOIN t b ON a.n = b.n + 1 WHERE a.row < '00000300'",
    "SELECT count(*) FROM t a JOIN t b ON a.s = b.s",
    "SELECT count(*), count(b.row) FROM t a LEFT JOIN t b ON a.n = b.n * 2",
    "SELECT count(*), count(a.row), count(b.row) FROM t a FULL JOIN t b ON a.n = b.n + 500",
    "SELECT count(*), sum(a.n * b.n) FROM t a CROSS JOIN t b WHERE a.n < 40 AND b.n > 990",
    "SELECT count(*) FROM t WHERE n IN (SELECT n * 3 FROM t)",
    "SELECT count(*) FROM t a WHERE NOT EXISTS (SELECT 1 FROM t b WHERE b.n = a.n + 10)",
    "SELECT count(*) FROM t WHERE n > (SELECT avg(n) FROM t WHERE s IS NOT NULL)",
    "SELECT count(*), sum(n) FROM (SELECT n FROM t WHERE n < 100 UNION ALL SELECT n FROM t WHERE n > 850)",
    "SELECT s, n, row_number() OVER (PARTITION BY s ORDER BY n) AS place FROM t WHERE n < 300",
];

/// Registers the rows of a target as `t`, and its cells as `c`.
fn register(context: &SessionContext, dir: &Path) {
    let target = Target::open(dir.to_str().unwrap(), TargetOptions::default()).unwrap();
    let rows = Layout::Columns(target.infer(1000).unwrap());
    for (name, layout) in [("t", rows), ("c", Layout::Cells)] {
        let table = target.table(layout).unwrap().min_partition_bytes(1);
        context.deregister_table(name).unwrap();
        context.register_table(name, Arc::new(table)).unwrap();
    }
}

/// Registers a table of [`numbers`] as `t`.
fn register_numbers(context: &SessionContext, dir: &Path) {
    let target = Target::open(dir.to_str().unwrap(), TargetOptions::default()).unwrap();
    let column = |text, name| Column::parse(text).unwrap().named(name);
    let columns = vec![column("f:n=long", "n"), column("f:s=utf8", "s")];
    let mapping = Mapping::new(RowKey::whole(ValueType::Utf8), columns).unwrap();
    context.deregister_table("t").unwrap();
    context.register_table("t", Arc::new(target.table(Layout::Columns(mapping)).unwrap())).unwrap();
}

async fn rows(context: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    context.sql(sql).await?.collect().await
}

/// The lines of an answer, in their order if the query defines one.
fn lines(sql: &str, batches: &[RecordBatch]) -> Vec<String> {
    let text = pretty_format_batches(batches).unwrap().to_string();
    let mut lines: Vec<String> =
        text.lines().filter(|line| line.starts_with('|')).map(str::to_owned).collect();
    if !sql.contains(" ORDER BY ") || sql.contains(" OVER ") {
        lines.sort();
    }
    lines
}

async fn compare(context: &SessionContext, local: &SessionContext, queries: &[&str]) {
    for sql in queries {
        let expected = lines(sql, &rows(local, sql).await.unwrap());
        assert!(expected.len() > 1, "{sql}");
        let found = rows(context, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(lines(sql, &found), expected, "{sql}");
    }
}

fn in_this_process() -> SessionContext {
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2))
}

async fn snapshots_are_the_same(context: &SessionContext) {
    let local = in_this_process();
    for dir in snapshots() {
        println!("{}", dir.display());
        register(&local, &dir);
        register(context, &dir);
        compare(context, &local, &OF_SNAPSHOTS).await;
    }
}

async fn numbers_are_the_same(context: &SessionContext) {
    let (dir, local) = (tempfile::tempdir().unwrap(), in_this_process());
    let path = numbers(dir.path(), 1000);
    register_numbers(&local, &path);
    register_numbers(context, &path);
    compare(context, &local, &OF_NUMBERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_in_this_process_answers() {
    let context = standalone(TargetOptions::default()).await.unwrap();
    numbers_are_the_same(&context).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executors_give_the_rows_of_one_process() {
    let cluster = Cluster::start();
    let config = session_config(TargetOptions::default()).with_target_partitions(6);
    let context = connect_with(&cluster.url(), config).await.unwrap();
    snapshots_are_the_same(&context).await;
    numbers_are_the_same(&context).await;
    // both executors have worked
    for executor in 0..2 {
        assert!(cluster.has_results(executor), "executor {executor} has no results");
    }
    // a damaged table causes an error that names the file
    let dir = tempfile::tempdir().unwrap();
    let path = numbers(dir.path(), 1000);
    let target = Target::open(path.to_str().unwrap(), TargetOptions::default()).unwrap();
    context.register_table("gone", Arc::new(target.table(Layout::Cells).unwrap())).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    let error = rows(&context, "SELECT * FROM gone").await.unwrap_err().to_string();
    assert!(!error.contains("panicked"), "{error}");
    // the program gives the same results
    let (local, table) = (in_this_process(), format!("c={}", snapshots()[0].display()));
    register(&local, &snapshots()[0]);
    let cells: usize = rows(&local, "SELECT 1 FROM c").await.unwrap().iter().map(RecordBatch::num_rows).sum();
    let printed = cluster.sql("SELECT count(*) AS n FROM c", &table, &[]);
    assert_eq!(printed, Ok(format!("n\n{cells}\n")));
    let values = "SELECT CAST(NULL AS VARCHAR) AS a, '' AS b, 'x,y' AS c FROM c LIMIT 1";
    assert_eq!(cluster.sql(values, &table, &[]), Ok("a,b,c\n,\"\",\"x,y\"\n".to_owned()));
    // names of tables are handled as in hregion-sql
    let capital = format!("Cells={}", snapshots()[0].display());
    let printed = cluster.sql("SELECT count(*) AS n FROM \"Cells\"", &capital, &[]);
    assert_eq!(printed, Ok(format!("n\n{cells}\n")));
    cluster.ends_without_readers("SELECT * FROM c", &table);
    let error = cluster.sql("CREATE TABLE d AS SELECT * FROM c", &table, &[]).unwrap_err();
    assert!(error.contains("DDL not supported"), "{error}");
    // a query whose client has disconnected ends, otherwise the cluster would not
    let long = "SELECT count(*) FROM c a JOIN c b ON a.family = b.family JOIN c d ON b.family = d.family";
    let error = cluster.sql(long, &table, &["--timeout", "1"]).unwrap_err();
    assert_eq!(error, "error: the query has timed out\n");
}

/// A master key is never sent: the client, the scheduler and the executors have their own options.
#[cfg(feature = "crypto")]
#[test]
fn each_process_has_its_own_master_key() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "000102030405060708090a0b0c0d0e0f\n").unwrap();
    let given = ["--master-key-file", key.to_str().unwrap()];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/small-encrypted.hfile");
    let (sql, table) = ("SELECT count(*) AS n FROM t", format!("t={}", path.display()));
    let cluster = Cluster::start_with(&given);
    let counted = cluster.sql(sql, &table, &given).unwrap();
    let count: u32 = counted.strip_prefix("n\n").unwrap().trim_end().parse().unwrap();
    assert!(count > 10, "{count}");
    // an error from the client
    let error = cluster.sql(sql, &table, &[]).unwrap_err();
    assert!(error.contains("master key"), "{error}");
    drop(cluster);
    // an error from the others
    let cluster = Cluster::start();
    let error = cluster.sql(sql, &table, &given).unwrap_err();
    assert!(error.contains("master key"), "{error}");
}

/// Writes a table of eight regions, with a number in each row, and a text in most. Returns its directory.
fn numbers(root: &Path, count: u32) -> PathBuf {
    let splits: Vec<String> = (1..8).map(|region| format!("{:08}", region * count / 8)).collect();
    let options = Region::options().durability(hregion::Durability::SkipWal);
    let table = Table::create_with(root, "t", &[Family::new("f")], &splits, options).unwrap();
    for row in 0..count {
        let number = i64::from(row).to_be_bytes().to_vec();
        let mut put = Put::new(format!("{row:08}")).cell_at("f", "n", 1, number);
        if row % 7 > 0 {
            put = put.cell_at("f", "s", 1, format!("s{}", row % 13));
        }
        table.put(put).unwrap();
    }
    table.close().unwrap();
    root.join("data/default/t")
}

/// The time limit for a query: the scheduler of the tests takes 6 to 8 seconds to detect a loss.
const LIMIT: Duration = Duration::from_secs(90);

/// The number of rows of the joined table.
const JOINED: u32 = 40_000;

/// Joins many rows of a table of [`numbers`] on a new cluster, and sends a signal to an executor when
/// `is_time` returns true. Returns the time taken, and the result of the query if the signal was sent while
/// it ran.
async fn join(
    path: &Path,
    signal: &str,
    is_time: impl Fn(&Cluster, Duration) -> bool,
) -> (Duration, Option<String>) {
    const REST: u32 = 400;
    let cluster = Cluster::start();
    let config = session_config(TargetOptions::default()).with_target_partitions(8);
    let context = connect_with(&cluster.url(), config).await.unwrap();
    register_numbers(&context, path);
    let sql = format!("SELECT count(*) AS n FROM t a JOIN t b ON a.n % {REST} = b.n % {REST}");
    let expected = (JOINED / REST) * (JOINED / REST) * REST;
    let begun = Instant::now();
    let query = tokio::spawn({
        let (context, sql) = (context.clone(), sql.clone());
        async move { rows(&context, &sql).await }
    });
    let mut is_killed = false;
    while !is_killed && !query.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if is_time(&cluster, begun.elapsed()) {
            is_killed = !query.is_finished();
            cluster.signal(signal, 0);
        }
    }
    let answer = tokio::time::timeout(LIMIT, query).await;
    let took = begun.elapsed();
    let outcome = match answer.expect("the query ends").expect("without a panic") {
        Ok(batches) => {
            assert!(lines(&sql, &batches).contains(&format!("| {expected} |")), "{batches:?}");
            "answered".to_owned()
        }
        Err(error) => {
            let error = error.to_string();
            assert!(is_killed && !error.is_empty() && !error.contains("panicked"), "{error}");
            error
        }
    };
    if signal == "STOP" {
        cluster.signal("CONT", 0);
    }
    // the other executor answers alone, after the loss is detected
    let (sql, begun) = ("SELECT count(*) AS n FROM t", Instant::now());
    loop {
        let counted = tokio::time::timeout(LIMIT, rows(&context, sql)).await;
        match counted.expect("the query ends") {
            Ok(batches) => {
                assert!(lines(sql, &batches).contains(&format!("| {JOINED} |")), "{batches:?}");
                break;
            }
            Err(error) => assert!(error.to_string().contains("was lost during the query"), "{error}"),
        }
        assert!(begun.elapsed() < LIMIT);
    }
    (took, is_killed.then_some(outcome))
}

/// An executor dies, or is stopped for too long, at several times of a query, early and late.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_answered_rightly_or_fails_if_an_executor_dies() {
    const TIMES: u32 = 8;
    let dir = tempfile::tempdir().unwrap();
    let path = numbers(dir.path(), JOINED);
    let (whole, _) = join(&path, "KILL", |_, _| false).await;
    println!("{whole:?} with both executors");
    let mut outcomes = vec![join(&path, "KILL", |cluster, _| cluster.has_results(0)).await];
    for time in 0..TIMES {
        outcomes.push(join(&path, "KILL", |_, since| since >= whole * time / TIMES).await);
    }
    // it continues after it was considered lost
    outcomes.push(join(&path, "STOP", |_, since| since >= whole / 2).await);
    for (took, outcome) in &outcomes {
        println!("after {took:?}: {outcome:?}");
    }
    let ended =
        outcomes.iter().filter(|(_, outcome)| outcome.as_ref().is_some_and(|text| text.contains("repeat")));
    assert!(ended.count() > 2, "{outcomes:?}");
}
