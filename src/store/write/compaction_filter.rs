//! Hooks between the cells of a flush or compaction and the output file.

use crate::cell::{CellRef, SeekKey};
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

/// Leaves out cells that equal a newer one, except for their values, and that no read returns. All equal
/// cells are in one block of a file, which may have no room for these.
///
/// Not used with NEW_VERSION_BEHAVIOR, where such cells may decide on others.
#[derive(Debug)]
pub(in crate::store) struct EqualCells {
    /// All read points in use; `None` if no cell is left out.
    read_points: Option<Vec<i64>>,
    /// Key, tags and sequence id of the last cell that is kept.
    key: SeekKey,
    tags: Vec<u8>,
    seq_id: i64,
}

impl EqualCells {
    pub(in crate::store) fn new(read_points: Option<Vec<i64>>) -> Self {
        Self { read_points, key: SeekKey::new(), tags: Vec::new(), seq_id: 0 }
    }

    /// Whether a cell is left out. Equal cells are passed from the newest to the oldest.
    #[inline]
    pub(in crate::store) fn leave_out(&mut self, cell: CellRef<'_>) -> bool {
        self.read_points.is_some() && self.is_superseded(cell)
    }

    #[cold]
    fn is_superseded(&mut self, cell: CellRef<'_>) -> bool {
        let is_equal = self.key.as_bytes() == cell.key.as_bytes() && self.tags == cell.tags;
        // These reads see the cell, and not the newer one.
        let is_read_at = |point: &i64| (cell.seq_id..self.seq_id).contains(point);
        if is_equal && !self.read_points.iter().flatten().any(is_read_at) {
            return true;
        }
        self.key.set_key(cell.key);
        self.tags.clear();
        self.tags.extend_from_slice(cell.tags);
        self.seq_id = cell.seq_id;
        false
    }
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
    use crate::cell::CellType;
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

    #[test]
    fn equal_cells_are_left_out_unless_a_read_returns_them() {
        let key = SeekKey::of(b"r", b"f", b"q", 1, CellType::Put);
        let cell = |seq_id| CellRef::new(&key, b"v").with_seq_id(seq_id);
        let kept = |read_points: Option<&[i64]>| -> Vec<i64> {
            let mut equal = EqualCells::new(read_points.map(<[i64]>::to_vec));
            (1..=9).rev().filter(|&seq_id| !equal.leave_out(cell(seq_id))).collect()
        };
        assert_eq!(kept(None).len(), 9);
        assert_eq!(kept(Some(&[])), [9]);
        assert_eq!(kept(Some(&[9, 12])), [9]);
        assert_eq!(kept(Some(&[0, 4, 6])), [9, 6, 4]);
        // Labels and times to live are tags.
        let mut equal = EqualCells::new(Some(Vec::new()));
        let cells = [cell(3), CellRef { tags: b"tag", ..cell(2) }, cell(1)];
        assert!(cells.into_iter().all(|cell| !equal.leave_out(cell)));
        let other = SeekKey::of(b"r", b"f", b"q", 1, CellType::Delete);
        assert!(!equal.leave_out(CellRef::new(&other, b"v")));
    }
}
