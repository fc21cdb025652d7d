//! Removes regions that were split or merged (HBase: `CatalogJanitor`).

use super::Table;
use super::regions::RegionSource;
use crate::error::{Error, Result};
use crate::layout::{RegionDir, find_region_info, remove_archived_regions};
use crate::locator::{DirectoryCatalog, serving};
use crate::schema::RegionInfo;
use crate::sync::unpoisoned;
use std::collections::{BTreeMap, BTreeSet};
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
        let mut parents = regions.iter().filter(|(_, info)| !serving.contains(info)).peekable();
        // The regions to which each region that is left refers.
        let mut referred: BTreeMap<&Path, BTreeSet<String>> = BTreeMap::new();
        if parents.peek().is_some() {
            for (path, _) in &regions {
                referred.insert(path, RegionDir::open(storage, path)?.regions_referred_to()?);
            }
        }
        let mut archived = Vec::new();
        for (path, info) in parents {
            let name = info.encoded_name();
            if referred.iter().any(|(other, names)| *other != path && names.contains(&name)) {
                continue;
            }
            let _lock = options.lock(path)?;
            // Opened again: only now no process changes it.
            RegionDir::open(storage, path)?.archive_region()?;
            referred.remove(path.as_path());
            archived.push(info.clone());
        }
        if let Some(catalog) = catalog {
            let is_gone = |region: &RegionInfo| {
                find_region_info(&**storage, &table.join(region.encoded_name())).map(|info| info.is_none())
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
