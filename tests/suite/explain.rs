//! Explanations of reads: each reason, for rows chosen for it. `cli/tests/tool/replay.rs` compares
//! explanations with the answers of whole scripts.

use hregion::region::{CellReason, ExplainedCell, ExplainedFile};
use hregion::{
    BloomType, CellRef, CellType, Delete, ErrorKind, Family, Filter, Get, HFileWriter, Isolation,
    KeepDeletedCells, ManualClock, Put, ReadView, Region, Row, Scan, SeekKey, Table, TimeRange,
};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const NOW: i64 = 1_000_000;

/// A region in a temporary directory.
struct Scratch {
    region: Region,
    clock: Arc<ManualClock>,
    dir: tempfile::TempDir,
}

fn scratch(families: impl IntoIterator<Item = Family>) -> Scratch {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let options = Region::options().writable(true).create_if_missing(true).clock(Arc::clone(&clock) as _);
    let options = families.into_iter().fold(options, hregion::RegionOptions::family);
    Scratch { region: options.open(dir.path().join("region")).unwrap(), clock, dir }
}

fn family() -> Family {
    Family::new("f").max_versions(3)
}

fn put(region: &Region, row: &str, column: &str, timestamp: i64) {
    let (family, qualifier) = column.split_once(':').unwrap();
    let (family, qualifier) = (family.to_owned(), qualifier.to_owned());
    region
        .put(Put::new(row.to_owned()).cell_at(family, qualifier, timestamp, format!("v{timestamp}")))
        .unwrap();
}

/// `q/5` for a value, `q/5/DeleteColumn` for a marker.
fn name(cell: CellRef<'_>) -> String {
    let (qualifier, timestamp) = (String::from_utf8_lossy(cell.qualifier()), cell.timestamp());
    match cell.cell_type() {
        CellType::Put => format!("{qualifier}/{timestamp}"),
        marker => format!("{qualifier}/{timestamp}/{}", marker.name()),
    }
}

fn line(explained: ExplainedCell<'_>) -> String {
    let by = explained.by.map_or_else(String::new, |by| format!(" by {}", name(by)));
    format!("{} {}{by}", name(explained.cell), explained.reason)
}

fn explain(region: &Region, scan: &Scan) -> Vec<String> {
    explain_view(&region.view(), scan)
}

fn explain_view(view: &ReadView, scan: &Scan) -> Vec<String> {
    let mut lines = Vec::new();
    view.explain(scan, |cell| {
        lines.push(line(cell));
        ControlFlow::Continue(())
    })
    .unwrap();
    lines
}

/// Returns the reason of each file, oldest first.
fn file_reasons(region: &Region, scan: &Scan) -> Vec<&'static str> {
    let explained = region.explain(scan, |_| ControlFlow::Continue(())).unwrap();
    explained.files.iter().map(|ExplainedFile { reason, .. }| reason.name()).collect()
}

#[test]
fn versions_and_duplicates() {
    let Scratch { dir: _dir, region, .. } = scratch([family()]);
    for timestamp in [1, 2, 3, 3, 4] {
        put(&region, "r", "f:q", timestamp);
        region.flush().unwrap();
    }
    put(&region, "r", "f:p", 9);
    let one = Scan::new().max_versions(1);
    let newer = ["q/3", "q/3", "q/2", "q/1"].map(|cell| format!("{cell} newer_versions by q/4"));
    assert_eq!(
        explain(&region, &one),
        [&["p/9 returned".into(), "q/4 returned".into()], &newer[..]].concat()
    );
    let named = Scan::new().column("f", "q").max_versions(1);
    assert_eq!(
        explain(&region, &named),
        [&["p/9 column".into(), "q/4 returned".into()], &newer[..]].concat()
    );
    let expected = [
        "p/9 returned",
        "q/4 returned",
        "q/3 returned",
        "q/3 duplicate by q/3",
        "q/2 returned",
        "q/1 newer_versions by q/4",
    ];
    let all = Scan::new().max_versions(5);
    assert_eq!(explain(&region, &all), expected);
    let named = explain(&region, &Scan::new().column("f", "q").column("f", "z").max_versions(5));
    assert_eq!((named[0].as_str(), &named[1..]), ("p/9 column", &expected.map(String::from)[1..]));
    // The last written cell is returned, with its source.
    let mut from = Vec::new();
    let get = Get::new("r").column("f", "p").max_versions(5);
    let explained = region.explain_get(&get, |cell| {
        from.push(cell.path.map(Path::to_owned));
        ControlFlow::Continue(())
    });
    let files: Vec<_> = explained.unwrap().files.into_iter().map(|file| Some(file.path)).collect();
    assert_eq!(
        from,
        [&[None], &[&files[4], &files[3], &files[2], &files[1], &files[0]].map(Clone::clone)[..]].concat()
    );
}

#[test]
fn markers() {
    let Scratch { dir: _dir, region, .. } = scratch([family()]);
    for (column, timestamp) in [("f:a", 1), ("f:b", 2), ("f:b", 5), ("f:c", 7), ("f:c", 8), ("f:d", 9)] {
        put(&region, "r", column, timestamp);
    }
    region.flush().unwrap();
    region.delete(Delete::new("r").family_at("f", 1)).unwrap();
    region.delete(Delete::new("r").column_at("f", "b", 3)).unwrap();
    region.delete(Delete::new("r").version_at("f", "c", 8)).unwrap();
    region.delete(Delete::new("r").family_version("f", 9)).unwrap();
    let expected = [
        "/9/DeleteFamilyVersion raw_only",
        "/1/DeleteFamily raw_only",
        "a/1 delete_marker by /1/DeleteFamily",
        "b/5 returned",
        "b/3/DeleteColumn raw_only",
        "b/2 delete_marker by b/3/DeleteColumn",
        "c/8/Delete raw_only",
        "c/8 delete_marker by c/8/Delete",
        "c/7 returned",
        "d/9 delete_marker by /9/DeleteFamilyVersion",
    ];
    assert_eq!(explain(&region, &Scan::new().max_versions(3)), expected);
    assert_eq!(explain(&region, &Scan::new().reversed(true).max_versions(3)), expected);
    let raw = explain(&region, &Scan::new().raw(true).max_versions(3));
    assert!(raw.len() == expected.len() && raw.iter().all(|line| line.ends_with(" returned")), "{raw:?}");
}

/// A scan of an older time range returns cells that were deleted later, if the family keeps them.
#[test]
fn markers_after_the_time_range() {
    for (keep, last) in [
        (KeepDeletedCells::False, "q/3 delete_marker by q/5/DeleteColumn"),
        (KeepDeletedCells::True, "q/3 returned"),
    ] {
        let Scratch { dir: _dir, region, .. } = scratch([family().keep_deleted_cells(keep)]);
        put(&region, "r", "f:q", 3);
        region.delete(Delete::new("r").column_at("f", "q", 5)).unwrap();
        let scan = Scan::new().time_range(TimeRange::new(0, 5).unwrap());
        assert_eq!(explain(&region, &scan), ["q/5/DeleteColumn raw_only", last]);
    }
}

#[test]
fn new_version_behavior() {
    let Scratch { dir: _dir, region, .. } =
        scratch([Family::new("f").max_versions(2).new_version_behavior(true)]);
    put(&region, "r", "f:a", 1);
    region.delete(Delete::new("r").column_at("f", "a", 5)).unwrap();
    put(&region, "r", "f:a", 2);
    for timestamp in [1, 2, 3] {
        put(&region, "r", "f:b", timestamp);
    }
    let expected = [
        "a/5/DeleteColumn raw_only",
        "a/2 returned",
        "a/1 delete_marker by a/5/DeleteColumn",
        "b/3 returned",
        "b/2 returned",
        "b/1 newer_versions by b/3",
    ];
    assert_eq!(explain(&region, &Scan::new().max_versions(2)), expected);
}

#[test]
fn times() {
    let ttl = Duration::from_secs(100);
    let Scratch { dir: _dir, region, clock } =
        scratch([family().ttl(ttl), Family::new("g").max_versions(2).min_versions(1).ttl(ttl)]);
    for (column, timestamp) in [("f:q", NOW - 1), ("f:q", NOW - 3), ("g:q", NOW - 1), ("g:q", NOW - 2)] {
        put(&region, "r", column, timestamp);
    }
    region.put(Put::new("r").cell_at("f", "t", NOW, "v").ttl(Duration::from_millis(5))).unwrap();
    let all = || Scan::new().max_versions(3);
    let [a, b, c] = [NOW - 1, NOW - 2, NOW - 3];
    let late = all().time_range(TimeRange::new(a, NOW).unwrap());
    let expected = [
        format!("q/{a} returned"),
        format!("q/{c} time_range"),
        format!("t/{NOW} time_range"),
        format!("q/{a} returned"),
        format!("q/{b} time_range"),
    ];
    assert_eq!(explain(&region, &late), expected);
    clock.set(NOW + 6);
    assert_eq!(explain(&region, &all())[2], format!("t/{NOW} cell_ttl"));
    clock.set(NOW + 99_998);
    let expected = [
        format!("q/{a} returned"),
        format!("q/{c} ttl"),
        format!("t/{NOW} cell_ttl"),
        format!("q/{a} returned"),
        format!("q/{b} returned"),
    ];
    assert_eq!(explain(&region, &all()), expected);
    // One expired version is kept.
    clock.set(NOW + 1_000_000);
    let expected = [
        format!("q/{a} ttl"),
        format!("q/{c} ttl"),
        format!("t/{NOW} ttl"),
        format!("q/{a} returned"),
        format!("q/{b} ttl"),
    ];
    assert_eq!(explain(&region, &all()), expected);
    assert_eq!(explain(&region, &all().column("g", "q"))[3..], expected[3..]);
}

#[test]
fn families_columns_limits_and_visibility() {
    let Scratch { dir: _dir, region, .. } = scratch([family(), Family::new("g").max_versions(1)]);
    for column in ["f:a", "f:b", "f:c", "g:a"] {
        put(&region, "r", column, 5);
    }
    let scan = Scan::new().column("f", "b");
    assert_eq!(explain(&region, &scan), ["a/5 column", "b/5 returned", "c/5 column", "a/5 family"]);
    let scan = Scan::new().max_results_per_family(1).row_offset_per_family(1);
    assert_eq!(explain(&region, &scan), ["a/5 limit", "b/5 returned", "c/5 limit", "a/5 limit"]);
    // Rows beyond the limit are not read.
    put(&region, "s", "f:a", 6);
    assert_eq!(explain(&region, &Scan::new().limit(1)).len(), 4);
    assert_eq!(explain(&region, &Scan::new().limit(1).reversed(true)), ["a/6 returned"]);
    let explained = region.explain(&Scan::new(), |_| ControlFlow::Break(())).unwrap();
    assert_eq!(explained.rows, 1);
    let view = region.view();
    put(&region, "s", "f:a", 7);
    assert_eq!(explain_view(&view, &Scan::new().rows("s"..)), ["a/7 not_yet_visible", "a/6 returned"]);
    let uncommitted = Scan::new().rows("s"..).isolation(Isolation::ReadUncommitted);
    assert_eq!(explain(&region, &uncommitted), ["a/7 returned", "a/6 newer_versions by a/7"]);
    // Parts of rows are joined.
    let parts = explain(&region, &Scan::new().batch(1));
    assert_eq!(parts, explain(&region, &Scan::new()));
    assert_eq!(parts.iter().filter(|line| line.ends_with(" returned")).count(), 5);
}

#[test]
fn filters() {
    let Scratch { dir: _dir, region, .. } = scratch([family(), Family::new("g")]);
    for (row, column, timestamp) in
        [("r", "f:a", 1), ("r", "f:a", 2), ("r", "f:b", 3), ("s", "f:a", 4), ("s", "g:b", 5), ("t", "f:b", 6)]
    {
        put(&region, row, column, timestamp);
    }
    let filtered = |language: &str| {
        explain(&region, &Scan::new().max_versions(1).filter(Filter::parse(language).unwrap()))
    };
    assert_eq!(
        filtered("ColumnPrefixFilter('a')"),
        [
            "a/2 returned",
            "a/1 newer_versions by a/2",
            "b/3 filter",
            "a/4 returned",
            "b/5 filter",
            "b/6 filter"
        ]
    );
    // The version that the filter drops does not count.
    assert_eq!(
        filtered("ValueFilter(=, 'binary:v1')"),
        ["a/2 filter", "a/1 returned", "b/3 filter", "a/4 filter", "b/5 filter", "b/6 filter"]
    );
    // Dropped rows, and rows after the end of the scan.
    assert_eq!(
        filtered("SingleColumnValueFilter('g', 'b', =, 'binary:v5', true, true)"),
        ["a/2 filter", "a/1 filter", "b/3 filter", "a/4 returned", "b/5 returned", "b/6 filter"]
    );
    assert_eq!(filtered("PageFilter(1)")[3..], ["a/4 filter", "b/5 filter", "b/6 filter"]);
    // A filter that changes cells.
    let keys: Vec<String> = filtered("KeyOnlyFilter()");
    assert_eq!(keys.iter().filter(|line| line.ends_with(" returned")).count(), 5);
    let get = Get::new("s").filter(Filter::parse("QualifierFilter(=, 'binary:b')").unwrap());
    let mut lines = Vec::new();
    region
        .explain_get(&get, |cell| {
            lines.push(line(cell));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(lines, ["a/4 filter", "b/5 returned"]);
}

/// No row has an empty key: a scan from the empty row to the empty row covers all rows.
#[test]
fn a_get_of_the_empty_row_is_not_explained() {
    let Scratch { dir: _dir, region, .. } = scratch([family()]);
    put(&region, "r", "f:q", 1);
    let refused = region.explain_get(&Get::new(""), |cell| panic!("{}", line(cell))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn files_are_read_or_skipped() {
    let Scratch { dir: _dir, region, clock } =
        scratch([family().bloom(BloomType::Row).ttl(Duration::from_secs(500)), Family::new("g").bloom(None)]);
    for (row, timestamp) in [("a", NOW), ("c", NOW), ("e", NOW + 10)] {
        put(&region, row, "f:q", timestamp);
        put(&region, &format!("{row}{row}"), "f:q", timestamp);
        region.flush().unwrap();
    }
    put(&region, "b", "g:q", NOW);
    region.flush().unwrap();
    let of = |scan: &Scan| file_reasons(&region, scan);
    let row = |row: &'static str| Scan::new().start_row(row, true).stop_row(row, true);
    let read = ["may_match"; 3];
    assert_eq!(of(&Scan::new()), [&read[..], &["may_match"]].concat());
    assert_eq!(of(&Scan::new().family("f")), [&read[..], &["family"]].concat());
    assert_eq!(of(&Scan::new().rows("b".."d")), ["key_range", "may_match", "key_range", "may_match"]);
    assert_eq!(of(&row("cc")), ["key_range", "may_match", "key_range", "key_range"]);
    assert_eq!(of(&row("cb")), ["key_range", "bloom", "key_range", "key_range"]);
    let late = Scan::new().family("f").time_range(TimeRange::since(NOW + 5));
    assert_eq!(of(&late), ["time_range", "time_range", "may_match", "family"]);
    clock.set(NOW + 500_005);
    assert_eq!(of(&Scan::new().family("f")), ["ttl", "ttl", "may_match", "family"]);
    assert_eq!(of(&Scan::new().raw(true).family("f"))[..3], read);
    // A skipped file has cells too.
    let lines = explain(&region, &Scan::new().family("f").rows("a".."b"));
    assert_eq!(lines, [format!("q/{NOW} ttl"), format!("q/{NOW} ttl")]);
}

#[test]
fn reads_that_fail_are_not_explained() {
    let Scratch { dir: _dir, region, .. } = scratch([family()]);
    put(&region, "r", "f:q", 1);
    let kind = |scan: &Scan| region.explain(scan, |_| ControlFlow::Continue(())).unwrap_err().kind();
    assert_eq!(kind(&Scan::new().family("z")), ErrorKind::NoSuchFamily);
    assert_eq!(kind(&Scan::new().raw(true).column("f", "q")), ErrorKind::InvalidArgument);
    region.close().unwrap();
    assert_eq!(kind(&Scan::new()), ErrorKind::Closed);
}

/// A file with a wrong time range: the read does not find the cell, and the explanation reports that instead
/// of a wrong reason.
#[test]
fn a_wrong_time_range_is_found() {
    let Scratch { dir, region, .. } = scratch([family()]);
    let path = dir.path().join("loaded");
    let mut writer = HFileWriter::options().create(&path).unwrap();
    let key = SeekKey::of(b"r", b"f", b"q", 5, CellType::Put);
    writer.append(CellRef::new(&key, b"v")).unwrap();
    writer.add_file_info("TIMERANGE", [1_i64.to_be_bytes(), 2_i64.to_be_bytes()].concat()).unwrap();
    writer.finish().unwrap();
    region.bulk_load(&[(b"f".to_vec(), path)]).unwrap();
    let late = Scan::new().time_range(TimeRange::since(4));
    assert_eq!(region.scan(late.clone()).unwrap().count(), 0);
    let error = region.explain(&late, |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.kind() == ErrorKind::Corrupt && error.path().is_some(), "{error}");
    assert!(error.message().contains("time range"), "{error}");
    assert_eq!(explain(&region, &Scan::new()), ["q/5 returned"]);
}

/// The explanation of a table consists of those of its regions, in the order of the scan, with one limit and
/// one filter.
#[test]
fn tables_are_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/region/split-references/root");
    let table = Table::open(root, "halves").unwrap();
    for scan in [
        Scan::new().max_versions(3),
        Scan::new().reversed(true),
        Scan::new().limit(40),
        Scan::new().filter(Filter::parse("PageFilter(3)").unwrap()),
    ] {
        let mut kept = Vec::new();
        let explained = table.explain(&scan, |cell| {
            if cell.reason == CellReason::Returned {
                kept.push(cell.cell.to_string());
            }
            ControlFlow::Continue(())
        });
        let rows: Vec<Row> = table.scan(scan.clone()).unwrap().map(Result::unwrap).collect();
        let expected: Vec<String> = rows.iter().flat_map(Row::cells).map(|cell| cell.to_string()).collect();
        assert_eq!(kept, expected, "{scan:?}");
        assert_eq!(explained.unwrap().rows, rows.len() as u64, "{scan:?}");
        assert!(!rows.is_empty());
    }
    let mut cells = 0;
    let explained = table.explain(&Scan::new(), |_| {
        cells += 1;
        ControlFlow::Break(())
    });
    assert!(cells == 1 && explained.is_ok());
    let row = table.scan(Scan::new()).unwrap().next().unwrap().unwrap();
    let mut kept = 0;
    let get = Get::new(row.key());
    let explained = table.explain_get(&get, |cell| {
        kept += usize::from(cell.reason == CellReason::Returned);
        ControlFlow::Continue(())
    });
    assert_eq!((kept, explained.unwrap().rows), (row.len(), 1));
}
