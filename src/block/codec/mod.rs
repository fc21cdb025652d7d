//! Compression of blocks (hfile.md §8; HBase: `Compression.Algorithm`).
//!
//! Each codec has a file here and a feature of the crate. Shared parts: [`plain`], an output buffer that
//! never exceeds the declared size; `stream`, for libraries that decode incrementally; [`framing`], Hadoop's
//! framing; `pool`, for contexts that are expensive to create.

mod compressor;
mod decompressor;
mod framing;
mod plain;
#[cfg(any(feature = "gz", feature = "zstd"))]
mod pool;
#[cfg(any(feature = "gz", feature = "bzip2", feature = "brotli", feature = "xz"))]
mod stream;

#[cfg(feature = "brotli")]
mod brotli;
#[cfg(feature = "bzip2")]
mod bzip2;
#[cfg(feature = "gz")]
mod gz;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "lzo")]
mod lzo;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "xz")]
mod xz;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(test)]
mod tests;

use crate::error::Corruption;
pub use crate::schema::Codec;
use std::borrow::Cow;

pub(crate) use compressor::{Compressor, CompressorOptions};
pub(crate) use decompressor::{Decompressor, is_bare_zstd};

impl Codec {
    /// Returns the plain bytes, at most `max`, of a Hadoop stream, the form in which HBase's servers compress
    /// cells for clients that request it. The stream does not contain their number.
    ///
    /// # Errors
    ///
    /// If the codec is not built in, or is not ZSTD or one with Hadoop's framing; if the bytes are not such a
    /// stream, or it has more plain bytes.
    pub fn decompress_stream(self, stream: &[u8], max: usize) -> Result<Vec<u8>, Corruption> {
        Decompressor::new(self, None).decompress_stream(stream, max)
    }

    /// Fails unless the codec is built in.
    pub(crate) fn require(self) -> Result<(), Corruption> {
        let (built_in, hint) = match self {
            Self::None => return Ok(()),
            Self::Lzo => (cfg!(feature = "lzo"), "build with the feature `lzo`"),
            Self::Gz => (cfg!(feature = "gz"), "build with the feature `gz`"),
            Self::Snappy => (cfg!(feature = "snappy"), "build with the feature `snappy`"),
            Self::Lz4 => (cfg!(feature = "lz4"), "build with the feature `lz4`"),
            Self::Bzip2 => (cfg!(feature = "bzip2"), "build with the feature `bzip2`"),
            Self::Zstd => (cfg!(feature = "zstd"), "build with the feature `zstd`"),
            Self::Lzma => (cfg!(feature = "xz"), "build with the feature `xz`"),
            Self::Brotli => (cfg!(feature = "brotli"), "build with the feature `brotli`"),
        };
        match built_in {
            true => Ok(()),
            false => {
                Err(Corruption::Unsupported { what: "codec", name: self.name().into(), hint: Some(hint) })
            }
        }
    }

    /// Returns the error for bytes that the codec's library rejects.
    #[cold]
    fn refuses(self, message: impl Into<Cow<'static, str>>) -> Corruption {
        Corruption::Codec { codec: self.name(), message: message.into() }
    }
}
