//! A cursor over the cells of one file (HBase: `HFileScanner`, `HFileReaderImpl`).

mod parts;
mod reversed;

pub(crate) use reversed::ReversedHFileScanner;

use super::index::{IndexPath, LeafLookup};
use super::partial_block::PartialBlock;
use super::reader_core::{Entering, ReaderCore};
use super::source::Buffers;
use crate::block::BlockType;
use crate::block::data::{CellPosition, DataBlock, RowStep};
use crate::cache::CacheFill;
use crate::cell::{CellKey, CellOrder, CellRef, same_bytes};
use crate::error::{Corruption, Error, Result};
use std::cmp::Ordering;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The result of a seek, in the terms of HBase's `seekTo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeekResult {
    /// The key itself was found.
    Exact,
    /// The key was not found, but there are cells before it.
    After,
    /// The key is before the first cell of the file or, for a [`reseek`](HFileScanner::reseek), before the
    /// cell at which the scanner was.
    Before,
    /// The key is in the gap between two blocks: after the (shortened) index key of the second block, and
    /// before its first cell. Where blocks have a row index (`ROW_INDEX_V1`), HBase returns the same for a
    /// key between the start of its row and the first cell of that row in the block.
    Gap,
}

impl SeekResult {
    /// Returns HBase's code: 0, 1, -1, -2.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Exact => 0,
            Self::After => 1,
            Self::Before => -1,
            Self::Gap => -2,
        }
    }
}

/// Visits the cells of a row in order. A trait rather than a closure, so that it is inlined into each loop
/// that uses it.
pub(crate) trait RowVisitor {
    /// The reason for stopping.
    type Break;

    /// Visits the next cell, which is in the row.
    fn visit_in_row(&mut self, cell: CellRef<'_>) -> ControlFlow<Self::Break>;
}

/// How a walk over the cells of a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowWalk<B> {
    /// The visitor stopped the walk; the scanner is at the cell on which it stopped.
    Stopped(B),
    /// The row ended; the scanner is at the first cell of the next row.
    RowEnd,
    /// The file ended; the scanner is not positioned.
    End,
}

/// A cursor over the cells of one file (HBase: `HFileScanner`).
///
/// The scanner is at a cell, which [`peek`](Self::peek) returns, or is not positioned: when it is new, past
/// the last cell, or after an error. It keeps its current block and the buffers that blocks are read into.
///
/// Blocks are checked as they are passed: the checksums, the link to the previous block, and that the cells
/// lie between the index keys around them. A walk from the first cell to the end also checks the number of
/// cells against the file's.
pub struct HFileScanner<'f> {
    file: &'f ReaderCore,
    path: IndexPath,
    /// The current block; `None` if the scanner is not positioned.
    block: Option<Arc<DataBlock>>,
    /// The parts of the stored block that the current one has, if it does not have all cells.
    partial: Option<Box<PartialBlock>>,
    /// Whether blocks may be read in parts.
    reads_parts: bool,
    /// The number of blocks entered since the last seek.
    run: u32,
    position: CellPosition,
    buffers: Buffers,
    hits: u64,
    /// The number of cells in the blocks entered since the first; `None` if a block, or a part of one, was
    /// skipped.
    met: Option<u64>,
    /// Whether blocks are read whole so that their cells are counted.
    must_count: bool,
}

/// Hits are reported to the cache in batches, because a counter shared by threads is slow.
const REPORT_HITS: u64 = 1 << 10;

impl<'f> HFileScanner<'f> {
    pub(super) fn new(file: &'f ReaderCore) -> Self {
        Self {
            file,
            path: IndexPath::new(&file.root),
            block: None,
            partial: None,
            // with a cache, blocks of a file outside of a store are cached whole
            reads_parts: file.cache.is_none(),
            run: 0,
            position: CellPosition::default(),
            buffers: Buffers::default(),
            hits: 0,
            met: None,
            must_count: false,
        }
    }

    /// Sets whether data blocks that are read are added to the cache (default: yes). Blocks already cached
    /// are used in any case, and index blocks are always cached (HBase: `cacheBlocks`).
    #[must_use]
    pub fn cache_blocks(mut self, cache: bool) -> Self {
        self.set_cache_fill(CacheFill::of_read(cache));
        self
    }

    /// Sets whether seeks may read only parts of blocks that are not in the cache.
    pub(crate) fn read_parts(&mut self, reads: bool) {
        self.reads_parts = reads;
    }

    /// Sets which of the blocks that are read are added to the cache.
    pub(crate) fn set_cache_fill(&mut self, fill: CacheFill) {
        self.path.set_fill(fill);
    }

    /// Seeks to the first cell; returns false if there is none.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    pub fn seek_to_first(&mut self) -> Result<bool> {
        self.met = None;
        let same = self.block.is_some() && self.partial.is_none() && self.path.is_first();
        if !same {
            self.leave_block();
            if !self.path.first_below(self.file, 0)? {
                return Ok(false);
            }
            self.enter_block(Entering::Pass)?;
        }
        let Some(block) = &self.block else { return Ok(false) };
        self.position = block.first();
        (self.met, self.must_count) = (Some(u64::from(block.count())), true);
        Ok(true)
    }

    /// Seeks to the first cell that is not before `key`; the scanner is not positioned if there is none.
    ///
    /// Returns what HBase's `seekTo` returns. Unlike `seekTo`, this leaves the scanner *at* the found cell
    /// when the result is [`SeekResult::After`] or [`SeekResult::Before`]; [`seek_to`](Self::seek_to)
    /// positions it as HBase does.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged, or the file's order is unknown.
    #[inline]
    pub fn seek(&mut self, key: &CellKey) -> Result<SeekResult> {
        if !self.find_part(key)? {
            self.seek_to_first()?;
            self.must_count = false;
            return Ok(SeekResult::Before);
        }
        self.seek_in_block(key, None)
    }

    /// Seeks where HBase's `seekTo` does: to `key`, to the last cell before it ([`SeekResult::After`]), or to
    /// the first cell of a block ([`SeekResult::Gap`]). With [`SeekResult::Before`] the scanner is not
    /// positioned.
    ///
    /// # Errors
    ///
    /// Same as [`seek`](Self::seek).
    pub fn seek_to(&mut self, key: &CellKey) -> Result<SeekResult> {
        let order = self.file.known_order()?;
        if !self.find_block(key)? {
            self.leave_block();
            return Ok(SeekResult::Before);
        }
        let Some(block) = &self.block else { return Ok(SeekResult::Before) };
        let (seek, position) = match block.seek(key, order) {
            Some((position, how)) => (self.seek_result(block, &position, how, key), Some(position)),
            None => (SeekResult::After, None),
        };
        let position = if seek == SeekResult::After { block.seek_before(key, order) } else { position };
        self.position = position.unwrap_or_else(|| block.first());
        Ok(seek)
    }

    /// Seeks forward to the first cell that is not before `key`. Does not move, and returns
    /// [`SeekResult::Before`], if the current cell is after `key`; does not move, and returns
    /// [`SeekResult::Exact`], if the current cell has that key.
    ///
    /// Cheaper than [`seek`](Self::seek) when the target is in the current block.
    ///
    /// # Errors
    ///
    /// Same as [`seek`](Self::seek), and if cells or index keys are out of order, so that the search leads
    /// backward.
    pub fn reseek(&mut self, key: &CellKey) -> Result<SeekResult> {
        let order = self.file.known_order()?;
        let Some(block) = &self.block else { return self.seek(key) };
        match order.compare(block.key(&self.position), key) {
            Ordering::Equal => return Ok(SeekResult::Exact),
            Ordering::Greater => return Ok(SeekResult::Before),
            Ordering::Less => {}
        }
        if self.path.next_key().is_none_or(|next| order.compare(key, next).is_lt()) {
            return self.seek_in_block(key, Some(self.position));
        }
        let from = self.offset();
        let seek = self.seek(key)?;
        if self.block.is_some() && self.offset() <= from { Err(self.disorder()) } else { Ok(seek) }
    }

    /// Seeks to the last cell before `key`; returns false, and is not positioned, if there is none.
    ///
    /// # Errors
    ///
    /// Same as [`seek`](Self::seek).
    pub fn seek_before(&mut self, key: &CellKey) -> Result<bool> {
        let order = self.file.known_order()?;
        if !self.find_block(key)? {
            self.leave_block();
            return Ok(false);
        }
        let before = self.block.as_ref().and_then(|block| block.seek_before(key, order));
        if let Some(before) = before {
            self.position = before;
            return Ok(true);
        }
        // the block's first cell is not before the key, though its index key is
        let link = self.block.as_ref().map_or(-1, |block| block.prev_block_offset());
        let offset = self.offset();
        self.leave_block();
        if !self.path.prev(self.file)? {
            return Ok(false);
        }
        self.check_link(link, offset)?;
        self.enter_block(Entering::Search)?;
        let Some(block) = &self.block else { return Ok(false) };
        let Some(before) = block.seek_before(key, order) else {
            let error =
                Corruption::Malformed("first cell of the block is not before the index key of the next");
            let offset = self.offset();
            self.leave_block();
            return Err(error.at(self.file.path(), offset));
        };
        self.position = before;
        Ok(true)
    }

    /// Advances to the next cell; returns false, and is not positioned, if there is none.
    ///
    /// # Errors
    ///
    /// At the end of a block, if the next one cannot be read or is damaged.
    #[inline]
    pub fn advance(&mut self) -> Result<bool> {
        let Some(block) = &self.block else { return Ok(false) };
        if block.advance(&mut self.position) {
            return Ok(true);
        }
        self.next_block()
    }

    /// Visits the cells from the current one on until `visit` breaks or the cells end. After a break, the
    /// scanner is at the cell on which `visit` broke.
    #[inline]
    pub(crate) fn walk<B>(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        loop {
            let Some(block) = &self.block else { return Ok(None) };
            // a local copy stays in a register while the walk is within the block
            let mut position = self.position;
            let reason = loop {
                match visit(block.cell(&position)) {
                    ControlFlow::Break(reason) => break Some(reason),
                    ControlFlow::Continue(()) if block.advance(&mut position) => {}
                    ControlFlow::Continue(()) => break None,
                }
            };
            self.position = position;
            if reason.is_some() {
                return Ok(reason);
            }
            self.next_block()?;
        }
    }

    /// Visits the cells of the current row, from the current cell on, until `visitor` breaks. `row` is
    /// scratch space.
    #[inline]
    pub(crate) fn walk_row<V: RowVisitor>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut V,
    ) -> Result<RowWalk<V::Break>> {
        let Some(block) = &self.block else { return Ok(RowWalk::End) };
        // a local copy stays in a register while the walk is within the block
        let mut position = self.position;
        let walked = block.walk_row(&mut position, |cell| visitor.visit_in_row(cell));
        self.position = position;
        match walked {
            ControlFlow::Break(reason) => return Ok(RowWalk::Stopped(reason)),
            ControlFlow::Continue(RowStep::End) => {}
            ControlFlow::Continue(_) => return Ok(RowWalk::RowEnd),
        }
        self.walk_row_on(row, visitor)
    }

    /// If the next cell in this block starts another row, passes the current cell to `visit`, and advances if
    /// `visit` returns a result. Otherwise returns `None` and does not move.
    #[inline]
    pub(crate) fn visit_single_cell<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        self.block.as_ref()?.visit_single_cell(&mut self.position, visit)
    }

    /// Continues [`walk_row`](Self::walk_row) after the last cell of a block.
    #[cold]
    fn walk_row_on<B>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut dyn RowVisitor<Break = B>,
    ) -> Result<RowWalk<B>> {
        row.clear();
        row.extend_from_slice(self.peek_row().unwrap_or_default());
        while self.advance()? {
            let Some(cell) = self.peek().filter(|cell| same_bytes(cell.row(), row)) else {
                return Ok(RowWalk::RowEnd);
            };
            if let ControlFlow::Break(reason) = visitor.visit_in_row(cell) {
                return Ok(RowWalk::Stopped(reason));
            }
        }
        Ok(RowWalk::End)
    }

    /// Takes up to `steps` steps towards the next row, without leaving the block. Returns where the last step
    /// led: `Step::End` if the scanner is at the last cell of the block.
    #[inline]
    pub(crate) fn pass_row(&mut self, steps: usize) -> RowStep {
        let Some(block) = &self.block else { return RowStep::End };
        let mut position = self.position;
        let mut step = RowStep::InRow;
        for _ in 0..steps {
            step = block.advance_in_row(&mut position);
            if step != RowStep::InRow {
                break;
            }
        }
        self.position = position;
        step
    }

    /// Returns the row of the current cell.
    #[inline]
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        Some(self.block.as_ref()?.row(&self.position))
    }

    /// Returns the current cell.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<CellRef<'_>> {
        Some(self.block.as_ref()?.cell(&self.position))
    }

    /// Returns the index key of the next block; every cell of the current block is before it. `None` in
    /// the last block.
    #[must_use]
    pub fn next_indexed_key(&self) -> Option<&CellKey> {
        self.block.as_ref()?;
        self.path.next_key()
    }

    /// Enters the block whose range contains `key`; returns false if `key` is before the first cell.
    #[inline]
    fn find_block(&mut self, key: &CellKey) -> Result<bool> {
        let order = self.file.known_order()?;
        self.met = None;
        match self.find_path(key, order)? {
            LeafLookup::Before => Ok(false),
            LeafLookup::Same if self.block.is_some() && self.partial.is_none() => Ok(true),
            _ => {
                self.leave_block();
                self.enter_block(Entering::Search)?;
                Ok(true)
            }
        }
    }

    #[inline]
    fn find_path(&mut self, key: &CellKey, order: CellOrder) -> Result<LeafLookup> {
        if self.run != 0 {
            self.end_run();
        }
        let found = self.path.seek(self.file, key, order);
        if found.is_err() {
            self.leave_block();
        }
        found
    }

    /// Seeks to the first cell that is not before `key`, in the current block or at the start of the next
    /// one. Fails if that is not after the position `from`.
    #[inline]
    fn seek_in_block(&mut self, key: &CellKey, from: Option<CellPosition>) -> Result<SeekResult> {
        let order = self.file.known_order()?;
        let Some(block) = &self.block else { return Ok(SeekResult::Before) };
        match block.seek(key, order) {
            Some((position, _)) if from.is_some_and(|from| !position.is_after(&from)) => Err(self.disorder()),
            Some((position, how)) => {
                self.position = position;
                Ok(self.seek_result(block, &position, how, key))
            }
            // the current cell's offset may have changed
            None if self.partial.is_some() && self.extend_part()? => {
                self.seek_in_block(key, from.map(|_| self.position))
            }
            None => {
                self.next_block()?;
                Ok(SeekResult::After)
            }
        }
    }

    /// Returns HBase's result for `key`, given the first cell of the block that is not before it.
    #[inline]
    fn seek_result(
        &self,
        block: &DataBlock,
        position: &CellPosition,
        how: Ordering,
        key: &CellKey,
    ) -> SeekResult {
        if how.is_eq() {
            SeekResult::Exact
        } else if self.begins_with(block, position)
            || self.file.is_row_indexed() && self.is_first_of(block, position, key)
        {
            SeekResult::Gap
        } else {
            SeekResult::After
        }
    }

    /// Whether the cell at `position` is the first of the stored block.
    #[inline]
    fn begins_with(&self, block: &DataBlock, position: &CellPosition) -> bool {
        block.is_first(position) && self.partial.as_ref().is_none_or(|partial| partial.is_at_start())
    }

    /// Whether the cell at `position` is the first of `key`'s row in the block.
    fn is_first_of(&self, block: &DataBlock, position: &CellPosition, key: &CellKey) -> bool {
        block.key(position).row() == key.row()
            && self
                .file
                .known_order()
                .ok()
                .and_then(|order| block.seek_before(key, order))
                .is_none_or(|before| block.key(&before).row() != key.row())
    }

    /// Enters the block of the path, at its first cell.
    #[inline]
    fn enter_block(&mut self, entering: Entering) -> Result<()> {
        let block = self.file.data_block(&self.path, &mut self.buffers, entering, &mut self.hits)?;
        if self.hits >= REPORT_HITS {
            self.report_hits();
        }
        self.position = if entering.is_search() { block.first() } else { block.first_of_many() };
        self.block = Some(block);
        Ok(())
    }

    #[cold]
    fn next_block(&mut self) -> Result<bool> {
        if self.advance_by_part()? {
            return Ok(true);
        }
        self.partial = None;
        let Some(block) = self.block.take() else { return Ok(false) };
        let Some(handle) = self.path.handle() else { return Ok(false) };
        let met = self.met.take();
        if !self.path.next(self.file)? {
            return self.at_end(&block, met).map(|()| false);
        }
        // Without a known order of keys, an index could lead to the same blocks repeatedly.
        if self.offset() <= handle.offset {
            return Err(self.disorder());
        }
        let cells = block.content().0.len();
        self.reuse(block);
        self.enter_next(met.is_some() && self.must_count, cells)?;
        let Some(block) = &self.block else { return Ok(false) };
        let (link, count) = (block.prev_block_offset(), u64::from(block.count()));
        if link != handle.offset.cast_signed() {
            let here = self.offset();
            self.leave_block();
            return Err(self.file.wrong_link(handle.offset, link, here));
        }
        self.met = met.filter(|_| self.partial.is_none()).map(|met| met + count);
        Ok(true)
    }

    /// Checks the key of the last cell and, after a walk over all cells, their number (hfile.md §17.1).
    fn at_end(&self, last: &DataBlock, met: Option<u64>) -> Result<()> {
        self.file.check_last_key(last.key(&last.last()))?;
        match met {
            Some(met) => self.file.check_entry_count(met),
            None => Ok(()),
        }
    }

    fn check_link(&self, link: i64, here: u64) -> Result<()> {
        match self.path.handle() {
            Some(handle) if handle.offset.cast_signed() != link => {
                Err(self.file.wrong_link(handle.offset, link, here))
            }
            _ => Ok(()),
        }
    }

    /// Returns the file offset of the path's block.
    fn offset(&self) -> u64 {
        self.path.handle().map_or(0, |handle| handle.offset)
    }

    /// Returns the error for a search that led in the wrong direction, and leaves the scanner unpositioned.
    #[cold]
    fn disorder(&mut self) -> Error {
        let offset = self.offset();
        self.leave_block();
        Corruption::Malformed("cells or index keys are out of order").in_block(
            self.file.path(),
            offset,
            BlockType::Data.name(),
        )
    }

    fn leave_block(&mut self) {
        self.partial = None;
        if let Some(block) = self.block.take() {
            self.reuse(block);
        }
    }

    /// Reuses the memory of a block that nothing else refers to for the next block.
    fn reuse(&mut self, block: Arc<DataBlock>) {
        if let Some(block) = Arc::into_inner(block) {
            self.buffers.spare = block.into_buffer();
        }
    }

    fn report_hits(&mut self) {
        self.file.count_hits(std::mem::take(&mut self.hits));
    }
}

impl Drop for HFileScanner<'_> {
    fn drop(&mut self) {
        self.report_hits();
    }
}

impl fmt::Debug for HFileScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HFileScanner").field("file", &self.file.path()).field("on", &self.peek()).finish()
    }
}

#[cfg(test)]
mod tests;
