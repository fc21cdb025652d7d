//! Cells of a segment, read ahead.

use super::batch::{Batch, LARGE};
use super::lanes::{Ended, Lanes};
use super::position::{Position, Wanted};
use super::segment::Segment;
use crate::block::data::{CellPlace, DataBlock, Step, touch};
use crate::cell::{CellRef, SeekKey};
use crossbeam_epoch as epoch;
use std::collections::VecDeque;
use std::mem;
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
    /// What is to be read behind those.
    ready: VecDeque<DataBlock>,
    /// Memory to use again.
    spare: Vec<Vec<u8>>,
    /// Where to read on: behind the cell of this key and sequence id.
    last: SeekKey,
    last_seq_id: i64,
    /// How many cells to copy next.
    next: usize,
    /// How many have been copied one behind the other, since it began.
    copied: usize,
    /// Who walks very far has several be looked for at once.
    lanes: Option<Lanes>,
    /// What [`touch`] has made of their bytes.
    touched: u8,
}

/// So many cells are copied first, and twice as many each time, since most who read some cells read few.
const FIRST: usize = 16;
/// The most cells that are copied at once.
const MOST: usize = 128;
/// Their bytes, but for those of the last.
const MOST_BYTES: usize = 16 << 10;
/// Room for all that is copied at once, with what a block has beside the bytes of a cell.
const MEMORY: usize = MOST_BYTES + LARGE + 32 * MOST;
/// To sort the marks of a segment must be little work beside what is done: so many cells have been copied for each of them.
const FAR: usize = 4;
/// What has fewer marks is 2 MiB of cells or less: near enough to be waited for.
const MANY: usize = 256;

impl Copies {
    /// None yet; those to come are behind a cell.
    pub(super) fn behind(cell: CellRef<'_>) -> Self {
        let (last, last_seq_id) = (SeekKey::from(cell.key), cell.seq_id);
        Self {
            cells: None,
            place: CellPlace::default(),
            ready: VecDeque::new(),
            spare: Vec::new(),
            last,
            last_seq_id,
            next: FIRST,
            copied: 0,
            lanes: None,
            touched: 0,
        }
    }

    /// Begins anew behind a cell.
    pub(super) fn begin_behind(&mut self, cell: CellRef<'_>) {
        self.last.set_key(cell.key);
        (self.last_seq_id, self.next, self.copied) = (cell.seq_id, FIRST, 0);
        self.lanes = None;
        self.ready.clear();
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

    /// Lends the cell it stands on if its row ends there, and goes on: see [`DataBlock::walk_lone`].
    #[inline]
    pub(super) fn walk_lone<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        self.cells.as_ref()?.walk_lone(&mut self.place, visit)
    }

    /// Where the copies end: behind this cell.
    pub(super) fn end<'c>(&'c self, segment: &Segment) -> Position<Wanted<'c>> {
        Position::of_key(segment.order(), &self.last, self.last_seq_id)
    }

    /// Copies the cells behind the last that `read_point` sees, unless some are copied already, and stands on the first of them;
    /// false if that is large or there is none.
    pub(super) fn read_on(&mut self, segment: &Segment, read_point: i64) -> bool {
        self.spare.extend(self.cells.take().map(DataBlock::into_buffer));
        if self.enter() {
            return true;
        }
        if self.lanes.is_none() && self.next == MOST && self.is_far(segment) {
            self.lanes = Some(Lanes::behind(segment, &self.last));
        }
        while self.lanes.as_ref().is_some_and(|lanes| !lanes.is_empty()) {
            let all = self.read_lanes(segment, read_point);
            if self.enter() {
                return true;
            }
            if !all {
                break;
            }
        }
        self.read_some(segment, read_point);
        self.enter()
    }

    /// Whether the way has been long enough that to divide the rest of it costs little, and that pays.
    fn is_far(&self, segment: &Segment) -> bool {
        let marks = segment.count_marks();
        marks >= MANY && self.copied >= FAR * marks
    }

    /// Stands on the first of what has been copied before it was asked for; false if there is nothing.
    fn enter(&mut self) -> bool {
        let Some(block) = self.ready.pop_front() else { return false };
        self.place = block.first();
        self.cells = Some(block);
        true
    }

    /// Copies some cells, one behind the other.
    fn read_some(&mut self, segment: &Segment, read_point: i64) {
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
        let mut batch = Batch::new(self.spare.pop().unwrap_or_default());
        batch.reserve(MEMORY);
        found.into_iter().flatten().for_each(|cell| batch.push(cell));
        self.next = MOST.min(2 * self.next);
        self.copied += count;
        self.put(batch);
    }

    /// Copies cells in several places at once; false if one of the places could not be left behind.
    fn read_lanes(&mut self, segment: &Segment, read_point: i64) -> bool {
        let Some(mut lanes) = self.lanes.take() else { return false };
        let from = SeekKey::from(&*self.last);
        let from = Position::of_key(segment.order(), &from, self.last_seq_id);
        let mut spare = mem::take(&mut self.spare);
        let mut all = true;
        lanes.read(
            segment,
            read_point,
            &from,
            || spare.pop().unwrap_or_default(),
            |batch, ended| {
                self.put(batch);
                match ended {
                    Ended::AtMark(mark) => {
                        self.last.set_key(mark.cell().key);
                        self.last_seq_id = mark.seq_id();
                    }
                    Ended::Early => all = false,
                }
            },
        );
        self.spare.append(&mut spare);
        self.lanes = Some(lanes);
        all
    }

    /// Keeps copies to be read. What follows them is behind the last of them.
    fn put(&mut self, batch: Batch) {
        let Some(block) = batch.into_block() else { return };
        let place = block.last();
        let cell = block.cell(&place);
        self.last.set_key(cell.key);
        self.last_seq_id = cell.seq_id;
        self.ready.push_back(block);
    }
}
