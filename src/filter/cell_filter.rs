//! The interface of filter implementations.

use super::Verdict;
use crate::cell::{CellRef, RowBuf, SeekKey};
use crate::error::Result;
use std::fmt;

/// The evaluating side of a filter, for one read (read-path.md §13.1; HBase: `Filter`, `FilterBase`).
///
/// For each row, the read calls, in this order:
///
/// 1. [`filter_all_remaining`](Self::filter_all_remaining), [`filter_row_key`](Self::filter_row_key);
/// 2. for each cell, in cell order across the families, [`filter_cell`](Self::filter_cell), and then,
///    depending on its verdict, [`transform_cell`](Self::transform_cell) or
///    [`next_cell_hint`](Self::next_cell_hint);
/// 3. [`filter_row_cells`](Self::filter_row_cells), if the filter [decides on
///    rows](Self::has_filter_row);
/// 4. [`filter_row`](Self::filter_row), [`reset`](Self::reset).
///
/// The default methods pass everything.
pub trait CellFilter: fmt::Debug + Send {
    /// Ends the current row, complete or abandoned.
    fn reset(&mut self) {}

    /// Whether to end the read.
    fn filter_all_remaining(&self) -> bool {
        false
    }

    /// Whether to drop a row without reading its cells.
    ///
    /// # Errors
    ///
    /// If the row cannot be compared.
    fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        let _ = row;
        Ok(self.filter_all_remaining())
    }

    /// Decides what to do with a cell.
    ///
    /// # Errors
    ///
    /// If the cell cannot be compared.
    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let _ = cell;
        Ok(Verdict::Include)
    }

    /// Returns the cell to emit instead of an included one.
    fn transform_cell<'a>(&'a mut self, cell: CellRef<'a>) -> CellRef<'a> {
        cell
    }

    /// Sets `hint` to the position to seek to from a cell for which the verdict was
    /// [`Verdict::SeekNextUsingHint`]. Returns false if there is no hint; the read then steps to the next
    /// cell. A hint that is not ahead of the cell in the direction of the read is ignored likewise. If a hint
    /// is ahead, the filter is not asked about the cells of the row and family before it, even if the read
    /// cannot seek to it.
    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        let _ = (cell, hint);
        false
    }

    /// Sets `hint` to the position to seek to from a row dropped by its key. Returns false if there is no
    /// hint.
    fn hint_for_rejected_row(&mut self, row: &[u8], hint: &mut SeekKey) -> bool {
        let _ = (row, hint);
        false
    }

    /// Sets `hint` to the position to seek to from a cell that was excluded by versions, columns or times
    /// before the filter saw it. Returns false if there is no hint.
    fn skip_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        let _ = (cell, hint);
        false
    }

    /// Removes cells from a row that has been read.
    fn filter_row_cells(&mut self, row: &mut RowBuf) {
        let _ = row;
    }

    /// Whether to drop a row that has been read.
    fn filter_row(&mut self) -> bool {
        false
    }

    /// Whether the filter decides on whole rows, so that no row may be returned in parts.
    fn has_filter_row(&self) -> bool {
        false
    }

    /// Whether the family is needed to decide on a row. Other families are read only for rows that pass.
    fn is_family_essential(&self, family: &[u8]) -> bool {
        let _ = family;
        true
    }

    /// Whether an AND list calls this filter for hints even after an earlier member excluded the cell (HBase:
    /// `HintingFilter`).
    fn is_hinting(&self) -> bool {
        false
    }

    /// Whether the filter, or a member, ends the read at the row whose key it was passed last, although
    /// later rows might pass.
    fn ends_at_row(&self) -> bool {
        false
    }

    /// Reverts the end of the read at the row whose key was passed last: that row has no cells left, so
    /// whether it exists must make no difference.
    fn take_back_row(&mut self) {}

    /// Whether the verdict depends on the cell alone and never fails, and the filter decides on no row. A
    /// list with any other member gives no [skip hints](Self::skip_hint): they would skip cells that the
    /// member must see, depending on which excluded versions happen to be stored.
    fn is_stateless(&self) -> bool {
        false
    }

    /// Sets the direction of the read, before it begins.
    fn set_reversed(&mut self, reversed: bool) {
        let _ = reversed;
    }
}

/// A user-defined filter, for [`Filter::custom`](super::Filter::custom) (HBase: a class that extends
/// `FilterBase`).
pub trait CustomFilter: fmt::Debug + Send + Sync {
    /// Creates the filter's state for a new read.
    fn start(&self) -> Box<dyn CellFilter>;
}
