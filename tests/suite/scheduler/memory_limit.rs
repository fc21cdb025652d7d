//! The memory that regions share: which of them is flushed to free some.

use super::{HOUR, KIB, eventually, fill, options, put};
use hregion::io::faulty::{Call, FaultyStorage};
use hregion::region::{MiniBatch, ObserverContext};
use hregion::{Compaction, ErrorKind, MemoryLimit, Put, Region, RegionObserver, Scheduler};
use std::sync::Arc;

#[test]
fn regions_share_a_limit_of_memory() {
    let (storage, scheduler) = (FaultyStorage::new(), Scheduler::builder().build());
    let limit = MemoryLimit::new(2048 * KIB);
    let open = |name: &str| {
        options(&scheduler).storage(Arc::new(storage.clone())).memory_limit(&limit).open(name).unwrap()
    };
    let (small, large) = (open("/small"), open("/large"));
    fill(&small, 200).unwrap();
    for _ in 0..10 {
        fill(&large, 1000).unwrap();
        let taken = small.memstore_size() + large.memstore_size();
        assert!(taken <= limit.bytes() + 128 * KIB, "{taken}");
    }
    assert!(large.metrics().flushes >= 4, "{:?}", large.metrics());
    assert_eq!(small.metrics().flushes, 0);
    large.close().unwrap();
    assert!(limit.used() < 400 * KIB, "{}", limit.used());
    small.close().unwrap();
    assert_eq!(limit.used(), 0);
}

/// The memstore of a region whose files could not be changed back is no longer flushed.
#[test]
fn a_poisoned_region_takes_nothing_of_the_limit() {
    let (storages, scheduler) = ([FaultyStorage::new(), FaultyStorage::new()], Scheduler::builder().build());
    let limit = MemoryLimit::new(2048 * KIB);
    let [poisoned, other] = storages.each_ref().map(|storage| {
        options(&scheduler).storage(Arc::new(storage.clone())).memory_limit(&limit).open("/r").unwrap()
    });
    for i in 0..2 {
        put(&poisoned, i).unwrap();
        poisoned.flush().unwrap();
    }
    fill(&poisoned, 1000).unwrap();
    let taken = poisoned.memstore_size();
    assert!(taken > limit.bytes() / 4 && limit.used() > taken / 2, "{taken} {limit:?}");
    storages[0].break_calls(Call::SyncDir);
    assert_eq!(poisoned.compact(Compaction::Major).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!((poisoned.memstore_size(), limit.used()), (taken, 0));
    for _ in 0..5 {
        fill(&other, 1000).unwrap();
    }
    assert!(other.metrics().flushes > 0);
    // A failing read or write of it counts nothing again.
    assert_eq!(put(&poisoned, 0).unwrap_err().kind(), ErrorKind::Poisoned);
    other.close().unwrap();
    assert_eq!(limit.used(), 0);
    storages[0].repair();
    assert_eq!(poisoned.close().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(limit.used(), 0);
}

/// Puts a large cell into another region in a hook, where no write waits for memory.
#[derive(Debug)]
struct FillsOther(Region);

impl RegionObserver for FillsOther {
    fn pre_batch_mutate(&self, _: &mut ObserverContext<'_>, _: &mut MiniBatch<'_>) -> hregion::Result<()> {
        put_large(&self.0, 700 << 10)
    }
}

fn put_large(region: &Region, bytes: usize) -> hregion::Result<()> {
    region.put(Put::new("large").cell("f", "q", vec![7; bytes]))
}

/// The other regions still exceed the limit, but one of them can be flushed.
#[test]
fn a_region_that_is_poisoned_by_a_flush_for_room_fails_no_write_of_another() {
    let (storages, scheduler) = ([0; 3].map(|_| FaultyStorage::new()), Scheduler::builder().build());
    let limit = MemoryLimit::new(256 * KIB);
    let options =
        |storage: &FaultyStorage| options(&scheduler).storage(Arc::new(storage.clone())).memory_limit(&limit);
    let poisoned = options(&storages[0]).open("/r").unwrap();
    let observer = Arc::new(FillsOther(poisoned.clone()));
    let other = options(&storages[1]).observer(0, observer).open("/r").unwrap();
    let writer = options(&storages[2]).open("/r").unwrap();
    put(&poisoned, 0).unwrap();
    poisoned.flush().unwrap();
    put_large(&other, 400 << 10).unwrap();
    assert!(limit.used() > 1000 * KIB, "{limit:?}");
    storages[0].break_calls(Call::SyncDir);
    put(&writer, 0).unwrap();
    assert_eq!(put(&poisoned, 0).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(other.memstore_size(), 0);
}

/// A region whose flush has failed keeps its memory. Another region is flushed instead.
#[test]
fn a_region_that_cannot_be_flushed_fails_no_write_while_another_can_be() {
    let storages = [FaultyStorage::new(), FaultyStorage::new()];
    let (scheduler, limit) = (Scheduler::builder().retry(HOUR, HOUR).build(), MemoryLimit::new(2048 * KIB));
    let [failing, other] = storages.each_ref().map(|storage| {
        options(&scheduler).storage(Arc::new(storage.clone())).memory_limit(&limit).open("/r").unwrap()
    });
    fill(&failing, 1100).unwrap();
    let taken = failing.memstore_size();
    storages[0].break_calls(Call::Create);
    // Near the limit, a flush of the region with the largest memstore is requested.
    let mut rows = 0..;
    while !failing.health().flush_pending {
        put(&other, rows.next().unwrap()).unwrap();
    }
    eventually("it has failed", || failing.health().background_failures > 0);
    fill(&other, 3000).unwrap();
    assert!(other.metrics().flushes > 0);
    assert_eq!((failing.metrics().flushes, failing.memstore_size()), (0, taken));
    storages[0].repair();
    failing.close().unwrap();
    other.close().unwrap();
    assert_eq!(limit.used(), 0);
}
