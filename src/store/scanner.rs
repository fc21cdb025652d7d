//! The cells of one family that a read asks for, row by row (read-path.md §6, §10; HBase: `StoreScanner`).

mod next;

use super::file_scanner::NextIndexedKey;
use super::heap::{KeyValueHeap, KeyValueScanner, SeekMode};
use super::matcher::{CompactionKind, LoneCode, ScanInfo, ScanQueryMatcher, Unmatched};
use super::merge::Merge;
use super::reversed_heap::ReversedKeyValueHeap;
use super::row_match::{Judge, Leave, Matched, RowMatch, StoreLimit};
use super::state::{Sources, StoreState};
use crate::block::data::Step;
use crate::cell::{CellOrder, CellRef, SeekKey};
use crate::error::{Corruption, Error, Result};
use crate::hfile::RowWalk;
use crate::metrics::ReadCounts;
use crate::op::Query;
use std::fmt;
use std::ops::ControlFlow;

/// How many cells are passed one by one before a seek is worth while: it costs about as much, if it stays in the block.
const STEPS: usize = 8;

/// What a store answers to a query: a merge of its segments and files, told by a matcher what to do with each cell.
pub(crate) struct StoreScanner<'s> {
    heap: Merge<'s>,
    matcher: ScanQueryMatcher<'s>,
    order: CellOrder,
    /// How it goes on inside of the scan.
    mode: SeekMode,
    get_like: bool,
    limit: StoreLimit,
    /// How many cells of the current row have passed, in [`next`](Self::next).
    count_per_row: u64,
    /// Whether the filter had ended the read before the current row was begun, in [`next`](Self::next).
    was_over: bool,
    /// Whether there is nothing more.
    done: bool,
    /// Whether the last row had one cell only, so that the next one may be like that.
    lone: bool,
    key: SeekKey,
    /// Memory for a row that goes on in another block.
    row: Vec<u8>,
    pub(crate) counts: ReadCounts,
}

impl<'s> StoreScanner<'s> {
    /// A scanner of what a state holds, which stands on the first cell that may be one of the answer.
    pub(crate) fn new(state: &'s StoreState, query: &Query<'s>, info: &ScanInfo) -> Result<Self> {
        let matcher = ScanQueryMatcher::for_user(query, &state.family, info, state.order)?;
        let mut counts = ReadCounts::default();
        let sources = state.sources(query, info, true, &mut counts);
        if query.reversed {
            return Self::reversed(&sources, matcher, state, query, counts);
        }
        Self::of(sources.scanners(query), matcher, state, query, counts)
    }

    /// A scanner of some sources, from the oldest to the newest.
    pub(super) fn of(
        scanners: Vec<KeyValueScanner<'s>>,
        matcher: ScanQueryMatcher<'s>,
        state: &'s StoreState,
        query: &Query<'s>,
        mut counts: ReadCounts,
    ) -> Result<Self> {
        let order = state.order;
        let columns = query.columns.len();
        let bloom = columns > 1 || !query.get_like && columns == 1 && state.has_column_bloom;
        let eager = columns == 0 || !state.lazy_seek;
        let mode = if eager { SeekMode::Real } else { SeekMode::Lazy { bloom } };
        // a filter that judges rows is not to see the places of columns in place of cells (§6.4)
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
            heap: Merge::Forward(heap),
            matcher,
            order,
            mode,
            get_like: query.get_like,
            limit: StoreLimit { limit: query.store_limit, offset: query.store_offset },
            count_per_row: 0,
            was_over: false,
            done: false,
            lone: true,
            key,
            row: Vec::new(),
            counts,
        })
    }

    /// A scanner of some sources, whose rows come from the last to the first (HBase: `ReversedStoreScanner`).
    fn reversed(
        sources: &Sources<'s>,
        matcher: ScanQueryMatcher<'s>,
        state: &'s StoreState,
        query: &Query<'s>,
        mut counts: ReadCounts,
    ) -> Result<Self> {
        let scanners = sources.reversed_scanners(query);
        let mut heap = ReversedKeyValueHeap::new(scanners, state.order, !query.get_like);
        counts.seeks += 1;
        heap.seek(query.start, query.include_start)?;
        Ok(Self {
            heap: Merge::Reversed(Box::new(heap)),
            matcher,
            order: state.order,
            // nothing is put off backward
            mode: SeekMode::Real,
            get_like: query.get_like,
            limit: StoreLimit { limit: query.store_limit, offset: query.store_offset },
            count_per_row: 0,
            was_over: false,
            done: false,
            lone: true,
            key: SeekKey::new(),
            row: Vec::new(),
            counts,
        })
    }

    /// A scanner of what a flush or compaction keeps of some sources, given from the oldest to the newest.
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
            heap: Merge::Forward(heap),
            matcher,
            order,
            mode: SeekMode::Real,
            get_like: false,
            limit: StoreLimit { limit: None, offset: 0 },
            count_per_row: 0,
            was_over: false,
            done: false,
            lone: true,
            key,
            row: Vec::new(),
            counts: ReadCounts::default(),
        })
    }

    /// The row it stands on; none at the end.
    #[inline]
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        if self.done {
            return None;
        }
        self.heap.peek_row()
    }

    /// Hands the cells of the row it stands on to `take`, as far as they are asked for, and goes behind the row.
    ///
    /// No cells may come of it: then the row has none that are asked for. If `take` breaks off, this is at its end.
    #[inline]
    pub(crate) fn next_row(
        &mut self,
        take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.next_row_unless(|_| false, take).map(drop)
    }

    /// As [`next_row`](Self::next_row), unless there is no row or `is_behind` says that it is behind the last: then false.
    #[inline]
    pub(crate) fn next_row_unless(
        &mut self,
        is_behind: impl FnOnce(&[u8]) -> bool,
        take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<bool> {
        let first = if self.done { None } else { self.heap.peek_row() };
        let Some(first) = first else {
            self.done = true;
            return Ok(false);
        };
        if is_behind(first) {
            return Ok(false);
        }
        self.read_row(Matched, take).map(|()| true)
    }

    /// Hands what `judge` shows of the row it stands on to `take`, and goes behind the row.
    #[inline]
    fn read_row<J: Judge>(
        &mut self,
        mut judge: J,
        mut take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        if self.lone && self.read_lone(&mut judge, &mut take)? {
            return Ok(());
        }
        self.match_row(judge, take)
    }

    /// The same, whatever the row is.
    #[inline(never)] // so that the way of lone cells stays short
    fn match_row<J: Judge>(
        &mut self,
        judge: J,
        take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let alone = self.heap.has_row_alone();
        if alone {
            self.matcher.set_to_row_shown();
        } else if let Some(row) = self.heap.peek_row() {
            self.matcher.set_to_new_row(row);
        }
        let (matcher, key) = (&mut self.matcher, &mut self.key);
        let mut row = RowMatch::new(self.order, matcher, key, self.limit, STEPS, judge, take);
        // most rows come from one source, which knows where they end
        let mut leave = match &mut self.heap {
            Merge::Forward(heap) if alone => match heap.walk_row(&mut self.row, &mut row)? {
                RowWalk::BrokenOff(leave) => Some(leave),
                RowWalk::RowEnd => Some(Leave::RowEnd),
                RowWalk::End => None,
            },
            heap => heap.walk(|cell| row.visit(cell))?,
        };
        while leave == Some(Leave::Seek) {
            self.counts.reseeks += 1;
            self.heap.reseek(row.key, self.mode)?;
            leave = row.walk_on(&mut self.heap)?;
        }
        let (cells, fault) = (row.cells, row.fault);
        self.counts.cells += cells;
        // one of the next row may have shown the end
        self.lone = cells == 1 || cells == 2 && !alone;
        match leave {
            Some(Leave::RowEnd) => {
                self.done = self.get_like;
                self.matcher.clear_row();
            }
            Some(Leave::Ahead) => {
                self.done = self.get_like;
                self.matcher.clear_row();
                self.pass_to_key()?;
            }
            Some(Leave::NextRow) => self.leave_row()?,
            Some(Leave::Fault) => return Err(self.error_of(fault)),
            Some(Leave::Stop | Leave::Seek) | None => self.done = true,
        }
        Ok(())
    }

    /// The same of a row in which there is but one cell, a plain value; false if that is not to be seen at once.
    #[inline(always)] // the loop of every scan
    fn read_lone<J: Judge>(
        &mut self,
        judge: &mut J,
        mut take: impl FnMut(CellRef<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<bool> {
        if self.limit.offset > 0 {
            return Ok(false);
        }
        let (matcher, key, mut ahead) = (&self.matcher, &mut self.key, false);
        let left = self.heap.walk_lone(|cell| match judge.judge_lone(matcher, cell, key)? {
            Ok(LoneCode::HandOut) => Some(take(judge.show(cell)).map_err(Unmatched::Failed)),
            Ok(LoneCode::Pass) => Some(Ok(ControlFlow::Continue(()))),
            Ok(LoneCode::Done) => Some(Ok(ControlFlow::Break(()))),
            Ok(LoneCode::SeekToKey) => {
                ahead = true;
                None
            }
            Err(fault) => Some(Err(fault)),
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
    fn error_of(&self, fault: Option<Unmatched>) -> Error {
        let corruption = match fault {
            Some(Unmatched::Failed(error)) => return error,
            Some(Unmatched::Disorder(disorder)) => disorder.into(),
            None => Corruption::Malformed("cells that cannot be"),
        };
        corruption.at(self.heap.path_of_top(), 0)
    }

    /// Goes behind the row it stands in.
    pub(crate) fn leave_row(&mut self) -> Result<()> {
        let more = self.heap.peek_row().is_some_and(|row| self.matcher.more_rows_may_exist_after(row));
        if !more {
            self.done = true;
            return Ok(());
        }
        self.matcher.clear_row();
        let passed = match &mut self.heap {
            Merge::Reversed(heap) => return heap.previous_row(),
            Merge::Forward(heap) => heap.pass_row(STEPS)?,
        };
        if passed == Step::NextRow {
            return Ok(());
        }
        self.leave_row_by_key(if passed == Step::End { STEPS } else { 0 })
    }

    /// Goes behind the row it stands in, with so many steps before a seek.
    fn leave_row_by_key(&mut self, steps: usize) -> Result<()> {
        let Some(cell) = self.heap.peek() else { return Ok(()) };
        self.matcher.key_for_next_row(cell, &mut self.key);
        // behind the block it stands in steps lead nowhere
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
