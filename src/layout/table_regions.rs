//! Lists the regions with directories in the directory of a table (hfile.md §15).
#![warn(clippy::indexing_slicing)]

use super::descriptor::descriptors_up_to;
use super::durable::list_if_exists;
use super::file_name::FileName;
use super::mob::is_mob_region;
use super::region::is_number;
use super::{
    Changes, RECOVERED_EDITS, REGION_INFO, RegionChange, ReplacementKind, find_region_info, is_change,
};
use crate::error::{Corruption, Error, Result};
use crate::io::{DirEntry, Storage};
use crate::schema::region_name::is_encoded_name;
use crate::schema::{RegionInfo, serving};
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The maximum number of times a table's directory is listed again because regions are being replaced.
pub(crate) const LISTINGS: u32 = 20;

/// The entries of a table's directory at one moment.
#[derive(Debug)]
pub(crate) struct TableListing {
    table: PathBuf,
    entries: Vec<DirEntry>,
    changes: Changes,
}

impl TableListing {
    /// Lists the directory of a table, and reads the files of its changes. A directory that does not exist
    /// has no entries.
    ///
    /// # Errors
    ///
    /// If the directory cannot be listed; if a file of a change cannot be read or is malformed, or is always
    /// listed but never found.
    pub(crate) fn read(storage: &dyn Storage, table: &Path) -> Result<Self> {
        Self::of(storage, table, list_if_exists(storage, table)?.unwrap_or_default())
    }

    /// Like [`read`](Self::read), by the entries of the directory, which was listed right before.
    pub(super) fn of(storage: &dyn Storage, table: &Path, mut entries: Vec<DirEntry>) -> Result<Self> {
        let mut made = BTreeSet::new();
        for _ in 0..LISTINGS {
            if let Some(changes) = RegionChange::among(storage, table, &entries, &mut made)? {
                return Ok(Self { table: table.to_owned(), entries, changes });
            }
            entries = list_if_exists(storage, table)?.unwrap_or_default();
        }
        Err(keeps_changing(table))
    }

    /// Returns the names of the directories of regions: all that are not hidden.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = &str> {
        let names = self.entries.iter().filter(|entry| entry.is_dir).filter_map(DirEntry::utf8_name);
        names.filter(|name| !name.starts_with('.'))
    }

    /// Returns the unfinished changes: splits, merges, creations, and changes of the whole table.
    pub(crate) fn changes(&self) -> &[RegionChange] {
        &self.changes.unfinished
    }

    pub(crate) fn into_changes(self) -> Vec<RegionChange> {
        self.changes.unfinished
    }

    /// Returns the changes that were undone, and have files.
    pub(crate) fn undone(&self) -> &[RegionChange] {
        &self.changes.undone
    }

    /// Returns the changes of the whole table that have been made, and the deletions of former ones.
    pub(crate) fn made(&self) -> &[RegionChange] {
        &self.changes.made
    }

    /// Returns the deletions of tables of the name.
    pub(crate) fn deletions(&self) -> impl Iterator<Item = &RegionChange> {
        self.changes.made.iter().filter(|change| change.is_a(ReplacementKind::Deletion))
    }

    /// Whether regions that a deletion, truncation or restoration has removed still have directories.
    pub(crate) fn is_left(&self, change: &RegionChange) -> bool {
        !change.removed().is_empty() && change.has_parent_dir(&self.entries)
    }

    /// Whether a deletion is incomplete: it has left regions, or, while there is no table, descriptors.
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed, or a region info cannot be read.
    pub(crate) fn is_unfinished(&self, storage: &dyn Storage, deletion: &RegionChange) -> Result<bool> {
        let Some(replacement) = deletion.replacement() else { return Ok(false) };
        if self.is_left(deletion) {
            return Ok(true);
        }
        let has_descriptor = !descriptors_up_to(storage, &self.table, replacement.number)?.is_empty();
        Ok(has_descriptor && !self.has_region(storage)?)
    }

    /// Whether the table has a region, which may be a parent.
    ///
    /// # Errors
    ///
    /// If a region info cannot be read.
    pub(crate) fn has_region(&self, storage: &dyn Storage) -> Result<bool> {
        let hidden = self.changes.hidden(&[]);
        for name in self.dirs().filter(|name| !hidden.contains(name)) {
            let region = find_region_info(storage, &self.table.join(name))?;
            if region.is_some_and(|region| !is_mob_region(&region)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether any of some regions is a child of a change that has a file and has not been made, or was
    /// removed by a deletion, truncation or restoration.
    pub(crate) fn has_children(&self, regions: &[RegionInfo]) -> bool {
        let names: Vec<String> = regions.iter().map(RegionInfo::encoded_name).collect();
        let changes = &self.changes;
        let mut others = changes.unfinished.iter().chain(&changes.undone).chain(&changes.made);
        others.any(|change| change.has_any(&names))
    }

    /// Whether a region was removed by a deletion, truncation or restoration.
    pub(crate) fn is_removed(&self, region: &RegionInfo) -> bool {
        let name = region.encoded_name();
        self.changes.made.iter().any(|change| change.removed().contains(&name))
    }

    /// Whether a table is being created, a creation was interrupted, or a table was deleted. Without a
    /// region, there is then no table.
    pub(crate) fn has_creation(&self) -> bool {
        let mut others = self.changes.unfinished.iter().chain(&self.changes.undone);
        others.any(RegionChange::is_creation) || self.deletions().next().is_some()
    }

    /// Whether there are files of changes in any state, other than deletions.
    pub(crate) fn has_change_files(&self) -> bool {
        self.entries.iter().filter(|entry| is_change(entry)).count() > self.deletions().count()
    }

    /// Writes the descriptors of changes of the table that were made. Returns whether one did not exist.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails.
    pub(crate) fn write_descriptors(&self, storage: &Arc<dyn Storage>) -> Result<bool> {
        let write = |any, change: &RegionChange| Ok(change.write_descriptor(storage)? || any);
        self.changes.made.iter().try_fold(false, write)
    }

    /// Removes the files of changes that are over, and the remains of regions whose change was undone.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails.
    pub(crate) fn forget_over(&self, storage: &Arc<dyn Storage>) -> Result<()> {
        for change in &self.changes.over {
            if change.is_creation() {
                change.mark_made(storage)?;
            }
            change.forget(&**storage)?;
        }
        self.changes.undone.iter().try_for_each(|change| change.clean_up(&**storage, &self.entries))
    }

    /// Returns the regions, including parents, after some of the changes have been made.
    ///
    /// # Errors
    ///
    /// If a region info cannot be read.
    pub(crate) fn regions_after(
        &self,
        storage: &dyn Storage,
        made: &[RegionChange],
    ) -> Result<Vec<(PathBuf, RegionInfo)>> {
        regions_among(storage, &self.table, &self.entries, &self.changes.hidden(made))
    }

    /// Returns the names of the entries, sorted.
    pub(crate) fn names(&self) -> Vec<OsString> {
        let mut names: Vec<OsString> = self.entries.iter().map(|entry| entry.name.clone()).collect();
        names.sort();
        names
    }

    /// Whether writes to a region, which is locked, would never be read: younger regions of the table, with
    /// directories, have all of its rows, or the table was truncated, restored or deleted.
    ///
    /// # Errors
    ///
    /// If the region info of another region cannot be read.
    pub(crate) fn replaces(&self, storage: &dyn Storage, region: &RegionInfo) -> Result<bool> {
        Ok(!self.serving_with(storage, [region])?.contains(region))
    }

    /// Returns the regions that were not split or merged: among those with directories, and `known` ones,
    /// whose directories may no longer exist.
    ///
    /// # Errors
    ///
    /// If a region info cannot be read.
    pub(crate) fn serving_with<'r>(
        &self,
        storage: &dyn Storage,
        known: impl IntoIterator<Item = &'r RegionInfo>,
    ) -> Result<HashSet<RegionInfo>> {
        let regions = self.regions_after(storage, &[])?;
        let known = known.into_iter().filter(|info| !self.is_removed(info));
        let regions = regions.into_iter().map(|(_, info)| info).chain(known.cloned());
        Ok(serving(regions.collect()).into_iter().collect())
    }

    /// Returns the directories of the regions that were not split or merged.
    ///
    /// # Errors
    ///
    /// If a region info cannot be read.
    pub(crate) fn serving_dirs(&self, storage: &dyn Storage) -> Result<Vec<PathBuf>> {
        let regions = self.regions_after(storage, &[])?;
        let serving = serving(regions.iter().map(|(_, info)| info.clone()).collect());
        let dirs = regions.into_iter().filter(|(_, info)| serving.contains(info));
        Ok(dirs.map(|(dir, _)| dir).collect())
    }
}

/// Returns the error for a table's directory that changes at each listing.
#[cold]
pub(crate) fn keeps_changing(table: &Path) -> Error {
    let message = "another process keeps changing the regions: try again later";
    let error = io::Error::new(io::ErrorKind::Interrupted, message);
    Error::io("list", table, error)
}

/// Whether a region has been opened, or was completed by a split or merge: it has a file `<n>.seqid`, edits
/// to replay, or a store file that is neither a reference nor a link.
///
/// # Errors
///
/// If a directory cannot be listed.
pub(crate) fn was_opened(storage: &dyn Storage, region: &Path) -> Result<bool> {
    has_own_file(storage, region, |_| true)
}

/// Whether a region may have been written to: it has edits to replay, or a store file that is neither a
/// reference nor a link.
///
/// # Errors
///
/// If a directory cannot be listed.
pub(super) fn has_writes(storage: &dyn Storage, region: &Path) -> Result<bool> {
    has_own_file(storage, region, is_number)
}

/// Whether a region has a store file that is neither a reference nor a link, or a file with a wanted name in
/// the directory of its edits.
fn has_own_file(storage: &dyn Storage, region: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<bool> {
    let files = |dir: &Path| list_if_exists(storage, dir).map(Option::unwrap_or_default);
    let is_own = |entry: &DirEntry| {
        let parsed = entry.utf8_name().and_then(FileName::parse);
        !entry.is_dir && !entry.is_hidden() && !parsed.is_some_and(|name| name.is_elsewhere())
    };
    let is_edit = |entry: &DirEntry| is_own(entry) && entry.utf8_name().is_none_or(&is_wanted);
    // This decides most cases.
    if files(&region.join(RECOVERED_EDITS))?.iter().any(is_edit) {
        return Ok(true);
    }
    for entry in files(region)? {
        // None of the hidden directories has the files that a server writes to a region it has opened.
        let is_family = entry.is_dir && !entry.is_hidden() && entry.name != RECOVERED_EDITS;
        if is_family && files(&region.join(&entry.name))?.iter().any(is_own) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the regions among the entries of a table's directory, including parents, in the order of the
/// entries. `hidden` are the names of directories that are not regions: see [`Changes::hidden`].
///
/// # Errors
///
/// If a region info cannot be read or is that of another directory.
pub(crate) fn regions_among(
    storage: &dyn Storage,
    table: &Path,
    entries: &[DirEntry],
    hidden: &BTreeSet<&str>,
) -> Result<Vec<(PathBuf, RegionInfo)>> {
    let mut regions = Vec::new();
    let dirs: BTreeSet<&str> =
        entries.iter().filter(|entry| entry.is_dir).filter_map(DirEntry::utf8_name).collect();
    for entry in entries.iter().filter(|entry| entry.is_dir) {
        let Some(name) = entry.utf8_name().filter(|name| !name.starts_with('.')) else { continue };
        if hidden.contains(name) {
            continue;
        }
        let dir = table.join(&entry.name);
        // Without a region info, it is being created, or is not a region.
        let Some(region) = find_region_info(storage, &dir)? else { continue };
        if is_encoded_name(name) && !region.is_encoded_as(name) {
            let corruption = Corruption::Malformed("the region info does not match the directory's name");
            return Err(corruption.at(&dir.join(REGION_INFO), 0));
        }
        if !is_encoded_name(name) && dirs.contains(&*region.encoded_name()) {
            continue;
        }
        // A clone may have a directory for the region of its MOB files.
        if is_mob_region(&region) {
            continue;
        }
        regions.push((dir, region));
    }
    Ok(regions)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::io::LocalStorage;

    #[test]
    fn a_change_that_is_listed_and_not_there_is_not_looked_for_forever() {
        let dir = tempfile::tempdir().unwrap();
        let change = dir.path().join(format!(".change.{:032x}", 1));
        std::os::unix::fs::symlink("nothing", change).unwrap();
        let error = TableListing::read(&LocalStorage, dir.path()).unwrap_err();
        assert!(error.to_string().contains("keeps changing"), "{error}");
    }
}
