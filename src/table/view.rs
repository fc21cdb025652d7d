//! A view of a table for any number of reads.

use super::regions::RegionList;
use super::{Table, TableScanner};
use crate::cell::{Row, RowBuf};
use crate::error::Result;
use crate::op::{Get, Scan};
use crate::region::ReadView;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A table whose regions do not change: each is read as it was at its first read through this view.
///
/// A view keeps open the regions it has read. It has the regions that the table had when it was created: one
/// that was split or merged since then, before its first read, is read as it was then.
pub struct TableView {
    table: Table,
    pub(super) regions: Arc<RegionList>,
    /// The view of each region that has been read.
    views: Box<[OnceLock<ReadView>]>,
}

impl TableView {
    pub(super) fn new(table: Table) -> Self {
        let regions = table.0.regions.load_full();
        let views = regions.slots.iter().map(|_| OnceLock::new()).collect();
        Self { table, regions, views }
    }

    /// Returns the table.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Reads a row. See [`Table::get`].
    ///
    /// # Errors
    ///
    /// As [`Table::get`].
    pub fn get(&self, get: &Get) -> Result<Row> {
        self.region(self.regions.find(get.row())?)?.get(get)
    }

    /// Reads a row into a buffer. See [`Table::get_into`].
    ///
    /// # Errors
    ///
    /// As [`Table::get_into`].
    pub fn get_into(&self, get: &Get, row: &mut RowBuf) -> Result<bool> {
        row.clear();
        self.region(self.regions.find(get.row())?)?.get_into(get, row)
    }

    /// Reads rows, and returns them in the order of `gets`. Rows of the same region are read together, as by
    /// [`ReadView::get_many`].
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get), for any of the rows.
    pub fn get_many(&self, gets: &[Get]) -> Result<Vec<Row>> {
        let mut by_region: BTreeMap<usize, Vec<(usize, &Get)>> = BTreeMap::new();
        for (i, get) in gets.iter().enumerate() {
            by_region.entry(self.regions.find(get.row())?).or_default().push((i, get));
        }
        let mut rows: Vec<Option<Row>> = vec![None; gets.len()];
        for (at, mut gets) in by_region {
            self.region(at)?.get_numbered(&mut gets, &mut rows)?;
        }
        Ok(rows.into_iter().flatten().collect())
    }

    /// Reads the rows of a range, in order, from all regions in the range.
    ///
    /// # Errors
    ///
    /// If a family is unknown, a raw scan names columns, a file is damaged or unreadable, or no region, or
    /// more than one, has the first row.
    pub fn scan<'v>(&'v self, scan: &'v Scan) -> Result<TableScanner<'v>> {
        TableScanner::new(self, scan)
    }

    /// Returns the view of a region, and creates it on first use.
    pub(super) fn region(&self, at: usize) -> Result<&ReadView> {
        self.table.0.check_open()?;
        let slot = &self.views[at];
        match slot.get() {
            Some(view) => Ok(view),
            None => {
                let view = self.table.0.region_at(&self.regions, at)?.view();
                Ok(slot.get_or_init(|| view))
            }
        }
    }
}

impl fmt::Debug for TableView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableView").field("table", &self.table).finish_non_exhaustive()
    }
}
