//! A cursor over the rows of one file, from the last to the first (HBase: `HFileScanner.seekBefore`).

use super::{Entering, HFileScanner};
use crate::block::data::{CellPosition, DataBlock, RowSpan};
use crate::cache::CacheFill;
use crate::cell::{CellKey, CellOrder, CellRef, SeekKey};
use crate::error::{Corruption, Error, Result};
use std::fmt;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A cursor that moves from each row to the previous one, and forward within a row.
///
/// The cursor is at a cell of its row, which [`peek`](Self::peek) returns, or after the row's last cell. It
/// has no row when it is new, before the first row, or after an error.
///
/// Moving back a row needs no search: a block's index records where its rows begin, and the data index names
/// the previous block. If the row may have begun in the previous block, that block is read and both are kept,
/// so each block is read once. Only a row that spans more than two blocks needs a search and is read forward
/// once more.
///
/// Blocks are checked as they are passed, as in [`HFileScanner`].
pub(crate) struct ReversedHFileScanner<'f> {
    /// In the block where the row begins, or in which to look for it.
    cells: HFileScanner<'f>,
    /// The cells of the row in that block.
    here: RowSpan,
    /// The part of the row in the next block.
    after: Option<RowAfter>,
    /// The block in which the row begins.
    begins: CursorState,
    /// The current position.
    state: CursorState,
    /// The state of a row that spans many blocks; kept for reuse.
    wide: Option<Box<WideRow>>,
}

#[derive(Default)]
struct WideRow {
    /// A key before the row's first cell.
    key: SeekKey,
    /// The offset of the block with the row's first cell, and that cell's place in the block.
    offset: u64,
    position: CellPosition,
}

struct RowAfter {
    block: Arc<DataBlock>,
    row: RowSpan,
    position: CellPosition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CursorState {
    Unpositioned,
    /// In the block of `cells`.
    InBlock,
    /// In the block after that.
    InNext,
    /// At the position of `cells`, in any block of the row.
    Wide,
}

impl<'f> ReversedHFileScanner<'f> {
    pub(in crate::hfile) fn new(mut cells: HFileScanner<'f>) -> Self {
        cells.read_parts(false);
        Self {
            cells,
            here: RowSpan::default(),
            after: None,
            begins: CursorState::Unpositioned,
            state: CursorState::Unpositioned,
            wide: None,
        }
    }

    /// Sets which of the blocks that are read are added to the cache.
    pub(crate) fn set_cache_fill(&mut self, fill: CacheFill) {
        self.cells.set_cache_fill(fill);
    }

    /// Returns the current cell.
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        match self.state {
            CursorState::InBlock | CursorState::Wide => self.cells.peek(),
            CursorState::InNext => self.after.as_ref().map(|after| after.block.cell(&after.position)),
            CursorState::Unpositioned => None,
        }
    }

    /// Seeks to the first cell of the last row; returns false, and is not positioned, if there is none.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged, or the file's order is unknown.
    pub(crate) fn seek_to_last_row(&mut self) -> Result<bool> {
        self.leave();
        let order = self.order()?;
        if !self.cells.enter_last_block()? {
            return Ok(false);
        }
        let row = self.block()?.last_row(order).map_err(|error| self.error(error))?;
        self.enter_row(row)
    }

    /// Seeks to the first cell of the row that contains the last cell before `key`; returns false, and is not
    /// positioned, if there is none. Cells from `key` on are not part of the row, unless the row spans many
    /// blocks.
    ///
    /// # Errors
    ///
    /// Same as [`seek_to_last_row`](Self::seek_to_last_row).
    pub(crate) fn seek_before(&mut self, key: &CellKey) -> Result<bool> {
        self.leave();
        if !self.cells.seek_before(key)? {
            return Ok(false);
        }
        self.enter_row_up_to_here()
    }

    /// Like [`seek_before`](Self::seek_before), for a `key` that is not after the beginning of the row.
    ///
    /// # Errors
    ///
    /// Same as [`seek_to_last_row`](Self::seek_to_last_row), and if cells or index keys are out of order, so
    /// that the search leads forward.
    pub(crate) fn reseek_before(&mut self, key: &CellKey) -> Result<bool> {
        let (offset, begin) = match (self.begins, &self.wide) {
            (CursorState::InBlock, _) => (self.cells.offset(), Some(self.block()?.first_of(&self.here))),
            // together with the next block
            (CursorState::InNext, _) => (self.cells.offset(), None),
            (CursorState::Wide, Some(wide)) => (wide.offset, Some(wide.position)),
            (CursorState::Unpositioned, _) | (CursorState::Wide, None) => return self.seek_before(key),
        };
        self.leave();
        if !self.cells.seek_before(key)? {
            return Ok(false);
        }
        let here = self.cells.offset();
        let is_before = begin.is_none_or(|begin| begin.is_after(&self.cells.position));
        if here > offset || here == offset && !is_before {
            return Err(self.disorder());
        }
        self.enter_row_up_to_here()
    }

    /// Enters the row in which `cells` is positioned, at its first cell. Cells after the position of `cells`
    /// are not part of the row, unless the row spans many blocks.
    fn enter_row_up_to_here(&mut self) -> Result<bool> {
        let order = self.order()?;
        let row = self.block()?.row_up_to(&self.cells.position, order).map_err(|error| self.error(error))?;
        self.enter_row(row)
    }

    /// Moves to the first cell of the previous row; returns false, and is not positioned, if there is none.
    ///
    /// # Errors
    ///
    /// Same as [`seek_to_last_row`](Self::seek_to_last_row).
    #[inline]
    pub(crate) fn previous_row(&mut self) -> Result<bool> {
        let begins = self.begins;
        if begins == CursorState::Wide {
            return self.leave_wide_row();
        }
        self.leave();
        let order = self.order()?;
        let row = match begins {
            CursorState::Unpositioned | CursorState::Wide => return Ok(false),
            CursorState::InBlock if self.here.is_first() => return self.at_start().map(|()| false),
            CursorState::InBlock => self.block()?.row_before(&self.here, order),
            CursorState::InNext => self.block()?.last_row(order),
        };
        self.enter_row(row.map_err(|error| self.error(error))?)
    }

    /// Advances to the next cell of the row. If there is none, the cursor is after the last cell but still in
    /// the row.
    ///
    /// # Errors
    ///
    /// Same as [`seek_to_last_row`](Self::seek_to_last_row).
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<()> {
        if self.state == CursorState::InBlock
            && let Some(block) = &self.cells.block
            && block.advance_within(&self.here, &mut self.cells.position)
        {
            return Ok(());
        }
        self.advance_with_care()
    }

    fn advance_with_care(&mut self) -> Result<()> {
        match (self.state, &mut self.after) {
            (CursorState::Unpositioned, _) => {}
            (CursorState::InBlock, Some(_)) => self.state = CursorState::InNext,
            (CursorState::InBlock, None) => self.state = CursorState::Unpositioned,
            (CursorState::InNext, Some(RowAfter { block, row, position })) => {
                if !block.advance_within(row, position) {
                    self.state = CursorState::Unpositioned;
                }
            }
            (CursorState::InNext, None) => self.state = CursorState::Unpositioned,
            (CursorState::Wide, _) => {
                self.state = CursorState::Unpositioned;
                self.cells.advance()?;
                self.skip_invisible_in_wide_row();
            }
        }
        Ok(())
    }

    /// Visits the cells of the row from the current one on until `visit` breaks or the row ends. After a
    /// break, the cursor is at the cell on which `visit` broke.
    ///
    /// # Errors
    ///
    /// Same as [`seek_to_last_row`](Self::seek_to_last_row).
    #[inline]
    pub(crate) fn walk<B>(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        if let (CursorState::InBlock, Some(block)) = (self.state, &self.cells.block) {
            let mut position = self.cells.position;
            let reason = loop {
                match visit(block.cell(&position)) {
                    ControlFlow::Break(reason) => break Some(reason),
                    ControlFlow::Continue(()) if block.advance_within(&self.here, &mut position) => {}
                    ControlFlow::Continue(()) => break None,
                }
            };
            self.cells.position = position;
            if reason.is_some() {
                return Ok(reason);
            }
            self.advance_with_care()?;
        }
        while let Some(cell) = self.peek() {
            if let ControlFlow::Break(reason) = visit(cell) {
                return Ok(Some(reason));
            }
            self.advance()?;
        }
        Ok(None)
    }

    /// Passes the current cell to `visit` if the row is in one block and ends with this cell; otherwise
    /// returns `None`.
    #[inline]
    pub(crate) fn peek_single_cell<R>(&self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        let position = &self.cells.position;
        match (self.state, &self.after, &self.cells.block) {
            (CursorState::InBlock, None, Some(block)) if self.here.ends_at(position) => {
                visit(block.cell(position))
            }
            _ => None,
        }
    }

    /// Seeks forward within the row to the first cell that is not before `key`. Does not move if the current
    /// cell is not before `key`; moves after the row's last cell if all cells are before `key`.
    ///
    /// # Errors
    ///
    /// Same as [`seek_to_last_row`](Self::seek_to_last_row).
    pub(crate) fn reseek(&mut self, key: &CellKey) -> Result<()> {
        let order = self.order()?;
        if self.peek().is_none_or(|cell| order.compare(cell.key(), key).is_ge()) {
            return Ok(());
        }
        if self.state == CursorState::Wide {
            self.state = CursorState::Unpositioned;
            self.cells.reseek(key)?;
            self.skip_invisible_in_wide_row();
            return Ok(());
        }
        if self.state == CursorState::InBlock {
            let block = self.block()?;
            let found = block.seek(key, order).filter(|(position, _)| block.is_within(&self.here, position));
            if let Some((position, _)) = found {
                if !position.is_after(&self.cells.position) {
                    return Err(self.disorder());
                }
                self.cells.position = position;
                return Ok(());
            }
        }
        let was_in_next = mem::replace(&mut self.state, CursorState::Unpositioned) == CursorState::InNext;
        if let Some(RowAfter { block, row, position }) = &mut self.after
            && let Some((found, _)) = block.seek(key, order)
            && block.is_within(row, &found)
        {
            if was_in_next && !found.is_after(position) {
                return Err(self.disorder());
            }
            *position = found;
            self.state = CursorState::InNext;
        }
        Ok(())
    }

    /// Moves to the first cell of a row. `row` is the part of it in the block of `cells`; the next block has
    /// none of it.
    #[inline]
    fn enter_row(&mut self, row: RowSpan) -> Result<bool> {
        if row.is_first() && !self.cells.path.is_first() {
            return self.look_back(row);
        }
        self.here = row;
        self.cells.position = self.block()?.first_of(&row);
        (self.begins, self.state) = (CursorState::InBlock, CursorState::InBlock);
        Ok(true)
    }

    /// Like [`enter_row`](Self::enter_row), for a row that may have begun in the previous block.
    #[cold]
    fn look_back(&mut self, row: RowSpan) -> Result<bool> {
        let order = self.order()?;
        let Some(block) = self.cells.enter_previous_block()? else { return Ok(false) };
        let here = self.block()?.last_row(order).map_err(|error| self.error(error))?;
        let is_one_row = self.block()?.row_of(&here) == block.row_of(&row);
        if is_one_row && here.is_first() && !self.cells.path.is_first() {
            return self.enter_wide_row(block.row_of(&row));
        }
        self.here = here;
        self.after = Some(RowAfter { position: block.first(), block, row });
        self.begins = if is_one_row { CursorState::InBlock } else { CursorState::InNext };
        self.state = self.begins;
        if is_one_row {
            self.cells.position = self.block()?.first_of(&here);
        }
        Ok(true)
    }

    fn enter_wide_row(&mut self, row: &[u8]) -> Result<bool> {
        let from = self.cells.offset();
        let mut wide = self.wide.take().unwrap_or_default();
        wide.key.set_first_on_row(row);
        self.cells.seek(&wide.key)?;
        (wide.offset, wide.position) = (self.cells.offset(), self.cells.position);
        if wide.offset > from {
            return Err(self.disorder());
        }
        self.wide = Some(wide);
        self.begins = CursorState::Wide;
        self.skip_invisible_in_wide_row();
        Ok(true)
    }

    fn leave_wide_row(&mut self) -> Result<bool> {
        let mut key = SeekKey::new();
        if let Some(wide) = &mut self.wide {
            mem::swap(&mut key, &mut wide.key);
        }
        self.reseek_before(&key)
    }

    /// Takes the position of `cells` if that is still in the row.
    fn skip_invisible_in_wide_row(&mut self) {
        let row = self.wide.as_ref().map(|wide| wide.key.row());
        let is_in_row = self.cells.peek().is_some_and(|cell| Some(cell.row()) == row);
        self.state = if is_in_row { CursorState::Wide } else { CursorState::Unpositioned };
    }

    /// Leaves the row before any move, whatever the outcome of the move.
    #[inline]
    pub(crate) fn leave(&mut self) {
        if self.begins == CursorState::Wide {
            // a block that was read in a forward walk may have no row index
            self.cells.leave_block();
        }
        (self.begins, self.state) = (CursorState::Unpositioned, CursorState::Unpositioned);
        if let Some(after) = self.after.take() {
            self.cells.reuse(after.block);
        }
    }

    /// Checks the number of cells after a walk over all of them (hfile.md §17.1).
    fn at_start(&mut self) -> Result<()> {
        match self.cells.met.take() {
            Some(met) => self.cells.file.check_entry_count(met),
            None => Ok(()),
        }
    }

    #[inline]
    fn order(&self) -> Result<CellOrder> {
        self.cells.file.known_order()
    }

    #[inline]
    fn block(&self) -> Result<&DataBlock> {
        match &self.cells.block {
            Some(block) => Ok(block),
            None => Err(Error::invalid_argument("the scanner is not positioned")),
        }
    }

    /// Returns the error for a search that led in the wrong direction, and leaves the cursor without a row.
    #[cold]
    fn disorder(&mut self) -> Error {
        self.leave();
        self.cells.disorder()
    }

    #[cold]
    fn error(&self, corruption: Corruption) -> Error {
        let offset = self.cells.offset();
        corruption.at(self.cells.file.path(), offset)
    }
}

impl fmt::Debug for ReversedHFileScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReversedHFileScanner")
            .field("file", &self.cells.file.path())
            .field("on", &self.peek())
            .finish_non_exhaustive()
    }
}

/// Moves to the last block, and from each block to the previous one.
impl HFileScanner<'_> {
    /// Enters the last block; returns false if there is none.
    fn enter_last_block(&mut self) -> Result<bool> {
        self.met = None;
        self.leave_block();
        if !self.path.last(self.file)? {
            return Ok(false);
        }
        self.enter_block(Entering::Search)?;
        let Some(block) = &self.block else { return Ok(false) };
        self.file.check_last_key(block.key(&block.last()))?;
        self.met = Some(u64::from(block.count()));
        Ok(true)
    }

    /// Enters the previous block and returns the one it left; returns `None`, and is not positioned, if
    /// that was the first.
    fn enter_previous_block(&mut self) -> Result<Option<Arc<DataBlock>>> {
        let met = self.met.take();
        let Some(block) = self.block.take() else { return Ok(None) };
        let offset = self.offset();
        if !self.path.prev(self.file)? {
            return Ok(None);
        }
        self.check_link(block.prev_block_offset(), offset)?;
        self.enter_block(Entering::Search)?;
        let count = self.block.as_ref().map_or(0, |block| block.count());
        self.met = met.map(|met| met + u64::from(count));
        Ok(Some(block))
    }
}

#[cfg(test)]
mod tests;
