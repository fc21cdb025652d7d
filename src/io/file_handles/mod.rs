//! Open files, bounded in number and shared by any number of regions (RocksDB: `max_open_files` and its table
//! cache).
//!
//! A file keeps its handle open while there is room. The handles of files that have not been read recently
//! are closed. Such a file is reopened on the next read, by its path, which follows renames made here.
//! Reading a file whose handle is open takes no lock.
//!
//! Lock order: paths claimed in `Shared::moves`, a file's `reopening`, `Shared::state`, a file's `path`.

mod file;
mod moves;
mod storage;

pub(crate) use storage::BoundedStorage;

use super::{FileReader, Storage};
use crate::sync::unpoisoned;
use file::OpenedFile;
use moves::Moves;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

/// A bound for the number of store files that are open at once. Clones share the bound.
///
/// Regions that are opened without one share [that of the process](Self::global). If the system has no
/// handles left, handles of files that are not being read are closed, even below the bound.
///
/// A file whose handle was closed is reopened when it is read. It is found even if a region of this process,
/// HBase's archiver, or the deletion of its table has moved it; another file of the same name is never read.
/// If the region is not under a root directory, compactions remove files; these stay open while a view reads
/// them, beyond the bound if necessary. A file that another process removes cannot be read once its handle is
/// closed.
#[derive(Clone)]
pub struct FileHandles(Arc<Shared>);

struct Shared {
    capacity: usize,
    moves: Moves,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The files whose handles are open.
    open: Vec<Arc<OpenedFile>>,
    /// The hand of the CLOCK algorithm, an index in `open`.
    hand: usize,
    /// The number of handles about to be opened.
    reserved: usize,
    /// All files in use, by their current location.
    files: BTreeMap<FileKey, Vec<Arc<OpenedFile>>>,
}

/// A path in a storage; the storage is identified by its address.
type FileKey = (usize, PathBuf);

fn key(storage: &Arc<dyn Storage>, path: &Path) -> FileKey {
    (Arc::as_ptr(storage).cast::<()>().addr(), path.to_owned())
}

/// A handle. It has two levels of `Arc`: a thin pointer for the atomic, and the reference count of readers.
type Handle = Arc<Arc<dyn FileReader>>;

/// The maximum number of handles of the process.
const MAX_GLOBAL: usize = 512;

/// The number of times that a call that finds no handles left closes some and retries: other threads may take
/// the freed handles.
const RETRIES: usize = 100;

impl FileHandles {
    /// Creates a bound of this many handles, at least 1. Each reading thread may hold one more during its
    /// read.
    #[must_use]
    pub fn with_capacity(handles: usize) -> Self {
        let (moves, state) = (Moves::default(), Mutex::default());
        Self(Arc::new(Shared { capacity: handles.max(1), moves, state }))
    }

    /// Returns the bound of the process: 512, or a quarter of the limit of the process (`RLIMIT_NOFILE`) at
    /// the first call, if that is less.
    #[must_use]
    pub fn global() -> Self {
        static SHARED: LazyLock<FileHandles> =
            LazyLock::new(|| FileHandles::with_capacity((handle_limit() / 4).min(MAX_GLOBAL)));
        SHARED.clone()
    }

    /// Returns the maximum number of handles.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Returns the number of open handles.
    #[must_use]
    pub fn open_handles(&self) -> usize {
        unpoisoned(self.0.state.lock()).open.len()
    }

    /// Closes a handle that has lost its file, unless the file already has another one.
    fn discard(&self, file: &Arc<OpenedFile>, handle: &Handle) {
        let mut state = unpoisoned(self.0.state.lock());
        if !file.has_handle(handle) {
            return;
        }
        if let Some(i) = state.open.iter().position(|open| Arc::ptr_eq(open, file)) {
            state.open.swap_remove(i);
        }
        let closed = file.close();
        drop(state);
        drop(closed);
    }

    /// Makes room for a handle that is about to be opened.
    fn reserve(&self) -> Reservation<'_> {
        let mut closed = Vec::new();
        let mut state = unpoisoned(self.0.state.lock());
        while state.open.len() + state.reserved >= self.0.capacity {
            let Some(handle) = state.close_one() else { break };
            closed.push(handle);
        }
        state.reserved += 1;
        drop(state);
        Reservation(self)
    }

    /// Calls `call`, which needs a handle of the system. If there are none left, closes some and calls it
    /// again.
    fn with_room<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        for _ in 0..RETRIES {
            match call() {
                Err(error) if is_out_of_handles(&error) && self.close_half() => {}
                result => return result,
            }
        }
        call()
    }

    /// Closes half of the handles, at least one. Returns false if none can be closed.
    fn close_half(&self) -> bool {
        let mut closed = Vec::new();
        let mut state = unpoisoned(self.0.state.lock());
        for _ in 0..state.open.len().div_ceil(2) {
            let Some(handle) = state.close_one() else { break };
            closed.push(handle);
        }
        drop(state);
        !closed.is_empty()
    }

    /// Registers a file under its path.
    fn register(&self, file: &Arc<OpenedFile>) {
        unpoisoned(self.0.state.lock()).files.entry(file.key()).or_default().push(Arc::clone(file));
    }

    /// Removes a file that is no longer used.
    fn forget(&self, file: &Arc<OpenedFile>) {
        let mut state = unpoisoned(self.0.state.lock());
        file.forget();
        if let Some(i) = state.open.iter().position(|open| Arc::ptr_eq(open, file)) {
            state.open.swap_remove(i);
        }
        let key = file.key();
        let others = state.files.get_mut(&key).map_or(0, |files| {
            files.retain(|other| !Arc::ptr_eq(other, file));
            files.len()
        });
        if others == 0 {
            state.files.remove(&key);
        }
    }

    /// Calls `call`, which removes or replaces the files at a path. Their handles stay open while they are
    /// used, since they could not be reopened. The caller has claimed the path.
    fn forget_name(
        &self,
        storage: &Arc<dyn Storage>,
        path: &Path,
        call: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let key = key(storage, path);
        let files = {
            let state = unpoisoned(self.0.state.lock());
            let files = state.files.get(&key).cloned().unwrap_or_default();
            // Before unlocking, so that none of their handles is closed.
            files.iter().for_each(|file| file.pin());
            files
        };
        let opened = files.iter().try_for_each(|file| match file.reopen(self) {
            // Removed by another process.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            opened => opened.map(drop),
        });
        let called = opened.and_then(|()| call());
        match &called {
            Ok(()) => drop(unpoisoned(self.0.state.lock()).files.remove(&key)),
            Err(_) => files.iter().for_each(|file| file.unpin()),
        }
        called
    }

    /// Updates the paths of files after a file or directory has been renamed.
    fn renamed(&self, storage: &Arc<dyn Storage>, from: &Path, to: &Path) {
        let mut state = unpoisoned(self.0.state.lock());
        let first = key(storage, from);
        let below = |key: &&FileKey| key.0 == first.0 && key.1.starts_with(from);
        let keys: Vec<FileKey> =
            state.files.range(&first..).map(|(key, _)| key).take_while(below).cloned().collect();
        for old in keys {
            let Some(files) = state.files.remove(&old) else { continue };
            let below = old.1.strip_prefix(from).unwrap_or_else(|_| Path::new(""));
            // Joining an empty path would append a separator.
            let path = if below.as_os_str().is_empty() { to.to_owned() } else { to.join(below) };
            files.iter().for_each(|file| file.set_path(path.clone()));
            state.files.entry((old.0, path)).or_default().extend(files);
        }
    }
}

impl fmt::Debug for FileHandles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileHandles")
            .field("capacity", &self.capacity())
            .field("open", &self.open_handles())
            .finish_non_exhaustive()
    }
}

impl State {
    /// Closes the handle of a file that has not been read since the hand last passed it. `None` if all must
    /// stay open.
    fn close_one(&mut self) -> Option<Handle> {
        // The first round clears the marks. The second takes an unmarked file or, if all have been read in
        // the meantime, any.
        let len = self.open.len();
        for step in 0..2 * len {
            if self.hand >= self.open.len() {
                self.hand = 0;
            }
            let file = &self.open[self.hand];
            if file.is_pinned() || file.take_used() && step < len {
                self.hand += 1;
                continue;
            }
            let file = self.open.swap_remove(self.hand);
            return file.close();
        }
        None
    }
}

/// A reservation for a handle.
struct Reservation<'h>(&'h FileHandles);

impl Reservation<'_> {
    /// Passes the reserved room to a file and its handle, unless the file has been dropped, because nothing
    /// would then close the handle.
    fn take(self, file: &Arc<OpenedFile>, handle: Handle) {
        let mut state = unpoisoned(self.0.0.state.lock());
        if file.is_forgotten() {
            return;
        }
        state.open.push(Arc::clone(file));
        file.set_handle(handle);
        // dropping the reservation releases the room, which is now counted in `open`
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        unpoisoned(self.0.0.state.lock()).reserved -= 1;
    }
}

/// Whether the process or the system has reached its limit of open files.
fn is_out_of_handles(error: &io::Error) -> bool {
    let codes: &[i32] = match () {
        // EMFILE and ENFILE, which have these numbers on all of them
        () if cfg!(unix) => &[24, 23],
        // the same
        () if cfg!(target_os = "wasi") => &[33, 41],
        // ERROR_TOO_MANY_OPEN_FILES
        () if cfg!(windows) => &[4],
        () => &[],
    };
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Returns the limit of open handles for this process.
#[cfg(unix)]
fn handle_limit() -> usize {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn handle_limit() -> usize {
    usize::MAX
}

#[cfg(test)]
mod tests;
