//! Applies the matcher's codes to the cells of one row, cell by cell (read-path.md §10). Only this module
//! implements the codes; a test compares it with a plain loop over all cells.

use super::context::{LimitScope, ScannerContext};
use super::merging_iterator::MergingIterator;
use crate::cell::{CellOrder, CellRef, SeekKey};
use crate::error::Result;
use crate::filter::FilterEvaluator;
use crate::hfile::RowVisitor;
use crate::store::matcher::{Advance, FilteredCode, MatchCode, MatchError, ScanQueryMatcher};
use std::ops::ControlFlow;

/// The reason that a walk over cells ends at a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// A seek to the key is cheaper than more steps.
    Seek,
    /// The key to go to is in another row.
    Ahead,
    /// The cell is of the next row.
    RowEnd,
    /// The rest of the cell's row is not selected.
    NextRow,
    /// The call has reached a limit before the cell, which the next call begins with.
    Pause,
    /// The scan ends here.
    Stop,
    /// An error: [`RowMatch::fault`].
    Fault,
}

/// Decides the action for each cell.
pub(super) trait RowEvaluator {
    /// Decides the action for a cell of the current row. For [`FilteredCode::SeekToKey`], sets `key`.
    fn evaluate(
        &mut self,
        matcher: &mut ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        key: &mut SeekKey,
    ) -> Result<FilteredCode, MatchError>;

    /// Decides the action for the only cell of a row that the matcher has not been set to. Returns `None` if
    /// it must be set first. For [`FilteredCode::SeekToKey`], sets `key`.
    fn evaluate_single_cell(
        &mut self,
        matcher: &ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        key: &mut SeekKey,
    ) -> Option<Result<FilteredCode, MatchError>>;

    /// Returns the result cell for an included one.
    fn show<'c>(&'c mut self, cell: CellRef<'c>) -> CellRef<'c>;

    /// Whether there is a limit that may end the call within a row.
    fn may_pause(&self) -> bool;

    /// Whether such a limit has been reached.
    fn pauses(&self) -> bool;
}

/// Decides by the matcher alone.
pub(super) struct MatcherOnly;

impl RowEvaluator for MatcherOnly {
    #[inline(always)] // the loop of every scan
    fn evaluate(
        &mut self,
        matcher: &mut ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        _: &mut SeekKey,
    ) -> Result<FilteredCode, MatchError> {
        matcher.match_in_row(cell).map(FilteredCode::Match).map_err(MatchError::Disorder)
    }

    #[inline(always)] // as `evaluate`
    fn evaluate_single_cell(
        &mut self,
        matcher: &ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        _: &mut SeekKey,
    ) -> Option<Result<FilteredCode, MatchError>> {
        matcher.includes_single_cell(cell).then_some(Ok(MatchCode::Include.into()))
    }

    #[inline(always)] // as `evaluate`
    fn show<'c>(&'c mut self, cell: CellRef<'c>) -> CellRef<'c> {
        cell
    }

    #[inline(always)] // as `evaluate`
    fn may_pause(&self) -> bool {
        false
    }

    #[inline(always)] // as `evaluate`
    fn pauses(&self) -> bool {
        false
    }
}

/// Decides by the matcher and then a filter, if any. Counts the returned cells towards limits.
pub(super) struct Filtered<'f> {
    pub(super) filter: Option<&'f mut FilterEvaluator>,
    pub(super) context: &'f mut ScannerContext,
}

impl RowEvaluator for Filtered<'_> {
    #[inline]
    fn evaluate(
        &mut self,
        matcher: &mut ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        key: &mut SeekKey,
    ) -> Result<FilteredCode, MatchError> {
        match &mut self.filter {
            Some(filter) => matcher.match_filtered_in_row(cell, filter, key),
            None => MatcherOnly.evaluate(matcher, cell, key),
        }
    }

    #[inline(always)] // the loop of scans with a filter
    fn evaluate_single_cell(
        &mut self,
        matcher: &ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        key: &mut SeekKey,
    ) -> Option<Result<FilteredCode, MatchError>> {
        match &mut self.filter {
            Some(filter) => matcher.match_filtered_single_cell(cell, filter, key),
            None => MatcherOnly.evaluate_single_cell(matcher, cell, key),
        }
    }

    #[inline]
    fn show<'c>(&'c mut self, cell: CellRef<'c>) -> CellRef<'c> {
        // The filter's transformation of a cell does not affect the limits.
        self.context.count(cell);
        match &mut self.filter {
            Some(filter) => filter.transform_cell(cell),
            None => cell,
        }
    }

    #[inline]
    fn may_pause(&self) -> bool {
        self.context.may_cut_rows()
    }

    #[inline]
    fn pauses(&self) -> bool {
        self.context.is_any_reached(LimitScope::BetweenCells)
    }
}

/// The number of cells of a row to return, and the number to skip first.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreLimit {
    pub(super) limit: Option<u32>,
    pub(super) offset: u32,
}

/// The action for the next cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Evaluate,
    /// Skip it if it is before the key.
    Pass,
    /// End the call before it.
    Pause,
}

/// Processes the cells of one row in order and returns the selected ones.
pub(super) struct RowMatch<'m, 'q, E, T> {
    pub(super) order: CellOrder,
    pub(super) matcher: &'m mut ScanQueryMatcher<'q>,
    /// The key before which cells are skipped in [`Mode::Pass`].
    pub(super) key: &'m mut SeekKey,
    /// The number of cells to skip before any is returned.
    offset: u64,
    /// The number of cells, including those skipped, with which the row is complete. `u64::MAX` without a
    /// limit.
    enough: u64,
    evaluator: E,
    take: T,
    /// Cells stepped over before a seek.
    steps: usize,
    mode: Mode,
    /// The mode after [`Mode::Pass`].
    mode_at_key: Mode,
    passed: usize,
    /// The number of cells of the row that are selected, by previous calls too, including those skipped.
    pub(super) count: u64,
    pub(super) cells: u64,
    pub(super) fault: Option<MatchError>,
}

impl<'m, 'q, E: RowEvaluator, T: FnMut(CellRef<'_>) -> Result<ControlFlow<()>>> RowMatch<'m, 'q, E, T> {
    /// Creates a match of the row that the matcher has been set to.
    #[inline]
    pub(in crate::store) fn new(
        order: CellOrder,
        matcher: &'m mut ScanQueryMatcher<'q>,
        key: &'m mut SeekKey,
        limit: StoreLimit,
        steps: usize,
        evaluator: E,
        take: T,
    ) -> Self {
        let offset = u64::from(limit.offset);
        Self {
            order,
            matcher,
            key,
            offset,
            enough: limit.limit.map_or(u64::MAX, |limit| offset + u64::from(limit)),
            evaluator,
            take,
            steps,
            mode: Mode::Evaluate,
            mode_at_key: Mode::Evaluate,
            passed: 0,
            count: 0,
            cells: 0,
            fault: None,
        }
    }

    /// Stops skipping cells.
    #[inline]
    fn arrived(&mut self) {
        (self.mode, self.mode_at_key, self.passed) = (self.mode_at_key, Mode::Evaluate, 0);
    }

    /// Walks on after the heap has been moved to the key, which is in the row.
    #[cold]
    pub(super) fn walk_on(&mut self, heap: &mut MergingIterator<'_>) -> Result<Option<StopReason>> {
        self.matcher.continue_row(self.key.row());
        self.arrived();
        heap.walk(|cell| self.visit(cell))
    }

    /// Processes the next cell.
    #[inline(always)] // the loop of every scan
    pub(super) fn visit(&mut self, cell: CellRef<'_>) -> ControlFlow<StopReason> {
        self.cells += 1;
        if self.mode != Mode::Evaluate
            && let Some(flow) = self.pass_or_pause(cell)
        {
            return flow;
        }
        if !self.matcher.is_of_current_row(cell) {
            return ControlFlow::Break(StopReason::RowEnd);
        }
        self.carry_out(cell)
    }

    /// Applies the evaluator's decision on a cell.
    #[inline(always)] // as `visit`
    fn carry_out(&mut self, cell: CellRef<'_>) -> ControlFlow<StopReason> {
        let code = match self.evaluator.evaluate(self.matcher, cell, self.key) {
            Ok(FilteredCode::Match(code)) => code,
            Ok(FilteredCode::SeekToKey) if self.key.row() == cell.row() => {
                self.mode = Mode::Pass;
                return ControlFlow::Continue(());
            }
            Ok(FilteredCode::SeekToKey) => return ControlFlow::Break(StopReason::Ahead),
            Ok(FilteredCode::DoneScan) => return ControlFlow::Break(StopReason::Stop),
            Err(fault) => return self.fail(fault),
        };
        match code {
            MatchCode::Include => self.hand_out(cell),
            MatchCode::IncludeAndSeekNextRow => {
                self.hand_out(cell)?;
                ControlFlow::Break(StopReason::NextRow)
            }
            MatchCode::Skip => ControlFlow::Continue(()),
            MatchCode::SeekNextCol => self.pass_column(cell),
            MatchCode::SeekNextRow => ControlFlow::Break(StopReason::NextRow),
            MatchCode::IncludeAndSeekNextCol => {
                self.hand_out(cell)?;
                self.pass_column(cell)
            }
        }
    }

    /// Skips a cell before the key, or returns a seek after more than `steps` cells skipped. Returns `None`
    /// for a cell to evaluate.
    #[inline]
    fn pass_or_pause(&mut self, cell: CellRef<'_>) -> Option<ControlFlow<StopReason>> {
        if self.mode == Mode::Pass {
            if self.is_before_key(cell) {
                self.passed += 1;
                let seeks = self.passed > self.steps;
                return Some(if seeks {
                    ControlFlow::Break(StopReason::Seek)
                } else {
                    ControlFlow::Continue(())
                });
            }
            self.arrived();
        }
        (self.mode == Mode::Pause).then_some(ControlFlow::Break(StopReason::Pause))
    }

    #[inline]
    fn is_before_key(&self, cell: CellRef<'_>) -> bool {
        // In reverse, the cells of the next row are also before the key.
        self.order.compare(cell.key(), self.key).is_lt() && cell.row() == self.key.row()
    }

    fn pass_column(&mut self, cell: CellRef<'_>) -> ControlFlow<StopReason> {
        if self.matcher.key_for_next_column(cell, self.key) == Advance::Seek {
            (self.mode, self.mode_at_key) = (Mode::Pass, self.mode);
        }
        ControlFlow::Continue(())
    }

    #[cold]
    fn fail(&mut self, fault: MatchError) -> ControlFlow<StopReason> {
        self.fault = Some(fault);
        ControlFlow::Break(StopReason::Fault)
    }

    #[inline(always)] // as `visit`
    fn hand_out(&mut self, cell: CellRef<'_>) -> ControlFlow<StopReason> {
        self.count += 1;
        if self.count > self.offset {
            match (self.take)(self.evaluator.show(cell)) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return ControlFlow::Break(StopReason::Stop),
                Err(error) => return self.fail(error.into()),
            }
            // A limit of 0 still allows one cell, as in HBase.
            if self.count >= self.enough {
                return ControlFlow::Break(StopReason::NextRow);
            }
        }
        if self.evaluator.pauses() {
            self.mode = Mode::Pause;
        }
        ControlFlow::Continue(())
    }
}

impl<E: RowEvaluator, T: FnMut(CellRef<'_>) -> Result<ControlFlow<()>>> RowVisitor
    for RowMatch<'_, '_, E, T>
{
    type Break = StopReason;

    #[inline(always)] // the loop of every scan
    fn visit_in_row(&mut self, cell: CellRef<'_>) -> ControlFlow<StopReason> {
        self.cells += 1;
        if self.mode != Mode::Evaluate
            && let Some(flow) = self.pass_or_pause(cell)
        {
            return flow;
        }
        self.carry_out(cell)
    }
}
