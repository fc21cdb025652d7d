//! The state of a filter during a read.

use super::{CellFilter, Filter, Verdict};
use crate::cell::{CellKey, CellRef, RowBuf, SeekKey};
use crate::error::Result;

/// The state of a [`Filter`] during one read (get or scan).
///
/// The methods must be called in the order described at [`CellFilter`]. No method allocates per cell, except
/// for comparisons of non-ASCII text. HBase: `Filter` inside `FilterWrapper`.
#[derive(Debug)]
pub struct FilterEvaluator {
    filter: Box<dyn CellFilter>,
    /// Buffer for hints.
    hint: SeekKey,
    /// The number of hints that the read could not follow.
    hints_ignored: u64,
    /// Whether the filter may end the read or reject a row by its key. Otherwise these methods need not be
    /// called.
    checks_row_keys: bool,
}

impl FilterEvaluator {
    /// Creates the state for a new read.
    #[must_use]
    pub fn new(filter: &Filter) -> Self {
        let checks_row_keys = filter.checks_row_keys();
        Self { filter: filter.start(), hint: SeekKey::new(), hints_ignored: 0, checks_row_keys }
    }

    /// Sets the direction of the read, before it begins. The default is forward.
    pub fn set_reversed(&mut self, reversed: bool) {
        self.filter.set_reversed(reversed);
    }

    /// Ends the current row, complete or abandoned.
    #[inline]
    pub fn reset(&mut self) {
        self.filter.reset();
    }

    /// Whether to end the read.
    #[inline]
    #[must_use]
    pub fn filter_all_remaining(&self) -> bool {
        debug_assert!(self.checks_row_keys || !self.filter.filter_all_remaining(), "{:?}", self.filter);
        self.checks_row_keys && self.filter.filter_all_remaining()
    }

    /// Whether [`filter_all_remaining`](Self::filter_all_remaining) or
    /// [`filter_row_key`](Self::filter_row_key) may ever return true, or fail.
    #[inline]
    pub(crate) fn checks_row_keys(&self) -> bool {
        self.checks_row_keys
    }

    /// Whether to drop a row without reading its cells.
    ///
    /// # Errors
    ///
    /// If the row cannot be compared, for example because a number is expected.
    pub fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        if !self.checks_row_keys {
            debug_assert!(matches!(self.filter.filter_row_key(row), Ok(false)), "{:?}", self.filter);
            return Ok(false);
        }
        Ok(self.filter.filter_all_remaining() || self.filter.filter_row_key(row)?)
    }

    /// Decides what to do with a cell.
    ///
    /// # Errors
    ///
    /// If the cell cannot be compared, for example because a number is expected.
    #[inline]
    pub fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        self.filter.filter_cell(cell)
    }

    /// Returns the cell to emit instead of an included one.
    #[inline]
    pub fn transform_cell<'a>(&'a mut self, cell: CellRef<'a>) -> CellRef<'a> {
        self.filter.transform_cell(cell)
    }

    /// Returns the position to seek to from a cell for which [`filter_cell`](Self::filter_cell) returned
    /// [`Verdict::SeekNextUsingHint`]. Without a hint, or with one that is not ahead of the cell in the
    /// direction of the read, the read goes to the next cell.
    pub fn next_cell_hint(&mut self, cell: CellRef<'_>) -> Option<&CellKey> {
        self.filter.next_cell_hint(cell, &mut self.hint).then_some(&*self.hint)
    }

    /// Returns the position to seek to from a row that [`filter_row_key`](Self::filter_row_key) dropped, if
    /// the filter has a hint.
    pub fn hint_for_rejected_row(&mut self, row: &[u8]) -> Option<&CellKey> {
        self.filter.hint_for_rejected_row(row, &mut self.hint).then_some(&*self.hint)
    }

    /// Returns the position to seek to from a cell that was excluded by versions, columns or times before the
    /// filter saw it, if the filter has a hint.
    pub fn skip_hint(&mut self, cell: CellRef<'_>) -> Option<&CellKey> {
        self.filter.skip_hint(cell, &mut self.hint).then_some(&*self.hint)
    }

    /// Whether the filter ends the read at the row whose key it was passed last, although later rows might
    /// pass. If no cell of that row is left, the read must call [`take_back_row`](Self::take_back_row),
    /// because whether such a row exists depends on compactions.
    #[must_use]
    pub fn ends_at_row(&self) -> bool {
        self.filter.ends_at_row()
    }

    /// Reverts the end of the read at the row whose key was passed last.
    pub fn take_back_row(&mut self) {
        self.filter.take_back_row();
    }

    /// Counts a hint that the read could not follow.
    pub(crate) fn count_ignored_hint(&mut self) {
        self.hints_ignored += 1;
    }

    /// Returns the number of hints that the read could not follow.
    pub(crate) fn hints_ignored(&self) -> u64 {
        self.hints_ignored
    }

    /// Removes cells from a row that has been read. Must be called only if the filter [decides on
    /// rows](Self::has_filter_row).
    #[inline]
    pub fn filter_row_cells(&mut self, row: &mut RowBuf) {
        self.filter.filter_row_cells(row);
    }

    /// Whether to drop a row that has been read and still has cells.
    #[inline]
    pub fn filter_row(&mut self) -> bool {
        self.filter.filter_row()
    }

    /// Whether the filter decides on whole rows, so that no row may be returned in parts.
    #[must_use]
    pub fn has_filter_row(&self) -> bool {
        self.filter.has_filter_row()
    }

    /// Whether the family is needed to decide on a row. Other families are read only for rows that pass
    /// (read-path.md §5.3).
    #[must_use]
    pub fn is_family_essential(&self, family: &[u8]) -> bool {
        self.filter.is_family_essential(family)
    }
}
