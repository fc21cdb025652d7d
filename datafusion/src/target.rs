//! The source of an SQL table: a path or a URL.

use crate::provider::HregionTable;
use crate::source::Source;
use hregion::io::{LocalStorage, Storage as _, url_scheme};
use hregion::{
    BlockCache, Error, ErrorKind, HFile, HFileOptions, Limits, Region, RegionOptions, RowRef, Scan, Table,
};
use hregion_arrow::{Infer, Layout, Mapping};
use std::fmt;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const SNAPSHOT_INFO: &str = ".snapshotinfo";
const REGION_INFO: &str = ".regioninfo";
const TABLE_DESCRIPTOR: &str = ".tabledesc";

/// Options to open targets. The path of a target may be sent to other machines, but never these options.
#[derive(Clone)]
pub struct TargetOptions {
    regions: RegionOptions,
    /// How files are opened to read their trailers and indexes.
    files: HFileOptions,
    #[cfg(feature = "remote")]
    remote: Option<hregion_remote::RemoteStorage>,
}

impl Default for TargetOptions {
    fn default() -> Self {
        Self {
            regions: Region::options(),
            files: HFile::options(),
            #[cfg(feature = "remote")]
            remote: None,
        }
    }
}

impl TargetOptions {
    /// Sets the master key of the cluster, for encrypted files and recovered edits.
    #[must_use]
    pub fn master_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        let key = key.into();
        self.regions = self.regions.master_key(Arc::clone(&key));
        self.files = self.files.master_key(key);
        self
    }

    /// Sets the cluster's previous master key, which is tried where the [master key](Self::master_key) does
    /// not fit.
    #[must_use]
    pub fn alternate_master_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        let key = key.into();
        self.regions = self.regions.alternate_master_key(Arc::clone(&key));
        self.files = self.files.alternate_master_key(key);
        self
    }

    /// Sets the dictionary of files compressed by Zstandard with a dictionary.
    #[must_use]
    pub fn zstd_dictionary(mut self, dictionary: impl Into<Arc<[u8]>>) -> Self {
        let dictionary = dictionary.into();
        self.regions = self.regions.zstd_dictionary(Arc::clone(&dictionary));
        self.files = self.files.zstd_dictionary(dictionary);
        self
    }

    /// Sets the limits on memory allocated for data read from files.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.regions = self.regions.limits(limits.clone());
        self.files = self.files.limits(limits);
        self
    }

    /// Sets the cache of decoded blocks, for all targets that are opened with these options (default: none).
    #[must_use]
    pub fn cache(mut self, cache: &BlockCache) -> Self {
        self.regions = self.regions.cache(cache);
        self
    }

    /// Sets the storage for URLs. The default one has the settings of the environment.
    #[cfg(feature = "remote")]
    #[must_use]
    pub fn remote(mut self, storage: hregion_remote::RemoteStorage) -> Self {
        self.remote = Some(storage);
        self
    }
}

impl fmt::Debug for TargetOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // without keys and dictionaries
        f.debug_struct("TargetOptions").finish_non_exhaustive()
    }
}

/// A table, a snapshot, a region or an HFile, opened by its path or URL. Its SQL table can be sent to other
/// machines, which open the same path.
#[derive(Clone, Debug)]
pub struct Target(Origin);

impl Target {
    /// Opens the directory of a table, a snapshot or a region, or an HFile: a path, a URL `file:///PATH`, or,
    /// with the feature `remote`, a URL that `hregion-remote` reads.
    ///
    /// # Errors
    ///
    /// If the file or directory does not exist, or cannot be read. Of kind
    /// [`TableNotFound`](ErrorKind::TableNotFound) if a table has no region, and
    /// [`Unsupported`](ErrorKind::Unsupported) if a directory is of none of these kinds.
    pub fn open(target: &str, options: TargetOptions) -> hregion::Result<Self> {
        let origin = Origin::of_target(full(target)?, options);
        origin.source()?;
        Ok(Self(origin))
    }

    /// Proposes types of columns from the first rows.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or there are no rows.
    pub fn infer(&self, rows: usize) -> hregion_arrow::Result<Mapping> {
        let (mut infer, scan) = (Infer::new(), Scan::new().limit(u64::try_from(rows.max(1)).unwrap_or(1)));
        let add = |row: RowRef<'_>| {
            infer.add(row);
            Ok::<_, Error>(ControlFlow::Continue(()))
        };
        self.0.source()?.view().for_each_row(&scan, add).map(drop)?;
        infer.mapping()
    }

    /// Returns a warning if logs of servers may have writes to the table or region that are not read
    /// ([`Table::unread_logs`]), or if this cannot be determined.
    #[must_use]
    pub fn warning_of_logs(&self) -> Option<String> {
        let logs = match self.0.source().ok()? {
            Source::Table(table) => table.unread_logs(),
            Source::Region(region) => region.unread_logs(),
        }?;
        match logs.may_have_edits() {
            Ok(false) => None,
            Ok(true) => Some(format!(
                "{}: logs of servers may have writes that are not read (`hregion recover --dry-run {}` lists \
                 them)",
                logs.dir().display(),
                logs.root().display()
            )),
            Err(error) => Some(format!("{error}; writes that are only in logs of servers are not read")),
        }
    }

    /// Returns an SQL table with the rows of the target.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn table(&self, layout: Layout) -> hregion::Result<HregionTable> {
        HregionTable::of_origin(self.0.clone(), layout)
    }
}

/// The source of rows. If it is given by its path, it is opened on first use.
#[derive(Clone, Debug)]
pub(crate) struct Origin(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The path or URL, and how it is opened.
    target: Option<(String, TargetOptions)>,
    opened: Mutex<Option<Source>>,
}

impl Origin {
    pub(crate) fn of_source(source: Source) -> Self {
        Self(Arc::new(Shared { target: None, opened: Mutex::new(Some(source)) }))
    }

    /// `target` is a full path or a URL.
    pub(crate) fn of_target(target: String, options: TargetOptions) -> Self {
        Self(Arc::new(Shared { target: Some((target, options)), opened: Mutex::new(None) }))
    }

    #[cfg(feature = "codec")]
    /// Returns the path or URL, if it was opened by one.
    pub(crate) fn target(&self) -> Option<&str> {
        self.0.target.as_ref().map(|(target, _)| target.as_str())
    }

    /// Returns the source, and opens it on first use.
    pub(crate) fn source(&self) -> hregion::Result<Source> {
        let mut opened = self.0.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = &*opened {
            return Ok(source.clone());
        }
        let Some((target, options)) = &self.0.target else {
            return Err(Error::invalid_argument("a table without a path"));
        };
        let source = options.open(target)?;
        *opened = Some(source.clone());
        Ok(source)
    }

    /// Returns the options to open its files.
    pub(crate) fn files(&self) -> HFileOptions {
        match &self.0.target {
            Some((target, options)) => options.files(target),
            None => HFile::options(),
        }
    }
}

/// Returns the full path, without symbolic links, so that another process can open it.
fn full(target: &str) -> hregion::Result<String> {
    let path = match target.split_once("://").filter(|_| is_url(target)) {
        Some(("file", path)) if path.starts_with('/') => Path::new(path),
        Some(("file", _)) => return Err(Error::invalid_argument("expected file:///PATH")),
        Some(_) => {
            check_url(target)?;
            return Ok(target.trim_end_matches('/').to_owned());
        }
        None => Path::new(target),
    };
    let full = fs::canonicalize(path).map_err(|error| Error::io("open", path, error))?;
    match full.into_os_string().into_string() {
        Ok(full) => Ok(full),
        Err(_) => Err(Error::invalid_argument("expected a path in UTF-8")),
    }
}

#[cfg(feature = "remote")]
fn check_url(url: &str) -> hregion::Result<()> {
    let refused = |error: io::Error| Error::new(ErrorKind::Unsupported, error.to_string());
    hregion_remote::check_url(Path::new(url)).map_err(refused)
}

#[cfg(not(feature = "remote"))]
fn check_url(url: &str) -> hregion::Result<()> {
    let scheme = url_scheme(Path::new(url)).unwrap_or_default();
    let message = format!("{scheme}: reading remote files is not built in: build with the feature `remote`");
    Err(Error::new(ErrorKind::Unsupported, message))
}

fn is_url(target: &str) -> bool {
    url_scheme(Path::new(target)).is_some()
}

impl TargetOptions {
    fn open(&self, target: &str) -> hregion::Result<Source> {
        let (path, mut options) = (PathBuf::from(target), self.regions.clone());
        if is_url(target) {
            options = options.storage(self.storage(target)?);
        }
        let is_file = |name: &str| self.is_file(target, &path.join(name));
        if self.is_file(target, &path)? {
            return options.open_files([&path]).map(Source::Region);
        }
        if is_file(SNAPSHOT_INFO)? {
            let root = path.parent().and_then(Path::parent);
            let name = path.file_name().and_then(|name| name.to_str());
            let (Some(root), Some(name)) = (root, name) else {
                return Err(Error::invalid_argument("a snapshot that is in no root directory"));
            };
            return Table::open_snapshot_with(root, name, options).map(Source::Table);
        }
        if is_file(REGION_INFO)? {
            return options.open(&path).map(Source::Region);
        }
        let opened = Table::open_dir(&path, options);
        let has_no_region = opened.as_ref().is_err_and(|error| error.kind() == ErrorKind::TableNotFound);
        if has_no_region && !self.has_entries(target, &path.join(TABLE_DESCRIPTOR))? {
            let message = "neither a region nor a table nor a snapshot: no .regioninfo, no .tabledesc in it";
            return Err(Error::new(ErrorKind::Unsupported, format!("{}: {message}", path.display())));
        }
        opened.map(Source::Table)
    }

    /// Whether there is a directory with entries.
    fn has_entries(&self, target: &str, dir: &Path) -> hregion::Result<bool> {
        let listed = match is_url(target) {
            true => self.storage(target)?.list_dir(dir),
            false => LocalStorage.list_dir(dir),
        };
        match listed {
            Ok(entries) => Ok(!entries.is_empty()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            Err(error) => Err(Error::io("list", dir, error)),
        }
    }

    fn files(&self, target: &str) -> HFileOptions {
        let options = self.files.clone();
        match is_url(target) {
            true => match self.storage(target) {
                Ok(storage) => options.storage(storage),
                Err(_) => options,
            },
            false => options,
        }
    }

    #[cfg(feature = "remote")]
    fn remote_storage(&self) -> io::Result<hregion_remote::RemoteStorage> {
        use std::sync::OnceLock;
        static REMOTE: OnceLock<hregion_remote::RemoteStorage> = OnceLock::new();
        if let Some(storage) = self.remote.as_ref().or_else(|| REMOTE.get()) {
            return Ok(storage.clone());
        }
        let started = hregion_remote::RemoteOptions::default().build()?;
        Ok(REMOTE.get_or_init(|| started).clone())
    }

    #[cfg(feature = "remote")]
    fn storage(&self, target: &str) -> hregion::Result<Arc<dyn hregion::Storage>> {
        check_url(target)?;
        let storage =
            self.remote_storage().map_err(|error| Error::io("open", Path::new("remote files"), error))?;
        Ok(Arc::new(storage))
    }

    #[cfg(not(feature = "remote"))]
    #[allow(clippy::unused_self, reason = "with remote files, it is used")]
    fn storage(&self, target: &str) -> hregion::Result<Arc<dyn hregion::Storage>> {
        check_url(target)?;
        Ok(Arc::new(LocalStorage))
    }

    #[cfg(feature = "remote")]
    fn is_file(&self, target: &str, path: &Path) -> hregion::Result<bool> {
        if !is_url(target) {
            return is_local_file(path);
        }
        check_url(target)?;
        let status = self.remote_storage().and_then(|storage| storage.status(path));
        let status = status.map_err(|error| Error::io("examine", path, error))?;
        Ok(status.is_some_and(|entry| !entry.is_dir))
    }

    #[cfg(not(feature = "remote"))]
    #[allow(clippy::unused_self, reason = "with remote files, it is used")]
    fn is_file(&self, _: &str, path: &Path) -> hregion::Result<bool> {
        is_local_file(path)
    }
}

fn is_local_file(path: &Path) -> hregion::Result<bool> {
    match fs::metadata(path) {
        Ok(meta) => Ok(meta.is_file()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(Error::io("examine", path, error)),
    }
}
