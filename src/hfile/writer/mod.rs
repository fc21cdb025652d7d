//! Writes a file, byte for byte as HBase 2.6 does (hfile.md §14; HBase: `HFileWriterImpl`).
//!
//! Cells are added to the open data block. Before a cell is added, a full block is written, followed by
//! everything that is due: the open leaf of the index, and full chunks of the Bloom filters. So memory holds
//! no more than a block, a leaf with the entries above it, and a chunk of each filter.
//!
//! In a file with compression, the writing of a few data blocks is delayed while another thread compresses
//! them ([`pipeline`]). They are written before any other block.

mod cell_stats;
mod index;
mod options;
mod pipeline;
mod separator;
mod sink;

pub use options::HFileWriterOptions;
pub(crate) use options::MIN_BYTES_PER_CHECKSUM;
pub(in crate::hfile) use pipeline::hold_queue;
pub(in crate::hfile) use sink::BlockSink;

use super::bloom::BloomType;
use super::bloom::writer::BloomWriter;
use super::file_info::{FileInfo, FileInfoBuilder, names};
use super::{Trailer, comparator};
use crate::block::codec::Compressor;
use crate::block::data::{DataFormat, Encoder};
use crate::block::writer::BlockWriter;
use crate::block::{BlockType, Codec, DataBlockEncoding};
use crate::cell::{CellKey, CellOrder, CellRef, SeekKey, key_value};
use crate::error::{Corruption, Error, Result};
use crate::io::NewFile;
use cell_stats::CellStats;
use index::{Entries, IndexWriter};
use sink::Written;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// The maximum depth of an index.
const MAX_INDEX_LEVELS: u32 = 16;

/// Writes an HFile from cells in order (HBase: `HFile.Writer`).
///
/// ```
/// use hregion::{CellRef, CellType, HFile, HFileWriter, SeekKey};
///
/// # fn main() -> hregion::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("out.hfile");
/// let mut writer = HFileWriter::options().create(&path)?;
/// let key = SeekKey::of(b"row", b"cf", b"name", 1_700_000_000_000, CellType::Put);
/// writer.append(CellRef::new(&key, b"Ada"))?;
/// writer.finish()?;
/// assert_eq!(HFile::open(&path)?.entry_count(), 1);
/// # Ok(())
/// # }
/// ```
///
/// After an error nothing more can be written. A writer that is dropped before it is [finished](Self::finish)
/// leaves no file.
pub struct HFileWriter {
    options: HFileWriterOptions,
    sink: BlockSink,
    encoder: Encoder,
    index: IndexWriter,
    general_bloom: Option<BloomWriter>,
    delete_family_bloom: Option<BloomWriter>,
    stats: CellStats,
    info: FileInfoBuilder,
    meta_blocks: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The index key of the open data block.
    index_key: SeekKey,
    /// The offsets of the first data block and of the last one.
    data_blocks: Option<(u64, u64)>,
    encoded_limit: Option<usize>,
    /// The wrapped data key, for the trailer.
    encryption_key: Option<Vec<u8>>,
    /// Whether an error occurred, so that the file cannot be finished.
    failed: bool,
}

impl HFileWriter {
    /// Returns the options for writing a file.
    #[must_use]
    pub fn options() -> HFileWriterOptions {
        HFileWriterOptions::new()
    }

    fn new(file: NewFile, options: HFileWriterOptions) -> Result<Self> {
        let compressor = Compressor::new(options.codec, &options.compressor)
            .map_err(|corruption| corruption.at(file.path(), 0))?;
        let encryption = options.encryption.as_ref().map(|encryption| encryption.begin(file.path()));
        let (encryptor, encryption_key) = encryption.transpose()?.unzip();
        let blocks = BlockWriter::new(compressor, encryptor, options.checksum, options.checksum_chunk());
        let format = DataFormat {
            encoding: options.encoding,
            cells: options.cells,
            tags_compressed: options.compress_tags,
        };
        let mut bloom_settings = options.bloom_settings;
        bloom_settings.chunk_bytes = bloom_settings.chunk_bytes.min(options.half_of_limit());
        let bloom = |bloom_type| BloomWriter::new(bloom_type, &bloom_settings);
        let general = options.bloom.filter(|_| !options.no_filters);
        let delete_family = options.delete_family_bloom && options.bloom != Some(BloomType::RowCol);
        let delete_family = delete_family && !options.no_filters;
        Ok(Self {
            sink: BlockSink::new(file, blocks, &options.limits),
            encoder: Encoder::new(&format),
            index: IndexWriter::new(
                options.index_chunk(),
                options.index_min_entries,
                options.most_of_index_block(),
                options.limits.index_levels.min(MAX_INDEX_LEVELS),
            ),
            general_bloom: general.map(bloom),
            delete_family_bloom: delete_family.then(|| bloom(BloomType::Row)),
            stats: CellStats::default(),
            info: FileInfoBuilder::default(),
            meta_blocks: BTreeMap::new(),
            index_key: SeekKey::new(),
            data_blocks: None,
            encoded_limit: options.encoded_limit(),
            encryption_key,
            failed: false,
            options,
        })
    }

    /// Appends a cell, which must not sort before the previous one. Cells that differ in their sequence ids
    /// only may come in any order.
    ///
    /// # Errors
    ///
    /// If the cell is out of order, of another family, too large, or cannot be stored; if the file cannot be
    /// written.
    #[inline]
    pub fn append(&mut self, cell: CellRef<'_>) -> Result<()> {
        self.append_ref(&cell)
    }

    /// Like [`append`](Self::append), but by reference: functions called for every cell avoid copying it.
    #[inline]
    pub(super) fn append_ref(&mut self, cell: &CellRef<'_>) -> Result<()> {
        let appended = self.check_usable().and_then(|()| self.try_append(cell));
        self.failed |= appended.is_err();
        appended
    }

    #[inline]
    fn try_append(&mut self, cell: &CellRef<'_>) -> Result<()> {
        let len = key_value::len(cell, self.options.cells);
        let (row_order, order) = self.check(cell, len)?;
        // as in HBase, before the boundary: a chunk written there may include the key of a cell after it
        if let Some(bloom) = &mut self.general_bloom {
            bloom.add_next(self.encoder.last_key(), cell.key, row_order == Some(Ordering::Equal));
        }
        if cell.cell_type().is_family_delete()
            && let Some(bloom) = &mut self.delete_family_bloom
        {
            bloom.add(cell.key);
        }
        // equal cells stay in one block
        if order != Some(Ordering::Equal) && (self.is_block_full() || !self.has_room(len)) {
            self.finish_block()?;
            self.write_due(false)?;
        }
        if self.encoder.is_empty() {
            separator::separate(self.options.order, self.encoder.last_key(), cell.key, &mut self.index_key);
        }
        self.encoder.append(cell)?;
        self.stats.count(cell);
        Ok(())
    }

    /// Compares the row of the previous cell, if any, and that cell with this one, which has `len` bytes;
    /// fails if this one cannot follow it in the file.
    #[inline]
    fn check(&self, cell: &CellRef<'_>, len: usize) -> Result<(Option<Ordering>, Option<Ordering>)> {
        if !cell.cell_type().is_stored() {
            return Err(refuse(cell, "cells of its type exist in searches only"));
        }
        if cell.seq_id < 0 && self.options.cells.mvcc {
            return Err(refuse(cell, "its sequence id is negative"));
        }
        if !cell.tags.is_empty() && !self.options.cells.tags {
            return Err(refuse(cell, "it has tags, and the file was opened without them"));
        }
        let most = self.options.max_key_len;
        if cell.key.as_bytes().len() > most && cell.row().len() + cell.qualifier().len() > most {
            return Err(refuse(cell, &format!("its row and qualifier have more than {most} bytes")));
        }
        self.check_size(len)?;
        let Some(last) = self.encoder.last_key() else { return Ok((None, None)) };
        let row_order = self.options.order.compare_rows(last.row(), cell.row());
        let order = row_order.then_with(|| CellOrder::compare_in_row(last, cell.key));
        if order.is_gt() {
            return Err(refuse(cell, &format!("it sorts before the previous cell, {last:.64}")));
        }
        if !last.is_of_family(cell.family()) {
            return Err(refuse(cell, &format!("its family is not that of the previous cell, {last:.64}")));
        }
        if order.is_eq() {
            // equal cells stay in one block
            self.check_size(self.encoder.unencoded_size() + len)?;
        }
        Ok((Some(row_order), Some(order)))
    }

    /// Fails if a block of `len` bytes is larger than the limits allow.
    #[inline]
    fn check_size(&self, len: usize) -> Result<()> {
        let limit = self.options.limits.block_bytes;
        if len <= limit {
            return Ok(());
        }
        let (value, limit) = (len as u64, limit as u64);
        Err(self.sink.error(Corruption::Limit { what: "size of a block", value, limit }))
    }

    /// Whether the open data block has room for another cell of `len` bytes. The other half of the limit is
    /// for the block's contents besides cells.
    #[inline]
    fn has_room(&self, len: usize) -> bool {
        self.encoder.unencoded_size() + len <= self.options.half_of_limit() || self.encoder.is_empty()
    }

    /// Whether the open data block is complete (hfile.md §14.1).
    #[inline]
    fn is_block_full(&self) -> bool {
        let encoded = self.encoder.encoded_size();
        match self.encoded_limit {
            Some(limit) => encoded >= limit,
            None => {
                encoded >= self.options.block_size || self.encoder.unencoded_size() >= self.options.block_size
            }
        }
    }

    /// Adds an entry to the file info.
    ///
    /// # Errors
    ///
    /// If the key exists already, or is reserved for entries that record how the file is stored: a key that
    /// begins with `hfile.`, `KEY_VALUE_VERSION`, `MAX_MEMSTORE_TS_KEY`, `DATA_BLOCK_ENCODING`,
    /// `INDEX_BLOCK_ENCODING`, and those of the Bloom filter.
    pub fn add_file_info(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.info.add(key.as_ref(), value.as_ref())
    }

    pub(super) fn info_mut(&mut self) -> &mut FileInfoBuilder {
        &mut self.info
    }

    /// Adds a meta block, which readers look up by name. It is kept in memory until the file is finished.
    ///
    /// # Errors
    ///
    /// If the name exists already.
    pub fn add_meta_block(&mut self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Result<()> {
        if self.meta_blocks.contains_key(name.as_ref()) {
            return Err(Error::invalid_argument("there is already a meta block of that name"));
        }
        self.meta_blocks.insert(name.as_ref().to_vec(), content.as_ref().to_vec());
        Ok(())
    }

    /// Returns the number of cells appended.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.stats.cells()
    }

    /// Writes what remains, syncs the file to disk and gives it its name. Returns the file's length in bytes.
    ///
    /// # Errors
    ///
    /// If a write fails, or an earlier one failed; if readers with the same
    /// [limits](HFileWriterOptions::limits) could not read the file. The file then does not exist, or is
    /// still the previous one. Exception: if only the last step fails, the sync of the directory, the file is
    /// the new one, but may be the previous one again after a crash.
    pub fn finish(mut self) -> Result<u64> {
        self.check_usable()?;
        self.finish_block()?;
        self.write_due(true)?;
        let mut meta_index = Entries::default();
        for (name, content) in std::mem::take(&mut self.meta_blocks) {
            let written = self.sink.write(BlockType::Meta, |out| out.extend_from_slice(&content))?;
            meta_index.push(&name, written.handle);
        }
        let index = self.index.finish(&mut self.sink)?;
        self.sink.write(BlockType::RootIndex, |out| meta_index.put_root(out))?;

        put_info(&mut self.info, &self.options, &self.stats, self.encoder.last_key())?;
        put_bloom_info(&mut self.info, self.general_bloom.as_mut(), self.encoder.last_key())?;
        let info = self.info.build().map_err(|corruption| self.sink.error(corruption))?;
        let limit = self.options.limits.load_on_open_bytes;
        check_limit(&self.sink, FileInfo::MEMORY, info.memory() as u64, limit)?;
        let info = self.sink.write(BlockType::FileInfo, |out| info.write(out))?;
        let filters = [
            (BlockType::GeneralBloomMeta, &self.general_bloom),
            (BlockType::DeleteFamilyBloomMeta, &self.delete_family_bloom),
        ];
        for (block_type, bloom) in filters {
            if let Some(meta) = bloom.as_ref().and_then(BloomWriter::meta) {
                self.sink.write(block_type, |out| meta.write(out))?;
            }
        }

        let section = self.sink.position() - index.root.offset;
        check_limit(&self.sink, "bytes of the load-on-open section", section, limit)?;
        let (first, last) = self.data_blocks.map_or((-1, -1), |(first, last)| (to_i64(first), to_i64(last)));
        let mut trailer = Trailer {
            version: self.options.version,
            file_info_offset: to_i64(info.handle.offset),
            load_on_open_data_offset: index.root.offset,
            uncompressed_data_index_size: to_i64(index.plain_bytes),
            total_uncompressed_bytes: 0,
            data_index_count: count(&self.sink, index.root_entries)?,
            meta_index_count: count(&self.sink, meta_index.len())?,
            entry_count: self.stats.cells(),
            num_data_index_levels: index.levels,
            first_data_block_offset: first,
            last_data_block_offset: last,
            comparator_class_name: comparator::name(self.options.order).to_owned(),
            compression_codec: self.options.codec,
            encryption_key: self.encryption_key,
            offset: self.sink.position(),
        };
        trailer.total_uncompressed_bytes = to_i64(self.sink.plain_bytes() + trailer.size() as u64);
        let mut bytes = Vec::with_capacity(trailer.size());
        trailer.write(&mut bytes).map_err(|corruption| self.sink.error(corruption))?;
        self.sink.finish(&bytes)
    }

    fn check_usable(&self) -> Result<()> {
        match self.failed {
            false => Ok(()),
            true => Err(Error::invalid_argument("an earlier operation on the file failed")),
        }
    }

    /// Writes the open data block, if any.
    fn finish_block(&mut self) -> Result<()> {
        if self.encoder.is_empty() {
            return Ok(());
        }
        self.index.push_key(self.index_key.as_bytes());
        if self.sink.has_pipeline() {
            self.sink.push(|out| self.encoder.finish(out));
            while self.sink.is_full() && self.write_first()? {}
            return Ok(());
        }
        let is_first = self.data_blocks.is_none();
        let written = self.sink.write(self.block_type(), |out| self.encoder.finish(out))?;
        self.add_written(written);
        if is_first {
            self.begin_pipeline();
        }
        Ok(())
    }

    fn block_type(&self) -> BlockType {
        match self.options.encoding {
            DataBlockEncoding::None => BlockType::Data,
            _ => BlockType::EncodedData,
        }
    }

    /// Lets another thread compress the blocks after the first one.
    fn begin_pipeline(&mut self) {
        let limit = self.options.limits.write_behind_bytes;
        if self.options.codec == Codec::None || limit == 0 {
            return;
        }
        // the first compressor was made with the same options
        if let Ok(compressor) = Compressor::new(self.options.codec, &self.options.compressor) {
            self.sink.begin_pipeline(compressor, limit);
        }
    }

    /// Writes the first unwritten data block. Returns false if there is none.
    fn write_first(&mut self) -> Result<bool> {
        let Some(written) = self.sink.write_first(self.block_type())? else { return Ok(false) };
        self.add_written(written);
        Ok(true)
    }

    /// Adds the handle of a written data block to the index.
    fn add_written(&mut self, Written { handle, .. }: Written) {
        self.index.push_handle(handle);
        let first = self.data_blocks.map_or(handle.offset, |(first, _)| first);
        self.data_blocks = Some((first, handle.offset));
    }

    /// Writes the blocks due between data blocks, in HBase's order.
    fn write_due(&mut self, closing: bool) -> Result<()> {
        let is_due = |bloom: &Option<BloomWriter>| bloom.as_ref().is_some_and(BloomWriter::is_due);
        if closing
            || self.index.is_leaf_full()
            || is_due(&self.general_bloom)
            || is_due(&self.delete_family_bloom)
        {
            while self.write_first()? {}
        }
        self.index.write_due(&mut self.sink, closing)?;
        for bloom in [&mut self.general_bloom, &mut self.delete_family_bloom].into_iter().flatten() {
            bloom.write_due(&mut self.sink, closing)?;
        }
        Ok(())
    }
}

/// Fails at the end of the file written so far if `value` exceeds a limit.
fn check_limit(sink: &BlockSink, what: &'static str, value: u64, limit: usize) -> Result<()> {
    let limit = limit as u64;
    if value <= limit {
        return Ok(());
    }
    Err(sink.error(Corruption::Limit { what, value, limit }))
}

/// Returns the number of entries of an index, as the trailer records it.
fn count(sink: &BlockSink, entries: usize) -> Result<u32> {
    let limit = i32::MAX.unsigned_abs();
    u32::try_from(entries).ok().filter(|&count| count <= limit).ok_or_else(|| {
        let (what, value) = ("entries of an index", entries as u64);
        sink.error(Corruption::Limit { what, value, limit: limit.into() })
    })
}

/// Adds the entries that every file has.
fn put_info(
    info: &mut FileInfoBuilder,
    options: &HFileWriterOptions,
    stats: &CellStats,
    last_key: Option<&CellKey>,
) -> Result<()> {
    stats.put(info, options.cells)?;
    if let Some(key) = last_key {
        info.put(names::LAST_KEY, key.as_bytes())?;
    }
    info.put(names::CREATE_TIME, options.time().to_be_bytes())?;
    let encoded = options.encoding != DataBlockEncoding::None;
    if options.cells.tags {
        info.put_flag(names::TAGS_COMPRESSED, options.compress_tags && encoded)?;
    }
    if encoded {
        info.put(names::DATA_BLOCK_ENCODING, options.encoding.name())?;
    }
    Ok(())
}

/// Adds the entries about the general Bloom filter, if it has a key. `last` is the last cell of the file.
fn put_bloom_info(
    info: &mut FileInfoBuilder,
    bloom: Option<&mut BloomWriter>,
    last: Option<&CellKey>,
) -> Result<()> {
    let Some((bloom, last)) = bloom.zip(last) else { return Ok(()) };
    info.put(names::BLOOM_FILTER_TYPE, bloom.bloom_type().name())?;
    info.put(names::LAST_BLOOM_KEY, bloom.key_of(last))?;
    if let BloomType::RowPrefixFixedLength(len) = bloom.bloom_type() {
        info.put(names::BLOOM_FILTER_PARAM, len.to_be_bytes())?;
    }
    Ok(())
}

#[cold]
fn refuse(cell: &CellRef<'_>, why: &str) -> Error {
    Error::invalid_argument(format!("cell {cell:.64} cannot be appended: {why}"))
}

fn to_i64(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

impl fmt::Debug for HFileWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HFileWriter")
            .field("options", &self.options)
            .field("cells", &self.entry_count())
            .field("last_key", &self.encoder.last_key())
            .finish_non_exhaustive()
    }
}
