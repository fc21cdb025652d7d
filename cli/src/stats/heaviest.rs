//! The heaviest rows, or cells, in bounded memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A row or a cell and its size. Heavier ones compare greater; of equal weights, earlier ones.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HeavyRow {
    weight: u64,
    before: Reverse<u64>,
    pub(crate) key: Vec<u8>,
    pub(crate) bytes: u64,
    pub(crate) cells: u64,
}

/// The heaviest of the rows seen so far.
#[derive(Debug)]
pub(crate) struct Heaviest {
    limit: usize,
    seen: u64,
    /// A min-heap: the lightest of these rows is on top.
    rows: BinaryHeap<Reverse<HeavyRow>>,
}

impl Heaviest {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, seen: 0, rows: BinaryHeap::new() }
    }

    /// Adds a row by its weight.
    pub(crate) fn add(&mut self, weight: u64, key: impl FnOnce() -> Vec<u8>, bytes: u64, cells: u64) {
        self.seen += 1;
        let is_full = self.rows.len() >= self.limit;
        if is_full && self.rows.peek().is_none_or(|Reverse(lightest)| lightest.weight >= weight) {
            return;
        }
        self.push(HeavyRow { weight, before: Reverse(self.seen), key: key(), bytes, cells });
    }

    fn push(&mut self, row: HeavyRow) {
        self.rows.push(Reverse(row));
        if self.rows.len() > self.limit {
            self.rows.pop();
        }
    }

    /// Adds the rows that follow.
    pub(crate) fn merge(&mut self, next: Self) {
        for Reverse(row) in next.rows {
            let before = Reverse(self.seen + row.before.0);
            self.push(HeavyRow { before, ..row });
        }
        self.seen += next.seen;
    }

    /// Returns the rows, heaviest first.
    pub(crate) fn list(&self) -> Vec<HeavyRow> {
        self.rows.clone().into_sorted_vec().into_iter().map(|Reverse(row)| row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Reference implementation: a sort of all rows.
        #[test]
        fn the_heaviest_are_kept(weights: Vec<u8>, limit in 0_usize..6) {
            let mut heaviest = Heaviest::new(limit);
            for (i, &weight) in (0_u64..).zip(&weights) {
                heaviest.add(weight.into(), || i.to_be_bytes().to_vec(), 0, 1);
            }
            let mut sorted: Vec<_> = (0_u64..).zip(&weights).map(|(i, &weight)| (weight, i)).collect();
            sorted.sort_by_key(|&(weight, i)| (Reverse(weight), i));
            let expected = sorted.iter().take(limit).map(|(_, i)| i.to_be_bytes().to_vec());
            let expected: Vec<Vec<u8>> = expected.collect();
            let found: Vec<Vec<u8>> = heaviest.list().into_iter().map(|row| row.key).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
