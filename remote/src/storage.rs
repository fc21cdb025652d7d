//! Remote files as a file system that is only read.

use crate::blocking::Blocking;
use crate::file::RemoteFile;
#[cfg(feature = "hdfs")]
use crate::hdfs;
use crate::location::{Location, Scheme};
#[cfg(feature = "objects")]
use crate::objects;
use crate::options::RemoteOptions;
use crate::read_ahead::Budget;
use crate::source::Source;
use crate::stats::{Counters, RemoteStats};
use hregion::io::{FileWriter, LogFile};
use hregion::{DirEntry, FileLock, FileReader, Storage};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Remote files as a file system that is only read. Paths are URLs; clones share connections.
///
/// ```no_run
/// use hregion::{Scan, Table, Region};
/// use hregion_remote::RemoteOptions;
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let storage = Arc::new(RemoteOptions::default().build()?);
/// let options = Region::options().storage(storage);
/// let table = Table::open_dir("s3://bucket/hbase/data/default/t", options)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RemoteStorage {
    shared: Arc<Shared>,
}

/// What the files of a storage share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: RemoteOptions,
    pub(crate) blocking: Blocking,
    pub(crate) budget: Arc<Budget>,
    counters: Arc<Counters>,
    sources: Mutex<HashMap<(Scheme, String), Arc<dyn Source>>>,
}

impl RemoteStorage {
    pub(crate) fn new(options: RemoteOptions) -> io::Result<Self> {
        let blocking = Blocking::new(options.deadline)?;
        let budget = Budget::new(options.total_read_ahead_bytes);
        let (counters, sources) = (Arc::default(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { options, blocking, budget, counters, sources }) })
    }

    /// Returns what was requested so far.
    #[must_use]
    pub fn stats(&self) -> RemoteStats {
        self.shared.counters.stats()
    }

    /// Looks a file or directory up; `None` if there is neither. In an object store, a directory is there if
    /// an object is in it.
    ///
    /// # Errors
    ///
    /// Any error of the server; [`io::ErrorKind::InvalidInput`] or [`io::ErrorKind::Unsupported`] as
    /// [`check_url`](crate::check_url).
    pub fn status(&self, path: &Path) -> io::Result<Option<DirEntry>> {
        let (location, source) = self.source(path)?;
        let key = location.key;
        let status = self.shared.blocking.run(async move { source.status(&key).await })?;
        Ok(status.map(|status| DirEntry {
            name: path.file_name().map_or_else(OsString::new, OsString::from),
            len: status.len,
            is_dir: status.is_dir,
            is_symlink: false,
            modified_millis: status.modified_millis,
        }))
    }

    /// Whether there is a directory. In an object store, this takes fewer requests than
    /// [`status`](Self::status).
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status).
    pub fn is_dir(&self, path: &Path) -> io::Result<bool> {
        let (location, source) = self.source(path)?;
        self.shared.blocking.run(async move { source.is_dir(&location.key).await })
    }

    /// Returns the place of a path, connected to only once.
    fn source(&self, path: &Path) -> io::Result<(Location, Arc<dyn Source>)> {
        let location = Location::parse(path)?;
        let place = (location.scheme, location.authority.clone());
        let mut sources = self.shared.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get(&place) {
            return Ok((location, Arc::clone(source)));
        }
        let source = self.connect(&location)?;
        sources.insert(place, Arc::clone(&source));
        Ok((location, source))
    }

    fn connect(&self, location: &Location) -> io::Result<Arc<dyn Source>> {
        let counters = Arc::clone(&self.shared.counters);
        match location.scheme {
            #[cfg(feature = "hdfs")]
            Scheme::Hdfs => {
                hdfs::connect(location, &self.shared.options, counters, self.shared.blocking.handle())
            }
            #[cfg(feature = "objects")]
            _ => objects::connect(location, &self.shared.options, counters),
            #[cfg(not(feature = "objects"))]
            _ => {
                drop(counters);
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }
}

impl fmt::Debug for RemoteStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStorage").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

impl Storage for RemoteStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        let (location, source) = self.source(path)?;
        let tail = self.shared.options.tail_bytes;
        let (key, opener) = (location.key.clone(), Arc::clone(&source));
        let opened = self.shared.blocking.run(async move { opener.open(&key, tail).await })?;
        Ok(Arc::new(RemoteFile::new(path, location, source, Arc::clone(&self.shared), opened)?))
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let (location, source) = self.source(path)?;
        let mut entries = self.shared.blocking.run(async move { source.list(&location.key).await })?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create(&self, _: &Path) -> io::Result<Box<dyn FileWriter>> {
        Err(read_only("creating a file"))
    }

    fn create_new(&self, _: &Path) -> io::Result<Box<dyn FileWriter>> {
        Err(read_only("creating a file"))
    }

    fn create_log(&self, _: &Path) -> io::Result<Box<dyn LogFile>> {
        Err(read_only("creating a log"))
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(read_only("renaming"))
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(read_only("removing a file"))
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Err(read_only("removing a directory"))
    }

    fn sync_file(&self, _: &Path) -> io::Result<()> {
        Err(read_only("syncing a file"))
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Err(read_only("syncing a directory"))
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Err(read_only("creating a directory"))
    }

    fn lock(&self, _: &Path) -> io::Result<FileLock> {
        Err(read_only("locking"))
    }
}

fn read_only(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("remote files are only read: {what} is refused"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_write_are_refused_by_name() {
        let storage = RemoteOptions::default().build().unwrap();
        let path = Path::new("s3://b/a");
        let errors = [
            storage.create(path).unwrap_err(),
            storage.create_new(path).unwrap_err(),
            storage.create_log(path).unwrap_err(),
            storage.rename(path, path).unwrap_err(),
            storage.remove(path).unwrap_err(),
            storage.remove_dir(path).unwrap_err(),
            storage.sync_file(path).unwrap_err(),
            storage.sync_dir(path).unwrap_err(),
            storage.create_dir_all(path).unwrap_err(),
            storage.lock(path).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains("is refused"), "{error}");
        }
        assert_eq!(storage.stats(), RemoteStats::default());
    }
}
