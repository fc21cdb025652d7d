//! Raw Snappy, which contains its plain size (hfile.md §8.2).
#![warn(clippy::indexing_slicing)]

use super::plain::Plain;
use super::{Codec, compressor};
use crate::error::Corruption;
use snap::raw;

/// The upper bound of the compression ratio: a copy of three bytes produces 64.
const MAX_RATIO: usize = 22;

pub(super) fn decode(chunk: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
    let len = raw::decompress_len(chunk).map_err(refuse)?;
    if len > plain.left() || len > chunk.len().saturating_mul(MAX_RATIO) {
        return Err(Codec::Snappy.refuses(format!(
            "{len} plain bytes in a chunk of {} where {} are missing",
            chunk.len(),
            plain.left()
        )));
    }
    let written = raw::Decoder::new().decompress(chunk, plain.room(len)).map_err(refuse)?;
    plain.advance(written);
    Ok(())
}

pub(super) struct Encoder(raw::Encoder);

impl Encoder {
    pub(super) fn new() -> Self {
        Self(raw::Encoder::new())
    }
}

impl compressor::Encoder for Encoder {
    fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        compressor::append(out, raw::max_compress_len(plain.len()), |room| {
            self.0.compress(plain, room).map_err(refuse)
        })
    }
}

#[cold]
fn refuse(error: snap::Error) -> Corruption {
    Codec::Snappy.refuses(error.to_string())
}
