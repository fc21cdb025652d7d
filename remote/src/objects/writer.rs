//! Objects that are being written.

use super::changes::{Failure, ObjectFiles, Over};
use super::upload::Parts;
use crate::storage::Shared;
use crate::target::TargetPath;
use bytes::{Bytes, BytesMut};
use hregion::io::{FileWriter, LogFile};
use std::fmt;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The target of an object being written.
struct Written {
    path: PathBuf,
    key: String,
    files: Arc<ObjectFiles>,
    shared: Arc<Shared>,
    over: Over,
}

impl Written {
    /// Fails if there is an object, unless it is replaced. Makes nothing.
    fn create(files: Arc<ObjectFiles>, file: TargetPath<'_>, replaces: bool) -> io::Result<Self> {
        let (asked, key) = (Arc::clone(&files), file.key.to_owned());
        let seen = file.shared.blocking.run(async move {
            asked.check(&key).await?;
            asked.check_conditions(&key).await?;
            asked.find(&key).await
        })?;
        let over = match seen {
            None => Over::Nothing,
            Some(seen) if replaces => Over::Version(seen.e_tag),
            Some(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        };
        let (path, key) = (file.path.to_owned(), file.key.to_owned());
        Ok(Self { path, key, files, shared: Arc::clone(file.shared), over })
    }

    /// Makes the object, or replaces it by another one.
    fn put(&mut self, bytes: Bytes) -> Result<(), Failure> {
        let (files, key, over) = (Arc::clone(&self.files), self.key.clone(), self.over.clone());
        let put = self.shared.blocking.run(async move { Ok(files.put_file(&key, bytes, &over).await) });
        // The outcome at the deadline is unknown.
        self.over = Over::Version(put.map_err(Failure::Final)??);
        Ok(())
    }
}

#[cold]
fn failed() -> io::Error {
    io::Error::other("an earlier write failed")
}

/// A file that appears when it is synced. If it is large, it is uploaded in parts before.
pub(super) struct ObjectWriter {
    file: Written,
    state: State,
}

enum State {
    /// All bytes are in memory.
    Whole(BytesMut),
    /// All bytes are in the object.
    Synced(Bytes),
    /// The last bytes are in memory.
    Parts(Box<Parts>, BytesMut),
    /// Like [`Synced`](Self::Synced), of an object that was uploaded in parts.
    Complete,
    /// A call has failed.
    Failed,
}

impl ObjectWriter {
    pub(super) fn create(files: Arc<ObjectFiles>, file: TargetPath<'_>, replaces: bool) -> io::Result<Self> {
        Ok(Self { file: Written::create(files, file, replaces)?, state: State::Whole(BytesMut::new()) })
    }

    /// Adds bytes, at most as many as a part has.
    fn write(&self, state: State, bytes: &[u8]) -> io::Result<State> {
        let part_bytes = self.file.files.settings.part_bytes;
        let (parts, mut buffer) = match state {
            State::Whole(buffer) => (None, buffer),
            State::Synced(synced) => (None, BytesMut::from(synced)),
            State::Parts(parts, buffer) => (Some(parts), buffer),
            State::Complete => {
                let message = "an object that was uploaded in parts cannot be continued";
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
            State::Failed => return Err(failed()),
        };
        buffer.extend_from_slice(bytes);
        let mut parts = match parts {
            None if buffer.len() > part_bytes.saturating_mul(2) => {
                let Written { files, shared, key, over, .. } = &self.file;
                Box::new(Parts::begin(files, shared, key, over)?)
            }
            None => return Ok(State::Whole(buffer)),
            Some(parts) => parts,
        };
        while buffer.len() > parts.next_len() {
            parts.put(buffer.split_to(parts.next_len()).freeze())?;
        }
        Ok(State::Parts(parts, buffer))
    }

    fn finish(&mut self, state: State) -> io::Result<State> {
        match state {
            State::Whole(buffer) => {
                let bytes = buffer.freeze();
                self.file.put(bytes.clone())?;
                Ok(State::Synced(bytes))
            }
            State::Parts(mut parts, buffer) => {
                parts.put(buffer.freeze())?;
                parts.complete()?;
                Ok(State::Complete)
            }
            State::Failed => Err(failed()),
            synced => Ok(synced),
        }
    }
}

impl fmt::Debug for ObjectWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectWriter").field("path", &self.file.path).finish_non_exhaustive()
    }
}

impl FileWriter for ObjectWriter {
    fn path(&self) -> &Path {
        &self.file.path
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(self.file.files.settings.part_bytes) {
            let state = mem::replace(&mut self.state, State::Failed);
            self.state = self.write(state, part)?;
        }
        Ok(())
    }

    /// Makes the object.
    fn sync(&mut self) -> io::Result<()> {
        let state = mem::replace(&mut self.state, State::Failed);
        self.state = self.finish(state)?;
        Ok(())
    }
}

/// A log. Each append puts the whole log, replacing the previous object.
pub(super) struct ObjectLog {
    file: Written,
    bytes: Vec<u8>,
    is_failed: bool,
    is_unchanged: bool,
}

impl ObjectLog {
    pub(super) fn create(files: Arc<ObjectFiles>, file: TargetPath<'_>) -> io::Result<Self> {
        let file = Written::create(files, file, false)?;
        Ok(Self { file, bytes: Vec::new(), is_failed: false, is_unchanged: false })
    }
}

impl fmt::Debug for ObjectLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectLog").field("path", &self.file.path).finish_non_exhaustive()
    }
}

impl LogFile for ObjectLog {
    fn path(&self) -> &Path {
        &self.file.path
    }

    fn append(&mut self, bytes: &[u8], kept: usize) -> io::Result<()> {
        let kept = bytes.get(..kept).ok_or(io::ErrorKind::InvalidInput)?;
        self.is_unchanged = false;
        if mem::replace(&mut self.is_failed, true) {
            return Err(failed());
        }
        let len = self.bytes.len();
        self.bytes.extend_from_slice(kept);
        let put = self.file.put(Bytes::copy_from_slice(&self.bytes));
        if let Err(Failure::Refused(_)) = put {
            self.bytes.truncate(len);
            self.is_unchanged = true;
        }
        self.is_failed = put.is_err() && !self.is_unchanged;
        put.map_err(io::Error::from)
    }

    /// If the store refuses the log or is unavailable, it keeps the previous one. If the region's lock was
    /// lost, or a request got no response, the log is over.
    fn is_unchanged(&self) -> bool {
        self.is_unchanged
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        // The contents of the object are then unknown to the caller.
        self.is_failed = true;
        Err(io::Error::new(io::ErrorKind::Unsupported, "a log in an object store cannot be shortened"))
    }

    fn can_overwrite(&self) -> bool {
        false
    }

    fn max_len(&self) -> u64 {
        self.file.files.settings.log_bytes
    }

    /// Returns immediately: all bytes are in the object.
    fn sync(&mut self) -> io::Result<()> {
        if self.is_failed { Err(failed()) } else { Ok(()) }
    }
}
