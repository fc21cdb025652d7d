//! Opens the directory of a region: creates it if allowed, locks it, and applies the given families.

use super::DEFAULT_TABLE;
use crate::error::{Corruption, Error, Result};
use crate::io::FileLock;
use crate::layout::{
    LOCK, LogTree, RegionChange, RegionDir, SchemaChange, TableListing, read_descriptor_file,
};
use crate::region::RegionOptions;
use crate::schema::{Family, RegionInfo, TableDescriptor, TableName};
use crate::store::read_settings;
use crate::sync::unpoisoned;
use std::io;
use std::path::{Path, PathBuf};

impl RegionOptions {
    /// Adds the families of the given descriptor file. Returns the descriptor, and the path of the file.
    pub(super) fn read_descriptor_file(&mut self) -> Result<Option<(TableDescriptor, PathBuf)>> {
        let Some(path) = self.descriptor_file.take() else { return Ok(None) };
        let descriptor = read_descriptor_file(&*self.storage, &path)?;
        let is_given = |family: &&Family| self.families.iter().any(|given| given.name() == family.name());
        let others: Vec<Family> = descriptor.families().filter(|family| !is_given(family)).cloned().collect();
        self.families.extend(others);
        Ok(Some((descriptor, path)))
    }

    /// Opens the directory, and locks it if it will be written to. Creates the region if it does not exist
    /// and may be created. `described` is the given descriptor and the path of its file.
    pub(super) fn open_dir(
        &self,
        path: &Path,
        described: Option<&(TableDescriptor, PathBuf)>,
    ) -> Result<(RegionDir, Option<FileLock>)> {
        let open = || {
            let mut dir = RegionDir::open(&self.storage, path)?;
            describe(&mut dir, described)?;
            Ok(dir)
        };
        if !self.writable {
            if self.alter {
                return Err(Error::invalid_argument("a region open for reading only cannot be altered"));
            }
            return Ok((open()?, None));
        }
        match open() {
            Err(error) if self.create_if_missing && error.is_not_found() => self.create(path)?,
            opened => opened?.refuse_mob()?,
        }
        let lock = self.lock(path)?;
        // Anything read before the lock was taken may have changed.
        let mut dir = open()?;
        if lock.can_be_lost() {
            dir.prevent_move_of_table();
        }
        dir.refuse_mob()?;
        let others = if self.logs_are_split { None } else { dir.table_listing()? };
        if let Some(others) = &others {
            refuse_change_of(&dir, others)?;
            if others.write_descriptors(&self.storage)? {
                dir = open()?;
            }
        }
        // An open table does so itself.
        if self.log.is_none() {
            dir.sync_table_dirs()?;
            if let Some(others) = &others {
                refuse_replaced(&dir, others)?;
            }
        }
        let (mut families, is_altered) = dir.reconcile(&self.families, self.schema_change())?;
        if !dir.has_descriptor() && families.len() > self.families.len() {
            return Err(self.unknown_settings(&dir));
        }
        dir.check_trackers(&families)?;
        if is_altered {
            // The table's regions share the descriptor, and only this region's lock is held.
            let _altering = unpoisoned(self.altering.lock());
            let _root = dir.root().map(|root| LogTree::new(root).lock(&*self.storage)).transpose()?;
            dir = open()?;
            families = self.alter_descriptor(&mut dir, others.as_ref())?;
        }
        dir.prepare_for_writes(&families)?;
        Ok((dir, Some(lock)))
    }

    /// Alters the descriptor, unless another region of the table has done so. Returns the families.
    fn alter_descriptor(&self, dir: &mut RegionDir, others: Option<&TableListing>) -> Result<Vec<Family>> {
        let (families, is_altered) = dir.reconcile(&self.families, self.schema_change())?;
        dir.check_trackers(&families)?;
        if is_altered {
            self.check_given(Some(dir))?;
            self.refuse_deleted_cells(dir, others)?;
            dir.alter(&self.families)?;
        }
        Ok(families)
    }

    fn create(&self, path: &Path) -> Result<()> {
        if self.families.is_empty() {
            return Err(Error::invalid_argument("a new region needs at least one family"));
        }
        self.check_given(None)?;
        let table = TableName::parse(self.table.as_deref().unwrap_or(DEFAULT_TABLE))?;
        let info = RegionInfo::new(table, self.start_key.clone(), self.end_key.clone(), self.clock.now())?;
        // An existing directory that is not empty, and any directory in a storage without renames, is made a
        // region in place, so it is locked against other processes.
        let is_occupied = !self.storage.can_rename(path)
            || match self.storage.list_dir(path) {
                Ok(entries) => !entries.is_empty(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(Error::io("list", path, error)),
            };
        let _lock = if is_occupied { Some(self.lock(path)?) } else { None };
        match RegionDir::create(&self.storage, path, &info, &self.families) {
            // Another process has just created the region.
            Err(error) if error.is_already_exists() => Ok(()),
            created => created.map(drop),
        }
    }

    /// Locks a region's directory against other writers.
    pub(crate) fn lock(&self, dir: &Path) -> Result<FileLock> {
        let path = dir.join(LOCK);
        self.storage.lock(&path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Error::locked_as(dir, &error),
            _ => Error::io("lock", &path, error),
        })
    }

    /// Fails if a process has the region in a directory open for writing.
    pub(crate) fn check_unlocked(&self, dir: &Path) -> Result<()> {
        self.lock(dir).map(drop)
    }

    /// Checks the settings of the given families before they are written to a descriptor: with invalid ones,
    /// no region could be opened for writing. `dir` has the table's settings.
    fn check_given(&self, dir: Option<&RegionDir>) -> Result<()> {
        self.families.iter().try_for_each(|family| {
            let setting = |key: &str| {
                let own = family.configuration.get(key).map(String::as_str);
                own.or_else(|| dir.and_then(|dir| dir.setting(&[], key)))
            };
            read_settings(family, &setting).map(drop)
        })
    }

    fn schema_change(&self) -> SchemaChange {
        if self.alter { SchemaChange::Alter } else { SchemaChange::Refuse }
    }

    pub(super) fn unknown_settings(&self, dir: &RegionDir) -> Error {
        let is_given = |family: &&Family| self.families.iter().any(|given| given.name() == family.name());
        let unknown = dir.families().iter().filter(|family| !is_given(family));
        Error::unknown_settings(dir.path(), unknown.map(Family::name))
    }
}

/// Gives a region the settings of a descriptor, if it has none. Fails if the descriptor is another table's.
/// `described` is the descriptor and the path of its file.
pub(super) fn describe(dir: &mut RegionDir, described: Option<&(TableDescriptor, PathBuf)>) -> Result<()> {
    let Some((descriptor, file)) = described else { return Ok(()) };
    if descriptor.table() != dir.info().table() {
        let corruption = Corruption::Malformed("the table descriptor is that of another table");
        return Err(corruption.at(file, 0));
    }
    dir.give_descriptor(descriptor);
    Ok(())
}

/// Fails if a split or merge of the region, or one that would create it, was interrupted. The change may
/// still be completed, which would lose writes to a parent, or undone, which would remove the new regions.
fn refuse_change_of(dir: &RegionDir, others: &TableListing) -> Result<()> {
    let name = dir.info().encoded_name();
    let is_of = |change: &RegionChange| change.parents().contains(&name) || change.children().contains(&name);
    let undone = others.undone().iter().filter(|change| change.children().contains(&name));
    if let Some(change) = undone.chain(others.changes().iter().filter(|change| is_of(change))).next() {
        let table = dir.info().table();
        if change.is_creation() {
            return Err(Error::invalid_argument(format!(
                "region {name} is of a table that is not complete: the creation of table {table} was \
                 interrupted, or still runs"
            )));
        }
        let what = change.replacement().map(|replacement| replacement.kind.name());
        let what = what.map_or_else(
            || format!("split or merge of region {name}"),
            |what| format!("{what} of table {table}"),
        );
        return Err(Error::invalid_argument(format!(
            "a {what} was interrupted: open table {table} for writing, which ends it"
        )));
    }
    Ok(())
}

/// Fails if the region was split or merged. Its directory remains until no region refers to its files.
fn refuse_replaced(dir: &RegionDir, others: &TableListing) -> Result<()> {
    let (name, table) = (dir.info().encoded_name(), dir.info().table());
    if others.is_removed(dir.info()) {
        return Err(Error::invalid_argument(format!(
            "region {name} is of a table that was truncated, restored or deleted: {table}"
        )));
    }
    if others.replaces(&**dir.storage(), dir.info())? {
        return Err(Error::invalid_argument(format!(
            "region {name} was split or merged: open table {table} for writing, or the regions with its rows"
        )));
    }
    Ok(())
}
