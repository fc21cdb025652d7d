//! Filters that wrap another filter. They do not forward everything, as in HBase (read-path.md §13.2, §23.7):
//! not the row keys (SKIP), the cells of rows, hints or the direction. HBase's WHILE forwards the hints for
//! cells excluded before the filter saw them; here it does not, because it must see each cell (§23.21).

use super::{CellFilter, Verdict};
use crate::cell::CellRef;
use crate::error::Result;

/// Drops a row unless the filter includes each of its cells (HBase: `SkipFilter`).
#[derive(Debug)]
pub(super) struct SkipFilter {
    filter: Box<dyn CellFilter>,
    drop: bool,
}

impl SkipFilter {
    pub(super) fn new(filter: Box<dyn CellFilter>) -> Self {
        Self { filter, drop: false }
    }
}

impl CellFilter for SkipFilter {
    fn reset(&mut self) {
        self.filter.reset();
        self.drop = false;
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let verdict = self.filter.filter_cell(cell)?;
        self.drop |= verdict != Verdict::Include;
        Ok(verdict)
    }

    fn transform_cell<'a>(&'a mut self, cell: CellRef<'a>) -> CellRef<'a> {
        self.filter.transform_cell(cell)
    }

    fn filter_row(&mut self) -> bool {
        self.drop
    }

    fn has_filter_row(&self) -> bool {
        true
    }

    fn is_family_essential(&self, family: &[u8]) -> bool {
        self.filter.is_family_essential(family)
    }
}

/// Ends the read when the filter first excludes something (HBase: `WhileMatchFilter`).
#[derive(Debug)]
pub(super) struct WhileMatchFilter {
    filter: Box<dyn CellFilter>,
    done: bool,
    /// Whether the read ended by the key of the current row.
    ends_at_row: bool,
}

impl WhileMatchFilter {
    pub(super) fn new(filter: Box<dyn CellFilter>) -> Self {
        Self { filter, done: false, ends_at_row: false }
    }
}

impl CellFilter for WhileMatchFilter {
    fn reset(&mut self) {
        self.filter.reset();
        self.ends_at_row = false;
    }

    fn filter_all_remaining(&self) -> bool {
        self.done || self.filter.filter_all_remaining()
    }

    fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        if self.filter_all_remaining() {
            return Ok(true);
        }
        let dropped = self.filter.filter_row_key(row)?;
        self.done = dropped;
        self.ends_at_row = self.filter_all_remaining();
        Ok(dropped)
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let verdict = self.filter.filter_cell(cell)?;
        self.done |= verdict != Verdict::Include;
        Ok(verdict)
    }

    fn transform_cell<'a>(&'a mut self, cell: CellRef<'a>) -> CellRef<'a> {
        self.filter.transform_cell(cell)
    }

    fn filter_row(&mut self) -> bool {
        let dropped = self.filter.filter_row();
        self.done |= dropped;
        dropped
    }

    fn ends_at_row(&self) -> bool {
        self.ends_at_row || self.filter.ends_at_row()
    }

    fn take_back_row(&mut self) {
        self.filter.take_back_row();
        self.done &= !self.ends_at_row;
        self.ends_at_row = false;
    }

    fn has_filter_row(&self) -> bool {
        true
    }

    fn is_family_essential(&self, family: &[u8]) -> bool {
        self.filter.is_family_essential(family)
    }
}
