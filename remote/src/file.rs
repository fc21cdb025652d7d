//! A remote file.

use crate::location::{Location, Scheme};
use crate::read_ahead::{Stream, Streams};
use crate::source::{Opened, Source, Version, len_of, wrong_answer};
use crate::storage::Shared;
use bytes::Bytes;
use hregion::{FileIdentity, FileReader};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use xxhash_rust::xxh3::xxh3_64;

/// A remote file: one version of it, with the last bytes in memory.
pub(crate) struct RemoteFile {
    path: PathBuf,
    key: String,
    source: Arc<dyn Source>,
    shared: Arc<Shared>,
    version: Version,
    tail: Bytes,
    /// The offset of the tail.
    tail_at: u64,
    identity: FileIdentity,
    streams: Arc<Mutex<Streams>>,
}

impl RemoteFile {
    pub(crate) fn new(
        path: &Path,
        location: Location,
        source: Arc<dyn Source>,
        shared: Arc<Shared>,
        opened: Opened,
    ) -> io::Result<Self> {
        let Opened { version, tail } = opened;
        let expected = version.len.min(shared.options.tail_bytes);
        if tail.len() as u64 != expected {
            return Err(wrong_answer(format!("{} bytes of the end, expected {expected}", tail.len())));
        }
        let identity = identity(&location, &version, &tail);
        let (tail_at, streams) = (version.len - expected, shared.budget.add_file());
        let key = location.key;
        Ok(Self { path: path.to_owned(), key, source, shared, version, tail, tail_at, identity, streams })
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        // Streams are taken out while they are used, so those in the list are consistent.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_now(&self, range: Range<u64>, buf: &mut [u8]) -> io::Result<()> {
        let expected = len_of(&range)?;
        let bytes = self.shared.blocking.read(self.request(range))?;
        if bytes.len() != expected {
            return Err(wrong_answer(format!("{} bytes, expected {expected}", bytes.len())));
        }
        buf.copy_from_slice(&bytes);
        Ok(())
    }

    fn request(&self, range: Range<u64>) -> impl Future<Output = io::Result<Bytes>> + Send + use<> {
        let (source, key, version) = (Arc::clone(&self.source), self.key.clone(), self.version.clone());
        async move { source.read(&key, &version, range).await }
    }

    /// Fills `buf`, which ends before the tail.
    fn read_body(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let taken = self.streams().take(offset);
        let mut stream = taken.unwrap_or_else(Stream::new);
        stream.read(buf, offset, &mut |range, buf| self.read_now(range, buf))?;
        let bounds = (self.tail_at, self.shared.options.read_ahead_bytes);
        stream.request_ahead(buf.len() as u64, bounds, &self.shared.budget, &mut |range| {
            self.shared.blocking.start_read(self.request(range))
        });
        self.streams().put_back(stream);
        Ok(())
    }
}

impl FileReader for RemoteFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.version.len
    }

    fn identity(&self) -> Option<FileIdentity> {
        Some(self.identity)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|&end| end <= self.version.len);
        let Some(end) = end else {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before"));
        };
        let in_body = usize::try_from(self.tail_at.clamp(offset, end) - offset).unwrap_or(buf.len());
        let (body, tail) = buf.split_at_mut(in_body);
        if !tail.is_empty() {
            let from = usize::try_from(offset.max(self.tail_at) - self.tail_at).unwrap_or(usize::MAX);
            let kept = from.checked_add(tail.len()).and_then(|to| self.tail.get(from..to));
            tail.copy_from_slice(kept.ok_or(io::ErrorKind::UnexpectedEof)?);
        }
        if body.is_empty() { Ok(()) } else { self.read_body(body, offset) }
    }
}

impl fmt::Debug for RemoteFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFile")
            .field("path", &self.path)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Returns the identity of a version of a file: the location as the device, its version as the number. A file
/// of HDFS keeps its identity when it is renamed: its last bytes are used instead of its name. They are also
/// used if the file has no ETag: another file may have replaced it within the second that its time has, and a
/// short one need not have a time.
fn identity(location: &Location, version: &Version, tail: &[u8]) -> FileIdentity {
    let key = if location.scheme == Scheme::Hdfs { "" } else { location.key.as_str() };
    let end = if version.e_tag.is_none() { xxh3_64(tail) } else { 0 };
    let place = format!("{:?}\0{}\0{key}", location.scheme, location.authority);
    let tag = version.e_tag.as_deref().unwrap_or_default();
    let number = format!("{}\0{}\0{tag}\0{end}", version.len, version.modified_millis);
    FileIdentity { device: xxh3_64(place.as_bytes()), number: xxh3_64(number.as_bytes()), created_nanos: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_hdfs_is_the_same_when_it_is_renamed() {
        let of = |url: &str, len: u64, modified_millis: i64, tail: &[u8]| {
            let location = Location::parse(Path::new(url)).unwrap();
            identity(&location, &Version { len, e_tag: None, modified_millis }, tail)
        };
        let file = of("hdfs://n/a/f", 9, 1, b"end");
        assert_eq!(file, of("hdfs://n/b/f", 9, 1, b"end"));
        for other in [
            of("hdfs://m/a/f", 9, 1, b"end"),
            of("hdfs://n/a/f", 8, 1, b"end"),
            of("hdfs://n/a/f", 9, 2, b"end"),
            of("hdfs://n/a/f", 9, 1, b"eng"),
        ] {
            assert_ne!(file, other);
        }
        assert_ne!(of("s3://b/a/f", 9, 1, b"end"), of("s3://b/b/f", 9, 1, b"end"));
    }
}
