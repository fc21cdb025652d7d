//! Searches sorted keys by a few bytes of their rows.
//!
//! Most of the cost of a search is fetching keys to compare. So rows are first compared by a number: the
//! eight bytes after the common prefix of all rows, big-endian. If the rows are evenly distributed,
//! interpolation estimates the position of a number and galloping finds it from there. Otherwise binary
//! search finds it. Whole keys decide between equal numbers.

use crate::cell::{compare_bytes, prefix};
use std::cmp::Ordering;

/// Returns the number of leading bytes that two rows have in common.
#[inline]
pub(crate) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Compares `row` with the rows that begin with `common`: Equal if `row` also begins with it; otherwise all
/// of them are on one side of `row`.
#[inline]
pub(crate) fn compare_to_common(row: &[u8], common: &[u8]) -> Ordering {
    if common.is_empty() {
        return Ordering::Equal;
    }
    match row.get(..common.len()) {
        Some(beginning) => compare_bytes(beginning, common),
        None => match row.cmp(&common[..row.len()]) {
            Ordering::Equal => Ordering::Less,
            different => different,
        },
    }
}

/// The method to find a number among sorted ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Search {
    /// Binary search, without an estimate.
    #[default]
    Halve,
    /// Counts the numbers below the target. For few numbers, this avoids branch mispredictions.
    Count,
    /// Estimates the index, as this many places per unit above the first number.
    Guess(f64),
}

/// Up to this many numbers are counted as fast as binary search would find one.
const FEW: usize = 16;

/// If guesses are off by more places than this on average, binary search is better.
const POOR_GUESS: usize = 4;

impl Search {
    /// Chooses the better method to find one of `len` numbers, from a sample of them. `get` must not descend.
    #[expect(clippy::cast_precision_loss, reason = "only an estimate")]
    pub(crate) fn new(len: usize, get: impl Fn(usize) -> u64) -> Self {
        const TRIES: usize = 32;
        let Some(last) = len.checked_sub(1) else { return Self::Halve };
        let first = get(0);
        let span = get(last).saturating_sub(first);
        if len <= FEW {
            return Self::Count;
        }
        if span == 0 || len < TRIES {
            return Self::Halve;
        }
        let slope = last as f64 / span as f64;
        let wrong: usize = (0..TRIES)
            .map(|i| i * last / TRIES)
            .map(|i| guess(get(i).saturating_sub(first), slope).abs_diff(i))
            .sum();
        if wrong > TRIES * POOR_GUESS { Self::Halve } else { Self::Guess(slope) }
    }

    /// Returns the index of the first of `numbers`, which are sorted, that is not below `target`, or their
    /// length. `first` is the first of them.
    #[inline]
    pub(crate) fn lower_bound(self, numbers: &[u64], first: u64, target: u64) -> usize {
        match self {
            Self::Halve => numbers.partition_point(|&n| n < target),
            Self::Count => numbers.iter().map(|&n| usize::from(n < target)).sum(),
            Self::Guess(slope) => gallop(numbers, guess(target.saturating_sub(first), slope), target),
        }
    }
}

/// Returns the estimated index of a number that is `ahead` above the first one. May be beyond the end.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "only an estimate")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "neither negative nor large")]
fn guess(ahead: u64, slope: f64) -> usize {
    // signed, since converting from u64 takes twice as long; the lost bit does not matter
    ((ahead >> 1).cast_signed() as f64 * 2.0 * slope) as i64 as usize
}

/// Finds the first number not below `target`. The cost is logarithmic in the error of the guess.
#[inline]
fn gallop(numbers: &[u64], guess: usize, target: u64) -> usize {
    let is_below = |n: u64| n < target;
    let len = numbers.len();
    let guess = guess.min(len.saturating_sub(1));
    let (mut low, mut high) = (guess, guess);
    let mut step = 1;
    if numbers.get(guess).is_some_and(|&n| is_below(n)) {
        high = guess + 1;
        while numbers.get(high).is_some_and(|&n| is_below(n)) {
            low = high;
            high += step;
            step *= 2;
        }
    } else {
        while low > 0 && numbers.get(low).is_none_or(|&n| !is_below(n)) {
            high = low;
            low = low.saturating_sub(step);
            step *= 2;
        }
    }
    // the number before `low`, if any, is below the target, and that at `high` is not
    let between = numbers.get(low..high.min(len)).unwrap_or_default();
    low + between.partition_point(|&n| is_below(n))
}

/// Sorted keys, stored contiguously, with the numbers of their rows.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    bytes: Vec<u8>,
    /// The end of each key in `bytes`.
    ends: Vec<u32>,
    /// The [`prefix`] of each row; empty if rows do not sort as bytes.
    prefixes: Vec<u64>,
    /// The common prefix of all rows.
    common: Vec<u8>,
    search: Search,
}

impl KeyTable {
    pub(crate) fn with_capacity(keys: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(keys), ..Self::default() }
    }

    /// Appends a key.
    pub(crate) fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a block is below 4 GiB"));
    }

    /// Computes the numbers. `row` returns the row of a key. Only for rows that sort as bytes.
    pub(crate) fn index_rows(&mut self, row: impl Fn(&[u8]) -> &[u8]) {
        let Some(last) = self.len().checked_sub(1) else { return };
        let (first, last) = (row(self.key(0)), row(self.key(last)));
        let common = common_prefix(first, last);
        self.common = first[..common].to_vec();
        self.prefixes = (0..self.len()).map(|i| prefix(row(self.key(i)), common)).collect();
        // numbers out of order would make searches wrong
        if !self.prefixes.is_sorted() {
            self.prefixes.clear();
        }
        self.search = Search::new(self.prefixes.len(), |i| self.prefixes[i]);
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    #[inline]
    pub(crate) fn key(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.bytes[start..self.ends[i] as usize]
    }

    /// Returns the last key that is not after the wanted one. `row` is the row of the wanted key; `compare`
    /// compares a key of this table with it.
    #[inline]
    pub(crate) fn floor(&self, row: &[u8], compare: impl Fn(&[u8]) -> Ordering) -> Option<usize> {
        let (mut low, mut high) = self.candidates(row);
        while low < high {
            let middle = low.midpoint(high);
            if compare(self.key(middle)).is_le() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }

    /// Keys before the first index are less than any key of `row`, keys from the second index on are greater.
    #[inline]
    fn candidates(&self, row: &[u8]) -> (usize, usize) {
        let len = self.len();
        let Some(&first) = self.prefixes.first() else {
            return (0, len);
        };
        match compare_to_common(row, &self.common) {
            Ordering::Less => return (0, 0),
            Ordering::Greater => return (len, len),
            Ordering::Equal => {}
        }
        let target = prefix(row, self.common.len());
        let low = self.search.lower_bound(&self.prefixes, first, target);
        // nearly always at most one
        let mut high = low;
        let mut step = 1;
        while self.prefixes.get(high) == Some(&target) {
            high += step;
            step *= 2;
        }
        (low, high.min(len))
    }

    /// Returns the approximate size in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity() + 4 * self.ends.capacity() + 8 * self.prefixes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn even_numbers_are_guessed_and_uneven_ones_are_not() {
        assert!(matches!(Search::new(1000, |i| i as u64 * 1000 + 7), Search::Guess(_)));
        assert!(matches!(Search::new(1000, |i| (i * i * i) as u64), Search::Halve));
        assert!(matches!(Search::new(1000, |_| 5), Search::Halve));
    }

    proptest! {
        #[test]
        fn all_ways_agree_with_the_plain_one(
            mut numbers in proptest::collection::vec(0u64..500, 0..120),
            target in 0u64..520,
            slope in 0f64..9.0,
        ) {
            numbers.sort_unstable();
            let plain = numbers.partition_point(|&n| n < target);
            let first = numbers.first().copied().unwrap_or(0);
            let fitted = Search::new(numbers.len(), |i| numbers[i]);
            for search in [Search::Halve, Search::Count, Search::Guess(slope), fitted] {
                let found = search.lower_bound(&numbers, first, target);
                prop_assert_eq!(found, plain, "{:?}", search);
            }
        }

        #[test]
        fn numbers_sort_as_rows_do(common in ".{0,3}", a: Vec<u8>, b: Vec<u8>) {
            let whole = |tail: &[u8]| [common.as_bytes(), tail].concat();
            if a <= b {
                prop_assert!(prefix(&whole(&a), common.len()) <= prefix(&whole(&b), common.len()));
            }
        }

        #[test]
        fn floor_agrees_with_a_linear_search(
            mut keys in proptest::collection::vec("[ab]{0,3}(xxxxxxxx)?[ab]{0,2}", 0..30),
            shared in "[a-c]{0,2}",
            wanted in "[a-c]{0,3}(xxxxxxxx)?[ab]{0,2}",
        ) {
            keys.iter_mut().for_each(|k| k.insert_str(0, &shared));
            keys.sort();
            let mut table = KeyTable::default();
            keys.iter().for_each(|k| table.push(k.as_bytes()));
            let linear = keys.iter().rposition(|k| *k <= wanted);
            let plain = table.floor(wanted.as_bytes(), |k| k.cmp(wanted.as_bytes()));
            prop_assert_eq!(plain, linear);
            table.index_rows(|k| k);
            let fast = table.floor(wanted.as_bytes(), |k| k.cmp(wanted.as_bytes()));
            prop_assert_eq!(fast, linear);
        }
    }
}
