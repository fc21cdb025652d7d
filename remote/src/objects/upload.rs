//! Objects that are uploaded in parts.
//!
//! The object is made when the upload is completed. That request has a condition, like a put of a whole
//! object; a store that ignores it there replaces an object that another process makes between the last check
//! and the completion.

use super::changes::{ObjectFiles, Over, attributes, changed, fate, is_conflict, random};
use super::parse;
use crate::blocking::Pending;
use crate::counted_http::with_condition;
use crate::object_errors::{io_error, is_refusal, is_throttled, is_too_slow};
use crate::storage::Shared;
use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::{Error, MultipartId, PutMultipartOptions};
use std::io;
use std::mem;
use std::sync::Arc;

/// The maximum number of parts of an object.
const MAX_PARTS: usize = 10_000;

/// The number of parts of the first length, and of each longer one.
const FIRST_PARTS: usize = 2_000;
const MORE_PARTS: usize = 500;

/// The maximum length of parts that are longer than the first ones.
const MAX_LONGER: u64 = 1 << 30;

/// The number of checks whether an object was made, after a completion that has taken too long.
const LOOKS: u32 = 12;

/// Returns the length of a part that is not the last one. It is doubled repeatedly after many parts: with
/// first parts of 5 MiB, the minimum of S3, all parts can hold the maximum object of 5 TiB.
fn part_len(first: usize, number: usize) -> usize {
    let doublings = number.saturating_sub(FIRST_PARTS - MORE_PARTS) / MORE_PARTS;
    let longer = (0..doublings).fold(first as u64, |len, _| len.saturating_mul(2).min(MAX_LONGER));
    usize::try_from(longer).unwrap_or(usize::MAX).max(first)
}

/// An upload that was begun.
#[derive(Clone)]
struct Upload {
    key: String,
    path: Key,
    id: MultipartId,
    over: Over,
    mark: String,
}

/// An object that is uploaded in parts.
pub(super) struct Parts {
    /// `None` if it is over.
    upload: Option<Upload>,
    /// The parts that are uploaded.
    uploaded: Vec<PartId>,
    /// The part that is being uploaded.
    pending: Option<Pending<PartId>>,
    files: Arc<ObjectFiles>,
    shared: Arc<Shared>,
}

impl Parts {
    pub(super) fn begin(
        files: &Arc<ObjectFiles>,
        shared: &Arc<Shared>,
        key: &str,
        over: &Over,
    ) -> io::Result<Self> {
        let (asked, key, path, mark) = (Arc::clone(files), key.to_owned(), parse(key)?, random());
        let over = over.clone();
        let upload = shared.blocking.run(async move {
            asked.check(&key).await?;
            let options = PutMultipartOptions { attributes: attributes(&mark), ..Default::default() };
            let begun = asked.store().create_multipart_opts(&path, options).await;
            let id = begun.map_err(|error| io_error(&error))?;
            Ok(Upload { key, path, id, over, mark })
        })?;
        let (files, shared) = (Arc::clone(files), Arc::clone(shared));
        Ok(Self { upload: Some(upload), uploaded: Vec::new(), pending: None, files, shared })
    }

    /// Returns the length of the next part, if it is not the last one.
    pub(super) fn next_len(&self) -> usize {
        let number = self.uploaded.len() + usize::from(self.pending.is_some());
        part_len(self.files.settings.part_bytes, number)
    }

    /// Begins to upload a part, after the previous one is complete.
    pub(super) fn put(&mut self, bytes: Bytes) -> io::Result<()> {
        self.wait()?;
        let number = self.uploaded.len();
        if number >= MAX_PARTS {
            let message = "the file needs more than the 10,000 parts of an upload: make them longer";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        let Some(upload) = self.upload.clone() else { return Err(ended()) };
        let files = Arc::clone(&self.files);
        let part = async move { put_part(&files, &upload, number, bytes).await };
        self.pending = Some(self.shared.blocking.start(part));
        Ok(())
    }

    fn wait(&mut self) -> io::Result<()> {
        if let Some(pending) = self.pending.take() {
            self.uploaded.push(pending.wait()?);
        }
        Ok(())
    }

    /// Makes the object of the parts.
    pub(super) fn complete(mut self: Box<Self>) -> io::Result<()> {
        self.wait()?;
        let (files, shared) = (Arc::clone(&self.files), Arc::clone(&self.shared));
        let parts = mem::take(&mut self.uploaded);
        // The client repeats the request until the deadline.
        let answer = shared.blocking.run_long(3, async move {
            let completed = complete(&files, &mut self.upload, parts).await;
            Ok((completed, self))
        });
        // This thread waits until the parts are discarded; a thread of the runtime would not.
        let (completed, given_up) = answer?;
        drop(given_up);
        completed
    }
}

impl Drop for Parts {
    /// Discards the parts. If that fails, they stay in the store until a rule of the bucket removes them.
    fn drop(&mut self) {
        self.pending = None;
        if let Some(upload) = self.upload.take() {
            let files = Arc::clone(&self.files);
            let given_up = async move { files.store().abort_multipart(&upload.path, &upload.id).await };
            self.shared.blocking.leave(given_up);
        }
    }
}

/// Uploads a part. The client repeats requests that fail, but not one whose bytes came too slowly.
async fn put_part(files: &ObjectFiles, upload: &Upload, number: usize, bytes: Bytes) -> io::Result<PartId> {
    let mut backoff = files.settings.backoff();
    loop {
        let sent = files.store().put_part(&upload.path, &upload.id, number, bytes.clone().into()).await;
        match sent {
            Err(error) if is_too_slow(&error) && backoff.wait().await => {}
            sent => return sent.map_err(|error| fault(&error)),
        }
    }
}

/// Makes the object of all parts, if the existing one is the one to replace, or there is none. Consumes the
/// upload when it is over.
async fn complete(files: &ObjectFiles, upload: &mut Option<Upload>, parts: Vec<PartId>) -> io::Result<()> {
    let Some(Upload { key, path, id, over, mark }) = upload.clone() else { return Err(ended()) };
    files.check(&key).await?;
    // The store may ignore the condition of the completion.
    if let Some(put) = fate(files.find(&key).await?, &over, &mark) {
        put.made(&over)?;
    }
    let condition = over.header()?;
    let mut completed =
        with_condition(condition, files.store().complete_multipart(&path, &id, parts.clone())).await;
    if matches!(&completed, Err(error) if io_error(error).kind() == io::ErrorKind::Unsupported) {
        // The store supports conditions only for puts.
        completed = files.store().complete_multipart(&path, &id, parts).await;
    }
    if let Err(error) = completed {
        let look = || async { files.find(&key).await.ok().and_then(|seen| fate(seen, &over, &mark)) };
        // A completion without a response leaves no upload to complete, and an object that is not another's.
        let mut put = look().await;
        if io_error(&error).kind() == io::ErrorKind::TimedOut {
            // S3 may take minutes to make an object of many parts.
            for _ in 0..LOOKS {
                if put.is_some() {
                    break;
                }
                tokio::time::sleep(files.settings.max_backoff).await;
                put = look().await;
            }
        }
        // A throttled request may be the repetition of one that the store goes on with.
        if put.is_none() && (!is_refusal(&error) || is_throttled(&error)) {
            // It may still be made, unless the upload is given up before.
            let is_given_up = files.store().abort_multipart(&path, &id).await.is_ok();
            put = look().await;
            if is_given_up {
                *upload = None;
            }
        }
        match put {
            Some(put) => put.made(&over)?,
            None if is_conflict(&error) => return Err(changed()),
            None => return Err(fault(&error)),
        };
    }
    *upload = None;
    files.check_now(&key).await
}

/// Converts an error of the store for an upload to one of the system.
fn fault(error: &Error) -> io::Error {
    match error {
        // It is not the file that is missing.
        Error::NotFound { .. } => io::Error::other("the store has given up the upload of the file's parts"),
        error => io_error(error),
    }
}

#[cold]
fn ended() -> io::Error {
    io::Error::other("the upload of the file's parts is over")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_the_longest_object() {
        const MIB: usize = 1 << 20;
        for first in [5 * MIB, 16 * MIB, 2048 * MIB] {
            let lens = || (0..MAX_PARTS).map(|number| part_len(first, number));
            assert!(lens().map(|len| len as u64).sum::<u64>() >= 5 << 40, "{first}");
            // Some stores want parts of one length; few files are that long.
            assert!(lens().take(FIRST_PARTS).all(|len| len == first));
            assert!(lens().zip(lens().skip(1)).all(|(len, next)| next - len <= len));
            assert_eq!(lens().max(), Some(first.max(1024 * MIB)));
        }
        assert_eq!((part_len(10, 2000), part_len(10, 2499), part_len(10, 2500)), (20, 20, 40));
    }
}
