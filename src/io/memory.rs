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
    /// Creates a file of these bytes; errors refer to it as `name`.
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

    fn read_in_place(&self, offset: u64, len: usize, read: &mut dyn FnMut(&[u8])) -> bool {
        bytes_at(&self.bytes, offset, len).map(read).is_some()
    }
}

/// Returns `len` bytes from `offset` on; `None` if there are too few.
pub(super) fn bytes_at(bytes: &[u8], offset: u64, len: usize) -> Option<&[u8]> {
    usize::try_from(offset).ok().and_then(|at| bytes.get(at..)?.get(..len))
}

/// Fills `buf` from `bytes[offset..]`, or fails if there are too few.
pub(super) fn copy_at(bytes: &[u8], buf: &mut [u8], offset: u64) -> io::Result<()> {
    match bytes_at(bytes, offset, buf.len()) {
        Some(from) => {
            buf.copy_from_slice(from);
            Ok(())
        }
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
