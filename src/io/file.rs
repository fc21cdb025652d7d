//! Files of the local file system, read by `pread`.

use super::write_behind::WriteBehind;
use super::{DirEntry, FileLock, FileReader, FileWriter, Storage};
use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// A local file. Each read is a system call at an offset; nothing is shared but the descriptor.
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    path: PathBuf,
    len: u64,
}

impl LocalFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let file = File::open(&path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory"));
        }
        Ok(Self { file, path, len: meta.len() })
    }
}

impl FileReader for LocalFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buf, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(&self.file, buf, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buf = &mut buf[read..];
            offset += read as u64;
        }
        Ok(())
    }
}

/// A local file that is being written.
///
/// On Linux what has been written is sent to the disk in the background, a MiB at a time, so that a sync finds little left.
#[derive(Debug)]
pub struct LocalFileWriter {
    file: BufWriter<WriteBehind>,
    path: PathBuf,
}

impl LocalFileWriter {
    /// Blocks are gathered up to this many bytes; larger ones are written as they come.
    const BUFFER: usize = 1 << 20;

    /// Creates a file, or empties one that is there.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let file = WriteBehind::new(File::create(&path)?);
        Ok(Self { file: BufWriter::with_capacity(Self::BUFFER, file), path })
    }
}

impl FileWriter for LocalFileWriter {
    fn path(&self) -> &Path {
        &self.path
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync()
    }
}

/// The local file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalStorage;

impl Storage for LocalStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        Ok(Arc::new(LocalFile::open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(LocalFileWriter::create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// Directories cannot be synced there; the system sees to them.
    #[cfg(not(unix))]
    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries =
            fs::read_dir(path)?.map(|entry| dir_entry(&entry?)).collect::<io::Result<Vec<_>>>()?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(FileLock::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

fn dir_entry(entry: &fs::DirEntry) -> io::Result<DirEntry> {
    let name = entry.file_name().into_string().map_err(|name| {
        io::Error::new(io::ErrorKind::InvalidData, format!("the name {} is not UTF-8", name.display()))
    })?;
    // a link counts as what it leads to
    let meta = fs::metadata(entry.path()).or_else(|_| entry.metadata())?;
    let modified = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let modified_millis = i64::try_from(modified).unwrap_or(i64::MAX);
    Ok(DirEntry { name, len: meta.len(), is_dir: meta.is_dir(), modified_millis })
}
