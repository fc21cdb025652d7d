//! What an observer is told, and what it may change.

use crate::error::{Error, Result};
use crate::op::Mutation;
use crate::region::Region;
use crate::schema::{KeepDeletedCells, RegionInfo};
use crate::store::matcher::ScanInfo;

/// Where a hook is called, and what it says of it (HBase: `ObserverContext`).
#[derive(Debug)]
pub struct ObserverContext<'c> {
    pub(super) info: &'c RegionInfo,
    pub(super) region: Option<Region>,
    pub(super) bypass: bool,
}

impl ObserverContext<'_> {
    /// What the region is.
    #[must_use]
    pub fn info(&self) -> &RegionInfo {
        self.info
    }

    /// The region; none while it is being opened or closed.
    ///
    /// It can be read at any time. Hooks that are called while rows are locked (before and behind batches, and `after_row_lock`)
    /// must not write to it, nor those of flushes and compactions flush or compact: they would wait for themselves.
    #[must_use]
    pub fn region(&self) -> Option<&Region> {
        self.region.as_ref()
    }

    /// Makes the region leave out its own work, and the observers behind this one. Where a hook does not say that it can be
    /// bypassed, that is an error of the operation.
    pub fn bypass(&mut self) {
        self.bypass = true;
    }
}

/// Of what a scan, a flush or a compaction takes account, for one family (HBase: `ScanOptions`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanOptions {
    /// How many versions of a column there are.
    pub max_versions: u32,
    /// How many of them do not expire.
    pub min_versions: u32,
    /// After how many milliseconds others do.
    pub ttl: Option<i64>,
    /// Whether what markers hide is kept.
    pub keep_deleted_cells: KeepDeletedCells,
    /// For how many milliseconds major compactions keep every marker; 0 for none.
    pub time_to_purge_deletes: i64,
}

impl ScanOptions {
    pub(super) fn new(info: &ScanInfo, ttl: Option<i64>) -> Self {
        Self {
            max_versions: info.max_versions,
            min_versions: info.min_versions,
            ttl,
            keep_deleted_cells: info.keep_deleted_cells,
            time_to_purge_deletes: info.time_to_purge_deletes,
        }
    }

    pub(super) fn apply(&self, info: &mut ScanInfo) {
        info.max_versions = self.max_versions;
        info.min_versions = self.min_versions;
        info.oldest_unexpired_ts = self.ttl.map_or(i64::MIN, |ttl| info.now.saturating_sub(ttl));
        info.keep_deleted_cells = self.keep_deleted_cells;
        info.time_to_purge_deletes = self.time_to_purge_deletes;
    }
}

/// Mutations that are written together (HBase: `MiniBatchOperationInProgress`).
#[derive(Debug)]
pub struct MiniBatch<'b> {
    mutations: Vec<&'b Mutation>,
    pub(super) failures: Vec<Option<Error>>,
    pub(super) added: Vec<Mutation>,
}

impl<'b> MiniBatch<'b> {
    pub(super) fn new(mutations: Vec<&'b Mutation>) -> Self {
        let failures = vec![None; mutations.len()];
        Self { mutations, failures, added: Vec::new() }
    }

    /// The mutations, those that have failed already left out.
    #[must_use]
    pub fn mutations(&self) -> &[&'b Mutation] {
        &self.mutations
    }

    /// Keeps the `i`-th mutation from being written, for a reason that its writer is told; if they must be written all or
    /// none, all of them.
    ///
    /// # Errors
    ///
    /// If there is no such mutation.
    pub fn fail(&mut self, i: usize, reason: Error) -> Result<()> {
        let failure = self.failures.get_mut(i);
        *failure.ok_or_else(|| Error::invalid_argument(format!("the batch has no mutation {i}")))? =
            Some(reason);
        Ok(())
    }

    /// Writes a put or delete along with the others: of a row that one of them is of, since others are not locked.
    ///
    /// # Errors
    ///
    /// If it is of another row, or of another kind.
    pub fn add(&mut self, mutation: impl Into<Mutation>) -> Result<()> {
        let mutation = mutation.into();
        if self.mutations.iter().all(|other| other.row() != mutation.row()) {
            return Err(Error::invalid_argument(
                "an observer adds a mutation of a row that is not in the batch",
            ));
        }
        if !matches!(mutation, Mutation::Put(_) | Mutation::Delete(_)) {
            return Err(Error::invalid_argument("an observer adds a mutation that is no put or delete"));
        }
        self.added.push(mutation);
        Ok(())
    }
}
