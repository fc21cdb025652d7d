//! Writes the blocks of a new file one after the other.

use super::pipeline::{CompressedBlock, Failure, Pipeline};
use crate::block::codec::Compressor;
use crate::block::writer::{BlockWriter, SealedBlock};
use crate::block::{BlockHandle, BlockType};
use crate::error::{Corruption, Error, Result};
use crate::io::NewFile;
use crate::limits::Limits;
use std::io;

/// The part of the file that has been written.
#[derive(Debug)]
pub(in crate::hfile) struct BlockSink {
    file: NewFile,
    blocks: BlockWriter,
    /// The offset of the next block.
    position: u64,
    /// The size of the blocks in bytes without compression, including headers but not checksums.
    plain_bytes: u64,
    /// Data blocks that are not written yet.
    pipeline: Option<Pipeline>,
    /// The maximum size of a block in bytes.
    max_block: u64,
    /// The same for each block that is read when the file is opened.
    max_load_on_open: u64,
}

/// A block that has been written.
#[derive(Clone, Copy, Debug)]
pub(in crate::hfile) struct Written {
    pub(in crate::hfile) handle: BlockHandle,
    /// The size of its payload in bytes before compression.
    pub(in crate::hfile) plain_size: u64,
}

impl BlockSink {
    pub(super) fn new(file: NewFile, blocks: BlockWriter, limits: &Limits) -> Self {
        let max_block = limits.block_bytes as u64;
        let max_load_on_open = max_block.min(limits.load_on_open_bytes as u64);
        Self { file, blocks, position: 0, plain_bytes: 0, pipeline: None, max_block, max_load_on_open }
    }

    /// Lets another thread compress up to `limit` bytes of data blocks, with a compressor of its own.
    pub(super) fn begin_pipeline(&mut self, compressor: Compressor, limit: usize) {
        self.pipeline = Pipeline::new(compressor, &self.blocks, limit);
    }

    /// Whether data blocks are written later than they are added.
    pub(super) fn has_pipeline(&self) -> bool {
        self.pipeline.is_some()
    }

    #[cfg(test)]
    pub(super) fn pipeline(&self) -> Option<&Pipeline> {
        self.pipeline.as_ref()
    }

    /// Queues a data block, whose payload is appended by `fill`, for writing.
    pub(super) fn push(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.push(fill);
        }
    }

    /// Whether [`write_first`](Self::write_first) must be called before another data block is added.
    pub(super) fn is_full(&self) -> bool {
        self.pipeline.as_ref().is_some_and(Pipeline::is_full)
    }

    /// Writes the first queued data block. `None` if there is none.
    pub(super) fn write_first(&mut self, block_type: BlockType) -> Result<Option<Written>> {
        let Self { file, blocks, pipeline: Some(pipeline), .. } = self else { return Ok(None) };
        let Some(block) = pipeline.take(blocks) else { return Ok(None) };
        let offset = self.position;
        let in_block = |corruption: Corruption| corruption.in_block(file.path(), offset, block_type.name());
        let mut block = block.map_err(|failure| match failure {
            Failure::Codec(corruption) => in_block(corruption),
            Failure::Panic => {
                let error = io::Error::other("the thread that compresses its blocks has panicked");
                Error::io("write", file.path(), error)
            }
        })?;
        let CompressedBlock { stored, plain_size, .. } = &mut block;
        let sealed = blocks.finish_compressed(block_type, offset, stored, *plain_size).map_err(in_block)?;
        let written = put(file, &mut self.position, &mut self.plain_bytes, sealed)?;
        pipeline.reuse(block);
        self.check_size(block_type, written).map(|()| Some(written))
    }

    /// Writes a block whose payload is appended by `fill`. All data blocks added before must be written.
    pub(in crate::hfile) fn write(
        &mut self,
        block_type: BlockType,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Written> {
        let Self { file, blocks, position, plain_bytes, .. } = self;
        let offset = *position;
        let block = blocks
            .finish(block_type, offset, fill)
            .map_err(|corruption| corruption.in_block(file.path(), offset, block_type.name()))?;
        let written = put(file, position, plain_bytes, block)?;
        self.check_size(block_type, written).map(|()| written)
    }

    /// Fails if a reader with the same limits would refuse a block.
    fn check_size(&self, block_type: BlockType, written: Written) -> Result<()> {
        let Written { handle, plain_size } = written;
        let (value, limit) = match block_type {
            // read together, within a limit of their own
            BlockType::RootIndex
            | BlockType::FileInfo
            | BlockType::GeneralBloomMeta
            | BlockType::DeleteFamilyBloomMeta => (plain_size, self.max_load_on_open),
            // as stored, a block has its header and its checksums
            _ => (plain_size.max(handle.on_disk_size.into()), self.max_block),
        };
        if value <= limit {
            return Ok(());
        }
        let corruption = Corruption::Limit { what: "size of a block", value, limit };
        Err(corruption.in_block(self.file.path(), handle.offset, block_type.name()))
    }

    /// Like [`write`](Self::write), for a block that HBase does not count in the uncompressed bytes (hfile.md
    /// §5.1).
    pub(super) fn write_uncounted(
        &mut self,
        block_type: BlockType,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Written> {
        let counted = self.plain_bytes;
        let written = self.write(block_type, fill)?;
        self.plain_bytes = counted;
        Ok(written)
    }

    /// Returns the offset of the next block.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the size in bytes of all counted blocks before compression, with their headers.
    pub(super) fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// Returns an error at the current position.
    pub(in crate::hfile) fn error(&self, corruption: Corruption) -> Error {
        corruption.at(self.file.path(), self.position)
    }

    /// Writes the trailer and makes the file permanent. Returns its length.
    pub(super) fn finish(mut self, trailer: &[u8]) -> Result<u64> {
        self.file.write_all(trailer)?;
        self.file.persist()?;
        Ok(self.position + trailer.len() as u64)
    }
}

/// Appends a block to the file.
fn put(
    file: &mut NewFile,
    position: &mut u64,
    plain_bytes: &mut u64,
    block: SealedBlock<'_>,
) -> Result<Written> {
    let (offset, plain_size) = (*position, block.plain_size as u64);
    // a header has 31 bits for the size of the block without its header
    let on_disk_size = u32::try_from(block.bytes.len()).unwrap_or(u32::MAX);
    file.write_all(block.bytes)?;
    *position += u64::from(on_disk_size);
    *plain_bytes += plain_size + HEADER_LEN;
    Ok(Written { handle: BlockHandle { offset, on_disk_size }, plain_size })
}

const HEADER_LEN: u64 = crate::block::header::HEADER_LEN as u64;
