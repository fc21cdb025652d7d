//! Files that fail on request, for tests.

mod storage;

pub use storage::{Call, Crash, FaultyEntry, FaultyStorage};

use super::{FileIdentity, FileReader};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file that can be made to fail at its nth read. It also counts the reads.
#[derive(Debug)]
pub struct FaultyFile {
    inner: Arc<dyn FileReader>,
    reads: AtomicU64,
    bytes: AtomicU64,
    fail_at: AtomicU64,
}

impl FaultyFile {
    /// Creates a file without faults.
    #[must_use]
    pub fn new(inner: Arc<dyn FileReader>) -> Self {
        Self { inner, reads: AtomicU64::new(0), bytes: AtomicU64::new(0), fail_at: AtomicU64::new(u64::MAX) }
    }

    /// Makes a read fail after `n` more successful ones.
    pub fn fail_after(&self, n: u64) {
        self.fail_at.store(self.reads().saturating_add(n), Ordering::Relaxed);
    }

    /// Returns the number of reads so far.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl FileReader for FaultyFile {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.inner.identity()
    }

    fn is_remote(&self) -> bool {
        self.inner.is_remote()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if self.reads.fetch_add(1, Ordering::Relaxed) == self.fail_at.load(Ordering::Relaxed) {
            return Err(fault(io::ErrorKind::Other));
        }
        self.bytes.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.inner.read_exact_at(buf, offset)
    }
}

fn fault(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, "an injected fault")
}
