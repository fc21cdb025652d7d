//! A file system that fails, and that can lose its power.

use super::fault;
use crate::io::{DirEntry, FileLock, FileReader, FileWriter, MemoryFile, Storage};
use crate::sync::unpoisoned;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// Files in memory. It counts all calls that change something, and fails at those it is told to.
///
/// It knows what would be left if the power went: of a file what was synced, of names what they were when their directory
/// was synced.
#[derive(Clone, Debug, Default)]
pub struct FaultyStorage(Arc<Mutex<State>>);

/// What a crash leaves of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Everything: the process was killed, the system lives on.
    OfTheProcess,
    /// Nothing.
    Hard,
    /// Names, and half of the bytes: a system may write what it likes, when it likes.
    Torn,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    /// Which file has a name.
    names: BTreeMap<PathBuf, usize>,
    /// Which file would have it after a loss of power.
    synced_names: BTreeMap<PathBuf, usize>,
    /// The directories that were created, and whether they would be there then. Others have always been.
    dirs: BTreeMap<PathBuf, bool>,
    calls: u64,
    faults: Faults,
}

#[derive(Clone, Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

/// Which calls fail.
#[derive(Clone, Copy, Debug, Default)]
enum Faults {
    #[default]
    None,
    At(u64),
    From(u64),
}

impl FaultyStorage {
    /// A storage without files that does not fail yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the call fail that comes after `n` more.
    pub fn fail_after(&self, n: u64) {
        let mut state = self.state();
        state.faults = Faults::At(state.calls + n);
    }

    /// Makes all calls fail that come after `n` more, as if the process had been killed there.
    pub fn die_after(&self, n: u64) {
        let mut state = self.state();
        state.faults = Faults::From(state.calls + n);
    }

    /// How many calls there have been that change something.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The names of all files.
    #[must_use]
    pub fn names(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// The bytes of a file, if there is one of that name.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(path).map(|&file| state.files[file].bytes.clone())
    }

    /// What is found after a crash. It does not fail any more.
    #[must_use]
    pub fn after(&self, crash: Crash) -> Self {
        let state = self.state();
        let mut names = if crash == Crash::Hard { &state.synced_names } else { &state.names }.clone();
        let mut dirs = state.dirs.clone();
        if crash == Crash::Hard {
            let lost: Vec<_> =
                state.dirs.iter().filter(|(_, synced)| !**synced).map(|(dir, _)| dir).collect();
            let is_lost = |path: &Path| lost.iter().any(|dir| path.starts_with(dir));
            names.retain(|name, _| !is_lost(name));
            dirs.retain(|dir, _| !is_lost(dir));
        }
        let files = state.files.iter().map(|file| {
            let len = match crash {
                Crash::OfTheProcess => file.bytes.len(),
                Crash::Hard => file.synced,
                Crash::Torn => file.synced + (file.bytes.len() - file.synced) / 2,
            };
            Content { bytes: file.bytes[..len].to_vec(), synced: len }
        });
        let left = State {
            files: files.collect(),
            names: names.clone(),
            synced_names: names,
            dirs: dirs.into_keys().map(|dir| (dir, true)).collect(),
            ..State::default()
        };
        Self(Arc::new(Mutex::new(left)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.0.lock())
    }
}

impl State {
    /// Counts a call, and says whether it is to fail.
    fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        match self.faults {
            Faults::At(at) if call == at => Err(fault()),
            Faults::From(from) if call >= from => Err(fault()),
            _ => Ok(()),
        }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Storage for FaultyStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        let bytes = self.bytes(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile::new(path, bytes)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        let mut state = self.state();
        state.call()?;
        let file = state.files.len();
        state.files.push(Content::default());
        state.names.insert(path.to_owned(), file);
        Ok(Box::new(FaultyWriter { storage: self.clone(), path: path.to_owned(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let file = state.file(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        state.file(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let path = if path == Path::new(".") { Path::new("") } else { path };
        let within = |name: &Path| name.parent() == Some(path);
        state.synced_names.retain(|name, _| !within(name));
        let now: Vec<_> = state.names.iter().map(|(name, file)| (name.clone(), *file)).collect();
        state.synced_names.extend(now.into_iter().filter(|(name, _)| within(name)));
        state.dirs.iter_mut().filter(|(dir, _)| within(dir)).for_each(|(_, synced)| *synced = true);
        Ok(())
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut state = self.state();
        state.call()?;
        let mut found = BTreeMap::new();
        let files = state.names.iter().map(|(name, &file)| (name, Some(file)));
        for (name, file) in files.chain(state.dirs.keys().map(|dir| (dir, None))) {
            let Ok(below) = name.strip_prefix(path) else { continue };
            let mut parts = below.iter();
            let Some(part) = parts.next() else { continue };
            let file = file.filter(|_| parts.next().is_none());
            let name = part.to_string_lossy().into_owned();
            let len = file.map_or(0, |file| state.files[file].bytes.len() as u64);
            found.insert(name.clone(), DirEntry { name, len, is_dir: file.is_none(), modified_millis: 0 });
        }
        if found.is_empty() && !state.dirs.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(found.into_values().collect())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        // the root is there
        for dir in path.ancestors().filter(|dir| dir.parent().is_some()) {
            state.dirs.entry(dir.to_owned()).or_insert(false);
        }
        Ok(())
    }

    /// Everybody gets it: after a crash nobody has one.
    fn lock(&self, _path: &Path) -> io::Result<FileLock> {
        Ok(FileLock::new(()))
    }
}

/// A file of a [`FaultyStorage`].
#[derive(Debug)]
struct FaultyWriter {
    storage: FaultyStorage,
    path: PathBuf,
    file: usize,
}

impl FileWriter for FaultyWriter {
    fn path(&self) -> &Path {
        &self.path
    }

    /// Of a write that fails, the first half is written.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.storage.state();
        let called = state.call();
        let written = if called.is_ok() { bytes.len() } else { bytes.len() / 2 };
        state.files[self.file].bytes.extend_from_slice(&bytes[..written]);
        called
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.storage.state();
        state.call()?;
        let content = &mut state.files[self.file];
        content.synced = content.bytes.len();
        Ok(())
    }
}
