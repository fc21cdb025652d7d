//! Point lookups in cached blocks, without a scanner, counters or allocation.

use super::part_reads::{self, OutlinedBlock, PartSource};
use super::reader_core::ReaderCore;
use crate::block::data::{CellPosition, DataBlock, OutlineSearch, RowSearch, RowStep};
use crate::block::index::{Children, IndexBlock};
use crate::block::slot::BlockGuard;
use crate::cell::{CellKey, CellOrder, CellRef, same_bytes};
use std::fmt;

/// The location of a row's cells.
#[derive(Debug)]
#[must_use]
pub(crate) enum RowLookup<'f> {
    /// The row has no cells.
    Absent,
    /// The row may have cells in a block that is not in the cache.
    NotCached,
    /// The row's first cell.
    At(RowCursor<'f>),
}

/// The next block that may contain the row is not cached, or is below another index block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotCached;

/// A cursor over the cells of one row in cached blocks. It is always at a cell.
///
/// It protects its blocks without a reference count, so it must be short-lived, and a thread should have few
/// of them.
pub(crate) struct RowCursor<'f> {
    row: &'f [u8],
    order: CellOrder,
    leaf: Leaf<'f>,
    /// Whether the leaf is the last of the index.
    is_last: bool,
    /// The leaf's entry for `block`.
    at: usize,
    block: BlockGuard<DataBlock>,
    position: CellPosition,
}

/// A lookup for which the index has been searched. Like [`RowCursor`], it should be short-lived.
pub(crate) struct LookupStart<'f> {
    leaf: Leaf<'f>,
    /// Whether the leaf is the last of the index.
    is_last: bool,
    /// The leaf's entry for the first block that may have the row.
    at: usize,
    /// The block, if it is cached.
    block: Option<BlockGuard<DataBlock>>,
}

impl LookupStart<'_> {
    /// Returns the first block that may have the row, if it is cached.
    #[inline]
    pub(crate) fn block(&self) -> Option<&DataBlock> {
        self.block.as_deref()
    }
}

/// The index block whose entries are data blocks.
enum Leaf<'f> {
    Root(&'f IndexBlock),
    Below(BlockGuard<IndexBlock>),
}

impl Leaf<'_> {
    #[inline]
    fn index(&self) -> &IndexBlock {
        match self {
            Self::Root(index) => index,
            Self::Below(index) => index,
        }
    }

    /// Whether a row may have cells in the block of entry `at`, given that the row does not end before that
    /// block; `None` if another index block decides it.
    fn may_continue_in_next_block(
        &self,
        at: usize,
        is_last: bool,
        row: &[u8],
        order: CellOrder,
    ) -> Option<bool> {
        match self.index().key(at) {
            Some(key) => Some(order.compare_rows(key.row(), row).is_le()),
            None if is_last => Some(false),
            None => None,
        }
    }
}

impl ReaderCore {
    /// Searches the index for the first block that may have a row. `None` if an index block is not cached.
    #[inline(always)] // the result is large: this constructs it in place
    pub(super) fn begin<'f>(&'f self, row: &'f [u8], order: CellOrder) -> Option<LookupStart<'f>> {
        let (mut leaf, mut is_last) = (Leaf::Root(&self.root), true);
        loop {
            let index = leaf.index();
            // a row before the first key's row has no cells, but a row may begin at the first key
            let at = index.search_row(row, order).unwrap_or(0);
            match index.children() {
                Children::Data(slots) => {
                    let block = slots.hold(at);
                    return Some(LookupStart { leaf, is_last, at, block });
                }
                Children::Index(slots) => {
                    let child = slots.hold(at)?;
                    is_last &= at + 1 == index.len();
                    leaf = Leaf::Below(child);
                }
            }
        }
    }

    /// Looks up a row. Adds to `partial_reads` for each block that was not in the cache, and from which a
    /// part was read instead.
    #[inline(always)] // as `begin`
    pub(super) fn locate<'f>(
        &'f self,
        start: LookupStart<'f>,
        row: &'f [u8],
        order: CellOrder,
        partial_reads: &mut u64,
    ) -> RowLookup<'f> {
        let LookupStart { leaf, is_last, mut at, mut block } = start;
        loop {
            let (held, found) = match block {
                Some(block) => {
                    let found = block.find_row(row, order);
                    (Some(block), found)
                }
                None => match self.find_by_outline(leaf.index(), at, row, order, partial_reads) {
                    Some(found) => found,
                    None => return RowLookup::NotCached,
                },
            };
            match (found, held) {
                (RowSearch::Found(position), Some(block)) => {
                    return RowLookup::At(RowCursor { row, order, leaf, is_last, at, block, position });
                }
                (RowSearch::After, _) => {}
                _ => return RowLookup::Absent,
            }
            at += 1;
            match leaf.may_continue_in_next_block(at, is_last, row, order) {
                Some(true) => {}
                Some(false) => return RowLookup::Absent,
                None => return RowLookup::NotCached,
            }
            let Children::Data(slots) = leaf.index().children() else { return RowLookup::NotCached };
            block = slots.hold(at);
        }
    }

    /// Finds a row in a block that is not in the cache, by the block's outline. Returns `None` if the block
    /// must be read as a whole: it has no outline; the cache has room for it; it is read so often that it
    /// should be in the cache; or [`part_reads::find_row`] requires it.
    #[cold]
    fn find_by_outline(
        &self,
        leaf: &IndexBlock,
        at: usize,
        row: &[u8],
        order: CellOrder,
        partial_reads: &mut u64,
    ) -> Option<(Option<BlockGuard<DataBlock>>, RowSearch)> {
        let outline = leaf.outlines().hold(at)?;
        let handle = leaf.handle(at)?;
        let (cache, key) = self.cache_for(handle)?;
        let reader = cache.reader_of(key, &*self.source.reader);
        let block = OutlinedBlock {
            file: key.file,
            reader: &reader,
            offset: handle.offset,
            outline: &outline,
            next_row: leaf.key(at + 1).map(CellKey::row),
            order,
        };
        let may_read = || cache.is_full_for(handle.on_disk_size) && outline.count_lookup() < LOOKUPS;
        let (found, source) = part_reads::find_row(&block, row, may_read)?;
        if source == PartSource::File {
            *partial_reads += 1;
            cache.count_partial_read(&key);
            self.count_found(reader.was_in_tier());
        }
        Some(match found {
            OutlineSearch::Found(cells) => {
                let position = cells.first();
                (Some(BlockGuard::of(cells)), RowSearch::Found(position))
            }
            OutlineSearch::Absent => (None, RowSearch::Absent),
            OutlineSearch::After => (None, RowSearch::After),
        })
    }
}

/// A block is read into the cache after this many lookups by its outline. Reading and inserting a block
/// costs as much as about twenty of them, and evicts a block that may be used as often.
pub(super) const LOOKUPS: u32 = 128;

impl RowCursor<'_> {
    /// Returns the current cell.
    #[inline]
    pub(crate) fn peek(&self) -> CellRef<'_> {
        self.block.cell(&self.position)
    }

    /// Whether the row ends with the current cell, as far as its block shows.
    #[inline]
    pub(crate) fn is_last(&self) -> bool {
        self.block.step_in_row(&mut self.position.clone()) == RowStep::NextRow
    }

    /// Passes the row's cells to `visit` from the current one on, without moving: at most `most`, and none of
    /// the next block.
    #[inline]
    pub(crate) fn look_ahead(&self, most: usize, mut visit: impl FnMut(CellRef<'_>)) {
        let mut position = self.position;
        for _ in 0..most {
            visit(self.block.cell(&position));
            if self.block.step_in_row(&mut position) != RowStep::InRow {
                return;
            }
        }
    }

    /// Advances to the next cell of the row; returns false if there is none.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool, NotCached> {
        match self.block.step_in_row(&mut self.position) {
            RowStep::InRow => Ok(true),
            RowStep::NextRow => Ok(false),
            RowStep::End => self.next_block(),
        }
    }

    #[cold]
    fn next_block(&mut self) -> Result<bool, NotCached> {
        match self.leaf.may_continue_in_next_block(self.at + 1, self.is_last, self.row, self.order) {
            Some(true) => {}
            Some(false) => return Ok(false),
            None => return Err(NotCached),
        }
        let Children::Data(slots) = self.leaf.index().children() else { return Err(NotCached) };
        self.block = slots.hold(self.at + 1).ok_or(NotCached)?;
        self.at += 1;
        self.position = self.block.first();
        Ok(same_bytes(self.block.row(&self.position), self.row))
    }
}

impl fmt::Debug for RowCursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowCursor").field("on", &self.peek()).finish_non_exhaustive()
    }
}
