//! Closes a region, and reports its health while open (HBase: `HRegion.close`).

use super::background::{Pending, caught};
use super::log::RegionLog;
use super::observer::Held;
use super::write::OnDrop;
use super::{Region, RegionCore, ReplayReport};
use crate::error::{Error, Result};
use crate::io::FileLock;
use crate::layout::UnreadLogs;
use crate::schema::Family;
use crate::sync::unpoisoned;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Held by users of a region: closes the region when the last one is dropped. The crate's own threads hold
/// only the [`RegionCore`].
pub(super) struct Handle(pub(super) Arc<RegionCore>);

impl Drop for Handle {
    fn drop(&mut self) {
        if self.0.check_owner().is_err() {
            // The memory, log and files belong to the other process.
            return;
        }
        let unflushed = self.0.memstore_size();
        if self.0.check_open().is_ok() && unflushed > 0 {
            self.0.report_dropped(unflushed);
        }
        // No caller can receive an error, and another panic may be in progress. The docs of `Region` describe
        // what is lost then.
        if let Err(error) = caught(|| self.0.close(ClosedBy::Drop), &self.0) {
            self.0.report_lost(&error);
        }
        if self.0.held(&[Held::Flush, Held::Compaction, Held::Close]).is_some() {
            // In a hook: `stop` would wait for this thread. The directory is unlocked when the work in
            // progress ends.
            self.0.is_closed.store(true, Ordering::Release);
            return;
        }
        // The failure has already been reported.
        let _ = self.0.release();
    }
}

/// The cause of a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClosedBy {
    /// [`Region::close`]: an observer can refuse, and the region stays open.
    Caller,
    /// The drop of the last handle: an observer that refuses or panics must not cause the loss of cells in
    /// memory.
    Drop,
}

/// The problems of a region at one point in time. See [`Region::health`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RegionHealth {
    /// The reason that writes are no longer accepted: a change of the region's files failed and could not be
    /// undone, or writing the log failed. Set until the region is opened again.
    pub poisoned: Option<Error>,
    /// The error of the last background flush or compaction; `None` after a success. A flush is retried at
    /// increasing intervals, and so is a compaction after an [I/O error](crate::ErrorKind::Io); after another
    /// error, a compaction is retried [less often](crate::SchedulerBuilder::compaction_check). Until then,
    /// writes succeed while there is room in memory. A panic in the work, for example of an observer or the
    /// clock, counts as an I/O error.
    pub background_failure: Option<Error>,
    /// The time of the first of these failures, by the region's clock, in milliseconds since 1970; 0 if the
    /// clock panicked.
    pub background_failing_since: Option<i64>,
    /// The number of failures since then.
    pub background_failures: u32,
    /// Whether a flush is running, or waits for a thread or for a retry.
    pub flush_pending: bool,
    /// The number of stores with a compaction that is running, or waits for a thread, for a retry or for its
    /// [time after opening](crate::SchedulerBuilder::compact_after_open).
    pub compactions_pending: usize,
    /// Store files that were replaced and could not be archived or removed. They are not read. Archiving is
    /// retried before the next compaction and when the region is closed.
    pub unarchived_files: Vec<String>,
}

impl RegionHealth {
    /// Whether there are no problems.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.poisoned.is_none() && self.background_failure.is_none() && self.unarchived_files.is_empty()
    }
}

impl Region {
    /// Flushes the memory, waits for running flushes, cancels compactions, and releases the lock, so that
    /// other processes can open the region for writing.
    ///
    /// Later reads and writes fail with the kind [`Closed`](crate::ErrorKind::Closed), also through clones
    /// and views. A region that is open for reading only can be closed as well. Closing a closed region does
    /// nothing.
    ///
    /// # Errors
    ///
    /// If the memory cannot be flushed, or an [observer](crate::RegionObserver::pre_close) refuses: the
    /// region then stays open, nothing is lost, and closing can be retried. If the region is
    /// [poisoned](crate::ErrorKind::Poisoned), if replaced files could not be archived or the recovered edits
    /// kept for them removed, or if the lock could not be released, for example because an object store does
    /// not respond: the region is then closed. In a process forked from the one that opened the region for
    /// writing: nothing is done.
    pub fn close(&self) -> Result<()> {
        self.0.check_not_held(&[Held::Rows], "close")?;
        self.0.check_owner()?;
        self.0.close(ClosedBy::Caller)
    }

    /// Closes the region without flushing the memory, as if the process had been killed. Logged writes are
    /// replayed when the region is opened again; writes with
    /// [`SkipWal`](crate::Durability::SkipWal) are lost. Observers are not called.
    ///
    /// HBase: `HRegion.close(true)`.
    ///
    /// # Errors
    ///
    /// In a hook of an observer that the region calls in a flush, a compaction or a close, or with rows
    /// locked: it could wait for its own thread. In a process forked from the one that opened the region for
    /// writing. The region stays open in these cases. If the lock could not be released: the region is then
    /// closed.
    pub fn abort(&self) -> Result<()> {
        self.0.check_owner()?;
        self.0.check_not_held(&[Held::Rows, Held::Flush, Held::Compaction, Held::Close], "abort")?;
        let _closing = unpoisoned(self.0.closing.lock());
        self.0.refuse_writes();
        self.0.release()
    }

    /// Returns the current problems of the region.
    #[must_use]
    pub fn health(&self) -> RegionHealth {
        let Pending { failure, flush, compactions } = self.0.pending();
        RegionHealth {
            poisoned: self.0.files.poison().or_else(|| self.0.log.as_ref()?.failure()),
            background_failing_since: failure.as_ref().map(|failure| failure.since),
            background_failures: failure.as_ref().map_or(0, |failure| failure.count),
            background_failure: failure.map(|failure| failure.error),
            flush_pending: flush,
            compactions_pending: compactions,
            unarchived_files: self.0.unarchived_files(),
        }
    }

    /// Returns the problems found when the region was opened, which did not prevent opening it:
    ///
    /// - a missing table descriptor;
    /// - files that were ignored, such as those of a family with the store file tracker FILE and no list of
    ///   files, and files whose record of the files that they replace is not trusted;
    /// - recovered edits of families that the table does not have;
    /// - torn ends of recovered edits and logs;
    /// - damaged recovered edits whose writes are all in files. Files that a compaction has replaced may then
    ///   be read, if only these edits name them and the files were not archived.
    #[must_use]
    pub fn warnings(&self) -> &[Error] {
        &self.0.warnings
    }

    /// Checks, for a region that is open for reading, what opening it for writing requires of its settings.
    /// One that is open for writing has passed this check.
    ///
    /// # Errors
    ///
    /// If settings of the table are invalid, also such as only writes need, or new files need a key or a ZSTD
    /// dictionary that was not given. Of kind [`Unsupported`](crate::ErrorKind::Unsupported), if values are
    /// in MOB files, or files in a storage without renames are not tracked by lists. That the settings are
    /// unknown, without a descriptor, is one of the [`warnings`](Self::warnings) instead.
    pub fn check_write_settings(&self) -> Result<()> {
        self.0.dir.refuse_mob()?;
        let families: Vec<Family> = self.families().cloned().collect();
        self.0.dir.check_trackers(&families)?;
        self.0.check_settings()
    }

    /// Returns the logs of servers that may have edits of the region which reads do not return. See
    /// [`Table::unread_logs`](crate::Table::unread_logs).
    #[must_use]
    pub fn unread_logs(&self) -> Option<UnreadLogs> {
        if self.0.is_writable { None } else { self.0.dir.unread_logs() }
    }

    /// Returns a report of the edits replayed when the region was opened, from recovered edits and the [logs
    /// given](crate::RegionOptions::replay_logs).
    #[must_use]
    pub fn replayed(&self) -> ReplayReport {
        self.0.replayed.get().cloned().unwrap_or_default()
    }
}

impl RegionCore {
    /// Fails if settings are invalid, also such as only writes need, or new files need what was not given.
    pub(super) fn check_settings(&self) -> Result<()> {
        if let Some(invalid) = &self.invalid_settings {
            return Err(invalid.clone());
        }
        let state = self.states.load();
        let mut stores = self.stores.iter().zip(&state.stores);
        stores.try_for_each(|(store, state)| store.check_keys(&state.files))
    }

    /// Fails once the region is closed.
    #[inline]
    pub(super) fn check_open(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(Error::closed()) } else { Ok(()) }
    }

    /// Fails once the files must no longer change.
    #[inline]
    pub(super) fn check_changes(&self) -> Result<()> {
        if self.is_retired.load(Ordering::Acquire) { Err(Error::closed()) } else { self.check_open() }
    }

    fn close(&self, by: ClosedBy) -> Result<()> {
        self.check_not_held(&[Held::Flush, Held::Compaction, Held::Close], "close")?;
        let _closing = unpoisoned(self.closing.lock());
        let _held = self.mark_held(Held::Close);
        if self.is_closed.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.is_retired.load(Ordering::Acquire) {
            return self.release();
        }
        let observe = || self.observe(|observer, context| observer.pre_close(context));
        let observed = if by == ClosedBy::Drop { caught(observe, self) } else { observe() };
        if by == ClosedBy::Caller {
            observed.clone()?;
        }
        let flushed = self.flush_for_close(&self.is_closed);
        if flushed.is_err() && self.files.poison().is_none() {
            return flushed;
        }
        let archive = || self.archive_replaced(None).and_then(|()| self.retire_kept_edits());
        let archived = if self.is_writable { archive() } else { Ok(()) };
        self.refuse_writes();
        let released = match (self.release(), by) {
            // The failure has already been reported, and nothing is lost by it.
            (_, ClosedBy::Drop) => Ok(()),
            (released, ClosedBy::Caller) => released,
        };
        let told = self.observe(|observer, context| observer.post_close(context));
        flushed.and(archived).and(released).and(observed).and(told)
    }

    /// Flushes until nothing is in memory, and then refuses writes and sets `done`.
    pub(super) fn flush_for_close(&self, done: &AtomicBool) -> Result<()> {
        if !self.is_writable {
            done.store(true, Ordering::Release);
            return Ok(());
        }
        // Flushes most of the memory while writes are still accepted.
        if self.memstore_size() > 0 {
            self.flush_all()?;
        }
        self.refuse_writes();
        // Runs even if an observer or the clock panics.
        let mut accept = OnDrop(Some(|| self.is_closing.store(false, Ordering::Release)));
        let has_log = self.log.as_deref().is_some_and(RegionLog::has_files);
        let flushed = if self.memstore_size() > 0 || has_log { self.flush_all() } else { self.files.check() };
        if flushed.is_err() && self.files.poison().is_none() {
            return flushed;
        }
        accept.0 = None;
        done.store(true, Ordering::Release);
        flushed
    }

    /// Waits for writes in progress, and refuses later ones.
    fn refuse_writes(&self) {
        let _updates = self.updates.exclusive();
        self.is_closing.store(true, Ordering::Release);
    }

    /// Releases the lock, so that another process can open the region for writing. Writes must be refused
    /// before. If this fails, the region is closed nevertheless.
    fn release(&self) -> Result<()> {
        self.is_closed.store(true, Ordering::Release);
        self.stop();
        let lock = unpoisoned(self.lock.lock()).take();
        let released = lock.map_or(Ok(()), FileLock::release);
        let released = released.map_err(|error| Error::io("unlock", self.dir.path(), error));
        released.inspect_err(|error| self.report_locked(error))
    }

    /// Stops flushes and compactions, and waits for changes of files.
    pub(super) fn stop(&self) {
        if let Some(background) = &self.background {
            background.stop();
        }
        // A flush, or the rest of a cancelled compaction, may still be changing files.
        let _compacting: Vec<_> = self.compacting.iter().map(|store| unpoisoned(store.lock())).collect();
        let _flushing = unpoisoned(self.flushing.lock());
        let _committing = self.files.wait();
        if let Some(log) = &self.log {
            log.leave_file();
        }
    }
}
