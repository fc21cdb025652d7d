//! Changes the descriptor of a table (HBase: `ModifyTableProcedure`).

use super::Table;
use super::admin::TableChange;
use crate::binary::StringBinary;
use crate::error::{Error, ErrorKind, Result};
use crate::layout::RegionDir;
use crate::layout::table::sync_table_dirs;
use crate::op::Durability;
use crate::region::RegionOptions;
use crate::schema::{Family, RegionInfo, TableDescriptor, TableName};
use crate::store::{WriteLimits, memstore_flush_size, read_settings};
use crate::wal::WalReader;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Changes of a table's families and settings, for [`Table::alter`], or those of a new table, for
/// [`Table::create_configured`] (HBase: `TableDescriptorBuilder`).
#[derive(Clone, Debug, Default)]
pub struct TableChanges {
    families: Vec<Family>,
    deleted: Vec<Bytes>,
    settings: BTreeMap<String, Option<String>>,
    /// Attributes that a [`Family`] does not represent, by family and name.
    of_families: BTreeMap<(Bytes, String), Option<String>>,
}

impl TableChanges {
    /// Creates a list without changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a family, or replaces the settings of the one of this name. Attributes that a [`Family`] does not
    /// represent, such as `REPLICATION_SCOPE`, are kept, or set by
    /// [`set_family_attribute`](Self::set_family_attribute).
    #[must_use]
    pub fn family(mut self, family: Family) -> Self {
        self.families.retain(|other| other.name() != family.name());
        self.families.push(family);
        self
    }

    /// Deletes a family with all of its cells.
    #[must_use]
    pub fn delete_family(mut self, name: impl Into<Bytes>) -> Self {
        self.deleted.push(name.into());
        self
    }

    /// Sets an attribute of the table, such as `DURABILITY`, or a key of its configuration.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(key.into(), Some(value.into()));
        self
    }

    /// Removes an attribute of the table, or a key of its configuration.
    #[must_use]
    pub fn unset(mut self, key: impl Into<String>) -> Self {
        self.settings.insert(key.into(), None);
        self
    }

    /// Sets an attribute of a family that a [`Family`] does not represent, such as `IN_MEMORY` or
    /// `BLOCKCACHE`, or one of an application. The value is not checked.
    #[must_use]
    pub fn set_family_attribute(
        mut self,
        family: impl Into<Bytes>,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.of_families.insert((family.into(), key.into()), Some(value.into()));
        self
    }

    /// Removes an attribute of a family that a [`Family`] does not represent.
    #[must_use]
    pub fn unset_family_attribute(mut self, family: impl Into<Bytes>, key: impl Into<String>) -> Self {
        self.of_families.insert((family.into(), key.into()), None);
        self
    }

    /// Applies the changes to HBase's message `TableSchema`, in which a cluster's master returns and accepts
    /// the settings of a table. The rest of the message is kept.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a message; if a family or a setting is invalid; if a family to delete does
    /// not exist, or is the last one.
    pub fn apply_to_table_schema_bytes(&self, message: &[u8]) -> Result<Vec<u8>> {
        let before =
            TableDescriptor::parse(message).map_err(|wrong| Error::new(wrong.kind(), wrong.to_string()))?;
        let has = |name: &[u8]| before.families().any(|family| family.name() == name);
        if let Some(missing) = self.deleted.iter().find(|name| !has(name)) {
            return Err(Error::no_such_family(missing, before.families().map(Family::name)));
        }
        Ok(self.apply(&before)?.to_message())
    }

    /// Encodes the families and settings of a new table as HBase's message `TableSchema`.
    ///
    /// # Errors
    ///
    /// If there is no family, or one is to be deleted; if a family or a setting is invalid.
    pub fn to_table_schema_bytes(&self, table: &TableName) -> Result<Vec<u8>> {
        Ok(self.describe_new(table)?.to_message())
    }

    /// Returns the descriptor of a new table.
    pub(super) fn describe_new(&self, table: &TableName) -> Result<TableDescriptor> {
        if let Some(name) = self.deleted.first() {
            return Err(Error::no_such_family(name, []));
        }
        if self.families.is_empty() {
            return Err(Error::invalid_argument("a new table needs at least one family"));
        }
        self.families.iter().try_for_each(Family::check)?;
        self.with_settings(TableDescriptor::new(table.clone(), &self.families))
    }

    /// Returns the descriptor with the settings.
    fn with_settings(&self, mut descriptor: TableDescriptor) -> Result<TableDescriptor> {
        for (key, value) in &self.settings {
            descriptor = descriptor.with_setting(key, value.as_deref());
        }
        for ((family, key), value) in &self.of_families {
            descriptor = descriptor.with_family_attribute(family, key, value.as_deref())?;
        }
        self.check_settings(&descriptor)?;
        Ok(descriptor)
    }

    /// Returns the descriptor with the changes. Families to delete that it does not have are ignored.
    fn apply(&self, before: &TableDescriptor) -> Result<TableDescriptor> {
        self.families.iter().try_for_each(Family::check)?;
        if let Some(both) = self.families.iter().find(|family| self.deletes(family.name())) {
            let name = StringBinary(both.name());
            return Err(Error::invalid_argument(format!("family {name} is both changed and deleted")));
        }
        let mut after = before.with_families(&self.families);
        for name in &self.deleted {
            after = after.without_family(name);
        }
        if after.families().len() == 0 {
            return Err(Error::invalid_argument("a table needs at least one family"));
        }
        let after = self.with_settings(after)?;
        match check_stores(&after) {
            // The fault was there before: such a table can be read, and altered.
            Err(error) if check_stores(before).is_ok() => Err(error),
            _ => Ok(after),
        }
    }

    fn deletes(&self, name: &[u8]) -> bool {
        self.deleted.iter().any(|deleted| deleted == name)
    }

    /// Checks the settings that opening a region requires, here or in HBase.
    fn check_settings(&self, after: &TableDescriptor) -> Result<()> {
        if let Some(empty) =
            self.settings.iter().find(|(key, value)| key.is_empty() || value.as_deref() == Some(""))
        {
            return Err(Error::invalid_argument(format!("setting {:?} of the table is empty", empty.0)));
        }
        if let Some(name) =
            after.setting(&[], "DURABILITY").filter(|name| Durability::from_name(name).is_none())
        {
            return Err(Error::invalid_argument(format!("DURABILITY {name} is not known")));
        }
        for (key, value) in &self.settings {
            let Some(value) = value else { continue };
            let is_number = match key.as_str() {
                "MAX_FILESIZE" | "MEMSTORE_FLUSHSIZE" | "NORMALIZER_TARGET_REGION_SIZE_MB" => {
                    value.parse::<i64>().is_ok()
                }
                "NORMALIZER_TARGET_REGION_COUNT" | "PRIORITY" | "REGION_REPLICATION" => {
                    value.parse::<i32>().is_ok()
                }
                _ => true,
            };
            if !is_number {
                return Err(Error::invalid_argument(format!("{key} {value} is not a number")));
            }
        }
        let setting = |key: &str| after.setting(&[], key);
        memstore_flush_size(&setting)?;
        WriteLimits::from_settings(&setting).map(drop)
    }
}

/// Fails if values of the table would be in MOB files, which this crate can only read.
pub(super) fn refuse_new_mob(descriptor: &TableDescriptor) -> Result<()> {
    let Some(family) = descriptor.mob_family() else { return Ok(()) };
    let name = StringBinary(family.name());
    let message = format!("IS_MOB of family {name} is not supported: values in MOB files are only read");
    Err(Error::new(ErrorKind::Unsupported, message))
}

/// Checks the settings of all families that opening a region for writing requires.
pub(super) fn check_stores(descriptor: &TableDescriptor) -> Result<()> {
    descriptor.families().try_for_each(|family| {
        read_settings(family, &|key: &str| descriptor.setting(family.name(), key)).map(drop)
    })
}

impl Table {
    /// Changes the families and the settings of a table under a root directory (HBase:
    /// `ModifyTableProcedure`). Settings that are not mentioned are kept. New files have the new settings,
    /// and old files get them when they are compacted.
    ///
    /// All changes take effect at once, when the new descriptor gets its name: after a failure or a crash the
    /// table has the old descriptor or the new one. The files of a deleted family are then moved to the
    /// archive. If a crash prevents this, they are not read, and are archived when the call is repeated or a
    /// family of this name is added.
    ///
    /// Before a family is deleted, recovered edits of the regions are replayed.
    ///
    /// `options` has the storage of the files and everything else needed to open a region.
    ///
    /// # Errors
    ///
    /// - Same as [`delete_table`](Self::delete_table).
    /// - If a family or a setting is invalid, or a family to delete does not exist, or is the last one.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the tracker of the store files of an existing
    ///   family would change, or values would be in MOB files.
    /// - If a family is deleted and server logs exist, or a family is added and logs or recovered edits have
    ///   cells of its name: [`recover`](Self::recover) the root first.
    /// - If a family is deleted or added, in a storage without renames, and a [bulk load](Self::bulk_load)
    ///   into it was interrupted and has not been repeated.
    pub fn alter(
        root: impl AsRef<Path>,
        name: &str,
        changes: &TableChanges,
        options: &RegionOptions,
    ) -> Result<()> {
        let change = TableChange::begin(root.as_ref(), name, options)?;
        let tree = &change.tree;
        if !change.exists()? {
            return Err(change.not_found(root.as_ref()));
        }
        let mut begun = if change.is_in_place() { Some(change.begin_in_place()?) } else { None };
        if !changes.deleted.is_empty() {
            changes.apply(change.descriptor()?.descriptor())?;
            if let Some(begun) = &mut begun {
                begun.unlock();
            }
            change.replay_edits()?;
            if let Some(begun) = &mut begun {
                begun.add(change.begin_in_place()?);
            }
        }
        let locks = if begun.is_none() { Some(change.lock_regions()?) } else { None };
        let stored = change.descriptor()?;
        let before = stored.descriptor();
        let after = changes.apply(before)?;
        refuse_new_mob(&after)?;
        let has = |name: &[u8]| before.families().any(|family| family.name() == name);
        if !changes.deleted.is_empty() && !change.regions_with_edits()?.is_empty() {
            return Err(Error::locked(&tree.dir())); // a region was written to in between
        }
        let added: Vec<_> = changes.families.iter().map(Family::name).filter(|name| !has(name)).collect();
        change.refuse_cells_of(&added)?;
        let is_removed = |name: &[u8]| has(name) && changes.deletes(name);
        let changes_names = !(added.is_empty() && changes.deleted.is_empty());
        if changes_names && begun.is_some() {
            // Another program may have deleted a family that is added.
            change.refuse_interrupted_loads(|name| is_removed(name) || added.contains(&name))?;
        } else if changes_names {
            tree.sync_edits()?;
        }
        tree.check_archivable(|name| is_removed(name.as_bytes()))?;
        if begun.is_some() {
            let removed = changes.deleted.iter().filter(|name| has(name));
            removed
                .map(|name| String::from_utf8_lossy(name))
                .try_for_each(|name| tree.check_next_lists(&name))?;
        }
        // Otherwise a loss of power could take away the table, if the process that created it has died, or
        // bring back an older descriptor that has the families.
        sync_table_dirs(&**options.file_storage(), &tree.dir())?;
        stored.sync(&**options.file_storage())?;
        for name in changes.deleted.iter().filter(|name| !has(name)) {
            // An interrupted call may have deleted only a part of it.
            let was_removed = begun.as_ref().is_some_and(|begun| begun.has_removed(name));
            if !tree.remove_family(&String::from_utf8_lossy(name))? && !was_removed {
                return Err(Error::no_such_family(name, before.families().map(Family::name)));
            }
        }
        for family in changes.families.iter().filter(|family| !has(family.name())) {
            tree.remove_family(&String::from_utf8_lossy(family.name()))?;
        }
        let removed = changes.deleted.iter().filter(|name| has(name));
        let removed: Vec<String> = removed.map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        if let Some(begun) = begun {
            return change.replace_in_place(begun, &after, stored.bytes_after(&after)?, removed);
        }
        locks.as_ref().map_or(Ok(()), |locks| change.check_locks(locks))?;
        stored.replace(options.file_storage(), &after)?;
        removed.iter().try_for_each(|name| tree.remove_family(name).map(drop))
    }
}

impl TableChange<'_> {
    /// Replays the recovered edits of all regions, which may have cells of a family to delete.
    fn replay_edits(&self) -> Result<()> {
        let storage = self.options.file_storage();
        if let Some(log) = self.logs.logs(&**storage)?.first() {
            let message = format!(
                "logs of servers may have cells of the family: recover the root first ({})",
                log.path.display()
            );
            return Err(Error::invalid_argument(message));
        }
        for region in self.regions_with_edits()? {
            let options = self.options.clone().create_if_missing(false).alter(false).writable(true);
            options.open(self.tree.dir().join(region))?.close()?;
        }
        Ok(())
    }

    /// Fails if a log has cells of families to add.
    fn refuse_cells_of(&self, families: &[&[u8]]) -> Result<()> {
        if families.is_empty() {
            return Ok(());
        }
        let logs = self.logs.logs(&**self.options.file_storage())?;
        let mut logs: Vec<PathBuf> = logs.into_iter().map(|log| log.path).collect();
        let (storage, options) = (self.options.file_storage(), self.options.wal_options());
        WalReader::refuse_unclosed(&**storage, logs.iter().map(PathBuf::as_path), &options)?;
        for region in self.regions_with_edits()? {
            let dir = RegionDir::open(self.options.file_storage(), &self.tree.dir().join(region))?;
            logs.extend(dir.recovered_edits()?.iter().cloned());
        }
        self.options.refuse_cells_of(families, &self.table, logs)
    }

    /// Returns the names of the regions with recovered edits, except parents, which are not opened.
    fn regions_with_edits(&self) -> Result<Vec<String>> {
        let mut with_edits = self.logs.regions_with_edits(&**self.options.file_storage(), &self.table)?;
        let serving: Vec<String> = self.serving_regions()?.iter().map(RegionInfo::encoded_name).collect();
        with_edits.retain(|region| serving.contains(region));
        Ok(with_edits)
    }
}
