//! The state of an open file that scanners and filters share, and its access to blocks through the cache, if
//! any (HBase: `HFileReaderImpl`).

use super::bloom::BloomFilter;
use super::index::IndexPath;
use super::open::{index_context, unknown_comparator};
use super::source::{BlockSource, Buffers};
use super::{FileInfo, Trailer};
use crate::block::data::{BlockOutline, DataBlock, PartSize, Trust};
use crate::block::index::{Children, IndexBlock, IndexContext, MidKey, SlotUse};
use crate::block::slot::{Evict, Slots};
use crate::block::{BlockHandle, BlockHeader, BlockType, DataBlockEncoding};
use crate::cache::{
    BlockCache, BlockKey, CacheFill, CacheStore, CachedBlock, FileId, Holds, SlotAddress, TierBlock,
};
use crate::cell::{CellKey, CellOrder, SeekKey};
use crate::error::{Corruption, Error, Result};
use crate::metrics::BlockCounts;
use crate::sync::unpoisoned;
use bytes::Bytes;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

/// The purpose for which a scanner enters a data block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entering {
    /// To search it.
    Search,
    /// To search it, by a scanner that reads parts of blocks if it can.
    SearchPart,
    /// To pass over its cells.
    Pass,
    /// To pass over its cells, after several blocks passed in the same way.
    LongRun,
}

impl Entering {
    pub(super) fn is_search(self) -> bool {
        matches!(self, Self::Search | Self::SearchPart)
    }
}

/// An index block takes up to this many times its stored size in memory.
const INDEX_MEMORY: usize = 3;

pub(super) struct ReaderCore {
    pub(super) source: BlockSource,
    pub(super) trailer: Trailer,
    pub(super) info: FileInfo,
    pub(super) last_key: Option<SeekKey>,
    /// The order of the cells; `None` if the file's comparator is unknown.
    pub(super) order: Option<CellOrder>,
    pub(super) root: Arc<IndexBlock>,
    pub(super) levels: u32,
    pub(super) mid_key: Option<MidKey>,
    pub(super) meta_blocks: Vec<(Vec<u8>, BlockHandle)>,
    pub(super) general_bloom: Option<BloomFilter>,
    pub(super) delete_family_bloom: Option<BloomFilter>,
    pub(super) cache: Option<(BlockCache, FileId)>,
    /// Without a cache: the size in bytes of the outlines and index blocks that are kept.
    pub(super) kept: AtomicUsize,
    pub(super) warnings: Mutex<Vec<Error>>,
    pub(super) block_counts: Option<Arc<BlockCounts>>,
    /// Whether ZSTD blocks have Hadoop's framing, once it is known.
    pub(super) zstd_framed: OnceLock<bool>,
}

impl ReaderCore {
    pub(super) fn path(&self) -> &Path {
        self.source.reader.path()
    }

    /// Returns the cache, if there is one, and the key of a block in it.
    pub(super) fn cache_for(&self, handle: BlockHandle) -> Option<(&BlockCache, BlockKey)> {
        let (cache, file) = self.cache.as_ref()?;
        Some((cache, BlockKey { file: *file, offset: handle.offset }))
    }

    /// Returns the order of the cells, or an error that names the unknown comparator.
    #[inline]
    pub(super) fn known_order(&self) -> Result<CellOrder> {
        match self.order {
            Some(order) => Ok(order),
            None => Err(unknown_comparator(&self.trailer).at(self.path(), self.trailer.offset())),
        }
    }

    /// Whether data blocks have an index of their rows.
    #[inline]
    pub(super) fn is_row_indexed(&self) -> bool {
        self.source.format().encoding == DataBlockEncoding::RowIndexV1
    }

    /// Returns the data block of a path.
    #[inline]
    pub(super) fn data_block(
        &self,
        path: &IndexPath,
        buffers: &mut Buffers,
        entering: Entering,
        hits: &mut u64,
    ) -> Result<Arc<DataBlock>> {
        if let Some((leaf, i)) = path.leaf()
            && let Children::Data(slots) = leaf.children()
            && let Some(block) = slots.get(i)
        {
            *hits += 1;
            return Ok(block);
        }
        self.load_data_block(path, buffers, entering)
    }

    #[cold]
    fn load_data_block(
        &self,
        path: &IndexPath,
        buffers: &mut Buffers,
        entering: Entering,
    ) -> Result<Arc<DataBlock>> {
        let Some(((leaf, i), handle)) = path.leaf().zip(path.handle()) else {
            return Err(Error::invalid_argument("the scanner is not positioned"));
        };
        let Children::Data(slots) = leaf.children() else {
            return Err(Error::invalid_argument("the scanner is above the data blocks"));
        };
        let full = self.cache_for(handle).filter(|(cache, _)| cache.is_full_for(handle.on_disk_size));
        let is_passed =
            entering == Entering::LongRun && full.is_some_and(|(cache, _)| !cache.takes_scanned());
        let fills = path.fill() == CacheFill::All && !is_passed;
        // a block that is passed and not searched needs no index
        let is_searched = entering.is_search() || fills && self.cache.is_some();
        let index = if is_searched { self.order } else { None };
        let outlined = full.filter(|_| fills);
        let is_kept = entering == Entering::SearchPart && self.keeps_outlines(leaf);
        let parts = match outlined {
            Some((cache, _)) => cache.outline_parts(),
            None => is_kept.then_some(PartSize::Fine),
        };
        let parts = parts.filter(|_| leaf.outlines().with(i, |_| ()).is_none());
        let mut outline = None;
        let mut load = || {
            let (block, found) = self.read_data_block(path, handle, buffers, index, parts)?;
            outline = found;
            Ok(Arc::new(block))
        };
        let is_alone = |cache: &BlockCache, key: &BlockKey| {
            parts.is_some()
                && entering != Entering::LongRun
                && self.source.context().is_plain()
                && cache.takes_outlines_alone()
                && !cache.contains(CacheStore::Blocks, key)
                // the block's outline may be cached while its index block is not, and is then of no use
                && !cache.contains(CacheStore::Index, key)
        };
        let block = match outlined {
            // until the block is used often, its outline is enough
            Some((cache, key)) if is_alone(cache, &key) => {
                let block = load().inspect_err(|_| cache.count_failed_load(&key))?;
                if outline.is_none() {
                    self.cached(handle, slots, i, true, || Ok(block))?
                } else {
                    cache.count_miss(&key);
                    block
                }
            }
            _ => self.cached(handle, slots, i, fills, load)?,
        };
        if let Some(outline) = outline.take_if(|_| is_kept) {
            let memory = outline.memory();
            if self.reserve(memory) && !leaf.outlines().fill(i, &Arc::new(outline)) {
                self.release(memory);
            }
        }
        // the block is not in the cache, or will not stay there for long
        if let Some((cache, key)) = outlined {
            let slots = leaf.outlines();
            if slots.with(i, BlockOutline::forget_lookups).is_none()
                && let Some(outline) = outline.map(Arc::new)
            {
                let weak: Weak<Slots<BlockOutline>> = Arc::downgrade(slots);
                // Of several threads that read the block at the same time, only one inserts the outline: the
                // cache could count it twice otherwise.
                if slots.fill(i, &outline) {
                    cache.insert_outline(key, outline, SlotAddress { slots: weak, slot: i });
                }
            }
        }
        Ok(block)
    }

    /// Reads a data block from the second tier of the cache or from the file. Also returns its outline with
    /// parts of the given size, if it can have one.
    fn read_data_block(
        &self,
        path: &IndexPath,
        handle: BlockHandle,
        buffers: &mut Buffers,
        index: Option<CellOrder>,
        parts: Option<PartSize>,
    ) -> Result<(DataBlock, Option<BlockOutline>)> {
        if let Some(block) = self.second_tier_block(path, handle, index) {
            self.count_found(true);
            let outline = parts.and_then(|size| BlockOutline::of(&block, size));
            return Ok((block, outline));
        }
        self.count_found(false);
        let found = self.source.read_data(handle, buffers, index, parts)?;
        self.check_bounds(&found.0, path.key(), path.next_key(), handle)?;
        Ok(found)
    }

    /// Whether long scans read the data blocks ahead: blocks that take long to decode, and blocks of local
    /// files, unless a cache may need outlines of encoded blocks.
    #[inline]
    pub(super) fn reads_ahead(&self) -> bool {
        let BlockSource { decoder, reader } = &self.source;
        let is_plain = decoder.context.is_plain();
        let has_no_outline = || decoder.keeps_buffer() || self.cache.is_none();
        decoder.context.limits.read_ahead_bytes > 0
            && (!is_plain || reader.may_read_ahead() && has_no_outline())
    }

    /// Whether a data block below an index block must be read from the file.
    pub(super) fn is_to_be_read(&self, leaf: &IndexBlock, i: usize, handle: BlockHandle) -> bool {
        let is_in_slot = || matches!(leaf.children(), Children::Data(slots) if slots.has(i));
        let Some((cache, key)) = self.cache_for(handle) else { return true };
        !is_in_slot() && !cache.has(&key)
    }

    /// Returns the order of the index that a block gets when a scan passes over it, if it gets one.
    pub(super) fn index_for_passing(&self, handle: BlockHandle, fill: CacheFill) -> Option<CellOrder> {
        let (cache, _) = self.cache.as_ref().filter(|_| fill == CacheFill::All)?;
        self.order.filter(|_| !cache.is_full_for(handle.on_disk_size))
    }

    /// Counts a block that was not in memory, or a part of it: whether it was in the second tier of the
    /// cache, or was read from the file.
    pub(super) fn count_found(&self, in_tier: bool) {
        match &self.block_counts {
            Some(counts) if in_tier => counts.count_hits(1),
            Some(counts) => counts.count_read(),
            None => {}
        }
    }

    /// Returns a data block of the cache's second tier, checked as if it came from the file.
    fn second_tier_block(
        &self,
        path: &IndexPath,
        handle: BlockHandle,
        index: Option<CellOrder>,
    ) -> Option<DataBlock> {
        let (cache, key) = self.cache_for(handle)?;
        let TierBlock { bytes, cells, prev_block_offset, as_stored } = cache.second_tier_block(&key)?;
        let block = DataBlock::new(bytes, cells, self.source.format().cells, Trust::Unchecked, index);
        let block = block.ok().map(|block| block.with_prev_block_offset(prev_block_offset));
        let block = block.map(|block| if as_stored { block.with_stored_cells() } else { block });
        let sound =
            block.filter(|block| self.check_bounds(block, path.key(), path.next_key(), handle).is_ok());
        if sound.is_none() {
            cache.reject(&key);
        }
        sound
    }

    /// Checks that every cell of a block lies between the index keys around it (hfile.md §17.1).
    fn check_bounds(
        &self,
        block: &DataBlock,
        key: Option<&CellKey>,
        next: Option<&CellKey>,
        handle: BlockHandle,
    ) -> Result<()> {
        let Some(order) = self.order else { return Ok(()) };
        let error =
            |message| self.source.error(Corruption::Malformed(message), handle.offset, BlockType::Data);
        if key.is_some_and(|key| order.compare(block.key(&block.first()), key).is_lt()) {
            return Err(error("first cell of the block is before its index key"));
        }
        if next.is_some_and(|next| order.compare(block.key(&block.last()), next).is_ge()) {
            return Err(error("last cell of the block is not before the next index key"));
        }
        Ok(())
    }

    /// Returns the index block below an entry; `level` is its distance from the root.
    pub(super) fn index_child(
        &self,
        parent: &Arc<IndexBlock>,
        i: usize,
        level: usize,
        fill: CacheFill,
    ) -> Result<Arc<IndexBlock>> {
        let (Children::Index(slots), Some(handle)) = (parent.children(), parent.handle(i)) else {
            return Err(Error::invalid_argument("an index entry has no index block below"));
        };
        if let Some(block) = slots.get(i) {
            return Ok(block);
        }
        let fills = fill != CacheFill::Nothing;
        let mut kept = 0;
        let block = self.cached(handle, slots, i, fills, || {
            let block = self.read_index(handle, level, fills, &mut kept)?;
            self.check_child(&block, parent.key(i), parent.key(i + 1), handle)?;
            Ok(Arc::new(block))
        });
        if kept == 0 || block.as_ref().is_ok_and(|block| slots.fill(i, block)) {
            return block;
        }
        self.release(kept);
        // outlines are kept only with the block in the slot, which a faster thread may have filled
        block.map(|block| slots.get(i).unwrap_or(block))
    }

    /// Whether outlines of the data blocks below an index block are kept without a cache.
    fn keeps_outlines(&self, leaf: &IndexBlock) -> bool {
        let is_full = || self.kept.load(Ordering::Relaxed) >= self.source.context().limits.outline_bytes;
        self.cache.is_none() && leaf.has_slots() && !is_full()
    }

    /// Reserves memory, in bytes, that is kept while the file is open. Returns false if the limit is reached.
    fn reserve(&self, bytes: usize) -> bool {
        let limit = self.source.context().limits.outline_bytes;
        let add = |kept: usize| kept.checked_add(bytes).filter(|kept| *kept <= limit);
        self.kept.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// Releases memory that was reserved but is not kept.
    fn release(&self, bytes: usize) {
        self.kept.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Checks that an index block's first key is its entry's key, and its last key is before the next entry's
    /// (hfile.md §10.4).
    fn check_child(
        &self,
        child: &IndexBlock,
        key: Option<&CellKey>,
        next: Option<&CellKey>,
        handle: BlockHandle,
    ) -> Result<()> {
        let Some(order) = self.order else { return Ok(()) };
        let error =
            |message| self.source.error(Corruption::Malformed(message), handle.offset, BlockType::LeafIndex);
        if !child.key(0).zip(key).is_some_and(|(first, key)| order.compare(first, key).is_eq()) {
            return Err(error("first key of the index block is not its entry's key"));
        }
        let last = child.key(child.len() - 1);
        if last.zip(next).is_some_and(|(last, next)| order.compare(last, next).is_ge()) {
            return Err(error("last key of the index block is not before the next entry's key"));
        }
        Ok(())
    }

    /// Reads an index block; `fills` is whether it may be kept. Without a cache, sets `kept` to the number of
    /// bytes counted for it.
    fn read_index(
        &self,
        handle: BlockHandle,
        level: usize,
        fills: bool,
        kept: &mut usize,
    ) -> Result<IndexBlock> {
        // the root is level 0; the last of the index levels is the leaves
        let is_leaf = level + 1 == self.levels as usize;
        let expected = if is_leaf { BlockType::LeafIndex } else { BlockType::IntermediateIndex };
        let (_, payload) = self.source.read(handle, expected)?;
        let slots = match &self.cache {
            Some(_) => SlotUse::Blocks,
            None => {
                let memory = payload.len().saturating_mul(INDEX_MEMORY);
                if fills && self.reserve(memory) {
                    *kept = memory;
                    SlotUse::Outlines
                } else {
                    SlotUse::Unused
                }
            }
        };
        IndexBlock::parse(&payload, !is_leaf, &self.index_context(slots))
            .map_err(|corruption| self.source.error(corruption, handle.offset, expected))
    }

    fn index_context(&self, slots: SlotUse) -> IndexContext {
        index_context(&self.trailer, self.order, self.source.context(), slots)
    }

    /// Returns a block through the cache, if any. With `fills`, the block is added to the cache and can be
    /// found through its slot for as long as the cache keeps it.
    fn cached<T: Send + Sync + 'static>(
        &self,
        handle: BlockHandle,
        slots: &Arc<Slots<T>>,
        slot: usize,
        fills: bool,
        load: impl FnOnce() -> Result<Arc<T>>,
    ) -> Result<Arc<T>>
    where
        CachedBlock: Holds<T>,
    {
        let Some((cache, key)) = self.cache_for(handle) else { return load() };
        let store = <CachedBlock as Holds<T>>::STORE;
        let wrong_type = || {
            let message = "two references in the file disagree about this block's type";
            Corruption::Malformed(message).at(self.path(), handle.offset)
        };
        if !fills {
            return match cache.get(store, &key) {
                Some(block) => block.held().cloned().ok_or_else(wrong_type),
                None => load(),
            };
        }
        let load = || load().map(CachedBlock::hold);
        let weak: Weak<Slots<T>> = Arc::downgrade(slots);
        let block = cache.get_or_load(store, key, Some(SlotAddress { slots: weak, slot }), load)?;
        let Some(held) = block.held() else { return Err(wrong_type()) };
        slots.put(slot, Arc::clone(held));
        // if the block was evicted in the meantime, nothing else would empty the slot
        if !cache.contains(store, &key) {
            slots.clear(slot);
        }
        Ok(Arc::clone(held))
    }

    /// Returns a chunk of a Bloom filter; `None` if it is not cached, and the cache is full and does not
    /// admit it. A full cache admits only some chunks, and fewer of those that can be read in parts
    /// (`has_parts`).
    pub(super) fn load_bloom_chunk(
        &self,
        handle: BlockHandle,
        slots: &Arc<Slots<Vec<u8>>>,
        i: usize,
        has_parts: bool,
    ) -> Result<Option<Arc<Vec<u8>>>> {
        if let Some((cache, key)) = self.cache_for(handle)
            && !cache.takes_filter(handle.on_disk_size, has_parts)
        {
            cache.count_miss(&key);
            return Ok(None);
        }
        let load = || Ok(Arc::new(self.source.read_bloom_chunk(handle)?));
        self.cached(handle, slots, i, true, load).map(Some)
    }

    /// Whether parts of Bloom filter chunks are read alone: if the chunks are stored plain and short reads
    /// are fast.
    pub(super) fn reads_bloom_parts(&self) -> bool {
        self.cache.is_some() && self.source.context().is_plain() && !self.source.reader.is_remote()
    }

    /// Returns the offset of a block's payload in the file.
    pub(super) fn payload_offset(&self, handle: BlockHandle) -> u64 {
        handle.offset.saturating_add(self.source.context().header_len() as u64)
    }

    pub(super) fn meta_block(&self, handle: BlockHandle) -> Result<Bytes> {
        let load = || {
            let (_, payload) = self.source.read(handle, BlockType::Meta)?;
            Ok(CachedBlock::Meta(Bytes::from(payload)))
        };
        let block = match self.cache_for(handle) {
            Some((cache, key)) => cache.get_or_load(CacheStore::Blocks, key, None, load),
            None => load(),
        };
        match block? {
            CachedBlock::Meta(bytes) => Ok(bytes),
            _ => Err(Corruption::Malformed("a meta block has another type in the data index")
                .at(self.path(), handle.offset)),
        }
    }

    pub(super) fn mid_key(&self) -> Result<Option<SeekKey>> {
        let from_root = || self.root.key(self.root.len() / 2).map(SeekKey::from);
        let Some(mid) = self.mid_key else { return Ok(from_root()) };
        let (_, payload) = self.source.read(mid.leaf, BlockType::LeafIndex)?;
        let error = |corruption| self.source.error(corruption, mid.leaf.offset, BlockType::LeafIndex);
        let leaf = IndexBlock::parse(&payload, false, &self.index_context(SlotUse::Unused)).map_err(error)?;
        match leaf.key(mid.entry) {
            Some(key) => Ok(Some(SeekKey::from(key))),
            None => {
                let max = i64::try_from(leaf.len()).unwrap_or(i64::MAX) - 1;
                let value = i64::try_from(mid.entry).unwrap_or(i64::MAX);
                Err(error(Corruption::out_of_range("entry of the mid key", value, 0, max)))
            }
        }
    }

    pub(super) fn block_header(&self, offset: u64) -> Result<BlockHeader> {
        let mut bytes = vec![0; self.source.context().header_len()];
        let left = usize::try_from(self.trailer.offset() - offset).unwrap_or(usize::MAX);
        bytes.truncate(left);
        self.source
            .reader
            .read_exact_at(&mut bytes, offset)
            .map_err(|error| Error::io("read", self.path(), error))?;
        BlockHeader::parse(&bytes, self.source.context().has_checksums)
            .map_err(|corruption| corruption.at(self.path(), offset))
    }

    #[cold]
    pub(super) fn wrong_link(&self, expected: u64, found: i64, offset: u64) -> Error {
        let expected = expected.cast_signed();
        let corruption = Corruption::Mismatch { what: "offset of the data block before", expected, found };
        self.source.error(corruption, offset, BlockType::Data)
    }

    /// Checks that the file's last cell is the one in the file info.
    pub(super) fn check_last_key(&self, last: &CellKey) -> Result<()> {
        match &self.last_key {
            Some(key) if key.as_key() != last => {
                let corruption =
                    Corruption::Malformed("the last cell is not the one that hfile.LASTKEY names");
                Err(corruption.at(self.path(), self.trailer.offset()))
            }
            _ => Ok(()),
        }
    }

    /// Checks the number of cells against the trailer's.
    pub(super) fn check_entry_count(&self, met: u64) -> Result<()> {
        if met == self.trailer.entry_count() {
            return Ok(());
        }
        let (expected, found) = (self.trailer.entry_count().cast_signed(), met.cast_signed());
        let corruption = Corruption::Mismatch { what: "number of cells", expected, found };
        Err(corruption.at(self.path(), self.trailer.offset()))
    }

    pub(super) fn count_hits(&self, hits: u64) {
        if hits == 0 {
            return;
        }
        if let Some((cache, _)) = &self.cache {
            cache.count_hits(hits);
        }
        if let Some(counts) = &self.block_counts {
            counts.count_hits(hits);
        }
    }

    pub(super) fn warn(&self, warning: Error) {
        self.warnings().push(warning);
    }

    pub(super) fn warnings(&self) -> MutexGuard<'_, Vec<Error>> {
        unpoisoned(self.warnings.lock())
    }
}

impl Drop for ReaderCore {
    fn drop(&mut self) {
        if let Some((cache, file)) = &self.cache {
            cache.evict_file(*file);
        }
    }
}

#[cfg(test)]
mod tests;
