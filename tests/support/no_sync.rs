//! The local file system without syncs, for tests that write many files and simulate no power loss.

use super::forward::forward;
use hregion::io::{FileWriter, LogFile};
use hregion::{LocalStorage, Storage};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// A local storage that does not sync. Syncs of logs take the given time.
#[derive(Debug, Default)]
pub(crate) struct NoSync {
    pub(crate) files: LocalStorage,
    pub(crate) log_sync: Duration,
    /// The number of syncs of logs.
    pub(crate) log_syncs: Arc<AtomicU64>,
}

impl Storage for NoSync {
    forward!(files: open rename hard_link remove remove_dir list_dir create_dir_all lock optional);

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(Unsynced(self.files.create(path)?)))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(Unsynced(self.files.create_new(path)?)))
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let (log, syncs) = (self.files.create_log(path)?, Arc::clone(&self.log_syncs));
        Ok(Box::new(UnsyncedLog { log, takes: self.log_sync, syncs }))
    }

    fn sync_file(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Unsynced(Box<dyn FileWriter>);

impl FileWriter for Unsynced {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct UnsyncedLog {
    log: Box<dyn LogFile>,
    takes: Duration,
    syncs: Arc<AtomicU64>,
}

impl LogFile for UnsyncedLog {
    forward!(log: path append truncate can_overwrite max_len is_unchanged);

    fn sync(&mut self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        thread::sleep(self.takes);
        Ok(())
    }
}
