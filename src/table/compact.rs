//! Compactions of a table.

use super::Table;
use super::regions::RegionSlot;
use crate::error::{ErrorKind, Result};
use crate::region::Compaction;
use std::sync::Arc;

impl Table {
    /// Compacts the files of all regions, one region after another, opening those that are not open. Skips a
    /// region that is split or merged during the call. Then archives regions that were split or merged and
    /// are no longer needed, as [`archive_parents`](Self::archive_parents) does.
    ///
    /// # Errors
    ///
    /// Same as [`Region::compact`](crate::Region::compact), for the first region that fails, or as
    /// [`archive_parents`](Self::archive_parents); the rest are still compacted. The call can be repeated.
    pub fn compact(&self, compaction: Compaction) -> Result<()> {
        self.0.check_may_change("compact its table")?;
        let compact = |slot: &Arc<RegionSlot>| match self.0.open(slot)? {
            None => Ok(()),
            Some(region) => match region.compact(compaction) {
                Err(error) if error.kind() == ErrorKind::Closed && region.is_retired() => Ok(()),
                compacted => compacted,
            },
        };
        let compacted = self.0.regions.load_full().slots.iter().map(compact).fold(Ok(()), Result::and);
        let archived = self.archive_parents().map(drop);
        compacted.and(archived)
    }
}
