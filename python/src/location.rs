//! The location of files: in the local file system, or in a remote storage, by URL.

use crate::error::{Failure, Result};
use hregion::io::{DirEntry, LocalStorage, url_scheme};
use hregion::{Error, RegionOptions, Storage};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyString};
use remote::Remote;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// A path or a URL. Only a `str` can be a URL: a path object belongs to the local file system.
pub(crate) enum Target {
    Path(PathBuf),
    Url(PathBuf),
}

impl<'py> FromPyObject<'_, 'py> for Target {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let path: PathBuf = object.extract()?;
        match url_scheme(&path) {
            None => Ok(Self::Path(path)),
            Some(_) if object.is_instance_of::<PyString>() => Ok(Self::Url(path)),
            Some(scheme) => Err(Failure::unsupported(format!(
                "{scheme}: a path object is one of the local file system; a URL is passed as str"
            ))
            .into()),
        }
    }
}

/// The settings of a remote storage, by name. Values may be credentials, and are never displayed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct StorageOptions(BTreeMap<String, String>);

impl<'py> FromPyObject<'_, 'py> for StorageOptions {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let Some(pairs) = crate::arguments::pairs_of(&object)? else {
            return Err(PyTypeError::new_err("storage_options: expected a dict"));
        };
        let mut options = BTreeMap::new();
        for (name, value) in pairs {
            let Ok(name) = name.extract::<String>() else {
                return Err(PyTypeError::new_err("storage_options: a name is a str"));
            };
            let value = if value.is_instance_of::<PyBool>() {
                value.extract::<bool>()?.to_string()
            } else if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
                value.str()?.extract()?
            } else if value.is_instance_of::<PyString>() {
                value.extract()?
            } else {
                let message = format!("storage_options: the value of {name} is not a str, number or bool");
                return Err(PyTypeError::new_err(message));
            };
            options.insert(name, value);
        }
        Ok(Self(options))
    }
}

/// How a remote storage is shared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Readers share connections.
    Shared,
    /// A change with an unknown result ends all changes of its storage, so each writer has its own.
    Own,
}

impl Use {
    pub(crate) fn of_writable(writable: bool) -> Self {
        if writable { Self::Own } else { Self::Shared }
    }
}

/// The location of a call's files: a path, and its storage.
pub(crate) struct Location {
    path: PathBuf,
    /// `None` in the local file system.
    remote: Option<Remote>,
}

impl Location {
    /// Creates a location without connecting. Holds the interpreter's lock, so that no process is forked
    /// during the call.
    pub(crate) fn new(
        _: Python<'_>,
        target: Target,
        options: Option<StorageOptions>,
        of: Use,
    ) -> Result<Self> {
        let options = options.unwrap_or_default();
        match target {
            Target::Url(path) => Ok(Self { remote: Some(Remote::new(&path, options, of)?), path }),
            Target::Path(path) if options.0.is_empty() => Ok(Self { path, remote: None }),
            Target::Path(_) => Err(Failure::argument("storage_options need a URL")),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        self.remote.as_ref().map_or(&LocalStorage, Remote::storage)
    }

    /// Whether files can be renamed, which only object stores cannot do. Does not connect.
    pub(crate) fn can_rename(&self) -> bool {
        self.storage().can_rename(&self.path)
    }

    /// Sets the storage of regions.
    pub(crate) fn of_regions(&self, options: RegionOptions) -> RegionOptions {
        match &self.remote {
            Some(remote) => options.storage(remote.shared()),
            None => options,
        }
    }

    /// The only process that can use the files, if they are restricted.
    pub(crate) fn process(&self) -> Option<u32> {
        self.remote.as_ref().map(|_| std::process::id())
    }

    /// Whether a path is a directory (`true`) or a file; `None` if it does not exist.
    pub(crate) fn is_dir(&self, path: &Path) -> Result<Option<bool>, Error> {
        let found = match &self.remote {
            Some(remote) => remote.status(path).map(|found| found.map(|entry: DirEntry| entry.is_dir)),
            None => match std::fs::metadata(path) {
                Ok(found) => Ok(Some(found.is_dir())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        };
        found.map_err(|error| Error::io("open", path, error))
    }

    /// Like [`is_dir`](Self::is_dir) for the location itself.
    ///
    /// # Errors
    ///
    /// If it does not exist.
    pub(crate) fn existing_is_dir(&self) -> Result<bool, Error> {
        let absent = || io::Error::new(io::ErrorKind::NotFound, "no such file or directory");
        self.is_dir(&self.path)?.ok_or_else(|| Error::io("open", &self.path, absent()))
    }

    /// The path of a directory that is read together with the location.
    ///
    /// # Errors
    ///
    /// If one of them is remote, and the other is not.
    pub(crate) fn beside(&self, directory: Target) -> Result<PathBuf> {
        match (directory, &self.remote) {
            (Target::Path(path), None) => Ok(path),
            (Target::Url(url), Some(_)) => {
                remote::check(&url)?;
                Ok(url)
            }
            (Target::Path(_), Some(_)) => {
                Err(Failure::unsupported("a local directory for a table that is not in a local directory"))
            }
            (Target::Url(_), None) => {
                Err(Failure::unsupported("a URL for a table that is in the local file system"))
            }
        }
    }
}

/// Fails in a process that was forked after `process`, if that is given.
pub(crate) fn check_process(process: Option<u32>) -> Result<()> {
    match process {
        Some(process) if process != std::process::id() => Err(Failure::unsupported(
            "the table was opened by URL before this process was forked, and its connections are those of \
             the other process: open it here",
        )),
        _ => Ok(()),
    }
}

#[cfg(feature = "remote")]
mod remote {
    use super::{Failure, Result, StorageOptions, Use};
    use crate::signals;
    use hregion::Storage;
    use hregion::io::DirEntry;
    use hregion_remote::{RemoteOptions, RemoteStorage};
    use std::io;
    use std::path::Path;
    use std::sync::{Arc, Mutex, PoisonError, Weak};
    use std::time::Duration;

    #[derive(Clone)]
    pub(super) struct Remote(Arc<RemoteStorage>);

    /// A storage of this process, or of an ancestor that has forked it, while it is in use.
    struct Started {
        process: u32,
        options: StorageOptions,
        storage: Weak<RemoteStorage>,
    }

    /// Locked only with the interpreter's lock, so never when a process is forked by Python.
    static STARTED: Mutex<Vec<Started>> = Mutex::new(Vec::new());

    /// Fails if a URL is invalid. The message does not repeat it.
    pub(super) fn check(url: &Path) -> Result<()> {
        hregion_remote::check_url(url).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => Failure::unsupported(error.to_string()),
            _ => Failure::argument(error.to_string()),
        })
    }

    impl Remote {
        pub(super) fn new(url: &Path, options: StorageOptions, of: Use) -> Result<Self> {
            check(url)?;
            if of == Use::Own {
                return Ok(Self(Arc::new(start(options)?)));
            }
            let process = std::process::id();
            let mut all = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|started| started.storage.strong_count() > 0);
            let same = all.iter().filter(|one| one.process == process && one.options == options);
            if let Some(storage) = same.filter_map(|one| one.storage.upgrade()).next() {
                return Ok(Self(storage));
            }
            let storage = Arc::new(start(options.clone())?);
            all.push(Started { process, options, storage: Arc::downgrade(&storage) });
            Ok(Self(storage))
        }

        pub(super) fn storage(&self) -> &dyn Storage {
            &*self.0
        }

        pub(super) fn shared(&self) -> Arc<dyn Storage> {
            Arc::clone(&self.0) as Arc<dyn Storage>
        }

        pub(super) fn status(&self, path: &Path) -> io::Result<Option<DirEntry>> {
            self.0.status(path)
        }
    }

    /// Starts a storage with the settings in `options`, and those of the environment for the rest.
    fn start(StorageOptions(given): StorageOptions) -> Result<RemoteStorage> {
        let mut options = RemoteOptions::default().while_reading(signals::while_reading);
        for (name, value) in given {
            options = match name.as_str() {
                "connect_timeout" => options.connect_timeout(seconds(&name, &value)?),
                "request_timeout" => options.request_timeout(seconds(&name, &value)?),
                "deadline" => options.deadline(seconds(&name, &value)?),
                "retries" => options.retries(value.parse().map_err(|_| wrong(&name, "a whole number"))?),
                _ => options.setting(name, value),
            };
        }
        options.build().map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => Failure::argument(format!("storage_options: {error}")),
            _ => Failure::io(format!("remote files: {error}")),
        })
    }

    fn seconds(name: &str, value: &str) -> Result<Duration> {
        let time = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        time.filter(|time| !time.is_zero()).ok_or_else(|| wrong(name, "a number of seconds above 0"))
    }

    fn wrong(name: &str, expected: &str) -> Failure {
        Failure::argument(format!("storage_options: {name}: expected {expected}"))
    }
}

#[cfg(not(feature = "remote"))]
mod remote {
    use super::{Failure, Result, StorageOptions, Use};
    use hregion::Storage;
    use hregion::io::{DirEntry, url_scheme};
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    /// No location is remote.
    #[derive(Clone)]
    pub(super) enum Remote {}

    /// Fails: no URL is supported.
    pub(super) fn check(url: &Path) -> Result<()> {
        Err(not_built_in(url))
    }

    fn not_built_in(url: &Path) -> Failure {
        let scheme = url_scheme(url).unwrap_or_default();
        Failure::unsupported(format!(
            "{scheme}: remote files are not built in: build with the feature `remote`"
        ))
    }

    impl Remote {
        pub(super) fn new(url: &Path, _: StorageOptions, _: Use) -> Result<Self> {
            Err(not_built_in(url))
        }

        pub(super) fn storage(&self) -> &dyn Storage {
            match *self {}
        }

        pub(super) fn shared(&self) -> Arc<dyn Storage> {
            match *self {}
        }

        pub(super) fn status(&self, _: &Path) -> io::Result<Option<DirEntry>> {
            match *self {}
        }
    }
}
