//! Filters that count rows or columns.

use super::column::hint_column;
use super::{CellFilter, Verdict};
use crate::cell::{CellRef, SeekKey};
use crate::error::Result;
use bytes::Bytes;

/// Passes up to `rows` rows per region (HBase: `PageFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PageFilter {
    pub(super) rows: u64,
    accepted: u64,
}

impl PageFilter {
    pub(super) fn new(rows: u64) -> Self {
        Self { rows, accepted: 0 }
    }
}

impl CellFilter for PageFilter {
    fn filter_all_remaining(&self) -> bool {
        self.accepted >= self.rows
    }

    fn filter_row(&mut self) -> bool {
        self.accepted = self.accepted.saturating_add(1);
        self.accepted > self.rows
    }

    fn has_filter_row(&self) -> bool {
        true
    }
}

/// Passes the first columns of a row (HBase: `ColumnCountGetFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ColumnCountGetFilter {
    pub(super) columns: u32,
    count: u64,
}

impl ColumnCountGetFilter {
    pub(super) fn new(columns: u32) -> Self {
        Self { columns, count: 0 }
    }
}

impl CellFilter for ColumnCountGetFilter {
    fn reset(&mut self) {
        self.count = 0;
    }

    fn filter_all_remaining(&self) -> bool {
        self.count > self.columns.into()
    }

    fn filter_cell(&mut self, _: CellRef<'_>) -> Result<Verdict> {
        self.count += 1;
        Ok(if self.filter_all_remaining() { Verdict::NextCol } else { Verdict::IncludeAndNextCol })
    }
}

/// Passes up to `limit` columns of each row after skipping `offset` (HBase: `ColumnPaginationFilter` with an
/// offset).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ColumnPaginationFilter {
    pub(super) limit: u32,
    pub(super) offset: u32,
    count: u64,
}

impl ColumnPaginationFilter {
    pub(super) fn new(limit: u32, offset: u32) -> Self {
        Self { limit, offset, count: 0 }
    }
}

impl CellFilter for ColumnPaginationFilter {
    fn reset(&mut self) {
        self.count = 0;
    }

    fn filter_cell(&mut self, _: CellRef<'_>) -> Result<Verdict> {
        let (limit, offset) = (u64::from(self.limit), u64::from(self.offset));
        if self.count >= offset + limit {
            return Ok(Verdict::NextRow);
        }
        let verdict = if self.count < offset { Verdict::NextCol } else { Verdict::IncludeAndNextCol };
        self.count += 1;
        Ok(verdict)
    }
}

/// Passes up to `limit` columns of each row, starting at a column (HBase: `ColumnPaginationFilter` with a
/// column).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ColumnPageFilter {
    pub(super) limit: u32,
    pub(super) column: Bytes,
    count: u64,
}

impl ColumnPageFilter {
    pub(super) fn new(limit: u32, column: Bytes) -> Self {
        Self { limit, column, count: 0 }
    }
}

impl CellFilter for ColumnPageFilter {
    fn reset(&mut self) {
        self.count = 0;
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        if self.count >= self.limit.into() {
            return Ok(Verdict::NextRow);
        }
        if self.count == 0 && *cell.qualifier() < *self.column {
            return Ok(Verdict::SeekNextUsingHint);
        }
        self.count += 1;
        Ok(Verdict::IncludeAndNextCol)
    }

    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        hint_column(cell, Some(&self.column), hint)
    }
}
