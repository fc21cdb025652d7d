//! Commits changes of a region's store files; no other module changes them (read-path.md §20; HBase:
//! `StoreEngine`, `StoreFileTracker`, `HRegionFileSystem.commitStoreFile`).
//!
//! A change is made in this order, so that a crash after any step leaves either the old files or the new
//! ones:
//!
//! 1. The caller writes the new files elsewhere, completely and synced, and opens each once.
//! 2. If files from outside will be on a list, a [record](super::load_record) of their original paths is
//!    written. In a storage whose locks can be lost, files from outside are then moved to a directory of the
//!    region: see [`loading`](super::loading).
//! 3. All new files but the last are renamed into the family's directory. It is synced after each of them, so
//!    that those of a flush appear in the order of their writes, or once if they are from outside. Then the
//!    last one is renamed, which is the only one that may record the files it replaces. The last ones of all
//!    families are renamed one right after the other, before any directory is synced.
//! 4. The caller opens the new files under their names, in `open`.
//! 5. With a FILE tracker, a new list is written, synced and renamed, and its directory is synced. The record
//!    is removed after all lists.
//! 6. The caller swaps its state.
//! 7. Replaced files are moved to the archive: [`RegionDir::archive`].
//!
//! In a storage without renames, all families have a FILE tracker: the new files are written under their
//! names in step 1, and step 5 creates the list, whose number follows the previous list's. If another process
//! has changed the files in the meantime, the number exists, and the change fails. Copies of files from
//! outside are [recorded](super::copy_record) before the first list, and after the last one.
//!
//! If a step up to 5 fails, the previous steps are undone, and the undo is synced. If that also fails, named
//! files may exist that the caller does not know of: [`CommitError::undo`] then has the reason, and the
//! caller must accept no further writes.

use super::copy_record::{CopySource, CopyState, LoadedCopy};
use super::durable::{create_dir, exists, parent, rename, sync_dir};
use super::family::FamilyDir;
use super::file_list::{FileList, ListedFile, NewFileList, changed_elsewhere, read_file_list};
use super::file_name::{FileName, new_file_name};
use super::load_record::{LoadRecord, remove_record};
use super::region::RegionDir;
use super::tracker::{StoreFileTracker, TrackedBy};
use crate::error::{Error, Result};
use crate::io::Storage;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A complete, synced file to rename into a family's directory. If it was written by this region, it is
/// removed if it is dropped before the rename.
#[derive(Debug)]
pub(crate) struct StagedFile {
    storage: Arc<dyn Storage>,
    /// The path it was written to; in a storage without renames, its final path.
    from: PathBuf,
    /// Its final name.
    name: String,
    len: u64,
    /// Whether the file is removed if it is not renamed.
    is_ours: bool,
    /// The file from outside that it is a copy of.
    source: Option<CopySource>,
    /// The path to which it is moved before any file is renamed.
    via: Option<PathBuf>,
}

impl StagedFile {
    /// Creates a staged file that was written for this region only.
    pub(crate) fn new(storage: Arc<dyn Storage>, from: PathBuf, name: String) -> Self {
        Self { storage, from, name, len: 0, is_ours: true, source: None, via: None }
    }

    /// Creates a staged file that belongs to the caller until it is renamed, and again if that fails.
    pub(crate) fn loaded(storage: Arc<dyn Storage>, from: PathBuf, name: String, len: u64) -> Self {
        Self { storage, from, name, len, is_ours: false, source: None, via: None }
    }

    pub(crate) fn with_len(mut self, len: u64) -> Self {
        self.len = len;
        self
    }

    /// Marks it as a copy of a file from outside, in a storage without renames.
    pub(crate) fn copy_of(mut self, source: CopySource) -> Self {
        self.source = Some(source);
        self
    }

    /// Sets a path to which it is moved before any file is renamed.
    pub(crate) fn moved_to(mut self, via: PathBuf) -> Self {
        self.via = Some(via);
        self
    }

    /// Returns the path it was written to.
    pub(crate) fn path(&self) -> &Path {
        &self.from
    }

    /// Returns its final name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.is_ours {
            // Files left in `.tmp` are removed when the region is opened for writing.
            let _ = self.storage.remove(&self.from);
        }
    }
}

/// A change of the store files of a family.
#[derive(Debug)]
pub(crate) struct FamilyChange<'c> {
    pub(crate) family: &'c [u8],
    /// The store's files before the change.
    pub(crate) before: Vec<KnownFile>,
    /// Files to rename into the directory, in this order.
    pub(crate) add: Vec<StagedFile>,
    /// Names of files that no longer belong to the store.
    pub(crate) remove: Vec<String>,
    /// Names of files that earlier changes have replaced, and that may still be in the directory.
    pub(crate) replaced: BTreeSet<String>,
}

/// A file that belongs to a store.
#[derive(Clone, Debug)]
pub(crate) struct KnownFile {
    pub(crate) name: String,
    /// The length of the HFile in bytes.
    pub(crate) len: u64,
}

/// The reason that store files could not be changed.
#[derive(Debug)]
pub(crate) struct CommitError {
    pub(crate) error: Error,
    /// The reason that the previous steps could not be undone: named files may exist that are in no state in
    /// memory.
    pub(crate) undo: Option<Error>,
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        Self { error, undo: None }
    }
}

/// A step that was attempted, and must be undone if a later one fails.
enum UndoStep {
    /// The record of a load was written.
    Recorded,
    Named {
        from: PathBuf,
        to: PathBuf,
        is_ours: bool,
    },
    /// These were added to the record of copies.
    Noted(Vec<LoadedCopy>),
    Listed(NewFileList),
    /// The record was removed.
    Forgotten(LoadRecord),
}

/// The changes of a commit. If it panics, a list may have the new files, which are then not removed.
struct Attempt<'c>(Vec<FamilyChange<'c>>);

impl Attempt<'_> {
    fn keep_files(&mut self) {
        let added = self.0.iter_mut().flat_map(|change| &mut change.add);
        added.for_each(|file| file.is_ours = false);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_files();
        }
    }
}

impl RegionDir {
    /// Changes the store files of families, all of them or none. Calls `open` after the files are renamed and
    /// before any list is written, and returns its result.
    pub(crate) fn commit<T>(
        &self,
        changes: Vec<FamilyChange<'_>>,
        now: i64,
        open: impl FnOnce() -> Result<T>,
    ) -> Result<T, CommitError> {
        let (mut steps, mut attempt) = (Vec::new(), Attempt(changes));
        let result = self.try_commit(&attempt.0, now, open, &mut steps);
        match result {
            Ok(opened) => {
                for step in steps {
                    if let UndoStep::Listed(list) = step {
                        // Failures are ignored: lists with smaller numbers have no effect.
                        let _ = list.remove_old(&**self.storage());
                    }
                }
                attempt.keep_files();
                Ok(opened)
            }
            Err(error) => {
                let undo = self.roll_back(steps).err();
                if undo.is_some() {
                    // A list may have the new files.
                    attempt.keep_files();
                }
                Err(CommitError { error, undo })
            }
        }
    }

    fn try_commit<T>(
        &self,
        changes: &[FamilyChange<'_>],
        now: i64,
        open: impl FnOnce() -> Result<T>,
        steps: &mut Vec<UndoStep>,
    ) -> Result<T> {
        let storage = &**self.storage();
        let (mut lists, mut record, mut copies) = (Vec::new(), LoadRecord::default(), Vec::new());
        for change in changes {
            let dir = self.family(change.family);
            let tracker = self.tracker(change.family)?;
            let list = new_list(storage, &dir, tracker, change, now)?;
            if list.is_some() && tracker.source != TrackedBy::Directory {
                let mut loaded = change.add.iter().filter(|file| !file.is_ours);
                loaded.try_for_each(|file| record.add(storage, change.family, file))?;
            }
            copies.extend(list.iter().flat_map(|list| copies_of(change, list)));
            lists.extend(list);
        }
        if !record.is_empty() {
            steps.push(UndoStep::Recorded);
            record.publish(storage, &self.tmp().join("load"), self.path())?;
        }
        changes.iter().flat_map(|change| &change.add).try_for_each(|file| self.move_aside(file, steps))?;
        for change in changes {
            let dir = self.family(change.family).path();
            let others = change.add.split_last().map(|(_, others)| others).unwrap_or_default();
            let mut is_synced = true;
            for (file, left) in others.iter().zip((0..others.len()).rev()) {
                self.name_file(&dir, file, steps)?;
                is_synced &= file.from == dir.join(&file.name);
                // Renames may reach the disk in any order, and a file may record that it replaces others, or
                // that all writes up to its sequence id are in files. Files from outside record neither.
                if !is_synced && (file.is_ours || left == 0) {
                    sync_dir(storage, &dir)?;
                    is_synced = true;
                }
            }
        }
        // The last files are renamed in direct succession: another process that reads the region in between
        // sees only those of some families.
        for change in changes {
            let dir = self.family(change.family).path();
            change.add.last().map_or(Ok(()), |file| self.name_file(&dir, file, steps))?;
        }
        for change in changes.iter().filter(|change| !change.add.is_empty()) {
            sync_dir(storage, &self.family(change.family).path())?;
        }
        let opened = open()?;
        // A name that no other process uses, even one that has lost its lock.
        let id = new_file_name(now);
        let aside = |i: usize| self.tmp().join(format!("filelist.{i}.{id}"));
        lists.iter().enumerate().try_for_each(|(i, list)| list.write(storage, &aside(i)))?;
        if !copies.is_empty() {
            steps.push(UndoStep::Noted(copies.clone()));
            self.note_copies(&copies)?;
        }
        for (i, list) in lists.into_iter().enumerate() {
            let published = list.publish(storage, &aside(i));
            // An existing list of this number is another process's, and stays.
            if !published.as_ref().is_err_and(Error::is_already_exists) {
                steps.push(UndoStep::Listed(list));
            }
            published?;
        }
        if !copies.is_empty() {
            self.confirm_copies(&copies)?;
        }
        if !record.is_empty() {
            // After all lists have their files, and before any list can be replaced.
            steps.push(UndoStep::Forgotten(record));
            remove_record(storage, self.path())?;
        }
        Ok(opened)
    }

    /// Renames a file into the directory of its family, unless it was written there.
    fn name_file(&self, dir: &Path, file: &StagedFile, steps: &mut Vec<UndoStep>) -> Result<()> {
        let to = dir.join(&file.name);
        if file.from == to {
            return Ok(());
        }
        let from = file.via.as_ref().unwrap_or(&file.from);
        steps.push(UndoStep::Named { from: from.clone(), to: to.clone(), is_ours: file.is_ours });
        rename(&**self.storage(), from, &to)
    }

    /// Moves a file to its intermediate path, if it has one.
    fn move_aside(&self, file: &StagedFile, steps: &mut Vec<UndoStep>) -> Result<()> {
        let Some(to) = &file.via else { return Ok(()) };
        create_dir(&**self.storage(), parent(to))?;
        steps.push(UndoStep::Named { from: file.from.clone(), to: to.clone(), is_ours: file.is_ours });
        rename(&**self.storage(), &file.from, to)
    }

    /// Undoes steps in reverse order, durably.
    fn roll_back(&self, steps: Vec<UndoStep>) -> Result<()> {
        let storage = &**self.storage();
        for step in steps.into_iter().rev() {
            match step {
                // A list must be durably removed before the files it names.
                UndoStep::Listed(list) => list.withdraw(storage)?,
                UndoStep::Noted(copies) => self.disclaim_copies(&copies)?,
                // A file must be recorded until it is back.
                UndoStep::Forgotten(record) => {
                    record.publish(storage, &self.tmp().join("load"), self.path())?;
                }
                UndoStep::Recorded => remove_record(storage, self.path())?,
                UndoStep::Named { from, to, is_ours } => {
                    // The rename may have failed before it took effect.
                    if exists(storage, &to)? {
                        rename(storage, &to, &from)?;
                        if !is_ours {
                            sync_dir(storage, parent(&from))?;
                        }
                    }
                    // The last file, which may record that it replaces others, must not return without those
                    // that were renamed before it.
                    sync_dir(storage, parent(&to))?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the new files of a change that are copies of files from outside, and will be on a list.
fn copies_of<'c>(change: &'c FamilyChange<'_>, list: &NewFileList) -> impl Iterator<Item = LoadedCopy> + 'c {
    let state = CopyState::ToBeListed(list.number().unwrap_or(u64::MAX));
    change.add.iter().filter_map(move |file| {
        let (name, family, source) = (file.name.clone(), change.family.to_vec(), file.source.clone()?);
        Some(LoadedCopy { state, name, family, source })
    })
}

/// Returns the list after a change; `None` if no list is kept.
fn new_list(
    storage: &dyn Storage,
    dir: &FamilyDir,
    tracker: StoreFileTracker,
    change: &FamilyChange<'_>,
    now: i64,
) -> Result<Option<NewFileList>> {
    if tracker.source == TrackedBy::Directory && !tracker.writes_list {
        return Ok(None);
    }
    let path = dir.path();
    let list = read_file_list(storage, &path)?;
    let known: BTreeMap<&str, u64> = change.before.iter().map(|f| (f.name.as_str(), f.len)).collect();
    let list = match (tracker.source, list) {
        (TrackedBy::Unset, None) => return Ok(None),
        (TrackedBy::Directory, _) | (TrackedBy::List, None) if tracker.writes_list => {
            let listed = |(&name, &len): (&&str, &u64)| listed(name, len);
            FileList::new(known.iter().map(listed).collect())
        }
        (_, Some(list)) => {
            if tracker.source == TrackedBy::Unset {
                check_unambiguous(dir, &list, &change.replaced)?;
            }
            list
        }
        (_, None) => return Ok(None),
    };
    let is_known = |file: &ListedFile| known.contains_key(file.name.as_str());
    if list.files.len() != known.len() || !list.files.iter().all(is_known) {
        return Err(changed_elsewhere(&path));
    }
    let mut list = list;
    list.files.retain(|file| !change.remove.contains(&file.name));
    list.files.extend(change.add.iter().map(|file| listed(&file.name, file.len)));
    NewFileList::after(storage, &path, list, now).map(Some)
}

/// Returns the entry of a list for a file.
pub(super) fn listed(name: &str, len: u64) -> ListedFile {
    let is_plain = matches!(FileName::parse(name), Some(FileName::Whole(super::file_name::Target::HFile(_))));
    ListedFile { name: name.to_owned(), size: if is_plain { len } else { 0 }, reference: None }
}

/// Checks that a list agrees with the directory, except for replaced files. Without a setting, one reader may
/// use the list and another the directory.
fn check_unambiguous(dir: &FamilyDir, list: &FileList, replaced: &BTreeSet<String>) -> Result<()> {
    let in_directory = StoreFileTracker { source: TrackedBy::Directory, writes_list: false };
    let found = dir.store_files(in_directory)?.files;
    let found: BTreeSet<&String> =
        found.iter().map(|file| &file.name).filter(|name| !replaced.contains(*name)).collect();
    if found == list.files.iter().map(|file| &file.name).collect() {
        return Ok(());
    }
    let message = "no store file tracker is set, and the list of files differs from the directory: \
                   set hbase.store.file-tracker.impl";
    Err(Error::not_supported(message))
}
