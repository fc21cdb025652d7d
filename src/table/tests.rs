//! Tables of regions created by these tests.

use super::*;
use crate::error::ErrorKind;
use crate::filter::Filter;
use crate::op::{Delete, Mutation, Put};
use crate::schema::Family;
use tempfile::TempDir;

/// Creates a table under a root, with regions of these bounds; each is created after the previous ones.
fn table(bounds: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let name = TableName::parse("ns:t").unwrap();
    for (i, (start, end)) in bounds.iter().enumerate() {
        let id = 1_700_000_000_000 + i64::try_from(i).unwrap();
        let info = RegionInfo::new(name.clone(), start.to_string(), end.to_string(), id).unwrap();
        let dir = root.path().join("data/ns/t").join(info.encoded_name());
        let options = Region::options().create_if_missing(true).table("ns:t");
        let clock = Arc::new(crate::ManualClock::new(id));
        let options = options.family(Family::new("f")).key_range(start.to_string(), end.to_string());
        let region = options.clock(clock).open(dir).unwrap();
        for row in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            if info.contains(row.as_bytes()) {
                region.put(Put::new(row).cell("f", "q", format!("{i}"))).unwrap();
            }
        }
        region.flush().unwrap();
    }
    root
}

fn open(root: &TempDir) -> Table {
    Table::open(root.path(), "ns:t").unwrap()
}

/// Returns the rows of a scan, each with the number of its region, and the error that ended the scan.
fn scanned(table: &Table, scan: &Scan) -> (String, Option<ErrorKind>) {
    let text = |row: RowRef<'_>| {
        String::from_utf8([row.key(), row.value("f", "q").unwrap_or_default(), b" "].concat()).unwrap()
    };
    let (mut borrowed, view) = (String::new(), table.view());
    let ended = view.scan(scan).and_then(|mut rows| {
        while let Some(row) = rows.next_row()? {
            borrowed += &text(row);
        }
        Ok(())
    });
    let mut taken = String::new();
    let other: Result<()> = table.for_each_row(scan, |row| {
        taken += &text(row);
        Ok(ControlFlow::Continue(()))
    });
    assert_eq!(taken, borrowed);
    assert_eq!(other.is_err(), ended.is_err());
    (borrowed.trim_end().to_owned(), ended.err().map(|error| error.kind()))
}

#[test]
fn rows_come_from_the_regions_that_have_them() {
    let root = table(&[("", "c"), ("c", "f"), ("f", "")]);
    let table = open(&root);
    assert_eq!(scanned(&table, &Scan::new()), ("a0 b0 c1 d1 e1 f2 g2 h2".into(), None));
    assert_eq!(scanned(&table, &Scan::new().rows("b".."f")), ("b0 c1 d1 e1".into(), None));
    assert_eq!(scanned(&table, &Scan::new().rows("b"..="f")), ("b0 c1 d1 e1 f2".into(), None));
    assert_eq!(scanned(&table, &Scan::new().limit(4)), ("a0 b0 c1 d1".into(), None));
    let after = Scan::new().start_row("b", false);
    assert_eq!(scanned(&table, &after), ("c1 d1 e1 f2 g2 h2".into(), None));
    let back = || Scan::new().reversed(true);
    assert_eq!(scanned(&table, &back()), ("h2 g2 f2 e1 d1 c1 b0 a0".into(), None));
    assert_eq!(scanned(&table, &back().limit(4)), ("h2 g2 f2 e1".into(), None));
    let from = |row: &'static str, include| back().start_row(row, include);
    assert_eq!(scanned(&table, &from("f", true).stop_row("b", false)), ("f2 e1 d1 c1".into(), None));
    assert_eq!(scanned(&table, &from("f", false).stop_row("c", true)), ("e1 d1 c1".into(), None));
    assert_eq!(scanned(&table, &from("c", false)), ("b0 a0".into(), None));
    let filter = Filter::parse("InclusiveStopFilter('d')").unwrap();
    assert_eq!(scanned(&table, &Scan::new().filter(filter)), ("a0 b0 c1 d1".into(), None));
    assert_eq!(scanned(&table, &Scan::new().batch(1).limit(4)), ("a0 b0 c1 d1".into(), None));
    let rows = table.get_many(&[Get::new("h"), Get::new("a"), Get::new("x"), Get::new("c")]).unwrap();
    let values: Vec<_> = rows.iter().map(|row| row.value("f", "q")).collect();
    assert_eq!(values, [Some(&b"2"[..]), Some(b"0"), None, Some(b"1")]);
    assert_eq!(table.regions().len(), 3);
    assert!(table.put(Put::new("a").cell("f", "q", "x")).is_err(), "it is open for reading");
}

/// A filter counts the rows of each region separately. If it accepts nothing in a region, the scan ends.
#[test]
fn a_filter_starts_anew_in_each_region() {
    let root = table(&[("", "c"), ("c", "f"), ("f", "")]);
    let table = open(&root);
    let with = |filter: &str| Scan::new().filter(Filter::parse(filter).unwrap());
    for (scan, expected) in [
        (with("PageFilter(1)"), "a0 c1 f2"),
        (with("PageFilter(2)"), "a0 b0 c1 d1 f2 g2"),
        (with("PageFilter(1)").limit(2), "a0 c1"),
        (with("PageFilter(1)").reversed(true), "h2 e1 b0"),
        (with("PageFilter(0)"), ""),
        (with("PrefixFilter('d')"), "d1"),
        (with("WHILE RowFilter(!=, 'binary:d')"), "a0 b0 c1 f2 g2 h2"),
        (with("WHILE RowFilter(!=, 'binary:c')"), "a0 b0"),
    ] {
        assert_eq!(scanned(&table, &scan), (expected.into(), None), "{scan:?}");
        let explanation = table.explain(&scan, |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(explanation.rows, expected.split_whitespace().count() as u64, "{scan:?}");
    }
}

#[test]
fn parts_of_rows_are_known_as_such() {
    let root = table(&[("", "c"), ("c", "")]);
    let table = Table::open_with(root.path(), "ns:t", Region::options().writable(true)).unwrap();
    for row in ["b", "c"] {
        table.put(Put::new(row).cell("f", "r", "v")).unwrap();
    }
    let scan = Scan::new().rows(.."e").batch(1);
    let view = table.view();
    let (mut borrowing, mut owning) = (view.scan(&scan).unwrap(), table.scan(scan.clone()).unwrap());
    for (row, is_partial) in
        [("a", false), ("b", true), ("b", false), ("c", true), ("c", false), ("d", false)]
    {
        assert_eq!(borrowing.next_row().unwrap().unwrap().key(), row.as_bytes());
        assert_eq!(owning.next_row().unwrap().unwrap().key(), row.as_bytes());
        assert_eq!((borrowing.is_partial(), owning.is_partial()), (is_partial, is_partial), "{row}");
    }
    assert!(borrowing.next_row().unwrap().is_none() && !borrowing.is_partial());
    assert!(owning.next_row().unwrap().is_none() && !owning.is_partial());
}

#[test]
fn writes_go_to_the_region_that_has_the_row() {
    let root = table(&[("", "c"), ("c", "f"), ("f", "")]);
    let table = Table::open_with(root.path(), "ns:t", Region::options().writable(true)).unwrap();
    table.put(Put::new("bb").cell("f", "q", "new")).unwrap();
    table.delete(Delete::new("c")).unwrap();
    let mutations: Vec<Mutation> = vec![
        Put::new("g").cell("f", "q", "v").into(),
        Put::new("a").cell("g", "q", "v").into(),
        Delete::new("d").into(),
        Put::new("a").cell("f", "q", "w").into(),
    ];
    let results: Vec<bool> = table.batch(mutations).iter().map(Result::is_ok).collect();
    assert_eq!(results, [true, false, true, true]);
    let expected = "aw b0 bbnew e1 f2 gv h2";
    assert_eq!(scanned(&table, &Scan::new()), (expected.into(), None));
    table.flush().unwrap();
    drop(table);
    assert_eq!(scanned(&open(&root), &Scan::new()), (expected.into(), None));
}

#[test]
fn holes_are_errors_where_they_are() {
    let root = table(&[("", "c"), ("e", "g")]);
    let table = open(&root);
    assert_eq!(table.inconsistencies().len(), 2);
    assert_eq!(scanned(&table, &Scan::new()), ("a0 b0".into(), Some(ErrorKind::Inconsistent)));
    assert_eq!(scanned(&table, &Scan::new().rows(.."c")), ("a0 b0".into(), None));
    assert_eq!(scanned(&table, &Scan::new().rows("d".."f")), (String::new(), Some(ErrorKind::Inconsistent)));
    assert_eq!(scanned(&table, &Scan::new().rows("e".."f")), ("e1".into(), None));
    assert_eq!(scanned(&table, &Scan::new().limit(2)), ("a0 b0".into(), None));
    assert_eq!(table.get(&Get::new("d")).unwrap_err().kind(), ErrorKind::Inconsistent);
    assert!(!table.get(&Get::new("e")).unwrap().is_empty());
    let back = || Scan::new().reversed(true);
    assert_eq!(scanned(&table, &back()), (String::new(), Some(ErrorKind::Inconsistent)));
    let from = back().start_row("g", false);
    assert_eq!(scanned(&table, &from), ("f1 e1".into(), Some(ErrorKind::Inconsistent)));
}

#[test]
fn overlaps_are_errors_where_they_are() {
    let root = table(&[("", "e"), ("c", "")]);
    let table = open(&root);
    assert_eq!(scanned(&table, &Scan::new()), (String::new(), Some(ErrorKind::Inconsistent)));
    assert_eq!(scanned(&table, &Scan::new().rows(.."c")), ("a0 b0".into(), None));
    assert_eq!(scanned(&table, &Scan::new().rows("e"..)), ("e1 f1 g1 h1".into(), None));
    assert_eq!(table.get(&Get::new("d")).unwrap_err().kind(), ErrorKind::Inconsistent);
    assert!(!table.get(&Get::new("e")).unwrap().is_empty());
}

#[test]
fn parents_of_splits_are_no_overlap() {
    let root = table(&[("", ""), ("", "c"), ("c", "")]);
    assert_eq!(scanned(&open(&root), &Scan::new()).0, "a1 b1 c2 d2 e2 f2 g2 h2");
    let dir = root.path().join("data/ns/t");
    let table = Table::open_dir(&dir, Region::options()).unwrap();
    assert_eq!((table.name().to_string().as_str(), table.regions().len()), ("ns:t", 2));
}

#[test]
fn a_missing_table_is_not_found() {
    let root = table(&[("", "")]);
    for name in ["t", "ns:u", "u:t"] {
        assert_eq!(Table::open(root.path(), name).unwrap_err().kind(), ErrorKind::TableNotFound, "{name}");
    }
    let error = Table::open_dir(root.path(), Region::options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableNotFound);
}

#[test]
fn a_directory_with_the_region_of_another_is_refused() {
    let root = table(&[("", "m"), ("m", "")]);
    let dir = root.path().join("data/ns/t");
    let mut names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|dir| dir.join(".regioninfo").exists());
    names.sort();
    std::fs::copy(names[0].join(".regioninfo"), names[1].join(".regioninfo")).unwrap();
    assert_eq!(Table::open(root.path(), "ns:t").unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Copies a directory with its contents.
fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A copy next to a region's directory is not mistaken for it, under a root or not; two copies are an
/// overlap.
#[test]
fn copies_of_a_region_are_not_the_region() {
    let root = table(&[("", "c"), ("c", "")]);
    let region = open(&root).regions().remove(0).encoded_name();
    let (dir, moved) = (root.path().join("data/ns/t"), root.path().join("moved"));
    copy_dir(&dir, &moved);
    for dir in [&dir, &moved] {
        copy_dir(&dir.join(&region), &dir.join(format!("{region}.bak")));
        let table = Table::open_dir(dir, Region::options().writable(true)).unwrap();
        table.put(Put::new("a").cell("f", "q", "new")).unwrap();
        assert_eq!(table.region("a").unwrap().path(), dir.join(&region));
        assert!(table.inconsistencies().is_empty());
        table.close().unwrap();
    }
    std::fs::rename(moved.join(&region), moved.join("renamed")).unwrap();
    let table = Table::open_dir(&moved, Region::options()).unwrap();
    assert_eq!(table.get(&Get::new("a")).unwrap_err().kind(), ErrorKind::Inconsistent);
    assert!(!table.get(&Get::new("d")).unwrap().is_empty());
}
