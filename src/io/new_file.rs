//! Creates files atomically.

use super::unfinished::name_unfinished;
use super::{FileWriter, Owner, Storage};
use crate::error::{Error, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that is being written.
///
/// It is written in the target directory, under a unique [hidden name](name_unfinished). It gets its final
/// name only when it is complete and on disk. Whenever the process ends, either the previous file exists or
/// the complete new one; other files are not touched. A file that is dropped before it is
/// [persisted](Self::persist) is removed.
///
/// In a storage without renames it is written under its final name, and appears when it is persisted.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: Box<dyn FileWriter>,
    target: Option<Target>,
}

/// The target of the file.
#[derive(Debug)]
struct Target {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    /// The process that writes the file. A forked process does not remove it.
    owner: Owner,
}

impl NewFile {
    /// Creates a file that will be at `path`.
    pub(crate) fn create(storage: &Arc<dyn Storage>, path: &Path) -> Result<Self> {
        let aside = aside(path)?;
        if !storage.can_rename(path) {
            let file = storage.create(path).map_err(|error| Error::io("create", path, error))?;
            return Ok(Self::from_writer(file));
        }
        let file = storage.create_new(&aside).map_err(|error| {
            if error.kind() != io::ErrorKind::AlreadyExists {
                // It may have been created although the response was lost.
                let _ = storage.remove(&aside);
            }
            Error::io("create", &aside, error)
        })?;
        let (storage, owner) = (Arc::clone(storage), Owner::this());
        Ok(Self { file, target: Some(Target { storage, path: path.to_owned(), owner }) })
    }

    /// Wraps a file that is written in place. The caller is responsible for its name and its removal.
    pub(crate) fn from_writer(file: Box<dyn FileWriter>) -> Self {
        Self { file, target: None }
    }

    /// Returns the name of the file in errors.
    pub(crate) fn path(&self) -> &Path {
        self.target.as_ref().map_or_else(|| self.file.path(), |target| &target.path)
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| Error::io("write", self.file.path(), error))
    }

    /// Syncs the file and renames it to its final name.
    ///
    /// If only the last step fails, which makes the name durable, the file exists and is complete; only a
    /// crash might undo the rename.
    pub(crate) fn persist(mut self) -> Result<()> {
        self.file.sync().map_err(|error| Error::io("sync", self.file.path(), error))?;
        let Some(Target { storage, path, .. }) = &self.target else { return Ok(()) };
        storage.rename(self.file.path(), path).map_err(|error| Error::io("rename to", path, error))?;
        let synced = storage.sync_dir(parent(path));
        let synced = synced.map_err(|error| Error::io("sync the directory of", path, error));
        // the file has its final name: there is nothing left to remove
        self.target = None;
        synced
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(target) = &self.target
            && target.owner.is_this()
        {
            // errors cannot be reported here
            let _ = target.storage.remove(self.file.path());
        }
    }
}

/// Returns a temporary path next to `path` for the file until it is complete.
fn aside(path: &Path) -> Result<PathBuf> {
    if path.file_name().is_none() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file");
        return Err(Error::io("create", path, error));
    }
    Ok(name_unfinished(path))
}

/// Whether a name belongs to a file that is being written, or was left by a dead process.
pub(crate) fn is_new_file(name: &str) -> bool {
    let random = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
    let is_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    random.is_some_and(|random| random.len() == 16 && random.bytes().all(is_hex))
}

/// Returns the parent directory of a path; the current directory for a name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::faulty::{Crash, FaultyStorage};

    fn write(storage: &FaultyStorage, content: &[u8]) -> Result<()> {
        let storage: Arc<dyn Storage> = Arc::new(storage.clone());
        let mut file = NewFile::create(&storage, Path::new("dir/name"))?;
        for bytes in content.chunks(3) {
            file.write_all(bytes)?;
        }
        file.persist()
    }

    #[test]
    fn there_is_the_old_file_or_the_new_one() {
        let path = Path::new("dir/name");
        for old in [None, Some(b"what was there".to_vec())] {
            let begin = || {
                let storage = FaultyStorage::new();
                old.iter().for_each(|old| write(&storage, old).unwrap());
                storage
            };
            let storage = begin();
            let before = storage.calls();
            write(&storage, b"what is new").unwrap();
            let calls = storage.calls() - before;
            assert_eq!(calls, 1 + 4 + 3, "create, write, sync, rename, sync the directory");
            assert_eq!(storage.names(), [path]);
            assert_eq!(storage.after(Crash::Hard).bytes(path).unwrap(), b"what is new");
            for n in 0..calls {
                let storage = begin();
                storage.die_after(n);
                write(&storage, b"what is new").unwrap_err();
                for crash in [Crash::OfTheProcess, Crash::Hard, Crash::Torn] {
                    let found = storage.after(crash).bytes(path);
                    let new = found.as_deref() == Some(b"what is new");
                    assert!(new || found == old, "{crash:?} at {n}: {found:?}");
                }
                for loses_answer in [false, true] {
                    let storage = begin();
                    storage.lose_answers(loses_answer);
                    storage.fail_after(n);
                    write(&storage, b"what is new").unwrap_err();
                    assert!(storage.names().iter().all(|name| name == path), "nothing is left aside: {n}");
                    assert_eq!(
                        storage.bytes(path),
                        if n + 1 < calls { old.clone() } else { Some(b"what is new".to_vec()) }
                    );
                }
            }
        }
    }

    #[test]
    fn a_forked_process_removes_nothing() {
        let storage = FaultyStorage::new();
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let mut file = NewFile::create(&shared, Path::new("dir/name")).unwrap();
        file.target.as_mut().unwrap().owner = Owner::other();
        drop(file);
        assert_eq!(storage.names().len(), 1);
    }

    #[test]
    fn files_of_others_are_not_touched() {
        let storage = FaultyStorage::new();
        let other = Path::new("dir/name.tmp");
        storage.create(other).unwrap().write_all(b"another's").unwrap();
        write(&storage, b"what is new").unwrap();
        assert_eq!(storage.bytes(other).unwrap(), b"another's");
        assert_eq!(storage.names(), [Path::new("dir/name"), other]);

        // two at the same time
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let path = Path::new("dir/twice");
        let mut files =
            [b"first", b"other"].map(|content| (NewFile::create(&shared, path).unwrap(), content));
        let is_new = |path: &PathBuf| is_new_file(path.file_name().unwrap().to_str().unwrap());
        assert_eq!(storage.names().iter().filter(|path| is_new(path)).count(), 2);
        files.iter_mut().for_each(|(file, content)| file.write_all(*content).unwrap());
        for (file, content) in files {
            file.persist().unwrap();
            assert_eq!(storage.bytes(path).unwrap(), content);
        }
        assert_eq!(storage.create_new(path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed() {
        use crate::io::LocalStorage;
        use std::fs;

        let dir = tempfile::tempdir().unwrap();
        let (victim, link) = (dir.path().join("victim"), dir.path().join("link"));
        fs::write(&victim, "bytes").unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        assert_eq!(LocalStorage.create_new(&link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let storage: Arc<dyn Storage> = Arc::new(LocalStorage);
        let mut file = NewFile::create(&storage, &link).unwrap();
        file.write_all(b"new").unwrap();
        file.persist().unwrap();
        assert_eq!(
            (fs::read(&victim).unwrap(), fs::read(&link).unwrap()),
            (b"bytes".to_vec(), b"new".to_vec())
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_directory_is_no_file() {
        let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
        assert!(NewFile::create(&storage, Path::new("dir/..")).is_err());
        assert_eq!(parent(Path::new("name")), Path::new("."));
    }
}
