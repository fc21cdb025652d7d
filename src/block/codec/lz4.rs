//! LZ4 blocks, without the header of LZ4 frames (hfile.md §8.2).
#![warn(clippy::indexing_slicing)]

use super::plain::Plain;
use super::{Codec, compressor};
use crate::error::Corruption;
use lz4_flex::block;

/// The upper bound of the compression ratio: each byte of a match's length adds 255.
const MAX_RATIO: usize = 255;

pub(super) fn decode(chunk: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
    let room = plain.room(chunk.len().saturating_mul(MAX_RATIO));
    let written = block::decompress_into(chunk, room).map_err(|e| Codec::Lz4.refuses(e.to_string()))?;
    plain.advance(written);
    Ok(())
}

pub(super) struct Encoder;

impl compressor::Encoder for Encoder {
    fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        compressor::append(out, block::get_maximum_output_size(plain.len()), |room| {
            block::compress_into(plain, room).map_err(|e| Codec::Lz4.refuses(e.to_string()))
        })
    }
}
