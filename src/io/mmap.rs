//! Memory-mapped files. Only this module maps files.

use super::file::{identity, open_regular};
use super::memory::{bytes_at, copy_at};
use super::{
    DirEntry, FileIdentity, FileLock, FileReader, FileWriter, LocalStorage, LogFile, ScratchFile, Storage,
};
use memmap2::Mmap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file mapped into memory.
///
/// Bytes are verified in place, and only returned bytes are copied. A verified part of a block is not
/// verified again while the block's outline is in the cache: damage on disk in that time is not detected.
#[derive(Debug)]
pub struct MmapFile {
    map: Mmap,
    path: PathBuf,
    identity: Option<FileIdentity>,
}

impl MmapFile {
    /// Maps a whole file.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    ///
    /// # Safety
    ///
    /// The file must not be truncated or written to while the result is alive. HBase never changes a store
    /// file after renaming it into place, so a file in a region's family directory qualifies as long as no
    /// other program rewrites it.
    #[allow(unsafe_code, reason = "mapping a file is unsafe by nature")]
    pub unsafe fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let (file, meta) = open_regular(&path)?;
        let identity = identity(&meta);
        // SAFETY: the caller guarantees that the file does not change while the mapping exists, as
        // `Mmap::map` requires.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { map, path, identity })
    }
}

impl FileReader for MmapFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.map.len() as u64
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.identity
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        copy_at(&self.map, buf, offset)
    }

    fn read_in_place(&self, offset: u64, len: usize, read: &mut dyn FnMut(&[u8])) -> bool {
        bytes_at(&self.map, offset, len).map(read).is_some()
    }
}

/// The local file system, with large files mapped when they are opened for reading.
///
/// A mapping takes address space for as long as its file is open, and a file handle only while it is made.
#[derive(Debug)]
pub struct MmapStorage(LocalStorage);

/// Smaller files are read instead.
const MIN_LEN: u64 = 64 << 10;

/// The name of the directories of logs. They are written while others read them, and truncated if the disk is
/// full: a mapping would fault.
const LOGS: &str = "recovered.edits";

impl MmapStorage {
    /// Creates the storage.
    ///
    /// # Safety
    ///
    /// As for [`MmapFile::open`], for each file of at least 64 KiB that is opened for reading through the
    /// result, except in directories with the name `recovered.edits`, whose files are not mapped. This
    /// library never changes a file elsewhere while it is open, so directories that no other program writes
    /// to qualify.
    #[allow(unsafe_code, reason = "as `MmapFile::open`")]
    #[must_use]
    pub unsafe fn new() -> Self {
        Self(LocalStorage)
    }
}

impl Storage for MmapStorage {
    #[allow(unsafe_code, reason = "as `MmapFile::open`")]
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        let file = self.0.open(path)?;
        let is_log = path.parent().and_then(Path::file_name).is_some_and(|name| name == LOGS);
        if is_log || file.len() < MIN_LEN {
            return Ok(file);
        }
        // SAFETY: the caller of `new` guarantees that the file does not change.
        Ok(Arc::new(unsafe { MmapFile::open(path)? }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.0.create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.0.create_new(path)
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        self.0.create_log(path)
    }

    fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
        self.0.create_scratch(path, len)
    }

    fn can_rename(&self, path: &Path) -> bool {
        self.0.can_rename(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename_new(from, to)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.0.hard_link(original, link)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.0.sync_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.list_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }

    fn full_path(&self, path: &Path, follow_links: bool) -> io::Result<PathBuf> {
        self.0.full_path(path, follow_links)
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        self.0.end_writing(path)
    }

    fn can_hide_writes(&self, path: &Path) -> bool {
        self.0.can_hide_writes(path)
    }

    fn can_read_removed(&self) -> bool {
        self.0.can_read_removed()
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.0.lock(path)
    }
}
