//! Files of the local file system, read with `pread` where the system has it.

#[cfg(unix)]
use super::ScratchFile;
use super::locked_file::LockedFile;
use super::log_file::LocalLogFile;
use super::owner::Owner;
#[cfg(unix)]
use super::scratch::LocalScratchFile;
use super::write_behind::WriteBehind;
use super::writer_thread::WriterThread;
use super::{DirEntry, FileIdentity, FileLock, FileReader, FileWriter, LogFile, Storage};
#[cfg(not(any(unix, windows)))]
use crate::sync::{Mutex, unpoisoned};
use std::fs::{self, File};
use std::io::{self, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::UNIX_EPOCH;

/// A local file. Each read is a system call at an offset; only the descriptor is shared.
///
/// Where the standard library cannot read at an offset (systems other than Unix and Windows, such as WASI),
/// reads of a file take turns.
#[derive(Debug)]
pub struct LocalFile {
    #[cfg(any(unix, windows))]
    file: File,
    /// Locked from seeking to reading.
    #[cfg(not(any(unix, windows)))]
    file: Mutex<File>,
    path: PathBuf,
    len: u64,
    identity: Option<FileIdentity>,
}

/// Opens a regular file for reading.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`] for a pipe, a socket or a device, which is not opened, because that may
/// block or have effects; otherwise any error of the system.
pub(super) fn open_regular(path: &Path) -> io::Result<(File, fs::Metadata)> {
    check_regular(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    let meta = file.metadata()?;
    Ok((file, meta))
}

/// Fails for anything but a regular file.
fn check_regular(meta: &fs::Metadata) -> io::Result<()> {
    match (meta.is_file(), meta.is_dir()) {
        (true, _) => Ok(()),
        (_, true) => Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory")),
        _ => Err(not_regular()),
    }
}

#[cold]
fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

impl LocalFile {
    /// Opens a regular file for reading.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] for a pipe, a socket or a device, which is not opened; otherwise any
    /// error of the system.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let (file, meta) = open_regular(&path)?;
        #[cfg(not(any(unix, windows)))]
        let file = Mutex::new(file);
        Ok(Self { file, path, len: meta.len(), identity: identity(&meta) })
    }
}

impl FileReader for LocalFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.identity
    }

    fn may_read_ahead(&self) -> bool {
        true
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

    #[cfg(not(any(unix, windows)))]
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        use io::{Read, Seek, SeekFrom};

        let mut file = unpoisoned(self.file.lock());
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(buf)
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "returns None on other systems")]
pub(super) fn identity(meta: &fs::Metadata) -> Option<FileIdentity> {
    use std::os::unix::fs::MetadataExt;
    let created = meta.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let created_nanos = created.and_then(|time| u64::try_from(time.as_nanos()).ok()).unwrap_or(0);
    Some(FileIdentity { device: meta.dev(), number: meta.ino(), created_nanos })
}

#[cfg(not(unix))]
pub(super) fn identity(_meta: &fs::Metadata) -> Option<FileIdentity> {
    None
}

/// A local file that is being written.
///
/// Large files are written by a separate thread, so that the caller can produce more bytes at the same time;
/// if no thread can be started, they are written inline. On Linux, write-back to disk starts early, so that a
/// sync finds little left to do.
#[derive(Debug)]
pub struct LocalFileWriter {
    /// Bytes not yet passed to the system.
    buffer: Vec<u8>,
    state: WriterState,
    path: PathBuf,
    /// The process that writes it.
    owner: Owner,
}

/// The way in which the file is written.
#[derive(Debug)]
enum WriterState {
    Inline(WriteBehind),
    Threaded(WriterThread),
    /// An error has been reported and bytes were lost: no later call may succeed.
    Failed,
}

impl LocalFileWriter {
    /// The size of the buffer. Files of more than two buffers are written by a thread.
    const BUFFER: usize = 256 << 10;

    /// Creates a file, or truncates an existing one.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if it is a pipe, which is not opened, because that may block;
    /// otherwise any error of the system.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        #[cfg(unix)]
        if fs::metadata(path).is_ok_and(|meta| std::os::unix::fs::FileTypeExt::is_fifo(&meta.file_type())) {
            return Err(not_regular());
        }
        Ok(Self::new(File::create(path)?, path))
    }

    /// Creates a file that must not exist; no link is followed. On Unix it is locked while it is being
    /// written, if the file system has locks.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if the name exists; otherwise any error of the system.
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        #[cfg(unix)]
        let file = super::unfinished::create_locked(path, || File::create_new(path))?;
        #[cfg(not(unix))]
        let file = File::create_new(path)?;
        Ok(Self::new(file, path))
    }

    fn new(file: File, path: &Path) -> Self {
        let state = WriterState::Inline(WriteBehind::new(file));
        Self { buffer: Vec::new(), state, path: path.to_owned(), owner: Owner::this() }
    }

    /// Takes the state, which the caller puts back on success. Fails in a forked process, because the thread
    /// and the file position belong to the other one.
    fn take_state(&mut self) -> io::Result<WriterState> {
        let state = mem::replace(&mut self.state, WriterState::Failed);
        match (self.owner.check(), state) {
            (Ok(()), state) => Ok(state),
            (Err(error), WriterState::Threaded(thread)) => {
                // its drop would wait for the thread
                mem::forget(thread);
                Err(error)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Passes the buffer to the system or to the writer thread.
    fn pass_on(&mut self) -> io::Result<()> {
        let state = match self.take_state()? {
            // the second full buffer: the file is long
            WriterState::Inline(file) if file.written() > 0 => {
                WriterThread::begin(file).map_or_else(WriterState::Inline, WriterState::Threaded)
            }
            state => state,
        };
        self.state = match state {
            WriterState::Inline(mut file) => {
                file.write_all(&self.buffer)?;
                self.buffer.clear();
                WriterState::Inline(file)
            }
            WriterState::Threaded(thread) => {
                let (thread, empty) = thread.write(mem::take(&mut self.buffer))?;
                self.buffer = empty;
                WriterState::Threaded(thread)
            }
            WriterState::Failed => return Err(writer_failed()),
        };
        Ok(())
    }

    /// Takes the file after writing everything to it. On success, the caller puts the file back.
    fn join_writer(&mut self) -> io::Result<WriteBehind> {
        let mut file = match self.take_state()? {
            WriterState::Inline(file) => file,
            WriterState::Threaded(thread) => thread.end()?,
            WriterState::Failed => return Err(writer_failed()),
        };
        file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(file)
    }
}

impl Drop for LocalFileWriter {
    /// Writes the buffered bytes to the file, without a sync.
    fn drop(&mut self) {
        // errors cannot be reported here
        let _ = self.join_writer();
    }
}

#[cold]
fn writer_failed() -> io::Error {
    io::Error::other("an earlier write failed")
}

impl FileWriter for LocalFileWriter {
    fn path(&self) -> &Path {
        &self.path
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > Self::BUFFER {
            self.pass_on()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let file = self.join_writer()?;
        file.sync()?;
        self.state = WriterState::Inline(file);
        Ok(())
    }
}

/// The local file system (Hadoop: `RawLocalFileSystem`).
///
/// Where directories cannot be synced (Windows, and some file systems, such as folders that a virtual machine
/// shares with its host), a loss of power may undo creations, removals and renames.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalStorage;

impl LocalStorage {
    /// Returns the instance for the whole process. A shared instance lets its users recognize that they have
    /// the same files.
    pub(crate) fn shared() -> Arc<dyn Storage> {
        static SHARED: LazyLock<Arc<dyn Storage>> = LazyLock::new(|| Arc::new(LocalStorage));
        Arc::clone(&SHARED)
    }
}

impl Storage for LocalStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        Ok(Arc::new(LocalFile::open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(LocalFileWriter::create(path)?))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(LocalFileWriter::create_new(path)?))
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(LocalLogFile::create_new(path)?))
    }

    #[cfg(unix)]
    fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
        Ok(Arc::new(LocalScratchFile::create(path, len)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        fs::hard_link(original, link)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        check_regular(&fs::metadata(path)?)?;
        // Windows syncs only files that are open for writing.
        File::options().read(true).write(cfg!(windows)).open(path)?.sync_all()
    }

    #[cfg(unix)]
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // Such a file system cannot sync directories.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }

    /// Directories cannot be synced on this system.
    #[cfg(not(unix))]
    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            match dir_entry(&entry?) {
                Ok(entry) => entries.push(entry),
                // Removed since the directory was read. Returning the error would mean that the directory
                // does not exist.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn full_path(&self, path: &Path, follow_links: bool) -> io::Result<PathBuf> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if !follow_links {
            return std::path::absolute(path);
        }
        let mut missing = Vec::new();
        for existing in path.ancestors() {
            let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
            match fs::canonicalize(existing) {
                Ok(mut full) => {
                    full.extend(missing.iter().rev());
                    return Ok(full);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    missing.push(existing.file_name().ok_or(error)?);
                }
                // Such a system has no symbolic links.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => break,
                Err(error) => return Err(error),
            }
        }
        std::path::absolute(path)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Opening a pipe would block.
            found => check_regular(&found?)?,
        }
        let locked = LockedFile::new(File::options().create(true).truncate(false).write(true).open(path)?)?;
        // The directory may have been replaced by another since the file was opened in it.
        if identity(&locked.file().metadata()?) != identity(&fs::metadata(path)?) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(FileLock::new(locked))
    }
}

/// Whether an error means that nothing exists at a path, rather than a failure of the system.
pub(crate) fn is_absent(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(kind, NotFound | NotADirectory | InvalidFilename)
}

/// Whether a symbolic link could not be followed because of its target, rather than a failure of the system.
fn is_broken_link(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return true;
    }
    is_absent(error.kind())
}

/// The length of a pipe, a socket or a device in a listing.
const SPECIAL_LEN: u64 = 1;

fn dir_entry(entry: &fs::DirEntry) -> io::Result<DirEntry> {
    let is_symlink = entry.file_type()?.is_symlink();
    // A link counts as its target; a dangling link counts as itself.
    let meta = if is_symlink {
        match fs::metadata(entry.path()) {
            Err(error) if is_broken_link(&error) => entry.metadata()?,
            found => found?,
        }
    } else {
        entry.metadata()?
    };
    let modified = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let modified_millis = i64::try_from(modified).unwrap_or(i64::MAX);
    // A pipe, a socket or a device is not an empty file, which is skipped: opening it is an error.
    let is_special = !meta.is_file() && !meta.is_dir() && !meta.is_symlink();
    Ok(DirEntry {
        name: entry.file_name(),
        len: if is_special { SPECIAL_LEN } else { meta.len() },
        is_dir: meta.is_dir(),
        is_symlink,
        modified_millis,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(seed: u8, len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 / 7) as u8 ^ seed).collect()
    }

    /// If a pipe were opened, the test would not end.
    #[test]
    #[cfg(unix)]
    fn what_is_no_regular_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        for path in [&*pipe, &*link, Path::new("/dev/null")] {
            let errors = [
                LocalStorage.open(path).map(drop).unwrap_err(),
                LocalStorage.sync_file(path).unwrap_err(),
                LocalStorage.lock(path).map(drop).unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
                assert_eq!(error.to_string(), "not a regular file");
            }
        }
        let error = LocalFileWriter::create(&pipe).map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let error = LocalStorage.open(dir.path()).map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn all_that_is_written_is_there_once_it_is_synced() {
        const BUFFER: usize = LocalFileWriter::BUFFER;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = LocalFileWriter::create(&path).unwrap();
        let mut expected = Vec::new();
        // inline, then by a thread, inline again, and by a thread
        for lens in [&[3, 70, 0][..], &[BUFFER / 3; 60], &[9], &[1, 3 * BUFFER, 5, BUFFER, BUFFER, 7]] {
            for (seed, &len) in (0..).zip(lens) {
                let piece = bytes(seed, len);
                file.write_all(&piece).unwrap();
                expected.extend(piece);
            }
            let is_long = lens.len() > 3;
            assert_eq!(matches!(file.state, WriterState::Threaded(_)), is_long, "{} pieces", lens.len());
            file.sync().unwrap();
            assert!(fs::read(&path).unwrap() == expected);
        }
    }

    #[test]
    fn dropping_the_writer_writes_all_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for pieces in [1, 3, 40] {
            let mut file = LocalFileWriter::create(&path).unwrap();
            let pieces = (0..pieces).map(|seed| bytes(seed, LocalFileWriter::BUFFER / 2)).collect::<Vec<_>>();
            pieces.iter().for_each(|piece| file.write_all(piece).unwrap());
            drop(file);
            assert!(fs::read(&path).unwrap() == pieces.concat());
        }
    }

    #[test]
    fn a_forked_process_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = LocalFileWriter::create(&path).unwrap();
        file.write_all(&bytes(1, 100)).unwrap();
        file.owner = Owner::other();
        assert_eq!(file.sync().unwrap_err().kind(), io::ErrorKind::Unsupported);
        let again = file.write_all(&bytes(1, LocalFileWriter::BUFFER)).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::Unsupported);
        drop(file);
        assert!(fs::read(&path).unwrap().is_empty());
    }

    #[test]
    fn files_of_other_programs_are_synced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "bytes").unwrap();
        LocalStorage.sync_file(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"bytes");
        let absent = LocalStorage.sync_file(&dir.path().join("absent"));
        assert_eq!(absent.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn file_systems_without_syncs_of_directories_are_written() {
        let dir = Path::new("/proc");
        assert_eq!(File::open(dir).unwrap().sync_all().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        LocalStorage.sync_dir(dir).unwrap();
        let absent = LocalStorage.sync_dir(&dir.join("absent"));
        assert_eq!(absent.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_fails_every_later_sync() {
        for pieces in [1, 5, 40] {
            let mut file = LocalFileWriter::create("/dev/full").unwrap();
            let piece = bytes(1, LocalFileWriter::BUFFER / 2);
            let written = (0..pieces).try_for_each(|_| file.write_all(&piece)).and_then(|()| file.sync());
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
            file.sync().unwrap_err();
            let mut more = (0..pieces).map(|_| file.write_all(&piece));
            assert!(pieces < 5 || more.any(|written| written.is_err()));
            file.sync().unwrap_err();
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_fails_the_writer_thread() {
        let full = WriteBehind::new(File::options().write(true).open("/dev/full").unwrap());
        let mut thread = WriterThread::begin(full).unwrap();
        let failed = loop {
            match thread.write(bytes(1, 100)) {
                Ok((same, _)) => thread = same,
                Err(error) => break error,
            }
        };
        assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
    }
}
