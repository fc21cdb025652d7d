//! The reasons why bytes cannot be read, without their location.

use super::{Error, ErrorKind};
use std::borrow::Cow;
use std::path::Path;

/// The reason why bytes could not be read: what was expected, and what was found (HBase:
/// `CorruptHFileException`, which is a text). [`Error`] adds the file and the offset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// The eight magic bytes are not the expected ones.
    #[error("{what}: expected {expected}, found {}", crate::binary::StringBinary(found))]
    BadMagic {
        /// The structure that the magic identifies.
        what: &'static str,
        /// The expected magic, in words or as text.
        expected: &'static str,
        /// The bytes found.
        found: [u8; 8],
    },
    /// A field needs more bytes than are left.
    #[error("{what} needs {needed} bytes, {available} left")]
    Truncated {
        /// The field.
        what: &'static str,
        /// The number of bytes needed.
        needed: u64,
        /// The number of bytes left.
        available: u64,
    },
    /// A write-ahead log ends within an entry: its server has died, or the length of the entry is damaged.
    #[error("the log ends within an entry, {unread} bytes are left: {reason}")]
    TornLog {
        /// The number of bytes from the start of the entry to the end of the log.
        unread: u64,
        /// The missing part.
        reason: Box<Corruption>,
    },
    /// A number outside the range that the format allows.
    #[error("{what} is {value}, expected {min} to {max}")]
    OutOfRange {
        /// The field.
        what: &'static str,
        /// Its value.
        value: i64,
        /// The minimum allowed.
        min: i64,
        /// The maximum allowed.
        max: i64,
    },
    /// An unknown code.
    #[error("{what} {value} does not exist")]
    Unknown {
        /// The kind of code.
        what: &'static str,
        /// The code.
        value: i64,
    },
    /// An unknown name.
    #[error("{what} {} does not exist", crate::binary::StringBinary(name))]
    UnknownName {
        /// The kind of name.
        what: &'static str,
        /// The name, or the start of a long one.
        name: Vec<u8>,
    },
    /// A value of the wrong length.
    #[error("{what} has {found} bytes, expected {expected}")]
    Length {
        /// The name of the value.
        what: &'static str,
        /// The expected length in bytes.
        expected: u64,
        /// The actual length in bytes.
        found: u64,
    },
    /// Two values that must agree do not.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// The name of the values.
        what: &'static str,
        /// The expected value.
        expected: i64,
        /// The value found.
        found: i64,
    },
    /// A checksum does not match the bytes it covers.
    #[error("checksum of chunk {chunk}: expected {stored:#010x}, found {computed:#010x}")]
    Checksum {
        /// The number of the chunk in the block, from 0.
        chunk: u32,
        /// The sum stored in the block.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A violation of the format; the text describes it.
    #[error("{0}")]
    Malformed(&'static str),
    /// A codec rejected its input.
    #[error("{codec}: {message}")]
    Codec {
        /// The codec's name.
        codec: &'static str,
        /// The message of the codec.
        message: Cow<'static, str>,
    },
    /// Apparently well-formed, but not supported by this build.
    #[error("{what} {name} is not supported{}", hint.map(|h| format!(": {h}")).unwrap_or_default())]
    Unsupported {
        /// The category: "codec", "version", "encoding".
        what: &'static str,
        /// The name of the unsupported feature.
        name: Cow<'static, str>,
        /// How to get support.
        hint: Option<&'static str>,
    },
    /// A value exceeds the limits.
    #[error("{what} is {value}, over the limit of {limit}")]
    Limit {
        /// The limited quantity.
        what: &'static str,
        /// The value requested by the file.
        value: u64,
        /// The limit.
        limit: u64,
    },
}

impl Corruption {
    /// Returns the kind of error for this corruption.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Truncated { .. } | Self::TornLog { .. } => ErrorKind::Truncated,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Limit { .. } => ErrorKind::Limit,
            _ => ErrorKind::Corrupt,
        }
    }

    /// Converts this into an error at a location in a file.
    #[cold]
    #[must_use]
    pub fn at(self, path: &Path, offset: u64) -> Error {
        Error::corrupt(self, path, offset, None)
    }

    /// Converts this into an error in a block of a file.
    #[cold]
    #[must_use]
    pub fn in_block(self, path: &Path, offset: u64, block: &'static str) -> Error {
        Error::corrupt(self, path, offset, Some(block))
    }

    #[cold]
    pub(crate) fn out_of_range(what: &'static str, value: i64, min: i64, max: i64) -> Self {
        Self::OutOfRange { what, value, min, max }
    }

    #[cold]
    pub(crate) fn unknown_name(what: &'static str, name: &[u8]) -> Self {
        Self::UnknownName { what, name: name.iter().copied().take(64).collect() }
    }

    #[cold]
    pub(crate) fn length(what: &'static str, expected: usize, found: usize) -> Self {
        Self::Length { what, expected: expected as u64, found: found as u64 }
    }

    #[cold]
    pub(crate) fn unsupported(what: &'static str, name: impl Into<Cow<'static, str>>) -> Self {
        Self::Unsupported { what, name: name.into(), hint: None }
    }
}
