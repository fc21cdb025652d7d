//! A memory limit shared by many regions (HBase: `RegionServerAccounting`, the global memstore size).

use super::RegionCore;
use crate::io::Owner;
use crate::sync::unpoisoned;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

/// The default limit of the process in bytes.
const GLOBAL_BYTES: u64 = 1 << 30;
/// The percentage of the limit at which flushes begin (hbase.regionserver.global.memstore.size.lower.limit).
const LOWER_PERCENT: u64 = 95;

/// A limit on the memory taken by unflushed cells of the regions that share it.
///
/// At 95 % of the limit, regions are flushed, the largest first, until less memory is used. At the limit,
/// writers wait for the flush (HBase: `hbase.regionserver.global.memstore.size` and `…lower.limit`). The
/// limit may be exceeded by the writes in progress, by cells that are being [moved in
/// memory](crate::RegionOptions::in_memory_flush_size), which exist twice, and by 64 KiB for each region.
///
/// These do not count, because no flush would free them: memory that was flushed or moved but is still read
/// by a view or scanner; the memory of closed regions, and of regions that are
/// [poisoned](crate::RegionHealth::poisoned) because a change of their files could not be undone; and, in a
/// forked process that has opened a region, the memory of the other process's regions.
///
/// Cheap to clone; clones are the same limit. Regions without a limit of their own share [the limit of the
/// process](Self::global).
#[derive(Clone)]
pub struct MemoryLimit(Arc<Shared>);

struct Shared {
    high: u64,
    low: u64,
    used: AtomicU64,
    /// After a flush has been requested, the bytes in use at which the next one is requested; 0 if none has
    /// been.
    next_request_at: AtomicU64,
    regions: Mutex<Regions>,
}

/// The regions open for writing.
struct Regions {
    /// The process that has opened them.
    owner: Owner,
    open: Vec<Weak<RegionCore>>,
}

impl Regions {
    fn new() -> Self {
        Self { owner: Owner::this(), open: Vec::new() }
    }
}

impl MemoryLimit {
    /// Creates a limit in bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        // Computed so that nothing overflows, and small limits are not rounded to 0.
        let low = bytes - bytes / 100 * (100 - LOWER_PERCENT);
        let (high, low) = (bytes.max(1), low.max(1));
        let (used, next_request_at) = (AtomicU64::new(0), AtomicU64::new(0));
        let regions = Mutex::new(Regions::new());
        Self(Arc::new(Shared { high, low, used, next_request_at, regions }))
    }

    /// Returns the limit of the process, 1 GiB, which applies to regions without a limit of their own.
    #[must_use]
    pub fn global() -> Self {
        static LIMIT: OnceLock<MemoryLimit> = OnceLock::new();
        LIMIT.get_or_init(|| Self::new(GLOBAL_BYTES)).clone()
    }

    /// Returns the limit in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.high
    }

    /// Returns the number of bytes that the regions use, as last reported: exact to 64 KiB for each region.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether a writer must request a flush of a region.
    #[inline]
    pub(super) fn needs_flush(&self) -> bool {
        let used = self.used();
        used >= self.0.low && used >= self.0.next_request_at.load(Ordering::Relaxed)
    }

    /// Whether the use has reached the lower limit, at which flushes begin (HBase: `isAboveLowWaterMark`).
    pub(super) fn is_above_low_mark(&self) -> bool {
        self.used() >= self.0.low
    }

    /// Records that a flush has been requested. No other is requested until another hundredth of the limit is
    /// used, or memory is freed.
    pub(super) fn record_request(&self) {
        let next = self.used().saturating_add(self.0.high / 100).min(self.0.high);
        self.0.next_request_at.store(next, Ordering::Relaxed);
    }

    /// Whether writers must wait.
    pub(super) fn is_full(&self) -> bool {
        self.used() >= self.0.high
    }

    /// Locks the regions. A forked process cannot flush the regions of the other one, so they no longer
    /// count.
    fn regions(&self) -> MutexGuard<'_, Regions> {
        let mut regions = unpoisoned(self.0.regions.lock());
        if regions.owner.is_this() {
            return regions;
        }
        let others = mem::replace(&mut *regions, Regions::new()).open;
        // Unlocked: each of them removes itself.
        drop(regions);
        for region in others.iter().filter_map(Weak::upgrade) {
            if let Some(background) = &region.background {
                background.leave_limit_of_other();
            }
        }
        unpoisoned(self.0.regions.lock())
    }

    pub(super) fn add(&self, region: Weak<RegionCore>) {
        let mut regions = self.regions();
        regions.open.retain(|region| region.strong_count() > 0);
        regions.open.push(region);
    }

    pub(super) fn remove(&self, region: &Weak<RegionCore>) {
        self.regions().open.retain(|other| !other.ptr_eq(region));
    }

    /// Records that a region takes `new` bytes instead of `old`.
    pub(super) fn change(&self, old: u64, new: u64) {
        if new >= old {
            self.0.used.fetch_add(new - old, Ordering::Relaxed);
        } else {
            self.0.used.fetch_sub(old - new, Ordering::Relaxed);
            self.0.next_request_at.store(0, Ordering::Relaxed);
        }
    }

    /// Returns the regions that take any memory, the largest first. Each reports what it takes now.
    pub(super) fn largest(&self) -> Vec<Arc<RegionCore>> {
        let regions: Vec<Arc<RegionCore>> = self.regions().open.iter().filter_map(Weak::upgrade).collect();
        let mut regions: Vec<(u64, Arc<RegionCore>)> =
            regions.into_iter().map(|region| (region.report_memory(), region)).collect();
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
    use crate::op::Put;
    use crate::region::Region;
    use crate::schema::Family;

    #[test]
    fn a_forked_process_does_not_count_the_regions_of_the_other() {
        let (dir, limit) = (tempfile::tempdir().unwrap(), MemoryLimit::new(1 << 20));
        let open = |name: &str| {
            let options = Region::options().create_if_missing(true).family(Family::new("f"));
            options.memory_limit(&limit).open(dir.path().join(name)).unwrap()
        };
        let put = |region: &Region, len| region.put(Put::new("row").cell("f", "q", vec![0; len])).unwrap();
        let other = open("other");
        put(&other, 2 << 20);
        assert!(limit.is_full());
        // Like a process that was forked from one with this region.
        limit.regions().owner = Owner::other();
        let own = open("own");
        put(&own, 1000);
        assert!(limit.used() < 1 << 20 && other.memstore_size() >= 2 << 20);
        let largest = limit.largest();
        assert!(matches!(&*largest, [only] if Arc::ptr_eq(only, &own.0)));
        // Nothing would flush more writes to it.
        assert!(other.0.background.as_ref().unwrap().needs_room());
        drop(other);
        assert!(limit.used() < 1 << 20);
    }

    #[test]
    fn marks() {
        let limit = MemoryLimit::new(1000);
        limit.change(0, 949);
        assert!(!limit.needs_flush());
        limit.change(949, 950);
        assert!(limit.needs_flush() && !limit.is_full());
        limit.record_request();
        assert!(!limit.needs_flush() && limit.is_above_low_mark());
        limit.change(0, 50);
        assert!(limit.is_full() && limit.needs_flush());
        limit.change(1000, 0);
        assert_eq!(limit.used(), 0);
        let all = MemoryLimit::new(u64::MAX);
        all.change(0, 1 << 50);
        assert!(!all.needs_flush());
        assert_eq!(MemoryLimit::new(0).bytes(), 1);
    }
}
