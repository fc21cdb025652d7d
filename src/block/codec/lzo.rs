//! LZO1X, without any lzop header (hfile.md §8.5).
#![warn(clippy::indexing_slicing)]

use super::plain::Plain;
use super::{Codec, compressor};
use crate::error::Corruption;
use lzokay::compress::{Dict, compress_no_alloc, compress_worst_size};

/// The upper bound of the compression ratio: each zero byte of a length adds 255.
const MAX_RATIO: usize = 255;

pub(super) fn decode(chunk: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
    let room = plain.room(chunk.len().saturating_mul(MAX_RATIO));
    let written = lzokay::decompress::decompress(chunk, room).map_err(refuse)?;
    plain.advance(written);
    Ok(())
}

pub(super) struct Encoder(Box<Dict>);

impl Encoder {
    pub(super) fn new() -> Self {
        Self(Dict::new())
    }
}

impl compressor::Encoder for Encoder {
    fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        compressor::append(out, compress_worst_size(plain.len()), |room| {
            compress_no_alloc(plain, room, &mut self.0).map_err(refuse)
        })
    }
}

#[cold]
fn refuse(error: lzokay::Error) -> Corruption {
    Codec::Lzo.refuses(error.to_string())
}
