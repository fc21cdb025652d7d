//! Compares rows that scanners read, whole and in pieces, with a plain loop over all cells, which has none of
//! the special cases and implements each code independently.

use super::*;
use crate::cache::BlockCache;
use crate::cell::{Cell, CellKey, Row, RowBuf};
use crate::filter::{Comparator, Compare, Filter, FilterEvaluator, SingleColumnValue};
use crate::schema::Family;
use crate::store::matcher::{Advance, MatchCode};
use crate::store::read::context::{LimitScope, Progress, ScannerContext};
use crate::store::read::get::tests::{NOW, asks, cells, families, labelled, store, writes};
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

/// Evaluates the filter on the rows of `source` until it ends the read.
fn judge(filter: Option<&Filter>, source: &mut impl Source) -> Vec<Judged> {
    let mut filter = filter.map(FilterEvaluator::new);
    let mut rows = Vec::new();
    while let Some(row) = source.peek_row() {
        let rejected = filter.as_mut().is_some_and(|filter| filter.filter_row_key(&row).unwrap());
        let (cells, counted) = source.read(rejected, filter.as_mut());
        let dropped = filter.as_mut().is_some_and(|filter| {
            let dropped = filter.filter_row();
            filter.reset();
            dropped
        });
        rows.push(Judged { row, cells, counted, rejected, dropped });
        if filter.as_ref().is_some_and(FilterEvaluator::filter_all_remaining) {
            break;
        }
    }
    rows
}

trait Source {
    fn peek_row(&self) -> Option<Vec<u8>>;

    /// Reads the cells of a row, or skips it, and returns the counts.
    fn read(&mut self, skips: bool, filter: Option<&mut FilterEvaluator>) -> (Row, Progress);
}

/// A scanner whose calls return at most `batch` cells; 0 means no limit.
struct Scanned<'s> {
    scanner: StoreScanner<'s>,
    batch: u32,
    /// The only row to read.
    only: Option<&'s [u8]>,
}

impl Source for Scanned<'_> {
    fn peek_row(&self) -> Option<Vec<u8>> {
        self.scanner.peek_row().filter(|&row| self.only.is_none_or(|only| row == only)).map(<[u8]>::to_vec)
    }

    fn read(&mut self, skips: bool, mut filter: Option<&mut FilterEvaluator>) -> (Row, Progress) {
        let (mut cells, mut counted) = (RowBuf::new(), Progress::default());
        loop {
            let mut context = ScannerContext::new(self.batch, 0, LimitScope::BetweenRows);
            context.set_progress(counted);
            context.begin_result();
            context.set_skips_row(skips);
            self.scanner.next(&mut context, filter.as_deref_mut(), &mut cells).unwrap();
            assert!(self.batch == 0 || context.progress().cells <= self.batch.into());
            let before = counted.cells;
            counted = context.progress();
            counted.cells += before;
            if !self.scanner.has_paused() {
                return (cells.freeze(), counted);
            }
        }
    }
}

/// The plain loop over all cells.
struct Plain<'q> {
    /// In the order of the scan.
    cells: Vec<Cell>,
    at: usize,
    matcher: ScanQueryMatcher<'q>,
    limit: StoreLimit,
    reversed: bool,
    get_like: bool,
}

impl<'q> Plain<'q> {
    fn new(state: &StoreVersion, query: &Query<'q>, info: &ScanInfo) -> Self {
        let mut matcher = ScanQueryMatcher::for_user(query, b"f", info, CellOrder::User).unwrap();
        matcher.forget_special_cases();
        let is_in_range = |row: &[u8]| match query.reversed {
            _ if query.get_like => row == query.start,
            _ if query.start.is_empty() => true,
            false => row >= query.start,
            true => row <= query.start,
        };
        // a scanner visits all rows of the sources that may have cells for the query
        let sources = state.sources(query, info, true, &mut ReadCounts::default());
        let mut heap = KeyValueHeap::new(sources.scanners(query), CellOrder::User, true);
        heap.seek(&SeekKey::first_on_row(b""), SeekMode::Real).unwrap();
        let mut cells = Vec::new();
        while let Some(cell) = heap.peek() {
            cells.extend(is_in_range(cell.row()).then(|| Cell::from(cell)));
            heap.advance().unwrap();
        }
        cells.sort_by(|a, b| {
            let (a, b) = (a.as_ref(), b.as_ref());
            let by_row = a.row().cmp(b.row());
            let by_row = if query.reversed { by_row.reverse() } else { by_row };
            let by_key = CellOrder::User.compare(a.key(), b.key());
            by_row.then(by_key).then(b.seq_id().cmp(&a.seq_id()))
        });
        let limit = StoreLimit { limit: query.max_results, offset: query.row_offset };
        Self { cells, at: 0, matcher, limit, reversed: query.reversed, get_like: query.get_like }
    }

    /// Moves to the first cell that is not before `key` in the order of the scan.
    fn pass_to(&mut self, key: &CellKey) {
        let is_before = |cell: &&Cell| {
            let cell = cell.as_ref();
            let by_row = cell.row().cmp(key.row());
            let by_row = if self.reversed { by_row.reverse() } else { by_row };
            by_row.then(CellOrder::User.compare(cell.key(), key)).is_lt()
        };
        self.at += self.cells[self.at..].iter().take_while(is_before).count();
    }

    fn end(&mut self) {
        self.at = self.cells.len();
    }
}

impl Source for Plain<'_> {
    fn peek_row(&self) -> Option<Vec<u8>> {
        Some(self.cells.get(self.at)?.as_ref().row().to_vec())
    }

    fn read(&mut self, skips: bool, mut filter: Option<&mut FilterEvaluator>) -> (Row, Progress) {
        let row = self.peek_row().unwrap();
        let (mut out, mut context) = (RowBuf::new(), ScannerContext::unlimited());
        context.set_skips_row(skips);
        let is_over = |filter: &Option<&mut FilterEvaluator>| {
            filter.as_deref().is_some_and(FilterEvaluator::filter_all_remaining)
        };
        let (was_over, mut count) = (is_over(&filter), 0);
        self.matcher.set_to_new_row(&row);
        while let Some(cell) = self.cells.get(self.at).filter(|cell| cell.as_ref().row() == row).cloned() {
            let (cell, mut key) = (cell.as_ref(), SeekKey::new());
            let code = match filter.as_deref_mut() {
                Some(filter) => self.matcher.match_filtered_in_row(cell, filter, &mut key).unwrap(),
                None => self.matcher.match_in_row(cell).unwrap().into(),
            };
            let code = match code {
                FilteredCode::Match(code) => code,
                FilteredCode::SeekToKey => {
                    self.pass_to(&key);
                    continue;
                }
                FilteredCode::DoneScan => {
                    self.end();
                    break;
                }
            };
            let mut is_last = false;
            if code.is_include() {
                count += 1;
                if count > self.limit.offset {
                    context.count(cell);
                    let shown = match filter.as_deref_mut() {
                        Some(filter) => filter.transform_cell(cell),
                        None => cell,
                    };
                    if !skips {
                        out.push(shown);
                    }
                    is_last = self.limit.limit.is_some_and(|limit| count >= self.limit.offset + limit);
                }
            }
            match code {
                MatchCode::IncludeAndSeekNextRow | MatchCode::SeekNextRow => is_last = true,
                MatchCode::Include | MatchCode::Skip => self.at += 1,
                MatchCode::IncludeAndSeekNextCol | MatchCode::SeekNextCol => {
                    match self.matcher.key_for_next_column(cell, &mut key) {
                        Advance::Step => self.at += 1,
                        Advance::Seek => self.pass_to(&key),
                    }
                }
            }
            if is_last {
                let left = self.cells[self.at..].iter().take_while(|cell| cell.as_ref().row() == row);
                self.at += left.count();
                if !self.matcher.more_rows_may_exist_after(&row) {
                    self.end();
                }
                break;
            }
        }
        self.matcher.clear_row();
        if self.get_like || !was_over && is_over(&filter) {
            self.end();
        }
        (out.freeze(), context.progress())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn rows_whole_and_in_pieces_are_those_of_the_plain_loop(
        writes in writes(),
        cuts in prop_oneof![Just(vec![0, 0]), proptest::collection::vec(0usize..100, 0..5)],
        family in families(),
        asks in asks(),
        filter in proptest::option::weighted(0.7, filters()),
        reversed: bool,
        get_like: bool,
        lazy_seek: bool,
        labels: bool,
        batch in 1..4u32,
    ) {
        let cells = if labels { labelled(cells(&writes)) } else { cells(&writes) };
        let mut state = store(&cells, &cuts, &family, &BlockCache::with_capacity(1 << 20));
        // With a delayed seek, a row without the columns may be skipped unseen.
        state.lazy_seek = lazy_seek;
        let sees_all = |query: &Query<'_>| !lazy_seek || query.columns.is_empty();
        let info = ScanInfo::new(&family, NOW, labels);
        for ask in &asks {
            let one = Query { filtered: filter.is_some(), ..ask.query() };
            let query = if get_like { one } else { Query { stop: &[], reversed, get_like, ..one } };
            let expected = judge(filter.as_ref(), &mut Plain::new(&state, &query, &info));
            let [whole, pieces] = [0, batch].map(|batch| {
                let scanner = StoreScanner::new(&state, &query, &info).unwrap();
                judge(filter.as_ref(), &mut Scanned { scanner, batch, only: get_like.then_some(query.start) })
            });
            prop_assert_eq!(&pieces, &whole, "{:?} {:?} {}", query, filter, batch);
            if sees_all(&query) {
                prop_assert_eq!(&whole, &expected, "{:?} {:?}", query, filter);
            }
            if filter.is_some() {
                continue;
            }
            let full = |rows: Vec<Judged>| -> Vec<Row> {
                rows.into_iter().map(|row| row.cells).filter(|cells| !cells.is_empty()).collect()
            };
            let expected = full(expected);
            prop_assert_eq!(&full(whole), &expected, "{:?}", query);
            let mut scanner = StoreScanner::new(&state, &query, &info).unwrap();
            let mut rows = Vec::new();
            while scanner.peek_row().is_some_and(|row| !get_like || row == query.start) {
                let mut cells = RowBuf::new();
                scanner
                    .next_row(|cell| {
                        cells.push(cell);
                        Ok(ControlFlow::Continue(()))
                    })
                    .unwrap();
                rows.extend((!cells.is_empty()).then(|| cells.freeze()));
            }
            prop_assert_eq!(rows, expected, "{:?}", query);
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
    let mut scanner = StoreScanner::new(&state, &Query::ALL, &ScanInfo::new(&family, NOW, false)).unwrap();
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
    // A row of more cells disables it for one row.
    assert!(rows.iter().enumerate().all(|(i, row)| row.2 == (i != 19)), "{rows:?}");
}
