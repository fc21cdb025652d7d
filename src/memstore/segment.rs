//! The recent cells of one family (read-path.md §3.1; HBase: `Segment`, `MutableSegment`, `ImmutableSegment`,
//! `CellSet`).

use super::arena::{Arena, MAX_CUT};
use super::data_len;
use super::entry::{CellList, ListEntry, PinnedEntry, SegmentEntry};
use super::filter::RowBloom;
use super::flat::{self, FlatBuilder, FlatCell, FlatCells};
use super::key::{Key, KeyParts, SeekTarget, StoredCell};
use super::reversed::ReversedSegmentScanner;
use super::scanner::SegmentScanner;
use crate::block::data::prefetch;
use crate::cell::{CellKey, CellOrder, CellRef, CellType};
use crate::sync::{Padded, unpoisoned};
use crossbeam_epoch::{self as epoch, Guard};
use std::borrow::Cow;
use std::iter;
use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The size of a list node without the cell's bytes: the position, on average one and a third links, and a
/// reference count.
const NODE: usize = size_of::<Key<StoredCell>>() + size_of::<usize>() * 7 / 3;

/// Sorted cells in memory.
///
/// A new segment accepts cells: many threads add them while others read. Only invisible cells are removed:
/// those of a failed write. A [flat](Self::flat) segment does not change.
///
/// A segment stores copies of cells, so a cell exists as long as the segment. Dropping versions and the cells
/// hidden by deletes is handled by readers: here a delete is a cell like any other.
#[derive(Debug)]
pub(crate) struct Segment {
    order: CellOrder,
    cells: Cells,
    /// The rows of the cells, and perhaps those of later ones: flat segments that replace each other share
    /// it.
    rows: Arc<RowBloom>,
    /// The bytes of all cells, as `KeyValue`s.
    data_size: Padded<AtomicU64>,
    timestamps: Bounds,
    has_tags: AtomicBool,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a segment is shared, not moved; a box would cost each read a load"
)]
enum Cells {
    Listed(ListedCells),
    Flat(FlatCells),
}

/// Cells to which others are added.
#[derive(Debug)]
struct ListedCells {
    list: CellList,
    arena: Padded<Arena>,
    /// Marked cells, roughly one per [`STRIDE`](super::arena::STRIDE) bytes of cells.
    marks: Mutex<Vec<Key<StoredCell>>>,
    /// Whether any cell is not in the arena's chunks.
    has_large: AtomicBool,
}

impl ListedCells {
    /// Returns the size of the large cell that a cell will replace. Cells with one sequence id are inserted
    /// by one thread.
    fn freed_by(&self, position: &Key<StoredCell>, guard: &Guard) -> u64 {
        let from = position as &Key<dyn KeyParts + '_>;
        let same = self.list.lower_bound(Bound::Included(from), guard).filter(|old| old.key() == position);
        let large = same.filter(|old| old.key().bytes().len() > MAX_CUT);
        large.map_or(0, |old| data_len(&old.key().cell()))
    }
}

impl Segment {
    /// Creates an empty segment.
    pub(crate) fn new(order: CellOrder) -> Self {
        let cells = ListedCells {
            list: CellList::new(epoch::default_collector().clone()),
            arena: Padded::default(),
            marks: Mutex::new(Vec::new()),
            has_large: AtomicBool::new(false),
        };
        Self::with_cells(order, Cells::Listed(cells), Arc::default())
    }

    fn with_cells(order: CellOrder, cells: Cells, rows: Arc<RowBloom>) -> Self {
        Self {
            order,
            cells,
            rows,
            data_size: Padded::default(),
            timestamps: Bounds::new(),
            has_tags: AtomicBool::new(false),
        }
    }

    /// Returns an immutable segment with the cells of several, from the oldest to the newest, to which no
    /// more cells are added. It takes less memory, and its cells are found faster (HBase:
    /// `MemStoreCompactor`). `None` if there are no segments.
    pub(crate) fn flat(segments: &[Arc<Self>]) -> Option<Self> {
        let (first, later) = segments.split_first()?;
        let mut cells = first.to_flat();
        for segment in later {
            let newer = segment.to_flat();
            // Done before the new segment is in use. The older segment that shares the filter then has more
            // false positives, which is harmless.
            newer.cells().for_each(|cell| first.rows.insert(cell.row()));
            cells = Cow::Owned(cells.merge(&newer));
        }
        let size = cells.data_size();
        let flat = Self::with_cells(first.order, Cells::Flat(cells.into_owned()), Arc::clone(&first.rows));
        flat.data_size.0.store(size, Ordering::Relaxed);
        for segment in segments {
            flat.timestamps.add_all(&segment.timestamps);
            flat.has_tags.fetch_or(segment.has_tags(), Ordering::Relaxed);
        }
        Some(flat)
    }

    fn to_flat(&self) -> Cow<'_, FlatCells> {
        match &self.cells {
            Cells::Flat(cells) => Cow::Borrowed(cells),
            Cells::Listed(cells) => {
                let bytes = usize::try_from(self.data_size()).unwrap_or(usize::MAX);
                let mut flat = FlatBuilder::new(self.order, cells.list.len(), bytes);
                self.entries().for_each(|entry| flat.push(entry.cell()));
                Cow::Owned(flat.finish())
            }
        }
    }

    /// Whether the cells are in arrays.
    #[cfg(test)]
    pub(crate) fn is_flat(&self) -> bool {
        matches!(self.cells, Cells::Flat(_))
    }

    /// Returns the cells, to which others can be added.
    ///
    /// # Panics
    ///
    /// If the segment is flat.
    fn listed(&self) -> &ListedCells {
        match &self.cells {
            Cells::Listed(cells) => cells,
            Cells::Flat(_) => panic!("a flat segment does not change"),
        }
    }

    /// Returns the sort order of the cells.
    pub(crate) fn order(&self) -> CellOrder {
        self.order
    }

    /// Adds a cell. It replaces a cell with the same key and sequence id: the last insert wins.
    ///
    /// # Panics
    ///
    /// If the cell's tags have more than 65,535 bytes, or its key 4 GiB or more, since this crate creates no
    /// such cells; or if the segment is flat.
    pub(crate) fn insert(&self, cell: CellRef<'_>) {
        let cells = self.listed();
        // updates the pruning metadata before publishing the cell
        self.rows.insert(cell.row());
        self.timestamps.add(cell.timestamp());
        if matches!(cell.cell_type(), CellType::DeleteColumn | CellType::DeleteFamily) {
            self.timestamps.add(0); // they cover all older timestamps
        }
        if !cell.tags.is_empty() && !self.has_tags.load(Ordering::Relaxed) {
            self.has_tags.store(true, Ordering::Relaxed);
        }

        let (bytes, is_marked) = cells.arena.0.copy([cell.key.as_bytes(), cell.value, cell.tags]);
        if bytes.len() > MAX_CUT {
            cells.has_large.store(true, Ordering::Relaxed);
        }
        let guard = epoch::pin();
        let position = Key::of_cell(self.order, cell, bytes);
        if is_marked {
            unpoisoned(cells.marks.lock()).push(position.before_key());
        }
        // the chunks keep the bytes of replaced cells, so they count as data; large cells are not in chunks
        let has_large = cells.has_large.load(Ordering::Relaxed);
        let freed = if has_large { cells.freed_by(&position, &guard) } else { 0 };
        cells.list.compare_insert(position, (), |(): &()| true, &guard).release(&guard);
        self.data_size.0.fetch_add(data_len(&cell).wrapping_sub(freed), Ordering::Relaxed);
    }

    /// Removes a cell that was inserted with this key and sequence id. The chunks keep its bytes, so it still
    /// counts as data unless it is large.
    ///
    /// # Panics
    ///
    /// If the segment is flat.
    pub(crate) fn remove(&self, cell: CellRef<'_>) {
        let (guard, position) = (epoch::pin(), Key::of_key(self.order, cell.key, cell.seq_id));
        if let Some(removed) = self.listed().list.remove(&position as &Key<dyn KeyParts + '_>, &guard) {
            if removed.key().bytes().len() > MAX_CUT {
                self.data_size.0.fetch_sub(data_len(&removed.key().cell()), Ordering::Relaxed);
            }
            removed.release(&guard);
        }
    }

    /// Whether the segment has no cells.
    pub(crate) fn is_empty(&self) -> bool {
        self.cell_count() == 0
    }

    /// Returns the number of cells, visible or not.
    pub(crate) fn cell_count(&self) -> usize {
        match &self.cells {
            Cells::Listed(cells) => cells.list.len(),
            Cells::Flat(cells) => cells.len(),
        }
    }

    /// Returns the bytes of the cells as `KeyValue`s. A large value triggers a flush.
    ///
    /// As in HBase, a replaced cell still counts, since its memory is not freed.
    pub(crate) fn data_size(&self) -> u64 {
        self.data_size.0.load(Ordering::Relaxed)
    }

    /// Returns the bytes of the cells and of the list nodes or index entries (HBase:
    /// `MemStoreSize.getHeapSize`), without the unused rest of the newest chunk.
    pub(crate) fn memory(&self) -> u64 {
        let overhead = match self.cells {
            Cells::Listed(_) => NODE,
            Cells::Flat(_) => flat::OVERHEAD,
        };
        self.data_size() + (overhead * self.cell_count()) as u64
    }

    /// Returns the least and greatest timestamp (read-path.md §1.5): `(i64::MAX, -1)` if there is no cell.
    /// `DeleteColumn` and `DeleteFamily` cells also count as timestamp 0.
    pub(crate) fn time_range(&self) -> (i64, i64) {
        self.timestamps.get()
    }

    /// Whether any cell has tags.
    pub(crate) fn has_tags(&self) -> bool {
        self.has_tags.load(Ordering::Relaxed)
    }

    /// Returns the first row, visible or not.
    pub(crate) fn first_row(&self) -> Option<bytes::Bytes> {
        self.first().map(|entry| entry.row())
    }

    /// Returns the last row, visible or not.
    pub(crate) fn last_row(&self) -> Option<bytes::Bytes> {
        self.last().map(|entry| entry.row())
    }

    /// Whether the segment may contain cells of a row. False positives are rare.
    #[inline]
    pub(crate) fn may_contain_row(&self, row: &[u8]) -> bool {
        self.rows.may_contain(row)
    }

    /// Returns a scanner of the cells whose sequence id is not above `read_point`. It has no position until
    /// the first seek.
    pub(crate) fn scanner(&self, read_point: i64) -> SegmentScanner<'_> {
        SegmentScanner::new(self, read_point)
    }

    /// Returns a reverse scanner of the cells whose sequence id is not above `read_point`. It has no position
    /// until the first seek.
    pub(crate) fn reversed_scanner(&self, read_point: i64) -> ReversedSegmentScanner<'_> {
        ReversedSegmentScanner::new(self, read_point)
    }

    /// Returns all cells, visible or not, in order. Each can be kept.
    pub(crate) fn entries(&self) -> impl Iterator<Item = SegmentEntry<'_>> {
        iter::successors(self.first(), |entry| {
            let mut next = entry.clone();
            next.move_next().then_some(next)
        })
    }

    pub(super) fn first(&self) -> Option<SegmentEntry<'_>> {
        match &self.cells {
            Cells::Listed(cells) => {
                let guard = epoch::pin();
                PinnedEntry::find(|| cells.list.front(&guard)).map(SegmentEntry::Listed)
            }
            Cells::Flat(cells) => cells.get(0).map(SegmentEntry::Flat),
        }
    }

    pub(super) fn last(&self) -> Option<SegmentEntry<'_>> {
        match &self.cells {
            Cells::Listed(cells) => {
                let guard = epoch::pin();
                PinnedEntry::find(|| cells.list.back(&guard)).map(SegmentEntry::Listed)
            }
            Cells::Flat(cells) => cells.get(cells.len().checked_sub(1)?).map(SegmentEntry::Flat),
        }
    }

    /// Returns the first cell at or after a position.
    pub(super) fn at_or_after(&self, position: &Key<SeekTarget<'_>>) -> Option<SegmentEntry<'_>> {
        self.lower_bound(Bound::Included(position))
    }

    /// Returns the first cell after a position.
    pub(super) fn after(&self, position: &Key<SeekTarget<'_>>) -> Option<SegmentEntry<'_>> {
        self.lower_bound(Bound::Excluded(position))
    }

    /// Returns the number of marks: roughly one per [`STRIDE`](super::arena::STRIDE) bytes of cells. A flat
    /// segment has none.
    pub(super) fn count_marks(&self) -> usize {
        match &self.cells {
            Cells::Listed(cells) => unpoisoned(cells.marks.lock()).len(),
            Cells::Flat(_) => 0,
        }
    }

    /// Returns the marks after a key, in descending order.
    pub(super) fn marks_after(&self, key: &CellKey) -> Vec<Key<StoredCell>> {
        let Cells::Listed(cells) = &self.cells else { return Vec::new() };
        let start = Key::of_key(self.order, key, 0);
        let start = &start as &Key<dyn KeyParts + '_>;
        let mut marks = unpoisoned(cells.marks.lock()).clone();
        marks.retain(|mark| mark as &Key<dyn KeyParts + '_> > start);
        marks.sort_unstable_by(|a, b| b.cmp(a));
        marks
    }

    /// Returns the first list entry after a position, valid while `guard` is held. `None` in a flat segment.
    pub(super) fn entry_after<'s, 'g>(
        &'s self,
        position: &Key<dyn KeyParts + '_>,
        guard: &'g Guard,
    ) -> Option<ListEntry<'s, 'g>>
    where
        's: 'g,
    {
        let Cells::Listed(cells) = &self.cells else { return None };
        cells.list.lower_bound(Bound::Excluded(position), guard)
    }

    fn lower_bound(&self, bound: Bound<&Key<dyn KeyParts + '_>>) -> Option<SegmentEntry<'_>> {
        match &self.cells {
            Cells::Listed(cells) => {
                let guard = epoch::pin();
                PinnedEntry::find(|| cells.list.lower_bound(bound, &guard)).map(SegmentEntry::Listed)
            }
            Cells::Flat(cells) => cells.lower_bound(bound).map(SegmentEntry::Flat),
        }
    }

    /// Returns the last cell before a position.
    pub(super) fn before(&self, position: &Key<SeekTarget<'_>>) -> Option<SegmentEntry<'_>> {
        let position = position as &Key<dyn KeyParts + '_>;
        match &self.cells {
            Cells::Listed(cells) => {
                let guard = epoch::pin();
                PinnedEntry::find(|| cells.list.upper_bound(Bound::Excluded(position), &guard))
                    .map(SegmentEntry::Listed)
            }
            Cells::Flat(cells) => cells.before(position).map(SegmentEntry::Flat),
        }
    }

    /// Passes the cells after a position on to `see`, until it breaks. They are valid while `guard` is held.
    /// A held guard delays the freeing of memory in all threads, so the walk must be brief.
    pub(super) fn walk<'g>(
        &'g self,
        after: &Key<SeekTarget<'_>>,
        guard: &'g Guard,
        mut see: impl FnMut(UnreadCell<'g>) -> ControlFlow<()>,
    ) {
        let after = Bound::Excluded(after as &Key<dyn KeyParts + '_>);
        match &self.cells {
            Cells::Listed(cells) => {
                let mut next = cells.list.lower_bound(after, guard);
                while let Some(entry) =
                    next.filter(|entry| see(UnreadCell::Listed(entry.key())).is_continue())
                {
                    next = entry.next();
                }
            }
            Cells::Flat(cells) => {
                let mut next = cells.lower_bound(after);
                while let Some(entry) = next.filter(|entry| see(UnreadCell::Flat(*entry)).is_continue()) {
                    next = entry.next();
                }
            }
        }
    }

    /// Pins the listed cells from a position on that are before `end` and appends them to `held`. Returns
    /// false if that would make `held` longer than `most`; the first ones are pinned then.
    pub(super) fn hold<'s>(
        &'s self,
        from: &Key<SeekTarget<'_>>,
        end: &Key<StoredCell>,
        most: usize,
        held: &mut Vec<SegmentEntry<'s>>,
    ) -> bool {
        let Cells::Listed(cells) = &self.cells else { return true };
        let guard = epoch::pin();
        let from = Bound::Included(from as &Key<dyn KeyParts + '_>);
        let mut next = cells.list.lower_bound(from, &guard);
        while let Some(entry) = next.filter(|entry| entry.key() < end) {
            if held.len() >= most {
                return false;
            }
            // an entry that cannot be pinned has just been replaced; it may be skipped
            held.extend(entry.pin().map(PinnedEntry::new).map(SegmentEntry::Listed));
            next = entry.next();
        }
        true
    }
}

/// A cell of a segment whose bytes have not been read, valid while an epoch guard is held.
#[derive(Clone, Copy)]
pub(super) enum UnreadCell<'g> {
    Listed(&'g Key<StoredCell>),
    Flat(FlatCell<'g>),
}

impl<'g> UnreadCell<'g> {
    /// Returns the sequence id. Does not read the bytes of the cell.
    #[inline]
    pub(super) fn seq_id(&self) -> i64 {
        match self {
            Self::Listed(key) => key.seq_id(),
            Self::Flat(cell) => cell.seq_id(),
        }
    }

    /// Returns the length of key, value and tags, as far as it is known without reading the cell.
    #[inline]
    pub(super) fn known_len(&self) -> usize {
        match self {
            Self::Listed(key) => key.bytes().len(),
            Self::Flat(_) => 0,
        }
    }

    /// Begins to load the cell. The result must be kept, or the loads are optimized away.
    #[inline]
    pub(super) fn prefetch(&self) -> u8 {
        match self {
            Self::Listed(key) => prefetch(key.bytes()),
            Self::Flat(cell) => cell.touch(),
        }
    }

    /// Returns the cell.
    #[inline]
    pub(super) fn cell(&self) -> CellRef<'g> {
        match self {
            Self::Listed(key) => key.cell(),
            Self::Flat(cell) => cell.cell(),
        }
    }
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

    fn add_all(&self, other: &Self) {
        let (min, max) = other.get();
        self.min.fetch_min(min, Ordering::Relaxed);
        self.max.fetch_max(max, Ordering::Relaxed);
    }

    fn get(&self) -> (i64, i64) {
        (self.min.load(Ordering::Relaxed), self.max.load(Ordering::Relaxed))
    }
}
