//! Merges of a matcher's code and a filter's verdict (read-path.md §9.4, §9.5).

use super::{Ask, FAMILY, row};
use crate::cell::{CellOrder, CellRef, SeekKey};
use crate::error::Result;
use crate::filter::{CellFilter, CustomFilter, Filter, FilterEvaluator, Verdict};
use crate::op::TimeRange;
use crate::schema::Family;
use crate::store::matcher::{FilteredCode, MatchCode, ScanQueryMatcher};
use bytes::Bytes;

/// Returns the given verdicts in turn, and a hint to the given column.
#[derive(Clone, Debug)]
struct Says {
    verdicts: Vec<Verdict>,
    asked: usize,
    column: &'static [u8],
}

impl CellFilter for Says {
    fn filter_cell(&mut self, _: CellRef<'_>) -> Result<Verdict> {
        self.asked += 1;
        Ok(self.verdicts[(self.asked - 1) % self.verdicts.len()])
    }

    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        hint.set_first_on_column(cell.row(), FAMILY, self.column);
        true
    }

    fn skip_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        self.next_cell_hint(cell, hint)
    }
}

impl CustomFilter for Says {
    fn start(&self) -> Box<dyn CellFilter> {
        Box::new(self.clone())
    }
}

/// Returns the code for each cell, in order.
fn codes(ask: &Ask, cells: &str, verdicts: &[Verdict], column: &'static [u8]) -> Vec<FilteredCode> {
    let says = Says { verdicts: verdicts.to_vec(), asked: 0, column };
    let mut filter = FilterEvaluator::new(&Filter::custom(says));
    let mut matcher = ScanQueryMatcher::for_user(&ask.query(), FAMILY, &ask.info(), CellOrder::User).unwrap();
    matcher.set_to_new_row(b"r");
    let mut key = SeekKey::new();
    let mut code = |cell: &crate::cell::Cell| {
        let code = matcher.match_filtered_in_row(cell.as_ref(), &mut filter, &mut key).unwrap();
        if code == FilteredCode::SeekToKey {
            assert_eq!(key, SeekKey::first_on_column(b"r", FAMILY, column));
        }
        code
    };
    row(cells).iter().map(&mut code).collect()
}

fn ask(kept: u32, columns: &[&'static str]) -> Ask {
    Ask {
        family: Family::new(FAMILY).max_versions(kept),
        columns: columns.iter().map(|column| Bytes::from_static(column.as_bytes())).collect(),
        filtered: true,
        ..Ask::default()
    }
}

#[test]
fn codes_and_verdicts_merge() {
    use FilteredCode::{Match, SeekToKey};
    use MatchCode::{
        Include as I, IncludeAndSeekNextCol as Ic, IncludeAndSeekNextRow as Ir, SeekNextCol as C,
        SeekNextRow as R, Skip as S,
    };
    // The matcher's codes for the first cell: next cell, next column, next row.
    let asks = [ask(3, &[]), ask(1, &["a", "b"]), ask(1, &["a"])];
    for (verdict, expected) in [
        (Verdict::Include, [I, Ic, Ir].map(Match)),
        (Verdict::IncludeAndNextCol, [Ic, Ic, Ir].map(Match)),
        (Verdict::IncludeAndSeekNextRow, [Ir, Ir, Ir].map(Match)),
        (Verdict::Skip, [S, C, R].map(Match)),
        (Verdict::NextCol, [C, C, R].map(Match)),
        (Verdict::NextRow, [R, R, R].map(Match)),
        (Verdict::SeekNextUsingHint, [SeekToKey; 3]),
    ] {
        let found = asks.each_ref().map(|ask| codes(ask, "a=5", &[verdict], b"b")[0]);
        assert_eq!(found, expected, "{verdict:?}");
    }
    // A column that was named and is the last one.
    assert_eq!(codes(&ask(3, &["a"]), "a=5", &[Verdict::NextCol], b"")[0], Match(R));
    // Hints that do not lead ahead are steps.
    for column in [&b""[..], b"a"] {
        assert_eq!(codes(&ask(3, &[]), "a=5", &[Verdict::SeekNextUsingHint], column)[0], Match(S));
    }
}

#[test]
fn family_versions_count_before_the_filter() {
    use FilteredCode::Match;
    use MatchCode::{
        Include as I, IncludeAndSeekNextCol as Ic, SeekNextCol as C, SeekNextRow as R, Skip as S,
    };
    let versions = |scan, columns: &[&'static str]| Ask { max_versions: scan, ..ask(3, columns) };
    let (yes, no) = (Verdict::Include, Verdict::Skip);
    for (ask, verdicts, expected) in [
        // The family keeps three versions.
        (versions(1, &[]), vec![no, no, no, yes], [S, S, S, C]),
        (versions(1, &[]), vec![no, yes], [S, I, S, C]),
        (versions(1, &[]), vec![yes], [I, C, C, C]),
        (versions(2, &[]), vec![yes], [I, I, C, C]),
        (versions(5, &[]), vec![yes], [I, I, I, C]),
        // The third completes a named column. No other column follows.
        (versions(5, &["a"]), vec![yes], [I, I, MatchCode::IncludeAndSeekNextRow, R]),
        (versions(2, &["a"]), vec![no, no, yes], [S, S, MatchCode::IncludeAndSeekNextRow, R]),
        (versions(1, &["a", "b"]), vec![no, no, yes], [S, S, Ic, C]),
        (versions(1, &["a"]), vec![yes], [I, C, R, R]),
    ] {
        let found = codes(&ask, "a=5 a=4 a=3 a=2", &verdicts, b"");
        assert_eq!(found, expected.map(Match), "{verdicts:?} of {} versions", ask.max_versions);
    }
    // The next column is counted from 0.
    let found = codes(&versions(1, &[]), "a=5 a=4 b=5 b=4", &[yes], b"");
    assert_eq!(found, [I, C, I, C].map(Match));
    // Raw scans count all cells that the filter accepts.
    let raw = Ask { raw: true, ..versions(2, &[]) };
    assert_eq!(codes(&raw, "a<6 a=5 a=4", &[yes], b""), [I, I, C].map(Match));
}

#[test]
fn hints_of_excluded_cells_are_followed() {
    use FilteredCode::{Match, SeekToKey};
    use MatchCode::{Include as I, SeekNextCol as C, Skip as S};
    let ask = Ask { time_range: TimeRange::new(3, 5).unwrap(), ..ask(1, &[]) };
    let yes = [Verdict::Include];
    // Too new, selected, one version too many, too old.
    assert_eq!(codes(&ask, "a=5 a=4 a=3 a=2", &yes, b""), [S, I, C, C].map(Match));
    let ahead = [SeekToKey, Match(I), SeekToKey, SeekToKey];
    assert_eq!(codes(&ask, "a=5 a=4 a=3 a=2", &yes, b"b"), ahead);
    // The filter is not called for markers, cells they hide, and cells that have expired by their tag.
    assert_eq!(codes(&ask, "a<4 a=4 b=4!9", &yes, b"c"), [S, C, S].map(Match));
}

/// A hint that a scan cannot seek to yet applies to the cells before it: they are matched without calling the
/// filter (§23.26).
#[test]
fn the_filter_is_not_asked_about_cells_before_a_pending_hint() {
    use FilteredCode::{Match, SeekToKey};
    use MatchCode::{Include as I, SeekNextCol as C, Skip as S};
    let then = [Verdict::SeekNextUsingHint, Verdict::Include];
    // From the empty qualifier on, markers of the family may follow.
    assert_eq!(codes(&ask(3, &[]), "=5 =4 a=5 c=5", &then, b"c"), [S.into(), S.into(), SeekToKey, Match(I)]);
    assert_eq!(codes(&ask(3, &[]), "=5 =4 c=5 d=5", &then, b"c"), [S, S, I, S].map(Match));
    assert_eq!(codes(&ask(1, &[]), "=5 =4 a=5", &then, b"c"), [S.into(), C.into(), SeekToKey]);
    // They hide cells after the hint.
    assert_eq!(codes(&ask(3, &[]), "=7 ~5 =4 c=5 c=4", &then, b"c"), [S, S, S, S, I].map(Match));
}
