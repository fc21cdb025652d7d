//! Takes and removes snapshots, and copies them to other root directories (HBase: `TakeSnapshotHandler`,
//! `ExportSnapshot`).

use crate::error::{Error, Result};
use crate::layout::{HFilePath, Snapshot, SnapshotTree, TableTree, split_parents};
use crate::region::{Region, RegionOptions};
use crate::schema::SnapshotDescription;
use crate::table::Table;
use crate::table::admin::finish_change;
use std::path::Path;

impl Table {
    /// Takes a snapshot of the table: flushes its regions, and records the names of their store files. It can
    /// be read by HBase and by [`open_snapshot`](Self::open_snapshot).
    ///
    /// The table can be written to during the call. The snapshot has the writes to each region up to one
    /// moment, which is not the same for all regions. Store files that the table replaces later stay in the
    /// archive. The snapshot includes split regions while others refer to their files.
    ///
    /// After a failure or a crash, the snapshot exists as a whole or not at all: its directory is renamed
    /// last, or, in a storage without renames, its description (`.snapshotinfo`) is written last by one
    /// conditional put.
    ///
    /// ```
    /// use hregion::{Family, Get, Put, Region, Table};
    ///
    /// # fn main() -> hregion::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a directory");
    /// # let root = dir.path();
    /// let table = Table::create(root, "users", &[Family::new("f")], &["m"])?;
    /// table.put(Put::new("anna").cell("f", "town", "Bern"))?;
    /// table.snapshot("before")?;
    /// table.put(Put::new("anna").cell("f", "town", "Rome"))?;
    /// let old = Table::clone_snapshot(root, "before", "users-before", Region::options())?;
    /// assert_eq!(old.get(&Get::new("anna"))?.value("f", "town"), Some(&b"Bern"[..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - If the name is not valid, or a snapshot of this name exists ([`std::io::ErrorKind::AlreadyExists`]).
    /// - If the table is open for reading only, is [closed](crate::ErrorKind::Closed), or has no region.
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the table is not below a root directory, or is one
    ///   of the namespace `hbase`; if a snapshot of this name was deleted in a storage without renames, see
    ///   [`delete_snapshot`](Self::delete_snapshot); if another process archives a parent during the call.
    /// - If the root is [locked](crate::ErrorKind::Locked) by another change of its snapshots, or a recovery.
    /// - If a region cannot be opened or flushed; if a store file, or a directory between it and the root, is
    ///   a symbolic link; if an I/O operation fails.
    pub fn snapshot(&self, name: &str) -> Result<SnapshotDescription> {
        let (table, options) = (self.name(), &self.0.options);
        if !options.is_writable() {
            return Err(Error::invalid_argument("a snapshot needs a table that is open for writing"));
        }
        if table.is_system() {
            // HBase would not delete it (`ClientSnapshotDescriptionUtils.assertSnapshotRequestIsValid`).
            return Err(Error::not_supported(format!(
                "a snapshot of {table} is not supported: it is a system table"
            )));
        }
        // No region may be split or merged during the snapshot.
        let _changing = self.0.change("take a snapshot of its table")?;
        let regions = self.0.open_all()?;
        let Some(first) = regions.first() else {
            return Err(Error::invalid_argument("a snapshot needs a table with regions"));
        };
        let Some(root) = first.root_of_table() else {
            let message = "a snapshot needs a table at data/<namespace>/<table> of a root directory";
            return Err(Error::not_supported(message));
        };
        let (tree, storage) = (SnapshotTree::new(root), options.file_storage());
        tree.check_new(&**storage, name)?;
        let description = SnapshotDescription::new(name, table.clone(), options.now())?;
        let mut regions = regions.iter().map(Region::take_snapshot).collect::<Result<Vec<_>>>()?;
        if let Some(dir) = self.0.dir() {
            regions.extend(split_parents(storage, &dir, &regions)?);
        }
        let lock = tree.lock(&**storage)?;
        tree.create(storage, &lock, &description, &regions)?;
        Ok(description)
    }

    /// Removes a snapshot. Its store files stay, in the table or in the archive: nothing here removes files
    /// from the archive, but HBase does if no snapshot and no clone needs them.
    ///
    /// After a failure or a crash, the snapshot exists as a whole or not at all. Remains of a removed
    /// snapshot, in `.hbase-snapshot/.tmp`, are not read; a repeated call, or the next snapshot of the name,
    /// removes them. A restoration that was interrupted after the new table was complete is completed first.
    ///
    /// In a storage without renames, such as an object store, the removal of `.snapshotinfo` removes the
    /// snapshot. That request may be executed again later, so no other snapshot may get the name: an empty
    /// file in the root's `.hregion.deleted-snapshots` records it. The remains of a failed attempt to take a
    /// snapshot are removed like a snapshot.
    ///
    /// # Errors
    ///
    /// - If the name is not valid, or there is no such snapshot ([`std::io::ErrorKind::NotFound`]).
    /// - If the root is [locked](crate::ErrorKind::Locked).
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the table does not exist because its
    ///   [restoration](Self::restore_snapshot) or [deletion](Self::delete_table) was interrupted: repeat that
    ///   first.
    /// - If the files of a table that was replaced cannot be archived, or an I/O operation fails, such as the
    ///   removal of remains.
    pub fn delete_snapshot(root: impl AsRef<Path>, name: &str) -> Result<()> {
        Self::delete_snapshot_with(root, name, Region::options())
    }

    /// Like [`delete_snapshot`](Self::delete_snapshot), on the storage of the options.
    ///
    /// # Errors
    ///
    /// Same as [`delete_snapshot`](Self::delete_snapshot).
    pub fn delete_snapshot_with(root: impl AsRef<Path>, name: &str, options: RegionOptions) -> Result<()> {
        SnapshotDescription::check_name(name)?;
        let root = root.as_ref();
        let (tree, storage) = (SnapshotTree::new(root), options.file_storage());
        let lock = tree.lock(&**storage)?;
        if let Some(table) = tree.table_to_finish(storage, name)? {
            finish_change(root, &table, &TableTree::new(storage, root, &table), &options)?;
        }
        tree.remove(storage, &lock, name)
    }

    /// Copies a snapshot to another root directory, which is created if it does not exist: its HFiles to the
    /// archive there, then its manifest. All checksums of each copy are verified before the manifest is
    /// copied.
    ///
    /// An export that failed or was interrupted can be repeated: existing files with the same bytes are not
    /// copied again, and incomplete copies are removed. Files that are moved to the archive during the
    /// export, for example by a compaction, are copied from there.
    ///
    /// The other root has the snapshot only after all files have been copied. Files that HBase's cleaner has
    /// removed there by then are copied again. If some of these cannot be copied, and the snapshot cannot be
    /// removed again, a repeated call copies them.
    ///
    /// # Errors
    ///
    /// - If there is no such snapshot ([`std::io::ErrorKind::NotFound`]), or a store file is missing or
    ///   damaged.
    /// - If the other root has a snapshot of this name, or a different file at the path of a copy
    ///   ([`std::io::ErrorKind::AlreadyExists`]); or if it is [locked](crate::ErrorKind::Locked).
    /// - [`Unsupported`](crate::ErrorKind::Unsupported) if the snapshot has no `data.manifest`, or references
    ///   that are not in it; if values of its table are in MOB files; if a snapshot of this name was
    ///   [deleted](Self::delete_snapshot) there, in a storage without renames.
    /// - If an I/O operation fails.
    pub fn export_snapshot(root: impl AsRef<Path>, name: &str, other_root: impl AsRef<Path>) -> Result<()> {
        Self::export_snapshot_with(root, name, other_root, Region::options())
    }

    /// Like [`export_snapshot`](Self::export_snapshot), with options that have the storage of both roots,
    /// which may be in different parts of it, and the keys and dictionaries needed to read their files.
    ///
    /// # Errors
    ///
    /// Same as [`export_snapshot`](Self::export_snapshot).
    pub fn export_snapshot_with(
        root: impl AsRef<Path>,
        name: &str,
        other_root: impl AsRef<Path>,
        options: RegionOptions,
    ) -> Result<()> {
        let (storage, other) = (options.file_storage(), SnapshotTree::new(other_root.as_ref()));
        let snapshot = Snapshot::open(&**storage, root.as_ref(), name)?;
        let mut hfiles = snapshot.hfiles(&**storage)?;
        let paths: Vec<HFilePath> = hfiles.keys().cloned().collect();
        other.create_root(&**storage)?;
        let lock = other.lock(&**storage)?;
        let is_new = other.check_new(&**storage, name);
        // An earlier call may have failed to remove the snapshot after publishing it.
        let may_lack_files = match &is_new {
            Err(error) => error.is_already_exists() && snapshot.is_in(&**storage, &other)?,
            Ok(()) => false,
        };
        if !may_lack_files {
            is_new.clone()?;
        }
        other.remove_unfinished(&**storage, &paths)?;
        let import = |path: &HFilePath, from: &Path| {
            other.import(storage, path, from, |copy| options.verify_hfile(copy))
        };
        let mut copy = |path: &HFilePath| {
            let mut from = hfiles.get(path).cloned().unwrap_or_default();
            loop {
                match import(path, &from) {
                    Err(error) if error.is_stale() => {
                        // This and other files may have been moved since they were found: to the archive by a
                        // compaction, or to `.tmp` and from there to the archive by a deletion of the table.
                        hfiles = snapshot.hfiles(&**storage)?;
                        match hfiles.get(path) {
                            Some(now) if *now != from => from.clone_from(now),
                            _ => return Err(error),
                        }
                    }
                    copied => return copied,
                }
            }
        };
        if may_lack_files {
            let mut missing = Vec::new();
            for path in &paths {
                if !other.has(&**storage, path)? {
                    missing.push(path);
                }
            }
            return if missing.is_empty() { is_new } else { missing.into_iter().try_for_each(copy) };
        }
        paths.iter().try_for_each(&mut copy)?;
        // HBase's cleaner removes archived files that no snapshot has: until the snapshot is published, also
        // these.
        let copy_missing = || {
            paths.iter().try_for_each(|path| match other.has(&**storage, path)? {
                true => Ok(()),
                false => copy(path),
            })
        };
        snapshot.publish_in(storage, &other, &lock, copy_missing)
    }
}
