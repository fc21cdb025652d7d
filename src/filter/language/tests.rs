//! Parsing and printing of expressions.

use crate::filter::{Comparator, Compare, Filter, MAX_DEPTH, SingleColumnValue};
use bytes::Bytes;
use proptest::prelude::*;

fn parse(expression: &str) -> Filter {
    Filter::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
}

#[test]
fn operators_bind() {
    let [a, b, c] = ["a", "b", "c"].map(Filter::prefix);
    let all = |filters: Vec<Filter>| Filter::all(filters).unwrap();
    let any = |filters: Vec<Filter>| Filter::any(filters).unwrap();
    let (pa, pb, pc) = ("PrefixFilter('a')", "PrefixFilter('b')", "PrefixFilter('c')");
    let new = || (a.clone(), b.clone(), c.clone());
    let (x, y, z) = new();
    assert_eq!(parse(&format!("{pa} AND {pb} OR {pc}")), any(vec![all(vec![x, y]), z]));
    let (x, y, z) = new();
    assert_eq!(parse(&format!("{pa} OR {pb} AND {pc}")), any(vec![x, all(vec![y, z])]));
    let (x, y, z) = new();
    assert_eq!(parse(&format!("{pa} OR {pb} OR {pc}")), any(vec![x, y, z]));
    let (x, y, z) = new();
    assert_eq!(parse(&format!("({pa} OR {pb})AND {pc}")), all(vec![any(vec![x, y]), z]));
    let (x, y, z) = new();
    assert_eq!(parse(&format!("({pa} OR {pb}) OR({pc})")), any(vec![any(vec![x, y]), z]));
    let (x, y, z) = new();
    assert_eq!(parse(&format!("({pa} OR {pb} AND {pc})")), any(vec![x, all(vec![y, z])]));
    let (x, y, _) = new();
    let skip = all(vec![x, Filter::skip(y).unwrap()]);
    assert_eq!(parse(&format!("({pa} AND SKIP {pb})")), skip);
    let (x, y, _) = new();
    let skip = all(vec![Filter::skip(Filter::while_match(x).unwrap()).unwrap(), y]);
    assert_eq!(parse(&format!("  SKIP WHILE {pa}   AND {pb} ")), skip);
    let (x, y, _) = new();
    assert_eq!(parse(&format!("(SKIP({pa} AND {pb}))")), Filter::skip(all(vec![x, y])).unwrap());
}

#[test]
fn arguments_of_every_kind() {
    assert_eq!(parse("PrefixFilter ( 'it''s' )"), Filter::prefix("it's"));
    assert_eq!(parse("PrefixFilter('')"), Filter::prefix(""));
    assert_eq!(parse("PrefixFilter(') AND (,')"), Filter::prefix(") AND (,"));
    assert_eq!(Filter::parse(b"PrefixFilter('\xff\0')").unwrap(), Filter::prefix(vec![0xff, 0]));
    assert_eq!(parse("KeyOnlyFilter(TRUE)"), Filter::key_only(true));
    assert_eq!(parse("TimestampsFilter(3 , 1,2)"), Filter::timestamps([1, 2, 3], false).unwrap());
    assert_eq!(parse("PageFilter(9223372036854775807)"), Filter::page(i64::MAX.cast_unsigned()));
    for (sign, compare) in [
        ("<", Compare::Less),
        ("<=", Compare::LessOrEqual),
        ("=", Compare::Equal),
        ("!=", Compare::NotEqual),
        (">", Compare::Greater),
        (">=", Compare::GreaterOrEqual),
    ] {
        assert_eq!(
            parse(&format!("RowFilter({sign}, 'binary:a:b')")),
            Filter::row(compare, Comparator::binary("a:b"))
        );
    }
}

#[test]
fn tabs_separate_filters() {
    let expected = Filter::parse("PageFilter(1) AND (PageFilter(2) OR SKIP PageFilter(3))").unwrap();
    let tabs = "\tPageFilter(1)\t AND \t(\tPageFilter(2) OR \t SKIP \tPageFilter(3)\t)\t";
    assert_eq!(Filter::parse(tabs).unwrap(), expected);
    let wrong = ["PageFilter(\t1)", "PageFilter\t(1)", "PageFilter(1\t)", "PageFilter(1) AND\tPageFilter(2)"];
    for wrong in wrong {
        assert!(Filter::parse(wrong).is_err(), "{wrong:?}");
    }
}

/// As in `ParseFilter.getFilterArguments` of HBase, any number of blanks and commas separates arguments.
#[test]
fn blanks_and_commas_separate_arguments() {
    for (loose, usual) in [
        ("RowFilter(= 'binary:a')", "RowFilter(=, 'binary:a')"),
        ("ColumnRangeFilter('a' true 'b' false)", "ColumnRangeFilter('a', true, 'b', false)"),
        ("ColumnPaginationFilter(,1,,2 ,)", "ColumnPaginationFilter(1, 2)"),
        ("MultipleColumnPrefixFilter('a' , 'b',)", "MultipleColumnPrefixFilter('a','b')"),
        ("KeyOnlyFilter( , )", "KeyOnlyFilter()"),
        ("PageFilter(1,) AND PageFilter( 2 )", "PageFilter(1) AND PageFilter(2)"),
    ] {
        assert_eq!(Filter::parse(loose).unwrap(), Filter::parse(usual).unwrap(), "{loose}");
    }
}

/// Open parentheses are closed at the end, as in `ParseFilter` of HBase 2.6.4.
#[test]
fn the_end_closes_parentheses() {
    for (open, closed) in [
        ("(PrefixFilter('a')", "(PrefixFilter('a'))"),
        ("((PageFilter(1)", "PageFilter(1)"),
        ("PageFilter(1) AND (PageFilter(2)", "PageFilter(1) AND PageFilter(2)"),
        ("PageFilter(1) OR ((PageFilter(2)", "PageFilter(1) OR PageFilter(2)"),
        ("((PageFilter(1)) AND PageFilter(2) ", "PageFilter(1) AND PageFilter(2)"),
        (
            "(PageFilter(1) AND (PageFilter(2) OR PageFilter(3)",
            "PageFilter(1) AND (PageFilter(2) OR PageFilter(3))",
        ),
        (
            "PageFilter(1) AND SKIP (PageFilter(2) OR PageFilter(3)",
            "PageFilter(1) AND SKIP (PageFilter(2) OR PageFilter(3))",
        ),
        ("WHILE SKIP (PageFilter(1)", "WHILE SKIP PageFilter(1)"),
    ] {
        assert_eq!(Filter::parse(open).unwrap(), Filter::parse(closed).unwrap(), "{open}");
    }
    for wrong in ["(", "()", "((PageFilter(1)) AND", "PageFilter(1))", "(PageFilter(1)))", "SKIP (", "SKIP"] {
        assert!(Filter::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn errors_have_a_position_and_a_message() {
    for (expression, message) in [
        ("", "filter at 0: expected a filter, found the end"),
        ("()", "filter at 1: expected a filter, found )"),
        ("NoFilter()", "filter at 0: expected the name of a filter, found NoFilter()"),
        ("PrefixFilter", "filter at 12: expected '(', found the end"),
        ("PrefixFilter('a'", "filter at 16: expected ',' or ')', found the end"),
        ("PrefixFilter('a)", "filter at 13: expected a quote at the end of text, found 'a)"),
        ("PrefixFilter('a'x)", "filter at 16: expected ',' or ')', found x)"),
        ("PageFilter(1 2)", "filter at 0: PageFilter takes 1 arguments, there are 2"),
        (
            "PrefixFilter(a)",
            "filter at 13: expected text in quotes, a number, a boolean or an operator, found a)",
        ),
        ("PrefixFilter(1)", "filter at 13: expected text in quotes, found a number"),
        ("PrefixFilter('a', 'b')", "filter at 0: PrefixFilter takes 1 arguments, there are 2"),
        ("KeyOnlyFilter(1)", "filter at 14: expected a boolean, found a number"),
        ("PageFilter(-1)", "filter at 11: expected 0 or more, found -1"),
        ("PageFilter(1x)", "filter at 11: expected a number, found 1x)"),
        (
            "PageFilter(9223372036854775808)",
            "filter at 11: expected a number of 64 bits, found 9223372036854775808)",
        ),
        ("ColumnCountGetFilter(2147483648)", "filter at 21: expected 2147483647 at most, found 2147483648"),
        (
            "RowFilter(NO_OP, 'binary:a')",
            "filter at 10: expected text in quotes, a number, a boolean or an operator, found NO_OP, \
             'binary:a')",
        ),
        ("RowFilter(<, 'substring:a')", "filter at 13: expected = or != with 'substring:a', found <"),
        (
            "RowFilter(=, 'regexstring:(?u)a')",
            "filter at 13: regular expression \"(?u)a\" has a construct that is not supported: flag (?u), \
             UNICODE_CASE (before 3)",
        ),
        ("PageFilter(1) AND", "filter at 17: expected a filter, found the end"),
        ("PageFilter(1) PageFilter(2)", "filter at 14: expected AND, OR or the end, found PageFilter(2)"),
        ("PageFilter(1))", "filter at 13: expected AND, OR or the end, found )"),
        ("(PageFilter(1) AND", "filter at 18: expected a filter, found the end"),
        ("(PageFilter(1) PageFilter(2)", "filter at 15: expected AND, OR or ')', found PageFilter(2)"),
        ("(PageFilter(1", "filter at 13: expected ',' or ')', found the end"),
        (
            "MultipleColumnPrefixFilter('a', 'a')",
            "filter at 32: a filter of column prefixes has one of them twice",
        ),
        (
            "PageFilter(1) and PageFilter(2)",
            "filter at 14: expected AND, OR or the end, found and PageFilter(2)",
        ),
    ] {
        let error = Filter::parse(expression).expect_err(expression);
        assert_eq!(error.to_string(), message, "{expression}");
    }
}

#[test]
fn hostile_depths_are_refused() {
    let nested = |open: &str, count: usize, close: &str| {
        Filter::parse(format!("{}KeyOnlyFilter(){}", open.repeat(count), close.repeat(count)))
    };
    assert!(nested("(", MAX_DEPTH, ")").is_ok());
    assert!(nested("(", MAX_DEPTH + 1, ")").is_err() && nested("(", 1_000_000, ")").is_err());
    assert!(nested("SKIP ", MAX_DEPTH - 1, "").is_ok());
    assert!(nested("SKIP ", 1_000_000, "").is_err());
    let wide = "PageFilter(1) OR ".repeat(10_000);
    assert!(Filter::parse(format!("{wide}PageFilter(2)")).is_ok());
}

pub(in crate::filter) fn text() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(b'\''), Just(b')'), any::<u8>()], 0..6)
}

fn comparison() -> impl Strategy<Value = (Compare, Comparator)> {
    let any_order = prop_oneof![Just(Compare::Less), Just(Compare::GreaterOrEqual), Just(Compare::NotEqual)];
    let equality = prop_oneof![Just(Compare::Equal), Just(Compare::NotEqual)];
    prop_oneof![
        (any_order, text(), any::<bool>()).prop_map(|(compare, value, prefix)| {
            (compare, if prefix { Comparator::binary_prefix(value) } else { Comparator::binary(value) })
        }),
        (equality.clone(), ".{0,4}").prop_map(|(compare, part)| (compare, Comparator::substring(&part))),
        (equality, "[a-c.' ]{0,4}", any::<bool>()).prop_map(|(compare, pattern, ignore_case)| {
            let regex = if ignore_case { Comparator::regex_ignore_case } else { Comparator::regex };
            (compare, regex(&pattern).unwrap())
        }),
    ]
}

pub(in crate::filter) fn filter() -> impl Strategy<Value = Filter> {
    let side = || proptest::option::of(proptest::collection::vec(any::<u8>(), 1..4).prop_map(Bytes::from));
    let count = || 0u32..=i32::MAX.cast_unsigned();
    let leaf = prop_oneof![
        comparison().prop_map(|(compare, comparator)| Filter::row(compare, comparator)),
        comparison().prop_map(|(compare, comparator)| Filter::family(compare, comparator)),
        comparison().prop_map(|(compare, comparator)| Filter::qualifier(compare, comparator)),
        comparison().prop_map(|(compare, comparator)| Filter::value(compare, comparator)),
        text().prop_map(Filter::prefix),
        text().prop_map(Filter::column_prefix),
        text().prop_map(Filter::inclusive_stop),
        proptest::collection::btree_set(text(), 0..4)
            .prop_map(|texts| Filter::column_prefixes(texts).unwrap()),
        proptest::collection::vec(0i64.., 0..4).prop_map(|list| Filter::timestamps(list, false).unwrap()),
        (0u64..=i64::MAX.cast_unsigned()).prop_map(Filter::page),
        count().prop_map(Filter::column_count),
        (count(), count()).prop_map(|(limit, offset)| Filter::column_pagination(limit, offset)),
        any::<bool>().prop_map(Filter::key_only),
        Just(Filter::first_key_only()),
        (side(), any::<bool>(), side(), any::<bool>())
            .prop_map(|(a, b, c, d)| Filter::column_range(a, b, c, d)),
        (text(), text(), comparison(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(f, q, (o, c), a, b, x)| {
                let condition = SingleColumnValue::new(f, q, o, c);
                Filter::single_column_value(condition.filter_if_missing(a).latest_version_only(b).exclude(x))
            }
        ),
        (text(), text(), comparison()).prop_map(|(f, q, (o, c))| Filter::column_value(f, q, o, c)),
        (text(), text(), any::<bool>(), proptest::option::of(comparison()))
            .prop_map(|(f, q, drop, condition)| Filter::dependent_column(f, q, drop, condition)),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let many = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            many.clone().prop_map(|filters| Filter::all(filters).unwrap()),
            many.prop_map(|filters| Filter::any(filters).unwrap()),
            inner.clone().prop_map(|filter| Filter::skip(filter).unwrap()),
            inner.prop_map(|filter| Filter::while_match(filter).unwrap()),
        ]
    })
}

proptest! {
    #[test]
    fn written_expressions_parse_back(filter in filter()) {
        let expression = filter.to_expression().expect("it can be said");
        prop_assert_eq!(Filter::parse(&expression).unwrap(), filter);
    }
}

#[test]
fn inexpressible_filters_have_no_expression() {
    let binary = || Comparator::binary("a");
    for filter in [
        Filter::row(Compare::NoOp, binary()),
        Filter::row(Compare::Less, Comparator::long(1)),
        Filter::row(Compare::Less, Comparator::substring("a")),
        Filter::page(u64::MAX),
        Filter::column_count(u32::MAX),
        Filter::column_page(1, "a"),
        Filter::column_range(Some(Bytes::new()), true, None, true),
        Filter::timestamps([1], true).unwrap(),
        Filter::random_row(0.5),
        Filter::row_prefixes(["a"]).unwrap(),
        Filter::all([]).unwrap(),
        Filter::any([Filter::prefix("a")]).unwrap(),
        Filter::skip(Filter::random_row(0.5)).unwrap(),
        Filter::all([Filter::prefix("a"), Filter::random_row(0.5)]).unwrap(),
    ] {
        assert_eq!(filter.to_expression(), None, "{filter:?}");
    }
}
