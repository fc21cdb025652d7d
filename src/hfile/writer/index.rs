//! Builds the data index (hfile.md §10.7; HBase: `HFileBlockIndex.BlockIndexWriter`).
//!
//! Entries of data blocks are collected in a leaf, which is written among the data blocks when it is full.
//! Each leaf written has an entry in the root; if the root is too large in the end, levels are added in
//! between.

use super::sink::BlockSink;
use crate::block::{BlockHandle, BlockType};
use crate::coding::{put_vlong, vlong_len};
use crate::error::Result;

/// Builds the data index of one file.
#[derive(Debug)]
pub(super) struct IndexWriter {
    /// The size in bytes at which an index block is complete.
    chunk_size: usize,
    /// The number of entries that a block above the leaves must also exceed to be complete.
    min_entries: usize,
    /// The maximum size in bytes of such a block with more than two entries, or of a root with more than one,
    /// however few they are.
    most: usize,
    /// The maximum depth.
    max_levels: u32,
    leaf: Entries,
    /// One entry for each leaf written.
    root: Entries,
    /// For each of these leaves, the number of data blocks up to its end.
    data_blocks: Vec<u64>,
    /// The size of all index blocks in bytes before compression.
    plain_bytes: u64,
}

/// A data index that has been written.
#[derive(Clone, Copy, Debug)]
pub(super) struct WrittenIndex {
    pub(super) root: BlockHandle,
    pub(super) root_entries: usize,
    pub(super) levels: u32,
    pub(super) plain_bytes: u64,
}

impl IndexWriter {
    pub(super) fn new(chunk_size: usize, min_entries: usize, most: usize, max_levels: u32) -> Self {
        Self {
            chunk_size,
            min_entries,
            most,
            max_levels,
            leaf: Entries::default(),
            root: Entries::default(),
            data_blocks: Vec::new(),
            plain_bytes: 0,
        }
    }

    /// Adds a data block that will be written.
    pub(super) fn push_key(&mut self, key: &[u8]) {
        self.leaf.push_key(key);
    }

    /// Sets the handle of the first data block without one, which has now been written.
    pub(super) fn push_handle(&mut self, handle: BlockHandle) {
        self.leaf.handles.push(handle);
    }

    /// Whether the open leaf is full. It never is in an index of one level, whose root it will be.
    pub(super) fn is_leaf_full(&self) -> bool {
        self.leaf.leaf_len() >= self.chunk_size && self.max_levels > 1
    }

    /// Writes the open leaf if it is full or, when closing, if leaves were written before it. All data blocks
    /// must be written.
    pub(super) fn write_due(&mut self, sink: &mut BlockSink, closing: bool) -> Result<()> {
        let due = if closing { !self.root.is_empty() } else { self.is_leaf_full() };
        if due && !self.leaf.is_empty() {
            let written = sink.write(BlockType::LeafIndex, |out| self.leaf.put_leaf(out))?;
            self.plain_bytes += written.plain_size;
            self.root.push(self.leaf.key(0), written.handle);
            let before = self.data_blocks.last().copied().unwrap_or(0);
            self.data_blocks.push(before + self.leaf.len() as u64);
            self.leaf.clear();
        }
        Ok(())
    }

    /// Writes the levels above the leaves, once no leaf is due.
    pub(super) fn finish(mut self, sink: &mut BlockSink) -> Result<WrittenIndex> {
        let mut levels = 1;
        let mut mid_key = None;
        if self.root.is_empty() {
            // a single leaf needs no level of its own
            self.root = std::mem::take(&mut self.leaf);
        } else {
            levels = 2;
            mid_key = self.mid_key();
            while self.needs_level() && levels < self.max_levels {
                self.root = self.write_level(sink)?;
                levels += 1;
            }
        }
        let root = sink.write_uncounted(BlockType::RootIndex, |out| {
            self.root.put_root(out);
            if let Some((leaf, entry)) = mid_key {
                put_handle(out, leaf);
                out.extend_from_slice(&entry.to_be_bytes());
            }
        })?;
        Ok(WrittenIndex {
            root: root.handle,
            root_entries: self.root.len(),
            levels,
            plain_bytes: self.plain_bytes + root.plain_size,
        })
    }

    /// Returns the leaf with the middle data block, and that block's entry in the leaf.
    fn mid_key(&self) -> Option<(BlockHandle, u32)> {
        let middle = self.data_blocks.last()?.checked_sub(1)? / 2;
        let leaf = self.data_blocks.partition_point(|&end| end <= middle);
        let before = leaf.checked_sub(1).map_or(0, |before| self.data_blocks[before]);
        Some((self.root.handles[leaf], u32::try_from(middle - before).unwrap_or(u32::MAX)))
    }

    /// Whether the root is too large for one block.
    fn needs_level(&self) -> bool {
        let (len, entries) = (self.root.root_len(), self.root.len());
        len > self.chunk_size && entries > self.min_entries || len > self.most && entries > 1
    }

    /// Writes the root's entries as a level of their own. Returns the new root.
    fn write_level(&mut self, sink: &mut BlockSink) -> Result<Entries> {
        let mut parent = Entries::default();
        let mut block = Entries::default();
        for i in 0..self.root.len() {
            block.push(self.root.key(i), self.root.handles[i]);
            let next = (i + 1 < self.root.len()).then(|| root_entry_len(self.root.key(i + 1)));
            // the entries are counted over the whole level, and the size is that of a root block, as in HBase
            let is_complete = i >= self.min_entries && block.root_len() >= self.chunk_size;
            // a level of blocks with one entry each would be as long as the one below
            let is_full = next.is_none_or(|next| block.len() > 1 && block.root_len() + next > self.most);
            if is_complete || is_full {
                let written =
                    sink.write_uncounted(BlockType::IntermediateIndex, |out| block.put_leaf(out))?;
                self.plain_bytes += written.plain_size;
                parent.push(block.key(0), written.handle);
                block.clear();
            }
        }
        Ok(parent)
    }
}

/// The entries of an index block, in either of its forms.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// As many as keys, except in the open leaf, whose last blocks may not be written yet.
    handles: Vec<BlockHandle>,
    keys: Vec<u8>,
    /// The end of each key in `keys`.
    key_ends: Vec<usize>,
    root_len: usize,
}

/// The length of a block's offset and size in bytes.
const HANDLE_LEN: usize = 8 + 4;

impl Entries {
    pub(super) fn push(&mut self, key: &[u8], handle: BlockHandle) {
        self.push_key(key);
        self.handles.push(handle);
    }

    /// Adds an entry without its handle.
    fn push_key(&mut self, key: &[u8]) {
        self.keys.extend_from_slice(key);
        self.key_ends.push(self.keys.len());
        self.root_len += root_entry_len(key);
    }

    pub(super) fn len(&self) -> usize {
        self.key_ends.len()
    }

    fn is_empty(&self) -> bool {
        self.key_ends.is_empty()
    }

    fn key(&self, i: usize) -> &[u8] {
        let start = i.checked_sub(1).map_or(0, |before| self.key_ends[before]);
        &self.keys[start..self.key_ends[i]]
    }

    fn clear(&mut self) {
        self.handles.clear();
        self.keys.clear();
        self.key_ends.clear();
        self.root_len = 0;
    }

    /// Returns the size in bytes of a leaf or intermediate block of these entries.
    fn leaf_len(&self) -> usize {
        4 + 4 * (self.len() + 1) + HANDLE_LEN * self.len() + self.keys.len()
    }

    /// Returns the size in bytes of a root block of these entries.
    fn root_len(&self) -> usize {
        self.root_len
    }

    /// Appends the entries in the form of leaf and intermediate blocks (hfile.md §10.3).
    fn put_leaf(&self, out: &mut Vec<u8>) {
        out.reserve(self.leaf_len());
        put_u32(out, self.len());
        put_u32(out, 0);
        for (i, end) in self.key_ends.iter().enumerate() {
            put_u32(out, end + (i + 1) * HANDLE_LEN);
        }
        for (i, handle) in self.handles.iter().enumerate() {
            put_handle(out, *handle);
            out.extend_from_slice(self.key(i));
        }
    }

    /// Appends the entries in the form of root blocks (hfile.md §10.1).
    pub(super) fn put_root(&self, out: &mut Vec<u8>) {
        out.reserve(self.root_len);
        for (i, handle) in self.handles.iter().enumerate() {
            let key = self.key(i);
            put_handle(out, *handle);
            put_vlong(out, to_i64(key.len()));
            out.extend_from_slice(key);
        }
    }
}

/// Returns the size in bytes of an entry of a root block.
fn root_entry_len(key: &[u8]) -> usize {
    HANDLE_LEN + vlong_len(to_i64(key.len())) + key.len()
}

fn put_handle(out: &mut Vec<u8>, handle: BlockHandle) {
    out.extend_from_slice(&handle.offset.to_be_bytes());
    out.extend_from_slice(&handle.on_disk_size.to_be_bytes());
}

/// Appends a number. It is below 2 GiB in any block that can be written; otherwise the block is refused.
fn put_u32(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}

fn to_i64(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
