//! The directory of the snapshots: publication and removal (HBase: `TakeSnapshotHandler`,
//! `SnapshotManager.deleteSnapshot`).
//!
//! A snapshot is written to `.tmp/<name>`, and published by one rename. To remove it, it is renamed back
//! first, so that it is never there in part.

use super::manifest::data_manifest;
use super::{DATA_MANIFEST, MANIFEST_BYTES, SNAPSHOT_DIR, SNAPSHOT_INFO, SnapshotRegion, not_found};
use crate::error::{Error, Result};
use crate::io::{FileLock, Storage};
use crate::layout::descriptor::read_descriptor;
use crate::layout::durable::{create_dir_durably, move_dir, remove_tree, write_file};
use crate::layout::region::already_exists;
use crate::layout::root_tree::RootTree;
use crate::layout::table::create_parents;
use crate::schema::SnapshotDescription;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory of snapshots that are being written or removed, within that of the snapshots.
const TMP: &str = ".tmp";

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

    /// Creates the root directory, unless it exists.
    pub(crate) fn create_root(&self, storage: &dyn Storage) -> Result<()> {
        create_parents(storage, &self.tree.root().path)
    }

    /// Fails if there is a snapshot of this name, or the name is not valid for one.
    pub(crate) fn check_new(&self, storage: &dyn Storage, name: &str) -> Result<()> {
        SnapshotDescription::check_name(name)?;
        let path = self.dir().join(name);
        match self.tree.listings(storage).file(&path.join(SNAPSHOT_INFO))? {
            None => Ok(()),
            Some(_) => Err(already_exists(&path)),
        }
    }

    /// Writes a snapshot, durably. After a failure or a crash there is all of it or none.
    ///
    /// # Errors
    ///
    /// Of kind [`std::io::ErrorKind::AlreadyExists`] if there is a snapshot of this name; if the table has no
    /// descriptor, or one that cannot be read; if a store file, or a directory on the way, is a symbolic
    /// link; if the manifest would be larger than HBase reads; if an I/O operation fails.
    pub(crate) fn create(
        &self,
        storage: &Arc<dyn Storage>,
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
        self.publish(storage, description.name(), &description.to_message(), &manifest)
    }

    /// Fails if a store file could not be read by the snapshot, which follows no symbolic links.
    fn refuse_links(&self, storage: &dyn Storage, table: &Path, regions: &[SnapshotRegion]) -> Result<()> {
        let mut listings = self.tree.listings(storage);
        for region in regions {
            let dir = table.join(region.info.encoded_name());
            for (family, files) in &region.families {
                for file in files {
                    // One that is not there has been moved to the archive meanwhile.
                    listings.file(&dir.join(&**family).join(&*file.name))?;
                }
            }
        }
        Ok(())
    }

    /// As [`create`](Self::create), from the contents of the files.
    pub(super) fn publish(
        &self,
        storage: &Arc<dyn Storage>,
        name: &str,
        info: &[u8],
        manifest: &[u8],
    ) -> Result<()> {
        self.check_new(&**storage, name)?;
        let (path, aside) = (self.dir().join(name), self.aside(&**storage, name)?);
        // A directory without a description remains of a removal.
        remove_tree(&**storage, &path)?;
        create_dir_durably(&**storage, &self.tree.root().path, &aside)?;
        write_file(storage, &aside.join(DATA_MANIFEST), manifest)?;
        write_file(storage, &aside.join(SNAPSHOT_INFO), info)?;
        move_dir(&**storage, &aside, &path)
    }

    /// Removes a snapshot, durably: after a failure or a crash there is all of it or none. Its store files
    /// stay where they are. Remains, which are not read, are removed by the next attempt, or by the next
    /// snapshot of the name.
    ///
    /// # Errors
    ///
    /// If there is no snapshot of this name, and no remains, with [`std::io::ErrorKind::NotFound`]; if the
    /// name is not valid for one; if an I/O operation fails.
    pub(crate) fn remove(&self, storage: &dyn Storage, name: &str) -> Result<()> {
        SnapshotDescription::check_name(name)?;
        let (path, tmp) = (self.dir().join(name), self.dir().join(TMP));
        if self.tree.list(storage, &path)?.is_none() {
            // Another attempt may have left remains.
            return match self.tree.list(storage, &tmp.join(name))? {
                Some(_) => remove_tree(storage, &tmp.join(name)),
                None => Err(not_found("remove", &path, "there is no such snapshot".to_owned())),
            };
        }
        let aside = self.aside(storage, name)?;
        create_dir_durably(storage, &self.tree.root().path, &tmp)?;
        move_dir(storage, &path, &aside)?;
        remove_tree(storage, &aside)
    }

    /// Returns the path of a snapshot that is being written or removed, and removes what another attempt has
    /// left there.
    fn aside(&self, storage: &dyn Storage, name: &str) -> Result<PathBuf> {
        let aside = self.dir().join(TMP).join(name);
        // Fails if a directory on the way is a symbolic link.
        if self.tree.list(storage, &aside)?.is_some() {
            remove_tree(storage, &aside)?;
        }
        Ok(aside)
    }
}
