//! An open file: its metadata and access to its cells (hfile.md §13; HBase: `HFile.Reader`).

use super::bloom::BloomFilter;
use super::index::IndexPath;
use super::open::open;
use super::options::HFileOptions;
use super::reader_core::ReaderCore;
use super::row_lookup::{LookupStart, RowLookup};
use super::scanner::{HFileScanner, ReversedHFileScanner};
use super::verify::VerifyReport;
use super::{FileInfo, Trailer};
use crate::block::bloom::HashedRow;
use crate::block::codec::is_bare_zstd;
use crate::block::index::Children;
use crate::block::{BlockHandle, BlockHeader, BlockType, Codec, DataBlockEncoding};
use crate::cache::CacheFill;
use crate::cell::{CellKey, CellOrder, SeekKey};
use crate::error::{Corruption, Error, Result};
use crate::io::FileReader;
use bytes::Bytes;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// An open HFile (HBase: `HFile.Reader`).
///
/// Opening reads, checks and keeps the trailer and the load-on-open section; data is read by a
/// [scanner](Self::scanner). Cheap to clone, and safe to share between threads.
#[derive(Clone)]
pub struct HFile(Arc<ReaderCore>);

impl HFile {
    /// Opens a file with the default [options](Self::options).
    ///
    /// # Errors
    ///
    /// Same as [`HFileOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Returns the options for opening a file.
    #[must_use]
    pub fn options() -> HFileOptions {
        HFileOptions::new()
    }

    pub(super) fn from_reader(reader: Arc<dyn FileReader>, options: &HFileOptions) -> Result<Self> {
        Ok(Self(Arc::new(open(reader, options)?)))
    }

    /// Returns the file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the file's length in bytes.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.0.source.reader.len()
    }

    /// Returns the trailer.
    #[must_use]
    pub fn trailer(&self) -> &Trailer {
        &self.0.trailer
    }

    /// Returns the file info.
    #[must_use]
    pub fn file_info(&self) -> &FileInfo {
        &self.0.info
    }

    /// Returns the number of cells, as recorded in the trailer.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.0.trailer.entry_count()
    }

    /// Returns the encoding of the data blocks.
    #[must_use]
    pub fn data_block_encoding(&self) -> DataBlockEncoding {
        self.0.source.format().encoding
    }

    /// Returns the compression codec of the blocks.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.0.source.codec()
    }

    /// Whether blocks compressed by Zstandard have Hadoop's framing, according to the first data block.
    /// `None` for another codec, and for a file without cells. See
    /// [`HFileWriterOptions::zstd_framed`](super::HFileWriterOptions::zstd_framed).
    ///
    /// # Errors
    ///
    /// If the block cannot be read or is damaged.
    pub fn zstd_framed(&self) -> Result<Option<bool>> {
        if self.codec() != Codec::Zstd || self.entry_count() == 0 {
            return Ok(None);
        }
        if let Some(framed) = self.0.zstd_framed.get() {
            return Ok(Some(*framed));
        }
        let Some(handle) = self.first_data_block(0)? else { return Ok(None) };
        let (source, mut stored) = (&self.0.source, Vec::new());
        source.read_stored(handle, &mut stored)?;
        let context = source.context();
        let framed = context.check(&stored).and_then(|(_, payload)| {
            let payload = stored.get(payload).unwrap_or_default();
            Ok(!is_bare_zstd(&context.decrypt(payload)?))
        });
        let framed = framed.map_err(|corruption| source.error(corruption, handle.offset, BlockType::Data))?;
        Ok(Some(*self.0.zstd_framed.get_or_init(|| framed)))
    }

    /// Returns the order of the cells; `None` if the file's comparator is unknown. Such a file can be
    /// scanned, but not searched.
    #[must_use]
    pub fn order(&self) -> Option<CellOrder> {
        self.0.order
    }

    /// Returns the order of the cells.
    ///
    /// # Errors
    ///
    /// If the file's comparator is unknown.
    pub(crate) fn known_order(&self) -> Result<CellOrder> {
        self.0.known_order()
    }

    /// Whether cells have a sequence id.
    #[must_use]
    pub fn has_seq_ids(&self) -> bool {
        self.0.source.format().cells.mvcc
    }

    /// Whether cells may have tags.
    #[must_use]
    pub fn has_tags(&self) -> bool {
        self.0.source.format().cells.tags
    }

    /// Whether some cell has tags, according to the file info. Reads do not rely on this.
    pub(crate) fn stores_tags(&self) -> bool {
        self.has_tags() && self.0.info.max_tags_len() != Ok(Some(0))
    }

    /// Returns the key of the first cell; `None` in an empty file.
    #[must_use]
    pub fn first_key(&self) -> Option<&CellKey> {
        self.0.root.key(0)
    }

    /// Returns the key of the last cell; `None` in an empty file.
    #[must_use]
    pub fn last_key(&self) -> Option<&CellKey> {
        self.0.last_key.as_deref()
    }

    /// Returns the index key of the middle data block, at whose row HBase would split the file; `None` in an
    /// empty file.
    ///
    /// # Errors
    ///
    /// If an index block is needed and cannot be read.
    pub fn mid_key(&self) -> Result<Option<SeekKey>> {
        self.0.mid_key()
    }

    /// Returns the number of levels of the data index: 1 if the root's entries are data blocks.
    #[must_use]
    pub fn index_levels(&self) -> u32 {
        self.0.levels
    }

    /// Returns the entries of the data index's root: the first key below each entry, and its block's handle.
    pub fn root_index(&self) -> impl ExactSizeIterator<Item = (&CellKey, BlockHandle)> {
        let root = &*self.0.root;
        (0..root.len()).map(|i| root.key(i).zip(root.handle(i)).expect("below the length"))
    }

    /// Returns the handle of the first data block below an entry of the root; `None` if the entry does not
    /// exist.
    ///
    /// # Errors
    ///
    /// If an index block is needed and cannot be read.
    pub fn first_data_block(&self, entry: usize) -> Result<Option<BlockHandle>> {
        let mut path = IndexPath::new(&self.0.root);
        path.first_below(&self.0, entry)?;
        Ok(path.handle())
    }

    /// Returns the entries of an index block: the first key below each, and the handle of its block. `path`
    /// has the number of an entry of the root, then of an entry of the block below that, and so on; an empty
    /// path is the root. `None` if the path does not lead to an index block.
    ///
    /// # Errors
    ///
    /// If an index block on the path cannot be read or is damaged.
    pub fn index_entries(&self, path: &[usize]) -> Result<Option<Vec<(SeekKey, BlockHandle)>>> {
        let mut block = Arc::clone(&self.0.root);
        for (level, &entry) in (1..).zip(path) {
            if entry >= block.len() || !matches!(block.children(), Children::Index(_)) {
                return Ok(None);
            }
            block = self.0.index_child(&block, entry, level, CacheFill::Nothing)?;
        }
        let entries = (0..block.len()).filter_map(|i| block.key(i).zip(block.handle(i)));
        Ok(Some(entries.map(|(key, handle)| (SeekKey::from(key), handle)).collect()))
    }

    /// Returns the names of the meta blocks, in order.
    pub fn meta_block_names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.meta_blocks.iter().map(|(name, _)| name.as_slice())
    }

    /// Returns the contents of a meta block; `None` if there is no such block.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is damaged.
    pub fn meta_block(&self, name: &[u8]) -> Result<Option<Bytes>> {
        let blocks = &self.0.meta_blocks;
        match blocks.get(blocks.partition_point(|(found, _)| found.as_slice() < name)) {
            Some((found, handle)) if found == name => self.0.meta_block(*handle).map(Some),
            _ => Ok(None),
        }
    }

    /// Returns the Bloom filter of rows, columns or prefixes, if the file has a valid one.
    #[must_use]
    pub fn general_bloom(&self) -> Option<&BloomFilter> {
        self.0.general_bloom.as_ref()
    }

    /// Returns the Bloom filter of rows with a delete-family marker, if the file has a valid one.
    #[must_use]
    pub fn delete_family_bloom(&self) -> Option<&BloomFilter> {
        self.0.delete_family_bloom.as_ref()
    }

    /// Whether the file may have cells of `row`, according to its Bloom filter. True if the filter cannot
    /// decide.
    ///
    /// A filter found to be damaged is no longer used, and [reported](Self::warnings).
    #[inline]
    #[must_use]
    pub fn may_contain_row(&self, row: &[u8]) -> bool {
        self.may_contain_hashed(&mut HashedRow::new(row))
    }

    /// Like [`may_contain_row`](Self::may_contain_row), for a row whose hash is shared by lookups in several
    /// files.
    #[inline]
    pub(crate) fn may_contain_hashed(&self, row: &mut HashedRow<'_>) -> bool {
        self.0.general_bloom.as_ref().is_none_or(|bloom| bloom.may_contain_row(&self.0, row))
    }

    /// Whether the file may have cells of a column, or a marker that deletes the row, according to its Bloom
    /// filter. True if the filter cannot decide.
    #[must_use]
    pub fn may_contain_column(&self, row: &[u8], qualifier: &[u8]) -> bool {
        self.0.general_bloom.as_ref().is_none_or(|bloom| bloom.may_contain_column(&self.0, row, qualifier))
    }

    /// Whether the file may have a marker that deletes a family of `row`. True if this cannot be decided.
    #[must_use]
    pub fn may_contain_delete_family(&self, row: &[u8]) -> bool {
        if matches!(self.0.info.delete_family_count(), Ok(Some(0))) {
            return false;
        }
        let mut row = HashedRow::new(row);
        self.0.delete_family_bloom.as_ref().is_none_or(|bloom| bloom.may_contain_row(&self.0, &mut row))
    }

    /// Returns faults that do not prevent reading the file: an unusable filter, an unknown comparator.
    #[must_use]
    pub fn warnings(&self) -> Vec<Error> {
        self.0.warnings().clone()
    }

    /// Iterates over the headers of all blocks and their offsets, from the start of the file to the trailer.
    /// Reads the headers only. If one cannot be read or is damaged, the error is the last item.
    pub fn block_headers(&self) -> impl Iterator<Item = Result<(u64, BlockHeader)>> {
        self.block_headers_from(0)
    }

    /// Like [`block_headers`](Self::block_headers), from the block at an offset on.
    pub fn block_headers_from(&self, offset: u64) -> impl Iterator<Item = Result<(u64, BlockHeader)>> {
        let mut at = Some(offset);
        std::iter::from_fn(move || {
            let offset = at.filter(|&at| at < self.0.trailer.offset())?;
            let header = self.0.block_header(offset);
            at = header.as_ref().ok().map(|header| offset + header.total_size() as u64);
            Some(header.map(|header| (offset, header)))
        })
    }

    /// Returns the block at an offset: its header, and its payload after checking, decryption and
    /// decompression. The payload of a data block is still encoded.
    ///
    /// # Errors
    ///
    /// If there is no block at `offset`, or it is damaged.
    pub fn block(&self, offset: u64) -> Result<(BlockHeader, Bytes)> {
        if offset >= self.0.trailer.offset() {
            return Err(Error::invalid_argument(format!(
                "there is no block at {offset}: blocks end where the trailer begins"
            )));
        }
        let header = self.0.block_header(offset)?;
        let on_disk_size = u32::try_from(header.total_size()).unwrap_or(u32::MAX);
        let available = self.0.trailer.offset() - offset;
        if u64::from(on_disk_size) > available {
            let corruption = Corruption::Truncated { what: "block", needed: on_disk_size.into(), available };
            return Err(self.0.source.error(corruption, offset, header.block_type()));
        }
        let (header, payload) =
            self.0.source.read(BlockHandle { offset, on_disk_size }, header.block_type())?;
        Ok((header, Bytes::from(payload)))
    }

    /// Begins to look up the cells of a row: searches the index. `None` if an index block is not cached.
    #[inline(always)] // the result is large: this constructs it in place
    pub(crate) fn begin_lookup<'f>(&'f self, row: &'f [u8]) -> Option<LookupStart<'f>> {
        self.0.begin(row, self.0.order?)
    }

    /// Looks up the cells of a row, as far as blocks, or their outlines, are in the cache. Adds to
    /// `partial_reads` for each block of which a part was read.
    #[inline(always)] // as `begin_lookup`
    pub(crate) fn locate<'f>(
        &'f self,
        start: Option<LookupStart<'f>>,
        row: &'f [u8],
        partial_reads: &mut u64,
    ) -> RowLookup<'f> {
        match (start, self.0.order) {
            (Some(start), Some(order)) => self.0.locate(start, row, order, partial_reads),
            _ => RowLookup::NotCached,
        }
    }

    /// Returns a new scanner, which is not positioned yet.
    #[must_use]
    pub fn scanner(&self) -> HFileScanner<'_> {
        HFileScanner::new(&self.0)
    }

    /// Returns a new scanner that moves backward from row to row, not positioned yet.
    pub(crate) fn reversed_scanner(&self) -> ReversedHFileScanner<'_> {
        ReversedHFileScanner::new(self.scanner())
    }

    /// Reads and checks the whole file again, and lists every fault.
    ///
    /// # Errors
    ///
    /// Only if the file cannot be read at all.
    pub fn verify(&self, options: &HFileOptions) -> Result<VerifyReport> {
        options.verify_reader(Arc::clone(&self.0.source.reader))
    }
}

impl fmt::Debug for HFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HFile")
            .field("path", &self.path())
            .field("cells", &self.entry_count())
            .field("encoding", &self.data_block_encoding())
            .field("codec", &self.codec())
            .finish_non_exhaustive()
    }
}
