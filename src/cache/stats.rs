//! The statistics of a cache.

use super::tier::SecondTierStats;
use crate::metrics::SharedCounter;

/// The statistics of a [`BlockCache`](super::BlockCache) at one moment (HBase: `CacheStats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Blocks found. Scanners report their hits at intervals, and when they are dropped. Gets of a region
    /// that need no scanner do not: `data_block_hits` of its [`RegionMetrics`](crate::RegionMetrics) has
    /// theirs.
    pub hits: u64,
    /// Blocks not found.
    pub misses: u64,
    /// Blocks loaded and inserted.
    pub insertions: u64,
    /// Rows read from a file without their block. They also count as misses.
    pub partial_reads: u64,
    /// Loads that failed.
    pub failed_loads: u64,
    /// Blocks evicted to make room.
    pub evictions: u64,
    /// Blocks in the cache, other than index blocks.
    pub blocks: u64,
    /// The size of the cache's contents in bytes.
    pub bytes: u64,
    /// The second tier, if any.
    pub second_tier: Option<SecondTierStats>,
}

impl CacheStats {
    /// Returns the ratio of [`hits`](Self::hits) to all lookups, from 0 to 1; 0 without lookups.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    pub fn hit_ratio(&self) -> f64 {
        let lookups = self.hits + self.misses;
        if lookups == 0 { 0.0 } else { self.hits as f64 / lookups as f64 }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: SharedCounter,
    pub(super) misses: SharedCounter,
    pub(super) insertions: SharedCounter,
    pub(super) partial_reads: SharedCounter,
    pub(super) failed_loads: SharedCounter,
    pub(super) evictions: SharedCounter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hit_ratio_is_that_of_all_lookups() {
        for (hits, misses, expected) in [(0, 0, 0.0), (0, 5, 0.0), (3, 1, 0.75), (7, 0, 1.0)] {
            let stats = CacheStats { hits, misses, insertions: 9, ..CacheStats::default() };
            let ratio = stats.hit_ratio();
            assert!((ratio - expected).abs() < f64::EPSILON, "{hits} hits, {misses} misses: {ratio}");
        }
    }
}
