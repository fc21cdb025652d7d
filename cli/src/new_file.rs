//! Creates files atomically, even if a signal such as Ctrl-C ends the program.
//!
//! This module keeps a list of the temporary files. A signal that ends the program removes them first.

use crate::failure::CommandError;
use crate::file_sum::{FileSum, Summing};
use crate::probe;
use crate::rename::rename_new;
use crate::vfs::{self, check_writable};
use hregion::Storage;
use hregion::io::{
    DirEntry, FileLock, FileReader, FileWriter, LogFile, ScratchFile, name_unfinished, remove_unfinished,
};
use hregion::region::FileKind;
use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The temporary files and directories to be removed.
static ASIDE: Mutex<TemporaryFile> = Mutex::new(TemporaryFile { paths: BTreeMap::new(), is_watched: false });

/// The lock is held while a file is created or renamed, so that the set is accurate whenever the lock is
/// free. The signal handler holds it until the program ends.
#[derive(Debug)]
struct TemporaryFile {
    /// Each with the number of directories above that are removed with it, if nothing else is in them.
    paths: BTreeMap<PathBuf, usize>,
    /// Whether signals are handled.
    is_watched: bool,
}

fn aside() -> MutexGuard<'static, TemporaryFile> {
    ASIDE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates a temporary file or directory that a signal removes, until it is [released](release) or
/// [named](give_name).
pub(crate) fn make<T>(path: &Path, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    make_below(path, 0, make)
}

/// Like [`make`]. A signal also removes that many directories above, if nothing else is in them.
pub(crate) fn make_below<T>(
    path: &Path,
    levels: usize,
    make: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let mut aside = aside();
    if !aside.is_watched {
        watch_signals()?;
        aside.is_watched = true;
    }
    let made = make()?;
    aside.paths.insert(path.to_owned(), levels);
    Ok(made)
}

/// Removes that many directories above a path, up to the first that has other files.
pub(crate) fn remove_empty_above(path: &Path, levels: usize) {
    for dir in path.ancestors().skip(1).take(levels) {
        if fs::remove_dir(dir).is_err() {
            break;
        }
    }
}

/// Stops tracking a path that was removed.
pub(crate) fn release(path: &Path) {
    aside().paths.remove(path);
}

/// Gives a temporary file its name by `rename`. A signal before removes it; a signal after leaves it alone.
pub(crate) fn give_name(path: &Path, rename: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let mut aside = aside();
    rename()?;
    aside.paths.remove(path);
    Ok(())
}

/// Runs `work` without interruption by a signal.
pub(crate) fn undisturbed<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let _aside = aside();
    work()
}

/// Starts the thread that removes temporary files when a signal ends the program.
#[cfg(unix)]
fn watch_signals() -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use std::sync::mpsc;

    let (send, receive) = mpsc::channel::<Signals>();
    // The thread starts before signals are caught: a caught signal that no thread waits for would be lost.
    std::thread::Builder::new().name("hregion-signals".into()).spawn(move || {
        let Ok(mut signals) = receive.recv() else { return };
        let Some(signal) = signals.forever().next() else { return };
        let aside = aside();
        for (path, levels) in &aside.paths {
            if path.is_dir() {
                remove_used_dir(path);
            } else {
                let _ = fs::remove_file(path);
            }
            remove_empty_above(path, *levels);
        }
        std::process::exit(128 + signal);
    })?;
    // A signal that is ignored stays so: SIGHUP under `nohup`, SIGINT in the background of a script. If the
    // ignored signals are unknown, SIGHUP is not caught.
    let known = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    let ignored = known.unwrap_or(1 << (SIGHUP - 1));
    let ends = |signal: &i32| ignored >> (signal - 1) & 1 == 0;
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM].into_iter().filter(ends))?;
    send.send(signals).map_err(|_| io::Error::other("the thread for signals has stopped"))
}

/// Removes a directory while other threads may add files to it.
#[cfg(unix)]
fn remove_used_dir(path: &Path) {
    for _ in 0..100 {
        let removed = fs::remove_dir_all(path);
        if !removed.is_err_and(|error| error.kind() == io::ErrorKind::DirectoryNotEmpty) {
            break;
        }
    }
}

/// Parses the set of ignored signals from the status of a process on Linux; the lowest bit is signal 1. Other
/// systems have no such file.
#[cfg(unix)]
fn ignored(status: &str) -> Option<u64> {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
}

#[cfg(not(unix))]
fn watch_signals() -> io::Result<()> {
    Ok(())
}

/// All files, with tracking of temporary local ones. Replaces existing files only if allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputStorage {
    /// Whether an existing file may be replaced.
    pub(crate) replace: bool,
}

impl OutputStorage {
    pub(crate) fn shared(replace: bool) -> Arc<dyn Storage> {
        Arc::new(Self { replace })
    }

    /// Creates a file. A remote one is not removed by a signal.
    fn make<T>(path: &Path, create: impl FnOnce(&dyn Storage) -> io::Result<T>) -> io::Result<T> {
        let files = vfs::storage();
        if vfs::is_url(path) { create(&*files) } else { make(path, || create(&*files)) }
    }
}

impl Storage for OutputStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        vfs::storage().open(path)
    }

    /// Creates a file under its final name, as in a storage without renames.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        if !self.replace {
            return self.create_new(path);
        }
        Self::make(path, |files| files.create(path))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        Self::make(path, |files| files.create_new(path))
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Self::make(path, |files| files.create_log(path))
    }

    fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
        vfs::storage().create_scratch(path, len)
    }

    fn can_rename(&self, path: &Path) -> bool {
        vfs::storage().can_rename(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match (vfs::is_url(from), self.replace) {
            (true, true) => vfs::storage().rename(from, to),
            (true, false) => self.rename_new(from, to),
            (false, true) => give_name(from, || vfs::storage().rename(from, to)),
            (false, false) => give_name(from, || rename_new(from, to)),
        }
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        vfs::storage().rename_new(from, to)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        vfs::storage().hard_link(original, link)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        vfs::storage().remove(path)?;
        release(path);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        vfs::storage().remove_dir(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        vfs::storage().sync_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        vfs::storage().sync_dir(path)
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        vfs::storage().list_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        vfs::storage().create_dir_all(path)
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        vfs::storage().end_writing(path)
    }

    fn full_path(&self, path: &Path, follow_links: bool) -> io::Result<PathBuf> {
        vfs::storage().full_path(path, follow_links)
    }

    fn can_hide_writes(&self, path: &Path) -> bool {
        vfs::storage().can_hide_writes(path)
    }

    fn can_read_removed(&self) -> bool {
        vfs::storage().can_read_removed()
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        vfs::storage().lock(path)
    }
}

/// Fails if the output exists and must not be replaced, or is not a regular file, or is one of the inputs, or
/// a file of HBase in one. Otherwise removes temporary files that a dead process has left for it.
pub(crate) fn check_output(path: &Path, force: bool, inputs: &[PathBuf]) -> Result<(), CommandError> {
    check_new(path, force, inputs)?;
    if !vfs::is_url(path) {
        remove_unfinished(path, false);
    }
    Ok(())
}

fn check_new(path: &Path, force: bool, inputs: &[PathBuf]) -> Result<(), CommandError> {
    check_writable(path)?;
    if !probe::exists(path)? {
        // A file would be refused this name at the end, when everything has been read.
        let name = path.as_os_str().as_encoded_bytes();
        if !vfs::is_url(path) && (name.ends_with(b"/") || name.ends_with(b"/.")) {
            return Err(CommandError::invalid_file(path, "expected the name of a file, not of a directory"));
        }
        // The error of the temporary file would name that, and some commands create it last.
        let dir = directory(path);
        if !vfs::is_url(path) && !probe::is_dir(dir)? {
            return Err(CommandError::no_such_dir(dir));
        }
        return Ok(());
    }
    // An object may have the name of a directory, which then cannot be listed.
    if vfs::is_url(path) && probe::is_dir(path)? {
        return Err(CommandError::invalid_file(path, "is a directory"));
    }
    for input in inputs {
        if is_of_input(path, input)? {
            let message = "the output is the input, which is never changed";
            return Err(CommandError::invalid_file(path, message));
        }
    }
    if !vfs::is_url(path) && probe::is_special(path)? {
        return Err(CommandError::invalid_file(path, "not a regular file, and not replaced"));
    }
    check_force(path, force)
}

/// Fails if something that exists must not be replaced.
pub(crate) fn check_force(path: &Path, force: bool) -> Result<(), CommandError> {
    if force {
        return Ok(());
    }
    Err(CommandError::invalid_file(path, "already exists").with_hint(Some("use --force to replace it")))
}

/// Whether a file is an input, or one of the files of HBase below a directory that is an input.
fn is_of_input(path: &Path, input: &Path) -> Result<bool, CommandError> {
    let (Ok(path), Ok(input)) = (vfs::full(path), vfs::full(input)) else { return Ok(false) };
    if !path.starts_with(&input) {
        return Ok(false);
    }
    Ok(path == input || FileKind::of(&OutputStorage::shared(false), &path)? != FileKind::Unknown)
}

/// Returns 32 random hexadecimal digits, the form of HBase's file names.
pub(crate) fn random_name() -> String {
    // each state is seeded by the system
    let half = |salt: u32| RandomState::new().hash_one((salt, std::process::id()));
    format!("{:016x}{:016x}", half(0), half(1))
}

/// Returns the directory of a file.
pub(crate) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// A text file being written under a temporary name, or where no file can be renamed under its own, by which
/// it appears when it is complete.
#[derive(Debug)]
pub(crate) struct NewText {
    out: BufWriter<AsideFile>,
    path: PathBuf,
    /// The temporary name.
    aside: Option<PathBuf>,
    storage: OutputStorage,
}

/// Adapts the library's file to [`Write`].
#[derive(Debug)]
struct AsideFile {
    file: Box<dyn FileWriter>,
    sum: Summing,
}

impl Write for AsideFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.sum.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewText {
    pub(crate) fn create(path: &Path, replace: bool) -> Result<Self, CommandError> {
        if path.file_name().is_none() {
            return Err(CommandError::invalid_file(path, "not the name of a file"));
        }
        let storage = OutputStorage { replace };
        let aside = storage.can_rename(path).then(|| name_unfinished(path));
        let created = match &aside {
            Some(aside) => storage.create_new(aside).inspect_err(|error| {
                if error.kind() != io::ErrorKind::AlreadyExists {
                    // It may have been created although the response was lost.
                    let _ = storage.remove(aside);
                }
            }),
            None => storage.create(path),
        };
        let file = created.map_err(|error| CommandError::io("create", path, &error))?;
        let out = BufWriter::with_capacity(128 << 10, AsideFile { file, sum: Summing::new(false) });
        Ok(Self { out, path: path.to_owned(), aside, storage })
    }

    /// Like [`create`](Self::create), with the SHA-256 of what is written.
    pub(crate) fn create_hashed(path: &Path, replace: bool) -> Result<Self, CommandError> {
        let mut text = Self::create(path, replace)?;
        text.out.get_mut().sum = Summing::new(true);
        Ok(text)
    }

    /// Syncs the text and renames it into place. Returns its sum.
    pub(crate) fn persist(mut self) -> Result<FileSum, CommandError> {
        let fault = |doing: &str, path: &Path, error: io::Error| CommandError::io(doing, path, &error);
        let name = self.aside.as_deref().unwrap_or(&self.path);
        self.out.flush().map_err(|error| fault("write", name, error))?;
        self.out.get_mut().file.sync().map_err(|error| fault("sync", name, error))?;
        if let Some(aside) = &self.aside {
            let renamed = self.storage.rename(aside, &self.path);
            renamed.map_err(|error| fault("create", &self.path, error))?;
            self.aside = None;
        }
        let dir = directory(&self.path);
        self.storage.sync_dir(dir).map_err(|error| fault("sync", dir, error))?;
        Ok(self.out.get_ref().sum.sum())
    }
}

impl Write for NewText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for NewText {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            // a failure cannot be reported here
            let _ = self.storage.remove(aside);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_ignored_signals_are_those_of_the_process() {
        let status = "SigBlk:\t0000000000000004\nSigIgn:\t0000000000001003\nSigCgt:\t0000000180004000\n";
        assert_eq!(ignored(status), Some(0x1003));
        assert_eq!([ignored(""), ignored("SigIgn:\tx\n")], [None, None]);
    }
}
