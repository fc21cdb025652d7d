//! How to open a file.

use super::HFile;
use super::salvage::{self, SalvageReport};
use super::verify::{self, VerifyReport};
use crate::block::crypto::SecretKey;
use crate::cache::BlockCache;
use crate::error::{Error, Result};
use crate::io::{FileReader, LocalStorage, Storage};
use crate::limits::Limits;
use crate::metrics::BlockCounts;
use std::path::Path;
use std::sync::Arc;

/// How to open an [`HFile`]: made by [`HFile::options`].
#[derive(Clone, Debug)]
pub struct HFileOptions {
    pub(super) cache: Option<BlockCache>,
    pub(super) verify_checksums: bool,
    pub(super) limits: Limits,
    pub(super) zstd_dictionary: Option<Arc<[u8]>>,
    pub(super) master_key: Option<SecretKey>,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) block_counts: Option<Arc<BlockCounts>>,
}

impl HFileOptions {
    pub(super) fn new() -> Self {
        Self {
            cache: None,
            verify_checksums: true,
            limits: Limits::default(),
            zstd_dictionary: None,
            master_key: None,
            storage: Arc::new(LocalStorage),
            block_counts: None,
        }
    }

    /// Keeps decoded blocks in this cache. Without one (or with one of no capacity), each block is read when it is needed.
    #[must_use]
    pub fn cache(mut self, cache: &BlockCache) -> Self {
        self.cache = (cache.capacity() > 0).then(|| cache.clone());
        self
    }

    /// Whether to compare the checksums of blocks (default: yes).
    ///
    /// Without them, damaged bytes may come out as data.
    #[must_use]
    pub fn verify_checksums(mut self, verify: bool) -> Self {
        self.verify_checksums = verify;
        self
    }

    /// The most that a file may make us allocate.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The dictionary of a file compressed by Zstandard with one (`hbase.io.compress.zstd.dictionary`).
    #[must_use]
    pub fn zstd_dictionary(mut self, dictionary: impl Into<Arc<[u8]>>) -> Self {
        self.zstd_dictionary = Some(dictionary.into());
        self
    }

    /// The cluster's master key, for an encrypted file: the bytes of an AES key. Needs the feature `crypto`.
    #[must_use]
    pub fn master_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        self.master_key = Some(SecretKey::from(key));
        self
    }

    /// Where files are (default: the local file system).
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = storage;
        self
    }

    /// Counts how data blocks are found.
    pub(crate) fn block_counts(mut self, counts: Arc<BlockCounts>) -> Self {
        self.block_counts = Some(counts);
        self
    }

    /// Opens a file: reads its tail and its load-on-open section, no data.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no HFile, is damaged in those parts, or needs what this build does not have.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<HFile> {
        self.open_reader(self.reader(path.as_ref())?)
    }

    /// Opens whatever can be read like a file.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_reader(&self, reader: Arc<dyn FileReader>) -> Result<HFile> {
        HFile::from_reader(reader, self)
    }

    /// Reads all of a file, believes nothing of it, and lists every fault (see [`VerifyReport`]).
    ///
    /// # Errors
    ///
    /// Only if the file cannot be read at all, or needs what this build does not have; what is wrong with its bytes is in
    /// the report.
    pub fn verify(&self, path: impl AsRef<Path>) -> Result<VerifyReport> {
        self.verify_reader(self.reader(path.as_ref())?)
    }

    /// As [`verify`](Self::verify), and calls `progress` after each block with the bytes that have been checked and the
    /// length of the file.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn verify_with(
        &self,
        path: impl AsRef<Path>,
        progress: impl FnMut(u64, u64),
    ) -> Result<VerifyReport> {
        self.verify_reader_with(self.reader(path.as_ref())?, progress)
    }

    /// As [`verify`](Self::verify), of whatever can be read like a file.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn verify_reader(&self, reader: Arc<dyn FileReader>) -> Result<VerifyReport> {
        self.verify_reader_with(reader, |_, _| {})
    }

    /// As [`verify_with`](Self::verify_with), of whatever can be read like a file.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub fn verify_reader_with(
        &self,
        reader: Arc<dyn FileReader>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<VerifyReport> {
        verify::verify(reader, self, &mut progress)
    }

    /// Writes a sound file of what is sound in a damaged one (see [`SalvageReport`]).
    ///
    /// Every cell of every sound data block is in it, in order; it has the encoding, codec, Bloom filters and file info of
    /// the damaged one, as far as they are known. Where trailer, file info or index are damaged themselves, blocks are
    /// found by a walk, and how they are written by trial. `out` is replaced if it is there.
    ///
    /// The new file of an encrypted one is encrypted, with a new data key that is wrapped with the
    /// [master key](Self::master_key).
    ///
    /// # Errors
    ///
    /// If no cell can be had; if the file is encrypted, and there is no master key, or its data key is lost; if a file
    /// cannot be read or written. There is no new file then.
    pub fn salvage(&self, path: impl AsRef<Path>, out: impl AsRef<Path>) -> Result<SalvageReport> {
        self.salvage_reader(self.reader(path.as_ref())?, out)
    }

    /// As [`salvage`](Self::salvage), of whatever can be read like a file.
    ///
    /// # Errors
    ///
    /// As [`salvage`](Self::salvage).
    pub fn salvage_reader(
        &self,
        reader: Arc<dyn FileReader>,
        out: impl AsRef<Path>,
    ) -> Result<SalvageReport> {
        salvage::salvage(reader, self, out.as_ref())
    }

    fn reader(&self, path: &Path) -> Result<Arc<dyn FileReader>> {
        self.storage.open(path).map_err(|error| Error::io("open", path, error))
    }
}
