//! What an embedder hangs into reads, writes, flushes and compactions (read-path.md §18; HBase: `RegionObserver`,
//! `RegionCoprocessorHost`).
//!
//! | file | what it is |
//! |---|---|
//! | `context` | what a hook is told and may change |
//! | `host` | who is called, in which order |
//! | `write` | mutations with their hooks |
//!
//! Of HBase's hooks those have no counterpart that are of parts that are not there: the log (`preWALAppend`,
//! `postIncrementBeforeWAL` and their like), compactions in memory, readers of files and delete trackers that others supply;
//! nor the region operations as such (`postStartRegionOperation`), nor the deprecated
//! `prePrepareTimeStampForDeleteVersion`.

mod context;
mod host;
mod write;

pub use crate::store::CellPass;
pub use context::{MiniBatch, ObserverContext, ScanOptions};
pub(super) use host::Observers;
pub(super) use write::{Together, joined};

use super::CheckResult;
use crate::cell::RowBuf;
use crate::error::Result;
use crate::op::{Append, CheckAndMutate, Delete, Get, Increment, Put, Scan};
use std::fmt;
use std::path::{Path, PathBuf};

/// Is called before and after what a region does: registered by [`RegionOptions::observer`](super::RegionOptions::observer).
///
/// Each method is called as HBase calls the one of its name, and does nothing unless it is written. An error ends the
/// operation; one from behind it (`post_…`) is told to the caller, though the operation is done. Where it is said, a
/// hook may [`bypass`](ObserverContext::bypass) the region's own work.
///
/// Several observers are called by their priority, the lowest first, and then in the order of their registration. They
/// are called by whatever thread does the work, several at once.
#[allow(unused_variables, reason = "the names of arguments are for those who write the methods")]
pub trait RegionObserver: Send + Sync + fmt::Debug {
    /// Before the region is opened.
    fn pre_open(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    /// When it is open.
    fn post_open(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Before the last handle of the region goes. Errors are of no consequence.
    fn pre_close(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    /// When it is gone. Errors are of no consequence.
    fn post_close(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    // Reads

    /// Before a get. It can be bypassed: then `results` are the answer.
    fn pre_get_op(&self, context: &mut ObserverContext<'_>, get: &Get, results: &mut RowBuf) -> Result<()> {
        Ok(())
    }

    /// After a get: `results` may be changed.
    fn post_get_op(&self, context: &mut ObserverContext<'_>, get: &Get, results: &mut RowBuf) -> Result<()> {
        Ok(())
    }

    /// Before it is looked whether there is anything of a get, which is done by a get. It can be bypassed: then `exists` is
    /// the answer.
    fn pre_exists(&self, context: &mut ObserverContext<'_>, get: &Get, exists: &mut bool) -> Result<()> {
        Ok(())
    }

    /// After that: `exists` may be changed.
    fn post_exists(&self, context: &mut ObserverContext<'_>, get: &Get, exists: &mut bool) -> Result<()> {
        Ok(())
    }

    /// Before a scan is opened, which may be changed.
    fn pre_scanner_open(&self, context: &mut ObserverContext<'_>, scan: &mut Scan) -> Result<()> {
        Ok(())
    }

    /// When a scan is open.
    fn post_scanner_open(&self, context: &mut ObserverContext<'_>, scan: &Scan) -> Result<()> {
        Ok(())
    }

    /// Before a family is read, by a get or a scan: `options` may be changed.
    fn pre_store_scanner_open(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        options: &mut ScanOptions,
    ) -> Result<()> {
        Ok(())
    }

    /// Before the next row of a scan is read. It can be bypassed: then `results` are the row; with no cell, the end.
    fn pre_scanner_next(
        &self,
        context: &mut ObserverContext<'_>,
        scan: &Scan,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// After a row of a scan has been read, or its end met, for which `results` have no cell; they may be changed. A row of
    /// which no cell is left is passed over.
    fn post_scanner_next(
        &self,
        context: &mut ObserverContext<'_>,
        scan: &Scan,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// After a filter has dropped a row: whether the scan goes on, which is `has_more` so far.
    fn post_scanner_filter_row(
        &self,
        context: &mut ObserverContext<'_>,
        scan: &Scan,
        row: &[u8],
        has_more: bool,
    ) -> Result<bool> {
        Ok(has_more)
    }

    /// Before a scan is closed. Errors are of no consequence.
    fn pre_scanner_close(&self, context: &mut ObserverContext<'_>, scan: &Scan) -> Result<()> {
        Ok(())
    }

    /// When a scan is closed. Errors are of no consequence.
    fn post_scanner_close(&self, context: &mut ObserverContext<'_>, scan: &Scan) -> Result<()> {
        Ok(())
    }

    // Writes

    /// Before a put, which may be changed. It can be bypassed: then nothing is written, and its writer told of success.
    fn pre_put(&self, context: &mut ObserverContext<'_>, put: &mut Put) -> Result<()> {
        Ok(())
    }

    /// After a put, when it is seen by reads and its row no longer locked.
    fn post_put(&self, context: &mut ObserverContext<'_>, put: &Put) -> Result<()> {
        Ok(())
    }

    /// Before a delete, as [`pre_put`](Self::pre_put).
    fn pre_delete(&self, context: &mut ObserverContext<'_>, delete: &mut Delete) -> Result<()> {
        Ok(())
    }

    /// After a delete, as [`post_put`](Self::post_put).
    fn post_delete(&self, context: &mut ObserverContext<'_>, delete: &Delete) -> Result<()> {
        Ok(())
    }

    /// Before an increment, which may be changed. It can be bypassed: then `results` are the answer.
    fn pre_increment(
        &self,
        context: &mut ObserverContext<'_>,
        increment: &mut Increment,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// The same, when the row is locked and the increment can no longer be changed.
    fn pre_increment_after_row_lock(
        &self,
        context: &mut ObserverContext<'_>,
        increment: &Increment,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// After an increment: `results` may be changed.
    fn post_increment(
        &self,
        context: &mut ObserverContext<'_>,
        increment: &Increment,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// Before an append, as [`pre_increment`](Self::pre_increment).
    fn pre_append(
        &self,
        context: &mut ObserverContext<'_>,
        append: &mut Append,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// The same, when the row is locked and the append can no longer be changed.
    fn pre_append_after_row_lock(
        &self,
        context: &mut ObserverContext<'_>,
        append: &Append,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// After an append: `results` may be changed.
    fn post_append(
        &self,
        context: &mut ObserverContext<'_>,
        append: &Append,
        results: &mut RowBuf,
    ) -> Result<()> {
        Ok(())
    }

    /// Before mutations are written together, when their rows are locked: some may be kept from it, and others added.
    fn pre_batch_mutate(&self, context: &mut ObserverContext<'_>, batch: &mut MiniBatch<'_>) -> Result<()> {
        Ok(())
    }

    /// When they are written and seen by reads; their rows are still locked.
    fn post_batch_mutate(&self, context: &mut ObserverContext<'_>, batch: &MiniBatch<'_>) -> Result<()> {
        Ok(())
    }

    /// When all is done, after the hooks of each mutation, though it failed: `success` says whether it did.
    fn post_batch_mutate_indispensably(
        &self,
        context: &mut ObserverContext<'_>,
        batch: &MiniBatch<'_>,
        success: bool,
    ) -> Result<()> {
        Ok(())
    }

    /// Before a write under a condition. It can be bypassed: then `result` is the answer.
    fn pre_check_and_mutate(
        &self,
        context: &mut ObserverContext<'_>,
        check: &CheckAndMutate,
        result: &mut CheckResult,
    ) -> Result<()> {
        Ok(())
    }

    /// The same, when the row is locked and nothing is looked at yet.
    fn pre_check_and_mutate_after_row_lock(
        &self,
        context: &mut ObserverContext<'_>,
        check: &CheckAndMutate,
        result: &mut CheckResult,
    ) -> Result<()> {
        Ok(())
    }

    /// After a write under a condition: `result` may be changed.
    fn post_check_and_mutate(
        &self,
        context: &mut ObserverContext<'_>,
        check: &CheckAndMutate,
        result: &mut CheckResult,
    ) -> Result<()> {
        Ok(())
    }

    // Files

    /// Before the region is flushed.
    fn pre_flush(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Before the cells of a family are read to be flushed: `options` may be changed.
    fn pre_flush_scanner_open(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        options: &mut ScanOptions,
    ) -> Result<()> {
        Ok(())
    }

    /// Before a family is flushed: what is given back stands between its cells and the file (HBase: `preFlush` with a
    /// store).
    fn pre_flush_store(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
    ) -> Result<Option<Box<dyn CellPass>>> {
        Ok(None)
    }

    /// When a family is flushed to a file of this name; not if nothing was kept (HBase: `postFlush` with a store).
    fn post_flush_store(&self, context: &mut ObserverContext<'_>, family: &[u8], file: &str) -> Result<()> {
        Ok(())
    }

    /// When the region is flushed.
    fn post_flush(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Before files of a family are chosen, the oldest first: some may be taken away. It can be bypassed: then all that are
    /// left are compacted.
    fn pre_compact_selection(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        candidates: &mut Vec<String>,
    ) -> Result<()> {
        Ok(())
    }

    /// When files are chosen; none, if there is nothing to compact.
    fn post_compact_selection(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        selected: &[String],
    ) -> Result<()> {
        Ok(())
    }

    /// Before the files are read: `options` may be changed. `all_files` says that the store has no others, so that markers
    /// go.
    fn pre_compact_scanner_open(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        all_files: bool,
        options: &mut ScanOptions,
    ) -> Result<()> {
        Ok(())
    }

    /// Before files are compacted: what is given back stands between their cells and the new file.
    fn pre_compact(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        all_files: bool,
    ) -> Result<Option<Box<dyn CellPass>>> {
        Ok(None)
    }

    /// When files are compacted, for each new one.
    fn post_compact(&self, context: &mut ObserverContext<'_>, family: &[u8], file: &str) -> Result<()> {
        Ok(())
    }

    /// Before files, each with its family, are loaded.
    fn pre_bulk_load_hfile(
        &self,
        context: &mut ObserverContext<'_>,
        files: &[(Vec<u8>, PathBuf)],
    ) -> Result<()> {
        Ok(())
    }

    /// Before a loaded file is moved to its place.
    fn pre_commit_store_file(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        from: &Path,
        to: &Path,
    ) -> Result<()> {
        Ok(())
    }

    /// When a loaded file is in its place.
    fn post_commit_store_file(
        &self,
        context: &mut ObserverContext<'_>,
        family: &[u8],
        from: &Path,
        to: &Path,
    ) -> Result<()> {
        Ok(())
    }

    /// When files are loaded, and seen by reads.
    fn post_bulk_load_hfile(
        &self,
        context: &mut ObserverContext<'_>,
        files: &[(Vec<u8>, PathBuf)],
    ) -> Result<()> {
        Ok(())
    }
}
