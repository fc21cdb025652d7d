//! Plans compactions: finds the files that a compaction would merge, and the cells that it would keep and
//! drop. Nothing is written or locked.

use super::{Chosen, Compaction};
use crate::error::{Error, Result};
use crate::region::{CellReason, ExplainedCell, Region, RegionCore};
use crate::store::{StoreFile, have_tags};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The effects that a compaction of a family would have (HBase: `CompactionRequestImpl`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionPlan {
    /// The name of the family.
    pub family: Vec<u8>,
    /// The files it would merge, oldest first; empty if there is nothing to do.
    pub files: Vec<PathBuf>,
    /// The files it would drop without reading them, because all their cells have expired.
    pub expired_files: Vec<PathBuf>,
    /// Whether no other files are left, so that delete markers are dropped as well.
    pub all_files: bool,
    /// The bytes of these files.
    pub bytes_before: u64,
    /// An estimate of the bytes of the new file, in proportion to the cells kept.
    pub bytes_after: u64,
    /// The number of cells in these files.
    pub cells_before: u64,
    /// The number of cells that it would keep.
    pub cells_after: u64,
    /// The number of cells that it would drop, by reason.
    pub dropped: BTreeMap<CellReason, u64>,
}

impl Region {
    /// Returns what [`compact`](Self::compact) would do now, for each family. Passes every cell of the files
    /// that it would compact to `take`, with the reason to drop it, or [`Returned`](CellReason::Returned) if
    /// it is kept. `take` can break; the counts of the family are then those of the cells passed so far.
    ///
    /// Reads the files, changes nothing, and excludes no reader or writer. The region may be open for reading
    /// only. Cells in memory are not part of a compaction.
    ///
    /// # Errors
    ///
    /// If the region is closed, has observers, which may change what is kept, or a file is damaged or
    /// unreadable; if settings of the table are invalid, also such as only writes need, or new files need a
    /// key or a ZSTD dictionary that was not given.
    pub fn plan_compaction(
        &self,
        compaction: Compaction,
        mut take: impl FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<CompactionPlan>> {
        self.0.check_open()?;
        if !self.0.observers.is_empty() {
            let message =
                "compactions of a region with observers cannot be planned: they may change what is kept";
            return Err(Error::not_supported(message));
        }
        self.0.check_settings()?;
        let now = self.0.clock.now();
        (0..self.0.stores.len()).map(|store| self.0.plan(store, compaction, now, &mut take)).collect()
    }
}

impl RegionCore {
    fn plan(
        &self,
        at: usize,
        compaction: Compaction,
        now: i64,
        take: &mut dyn FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
    ) -> Result<CompactionPlan> {
        let store = &self.stores[at];
        let mut files = self.states.load().stores[at].files.clone();
        let expired = self.unneeded(at, &files, now);
        files.retain(|file| expired.iter().all(|expired| expired.name() != file.name()));
        let Chosen { files: inputs, .. } = self.choose(at, &files, now, compaction == Compaction::Major);
        let mut plan = CompactionPlan {
            family: store.family.name().to_vec(),
            files: paths(&inputs),
            expired_files: paths(&expired),
            all_files: !inputs.is_empty() && inputs.len() == files.len(),
            bytes_before: inputs.iter().chain(&expired).map(StoreFile::file_len).sum(),
            ..CompactionPlan::default()
        };
        let mut bytes = CellBytes::default();
        let mut count = |explained: ExplainedCell<'_>| {
            plan.cells_before += 1;
            bytes.add(explained);
            if explained.reason == CellReason::Returned {
                plan.cells_after += 1;
            } else {
                *plan.dropped.entry(explained.reason).or_default() += 1;
            }
            take(explained)
        };
        let expired: Vec<&StoreFile> = expired.iter().collect();
        let info = store.scan_info(now, have_tags(&inputs));
        if store.explain_expired(&expired, &mut count)?.is_continue() {
            let max_read_point = self.mvcc.smallest_read_point();
            // A break ends the count of this family.
            store.explain_compaction(&inputs, plan.all_files, &info, max_read_point, &mut count).map(drop)?;
        }
        plan.bytes_after = bytes.share_of(plan.bytes_before);
        Ok(plan)
    }
}

/// The bytes of cells, all and kept.
#[derive(Debug, Default)]
struct CellBytes {
    all: u64,
    kept: u64,
}

impl CellBytes {
    fn add(&mut self, ExplainedCell { cell, reason, .. }: ExplainedCell<'_>) {
        let bytes = (cell.key.as_bytes().len() + cell.value().len() + cell.tag_bytes().len()) as u64;
        self.all += bytes;
        self.kept += if reason == CellReason::Returned { bytes } else { 0 };
    }

    /// Returns the share of `bytes` in proportion to the cells kept.
    fn share_of(&self, bytes: u64) -> u64 {
        let share = u128::from(bytes) * u128::from(self.kept) / u128::from(self.all.max(1));
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

fn paths(files: &[StoreFile]) -> Vec<PathBuf> {
    files.iter().map(|file| file.path().to_owned()).collect()
}
