//! The keys of blocks in the cache.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// The number of an open file, unique within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId(pub(super) u64);

impl FileId {
    /// Returns the number of a file that is being opened.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the same number, but for a file whose cells must not be written to a disk in the clear.
    pub(crate) fn secret(self) -> Self {
        Self(self.0 | SECRET)
    }

    pub(super) fn is_secret(self) -> bool {
        self.0 & SECRET != 0
    }
}

const SECRET: u64 = 1 << 63;

/// A block of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockKey {
    pub(crate) file: FileId,
    pub(crate) offset: u64,
}

/// Hashes the two numbers of a [`BlockKey`] with xxh3.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyHasher(u64);

pub(super) type BuildKeyHasher = BuildHasherDefault<KeyHasher>;

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes) ^ self.0.rotate_left(23);
    }

    #[expect(clippy::host_endian_bytes, reason = "the hash does not leave the process")]
    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_ne_bytes());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
