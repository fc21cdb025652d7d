//! The region after the current one of a scan, which is read ahead.

use super::{CALL, PATIENCE, client, is_expected, row_key};
use crate::hostile_tests::fake::{Cluster, ROWS};
use crate::{Client, Scanner, Table};
use hregion::{ErrorKind, Scan, TableName};
use std::future::ready;
use std::pin::pin;
use std::time::Duration;
use tokio::select;
use tokio::time::{sleep, timeout};

/// A lease that does not end during a test.
const LEASE: Duration = Duration::from_secs(3600);

fn table(cluster: &Cluster, lease: Duration) -> Table {
    client(cluster, lease, false).table(&TableName::parse("t").unwrap())
}

/// Reads rows, which must be those from a position on.
async fn read(scanner: &mut Scanner, from: usize, count: usize) {
    for at in from..from + count {
        let row = scanner.next_row().await.unwrap().unwrap();
        assert!(is_expected(&row, at), "{row:?}");
    }
}

/// Waits until the servers have these scanners, by the calls that followed the first of each.
pub(super) async fn until_open(cluster: &Cluster, expected: &[u64]) {
    for _ in 0..2000 {
        if cluster.scanners() == expected {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!("{:?} instead of {expected:?}", cluster.scanners());
}

/// Waits until a call that is held was made.
pub(super) async fn until_held(cluster: &Cluster) {
    let wait = async {
        while !cluster.has_held() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("a call that is held");
}

/// As in HBase, a lease of 0 has no end.
#[tokio::test]
async fn a_scan_without_a_lease_ends() {
    let cluster = Cluster::start().await;
    let table = table(&cluster, Duration::ZERO);
    let mut scanner = table.scan(Scan::new().caching(7)).unwrap();
    timeout(PATIENCE, read(&mut scanner, 0, ROWS)).await.expect("an end");
    assert!(scanner.next_row().await.unwrap().is_none());
}

#[tokio::test]
async fn some_pages_of_the_next_region_are_read_and_no_more() {
    let cluster = Cluster::start().await;
    let table = table(&cluster, LEASE);
    let mut scanner = table.scan(Scan::new().caching(1)).unwrap();
    read(&mut scanner, 0, 1).await;
    until_open(&cluster, &[0]).await;
    read(&mut scanner, 1, 1).await;
    // one page of the current region, four after the first of the next one
    until_open(&cluster, &[2, 4]).await;
    drop(scanner);
    until_open(&cluster, &[]).await;
}

#[tokio::test]
async fn it_is_not_read_if_the_scan_may_end_before() {
    let cluster = Cluster::start().await;
    let table = table(&cluster, LEASE);
    let in_first_region = Scan::new().stop_row(row_key(9), false);
    for scan in [Scan::new().limit(9), in_first_region] {
        let mut scanner = table.scan(scan.caching(1)).unwrap().track_metrics();
        read(&mut scanner, 0, 4).await;
        // the first call opened it, and a page is read ahead
        until_open(&cluster, &[scanner.metrics().unwrap().rpc_calls]).await;
        drop(scanner);
        until_open(&cluster, &[]).await;
    }
}

/// The memory of what is read ahead does not depend on the size of pages.
#[tokio::test]
async fn large_pages_are_not_read_ahead() {
    let cluster = Cluster::start().await;
    let table = table(&cluster, LEASE);
    let mut scanner = table.scan(Scan::new().caching(1).max_result_size(9 << 20)).unwrap();
    read(&mut scanner, 0, 2).await;
    until_open(&cluster, &[2, 0]).await;
}

#[tokio::test]
async fn a_slow_reader_has_the_next_region_closed() {
    let cluster = Cluster::start().await;
    let table = table(&cluster, CALL);
    let mut scanner = table.scan(Scan::new().caching(1)).unwrap();
    read(&mut scanner, 0, 2).await;
    sleep(CALL).await;
    read(&mut scanner, 2, 1).await;
    // it is not opened again before it is needed
    until_open(&cluster, &[3]).await;
    read(&mut scanner, 3, 1).await;
    until_open(&cluster, &[4]).await;
    read(&mut scanner, 4, ROWS - 4).await;
    assert_eq!(scanner.next_row().await.unwrap(), None);
    until_open(&cluster, &[]).await;
}

/// As if the process had been suspended.
#[tokio::test]
async fn a_region_whose_caller_is_not_run_for_long_is_opened_again() {
    let cluster = Cluster::start().await;
    let table = table(&cluster, CALL);
    let mut scanner = table.scan(Scan::new().caching(1)).unwrap();
    let mut next = pin!(scanner.next_row());
    select! {
        biased;
        _ = &mut next => panic!("no server has answered yet"),
        () = ready(()) => {}
    }
    sleep(CALL).await;
    assert!(is_expected(&next.await.unwrap().unwrap(), 0));
}

/// The pages that were read ahead count as calls of their scanner.
#[tokio::test]
async fn leases_of_regions_that_were_read_ahead_are_renewed() {
    let cluster = Cluster::start().await;
    let table = table(&cluster, LEASE);
    for caching in [1, 3] {
        let mut scanner = table.scan(Scan::new().caching(caching)).unwrap().track_metrics();
        let renewed = cluster.renewed();
        for at in 0..ROWS {
            read(&mut scanner, at, 1).await;
            if caching == 1 && at == 1 {
                until_open(&cluster, &[3, 4]).await;
            }
            scanner.renew_lease().await.unwrap();
        }
        assert_eq!(scanner.next_row().await.unwrap(), None);
        let metrics = scanner.metrics().unwrap();
        assert_eq!((metrics.regions_scanned, metrics.rpc_retries), (5, 0), "no region is opened again");
        assert!(cluster.renewed() > renewed);
    }
}

#[tokio::test]
async fn a_region_whose_lease_has_ended_is_opened_after_what_was_read_ahead() {
    let cluster = Cluster::start().await;
    let table = table(&cluster, LEASE);
    let mut scanner = table.scan(Scan::new().caching(1)).unwrap().track_metrics();
    // the first row of the second region
    read(&mut scanner, 0, ROWS / 5).await;
    until_open(&cluster, &[4]).await;
    read(&mut scanner, ROWS / 5, 1).await;
    cluster.end_leases();
    read(&mut scanner, ROWS / 5 + 1, 4 * ROWS / 5 - 1).await;
    assert_eq!(scanner.next_row().await.unwrap(), None);
    assert_eq!(scanner.metrics().unwrap().rpc_retries, 1);
}

/// A server that is silent once costs the time of an operation, whatever the lease of scanners, and no row.
#[tokio::test]
async fn pages_that_are_read_ahead_have_the_time_of_an_operation() {
    for call in 0..4 {
        let cluster = Cluster::start().await;
        let table = table(&cluster, LEASE);
        cluster.hold(row_key(ROWS / 5), call);
        let mut scanner = table.scan(Scan::new().caching(1)).unwrap();
        read(&mut scanner, 0, 2).await;
        until_held(&cluster).await;
        let rest = async {
            let (mut at, mut errors) = (2, 0);
            while at < ROWS {
                match scanner.next_row().await {
                    Ok(row) => {
                        assert!(is_expected(&row.unwrap(), at), "call {call}");
                        at += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
                        errors += 1;
                    }
                }
            }
            assert_eq!(scanner.next_row().await.unwrap(), None);
            errors
        };
        let errors = timeout(PATIENCE, rest).await.expect("an end in time");
        assert!(errors <= 1, "{errors} errors, call {call}");
    }
}

/// Rows that have arrived do not wait for a later page, which is neither lost nor read again.
#[tokio::test]
async fn rows_do_not_wait_for_a_page_that_is_under_way() {
    let cluster = Cluster::start().await;
    let client = Client::builder().bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    cluster.hold_back(row_key(ROWS / 5), Some(3));
    let mut scanner = table.scan(Scan::new().caching(1)).unwrap().track_metrics();
    let before = async {
        read(&mut scanner, 0, 2).await;
        until_held(&cluster).await;
        // the first row of the second region
        read(&mut scanner, 2, ROWS / 5 - 1).await;
        let renewed = cluster.renewed();
        scanner.renew_lease().await.unwrap();
        assert_eq!(cluster.renewed(), renewed, "the page that is under way renews the lease");
    };
    timeout(PATIENCE, before).await.expect("rows that do not wait for the page");
    cluster.release();
    read(&mut scanner, ROWS / 5 + 1, ROWS - ROWS / 5 - 1).await;
    assert_eq!(scanner.next_row().await.unwrap(), None);
    let metrics = scanner.metrics().unwrap();
    assert_eq!((metrics.regions_scanned, metrics.rpc_retries), (5, 0), "no region is opened again");
    until_open(&cluster, &[]).await;
}
