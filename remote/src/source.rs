//! A source of files.

use async_trait::async_trait;
use bytes::Bytes;
use hregion::DirEntry;
use std::fmt;
use std::io;
use std::ops::Range;

/// The version of a file, which distinguishes it from others at the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) len: u64,
    pub(crate) e_tag: Option<String>,
    pub(crate) modified_millis: i64,
}

/// A file that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) version: Version,
    /// The last bytes of the file.
    pub(crate) tail: Bytes,
}

/// A file or directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) is_dir: bool,
    pub(crate) len: u64,
    pub(crate) modified_millis: i64,
}

/// A source of files.
#[async_trait]
pub(crate) trait Source: Send + Sync + fmt::Debug {
    /// Opens a file, and reads at most its last `tail` bytes.
    async fn open(&self, key: &str, tail: u64) -> io::Result<Opened>;

    /// Returns exactly the bytes of a range, which is within the file. Fails if the file has another version.
    async fn read(&self, key: &str, version: &Version, range: Range<u64>) -> io::Result<Bytes>;

    /// Returns the entries of a directory, in any order. Fails with `NotFound` if there is none.
    async fn list(&self, key: &str) -> io::Result<Vec<DirEntry>>;

    /// Looks a file or directory up.
    async fn status(&self, key: &str) -> io::Result<Option<Status>>;

    /// Whether there is a directory.
    async fn is_dir(&self, key: &str) -> io::Result<bool>;
}

/// Returns the error of a missing file.
pub(crate) fn not_found() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no such file")
}

/// The error of a file that is not the one that was opened.
pub(crate) fn replaced() -> io::Error {
    io::Error::new(io::ErrorKind::StaleNetworkFileHandle, "the file was replaced after it was opened")
}

/// Returns the error of an unexpected response.
pub(crate) fn wrong_answer(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The number of bytes of a range.
pub(crate) fn len_of(range: &Range<u64>) -> io::Result<usize> {
    usize::try_from(range.end.saturating_sub(range.start))
        .map_err(|_| io::Error::new(io::ErrorKind::OutOfMemory, "the range does not fit in memory"))
}
