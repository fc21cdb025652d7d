//! Builds a Bloom filter (hfile.md §12.2, §12.4, §12.5; HBase: `CompoundBloomFilterWriter`).

use super::key::prefix;
use super::meta::MAX_HASH_COUNT;
use super::size::{self, ChunkSize, rowcol_error_rate};
use super::{BloomMeta, BloomType};
use crate::block::bloom::{self, KeyHashes, MAX_CHUNK_LEN};
use crate::block::{BlockType, BloomHashType};
use crate::cell::{CellKey, SeekKey, compare_bytes};
use crate::error::{Error, Result};
use crate::hfile::writer::BlockSink;
use std::collections::VecDeque;
use std::fmt;

/// `io.storefile.bloom.max.fold`: the number of times that a chunk can be halved.
const MAX_FOLD: u32 = 7;
/// HBase's comparator name for columns; rows are compared as raw bytes, without a name.
const ROWCOL_COMPARATOR: &str = "org.apache.hadoop.hbase.CellComparatorImpl";

/// The chunk size, error rate and hash function of a filter.
#[derive(Clone, Copy, Debug)]
pub(in crate::hfile) struct BloomSettings {
    pub(in crate::hfile) chunk_bytes: usize,
    pub(in crate::hfile) error_rate: f32,
    pub(in crate::hfile) hash: BloomHashType,
}

impl BloomSettings {
    /// Fails if the settings are out of range, or make no filter of this type that a reader accepts.
    pub(in crate::hfile) fn check(&self, bloom_type: BloomType) -> Result<()> {
        if !(self.error_rate > 0.0 && self.error_rate < 1.0) {
            return Err(Error::invalid_argument("the error rate of a Bloom filter: between 0 and 1"));
        }
        if !(1..=MAX_CHUNK_LEN >> MAX_FOLD << MAX_FOLD).contains(&self.chunk_bytes) {
            return Err(Error::invalid_argument("the chunks of a Bloom filter: 1 byte to 256 MiB"));
        }
        // A rate near 0 is rounded to 0 for ROWCOL: a chunk would have no room for a key.
        let size = self.chunk_size(bloom_type);
        if size.hash_count > MAX_HASH_COUNT || size.max_keys == 0 {
            let rate = self.error_rate;
            return Err(Error::invalid_argument(format!(
                "the error rate of a Bloom filter: {rate:e} is too low for the type {}",
                bloom_type.name()
            )));
        }
        Ok(())
    }

    fn chunk_size(&self, bloom_type: BloomType) -> ChunkSize {
        let error_rate = match bloom_type {
            BloomType::RowCol => rowcol_error_rate(self.error_rate),
            _ => self.error_rate,
        };
        ChunkSize::new(self.chunk_bytes, error_rate, MAX_FOLD)
    }
}

/// Builds one filter. Keys are added in file order.
pub(in crate::hfile) struct BloomWriter {
    bloom_type: BloomType,
    chunks: Chunks,
    /// The last key, in a filter of some cells only.
    last_key: Option<Vec<u8>>,
    buffer: SeekKey,
}

impl BloomWriter {
    pub(in crate::hfile) fn new(bloom_type: BloomType, settings: &BloomSettings) -> Self {
        let comparator = if bloom_type == BloomType::RowCol { ROWCOL_COMPARATOR } else { "" };
        let size = settings.chunk_size(bloom_type);
        let meta = BloomMeta::new(size.hash_count, settings.hash, comparator);
        let open = Chunk::default();
        let chunks = Chunks { size, hash: settings.hash, open, open_keys: 0, ready: VecDeque::new(), meta };
        Self { bloom_type, chunks, last_key: None, buffer: SeekKey::new() }
    }

    pub(in crate::hfile) fn bloom_type(&self) -> BloomType {
        self.bloom_type
    }

    /// Returns the key of a cell.
    pub(in crate::hfile) fn key_of<'a>(&'a mut self, cell: &'a CellKey) -> &'a [u8] {
        let (row, _, qualifier) = cell.split();
        self.bloom_type.key(row, qualifier, &mut self.buffer)
    }

    /// Adds a cell's key to a filter of all cells, unless it equals the previous cell's key. `same_row`:
    /// whether the two cells have the same row.
    #[inline]
    pub(in crate::hfile) fn add_next(&mut self, previous: Option<&CellKey>, cell: &CellKey, same_row: bool) {
        let is_known = match (self.bloom_type, previous) {
            (_, None) => false,
            (BloomType::Row, _) => same_row,
            (BloomType::RowCol, Some(previous)) => same_row && previous.qualifier() == cell.qualifier(),
            (BloomType::RowPrefixFixedLength(len), Some(previous)) => {
                same_row || prefix(previous.row(), len) == prefix(cell.row(), len)
            }
        };
        if !is_known {
            let (row, _, qualifier) = cell.split();
            self.chunks.add(self.bloom_type.key(row, qualifier, &mut self.buffer));
        }
    }

    /// Adds a cell's key, unless it equals the key added last.
    pub(in crate::hfile) fn add(&mut self, cell: &CellKey) {
        let (row, _, qualifier) = cell.split();
        let key = self.bloom_type.key(row, qualifier, &mut self.buffer);
        if self.last_key.as_deref().is_some_and(|last| compare_bytes(last, key).is_eq()) {
            return;
        }
        self.chunks.add(key);
        let last = self.last_key.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
    }

    /// Whether there are full chunks to write.
    pub(in crate::hfile) fn is_due(&self) -> bool {
        !self.chunks.ready.is_empty() || self.chunks.is_full()
    }

    /// Writes the full chunks and, when closing, the open one as well.
    pub(in crate::hfile) fn write_due(&mut self, sink: &mut BlockSink, closing: bool) -> Result<()> {
        self.chunks.write_due(sink, closing)
    }

    /// Returns the metadata, once all chunks are written; `None` if there are no chunks.
    pub(in crate::hfile) fn meta(&self) -> Option<&BloomMeta> {
        Some(&self.chunks.meta).filter(|meta| meta.len() > 0)
    }
}

/// The chunks of a filter: the open one, those that wait for the next boundary between data blocks, and those
/// written.
struct Chunks {
    size: ChunkSize,
    hash: BloomHashType,
    open: Chunk,
    open_keys: u64,
    ready: VecDeque<Chunk>,
    meta: BloomMeta,
}

#[derive(Default)]
struct Chunk {
    /// Empty if there is no chunk.
    bits: Vec<u8>,
    first_key: Vec<u8>,
}

impl Chunks {
    fn add(&mut self, key: &[u8]) {
        if self.is_full() {
            self.close();
        }
        if self.open.bits.is_empty() {
            self.open = Chunk { bits: vec![0; self.size.bytes], first_key: key.to_vec() };
        }
        bloom::add(&mut self.open.bits, self.size.hash_count, KeyHashes::of(self.hash, key));
        self.open_keys += 1;
    }

    fn is_full(&self) -> bool {
        self.open_keys >= self.size.max_keys
    }

    /// Folds the open chunk and queues it for writing.
    fn close(&mut self) {
        let mut chunk = std::mem::take(&mut self.open);
        let keys = std::mem::take(&mut self.open_keys);
        if !chunk.bits.is_empty() {
            let max_keys = size::fold(&mut chunk.bits, self.size.max_keys, keys);
            self.meta.count(chunk.bits.len(), keys, max_keys);
            self.ready.push_back(chunk);
        }
    }

    fn write_due(&mut self, sink: &mut BlockSink, closing: bool) -> Result<()> {
        // a full chunk is finished even if no further key has been added
        if closing || self.is_full() {
            self.close();
        }
        while let Some(chunk) = self.ready.pop_front() {
            let written = sink.write(BlockType::BloomChunk, |out| out.extend_from_slice(&chunk.bits))?;
            let pushed = self.meta.push(written.handle, &chunk.first_key);
            pushed.map_err(|corruption| sink.error(corruption))?;
        }
        Ok(())
    }
}

impl fmt::Debug for BloomWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BloomWriter")
            .field("type", &self.bloom_type)
            .field("size", &self.chunks.size)
            .field("chunks", &self.chunks.meta.len())
            .finish_non_exhaustive()
    }
}
