//! Point look-ups in blocks that are in the cache: no scanner, nothing counted, nothing allocated.

use super::inner::Inner;
use crate::block::data::{CellPlace, DataBlock, RowSearch, Step};
use crate::block::index::{Children, IndexBlock};
use crate::block::slot::Held;
use crate::cell::{CellOrder, CellRef, same_bytes};
use std::fmt;

/// Where the cells of a row are.
#[derive(Debug)]
#[must_use]
pub(crate) enum Located<'f> {
    /// Nowhere: there are none.
    Absent,
    /// Perhaps in a block that is not in the cache.
    NotCached,
    /// Here.
    At(RowCursor<'f>),
}

/// A block that may have more of a row is not in the cache, or below another index block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotCached;

/// A cursor over the cells of one row in blocks that are in the cache. It stands on a cell.
///
/// It holds its blocks without counting a reference, so it should be short-lived, and a thread should have few.
pub(crate) struct RowCursor<'f> {
    row: &'f [u8],
    order: CellOrder,
    leaf: Leaf<'f>,
    /// Whether the leaf is the last there is.
    is_last: bool,
    /// The entry of the leaf whose block this is.
    at: usize,
    block: Held<DataBlock>,
    place: CellPlace,
}

/// The index block above the data.
enum Leaf<'f> {
    Root(&'f IndexBlock),
    Below(Held<IndexBlock>),
}

impl Leaf<'_> {
    #[inline]
    fn index(&self) -> &IndexBlock {
        match self {
            Self::Root(index) => index,
            Self::Below(index) => index,
        }
    }

    /// Whether a row may have cells in the block of an entry, given that all before are before it; none if another index
    /// block says.
    fn may_go_on(&self, at: usize, is_last: bool, row: &[u8], order: CellOrder) -> Option<bool> {
        match self.index().key(at) {
            Some(key) => Some(order.compare_rows(key.row(), row).is_le()),
            None if is_last => Some(false),
            None => None,
        }
    }
}

impl Inner {
    /// Looks for a row.
    #[inline(always)] // what it gives is large: it is made where it stays
    pub(super) fn locate<'f>(&'f self, row: &'f [u8], order: CellOrder) -> Located<'f> {
        let (mut leaf, mut is_last) = (Leaf::Root(&self.root), true);
        loop {
            let index = leaf.index();
            // before the first key there is nothing, but the row may begin with it
            let mut at = index.search_row(row, order).unwrap_or(0);
            let slots = match index.children() {
                Children::Data(slots) => slots,
                Children::Index(slots) => {
                    let Some(child) = slots.hold(at) else { return Located::NotCached };
                    is_last &= at + 1 == index.len();
                    leaf = Leaf::Below(child);
                    continue;
                }
            };
            loop {
                let Some(block) = slots.hold(at) else { return Located::NotCached };
                match block.find_row(row, order) {
                    RowSearch::Found(place) => {
                        return Located::At(RowCursor { row, order, leaf, is_last, at, block, place });
                    }
                    RowSearch::Absent => return Located::Absent,
                    RowSearch::Behind => {}
                }
                at += 1;
                match leaf.may_go_on(at, is_last, row, order) {
                    Some(true) => {}
                    Some(false) => return Located::Absent,
                    None => return Located::NotCached,
                }
            }
        }
    }
}

impl RowCursor<'_> {
    /// The cell it stands on.
    #[inline]
    pub(crate) fn peek(&self) -> CellRef<'_> {
        self.block.cell(&self.place)
    }

    /// Whether the row ends with the cell, as far as the block says.
    #[inline]
    pub(crate) fn is_last(&self) -> bool {
        self.block.step_in_row(&mut self.place.clone()) == Step::NextRow
    }

    /// Goes to the next cell of the row; false if there is none.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool, NotCached> {
        match self.block.step_in_row(&mut self.place) {
            Step::InRow => Ok(true),
            Step::NextRow => Ok(false),
            Step::End => self.next_block(),
        }
    }

    #[cold]
    fn next_block(&mut self) -> Result<bool, NotCached> {
        match self.leaf.may_go_on(self.at + 1, self.is_last, self.row, self.order) {
            Some(true) => {}
            Some(false) => return Ok(false),
            None => return Err(NotCached),
        }
        let Children::Data(slots) = self.leaf.index().children() else { return Err(NotCached) };
        self.block = slots.hold(self.at + 1).ok_or(NotCached)?;
        self.at += 1;
        self.place = self.block.first();
        Ok(same_bytes(self.block.row(&self.place), self.row))
    }
}

impl fmt::Debug for RowCursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowCursor").field("on", &self.peek()).finish_non_exhaustive()
    }
}
