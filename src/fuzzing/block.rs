//! A block as stored.

use super::input::Input;
use crate::block::checksum;
use crate::block::codec::Decompressor;
use crate::block::decode::BlockContext;
use crate::block::header::{BlockSizes, header_len};
use crate::block::{BlockHeader, BlockType, ChecksumType};
use crate::limits::Limits;
use std::num::NonZeroU32;

/// Checks header and checksums of a block: a block that opens is written back to the same bytes, and a
/// written block opens, unless one of its bits is flipped.
///
/// The first byte chooses whether there are checksums; the rest is the block.
pub fn block(input: &[u8]) {
    let mut input = Input::new(input);
    let choice = input.byte();
    open(input.rest(), choice & 1 == 0);
    seal(&mut input);
}

fn open(stored: &[u8], has_checksums: bool) {
    if let Ok(header) = BlockHeader::parse(stored, has_checksums) {
        rewritten(&header, stored, has_checksums);
        let whole = stored.get(..header.total_size());
        assert!(whole.is_none_or(|whole| BlockHeader::open(whole, has_checksums, false) == Ok(header)));
    }
    // nothing may panic, with or without checksums
    let _ = BlockHeader::open(stored, has_checksums, false);
    if let Ok(sizes) = BlockSizes::parse(stored, has_checksums) {
        let _ = checksum::verify(stored, &sizes);
    }
    let context = BlockContext {
        has_checksums,
        verify_checksums: true,
        decompressor: Decompressor::default(),
        cipher: None,
        limits: Limits::default().with_block_bytes(LIMIT),
    };
    let Ok((header, payload)) = context.check(stored) else { return };
    assert_eq!((header.total_size(), payload), (stored.len(), header.payload()));
    assert!(header.uncompressed_size_without_header() as usize <= LIMIT);
    let mut again = Vec::new();
    header.write(&mut again);
    again.extend_from_slice(&stored[header.payload()]);
    if let (Some(checksum_type), Some(per_sum)) = (header.checksum_type(), header.bytes_per_checksum()) {
        checksum::append(
            &mut again,
            0,
            checksum_type,
            NonZeroU32::new(per_sum).expect("a sum covers a byte"),
        );
    }
    assert!(again == stored);
}

const LIMIT: usize = 1 << 16;

/// Checks that the header is written as it was read, and that its sizes match the payload.
fn rewritten(header: &BlockHeader, stored: &[u8], has_checksums: bool) {
    let mut written = Vec::new();
    header.write(&mut written);
    assert_eq!(written.len(), header_len(has_checksums));
    assert!(stored.starts_with(&written));
    let sums = header.checksum_type().zip(header.bytes_per_checksum().and_then(NonZeroU32::new));
    let sizes = (header.payload_size(), header.uncompressed_size_without_header() as usize);
    let made = BlockHeader::for_payload(header.block_type(), sizes, header.prev_block_offset(), sums);
    assert_eq!(made, Ok(*header));
}

/// Seals any bytes as a payload with checksums, opens the block, and then flips one of its bits.
fn seal(input: &mut Input<'_>) {
    let checksum_type = input.choose(&[ChecksumType::Crc32, ChecksumType::Crc32c]);
    let per_sum = NonZeroU32::new(u32::from(input.u16()) + 1).expect("at least one");
    let flip = input.u16();
    let payload = input.rest();
    let sizes = (payload.len(), payload.len());
    let header = BlockHeader::for_payload(BlockType::Data, sizes, -1, Some((checksum_type, per_sum)));
    let header = header.expect("an input is small");
    let mut stored = Vec::new();
    header.write(&mut stored);
    stored.extend_from_slice(payload);
    checksum::append(&mut stored, 0, checksum_type, per_sum);
    assert_eq!(BlockHeader::open(&stored, true, true), Ok(header));
    let at = usize::from(flip >> 3) % stored.len();
    stored[at] ^= 1 << (flip & 7);
    assert!(BlockHeader::open(&stored, true, true).is_err(), "a flipped bit went unnoticed");
}
