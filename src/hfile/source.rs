//! Reads blocks of one file: checks and decodes them, and adds the location to every error.

use crate::block::data::{self, BlockOutline, DataBlock, DataFormat, StoredCells, Trust};
use crate::block::decode::BlockContext;
use crate::block::{BlockHandle, BlockHeader, BlockType, Codec, DataBlockEncoding};
use crate::cell::CellOrder;
use crate::error::{Corruption, Error, Result};
use crate::io::FileReader;
use std::sync::Arc;

/// A file and the storage format of its blocks.
#[derive(Debug)]
pub(super) struct BlockSource {
    pub(super) reader: Arc<dyn FileReader>,
    pub(super) context: BlockContext,
    pub(super) format: DataFormat,
    /// The average size of a cell in bytes, used to estimate the size of a seek index.
    pub(super) average_cell: usize,
}

/// Buffers for reading and decoding, reused from block to block.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The block as stored.
    pub(super) stored: Vec<u8>,
    /// The decompressed payload, still encoded.
    encoded: Vec<u8>,
    /// The buffer for the next data block.
    pub(super) spare: Vec<u8>,
}

impl BlockSource {
    /// Reads a block of the expected type; returns its header and plain payload.
    pub(super) fn read(&self, handle: BlockHandle, expected: BlockType) -> Result<(BlockHeader, Vec<u8>)> {
        let mut stored = Vec::new();
        self.read_stored(handle, &mut stored)?;
        let at_block = |corruption: Corruption| self.error(corruption, handle.offset, expected);
        let (header, payload) = self.context.check(&stored).map_err(at_block)?;
        check_identity(&header, handle, expected).map_err(at_block)?;
        if self.context.is_plain() {
            stored.truncate(payload.end);
            stored.drain(..payload.start);
            return Ok((header, stored));
        }
        let mut plain = Vec::new();
        self.context.expand(&header, &stored[payload], &mut plain).map_err(at_block)?;
        Ok((header, plain))
    }

    /// Reads a data block. With an order, the block gets a seek index. If `outline` is given, it becomes the
    /// block's outline, if it can have one.
    pub(super) fn read_data(
        &self,
        handle: BlockHandle,
        buffers: &mut Buffers,
        index: Option<CellOrder>,
        outline: Option<&mut Option<BlockOutline>>,
    ) -> Result<DataBlock> {
        let expected = match self.format.encoding {
            DataBlockEncoding::None => BlockType::Data,
            _ => BlockType::EncodedData,
        };
        self.check_len(handle)?;
        let mut out = std::mem::take(&mut buffers.spare);
        if self.context.is_plain() && self.format.keeps_cells_plain() {
            out.reserve(self.memory_for(handle.on_disk_size as usize, index));
            self.read_stored(handle, &mut out)?;
            self.finish_in_place(handle, expected, out, index).inspect(|block| {
                if let Some(outline) = outline {
                    *outline = BlockOutline::of(block);
                }
            })
        } else {
            self.read_stored(handle, &mut buffers.stored)?;
            self.finish_decoded(handle, expected, buffers, out, index, outline)
        }
        .map_err(|corruption| self.error(corruption, handle.offset, expected))
    }

    /// Finishes a block whose cells are stored plain: they stay in the buffer they were read into.
    fn finish_in_place(
        &self,
        handle: BlockHandle,
        expected: BlockType,
        out: Vec<u8>,
        index: Option<CellOrder>,
    ) -> Result<DataBlock, Corruption> {
        let (header, payload) = self.context.check(&out)?;
        check_identity(&header, handle, expected)?;
        let cells = data::plain_cells(&self.format, &out[payload.clone()])?;
        let cells = payload.start + cells.start..payload.start + cells.end;
        let block = DataBlock::new(out, cells, self.format.cells, Trust::Unchecked, index)?;
        Ok(block.with_prev_block_offset(header.prev_block_offset()).with_stored_cells())
    }

    /// Finishes a block whose cells must be decrypted, decompressed or decoded.
    fn finish_decoded(
        &self,
        handle: BlockHandle,
        expected: BlockType,
        buffers: &mut Buffers,
        mut out: Vec<u8>,
        index: Option<CellOrder>,
        outline: Option<&mut Option<BlockOutline>>,
    ) -> Result<DataBlock, Corruption> {
        let (header, payload) = self.context.check(&buffers.stored)?;
        check_identity(&header, handle, expected)?;
        let at = payload.start;
        let payload = &buffers.stored[payload];
        let plain_len = header.uncompressed_size_without_header() as usize;
        out.clear();
        if self.format.keeps_cells_plain() {
            self.context.expand(&header, payload, &mut out)?;
            let cells = data::plain_cells(&self.format, &out)?;
            let block = DataBlock::new(out, cells, self.format.cells, Trust::Unchecked, index)?;
            return Ok(block.with_prev_block_offset(header.prev_block_offset()));
        }
        let encoded = if self.context.is_plain() {
            payload
        } else {
            buffers.encoded.clear();
            self.context.expand(&header, payload, &mut buffers.encoded)?;
            &buffers.encoded
        };
        out.reserve(self.memory_for(plain_len, index));
        let outline = outline.filter(|_| self.context.is_plain());
        let (limit, mut marks) = (self.context.limits.block_bytes, Vec::new());
        let wanted = outline.is_some().then_some(&mut marks);
        let decoded = data::decode_delta(&self.format, encoded, limit, &mut out, wanted)?;
        let cells = 0..out.len();
        let block = DataBlock::new(out, cells, self.format.cells, Trust::Decoded(Some(decoded)), index)?;
        let block = block.with_prev_block_offset(header.prev_block_offset());
        if let Some(outline) = outline {
            let stored = StoredCells { format: self.format, bytes: encoded, at, marks: &marks };
            *outline = BlockOutline::of_delta(&block, &stored);
        }
        Ok(block)
    }

    /// Fills `out` with a block as stored.
    pub(super) fn read_stored(&self, handle: BlockHandle, out: &mut Vec<u8>) -> Result<()> {
        let len = self.check_len(handle)?;
        // existing bytes are overwritten, so only the bytes by which the buffer grows are zeroed
        out.resize(len, 0);
        self.reader
            .read_exact_at(out, handle.offset)
            .map_err(|error| Error::io("read", self.reader.path(), error))
    }

    /// The stored size of a block, if it is within the limit.
    fn check_len(&self, handle: BlockHandle) -> Result<usize> {
        let (len, limit) = (handle.on_disk_size as usize, self.context.limits.block_bytes);
        if len <= limit {
            return Ok(len);
        }
        let (value, limit) = (len as u64, limit as u64);
        let corruption = Corruption::Limit { what: "stored size of a block", value, limit };
        Err(corruption.at(self.reader.path(), handle.offset))
    }

    pub(super) fn error(&self, corruption: Corruption, offset: u64, block: BlockType) -> Error {
        corruption.in_block(self.reader.path(), offset, block.name())
    }

    fn memory_for(&self, cells: usize, index: Option<CellOrder>) -> usize {
        let entries = if index.is_some() { cells / self.average_cell * 4 } else { 0 };
        cells + entries + entries / 16 + 64
    }

    pub(super) fn codec(&self) -> Codec {
        self.context.decompressor.codec()
    }
}

/// Checks that a block has the type and size that the index gives.
fn check_identity(header: &BlockHeader, handle: BlockHandle, expected: BlockType) -> Result<(), Corruption> {
    if header.block_type() != expected {
        return Err(Corruption::BadMagic {
            what: "block type",
            expected: expected.name(),
            found: header.block_type().magic(),
        });
    }
    if header.total_size() as u64 != u64::from(handle.on_disk_size) {
        return Err(Corruption::Mismatch {
            what: "size of the block, by the index",
            expected: handle.on_disk_size.into(),
            found: i64::try_from(header.total_size()).unwrap_or(i64::MAX),
        });
    }
    Ok(())
}
