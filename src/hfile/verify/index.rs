//! The data index, read level by level.

use super::faults::Faults;
use super::references::{BlockLocation, Reference, References};
use crate::block::index::{IndexBlock, IndexContext, MidKey};
use crate::block::{BlockHandle, BlockType};
use crate::cell::CellKey;
use crate::error::{Corruption, Result};
use crate::hfile::source::BlockSource;

/// The lowest level of the index, with an entry for each data block.
#[derive(Debug, Default)]
pub(in crate::hfile) struct DataIndex {
    leaves: Vec<Leaf>,
    /// The number of entries in all leaves.
    pub(in crate::hfile) entries: usize,
    /// Whether the tree is complete.
    pub(in crate::hfile) is_whole: bool,
}

#[derive(Debug)]
struct Leaf {
    node: Node,
    /// The number of its first entry among those of all leaves.
    first: usize,
}

/// A block of the index and its handle. The root's size is unknown and not needed.
#[derive(Debug)]
struct Node {
    handle: BlockHandle,
    block_type: BlockType,
    block: IndexBlock,
}

/// Reads the tree of the index.
pub(in crate::hfile) struct TreeReader<'a> {
    pub(in crate::hfile) source: &'a BlockSource,
    pub(in crate::hfile) context: IndexContext,
    pub(in crate::hfile) levels: u32,
    /// The number of bytes of index blocks that may still be kept.
    pub(in crate::hfile) room: usize,
}

impl TreeReader<'_> {
    /// Reads the tree below a root and records the blocks that it refers to.
    ///
    /// No block is read twice for one level, because the offsets of a level must ascend. So even an index
    /// that refers to itself takes no longer than reading the file once for each level.
    pub(in crate::hfile) fn read(
        &mut self,
        root_at: u64,
        payload: &[u8],
        count: u32,
        references: &mut References,
        faults: &mut Faults,
    ) -> Result<DataIndex> {
        let location = BlockLocation { offset: root_at, block_type: BlockType::RootIndex };
        let (root, mid_key) =
            match IndexBlock::parse_root(payload, count as usize, self.levels, &self.context) {
                Ok(parsed) => parsed,
                Err(corruption) => {
                    location.report(corruption, faults);
                    return Ok(DataIndex::default());
                }
            };
        let handle = BlockHandle { offset: root_at, on_disk_size: 0 };
        let mut nodes = vec![Node { handle, block_type: BlockType::RootIndex, block: root }];
        let mut index = DataIndex { is_whole: true, ..DataIndex::default() };
        for level in 1..self.levels {
            let block_type =
                if level + 1 == self.levels { BlockType::LeafIndex } else { BlockType::IntermediateIndex };
            nodes = self.read_level(&nodes, block_type, &mut index.is_whole, references, faults)?;
        }
        for node in nodes {
            let first = index.entries;
            index.entries += node.block.len();
            index.leaves.push(Leaf { node, first });
        }
        index.name_data(references, faults);
        if self.levels > 1 && index.is_whole {
            index.check_mid_key(mid_key, location, faults);
        }
        Ok(index)
    }

    /// Reads the children of a level.
    fn read_level(
        &mut self,
        parents: &[Node],
        block_type: BlockType,
        is_whole: &mut bool,
        references: &mut References,
        faults: &mut Faults,
    ) -> Result<Vec<Node>> {
        let mut children = Vec::new();
        let mut free = 0;
        for (p, parent) in parents.iter().enumerate() {
            let next_parent = parents.get(p + 1).and_then(|next| next.block.key(0));
            for (i, handle) in (0..parent.block.len()).map_while(|i| Some((i, parent.block.handle(i)?))) {
                if handle.offset < free {
                    parent.location().report(OVERLAP, faults);
                    *is_whole = false;
                    continue;
                }
                free = handle.end();
                references.push(Reference { handle, block_type, named_by: parent.location(), number: 0 });
                let next = parent.block.key(i + 1).or(next_parent);
                match self.read_node(handle, block_type, faults)? {
                    Some(node) => {
                        self.check_keys(&node, parent.block.key(i), next, faults);
                        children.push(node);
                    }
                    None => *is_whole = false,
                }
            }
        }
        Ok(children)
    }

    fn read_node(
        &mut self,
        handle: BlockHandle,
        block_type: BlockType,
        faults: &mut Faults,
    ) -> Result<Option<Node>> {
        let payload = match self.source.read(handle, block_type) {
            Ok((_, payload)) => payload,
            Err(error) => return faults.record(error).map(|()| None),
        };
        let location = BlockLocation { offset: handle.offset, block_type };
        let Some(room) = self.room.checked_sub(payload.len()) else {
            let limit = self.source.context().limits.load_on_open_bytes as u64;
            let value = limit.saturating_add(payload.len() as u64);
            location.report(Corruption::Limit { what: "bytes of the data index", value, limit }, faults);
            return Ok(None);
        };
        self.room = room;
        match IndexBlock::parse(&payload, block_type == BlockType::IntermediateIndex, &self.context) {
            Ok(block) => Ok(Some(Node { handle, block_type, block })),
            Err(corruption) => {
                location.report(corruption, faults);
                Ok(None)
            }
        }
    }

    /// Checks that a block's first key is its entry's key, and its last key is before the next entry's
    /// (hfile.md §10.4).
    fn check_keys(&self, node: &Node, key: Option<&CellKey>, next: Option<&CellKey>, faults: &mut Faults) {
        let Some(order) = self.context.order else { return };
        let (first, last) = (node.block.key(0), node.block.key(node.block.len().saturating_sub(1)));
        if first.zip(key).is_some_and(|(first, key)| order.compare(first, key).is_ne()) {
            let message = "first key of the index block is not its entry's key";
            node.location().report(Corruption::Malformed(message), faults);
        }
        if last.zip(next).is_some_and(|(last, next)| order.compare(last, next).is_ge()) {
            let message = "last key of the index block is not before the next entry's key";
            node.location().report(Corruption::Malformed(message), faults);
        }
    }
}

const OVERLAP: Corruption =
    Corruption::Malformed("an index entry's block begins before the end of the previous entry's block");

impl Node {
    fn location(&self) -> BlockLocation {
        BlockLocation { offset: self.handle.offset, block_type: self.block_type }
    }
}

impl DataIndex {
    /// Returns the index key of a data block.
    pub(in crate::hfile) fn key(&self, entry: usize) -> Option<&CellKey> {
        let (leaf, i) = self.leaf_of(entry)?;
        leaf.node.block.key(i)
    }

    /// Returns the offsets of the first and the last data block; `None` in an empty index, or one that is not
    /// complete.
    pub(in crate::hfile) fn ends(&self) -> Option<(u64, u64)> {
        if !self.is_whole {
            return None;
        }
        let offset = |entry: usize| {
            let (leaf, i) = self.leaf_of(entry)?;
            leaf.node.block.handle(i).map(|handle| handle.offset)
        };
        offset(0).zip(offset(self.entries.checked_sub(1)?))
    }

    fn leaf_of(&self, entry: usize) -> Option<(&Leaf, usize)> {
        let after = self.leaves.partition_point(|leaf| leaf.first <= entry);
        let leaf = self.leaves.get(after.checked_sub(1)?)?;
        Some((leaf, entry - leaf.first))
    }

    fn name_data(&mut self, references: &mut References, faults: &mut Faults) {
        let mut free = 0;
        for leaf in &self.leaves {
            for i in 0..leaf.node.block.len() {
                let Some(handle) = leaf.node.block.handle(i) else { continue };
                if handle.offset < free {
                    leaf.node.location().report(OVERLAP, faults);
                    self.is_whole = false;
                    continue;
                }
                free = handle.end();
                let (named_by, number) = (leaf.node.location(), leaf.first + i);
                references.push(Reference { handle, block_type: BlockType::Data, named_by, number });
            }
        }
    }

    /// Checks that the record after the root refers to the middle data block, by its leaf and its entry there
    /// (hfile.md §10.2).
    fn check_mid_key(&self, mid_key: Option<MidKey>, root: BlockLocation, faults: &mut Faults) {
        let Some((leaf, entry)) = self.entries.checked_sub(1).and_then(|last| self.leaf_of(last / 2)) else {
            return;
        };
        let message = match mid_key {
            Some(found) if (found.leaf, found.entry) == (leaf.node.handle, entry) => return,
            Some(_) => "the mid key is not that of the middle data block",
            None => "the root index of more than one level has no mid key",
        };
        root.report(Corruption::Malformed(message), faults);
    }
}
