//! What stands between the cells of a flush or compaction and the file they go to.

use super::matcher::ScanInfo;
use crate::cell::CellRef;
use crate::error::Result;
use std::fmt;

/// Sees each cell that a flush or compaction keeps, and says what becomes of it (HBase: the scanner that an observer puts
/// around another).
pub trait CellPass: fmt::Debug {
    /// Hands on to `out` what is to be written of a cell: itself, another, several or none, in the order of cells.
    ///
    /// # Errors
    ///
    /// Those of `out`, or one's own, with which the flush or compaction ends and nothing is changed.
    fn pass(&mut self, cell: CellRef<'_>, out: &mut dyn FnMut(CellRef<'_>) -> Result<()>) -> Result<()>;
}

/// What a flush or compaction keeps.
#[derive(Debug)]
pub(crate) struct Keep {
    pub(crate) info: ScanInfo,
    /// The least point that anybody may still read at.
    pub(crate) max_read_point: i64,
    /// What stands between its cells and the file.
    pub(crate) passes: Vec<Box<dyn CellPass>>,
}

/// Hands a cell through passes, one behind the other; mostly there are none.
#[inline]
pub(crate) fn through(
    passes: &mut [Box<dyn CellPass>],
    cell: CellRef<'_>,
    mut out: impl FnMut(CellRef<'_>) -> Result<()>,
) -> Result<()> {
    if passes.is_empty() { out(cell) } else { chain(passes, cell, &mut out) }
}

fn chain(
    passes: &mut [Box<dyn CellPass>],
    cell: CellRef<'_>,
    out: &mut dyn FnMut(CellRef<'_>) -> Result<()>,
) -> Result<()> {
    match passes.split_first_mut() {
        None => out(cell),
        Some((first, rest)) => first.pass(cell, &mut |cell| chain(rest, cell, out)),
    }
}
