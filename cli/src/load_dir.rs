//! The directory of files for a bulk load.
//!
//! A local one is filled under a temporary name, and renamed when it is complete; so is one at a URL where
//! directories can be renamed. Elsewhere files appear in place when they are complete, and are removed after
//! a failure.

use crate::failure::{CommandError, Failure};
use crate::lines::is_stdin;
use crate::new_dir::{NewDir, is_of_bulk_load};
use crate::new_file::{check_force, directory};
use crate::output::Output;
use crate::probe;
use crate::region_files::Written;
use crate::vfs::{self, check_writable};
use hregion::Storage;
use hregion::io::name_unfinished;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The directory of files for a bulk load that is being written.
#[derive(Debug)]
pub(crate) enum LoadDir {
    Local { dir: NewDir, path: PathBuf },
    Remote(RemoteLoad),
}

impl LoadDir {
    /// Creates the directory.
    pub(crate) fn create(path: &Path) -> Result<Self, CommandError> {
        if vfs::is_url(path) {
            return RemoteLoad::create(path).map(Self::Remote);
        }
        Ok(Self::Local { dir: NewDir::create(path)?, path: path.to_owned() })
    }

    /// Returns the path to which files are written.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Local { dir, .. } => dir.aside(),
            Self::Remote(load) => &load.filled,
        }
    }

    /// Records that a file is about to be written.
    pub(crate) fn note(&self, file: &Path) {
        if let Self::Remote(load) = self {
            load.files.lock().unwrap_or_else(PoisonError::into_inner).push(file.to_owned());
        }
    }

    /// Gives the directory its name, if it was filled. After a failure removes the written files, or reports
    /// that they are left.
    pub(crate) fn complete(
        self,
        filled: Result<Vec<Written>, Failure>,
        force: bool,
        out: &Output,
    ) -> Result<Vec<Written>, Failure> {
        match self {
            Self::Local { dir, path } => {
                let written = filled?;
                // something else may have the name by now
                check_output(&path, force)?;
                dir.persist(force, |_| Ok(()))?;
                Ok(written)
            }
            Self::Remote(load) => {
                let complete = |written: Vec<Written>| load.complete(&written).map(|()| written);
                filled.and_then(|written| Ok(complete(written)?)).inspect_err(|_| {
                    if let Err(left) = load.give_up() {
                        out.warn_always(&format!("files of the bulk load may be left: {}", left.line()));
                    }
                })
            }
        }
    }
}

/// Fails if the directory exists and must not be replaced, or cannot have been written for a bulk load.
pub(crate) fn check_output(path: &Path, force: bool) -> Result<(), CommandError> {
    if is_stdin(path) {
        return Err(CommandError::usage("--out: expected a directory"));
    }
    check_writable(path)?;
    if !probe::exists(path)? {
        return Ok(());
    }
    if vfs::is_url(path) {
        return Err(match force {
            false => CommandError::invalid_file(path, "it exists"),
            true => CommandError::unsupported(path, "--force: a directory at a URL is not replaced")
                .with_hint(Some("remove the files first")),
        });
    }
    check_force(path, force)?;
    let fault = |error| CommandError::io("read", path, &error);
    let is_dir = path.symlink_metadata().map_err(fault)?.is_dir();
    let replaceable = is_dir && is_of_bulk_load(path).map_err(fault)?;
    match replaceable {
        true => Ok(()),
        false => Err(CommandError::invalid_file(
            path,
            "not a directory of files for a bulk load, and not replaced",
        )),
    }
}

/// The directory at a URL.
#[derive(Debug)]
pub(crate) struct RemoteLoad {
    path: PathBuf,
    /// The path to which files are written: a temporary name, if directories can be renamed.
    filled: PathBuf,
    storage: Arc<dyn Storage>,
    /// The files that were begun.
    files: Mutex<Vec<PathBuf>>,
}

impl RemoteLoad {
    fn create(path: &Path) -> Result<Self, CommandError> {
        let storage = vfs::storage();
        let filled = if storage.can_rename(path) { name_unfinished(path) } else { path.to_owned() };
        let load = Self { path: path.to_owned(), filled, storage, files: Mutex::default() };
        let created = load.storage.create_dir_all(&load.filled);
        created.map_err(|error| CommandError::io("create", &load.filled, &error))?;
        Ok(load)
    }

    fn is_aside(&self) -> bool {
        self.filled != self.path
    }

    fn complete(&self, written: &[Written]) -> Result<(), CommandError> {
        if !self.is_aside() {
            return self.check_alone(written);
        }
        let fault = |error| CommandError::io("rename to", &self.path, &error);
        self.storage.rename_new(&self.filled, &self.path).map_err(fault)?;
        self.storage.sync_dir(directory(&self.path)).map_err(fault)
    }

    /// Fails if there is anything but these files: another process may have begun to fill the directory.
    fn check_alone(&self, written: &[Written]) -> Result<(), CommandError> {
        let paths: BTreeSet<PathBuf> = written.iter().map(|file| self.path.join(&file.path)).collect();
        let folders: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
        for dir in [&*self.path].into_iter().chain(folders.iter().copied()) {
            for path in self.list(dir)? {
                if !paths.contains(&path) && !folders.contains(&*path) {
                    let error = io::Error::other("another process has written to the directory");
                    return Err(CommandError::io("complete the directory beside", &path, &error));
                }
            }
        }
        Ok(())
    }

    /// Returns the paths in a directory; none if it does not exist.
    fn list(&self, dir: &Path) -> Result<Vec<PathBuf>, CommandError> {
        match self.storage.list_dir(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(CommandError::io("list", dir, &error)),
            Ok(entries) => Ok(entries.into_iter().map(|entry| dir.join(entry.name)).collect()),
        }
    }

    /// Removes the written files. Continues after a failure, and returns the first one.
    fn give_up(&self) -> Result<(), CommandError> {
        if self.is_aside() && !probe::is_dir(&self.filled)? {
            let message = "it may be complete: the rename was not answered";
            return Err(CommandError::invalid_file(&self.path, message));
        }
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let folders: BTreeSet<PathBuf> =
            files.iter().filter_map(|file| Some(file.parent()?.into())).collect();
        for folder in &folders {
            // a probe of whether the store checks conditions, which could not be removed
            files.extend(self.list(folder)?.into_iter().filter(|path| is_probe(path)));
        }
        let mut removed: Vec<_> = files.iter().map(|file| (file, self.storage.remove(file))).collect();
        if self.is_aside() {
            let dirs = folders.iter().chain([&self.filled]);
            removed.extend(dirs.map(|dir| (dir, self.storage.remove_dir(dir))));
        }
        for (path, removed) in removed {
            if let Err(error) = removed
                && error.kind() != ErrorKind::NotFound
            {
                return Err(CommandError::io("remove", path, &error));
            }
        }
        match !self.is_aside() && probe::is_dir(&self.path)? {
            true => Err(CommandError::invalid_file(&self.path, "it has files")),
            false => Ok(()),
        }
    }
}

fn is_probe(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(".hregion.probe."))
}
