//! Where the blocks of a new file go, one behind the other.

use crate::block::writer::BlockWriter;
use crate::block::{BlockHandle, BlockType};
use crate::error::{Corruption, Error, Result};
use crate::io::NewFile;

/// The file as far as it has been written.
#[derive(Debug)]
pub(in crate::hfile) struct BlockSink {
    file: NewFile,
    blocks: BlockWriter,
    /// Where the next block goes.
    position: u64,
    /// The bytes that the blocks would have without compression, headers included, checksums not.
    plain_bytes: u64,
}

/// A block that has been written.
#[derive(Clone, Copy, Debug)]
pub(in crate::hfile) struct Written {
    pub(in crate::hfile) handle: BlockHandle,
    /// The bytes of its payload before it was compressed.
    pub(in crate::hfile) plain_size: u64,
}

impl BlockSink {
    pub(super) fn new(file: NewFile, blocks: BlockWriter) -> Self {
        Self { file, blocks, position: 0, plain_bytes: 0 }
    }

    /// Writes a block whose payload is what `fill` appends.
    pub(in crate::hfile) fn write(
        &mut self,
        block_type: BlockType,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Written> {
        let offset = self.position;
        let block = self
            .blocks
            .seal(block_type, offset, fill)
            .map_err(|corruption| corruption.in_block(self.file.path(), offset, block_type.name()))?;
        let plain_size = block.plain_size as u64;
        // a header counts what is behind it with 31 bits
        let on_disk_size = u32::try_from(block.bytes.len()).unwrap_or(u32::MAX);
        self.file.write_all(block.bytes)?;
        self.position += u64::from(on_disk_size);
        self.plain_bytes += plain_size + HEADER_LEN;
        Ok(Written { handle: BlockHandle { offset, on_disk_size }, plain_size })
    }

    /// As [`write`](Self::write), but HBase does not count it among the uncompressed bytes (hfile.md §5.1).
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

    /// Where the next block goes.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The bytes of all blocks that count, before compression, with their headers.
    pub(super) fn plain_bytes(&self) -> u64 {
        self.plain_bytes
    }

    /// An error about what would be written next.
    pub(in crate::hfile) fn error(&self, corruption: Corruption) -> Error {
        corruption.at(self.file.path(), self.position)
    }

    /// Writes the trailer and makes the file last. Returns its length.
    pub(super) fn finish(mut self, trailer: &[u8]) -> Result<u64> {
        self.file.write_all(trailer)?;
        self.file.keep()?;
        Ok(self.position + trailer.len() as u64)
    }
}

const HEADER_LEN: u64 = crate::block::header::HEADER_LEN as u64;
