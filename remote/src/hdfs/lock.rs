//! Locks of directories in HDFS: a file that is held open.
//!
//! The name node lets one client write to a file, as long as it renews its lease. The lock file is empty and
//! is open for writing while the lock is held. If the process dies, another may open the file 60 seconds
//! later (HDFS: `LEASE_SOFTLIMIT_PERIOD`).
//!
//! A process that was suspended for longer may continue when another has the lock. So before each change of a
//! file in the directory, the storage checks that the lock is still held, and that the lease was renewed at
//! most [`FRESH`] before. As the response to a change takes at most [`Lease::MAX_PATIENCE`], it arrives
//! before another client can have the lock, unless the request is delayed in the network for longer, or the
//! process is suspended between the two. A late rename is not reported as a success: the lock is checked
//! again after it. The bytes of logs need no check: the next holder of the lock ends the writing of the logs,
//! so that no later sync succeeds. A log that is created late is not written to: the lock is also checked
//! after its creation.
//!
//! The client renews its lease by the wall clock: if that is set back, it renews nothing until it has caught
//! up. In the meantime, the storage renews the lease itself ([`keep`]).
//!
//! If a name node becomes silent, another one has the same leases when it is active: the client switches to
//! it (`relay.rs`), and checks the lock again.
//!
//! The name node does not distinguish the callers of one client, so a lock file that this client has open is
//! not opened again for another caller. A request to open or close one that gets no response is repeated:
//! otherwise the file might stay open as long as the client exists.

use super::changes::{Claim, HdfsFiles, Outcome, path_of};
use super::errors::{io_error, is_loss, is_open_elsewhere, is_open_here, is_passing};
use crate::locks::{DirLock, lock_lost};
use crate::moment::{Moment, WallClock};
use crate::storage::Shared;
use futures_util::stream::{self, StreamExt as _};
use hdfs_native::file::FileWriter;
use hdfs_native::{HdfsError, WriteOptions};
use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

/// The maximum time since the last certain renewal of the lease when a change begins.
const FRESH: Duration = Duration::from_secs(20);

/// The time between two looks at the wall clock.
const PERIOD: Duration = Duration::from_secs(5);

/// The time for which leases are still renewed here after a clock that was set back has caught up: the
/// client renews them 30 seconds after its last renewal, which may have been later than the last look.
const CATCH_UP: Duration = Duration::from_secs(45);

/// The maximum number of leases that are renewed here at the same time.
const MAX_RENEWALS: usize = 32;

/// A lock file that is open.
pub(super) struct Lease {
    key: String,
    /// `None` when the file is being closed.
    writer: tokio::sync::Mutex<Option<FileWriter>>,
    /// Before the last renewal that has succeeded.
    renewed: Mutex<Moment>,
    /// Whether nothing depends on the lock any longer: it was released, or this client has removed its file.
    is_over: AtomicBool,
}

impl DirLock for Lease {
    fn key(&self) -> &str {
        &self.key
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

impl Lease {
    /// The time that the response to a change, or about the lock, may take. [`FRESH`], both of these, and the
    /// third of one that a relay may take to pass on a request, are together less than the 60 seconds of a
    /// lease.
    pub(super) const MAX_PATIENCE: Duration = Duration::from_secs(15);

    /// Fails if the lock is no longer held.
    pub(super) async fn check(&self, files: &HdfsFiles) -> io::Result<()> {
        let mut writer = self.writer.lock().await;
        // A lock released in the meantime is not lost: the work that it protected is done.
        let Some(writer) = writer.as_mut() else { return Ok(()) };
        let asked = async {
            match self.ask(files, writer).await {
                // The name node may have become silent, and another one answers.
                Err(error) if is_passing(&error) => self.ask(files, writer).await,
                asked => asked,
            }
        };
        files.answer(asked, "it is not known whether the lock is held").await
    }

    /// Renews the lease if it may be old, and checks that the file is open for this client. Both can be
    /// repeated.
    async fn ask(&self, files: &HdfsFiles, writer: &mut FileWriter) -> io::Result<()> {
        let before = Moment::now();
        let is_fresh = self.is_renewed_within(FRESH);
        if !is_fresh {
            match renew(files, &self.key).await {
                // The directory was moved or removed. Another one may take its place.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    files.locks().lose(self);
                    return Err(lock_lost());
                }
                renewed => renewed?,
            }
        }
        // A sync of an empty file is only a request to the name node, which refuses it without the lease.
        files.client();
        match writer.hsync().await {
            Ok(()) => {}
            Err(error) if is_loss(&error) => {
                files.locks().lose(self);
                return Err(lock_lost());
            }
            Err(error) => return Err(io_error(error)),
        }
        if !is_fresh {
            self.set_renewed(before);
        }
        // The answer may have been in transit for long.
        if self.is_recent() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time to whether the lock is held"))
    }

    /// Whether the last renewal is so recent that a change may begin.
    pub(super) fn is_recent(&self) -> bool {
        self.is_renewed_within(FRESH + Self::MAX_PATIENCE)
    }

    fn is_renewed_within(&self, age: Duration) -> bool {
        self.renewed.lock().unwrap_or_else(PoisonError::into_inner).is_within(age)
    }

    fn set_renewed(&self, before: Moment) {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = before;
    }

    /// Renews the lease if it may be old. Does not check whether the lock is held, but makes no file in a
    /// directory that others may have, because the lock was lost.
    async fn keep(&self, files: &HdfsFiles) -> io::Result<()> {
        let writer = self.writer.lock().await;
        let is_needed = writer.is_some() && !self.is_over() && !files.locks().is_lost(self);
        if !is_needed || self.is_renewed_within(FRESH) {
            return Ok(());
        }
        let before = Moment::now();
        renew(files, &self.key).await?;
        self.set_renewed(before);
        Ok(())
    }
}

/// Renews the leases of the locks of a storage while the client does not, because the wall clock was set
/// back. Otherwise another process could have a lock on which nothing is changed for some time.
pub(super) async fn keep(files: Weak<HdfsFiles>) {
    let mut clock = WallClock::at(SystemTime::now());
    loop {
        tokio::time::sleep(PERIOD).await;
        let Some(files) = files.upgrade() else { return };
        if clock.is_behind(SystemTime::now(), CATCH_UP) {
            keep_all(&files).await;
        }
    }
}

/// Renews the leases that may be old. One that gets no answer does not delay the others, of which there may
/// be many.
async fn keep_all(files: &HdfsFiles) {
    let renewals = stream::iter(files.locks().held());
    let renew = |lease: Arc<Lease>| async move {
        // It is tried again. What depends on a lock checks that it is held.
        let _ = within(files.patience(), lease.keep(files)).await;
    };
    renewals.for_each_concurrent(MAX_RENEWALS, renew).await;
}

/// Renews the lease of the client, which is one for all its files: by creating a file next to a lock file.
/// The client's own renewals do not report whether they have succeeded.
async fn renew(files: &HdfsFiles, key: &str) -> io::Result<()> {
    let path = renewal_of(key);
    let options = WriteOptions::default().overwrite(true).create_parent(false);
    drop(files.client().create(&path, options).await.map_err(io_error)?);
    files.client().delete(&path, false).await.map_err(io_error)?;
    Ok(())
}

fn renewal_of(key: &str) -> String {
    format!("{}.renewal", path_of(key))
}

/// Locks a lock file.
pub(super) async fn take(files: &Arc<HdfsFiles>, key: String, shared: Arc<Shared>) -> io::Result<HdfsLock> {
    let claim = files.claim(&key)?;
    let lease = hold(files, key).await?;
    files.keep_leases();
    Ok(HdfsLock { lease, claim: Some(claim), files: Arc::clone(files), shared })
}

/// Opens a lock file that the caller has claimed.
async fn hold(files: &HdfsFiles, key: String) -> io::Result<Arc<Lease>> {
    let (writer, before) = open(files, &key).await?;
    let lease = Arc::new(Lease {
        key,
        writer: tokio::sync::Mutex::new(Some(writer)),
        renewed: Mutex::new(before),
        is_over: AtomicBool::new(false),
    });
    files.locks().add(&lease);
    Ok(lease)
}

/// Opens a lock file that the caller has claimed. Also returns a moment before that. Repeats requests that
/// get no response, because the file may be open. If there is no response at all, the storage makes no more
/// changes: others can have the lock when it is dropped.
async fn open(files: &HdfsFiles, key: &str) -> io::Result<(FileWriter, Moment)> {
    let doubt = files.doubt();
    let (mut attempts, mut is_unanswered, mut renewed) = (3, false, None::<Moment>);
    let opened = loop {
        let before = Moment::now();
        match files.change(open_once(files, key)).await {
            Outcome::Made(writer) => break Ok((writer, before)),
            Outcome::Refused(error) if is_open_here(&error) && is_unanswered && attempts > 0 => {
                // Opened by the request without a response. Recovering a lease ends any client's, so the
                // lease must be this client's, renewed before.
                if renewed.is_some_and(|renewed| renewed.is_within(FRESH)) {
                    attempts -= 1;
                    within(files.patience(), files.recover_lease(key)).await?;
                } else {
                    renewed = Some(before);
                    within(files.patience(), renew(files, key)).await?;
                }
            }
            Outcome::Refused(error) if is_open_here(&error) => {
                // No caller has it open: this one has claimed it.
                let error = io_error(error);
                let message =
                    format!("{error}; an earlier call has left the file open: make another storage");
                break Err(io::Error::other(message));
            }
            Outcome::Refused(error) if is_open_elsewhere(&error) => {
                break Err(io::Error::new(io::ErrorKind::WouldBlock, io_error(error).to_string()));
            }
            // An earlier request may have been made.
            Outcome::Refused(error) if is_unanswered => return Err(io_error(error)),
            Outcome::Refused(error) => break Err(files.with_file_left(key, io_error(error)).await),
            Outcome::Unknown(error) => {
                (attempts, is_unanswered) = (attempts - 1, true);
                if attempts == 0 {
                    return Err(error);
                }
                files.wait_for_delayed().await;
            }
        }
    };
    if opened.is_ok() {
        // A dead process may have left it. Nothing depends on it.
        let _ = files.client().delete(&renewal_of(key), false).await;
    }
    doubt.disarm();
    opened
}

async fn open_once(files: &HdfsFiles, key: &str) -> Result<FileWriter, HdfsError> {
    let options = WriteOptions::default().overwrite(false).create_parent(false);
    match files.client().create(&path_of(key), options).await {
        Err(error) if is_open_elsewhere(&error) => files.client().append(&path_of(key)).await,
        created => created,
    }
}

async fn within<T>(time: Duration, call: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(time, call).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Closes a lock file. Ends when it is no longer open for this client.
async fn close(files: &HdfsFiles, mut writer: FileWriter) {
    let mut pause = Duration::from_millis(500);
    loop {
        files.client();
        // The name node accepts the end of a file that has ended.
        match tokio::time::timeout(files.patience(), writer.close()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) if is_loss(&error) => return,
            _ => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_secs(20));
    }
}

/// A lock that is held.
pub(super) struct HdfsLock {
    lease: Arc<Lease>,
    /// Taken only when dropped.
    claim: Option<Claim>,
    files: Arc<HdfsFiles>,
    shared: Arc<Shared>,
}

impl HdfsLock {
    /// Fails if the lock is no longer held.
    pub(super) fn check(&self) -> io::Result<()> {
        let (files, lease) = (Arc::clone(&self.files), Arc::clone(&self.lease));
        self.shared.blocking.run(async move { lease.check(&files).await })
    }
}

impl fmt::Debug for HdfsLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HdfsLock").field("key", &self.lease.key).finish_non_exhaustive()
    }
}

impl Drop for HdfsLock {
    /// Closes the file. If there is no response for some time, continues in the background while the storage
    /// exists.
    fn drop(&mut self) {
        if self.shared.blocking.is_forked() {
            // It is held by the other process, whose threads may have locked what its end would lock here.
            mem::forget((Arc::clone(&self.lease), self.claim.take()));
            return;
        }
        self.lease.end();
        let (lease, files, claim) = (Arc::clone(&self.lease), Arc::clone(&self.files), self.claim.take());
        let time = 2 * files.patience();
        let closing = self.shared.blocking.handle().spawn(async move {
            let writer = lease.writer.lock().await.take();
            if let Some(writer) = writer {
                close(&files, writer).await;
            }
            drop(claim);
        });
        // An error means only that the end was not waited for.
        let _ =
            self.shared.blocking.run(within(time, async move { closing.await.map_err(io::Error::other) }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::connector::Connector;
    use super::super::fake_name_nodes::FakeNameNodes;
    use super::*;
    use crate::blocking::Blocking;
    use crate::location::Location;
    use crate::options::RemoteOptions;
    use std::path::Path;
    use std::time::Instant;

    /// Runs a test of the files of a client.
    fn run<F>(test: impl FnOnce(Arc<FakeNameNodes>, Arc<HdfsFiles>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let nodes = Arc::new(FakeNameNodes::start());
        let [first, second] = nodes.addresses();
        let options = RemoteOptions::default()
            .setting("dfs.ha.namenodes.ns", "nn1,nn2")
            .setting("dfs.namenode.rpc-address.ns.nn1", first)
            .setting("dfs.namenode.rpc-address.ns.nn2", second);
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let (location, patience) = (Location::parse(Path::new("hdfs://ns/")).unwrap(), Lease::MAX_PATIENCE);
        let connector = Arc::new(Connector::new(&location, &options, patience, blocking.handle()).unwrap());
        let connecting = Arc::clone(&connector);
        let client = blocking.run(async move { connecting.connect().await }).unwrap();
        let files = Arc::new(HdfsFiles::new(connector, client, Arc::default()));
        let test = test(Arc::clone(&nodes), files);
        let ended = async move {
            test.await;
            Ok(())
        };
        blocking.run(ended).unwrap();
    }

    /// Locks a new directory. The last renewal of the lease was long ago.
    async fn old_lease(files: &HdfsFiles, dir: &str) -> Arc<Lease> {
        files.make_dirs(dir).await.unwrap();
        let lease = hold(files, format!("{dir}/.lock")).await.unwrap();
        lease.set_renewed(Moment::ago(2 * FRESH));
        lease
    }

    #[test]
    fn the_check_of_a_lock_renews_an_old_lease() {
        run(|nodes, files| async move {
            let lease = old_lease(&files, "d").await;
            assert!(!lease.is_renewed_within(FRESH));
            lease.check(&files).await.unwrap();
            assert!(lease.is_renewed_within(FRESH) && !nodes.has("/d/.lock.renewal"));
            // Without a renewal, the lock is not known to be held.
            lease.set_renewed(Moment::ago(2 * FRESH));
            nodes.encrypt("/d/.lock.renewal");
            lease.check(&files).await.unwrap_err();
            assert!(!lease.is_renewed_within(FRESH));
        });
    }

    #[test]
    fn the_lock_of_a_moved_directory_is_lost_once_its_lease_is_old() {
        run(|nodes, files| async move {
            let lease = old_lease(&files, "d").await;
            files.client().rename("/d", "/moved", false).await.unwrap();
            assert!(nodes.has("/moved/.lock"));
            assert_eq!(lease.check(&files).await.unwrap_err().kind(), io::ErrorKind::WouldBlock);
            // It does not lock a directory that takes the place of the moved one.
            files.client().mkdirs("/d", 0o755, true).await.unwrap();
            assert_eq!(files.make_dirs("d/e").await.unwrap_err().kind(), io::ErrorKind::WouldBlock);
            hold(&files, "d/.lock".to_owned()).await.unwrap();
            assert!(files.locks().not_lost("d/e").is_ok());
        });
    }

    #[test]
    fn leases_are_kept_although_one_gets_no_answer() {
        run(|_, files| async move {
            let (first, lost) = (old_lease(&files, "a").await, old_lease(&files, "b").await);
            let others = [old_lease(&files, "c").await, old_lease(&files, "d").await];
            files.locks().lose(&lost);
            let (began, unanswered) = (Instant::now(), first.writer.lock().await);
            let keeping = tokio::spawn({
                let files = Arc::clone(&files);
                async move { keep_all(&files).await }
            });
            while !others.iter().all(|lease| lease.is_renewed_within(FRESH)) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert!(began.elapsed() < files.patience() && !first.is_renewed_within(FRESH));
            drop(unanswered);
            keeping.await.unwrap();
            assert!(first.is_renewed_within(FRESH) && !lost.is_renewed_within(FRESH));
        });
    }
}
