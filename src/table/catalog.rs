//! Changes `hbase:meta` when regions are replaced, and tables are created, truncated or deleted (HBase:
//! `RegionStateStore`, `CatalogJanitor`, `CreateTableProcedure`, `DeleteTableProcedure`).
//!
//! A root directory that HBase has used has the catalog's region, which HBase trusts more than directories.
//! It is changed by one write before a change of regions is published: if the process dies in between, the
//! catalog decides whether the change was made.

use super::{Table, TableCore};
use crate::clock::Deadline;
use crate::error::Result;
use crate::layout::table::sync_table_dirs;
use crate::layout::{RegionChange, TableListing, TableTree};
use crate::locator::{
    Catalog, CatalogRange, CatalogRow, DirectoryCatalog, INFO, MetaRegion, RegionLocations, RegionState,
    STATE, TABLE, TableState, dir_exists, is_merge_column, serving,
};
use crate::op::{Delete, Get, Mutation, Put, Scan};
use crate::region::{Region, RegionOptions};
use crate::schema::{RegionInfo, TableName};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// The catalog's region of a root directory, open for writing.
pub(super) struct TableCatalog(MetaRegion);

/// Calls `create`, which creates the directory of a table, and adds the table to the root's catalog, if any.
/// If this fails, the table is removed again, unless the catalog turns out to have it.
///
/// # Errors
///
/// As `create` and `is_created`; if the catalog cannot be changed. If the table exists but the catalog does
/// not have it, as after a crash, it is added; this is not an error if `is_created` returns true.
pub(super) fn create_in_catalog(
    root: &Path,
    table: &TableName,
    options: &RegionOptions,
    is_created: impl FnOnce() -> Result<bool>,
    create: impl FnOnce() -> Result<()>,
) -> Result<()> {
    // Opened first, so that nothing is created if another process has the catalog open.
    let catalog = if table.is_meta() { None } else { TableCatalog::open(root, options)? };
    let Some(catalog) = catalog else { return create() };
    let created = create();
    if let Err(error) = created {
        if !error.is_already_exists() || catalog.has_table(table)? {
            return Err(error);
        }
        // The catalog is locked, so no other process creates the table now. Checked before the catalog gets
        // the table: a repeated call could not determine this any more.
        let is_created = is_created()?;
        // The process that created it may have died before its name was durable.
        let storage = options.file_storage();
        sync_table_dirs(&**storage, &TableTree::new(storage, root, table).dir())?;
        catalog.follow_directories(root, table, options).or_else(|error| {
            // The write may have succeeded, and only a later step failed.
            set_regions_on_disk(root, table, options).map_err(|_| error)
        })?;
        return if is_created { Ok(()) } else { Err(error) };
    }
    catalog.follow_directories(root, table, options).or_else(|error| {
        match Table::undo_creation(root, &table.to_string(), options) {
            Ok(true) => Ok(()),
            // If it was not removed, the next creation adds it to the catalog. The first error is reported.
            Ok(false) | Err(_) => Err(error),
        }
    })
}

/// Returns the row of a region that was split. A master removes the region when its daughters no longer refer
/// to its files.
fn split_parent(parent: &RegionInfo, daughters: &[RegionInfo], time: i64) -> Put {
    let put = Put::new(parent.name());
    let put = put.cell_at(INFO, "regioninfo", time, parent.marked(true, true).to_cell());
    let put = put.cell_at(INFO, "state", time, RegionState::Closed.to_string());
    let columns = ["splitA", "splitB"].into_iter().zip(daughters);
    columns.fold(put, |put, (column, daughter)| put.cell_at(INFO, column, time, daughter.to_cell()))
}

/// Returns the first and the last region that now serve the rows of a split region; `None` if there is none,
/// as after a merge. All regions that refer to its files are among the two: a region with references is not
/// split or merged (HBase: `RestoreMetaChanges.updateMetaParentRegions`).
fn daughters(parent: &RegionInfo, serving: &[RegionInfo]) -> Option<[RegionInfo; 2]> {
    let is_daughter = |region: &&RegionInfo| {
        let keys = |region: &RegionInfo| (region.start_key().to_vec(), region.end_key().to_vec());
        region.region_id() > parent.region_id() && region.is_within(parent) && keys(region) != keys(parent)
    };
    let mut found = serving.iter().filter(is_daughter);
    let first = found.next()?;
    Some([first.clone(), found.next_back().unwrap_or(first).clone()])
}

/// Whether a row of the catalog shows that a split or merge was made: the row of a new region, or of the
/// parent, marked as split into them. HBase may since have split, merged and removed the daughters, but does
/// none of this to a merged region before its parents are removed.
///
/// A parent that was split into other daughters shows an earlier split: a snapshot with the parent was
/// restored since.
pub(super) fn is_of_change(row: &CatalogRow, change: &RegionChange) -> bool {
    // The catalog is updated only after a change of the whole table was made.
    if change.replacement().is_some() {
        return false;
    }
    let name = row.region().encoded_name();
    let is_child = |region: &RegionInfo| change.children().contains(&region.encoded_name());
    is_child(row.region())
        || row.is_split_parent() && *change.parents() == [name] && row.daughters().iter().all(is_child)
}

/// Fails if the root has a catalog that cannot be changed now, for example because another process has it
/// open.
pub(super) fn check_catalog(root: &Path, options: &RegionOptions) -> Result<()> {
    match TableCatalog::open(root, options)? {
        Some(catalog) => catalog.close(),
        None => Ok(()),
    }
}

/// Makes the rows of a table match its directories, in the root's catalog, if any.
pub(super) fn set_regions_on_disk(root: &Path, table: &TableName, options: &RegionOptions) -> Result<()> {
    match TableCatalog::open(root, options)? {
        Some(catalog) => catalog.follow_directories(root, table, options),
        None => Ok(()),
    }
}

/// Returns the regions of a table, including parents; none if it does not exist. `made` are splits and merges
/// that were made but are not finished.
fn regions_with(
    root: &Path,
    table: &TableName,
    options: &RegionOptions,
    made: impl Fn(&TableListing) -> Result<Vec<RegionChange>>,
) -> Result<Vec<RegionInfo>> {
    let (storage, tree) = (options.file_storage(), TableTree::new(options.file_storage(), root, table));
    if !tree.exists()? {
        return Ok(Vec::new());
    }
    let dir = tree.dir();
    let dirs = DirectoryCatalog::of_table(Arc::clone(storage), table.clone(), &dir);
    let (mut regions, under_way) = dirs.regions_and_changes(&dir, table)?;
    if !under_way.is_empty() {
        let listing = TableListing::read(&**storage, &dir)?;
        regions = listing.regions_after(&**storage, &made(&listing)?)?;
    }
    Ok(regions.into_iter().map(|(_, region)| region).collect())
}

/// Returns the regions of a table, including parents; none if it does not exist.
pub(super) fn regions_on_disk(
    root: &Path,
    table: &TableName,
    options: &RegionOptions,
) -> Result<Vec<RegionInfo>> {
    regions_with(root, table, options, |_| Ok(Vec::new()))
}

/// Returns the root directory above a table's directory, if any.
pub(super) fn root_of(table: &Path) -> Option<&Path> {
    table.ancestors().nth(2).filter(|data| data.ends_with("data")).and_then(Path::parent)
}

impl TableCore {
    /// Opens the catalog of the root directory above a table's directory; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be opened for writing, for example because another process has it open
    /// ([`Locked`](crate::ErrorKind::Locked)).
    pub(super) fn catalog(&self, table: &Path) -> Result<Option<TableCatalog>> {
        root_of(table).map_or(Ok(None), |root| TableCatalog::open(root, &self.options))
    }
}

impl TableCatalog {
    /// Opens the catalog of a root directory; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be opened for writing, for example because another process has it open
    /// ([`Locked`](crate::ErrorKind::Locked)).
    pub(super) fn open(root: &Path, options: &RegionOptions) -> Result<Option<Self>> {
        Self::open_with(root, options.of_catalog())
    }

    /// Like [`open`](Self::open), for reading only: changes by a running cluster may be missing.
    pub(super) fn open_to_read(root: &Path, options: &RegionOptions) -> Result<Option<Self>> {
        Self::open_with(root, options.of_catalog().writable(false))
    }

    fn open_with(root: &Path, options: RegionOptions) -> Result<Option<Self>> {
        if !dir_exists(&**options.file_storage(), &MetaRegion::path(root))? {
            return Ok(None);
        }
        MetaRegion::open(root, options).map(|meta| Some(Self(meta)))
    }

    fn region(&self) -> &Region {
        self.0.region()
    }

    /// Returns the row of a region; `None` if the catalog does not have the region.
    fn row(&self, region: &RegionInfo) -> Result<Option<CatalogRow>> {
        let row = self.region().get(&Get::new(region.name()).family(INFO))?;
        match row.is_empty() {
            true => Ok(None),
            false => {
                CatalogRow::parse(row.as_row()).map(Some).map_err(|error| error.at(self.region().path(), 0))
            }
        }
    }

    /// Whether the catalog has a region.
    pub(super) fn has(&self, region: &RegionInfo) -> Result<bool> {
        Ok(self.row(region)?.is_some())
    }

    /// Whether the catalog has a region, not marked as split.
    pub(super) fn serves(&self, region: &RegionInfo) -> Result<bool> {
        Ok(self.row(region)?.is_some_and(|row| !row.is_split_parent()))
    }

    /// Whether the catalog has a split or merge of a table's regions.
    pub(super) fn has_made(&self, table: &TableName, change: &RegionChange) -> Result<bool> {
        let meta = RegionLocations::new(RegionInfo::meta(), []);
        let range = CatalogRange::regions(table, &[], usize::MAX);
        for entry in self.0.rows(&meta, &range, Deadline::NEVER)? {
            let row = entry.row.map_err(|error| error.at(self.region().path(), 0))?;
            if is_of_change(&row, change) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the unfinished splits and merges of a table that the catalog has, which shows that they were
    /// made.
    pub(super) fn made_among(&self, table: &TableName, listing: &TableListing) -> Result<Vec<RegionChange>> {
        let mut made = Vec::new();
        for change in listing.changes() {
            if self.has_made(table, change)? {
                made.push(change.clone());
            }
        }
        Ok(made)
    }

    /// Makes the rows of a table match its directories, and closes the catalog. A split or merge in the
    /// catalog was made, even if another process has yet to finish it.
    pub(super) fn follow_directories(
        self,
        root: &Path,
        table: &TableName,
        options: &RegionOptions,
    ) -> Result<()> {
        let regions = regions_with(root, table, options, |listing| self.made_among(table, listing))?;
        self.set_table(table, &regions, options.now())
    }

    /// Replaces regions by others, and closes the catalog, so that the change is in its files. The row of a
    /// split's parent stays, marked as split, with its daughters; the rows of a merge's parents are deleted,
    /// and the new region's row names them. A master that starts assigns the new regions, unless the old ones
    /// were closed.
    pub(super) fn replace(self, parents: &[RegionInfo], children: &[RegionInfo], now: i64) -> Result<()> {
        let first = parents.first().map_or(Ok(None), |parent| self.row(parent))?;
        let state = first.and_then(|row| row.assignments().first()?.state);
        let state =
            if state == Some(RegionState::Closed) { RegionState::Closed } else { RegionState::Offline };
        let put = |region: &RegionInfo| Put::new(region.name());
        let is_split = parents.len() == 1;
        let mut changes: Vec<Mutation> = Vec::new();
        for parent in parents {
            let now = self.time_after(&parent.name(), now)?;
            if is_split {
                changes.push(split_parent(parent, children, now).into());
            } else {
                changes.push(Delete::new(parent.name()).family_at(INFO, now).into());
            }
        }
        for child in children {
            let now = self.time_after(&child.name(), now)?;
            let mut put = put(child).cell_at(INFO, "regioninfo", now, child.to_cell());
            put = put.cell_at(INFO, "state", now, state.to_string());
            put = put.cell_at(INFO, "seqnumDuringOpen", now, 1_i64.to_be_bytes().to_vec());
            for (i, parent) in parents.iter().enumerate().filter(|_| !is_split) {
                put = put.cell_at(INFO, format!("merge{i:04}"), now, parent.to_cell());
            }
            changes.push(put.into());
        }
        self.region().mutate_rows(changes)?;
        self.region().close()
    }

    /// Closes the catalog.
    pub(super) fn close(self) -> Result<()> {
        self.region().close()
    }

    /// Whether the catalog has the state or a region of a table.
    pub(super) fn has_table(&self, table: &TableName) -> Result<bool> {
        Ok(!self.keys(table)?.is_empty())
    }

    /// Returns the keys of all rows of a table: that of its state, and those of its regions.
    fn keys(&self, table: &TableName) -> Result<Vec<Vec<u8>>> {
        let meta = RegionLocations::new(RegionInfo::meta(), []);
        let range = CatalogRange::regions(table, &[], usize::MAX);
        let rows = self.0.rows(&meta, &range, Deadline::NEVER)?;
        let state = table.to_bytes();
        let has_state = !self.region().get(&Get::new(state.clone()))?.is_empty();
        Ok(has_state.then_some(state).into_iter().chain(rows.into_iter().map(|entry| entry.key)).collect())
    }

    /// Makes the rows of a table match its regions, by one write, and closes the catalog, so that the change
    /// is in its files. `regions` are all regions with directories: parents of splits among them get rows
    /// with their daughters, and rows of other parents are kept. All other rows of the table are deleted;
    /// without regions, the row of its state as well.
    ///
    /// If there was anything to change, the table is enabled. A master that starts assigns the new regions.
    fn set_table(self, table: &TableName, regions: &[RegionInfo], now: i64) -> Result<()> {
        let state = table.to_bytes();
        let names: BTreeSet<Vec<u8>> = regions.iter().map(RegionInfo::name).collect();
        let mut changes: Vec<Mutation> = Vec::new();
        for key in self.keys(table)? {
            if !names.contains(&key) && (key != state || names.is_empty()) {
                let time = self.time_after(&key, now)?;
                changes.push(Delete::new(key).timestamp(time).into());
            }
        }
        let serving = serving(regions.to_vec());
        for region in regions.iter().filter(|region| !serving.contains(region)) {
            let Some(daughters) = daughters(region, &serving) else { continue };
            let row = self.row(region)?.filter(CatalogRow::is_split_parent);
            let has_daughter = |row: &CatalogRow| row.daughters().iter().all(|d| names.contains(&d.name()));
            if !row.is_some_and(|row| !row.daughters().is_empty() && has_daughter(&row)) {
                let time = self.time_after(&region.name(), now)?;
                changes.push(split_parent(region, &daughters, time).into());
            }
        }
        for region in serving {
            let row = self.row(&region)?;
            if row.as_ref().is_some_and(|row| *row.region() == region && row.daughters().is_empty()) {
                continue;
            }
            let (key, time) = (region.name(), self.time_after(&region.name(), now)?);
            if row.is_some() {
                // The region was a parent and serves again.
                changes.push(Delete::new(key.clone()).timestamp(time).into());
            }
            let time = time.saturating_add(1);
            let put = Put::new(key).cell_at(INFO, "regioninfo", time, region.to_cell());
            changes.push(put.cell_at(INFO, "state", time, RegionState::Offline.to_string()).into());
        }
        if changes.is_empty() {
            return self.close();
        }
        if !names.is_empty() && self.has_states() {
            let time = self.time_after(&state, now)?;
            let enabled = TableState::Enabled.to_message().to_vec();
            changes.push(Put::new(state).cell_at(TABLE, STATE, time, enabled).into());
        }
        self.region().mutate_rows(changes)?;
        self.close()
    }

    /// Returns a time that is not before now, and after all cells and delete markers of a row.
    fn time_after(&self, row: &[u8], now: i64) -> Result<i64> {
        let scan = Scan::new().start_row(row.to_vec(), true).stop_row(row.to_vec(), true);
        let scan = scan.raw(true).max_versions(u32::MAX);
        let view = self.region().view();
        let mut rows = view.scan(&scan)?;
        let mut time = now;
        while let Some(row) = rows.next_row()? {
            time = row.cells().map(|cell| cell.timestamp().saturating_add(1)).fold(time, i64::max);
        }
        Ok(time)
    }

    /// Whether the catalog has states of tables, as it does since HBase 2.0.
    fn has_states(&self) -> bool {
        self.region().families().any(|family| family.name() == TABLE)
    }

    /// Removes the columns and rows of parents whose directories have been removed, and closes the catalog.
    pub(super) fn forget_parents(
        self,
        table: &TableName,
        is_gone: impl Fn(&RegionInfo) -> Result<bool>,
        now: i64,
    ) -> Result<()> {
        let meta = RegionLocations::new(RegionInfo::meta(), []);
        let range = CatalogRange::regions(table, &[], usize::MAX);
        for row in self.0.rows(&meta, &range, Deadline::NEVER)?.into_iter().filter_map(|entry| entry.row.ok())
        {
            let (region, merged) = (row.region(), row.merge_parents());
            if region.table() != table {
                continue;
            }
            if row.is_split_parent() && is_gone(region)? {
                let time = self.time_after(&region.name(), now)?;
                self.region().delete(Delete::new(region.name()).timestamp(time).family(INFO))?;
            }
            if !merged.is_empty()
                && merged.iter().try_fold(true, |all, region| Ok(all && is_gone(region)?))?
            {
                let found = self.region().get(&Get::new(region.name()).family(INFO))?;
                let columns =
                    found.cells().map(|cell| cell.qualifier().to_vec()).filter(|q| is_merge_column(q));
                let delete = Delete::new(region.name()).timestamp(self.time_after(&region.name(), now)?);
                self.region().delete(columns.fold(delete, |delete, column| delete.column(INFO, column)))?;
            }
        }
        self.region().close()
    }
}
