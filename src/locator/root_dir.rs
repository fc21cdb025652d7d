//! A root directory on a disk, used instead of a cluster (locator.md §15).

use super::directory_catalog::dir_exists;
use super::{
    Catalog, ConnectionRegistry, DirectoryCatalog, Locator, MetaRegion, RegionLocations, RetryPolicy,
    ServerName,
};
use crate::clock::Deadline;
use crate::error::{Corruption, Error, Result};
use crate::io::{LocalStorage, Storage, read_file};
use crate::region::Region;
use crate::schema::RegionInfo;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A root directory of HBase, with its catalog on the disk and without servers.
#[derive(Clone, Debug)]
pub struct RootDir {
    storage: Arc<dyn Storage>,
    path: PathBuf,
}

/// The file with the cluster's id, under the root.
const CLUSTER_ID: &str = "hbase.id";
const CLUSTER_ID_BYTES: u64 = 4096;
/// The catalog before 0.96.
const OLD_CATALOG: &str = ".META.";

impl RootDir {
    /// Refers to a root directory in the local file system. Opens nothing.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::with_storage(Arc::new(LocalStorage), path)
    }

    /// Refers to a root directory in the given storage. Opens nothing.
    #[must_use]
    pub fn with_storage(storage: Arc<dyn Storage>, path: impl Into<PathBuf>) -> Self {
        Self { storage, path: path.into() }
    }

    /// Opens the region of the catalog; `None` if there is none. Its
    /// [warnings](crate::Region::warnings) name files of it that are not read, so that rows may be missing.
    ///
    /// # Errors
    ///
    /// If the region cannot be opened, or the check for it fails.
    pub fn meta_region(&self) -> Result<Option<MetaRegion>> {
        if !dir_exists(&*self.storage, &MetaRegion::path(&self.path))? {
            return Ok(None);
        }
        MetaRegion::open(&self.path, Region::options().storage(Arc::clone(&self.storage))).map(Some)
    }

    /// Returns the catalog: its own region if it exists, otherwise the region directories.
    ///
    /// # Errors
    ///
    /// If the catalog cannot be read, or the check for it fails.
    pub fn catalog(&self) -> Result<Arc<dyn Catalog>> {
        if let Some(meta) = self.meta_region()? {
            return Ok(Arc::new(meta));
        }
        let old = self.path.join(OLD_CATALOG);
        if dir_exists(&*self.storage, &old)? {
            let (what, name) = ("catalog", ".META.".into());
            let hint = Some("HBase 0.96 makes it hbase:meta; each table can be read by its own directory");
            return Err(Corruption::Unsupported { what, name, hint }.at(&old, 0));
        }
        self.storage.list_dir(&self.path).map_err(|error| Error::io("list", &self.path, error))?;
        Ok(Arc::new(DirectoryCatalog::of_root(Arc::clone(&self.storage), &self.path)))
    }
}

impl Locator {
    /// Opens a locator for the tables under a root directory, by the catalog's region if it exists, otherwise
    /// by the region directories. It does not retry, because nothing changes in between.
    ///
    /// With a catalog, regions have the servers recorded there, whether they are running or not. Regions
    /// without a server are also found.
    ///
    /// # Errors
    ///
    /// If there is no such directory, or its catalog cannot be read.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        Self::open_in(LocalStorage::shared(), root)
    }

    /// Like [`open`](Self::open), for a root directory of a storage.
    ///
    /// # Errors
    ///
    /// Same as [`open`](Self::open).
    pub fn open_in(storage: Arc<dyn Storage>, root: impl AsRef<Path>) -> Result<Self> {
        let root = RootDir::with_storage(storage, root.as_ref());
        let catalog = root.catalog()?;
        Ok(Self::new(Arc::new(root), catalog).retries(RetryPolicy::no_retries()).needs_server(false))
    }
}

impl ConnectionRegistry for RootDir {
    fn meta_region_locations(&self, _: Deadline) -> Result<RegionLocations> {
        Ok(RegionLocations::new(RegionInfo::meta(), []))
    }

    fn cluster_id(&self, _: Deadline) -> Result<Option<String>> {
        let path = self.path.join(CLUSTER_ID);
        let bytes = match read_file(&*self.storage, &path, CLUSTER_ID_BYTES) {
            Err(error) if error.is_not_found() => return Ok(None),
            read => read?,
        };
        parse_cluster_id(&bytes).map(Some).map_err(|corruption| corruption.at(&path, 0))
    }

    fn active_master(&self, _: Deadline) -> Result<Option<ServerName>> {
        Ok(None)
    }
}

/// Parses `PBUF` and a message whose first field is the id or, in the oldest releases, the id as text.
fn parse_cluster_id(bytes: &[u8]) -> Result<String, Corruption> {
    use crate::proto::wire::{Fields, Value};
    let malformed = Corruption::Malformed("cluster id that is not text");
    let Some(message) = bytes.strip_prefix(crate::proto::MAGIC) else {
        return std::str::from_utf8(bytes).map(|id| id.trim().to_owned()).map_err(|_| malformed);
    };
    for field in Fields::new(message) {
        if let (1, Value::Bytes(id)) = field? {
            return std::str::from_utf8(id).map(str::to_owned).map_err(|_| malformed);
        }
    }
    Err(Corruption::Malformed("cluster id without an id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_an_id() {
        assert_eq!(parse_cluster_id(b"PBUF\x0a\x03abc"), Ok("abc".to_owned()));
        assert_eq!(parse_cluster_id(b"abc\n"), Ok("abc".to_owned()));
        assert!(parse_cluster_id(b"PBUF").is_err() && parse_cluster_id(b"\xff").is_err());
        assert!(parse_cluster_id(b"PBUF\x0a\x09abc").is_err());
    }
}
