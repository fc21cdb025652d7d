//! A bound on the memory of many regions (HBase: `RegionServerAccounting`, the global memstore size).

use super::Inner;
use crate::sync::unpoisoned;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// The limit of the process.
const GLOBAL: u64 = 1 << 30;
/// Flushes begin at this part of the limit, in percent (hbase.regionserver.global.memstore.size.lower.limit).
const LOW_PERCENT: u64 = 95;

/// How much memory the unflushed cells of regions that share it may take.
///
/// At 95 % of it the region that takes most is flushed, and so on until less is taken; at the limit writers wait for that
/// (HBase: `hbase.regionserver.global.memstore.size` and `…lower.limit`). It may be exceeded by what is being written at the
/// moment, and by 64 KiB for each region. Memory that was flushed and is still read by a view or scanner does not count.
///
/// Cheap to clone; clones are the same limit. Regions that are given none share [that of the process](Self::global).
#[derive(Clone)]
pub struct MemoryLimit(Arc<Shared>);

struct Shared {
    high: u64,
    low: u64,
    used: AtomicU64,
    /// A region has been asked for a flush, and none is asked again before so much is used; 0 if none has been asked.
    asked_until: AtomicU64,
    /// The regions open for writing.
    regions: Mutex<Vec<Weak<Inner>>>,
}

impl MemoryLimit {
    /// A limit of so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        // no overflow, and no rounding of small limits to 0
        let low = bytes - bytes / 100 * (100 - LOW_PERCENT);
        let (high, low) = (bytes.max(1), low.max(1));
        let (used, asked_until, regions) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::default());
        Self(Arc::new(Shared { high, low, used, asked_until, regions }))
    }

    /// The limit of the process, 1 GiB: that of regions that are given none.
    #[must_use]
    pub fn global() -> Self {
        static LIMIT: OnceLock<MemoryLimit> = OnceLock::new();
        LIMIT.get_or_init(|| Self::new(GLOBAL)).clone()
    }

    /// The limit in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.high
    }

    /// How many bytes the regions take, as far as they have told: each up to 64 KiB more or less.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether a writer is to ask a region for a flush.
    #[inline]
    pub(super) fn is_pressed(&self) -> bool {
        let used = self.used();
        used >= self.0.low && used >= self.0.asked_until.load(Ordering::Relaxed)
    }

    /// Whether there is little room.
    pub(super) fn is_low(&self) -> bool {
        self.used() >= self.0.low
    }

    /// A region has been asked for a flush: others need not ask before another hundredth of the limit is used, or some is
    /// free.
    pub(super) fn asked(&self) {
        let until = self.used().saturating_add(self.0.high / 100).min(self.0.high);
        self.0.asked_until.store(until, Ordering::Relaxed);
    }

    /// Whether writers wait.
    pub(super) fn is_full(&self) -> bool {
        self.used() >= self.0.high
    }

    pub(super) fn add(&self, region: Weak<Inner>) {
        let mut regions = unpoisoned(self.0.regions.lock());
        regions.retain(|region| region.strong_count() > 0);
        regions.push(region);
    }

    pub(super) fn remove(&self, region: &Weak<Inner>) {
        unpoisoned(self.0.regions.lock()).retain(|other| !other.ptr_eq(region));
    }

    /// A region takes `new` bytes rather than `old`.
    pub(super) fn change(&self, old: u64, new: u64) {
        if new >= old {
            self.0.used.fetch_add(new - old, Ordering::Relaxed);
        } else {
            self.0.used.fetch_sub(old - new, Ordering::Relaxed);
            self.0.asked_until.store(0, Ordering::Relaxed);
        }
    }

    /// The regions that take memory, from the one that takes most on.
    pub(super) fn largest(&self) -> Vec<Arc<Inner>> {
        let regions: Vec<Arc<Inner>> =
            unpoisoned(self.0.regions.lock()).iter().filter_map(Weak::upgrade).collect();
        let mut regions: Vec<(u64, Arc<Inner>)> =
            regions.into_iter().map(|region| (region.memory(), region)).collect();
        regions.retain(|(memory, _)| *memory > 0);
        regions.sort_by_key(|(memory, _)| std::cmp::Reverse(*memory));
        regions.into_iter().map(|(_, region)| region).collect()
    }
}

impl fmt::Debug for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimit")
            .field("bytes", &self.bytes())
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks() {
        let limit = MemoryLimit::new(1000);
        limit.change(0, 949);
        assert!(!limit.is_pressed());
        limit.change(949, 950);
        assert!(limit.is_pressed() && !limit.is_full());
        limit.asked();
        assert!(!limit.is_pressed() && limit.is_low());
        limit.change(0, 50);
        assert!(limit.is_full() && limit.is_pressed());
        limit.change(1000, 0);
        assert_eq!(limit.used(), 0);
        let all = MemoryLimit::new(u64::MAX);
        all.change(0, 1 << 50);
        assert!(!all.is_pressed());
        assert_eq!(MemoryLimit::new(0).bytes(), 1);
    }
}
