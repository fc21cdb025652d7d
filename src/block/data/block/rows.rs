//! Visits the rows of a block from the last to the first.

use super::{CellPosition, DataBlock, row_at};
use crate::cell::CellOrder;
use crate::error::Corruption;
use std::cmp::Ordering;

/// The cells of a row that are in one block, or the first of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RowSpan {
    /// The index entry of the first cell.
    entry: usize,
    /// The offset of the first cell.
    start: usize,
    /// The offset after the last cell.
    end: usize,
}

impl RowSpan {
    /// Whether the block begins with these cells, so that the previous block may have more of the row.
    #[inline]
    pub(crate) fn is_first(&self) -> bool {
        self.entry == 0
    }

    /// Whether the cell at `position` is the last of the span.
    #[inline]
    pub(crate) fn ends_at(&self, position: &CellPosition) -> bool {
        position.next >= self.end
    }
}

impl DataBlock {
    /// Returns the last row of the block.
    ///
    /// # Errors
    ///
    /// If the rows of the block do not ascend, or the block has no index.
    pub(crate) fn last_row(&self, order: CellOrder) -> Result<RowSpan, Corruption> {
        self.row_up_to_entry(self.index.len(), self.cells.end, order)
    }

    /// Returns the row before `row`, which must not be the first of the block.
    ///
    /// # Errors
    ///
    /// Same as [`last_row`](Self::last_row).
    #[inline]
    pub(crate) fn row_before(&self, row: &RowSpan, order: CellOrder) -> Result<RowSpan, Corruption> {
        self.row_up_to_entry(row.entry, row.start, order)
    }

    /// Returns the row of a cell, up to and including that cell.
    ///
    /// # Errors
    ///
    /// Same as [`last_row`](Self::last_row).
    pub(crate) fn row_up_to(&self, position: &CellPosition, order: CellOrder) -> Result<RowSpan, Corruption> {
        let (mut low, mut high) = (0, self.index.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.entry_at(middle) <= position.at {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.row_up_to_entry(low, position.next, order)
    }

    /// Returns the row of the entry before `entry`, up to `end`. The first cell of each row has an entry, and
    /// so do some others.
    #[inline]
    fn row_up_to_entry(&self, entry: usize, end: usize, order: CellOrder) -> Result<RowSpan, Corruption> {
        let Some(mut entry) = entry.checked_sub(1) else { return Err(out_of_order()) };
        let mut start = self.entry_at(entry);
        let row = row_at(&self.bytes, start);
        while let Some(before) = entry.checked_sub(1) {
            let at = self.entry_at(before);
            match order.compare_rows(row_at(&self.bytes, at), row) {
                Ordering::Less => break,
                Ordering::Equal => (entry, start) = (before, at),
                Ordering::Greater => return Err(out_of_order()),
            }
        }
        Ok(RowSpan { entry, start, end })
    }

    /// Returns the row of a span.
    #[inline]
    pub(crate) fn row_of(&self, span: &RowSpan) -> &[u8] {
        row_at(&self.bytes, span.start)
    }

    /// Returns the first cell of a span.
    #[inline]
    pub(crate) fn first_of(&self, span: &RowSpan) -> CellPosition {
        self.position(span.start)
    }

    /// Whether a cell is not after a span.
    #[inline]
    pub(crate) fn is_within(&self, span: &RowSpan, position: &CellPosition) -> bool {
        position.at < span.end
    }

    /// Moves to the next cell. Returns false, and does not move, if that is after the span.
    #[inline(always)] // the loop of every reversed scan
    pub(crate) fn advance_within(&self, span: &RowSpan, position: &mut CellPosition) -> bool {
        !span.ends_at(position) && self.advance(position)
    }
}

#[cold]
fn out_of_order() -> Corruption {
    Corruption::Malformed("rows of a data block are out of order")
}
