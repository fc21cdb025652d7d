//! Takes one region's part of a snapshot (HBase: `FlushSnapshotSubprocedure`, `SnapshotManifest.addRegion`).

use super::Region;
use crate::error::Result;
use crate::layout::{SnapshotRegion, TableIdentity};
use std::path::Path;

impl Region {
    /// Flushes the memory, and returns the names of the files that contain exactly the writes so far. The
    /// files stay in the region's directory until they are archived.
    ///
    /// # Errors
    ///
    /// If the region is read-only or a file cannot be written. The cells then stay in memory, and can be
    /// flushed again.
    pub(crate) fn take_snapshot(&self) -> Result<SnapshotRegion> {
        let files = self.0.flush_for_snapshot()?;
        let mut region = SnapshotRegion::new(self.info().clone());
        for (family, files) in self.families().zip(files) {
            let name = region.add_family(family.name())?;
            for file in files {
                region.add(name, file.name(), file.file_len(), file.reference());
            }
        }
        Ok(region)
    }

    /// Returns the root directory, if the region is at its place below one.
    pub(crate) fn root_of_table(&self) -> Option<&Path> {
        self.0.dir.root_of_table()
    }

    /// Returns the identity of the region's table, which distinguishes it from other tables of its name that
    /// were restored from snapshots; `None` if it is unknown.
    pub(crate) fn table_identity(&self) -> Option<&TableIdentity> {
        self.0.dir.table_identity()
    }
}
