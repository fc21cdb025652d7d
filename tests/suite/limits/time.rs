//! Limits on the time of a call.

use super::{all_calls, calls_without_results, cells, timed};
use hregion::filter::SingleColumnValue;
use hregion::{
    Clock, Comparator, Compare, Delete, Family, Filter, Put, Region, Row, Scan, ScanResult, Table,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// A clock that advances by a millisecond at each reading.
#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Creates a region of 200 rows in two families, in files and in memory. Every seventh row and 60 consecutive
/// rows are deleted; two rows have the value `hit`.
fn long_region(dir: &TempDir) -> Region {
    let region = Region::options()
        .create_if_missing(true)
        .clock(Arc::new(Ticking::default()))
        .family(Family::new("f"))
        .family(Family::new("g"))
        .open(dir.path().join("region"))
        .unwrap();
    for i in 0..200 {
        let value = if i == 40 || i == 190 { "hit" } else { "v" };
        let put = Put::new(format!("r{i:03}")).cell_at("f", "q", 1, value).cell_at("f", "r", 1, "w");
        region.put(put.cell_at("g", "q", 1, "v")).unwrap();
        if i % 70 == 69 {
            region.flush().unwrap();
        }
    }
    for i in (0..200).filter(|i| i % 7 == 0 || (80..140).contains(i)) {
        region.delete(Delete::new(format!("r{i:03}"))).unwrap();
    }
    region
}

/// A scan with a limit on time returns the same results in more calls, some of which have none, and another
/// scan continues where each call ended.
#[test]
fn a_call_ends_when_its_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let region = long_region(&dir);
    let view = region.view();
    let hits = || Filter::value(Compare::Equal, Comparator::binary("hit"));
    let column = || {
        Filter::single_column_value(SingleColumnValue::new(
            "f",
            "q",
            Compare::Equal,
            Comparator::binary("hit"),
        ))
    };
    let last = || Filter::row(Compare::Greater, Comparator::binary("r195"));
    for (name, scan, least) in [
        ("all", Scan::new(), 20),
        ("reversed", Scan::new().reversed(true), 20),
        ("raw", Scan::new().raw(true), 20),
        ("values", Scan::new().filter(hits()), 20),
        ("values, reversed", Scan::new().filter(hits()).reversed(true), 20),
        ("rows", Scan::new().filter(last()), 20),
        ("a column", Scan::new().filter(column()), 20),
        ("families on demand", Scan::new().filter(column()).load_families_on_demand(true), 20),
        ("batches", Scan::new().batch(1), 20),
        ("parts", Scan::new().max_result_size(60).allow_partial(true), 100),
        ("few", Scan::new().caching(3), 40),
        ("a limit", Scan::new().limit(50), 5),
        ("a range", Scan::new().rows("r070".."r150"), 5),
    ] {
        let whole: Vec<ScanResult> = timed(&view, &scan).into_iter().flat_map(|call| call.0).collect();
        let limited = scan.clone().time_limit(Duration::from_millis(4));
        let calls = timed(&view, &limited);
        let found: Vec<ScanResult> = calls.iter().flat_map(|call| call.0.clone()).collect();
        assert_eq!(found, whole, "{name}");
        let ended = calls.iter().filter(|(_, heartbeat, _)| *heartbeat).count();
        assert!(
            calls.len() >= least && ended >= least / 10,
            "{name}: {} calls, {ended} by time",
            calls.len()
        );
        assert!(!calls.last().unwrap().1, "{name}");
        let all = cells(&timed(&view, &scan.clone().limit(0)));
        for (at, (results, _, cursor)) in calls.iter().enumerate() {
            let Some(cursor) = cursor else { continue };
            let rest = cells(&timed(&view, &scan.clone().limit(0).resume(cursor)));
            let expected = &all[cells(&calls[..=at]).len()..];
            // the rest of a row is read together with its beginning
            let is_cut = results.last().is_some_and(|last| last.partial);
            assert!(if is_cut { rest.ends_with(expected) } else { rest == expected }, "{name}, {cursor:?}");
        }
    }
    let empty =
        calls_without_results(&view, &Scan::new().filter(hits()).time_limit(Duration::from_millis(4)));
    assert!(empty >= 15, "{empty}");
    // the time does not limit a loop over all rows
    let rows = view.scan(&Scan::new().time_limit(Duration::from_nanos(1))).unwrap().count();
    assert_eq!(rows, view.scan(&Scan::new()).unwrap().count());
}

/// A call of a table's scanner also ends in time, and reads one region. Another scan continues where it
/// ended.
#[test]
fn a_call_of_a_table_ends_when_its_time_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let options = Region::options().clock(Arc::new(Ticking::default()));
    let splits = ["r050", "r100", "r150"];
    let table = Table::create_with(dir.path(), "t", &[Family::new("f")], &splits, options).unwrap();
    for i in (0..200).filter(|i| i % 7 != 0 && !(95..160).contains(i)) {
        let value = if i == 40 || i == 190 { "hit" } else { "v" };
        table
            .put(Put::new(format!("r{i:03}")).cell_at("f", "q", 1, value).cell_at("f", "r", 1, "w"))
            .unwrap();
    }
    let calls = |scan: &Scan| {
        let mut scanner = table.scan(scan.clone()).unwrap();
        let calls = all_calls(|| scanner.next_results(None));
        assert!(scanner.next_results(None).unwrap().results.is_empty());
        assert!(scanner.next_row().unwrap().is_none());
        calls
    };
    let hits = || Filter::value(Compare::Equal, Comparator::binary("hit"));
    for (name, scan, least) in [
        ("all", Scan::new(), 10),
        ("reversed", Scan::new().reversed(true), 10),
        ("values", Scan::new().filter(hits()), 10),
        ("values, reversed", Scan::new().filter(hits()).reversed(true), 10),
        ("batches", Scan::new().batch(1), 10),
        ("few", Scan::new().caching(3), 30),
        ("a limit", Scan::new().limit(60), 5),
        ("a range", Scan::new().rows("r030".."r170"), 5),
    ] {
        let whole: Vec<Row> = table.scan(scan.clone()).unwrap().map(Result::unwrap).collect();
        let calls_of = calls(&scan.clone().time_limit(Duration::from_millis(4)));
        let found: Vec<Row> =
            calls_of.iter().flat_map(|(results, ..)| results).map(|result| result.row.clone()).collect();
        assert_eq!(found, whole, "{name}");
        let ended = calls_of.iter().filter(|(_, heartbeat, _)| *heartbeat).count();
        // three results fit in the time of a call
        let is_timed = name != "few";
        let made = calls_of.len();
        assert!(made >= least && (ended > 0) == is_timed, "{name}: {made} calls, {ended} by time");
        let all = cells(&calls(&scan.clone().limit(0)));
        for (at, (results, _, cursor)) in calls_of.iter().enumerate() {
            let Some(cursor) = cursor else { continue };
            let rest = cells(&calls(&scan.clone().limit(0).resume(cursor)));
            let expected = &all[cells(&calls_of[..=at]).len()..];
            let is_cut = results.last().is_some_and(|last| last.partial);
            assert!(if is_cut { rest.ends_with(expected) } else { rest == expected }, "{name}, {cursor:?}");
        }
    }
    // without a limit, one call for each region
    assert_eq!(calls(&Scan::new()).len(), 4);
}
