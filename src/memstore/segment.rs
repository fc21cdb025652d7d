//! The recent cells of one family (read-path.md §3.1; HBase: `Segment`, `MutableSegment`, `ImmutableSegment`,
//! `CellSet`).

use super::arena::{Arena, MAX_CUT};
use super::entry::{CellList, ListEntry, SegmentEntry};
use super::filter::RowBloom;
use super::key::{Key, KeyParts, SeekTarget, StoredCell};
use super::reversed::ReversedSegmentScanner;
use super::scanner::SegmentScanner;
use crate::cell::{CellFormat, CellKey, CellOrder, CellRef, CellType, key_value};
use crate::sync::{Padded, unpoisoned};
use crossbeam_epoch::{self as epoch, Guard};
use std::iter;
use std::ops::{Bound, ControlFlow};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// The size of a list node without the cell's bytes: the position, on average one and a third links, and a
/// reference count.
const NODE: usize = size_of::<Key<StoredCell>>() + size_of::<usize>() * 7 / 3;

/// Sorted cells in memory. Many threads add cells while others read. Only cells that no read sees are
/// removed: those of a write that has failed.
///
/// A segment stores copies of cells, so a cell lives as long as the segment. Dropping versions and the cells
/// hidden by deletes is handled by readers: here a delete is a cell like any other.
#[derive(Debug)]
pub(crate) struct Segment {
    order: CellOrder,
    cells: CellList,
    arena: Padded<Arena>,
    /// Marked cells, roughly one per [`STRIDE`](super::arena::STRIDE) bytes of cells.
    marks: Mutex<Vec<Key<StoredCell>>>,
    rows: RowBloom,
    /// The bytes of all cells, as `KeyValue`s.
    data_size: Padded<AtomicU64>,
    timestamps: Bounds,
    has_tags: AtomicBool,
    /// Whether any cell is not in the arena's chunks.
    has_large: AtomicBool,
}

impl Segment {
    /// An empty segment.
    pub(crate) fn new(order: CellOrder) -> Self {
        Self {
            order,
            cells: CellList::new(epoch::default_collector().clone()),
            arena: Padded::default(),
            marks: Mutex::new(Vec::new()),
            rows: RowBloom::default(),
            data_size: Padded::default(),
            timestamps: Bounds::new(),
            has_tags: AtomicBool::new(false),
            has_large: AtomicBool::new(false),
        }
    }

    /// The sort order of the cells.
    pub(crate) fn order(&self) -> CellOrder {
        self.order
    }

    /// Adds a cell. It replaces a cell with the same key and sequence id: the last insert wins.
    ///
    /// # Panics
    ///
    /// If the cell's tags have more than 65,535 bytes, or its key 4 GiB or more; this crate creates no such
    /// cells.
    pub(crate) fn insert(&self, cell: CellRef<'_>) {
        // updates the pruning metadata before publishing the cell
        self.rows.insert(cell.row());
        self.timestamps.add(cell.timestamp());
        if matches!(cell.cell_type(), CellType::DeleteColumn | CellType::DeleteFamily) {
            self.timestamps.add(0); // they cover all older timestamps
        }
        if !cell.tags.is_empty() && !self.has_tags.load(Ordering::Relaxed) {
            self.has_tags.store(true, Ordering::Relaxed);
        }

        let (bytes, is_marked) = self.arena.0.copy([cell.key.as_bytes(), cell.value, cell.tags]);
        if bytes.len() > MAX_CUT {
            self.has_large.store(true, Ordering::Relaxed);
        }
        let guard = epoch::pin();
        let position = Key::of_cell(self.order, cell, bytes);
        if is_marked {
            unpoisoned(self.marks.lock()).push(position.before_key());
        }
        // the chunks keep the bytes of replaced cells, so they count as data; large cells are not in chunks
        let freed = if self.has_large.load(Ordering::Relaxed) { self.freed_by(&position, &guard) } else { 0 };
        self.cells.compare_insert(position, (), |(): &()| true, &guard).release(&guard);
        self.data_size.0.fetch_add(data_len(&cell).wrapping_sub(freed), Ordering::Relaxed);
    }

    /// The size of the large cell that a cell will replace. Cells with one sequence id are inserted by one
    /// thread.
    fn freed_by(&self, position: &Key<StoredCell>, guard: &Guard) -> u64 {
        let from = position as &Key<dyn KeyParts + '_>;
        let same = self.cells.lower_bound(Bound::Included(from), guard).filter(|old| old.key() == position);
        let large = same.filter(|old| old.key().bytes().len() > MAX_CUT);
        large.map_or(0, |old| data_len(&old.key().cell()))
    }

    /// Removes a cell that was inserted with this key and sequence id. The chunks keep its bytes, so it still
    /// counts as data unless it is large.
    pub(crate) fn remove(&self, cell: CellRef<'_>) {
        let (guard, position) = (epoch::pin(), Key::of_key(self.order, cell.key, cell.seq_id));
        if let Some(removed) = self.cells.remove(&position as &Key<dyn KeyParts + '_>, &guard) {
            if removed.key().bytes().len() > MAX_CUT {
                self.data_size.0.fetch_sub(data_len(&removed.key().cell()), Ordering::Relaxed);
            }
            removed.release(&guard);
        }
    }

    /// Whether the segment has no cells.
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The number of cells, visible or not.
    pub(crate) fn cell_count(&self) -> usize {
        self.cells.len()
    }

    /// The bytes of the cells as `KeyValue`s. A large value triggers a flush.
    ///
    /// As in HBase, a replaced cell still counts, since its memory is not freed.
    pub(crate) fn data_size(&self) -> u64 {
        self.data_size.0.load(Ordering::Relaxed)
    }

    /// The bytes of the cells and of the list nodes (HBase: `MemStoreSize.getHeapSize`), without the unused
    /// rest of the newest chunk.
    pub(crate) fn memory(&self) -> u64 {
        self.data_size() + (NODE * self.cell_count()) as u64
    }

    /// The approximate heap size of the segment in bytes.
    #[cfg(feature = "internals")]
    pub(crate) fn heap_size(&self) -> usize {
        let marks = size_of::<Key<StoredCell>>() * (self.arena.0.allocated() / super::arena::STRIDE);
        self.arena.0.allocated() + marks + self.rows.allocated() + NODE * self.cell_count()
    }

    /// The least and greatest timestamp (read-path.md §1.5): `(i64::MAX, -1)` if there is no cell.
    /// `DeleteColumn` and `DeleteFamily` cells also count as timestamp 0.
    pub(crate) fn time_range(&self) -> (i64, i64) {
        self.timestamps.get()
    }

    /// Whether any cell has tags.
    pub(crate) fn has_tags(&self) -> bool {
        self.has_tags.load(Ordering::Relaxed)
    }

    /// The first row, visible or not.
    pub(crate) fn first_row(&self) -> Option<bytes::Bytes> {
        self.first().map(|entry| entry.key().row())
    }

    /// The last row, visible or not.
    pub(crate) fn last_row(&self) -> Option<bytes::Bytes> {
        self.last().map(|entry| entry.key().row())
    }

    /// Whether the segment may contain cells of a row. False positives are rare.
    #[inline]
    pub(crate) fn may_contain_row(&self, row: &[u8]) -> bool {
        self.rows.may_contain(row)
    }

    /// A scanner of the cells whose sequence id is not above `read_point`. It has no position until the first
    /// seek.
    pub(crate) fn scanner(&self, read_point: i64) -> SegmentScanner<'_> {
        SegmentScanner::new(self, read_point)
    }

    /// A reverse scanner of the cells whose sequence id is not above `read_point`. It has no position until
    /// the first seek.
    pub(crate) fn reversed_scanner(&self, read_point: i64) -> ReversedSegmentScanner<'_> {
        ReversedSegmentScanner::new(self, read_point)
    }

    /// All cells, visible or not, in order. Each can be kept.
    pub(crate) fn entries(&self) -> impl Iterator<Item = SegmentEntry<'_>> {
        iter::successors(self.first(), |entry| {
            let mut next = entry.clone();
            next.move_next().then_some(next)
        })
    }

    pub(super) fn first(&self) -> Option<SegmentEntry<'_>> {
        let guard = epoch::pin();
        SegmentEntry::find(|| self.cells.front(&guard))
    }

    pub(super) fn last(&self) -> Option<SegmentEntry<'_>> {
        let guard = epoch::pin();
        SegmentEntry::find(|| self.cells.back(&guard))
    }

    /// The first cell at or after a position.
    pub(super) fn at_or_after(&self, position: &Key<SeekTarget<'_>>) -> Option<SegmentEntry<'_>> {
        self.lower_bound(Bound::Included(position))
    }

    /// The first cell after a position.
    pub(super) fn after(&self, position: &Key<SeekTarget<'_>>) -> Option<SegmentEntry<'_>> {
        self.lower_bound(Bound::Excluded(position))
    }

    /// The number of marks: roughly one per [`STRIDE`](super::arena::STRIDE) bytes of cells.
    pub(super) fn count_marks(&self) -> usize {
        unpoisoned(self.marks.lock()).len()
    }

    /// The marks after a key, in descending order.
    pub(super) fn marks_after(&self, key: &CellKey) -> Vec<Key<StoredCell>> {
        let start = Key::of_key(self.order, key, 0);
        let start = &start as &Key<dyn KeyParts + '_>;
        let mut marks = unpoisoned(self.marks.lock()).clone();
        marks.retain(|mark| mark as &Key<dyn KeyParts + '_> > start);
        marks.sort_unstable_by(|a, b| b.cmp(a));
        marks
    }

    /// The first cell after a position, valid while `guard` is held.
    pub(super) fn entry_after<'s, 'g>(
        &'s self,
        position: &Key<dyn KeyParts + '_>,
        guard: &'g Guard,
    ) -> Option<ListEntry<'s, 'g>>
    where
        's: 'g,
    {
        self.cells.lower_bound(Bound::Excluded(position), guard)
    }

    fn lower_bound(&self, bound: Bound<&Key<dyn KeyParts + '_>>) -> Option<SegmentEntry<'_>> {
        let guard = epoch::pin();
        SegmentEntry::find(|| self.cells.lower_bound(bound, &guard))
    }

    /// The last cell before a position.
    pub(super) fn before(&self, position: &Key<SeekTarget<'_>>) -> Option<SegmentEntry<'_>> {
        let (guard, position) = (epoch::pin(), position as &Key<dyn KeyParts + '_>);
        SegmentEntry::find(|| self.cells.upper_bound(Bound::Excluded(position), &guard))
    }

    /// Passes the entries from a position on to `see`, until it breaks. The entries are valid while `guard`
    /// is held. A held guard delays the freeing of memory in all threads, so the walk must be brief.
    pub(super) fn walk<'s, 'g>(
        &'s self,
        from: Bound<&Key<SeekTarget<'_>>>,
        guard: &'g Guard,
        mut see: impl FnMut(&ListEntry<'s, 'g>) -> ControlFlow<()>,
    ) where
        's: 'g,
    {
        let from = from.map(|position| position as &Key<dyn KeyParts + '_>);
        let mut next = self.cells.lower_bound(from, guard);
        while let Some(entry) = next.filter(|entry| see(entry).is_continue()) {
            next = entry.next();
        }
    }

    /// Pins the cells from a position on that are before `end` and appends them to `held`. Returns false if
    /// that would make `held` longer than `most`; the first ones are pinned then.
    pub(super) fn hold<'s>(
        &'s self,
        from: &Key<SeekTarget<'_>>,
        end: &Key<StoredCell>,
        most: usize,
        held: &mut Vec<SegmentEntry<'s>>,
    ) -> bool {
        let mut all = true;
        self.walk(Bound::Included(from), &epoch::pin(), |entry| {
            if entry.key() >= end {
                return ControlFlow::Break(());
            }
            all = held.len() < most;
            if !all {
                return ControlFlow::Break(());
            }
            // an entry that cannot be pinned has just been replaced; it may be skipped
            held.extend(entry.pin().map(SegmentEntry::new));
            ControlFlow::Continue(())
        });
        all
    }
}

/// The bytes of a cell as a `KeyValue`.
fn data_len(cell: &CellRef<'_>) -> u64 {
    let format = CellFormat { tags: !cell.tags.is_empty(), mvcc: false };
    key_value::len(cell, format) as u64
}

/// The minimum and maximum of the numbers added.
#[derive(Debug)]
struct Bounds {
    min: AtomicI64,
    max: AtomicI64,
}

impl Bounds {
    fn new() -> Self {
        Self { min: AtomicI64::new(i64::MAX), max: AtomicI64::new(-1) }
    }

    #[inline]
    fn add(&self, number: i64) {
        // most numbers change nothing, and a load is cheaper than a write
        if number < self.min.load(Ordering::Relaxed) {
            self.min.fetch_min(number, Ordering::Relaxed);
        }
        if number > self.max.load(Ordering::Relaxed) {
            self.max.fetch_max(number, Ordering::Relaxed);
        }
    }

    fn get(&self) -> (i64, i64) {
        (self.min.load(Ordering::Relaxed), self.max.load(Ordering::Relaxed))
    }
}
