//! Cells of a segment, read ahead.

use super::batch::{Batch, LARGE};
use super::key::{Key, SeekTarget};
use super::parallel_prefetch::{Ended, ParallelPrefetch};
use super::segment::Segment;
use crate::block::data::{CellPosition, DataBlock, RowStep};
use crate::cell::{CellRef, SeekKey};
use crossbeam_epoch as epoch;
use std::collections::VecDeque;
use std::mem;
use std::ops::ControlFlow;

/// Copies of consecutive cells of a segment, and a position among them.
///
/// The cells of a segment are scattered in memory, and each one is found only through the previous one.
/// Visiting them one at a time incurs more than one cache miss per cell. A loop that only follows the links
/// incurs one miss per cell, and touches the bytes of the cells to prefetch them. Then the cells are copied
/// into contiguous memory.
pub(super) struct Readahead {
    /// `None` before the first batch, and if there was nothing to copy.
    cells: Option<DataBlock>,
    position: CellPosition,
    /// Blocks to read after `cells`.
    ready: VecDeque<DataBlock>,
    /// Buffers to reuse.
    spare: Vec<Vec<u8>>,
    /// Reading continues after the cell with this key and sequence id.
    last: SeekKey,
    last_seq_id: i64,
    /// The number of cells to copy next.
    next: usize,
    /// The number of cells copied sequentially since the start.
    copied: usize,
    /// For very long scans: several parts of the segment are read at once.
    parts: Option<ParallelPrefetch>,
    /// The result of [`prefetch`].
    touched: u8,
}

/// The size of the first batch in cells. It doubles with each batch, since most scans are short.
const FIRST: usize = 16;
/// The maximum number of cells in a batch.
const MAX_CELLS: usize = 128;
/// The limit for the bytes of a batch, without its last cell.
const MAX_BYTES: usize = 16 << 10;
/// The buffer size for a batch, with the overhead of the block format.
const MEMORY: usize = MAX_BYTES + LARGE + 32 * MAX_CELLS;
/// The cost of sorting the marks must be small next to the work already done: this many cells have been
/// copied per mark.
const FAR: usize = 4;
/// The minimum number of marks for reads at several points. Fewer marks mean at most 2 MiB of cells, which
/// sequential reading handles well enough.
const MANY: usize = 256;

impl Readahead {
    /// Creates a read-ahead without copies; the first one will be the cell after `cell`.
    pub(super) fn after(cell: CellRef<'_>) -> Self {
        let (last, last_seq_id) = (SeekKey::from(cell.key), cell.seq_id);
        Self {
            cells: None,
            position: CellPosition::default(),
            ready: VecDeque::new(),
            spare: Vec::new(),
            last,
            last_seq_id,
            next: FIRST,
            copied: 0,
            parts: None,
            touched: 0,
        }
    }

    /// Restarts after `cell`.
    pub(super) fn begin_after(&mut self, cell: CellRef<'_>) {
        self.last.set_key(cell.key);
        (self.last_seq_id, self.next, self.copied) = (cell.seq_id, FIRST, 0);
        self.parts = None;
        self.ready.clear();
    }

    /// Returns the current cell.
    #[inline]
    pub(super) fn peek(&self) -> Option<CellRef<'_>> {
        Some(self.cells.as_ref()?.cell(&self.position))
    }

    /// Returns the row of the current cell.
    #[inline]
    pub(super) fn peek_row(&self) -> Option<&[u8]> {
        Some(self.cells.as_ref()?.row(&self.position))
    }

    /// Moves to the next copy. Returns false if there is none.
    #[inline]
    pub(super) fn advance(&mut self) -> bool {
        self.cells.as_ref().is_some_and(|cells| cells.advance(&mut self.position))
    }

    /// Visits the cells of the row from the current one, until `visit` breaks: see [`DataBlock::walk_row`].
    #[inline]
    pub(super) fn walk_row<B>(
        &mut self,
        visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Option<ControlFlow<B, RowStep>> {
        let mut position = self.position;
        let walked = self.cells.as_ref()?.walk_row(&mut position, visit);
        self.position = position;
        Some(walked)
    }

    /// If the current cell is the last of its row, passes it to `visit` and advances: see
    /// [`DataBlock::visit_single_cell`].
    #[inline]
    pub(super) fn visit_single_cell<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        self.cells.as_ref()?.visit_single_cell(&mut self.position, visit)
    }

    /// Returns the position where the copies end: after the last copied cell.
    pub(super) fn end<'c>(&'c self, segment: &Segment) -> Key<SeekTarget<'c>> {
        Key::of_key(segment.order(), &self.last, self.last_seq_id)
    }

    /// Copies the next cells visible at `read_point`, unless some are already copied, and moves to the first
    /// of them. Returns false if that cell is too large to copy, or if there is none.
    pub(super) fn read_on(&mut self, segment: &Segment, read_point: i64) -> bool {
        self.spare.extend(self.cells.take().map(DataBlock::into_buffer));
        if self.enter() {
            return true;
        }
        if self.parts.is_none() && self.next == MAX_CELLS && self.is_far(segment) {
            self.parts = Some(ParallelPrefetch::after(segment, &self.last));
        }
        while self.parts.as_ref().is_some_and(|parts| !parts.is_empty()) {
            let all = self.read_parts(segment, read_point);
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

    /// Whether enough cells have been copied that dividing the rest is relatively cheap, and whether the
    /// segment is large enough.
    fn is_far(&self, segment: &Segment) -> bool {
        let marks = segment.count_marks();
        marks >= MANY && self.copied >= FAR * marks
    }

    /// Moves to the first cell of the next ready block. Returns false if there is none.
    fn enter(&mut self) -> bool {
        let Some(block) = self.ready.pop_front() else { return false };
        self.position = block.first();
        self.cells = Some(block);
        true
    }

    /// Copies some cells sequentially.
    fn read_some(&mut self, segment: &Segment, read_point: i64) {
        let guard = epoch::pin();
        let mut found = [None; MAX_CELLS];
        let (mut count, mut size, mut touched) = (0, 0, 0);
        segment.walk(&self.end(segment), &guard, |cell| {
            if cell.seq_id() > read_point {
                return ControlFlow::Continue(());
            }
            if count == self.next || size >= MAX_BYTES || cell.known_len() > LARGE {
                return ControlFlow::Break(());
            }
            touched ^= cell.prefetch();
            found[count] = Some(cell);
            count += 1;
            size += cell.known_len();
            ControlFlow::Continue(())
        });
        self.touched = touched;
        let mut batch = Batch::new(self.spare.pop().unwrap_or_default());
        batch.reserve(MEMORY);
        for cell in found.into_iter().flatten().map(|cell| cell.cell()) {
            let len = cell.key.as_bytes().len() + cell.value.len() + cell.tags.len();
            if batch.len() >= MAX_BYTES || len > LARGE {
                break;
            }
            batch.push(&cell);
        }
        self.next = MAX_CELLS.min(2 * self.next);
        self.copied += count;
        self.put(batch);
    }

    /// Copies cells of several parts at once. Returns false if one ended early.
    fn read_parts(&mut self, segment: &Segment, read_point: i64) -> bool {
        let Some(mut parts) = self.parts.take() else { return false };
        let from = SeekKey::from(&*self.last);
        let from = Key::of_key(segment.order(), &from, self.last_seq_id);
        let mut spare = mem::take(&mut self.spare);
        let mut all = true;
        parts.read(
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
        self.parts = Some(parts);
        all
    }

    /// Queues copies for reading. The next cells to copy are those after the last of them.
    fn put(&mut self, batch: Batch) {
        let Some(block) = batch.into_block() else { return };
        let position = block.last();
        let cell = block.cell(&position);
        self.last.set_key(cell.key);
        self.last_seq_id = cell.seq_id;
        self.ready.push_back(block);
    }
}
