//! Replaces a table by the content of its snapshot (HBase: `RestoreSnapshotProcedure`).
//!
//! 1. The new table is written to the root's `.tmp`, under a hidden name. Other changes of the whole table
//!    remove it, so that a process that has lost the lock of the root cannot install it late.
//! 2. The directory of the old table is moved to the root's `.tmp`, where links find its files (hfile.md
//!    §15.5).
//! 3. The new one gets its name.
//! 4. The catalog gets the regions of the new one.
//! 5. The store files of the old table are moved to the archive, and the rest of it is removed.
//!
//! After a crash between 2 and 3 there is no table, and the snapshot [cannot be
//! deleted](SnapshotTree::table_to_finish); after a crash after 3 the new table is complete. The remains of
//! the old one stay until step 5 of the next restoration, or, if a table exists again, until its step 2, or
//! until the snapshot is deleted.
//!
//! In a storage without renames, a restoration is a change of all regions: see
//! [`Replacement`](crate::layout::Replacement). It no longer needs the snapshot after it is made: the links
//! of the new table lead to the archive.

use super::clone::TableClone;
use super::{SNAPSHOT_DIR, Snapshot, SnapshotTree, read_description};
use crate::error::{Error, Result};
use crate::io::{FileLock, Storage};
use crate::layout::durable::{create_dir_durably, move_dir, parent, remove_tree, sync_dir};
use crate::layout::table::{create_parents, fill_aside};
use crate::layout::table_tree::TableTree;
use crate::schema::TableName;
use std::path::Path;
use std::sync::Arc;

impl Snapshot {
    /// Replaces the table of the snapshot by the content of the snapshot; creates it if it does not exist.
    /// The root must be locked. `lock` locks a region of the old table; `follow` updates the catalog from the
    /// directories, before the old table is removed.
    ///
    /// # Errors
    ///
    /// If a region is locked; if a directory or a store file of the old table is a symbolic link; if a store
    /// file of the snapshot is missing, or its length differs; if the snapshot has no descriptor; if values
    /// of the table, then or now, are in MOB files; if an I/O operation fails.
    pub(crate) fn restore_table(
        &self,
        storage: &Arc<dyn Storage>,
        now: i64,
        lock: impl Fn(&Path) -> Result<FileLock>,
        follow: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let (root, table) = (self.tree.root(), self.description.table());
        let path = root.table(table);
        let replaced = TableTree::new(storage, &root.path, table);
        let clone = TableClone::new(self, storage, table, now)?;
        if replaced.exists()? {
            replaced.refuse_mob()?;
        }
        let locks = replaced.lock_regions(&lock)?;
        replaced.check_archivable(|_| true)?;
        create_parents(&**storage, parent(&path))?;
        let (removed, name) = (replaced.removed(), path.file_name().unwrap_or_default());
        create_dir_durably(&**storage, &root.path, parent(&removed))?;
        let aside = fill_aside(storage, parent(&removed), name, |dir| clone.fill(dir))?;
        let put = || {
            if !replaced.exists()? {
                // The remains of an interrupted operation are the old table, and stay until the new one has
                // its name.
                if replaced.has_remains()? {
                    replaced.sync_parents()?;
                }
                replaced.discard_others(Some(aside.as_path()))?;
                return move_dir(&**storage, &aside, &path);
            }
            if replaced.has_remains()? {
                replaced.sync_parents()?;
                follow()?;
                replaced.finish()?;
            }
            replaced.discard_others(Some(aside.as_path()))?;
            // Until the new table is in place, a repeated call needs the snapshot. The process that published
            // it may have died before it synced the name.
            sync_dir(&**storage, &root.path.join(SNAPSHOT_DIR))?;
            // Cloning may take long: regions, or the table, may have been created in the meantime.
            replaced.move_away(&locks, &lock)?;
            replaced.sync_parents().and_then(|()| move_dir(&**storage, &aside, &path)).inspect_err(|_| {
                // Otherwise the next restoration finds the table to be missing.
                let _ = replaced.move_back();
            })
        };
        put().inspect_err(|_| {
            let _ = remove_tree(&**storage, &aside); // hidden, and never read
        })?;
        drop(locks);
        follow()?;
        replaced.finish()
    }
}

impl SnapshotTree {
    /// Returns the table of a snapshot that will be deleted, if a change of the whole table has left remains
    /// to archive after the new table was complete. The root must be locked.
    ///
    /// # Errors
    ///
    /// Of kind [`Unsupported`](crate::ErrorKind::Unsupported) if a restoration of the table was interrupted
    /// while there was none, so that the snapshot is needed to repeat it; if the directories cannot be read.
    pub(crate) fn table_to_finish(
        &self,
        storage: &Arc<dyn Storage>,
        name: &str,
    ) -> Result<Option<TableName>> {
        let root = &self.tree.root().path;
        if !storage.can_rename(root) {
            return Ok(None); // the remains of a restoration do not need the snapshot
        }
        let table = match read_description(&self.tree, &**storage, name) {
            Ok(Some(description)) => description.table().clone(),
            Ok(None) => return Ok(None),
            // Nothing can be restored from it.
            Err(error) if error.corruption().is_some() => return Ok(None),
            Err(error) => return Err(error),
        };
        let replaced = TableTree::new(storage, root, &table);
        if !replaced.has_remains()? {
            return Ok(None);
        }
        if replaced.exists()? {
            return Ok(Some(table));
        }
        // With a replacement, it is a truncation, which needs no snapshot.
        if replaced.has_replacement()? {
            return Ok(None);
        }
        let place = replaced.removed();
        let place = place.display();
        Err(Error::not_supported(format!(
            "a restoration or deletion of table {table} was interrupted ({place}): restore snapshot {name} \
             again, or delete the table, before the snapshot is deleted"
        )))
    }
}
