//! Changes of the names of files in HDFS.

use super::errors::{io_error, is_refusal};
use super::lock::{Lease, lock_lost};
use crate::stats::Counters;
use hdfs_native::client::{Client, FileStatus};
use hdfs_native::file::FileWriter;
use hdfs_native::{HdfsError, WriteOptions};
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// The permissions of files and directories, before the name node applies those of its configuration.
const FILE_MODE: u32 = 0o644;
const DIR_MODE: u32 = 0o755;

/// The files of a name service, as far as they are changed.
///
/// The name node writes its journal before it answers: a change that was answered is durable.
pub(crate) struct HdfsFiles {
    client: Client,
    counters: Arc<Counters>,
    /// How long the answer to a change may take.
    patience: Duration,
    /// Whether a change had no answer, so that it may be made at any time.
    in_doubt: AtomicBool,
    /// The locks that are held.
    leases: Mutex<Vec<Weak<Lease>>>,
    /// What the keys in directories begin with whose locks were lost. Nothing is changed there until they are
    /// locked again.
    lost: Mutex<BTreeSet<String>>,
}

impl std::fmt::Debug for HdfsFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HdfsFiles").finish_non_exhaustive()
    }
}

/// Sets the flag unless it is disarmed, also if the request is ended by the deadline.
struct Doubt<'f> {
    flag: &'f AtomicBool,
    is_armed: bool,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if self.is_armed {
            self.flag.store(true, Ordering::SeqCst);
        }
    }
}

/// What became of a change.
enum Outcome<T> {
    Made(T),
    /// The name node has refused it.
    Refused(HdfsError),
    /// There was no answer.
    Unknown(io::Error),
}

impl HdfsFiles {
    pub(super) fn new(client: Client, counters: Arc<Counters>, deadline: Duration) -> Self {
        let patience = (deadline / 4).min(Lease::MAX_PATIENCE);
        Self {
            client,
            counters,
            patience,
            in_doubt: AtomicBool::new(false),
            leases: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    pub(super) fn client(&self) -> &Client {
        self.counters.request();
        &self.client
    }

    pub(super) async fn find(&self, key: &str) -> io::Result<Option<FileStatus>> {
        match self.client().get_file_info(&path_of(key)).await {
            Ok(status) => Ok(Some(status)),
            Err(HdfsError::FileNotFound(_)) => Ok(None),
            Err(error) => Err(io_error(error)),
        }
    }

    pub(super) async fn find_existing(&self, key: &str) -> io::Result<FileStatus> {
        self.find(key).await?.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }

    pub(super) fn add(&self, lease: &Arc<Lease>) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.retain(|lease| lease.strong_count() > 0);
        leases.push(Arc::downgrade(lease));
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(lease.prefix());
    }

    pub(super) fn lose(&self, lease: &Lease) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.insert(lease.prefix().to_owned());
    }

    /// Fails if a lock of a directory that has the file was lost, or an earlier change may be made yet.
    pub(super) async fn check(&self, key: &str) -> io::Result<()> {
        if self.in_doubt.load(Ordering::SeqCst) {
            return Err(io::Error::other(
                "an earlier change had no answer and may be made yet: this storage changes nothing more",
            ));
        }
        let is_lost = {
            let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.iter().any(|prefix| key.starts_with(prefix))
        };
        if is_lost {
            return Err(lock_lost());
        }
        let covering: Vec<_> = {
            let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            leases.iter().filter_map(Weak::upgrade).filter(|lease| lease.covers(key)).collect()
        };
        for lease in covering {
            lease.check(self).await?;
        }
        Ok(())
    }

    /// Asks for a change, and waits for the answer.
    async fn change<T>(&self, change: impl Future<Output = Result<T, HdfsError>>) -> Outcome<T> {
        self.counters.request();
        match tokio::time::timeout(self.patience, change).await {
            Ok(Ok(made)) => Outcome::Made(made),
            Ok(Err(error)) if is_refusal(&error) => Outcome::Refused(error),
            Ok(Err(error)) => Outcome::Unknown(io_error(error)),
            Err(_) => Outcome::Unknown(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Makes a change. If it has no answer, looks whether it was made. The name node takes requests in order,
    /// but one that waits may be overtaken: after a timeout, looks again some time later.
    async fn make<T, F>(
        &self,
        change: impl Future<Output = Result<T, HdfsError>>,
        is_made: impl Fn() -> F,
    ) -> io::Result<T>
    where
        F: Future<Output = io::Result<Option<T>>>,
    {
        let mut doubt = Doubt { flag: &self.in_doubt, is_armed: true };
        let outcome = match self.change(change).await {
            Outcome::Made(made) => Ok(made),
            Outcome::Refused(error) => Err(io_error(error)),
            Outcome::Unknown(error) => {
                // A request that was on its way when the connection broke arrives meanwhile.
                tokio::time::sleep((self.patience / 4).min(Duration::from_secs(1))).await;
                let mut found = tokio::time::timeout(2 * self.patience, is_made()).await;
                if error.kind() == io::ErrorKind::TimedOut && matches!(found, Ok(Ok(None))) {
                    tokio::time::sleep((self.patience / 2).min(Duration::from_secs(5))).await;
                    found = tokio::time::timeout(2 * self.patience, is_made()).await;
                }
                match found {
                    Ok(Ok(Some(made))) => Ok(made),
                    Ok(Ok(None)) => Err(error),
                    _ => return Err(error),
                }
            }
        };
        doubt.is_armed = false;
        outcome
    }

    /// Creates a file. The caller has checked the locks.
    pub(super) async fn create(&self, key: &str, replaces: bool) -> io::Result<FileWriter> {
        let options = WriteOptions::default().overwrite(replaces).create_parent(false).permission(FILE_MODE);
        // Whether the file is there or not, this client cannot write to it.
        let is_made = move || async move { self.find(key).await.map(|_| None) };
        self.make(self.client.create(&path_of(key), options), is_made).await
    }

    pub(super) async fn move_file(&self, from: &str, to: &str) -> io::Result<()> {
        self.check(from).await?;
        self.check(to).await?;
        if from == to {
            return self.find_existing(from).await.map(drop);
        }
        let is_made = move || async move {
            let (from, to) = (self.find(from).await?, self.find(to).await?);
            Ok((from.is_none() && to.is_some()).then_some(()))
        };
        self.make(self.client.rename(&path_of(from), &path_of(to), true), is_made).await
    }

    pub(super) async fn delete_file(&self, key: &str) -> io::Result<()> {
        if self.find_existing(key).await?.isdir {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        self.delete(key).await
    }

    pub(super) async fn delete_dir(&self, key: &str) -> io::Result<()> {
        if !self.find_existing(key).await?.isdir {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        self.delete(key).await
    }

    /// Removes a file or an empty directory.
    async fn delete(&self, key: &str) -> io::Result<()> {
        self.check(key).await?;
        let is_made = move || async move { Ok(self.find(key).await?.is_none().then_some(true)) };
        if !self.make(self.client.delete(&path_of(key), false), is_made).await? {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such file"));
        }
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.iter().filter_map(Weak::upgrade).for_each(|lease| lease.forget_if(key));
        Ok(())
    }

    pub(super) async fn make_dirs(&self, key: &str) -> io::Result<()> {
        self.check(key).await?;
        let is_made = move || async move { Ok(self.find(key).await?.filter(|found| found.isdir).map(drop)) };
        self.make(self.client.mkdirs(&path_of(key), DIR_MODE, true), is_made).await
    }

    /// Recovers the lease of a file: see [`Storage::end_writing`](hregion::Storage::end_writing).
    pub(super) async fn recover_lease(&self, key: &str) -> io::Result<()> {
        let mut pause = Duration::from_millis(500);
        // Ends at the deadline: the data nodes agree about the last block when they next report.
        while !self.client().recover_lease(&path_of(key)).await.map_err(io_error)? {
            tokio::time::sleep(pause).await;
            // Each request may begin the recovery anew.
            pause = (pause * 2).min(Duration::from_secs(20));
        }
        Ok(())
    }
}

pub(super) fn path_of(key: &str) -> String {
    format!("/{key}")
}
