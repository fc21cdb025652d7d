//! Reads the catalog's region on a disk (locator.md §5.1).

use super::catalog_row::INFO;
use super::{Catalog, CatalogEntry, CatalogRange, RegionLocations, TableState};
use crate::clock::Deadline;
use crate::error::{Corruption, Result};
use crate::op::{Get, Scan};
use crate::region::{Region, RegionOptions};
use crate::schema::{RegionInfo, TableName};
use std::path::{Path, PathBuf};

/// The catalog, read from the files of its region, `data/hbase/meta/1588230740` under a root directory.
/// Changes that a running cluster has only in memory are missing.
#[derive(Clone, Debug)]
pub struct MetaRegion(Region);

/// The family of table states.
pub(crate) const TABLE: &[u8] = b"table";
pub(crate) const STATE: &[u8] = b"state";

impl MetaRegion {
    /// Returns the directory of the catalog's region under a root directory.
    #[must_use]
    pub fn path(root: &Path) -> PathBuf {
        root.join("data").join("hbase").join("meta").join(RegionInfo::meta().encoded_name())
    }

    /// Opens the catalog's region under a root directory.
    ///
    /// # Errors
    ///
    /// Same as [`RegionOptions::open`].
    pub fn open(root: &Path, options: RegionOptions) -> Result<Self> {
        options.open(Self::path(root)).map(Self)
    }

    /// Returns the region.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.0
    }
}

impl From<Region> for MetaRegion {
    fn from(region: Region) -> Self {
        Self(region)
    }
}

impl Catalog for MetaRegion {
    fn rows(&self, _: &RegionLocations, range: &CatalogRange, _: Deadline) -> Result<Vec<CatalogEntry>> {
        let scan = Scan::new().family(INFO).start_row(range.first.clone(), true);
        let scan = scan.stop_row(range.last.clone(), true).reversed(range.reversed);
        let scan = scan.limit(u64::try_from(range.limit).unwrap_or(u64::MAX));
        let view = self.0.view();
        let mut rows = view.scan(&scan)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next_row()? {
            found.push(CatalogEntry::parse(row));
        }
        Ok(found)
    }

    fn table_state(&self, _: &RegionLocations, table: &TableName, _: Deadline) -> Result<Option<TableState>> {
        if self.0.families().all(|family| family.name() != TABLE) {
            let (what, name) = ("catalog before 2.0:", "states of tables".into());
            let hint = Some("they were in ZooKeeper");
            return Err(Corruption::Unsupported { what, name, hint }.at(self.0.path(), 0));
        }
        let row = self.0.get(&Get::new(table.to_bytes()).column(TABLE, STATE))?;
        let state = row.value(TABLE, STATE).map(TableState::parse).transpose();
        state.map_err(|corruption| corruption.at(self.0.path(), 0))
    }
}
