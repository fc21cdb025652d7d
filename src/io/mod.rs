//! Bytes at an offset of a file. Knows no format; it is the only door to files, so that faults can be injected.

#[doc(hidden)]
pub mod faulty;
mod file;
mod memory;
#[cfg(feature = "mmap")]
mod mmap;
mod new_file;
mod write_behind;

pub use file::{LocalFile, LocalFileWriter, LocalStorage};
pub use memory::MemoryFile;
#[cfg(feature = "mmap")]
pub use mmap::MmapFile;
pub(crate) use new_file::NewFile;

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

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before; whatever the system says otherwise.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
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

    /// Gives a file another name in one step, in place of the file that has it.
    ///
    /// # Errors
    ///
    /// Whatever the system says. Nothing has changed then.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Waits until the names of the files in a directory are on the disk: which there are, and what they were renamed to.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}
