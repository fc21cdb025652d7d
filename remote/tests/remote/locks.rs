//! Properties of locks that buckets and HDFS share.

use crate::history::{Rows, expect_locked, put, rows};
use hregion::{Compaction, Durability, Region, Result, Storage};
use hregion_remote::RemoteStorage;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The name of a lock file.
pub(crate) const LOCK: &str = ".hregion.lock";

/// The place of a locked region: the directory `r` of a root.
pub(crate) struct Place<'t> {
    pub(crate) root: PathBuf,
    /// Creates a storage, as another process would.
    pub(crate) client: &'t dyn Fn() -> Arc<RemoteStorage>,
    pub(crate) open: fn(Arc<dyn Storage>, &Path) -> Result<Region>,
}

impl Place<'_> {
    pub(crate) fn region(&self) -> PathBuf {
        self.root.join("r")
    }

    fn open(&self, storage: &Arc<RemoteStorage>) -> Result<Region> {
        (self.open)(storage.clone(), &self.region())
    }

    /// Opens the region like another process that considers the holder of its lock dead.
    fn take_over(&self, storage: &Arc<RemoteStorage>) -> Region {
        storage.end_writing(&self.region().join(LOCK)).unwrap();
        self.open(storage).unwrap()
    }

    /// `while_locked` is called with the second storage while the first one has the region open.
    pub(crate) fn lose_the_lock(&self, while_locked: impl FnOnce(&Arc<RemoteStorage>)) {
        let (first, second) = ((self.client)(), (self.client)());
        let region = self.open(&first).unwrap();
        region.put(put("a", "1")).unwrap();
        expect_locked(self.open(&first));
        expect_locked(self.open(&second));
        while_locked(&second);
        region.flush().unwrap();
        region.put(put("b", "2")).unwrap();
        region.put(put("c", "unlogged").durability(Durability::SkipWal)).unwrap();

        // As if the first had died, or been stopped for long, although it has not.
        let other = self.take_over(&second);
        let both = Rows::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
        assert_eq!(rows(&other), both);
        region.put(put("d", "lost")).unwrap_err();
        region.flush().unwrap_err();
        drop(region);
        assert!(first.create_new(&self.region().join("f/name")).is_err());
        other.put(put("e", "3")).unwrap();
        other.flush().unwrap();
        other.close().unwrap();
        let expected = [("a", "1"), ("b", "2"), ("e", "3")].map(|(row, value)| (row.into(), value.into()));
        let read = Region::options().storage(second).open(self.region()).unwrap();
        assert_eq!(rows(&read), Rows::from(expected));
        self.open(&first).unwrap().close().unwrap();
    }

    /// Locks the root and releases that lock repeatedly, while a region and files are written.
    pub(crate) fn release_the_lock_above(&self, changes: usize, file: impl Fn(usize) -> PathBuf) {
        let storage = (self.client)();
        let region = self.open(&storage).unwrap();
        let above = self.root.join(LOCK);
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    drop(storage.lock(&above).unwrap());
                }
            });
            let changed = (0..changes).try_for_each(|n| {
                storage.create_new(&file(n))?.sync()?;
                storage.remove(&file(n))?;
                region.put(put("a", &n.to_string())).map_err(io::Error::other)
            });
            is_done.store(true, Ordering::Relaxed);
            changed.unwrap();
        });
        region.put(put("b", "1")).unwrap();
        region.close().unwrap();
    }

    /// As if this process had been stopped while it held the lock of the root.
    pub(crate) fn lose_the_lock_above(&self) {
        let (first, second) = ((self.client)(), (self.client)());
        let region = self.open(&first).unwrap();
        let lock = self.root.join(LOCK);
        let above = first.lock(&lock).unwrap();
        above.check().unwrap();
        second.end_writing(&lock).unwrap();
        above.check().unwrap_err();
        let create = || first.create_new(&self.root.join("file"))?.sync();
        create().unwrap_err();
        region.put(put("a", "1")).unwrap();
        region.flush().unwrap();
        drop(above);
        create().unwrap_err();
        region.put(put("b", "2")).unwrap();
        region.compact(Compaction::Major).unwrap();
        drop(first.lock(&lock).unwrap());
        create().unwrap();
        region.close().unwrap();
    }

    /// A region whose lock was lost must not change files under a lock that the same storage takes later.
    pub(crate) fn lock_again_after_a_loss(&self) {
        let (first, second) = ((self.client)(), (self.client)());
        let stale = self.open(&first).unwrap();
        stale.put(put("a", "1")).unwrap();
        stale.flush().unwrap();
        let other = self.take_over(&second);
        other.put(put("b", "2")).unwrap();
        other.close().unwrap();
        expect_locked(self.open(&first));
        stale.compact(Compaction::Major).unwrap_err();
        drop(stale);
        let region = self.open(&first).unwrap();
        assert_eq!(rows(&region).len(), 2);
        region.put(put("c", "3")).unwrap();
        region.close().unwrap();
    }
}
