//! Options for opening a file.

use super::HFile;
use super::salvage::{self, SalvageReport};
use super::verify::{self, VerifyReport};
use crate::block::crypto::{MasterKeys, SecretKey};
use crate::cache::BlockCache;
use crate::error::{Error, Result};
use crate::io::{FileReader, LocalStorage, Storage};
use crate::limits::Limits;
use crate::metrics::BlockCounts;
use std::path::Path;
use std::sync::Arc;

/// Options for opening an [`HFile`], created by [`HFile::options`] (HBase: `ReaderContext`, `CacheConfig`).
#[derive(Clone, Debug)]
pub struct HFileOptions {
    pub(super) cache: Option<BlockCache>,
    pub(super) verify_checksums: bool,
    pub(super) limits: Limits,
    pub(super) zstd_dictionary: Option<Arc<[u8]>>,
    pub(super) master_keys: MasterKeys,
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
            master_keys: MasterKeys::default(),
            storage: Arc::new(LocalStorage),
            block_counts: None,
        }
    }

    /// Keeps decoded blocks in this cache. Without a cache (or with one of capacity 0), each block is read
    /// when it is needed.
    #[must_use]
    pub fn cache(mut self, cache: &BlockCache) -> Self {
        self.cache = (cache.capacity() > 0).then(|| cache.clone());
        self
    }

    /// Sets whether to verify the checksums of blocks (default: yes). HBase:
    /// `hbase.regionserver.checksum.verify`.
    ///
    /// Without verification, damaged bytes may be returned as data.
    #[must_use]
    pub fn verify_checksums(mut self, verify: bool) -> Self {
        self.verify_checksums = verify;
        self
    }

    /// Returns the limits on the memory that a file may cause to be allocated.
    pub(crate) fn limit_values(&self) -> &Limits {
        &self.limits
    }

    /// Sets the limits on the memory that a file may cause to be allocated.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the dictionary with which a file was compressed by Zstandard
    /// (`hbase.io.compress.zstd.dictionary`).
    #[must_use]
    pub fn zstd_dictionary(mut self, dictionary: impl Into<Arc<[u8]>>) -> Self {
        self.zstd_dictionary = Some(dictionary.into());
        self
    }

    /// Returns the Zstandard dictionary, if one was given.
    pub(crate) fn given_zstd_dictionary(&self) -> Option<&Arc<[u8]>> {
        self.zstd_dictionary.as_ref()
    }

    /// Sets the cluster's master key, for an encrypted file: the bytes of an AES key. Needs the feature
    /// `crypto`. HBase: the key that `hbase.crypto.master.key.name` names.
    #[must_use]
    pub fn master_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        self.master_keys.current = Some(SecretKey::from(key));
        self
    }

    /// Sets another master key, which is tried if the [master key](Self::master_key) does not unwrap a data
    /// key: usually the cluster's previous one (HBase: `hbase.crypto.master.alternate.key.name`). The data
    /// keys of new files are never wrapped with it.
    #[must_use]
    pub fn alternate_master_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        self.master_keys.alternate = Some(SecretKey::from(key));
        self
    }

    /// Returns the master keys that were given.
    pub(crate) fn given_master_keys(&self) -> &MasterKeys {
        &self.master_keys
    }

    /// Sets the storage that files are in (default: the local file system).
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = storage;
        self
    }

    /// Sets the counters of data blocks read and of cache hits.
    pub(crate) fn block_counts(mut self, counts: Arc<BlockCounts>) -> Self {
        self.block_counts = Some(counts);
        self
    }

    /// Opens a file: reads its tail and its load-on-open section, but no data.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not an HFile, is damaged in those parts, or needs a feature that this
    /// build does not have.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<HFile> {
        self.open_reader(self.reader(path.as_ref())?)
    }

    /// Like [`open`](Self::open), for any [`FileReader`].
    ///
    /// # Errors
    ///
    /// Same as [`open`](Self::open).
    pub fn open_reader(&self, reader: Arc<dyn FileReader>) -> Result<HFile> {
        if self.cache.is_some() {
            Error::if_no_clock("a block cache")?;
        }
        HFile::from_reader(reader, self)
    }

    /// Reads and checks the whole file, and lists every fault (see [`VerifyReport`]). Does not compare
    /// checksums if [`verify_checksums`](Self::verify_checksums) is off.
    ///
    /// # Errors
    ///
    /// Only if the file cannot be read at all, or needs a feature that this build does not have; faults in
    /// its bytes are listed in the report.
    pub fn verify(&self, path: impl AsRef<Path>) -> Result<VerifyReport> {
        self.verify_reader(self.reader(path.as_ref())?)
    }

    /// Like [`verify`](Self::verify), and calls `progress` after each block with the number of bytes checked
    /// so far and the length of the file.
    ///
    /// # Errors
    ///
    /// Same as [`verify`](Self::verify).
    pub fn verify_with(
        &self,
        path: impl AsRef<Path>,
        progress: impl FnMut(u64, u64),
    ) -> Result<VerifyReport> {
        self.verify_reader_with(self.reader(path.as_ref())?, progress)
    }

    /// Like [`verify`](Self::verify), for any [`FileReader`].
    ///
    /// # Errors
    ///
    /// Same as [`verify`](Self::verify).
    pub fn verify_reader(&self, reader: Arc<dyn FileReader>) -> Result<VerifyReport> {
        self.verify_reader_with(reader, |_, _| {})
    }

    /// Like [`verify_with`](Self::verify_with), for any [`FileReader`].
    ///
    /// # Errors
    ///
    /// Same as [`verify`](Self::verify).
    pub fn verify_reader_with(
        &self,
        reader: Arc<dyn FileReader>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<VerifyReport> {
        verify::verify(reader, self, &mut progress)
    }

    /// Writes a valid file with the undamaged parts of a damaged one (see [`SalvageReport`]).
    ///
    /// The new file has every cell of every valid data block, in order, and the encoding, codec, Bloom
    /// filters and file info of the damaged file, as far as they are known. Where the trailer, the file info
    /// or the index is damaged, blocks are found by walking the file, and their format by trial. An existing
    /// `out` is replaced.
    ///
    /// The new file of an encrypted one is encrypted, with a new data key that is wrapped with the [master
    /// key](Self::master_key).
    ///
    /// # Errors
    ///
    /// If no cell can be recovered; if the file is encrypted and no master key was given or its data key is
    /// lost; if a file cannot be read or written. No new file is left in these cases, and an existing `out`
    /// is not changed, except if only the sync of the directory fails: see
    /// [`HFileWriter::finish`](crate::HFileWriter::finish).
    pub fn salvage(&self, path: impl AsRef<Path>, out: impl AsRef<Path>) -> Result<SalvageReport> {
        self.salvage_reader(self.reader(path.as_ref())?, out)
    }

    /// Like [`salvage`](Self::salvage), for any [`FileReader`].
    ///
    /// # Errors
    ///
    /// Same as [`salvage`](Self::salvage).
    pub fn salvage_reader(
        &self,
        reader: Arc<dyn FileReader>,
        out: impl AsRef<Path>,
    ) -> Result<SalvageReport> {
        salvage::salvage(reader, self, out.as_ref())
    }

    pub(super) fn reader(&self, path: &Path) -> Result<Arc<dyn FileReader>> {
        self.storage.open(path).map_err(|error| Error::io("open", path, error))
    }
}
