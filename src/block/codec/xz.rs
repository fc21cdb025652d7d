//! LZMA "alone" streams (hfile.md §8.5).
//!
//! | offset | bytes | field                                            |
//! |-------:|------:|--------------------------------------------------|
//! |      0 |     1 | properties: lc, lp, pb                           |
//! |      1 |     4 | size of the dictionary, little-endian            |
//! |      5 |     8 | plain size, little-endian; -1: an end marker     |
//! |     13 |       | range-coded bytes                                |
#![warn(clippy::indexing_slicing)]

use super::plain::Plain;
use super::stream::{self, StreamProgress};
use super::{Codec, compressor};
use crate::coding::Cursor;
use crate::error::Corruption;
use liblzma::stream::{Action, LzmaOptions, Status, Stream};

/// The upper bound of the compression ratio: with adapted probabilities, a match of 273 bytes takes at least
/// 0.31 bits.
const MAX_RATIO: usize = 8192;

/// The memory that the decoder needs besides the dictionary, generously estimated.
const STATE_BYTES: u64 = 8 << 20;

#[expect(clippy::little_endian_bytes, reason = "LZMA is little-endian")]
pub(super) fn decode(chunk: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
    let mut input = Cursor::new(chunk);
    let properties = input.u8("LZMA header")?;
    let dictionary = u32::from_le_bytes(input.array("LZMA header")?);
    let size = input.array::<8>("LZMA header")?;

    // The decoder allocates the whole dictionary. References cannot go back further than the total of all
    // plain bytes, so a smaller dictionary suffices for a valid stream, and an invalid one fails.
    let useful = plain.left().min(chunk.len().saturating_mul(MAX_RATIO)).max(4096);
    let dictionary = dictionary.min(u32::try_from(useful).unwrap_or(u32::MAX));
    let mut header = [0; 13];
    let [first, rest @ ..] = &mut header;
    *first = properties;
    for (to, from) in rest.iter_mut().zip(dictionary.to_le_bytes().into_iter().chain(size)) {
        *to = from;
    }

    let mut decoder = Stream::new_lzma_decoder(u64::from(dictionary) + STATE_BYTES).map_err(refuse)?;
    // liblzma reads nothing if the output buffer is empty, although a header produces no output
    decoder.process(&header, &mut [0], Action::Run).map_err(refuse)?;
    if decoder.total_in() != header.len() as u64 || decoder.total_out() != 0 {
        return Err(Codec::Lzma.refuses("not an LZMA header"));
    }
    stream::decode(Codec::Lzma, input.rest(), plain, |input, room| {
        let before = (decoder.total_in(), decoder.total_out());
        let status = decoder.process(input, room, Action::Run).map_err(refuse)?;
        let after = (decoder.total_in(), decoder.total_out());
        Ok(StreamProgress::between(before, after, status == Status::StreamEnd))
    })
    .map(drop)
}

pub(super) struct Encoder;

impl compressor::Encoder for Encoder {
    fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        // 6 is the default in HBase, but with a dictionary no larger than a chunk can use
        let mut options = LzmaOptions::new_preset(6).map_err(refuse)?;
        options.dict_size(u32::try_from(plain.len()).unwrap_or(u32::MAX).clamp(1 << 16, 8 << 20));
        let mut encoder = Stream::new_lzma_encoder(&options).map_err(refuse)?;
        let mut rest = plain;
        loop {
            out.reserve(rest.len() + rest.len() / 3 + 128);
            let before = encoder.total_in();
            let status = encoder.process_vec(rest, out, Action::Finish).map_err(refuse)?;
            let read = usize::try_from(encoder.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(read..).unwrap_or_default();
            if status == Status::StreamEnd {
                return Ok(());
            }
        }
    }
}

#[cold]
fn refuse(error: liblzma::stream::Error) -> Corruption {
    Codec::Lzma.refuses(error.to_string())
}
