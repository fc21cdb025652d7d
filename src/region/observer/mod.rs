//! Hooks into reads, writes, flushes and compactions (read-path.md §18; HBase: `RegionObserver`,
//! `RegionCoprocessorHost`).
//!
//! | file | contents |
//! |---|---|
//! | `context` | the arguments of hooks |
//! | `held` | the locks that a thread holds while it calls them |
//! | `host` | calls the observers, in order |
//! | `mutation` | chooses the hooks of a mutation |
//!
//! HBase's hooks for features that this crate does not have are left out: the log (`preWALAppend`,
//! `postIncrementBeforeWAL` and the like), compactions in memory, and file readers and delete trackers
//! supplied by observers. So are the hooks of region operations in general (`postStartRegionOperation`), and
//! the deprecated `prePrepareTimeStampForDeleteVersion`.

mod context;
mod held;
mod host;
mod mutation;

pub use crate::store::CompactionFilter;
pub use context::{MiniBatch, ObserverContext, ScanOptions};
pub(super) use held::is_held;
pub(crate) use held::{Held, HeldMark, TableId};
pub(super) use host::Observers;

use super::CheckResult;
use crate::cell::RowBuf;
use crate::error::Result;
use crate::op::{Append, CheckAndMutate, Delete, Get, Increment, Put, Scan};
use std::fmt;
use std::path::{Path, PathBuf};

/// Hooks called before and after a region's operations (HBase: `RegionObserver`, a coprocessor). Registered
/// by [`RegionOptions::observer`](super::RegionOptions::observer).
///
/// Each method is called as HBase calls the hook of the same name; the default implementation does nothing.
/// An error ends the operation. An error of a hook called after it (`post_…`) is returned to the caller,
/// although the operation is complete. Where documented, a hook may [`bypass`](ObserverContext::bypass) the
/// region's own work.
///
/// Several observers are called by priority, the lowest first, and then in the order of registration. They
/// are called on the thread that does the work, possibly on several threads at once.
///
/// # What a hook may call
///
/// A hook may use [its region](ObserverContext::region) and the [`Table`](crate::Table). Calls that could
/// wait for the thread of the hook fail with the kind [`InvalidArgument`](crate::ErrorKind::InvalidArgument):
///
/// | hooks | the region | the table |
/// |---|---|---|
/// | of reads | all | all |
/// | of writes | all | reads, writes, flushes |
/// | of writes, called with rows locked | reads | reads |
/// | of bulk loads | all | reads, writes, flushes; all if the region loads the files, and not the table |
/// | of flushes | reads and writes | reads |
/// | of compactions | reads, writes, flushes | reads |
/// | of opening | all | reads of regions that are open |
/// | of closing | all but closing it | reads |
///
/// Rows are locked in the hooks before and after batches, in those called `after_row_lock`, and in those
/// before the mutations of a conditional write. Splits, merges, compactions, snapshots and bulk loads of the
/// table, and closing it, are allowed only where the column has "all".
///
/// Calls that a hook delegates to other threads are not checked, nor are calls to other tables: hooks of two
/// tables must not each write to the other table.
#[allow(unused_variables, reason = "the argument names are for implementations")]
pub trait RegionObserver: Send + Sync + fmt::Debug {
    /// Called before the region is opened.
    fn pre_open(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Called after the region is opened.
    fn post_open(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Called before the region is closed. An error is returned by [`Region::close`](super::Region::close),
    /// and the region stays open.
    fn pre_close(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Called after the region is closed. An error is returned by [`Region::close`](super::Region::close).
    fn post_close(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    // Reads

    /// Called before a get. Can be bypassed: then `results` is returned.
    fn pre_get_op(&self, context: &mut ObserverContext<'_>, get: &Get, results: &mut RowBuf) -> Result<()> {
        Ok(())
    }

    /// Called after a get. May change `results`.
    fn post_get_op(&self, context: &mut ObserverContext<'_>, get: &Get, results: &mut RowBuf) -> Result<()> {
        Ok(())
    }

    /// Called before an existence check, which itself runs a get. Can be bypassed: then `exists` is returned.
    fn pre_exists(&self, context: &mut ObserverContext<'_>, get: &Get, exists: &mut bool) -> Result<()> {
        Ok(())
    }

    /// Called after an existence check. May change `exists`.
    fn post_exists(&self, context: &mut ObserverContext<'_>, get: &Get, exists: &mut bool) -> Result<()> {
        Ok(())
    }

    /// Called before a scan is opened. May change the scan.
    fn pre_scanner_open(&self, context: &mut ObserverContext<'_>, scan: &mut Scan) -> Result<()> {
        Ok(())
    }

    /// Called after a scan is opened.
    fn post_scanner_open(&self, context: &mut ObserverContext<'_>, scan: &Scan) -> Result<()> {
        Ok(())
    }

    /// Called before a family is read, by a get or a scan. May change `options`.
    fn pre_store_scanner_open(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        options: &mut ScanOptions,
    ) -> Result<()> {
        Ok(())
    }

    /// Called before the next row of a scan is read. Can be bypassed: then `results` is the row, and if empty
    /// ends the scan.
    fn pre_scanner_next(
        &self,
        context: &mut ObserverContext<'_>,
        scan: &Scan,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// Called after a row of a scan has been read, or, with empty `results`, at the end. May change
    /// `results`. A row left without cells is skipped, and does not count towards the
    /// [limit](Scan::limit) or the [size](Scan::max_result_size) of a call.
    fn post_scanner_next(
        &self,
        context: &mut ObserverContext<'_>,
        scan: &Scan,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// Called after a filter has dropped a row. Returns whether the scan continues; `has_more` is the answer
    /// so far.
    fn post_scanner_filter_row(
        &self,
        context: &mut ObserverContext<'_>,
        scan: &Scan,
        row: &[u8],
        has_more: bool,
    ) -> Result<bool> {
        Ok(has_more)
    }

    /// Called before a scan is closed. Errors and panics are ignored.
    fn pre_scanner_close(&self, context: &mut ObserverContext<'_>, scan: &Scan) -> Result<()> {
        Ok(())
    }

    /// Called after a scan is closed. Errors and panics are ignored.
    fn post_scanner_close(&self, context: &mut ObserverContext<'_>, scan: &Scan) -> Result<()> {
        Ok(())
    }

    // Writes

    /// Called before a put. May change the put. Can be bypassed: then nothing is written, and the caller gets
    /// success. The row of a conditional write is locked, and cannot be changed.
    fn pre_put(&self, context: &mut ObserverContext<'_>, put: &mut Put) -> Result<()> {
        Ok(())
    }

    /// Called after a put is visible to reads and its row is unlocked.
    fn post_put(&self, context: &mut ObserverContext<'_>, put: &Put) -> Result<()> {
        Ok(())
    }

    /// Called before a delete, as [`pre_put`](Self::pre_put).
    fn pre_delete(&self, context: &mut ObserverContext<'_>, delete: &mut Delete) -> Result<()> {
        Ok(())
    }

    /// Called after a delete, as [`post_put`](Self::post_put).
    fn post_delete(&self, context: &mut ObserverContext<'_>, delete: &Delete) -> Result<()> {
        Ok(())
    }

    /// Called before an increment. May change the increment. Can be bypassed: then `results` is returned.
    fn pre_increment(
        &self,
        context: &mut ObserverContext<'_>,
        increment: &mut Increment,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// Like [`pre_increment`](Self::pre_increment), but called with the row locked; the increment can no
    /// longer be changed.
    fn pre_increment_after_row_lock(
        &self,
        context: &mut ObserverContext<'_>,
        increment: &Increment,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// Called after an increment. May change `results`.
    fn post_increment(
        &self,
        context: &mut ObserverContext<'_>,
        increment: &Increment,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// Called before an append, as [`pre_increment`](Self::pre_increment).
    fn pre_append(
        &self,
        context: &mut ObserverContext<'_>,
        append: &mut Append,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// Like [`pre_append`](Self::pre_append), but called with the row locked; the append can no longer be
    /// changed.
    fn pre_append_after_row_lock(
        &self,
        context: &mut ObserverContext<'_>,
        append: &Append,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// Called after an append. May change `results`.
    fn post_append(
        &self,
        context: &mut ObserverContext<'_>,
        append: &Append,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// Called before mutations are written together, with their rows locked. May fail some of them, and add
    /// others.
    fn pre_batch_mutate(&self, context: &mut ObserverContext<'_>, batch: &mut MiniBatch<'_>) -> Result<()> {
        Ok(())
    }

    /// Called after the mutations are written and visible to reads, with their rows still locked.
    fn post_batch_mutate(&self, context: &mut ObserverContext<'_>, batch: &MiniBatch<'_>) -> Result<()> {
        Ok(())
    }

    /// Called last, after the hooks of each mutation, even if the batch failed. `success` is whether it
    /// succeeded.
    fn post_batch_mutate_indispensably(
        &self,
        context: &mut ObserverContext<'_>,
        batch: &MiniBatch<'_>,
        success: bool,
    ) -> Result<()> {
        Ok(())
    }

    /// Called before a conditional write. Can be bypassed: then `result` is returned.
    fn pre_check_and_mutate(
        &self,
        context: &mut ObserverContext<'_>,
        check: &CheckAndMutate,
        result: &mut CheckResult,
    ) -> Result<()> {
        Ok(())
    }

    /// Like [`pre_check_and_mutate`](Self::pre_check_and_mutate), but called with the row locked, before the
    /// condition is checked.
    fn pre_check_and_mutate_after_row_lock(
        &self,
        context: &mut ObserverContext<'_>,
        check: &CheckAndMutate,
        result: &mut CheckResult,
    ) -> Result<()> {
        Ok(())
    }

    /// Called after a conditional write. May change `result`.
    fn post_check_and_mutate(
        &self,
        context: &mut ObserverContext<'_>,
        check: &CheckAndMutate,
        result: &mut CheckResult,
    ) -> Result<()> {
        Ok(())
    }

    // Files

    /// Called before the region is flushed.
    fn pre_flush(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Called before the cells of a family are read for a flush: for [several files](Self::pre_flush_store),
    /// several times. May change `options`.
    fn pre_flush_scanner_open(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        options: &mut ScanOptions,
    ) -> Result<()> {
        Ok(())
    }

    /// Called before a family is flushed. May return a filter between the cells and the new file (HBase:
    /// `preFlush` with a store). If the file would exceed the [limits](crate::Limits), several are written,
    /// with the cells of different writes, each after a call of its own.
    fn pre_flush_store(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
    ) -> Result<Option<Box<dyn CompactionFilter>>> {
        Ok(None)
    }

    /// Called after a family is flushed to a file of this name, once for each new file. Not called if the
    /// family had no cells in memory (HBase: `postFlush` with a store).
    fn post_flush_store(&self, context: &mut ObserverContext<'_>, family: &[u8], file: &str) -> Result<()> {
        Ok(())
    }

    /// Called after the region is flushed.
    fn post_flush(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Called before the files of a family to compact are selected, with the oldest first. May remove
    /// candidates. Can be bypassed: then all remaining candidates are compacted. Files with others between
    /// them are not compacted into one: the remaining candidates are the longest run of neighbours, of
    /// equally long ones the newest (HBase: all that are not removed). After a bypass, a single file
    /// that remains of several is not compacted, unless it is a reference to a file of a parent.
    fn pre_compact_selection(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        candidates: &mut Vec<String>,
    ) -> Result<()> {
        Ok(())
    }

    /// Called after files are selected; `selected` is empty if there is nothing to compact.
    fn post_compact_selection(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        selected: &[String],
    ) -> Result<()> {
        Ok(())
    }

    /// Called before the files are read for a compaction, and again if the new file is [written
    /// again](Self::pre_compact). May change `options`. `all_files` is whether all files of the store are
    /// compacted, so that delete markers are dropped.
    fn pre_compact_scanner_open(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        all_files: bool,
        options: &mut ScanOptions,
    ) -> Result<()> {
        Ok(())
    }

    /// Called before files are compacted. May return a filter between the cells and the new file. If the file
    /// exceeds the [limits](crate::Limits), it is written again, after another call, without equal cells that
    /// no read returns.
    fn pre_compact(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        all_files: bool,
    ) -> Result<Option<Box<dyn CompactionFilter>>> {
        Ok(None)
    }

    /// Called after files are compacted, once for each new file.
    fn post_compact(&self, context: &mut ObserverContext<'_>, family: &[u8], file: &str) -> Result<()> {
        Ok(())
    }

    /// Called before files, each with its family, are bulk-loaded.
    fn pre_bulk_load_hfile(
        &self,
        context: &mut ObserverContext<'_>,
        files: &[(Vec<u8>, PathBuf)],
    ) -> Result<()> {
        Ok(())
    }

    /// Called before a loaded file is moved into the store.
    fn pre_commit_store_file(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        from: &Path,
        to: &Path,
    ) -> Result<()> {
        Ok(())
    }

    /// Called after a loaded file is moved into the store.
    fn post_commit_store_file(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        from: &Path,
        to: &Path,
    ) -> Result<()> {
        Ok(())
    }

    /// Called after files are loaded and visible to reads.
    fn post_bulk_load_hfile(
        &self,
        context: &mut ObserverContext<'_>,
        files: &[(Vec<u8>, PathBuf)],
    ) -> Result<()> {
        Ok(())
    }
}
