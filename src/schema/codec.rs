//! Block compression codecs, by name and number (hfile.md §8; HBase: `Compression.Algorithm`).

/// The compression of the blocks of a file (HBase: `Compression.Algorithm`, the attribute COMPRESSION).
///
/// A file records only the ordinal, not the codec class that wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// LZO1X, in Hadoop's framing.
    Lzo,
    /// One gzip member per block.
    Gz,
    /// No compression.
    #[default]
    None,
    /// Raw Snappy, in Hadoop's framing.
    Snappy,
    /// LZ4 blocks, in Hadoop's framing.
    Lz4,
    /// One bzip2 stream per block.
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

    /// Returns the codec with an ordinal of `Compression.Algorithm`, as in a trailer.
    #[must_use]
    pub fn from_ordinal(ordinal: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(ordinal).ok()?).copied()
    }

    /// Returns the codec with HBase's name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// Returns the ordinal, as in a trailer.
    #[must_use]
    pub fn ordinal(self) -> u32 {
        self as u32
    }

    /// Returns HBase's name: `GZ`, `SNAPPY` …
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
}
