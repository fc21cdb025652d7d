//! Decoded blocks, bounded by bytes and shared by any number of files (HBase: `LruBlockCache`).
//!
//! Index blocks and the outlines of data blocks have a store of their own (`index_store`), so that other
//! blocks do not evict them. The chunks of Bloom filters also have one, in addition to the capacity, if the
//! cache is made with memory for them.
//!
//! moka stores the blocks: it counts their bytes, evicts the least recently used, and makes concurrent
//! readers of a block wait for a single load, if the block is to be inserted. If an open file has the index
//! entry of a block, the block is found through the slot there (`block::slot`), without a lookup in moka, so
//! moka does not see the use. Therefore, a block that moka evicts gets a second chance if its slot has been
//! used since the last insertion, which turns moka's queue into a CLOCK.

#[cfg_attr(all(target_family = "wasm", target_os = "unknown"), path = "no_blocks.rs")]
mod blocks;
mod filter_store;
mod frequency;
mod index_store;
mod key;
mod options;
mod second_tier;
mod stats;
mod tier;

pub(crate) use key::{BlockKey, FileId};
pub use options::BlockCacheOptions;
pub use stats::CacheStats;
pub use tier::SecondTierStats;
pub(crate) use tier::TierBlock;

use crate::block::data::{BlockOutline, DataBlock, PartSize};
use crate::block::index::IndexBlock;
use crate::block::slot::Evict;
use crate::error::{Error, Result};
#[cfg(target_os = "linux")]
use crate::io::note_filled;
use crate::sync::unpoisoned;
use blocks::Blocks;
use bytes::Bytes;
use filter_store::FilterStore;
use index_store::{IndexStore, RESERVED};
use second_tier::SecondTier;
use stats::Counters;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use tier::Tier;

/// A cache of decoded blocks, bounded by bytes, for any number of tables, regions and files (HBase:
/// `BlockCache`). Cheap to clone, and safe to share between threads; clones are the same cache.
#[derive(Clone)]
pub struct BlockCache(Arc<Shared>);

struct Shared {
    /// `None` on a system without a clock; no file can be opened with the cache there.
    blocks: Option<Blocks>,
    index: Option<IndexStore>,
    filters: Option<FilterStore>,
    capacity: u64,
    /// The blocks of each open file that have been inserted since it was opened, whether or not they are
    /// still cached.
    blocks_of_files: Mutex<HashMap<FileId, HashSet<u64>>>,
    counters: Arc<Counters>,
    second_chances: Arc<Mutex<Vec<(BlockKey, Entry)>>>,
    /// The number of blocks that long scans have read while the cache was full.
    scanned: AtomicU64,
    /// The number of Bloom filter chunks not found while the cache was full.
    refused_filters: AtomicU64,
    /// The memory of the data block that was inserted last.
    loaded: AtomicU64,
    second_tier: Option<SecondTier>,
    /// Whether data blocks and Bloom filter chunks are moved to huge pages.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no way to ask for them"))]
    huge_pages: bool,
}

/// A block of any kind.
#[derive(Clone, Debug)]
pub(crate) enum CachedBlock {
    Data(Arc<DataBlock>),
    Index(Arc<IndexBlock>),
    Bloom(Arc<Vec<u8>>),
    Meta(Bytes),
    Outline(Arc<BlockOutline>),
    /// No block: the size of the index store.
    Reserved(usize),
}

impl CachedBlock {
    /// Returns the size of an entry with this block.
    fn weight(&self) -> usize {
        match self {
            Self::Reserved(bytes) => *bytes,
            block => block.memory() + ENTRY_OVERHEAD,
        }
    }

    /// Returns the bytes that reads search, of the kinds that are moved to huge pages.
    #[cfg(target_os = "linux")]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Data(block) => block.content().0,
            Self::Bloom(chunk) => chunk,
            Self::Index(_) | Self::Meta(_) | Self::Outline(_) | Self::Reserved(_) => &[],
        }
    }

    fn memory(&self) -> usize {
        match self {
            Self::Data(block) => block.memory(),
            Self::Index(block) => block.memory(),
            Self::Bloom(chunk) => chunk.capacity(),
            Self::Meta(bytes) => bytes.len(),
            Self::Outline(outline) => outline.memory(),
            Self::Reserved(bytes) => *bytes,
        }
    }
}

/// The stores of a cache, which share its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheStore {
    /// Data blocks and meta blocks.
    Blocks,
    /// Index blocks, and outlines of data blocks.
    Index,
    /// Chunks of Bloom filters, which are among the data blocks if they have no memory of their own.
    Filters,
}

/// A kind of block that a [`CachedBlock`] can contain.
pub(crate) trait Holds<T> {
    /// The store of blocks of this kind.
    const STORE: CacheStore = CacheStore::Blocks;

    /// Wraps a block of this kind.
    fn hold(block: Arc<T>) -> Self;

    /// Returns the block, if it is of this kind.
    fn held(&self) -> Option<&Arc<T>>;
}

impl Holds<DataBlock> for CachedBlock {
    fn hold(block: Arc<DataBlock>) -> Self {
        Self::Data(block)
    }

    fn held(&self) -> Option<&Arc<DataBlock>> {
        if let Self::Data(block) = self { Some(block) } else { None }
    }
}

impl Holds<IndexBlock> for CachedBlock {
    const STORE: CacheStore = CacheStore::Index;

    fn hold(block: Arc<IndexBlock>) -> Self {
        Self::Index(block)
    }

    fn held(&self) -> Option<&Arc<IndexBlock>> {
        if let Self::Index(block) = self { Some(block) } else { None }
    }
}

impl Holds<Vec<u8>> for CachedBlock {
    const STORE: CacheStore = CacheStore::Filters;

    fn hold(chunk: Arc<Vec<u8>>) -> Self {
        Self::Bloom(chunk)
    }

    fn held(&self) -> Option<&Arc<Vec<u8>>> {
        if let Self::Bloom(chunk) = self { Some(chunk) } else { None }
    }
}

/// Which of the blocks that a reader loads are inserted into the cache. Cached blocks are used in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CacheFill {
    #[default]
    All,
    /// All but data blocks (HBase: a scan or get without `cacheBlocks`).
    NoData,
    /// None: for readers that read each block once, such as compactions.
    Nothing,
}

impl CacheFill {
    /// Returns the policy of a read with this `cache_blocks` setting.
    #[inline]
    pub(crate) fn of_read(cache_blocks: bool) -> Self {
        if cache_blocks { Self::All } else { Self::NoData }
    }
}

/// The slot through which a block is found while it is cached.
#[derive(Clone)]
pub(crate) struct SlotAddress {
    pub(crate) slots: Weak<dyn Evict>,
    pub(crate) slot: usize,
}

impl SlotAddress {
    fn is(&self, other: Option<&Self>) -> bool {
        other.is_some_and(|other| {
            self.slot == other.slot && std::ptr::addr_eq(self.slots.as_ptr(), other.slots.as_ptr())
        })
    }
}

#[derive(Clone)]
struct Entry {
    block: CachedBlock,
    address: Option<SlotAddress>,
}

impl Entry {
    /// Returns the slot through which the block is found, if its file still has it.
    fn slot(&self) -> Option<(Arc<dyn Evict>, usize)> {
        self.address.as_ref().and_then(|address| Some((address.slots.upgrade()?, address.slot)))
    }

    /// Empties the slot through which the block is found.
    fn clear_slot(&self) {
        if let Some((slots, slot)) = self.slot() {
            slots.clear(slot);
        }
    }
}

/// The number of times that blocks are reinserted after one was loaded.
const SWEEPS: usize = 8;

/// A full cache accepts one in this many blocks of a long scan.
const SCANNED: u64 = 16;

/// A full cache accepts one in this many Bloom filter chunks that are looked up and not found. Reading and
/// checking a chunk of 128 KiB takes as long as ten lookups of a row in the file.
const FILTERS: u64 = 32;

/// The same for chunks that can be looked up by parts: a chunk takes as long to read as fifty such lookups.
const FILTERS_WITH_PARTS: u64 = 512;

/// moka delays evictions. After a block that is larger than one in this many bytes of the cache was loaded,
/// they are made immediately.
const LARGE: u64 = 64;

/// The approximate overhead of moka for an entry, in bytes.
const ENTRY_OVERHEAD: usize = 200;

impl BlockCache {
    /// Creates a cache of `bytes` bytes. With 0 bytes, it stores nothing.
    ///
    /// On a system without a clock (`wasm32-unknown-unknown`), files cannot be opened with a cache.
    #[must_use]
    pub fn with_capacity(bytes: u64) -> Self {
        Self::options().capacity(bytes).build()
    }

    /// Returns the options for making a cache.
    #[must_use]
    pub fn options() -> BlockCacheOptions {
        BlockCacheOptions::new()
    }

    fn new(bytes: u64, filter_bytes: u64, tier: Option<Arc<Tier>>, min_reads: u32, huge_pages: bool) -> Self {
        let counters = Arc::<Counters>::default();
        let second_chances = Arc::<Mutex<Vec<(BlockKey, Entry)>>>::default();
        let second_tier = tier.map(|tier| SecondTier::new(tier, bytes, min_reads));
        let evicted = SecondTier::taker(second_tier.as_ref());
        let blocks = blocks::new(bytes, Arc::clone(&counters), Arc::clone(&second_chances), evicted);
        Self(Arc::new(Shared {
            blocks,
            index: IndexStore::new(bytes, &counters),
            filters: FilterStore::new(filter_bytes, &counters),
            capacity: bytes,
            blocks_of_files: Mutex::default(),
            counters,
            second_chances,
            scanned: AtomicU64::new(0),
            refused_filters: AtomicU64::new(0),
            loaded: AtomicU64::new(0),
            second_tier,
            huge_pages,
        }))
    }

    /// Returns the capacity in bytes, without the memory that only Bloom filters take
    /// ([`filter_capacity`](Self::filter_capacity)).
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.0.capacity
    }

    /// Returns the bytes that only Bloom filters take, in addition to the capacity
    /// ([`BlockCacheOptions::filter_capacity`]).
    #[must_use]
    pub fn filter_capacity(&self) -> u64 {
        self.0.filters.as_ref().map_or(0, FilterStore::capacity)
    }

    /// Returns the statistics and the current contents.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let counters = &self.0.counters;
        let (mut blocks, mut bytes) = (0, 0);
        if let Some(cache) = &self.0.blocks {
            let index = self.0.index.as_ref();
            if let Some(index) = index {
                index.give_second_chances(|file| self.is_open(file));
                index.reserve(cache, true);
            }
            cache.run_pending_tasks();
            self.give_second_chances();
            cache.run_pending_tasks();
            let reserved = index.map_or(0, |index| index.reserved_entries(cache));
            (blocks, bytes) = (cache.entry_count().saturating_sub(reserved), cache.weighted_size());
        }
        if let Some(filters) = &self.0.filters {
            filters.evict_excess(|file| self.is_open(file));
            blocks += filters.entries().entry_count();
            bytes += filters.entries().weighted_size();
        }
        CacheStats {
            hits: counters.hits.get(),
            misses: counters.misses.get(),
            insertions: counters.insertions.get(),
            partial_reads: counters.partial_reads.get(),
            failed_loads: counters.failed_loads.get(),
            evictions: counters.evictions.get(),
            blocks,
            bytes,
            second_tier: self.0.second_tier.as_ref().map(|second| second.stats()),
        }
    }

    fn blocks(&self) -> &Blocks {
        self.0.blocks.as_ref().expect("no file is opened with a cache where there is no clock")
    }

    fn index(&self) -> &IndexStore {
        self.0.index.as_ref().expect("as for the blocks")
    }

    fn store(&self, store: CacheStore) -> &Blocks {
        match store {
            CacheStore::Blocks => self.blocks(),
            CacheStore::Index => self.index().entries(),
            CacheStore::Filters => {
                self.0.filters.as_ref().map_or_else(|| self.blocks(), FilterStore::entries)
            }
        }
    }

    /// Removes all blocks of a file that is closed.
    pub(crate) fn evict_file(&self, file: FileId) {
        self.0.second_tier.as_ref().inspect(|second| second.forget_file(file));
        let Some(offsets) = unpoisoned(self.0.blocks_of_files.lock()).remove(&file) else { return };
        unpoisoned(self.0.second_chances.lock()).retain(|(key, _)| key.file != file);
        self.index().evict_file(file, offsets.iter().copied());
        self.0.filters.as_ref().inspect(|filters| filters.evict_file(file, offsets.iter().copied()));
        for offset in offsets {
            self.blocks().invalidate(&BlockKey { file, offset });
        }
        self.make_room_for_index();
    }

    /// Counts blocks that were found in their slots.
    pub(crate) fn count_hits(&self, hits: u64) {
        self.0.counters.hits.add(hits);
    }

    /// Counts a block that was read from a file, and not inserted.
    pub(crate) fn count_miss(&self, key: &BlockKey) {
        self.count_read(key);
        self.0.counters.misses.add(1);
    }

    /// Counts a block that could not be read.
    pub(crate) fn count_failed_load(&self, key: &BlockKey) {
        self.count_miss(key);
        self.0.counters.failed_loads.add(1);
    }

    /// Counts a row that was read from a file without its block.
    pub(crate) fn count_partial_read(&self, key: &BlockKey) {
        self.count_miss(key);
        self.0.counters.partial_reads.add(1);
    }

    /// Whether another block of this stored size would evict others, or nearly so. Its size in memory is
    /// estimated as at least that of the data block inserted last.
    pub(crate) fn is_full_for(&self, len: u32) -> bool {
        let len = u64::from(len).max(self.0.loaded.load(Ordering::Relaxed));
        let margin = (self.0.capacity / 16).max(len.saturating_mul(2));
        self.blocks().weighted_size().saturating_add(margin) >= self.0.capacity
    }

    /// Whether a block that a long scan has read is inserted if the cache is full: only some are. All of them
    /// would evict blocks that are read more often, and each other if the scan is longer than the cache. With
    /// some, a range that is scanned repeatedly is cached in the end.
    pub(crate) fn takes_scanned(&self) -> bool {
        self.0.scanned.fetch_add(1, Ordering::Relaxed).is_multiple_of(SCANNED)
    }

    /// Whether a chunk of a Bloom filter of this stored size, which was not found, is inserted: if the cache
    /// is full, only some are. If the chunks in use fit into the cache, all of them are cached in the end; if
    /// they do not, each would evict another.
    pub(crate) fn takes_filter(&self, len: u32, has_parts: bool) -> bool {
        let is_full = match &self.0.filters {
            Some(filters) => filters.is_full_for(len),
            None => self.is_full_for(len),
        };
        let one_of = if has_parts { FILTERS_WITH_PARTS } else { FILTERS };
        !is_full || self.0.refused_filters.fetch_add(1, Ordering::Relaxed).is_multiple_of(one_of)
    }

    /// Whether the outline of a block may be inserted without the block. A second tier gets only blocks that
    /// leave memory.
    pub(crate) fn takes_outlines_alone(&self) -> bool {
        self.0.second_tier.is_none()
    }

    /// Returns the size of the parts of the next outline; `None` if the cache is too small for outlines.
    pub(crate) fn outline_parts(&self) -> Option<PartSize> {
        self.index().parts()
    }

    /// Inserts the outline of a block.
    pub(crate) fn insert_outline(&self, key: BlockKey, outline: Arc<BlockOutline>, address: SlotAddress) {
        self.note_inserted(key);
        self.index().insert(key, outline, address);
        self.make_room_for_index();
    }

    /// Inserts again entries that the index store has evicted too early, and reserves the store's size among
    /// the blocks. Blocks that no longer fit are evicted immediately.
    fn make_room_for_index(&self) {
        self.index().give_second_chances(|file| self.is_open(file));
        if self.index().reserve(self.blocks(), false) {
            self.blocks().run_pending_tasks();
            self.give_second_chances();
        }
    }

    /// Returns the block with this key, loaded if it is not cached. Threads that need the same block wait for
    /// a single load.
    pub(crate) fn get_or_load(
        &self,
        store: CacheStore,
        key: BlockKey,
        address: Option<SlotAddress>,
        load: impl FnOnce() -> Result<CachedBlock>,
    ) -> Result<CachedBlock> {
        let counters = &self.0.counters;
        let mut loaded = false;
        let mut is_large = false;
        let found = self.store(store).try_get_with(key, || {
            loaded = true;
            let block = load()?;
            is_large = (block.memory() as u64).saturating_mul(LARGE) > self.0.capacity;
            if let CachedBlock::Data(block) = &block {
                self.0.loaded.store(block.memory() as u64, Ordering::Relaxed);
            }
            #[cfg(target_os = "linux")]
            if self.0.huge_pages {
                note_filled(block.bytes());
            }
            Ok(Entry { block, address: address.clone() })
        });
        if loaded {
            self.count_miss(&key);
            if is_large {
                self.store(store).run_pending_tasks();
            }
            match (store, &self.0.filters) {
                (CacheStore::Index, _) => self.make_room_for_index(),
                (CacheStore::Filters, Some(filters)) => filters.evict_excess(|file| self.is_open(file)),
                _ => {}
            }
            self.give_second_chances();
        } else {
            counters.hits.add(1);
        }
        match found {
            Ok(entry) => {
                if loaded {
                    counters.insertions.add(1);
                    self.note_inserted(key);
                }
                // an index block that was evicted and reloaded has new slots, which later evictions must
                // empty
                if !loaded && address.as_ref().is_some_and(|address| !address.is(entry.address.as_ref())) {
                    // The old ones may still be in use, and would keep the block.
                    entry.clear_slot();
                    self.store(store).insert(key, Entry { block: entry.block.clone(), address });
                }
                Ok(entry.block)
            }
            Err(error) => {
                counters.failed_loads.add(u64::from(loaded));
                Err(Error::clone(&error))
            }
        }
    }

    /// Returns the block with this key, if it is cached.
    pub(crate) fn get(&self, store: CacheStore, key: &BlockKey) -> Option<CachedBlock> {
        let found = self.store(store).get(key);
        let counters = &self.0.counters;
        if found.is_some() { &counters.hits } else { &counters.misses }.add(1);
        if found.is_none() {
            self.count_read(key);
        }
        found.map(|entry| entry.block)
    }

    /// Whether a block is cached. Does not count as a use.
    pub(crate) fn contains(&self, store: CacheStore, key: &BlockKey) -> bool {
        self.store(store).contains_key(key)
    }

    /// Whether a data block is cached, in memory or in the second tier. Does not count as a use.
    pub(crate) fn has(&self, key: &BlockKey) -> bool {
        self.contains(CacheStore::Blocks, key)
            || self.0.second_tier.as_ref().is_some_and(|second| second.has(key))
    }

    /// Records that a block or its outline has been inserted.
    fn note_inserted(&self, key: BlockKey) {
        unpoisoned(self.0.blocks_of_files.lock()).entry(key.file).or_default().insert(key.offset);
    }

    /// Whether anything of a file has been inserted since it was opened, and the file has not been closed.
    fn is_open(&self, file: FileId) -> bool {
        unpoisoned(self.0.blocks_of_files.lock()).contains_key(&file)
    }

    /// Reinserts blocks that were evicted too early. Not possible in the eviction listener, which must not
    /// call the cache.
    ///
    /// Each evicts another, which may also have been used. The last ones are evicted in any case, because
    /// they would exceed the capacity.
    fn give_second_chances(&self) {
        for sweep in 1.. {
            let chances = std::mem::take(&mut *unpoisoned(self.0.second_chances.lock()));
            if chances.is_empty() {
                return;
            }
            for (key, entry) in chances {
                if key.file == RESERVED {
                    // it is removed only if no other entry can be
                    self.index().reserve_again(self.blocks(), key.offset, sweep > 4 * SWEEPS);
                } else if sweep > SWEEPS {
                    self.0.counters.evictions.add(1);
                    self.0.second_tier.as_ref().inspect(|second| second.offer(&key, &entry));
                    entry.clear_slot();
                } else {
                    // it has been used since it was inserted
                    self.count_read(&key);
                    insert_again(self.blocks(), key, entry, |file| self.is_open(file));
                }
            }
            self.blocks().run_pending_tasks();
        }
    }
}

/// Inserts a block again that was evicted too early, unless its file has been closed: nothing else would
/// evict it.
fn insert_again(blocks: &Blocks, key: BlockKey, entry: Entry, is_open: impl Fn(FileId) -> bool) {
    blocks.insert(key, entry);
    if !is_open(key.file) {
        blocks.invalidate(&key);
    }
}

impl fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockCache")
            .field("capacity", &self.0.capacity)
            .field("bytes", &self.0.blocks.as_ref().map_or(0, Blocks::weighted_size))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
