//! Record batches of a scan.

use crate::batch_builder::{BatchBuilder, BatchLimits};
use crate::error::Result;
use crate::layout::Layout;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use hregion::{Region, ResultScanner, RowRef, Scan, Table, TableResultScanner};
use std::fmt;

/// A scanner that owns its source.
pub trait Rows {
    /// Returns the next row.
    ///
    /// # Errors
    ///
    /// The errors of the scanner.
    fn next_row(&mut self) -> hregion::Result<Option<RowRef<'_>>>;
}

impl Rows for ResultScanner {
    fn next_row(&mut self) -> hregion::Result<Option<RowRef<'_>>> {
        Self::next_row(self)
    }
}

impl Rows for TableResultScanner {
    fn next_row(&mut self) -> hregion::Result<Option<RowRef<'_>>> {
        Self::next_row(self)
    }
}

/// The record batches of a scan: an iterator, and a [`RecordBatchReader`]. It ends after an error.
pub struct Batches<R> {
    rows: Option<R>,
    builder: BatchBuilder,
    /// Whether an error has occurred.
    is_over: bool,
}

impl Batches<TableResultScanner> {
    /// Reads a table or a snapshot. With mapped columns, the scan is narrowed to them
    /// ([`Layout::select`]).
    ///
    /// # Errors
    ///
    /// Same as [`Table::scan`] and [`BatchBuilder::new`].
    pub fn of_table(table: &Table, scan: Scan, layout: Layout, limits: BatchLimits) -> Result<Self> {
        Ok(Self::of(table.scan(layout.select(scan))?, BatchBuilder::new(layout, None, limits)?))
    }
}

impl Batches<ResultScanner> {
    /// Reads a region, or files that were opened without one
    /// ([`RegionOptions::open_files`](hregion::RegionOptions::open_files)). With mapped columns, the scan is
    /// narrowed to them.
    ///
    /// # Errors
    ///
    /// Same as [`Region::scan`] and [`BatchBuilder::new`].
    pub fn of_region(region: &Region, scan: Scan, layout: Layout, limits: BatchLimits) -> Result<Self> {
        Ok(Self::of(region.scan(layout.select(scan))?, BatchBuilder::new(layout, None, limits)?))
    }
}

impl<R: Rows> Batches<R> {
    /// Reads rows by a scanner, whose scan must have the columns of the layout.
    pub fn of(rows: R, builder: BatchBuilder) -> Self {
        Self { rows: Some(rows), builder, is_over: false }
    }

    /// Returns the number of values so far that were not of their type, and are null.
    #[must_use]
    pub fn invalid(&self) -> u64 {
        self.builder.invalid()
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.builder.next_batch() {
                return Ok(Some(batch));
            }
            let Some(rows) = &mut self.rows else { return Ok(None) };
            match rows.next_row()? {
                Some(row) => self.builder.push(row)?,
                None => {
                    self.rows = None;
                    self.builder.flush()?;
                }
            }
        }
    }
}

impl<R: Rows> Iterator for Batches<R> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.rows = None;
            // a batch may be complete
            self.is_over = true;
        }
        read.map_err(ArrowError::from).transpose()
    }
}

impl<R: Rows> RecordBatchReader for Batches<R> {
    fn schema(&self) -> SchemaRef {
        self.builder.schema()
    }
}

impl<R> fmt::Debug for Batches<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("builder", &self.builder).finish_non_exhaustive()
    }
}
