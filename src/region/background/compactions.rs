//! Requests and runs background compactions (HBase: `CompactSplit`).

use super::{Background, Status, Task, caught};
use crate::error::{Error, ErrorKind, Result};
use crate::region::compact::Outcome;
use crate::region::scheduler::{Work, WorkKind, after};
use crate::region::{RegionCore, events};
use crate::store::StoreFile;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a compaction waits before it retries, if a caller is compacting the store.
const BUSY_CHECK: Duration = Duration::from_secs(1);

impl RegionCore {
    /// Requests compactions of the stores with references to a parent's files, which keep the parent from
    /// being removed, and of those with enough files for a minor compaction (HBase:
    /// `HRegionServer.postOpenDeployTasks`). They begin after a delay, so that a process that opens a region
    /// briefly begins none.
    pub(in crate::region) fn request_compactions_after_open(&self) {
        let Some(background) = &self.background else { return };
        if background.scheduler.is_inline() {
            return;
        }
        let due = after(background.scheduler.wait_after_open());
        let state = Arc::clone(&self.states.load());
        for (store, state) in state.stores.iter().enumerate() {
            let is_full = state.files.len() >= self.stores[store].compaction.least_files();
            if is_full || state.files.iter().any(StoreFile::is_reference) {
                self.request_compaction_at(background, store, Some(due));
            }
        }
    }

    /// Requests a compaction of a store, if its policy selects any files.
    pub(super) fn request_compaction(&self, background: &Background, store: usize) {
        self.request_compaction_at(background, store, None);
    }

    /// Like [`request_compaction`](Self::request_compaction), but not before it is due.
    fn request_compaction_at(&self, background: &Background, store: usize, due: Option<Instant>) {
        let next = self.next_compaction(background, store);
        let now = if next.is_err() { self.time() } else { 0 };
        let mut tasks = background.tasks();
        let is_closed = tasks.closed;
        let task = &mut tasks.compactions[store];
        let waits = task.status == Status::Queued && task.failure.is_none();
        let (kind, priority) = match next {
            Ok(Some(_)) if waits && due.is_none() => {
                drop(tasks);
                // It may not be due yet since the region was opened.
                if let Some(region) = background.region.get() {
                    background.scheduler.expedite(region, Work::Compact(store));
                }
                return;
            }
            // A pending compaction reports its own outcome.
            _ if is_closed || task.status != Status::Idle => return,
            Ok(Some(next)) => next,
            Ok(None) => {
                task.failure = None;
                return;
            }
            Err(error) => {
                task.fail(error, now);
                return;
            }
        };
        tasks.compactions[store].status = Status::Queued;
        if background.scheduler.is_inline() {
            drop(tasks);
            self.run_compaction(background, store, kind);
            return;
        }
        if let Err(error) = background.submit(Work::Compact(store), kind, priority, due) {
            drop(tasks);
            self.retry_request(background, store, error);
        }
    }

    /// Requests a compaction that got no thread again later, on a thread of flushes. If there is none either,
    /// it is requested again after the next flush.
    fn retry_request(&self, background: &Background, store: usize, error: Error) {
        let now = self.time();
        let mut tasks = background.tasks();
        let is_closed = tasks.closed;
        let task = &mut tasks.compactions[store];
        let failures = task.fail(error, now);
        let due = background.scheduler.retry_at(failures);
        let retries =
            !is_closed && background.submit(Work::Compact(store), WorkKind::Flush, 0, Some(due)).is_ok();
        if !retries {
            task.status = Status::Idle;
        }
        drop(tasks);
        if retries {
            // Without the lock: a subscriber may ask for the region's health.
            self.report_retry(events::Task::Compaction, failures);
        }
    }

    /// Returns the kind and priority of the compaction that the policy of a store would select.
    ///
    /// # Errors
    ///
    /// If the clock panics.
    fn next_compaction(&self, background: &Background, store: usize) -> Result<Option<(WorkKind, i64)>> {
        if !background.compacts {
            return Ok(None);
        }
        let Some(bytes) = caught(|| Ok(self.compaction_size(store)), self)? else { return Ok(None) };
        let files = self.states.load().stores[store].files.len();
        let room = self.stores[store].compaction.blocking_files.cast_signed().saturating_sub_unsigned(files);
        Ok(Some((background.scheduler.compaction_kind(bytes), i64::try_from(room).unwrap_or(i64::MAX))))
    }

    pub(super) fn run_compaction(&self, background: &Background, store: usize, kind: WorkKind) {
        if kind == WorkKind::Flush {
            // See `retry_request`.
            background.tasks().compactions[store].status = Status::Idle;
            return self.request_compaction(background, store);
        }
        let next = self.next_compaction(background, store);
        {
            let mut tasks = background.tasks();
            let is_closed = tasks.closed;
            let task = &mut tasks.compactions[store];
            if is_closed || matches!(next, Ok(None)) {
                *task = Task::default();
                return;
            }
            // The files may have changed since the job was queued.
            if let Ok(Some((WorkKind::Large, priority))) = next
                && kind == WorkKind::Small
                && !background.scheduler.is_inline()
            {
                task.status = Status::Queued;
                if background.submit(Work::Compact(store), WorkKind::Large, priority, None).is_ok() {
                    return;
                }
            }
            task.status = Status::Running;
        }
        let result =
            next.and_then(|_| caught(|| self.compact_in_background(store, &background.scheduler), self));
        self.end_compaction(background, store, kind, result);
    }

    fn end_compaction(&self, background: &Background, store: usize, kind: WorkKind, result: Result<Outcome>) {
        // Files to compact may remain, or new ones may have been added.
        let (result, next) = match result {
            Ok(Outcome::Compacted) => match self.next_compaction(background, store) {
                Ok(next) => (Ok(Outcome::Compacted), next),
                Err(error) => (Err(error), None),
            },
            result => (result, None),
        };
        let now = if result.is_err() { self.time() } else { 0 };
        let is_inline = background.scheduler.is_inline();
        let mut tasks = background.tasks();
        let is_closed = tasks.closed;
        let task = &mut tasks.compactions[store];
        task.status = Status::Idle;
        let mut retried = None;
        let (next_kind, priority, due) = match (result, next) {
            (Ok(Outcome::Compacted), Some((next_kind, priority))) => (next_kind, priority, None),
            (Ok(Outcome::Busy), _) => (kind, 0, Some(after(BUSY_CHECK))),
            (Ok(_), _) => {
                task.failure = None;
                return;
            }
            (Err(error), _) if error.kind() == ErrorKind::Closed => return,
            (Err(error), _) => {
                let error_kind = error.kind();
                let failures = task.fail(error, now);
                if error_kind == ErrorKind::Poisoned || is_inline {
                    return;
                }
                retried = Some(failures);
                // An I/O error may be transient.
                let due = match error_kind {
                    ErrorKind::Io => background.scheduler.retry_at(failures),
                    _ => after(background.scheduler.compaction_check()),
                };
                (kind, 0, Some(due))
            }
        };
        let is_over = is_closed || is_inline && due.is_some();
        if !is_over {
            task.status = Status::Queued;
            if is_inline {
                drop(tasks);
                return self.run_compaction(background, store, next_kind);
            }
            if background.submit(Work::Compact(store), next_kind, priority, due).is_err()
                // This thread takes it.
                && background.submit(Work::Compact(store), kind, priority, due).is_err()
            {
                task.status = Status::Idle;
            }
        }
        drop(tasks);
        // Without the lock: a subscriber may ask for the region's health.
        if let Some(failures) = retried {
            self.report_retry(events::Task::Compaction, failures);
        }
    }
}
