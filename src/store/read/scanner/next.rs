//! Reads a row of a store in pieces, with a filter and limits (read-path.md §10; HBase: `StoreScanner.next`).

use super::StoreScanner;
use crate::cell::{CellKey, CellRef, RowBuf};
use crate::error::Result;
use crate::filter::FilterEvaluator;
use crate::store::read::context::{NextState, ScannerContext};
use crate::store::read::row_match::Filtered;
use std::cmp::Ordering;
use std::ops::ControlFlow;

impl StoreScanner<'_> {
    /// Appends cells of the current row to `out`: those that are selected and that `filter` accepts, until
    /// the row ends or a limit is reached. After a limit the next call continues the row. There may be no
    /// such cells.
    ///
    /// Sets the state of `context` to [`NextState::MoreValues`]. If the context skips the row, appends
    /// nothing, though the filter sees the cells.
    ///
    /// [`next_row`](Self::next_row) does the same at less cost, where there is neither filter nor limit.
    pub(crate) fn next(
        &mut self,
        context: &mut ScannerContext,
        mut filter: Option<&mut FilterEvaluator>,
        out: &mut RowBuf,
    ) -> Result<()> {
        context.state = NextState::MoreValues;
        if self.done {
            return Ok(());
        }
        out.set_limit(self.max_row_bytes);
        if !self.is_within_row() {
            self.was_over = is_over(filter.as_deref());
        }
        let skips = context.skips_row();
        let evaluator = Filtered { filter: filter.as_deref_mut(), context };
        let read = self.read_row(evaluator, |cell| {
            if !skips {
                out.try_push(cell)?;
            }
            Ok(ControlFlow::Continue(()))
        });
        if read.is_ok() && !self.is_within_row() {
            self.done |= self.is_over_since(filter.as_deref());
        }
        read
    }

    /// Whether a cell of the current row made the filter end the read. If a cell of another store did, this
    /// store ends at the first cell that the filter is asked about. It does not end with the row, all of
    /// whose cells here may be deleted.
    fn is_over_since(&self, filter: Option<&FilterEvaluator>) -> bool {
        !self.was_over && is_over(filter)
    }

    /// Whether the current cell is of the row in which the last call of [`next`](Self::next) paused. It is
    /// not if that was after the row's last cell.
    fn is_within_row(&self) -> bool {
        self.matcher.has_row() && self.heap.peek().is_some_and(|cell| self.matcher.is_of_current_row(cell))
    }

    /// Whether the last call of [`next`](Self::next) paused.
    #[cfg(test)]
    pub(super) fn has_paused(&self) -> bool {
        !self.done && self.matcher.has_row()
    }

    /// Whether the current cell is before `key`.
    pub(crate) fn is_before(&self, key: &CellKey) -> bool {
        !self.done && self.heap.peek().is_some_and(|cell| self.comes_before(cell, key))
    }

    /// Whether a cell is before a key. In a reversed scan, cells of greater rows are.
    fn comes_before(&self, cell: CellRef<'_>, key: &CellKey) -> bool {
        match self.order.compare(cell.key(), key) {
            Ordering::Equal => false,
            Ordering::Less => !self.heap.is_reversed() || cell.row() == key.row(),
            Ordering::Greater => self.heap.is_reversed() && cell.row() != key.row(),
        }
    }

    /// Moves on to the first cell that is not before `key`, in any row.
    pub(crate) fn reseek(&mut self, key: &CellKey) -> Result<()> {
        self.counts.reseeks += 1;
        self.matcher.clear_row();
        self.heap.reseek(key, self.mode)
    }

    /// Moves on to the first cell that is not before `self.key`, which is ahead.
    pub(super) fn pass_to_key(&mut self) -> Result<()> {
        for _ in 0..super::STEPS {
            self.heap.advance()?;
            match self.heap.peek() {
                Some(cell) if self.comes_before(cell, &self.key) => {}
                _ => return Ok(()),
            }
        }
        self.counts.reseeks += 1;
        self.heap.reseek(&self.key, self.mode)
    }
}

fn is_over(filter: Option<&FilterEvaluator>) -> bool {
    filter.is_some_and(FilterEvaluator::filter_all_remaining)
}
