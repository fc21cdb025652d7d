//! Files that come into being as a whole or not at all, even if somebody presses Ctrl-C.
//!
//! What is written aside is known here. A signal that ends the program removes it first.

use crate::failure::Fault;
use hregion::Storage;
use hregion::io::{DirEntry, FileLock, FileReader, FileWriter, LocalStorage};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

/// What must not be left behind. Whoever makes such a thing holds the lock until it is in the set, and so does the
/// handler of signals until the program is at its end.
static ASIDE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn aside() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    handle_signals();
    ASIDE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes something that a signal removes again, until it is [kept](release).
pub(crate) fn make<T>(path: &Path, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut aside = aside();
    let made = make()?;
    aside.insert(path.to_owned());
    Ok(made)
}

/// Lets go of something: it has its name, or it is gone.
pub(crate) fn release(path: &Path) {
    aside().remove(path);
}

#[cfg(unix)]
fn handle_signals() {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // without a handler signals do what they always do
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
        std::thread::spawn(move || {
            let Some(signal) = signals.forever().next() else { return };
            let aside = ASIDE.lock().unwrap_or_else(PoisonError::into_inner);
            for path in aside.iter() {
                let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
            std::process::exit(128 + signal);
        });
    });
}

#[cfg(not(unix))]
fn handle_signals() {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {});
}

/// The local file system, on which nothing half-written is left and nothing is replaced unless it is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputStorage {
    /// Whether a file that is there may be replaced.
    pub(crate) replace: bool,
}

impl OutputStorage {
    pub(crate) fn shared(replace: bool) -> Arc<dyn Storage> {
        Arc::new(Self { replace })
    }
}

impl Storage for OutputStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        LocalStorage.open(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        make(path, || LocalStorage.create(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if !self.replace && to.symlink_metadata().is_ok() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it has come into being meanwhile"));
        }
        LocalStorage.rename(from, to)?;
        release(from);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalStorage.remove(path)?;
        release(path);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        LocalStorage.remove_dir(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        LocalStorage.sync_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        LocalStorage.sync_dir(path)
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        LocalStorage.list_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        LocalStorage.create_dir_all(path)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        LocalStorage.lock(path)
    }
}

/// Fails if the output is there and is not to be replaced, or if it is one of the inputs.
pub(crate) fn check_output(path: &Path, force: bool, inputs: &[PathBuf]) -> Result<(), Fault> {
    if let Some((scheme, _)) = path.to_str().and_then(|path| path.split_once("://")) {
        return Err(Fault::unsupported(path, format!("{scheme}: object stores are not built in")));
    }
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let same = |input: &PathBuf| {
        let (input, output) = (input.canonicalize(), path.canonicalize());
        input.is_ok_and(|input| output.is_ok_and(|output| input == output))
    };
    if inputs.iter().any(same) {
        return Err(Fault::invalid_file(path, "the output is the input, which is never changed"));
    }
    if !force {
        return Err(Fault::invalid_file(path, "it exists").with_hint(Some("--force replaces it")));
    }
    Ok(())
}

/// The directory of a file.
pub(crate) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// A text that is being written aside.
#[derive(Debug)]
pub(crate) struct NewText {
    out: BufWriter<Aside>,
    path: PathBuf,
    aside: PathBuf,
    storage: OutputStorage,
    kept: bool,
}

/// A file of the library, as one of the system's.
#[derive(Debug)]
struct Aside(Box<dyn FileWriter>);

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewText {
    pub(crate) fn create(path: &Path, replace: bool) -> Result<Self, Fault> {
        let Some(name) = path.file_name() else {
            return Err(Fault::invalid_file(path, "not the name of a file"));
        };
        let mut name = name.to_owned();
        name.push(".tmp");
        let (aside, storage) = (path.with_file_name(name), OutputStorage { replace });
        let file = storage.create(&aside).map_err(|error| Fault::io("create", &aside, &error))?;
        let out = BufWriter::with_capacity(128 << 10, Aside(file));
        Ok(Self { out, path: path.to_owned(), aside, storage, kept: false })
    }

    /// Sees the text onto the disk and gives it its name.
    pub(crate) fn keep(mut self) -> Result<(), Fault> {
        let fault = |doing: &str, path: &Path, error: io::Error| Fault::io(doing, path, &error);
        self.out.flush().map_err(|error| fault("write", &self.aside, error))?;
        self.out.get_mut().0.sync().map_err(|error| fault("sync", &self.aside, error))?;
        self.storage.rename(&self.aside, &self.path).map_err(|error| fault("create", &self.path, error))?;
        self.kept = true;
        let dir = directory(&self.path);
        self.storage.sync_dir(dir).map_err(|error| fault("sync", dir, error))
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
        if !self.kept {
            // nobody is left to tell if it fails
            let _ = self.storage.remove(&self.aside);
        }
    }
}
