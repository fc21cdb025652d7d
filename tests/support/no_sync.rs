//! The local file system without syncs, for tests that write many files and simulate no power loss.

use hregion::io::{DirEntry, FileLock, FileReader, FileWriter, LogFile};
use hregion::{LocalStorage, Storage};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Local files that are never synced.
#[derive(Debug, Default)]
pub(crate) struct NoSync(LocalStorage);

impl Storage for NoSync {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        self.0.open(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(Unsynced(self.0.create(path)?)))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(Unsynced(self.0.create_new(path)?)))
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(UnsyncedLog(self.0.create_log(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }

    fn sync_file(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.list_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.0.lock(path)
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
struct UnsyncedLog(Box<dyn LogFile>);

impl LogFile for UnsyncedLog {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
