//! What reads of a region have cost: counters, and the plain struct that a user reads.

use crate::sync::unpoisoned;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What reads and writes of a region have cost since it was opened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct RegionMetrics {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl RegionMetrics {
            /// What has been added since an earlier look.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.wrapping_sub(earlier.$name),)+ }
            }

            /// Adds what another read has cost.
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name = self.$name.wrapping_add(other.$name);)+
            }
        }

        /// What one read has cost.
        pub(crate) type ReadCounts = RegionMetrics;

        /// One lane of the counters, on cache lines of its own.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        struct Lane {
            $($name: AtomicU64,)+
        }

        impl Lane {
            /// Of a lane that other threads use, too.
            fn add_shared(&self, counts: &RegionMetrics) {
                $(if counts.$name > 0 {
                    self.$name.fetch_add(counts.$name, Ordering::Relaxed);
                })+
            }

            /// Of a lane that no other thread writes to: no count gets lost, though none is locked.
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
    /// Scans begun.
    scans,
    /// Puts, deletes, increments and appends.
    writes,
    /// Flushes that wrote a file.
    flushes,
    /// Compactions.
    compactions,
    /// Store files that a read looked at, each time.
    files_considered,
    /// Of those, the ones passed over because no cell is of a time that was asked for.
    files_skipped_by_time,
    /// The ones passed over because no row is.
    files_skipped_by_key,
    /// The ones passed over because their Bloom filter says that they do not have it.
    files_skipped_by_bloom,
    /// Data blocks read from files, each checked and decoded.
    data_blocks_read,
    /// Data blocks found in the cache.
    data_block_hits,
    /// Seeks with which reads begin, one for each family.
    seeks,
    /// Seeks on the way.
    reseeks,
    /// Cells looked at.
    cells,
    /// Hints of filters that led nowhere ahead in the direction of the read, which stepped instead.
    hints_ignored,
}

/// How data blocks were found, by any number of files.
#[derive(Debug, Default)]
pub(crate) struct BlockCounts {
    read: AtomicU64,
    hits: AtomicU64,
}

impl BlockCounts {
    /// One more was read from its file.
    pub(crate) fn count_read(&self) {
        self.read.fetch_add(1, Ordering::Relaxed);
    }

    /// Some more were in the cache.
    pub(crate) fn count_hits(&self, hits: u64) {
        self.hits.fetch_add(hits, Ordering::Relaxed);
    }

    /// Adds what has been counted.
    pub(crate) fn add_to(&self, metrics: &mut RegionMetrics) {
        metrics.data_blocks_read += self.read.load(Ordering::Relaxed);
        metrics.data_block_hits += self.hits.load(Ordering::Relaxed);
    }
}

/// A thread has a lane of its own while it lives, if one is free; the last one is for all others.
const LANES: usize = 64;
const SHARED: usize = LANES - 1;

/// The counters of one region.
#[derive(Debug)]
pub(crate) struct Counters([Lane; LANES]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Lane::default()))
    }
}

impl Counters {
    /// Adds what a read has cost.
    #[inline]
    pub(crate) fn add(&self, counts: &ReadCounts) {
        // a thread that is ending has no lane any more
        match LANE.try_with(|lane| lane.0) {
            Ok(lane) if lane < SHARED => self.0[lane].add_own(counts),
            _ => self.0[SHARED].add_shared(counts),
        }
    }

    /// All that has been added.
    pub(crate) fn sum(&self) -> RegionMetrics {
        let mut sum = RegionMetrics::default();
        self.0.iter().for_each(|lane| lane.add_to(&mut sum));
        sum
    }
}

/// The number of a thread's lane, the same in all regions.
struct LaneNumber(usize);

thread_local! {
    static LANE: LaneNumber = LaneNumber::take();
}

/// Which lanes have a thread: one bit each.
static TAKEN: Mutex<u64> = Mutex::new(0);

impl LaneNumber {
    /// The first that is free. The lock makes a thread see all that the one before it in its lane has counted.
    fn take() -> Self {
        let mut taken = unpoisoned(TAKEN.lock());
        let free = (taken.trailing_ones() as usize).min(SHARED);
        if free < SHARED {
            *taken |= 1 << free;
        }
        Self(free)
    }
}

impl Drop for LaneNumber {
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
        // more threads than lanes, some one after the other
        for _ in 0..3 {
            thread::scope(|scope| {
                for _ in 0..LANES + 20 {
                    scope.spawn(|| {
                        for _ in 0..500 {
                            counters.add(&ReadCounts { gets: 1, cells: 3, ..ReadCounts::default() });
                        }
                    });
                }
            });
        }
        let threads = 3 * (LANES as u64 + 20);
        let expected = ReadCounts { gets: 500 * threads, cells: 1500 * threads, ..ReadCounts::default() };
        assert_eq!(counters.sum(), expected);
    }
}
