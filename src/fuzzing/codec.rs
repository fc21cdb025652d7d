//! Compressed payloads.

use super::input::Input;
use crate::block::Codec;
use crate::block::codec::{Compressor, CompressorOptions, Decompressor};

/// Checks the framing and every built-in codec: decompression returns exactly the requested number of bytes
/// or none, and compressed bytes are restored.
///
/// A byte of choices: the codec's ordinal in the low four bits, then whether to compress, and whether to
/// frame ZSTD. Two bytes: the number of plain bytes requested. The rest is the payload, and the plain bytes
/// to compress.
pub fn codec(input: &[u8]) {
    let mut input = Input::new(input);
    let choice = input.byte();
    let plain_len = usize::from(input.u16());
    let Some(codec) = Codec::from_ordinal(u32::from(choice & 0xf)) else { return };
    let decompressor = Decompressor::new(codec, None);
    let mut out = b"before".to_vec();
    let start = out.len();
    match decompressor.decompress(input.rest(), plain_len, &mut out) {
        Ok(()) => assert_eq!(out.len(), start + plain_len),
        Err(_) => assert_eq!(out, b"before"),
    }
    assert!(out.starts_with(b"before"));
    if let Ok(plain) = codec.decompress_stream(input.rest(), plain_len) {
        assert!(plain.len() <= plain_len);
    }
    if choice & 0x10 != 0 {
        there_and_back(codec, choice & 0x20 != 0, input.rest(), &decompressor);
    }
}

fn there_and_back(codec: Codec, zstd_framed: bool, plain: &[u8], decompressor: &Decompressor) {
    let options = CompressorOptions { zstd_framed, zstd_dictionary: None };
    let Ok(mut compressor) = Compressor::new(codec, &options) else { return };
    let mut payload = Vec::new();
    compressor.compress(plain, &mut payload).expect("any bytes can be compressed");
    let mut back = Vec::new();
    decompressor.decompress(&payload, plain.len(), &mut back).expect("what was compressed");
    assert!(back == plain, "{codec:?}");
    // more bytes requested than exist
    back.clear();
    assert!(decompressor.decompress(&payload, plain.len() + 1, &mut back).is_err());
    assert!(back.is_empty());
}
