//! Compactions of a table.

use super::Table;
use super::regions::RegionSlot;
use crate::error::{ErrorKind, Result};
use crate::region::Compaction;
use std::sync::Arc;

impl Table {
    /// Compacts the files of all regions, one region after another, and opens those that are not open. A
    /// region that is split or merged meanwhile is left out.
    ///
    /// # Errors
    ///
    /// As [`Region::compact`](crate::Region::compact), for the first region that fails; the others are still
    /// compacted.
    pub fn compact(&self, compaction: Compaction) -> Result<()> {
        let compact = |slot: &Arc<RegionSlot>| match self.0.open(slot)? {
            None => Ok(()),
            Some(region) => match region.compact(compaction) {
                Err(error) if error.kind() == ErrorKind::Closed && region.is_retired() => Ok(()),
                compacted => compacted,
            },
        };
        self.0.regions.load_full().slots.iter().map(compact).fold(Ok(()), Result::and)
    }
}
