//! The cells of a source as a cursor.

use super::{InputSource, SourcePart};
use crate::cell_source::CellSource;
use crate::failure::CommandError;
use crate::query_args::{CellArgs, RowArgs};
use crate::regions::OpenRegion;
use hregion::{Cell, CellOrder, CellRef, Region, ResultScanner, Scan};
use std::vec;

/// The cells of the rows of a source, in row order.
#[derive(Debug)]
pub(crate) struct RowCells<'s> {
    source: &'s InputSource,
    scan: Scan,
    /// The order of the rows, which is that of the table.
    order: CellOrder,
    /// The parts after the current one.
    parts: vec::IntoIter<SourcePart<'s>>,
    /// The rest of the regions of the current part.
    regions: vec::IntoIter<OpenRegion>,
    region: Option<(Region, ResultScanner)>,
    /// Whether the current region has returned nothing yet.
    is_empty: bool,
    /// The rest of the current row.
    cells: vec::IntoIter<Cell>,
    current: Option<Cell>,
}

impl<'s> RowCells<'s> {
    /// Moves to the first cell. Fails if the rows have another order.
    pub(crate) fn open(
        source: &'s InputSource,
        rows: &RowArgs,
        cells: &CellArgs,
        order: CellOrder,
    ) -> Result<Self, CommandError> {
        let scan = rows.scan(&source.narrowed(cells)?).scan;
        let parts = source.parts_of(rows).into_iter();
        let (cells, regions) = (Vec::new().into_iter(), Vec::new().into_iter());
        let mut opened =
            Self { source, scan, order, parts, regions, region: None, is_empty: true, cells, current: None };
        opened.advance()?;
        Ok(opened)
    }

    /// Reads the next row. Returns false at the end.
    fn read(&mut self) -> Result<bool, CommandError> {
        loop {
            if let Some((region, rows)) = &mut self.region {
                if let Some(row) = rows.next_row()? {
                    self.source.check(region, row)?;
                    self.cells = row.cells().map(Cell::from).collect::<Vec<_>>().into_iter();
                    self.is_empty = false;
                    return Ok(true);
                }
                if self.is_empty && rows.is_filter_done() {
                    // the scan ends here, as one of all regions does
                    return Ok(false);
                }
            }
            self.region = None;
            let Some(opened) = self.regions.next() else {
                let Some(part) = self.parts.next() else { return Ok(false) };
                self.regions = part.open()?.parts.into_iter();
                continue;
            };
            let Some(scan) = opened.narrow(&self.scan) else { continue };
            let region = opened.region.clone();
            if region.info().table().is_meta() != (self.order == CellOrder::Meta) {
                let message = "rows of hbase:meta, which have another order, together with rows of a table";
                return Err(CommandError::unsupported(region.path(), message));
            }
            let rows = region.view().into_scanner(scan.into_owned())?;
            (self.region, self.is_empty) = (Some((region, rows)), true);
        }
    }
}

impl CellSource for RowCells<'_> {
    fn peek(&self) -> Option<CellRef<'_>> {
        self.current.as_ref().map(Cell::as_ref)
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        loop {
            self.current = self.cells.next();
            if self.current.is_some() || !self.read()? {
                return Ok(());
            }
        }
    }
}
