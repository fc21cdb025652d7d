//! Compactions of a table.

use super::Table;
use crate::error::Result;
use crate::region::{Compaction, Region};
use crate::sync::unpoisoned;

impl Table {
    /// Compacts the files of all regions, one region after another, and opens those that are not open. No
    /// region is split or merged meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Region::compact`](crate::Region::compact), for the first region that fails; the others are still
    /// compacted.
    pub fn compact(&self, compaction: Compaction) -> Result<()> {
        let _changing = unpoisoned(self.0.changing.lock());
        let compact = |region: &Region| region.compact(compaction);
        self.0.open_all()?.iter().map(compact).fold(Ok(()), Result::and)
    }
}
