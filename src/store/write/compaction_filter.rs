//! Hooks between the cells of a flush or compaction and the output file.

use crate::cell::CellRef;
use crate::error::Result;
use crate::store::matcher::ScanInfo;
use std::fmt;

/// Sees each cell that a flush or compaction keeps, and decides what is written for it (HBase: the scanner
/// that an observer wraps around another).
pub trait CompactionFilter: fmt::Debug {
    /// Passes the cells to write in place of `cell` to `out`: the cell itself, another, several or none, in
    /// the order of cells.
    ///
    /// # Errors
    ///
    /// Those of `out`, or the implementation's own. An error ends the flush or compaction, and nothing is
    /// changed.
    fn filter_cell(
        &mut self,
        cell: CellRef<'_>,
        out: &mut dyn FnMut(CellRef<'_>) -> Result<()>,
    ) -> Result<()>;
}

/// Which cells a flush or compaction keeps.
#[derive(Debug)]
pub(crate) struct Retention {
    pub(crate) info: ScanInfo,
    /// The least read point that is still in use.
    pub(crate) max_read_point: i64,
    /// Hooks between the cells and the file.
    pub(crate) filters: Vec<Box<dyn CompactionFilter>>,
}

/// Passes a cell through `passes`, one after the other. Usually there are none.
#[inline]
pub(crate) fn apply(
    passes: &mut [Box<dyn CompactionFilter>],
    cell: CellRef<'_>,
    mut out: impl FnMut(CellRef<'_>) -> Result<()>,
) -> Result<()> {
    if passes.is_empty() { out(cell) } else { chain(passes, cell, &mut out) }
}

fn chain(
    passes: &mut [Box<dyn CompactionFilter>],
    cell: CellRef<'_>,
    out: &mut dyn FnMut(CellRef<'_>) -> Result<()>,
) -> Result<()> {
    match passes.split_first_mut() {
        None => out(cell),
        Some((first, rest)) => first.filter_cell(cell, &mut |cell| chain(rest, cell, out)),
    }
}
