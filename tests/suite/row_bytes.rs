//! `Limits::row_bytes`: no read collects a larger row (HBase: `hbase.table.max.rowsize`).

use hregion::filter::SingleColumnValue;
use hregion::{
    BlockCache, CheckAndMutate, Compaction, Comparator, Compare, Error, ErrorKind, Family, Filter, Get,
    Limits, Put, Region, RegionOptions, Result, Row, RowBuf, Scan,
};
use std::ops::ControlFlow;
use std::path::Path;
use tempfile::TempDir;

/// The bytes of row `b` in each family: ten cells of 28 bytes.
const LARGE: usize = 280;

fn options(row_bytes: usize) -> RegionOptions {
    Region::options().writable(true).limits(Limits::new().with_row_bytes(row_bytes))
}

fn create(path: &Path, row_bytes: usize) -> Region {
    let options = options(row_bytes).create_if_missing(true);
    options.family(Family::new("f")).family(Family::new("g")).open(path).unwrap()
}

/// Puts the small rows `a` and `c`, and `b` with ten columns of two families. Flushes after a put of
/// `flushes`.
fn put(region: &Region, flushes: &[usize]) {
    for i in 0..10 {
        let column = i.to_string();
        region.put(Put::new("b").cell_at("f", column.clone(), 1, "v").cell_at("g", column, 1, "v")).unwrap();
        if i == 4 {
            region.put(Put::new("a").cell_at("f", "0", 1, "v").cell_at("g", "0", 1, "v")).unwrap();
            region.put(Put::new("c").cell_at("f", "0", 1, "v").cell_at("g", "0", 1, "v")).unwrap();
        }
        if flushes.contains(&i) {
            region.flush().unwrap();
        }
    }
}

fn rows(region: &Region, scan: &Scan) -> Result<Vec<Row>> {
    region.view().scan(scan)?.collect()
}

/// Every way to read the whole row `b`.
fn reads(region: &Region) -> Vec<(&'static str, Result<usize>)> {
    let get = || Get::new("b");
    let is = |family: &'static str| {
        SingleColumnValue::new(family, "0", Compare::Equal, Comparator::binary("v")).filter_if_missing(true)
    };
    let whole = || Filter::single_column_value(is("f"));
    let cells = |row: Result<Row>| row.map(|row| row.len());
    let scanned = |scan: Scan| {
        rows(region, &scan).map(|rows| rows.iter().find(|row| row.key() == b"b").map_or(0, Row::len))
    };
    let mut used = RowBuf::new();
    (0..100).for_each(|_| used.push(region.get(&Get::new("a")).unwrap().cells().next().unwrap()));
    let many = [Get::new("a"), get(), Get::new("c")];
    let called = |scan: Scan| -> Result<usize> {
        let view = region.view();
        let mut scanner = view.scan(&scan)?;
        let results = scanner.next_results(None)?.results;
        Ok(results.iter().filter(|result| result.row.key() == b"b").map(|result| result.row.len()).sum())
    };
    vec![
        ("get", cells(region.get(&get()))),
        ("get again", cells(region.get(&get()))),
        ("get into", region.get_into(&get(), &mut used).map(|_| used.len())),
        ("get of a family", cells(region.get(&get().family("g"))).map(|cells| cells * 2)),
        ("get of a view", cells(region.view().get(&get()))),
        ("get, filtered", cells(region.get(&get().filter(Filter::prefix("b"))))),
        ("get, the row filtered", cells(region.get(&get().filter(whole())))),
        ("many gets", region.get_many(&many).map(|rows| rows[1].len())),
        ("exists", region.exists(&get()).map(|exists| usize::from(exists) * 20)),
        ("scan", scanned(Scan::new())),
        ("scan of a row", scanned(Scan::new().rows("b".."c"))),
        ("scan of a family", scanned(Scan::new().family("f")).map(|cells| cells * 2)),
        ("reversed", scanned(Scan::new().reversed(true))),
        ("raw", scanned(Scan::new().raw(true))),
        (
            "filtered",
            scanned(Scan::new().filter(Filter::row(Compare::GreaterOrEqual, Comparator::binary("a")))),
        ),
        ("reversed, filtered", scanned(Scan::new().reversed(true).filter(Filter::page(9)))),
        ("rows filtered", scanned(Scan::new().filter(whole()))),
        ("on demand", scanned(Scan::new().filter(whole()).load_families_on_demand(true))),
        ("a call", called(Scan::new())),
        ("a call with a size", called(Scan::new().max_result_size(100_000))),
        (
            "explained",
            region.explain(&Scan::new(), |_| ControlFlow::Continue(())).map(|found| match found.rows {
                3 => 20,
                _ => 0,
            }),
        ),
    ]
}

fn assert_refused(error: &Error, name: &str) {
    assert_eq!(error.kind(), ErrorKind::Limit, "{name}: {error}");
    let message = error.to_string();
    assert!(
        message.contains("row b has more than") && message.ends_with(", the limit of a row"),
        "{name}: {message}"
    );
}

#[test]
fn a_row_of_more_bytes_is_refused_wherever_it_is() {
    for flushes in [&[][..], &[9], &[2, 4, 7, 9], &[4, 6]] {
        for cached in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let region = create(dir.path(), LARGE);
            put(&region, flushes);
            for (name, read) in reads(&region) {
                assert_eq!(read.unwrap(), 20, "{name} {flushes:?}");
            }
            region.close().unwrap();
            let mut options = options(LARGE - 1);
            if cached {
                options = options.cache(&BlockCache::with_capacity(1 << 20));
            }
            let region = options.open(dir.path()).unwrap();
            for (name, read) in reads(&region) {
                assert_refused(&read.unwrap_err(), name);
            }
            // an append to a column does not read the whole row
            region.append(hregion::Append::new("b").column("f", "0", "w")).unwrap();
            let filter = Filter::value(Compare::Equal, Comparator::binary("v"));
            let check = CheckAndMutate::if_filter("b", filter).then(Put::new("b").cell("f", "9", "w"));
            assert_refused(&region.check_and_mutate(check).unwrap_err(), "check");
        }
    }
}

/// HBase reads the setting for each store (`ScanInfo`).
#[test]
fn the_setting_of_a_family_is_the_limit_of_its_cells() {
    for flushes in [&[][..], &[9], &[2, 4, 7, 9]] {
        for (setting, is_refused) in [(LARGE, false), (LARGE - 1, true), (0, true)] {
            let dir = tempfile::tempdir().unwrap();
            let limited = Family::new("g").configuration("hbase.table.max.rowsize", setting.to_string());
            let created = Region::options().create_if_missing(true).family(Family::new("f")).family(limited);
            let region = created.open(dir.path()).unwrap();
            put(&region, flushes);
            let check = |region: &Region| {
                let is_nothing_read = setting == 0;
                let reads = if is_nothing_read { Vec::new() } else { reads(region) };
                for (name, read) in reads {
                    // A scan of one family reads the other family.
                    match is_refused && name != "scan of a family" {
                        true => assert_refused(&read.unwrap_err(), name),
                        false => assert_eq!(read.unwrap(), 20, "{name} {flushes:?}"),
                    }
                }
                let refused = region.get(&Get::new("a")).map(drop);
                assert_eq!(refused.is_err(), is_nothing_read, "{flushes:?}");
                assert_eq!(region.get(&Get::new("b").family("f")).unwrap().len(), 10, "{flushes:?}");
                let parts = rows(region, &Scan::new().batch(3));
                assert_eq!(parts.is_err(), is_nothing_read, "{flushes:?}");
            };
            check(&region);
            region.close().unwrap();
            check(&Region::open(dir.path()).unwrap());
        }
    }
}

fn large() -> (TempDir, Region) {
    let dir = tempfile::tempdir().unwrap();
    let region = create(dir.path(), 27);
    put(&region, &[4]);
    (dir, region)
}

/// Rows that are read in parts, or not at all, have no limit; nor have flushes and compactions.
#[test]
fn rows_that_are_not_collected_have_no_limit() {
    let dir = tempfile::tempdir().unwrap();
    let region = create(dir.path(), LARGE - 1);
    put(&region, &[4]);
    let cells = |scan: Scan| rows(&region, &scan).unwrap().iter().map(Row::len).sum::<usize>();
    assert_eq!(cells(Scan::new().batch(3)), 24);
    assert_eq!(cells(Scan::new().max_result_size(100).allow_partial(true)), 24);
    assert_eq!(cells(Scan::new().max_results_per_family(9)), 22);
    assert_eq!(cells(Scan::new().column("f", "0").column("g", "1")), 4);
    // the row is dropped by its key, and ends the scan
    assert_eq!(cells(Scan::new().filter(Filter::prefix("a"))), 2);
    assert_eq!(cells(Scan::new().filter(Filter::row(Compare::NotEqual, Comparator::binary("b")))), 4);
    let mut passed = 0;
    let view = region.view();
    let each = |_: hregion::CellRef<'_>| {
        passed += 1;
        ControlFlow::Continue(())
    };
    view.scan(&Scan::new()).unwrap().for_each_cell(each).unwrap();
    assert_eq!(passed, 24);
    region.flush().unwrap();
    region.compact(Compaction::Major).unwrap();
    assert_refused(&region.get(&Get::new("b")).unwrap_err(), "after a compaction");
    assert_eq!(region.get(&Get::new("a")).unwrap().len(), 2);
}

/// The limit applies to the row, so even one cell may exceed it; a scanner ends at such a row.
#[test]
fn a_single_cell_counts() {
    let (_dir, region) = large();
    assert_eq!(region.get(&Get::new("a")).unwrap_err().kind(), ErrorKind::Limit);
    let view = region.view();
    let scan = Scan::new();
    let mut scanner = view.scan(&scan).unwrap();
    assert_eq!(scanner.next_row().unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(scanner.next_row().unwrap_err().kind(), ErrorKind::Limit);
    assert!(!scanner.may_have_more() && scanner.cursor().is_none());
}
