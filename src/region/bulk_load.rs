//! Bulk loads: adopts files written by another program (read-path.md §20; HBase: `HRegion.bulkLoadHFiles`).

mod copies;

pub(crate) use copies::CopyInput;

use super::commit::StoreChange;
use super::observer::Held;
use super::{Region, RegionCore};
use crate::error::{Corruption, Error, Result};
use crate::hfile::{HFile, StoreFileOrigin, StoreFileWriter};
use crate::io::{FileLock, Storage, url_scheme};
use crate::layout::durable::{list_if_exists, parent, remove, sync_dir, unless_not_found};
use crate::layout::file_name::new_bulk_load_name;
use crate::layout::{RegionDir, StagedFile, StoreFileInfo, full_path, refuse_region, resolved_path};
use crate::mvcc::Mvcc;
use crate::store::StoreFile;
use crate::sync::unpoisoned;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Region {
    /// Loads HFiles, each as a store file of the given family (HBase: `HRegion#bulkLoadHFiles`). The files
    /// are synced and moved, not copied. All of them become visible to reads at once; in other processes,
    /// those of each family by a rename, one right after the other.
    ///
    /// If the process dies during the call, some families may have their files and others not, as in HBase.
    /// Files of a family with the store file tracker FILE may have been moved without becoming store files:
    /// repeating the call with the same files loads them, and calls with other files are refused until then.
    ///
    /// In a storage without renames, such as an object store, the files are copied, and removed when all of
    /// the copies are visible. All checksums are verified during the copy. For other processes, the files of
    /// each family become visible when a list is replaced. If the process dies, or a request fails, after the
    /// first list is replaced and before the last file is removed, repeating the call completes it, without
    /// loading a file twice unless the file has changed. During the call, the families are not compacted and
    /// the region is not closed.
    ///
    /// The memory is flushed first, so that the loaded cells are newer than everything written before. No
    /// compaction follows before the next flush in the background; see [`compact`](Self::compact).
    ///
    /// # Errors
    ///
    /// If a family is unknown; if a file has rows outside of the region, cells of another family, cells in
    /// the order of `hbase:meta` for another table, or the reverse, or cells that keep sequence ids of 2^61
    /// or more, is damaged or cannot be moved, is a symbolic link or a MOB file, or is a store file of a
    /// region or in the archive; or if the region is read-only. Nothing is loaded then, and the files stay in
    /// place. If a file that was copied cannot be removed, or a request fails between the lists of two
    /// families ([`Poisoned`](crate::ErrorKind::Poisoned)), some are loaded. A file that could not be synced
    /// must be written again before it is loaded: a later sync may succeed although the system has lost data.
    pub fn bulk_load<F: AsRef<[u8]>, P: AsRef<Path>>(&self, files: &[(F, P)]) -> Result<()> {
        self.check_loadable()?;
        self.0.check_not_held(&[Held::Rows], "load files into")?;
        self.0.log.as_ref().map_or(Ok(()), |log| log.check())?;
        if files.is_empty() {
            return Err(Error::invalid_argument("a bulk load without files"));
        }
        let storage = &**self.0.dir.storage();
        refuse_regions(storage, files.iter().map(|(_, path)| path.as_ref()))?;
        if !self.can_rename_files() {
            let copies = files.iter().map(|(family, path)| CopyInput::whole(family.as_ref(), path.as_ref()));
            self.load_copies(&copies.collect::<Vec<_>>())?;
            let paths: Vec<PathBuf> = files.iter().map(|(_, path)| path.as_ref().to_owned()).collect();
            remove_loaded(storage, &paths)?;
            return self.forget_loaded(&paths, None);
        }
        let paths = files.iter().map(|(_, path)| full_path(storage, path.as_ref()));
        let paths = paths.collect::<Result<BTreeSet<_>>>()?;
        // A directory on a path may be a link, and a relative path may lack its directories.
        let resolved = files.iter().map(|(_, path)| resolved_path(storage, path.as_ref()));
        let resolved = resolved.collect::<Result<BTreeSet<_>>>()?;
        refuse_regions(storage, resolved.iter().map(PathBuf::as_path))?;
        self.resolve_load(&|path| paths.contains(path))?;
        let mut loads = Vec::with_capacity(files.len());
        for (family, path) in files {
            let store = self.0.store_index(family.as_ref())?;
            refuse_linked_file(storage, path.as_ref())?;
            loads.push(self.0.check_load(store, path.as_ref(), true)?);
        }
        self.0.observe_load(&loads, |loads| self.0.bulk_load(loads))
    }

    /// Creates a file for a bulk load, with the settings of a family: encoding, codec, Bloom filter, block
    /// size, encryption (HBase: `HFileOutputFormat2`). Its cells may have tags and sequence ids. A cell
    /// whose row and qualifier are too long for a put is refused. The file is finished as
    /// [`StoreFileOrigin::BulkLoad`], and then [loaded](Self::bulk_load) by this or another region of the
    /// table.
    ///
    /// # Errors
    ///
    /// If the family is unknown, is encrypted and there is no master key, or the file exists already or
    /// cannot be created.
    pub fn bulk_load_writer(
        &self,
        family: impl AsRef<[u8]>,
        path: impl AsRef<Path>,
    ) -> Result<StoreFileWriter> {
        self.0.create_for_bulk_load(self.0.store_index(family.as_ref())?, path.as_ref(), None)
    }

    /// Like [`bulk_load_writer`](Self::bulk_load_writer), for cells of another file.
    pub(crate) fn bulk_load_part(&self, family: &[u8], of: &HFile, path: &Path) -> Result<StoreFileWriter> {
        self.0.create_for_bulk_load(self.0.store_index(family)?, path, Some(of))
    }

    /// Moves the files of an interrupted bulk load back if `is_input` shows that they are being loaded again.
    /// In a storage without renames, determines which files were loaded, in any case.
    ///
    /// # Errors
    ///
    /// If there are other such files; if an I/O operation fails.
    pub(crate) fn resolve_load(&self, is_input: &dyn Fn(&Path) -> bool) -> Result<()> {
        let _committing = self.0.files.wait();
        self.0.files.check()?;
        self.0.check_changes()?;
        let (dir, families) = (&self.0.dir, self.families().cloned().collect::<Vec<_>>());
        if self.can_rename_files() {
            return dir.undo_load(&families, is_input);
        }
        dir.resolve_copies(&families, false)
    }

    /// Whether the files of the region can be renamed: if not, a bulk load copies files.
    pub(crate) fn can_rename_files(&self) -> bool {
        self.0.dir.storage().can_rename(self.0.dir.path())
    }

    /// Fails if the region cannot load any files.
    pub(crate) fn check_loadable(&self) -> Result<()> {
        self.0.check_owner()?;
        self.0.check_takes_data()
    }
}

/// Fails if one of the files belongs to a region.
fn refuse_regions<'p>(storage: &dyn Storage, files: impl Iterator<Item = &'p Path>) -> Result<()> {
    let dirs = files.map(|path| input_of(storage, path)).collect::<Result<BTreeSet<_>>>()?;
    dirs.into_iter().flatten().try_for_each(|dir| refuse_region(storage, dir))
}

/// Returns the parent of the family directory that a file is in; `None` if there is none.
fn input_of<'p>(storage: &dyn Storage, path: &'p Path) -> Result<Option<&'p Path>> {
    let Some(dir) = path.parent().and_then(Path::parent) else { return Ok(None) };
    // Above a bucket, there is only the scheme of the URL.
    let is_above = dir.components().count() < 2 && url_scheme(&full_path(storage, path)?).is_some();
    Ok(Some(dir).filter(|_| !is_above))
}

/// Fails if a file is a symbolic link: a rename would move the link, and the cells would be lost when the
/// file that it leads to is removed.
fn refuse_linked_file(storage: &dyn Storage, path: &Path) -> Result<()> {
    let (dir, Some(name)) = (parent(path), path.file_name()) else { return Ok(()) };
    // Large directories are not listed for each of their files.
    if resolved_path(storage, path)? == resolved_path(storage, dir)?.join(name) {
        return Ok(());
    }
    let entries = list_if_exists(storage, dir)?.unwrap_or_default();
    if entries.iter().any(|entry| entry.is_symlink && entry.name.as_os_str() == name) {
        let message = "a symbolic link, which would be moved in place of its target: load the target";
        return Err(Error::invalid_argument(format!("{}: {message}", path.display())));
    }
    Ok(())
}

/// Removes files of which all regions have copies. Missing files are skipped.
pub(crate) fn remove_loaded(storage: &dyn Storage, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        unless_not_found(remove(storage, path))?;
        unless_not_found(sync_dir(storage, parent(path)))?;
    }
    Ok(())
}

/// Returns the origin of the parts of a file: that of the file, as far as it is recorded.
pub(crate) fn origin_of_part(file: &HFile, now: i64) -> Result<StoreFileOrigin, Corruption> {
    let info = file.file_info();
    Ok(StoreFileOrigin::BulkLoad {
        timestamp: info.bulkload_timestamp()?.unwrap_or(now),
        source_task: info.bulkload_source_task().unwrap_or_default().to_vec(),
        exclude_from_minor_compaction: info.exclude_from_minor_compaction()? == Some(true),
        skip_reset_seq_id: info.skip_reset_seq_id()? == Some(true),
    })
}

/// A file to load.
struct Load {
    store: usize,
    path: PathBuf,
    len: u64,
    /// The greatest sequence id of its cells, if they keep theirs.
    kept: Option<i64>,
}

impl AsRef<Load> for Load {
    fn as_ref(&self) -> &Load {
        self
    }
}

impl RegionCore {
    /// Calls observers before and after files are loaded.
    fn observe_load<L: AsRef<Load>>(&self, loads: &[L], load: impl FnOnce(&[L]) -> Result<()>) -> Result<()> {
        let named = |load: &L| {
            let Load { store, path, .. } = load.as_ref();
            (self.stores[*store].family.name().to_vec(), path.clone())
        };
        let files: Vec<_> =
            if self.observers.is_empty() { Vec::new() } else { loads.iter().map(named).collect() };
        self.observe(|observer, context| observer.pre_bulk_load_hfile(context, &files))?;
        load(loads)?;
        self.observe(|observer, context| observer.post_bulk_load_hfile(context, &files))
    }

    /// Checks that a file is readable, has only cells of the family, and only rows of the region if all of it
    /// is loaded, and can still be read when its cells keep their sequence ids.
    fn check_load(&self, store: usize, path: &Path, is_whole: bool) -> Result<Load> {
        let info = StoreFileInfo::plain(path, self.clock.now());
        let file = StoreFile::open(&self.stores[store].options, &info)?;
        if file.order() != self.order {
            let message = "only one of the file and the region has the order of hbase:meta";
            return Err(Error::invalid_argument(format!("{}: {message}", path.display())));
        }
        let rows = [file.first_row(), file.last_row()].into_iter().flatten();
        rows.filter(|_| is_whole).try_for_each(|row| self.check_row(row))?;
        let family = self.stores[store].family.name();
        for key in [file.hfile().first_key(), file.hfile().last_key()].into_iter().flatten() {
            if key.family() != family {
                let of = |name: &[u8]| name.escape_ascii().to_string();
                let message = format!("its cells are of the family {}, not {}", of(key.family()), of(family));
                return Err(Error::invalid_argument(format!("{}: {message}", path.display())));
            }
        }
        let kept = file.keeps_seq_ids().then(|| file.max_memstore_ts());
        kept.map_or(Ok(()), Mvcc::check_taken)?;
        Ok(Load { store, path: path.to_owned(), len: file.file_len(), kept })
    }

    /// Creates a file for a bulk load of a store, for the cells of the file `of`, if given.
    fn create_for_bulk_load(&self, store: usize, path: &Path, of: Option<&HFile>) -> Result<StoreFileWriter> {
        let state = Arc::clone(&self.states.load().stores[store]);
        let store = &self.stores[store];
        let newest_first = state.files.iter().rev().map(StoreFile::hfile).chain(of);
        let compression = store.compression(store.family.codec, newest_first)?;
        let carries = of.map_or((true, false), |of| (of.has_tags(), of.trailer().is_encrypted()));
        // Cells that a file already has are kept.
        let max_key_len = if of.is_some() { usize::MAX } else { self.max_key_len };
        store.create_for_bulk_load(path, carries, max_key_len, compression, self.clock.now())
    }

    /// Flushes the memory. Returns the sequence id that the cells of the files get.
    fn flush_before_load<'l>(&self, loads: impl Iterator<Item = &'l Load>) -> Result<i64> {
        let kept = loads.filter_map(|load| load.kept).max().unwrap_or(0);
        let seq_id = self.flush_for_load(kept)?;
        // After a failure of the log, the sequence id of a flush may be below that of entries replayed later.
        self.log.as_ref().map_or(Ok(()), |log| log.check())?;
        Ok(seq_id)
    }

    fn bulk_load(&self, loads: &[Load]) -> Result<()> {
        let seq_id = self.flush_before_load(loads.iter())?;
        let now = self.clock.now();
        let can_lose_lock = unpoisoned(self.lock.lock()).as_ref().is_some_and(FileLock::can_be_lost);
        let loading = can_lose_lock.then(|| self.dir.new_loading(now));
        let mut staged = Vec::with_capacity(loads.len());
        for Load { store, path, len, .. } in loads {
            self.sync_loaded(*store, path)?;
            let name = new_bulk_load_name(now, seq_id);
            let (family, to) = (self.stores[*store].family.name(), self.stores[*store].dir.join(&name));
            self.observe(|observer, context| observer.pre_commit_store_file(context, family, path, &to))?;
            let storage = Arc::clone(&self.stores[*store].storage);
            let via = loading.as_ref().map(|loading| RegionDir::path_in_loading(loading, family, &name));
            let mut file = StagedFile::loaded(storage, path.clone(), name, *len);
            if let Some(via) = via {
                file = file.moved_to(via);
            }
            staged.push((*store, path.clone(), file));
        }
        let loaded = self.commit_loaded(staged, now);
        if let Some(loading) = loading {
            self.dir.remove_loading(&loading);
        }
        loaded
    }

    /// Makes files part of their stores, all at once. Each has the path of the file that is loaded.
    fn commit_loaded(&self, files: Vec<(usize, PathBuf, StagedFile)>, now: i64) -> Result<()> {
        let place = |(store, from, file): &(usize, PathBuf, StagedFile)| {
            (*store, from.clone(), self.stores[*store].dir.join(file.name()))
        };
        let committed: Vec<(usize, PathBuf, PathBuf)> = files.iter().map(place).collect();
        let mut changes: Vec<StoreChange> = Vec::new();
        for (store, _, file) in files {
            match changes.iter_mut().find(|change| change.store == store) {
                Some(change) => change.add.push(file),
                None => changes.push(StoreChange { store, add: vec![file], remove: Vec::new() }),
            }
        }
        let stores: Vec<usize> = changes.iter().map(|change| change.store).collect();
        self.commit(changes, now, |opened| {
            self.swap_all(|states| {
                for (store, files) in stores.into_iter().zip(opened) {
                    for file in files {
                        states[store] = Arc::new(states[store].flushed(&[], Some(file)));
                    }
                }
            });
        })?;
        for (store, from, to) in &committed {
            let family = self.stores[*store].family.name();
            self.observe(|observer, context| observer.post_commit_store_file(context, family, from, to))?;
        }
        Ok(())
    }
}
