//! Changes of a region's store files, on the disk and in memory together.

use super::Inner;
use crate::error::{Error, Result};
use crate::layout::commit::KnownFile;
use crate::layout::{CommitError, FamilyChange, StagedFile, StoreFileInfo};
use crate::store::StoreFile;
use crate::sync::unpoisoned;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock};

/// How the files of a store change.
#[derive(Debug)]
pub(super) struct StoreChange {
    pub(super) store: usize,
    /// Files that are new, in the order in which they get their names.
    pub(super) add: Vec<StagedFile>,
    /// Files that no longer belong.
    pub(super) remove: Vec<StoreFile>,
}

/// What is known of the region's files beyond its state.
#[derive(Debug, Default)]
pub(super) struct FileChanges {
    /// Held while files change.
    committing: Mutex<()>,
    /// Files that were replaced and are in their directories still, since they could not be archived.
    replaced: Mutex<Vec<Replaced>>,
    /// Why no further writes are taken.
    poison: OnceLock<Error>,
}

/// A file that belongs to its store no longer and waits to be archived.
#[derive(Clone, Debug)]
pub(super) struct Replaced {
    pub(super) store: usize,
    pub(super) name: String,
}

impl FileChanges {
    pub(super) fn new(replaced: Vec<Replaced>) -> Self {
        Self { replaced: Mutex::new(replaced), ..Self::default() }
    }

    /// Why no further writes are taken.
    pub(super) fn poison(&self) -> Option<Error> {
        self.poison.get().cloned()
    }

    /// Waits for a change that is under way; there is no other while what is returned is held.
    pub(super) fn wait(&self) -> MutexGuard<'_, ()> {
        unpoisoned(self.committing.lock())
    }

    /// Fails once a change of the files could not be undone.
    pub(super) fn check(&self) -> Result<()> {
        self.poison.get().map_or(Ok(()), |error| Err(error.clone()))
    }
}

impl Inner {
    /// Changes store files, all of them or none, and swaps the state by `swap`, which gets the new files of each change.
    ///
    /// # Errors
    ///
    /// If a file cannot be named, opened or listed. Files and state are as before then; if that cannot be made sure, the
    /// region is poisoned.
    pub(super) fn commit(
        &self,
        changes: Vec<StoreChange>,
        now: i64,
        swap: impl FnOnce(Vec<Vec<StoreFile>>),
    ) -> Result<()> {
        let _committing = unpoisoned(self.files.committing.lock());
        self.files.check()?;
        // What began before the region was closed must not change its files now that others may.
        self.check_open()?;
        let state = self.states.load();
        let change = |change: &mut StoreChange| {
            let known = |file: &StoreFile| KnownFile { name: file.name().to_owned(), len: file.file_len() };
            FamilyChange {
                family: self.stores[change.store].family.name(),
                before: state.stores[change.store].files.iter().map(known).collect(),
                add: std::mem::take(&mut change.add),
                remove: change.remove.iter().map(|file| file.name().to_owned()).collect(),
            }
        };
        let mut changes = changes;
        let families: Vec<FamilyChange<'_>> = changes.iter_mut().map(change).collect();
        drop(state);
        let named: Vec<(usize, Vec<String>)> = changes
            .iter()
            .zip(&families)
            .map(|(change, family)| {
                (change.store, family.add.iter().map(|file| file.name().to_owned()).collect())
            })
            .collect();
        let open = |store: usize, name: &String| {
            let store = &self.stores[store];
            StoreFile::open(&store.options, &StoreFileInfo::plain(store.dir.join(name), now))
        };
        let opened = self.dir.commit(families, now, || {
            let each = |(store, names): &(usize, Vec<String>)| {
                names.iter().map(|name| open(*store, name)).collect::<Result<Vec<StoreFile>>>()
            };
            named.iter().map(each).collect::<Result<Vec<_>>>()
        });
        let opened = match opened {
            Ok(opened) => opened,
            Err(CommitError { error, undo: None }) => return Err(error),
            Err(CommitError { error, undo: Some(undo) }) => {
                let poison = Error::poisoned(&error, &undo);
                self.tell_poisoned(&poison);
                return Err(self.files.poison.get_or_init(|| poison).clone());
            }
        };
        swap(opened);
        let replaced = changes.iter().flat_map(|change| {
            let replaced = |file: &StoreFile| Replaced { store: change.store, name: file.name().to_owned() };
            change.remove.iter().map(replaced)
        });
        unpoisoned(self.files.replaced.lock()).extend(replaced);
        Ok(())
    }

    /// The names of replaced files that could not be archived.
    pub(super) fn unarchived_files(&self) -> Vec<String> {
        unpoisoned(self.files.replaced.lock()).iter().map(|file| file.name.clone()).collect()
    }

    /// Archives the files of a store, or of all, that were replaced. Those that cannot be stay where they are, for another
    /// try.
    ///
    /// A file that was compacted must be gone before the file that says so is replaced: else the next open would read it.
    ///
    /// # Errors
    ///
    /// The first, if a file cannot be archived.
    pub(super) fn archive_replaced(&self, store: Option<usize>) -> Result<()> {
        let mut replaced = unpoisoned(self.files.replaced.lock());
        let mut failure = Ok(());
        replaced.retain(|file| {
            if store.is_some_and(|store| store != file.store) {
                return true;
            }
            let archived = self.dir.archive(self.stores[file.store].family.name(), &file.name);
            let failed = archived.is_err();
            if failure.is_ok() {
                failure = archived;
            }
            failed
        });
        failure
    }

    /// Syncs a file that another program wrote, before it gets a name here.
    pub(super) fn sync_foreign(&self, store: usize, path: &Path) -> Result<()> {
        self.stores[store].storage.sync_file(path).map_err(|error| Error::io("sync", path, error))
    }
}
