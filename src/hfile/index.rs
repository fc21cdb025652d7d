//! The path from the root of the data index down to a data block (hfile.md §10.4, §10.5).

use super::reader_core::ReaderCore;
use crate::block::BlockHandle;
use crate::block::index::{Children, IndexBlock};
use crate::cache::CacheFill;
use crate::cell::{CellKey, CellOrder};
use crate::error::{Corruption, Result};
use std::sync::Arc;

/// A position in the index: a block of each level, and the entry selected in it.
///
/// The first block is the root; the entries of the last one are data blocks. The descent is bounded by the
/// file's number of levels, and the block type of each level is checked, so there can be no cycle.
#[derive(Clone, Debug)]
pub(super) struct IndexPath {
    levels: Vec<(Arc<IndexBlock>, usize)>,
    /// Whether the path leads to a data block.
    complete: bool,
    /// Which of the blocks on the path are added to the cache.
    fill: CacheFill,
}

impl IndexPath {
    pub(super) fn new(root: &Arc<IndexBlock>) -> Self {
        Self { levels: vec![(Arc::clone(root), 0)], complete: false, fill: CacheFill::All }
    }

    /// Returns which of the blocks on the path, and of the data blocks it leads to, are added to the cache.
    pub(super) fn fill(&self) -> CacheFill {
        self.fill
    }

    pub(super) fn set_fill(&mut self, fill: CacheFill) {
        self.fill = fill;
    }

    /// Returns the index block whose entries are data blocks, and the selected entry.
    #[inline]
    pub(super) fn leaf(&self) -> Option<(&Arc<IndexBlock>, usize)> {
        let (leaf, i) = self.levels.last()?;
        self.complete.then_some((leaf, *i))
    }

    /// Returns the handle of the data block.
    pub(super) fn handle(&self) -> Option<BlockHandle> {
        let (leaf, i) = self.leaf()?;
        leaf.handle(i)
    }

    /// Returns the index key of the data block.
    pub(super) fn key(&self) -> Option<&CellKey> {
        let (leaf, i) = self.leaf()?;
        leaf.key(i)
    }

    /// Returns the index key of the next data block; `None` after the last.
    pub(super) fn next_key(&self) -> Option<&CellKey> {
        self.levels.iter().rev().find_map(|(block, i)| block.key(i + 1))
    }

    /// Whether the path leads to the first data block.
    pub(super) fn is_first(&self) -> bool {
        self.complete && self.levels.iter().all(|(_, i)| *i == 0)
    }

    /// Seeks to the data block whose range contains `key`: the last whose index key is not after `key`.
    /// Returns whether one exists, and whether the path was at it before.
    #[inline]
    pub(super) fn seek(&mut self, file: &ReaderCore, key: &CellKey, order: CellOrder) -> Result<LeafLookup> {
        let mut same = self.complete;
        for level in 0.. {
            let (block, at) = &mut self.levels[level];
            let Some(i) = block.search(key, order) else {
                if level > 0 {
                    // by the entry above, this block's first key is not after `key`
                    let handle = self.levels[level - 1].0.handle(self.levels[level - 1].1);
                    let offset = handle.map_or(0, |h| h.offset);
                    return Err(Corruption::Malformed(
                        "first key of an index block is after its entry's key",
                    )
                    .at(file.path(), offset));
                }
                self.complete = false;
                return Ok(LeafLookup::Before);
            };
            same &= *at == i;
            *at = i;
            if matches!(block.children(), Children::Data(_)) {
                self.levels.truncate(level + 1);
                break;
            }
            if !same || self.levels.len() <= level + 1 {
                same = false;
                self.push_child(file, level, self.fill)?;
            }
        }
        self.complete = true;
        Ok(if same { LeafLookup::Same } else { LeafLookup::Moved })
    }

    /// Moves to the first data block below an entry of the root.
    pub(super) fn first_below(&mut self, file: &ReaderCore, entry: usize) -> Result<bool> {
        self.complete = false;
        self.levels.truncate(1);
        self.levels[0].1 = entry;
        if entry >= self.levels[0].0.len() {
            return Ok(false);
        }
        self.descend(file, |_| 0)?;
        Ok(true)
    }

    /// Moves to the last data block; returns false if there is none.
    pub(super) fn last(&mut self, file: &ReaderCore) -> Result<bool> {
        self.complete = false;
        self.levels.truncate(1);
        let (root, i) = &mut self.levels[0];
        let Some(last) = root.len().checked_sub(1) else { return Ok(false) };
        *i = last;
        self.descend(file, |block| block.len() - 1)?;
        Ok(true)
    }

    /// Moves to the next data block; returns false, and is not positioned, if there is none.
    pub(super) fn next(&mut self, file: &ReaderCore) -> Result<bool> {
        self.step(file, |block, i| (i + 1 < block.len()).then_some(i + 1), |_| 0)
    }

    /// Moves to the previous data block; returns false, and is not positioned, if there is none.
    pub(super) fn prev(&mut self, file: &ReaderCore) -> Result<bool> {
        self.step(file, |_, i| i.checked_sub(1), |block| block.len() - 1)
    }

    /// Moves to the neighbour of the lowest entry that has one, and descends from there by `choose`.
    fn step(
        &mut self,
        file: &ReaderCore,
        neighbour: impl Fn(&IndexBlock, usize) -> Option<usize>,
        choose: impl Fn(&IndexBlock) -> usize,
    ) -> Result<bool> {
        if !std::mem::replace(&mut self.complete, false) {
            return Ok(false);
        }
        let Some(level) = self.levels.iter().rposition(|(block, i)| neighbour(block, *i).is_some()) else {
            return Ok(false);
        };
        let (block, i) = &mut self.levels[level];
        *i = neighbour(block, *i).unwrap_or(*i);
        self.levels.truncate(level + 1);
        self.descend(file, choose)?;
        Ok(true)
    }

    /// Completes the path down to a data block. Without a cache, a scan keeps no index block, to leave room
    /// for those that seeks need.
    fn descend(&mut self, file: &ReaderCore, choose: impl Fn(&IndexBlock) -> usize) -> Result<()> {
        while let Some((block, _)) = self.levels.last()
            && matches!(block.children(), Children::Index(_))
        {
            let level = self.levels.len() - 1;
            let fill = if file.cache.is_some() { self.fill } else { CacheFill::Nothing };
            self.push_child(file, level, fill)?;
            let (child, i) = &mut self.levels[level + 1];
            *i = choose(child);
        }
        self.complete = true;
        Ok(())
    }

    /// Replaces the levels below `level` by the child of its selected entry, at its first entry.
    fn push_child(&mut self, file: &ReaderCore, level: usize, fill: CacheFill) -> Result<()> {
        self.complete = false;
        self.levels.truncate(level + 1);
        let (block, i) = &self.levels[level];
        let child = file.index_child(block, *i, level + 1, fill)?;
        self.levels.push((child, 0));
        Ok(())
    }
}

/// The result of a search of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeafLookup {
    /// The key is before the first cell of the file.
    Before,
    /// The path was at this block before.
    Same,
    /// The path has moved to another block.
    Moved,
}
