//! Reads one row of a store, usually without a scanner (read-path.md §5.1).

mod newest;

use super::row_cells::{RowCells, RowMerge};
use super::row_match::{MatcherOnly, RowMatch, StopReason, StoreLimit};
use super::scanner::StoreScanner;
use crate::block::bloom::HashedRow;
use crate::block::data::DataBlock;
use crate::cell::{CellRef, RowBuf, SeekKey, same_bytes};
use crate::error::Result;
use crate::hfile::{LookupStart, NotCached, RowVisitor};
use crate::metrics::ReadCounts;
use crate::op::Query;
use crate::store::matcher::{MatcherBuffers, ScanInfo, ScanQueryMatcher, is_whole_result};
use crate::store::version::file::StoreFile;
use crate::store::version::{Sources, StoreVersion};
use newest::OlderTimes;
use std::ops::ControlFlow;

/// Cells stepped over before falling back to a scanner, which can seek.
const STEPS: usize = 64;

/// The outcome of a read in place, of cached blocks and segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InPlace {
    Done,
    /// The row must be read by a scanner, which reads blocks, can seek, and locates faults.
    ForScanner,
}

/// The buffers of a get, kept with its result.
#[derive(Debug, Default)]
struct ReadBuffers {
    /// A key to seek.
    key: SeekKey,
    matcher: MatcherBuffers,
}

impl StoreVersion {
    /// Appends the cells that a get of one row selects.
    ///
    /// Fast path: all candidate blocks are cached, so the cells are matched in place and nothing is
    /// allocated. Otherwise a [`StoreScanner`] reads them. Both give the same result.
    pub(crate) fn get<'s>(
        &'s self,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<()> {
        let only = self.only_file(query, info);
        if let Some(file) = only {
            // Looking up a row in a cached block costs no more than checking a filter, unless the row is
            // absent.
            let ask = self.has_bloom && row.expects_nothing();
            if ask && !file.passes_filter(query, &mut HashedRow::new(query.start)) {
                counts.files_considered += 1;
                counts.files_skipped_by_bloom += 1;
                return Ok(());
            }
            let before = row.len();
            if self.get_from(file, query, info, row, counts)? == InPlace::Done {
                counts.files_considered += 1;
                row.note_found(row.len() > before);
                return Ok(());
            }
        }
        self.get_merged(only.is_none(), query, info, row, counts)
    }

    /// Like [`get`](Self::get), from any number of sources. `in_place`: whether a read in place has not been
    /// tried yet.
    #[inline(never)] // its locals are large, and most gets do not need them
    fn get_merged<'s>(
        &'s self,
        mut in_place: bool,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<()> {
        let mut sources = self.sources(query, info, false, counts);
        if in_place
            && sources.len() > 1
            && self.has_later_times()
            && let Some(older) = OlderTimes::of(&sources, query, info)
        {
            match self.get_newest(&sources, &older, query, info, row, counts)? {
                Some(InPlace::Done) => return Ok(()),
                Some(InPlace::ForScanner) => in_place = false,
                None => {}
            }
        }
        // Looking up a row in a cached block costs no more than checking a filter.
        let ask = sources.len() > 1 && !row.expects_most_files();
        let ruled_out = ask.then(|| self.filter(&mut sources, query, counts));
        if in_place && self.get_in_place(&sources, ruled_out, query, info, row, counts)? == InPlace::Done {
            return Ok(());
        }
        if ruled_out.is_none() {
            let ruled_out = self.filter(&mut sources, query, counts);
            row.note_files(sources.files.len(), ruled_out);
        }
        if sources.len() == 0 {
            return Ok(());
        }
        self.get_by_scanner(&sources, query, info, row, counts)
    }

    /// Reads from any number of sources with a scanner.
    #[cold]
    fn get_by_scanner<'s>(
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
                row.try_push(cell)?;
                Ok(ControlFlow::Continue(()))
            })?;
        }
        counts.add(&scanner.counts);
        Ok(())
    }

    /// Reads the row in place. If that is not possible, leaves `row` unchanged. `ruled_out`: the number of
    /// files excluded by their Bloom filters; `None` if these were not checked.
    #[inline]
    fn get_in_place<'s>(
        &'s self,
        sources: &Sources<'s>,
        ruled_out: Option<usize>,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<InPlace> {
        if let Some(file) = sources.only_file() {
            return self.get_from(file, query, info, row, counts);
        }
        let (mut found, mut partial_reads) = (RowMerge::default(), 0);
        let (mut skipped, mut without_row) = (0_u64, ruled_out.unwrap_or(0));
        let mut hashed = HashedRow::new(query.start);
        let mut starts = begin_lookups(sources, query.start);
        for (at, file) in sources.files.iter().enumerate() {
            let start = match starts.get_mut(at) {
                Some(start) => start.take(),
                None => file.hfile().begin_lookup(query.start),
            };
            let block = start.as_ref().and_then(LookupStart::block);
            // A half is not read in place, but may be excluded.
            let is_readable = block.is_some() && !file.is_reference();
            if !is_readable
                && ruled_out.is_none()
                && self.has_bloom
                && !file.passes_filter(query, &mut hashed)
            {
                skipped += 1;
                without_row += 1;
                continue;
            }
            let (row, read_point) = (query.start, query.read_point);
            let mut cells = match RowCells::of_started(file, start, row, read_point, &mut partial_reads) {
                // common case; avoids a large move
                Ok(RowCells::End) => {
                    without_row += 1;
                    continue;
                }
                Ok(cells) => cells,
                Err(NotCached) => return Ok(InPlace::ForScanner),
            };
            if self.skip_to_column(&mut cells, query).is_err() {
                return Ok(InPlace::ForScanner);
            }
            if matches!(cells, RowCells::End) {
                without_row += usize::from(file.filters_columns());
            } else if !found.push(cells) {
                return Ok(InPlace::ForScanner);
            }
        }
        for segment in sources.segments.iter() {
            let cells = RowCells::of_segment(segment, query.start, query.read_point);
            if !self.push_of_column(&mut found, cells, query) {
                return Ok(InPlace::ForScanner);
            }
        }
        if self.read_pushed(&mut found, query, info, row, counts)? == InPlace::ForScanner {
            return Ok(InPlace::ForScanner);
        }
        let files = sources.files.len() + ruled_out.unwrap_or(0);
        row.note_files(files - without_row, without_row);
        counts.seeks += 1;
        counts.files_skipped_by_bloom += skipped;
        counts.data_block_hits += (sources.files.len() as u64).saturating_sub(partial_reads + skipped);
        Ok(InPlace::Done)
    }

    /// Adds a source, skipping cells that do not matter for the query's column. Returns false if the row
    /// cannot be read in place.
    #[inline]
    fn push_of_column<'s>(
        &self,
        found: &mut RowMerge<'s>,
        mut cells: RowCells<'s>,
        query: &Query<'_>,
    ) -> bool {
        self.skip_to_column(&mut cells, query).is_ok() && found.push(cells)
    }

    /// If the query is for one column, moves to the first cell that decides on it, so that the other cells of
    /// the row are neither merged nor matched.
    #[inline]
    fn skip_to_column(&self, cells: &mut RowCells<'_>, query: &Query<'_>) -> Result<(), NotCached> {
        let [column] = query.columns else { return Ok(()) };
        let skips = cells.peek().is_some_and(|cell| {
            // false in the common case, so checked first
            !same_bytes(cell.qualifier(), column)
                && !query.raw
                && !query.filtered
                && cell.key.is_of_family(&self.family)
        });
        if skips { cells.skip_to_column(column, STEPS) } else { Ok(()) }
    }

    /// Reads the row in place from the only file that may have it.
    #[inline(always)] // the path of most gets
    fn get_from<'s>(
        &'s self,
        file: &'s StoreFile,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<InPlace> {
        let mut partial_reads = 0;
        match RowCells::of_file(file, query.start, query.read_point, &mut partial_reads) {
            Ok(RowCells::End) => {}
            Ok(cells) => {
                // the common case, which needs no matcher
                let whole = cells
                    .peek()
                    .filter(|&cell| is_whole_result(cell, || cells.is_last(), query, &self.family, info));
                if let Some(cell) = whole {
                    row.try_push(cell)?;
                    counts.cells += 1;
                } else if self.read_one(cells, query, info, row, counts)? == InPlace::ForScanner {
                    return Ok(InPlace::ForScanner);
                }
            }
            Err(NotCached) => return Ok(InPlace::ForScanner),
        }
        counts.seeks += 1;
        counts.data_block_hits += 1u64.saturating_sub(partial_reads);
        Ok(InPlace::Done)
    }

    #[inline(never)] // as `get_merged`
    fn read_one<'s>(
        &'s self,
        cells: RowCells<'s>,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<InPlace> {
        let mut found = RowMerge::default();
        if !self.push_of_column(&mut found, cells, query) {
            return Ok(InPlace::ForScanner);
        }
        self.read_pushed(&mut found, query, info, row, counts)
    }

    /// Reads the row from sources, one of which may have the whole result.
    #[inline]
    fn read_pushed<'s>(
        &'s self,
        found: &mut RowMerge<'s>,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<InPlace> {
        if let Some(cell) = found.only().and_then(RowCells::peek)
            && is_whole_result(cell, || false, query, &self.family, info)
        {
            row.try_push(cell)?;
            counts.cells += 1;
            return Ok(InPlace::Done);
        }
        match found.len() {
            0 => Ok(InPlace::Done),
            _ => self.read_found(found, query, info, row, counts),
        }
    }

    fn read_found<'s>(
        &'s self,
        found: &mut RowMerge<'s>,
        query: &Query<'s>,
        info: &ScanInfo,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<InPlace> {
        // A scanner skips cells of other families where it begins. A valid file has none.
        if !found.heads().all(|cell| cell.key.is_of_family(&self.family)) {
            return Ok(InPlace::ForScanner);
        }
        let before = row.mark();
        let mut buffers = row.take_scratch();
        let result = self.match_found(found, query, info, &mut buffers, row, counts);
        row.keep_scratch(buffers);
        if !matches!(result, Ok(InPlace::Done)) {
            row.truncate(before);
        }
        result
    }

    #[inline]
    fn match_found<'s>(
        &'s self,
        found: &mut RowMerge<'s>,
        query: &Query<'s>,
        info: &ScanInfo,
        buffers: &mut ReadBuffers,
        row: &mut RowBuf,
        counts: &mut ReadCounts,
    ) -> Result<InPlace> {
        let mut matcher = ScanQueryMatcher::for_user(query, &self.family, info, self.order)?;
        matcher.swap_buffers(&mut buffers.matcher);
        matcher.set_to_start_row();
        let limit = StoreLimit { limit: query.max_results, offset: query.row_offset };
        let mut reader =
            RowMatch::new(self.order, &mut matcher, &mut buffers.key, limit, STEPS, MatcherOnly, |cell| {
                row.try_push(cell)?;
                Ok(ControlFlow::Continue(()))
            });
        let mut left = None;
        let visit = |cell: CellRef<'_>| reader.visit_in_row(cell).map_break(|leave| left = Some(leave));
        let walked = found.walk(self.order, visit);
        counts.cells += reader.cells;
        matcher.swap_buffers(&mut buffers.matcher);
        Ok(match (walked, left) {
            (Err(NotCached), _) | (_, Some(StopReason::Seek | StopReason::Fault)) => InPlace::ForScanner,
            _ => InPlace::Done,
        })
    }
}

/// Begins to look up a row in the first files. A search of a cached block waits for memory several times;
/// each step is made for all files before the next one, so that these waits overlap.
#[inline]
fn begin_lookups<'s>(sources: &Sources<'s>, row: &'s [u8]) -> [Option<LookupStart<'s>>; STARTS] {
    let mut starts = [const { None }; STARTS];
    for (start, file) in starts.iter_mut().zip(sources.files.iter()) {
        *start = file.hfile().begin_lookup(row);
    }
    let blocks = || starts.iter().flatten().filter_map(LookupStart::block);
    blocks().for_each(DataBlock::prefetch_fields);
    blocks().for_each(|block| block.prefetch_entries(row));
    blocks().for_each(|block| block.prefetch_row(row));
    starts
}

/// The number of lookups begun together. A thread should hold few blocks.
const STARTS: usize = 4;

#[cfg(test)]
pub(super) mod tests;
