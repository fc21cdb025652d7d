//! What can go wrong, and whose fault it is: the bytes', the caller's or the system's.
//!
//! Parsers know neither path nor offset, so they return a [`Corruption`]; the layer that knows the
//! place turns it into an [`Error`] with [`Corruption::at`].

use crate::binary::Binary;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that knows its place: what was wrong, in which file, at which offset, in which block.
///
/// One word wide and cheap to clone, so that a cache can hand the same failure to everybody who
/// waited for the same block.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    cause: Cause,
    path: Option<PathBuf>,
    offset: Option<u64>,
    block: Option<&'static str>,
}

enum Cause {
    Bytes(Corruption),
    System { doing: &'static str, error: io::Error },
    Caller(Cow<'static, str>),
}

/// The kinds of error, by what one can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes break the format.
    Corrupt,
    /// The bytes end too early.
    Truncated,
    /// A version, codec, encoding or feature that this build does not read; the message names it.
    Unsupported,
    /// Reading on would exceed the [`Limits`](crate::Limits) that were set, or the steps that a regular expression may take.
    Limit,
    /// The operating system failed.
    Io,
    /// Another process has the region open for writing.
    Locked,
    /// The region was closed.
    Closed,
    /// A change of the region's files failed and could not be undone: reads go on, writes are refused until the region is
    /// opened again.
    Poisoned,
    /// The caller asked for something that cannot be.
    InvalidArgument,
    /// The row is outside of the region.
    WrongRegion,
    /// The region has no such family.
    NoSuchFamily,
    /// A filter that judges whole rows cannot have them in pieces.
    IncompatibleFilter,
    /// A value that is to be counted up does not have the eight bytes of a counter.
    NotALong,
    /// There is no such table.
    TableNotFound,
    /// The table is disabled, or on its way there.
    TableNotEnabled,
    /// The table has no region for the row, at present or at all.
    RegionNotFound,
    /// The region is not to be served at present.
    RegionOffline,
    /// No server has the region at present.
    NoServerForRegion,
    /// The regions of a table do not fit together: rows that no region has, or that two have.
    Inconsistent,
}

impl ErrorKind {
    /// The name of the kind, as the tool's JSON has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Corrupt => "Corrupt",
            Self::Truncated => "Truncated",
            Self::Unsupported => "Unsupported",
            Self::Limit => "Limit",
            Self::Io => "Io",
            Self::Locked => "Locked",
            Self::Closed => "Closed",
            Self::Poisoned => "Poisoned",
            Self::InvalidArgument => "InvalidArgument",
            Self::WrongRegion => "WrongRegion",
            Self::NoSuchFamily => "NoSuchFamily",
            Self::IncompatibleFilter => "IncompatibleFilter",
            Self::NotALong => "NotALong",
            Self::TableNotFound => "TableNotFound",
            Self::TableNotEnabled => "TableNotEnabled",
            Self::RegionNotFound => "RegionNotFound",
            Self::RegionOffline => "RegionOffline",
            Self::NoServerForRegion => "NoServerForRegion",
            Self::Inconsistent => "Inconsistent",
        }
    }
}

impl Error {
    /// An error of the operating system while `doing` something ("open", "read") to `path`.
    #[cold]
    pub fn io(doing: &'static str, path: &Path, error: io::Error) -> Self {
        Self(Arc::new(Inner {
            kind: ErrorKind::Io,
            cause: Cause::System { doing, error },
            path: Some(path.to_owned()),
            offset: None,
            block: None,
        }))
    }

    /// A region that another process has open for writing.
    #[cold]
    pub(crate) fn locked(region: &Path) -> Self {
        Self(Arc::new(Inner {
            kind: ErrorKind::Locked,
            cause: Cause::Caller("region is open for writing elsewhere".into()),
            path: Some(region.to_owned()),
            offset: None,
            block: None,
        }))
    }

    /// A region whose table descriptor is missing, so that what its families keep is not known.
    #[cold]
    pub(crate) fn unknown_settings<'n>(region: &Path, families: impl Iterator<Item = &'n [u8]>) -> Self {
        let names: Vec<String> = families.map(|name| Binary(name).to_string()).collect();
        let message = format!(
            "there is no table descriptor, and the settings of {} are not known: reads show all versions of all cells; \
             writes need the families to be given",
            names.join(", ")
        );
        Self(Arc::new(Inner {
            kind: ErrorKind::InvalidArgument,
            cause: Cause::Caller(message.into()),
            path: Some(region.to_owned()),
            offset: None,
            block: None,
        }))
    }

    /// A region that was closed.
    #[cold]
    pub(crate) fn closed() -> Self {
        Self::caller(ErrorKind::Closed, "the region is closed")
    }

    /// A region whose files are not known to be those in memory, because of `error`, and `undo` when that was undone.
    #[cold]
    pub(crate) fn poisoned(error: &Self, undo: &Self) -> Self {
        let message = format!(
            "writes are refused until the region is opened again: a change of its files failed ({error}) and could not \
             be undone ({undo})"
        );
        Self::caller(ErrorKind::Poisoned, message)
    }

    /// An error of the caller.
    #[cold]
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::caller(ErrorKind::InvalidArgument, message)
    }

    /// Something that the caller may ask for, and that is not built.
    #[cold]
    pub(crate) fn not_supported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::caller(ErrorKind::Unsupported, message)
    }

    /// Something that takes more than it may.
    #[cold]
    pub(crate) fn over_limit(message: impl Into<Cow<'static, str>>) -> Self {
        Self::caller(ErrorKind::Limit, message)
    }

    /// A row that is not one of the region's, which are those from `start` on to before `end`.
    #[cold]
    pub(crate) fn wrong_region(row: &[u8], start: &[u8], end: &[u8]) -> Self {
        let (row, start, end) = (Binary(row), Binary(start), Binary(end));
        Self::caller(ErrorKind::WrongRegion, format!("row {row} is not in the region [{start}, {end})"))
    }

    /// A family that the region does not have.
    #[cold]
    pub(crate) fn no_such_family(family: &[u8]) -> Self {
        Self::caller(ErrorKind::NoSuchFamily, format!("there is no family {}", Binary(family)))
    }

    /// A filter together with what it cannot be together with.
    #[cold]
    pub(crate) fn incompatible_filter(message: &'static str) -> Self {
        Self::caller(ErrorKind::IncompatibleFilter, message)
    }

    /// A value that is no counter, by its length.
    #[cold]
    pub(crate) fn not_a_long(len: usize) -> Self {
        Self::caller(ErrorKind::NotALong, format!("a counter has 8 bytes, this value has {len}"))
    }

    /// Why a row of a table has no place; `kind` is one of those of tables and regions.
    #[cold]
    pub(crate) fn locating(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::caller(kind, message)
    }

    /// There was no time left for something.
    #[cold]
    pub(crate) fn timed_out(doing: &'static str) -> Self {
        let cause = Cause::System { doing, error: io::ErrorKind::TimedOut.into() };
        Self(Arc::new(Inner { kind: ErrorKind::Io, cause, path: None, offset: None, block: None }))
    }

    /// The same error, of the last of so many attempts.
    #[cold]
    pub(crate) fn after_attempts(self, attempts: u32) -> Self {
        match &self.0.cause {
            Cause::Caller(message) => {
                Self::caller(self.kind(), format!("{message} (after {attempts} attempts)"))
            }
            _ => self,
        }
    }

    /// The same error of the caller's, with where it is in what the caller said.
    #[cold]
    pub(crate) fn at_filter(&self, position: usize) -> Self {
        Self::caller(self.kind(), format!("filter at {position}: {}", self.message()))
    }

    fn caller(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            kind,
            cause: Cause::Caller(message.into()),
            path: None,
            offset: None,
            block: None,
        }))
    }

    #[cold]
    fn corrupt(corruption: Corruption, path: &Path, offset: u64, block: Option<&'static str>) -> Self {
        Self(Arc::new(Inner {
            kind: corruption.kind(),
            cause: Cause::Bytes(corruption),
            path: Some(path.to_owned()),
            offset: Some(offset),
            block,
        }))
    }

    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The file it happened in, if it was in one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The offset in the file, in bytes: that of the block, or of the trailer.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The type of the block it happened in, in HBase's name (`DATA`, `LEAF_INDEX` …), if it is known.
    #[must_use]
    pub fn block(&self) -> Option<&'static str> {
        self.0.block
    }

    /// What was wrong with the bytes, if it was they.
    #[must_use]
    pub fn corruption(&self) -> Option<&Corruption> {
        match &self.0.cause {
            Cause::Bytes(corruption) => Some(corruption),
            _ => None,
        }
    }

    /// Whether the system says that there is no such file.
    pub(crate) fn is_not_found(&self) -> bool {
        self.is_io_kind(&[io::ErrorKind::NotFound])
    }

    /// Whether the system says that there is such a file or directory already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.is_io_kind(&[io::ErrorKind::AlreadyExists])
    }

    /// Whether a directory could not be renamed because something has the name.
    pub(crate) fn is_occupied(&self) -> bool {
        let kinds =
            [io::ErrorKind::AlreadyExists, io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::NotADirectory];
        self.is_io_kind(&kinds)
    }

    fn is_io_kind(&self, kinds: &[io::ErrorKind]) -> bool {
        matches!(&self.0.cause, Cause::System { error, .. } if kinds.contains(&error.kind()))
    }

    /// The message without path and offset.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.0.cause {
            Cause::Bytes(corruption) => corruption.to_string(),
            Cause::System { doing, error } => format!("cannot {doing}: {error}"),
            Cause::Caller(message) => message.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = self.path() {
            write!(f, "{}: ", path.display())?;
        }
        match (self.block(), self.offset()) {
            (Some(block), Some(offset)) => write!(f, "{block} at {offset}: ")?,
            (None, Some(offset)) => write!(f, "at {offset}: ")?,
            _ => {}
        }
        f.write_str(&self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.kind().name())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.cause {
            Cause::System { error, .. } => Some(error),
            Cause::Bytes(corruption) => Some(corruption),
            Cause::Caller(_) => None,
        }
    }
}

/// Why bytes could not be read as what they claim to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// Eight bytes that should name something do not.
    #[error("{what}: expected {expected}, found {}", crate::binary::Binary(found))]
    BadMagic {
        /// What they should name.
        what: &'static str,
        /// What was expected there, in words or as text.
        expected: &'static str,
        /// What was found.
        found: [u8; 8],
    },
    /// A field needs more bytes than there are.
    #[error("{what} needs {needed} bytes, {available} left")]
    Truncated {
        /// The field.
        what: &'static str,
        /// The bytes it needs.
        needed: u64,
        /// The bytes that are there.
        available: u64,
    },
    /// A number outside of what the format allows.
    #[error("{what} is {value}, expected {min} to {max}")]
    OutOfRange {
        /// The field.
        what: &'static str,
        /// Its value.
        value: i64,
        /// The least that is allowed.
        min: i64,
        /// The most that is allowed.
        max: i64,
    },
    /// A code that stands for nothing.
    #[error("{what} {value} does not exist")]
    Unknown {
        /// What it should name.
        what: &'static str,
        /// The code.
        value: i64,
    },
    /// A name that stands for nothing.
    #[error("{what} {} does not exist", crate::binary::Binary(name))]
    UnknownName {
        /// What it should name.
        what: &'static str,
        /// The name, or the start of a long one.
        name: Vec<u8>,
    },
    /// A value of another length than such a value has.
    #[error("{what} has {found} bytes, expected {expected}")]
    Length {
        /// The value.
        what: &'static str,
        /// The bytes that it should have.
        expected: u64,
        /// The bytes that it has.
        found: u64,
    },
    /// Two places that must agree do not.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// What should agree.
        what: &'static str,
        /// What the one says.
        expected: i64,
        /// What the other says.
        found: i64,
    },
    /// A checksum does not match the bytes it covers.
    #[error("checksum of chunk {chunk}: expected {stored:#010x}, found {computed:#010x}")]
    Checksum {
        /// Which chunk of the block, from 0.
        chunk: u32,
        /// The sum stored in the block.
        stored: u32,
        /// The sum of the bytes.
        computed: u32,
    },
    /// Something is not as the format wants it; the text says what and what was expected.
    #[error("{0}")]
    Malformed(&'static str),
    /// A codec could not make sense of its input.
    #[error("{codec}: {message}")]
    Codec {
        /// The codec's name.
        codec: &'static str,
        /// What it says.
        message: Cow<'static, str>,
    },
    /// Well-formed, as far as one can tell, but not readable by this build.
    #[error("{what} {name} is not supported{}", hint.map(|h| format!(": {h}")).unwrap_or_default())]
    Unsupported {
        /// What sort of thing it is: "codec", "version", "encoding".
        what: &'static str,
        /// Which one.
        name: Cow<'static, str>,
        /// What would help.
        hint: Option<&'static str>,
    },
    /// More than the limits allow.
    #[error("{what} is {value}, over the limit of {limit}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// What the file asks for.
        value: u64,
        /// What is allowed.
        limit: u64,
    },
}

impl Corruption {
    /// The kind of error this makes.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Truncated { .. } => ErrorKind::Truncated,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
            Self::Limit { .. } => ErrorKind::Limit,
            _ => ErrorKind::Corrupt,
        }
    }

    /// This, as an error at a place of a file.
    #[cold]
    #[must_use]
    pub fn at(self, path: &Path, offset: u64) -> Error {
        Error::corrupt(self, path, offset, None)
    }

    /// This, as an error in a block of a file.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_one_word() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn an_error_says_where_and_what() {
        let corruption = Corruption::Truncated { what: "on-disk size", needed: 4, available: 3 };
        let error = corruption.in_block(Path::new("cf/8e8a"), 65536, "DATA");
        assert_eq!(error.to_string(), "cf/8e8a: DATA at 65536: on-disk size needs 4 bytes, 3 left");
        assert_eq!(error.kind(), ErrorKind::Truncated);
        assert_eq!(error.offset(), Some(65536));
    }
}
