//! Finds the faults of names in a region's directory: each file is checked by itself, so that one fault does
//! not hide another (hfile.md §15.3 to §15.6).
#![warn(clippy::indexing_slicing)]

use super::durable::list_if_exists;
use super::family::{NamedFiles, torn_list_fault};
use super::file_name::FileName;
use super::region::{RECOVERED_EDITS, RegionDir, TMP};
use crate::error::{Error, Result};
use crate::io::DirEntry;
use crate::schema::is_legal_name;
use std::path::{Path, PathBuf};

/// The files of a family.
#[derive(Debug)]
pub(crate) struct FileSurvey {
    /// The number of store files, by name.
    pub(crate) files: usize,
    pub(crate) faults: Vec<FileFault>,
}

/// A fault of a file of a family.
#[derive(Debug)]
pub(crate) struct FileFault {
    pub(crate) kind: FileFaultKind,
    pub(crate) path: PathBuf,
    /// The error of resolving the file, if that is the fault.
    pub(crate) error: Option<Error>,
}

/// The kind of fault of a file of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFaultKind {
    /// A reference whose file does not exist.
    DanglingReference,
    /// A link whose file does not exist.
    DanglingLink,
    /// A store file that is not on the list of files.
    Untracked,
    /// A file on the list that does not exist.
    Missing,
    /// An empty store file, which is skipped.
    Empty,
    /// A file whose name is not a store file's.
    UnknownName,
    /// Anything else that prevents the file from being found or opened.
    Unreadable,
}

impl RegionDir {
    /// Returns the number of files of a family, and their faults.
    ///
    /// # Errors
    ///
    /// If the directory or a list of files cannot be read, or the tracker is unknown.
    pub(crate) fn survey_files(&self, family: &[u8]) -> Result<FileSurvey> {
        let (dir, tracker) = (self.family(family), self.tracker(family)?);
        let named = dir.named_files(tracker)?;
        let NamedFiles { files, ignored, warnings, is_by_list, empty, torn_list, .. } = named;
        let (count, mut faults) = (files.len(), Vec::new());
        let mut add = |kind, name: &str, error| {
            faults.push(FileFault { kind, path: dir.path().join(name), error });
        };
        for file in files {
            let parsed = FileName::parse(&file.name);
            let is_link = parsed.as_ref().is_some_and(FileName::is_link);
            let is_reference = matches!(parsed, Some(FileName::Reference(..)));
            if !file.is_present && !is_link && file.listed.is_none() {
                add(FileFaultKind::Missing, &file.name, None);
                continue;
            }
            match dir.resolve(&file.entry, &file.name, file.listed) {
                Ok(found) => {
                    let checked = self.check_reference(family, &found);
                    if let Err(error) = checked.and_then(|()| self.check_opens(&file.entry, &found.path)) {
                        add(FileFaultKind::Unreadable, &file.name, Some(error));
                    }
                }
                Err(error) if !error.is_not_found() => {
                    add(FileFaultKind::Unreadable, &file.name, Some(error));
                }
                Err(error) if is_reference => {
                    add(FileFaultKind::DanglingReference, &file.name, Some(error));
                }
                Err(error) => add(FileFaultKind::DanglingLink, &file.name, Some(error)),
            }
        }
        empty.iter().for_each(|name| add(FileFaultKind::Empty, name, None));
        if is_by_list {
            let is_store_file = |name: &&String| FileName::parse(name).is_some();
            ignored.iter().filter(is_store_file).for_each(|name| add(FileFaultKind::Untracked, name, None));
        }
        faults.extend(torn_list.map(|path| {
            let error = Some(torn_list_fault(&path));
            FileFault { kind: FileFaultKind::Unreadable, path, error }
        }));
        faults.extend(warnings.into_iter().map(|error| FileFault {
            kind: FileFaultKind::UnknownName,
            path: error.path().map_or_else(|| dir.path(), PathBuf::from),
            error: Some(error),
        }));
        Ok(FileSurvey { files: count, faults })
    }

    /// Fails if an entry is a symbolic link to a missing file, or no regular file: its length in a listing is
    /// 1 then. Other files are not opened.
    fn check_opens(&self, entry: &DirEntry, path: &Path) -> Result<()> {
        if entry.is_symlink || entry.len == 1 {
            self.storage().open(path).map_err(|error| Error::io("open", path, error))?;
        }
        Ok(())
    }

    /// Returns the directories with files that are named like families, but belong to no family.
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed.
    pub(crate) fn unknown_families(&self) -> Result<Vec<PathBuf>> {
        let storage = &**self.storage();
        let mut found = Vec::new();
        for entry in list_if_exists(storage, self.path())?.unwrap_or_default() {
            let is_known = |name: &[u8]| self.families().iter().any(|family| family.name() == name);
            let Some(name) = entry.utf8_name().filter(|_| entry.is_dir) else { continue };
            if !is_legal_name(name.as_bytes()) || name == RECOVERED_EDITS || is_known(name.as_bytes()) {
                continue;
            }
            let dir = self.path().join(name);
            let files = list_if_exists(storage, &dir)?.unwrap_or_default();
            if files.iter().any(|file| !file.is_dir && !file.is_hidden()) {
                found.push(dir);
            }
        }
        Ok(found)
    }

    /// Returns the directories with remains of unfinished work.
    ///
    /// # Errors
    ///
    /// If a directory cannot be listed.
    pub(crate) fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let dirs = [TMP, ".splits", ".merges"].map(|name| self.path().join(name));
        let mut found = Vec::new();
        for dir in dirs {
            let mut has_files = false;
            for entry in list_if_exists(&**self.storage(), &dir)?.unwrap_or_default() {
                // Files are in a directory for their family.
                has_files |= match entry.is_dir {
                    true => list_if_exists(&**self.storage(), &dir.join(&entry.name))?
                        .is_some_and(|files| !files.is_empty()),
                    false => true,
                };
            }
            if has_files {
                found.push(dir);
            }
        }
        Ok(found)
    }
}
