//! Examples of filters and limits of reads (read-path.md §5, §11, §12).

mod sizes;
mod time;

use hregion::filter::{CellFilter, CustomFilter, SingleColumnValue, Verdict};
use hregion::{
    CellRef, CheckAndMutate, Clock, Comparator, Compare, Cursor, Delete, ErrorKind, Family, Filter, Get,
    Isolation, ManualClock, Put, ReadView, Region, Row, RowRef, Scan, ScanResult, ScanResults,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Creates a region of three rows whose cells count 28 bytes each: `a` has `f:q`, `f:r` and `f:s`, `b` has
/// `f:q` and `g:q`, and `c` has `f:q`. One row is in a file.
fn region() -> (TempDir, Region) {
    let dir = tempfile::tempdir().unwrap();
    let region = Region::options()
        .create_if_missing(true)
        .family(Family::new("f").max_versions(3))
        .family(Family::new("g"))
        .open(dir.path().join("region"))
        .unwrap();
    let put = |row: &'static str| Put::new(row).cell_at("f", "q", 1, "v");
    region.put(put("b").cell_at("g", "q", 1, "v")).unwrap();
    region.flush().unwrap();
    region.put(put("a").cell_at("f", "r", 1, "v").cell_at("f", "s", 1, "v")).unwrap();
    region.put(put("c")).unwrap();
    (dir, region)
}

fn text(row: RowRef<'_>) -> String {
    let qualifiers: String =
        row.cells().map(|cell| String::from_utf8(cell.qualifier().to_vec()).unwrap()).collect();
    format!("{}:{qualifiers}", String::from_utf8(row.key().to_vec()).unwrap())
}

/// Formats the calls of a scan, with `|` between calls and `+` after partial results.
fn calls(view: &ReadView, scan: &Scan) -> String {
    let mut scanner = view.scan(scan).unwrap();
    let mut calls = Vec::new();
    loop {
        let call = scanner.next_results(None).unwrap();
        let results = call.results.iter().map(|result| {
            assert!(!result.row.is_empty());
            text(result.row.as_row()) + if result.partial { "+" } else { "" }
        });
        calls.push(results.collect::<Vec<_>>().join(" "));
        if !call.more {
            return calls.join(" | ");
        }
    }
}

#[test]
fn limits_cut_where_they_may() {
    let (_dir, region) = region();
    let view = region.view();
    let scan = Scan::new;
    let sized = |bytes| scan().max_result_size(bytes).allow_partial(true);
    for (scan, expected) in [
        (scan(), "a:qrs b:qq c:q"),
        (scan().caching(1), "a:qrs | b:qq | c:q"),
        (scan().caching(2), "a:qrs b:qq | c:q"),
        (scan().limit(2), "a:qrs b:qq"),
        (scan().limit(0), "a:qrs b:qq c:q"),
        // cells of a result: a row that ends with the batch is not partial
        (scan().batch(1), "a:q+ a:r+ a:s b:q+ b:q c:q"),
        (scan().batch(2), "a:qr+ a:s b:qq c:q"),
        (scan().batch(3), "a:qrs b:qq c:q"),
        (scan().batch(2).caching(2), "a:qr+ a:s | b:qq c:q"),
        (scan().batch(2).limit(1), "a:qr+ a:s"),
        // bytes of a call: the cell that reaches the limit is included; after the last cell the scan has not
        // yet determined whether more follow
        (sized(28), "a:q+ | a:r+ | a:s | b:q+ | b:q | c:q | "),
        (sized(29), "a:qr+ | a:s b:q+ | b:q c:q | "),
        (sized(1000), "a:qrs b:qq c:q"),
        (sized(29).limit(1), "a:qr+ | a:s"),
        (sized(56).batch(1), "a:q+ a:r+ | a:s b:q+ | b:q c:q | "),
        (scan().max_result_size(1), "a:qrs | b:qq | c:q"),
        (scan().max_result_size(85), "a:qrs b:qq | c:q"),
        (scan().max_result_size(85).batch(2), "a:qr+ a:s b:qq | c:q"),
        // filters of whole rows are given whole rows; filters that change cells do not change their counted
        // sizes
        (sized(28).filter(Filter::page(2)), "a:qrs | b:qq"),
        (sized(29).filter(Filter::key_only(false)), "a:qr+ | a:s b:q+ | b:q c:q | "),
        // filtered cells do not count
        (sized(29).filter(Filter::column_prefix("q")), "a:q b:q+ | b:q c:q | "),
        (scan().batch(1).filter(Filter::prefix("b")), "b:q+ b:q"),
        (scan().limit(1).filter(Filter::prefix("b")), "b:qq"),
        (scan().row_offset_per_family(1).max_results_per_family(1).batch(1), "a:r"),
    ] {
        assert_eq!(calls(&view, &scan), expected, "{scan:?}");
    }
}

/// HBase: `RSRpcServices.scan` calls `RegionScanner.isFilterDone` after a call without results.
#[test]
fn a_call_for_no_results_ends_a_scan_whose_filter_is_done() {
    let (_dir, region) = region();
    let view = region.view();
    for (rows, more) in [(0, false), (1, true)] {
        let scan = Scan::new().filter(Filter::page(rows));
        let call = view.scan(&scan).unwrap().next_results(Some(0)).unwrap();
        assert_eq!((call.results.len(), call.more), (0, more), "{rows}");
    }
}

#[test]
fn pieces_come_one_by_one_too() {
    let (_dir, region) = region();
    let view = region.view();
    let scan = Scan::new().batch(2);
    let mut scanner = view.scan(&scan).unwrap();
    assert!(scanner.may_have_more() && scanner.cursor().is_none());
    let mut pieces = Vec::new();
    while let Some(piece) = scanner.next_row().unwrap() {
        let piece = text(piece);
        pieces.push((piece, scanner.is_partial(), scanner.cursor()));
    }
    let at = |row: &'static str, include| Some(Cursor::new(row, include));
    let expected = [
        ("a:qr", true, at("a", true)),
        ("a:s", false, at("a", false)),
        ("b:qq", false, at("b", false)),
        ("c:q", false, at("c", false)),
    ];
    assert_eq!(pieces, expected.map(|(piece, partial, cursor)| (piece.to_owned(), partial, cursor)));
    assert!(!scanner.may_have_more() && scanner.cursor().is_none() && !scanner.is_partial());
    let mut cells = 0;
    let scanner = view.scan(&scan).unwrap();
    scanner
        .for_each_cell(|_| {
            cells += 1;
            if cells < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    assert_eq!(cells, 3);
}

#[test]
fn a_scan_goes_on_where_another_one_ended() {
    let (_dir, region) = region();
    let view = region.view();
    for (scan, rest) in [
        (Scan::new().batch(2), "a:qr+ a:s b:qq c:q"),
        (Scan::new(), "b:qq c:q"),
        (Scan::new().limit(1), "b:qq"),
        (Scan::new().stop_row("b", true), "b:qq"),
        (Scan::new().filter(Filter::page(1)), "b:qq"),
    ] {
        let mut scanner = view.scan(&scan).unwrap();
        scanner.next_row().unwrap().unwrap();
        let cursor = scanner.cursor().unwrap();
        assert_eq!(calls(&view, &scan.clone().resume(&cursor)), rest, "{cursor:?}");
    }
}

#[test]
fn families_on_demand_change_no_answer() {
    let (_dir, region) = region();
    let view = region.view();
    let has = |family: &'static str| {
        let condition = SingleColumnValue::new(family, "q", Compare::Equal, Comparator::binary("v"));
        Filter::single_column_value(condition.filter_if_missing(true))
    };
    for (filter, expected) in [(has("g"), "b:qq"), (has("f"), "a:qrs b:qq c:q")] {
        for on_demand in [false, true] {
            let scan = Scan::new().filter(filter.clone()).load_families_on_demand(on_demand);
            assert_eq!(calls(&view, &scan), expected, "{filter:?} {on_demand}");
            let read = |row| {
                region.get(&Get::new(row).filter(filter.clone()).load_families_on_demand(on_demand)).unwrap()
            };
            assert_eq!(read("b").len(), 2);
            assert_eq!(read("a").is_empty(), expected == "b:qq");
        }
    }
    let cells = |on_demand| {
        let before = region.metrics();
        calls(&view, &Scan::new().filter(has("g")).load_families_on_demand(on_demand));
        region.metrics().since(&before).cells
    };
    assert!(cells(true) < cells(false));
}

#[test]
fn gets_and_conditions_may_be_filtered() {
    let (_dir, region) = region();
    let with = |row: &'static str, filter| Get::new(row).filter(filter);
    assert_eq!(text(region.get(&with("a", Filter::column_prefix("r"))).unwrap().as_row()), "a:r");
    assert!(region.exists(&with("a", Filter::column_prefix("r"))).unwrap());
    assert!(!region.exists(&with("b", Filter::column_prefix("r"))).unwrap());
    assert!(!region.exists(&with("a", Filter::prefix("b"))).unwrap());
    assert!(!region.exists(&with("", Filter::page(1))).unwrap());
    assert_eq!(region.view().get(&with("a", Filter::column_count(2))).unwrap().len(), 2);

    let is = |value: &'static str| Filter::value(Compare::Equal, Comparator::binary(value));
    let check = |filter| CheckAndMutate::if_filter("c", filter).then(Put::new("c").cell("f", "new", "w"));
    assert!(!region.check_and_mutate(check(is("w"))).unwrap().success);
    assert!(region.check_and_mutate(check(is("v"))).unwrap().success);
    assert!(region.check_and_mutate(check(is("w"))).unwrap().success);
    let before = hregion::TimeRange::new(0, 2).unwrap();
    assert!(!region.check_and_mutate(check(is("w")).time_range(before)).unwrap().success);
}

/// HBase: `HRegion.checkAndMutate` leaves `loadColumnFamiliesOnDemand` unset, unlike `HRegion.get`: the
/// filter evaluates the row with the cells of all families.
#[test]
fn conditions_load_no_families_on_demand() {
    let (_dir, region) = region();
    let other = SingleColumnValue::new("g", "q", Compare::Equal, Comparator::binary("other"));
    let other = other.filter_if_missing(true).latest_version_only(false).exclude(true);
    let filter = Filter::single_column_value(other);
    // the needed family has no cells left, so the row is not evaluated (read-path.md §11.4)
    let get = Get::new("b").filter(filter.clone());
    assert_eq!(text(region.get(&get).unwrap().as_row()), "b:q");
    assert!(!region.exists(&get.load_families_on_demand(false)).unwrap());
    let check = CheckAndMutate::if_filter("b", filter).then(Put::new("b").cell("f", "new", "w"));
    assert!(!region.check_and_mutate(check).unwrap().success);
}

#[test]
fn incompatible_options_are_rejected() {
    let (_dir, region) = region();
    let view = region.view();
    let refused = |scan: &Scan| view.scan(scan).map(drop).unwrap_err().kind();
    let page = Scan::new().filter(Filter::page(1)).batch(1);
    assert_eq!(refused(&page), ErrorKind::IncompatibleFilter);
    // checked before other errors
    assert_eq!(refused(&page.clone().family("none")), ErrorKind::IncompatibleFilter);
    assert_eq!(refused(&page.batch(0).family("none")), ErrorKind::NoSuchFamily);
    let filter = Filter::value(Compare::Equal, Comparator::long(1));
    let scan = Scan::new().filter(filter);
    let mut scanner = view.scan(&scan).unwrap();
    assert_eq!(scanner.next_row().unwrap_err().kind(), ErrorKind::InvalidArgument);
}

/// A hint from a cell of the empty qualifier does not skip a marker of the family after it (read-path.md
/// §9.11).
#[test]
fn deleted_cells_stay_hidden_after_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let family = Family::new("f").max_versions(9);
    let region = Region::options().create_if_missing(true).family(family).open(dir.path()).unwrap();
    region.put(Put::new("r").cell_at("f", "a", 5, "old").cell_at("f", "b", 5, "old")).unwrap();
    region.delete(Delete::new("r").family_at("f", 7)).unwrap();
    region.put(Put::new("r").cell_at("f", "", 9, "new").cell_at("f", "b", 8, "new")).unwrap();
    for filter in [
        "ColumnPrefixFilter('a')",
        "ColumnRangeFilter('a', true, 'b', true)",
        "MultipleColumnPrefixFilter('a', 'b')",
    ] {
        let scan = Scan::new().max_versions(9).filter(Filter::parse(filter).unwrap());
        for reversed in [false, true] {
            let scan = scan.clone().reversed(reversed);
            let cells: Vec<String> = region
                .view()
                .scan(&scan)
                .unwrap()
                .flat_map(|row| {
                    row.unwrap().as_row().cells().map(|cell| cell.to_string()).collect::<Vec<_>>()
                })
                .collect();
            let found = cells.iter().filter(|cell| cell.contains("/5/")).count();
            assert_eq!(found, 0, "{filter} {reversed} {cells:?}");
        }
    }
}

/// A row with too many columns ends the families that have visible cells in it, and no others, also after a
/// batch that ended with a row (read-path.md §23.10).
#[test]
fn a_family_without_visible_cells_of_the_last_row_goes_on_after_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let options = Region::options().create_if_missing(true).family(Family::new("f")).family(Family::new("g"));
    let region = options.open(dir.path().join("region")).unwrap();
    region.put(Put::new("a").cell_at("f", "q", 1, "v").cell_at("g", "q", 1, "v")).unwrap();
    let wide = Put::new("b").cell_at("f", "q", 1, "v").cell_at("f", "r", 1, "v").cell_at("f", "s", 1, "v");
    region.put(wide.cell_at("g", "q", 1, "v")).unwrap();
    region.delete(Delete::new("b").family_at("g", 1)).unwrap();
    region.put(Put::new("c").cell_at("f", "q", 1, "v").cell_at("g", "t", 1, "v")).unwrap();
    let view = region.view();
    let scan = Scan::new().filter(Filter::column_count(2));
    assert_eq!(calls(&view, &scan), "a:qq b:qr c:t");
    let batched = calls(&view, &scan.batch(1));
    assert_eq!(batched.replace('+', ""), "a:q a:q b:q b:r c:t");
}

/// A row at which a filter ends, and which expires during the scan, is treated as before: the scan returns
/// the cells of the time when it began.
#[test]
fn a_scan_ends_at_a_row_that_expires_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1000));
    let region = Region::options()
        .create_if_missing(true)
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .family(Family::new("f").ttl(Duration::from_secs(60)))
        .open(dir.path().join("region"))
        .unwrap();
    let long = "abcdefghijklmnopqrstuvwxyz";
    for row in ["a", "b", "c"] {
        let cells = long.split("").fold(Put::new(row), |put, column| put.cell("f", column, "v"));
        region.put(cells).unwrap();
    }
    let except_b = || Filter::row(Compare::NotEqual, Comparator::binary("b"));
    let until_b = Filter::while_match(except_b()).unwrap();
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        for (reversed, first) in [(false, "a"), (true, "c")] {
            clock.set(1000);
            let scan = Scan::new().filter(until_b.clone()).reversed(reversed).isolation(isolation);
            let view = region.view();
            let mut scanner = view.scan(&scan).unwrap();
            assert_eq!(scanner.next_row().unwrap().unwrap().key(), first.as_bytes());
            clock.set(100_000);
            assert!(scanner.next_row().unwrap().is_none(), "{isolation:?} {reversed}");
            // a row that had expired when the scan began does not end it
            let scan = Scan::new().filter(until_b.clone()).reversed(reversed).isolation(isolation);
            assert_eq!(calls(&view, &scan), "");
        }
    }
}

/// As a filter, passes all cells except those of the column `no`, and needs the family `f` only.
#[derive(Debug)]
struct NeedsF;

impl CustomFilter for NeedsF {
    fn start(&self) -> Box<dyn CellFilter> {
        Box::new(Self)
    }
}

impl CellFilter for NeedsF {
    fn filter_cell(&mut self, cell: CellRef<'_>) -> hregion::Result<Verdict> {
        Ok(if cell.qualifier() == b"no" { Verdict::Skip } else { Verdict::Include })
    }

    fn is_family_essential(&self, family: &[u8]) -> bool {
        family == b"f"
    }
}

/// Joins the parts of rows. The cells of each part are in order.
fn whole_rows<'r>(rows: impl Iterator<Item = RowRef<'r>>) -> Vec<(Vec<u8>, Vec<String>)> {
    let mut whole: Vec<(Vec<u8>, Vec<String>)> = Vec::new();
    for row in rows {
        let cells = row.cells().map(|cell| cell.to_string());
        match whole.last_mut() {
            Some((key, last)) if *key == row.key() => last.extend(cells),
            _ => whole.push((row.key().to_vec(), cells.collect())),
        }
    }
    whole.iter_mut().for_each(|(_, cells)| cells.sort());
    whole
}

/// Another scan continues at each cursor of a scan that loads families on demand, without repeating a
/// complete row, whichever limits cut the first one. If a limit is reached with the last cell of the family
/// that the filter needs, the others are not read (read-path.md §23.11).
#[test]
fn a_scan_with_families_on_demand_goes_on_after_each_call() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["e", "f", "g"].iter().fold(Region::options(), |all, name| all.family(Family::new(*name)));
    let region = options.create_if_missing(true).open(dir.path().join("region")).unwrap();
    for (row, columns) in [
        ("a", &["e:q", "f:q", "g:q"][..]),
        ("b", &["f:q", "f:r", "g:q", "g:r"]),
        ("c", &["e:q", "g:q"]),
        ("d", &["f:q", "f:r"]),
        ("e", &["f:no", "g:q"]),
        ("f", &["f:no", "f:q", "f:r", "f:zz-deleted", "g:q", "g:zz-deleted"]),
        ("g", &["f:q", "g:no"]),
        ("h", &["e:no", "e:q", "f:q", "f:r", "g:q", "g:zz-deleted"]),
        ("i", &["e:q", "f:q", "f:zz-deleted"]),
    ] {
        for column in columns {
            let (family, qualifier) = column.split_once(':').unwrap();
            region.put(Put::new(row).cell_at(family, qualifier, 1, "v")).unwrap();
            if qualifier == "zz-deleted" {
                region.delete(Delete::new(row).column_at(family, qualifier, 1)).unwrap();
            }
        }
        if row == "d" {
            region.flush().unwrap();
        }
    }
    let view = region.view();
    let plain = Scan::new().filter(Filter::custom(NeedsF)).load_families_on_demand(true);
    let rows = |scan: &Scan| {
        let rows: Vec<Row> = view.scan(scan).unwrap().map(Result::unwrap).collect();
        whole_rows(rows.iter().map(Row::as_row))
    };
    let all = rows(&plain);
    assert_eq!(all.iter().map(|(_, cells)| cells.len()).collect::<Vec<_>>(), [3, 4, 2, 3, 1, 4, 2]);
    let bytes = all.iter().flat_map(|(_, cells)| cells).count() as u64 * 28;
    let mut scans = Vec::new();
    for size in 0..=bytes + 1 {
        scans.push(plain.clone().max_result_size(size).allow_partial(true));
        scans.push(plain.clone().max_result_size(size));
    }
    for (batch, size) in (0..8).flat_map(|batch| [0, 1, 28, 29, 56, 57, 100].map(|size| (batch, size))) {
        scans.push(plain.clone().batch(batch).max_result_size(size).caching(1));
        scans.push(plain.clone().batch(batch).max_result_size(size).allow_partial(true).caching(2));
    }
    for scan in scans {
        let name = format!("{scan:?}");
        let mut scanner = view.scan(&scan).unwrap();
        let calls = all_calls(|| scanner.next_results(None));
        let results: Vec<&ScanResult> = calls.iter().flat_map(|call| &call.0).collect();
        let found = whole_rows(results.iter().map(|result| result.row.as_row()));
        let of_f = |rows: &[(Vec<u8>, Vec<String>)]| {
            let cells = rows.iter().flat_map(|(_, cells)| cells);
            cells.filter(|cell| cell.contains("f:")).cloned().collect::<Vec<_>>()
        };
        assert!(found.iter().map(|(row, _)| row).eq(all.iter().map(|(row, _)| row)), "{name}");
        assert_eq!(of_f(&found), of_f(&all), "{name}");
        for (at, (_, _, cursor)) in calls.iter().enumerate() {
            let before: Vec<&ScanResult> = calls[..=at].iter().flat_map(|call| &call.0).collect();
            let mut complete = whole_rows(before.iter().map(|result| result.row.as_row())).len();
            complete -= usize::from(before.last().is_some_and(|last| last.partial));
            let Some(cursor) = cursor else { continue };
            assert_eq!(rows(&plain.clone().resume(cursor)), all[complete..], "{name} {cursor:?}");
        }
        // the parts of a row follow each other, and the last is not marked as partial
        for (i, result) in results.iter().enumerate() {
            let goes_on = results.get(i + 1).is_some_and(|next| next.row.key() == result.row.key());
            assert!(result.partial || !goes_on, "{name}: {:?}", result.row);
        }
    }
}

/// The results of a call, whether it ended because of the time, and where the scan continues.
type TimedCall = (Vec<ScanResult>, bool, Option<Cursor>);

/// Returns all calls of a scan.
fn all_calls(mut next: impl FnMut() -> hregion::Result<ScanResults>) -> Vec<TimedCall> {
    let mut calls = Vec::new();
    loop {
        let call = next().unwrap();
        assert_eq!(call.more, call.cursor.is_some());
        calls.push((call.results, call.heartbeat, call.cursor));
        assert!(calls.len() < 1000, "a scan that does not end");
        if !call.more {
            return calls;
        }
    }
}

fn timed(view: &ReadView, scan: &Scan) -> Vec<TimedCall> {
    let mut scanner = view.scan(scan).unwrap();
    all_calls(|| scanner.next_results(None))
}

/// Returns the cells of calls.
fn cells(calls: &[(Vec<ScanResult>, bool, Option<Cursor>)]) -> Vec<String> {
    let results = calls.iter().flat_map(|(results, ..)| results);
    results.flat_map(|result| result.row.cells()).map(|cell| cell.to_string()).collect()
}

fn calls_without_results(view: &ReadView, scan: &Scan) -> usize {
    timed(view, scan).iter().filter(|(results, heartbeat, _)| *heartbeat && results.is_empty()).count()
}
