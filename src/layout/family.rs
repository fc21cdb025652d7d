//! The directory of a family: its store files, and the files their names refer to (hfile.md §15.3 to §15.6;
//! HBase: `StoreFileTrackerBase`, `HFileLink`).
#![warn(clippy::indexing_slicing)]

use super::durable::list_if_exists;
use super::file_list::{FILE_LIST_DIR, FileList, find_file_list, read_file_list};
use super::file_name::{FileName, Target, is_mob};
use super::reference::Reference;
use super::root::TableDir;
use super::store_file_info::StoreFileInfo;
use super::tracker::{StoreFileTracker, TrackedBy};
use crate::error::{Corruption, Error, Result};
use crate::io::{DirEntry, read_file};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The directory of a family of a region.
#[derive(Clone, Debug)]
pub(crate) struct FamilyDir {
    pub(crate) table: TableDir,
    /// The name of the region's directory.
    pub(crate) region: String,
    pub(crate) family: String,
}

/// The files of a store, and the other entries of its directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreFiles {
    pub(crate) files: Vec<StoreFileInfo>,
    /// Names that HBase ignores too: empty files, files that are not on the list, directories.
    pub(crate) ignored: Vec<String>,
    /// Entries that are ignored although they may have cells: names that are not valid for a store file, with
    /// which HBase opens no store, store files without bytes, and those of a family without a complete list.
    pub(crate) warnings: Vec<Error>,
}

/// The store files of a family by name, and the other entries as in [`StoreFiles`].
#[derive(Debug, Default)]
pub(super) struct NamedFiles {
    pub(super) files: Vec<NamedFile>,
    pub(super) ignored: Vec<String>,
    pub(super) warnings: Vec<Error>,
    /// Whether the files are those on a list.
    pub(super) is_by_list: bool,
    /// Entries of `ignored` that are named like store files but are empty.
    pub(super) empty: Vec<String>,
    /// A list that is not complete, if there is no other, and the directory has store files: these are not
    /// read.
    pub(super) torn_list: Option<PathBuf>,
    /// Whether there is no list, not even an incomplete one, although the directory has store files, which
    /// are not read. The first flush of a family leaves it so if it fails.
    lacks_list: bool,
}

/// A store file by name.
#[derive(Debug)]
pub(super) struct NamedFile {
    pub(super) entry: DirEntry,
    pub(super) name: String,
    /// The reference from a list of files.
    pub(super) listed: Option<Reference>,
    /// Whether the directory has an entry of the name: links and references may be only on a list.
    pub(super) is_present: bool,
}

/// The size limit of a reference file: more than a split key with the longest row needs.
pub(super) const REFERENCE_BYTES: u64 = 1 << 20;

impl FamilyDir {
    pub(crate) fn path(&self) -> PathBuf {
        self.table.path.join(&self.region).join(&self.family)
    }

    /// Returns the store files, with links and references followed. A directory that does not exist has none.
    pub(crate) fn store_files(&self, tracker: StoreFileTracker) -> Result<StoreFiles> {
        let (mut found, unread) = self.resolve_each(tracker, Err)?;
        found.warnings.extend(unread);
        Ok(found)
    }

    /// Like [`store_files`](Self::store_files), but returns the faults of single files separately: those of
    /// links and references that cannot be followed, and of files that are not read.
    pub(crate) fn found_files(&self, tracker: StoreFileTracker) -> Result<(StoreFiles, Vec<Error>)> {
        let mut faults = Vec::new();
        let (found, unread) = self.resolve_each(tracker, |fault| {
            faults.push(fault);
            Ok(())
        })?;
        faults.extend(unread);
        Ok((found, faults))
    }

    /// Returns the store files, and the faults of those that are not read: without bytes, or without a list.
    /// Calls `failed` for a link or reference that cannot be followed.
    fn resolve_each(
        &self,
        tracker: StoreFileTracker,
        mut failed: impl FnMut(Error) -> Result<()>,
    ) -> Result<(StoreFiles, Vec<Error>)> {
        let named = self.named_files(tracker)?;
        let NamedFiles { files, ignored, warnings, empty, torn_list, lacks_list, .. } = named;
        let mut found = StoreFiles { files: Vec::with_capacity(files.len()), ignored, warnings };
        found.warnings.extend(lacks_list.then(|| missing_list_fault(&self.path())));
        for file in files {
            match self.resolve(&file.entry, &file.name, file.listed) {
                Ok(file) => found.files.push(file),
                Err(fault) => failed(fault)?,
            }
        }
        let empty = empty.iter().map(|name| empty_file(&self.path().join(name)));
        Ok((found, empty.chain(torn_list.map(|path| torn_list_fault(&path))).collect()))
    }

    /// Returns the names of the store files, in the directory or on the list. No link or reference is
    /// followed.
    pub(super) fn named_files(&self, tracker: StoreFileTracker) -> Result<NamedFiles> {
        let storage = &*self.table.storage;
        let Some(entries) = list_if_exists(storage, &self.path())? else { return Ok(NamedFiles::default()) };
        let list = match tracker.source {
            TrackedBy::Directory => None,
            TrackedBy::List => match find_file_list(storage, &self.path())? {
                (None, torn) => {
                    let mut found = self.names_of_list(&entries, FileList::default())?;
                    if entries.iter().any(is_named_store_file) {
                        (found.lacks_list, found.torn_list) = (torn.is_none(), torn);
                    }
                    return Ok(found);
                }
                (list, _) => list,
            },
            TrackedBy::Unset => read_file_list(storage, &self.path())?,
        };
        match list {
            None => Ok(self.names_of_directory(entries)),
            Some(list) => self.names_of_list(&entries, list),
        }
    }

    fn names_of_directory(&self, entries: Vec<DirEntry>) -> NamedFiles {
        let mut found = NamedFiles::default();
        for entry in entries {
            match entry.utf8_name() {
                Some(name) if is_named_store_file(&entry) => {
                    let name = name.to_owned();
                    found.files.push(NamedFile { entry, name, listed: None, is_present: true });
                }
                Some(name) if !is_store_file(&entry, name) => {
                    if !entry.is_dir && FileName::parse(name).is_some() {
                        found.empty.push(name.to_owned());
                    }
                    found.ignored.push(name.to_owned());
                }
                _ => found.warnings.push(self.not_a_store_file(&entry)),
            }
        }
        found
    }

    fn not_a_store_file(&self, entry: &DirEntry) -> Error {
        Corruption::Malformed("skipped: no store file has such a name").at(&self.path().join(&entry.name), 0)
    }

    fn names_of_list(&self, entries: &[DirEntry], list: FileList) -> Result<NamedFiles> {
        let mut found = NamedFiles { is_by_list: true, ..NamedFiles::default() };
        let present: BTreeMap<&str, &DirEntry> =
            entries.iter().filter_map(|entry| Some((entry.utf8_name()?, entry))).collect();
        let names: BTreeSet<&str> = list.files.iter().map(|file| file.name.as_str()).collect();
        let ignored = present.keys().filter(|name| !names.contains(**name));
        found.ignored = ignored.map(|&name| name.to_owned()).collect();
        for file in list.files {
            // A file that is only on the list gets the list's timestamp.
            let listed = DirEntry {
                name: file.name.clone().into(),
                len: file.size,
                is_dir: false,
                is_symlink: false,
                modified_millis: list.timestamp,
            };
            let entry = present.get(file.name.as_str()).copied();
            let reference = file.reference.as_ref().map(Reference::from_proto).transpose();
            let reference = reference
                .map_err(|corruption| corruption.at(&self.path().join(FILE_LIST_DIR).join(&list.name), 0))?;
            found.files.push(NamedFile {
                entry: entry.cloned().unwrap_or(listed),
                name: file.name,
                listed: reference,
                is_present: entry.is_some(),
            });
        }
        Ok(found)
    }

    /// Finds the HFile that an entry of the directory refers to. `listed` is the reference from a list of
    /// files; then the reference need not exist as a file.
    pub(crate) fn resolve(
        &self,
        entry: &DirEntry,
        name: &str,
        listed: Option<Reference>,
    ) -> Result<StoreFileInfo> {
        let path = self.path().join(name);
        let parsed = FileName::parse(name).ok_or_else(|| {
            Corruption::unknown_name("store file with a name like", name.as_bytes()).at(&path, 0)
        })?;
        if let Err(corruption) = check_mob(&parsed, name)
            && !self.table.is_of_mob()
        {
            return Err(corruption.at(&path, 0));
        }
        let (reference, parent) = match parsed {
            FileName::Whole(_) => (None, self.region.as_str()),
            FileName::Reference(_, parent) => {
                let reference = listed.map_or_else(|| self.read_reference(&path), Ok)?;
                (Some(reference), parent)
            }
        };
        let hfile = match parsed.target() {
            Target::HFile(_) if reference.is_none() => path,
            Target::HFile(file) => self.find(&self.table.own_dirs(), parent, file, &path)?,
            Target::Link { table, region, file } => {
                self.find(&self.table.dirs_of(table, &path)?, region, file, &path)?
            }
        };
        let modified_millis = entry.modified_millis;
        Ok(StoreFileInfo { name: name.to_owned(), path: hfile, reference, modified_millis })
    }

    fn read_reference(&self, path: &Path) -> Result<Reference> {
        let bytes = read_file(&*self.table.storage, path, REFERENCE_BYTES)?;
        Reference::parse(&bytes).map_err(|corruption| corruption.at(path, 0))
    }

    /// Returns the path of the file in the first directory of `tables` that has it. A file may be moved to
    /// the archive while others still refer to it.
    fn find(&self, tables: &[PathBuf], region: &str, file: &str, from: &Path) -> Result<PathBuf> {
        // Twice: the file may be moved from a directory not yet checked to one already checked.
        for table in tables.iter().chain(tables) {
            let path = table.join(region).join(&self.family).join(file);
            match self.table.storage.open(&path) {
                Ok(_) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("open", &path, error)),
            }
        }
        let message = format!("{file} of region {region} is neither with its table nor in the archive");
        Err(Error::io("follow", from, io::Error::new(io::ErrorKind::NotFound, message)))
    }
}

/// Returns the fault of a store file without bytes, which is not read: its cells are lost.
pub(crate) fn empty_file(path: &Path) -> Error {
    Corruption::Malformed("no bytes: it is not read").at(path, 0)
}

/// Returns the fault of a family's only list of files, if it was not written completely, or has been cut off
/// since. HBase, too, reads no store files then.
pub(super) fn torn_list_fault(path: &Path) -> Error {
    let message = "the list of files ends early, and there is no other: the store files are not read";
    Corruption::Malformed(message).at(path, 0)
}

/// Returns the fault of a family whose store files are not read, because there is no list of files. HBase
/// reads none, either.
fn missing_list_fault(family: &Path) -> Error {
    let message = "there is no list of files: the store files are not read";
    Corruption::Malformed(message).at(&family.join(FILE_LIST_DIR), 0)
}

/// Fails if a file has values that are too large for a store.
pub(super) fn check_mob(parsed: &FileName<'_>, name: &str) -> Result<(), Corruption> {
    if !is_mob(parsed.target().file()) {
        return Ok(());
    }
    let hint = Some("MOB files are not read as those of a region");
    Err(Corruption::Unsupported { what: "file of values,", name: name.to_owned().into(), hint })
}

fn is_named_store_file(entry: &DirEntry) -> bool {
    entry.utf8_name().is_some_and(|name| is_store_file(entry, name) && FileName::parse(name).is_some())
}

/// Whether HBase treats an entry of the directory as a store file (HBase: `StoreFileInfo.isValid`).
fn is_store_file(entry: &DirEntry, name: &str) -> bool {
    let parsed = FileName::parse(name);
    !entry.is_dir
        && !name.starts_with('.')
        && (entry.len > 0 || parsed.as_ref().is_some_and(FileName::is_link))
        && (parsed.is_some() || !name.contains('-'))
}

#[cfg(test)]
mod tests;
