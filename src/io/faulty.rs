//! Files that fail when told to, for tests.

mod storage;

pub use storage::{Call, Crash, FaultyStorage};

use super::{FileIdentity, FileReader};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file whose nth read fails; it counts the reads, too.
#[derive(Debug)]
pub struct FaultyFile {
    inner: Arc<dyn FileReader>,
    reads: AtomicU64,
    bytes: AtomicU64,
    fail_at: AtomicU64,
}

impl FaultyFile {
    /// A file that does not fail yet.
    #[must_use]
    pub fn new(inner: Arc<dyn FileReader>) -> Self {
        Self { inner, reads: AtomicU64::new(0), bytes: AtomicU64::new(0), fail_at: AtomicU64::new(u64::MAX) }
    }

    /// Makes the read fail that comes after `n` more.
    pub fn fail_after(&self, n: u64) {
        self.fail_at.store(self.reads().saturating_add(n), Ordering::Relaxed);
    }

    /// How many reads there have been.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// How many bytes have been read.
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
