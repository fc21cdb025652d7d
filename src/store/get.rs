//! One row of a store, mostly without a scanner (read-path.md §5.1).

use super::matcher::{ScanInfo, ScanQueryMatcher};
use super::row_match::{Leave, RowMatch, StoreLimit};
use super::scanner::StoreScanner;
use super::state::{Sources, StoreState};
use crate::cell::{CellRef, ReadMemory, RowBuf};
use crate::error::Result;
use crate::hfile::Lookup;
use crate::metrics::ReadCounts;
use crate::op::Query;
use std::ops::ControlFlow;

/// How many cells are passed one by one before a seek is worth a scanner.
const STEPS: usize = 64;

impl StoreState {
    /// Appends the cells that a get of one row asks for.
    ///
    /// Most rows are in one file or segment, and that is known once filters have been asked: then the cells are matched where
    /// they lie. Where that does not do, a [`StoreScanner`] reads them; both give the same.
    pub(crate) fn get<'s>(
        &'s self,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<()> {
        let mut sources = self.sources(query, info, false, counts);
        // to look for a row in a block that is in memory costs no more than to ask a filter
        if sources.len() == 1 && self.get_from_one(&sources, query, info, row, counts)?.is_break() {
            return Ok(());
        }
        let unfiltered = sources.len();
        self.filter(&mut sources, query, counts);
        let fewer = sources.len() < unfiltered;
        if sources.len() == 0
            || fewer
                && sources.len() == 1
                && self.get_from_one(&sources, query, info, row, counts)?.is_break()
        {
            return Ok(());
        }
        self.get_from_many(&sources, query, info, row, counts)
    }

    /// Reads from any number of sources.
    #[cold]
    fn get_from_many<'s>(
        &'s self,
        sources: &Sources<'s>,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<()> {
        let matcher = ScanQueryMatcher::for_user(query, &self.family, info, self.order)?;
        let scanners = sources.scanners(query);
        let mut scanner = StoreScanner::of(scanners, matcher, self, query, ReadCounts::default())?;
        if scanner.peek_row() == Some(query.start) {
            scanner.next_row(|cell| {
                row.push(cell);
                Ok(ControlFlow::Continue(()))
            })?;
        }
        counts.add(&scanner.counts);
        Ok(())
    }

    /// Reads from the only source there is; breaks if that was all, otherwise the row is as it was.
    #[inline]
    fn get_from_one<'s>(
        &'s self,
        sources: &Sources<'s>,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<ControlFlow<()>> {
        let before = row.mark();
        let mut memory = row.take_memory();
        let found = self.match_in_one(sources, query, info, &mut memory, row, counts);
        row.keep_memory(memory);
        match found {
            Ok(ControlFlow::Break(())) => counts.seeks += 1,
            _ => row.truncate(before),
        }
        found
    }

    #[inline]
    fn match_in_one<'s>(
        &'s self,
        sources: &Sources<'s>,
        query: &Query<'s>,
        info: &ScanInfo,
        memory: &mut ReadMemory,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<ControlFlow<()>> {
        let mut matcher = ScanQueryMatcher::for_user(query, &self.family, info, self.order)?;
        matcher.swap_memory(memory);
        matcher.set_to_start_row();
        let limit = StoreLimit { limit: query.store_limit, offset: query.store_offset };
        let mut reader = RowMatch::new(self.order, &mut matcher, &mut memory.key, limit, STEPS, |cell| {
            row.push(cell);
            Ok(ControlFlow::Continue(()))
        });
        let mut left = None;
        let mut visit = |cell: CellRef<'_>| {
            // where it begins a scanner passes over cells of other families, which a sound file does not have
            if reader.cells == 0 && cell.family() != &*self.family {
                left = Some(Leave::Fault);
                return ControlFlow::Break(());
            }
            reader.visit(cell).map_break(|leave| left = Some(leave))
        };
        let mut complete = true;
        if let Some(file) = sources.files.only() {
            complete = file.look_up(query.start, query.read_point, visit) == Lookup::Complete;
            counts.data_block_hits += u64::from(complete);
        } else if let Some(segment) = sources.segments.only() {
            let mut cells = segment.scanner(query.read_point);
            cells.seek_to_row(query.start);
            while let Some(cell) = cells.peek() {
                if visit(cell).is_break() {
                    break;
                }
                cells.advance();
            }
        }
        counts.cells += reader.cells;
        matcher.swap_memory(memory);
        Ok(match left {
            // a row for a scanner: it can seek, and knows where a fault is
            Some(Leave::Seek | Leave::Fault) => ControlFlow::Continue(()),
            _ if !complete => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
