//! Reads a row of a store in pieces, with a filter and limits (read-path.md §10; HBase: `StoreScanner.next`).

use super::StoreScanner;
use crate::cell::{CellKey, CellRef, RowBuf};
use crate::error::Result;
use crate::filter::FilterEvaluator;
use crate::store::matcher::{Advance, FilteredCode, MatchCode, MatchError};
use crate::store::read::context::{LimitScope, NextState, ScannerContext};
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
        let result = if context.may_cut_rows() {
            self.next_piece(context, filter.as_deref_mut(), out)
        } else {
            self.next_whole(context, filter.as_deref_mut(), out)
        };
        if let Some(filter) = filter {
            self.counts.hints_ignored += filter.take_ignored_hints();
        }
        result
    }

    /// Reads the whole row, which no limit cuts.
    fn next_whole(
        &mut self,
        context: &mut ScannerContext,
        mut filter: Option<&mut FilterEvaluator>,
        out: &mut RowBuf,
    ) -> Result<()> {
        let skips = context.skips_row();
        self.was_over = is_over(filter.as_deref());
        let evaluator = Filtered { filter: filter.as_deref_mut(), context };
        self.read_row(evaluator, |cell| {
            if !skips {
                out.push(cell);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.done |= self.is_over_since(filter.as_deref());
        Ok(())
    }

    /// Same as [`next_whole`](Self::next_whole), cell by cell. May end within a row.
    pub(super) fn next_piece(
        &mut self,
        context: &mut ScannerContext,
        mut filter: Option<&mut FilterEvaluator>,
        out: &mut RowBuf,
    ) -> Result<()> {
        if !self.matcher.has_row()
            && let Some(row) = self.heap.peek_row()
        {
            self.matcher.set_to_new_row(row);
            self.count_per_row = 0;
            self.was_over = is_over(filter.as_deref());
        }
        let mut found = false;
        while let Some(cell) = self.heap.peek() {
            self.counts.cells += 1;
            let code = match filter.as_deref_mut() {
                Some(filter) => self.matcher.match_filtered(cell, filter, &mut self.key),
                None => self.matcher.match_cell(cell).map(FilteredCode::Match).map_err(MatchError::from),
            };
            let code = match code {
                Ok(FilteredCode::Match(code)) => code,
                Ok(FilteredCode::SeekToKey) => {
                    self.pass_to_key()?;
                    continue;
                }
                Ok(FilteredCode::DoneScan) => {
                    self.done = true;
                    break;
                }
                Err(unmatched) => return Err(self.error_of(Some(unmatched))),
            };
            if code.is_include() {
                let shown = match filter.as_deref_mut() {
                    Some(filter) => filter.transform_cell(cell),
                    None => cell,
                };
                self.count_per_row += 1;
                if self.count_per_row > u64::from(self.limit.offset) {
                    found = true;
                    // The filter's transformation of a cell does not affect the limits.
                    context.count(cell);
                    if !context.skips_row() {
                        out.push(shown);
                    }
                    if self.limit.is_reached(self.count_per_row) {
                        self.leave_row()?;
                        break;
                    }
                }
            }
            match code {
                MatchCode::Include | MatchCode::Skip => self.heap.advance()?,
                MatchCode::IncludeAndSeekNextCol | MatchCode::SeekNextCol => self.leave_column()?,
                MatchCode::IncludeAndSeekNextRow | MatchCode::SeekNextRow => {
                    self.leave_row()?;
                    if self.done {
                        break;
                    }
                }
                MatchCode::Done => {
                    self.done = self.get_like || self.is_over_since(filter.as_deref());
                    self.matcher.clear_row();
                    break;
                }
            }
            if code.is_include() && context.is_any_reached(LimitScope::BetweenCells) {
                break;
            }
        }
        // After a row with cells there may be more rows.
        self.done |= !found && self.heap.peek().is_none();
        Ok(())
    }

    /// Whether a cell of the current row made the filter end the read. If a cell of another store did, this
    /// store ends at the first cell that the filter is asked about. It does not end with the row, all of
    /// whose cells here may be deleted.
    fn is_over_since(&self, filter: Option<&FilterEvaluator>) -> bool {
        !self.was_over && is_over(filter)
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

    /// Moves to the next column, or to where it may begin.
    fn leave_column(&mut self) -> Result<()> {
        let Some(cell) = self.heap.peek() else { return Ok(()) };
        match self.matcher.key_for_next_column(cell, &mut self.key) {
            Advance::Step => self.heap.advance(),
            Advance::Seek => self.pass_to_key(),
        }
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
