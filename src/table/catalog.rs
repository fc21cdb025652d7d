//! Changes of `hbase:meta` when regions are replaced (HBase: `RegionStateStore`, `CatalogJanitor`).
//!
//! A root directory that HBase has used has the catalog's region, which HBase trusts more than directories.
//! It is changed by one write, before a change of regions is published: if the process dies in between, the
//! catalog decides whether the change has been made.

use super::TableCore;
use crate::clock::Deadline;
use crate::error::Result;
use crate::locator::{
    Catalog, CatalogRange, CatalogRow, MetaRegion, RegionLocations, RegionState, dir_exists, is_merge_column,
};
use crate::op::{Delete, Get, Mutation, Put};
use crate::region::Region;
use crate::schema::{RegionInfo, TableName};
use std::path::Path;

const INFO: &str = "info";

/// The catalog's region of a root directory, open for writing.
pub(super) struct TableCatalog(MetaRegion);

impl TableCore {
    /// Opens the catalog of the root directory above a table's directory; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be opened for writing, for example because another process has it open
    /// ([`Locked`](crate::ErrorKind::Locked)).
    pub(super) fn catalog(&self, table: &Path) -> Result<Option<TableCatalog>> {
        let data = table.ancestors().nth(2).filter(|data| data.ends_with("data"));
        let Some(root) = data.and_then(Path::parent) else { return Ok(None) };
        if !dir_exists(&**self.options.file_storage(), &MetaRegion::path(root))? {
            return Ok(None);
        }
        MetaRegion::open(root, self.options.of_catalog()).map(|meta| Some(TableCatalog(meta)))
    }
}

impl TableCatalog {
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

    /// Replaces regions by others, and closes the catalog, so that the change is in its files. The parent of
    /// a split stays, marked as split, with its daughters; those of a merge are deleted, and the new region
    /// has them. A master that starts assigns the new regions, unless those they replace were closed.
    pub(super) fn replace(self, parents: &[RegionInfo], children: &[RegionInfo], now: i64) -> Result<()> {
        let first = parents.first().map_or(Ok(None), |parent| self.row(parent))?;
        let state = first.and_then(|row| row.assignments().first()?.state);
        let state =
            if state == Some(RegionState::Closed) { RegionState::Closed } else { RegionState::Offline };
        let put = |region: &RegionInfo| Put::new(region.name());
        let is_split = parents.len() == 1;
        let mut changes: Vec<Mutation> = Vec::new();
        for parent in parents {
            if is_split {
                let mut put =
                    put(parent).cell_at(INFO, "regioninfo", now, parent.marked(true, true).to_cell());
                put = put.cell_at(INFO, "state", now, RegionState::Closed.to_string());
                for (column, child) in ["splitA", "splitB"].into_iter().zip(children) {
                    put = put.cell_at(INFO, column, now, child.to_cell());
                }
                changes.push(put.into());
            } else {
                changes.push(Delete::new(parent.name()).family_at(INFO, now).into());
            }
        }
        for child in children {
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

    /// Removes what refers to parents whose directories have been removed, and closes the catalog.
    pub(super) fn forget_parents(
        self,
        table: &TableName,
        is_gone: impl Fn(&RegionInfo) -> Result<bool>,
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
                self.region().delete(Delete::new(region.name()).family(INFO))?;
            }
            if !merged.is_empty()
                && merged.iter().try_fold(true, |all, region| Ok(all && is_gone(region)?))?
            {
                let found = self.region().get(&Get::new(region.name()).family(INFO))?;
                let columns =
                    found.cells().map(|cell| cell.qualifier().to_vec()).filter(|q| is_merge_column(q));
                let delete =
                    columns.fold(Delete::new(region.name()), |delete, column| delete.column(INFO, column));
                self.region().delete(delete)?;
            }
        }
        self.region().close()
    }
}
