//! The end of a region's life, and what is wrong with it meanwhile (HBase: `HRegion.close`).

use super::background::Background;
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
        // There is no caller to return an error to. What is lost then, the docs of `Region` say.
        let _ = self.0.close();
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
    /// Why the last flush or compaction in the background failed; none once one has succeeded since.
    pub background_failure: Option<Error>,
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
    /// Flushes what is in memory, waits for flushes and compactions, and lets other processes open the region for writing.
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
        RegionHealth {
            poisoned: self.0.files.poison(),
            background_failure: self.0.background.as_ref().and_then(Background::failure),
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
        // A compaction or flush that is under way still changes files.
        let _compacting = unpoisoned(self.compacting.lock());
        let _flushing = unpoisoned(self.flushing.lock());
        unpoisoned(self.lock.lock()).take();
    }
}
