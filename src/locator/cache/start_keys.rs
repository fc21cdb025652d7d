//! Sorted keys, searched by their first bytes.

use crate::cell::prefix;
use bytes::Bytes;

/// Keys in their order, each with a number that is made of the eight bytes behind what all of them begin with.
///
/// The numbers lie side by side, so that a search looks at the keys themselves, each somewhere else in memory, only where
/// numbers are equal.
#[derive(Clone, Debug, Default)]
pub(super) struct StartKeys {
    /// What all keys begin with; it may be shorter than what they have in common.
    common: Bytes,
    prefixes: Vec<u64>,
    keys: Vec<Bytes>,
}

impl StartKeys {
    pub(super) fn get(&self, at: usize) -> Option<&Bytes> {
        self.keys.get(at)
    }

    /// How many keys are less than `row`, or not greater than it.
    #[inline]
    pub(super) fn count_to(&self, row: &[u8], inclusive: bool) -> usize {
        let common = &self.common[..];
        if !row.starts_with(common) {
            return if row < common { 0 } else { self.keys.len() };
        }
        let wanted = prefix(row, common.len());
        let mut low = self.prefixes.partition_point(|&prefix| prefix < wanted);
        while let (Some(&prefix), Some(key)) = (self.prefixes.get(low), self.keys.get(low)) {
            // few keys have one number, as a rule
            if prefix != wanted || !(&key[..] < row || inclusive && key == row) {
                break;
            }
            low += 1;
        }
        low
    }

    /// Puts a key in its place, which must be `at`.
    pub(super) fn insert(&mut self, at: usize, key: Bytes) {
        if self.keys.is_empty() {
            self.common = key.clone();
        } else if !key.starts_with(&self.common) {
            let same = self.common.iter().zip(&key).take_while(|(a, b)| a == b).count();
            self.shorten(same);
        }
        self.prefixes.insert(at, prefix(&key, self.common.len()));
        self.keys.insert(at, key);
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.prefixes.remove(at);
        self.keys.remove(at);
    }

    /// Puts another key in the place of one, between the same neighbours.
    pub(super) fn replace(&mut self, at: usize, key: Bytes) {
        self.remove(at);
        self.insert(at, key);
    }

    /// Takes the keys from `at` on away, as keys of their own.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let mut behind = Self { common: Bytes::new(), prefixes: Vec::new(), keys: self.keys.split_off(at) };
        self.prefixes.truncate(at);
        behind.find_common();
        self.find_common();
        behind
    }

    /// What the first and the last begin with, all do.
    fn find_common(&mut self) {
        let (Some(first), Some(last)) = (self.keys.first(), self.keys.last()) else { return };
        let same = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        self.common = first.slice(..same);
        self.find_prefixes();
    }

    fn shorten(&mut self, len: usize) {
        self.common.truncate(len);
        self.find_prefixes();
    }

    fn find_prefixes(&mut self) {
        let len = self.common.len();
        self.prefixes.clear();
        self.prefixes.extend(self.keys.iter().map(|key| prefix(key, len)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_are_found_as_in_a_sorted_list(
            common in "[ab]{0,3}", ends in proptest::collection::btree_set("[ab\0]{0,10}", 0..20),
            others in proptest::collection::btree_set("[ab\0]{0,12}", 0..20), split in 0usize..20, odd: bool,
        ) {
            let mut keys = StartKeys::default();
            let mut naive: Vec<Bytes> = Vec::new();
            let all = ends.iter().map(|end| format!("{common}{end}")).chain(odd.then(|| "b".to_owned()));
            for key in all.map(Bytes::from) {
                let at = naive.partition_point(|other| *other < key);
                prop_assert_eq!(keys.count_to(&key, false), at);
                if naive.get(at) == Some(&key) {
                    keys.replace(at, key.clone());
                } else {
                    keys.insert(at, key.clone());
                    naive.insert(at, key);
                }
            }
            if split < naive.len() {
                let behind = keys.split_off(split);
                prop_assert_eq!(&behind.keys[..], &naive[split..]);
                naive.truncate(split);
            }
            if !naive.is_empty() {
                keys.remove(0);
                naive.remove(0);
            }
            prop_assert_eq!(&keys.keys, &naive);
            for row in others.iter().flat_map(|row| [row.clone(), format!("{common}{row}")]) {
                let row = row.as_bytes();
                prop_assert_eq!(keys.count_to(row, false), naive.iter().filter(|key| &key[..] < row).count());
                prop_assert_eq!(keys.count_to(row, true), naive.iter().filter(|key| &key[..] <= row).count());
            }
        }
    }
}
