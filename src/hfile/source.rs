//! Reads blocks of one file: checks and decodes them, and adds the location to every error.

use super::block_decoder::{BlockDecoder, DecodeBuffers, check_identity};
use super::read_ahead::{AheadBlock, ReadAhead};
use crate::block::data::{BlockOutline, DataBlock, DataFormat, PartSize};
use crate::block::decode::BlockContext;
use crate::block::{BlockHandle, BlockHeader, BlockType, Codec};
use crate::cell::CellOrder;
use crate::error::{Corruption, Error, Result};
use crate::io::FileReader;
use std::sync::Arc;

/// A file and the storage format of its blocks.
#[derive(Debug)]
pub(super) struct BlockSource {
    pub(super) reader: Arc<dyn FileReader>,
    /// Shared with the thread that decodes blocks ahead of a scan.
    pub(super) decoder: Arc<BlockDecoder>,
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
    /// The blocks after the current one that a long scan has read.
    pub(super) ahead: Option<Box<ReadAhead>>,
}

impl Buffers {
    /// Returns a block that was read ahead. If it was not decoded, its bytes are in `stored`.
    fn take_ahead(&mut self, handle: BlockHandle) -> Option<AheadBlock> {
        let Self { stored, encoded, spare, ahead } = self;
        ahead.as_mut()?.take(handle.offset, stored, encoded, spare)
    }
}

impl BlockSource {
    /// Creates a source for a file whose cells have about `average_cell` bytes.
    pub(super) fn new(
        reader: Arc<dyn FileReader>,
        context: BlockContext,
        format: DataFormat,
        average_cell: usize,
    ) -> Self {
        Self { reader, decoder: Arc::new(BlockDecoder { context, format, average_cell }) }
    }

    pub(super) fn context(&self) -> &BlockContext {
        &self.decoder.context
    }

    pub(super) fn format(&self) -> &DataFormat {
        &self.decoder.format
    }

    /// Reads a block of the expected type; returns its header and plain payload.
    pub(super) fn read(&self, handle: BlockHandle, expected: BlockType) -> Result<(BlockHeader, Vec<u8>)> {
        let mut stored = Vec::new();
        self.read_stored(handle, &mut stored)?;
        let at_block = |corruption: Corruption| self.error(corruption, handle.offset, expected);
        let (header, payload) = self.context().check(&stored).map_err(at_block)?;
        check_identity(&header, handle, expected).map_err(at_block)?;
        if self.context().is_plain() {
            stored.truncate(payload.end);
            stored.drain(..payload.start);
            return Ok((header, stored));
        }
        let mut plain = Vec::new();
        self.context().expand(&header, &stored[payload], &mut plain).map_err(at_block)?;
        Ok((header, plain))
    }

    /// Reads the bits of a chunk of a Bloom filter.
    pub(super) fn read_bloom_chunk(&self, handle: BlockHandle) -> Result<Vec<u8>> {
        let (_, bits) = self.read(handle, BlockType::BloomChunk)?;
        if bits.is_empty() {
            let corruption = Corruption::Malformed("Bloom chunk without bits");
            return Err(self.error(corruption, handle.offset, BlockType::BloomChunk));
        }
        Ok(bits)
    }

    /// Reads a data block. With an order, the block gets a seek index. Also returns the block's outline if a
    /// size for its parts is given and the block can have one.
    pub(super) fn read_data(
        &self,
        handle: BlockHandle,
        buffers: &mut Buffers,
        index: Option<CellOrder>,
        parts: Option<PartSize>,
    ) -> Result<(DataBlock, Option<BlockOutline>)> {
        let decoder = &*self.decoder;
        let expected = decoder.data_type();
        let at_block = |corruption: Corruption| self.error(corruption, handle.offset, expected);
        match buffers.take_ahead(handle) {
            Some(AheadBlock::Decoded(block)) => {
                let block = block.with_index(index).map_err(at_block)?;
                let parts = parts.filter(|_| decoder.keeps_buffer());
                let outline = parts.and_then(|size| BlockOutline::of(&block, size));
                return Ok((block, outline));
            }
            Some(AheadBlock::Stored) => {}
            Some(AheadBlock::Failed(error)) => return Err(error),
            None if decoder.keeps_buffer() => {
                self.check_len(handle)?;
                let mut out = std::mem::take(&mut buffers.spare);
                out.reserve(decoder.memory_for(handle.on_disk_size as usize, index));
                self.read_stored(handle, &mut out)?;
                let block = decoder.finish_in_place(handle, out, index).map_err(at_block)?;
                let outline = parts.and_then(|size| BlockOutline::of(&block, size));
                return Ok((block, outline));
            }
            None => self.read_stored(handle, &mut buffers.stored)?,
        }
        let (out, limit) = (std::mem::take(&mut buffers.spare), decoder.context.limits.block_bytes);
        let memory = DecodeBuffers { out, encoded: &mut buffers.encoded, limit };
        decoder.decode(handle, &buffers.stored, memory, index, parts).map_err(at_block)
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

    /// Returns the stored size of a block; fails if it exceeds the limit.
    fn check_len(&self, handle: BlockHandle) -> Result<usize> {
        let (len, limit) = (handle.on_disk_size as usize, self.context().limits.block_bytes);
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

    pub(super) fn codec(&self) -> Codec {
        self.context().decompressor.codec()
    }
}
