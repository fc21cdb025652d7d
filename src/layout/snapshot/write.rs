//! Publishes and removes snapshots (HBase: `TakeSnapshotHandler`, `SnapshotManager.deleteSnapshot`).
//!
//! A snapshot is written to `.tmp/<name>.<random>`, and published by one rename. To remove it, it is first
//! renamed to `.tmp/<name>.<random>/removed`, so that a part of it is never visible. Each attempt first
//! removes such directories of others, so that a process that has lost the lock of the root cannot move
//! anything from or to them late.
//!
//! In a storage without renames, the manifest is written in place, and the creation of `.snapshotinfo`
//! publishes the snapshot: without it, no snapshot exists, here and in HBase. The next attempt replaces the
//! remains of a failed one. A removal begins with `.snapshotinfo`. The request may be executed late, and
//! could hit a new snapshot of the same name: so the name is first recorded in [`deleted`], and is not
//! reused. A description without a manifest is not a snapshot either: a process that has lost the lock of the
//! root may make one late.

use super::manifest::data_manifest;
use super::{
    DATA_MANIFEST, MANIFEST_BYTES, SNAPSHOT_DIR, SNAPSHOT_INFO, SnapshotRegion, deleted, is_deleted,
    not_found,
};
use crate::binary::is_hex;
use crate::error::{Error, Result};
use crate::io::{FileLock, Storage};
use crate::layout::descriptor::read_descriptor;
use crate::layout::durable::{
    create_dir_durably, move_dir, remove, remove_tree, sync_dir, unless_not_found, write_file, write_synced,
};
use crate::layout::file_name::new_file_name;
use crate::layout::region::already_exists;
use crate::layout::root_tree::RootTree;
use crate::layout::table::create_parents;
use crate::schema::SnapshotDescription;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory of snapshots that are being written or removed, within that of the snapshots.
const TMP: &str = ".tmp";
/// The name of a snapshot in the directory of its removal.
const REMOVED: &str = "removed";

/// The contents of the files of a snapshot.
#[derive(Clone, Copy)]
pub(super) struct SnapshotContent<'s> {
    pub(super) info: &'s [u8],
    pub(super) manifest: &'s [u8],
}

/// The snapshots of a root directory. Changes are made with the root locked.
#[derive(Debug)]
pub(crate) struct SnapshotTree {
    pub(super) tree: RootTree,
}

impl SnapshotTree {
    pub(crate) fn new(root: &Path) -> Self {
        Self { tree: RootTree::new(root) }
    }

    fn dir(&self) -> PathBuf {
        self.tree.root().path.join(SNAPSHOT_DIR)
    }

    /// Locks the root directory.
    ///
    /// # Errors
    ///
    /// Of kind [`Locked`](crate::ErrorKind::Locked) if it is locked; if it does not exist.
    pub(crate) fn lock(&self, storage: &dyn Storage) -> Result<FileLock> {
        self.tree.lock(storage)
    }

    /// Creates the root directory, unless it exists. Without renames, it exists when it has a file.
    pub(crate) fn create_root(&self, storage: &dyn Storage) -> Result<()> {
        let root = &self.tree.root().path;
        if storage.can_rename(root) { create_parents(storage, root) } else { Ok(()) }
    }

    /// Fails if there is a snapshot of this name, or the name is not valid for one.
    ///
    /// # Errors
    ///
    /// Of kind [`std::io::ErrorKind::AlreadyExists`] if there is a snapshot of this name; if the name is not
    /// valid; of kind [`Unsupported`](crate::ErrorKind::Unsupported) if a snapshot of this name was removed,
    /// in a storage without renames; if a directory cannot be listed or synced.
    pub(crate) fn check_new(&self, storage: &dyn Storage, name: &str) -> Result<()> {
        SnapshotDescription::check_name(name)?;
        let path = self.dir().join(name);
        if self.tree.listings(storage).file(&path.join(SNAPSHOT_INFO))?.is_some() {
            // The process that published it may have died before it synced the name.
            sync_dir(storage, &self.dir())?;
            return Err(already_exists(&path));
        }
        if is_deleted(&self.tree, storage, name)? {
            return Err(Error::not_supported(format!(
                "a snapshot named {name} was deleted, and another one could be lost with it, as a request to \
                 remove an object may be carried out late: take another name ({})",
                path.display()
            )));
        }
        Ok(())
    }

    /// Writes a snapshot, durably. After a failure or a crash there is all of it or none. The root must be
    /// locked.
    ///
    /// # Errors
    ///
    /// Of kind [`std::io::ErrorKind::AlreadyExists`] if there is a snapshot of this name; if the table has no
    /// descriptor, or one that cannot be read; if a store file, or a directory on its path, is a symbolic
    /// link; if the manifest would be larger than HBase reads; if the lock was lost; if an I/O operation
    /// fails.
    pub(crate) fn create(
        &self,
        storage: &Arc<dyn Storage>,
        lock: &FileLock,
        description: &SnapshotDescription,
        regions: &[SnapshotRegion],
    ) -> Result<()> {
        let table = description.table();
        let owner = self.tree.root().table(table);
        let Some(stored) = read_descriptor(&**storage, &owner, table)? else {
            return Err(not_found("open", &owner, format!("table {table} has no descriptor")));
        };
        stored.refuse_mob()?;
        self.refuse_links(&**storage, &owner, regions)?;
        let manifest = data_manifest(description, &stored.descriptor, regions);
        if manifest.len() as u64 > MANIFEST_BYTES {
            let message =
                format!("the manifest has {} bytes, at most {MANIFEST_BYTES} are read", manifest.len());
            return Err(Error::over_limit(message));
        }
        let content = SnapshotContent { info: &description.to_message(), manifest: &manifest };
        self.publish(storage, lock, description.name(), content, || Ok(()))
    }

    /// Fails if a store file could not be read by the snapshot, which follows no symbolic links.
    fn refuse_links(&self, storage: &dyn Storage, table: &Path, regions: &[SnapshotRegion]) -> Result<()> {
        let mut listings = self.tree.listings(storage);
        for region in regions {
            let dir = table.join(region.info.encoded_name());
            for (family, files) in &region.families {
                for file in files {
                    // A missing file has been moved to the archive.
                    listings.file(&dir.join(&**family).join(&*file.name))?;
                }
            }
        }
        Ok(())
    }

    /// Like [`create`](Self::create), from the contents of the files. Calls `complete` when HBase's cleaner
    /// must keep the files of the manifest: after the snapshot is published, which is removed again if that
    /// fails; in a storage without renames, right before.
    pub(super) fn publish(
        &self,
        storage: &Arc<dyn Storage>,
        lock: &FileLock,
        name: &str,
        content: SnapshotContent<'_>,
        complete: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.check_new(&**storage, name)?;
        let path = self.dir().join(name);
        let SnapshotContent { info, manifest } = content;
        if !storage.can_rename(&path) {
            // Replaces the manifest of an interrupted attempt. Without a description, neither is read.
            write_file(storage, &path.join(DATA_MANIFEST), manifest)?;
            complete()?;
            self.tree.check_lock(lock)?;
            return describe_in_place(storage, &path.join(SNAPSHOT_INFO), info);
        }
        let aside = self.aside(&**storage, name)?;
        // A directory without a description remains of a removal.
        remove_tree(&**storage, &path)?;
        create_dir_durably(&**storage, &self.tree.root().path, &aside)?;
        write_file(storage, &aside.join(DATA_MANIFEST), manifest)?;
        write_file(storage, &aside.join(SNAPSHOT_INFO), info)?;
        move_dir(&**storage, &aside, &path)?;
        complete().inspect_err(|_| {
            // The first error is reported.
            let _ = self.remove(storage, lock, name);
        })
    }

    /// Removes a snapshot, durably: after a failure or a crash there is all of it or none. Its store files
    /// stay in place. Remains, which are not read, are removed by the next attempt, or by the next snapshot
    /// of the name. The root must be locked.
    ///
    /// # Errors
    ///
    /// If there is no snapshot of this name, and no remains, with [`std::io::ErrorKind::NotFound`]; if the
    /// name is not valid for one; if the lock was lost; if an I/O operation fails.
    pub(crate) fn remove(&self, storage: &Arc<dyn Storage>, lock: &FileLock, name: &str) -> Result<()> {
        SnapshotDescription::check_name(name)?;
        let path = self.dir().join(name);
        if !storage.can_rename(&path) {
            return self.remove_in_place(storage, lock, name);
        }
        let storage = &**storage;
        if self.tree.list(storage, &path)?.is_none() {
            // Another attempt may have left remains.
            return match self.remove_left(storage, name)? {
                true => Ok(()),
                false => Err(not_found("remove", &path, "there is no such snapshot".to_owned())),
            };
        }
        let aside = self.aside(storage, name)?;
        create_dir_durably(storage, &self.tree.root().path, &aside)?;
        move_dir(storage, &path, &aside.join(REMOVED))?;
        remove_tree(storage, &aside)
    }

    /// Like [`remove`](Self::remove), in a storage without renames.
    fn remove_in_place(&self, storage: &Arc<dyn Storage>, lock: &FileLock, name: &str) -> Result<()> {
        let path = self.dir().join(name);
        if self.tree.list(&**storage, &path)?.is_none() {
            return Err(not_found("remove", &path, "there is no such snapshot".to_owned()));
        }
        write_file(storage, &deleted(&self.tree, name), &[])?;
        self.tree.check_lock(lock)?;
        unless_not_found(remove(&**storage, &path.join(SNAPSHOT_INFO)))?;
        remove_tree(&**storage, &path)
    }

    /// Returns a unique path for a snapshot that is being written or removed, and removes the remains of
    /// others.
    fn aside(&self, storage: &dyn Storage, name: &str) -> Result<PathBuf> {
        self.remove_left(storage, name)?;
        Ok(self.dir().join(TMP).join(format!("{name}.{}", new_file_name(0))))
    }

    /// Removes the remains of attempts to write or remove a snapshot. Returns whether there were any.
    ///
    /// # Errors
    ///
    /// If a directory is a symbolic link; if an I/O operation fails.
    fn remove_left(&self, storage: &dyn Storage, name: &str) -> Result<bool> {
        let tmp = self.dir().join(TMP);
        // Without the random number, it belongs to a snapshot that HBase takes or exports.
        let is_of = |dir: &String| {
            let random = dir.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            random.is_some_and(|random| random.len() == 32 && is_hex(random))
        };
        let mut left = self.tree.dirs(storage, &tmp)?;
        left.retain(is_of);
        if !left.is_empty() {
            // A dead process may not have synced the rename of a snapshot to this directory: it could
            // reappear, maybe without some of its files.
            sync_dir(storage, &self.dir())?;
        }
        left.iter().try_for_each(|dir| remove_tree(storage, &tmp.join(dir)))?;
        Ok(!left.is_empty())
    }
}

/// Creates the description of a snapshot in a storage without renames. A description that has appeared in the
/// meantime is from a process that has lost the lock, does not belong to the manifest, and causes an error.
fn describe_in_place(storage: &Arc<dyn Storage>, path: &Path, info: &[u8]) -> Result<()> {
    let file = storage.create_new(path).map_err(|error| Error::io("create", path, error));
    match file.and_then(|file| write_synced(file, path, info)) {
        Err(error) if error.is_already_exists() => write_file(storage, path, info),
        created => created,
    }
}
