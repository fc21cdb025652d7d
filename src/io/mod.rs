//! Access to files by offset. Independent of file formats. All file access goes through this module, so that
//! faults can be injected.

#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod faulty;
mod file;
mod file_handles;
mod file_lock;
#[cfg(target_os = "linux")]
mod huge_pages;
mod locked_file;
mod log_file;
mod memory;
#[cfg(feature = "mmap")]
mod mmap;
mod new_file;
mod owner;
#[cfg(unix)]
mod scratch;
mod unfinished;
mod url;
mod write_behind;
mod writer_thread;

pub(crate) use file::is_absent;
pub use file::{LocalFile, LocalFileWriter, LocalStorage};
pub(crate) use file_handles::BoundedStorage;
pub use file_handles::FileHandles;
pub use file_lock::FileLock;
#[cfg(target_os = "linux")]
pub(crate) use huge_pages::note_filled;
pub use log_file::LogSyncer;
pub use memory::MemoryFile;
#[cfg(feature = "mmap")]
pub use mmap::{MmapFile, MmapStorage};
pub(crate) use new_file::{NewFile, is_new_file, parent};
pub(crate) use owner::Owner;
#[doc(hidden)]
pub use unfinished::{create_unfinished_dir, name_unfinished, remove_unfinished};
pub use url::{is_scheme, url_scheme};

use crate::error::{Corruption, Error, Result};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that many threads can read at any offset at once (Hadoop: `PositionedReadable`).
///
/// Implement this trait to read from other sources, and pass the file to
/// [`HFileOptions::open_reader`](crate::HFileOptions::open_reader).
pub trait FileReader: Send + Sync + fmt::Debug {
    /// Returns the name of the file in errors.
    fn path(&self) -> &Path;

    /// Returns the length in bytes when the file was opened.
    fn len(&self) -> u64;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Distinguishes the file from any other that is later found at its path. If `None`, files are
    /// distinguished by their length and last bytes.
    fn identity(&self) -> Option<FileIdentity> {
        None
    }

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before `buf` is full; otherwise any error of the
    /// system.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

    /// Passes the `len` bytes from `offset` on to `read`, without a copy, if the file is in memory and has
    /// these bytes. Returns whether `read` was called.
    ///
    /// The bytes must be the same in every call: what has been verified once is not verified again.
    fn read_in_place(&self, offset: u64, len: usize, read: &mut dyn FnMut(&[u8])) -> bool {
        let _ = (offset, len, read);
        false
    }

    /// Whether even a short read takes long, such as a request over a network: one long read is then better
    /// than several short ones.
    fn is_remote(&self) -> bool {
        false
    }

    /// Whether other threads may read parts of the file before they are needed, in any order, and again after
    /// a failure, as with a local file. A thread may still do so for a moment after the scan has ended and
    /// the file is closed, so this is false for files mapped into memory. Otherwise a scan reads in its own
    /// thread, and each block once.
    fn may_read_ahead(&self) -> bool {
        false
    }
}

/// The identity of a file. No two files that exist at the same time have the same identity, and a file that
/// reuses the number of a removed one was created later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// The device that the file is on.
    pub device: u64,
    /// The number of the file on the device (Unix: the inode).
    pub number: u64,
    /// When the file was created, in nanoseconds since 1970; 0 if the system does not record it.
    pub created_nanos: u64,
}

/// A file that is being written sequentially (Hadoop: `FSDataOutputStream`).
///
/// The bytes written survive a crash only after a sync.
pub trait FileWriter: Send + fmt::Debug {
    /// Returns the name of the file in errors.
    fn path(&self) -> &Path;

    /// Appends all of `bytes`.
    ///
    /// # Errors
    ///
    /// Any error of the system. Some of the bytes may have been written.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits until all bytes written are on disk.
    ///
    /// # Errors
    ///
    /// Any error of the system. The bytes written may be lost.
    fn sync(&mut self) -> io::Result<()>;
}

/// A write-ahead log that is being written: every append is passed to the system before it returns (Hadoop:
/// `Syncable`).
///
/// The bytes appended survive the end of the process, and a loss of power only after a sync.
pub trait LogFile: Send + fmt::Debug {
    /// Returns the name of the file in errors.
    fn path(&self) -> &Path;

    /// Passes all of `bytes` to the system, to be written after those kept so far. Keeps the first `kept` of
    /// them; the next append overwrites the others, so that it need not extend the file.
    ///
    /// # Errors
    ///
    /// Any error of the system. Some of the bytes may have been written; whether they are kept is unknown.
    fn append(&mut self, bytes: &[u8], kept: usize) -> io::Result<()>;

    /// Whether the last append, which failed, has had no effect, and will have none: the file is unchanged
    /// and can be appended to again. By default, this is unknown.
    fn is_unchanged(&self) -> bool {
        false
    }

    /// Shortens the file to the first `len` of the bytes that are kept. Later bytes are appended there.
    ///
    /// # Errors
    ///
    /// Any error of the system. The length is then unknown. [`io::ErrorKind::Unsupported`] if files of the
    /// storage cannot be shortened.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Whether bytes that are not kept can be overwritten. If not, each append keeps all of its bytes.
    fn can_overwrite(&self) -> bool {
        true
    }

    /// Returns the length in bytes above which entries should be appended to another log. By default there is
    /// no limit. A storage that writes the whole file again with each append has one.
    fn max_len(&self) -> u64 {
        u64::MAX
    }

    /// Waits until all bytes appended are on disk.
    ///
    /// # Errors
    ///
    /// Any error of the system. The bytes appended may be lost.
    fn sync(&mut self) -> io::Result<()>;

    /// Returns a syncer of the bytes appended so far, which works while other threads append more. By default
    /// there is none.
    fn syncer(&self) -> Option<LogSyncer> {
        None
    }
}

/// A file of a fixed length that is overwritten in place by any thread, for data that may be lost.
pub trait ScratchFile: Send + Sync + fmt::Debug {
    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before `buf` is full; otherwise any error of the
    /// system.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` from `offset` on.
    ///
    /// # Errors
    ///
    /// Any error of the system. Some of the bytes may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
}

/// A file system (Hadoop: `FileSystem`).
pub trait Storage: Send + Sync + fmt::Debug {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>>;

    /// Creates a file for writing, or truncates an existing one.
    ///
    /// Where files [cannot be renamed](Self::can_rename), nothing changes before the first sync, which fails
    /// if another process has replaced the file since this call.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>>;

    /// Creates a file for writing. Does not open an existing file or follow a link.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if the name exists; otherwise any error of the system.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>>;

    /// Creates a file to append to as a log. Does not open an existing file or follow a link.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if the name exists; otherwise any error of the system.
    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>>;

    /// Creates a file of `len` bytes to be overwritten in place, replacing an existing file. No link is
    /// followed. Only a [`BlockCache`](crate::BlockCache) with a second tier needs such a file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] if the storage has no such files, which is the default; otherwise any
    /// error of the system.
    fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
        let _ = (path, len);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether files and directories at a path can be renamed. By default they can.
    ///
    /// If not, as in an object store, a new file appears complete with its first sync, or replaces another
    /// one then; if it is dropped before, nothing changes. That sync fails, and changes nothing, if the file
    /// at the path was replaced or created in the meantime. Directories exist while they contain files, and
    /// all changes are durable. Regions can be written if all of their families have the store file tracker
    /// FILE.
    fn can_rename(&self, path: &Path) -> bool {
        let _ = path;
        true
    }

    /// Renames a file or directory atomically. A file replaces an existing file, a directory replaces an
    /// empty directory.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::DirectoryNotEmpty`] or [`io::ErrorKind::AlreadyExists`] if a directory cannot replace
    /// another; otherwise any error of the system. On failure, nothing has changed.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Renames a file atomically, unless the new name exists.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] if the storage has no such rename, as by default;
    /// [`io::ErrorKind::AlreadyExists`] if the new name exists; otherwise any error of the system. On
    /// failure, nothing has changed.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Gives a file another name: a hard link. Does not follow or replace anything.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] if the storage has no hard links, as by default;
    /// [`io::ErrorKind::AlreadyExists`] if the new name exists; otherwise any error of the system. On
    /// failure, nothing has changed.
    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        let _ = (original, link);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Waits until the bytes of a file are on disk, including those written by other programs.
    ///
    /// # Errors
    ///
    /// Any error of the system. The bytes written may be lost, even if a later call succeeds.
    fn sync_file(&self, path: &Path) -> io::Result<()>;

    /// Waits until the entries of a directory are on disk: creations, removals and renames.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Returns the entries of a directory, sorted by name.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if the directory does not exist; otherwise any error of the system.
    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Creates a directory and its missing parents.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Ends the writing of a file by a process that has apparently died, so that all bytes that it has synced
    /// can be read, and none are added later, even if that process is still alive. The caller has locked the
    /// directory. Does nothing by default: all bytes can be read once a process has ended.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if there is no such file; otherwise any error of the system. The file may
    /// then still be written to.
    fn end_writing(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Ok(())
    }

    /// Whether a file that its writer has not closed may appear to lack synced bytes until its writing is
    /// [ended](Self::end_writing), as in HDFS. False by default.
    fn can_hide_writes(&self, path: &Path) -> bool {
        let _ = path;
        false
    }

    /// Returns the full path of a file or directory, which need not exist: a relative path begins at the
    /// current directory. On request, symbolic links are resolved. By default, all paths are full.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    fn full_path(&self, path: &Path, follow_links: bool) -> io::Result<PathBuf> {
        let _ = follow_links;
        Ok(path.to_owned())
    }

    /// Whether a file that is open can still be read after it was removed. If not, a region keeps the files
    /// that it has replaced until its own readers are done. An open file that was renamed must be readable in
    /// either case, or reads of it fail with [`io::ErrorKind::NotFound`]: it is then opened again at its new
    /// path, and must have the same [identity](FileReader::identity).
    fn can_read_removed(&self) -> bool {
        true
    }

    /// Acquires an exclusive lock on a lock file, which is created if missing. The lock is released when the
    /// returned value is dropped or the process ends; a storage that cannot detect the end of a process
    /// releases it some time later.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if the lock is held; otherwise any error of the system.
    fn lock(&self, path: &Path) -> io::Result<FileLock>;
}

/// An entry of a directory (Hadoop: `FileStatus`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The last component of the path.
    pub name: OsString,
    /// The length in bytes; for a symbolic link, its target's. For directories, the system's value. 1 for
    /// pipes, sockets and devices of the local file system, which cannot be opened.
    pub len: u64,
    /// Whether this is a directory, or a link to one.
    pub is_dir: bool,
    /// Whether this is a symbolic link.
    pub is_symlink: bool,
    /// The time of the last modification, in milliseconds since 1970.
    pub modified_millis: i64,
}

impl DirEntry {
    /// Returns the name, if it is UTF-8. HBase creates no others.
    #[must_use]
    pub fn utf8_name(&self) -> Option<&str> {
        self.name.to_str()
    }

    /// Whether the name begins with a dot.
    pub(crate) fn is_hidden(&self) -> bool {
        self.name.as_encoded_bytes().starts_with(b".")
    }
}

/// Returns the number of this process; 0 on systems without processes, where the standard library panics.
pub(crate) fn process_id() -> u32 {
    if cfg!(any(unix, windows)) { std::process::id() } else { 0 }
}

/// The maximum number of times that a small file is opened that is replaced while it is read.
const OPENS: u32 = 20;

/// Returns the bytes of a small file. Fails if there are more than `limit`. If another process has replaced
/// or removed the file after it was opened, it is opened again.
pub(crate) fn read_file(storage: &dyn Storage, path: &Path, limit: u64) -> Result<Vec<u8>> {
    for _ in 1..OPENS {
        match read_file_once(storage, path, limit) {
            Err(error) if error.is_stale() && !error.is_not_found() => {}
            read => return read,
        }
    }
    read_file_once(storage, path, limit)
}

fn read_file_once(storage: &dyn Storage, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = storage.open(path).map_err(|error| Error::io("open", path, error))?;
    let len = usize::try_from(file.len()).ok().filter(|_| file.len() <= limit);
    let Some(len) = len else {
        return Err(Corruption::Limit { what: "bytes of the file", value: file.len(), limit }.at(path, 0));
    };
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).map_err(|error| Error::io("read", path, error))?;
    Ok(bytes)
}
