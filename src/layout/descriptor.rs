//! Table descriptor files, in the directory of a table or region (hfile.md §15.1; HBase:
//! `FSTableDescriptors`).
#![warn(clippy::indexing_slicing)]

use super::durable::{
    create_dir_durably, list_if_exists, parent, remove, sync_dir, sync_file, unless_not_found, write_file,
};
use super::file_name::new_file_name;
use super::table_regions::LISTINGS;
use super::tracker::{DEFAULT, IMPL, LIST, StoreFileTracker, TrackedBy};
use crate::binary::StringBinary;
use crate::error::{Corruption, Error, Result};
use crate::io::{DirEntry, Storage, is_new_file, read_file};
use crate::schema::{Family, TableDescriptor, TableName};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The size limit of a descriptor file: more than any descriptor needs.
const DESCRIPTOR_BYTES: u64 = 8 << 20;

/// The directory of the descriptors, within that of the table.
pub(super) const TABLE_DESC_DIR: &str = ".tabledesc";
/// The prefix of an empty file next to the descriptor of a table that may replace another: a clone of a
/// snapshot, a truncated table, or one that was created again. Each file has a different name, by which a
/// process that reads the table distinguishes it from a previous one whose regions have the same names. HBase
/// ignores the file.
const CLONE: &str = ".clone.";

/// A descriptor, and the file it was read from.
#[derive(Clone, Debug)]
pub(crate) struct StoredDescriptor {
    pub(super) descriptor: TableDescriptor,
    /// The directory of the table or region that the descriptor is in.
    owner: PathBuf,
    pub(super) path: PathBuf,
    number: u64,
    /// Whether the file's name contains the length, as since 2.5.
    has_length: bool,
    identity: TableIdentity,
}

/// The identity of a table, which distinguishes it from others of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableIdentity {
    /// The name of the identifying file next to the descriptor; empty if there is none, as in HBase's tables.
    pub(crate) file: String,
    /// The number of the descriptor, and when it was written, in milliseconds since 1970. An alteration
    /// changes both.
    descriptor: (u64, i64),
}

/// The action if given families differ from a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaChange {
    /// Fail.
    Refuse,
    /// Rewrite the descriptor.
    Alter,
}

/// Reads the descriptor in the directory of a table or region: the file with the greatest number. A file
/// whose length differs from the one in its name is incomplete, and skipped. Returns `None` if there are no
/// files, and fails if all are incomplete, or the descriptor is another table's.
pub(crate) fn read_descriptor(
    storage: &dyn Storage,
    owner: &Path,
    table: &TableName,
) -> Result<Option<StoredDescriptor>> {
    match find_descriptor(storage, owner)? {
        Some(stored) if stored.descriptor.table() != table => {
            let corruption = Corruption::Malformed("the table descriptor is that of another table");
            Err(corruption.at(&stored.path, 0))
        }
        found => Ok(found),
    }
}

/// Like [`read_descriptor`], for any table.
fn find_descriptor(storage: &dyn Storage, owner: &Path) -> Result<Option<StoredDescriptor>> {
    for _ in 1..LISTINGS {
        match newest_descriptor(storage, owner) {
            // Another process has replaced it since it was listed.
            Err(error) if error.is_stale() => {}
            found => return found,
        }
    }
    newest_descriptor(storage, owner)
}

fn newest_descriptor(storage: &dyn Storage, owner: &Path) -> Result<Option<StoredDescriptor>> {
    let mut newest: Option<(u64, bool, i64, PathBuf)> = None;
    let (mut torn, mut clone_file) = (None, String::new());
    // Before 0.96 the descriptor was in the table's directory.
    for dir in [owner.join(TABLE_DESC_DIR), owner.to_owned()] {
        let mut entries = list_if_exists(storage, &dir)?;
        // If another process replaces the descriptor or its directory, the listing may have neither the old
        // nor the new one.
        if dir.ends_with(TABLE_DESC_DIR) && entries.as_ref().is_some_and(|entries| !has_descriptor(entries)) {
            entries = list_if_exists(storage, &dir)?;
        }
        let entries = entries.unwrap_or_default();
        clone_file_among(&entries).clone_into(&mut clone_file);
        for entry in entries {
            let Some(name) = entry.utf8_name().filter(|_| !entry.is_dir) else { continue };
            let Some((number, len)) = descriptor_number(name) else { continue };
            let path = dir.join(name);
            if len.is_some_and(|len| len != entry.len) {
                torn = Some(path);
            } else if newest.as_ref().is_none_or(|(n, ..)| *n < number) {
                newest = Some((number, len.is_some(), entry.modified_millis, path));
            }
        }
        if newest.is_some() {
            break;
        }
    }
    let Some((number, has_length, modified, path)) = newest else {
        return match torn {
            None => Ok(None),
            Some(path) => {
                let corruption =
                    Corruption::Malformed("table descriptor of another length than its name says");
                Err(corruption.at(&path, 0))
            }
        };
    };
    let descriptor = read_descriptor_file(storage, &path)?;
    let identity = TableIdentity { file: clone_file, descriptor: (number, modified) };
    Ok(Some(StoredDescriptor { descriptor, owner: owner.to_owned(), path, number, has_length, identity }))
}

/// Returns the name of the file that distinguishes tables of one name among the entries of a directory; empty
/// if there is none.
fn clone_file_among(entries: &[DirEntry]) -> &str {
    let names = entries.iter().filter_map(DirEntry::utf8_name);
    names.filter(|name| is_clone_file(name)).max().unwrap_or_default()
}

/// Whether a file has a name of those that distinguish tables of one name.
pub(super) fn is_clone_file(name: &str) -> bool {
    name.starts_with(CLONE)
}

/// Creates the file that distinguishes a table with a descriptor from all others that have, had or will get
/// its name.
pub(super) fn create_clone_file(storage: &Arc<dyn Storage>, owner: &Path) -> Result<()> {
    let name = format!("{CLONE}{}", new_file_name(0));
    write_file(storage, &owner.join(TABLE_DESC_DIR).join(name), &[])
}

/// Whether a directory with these entries may have a descriptor.
pub(super) fn may_have_descriptor(entries: &[DirEntry]) -> bool {
    let mut names = entries.iter().filter_map(DirEntry::utf8_name);
    names.any(|name| name == TABLE_DESC_DIR) || has_descriptor(entries)
}

/// Whether there are files named like descriptors among the entries of a directory.
fn has_descriptor(entries: &[DirEntry]) -> bool {
    entries.iter().filter_map(DirEntry::utf8_name).any(|name| descriptor_number(name).is_some())
}

/// Returns the name of the table whose descriptor is in a directory; `None` if there is none.
pub(crate) fn table_of_descriptor(storage: &dyn Storage, owner: &Path) -> Result<Option<TableName>> {
    Ok(find_descriptor(storage, owner)?.map(|stored| stored.descriptor.table().clone()))
}

/// Reads a descriptor file, in any directory.
pub(crate) fn read_descriptor_file(storage: &dyn Storage, path: &Path) -> Result<TableDescriptor> {
    let bytes = read_file(storage, path, DESCRIPTOR_BYTES)?;
    TableDescriptor::parse_file(&bytes).map_err(|corruption| corruption.at(path, 0))
}

/// Writes the first descriptor into the directory of a new table. It [records](with_tracker) how the files
/// are tracked, except in a storage without renames, where it or each family already does.
pub(super) fn create_descriptor(
    storage: &Arc<dyn Storage>,
    owner: &Path,
    descriptor: &TableDescriptor,
) -> Result<()> {
    create_whole_descriptor(storage, owner, &of_new(&**storage, owner, descriptor))
}

/// Returns the descriptor that [`create_descriptor`] writes.
fn of_new(storage: &dyn Storage, owner: &Path, descriptor: &TableDescriptor) -> TableDescriptor {
    match storage.can_rename(owner) {
        true => with_tracker(descriptor),
        false => descriptor.clone(),
    }
}

/// Returns the descriptor of a new table whose files are those in the directories, with that tracker unless
/// one is set: a cluster whose default is lists would otherwise not find the files (HBase:
/// `StoreFileTrackerFactory.updateWithTrackerConfigs`).
pub(super) fn with_tracker(descriptor: &TableDescriptor) -> TableDescriptor {
    match descriptor.setting(&[], IMPL) {
        Some(_) => descriptor.clone(),
        None => descriptor.with_setting(IMPL, Some(DEFAULT)),
    }
}

/// Like [`create_descriptor`], with exactly the settings of a descriptor.
pub(super) fn create_whole_descriptor(
    storage: &Arc<dyn Storage>,
    owner: &Path,
    descriptor: &TableDescriptor,
) -> Result<()> {
    let bytes = readable_bytes(descriptor)?;
    write_descriptor(storage, owner, 1, has_length_in_name(&**storage, owner), &bytes)
}

/// Returns the descriptor of a new table in a storage without renames: lists track the files of all families,
/// whatever its settings are (HBase: `clone_snapshot` with CLONE_SFT).
pub(super) fn with_lists(descriptor: &TableDescriptor) -> TableDescriptor {
    let is_by_list = |descriptor: &TableDescriptor, family: &Family| {
        StoreFileTracker::from_settings(|key| descriptor.setting(family.name(), key))
            .is_ok_and(|tracker| tracker.source == TrackedBy::List)
    };
    if descriptor.families().all(|family| is_by_list(descriptor, family)) {
        return descriptor.clone();
    }
    let changed = descriptor.with_setting(IMPL, Some(LIST));
    let others = changed.families().filter(|family| !is_by_list(&changed, family));
    let others: Vec<Family> = others.map(|family| family.clone().configuration(IMPL, LIST)).collect();
    changed.with_families(&others)
}

/// Writes the descriptor of a new region or table into its directory, which may have descriptors of an
/// interrupted creation: it gets a greater number than those, and than `after`, and they are then removed. No
/// name is reused: a request to remove a file may be executed late if it got no response.
pub(super) fn create_latest_descriptor(
    storage: &Arc<dyn Storage>,
    owner: &Path,
    descriptor: &TableDescriptor,
    after: u64,
) -> Result<()> {
    let bytes = readable_bytes(descriptor)?;
    let dir = owner.join(TABLE_DESC_DIR);
    let (mut latest, mut left) = (after, Vec::new());
    for entry in list_if_exists(&**storage, &dir)?.unwrap_or_default() {
        let Some(name) = entry.utf8_name().filter(|_| !entry.is_dir) else { continue };
        let Some((number, _)) = descriptor_number(name) else { continue };
        latest = latest.max(number);
        left.push(dir.join(name));
    }
    let has_length = has_length_in_name(&**storage, owner);
    write_descriptor(storage, owner, number_after(latest, &dir)?, has_length, &bytes)?;
    // Like replaced descriptors, they are no longer read.
    let removed = left.iter().try_for_each(|path| unless_not_found(remove(&**storage, path)));
    removed.and_then(|()| if left.is_empty() { Ok(()) } else { sync_dir(&**storage, &dir) }).or(Ok(()))
}

/// Returns the greatest number of the descriptors in the directory of a table, complete or not; 0 if there is
/// none.
pub(crate) fn last_number(storage: &dyn Storage, owner: &Path) -> Result<u64> {
    let entries = list_if_exists(storage, &owner.join(TABLE_DESC_DIR))?.unwrap_or_default();
    let numbers = entries.iter().filter_map(DirEntry::utf8_name).filter_map(descriptor_number);
    Ok(numbers.map(|(number, _)| number).max().unwrap_or(0))
}

/// Returns a number for the next descriptor of a table in a storage without renames. One number is skipped:
/// the request of a process that alters a table while opening a region may be executed late.
pub(crate) fn number_in_place(storage: &dyn Storage, owner: &Path) -> Result<u64> {
    let next = number_after(last_number(storage, owner)?, owner)?;
    number_after(next, owner)
}

/// Removes the descriptors of a table up to one with a number. Returns whether there was any.
pub(crate) fn remove_descriptors(storage: &dyn Storage, owner: &Path, up_to: u64) -> Result<bool> {
    let found = descriptors_up_to(storage, owner, up_to)?;
    found.iter().try_for_each(|path| unless_not_found(remove(storage, path)))?;
    unless_not_found(sync_dir(storage, &owner.join(TABLE_DESC_DIR)))?;
    Ok(!found.is_empty())
}

/// Returns the paths of the descriptors of a table up to one with a number.
pub(super) fn descriptors_up_to(storage: &dyn Storage, owner: &Path, up_to: u64) -> Result<Vec<PathBuf>> {
    let dir = owner.join(TABLE_DESC_DIR);
    let mut found = list_if_exists(storage, &dir)?.unwrap_or_default();
    found.retain(|entry| {
        let number = entry.utf8_name().and_then(descriptor_number);
        !entry.is_dir && number.is_some_and(|(number, _)| number <= up_to)
    });
    Ok(found.iter().map(|entry| dir.join(&entry.name)).collect())
}

/// Returns the next number after a descriptor's; `path` is for the error.
fn number_after(number: u64, path: &Path) -> Result<u64> {
    let number = number.checked_add(1).filter(|number| *number <= 9_999_999_999);
    number.ok_or_else(|| Corruption::Malformed("no number is left for another descriptor").at(path, 0))
}

/// Returns the content of a descriptor's file.
///
/// # Errors
///
/// If it [could not be read again](check_readable).
pub(super) fn readable_bytes(descriptor: &TableDescriptor) -> Result<Vec<u8>> {
    let bytes = descriptor.to_file();
    check_readable(&bytes)?;
    Ok(bytes)
}

/// Fails if the content of a descriptor's file or its store file trackers could not be read again, or values
/// would be in MOB files: no region of the table could then be opened for writing.
fn check_readable(bytes: &[u8]) -> Result<()> {
    let sound = TableDescriptor::parse_file(bytes).and_then(|read| {
        let tracker =
            |family: &Family| StoreFileTracker::from_settings(|key| read.setting(family.name(), key));
        read.families().try_for_each(|family| tracker(family).map(drop))?;
        read.refuse_mob()
    });
    sound.map_err(|corruption| Error::invalid_argument(corruption.to_string()))
}

/// Whether the names of new descriptors contain the length, by which an incomplete one is detected. They do
/// only in a storage without renames, where a table needs HBase 2.5 anyway, for its lists of files. Elsewhere
/// a descriptor gets its name when it is complete, and HBase before 2.5 could not alter a table whose
/// descriptor has such a name.
fn has_length_in_name(storage: &dyn Storage, owner: &Path) -> bool {
    !storage.can_rename(owner)
}

/// Writes a descriptor file, durably. `has_length` is whether its name contains the length. Unfinished files
/// of other attempts are removed: a process that has lost the lock could rename one of them late, instead of
/// this one.
pub(super) fn write_descriptor(
    storage: &Arc<dyn Storage>,
    owner: &Path,
    number: u64,
    has_length: bool,
    bytes: &[u8],
) -> Result<()> {
    let dir = owner.join(TABLE_DESC_DIR);
    create_dir_durably(&**storage, owner, &dir)?;
    if storage.can_rename(&dir) {
        let mut left = list_if_exists(&**storage, &dir)?.unwrap_or_default();
        left.retain(|entry| !entry.is_dir && entry.utf8_name().is_some_and(is_new_file));
        left.iter().try_for_each(|entry| unless_not_found(remove(&**storage, &dir.join(&entry.name))))?;
    }
    write_file(storage, &dir.join(file_name(number, has_length.then_some(bytes.len()))), bytes)
}

/// Returns the name of a descriptor file.
fn file_name(number: u64, len: Option<usize>) -> String {
    let len = len.map_or_else(String::new, |len| format!(".{len}"));
    format!(".tableinfo.{number:010}{len}")
}

impl StoredDescriptor {
    /// Fails if the table has values in MOB files, which can only be read.
    ///
    /// # Errors
    ///
    /// Of kind [`Unsupported`](crate::ErrorKind::Unsupported), if it has.
    pub(crate) fn refuse_mob(&self) -> Result<()> {
        self.descriptor.refuse_mob().map_err(|corruption| corruption.at(&self.path, 0))
    }

    /// Returns a descriptor from the manifest of a snapshot, at `path`. It cannot be altered.
    pub(super) fn of_snapshot(descriptor: TableDescriptor, path: &Path) -> Self {
        let owner = path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let identity = TableIdentity::default();
        Self { descriptor, owner, path: path.to_owned(), number: 0, has_length: false, identity }
    }

    /// Returns the descriptor of a table with the content of a file that has not been written yet. `before`
    /// is the one that the table has.
    pub(super) fn unwritten(owner: &Path, number: u64, bytes: &[u8], before: Option<&Self>) -> Result<Self> {
        let path = owner.join(TABLE_DESC_DIR).join(file_name(number, Some(bytes.len())));
        let descriptor = TableDescriptor::parse_file(bytes).map_err(|corruption| corruption.at(&path, 0))?;
        let file = before.map(|before| before.identity.file.clone()).unwrap_or_default();
        let identity = TableIdentity { file, descriptor: (number, 0) };
        Ok(Self { descriptor, owner: owner.to_owned(), path, number, has_length: true, identity })
    }

    /// Returns the number of the descriptor.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Writes a descriptor in which `families` replace those of the same names, or are added. Other families,
    /// and attributes not represented in a [`Family`], are unchanged.
    pub(super) fn alter(&self, storage: &Arc<dyn Storage>, families: &[Family]) -> Result<()> {
        self.replace(storage, &self.descriptor.with_families(families))
    }

    /// Returns the descriptor.
    pub(crate) fn descriptor(&self) -> &TableDescriptor {
        &self.descriptor
    }

    /// Whether the name of the descriptor's file contains the length.
    pub(crate) fn has_length(&self) -> bool {
        self.has_length
    }

    /// Reads the file of the descriptor again, with all that is in it.
    pub(crate) fn read(&self, storage: &dyn Storage) -> Result<Vec<u8>> {
        read_file(storage, &self.path, DESCRIPTOR_BYTES)
    }

    /// Whether it is the descriptor with which a table [was created](create_descriptor), and was not altered.
    /// In a storage without renames, where the first number exceeds those of a deleted table, it may have
    /// been altered back.
    pub(crate) fn is_first(&self, storage: &dyn Storage, descriptor: &TableDescriptor) -> Result<bool> {
        let may_be_first = self.number == 1 || !storage.can_rename(&self.owner);
        Ok(may_be_first && self.read(storage)? == of_new(storage, &self.owner, descriptor).to_file())
    }

    /// Returns the table's identity; `None` if this is not the descriptor of the table in a directory.
    pub(crate) fn identity_of(&self, table: &Path) -> Option<&TableIdentity> {
        (self.owner == table).then_some(&self.identity)
    }

    /// Whether another descriptor has replaced it since it was read, possibly with the whole table, when a
    /// snapshot was restored.
    pub(super) fn is_replaced(&self, storage: &dyn Storage) -> Result<bool> {
        let entries = list_if_exists(storage, parent(&self.path))?.unwrap_or_default();
        let is_later = |entry: &DirEntry| {
            let number = entry.utf8_name().and_then(descriptor_number);
            number.is_some_and(|(number, len)| number > self.number && len.is_none_or(|len| len == entry.len))
        };
        let is_other = clone_file_among(&entries) != self.identity.file;
        Ok(is_other || entries.iter().any(|entry| !entry.is_dir && is_later(entry)))
    }

    /// Makes the descriptor durable. A process that has died may not have synced its name.
    pub(crate) fn sync(&self, storage: &dyn Storage) -> Result<()> {
        sync_file(storage, &self.path)?;
        self.sync_name(storage)
    }

    /// Makes the name of the descriptor durable: it was written, and synced, under another one.
    pub(super) fn sync_name(&self, storage: &dyn Storage) -> Result<()> {
        sync_dir(storage, parent(&self.path))
    }

    /// Writes another descriptor of the table, which replaces this one.
    ///
    /// # Errors
    ///
    /// If it could not be read again, or changes the store file tracker of an existing family, whose files
    /// would no longer be found. If an I/O operation fails.
    pub(crate) fn replace(&self, storage: &Arc<dyn Storage>, new: &TableDescriptor) -> Result<()> {
        let bytes = self.bytes_after(new)?;
        let number = number_after(self.number, &self.path)?;
        write_descriptor(storage, &self.owner, number, self.has_length, &bytes)?;
        // Failures are ignored: the descriptor with the greatest number is used, whether an older one exists
        // or not.
        let removed = unless_not_found(remove(&**storage, &self.path));
        // Also those that a dead process has left (HBase: `FSTableDescriptors.deleteTableDescriptorFiles`).
        removed.and_then(|()| remove_descriptors(&**storage, &self.owner, self.number)).map(drop).or(Ok(()))
    }

    /// Returns the content of the file of a descriptor that can replace this one.
    ///
    /// # Errors
    ///
    /// If the new descriptor could not be read again, or changes the store file tracker of an existing
    /// family, whose files would no longer be found.
    pub(crate) fn bytes_after(&self, new: &TableDescriptor) -> Result<Vec<u8>> {
        self.check_trackers(new)?;
        readable_bytes(new)
    }

    /// Fails if another descriptor changes how the files of a family are tracked (HBase:
    /// `StoreFileTrackerValidationUtils`).
    fn check_trackers(&self, new: &TableDescriptor) -> Result<()> {
        let tracker = |descriptor: &TableDescriptor, family: &[u8]| {
            StoreFileTracker::from_settings(|key| descriptor.setting(family, key))
                .map_err(|corruption| Error::invalid_argument(corruption.to_string()))
        };
        for family in new.families() {
            let (name, after) = (family.name(), tracker(new, family.name())?);
            let existed = self.descriptor.families().any(|family| family.name() == name);
            if existed && tracker(&self.descriptor, name)? != after {
                let family = StringBinary(name);
                let message =
                    format!("the store file tracker of an existing family cannot be changed: {family}");
                return Err(Error::not_supported(message));
            }
        }
        Ok(())
    }

    /// Returns the differences between given families and those of the descriptor, one line each.
    pub(super) fn differences(&self, families: &[Family]) -> Vec<String> {
        families.iter().flat_map(|family| self.descriptor.differences(family)).collect()
    }
}

/// Checks given families against a descriptor. Returns whether the descriptor must be altered.
pub(super) fn check_families(
    stored: &StoredDescriptor,
    families: &[Family],
    change: SchemaChange,
) -> Result<bool> {
    let differences = stored.differences(families);
    match change {
        _ if differences.is_empty() => Ok(false),
        SchemaChange::Alter => Ok(true),
        SchemaChange::Refuse => Err(Error::invalid_argument(format!(
            "the families given differ from the table descriptor {}: {}",
            stored.path.display(),
            differences.join("; ")
        ))),
    }
}

/// Parses the number, and the length if there is one, from a descriptor's name,
/// `.tableinfo[.<number>[.<length>]]`.
fn descriptor_number(name: &str) -> Option<(u64, Option<u64>)> {
    let Some(rest) = name.strip_prefix(".tableinfo")?.strip_prefix('.') else {
        return (name == ".tableinfo").then_some((0, None));
    };
    let number = |digits: &str| digits.parse().ok().filter(|_| digits.bytes().all(|c| c.is_ascii_digit()));
    match rest.split_once('.') {
        None => Some((number(rest)?, None)),
        Some((digits, len)) => Some((number(digits)?, Some(number(len)?))),
    }
}
