//! The arguments of hooks, including those that a hook may change.

use crate::clock::whole_millis;
use crate::error::{Error, Result};
use crate::op::Mutation;
use crate::region::Region;
use crate::schema::{KeepDeletedCells, RegionInfo};
use crate::store::matcher::ScanInfo;
use std::collections::HashSet;
use std::time::Duration;

/// The context of a hook call (HBase: `ObserverContext`).
#[derive(Debug)]
pub struct ObserverContext<'c> {
    pub(super) info: &'c RegionInfo,
    pub(super) region: Option<Region>,
    pub(super) bypass: bool,
}

impl ObserverContext<'_> {
    /// Returns the region's table and key range.
    #[must_use]
    pub fn info(&self) -> &RegionInfo {
        self.info
    }

    /// Returns the region; `None` before it is opened, and while it is closed because its last handle was
    /// dropped.
    ///
    /// The region can be read at any time. Writes to it fail in hooks that are called while rows are locked:
    /// before and after batches, `after_row_lock`, and before the mutations of a conditional write. So do
    /// flushes and compactions in hooks of flushes, compactions in hooks of compactions, and closing the
    /// region in hooks of all these, and of a close. [`RegionObserver`](super::RegionObserver) lists the
    /// operations allowed on its table.
    #[must_use]
    pub fn region(&self) -> Option<&Region> {
        self.region.as_ref()
    }

    /// Skips the region's own work and the remaining observers. The operation fails if the hook is not
    /// documented as bypassable.
    pub fn bypass(&mut self) {
        self.bypass = true;
    }
}

/// Retention settings of one family for a scan, a flush or a compaction (HBase: `ScanOptions`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanOptions {
    /// The maximum number of versions of a column.
    pub max_versions: u32,
    /// The number of versions that do not expire.
    pub min_versions: u32,
    /// The time to live of other versions, in whole milliseconds; `None` if they never expire.
    pub ttl: Option<Duration>,
    /// Whether cells hidden by delete markers are kept.
    pub keep_deleted_cells: KeepDeletedCells,
    /// How long major compactions keep every delete marker, in whole milliseconds; zero for not at all.
    pub time_to_purge_deletes: Duration,
}

impl ScanOptions {
    pub(super) fn new(info: &ScanInfo, ttl: Option<i64>) -> Self {
        Self {
            max_versions: info.max_versions,
            min_versions: info.min_versions,
            ttl: ttl.map(duration),
            keep_deleted_cells: info.keep_deleted_cells,
            time_to_purge_deletes: duration(info.time_to_purge_deletes),
        }
    }

    pub(super) fn apply(&self, info: &mut ScanInfo) {
        info.max_versions = self.max_versions;
        info.min_versions = self.min_versions;
        info.oldest_unexpired_ts =
            self.ttl.map_or(i64::MIN, |ttl| info.now.saturating_sub(whole_millis(ttl)));
        info.keep_deleted_cells = self.keep_deleted_cells;
        info.time_to_purge_deletes = whole_millis(self.time_to_purge_deletes);
    }
}

/// Returns a duration of milliseconds, which are never negative.
fn duration(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or(0))
}

/// Mutations that are written together (HBase: `MiniBatchOperationInProgress`).
#[derive(Debug)]
pub struct MiniBatch<'b> {
    mutations: Vec<&'b Mutation>,
    /// The rows of the mutations, collected when a mutation is added.
    rows: HashSet<&'b [u8]>,
    pub(in crate::region) failures: Vec<Option<Error>>,
    pub(in crate::region) added: Vec<Mutation>,
}

impl<'b> MiniBatch<'b> {
    pub(in crate::region) fn new(mutations: Vec<&'b Mutation>) -> Self {
        let failures = vec![None; mutations.len()];
        Self { mutations, rows: HashSet::new(), failures, added: Vec::new() }
    }

    /// Returns the mutations, without those that have already failed.
    #[must_use]
    pub fn mutations(&self) -> &[&'b Mutation] {
        &self.mutations
    }

    /// Prevents the `i`-th mutation from being written; its caller gets `reason` as the error. If the
    /// mutations are atomic, none of them is written.
    ///
    /// # Errors
    ///
    /// If the batch has no `i`-th mutation.
    pub fn fail(&mut self, i: usize, reason: Error) -> Result<()> {
        let failure = self.failures.get_mut(i);
        *failure.ok_or_else(|| Error::invalid_argument(format!("the batch has no mutation {i}")))? =
            Some(reason);
        Ok(())
    }

    /// Adds a put or delete to write along with the others. It must be of a row of the batch, because other
    /// rows are not locked.
    ///
    /// # Errors
    ///
    /// If the mutation is of another row, or is not a put or delete.
    pub fn add(&mut self, mutation: impl Into<Mutation>) -> Result<()> {
        let mutation = mutation.into();
        if self.rows.is_empty() {
            self.rows.extend(self.mutations.iter().map(|other| other.row()));
        }
        if !self.rows.contains(mutation.row()) {
            return Err(Error::invalid_argument(
                "an observer added a mutation of a row that is not in the batch",
            ));
        }
        if !matches!(mutation, Mutation::Put(_) | Mutation::Delete(_)) {
            return Err(Error::invalid_argument("an observer added a mutation that is not a put or delete"));
        }
        self.added.push(mutation);
        Ok(())
    }
}
