//! Hooks between the cells of a flush or compaction and the output file.

use crate::cell::CellRef;
use crate::error::Result;
use crate::store::matcher::ScanInfo;
use std::fmt;

/// Receives each cell that a flush or compaction keeps, and decides which cells are written for it (HBase:
/// the scanner that an observer wraps around another).
pub trait CompactionFilter: fmt::Debug {
    /// Passes the cells to write in place of `cell` to `out`: the cell itself, another, several or none, in
    /// the order of cells.
    ///
    /// # Errors
    ///
    /// Errors of `out`, or the implementation's own. An error ends the flush or compaction, and nothing is
    /// changed. An error of `out` does so even if it is not returned.
    fn filter_cell(
        &mut self,
        cell: CellRef<'_>,
        out: &mut dyn FnMut(CellRef<'_>) -> Result<()>,
    ) -> Result<()>;
}

/// The cells that a flush or compaction keeps.
#[derive(Debug)]
pub(crate) struct Retention {
    pub(crate) info: ScanInfo,
    /// The least read point that is still in use.
    pub(crate) max_read_point: i64,
    /// Hooks between the cells and the file.
    pub(crate) filters: Vec<Box<dyn CompactionFilter>>,
}

/// Passes a cell through `filters`, in order. Usually there are none.
#[inline]
pub(crate) fn apply(
    filters: &mut [Box<dyn CompactionFilter>],
    cell: CellRef<'_>,
    mut out: impl FnMut(CellRef<'_>) -> Result<()>,
) -> Result<()> {
    if filters.is_empty() {
        return out(cell);
    }
    // An error counts even if a filter ignores it, because the file would lack the cell.
    let mut failure = None;
    chain(filters, cell, &mut |cell| {
        out(cell).inspect_err(|error| {
            failure.get_or_insert_with(|| error.clone());
        })
    })?;
    failure.map_or(Ok(()), Err)
}

fn chain(
    filters: &mut [Box<dyn CompactionFilter>],
    cell: CellRef<'_>,
    out: &mut dyn FnMut(CellRef<'_>) -> Result<()>,
) -> Result<()> {
    match filters.split_first_mut() {
        None => out(cell),
        Some((first, rest)) => first.filter_cell(cell, &mut |cell| chain(rest, cell, out)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::SeekKey;
    use crate::error::{Error, ErrorKind};

    /// Passes each cell on, and ignores errors.
    #[derive(Debug)]
    struct Careless;

    impl CompactionFilter for Careless {
        fn filter_cell(
            &mut self,
            cell: CellRef<'_>,
            out: &mut dyn FnMut(CellRef<'_>) -> Result<()>,
        ) -> Result<()> {
            out(cell).or(Ok(()))
        }
    }

    #[test]
    fn a_cell_that_cannot_be_written_ends_the_work_whatever_filters_return() {
        let key = SeekKey::first_on_row(b"r");
        let cell = CellRef::new(&key, b"");
        let mut filters: Vec<Box<dyn CompactionFilter>> = vec![Box::new(Careless), Box::new(Careless)];
        let failed = apply(&mut filters, cell, |_| Err(Error::closed()));
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Closed);
        apply(&mut filters, cell, |_| Ok(())).unwrap();
    }
}
