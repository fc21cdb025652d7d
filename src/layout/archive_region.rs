//! Archiving whole regions (HBase: `HFileArchiver.archiveRegion`).
#![warn(clippy::indexing_slicing)]

use super::durable::{
    exists, list_if_exists, parent, refuse_link, remove, remove_tree, rename, sync_dir, unless_not_found,
    write_file,
};
use super::file_list::read_file_list;
use super::file_name::{FileName, Target};
use super::region::{REGION_INFO, RegionDir};
use super::region_change::check_root;
use crate::error::Result;
use crate::io::{DirEntry, Storage};
use crate::schema::is_legal_name;
use crate::schema::region_name::is_encoded_name;
use std::collections::BTreeSet;
use std::path::Path;

/// The end of the name of a directory whose files have been archived.
const ARCHIVED: &str = ".archived";
/// The end of the name of a file that says, in a storage without renames, that the files of a region have
/// been archived, and the rest of its directory can be removed.
const EMPTIED: &str = ".emptied";

impl RegionDir {
    /// Returns the encoded names of the regions of the table to which files of the region are references or
    /// links. Files that are no longer read count, too.
    ///
    /// # Errors
    ///
    /// If a directory or a list of files cannot be read.
    pub(crate) fn regions_referred_to(&self) -> Result<BTreeSet<String>> {
        let storage = &**self.storage();
        let mut regions = BTreeSet::new();
        for family in self.families() {
            let dir = self.family(family.name()).path();
            let entries = list_if_exists(storage, &dir)?.unwrap_or_default();
            let listed = read_file_list(storage, &dir)?.map(|list| list.files).unwrap_or_default();
            let names = entries.iter().filter_map(DirEntry::utf8_name);
            let names = names.chain(listed.iter().map(|file| file.name.as_str()));
            for name in names.filter_map(FileName::parse) {
                if let Target::Link { table, region, .. } = name.target()
                    && table == self.info().table()
                {
                    regions.insert((*region).to_owned());
                }
                if let FileName::Reference(_, parent) = name {
                    regions.insert(parent.to_owned());
                }
            }
        }
        Ok(regions)
    }

    /// Moves all files of the families to the archive, also of those that an interrupted alteration of the
    /// table has left, and then the directory aside: [`remove_archived_regions`] removes it. Without renames,
    /// the directory is there until then, but is not that of a region. The caller must hold the lock. Can be
    /// retried after a failure, until the region is no longer there.
    ///
    /// # Errors
    ///
    /// If the region is not under a root directory, or an I/O operation fails.
    pub(crate) fn archive_region(&self) -> Result<()> {
        check_root(self)?;
        let storage = &**self.storage();
        let is_family =
            |dir: &DirEntry| dir.is_dir && !dir.is_symlink && is_legal_name(dir.name.as_encoded_bytes());
        let mut families = list_if_exists(storage, self.path())?.unwrap_or_default();
        families.retain(is_family);
        for family in families.iter().filter_map(DirEntry::utf8_name) {
            let entries = list_if_exists(storage, &self.path().join(family))?.unwrap_or_default();
            let files = entries.iter().filter(|entry| !entry.is_dir).filter_map(DirEntry::utf8_name);
            let names: Vec<&str> = files.filter(|name| !name.starts_with('.')).collect();
            // A call that was interrupted may have moved all files, and not durably.
            if !names.is_empty() || self.has_archive(family.as_bytes())? {
                self.archive(family.as_bytes(), names)?;
            }
        }
        // Aside, as a region is there with all of its directory, or not at all.
        let (table, name) = (parent(self.path()), self.info().encoded_name());
        if !storage.can_rename(table) {
            write_file(self.storage(), &table.join(format!(".{name}{EMPTIED}")), &[])?;
            return unless_not_found(remove(storage, &self.path().join(REGION_INFO)));
        }
        rename(storage, self.path(), &table.join(format!(".{name}{ARCHIVED}")))?;
        sync_dir(storage, table)
    }
}

/// Whether an entry of a table's directory is what is left of a region whose files have been archived, or
/// says that the region's directory is.
pub(crate) fn is_archived_region(entry: &DirEntry) -> bool {
    !entry.is_symlink && (region_before(ARCHIVED, entry).is_some() || region_before(EMPTIED, entry).is_some())
}

/// Returns the encoded name of the region in the name of an entry with this end.
fn region_before<'e>(end: &str, entry: &'e DirEntry) -> Option<&'e str> {
    let name = entry.utf8_name()?.strip_prefix('.')?.strip_suffix(end)?;
    is_encoded_name(name).then_some(name)
}

/// Removes what is left of regions whose files have been archived.
pub(crate) fn remove_archived_regions(storage: &dyn Storage, table: &Path) -> Result<()> {
    let entries = list_if_exists(storage, table)?.unwrap_or_default();
    for entry in entries.iter().filter(|entry| is_archived_region(entry)) {
        let path = table.join(&entry.name);
        if region_before(ARCHIVED, entry).is_some() {
            remove_tree(storage, &path)?;
        } else if let Some(region) = region_before(EMPTIED, entry) {
            let dir = table.join(region);
            // A call was interrupted: the region is archived again first.
            if exists(storage, &dir.join(REGION_INFO))? {
                continue;
            }
            refuse_link(storage, &dir)?;
            remove_tree(storage, &dir)?;
            unless_not_found(remove(storage, &path))?;
        }
    }
    Ok(())
}
