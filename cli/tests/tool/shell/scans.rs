//! Scans: limits, batches, filters and ranges.

use super::done;

/// As in HBase's shell, the number after a scan counts its results, and a limit counts rows.
#[test]
fn batches_of_a_scan_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    done(
        dir.path(),
        "create 't', 'f'
put 't', 'a', 'f:1', 'v', 1
put 't', 'a', 'f:2', 'v', 1
put 't', 'a', 'f:3', 'v', 1
put 't', 'b', 'f:1', 'v', 1",
    );
    for (options, expected) in [
        ("BATCH => 1", "4 row(s)"),
        ("BATCH => 2", "3 row(s)"),
        ("BATCH => 3", "2 row(s)"),
        ("BATCH => 2, LIMIT => 1", "2 row(s)"),
        ("BATCH => 2, REVERSED => true, LIMIT => 1", "1 row(s)"),
        ("LIMIT => 1", "1 row(s)"),
    ] {
        let printed = done(dir.path(), &format!("scan 't', {{{options}}}"));
        assert_eq!(printed.lines().last(), Some(expected), "{options}: {printed}");
    }
    assert_eq!(done(dir.path(), "count 't', {BATCH => 1}"), "2 row(s)\n=> 2\n");
}

/// A filter starts again in each region, unless it accepts nothing in one.
#[test]
fn filters_end_scans_of_several_regions() {
    let dir = tempfile::tempdir().unwrap();
    let puts = ["a", "b", "c", "d", "f", "g"].map(|row| format!("put 't', '{row}', 'f:q', 'v', 1\n"));
    done(dir.path(), &format!("create 't', 'f', SPLITS => ['c', 'f']\n{}", puts.concat()));
    for (filter, expected) in [
        ("PageFilter(1)", ["a", "c", "f"].as_slice()),
        ("WHILE RowFilter(!=, 'binary:d')", &["a", "b", "c", "f", "g"]),
        ("WHILE RowFilter(!=, 'binary:c')", &["a", "b"]),
    ] {
        let printed = done(dir.path(), &format!("scan 't', FILTER => \"{filter}\""));
        let found = ["a", "b", "c", "d", "f", "g"].into_iter();
        let found: Vec<&str> =
            found.filter(|row| printed.lines().any(|line| line.starts_with(&format!(" {row} ")))).collect();
        assert_eq!(found, expected, "{filter}: {printed}");
    }
}

/// HBase's shell makes a get of a scan whose bounds are the same row.
#[test]
fn a_scan_from_a_row_to_itself_returns_it() {
    let dir = tempfile::tempdir().unwrap();
    let puts: String =
        ["a", "b", "b1", "m", "n"].map(|row| format!("put 't', '{row}', 'f:q', 'v'\n")).concat();
    done(dir.path(), &format!("create 't', 'f', SPLITS => ['m']\n{puts}"));
    for (range, rows) in [
        ("STARTROW => 'b', STOPROW => 'b'", 1),
        ("STARTROW => 'm', ENDROW => 'm'", 1),
        ("STARTROW => 'b0', STOPROW => 'b0'", 0),
        ("STARTROW => 'b', STOPROW => 'b1'", 1),
        ("STARTROW => '', STOPROW => ''", 5),
        ("STARTROW => 'b', STOPROW => 'b', ROWPREFIXFILTER => 'b'", 2),
    ] {
        for reversed in [false, true] {
            if reversed && range.ends_with("'b1'") {
                continue;
            }
            let options = format!("{{{range}, REVERSED => {reversed}}}");
            let counted = done(dir.path(), &format!("count 't', {options}"));
            assert!(counted.starts_with(&format!("{rows} row(s)")), "{options}: {counted}");
            let scanned = done(dir.path(), &format!("scan 't', {options}"));
            assert!(scanned.ends_with(&format!("\n{rows} row(s)\n")), "{options}: {scanned}");
        }
    }
}

/// HBase sets the prefix last.
#[test]
fn a_prefix_of_rows_replaces_their_range() {
    let dir = tempfile::tempdir().unwrap();
    let puts: String = ["a1", "a2", "b1", "c1"].map(|row| format!("put 't', '{row}', 'f:q', 'v'\n")).concat();
    done(dir.path(), &format!("create 't', 'f'\n{puts}"));
    for range in ["STOPROW => 'z'", "ENDROW => 'z'", "STARTROW => 'b'", "STARTROW => 'a2', STOPROW => 'c'"] {
        for reversed in [false, true] {
            let options = format!("{{{range}, ROWPREFIXFILTER => 'a', REVERSED => {reversed}}}");
            let counted = done(dir.path(), &format!("count 't', {options}"));
            assert!(counted.starts_with("2 row(s)"), "{options}: {counted}");
        }
    }
}
