//! Creates directories atomically.

use crate::failure::CommandError;
use crate::new_file::{directory, give_name, make, release, undisturbed};
use crate::probe;
use crate::rename::{exchange, rename_new};
use crate::vfs;
use hregion::Storage as _;
use hregion::io::{LocalStorage, create_unfinished_dir, name_unfinished, remove_unfinished};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};

/// A directory being filled under a temporary name, next to its final place.
#[derive(Debug)]
pub(crate) struct NewDir {
    path: PathBuf,
    aside: PathBuf,
    kept: bool,
    /// Whether files are left for the next attempt, unless there are none.
    resumes: bool,
    /// Locked, so that no other process fills the same directory, or treats it as left over.
    _lock: Option<fs::File>,
}

impl NewDir {
    /// Creates the temporary directory.
    pub(crate) fn create(path: &Path) -> Result<Self, CommandError> {
        if path.file_name().is_none() {
            return Err(CommandError::invalid_file(path, "not the name of a directory"));
        }
        let aside = name_unfinished(path);
        let lock = make(&aside, || create_unfinished_dir(&aside))
            .map_err(|error| CommandError::io("create", path, &error))?;
        Ok(Self { path: path.to_owned(), aside, kept: false, resumes: false, _lock: lock })
    }

    /// Returns the temporary name of a directory that is continued after an interruption.
    #[cfg(feature = "arrow")]
    pub(crate) fn partial(path: &Path) -> Result<PathBuf, CommandError> {
        let Some(name) = path.file_name() else {
            return Err(CommandError::invalid_file(path, "not the name of a directory"));
        };
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".partial");
        Ok(path.with_file_name(hidden))
    }

    /// Opens the directory of an interrupted attempt, or creates it. Its temporary name is hidden, and always
    /// the same: its files stay there until the directory is renamed into place.
    #[cfg(feature = "arrow")]
    pub(crate) fn resume(path: &Path) -> Result<Self, CommandError> {
        let aside = Self::partial(path)?;
        match aside.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            // its target does not belong to an export
            Ok(_) => return Err(CommandError::invalid_file(&aside, "not a directory, or a link to one")),
            Err(_) => match fs::create_dir(&aside) {
                // another export has just created it
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => created.map_err(|error| CommandError::io("create", path, &error))?,
            },
        }
        let lock = lock(&aside)?;
        if !is_at(&lock, &aside).map_err(|error| CommandError::io("open", &aside, &error))? {
            return Err(CommandError::locked(&aside, "another export is being completed"));
        }
        Ok(Self { path: path.to_owned(), aside, kept: false, resumes: true, _lock: Some(lock) })
    }

    /// Returns the temporary path.
    pub(crate) fn aside(&self) -> &Path {
        &self.aside
    }

    /// Syncs the directory and renames it into place, after `clean` has removed what only another attempt
    /// would need. With `replace`, an existing directory is replaced. Only then removes the remains of dead
    /// processes, which may be the only copy of the directory they replaced.
    pub(crate) fn persist(
        self,
        replace: bool,
        clean: impl FnOnce(&Path) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let path = self.path.clone();
        self.put(replace, clean)?;
        remove_unfinished(&path, true);
        Ok(())
    }

    fn put(
        mut self,
        replace: bool,
        clean: impl FnOnce(&Path) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let sync =
            |dir: &Path| LocalStorage.sync_dir(dir).map_err(|error| CommandError::io("sync", dir, &error));
        let fault = |error| CommandError::io("rename to", &self.path, &error);
        // Locked until it is removed: by the temporary name, another export could treat it as interrupted or
        // left over.
        let is_replaced = replace && probe::exists(&self.path)?;
        let _replaced = if is_replaced { Some(lock(&self.path)?) } else { None };
        clean(&self.aside)?;
        sync(&self.aside)?;
        if is_replaced {
            undisturbed(|| self.exchange()).map_err(fault)?;
            sync(directory(&self.path))?;
            // the temporary name is now the replaced directory, to be removed
            if mem::take(&mut self.resumes) {
                let old = name_unfinished(&self.path);
                self.kept = true;
                make(&old, || fs::rename(&self.aside, &old))
                    .map_err(|error| CommandError::io("rename", &self.aside, &error))?;
                (self.aside, self.kept) = (old, false);
            }
            return fs::remove_dir_all(&self.aside)
                .map_err(|error| CommandError::io("remove", &self.aside, &error));
        }
        give_name(&self.aside, || rename_new(&self.aside, &self.path)).map_err(fault)?;
        self.kept = true;
        sync(directory(&self.path))
    }

    /// Exchanges the directory with the existing one. If the process is killed in between, one of them has
    /// the name; where the system cannot exchange names, possibly neither.
    fn exchange(&self) -> io::Result<()> {
        if exchange(&self.aside, &self.path)? {
            return Ok(());
        }
        let old = name_unfinished(&self.path);
        fs::rename(&self.path, &old)?;
        match fs::rename(&self.aside, &self.path) {
            Ok(()) => fs::rename(&old, &self.aside),
            Err(error) => fs::rename(&old, &self.path).and(Err(error)),
        }
    }
}

impl Drop for NewDir {
    fn drop(&mut self) {
        if !self.kept && self.resumes {
            // fails if there are files
            let _ = fs::remove_dir(&self.aside);
        } else if !self.kept {
            // a failure cannot be reported here
            let _ = fs::remove_dir_all(&self.aside);
            release(&self.aside);
        }
    }
}

/// Locks a directory that is filled or replaced. Some file systems have no locks, or none for directories.
fn lock(dir: &Path) -> Result<fs::File, CommandError> {
    let file = fs::File::open(dir).map_err(|error| CommandError::io("open", dir, &error))?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => {
            Err(CommandError::locked(dir, "another process is writing to it"))
        }
        _ => Ok(file),
    }
}

/// Whether an open directory still has its name.
#[cfg(all(unix, feature = "arrow"))]
fn is_at(dir: &fs::File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (open, named) = (dir.metadata()?, path.symlink_metadata()?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

/// Whether an open directory still has its name: it cannot be renamed while it is open.
#[cfg(all(not(unix), feature = "arrow"))]
fn is_at(_dir: &fs::File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// Creates a directory in a temporary one, unless it exists.
pub(crate) fn make_dir(path: &Path) -> Result<(), CommandError> {
    if probe::is_dir(path)? {
        return Ok(());
    }
    if vfs::is_url(path) {
        let created = vfs::storage().create_dir_all(path);
        return created.map_err(|error| CommandError::io("create", path, &error));
    }
    // its contents are removed with the outer directory
    make(path, || fs::create_dir(path)).map_err(|error| CommandError::io("create", path, &error))?;
    release(path);
    Ok(())
}

/// Whether a directory contains only folders with files named as HBase names them, so that it may be
/// replaced.
pub(crate) fn is_of_bulk_load(dir: &Path) -> io::Result<bool> {
    let is_name = |name: &OsString| {
        let name = name.as_encoded_bytes();
        name.len() == 32 && name.iter().all(u8::is_ascii_hexdigit)
    };
    for folder in fs::read_dir(dir)? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            return Ok(false);
        }
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            if !file.file_type()?.is_file() || !is_name(&file.file_name()) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

#[cfg(all(test, feature = "arrow"))]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_replaced_directory_is_not_taken_for_one_that_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("old"), "").unwrap();
        let new = NewDir::resume(&out).unwrap();
        fs::write(new.aside().join("new"), "").unwrap();
        assert!(NewDir::resume(&out).is_err(), "another export writes to it");

        // as another export has it between the exchange and the removal
        let replaced = lock(&out).unwrap();
        assert!(new.persist(true, |_| Ok(())).is_err());
        assert_eq!(names(&out), ["old"]);
        drop(replaced);

        let new = NewDir::resume(&out).unwrap();
        assert_eq!(names(new.aside()), ["new"], "it is continued");
        new.persist(true, |_| Ok(())).unwrap();
        assert_eq!((names(&out), names(dir.path())), (vec!["new".to_owned()], vec!["out".to_owned()]));
    }

    #[test]
    fn one_of_several_attempts_fills_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..100 {
            let (out, start) = (dir.path().join(i.to_string()), Barrier::new(4));
            let resume = || {
                start.wait();
                NewDir::resume(&out)
            };
            let resumed: Vec<_> = thread::scope(|scope| {
                let threads = [(); 4].map(|()| scope.spawn(resume));
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let failed: Vec<_> = resumed.into_iter().filter_map(Result::err).collect();
            assert_eq!(failed.len(), 3);
            for error in failed {
                assert!(error.line().contains("another process is writing to it"), "{}", error.line());
            }
        }
    }
}
