//! Creates and opens tables.

use super::{RegionSlot, RegionSource, Table, TableCore};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::table::create_table;
use crate::locator::{Catalog, DirectoryCatalog, Locator, RetryPolicy, RootDir, check_region_chain, serving};
use crate::region::{Region, RegionOptions};
use crate::schema::{Family, RegionInfo, TableName};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock};

impl Table {
    /// Creates a table under a root directory, with a region for each range between split keys, and opens it
    /// for writing.
    ///
    /// The table becomes visible only when it is complete, even if a step fails or the process dies meanwhile
    /// (HBase: `CreateTableProcedure`).
    ///
    /// # Errors
    ///
    /// If the table already exists, with kind [`Io`](ErrorKind::Io) and
    /// [`std::io::ErrorKind::AlreadyExists`]; if there is no family, or a family is invalid; if a split key
    /// is empty or given twice; if an I/O operation fails.
    pub fn create(
        root: impl AsRef<Path>,
        name: &str,
        families: &[Family],
        splits: &[impl AsRef<[u8]>],
    ) -> Result<Self> {
        Self::create_with(root, name, families, splits, Region::options())
    }

    /// As [`create`](Self::create), with options for the regions. They are opened for writing.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_with(
        root: impl AsRef<Path>,
        name: &str,
        families: &[Family],
        splits: &[impl AsRef<[u8]>],
        options: RegionOptions,
    ) -> Result<Self> {
        Error::if_no_clock("a table")?;
        if families.is_empty() {
            return Err(Error::invalid_argument("a new table needs at least one family"));
        }
        let (root, table) = (root.as_ref(), TableName::parse(name)?);
        let mut keys: Vec<&[u8]> = splits.iter().map(AsRef::as_ref).collect();
        keys.sort_unstable();
        if keys.first().is_some_and(|key| key.is_empty()) || !keys.is_sorted_by(|a, b| a < b) {
            return Err(Error::invalid_argument("split keys must not be empty or repeated"));
        }
        let now = options.now();
        let bounds: Vec<&[u8]> = [&[][..]].into_iter().chain(keys).chain([&[][..]]).collect();
        let region = |bounds: &[&[u8]]| match *bounds {
            [start, end] => RegionInfo::new(table.clone(), start.to_vec(), end.to_vec(), now),
            _ => Err(Error::invalid_argument("a region has two bounds")),
        };
        let regions = bounds.windows(2).map(region).collect::<Result<Vec<_>>>()?;
        Self::finish_deletion(root, name, &options)?;
        create_table(options.file_storage(), root, &table, families, &regions)?;
        Self::open_with(root, name, options.writable(true))
    }

    /// Opens a table under a root directory, with options for its regions. Options for creating regions have
    /// no effect.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(root: impl AsRef<Path>, name: &str, options: RegionOptions) -> Result<Self> {
        Error::if_no_clock("a table")?;
        let (root, name) = (root.as_ref(), TableName::parse(name)?);
        let dirs = DirectoryCatalog::of_root(Arc::clone(options.file_storage()), root);
        let Some(dir) = dirs.table_dir(&name)? else {
            let message = format!("there is no table {name} in {}", root.display());
            return Err(Error::locating(ErrorKind::TableNotFound, message));
        };
        let regions = in_dirs(dirs.regions_in(&dir, &name)?);
        Ok(Self::of(name, root, Arc::new(dirs), regions, options))
    }

    /// Opens the table in a directory, wherever the directory is. The table's name is read from its regions.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), or if the directory has no region.
    pub fn open_dir(dir: impl AsRef<Path>, options: RegionOptions) -> Result<Self> {
        Error::if_no_clock("a table")?;
        let dir = dir.as_ref();
        let Some(name) = DirectoryCatalog::table_in(&**options.file_storage(), dir)? else {
            let message = format!("there is no region in {}", dir.display());
            return Err(Error::locating(ErrorKind::TableNotFound, message));
        };
        let dirs = DirectoryCatalog::of_table(Arc::clone(options.file_storage()), name.clone(), dir);
        let regions = in_dirs(dirs.regions_in(dir, &name)?);
        Ok(Self::of(name, dir, Arc::new(dirs), regions, options))
    }

    /// Creates a table from its regions, including parents, and a catalog of them.
    pub(super) fn of(
        name: TableName,
        root: &Path,
        catalog: Arc<dyn Catalog>,
        regions: impl Iterator<Item = (RegionSource, RegionInfo)>,
        options: RegionOptions,
    ) -> Self {
        let root = RootDir::with_storage(Arc::clone(options.file_storage()), root);
        let locator =
            Locator::new(Arc::new(root), catalog).retries(RetryPolicy::no_retries()).needs_server(false);
        let mut sources: HashMap<RegionInfo, RegionSource> =
            regions.map(|(source, region)| (region, source)).collect();
        let places: Vec<RegionSlot> = serving(sources.keys().cloned().collect())
            .into_iter()
            .filter_map(|info| {
                let source = sources.remove(&info)?;
                Some(RegionSlot { info, source, region: OnceLock::new(), opening: Mutex::new(()) })
            })
            .collect();
        let faults = check_region_chain(places.iter().map(|place| &place.info));
        let inner = TableCore {
            name,
            locator,
            places,
            faults,
            options,
            open: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
        };
        inner.locator.remember_regions(inner.places.iter().map(|place| place.info.clone()));
        Self(Arc::new(inner))
    }
}

fn in_dirs(regions: Vec<(PathBuf, RegionInfo)>) -> impl Iterator<Item = (RegionSource, RegionInfo)> {
    regions.into_iter().map(|(path, region)| (RegionSource::Dir(path), region))
}
