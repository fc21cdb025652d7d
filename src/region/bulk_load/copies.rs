//! Bulk loads in a storage without renames: files are copied, each into the directory of its family, and a
//! list makes the copies files of the store.

use super::{Load, origin_of_part};
use crate::cell::SeekKey;
use crate::error::{Error, Result};
use crate::hfile::Digest;
use crate::io::{DirEntry, NewFile};
use crate::layout::durable::{list_if_exists, parent};
use crate::layout::file_name::new_bulk_load_name;
use crate::layout::{CopyRecord, CopySource, CopyState, StagedFile, resolved_path};
use crate::region::observer::Held;
use crate::region::{Region, RegionCore};
use crate::sync::{MutexGuard, unpoisoned};
use std::collections::btree_map::{BTreeMap, Entry};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file to copy into a region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyInput<'i> {
    family: &'i [u8],
    path: &'i Path,
    /// The digest of a file with rows of several regions. Rows of other regions are left out.
    part_of: Option<Digest>,
}

impl<'i> CopyInput<'i> {
    /// Creates the input for a file whose rows are all in the region.
    pub(crate) fn whole(family: &'i [u8], path: &'i Path) -> Self {
        Self { family, path, part_of: None }
    }

    /// Creates the input for a file with rows of this region and of others.
    pub(crate) fn part(family: &'i [u8], path: &'i Path, digest: Digest) -> Self {
        Self { family, path, part_of: Some(digest) }
    }
}

/// A file to copy, as it is now.
struct CopyLoad {
    load: Load,
    full_path: PathBuf,
    modified_millis: i64,
    part_of: Option<Digest>,
}

impl AsRef<Load> for CopyLoad {
    fn as_ref(&self) -> &Load {
        &self.load
    }
}

impl Region {
    /// Copies files into the region, and makes them visible at once. Skips files that were loaded before, are
    /// [not forgotten](Self::forget_loaded), and have not changed. Returns the number of files loaded.
    ///
    /// # Errors
    ///
    /// Same as [`bulk_load`](Self::bulk_load).
    pub(crate) fn load_copies(&self, files: &[CopyInput<'_>]) -> Result<usize> {
        self.0.check_not_held(&[Held::Rows, Held::Flush, Held::Compaction], "load files into")?;
        if self.0.observers.is_empty() {
            return self.load_others(files);
        }
        let others = {
            let _loading = self.0.files.begin_load();
            self.find_others(files)?
        };
        if others.is_empty() {
            return Ok(0);
        }
        // The lock is not held in these hooks, because they may load files themselves.
        let mut loaded = 0;
        self.0.observe_load(&others, |_| {
            loaded = self.load_others(files)?;
            Ok(())
        })?;
        Ok(loaded)
    }

    /// Like [`load_copies`](Self::load_copies), without the hooks before and after the load.
    fn load_others(&self, files: &[CopyInput<'_>]) -> Result<usize> {
        // Two calls at once would load a file twice.
        let _loading = self.0.files.begin_load();
        let others = self.find_others(files)?;
        if !others.is_empty() {
            self.0.load_copies(&others)?;
        }
        Ok(others.len())
    }

    /// Returns the files that were not loaded before, or have changed since. No load may be in progress.
    fn find_others(&self, files: &[CopyInput<'_>]) -> Result<Vec<CopyLoad>> {
        self.resolve_load(&|_| true)?;
        let record = self.0.dir.copies()?;
        let (mut listed, mut others) = (BTreeMap::new(), Vec::with_capacity(files.len()));
        for file in files {
            let store = self.0.store_index(file.family)?;
            let full_path = resolved_path(&**self.0.dir.storage(), file.path)?;
            let Some(entry) = self.0.entry_of(file.path, &mut listed)? else {
                // An interrupted call has removed it.
                if record.of(file.family, &full_path).any(|copy| copy.state == CopyState::Listed) {
                    continue;
                }
                return Err(Error::io("open", file.path, io::ErrorKind::NotFound.into()));
            };
            if self.0.is_loaded(store, file, &full_path, &entry, &record)? {
                continue;
            }
            let load = self.0.check_load(store, file.path, file.part_of.is_none())?;
            let (part_of, modified_millis) = (file.part_of, entry.modified_millis);
            others.push(CopyLoad { load, full_path, modified_millis, part_of });
        }
        Ok(others)
    }

    /// Whether a file in a directory, by its full path, was loaded, and is not
    /// [forgotten](Self::forget_loaded).
    pub(crate) fn has_loaded_from(&self, dir: &Path) -> Result<bool> {
        Ok(self.0.dir.copies()?.has_listed_below(dir))
    }

    /// Forgets that files were loaded: those given, so that they can be loaded again, and all files of a
    /// directory, by its full path, that no longer exist.
    ///
    /// # Errors
    ///
    /// If the record of loaded files cannot be replaced.
    pub(crate) fn forget_loaded(&self, paths: &[PathBuf], dir: Option<&Path>) -> Result<()> {
        let storage = &**self.0.dir.storage();
        let paths = paths.iter().map(|path| resolved_path(storage, path)).collect::<Result<Vec<_>>>()?;
        let _committing = self.0.files.wait();
        self.0.files.check()?;
        self.0.check_changes()?;
        self.0.dir.forget_copies(&paths, dir)
    }
}

impl RegionCore {
    /// Returns a file's entry in the listing of its directory; `None` if it does not exist. `listed` caches
    /// listings.
    fn entry_of(
        &self,
        path: &Path,
        listed: &mut BTreeMap<PathBuf, Vec<DirEntry>>,
    ) -> Result<Option<DirEntry>> {
        let dir = parent(path);
        let entries = match listed.entry(dir.to_owned()) {
            Entry::Occupied(entries) => entries.into_mut(),
            Entry::Vacant(place) => {
                place.insert(list_if_exists(&**self.dir.storage(), dir)?.unwrap_or_default())
            }
        };
        let entry = entries.iter().find(|entry| Some(entry.name.as_os_str()) == path.file_name());
        Ok(entry.cloned())
    }

    /// Whether a file, at a full path, was loaded before, and has not changed.
    ///
    /// # Errors
    ///
    /// If this cannot be determined; if the file cannot be read.
    fn is_loaded(
        &self,
        store: usize,
        file: &CopyInput<'_>,
        path: &Path,
        entry: &DirEntry,
        record: &CopyRecord,
    ) -> Result<bool> {
        let store = &self.stores[store];
        let mut hash = file.part_of.map(|of| of.hash);
        for copy in record.of(file.family, path) {
            let source = &copy.source;
            if source.len != entry.len || source.modified_millis != entry.modified_millis {
                continue;
            }
            let found = match hash {
                Some(hash) => hash,
                None => *hash.insert(store.options.digest(file.path)?.hash),
            };
            if found != source.hash {
                continue;
            }
            if copy.state != CopyState::Listed {
                return Err(Error::not_supported(format!(
                    "{}: it was about to be loaded, but another program has changed the files of the region \
                     since, and it is not known whether they had it: remove {} to load it again",
                    path.display(),
                    self.dir.copies_path().display()
                )));
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Copies files into their stores.
    fn load_copies(&self, loads: &[CopyLoad]) -> Result<()> {
        // Files flushed during the load are newer than the copies. A compaction of such a file with older
        // ones would count as newer than the copies although it contains older cells.
        let _held = self.mark_held(Held::Compaction);
        let _compacting = self.stop_compactions(loads);
        let seq_id = self.flush_before_load(loads.iter().map(AsRef::as_ref))?;
        let now = self.clock.now();
        let mut staged = Vec::with_capacity(loads.len());
        for CopyLoad { load, full_path, modified_millis, part_of } in loads {
            self.check_changes()?;
            let Load { store, path, .. } = load;
            let name = new_bulk_load_name(now, seq_id);
            let (family, to) = (self.stores[*store].family.name(), self.stores[*store].dir.join(&name));
            self.observe(|observer, context| observer.pre_commit_store_file(context, family, path, &to))?;
            let file = StagedFile::new(Arc::clone(&self.stores[*store].storage), to.clone(), name);
            let (Digest { len, hash }, copied) = match part_of {
                None => {
                    let digest = self.copy(*store, path, &to)?;
                    (digest, digest.len)
                }
                Some(digest) => (*digest, self.write_part(*store, path, &to)?),
            };
            let source = CopySource { path: full_path.clone(), len, modified_millis: *modified_millis, hash };
            source.check()?;
            staged.push((*store, path.clone(), file.with_len(copied).copy_of(source)));
        }
        self.commit_loaded(staged, now)
    }

    /// Waits for the compactions of the stores that get files. No compaction begins while the result is held.
    fn stop_compactions(&self, loads: &[CopyLoad]) -> Vec<MutexGuard<'_, ()>> {
        let gets_file = |store: &usize| loads.iter().any(|load| load.load.store == *store);
        let stores = (0..self.stores.len()).filter(gets_file);
        stores.map(|store| unpoisoned(self.compacting[store].lock())).collect()
    }

    /// Copies a whole file, and checks it.
    fn copy(&self, store: usize, from: &Path, to: &Path) -> Result<Digest> {
        let store = &self.stores[store];
        let copy = store.storage.create_new(to).map_err(|error| Error::io("create", to, error))?;
        store.options.copy_verified(from, NewFile::from_writer(copy))
    }

    /// Writes the rows of the region to a file with the settings of the family. Returns its length.
    fn write_part(&self, store: usize, from: &Path, to: &Path) -> Result<u64> {
        let file = self.stores[store].options.open(from)?;
        let origin = origin_of_part(&file, self.clock.now());
        let origin = origin.map_err(|corruption| corruption.at(from, 0))?;
        let mut writer = self.create_for_bulk_load(store, to, Some(&file))?;
        let mut scanner = file.scanner().cache_blocks(false);
        scanner.seek(&SeekKey::first_on_row(self.info.start_key()))?;
        while let Some(cell) = scanner.peek().filter(|cell| self.info.contains(cell.row())) {
            writer.append(cell)?;
            scanner.advance()?;
        }
        writer.finish(&origin)
    }
}
