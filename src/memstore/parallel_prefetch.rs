//! Reads cells of a segment at several points at once.

use super::arena::STRIDE;
use super::batch::{Batch, LARGE};
use super::entry::ListEntry;
use super::key::{Key, KeyParts, StoredCell};
use super::segment::Segment;
use crate::block::data::prefetch;
use crate::cell::CellKey;
use crossbeam_epoch as epoch;

/// The rest of a segment, divided so that its cells can be read at several points at once.
///
/// In a linked list each cell is found through the previous one, so a sequential scan incurs a cache miss for
/// each cell. Memory serves several independent misses in the time of one. So up to 16 parts are copied at
/// once, one cell of each in turn: each from a starting point to the next one.
pub(super) struct ParallelPrefetch {
    /// The starting points, in descending order: the next one is the last element.
    marks: Vec<Key<StoredCell>>,
    /// The result of [`prefetch`].
    touched: u8,
}

/// The number of parts read at once.
const PARTS: usize = 16;
/// The number of marks from one starting point to the next. Several marks even out the lengths of the parts.
const MARKS: usize = 4;
/// The maximum number of bytes copied in a part.
const MAX_BYTES: usize = 128 << 10;
/// The usual size of a part's copies, with the overhead of the block format.
const MEMORY: usize = 2 * MARKS * STRIDE;

/// The end of a part.
pub(super) enum Ended<'l> {
    /// Before this mark.
    AtMark(&'l Key<StoredCell>),
    /// After the last copied cell, or at the start if nothing was copied.
    Early,
}

/// One of the parts that are read at once.
struct Part<'s, 'g> {
    batch: Batch,
    /// The cell to copy next.
    found: Option<&'g Key<StoredCell>>,
    /// The current entry; `None` at the end.
    next: Option<ListEntry<'s, 'g>>,
    end: Key<StoredCell>,
    /// Whether the part has been read up to its end.
    is_whole: bool,
    touched: u8,
}

impl ParallelPrefetch {
    /// Divides the part of the segment after `key`.
    pub(super) fn after(segment: &Segment, key: &CellKey) -> Self {
        let mut marks = segment.marks_after(key);
        let mut number = 0;
        marks.retain(|_| {
            number += 1;
            number % MARKS == 0
        });
        Self { marks, touched: 0 }
    }

    /// Whether there are no starting points left.
    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Copies the cells after `from` that are visible at `read_point`, in buffers from `buffer`. Passes the
    /// copies to `put`, part by part, with the end of each; one that ended early is the last.
    pub(super) fn read(
        &mut self,
        segment: &Segment,
        read_point: i64,
        from: &Key<dyn KeyParts + '_>,
        mut buffer: impl FnMut() -> Vec<u8>,
        mut put: impl FnMut(Batch, Ended<'_>),
    ) {
        let guard = epoch::pin();
        let mut parts: Vec<Part<'_, '_>> = Vec::with_capacity(PARTS);
        for end in self.marks.drain(self.marks.len().saturating_sub(PARTS)..).rev() {
            let next = match parts.last() {
                Some(Part { end: start, .. }) => segment.entry_after(start, &guard),
                None => segment.entry_after(from, &guard),
            };
            let mut batch = Batch::new(buffer());
            batch.reserve(MEMORY);
            parts.push(Part { batch, found: None, next, end, is_whole: true, touched: 0 });
        }
        // a small step of each part in turn: the processor can have many loads in flight before it waits for
        // one
        while parts.iter().any(|part| part.next.is_some()) {
            parts.iter_mut().for_each(|part| part.refresh(read_point));
            parts.iter_mut().for_each(Part::advance);
            parts.iter_mut().for_each(Part::copy);
        }
        let mut parts = parts.into_iter();
        while let Some(part) = parts.next() {
            self.touched ^= part.touched;
            if part.is_whole {
                put(part.batch, Ended::AtMark(&part.end));
            } else {
                put(part.batch, Ended::Early);
                self.marks.extend(parts.by_ref().map(|part| part.end).rev());
                self.marks.push(part.end);
            }
        }
    }
}

impl Part<'_, '_> {
    /// Touches the current cell if it must be copied, or ends the part.
    #[inline]
    fn refresh(&mut self, read_point: i64) {
        let Some(entry) = &self.next else { return };
        let cell = entry.key();
        if cell >= &self.end {
            self.next = None;
        } else if cell.seq_id() <= read_point {
            let bytes = cell.bytes();
            if bytes.len() > LARGE || self.batch.len() > MAX_BYTES {
                (self.next, self.is_whole) = (None, false);
                return;
            }
            self.touched ^= prefetch(bytes);
            self.found = Some(cell);
        }
    }

    /// Moves to the next entry.
    #[inline]
    fn advance(&mut self) {
        if let Some(entry) = &self.next {
            self.next = entry.next();
        }
    }

    /// Copies the cell that `refresh` found.
    #[inline]
    fn copy(&mut self) {
        if let Some(found) = self.found.take() {
            self.batch.push(&found.cell());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Cell, CellOrder, CellRef, CellType, SeekKey};

    /// A segment with rows from `row`. Every seventh cell is invisible at read point 6. Cells selected by
    /// `large` are large.
    fn segment(cells: u64, large: impl Fn(u64) -> bool, row: impl Fn(u64) -> String) -> Segment {
        let segment = Segment::new(CellOrder::User);
        for i in 0..cells {
            let key = SeekKey::of(row(i).as_bytes(), b"f", b"q", 5, CellType::Put);
            let value = vec![b'v'; if large(i) { LARGE } else { i as usize % 50 }];
            segment.insert(CellRef::new(&key, &value).with_seq_id((i % 7 + 1) as i64));
        }
        segment
    }

    fn plain(segment: &Segment) -> Vec<Cell> {
        let mut scanner = segment.scanner(6);
        scanner.seek_to_first();
        let mut cells = Vec::new();
        while let Some(cell) = scanner.peek() {
            cells.push(cell.into());
            scanner.advance();
        }
        cells
    }

    /// The cells read by parts from the first cell on, and the number of parts that ended early.
    fn in_parts(segment: &Segment) -> (Vec<Cell>, usize) {
        let mut last = SeekKey::of(b"", b"", b"", i64::MAX, CellType::Maximum);
        let mut parts = ParallelPrefetch::after(segment, &last);
        let (mut seq_id, mut cells, mut early) = (i64::MAX, Vec::new(), 0);
        while !parts.is_empty() {
            let (before, from) = (cells.len(), SeekKey::from(&*last));
            let from = Key::of_key(segment.order(), &from, seq_id);
            let mut stuck = false;
            parts.read(segment, 6, &from, Vec::new, |batch, ended| {
                if let Some(block) = batch.into_block() {
                    let mut position = block.first();
                    loop {
                        cells.push(Cell::from(block.cell(&position)));
                        if !block.advance(&mut position) {
                            break;
                        }
                    }
                    (last, seq_id) = position_of(block.cell(&block.last()));
                }
                match ended {
                    Ended::AtMark(mark) => (last, seq_id) = position_of(mark.cell()),
                    Ended::Early => {
                        early += 1;
                        stuck = cells.len() == before;
                    }
                }
            });
            if stuck {
                break;
            }
        }
        (cells, early)
    }

    fn position_of(cell: CellRef<'_>) -> (SeekKey, i64) {
        (SeekKey::from(cell.key), cell.seq_id)
    }

    fn mixed(i: u64) -> String {
        format!("{:08x}", i.wrapping_mul(0x9E37_79B9) as u32)
    }

    #[test]
    fn parts_have_all_cells_but_the_last_few() {
        let sorted = |i: u64| format!("{i:08}");
        let in_heaps = |i: u64| if i < 9_000 { mixed(i % 90 * 100 + i / 90) } else { format!("zz{i:08}") };
        let rows: [&dyn Fn(u64) -> String; 3] = [&mixed, &sorted, &in_heaps];
        for row in rows {
            let segment = segment(20_000, |_| false, row);
            let (expected, (found, _)) = (plain(&segment), in_parts(&segment));
            assert!(expected.starts_with(&found));
            assert!(found.len() > expected.len() * 9 / 10, "{} of {}", found.len(), expected.len());
        }
    }

    #[test]
    fn versions_of_one_row_are_split_as_rows_are() {
        let segment = Segment::new(CellOrder::User);
        for i in 0..60_000i64 {
            let key = SeekKey::of(b"row", b"f", b"q", i % 3, CellType::Put);
            segment.insert(CellRef::new(&key, &[b'v'; 40]).with_seq_id(i));
        }
        let mut ahead = segment.scanner(40_000).reading_ahead();
        let mut plain = segment.scanner(40_000);
        ahead.seek_to_first();
        plain.seek_to_first();
        while let Some(cell) = plain.peek() {
            assert_eq!(ahead.peek(), Some(cell));
            plain.advance();
            ahead.advance();
        }
        assert_eq!(ahead.peek(), None);
    }

    #[test]
    fn a_part_ends_before_a_large_cell() {
        let segment = segment(20_000, |i| i == 11_112, mixed);
        let (expected, (found, early)) = (plain(&segment), in_parts(&segment));
        assert_eq!(early, 2, "when it came to the cell, and when it could not go on");
        assert!(expected.starts_with(&found));
        assert_eq!(expected[found.len()].as_ref().value().len(), LARGE);
    }

    #[test]
    fn a_long_part_goes_on_where_it_ended() {
        // nearly all cells are in one part, between two marks
        let segment = Segment::new(CellOrder::User);
        let insert = |row: &str, len: usize| {
            let key = SeekKey::of(row.as_bytes(), b"f", b"q", 5, CellType::Put);
            segment.insert(CellRef::new(&key, &vec![b'v'; len]).with_seq_id(1));
        };
        (0..40_000u64).for_each(|i| insert(&mixed(i), 60));
        let mut parts =
            ParallelPrefetch::after(&segment, &SeekKey::of(b"", b"", b"", i64::MAX, CellType::Maximum));
        // keep only the last starting point: all cells before it are one part
        parts.marks.truncate(1);
        let (mut last, mut cells, mut rounds) =
            (SeekKey::of(b"", b"", b"", i64::MAX, CellType::Maximum), 0, 0);
        while !parts.is_empty() {
            let (from, mut next) = (SeekKey::from(&*last), None);
            let from = Key::of_key(segment.order(), &from, i64::MIN);
            parts.read(&segment, 6, &from, Vec::new, |batch, _| {
                let block = batch.into_block().unwrap();
                next = Some(position_of(block.cell(&block.last())).0);
                let mut position = block.first();
                cells += 1;
                while block.advance(&mut position) {
                    cells += 1;
                }
            });
            last = next.unwrap();
            rounds += 1;
        }
        let end =
            plain(&segment).iter().position(|cell| CellOrder::User.compare(cell.as_ref().key, &last).is_eq());
        assert_eq!(end, Some(cells - 1));
        assert!(rounds > 20, "{rounds}");
    }
}
