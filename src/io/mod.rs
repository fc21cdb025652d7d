//! Bytes at an offset of a file. Knows no format; it is the only door to files, so that faults can be injected.

#[doc(hidden)]
pub mod faulty;
mod file;
mod file_handles;
mod memory;
#[cfg(feature = "mmap")]
mod mmap;
mod new_file;
mod write_behind;
mod writer_thread;

pub(crate) use file::is_absent;
pub use file::{LocalFile, LocalFileWriter, LocalStorage};
pub(crate) use file_handles::BoundedStorage;
pub use file_handles::FileHandles;
pub use memory::MemoryFile;
#[cfg(feature = "mmap")]
pub use mmap::MmapFile;
pub(crate) use new_file::NewFile;

use crate::error::{Corruption, Error, Result};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file that can be read at any offset, by many threads at once.
///
/// Implement it to read from somewhere else; hand it to [`HFileOptions::open_reader`](crate::HFileOptions::open_reader).
pub trait FileReader: Send + Sync + fmt::Debug {
    /// What to call the file in errors.
    fn path(&self) -> &Path;

    /// The length in bytes, as of when the file was opened.
    fn len(&self) -> u64;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What tells the file from any other that may be found at its path later. None if that is not known: then a file is told by its
    /// length and the bytes of its end.
    fn identity(&self) -> Option<FileIdentity> {
        None
    }

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before; whatever the system says otherwise.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

/// What tells a file from others: no two that exist at one time have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// The device that the file is on.
    pub device: u64,
    /// The number of the file on the device (Unix: the inode).
    pub number: u64,
}

/// A file that is being written, from its start to its end.
///
/// What has been written is sure to be there after a crash only once it has been synced.
pub trait FileWriter: Send + fmt::Debug {
    /// What to call the file in errors.
    fn path(&self) -> &Path;

    /// Appends all of `bytes`.
    ///
    /// # Errors
    ///
    /// Whatever the system says. Some of the bytes may have been written then.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits until all that was written is on the disk.
    ///
    /// # Errors
    ///
    /// Whatever the system says. What was written may be lost then.
    fn sync(&mut self) -> io::Result<()>;
}

/// Where files are.
pub trait Storage: Send + Sync + fmt::Debug {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>>;

    /// Creates a file, or empties one that is there, for writing.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>>;

    /// Creates a file for writing, where nothing has the name: a file that exists is not opened, and no link is followed.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if anything has the name; whatever the system says otherwise.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>>;

    /// Gives a file or directory another name in one step. A file takes the place of a file of that name, a directory
    /// that of an empty directory.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::DirectoryNotEmpty`] or [`io::ErrorKind::AlreadyExists`] if a directory cannot take the place of
    /// another; whatever the system says otherwise. Nothing has changed then.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory that is empty.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Waits until the bytes of a file are on the disk, whichever program wrote them.
    ///
    /// # Errors
    ///
    /// Whatever the system says. What was written may be lost then.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// Waits until the names of the files in a directory are on the disk: which there are, and what they were renamed to.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// What is in a directory, sorted by name.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is no such directory; whatever the system says otherwise.
    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Creates a directory, and those above it, where they are missing.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock that a file stands for, which is made for it; nobody else gets it until what is returned is dropped, or
    /// the process ends.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if somebody has it; whatever the system says otherwise.
    fn lock(&self, path: &Path) -> io::Result<FileLock>;
}

/// A lock that is held as long as this lives.
#[derive(Debug)]
pub struct FileLock(#[expect(dead_code, reason = "held, not looked at")] Box<dyn Held>);

impl FileLock {
    /// A lock that is given up when `held` is dropped.
    pub fn new(held: impl Send + Sync + fmt::Debug + 'static) -> Self {
        Self(Box::new(held))
    }
}

/// Anything that can be held.
trait Held: Send + Sync + fmt::Debug {}

impl<T: Send + Sync + fmt::Debug> Held for T {}

/// A file or directory in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The last part of the path.
    pub name: OsString,
    /// The length in bytes, of a link that of the file it leads to; of a directory, whatever the system says.
    pub len: u64,
    /// Whether it is a directory, or a link to one.
    pub is_dir: bool,
    /// Whether it is a symbolic link.
    pub is_symlink: bool,
    /// When it was changed last, in milliseconds since 1970.
    pub modified_millis: i64,
}

impl DirEntry {
    /// The name, if it is UTF-8. HBase makes no others.
    #[must_use]
    pub fn utf8_name(&self) -> Option<&str> {
        self.name.to_str()
    }
}

/// The bytes of a small file: at most `limit` of them.
pub(crate) fn read_file(storage: &dyn Storage, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = storage.open(path).map_err(|error| Error::io("open", path, error))?;
    let len = usize::try_from(file.len()).ok().filter(|_| file.len() <= limit);
    let Some(len) = len else {
        return Err(Corruption::Limit { what: "bytes of the file", value: file.len(), limit }.at(path, 0));
    };
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).map_err(|error| Error::io("read", path, error))?;
    Ok(bytes)
}
