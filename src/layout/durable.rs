//! Operations on directories, with errors that name the operation and the path.

pub(crate) use crate::io::parent;

use crate::error::{Error, Result};
use crate::io::{DirEntry, FileWriter, NewFile, Storage};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Syncs the names in a directory to disk.
pub(crate) fn sync_dir(storage: &dyn Storage, dir: &Path) -> Result<()> {
    storage.sync_dir(dir).map_err(|error| Error::io("sync", dir, error))
}

/// Makes the name of an existing directory durable. Does nothing if the directory above it cannot be synced:
/// it may belong to another user, or be the scheme of a URL, which is no directory.
pub(super) fn sync_name(storage: &dyn Storage, dir: &Path) -> Result<()> {
    use io::ErrorKind::{InvalidInput, NotFound, PermissionDenied, Unsupported};

    let is_unsyncable = |kind| matches!(kind, InvalidInput | NotFound | PermissionDenied | Unsupported);
    let above = parent(dir);
    match storage.sync_dir(above) {
        Err(error) if is_unsyncable(error.kind()) => Ok(()),
        synced => synced.map_err(|error| Error::io("sync", above, error)),
    }
}

/// Creates a directory and its missing parents.
pub(crate) fn create_dir(storage: &dyn Storage, dir: &Path) -> Result<()> {
    storage.create_dir_all(dir).map_err(|error| Error::io("create", dir, error))
}

/// Creates a directory below `base` so that it survives a crash: syncs each directory from `base` down to the
/// parent. `base` itself must be durable.
pub(crate) fn create_dir_durably(storage: &dyn Storage, base: &Path, dir: &Path) -> Result<()> {
    create_dir(storage, dir)?;
    let parents = dir.ancestors().skip(1).take_while(|parent| parent.starts_with(base));
    parents.collect::<Vec<_>>().into_iter().rev().try_for_each(|parent| sync_dir(storage, parent))
}

/// Syncs the bytes of a file to disk.
pub(crate) fn sync_file(storage: &dyn Storage, path: &Path) -> Result<()> {
    storage.sync_file(path).map_err(|error| Error::io("sync", path, error))
}

pub(crate) fn rename(storage: &dyn Storage, from: &Path, to: &Path) -> Result<()> {
    storage.rename(from, to).map_err(|error| Error::io("rename to", to, error))
}

/// Moves a file that may be replaced by a copy. In a storage without renames it is copied: after a failure or
/// a crash it may have both names.
pub(super) fn move_file(storage: &Arc<dyn Storage>, from: &Path, to: &Path) -> Result<()> {
    if storage.can_rename(from) {
        return rename(&**storage, from, to);
    }
    copy_file(storage, from, to)?;
    remove(&**storage, from)
}

/// Renames a directory, durably. After a failure it has its old name, unless renaming it back also fails.
pub(super) fn move_dir(storage: &dyn Storage, from: &Path, to: &Path) -> Result<()> {
    rename(storage, from, to)?;
    let moved = sync_dir(storage, parent(to)).and_then(|()| match parent(from) == parent(to) {
        true => Ok(()),
        false => sync_dir(storage, parent(from)),
    });
    moved.inspect_err(|_| {
        // The first error is reported. Without the syncs, a loss of power could still move it.
        let _ = rename(storage, to, from)
            .and_then(|()| sync_dir(storage, parent(from)))
            .and_then(|()| sync_dir(storage, parent(to)));
    })
}

/// Copies a file, durably: it gets its name when it is complete and on disk.
pub(crate) fn copy_file(storage: &Arc<dyn Storage>, from: &Path, to: &Path) -> Result<()> {
    let file = storage.open(from).map_err(|error| Error::io("open", from, error))?;
    let mut copy = NewFile::create(storage, to)?;
    each_part(file.len(), |offset, len| {
        let mut part = vec![0; len];
        file.read_exact_at(&mut part, offset).map_err(|error| Error::io("read", from, error))?;
        copy.write_all(&part).map(|()| true)
    })?;
    copy.persist()
}

/// Calls `take` with the offset and length of each part of a file, until it returns false.
fn each_part(len: u64, mut take: impl FnMut(u64, usize) -> Result<bool>) -> Result<bool> {
    const PART: usize = 256 << 10;
    let mut offset = 0;
    while offset < len {
        let part = usize::try_from(len - offset).map_or(PART, |left| left.min(PART));
        if !take(offset, part)? {
            return Ok(false);
        }
        offset += part as u64;
    }
    Ok(true)
}

/// Moves files from a directory to another, durably. Files that no longer exist are skipped, so that a move
/// can be repeated. If the directory `to`, below `base`, has been removed, it is created again: HBase's
/// cleaner removes empty directories of the archive.
pub(super) fn move_files<'f>(
    storage: &Arc<dyn Storage>,
    base: &Path,
    from: &Path,
    to: &Path,
    names: impl IntoIterator<Item = &'f Path>,
) -> Result<()> {
    for name in names {
        let (from, path) = (from.join(name), to.join(name));
        match move_file(storage, &from, &path) {
            // The same error if the file has been moved, and if there is no such directory.
            Err(error) if error.is_not_found() => {
                if exists(&**storage, &from)? {
                    create_dir_durably(&**storage, base, to)?;
                    move_file(storage, &from, &path)?;
                }
            }
            moved => moved?,
        }
    }
    // A directory that was removed since was empty: its files had been removed before.
    unless_not_found(sync_dir(&**storage, to))?;
    sync_dir(&**storage, from)
}

pub(crate) fn remove(storage: &dyn Storage, path: &Path) -> Result<()> {
    storage.remove(path).map_err(|error| Error::io("remove", path, error))
}

/// Whether a file exists.
pub(super) fn exists(storage: &dyn Storage, path: &Path) -> Result<bool> {
    match storage.open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("open", path, error)),
    }
}

/// Whether two files have the same bytes.
pub(crate) fn is_same_file(storage: &dyn Storage, a: &Path, b: &Path) -> Result<bool> {
    let open = |path: &Path| storage.open(path).map_err(|error| Error::io("open", path, error));
    let (a, b) = (open(a)?, open(b)?);
    if a.len() != b.len() {
        return Ok(false);
    }
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    each_part(a.len(), |offset, len| {
        for (file, bytes) in [(&a, &mut of_a), (&b, &mut of_b)] {
            bytes.resize(len, 0);
            file.read_exact_at(bytes, offset).map_err(|error| Error::io("read", file.path(), error))?;
        }
        Ok(of_a == of_b)
    })
}

/// Lists a directory; `None` if it does not exist.
pub(crate) fn list_if_exists(storage: &dyn Storage, dir: &Path) -> Result<Option<Vec<DirEntry>>> {
    match storage.list_dir(dir) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("list", dir, error)),
    }
}

/// Writes a small file atomically: after a failure or a crash there is either the previous file or the new
/// one.
pub(super) fn write_file(storage: &Arc<dyn Storage>, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = NewFile::create(storage, path)?;
    file.write_all(bytes)?;
    file.persist()
}

/// Creates an empty file, whose name is its content.
pub(super) fn create_empty(storage: &dyn Storage, path: &Path) -> Result<()> {
    let mut file = storage.create(path).map_err(|error| Error::io("create", path, error))?;
    match storage.can_rename(path) {
        true => Ok(()),
        // Without renames, the file appears only then.
        false => file.sync().map_err(|error| Error::io("sync", path, error)),
    }
}

/// Writes bytes to a new file, and syncs it.
pub(super) fn write_synced(mut file: Box<dyn FileWriter>, path: &Path, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes).map_err(|error| Error::io("write", path, error))?;
    file.sync().map_err(|error| Error::io("sync", path, error))
}

/// Treats a missing path as already removed.
pub(crate) fn unless_not_found(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

/// Fails if there is a symbolic link at a path: its target must not be removed.
pub(crate) fn refuse_link(storage: &dyn Storage, path: &Path) -> Result<()> {
    let entries = list_if_exists(storage, parent(path))?.unwrap_or_default();
    let is_link = |entry: &DirEntry| entry.is_symlink && path.file_name() == Some(entry.name.as_os_str());
    if entries.iter().any(is_link) {
        let error =
            io::Error::new(io::ErrorKind::PermissionDenied, "a symbolic link in place of a directory");
        return Err(Error::io("remove", path, error));
    }
    Ok(())
}

/// Removes a directory with everything in it. Links in it are removed, not followed; the directory itself
/// must not [be one](refuse_link).
pub(crate) fn remove_tree(storage: &dyn Storage, dir: &Path) -> Result<()> {
    for entry in list_if_exists(storage, dir)?.unwrap_or_default() {
        let path = dir.join(&entry.name);
        if entry.is_dir && !entry.is_symlink {
            remove_tree(storage, &path)?;
        } else {
            unless_not_found(remove(storage, &path))?;
        }
    }
    unless_not_found(storage.remove_dir(dir).map_err(|error| Error::io("remove", dir, error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::LocalStorage;
    use crate::io::faulty::{Call, FaultyStorage};
    use std::path::PathBuf;

    /// As that of the root of a name node in a storage that takes paths without a host for local ones.
    #[test]
    fn a_name_in_no_directory_is_not_synced() {
        sync_name(&LocalStorage, Path::new("no-such-scheme://host")).unwrap();
        let storage = FaultyStorage::new();
        storage.create_dir_all(Path::new("root/data")).unwrap();
        storage.break_calls(Call::SyncDir);
        assert!(sync_name(&storage, Path::new("root/data")).is_err());
    }

    /// The error of a rename does not tell which directory is missing.
    #[test]
    fn files_are_moved_to_a_directory_that_was_removed() {
        let [base, from, to] = ["hbase", "hbase/data/f", "hbase/archive/f"].map(Path::new);
        let names = ["0a", "0b"].map(Path::new);
        let storage = FaultyStorage::new();
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let write = |path: PathBuf| storage.create(&path).unwrap().write_all(b"bytes").unwrap();
        names.iter().for_each(|name| write(from.join(name)));
        storage.break_calls(Call::CreateDir);
        assert!(move_files(&shared, base, from, to, names).is_err());
        assert!(names.iter().all(|name| storage.bytes(&from.join(name)).is_some()));
        storage.repair();
        move_files(&shared, base, from, to, names).unwrap();
        let is_moved = |name: &&Path| {
            let (old, new) = (storage.bytes(&from.join(name)), storage.bytes(&to.join(name)));
            (old, new) == (None, Some(b"bytes".to_vec()))
        };
        assert!(names.iter().all(is_moved));
        // Again, after a failure; and after the files have been removed from there.
        move_files(&shared, base, from, to, names).unwrap();
        remove_tree(&storage, to).unwrap();
        move_files(&shared, base, from, to, names).unwrap();
        assert_eq!(storage.names(), [] as [PathBuf; 0]);
    }
}
