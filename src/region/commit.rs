//! Changes of a region's store files, on disk and in memory together.

use super::RegionCore;
use super::log::RegionLog;
use crate::error::{Error, Result};
use crate::layout::commit::KnownFile;
use crate::layout::{CommitError, FamilyChange, StagedFile, StoreFileInfo};
use crate::store::{StoreFile, StoreFileUse};
use crate::sync::unpoisoned;
use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};

/// A change of the files of a store.
#[derive(Debug)]
pub(super) struct StoreChange {
    pub(super) store: usize,
    /// New files, in the order in which they are named.
    pub(super) add: Vec<StagedFile>,
    /// Files to remove from the store.
    pub(super) remove: Vec<StoreFile>,
}

/// The state of file changes in a region.
#[derive(Debug, Default)]
pub(super) struct FileChanges {
    /// Held during a change of files.
    committing: Mutex<()>,
    /// Held during a bulk load that copies files.
    loading: Mutex<()>,
    /// Held while replaced files are archived.
    archiving: Mutex<()>,
    /// Replaced files that are still in their directories, because they could not be archived: in each store,
    /// a file comes before the replaced file that replaced it.
    replaced: Mutex<Vec<Replaced>>,
    /// Replaced files that are still read, and were moved aside because archiving would have removed them;
    /// with their paths.
    set_aside: Mutex<Vec<(PathBuf, StoreFileUse)>>,
    /// The reason that no further writes are accepted.
    poison: OnceLock<Error>,
}

/// A file that no longer belongs to its store and must be archived.
#[derive(Clone, Debug)]
pub(super) struct Replaced {
    pub(super) store: usize,
    pub(super) name: String,
    pub(super) in_use: StoreFileUse,
    /// Whether it was left where it is: it could not be archived, or it was found when the region was opened.
    pub(super) is_left: bool,
}

impl FileChanges {
    pub(super) fn new(replaced: Vec<Replaced>) -> Self {
        Self { replaced: Mutex::new(replaced), ..Self::default() }
    }

    /// Returns the reason that no further writes are accepted; `None` if they are accepted.
    pub(super) fn poison(&self) -> Option<Error> {
        self.poison.get().cloned()
    }

    /// Waits for a running change. While the returned guard is held, no other change begins.
    pub(super) fn wait(&self) -> MutexGuard<'_, ()> {
        unpoisoned(self.committing.lock())
    }

    /// Waits for a running bulk load that copies files. While the returned guard is held, no other begins.
    pub(super) fn begin_load(&self) -> MutexGuard<'_, ()> {
        unpoisoned(self.loading.lock())
    }

    /// Fails if an earlier change of the files could not be undone.
    pub(super) fn check(&self) -> Result<()> {
        self.poison.get().map_or(Ok(()), |error| Err(error.clone()))
    }
}

impl RegionCore {
    /// Changes store files, all or none of them, and swaps the state with `swap`, which gets the new files of
    /// each change.
    ///
    /// # Errors
    ///
    /// If a file cannot be named, opened or listed. The files and the state are then unchanged; if that
    /// cannot be ensured, or the storage panics, the region is poisoned.
    pub(super) fn commit(
        &self,
        changes: Vec<StoreChange>,
        now: i64,
        swap: impl FnOnce(Vec<Vec<StoreFile>>),
    ) -> Result<()> {
        let _committing = unpoisoned(self.files.committing.lock());
        self.files.check()?;
        // A change that began before the region was closed must not be committed afterwards: another process
        // may be changing the files.
        self.check_changes()?;
        let (state, replaced) = (self.states.load(), unpoisoned(self.files.replaced.lock()));
        let replaced_of = |store| {
            let of_store = replaced.iter().filter(move |file: &&Replaced| file.store == store);
            of_store.map(|file| file.name.clone()).collect()
        };
        let change = |change: &mut StoreChange| {
            let known = |file: &StoreFile| KnownFile { name: file.name().to_owned(), len: file.file_len() };
            FamilyChange {
                family: self.stores[change.store].family.name(),
                before: state.stores[change.store].files.iter().map(known).collect(),
                add: mem::take(&mut change.add),
                remove: change.remove.iter().map(|file| file.name().to_owned()).collect(),
                replaced: replaced_of(change.store),
            }
        };
        let mut changes = changes;
        let families: Vec<FamilyChange<'_>> = changes.iter_mut().map(change).collect();
        drop((state, replaced));
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
        let changing = Changing(self);
        let opened = self.dir.commit(families, now, || {
            let each = |(store, names): &(usize, Vec<String>)| {
                names.iter().map(|name| open(*store, name)).collect::<Result<Vec<StoreFile>>>()
            };
            named.iter().map(each).collect::<Result<Vec<_>>>()
        });
        let opened = match opened {
            Ok(opened) => opened,
            Err(CommitError { error, undo }) => {
                mem::forget(changing);
                return Err(match undo {
                    None => error,
                    Some(undo) => self.poison(&error, &undo),
                });
            }
        };
        swap(opened);
        mem::forget(changing);
        let replaced = changes.iter().flat_map(|change| {
            let replaced = |file: &StoreFile| Replaced {
                store: change.store,
                name: file.name().to_owned(),
                in_use: file.in_use(),
                is_left: false,
            };
            change.remove.iter().map(replaced)
        });
        unpoisoned(self.files.replaced.lock()).extend(replaced);
        Ok(())
    }

    /// Refuses further writes, because a change of the files failed and could not be undone. Returns the
    /// error of later writes.
    fn poison(&self, error: &Error, undo: &Error) -> Error {
        let poison = self.files.poison.get_or_init(|| Error::poisoned(error, undo)).clone();
        if let Some(background) = &self.background {
            background.leave_limit();
        }
        self.report_poisoned(&poison);
        poison
    }

    /// Returns the names of replaced files that could not be archived, and of logs that could not be removed.
    pub(super) fn unarchived_files(&self) -> Vec<String> {
        let logs = self.log.as_deref().map(RegionLog::unremoved).unwrap_or_default();
        let replaced = unpoisoned(self.files.replaced.lock());
        // others are being archived
        let left = replaced.iter().filter(|file| file.is_left).map(|file| file.name.clone());
        left.chain(logs).collect()
    }

    /// Archives the replaced files of a store, or of all stores. If a file cannot be archived, it and the
    /// later ones of its store are kept for another attempt. In a storage without renames, files that are
    /// still read are kept as well.
    ///
    /// A compacted file must be archived before the file that records its replacement is itself replaced;
    /// otherwise the next open would read it again. It must also be archived before that file, which may be a
    /// later one.
    ///
    /// # Errors
    ///
    /// The first error, if any file cannot be archived.
    pub(super) fn archive_replaced(&self, store: Option<usize>) -> Result<()> {
        self.remove_unread();
        let _archiving = unpoisoned(self.files.archiving.lock());
        // Not locked while archiving: flushes and the region's health use the list.
        let mut files = unpoisoned(self.files.replaced.lock()).clone();
        files.retain(|file| store.is_none_or(|store| store == file.store));
        let (mut failure, mut failed, mut archived) = (Ok(()), BTreeSet::new(), BTreeSet::new());
        for file in &files {
            if failed.contains(&file.store) {
                continue;
            }
            // In a storage without renames, the list of the store's files no longer contains it.
            if file.in_use.is_open() && !self.dir.storage().can_rename(self.dir.path()) {
                continue;
            }
            match self.archive(file) {
                Ok(()) => {
                    archived.insert((file.store, file.name.as_str()));
                }
                Err(error) => {
                    failed.insert(file.store);
                    failure = failure.and(Err(error));
                }
            }
        }
        let tried: BTreeSet<(usize, &str)> = files.iter().map(|file| (file.store, &*file.name)).collect();
        unpoisoned(self.files.replaced.lock()).retain_mut(|file| {
            let name = (file.store, file.name.as_str());
            file.is_left |= tried.contains(&name);
            !archived.contains(&name)
        });
        failure
    }

    /// Archives a replaced file, or sets it aside if that would remove it while it is still read.
    fn archive(&self, file: &Replaced) -> Result<()> {
        let family = self.stores[file.store].family.name();
        if !file.in_use.is_open() || self.dir.can_read_archived() {
            return self.dir.archive(family, [file.name.as_str()]);
        }
        let aside = self.dir.set_aside(family, &file.name)?;
        unpoisoned(self.files.set_aside.lock()).push((aside, file.in_use.clone()));
        Ok(())
    }

    /// Removes the files that were set aside and are no longer read. The rest are removed when the region is
    /// next opened for writing.
    fn remove_unread(&self) {
        let storage = &**self.dir.storage();
        unpoisoned(self.files.set_aside.lock())
            .retain(|(path, in_use)| in_use.is_open() || !is_removed(storage.remove(path)));
    }

    /// Syncs a file written by another program, before it is moved into the store.
    ///
    /// A sync after a failed one may succeed although the system has dropped bytes.
    pub(super) fn sync_loaded(&self, store: usize, path: &Path) -> Result<()> {
        self.stores[store].storage.sync_file(path).map_err(|error| {
            let hint = "what was written to the file may be lost; write it again before it is loaded";
            Error::io("sync", path, io::Error::new(error.kind(), format!("{error}; {hint}")))
        })
    }
}

/// A change of the files in progress. If it panics, for example in a storage of the caller, the region is
/// poisoned: unknown files may exist.
struct Changing<'c>(&'c RegionCore);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let panicked = Error::invalid_argument("a thread panicked while it changed them");
        self.0.poison(&panicked, &Error::invalid_argument("it was not tried"));
    }
}

/// Whether a file no longer exists.
fn is_removed(removed: io::Result<()>) -> bool {
    removed.map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true)
}
