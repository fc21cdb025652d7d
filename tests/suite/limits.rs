//! Examples of filters and limits of reads (read-path.md §5, §11, §12).

use hregion::filter::SingleColumnValue;
use hregion::{
    CheckAndMutate, Comparator, Compare, Cursor, Delete, ErrorKind, Family, Filter, Get, Put, ReadView,
    Region, RowRef, Scan,
};
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
        // bytes of a call: the cell that reaches the limit is included; after the last cell the scan cannot
        // tell whether there are more
        (sized(28), "a:q+ | a:r+ | a:s | b:q+ | b:q | c:q | "),
        (sized(29), "a:qr+ | a:s b:q+ | b:q c:q | "),
        (sized(1000), "a:qrs b:qq c:q"),
        (sized(29).limit(1), "a:qr+ | a:s"),
        (sized(56).batch(1), "a:q+ a:r+ | a:s b:q+ | b:q c:q | "),
        (scan().max_result_size(1), "a:qrs | b:qq | c:q"),
        (scan().max_result_size(85), "a:qrs b:qq | c:q"),
        (scan().max_result_size(85).batch(2), "a:qr+ a:s b:qq | c:q"),
        // filters of whole rows see whole rows; filters that change cells do not change their counted sizes
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
            if cells < 3 { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
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
