//! The directory of a region (hfile.md §15; HBase: `HRegionFileSystem`).
#![warn(clippy::indexing_slicing)]

mod archive;
mod creation;
mod recovered_edits;

pub(crate) use creation::check_tracked_by_list;
pub(super) use creation::{already_exists, fill, write_restored};
pub(super) use recovered_edits::write_max_seq_id;
pub(crate) use recovered_edits::{RECOVERED_EDITS, is_number, replace_max_seq_id};

use super::SchemaChange;
use super::copy_record::COPIES;
use super::descriptor::{
    StoredDescriptor, TableIdentity, check_families, create_whole_descriptor, may_have_descriptor,
    read_descriptor,
};
use super::durable::{create_dir, exists, list_if_exists, remove_tree, sync_dir, sync_name};
use super::family::{FamilyDir, StoreFiles};
use super::file_list::{FILE_LIST_DIR, check_next_list};
use super::load_record::LOAD;
use super::loading::is_loading;
use super::logs::UnreadLogs;
use super::mob::MobDirs;
use super::reference::{Half, Reference};
use super::region_change::RegionChange;
use super::replacement::ReplacementKind;
use super::root::{Root, TableDir};
use super::store_file_info::StoreFileInfo;
use super::table::sync_table_dirs;
use super::table_regions::TableListing;
use super::table_tree::TableTree;
use super::tracker::StoreFileTracker;
use crate::cell::CellOrder;
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::io::{DirEntry, FileLock, Storage, read_file};
use crate::schema::{Family, RegionInfo, TableDescription, TableDescriptor, is_legal_name};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The directory of a region: its table and key range, its families, and the locations of their files.
///
/// | entry | |
/// |---|---|
/// | `.regioninfo` | the table and the key range; required; under a root, must match the directory's name |
/// | `../.tabledesc/.tableinfo.<n>` | the families and their settings |
/// | `.tabledesc/.tableinfo.<n>` | the same, for a region outside a root directory; takes precedence |
/// | `<family>/` | store files; a directory that does not exist has none |
/// | `recovered.edits/` | writes in no store file yet; the greatest sequence id, as an empty file's name |
/// | `<family>/recovered.hfiles/` | files with such writes, which HBase moves when it opens the region |
/// | `.tmp/`, `.splits/`, `.merges/` | unfinished work: not read |
/// | `.load` | files of an unfinished bulk load, which the next one [undoes](Self::undo_load): not read |
/// | `.loaded` | the same without renames, [resolved](Self::resolve_copies) when the region is opened |
/// | `.restored.<n>` | without renames, the number of the descriptor of the restored table |
/// | `.loading.<random>/` | files that a bulk load moves, named when the region is opened for writing |
/// | `.hregion.archiving` | the region was split or merged, and is being archived |
#[derive(Debug)]
pub(crate) struct RegionDir {
    path: PathBuf,
    table: TableDir,
    /// The name of the directory.
    name: String,
    info: RegionInfo,
    descriptor: Option<StoredDescriptor>,
    /// A descriptor given by the caller.
    given: Option<TableDescriptor>,
    families: Vec<Family>,
    /// Whether this is the region of a snapshot.
    is_of_snapshot: bool,
    recovered_edits: Vec<PathBuf>,
    recovered_hfiles: Vec<PathBuf>,
    /// Recovered edits that are not in the region's directory.
    misplaced_edits: Vec<PathBuf>,
    max_seq_id: Option<i64>,
    /// Families whose archive directory is known to be durable.
    archived: Mutex<BTreeSet<Vec<u8>>>,
}

/// The size limit of a `.regioninfo`, which contains two rows at most.
const REGION_INFO_BYTES: u64 = 1 << 20;

/// The file in a region's directory that a writer locks, or in a root, a recovery. HBase ignores it.
pub(crate) const LOCK: &str = ".hregion.lock";
pub(crate) const REGION_INFO: &str = ".regioninfo";
/// An empty file in the directory of a region whose files are being moved to the archive with it: what a
/// reader lists there is not all of them. HBase ignores it.
pub(super) const ARCHIVING: &str = ".hregion.archiving";
pub(super) const TMP: &str = ".tmp";
/// The prefix of an empty file in the directory of a region restored in a storage without renames, before the
/// number of the table's new descriptor: the restoration is complete before the descriptor is written, and
/// reads in between must not use the old settings.
pub(super) const RESTORED: &str = ".restored.";

impl RegionDir {
    /// Opens a directory. The caller must replay its [recovered edits](Self::recovered_edits).
    ///
    /// # Errors
    ///
    /// If anything in it is unreadable or malformed.
    pub(crate) fn open(storage: &Arc<dyn Storage>, path: &Path) -> Result<Self> {
        let info_path = path.join(REGION_INFO);
        let info = match find_region_info(&**storage, path)? {
            Some(info) => info,
            // In older releases the catalog's region has no `.regioninfo`.
            None if is_meta(storage, path)? => RegionInfo::meta(),
            None => read_region_info(&**storage, path)?,
        };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let table = TableDir::of_region(storage, path, &info)?;
        if table.root.is_some() && !info.is_encoded_as(&name) {
            let corruption = Corruption::Malformed("the region info is not that of the directory's name");
            return Err(corruption.at(&info_path, 0));
        }
        let entries = storage.list_dir(path).map_err(|error| Error::io("list", path, error))?;
        let own = match may_have_descriptor(&entries) {
            true => read_descriptor(&**storage, path, info.table())?,
            false => None,
        };
        let mut descriptor = match own {
            None => read_descriptor(&**storage, &table.path, info.table())?,
            own => own,
        };
        if descriptor.is_none() && table.root.is_some() && storage.can_rename(path) {
            // While another process replaces the table, neither the old nor the new one exists.
            storage.list_dir(path).map_err(|error| Error::io("list", path, error))?;
            descriptor = read_descriptor(&**storage, &table.path, info.table())?;
        }
        let names = entries.iter().filter_map(DirEntry::utf8_name);
        let number = names.filter_map(|name| name.strip_prefix(RESTORED)?.parse::<u64>().ok()).max();
        if let Some(number) = number.filter(|_| !may_have_descriptor(&entries)) {
            descriptor = restored_descriptor(&table, number, descriptor)?;
        }
        let families = match &descriptor {
            Some(stored) => stored.descriptor.families().cloned().collect(),
            None => families_by_name(&entries),
        };
        let mut dir = Self { descriptor, families, ..Self::unread(path.to_owned(), table, name, info) };
        dir.find_recovered()?;
        Ok(dir)
    }

    /// Returns a directory whose contents have not been read.
    fn unread(path: PathBuf, table: TableDir, name: String, info: RegionInfo) -> Self {
        Self {
            path,
            table,
            name,
            info,
            descriptor: None,
            given: None,
            families: Vec::new(),
            is_of_snapshot: false,
            recovered_edits: Vec::new(),
            recovered_hfiles: Vec::new(),
            misplaced_edits: Vec::new(),
            max_seq_id: None,
            archived: Mutex::default(),
        }
    }

    /// Returns a directory for files outside of any region. Reads nothing from it.
    pub(crate) fn of_files(storage: &Arc<dyn Storage>, path: &Path, info: RegionInfo) -> Self {
        let (storage, table) = (Arc::clone(storage), info.table().clone());
        let table = TableDir { storage, table, path: path.to_owned(), root: None };
        Self::unread(path.to_owned(), table, String::new(), info)
    }

    /// Returns the directory of a region of a snapshot, whether it still exists or not. Reads nothing from
    /// it. Without a descriptor, the families keep all versions of all cells.
    pub(super) fn of_snapshot(
        storage: &Arc<dyn Storage>,
        root: &Root,
        info: &RegionInfo,
        descriptor: Option<StoredDescriptor>,
        families: &[Family],
    ) -> Self {
        let (name, path) = (info.encoded_name(), root.table(info.table()));
        let families = match &descriptor {
            Some(stored) => stored.descriptor.families().cloned().collect(),
            None => families.to_vec(),
        };
        let (dir, table) = (path.join(&name), info.table().clone());
        let table = TableDir { storage: Arc::clone(storage), table, path, root: Some(root.clone()) };
        Self { descriptor, families, is_of_snapshot: true, ..Self::unread(dir, table, name, info.clone()) }
    }

    /// Returns the path of the directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn storage(&self) -> &Arc<dyn Storage> {
        &self.table.storage
    }

    /// Returns the directory in which files are written before they are renamed.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.path().join(TMP)
    }

    /// Returns the region's table and key range.
    pub(crate) fn info(&self) -> &RegionInfo {
        &self.info
    }

    /// Returns the order of the region's cells.
    pub(crate) fn order(&self) -> CellOrder {
        if self.info.table().is_meta() { CellOrder::Meta } else { CellOrder::User }
    }

    /// Returns the families, sorted by name: those of the descriptor, or, without a descriptor, those of the
    /// directories. The latter keep all versions of all cells, since their settings are unknown.
    pub(crate) fn families(&self) -> &[Family] {
        &self.families
    }

    /// Whether there is a descriptor, so that the families' settings are known.
    pub(crate) fn has_descriptor(&self) -> bool {
        self.descriptor.is_some()
    }

    /// Takes settings from a descriptor, if the region has none.
    pub(crate) fn give_descriptor(&mut self, descriptor: &TableDescriptor) {
        self.given = self.descriptor.is_none().then(|| descriptor.clone());
    }

    /// Returns a setting of a family, or else of its table.
    pub(crate) fn setting(&self, family: &[u8], key: &str) -> Option<&str> {
        self.stored().or(self.given.as_ref())?.setting(family, key)
    }

    /// Returns a switch of a family, or else of its table. Like HBase, takes everything but `true` as false.
    pub(crate) fn flag(&self, family: &[u8], key: &str, default: bool) -> bool {
        self.setting(family, key).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// Returns all settings of the table as text; for families without a descriptor, the given ones.
    pub(crate) fn description<'f>(&self, families: impl Iterator<Item = &'f Family>) -> TableDescription {
        let descriptor = self.stored().or(self.given.as_ref()).cloned();
        let descriptor = descriptor.unwrap_or_else(|| TableDescriptor::new(self.info.table().clone(), &[]));
        let has = |name: &[u8]| descriptor.families().any(|family| family.name() == name);
        let others: Vec<Family> = families.filter(|family| !has(family.name())).cloned().collect();
        descriptor.with_families(&others).description()
    }

    /// Returns the identity of the table, which distinguishes it from its predecessors and successors of the
    /// same name; `None` if it is unknown.
    pub(crate) fn table_identity(&self) -> Option<&TableIdentity> {
        self.descriptor.as_ref().and_then(|stored| stored.identity_of(&self.table.path))
    }

    /// Whether values of a family may be in MOB files: the descriptor says so, or there is none.
    pub(crate) fn may_have_mob(&self, family: &[u8]) -> bool {
        let descriptor = self.stored().or(self.given.as_ref());
        descriptor.is_none_or(|descriptor| descriptor.has_mob(family))
    }

    /// Returns the directories of the MOB files of a family; `None` without a root directory with MOB files.
    pub(crate) fn mob_dirs(&self, family: &[u8]) -> Option<MobDirs> {
        let root = self.table.root.as_ref().filter(|root| root.has_namespaces)?;
        Some(MobDirs::new(root.clone(), family))
    }

    /// Fails if the region has values in MOB files, which cannot be written.
    ///
    /// # Errors
    ///
    /// Of kind [`Unsupported`](crate::ErrorKind::Unsupported), if it has.
    pub(crate) fn refuse_mob(&self) -> Result<()> {
        let given = self.given.as_ref().filter(|_| self.descriptor.is_none());
        given
            .map_or(Ok(()), TableDescriptor::refuse_mob)
            .map_err(|corruption| corruption.at(&self.path, 0))?;
        self.descriptor.as_ref().map_or(Ok(()), StoredDescriptor::refuse_mob)
    }

    /// Whether the descriptor was replaced after it was read: files of families that it no longer has may
    /// have been archived one by one; or another table may have replaced this one.
    pub(crate) fn is_altered(&self) -> Result<bool> {
        self.descriptor.as_ref().map_or(Ok(false), |stored| stored.is_replaced(&**self.storage()))
    }

    /// Returns the descriptor that was found with the files.
    fn stored(&self) -> Option<&TableDescriptor> {
        self.descriptor.as_ref().map(|stored| &stored.descriptor)
    }

    /// Determines the region's families: all given ones, and the others of the descriptor or of the
    /// directories. Returns them, and whether the descriptor must be altered first.
    ///
    /// # Errors
    ///
    /// If given families differ from the descriptor, unless it is altered. The message lists the differences.
    pub(crate) fn reconcile(&self, given: &[Family], change: SchemaChange) -> Result<(Vec<Family>, bool)> {
        let is_altered = match &self.descriptor {
            Some(stored) => check_families(stored, given, change)?,
            None => change == SchemaChange::Alter && !given.is_empty(),
        };
        let is_given = |family: &&Family| given.iter().any(|given| given.name() == family.name());
        let others = self.families.iter().filter(|family| !is_given(family));
        let mut families: Vec<Family> = given.iter().chain(others).cloned().collect();
        families.sort_by(|a, b| a.name().cmp(b.name()));
        Ok((families, is_altered))
    }

    /// Rewrites the descriptor, with `families` in place of those of the same names.
    ///
    /// # Errors
    ///
    /// If the table has files of a deleted family with the name of one that is added: its cells must not come
    /// back.
    pub(crate) fn alter(&mut self, families: &[Family]) -> Result<()> {
        let storage = Arc::clone(self.storage());
        match &self.descriptor {
            Some(stored) => {
                if let Some(root) = self.table.root.as_ref().filter(|root| root.has_namespaces) {
                    let tree = TableTree::new(&storage, &root.path, self.info.table());
                    let is_known = |family: &Family| self.families.iter().any(|f| f.name() == family.name());
                    for family in families.iter().filter(|family| !is_known(family)) {
                        tree.refuse_files_of(&String::from_utf8_lossy(family.name()))?;
                    }
                }
                stored.alter(&storage, families)?;
            }
            None => {
                let owner = if self.table.root.is_some() { &self.table.path } else { &self.path };
                let table = self.info.table().clone();
                let new = self.given.take().unwrap_or_else(|| TableDescriptor::new(table, &[]));
                create_whole_descriptor(&storage, owner, &new.with_families(families))?;
            }
        }
        let path = self.path.clone();
        *self = Self::open(&storage, &path)?;
        Ok(())
    }

    /// Fails if the directory is in a storage without renames, and the files of a family are not tracked by a
    /// list, or only by one that can have no successor: several files could then not be changed at once.
    pub(crate) fn check_trackers(&self, families: &[Family]) -> Result<()> {
        if self.storage().can_rename(&self.path) {
            return Ok(());
        }
        check_tracked_by_list(families, self.stored())?;
        let dirs = families.iter().map(|family| self.family(family.name()).path());
        dirs.into_iter().try_for_each(|dir| check_next_list(&**self.storage(), &dir))
    }

    /// Prepares the directory for writes: creates the directory of every family, and empties `.tmp`.
    /// Afterwards, the state read from the directory is durable. The caller must hold the lock.
    ///
    /// # Errors
    ///
    /// If a directory to be written to is a symbolic link, which may lead out of the root; or if an I/O
    /// operation fails.
    pub(crate) fn prepare_for_writes(&self, families: &[Family]) -> Result<()> {
        let storage = &**self.storage();
        let is_ours = |entry: &DirEntry| {
            entry.name == TMP
                || entry.name == RECOVERED_EDITS
                || entry.name == LOAD
                || entry.name == COPIES
                || families.iter().any(|family| entry.name.as_encoded_bytes() == family.name())
        };
        let entries = storage.list_dir(&self.path).map_err(|error| Error::io("list", &self.path, error))?;
        let has = |name: &str| entries.iter().any(|entry| entry.name == *name && !entry.is_dir);
        let (has_load, has_copies) = (has(LOAD), has(COPIES) && !storage.can_rename(&self.path));
        let loading = entries.iter().filter(|entry| is_loading(entry));
        let loading: Vec<PathBuf> = loading.map(|entry| self.path.join(&entry.name)).collect();
        refuse_links(&self.path, entries, is_ours)?;
        // A dead process may not have synced its renames of the descriptor, whose families are written to, or
        // of the region itself.
        if let Some(descriptor) = &self.descriptor {
            descriptor.sync_name(storage)?;
        }
        if self.table.root.is_none() {
            sync_name(storage, &self.path)?;
        }
        remove_tree(storage, &self.tmp())?;
        create_dir(storage, &self.tmp())?;
        loading.iter().try_for_each(|loading| self.name_loading(loading, families))?;
        if has_load {
            self.sync_loaded_dirs()?;
        }
        for family in families {
            let dir = self.family(family.name()).path();
            create_dir(storage, &dir)?;
            let entries = list_if_exists(storage, &dir)?.unwrap_or_default();
            let has_lists = entries.iter().any(|entry| entry.name == FILE_LIST_DIR);
            refuse_links(&dir, entries, |entry| entry.name == FILE_LIST_DIR)?;
            // A dead writer may have moved files to the archive, where snapshots find them, without syncing
            // their new names: these must be durable before the old ones are gone.
            self.sync_archive(family.name())?;
            // It may have renamed files without syncing the names. Files that are read must survive a crash.
            if has_lists {
                sync_dir(storage, &dir.join(FILE_LIST_DIR))?;
            }
            sync_dir(storage, &dir)?;
        }
        if has_load {
            self.forget_listed_loads(families)?;
        }
        if has_copies {
            match self.resolve_copies(families, true) {
                // A malformed record stays, for the next load.
                Err(error) if error.path() == Some(&self.copies_path()) && error.kind() != ErrorKind::Io => {}
                resolved => resolved?,
            }
        }
        sync_dir(storage, &self.path)
    }

    /// Prevents another process that has lost the lock of the region from moving the table away late. The
    /// caller must hold the lock.
    pub(crate) fn prevent_move_of_table(&self) {
        if let Some(root) = self.root_of_table().filter(|root| self.storage().can_rename(root)) {
            TableTree::new(self.storage(), root, self.info.table()).prevent_move();
        }
    }

    /// Returns the root directory of all tables, if the region is under one.
    pub(crate) fn root(&self) -> Option<&Path> {
        self.table.root.as_ref().map(|root| root.path.as_path())
    }

    /// Makes the directory of the table durable, under a root: see [`sync_table_dirs`].
    pub(crate) fn sync_table_dirs(&self) -> Result<()> {
        match self.table.root {
            Some(_) => sync_table_dirs(&**self.storage(), &self.table.path),
            None => Ok(()),
        }
    }

    /// Lists the directory of the table; `None` outside of a root, where regions are not split or merged.
    ///
    /// # Errors
    ///
    /// Same as [`TableListing::read`].
    pub(crate) fn table_listing(&self) -> Result<Option<TableListing>> {
        let table = self.table.root.as_ref().map(|_| &self.table.path);
        table.map(|table| TableListing::read(&**self.storage(), table)).transpose()
    }

    /// Returns the root directory, if it has the layout of 0.96 and later, with the region's table in its
    /// place.
    pub(crate) fn root_of_table(&self) -> Option<&Path> {
        let root = self.table.root.as_ref()?;
        let is_in_place = root.has_namespaces && root.table(&self.table.table) == self.table.path;
        is_in_place.then_some(root.path.as_path())
    }

    /// Returns the logs of servers that may have edits of the region's table; `None` if it is under no root,
    /// or in a snapshot, before which the regions were flushed.
    pub(crate) fn unread_logs(&self) -> Option<UnreadLogs> {
        if self.is_of_snapshot || self.root_of_table().is_none() {
            return None;
        }
        UnreadLogs::of_table(self.storage(), &self.table.path, &self.table.table)
    }

    /// Returns the directory of a family.
    pub(crate) fn family(&self, family: &[u8]) -> FamilyDir {
        FamilyDir {
            table: self.table.clone(),
            region: self.name.clone(),
            family: String::from_utf8_lossy(family).into_owned(),
        }
    }

    /// Returns the store file tracker of a family. Only a descriptor found with the files determines it.
    pub(super) fn tracker(&self, family: &[u8]) -> Result<StoreFileTracker> {
        StoreFileTracker::from_settings(|key| self.stored()?.setting(family, key))
            .map_err(|corruption| corruption.at(&self.table.path.join(".tabledesc"), 0))
    }

    /// Returns the files of a family, with links and references followed.
    ///
    /// # Errors
    ///
    /// If the directory, a list, a reference or a link cannot be read or is malformed; if the target of a
    /// reference or link is missing; if a reference is to a half that does not belong to the region; or if
    /// the region's directory no longer exists.
    pub(crate) fn store_files(&self, family: &[u8]) -> Result<StoreFiles> {
        let files = self.family(family).store_files(self.tracker(family)?)?;
        if files.files.is_empty() {
            // The family's directory may be missing because it was never created, or because the region was
            // moved.
            self.check_exists()?;
        }
        self.check_references(family, &files)?;
        Ok(files)
    }

    /// Like [`store_files`](Self::store_files), but returns the faults of single files separately: also those
    /// of files without bytes, which are not read.
    ///
    /// # Errors
    ///
    /// If the directory or a list of files cannot be read, or a list is malformed; or if the region's
    /// directory no longer exists.
    pub(crate) fn found_files(&self, family: &[u8]) -> Result<(StoreFiles, Vec<Error>)> {
        let (found, mut faults) = self.family(family).found_files(self.tracker(family)?)?;
        if found.files.is_empty() {
            self.check_exists()?;
        }
        faults.extend(found.files.iter().filter_map(|file| self.check_reference(family, file).err()));
        Ok((found, faults))
    }

    /// Fails if the directory does not exist: another process has archived or removed the region since it was
    /// opened.
    fn check_exists(&self) -> Result<()> {
        let storage = &**self.storage();
        // Without renames, the directory is emptied file by file, after it has ceased to be a region.
        let is_there = match self.table.root.is_none() || storage.can_rename(&self.path) {
            true => list_if_exists(storage, &self.path)?.is_some(),
            false => exists(storage, &self.path.join(REGION_INFO))?,
        };
        if is_there { Ok(()) } else { Err(is_gone(&self.path)) }
    }

    /// Fails if a file of a family is a reference to a half that does not belong to the region.
    pub(super) fn check_references(&self, family: &[u8], files: &StoreFiles) -> Result<()> {
        files.files.iter().try_for_each(|file| self.check_reference(family, file))
    }

    /// Fails if a file is a reference to a half that does not belong to the region.
    pub(super) fn check_reference(&self, family: &[u8], file: &StoreFileInfo) -> Result<()> {
        match &file.reference {
            Some(reference) if !self.is_cut_at(reference) => {
                let corruption = Corruption::Malformed("reference to a half outside of the region");
                Err(corruption.at(&self.family(family).path().join(&file.name), 0))
            }
            _ => Ok(()),
        }
    }

    /// Whether a reference is split where the region begins or ends; or, after a merge, where a parent within
    /// it began.
    fn is_cut_at(&self, reference: &Reference) -> bool {
        let row = reference.split_key.row();
        match reference.half {
            Half::Bottom => row == self.info.end_key(),
            Half::Top => self.info.contains(row),
        }
    }
}

/// Reads the `.regioninfo` of a region's directory.
pub(crate) fn read_region_info(storage: &dyn Storage, dir: &Path) -> Result<RegionInfo> {
    let path = dir.join(REGION_INFO);
    let bytes = read_file(storage, &path, REGION_INFO_BYTES)?;
    RegionInfo::parse_file(&bytes).map_err(|corruption| corruption.at(&path, 0))
}

/// Like [`read_region_info`]; `None` if there is no such file, so that the directory is not a region's.
pub(crate) fn find_region_info(storage: &dyn Storage, dir: &Path) -> Result<Option<RegionInfo>> {
    match read_region_info(storage, dir) {
        Err(error) if error.is_not_found() => Ok(None),
        read => read.map(Some),
    }
}

/// Returns the error for a region's directory that no longer exists.
#[cold]
pub(crate) fn is_gone(dir: &Path) -> Error {
    let message = "another process has split, merged or removed the region: try again";
    Error::io("find", dir, io::Error::new(io::ErrorKind::NotFound, message))
}

/// Fails if the directory of a region is no longer locked: its storage may lose locks.
pub(crate) fn check_lock(lock: &FileLock, dir: &Path) -> Result<()> {
    lock.check().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Error::locked_as(dir, &error),
        _ => Error::io("lock", dir, error),
    })
}

/// Returns the descriptor, with the given number, of a restored table: the one in the change, if it has not
/// been written yet. `found` is the descriptor that was read.
fn restored_descriptor(
    table: &TableDir,
    number: u64,
    found: Option<StoredDescriptor>,
) -> Result<Option<StoredDescriptor>> {
    if found.as_ref().is_some_and(|stored| stored.number() >= number) {
        return Ok(found);
    }
    let storage = &*table.storage;
    let listing = TableListing::read(storage, &table.path)?;
    let mut made = listing.made().iter().filter_map(RegionChange::replacement);
    match made.find(|made| made.kind == ReplacementKind::Restoration && made.number == number) {
        Some(made) => {
            StoredDescriptor::unwritten(&table.path, number, &made.descriptor, found.as_ref()).map(Some)
        }
        // The descriptor has been written since.
        None => read_descriptor(storage, &table.path, &table.table),
    }
}

/// Fails if a directory to be written to is a symbolic link.
fn refuse_links(dir: &Path, entries: Vec<DirEntry>, is_written: impl Fn(&DirEntry) -> bool) -> Result<()> {
    match entries.into_iter().find(|entry| entry.is_symlink && is_written(entry)) {
        None => Ok(()),
        Some(entry) => {
            let message = "a symbolic link in a region can be read, but not written through";
            let error = io::Error::new(io::ErrorKind::PermissionDenied, message);
            Err(Error::io("write to", &dir.join(entry.name), error))
        }
    }
}

/// Whether a directory is the catalog's region.
fn is_meta(storage: &Arc<dyn Storage>, path: &Path) -> Result<bool> {
    let meta = RegionInfo::meta();
    let is_named = path.file_name().is_some_and(|name| name == meta.encoded_name().as_str());
    Ok(is_named
        && TableDir::of_region(storage, path, &meta)?.root.is_some()
        && list_if_exists(&**storage, path)?.is_some())
}

/// Returns the families named by directories. They keep all versions of all cells.
fn families_by_name(entries: &[DirEntry]) -> Vec<Family> {
    let names = entries.iter().filter(|entry| entry.is_dir).filter_map(DirEntry::utf8_name);
    let legal = names.filter(|name| is_legal_name(name.as_bytes()));
    let mut families: Vec<Family> =
        legal.map(|name| Family::new(name.to_owned()).max_versions(u32::MAX)).collect();
    families.sort_by(|a, b| a.name().cmp(b.name()));
    families
}

#[cfg(test)]
mod tests;
