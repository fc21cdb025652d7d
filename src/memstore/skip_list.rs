//! The sorted cells of a segment (HBase: `CellSet`, a `ConcurrentSkipListMap`).

use super::key::{Key, KeyParts, StoredCell};
use super::slots::Slots;
use std::cmp::Ordering as Order;
use std::ops::Bound;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A skip list of cells. Threads add cells while others read, and no thread takes a lock. Cells are never
/// removed, so an entry is valid as long as the list.
///
/// A node is a tower of words: the number of its cell, and a link for each level. A link is the number of the
/// next tower, and the first four bytes of its row: most comparisons of a search read only these, and not the
/// next node. Cells are in slots, in the order in which they were added.
#[derive(Debug)]
pub(super) struct SkipList {
    towers: Slots<AtomicU64>,
    cells: Slots<Slot>,
    /// The height of the highest tower.
    height: AtomicU32,
}

/// A cell, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot(OnceLock<Key<StoredCell>>);

/// The maximum number of links of a tower. Every level has a quarter of the nodes of the one below.
const MAX_HEIGHT: u32 = 14;
/// The tower before the first node, of the maximum height.
const HEAD: u32 = 0;
/// The first word of the first node.
const FIRST_TOWER: u32 = MAX_HEIGHT + 1;

/// A link: the next tower in the lower half, and the prefix of its row in the upper half. Zero at the end.
type Link = u64;

/// The numbers of new cells and towers, and the heights of towers. Each number is given out once.
#[derive(Debug)]
pub(super) struct Numbers {
    cell: u32,
    tower: u32,
    random: u64,
}

/// Where a new cell goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewNode {
    cell: u32,
    tower: u32,
    height: u32,
}

/// A cell of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'s> {
    list: &'s SkipList,
    tower: u32,
    /// The cell when the entry was found: a later insert may have replaced it.
    key: &'s Key<StoredCell>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { cell: 0, tower: FIRST_TOWER, random: 0x9E37_79B9_7F4A_7C15 }
    }
}

impl Numbers {
    /// Returns where the next cell goes.
    ///
    /// # Panics
    ///
    /// If the list has billions of cells.
    pub(super) fn next(&mut self) -> NewNode {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let height = (self.random.trailing_zeros() / 2 + 1).min(MAX_HEIGHT);
        let node = NewNode { cell: self.cell, tower: self.tower, height };
        let next = self.tower.checked_add(height + 1);
        (self.cell, self.tower) = (self.cell + 1, next.expect("a segment has fewer than 2^30 cells"));
        node
    }
}

impl SkipList {
    /// The bytes of a node, without those of its cell: a slot, the number of the cell, and on average one and
    /// a third links.
    pub(super) const NODE: usize = size_of::<Slot>() + size_of::<u64>() * 7 / 3;

    pub(super) fn new() -> Self {
        let list = Self { towers: Slots::default(), cells: Slots::default(), height: AtomicU32::new(1) };
        // all words of the head are in the first chunk
        list.towers.get_or_make(HEAD);
        list
    }

    /// The bytes of all nodes, without those of the cells.
    #[cfg(feature = "internals")]
    pub(super) fn allocated(&self) -> usize {
        self.towers.allocated() + self.cells.allocated()
    }

    /// Adds a cell. Returns whether it replaces one with the same key and sequence id.
    pub(super) fn insert(&self, key: Key<StoredCell>, node: NewNode) -> bool {
        let NewNode { cell, tower, height } = node;
        let slot = &self.cells.get_or_make(cell).0;
        let key = slot.get_or_init(|| key);
        let key = key as &Key<dyn KeyParts + '_>;
        let mut top = self.height.load(Ordering::Relaxed);
        if height > top {
            top = self.height.fetch_max(height, Ordering::Relaxed).max(height);
        }
        self.towers.get_or_make(tower).store(cell.into(), Ordering::Relaxed);
        let new = link_to(tower, key.prefix());

        let (mut before, mut places) = (HEAD, [(HEAD, 0); MAX_HEIGHT as usize]);
        for level in (0..top).rev() {
            let link;
            (before, link) = self.search(before, level, key);
            places[level as usize] = (before, link);
        }
        for (level, (mut before, mut next)) in (0..height).zip(places) {
            let own = self.towers.get_or_make(tower + 1 + level);
            loop {
                if level == 0 && self.compare(next, key).is_eq() {
                    self.replace(next, cell);
                    return true;
                }
                // Release: a thread that finds the link sees the tower and the cell
                own.store(next, Ordering::Release);
                let link = self.word(before, 1 + level);
                if link.compare_exchange(next, new, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                    break;
                }
                (before, next) = self.search(before, level, key);
            }
        }
        false
    }

    /// Makes a node refer to a newer cell with the same key.
    fn replace(&self, node: Link, cell: u32) {
        self.word(tower_of(node), 0).fetch_max(cell.into(), Ordering::AcqRel);
    }

    /// Returns the last tower at or after `before` whose key is less than `key`, and its link.
    #[inline]
    fn search(&self, mut before: u32, level: u32, key: &Key<dyn KeyParts + '_>) -> (u32, Link) {
        loop {
            let next = self.word(before, 1 + level).load(Ordering::Acquire);
            if self.compare(next, key).is_ge() {
                return (before, next);
            }
            before = tower_of(next);
        }
    }

    /// Compares the node that a link leads to with a key. The end is after all keys.
    #[inline]
    fn compare(&self, link: Link, key: &Key<dyn KeyParts + '_>) -> Order {
        if link == 0 {
            return Order::Greater;
        }
        let prefix = (link >> 32).cmp(&(key.prefix() >> 32));
        prefix.then_with(|| (self.key(tower_of(link)) as &Key<dyn KeyParts + '_>).cmp(key))
    }

    /// A word of a tower that is linked.
    #[inline]
    fn word(&self, tower: u32, word: u32) -> &AtomicU64 {
        self.towers.get(tower + word).expect("a tower is made before it is linked")
    }

    /// The cell of a tower that is linked.
    #[inline]
    fn key(&self, tower: u32) -> &Key<StoredCell> {
        let cell = self.word(tower, 0).load(Ordering::Acquire);
        let slot = self.cells.get(tower_of(cell)).and_then(|slot| slot.0.get());
        slot.expect("a cell is stored before its tower is linked")
    }

    #[inline]
    fn entry(&self, link: Link) -> Option<Entry<'_>> {
        let tower = tower_of(link);
        (link != 0).then(|| Entry { list: self, tower, key: self.key(tower) })
    }

    /// The first cell.
    pub(super) fn front(&self) -> Option<Entry<'_>> {
        self.entry(self.word(HEAD, 1).load(Ordering::Acquire))
    }

    /// The last cell.
    pub(super) fn back(&self) -> Option<Entry<'_>> {
        let mut last = 0;
        for level in (0..self.height.load(Ordering::Relaxed)).rev() {
            loop {
                let next = self.word(tower_of(last), 1 + level).load(Ordering::Acquire);
                if next == 0 {
                    break;
                }
                last = next;
            }
        }
        self.entry(last)
    }

    /// The first cell at or after a position, or only after it.
    pub(super) fn lower_bound(&self, bound: Bound<&Key<dyn KeyParts + '_>>) -> Option<Entry<'_>> {
        let (position, is_after) = match bound {
            Bound::Unbounded => return self.front(),
            Bound::Included(position) => (position, false),
            Bound::Excluded(position) => (position, true),
        };
        let (_, next) = self.last_before(position);
        let found = self.entry(next)?;
        let is_same = is_after && (found.key as &Key<dyn KeyParts + '_>).cmp(position).is_eq();
        if is_same { found.next() } else { Some(found) }
    }

    /// The last cell before a position.
    pub(super) fn before(&self, position: &Key<dyn KeyParts + '_>) -> Option<Entry<'_>> {
        let (tower, _) = self.last_before(position);
        (tower != HEAD).then(|| Entry { list: self, tower, key: self.key(tower) })
    }

    /// Returns the last tower before a position, and its lowest link.
    #[inline]
    fn last_before(&self, position: &Key<dyn KeyParts + '_>) -> (u32, Link) {
        let (mut before, mut link) = (HEAD, 0);
        for level in (0..self.height.load(Ordering::Relaxed)).rev() {
            (before, link) = self.search(before, level, position);
        }
        (before, link)
    }
}

#[inline]
fn link_to(tower: u32, prefix: u64) -> Link {
    prefix >> 32 << 32 | Link::from(tower)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is the number")]
fn tower_of(link: Link) -> u32 {
    link as u32
}

impl<'s> Entry<'s> {
    /// The cell and its position.
    #[inline]
    pub(super) fn key(&self) -> &'s Key<StoredCell> {
        self.key
    }

    /// The next cell.
    #[inline]
    pub(super) fn next(&self) -> Option<Self> {
        self.list.entry(self.list.word(self.tower, 1).load(Ordering::Acquire))
    }

    /// The previous cell.
    pub(super) fn prev(&self) -> Option<Self> {
        self.list.before(self.key)
    }

    /// Moves to the next cell. Returns false if there is none.
    #[inline]
    pub(super) fn move_next(&mut self) -> bool {
        match self.next() {
            Some(next) => {
                *self = next;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CellOrder, CellRef, CellType, SeekKey};
    use bytes::Bytes;
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::thread;

    /// A list, and the numbers for its nodes.
    struct List(SkipList, Mutex<Numbers>);

    impl List {
        fn new() -> Self {
            Self(SkipList::new(), Mutex::new(Numbers::default()))
        }

        fn insert(&self, row: &[u8], seq_id: i64, value: &[u8]) -> bool {
            let key = SeekKey::of(row, b"f", b"q", 5, CellType::Put);
            let cell = CellRef::new(&key, value).with_seq_id(seq_id);
            let bytes = Bytes::from([key.as_bytes(), value].concat());
            let node = self.1.lock().unwrap().next();
            self.0.insert(Key::of_cell(CellOrder::User, cell, bytes), node)
        }

        fn forward(&self) -> Vec<(Vec<u8>, i64, Vec<u8>)> {
            std::iter::successors(self.0.front(), Entry::next).map(owned).collect()
        }

        fn backward(&self) -> Vec<(Vec<u8>, i64, Vec<u8>)> {
            std::iter::successors(self.0.back(), Entry::prev).map(owned).collect()
        }
    }

    fn owned(entry: Entry<'_>) -> (Vec<u8>, i64, Vec<u8>) {
        let cell = entry.key().cell();
        (cell.row().to_vec(), cell.seq_id, cell.value().to_vec())
    }

    /// Rows that differ in the first four bytes, in the next four, and only after eight.
    fn row(i: u64) -> Vec<u8> {
        let i = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50;
        match i % 3 {
            0 => format!("{i:08}").into_bytes(),
            1 => format!("same{i:06}").into_bytes(),
            _ => format!("samesamesame{i}").into_bytes(),
        }
    }

    #[test]
    fn cells_of_many_threads_are_sorted_and_none_is_lost() {
        const THREADS: u64 = 4;
        let (list, mut expected) = (List::new(), BTreeMap::new());
        assert!(list.0.front().is_none() && list.0.back().is_none());
        let value = |thread: u64, i: u64| format!("{thread} {i}").into_bytes();
        // newer cells of a row come first; each sequence id is that of one thread
        for thread in 0..THREADS {
            for i in 0..6_000 {
                expected.insert((row(i), -((i % 5 * THREADS + thread) as i64)), value(thread, i));
            }
        }
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let list = &list;
                scope.spawn(move || {
                    for i in 0..6_000 {
                        list.insert(&row(i), (i % 5 * THREADS + thread) as i64, &value(thread, i));
                        let found = list.forward_from(&row(i));
                        assert_eq!(found.as_deref(), Some(&row(i)[..]));
                    }
                });
            }
        });
        let expected: Vec<_> =
            expected.into_iter().map(|((row, seq_id), value)| (row, -seq_id, value)).collect();
        assert_eq!(list.forward(), expected);
        assert!(list.backward().into_iter().rev().eq(expected));
    }

    impl List {
        /// The row of the first cell at or after a row.
        fn forward_from(&self, row: &[u8]) -> Option<Vec<u8>> {
            let position = Key::of_row(CellOrder::User, row);
            let found = self.0.lower_bound(Bound::Included(&position));
            found.map(|entry| entry.key().cell().row().to_vec())
        }
    }

    #[test]
    fn threads_that_add_the_same_cells_leave_one_of_each() {
        let list = List::new();
        let replaced: usize = thread::scope(|scope| {
            let add = |thread: u8| {
                let list = &list;
                move || (0..3_000).filter(|&i| list.insert(&row(i % 700), 7, &[thread])).count()
            };
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(add(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let mut rows: Vec<_> = (0..700).map(row).collect();
        rows.sort_unstable();
        rows.dedup();
        assert!(list.forward().into_iter().map(|(row, ..)| row).eq(rows.iter().cloned()));
        assert_eq!(replaced, 4 * 3_000 - rows.len());
    }
}
