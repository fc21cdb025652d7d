//! Filter lists, compared with evaluating each member on each cell.

use super::{TestCell, cells, read};
use crate::cell::CellOrder;
use crate::filter::{Comparator, Compare, Filter, FilterEvaluator, MAX_DEPTH, Verdict};
use proptest::prelude::*;
use std::ops::Bound;

/// A stateless filter of single cells, without hints.
#[derive(Clone, Debug)]
enum Naive {
    Row(Compare, String),
    Prefix(String),
    Range(String, String),
    Fuzzy(String, bool),
    Family(String),
    Qualifier(Compare, String),
    ColumnPrefix(String),
    ColumnRange(String, String),
    Timestamps(Vec<i64>, bool),
    Value(String),
    All(Vec<Naive>),
    Any(Vec<Naive>),
}

impl Naive {
    fn filter(&self) -> Filter {
        let binary = |text: &str| Comparator::binary(text.to_owned());
        match self {
            Self::Row(compare, row) => Filter::row(*compare, binary(row)),
            Self::Prefix(prefix) => Filter::prefix(prefix.clone()),
            Self::Range(from, to) => {
                Filter::row_ranges([(Bound::Included(from), Bound::Included(to))]).unwrap()
            }
            Self::Fuzzy(row, second) => {
                Filter::fuzzy_row([(row, [u8::from(!second), u8::from(*second)])]).unwrap()
            }
            Self::Family(family) => Filter::family(Compare::Equal, binary(family)),
            Self::Qualifier(compare, qualifier) => Filter::qualifier(*compare, binary(qualifier)),
            Self::ColumnPrefix(prefix) => Filter::column_prefix(prefix.clone()),
            Self::ColumnRange(from, to) => {
                Filter::column_range(Some(from.clone().into()), true, Some(to.clone().into()), false)
            }
            Self::Timestamps(timestamps, hint) => Filter::timestamps(timestamps.clone(), *hint).unwrap(),
            Self::Value(value) => Filter::value(Compare::Equal, binary(value)),
            Self::All(all) => Filter::all(all.iter().map(Self::filter)).unwrap(),
            Self::Any(any) => Filter::any(any.iter().map(Self::filter)).unwrap(),
        }
    }

    fn passes(&self, cell: &TestCell) -> bool {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (row, family, qualifier) = cell.key.split();
        let (row, family, qualifier) = (text(row), text(family), text(qualifier));
        let holds = |compare, a: &str, b: &str| match compare {
            Compare::Less => a < b,
            Compare::GreaterOrEqual => a >= b,
            Compare::NotEqual => a != b,
            _ => a == b,
        };
        match self {
            Self::Row(compare, than) => holds(*compare, &row, than),
            Self::Prefix(prefix) => row.starts_with(prefix),
            Self::Range(from, to) => row >= *from && row <= *to,
            Self::Fuzzy(key, second) => {
                let at = usize::from(!second);
                row.as_bytes().get(at).is_none_or(|byte| *byte == key.as_bytes()[at])
            }
            Self::Family(wanted) => family == *wanted,
            Self::Qualifier(compare, than) => holds(*compare, &qualifier, than),
            Self::ColumnPrefix(prefix) => qualifier.starts_with(prefix),
            Self::ColumnRange(from, to) => qualifier >= *from && qualifier < *to,
            Self::Timestamps(timestamps, _) => timestamps.contains(&cell.key.timestamp()),
            Self::Value(value) => cell.value == value.as_bytes(),
            Self::All(all) => all.iter().all(|filter| filter.passes(cell)),
            Self::Any(any) => any.is_empty() || any.iter().any(|filter| filter.passes(cell)),
        }
    }
}

impl Naive {
    /// Whether an OR list has a member with hints within a row. In a reversed read, the list does not call
    /// such a member again once the hint is passed, as in HBase.
    fn hides_cells_backward(&self, in_any: bool) -> bool {
        match self {
            Self::ColumnPrefix(_) | Self::ColumnRange(..) | Self::Timestamps(_, true) => in_any,
            Self::All(all) => all.iter().any(|filter| filter.hides_cells_backward(in_any)),
            Self::Any(any) => any.iter().any(|filter| filter.hides_cells_backward(true)),
            _ => false,
        }
    }
}

fn compare() -> impl Strategy<Value = Compare> {
    prop_oneof![
        Just(Compare::Less),
        Just(Compare::GreaterOrEqual),
        Just(Compare::NotEqual),
        Just(Compare::Equal)
    ]
}

fn naive() -> impl Strategy<Value = Naive> {
    let name = || "[a-c]{1,2}".boxed();
    let ordered = |(a, b): (String, String)| if a <= b { (a, b) } else { (b, a) };
    let leaf = prop_oneof![
        (compare(), name()).prop_map(|(compare, row)| Naive::Row(compare, row)),
        name().prop_map(Naive::Prefix),
        (name(), name()).prop_map(ordered).prop_map(|(a, b)| Naive::Range(a, b)),
        ("[a-c]{2}", any::<bool>()).prop_map(|(key, second)| Naive::Fuzzy(key, second)),
        "[fg]".prop_map(Naive::Family),
        (compare(), name()).prop_map(|(compare, qualifier)| Naive::Qualifier(compare, qualifier)),
        name().prop_map(Naive::ColumnPrefix),
        (name(), name()).prop_map(ordered).prop_map(|(a, b)| Naive::ColumnRange(a, b)),
        (proptest::collection::vec(0i64..5, 0..3), any::<bool>())
            .prop_map(|(t, hint)| Naive::Timestamps(t, hint)),
        "[xy]".prop_map(Naive::Value),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let inner = proptest::collection::vec(inner, 0..4);
        prop_oneof![inner.clone().prop_map(Naive::All), inner.prop_map(Naive::Any)]
    })
}

fn table() -> impl Strategy<Value = Vec<TestCell>> {
    // rows of one length: a hint of FuzzyRowFilter skips shorter rows that would match
    let cell = ("[a-c]{2}", "[fg]", "[a-c]{1,2}", 0i64..5, "[xy]");
    proptest::collection::vec(cell, 0..60).prop_map(|cells| {
        let new = |(row, family, qualifier, timestamp, value): (String, String, String, _, String)| {
            TestCell::new(&row, &family, &qualifier, timestamp, &value)
        };
        let mut cells: Vec<_> = cells.into_iter().map(new).collect();
        cells.sort_by(|a, b| CellOrder::User.compare(&a.key, &b.key));
        cells.dedup_by(|a, b| a.key == b.key);
        cells
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 1000 } else { 4000 }))]

    /// No cell is lost or added, whatever verdicts and hints skip.
    #[test]
    fn lists_agree_with_their_members(naive in naive(), cells in table(), reversed: bool) {
        let reversed = reversed && !naive.hides_cells_backward(false);
        let mut expected: Vec<&[TestCell]> = cells.chunk_by(|a, b| a.key.row() == b.key.row()).collect();
        if reversed {
            expected.reverse();
        }
        let expected = expected.concat();
        let expected = expected.iter().filter(|cell| naive.passes(cell));
        let expected: Vec<_> = expected.map(|cell| super::show(cell.cell())).collect();
        prop_assert_eq!(read(&naive.filter(), &cells, reversed), expected);
    }
}

#[test]
fn the_farthest_hint_and_the_nearest() {
    let table = cells("r/f:a/1=x");
    let cell = table[0].cell();
    let hint = |expression: &str| {
        let mut state = FilterEvaluator::new(&Filter::parse(expression).unwrap());
        let verdict = state.filter_cell(cell).unwrap();
        assert_eq!(verdict, Verdict::SeekNextUsingHint, "{expression}");
        let hint = state.next_cell_hint(cell).unwrap();
        (String::from_utf8_lossy(hint.qualifier()).into_owned(), state.skip_hint(cell).is_some())
    };
    let (b, c) = ("ColumnPrefixFilter('b')", "ColumnRangeFilter('c', true, '', true)");
    assert_eq!(hint(&format!("{b} AND {c}")), ("c".into(), true));
    assert_eq!(hint(&format!("{c} AND {b}")), ("c".into(), true));
    assert_eq!(hint(&format!("{b} OR {c}")), ("b".into(), true));
    assert_eq!(hint(&format!("{c} OR {b}")), ("b".into(), true));
    // a member that excluded the cell does not suppress the hint of a later one
    assert_eq!(hint(&format!("ValueFilter(=, 'binary:y') AND {b}")), ("b".into(), true));
    // an OR list with a member without a hint has none
    let mut state = FilterEvaluator::new(&Filter::parse(format!("{b} OR KeyOnlyFilter()")).unwrap());
    assert!(state.skip_hint(cell).is_none());
}

/// Excluded cells give skip hints only if no member of the list must receive the skipped cells (read-path.md
/// §23.21).
#[test]
fn skip_hints_pass_over_nothing_that_a_member_judges() {
    let table = cells("r/f:a/1=x");
    let hints = |expression: &str| {
        FilterEvaluator::new(&Filter::parse(expression).unwrap()).skip_hint(table[0].cell()).is_some()
    };
    let prefix = "ColumnPrefixFilter('b')";
    for member in ["KeyOnlyFilter()", "ValueFilter(=, 'binary:x')", "QualifierFilter(>, 'binary:a')", prefix]
    {
        assert!(hints(&format!("{member} AND {prefix}")), "{member}");
    }
    for member in [
        "SingleColumnValueFilter('f', 'a', =, 'binary:x')",
        "DependentColumnFilter('f', 'a')",
        "ColumnValueFilter('f', 'a', =, 'binary:x')",
        "FirstKeyOnlyFilter()",
        "ColumnCountGetFilter(2)",
        "ColumnPaginationFilter(1, 1)",
        "PageFilter(1)",
        "RowFilter(=, 'binary:r')",
        "SKIP ValueFilter(=, 'binary:x')",
        "WHILE ValueFilter(=, 'binary:x')",
    ] {
        assert!(!hints(&format!("{member} AND {prefix}")), "{member}");
        assert!(!hints(&format!("({prefix} OR {member}) AND {prefix}")), "{member}");
        assert!(!hints(&format!("(({member} AND {prefix}) OR {prefix}) AND {prefix}")), "{member}");
    }
    let number = Filter::value(Compare::Equal, Comparator::long(1));
    let list = Filter::all([number, Filter::column_prefix("b")]).unwrap();
    assert!(FilterEvaluator::new(&list).skip_hint(table[0].cell()).is_none(), "it may fail");
}

#[test]
fn reversed_or_skips_members_after_their_hint() {
    let table = cells("r/f:a/1=x r/f:b/1=x");
    for (reversed, expected) in [(false, 1), (true, 0)] {
        let found = read(&Filter::any([Filter::column_prefix("b")]).unwrap(), &table, reversed);
        assert_eq!(found.len(), expected, "reversed: {reversed}");
    }
    // the list's result is HBase's, though a single filter passes the cell
    assert_eq!(read(&Filter::column_prefix("b"), &table, true).len(), 1);
}

/// If the fuzzy filter gave the hint for a row after all its matches, it would end, and keep rows of a list
/// whose other members drop them.
#[test]
fn or_asks_for_hints_when_the_next_cell_of_the_row_comes() {
    let filter = || {
        let missing = Filter::parse("SingleColumnValueFilter('f', 'c', =, 'binary:v', true, true)").unwrap();
        Filter::any([Filter::fuzzy_row([("a", [0])]).unwrap(), missing]).unwrap()
    };
    let one_each = cells("a1/f:x/1=x b1/f:x/1=x b2/f:x/1=x");
    assert_eq!(read(&filter(), &one_each, false), ["a1/f:x/1=x"]);
    // at the second cell of b1, the fuzzy filter ends
    let two_each = cells("a1/f:x/1=x b1/f:x/1=x b1/f:y/1=x b2/f:x/1=x b2/f:y/1=x");
    assert_eq!(read(&filter(), &two_each, false), ["a1/f:x/1=x", "b2/f:x/1=x", "b2/f:y/1=x"]);
}

#[test]
fn empty_lists_pass_everything() {
    let table = cells("a/f:a/1=x b/f:a/1=x");
    for filter in [Filter::all([]), Filter::any([])] {
        assert_eq!(read(&filter.unwrap(), &table, false).len(), 2);
    }
}

#[test]
fn trees_are_deep_but_not_bottomless() {
    let table = cells("a/f:a/1=x b/f:a/1=x");
    let prefix = || Filter::prefix("b");
    let nest: [fn(Filter) -> crate::Result<Filter>; 4] = [
        |filter| Filter::all([filter, Filter::key_only(false), Filter::page(5)]),
        |filter| Filter::any([filter, Filter::prefix("c")]),
        Filter::skip,
        Filter::while_match,
    ];
    for nest in nest {
        let mut filter = prefix();
        for _ in 1..MAX_DEPTH {
            filter = nest(filter).unwrap();
        }
        read(&filter, &table, false);
        read(&filter, &table, true);
        let expression = filter.to_expression().unwrap();
        assert_eq!(Filter::parse(expression).unwrap(), filter);
        assert!(nest(filter).is_err());
    }
}
