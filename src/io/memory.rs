//! A file in memory.

use super::FileReader;
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that can be read like a file.
#[derive(Clone, Debug)]
pub struct MemoryFile {
    bytes: Bytes,
    path: PathBuf,
}

impl MemoryFile {
    /// A file of these bytes; errors refer to it as `name`.
    #[must_use]
    pub fn new(name: impl Into<PathBuf>, bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), path: name.into() }
    }
}

impl FileReader for MemoryFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        copy_at(&self.bytes, buf, offset)
    }
}

/// Fills `buf` from `bytes[offset..]`, or fails if there are too few.
pub(super) fn copy_at(bytes: &[u8], buf: &mut [u8], offset: u64) -> io::Result<()> {
    let from = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).and_then(|b| b.get(..buf.len()));
    match from {
        Some(from) => {
            buf.copy_from_slice(from);
            Ok(())
        }
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
