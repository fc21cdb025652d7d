//! Changes objects in a bucket.
//!
//! An object appears complete, and is durable when its request has succeeded. Each request that creates one
//! has a condition: that there is no object with its key, or the known one. So it can be repeated until it
//! gets a response, and takes effect at most once; a mark in the object's metadata identifies the call.

use super::lock::Lease;
use super::{page_of, parse};
use crate::doubt::{Doubt, InDoubt};
use crate::locks::Locks;
use crate::object_errors::{io_error, is_passing, is_refusal};
use crate::source::not_found;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use object_store::aws::AmazonS3;
use object_store::list::PaginatedListOptions;
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The name of the metadata that identifies the call that has made an object.
const MARK: &str = "hregion-call";

/// The objects of a bucket, for changes.
#[derive(Debug)]
pub(crate) struct ObjectFiles {
    /// Repeats requests that fail.
    store: Arc<AmazonS3>,
    /// Sends each request once.
    once: AmazonS3,
    pub(super) settings: WriteSettings,
    in_doubt: InDoubt,
    /// Whether the store has been found to check conditions.
    has_conditions: AtomicBool,
    locks: Locks<Lease>,
    /// The locks whose release has failed, so that their objects still appear held.
    left_held: Mutex<Vec<Arc<Lease>>>,
}

/// The settings for writing objects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteSettings {
    pub(crate) retries: usize,
    pub(crate) first_backoff: Duration,
    pub(crate) max_backoff: Duration,
    pub(crate) part_bytes: usize,
    pub(crate) log_bytes: u64,
}

impl WriteSettings {
    pub(super) fn backoff(&self) -> Backoff {
        Backoff { left: self.retries, pause: self.first_backoff, max: self.max_backoff }
    }
}

/// Repeats a request, after pauses, each twice as long as the one before it.
#[derive(Debug)]
pub(super) struct Backoff {
    /// The number of repetitions left.
    left: usize,
    pause: Duration,
    max: Duration,
}

impl Backoff {
    /// Waits until the request should be repeated. Returns false immediately if it should not.
    pub(super) async fn wait(&mut self) -> bool {
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(self.max);
        true
    }
}

/// The known state of an object.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) e_tag: String,
    pub(super) len: u64,
    mark: Option<String>,
}

/// The condition of a change.
#[derive(Clone, Debug)]
pub(super) enum Over {
    /// There is no object.
    Nothing,
    /// The object has this ETag.
    Version(String),
}

impl Over {
    /// Returns the header of a request that has the condition.
    pub(super) fn header(&self) -> io::Result<(HeaderName, HeaderValue)> {
        match self {
            Self::Nothing => Ok((IF_NONE_MATCH, HeaderValue::from_static("*"))),
            Self::Version(e_tag) => {
                let value = HeaderValue::from_str(e_tag).map_err(|_| unsupported("ETags are not text"))?;
                Ok((IF_MATCH, value))
            }
        }
    }
}

/// The outcome of a change.
pub(super) enum Put {
    /// It was made: the ETag of the object.
    Made(String),
    /// It was not made, and will not be, because there is another object.
    Refused,
}

/// The reason that a file was not made, or not with certainty.
pub(super) enum Failure {
    /// It was not, and will not be: it can be tried again.
    Refused(io::Error),
    /// It may have been made, there is another one, or the storage makes no more changes.
    Final(io::Error),
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        let (Failure::Refused(error) | Failure::Final(error)) = failure;
        error
    }
}

impl Put {
    /// Returns the ETag of the object.
    ///
    /// # Errors
    ///
    /// If there is another object: [`io::ErrorKind::AlreadyExists`] if `over` requires that there is none.
    pub(super) fn made(self, over: &Over) -> io::Result<String> {
        match (self, over) {
            (Self::Made(e_tag), _) => Ok(e_tag),
            (Self::Refused, Over::Nothing) => Err(io::ErrorKind::AlreadyExists.into()),
            (Self::Refused, Over::Version(_)) => Err(changed()),
        }
    }
}

/// Returns the outcome of a change with a mark, according to the object found afterwards; `None` if that does
/// not determine it.
pub(super) fn fate(seen: Option<Seen>, over: &Over, mark: &str) -> Option<Put> {
    match (seen, over) {
        (Some(seen), _) if seen.mark.as_deref() == Some(mark) => Some(Put::Made(seen.e_tag)),
        (Some(seen), Over::Version(e_tag)) if seen.e_tag == *e_tag => None,
        (None, Over::Nothing) => None,
        _ => Some(Put::Refused),
    }
}

impl ObjectFiles {
    pub(super) fn new(store: Arc<AmazonS3>, once: AmazonS3, settings: WriteSettings) -> Self {
        Self {
            store,
            once,
            settings,
            in_doubt: InDoubt::default(),
            has_conditions: AtomicBool::new(false),
            locks: Locks::default(),
            left_held: Mutex::default(),
        }
    }

    pub(super) fn store(&self) -> &AmazonS3 {
        &self.store
    }

    /// Looks an object up.
    pub(super) async fn find(&self, key: &str) -> io::Result<Option<Seen>> {
        self.find_at(&parse(key)?).await
    }

    async fn find_at(&self, path: &Key) -> io::Result<Option<Seen>> {
        let options = GetOptions { head: true, ..Default::default() };
        let found = match self.store.get_opts(path, options).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(|error| io_error(&error))?,
        };
        let mark = found.attributes.get(&Attribute::Metadata(MARK.into())).map(|mark| mark.to_string());
        let e_tag = found.meta.e_tag.ok_or_else(|| unsupported("objects have no ETag"))?;
        Ok(Some(Seen { e_tag, len: found.meta.size, mark }))
    }

    pub(super) async fn find_existing(&self, key: &str) -> io::Result<Seen> {
        self.find(key).await?.ok_or_else(not_found)
    }

    pub(super) fn locks(&self) -> &Locks<Lease> {
        &self.locks
    }

    /// Records that the release of a lock has failed.
    pub(super) fn leave_held(&self, lease: Arc<Lease>) {
        self.left_held.lock().unwrap_or_else(PoisonError::into_inner).push(lease);
    }

    /// Whether the release of such a lock has failed: nothing depends on it, whatever its object contains.
    pub(super) fn has_left_held(&self, is_such: impl Fn(&Lease) -> bool) -> bool {
        self.left_held.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|lease| is_such(lease))
    }

    /// Fails if an earlier change may be made yet.
    pub(super) fn check_doubt(&self) -> io::Result<()> {
        self.in_doubt.check()
    }

    /// Fails if the lock of the object was lost, or an earlier change may be made yet.
    pub(super) async fn check(&self, key: &str) -> io::Result<()> {
        self.check_doubt()?;
        for lease in self.locks.not_lost(key)? {
            lease.check_before(self).await?;
        }
        Ok(())
    }

    /// Fails if the lock of the object is no longer held. Always asks the store, so that changes made before
    /// are visible to the next holder of the lock.
    pub(super) async fn check_now(&self, key: &str) -> io::Result<()> {
        for lease in self.locks.of(key) {
            lease.check_now(self).await?;
        }
        Ok(())
    }

    /// Makes an object, while its lock is held. Returns its ETag.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if there is an object, and `over` requires that there is none. With
    /// any other error that is final, the object may have been made, and will not be made later unless the
    /// files are in doubt.
    pub(super) async fn put_file(&self, key: &str, bytes: Bytes, over: &Over) -> Result<String, Failure> {
        self.check(key).await.map_err(|error| self.before_request(error))?;
        if matches!(over, Over::Nothing) {
            // Nothing but the lock keeps another process from making others.
            self.check_now(key).await.map_err(|error| self.before_request(error))?;
        }
        let put = self.put(key, bytes, over).await.map_err(|error| self.before_request(error))?;
        let e_tag = put.made(over).map_err(Failure::Final)?;
        self.check_now(key).await.map_err(Failure::Final)?;
        Ok(e_tag)
    }

    /// Returns a failure before any request that may be carried out.
    fn before_request(&self, error: io::Error) -> Failure {
        // The lock was lost, or this or an earlier change got no response.
        let is_final = error.kind() == io::ErrorKind::WouldBlock || self.check_doubt().is_err();
        if is_final { Failure::Final(error) } else { Failure::Refused(error) }
    }

    /// Makes an object. If a request gets no response, checks whether the object was made, and repeats the
    /// request if not. If this fails in the end, the files are in doubt.
    pub(super) async fn put(&self, key: &str, bytes: Bytes, over: &Over) -> io::Result<Put> {
        self.check_doubt()?;
        self.put_in_doubt(key, bytes, over).await
    }

    /// Like [`put`](Self::put), also if the files are in doubt.
    pub(super) async fn put_in_doubt(&self, key: &str, bytes: Bytes, over: &Over) -> io::Result<Put> {
        let (path, mark) = (parse(key)?, random());
        // In doubt while a request may be executed. If the deadline ends this call, it may be executed later.
        let mut doubt: Option<Doubt<'_>> = None;
        let mut backoff = self.settings.backoff();
        let outcome = loop {
            let is_unanswered = doubt.is_some();
            doubt = doubt.or_else(|| Some(self.in_doubt.begin()));
            let sent = self.once.put_opts(&path, bytes.clone().into(), put_options(over, &mark)).await;
            let (error, is_final, is_answered) = match sent.map(|made| made.e_tag) {
                Ok(Some(e_tag)) => break Ok(Put::Made(e_tag)),
                Ok(None) => (unsupported("objects have no ETag"), true, true),
                Err(error) => {
                    let is_final = is_refusal(&error) && !is_conflict(&error) && !is_passing(&error);
                    (io_error(&error), is_final, is_refusal(&error))
                }
            };
            if is_answered
                && !is_unanswered
                && let Some(doubt) = doubt.take()
            {
                doubt.disarm();
            }
            if let Some(put) = self.find(key).await.ok().and_then(|seen| fate(seen, over, &mark)) {
                break Ok(put);
            }
            if is_final || !backoff.wait().await {
                break Err(error);
            }
        };
        if outcome.is_ok()
            && let Some(doubt) = doubt
        {
            doubt.disarm();
        }
        outcome
    }

    /// Removes the empty object that marks a directory, if any, as created by Hadoop's client
    /// (`S3AFileSystem`): otherwise the directory and its parents would remain.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::DirectoryNotEmpty`] if there is another object in the directory.
    pub(super) async fn delete_dir(&self, dir: &str) -> io::Result<()> {
        self.check_doubt()?;
        let mut options = PaginatedListOptions { max_keys: Some(2), ..Default::default() };
        let mut is_marked = false;
        loop {
            let page = page_of(&*self.store, dir, options.clone()).await?;
            for object in page.result.objects {
                // Paths have no slash at the end.
                if dir.is_empty() || object.location.as_ref() != dir || object.size > 0 {
                    return Err(io::ErrorKind::DirectoryNotEmpty.into());
                }
                is_marked = true;
            }
            options.page_token = page.page_token;
            if options.page_token.is_none() {
                break;
            }
        }
        if is_marked {
            self.check(dir).await?;
            self.delete_unchecked(&parse(dir)?.join("")).await?;
        }
        Ok(())
    }

    /// Removes an object.
    pub(super) async fn delete(&self, key: &str) -> io::Result<()> {
        self.check(key).await?;
        self.find_existing(key).await?;
        self.delete_unchecked(&parse(key)?).await?;
        self.locks.forget(key);
        Ok(())
    }

    async fn delete_unchecked(&self, path: &Key) -> io::Result<()> {
        let mut backoff = self.settings.backoff();
        loop {
            let error = match self.store.delete(path).await {
                Ok(()) | Err(Error::NotFound { .. }) => return Ok(()),
                Err(error) => error,
            };
            if !is_refusal(&error) && matches!(self.find_at(path).await, Ok(None)) {
                return Ok(());
            }
            let is_final = is_refusal(&error) && !is_passing(&error);
            if is_final || !backoff.wait().await {
                return Err(io_error(&error));
            }
        }
    }

    /// Fails if the store ignores conditions, or keeps no metadata: writers could not exclude each other.
    /// This is tested once, with a temporary object next to a key.
    pub(super) async fn check_conditions(&self, key: &str) -> io::Result<()> {
        if self.has_conditions.load(Ordering::SeqCst) {
            return Ok(());
        }
        let dir = key.rsplit_once('/').map_or("", |(dir, _)| dir);
        let probe = format!("{dir}/.hregion.probe.{}", random());
        let probe = probe.trim_start_matches('/');
        let (path, mark) = (parse(probe)?, random());
        // Repeated if it gets no response, because it is the only request for its key.
        let made = self.store.put_opts(&path, Bytes::from_static(b"probe").into(), marked(&mark)).await;
        made.map_err(|error| io_error(&error))?;
        let asked = self.ask_conditions(probe, &mark).await;
        let removed = self.delete_unchecked(&path).await;
        asked?;
        removed?;
        self.has_conditions.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn ask_conditions(&self, probe: &str, mark: &str) -> io::Result<()> {
        let seen = self.find_existing(probe).await?;
        if seen.mark.as_deref() != Some(mark) {
            return Err(unsupported("metadata of objects is not kept"));
        }
        let path = parse(probe)?;
        for over in [Over::Nothing, Over::Version("\"00000000000000000000000000000000\"".to_owned())] {
            let mut backoff = self.settings.backoff();
            let refused = loop {
                let options = put_options(&over, mark);
                let sent = self.store.put_opts(&path, Bytes::from_static(b"other").into(), options).await;
                // Without an answer it can be repeated: it must not change anything.
                let is_answered = sent.as_ref().map_or_else(is_refusal, |_| true);
                if is_answered || !backoff.wait().await {
                    break sent;
                }
            };
            match refused {
                Ok(_) => return Err(unsupported("the condition of a put is ignored")),
                Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                    return Err(unsupported("there are no conditional puts"));
                }
                Err(error) if is_conflict(&error) => {}
                Err(error) => {
                    let error = io_error(&error);
                    return Err(match error.kind() {
                        io::ErrorKind::Unsupported => unsupported("there are no conditional puts"),
                        _ => error,
                    });
                }
            }
        }
        Ok(())
    }
}

fn put_options(over: &Over, mark: &str) -> PutOptions {
    let mode = match over {
        Over::Nothing => PutMode::Create,
        Over::Version(e_tag) => PutMode::Update(UpdateVersion { e_tag: Some(e_tag.clone()), version: None }),
    };
    PutOptions { mode, ..marked(mark) }
}

fn marked(mark: &str) -> PutOptions {
    PutOptions { attributes: attributes(mark), ..Default::default() }
}

pub(super) fn attributes(mark: &str) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::Metadata(MARK.into()), mark.to_owned().into());
    attributes
}

/// Whether the condition of a request was not met, or another request was changing the object.
pub(super) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. })
}

/// Returns a random name.
pub(super) fn random() -> String {
    // Each state has random keys.
    let half = || RandomState::new().hash_one(std::process::id());
    format!("{:016x}{:016x}", half(), half())
}

pub(super) fn changed() -> io::Error {
    io::Error::other("the object was changed by another process")
}

pub(super) fn unsupported(what: &str) -> io::Error {
    let message = format!(
        "this object store is only read, as {what}: writing needs conditional puts (If-None-Match and \
         If-Match), ETags and metadata"
    );
    io::Error::new(io::ErrorKind::Unsupported, message)
}
