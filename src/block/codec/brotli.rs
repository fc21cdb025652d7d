//! Brotli streams (hfile.md §8.5).
#![warn(clippy::indexing_slicing)]

use super::plain::Plain;
use super::stream::{self, StreamProgress};
use super::{Codec, compressor};
use crate::error::Corruption;
use brotli::enc::{BrotliEncoderParams, StandardAlloc};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

pub(super) fn decode(chunk: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
    // strict mode: windows of at most 16 MiB, the maximum of RFC 7932; otherwise two bytes could request a
    // window of 1 GiB
    let mut state =
        BrotliState::new_strict(StandardAlloc::default(), StandardAlloc::default(), StandardAlloc::default());
    let mut total = 0;
    stream::decode(Codec::Brotli, chunk, plain, |input, room| {
        let (mut read, mut written) = (0, 0);
        let result = BrotliDecompressStream(
            &mut input.len().clone(),
            &mut read,
            input,
            &mut room.len().clone(),
            &mut written,
            room,
            &mut total,
            &mut state,
        );
        match result {
            BrotliResult::ResultFailure => Err(Codec::Brotli.refuses("not a Brotli stream")),
            BrotliResult::ResultSuccess => Ok(StreamProgress { read, written, ended: true }),
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {
                Ok(StreamProgress { read, written, ended: false })
            }
        }
    })
    .map(drop)
}

pub(super) struct Encoder;

impl compressor::Encoder for Encoder {
    fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        // 6 is the default in HBase
        let params = BrotliEncoderParams { quality: 6, size_hint: plain.len(), ..Default::default() };
        let mut input = plain;
        brotli::BrotliCompress(&mut input, out, &params)
            .map(drop)
            .map_err(|e| Codec::Brotli.refuses(e.to_string()))
    }
}
