//! The tables of read-path.md §9 and §17.

use super::*;
use crate::schema::KeepDeletedCells::{False, True, Ttl};
use CompactionKind::{Flush, Minor};
use std::time::Duration;

const MAJOR: CompactionKind = CompactionKind::Major { earliest_put_ts: i64::MIN };

fn ask() -> Ask {
    Ask::default()
}

/// A family whose cells before `oldest` have expired.
fn expiring(oldest: u64, min: u32, max: u32) -> Ask {
    ask().family(|family| family.ttl(Duration::from_secs(1000 - oldest)).min_versions(min).max_versions(max))
}

/// §9.7, compared with §9.6.
#[test]
fn versions_of_a_column() {
    for (cells, ask, all, explicit) in [
        ("a=5 a=4 a=3", expiring(0, 0, 2), "a=5 a=4", "a=5 a=4"),
        ("a=5 a=4 a=3", expiring(5, 0, 3), "a=5", "a=5"),
        ("a=5 a=4 a=3", expiring(6, 2, 3), "a=5 a=4", "a=5 a=4"),
        ("a=5 a=4 a=3", expiring(5, 2, 3), "a=5 a=4", "a=5 a=4"),
        ("a=5 a=4 a=3 a=2", expiring(4, 2, 5), "a=5 a=4", "a=5 a=4 a=3"),
        ("a=5#2 a=5#1 a=4", expiring(0, 0, 2), "a=5#2 a=4", "a=5#2 a=4"),
    ] {
        finds(&ask, cells, all);
        finds(&ask.columns(&["a"]), cells, explicit);
    }
    finds(&ask().versions(1), "=1 a=5 a=4 b=3 b=2", "=1 a=5 b=3");
    finds(&ask().versions(2), "a=5 a=4 a=3", "a=5 a=4");
    let named = ask().versions(1).columns(&["", "b", "d"]);
    finds(&named, "=5 =4 a=5 b=5 b=4 c=1 e=1", "=5 b=5");
    finds(&named, "a=5 c=1", "");
    finds(&ask().columns(&["b"]), "a=1 c=1", "");
}

/// A read that names columns treats a version of the latest timestamp as a duplicate, as in HBase.
#[test]
fn the_latest_timestamp() {
    let cells = format!("a={} a=5", i64::MAX);
    finds(&ask(), &cells, &cells);
    finds(&ask().columns(&["a"]), &cells, "a=5");
}

/// §9.8: the hiding table.
#[test]
fn markers_hide() {
    let cells = "=9 =5 =4 a=9 a=5 a=4 b=5";
    for (marker, left) in [
        ("a-5", "=9 =5 =4 a=9 a=4 b=5"),
        ("a<5", "=9 =5 =4 a=9 b=5"),
        ("~5", "=9 =4 a=9 a=4"),
        ("^5", "=9 a=9"),
        ("a-6", "=9 =5 =4 a=9 a=5 a=4 b=5"),
        ("-5", "=9 =4 a=9 a=5 a=4 b=5"),
        ("<5", "=9 a=9 a=5 a=4 b=5"),
    ] {
        finds(&ask(), &format!("{marker} {cells}"), left);
        // Regardless of which was written first.
        finds(&ask(), &format!("{marker}#9 {cells}"), left);
    }
    finds(&ask(), "a<5 a-4 a=5 a=4 a=3", "");
    finds(&ask(), "a-5 a-4 a=5 a=4 a=3", "a=3");
    finds(&ask(), "a<2 a-5 a=5 a=3 a=2 a=1", "a=3");
    finds(&ask().versions(1), "a-5 a=5 a=4", "a=4");
    finds(&ask(), "^9 ~12 a=12 a=11 a=9", "a=11");
}

/// §23.1: the family's markers after values of the empty qualifier are applied, whether the scan seeks or
/// steps.
#[test]
fn markers_within_the_empty_column() {
    let cells = "=9 =8 =7 ^6 =5 a=9 a=6";
    finds(&ask().versions(1), cells, "=9 a=9");
    finds(&ask().versions(1).columns(&["", "a"]), cells, "=9 a=9");
    finds(&ask().versions(1).columns(&["a"]), "=9 =8 ~6 a=6 a=5", "a=5");
    finds(&ask().times(8, 10), "=9 =7 ^8 a=8", "=9");
}

/// §23.17: a marker of the empty qualifier is stepped over, although another file has the next key.
#[test]
fn the_empty_column_is_left() {
    finds(&ask().raw().times(7, 20), "<5#9 ~5#8 -5#7 =5#6 a=9", "a=9");
    finds(&expiring(8, 0, 3), "<5#9 ~5#8 -5#7 =5#6 a=9", "a=9");
    keeps(&expiring(8, 0, 3), MAJOR, i64::MAX, "<5#9 ~5#8 -5#7 =5#6 a=9", "a=9");
}

/// After many markers of a column a seek is faster, and finds the same cells.
#[test]
fn runs_of_markers() {
    let column: String = (5..40).map(|ts| format!("a<{ts} ")).collect();
    let family: String = (5..40).map(|ts| format!("^{ts} ")).collect();
    let values = "=50 =20 =4 a=50 a=20 a=4 b=20 b=50";
    finds(&ask(), &format!("{column} {values}"), "=50 =20 =4 a=50 b=50 b=20");
    finds(&ask(), &format!("{family} {values}"), "=50 a=50 b=50");
    finds(&ask().columns(&["a"]), &format!("{family} {values}"), "a=50");
    finds(&ask().columns(&["a"]), &format!("{column} {values}"), "a=50");
}

/// §9.13: a marker hides only values with its labels.
#[test]
fn labels_of_markers() {
    let cells = "=9@x =5@x =5 a=9@x a=6@y a=5@x a=4@x a=3 b=5@x b=4";
    for (marker, left) in [
        ("a-5@x", "=9@x =5@x a=9@x a=6@y a=4@x a=3 b=5@x b=4"),
        ("a-5", "=9@x =5@x a=9@x a=6@y a=5@x a=4@x a=3 b=5@x b=4"),
        ("a<5@x", "=9@x =5@x a=9@x a=6@y a=3 b=5@x b=4"),
        ("a<5", "=9@x =5@x a=9@x a=6@y a=5@x a=4@x b=5@x b=4"),
        ("a<9@y", "=9@x =5@x a=9@x a=5@x a=4@x a=3 b=5@x b=4"),
        ("~5@x", "=9@x =5 a=9@x a=6@y a=4@x a=3 b=4"),
        ("~5", "=9@x =5@x a=9@x a=6@y a=5@x a=4@x a=3 b=5@x b=4"),
        ("^5@x", "=9@x =5 a=9@x a=6@y a=3 b=4"),
        ("^9", "=9@x =5@x a=9@x a=6@y a=5@x a=4@x b=5@x"),
        ("^9 a<9@x", "=9@x =5@x a=6@y b=5@x"),
        ("^9 ^9@x a<6@y", ""),
        // Nor does one marker replace another.
        ("a<9@x a-4", "=9@x =5@x a=6@y a=3 b=5@x b=4"),
    ] {
        let ask = ask().versions(9).family(|family| family.max_versions(9)).tags();
        finds(&ask, &format!("{marker} {cells}"), left);
    }
    let new_version = |max| ask().family(|family| family.new_version_behavior(true).max_versions(max));
    finds(&new_version(3), "^9#9@x a<6#8 a=5#1 a=4#2@x a=3#10@x a=2#3@y", "a=3#10@x a=2#3@y");
    // §23.37: a version that the second delete hides counts as a version until the first.
    finds(&new_version(1), "a-5#4@x a=5#1@x a=4#3", "");
    finds(&new_version(1), "a-5#4@x a-5#2@y a=5#1@x a=4#3", "a=4#3");
}

/// No marker and no value with labels is skipped because of markers without labels.
#[test]
fn labels_after_what_is_hidden() {
    let family: String = (20..40).map(|ts| format!("^{ts} ")).collect();
    let column: String = (20..40).map(|ts| format!("a<{ts} ")).collect();
    let ask = ask().tags();
    finds(&ask, &format!("{family} ^10@x a=9 a=8@x b=9@y"), "b=9@y");
    finds(&ask, &format!("{column} a<10@x a=9@x a=8@y a=7 b=5"), "a=8@y b=5");
    finds(&ask.clone().columns(&["a"]), &format!("{column} a=9 a=8@y b=5"), "a=8@y");
    for kind in [Flush, Minor] {
        keeps(&ask, kind, i64::MAX, "^20 ^10@x a<9 a<8@x a=7 a=7@x a=6@y", "^20 ^10@x a<8@x a=6@y");
        keeps(&ask, kind, i64::MAX, "a<9 a<9@x a<8@x a=7 a=7@y a=6@x", "a<9 a<9@x a<8@x a=7@y");
    }
    keeps(&ask, MAJOR, i64::MAX, "^20 ^10@x a<9 a<8@x a=7 a=7@x a=6@y", "a=6@y");
    let kept = "a<9 a<8@x a=7 a=6@x";
    keeps(&ask.keep(True), MAJOR, i64::MAX, kept, kept);
}

/// §23.38.
#[test]
fn markers_with_other_labels_are_no_repetitions() {
    let ask = ask().tags().keep(True);
    for (cells, kept) in [
        ("^9#2 ^9#1@x a<8#2@y a<8#1@x a=7 a=6@x", "^9#2 ^9#1@x a<8#2@y a<8#1@x a=7 a=6@x"),
        ("^9#3@x ^9#2 ^9#1 a=7", "^9#3@x ^9#2 a=7"),
    ] {
        keeps(&ask, MAJOR, i64::MAX, cells, kept);
    }
}

/// §9.9.
#[test]
fn time_ranges_and_kept_deletes() {
    let cells = "^20 a=10";
    for (keep, max, found) in
        [(True, 15, "a=10"), (True, 21, ""), (True, i64::MAX, ""), (Ttl, 15, "a=10"), (False, 15, "")]
    {
        finds(&ask().keep(keep).times(0, max), cells, found);
    }
    finds(&ask().keep(False).times(21, 30), "^20 a=25 a=10", "a=25");
    finds(&ask().times(4, 6).versions(1), "a=7 a=5 a=4 a=3", "a=5");
    finds(&ask().times(0, 0), "a=7 a=0", "");
    finds(&ask().raw().times(0, 15), cells, "a=10");
    finds(&ask().raw(), cells, "^20 a=10");
}

/// §9.12: family and cell times to live.
#[test]
fn expiry() {
    // At time 1000, timestamps before 5 have expired.
    let flush = |ask: &Ask, cells: &str, kept: &str| {
        for kind in [Flush, Minor, MAJOR] {
            keeps(ask, kind, i64::MAX, cells, kept);
        }
    };
    let (none, some) = (expiring(5, 0, 3), expiring(5, 1, 3));
    finds(&none, "a=5 a=4", "a=5");
    flush(&none, "a=5 a=4", "a=5");
    finds(&some, "a=4 a=3", "a=4");
    flush(&some, "a=4 a=3", "a=4");
    for ask in [&none, &some] {
        finds(&ask.clone().raw(), "a=4 a=3", "a=4 a=3");
        // 990 + 9 is before 1000, 990 + 10 is not.
        finds(ask, "a=990!9 a=989", "a=989");
        finds(ask, "a=990!10", "a=990");
        finds(&ask.clone().raw(), "a=990!9", "a=990");
        flush(ask, "a=990!9 a=989", "a=989");
        // Cells that an expired marker hid are visible again.
        finds(ask, "a<990!9 a=989", "a=989");
        finds(&ask.clone().raw(), "a<990!9 a=989", "a<990 a=989");
        flush(ask, "a<990!9 a=989", "a=989");
    }
    finds(&none, "a<4 a=3 a=6", "a=6");
    finds(&some, "a<4 a=4 b=3", "b=3");
    finds(&some, "^4 a=4 b=3 b=5", "b=5");
    keeps(&none, Minor, i64::MAX, "a<4 b=6", "b=6");
    keeps(&some, Minor, i64::MAX, "a<4 b=6", "a<4 b=6");
    // The first time-to-live tag is used, and must be 8 bytes long.
    let key = SeekKey::of(b"r", FAMILY, b"a", 990, CellType::Put);
    let two = [&[0, 9, 8][..], &10i64.to_be_bytes(), &[0, 9, 8], &1i64.to_be_bytes()].concat();
    let info = ask().info();
    let asked = ask();
    let query = asked.query();
    let mut matcher = ScanQueryMatcher::for_user(&query, FAMILY, &info, CellOrder::User).unwrap();
    matcher.set_to_new_row(b"r");
    let cell = CellRef::new(&key, b"");
    assert_eq!(matcher.match_in_row(cell.with_tag_bytes(&two).unwrap()), Ok(MatchCode::Include));
    assert!(matcher.match_in_row(cell.with_tag_bytes(&[0, 2, 8, 1]).unwrap()).is_err());
}

/// §9.12: raw scans.
#[test]
fn raw_scans() {
    let raw = ask().raw();
    finds(&raw, "^9 a<5 a=5 a-4 a=4", "^9 a<5 a=5 a-4 a=4");
    finds(&raw.clone().versions(1), "a<6 a=5 a<5 a-4 a=4 a<3 b=1", "a<6 a<5 a=5 a-4 b=1");
    finds(&raw, "a=5#2 a=5#1 a<5#2 a<5#1", "a<5#2 a=5#2");
    finds(&raw.clone().times(4, 6), "^6 ^5 a=5 a<4 a=3", "^5 a=5 a<4");
    let named = raw.columns(&["a"]);
    let refused = ScanQueryMatcher::for_user(&named.query(), FAMILY, &named.info(), CellOrder::User);
    assert_eq!(refused.unwrap_err().kind(), crate::ErrorKind::InvalidArgument);
}

/// §9.10: the examples, and displaced versions.
#[test]
fn new_version_behavior() {
    let new = ask().family(|family| family.new_version_behavior(true));
    let puts = "a=1#1 a=2#2 a=3#3 a=4#4 a=5#5 a=6#6 a=7#7 a=8#8";
    finds(&new.clone().times(0, 5), puts, "");
    finds(&new, "a=1#1 a=2#2 a-3#3 a=3#4 a=4#5", "a=4#5 a=3#4 a=2#2");
    finds(&new.clone().versions(1), "a=1#1 a=2#2 a=3#3 a=4#4 a-4#5 a-3#6", "a=2#2");
    finds(&new, "a<9#5 a=7#6 a=6#4", "a=7#6");
    finds(&new, "^9#5 a=7#6 a=6#4 b=9#9", "a=7#6 b=9#9");
    finds(&new, "a=5#1 a=5#2", "a=5#2");
    // §23.2: the empty column is like any other.
    finds(&new, "^9#5 =7#6 =6#4", "=7#6");
    finds(&new, "~7#5 =7#6 =7#4 a=7#3 a=7#8", "=7#6 a=7#8");
    finds(&new, "=1#1 =2#2 =3#3 =4#4 =3#9", "=4#4 =3#9 =2#2");
    // §23.39: of two markers of one write, the last applies.
    finds(&new, "^20#5 ^10#5 a=15#1 a=9#1", "a=15#1");
    finds(&new, "^20#5 a<10#5 a=15#1 a=9#1 b=15#1", "");
    // §23.19: no more versions than required.
    let min = new.clone().family(|family| family.ttl(Duration::from_secs(994)).min_versions(2)).versions(1);
    finds(&min, "a=5#5 a=4#4 b=1#1", "a=5#5 b=1#1");
    finds(&min.columns(&["a", "b"]), "a=5#5 a=4#4 b=1#1", "a=5#5 b=1#1");
    // Raw scans, flushes and minor compactions process all cells.
    finds(&new.clone().raw(), "a<9#5 a=7#6 a=6#4", "a<9#5 a=7#6 a=6#4");
    for kind in [Flush, Minor] {
        keeps(
            &new,
            kind,
            i64::MAX,
            &format!("a<3#9 {puts}"),
            "a=8#8 a=7#7 a=6#6 a=5#5 a=4#4 a<3#9 a=3#3 a=2#2 a=1#1",
        );
    }
    keeps(&new, MAJOR, i64::MAX, &format!("a<7#9 {puts} a=2#10"), "a=8#8 a=2#10");
    // Markers are not versions. They precede the values of their column.
    let kept = new.keep(True).family(|family| family.max_versions(1));
    keeps(&kept, MAJOR, i64::MAX, "a<9#5 a=7#4 b<9#5 b=7#4", "a<9#5 a=7#4 b<9#5 b=7#4");
}

/// §17.2.
#[test]
fn flushes_and_minor_compactions() {
    for kind in [Flush, Minor] {
        let keeps = |ask: Ask, cells, kept| keeps(&ask, kind, 10, cells, kept);
        keeps(ask().family(|family| family.max_versions(2)), "a=5 a=4 a=3", "a=5 a=4");
        keeps(ask(), "a=5#2 a=5#1", "a=5#2");
        keeps(ask(), "a<5 a=5 a=6", "a=6 a<5");
        keeps(ask().keep(True), "a<5 a=5 a=6", "a=6 a<5 a=5");
        keeps(expiring(5, 1, 3).keep(Ttl), "a<5 a=5 b<4 b=4", "a<5 a=5 b<4");
        // Redundant markers.
        keeps(ask(), "^9 ^8 ~9 ~8 a<9 a-9 b<10 b<9 b-10 b-3", "^9 b<10");
        keeps(ask().keep(True), "^9 ^8 a<9", "^9 ^8 a<9");
        keeps(ask(), "a-9 a-8 a<7", "a-9 a-8 a<7");
        // Cells that some scanner does not see yet are not counted.
        keeps(
            ask().family(|family| family.max_versions(1)),
            "a=5#12 a=5#11 a=4#3 a=3#2",
            "a=5#12 a=5#11 a=4#3",
        );
        keeps(ask(), "a<5#11 a=5#9", "a<5#11 a=5#9");
        keeps(ask(), "a<5#9 a=5#11", "a<5#9");
    }
}

/// §17.3.
#[test]
fn major_compactions() {
    let all = |ask: Ask, cells, kept| keeps(&ask, MAJOR, 10, cells, kept);
    all(ask(), "^9 a<5 a=5 a=10", "a=10");
    all(ask(), "a<5#11 a=5#9", "a<5#11 a=5#9");
    let purge = |ms| Ask { time_to_purge: ms, ..ask() };
    // The marker's age is 995.
    all(purge(995), "a<5 a=5", "a<5");
    all(purge(994), "a<5 a=5", "");
    let kept = || ask().keep(True).family(|family| family.max_versions(2));
    all(kept(), "a<9 a=8 a<7 a=6 a<5 a=4 a<3", "a<9 a=8 a<7 a=6 a<5");
    let earliest = CompactionKind::Major { earliest_put_ts: 6 };
    keeps(&kept(), earliest, 10, "a<9 a=8 a<5 b<6 b<5", "a<9 a=8 b<6");
    all(expiring(5, 1, 3).keep(Ttl), "a<5 a=5 b<4 b=4 b=9", "a<5 a=5 b=9");
}

/// Rows follow each other, and a get ends with its row.
#[test]
fn rows() {
    let mut cells = Vec::new();
    for name in [&b"q"[..], b"r", b"s"] {
        for (qualifier, ts) in [("a", 5), ("a", 4), ("b", 3)] {
            cells.push(cell_of(name, qualifier, CellType::Put, ts, 0, None, None));
        }
    }
    assert_eq!(ask().versions(1).scan(&cells), [0, 2, 3, 5, 6, 8]);
    assert_eq!(ask().columns(&["a"]).versions(1).scan(&cells), [0, 3, 6]);
    let get = Ask { get_like: true, ..ask() }.columns(&["a"]).versions(1);
    assert_eq!(get.scan(&cells), [3]);
    let asked = ask();
    let matcher = |query: &Query<'static>| {
        ScanQueryMatcher::for_user(query, FAMILY, &asked.info(), CellOrder::User).unwrap()
    };
    let range = Query { start: b"q", stop: b"s", ..Query::ALL };
    let more = |query: &Query<'static>| {
        [&b"q"[..], b"s", b"t"].map(|row| matcher(query).more_rows_may_exist_after(row))
    };
    assert_eq!(more(&range), [true, false, false]);
    assert_eq!(more(&Query { ..range }), [true, false, false]);
    assert_eq!(more(&Query { reversed: true, ..range }), [false, false, true]);
    assert_eq!(more(&Query { stop: b"", ..range }), [true, true, true]);
    assert_eq!(more(&Query { get_like: true, ..range }), [false; 3]);
    assert_eq!(more(&Query { get_like: true, raw: true, stop: b"r", ..range }), [true, false, false]);
    let mut key = SeekKey::new();
    matcher(&range).start_key(&mut key);
    assert_eq!(key.to_string(), "q/f:/LATEST_TIMESTAMP/DeleteFamily");
    matcher(&Query { include_start: false, ..range }).start_key(&mut key);
    assert_eq!(key, SeekKey::last_on_row(b"q"));
}

/// The position of the next column (§9.11), also from the fake cell of a column that a file does not have.
#[test]
fn next_columns() {
    let asked = ask().columns(&["b", "d"]);
    let query = asked.query();
    let mut matcher = ScanQueryMatcher::for_user(&query, FAMILY, &asked.info(), CellOrder::User).unwrap();
    matcher.set_to_new_row(b"r");
    assert_eq!(matcher.next_column_hint(), Some(&b"b"[..]));
    let mut key = SeekKey::new();
    let absent = SeekKey::last_on_column(b"r", FAMILY, b"b");
    let absent = CellRef::new(&absent, b"");
    assert_eq!(matcher.match_in_row(absent), Ok(MatchCode::SeekNextCol));
    assert_eq!(matcher.key_for_next_column(absent, &mut key), Advance::Seek);
    assert_eq!(key, SeekKey::first_on_column(b"r", FAMILY, b"d"));
    let absent = SeekKey::last_on_column(b"r", FAMILY, b"d");
    let absent = CellRef::new(&absent, b"");
    assert_eq!(matcher.match_in_row(absent), Ok(MatchCode::SeekNextRow));
    assert_eq!(matcher.next_column_hint(), None);
    assert_eq!(matcher.key_for_next_column(absent, &mut key), Advance::Step);
    matcher.key_for_next_row(absent, &mut key);
    assert_eq!(key, SeekKey::last_on_row(b"r"));
}

/// Cells that are out of order are not valid cells of a store.
#[test]
fn disorder_is_found() {
    for (asked, cells) in [
        (ask(), "b=1 a=1"),
        (ask().raw(), "b=1 a=1"),
        (ask(), "b-2 a=1"),
        (ask().family(|family| family.new_version_behavior(true)), "b=1 a=1"),
    ] {
        let query = asked.query();
        let mut matcher = ScanQueryMatcher::for_user(&query, FAMILY, &asked.info(), CellOrder::User).unwrap();
        matcher.set_to_new_row(b"r");
        let cells: Vec<_> = cells.split_whitespace().flat_map(row).collect();
        assert!(matcher.match_in_row(cells[0].as_ref()).is_ok());
        assert!(matcher.match_in_row(cells[1].as_ref()).is_err(), "{cells:?}");
    }
}

/// Which files may be omitted (§6.3).
#[test]
fn cutoffs() {
    let info = expiring(5, 0, 3).info();
    assert_eq!((info.cutoff(false), info.cutoff(true)), (5, 0));
    assert_eq!(expiring(5, 1, 3).info().cutoff(false), i64::MIN);
    assert_eq!(ask().info().cutoff(false), i64::MIN);
    let seconds = ScanInfo::new(&Family::new(FAMILY).ttl(Duration::from_secs(2)), 5000, false);
    assert_eq!(seconds.oldest_unexpired_ts, 3000);
}
