//! Bloom filters of a file (hfile.md §12; HBase: `CompoundBloomFilter`).
//!
//! A filter is divided into chunks, each for a range of keys. The chunk of a key is found from the metadata
//! read on open; a chunk is read when it is first needed.

pub(crate) mod key;
pub(crate) mod meta;
mod parts;
pub(crate) mod size;
pub(super) mod writer;

pub use key::BloomType;
pub use meta::BloomMeta;

use super::FileInfo;
use super::reader_core::ReaderCore;
use crate::block::bloom::{HashedRow, KeyHashes, probe};
use crate::block::index::{IndexContext, SlotUse};
use crate::block::search::KeyTable;
use crate::block::slot::Slots;
use crate::cell::{CellKey, CellOrder, MAX_ROW_LEN, SeekKey};
use crate::error::{Corruption, ErrorKind};
use parts::ChunkParts;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The two kinds of filters that a file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilterKind {
    General,
    DeleteFamily,
}

/// A Bloom filter of a file. Its chunks are read when they are needed (HBase: `CompoundBloomFilter`).
pub struct BloomFilter {
    meta: BloomMeta,
    /// The kind of keys; rows in a delete-family filter.
    bloom_type: BloomType,
    /// The order of the chunks' first keys; `None` if the file's order is unknown: the filter then excludes
    /// nothing.
    order: Option<CellOrder>,
    /// The first key of each chunk.
    first_keys: KeyTable,
    last_key: Option<Vec<u8>>,
    slots: Arc<Slots<Vec<u8>>>,
    parts: ChunkParts,
    given_up: AtomicBool,
}

impl BloomFilter {
    /// Parses the metadata of a filter. Fails if the file info lacks the type of a general filter's keys.
    pub(super) fn parse(
        kind: FilterKind,
        payload: &[u8],
        info: &FileInfo,
        context: &IndexContext,
    ) -> Result<Self, Corruption> {
        let meta = BloomMeta::parse(payload, context.end)?;
        let (bloom_type, last_key) = match kind {
            FilterKind::DeleteFamily => (BloomType::Row, None),
            FilterKind::General => {
                let missing =
                    Corruption::Malformed("Bloom filter, but no BLOOM_FILTER_TYPE in the file info");
                (info.bloom_filter_type()?.ok_or(missing)?, info.last_bloom_key())
            }
        };
        let mut first_keys = KeyTable::with_capacity(meta.len(), payload.len());
        if bloom_type == BloomType::RowCol {
            meta.check_flat_keys()?;
        }
        meta.chunks().for_each(|(_, key)| first_keys.push(key));
        if bloom_type == BloomType::RowCol
            && let Some(key) = last_key
        {
            CellKey::new(key)?;
        }
        if context.order == Some(CellOrder::User) {
            match bloom_type {
                BloomType::RowCol => first_keys.index_rows(|key| CellKey::from_checked(key).row()),
                _ => first_keys.index_rows(|key| key),
            }
        }
        let chunks = if context.slots == SlotUse::Blocks { meta.len() } else { 0 };
        Ok(Self {
            last_key: last_key.map(<[u8]>::to_vec),
            meta,
            bloom_type,
            order: context.order,
            first_keys,
            slots: Arc::new(Slots::new(chunks)),
            parts: ChunkParts::new(chunks),
            given_up: AtomicBool::new(false),
        })
    }

    /// Returns the kind of keys. In a delete-family filter, the keys are rows.
    #[must_use]
    pub fn bloom_type(&self) -> BloomType {
        self.bloom_type
    }

    /// Returns the metadata: sizes, hash function, chunks.
    #[must_use]
    pub fn meta(&self) -> &BloomMeta {
        &self.meta
    }

    /// Whether a row, or its prefix in a filter of prefixes, may have been added. True if the keys are
    /// columns.
    #[inline]
    pub(super) fn may_contain_row(&self, file: &ReaderCore, hashed: &mut HashedRow<'_>) -> bool {
        let mut prefix;
        let hashed = match self.bloom_type {
            BloomType::Row => hashed,
            // Rows sorted as in hbase:meta do not have sorted prefixes.
            BloomType::RowPrefixFixedLength(_) if self.order == Some(CellOrder::Meta) => return true,
            BloomType::RowPrefixFixedLength(len) => {
                prefix = HashedRow::new(key::prefix(hashed.row(), len));
                &mut prefix
            }
            BloomType::RowCol => return true,
        };
        let row = hashed.row();
        let Some(order) = self.order else { return true };
        if let Some(last) = &self.last_key
            && order.compare_rows(row, last).is_gt()
        {
            return false;
        }
        let chunk = match self.first_keys.len() {
            // a single chunk needs no search: it does not contain a row before its first key either
            1 => Some(0),
            _ => self.first_keys.floor(row, |key| order.compare_rows(key, row)),
        };
        self.probe(file, chunk, || hashed.hashes(self.meta.hash()))
    }

    /// Whether a column, or a marker of the whole row, which hides the column, may have been added.
    pub(super) fn may_contain_column(&self, file: &ReaderCore, row: &[u8], qualifier: &[u8]) -> bool {
        if self.bloom_type != BloomType::RowCol {
            return self.may_contain_row(file, &mut HashedRow::new(row));
        }
        let Some(order) = self.order else { return true };
        if row.len() > MAX_ROW_LEN {
            // no cell has a row of this length, and no key can be made from it
            return false;
        }
        let mut buffer = SeekKey::new();
        let mut may_contain = |qualifier: &[u8]| {
            let key = key::rowcol(row, qualifier, &mut buffer);
            if let Some(last) = &self.last_key
                && order.compare(key, CellKey::from_checked(last)).is_gt()
            {
                return false;
            }
            let chunk = self.first_keys.floor(row, |k| order.compare(CellKey::from_checked(k), key));
            self.probe(file, chunk, || KeyHashes::of(self.meta.hash(), key.as_bytes()))
        };
        may_contain(qualifier) || may_contain(b"")
    }

    /// Looks up a key in a chunk. A key before the first chunk has not been added; a filter with a damaged
    /// chunk is no longer used.
    #[inline]
    fn probe(&self, file: &ReaderCore, chunk: Option<usize>, hashes: impl FnOnce() -> KeyHashes) -> bool {
        if self.given_up.load(Ordering::Relaxed) {
            return true;
        }
        let Some(chunk) = chunk else { return false };
        let hashes = hashes();
        if let Some(found) = self.slots.with(chunk, |bits| self.probe_bits(bits, hashes)) {
            return found;
        }
        self.load_and_probe(file, chunk, hashes)
    }

    #[inline]
    fn probe_bits(&self, bits: &[u8], hashes: KeyHashes) -> bool {
        probe(bits, self.meta.hash_count(), hashes)
    }

    #[cold]
    fn load_and_probe(&self, file: &ReaderCore, chunk: usize, hashes: KeyHashes) -> bool {
        let Some(handle) = self.meta.handle(chunk) else { return true };
        let parts = self.parts.get(chunk);
        match file.load_bloom_chunk(handle, &self.slots, chunk, parts.is_some()) {
            Ok(Some(bits)) => {
                if file.reads_bloom_parts() {
                    self.parts.keep(chunk, &bits);
                }
                self.probe_bits(&bits, hashes)
            }
            // the chunk does not fit into the cache
            Ok(None) => parts.is_none_or(|parts| {
                let start = file.payload_offset(handle);
                parts.probe(&*file.source.reader, start, self.meta.hash_count(), hashes)
            }),
            // The next read may succeed.
            Err(error) if error.kind() == ErrorKind::Io => true,
            Err(error) => {
                if !self.given_up.swap(true, Ordering::Relaxed) {
                    file.warn(error);
                }
                true
            }
        }
    }
}

impl fmt::Debug for BloomFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BloomFilter")
            .field("type", &self.bloom_type)
            .field("keys", &self.meta.key_count())
            .field("chunks", &self.meta.len())
            .finish_non_exhaustive()
    }
}
