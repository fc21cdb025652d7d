//! The end of a region's life, and what is wrong with it meanwhile (HBase: `HRegion.close`).

use super::background::Pending;
use super::{Inner, Region};
use crate::error::{Error, Result};
use crate::sync::unpoisoned;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What users of a region hold: it closes the region when the last one is dropped. Threads of our own hold the
/// [`Inner`] alone.
pub(super) struct Handle(pub(super) Arc<Inner>);

impl Drop for Handle {
    fn drop(&mut self) {
        let unflushed = self.0.memstore_size();
        if self.0.check_open().is_ok() && unflushed > 0 {
            self.0.tell_dropped(unflushed);
        }
        // There is no caller to return an error to. What is lost then, the docs of `Region` say.
        if let Err(error) = self.0.close() {
            self.0.tell_lost(&error);
        }
        self.0.release();
    }
}

/// What is wrong with a region, as of now. See [`Region::health`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RegionHealth {
    /// Why no writes are taken any more: a change of the region's files failed and could not be undone. It stays until the region
    /// is opened again.
    pub poisoned: Option<Error>,
    /// Why the last flush or compaction in the background failed; none once one has succeeded since. If the
    /// [system](crate::ErrorKind::Io) failed it is tried again, at ever longer intervals; writes succeed meanwhile while there
    /// is room in memory.
    pub background_failure: Option<Error>,
    /// When it failed first, by the region's clock in milliseconds since 1970.
    pub background_failing_since: Option<i64>,
    /// How often it has failed since.
    pub background_failures: u32,
    /// Whether a flush is under way, or waits for a thread or to be tried again.
    pub flush_pending: bool,
    /// How many stores have a compaction under way, or waiting likewise.
    pub compactions_pending: usize,
    /// Store files that were replaced and could not be archived or removed. No read sees them. It is tried again before
    /// the next compaction and when the region is closed.
    pub unarchived_files: Vec<String>,
}

impl RegionHealth {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.poisoned.is_none() && self.background_failure.is_none() && self.unarchived_files.is_empty()
    }
}

impl Region {
    /// Flushes what is in memory, waits for flushes, cancels compactions, and lets other processes open the region for writing.
    ///
    /// Every read and write fails with the kind [`Closed`](crate::ErrorKind::Closed) from then on, through clones and views too. A
    /// region that was opened for reading only closes as well. Closing a closed region does nothing.
    ///
    /// # Errors
    ///
    /// If what is in memory cannot be flushed: then the region stays open, nothing is lost, and it can be closed again. If
    /// the region is [poisoned](crate::ErrorKind::Poisoned), or replaced files could not be archived: then it is closed.
    pub fn close(&self) -> Result<()> {
        self.0.close()
    }

    /// What is wrong with the region, as of now.
    #[must_use]
    pub fn health(&self) -> RegionHealth {
        let Pending { failure, flush, compactions } = self.0.pending();
        RegionHealth {
            poisoned: self.0.files.poison(),
            background_failing_since: failure.as_ref().map(|failure| failure.since),
            background_failures: failure.as_ref().map_or(0, |failure| failure.count),
            background_failure: failure.map(|failure| failure.error),
            flush_pending: flush,
            compactions_pending: compactions,
            unarchived_files: self.0.unarchived_files(),
        }
    }

    /// What was found when the region was opened and is no error: a missing table descriptor, files that were passed over,
    /// files that say they replace others and are not believed.
    #[must_use]
    pub fn warnings(&self) -> &[Error] {
        &self.0.warnings
    }
}

impl Inner {
    /// Fails once the region is closed.
    #[inline]
    pub(super) fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(Error::closed()) } else { Ok(()) }
    }

    pub(super) fn close(&self) -> Result<()> {
        let _closing = unpoisoned(self.closing.lock());
        if self.is_closed.load(Ordering::Acquire) {
            return Ok(());
        }
        self.observe(|observer, context| observer.pre_close(context))?;
        let flushed = self.flush_for_close();
        if flushed.is_err() && self.files.poison().is_none() {
            return flushed;
        }
        let archived = if self.is_writable { self.archive_replaced(None) } else { Ok(()) };
        self.release();
        self.observe(|observer, context| observer.post_close(context))?;
        flushed.and(archived)
    }

    /// Flushes until nothing is in memory, and takes no writes from then on.
    fn flush_for_close(&self) -> Result<()> {
        if !self.is_writable {
            self.is_closed.store(true, Ordering::Release);
            return Ok(());
        }
        // Most of it while others still write.
        if self.memstore_size() > 0 {
            self.flush_all()?;
        }
        {
            let _updates = unpoisoned(self.updates.write());
            self.is_closing.store(true, Ordering::Release);
        }
        let flushed = if self.memstore_size() > 0 { self.flush_all().map(drop) } else { self.files.check() };
        if flushed.is_err() && self.files.poison().is_none() {
            self.is_closing.store(false, Ordering::Release);
            return flushed;
        }
        self.is_closed.store(true, Ordering::Release);
        flushed
    }

    /// Gives up the lock, so that another process can write.
    fn release(&self) {
        self.is_closed.store(true, Ordering::Release);
        if let Some(background) = &self.background {
            background.stop();
        }
        // A flush, or what is left of a compaction that was cancelled, still changes files.
        let _compacting: Vec<_> = self.compacting.iter().map(|store| unpoisoned(store.lock())).collect();
        let _flushing = unpoisoned(self.flushing.lock());
        let _committing = self.files.wait();
        unpoisoned(self.lock.lock()).take();
    }
}
