//! A new file of a store, written to a temporary directory.

use crate::binary::StringBinary;
use crate::block::codec::{Compressor, CompressorOptions};
use crate::cell::{CellOrder, CellRef};
use crate::error::{Error, ErrorKind, Result};
use crate::hfile::{Encryption, HFile, HFileWriter, HFileWriterOptions, StoreFileOrigin, StoreFileWriter};
use crate::layout::{StagedFile, StoreFileInfo, new_file_name};
use crate::schema::Codec;
use crate::store::Store;
use crate::store::settings::short;
use crate::store::version::file::StoreFile;
use std::path::Path;
use std::sync::Arc;

/// A file of a store that is being written under the region's `.tmp`; in a storage without renames, in the
/// family's directory. Dropping it removes the file.
#[derive(Debug)]
pub(in crate::store) struct NewStoreFile {
    // Dropped before `staged`, which removes the file.
    writer: StoreFileWriter,
    staged: StagedFile,
    now: i64,
}

/// Properties of the cells of a file.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct CellFlags {
    pub(in crate::store) tags: bool,
    pub(in crate::store) seq_ids: bool,
    /// Whether some of them come from an encrypted file, so that the new file must be encrypted as well.
    pub(in crate::store) encrypted: bool,
}

/// The compression of a new file's blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockCompression {
    codec: Codec,
    zstd_framed: bool,
}

impl Store {
    /// Returns the compression by `codec` of a new file's blocks, given the store's files, newest first.
    /// HBase reads all ZSTD files of a cluster with one class, which reads only frames in Hadoop's framing,
    /// or only bare ones (hfile.md §8.3): new files have the form of the newest ZSTD file, or else that of
    /// the options.
    ///
    /// # Errors
    ///
    /// If no file shows the form, and one that might cannot be read. Damaged files are skipped.
    pub(crate) fn compression<'f>(
        &self,
        codec: Codec,
        newest_first: impl IntoIterator<Item = &'f HFile>,
    ) -> Result<BlockCompression> {
        let of = |zstd_framed| BlockCompression { codec, zstd_framed };
        if codec != Codec::Zstd {
            return Ok(of(false));
        }
        let mut unreadable = None;
        for file in newest_first {
            match file.zstd_framed() {
                Ok(Some(framed)) => return Ok(of(framed)),
                Err(error) if error.kind() == ErrorKind::Io => unreadable = unreadable.or(Some(error)),
                Ok(None) | Err(_) => {}
            }
        }
        match unreadable {
            Some(error) => Err(error),
            None => Ok(of(self.zstd_framed)),
        }
    }

    /// Like [`compression`](Self::compression), for a flush, which must succeed even if no old file can be
    /// read: the new file then has the form of the options.
    pub(crate) fn flush_compression<'f>(
        &self,
        newest_first: impl IntoIterator<Item = &'f HFile>,
    ) -> BlockCompression {
        let codec = self.family.codec;
        let of_options = BlockCompression { codec, zstd_framed: self.zstd_framed };
        self.compression(codec, newest_first).unwrap_or(of_options)
    }

    /// Checks that the master key and the ZSTD dictionary were given if new files need them, and are valid.
    /// The store's files are given oldest first.
    ///
    /// # Errors
    ///
    /// If one of them is invalid or missing; if the form of new files depends on a file that cannot be read.
    pub(crate) fn check_keys(&self, files: &[StoreFile]) -> Result<()> {
        let is_encrypted = files.iter().any(StoreFile::is_encrypted);
        Encryption::for_output(&self.family, is_encrypted, &self.options)?;
        self.check_zstd_dictionary(files.iter().rev().map(StoreFile::hfile))
    }

    fn check_zstd_dictionary<'f>(&self, newest_first: impl IntoIterator<Item = &'f HFile>) -> Result<()> {
        let Some(path) = &self.zstd_dictionary else { return Ok(()) };
        let codecs = [Some(self.family.codec), self.compaction.major_codec, self.compaction.minor_codec];
        if !codecs.contains(&Some(Codec::Zstd)) {
            return Ok(());
        }
        let name = StringBinary(self.family.name());
        if let Some(dictionary) = self.options.given_zstd_dictionary() {
            let zstd_dictionary = Some(Arc::clone(dictionary));
            let options = CompressorOptions { zstd_framed: true, zstd_dictionary };
            let valid = Compressor::new(Codec::Zstd, &options).map(drop);
            return valid
                .map_err(|corruption| Error::invalid_argument(format!("family {name}: {corruption}")));
        }
        if self.compression(Codec::Zstd, newest_first)?.zstd_framed {
            return Err(Error::not_supported(format!(
                "a file of family {name} is compressed with {:?}: give the ZSTD dictionary",
                short(path)
            )));
        }
        Ok(())
    }

    /// Returns the family's dictionary for a new file; `None` for bare frames, which Hadoop's class could not
    /// read with one.
    fn zstd_dictionary_of(&self, compression: BlockCompression) -> Option<&Arc<[u8]>> {
        let has_one = compression.codec == Codec::Zstd && compression.zstd_framed;
        self.options.given_zstd_dictionary().filter(|_| has_one && self.zstd_dictionary.is_some())
    }

    /// Returns the options of a new file.
    fn writer_options(
        &self,
        carries: CellFlags,
        compression: BlockCompression,
        now: i64,
    ) -> Result<HFileWriterOptions> {
        let options = HFileWriter::options()
            .family(&self.family)
            .codec(compression.codec)
            .zstd_framed(compression.zstd_framed)
            .tags(carries.tags)
            .mvcc(carries.seq_ids)
            .encryption(Encryption::for_output(&self.family, carries.encrypted, &self.options)?)
            .order(self.order)
            .limits(self.options.limit_values().clone())
            .create_time(now);
        let options = self.file_settings.add_to(options);
        let options = match self.order {
            CellOrder::User => options,
            CellOrder::Meta => options.without_filters(),
        };
        Ok(match self.zstd_dictionary_of(compression) {
            Some(dictionary) => options.zstd_dictionary(Arc::clone(dictionary)),
            None => options,
        })
    }

    /// Creates a file that is outside of the store, for a bulk load. `encrypted`: whether its cells come from
    /// an encrypted file. `max_key_len` limits the row and qualifier of a cell.
    pub(crate) fn create_for_bulk_load(
        &self,
        path: &Path,
        (tags, encrypted): (bool, bool),
        max_key_len: usize,
        compression: BlockCompression,
        now: i64,
    ) -> Result<StoreFileWriter> {
        let carries = CellFlags { tags, seq_ids: true, encrypted };
        let options = self.writer_options(carries, compression, now)?.max_key_len(max_key_len);
        let file = self.storage.create_new(path).map_err(|error| Error::io("create", path, error))?;
        StoreFileWriter::create_in(options, file)
    }
}

impl NewStoreFile {
    pub(in crate::store) fn create(
        store: &Store,
        carries: CellFlags,
        compression: BlockCompression,
        now: i64,
    ) -> Result<Self> {
        let options = store.writer_options(carries, compression, now)?;
        let name = new_file_name(now);
        let storage = &store.storage;
        // Without renames, a list names the files of the store.
        let is_aside = storage.can_rename(&store.dir);
        let dir = if is_aside { &store.tmp } else { &store.dir };
        let path = dir.join(&name);
        storage.create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
        let file = if is_aside { storage.create(&path) } else { storage.create_new(&path) };
        let file = file.map_err(|error| Error::io("create", &path, error))?;
        let staged = StagedFile::new(Arc::clone(storage), path, name);
        Ok(Self { writer: StoreFileWriter::create_in(options, file)?, staged, now })
    }

    pub(in crate::store) fn append(&mut self, cell: CellRef<'_>) -> Result<()> {
        self.writer.append(cell)
    }

    /// Syncs the file and checks that it can be opened. It is not a file of the store yet.
    pub(in crate::store) fn finish(self, store: &Store, origin: &StoreFileOrigin) -> Result<StagedFile> {
        self.writer.finish(origin)?;
        let info = StoreFileInfo::plain(self.staged.path(), self.now);
        let len = StoreFile::open(&store.options, &info)?.file_len();
        Ok(self.staged.with_len(len))
    }
}
