//! Logs in the local file system, and concurrent syncs of logs.

use super::LogFile;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Syncs a log while it is written: see [`LogFile::syncer`].
#[derive(Clone)]
pub struct LogSyncer(Arc<dyn Fn() -> io::Result<()> + Send + Sync>);

impl LogSyncer {
    /// Creates a syncer that calls a function. Any thread may call it, even after the log is closed.
    #[must_use]
    pub fn new(sync: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(sync))
    }

    /// Waits until all bytes appended before are on disk.
    ///
    /// # Errors
    ///
    /// Any error of the system. The bytes appended may be lost, even if a later sync succeeds.
    pub fn sync(&self) -> io::Result<()> {
        (self.0)()
    }
}

impl fmt::Debug for LogSyncer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSyncer")
    }
}

/// A log in the local file system. It has no buffer: an append is one system call.
#[derive(Debug)]
pub(super) struct LocalLogFile {
    file: Arc<File>,
    path: PathBuf,
    /// The number of bytes that are kept.
    kept: u64,
    /// The offset at which the file is written next.
    next: u64,
}

impl LocalLogFile {
    pub(super) fn create_new(path: &Path) -> io::Result<Self> {
        let file = Arc::new(File::create_new(path)?);
        Ok(Self { file, path: path.to_owned(), kept: 0, next: 0 })
    }
}

impl LogFile for LocalLogFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn append(&mut self, bytes: &[u8], kept: usize) -> io::Result<()> {
        if self.next != self.kept {
            self.next = self.file.seek(SeekFrom::Start(self.kept))?;
        }
        // After a failure the file position is unknown.
        self.next = u64::MAX;
        self.file.write_all(bytes)?;
        self.next = self.kept + bytes.len() as u64;
        self.kept += kept as u64;
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.kept = len;
        self.next = self.file.seek(SeekFrom::Start(len))?;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn syncer(&self) -> Option<LogSyncer> {
        let file = Arc::clone(&self.file);
        Some(LogSyncer::new(move || file.sync_data()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_are_handed_to_the_system_and_cut_off_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LocalLogFile::create_new(&path).unwrap();
        log.append(b"one", 3).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        log.append(b"two", 3).unwrap();
        log.truncate(3).unwrap();
        log.append(b"four", 4).unwrap();
        log.sync().unwrap();
        log.syncer().unwrap().sync().unwrap();
        assert_eq!((std::fs::read(log.path()).unwrap(), log.path()), (b"onefour".to_vec(), &*path));
        log.append(b"five and zeros", 4).unwrap();
        log.append(b", six", 5).unwrap();
        log.append(b"!", 1).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"onefourfive, six!eros"[..]);
        let again = LocalLogFile::create_new(&path).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
}
