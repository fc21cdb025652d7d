//! Locks of directories in HDFS: a file that is held open.
//!
//! The name node lets one client write to a file, as long as it renews its lease. The lock file is empty and
//! is open for writing while the lock is held. If the process dies, another may open the file 60 seconds
//! later (HDFS: `LEASE_SOFTLIMIT_PERIOD`).
//!
//! A process that was stopped for longer may go on when another has the lock. So each change of a file in the
//! directory is preceded by a question whether the lock is still held; and at most [`FRESH`] before that, the
//! lease was renewed. As the answer to a change takes at most [`Lease::MAX_PATIENCE`], it is there before
//! another client can have the lock, unless the request is delayed in the network for longer than that. The
//! bytes of logs need no question: the next holder of the lock ends the writing of the logs, so that no later
//! sync succeeds.

use super::changes::{HdfsFiles, path_of};
use super::errors::{io_error, is_open_elsewhere, is_refusal};
use crate::moment::Moment;
use crate::storage::Shared;
use hdfs_native::file::FileWriter;
use hdfs_native::{HdfsError, WriteOptions};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long ago the lease was renewed for sure, at most, when a change begins.
const FRESH: Duration = Duration::from_secs(20);

/// A lock file that is open.
pub(super) struct Lease {
    key: String,
    /// What the keys of files in the directory begin with.
    prefix: String,
    writer: tokio::sync::Mutex<Option<FileWriter>>,
    /// Before the last renewal that has succeeded.
    renewed: Mutex<Moment>,
    /// Whether this client has removed the lock file.
    is_removed: AtomicBool,
}

impl Lease {
    /// How long the answer to a change, or about the lock, may take. Both after [`FRESH`] are less than the
    /// 60 seconds of a lease.
    pub(super) const MAX_PATIENCE: Duration = Duration::from_secs(15);

    pub(super) fn covers(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) && key != self.key && !self.is_removed.load(Ordering::SeqCst)
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn forget_if(&self, removed: &str) {
        if removed == self.key {
            self.is_removed.store(true, Ordering::SeqCst);
        }
    }

    /// Fails if the lock is not held any more.
    pub(super) async fn check(&self, files: &HdfsFiles) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        let Some(writer) = writer.as_mut() else {
            return Err(lock_lost());
        };
        let before = Moment::now();
        let is_fresh = self.renewed.lock().unwrap_or_else(PoisonError::into_inner).is_within(FRESH);
        if !is_fresh {
            self.renew(files).await?;
        }
        // A sync of a file without bytes is a question to the name node, which refuses it without the lease.
        files.client();
        match writer.hsync().await {
            Ok(()) => {}
            Err(error) if is_refusal(&error) && !is_connection(&error) => {
                files.lose(self);
                return Err(lock_lost());
            }
            Err(error) => return Err(io_error(error)),
        }
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_fresh {
            *renewed = before;
        }
        // The answer may have been on its way for long.
        if renewed.is_within(FRESH + Self::MAX_PATIENCE) {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "the answer whether the lock is held took too long"))
    }

    /// Renews the lease of the client, which is one for all its files: by creating a file. The renewals that
    /// the client makes by itself do not say whether they have succeeded.
    async fn renew(&self, files: &HdfsFiles) -> io::Result<()> {
        let path = format!("{}.renewal", path_of(&self.key));
        let options = WriteOptions::default().overwrite(true).create_parent(false);
        drop(files.client().create(&path, options).await.map_err(io_error)?);
        files.client().delete(&path, false).await.map_err(io_error)?;
        Ok(())
    }
}

fn is_connection(error: &HdfsError) -> bool {
    matches!(error, HdfsError::IOError(_))
}

pub(super) fn lock_lost() -> io::Error {
    io::Error::new(io::ErrorKind::WouldBlock, "the lock was lost: another process may have taken it")
}

/// Locks a lock file.
pub(super) async fn take(files: &Arc<HdfsFiles>, key: String, shared: Arc<Shared>) -> io::Result<HdfsLock> {
    let before = Moment::now();
    let options = WriteOptions::default().overwrite(false).create_parent(false);
    let created = files.client().create(&path_of(&key), options).await;
    let opened = match created {
        Err(error) if is_open_elsewhere(&error) => files.client().append(&path_of(&key)).await,
        created => created,
    };
    let writer = match opened {
        Ok(writer) => writer,
        Err(error) if is_open_elsewhere(&error) => {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, io_error(error).to_string()));
        }
        Err(error) => return Err(io_error(error)),
    };
    let prefix = key.rsplit_once('/').map_or_else(String::new, |(dir, _)| format!("{dir}/"));
    let lease = Arc::new(Lease {
        key,
        prefix,
        writer: tokio::sync::Mutex::new(Some(writer)),
        renewed: Mutex::new(before),
        is_removed: AtomicBool::new(false),
    });
    files.add(&lease);
    Ok(HdfsLock { lease, shared })
}

/// A lock that is held.
pub(super) struct HdfsLock {
    lease: Arc<Lease>,
    shared: Arc<Shared>,
}

impl fmt::Debug for HdfsLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HdfsLock").field("key", &self.lease.key).finish_non_exhaustive()
    }
}

impl Drop for HdfsLock {
    /// Closes the file. If that fails, the lock is released when the client ends, or loses its lease.
    fn drop(&mut self) {
        let lease = Arc::clone(&self.lease);
        let _ = self.shared.blocking.run(async move {
            let writer = lease.writer.lock().await.take();
            match writer {
                Some(mut writer) => writer.close().await.map_err(io_error),
                None => Ok(()),
            }
        });
    }
}
