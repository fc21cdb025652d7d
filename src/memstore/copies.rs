//! Cells of a segment, read ahead.

use super::position::{Position, Wanted};
use super::segment::Segment;
use crate::block::data::{CellPlace, DataBlock, Step, Trust, Undone, touch};
use crate::cell::{CellFormat, CellRef, SeekKey, key_value};
use crossbeam_epoch as epoch;
use std::ops::{Bound, ControlFlow};

/// Copies of cells that follow each other in a segment, and a place among them.
///
/// A segment's cells lie anywhere in memory, and each is known by the one before it, so whoever looks at one after the other
/// waits for memory at each of them, more than once. A loop that only goes from one to the next waits once for each, and
/// meanwhile their bytes come, which it touches. Then they are copied, to lie one behind the other.
pub(super) struct Copies {
    /// None before the first are made, and when there were none to copy.
    cells: Option<DataBlock>,
    place: CellPlace,
    /// Where to read on: behind the cell of this key and sequence id.
    last: SeekKey,
    last_seq_id: i64,
    /// How many cells to copy next.
    next: usize,
    /// What [`touch`] has made of their bytes.
    touched: u8,
}

/// So many cells are copied first, and twice as many each time, since most who read some cells read few.
const FIRST: usize = 16;
/// The most cells that are copied at once.
const MOST: usize = 128;
/// Their bytes, but for those of the last.
const MOST_BYTES: usize = 16 << 10;
/// What is larger is not copied.
const LARGE: usize = 4 << 10;
/// Room for all that is copied at once, with what a block has beside the bytes of a cell.
const MEMORY: usize = MOST_BYTES + LARGE + 32 * MOST;
const FORMAT: CellFormat = CellFormat { tags: true, mvcc: true };

impl Copies {
    /// None yet; those to come are behind a cell.
    pub(super) fn behind(cell: CellRef<'_>) -> Self {
        let (last, last_seq_id) = (SeekKey::from(cell.key), cell.seq_id);
        Self { cells: None, place: CellPlace::default(), last, last_seq_id, next: FIRST, touched: 0 }
    }

    /// Begins anew behind a cell.
    pub(super) fn begin_behind(&mut self, cell: CellRef<'_>) {
        self.last.set_key(cell.key);
        (self.last_seq_id, self.next) = (cell.seq_id, FIRST);
    }

    /// The cell it stands on.
    #[inline]
    pub(super) fn peek(&self) -> Option<CellRef<'_>> {
        Some(self.cells.as_ref()?.cell(&self.place))
    }

    /// The row of that.
    #[inline]
    pub(super) fn peek_row(&self) -> Option<&[u8]> {
        Some(self.cells.as_ref()?.row(&self.place))
    }

    /// Goes to the next copy; false if there is none.
    #[inline]
    pub(super) fn advance(&mut self) -> bool {
        self.cells.as_ref().is_some_and(|cells| cells.advance(&mut self.place))
    }

    /// Lends the cells of a row from the one it stands on on, until `visit` breaks off: see [`DataBlock::walk_row`].
    #[inline]
    pub(super) fn walk_row<B>(
        &mut self,
        visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Option<ControlFlow<B, Step>> {
        let mut place = self.place;
        let walked = self.cells.as_ref()?.walk_row(&mut place, visit);
        self.place = place;
        Some(walked)
    }

    /// Where the copies end: behind this cell.
    pub(super) fn end<'c>(&'c self, segment: &Segment) -> Position<Wanted<'c>> {
        Position::of_key(segment.order(), &self.last, self.last_seq_id)
    }

    /// Copies the cells behind the last that `read_point` sees, and stands on the first of them; false if that is large or
    /// there is none.
    pub(super) fn read_on(&mut self, segment: &Segment, read_point: i64) -> bool {
        let guard = epoch::pin();
        let mut found = [None; MOST];
        let (mut count, mut size, mut touched) = (0, 0, 0);
        segment.walk(Bound::Excluded(&self.end(segment)), &guard, |entry| {
            let position = entry.key();
            if position.seq_id() > read_point {
                return ControlFlow::Continue(());
            }
            let bytes = position.bytes();
            if count == self.next || size >= MOST_BYTES || bytes.len() > LARGE {
                return ControlFlow::Break(());
            }
            touched ^= touch(bytes);
            found[count] = Some(position);
            count += 1;
            size += bytes.len();
            ControlFlow::Continue(())
        });
        self.touched = touched;
        if count == 0 {
            return false;
        }
        let mut bytes = self.cells.take().map(DataBlock::into_buffer).unwrap_or_default();
        bytes.clear();
        bytes.reserve(MEMORY);
        let mut last = 0;
        for position in found.into_iter().flatten() {
            last = bytes.len();
            key_value::put(&mut bytes, &position.cell(), FORMAT);
        }
        let undone = Undone { cells: count, last };
        let len = bytes.len();
        let Ok(block) = DataBlock::new(bytes, 0..len, FORMAT, Trust::Decoded(Some(undone)), None) else {
            return false;
        };
        self.place = block.last();
        let cell = block.cell(&self.place);
        self.last.set_key(cell.key);
        self.last_seq_id = cell.seq_id;
        self.place = block.first();
        self.cells = Some(block);
        self.next = MOST.min(2 * self.next);
        true
    }
}
