//! Looks up files below a root directory without following symbolic links, so that no name leads out of the
//! root.

use super::durable::list_if_exists;
use super::region::LOCK;
use super::root::Root;
use crate::error::{Error, Result};
use crate::io::{DirEntry, FileLock, Storage, read_file};
use crate::sync::unpoisoned;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;

/// A root directory, and the directories below it that are known not to be symbolic links.
#[derive(Debug)]
pub(super) struct RootTree {
    root: Root,
    checked: Mutex<BTreeSet<PathBuf>>,
}

impl RootTree {
    /// Creates the tree of a root directory. The root itself may be a symbolic link.
    pub(super) fn new(path: &Path) -> Self {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Self { root: Root::new(path), checked: Mutex::default() }
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Locks the root directory against other recoveries, and other changes of snapshots and whole tables.
    ///
    /// # Errors
    ///
    /// Of kind [`Locked`](crate::ErrorKind::Locked) if another process, or another thread, has it locked.
    pub(super) fn lock(&self, storage: &dyn Storage) -> Result<FileLock> {
        storage.lock(&self.root.path.join(LOCK)).map_err(|error| self.not_locked(error))
    }

    /// Fails if the [lock](Self::lock) is no longer held. Called right before a change that it protects is
    /// committed.
    pub(super) fn check_lock(&self, lock: &FileLock) -> Result<()> {
        lock.check().map_err(|error| self.not_locked(error))
    }

    #[cold]
    fn not_locked(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::WouldBlock => Error::being_recovered(&self.root.path, &error),
            _ => Error::io("lock", &self.root.path.join(LOCK), error),
        }
    }

    /// Lists a directory; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// If a directory on the path is a symbolic link, or cannot be listed.
    pub(super) fn list(&self, storage: &dyn Storage, dir: &Path) -> Result<Option<Vec<DirEntry>>> {
        let mut at = self.root.path.clone();
        let below = dir.strip_prefix(&at).map_err(|_| outside(dir))?;
        for part in below.components() {
            let Component::Normal(name) = part else { return Err(outside(dir)) };
            let next = at.join(name);
            if !unpoisoned(self.checked.lock()).contains(&next) {
                let Some(entries) = self.list_checked(storage, &at)? else { return Ok(None) };
                let Some(entry) = entries.iter().find(|entry| entry.name == name) else { return Ok(None) };
                refuse_link(&at, entry)?;
                if !entry.is_dir {
                    return Ok(None);
                }
            }
            at = next;
        }
        self.list_checked(storage, &at)
    }

    /// Returns the names of the directories in a directory, none if it does not exist.
    ///
    /// # Errors
    ///
    /// If a directory on the path is a symbolic link, or cannot be listed; or if one of the subdirectories is
    /// a symbolic link. Names that are not UTF-8 are left out: HBase creates none.
    pub(super) fn dirs(&self, storage: &dyn Storage, dir: &Path) -> Result<Vec<String>> {
        let entries = self.list(storage, dir)?.unwrap_or_default();
        let dirs = entries.iter().filter(|entry| entry.is_dir);
        let dirs = dirs.map(|entry| refuse_link(dir, entry).map(|()| entry.utf8_name().map(str::to_owned)));
        dirs.filter_map(Result::transpose).collect()
    }

    /// Returns the files in a directory, none if it does not exist.
    ///
    /// # Errors
    ///
    /// If a directory on the path is a symbolic link, or cannot be listed; or if an entry is a symbolic link.
    pub(super) fn files(&self, storage: &dyn Storage, dir: &Path) -> Result<Vec<DirEntry>> {
        let mut entries = self.list(storage, dir)?.unwrap_or_default();
        entries.iter().try_for_each(|entry| refuse_link(dir, entry))?;
        entries.retain(|entry| !entry.is_dir);
        Ok(entries)
    }

    /// Lists a directory that is not a symbolic link, and records its subdirectories that are not symbolic
    /// links either.
    fn list_checked(&self, storage: &dyn Storage, dir: &Path) -> Result<Option<Vec<DirEntry>>> {
        let entries = list_if_exists(storage, dir)?;
        let dirs = entries.iter().flatten().filter(|entry| entry.is_dir && !entry.is_symlink);
        unpoisoned(self.checked.lock()).extend(dirs.map(|entry| dir.join(&entry.name)));
        Ok(entries)
    }

    /// Reads a small file; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// If a directory on the path is a symbolic link, or cannot be listed; or if the file has more than
    /// `limit` bytes, or cannot be read.
    pub(super) fn read(&self, storage: &dyn Storage, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        if self.listings(storage).file(path)?.is_none() {
            return Ok(None);
        }
        match read_file(storage, path, limit) {
            // It was moved or removed since the directory was listed.
            Err(error) if error.is_not_found() => Ok(None),
            read => read.map(Some),
        }
    }

    /// Returns listings for lookups of many files in the same directories.
    pub(super) fn listings<'t>(&'t self, storage: &'t dyn Storage) -> Listings<'t> {
        Listings { tree: self, storage, dirs: BTreeMap::new() }
    }
}

/// Directories that are listed once, and then searched for any number of files.
#[derive(Debug)]
pub(super) struct Listings<'t> {
    tree: &'t RootTree,
    storage: &'t dyn Storage,
    dirs: BTreeMap<PathBuf, BTreeMap<OsString, DirEntry>>,
}

impl Listings<'_> {
    /// Returns the entry of a file; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// If the file or a directory on the path is a symbolic link, or a directory cannot be listed.
    pub(super) fn file(&mut self, path: &Path) -> Result<Option<DirEntry>> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Err(outside(path)) };
        if let Some(entries) = self.dirs.get(dir) {
            return found(dir, entries.get(name));
        }
        let entries = self.tree.list(self.storage, dir)?.unwrap_or_default();
        let entries: BTreeMap<OsString, DirEntry> =
            entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        let entry = found(dir, entries.get(name));
        self.dirs.insert(dir.to_owned(), entries);
        entry
    }
}

fn found(dir: &Path, entry: Option<&DirEntry>) -> Result<Option<DirEntry>> {
    let Some(entry) = entry else { return Ok(None) };
    refuse_link(dir, entry)?;
    Ok((!entry.is_dir).then(|| entry.clone()))
}

/// Fails if an entry is a symbolic link.
fn refuse_link(dir: &Path, entry: &DirEntry) -> Result<()> {
    if !entry.is_symlink {
        return Ok(());
    }
    let message = "a symbolic link below a root directory is not followed";
    let error = io::Error::new(io::ErrorKind::PermissionDenied, message);
    Err(Error::io("follow", &dir.join(&entry.name), error))
}

#[cold]
fn outside(path: &Path) -> Error {
    Error::invalid_argument(format!("{} is not under the root directory", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::LocalStorage;
    use crate::io::faulty::FaultyStorage;

    #[test]
    fn files_below_the_root_are_found() {
        let storage = FaultyStorage::new();
        storage.create(Path::new("root/a/b/file")).unwrap().write_all(b"xy").unwrap();
        let tree = RootTree::new(Path::new("root"));
        let mut listings = tree.listings(&storage);
        let entry = listings.file(Path::new("root/a/b/file")).unwrap().unwrap();
        assert_eq!((entry.len, entry.is_dir), (2, false));
        let calls = storage.calls();
        assert_eq!(listings.file(Path::new("root/a/b/other")).unwrap(), None);
        assert_eq!(storage.calls(), calls, "the directory is listed once");
        for path in ["root/a", "root/a/c/file", "root/a/b/file/x", "root/none"] {
            assert_eq!(listings.file(Path::new(path)).unwrap(), None, "{path}");
        }
        assert_eq!(tree.read(&storage, Path::new("root/a/b/file"), 2).unwrap(), Some(b"xy".to_vec()));
        assert_eq!(tree.read(&storage, Path::new("root/a/b/none"), 2).unwrap(), None);
        assert!(tree.read(&storage, Path::new("root/a/b/file"), 1).is_err());
        assert_eq!(RootTree::new(Path::new("none")).list(&storage, Path::new("none/a")).unwrap(), None);
        for path in ["other/a", "root/../other/a", "/root/a/b/file"] {
            assert!(tree.listings(&storage).file(Path::new(path)).is_err(), "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir_all(dir.path().join("outside")).unwrap();
        std::fs::write(dir.path().join("outside/file"), "x").unwrap();
        std::fs::write(root.join("a/b/file"), "x").unwrap();
        symlink(dir.path().join("outside"), root.join("a/c")).unwrap();
        symlink(dir.path().join("outside/file"), root.join("a/b/link")).unwrap();
        symlink(&root, dir.path().join("linked-root")).unwrap();
        let tree = RootTree::new(&root);
        for path in ["a/c/file", "a/b/link"] {
            let error = tree.listings(&LocalStorage).file(&root.join(path)).unwrap_err();
            assert!(error.to_string().contains("symbolic link"), "{error}");
        }
        assert!(tree.listings(&LocalStorage).file(&root.join("a/b/file")).unwrap().is_some());
        let linked = dir.path().join("linked-root");
        let tree = RootTree::new(&linked);
        assert!(tree.listings(&LocalStorage).file(&linked.join("a/b/file")).unwrap().is_some());
    }
}
