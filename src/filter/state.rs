//! A filter at work.

use super::{CellFilter, Filter, Verdict};
use crate::cell::{CellKey, CellRef, RowBuf, SeekKey};
use crate::error::Result;

/// A [`Filter`] at work, for one read: get or scan. Its state lives as long as that.
///
/// The methods are to be called in the order that [`CellFilter`] tells. None allocates per cell, but for comparisons of text
/// beyond ASCII. HBase: `Filter` behind `FilterWrapper`.
#[derive(Debug)]
pub struct FilterState {
    filter: Box<dyn CellFilter>,
    /// Where hints are written.
    hint: SeekKey,
    /// How many hints were of no use to the read.
    hints_ignored: u64,
}

impl FilterState {
    /// The filter as it is when a read begins.
    #[must_use]
    pub fn new(filter: &Filter) -> Self {
        Self { filter: filter.start(), hint: SeekKey::new(), hints_ignored: 0 }
    }

    /// Tells the direction of the read, before it begins. Forward, unless told.
    pub fn set_reversed(&mut self, reversed: bool) {
        self.filter.set_reversed(reversed);
    }

    /// A row is finished, or given up.
    pub fn reset(&mut self) {
        self.filter.reset();
    }

    /// Whether the read ends here.
    #[must_use]
    pub fn filter_all_remaining(&self) -> bool {
        self.filter.filter_all_remaining()
    }

    /// Whether to drop a row without a look at its cells.
    ///
    /// # Errors
    ///
    /// If the row cannot be compared: a number is wanted, and it is none.
    pub fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        Ok(self.filter.filter_all_remaining() || self.filter.filter_row_key(row)?)
    }

    /// What to do with a cell.
    ///
    /// # Errors
    ///
    /// If the cell cannot be compared: a number is wanted, and it is none.
    #[inline]
    pub fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        self.filter.filter_cell(cell)
    }

    /// The cell to return in place of one that was included.
    #[inline]
    pub fn transform_cell<'a>(&'a mut self, cell: CellRef<'a>) -> CellRef<'a> {
        self.filter.transform_cell(cell)
    }

    /// Where to go from a cell of which [`filter_cell`](Self::filter_cell) said [`Verdict::SeekNextUsingHint`]. Without a hint,
    /// or with one that is not ahead of the cell in the direction of the read: to the next cell.
    pub fn next_cell_hint(&mut self, cell: CellRef<'_>) -> Option<&CellKey> {
        self.filter.next_cell_hint(cell, &mut self.hint).then_some(&*self.hint)
    }

    /// Where to go from a row that [`filter_row_key`](Self::filter_row_key) dropped, if the filter knows.
    pub fn hint_for_rejected_row(&mut self, row: &[u8]) -> Option<&CellKey> {
        self.filter.hint_for_rejected_row(row, &mut self.hint).then_some(&*self.hint)
    }

    /// Where to go from a cell that versions, columns or times had left out before the filter was asked, if the filter knows.
    pub fn skip_hint(&mut self, cell: CellRef<'_>) -> Option<&CellKey> {
        self.filter.skip_hint(cell, &mut self.hint).then_some(&*self.hint)
    }

    /// Whether it ends at the row whose key it has just been asked about, although later rows might pass. If there is nothing
    /// left in that row, the read is to [take it back](Self::take_back_row): whether such a row is met depends on compactions.
    #[must_use]
    pub fn ends_at_row(&self) -> bool {
        self.filter.ends_at_row()
    }

    /// Forgets that the filter ends at the row whose key it has just been asked about.
    pub fn take_back_row(&mut self) {
        self.filter.take_back_row();
    }

    /// Counts a hint that the read could not follow.
    pub(crate) fn count_ignored_hint(&mut self) {
        self.hints_ignored += 1;
    }

    /// How many hints the read could not follow since it was last asked.
    pub(crate) fn take_ignored_hints(&mut self) -> u64 {
        std::mem::take(&mut self.hints_ignored)
    }

    /// Takes cells out of a row that has been read. To be called only if the filter [judges rows](Self::has_filter_row).
    pub fn filter_row_cells(&mut self, row: &mut RowBuf) {
        self.filter.filter_row_cells(row);
    }

    /// Whether to drop a row that has been read, and of which there is something left.
    pub fn filter_row(&mut self) -> bool {
        self.filter.filter_row()
    }

    /// Whether the filter judges whole rows, so that none may be returned in parts.
    #[must_use]
    pub fn has_filter_row(&self) -> bool {
        self.filter.has_filter_row()
    }

    /// Whether the family is needed to judge a row. Others need only be read for rows that pass (read-path.md §5.3).
    #[must_use]
    pub fn is_family_essential(&self, family: &[u8]) -> bool {
        self.filter.is_family_essential(family)
    }
}
