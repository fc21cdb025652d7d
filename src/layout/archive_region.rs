//! Archives whole regions (hfile.md §15; HBase: `HFileArchiver.archiveRegion`).
#![warn(clippy::indexing_slicing)]

use super::durable::{
    create_empty, exists, list_if_exists, parent, refuse_link, remove, remove_tree, rename, sync_dir,
    unless_not_found, write_file,
};
use super::file_list::read_file_list;
use super::file_name::{FileName, Target};
use super::region::{ARCHIVING, REGION_INFO, RegionDir, check_lock};
use super::region_change::check_root;
use crate::error::Result;
use crate::io::{DirEntry, FileLock, Storage};
use crate::schema::is_legal_name;
use crate::schema::region_name::is_encoded_name;
use std::collections::BTreeSet;
use std::path::Path;

/// The suffix of the name of a directory whose files have been archived.
const ARCHIVED: &str = ".archived";
/// The suffix of the name of a file which records, in a storage without renames, that a region's files have
/// been archived and the rest of its directory can be removed.
const EMPTIED: &str = ".emptied";

impl RegionDir {
    /// Returns the encoded names of the regions of the table to which files of the region are references or
    /// links, including files that are no longer read.
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

    /// Moves the files of all families to the archive, including families that an interrupted alteration of
    /// the table has left, and then moves the directory aside: [`remove_archived_regions`] removes it.
    /// Without renames, the directory stays until then, but is not a region. Before a file is moved, the
    /// directory is marked for readers that have listed it as a region. `lock` is the directory's lock, which
    /// is checked before each step. Can be retried after a failure, as long as the region exists.
    ///
    /// # Errors
    ///
    /// If the region is not under a root directory, the lock was lost, or an I/O operation fails.
    pub(crate) fn archive_region(&self, lock: &FileLock) -> Result<()> {
        check_root(self)?;
        let storage = &**self.storage();
        let mut families = list_if_exists(storage, self.path())?.unwrap_or_default();
        // A mark that exists is not replaced: it may be a link.
        let is_marked = families.iter().any(|entry| entry.name == ARCHIVING);
        if storage.can_rename(self.path()) && !is_marked {
            check_lock(lock, self.path())?;
            create_empty(storage, &self.path().join(ARCHIVING))?;
        }
        let is_family =
            |dir: &DirEntry| dir.is_dir && !dir.is_symlink && is_legal_name(dir.name.as_encoded_bytes());
        families.retain(is_family);
        for family in families.iter().filter_map(DirEntry::utf8_name) {
            let entries = list_if_exists(storage, &self.path().join(family))?.unwrap_or_default();
            let files = entries.iter().filter(|entry| !entry.is_dir).filter_map(DirEntry::utf8_name);
            let names: Vec<&str> = files.filter(|name| !name.starts_with('.')).collect();
            // An interrupted call may have moved all files, but not durably.
            if !names.is_empty() || self.has_archive(family.as_bytes())? {
                check_lock(lock, self.path())?;
                self.archive(family.as_bytes(), names)?;
            }
        }
        // If the lock was lost, another process may have restored the region.
        check_lock(lock, self.path())?;
        // Moved aside, so that a region's directory exists as a whole or not at all.
        let (table, name) = (parent(self.path()), self.info().encoded_name());
        if !storage.can_rename(table) {
            write_file(self.storage(), &table.join(format!(".{name}{EMPTIED}")), &[])?;
            return unless_not_found(remove(storage, &self.path().join(REGION_INFO)));
        }
        rename(storage, self.path(), &table.join(format!(".{name}{ARCHIVED}")))?;
        sync_dir(storage, table)
    }
}

/// Whether an entry of a table's directory is, or marks, the remains of a region whose files have been
/// archived.
pub(crate) fn is_archived_region(entry: &DirEntry) -> bool {
    !entry.is_symlink && (region_before(ARCHIVED, entry).is_some() || region_before(EMPTIED, entry).is_some())
}

/// Returns the encoded name of the region in the name of an entry with this suffix.
fn region_before<'e>(end: &str, entry: &'e DirEntry) -> Option<&'e str> {
    let name = entry.utf8_name()?.strip_prefix('.')?.strip_suffix(end)?;
    is_encoded_name(name).then_some(name)
}

/// Removes the remains of regions whose files have been archived.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::io::faulty::FaultyStorage;
    use crate::schema::{Family, RegionInfo, TableName};
    use std::io;
    use std::sync::Arc;

    /// As in HDFS, after the process was suspended for long.
    #[test]
    fn a_region_whose_lock_was_lost_is_not_archived() {
        for has_objects in [false, true] {
            let faulty = FaultyStorage::new();
            let mut family = Family::new("f");
            if has_objects {
                faulty.has_objects();
                family = family.configuration("hbase.store.file-tracker.impl", "FILE");
            }
            let storage: Arc<dyn Storage> = Arc::new(faulty);
            let info = RegionInfo::new(TableName::parse("t").unwrap(), "", "", 1).unwrap();
            let path = Path::new("/root/data/default/t").join(info.encoded_name());
            RegionDir::create(&storage, &path, &info, &[family]).unwrap();
            write_file(&storage, &path.join("f/0123456789abcdef0123456789abcdef"), b"file").unwrap();
            let region = RegionDir::open(&storage, &path).unwrap();
            let files = || list_if_exists(&*storage, &path.join("f")).unwrap().map(|files| files.len());
            let before = files();
            let lost = FileLock::with_check((), |()| Err(io::ErrorKind::WouldBlock.into()));
            assert_eq!(region.archive_region(&lost).unwrap_err().kind(), ErrorKind::Locked);
            assert_eq!(files(), before);
            assert!(exists(&*storage, &path.join(REGION_INFO)).unwrap());
            region.archive_region(&FileLock::new(())).unwrap();
            assert!(!exists(&*storage, &path.join(REGION_INFO)).unwrap());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_the_mark_is_not_followed() {
        use crate::io::LocalStorage;

        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        std::fs::write(&other, "kept").unwrap();
        let storage = LocalStorage::shared();
        let info = RegionInfo::new(TableName::parse("t").unwrap(), "", "", 1).unwrap();
        let namespace = dir.path().join("root/data/default");
        std::fs::create_dir_all(&namespace).unwrap();
        let path = namespace.join("t").join(info.encoded_name());
        RegionDir::create(&storage, &path, &info, &[Family::new("f")]).unwrap();
        std::os::unix::fs::symlink(&other, path.join(ARCHIVING)).unwrap();
        RegionDir::open(&storage, &path).unwrap().archive_region(&FileLock::new(())).unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"kept");
        remove_archived_regions(&*storage, path.parent().unwrap()).unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"kept");
        assert!(!path.exists());
    }
}
