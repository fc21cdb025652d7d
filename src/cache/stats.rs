//! What a cache has done.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers of a [`BlockCache`](super::BlockCache), as of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Blocks found. Scanners report what they found now and then, and when they are dropped.
    pub hits: u64,
    /// Blocks not found.
    pub misses: u64,
    /// Blocks that were loaded and put in.
    pub insertions: u64,
    /// Loads that ended in an error.
    pub failed_loads: u64,
    /// Blocks that had to make room.
    pub evictions: u64,
    /// Blocks in the cache.
    pub blocks: u64,
    /// The bytes they take.
    pub bytes: u64,
}

impl CacheStats {
    /// Hits among all look-ups, from 0 to 1; 0 if there were none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    pub fn hit_ratio(&self) -> f64 {
        let lookups = self.hits + self.misses;
        if lookups == 0 { 0.0 } else { self.hits as f64 / lookups as f64 }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: Counter,
    pub(super) misses: Counter,
    pub(super) insertions: Counter,
    pub(super) failed_loads: Counter,
    pub(super) evictions: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
