//! Files of HDFS that are being written.

use super::changes::{HdfsFiles, path_of};
use super::errors::{io_error, is_of_erasure_code};
use crate::storage::Shared;
use crate::target::TargetPath;
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

/// The length of blocks that name nodes accept, at least (HDFS: `dfs.namenode.fs-limits.min-block-size`).
const MIN_BLOCK: u64 = 1 << 20;

/// A file that was opened for writing.
struct Written {
    path: PathBuf,
    key: String,
    files: Arc<HdfsFiles>,
    shared: Arc<Shared>,
    /// The number of bytes written.
    len: u64,
    /// The length of the file's blocks, once it has to be known.
    block: Option<u64>,
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
    fn create(files: Arc<HdfsFiles>, file: TargetPath<'_>, replaces: bool) -> io::Result<Self> {
        let (creator, key) = (Arc::clone(&files), file.key.to_owned());
        let writer = file.shared.blocking.run(async move {
            creator.check(&key).await?;
            creator.create(&key, replaces).await
        })?;
        let (key, shared) = (file.key.to_owned(), Arc::clone(file.shared));
        let (path, state) = (file.path.to_owned(), State::Open(Box::new(writer)));
        Ok(Self { path, key, files, shared, len: 0, block: None, state })
    }

    /// Writes bytes. Opens a file again that was closed.
    ///
    /// A sync is one of the current block only, and a block that is full is not synced by itself (HDFS:
    /// `CreateFlag.SYNC_BLOCK`): here each block is synced before the next one begins.
    fn write(&mut self, mut bytes: Bytes, syncs: bool) -> io::Result<()> {
        let state = mem::replace(&mut self.state, State::Failed);
        let (files, key) = (Arc::clone(&self.files), self.key.clone());
        let (mut at, mut block) = (self.len, self.block);
        let (writer, at, block) = self.shared.blocking.run(async move {
            let mut writer = match state {
                State::Open(writer) => writer,
                State::Closed => {
                    files.check(&key).await?;
                    Box::new(files.client().append(&path_of(&key)).await.map_err(io_error)?)
                }
                State::Failed => return Err(failed()),
            };
            if block.is_none() && at + bytes.len() as u64 >= MIN_BLOCK {
                let found = files.find_existing(&key).await?.blocksize;
                block = Some(found.filter(|len| *len > 0).unwrap_or(u64::MAX));
            }
            files.client();
            while !bytes.is_empty() {
                let (len, is_end) = in_block(at, block.unwrap_or(u64::MAX), bytes.len());
                writer.write_bytes(bytes.split_to(len)).await.map_err(io_error)?;
                at += len as u64;
                if is_end {
                    sync_block(&files, &mut writer).await?;
                }
            }
            if syncs {
                files.client();
                writer.hsync().await.map_err(io_error)?;
            }
            Ok((writer, at, block))
        })?;
        (self.len, self.block, self.state) = (at, block, State::Open(writer));
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
            if syncs {
                sync_block(&files, &mut writer).await?;
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

/// Waits until the data nodes have the current block on disk. Parts of an erasure-coded block are on theirs
/// when the file is closed, as HBase's are.
async fn sync_block(files: &HdfsFiles, writer: &mut Inner) -> io::Result<()> {
    files.client();
    match writer.hsync().await {
        Err(error) if is_of_erasure_code(&error) => Ok(()),
        synced => synced.map_err(io_error),
    }
}

/// Returns how many of the next `len` bytes are in the block of the first of them, at the offset `at` in a
/// file with blocks of `block` bytes; and whether they are the last ones of the block.
fn in_block(at: u64, block: u64, len: usize) -> (usize, bool) {
    match usize::try_from(block - at % block) {
        Ok(room) if room <= len => (room, true),
        _ => (len, false),
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
    pub(super) fn create(files: Arc<HdfsFiles>, file: TargetPath<'_>, replaces: bool) -> io::Result<Self> {
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
    /// Creates a log, and asks afterwards whether the lock is held, as no append does: the next holder of the
    /// lock must find the log, to end its writing.
    pub(super) fn create(files: Arc<HdfsFiles>, file: TargetPath<'_>) -> io::Result<Self> {
        let log = Self(Written::create(Arc::clone(&files), file, false)?);
        let (asked, key) = (Arc::clone(&files), file.key.to_owned());
        let checked = file.shared.blocking.run(async move { asked.check(&key).await });
        if let Err(error) = checked {
            drop(log);
            let key = file.key.to_owned();
            // Without the lock it stays, and is empty.
            let _ = file.shared.blocking.run(async move { files.delete_file(&key).await });
            return Err(error);
        }
        Ok(log)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_is_synced_at_its_end() {
        // Returns the parts that are written, and whether a sync follows them.
        let parts = |mut at: u64, block: u64, mut left: usize| {
            let mut parts = Vec::new();
            while left > 0 {
                let (len, is_end) = in_block(at, block, left);
                parts.push((len, is_end));
                (at, left) = (at + len as u64, left - len);
            }
            parts
        };
        assert_eq!(parts(0, 10, 9), [(9, false)]);
        assert_eq!(parts(0, 10, 10), [(10, true)]);
        assert_eq!(parts(7, 10, 25), [(3, true), (10, true), (10, true), (2, false)]);
        assert_eq!(parts(20, 10, 1), [(1, false)]);
        assert_eq!(parts(5, u64::MAX, 3), [(3, false)]);
    }
}
