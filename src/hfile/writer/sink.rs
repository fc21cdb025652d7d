//! Writes the blocks of a new file one after the other.

use crate::block::writer::BlockWriter;
use crate::block::{BlockHandle, BlockType};
use crate::error::{Corruption, Error, Result};
use crate::io::NewFile;

/// The part of the file that has been written.
#[derive(Debug)]
pub(in crate::hfile) struct BlockSink {
    file: NewFile,
    blocks: BlockWriter,
    /// The offset of the next block.
    position: u64,
    /// The size of the blocks in bytes without compression, including headers but not checksums.
    plain_bytes: u64,
}

/// A block that has been written.
#[derive(Clone, Copy, Debug)]
pub(in crate::hfile) struct Written {
    pub(in crate::hfile) handle: BlockHandle,
    /// The size of its payload in bytes before compression.
    pub(in crate::hfile) plain_size: u64,
}

impl BlockSink {
    pub(super) fn new(file: NewFile, blocks: BlockWriter) -> Self {
        Self { file, blocks, position: 0, plain_bytes: 0 }
    }

    /// Writes a block whose payload is appended by `fill`.
    pub(in crate::hfile) fn write(
        &mut self,
        block_type: BlockType,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Written> {
        let offset = self.position;
        let block = self
            .blocks
            .finish(block_type, offset, fill)
            .map_err(|corruption| corruption.in_block(self.file.path(), offset, block_type.name()))?;
        let plain_size = block.plain_size as u64;
        // a header has 31 bits for the size of the rest of the block
        let on_disk_size = u32::try_from(block.bytes.len()).unwrap_or(u32::MAX);
        self.file.write_all(block.bytes)?;
        self.position += u64::from(on_disk_size);
        self.plain_bytes += plain_size + HEADER_LEN;
        Ok(Written { handle: BlockHandle { offset, on_disk_size }, plain_size })
    }

    /// As [`write`](Self::write), for a block that HBase does not count in the uncompressed bytes (hfile.md
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

const HEADER_LEN: u64 = crate::block::header::HEADER_LEN as u64;
