//! Builds stored blocks from payloads (hfile.md §6.4; HBase: `HFileBlock.Writer`).

use super::BlockType;
use super::checksum::{self, ChecksumType};
use super::codec::{Codec, Compressor};
use super::crypto::{self, BlockEncryptor};
use super::header::{BlockHeader, HEADER_LEN};
use crate::error::Corruption;
use std::fmt;
use std::mem;
use std::num::NonZeroU32;

/// Builds the blocks of one file, one after the other: compresses and, in an encrypted file, encrypts them,
/// adds a header and checksums, and links each block to the previous one of its type.
pub(crate) struct BlockWriter {
    compressor: Compressor,
    encryptor: Option<BlockEncryptor>,
    checksums: (ChecksumType, NonZeroU32),
    /// The offset of the last block of each type; -1 for none.
    last: [i64; BlockType::COUNT],
    /// The payload of the open block before compression.
    plain: Vec<u8>,
    /// The block as stored.
    stored: Vec<u8>,
}

/// A complete block, ready to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealedBlock<'a> {
    /// The whole block: header, payload, checksums.
    pub(crate) bytes: &'a [u8],
    /// The size in bytes of the payload before compression.
    pub(crate) plain_size: usize,
}

impl BlockWriter {
    /// Creates a writer of blocks with 33-byte headers. Each checksum covers `bytes_per_checksum` bytes.
    pub(crate) fn new(
        compressor: Compressor,
        encryptor: Option<BlockEncryptor>,
        checksum_type: ChecksumType,
        bytes_per_checksum: NonZeroU32,
    ) -> Self {
        Self {
            compressor,
            encryptor,
            checksums: (checksum_type, bytes_per_checksum),
            last: [-1; BlockType::COUNT],
            plain: Vec::new(),
            stored: Vec::new(),
        }
    }

    /// Builds the block at `offset`. `fill` appends the payload.
    ///
    /// # Errors
    ///
    /// If the block would have 2 GiB or more, or the codec fails.
    pub(crate) fn finish(
        &mut self,
        block_type: BlockType,
        offset: u64,
        fill: impl FnOnce(&mut Vec<u8>),
    ) -> Result<SealedBlock<'_>, Corruption> {
        let plain_size = if self.compressor.codec() == Codec::None {
            let room = self.room();
            self.stored.clear();
            self.stored.resize(room, 0);
            fill(&mut self.stored);
            self.stored.len() - room
        } else {
            let (mut plain, mut stored) = (mem::take(&mut self.plain), mem::take(&mut self.stored));
            plain.clear();
            fill(&mut plain);
            let compressed = self.compress(&plain, &mut stored);
            let plain_size = plain.len();
            (self.plain, self.stored) = (plain, stored);
            compressed.map(|()| plain_size)?
        };
        self.seal(block_type, offset, plain_size)
    }

    /// Builds the block at `offset` whose payload before compression had `plain_size` bytes. `compressed` is
    /// the result of [`compress`](Self::compress), and afterwards memory for another block.
    ///
    /// # Errors
    ///
    /// If the block would have 2 GiB or more.
    pub(crate) fn finish_compressed(
        &mut self,
        block_type: BlockType,
        offset: u64,
        compressed: &mut Vec<u8>,
        plain_size: usize,
    ) -> Result<SealedBlock<'_>, Corruption> {
        mem::swap(&mut self.stored, compressed);
        self.seal(block_type, offset, plain_size)
    }

    /// Sets `out` to a block's payload, after space for the header.
    ///
    /// # Errors
    ///
    /// If the codec fails.
    pub(crate) fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        let room = self.room();
        compress(&mut self.compressor, room, plain, out)
    }

    /// Returns the size in bytes of the part of a block before its payload.
    pub(crate) fn room(&self) -> usize {
        HEADER_LEN + self.encryptor.as_ref().map_or(0, |_| crypto::PREFIX_LEN)
    }

    /// Completes the block whose payload is in `stored`.
    fn seal(
        &mut self,
        block_type: BlockType,
        offset: u64,
        plain_size: usize,
    ) -> Result<SealedBlock<'_>, Corruption> {
        if let Some(encryptor) = &mut self.encryptor {
            encryptor.encrypt(block_type.is_data(), &mut self.stored, HEADER_LEN)?;
        }
        let sizes = (self.stored.len() - HEADER_LEN, plain_size);
        let last = &mut self.last[chain(block_type)];
        let header = BlockHeader::for_payload(block_type, sizes, *last, Some(self.checksums))?;
        *last = i64::try_from(offset).unwrap_or(i64::MAX);
        // the header is appended after the payload and then copied to its place
        let end = self.stored.len();
        header.write(&mut self.stored);
        self.stored.copy_within(end.., 0);
        self.stored.truncate(end);
        let (checksum_type, bytes_per_checksum) = self.checksums;
        checksum::append(&mut self.stored, 0, checksum_type, bytes_per_checksum);
        Ok(SealedBlock { bytes: &self.stored, plain_size })
    }
}

/// Like [`BlockWriter::compress`], with another compressor of the file.
pub(crate) fn compress(
    compressor: &mut Compressor,
    room: usize,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Corruption> {
    out.clear();
    out.resize(room, 0);
    compressor.compress(plain, out)
}

/// Returns the chain that blocks of a type belong to: data blocks share one, encoded or not.
fn chain(block_type: BlockType) -> usize {
    match block_type {
        BlockType::EncodedData => BlockType::Data as usize,
        other => other as usize,
    }
}

impl fmt::Debug for BlockWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockWriter")
            .field("compressor", &self.compressor)
            .field("encryptor", &self.encryptor)
            .field("checksums", &self.checksums)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::codec::{CompressorOptions, Decompressor};
    use crate::block::crypto::BlockCipher;
    use crate::block::decode::BlockContext;
    use crate::limits::Limits;
    use proptest::prelude::*;

    fn writer(codec: Codec, bytes_per_checksum: u32) -> BlockWriter {
        let compressor = Compressor::new(codec, &CompressorOptions::default()).unwrap();
        BlockWriter::new(compressor, None, ChecksumType::Crc32c, NonZeroU32::new(bytes_per_checksum).unwrap())
    }

    #[test]
    fn each_type_has_its_own_chain_and_data_blocks_share_one() {
        let mut blocks = writer(Codec::None, 16384);
        let mut previous = |block_type, offset| {
            let block = blocks.finish(block_type, offset, |out| out.push(1)).unwrap();
            BlockHeader::open(block.bytes, true, true).unwrap().prev_block_offset()
        };
        assert_eq!(previous(BlockType::Data, 0), -1);
        assert_eq!(previous(BlockType::LeafIndex, 50), -1);
        assert_eq!(previous(BlockType::EncodedData, 100), 0);
        assert_eq!(previous(BlockType::Data, 150), 100);
        assert_eq!(previous(BlockType::LeafIndex, 200), 50);
        assert_eq!(previous(BlockType::RootIndex, 250), -1);
        assert_eq!(previous(BlockType::RootIndex, 300), 250);
    }

    proptest! {
        #[test]
        fn sealed_blocks_read_back(
            payload: Vec<u8>,
            bytes_per_checksum in 1u32..100,
            compressed: bool,
            encrypted: bool,
        ) {
            let codec = if compressed && cfg!(feature = "gz") { Codec::Gz } else { Codec::None };
            let mut blocks = writer(codec, bytes_per_checksum);
            let cipher = if encrypted && cfg!(feature = "crypto") {
                let (key, master_key) = ([5; 16], [6; 32]);
                blocks.encryptor = Some(BlockEncryptor::new(&key, [[7; 16]; 2]).unwrap());
                let wrapped = crypto::wrap_key(&key, &master_key, [8; 16]).unwrap();
                Some(BlockCipher::unwrap(&wrapped, &master_key).unwrap())
            } else {
                None
            };
            let context = BlockContext {
                has_checksums: true,
                verify_checksums: true,
                decompressor: Decompressor::new(codec, None),
                cipher,
                limits: Limits::default(),
            };
            for offset in 0..2 {
                let block = blocks.finish(BlockType::Meta, offset, |out| out.extend_from_slice(&payload));
                let block = block.unwrap();
                prop_assert_eq!(block.plain_size, payload.len());
                let (header, stored) = context.check(block.bytes).unwrap();
                prop_assert_eq!(header.block_type(), BlockType::Meta);
                prop_assert_eq!(header.uncompressed_size_without_header() as usize, payload.len());
                let mut plain = Vec::new();
                context.expand(&header, &block.bytes[stored], &mut plain).unwrap();
                prop_assert_eq!(&plain, &payload);
            }
        }
    }
}
