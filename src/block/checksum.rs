//! The checksums after a block's payload (hfile.md §6.3; HBase: `ChecksumUtil`).
#![warn(clippy::indexing_slicing)]

use super::header::BlockSizes;
use crate::error::Corruption;
use crate::hash::checksum::{crc32, crc32c};
use std::num::NonZeroU32;

/// The size in bytes of a stored checksum.
pub(crate) const SUM_LEN: usize = 4;

/// The algorithm of a block's checksums (HBase: `ChecksumType`, `hbase.hstore.checksum.algorithm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ChecksumType {
    /// No checksums; the slots exist and are zero.
    Null = 0,
    /// CRC32 as in zlib.
    Crc32 = 1,
    /// CRC32C (Castagnoli).
    Crc32c = 2,
}

impl ChecksumType {
    /// Returns the type with this code; `None` for an unknown code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Null,
            1 => Self::Crc32,
            2 => Self::Crc32c,
            _ => return None,
        })
    }

    /// Returns the stored code.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Returns HBase's name: `NULL`, `CRC32`, `CRC32C`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
        }
    }

    /// Returns the checksum of one chunk: the expected contents of its slot.
    #[inline]
    fn sum(self, chunk: &[u8]) -> u32 {
        match self {
            Self::Null => 0,
            Self::Crc32 => crc32(chunk),
            Self::Crc32c => crc32c(chunk),
        }
    }
}

/// Compares every checksum of a block with the bytes it covers. `block` is the whole block, from header to
/// checksums.
///
/// Checksums of type NULL must be zero, as HBase writes them: one flipped bit turns the other types into NULL
/// (hfile.md §17.1).
pub(crate) fn verify(block: &[u8], sizes: &BlockSizes) -> Result<(), Corruption> {
    let Some((checksum_type, bytes_per_checksum)) = sizes.checksums() else { return Ok(()) };
    let (needed, available) = (sizes.total_size(), block.len());
    let Some((data, sums)) = block.get(..needed).and_then(|block| block.split_at_checked(sizes.data_size()))
    else {
        return Err(Corruption::Truncated {
            what: "block",
            needed: needed as u64,
            available: available as u64,
        });
    };
    // `sizes` guarantees one slot per chunk, so no chunk is skipped
    let (slots, _) = sums.as_chunks::<SUM_LEN>();
    let chunks = data.chunks(bytes_per_checksum.get() as usize);
    debug_assert_eq!(slots.len(), chunks.len());
    for (i, (chunk, slot)) in (0..).zip(chunks.zip(slots)) {
        let (stored, computed) = (u32::from_be_bytes(*slot), checksum_type.sum(chunk));
        if stored != computed {
            return Err(Corruption::Checksum { chunk: i, stored, computed });
        }
    }
    Ok(())
}

/// Appends the checksums of the block whose header and payload are at `start..` of `out`.
pub(crate) fn append(
    out: &mut Vec<u8>,
    start: usize,
    checksum_type: ChecksumType,
    bytes_per_checksum: NonZeroU32,
) {
    let per_sum = bytes_per_checksum.get() as usize;
    let end = out.len();
    let mut at = start;
    while at < end {
        let to = at.saturating_add(per_sum).min(end);
        let sum = out.get(at..to).map_or(0, |chunk| checksum_type.sum(chunk));
        out.extend_from_slice(&sum.to_be_bytes());
        at = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BlockType;
    use crate::block::header::{BlockHeader, HEADER_LEN};
    use proptest::prelude::*;

    fn seal(payload: &[u8], checksum_type: ChecksumType, bytes_per_checksum: u32) -> Vec<u8> {
        let per_sum = NonZeroU32::new(bytes_per_checksum).unwrap();
        let sizes = (payload.len(), payload.len());
        let header = BlockHeader::for_payload(BlockType::Meta, sizes, -1, Some((checksum_type, per_sum)));
        let mut out = b"before".to_vec();
        header.unwrap().write(&mut out);
        out.extend_from_slice(payload);
        append(&mut out, 6, checksum_type, per_sum);
        out.split_off(6)
    }

    fn checksum_type() -> impl Strategy<Value = ChecksumType> {
        (0u8..3).prop_map(|code| ChecksumType::from_code(code).unwrap())
    }

    /// The empty meta index of a file written by HBase, GZ.
    const ROOT_INDEX: &[u8] =
        b"IDXROOT2\0\0\0\x18\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x02\0\0\x40\0\0\0\0\x35\
        \x1f\x8b\x08\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0";

    #[test]
    fn a_block_of_hbase_is_sealed_as_hbase_did() {
        let mut block = ROOT_INDEX.to_vec();
        append(&mut block, 0, ChecksumType::Crc32c, NonZeroU32::new(16384).unwrap());
        assert_eq!(block[ROOT_INDEX.len()..], [0xe9, 0x31, 0xe1, 0x70]);
        assert!(BlockHeader::open(&block, true, true).is_ok());
    }

    #[test]
    fn a_wrong_chunk_is_named() {
        let mut block = seal(&[7; 1000], ChecksumType::Crc32, 100);
        block[250] ^= 1;
        let error = BlockHeader::open(&block, true, true).unwrap_err();
        assert!(matches!(error, Corruption::Checksum { chunk: 2, .. }), "{error}");
        assert!(BlockHeader::open(&block, true, false).is_ok());
    }

    #[test]
    fn null_takes_any_payload_but_no_sums() {
        let mut block = seal(&[7; 100], ChecksumType::Null, 60);
        assert_eq!(block.len(), HEADER_LEN + 100 + 3 * SUM_LEN);
        block[40] ^= 1;
        assert!(BlockHeader::open(&block, true, true).is_ok());
        block[HEADER_LEN + 100 + 5] = 1;
        let error = BlockHeader::open(&block, true, true).unwrap_err();
        assert_eq!(error, Corruption::Checksum { chunk: 1, stored: 0x1_0000, computed: 0 });
    }

    #[test]
    fn a_checksum_speaks_before_the_magic() {
        let mut block = seal(b"payload", ChecksumType::Crc32c, 16384);
        block[0] ^= 1;
        let error = BlockHeader::open(&block, true, true).unwrap_err();
        assert!(matches!(error, Corruption::Checksum { chunk: 0, .. }), "{error}");
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_caught(
            payload: Vec<u8>,
            checksum_type in checksum_type(),
            per_sum in 1u32..200,
            bit: prop::sample::Index,
        ) {
            let mut block = seal(&payload, checksum_type, per_sum);
            prop_assert!(BlockHeader::open(&block, true, true).is_ok());
            let bit = bit.index(block.len() * 8);
            block[bit / 8] ^= 1 << (bit % 8);
            let flipped = BlockHeader::open(&block, true, true);
            prop_assert!(flipped.is_err() || checksum_type == ChecksumType::Null);
            prop_assert!(BlockHeader::open(&block[1..], true, true).is_err());
        }

        #[test]
        fn slots_are_the_sums_of_the_chunks(payload: Vec<u8>, per_sum in 1usize..200) {
            let block = seal(&payload, ChecksumType::Crc32c, per_sum.try_into().unwrap());
            let (data, sums) = block.split_at(HEADER_LEN + payload.len());
            let mut slots = Vec::new();
            for chunk in data.chunks(per_sum) {
                slots.extend_from_slice(&crc32c(chunk).to_be_bytes());
            }
            prop_assert_eq!(sums, slots);
        }
    }
}
