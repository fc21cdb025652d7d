//! Decoding messages of HBase's clients, and round trips of arbitrary filters.

use crate::binary::bytes_of_hex;
use crate::cell::{CellRef, CellType, SeekKey};
use crate::filter::language::tests::{filter as any_of_language, text};
use crate::filter::{
    BitOperator, Comparator, Compare, CustomFilter, Filter, FilterEvaluator, MAX_DEPTH, SingleColumnValue,
    Verdict,
};
use crate::filter::{CellFilter, skip::SkipFilter};
use crate::proto::filter as proto;
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use std::ops::Bound;

/// The filters that `FilterBytes` of `interop/check` prints, by the names used there.
fn known(name: &str) -> Filter {
    let v = || Comparator::binary("v");
    let value = |comparator| Filter::value(Compare::Equal, comparator);
    let single = || SingleColumnValue::new("f", "q", Compare::Equal, v());
    let page = || Filter::page(1);
    match name {
        "value-binary" => value(Comparator::binary("v\0")),
        "value-binary-empty" => value(Comparator::binary("")),
        "value-binary-prefix" => value(Comparator::binary_prefix("ab")),
        "value-binary-component" => value(Comparator::binary_component("ab", 300)),
        "value-bit-and" => value(Comparator::bit(vec![1, 0xff], BitOperator::And)),
        "value-bit-or" => value(Comparator::bit(vec![1], BitOperator::Or)),
        "value-bit-xor" => value(Comparator::bit(vec![1], BitOperator::Xor)),
        "value-long" => value(Comparator::long(-5)),
        "value-decimal" => value(Comparator::decimal("-1234567890123456789012.50").unwrap()),
        "value-decimal-zero" => value(Comparator::decimal("0").unwrap()),
        "value-decimal-128" => value(Comparator::decimal("128").unwrap()),
        "value-decimal-minus-128" => value(Comparator::decimal("-128E3").unwrap()),
        "value-null" => value(Comparator::null()),
        "value-substring" => value(Comparator::substring("ADA")),
        "value-regex" => value(Comparator::regex("^a.[0-9]+$").unwrap()),
        "value-regex-no-case" => value(Comparator::regex_ignore_case("ab").unwrap()),
        "value-regex-no-dotall" => value(Comparator::regex("(?-s)a.b").unwrap()),
        "row-LESS" => Filter::row(Compare::Less, Comparator::binary("r")),
        "row-LESS_OR_EQUAL" => Filter::row(Compare::LessOrEqual, Comparator::binary("r")),
        "row-EQUAL" => Filter::row(Compare::Equal, Comparator::binary("r")),
        "row-NOT_EQUAL" => Filter::row(Compare::NotEqual, Comparator::binary("r")),
        "row-GREATER_OR_EQUAL" => Filter::row(Compare::GreaterOrEqual, Comparator::binary("r")),
        "row-GREATER" => Filter::row(Compare::Greater, Comparator::binary("r")),
        "row-NO_OP" => Filter::row(Compare::NoOp, Comparator::binary("r")),
        "family" => Filter::family(Compare::NotEqual, Comparator::binary("f")),
        "qualifier" => Filter::qualifier(Compare::Less, Comparator::binary("q")),
        "prefix" => Filter::prefix("pre"),
        "inclusive-stop" => Filter::inclusive_stop("stop"),
        "page" => Filter::page(1 << 40),
        "column-count" => Filter::column_count(7),
        "column-pagination" => Filter::column_pagination(3, 2),
        "column-page" => Filter::column_page(3, "from"),
        "first-key-only" => Filter::first_key_only(),
        "first-key-matching" => Filter::first_key_matching(["q2", "q1"]),
        "key-only" => Filter::key_only(false),
        "key-only-len" => Filter::key_only(true),
        "timestamps" => Filter::timestamps([300, 5, 70_000_000_000], false).unwrap(),
        "timestamps-hint" => Filter::timestamps([5], true).unwrap(),
        "random-row" => Filter::random_row(0.25),
        "dependent-column" => Filter::dependent_column("f", "q", false, None),
        "dependent-column-drop" => Filter::dependent_column("f", "q", true, Some((Compare::Greater, v()))),
        "single-column-value" => Filter::single_column_value(single()),
        "single-column-value-set" => {
            Filter::single_column_value(single().filter_if_missing(true).latest_version_only(false))
        }
        "single-column-value-exclude" => Filter::single_column_value(single().exclude(true)),
        "column-value" => Filter::column_value("f", "q", Compare::LessOrEqual, v()),
        "column-prefix" => Filter::column_prefix("p"),
        "column-prefixes" => Filter::column_prefixes(["b", "a", "ab"]).unwrap(),
        "column-range" => Filter::column_range(Some("a".into()), true, Some("c".into()), false),
        "column-range-open" => Filter::column_range(None, false, None, true),
        "fuzzy-row" => {
            Filter::fuzzy_row([(&b"ab?d"[..], &[0, 0, 1, 0][..]), (b"x", &[0]), (b"y", &[1])]).unwrap()
        }
        "row-ranges" => Filter::row_ranges([
            (Bound::Excluded("m"), Bound::Included("p")),
            (Bound::Included("a"), Bound::Excluded("c")),
            (Bound::Included("b"), Bound::Included("d")),
            (Bound::Included("x"), Bound::Unbounded),
        ])
        .unwrap(),
        "row-ranges-open" => Filter::row_ranges([(Bound::Included(""), Bound::Excluded("c"))]).unwrap(),
        "row-prefixes" => Filter::row_prefixes([&b"k"[..], b"\xff", b"a\xff"]).unwrap(),
        "skip" => Filter::skip(Filter::value(Compare::NotEqual, Comparator::binary(""))).unwrap(),
        "while-match" => Filter::while_match(page()).unwrap(),
        "list-and" => Filter::all([page(), Filter::key_only(false)]).unwrap(),
        "list-or" => Filter::any([page(), Filter::all([page()]).unwrap()]).unwrap(),
        "list-empty" => Filter::any([]).unwrap(),
        _ => panic!("unknown filter {name}"),
    }
}

fn lines(version: &str) -> Vec<(String, Vec<u8>)> {
    let path = format!("{}/testdata/filter-proto/hbase-{version}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        line.split_once('\t').map(|(name, digits)| (name.to_owned(), bytes_of_hex(digits))).unwrap()
    };
    text.lines().map(line).collect()
}

#[test]
fn messages_of_hbase_round_trip() {
    let messages = lines("2.6");
    assert!(messages.len() > 50);
    for (name, message) in messages {
        let filter = known(&name);
        assert_eq!(Filter::from_proto_bytes(message.clone()).unwrap(), filter, "{name}");
        assert_eq!(filter.to_proto_bytes().unwrap(), message, "{name}");
    }
    // 3.0.0-alpha-4 lacks the flag of masks
    for (name, message) in lines("3") {
        assert_eq!(Filter::from_proto_bytes(message).unwrap(), known(&name), "{name}");
    }
}

fn message(class: &str, serialized: impl Message) -> Vec<u8> {
    raw(class, serialized.encode_to_vec())
}

fn raw(class: &str, serialized: Vec<u8>) -> Vec<u8> {
    let name = format!("org.apache.hadoop.hbase.filter.{class}");
    proto::Filter { name: Some(name), serialized: Some(serialized.into()) }.encode_to_vec()
}

fn refusal(message: Vec<u8>) -> String {
    Filter::from_proto_bytes(message).unwrap_err().to_string()
}

#[test]
fn fuzzy_masks_match_as_in_hbase() {
    // the answers of 2.6.4 for the rows ab, ax, xb, xx; without the flag 2.6.4 misreads a 2: these are the
    // answers of 3.0.0-alpha-4
    let cases: [(&[u8], Option<bool>, [bool; 4]); 16] = [
        (&[0, 0], None, [true; 4]),
        (&[0, 1], None, [true, true, false, false]),
        (&[1, 1], None, [true; 4]),
        (&[0xff, 0], None, [true, true, false, false]),
        (&[0xff, 0xff], None, [true, false, false, false]),
        (&[0xff, 1], None, [true, true, false, false]),
        (&[0xff, 2], None, [true, true, false, false]),
        (&[2, 2], None, [true; 4]),
        (&[0xff, 0], Some(false), [true, true, false, false]),
        (&[0, 0], Some(true), [true, false, false, false]),
        (&[0, 1], Some(true), [true, true, false, false]),
        (&[0xff, 0], Some(true), [true, false, false, false]),
        (&[0xff, 2], Some(true), [true, true, false, false]),
        (&[0, 2], Some(true), [true, true, false, false]),
        (&[0xff, 1], Some(true), [true, true, false, false]),
        (&[2, 2], Some(true), [true; 4]),
    ];
    for (mask, flag, expected) in cases {
        let key = proto::FuzzyKey { first: Some("ab".into()), second: Some(Bytes::from_static(mask)) };
        let fuzzy = proto::FuzzyRowFilter { fuzzy_keys_data: vec![key], is_mask_v2: flag };
        let filter = Filter::from_proto_bytes(message("FuzzyRowFilter", fuzzy)).unwrap();
        let passes = ["ab", "ax", "xb", "xx"].map(|row| {
            let mut state = FilterEvaluator::new(&filter);
            let key = SeekKey::of(row.as_bytes(), b"f", b"q", 1, CellType::Put);
            state.filter_cell(CellRef::new(&key, b"")).unwrap() == Verdict::Include
        });
        assert_eq!(passes, expected, "{mask:?} {flag:?}");
    }
    let key = proto::FuzzyKey { first: Some("a".into()), second: Some(Bytes::from_static(&[3])) };
    let fuzzy = proto::FuzzyRowFilter { fuzzy_keys_data: vec![key], is_mask_v2: None };
    assert!(refusal(message("FuzzyRowFilter", fuzzy)).contains("byte 3"));
}

fn regex(pattern: &str, flags: i32, charset: &str, engine: Option<&str>) -> proto::Filter {
    let comparator = proto::RegexStringComparator {
        pattern: Some(pattern.into()),
        pattern_flags: Some(flags),
        charset: Some(charset.into()),
        engine: engine.map(Into::into),
    };
    let name = "org.apache.hadoop.hbase.filter.RegexStringComparator";
    proto::Filter { name: Some(name.into()), serialized: Some(comparator.encode_to_vec().into()) }
}

fn value_filter(compare_op: i32, comparator: proto::Filter) -> Vec<u8> {
    let compare_filter = proto::CompareFilter { compare_op: Some(compare_op), comparator: Some(comparator) };
    message("ValueFilter", proto::ComparisonFilter { compare_filter: Some(compare_filter) })
}

#[test]
fn invalid_messages_are_rejected_by_name() {
    let negative = |limit| proto::ColumnCountGetFilter { limit: Some(limit) };
    let other = |name: &str| proto::Filter { name: Some(name.into()), serialized: None };
    for (message, part) in [
        (vec![], "without name"),
        (vec![0xff], "no message of Filter"),
        (other("com.example.MyFilter").encode_to_vec(), "com.example.MyFilter"),
        (raw("FilterAllFilter", vec![]), "FilterAllFilter"),
        (raw("PageFilter", vec![0xff]), "no message of PageFilter"),
        (raw("PageFilter", vec![]), "PageFilter without page_size"),
        (message("PageFilter", proto::PageFilter { page_size: Some(-1) }), "negative"),
        (message("ColumnCountGetFilter", negative(-1)), "negative"),
        (raw("PrefixFilter", vec![]), "PrefixFilter without"),
        (raw("RowFilter", vec![]), "RowFilter without compare_filter"),
        (raw("SkipFilter", vec![]), "SkipFilter without filter"),
        (raw("FilterList", vec![]), "FilterList without operator"),
        (raw("FuzzyRowFilter", vec![]), "needs at least one"),
        (value_filter(2, other("com.example.C")), "com.example.C"),
        (value_filter(7, regex("a", 32, "UTF-8", None)), "operator 7"),
        (value_filter(-1, regex("a", 32, "UTF-8", None)), "operator -1"),
        (value_filter(2, regex("a", 32, "ISO-8859-1", None)), "ISO-8859-1"),
        (value_filter(2, regex("a", 32, "UTF-8", Some("JONI"))), "JONI"),
        (value_filter(2, regex("a", 32 | 4, "UTF-8", None)), "COMMENTS"),
        (value_filter(2, regex("a", 1 << 20, "UTF-8", None)), "1048576"),
        (value_filter(2, regex("(", 32, "UTF-8", None)), "regular expression"),
    ] {
        let refusal = refusal(message);
        assert!(refusal.contains(part), "{refusal}, expected {part}");
    }
    assert!(Filter::from_proto_bytes(value_filter(2, regex("a", 34, "utf-8", Some("JAVA")))).is_ok());
    // Java's flags include those at the beginning of the expression
    for (pattern, flags, expected) in [
        ("(?m)^b$", 32 | 8, "(?m)(?m)^b$"),
        ("^b$", 8, "(?m)(?-s)^b$"),
        ("a.b", 1, "(?d)(?-s)a.b"),
        ("a", 32 | 8 | 1, "(?d)(?m)a"),
    ] {
        let read = Filter::from_proto_bytes(value_filter(2, regex(pattern, flags, "UTF-8", None))).unwrap();
        assert_eq!(read, Filter::value(Compare::Equal, Comparator::regex(expected).unwrap()));
        assert_eq!(Filter::from_proto_bytes(read.to_proto_bytes().unwrap()).unwrap(), read);
    }

    #[derive(Debug)]
    struct Own;
    impl CustomFilter for Own {
        fn start(&self) -> Box<dyn CellFilter> {
            Box::new(SkipFilter::new(Filter::page(1).start()))
        }
    }
    let own = Filter::skip(Filter::custom(Own)).unwrap();
    assert!(own.to_proto_bytes().unwrap_err().to_string().contains("a custom filter"));
    for large in [Filter::page(u64::MAX), Filter::column_count(u32::MAX), Filter::column_page(u32::MAX, "")] {
        assert!(large.to_proto_bytes().unwrap_err().to_string().contains("too large"));
    }
    let component = Filter::row(Compare::Equal, Comparator::binary_component("", usize::MAX));
    assert!(component.to_proto_bytes().unwrap_err().to_string().contains("too large"));
}

#[test]
fn filters_nest_as_deep_as_others_may() {
    let mut filter = Filter::page(1);
    for depth in 1..MAX_DEPTH {
        filter = match depth % 3 {
            0 => Filter::skip(filter),
            1 => Filter::all([filter]),
            _ => Filter::while_match(filter),
        }
        .unwrap();
    }
    let deepest = filter.to_proto_bytes().unwrap();
    assert_eq!(Filter::from_proto_bytes(deepest.clone()).unwrap(), filter);
    let inner = proto::Filter::decode(&deepest[..]).unwrap();
    for class in ["SkipFilter", "FilterWrapper"] {
        let wrapped = proto::WrappingFilter { filter: Some(inner.clone()) };
        assert!(refusal(message(class, wrapped)).contains("deeper"));
    }
    let wrapper = proto::WrappingFilter {
        filter: proto::Filter::decode(&Filter::page(1).to_proto_bytes().unwrap()[..]).ok(),
    };
    assert_eq!(Filter::from_proto_bytes(message("FilterWrapper", wrapper)).unwrap(), Filter::page(1));
}

#[test]
fn expressions_are_counted() {
    let list = |count: usize| {
        let member = Filter::value(Compare::Equal, Comparator::regex("a").unwrap());
        Filter::all(std::iter::repeat_n(member, count)).unwrap().to_proto_bytes().unwrap()
    };
    assert!(Filter::from_proto_bytes(list(200)).is_ok());
    assert!(refusal(list(201)).contains("regular expressions"));
}

fn comparator() -> impl Strategy<Value = Comparator> {
    let operator = prop_oneof![Just(BitOperator::And), Just(BitOperator::Or), Just(BitOperator::Xor)];
    prop_oneof![
        (text(), 0..=i32::MAX.unsigned_abs())
            .prop_map(|(value, offset)| Comparator::binary_component(value, offset as usize)),
        (text(), operator).prop_map(|(value, operator)| Comparator::bit(value, operator)),
        any::<i64>().prop_map(Comparator::long),
        (any::<i64>(), any::<i16>())
            .prop_map(|(number, scale)| Comparator::decimal(&format!("{number}E{scale}")).unwrap()),
        Just(Comparator::null()),
        ".*".prop_map(|part| Comparator::substring(&part)),
        "[a-z.]{0,5}".prop_map(|source| Comparator::regex(&format!("(?-s){source}")).unwrap()),
    ]
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let mask = proptest::collection::vec((any::<u8>(), 0..2_u8), 0..5);
    let keys = proptest::collection::vec(
        mask.prop_map(|pairs| pairs.into_iter().unzip::<u8, u8, Vec<u8>, Vec<u8>>()),
        1..4,
    );
    let range = (text(), any::<bool>(), text()).prop_map(|(start, inclusive, more)| {
        let stop = [&start[..], &more, &[1]].concat();
        let side = |row| if inclusive { Bound::Included(row) } else { Bound::Excluded(row) };
        (side(start), side(stop))
    });
    let compare = (0..7_usize).prop_map(|at| super::COMPARE_TYPES[at]);
    prop_oneof![
        4 => any_of_language(),
        1 => (compare, comparator()).prop_map(|(compare, comparator)| Filter::value(compare, comparator)),
        1 => keys.prop_map(|keys| Filter::fuzzy_row(keys).unwrap()),
        1 => proptest::collection::vec(range, 1..5).prop_map(|ranges| Filter::row_ranges(ranges).unwrap()),
        1 => proptest::collection::vec(text(), 1..4)
            .prop_map(|prefixes| Filter::row_prefixes(prefixes).unwrap()),
        1 => proptest::collection::vec(text(), 0..4).prop_map(Filter::first_key_matching),
        1 => (0..i32::MAX.unsigned_abs(), text()).prop_map(|(limit, from)| Filter::column_page(limit, from)),
        1 => (-1.0..2.0_f32).prop_map(Filter::random_row),
        1 => proptest::collection::vec(0_i64.., 0..4)
            .prop_map(|list| Filter::timestamps(list, true).unwrap()),
    ]
}

proptest! {
    #[test]
    fn any_filter_there_and_back(filter in any_filter()) {
        let message = filter.to_proto_bytes().unwrap();
        prop_assert_eq!(Filter::from_proto_bytes(message).unwrap(), filter);
    }

    #[test]
    fn no_bytes_make_it_panic(filter in any_filter(), at: usize, byte: u8, len: usize) {
        let mut message = filter.to_proto_bytes().unwrap();
        let count = message.len();
        message[at % count] = byte;
        let _ = Filter::from_proto_bytes(message.clone());
        message.truncate(len % count);
        let _ = Filter::from_proto_bytes(message);
    }
}
