//! Open files of a [`FaultyStorage`], and locks.

use super::{Call, FaultyStorage, State};
use crate::io::{FileIdentity, FileReader, FileWriter, LogFile, LogSyncer, ScratchFile};
use std::io;
use std::path::{Path, PathBuf};

/// A lock that is released on drop.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) storage: FaultyStorage,
    pub(super) path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.storage.state().locks.remove(&self.path);
    }
}

/// An open file of a [`FaultyStorage`]. It can be read after its name has been removed, unless files are read
/// by their path.
#[derive(Debug)]
pub(super) struct FaultyReader {
    pub(super) storage: FaultyStorage,
    pub(super) path: PathBuf,
    pub(super) file: usize,
    pub(super) len: u64,
}

impl Drop for FaultyReader {
    fn drop(&mut self) {
        self.storage.state().handles.open -= 1;
    }
}

impl FileReader for FaultyReader {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn identity(&self) -> Option<FileIdentity> {
        let is_hidden = self.storage.state().hides_identities;
        (!is_hidden).then_some(FileIdentity { device: 0, number: self.file as u64, created_nanos: 0 })
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.storage.state();
        state.read(Call::Read)?;
        if state.reads_by_path && state.file(&self.path)? != self.file {
            return Err(io::ErrorKind::NotFound.into());
        }
        crate::io::memory::copy_at(&state.content(self.file).bytes, buf, offset)
    }
}

/// A file of a [`FaultyStorage`] that is overwritten in place.
#[derive(Debug)]
pub(super) struct FaultyScratch {
    pub(super) storage: FaultyStorage,
    pub(super) file: usize,
}

impl ScratchFile for FaultyScratch {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.storage.state();
        state.read(Call::Read)?;
        crate::io::memory::copy_at(&state.content(self.file).bytes, buf, offset)
    }

    /// A failing write writes the first half of the bytes.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.storage.state();
        let called = state.change(Call::Write);
        let written = if called.is_ok() { bytes.len() } else { bytes.len() / 2 };
        let at = usize::try_from(offset).map_err(|_| io::ErrorKind::StorageFull)?;
        state.content_mut(self.file).write_at(at, &bytes[..written]);
        called?
    }
}

/// A file of a [`FaultyStorage`] that is being written.
#[derive(Debug)]
pub(super) struct FaultyWriter {
    pub(super) storage: FaultyStorage,
    pub(super) path: PathBuf,
    pub(super) file: usize,
    /// The file that this one replaces when it is synced, in a storage without renames.
    pub(super) over: Option<usize>,
    /// The number of bytes that the next write does not replace.
    pub(super) kept: usize,
}

impl FaultyWriter {
    /// Writes after the bytes kept so far, and keeps `kept` more. A failing write writes the first half of
    /// the bytes, and keeps them. Returns the answer to a write that was made.
    fn write(&mut self, bytes: &[u8], kept: usize) -> io::Result<io::Result<()>> {
        let mut state = self.storage.state();
        let called = state.change(Call::Write);
        let half = bytes.len() / 2;
        if called.is_ok() && state.forks.cuts_writes {
            state.content_mut(self.file).write_at(self.kept, &bytes[..half]);
            state.fork();
        }
        let written = if called.is_ok() { bytes.len() } else { half };
        state.content_mut(self.file).write_at(self.kept, &bytes[..written]);
        self.kept += kept.min(written);
        called
    }

    /// Makes the file durable, and gives it its name in a storage without renames.
    fn make_durable(&self, state: &mut State) -> io::Result<()> {
        state.content_mut(self.file).sync();
        if state.has_objects {
            let (dir, name) = state.parent(&self.path)?;
            state.dir_mut(dir).now.insert(name.to_owned(), self.file);
            state.sync_names(dir);
        }
        Ok(())
    }
}

impl Drop for FaultyWriter {
    fn drop(&mut self) {
        self.storage.state().handles.open -= 1;
    }
}

impl FileWriter for FaultyWriter {
    fn path(&self) -> &Path {
        &self.path
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes, bytes.len())?
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.storage.state();
        let answer = state.change(Call::Sync)?;
        if state.has_objects {
            let found = state.node(&self.path).ok();
            if found != self.over && found != Some(self.file) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
        }
        self.make_durable(&mut state)?;
        answer
    }
}

impl LogFile for FaultyWriter {
    fn path(&self) -> &Path {
        &self.path
    }

    fn append(&mut self, bytes: &[u8], kept: usize) -> io::Result<()> {
        let answer = self.write(bytes, kept)?;
        let mut state = self.storage.state();
        if state.has_objects {
            // An object store writes the whole log again.
            self.make_durable(&mut state)?;
        }
        answer
    }

    fn can_overwrite(&self) -> bool {
        !self.storage.state().has_objects
    }

    fn max_len(&self) -> u64 {
        if self.storage.state().has_objects { 600 } else { u64::MAX }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.storage.state();
        if state.has_objects {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let answer = state.change(Call::Truncate)?;
        self.kept = usize::try_from(len).unwrap_or(usize::MAX);
        state.content_mut(self.file).truncate(self.kept);
        answer
    }

    fn sync(&mut self) -> io::Result<()> {
        FileWriter::sync(self)
    }

    fn syncer(&self) -> Option<LogSyncer> {
        if self.storage.state().has_objects {
            return None;
        }
        let (storage, file) = (self.storage.clone(), self.file);
        Some(LogSyncer::new(move || {
            let mut state = storage.state();
            let answer = state.change(Call::Sync)?;
            state.content_mut(file).sync();
            answer
        }))
    }
}
