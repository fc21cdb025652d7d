//! Filters evaluated over rows, as a region does.

mod filters;
mod lists;

use super::{Filter, FilterEvaluator, Verdict};
use crate::cell::{CellKey, CellOrder, CellRef, CellType, RowBuf, SeekKey};
use std::collections::BTreeMap;

/// A cell of a test.
#[derive(Clone, Debug)]
struct TestCell {
    key: SeekKey,
    value: Vec<u8>,
}

impl TestCell {
    fn new(row: &str, family: &str, qualifier: &str, timestamp: i64, value: &str) -> Self {
        let (row, family, qualifier) = (row.as_bytes(), family.as_bytes(), qualifier.as_bytes());
        Self { key: SeekKey::of(row, family, qualifier, timestamp, CellType::Put), value: value.into() }
    }

    /// `row/family:qualifier/timestamp=value`
    fn parse(text: &str) -> Self {
        let (row, rest) = text.split_once('/').unwrap();
        let (family, rest) = rest.split_once(':').unwrap();
        let (qualifier, rest) = rest.split_once('/').unwrap();
        let (timestamp, value) = rest.split_once('=').unwrap();
        Self::new(row, family, qualifier, timestamp.parse().unwrap(), value)
    }

    fn cell(&self) -> CellRef<'_> {
        CellRef::new(&self.key, &self.value)
    }
}

fn show(cell: CellRef<'_>) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (row, family, qualifier) = cell.key().split();
    let (row, family, qualifier) = (text(row), text(family), text(qualifier));
    format!("{row}/{family}:{qualifier}/{}={}", cell.timestamp(), text(cell.value()))
}

fn cells(text: &str) -> Vec<TestCell> {
    let mut cells: Vec<_> = text.split_whitespace().map(TestCell::parse).collect();
    cells.sort_by(|a, b| CellOrder::User.compare(&a.key, &b.key));
    cells
}

/// Reads like a region with one store per family (read-path.md §9.5, §11); visits each cell at most once.
fn read(filter: &Filter, cells: &[TestCell], reversed: bool) -> Vec<String> {
    let mut state = FilterEvaluator::new(filter);
    state.set_reversed(reversed);
    let mut rows: Vec<&[TestCell]> = cells.chunk_by(|a, b| a.key.row() == b.key.row()).collect();
    if reversed {
        rows.reverse();
    }
    let mut returned = Vec::new();
    // the position that each family's store was sought to
    let mut sent: BTreeMap<Vec<u8>, SeekKey> = BTreeMap::new();
    for row in rows {
        let passed = |sent: &BTreeMap<Vec<u8>, SeekKey>, key: &CellKey| {
            sent.get(key.family()).is_some_and(|to| {
                // in a reversed read, a store seeks to a row, and reads it from its beginning
                if reversed { key.row() > to.row() } else { CellOrder::User.compare(key, to).is_lt() }
            })
        };
        if row.iter().all(|cell| passed(&sent, &cell.key)) {
            continue;
        }
        let dropped = state.filter_row_key(row[0].key.row()).unwrap();
        if state.filter_all_remaining() {
            break;
        }
        if dropped {
            // a region passes the cells of a dropped row to the filter nevertheless
            row.iter().for_each(|cell| drop(state.filter_cell(cell.cell())));
            state.reset();
            continue;
        }
        let mut buffer = RowBuf::new();
        let mut done = None;
        for cell in row {
            let key = &cell.key;
            let left = match done {
                Some((Verdict::NextCol, last)) => same_column(last, key),
                Some((_, last)) => last.family() == key.family(),
                None => false,
            };
            if left || passed(&sent, key) || state.filter_all_remaining() {
                continue;
            }
            let verdict = state.filter_cell(cell.cell()).unwrap();
            if verdict.is_include() {
                buffer.push(state.transform_cell(cell.cell()));
            }
            done = match verdict {
                Verdict::IncludeAndNextCol | Verdict::NextCol => Some((Verdict::NextCol, &**key)),
                Verdict::IncludeAndSeekNextRow | Verdict::NextRow => Some((Verdict::NextRow, &**key)),
                _ => None,
            };
            if verdict == Verdict::SeekNextUsingHint
                && let Some(hint) = state.next_cell_hint(cell.cell())
            {
                // in a reversed read, a store seeks to other rows only
                let ahead = match reversed {
                    true => hint.row() < key.row(),
                    false => CellOrder::User.compare(hint, key).is_gt(),
                };
                if ahead {
                    sent.insert(key.family().to_vec(), SeekKey::from(hint));
                }
            }
        }
        if state.has_filter_row() {
            state.filter_row_cells(&mut buffer);
        }
        if !buffer.is_empty() && !state.filter_row() {
            returned.extend(buffer.as_row().cells().map(show));
        }
        state.reset();
        if state.filter_all_remaining() {
            break;
        }
    }
    returned
}

fn same_column(a: &CellKey, b: &CellKey) -> bool {
    a.qualifier() == b.qualifier() && a.family() == b.family()
}
