//! The directories of a table under a root, for changes of the whole table: removing it, replacing it by an
//! empty one, removing families (HBase: `DeleteTableProcedure`, `TruncateTableProcedure`,
//! `ModifyTableProcedure`, `HFileArchiver`).
//!
//! ```text
//! <root>/data/<namespace>/<table>/            the table
//! <root>/.tmp/data/<namespace>/<table>/       the table after the commit: no reader finds it
//! <root>/.tmp/data/<namespace>/.<table>.new/  the empty table that is to take its place
//! <root>/.tmp/data/<namespace>/.<table>.old/  one that is being removed
//! <root>/.tmp/data/<namespace>/.<table>.<random>.tmp/  the content of a snapshot that is to take its place
//! <root>/archive/data/<namespace>/<table>/    its store files, for snapshots and clones
//! ```
#![warn(clippy::indexing_slicing)]

use super::descriptor::{
    StoredDescriptor, TABLE_DESC_DIR, create_clone_file, read_descriptor, write_descriptor,
};
use super::durable::{
    create_dir_durably, exists, move_files, parent, refuse_link, remove, remove_tree, rename, sync_dir,
    unless_not_found,
};
use super::file_list::{FILE_LIST_DIR, FileList, NewFileList, check_next_list, read_file_list};
use super::file_name::{FileName, Target};
use super::loading::dirs_in_loading;
use super::region::{RECOVERED_EDITS, REGION_INFO, check_lock, fill, is_number};
use super::region_change::RegionChange;
use super::root_tree::RootTree;
use super::table::{create_aside, name_of_aside};
use super::table_regions::TableListing;
use crate::error::{Error, Result};
use crate::io::{DirEntry, FileLock, Storage};
use crate::schema::{Family, RegionInfo, TableName, is_legal_name};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directories of a table. No symbolic link below the root is followed.
///
/// The caller must hold the lock of the root, and those of all regions before it changes anything in
/// [`dir`](Self::dir).
#[derive(Debug)]
pub(crate) struct TableTree {
    storage: Arc<dyn Storage>,
    tree: RootTree,
    table: TableName,
}

/// The locks of all regions of a table, by the names of their directories.
pub(crate) type RegionLocks = BTreeMap<String, FileLock>;

/// The content of an empty table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EmptyTable<'t> {
    /// The content of the descriptor's file.
    pub(crate) descriptor: &'t [u8],
    /// Whether the name of that file contains the length.
    pub(crate) has_length: bool,
    pub(crate) families: &'t [Family],
    pub(crate) regions: &'t [RegionInfo],
}

impl TableTree {
    pub(crate) fn new(storage: &Arc<dyn Storage>, root: &Path, table: &TableName) -> Self {
        Self { storage: Arc::clone(storage), tree: RootTree::new(root), table: table.clone() }
    }

    /// Returns the table's directory, which need not exist.
    pub(crate) fn dir(&self) -> PathBuf {
        self.tree.root().table(&self.table)
    }

    /// Returns the path to which the table's directory is moved.
    pub(crate) fn removed(&self) -> PathBuf {
        self.tree.root().tmp(&self.table)
    }

    fn replacement(&self) -> PathBuf {
        self.removed().with_file_name(format!(".{}.new", self.table.qualifier()))
    }

    /// Whether the table exists.
    pub(crate) fn exists(&self) -> Result<bool> {
        Ok(self.tree.list(&*self.storage, &self.dir())?.is_some())
    }

    /// Whether an operation on a table of this name was interrupted after its commit.
    pub(crate) fn has_remains(&self) -> Result<bool> {
        Ok(self.tree.list(&*self.storage, &self.removed())?.is_some())
    }

    /// Whether there is an empty table that will replace a removed one.
    pub(crate) fn has_replacement(&self) -> Result<bool> {
        Ok(self.tree.list(&*self.storage, &self.replacement())?.is_some())
    }

    /// Returns the names of the table's regions, including parents of splits and merges.
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed or is a symbolic link.
    pub(crate) fn regions(&self) -> Result<Vec<String>> {
        self.regions_in(&self.dir())
    }

    /// Locks all regions with `lock`, which gets their directories, so that no process opens any of them for
    /// writing.
    ///
    /// # Errors
    ///
    /// If one is open for writing.
    pub(crate) fn lock_regions(&self, lock: impl Fn(&Path) -> Result<FileLock>) -> Result<RegionLocks> {
        let mut locks = RegionLocks::new();
        loop {
            // A region may be created after the listing.
            let mut names = self.regions()?;
            names.retain(|name| !locks.contains_key(name));
            if names.is_empty() {
                return Ok(locks);
            }
            for name in names {
                let region = self.dir().join(&name);
                match lock(&region) {
                    // Another process has archived it since the listing.
                    Err(error) if error.is_stale() && self.tree.list(&*self.storage, &region)?.is_none() => {}
                    taken => drop(locks.insert(name, taken?)),
                }
            }
        }
    }

    /// Returns the names of the regions of the table that was moved away.
    fn moved_regions(&self) -> Result<Vec<String>> {
        self.regions_in(&self.removed())
    }

    fn regions_in(&self, dir: &Path) -> Result<Vec<String>> {
        let mut names = self.tree.dirs(&*self.storage, dir)?;
        names.retain(|name| !name.starts_with('.'));
        Ok(names)
    }

    /// Lists the table's directory.
    ///
    /// # Errors
    ///
    /// If a directory on its path is a symbolic link; if the listing [fails](TableListing::read).
    pub(crate) fn listing(&self) -> Result<TableListing> {
        let (storage, table) = (&*self.storage, self.dir());
        TableListing::of(storage, &table, self.tree.list(storage, &table)?.unwrap_or_default())
    }

    /// Reads the table's descriptor; `None` if it has none. `listing` is that of its directory.
    ///
    /// # Errors
    ///
    /// If it is malformed or cannot be read; if its directory is a symbolic link; if a region has a
    /// descriptor of its own, which would take precedence; if values of the table are in MOB files.
    pub(crate) fn descriptor(&self, listing: &TableListing) -> Result<Option<StoredDescriptor>> {
        let (storage, table) = (&*self.storage, self.dir());
        for region in listing.dirs() {
            let own = table.join(region).join(TABLE_DESC_DIR);
            if self.tree.list(storage, &own)?.is_some() {
                let own = own.display();
                let message =
                    format!("a table cannot be changed while a region has a descriptor of its own: {own}");
                return Err(Error::not_supported(message));
            }
        }
        self.tree.list(storage, &table.join(TABLE_DESC_DIR))?; // fails at a symbolic link
        let stored = read_descriptor(storage, &table, &self.table)?;
        stored.as_ref().map_or(Ok(()), StoredDescriptor::refuse_mob)?;
        Ok(stored)
    }

    /// Fails if a symbolic link prevents files of the families selected by `is_moved` from being moved to the
    /// archive. Must be called before the commit of a change that moves them, which could not be completed
    /// otherwise.
    ///
    /// # Errors
    ///
    /// If there is such a link; if a directory cannot be listed.
    pub(crate) fn check_archivable(&self, is_moved: impl Fn(&str) -> bool) -> Result<()> {
        let (table, archive) = (self.dir(), self.tree.root().archive(&self.table));
        for region in self.regions()? {
            for family in self.families(&table.join(&region))?.iter().filter(|family| is_moved(family)) {
                let store = Path::new(&region).join(family);
                self.files(&table.join(&store))?;
                self.tree.list(&*self.storage, &archive.join(&store))?;
            }
        }
        Ok(())
    }

    /// Moves the table's directory to `.tmp`: the commit. Nothing may be there. It is durable after
    /// [`sync_parents`](Self::sync_parents) or [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// If a region was created after the `locks` were taken, and `lock` fails for it, or this cannot be
    /// determined: the table is moved back. If a lock was lost, as far as this is detected; if an I/O
    /// operation fails.
    pub(crate) fn move_away(
        &self,
        locks: &RegionLocks,
        lock: impl Fn(&Path) -> Result<FileLock>,
    ) -> Result<()> {
        let removed = self.removed();
        let move_locked = || {
            create_dir_durably(&*self.storage, &self.tree.root().path, parent(&removed))?;
            // A process that took a lock earlier may have found no directory to remove.
            locks.iter().try_for_each(|(name, lock)| check_lock(lock, &self.dir().join(name)))?;
            rename(&*self.storage, &self.dir(), &removed)
        };
        match move_locked() {
            // The directory was removed by a process that has opened a region of another table, or of this
            // table after its lock was lost.
            Err(error) if error.is_not_found() && self.exists()? => move_locked()?,
            moved => moved?,
        }
        let check = || {
            let names = self.moved_regions()?;
            let mut new = names.iter().filter(|name| !locks.contains_key(*name));
            new.try_for_each(|name| lock(&removed.join(name)).map(drop))
        };
        check().or_else(|error| {
            self.move_back()?;
            Err(error)
        })
    }

    /// Makes a late [`move_away`](Self::move_away) fail, by a process that has lost its locks: removes the
    /// directory to which it moves the table, unless other tables use it. Must be called after a lock of a
    /// region that can be lost was taken: no process with valid locks has anything of the table there.
    pub(crate) fn prevent_move(&self) {
        let dir = self.removed();
        let dir = parent(&dir);
        if matches!(self.tree.list(&*self.storage, dir), Ok(Some(_))) && self.discard_replacement().is_ok() {
            // If this fails, such a late move may still succeed.
            let _ = self.storage.remove_dir(dir);
        }
    }

    /// Undoes [`move_away`](Self::move_away).
    pub(crate) fn move_back(&self) -> Result<()> {
        rename(&*self.storage, &self.removed(), &self.dir())?;
        self.sync_parents()
    }

    /// Makes durable whether the table is in `data` or in `.tmp`.
    pub(crate) fn sync_parents(&self) -> Result<()> {
        let storage = &*self.storage;
        create_dir_durably(storage, &self.tree.root().path, parent(&self.removed()))?;
        sync_dir(storage, parent(&self.removed()))?;
        let data = self.dir();
        match self.tree.list(storage, parent(&data))? {
            Some(_) => sync_dir(storage, parent(&data)),
            None => Ok(()),
        }
    }

    /// Moves the store files of a table that was moved away to the archive, and removes the rest of it. Does
    /// nothing if there is none; can be repeated.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails, or a directory is a symbolic link.
    pub(crate) fn finish(&self) -> Result<()> {
        let removed = self.removed();
        if self.tree.list(&*self.storage, &removed)?.is_none() {
            return Ok(());
        }
        // After a process has died the rename may not be durable yet, and no file may leave the directory of
        // a table that could reappear.
        self.sync_parents()?;
        for region in self.moved_regions()? {
            for family in self.families(&removed.join(&region))? {
                self.archive_family(&removed, &region, &family)?;
            }
        }
        remove_tree(&*self.storage, &removed)?;
        sync_dir(&*self.storage, parent(&removed))
    }

    /// Whether the table has been written to since it was created or cloned: a region has a store file of its
    /// own, or edits.
    pub(crate) fn has_writes(&self) -> Result<bool> {
        self.has_files(|file| {
            let name = file.utf8_name().and_then(FileName::parse);
            !matches!(name, Some(FileName::Reference(..) | FileName::Whole(Target::Link { .. })))
        })
    }

    /// Whether the table has no rows: no region has a file of any family, or edits.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        self.has_files(|_| true).map(|has_files| !has_files)
    }

    /// Whether a region has edits, or a file of a family selected by `is_own`.
    fn has_files(&self, is_own: impl Fn(&DirEntry) -> bool) -> Result<bool> {
        for region in self.regions()? {
            let dir = self.dir().join(region);
            let edits = self.tree.files(&*self.storage, &dir.join(RECOVERED_EDITS))?;
            if edits.iter().filter_map(DirEntry::utf8_name).any(is_number) {
                return Ok(true);
            }
            for family in self.families(&dir)? {
                if self.files(&dir.join(family))?.iter().any(&is_own) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Returns the names of the directories of families in the directory of a region.
    fn families(&self, region: &Path) -> Result<Vec<String>> {
        let mut names = self.tree.dirs(&*self.storage, region)?;
        names.retain(|name| is_legal_name(name.as_bytes()));
        Ok(names)
    }

    /// Returns the files in the directory of a family, except hidden ones, which belong to no store.
    fn files(&self, family: &Path) -> Result<Vec<DirEntry>> {
        let mut files = self.tree.files(&*self.storage, family)?;
        files.retain(|file| !file.is_hidden());
        Ok(files)
    }

    /// Fails if there is a file in any directory of a family, which the table does not have, or a list of
    /// files.
    pub(crate) fn refuse_files_of(&self, family: &str) -> Result<()> {
        for region in self.regions()? {
            let region = self.dir().join(region);
            let dir = region.join(family);
            // Without renames, an empty list stays.
            let has_list = match self.storage.can_rename(&dir) {
                true => !self.tree.files(&*self.storage, &dir.join(FILE_LIST_DIR))?.is_empty(),
                false => self.list_of(&dir)?.is_some_and(|list| !list.files.is_empty()),
            };
            let mut has_files = has_list || !self.files(&dir)?.is_empty();
            for loading in dirs_in_loading(&self.tree, &*self.storage, &region, family)? {
                has_files |= !self.files(&loading)?.is_empty();
            }
            if has_files {
                let message = format!(
                    "{} has files of a family that was deleted: alter the table to add the family, which \
                     archives them",
                    dir.display()
                );
                return Err(Error::invalid_argument(message));
            }
        }
        Ok(())
    }

    /// Makes durable which recovered edits the regions have. A dead process may have removed some without a
    /// sync: their cells must not come back in a later family of the same name.
    pub(crate) fn sync_edits(&self) -> Result<()> {
        self.regions()?.iter().try_for_each(|region| {
            let edits = self.dir().join(region).join(RECOVERED_EDITS);
            unless_not_found(sync_dir(&*self.storage, &edits))
        })
    }

    /// Moves the files of a family of a region to the archive. `table` is the directory of the table.
    fn archive_family(&self, table: &Path, region: &str, family: &str) -> Result<()> {
        self.archive_files(&table.join(region).join(family), region, family)
    }

    /// Like [`archive_family`](Self::archive_family), for files in a directory.
    fn archive_files(&self, dir: &Path, region: &str, family: &str) -> Result<()> {
        let storage = &*self.storage;
        let files = self.files(dir)?;
        let root = self.tree.root();
        let archive = root.archive(&self.table).join(region).join(family);
        // Fails at a symbolic link. An interrupted call may have moved all files, but not durably.
        if self.tree.list(storage, &archive)?.is_none() && files.is_empty() {
            return Ok(());
        }
        create_dir_durably(storage, &root.path, &archive)?;
        move_files(&self.storage, &root.path, dir, &archive, files.iter().map(|file| Path::new(&file.name)))
    }

    /// Returns the current list of a family's files; `None` if there is none.
    fn list_of(&self, family: &Path) -> Result<Option<FileList>> {
        self.tree.list(&*self.storage, &family.join(FILE_LIST_DIR))?; // fails at a symbolic link
        read_file_list(&*self.storage, family)
    }

    /// Fails if the lists of files of a family cannot be [ended](Self::end_lists) in some region.
    pub(crate) fn check_next_lists(&self, family: &str) -> Result<()> {
        let (storage, table) = (&*self.storage, self.dir());
        self.regions()?
            .iter()
            .try_for_each(|region| check_next_list(storage, &table.join(region).join(family)))
    }

    /// Makes an empty list the current one of a family's files in all regions, in a storage without renames:
    /// a request that makes the old family's next list may be executed late, even if there is no list or an
    /// empty one. It then has no effect. Must be called when a family is removed, before its files are
    /// archived; can be repeated.
    ///
    /// # Errors
    ///
    /// If a list is malformed, or an I/O operation fails.
    pub(crate) fn end_lists(&self, family: &str) -> Result<()> {
        let (storage, table) = (&*self.storage, self.dir());
        for region in self.regions()? {
            let dir = table.join(&region);
            let has_dir = self.families(&dir)?.iter().any(|name| name == family);
            if has_dir || exists(storage, &dir.join(REGION_INFO))? {
                self.end_list(&dir.join(family))?;
            }
        }
        Ok(())
    }

    /// Makes an empty list the current one of a family's files, with a number that no list has had.
    fn end_list(&self, family: &Path) -> Result<()> {
        let storage = &*self.storage;
        self.tree.list(storage, &family.join(FILE_LIST_DIR))?; // fails at a symbolic link
        loop {
            let mut list = read_file_list(storage, family)?.unwrap_or_default();
            list.files.clear();
            let new = NewFileList::after(storage, family, list, 0)?;
            new.write(storage, Path::new(""))?;
            match new.publish(storage, Path::new("")) {
                // The late list was made in the meantime.
                Err(error) if error.is_already_exists() => {}
                published => return published.and_then(|()| new.remove_old(storage)),
            }
        }
    }

    /// In a storage without renames, removes everything left in a family's directory, except the current list
    /// of files, which is empty. The list stays, so that its number is not reused.
    fn empty_family(&self, family: &Path) -> Result<()> {
        let storage = &*self.storage;
        for entry in self.tree.list(storage, family)?.unwrap_or_default() {
            let path = family.join(&entry.name);
            if !entry.is_dir {
                unless_not_found(remove(storage, &path))?;
            } else if entry.name != FILE_LIST_DIR {
                remove_tree(storage, &path)?;
            }
        }
        Ok(())
    }

    /// Removes a family that the table does not have, or no longer has: moves its files to the archive, in
    /// all regions. Returns whether there was any directory of that name, or, in a storage without renames,
    /// any file.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails, or a directory is a symbolic link.
    pub(crate) fn remove_family(&self, family: &str) -> Result<bool> {
        let (storage, table) = (&*self.storage, self.dir());
        let mut was_any = false;
        for region in self.regions()? {
            let dir = table.join(&region);
            for loading in dirs_in_loading(&self.tree, storage, &dir, family)? {
                was_any = true;
                self.archive_files(&loading, &region, family)?;
                remove_tree(storage, &loading)?;
            }
            if !self.families(&dir)?.iter().any(|name| name == family) {
                // A dead process may have removed it without a sync: it could reappear with a list of files.
                if storage.can_rename(&dir) {
                    sync_dir(storage, &dir)?;
                }
                continue;
            }
            if !storage.can_rename(&dir) {
                let family_dir = dir.join(family);
                let list = self.list_of(&family_dir)?;
                let has_listed = list.as_ref().is_some_and(|list| !list.files.is_empty());
                was_any |= !self.files(&family_dir)?.is_empty() || has_listed;
                // An empty list was made when the family was removed, and no process has changed it since.
                if list.is_none() || has_listed {
                    self.end_list(&family_dir)?;
                }
                self.archive_family(&table, &region, family)?;
                self.empty_family(&family_dir)?;
                continue;
            }
            was_any = true;
            self.archive_family(&table, &region, family)?;
            remove_tree(storage, &dir.join(family))?;
            sync_dir(storage, &dir)?;
        }
        Ok(was_any)
    }

    /// Archives the store files of the regions that a change in place has removed, and then removes their
    /// directories. Can be repeated. `locks` are the locks held; a region without one is locked with `lock`.
    ///
    /// # Errors
    ///
    /// If a region is locked elsewhere, or its lock was lost; as [`finish`](Self::finish).
    pub(crate) fn archive_removed(
        &self,
        change: &RegionChange,
        locks: &mut RegionLocks,
        lock: impl Fn(&Path) -> Result<FileLock>,
    ) -> Result<()> {
        let (storage, table) = (&*self.storage, self.dir());
        let left: BTreeSet<String> = self.regions()?.into_iter().collect();
        for name in change.removed().iter().filter(|name| left.contains(*name)) {
            let region = table.join(name);
            let lock = locks.remove(name).map_or_else(|| lock(&region), Ok)?;
            for family in self.families(&region)? {
                check_lock(&lock, &region)?;
                self.archive_family(&table, name, &family)?;
            }
            check_lock(&lock, &region)?;
            // First, because a region must not lack its lists of files.
            unless_not_found(remove(storage, &region.join(REGION_INFO)))?;
            remove_tree(storage, &region)?;
        }
        sync_dir(storage, &table)
    }

    /// Creates empty regions in the table's directory.
    pub(crate) fn create_regions(&self, regions: &[RegionInfo], families: &[Family]) -> Result<()> {
        let create = |region: &RegionInfo| {
            fill(&self.storage, &self.dir().join(region.encoded_name()), region, families)
        };
        regions.iter().try_for_each(create)
    }

    /// Builds the empty table that will replace the removed one. Removes one that an interrupted call has
    /// left.
    pub(crate) fn prepare_replacement(&self, empty: EmptyTable<'_>) -> Result<()> {
        self.discard_replacement()?;
        let storage = &self.storage;
        let replacement = self.replacement();
        create_dir_durably(&**storage, &self.tree.root().path, parent(&replacement))?;
        create_aside(storage, &replacement, |dir| {
            write_descriptor(storage, dir, 1, empty.has_length, empty.descriptor)?;
            create_clone_file(storage, dir)?;
            let each =
                |region: &RegionInfo| fill(storage, &dir.join(region.encoded_name()), region, empty.families);
            empty.regions.iter().try_for_each(each)
        })
    }

    /// Removes the replacement, if any, and the remains of others. None is being built, because the lock of
    /// the root is held.
    pub(crate) fn discard_replacement(&self) -> Result<()> {
        self.discard_others(None)
    }

    /// Like [`discard_replacement`](Self::discard_replacement), but keeps a directory that will replace the
    /// table.
    pub(crate) fn discard_others(&self, kept: Option<&Path>) -> Result<()> {
        let (storage, replacement) = (&*self.storage, self.replacement());
        let (dir, discarded) = (parent(&replacement), replacement.with_extension("old"));
        if self.has_replacement()? {
            // A part of it must not be mistaken for the whole.
            refuse_link(storage, &discarded)?;
            remove_tree(storage, &discarded)?;
            rename(storage, &replacement, &discarded)?;
            sync_dir(storage, dir)?;
        }
        let is_left = |entry: &DirEntry| {
            let aside = entry.utf8_name().and_then(name_of_aside);
            let is_for = |name: &str| replacement.ends_with(name) || name == self.table.qualifier();
            discarded.ends_with(&entry.name) || aside.is_some_and(is_for)
        };
        let mut left = self.tree.list(storage, dir)?.unwrap_or_default();
        left.retain(|entry| entry.is_dir && is_left(entry) && kept != Some(dir.join(&entry.name).as_path()));
        for path in left.iter().map(|entry| dir.join(&entry.name)) {
            refuse_link(storage, &path)?;
            remove_tree(storage, &path)?;
        }
        if left.is_empty() { Ok(()) } else { sync_dir(storage, dir) }
    }

    /// Renames the replacement to the table's path, durably. The table must have been moved away durably.
    pub(crate) fn install_replacement(&self) -> Result<()> {
        rename(&*self.storage, &self.replacement(), &self.dir())?;
        self.sync_parents()
    }

    /// Fails if values of the table are, or may later be, in MOB files.
    pub(crate) fn refuse_mob(&self) -> Result<()> {
        match read_descriptor(&*self.storage, &self.dir(), &self.table) {
            Ok(Some(stored)) => stored.refuse_mob()?,
            // A table is also removed if its descriptor is lost or damaged.
            Ok(None) => {}
            Err(error) if error.corruption().is_some() => {}
            Err(error) => return Err(error),
        }
        match self.tree.list(&*self.storage, &self.tree.root().mob(&self.table))? {
            None => Ok(()),
            Some(_) => {
                Err(Error::not_supported(format!("a table with MOB files cannot be removed: {}", self.table)))
            }
        }
    }
}
