//! Open files, bounded by number and shared by any number of regions (RocksDB: `max_open_files` and its table cache).
//!
//! A file that is read keeps its handle for as long as there is room. The handle of a file that has not been read lately is
//! closed, and the file is opened again when it is read next: by its path, which follows renames made here. A read of a
//! file whose handle is open takes no lock.
//!
//! Locks are taken in this order: `Shared::moves`, a file's `reopening`, `Shared::state`, a file's `path`.

mod file;
mod storage;

pub(crate) use storage::BoundedStorage;

use super::{FileReader, Storage};
use crate::sync::unpoisoned;
use file::OpenedFile;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, RwLock};

/// How many store files may be open at once. Clones share the bound.
///
/// Regions that are opened without one share [that of the process](Self::of_process). Where the system has no more
/// handles, those of files that are not being read are closed, however many there may be.
///
/// A file whose handle was closed is opened again when it is read. It is found where a region of this process, or HBase's
/// archiver, has moved it; another file of its name is never read. Files that a compaction removes, since the region is under no
/// root directory, stay open for as long as a view reads them, beyond this number if need be. A file that another process
/// removes cannot be read once its handle is closed.
#[derive(Clone)]
pub struct FileHandles(Arc<Shared>);

struct Shared {
    capacity: usize,
    /// Held for writing while a file is renamed or removed, for reading while one is opened.
    moves: RwLock<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Files whose handles are open.
    open: Vec<Arc<OpenedFile>>,
    /// The hand of the CLOCK algorithm, in `open`.
    hand: usize,
    /// Handles that are about to be opened.
    reserved: usize,
    /// All files that are in use, by where they are now.
    files: BTreeMap<FileKey, Vec<Arc<OpenedFile>>>,
}

/// A path of a storage, which is known by its address.
type FileKey = (usize, PathBuf);

fn key(storage: &Arc<dyn Storage>, path: &Path) -> FileKey {
    (Arc::as_ptr(storage).cast::<()>().addr(), path.to_owned())
}

/// A handle. It is counted twice: by a pointer of one word for the atomic, and by readers.
type Handle = Arc<Arc<dyn FileReader>>;

/// The most handles of the process.
const MAX_OF_PROCESS: usize = 512;

/// How often handles are closed for a call that finds none left: other threads may take them.
const RETRIES: usize = 100;

impl FileHandles {
    /// At most this many handles, 1 at least. Each thread that reads may hold one more for as long as its read lasts.
    #[must_use]
    pub fn with_capacity(handles: usize) -> Self {
        let (moves, state) = (RwLock::new(()), Mutex::default());
        Self(Arc::new(Shared { capacity: handles.max(1), moves, state }))
    }

    /// Those of the process: 512, or a quarter of what the system lets the process have (`RLIMIT_NOFILE`) when this is first
    /// called, if that is fewer.
    #[must_use]
    pub fn of_process() -> Self {
        static SHARED: LazyLock<FileHandles> =
            LazyLock::new(|| FileHandles::with_capacity((handles_of_process() / 4).min(MAX_OF_PROCESS)));
        SHARED.clone()
    }

    /// The most handles.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// How many handles are open.
    #[must_use]
    pub fn open_handles(&self) -> usize {
        unpoisoned(self.0.state.lock()).open.len()
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

    /// Calls what needs a handle of the system; if there are none left, closes some and calls it again.
    fn with_room<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        for _ in 0..RETRIES {
            match call() {
                Err(error) if is_out_of_handles(&error) && self.close_half() => {}
                result => return result,
            }
        }
        call()
    }

    /// Closes half of the handles, one at least; false if none can be closed.
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

    /// Counts a file as being at a path of its storage.
    fn register(&self, file: &Arc<OpenedFile>) {
        unpoisoned(self.0.state.lock()).files.entry(file.key()).or_default().push(Arc::clone(file));
    }

    /// Gives up a file that is used no longer.
    fn forget(&self, file: &Arc<OpenedFile>) {
        let mut state = unpoisoned(self.0.state.lock());
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

    /// Calls what takes their name from the files at a path. Their handles stay open for as long as they are used: they
    /// could not be opened again. The caller holds `moves`.
    fn unname(
        &self,
        storage: &Arc<dyn Storage>,
        path: &Path,
        call: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let key = key(storage, path);
        let files = {
            let state = unpoisoned(self.0.state.lock());
            let files = state.files.get(&key).cloned().unwrap_or_default();
            // Before the lock is given up: from then on no handle of theirs is closed.
            files.iter().for_each(|file| file.pin());
            files
        };
        let opened = files.iter().try_for_each(|file| match file.reopen(self) {
            // Another process has removed it.
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

    /// Notes that a file or directory has another name.
    fn renamed(&self, storage: &Arc<dyn Storage>, from: &Path, to: &Path) {
        let mut state = unpoisoned(self.0.state.lock());
        let first = key(storage, from);
        let below = |key: &&FileKey| key.0 == first.0 && key.1.starts_with(from);
        let keys: Vec<FileKey> =
            state.files.range(&first..).map(|(key, _)| key).take_while(below).cloned().collect();
        for old in keys {
            let Some(files) = state.files.remove(&old) else { continue };
            let below = old.1.strip_prefix(from).unwrap_or_else(|_| Path::new(""));
            // Joined with nothing, a path would end with a separator.
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
    /// Closes the handle of a file that has not been read since the hand last passed it. None if all must stay open.
    fn close_one(&mut self) -> Option<Handle> {
        // Once round to mark all as not read, and once to take what is still marked so or, if all have been read meanwhile, any.
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

/// Room for a handle.
struct Reservation<'h>(&'h FileHandles);

impl Reservation<'_> {
    /// Gives the room to a file and its handle.
    fn take(self, file: &Arc<OpenedFile>, handle: Handle) {
        let mut state = unpoisoned(self.0.0.state.lock());
        state.open.push(Arc::clone(file));
        file.set_handle(handle);
        // dropping the reservation gives the room back, which the file takes up now
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        unpoisoned(self.0.0.state.lock()).reserved -= 1;
    }
}

/// Whether the process or the system has as many files open as it may.
fn is_out_of_handles(error: &io::Error) -> bool {
    // EMFILE and ENFILE, which have these numbers everywhere; ERROR_TOO_MANY_OPEN_FILES
    let codes: &[i32] = if cfg!(unix) { &[24, 23] } else { &[4] };
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// How many handles the system lets this process have.
#[cfg(unix)]
fn handles_of_process() -> usize {
    use rustix::process::{Resource, getrlimit};
    getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn handles_of_process() -> usize {
    usize::MAX
}

#[cfg(test)]
mod tests;
