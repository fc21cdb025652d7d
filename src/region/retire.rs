//! Retires a region that others replace (HBase: `HRegion.close` in `SplitTableRegionProcedure`).

use super::observer::Held;
use super::{Region, RegionCore};
use crate::error::{Error, Result};
use crate::io::FileLock;
use crate::layout::{check_lock, check_root};
use crate::schema::{Family, RegionInfo};
use crate::store::{StoreFile, StoreFileUse};
use crate::sync::unpoisoned;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A region that accepts no more writes, and whose files do not change. Its directory is locked until this is
/// dropped.
pub(crate) struct RetiredRegion {
    pub(crate) info: RegionInfo,
    /// The families, in the order of `files`.
    pub(crate) families: Vec<Family>,
    /// The files of each family.
    pub(crate) files: Vec<Vec<RetiredFile>>,
    /// The greatest sequence id that the region has used.
    pub(crate) max_seq_id: i64,
    /// Whether its files are still read, for example by views.
    pub(crate) in_use: Vec<StoreFileUse>,
    lock: Option<FileLock>,
}

impl RetiredRegion {
    /// Fails if the directory, at `path`, is no longer locked: its storage may lose locks.
    pub(crate) fn check_lock(&self, path: &Path) -> Result<()> {
        self.lock.as_ref().map_or(Ok(()), |lock| check_lock(lock, path))
    }
}

/// A file of a retired region.
pub(crate) struct RetiredFile {
    pub(crate) name: String,
    /// The first and the last row; `None` without cells.
    pub(crate) rows: Option<(Vec<u8>, Vec<u8>)>,
}

impl Region {
    /// Checks that other regions could replace this one. `switch` is the setting of the table that allows it.
    ///
    /// # Errors
    ///
    /// If the region is not open for writing, is not under a root directory, has references, which a
    /// compaction replaces (HBase: `HRegion.isSplittable`), or files of an interrupted bulk load; if the
    /// table's descriptor sets the switch to anything but true (HBase: `SplitTableRegionProcedure`,
    /// `MergeTableRegionsProcedure`).
    pub(crate) fn check_replaceable(&self, switch: &str) -> Result<()> {
        self.0.check_owner()?;
        self.0.check_writable()?;
        check_root(&self.0.dir)?;
        self.check_no_load()?;
        if !self.0.dir.flag(&[], switch, true) {
            let message = format!("the table's descriptor sets {switch} to false");
            return Err(Error::invalid_argument(message));
        }
        let state = self.0.states.load();
        match state.stores.iter().flat_map(|store| store.files.iter()).find(|file| file.is_reference()) {
            None => Ok(()),
            Some(file) => Err(Error::not_supported(format!(
                "region {} still has references to files of another region, like {}: compact it first, by a \
                 major compaction",
                self.info().encoded_name(),
                file.name()
            ))),
        }
    }

    /// Fails if files of an interrupted bulk load are not loaded, or could be loaded again.
    ///
    /// # Errors
    ///
    /// If there are such files; if the record of the load is malformed; or if an I/O operation fails.
    pub(crate) fn check_no_load(&self) -> Result<()> {
        self.0.dir.check_no_load(&self.families().cloned().collect::<Vec<_>>())
    }

    /// Flushes the memory, ends all changes of the region's files, and refuses later writes, with the kind
    /// [`Closed`](crate::ErrorKind::Closed). Reads continue.
    ///
    /// # Errors
    ///
    /// Same as [`Region::close`]. If the region [is retired](Self::is_retired) nevertheless, its directory is
    /// no longer locked, and can be opened again.
    pub(crate) fn retire(&self) -> Result<RetiredRegion> {
        self.0.retire()
    }

    /// Whether the region refuses writes because others were to replace it.
    pub(crate) fn is_retired(&self) -> bool {
        self.0.is_retired.load(Ordering::Acquire)
    }

    /// Whether files of the region may have been archived with it while it was opened.
    pub(crate) fn may_be_archived(&self) -> bool {
        let state = Arc::clone(&self.0.states.load());
        let empty = self.families().zip(&state.stores).filter(|(_, store)| store.files.is_empty());
        self.0.dir.may_be_archived(empty.map(|(family, _)| family.name()))
    }

    /// Archives files that compactions have replaced but could not archive: a reference among them still
    /// keeps the file it refers to. Does nothing if the region is closed, or others are to replace it.
    ///
    /// # Errors
    ///
    /// If one cannot be archived.
    pub(crate) fn archive_replaced(&self) -> Result<()> {
        // Without the region's lock, another process may change the files.
        let _closing = unpoisoned(self.0.closing.lock());
        if self.is_retired() || self.0.is_closed.load(Ordering::Acquire) || !self.0.is_writable {
            return Ok(());
        }
        self.0.archive_replaced(None)
    }
}

impl RegionCore {
    fn retire(&self) -> Result<RetiredRegion> {
        self.check_owner()?;
        self.check_not_held(&[Held::Flush, Held::Compaction, Held::Close], "close")?;
        let _closing = unpoisoned(self.closing.lock());
        let _held = self.mark_held(Held::Close);
        self.check_writable()?;
        self.observe(|observer, context| observer.pre_close(context))?;
        let flushed = self.flush_for_close(&self.is_retired);
        if !self.is_retired.load(Ordering::Acquire) {
            return Err(flushed.err().unwrap_or_else(Error::closed));
        }
        self.stop();
        let lock = unpoisoned(self.lock.lock()).take();
        flushed?;
        // Replaced files are archived with the directory at the latest.
        if let Err(error) = self.archive_replaced(None) {
            self.report_unarchived(&error);
        }
        self.observe(|observer, context| observer.post_close(context))?;
        let state = self.states.load();
        let file = |file: &StoreFile| RetiredFile {
            name: file.name().to_owned(),
            rows: file.first_row().zip(file.last_row()).map(|(first, last)| (first.to_vec(), last.to_vec())),
        };
        let write = self.mvcc.begin();
        let max_seq_id = write.seq_id();
        self.mvcc.complete_and_wait(write);
        Ok(RetiredRegion {
            info: self.info.clone(),
            families: self.stores.iter().map(|store| store.family.clone()).collect(),
            files: state.stores.iter().map(|store| store.files.iter().map(file).collect()).collect(),
            max_seq_id,
            in_use: state.stores.iter().flat_map(|store| store.files.iter()).map(StoreFile::in_use).collect(),
            lock,
        })
    }
}
