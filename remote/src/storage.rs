//! Remote files as a file system. Web servers can only be read.

use crate::blocking::Blocking;
use crate::file::RemoteFile;
#[cfg(feature = "hdfs")]
use crate::hdfs::{self, default_authority};
use crate::location::{Location, Scheme};
#[cfg(feature = "objects")]
use crate::objects;
use crate::options::RemoteOptions;
use crate::read_ahead::Budget;
use crate::source::Source;
use crate::stats::{Counters, RemoteStats};
use crate::target::{Target, TargetPath};
use hregion::io::{FileWriter, LogFile};
use hregion::{DirEntry, FileLock, FileReader, Storage};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Remote files as a file system. Paths are URLs; clones share connections.
///
/// Files of S3 and HDFS can also be written. Calls that change files elsewhere fail with
/// [`ErrorKind::Unsupported`](io::ErrorKind::Unsupported).
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

/// State shared by the files of a storage.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: RemoteOptions,
    pub(crate) blocking: Blocking,
    pub(crate) budget: Arc<Budget>,
    counters: Arc<Counters>,
    endpoints: Mutex<HashMap<(Scheme, String), Endpoint>>,
    /// The authority of the default file system of HDFS, after its first use.
    default_fs: OnceLock<String>,
}

impl Drop for Shared {
    /// In a forked process, keeps the connections of the other one: their end would wait for what its threads
    /// may have locked.
    fn drop(&mut self) {
        if self.blocking.is_forked() {
            mem::forget(mem::take(self.endpoints.get_mut().unwrap_or_else(PoisonError::into_inner)));
        }
    }
}

/// A bucket, a web server or a name service.
#[derive(Clone, Debug)]
struct Endpoint {
    source: Arc<dyn Source>,
    /// `None` if files are only read.
    target: Option<Arc<dyn Target>>,
}

impl RemoteStorage {
    pub(crate) fn new(options: RemoteOptions) -> io::Result<Self> {
        let blocking = Blocking::new(options.deadline)?.while_reading(options.while_reading.clone());
        let budget = Budget::new(options.total_read_ahead_bytes);
        let (counters, endpoints, default_fs) = (Arc::default(), Mutex::default(), OnceLock::new());
        let shared = Shared { options, blocking, budget, counters, endpoints, default_fs };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns the counts of requests so far.
    #[must_use]
    pub fn stats(&self) -> RemoteStats {
        self.shared.counters.stats()
    }

    /// Looks a file or directory up; `None` if neither exists. In an object store, a directory exists if an
    /// object is in it.
    ///
    /// # Errors
    ///
    /// Any error of the server; [`io::ErrorKind::InvalidInput`] or [`io::ErrorKind::Unsupported`] in the
    /// cases of [`check_url`](crate::check_url).
    pub fn status(&self, path: &Path) -> io::Result<Option<DirEntry>> {
        let (location, source) = self.source(path)?;
        let key = location.key;
        let status = self.shared.blocking.read(async move { source.status(&key).await })?;
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
    /// Any error of the server; [`io::ErrorKind::InvalidInput`] or [`io::ErrorKind::Unsupported`] in the
    /// cases of [`check_url`](crate::check_url).
    pub fn is_dir(&self, path: &Path) -> io::Result<bool> {
        let (location, source) = self.source(path)?;
        self.shared.blocking.read(async move { source.is_dir(&location.key).await })
    }

    fn source(&self, path: &Path) -> io::Result<(Location, Arc<dyn Source>)> {
        self.endpoint(path).map(|(location, endpoint)| (location, endpoint.source))
    }

    /// Returns the location of a path, in which the default file system of HDFS has its name.
    fn locate(&self, path: &Path) -> io::Result<Location> {
        let location = Location::parse(path)?;
        if location.scheme != Scheme::Hdfs || !location.authority.is_empty() {
            return Ok(location);
        }
        let authority = match self.shared.default_fs.get() {
            Some(authority) => authority.clone(),
            None => {
                let authority = default_authority(&self.shared.options)?;
                self.shared.default_fs.get_or_init(|| authority).clone()
            }
        };
        Ok(Location { authority, ..location })
    }

    /// Returns the endpoint of a path. Connects to each endpoint once.
    fn endpoint(&self, path: &Path) -> io::Result<(Location, Endpoint)> {
        let location = self.locate(path)?;
        let name = (location.scheme, location.authority.clone());
        let endpoints = || self.shared.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let known = endpoints().get(&name).cloned();
        if let Some(endpoint) = known {
            return Ok((location, endpoint));
        }
        // This may wait for a server. Another thread may have connected: all locks must be of one connection.
        let connected = self.connect(&location)?;
        let endpoint = endpoints().entry(name).or_insert(connected).clone();
        Ok((location, endpoint))
    }

    fn connect(&self, location: &Location) -> io::Result<Endpoint> {
        let counters = Arc::clone(&self.shared.counters);
        match location.scheme {
            #[cfg(feature = "hdfs")]
            Scheme::Hdfs => {
                let Shared { options, blocking, .. } = &*self.shared;
                let (source, target) = hdfs::connect(location, options, counters, blocking)?;
                Ok(Endpoint { source, target: Some(target) })
            }
            #[cfg(feature = "objects")]
            _ => {
                let (source, target) = objects::connect(location, &self.shared.options, counters)?;
                Ok(Endpoint { source, target })
            }
            #[cfg(not(feature = "objects"))]
            _ => {
                drop(counters);
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }

    /// Calls `change` with the target and the key of a path. Fails if its files can only be read; `what`
    /// names the change.
    fn change<T>(
        &self,
        path: &Path,
        what: &str,
        change: impl FnOnce(Arc<dyn Target>, TargetPath<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        // Nothing is connected to for a refusal.
        if matches!(Location::parse(path)?.scheme, Scheme::Http | Scheme::Https) {
            return Err(read_only(what));
        }
        let (location, endpoint) = self.endpoint(path)?;
        let target = endpoint.target.ok_or_else(|| read_only(what))?;
        change(target, TargetPath { path, key: &location.key, shared: &self.shared })
    }

    fn rename_if(&self, from: &Path, to: &Path, replaces: bool) -> io::Result<()> {
        self.change(from, "renaming", |target, file| {
            let (of, new) = (self.locate(from)?, self.locate(to)?);
            if (of.scheme, of.authority) != (new.scheme, new.authority) {
                return Err(io::ErrorKind::CrossesDevices.into());
            }
            target.rename(file, &new.key, replaces)
        })
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
        let opened = self.shared.blocking.read(async move { opener.open(&key, tail).await })?;
        Ok(Arc::new(RemoteFile::new(path, location, source, Arc::clone(&self.shared), opened)?))
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let (location, source) = self.source(path)?;
        let mut entries = self.shared.blocking.read(async move { source.list(&location.key).await })?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.change(path, "creating a file", |target, file| target.create(file, true))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.change(path, "creating a file", |target, file| target.create(file, false))
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        self.change(path, "creating a log", |target, file| target.create_log(file))
    }

    fn can_rename(&self, path: &Path) -> bool {
        Location::parse(path).is_ok_and(|location| location.scheme == Scheme::Hdfs)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename_if(from, to, true)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename_if(from, to, false)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(path, "removing a file", |target, file| target.remove(file))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.change(path, "removing a directory", |target, dir| target.remove_dir(dir))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.change(path, "syncing a file", |target, file| target.sync_file(file))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.change(path, "syncing a directory", |target, dir| target.sync_dir(dir))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change(path, "creating a directory", |target, dir| target.create_dir_all(dir))
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        self.change(path, "ending the writing of a file", |target, file| target.end_writing(file))
    }

    /// The name node counts the last block of a file when the file is closed.
    fn can_hide_writes(&self, path: &Path) -> bool {
        Location::parse(path).is_ok_and(|location| location.scheme == Scheme::Hdfs)
    }

    fn full_path(&self, path: &Path, _follow_links: bool) -> io::Result<PathBuf> {
        Ok(self.locate(path)?.full_path())
    }

    /// Files are found by their path at each read.
    fn can_read_removed(&self) -> bool {
        false
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.change(path, "locking", |target, file| target.lock(file))
    }
}

#[cfg(not(feature = "hdfs"))]
fn default_authority(_: &RemoteOptions) -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}

fn read_only(what: &str) -> io::Error {
    let message = format!("files on web servers can only be read: {what} is refused");
    io::Error::new(io::ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "http")]
    #[test]
    fn a_forked_process_ends_no_connection() {
        for (is_forked, left) in [(false, 1), (true, 2)] {
            let mut storage = RemoteOptions::default().build().unwrap();
            let (_, Endpoint { source, .. }) = storage.endpoint(Path::new("http://host/a")).unwrap();
            if is_forked {
                Arc::get_mut(&mut storage.shared).unwrap().blocking.fork();
            }
            drop(storage);
            assert_eq!(Arc::strong_count(&source), left);
        }
    }

    /// Otherwise files could not be moved between both names.
    #[cfg(feature = "hdfs")]
    #[test]
    fn the_default_file_system_is_that_of_its_name() {
        for (url, full) in [
            ("hdfs://ns", "hdfs://ns/a"),
            ("hdfs://host:8020/", "hdfs://host/a"),
            ("hdfs://host:9000", "hdfs://host:9000/a"),
            ("file:///", "hdfs:///a"),
        ] {
            let storage = RemoteOptions::default().setting("fs.defaultFS", url).build().unwrap();
            for _ in 0..2 {
                assert_eq!(storage.full_path(Path::new("hdfs:///a"), false).unwrap(), Path::new(full));
            }
            assert_eq!(storage.full_path(Path::new("hdfs://b/a"), false).unwrap(), Path::new("hdfs://b/a"));
        }
    }

    #[test]
    fn calls_that_write_are_refused_by_name() {
        let storage = RemoteOptions::default().build().unwrap();
        let path = Path::new("http://b/a");
        let errors = [
            storage.create(path).unwrap_err(),
            storage.create_new(path).unwrap_err(),
            storage.create_log(path).unwrap_err(),
            storage.rename(path, path).unwrap_err(),
            storage.rename_new(path, path).unwrap_err(),
            storage.remove(path).unwrap_err(),
            storage.remove_dir(path).unwrap_err(),
            storage.sync_file(path).unwrap_err(),
            storage.sync_dir(path).unwrap_err(),
            storage.create_dir_all(path).unwrap_err(),
            storage.end_writing(path).unwrap_err(),
            storage.lock(path).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(error.to_string().contains("is refused"), "{error}");
        }
        assert_eq!(storage.stats(), RemoteStats::default());
    }
}
