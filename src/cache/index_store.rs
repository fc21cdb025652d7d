//! The store of the index blocks, and of the outlines of data blocks.
//!
//! It is separate from the other blocks, because a data block is as large as a hundred outlines, and an index
//! block leads to a thousand of them: each would be evicted before it is used. Its bytes are part of the
//! cache's capacity nevertheless: entries without blocks reserve them among the blocks.

use super::blocks::{self, Blocks};
use super::stats::Counters;
use super::{BlockKey, CachedBlock, Entry, FileId, SWEEPS, SlotAddress, insert_again};
use crate::block::data::{BlockOutline, PartSize};
use crate::sync::unpoisoned;
use std::sync::{Arc, Mutex};

pub(super) struct IndexStore {
    entries: Blocks,
    /// Evicted entries that were used since they were inserted, to insert again.
    chances: Arc<Mutex<Vec<(BlockKey, Entry)>>>,
    counters: Arc<Counters>,
    capacity: u64,
    /// The entries that reserve bytes among the blocks. Locked while these are inserted: moka counts an entry
    /// twice if it processes the insertions of two threads out of order.
    reserved: Mutex<Reserved>,
}

#[derive(Default)]
struct Reserved {
    bytes: u64,
    /// The maximum number of such entries so far.
    pieces: u64,
}

/// The file id of the entries that reserve bytes among the blocks. Their offsets are numbers from 0 on.
pub(super) const RESERVED: FileId = FileId(u64::MAX);

/// The maximum number of bytes of such an entry: the weight of an entry has 32 bits.
const PIECE: u64 = 1 << 30;

/// The maximum share of the cache that the store takes, in eighths.
const MAX_EIGHTHS: u64 = 7;

/// New outlines are coarse while the store takes more than this share of the cache, in eighths.
const FINE: u64 = 2;

/// The reserved bytes among the blocks are adjusted when they differ by one in this many bytes of the cache.
const STEP: u64 = 64;

impl IndexStore {
    /// Creates a store for a cache of `capacity` bytes.
    pub(super) fn new(capacity: u64, counters: &Arc<Counters>) -> Option<Self> {
        let chances = Arc::default();
        let counters = Arc::clone(counters);
        let counted = Arc::clone(&counters);
        // outlines are not counted
        let count = move |_: &BlockKey, entry: &Entry| {
            counted.evictions.add(u64::from(matches!(entry.block, CachedBlock::Index(_))));
        };
        let entries = blocks::new(capacity / 8 * MAX_EIGHTHS, Arc::default(), Arc::clone(&chances), count)?;
        Some(Self { entries, chances, counters, capacity, reserved: Mutex::default() })
    }

    pub(super) fn entries(&self) -> &Blocks {
        &self.entries
    }

    /// Returns the size of the parts of the next outline; `None` if the store cannot have any.
    pub(super) fn parts(&self) -> Option<PartSize> {
        let is_full = self.entries.weighted_size() > self.capacity / 8 * FINE;
        let size = if is_full { PartSize::Coarse } else { PartSize::Fine };
        (self.capacity / 8 > 0).then_some(size)
    }

    pub(super) fn insert(&self, key: BlockKey, outline: Arc<BlockOutline>, address: SlotAddress) {
        self.replace(key, Entry { block: CachedBlock::Outline(outline), address: Some(address) });
    }

    fn replace(&self, key: BlockKey, entry: Entry) {
        let is_elsewhere = |before: &Entry| {
            !entry.address.as_ref().is_some_and(|address| address.is(before.address.as_ref()))
        };
        // The index block may have been evicted and read again: nothing else would empty the other slot. And
        // if moka replaced the entry and has not processed this before it is removed, the size of the other
        // entry would stay counted.
        if self.entries.get(&key).is_some_and(|before| is_elsewhere(&before)) {
            self.entries.invalidate(&key);
        }
        self.entries.insert(key, entry);
    }

    /// Inserts used entries again, unless their files have been closed. This evicts others. Used outlines
    /// among these may wait for a later call; used index blocks, which are large, are inserted by this one,
    /// in a limited number of rounds.
    pub(super) fn give_second_chances(&self, is_open: impl Fn(FileId) -> bool) {
        for sweep in 0..=SWEEPS {
            // The head of the loop would hold the lock, which is taken for each entry that inserting evicts.
            let chances = std::mem::take(&mut *unpoisoned(self.chances.lock()));
            let is_index = |entry: &Entry| matches!(entry.block, CachedBlock::Index(_));
            let has_index = chances.iter().any(|(_, entry)| is_index(entry));
            for (key, entry) in chances {
                if sweep == SWEEPS && is_index(&entry) {
                    self.counters.evictions.add(1);
                    entry.clear_slot();
                    continue;
                }
                insert_again(&self.entries, key, entry, &is_open);
            }
            if !has_index {
                return;
            }
            self.entries.run_pending_tasks();
        }
    }

    /// Removes the index blocks of a file, and the outlines of its data blocks; these begin at `offsets`.
    pub(super) fn evict_file(&self, file: FileId, offsets: impl Iterator<Item = u64>) {
        unpoisoned(self.chances.lock()).retain(|(key, _)| key.file != file);
        offsets.for_each(|offset| self.entries.invalidate(&BlockKey { file, offset }));
        self.entries.run_pending_tasks();
    }

    /// Reserves as many bytes among the blocks as the store has, if they differ much, or at all if `exactly`.
    /// Returns whether it did.
    pub(super) fn reserve(&self, blocks: &Blocks, exactly: bool) -> bool {
        if exactly {
            self.entries.run_pending_tasks();
        }
        let bytes = self.entries.weighted_size().min(self.capacity / 8 * MAX_EIGHTHS);
        let mut reserved = unpoisoned(self.reserved.lock());
        let difference = bytes.abs_diff(reserved.bytes);
        if difference == 0 || !exactly && difference < self.capacity / STEP {
            return false;
        }
        reserved.bytes = bytes;
        reserved.pieces = reserved.pieces.max(bytes.div_ceil(PIECE));
        for piece in 0..reserved.pieces {
            insert_piece(blocks, bytes, piece);
        }
        true
    }

    /// Inserts again an evicted entry that reserves bytes among the blocks. If it `gives_up`, the store has
    /// no bytes reserved until [`reserve`](Self::reserve) is called.
    pub(super) fn reserve_again(&self, blocks: &Blocks, piece: u64, gives_up: bool) {
        let mut reserved = unpoisoned(self.reserved.lock());
        if gives_up {
            reserved.bytes = 0;
        }
        insert_piece(blocks, reserved.bytes, piece);
    }

    /// Returns the number of entries that the blocks have for this store.
    pub(super) fn reserved_entries(&self, blocks: &Blocks) -> u64 {
        let pieces = 0..unpoisoned(self.reserved.lock()).pieces;
        pieces.map(|piece| u64::from(blocks.contains_key(&reserved_key(piece)))).sum()
    }
}

fn reserved_key(piece: u64) -> BlockKey {
    BlockKey { file: RESERVED, offset: piece }
}

/// Inserts the numbered entry that, with others, reserves `reserved` bytes.
///
/// It is inserted even for 0 bytes, and not removed: moka subtracts the last size of an entry that is
/// removed, even if it has not processed the insertion that gave it this size.
fn insert_piece(blocks: &Blocks, reserved: u64, piece: u64) {
    let bytes = reserved.saturating_sub(piece.saturating_mul(PIECE)).min(PIECE);
    let block = CachedBlock::Reserved(usize::try_from(bytes).unwrap_or(usize::MAX));
    blocks.insert(reserved_key(piece), Entry { block, address: None });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::slot::{Evict, Slots};
    use bytes::Bytes;
    use std::sync::Weak;

    #[test]
    fn the_store_takes_its_place_however_large_it_is() {
        const GIB: u64 = 1 << 30;
        let store = IndexStore::new(64 * GIB, &Arc::default()).unwrap();
        let blocks = blocks::new(64 * GIB, Arc::default(), Arc::default(), |_, _| {}).unwrap();
        let key = |offset| BlockKey { file: FileId(0), offset };
        for offset in 0..9 {
            let block = CachedBlock::Reserved(usize::try_from(GIB).unwrap());
            store.entries.insert(key(offset), Entry { block, address: None });
        }
        assert!(store.reserve(&blocks, true));
        blocks.run_pending_tasks();
        assert!((9 * GIB..9 * GIB + 10_000).contains(&blocks.weighted_size()), "{}", blocks.weighted_size());
        assert_eq!(blocks.entry_count(), store.reserved_entries(&blocks));
        store.evict_file(FileId(0), 1..9);
        assert!(store.reserve(&blocks, true));
        blocks.run_pending_tasks();
        assert!((GIB..GIB + 10_000).contains(&blocks.weighted_size()), "{}", blocks.weighted_size());
        assert_eq!(blocks.entry_count(), store.reserved_entries(&blocks));
    }

    #[test]
    fn changes_in_quick_succession_leave_no_bytes() {
        let store = IndexStore::new(1 << 20, &Arc::default()).unwrap();
        let blocks = blocks::new(1 << 20, Arc::default(), Arc::default(), |_, _| {}).unwrap();
        let key = |offset| BlockKey { file: FileId(0), offset };
        for _ in 0..100 {
            for offset in 0..8 {
                let block = CachedBlock::Reserved(100_000);
                store.entries.insert(key(offset), Entry { block, address: None });
            }
            assert!(store.reserve(&blocks, true));
            blocks.run_pending_tasks();
            assert_eq!(blocks.weighted_size(), 800_000);
            // smaller and smaller, before moka has processed one of the sizes
            for offset in 0..8 {
                store.evict_file(FileId(0), offset..offset + 1);
                assert!(store.reserve(&blocks, true));
            }
            blocks.run_pending_tasks();
            assert_eq!(blocks.weighted_size(), 0);
        }
    }

    #[test]
    fn outlines_of_other_sizes_leave_no_bytes() {
        let store = IndexStore::new(1 << 20, &Arc::default()).unwrap();
        let key = BlockKey { file: FileId(0), offset: 0 };
        for _ in 0..100 {
            for bytes in [100_000, 50_000] {
                store.replace(key, Entry { block: CachedBlock::Reserved(bytes), address: None });
                if bytes == 100_000 {
                    store.entries.run_pending_tasks();
                }
            }
            store.evict_file(FileId(0), 0..1);
            assert_eq!(store.entries.weighted_size(), 0);
        }
    }

    #[test]
    fn inserting_again_evicts_others() {
        const COUNT: usize = 4_000;
        let store = IndexStore::new(1 << 20, &Arc::default()).unwrap();
        let slots = Arc::new(Slots::<u8>::new(COUNT));
        let file = FileId::next();
        for slot in 0..COUNT {
            slots.put(slot, Arc::new(0));
            assert!(slots.get(slot).is_some(), "marks it as used");
            let weak: Weak<Slots<u8>> = Arc::downgrade(&slots);
            let address = Some(SlotAddress { slots: weak, slot });
            let block = CachedBlock::Meta(Bytes::from(vec![0; 800]));
            store.entries.insert(BlockKey { file, offset: slot as u64 }, Entry { block, address });
        }
        store.entries.run_pending_tasks();
        let chances = || unpoisoned(store.chances.lock()).len();
        assert!(chances() > COUNT / 2);
        store.give_second_chances(|_| true);
        store.entries.run_pending_tasks();
        // The entries inserted again, and those evicted for them, have been used once.
        while chances() > 0 {
            store.give_second_chances(|_| true);
            store.entries.run_pending_tasks();
        }
        assert!(store.entries.weighted_size() <= (1 << 20) / 8 * MAX_EIGHTHS);
        assert!(
            (0..COUNT).filter(|slot| !slots.take_used(*slot) && slots.get(*slot).is_none()).count() > 3_000
        );
    }

    #[test]
    fn outlines_are_fine_until_they_do_not_fit() {
        let store = IndexStore::new(1 << 20, &Arc::default()).unwrap();
        assert_eq!(store.parts(), Some(PartSize::Fine));
        for offset in 0..3 {
            let block = CachedBlock::Meta(Bytes::from(vec![0; 100_000]));
            store.entries.insert(BlockKey { file: FileId(0), offset }, Entry { block, address: None });
        }
        store.entries.run_pending_tasks();
        assert_eq!(store.parts(), Some(PartSize::Coarse));
        assert_eq!(IndexStore::new(7, &Arc::default()).unwrap().parts(), None);
    }
}
