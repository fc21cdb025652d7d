//! Internal hooks for benchmarks: blocks, chunks and codecs without a file.

use crate::block::bloom::{KeyHashes, add, probe};
use crate::block::codec::{Compressor, CompressorOptions, Decompressor};
use crate::block::data::{self, DataBlock, DataFormat, Encoder, Trust};
use crate::block::index::{IndexBlock, IndexContext, SlotUse};
use crate::block::slot::Slots;
use crate::block::{BlockHeader, BlockType, BloomHashType, ChecksumType, Codec, DataBlockEncoding};
use crate::cache::{BlockCache, BlockKey, CacheStore, CachedBlock, FileId};
use crate::cell::{Cell, CellFormat, CellKey, CellOrder, CellRef, SeekKey};
use crate::error::{Error, Result};
use crate::hfile::bloom::size::{ChunkSize, fold};
use crate::memstore::{ReversedSegmentScanner, Segment, SegmentScanner};
use crate::mvcc::Mvcc;
use crate::op::Query;
use crate::schema::Family;
use crate::store::matcher::{ScanInfo, ScanQueryMatcher};
use bytes::Bytes;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// The payload of a data block.
#[derive(Clone, Debug)]
pub struct EncodedBlock {
    format: DataFormat,
    payload: Vec<u8>,
}

impl EncodedBlock {
    /// Encodes cells until their plain form reaches `bytes` bytes, with sequence ids.
    ///
    /// # Errors
    ///
    /// If a cell cannot be encoded.
    pub fn new<'c>(
        cells: impl IntoIterator<Item = &'c Cell>,
        encoding: DataBlockEncoding,
        bytes: usize,
    ) -> Result<Self> {
        let cell_format = CellFormat { tags: false, mvcc: true };
        let format = DataFormat { encoding, cells: cell_format, tags_compressed: false };
        let mut encoder = Encoder::new(&format);
        for cell in cells {
            encoder.append(&cell.as_ref())?;
            if encoder.unencoded_size() >= bytes {
                break;
            }
        }
        let mut payload = Vec::new();
        encoder.finish(&mut payload);
        Ok(Self { format, payload })
    }

    /// The bytes of the payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Decodes the block into contiguous plain cells, and returns their number.
    ///
    /// # Errors
    ///
    /// Never, for a block that was encoded.
    pub fn decode(&self, out: &mut Vec<u8>) -> Result<usize> {
        out.clear();
        data::decode(&self.format, &self.payload, 1 << 30, out).map_err(nowhere)
    }

    /// Decodes the block and builds its index.
    ///
    /// # Errors
    ///
    /// Same as [`decode`](Self::decode).
    pub fn open(&self) -> Result<OpenBlock> {
        let mut plain = Vec::new();
        self.decode(&mut plain)?;
        let (cells, order) = (0..plain.len(), Some(CellOrder::User));
        DataBlock::new(plain, cells, self.format.cells, Trust::Decoded(None), order)
            .map(OpenBlock)
            .map_err(nowhere)
    }
}

fn nowhere(corruption: crate::Corruption) -> Error {
    corruption.at(Path::new("bench"), 0)
}

/// A data block in memory.
#[derive(Debug)]
pub struct OpenBlock(DataBlock);

impl OpenBlock {
    /// The number of cells.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.count()
    }

    /// The timestamp of the first cell at or after a key.
    #[inline]
    #[must_use]
    pub fn seek(&self, key: &CellKey) -> Option<i64> {
        self.0.seek(key, CellOrder::User).map(|(position, _)| self.0.key(&position).timestamp())
    }

    /// Walks all cells. Returns the total size of their values in bytes.
    #[must_use]
    pub fn walk(&self) -> usize {
        let mut position = self.0.first();
        let mut bytes = self.0.cell(&position).value().len();
        while self.0.advance(&mut position) {
            bytes += self.0.cell(&position).value().len();
        }
        bytes
    }
}

/// An index block.
#[derive(Debug)]
pub struct Index(IndexBlock);

impl Index {
    /// An index block of ascending keys.
    ///
    /// # Errors
    ///
    /// If the keys do not ascend.
    pub fn new(keys: &[SeekKey]) -> Result<Self> {
        let (mut marks, mut entries) = (Vec::new(), Vec::new());
        let mark = |out: &mut Vec<u8>, mark: usize| {
            out.extend_from_slice(&u32::try_from(mark).unwrap_or(u32::MAX).to_be_bytes());
        };
        mark(&mut marks, keys.len());
        for (i, key) in (0u64..).zip(keys) {
            mark(&mut marks, entries.len());
            entries.extend_from_slice(&(i << 16).to_be_bytes());
            entries.extend_from_slice(&[0, 1, 0, 0]);
            entries.extend_from_slice(key.as_bytes());
        }
        mark(&mut marks, entries.len());
        marks.append(&mut entries);
        let context = IndexContext {
            order: Some(CellOrder::User),
            end: 1 << 50,
            header_len: 33,
            slots: SlotUse::Unused,
        };
        IndexBlock::parse(&marks, false, &context).map(Self).map_err(nowhere)
    }

    /// The last entry whose key is not after `key`.
    #[inline]
    #[must_use]
    pub fn search(&self, key: &CellKey) -> Option<usize> {
        self.0.search(key, CellOrder::User)
    }
}

/// A chunk of a Bloom filter, full and folded as in HBase.
#[derive(Clone, Debug)]
pub struct BloomChunk {
    bits: Vec<u8>,
    hash: BloomHashType,
    hash_count: u32,
}

impl BloomChunk {
    /// A chunk with these keys, for an error rate of 1 %.
    #[must_use]
    pub fn new<'k>(bytes: usize, hash: BloomHashType, keys: impl IntoIterator<Item = &'k [u8]>) -> Self {
        let size = ChunkSize::new(bytes, 0.01, 7);
        let mut chunk = Self { bits: vec![0; size.bytes], hash, hash_count: size.hash_count };
        let mut count = 0;
        for key in keys {
            add(&mut chunk.bits, chunk.hash_count, KeyHashes::of(hash, key));
            count += 1;
        }
        fold(&mut chunk.bits, size.max_keys, count);
        chunk
    }

    /// Whether a key may have been added.
    #[inline]
    #[must_use]
    pub fn probe(&self, key: &[u8]) -> bool {
        probe(&self.bits, self.hash_count, KeyHashes::of(self.hash, key))
    }
}

/// Compresses the bytes of a block.
///
/// # Errors
///
/// If the codec is not built in.
pub fn compress(codec: Codec, plain: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let compressed = Compressor::new(codec, &CompressorOptions::default())
        .and_then(|mut compressor| compressor.compress(plain, &mut out));
    compressed.map(|()| out).map_err(nowhere)
}

/// Decompresses a payload to `plain_len` bytes and appends them to `out`.
///
/// # Errors
///
/// If the payload does not match the codec and length.
pub fn decompress(codec: Codec, payload: &[u8], plain_len: usize, out: &mut Vec<u8>) -> Result<()> {
    Decompressor::new(codec, None).decompress(payload, plain_len, out).map_err(nowhere)
}

/// Builds a block with this payload and checksums.
///
/// # Errors
///
/// If the payload is too long.
pub fn finish_block(
    payload: &[u8],
    checksum: ChecksumType,
    bytes_per_checksum: NonZeroU32,
) -> Result<Vec<u8>> {
    let sizes = (payload.len(), payload.len());
    let header = BlockHeader::for_payload(BlockType::Data, sizes, -1, Some((checksum, bytes_per_checksum)));
    let mut out = Vec::new();
    header.map_err(nowhere)?.write(&mut out);
    out.extend_from_slice(payload);
    crate::block::checksum::append(&mut out, 0, checksum, bytes_per_checksum);
    Ok(out)
}

/// Verifies the checksums of a block built by [`finish_block`].
///
/// # Errors
///
/// If they are wrong.
pub fn verify(block: &[u8]) -> Result<()> {
    BlockHeader::open(block, true, true).map(drop).map_err(nowhere)
}

/// Blocks that can be found both by key in a cache and in slots.
#[derive(Debug)]
pub struct CachedBlocks {
    cache: BlockCache,
    slots: Slots<Vec<u8>>,
    keys: Vec<BlockKey>,
}

impl CachedBlocks {
    /// A cache of `blocks` blocks of `bytes` bytes each.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn new(blocks: usize, bytes: usize) -> Result<Self> {
        let cache = BlockCache::with_capacity(1 << 40);
        let (file, slots) = (FileId::next(), Slots::new(blocks));
        let keys = (0..blocks as u64).map(|i| BlockKey { file, offset: i << 16 }).collect();
        let made = Self { cache, slots, keys };
        for (i, key) in made.keys.iter().enumerate() {
            let block = Arc::new(vec![0; bytes]);
            made.cache
                .get_or_load(CacheStore::Blocks, *key, None, || Ok(CachedBlock::Bloom(Arc::clone(&block))))?;
            made.slots.put(i, block);
        }
        let _ = made.cache.stats();
        Ok(made)
    }

    /// Finds a block by its key. Returns its length.
    ///
    /// # Errors
    ///
    /// If the block is not cached.
    #[inline]
    pub fn by_key(&self, i: usize) -> Result<usize> {
        let missing = || Err(Error::invalid_argument("the block is not cached"));
        match self.cache.get_or_load(CacheStore::Blocks, self.keys[i], None, missing)? {
            CachedBlock::Bloom(block) => Ok(block.len()),
            _ => missing().map(|_: CachedBlock| 0),
        }
    }

    /// Finds a block in its slot and acquires a reference, as a scanner does.
    #[inline]
    #[must_use]
    pub fn by_slot(&self, i: usize) -> Option<usize> {
        self.slots.get(i).map(|block| block.len())
    }

    /// Reads a block in its slot, as a Bloom probe does.
    #[inline]
    #[must_use]
    pub fn in_slot(&self, i: usize) -> Option<usize> {
        self.slots.with(i, Vec::len)
    }
}

/// Recent cells in memory.
#[derive(Debug)]
pub struct RecentCells(Segment);

impl RecentCells {
    /// An empty segment.
    #[must_use]
    pub fn new(order: CellOrder) -> Self {
        Self(Segment::new(order))
    }

    /// Adds a cell.
    pub fn insert(&self, cell: CellRef<'_>) {
        self.0.insert(cell);
    }

    /// Whether the filter may contain a row.
    #[inline]
    #[must_use]
    pub fn may_contain_row(&self, row: &[u8]) -> bool {
        self.0.may_contain_row(row)
    }

    /// A scanner of the cells visible at a read point.
    #[must_use]
    pub fn scanner(&self, read_point: i64) -> RecentCellsScanner<'_> {
        RecentCellsScanner(self.0.scanner(read_point))
    }

    /// A reverse scanner of the rows visible at a read point.
    #[must_use]
    pub fn reversed_scanner(&self, read_point: i64) -> RecentRowsScanner<'_> {
        RecentRowsScanner(self.0.reversed_scanner(read_point))
    }
}

/// A scanner of recent cells.
#[derive(Debug)]
pub struct RecentCellsScanner<'c>(SegmentScanner<'c>);

impl RecentCellsScanner<'_> {
    /// Enables reading ahead.
    #[must_use]
    pub fn reading_ahead(self) -> Self {
        Self(self.0.reading_ahead())
    }

    /// The current cell.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<CellRef<'_>> {
        self.0.peek()
    }

    /// Moves to the next cell.
    #[inline]
    pub fn advance(&mut self) {
        self.0.advance();
    }

    /// Seeks the first cell.
    pub fn seek_to_first(&mut self) {
        self.0.seek_to_first();
    }

    /// Seeks the first cell at or after a key.
    pub fn seek(&mut self, key: &CellKey) {
        self.0.seek(key);
    }

    /// Like [`seek`](Self::seek), but never moves backward.
    pub fn reseek(&mut self, key: &CellKey) {
        self.0.reseek(key);
    }
}

/// A reverse scanner of recent cells.
#[derive(Debug)]
pub struct RecentRowsScanner<'c>(ReversedSegmentScanner<'c>);

impl RecentRowsScanner<'_> {
    /// The current cell; `None` after the last cell of the row.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<CellRef<'_>> {
        self.0.peek()
    }

    /// Moves to the next cell of the row.
    #[inline]
    pub fn advance(&mut self) {
        self.0.advance();
    }

    /// Moves to the last row.
    pub fn seek_to_last_row(&mut self) {
        self.0.seek_to_last_row();
    }

    /// Moves to the previous row.
    pub fn previous_row(&mut self) {
        self.0.previous_row();
    }
}

/// The sequence numbers of writes.
#[derive(Clone, Debug)]
pub struct WriteNumbers(Arc<Mvcc>);

impl WriteNumbers {
    /// Starts from 0.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mvcc::new(0)))
    }

    /// Begins and completes a write.
    #[inline]
    pub fn write(&self) {
        self.0.complete(self.0.begin());
    }

    /// Registers a read point and drops it.
    #[inline]
    #[must_use]
    pub fn read(&self) -> i64 {
        self.0.register(|_| ()).0.get()
    }
}

impl Default for WriteNumbers {
    fn default() -> Self {
        Self::new()
    }
}

/// The matcher of a scan, called directly with every cell.
#[derive(Debug)]
pub struct Matcher<'q>(ScanQueryMatcher<'q>);

impl<'q> Matcher<'q> {
    /// The matcher for a scan of some columns, or all if empty. `versions` is the number of versions that the
    /// family keeps and the scan requests.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn new(family: &'q [u8], columns: &'q [Bytes], versions: u32) -> Result<Self> {
        let query = Query { columns, max_versions: versions, ..Query::ALL };
        let kept = Family::new(Bytes::copy_from_slice(family)).max_versions(versions);
        let info = ScanInfo::new(&kept, 0, false);
        ScanQueryMatcher::for_user(&query, family, &info, CellOrder::User).map(Self)
    }

    /// The number of `cells`, in any rows, that the scan returns.
    ///
    /// # Errors
    ///
    /// If they are out of order.
    pub fn count(&mut self, cells: &[Cell]) -> Result<usize> {
        let mut included = 0;
        self.0.clear_row();
        for cell in cells {
            let cell = cell.as_ref();
            if !self.0.is_of_current_row(cell) {
                self.0.set_to_new_row(cell.row());
            }
            let code = self.0.match_in_row(cell).map_err(|disorder| nowhere(disorder.into()))?;
            included += usize::from(code.is_include());
        }
        Ok(included)
    }
}
