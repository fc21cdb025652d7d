//! Reads data blocks in parts for a scan, by means of their outlines: from the scan's first row on, and
//! little more than the scan needs.

use super::index::IndexPath;
use super::reader_core::ReaderCore;
use super::row_lookup::LOOKUPS;
use super::source::Buffers;
use crate::block::data::{BlockOutline, DataBlock};
use crate::block::index::Children;
use crate::cache::{BlockKey, CacheFill};
use crate::cell::CellOrder;
use crate::io::FileReader;
use std::ops::Range;
use std::sync::Arc;

/// The consecutive parts of a data block that a scanner has read.
#[derive(Debug)]
pub(super) struct PartialBlock {
    outline: Arc<BlockOutline>,
    /// The offset of the block in the file.
    offset: u64,
    /// The parts that have been read.
    parts: Range<usize>,
    /// The number of bytes to read next.
    next: usize,
}

/// The number of bytes that a scan reads first; doubled each time that more are needed. A seek in a file
/// without a cache first reads one part.
const FIRST: usize = 16 << 10;

impl PartialBlock {
    /// Returns the offset of the first cell read, within the whole block.
    pub(super) fn base(&self) -> Option<usize> {
        self.outline.offset_of(self.parts.start)
    }

    /// Whether the first cell of the block has been read.
    pub(super) fn is_at_start(&self) -> bool {
        self.parts.start == 0
    }

    /// Whether the part with a row has been read, or is the next one.
    pub(super) fn reaches(&self, row: &[u8], order: CellOrder) -> bool {
        self.outline.part_of(row, order).unwrap_or(0) <= self.parts.end
    }

    /// Whether the last cell of the block has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.parts.end == self.outline.parts()
    }
}

impl ReaderCore {
    /// Reads cells of the data block of a path, starting with the part that contains a row. Returns `None` if
    /// the whole block must be read: it is in the cache or should be; it has no outline; or the bytes cannot
    /// be read or have changed.
    pub(super) fn begin_partial(
        &self,
        path: &IndexPath,
        row: &[u8],
        order: CellOrder,
        buffers: &mut Buffers,
    ) -> Option<(DataBlock, PartialBlock)> {
        let ((leaf, i), handle) = path.leaf().zip(path.handle())?;
        let Children::Data(slots) = leaf.children() else { return None };
        if slots.with(i, |_| ()).is_some() {
            return None;
        }
        let outline = leaf.outlines().get(i)?;
        let cache = self.cache.as_ref().map(|(cache, _)| cache);
        if let Some(cache) = cache
            && path.fill() == CacheFill::All
            && (!cache.is_full_for(handle.on_disk_size) || outline.count_lookup() >= LOOKUPS)
        {
            return None;
        }
        let part = outline.part_of(row, order).unwrap_or(0);
        let next = if cache.is_some() { FIRST } else { 0 };
        let mut partial = PartialBlock { outline, offset: handle.offset, parts: part..part, next };
        let mut bytes = std::mem::take(&mut buffers.spare);
        let from_tier = self.read_on(&mut partial, 0, &mut bytes, buffers)?;
        let block = partial.outline.block(bytes)?;
        if let Some((cache, key)) = self.cache_for(handle) {
            cache.count_partial_read(&key);
        }
        self.count_found(from_tier);
        Some((block, partial))
    }

    /// Adds the following cells to a block. Returns `None`, and changes nothing, if the bytes cannot be read
    /// or have changed.
    pub(super) fn extend_partial(
        &self,
        partial: &mut PartialBlock,
        block: &mut DataBlock,
        buffers: &mut Buffers,
    ) -> Option<()> {
        block.extend(|bytes| self.read_on(partial, bytes.len(), bytes, buffers).map(drop))
    }

    /// Reads the following parts, and stores their cells in `cells` from `at` on, up to its end. Returns
    /// whether they were in the second tier of the cache.
    fn read_on(
        &self,
        partial: &mut PartialBlock,
        at: usize,
        cells: &mut Vec<u8>,
        buffers: &mut Buffers,
    ) -> Option<bool> {
        let PartialBlock { outline, parts, .. } = &*partial;
        let mut end = parts.end + 1;
        let mut wanted = outline.range_of(parts.end..end)?;
        while wanted.len() < partial.next && end < outline.parts() {
            end += 1;
            wanted.end = outline.range_of(end - 1..end)?.end;
        }
        // plain cells are read directly into their final place
        let (bytes, from) = if outline.is_plain() { (&mut *cells, at) } else { (&mut buffers.stored, 0) };
        // existing bytes are overwritten, so only the bytes by which the buffer grows are zeroed
        bytes.resize(from + wanted.len(), 0);
        let new = bytes.get_mut(from..)?;
        let at_file = partial.offset + wanted.start as u64;
        let from_tier = match &self.cache {
            Some((cache, file)) => {
                let key = BlockKey { file: *file, offset: partial.offset };
                let reader = cache.reader_of(key, &*self.source.reader);
                reader.read_exact_at(new, at_file).ok()?;
                reader.was_in_tier()
            }
            None => self.source.reader.read_exact_at(new, at_file).map(|()| false).ok()?,
        };
        if !outline.is_plain() {
            cells.truncate(at);
        }
        for part in parts.end..end {
            let part_range = outline.range_of(part..part + 1)?;
            let range = part_range.start - wanted.start..part_range.end - wanted.start;
            let is_sound = |stored: &&[u8]| outline.verify(part, stored);
            if outline.is_plain() {
                cells.get(at..)?.get(range).filter(is_sound)?;
            } else {
                outline.decode(part, buffers.stored.get(range).filter(is_sound)?, cells)?;
            }
        }
        partial.parts.end = end;
        partial.next = partial.next.max(wanted.len()).saturating_mul(2);
        Some(from_tier)
    }
}
