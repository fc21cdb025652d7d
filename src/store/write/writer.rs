//! A new file of a store, written to a temporary directory.

use crate::cell::CellRef;
use crate::error::{Error, Result};
use crate::hfile::{Encryption, HFileWriter, StoreFileOrigin, StoreFileWriter};
use crate::layout::{StagedFile, StoreFileInfo, new_file_name};
use crate::store::Store;
use crate::store::version::file::StoreFile;
use std::sync::Arc;

/// A file of a store that is being written under the region's `.tmp`. Dropping it removes the file.
#[derive(Debug)]
pub(in crate::store) struct NewStoreFile {
    // Dropped before `staged`, which removes the file.
    writer: StoreFileWriter,
    staged: StagedFile,
    now: i64,
}

/// What the cells of a file may have.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct CellFlags {
    pub(in crate::store) tags: bool,
    pub(in crate::store) seq_ids: bool,
    /// Whether some of them come from an encrypted file, so that the new file must be encrypted, too.
    pub(in crate::store) encrypted: bool,
}

impl NewStoreFile {
    pub(in crate::store) fn create(store: &Store, carries: CellFlags, now: i64) -> Result<Self> {
        let family = &store.family;
        let encryption = Encryption::for_output(family, carries.encrypted, &store.options)?;
        let name = new_file_name(now);
        let path = store.tmp.join(&name);
        let storage = &store.storage;
        storage.create_dir_all(&store.tmp).map_err(|error| Error::io("create", &store.tmp, error))?;
        let options = HFileWriter::options()
            .family(family)
            .checksum(store.checksums.checksum_type)
            .bytes_per_checksum(store.checksums.bytes)
            .tags(carries.tags)
            .mvcc(carries.seq_ids)
            .encryption(encryption)
            .order(store.order)
            .create_time(now);
        let file = storage.create(&path).map_err(|error| Error::io("create", &path, error))?;
        let staged = StagedFile::new(Arc::clone(storage), path, name);
        Ok(Self { writer: StoreFileWriter::create_in(options, file)?, staged, now })
    }

    pub(in crate::store) fn append(&mut self, cell: CellRef<'_>) -> Result<()> {
        self.writer.append(cell)
    }

    /// Syncs the file and checks that it can be opened. It has no name in the store yet.
    pub(in crate::store) fn finish(self, store: &Store, origin: &StoreFileOrigin) -> Result<StagedFile> {
        self.writer.finish(origin)?;
        let info = StoreFileInfo::plain(self.staged.path(), self.now);
        let len = StoreFile::open(&store.options, &info)?.file_len();
        Ok(self.staged.with_len(len))
    }
}
