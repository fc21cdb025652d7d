use super::*;
use crate::block::slot::{Evict, Slots};
use crate::error::Corruption;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

const BLOCK: usize = 10_000;

fn block(byte: u8) -> CachedBlock {
    CachedBlock::Meta(Bytes::from(vec![byte; BLOCK - ENTRY_OVERHEAD]))
}

fn key(file: FileId, offset: u64) -> BlockKey {
    BlockKey { file, offset }
}

#[test]
fn a_block_is_loaded_once_however_many_want_it() {
    let cache = BlockCache::with_capacity(1 << 20);
    let file = FileId::next();
    let loads = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for offset in 0..50 {
                    let got = cache.get_or_load(CacheStore::Blocks, key(file, offset), None, || {
                        loads.fetch_add(1, Ordering::Relaxed);
                        std::thread::yield_now();
                        Ok(block(7))
                    });
                    assert!(matches!(got, Ok(CachedBlock::Meta(bytes)) if bytes[0] == 7));
                }
            });
        }
    });
    assert_eq!(loads.into_inner(), 50);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.blocks), (150, 50, 50));
    assert_eq!(stats.bytes, 50 * BLOCK as u64);
}

#[test]
fn a_failed_load_is_not_kept() {
    let cache = BlockCache::with_capacity(1 << 20);
    let at = key(FileId::next(), 0);
    let fail = || Err(Corruption::Malformed("bad").at(Path::new("f"), 0));
    let error = cache.get_or_load(CacheStore::Blocks, at, None, fail).unwrap_err();
    assert_eq!(error.to_string(), "f: at 0: bad");
    assert!(cache.get_or_load(CacheStore::Blocks, at, None, || Ok(block(1))).is_ok());
    assert_eq!(cache.stats().failed_loads, 1);
}

#[test]
fn the_capacity_holds_and_files_can_be_forgotten() {
    let cache = BlockCache::with_capacity(20 * BLOCK as u64);
    let (a, b) = (FileId::next(), FileId::next());
    for offset in 0..100 {
        let file = if offset % 2 == 0 { a } else { b };
        cache.get_or_load(CacheStore::Blocks, key(file, offset), None, || Ok(block(1))).unwrap();
    }
    let stats = cache.stats();
    assert!(stats.bytes <= cache.capacity() && stats.blocks >= 15, "{stats:?}");
    cache.evict_file(a);
    assert!(!cache.contains(CacheStore::Blocks, &key(a, 98)));
    assert!(cache.contains(CacheStore::Blocks, &key(b, 99)));
}

#[test]
fn files_that_are_opened_and_closed_leave_nothing() {
    let cache = BlockCache::with_capacity(20 * BLOCK as u64);
    let stays = FileId::next();
    for offset in 0..3 {
        cache.get_or_load(CacheStore::Blocks, key(stays, offset), None, || Ok(block(1))).unwrap();
    }
    for i in 0..10_000 {
        let file = FileId::next();
        for offset in 0..i % 3 {
            cache.get_or_load(CacheStore::Blocks, key(file, offset), None, || Ok(block(1))).unwrap();
        }
        cache.evict_file(file);
    }
    assert_eq!(unpoisoned(cache.0.blocks_of_files.lock()).len(), 1);
    assert_eq!(cache.stats().blocks, 3);
    // moka keeps predicates forever; a cache without support for them has none.
    assert!(cache.blocks().invalidate_entries_if(|_, _| false).is_err());
}

#[test]
fn a_second_chance_does_not_outlive_its_file() {
    let cache = BlockCache::with_capacity(20 * BLOCK as u64);
    let file = FileId::next();
    let entry = Entry { block: block(1), address: None };
    // As if the file were closed between the eviction of its block and the reinsertion.
    unpoisoned(cache.0.second_chances.lock()).push((key(file, 0), entry));
    cache.give_second_chances();
    assert_eq!(cache.stats().blocks, 0);
}

/// Loads a block into the cache and its slot.
fn load(cache: &BlockCache, file: FileId, slots: &Arc<Slots<()>>, slot: usize) {
    let slots_of_file: Weak<Slots<()>> = Arc::downgrade(slots);
    let address = SlotAddress { slots: slots_of_file, slot };
    cache.get_or_load(CacheStore::Blocks, key(file, slot as u64), Some(address), || Ok(block(1))).unwrap();
    slots.put(slot, Arc::new(()));
    if !cache.contains(CacheStore::Blocks, &key(file, slot as u64)) {
        slots.clear(slot);
    }
}

#[test]
fn used_slots_outlive_unused_ones_and_evicted_ones_are_emptied() {
    let cache = BlockCache::with_capacity(20 * BLOCK as u64);
    let file = FileId::next();
    let slots = Arc::new(Slots::<()>::new(100));
    for slot in 0..100usize {
        load(&cache, file, &slots, slot);
        // the first five stay in use
        (0..5).for_each(|hot| assert!(slots.get(hot).is_some() || hot > slot));
        let _ = cache.stats();
    }
    let full: Vec<usize> = (0..100).filter(|&slot| slots.get(slot).is_some()).collect();
    let cached: Vec<usize> =
        (0..100).filter(|&slot| cache.contains(CacheStore::Blocks, &key(file, slot as u64))).collect();
    assert_eq!(full, cached);
    assert!(cache.stats().bytes <= cache.capacity());
    assert_eq!(full[..5], [0, 1, 2, 3, 4]);
}

#[test]
fn blocks_that_are_all_in_use_do_not_exceed_the_capacity() {
    let cache = BlockCache::with_capacity(20 * BLOCK as u64);
    let file = FileId::next();
    let slots = Arc::new(Slots::<()>::new(100));
    for slot in 0..100usize {
        load(&cache, file, &slots, slot);
        let full = (0..100).filter(|&slot| slots.get(slot).is_some()).count();
        assert!(full <= 21, "{full} blocks after {slot} loads");
    }
    assert!(unpoisoned(cache.0.second_chances.lock()).is_empty());
}

#[test]
fn blocks_in_use_and_index_blocks_do_not_exceed_the_capacity_together() {
    let cache = BlockCache::with_capacity(20 * BLOCK as u64);
    let file = FileId::next();
    let (blocks, index) = (Arc::new(Slots::<()>::new(400)), Arc::new(Slots::<()>::new(17)));
    let in_use = |slots: &Slots<()>, len| (0..len).filter(|&slot| slots.get(slot).is_some()).count();
    for slot in 0..400usize {
        load(&cache, file, &blocks, slot);
        if slot >= 50 && slot.is_multiple_of(10) && slot / 10 < 5 + 17 {
            let at = slot / 10 - 5;
            let slots: Weak<Slots<()>> = Arc::downgrade(&index);
            let address = SlotAddress { slots, slot: at };
            let key = key(file, 1000 + at as u64);
            cache.get_or_load(CacheStore::Index, key, Some(address), || Ok(block(2))).unwrap();
            index.put(at, Arc::new(()));
        }
        let (blocks, index) = (in_use(&blocks, 400), in_use(&index, 17));
        assert!(blocks + index <= 22, "{blocks} blocks and {index} index blocks after {slot} loads");
    }
    assert_eq!(in_use(&index, 17), 17);
}

#[test]
fn threads_that_read_and_close_files_leave_no_bytes() {
    const SLOTS: usize = 60;
    let cache = BlockCache::with_capacity(20 * BLOCK as u64);
    for _ in 0..40 {
        let file = FileId::next();
        let blocks = Arc::new(Slots::<()>::new(SLOTS));
        let index = Arc::new(Slots::<()>::new(SLOTS));
        let read = |thread: usize| {
            for i in 0..400 {
                let slot = (i * 7 + thread * 3) % SLOTS;
                if i % 5 == 0 && index.get(slot).is_none() {
                    let slots: Weak<Slots<()>> = Arc::downgrade(&index);
                    let address = SlotAddress { slots, slot };
                    let key = key(file, 1000 + slot as u64);
                    cache.get_or_load(CacheStore::Index, key, Some(address), || Ok(block(2))).unwrap();
                    index.put(slot, Arc::new(()));
                    if !cache.contains(CacheStore::Index, &key) {
                        index.clear(slot);
                    }
                }
                if blocks.get(slot).is_none() {
                    load(&cache, file, &blocks, slot);
                }
            }
        };
        std::thread::scope(|scope| {
            (1..4).for_each(|thread| drop(scope.spawn(move || read(thread))));
            read(0);
        });
        assert!(cache.stats().bytes <= cache.capacity());
        cache.evict_file(file);
        let stats = cache.stats();
        assert_eq!((stats.blocks, stats.bytes, cache.index().entries().weighted_size()), (0, 0, 0));
    }
}

/// Returns the address of the first of the slots.
fn address(slots: &Arc<Slots<()>>) -> Option<SlotAddress> {
    let slots: Weak<Slots<()>> = Arc::downgrade(slots);
    Some(SlotAddress { slots, slot: 0 })
}

#[test]
fn a_block_found_through_new_slots_is_emptied_from_them() {
    let cache = BlockCache::with_capacity(20 * BLOCK as u64);
    let file = FileId::next();
    let old = Arc::new(Slots::<()>::new(1));
    cache.get_or_load(CacheStore::Blocks, key(file, 0), address(&old), || Ok(block(1))).unwrap();
    drop(old);
    let new = Arc::new(Slots::<()>::new(1));
    cache.get_or_load(CacheStore::Blocks, key(file, 0), address(&new), || unreachable!()).unwrap();
    new.put(0, Arc::new(()));
    for offset in 1..100 {
        cache.get_or_load(CacheStore::Blocks, key(file, offset), None, || Ok(block(1))).unwrap();
        let _ = cache.stats();
    }
    assert!(!cache.contains(CacheStore::Blocks, &key(file, 0)));
    assert!(new.with(0, |()| ()).is_none());
}

#[test]
fn a_block_is_in_the_slots_by_which_it_was_found_last_only() {
    let cache = BlockCache::with_capacity(20 * BLOCK as u64);
    let file = FileId::next();
    let [old, new] = [0; 2].map(|_| Arc::new(Slots::<()>::new(1)));
    cache.get_or_load(CacheStore::Blocks, key(file, 0), address(&old), || Ok(block(1))).unwrap();
    old.put(0, Arc::new(()));
    cache.get_or_load(CacheStore::Blocks, key(file, 0), address(&new), || unreachable!()).unwrap();
    new.put(0, Arc::new(()));
    assert!(old.with(0, |()| ()).is_none() && new.with(0, |()| ()).is_some());
    cache.evict_file(file);
    assert!(new.with(0, |()| ()).is_none());
}

/// Compares Zipf-like traces, interspersed with scans, with an exact LRU of the same size.
#[test]
fn hits_are_as_many_as_with_an_exact_lru() {
    const BLOCKS: usize = 1000;
    const KEPT: usize = 100;
    let mut seed = 7u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let trace: Vec<usize> = (0..60_000)
        .flat_map(|i| {
            let scan = if i % 3000 == 0 { i / 30 % 800..i / 30 % 800 + 100 } else { 0..0 };
            let unit = (random() >> 11) as f64 / (1u64 << 53) as f64;
            // density 1/x over 1..BLOCKS
            std::iter::once((BLOCKS as f64).powf(unit) as usize).chain(scan)
        })
        .collect();

    let mut lru: Vec<usize> = Vec::new();
    let mut exact = 0;
    for block in &trace {
        if let Some(at) = lru.iter().position(|b| b == block) {
            lru.remove(at);
            exact += 1;
        } else if lru.len() == KEPT {
            lru.remove(0);
        }
        lru.push(*block);
    }

    let cache = BlockCache::with_capacity((KEPT * BLOCK) as u64);
    let file = FileId::next();
    let slots = Arc::new(Slots::<()>::new(BLOCKS + 900));
    let mut ours = 0;
    for &slot in &trace {
        if slots.get(slot).is_some() {
            ours += 1;
            continue;
        }
        load(&cache, file, &slots, slot);
        cache.blocks().run_pending_tasks();
    }
    let percent = |n: usize| 100.0 * n as f64 / trace.len() as f64;
    assert!(percent(ours) > percent(exact) - 1.0, "{} % against {} %", percent(ours), percent(exact));
    assert!(cache.stats().bytes <= cache.capacity());
}
