//! The store of the outlines of blocks.
//!
//! It is separate from the blocks, because a block takes the place of a hundred outlines: each would leave
//! before it is used. Its bytes are part of the cache's capacity nevertheless: entries without blocks take
//! their place among the blocks.

use super::blocks::{self, Blocks};
use super::{BlockKey, CachedBlock, Entry, FileId, SlotAddress};
use crate::block::data::BlockOutline;
use crate::sync::unpoisoned;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub(super) struct Outlines {
    store: Blocks,
    /// Outlines that have been used since they were inserted, and are to be inserted again.
    chances: Arc<Mutex<Vec<(BlockKey, Entry)>>>,
    capacity: u64,
    /// The size of the entries that take their place among the blocks.
    reserved: AtomicU64,
}

/// The file of the entries that take the place of the outlines among the blocks. Their offsets are numbers
/// from 0 on.
pub(super) const RESERVED: FileId = FileId(u64::MAX);

/// The most bytes of such an entry: the weight of an entry has 32 bits.
const PIECE: u64 = 1 << 30;

/// At most one in this many bytes of the cache is for outlines.
const SHARE: u64 = 2;

/// The place among the blocks is adjusted when it differs by one in this many bytes of the cache.
const STEP: u64 = 64;

impl Outlines {
    /// A store for a cache of `capacity` bytes.
    pub(super) fn new(capacity: u64) -> Option<Self> {
        let chances = Arc::default();
        let store = blocks::new(capacity / SHARE, Arc::default(), Arc::clone(&chances), |_, _| {})?;
        Some(Self { store, chances, capacity, reserved: AtomicU64::new(0) })
    }

    pub(super) fn insert(&self, key: BlockKey, outline: Arc<BlockOutline>, place: SlotAddress) {
        let entry = Entry { block: CachedBlock::Outline(outline), place: Some(place) };
        self.store.insert(key, entry);
        self.give_second_chances();
    }

    /// Inserts the outlines again that have been used. Others leave for them, and may be next.
    fn give_second_chances(&self) {
        // The head of the loop would hold the lock, which is taken for each outline that inserting evicts.
        let chances = std::mem::take(&mut *unpoisoned(self.chances.lock()));
        for (key, entry) in chances {
            self.store.insert(key, entry);
        }
    }

    /// Removes the outlines of a file's blocks, which begin at `offsets`.
    pub(super) fn evict_file(&self, file: FileId, offsets: impl Iterator<Item = u64>) {
        unpoisoned(self.chances.lock()).retain(|(key, _)| key.file != file);
        offsets.for_each(|offset| self.store.invalidate(&BlockKey { file, offset }));
    }

    /// Makes the place among the blocks as large as the outlines, if it differs much, or at all if `exactly`.
    pub(super) fn reserve(&self, blocks: &Blocks, exactly: bool) {
        if exactly {
            self.store.run_pending_tasks();
        }
        let bytes = self.store.weighted_size().min(self.capacity / SHARE);
        let difference = bytes.abs_diff(self.reserved.load(Ordering::Relaxed));
        if !exactly && difference < self.capacity / STEP {
            return;
        }
        let before = self.reserved.swap(bytes, Ordering::Relaxed);
        for piece in 0..bytes.max(before).div_ceil(PIECE) {
            let key = BlockKey { file: RESERVED, offset: piece };
            match self.reserved(piece, false) {
                Some(entry) => blocks.insert(key, entry),
                None => blocks.invalidate(&key),
            }
        }
    }

    /// Returns an entry that takes the place of outlines among the blocks, by its number; `None` if there are
    /// too few outlines, or if the place is given up until [`reserve`](Self::reserve) is called.
    pub(super) fn reserved(&self, piece: u64, gives_up: bool) -> Option<Entry> {
        if gives_up {
            self.reserved.store(0, Ordering::Relaxed);
        }
        let bytes = self.reserved.load(Ordering::Relaxed).saturating_sub(piece.saturating_mul(PIECE));
        let bytes = usize::try_from(bytes.min(PIECE)).unwrap_or(usize::MAX);
        (bytes > 0).then_some(Entry { block: CachedBlock::Reserved(bytes), place: None })
    }

    /// Returns the number of entries that the blocks have for the outlines.
    pub(super) fn reserved_entries(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed).div_ceil(PIECE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::slot::{Evict, Slots};
    use bytes::Bytes;
    use std::sync::Weak;

    #[test]
    fn outlines_take_their_place_however_many_there_are() {
        const GIB: u64 = 1 << 30;
        let outlines = Outlines::new(64 * GIB).unwrap();
        let blocks = blocks::new(64 * GIB, Arc::default(), Arc::default(), |_, _| {}).unwrap();
        let key = |offset| BlockKey { file: FileId(0), offset };
        for offset in 0..9 {
            let block = CachedBlock::Reserved(usize::try_from(GIB).unwrap());
            outlines.store.insert(key(offset), Entry { block, place: None });
        }
        outlines.reserve(&blocks, true);
        blocks.run_pending_tasks();
        assert!((9 * GIB..9 * GIB + 10_000).contains(&blocks.weighted_size()), "{}", blocks.weighted_size());
        assert_eq!(blocks.entry_count(), outlines.reserved_entries());
        outlines.evict_file(FileId(0), 1..9);
        outlines.reserve(&blocks, true);
        blocks.run_pending_tasks();
        assert!((GIB..GIB + 10_000).contains(&blocks.weighted_size()), "{}", blocks.weighted_size());
        assert_eq!(blocks.entry_count(), outlines.reserved_entries());
    }

    #[test]
    fn inserting_again_evicts_others() {
        const COUNT: usize = 4_000;
        let outlines = Outlines::new(1 << 20).unwrap();
        let slots = Arc::new(Slots::<u8>::new(COUNT));
        let file = FileId::next();
        for slot in 0..COUNT {
            slots.put(slot, Arc::new(0));
            assert!(slots.get(slot).is_some(), "marks it as used");
            let weak: Weak<Slots<u8>> = Arc::downgrade(&slots);
            let place = Some(SlotAddress { slots: weak, slot });
            let block = CachedBlock::Meta(Bytes::from(vec![0; 800]));
            outlines.store.insert(BlockKey { file, offset: slot as u64 }, Entry { block, place });
        }
        outlines.store.run_pending_tasks();
        let chances = || unpoisoned(outlines.chances.lock()).len();
        assert!(chances() > COUNT / 2);
        outlines.give_second_chances();
        outlines.store.run_pending_tasks();
        // Those inserted again, and those that left for them, have been used once.
        while chances() > 0 {
            outlines.give_second_chances();
            outlines.store.run_pending_tasks();
        }
        assert!(outlines.store.weighted_size() <= (1 << 20) / SHARE);
        assert!(
            (0..COUNT).filter(|slot| !slots.take_used(*slot) && slots.get(*slot).is_none()).count() > 3_000
        );
    }
}
