//! Files of HDFS that are being written.
//!
//! The client continues with the other data nodes when one fails while a file is written or closed, but not
//! while it waits for a sync (hdfs-native 0.14: `Pipeline::shutdown` waits for its own sender of packets). So
//! files are not synced before they are closed: the last packet of each block tells the data nodes to sync
//! it. The writing of a log whose sync fails or takes too long is ended, and the log is opened again.
//!
//! Nor does the client request other data nodes if those chosen for a new block cannot be reached: for some
//! time, the name node may choose a dead one. A file without any written bytes is then created again, and a
//! log is ended and opened again.

use super::changes::{HdfsFiles, path_of};
use super::errors::{io_error, is_loss, is_of_erasure_code, is_passing};
use crate::storage::Shared;
use crate::target::TargetPath;
use bytes::{Bytes, BytesMut};
use hdfs_native::HdfsError;
use hdfs_native::file::FileWriter as Inner;
use hregion::io::{FileWriter, LogFile};
use std::fmt;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The number of bytes passed to the client at once.
const PART: usize = 1 << 20;

/// The maximum number of times that a file is created before data nodes accept its bytes.
const ATTEMPTS: u32 = 4;

/// A file that was opened for writing.
struct Written {
    path: PathBuf,
    key: String,
    files: Arc<HdfsFiles>,
    shared: Arc<Shared>,
    state: State,
    /// Whether nothing was written to it.
    is_new: bool,
}

enum State {
    Open(Box<Inner>),
    Closed,
    /// A call has failed or got no response: the contents of the file are unknown.
    Failed,
}

impl Written {
    /// Creates a file.
    fn create(files: Arc<HdfsFiles>, file: TargetPath<'_>, replaces: bool) -> io::Result<Self> {
        let (creator, key) = (Arc::clone(&files), file.key.to_owned());
        let writer = file.shared.blocking.run(async move {
            if replaces {
                // Before the lock is checked, because the answer may take long.
                creator.check_not_encrypted(&key).await?;
            }
            creator.check(&key).await?;
            creator.create(&key, replaces).await
        })?;
        let (key, shared) = (file.key.to_owned(), Arc::clone(file.shared));
        let (path, state) = (file.path.to_owned(), State::Open(Box::new(writer)));
        Ok(Self { path, key, files, shared, state, is_new: true })
    }

    /// Writes bytes. Opens a file again that was closed.
    fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        let state = mem::replace(&mut self.state, State::Failed);
        let is_new = mem::take(&mut self.is_new);
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
            if is_new {
                return begin(&files, &key, writer, bytes).await;
            }
            files.client();
            writer.write_bytes(bytes).await.map_err(io_error)?;
            Ok(writer)
        })?;
        self.state = State::Open(writer);
        Ok(())
    }

    /// Closes the file. The data nodes then have its bytes on disk.
    fn close(&mut self) -> io::Result<()> {
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

/// Writes the first bytes of a file. Creates it again if the data nodes of its first block do not accept
/// them.
async fn begin(files: &HdfsFiles, key: &str, mut writer: Box<Inner>, bytes: Bytes) -> io::Result<Box<Inner>> {
    let mut attempts = ATTEMPTS;
    loop {
        files.client();
        let failure = match tokio::time::timeout(files.patience(), writer.write_bytes(bytes.clone())).await {
            Ok(Ok(_)) => return Ok(writer),
            // The name node has refused the block.
            Ok(Err(error)) if matches!(error, HdfsError::RPCError(..)) || is_loss(&error) => {
                return Err(io_error(error));
            }
            Ok(Err(error)) => io_error(error),
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no answer of the data nodes in time"),
        };
        attempts -= 1;
        if attempts == 0 {
            return Err(failure);
        }
        files.wait_for_delayed().await;
        files.check(key).await?;
        writer = Box::new(files.create(key, true).await?);
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
        if bytes.is_empty() { Ok(()) } else { self.file.write(bytes) }
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
        self.file.close()
    }
}

impl Drop for HdfsWriter {
    fn drop(&mut self) {
        if matches!(self.file.state, State::Open(_)) {
            // Errors cannot be reported here.
            let _ = self.pass_on().and_then(|()| self.file.close());
        }
    }
}

/// A log. Each append is on the disks of the data nodes, and its length known to the name node, before it
/// returns.
#[derive(Debug)]
pub(super) struct HdfsLog {
    file: Written,
    /// The number of bytes of the appends that have succeeded.
    len: u64,
}

impl HdfsLog {
    /// Creates a log, and then checks that the lock is held, which appends do not: the next holder of the
    /// lock must find the log, to end its writing.
    pub(super) fn create(files: Arc<HdfsFiles>, file: TargetPath<'_>) -> io::Result<Self> {
        let log = Self { file: Written::create(Arc::clone(&files), file, false)?, len: 0 };
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

    /// Writes bytes, and waits until they are on disk.
    fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        let State::Open(mut writer) = mem::replace(&mut self.file.state, State::Failed) else {
            return Err(failed());
        };
        let len = self.len + bytes.len() as u64;
        let blocking = &self.file.shared.blocking;
        let (files, first) = (Arc::clone(&self.file.files), bytes.clone());
        // A writer that has failed is dropped before the next one: it would end the renewals of its lease.
        let written = blocking.run(async move {
            match sync_in_time(&files, &mut writer, first).await {
                Ok(()) => Ok(Ok(writer)),
                Err(SyncError::Passing(failure)) => Ok(Err(failure)),
                Err(SyncError::Final(error)) => Err(error),
            }
        })?;
        let writer = match written {
            Ok(writer) => writer,
            Err(failure) => {
                let (files, key, acknowledged) =
                    (Arc::clone(&self.file.files), self.file.key.clone(), self.len);
                let continued = blocking.run(async move { go_on(&files, &key, acknowledged, bytes).await });
                continued.map_err(|error| {
                    let message = format!("{failure}; the log could not be continued after that: {error}");
                    io::Error::new(error.kind(), message)
                })?
            }
        };
        (self.len, self.file.state) = (len, State::Open(writer));
        Ok(())
    }
}

/// The reason that a sync of a log has failed.
enum SyncError {
    /// The log is no longer open for this client, or its files cannot be synced.
    Final(io::Error),
    /// A data node or the name node has failed, or has not answered.
    Passing(io::Error),
}

impl From<io::Error> for SyncError {
    fn from(error: io::Error) -> Self {
        if is_passing(&error) { Self::Passing(error) } else { Self::Final(error) }
    }
}

/// Writes bytes, and waits until the data nodes have them on disk, and the name node knows their number, but
/// not for longer than the response to a change may take.
async fn sync_in_time(files: &HdfsFiles, writer: &mut Inner, bytes: Bytes) -> Result<(), SyncError> {
    let synced = async {
        files.client();
        writer.write_bytes(bytes).await?;
        files.client();
        writer.hsync().await
    };
    match tokio::time::timeout(files.patience(), synced).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if is_loss(&error) || is_of_erasure_code(&error) => {
            Err(SyncError::Final(io_error(error)))
        }
        Ok(Err(error)) => Err(SyncError::Passing(io_error(error))),
        Err(_) => {
            let late = io::Error::new(io::ErrorKind::TimedOut, "no answer to a sync in time");
            Err(SyncError::Passing(late))
        }
    }
}

/// Ends the writing of a log after a failure, and opens it again: its last block is then on data nodes that
/// respond. It has the acknowledged bytes, and perhaps the first of `bytes`. Writes the rest. Retries for
/// some time if that also fails: a new block may be given to a dead data node, and the next name node may not
/// be active yet.
async fn go_on(files: &HdfsFiles, key: &str, acknowledged: u64, bytes: Bytes) -> io::Result<Box<Inner>> {
    let until = Instant::now() + 3 * files.patience();
    loop {
        files.wait_for_delayed().await;
        match open_again(files, key, acknowledged, &bytes).await {
            Ok(writer) => return Ok(writer),
            Err(SyncError::Passing(_)) if Instant::now() < until => {}
            Err(SyncError::Passing(error) | SyncError::Final(error)) => return Err(error),
        }
    }
}

async fn open_again(
    files: &HdfsFiles,
    key: &str,
    acknowledged: u64,
    bytes: &Bytes,
) -> Result<Box<Inner>, SyncError> {
    files.check_locked(key).await?;
    files.recover_lease(key).await?;
    let found = files.find_existing(key).await?.length as u64;
    // The data nodes acknowledge a packet with a sync when it is synced.
    let rest = bytes.slice(found_of(acknowledged, found, bytes.len())?..);
    let mut writer = Box::new(files.client().append(&path_of(key)).await.map_err(io_error)?);
    // As in the creation of a log: another process that now has the lock may already have listed the logs.
    if let Err(error) = files.check_locked(key).await {
        // Nothing was written to it.
        let _ = writer.close().await;
        return Err(error.into());
    }
    sync_in_time(files, &mut writer, rest).await?;
    Ok(writer)
}

/// Returns the number of bytes of an unacknowledged append in a log that has `found` bytes.
fn found_of(acknowledged: u64, found: u64, appended: usize) -> io::Result<usize> {
    let more = found.checked_sub(acknowledged).and_then(|more| usize::try_from(more).ok());
    more.filter(|more| *more <= appended).ok_or_else(|| {
        let max = acknowledged + appended as u64;
        io::Error::other(format!("the log has {found} bytes, expected {acknowledged} to {max}"))
    })
}

impl LogFile for HdfsLog {
    fn path(&self) -> &Path {
        &self.file.path
    }

    fn append(&mut self, bytes: &[u8], kept: usize) -> io::Result<()> {
        let kept = bytes.get(..kept).ok_or(io::ErrorKind::InvalidInput)?;
        self.write(Bytes::copy_from_slice(kept))
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        // The contents of the file are then unknown to the caller.
        self.file.state = State::Failed;
        Err(io::Error::new(io::ErrorKind::Unsupported, "a file of HDFS that is open cannot be shortened"))
    }

    fn can_overwrite(&self) -> bool {
        false
    }

    /// Returns immediately: all bytes are on disk.
    fn sync(&mut self) -> io::Result<()> {
        if matches!(self.file.state, State::Failed) { Err(failed()) } else { Ok(()) }
    }
}

impl Drop for HdfsLog {
    /// Closes the file.
    fn drop(&mut self) {
        if matches!(self.file.state, State::Open(_)) {
            // Errors cannot be reported here: opening the region again ends the writing.
            let _ = self.file.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_goes_on_has_each_byte_once() {
        for (found, appended) in [(10, 0), (13, 3), (15, 5)] {
            assert_eq!(found_of(10, found, 5).unwrap(), appended);
        }
        // Acknowledged bytes are missing, or another writer has added some.
        for found in [0, 9, 16, u64::MAX] {
            let error = found_of(10, found, 5).unwrap_err();
            assert!(error.to_string().ends_with("expected 10 to 15"), "{error}");
        }
    }
}
