//! The heaviest rows, in bounded memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A row and its size. Heavier rows compare greater; of equal sizes, earlier rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HeavyRow {
    pub(crate) bytes: u64,
    before: Reverse<u64>,
    pub(crate) key: Vec<u8>,
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

    pub(crate) fn add(&mut self, key: &[u8], bytes: u64, cells: u64) {
        self.seen += 1;
        let is_full = self.rows.len() >= self.limit;
        if is_full && self.rows.peek().is_none_or(|Reverse(lightest)| lightest.bytes >= bytes) {
            return;
        }
        if is_full {
            self.rows.pop();
        }
        self.rows.push(Reverse(HeavyRow { bytes, before: Reverse(self.seen), key: key.to_vec(), cells }));
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
                heaviest.add(&i.to_be_bytes(), weight.into(), 1);
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
