//! Explains which cells a compaction would keep or drop, and why. Writes nothing.

use super::merge::kind_of;
use crate::error::Result;
use crate::store::matcher::ScanInfo;
use crate::store::read::explain::{StoreExplainer, TakeExplained};
use crate::store::{Store, StoreFile};
use std::ops::ControlFlow;

impl Store {
    /// Passes every cell of the files of a compaction to `take`, until it breaks. Cells that are kept have
    /// the reason [`Returned`](crate::store::CellReason::Returned). The arguments are as for
    /// [`compact`](Self::compact).
    pub(crate) fn explain_compaction(
        &self,
        inputs: &[StoreFile],
        all_files: bool,
        info: &ScanInfo,
        max_read_point: i64,
        take: &mut TakeExplained<'_>,
    ) -> Result<ControlFlow<()>> {
        let cutoff = info.cutoff(false);
        let (expired, read): (Vec<&StoreFile>, Vec<&StoreFile>) =
            inputs.iter().partition(|file| file.is_older_than(cutoff));
        if self.explain_expired(&expired, take)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let kind = kind_of(inputs, all_files);
        let family = self.family.name();
        StoreExplainer::for_compaction(&read, self.order, kind, family, info, max_read_point)?.explain(take)
    }

    /// Passes every cell of files that are dropped without being read to `take`, until it breaks.
    pub(crate) fn explain_expired(
        &self,
        files: &[&StoreFile],
        take: &mut TakeExplained<'_>,
    ) -> Result<ControlFlow<()>> {
        StoreExplainer::of_expired(files, self.order)?.explain(take)
    }
}
