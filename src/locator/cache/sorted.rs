//! A sorted list, searched by key prefixes.

use crate::cell::prefix;

/// An item with a key, which begins its range.
pub(super) trait Keyed {
    /// Returns the key.
    fn key(&self) -> &[u8];

    /// Returns the exclusive end of the range; empty if it has no end.
    fn end(&self) -> &[u8];
}

/// Items sorted by key.
///
/// Each item has two numbers, for its key and its end: the eight bytes after the common prefix of all
/// non-empty keys. A search compares the numbers of keys, which are contiguous in memory, and reads a key,
/// which is allocated separately, only if the numbers are equal. With 100,000 regions, memory latency
/// dominates a lookup.
#[derive(Clone, Debug)]
pub(super) struct Sorted<T> {
    common: Common,
    /// The numbers of the keys, of the ends, and the items: the same length, in the same order.
    keys: Vec<u64>,
    ends: Vec<u64>,
    items: Vec<T>,
}

/// The common prefix of all non-empty keys, or its first bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Common {
    len: u8,
    bytes: [u8; Common::MAX],
}

impl Common {
    const MAX: usize = 31;

    fn of(a: &[u8], b: &[u8]) -> Self {
        let mut common = Self::default();
        for ((place, a), _) in common.bytes.iter_mut().zip(a).zip(b).take_while(|((_, a), b)| a == b) {
            *place = *a;
            common.len += 1;
        }
        common
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Returns the number of an end: all rows with the common prefix whose number is less are before the end.
    /// An end without the prefix is after all of these rows, or, possibly for the item with the empty key,
    /// before them.
    fn end_number(&self, end: &[u8]) -> u64 {
        if end.is_empty() {
            u64::MAX
        } else if end.starts_with(self.as_bytes()) {
            prefix(end, usize::from(self.len))
        } else if end > self.as_bytes() {
            u64::MAX
        } else {
            0
        }
    }

    fn key_number(&self, key: &[u8]) -> u64 {
        prefix(key, usize::from(self.len))
    }
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { common: Common::default(), keys: Vec::new(), ends: Vec::new(), items: Vec::new() }
    }
}

impl<T: Keyed> Sorted<T> {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.items.get(at)
    }

    pub(super) fn last(&self) -> Option<&T> {
        self.items.last()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// Returns an item for changes that do not affect its key or its end.
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.items.get_mut(at)
    }

    /// Returns the number of keys less than `row`, or equal to it if `inclusive`.
    #[inline]
    pub(super) fn count_to(&self, row: &[u8], inclusive: bool) -> usize {
        let common = self.common.as_bytes();
        if row.starts_with(common) {
            self.count_to_number(prefix(row, common.len()), row, inclusive)
        } else if row < common {
            usize::from(self.begins_empty() && (inclusive || !row.is_empty()))
        } else {
            self.items.len()
        }
    }

    #[inline]
    fn count_to_number(&self, number: u64, row: &[u8], inclusive: bool) -> usize {
        let count = self.keys.partition_point(|key| *key < number);
        let (_, rest) = self.keys.split_at(count);
        if rest.first() != Some(&number) {
            return count;
        }
        // usually few keys have the same number
        let same = rest.partition_point(|key| *key == number);
        let items = self.items.get(count..count + same).unwrap_or_default();
        count + items.partition_point(|item| item.key() < row || inclusive && item.key() == row)
    }

    /// Returns the position of the item whose range contains a row.
    #[inline]
    pub(super) fn find(&self, row: &[u8]) -> Option<usize> {
        let common = self.common.as_bytes();
        if !row.starts_with(common) {
            let found = self.count_to(row, true).checked_sub(1)?;
            return is_before_end(self.items.get(found)?, row).then_some(found);
        }
        let number = prefix(row, common.len());
        let found = self.count_to_number(number, row, true).checked_sub(1)?;
        (number < *self.ends.get(found)? || is_before_end(self.items.get(found)?, row)).then_some(found)
    }

    /// Inserts an item at its sorted position, which must be `at`.
    pub(super) fn insert(&mut self, at: usize, item: T) {
        let key = item.key();
        if self.len() == usize::from(self.begins_empty()) {
            self.common = Common::of(key, key);
            self.find_numbers();
        } else if !key.is_empty() && !key.starts_with(self.common.as_bytes()) {
            self.common = Common::of(self.common.as_bytes(), key);
            self.find_numbers();
        }
        self.keys.insert(at, self.common.key_number(item.key()));
        self.ends.insert(at, self.common.end_number(item.end()));
        self.items.insert(at, item);
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.keys.remove(at);
        self.ends.remove(at);
        self.items.remove(at);
    }

    /// Replaces an item; the new one must sort between the same neighbours.
    pub(super) fn replace(&mut self, at: usize, item: T) {
        self.remove(at);
        self.insert(at, item);
    }

    /// Removes and returns the items from `at`.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let mut after = Self {
            common: Common::default(),
            keys: self.keys.split_off(at),
            ends: self.ends.split_off(at),
            items: self.items.split_off(at),
        };
        after.find_common();
        self.find_common();
        after
    }

    /// Whether the first key is empty, like that of a table's first region. It is the only key that may lack
    /// the common prefix.
    fn begins_empty(&self) -> bool {
        self.get(0).is_some_and(|first| first.key().is_empty())
    }

    /// Recomputes the common prefix: that of the first and the last key is shared by all keys between.
    fn find_common(&mut self) {
        let first = self.items.get(usize::from(self.begins_empty()));
        if let (Some(first), Some(last)) = (first, self.items.last()) {
            self.common = Common::of(first.key(), last.key());
            self.find_numbers();
        }
    }

    fn find_numbers(&mut self) {
        let Self { common, keys, ends, items } = self;
        for ((key, end), item) in keys.iter_mut().zip(ends).zip(items) {
            *key = common.key_number(item.key());
            *end = common.end_number(item.end());
        }
    }
}

#[inline]
fn is_before_end<T: Keyed>(item: &T, row: &[u8]) -> bool {
    let end = item.end();
    end.is_empty() || row < end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Keyed for (String, String) {
        fn key(&self) -> &[u8] {
            self.0.as_bytes()
        }

        fn end(&self) -> &[u8] {
            self.1.as_bytes()
        }
    }

    /// The first region and some later ones are known, the regions between are not.
    #[test]
    fn rows_of_regions_between_are_not_found() {
        let mut regions = Sorted::default();
        for (at, (key, end)) in
            [("", "row-0040"), ("row-0120", "row-0160"), ("row-0160", "")].iter().enumerate()
        {
            regions.insert(at, ((*key).to_owned(), (*end).to_owned()));
        }
        for (row, found) in [
            ("", Some(0)),
            ("row-0039", Some(0)),
            ("row-0040", None),
            ("row-0099", None),
            ("row-0117", None),
            ("row-0120", Some(1)),
            ("row-0199", Some(2)),
            ("s", Some(2)),
        ] {
            assert_eq!(regions.find(row.as_bytes()), found, "{row}");
        }
    }

    proptest! {
        #[test]
        fn they_are_found_as_in_a_list(
            common in "[ab]{0,40}",
            ends in proptest::collection::btree_map("[ab\0]{0,10}", "[abc]{0,10}", 0..20),
            others in proptest::collection::btree_set("[ab\0\u{7f}]{0,12}", 0..20),
            split in 0usize..20,
            removed in 0usize..20,
            odd: bool,
            first_end in proptest::option::of("[ab]{1,6}|[ab]{1,40}"),
        ) {
            let mut things = Sorted::default();
            let mut naive: Vec<(String, String)> = Vec::new();
            let all = ends.iter().map(|(key, end)| {
                (format!("{common}{key}"), format!("{common}{key}{end}\u{7f}"))
            });
            let all = all.map(|(key, end)| {
                if end.len() % 3 == 0 { (key, String::new()) } else { (key, end) }
            });
            // the end of the first region, which may be before or after all keys, with or without the common
            // prefix
            let first = first_end.map(|end| (String::new(), end));
            for thing in all.chain(odd.then(|| ("b".to_owned(), "c".to_owned()))).chain(first) {
                let at = naive.partition_point(|other| other.0 < thing.0);
                prop_assert_eq!(things.count_to(thing.0.as_bytes(), false), at);
                if naive.get(at).is_some_and(|other| other.0 == thing.0) {
                    things.replace(at, thing.clone());
                    naive[at] = thing;
                } else {
                    things.insert(at, thing.clone());
                    naive.insert(at, thing);
                }
            }
            if split < naive.len() {
                let after = things.split_off(split);
                prop_assert!(after.iter().eq(&naive[split..]));
                naive.truncate(split);
            }
            if removed < naive.len() {
                things.remove(removed);
                naive.remove(removed);
            }
            prop_assert!(things.iter().eq(&naive) && things.len() == naive.len());
            for row in others.iter().flat_map(|row| [row.clone(), format!("{common}{row}")]) {
                let bytes = row.as_bytes();
                let below = naive.iter().filter(|(key, _)| *key < row).count();
                prop_assert_eq!(things.count_to(bytes, false), below);
                let count = naive.iter().filter(|(key, _)| *key <= row).count();
                prop_assert_eq!(things.count_to(bytes, true), count);
                let floor = count.checked_sub(1).and_then(|at| naive.get(at));
                let found = floor.filter(|(_, end)| end.is_empty() || row < *end);
                prop_assert_eq!(things.find(bytes).and_then(|at| things.get(at)), found);
            }
        }
    }
}
