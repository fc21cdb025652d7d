//! Locks of directories in a bucket: an object that records whether the lock is held.
//!
//! The object is made and replaced by conditional puts, so that one process has the lock. It never expires,
//! because a store cannot detect the end of a process. [`end_writing`](hregion::Storage::end_writing) frees
//! the lock of a process that is known to be dead.
//!
//! If the process is alive after all, it may have a request in transit when another gets the lock. So after
//! each object that it makes, it checks that it still has the lock, and only then reports success: everything
//! acknowledged existed before the other process got the lock. It also checks before it makes a new object,
//! and before other changes if it has not done so within [`FRESH`]. A change after the check replaces nothing
//! of the other process: a log is replaced only in its known state, and lists of store files have consecutive
//! numbers, each of which can be made once.
//!
//! A storage that makes no more changes, because one got no response, frees its locks nevertheless when they
//! are dropped: that change may then be made while another has the lock, as with a process wrongly assumed to
//! be dead.
//!
//! If the request that frees a lock is refused, the lock stays held for others, but this storage can take it
//! again, because nothing depends on it.

use super::changes::{ObjectFiles, Over, Put, random};
use super::{collect, parse};
use crate::locks::{DirLock, lock_lost};
use crate::moment::Moment;
use crate::object_errors::io_error;
use crate::storage::Shared;
use bytes::Bytes;
use object_store::ObjectStore;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The maximum time since the last check of the lock when a change begins.
const FRESH: Duration = Duration::from_secs(1);

/// The beginning of the content of a lock object.
const HELD: &str = "hregion lock, held by ";
const FREE: &str = "hregion lock, free ";
/// The maximum length of a lock object.
const LOCK_BYTES: u64 = 200;

/// A lock object that this process has made.
pub(super) struct Lease {
    key: String,
    e_tag: String,
    /// A moment before the last check that found the lock held.
    asked: Mutex<Moment>,
    /// Whether this process has released the lock, or removed the object.
    is_over: AtomicBool,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("key", &self.key).finish_non_exhaustive()
    }
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
    /// Fails if the lock is no longer held. Asks the store if the last check was long ago.
    pub(super) async fn check_before(&self, files: &ObjectFiles) -> io::Result<()> {
        let is_fresh = self.asked.lock().unwrap_or_else(PoisonError::into_inner).is_within(FRESH);
        if is_fresh { Ok(()) } else { self.check_now(files).await }
    }

    /// Fails if the lock is no longer held.
    pub(super) async fn check_now(&self, files: &ObjectFiles) -> io::Result<()> {
        let before = Moment::now();
        let seen = files.find(&self.key).await?;
        if seen.is_none_or(|seen| seen.e_tag != self.e_tag) {
            // A lock released in the meantime is not lost: the work that it protected is done.
            if self.is_over() {
                return Ok(());
            }
            files.locks().lose(self);
            return Err(lock_lost());
        }
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = before;
        Ok(())
    }
}

/// Locks a lock object.
pub(super) async fn take(
    files: &Arc<ObjectFiles>,
    key: String,
    shared: Arc<Shared>,
) -> io::Result<ObjectLock> {
    files.check_doubt()?;
    if files.locks().has(&key) {
        return Err(io::Error::new(io::ErrorKind::WouldBlock, "this storage has the lock"));
    }
    files.check_conditions(&key).await?;
    let before = Moment::now();
    let e_tag = hold(files, &key).await?;
    let (asked, is_over) = (Mutex::new(before), AtomicBool::new(false));
    let lease = Arc::new(Lease { key, e_tag, asked, is_over });
    files.locks().add(&lease);
    Ok(ObjectLock { lease, files: Arc::clone(files), shared })
}

/// Makes the lock object this process's. Returns its ETag.
async fn hold(files: &ObjectFiles, key: &str) -> io::Result<String> {
    // The random part makes the ETag one that no other process has had.
    let content = Bytes::from(format!("{HELD}process {} {}\n", std::process::id(), random()));
    if let Put::Made(e_tag) = files.put(key, content.clone(), &Over::Nothing).await? {
        return Ok(e_tag);
    }
    let (found, e_tag) = match read(files, key).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(held_elsewhere(key, "")),
        found => found?,
    };
    // A lock file of a local directory is empty.
    let is_free = found.is_empty() || found.starts_with(FREE.as_bytes());
    if !is_free && !files.has_left_held(|lease| lease.key == key && lease.e_tag == e_tag) {
        return Err(held_elsewhere(key, &String::from_utf8_lossy(&found)));
    }
    match files.put(key, content, &Over::Version(e_tag)).await? {
        Put::Made(e_tag) => Ok(e_tag),
        Put::Refused => Err(held_elsewhere(key, "")),
    }
}

#[cold]
fn held_elsewhere(key: &str, content: &str) -> io::Error {
    let by = content.strip_prefix(HELD).map_or("another process", str::trim_end);
    let message = format!(
        "the lock is held by {by}; if it is certain that nothing there uses the directory any more, the \
         removal of the object frees it: {key}"
    );
    io::Error::new(io::ErrorKind::WouldBlock, message)
}

/// Returns the content of a lock object, and its ETag.
async fn read(files: &ObjectFiles, key: &str) -> io::Result<(Bytes, String)> {
    let result = files.store().get_opts(&parse(key)?, Default::default()).await;
    let result = result.map_err(|error| io_error(&error))?;
    let (len, e_tag) = (result.meta.size, result.meta.e_tag.clone());
    let len = usize::try_from(len).ok().filter(|_| len <= LOCK_BYTES);
    let (Some(len), Some(e_tag)) = (len, e_tag) else { return Err(not_a_lock()) };
    Ok((collect(result, len).await?, e_tag))
}

#[cold]
fn not_a_lock() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the lock file was not written by hregion")
}

fn free() -> Bytes {
    Bytes::from(format!("{FREE}{}\n", random()))
}

/// Ends the writing of a file: frees it if it is a lock object that is held. Other objects are complete.
pub(super) async fn end_writing(files: &ObjectFiles, key: &str) -> io::Result<()> {
    files.check_doubt()?;
    if files.find_existing(key).await?.len > LOCK_BYTES {
        return Ok(());
    }
    let (found, e_tag) = read(files, key).await?;
    if !found.starts_with(HELD.as_bytes()) {
        return Ok(());
    }
    match files.put(key, free(), &Over::Version(e_tag)).await? {
        Put::Made(_) => Ok(()),
        Put::Refused => Err(super::changes::changed()),
    }
}

/// A lock that is held.
pub(super) struct ObjectLock {
    lease: Arc<Lease>,
    files: Arc<ObjectFiles>,
    shared: Arc<Shared>,
}

impl ObjectLock {
    /// Fails if the lock is no longer held.
    pub(super) fn check(&self) -> io::Result<()> {
        let (files, lease) = (Arc::clone(&self.files), Arc::clone(&self.lease));
        self.shared.blocking.run(async move { lease.check_now(&files).await })
    }

    /// Frees the lock, even if a change got no response: this replaces only the object of this lock. If that
    /// fails, the lock stays held, except for this storage.
    pub(super) fn release(&self) -> io::Result<()> {
        if self.lease.is_over.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let (files, lease) = (Arc::clone(&self.files), Arc::clone(&self.lease));
        let over = Over::Version(lease.e_tag.clone());
        let freed = self.shared.blocking.run(async move {
            let mut backoff = files.settings.backoff();
            loop {
                match files.put_in_doubt(&lease.key, free(), &over).await {
                    // It was refused: it may not be the next time.
                    Err(_) if files.check_doubt().is_ok() && backoff.wait().await => {}
                    freed => return freed,
                }
            }
        });
        freed.map(drop).map_err(|error| {
            // The deadline may have ended the release between two requests.
            self.files.leave_held(Arc::clone(&self.lease));
            let message = format!(
                "{error}; unless this process locks it again, the removal of the object frees it: {}",
                self.lease.key
            );
            io::Error::new(error.kind(), message)
        })
    }
}

impl fmt::Debug for ObjectLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectLock").field("key", &self.lease.key).finish_non_exhaustive()
    }
}

impl Drop for ObjectLock {
    fn drop(&mut self) {
        // Errors cannot be reported here.
        let _ = self.release();
    }
}
