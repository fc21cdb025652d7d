//! Compression of blocks (hfile.md §8; HBase: `Compression.Algorithm`).
//!
//! One file a codec, each a feature of the crate. What they share is around them: [`plain`], where the
//! bytes come out, never more than promised; `stream`, for libraries that decode piece by piece;
//! [`framing`], Hadoop's; `pool`, for contexts that are dear to make.

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
use std::borrow::Cow;

pub(crate) use compressor::{Compressor, CompressorOptions};
pub(crate) use decompressor::Decompressor;

/// How the blocks of a file are compressed.
///
/// The file holds the ordinal only; which codec class wrote it is not recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// LZO1X, in Hadoop's framing.
    Lzo,
    /// One gzip member a block.
    Gz,
    /// As it is.
    #[default]
    None,
    /// Raw Snappy, in Hadoop's framing.
    Snappy,
    /// LZ4 blocks, in Hadoop's framing.
    Lz4,
    /// A bzip2 stream a block.
    Bzip2,
    /// Zstandard frames, bare or in Hadoop's framing.
    Zstd,
    /// LZMA "alone" streams, in Hadoop's framing.
    Lzma,
    /// Brotli streams, in Hadoop's framing.
    Brotli,
}

impl Codec {
    /// All codecs, in the order of their ordinals.
    pub const ALL: [Self; 9] = [
        Self::Lzo,
        Self::Gz,
        Self::None,
        Self::Snappy,
        Self::Lz4,
        Self::Bzip2,
        Self::Zstd,
        Self::Lzma,
        Self::Brotli,
    ];

    /// The codec of an ordinal of `Compression.Algorithm`, as in a trailer.
    #[must_use]
    pub fn from_ordinal(ordinal: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(ordinal).ok()?).copied()
    }

    /// The ordinal, as in a trailer.
    #[must_use]
    pub fn ordinal(self) -> u32 {
        self as u32
    }

    /// HBase's name: `GZ`, `SNAPPY` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lzo => "LZO",
            Self::Gz => "GZ",
            Self::None => "NONE",
            Self::Snappy => "SNAPPY",
            Self::Lz4 => "LZ4",
            Self::Bzip2 => "BZIP2",
            Self::Zstd => "ZSTD",
            Self::Lzma => "LZMA",
            Self::Brotli => "BROTLI",
        }
    }

    /// Fails unless the codec is built in.
    fn require(self) -> Result<(), Corruption> {
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

    /// The error for bytes that this codec's library refuses.
    #[cold]
    fn refuses(self, message: impl Into<Cow<'static, str>>) -> Corruption {
        Corruption::Codec { codec: self.name(), message: message.into() }
    }
}
