//! A new file of a store: written aside, and moved to its place when it is whole.

use super::Store;
use super::file::{FilePlace, StoreFile};
use super::names::new_file_name;
use crate::cell::CellRef;
use crate::error::{Error, Result};
use crate::hfile::{Encryption, HFileWriter, StoreFileOrigin, StoreFileWriter};
use std::path::{Path, PathBuf};

/// A file of a store that is being written.
#[derive(Debug)]
pub(super) struct NewStoreFile {
    writer: StoreFileWriter,
    name: String,
    aside: PathBuf,
    now: i64,
}

/// What its cells may carry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carries {
    pub(super) tags: bool,
    pub(super) seq_ids: bool,
    /// Whether some of them come from an encrypted file, so that the new one must be encrypted, too.
    pub(super) encrypted: bool,
}

impl NewStoreFile {
    pub(super) fn create(store: &Store, carries: Carries, now: i64) -> Result<Self> {
        let family = &store.family;
        let encryption = Encryption::for_output(family, carries.encrypted, &store.options)?;
        let name = new_file_name(now);
        let aside = store.tmp.join(&name);
        store.storage.create_dir_all(&store.tmp).map_err(|error| Error::io("create", &store.tmp, error))?;
        let options = HFileWriter::options()
            .data_block_encoding(family.data_block_encoding)
            .codec(family.codec)
            .bloom(family.bloom)
            .block_size(family.block_size as usize)
            .tags(carries.tags)
            .mvcc(carries.seq_ids)
            .encryption(encryption)
            .order(store.order)
            .create_time(now)
            .storage(store.storage.clone());
        Ok(Self { writer: StoreFileWriter::create(options, &aside)?, name, aside, now })
    }

    pub(super) fn append(&mut self, cell: CellRef<'_>) -> Result<()> {
        self.writer.append(cell)
    }

    /// Makes the file last and opens it.
    pub(super) fn finish(self, store: &Store, origin: &StoreFileOrigin) -> Result<StoreFile> {
        self.seal(store, origin)?.place(store)
    }

    /// Makes the file whole, where nobody looks for it.
    pub(super) fn seal(self, store: &Store, origin: &StoreFileOrigin) -> Result<SealedStoreFile> {
        self.writer.finish(origin)?;
        // opened where it is: a file that cannot be read must not get a place
        StoreFile::open(&store.options, &FilePlace::plain(&self.aside, self.now))?;
        Ok(SealedStoreFile { name: self.name, aside: self.aside, now: self.now })
    }
}

/// A whole file that has no place among the store's yet.
#[derive(Debug)]
pub(super) struct SealedStoreFile {
    name: String,
    aside: PathBuf,
    now: i64,
}

impl SealedStoreFile {
    /// Gives the file its place and opens it there.
    pub(super) fn place(self, store: &Store) -> Result<StoreFile> {
        store.adopt(&self.aside, &self.name, self.now)
    }
}

impl Store {
    /// Moves a whole file, which the caller has opened before, to its place among the store's, and opens it there.
    pub(crate) fn adopt(&self, from: &Path, name: &str, now: i64) -> Result<StoreFile> {
        let path = self.dir.join(name);
        self.storage.rename(from, &path).map_err(|error| Error::io("rename to", &path, error))?;
        self.storage.sync_dir(&self.dir).map_err(|error| Error::io("sync", &self.dir, error))?;
        StoreFile::open(&self.options, &FilePlace::plain(path, now))
    }
}
