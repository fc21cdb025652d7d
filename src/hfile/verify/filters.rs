//! Compares a Bloom filter with the cells: every key must be found, in the chunk in which a reader would look
//! it up.

use super::faults::{Faults, display_number, mismatch};
use super::references::{BlockLocation, Reference, References};
use crate::block::BlockType;
use crate::block::bloom::{KeyHashes, probe};
use crate::cell::{CellKey, CellOrder, CellRef, SeekKey};
use crate::error::{Corruption, Result};
use crate::hfile::FileInfo;
use crate::hfile::bloom::{BloomMeta, BloomType, FilterKind};
use crate::hfile::source::BlockSource;
use std::cmp::Ordering;

/// A filter, and the position of the cells in it.
#[derive(Debug)]
pub(super) struct FilterCheck {
    location: BlockLocation,
    kind: FilterKind,
    bloom_type: BloomType,
    meta: BloomMeta,
    order: Option<CellOrder>,
    /// The chunk of the last key.
    chunk: Option<usize>,
    /// The contents of that chunk; `None` if it could not be read.
    bits: Option<Vec<u8>>,
    /// Whether the chunk lacked a key.
    has_denied: bool,
    last_key: Option<Vec<u8>>,
    keys: u64,
    /// Whether keys may be missing since the last one.
    is_damaged: bool,
    /// The plain bytes of the chunks read.
    pub(super) bytes: u64,
    /// Scratch space for keys.
    buffer: Option<SeekKey>,
}

impl FilterCheck {
    /// Parses the metadata of a filter.
    pub(super) fn new(
        location: BlockLocation,
        kind: FilterKind,
        payload: &[u8],
        info: &FileInfo,
        order: Option<CellOrder>,
        end: u64,
    ) -> Result<Self, Corruption> {
        let meta = BloomMeta::parse(payload, end)?;
        let bloom_type = match kind {
            FilterKind::DeleteFamily => BloomType::Row,
            FilterKind::General => info
                .bloom_filter_type()?
                .ok_or(Corruption::Malformed("Bloom filter, but no BLOOM_FILTER_TYPE in the file info"))?,
        };
        if bloom_type == BloomType::RowCol {
            meta.check_flat_keys()?;
        }
        Ok(Self {
            location,
            kind,
            bloom_type,
            meta,
            order,
            chunk: None,
            bits: None,
            has_denied: false,
            last_key: None,
            keys: 0,
            is_damaged: false,
            bytes: 0,
            buffer: Some(SeekKey::new()),
        })
    }

    /// Records the chunks as references.
    pub(super) fn name_chunks(&self, number: usize, references: &mut References) {
        for (handle, _) in self.meta.chunks() {
            let block_type = BlockType::BloomChunk;
            references.push(Reference { handle, block_type, named_by: self.location, number });
        }
    }

    /// Records that some cells could not be read.
    pub(super) fn damage(&mut self) {
        self.is_damaged = true;
    }

    /// Looks up the key of a cell, unless it is the previous cell's key.
    #[inline]
    pub(super) fn see(
        &mut self,
        cell: &CellRef<'_>,
        source: &BlockSource,
        faults: &mut Faults,
    ) -> Result<()> {
        if self.kind == FilterKind::DeleteFamily && !cell.cell_type().is_family_delete() {
            return Ok(());
        }
        let mut buffer = self.buffer.take().unwrap_or_default();
        let key = self.bloom_type.key(cell.row(), cell.qualifier(), &mut buffer);
        let seen = if self.last_key.as_deref() == Some(key) { Ok(()) } else { self.add(key, source, faults) };
        self.buffer = Some(buffer);
        seen
    }

    fn add(&mut self, key: &[u8], source: &BlockSource, faults: &mut Faults) -> Result<()> {
        self.keys += 1;
        let last_key = self.last_key.get_or_insert_default();
        last_key.clear();
        last_key.extend_from_slice(key);
        let Some(order) = self.order else { return Ok(()) };
        let (before, is_damaged) = (self.chunk, std::mem::take(&mut self.is_damaged));
        while let Some((next, first)) = self.next_chunk()
            && self.compare(order, first, key).is_le()
        {
            if !is_damaged && self.compare(order, first, key).is_lt() {
                let message = "first key of a Bloom chunk is not a key of the file";
                self.location.report(Corruption::Malformed(message), faults);
            }
            self.chunk = Some(next);
        }
        if before != self.chunk {
            self.load(source, faults)?;
        }
        if self.chunk.is_none() {
            if self.keys == 1 {
                let message = "the first key of the Bloom filter is after the first key of the file";
                self.location.report(Corruption::Malformed(message), faults);
            }
            return Ok(());
        }
        let hashes = KeyHashes::of(self.meta.hash(), key);
        let found = self.bits.as_ref().is_none_or(|bits| probe(bits, self.meta.hash_count(), hashes));
        if !found && !std::mem::replace(&mut self.has_denied, true) {
            let offset =
                self.chunk.and_then(|chunk| self.meta.handle(chunk)).map_or(0, |handle| handle.offset);
            let corruption = Corruption::Malformed("a key of the file is not in its Bloom chunk");
            faults.add(corruption, offset, Some(BlockType::BloomChunk.name()));
        }
        Ok(())
    }

    /// Returns the chunk after the current one, and its first key.
    fn next_chunk(&self) -> Option<(usize, &[u8])> {
        let next = self.chunk.map_or(0, |chunk| chunk + 1);
        self.meta.first_key(next).map(|first| (next, first))
    }

    fn compare(&self, order: CellOrder, a: &[u8], b: &[u8]) -> Ordering {
        match self.bloom_type {
            // first keys have been checked, and the keys of cells are constructed
            BloomType::RowCol => order.compare(CellKey::from_checked(a), CellKey::from_checked(b)),
            _ => order.compare_rows(a, b),
        }
    }

    fn load(&mut self, source: &BlockSource, faults: &mut Faults) -> Result<()> {
        self.has_denied = false;
        self.bits = None;
        let Some(handle) = self.chunk.and_then(|chunk| self.meta.handle(chunk)) else { return Ok(()) };
        match source.read_bloom_chunk(handle) {
            Ok(bits) => self.bits = Some(bits),
            Err(error) => faults.record(error)?,
        }
        Ok(())
    }

    /// Compares the filter's metadata with the keys and chunks read; `is_whole` is whether all were read.
    pub(super) fn finish(&self, info: &FileInfo, is_whole: bool, faults: &mut Faults) {
        let meta = &self.meta;
        let location = self.location;
        if meta.key_count() > meta.max_keys() {
            let (count, max) = (display_number(meta.key_count()), display_number(meta.max_keys()));
            location.report(Corruption::out_of_range("keys of the Bloom filter", count, 0, max), faults);
        }
        if !is_whole {
            return;
        }
        let numbers = [
            ("keys of the Bloom filter", self.keys, meta.key_count()),
            ("bytes of the Bloom filter's chunks", self.bytes, meta.total_bytes()),
        ];
        for (what, expected, found) in numbers {
            if let Some(corruption) = mismatch(what, display_number(expected), display_number(found)) {
                location.report(corruption, faults);
            }
        }
        if self.order.is_some() && self.next_chunk().is_some() {
            location.report(Corruption::Malformed("Bloom chunk after the last key of the file"), faults);
        }
        if self.kind == FilterKind::DeleteFamily {
            return;
        }
        let message = match (info.last_bloom_key(), self.last_key.as_deref()) {
            (Some(named), Some(last)) if named != last => "LAST_BLOOM_KEY is not the last key of the filter",
            (None, Some(_)) if self.bloom_type == BloomType::RowCol => "LAST_BLOOM_KEY is missing",
            _ => return,
        };
        location.report(Corruption::Malformed(message), faults);
    }
}
