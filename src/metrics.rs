//! The cost of reads and writes of a region: internal counters, and the public struct.

use crate::sync::{Padded, unpoisoned};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// The cost of reads and writes of a region since it was opened (HBase: `MetricsRegion`).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct RegionMetrics {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl RegionMetrics {
            /// Returns the cost since `earlier`, which are metrics of the same region.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.wrapping_sub(earlier.$name),)+ }
            }

            /// Adds the cost of another read.
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name = self.$name.wrapping_add(other.$name);)+
            }
        }

        /// The cost of one read.
        pub(crate) type ReadCounts = RegionMetrics;

        /// One stripe of the counters, on its own cache lines.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        struct Stripe {
            $($name: AtomicU64,)+
        }

        impl Stripe {
            /// Adds to a stripe that other threads also use.
            fn add_shared(&self, counts: &RegionMetrics) {
                $(if counts.$name > 0 {
                    self.$name.fetch_add(counts.$name, Ordering::Relaxed);
                })+
            }

            /// Adds to a stripe that no other thread writes to: no count is lost, although no
            /// read-modify-write is atomic.
            #[inline]
            fn add_own(&self, counts: &RegionMetrics) {
                $(if counts.$name > 0 {
                    let sum = self.$name.load(Ordering::Relaxed).wrapping_add(counts.$name);
                    self.$name.store(sum, Ordering::Relaxed);
                })+
            }

            fn add_to(&self, sum: &mut RegionMetrics) {
                $(sum.$name = sum.$name.wrapping_add(self.$name.load(Ordering::Relaxed));)+
            }
        }
    };
}

counters! {
    /// Gets.
    gets,
    /// Scans started.
    scans,
    /// Puts, deletes, increments and appends.
    writes,
    /// Flushes that wrote a file.
    flushes,
    /// Compactions.
    compactions,
    /// Store files considered by reads.
    files_considered,
    /// The files among these that were skipped because they contain no cell in the requested time range, or
    /// none as new as the values found in others.
    files_skipped_by_time,
    /// Files skipped because they contain no row in the requested range.
    files_skipped_by_key,
    /// Files skipped because of their Bloom filter.
    files_skipped_by_bloom,
    /// Data blocks, or parts of them, read from files, checked and decoded.
    data_blocks_read,
    /// Data blocks found in the cache, in memory or in its second tier.
    data_block_hits,
    /// Initial seeks of reads, one for each family.
    seeks,
    /// Later seeks.
    reseeks,
    /// Cells examined.
    cells,
    /// Hints of filters that were not ahead in the direction of the read; the read made a single step
    /// instead.
    hints_ignored,
}

/// A counter for many threads, most of which use cache lines of their own.
#[derive(Debug, Default)]
pub(crate) struct SharedCounter([Padded<AtomicU64>; 8]);

impl SharedCounter {
    pub(crate) fn add(&self, n: u64) {
        self.0[stripe() % self.0.len()].0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.iter().fold(0, |sum, part| sum.wrapping_add(part.0.load(Ordering::Relaxed)))
    }
}

/// Counts how data blocks were found, for any number of files.
#[derive(Debug, Default)]
pub(crate) struct BlockCounts {
    read: SharedCounter,
    hits: SharedCounter,
}

impl BlockCounts {
    /// Counts a block read from its file.
    pub(crate) fn count_read(&self) {
        self.read.add(1);
    }

    /// Counts blocks found in the cache.
    pub(crate) fn count_hits(&self, hits: u64) {
        self.hits.add(hits);
    }

    /// Adds these counts to `metrics`.
    pub(crate) fn add_to(&self, metrics: &mut RegionMetrics) {
        metrics.data_blocks_read += self.read.get();
        metrics.data_block_hits += self.hits.get();
    }
}

/// The number of stripes. A live thread has a stripe of its own, if one is free; the last stripe is shared by
/// all other threads.
const STRIPES: usize = 64;
const SHARED: usize = STRIPES - 1;

/// The counters of one region.
#[derive(Debug)]
pub(crate) struct Counters([Stripe; STRIPES]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Stripe::default()))
    }
}

impl Counters {
    /// Adds the cost of a read.
    #[inline]
    pub(crate) fn add(&self, counts: &ReadCounts) {
        match stripe() {
            stripe if stripe < SHARED => self.0[stripe].add_own(counts),
            _ => self.0[SHARED].add_shared(counts),
        }
    }

    /// Returns the sum of all stripes.
    pub(crate) fn sum(&self) -> RegionMetrics {
        let mut sum = RegionMetrics::default();
        self.0.iter().for_each(|stripe| stripe.add_to(&mut sum));
        sum
    }
}

/// Returns the number of the calling thread's stripe. Only the last one can be shared by several live
/// threads.
#[inline]
pub(crate) fn stripe() -> usize {
    // a thread that is ending no longer has a stripe
    STRIPE.try_with(|stripe| stripe.0).unwrap_or(SHARED)
}

/// The number of a thread's stripe, the same for all regions.
struct StripeNumber(usize);

thread_local! {
    static STRIPE: StripeNumber = StripeNumber::take();
}

/// The stripes in use, one bit each.
static TAKEN: Mutex<u64> = Mutex::new(0);

impl StripeNumber {
    /// Takes the first free stripe. The lock makes the counts of the stripe's previous thread visible to the
    /// new one.
    fn take() -> Self {
        let mut taken = unpoisoned(TAKEN.lock());
        let free = (taken.trailing_ones() as usize).min(SHARED);
        if free < SHARED {
            *taken |= 1 << free;
        }
        Self(free)
    }
}

impl Drop for StripeNumber {
    fn drop(&mut self) {
        if self.0 < SHARED {
            *unpoisoned(TAKEN.lock()) &= !(1 << self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn no_count_of_any_thread_gets_lost() {
        let counters = Counters::default();
        // more threads than stripes, partly in succession
        for _ in 0..3 {
            thread::scope(|scope| {
                for _ in 0..STRIPES + 20 {
                    scope.spawn(|| {
                        for _ in 0..500 {
                            counters.add(&ReadCounts { gets: 1, cells: 3, ..ReadCounts::default() });
                        }
                    });
                }
            });
        }
        let threads = 3 * (STRIPES as u64 + 20);
        let expected = ReadCounts { gets: 500 * threads, cells: 1500 * threads, ..ReadCounts::default() };
        assert_eq!(counters.sum(), expected);
    }
}
