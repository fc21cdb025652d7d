//! Decodes the blocks of one file (hfile.md §6): verifies, decrypts, decompresses and decodes them.

use crate::block::data::{self, BlockOutline, DataBlock, DataFormat, Marks, PartSize, StoredCells, Trust};
use crate::block::decode::BlockContext;
use crate::block::{BlockHandle, BlockHeader, BlockType, DataBlockEncoding};
use crate::cell::CellOrder;
use crate::error::Corruption;

/// The storage format of the blocks of a file.
#[derive(Debug)]
pub(super) struct BlockDecoder {
    pub(super) context: BlockContext,
    pub(super) format: DataFormat,
    /// The average size of a cell in bytes, used to estimate the size of a seek index.
    pub(super) average_cell: usize,
}

impl BlockDecoder {
    /// Returns the type of the data blocks.
    pub(super) fn data_type(&self) -> BlockType {
        match self.format.encoding {
            DataBlockEncoding::None => BlockType::Data,
            _ => BlockType::EncodedData,
        }
    }

    /// Whether cells are stored plain, so that they can stay in the buffer they were read into.
    pub(super) fn keeps_buffer(&self) -> bool {
        self.context.is_plain() && self.format.keeps_cells_plain()
    }

    /// Finishes a data block whose cells are stored plain.
    pub(super) fn finish_in_place(
        &self,
        handle: BlockHandle,
        out: Vec<u8>,
        index: Option<CellOrder>,
    ) -> Result<DataBlock, Corruption> {
        let (header, payload) = self.context.check(&out)?;
        check_identity(&header, handle, self.data_type())?;
        let cells = data::plain_cells(&self.format, &out[payload.clone()])?;
        let cells = payload.start + cells.start..payload.start + cells.end;
        let block = DataBlock::new(out, cells, self.format.cells, Trust::Unchecked, index)?;
        Ok(block.with_prev_block_offset(header.prev_block_offset()).with_stored_cells())
    }

    /// Decrypts, decompresses and decodes a stored data block, in the buffer `out`. Also returns the block's
    /// outline if a size for its parts is given and the block can have one.
    pub(super) fn decode(
        &self,
        handle: BlockHandle,
        stored: &[u8],
        memory: DecodeBuffers<'_>,
        index: Option<CellOrder>,
        parts: Option<PartSize>,
    ) -> Result<(DataBlock, Option<BlockOutline>), Corruption> {
        let DecodeBuffers { mut out, encoded, limit } = memory;
        let (header, payload) = self.context.check(stored)?;
        check_identity(&header, handle, self.data_type())?;
        let at = payload.start;
        let payload = &stored[payload];
        let plain_len = header.uncompressed_size_without_header() as usize;
        out.clear();
        if self.format.keeps_cells_plain() {
            self.context.expand(&header, payload, &mut out)?;
            let cells = data::plain_cells(&self.format, &out)?;
            let block = DataBlock::new(out, cells, self.format.cells, Trust::Unchecked, index)?;
            return Ok((block.with_prev_block_offset(header.prev_block_offset()), None));
        }
        let encoded = if self.context.is_plain() {
            payload
        } else {
            encoded.clear();
            self.context.expand(&header, payload, encoded)?;
            encoded
        };
        out.reserve(self.memory_for(plain_len, index));
        let parts = parts.filter(|_| self.context.is_plain());
        let mut marks = Marks::default();
        let wanted = parts.is_some().then_some(&mut marks);
        let decoded = data::decode_delta(&self.format, encoded, limit, &mut out, wanted)?;
        let cells = 0..out.len();
        let block = DataBlock::new(out, cells, self.format.cells, Trust::Decoded(Some(decoded)), index)?;
        let block = block.with_prev_block_offset(header.prev_block_offset());
        let outline = parts.and_then(|size| {
            let stored = StoredCells { format: self.format, bytes: encoded, at, marks: &marks };
            BlockOutline::of_delta(&block, &stored, size)
        });
        Ok((block, outline))
    }

    /// Estimates the memory of a block with `cells` bytes of cells.
    pub(super) fn memory_for(&self, cells: usize, index: Option<CellOrder>) -> usize {
        let entries = if index.is_some() { cells / self.average_cell * 4 } else { 0 };
        cells + entries + entries / 16 + 64
    }
}

/// The memory in which a block is decoded.
pub(super) struct DecodeBuffers<'b> {
    /// Becomes the block's memory.
    pub(super) out: Vec<u8>,
    /// For the decompressed payload, still encoded.
    pub(super) encoded: &'b mut Vec<u8>,
    /// The maximum size of the cells of an encoded block in bytes.
    pub(super) limit: usize,
}

/// Checks that a block has the type and size that the index gives.
pub(super) fn check_identity(
    header: &BlockHeader,
    handle: BlockHandle,
    expected: BlockType,
) -> Result<(), Corruption> {
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
