//! A progress bar on standard error, for long jobs.

use crate::vfs;
use hregion::FileIdentity;
use hregion::io::{DirEntry, FileLock, FileReader, FileWriter, LogFile, ScratchFile, Storage};
use indicatif::{ProgressBar, ProgressBarIter, ProgressDrawTarget, ProgressStyle};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A bar of bytes read, with rate and time left. Draws nothing if standard error is not a terminal.
#[derive(Clone, Debug)]
pub(crate) struct Progress(ProgressBar);

const TEMPLATE: &str = "{bar:32} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
const UNKNOWN: &str = "{spinner} {bytes}  {bytes_per_sec}";

impl Progress {
    pub(crate) fn none() -> Self {
        Self(ProgressBar::hidden())
    }

    pub(crate) fn start(bytes: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self(bar)
    }

    /// Starts a bar for an unknown number of bytes.
    pub(crate) fn start_unknown() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let style =
            ProgressStyle::with_template(UNKNOWN).unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        Self(bar)
    }

    /// Runs `work` while the bar is hidden.
    pub(crate) fn suspend<R>(&self, work: impl FnOnce() -> R) -> R {
        self.0.suspend(work)
    }

    /// Wraps a file so that reads advance the bar.
    pub(crate) fn watch(&self, file: Arc<dyn FileReader>) -> Arc<dyn FileReader> {
        if self.0.is_hidden() {
            return file;
        }
        Arc::new(Watched { file, bar: self.0.clone() })
    }

    /// Returns the local and the remote files, with reads that advance the bar.
    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        if self.0.is_hidden() {
            return vfs::storage();
        }
        Arc::new(WatchedStorage { progress: self.clone(), files: vfs::storage() })
    }

    /// Wraps a reader so that reads advance the bar.
    pub(crate) fn watch_read<R: Read>(&self, read: R) -> ProgressBarIter<R> {
        self.0.wrap_read(read)
    }
}

#[derive(Debug)]
struct Watched {
    file: Arc<dyn FileReader>,
    bar: ProgressBar,
}

impl FileReader for Watched {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.file.identity()
    }

    fn is_remote(&self) -> bool {
        self.file.is_remote()
    }

    fn may_read_ahead(&self) -> bool {
        self.file.may_read_ahead()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        // the index and the tail are read as well, and some bytes twice: the position must not exceed the end
        let end = self.bar.length().unwrap_or(u64::MAX);
        let position = self.bar.position().saturating_add(buf.len() as u64);
        self.bar.set_position(position.min(end));
        self.file.read_exact_at(buf, offset)
    }
}

#[derive(Debug)]
struct WatchedStorage {
    progress: Progress,
    files: Arc<dyn Storage>,
}

impl Storage for WatchedStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        Ok(self.progress.watch(self.files.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.files.create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.files.create_new(path)
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        self.files.create_log(path)
    }

    fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
        self.files.create_scratch(path, len)
    }

    fn can_rename(&self, path: &Path) -> bool {
        self.files.can_rename(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename_new(from, to)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.files.hard_link(original, link)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.files.remove_dir(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.files.sync_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.files.sync_dir(path)
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.files.list_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.files.create_dir_all(path)
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        self.files.end_writing(path)
    }

    fn full_path(&self, path: &Path, follow_links: bool) -> io::Result<PathBuf> {
        self.files.full_path(path, follow_links)
    }

    fn can_hide_writes(&self, path: &Path) -> bool {
        self.files.can_hide_writes(path)
    }

    fn can_read_removed(&self) -> bool {
        self.files.can_read_removed()
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.files.lock(path)
    }
}
