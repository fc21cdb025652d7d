//! What a filter may be asked.

use super::Verdict;
use crate::cell::{CellRef, RowBuf, SeekKey};
use crate::error::Result;
use std::fmt;

/// The evaluating side of a filter, for one read (read-path.md §13.1; HBase: `Filter`, `FilterBase`).
///
/// For each row it is asked, in this order: [`filter_all_remaining`](Self::filter_all_remaining),
/// [`filter_row_key`](Self::filter_row_key); for each cell, in the order of cells across the families,
/// [`filter_cell`](Self::filter_cell) and then [`transform_cell`](Self::transform_cell) or
/// [`next_cell_hint`](Self::next_cell_hint), as it said; [`filter_row_cells`](Self::filter_row_cells), if it
/// [judges rows](Self::has_filter_row); [`filter_row`](Self::filter_row); [`reset`](Self::reset).
/// The defaults are those of a filter that passes everything.
pub trait CellFilter: fmt::Debug + Send {
    /// A row is finished, or given up.
    fn reset(&mut self) {}

    /// Whether the read ends here.
    fn filter_all_remaining(&self) -> bool {
        false
    }

    /// Whether to drop a row without a look at its cells.
    ///
    /// # Errors
    ///
    /// If the row cannot be compared.
    fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        let _ = row;
        Ok(self.filter_all_remaining())
    }

    /// What to do with a cell.
    ///
    /// # Errors
    ///
    /// If the cell cannot be compared.
    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let _ = cell;
        Ok(Verdict::Include)
    }

    /// The cell to return in place of one that was included.
    fn transform_cell<'a>(&'a mut self, cell: CellRef<'a>) -> CellRef<'a> {
        cell
    }

    /// Sets `hint` to where to go from a cell of which it said [`Verdict::SeekNextUsingHint`]. False: there is no hint, the
    /// read steps. A hint that is not ahead of the cell in the direction of the read is none either.
    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        let _ = (cell, hint);
        false
    }

    /// Sets `hint` to where to go from a row that was dropped by its key. False: there is no hint.
    fn hint_for_rejected_row(&mut self, row: &[u8], hint: &mut SeekKey) -> bool {
        let _ = (row, hint);
        false
    }

    /// Sets `hint` to where to go from a cell that versions, columns or times had left out before the filter was asked.
    /// False: there is no hint.
    fn skip_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        let _ = (cell, hint);
        false
    }

    /// Takes cells out of a row that has been read.
    fn filter_row_cells(&mut self, row: &mut RowBuf) {
        let _ = row;
    }

    /// Whether to drop a row that has been read.
    fn filter_row(&mut self) -> bool {
        false
    }

    /// Whether it judges whole rows, so that none may be returned in parts.
    fn has_filter_row(&self) -> bool {
        false
    }

    /// Whether the family is needed to judge a row. Others need only be read for rows that pass.
    fn is_family_essential(&self, family: &[u8]) -> bool {
        let _ = family;
        true
    }

    /// Whether its hints are worth having in an AND list although an earlier member has left the cell out
    /// (HBase: `HintingFilter`).
    fn is_hinting(&self) -> bool {
        false
    }

    /// Whether it, or a member, ends at the row whose key it has just been asked about, although later rows might pass.
    fn ends_at_row(&self) -> bool {
        false
    }

    /// The row whose key it has just been asked about has nothing left in it, so that it may be there or not: it did not end there.
    fn take_back_row(&mut self) {}

    /// Whether what it says of a cell, never an error, depends on that cell alone, and no row is judged by it. Where one
    /// member of a list is not like that, the list gives no [skip hints](Self::skip_hint): they would pass over cells that
    /// the member has yet to see, or not, as versions that are out happen to be there.
    fn is_stateless(&self) -> bool {
        false
    }

    /// The direction of the read; told before it begins.
    fn set_reversed(&mut self, reversed: bool) {
        let _ = reversed;
    }
}

/// A filter of one's own, for [`Filter::custom`](super::Filter::custom).
pub trait CustomFilter: fmt::Debug + Send + Sync {
    /// The filter as it is when a read begins.
    fn start(&self) -> Box<dyn CellFilter>;
}
