//! A storage whose files share a bound of handles.

use super::file::{BoundedFile, MovedTo};
use super::{FileHandles, key};
use crate::io::{DirEntry, FileLock, FileReader, FileWriter, LogFile, ScratchFile, Storage};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bounds the number of files of another storage that are open for reading at once.
///
/// Readers opened earlier can still read a file that is renamed or removed through this storage. If another
/// process removes a file, it cannot be read once its handle has been closed.
#[derive(Debug)]
pub(crate) struct BoundedStorage {
    inner: Arc<dyn Storage>,
    handles: FileHandles,
    elsewhere: MovedTo,
}

impl BoundedStorage {
    /// `elsewhere` returns the locations, in the order of lookup, to which another process may have moved a
    /// file.
    pub(crate) fn new(inner: Arc<dyn Storage>, handles: FileHandles, elsewhere: MovedTo) -> Self {
        Self { inner, handles, elsewhere }
    }
}

impl Storage for BoundedStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        let _opening = self.handles.0.moves.open(key(&self.inner, path));
        Ok(Arc::new(BoundedFile::open(&self.handles, &self.inner, self.elsewhere, path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.handles.with_room(|| self.inner.create(path))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.handles.with_room(|| self.inner.create_new(path))
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        self.handles.with_room(|| self.inner.create_log(path))
    }

    fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
        self.handles.with_room(|| self.inner.create_scratch(path, len))
    }

    fn can_rename(&self, path: &Path) -> bool {
        self.inner.can_rename(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _moving = self.handles.0.moves.change([from, to].map(|path| key(&self.inner, path)).into());
        self.handles.forget_name(&self.inner, to, || self.inner.rename(from, to))?;
        self.handles.renamed(&self.inner, from, to);
        Ok(())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _moving = self.handles.0.moves.change([from, to].map(|path| key(&self.inner, path)).into());
        self.handles.forget_name(&self.inner, to, || self.inner.rename_new(from, to))?;
        self.handles.renamed(&self.inner, from, to);
        Ok(())
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.inner.hard_link(original, link)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let _removing = self.handles.0.moves.change(vec![key(&self.inner, path)]);
        self.handles.forget_name(&self.inner, path, || self.inner.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.handles.with_room(|| self.inner.sync_file(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.handles.with_room(|| self.inner.sync_dir(path))
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.handles.with_room(|| self.inner.list_dir(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        self.inner.end_writing(path)
    }

    fn full_path(&self, path: &Path, follow_links: bool) -> io::Result<PathBuf> {
        self.inner.full_path(path, follow_links)
    }

    fn can_hide_writes(&self, path: &Path) -> bool {
        self.inner.can_hide_writes(path)
    }

    fn can_read_removed(&self) -> bool {
        self.inner.can_read_removed()
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.handles.with_room(|| self.inner.lock(path))
    }
}
