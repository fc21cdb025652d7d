//! Counts how often blocks have recently been read, in a sketch of a fixed size (TinyLFU's count-min sketch
//! of four-bit counters, all halved periodically).

use super::BlockKey;
use super::key::BuildKeyHasher;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of reads by block. Approximate: a block may share its counters with others, and concurrent counts
/// may be lost.
pub(super) struct Frequency {
    /// Sixteen counters each; a power of two of them.
    words: Box<[AtomicU64]>,
    reads: AtomicU64,
}

/// The number of counters per block; the count is the least of them.
const ROWS: u32 = 4;

/// The maximum count.
const MAX_COUNT: u64 = 15;

/// One word of counters for this many bytes of the cache: sixteen counters for a block of the usual size.
const BYTES: u64 = 64 << 10;

/// Counters are halved after ten reads for each block of the usual size that the cache can have.
const PERIOD: u64 = 10;

impl Frequency {
    /// Creates a sketch for a cache of `capacity` bytes.
    pub(super) fn new(capacity: u64) -> Self {
        let words = (capacity / BYTES).clamp(64, 1 << 20).next_power_of_two();
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect(), reads: AtomicU64::new(0) }
    }

    /// Counts a read of a block. `cached` is the number of blocks in the cache.
    pub(super) fn count(&self, key: &BlockKey, cached: u64) {
        for (word, shift) in self.counters(key) {
            let old = word.load(Ordering::Relaxed);
            if old >> shift & MAX_COUNT < MAX_COUNT {
                // a count that another thread overtakes is lost
                let _ = word.compare_exchange(old, old + (1 << shift), Ordering::Relaxed, Ordering::Relaxed);
            }
        }
        if self.reads.fetch_add(1, Ordering::Relaxed) > PERIOD * cached.max(16) {
            self.reads.store(0, Ordering::Relaxed);
            for word in &self.words {
                let old = word.load(Ordering::Relaxed);
                word.store(old >> 1 & 0x7777_7777_7777_7777, Ordering::Relaxed);
            }
        }
    }

    /// Returns how often a block has recently been read, from 0 to 15.
    pub(super) fn of(&self, key: &BlockKey) -> u64 {
        let counts =
            self.counters(key).map(|(word, shift)| word.load(Ordering::Relaxed) >> shift & MAX_COUNT);
        counts.min().unwrap_or_default()
    }

    /// Returns the counters of a block: a word, and the position of the lowest bit there.
    fn counters(&self, key: &BlockKey) -> impl Iterator<Item = (&AtomicU64, u32)> {
        let hash = BuildKeyHasher::default().hash_one(key);
        let mask = self.words.len() as u64 - 1;
        (0..ROWS).filter_map(move |row| {
            let bits = hash.rotate_left(row * 16) ^ u64::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let word = self.words.get(usize::try_from(bits >> 8 & mask).ok()?)?;
            // each row has its own quarter of the word
            Some((word, row * 16 + u32::try_from(bits & 3).ok()? * 4))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::FileId;
    use super::*;

    #[test]
    fn blocks_that_are_read_often_have_greater_counts() {
        let sketch = Frequency::new(64 << 20);
        let key = |offset| BlockKey { file: FileId(7), offset };
        let (cached, mut wrong) = (1000, 0);
        for offset in 0..1000 {
            for _ in 0..=offset % 5 {
                sketch.count(&key(offset * 65_000), cached);
            }
        }
        for offset in 0..1000 {
            wrong += usize::from(sketch.of(&key(offset * 65_000)) != 1 + offset % 5);
        }
        assert!(wrong < 50, "{wrong} of 1000");
        assert!((0..1000).all(|offset| sketch.of(&key(offset * 65_000)) > offset % 5));
        // all are forgotten in the end
        for offset in 0..200_000 {
            sketch.count(&key(1_000_000_000 + offset * 65_000), cached);
        }
        for _ in 0..100 {
            sketch.count(&key(1), cached);
        }
        assert!(sketch.of(&key(1)) > 10);
    }
}
