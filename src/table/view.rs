//! A view of a table for any number of reads.

use super::regions::RegionList;
use super::steps::Steps;
use super::{Table, TableScanner};
use crate::cell::{CellOrder, Row, RowBuf};
use crate::error::Result;
use crate::op::{Get, Scan};
use crate::region::{ReadView, RowSource, SharedRead, read_rows};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A table whose regions do not change: each is read in its state at the first read through this view.
///
/// A view keeps the regions it has read open. It has the regions that the table had when the view was
/// created: one that was split or merged before its first read is read in its last state. If another process
/// did this, the new regions may be read instead: a scan continues in them after the last row that it has
/// returned.
pub struct TableView(Arc<RegionViews>);

struct RegionViews {
    table: Table,
    regions: Arc<RegionList>,
    /// The view of each region that has been read.
    views: Box<[OnceLock<ReadView>]>,
    /// A later view, for the rows of regions that turned out to have been replaced.
    later: OnceLock<TableView>,
}

impl TableView {
    pub(super) fn new(table: Table) -> Self {
        let regions = table.0.regions.load_full();
        let views = regions.slots.iter().map(|_| OnceLock::new()).collect();
        Self(Arc::new(RegionViews { table, regions, views, later: OnceLock::new() }))
    }

    /// Returns the table.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.0.table
    }

    /// Reads a row. See [`Table::get`].
    ///
    /// # Errors
    ///
    /// If no region, or more than one, has the row; if the row is longer than
    /// [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN) or has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes); if a family is unknown, or a file is damaged or
    /// unreadable.
    pub fn get(&self, get: &Get) -> Result<Row> {
        self.region_of(get.row())?.get(get)
    }

    /// Reads a row into a buffer. See [`Table::get_into`].
    ///
    /// # Errors
    ///
    /// If no region, or more than one, has the row; if the row is longer than
    /// [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN) or has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes); if a family is unknown, or a file is damaged or
    /// unreadable.
    pub fn get_into(&self, get: &Get, row: &mut RowBuf) -> Result<bool> {
        self.0.get_into(get, row)
    }

    /// Reads rows, and returns them in the order of `gets`. Rows of the same region are read together, as by
    /// [`ReadView::get_many`].
    ///
    /// # Errors
    ///
    /// If no region, or more than one, has one of the rows; if a row is longer than
    /// [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN) or has more bytes than
    /// [`Limits::row_bytes`](crate::Limits::row_bytes); if a family is unknown, or a file is damaged or
    /// unreadable.
    pub fn get_many(&self, gets: &[Get]) -> Result<Vec<Row>> {
        read_rows(gets, CellOrder::User, &self.0.table.0.get_threads, self)
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

    /// Returns the view of the region that has a row.
    pub(super) fn region_of(&self, row: &[u8]) -> Result<&ReadView> {
        self.0.region_of(row)
    }

    /// Returns the view of the next region of a scan, and the rest of the scan if this is not its start.
    pub(super) fn next_region(&self, steps: &mut Steps<'_>) -> Result<Option<(&ReadView, Option<Scan>)>> {
        let mut view = &*self.0;
        while let Some(at) = steps.next(&view.regions)? {
            if let Some(region) = view.region(at)? {
                return Ok(Some((region, steps.rest_in(&view.regions.slots[at].info))));
            }
            steps.go_back();
            view = view.later();
        }
        Ok(None)
    }
}

impl RegionViews {
    fn get_into(&self, get: &Get, row: &mut RowBuf) -> Result<bool> {
        row.clear();
        self.region_of(get.row())?.get_into(get, row)
    }

    fn region_of(&self, row: &[u8]) -> Result<&ReadView> {
        let mut view = self;
        loop {
            if let Some(region) = view.region(view.regions.find(row)?)? {
                return Ok(region);
            }
            view = view.later();
        }
    }

    /// Returns the view of a region, and creates it on first use; `None` if the region turns out to have been
    /// replaced.
    fn region(&self, at: usize) -> Result<Option<&ReadView>> {
        let core = &self.table.0;
        core.check_open()?;
        let slot = &self.views[at];
        match slot.get() {
            Some(view) => Ok(Some(view)),
            None => {
                let view = core.open(&self.regions.slots[at])?.map(|region| region.view());
                Ok(view.map(|view| slot.get_or_init(|| view)))
            }
        }
    }

    fn later(&self) -> &Self {
        &self.later.get_or_init(|| TableView::new(self.table.clone())).0
    }
}

impl RowSource for TableView {
    fn read(&self, get: &Get, row: &mut RowBuf) -> Result<()> {
        self.0.get_into(get, row).map(drop)
    }

    fn share(&self) -> SharedRead {
        let views = Arc::clone(&self.0);
        Box::new(move |get, row| views.get_into(get, row).map(drop))
    }
}

impl fmt::Debug for TableView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableView").field("table", &self.0.table).finish_non_exhaustive()
    }
}
