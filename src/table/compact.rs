//! Compactions of a table.

use super::Table;
use crate::error::Result;
use crate::region::Compaction;

impl Table {
    /// Compacts the files of all regions, one region after another, and opens those that are not open.
    ///
    /// # Errors
    ///
    /// As [`Region::compact`](crate::Region::compact), for the first region that fails; the others are still
    /// compacted.
    pub fn compact(&self, compaction: Compaction) -> Result<()> {
        let compact = |at| self.0.region(at)?.compact(compaction);
        (0..self.0.places.len()).map(compact).fold(Ok(()), Result::and)
    }
}
