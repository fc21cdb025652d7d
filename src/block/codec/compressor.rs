//! Compresses the plain bytes of a block into its payload.

use super::{Codec, framing};
use crate::error::Corruption;
use std::fmt;
use std::sync::Arc;

/// Encodes one run of a codec: all of `plain` into one independent stream or block.
pub(super) trait Encoder: Send {
    /// Appends the encoded form of `plain` to `out`.
    fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption>;
}

/// The writer's options for a codec. The defaults match HBase's default classes.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompressorOptions {
    /// Writes ZSTD in Hadoop's framing, which HBase's own codec classes use, instead of the bare frames of
    /// Hadoop's class. Neither class can read the other's format.
    pub(crate) zstd_framed: bool,
    /// The dictionary for ZSTD. The file contains only its id; readers also need the dictionary.
    pub(crate) zstd_dictionary: Option<Arc<[u8]>>,
}

/// Compresses the payloads of blocks.
pub(crate) struct Compressor {
    codec: Codec,
    /// `None` if bytes are stored uncompressed.
    encoder: Option<Box<dyn Encoder>>,
    /// The maximum number of plain bytes in a chunk, if the codec is framed.
    max_chunk: Option<usize>,
}

impl Compressor {
    /// Creates a compressor for `codec`. Fails if the codec is not built in, or if the dictionary is invalid.
    pub(crate) fn new(codec: Codec, options: &CompressorOptions) -> Result<Self, Corruption> {
        let encoder = encoder(codec, options)?;
        Ok(Self { codec, encoder, max_chunk: max_chunk(codec, options.zstd_framed) })
    }

    /// Creates a compressor that panics.
    #[cfg(test)]
    pub(crate) fn panicking(codec: Codec) -> Self {
        struct Panicking;
        impl Encoder for Panicking {
            fn encode(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), Corruption> {
                panic!("a panic that the writer survives")
            }
        }
        Self { codec, encoder: Some(Box::new(Panicking)), max_chunk: None }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends the payload for the bytes `plain` to `out`.
    ///
    /// Blocks that grow are stored compressed nevertheless, as in HBase (hfile.md §6.4).
    pub(crate) fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        let Some(encoder) = &mut self.encoder else {
            out.extend_from_slice(plain);
            return Ok(());
        };
        match self.max_chunk {
            None => encoder.encode(plain, out),
            Some(max) => framing::encode(plain, max, out, |chunk, out| encoder.encode(chunk, out)),
        }
    }

    /// Like [`compress`](Self::compress), for a value of a log: without the empty group after several chunks.
    /// HBase before HBASE-28390 treats it as the next part of the entry; later versions read it if present
    /// (HBase: `CompressionContext.ValueCompressor`).
    pub(crate) fn compress_value(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        match (&mut self.encoder, self.max_chunk) {
            (Some(encoder), Some(max)) => {
                framing::encode_group(plain, max, out, |chunk, out| encoder.encode(chunk, out))
            }
            _ => self.compress(plain, out),
        }
    }
}

fn encoder(codec: Codec, options: &CompressorOptions) -> Result<Option<Box<dyn Encoder>>, Corruption> {
    // only used by ZSTD
    let _ = &options.zstd_dictionary;
    codec.require()?;
    Ok(match codec {
        #[cfg(feature = "lzo")]
        Codec::Lzo => Some(Box::new(super::lzo::Encoder::new())),
        #[cfg(feature = "gz")]
        Codec::Gz => Some(Box::new(super::gz::Encoder::new())),
        #[cfg(feature = "snappy")]
        Codec::Snappy => Some(Box::new(super::snappy::Encoder::new())),
        #[cfg(feature = "lz4")]
        Codec::Lz4 => Some(Box::new(super::lz4::Encoder)),
        #[cfg(feature = "bzip2")]
        Codec::Bzip2 => Some(Box::new(super::bzip2::Encoder)),
        #[cfg(feature = "zstd")]
        Codec::Zstd => Some(Box::new(super::zstd::Encoder::new(options.zstd_dictionary.as_deref())?)),
        #[cfg(feature = "xz")]
        Codec::Lzma => Some(Box::new(super::xz::Encoder)),
        #[cfg(feature = "brotli")]
        Codec::Brotli => Some(Box::new(super::brotli::Encoder)),
        // NONE: codecs that are not built in were rejected above
        _ => None,
    })
}

/// Returns the chunk sizes of HBase's and Hadoop's codec classes with their default buffers (hfile.md §8.2).
///
/// The classes based on aircompressor cannot decode a chunk with more plain bytes than their buffer holds: 64
/// KiB for LZO, and 256 KiB for the others. LZO chunks have the size that its class writes, which hadoop-lzo
/// can also read; hadoop-lzo itself would write 245,693 bytes.
fn max_chunk(codec: Codec, zstd_framed: bool) -> Option<usize> {
    const BUFFER: usize = 256 << 10;
    const LZO_BUFFER: usize = 64 << 10;
    match codec {
        Codec::Snappy | Codec::Brotli | Codec::Lzma => Some(BUFFER - (BUFFER / 6 + 32)),
        Codec::Lz4 => Some(BUFFER - (BUFFER / 255 + 16)),
        Codec::Lzo => Some(LZO_BUFFER - (LZO_BUFFER / 6 + 32)),
        Codec::Zstd if zstd_framed => Some(BUFFER - 1024),
        Codec::Zstd | Codec::Gz | Codec::Bzip2 | Codec::None => None,
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// Appends up to `at_most` bytes: `fill` writes to a buffer of that size and returns the number of bytes
/// written.
#[cfg(any(feature = "snappy", feature = "lz4", feature = "zstd", feature = "lzo"))]
pub(super) fn append(
    out: &mut Vec<u8>,
    at_most: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, Corruption>,
) -> Result<(), Corruption> {
    let start = out.len();
    out.resize(start + at_most, 0);
    let result = fill(out.get_mut(start..).unwrap_or_default());
    out.truncate(start + result.as_ref().map_or(0, |written| *written));
    result.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_of_hadoops_sizes() {
        assert_eq!(max_chunk(Codec::Snappy, false), Some(218_422));
        assert_eq!(max_chunk(Codec::Lz4, false), Some(261_100));
        assert_eq!(max_chunk(Codec::Lzo, false), Some(54_582));
        assert_eq!(max_chunk(Codec::Zstd, true), Some(261_120));
        assert_eq!(max_chunk(Codec::Zstd, false), None);
    }
}
