//! Intermediate directories for bulk loads into a region whose lock can be lost, as in HDFS.
//!
//! There, a process that was suspended may make a rename late, when another one has the lock and has listed
//! the files. So no file is moved directly into or out of a family's directory: it is first moved to
//! `.loading.<random>/<family>/<name>` in the region's directory, which HBase ignores. The next process that
//! opens the region for writing moves the files it finds there into their families, and removes the
//! directories, so that a later rename from or to them fails. With the store file tracker FILE, files moved
//! in this way are on no list: a repeated load [moves them back](RegionDir::undo_load). Files of a family
//! that is removed are archived with its other files: they do not belong to a later family of the same name.
#![warn(clippy::indexing_slicing)]

use super::durable::{create_dir, list_if_exists, rename};
use super::file_name::{FileName, Target, new_file_name};
use super::region::RegionDir;
use super::root_tree::RootTree;
use crate::binary::is_hex;
use crate::error::Result;
use crate::io::{DirEntry, Storage};
use crate::schema::Family;
use std::path::{Path, PathBuf};

/// The beginning of the name of such a directory.
const LOADING: &str = ".loading.";

/// Whether an entry of a region's directory is such a directory.
pub(super) fn is_loading(entry: &DirEntry) -> bool {
    let random = entry.utf8_name().and_then(|name| name.strip_prefix(LOADING));
    is_dir(entry) && random.is_some_and(|random| random.len() == 32 && is_hex(random))
}

fn is_dir(entry: &DirEntry) -> bool {
    entry.is_dir && !entry.is_symlink
}

/// Returns the directories of a family in those of a region, for files of bulk loads.
///
/// # Errors
///
/// If a directory cannot be listed, or one on its path is a symbolic link.
pub(super) fn dirs_in_loading(
    tree: &RootTree,
    storage: &dyn Storage,
    region: &Path,
    family: &str,
) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !storage.can_rename(region) {
        return Ok(found);
    }
    let entries = tree.list(storage, region)?.unwrap_or_default();
    for loading in entries.iter().filter(|entry| is_loading(entry)).map(|entry| region.join(&entry.name)) {
        let families = tree.list(storage, &loading)?.unwrap_or_default();
        if families.iter().any(|entry| is_dir(entry) && entry.name == family) {
            found.push(loading.join(family));
        }
    }
    Ok(found)
}

/// Whether an entry of a family's directory there is a file to load.
fn is_store_file(entry: &DirEntry) -> bool {
    let name = entry.utf8_name().and_then(FileName::parse);
    !entry.is_dir && !entry.is_symlink && matches!(name, Some(FileName::Whole(Target::HFile(_))))
}

impl RegionDir {
    /// Returns the path of a directory for the files of a bulk load, which does not exist.
    pub(crate) fn new_loading(&self, now: i64) -> PathBuf {
        self.path().join(format!("{LOADING}{}", new_file_name(now)))
    }

    /// Returns the path of a file of a family in a directory for the files of a bulk load.
    pub(crate) fn path_in_loading(loading: &Path, family: &[u8], name: &str) -> PathBuf {
        loading.join(String::from_utf8_lossy(family).as_ref()).join(name)
    }

    /// Moves the files of a bulk load by a process that has died or lost its lock into their families. Can be
    /// retried after a failure. Files of other families stay.
    ///
    /// # Errors
    ///
    /// If an I/O operation fails.
    pub(super) fn name_loading(&self, loading: &Path, families: &[Family]) -> Result<()> {
        let storage = &**self.storage();
        for entry in list_if_exists(storage, loading)?.unwrap_or_default() {
            let name = entry.name.as_encoded_bytes();
            let Some(family) = families.iter().find(|family| family.name() == name) else { continue };
            if !is_dir(&entry) {
                continue;
            }
            let to = self.family(family.name()).path();
            create_dir(storage, &to)?;
            self.name_files(&loading.join(&entry.name), &to)?;
        }
        self.remove_loading(loading);
        Ok(())
    }

    /// Moves store files from one directory to another, and removes the first one, unless it has other files.
    fn name_files(&self, from: &Path, to: &Path) -> Result<()> {
        let storage = &**self.storage();
        let list = || -> Result<Vec<DirEntry>> {
            let mut files = list_if_exists(storage, from)?.unwrap_or_default();
            files.retain(is_store_file);
            Ok(files)
        };
        let mut files = list()?;
        loop {
            let mut names = files.iter().map(|file| &file.name);
            names.try_for_each(|name| rename(storage, &from.join(name), &to.join(name)))?;
            if storage.remove_dir(from).is_ok() {
                return Ok(());
            }
            // A file that was moved there since the listing is moved too; after the removal, none can be
            // moved there.
            files = list()?;
            if files.is_empty() {
                return Ok(());
            }
        }
    }

    /// Removes a directory for the files of a bulk load, unless it has files. If it cannot be removed, the
    /// next opening of the region removes it.
    pub(crate) fn remove_loading(&self, loading: &Path) {
        let storage = &**self.storage();
        for entry in list_if_exists(storage, loading).ok().flatten().unwrap_or_default() {
            let _ = storage.remove_dir(&loading.join(&entry.name));
        }
        let _ = storage.remove_dir(loading);
    }
}
