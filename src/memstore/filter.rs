//! A filter of the rows of a segment. It answers most gets of absent rows, at the cost of one cache line.

use crate::sync::Padded;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// A growing Bloom filter of rows, without false negatives.
///
/// A row sets four bits of one word. Once a generation has four rows for each word, which is two bytes a row
/// and 0.5 % of false positives, a new one is opened that is four times as large. A lookup checks every
/// generation.
#[derive(Default)]
pub(super) struct RowBloom {
    generations: [OnceLock<Generation>; GENERATIONS],
}

struct Generation {
    words: Box<[AtomicU64]>,
    /// The approximate number of rows.
    rows: Padded<AtomicUsize>,
}

/// The number of generations. The last one has 2^26 words and never counts as full.
const GENERATIONS: usize = 8;
const FIRST_WORDS: usize = 1 << 12;
const GROWTH: usize = 4;
/// The rows for each word of a full generation.
const WORD_ROWS: usize = 4;

/// Adds this number to the count for one in as many rows, since each write to the counter invalidates its
/// cache line for other writers.
const COUNTED: usize = 16;

/// The hash of a row and its bits in a word.
#[derive(Clone, Copy)]
struct BitAddress {
    hash: u64,
    bits: u64,
}

impl BitAddress {
    #[inline]
    fn of(row: &[u8]) -> Self {
        let hash = xxh3_64(row);
        let bit = |shift: u32| 1 << (hash >> shift & 63);
        Self { hash, bits: bit(0) | bit(6) | bit(12) | bit(18) }
    }

    /// Whether the row is one of those that are counted. The highest bits select neither a word nor a bit.
    fn is_counted(self) -> bool {
        self.hash >> (u64::BITS - COUNTED.ilog2()) == 0
    }
}

impl Generation {
    fn new(words: usize) -> Self {
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect(), rows: Padded::default() }
    }

    #[inline]
    fn word(&self, address: BitAddress) -> &AtomicU64 {
        // the length is a power of two, up to 26 bits; the lowest 24 bits of the hash selected the bits in
        // the word
        let mask = self.words.len() - 1;
        &self.words[(address.hash >> 24) as usize & mask]
    }

    #[inline]
    fn has(&self, address: BitAddress) -> bool {
        self.word(address).load(Ordering::Relaxed) & address.bits == address.bits
    }
}

impl RowBloom {
    /// Adds a row. Its bits are visible to any thread that sees the row through a later release/acquire pair.
    pub(super) fn insert(&self, row: &[u8]) {
        let address = BitAddress::of(row);
        let generation = self.newest();
        // Consecutive cells often have the same row. Older generations are not checked: each costs a
        // cache miss, and only rows written again would be found in them.
        if !generation.has(address)
            && generation.word(address).fetch_or(address.bits, Ordering::Relaxed) & address.bits
                != address.bits
            && address.is_counted()
        {
            generation.rows.0.fetch_add(COUNTED, Ordering::Relaxed);
        }
    }

    /// Whether the row may have been added.
    #[inline]
    pub(super) fn may_contain(&self, row: &[u8]) -> bool {
        self.has(BitAddress::of(row))
    }

    /// Returns the approximate size in bytes.
    #[cfg(test)]
    fn allocated(&self) -> usize {
        self.open().map(|generation| generation.words.len() * size_of::<u64>()).sum()
    }

    #[inline]
    fn has(&self, address: BitAddress) -> bool {
        self.open().any(|generation| generation.has(address))
    }

    fn open(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter().map_while(OnceLock::get)
    }

    /// Returns the generation to add to: the first that is not full.
    fn newest(&self) -> &Generation {
        let mut words = FIRST_WORDS;
        let (last, others) = self.generations.split_last().expect("there are generations");
        for generation in others {
            let generation = generation.get_or_init(|| Generation::new(words));
            if generation.rows.0.load(Ordering::Relaxed) < WORD_ROWS * words {
                return generation;
            }
            words *= GROWTH;
        }
        last.get_or_init(|| Generation::new(words))
    }
}

impl fmt::Debug for RowBloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.open().map(|generation| generation.rows.0.load(Ordering::Relaxed)).collect();
        f.debug_struct("RowBloom").field("rows", &rows).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn row(i: usize) -> String {
        format!("user{i:012}")
    }

    #[test]
    fn an_empty_filter_has_no_row() {
        let filter = RowBloom::default();
        assert!(!filter.may_contain(b"row") && !filter.may_contain(b""));
        assert_eq!(filter.allocated(), 0);
        filter.insert(b"");
        assert!(filter.may_contain(b""));
    }

    #[test]
    fn rows_are_found_and_few_others() {
        let filter = RowBloom::default();
        let mut opened = 0;
        for i in 0..200_000 {
            filter.insert(row(2 * i).as_bytes());
            assert!(filter.may_contain(row(2 * i).as_bytes()));
            // at intervals, and whenever a generation has been opened
            if (i + 1) % 20_000 == 0 || filter.open().count() > opened {
                opened = filter.open().count();
                assert!((0..=i).step_by(17).all(|i| filter.may_contain(row(2 * i).as_bytes())));
                let wrong = (0..20_000).filter(|i| filter.may_contain(row(2 * i + 1).as_bytes())).count();
                assert!(wrong < 300, "{wrong} of 20,000 after {i} rows"); // 1.5 %
            }
        }
        assert_eq!(opened, 3);
    }

    #[test]
    fn threads_add_rows_and_find_them() {
        let filter = RowBloom::default();
        thread::scope(|scope| {
            for thread in 0..4 {
                let filter = &filter;
                scope.spawn(move || {
                    for i in 0..10_000 {
                        filter.insert(row(4 * i + thread).as_bytes());
                        assert!(filter.may_contain(row(4 * i + thread).as_bytes()));
                    }
                });
            }
        });
        assert!((0..40_000).all(|i| filter.may_contain(row(i).as_bytes())), "{filter:?}");
    }
}
