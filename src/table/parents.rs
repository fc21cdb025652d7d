//! Removes regions that were split or merged (HBase: `CatalogJanitor`).

use super::Table;
use crate::error::{Error, Result};
use crate::io::DirEntry;
use crate::layout::{
    RegionDir, TableListing, find_region_info, is_archived_region, is_change, remove_archived_regions,
};
use crate::locator::{DirectoryCatalog, serving};
use crate::region::Region;
use crate::schema::RegionInfo;
use crate::store::StoreFileUse;
use crate::sync::unpoisoned;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Table {
    /// Archives the files of regions that were split or merged, and removes their directories, if no region
    /// refers to their files any more. Returns these regions. [`compact`](Self::compact) ends with this.
    ///
    /// If the root directory has `hbase:meta`, the rows and columns that name them are deleted. A region that
    /// is not marked as split there is kept, because HBase may not have finished the split.
    ///
    /// A major compaction of a region replaces its references. Views and scanners can still read the files;
    /// in a storage without renames, regions that they read stay, if they were split or merged by this table.
    /// After a failure or a crash, this can be repeated. A table that is not under a root directory has no
    /// archive, and keeps its regions.
    ///
    /// # Errors
    ///
    /// If the table is open for reading only; if another process has a parent or `hbase:meta` open for
    /// writing ([`Locked`](crate::ErrorKind::Locked)); if an I/O operation fails.
    pub fn archive_parents(&self) -> Result<Vec<RegionInfo>> {
        let _changing = self.0.change("archive regions of its table")?;
        self.0.check_open()?;
        if !self.0.options.is_writable() {
            return Err(Error::invalid_argument("the table is open for reading only: open it as writable"));
        }
        match self.0.dir() {
            Some(table) => self.0.archive_parents_in(&table),
            None => Ok(Vec::new()),
        }
    }
}

/// The maximum number of parents that are locked at once: each lock is an open file.
const LOCKED: usize = 64;

impl super::TableCore {
    /// Archives the parents in the table's directory that are not needed. `changing` must be held.
    fn archive_parents_in(&self, table: &Path) -> Result<Vec<RegionInfo>> {
        // A compaction that could not archive all replaced files is valid nevertheless.
        let regions = self.regions.load_full();
        regions.slots.iter().filter_map(|slot| slot.region.get()).try_for_each(Region::archive_replaced)?;
        let storage = &**self.options.file_storage();
        let entries = storage.list_dir(table).map_err(|error| Error::io("list", table, error))?;
        if entries.iter().any(is_change) {
            self.archive_removed(table)?;
        }
        let mut parents = if self.has_others(&entries) { self.unneeded_parents(table)? } else { Vec::new() };
        if !storage.can_rename(table) {
            parents.retain(|(_, info)| !self.is_read(info));
        }
        // The catalog may still have regions that an interrupted call has archived. Without renames, the
        // files of changes stay until it does not.
        let is_left =
            |entry: &DirEntry| is_archived_region(entry) || is_change(entry) && !storage.can_rename(table);
        if parents.is_empty() && !entries.iter().any(is_left) {
            return Ok(Vec::new());
        }
        // Opened first, so that nothing changes if another process has the catalog open.
        let catalog = self.catalog(table)?;
        let mut archived = Vec::new();
        for parents in parents.chunks(LOCKED) {
            let mut locked = BTreeMap::new();
            for (path, info) in parents {
                if catalog.as_ref().map_or(Ok(false), |catalog| catalog.serves(info))? {
                    continue;
                }
                match self.options.lock(path) {
                    // Another process has archived it.
                    Err(error) if error.is_stale() && find_region_info(storage, path)?.is_none() => {}
                    lock => drop(locked.insert(path, lock?)),
                }
            }
            // Listed again with the locks held: a process may have restored a snapshot in which they serve
            // rows.
            let unneeded = if locked.is_empty() { Vec::new() } else { self.unneeded_parents(table)? };
            for (path, info) in unneeded {
                let Some(lock) = locked.remove(&path) else { continue };
                RegionDir::open(self.options.file_storage(), &path)?.archive_region(&lock)?;
                archived.push(info);
            }
        }
        if let Some(catalog) = catalog {
            let is_gone = |region: &RegionInfo| {
                find_region_info(storage, &table.join(region.encoded_name())).map(|info| info.is_none())
            };
            catalog.forget_parents(&self.name, is_gone, self.options.now())?;
        }
        remove_archived_regions(storage, table)?;
        if !storage.can_rename(table) {
            TableListing::read(storage, table)?.forget_over(self.options.file_storage())?;
        }
        Ok(archived)
    }

    /// Whether views or scanners read files of a region that was split or merged here.
    fn is_read(&self, region: &RegionInfo) -> bool {
        let name = region.encoded_name();
        let replaced = unpoisoned(self.replaced.lock());
        let mut files =
            replaced.iter().filter(|(replaced, _)| *replaced == name).flat_map(|(_, files)| files);
        files.any(StoreFileUse::is_open)
    }

    /// Whether a directory of the table may be of a region that does not serve rows.
    fn has_others(&self, entries: &[DirEntry]) -> bool {
        let regions = self.regions.load();
        let serving: BTreeSet<&OsStr> =
            regions.slots.iter().filter_map(|slot| slot.dir()?.file_name()).collect();
        let serves = |entry: &DirEntry| serving.contains(entry.name.as_os_str());
        entries.iter().any(|entry| entry.is_dir && !entry.is_hidden() && !serves(entry))
    }

    /// Returns the regions that were split or merged and to which no region refers, except other regions of
    /// this kind, with their directories.
    fn unneeded_parents(&self, table: &Path) -> Result<Vec<(PathBuf, RegionInfo)>> {
        let storage = self.options.file_storage();
        let dirs = DirectoryCatalog::of_table(Arc::clone(storage), self.name.clone(), table);
        let regions = dirs.regions_in(table, &self.name)?;
        let serving = serving(regions.iter().map(|(_, info)| info.clone()).collect());
        let is_serving = |info: &RegionInfo| serving.contains(info);
        if regions.iter().all(|(_, info)| is_serving(info)) {
            return Ok(Vec::new());
        }
        // The regions to which each remaining region refers.
        let mut referred: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
        for (path, _) in &regions {
            let dir = match RegionDir::open(storage, path) {
                // Another process has archived it, so its references no longer count.
                Err(error) if error.is_stale() && find_region_info(&**storage, path)?.is_none() => {
                    continue;
                }
                dir => dir?,
            };
            if dir.root().is_none() {
                return Ok(Vec::new());
            }
            referred.insert(path.clone(), dir.regions_referred_to()?);
        }
        let is_there = |path: &PathBuf, info: &RegionInfo| referred.contains_key(path) && !is_serving(info);
        let mut parents: Vec<_> = regions.into_iter().filter(|(path, info)| is_there(path, info)).collect();
        let mut unneeded = Vec::new();
        loop {
            let is_needed = |(path, info): &(PathBuf, RegionInfo)| {
                let name = info.encoded_name();
                referred.iter().any(|(other, names)| other != path && names.contains(&name))
            };
            let (needed, found): (Vec<_>, Vec<_>) = parents.into_iter().partition(is_needed);
            if found.is_empty() {
                return Ok(unneeded);
            }
            found.iter().for_each(|(path, _)| drop(referred.remove(path)));
            unneeded.extend(found);
            parents = needed;
        }
    }

    /// Returns the table's directory, derived from its first region's.
    pub(super) fn dir(&self) -> Option<PathBuf> {
        let regions = self.regions.load();
        regions.slots.first()?.dir()?.parent().map(Path::to_owned)
    }
}
