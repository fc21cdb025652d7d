//! Taking over files that somebody else wrote (read-path.md §20).

use super::{Inner, Region};
use crate::error::{Error, Result};
use crate::store::{FilePlace, StoreFile, new_file_name};
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Region {
    /// Takes over HFiles, each as a file of a family: they are moved, not copied. Reads see all of them at once.
    ///
    /// What is in memory is flushed first, so that the loaded cells are newer than all that was written before.
    ///
    /// # Errors
    ///
    /// If a family is unknown, a file has rows outside of the region, is damaged or cannot be moved, or the region is read-only.
    /// Unless moving failed, nothing has changed then.
    pub fn bulk_load<F: AsRef<[u8]>, P: AsRef<Path>>(&self, files: &[(F, P)]) -> Result<()> {
        self.0.check_writable()?;
        if files.is_empty() {
            return Err(Error::invalid_argument("a bulk load without files"));
        }
        let mut loads = Vec::with_capacity(files.len());
        for (family, path) in files {
            let store = self.0.store_index(family.as_ref())?;
            self.0.check_load(store, path.as_ref())?;
            loads.push((store, path.as_ref().to_owned()));
        }
        let named =
            |(store, path): &(usize, PathBuf)| (self.0.stores[*store].family.name().to_vec(), path.clone());
        let files: Vec<_> =
            if self.0.observers.is_empty() { Vec::new() } else { loads.iter().map(named).collect() };
        self.0.observe(|observer, context| observer.pre_bulk_load_hfile(context, &files))?;
        self.0.bulk_load(&loads)?;
        self.0.observe(|observer, context| observer.post_bulk_load_hfile(context, &files))
    }
}

impl Inner {
    /// That a file can be read and has no rows but the region's.
    fn check_load(&self, store: usize, path: &Path) -> Result<()> {
        let place = FilePlace::plain(path, self.clock.now());
        let file = StoreFile::open(&self.stores[store].options, &place)?;
        [file.first_row(), file.last_row()].into_iter().flatten().try_for_each(|row| self.check_row(row))
    }

    fn bulk_load(&self, loads: &[(usize, PathBuf)]) -> Result<()> {
        let seq_id = self.flush_all()?;
        let mut loaded = Vec::with_capacity(loads.len());
        for (store, path) in loads {
            let now = self.clock.now();
            let name = format!("{}_SeqId_{seq_id}_", new_file_name(now));
            let (family, to) = (self.stores[*store].family.name(), self.stores[*store].dir.join(&name));
            self.observe(|observer, context| observer.pre_commit_store_file(context, family, path, &to))?;
            loaded.push((*store, self.stores[*store].adopt(path, &name, now)?));
            self.observe(|observer, context| observer.post_commit_store_file(context, family, path, &to))?;
        }
        self.swap_all(|stores| {
            for (store, file) in loaded {
                stores[store] = Arc::new(stores[store].flushed(&[], Some(file)));
            }
        });
        Ok(())
    }
}
