//! Decompresses the payload of a block.
#![warn(clippy::indexing_slicing)]

use super::plain::Plain;
use super::{Codec, framing};
use crate::error::Corruption;
use std::fmt;
use std::sync::Arc;

/// The start of a Zstandard frame. As the length of a group (§8.2) it would mean 683 MB.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Whether a payload compressed by Zstandard consists of bare frames, without Hadoop's framing (hfile.md
/// §8.3).
pub(crate) fn is_bare_zstd(payload: &[u8]) -> bool {
    payload.starts_with(&ZSTD_MAGIC)
}

/// Decompresses blocks.
#[derive(Clone, Default)]
pub(crate) struct Decompressor {
    codec: Codec,
    #[cfg(feature = "zstd")]
    zstd_dictionary: Option<Arc<super::zstd::DecoderDictionary>>,
}

impl Decompressor {
    /// Creates a decompressor for the blocks of a file. ZSTD may need the dictionary that the table was
    /// written with.
    pub(crate) fn new(codec: Codec, zstd_dictionary: Option<Arc<[u8]>>) -> Self {
        #[cfg(not(feature = "zstd"))]
        let _ = zstd_dictionary;
        Self {
            codec,
            #[cfg(feature = "zstd")]
            zstd_dictionary: zstd_dictionary
                .filter(|_| codec == Codec::Zstd)
                .map(|dictionary| Arc::new(super::zstd::DecoderDictionary::new(&dictionary))),
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.codec
    }

    /// Appends exactly `plain_len` bytes to `out`: the plain form of `payload`.
    ///
    /// Never produces more than `plain_len` bytes, whatever the payload claims. Except for the tables of the
    /// codec, memory use is proportional to the bytes actually produced. On failure, `out` is unchanged.
    pub(crate) fn decompress(
        &self,
        payload: &[u8],
        plain_len: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Corruption> {
        let start = out.len();
        let mut plain = Plain::new(out, plain_len);
        let result = self.fill(payload, &mut plain).and_then(|()| plain.finish());
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// Returns the plain bytes of a whole stream, whose number is unknown but at most `max`.
    pub(crate) fn decompress_stream(&self, stream: &[u8], max: usize) -> Result<Vec<u8>, Corruption> {
        self.codec.require()?;
        let mut out = Vec::new();
        match self.codec {
            Codec::None | Codec::Gz | Codec::Bzip2 => {
                let name = self.codec.name().into();
                return Err(Corruption::Unsupported { what: "stream of the codec", name, hint: None });
            }
            #[cfg(feature = "zstd")]
            Codec::Zstd if is_bare_zstd(stream) => {
                super::zstd::decode_stream(stream, max, &mut out, self.zstd_dictionary.as_deref())?;
            }
            codec => {
                framing::decode_stream(codec, stream, max, &mut out, |chunk, plain| self.run(chunk, plain))?;
            }
        }
        Ok(out)
    }

    fn fill(&self, payload: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
        self.codec.require()?;
        match self.codec {
            Codec::None => copy(payload, plain),
            // the encoding of empty input differs between Hadoop's libraries, so it is not checked (§8.4)
            _ if plain.left() == 0 => Ok(()),
            Codec::Gz | Codec::Bzip2 => self.run(payload, plain),
            Codec::Zstd if is_bare_zstd(payload) => self.run(payload, plain),
            codec => framing::decode(codec, payload, plain, |chunk, plain| self.run(chunk, plain)),
        }
    }

    /// Decodes one run of the codec: a whole stream, or a chunk.
    fn run(&self, input: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
        match self.codec {
            Codec::None => copy(input, plain),
            #[cfg(feature = "lzo")]
            Codec::Lzo => super::lzo::decode(input, plain),
            #[cfg(feature = "gz")]
            Codec::Gz => super::gz::decode(input, plain),
            #[cfg(feature = "snappy")]
            Codec::Snappy => super::snappy::decode(input, plain),
            #[cfg(feature = "lz4")]
            Codec::Lz4 => super::lz4::decode(input, plain),
            #[cfg(feature = "bzip2")]
            Codec::Bzip2 => super::bzip2::decode(input, plain),
            #[cfg(feature = "zstd")]
            Codec::Zstd => super::zstd::decode(input, plain, self.zstd_dictionary.as_deref()),
            #[cfg(feature = "xz")]
            Codec::Lzma => super::xz::decode(input, plain),
            #[cfg(feature = "brotli")]
            Codec::Brotli => super::brotli::decode(input, plain),
            #[allow(unreachable_patterns, reason = "reached when a feature is off")]
            codec => codec.require(),
        }
    }
}

fn copy(payload: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
    if payload.len() == plain.left() && plain.extend(payload) {
        return Ok(());
    }
    Err(Corruption::Mismatch {
        what: "size of an uncompressed block",
        expected: i64::try_from(plain.left()).unwrap_or(i64::MAX),
        found: i64::try_from(payload.len()).unwrap_or(i64::MAX),
    })
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("codec", &self.codec).finish_non_exhaustive()
    }
}
