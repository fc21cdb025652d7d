//! Decodes stored blocks into plain payloads (hfile.md §6.4, in reverse).
#![warn(clippy::indexing_slicing)]

use super::BlockHeader;
use super::codec::{Codec, Decompressor};
use super::crypto::BlockCipher;
use super::header::header_len;
use crate::error::Corruption;
use crate::limits::Limits;
use std::borrow::Cow;
use std::ops::Range;

/// The properties common to all blocks of a file.
#[derive(Debug)]
pub(crate) struct BlockContext {
    /// Whether blocks have checksums and 33-byte headers; otherwise headers have 24 bytes.
    pub(crate) has_checksums: bool,
    /// Whether to verify the checksums.
    pub(crate) verify_checksums: bool,
    pub(crate) decompressor: Decompressor,
    pub(crate) cipher: Option<BlockCipher>,
    pub(crate) limits: Limits,
}

impl BlockContext {
    pub(crate) fn header_len(&self) -> usize {
        header_len(self.has_checksums)
    }

    /// Checks a whole stored block. Returns the header and the range of the stored payload.
    ///
    /// The checksums are verified first: no other field of the header is trusted before.
    pub(crate) fn check(&self, stored: &[u8]) -> Result<(BlockHeader, Range<usize>), Corruption> {
        let header = BlockHeader::open(stored, self.has_checksums, self.verify_checksums)?;
        let payload = header.payload();
        let plain_len = header.uncompressed_size_without_header() as usize;
        if self.is_plain() && payload.len() != plain_len {
            return Err(Corruption::Mismatch {
                what: "plain size of an uncompressed block",
                expected: i64::try_from(payload.len()).unwrap_or(i64::MAX),
                found: i64::try_from(plain_len).unwrap_or(i64::MAX),
            });
        }
        if plain_len > self.limits.block_bytes {
            return Err(Corruption::Limit {
                what: "plain size of a block",
                value: plain_len as u64,
                limit: self.limits.block_bytes as u64,
            });
        }
        Ok((header, payload))
    }

    /// Whether payloads are neither compressed nor encrypted.
    pub(crate) fn is_plain(&self) -> bool {
        self.cipher.is_none() && self.decompressor.codec() == Codec::None
    }

    /// Appends the plain form of a stored payload to `out`.
    pub(crate) fn expand(
        &self,
        header: &BlockHeader,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Corruption> {
        let plain_len = header.uncompressed_size_without_header() as usize;
        self.decompressor.decompress(&self.decrypt(payload)?, plain_len, out)
    }

    /// Returns the compressed form of a stored payload: the payload itself unless the file is encrypted.
    pub(crate) fn decrypt<'p>(&self, payload: &'p [u8]) -> Result<Cow<'p, [u8]>, Corruption> {
        let Some(cipher) = &self.cipher else { return Ok(Cow::Borrowed(payload)) };
        let mut decrypted = Vec::new();
        cipher.decrypt(payload, &mut decrypted)?;
        Ok(Cow::Owned(decrypted))
    }
}
