//! The store of Bloom filter chunks, if they have memory of their own (HBase: the first level of
//! `CombinedBlockCache`).

use super::blocks::{self, Blocks};
use super::stats::Counters;
use super::{BlockKey, ENTRY_OVERHEAD, Entry, FileId, SWEEPS, insert_again};
use crate::sync::unpoisoned;
use std::sync::{Arc, Mutex};

pub(super) struct FilterStore {
    entries: Blocks,
    /// Evicted chunks that were used since they were inserted, to insert again.
    chances: Arc<Mutex<Vec<(BlockKey, Entry)>>>,
    counters: Arc<Counters>,
    capacity: u64,
}

impl FilterStore {
    /// Creates a store of `capacity` bytes; `None` for 0.
    pub(super) fn new(capacity: u64, counters: &Arc<Counters>) -> Option<Self> {
        if capacity == 0 {
            return None;
        }
        let chances = Arc::default();
        let entries = blocks::new(capacity, Arc::clone(counters), Arc::clone(&chances), |_, _| {})?;
        Some(Self { entries, chances, counters: Arc::clone(counters), capacity })
    }

    pub(super) fn entries(&self) -> &Blocks {
        &self.entries
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Whether another chunk of this stored size would evict others.
    pub(super) fn is_full_for(&self, len: u32) -> bool {
        let needed = u64::from(len).saturating_add(ENTRY_OVERHEAD as u64);
        self.entries.weighted_size().saturating_add(needed) > self.capacity
    }

    /// Evicts chunks that exceed the capacity. Used chunks are inserted again, unless their files have been
    /// closed; this evicts others, and in the end these chunks as well.
    pub(super) fn evict_excess(&self, is_open: impl Fn(FileId) -> bool) {
        self.entries.run_pending_tasks();
        for sweep in 0.. {
            // The head of the loop would hold the lock, which is taken for each entry that inserting evicts.
            let chances = std::mem::take(&mut *unpoisoned(self.chances.lock()));
            if chances.is_empty() {
                return;
            }
            for (key, entry) in chances {
                if sweep >= SWEEPS {
                    self.counters.evictions.add(1);
                    entry.clear_slot();
                    continue;
                }
                insert_again(&self.entries, key, entry, &is_open);
            }
            self.entries.run_pending_tasks();
        }
    }

    /// Removes the chunks of a file, among those that begin at `offsets`.
    pub(super) fn evict_file(&self, file: FileId, offsets: impl Iterator<Item = u64>) {
        unpoisoned(self.chances.lock()).retain(|(key, _)| key.file != file);
        offsets.for_each(|offset| self.entries.invalidate(&BlockKey { file, offset }));
        self.entries.run_pending_tasks();
    }
}

#[cfg(test)]
mod tests {
    use crate::block::slot::{Evict, Slots};
    use crate::cache::{BlockCache, BlockKey, CacheStore, CachedBlock, FileId, SlotAddress};
    use bytes::Bytes;
    use std::sync::{Arc, Weak};

    const CHUNK: usize = 10_000;

    fn load(cache: &BlockCache, file: FileId, slots: &Arc<Slots<Vec<u8>>>, slot: usize) {
        let chunk = Arc::new(vec![1; CHUNK]);
        let weak: Weak<Slots<Vec<u8>>> = Arc::downgrade(slots);
        let address = Some(SlotAddress { slots: weak, slot });
        let key = BlockKey { file, offset: slot as u64 };
        cache
            .get_or_load(CacheStore::Filters, key, address, || Ok(CachedBlock::Bloom(Arc::clone(&chunk))))
            .unwrap();
        slots.put(slot, chunk);
        if !cache.contains(CacheStore::Filters, &key) {
            slots.clear(slot);
        }
    }

    fn in_use(slots: &Slots<Vec<u8>>, len: usize) -> usize {
        (0..len).filter(|&slot| slots.get(slot).is_some()).count()
    }

    #[test]
    fn data_blocks_do_not_take_the_place_of_filters() {
        let cache = BlockCache::options().capacity(100_000).filter_capacity(200_000).build();
        assert_eq!((cache.capacity(), cache.filter_capacity()), (100_000, 200_000));
        let file = FileId::next();
        let slots = Arc::new(Slots::new(10));
        (0..10).for_each(|slot| load(&cache, file, &slots, slot));
        for offset in 100..200 {
            let block = || Ok(CachedBlock::Meta(Bytes::from(vec![0; CHUNK])));
            cache.get_or_load(CacheStore::Blocks, BlockKey { file, offset }, None, block).unwrap();
        }
        let stats = cache.stats();
        assert_eq!(in_use(&slots, 10), 10);
        assert!((100_000..=300_000).contains(&stats.bytes) && stats.blocks > 10, "{stats:?}");
        cache.evict_file(file);
        let stats = cache.stats();
        assert_eq!((in_use(&slots, 10), stats.bytes, stats.blocks), (0, 0, 0));
    }

    #[test]
    fn filters_that_are_all_in_use_do_not_exceed_their_capacity() {
        let cache = BlockCache::options().capacity(1 << 20).filter_capacity(5 * CHUNK as u64).build();
        let file = FileId::next();
        let slots = Arc::new(Slots::new(50));
        let chunk = u32::try_from(CHUNK).unwrap();
        assert!(cache.takes_filter(chunk, true));
        for slot in 0..50 {
            load(&cache, file, &slots, slot);
            assert!(in_use(&slots, 50) <= 5, "after {slot} loads");
        }
        assert!(in_use(&slots, 50) >= 3);
        assert!(cache.stats().bytes <= 5 * CHUNK as u64);
        // a full store takes one of many
        let taken = (0..3 * crate::cache::FILTERS).filter(|_| cache.takes_filter(chunk, false)).count();
        assert_eq!(taken, 3);
    }

    #[test]
    fn filters_are_among_the_blocks_if_they_have_no_memory_of_their_own() {
        let cache = BlockCache::with_capacity(20 * CHUNK as u64);
        let file = FileId::next();
        load(&cache, file, &Arc::new(Slots::new(1)), 0);
        assert!(cache.contains(CacheStore::Blocks, &BlockKey { file, offset: 0 }));
        assert_eq!(cache.filter_capacity(), 0);
        // and nothing is cached without a capacity
        assert_eq!(BlockCache::options().filter_capacity(1 << 20).build().filter_capacity(), 0);
    }

    #[test]
    fn threads_that_read_and_close_files_leave_no_chunks() {
        let cache = BlockCache::options().capacity(1 << 20).filter_capacity(10 * CHUNK as u64).build();
        for _ in 0..20 {
            let file = FileId::next();
            let slots = Arc::new(Slots::new(30));
            std::thread::scope(|scope| {
                for thread in 0..3 {
                    let (cache, slots) = (&cache, &slots);
                    scope.spawn(move || {
                        for i in 0..200 {
                            let slot = (i * 7 + thread * 3) % 30;
                            if slots.get(slot).is_none() {
                                load(cache, file, slots, slot);
                            }
                        }
                    });
                }
            });
            cache.evict_file(file);
            let stats = cache.stats();
            assert_eq!((stats.blocks, stats.bytes), (0, 0));
        }
    }
}
