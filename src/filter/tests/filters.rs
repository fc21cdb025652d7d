//! Each filter, over a small table.

use super::{TestCell, cells, read};
use crate::cell::{CellRef, SeekKey, TTL_TAG_TYPE};
use crate::error::Result;
use crate::filter::{
    CellFilter, Comparator, Compare, CustomFilter, Filter, FilterEvaluator, SingleColumnValue, Verdict,
};
use bytes::Bytes;
use std::ops::Bound;

const TABLE: &str =
    "a/f:p/5=1 a/f:p/3=0 a/f:q/5=x a/g:p/4=7 b/f:p/5=2 b/f:pq/9=y b/g:r/5=z c/f:q/1=x c/g:p/1=1";

fn table() -> Vec<TestCell> {
    cells(TABLE)
}

#[track_caller]
fn gives(filter: &Filter, expected: &str) {
    assert_eq!(read(filter, &table(), false).join(" "), expected, "{filter:?}");
}

#[track_caller]
fn gives_reversed(filter: &Filter, expected: &str) {
    assert_eq!(read(filter, &table(), true).join(" "), expected, "{filter:?}");
}

#[track_caller]
fn says(expression: &str, expected: &str) {
    gives(&Filter::parse(expression).unwrap(), expected);
}

const A: &str = "a/f:p/5=1 a/f:p/3=0 a/f:q/5=x a/g:p/4=7";
const B: &str = "b/f:p/5=2 b/f:pq/9=y b/g:r/5=z";
const C: &str = "c/f:q/1=x c/g:p/1=1";

#[test]
fn by_comparison() {
    says("RowFilter(>, 'binary:a')", &format!("{B} {C}"));
    says("RowFilter(=, 'regexstring:[ac]')", &format!("{A} {C}"));
    says("FamilyFilter(!=, 'binary:f')", "a/g:p/4=7 b/g:r/5=z c/g:p/1=1");
    says(
        "QualifierFilter(=, 'binaryprefix:p')",
        "a/f:p/5=1 a/f:p/3=0 a/g:p/4=7 b/f:p/5=2 b/f:pq/9=y c/g:p/1=1",
    );
    says("ValueFilter(<, 'binary:2')", "a/f:p/5=1 a/f:p/3=0 c/g:p/1=1");
    says("ValueFilter(=, 'substring:X')", "a/f:q/5=x c/f:q/1=x");
    gives(&Filter::row(Compare::NoOp, Comparator::binary("a")), "");
}

#[test]
fn by_row() {
    says("PrefixFilter('b')", B);
    says("PrefixFilter('bb')", "");
    says("PrefixFilter('')", TABLE);
    gives_reversed(&Filter::prefix("b"), B);
    says("InclusiveStopFilter('b')", &format!("{A} {B}"));
    gives_reversed(&Filter::inclusive_stop("b"), &format!("{C} {B}"));
    gives(&Filter::fuzzy_row([("?", [1])]).unwrap(), TABLE);
    gives(&Filter::fuzzy_row([("c", [0]), ("a", [0])]).unwrap(), &format!("{A} {C}"));
    gives_reversed(&Filter::fuzzy_row([("c", [0]), ("a", [0])]).unwrap(), &format!("{C} {A}"));
    // HBase: the queue of `FuzzyRowFilter.RowTracker` has room for one row at least
    assert!(Filter::fuzzy_row::<&str, &str>([]).is_err());
    gives(&Filter::row_prefixes(["c", "a"]).unwrap(), &format!("{A} {C}"));
    let ranges = [(Bound::Excluded("a"), Bound::Included("b"))];
    gives(&Filter::row_ranges(ranges).unwrap(), B);
    gives_reversed(&Filter::row_ranges(ranges).unwrap(), B);
    gives(&Filter::random_row(-0.5), "");
    gives(&Filter::random_row(1.5), TABLE);
}

#[test]
fn hints_of_long_rows_are_rows() {
    let long = vec![b'b'; 40_000];
    for filter in [Filter::prefix(long.clone()), Filter::inclusive_stop(long.clone())] {
        for reversed in [false, true] {
            read(&filter, &table(), reversed);
        }
    }
    assert!(Filter::fuzzy_row([(&long, vec![0; 40_000])]).is_err());
    assert!(Filter::row_prefixes([&long]).is_err());
}

#[test]
fn by_column() {
    says("ColumnPrefixFilter('pq')", "b/f:pq/9=y");
    says("ColumnPrefixFilter('q')", "a/f:q/5=x c/f:q/1=x");
    gives_reversed(&Filter::column_prefix("r"), "b/g:r/5=z");
    says("MultipleColumnPrefixFilter('r', 'q')", "a/f:q/5=x b/g:r/5=z c/f:q/1=x");
    // read-path.md §23.6
    let shadowed = Filter::column_prefixes(["a", "ab"]).unwrap();
    let read_all = read(&shadowed, &cells("r/f:a/1=x r/f:ab/1=x r/f:ac/1=x"), false);
    assert_eq!(read_all, ["r/f:a/1=x", "r/f:ab/1=x"]);
    assert!(Filter::column_prefixes(["a", "a"]).is_err());
    // HBase: `MultipleColumnPrefixFilter.filterCell` without prefixes
    says("MultipleColumnPrefixFilter()", TABLE);
    gives_reversed(&Filter::column_prefixes([""; 0]).unwrap(), &format!("{C} {B} {A}"));
    says("ColumnRangeFilter('p', false, 'q', true)", "a/f:q/5=x b/f:pq/9=y c/f:q/1=x");
    says("ColumnRangeFilter('', false, 'pq', false)", "a/f:p/5=1 a/f:p/3=0 a/g:p/4=7 b/f:p/5=2 c/g:p/1=1");
    says("ColumnRangeFilter('pq', true, '', false)", "a/f:q/5=x b/f:pq/9=y b/g:r/5=z c/f:q/1=x");
    gives(&Filter::column_range(Some(Bytes::new()), true, Some(Bytes::new()), true), "");
}

#[test]
fn by_value_of_a_column() {
    says("SingleColumnValueFilter('f', 'p', =, 'binary:1')", &format!("{A} {C}"));
    says("SingleColumnValueFilter('f', 'p', =, 'binary:1', true, true)", A);
    says("SingleColumnValueFilter('f', 'p', =, 'binary:0', true, true)", "");
    says("SingleColumnValueFilter('f', 'p', =, 'binary:0', true, false)", A);
    says("SingleColumnValueExcludeFilter('f', 'p', =, 'binary:2', true, true)", "b/f:pq/9=y b/g:r/5=z");
    says("ColumnValueFilter('f', 'p', !=, 'binary:1')", "a/f:p/3=0 b/f:p/5=2");
    says("DependentColumnFilter('f', 'p')", "a/f:p/5=1 a/f:p/3=0 a/f:q/5=x b/f:p/5=2 b/g:r/5=z");
    says("DependentColumnFilter('f', 'p', true)", "a/f:q/5=x b/g:r/5=z");
    says("DependentColumnFilter('f', 'p', false, =, 'binary:2')", "b/f:p/5=2 b/g:r/5=z");
    let no_op = SingleColumnValue::new("f", "p", Compare::NoOp, Comparator::binary("1"));
    let mut state = FilterEvaluator::new(&Filter::single_column_value(no_op));
    let results: Vec<_> = table().iter().map(|cell| state.filter_cell(cell.cell())).collect();
    assert!(results[0].is_err(), "only where the column is met");
}

#[test]
fn by_count() {
    says("PageFilter(2)", &format!("{A} {B}"));
    says("PageFilter(0)", "");
    // read-path.md §23.8: rows dropped by an earlier filter are not counted
    says("SingleColumnValueFilter('g', 'r', =, 'binary:z', true, true) AND PageFilter(1)", B);
    says("ColumnPaginationFilter(1, 1)", "a/f:q/5=x b/f:pq/9=y c/g:p/1=1");
    // In HBase, the sum overflows and nothing passes (read-path.md §23.31).
    says("ColumnPaginationFilter(2147483647, 1)", "a/f:q/5=x a/g:p/4=7 b/f:pq/9=y b/g:r/5=z c/g:p/1=1");
    gives(&Filter::column_page(1, "q"), "a/f:q/5=x b/g:r/5=z c/f:q/1=x");
    // after a row with more columns the read should end, until the filter is reset
    let counted = "a/f:p/5=1 a/f:q/5=x b/f:p/5=2 b/f:pq/9=y c/f:q/1=x c/g:p/1=1";
    says("ColumnCountGetFilter(2)", counted);
    says("FirstKeyOnlyFilter()", "a/f:p/5=1 b/f:p/5=2 c/f:q/1=x");
    let timestamps = "b/f:pq/9=y c/f:q/1=x c/g:p/1=1";
    gives(&Filter::timestamps([9, 1, 9], false).unwrap(), timestamps);
    gives(&Filter::timestamps([9, 1], true).unwrap(), timestamps);
    gives_reversed(&Filter::timestamps([9, 1], true).unwrap(), "c/f:q/1=x c/g:p/1=1 b/f:pq/9=y");
    says("TimestampsFilter()", "");
    assert!(Filter::timestamps([-1], false).is_err());
}

#[test]
fn cells_are_transformed_by_key_only_filters() {
    says("FirstKeyOnlyFilter() AND KeyOnlyFilter()", "a/f:p/5= b/f:p/5= c/f:q/1=");
    let tags = [0, 2, TTL_TAG_TYPE, 1];
    let key = SeekKey::of(b"r", b"f", b"q", 1, crate::cell::CellType::Put);
    let cell = CellRef::new(&key, b"value").with_seq_id(7).with_tag_bytes(&tags).unwrap();
    let mut state = FilterEvaluator::new(&Filter::key_only(true));
    assert_eq!(state.transform_cell(cell), CellRef::new(&key, &[0, 0, 0, 5]));
    // only the members that included the cell transform it
    says(
        "KeyOnlyFilter() OR PrefixFilter('b')",
        &TABLE.split(' ').map(|c| &c[..=c.find('=').unwrap()]).collect::<Vec<_>>().join(" "),
    );
    says(
        "(KeyOnlyFilter() AND PrefixFilter('b')) OR PrefixFilter('c')",
        &format!("b/f:p/5= b/f:pq/9= b/g:r/5= {C}"),
    );
}

#[test]
fn wrappers_make_more_of_a_verdict() {
    says("SKIP ValueFilter(!=, 'binary:x')", B);
    says("SKIP RowFilter(=, 'binary:b')", TABLE);
    says("SKIP ColumnCountGetFilter(5)", "");
    says("WHILE ValueFilter(!=, 'binary:y')", &format!("{A} b/f:p/5=2"));
    says("WHILE PrefixFilter('a')", A);
    // read-path.md §23.7: the direction is not passed on
    gives_reversed(&Filter::while_match(Filter::prefix("a")).unwrap(), "");
    // neither are hints
    let table = cells("r/f:a/1=x");
    let hints = |expression: &str| {
        let mut state = FilterEvaluator::new(&Filter::parse(expression).unwrap());
        (state.skip_hint(table[0].cell()).is_some(), state.next_cell_hint(table[0].cell()).is_some())
    };
    assert_eq!(hints("WHILE ColumnPrefixFilter('b')"), (false, false));
    assert_eq!(hints("SKIP ColumnPrefixFilter('b')"), (false, false));
}

#[test]
fn families_that_are_needed() {
    let essential = |filter: Result<Filter>| {
        let state = FilterEvaluator::new(&filter.unwrap());
        (state.is_family_essential(b"f"), state.is_family_essential(b"g"))
    };
    assert_eq!(essential(Filter::parse("SingleColumnValueFilter('f', 'p', =, 'binary:1')")), (true, true));
    let missing = "SingleColumnValueFilter('f', 'p', =, 'binary:1', true, true)";
    assert_eq!(essential(Filter::parse(missing)), (true, false));
    assert_eq!(essential(Filter::parse("ColumnValueFilter('g', 'p', =, 'binary:1')")), (false, true));
    assert_eq!(essential(Filter::parse(format!("{missing} AND PageFilter(1)"))), (true, true));
    assert_eq!(essential(Filter::parse(format!("SKIP {missing}"))), (true, false));
    assert_eq!(essential(Filter::all([])), (true, true));
}

#[test]
fn has_filter_row_agrees_with_the_filter() {
    for (expression, judges) in [
        ("PageFilter(1)", true),
        ("DependentColumnFilter('f', 'q')", true),
        ("SKIP KeyOnlyFilter()", true),
        ("WHILE KeyOnlyFilter()", true),
        ("SingleColumnValueFilter('f', 'q', =, 'binary:')", true),
        ("KeyOnlyFilter() OR PageFilter(1)", true),
        ("KeyOnlyFilter() AND PrefixFilter('a')", false),
        ("RowFilter(=, 'binary:a')", false),
    ] {
        assert_eq!(
            FilterEvaluator::new(&Filter::parse(expression).unwrap()).has_filter_row(),
            judges,
            "{expression}"
        );
    }
}

#[test]
fn invalid_numbers_fail_the_read() {
    let mut state = FilterEvaluator::new(&Filter::row(Compare::Equal, Comparator::long(1)));
    assert!(state.filter_row_key(b"short").is_err());
    let mut state = FilterEvaluator::new(
        &Filter::any([Filter::value(Compare::Equal, Comparator::decimal("1").unwrap())]).unwrap(),
    );
    assert!(state.filter_cell(table()[0].cell()).is_err());
}

/// Passes every other cell, starting with the first.
#[derive(Debug)]
struct EveryOther;

#[derive(Debug)]
struct EveryOtherState(bool);

impl CustomFilter for EveryOther {
    fn start(&self) -> Box<dyn CellFilter> {
        Box::new(EveryOtherState(false))
    }
}

impl CellFilter for EveryOtherState {
    fn filter_cell(&mut self, _: CellRef<'_>) -> Result<Verdict> {
        self.0 = !self.0;
        Ok(if self.0 { Verdict::Include } else { Verdict::Skip })
    }
}

#[test]
fn a_filter_of_ones_own() {
    let filter = Filter::all([Filter::prefix("b"), Filter::custom(EveryOther)]).unwrap();
    for _ in 0..2 {
        gives(&filter, "b/f:p/5=2 b/g:r/5=z");
    }
    assert_eq!(filter, filter.clone());
    assert_eq!(filter.to_expression(), None);
}

/// A filter that can neither end reads nor reject rows by their keys is not called for that. Debug builds
/// call it, and check the answer.
#[test]
fn filters_that_judge_cells_only_are_not_asked_about_rows() {
    let judges =
        |expression: &str| FilterEvaluator::new(&Filter::parse(expression).unwrap()).checks_row_keys();
    let (key, cell) = ("PageFilter(1)", "ValueFilter(=, 'binary:1')");
    for (expression, expected) in [
        (key.to_owned(), true),
        (cell.to_owned(), false),
        (format!("{cell} AND {key}"), true),
        (format!("{cell} OR ({key} AND {cell})"), true),
        (format!("{cell} OR {cell} AND {cell}"), false),
        (format!("SKIP {key}"), false),
        (format!("WHILE {cell}"), true),
    ] {
        assert_eq!(judges(&expression), expected, "{expression}");
    }
}

/// Determines which scans of several regions depend on the order of the regions.
#[test]
fn filters_that_may_end_scans_are_known() {
    let (page, cell) = ("PageFilter(1)", "ValueFilter(=, 'binary:1')");
    for (expression, expected) in [
        (page.to_owned(), true),
        ("ColumnCountGetFilter(1)".to_owned(), true),
        (format!("WHILE {cell}"), true),
        (format!("{cell} AND ({cell} OR WHILE {cell})"), true),
        (format!("SKIP {page}"), false),
        (format!("{cell} OR PrefixFilter('a') AND InclusiveStopFilter('b')"), false),
    ] {
        assert_eq!(Filter::parse(&expression).unwrap().may_end_scan(), expected, "{expression}");
    }
    assert!(Filter::custom(EveryOther).may_end_scan());
}
