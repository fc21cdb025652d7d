//! Scans: pages, leases, counts.

use super::fake::{self, Cluster, Instead, Mischief, ROWS, expected_row, row_key};
use super::{CALL, OPERATION, PATIENCE, client, client_of, is_expected, scan};
use crate::Client;
use crate::rng::Rng;
use hregion::locator::RetryPolicy;
use hregion::{Error, Get, Row, Scan, TableName};
use std::time::{Duration, Instant};
use tokio::time::sleep;

#[tokio::test]
async fn cells_have_tags_if_they_are_asked_for() {
    let cluster = Cluster::start().await;
    for (tags, gzip) in [(false, false), (true, false), (true, true)] {
        let client = client_of(Client::builder().tags(tags), &cluster, CALL, gzip);
        let table = client.table(&TableName::parse("t").unwrap());
        let expected = if tags { fake::TAGS } else { &[] };
        let row = table.get(&Get::new(row_key(4))).await.unwrap();
        assert!(is_expected(&row, 4) && row.len() == 5);
        assert!(row.cells().all(|cell| cell.tag_bytes() == expected));
        let mut scanner = table.scan(Scan::new().caching(7)).unwrap();
        let mut rows = 0;
        while let Some(result) = scanner.next().await.unwrap() {
            assert!(is_expected(&result.row, rows));
            assert!(result.row.cells().all(|cell| cell.tag_bytes() == expected));
            rows += 1;
        }
        assert_eq!(rows, ROWS);
    }
}

#[tokio::test]
async fn a_page_that_is_read_ahead_has_the_time_of_an_operation() {
    let cluster = Cluster::start().await;
    let client = client(&cluster, Duration::from_secs(3600), false);
    let table = client.table(&TableName::parse("t").unwrap());
    let mut scanner = table.scan(Scan::new().caching(1)).unwrap();
    for at in 0..3 {
        let row = scanner.next_row().await.unwrap().unwrap();
        assert_eq!(row.key(), row_key(at).as_bytes());
    }
    cluster.behave(1, Mischief::SILENCE);
    let rest = async {
        while scanner.next().await?.is_some() {}
        Ok::<_, Error>(())
    };
    let ended = tokio::time::timeout(PATIENCE, rest).await.expect("an end in time");
    assert_eq!(ended.unwrap_err().kind(), hregion::ErrorKind::Io);
}

#[tokio::test]
async fn a_scan_without_caching_has_that_of_the_client() {
    let cluster = Cluster::start().await;
    let client = Client::builder().scanner_caching(1).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    for (scan, is_slow) in [(Scan::new(), true), (Scan::new().caching(50), false)] {
        let mut scanner = table.scan(scan).unwrap().track_metrics();
        while scanner.next_row().await.unwrap().is_some() {}
        let calls = scanner.metrics().unwrap().rpc_calls;
        assert_eq!(calls >= ROWS as u64, is_slow, "{calls} calls");
    }
}

/// A filter that drops all rows of a large table takes longer than an operation.
#[tokio::test]
async fn a_scan_without_rows_goes_on_while_servers_get_on_with_it() {
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).operation_timeout(OPERATION);
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    for reversed in [false, true] {
        cluster.instead(Some(Instead::OfRows));
        let mut scanner = table.scan(Scan::new().reversed(reversed)).unwrap();
        let begin = Instant::now();
        assert_eq!(scanner.next_row().await.unwrap(), None);
        assert!(begin.elapsed() > 2 * OPERATION);
        for kind in [Instead::OfOneRow, Instead::WithoutRow] {
            cluster.instead(Some(kind));
            let mut scanner = table.scan(Scan::new().reversed(reversed)).unwrap();
            let ended = tokio::time::timeout(PATIENCE, scanner.next_row()).await.expect("an end in time");
            let error = ended.unwrap_err();
            assert_eq!(error.kind(), hregion::ErrorKind::Io);
            assert!(error.message().contains("no progress"), "{kind:?}: {error}");
        }
        cluster.instead(None);
    }
}

#[tokio::test]
async fn more_results_than_were_asked_for_are_an_error() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, OPERATION, false).table(&TableName::parse("t").unwrap());
    cluster.instead(Some(Instead::EmptyResults));
    let error = table.scan(Scan::new().caching(10)).unwrap().next().await.unwrap_err();
    assert!(error.message().contains("more results or cells than asked for"), "{error}");
}

#[tokio::test]
async fn a_row_whose_parts_never_end_is_an_error() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, OPERATION, false).table(&TableName::parse("t").unwrap());
    for (cells, kind) in [(1, hregion::ErrorKind::Limit), (2, hregion::ErrorKind::Corrupt)] {
        cluster.instead(Some(Instead::SamePart(cells)));
        for limit in [0, 1] {
            let mut scanner = table.scan(Scan::new().limit(limit)).unwrap();
            let ended = tokio::time::timeout(PATIENCE, scanner.next_row()).await.expect("an end in time");
            let error = ended.unwrap_err();
            let is_of_time = error.kind() == hregion::ErrorKind::Io && cells > 1;
            assert!(error.kind() == kind || is_of_time, "{cells} cells: {error}");
        }
        // cells that are returned as they arrive need no memory
        let mut parts = table.scan(Scan::new().allow_partial(true)).unwrap();
        for _ in 0..if cells == 1 { 100 } else { 1 } {
            assert_eq!(parts.next().await.unwrap().map(|part| part.partial), Some(true));
        }
    }
}

/// Answers to other calls of a scanner, or of other scanners, would end a region early, or skip rows.
#[tokio::test]
async fn answers_to_other_calls_are_not_taken_for_those_of_a_scanner() {
    let cluster = Cluster::start().await;
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..60 {
        cluster.behave(seed, Mischief::WRONG_SCANNER[seed as usize % 2]);
        let client = client(&cluster, CALL, false);
        let table = client.table(&TableName::parse("t").unwrap());
        match scan(&table, &mut Rng::new(seed)).await {
            Ok(()) => right += 1,
            Err(_) => wrong += 1,
        }
    }
    assert!(right > 0 && wrong < 60, "{right} right answers, {wrong} errors");
}

/// A region that was read is merged with the next one, and the server begins at its first row.
#[tokio::test]
async fn rows_that_were_returned_are_not_taken_from_a_merged_region() {
    for reversed in [false, true] {
        let cluster = Cluster::start().await;
        let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
        // with a limit, the next region is not read ahead
        let scan = Scan::new().reversed(reversed).limit(ROWS as u64);
        let mut scanner = table.scan(scan).unwrap();
        for at in 0..ROWS / 5 {
            let row = scanner.next_row().await.unwrap().unwrap();
            assert!(is_expected(&row, if reversed { ROWS - 1 - at } else { at }));
        }
        let first = if reversed { ROWS / 5 * 3 } else { 0 };
        cluster.merge_and_ignore_starts(&row_key(first));
        let error = scanner.next_row().await.unwrap_err();
        assert!(error.message().contains("row outside of the range"), "{error}");
    }
}

/// At any position: within a row, whose parts are returned as they arrive, and after a row.
#[tokio::test]
async fn a_lease_that_is_not_renewed_repeats_no_cells() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    let values = |row: &Row| row.cells().map(|cell| cell.value().to_vec()).collect::<Vec<_>>();
    // rows of five, one and two cells
    let expected: Vec<_> = (4..7).flat_map(|at| values(&expected_row(at))).collect();
    for lost_after in 1..expected.len() {
        let scan = Scan::new().start_row(row_key(4), true).stop_row(row_key(7), false);
        let mut scanner = table.scan(scan.batch(1).caching(1)).unwrap();
        let mut found = Vec::new();
        while let Some(result) = scanner.next().await.unwrap() {
            found.extend(values(&result.row));
            if found.len() == lost_after {
                cluster.behave(1, Mischief::SILENCE);
                // nothing is requested if the next page already is
                let renewed = scanner.renew_lease().await;
                assert!(renewed.is_err() || lost_after > 1);
                cluster.behave(1, Mischief::NONE);
            }
        }
        assert_eq!(found, expected, "the lease was lost after {lost_after} cells");
    }
}

/// A slow reader also renews the lease while a page that was read ahead is waiting, and reads no further.
#[tokio::test]
async fn a_lease_that_is_renewed_goes_on() {
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(Duration::from_millis(1));
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    for caching in [1, 7] {
        let mut scanner = table.scan(Scan::new().caching(caching)).unwrap().track_metrics();
        let (mut rows, renewed) = (0, cluster.renewed());
        while let Some(row) = scanner.next_row().await.unwrap() {
            assert!(is_expected(&row, rows));
            rows += 1;
            if rows.is_multiple_of(9) {
                let calls = scanner.metrics().unwrap().rpc_calls;
                for _ in 0..4 {
                    // pages that are read ahead arrive in the meantime
                    sleep(Duration::from_millis(5)).await;
                    scanner.renew_lease().await.unwrap();
                }
                assert!(scanner.metrics().unwrap().rpc_calls <= calls + 1, "one page is read ahead");
            }
        }
        assert_eq!(rows, ROWS);
        let metrics = scanner.metrics().unwrap();
        assert_eq!((metrics.regions_scanned, metrics.rpc_retries), (5, 0), "no region is opened again");
        let renewed = cluster.renewed() - renewed;
        assert!(renewed > ROWS / 9, "{renewed} renewals in {} pauses", ROWS / 9);
    }
    // a lease that has ended is reported, and the scan continues
    let mut scanner = loop {
        let mut scanner = table.scan(Scan::new().caching(1)).unwrap().track_metrics();
        assert!(scanner.next_row().await.unwrap().is_some());
        // the first page may have a part of the row: after the second one, a page is read ahead
        if scanner.metrics().unwrap().rpc_calls == 1 {
            break scanner;
        }
    };
    cluster.end_leases();
    assert!(scanner.renew_lease().await.is_err());
    let mut rows = 1;
    while let Some(row) = scanner.next_row().await.unwrap() {
        assert!(is_expected(&row, rows));
        rows += 1;
    }
    assert_eq!(rows, ROWS);
}

#[tokio::test]
async fn a_small_scan_takes_one_call() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, OPERATION, false).table(&TableName::parse("t").unwrap());
    // rows of one cell, which arrive whole
    for scan in [
        Scan::new().limit(1),
        Scan::new().rows(row_key(5)..row_key(6)).limit(1),
        Scan::new().start_row(row_key(50), true).reversed(true).limit(1),
    ] {
        let mut scanner = table.scan(scan.clone()).unwrap().track_metrics();
        let mut rows = 0;
        while scanner.next_row().await.unwrap().is_some() {
            rows += 1;
        }
        let metrics = scanner.metrics().unwrap();
        assert_eq!((rows, metrics.rpc_calls, metrics.regions_scanned), (1, 1, 1), "{scan:?}");
    }
}

#[tokio::test]
async fn metrics_count_the_calls_and_regions_of_a_scan() {
    let cluster = Cluster::start().await;
    let table = client(&cluster, CALL, false).table(&TableName::parse("t").unwrap());
    assert_eq!(table.scan(Scan::new()).unwrap().metrics(), None);
    let mut scanner = table.scan(Scan::new().caching(1)).unwrap().track_metrics();
    assert_eq!(scanner.metrics(), Some(crate::ScanMetrics::default()));
    let mut rows = 0;
    while scanner.next_row().await.unwrap().is_some() {
        rows += 1;
    }
    let metrics = scanner.metrics().unwrap();
    assert_eq!((rows, metrics.regions_scanned, metrics.rpc_retries), (ROWS, 5, 0));
    assert!(metrics.rpc_calls >= ROWS as u64 && metrics.bytes_in_results > 20 * ROWS as u64);
}
