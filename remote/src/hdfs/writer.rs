//! Files of HDFS that are being written.

use super::changes::{HdfsFiles, path_of};
use super::errors::{io_error, is_of_erasure_code};
use crate::storage::Shared;
use crate::target::FilePlace;
use bytes::{Bytes, BytesMut};
use hdfs_native::file::FileWriter as Inner;
use hregion::io::{FileWriter, LogFile};
use std::fmt;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The number of bytes that are handed to the client at once.
const PART: usize = 1 << 20;

/// A file that was opened for writing.
struct Written {
    path: PathBuf,
    key: String,
    files: Arc<HdfsFiles>,
    shared: Arc<Shared>,
    state: State,
}

enum State {
    Open(Box<Inner>),
    Closed,
    /// A call has failed or had no answer: it is not known what is in the file.
    Failed,
}

impl Written {
    /// Creates a file.
    fn create(files: Arc<HdfsFiles>, file: FilePlace<'_>, replaces: bool) -> io::Result<Self> {
        let (creator, key) = (Arc::clone(&files), file.key.to_owned());
        let writer = file.shared.blocking.run(async move {
            creator.check(&key).await?;
            creator.create(&key, replaces).await
        })?;
        let (key, shared) = (file.key.to_owned(), Arc::clone(file.shared));
        Ok(Self { path: file.path.to_owned(), key, files, shared, state: State::Open(Box::new(writer)) })
    }

    /// Writes bytes. Opens a file again that was closed.
    fn write(&mut self, bytes: Bytes, syncs: bool) -> io::Result<()> {
        let state = mem::replace(&mut self.state, State::Failed);
        let (files, key) = (Arc::clone(&self.files), self.key.clone());
        let writer = self.shared.blocking.run(async move {
            let mut writer = match state {
                State::Open(writer) => writer,
                State::Closed => {
                    files.check(&key).await?;
                    Box::new(files.client().append(&path_of(&key)).await.map_err(io_error)?)
                }
                State::Failed => return Err(failed()),
            };
            files.client();
            writer.write_bytes(bytes).await.map_err(io_error)?;
            if syncs {
                files.client();
                writer.hsync().await.map_err(io_error)?;
            }
            Ok(writer)
        })?;
        self.state = State::Open(writer);
        Ok(())
    }

    /// Waits until the data nodes have the bytes on disk, if `syncs`, and closes the file.
    fn close(&mut self, syncs: bool) -> io::Result<()> {
        let mut writer = match mem::replace(&mut self.state, State::Failed) {
            State::Open(writer) => writer,
            State::Closed => {
                self.state = State::Closed;
                return Ok(());
            }
            State::Failed => return Err(failed()),
        };
        let files = Arc::clone(&self.files);
        self.shared.blocking.run(async move {
            files.client();
            match if syncs { writer.hsync().await } else { Ok(()) } {
                // Parts of a block are then on their data nodes when the file is closed, as HBase's are.
                Err(error) if is_of_erasure_code(&error) => {}
                synced => synced.map_err(io_error)?,
            }
            files.client();
            writer.close().await.map_err(io_error)
        })?;
        self.state = State::Closed;
        Ok(())
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cold]
fn failed() -> io::Error {
    io::Error::other("an earlier write failed")
}

/// A file that is written once, and can be read when it is synced.
#[derive(Debug)]
pub(super) struct HdfsWriter {
    file: Written,
    buffer: BytesMut,
}

impl HdfsWriter {
    pub(super) fn create(files: Arc<HdfsFiles>, file: FilePlace<'_>, replaces: bool) -> io::Result<Self> {
        Ok(Self { file: Written::create(files, file, replaces)?, buffer: BytesMut::new() })
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let bytes = self.buffer.split().freeze();
        if bytes.is_empty() { Ok(()) } else { self.file.write(bytes, false) }
    }
}

impl FileWriter for HdfsWriter {
    fn path(&self) -> &Path {
        &self.file.path
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(PART) {
            if self.buffer.len() + part.len() > PART {
                self.pass_on()?;
            }
            self.buffer.extend_from_slice(part);
        }
        Ok(())
    }

    /// Closes the file: the end of an open one cannot be read by all clients.
    fn sync(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.file.close(true)
    }
}

impl Drop for HdfsWriter {
    /// Closes the file, without a sync.
    fn drop(&mut self) {
        if matches!(self.file.state, State::Open(_)) {
            // Errors cannot be reported here.
            let _ = self.pass_on().and_then(|()| self.file.close(false));
        }
    }
}

/// A log. Each append is on the disks of the data nodes, and its length known to the name node, before it
/// returns.
#[derive(Debug)]
pub(super) struct HdfsLog(Written);

impl HdfsLog {
    pub(super) fn create(files: Arc<HdfsFiles>, file: FilePlace<'_>) -> io::Result<Self> {
        Written::create(files, file, false).map(Self)
    }
}

impl LogFile for HdfsLog {
    fn path(&self) -> &Path {
        &self.0.path
    }

    fn append(&mut self, bytes: &[u8], kept: usize) -> io::Result<()> {
        let kept = bytes.get(..kept).ok_or(io::ErrorKind::InvalidInput)?;
        self.0.write(Bytes::copy_from_slice(kept), true)
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        // What is in the file is then unknown to the caller.
        self.0.state = State::Failed;
        Err(io::Error::new(io::ErrorKind::Unsupported, "a file of HDFS that is open cannot be shortened"))
    }

    fn can_overwrite(&self) -> bool {
        false
    }

    /// Returns at once: all bytes are on disk.
    fn sync(&mut self) -> io::Result<()> {
        if matches!(self.0.state, State::Failed) { Err(failed()) } else { Ok(()) }
    }
}

impl Drop for HdfsLog {
    /// Closes the file.
    fn drop(&mut self) {
        if matches!(self.0.state, State::Open(_)) {
            // Errors cannot be reported here: opening the region again ends the writing.
            let _ = self.0.close(false);
        }
    }
}
