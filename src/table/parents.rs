//! Removes regions that were split or merged (HBase: `CatalogJanitor`).

use super::Table;
use super::regions::RegionSource;
use crate::error::{Error, Result};
use crate::layout::{RegionDir, read_region_info, remove_archived_regions};
use crate::locator::{DirectoryCatalog, serving};
use crate::schema::RegionInfo;
use crate::sync::unpoisoned;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Table {
    /// Moves the files of regions that were split or merged to the archive, and removes their directories, if
    /// no region refers to their files any more. Returns these regions.
    ///
    /// The rows and columns of `hbase:meta` that name them are deleted, if the root directory has it.
    ///
    /// A major compaction of a region replaces its references. Views and scanners can still read the files.
    /// After a failure or a crash, this can be repeated.
    ///
    /// # Errors
    ///
    /// If the table is open for reading only, or is not under a root directory; if another process has a
    /// parent open for writing ([`Locked`](crate::ErrorKind::Locked)); if an I/O operation fails.
    pub fn archive_parents(&self) -> Result<Vec<RegionInfo>> {
        let _changing = unpoisoned(self.0.changing.lock());
        self.0.check_open()?;
        let options = &self.0.options;
        if !options.is_writable() {
            return Err(Error::invalid_argument("the table is open for reading only"));
        }
        let Some(table) = self.0.dir() else { return Ok(Vec::new()) };
        let storage = options.file_storage();
        let catalog = self.0.catalog(&table)?;
        remove_archived_regions(&**storage, &table)?;
        let dirs = DirectoryCatalog::of_table(Arc::clone(storage), self.name().clone(), &table);
        let regions: Vec<(PathBuf, RegionInfo)> = dirs.regions_in(&table, self.name())?;
        let serving = serving(regions.iter().map(|(_, info)| info.clone()).collect());
        let mut archived = Vec::new();
        let mut left = Vec::new();
        for (path, _) in &regions {
            left.push(RegionDir::open(storage, path)?);
        }
        for (path, info) in regions.iter().filter(|(_, info)| !serving.contains(info)) {
            let name = info.encoded_name();
            let mut others = left.iter().filter(|dir| dir.path() != path);
            if others.try_fold(false, |found, dir| Ok::<_, Error>(found || dir.refers_to(&name)?))? {
                continue;
            }
            let _lock = options.lock(path)?;
            // Opened again: only now no process changes it.
            RegionDir::open(storage, path)?.archive_region()?;
            left.retain(|dir| dir.path() != path);
            archived.push(info.clone());
        }
        if let Some(catalog) = catalog {
            let is_gone = |region: &RegionInfo| {
                let dir = table.join(region.encoded_name());
                match read_region_info(&**storage, &dir) {
                    Err(error) if error.is_not_found() => Ok(true),
                    read => read.map(|_| false),
                }
            };
            catalog.forget_parents(self.name(), is_gone)?;
        }
        Ok(archived)
    }
}

impl super::TableCore {
    /// Returns the table's directory, by that of its first region.
    fn dir(&self) -> Option<PathBuf> {
        let regions = self.regions.load();
        let of = |source: &RegionSource| match source {
            RegionSource::Dir(path) => path.parent().map(Path::to_owned),
            RegionSource::Snapshot(..) => None,
        };
        regions.slots.first().and_then(|slot| of(&slot.source))
    }
}
