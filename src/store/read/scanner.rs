//! Scanner of the cells of one family that a read selects, row by row (read-path.md §6, §10; HBase:
//! `StoreScanner`).

mod next;

use super::file_scanner::NextIndexedKey;
use super::heap::{KeyValueHeap, SeekMode};
use super::key_value_scanner::KeyValueScanner;
use super::merging_iterator::MergingIterator;
use super::reversed_heap::ReversedKeyValueHeap;
use super::row_match::{MatcherOnly, RowEvaluator, RowMatch, StopReason, StoreLimit};
use crate::block::data::RowStep;
use crate::cell::{CellOrder, CellRef, SeekKey};
use crate::error::{Corruption, Error, Result};
use crate::hfile::RowWalk;
use crate::metrics::ReadCounts;
use crate::op::Query;
use crate::store::matcher::{CompactionKind, FilteredCode, MatchError, ScanInfo, ScanQueryMatcher};
use crate::store::version::{Sources, StoreVersion};
use std::fmt;
use std::ops::ControlFlow;

/// Cells stepped over before reseeking: a reseek costs about as much as this many steps, if it stays in the
/// block.
const STEPS: usize = 8;

/// A merge of a store's segments and files for one query. A matcher decides the action for each cell.
pub(crate) struct StoreScanner<'s> {
    heap: MergingIterator<'s>,
    matcher: ScanQueryMatcher<'s>,
    order: CellOrder,
    /// The way in which the heap seeks keys after the first one.
    mode: SeekMode,
    get_like: bool,
    limit: StoreLimit,
    /// The number of cells of the current row that are selected so far, if a call has paused within it.
    count_per_row: u64,
    /// Whether the filter had ended the read before the current row, in [`next`](Self::next).
    was_over: bool,
    /// Whether the scan has ended.
    done: bool,
    /// Whether the last row had a single cell, so that the next one may too.
    single_cell: bool,
    key: SeekKey,
    /// Scratch memory for a row that continues in another block.
    row: Vec<u8>,
    /// The maximum size of the cells of a row that are collected.
    pub(crate) max_row_bytes: usize,
    pub(crate) counts: ReadCounts,
}

impl<'s> StoreScanner<'s> {
    /// Creates a scanner of a state, positioned on the first cell that may be in the result.
    pub(crate) fn new(state: &'s StoreVersion, query: &Query<'s>, info: &ScanInfo) -> Result<Self> {
        let matcher = ScanQueryMatcher::for_user(query, &state.family, info, state.order)?;
        let mut counts = ReadCounts::default();
        let sources = state.sources(query, info, true, &mut counts);
        if query.reversed {
            return Self::reversed(&sources, matcher, state, query, counts);
        }
        Self::of(sources.scanners(query), matcher, state, query, counts)
    }

    /// Creates a scanner of sources, given from the oldest to the newest.
    pub(super) fn of(
        scanners: Vec<KeyValueScanner<'s>>,
        matcher: ScanQueryMatcher<'s>,
        state: &'s StoreVersion,
        query: &Query<'s>,
        mut counts: ReadCounts,
    ) -> Result<Self> {
        let order = state.order;
        let columns = query.columns.len();
        let bloom = columns > 1 || !query.get_like && columns == 1 && state.has_column_bloom;
        let eager = columns == 0 || !state.lazy_seek;
        let mode = if eager { SeekMode::Real } else { SeekMode::Lazy { bloom } };
        // A filter that decides on rows must not see the fake cells of columns (§6.4).
        let first = match columns {
            _ if eager => SeekMode::Real,
            _ if query.filtered && !query.get_like => SeekMode::Real,
            _ => SeekMode::Lazy { bloom: true },
        };
        let mut heap = KeyValueHeap::new(scanners, order, !query.get_like);
        let mut key = SeekKey::new();
        matcher.start_key(&mut key);
        counts.seeks += 1;
        heap.seek(&key, first)?;
        Ok(Self {
            heap: MergingIterator::Forward(heap),
            matcher,
            order,
            mode,
            get_like: query.get_like,
            limit: StoreLimit { limit: query.max_results, offset: query.row_offset },
            count_per_row: 0,
            was_over: false,
            done: false,
            single_cell: true,
            key,
            row: Vec::new(),
            max_row_bytes: usize::MAX,
            counts,
        })
    }

    /// Creates a scanner of sources that returns rows from the last to the first (HBase:
    /// `ReversedStoreScanner`).
    fn reversed(
        sources: &Sources<'s>,
        matcher: ScanQueryMatcher<'s>,
        state: &'s StoreVersion,
        query: &Query<'s>,
        mut counts: ReadCounts,
    ) -> Result<Self> {
        let scanners = sources.reversed_scanners(query);
        let mut heap = ReversedKeyValueHeap::new(scanners, state.order, !query.get_like);
        counts.seeks += 1;
        heap.seek(query.start, query.include_start)?;
        Ok(Self {
            heap: MergingIterator::Reversed(Box::new(heap)),
            matcher,
            order: state.order,
            // No seek is delayed in reverse.
            mode: SeekMode::Real,
            get_like: query.get_like,
            limit: StoreLimit { limit: query.max_results, offset: query.row_offset },
            count_per_row: 0,
            was_over: false,
            done: false,
            single_cell: true,
            key: SeekKey::new(),
            row: Vec::new(),
            max_row_bytes: usize::MAX,
            counts,
        })
    }

    /// Creates a scanner of the cells that a flush or compaction keeps. Sources are given from the oldest to
    /// the newest.
    pub(crate) fn for_compaction(
        scanners: Vec<KeyValueScanner<'s>>,
        order: CellOrder,
        kind: CompactionKind,
        family: &'s [u8],
        info: &ScanInfo,
        max_read_point: i64,
    ) -> Result<Self> {
        let matcher = ScanQueryMatcher::for_compaction(kind, family, info, max_read_point);
        let mut heap = KeyValueHeap::new(scanners, order, true);
        let mut key = SeekKey::new();
        matcher.start_key(&mut key);
        heap.seek(&key, SeekMode::Real)?;
        Ok(Self {
            heap: MergingIterator::Forward(heap),
            matcher,
            order,
            mode: SeekMode::Real,
            get_like: false,
            limit: StoreLimit { limit: None, offset: 0 },
            count_per_row: 0,
            was_over: false,
            done: false,
            single_cell: true,
            key,
            row: Vec::new(),
            max_row_bytes: usize::MAX,
            counts: ReadCounts::default(),
        })
    }

    /// Returns the current row, or `None` at the end.
    #[inline]
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        if self.done {
            return None;
        }
        self.heap.peek_row()
    }

    /// Passes the selected cells of the current row to `take`, and moves past the row.
    ///
    /// A row may have no selected cells. If `take` breaks, the scan ends.
    #[inline]
    pub(crate) fn next_row(
        &mut self,
        take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.next_row_unless(|_| false, take).map(drop)
    }

    /// Same as [`next_row`](Self::next_row). Returns false, and reads nothing, if there is no row or
    /// `is_past_end` returns true for it: the row is after the last one of the scan.
    #[inline]
    pub(crate) fn next_row_unless(
        &mut self,
        is_past_end: impl FnOnce(&[u8]) -> bool,
        take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<bool> {
        let first = if self.done { None } else { self.heap.peek_row() };
        let Some(first) = first else {
            self.done = true;
            return Ok(false);
        };
        if is_past_end(first) {
            return Ok(false);
        }
        self.read_row(MatcherOnly, take).map(|()| true)
    }

    /// Passes the cells that `evaluator` shows of the current row to `take`, and moves past the row. If the
    /// evaluator pauses, stops within the row: the next call continues it.
    #[inline]
    fn read_row<E: RowEvaluator>(
        &mut self,
        mut evaluator: E,
        mut take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let single_cell = self.single_cell && !evaluator.may_pause();
        if single_cell && self.read_single_cell(&mut evaluator, &mut take)? {
            return Ok(());
        }
        let read = self.match_row(evaluator, take);
        if read.is_err() {
            self.matcher.clear_row();
        }
        read
    }

    /// Same as [`read_row`](Self::read_row), for any row.
    #[inline(never)] // keeps the path of a single cell short
    fn match_row<E: RowEvaluator>(
        &mut self,
        evaluator: E,
        take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let resumed = self.matcher.has_row();
        let may_pause = evaluator.may_pause();
        let alone = !resumed && !may_pause && self.heap.has_unshared_row();
        if alone {
            self.matcher.begin_uncopied_row();
        } else if !resumed && let Some(row) = self.heap.peek_row() {
            self.matcher.set_to_new_row(row);
        }
        let (matcher, key) = (&mut self.matcher, &mut self.key);
        let mut row = RowMatch::new(self.order, matcher, key, self.limit, STEPS, evaluator, take);
        row.count = if resumed { self.count_per_row } else { 0 };
        // Most rows come from one source, which detects where they end.
        let mut leave = match &mut self.heap {
            MergingIterator::Forward(heap) if alone => match heap.walk_row(&mut self.row, &mut row)? {
                RowWalk::Stopped(leave) => Some(leave),
                RowWalk::RowEnd => Some(StopReason::RowEnd),
                RowWalk::End => None,
            },
            // A piece may be a single cell.
            heap if may_pause => heap.step(|cell| row.visit(cell))?,
            heap => heap.walk(|cell| row.visit(cell))?,
        };
        while leave == Some(StopReason::Seek) {
            self.counts.reseeks += 1;
            self.heap.reseek(row.key, self.mode)?;
            leave = row.walk_on(&mut self.heap)?;
        }
        let (cells, count, fault) = (row.cells, row.count, row.fault);
        self.counts.cells += cells;
        // If two cells were read, the second may belong to the next row and only show the end of this one.
        self.single_cell = cells == 1 || cells == 2 && !alone;
        match leave {
            Some(StopReason::RowEnd) => {
                self.done = self.get_like;
                self.matcher.clear_row();
            }
            Some(StopReason::Ahead) => {
                self.done = self.get_like;
                self.matcher.clear_row();
                self.pass_to_key()?;
            }
            Some(StopReason::NextRow) => self.leave_row()?,
            Some(StopReason::Pause) => (self.count_per_row, self.single_cell) = (count, false),
            Some(StopReason::Fault) => return Err(self.error_of(fault)),
            Some(StopReason::Stop | StopReason::Seek) | None => self.done = true,
        }
        Ok(())
    }

    /// Same as [`read_row`](Self::read_row), for a row with a single cell, a plain value. Returns false if
    /// that is not cheap to see.
    #[inline(always)] // the loop of every scan
    fn read_single_cell<E: RowEvaluator>(
        &mut self,
        evaluator: &mut E,
        mut take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<bool> {
        if self.limit.offset > 0 {
            return Ok(false);
        }
        let (matcher, key, mut ahead) = (&self.matcher, &mut self.key, false);
        let left = self.heap.visit_single_cell(|cell| {
            match evaluator.evaluate_single_cell(matcher, cell, key)? {
                Ok(FilteredCode::Match(code)) if code.is_include() => {
                    Some(take(evaluator.show(cell)).map_err(MatchError::Failed))
                }
                Ok(FilteredCode::Match(_)) => Some(Ok(ControlFlow::Continue(()))),
                Ok(FilteredCode::DoneScan) => Some(Ok(ControlFlow::Break(()))),
                Ok(FilteredCode::SeekToKey) => {
                    ahead = true;
                    None
                }
                Err(fault) => Some(Err(fault)),
            }
        })?;
        if left.is_none() && !ahead {
            return Ok(false);
        }
        self.counts.cells += 1;
        self.done = self.get_like;
        match left {
            Some(Ok(flow)) => self.done |= flow.is_break(),
            Some(Err(fault)) => return Err(self.error_of(Some(fault))),
            None => self.pass_to_key()?,
        }
        Ok(true)
    }

    #[cold]
    fn error_of(&self, fault: Option<MatchError>) -> Error {
        let corruption = match fault {
            Some(MatchError::Failed(error)) => return error,
            Some(MatchError::Disorder(disorder)) => disorder.into(),
            None => Corruption::Malformed("invalid cells"),
        };
        corruption.at(self.heap.path_of_top(), 0)
    }

    /// Moves past the current row.
    pub(crate) fn leave_row(&mut self) -> Result<()> {
        let more = self.heap.peek_row().is_some_and(|row| self.matcher.more_rows_may_exist_after(row));
        if !more {
            self.done = true;
            return Ok(());
        }
        self.matcher.clear_row();
        let passed = match &mut self.heap {
            MergingIterator::Reversed(heap) => return heap.previous_row(),
            MergingIterator::Forward(heap) => heap.pass_row(STEPS)?,
        };
        if passed == RowStep::NextRow {
            return Ok(());
        }
        self.leave_row_by_key(if passed == RowStep::End { STEPS } else { 0 })
    }

    /// Moves past the current row, with up to `steps` steps before a seek.
    fn leave_row_by_key(&mut self, steps: usize) -> Result<()> {
        let Some(cell) = self.heap.peek() else { return Ok(()) };
        self.matcher.key_for_next_row(cell, &mut self.key);
        // If the next row is beyond the current block, stepping is pointless.
        let beyond = match self.heap.next_indexed_key() {
            NextIndexedKey::Key(next) => self.order.compare(&self.key, next).is_ge(),
            NextIndexedKey::LastBlock | NextIndexedKey::Unknown => false,
        };
        for _ in 0..if beyond { 0 } else { steps } {
            self.heap.advance()?;
            match self.heap.peek() {
                Some(cell) if cell.row() == self.key.row() => {}
                _ => return Ok(()),
            }
        }
        self.counts.reseeks += 1;
        self.heap.reseek(&self.key, self.mode)
    }
}

impl fmt::Debug for StoreScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreScanner").field("heap", &self.heap).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
