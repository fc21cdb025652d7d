//! Changes the names of files in HDFS.

use super::connector::{Changing, Connector};
use super::errors::{io_error, is_refusal};
use super::lock::{self, Lease};
use crate::doubt::{Doubt, InDoubt};
use crate::locks::Locks;
use crate::source::not_found;
use crate::stats::Counters;
use hdfs_native::client::{Client, FileStatus};
use hdfs_native::file::FileWriter;
use hdfs_native::{HdfsError, WriteOptions};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The permissions of files and directories, before the name node applies its own configuration.
const FILE_MODE: u32 = 0o644;
const DIR_MODE: u32 = 0o755;

/// The files of a name service, for changes.
///
/// The name node writes its journal before it answers: a change that was answered is durable.
pub(crate) struct HdfsFiles {
    connector: Arc<Connector>,
    /// A client that does not switch to another name node by itself.
    reading: Client,
    /// The client that has the locks and logs, after the first change.
    changing: OnceLock<Changing>,
    counters: Arc<Counters>,
    in_doubt: InDoubt,
    locks: Locks<Lease>,
    /// The lock files that are being locked, are locked or are being released by this client.
    claims: Mutex<BTreeMap<String, Arc<()>>>,
    /// Whether a task keeps the leases of the locks.
    keeps_leases: AtomicBool,
}

impl std::fmt::Debug for HdfsFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HdfsFiles").finish_non_exhaustive()
    }
}

/// The right of this client's callers to a lock file: one at a time has it, until the file is released. The
/// name node does not distinguish them.
pub(super) struct Claim {
    files: Arc<HdfsFiles>,
    key: String,
    /// Distinguishes it from a later one.
    id: Arc<()>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claims = self.files.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.get(&self.key).is_some_and(|id| Arc::ptr_eq(id, &self.id)) {
            claims.remove(&self.key);
        }
    }
}

/// The outcome of a change.
pub(super) enum Outcome<T> {
    Made(T),
    /// The name node has refused it.
    Refused(HdfsError),
    /// There was no response.
    Unknown(io::Error),
}

impl HdfsFiles {
    pub(super) fn new(connector: Arc<Connector>, reading: Client, counters: Arc<Counters>) -> Self {
        Self {
            connector,
            reading,
            changing: OnceLock::new(),
            counters,
            in_doubt: InDoubt::default(),
            locks: Locks::default(),
            claims: Mutex::default(),
            keeps_leases: AtomicBool::new(false),
        }
    }

    /// The part of a call's time that the response of a name node may take.
    pub(super) fn patience_of(deadline: Duration) -> Duration {
        (deadline / 4).min(Lease::MAX_PATIENCE)
    }

    pub(super) fn client(&self) -> &Client {
        self.counters.request();
        self.changing()
    }

    fn changing(&self) -> &Client {
        &self.changing.get_or_init(|| self.connector.connect_changing(&self.reading)).client
    }

    pub(super) async fn find(&self, key: &str) -> io::Result<Option<FileStatus>> {
        let find = async {
            match self.client().get_file_info(&path_of(key)).await {
                Ok(status) => Ok(Some(status)),
                Err(HdfsError::FileNotFound(_)) => Ok(None),
                Err(error) => Err(io_error(error)),
            }
        };
        self.answer(find, "it is not known whether the file is there").await
    }

    pub(super) async fn find_existing(&self, key: &str) -> io::Result<FileStatus> {
        self.find(key).await?.ok_or_else(not_found)
    }

    pub(super) fn locks(&self) -> &Locks<Lease> {
        &self.locks
    }

    /// Starts to keep the leases of the locks, unless this was done before.
    pub(super) fn keep_leases(self: &Arc<Self>) {
        if !self.keeps_leases.swap(true, Ordering::SeqCst) {
            tokio::spawn(lock::keep(Arc::downgrade(self)));
        }
    }

    /// Fails with `WouldBlock` if another caller has a lock, even a lost one: its changes would be attributed
    /// to the new holder.
    pub(super) fn claim(self: &Arc<Self>, key: &str) -> io::Result<Claim> {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if claims.contains_key(key) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "this storage has the lock"));
        }
        let id = Arc::default();
        claims.insert(key.to_owned(), Arc::clone(&id));
        Ok(Claim { files: Arc::clone(self), key: key.to_owned(), id })
    }

    /// Lets others lock files that replace lock files that this client has removed or moved.
    fn end_claims(&self, is_gone: impl Fn(&str) -> bool) {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| !is_gone(key));
    }

    /// The time that the response to a change may take.
    pub(super) fn patience(&self) -> Duration {
        self.connector.patience()
    }

    /// Waits for the response to a query, which another name node may give: becoming active may take long.
    /// `unknown` names the fact that is unknown without it.
    pub(super) async fn answer<T>(
        &self,
        question: impl Future<Output = io::Result<T>>,
        unknown: &str,
    ) -> io::Result<T> {
        let time = self.connector.deadline() / 4 * 3;
        let Ok(answer) = tokio::time::timeout(time, question).await else {
            let late = self.connector.late(time);
            return Err(io::Error::new(late.kind(), format!("{late}; {unknown}")));
        };
        answer
    }

    pub(super) fn doubt(&self) -> Doubt<'_> {
        self.in_doubt.begin()
    }

    /// The time to wait for a request that was in transit when the connection broke.
    pub(super) async fn wait_for_delayed(&self) {
        tokio::time::sleep((self.patience() / 4).min(Duration::from_secs(1))).await;
    }

    /// Fails if the lock of the file was lost, or an earlier change may be made yet.
    pub(super) async fn check(&self, key: &str) -> io::Result<()> {
        self.in_doubt.check()?;
        for lease in self.locks.not_lost(key)? {
            lease.check(self).await?;
        }
        Ok(())
    }

    /// Like [`check`](Self::check), for two files.
    async fn check_both(&self, files: [&str; 2]) -> io::Result<()> {
        let is_recent = |file| self.locks.of(file).iter().all(|lease| lease.is_recent());
        until_recent(files, |file| self.check(file), is_recent).await
    }

    /// Fails unless the file has a lock, and that is held.
    pub(super) async fn check_locked(&self, key: &str) -> io::Result<()> {
        if self.locks.of(key).is_empty() {
            return Err(io::Error::other("its directory is not locked"));
        }
        self.check(key).await
    }

    /// Asks for a change, and waits for the answer.
    pub(super) async fn change<T>(&self, change: impl Future<Output = Result<T, HdfsError>>) -> Outcome<T> {
        self.counters.request();
        match tokio::time::timeout(self.patience(), change).await {
            Ok(Ok(made)) => Outcome::Made(made),
            Ok(Err(error)) if is_refusal(&error) => Outcome::Refused(error),
            Ok(Err(error)) => Outcome::Unknown(self.connector.unanswered(&io_error(error))),
            Err(_) => Outcome::Unknown(self.connector.late(self.patience())),
        }
    }

    /// Makes a change. If it gets no response, checks whether it was made, with another name node if the
    /// first one has become silent. A name node accepts requests in order, but a waiting one may be
    /// overtaken: after a timeout, or the end of a connection, checks again some time later. If that gets no
    /// response either, the error states that the outcome is unknown.
    async fn make<T, F>(
        &self,
        change: impl Future<Output = Result<T, HdfsError>>,
        is_made: impl Fn() -> F,
    ) -> io::Result<T>
    where
        F: Future<Output = io::Result<Option<T>>>,
    {
        let doubt = self.doubt();
        let outcome = match self.change(change).await {
            Outcome::Made(made) => Ok(made),
            Outcome::Refused(error) => Err(io_error(error)),
            Outcome::Unknown(error) => {
                self.wait_for_delayed().await;
                let time = self.connector.deadline() / 2;
                let mut found = tokio::time::timeout(time, is_made()).await;
                let may_wait =
                    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::ConnectionAborted);
                if may_wait && matches!(found, Ok(Ok(None))) {
                    tokio::time::sleep((self.patience() / 2).min(Duration::from_secs(5))).await;
                    found = tokio::time::timeout(time, is_made()).await;
                }
                match found {
                    Ok(Ok(Some(made))) => Ok(made),
                    Ok(Ok(None)) => Err(error),
                    _ => return Err(unknown(&error)),
                }
            }
        };
        doubt.disarm();
        outcome
    }

    /// Fails if there is a file in an encryption zone: the client would replace it, and then remove the new
    /// one, which it cannot write.
    pub(super) async fn check_not_encrypted(&self, key: &str) -> io::Result<()> {
        self.in_doubt.check()?;
        let read = async { Ok(self.client().read(&path_of(key)).await) };
        match self.answer(read, "it is not known whether the file is encrypted").await? {
            Err(error @ (HdfsError::UnsupportedFeature(_) | HdfsError::IOError(_))) => Err(io_error(error)),
            // The name node decides whether anything else is replaced.
            _ => Ok(()),
        }
    }

    /// Creates a file. The caller has checked the locks.
    pub(super) async fn create(&self, key: &str, replaces: bool) -> io::Result<FileWriter> {
        let options = WriteOptions::default().overwrite(replaces).create_parent(false).permission(FILE_MODE);
        // Whether the file exists or not, this client cannot write to it.
        let is_made = move || async move { self.find(key).await.map(|_| None) };
        match self.make(self.changing().create(&path_of(key), options), is_made).await {
            Err(error) => Err(self.with_file_left(key, error).await),
            created => created,
        }
    }

    /// Adds to the error of a file in an encryption zone that the file is left. The client has removed or
    /// closed it again, but does not report whether that has failed.
    pub(super) async fn with_file_left(&self, key: &str, error: io::Error) -> io::Error {
        if error.kind() != io::ErrorKind::Unsupported || matches!(self.find(key).await, Ok(None)) {
            return error;
        }
        let path = path_of(key);
        let message =
            format!("{error}; the file may be left, and open as long as this storage exists: {path}");
        io::Error::new(error.kind(), message)
    }

    /// Moves a file or directory, and then checks that the lock is still held, so that the next holder finds
    /// it there. Otherwise the move may have been made after the next holder listed the directory.
    pub(super) async fn move_file(&self, from: &str, to: &str, replaces: bool) -> io::Result<()> {
        self.in_doubt.check()?;
        // Before the locks are checked, because the answer may take long.
        let was_there = self.find(from).await?.is_some();
        self.check_both([from, to]).await?;
        if from == to && replaces {
            return if was_there { Ok(()) } else { Err(not_found()) };
        }
        let is_made = move || async move {
            let (from, to) = (self.find(from).await?, self.find(to).await?);
            Ok((was_there && from.is_none() && to.is_some()).then_some(()))
        };
        self.make(self.changing().rename(&path_of(from), &path_of(to), replaces), is_made).await?;
        self.end_claims(|lock| lock.strip_prefix(from).is_some_and(|below| below.starts_with('/')));
        self.check(to).await
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
        if !self.make(self.changing().delete(&path_of(key), false), is_made).await? {
            return Err(not_found());
        }
        self.locks.forget(key);
        self.end_claims(|lock| lock == key);
        Ok(())
    }

    pub(super) async fn make_dirs(&self, key: &str) -> io::Result<()> {
        self.check(key).await?;
        let is_made = move || async move { Ok(self.find(key).await?.filter(|found| found.isdir).map(drop)) };
        self.make(self.changing().mkdirs(&path_of(key), DIR_MODE, true), is_made).await
    }

    /// Recovers the lease of a file: see [`Storage::end_writing`](hregion::Storage::end_writing).
    pub(super) async fn recover_lease(&self, key: &str) -> io::Result<()> {
        let (mut pause, until) = (Duration::from_millis(500), Instant::now() + 3 * self.patience());
        let mut may_repeat = true;
        // The data nodes agree about the last block when they next report.
        loop {
            match self.client().recover_lease(&path_of(key)).await.map_err(io_error) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // The name node may have become silent, and another one may respond.
                Err(error) if may_repeat && error.kind() == io::ErrorKind::ConnectionAborted => {
                    may_repeat = false;
                    continue;
                }
                Err(error) => return Err(error),
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let message = "the data nodes of its last block have not agreed about its end in time";
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            tokio::time::sleep(pause.min(left)).await;
            // Each request may begin the recovery again.
            pause = (pause * 2).min(Duration::from_secs(20));
        }
    }
}

/// Checks the locks of two files. If the response about the second one takes long, checks both again: the
/// lock of the first one may be lost by then.
async fn until_recent<'f, F: Future<Output = io::Result<()>>>(
    files: [&'f str; 2],
    check: impl Fn(&'f str) -> F,
    is_recent: impl Fn(&'f str) -> bool,
) -> io::Result<()> {
    loop {
        for file in files {
            check(file).await?;
        }
        if files.into_iter().all(&is_recent) {
            return Ok(());
        }
    }
}

/// Returns the error of a change that got no response, and whose outcome could not be queried.
#[cold]
fn unknown(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{error}; it is not known whether the change was made"))
}

pub(super) fn path_of(key: &str) -> String {
    format!("/{key}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locks::lock_lost;
    use std::future::ready;
    use std::sync::atomic::AtomicUsize;
    use tokio::runtime::Builder;

    /// Returns the files whose locks were checked, if the first answer has become old once, and the check
    /// with a number finds the lock lost.
    fn checked(lost_at: usize) -> (io::Result<()>, Vec<&'static str>) {
        let (asked, looked) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        let check = |file: &'static str| {
            let mut asked = asked.lock().unwrap();
            asked.push(file);
            ready(if asked.len() == lost_at { Err(lock_lost()) } else { Ok(()) })
        };
        let is_recent = |_: &'static str| looked.fetch_add(1, Ordering::Relaxed) > 0;
        let runtime = Builder::new_current_thread().build().unwrap();
        let result = runtime.block_on(until_recent(["from", "to"], check, is_recent));
        (result, asked.into_inner().unwrap())
    }

    #[test]
    fn a_move_checks_both_locks_again_if_the_first_answer_has_become_old() {
        let (result, asked) = checked(usize::MAX);
        result.unwrap();
        assert_eq!(asked, ["from", "to", "from", "to"]);
        let (result, asked) = checked(3);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(asked, ["from", "to", "from"]);
    }
}
