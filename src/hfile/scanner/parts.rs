//! Decides which blocks a scanner reads in parts, and enters them.

use super::super::index::LeafLookup;
use super::super::read_ahead::ReadAhead;
use super::super::reader_core::Entering;
use super::super::source::Buffers;
use super::HFileScanner;
use crate::block::data::DataBlock;
use crate::cell::{CellKey, CellOrder};
use crate::error::Result;
use std::sync::Arc;

/// After this many blocks, a scan is long: blocks are read whole, and not all of them are cached.
const LONG_RUN: u32 = 4;

/// Up to this many blocks, a scan may end soon: blocks are read in parts.
const SHORT_RUN: u32 = 2;

impl HFileScanner<'_> {
    /// Like [`find_block`](Self::find_block), but may enter only a part of the block: the one with the first
    /// cell that is not before `key`, if the block has it.
    #[inline]
    pub(super) fn find_part(&mut self, key: &CellKey) -> Result<bool> {
        if !self.reads_parts {
            return self.find_block(key);
        }
        let order = self.file.known_order()?;
        self.met = None;
        let found = self.find_path(key, order)?;
        if found == LeafLookup::Before {
            return Ok(false);
        }
        if let (LeafLookup::Same, Some(block)) = (found, &self.block)
            && (self.partial.is_none()
                || order.compare(block.key(&block.first()), key).is_le()
                    && self.partial.as_ref().is_some_and(|partial| partial.reaches(key.row(), order)))
        {
            return Ok(true);
        }
        self.leave_block();
        if !self.enter_part(key.row(), order) {
            self.enter_block(Entering::SearchPart)?;
        }
        Ok(true)
    }

    /// Enters the part of the path's block that a row can be in; returns false if the whole block must be
    /// read.
    fn enter_part(&mut self, row: &[u8], order: CellOrder) -> bool {
        let Some((block, partial)) = self.file.begin_partial(&self.path, row, order, &mut self.buffers)
        else {
            return false;
        };
        self.position = block.first();
        self.partial = Some(Box::new(partial));
        self.block = Some(Arc::new(block));
        true
    }

    /// Reads more cells of a block of which the scanner has a part; returns false if there are none. The
    /// scanner stays at its cell.
    #[cold]
    pub(super) fn extend_part(&mut self) -> Result<bool> {
        let (Some(partial), Some(block)) = (&mut self.partial, &mut self.block) else { return Ok(false) };
        if partial.is_at_end() {
            return Ok(false);
        }
        let extended =
            Arc::get_mut(block).and_then(|block| self.file.extend_partial(partial, block, &mut self.buffers));
        if extended.is_some() {
            return Ok(true);
        }
        let at = partial.base().map(|base| base + DataBlock::offset_of(&self.position));
        self.leave_block();
        self.enter_block(Entering::Search)?;
        match self.block.as_ref().zip(at).and_then(|(block, at)| block.cell_at(at)) {
            Some(position) => self.position = position,
            None => return Err(self.disorder()),
        }
        Ok(true)
    }

    /// Advances to the next cell in the block of which the scanner has a part, if there is one.
    pub(super) fn advance_by_part(&mut self) -> Result<bool> {
        if self.partial.is_none() || !self.extend_part()? {
            return Ok(false);
        }
        Ok(self.block.as_ref().is_some_and(|block| block.advance(&mut self.position)))
    }

    /// Enters the path's block, which follows the current one, at its first cell. With `counts_cells`, the
    /// block must be whole. The previous block had `cells` bytes of cells.
    pub(super) fn enter_next(&mut self, counts_cells: bool, cells: usize) -> Result<()> {
        self.run = self.run.saturating_add(1);
        if self.reads_parts
            && !counts_cells
            && self.run < SHORT_RUN
            && let Some(order) = self.file.order
            && self.enter_part(&[], order)
        {
            return Ok(());
        }
        if self.run < LONG_RUN {
            return self.enter_block(Entering::Pass);
        }
        if self.file.reads_ahead() && (self.buffers.ahead.is_some() || self.is_block_to_be_read()) {
            let Buffers { ahead, spare, .. } = &mut self.buffers;
            let ahead = ahead.get_or_insert_with(|| Box::new(ReadAhead::new()));
            ahead.read(self.file, &self.path, (self.run, cells), spare);
        }
        self.enter_block(Entering::LongRun)
    }

    /// Whether the path's block is in no cache.
    fn is_block_to_be_read(&self) -> bool {
        let Some((leaf, at)) = self.path.leaf() else { return false };
        leaf.handle(at).is_some_and(|handle| self.file.is_to_be_read(leaf, at, handle))
    }

    /// Records that the next block is not the one after the current one.
    #[cold]
    pub(super) fn end_run(&mut self) {
        self.run = 0;
        self.buffers.ahead = None;
    }

    /// Returns the blocks that were read ahead.
    #[cfg(test)]
    pub(in crate::hfile) fn read_ahead(&self) -> Option<&ReadAhead> {
        self.buffers.ahead.as_deref()
    }
}
