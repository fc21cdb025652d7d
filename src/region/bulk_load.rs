//! Bulk loads: takes over files written by another program (read-path.md §20; HBase:
//! `HRegion.bulkLoadHFiles`).

use super::commit::StoreChange;
use super::observer::Held;
use super::{Region, RegionCore};
use crate::error::{Error, Result};
use crate::hfile::{HFile, StoreFileWriter};
use crate::layout::durable::check_renames;
use crate::layout::file_name::new_bulk_load_name;
use crate::layout::{StagedFile, StoreFileInfo, full_path, refuse_region};
use crate::mvcc::Mvcc;
use crate::store::StoreFile;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Region {
    /// Takes over HFiles, each as a store file of the given family: they are synced and moved, not copied.
    /// All of them become visible to reads at once; in other processes, those of each family by a rename, one
    /// right after the other. If the process dies meanwhile, some families may have their files and others
    /// not, as in HBase. Files of a family with the store file tracker FILE may have
    /// been moved, but not taken over: a repeated call with the same files takes them; others are refused
    /// before.
    ///
    /// The memory is flushed first, so that the loaded cells are newer than everything written before. No
    /// compaction follows before the next flush in the background; see [`compact`](Self::compact).
    ///
    /// # Errors
    ///
    /// If a family is unknown; if a file has rows outside of the region, cells of another family, or cells
    /// that keep sequence ids of 2^61 or more, is damaged or cannot be moved, or is a store file of a region
    /// or in the archive; or if the region is read-only. Then nothing is loaded, and the files stay where
    /// they were. A file that could not be synced must be written again before it is loaded: a later sync may
    /// succeed although the system has lost what was written.
    pub fn bulk_load<F: AsRef<[u8]>, P: AsRef<Path>>(&self, files: &[(F, P)]) -> Result<()> {
        self.check_loadable()?;
        self.0.check_not_held(&[Held::Rows], "load files into")?;
        self.0.log.as_ref().map_or(Ok(()), |log| log.check())?;
        if files.is_empty() {
            return Err(Error::invalid_argument("a bulk load without files"));
        }
        // Each is in a folder of a family.
        let inputs = files.iter().filter_map(|(_, path)| path.as_ref().parent()?.parent());
        let storage = &**self.0.dir.storage();
        inputs.collect::<BTreeSet<_>>().into_iter().try_for_each(|dir| refuse_region(storage, dir))?;
        let paths = files.iter().map(|(_, path)| full_path(storage, path.as_ref(), false));
        let paths = paths.collect::<Result<BTreeSet<_>>>()?;
        self.settle_load(&|path| paths.contains(path))?;
        let mut loads = Vec::with_capacity(files.len());
        for (family, path) in files {
            let store = self.0.store_index(family.as_ref())?;
            loads.push(self.0.check_load(store, path.as_ref())?);
        }
        let named = |load: &Load| (self.0.stores[load.store].family.name().to_vec(), load.path.clone());
        let files: Vec<_> =
            if self.0.observers.is_empty() { Vec::new() } else { loads.iter().map(named).collect() };
        self.0.observe(|observer, context| observer.pre_bulk_load_hfile(context, &files))?;
        self.0.bulk_load(&loads)?;
        self.0.observe(|observer, context| observer.post_bulk_load_hfile(context, &files))
    }

    /// Creates a file for a bulk load, with the settings of a family: encoding, codec, Bloom filter, block
    /// size, encryption (HBase: `HFileOutputFormat2`). Its cells may have tags and sequence ids. It is
    /// finished as [`StoreFileOrigin::BulkLoad`](crate::StoreFileOrigin::BulkLoad), and then
    /// [loaded](Self::bulk_load) by this or another region of the table.
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
        self.create_foreign(self.0.store_index(family.as_ref())?, path.as_ref(), None)
    }

    /// As [`bulk_load_writer`](Self::bulk_load_writer), for cells of another file.
    pub(crate) fn bulk_load_part(&self, family: &[u8], of: &HFile, path: &Path) -> Result<StoreFileWriter> {
        self.create_foreign(self.0.store_index(family)?, path, Some(of))
    }

    /// Creates a file for a bulk load of a store, for the cells of `of` if it is given.
    fn create_foreign(&self, store: usize, path: &Path, of: Option<&HFile>) -> Result<StoreFileWriter> {
        let state = Arc::clone(&self.0.states.load().stores[store]);
        let store = &self.0.stores[store];
        let newest_first = state.files.iter().rev().map(StoreFile::hfile).chain(of);
        let compression = store.compression(store.family.codec, newest_first)?;
        let (tags, encrypted) = of.map_or((true, false), |of| (of.has_tags(), of.trailer().is_encrypted()));
        store.create_foreign(path, tags, encrypted, compression, self.0.clock.now())
    }

    /// Moves files of a bulk load that was cut off back, if `is_input` says that they are loaded now.
    ///
    /// # Errors
    ///
    /// If there are others; if an I/O operation fails.
    pub(crate) fn settle_load(&self, is_input: &dyn Fn(&Path) -> bool) -> Result<()> {
        let _committing = self.0.files.wait();
        self.0.files.check()?;
        self.0.check_changes()?;
        self.0.dir.settle_load(&self.families().cloned().collect::<Vec<_>>(), is_input)
    }

    /// Fails if the region takes no files, whatever they have.
    pub(crate) fn check_loadable(&self) -> Result<()> {
        self.0.check_owner()?;
        self.0.check_takes_data()?;
        check_renames(&**self.0.dir.storage(), self.0.dir.path(), "a bulk load")
    }
}

/// A file to load.
struct Load {
    store: usize,
    path: PathBuf,
    len: u64,
    /// The greatest sequence id of its cells, if they keep theirs.
    kept: Option<i64>,
}

impl RegionCore {
    /// Checks that a file is readable, has only rows of the region and cells of the family, and can still be
    /// read when its cells keep their sequence ids.
    fn check_load(&self, store: usize, path: &Path) -> Result<Load> {
        let info = StoreFileInfo::plain(path, self.clock.now());
        let file = StoreFile::open(&self.stores[store].options, &info)?;
        if file.order() != self.order {
            let message = "one of the file and the region has cells in the order of hbase:meta";
            return Err(Error::invalid_argument(format!("{}: {message}", path.display())));
        }
        [file.first_row(), file.last_row()].into_iter().flatten().try_for_each(|row| self.check_row(row))?;
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

    fn bulk_load(&self, loads: &[Load]) -> Result<()> {
        let kept = loads.iter().filter_map(|load| load.kept).max().unwrap_or(0);
        let seq_id = self.flush_for_load(kept)?;
        // The number of a flush after a failure may be below that of entries that are replayed later.
        self.log.as_ref().map_or(Ok(()), |log| log.check())?;
        let now = self.clock.now();
        let mut changes: Vec<StoreChange> = Vec::new();
        for Load { store, path, len, .. } in loads {
            self.sync_foreign(*store, path)?;
            let name = new_bulk_load_name(now, seq_id);
            let (family, to) = (self.stores[*store].family.name(), self.stores[*store].dir.join(&name));
            self.observe(|observer, context| observer.pre_commit_store_file(context, family, path, &to))?;
            let storage = Arc::clone(&self.stores[*store].storage);
            let file = StagedFile::foreign(storage, path.clone(), name, *len);
            match changes.iter_mut().find(|change| change.store == *store) {
                Some(change) => change.add.push(file),
                None => changes.push(StoreChange { store: *store, add: vec![file], remove: Vec::new() }),
            }
        }
        let stores: Vec<usize> = changes.iter().map(|change| change.store).collect();
        let committed: Vec<(usize, PathBuf, PathBuf)> = changes
            .iter()
            .flat_map(|change| {
                let place = |file: &StagedFile| {
                    let to = self.stores[change.store].dir.join(file.name());
                    (change.store, file.path().to_owned(), to)
                };
                change.add.iter().map(place).collect::<Vec<_>>()
            })
            .collect();
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
