//! Point look-ups in blocks that are in the cache: no scanner, nothing counted, nothing allocated.

use super::inner::Inner;
use crate::block::data::DataBlock;
use crate::block::index::{Children, IndexBlock};
use crate::cell::{CellOrder, CellRef};
use std::ops::ControlFlow;

/// How a look-up in the cache ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Lookup {
    /// All that may be of the row has been lent.
    Complete,
    /// A block that may have more of the row is not in the cache, or below another index block. What has been lent is right, but
    /// may not be all.
    Incomplete,
}

impl Inner {
    /// Lends the cells of a row and perhaps some of the row behind, until `visit` breaks off.
    #[inline]
    pub(super) fn look_up(
        &self,
        row: &[u8],
        order: CellOrder,
        visit: &mut impl FnMut(CellRef<'_>) -> ControlFlow<()>,
    ) -> Lookup {
        look_up_below(&self.root, true, row, order, visit)
    }
}

fn look_up_below(
    index: &IndexBlock,
    is_last: bool,
    row: &[u8],
    order: CellOrder,
    visit: &mut impl FnMut(CellRef<'_>) -> ControlFlow<()>,
) -> Lookup {
    // before the first key there is nothing, but the row may begin with it
    let mut at = index.search_row(row, order).unwrap_or(0);
    match index.children() {
        Children::Index(slots) => {
            let below = slots
                .with(at, |child| look_up_below(child, is_last && at + 1 == index.len(), row, order, visit));
            below.unwrap_or(Lookup::Incomplete)
        }
        Children::Data(slots) => loop {
            let lent = slots.with(at, |block| lend(block, row, order, visit));
            match lent {
                None => return Lookup::Incomplete,
                Some(ControlFlow::Break(())) => return Lookup::Complete,
                Some(ControlFlow::Continue(())) => {}
            }
            at += 1;
            match index.key(at) {
                None if is_last => return Lookup::Complete,
                // what is behind, another index block says
                None => return Lookup::Incomplete,
                Some(next) if order.compare_rows(next.row(), row).is_gt() => return Lookup::Complete,
                Some(_) => {}
            }
        },
    }
}

/// Lends the cells of a block from the first that is not before a row on.
#[inline]
fn lend(
    block: &DataBlock,
    row: &[u8],
    order: CellOrder,
    visit: &mut impl FnMut(CellRef<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(mut place) = block.seek_row(row, order) else { return ControlFlow::Continue(()) };
    loop {
        visit(block.cell(&place))?;
        if !block.advance(&mut place) {
            return ControlFlow::Continue(());
        }
    }
}
