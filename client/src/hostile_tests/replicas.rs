//! Reads of the replicas of regions.

use super::fake::{Cluster, ROWS, Replicas, row_key};
use super::is_expected;
use crate::{Client, Table};
use hregion::locator::RetryPolicy;
use hregion::{Consistency, Error, ErrorKind, Get, Row, Scan, TableName};
use std::collections::BTreeSet;
use std::time::Duration;

const NEVER: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(2);

/// Returns the table of a cluster with replicas, for a client that asks the replicas other than the primary
/// one after a time.
async fn table(replicas: Replicas, wait: Duration, operation: Duration) -> (Cluster, Table) {
    let cluster = Cluster::start().await;
    cluster.replicas(replicas);
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(3);
    let builder = Client::builder().retries(retries.operation_timeout(operation));
    let builder = builder.primary_get_timeout(wait).primary_multiget_timeout(wait).primary_scan_timeout(wait);
    let client = builder.bootstrap(&cluster.addresses()).unwrap();
    (cluster, client.table(&TableName::parse("t").unwrap()))
}

fn get(at: usize) -> Get {
    Get::new(row_key(at)).consistency(Consistency::Timeline)
}

/// Reads all rows, with a get, many gets and scans; returns the first error of each kind of read.
async fn read(table: &Table, get: impl Fn(usize) -> Get, scan: Scan) -> [Result<Vec<Row>, Error>; 3] {
    let one = table.get(&get(7)).await.map(|row| vec![row]);
    let gets: Vec<Get> = (0..ROWS).map(get).collect();
    let many = table.get_many(&gets).await;
    let mut scanner = table.scan(scan.caching(9)).unwrap();
    let mut rows = Vec::new();
    let scanned = loop {
        match scanner.next_row().await {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => break Ok(rows),
            Err(error) => break Err(error),
        }
    };
    [one, many, scanned]
}

/// Checks that all reads find all rows, stale or not.
fn check(found: [Result<Vec<Row>, Error>; 3], stale: bool) {
    let [one, many, scanned] = found.map(Result::unwrap);
    assert!(is_expected(&one[0], 7) && one[0].is_stale() == stale, "{one:?}");
    for rows in [many, scanned] {
        assert_eq!(rows.len(), ROWS);
        for (at, row) in rows.iter().enumerate() {
            assert!(is_expected(row, at) && row.is_stale() == stale, "{row:?}");
        }
    }
}

fn timeline() -> Scan {
    Scan::new().consistency(Consistency::Timeline)
}

#[tokio::test]
async fn a_primary_replica_that_answers_in_time_is_asked_alone() {
    for replicas in [1, 3] {
        let (cluster, table) = table(Replicas::of(replicas), NEVER, NEVER).await;
        check(read(&table, get, timeline()).await, false);
        assert_eq!(cluster.asked(), [0]);
    }
}

#[tokio::test]
async fn other_replicas_answer_for_a_primary_one_that_is_late() {
    let (cluster, table) = table(Replicas { silent: &[0], ..Replicas::of(2) }, SOON, NEVER).await;
    check(read(&table, get, timeline()).await, true);
    assert_eq!(cluster.asked(), [0, 1]);
    let mut scanner = table.scan(timeline().reversed(true).batch(2)).unwrap();
    let (mut cells, mut rows) = (0, BTreeSet::new());
    while let Some(result) = scanner.next().await.unwrap() {
        assert!(result.row.is_stale());
        cells += result.row.len();
        // not by `partial`: the server may not know yet that a part is the last
        rows.insert(result.row.key().to_vec());
    }
    assert_eq!((cells, rows.len()), ((0..ROWS).map(|at| 1 + at % 5).sum(), ROWS));
}

#[tokio::test]
async fn other_replicas_answer_for_a_primary_one_that_fails() {
    for replicas in [Replicas { gone: &[0], ..Replicas::of(2) }, Replicas { broken: &[0], ..Replicas::of(2) }]
    {
        let (_cluster, table) = table(replicas, NEVER, NEVER).await;
        check(read(&table, get, timeline()).await, true);
    }
}

#[tokio::test]
async fn a_replica_that_fails_does_not_end_a_read() {
    for replicas in [
        Replicas { silent: &[0], broken: &[1], ..Replicas::of(3) },
        Replicas { silent: &[0], gone: &[1], ..Replicas::of(3) },
        Replicas { gone: &[0], silent: &[1], ..Replicas::of(3) },
    ] {
        let (_cluster, table) = table(replicas, SOON, NEVER).await;
        check(read(&table, get, timeline()).await, true);
    }
}

#[tokio::test]
async fn a_read_fails_if_all_replicas_do() {
    let (_cluster, table) = table(Replicas { gone: &[0, 1], ..Replicas::of(2) }, SOON, NEVER).await;
    let [one, many, scanned] = read(&table, get, timeline()).await.map(Result::unwrap_err);
    for error in [&one, &scanned] {
        assert_eq!(error.kind(), ErrorKind::Io);
        for replica in ["replica 0: failed 3 times: 1: ", "; replica 1: failed 3 times: 1: "] {
            assert!(error.message().contains(replica), "{error}");
        }
    }
    assert!(many.message().contains("failed 3 times"), "{many}");
}

#[tokio::test]
async fn strong_reads_ask_no_other_replica() {
    let replicas = Replicas { silent: &[0], ..Replicas::of(2) };
    let (cluster, table) = table(replicas, Duration::ZERO, Duration::from_millis(300)).await;
    let get = |at| Get::new(row_key(at)).replica_id(1);
    for result in read(&table, get, Scan::new().replica_id(1)).await {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Io);
    }
    assert_eq!(cluster.asked(), [0]);
}

#[tokio::test]
async fn a_read_of_one_replica_asks_no_other() {
    let (cluster, table) = table(Replicas::of(3), Duration::ZERO, NEVER).await;
    check(read(&table, |at| get(at).replica_id(2), timeline().replica_id(2)).await, true);
    assert_eq!(cluster.asked(), [2]);
    check(read(&table, |at| get(at).replica_id(0), timeline().replica_id(0)).await, false);
    assert_eq!(cluster.asked(), [0]);
    for result in read(&table, |at| get(at).replica_id(3), timeline().replica_id(3)).await {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.message().ends_with("has no replica 3"), "{error}");
    }
    assert_eq!(cluster.asked(), [0; 0]);
}
