//! One bzip2 stream per block (hfile.md §8.5).
#![warn(clippy::indexing_slicing)]

use super::plain::Plain;
use super::stream::{self, StreamProgress};
use super::{Codec, compressor};
use crate::error::Corruption;
use bzip2::{Action, Compress, Compression, Decompress, Status};

/// Decodes a stream of exactly the missing number of bytes; the library verifies its checksums.
pub(super) fn decode(payload: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
    let mut decoder = Decompress::new(false);
    stream::decode(Codec::Bzip2, payload, plain, |input, room| {
        let before = (decoder.total_in(), decoder.total_out());
        let status = decoder.decompress(input, room).map_err(refuse)?;
        let after = (decoder.total_in(), decoder.total_out());
        Ok(StreamProgress::between(before, after, status == Status::StreamEnd))
    })
    .map(drop)
}

pub(super) struct Encoder;

impl compressor::Encoder for Encoder {
    fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        let mut encoder = Compress::new(Compression::best(), 0);
        let mut rest = plain;
        loop {
            // bzip2's own bound: one percent and 600 bytes
            out.reserve(rest.len() + rest.len() / 100 + 600);
            let before = encoder.total_in();
            let status = encoder.compress_vec(rest, out, Action::Finish).map_err(refuse)?;
            let read = usize::try_from(encoder.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(read..).unwrap_or_default();
            if status == Status::StreamEnd {
                return Ok(());
            }
        }
    }
}

#[cold]
fn refuse(error: bzip2::Error) -> Corruption {
    Codec::Bzip2.refuses(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::codec::compressor::Encoder as _;

    #[test]
    fn an_empty_block_is_as_hadoop_writes_it() {
        let mut out = Vec::new();
        Encoder.encode(b"", &mut out).unwrap();
        assert_eq!(out, b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0");
    }
}
