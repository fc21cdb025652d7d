//! What becomes of the cells of one row: the matcher's codes carried out, cell by cell (read-path.md §10).

use super::context::ScannerContext;
use super::matcher::{Advance, FilteredCode, LoneCode, MatchCode, ScanQueryMatcher, Unmatched};
use super::merge::Merge;
use crate::cell::{CellOrder, CellRef, SeekKey};
use crate::error::Result;
use crate::filter::FilterState;
use crate::hfile::RowVisitor;
use std::ops::ControlFlow;

/// Why a walk over cells ends at one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// A seek to the key is shorter than more steps.
    Seek,
    /// The key to go to is of another row.
    Ahead,
    /// The cell is of the next row.
    RowEnd,
    /// Nothing more of the cell's row is wanted.
    NextRow,
    /// Nothing more is wanted at all.
    Stop,
    /// Something is wrong: [`RowMatch::fault`].
    Fault,
}

/// Who says what to do with a cell.
pub(super) trait Judge {
    /// What to do with a cell of the current row. If that is to go to a key, `key` is it.
    fn judge(
        &mut self,
        matcher: &mut ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        key: &mut SeekKey,
    ) -> Result<FilteredCode, Unmatched>;

    /// What to do with a row's only cell, of a row that the matcher has not been set to; none if it must be set. If that is to go
    /// to a key, `key` is it.
    fn judge_lone(
        &mut self,
        matcher: &ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        key: &mut SeekKey,
    ) -> Option<Result<LoneCode, Unmatched>>;

    /// What is handed out of a cell that is to be.
    fn show<'c>(&'c mut self, cell: CellRef<'c>) -> CellRef<'c>;
}

/// The matcher alone.
pub(super) struct Matched;

impl Judge for Matched {
    #[inline(always)] // the loop of every scan
    fn judge(
        &mut self,
        matcher: &mut ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        _: &mut SeekKey,
    ) -> Result<FilteredCode, Unmatched> {
        matcher.match_in_row(cell).map(FilteredCode::Match).map_err(Unmatched::Disorder)
    }

    #[inline(always)] // as `judge`
    fn judge_lone(
        &mut self,
        matcher: &ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        _: &mut SeekKey,
    ) -> Option<Result<LoneCode, Unmatched>> {
        matcher.includes_lone(cell).then_some(Ok(LoneCode::HandOut))
    }

    #[inline(always)] // as `judge`
    fn show<'c>(&'c mut self, cell: CellRef<'c>) -> CellRef<'c> {
        cell
    }
}

/// The matcher and behind it a filter, if there is one; what is handed out counts towards limits.
pub(super) struct Filtered<'f> {
    pub(super) filter: Option<&'f mut FilterState>,
    pub(super) context: &'f mut ScannerContext,
}

impl Judge for Filtered<'_> {
    #[inline]
    fn judge(
        &mut self,
        matcher: &mut ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        key: &mut SeekKey,
    ) -> Result<FilteredCode, Unmatched> {
        match &mut self.filter {
            Some(filter) => matcher.match_filtered_in_row(cell, filter, key),
            None => Matched.judge(matcher, cell, key),
        }
    }

    #[inline]
    fn judge_lone(
        &mut self,
        matcher: &ScanQueryMatcher<'_>,
        cell: CellRef<'_>,
        key: &mut SeekKey,
    ) -> Option<Result<LoneCode, Unmatched>> {
        match &mut self.filter {
            Some(filter) => matcher.match_filtered_lone(cell, filter, key),
            None => Matched.judge_lone(matcher, cell, key),
        }
    }

    #[inline]
    fn show<'c>(&'c mut self, cell: CellRef<'c>) -> CellRef<'c> {
        // what a filter makes of a cell has no part in the limits
        self.context.count(cell);
        match &mut self.filter {
            Some(filter) => filter.transform_cell(cell),
            None => cell,
        }
    }
}

/// How many cells of a row to hand out, and how many to pass over first.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreLimit {
    pub(super) limit: Option<u32>,
    pub(super) offset: u32,
}

impl StoreLimit {
    /// Whether a row is complete with so many cells, those passed over included. A limit of 0 lets one through, as in HBase.
    pub(super) fn is_reached(self, count: u64) -> bool {
        self.limit.is_some_and(|limit| count >= u64::from(self.offset) + u64::from(limit))
    }
}

/// Takes the cells of one row as they come and hands out those that are wanted.
pub(super) struct RowMatch<'m, 'q, J, T> {
    pub(super) order: CellOrder,
    pub(super) matcher: &'m mut ScanQueryMatcher<'q>,
    /// Up to where cells are passed over, while they are.
    pub(super) key: &'m mut SeekKey,
    /// How many cells to pass over before any is handed out.
    offset: u64,
    /// With how many cells the row is complete, those passed over included; no row has the largest number.
    enough: u64,
    judge: J,
    take: T,
    /// How many cells to pass one by one, before a seek is worth while.
    steps: usize,
    passing: bool,
    passed: usize,
    count: u64,
    pub(super) cells: u64,
    pub(super) fault: Option<Unmatched>,
}

impl<'m, 'q, J: Judge, T: FnMut(CellRef<'_>) -> Result<ControlFlow<()>>> RowMatch<'m, 'q, J, T> {
    /// Of a row that the matcher has been set to.
    #[inline]
    pub(super) fn new(
        order: CellOrder,
        matcher: &'m mut ScanQueryMatcher<'q>,
        key: &'m mut SeekKey,
        limit: StoreLimit,
        steps: usize,
        judge: J,
        take: T,
    ) -> Self {
        let offset = u64::from(limit.offset);
        Self {
            order,
            matcher,
            key,
            offset,
            enough: limit.limit.map_or(u64::MAX, |limit| offset + u64::from(limit)),
            judge,
            take,
            steps,
            passing: false,
            passed: 0,
            count: 0,
            cells: 0,
            fault: None,
        }
    }

    /// Forgets that it was passing over cells.
    #[inline]
    fn arrived(&mut self) {
        (self.passing, self.passed) = (false, 0);
    }

    /// Takes the cells that follow, now that somebody has gone to the key, which is in the row.
    #[cold]
    pub(super) fn walk_on(&mut self, heap: &mut Merge<'_>) -> Result<Option<Leave>> {
        self.matcher.go_on_in_row(self.key.row());
        self.arrived();
        heap.walk(|cell| self.visit(cell))
    }

    /// Takes the next cell.
    #[inline(always)] // the loop of every scan
    pub(super) fn visit(&mut self, cell: CellRef<'_>) -> ControlFlow<Leave> {
        self.cells += 1;
        if self.passing {
            if self.is_before_key(cell) {
                return self.pass();
            }
            self.arrived();
        }
        if !self.matcher.is_of_current_row(cell) {
            return ControlFlow::Break(Leave::RowEnd);
        }
        self.judge(cell)
    }

    /// Does as the judge says.
    #[inline(always)] // as `visit`
    fn judge(&mut self, cell: CellRef<'_>) -> ControlFlow<Leave> {
        let code = match self.judge.judge(self.matcher, cell, self.key) {
            Ok(FilteredCode::Match(code)) => code,
            Ok(FilteredCode::SeekToKey) if self.key.row() == cell.row() => {
                self.passing = true;
                return ControlFlow::Continue(());
            }
            Ok(FilteredCode::SeekToKey) => return ControlFlow::Break(Leave::Ahead),
            Ok(FilteredCode::DoneScan) => return ControlFlow::Break(Leave::Stop),
            Err(fault) => return self.fail(fault),
        };
        match code {
            MatchCode::Include => self.hand_out(cell),
            MatchCode::IncludeAndSeekNextRow => {
                self.hand_out(cell)?;
                ControlFlow::Break(Leave::NextRow)
            }
            MatchCode::Done => ControlFlow::Break(Leave::RowEnd),
            MatchCode::Skip => ControlFlow::Continue(()),
            MatchCode::SeekNextCol => self.pass_column(cell),
            MatchCode::SeekNextRow => ControlFlow::Break(Leave::NextRow),
            MatchCode::IncludeAndSeekNextCol => {
                self.hand_out(cell)?;
                self.pass_column(cell)
            }
        }
    }

    /// Passes over a cell, unless there have been so many that a seek is shorter.
    #[inline]
    fn pass(&mut self) -> ControlFlow<Leave> {
        self.passed += 1;
        if self.passed > self.steps { ControlFlow::Break(Leave::Seek) } else { ControlFlow::Continue(()) }
    }

    #[inline]
    fn is_before_key(&self, cell: CellRef<'_>) -> bool {
        // going backward, the cells of the next row are before the key, too
        self.order.compare(cell.key(), self.key).is_lt() && cell.row() == self.key.row()
    }

    fn pass_column(&mut self, cell: CellRef<'_>) -> ControlFlow<Leave> {
        self.passing = self.matcher.key_for_next_column(cell, self.key) == Advance::Seek;
        ControlFlow::Continue(())
    }

    #[cold]
    fn fail(&mut self, fault: Unmatched) -> ControlFlow<Leave> {
        self.fault = Some(fault);
        ControlFlow::Break(Leave::Fault)
    }

    #[inline(always)] // as `visit`
    fn hand_out(&mut self, cell: CellRef<'_>) -> ControlFlow<Leave> {
        self.count += 1;
        if self.count <= self.offset {
            return ControlFlow::Continue(());
        }
        match (self.take)(self.judge.show(cell)) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return ControlFlow::Break(Leave::Stop),
            Err(error) => return self.fail(error.into()),
        }
        // a limit of 0 lets one through, as in HBase
        if self.count >= self.enough {
            return ControlFlow::Break(Leave::NextRow);
        }
        ControlFlow::Continue(())
    }
}

impl<J: Judge, T: FnMut(CellRef<'_>) -> Result<ControlFlow<()>>> RowVisitor for RowMatch<'_, '_, J, T> {
    type Break = Leave;

    #[inline(always)] // the loop of every scan
    fn visit_in_row(&mut self, cell: CellRef<'_>) -> ControlFlow<Leave> {
        self.cells += 1;
        if self.passing {
            if self.is_before_key(cell) {
                return self.pass();
            }
            self.arrived();
        }
        self.judge(cell)
    }
}
