//! Errors, caused by the bytes of a file, the caller or the system.
//!
//! Parsers have neither path nor offset, so they return a [`Corruption`]. A layer with this information
//! converts it into an [`Error`] with [`Corruption::at`].

mod corruption;

pub use corruption::Corruption;

use crate::binary::StringBinary;
use crate::clock::HAS_CLOCK;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The result type of all fallible functions of the crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with its cause and its location: file, offset and block.
///
/// One word wide and cheap to clone, so that a cache can return the same failure to all callers that waited
/// for the same block.
#[derive(Clone)]
pub struct Error(Arc<Details>);

struct Details {
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
    Busy { message: Cow<'static, str>, pause: Option<Duration> },
}

/// The maximum number of existing families that an error names.
const NAMED_FAMILIES: usize = 10;

/// The kinds of errors, by how they can be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes violate the format.
    Corrupt,
    /// The bytes end too early.
    Truncated,
    /// A version, codec, encoding or feature that this build does not support; the message names it.
    Unsupported,
    /// Reading on would exceed the configured [`Limits`](crate::Limits), or the maximum number of steps of a
    /// regular expression.
    Limit,
    /// A call to the operating system, or to a [`Storage`](crate::Storage), failed: not found, no permission,
    /// disk full.
    Io,
    /// Another process has the region open for writing, or recovers the root directory.
    Locked,
    /// The region, or its table, was closed.
    Closed,
    /// A change of the region's files failed and could not be undone, or its log failed. Reads continue;
    /// writes are refused until the region is opened again.
    Poisoned,
    /// The caller requested something impossible.
    InvalidArgument,
    /// The row is outside of the region (HBase: `WrongRegionException`).
    WrongRegion,
    /// The region has no such family (HBase: `NoSuchColumnFamilyException`).
    NoSuchFamily,
    /// A filter that decides on whole rows cannot be used if rows are returned in parts (HBase:
    /// `IncompatibleFilterException`).
    IncompatibleFilter,
    /// A value to be incremented does not have the eight bytes of a counter.
    NotACounter,
    /// The table does not exist (HBase: `TableNotFoundException`).
    TableNotFound,
    /// The table is disabled, or being disabled (HBase: `TableNotEnabledException`).
    TableNotEnabled,
    /// The table has no region for the row, currently or at all.
    RegionNotFound,
    /// The region is marked as not to be served (HBase: `RegionOfflineException`).
    RegionOffline,
    /// No server currently has the region (HBase: `NoServerForRegionException`).
    NoServerForRegion,
    /// The regions of a table are inconsistent: rows in no region, or in two.
    Inconsistent,
    /// A server refused a request; the message has the class of its exception.
    Remote,
}

impl ErrorKind {
    /// Whether another attempt to find a region or its server may succeed.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RegionNotFound | Self::RegionOffline | Self::NoServerForRegion | Self::Io)
    }

    /// Returns the name of the kind, as used in the tool's JSON.
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
            // the name in the tool's answers (cli.md §1)
            Self::NotACounter => "NotALong",
            Self::TableNotFound => "TableNotFound",
            Self::TableNotEnabled => "TableNotEnabled",
            Self::RegionNotFound => "RegionNotFound",
            Self::RegionOffline => "RegionOffline",
            Self::NoServerForRegion => "NoServerForRegion",
            Self::Inconsistent => "Inconsistent",
            Self::Remote => "Remote",
        }
    }
}

impl Error {
    /// Creates an error of the operating system during an operation (`doing`: "open", "read") on `path`.
    #[cold]
    pub fn io(doing: &'static str, path: &Path, error: io::Error) -> Self {
        Self::system(ErrorKind::Io, doing, path, error)
    }

    /// Creates the error of a server's refusal of an operation.
    #[cfg(feature = "cluster")]
    #[cold]
    pub(crate) fn refused(doing: &'static str, place: &Path, error: io::Error) -> Self {
        Self::system(ErrorKind::Remote, doing, place, error)
    }

    fn system(kind: ErrorKind, doing: &'static str, path: &Path, error: io::Error) -> Self {
        Self(Arc::new(Details {
            kind,
            cause: Cause::System { doing, error },
            path: Some(path.to_owned()),
            offset: None,
            block: None,
        }))
    }

    /// Creates the error of a region that another process has open for writing.
    #[cold]
    pub(crate) fn locked(region: &Path) -> Self {
        Self::caller_at(ErrorKind::Locked, "region is open for writing elsewhere", region)
    }

    /// Like [`locked`](Self::locked), with the storage's message about the lock.
    #[cold]
    pub(crate) fn locked_as(region: &Path, error: &io::Error) -> Self {
        match error.get_ref() {
            None => Self::locked(region),
            Some(said) => {
                let message = format!("region is open for writing elsewhere: {said}");
                Self::caller_at(ErrorKind::Locked, message, region)
            }
        }
    }

    /// Creates the error of a root directory that another process recovers, or whose tables or snapshots it
    /// changes.
    #[cold]
    pub(crate) fn being_recovered(root: &Path, error: &io::Error) -> Self {
        let message = "root directory is being recovered or changed elsewhere";
        match error.get_ref() {
            None => Self::caller_at(ErrorKind::Locked, message, root),
            Some(said) => Self::caller_at(ErrorKind::Locked, format!("{message}: {said}"), root),
        }
    }

    /// Creates the error of a region without a table descriptor, so that the settings of its families are
    /// unknown.
    #[cold]
    pub(crate) fn unknown_settings<'n>(region: &Path, families: impl Iterator<Item = &'n [u8]>) -> Self {
        let names: Vec<String> = families.map(|name| StringBinary(name).to_string()).collect();
        let message = format!(
            "there is no table descriptor, and the settings of {} are not known: reads show all versions of \
             all cells; writes need the families to be given",
            names.join(", ")
        );
        Self::caller_at(ErrorKind::InvalidArgument, message, region)
    }

    /// Creates the error of a region that was closed.
    #[cold]
    pub(crate) fn closed() -> Self {
        Self::caller(ErrorKind::Closed, "the region is closed")
    }

    /// Creates the error of a region whose files may differ from its state in memory, because of `error`, and
    /// of `undo` while undoing the change.
    #[cold]
    pub(crate) fn poisoned(error: &Self, undo: &Self) -> Self {
        let message = format!(
            "writes are refused until the region is opened again: a change of its files failed ({error}) and \
             could not be undone ({undo})"
        );
        Self::caller(ErrorKind::Poisoned, message)
    }

    /// Creates the error of a region whose log may lack entries, or have more than were acknowledged, because
    /// of `error`.
    #[cold]
    pub(crate) fn poisoned_log(error: &Self) -> Self {
        let message =
            format!("writes are refused until the region is opened again: its log failed ({error})");
        Self::caller(ErrorKind::Poisoned, message)
    }

    /// Creates an error of the caller.
    #[cold]
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::caller(ErrorKind::InvalidArgument, message)
    }

    /// Creates the error of a valid request that is not implemented.
    #[cold]
    pub(crate) fn not_supported(message: impl Into<Cow<'static, str>>) -> Self {
        Self::caller(ErrorKind::Unsupported, message)
    }

    /// Fails on a system without a clock, which `what` needs.
    pub(crate) fn if_no_clock(what: &'static str) -> Result<()> {
        if HAS_CLOCK {
            return Ok(());
        }
        let message = format!("{what} needs a clock, which this system lacks (wasm32-unknown-unknown)");
        Err(Self::not_supported(message))
    }

    /// Creates the error of an operation that exceeds a limit.
    #[cold]
    pub(crate) fn over_limit(message: impl Into<Cow<'static, str>>) -> Self {
        Self::caller(ErrorKind::Limit, message)
    }

    /// Creates the error of a row outside of the region, whose rows are from `start` to before `end`.
    #[cold]
    pub(crate) fn wrong_region(row: &[u8], start: &[u8], end: &[u8]) -> Self {
        let (row, start, end) = (StringBinary(row), StringBinary(start), StringBinary(end));
        Self::caller(
            ErrorKind::WrongRegion,
            format!("row {row:.64} is not in the region [{start:.64}, {end:.64})"),
        )
    }

    /// Creates the error of a family that does not exist. Names some existing ones.
    #[cold]
    pub(crate) fn no_such_family<'f>(family: &[u8], existing: impl IntoIterator<Item = &'f [u8]>) -> Self {
        let mut existing = existing.into_iter();
        let named: Vec<String> =
            existing.by_ref().take(NAMED_FAMILIES).map(|name| StringBinary(name).to_string()).collect();
        let mut message = format!("there is no family {:.64}", StringBinary(family));
        if !named.is_empty() {
            message = format!("{message} (families: {}", named.join(", "));
            message += &match existing.count() {
                0 => ")".to_owned(),
                more => format!(", and {more} more)"),
            };
        }
        Self::caller(ErrorKind::NoSuchFamily, message)
    }

    /// Creates the error of a filter that cannot be combined with another setting.
    #[cold]
    pub(crate) fn incompatible_filter(message: &'static str) -> Self {
        Self::caller(ErrorKind::IncompatibleFilter, message)
    }

    /// Creates the error of a value whose length is not that of a counter.
    #[cold]
    pub(crate) fn not_a_counter(len: usize) -> Self {
        Self::caller(ErrorKind::NotACounter, format!("a counter has 8 bytes, this value has {len}"))
    }

    /// Creates an error of a kind, without a location in a file: for implementations of a
    /// [`Catalog`](crate::locator::Catalog) or a [`ConnectionRegistry`](crate::ConnectionRegistry), and for
    /// clients of servers.
    ///
    /// A [`Locator`](crate::Locator) retries after an error of a [transient](ErrorKind::is_transient) kind.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self::caller(kind, message)
    }

    /// Creates the error of an operation that timed out (`doing`: "connect").
    #[cold]
    pub fn timed_out(doing: &'static str) -> Self {
        let cause = Cause::System { doing, error: io::ErrorKind::TimedOut.into() };
        Self(Arc::new(Details { kind: ErrorKind::Io, cause, path: None, offset: None, block: None }))
    }

    /// Creates the error of a server that is overloaded, or has executed too many requests of the client.
    /// The same server may execute the request later: after `pause`, if it has stated that.
    #[cold]
    pub fn busy(message: impl Into<Cow<'static, str>>, pause: Option<Duration>) -> Self {
        let cause = Cause::Busy { message: message.into(), pause };
        Self(Arc::new(Details { kind: ErrorKind::Io, cause, path: None, offset: None, block: None }))
    }

    /// Returns the same error, with the number of attempts.
    #[cold]
    pub(crate) fn after_attempts(self, attempts: u32) -> Self {
        match &self.0.cause {
            Cause::Caller(message) => {
                Self::caller(self.kind(), format!("{message} (after {attempts} attempts)"))
            }
            Cause::Busy { message, pause } => {
                Self::busy(format!("{message} (after {attempts} attempts)"), *pause)
            }
            _ => self,
        }
    }

    /// Returns the same error of the caller, with its position in the filter string.
    #[cold]
    pub(crate) fn at_filter(&self, position: usize) -> Self {
        Self::caller(self.kind(), format!("filter at {position}: {}", self.message()))
    }

    fn caller(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Details {
            kind,
            cause: Cause::Caller(message.into()),
            path: None,
            offset: None,
            block: None,
        }))
    }

    #[cold]
    fn caller_at(kind: ErrorKind, message: impl Into<Cow<'static, str>>, path: &Path) -> Self {
        let (cause, path) = (Cause::Caller(message.into()), Some(path.to_owned()));
        Self(Arc::new(Details { kind, cause, path, offset: None, block: None }))
    }

    #[cold]
    fn corrupt(corruption: Corruption, path: &Path, offset: u64, block: Option<&'static str>) -> Self {
        Self(Arc::new(Details {
            kind: corruption.kind(),
            cause: Cause::Bytes(corruption),
            path: Some(path.to_owned()),
            offset: Some(offset),
            block,
        }))
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the file in which the error occurred, if any.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Returns the offset of the block or the trailer in the file, in bytes.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// Returns the type of the block in which the error occurred, by HBase's name (`DATA`, `LEAF_INDEX` …),
    /// if known.
    #[must_use]
    pub fn block(&self) -> Option<&'static str> {
        self.0.block
    }

    /// Returns the fault of the bytes, if they caused the error.
    #[must_use]
    pub fn corruption(&self) -> Option<&Corruption> {
        match &self.0.cause {
            Cause::Bytes(corruption) => Some(corruption),
            _ => None,
        }
    }

    /// Whether the system reported that a file or directory does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.is_io_kind(&[io::ErrorKind::NotFound])
    }

    /// Whether the system reported that a file or directory already exists.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.is_io_kind(&[io::ErrorKind::AlreadyExists])
    }

    /// Whether a directory could not be renamed because the name exists.
    pub(crate) fn is_occupied(&self) -> bool {
        let kinds =
            [io::ErrorKind::AlreadyExists, io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::NotADirectory];
        self.is_io_kind(&kinds)
    }

    /// Whether the system reported that a file does not exist, or was removed or replaced after it was
    /// opened, as on NFS.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.is_io_kind(&[io::ErrorKind::StaleNetworkFileHandle, io::ErrorKind::NotFound])
    }

    /// Whether the system reported that the user has no permission.
    pub(crate) fn is_denied(&self) -> bool {
        self.is_io_kind(&[io::ErrorKind::PermissionDenied])
    }

    /// Whether a server is [busy](Self::busy).
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self.0.cause, Cause::Busy { .. })
    }

    /// Returns how long a [busy](Self::busy) server needs, if it has stated that.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        match self.0.cause {
            Cause::Busy { pause, .. } => pause,
            _ => None,
        }
    }

    fn is_io_kind(&self, kinds: &[io::ErrorKind]) -> bool {
        matches!(&self.0.cause, Cause::System { error, .. } if kinds.contains(&error.kind()))
    }

    /// Returns the message without path and offset.
    #[must_use]
    pub fn message(&self) -> String {
        match &self.0.cause {
            Cause::Bytes(corruption) => corruption.to_string(),
            Cause::System { doing, error } => format!("cannot {doing}: {error}"),
            Cause::Caller(message) | Cause::Busy { message, .. } => message.to_string(),
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
            Cause::Caller(_) | Cause::Busy { .. } => None,
        }
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
    fn an_error_has_a_position_and_a_kind() {
        let corruption = Corruption::Truncated { what: "on-disk size", needed: 4, available: 3 };
        let error = corruption.in_block(Path::new("cf/8e8a"), 65536, "DATA");
        assert_eq!(error.to_string(), "cf/8e8a: DATA at 65536: on-disk size needs 4 bytes, 3 left");
        assert_eq!(error.kind(), ErrorKind::Truncated);
        assert_eq!(error.offset(), Some(65536));
    }

    #[test]
    fn a_file_that_was_removed_is_stale_even_if_it_was_open() {
        for (kind, is_stale, is_not_found) in [
            (io::ErrorKind::NotFound, true, true),
            (io::ErrorKind::StaleNetworkFileHandle, true, false),
            (io::ErrorKind::PermissionDenied, false, false),
        ] {
            let error = Error::io("read", Path::new("cf/8e8a"), kind.into());
            assert_eq!((error.is_stale(), error.is_not_found()), (is_stale, is_not_found), "{error}");
        }
    }

    #[test]
    fn long_rows_are_shortened() {
        let (row, start) = ([b'r'; 30_000], [0; 30_000]);
        let message = Error::wrong_region(&row, &start, b"z").message();
        assert!(message.starts_with("row rrr") && message.ends_with("\\x00…, z)"), "{message}");
        assert!(message.len() < 400, "{message}");
    }

    #[test]
    fn an_error_names_the_families_that_exist() {
        let names: Vec<[u8; 1]> = (b'a'..=b'o').map(|name| [name]).collect();
        for (count, families) in [
            (0, ""),
            (2, " (families: a, b)"),
            (10, " (families: a, b, c, d, e, f, g, h, i, j)"),
            (15, " (families: a, b, c, d, e, f, g, h, i, j, and 5 more)"),
        ] {
            let existing = names.iter().take(count).map(|name| &name[..]);
            let error = Error::no_such_family(b"x", existing);
            assert_eq!(error.message(), format!("there is no family x{families}"));
        }
    }
}
