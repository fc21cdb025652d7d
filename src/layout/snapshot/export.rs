//! Copies snapshots to other root directories (HBase: `ExportSnapshot`).

use super::write::SnapshotContent;
use super::{
    DATA_MANIFEST, DataManifest, FamilyOfSnapshot, MANIFEST_BYTES, SNAPSHOT_DIR, SNAPSHOT_INFO,
    SNAPSHOT_INFO_BYTES, Snapshot, SnapshotTree, not_found,
};
use crate::error::{Error, ErrorKind, Result};
use crate::io::{FileLock, Storage, is_new_file};
use crate::layout::durable::{
    copy_file, create_dir_durably, is_same_file, remove, sync_dir, sync_file, unless_not_found,
};
use crate::layout::file_name::FileName;
use crate::layout::root_tree::RootTree;
use crate::schema::{SnapshotDescription, TableName};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An HFile of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HFilePath {
    pub(super) table: TableName,
    /// The path within the directory of the table.
    pub(super) path: PathBuf,
}

impl Snapshot {
    /// Returns the HFiles of the snapshot, including those of parents, each with its current path.
    ///
    /// # Errors
    ///
    /// Same as [`store_files`](Self::store_files); of kind [`Unsupported`](crate::ErrorKind::Unsupported) if
    /// a reference is not in the manifest, or if the table has values in MOB files.
    pub(crate) fn hfiles(&self, storage: &dyn Storage) -> Result<BTreeMap<HFilePath, PathBuf>> {
        if let Some(stored) = &self.descriptor {
            stored.refuse_mob()?;
        }
        let mut found = BTreeMap::new();
        let mut listings = self.tree.listings(storage);
        for region in &self.regions {
            let encoded = region.info.encoded_name();
            for (family, files) in &region.families {
                let of_family = FamilyOfSnapshot { snapshot: self, region, family, storage };
                for file in files {
                    let parsed = FileName::parse(&file.name);
                    let is_known =
                        |name: &FileName<'_>| matches!(name, FileName::Whole(_)) || file.reference.is_some();
                    let Some(parsed) = parsed.filter(is_known) else {
                        let message = format!(
                            "a snapshot with a reference that is not in its manifest cannot be exported: {}",
                            file.name
                        );
                        return Err(Error::not_supported(message));
                    };
                    let (table, region, hfile) = parsed.hfile(self.description.table(), &encoded);
                    let path = Path::new(region).join(&**family).join(hfile);
                    let from = of_family.resolve(file, &mut listings)?.path;
                    found.insert(HFilePath { table: table.clone(), path }, from);
                }
            }
        }
        Ok(found)
    }

    /// Publishes the snapshot in another root directory, which has its HFiles. Calls `complete` as
    /// [`SnapshotTree::publish`] does.
    ///
    /// # Errors
    ///
    /// Same as [`SnapshotTree::create`]; of kind [`Unsupported`](crate::ErrorKind::Unsupported) if its
    /// manifests were not joined; if the snapshot has been deleted, or replaced by another of the same name,
    /// since it was opened.
    pub(crate) fn publish_in(
        &self,
        storage: &Arc<dyn Storage>,
        other: &SnapshotTree,
        lock: &FileLock,
        complete: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let name = self.description.name();
        let dir = self.tree.root().path.join(SNAPSHOT_DIR).join(name);
        let read = |name: &str, limit| self.tree.read(&**storage, &dir.join(name), limit);
        // A snapshot that is being deleted loses both.
        let manifest = read(DATA_MANIFEST, MANIFEST_BYTES)?;
        let info = read(SNAPSHOT_INFO, SNAPSHOT_INFO_BYTES)?.ok_or_else(|| {
            not_found("read", &dir, "the snapshot was deleted since it was opened".to_owned())
        })?;
        let manifest = manifest.ok_or_else(|| {
            Error::not_supported(format!("a snapshot without {DATA_MANIFEST} cannot be exported"))
        })?;
        self.check_same(&dir, &info, &manifest)?;
        let content = SnapshotContent { info: &info, manifest: &manifest };
        other.publish(storage, lock, name, content, complete)
    }

    /// Whether another root has this very snapshot.
    ///
    /// # Errors
    ///
    /// If a file cannot be read.
    pub(crate) fn is_in(&self, storage: &dyn Storage, other: &SnapshotTree) -> Result<bool> {
        let dir = Path::new(SNAPSHOT_DIR).join(self.description.name());
        for (name, limit) in [(SNAPSHOT_INFO, SNAPSHOT_INFO_BYTES), (DATA_MANIFEST, MANIFEST_BYTES)] {
            let read = |tree: &RootTree| tree.read(storage, &tree.root().path.join(&dir).join(name), limit);
            let (here, there) = (read(&self.tree)?, read(&other.tree)?);
            if here.is_none() || here != there {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Snapshot {
    /// Fails if these are the files of another snapshot, whose HFiles may differ.
    fn check_same(&self, dir: &Path, info: &[u8], manifest: &[u8]) -> Result<()> {
        let description = SnapshotDescription::parse(self.description.name(), info)
            .map_err(|corruption| corruption.at(&dir.join(SNAPSHOT_INFO), 0))?;
        let mut found =
            DataManifest::parse(manifest).map_err(|corruption| corruption.at(&dir.join(DATA_MANIFEST), 0))?;
        found.regions.sort_by(|a, b| a.info.start_key().cmp(b.info.start_key()));
        if description == self.description && found.regions == self.regions {
            return Ok(());
        }
        let message = "another snapshot of the same name has been taken since this one was opened";
        Err(Error::io("read", dir, std::io::Error::new(std::io::ErrorKind::Interrupted, message)))
    }
}

impl SnapshotTree {
    /// Whether the root has an HFile, in the table or in the archive.
    pub(crate) fn has(&self, storage: &dyn Storage, hfile: &HFilePath) -> Result<bool> {
        let (root, mut listings) = (self.tree.root(), self.tree.listings(storage));
        for table in [root.table(&hfile.table), root.archive(&hfile.table)] {
            if listings.file(&table.join(&hfile.path))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes the remains of dead exports in the directories to which these HFiles are copied. The root must
    /// be locked: no other file is being written there.
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed, or is a symbolic link; if a file cannot be removed.
    pub(crate) fn remove_unfinished<'p>(
        &self,
        storage: &dyn Storage,
        hfiles: impl IntoIterator<Item = &'p HFilePath>,
    ) -> Result<()> {
        let archived = |hfile: &HFilePath| {
            let path = self.tree.root().archive(&hfile.table).join(&hfile.path);
            path.parent().map(Path::to_owned)
        };
        let dirs: BTreeSet<PathBuf> = hfiles.into_iter().filter_map(archived).collect();
        // Without renames, an unfinished file has no name.
        for dir in dirs.iter().filter(|dir| storage.can_rename(dir)) {
            for entry in self.tree.list(storage, dir)?.unwrap_or_default() {
                if !entry.is_dir && !entry.is_symlink && entry.utf8_name().is_some_and(is_new_file) {
                    unless_not_found(remove(storage, &dir.join(&entry.name)))?;
                }
            }
        }
        Ok(())
    }

    /// Copies an HFile to the archive of the root, durably, unless the root already has it. Calls `verify`
    /// with the path, and removes a copy that fails. One that could not be removed, or in a storage without
    /// renames, is replaced by the next call.
    ///
    /// # Errors
    ///
    /// If there is another file in its place; if `verify` or an I/O operation fails.
    pub(crate) fn import(
        &self,
        storage: &Arc<dyn Storage>,
        hfile: &HFilePath,
        from: &Path,
        verify: impl Fn(&Path) -> Result<()>,
    ) -> Result<()> {
        let HFilePath { table, path } = hfile;
        let root = self.tree.root();
        let to = root.archive(table).join(path);
        let mut listings = self.tree.listings(&**storage);
        for found in [root.table(table).join(path), to.clone()] {
            if listings.file(&found)?.is_none() {
                continue;
            }
            if is_same_file(&**storage, from, &found)? {
                verify(&found)?;
                // An interrupted export may have left the name unsynced.
                let dir = found.parent().unwrap_or(&found);
                create_dir_durably(&**storage, &root.path, dir)?;
                sync_file(&**storage, &found)?;
                return sync_dir(&**storage, dir);
            }
            if found == to && is_damaged(verify(&to)) {
                continue;
            }
            let message = format!("there is a file that is not a copy of {}", from.display());
            let error = std::io::Error::new(std::io::ErrorKind::AlreadyExists, message);
            return Err(Error::io("copy to", &found, error));
        }
        create_dir_durably(&**storage, &root.path, to.parent().unwrap_or(&to))?;
        copy_file(storage, from, &to)?;
        verify(&to).map_err(|error| {
            // Without renames, it could be removed late: after the next export has written it again.
            if storage.can_rename(&to) {
                let _ = remove(&**storage, &to);
            }
            // Names the file to repair, if the copy has the same damage.
            verify(from).err().unwrap_or(error)
        })
    }
}

/// Whether a file was found to be damaged.
fn is_damaged(verified: Result<()>) -> bool {
    verified.is_err_and(|error| matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated))
}
