//! Deletes and truncates tables (HBase: `Admin.deleteTable`, `Admin.truncateTable`).

use super::Table;
use super::catalog::{TableCatalog, check_catalog, regions_on_disk};
use crate::error::{Error, ErrorKind, Result};
use crate::io::{FileLock, Storage};
use crate::layout::{EmptyTable, LogTree, RegionLocks, StoredDescriptor, TableListing, TableTree};
use crate::locator::{check_region_chain, serving};
use crate::region::RegionOptions;
use crate::schema::{Family, RegionInfo, TableDescriptor, TableName};
use std::path::Path;

/// A change of a whole table. Holds the lock of the root.
pub(super) struct TableChange<'o> {
    pub(super) table: TableName,
    pub(super) root: &'o Path,
    pub(super) tree: TableTree,
    pub(super) logs: LogTree,
    pub(super) options: &'o RegionOptions,
    pub(super) lock: FileLock,
}

/// Tables can be deleted, truncated and [altered](Self::alter) only while no process has a region of them
/// open for writing; this is checked by locking the regions. Handles that are open for reading continue to
/// read the old table.
///
/// If the root has `hbase:meta` with the table, its rows are updated: rows of removed regions are deleted,
/// rows of new regions are added, and the table is enabled. This happens after the directories are renamed,
/// and before the old ones are removed: an interrupted call is completed when it is repeated, or by the next
/// [`create`](Self::create) of the table.
///
/// In a storage without renames, such as an object store, one conditional put makes each of these changes. A
/// repeated call, any other of these changes, and [`compact`](Self::compact) complete an interrupted one. A
/// table can be truncated or altered there only if lists track the files of all families
/// ([`Unsupported`](ErrorKind::Unsupported) otherwise).
impl Table {
    /// Deletes a table under a root directory (HBase: `DeleteTableProcedure`). Its store files are moved to
    /// the archive, where snapshots and clones can still read them.
    ///
    /// The table is gone once its directory is renamed, and does not come back. If the call fails or the
    /// process dies after that, some files remain in `.tmp`: the next call completes the deletion, or the
    /// next [`create`](Self::create) of a table with this name.
    ///
    /// `options` has the storage of the files.
    ///
    /// # Errors
    ///
    /// - [`TableNotFound`](ErrorKind::TableNotFound) if the table does not exist.
    /// - [`Unsupported`](ErrorKind::Unsupported) if it is `hbase:meta` or `hbase:namespace`, which only a
    ///   cluster creates, or has MOB files.
    /// - [`Locked`](ErrorKind::Locked) if a region of it is open for writing, or a table of the root is being
    ///   changed or recovered elsewhere.
    /// - If a directory, or a store file, is a symbolic link; if an I/O operation fails.
    pub fn delete_table(root: impl AsRef<Path>, name: &str, options: &RegionOptions) -> Result<()> {
        let change = TableChange::begin(root.as_ref(), name, options)?;
        if change.is_in_place() {
            return change.delete_in_place();
        }
        let had_remains = change.tree.has_remains()?;
        change.tree.discard_replacement()?;
        change.finish()?;
        if !change.tree.exists()? {
            return if had_remains { Ok(()) } else { Err(change.not_found(root.as_ref())) };
        }
        change.tree.refuse_mob()?;
        let locks = change.lock_regions()?;
        change.tree.check_archivable(|_| true)?;
        check_catalog(change.root, change.options)?;
        change.move_away(&locks)?;
        change.finish()
    }

    /// Removes all rows of a table under a root directory (HBase: `TruncateTableProcedure`): puts an empty
    /// table with the same descriptor in its place, and moves the old store files to the archive. The new
    /// table has the same regions if `preserve_splits` is set, otherwise one; in either case, they have new
    /// names.
    ///
    /// If the call fails or the process dies, the table is the old one or the new one. Between two renames
    /// there is no table; a repeated call then completes the new one, with the regions of the interrupted
    /// call. The new table never has cells of the old one.
    ///
    /// `options` has the storage of the files and the clock.
    ///
    /// # Errors
    ///
    /// Same as [`delete_table`](Self::delete_table); if the table has no descriptor; if its regions are to be
    /// preserved and have holes or overlaps ([`Inconsistent`](ErrorKind::Inconsistent)). In a storage without
    /// renames, if a [bulk load](Self::bulk_load) was interrupted and has not been repeated
    /// ([`Unsupported`](ErrorKind::Unsupported)): repeating it later would load deleted cells again.
    pub fn truncate(
        root: impl AsRef<Path>,
        name: &str,
        preserve_splits: bool,
        options: &RegionOptions,
    ) -> Result<()> {
        let change = TableChange::begin(root.as_ref(), name, options)?;
        if change.is_in_place() {
            return change.truncate_in_place(preserve_splits);
        }
        let tree = &change.tree;
        if !tree.exists()? {
            if !tree.has_replacement()? || !tree.has_remains()? {
                return Err(change.not_found(root.as_ref()));
            }
            // An earlier call was interrupted between the two renames; the first must be durable.
            tree.sync_parents()?;
            tree.install_replacement()?;
            return change.finish();
        }
        tree.discard_replacement()?;
        change.finish()?;
        tree.refuse_mob()?;
        let locks = change.lock_regions()?;
        tree.check_archivable(|_| true)?;
        let stored = change.descriptor()?;
        let families: Vec<Family> = stored.descriptor().families().cloned().collect();
        let descriptor = stored.read(&**options.file_storage())?;
        let regions = change.new_regions(preserve_splits)?;
        tree.prepare_replacement(EmptyTable {
            descriptor: &descriptor,
            has_length: stored.has_length(),
            families: &families,
            regions: &regions,
        })?;
        check_catalog(change.root, change.options)?;
        change.move_away(&locks)?;
        tree.sync_parents().and_then(|()| tree.install_replacement()).inspect_err(|_| {
            // A process that created a region after the locks were taken may have removed it.
            if matches!((tree.has_replacement(), tree.exists()), (Ok(false), Ok(false))) {
                let _ = tree.move_back();
            }
        })?;
        change.finish()
    }

    /// Whether a directory has only the remains of a table that was deleted, or not completely created, in a
    /// storage without renames. They stay there, and may look like a table. Returns `false` for an empty
    /// directory, and for anything else.
    ///
    /// # Errors
    ///
    /// If the directory cannot be listed; if the file of a change of the table, or a region info, is
    /// malformed or cannot be read.
    pub fn is_absent(dir: impl AsRef<Path>, storage: &dyn Storage) -> Result<bool> {
        let listing = TableListing::read(storage, dir.as_ref())?;
        Ok(listing.has_creation() && !listing.has_region(storage)?)
    }

    /// Whether a table that was deleted in a storage without renames has left regions or descriptors in its
    /// directory: [`delete_table`](Self::delete_table) removes them.
    ///
    /// # Errors
    ///
    /// If the directory cannot be listed; if the file of a change of the table, or a region info, is
    /// malformed or cannot be read.
    pub fn has_unfinished_deletion(dir: impl AsRef<Path>, storage: &dyn Storage) -> Result<bool> {
        let listing = TableListing::read(storage, dir.as_ref())?;
        for deletion in listing.deletions() {
            if listing.is_unfinished(storage, deletion)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Completes a deletion of a table of this name that was interrupted, so that it can be created.
    pub(super) fn finish_deletion(root: &Path, name: &str, options: &RegionOptions) -> Result<()> {
        let tree = TableTree::new(options.file_storage(), root, &TableName::parse(name)?);
        if !options.file_storage().can_rename(root) {
            let listing = TableListing::read(&**options.file_storage(), &tree.dir())?;
            if !listing.deletions().any(|deletion| listing.is_left(deletion)) {
                return Ok(());
            }
            return TableChange::begin(root, name, options)?.begin_in_place().map(drop);
        }
        if !(tree.has_remains()? || tree.has_replacement()?) || tree.exists()? {
            return Ok(());
        }
        let change = TableChange::begin(root, name, options)?;
        if change.tree.exists()? {
            return Ok(()); // another process has completed it
        }
        change.tree.discard_replacement()?;
        change.finish()
    }

    /// Removes a table that was just created or cloned, and could not be added to the catalog, unless another
    /// process has written to it, or the catalog has it: that process may have adopted it, see
    /// [`is_created`](Self::is_created). In a storage without renames the table stays.
    ///
    /// Returns whether it was added durably after all, and only a later step failed.
    pub(super) fn undo_creation(root: &Path, name: &str, options: &RegionOptions) -> Result<bool> {
        let change = TableChange::begin(root, name, options)?;
        let locks = change.lock_regions()?;
        let has_writes = change.tree.has_writes()?;
        if let Some(catalog) = TableCatalog::open(root, options)? {
            let is_known = catalog.has_table(&change.table)?;
            if is_known && !has_writes {
                // The rows may be from a former table.
                return catalog.follow_directories(root, &change.table, options).map(|()| true);
            }
            if is_known || has_writes || change.is_in_place() {
                return catalog.close().map(|()| false);
            }
            // The catalog stays locked until no other process can find the table.
            change.move_away(&locks)?;
            catalog.close()?;
            change.finish()?;
        }
        Ok(false)
    }

    /// Whether a table that the catalog does not have equals one created with this descriptor and these
    /// regions, apart from their ids: a process failed between the two steps of a creation. False if it is in
    /// use, or has a descriptor that a creation cannot have.
    ///
    /// # Errors
    ///
    /// If the root is locked, or an I/O operation fails, so that this cannot be determined.
    pub(super) fn is_created(
        root: &Path,
        descriptor: &TableDescriptor,
        regions: &[RegionInfo],
        options: &RegionOptions,
    ) -> Result<bool> {
        let change = TableChange::begin(root, &descriptor.table().to_string(), options)?;
        let _locks = match change.lock_regions() {
            Err(error) if error.kind() == ErrorKind::Locked => return Ok(false),
            locked => locked?,
        };
        if !change.tree.is_empty()? {
            return Ok(false);
        }
        let stored = match change.descriptor() {
            // The descriptor is missing or damaged, or has settings that are refused.
            Err(error) if error.kind() != ErrorKind::Io => return Ok(false),
            stored => stored?,
        };
        if !stored.is_first(&**options.file_storage(), descriptor)? {
            return Ok(false);
        }
        let mut found = regions_on_disk(root, &change.table, options)?;
        found.sort_by(|a, b| a.start_key().cmp(b.start_key()));
        let is_as = |(found, asked): (&RegionInfo, &RegionInfo)| *found == asked.with_id(found.region_id());
        Ok(found.len() == regions.len() && found.iter().zip(regions).all(is_as))
    }
}

impl<'o> TableChange<'o> {
    /// Locks the root directory.
    pub(super) fn begin(root: &'o Path, name: &str, options: &'o RegionOptions) -> Result<Self> {
        Error::if_no_clock("a change of a table")?;
        let table = TableName::parse(name)?;
        if table.is_made_by_master() {
            return Err(Error::invalid_argument(format!("{table} cannot be changed: a cluster creates it")));
        }
        let storage = options.file_storage();
        let (tree, logs) = (TableTree::new(storage, root, &table), LogTree::new(root));
        if !tree.exists()? && !tree.has_remains()? && !tree.has_replacement()? {
            return Err(not_found(&table, root));
        }
        let lock = logs.lock(&**storage)?;
        Ok(Self { table, root, tree, logs, options, lock })
    }

    /// Whether the table is in a storage without renames, so that nothing can be moved away atomically.
    pub(super) fn is_in_place(&self) -> bool {
        !self.options.file_storage().can_rename(self.root)
    }

    pub(super) fn not_found(&self, root: &Path) -> Error {
        not_found(&self.table, root)
    }

    /// Locks all regions, so that no process opens any of them for writing.
    ///
    /// # Errors
    ///
    /// If one is open for writing.
    pub(super) fn lock_regions(&self) -> Result<RegionLocks> {
        self.tree.lock_regions(|region| self.options.lock(region))
    }

    /// Like [`finish_change`].
    fn finish(&self) -> Result<()> {
        finish_change(self.root, &self.table, &self.tree, self.options)
    }

    /// Returns the table's descriptor.
    pub(super) fn descriptor(&self) -> Result<StoredDescriptor> {
        let listing = self.tree.listing()?;
        // Writes the descriptors of changes made in a storage without renames.
        listing.write_descriptors(self.options.file_storage())?;
        self.tree.descriptor(&listing)?.ok_or_else(|| {
            let message = format!("table {} has no descriptor, so its settings are not known", self.table);
            Error::invalid_argument(message)
        })
    }

    /// Returns the regions that serve rows.
    pub(super) fn serving_regions(&self) -> Result<Vec<RegionInfo>> {
        regions_on_disk(self.root, &self.table, self.options).map(serving)
    }

    /// Returns the regions of the empty table. Their ids are greater than those of the old ones, so that no
    /// log or reference of an old region is mistaken for theirs.
    fn new_regions(&self, preserve_splits: bool) -> Result<Vec<RegionInfo>> {
        let old = self.serving_regions()?;
        let id = RegionInfo::id_after(&old, self.options.now())?;
        self.empty_regions(&old, preserve_splits, id)
    }

    /// Returns the regions of an empty table, with an id: with the key ranges of the old ones, or one.
    pub(super) fn empty_regions(
        &self,
        old: &[RegionInfo],
        preserve_splits: bool,
        id: i64,
    ) -> Result<Vec<RegionInfo>> {
        let new =
            |start: &[u8], end: &[u8]| RegionInfo::new(self.table.clone(), start.to_vec(), end.to_vec(), id);
        if !preserve_splits {
            return Ok(vec![new(&[], &[])?]);
        }
        if let Some(fault) = check_region_chain(old).first() {
            return Err(fault.to_error());
        }
        old.iter().map(|region| new(region.start_key(), region.end_key())).collect()
    }

    /// Moves the table's directory away, unless a region was created and opened for writing since the locks
    /// were taken.
    fn move_away(&self, locks: &RegionLocks) -> Result<()> {
        self.tree.move_away(locks, |region| self.options.lock(region))
    }
}

/// Ends a change of a table after its commit: updates the catalog, and archives and removes the directories
/// that were moved away. Can be repeated. The root must be locked.
pub(super) fn finish_change(
    root: &Path,
    table: &TableName,
    tree: &TableTree,
    options: &RegionOptions,
) -> Result<()> {
    if !tree.has_remains()? {
        return Ok(());
    }
    // The catalog must not lose a table that could reappear after a crash.
    tree.sync_parents()?;
    follow_directories(root, table, options)?;
    tree.finish()
}

/// Makes the rows of a table match its directories, if the root has a catalog with the table.
pub(super) fn follow_directories(root: &Path, table: &TableName, options: &RegionOptions) -> Result<()> {
    if let Some(catalog) = TableCatalog::open(root, options)?
        && catalog.has_table(table)?
    {
        catalog.follow_directories(root, table, options)?;
    }
    Ok(())
}

#[cold]
fn not_found(table: &TableName, root: &Path) -> Error {
    Error::new(ErrorKind::TableNotFound, format!("there is no table {table} in {}", root.display()))
}
