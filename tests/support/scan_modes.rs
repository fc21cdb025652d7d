//! The ways to read a scan of a region: whole rows, partial rows, calls, and with filters. All give the same
//! rows.

use super::rng::Rng;
use hregion::{Comparator, Compare, Filter, ReadView, Row, RowRef, Scan};
use std::ops::Bound;

/// How a scan is read.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    Rows,
    /// In results of up to this many cells.
    Batch(u32),
    /// In calls of up to `results` results and about `bytes` bytes, with partial rows if `allow_partial` is
    /// set.
    Calls {
        bytes: u64,
        allow_partial: bool,
        results: usize,
    },
    /// With a filter that passes everything.
    Filtered(Filter),
    /// With a new scanner for each row, resumed where the last one ended.
    Resumed,
}

impl Way {
    pub(crate) fn any(rng: &mut Rng) -> Self {
        let small = |rng: &mut Rng, end: usize| u32::try_from(1 + rng.below(end)).expect("small numbers");
        match rng.below(8) {
            0..2 => Self::Rows,
            2..4 => Self::Batch(small(rng, 5)),
            4 | 5 => Self::Calls {
                bytes: [0, 1, 40, 80, 200, 100_000][rng.below(6)],
                allow_partial: rng.below(3) > 0,
                results: [1, 2, usize::MAX][rng.below(3)],
            },
            6 => {
                let all = [
                    Filter::all([]).expect("a list"),
                    Filter::row(Compare::GreaterOrEqual, Comparator::binary("")),
                    Filter::page(1_000_000),
                    Filter::skip(Filter::any([]).expect("a list")).expect("a filter"),
                ];
                Self::Filtered(all[rng.below(all.len())].clone())
            }
            _ => Self::Resumed,
        }
    }

    /// Reads the rows of a scan, with the pieces of each row joined.
    pub(crate) fn read(&self, view: &ReadView, scan: &Scan) -> Vec<Row> {
        match self {
            Self::Rows => by_row(view, scan),
            Self::Batch(cells) => by_row(view, &scan.clone().batch(*cells)),
            Self::Filtered(filter) => {
                by_row(view, &scan.clone().filter(filter.clone()).load_families_on_demand(true))
            }
            Self::Calls { bytes, allow_partial, results } => {
                let scan = scan.clone().max_result_size(*bytes).allow_partial(*allow_partial);
                let mut scanner = view.scan(&scan).expect("a scan");
                let mut rows = Rows::default();
                loop {
                    let found = scanner.next_results(Some(*results)).expect("a call");
                    assert!(found.results.len() <= *results);
                    for (i, result) in found.results.iter().enumerate() {
                        // only the last result of a call may be partial
                        assert!(!result.partial || *allow_partial && i + 1 == found.results.len());
                        rows.add(result.row.as_row());
                    }
                    if !found.more {
                        let after = scanner.next_results(None).expect("a call");
                        assert!(after.results.is_empty() && !after.more);
                        return rows.rows();
                    }
                    assert!(!found.results.is_empty(), "a call without a limit on time gives something");
                }
            }
            Self::Resumed => {
                let mut rows = Rows::default();
                let mut next = Some(scan.clone().limit(1));
                while let Some(scan) = next {
                    let mut scanner = view.scan(&scan).expect("a scan");
                    let found = scanner.next_row().expect("a row").map(|row| rows.add(row));
                    assert!(scanner.next_row().expect("a row").is_none());
                    let cursor = scanner.cursor();
                    assert_eq!(cursor.is_some(), found.is_some());
                    assert!(cursor.as_ref().is_none_or(|cursor| !cursor.includes_row()));
                    next = cursor.map(|cursor| scan.clone().resume(&cursor));
                }
                rows.rows()
            }
        }
    }
}

fn by_row(view: &ReadView, scan: &Scan) -> Vec<Row> {
    let mut scanner = view.scan(scan).expect("a scan");
    let mut rows = Rows::default();
    while let Some(row) = scanner.next_row().expect("a row") {
        rows.add(row);
        let cursor = scanner.cursor().expect("a row has been read");
        assert_eq!(cursor.includes_row(), scanner.is_partial());
    }
    assert!(scanner.cursor().is_none() || !scanner.may_have_more());
    rows.rows()
}

/// Rows, joined from consecutive pieces.
#[derive(Default)]
struct Rows(Vec<hregion::RowBuf>);

impl Rows {
    fn add(&mut self, piece: RowRef<'_>) {
        if self.0.last().is_none_or(|row| row.as_row().key() != piece.key()) {
            self.0.push(hregion::RowBuf::new());
        }
        let row = self.0.last_mut().expect("there is one");
        piece.cells().for_each(|cell| row.push(cell));
    }

    fn rows(&self) -> Vec<Row> {
        self.0.iter().map(hregion::RowBuf::freeze).collect()
    }
}

/// A filter of rows or columns, and a predicate for the rows and qualifiers that it passes.
pub(crate) type Judged = (Filter, Box<dyn Fn(&[u8], &[u8]) -> bool>);

/// Returns a filter that skips cells by hints or rows, and a predicate for the cells that it passes.
pub(crate) fn leaping(
    rng: &mut Rng,
    rows: &[&'static [u8]],
    qualifiers: &[&'static [u8]],
    reversed: bool,
) -> Judged {
    let (row, other) = (rows[rng.below(rows.len())], rows[rng.below(rows.len())]);
    let (column, last) = (qualifiers[rng.below(qualifiers.len())], qualifiers[rng.below(qualifiers.len())]);
    match rng.below(7) {
        // in a reversed scan, the hint of a prefix that ends in this byte is too small (read-path.md §23.4),
        // and a list does not call the members after the one that gave a hint (§14.2)
        6 if reversed => (Filter::all([]).expect("a list"), Box::new(|_, _| true)),
        0 | 5 if reversed && row.ends_with(b"\xff") => {
            (Filter::all([]).expect("a list"), Box::new(|_, _| true))
        }
        0 => (Filter::prefix(row), Box::new(move |key, _| key.starts_with(row))),
        1 => (Filter::column_prefix(column), Box::new(move |_, qualifier| qualifier.starts_with(column))),
        2 => (
            Filter::column_range(Some(column.into()), false, Some(last.into()), true),
            Box::new(move |_, qualifier| qualifier > column && qualifier <= last),
        ),
        3 => {
            let ranges = [
                (Bound::Included(row), Bound::Included(row)),
                (Bound::Included(other), Bound::Included(other)),
            ];
            let filter = Filter::row_ranges(ranges).expect("ranges");
            (filter, Box::new(move |key, _| key == row || key == other))
        }
        4 => {
            let passes = move |key: &[u8], _: &[u8]| if reversed { key >= row } else { key <= row };
            (Filter::inclusive_stop(row), Box::new(passes))
        }
        5 => {
            let both = [Filter::prefix(row), Filter::column_prefix(column)];
            let filter = Filter::all(both).expect("a list");
            (filter, Box::new(move |key, qualifier| key.starts_with(row) && qualifier.starts_with(column)))
        }
        _ => {
            let one = [Filter::column_prefix(column), Filter::row(Compare::Equal, Comparator::binary(row))];
            let filter = Filter::any(one).expect("a list");
            (filter, Box::new(move |key, qualifier| key == row || qualifier.starts_with(column)))
        }
    }
}
