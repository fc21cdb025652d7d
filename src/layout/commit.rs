//! The one way in which a region's store files change (HBase: `StoreEngine`, `StoreFileTracker`, `HRegionFileSystem.commitStoreFile`).
//!
//! A change is made in this order, so that a crash after any step leaves the files before the change or those after it:
//!
//! 1. New files are written elsewhere, whole and synced, and opened once (the caller).
//! 2. All but the last get their names in the family's directory, which is synced; then the last one, which alone may say what
//!    files it replaces.
//! 3. The new files are opened under their names (the caller, in `open`).
//! 4. With a FILE tracker a new list is written, synced, named, and its directory synced.
//! 5. The caller swaps its state.
//! 6. Files that were replaced go to the archive: [`RegionDir::archive`].
//!
//! If a step up to 4 fails, the steps before it are undone and the undo is synced. If that fails too, files may be named
//! that the caller does not know of: then [`CommitError::undo`] says why, and the caller must take no further writes.

use super::durable::{exists, rename, sync_dir};
use super::family::FamilyDir;
use super::file_list::{FileList, ListedFile, NewFileList, read_file_list};
use super::file_name::FileName;
use super::region::RegionDir;
use super::tracker::{StoreFileTracker, TrackedBy};
use crate::error::{Error, Result};
use crate::io::Storage;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A whole, synced file that is to get a name in a family's directory. One of ours is removed when it is dropped before
/// it has its name.
#[derive(Debug)]
pub(crate) struct StagedFile {
    storage: Arc<dyn Storage>,
    /// Where it was written.
    from: PathBuf,
    /// The name it gets.
    name: String,
    len: u64,
    /// Whether it is removed if it gets no name.
    is_ours: bool,
}

impl StagedFile {
    /// A file that was written for this region alone.
    pub(crate) fn new(storage: Arc<dyn Storage>, from: PathBuf, name: String) -> Self {
        Self { storage, from, name, len: 0, is_ours: true }
    }

    /// A file that belongs to the caller until it has its name, and again if it does not get one.
    pub(crate) fn foreign(storage: Arc<dyn Storage>, from: PathBuf, name: String, len: u64) -> Self {
        Self { storage, from, name, len, is_ours: false }
    }

    pub(crate) fn with_len(mut self, len: u64) -> Self {
        self.len = len;
        self
    }

    /// Where it was written.
    pub(crate) fn path(&self) -> &Path {
        &self.from
    }

    /// The name it gets.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.is_ours {
            // What stays in `.tmp` is removed when the region is opened for writing.
            let _ = self.storage.remove(&self.from);
        }
    }
}

/// How the store files of a family change.
#[derive(Debug)]
pub(crate) struct FamilyChange<'c> {
    pub(crate) family: &'c [u8],
    /// The store's files before the change.
    pub(crate) before: Vec<KnownFile>,
    /// Files that get names, in this order.
    pub(crate) add: Vec<StagedFile>,
    /// Names of files that belong to the store no longer.
    pub(crate) remove: Vec<String>,
}

/// A file that belongs to a store.
#[derive(Clone, Debug)]
pub(crate) struct KnownFile {
    pub(crate) name: String,
    /// The length of the HFile in bytes.
    pub(crate) len: u64,
}

/// Why store files did not change.
#[derive(Debug)]
pub(crate) struct CommitError {
    pub(crate) error: Error,
    /// Why what had been done could not be undone: files may be named that no state in memory has.
    pub(crate) undo: Option<Error>,
}

impl From<Error> for CommitError {
    fn from(error: Error) -> Self {
        Self { error, undo: None }
    }
}

/// A step that was tried and must be undone if a later one fails.
enum Step {
    Named { from: PathBuf, to: PathBuf },
    Listed(NewFileList),
}

impl RegionDir {
    /// Changes the store files of families, all of them or none. `open` is called when the files have their names and
    /// before any list says so; what it returns is returned.
    pub(crate) fn commit<T>(
        &self,
        changes: Vec<FamilyChange<'_>>,
        now: i64,
        open: impl FnOnce() -> Result<T>,
    ) -> Result<T, CommitError> {
        let mut steps = Vec::new();
        let result = self.try_commit(&changes, now, open, &mut steps);
        match result {
            Ok(opened) => {
                for step in steps {
                    if let Step::Listed(list) = step {
                        // Lists of smaller numbers do not count.
                        let _ = list.remove_old(&**self.storage());
                    }
                }
                let added = changes.into_iter().flat_map(|change| change.add);
                added.for_each(|mut file| file.is_ours = false);
                Ok(opened)
            }
            Err(error) => Err(CommitError { error, undo: self.undo(steps).err() }),
        }
    }

    fn try_commit<T>(
        &self,
        changes: &[FamilyChange<'_>],
        now: i64,
        open: impl FnOnce() -> Result<T>,
        steps: &mut Vec<Step>,
    ) -> Result<T> {
        let storage = &**self.storage();
        let mut lists = Vec::new();
        for change in changes {
            let dir = self.family(change.family);
            let tracker = self.tracker(change.family)?;
            lists.extend(new_list(storage, &dir, tracker, change, now)?);
        }
        for change in changes {
            let dir = self.family(change.family).path();
            for (i, file) in change.add.iter().enumerate() {
                // Renames may reach the disk in any order, and the last file may say that it replaces others.
                if i > 0 && i + 1 == change.add.len() {
                    sync_dir(storage, &dir)?;
                }
                let to = dir.join(&file.name);
                steps.push(Step::Named { from: file.from.clone(), to: to.clone() });
                rename(storage, &file.from, &to)?;
            }
            if !change.add.is_empty() {
                sync_dir(storage, &dir)?;
            }
        }
        let opened = open()?;
        for (i, list) in lists.into_iter().enumerate() {
            let aside = self.tmp().join(format!("filelist.{i}"));
            list.write(storage, &aside)?;
            steps.push(Step::Listed(list));
            if let Some(Step::Listed(list)) = steps.last() {
                list.publish(storage, &aside)?;
            }
        }
        Ok(opened)
    }

    /// Undoes steps, the last one first, and makes that durable.
    fn undo(&self, steps: Vec<Step>) -> Result<()> {
        let storage = &**self.storage();
        let mut dirs = BTreeSet::new();
        for step in steps.into_iter().rev() {
            match step {
                // A list that names files must be gone for good before they are.
                Step::Listed(list) => list.withdraw(storage)?,
                Step::Named { from, to } => {
                    // The rename may have failed before it was done.
                    if exists(storage, &to)? {
                        rename(storage, &to, &from)?;
                    }
                    dirs.extend(to.parent().map(Path::to_owned));
                }
            }
        }
        dirs.iter().try_for_each(|dir| sync_dir(storage, dir))
    }
}

/// The list after a change; none if no list is kept.
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
                check_unambiguous(dir, &list)?;
            }
            list
        }
        (_, None) => return Ok(None),
    };
    let is_known = |file: &ListedFile| known.contains_key(file.name.as_str());
    if list.files.len() != known.len() || !list.files.iter().all(is_known) {
        let error = io::Error::other("another program has changed the list of the store's files");
        return Err(Error::io("change", &path, error));
    }
    let mut list = list;
    list.files.retain(|file| !change.remove.contains(&file.name));
    list.files.extend(change.add.iter().map(|file| listed(&file.name, file.len)));
    NewFileList::after(storage, &path, list, now).map(Some)
}

fn listed(name: &str, len: u64) -> ListedFile {
    let is_plain = matches!(FileName::parse(name), Some(FileName::Whole(super::file_name::Target::HFile(_))));
    ListedFile { name: name.to_owned(), size: if is_plain { len } else { 0 }, reference: None }
}

/// Without a setting a list and the directory must agree: what one reader takes from the list another takes from the
/// directory.
fn check_unambiguous(dir: &FamilyDir, list: &FileList) -> Result<()> {
    let in_directory = StoreFileTracker { source: TrackedBy::Directory, writes_list: false };
    let found = dir.store_files(in_directory)?.files;
    let listed: BTreeSet<&str> = list.files.iter().map(|file| file.name.as_str()).collect();
    if found.len() == listed.len() && found.iter().all(|file| listed.contains(file.name.as_str())) {
        return Ok(());
    }
    let message = "no store file tracker is set, and the list of files differs from the directory: \
                   set hbase.store.file-tracker.impl";
    Err(Error::not_supported(message))
}
