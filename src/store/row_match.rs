//! What becomes of the cells of one row: the matcher's codes carried out, cell by cell (read-path.md §10).

use super::matcher::{Advance, Disorder, MatchCode, ScanQueryMatcher};
use super::merge::Merge;
use crate::cell::{CellOrder, CellRef, SeekKey};
use crate::error::{Error, Result};
use crate::hfile::RowVisitor;
use std::ops::ControlFlow;

/// Why a walk over cells ends at one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// A seek to the key is shorter than more steps.
    Seek,
    /// The cell is of the next row.
    RowEnd,
    /// Nothing more of the cell's row is wanted.
    NextRow,
    /// Nothing more is wanted at all.
    Stop,
    /// Something is wrong: [`RowMatch::fault`].
    Fault,
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum Fault {
    /// The cells are not what cells can be.
    Disorder(Disorder),
    /// Whoever takes the cells failed.
    Failed(Error),
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
pub(super) struct RowMatch<'m, 'q, T> {
    pub(super) order: CellOrder,
    pub(super) matcher: &'m mut ScanQueryMatcher<'q>,
    /// Up to where cells are passed over, while they are.
    pub(super) key: &'m mut SeekKey,
    /// How many cells to pass over before any is handed out.
    offset: u64,
    /// With how many cells the row is complete, those passed over included; no row has the largest number.
    enough: u64,
    take: T,
    /// How many cells to pass one by one, before a seek is worth while.
    steps: usize,
    passing: bool,
    passed: usize,
    count: u64,
    pub(super) cells: u64,
    pub(super) fault: Option<Fault>,
}

impl<'m, 'q, T: FnMut(CellRef<'_>) -> Result<ControlFlow<()>>> RowMatch<'m, 'q, T> {
    /// Of a row that the matcher has been set to.
    #[inline]
    pub(super) fn new(
        order: CellOrder,
        matcher: &'m mut ScanQueryMatcher<'q>,
        key: &'m mut SeekKey,
        limit: StoreLimit,
        steps: usize,
        take: T,
    ) -> Self {
        let offset = u64::from(limit.offset);
        Self {
            order,
            matcher,
            key,
            offset,
            enough: limit.limit.map_or(u64::MAX, |limit| offset + u64::from(limit)),
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
        let code = self.matcher.match_cell(cell);
        self.follow(code, cell)
    }

    /// Does as the matcher says.
    #[inline(always)] // as `visit`
    fn follow(&mut self, code: Result<MatchCode, Disorder>, cell: CellRef<'_>) -> ControlFlow<Leave> {
        match code {
            Ok(MatchCode::Include) => self.hand_out(cell),
            Ok(MatchCode::IncludeAndSeekNextRow) => {
                self.hand_out(cell)?;
                ControlFlow::Break(Leave::NextRow)
            }
            Ok(MatchCode::Done) => ControlFlow::Break(Leave::RowEnd),
            Ok(MatchCode::Skip) => ControlFlow::Continue(()),
            Ok(MatchCode::SeekNextCol) => self.pass_column(cell),
            Ok(MatchCode::SeekNextRow) => ControlFlow::Break(Leave::NextRow),
            Ok(MatchCode::IncludeAndSeekNextCol) => {
                self.hand_out(cell)?;
                self.pass_column(cell)
            }
            Err(disorder) => self.fail(Fault::Disorder(disorder)),
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
    fn fail(&mut self, fault: Fault) -> ControlFlow<Leave> {
        self.fault = Some(fault);
        ControlFlow::Break(Leave::Fault)
    }

    #[inline(always)] // as `visit`
    fn hand_out(&mut self, cell: CellRef<'_>) -> ControlFlow<Leave> {
        self.count += 1;
        if self.count <= self.offset {
            return ControlFlow::Continue(());
        }
        match (self.take)(cell) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return ControlFlow::Break(Leave::Stop),
            Err(error) => return self.fail(Fault::Failed(error)),
        }
        // a limit of 0 lets one through, as in HBase
        if self.count >= self.enough {
            return ControlFlow::Break(Leave::NextRow);
        }
        ControlFlow::Continue(())
    }
}

impl<T: FnMut(CellRef<'_>) -> Result<ControlFlow<()>>> RowVisitor for RowMatch<'_, '_, T> {
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
        let code = self.matcher.match_in_row(cell);
        self.follow(code, cell)
    }
}
