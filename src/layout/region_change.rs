//! Replaces regions by others: splits and merges (HBase: `SplitTableRegionProcedure`,
//! `MergeTableRegionsProcedure`, without the master's procedure store).
//!
//! Directories cannot be renamed together, so a file in the table's directory, `.change.<child>`, names the
//! regions that are replaced, the parents, and the new ones, the children. While it exists, the children are
//! not regions of the table. Younger regions that have all rows of an older one replace it
//! ([`serving`](crate::locator::serving)), so the file's removal replaces the parents, all at once. A change
//! is made in this order:
//!
//! 1. The parents' memory is flushed, and they accept no more writes. Their locks are held until the end.
//! 2. [`RegionChange::begin`]: the file is written, synced and renamed; the table's directory is synced.
//! 3. [`create_child`]: the directories of the children are filled in place, with references to the files of
//!    the parents and the greatest sequence id of these, and synced.
//! 4. [`RegionChange::publish`]: the file is removed, and the table's directory is synced.
//!
//! Until step 4 a crash leaves the parents, which have not changed. After a failed step or a crash, the
//! change must be [resolved](RegionChange::resolve), with the locks of all parents, before a parent is opened
//! for writing. First the table's directory is synced, so that its listed state is durable. If the file
//! exists, the children are removed, and then the file; if not, the change was made. No child accepts writes
//! before that.
//!
//! HBase ignores the file: there, `hbase:meta` determines the regions of a table. If the root directory has
//! an `hbase:meta` with the parents, it is changed between steps 3 and 4, and decides whether the change was
//! made: a change that it has is completed by step 4, and readers treat it as complete. HBase may have
//! changed the table by then: it removes parents, and splits, merges and removes children. If `hbase:meta`
//! does not have the change, HBase continues with the parents: it may have split one parent of a merge, and
//! removed it, and serve the other. Only a change without any parent's directory [is over](Changes::over)
//! whatever the catalog has.
//!
//! In HDFS, a process that was suspended for long loses its locks, and another one may resolve the change. So
//! the locks of the parents are checked after step 2, before each child is filled, and before step 4. A child
//! is filled under a lock of its own, whose file is removed with the directory. Without the locks of the
//! parents, a change that failed is not resolved.
//!
//! In a storage without renames, such as an object store, a request may be executed late, even after its
//! process has died, and a lock may be lost. So the file is not removed there to make or undo the change. It
//! is created in step 2, and replaced once, on the condition that it has not changed since it was read: in
//! step 4 by a file which records that the change is made, in a resolution by one which records that it is
//! undone. Only one of the two succeeds. After step 2, the locks of the parents are checked. A process that
//! locks a parent later finds the file, and writes nothing to the parent before the change is resolved.
//!
//! The file stays until the directories of all parents are removed. Otherwise two things could reappear after
//! its removal: the file itself, and undone children, which are not regions while it exists. After the
//! removal, the requests that create the file, or a file of a parent, may be executed once more. The parent
//! then has no region info, so the change is over, and the children are regions. If the request that creates
//! the parent's region info is also executed once more, a child with a store file of its own, or with edits,
//! shows that the change was made: no child has any before, and a child with rows has some when it no longer
//! has references to the parent.
//!
//! A table with files, a clone, is created there in the same way: by a change without parents, whose children
//! are all regions of the table. Until it is made, no process treats the directory as a table. The file of an
//! undone creation stays, so that remains of its children, even those that appear late, are never regions.
//! Before the file of a completed creation is removed, each child gets a file `<n>.seqid`, which records that
//! the child was made in case the file of the change reappears.
//!
//! A whole table is changed there in the same way, by a change whose parents are all its regions: see
//! [`Replacement`]. The parents of a deletion, truncation or restoration that was made are not regions, and
//! the change is complete when their files are in the archive. Before the file of a restoration is removed,
//! the children get a file, like those of a creation. The file of a deletion stays: a new table of the name
//! gets greater numbers than the file has, so that no late request for the old table affects the new one. The
//! parents of a deletion also include the children of undone changes, whose files are removed with the
//! regions, and the parents of the previous deletion, whose file is also removed: the request that creates
//! the region info of one of them may be executed late.
#![warn(clippy::indexing_slicing)]

use super::durable::{
    create_dir, create_dir_durably, exists, refuse_link, remove, remove_tree, sync_dir, unless_not_found,
    write_file, write_synced,
};
use super::region::{RECOVERED_EDITS, REGION_INFO, RegionDir, fill, write_max_seq_id};
use super::replacement::{Replacement, ReplacementKind};
use super::sealed_text::{Faults, seal, unseal};
use super::table_regions::{has_writes, was_opened};
use super::{FamilyChange, Reference, StagedFile};
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::io::{DirEntry, Storage, read_file};
use crate::schema::region_name::is_encoded_name;
use crate::schema::{Family, RegionInfo};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The beginning of the name of the file of a change.
const CHANGE: &str = ".change.";
/// The size limit of the file of a change, which may have all regions of a table.
const CHANGE_BYTES: u64 = 16 << 20;
/// The line in place of the parents if there are none.
const CREATION: &str = "creation";
const FAULTS: Faults = Faults {
    line: "a change of regions with a line that is neither a parent nor a child",
    no_checksum: "a change of regions without a checksum at its end",
    no_number: "a change of regions with a checksum that is not a number",
};

/// The state recorded in the file of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChangeState {
    /// The change may still be made or undone.
    Announced,
    /// The change was made: the children are regions. Only in a storage without renames, or a copy of it.
    Made,
    /// The change was undone. Likewise only in such a storage.
    Undone,
}

impl ChangeState {
    /// Returns the line that records the state; none for a change that may still be made.
    fn line(self) -> &'static str {
        match self {
            Self::Announced => "",
            Self::Made => "made\n",
            Self::Undone => "undone\n",
        }
    }
}

/// The changes that have files in the directory of a table.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Changes that may still be made or undone. Their children are not regions.
    pub(crate) unfinished: Vec<RegionChange>,
    /// Changes without a parent's directory, or, in a storage without renames, without a parent that is a
    /// region, or with a child that was written to. They were made; or they were not, and HBase has replaced
    /// the parents by younger regions, which also replace the children. Includes creations that were made.
    pub(crate) over: Vec<RegionChange>,
    /// Changes that were undone. Remains of their children are not regions.
    pub(crate) undone: Vec<RegionChange>,
    /// Changes of the whole table that have been made, and may have to be completed.
    pub(crate) made: Vec<RegionChange>,
    /// The encoded names of the parents of splits and merges that have been made, as far as files record it.
    pub(crate) replaced: BTreeSet<String>,
}

impl Changes {
    /// Returns the encoded names of children that are not regions, after some changes have been made, and of
    /// parents that are no longer regions.
    pub(crate) fn hidden(&self, made: &[RegionChange]) -> BTreeSet<&str> {
        let unfinished = self.unfinished.iter().filter(|change| !made.contains(change));
        let children = unfinished.chain(&self.undone).flat_map(RegionChange::children);
        children.chain(self.made.iter().flat_map(RegionChange::removed)).map(String::as_str).collect()
    }
}

/// Regions of a table that are being replaced by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegionChange {
    /// The table's directory.
    table: PathBuf,
    /// The encoded names of the regions that are replaced; none if the table is created.
    parents: Vec<String>,
    /// The encoded names of the new regions.
    children: Vec<String>,
    /// The replacement of the table, if it is changed as a whole.
    replacement: Option<Replacement>,
}

/// A new region with files of its parents.
#[derive(Debug)]
pub(crate) struct NewChild<'c> {
    pub(crate) info: &'c RegionInfo,
    pub(crate) families: &'c [Family],
    /// The greatest sequence id that the parents have used.
    pub(crate) max_seq_id: i64,
    /// References with their names, for each family.
    pub(crate) references: Vec<Vec<(String, Reference)>>,
}

impl RegionChange {
    /// Creates a change. Writes nothing.
    pub(crate) fn new(
        table: &Path,
        parents: impl IntoIterator<Item = String>,
        children: impl IntoIterator<Item = String>,
    ) -> Self {
        let (parents, children) = (parents.into_iter().collect(), children.into_iter().collect());
        Self { table: table.to_owned(), parents, children, replacement: None }
    }

    /// Returns the change as one of the whole table, whose regions are all its parents.
    pub(crate) fn of_table(self, replacement: Replacement) -> Self {
        Self { replacement: Some(replacement), ..self }
    }

    /// Returns the replacement of the table; `None` for a split, merge or creation.
    pub(crate) fn replacement(&self) -> Option<&Replacement> {
        self.replacement.as_ref()
    }

    /// Whether the change is of a kind of changes of the whole table.
    pub(crate) fn is_a(&self, kind: ReplacementKind) -> bool {
        self.replacement.as_ref().is_some_and(|replacement| replacement.kind == kind)
    }

    /// Returns the encoded names that are not regions after the change, even if they have directories: the
    /// regions of a table that was deleted, truncated or restored.
    pub(crate) fn removed(&self) -> &[String] {
        let kind = self.replacement.as_ref().map(|replacement| replacement.kind);
        let is_removal = kind.is_some_and(|kind| kind != ReplacementKind::Alteration);
        if is_removal { &self.parents } else { &[] }
    }

    /// Whether any of the regions that are replaced has a directory among the entries of the table's.
    pub(super) fn has_parent_dir(&self, entries: &[DirEntry]) -> bool {
        has_dir_of(&self.parents, entries)
    }

    /// Writes the descriptor of the change, which was made. Returns whether it did not exist.
    pub(crate) fn write_descriptor(&self, storage: &Arc<dyn Storage>) -> Result<bool> {
        match &self.replacement {
            Some(replacement) => replacement.write_descriptor(storage, &self.table),
            None => Ok(false),
        }
    }

    /// Returns the encoded names of the regions that are replaced.
    pub(crate) fn parents(&self) -> &[String] {
        &self.parents
    }

    /// Whether the change is the creation of a table.
    pub(crate) fn is_creation(&self) -> bool {
        self.parents.is_empty()
    }

    /// Returns the encoded names of the new regions.
    pub(crate) fn children(&self) -> &[String] {
        &self.children
    }

    /// Whether one of some regions, by encoded name, is a new region of the change, or one that it removes.
    pub(super) fn has_any(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.children.contains(name) || self.removed().contains(name))
    }

    /// Returns the table's directory.
    pub(crate) fn table(&self) -> &Path {
        &self.table
    }

    /// Returns the path of the file of the change.
    pub(crate) fn path(&self) -> PathBuf {
        self.table.join(format!("{CHANGE}{}", self.name()))
    }

    /// Returns the end of the file's name: the first child, or, without children, the name of the
    /// replacement.
    fn name(&self) -> &str {
        let name = self.replacement.as_ref().map(|replacement| &replacement.name);
        self.children.first().or(name).map_or("", String::as_str)
    }

    fn to_bytes(&self, state: ChangeState) -> Vec<u8> {
        let creation = self.is_creation().then(|| format!("{CREATION}\n"));
        let replacement = self.replacement.as_ref().map(Replacement::lines);
        let parents = self.parents.iter().map(|name| format!("parent {name}\n"));
        let children = self.children.iter().map(|name| format!("child {name}\n"));
        let lines = creation.into_iter().chain(replacement).chain(parents).chain(children);
        seal(&(lines.collect::<String>() + state.line()))
    }

    fn parse(table: &Path, bytes: &[u8]) -> Result<(Self, ChangeState), Corruption> {
        let text = unseal(bytes, FAULTS)?;
        let (mut change, mut state) = (Self::new(table, [], []), ChangeState::Announced);
        let mut is_creation = false;
        for line in text.lines() {
            if line == CREATION {
                is_creation = true;
                continue;
            }
            let says = |other: &ChangeState| other.line().trim_end() == line;
            if let Some(found) = [ChangeState::Made, ChangeState::Undone].into_iter().find(says) {
                state = found;
                continue;
            }
            if Replacement::take_line(&mut change.replacement, line) {
                continue;
            }
            let names = match line.split_once(' ') {
                Some(("parent", name)) if is_encoded_name(name) => (&mut change.parents, name),
                Some(("child", name)) if is_encoded_name(name) => (&mut change.children, name),
                _ => return Err(Corruption::Malformed(FAULTS.line)),
            };
            names.0.push(names.1.to_owned());
        }
        if let Some(replacement) = &change.replacement {
            replacement.check(change.parents.len(), change.children.len())?;
        } else if change.is_creation() != is_creation || change.children.is_empty() {
            return Err(Corruption::Malformed("a change of regions without a parent or a child"));
        }
        Ok((change, state))
    }

    /// Reads the changes of a table, by the entries of its directory; `None` if one was finished after the
    /// directory was listed, so that it must be listed again. `made` are the files of changes known to have
    /// been made, or whose parents are not regions; others are added.
    ///
    /// # Errors
    ///
    /// If a file of a change cannot be read or is malformed.
    pub(crate) fn among(
        storage: &dyn Storage,
        table: &Path,
        entries: &[DirEntry],
        made: &mut BTreeSet<PathBuf>,
    ) -> Result<Option<Changes>> {
        let (mut changes, mut is_current) = (Changes::default(), true);
        for name in entries.iter().filter_map(DirEntry::utf8_name) {
            let Some(child) = name.strip_prefix(CHANGE).filter(|child| is_encoded_name(child)) else {
                continue;
            };
            let path = table.join(name);
            let bytes = match read_file(storage, &path, CHANGE_BYTES) {
                Err(error) if error.is_not_found() => return Ok(None),
                read => read?,
            };
            let (change, state) = Self::parse(table, &bytes).map_err(|corruption| corruption.at(&path, 0))?;
            if change.name() != child {
                return Err(Corruption::Malformed("a change of other regions").at(&path, 0));
            }
            let has_dir = has_dir_of(&change.parents, entries);
            let is_over = match state {
                ChangeState::Announced if change.is_creation() && !storage.can_rename(table) => {
                    change.has_used_child(storage)?
                }
                _ if change.is_creation() => state == ChangeState::Made,
                ChangeState::Announced if has_dir && !storage.can_rename(table) => {
                    !has_region_of(storage, table, &change.parents)? || change.has_used_child(storage)?
                }
                ChangeState::Made if change.replacement.is_some() => false,
                _ => !has_dir,
            };
            // Its children may have been created since the directory was listed.
            let is_new = state == ChangeState::Made || is_over && has_dir;
            is_current &= !is_new || !made.insert(path);
            match state {
                ChangeState::Undone => changes.undone.push(change),
                _ if is_over => changes.over.push(change),
                ChangeState::Announced => changes.unfinished.push(change),
                ChangeState::Made if change.replacement.is_some() => changes.made.push(change),
                ChangeState::Made => changes.replaced.extend(change.parents),
            }
        }
        Ok(is_current.then_some(changes))
    }

    /// Announces the change, durably. Until it is made, the children are not regions.
    ///
    /// # Errors
    ///
    /// If the file would be too long to be read; if an I/O operation fails.
    pub(crate) fn begin(&self, storage: &Arc<dyn Storage>) -> Result<()> {
        if self.to_bytes(ChangeState::Undone).len() as u64 > CHANGE_BYTES {
            return Err(Error::not_supported("a change of so many regions at once"));
        }
        let (path, bytes) = (self.path(), self.to_bytes(ChangeState::Announced));
        if storage.can_rename(&path) {
            return write_file(storage, &path, &bytes);
        }
        let file = storage.create_new(&path).map_err(|error| Error::io("create", &path, error))?;
        write_synced(file, &path, &bytes)
    }

    /// Whether there is a file of a change with the same first child, in any state.
    pub(crate) fn has_file(&self, storage: &dyn Storage) -> Result<bool> {
        exists(storage, &self.path())
    }

    /// Whether the change has begun, and has not been made or resolved.
    pub(crate) fn is_announced(&self, storage: &dyn Storage) -> Result<bool> {
        match storage.can_rename(&self.table) {
            true => self.has_file(storage),
            false => Ok(self.read_state(storage)? == Some(ChangeState::Announced)),
        }
    }

    /// Replaces the parents by the children. After a failure, the change must be resolved.
    pub(crate) fn publish(&self, storage: &dyn Storage) -> Result<()> {
        if !storage.can_rename(&self.table) {
            return match self.decide(storage, ChangeState::Made)? {
                Some(ChangeState::Made) => Ok(()),
                _ => Err(self.undone_elsewhere()),
            };
        }
        remove(storage, &self.path())?;
        sync_dir(storage, &self.table)
    }

    /// Makes a change whose children are complete, if it was not made already. Can be retried after a
    /// failure.
    pub(crate) fn complete(&self, storage: &dyn Storage) -> Result<()> {
        if storage.can_rename(&self.table) {
            return self.forget(storage);
        }
        match self.decide(storage, ChangeState::Made)? {
            Some(ChangeState::Undone) => Err(self.undone_elsewhere()),
            _ => Ok(()),
        }
    }

    #[cold]
    fn undone_elsewhere(&self) -> Error {
        let what = self.replacement.as_ref().map_or("split or merge", |replacement| replacement.kind.name());
        let message = format!("another process has undone the {what} of {}", self.path().display());
        Error::new(ErrorKind::Inconsistent, message)
    }

    /// Makes or undoes the change in a storage without renames, unless that is already decided. Returns the
    /// final state; `None` if there is no file.
    fn decide(&self, storage: &dyn Storage, wanted: ChangeState) -> Result<Option<ChangeState>> {
        let path = self.path();
        // It replaces only the file that existed before the state is read here.
        let mut file = storage.create(&path).map_err(|error| Error::io("create", &path, error))?;
        let found = self.read_state(storage)?;
        if found != Some(ChangeState::Announced) {
            return Ok(found);
        }
        file.write_all(&self.to_bytes(wanted)).map_err(|error| Error::io("write", &path, error))?;
        let Err(error) = file.sync() else { return Ok(Some(wanted)) };
        match self.read_state(storage)? {
            // Decided by another process, or here although the response was lost.
            Some(decided @ (ChangeState::Made | ChangeState::Undone)) => Ok(Some(decided)),
            _ => Err(Error::io("sync", &path, error)),
        }
    }

    /// Returns the state in the file; `None` if there is none.
    fn read_state(&self, storage: &dyn Storage) -> Result<Option<ChangeState>> {
        let path = self.path();
        let bytes = match read_file(storage, &path, CHANGE_BYTES) {
            Err(error) if error.is_not_found() => return Ok(None),
            read => read?,
        };
        match Self::parse(&self.table, &bytes).map_err(|corruption| corruption.at(&path, 0))? {
            (change, state) if change == *self => Ok(Some(state)),
            _ => Err(Corruption::Malformed("a change of other regions").at(&path, 0)),
        }
    }

    /// Records in the children of a creation or restoration, if any, that it was made: they have rows, and
    /// may never be written to. Must be called before the file of the change is removed, because it may
    /// reappear. Can be repeated.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails.
    pub(crate) fn mark_made(&self, storage: &Arc<dyn Storage>) -> Result<()> {
        for child in self.children.iter().map(|child| self.table.join(child)) {
            // The child may since have been split or merged, and archived.
            if exists(&**storage, &child.join(REGION_INFO))? {
                let edits = child.join(RECOVERED_EDITS);
                create_dir_durably(&**storage, &child, &edits)?;
                write_max_seq_id(storage, &edits, 1)?;
            }
        }
        Ok(())
    }

    /// Removes the file of a change that is over, or of one that is made by the removal.
    pub(crate) fn forget(&self, storage: &dyn Storage) -> Result<()> {
        unless_not_found(remove(storage, &self.path()))?;
        sync_dir(storage, &self.table)
    }

    /// Ends a change that may have failed at any step. Returns whether it has been made. Removes the children
    /// otherwise. Can be retried after a failure.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails. It is then unknown whether the change was made.
    pub(crate) fn resolve(&self, storage: &dyn Storage) -> Result<bool> {
        // Makes the listed state durable.
        sync_dir(storage, &self.table)?;
        let can_rename = storage.can_rename(&self.table);
        let is_announced = match can_rename {
            true => self.is_announced(storage)?,
            false => match self.decide(storage, ChangeState::Undone)? {
                Some(ChangeState::Made) => return Ok(true),
                undone => undone.is_some(),
            },
        };
        if !is_announced {
            return match self.children.first() {
                Some(first) => exists(storage, &self.table.join(first).join(REGION_INFO)),
                None => Ok(false),
            };
        }
        self.remove_children(storage)?;
        if can_rename {
            // Without the file the children would be regions.
            sync_dir(storage, &self.table)?;
            self.forget(storage)?;
        }
        Ok(false)
    }

    /// Whether a child shows that the change has been made: it was written to, or
    /// [says so](Self::mark_made).
    fn has_used_child(&self, storage: &dyn Storage) -> Result<bool> {
        let is_marked = self.is_creation() || self.is_a(ReplacementKind::Restoration);
        let is_used = if is_marked { was_opened } else { has_writes };
        for name in &self.children {
            if is_used(storage, &self.table.join(name))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn remove_children(&self, storage: &dyn Storage) -> Result<()> {
        for child in self.children.iter().map(|child| self.table.join(child)) {
            refuse_link(storage, &child)?;
            remove_tree(storage, &child)?;
        }
        Ok(())
    }

    /// Removes the remains of the children of an undone change, and its file when no parent is among the
    /// entries of the table's directory, or there are no children. The file of a creation stays.
    pub(crate) fn clean_up(&self, storage: &dyn Storage, entries: &[DirEntry]) -> Result<()> {
        if has_dir_of(&self.children, entries) {
            self.remove_children(storage)?;
        }
        let has_children = !self.children.is_empty();
        let is_kept = has_children && (self.is_creation() || has_dir_of(&self.parents, entries));
        if is_kept { Ok(()) } else { self.forget(storage) }
    }
}

/// Whether any of some regions has a directory among the entries of the table's directory.
fn has_dir_of(names: &[String], entries: &[DirEntry]) -> bool {
    let dirs = entries.iter().filter(|entry| entry.is_dir).filter_map(DirEntry::utf8_name);
    let dirs: BTreeSet<&str> = dirs.collect();
    names.iter().any(|name| dirs.contains(&**name))
}

/// Whether the directory of any of some regions has a region info.
fn has_region_of(storage: &dyn Storage, table: &Path, names: &[String]) -> Result<bool> {
    for name in names {
        if exists(storage, &table.join(name).join(REGION_INFO))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an entry of a table's directory is the file of a change.
pub(crate) fn is_change(entry: &DirEntry) -> bool {
    entry.utf8_name().and_then(|name| name.strip_prefix(CHANGE)).is_some_and(is_encoded_name)
}

/// Creates the directory of a child. Its change must have [begun](RegionChange::begin).
///
/// # Errors
///
/// If an I/O operation fails. A part of the directory may then exist.
pub(crate) fn create_child(
    storage: &Arc<dyn Storage>,
    table: &Path,
    child: &NewChild<'_>,
    now: i64,
) -> Result<()> {
    let path = table.join(child.info.encoded_name());
    fill(storage, &path, child.info, child.families)?;
    let dir = RegionDir::open(storage, &path)?;
    // Later writes must be newer than all of the parents.
    create_dir_durably(&**storage, &path, &dir.recovered_edits_dir())?;
    write_max_seq_id(storage, &dir.recovered_edits_dir(), child.max_seq_id)?;
    create_dir(&**storage, &dir.tmp())?;
    let mut changes = Vec::new();
    for (family, references) in child.families.iter().zip(&child.references) {
        let aside = if storage.can_rename(&path) { dir.tmp() } else { dir.family(family.name()).path() };
        let stage = |(name, reference): &(String, Reference)| {
            let aside = aside.join(name);
            write_file(storage, &aside, &reference.to_bytes())?;
            Ok(StagedFile::new(Arc::clone(storage), aside, name.clone()))
        };
        let add = references.iter().map(stage).collect::<Result<Vec<_>>>()?;
        changes.push(FamilyChange {
            family: family.name(),
            before: Vec::new(),
            add,
            remove: Vec::new(),
            replaced: BTreeSet::new(),
        });
    }
    dir.commit(changes, now, || Ok(())).map_err(|failed| failed.error)?;
    // The names of the families' directories.
    sync_dir(&**storage, &path)
}

/// Fails if a region is not under a root directory, where its replaced files can be archived.
pub(crate) fn check_root(dir: &RegionDir) -> Result<()> {
    match dir.root() {
        Some(_) => Ok(()),
        None => Err(Error::not_supported("a region outside of a root directory cannot be split or merged")),
    }
}

#[cfg(test)]
mod tests;
