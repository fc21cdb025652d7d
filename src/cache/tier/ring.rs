//! The locations of blocks in the file of the second tier, which is overwritten in a ring.

use crate::cache::{BlockKey, FileId};
use std::collections::{HashMap, VecDeque};

/// The extents of blocks in a file of a fixed length. The oldest blocks are overwritten by new ones.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: u64,
    /// The offset of the next block.
    head: u64,
    /// The blocks, in the order in which they will be overwritten, including those of closed files.
    order: VecDeque<(BlockKey, Extent)>,
    /// The blocks of open files by offset. A file is forgotten as a whole.
    files: HashMap<FileId, HashMap<u64, Extent>>,
}

/// A range of bytes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) at: u64,
    pub(super) len: u64,
    /// Whether the bytes are unchanged from the store file.
    pub(super) as_stored: bool,
}

impl Ring {
    pub(super) fn new(capacity: u64) -> Self {
        Self { capacity, head: 0, order: VecDeque::new(), files: HashMap::new() }
    }

    pub(super) fn find(&self, key: &BlockKey) -> Option<Extent> {
        self.files.get(&key.file)?.get(&key.offset).copied()
    }

    /// Returns the next extent of `len` bytes, and forgets the blocks there. `None` if the file is shorter.
    pub(super) fn reserve(&mut self, len: u64) -> Option<Extent> {
        if len > self.capacity {
            return None;
        }
        if len > self.capacity - self.head {
            while self.order.front().is_some_and(|(_, extent)| extent.at >= self.head) {
                self.forget_oldest();
            }
            self.head = 0;
        }
        let extent = Extent { at: self.head, len, as_stored: false };
        self.head += len;
        while self.order.front().is_some_and(|(_, old)| extent.at <= old.at && old.at < self.head) {
            self.forget_oldest();
        }
        Some(extent)
    }

    fn forget_oldest(&mut self) {
        if let Some((key, extent)) = self.order.pop_front() {
            self.forget(&key, extent);
        }
    }

    /// Inserts a block that has been written to its extent. Extents are inserted in the order in which they
    /// were reserved.
    pub(super) fn insert(&mut self, key: BlockKey, extent: Extent) {
        self.order.push_back((key, extent));
        self.files.entry(key.file).or_default().insert(key.offset, extent);
    }

    /// Forgets a block, if it is still at this extent. Returns whether it was.
    pub(super) fn forget(&mut self, key: &BlockKey, extent: Extent) -> bool {
        let Some(blocks) = self.files.get_mut(&key.file) else { return false };
        let is_there = blocks.get(&key.offset) == Some(&extent);
        if is_there {
            blocks.remove(&key.offset);
            if blocks.is_empty() {
                self.files.remove(&key.file);
            }
        }
        is_there
    }

    /// Forgets all blocks of a file, without a walk through those of others.
    pub(super) fn forget_file(&mut self, file: FileId) {
        self.files.remove(&file);
    }

    /// Forgets all blocks.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    /// Returns the number of blocks of open files and their bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        let extents = self.files.values().flat_map(HashMap::values);
        extents.fold((0, 0), |(blocks, bytes), extent| (blocks + 1, bytes + extent.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(offset: u64) -> BlockKey {
        BlockKey { file: FileId(offset % 3), offset }
    }

    #[test]
    fn live_blocks_never_overlap_and_the_oldest_leave_first() {
        let mut ring = Ring::new(1000);
        assert_eq!(ring.reserve(1001), None);
        let mut random = 12345_u64;
        for number in 0..5000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let len = 1 + (random >> 33) % if number % 50 == 0 { 1000 } else { 130 };
            let extent = ring.reserve(len).unwrap();
            assert!(extent.at + extent.len <= 1000);
            ring.insert(key(number), extent);
            if number % 97 == 0 {
                ring.forget_file(FileId(number / 97 % 3));
            }
            if number % 31 == 0
                && let Some(extent) = ring.find(&key(number))
            {
                assert!(ring.forget(&key(number), extent) && !ring.forget(&key(number), extent));
            }
            let mut live: Vec<(u64, u64)> = (0..=number)
                .filter_map(|number| ring.find(&key(number)))
                .map(|extent| (extent.at, extent.at + extent.len))
                .collect();
            assert_eq!(ring.size().0, live.len() as u64);
            live.sort_unstable();
            assert!(live.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{live:?}");
            assert!(ring.order.len() <= 1000);
        }
        ring.clear();
        assert_eq!(ring.size(), (0, 0));
    }
}
