//! Logs in the local file system.

use super::LogFile;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A log in the local file system. It has no buffer: an append is one call of the system.
#[derive(Debug)]
pub(super) struct LocalLogFile {
    file: File,
    path: PathBuf,
}

impl LocalLogFile {
    pub(super) fn create_new(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create_new(path)?, path: path.to_owned() })
    }
}

impl LogFile for LocalLogFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.seek(SeekFrom::Start(len)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
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
        log.append(b"one").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        log.append(b"two").unwrap();
        log.truncate(3).unwrap();
        log.append(b"four").unwrap();
        log.sync().unwrap();
        assert_eq!((std::fs::read(log.path()).unwrap(), log.path()), (b"onefour".to_vec(), &*path));
        let again = LocalLogFile::create_new(&path).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
}
