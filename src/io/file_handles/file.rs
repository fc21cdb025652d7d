//! A file whose handle may be closed between reads.

use super::{FileHandles, FileKey, Handle, key};
use crate::io::{FileIdentity, FileReader, Storage};
use crate::sync::unpoisoned;
use arc_swap::ArcSwapOption;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use xxhash_rust::xxh3::xxh3_64;

/// Returns the locations, in the order of lookup, of a file that is no longer at its path.
pub(super) type MovedTo = fn(&Path) -> Vec<PathBuf>;

/// The state of an opened file.
pub(super) struct OpenedFile {
    storage: Arc<dyn Storage>,
    elsewhere: MovedTo,
    len: u64,
    identity: Option<FileIdentity>,
    is_remote: bool,
    may_read_ahead: bool,
    /// For a file without an identity: the offset of the first bytes read that reached the end of the file,
    /// and their hash.
    tail: OnceLock<(u64, u64)>,
    /// The current path of the file.
    path: Mutex<PathBuf>,
    handle: ArcSwapOption<Arc<dyn FileReader>>,
    /// The reference bit of the CLOCK algorithm.
    used: AtomicBool,
    /// Whether the handle must stay open because the file no longer has a name.
    pinned: AtomicBool,
    /// Whether the file is no longer used. Changed and read only while the state of the handles is locked.
    forgotten: AtomicBool,
    reopening: Mutex<()>,
}

impl OpenedFile {
    pub(super) fn key(&self) -> FileKey {
        key(&self.storage, &unpoisoned(self.path.lock()))
    }

    pub(super) fn set_path(&self, path: PathBuf) {
        *unpoisoned(self.path.lock()) = path;
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.pinned.load(Ordering::Relaxed)
    }

    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    pub(super) fn set_handle(&self, handle: Handle) {
        self.handle.store(Some(handle));
    }

    pub(super) fn has_handle(&self, handle: &Handle) -> bool {
        self.handle.load().as_ref().is_some_and(|own| Arc::ptr_eq(own, handle))
    }

    /// Takes the handle, which is closed when the last read ends.
    pub(super) fn close(&self) -> Option<Handle> {
        self.handle.swap(None)
    }

    /// Keeps the handle open, now or once it is opened.
    pub(super) fn pin(&self) {
        self.pinned.store(true, Ordering::Relaxed);
    }

    pub(super) fn unpin(&self) {
        self.pinned.store(false, Ordering::Relaxed);
    }

    /// Records that the file is no longer used, so that it gets no further handle.
    pub(super) fn forget(&self) {
        self.forgotten.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.forgotten.load(Ordering::Relaxed)
    }

    /// Returns the handle, opened if necessary.
    pub(super) fn reopen(self: &Arc<Self>, handles: &FileHandles) -> io::Result<Handle> {
        let _reopening = unpoisoned(self.reopening.lock());
        if let Some(handle) = self.handle.load_full() {
            return Ok(handle);
        }
        let path = unpoisoned(self.path.lock()).clone();
        let mut error = None;
        for path in [path.clone()].into_iter().chain((self.elsewhere)(&path)) {
            let room = handles.reserve();
            match handles.with_room(|| self.storage.open(&path)).and_then(|found| self.check(found)) {
                Ok(found) => {
                    let handle = Arc::new(found);
                    room.take(self, Arc::clone(&handle));
                    return Ok(handle);
                }
                Err(other) if other.kind() == io::ErrorKind::NotFound => drop(error.get_or_insert(other)),
                Err(other) => return Err(other),
            }
        }
        Err(error.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    /// Checks that a file found at the path is this one.
    fn check(&self, found: Arc<dyn FileReader>) -> io::Result<Arc<dyn FileReader>> {
        let is_same = found.len() == self.len
            && match (self.identity, found.identity()) {
                (Some(identity), Some(found)) => identity == found,
                _ => match self.tail.get() {
                    None => true,
                    Some(&(offset, hash)) => {
                        let mut tail = vec![0; usize::try_from(self.len - offset).unwrap_or(0)];
                        found.read_exact_at(&mut tail, offset)?;
                        xxh3_64(&tail) == hash
                    }
                },
            };
        if is_same {
            return Ok(found);
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "another file has taken its place"))
    }

    /// Records the end of a file without an identity, to recognize the file.
    #[cold]
    fn note_tail(&self, bytes: &[u8], offset: u64) {
        if offset.checked_add(bytes.len() as u64) == Some(self.len) {
            self.tail.get_or_init(|| (offset, xxh3_64(bytes)));
        }
    }
}

/// A file whose handle is bounded by [`FileHandles`].
pub(super) struct BoundedFile {
    file: Arc<OpenedFile>,
    handles: FileHandles,
    /// The name of the file in errors: the path when it was opened.
    path: PathBuf,
}

impl BoundedFile {
    /// Opens a file. The caller has claimed its path, so that it is not renamed before it is registered.
    pub(super) fn open(
        handles: &FileHandles,
        storage: &Arc<dyn Storage>,
        elsewhere: MovedTo,
        path: &Path,
    ) -> io::Result<Self> {
        let room = handles.reserve();
        let found = handles.with_room(|| storage.open(path))?;
        let file = Arc::new(OpenedFile {
            storage: Arc::clone(storage),
            elsewhere,
            len: found.len(),
            identity: found.identity(),
            is_remote: found.is_remote(),
            may_read_ahead: found.may_read_ahead(),
            tail: OnceLock::new(),
            path: Mutex::new(path.to_owned()),
            handle: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            pinned: AtomicBool::new(false),
            forgotten: AtomicBool::new(false),
            reopening: Mutex::new(()),
        });
        room.take(&file, Arc::new(found));
        handles.register(&file);
        Ok(Self { file, handles: handles.clone(), path: path.to_owned() })
    }

    fn reopen(&self) -> io::Result<Handle> {
        match self.file.reopen(&self.handles) {
            // A concurrent rename may not have updated the path yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => loop {
                let key = self.file.key();
                let _opening = self.handles.0.moves.open(key.clone());
                // Another rename may have ended before the path was claimed.
                if self.file.key() == key {
                    return self.file.reopen(&self.handles);
                }
            },
            reopened => reopened,
        }
    }

    /// Opens the file at its current path, and reads it. `lost` is a handle that no longer finds the file.
    #[cold]
    fn read_reopened(&self, mut lost: Option<Handle>, buf: &mut [u8], offset: u64) -> io::Result<()> {
        // The file may be renamed again in the meantime.
        let mut attempts = 3;
        loop {
            if let Some(lost) = lost.take() {
                self.handles.discard(&self.file, &lost);
            }
            let handle = self.reopen()?;
            attempts -= 1;
            match handle.read_exact_at(buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts > 0 => lost = Some(handle),
                read => return read,
            }
        }
    }
}

impl FileReader for BoundedFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.file.len
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.file.identity
    }

    fn is_remote(&self) -> bool {
        self.file.is_remote
    }

    fn may_read_ahead(&self) -> bool {
        self.file.may_read_ahead
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let handle = self.file.handle.load();
        match &*handle {
            Some(handle) => {
                if !self.file.used.load(Ordering::Relaxed) {
                    self.file.used.store(true, Ordering::Relaxed);
                }
                match handle.read_exact_at(buf, offset) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        self.read_reopened(Some(Arc::clone(handle)), buf, offset)?;
                    }
                    read => read?,
                }
            }
            None => self.read_reopened(None, buf, offset)?,
        }
        if self.file.identity.is_none() {
            self.file.note_tail(buf, offset);
        }
        Ok(())
    }

    /// Does not reopen the file: the caller then reads it.
    fn read_in_place(&self, offset: u64, len: usize, read: &mut dyn FnMut(&[u8])) -> bool {
        let handle = self.file.handle.load();
        let Some(handle) = &*handle else { return false };
        handle.read_in_place(offset, len, &mut |bytes| {
            if !self.file.used.load(Ordering::Relaxed) {
                self.file.used.store(true, Ordering::Relaxed);
            }
            if self.file.identity.is_none() {
                self.file.note_tail(bytes, offset);
            }
            read(bytes);
        })
    }
}

impl Drop for BoundedFile {
    fn drop(&mut self) {
        self.handles.forget(&self.file);
    }
}

impl fmt::Debug for BoundedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedFile").field("path", &self.path).finish_non_exhaustive()
    }
}
