//! Snapshots: read in place (hfile.md §15.8; HBase: `TableSnapshotScanner`, without its restore directory),
//! taken, cloned, restored and exported.

mod clone;
mod take;

use super::Table;
use super::regions::RegionSource;
use crate::error::{Error, ErrorKind, Result};
use crate::io::{LocalStorage, Storage};
use crate::layout::{Snapshot, SnapshotStoreFile, each_snapshot, find_snapshot};
use crate::region::{Region, RegionOptions};
use crate::schema::{RegionInfo, SnapshotDescription};
use std::path::Path;
use std::sync::Arc;

impl Table {
    /// Returns the complete snapshots under a root directory, by name.
    ///
    /// # Errors
    ///
    /// If the description of a snapshot cannot be read, or is malformed.
    pub fn list_snapshots(root: impl AsRef<Path>) -> Result<Vec<SnapshotDescription>> {
        Self::list_snapshots_with(root, &LocalStorage)
    }

    /// Returns the complete snapshots under a root directory of a storage, by name.
    ///
    /// # Errors
    ///
    /// If the description of a snapshot cannot be read, or is malformed.
    pub fn list_snapshots_with(
        root: impl AsRef<Path>,
        storage: &dyn Storage,
    ) -> Result<Vec<SnapshotDescription>> {
        Self::each_snapshot(root, storage)?.into_iter().collect()
    }

    /// Returns the complete snapshots under a root directory of a storage, by name, with an error for each
    /// whose description cannot be read, or is malformed: the others can be used.
    ///
    /// # Errors
    ///
    /// If the directory of the snapshots cannot be listed.
    pub fn each_snapshot(
        root: impl AsRef<Path>,
        storage: &dyn Storage,
    ) -> Result<Vec<Result<SnapshotDescription>>> {
        each_snapshot(storage, root.as_ref())
    }

    /// Returns the complete snapshot of a name under a root directory of a storage; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the name is invalid; if the description of the snapshot cannot be read, or is malformed.
    pub fn find_snapshot(
        root: impl AsRef<Path>,
        name: &str,
        storage: &dyn Storage,
    ) -> Result<Option<SnapshotDescription>> {
        find_snapshot(storage, root.as_ref(), name)
    }

    /// Opens the table of a snapshot, in the state of that time, for reading. Changes nothing, and needs
    /// neither a lock nor a directory to restore to.
    ///
    /// The files are those that the table had. They are looked up when a region is first read: in the table's
    /// directories, in the archive, and at the targets of links, but not through symbolic links below the
    /// root. The table may no longer exist. While a cluster uses the root, files of the snapshot stay as long
    /// as the snapshot does.
    ///
    /// Visibility labels are tags of cells, and hide nothing from a read. Delete markers hide the values that
    /// have the same labels.
    ///
    /// ```
    /// use hregion::{Get, Table};
    ///
    /// # fn main() -> hregion::Result<()> {
    /// # let root = "testdata/region/clone-references/root";
    /// for snapshot in Table::list_snapshots(root)? {
    ///     println!("{} of {}", snapshot.name(), snapshot.table());
    /// }
    /// let table = Table::open_snapshot(root, "joined-snap")?;
    /// let row = table.get(&Get::new("row-0000"))?;
    /// # assert!(!row.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such snapshot, with kind [`Io`](crate::ErrorKind::Io) and
    /// [`std::io::ErrorKind::NotFound`]; if its manifest has another version than 2, as before HBase 1.0
    /// ([`Unsupported`](crate::ErrorKind::Unsupported)); if its files are malformed, or cannot be read. A
    /// missing store file is an error of the reads that need its region.
    pub fn open_snapshot(root: impl AsRef<Path>, name: &str) -> Result<Self> {
        Self::open_snapshot_with(root, name, Region::options())
    }

    /// Like [`open_snapshot`](Self::open_snapshot), with options for the regions.
    ///
    /// # Errors
    ///
    /// Same as [`open_snapshot`](Self::open_snapshot); if the options are for writing.
    pub fn open_snapshot_with(root: impl AsRef<Path>, name: &str, options: RegionOptions) -> Result<Self> {
        Error::if_no_clock("a table")?;
        if options.is_writable() {
            return Err(Error::invalid_argument("a snapshot can only be opened for reading"));
        }
        let root = root.as_ref();
        let snapshot = Arc::new(Snapshot::open(&**options.file_storage(), root, name)?);
        let table = snapshot.description().table().clone();
        let regions = snapshot.regions().map(|(index, region)| {
            (RegionSource::Snapshot(Arc::clone(&snapshot), index), region.info.clone())
        });
        Ok(Self::of(table, regions, &[], options))
    }

    /// Returns the store files that a [snapshot](Self::open_snapshot) has of a region, one of
    /// [`regions`](Self::regions), at their current locations, with errors for files that cannot be found.
    /// Opens none of them.
    ///
    /// # Errors
    ///
    /// If the table is not a snapshot, or does not have the region.
    pub fn snapshot_files(&self, region: &RegionInfo) -> Result<(Vec<SnapshotStoreFile>, Vec<Error>)> {
        let regions = self.0.regions.load();
        let no_region = || Error::new(ErrorKind::RegionNotFound, "the table does not have the region");
        let slot = regions.slots.iter().find(|slot| slot.info == *region).ok_or_else(no_region)?;
        let RegionSource::Snapshot(snapshot, index) = &slot.source else {
            return Err(Error::invalid_argument("the table is not a snapshot"));
        };
        let region = snapshot.region(*index).ok_or_else(no_region)?;
        Ok(snapshot.all_files(self.0.options.file_storage(), region))
    }
}
