//! Compares the rows of a store in reverse with the same rows forward.

use crate::cache::BlockCache;
use crate::cell::{CellRef, Row, RowBuf};
use crate::op::Query;
use crate::store::matcher::ScanInfo;
use crate::store::read::get::tests::{NOW, asks, cells, families, labelled, scanned, store, writes};
use crate::store::{StoreScanner, StoreVersion};
use proptest::prelude::*;
use std::ops::ControlFlow;

/// Returns the rows that have cells, in the order of a scanner.
fn rows(state: &StoreVersion, query: &Query<'_>, info: &ScanInfo) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut scanner = StoreScanner::new(state, query, info).unwrap();
    while scanner.peek_row().is_some() {
        let mut row = RowBuf::new();
        let take = |cell: CellRef<'_>| {
            row.push(cell);
            Ok(ControlFlow::Continue(()))
        };
        scanner.next_row(take).unwrap();
        rows.push(row.freeze());
    }
    // A store may stop anywhere after the last row of the query.
    let (least, greatest) = query.bounds();
    rows.retain(|row| {
        !row.is_empty()
            && row.cells().all(|cell| least <= cell.row() && (greatest.is_empty() || cell.row() <= greatest))
    });
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_reversed_scan_finds_the_rows_of_a_scan(
        writes in writes(),
        cuts in prop_oneof![
            1 => Just(vec![0, 0]),
            4 => proptest::collection::vec(0usize..100, 0..5),
            1 => proptest::collection::vec(0usize..100, 10..16),
        ],
        family in families(),
        asks in asks(),
        other in "((x|longer-than-8-)[a-e])?",
        include_start: bool,
        labels: bool,
    ) {
        let cells = if labels { labelled(cells(&writes)) } else { cells(&writes) };
        let state = store(&cells, &cuts, &family, &BlockCache::with_capacity(1 << 20));
        let info = ScanInfo::new(&family, NOW, labels);
        for ask in &asks {
            let one = ask.query();
            let (least, greatest) = match other.as_bytes() {
                b"" => (one.start, &b""[..]),
                other => (one.start.min(other), one.start.max(other)),
            };
            let forward = Query { start: least, stop: greatest, get_like: false, ..one };
            let back = Query { start: greatest, stop: least, reversed: true, include_start, ..forward };
            let mut expected = rows(&state, &forward, &info);
            expected.reverse();
            if !include_start && !greatest.is_empty() {
                expected.retain(|row| row.cells().all(|cell| cell.row() != greatest));
            }
            prop_assert_eq!(rows(&state, &back, &info), expected, "{:?}", back);
        }
    }

    #[test]
    fn a_reversed_scan_of_one_row_is_a_get(
        writes in writes(),
        cuts in proptest::collection::vec(0usize..100, 0..5),
        family in families(),
        asks in asks(),
    ) {
        let cells = cells(&writes);
        let state = store(&cells, &cuts, &family, &BlockCache::with_capacity(1 << 20));
        let info = ScanInfo::new(&family, NOW, false);
        for ask in &asks {
            let query = ask.query();
            let expected = scanned(&state, &query, &info).freeze();
            let found = scanned(&state, &Query { reversed: true, ..query }, &info).freeze();
            prop_assert_eq!(found, expected, "{:?}", ask);
        }
    }
}
