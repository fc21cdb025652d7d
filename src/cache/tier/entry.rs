//! A block as the second tier stores it: its bytes, followed by a footer with a checksum.

use crate::block::data::DataBlock;
use crate::cache::BlockKey;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// A block read from the second tier, whose checksum is right. Its cells have not been checked.
#[derive(Debug)]
pub(crate) struct TierBlock {
    pub(crate) bytes: Vec<u8>,
    pub(crate) cells: Range<usize>,
    pub(crate) prev_block_offset: i64,
    /// Whether the stored block has these cells, unchanged, at these offsets.
    pub(crate) as_stored: bool,
}

/// The length of a footer: the file, the offset there, the offset of the previous block, the number of bytes,
/// the start of the cells with the flag in its highest bit, and the checksum; all little-endian.
const FOOTER: usize = 48;

const AS_STORED: u64 = 1 << 63;

/// Returns the length of a block in the file.
pub(super) fn len(block: &DataBlock) -> u64 {
    (block.content().0.len() + FOOTER) as u64
}

/// Replaces `out` by the stored form of a block.
pub(super) fn write(key: &BlockKey, block: &DataBlock, out: &mut Vec<u8>) {
    let (bytes, start, as_stored) = block.content();
    out.clear();
    out.reserve(bytes.len() + FOOTER);
    out.extend_from_slice(bytes);
    let start = start as u64 | if as_stored { AS_STORED } else { 0 };
    let numbers =
        [key.file.0, key.offset, block.prev_block_offset().cast_unsigned(), bytes.len() as u64, start];
    numbers.iter().for_each(|number| put(out, *number));
    let sum = xxh3_64(out);
    put(out, sum);
}

#[expect(clippy::little_endian_bytes, reason = "the format of the footer")]
fn put(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Returns the block of a key, or `None` if the bytes are not those that were written for it.
pub(super) fn read(key: &BlockKey, mut stored: Vec<u8>) -> Option<TierBlock> {
    let summed = stored.len().checked_sub(8)?;
    let len = stored.len().checked_sub(FOOTER)?;
    #[expect(clippy::little_endian_bytes, reason = "the format of the footer")]
    let numbers = stored.get(len..)?.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let numbers: [u64; 6] = numbers.collect::<Vec<_>>().try_into().ok()?;
    let [file, offset, prev, of_len, start, sum] = numbers;
    if sum != xxh3_64(stored.get(..summed)?) || (file, offset, of_len) != (key.file.0, key.offset, len as u64)
    {
        return None;
    }
    let cells = usize::try_from(start & !AS_STORED).ok()?..len;
    if cells.start > cells.end {
        return None;
    }
    stored.truncate(len);
    let as_stored = start & AS_STORED != 0;
    Some(TierBlock { bytes: stored, cells, prev_block_offset: prev.cast_signed(), as_stored })
}
