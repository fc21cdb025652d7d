//! Tables listed by their region directories, without a catalog (locator.md §15).

use super::region_chain::check_region_chain;
use super::{Catalog, CatalogEntry, CatalogRange, CatalogRow, RegionLocations, TableState};
use crate::binary::is_hex;
use crate::clock::Deadline;
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::io::{DirEntry, Storage, is_absent};
use crate::layout::{
    LISTINGS, RegionChange, TableListing, find_region_info, is_change, keeps_changing, regions_among,
    table_of_descriptor,
};
use crate::schema::{RegionInfo, TableName, serving};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The regions of tables according to their directories, each with a `.regioninfo`. Regions that were split
/// or merged are skipped if younger ones have all their rows. As in HBase, directories whose names are not
/// those of regions are skipped. No region has a server.
#[derive(Clone, Debug)]
pub struct DirectoryCatalog {
    storage: Arc<dyn Storage>,
    tables: Tables,
}

#[derive(Clone, Debug)]
enum Tables {
    /// All tables under a root directory.
    Root(PathBuf),
    /// One table, at any path.
    One(TableName, PathBuf),
}

/// The directories that HBase has under a root since 0.96, and whose names could be those of tables.
const OTHER_DIRS: [&str; 9] =
    ["data", "archive", "WALs", "oldWALs", "corrupt", "MasterData", "MasterProcWALs", "mobdir", "staging"];

/// Regions with their directories, and the unfinished changes: splits, merges, creations, and changes of the
/// whole table.
type Listed = (Vec<(PathBuf, RegionInfo)>, Vec<RegionChange>);

impl DirectoryCatalog {
    /// Lists the tables under a root directory.
    #[must_use]
    pub fn of_root(storage: Arc<dyn Storage>, root: impl Into<PathBuf>) -> Self {
        Self { storage, tables: Tables::Root(root.into()) }
    }

    /// Lists one table, by its directory.
    #[must_use]
    pub fn of_table(storage: Arc<dyn Storage>, table: TableName, dir: impl Into<PathBuf>) -> Self {
        Self { storage, tables: Tables::One(table, dir.into()) }
    }

    /// Returns the directory of a table; `None` if it does not exist. Under a root, it is
    /// `data/namespace/table`, or `table` before 0.96. HBase's other directories next to the tables are not
    /// tables.
    ///
    /// # Errors
    ///
    /// If the check for the directory fails, for example because of missing permissions.
    pub fn table_dir(&self, table: &TableName) -> Result<Option<PathBuf>> {
        let root = match &self.tables {
            Tables::One(name, dir) => return Ok((name == table).then(|| dir.clone())),
            Tables::Root(root) => root,
        };
        let dir = Self::dir_under(root, table);
        if dir_exists(&*self.storage, &dir)? {
            return Ok(Some(dir));
        }
        let old = root.join(table.qualifier());
        let is_default = table.namespace() == TableName::DEFAULT_NAMESPACE;
        if !is_default || !dir_exists(&*self.storage, &old)? {
            return Ok(None);
        }
        // A table of an old release with such a name has a descriptor.
        let is_other =
            OTHER_DIRS.contains(&table.qualifier()) && table_of_descriptor(&*self.storage, &old)?.is_none();
        Ok((!is_other).then_some(old))
    }

    /// Returns the directories of the tables directly under a root, where HBase had them before 0.96, by
    /// name. Tables below `data`, and directories that cannot be read, are left out.
    #[must_use]
    pub fn old_tables(storage: &dyn Storage, root: &Path) -> Vec<PathBuf> {
        let dirs_in = |dir: &Path, is_wanted: &dyn Fn(&str) -> bool| -> Vec<PathBuf> {
            let entries = storage.list_dir(dir).unwrap_or_default();
            let dirs = entries.iter().filter(|entry| entry.is_dir);
            let mut names: Vec<&str> =
                dirs.filter_map(DirEntry::utf8_name).filter(|name| is_wanted(name)).collect();
            names.sort_unstable();
            names.into_iter().map(|name| dir.join(name)).collect()
        };
        let is_region = |dir: &PathBuf| is_found(find_region_info(storage, dir));
        let is_table = |dir: &PathBuf| {
            is_found(table_of_descriptor(storage, dir)) || dirs_in(dir, &is_hex).iter().any(is_region)
        };
        let is_other = |name: &str| name.starts_with('.') || OTHER_DIRS.contains(&name);
        dirs_in(root, &|name| !is_other(name)).into_iter().filter(is_table).collect()
    }

    /// Returns the path of a table's directory under a root, since 0.96.
    pub(crate) fn dir_under(root: &Path, table: &TableName) -> PathBuf {
        root.join("data").join(table.namespace()).join(table.qualifier())
    }

    /// Returns the regions with directories in a table's directory, including parents.
    pub(crate) fn regions_in(&self, dir: &Path, table: &TableName) -> Result<Vec<(PathBuf, RegionInfo)>> {
        self.regions_and_changes(dir, table).map(|(regions, _)| regions)
    }

    /// Like [`regions_in`](Self::regions_in). Also returns the unfinished changes.
    pub(crate) fn regions_and_changes(&self, dir: &Path, table: &TableName) -> Result<Listed> {
        let (regions, changes) = read_regions(&*self.storage, dir)?;
        match regions.iter().find(|(_, region)| region.table() != table) {
            None => Ok((regions, changes)),
            Some((path, _)) => {
                let corruption = Corruption::Malformed("a region of another table in the table's directory");
                Err(corruption.at(path, 0))
            }
        }
    }

    /// Returns the table of a directory, by its first region; if there are regions of several tables, by its
    /// descriptor. `None` if it has no region.
    pub(crate) fn table_in(storage: &dyn Storage, dir: &Path) -> Result<Option<TableName>> {
        let (regions, _) = read_regions(storage, dir)?;
        let tables: BTreeSet<&TableName> = regions.iter().map(|(_, region)| region.table()).collect();
        if tables.len() > 1
            && let Ok(Some(described)) = table_of_descriptor(storage, dir)
            && tables.contains(&described)
        {
            return Ok(Some(described));
        }
        Ok(regions.first().map(|(_, region)| region.table().clone()))
    }
}

/// Whether a file exists, although it may be malformed.
fn is_found<T>(found: Result<Option<T>>) -> bool {
    found.map_or_else(|error| error.kind() != ErrorKind::Io, |found| found.is_some())
}

/// Whether a directory exists. Fails if the check fails.
pub(crate) fn dir_exists(storage: &dyn Storage, dir: &Path) -> Result<bool> {
    match storage.list_dir(dir) {
        Ok(_) => Ok(true),
        Err(error) if is_absent(error.kind()) => Ok(false),
        Err(error) => Err(Error::io("list", dir, error)),
    }
}

/// Returns the regions with directories in a table's directory, including parents, in the order of the
/// directory names, and the unfinished changes, whose children are not regions.
fn read_regions(storage: &dyn Storage, table: &Path) -> Result<Listed> {
    let list = || storage.list_dir(table).map_err(|error| Error::io("list", table, error));
    let names = |entries: &[DirEntry]| {
        let mut names: Vec<_> = entries.iter().map(|entry| entry.name.clone()).collect();
        names.sort();
        names
    };
    let (mut entries, mut made) = (list()?, BTreeSet::new());
    for _ in 0..LISTINGS {
        if let Some(changes) = RegionChange::among(storage, table, &entries, &mut made)? {
            let regions = regions_among(storage, table, &entries, &changes.hidden(&[]))?;
            let serving = serving(regions.iter().map(|(_, region)| region.clone()).collect());
            // A listing during a split may have only one of the daughters.
            let is_whole = check_region_chain(&serving).is_empty();
            if is_whole && are_known(&regions, &serving, &changes.replaced) {
                return Ok((regions, changes.unfinished));
            }
            let again = list()?;
            let is_listed = |file: &DirEntry| entries.iter().any(|entry| entry.name == file.name);
            let is_missing = again.iter().any(|entry| is_change(entry) && !is_listed(entry));
            // Daughters of a split that is undone are removed.
            let left: HashSet<_> = again.iter().filter_map(DirEntry::utf8_name).collect();
            let are_left = || serving.iter().all(|region| left.contains(region.encoded_name().as_str()));
            if is_whole && !is_missing && are_left() || names(&again) == names(&entries) {
                return Ok((regions, changes.unfinished));
            }
            entries = again;
        } else {
            entries = list()?;
        }
    }
    Err(keeps_changing(table))
}

/// Whether all regions that are not `serving` are known to be `replaced`. A listing of many names, which
/// takes several steps, may have both daughters of a split, but not the file that announces them: others then
/// seem to be replaced by regions that have no files yet.
fn are_known(regions: &[(PathBuf, RegionInfo)], serving: &[RegionInfo], replaced: &BTreeSet<String>) -> bool {
    if serving.len() == regions.len() {
        return true;
    }
    let serving: HashSet<&RegionInfo> = serving.iter().collect();
    let mut others = regions.iter().map(|(_, region)| region).filter(|region| !serving.contains(region));
    others.all(|region| replaced.contains(&region.encoded_name()))
}

impl Catalog for DirectoryCatalog {
    fn rows(&self, _: &RegionLocations, range: &CatalogRange, _: Deadline) -> Result<Vec<CatalogEntry>> {
        let Some(dir) = self.table_dir(&range.table)? else { return Ok(Vec::new()) };
        let regions = self.regions_in(&dir, &range.table)?.into_iter().map(|(_, region)| region);
        let regions = serving(regions.collect());
        Ok(range.of(regions.into_iter().map(|region| CatalogEntry {
            key: region.name(),
            row: Ok(CatalogRow::of(RegionLocations::new(region, []))),
        })))
    }

    fn table_state(&self, _: &RegionLocations, table: &TableName, _: Deadline) -> Result<Option<TableState>> {
        let Some(dir) = self.table_dir(table)? else { return Ok(None) };
        let listing = TableListing::read(&*self.storage, &dir)?;
        // Without renames, files remain of a table that was deleted, or not completely created.
        let is_none = listing.has_creation() && listing.regions_after(&*self.storage, &[])?.is_empty();
        Ok((!is_none).then_some(TableState::Enabled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::faulty::FaultyStorage;
    use crate::layout::{REGION_INFO, Replacement, ReplacementKind};
    use crate::schema::{Family, TableDescriptor};

    #[test]
    fn a_table_that_was_deleted_has_no_state() {
        let (faulty, table) = (FaultyStorage::new(), TableName::parse("t").unwrap());
        faulty.has_objects();
        let storage: Arc<dyn Storage> = Arc::new(faulty);
        let catalog = DirectoryCatalog::of_root(Arc::clone(&storage), "h");
        let region = |id| RegionInfo::new(table.clone(), "", "", id).unwrap();
        let locations = RegionLocations::new(region(1), []);
        let state = || catalog.table_state(&locations, &table, Deadline::NEVER).unwrap();
        assert_eq!(state(), None);
        let dir = Path::new("h/data/default/t");
        let create = |region: &RegionInfo| {
            let region_dir = dir.join(region.encoded_name());
            storage.create_dir_all(&region_dir).unwrap();
            let mut file = storage.create(&region_dir.join(REGION_INFO)).unwrap();
            file.write_all(&region.to_file()).unwrap();
            file.sync().unwrap();
        };
        create(&region(1));
        assert_eq!(state(), Some(TableState::Enabled));
        let deletion = Replacement::new(ReplacementKind::Deletion, 1, 1, Vec::new());
        let change = RegionChange::new(dir, [region(1).encoded_name()], []).of_table(deletion);
        change.begin(&storage).unwrap();
        assert_eq!(state(), Some(TableState::Enabled));
        change.publish(&*storage).unwrap();
        assert_eq!(state(), None);
        create(&region(2));
        assert_eq!(state(), Some(TableState::Enabled));
    }

    #[test]
    fn what_hbase_has_beside_the_tables_is_no_table() {
        let (storage, root) = (FaultyStorage::new(), Path::new("h"));
        for dir in ["data/default/t", "archive/data/default/t", "old"].iter().chain(&OTHER_DIRS) {
            storage.create_dir_all(&root.join(dir)).unwrap();
        }
        let catalog = DirectoryCatalog::of_root(Arc::new(storage.clone()), root);
        let dir = |name: &str| catalog.table_dir(&TableName::parse(name).unwrap()).unwrap();
        for name in OTHER_DIRS {
            assert_eq!(dir(name), None, "{name}");
        }
        assert_eq!(dir("t"), Some(root.join("data/default/t")));
        assert_eq!(dir("old"), Some(root.join("old")));
        // Before 0.96, there could be one.
        let table = TableDescriptor::new(TableName::parse("archive").unwrap(), &[Family::new("f")]);
        let mut file = storage.create(&root.join("archive/.tableinfo.0000000001")).unwrap();
        file.write_all(&table.to_file()).unwrap();
        assert_eq!(dir("archive"), Some(root.join("archive")));
        let old = || DirectoryCatalog::old_tables(&storage, root);
        assert_eq!(old(), [root; 0]);
        let info = RegionInfo::new(TableName::parse("old").unwrap(), "", "", 1).unwrap();
        let region = root.join("old").join(info.encoded_name());
        storage.create_dir_all(&region).unwrap();
        assert_eq!(old(), [root; 0]);
        storage.create(&region.join(".regioninfo")).unwrap().write_all(b"malformed").unwrap();
        storage.create_dir_all(&root.join("empty")).unwrap();
        storage.create(&root.join("empty/.tableinfo.0000000001")).unwrap().write_all(b"old").unwrap();
        assert_eq!(old(), [root.join("empty"), root.join("old")]);
    }
}
