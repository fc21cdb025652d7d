//! Moves store files that no longer belong to a region to the archive, or to `.tmp` (HBase: `HFileArchiver`).

use super::{ARCHIVING, RegionDir};
use crate::error::{Error, Result};
use crate::io::is_absent;
use crate::layout::durable::{
    create_dir, create_dir_durably, list_if_exists, move_files, remove, sync_dir, unless_not_found,
};
use crate::layout::root::Root;
use std::path::{Path, PathBuf};

impl RegionDir {
    /// Moves a file that no longer belongs to its store from the family's directory to the archive, durably,
    /// because others may still refer to it. Without a root directory, removes it. Can be retried after a
    /// failure.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails. The file may still be in the directory, or reappear there after a crash.
    pub(crate) fn archive<'n>(&self, family: &[u8], names: impl IntoIterator<Item = &'n str>) -> Result<()> {
        let storage = &**self.storage();
        let dir = self.family(family);
        let path = dir.path();
        let mut names = names.into_iter();
        let Some(root) = &self.table.root else {
            names.try_for_each(|name| unless_not_found(remove(storage, &path.join(name))))?;
            return sync_dir(storage, &path);
        };
        let archive = self.archive_of(root, family);
        if !crate::sync::unpoisoned(self.archived.lock()).contains(family) {
            create_dir_durably(storage, &root.path, &archive)?;
            crate::sync::unpoisoned(self.archived.lock()).insert(family.to_vec());
        }
        let moved = move_files(self.storage(), &root.path, &path, &archive, names.map(Path::new));
        moved.inspect_err(|_| {
            // The directory may have been created again, without a durable name.
            crate::sync::unpoisoned(self.archived.lock()).remove(family);
        })
    }

    /// Whether a file that is open can be read after it was [archived](Self::archive).
    pub(crate) fn can_read_archived(&self) -> bool {
        self.table.root.is_some() || self.storage().can_read_removed()
    }

    /// Moves a file that no longer belongs to its store to `.tmp`, from where it is removed later. Returns
    /// its path. Can be retried after a failure.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails. The file may still be in the directory, or reappear there after a crash.
    pub(crate) fn set_aside(&self, family: &[u8], name: &str) -> Result<PathBuf> {
        let dir = self.family(family);
        let aside = self.tmp().join(&dir.family);
        create_dir(&**self.storage(), &aside)?;
        move_files(self.storage(), self.path(), &dir.path(), &aside, [Path::new(name)])?;
        Ok(aside.join(name))
    }

    /// Makes the names of the archived files of a family durable.
    pub(super) fn sync_archive(&self, family: &[u8]) -> Result<()> {
        let Some(root) = &self.table.root else { return Ok(()) };
        let archive = self.archive_of(root, family);
        match self.storage().sync_dir(&archive) {
            Err(error) if is_absent(error.kind()) => Ok(()),
            synced => synced.map_err(|error| Error::io("sync", &archive, error)),
        }
    }

    /// Whether there is a directory of a family in the archive.
    pub(in crate::layout) fn has_archive(&self, family: &[u8]) -> Result<bool> {
        let Some(root) = &self.table.root else { return Ok(false) };
        Ok(list_if_exists(&**self.storage(), &self.archive_of(root, family))?.is_some())
    }

    /// Whether files may have been archived with the region while it was read: its archival was begun here,
    /// or perhaps by HBase, as one of the `empty` families, which have no files, has a directory in the
    /// archive; or this cannot be determined. False in a storage without renames: there, lists name the files
    /// of a region as long as it is one.
    pub(crate) fn may_be_archived<'f>(&self, empty: impl IntoIterator<Item = &'f [u8]>) -> bool {
        let storage = &**self.storage();
        let has_begun = || match list_if_exists(storage, &self.path) {
            Ok(Some(entries)) => entries.iter().any(|entry| entry.name == ARCHIVING),
            Ok(None) | Err(_) => true,
        };
        let may_have_begun = |family: &[u8]| self.has_archive(family).unwrap_or(true);
        storage.can_rename(&self.path) && (has_begun() || empty.into_iter().any(may_have_begun))
    }

    fn archive_of(&self, root: &Root, family: &[u8]) -> PathBuf {
        root.archive(self.info.table()).join(&self.name).join(self.family(family).family)
    }
}
