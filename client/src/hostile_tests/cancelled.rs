//! Calls of a scan whose caller no longer waits, for example after a time-out.

use super::next_region::{until_held, until_open};
use super::{PATIENCE, is_expected, row_key};
use crate::hostile_tests::fake::{Cluster, ROWS, Replicas};
use crate::{Client, Scanner, Table};
use hregion::locator::RetryPolicy;
use hregion::{Consistency, Scan, TableName};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Returns a table whose calls are not repeated.
fn table(cluster: &Cluster) -> Table {
    let client = Client::builder().retries(RetryPolicy::no_retries()).primary_scan_timeout(Duration::ZERO);
    client.bootstrap(&cluster.addresses()).unwrap().table(&TableName::parse("t").unwrap())
}

/// Reads rows until a call is held, and gives up waiting for it. Returns the number of rows.
async fn read_until_held(cluster: &Cluster, scanner: &mut Scanner) -> usize {
    let mut rows = 0;
    loop {
        tokio::select! {
            biased;
            row = scanner.next_row() => assert!(is_expected(&row.unwrap().unwrap(), rows)),
            () = until_held(cluster) => return rows,
        }
        rows += 1;
    }
}

/// Returns a scanner after its first row, for which it has made one call, and no other is in progress.
pub(super) async fn after_first_page(table: &Table) -> Scanner {
    loop {
        let mut scanner = table.scan(Scan::new().caching(1)).unwrap().track_metrics();
        assert!(is_expected(&scanner.next_row().await.unwrap().unwrap(), 0));
        // the first page may have a part of the row: after the second one, a page is read ahead
        if scanner.metrics().unwrap().rpc_calls == 1 {
            return scanner;
        }
    }
}

pub(super) async fn read_rest(scanner: &mut Scanner, from: usize) {
    for at in from..ROWS {
        let row = timeout(PATIENCE, scanner.next_row()).await.expect("a row in time");
        assert!(is_expected(&row.unwrap().unwrap(), at));
    }
    assert_eq!(scanner.next_row().await.unwrap(), None);
}

/// At any time: while a region is opened, or a page is read.
#[tokio::test]
async fn a_scan_goes_on_after_a_call_that_was_not_waited_for() {
    for region in 0..2 {
        // with large pages, a region has no more calls
        for (caching, calls) in [(1, &[None, Some(0), Some(1), Some(2)][..]), (0, &[None, Some(0)])] {
            for &call in calls {
                let cluster = Cluster::start().await;
                cluster.hold_back(row_key(region * ROWS / 5), call);
                let mut scanner = table(&cluster).scan(Scan::new().caching(caching)).unwrap().track_metrics();
                let rows = timeout(PATIENCE, read_until_held(&cluster, &mut scanner));
                let mut rows = rows.await.expect("a call that is held");
                // once more, or it was a call for another region
                while let Ok(row) = timeout(Duration::from_millis(5), scanner.next_row()).await {
                    assert!(is_expected(&row.unwrap().unwrap(), rows));
                    rows += 1;
                }
                cluster.release();
                read_rest(&mut scanner, rows).await;
                let metrics = scanner.metrics().unwrap();
                let opened = (metrics.regions_scanned, metrics.rpc_retries);
                assert_eq!(opened, (5, 0), "call {call:?} of region {region}: no region is opened again");
                until_open(&cluster, &[]).await;
                assert_eq!(cluster.closes(), 0, "servers close scanners at the end of a region");
            }
        }
    }
}

#[tokio::test]
async fn a_scan_goes_on_after_a_renewal_that_was_not_waited_for() {
    let cluster = Cluster::start().await;
    let mut scanner = after_first_page(&table(&cluster)).await;
    cluster.hold_back(row_key(0), Some(0));
    tokio::select! {
        renewed = scanner.renew_lease() => panic!("{renewed:?}"),
        () = until_held(&cluster) => {}
    }
    assert!(timeout(Duration::from_millis(5), scanner.renew_lease()).await.is_err());
    assert!(timeout(Duration::from_millis(5), scanner.next_row()).await.is_err());
    cluster.release();
    scanner.renew_lease().await.unwrap();
    read_rest(&mut scanner, 1).await;
    let metrics = scanner.metrics().unwrap();
    assert_eq!((metrics.regions_scanned, metrics.rpc_retries), (5, 0), "no region is opened again");
}

/// The response with the scanner's id comes when the scan no longer exists.
#[tokio::test]
async fn a_scan_that_is_dropped_leaves_no_scanner_open() {
    for call in [None, Some(0), Some(1), Some(2)] {
        let cluster = Cluster::start().await;
        cluster.hold_back(row_key(0), call);
        let mut scanner = table(&cluster).scan(Scan::new().caching(1)).unwrap();
        let rows = timeout(PATIENCE, read_until_held(&cluster, &mut scanner)).await;
        rows.expect("a call that is held");
        drop(scanner);
        cluster.release();
        until_open(&cluster, &[]).await;
        assert!(cluster.closes() > 0, "call {call:?}");
    }
}

/// The scan reads from the replica that answers first.
#[tokio::test]
async fn the_scanner_of_a_copy_that_is_late_is_closed() {
    let cluster = Cluster::start().await;
    cluster.replicas(Replicas::of(2));
    cluster.hold_back(row_key(0), None);
    let scan = Scan::new().consistency(Consistency::Timeline).caching(1);
    let mut scanner = table(&cluster).scan(scan).unwrap();
    assert!(is_expected(&scanner.next_row().await.unwrap().unwrap(), 0));
    let count = async |count| {
        while cluster.scanners().len() != count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, count(2)).await.expect("a scanner of each replica");
    cluster.release();
    timeout(PATIENCE, count(1)).await.expect("one that is closed");
    drop(scanner);
    until_open(&cluster, &[]).await;
}
