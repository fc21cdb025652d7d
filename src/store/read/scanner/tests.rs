//! Compares rows under a filter read in one walk with rows read cell by cell.

use super::*;
use crate::cache::BlockCache;
use crate::cell::{Row, RowBuf};
use crate::filter::{Comparator, Compare, Filter, FilterEvaluator, SingleColumnValue};
use crate::schema::Family;
use crate::store::read::context::{Progress, ScannerContext};
use crate::store::read::get::tests::{NOW, asks, cells, families, store, writes};
use proptest::prelude::*;

fn filters() -> impl Strategy<Value = Filter> {
    let value = |compare| Filter::value(compare, Comparator::binary("25"));
    let column = |row_if_missing| {
        let mut filter = SingleColumnValue::new("f", "q", Compare::Less, Comparator::binary("3"));
        filter = filter.filter_if_missing(row_if_missing);
        Filter::single_column_value(filter)
    };
    let leaf = prop::sample::select(vec![
        Filter::all([]).unwrap(),
        value(Compare::Less),
        value(Compare::GreaterOrEqual),
        column(false),
        column(true),
        Filter::first_key_only(),
        Filter::key_only(false),
        Filter::column_prefix("q"),
        Filter::column_range(Some("p".into()), false, Some("r".into()), true),
        Filter::column_pagination(1, 1),
        Filter::column_count(2),
        Filter::page(2),
        Filter::row(Compare::NotEqual, Comparator::binary("xb")),
        Filter::timestamps([2, 5], true).unwrap(),
        Filter::fuzzy_row([(*b"x?", [0, 1])]).unwrap(),
        Filter::dependent_column("f", "p", true, None),
    ]);
    leaf.prop_recursive(2, 6, 3, |inner| {
        let list = proptest::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            list.clone().prop_map(|list| Filter::all(list).unwrap()),
            list.prop_map(|list| Filter::any(list).unwrap()),
            inner.clone().prop_map(|inner| Filter::skip(inner).unwrap()),
            inner.prop_map(|inner| Filter::while_match(inner).unwrap()),
        ]
    })
}

/// The result of a filter for a row.
#[derive(Debug, PartialEq)]
struct Judged {
    row: Vec<u8>,
    cells: Row,
    counted: Progress,
    rejected: bool,
    dropped: bool,
}

/// Returns all rows from the start of a query until the filter ends the read.
fn judged(
    state: &StoreVersion,
    query: &Query<'_>,
    info: &ScanInfo,
    filter: Option<&Filter>,
    by_cell: bool,
) -> Vec<Judged> {
    let mut scanner = StoreScanner::new(state, query, info).unwrap();
    let mut filter = filter.map(FilterEvaluator::new);
    let (mut rows, mut cells) = (Vec::new(), RowBuf::new());
    while let Some(row) = scanner.peek_row().map(<[u8]>::to_vec) {
        let mut context = ScannerContext::unlimited();
        let rejected = filter.as_mut().is_some_and(|filter| filter.filter_row_key(&row).unwrap());
        context.set_skips_row(rejected);
        cells.clear();
        match by_cell {
            true => scanner.next_piece(&mut context, filter.as_mut(), &mut cells).unwrap(),
            false => scanner.next(&mut context, filter.as_mut(), &mut cells).unwrap(),
        }
        let dropped = filter.as_mut().is_some_and(|filter| {
            let dropped = filter.filter_row();
            filter.reset();
            dropped
        });
        rows.push(Judged { row, cells: cells.freeze(), counted: context.progress(), rejected, dropped });
        if filter.as_ref().is_some_and(FilterEvaluator::filter_all_remaining) {
            break;
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_row_in_one_walk_is_the_row_cell_by_cell(
        writes in writes(),
        cuts in prop_oneof![Just(vec![0, 0]), proptest::collection::vec(0usize..100, 0..5)],
        family in families(),
        asks in asks(),
        filter in proptest::option::weighted(0.9, filters()),
        reversed: bool,
        get_like: bool,
    ) {
        let cells = cells(&writes);
        let state = store(&cells, &cuts, &family, &BlockCache::with_capacity(1 << 20));
        let info = ScanInfo::new(&family, NOW);
        for ask in &asks {
            let one = Query { filtered: filter.is_some(), ..ask.query() };
            let query = if get_like { one } else { Query { stop: &[], reversed, get_like, ..one } };
            let found = judged(&state, &query, &info, filter.as_ref(), false);
            let expected = judged(&state, &query, &info, filter.as_ref(), true);
            prop_assert_eq!(found, expected, "{:?} {:?}", query, filter);
        }
    }
}

#[test]
fn rows_of_one_cell_need_no_matcher() {
    let mut writes: Vec<_> =
        (100..160).map(|i| (format!("x{i}"), "q".to_owned(), i % 7 + 1, 0, false)).collect();
    // Two cells, a marker, and a cell that has expired by its tag.
    writes[20] = (writes[19].0.clone(), "p".to_owned(), 3, 0, false);
    writes[30].3 = 6;
    writes[40].4 = true;
    let (family, cache) = (Family::new("f"), BlockCache::with_capacity(1 << 20));
    // The second file has one block.
    let state = store(&cells(&writes), &[0, 1, 60, 60], &family, &cache);
    let mut scanner = StoreScanner::new(&state, &Query::ALL, &ScanInfo::new(&family, NOW)).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = scanner.peek_row().map(<[u8]>::to_vec) {
        let mut taken = 0;
        scanner
            .next_row(|_| {
                taken += 1;
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        rows.push((row, taken, scanner.single_cell));
    }
    let shown = |i: usize| rows[i].1;
    assert_eq!((rows.len(), shown(19), shown(29), shown(39)), (59, 2, 0, 0));
    assert!(rows.iter().enumerate().all(|(i, row)| row.1 == 1 || [19, 29, 39].contains(&i)), "{rows:?}");
    // A row of more cells switches it off for one row.
    assert!(rows.iter().enumerate().all(|(i, row)| row.2 == (i != 19)), "{rows:?}");
}
