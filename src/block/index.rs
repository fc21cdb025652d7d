//! Index blocks, which list the blocks below with the first key of each (hfile.md §10; HBase:
//! `HFileBlockIndex`).
#![warn(clippy::indexing_slicing)]

use super::data::{BlockOutline, DataBlock};
use super::search::KeyTable;
use super::slot::Slots;
use crate::cell::{CellKey, CellOrder};
use crate::coding::Cursor;
use crate::error::Corruption;
use std::cmp::Ordering;
use std::sync::Arc;

/// The location of a block in its file, as in an entry of an index (HBase: `HFileBlockIndex`). Sizes and
/// offsets are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockHandle {
    /// The offset of the block's header.
    pub offset: u64,
    /// The size on disk in bytes: header, payload and checksums.
    pub on_disk_size: u32,
}

impl BlockHandle {
    /// Returns the offset after the block.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset + u64::from(self.on_disk_size)
    }

    /// Reads an offset and a size, and checks that the block lies within the file's blocks.
    pub(crate) fn parse(cursor: &mut Cursor<'_>, context: &IndexContext) -> Result<Self, Corruption> {
        let offset = cursor.i64("index entry offset")?;
        let size = cursor.i32("index entry size")?;
        let max = i64::try_from(context.end).unwrap_or(i64::MAX);
        let header_len = i32::try_from(context.header_len).unwrap_or(i32::MAX);
        match (u64::try_from(offset), u32::try_from(size)) {
            (Ok(offset), Ok(on_disk_size)) if on_disk_size >= context.header_len => {
                let handle = BlockHandle { offset, on_disk_size };
                if offset < context.end && handle.end() <= context.end {
                    return Ok(handle);
                }
                Err(Corruption::out_of_range(
                    "index entry offset",
                    handle.offset.cast_signed(),
                    0,
                    max - i64::from(size),
                ))
            }
            (Err(_), _) => Err(Corruption::out_of_range("index entry offset", offset, 0, max)),
            _ => Err(Corruption::out_of_range(
                "index entry size",
                size.into(),
                header_len.into(),
                i32::MAX.into(),
            )),
        }
    }
}

/// The blocks below an index block.
#[derive(Debug)]
pub(crate) enum Children {
    Data(Arc<Slots<DataBlock>>),
    Index(Arc<Slots<IndexBlock>>),
}

/// Properties common to all entries of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexContext {
    /// The order of the keys; `None` if the file's order is unknown, in which case the order of the keys is
    /// not checked.
    pub(crate) order: Option<CellOrder>,
    /// All blocks end at or before this offset.
    pub(crate) end: u64,
    /// The size of a block header, which is the minimum size of a block.
    pub(crate) header_len: u32,
    /// The contents of the slots next to the entries.
    pub(crate) slots: SlotUse,
}

/// The values found through slots next to index entries while they are in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotUse {
    /// Nothing.
    Unused,
    /// Outlines of data blocks, and the index blocks above them: there is no block cache.
    Outlines,
    /// Blocks in a block cache, and outlines.
    Blocks,
}

/// The entries of one index block of any level. Offsets and keys ascend.
#[derive(Debug)]
pub(crate) struct IndexBlock {
    handles: Vec<BlockHandle>,
    keys: KeyTable,
    children: Children,
    /// Outlines of data blocks that may not be in the cache.
    outlines: Arc<Slots<BlockOutline>>,
}

/// The record after the root entries of an index of more than one level: the middle data block (hfile.md
/// §10.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MidKey {
    pub(crate) leaf: BlockHandle,
    pub(crate) entry: usize,
}

const ENTRY_FIXED: usize = 12;
const MID_KEY_LEN: usize = 16;

impl IndexBlock {
    /// Parses the root: `count` entries from the trailer, followed by the mid key if there is more than one
    /// level.
    ///
    /// The entries must use up the payload, so that a wrong count is detected (hfile.md §17.1).
    pub(crate) fn parse_root(
        payload: &[u8],
        count: usize,
        levels: u32,
        context: &IndexContext,
    ) -> Result<(Self, Option<MidKey>), Corruption> {
        let mut cursor = Cursor::new(payload);
        // an entry has at least 13 bytes
        let mut entries = Builder::new(count.min(payload.len() / (ENTRY_FIXED + 1)), payload.len());
        for _ in 0..count {
            let handle = BlockHandle::parse(&mut cursor, context)?;
            entries.push(handle, cursor.vbytes("index key")?, context)?;
        }
        let mut mid_key = None;
        if levels > 1 && cursor.rest().len() == MID_KEY_LEN {
            let leaf = BlockHandle::parse(&mut cursor, context)?;
            mid_key = Some(MidKey { leaf, entry: cursor.len("mid key entry")? });
        }
        cursor.finish("bytes after the root index")?;
        Ok((entries.finish(levels > 1, context), mid_key))
    }

    /// Parses a leaf or intermediate block, with at least one entry.
    pub(crate) fn parse(
        payload: &[u8],
        children_are_index: bool,
        context: &IndexContext,
    ) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(payload);
        let count = cursor.len("index entry count")?;
        if count == 0 {
            return Err(Corruption::Malformed("index block without an entry"));
        }
        // count + 1 offsets of four bytes must follow
        let marks_len = count.saturating_add(1).saturating_mul(4);
        let mut marks = Cursor::new(cursor.take(marks_len, "secondary index")?);
        let entries_area = cursor.rest();
        let mut entries = Builder::new(count.min(entries_area.len() / (ENTRY_FIXED + 1)), entries_area.len());
        let mut start = marks.len("secondary index")?;
        if start != 0 {
            return Err(Corruption::Malformed("secondary index does not start with 0"));
        }
        for _ in 0..count {
            let end = marks.len("secondary index")?;
            let entry = entries_area.get(start..end).ok_or(Corruption::Malformed(
                "secondary index does not ascend, or points past the end of the block",
            ))?;
            let mut entry = Cursor::new(entry);
            let handle = BlockHandle::parse(&mut entry, context)?;
            entries.push(handle, entry.rest(), context)?;
            start = end;
        }
        if start != entries_area.len() {
            return Err(Corruption::Malformed("bytes after the entries of an index block"));
        }
        Ok(entries.finish(children_are_index, context))
    }

    /// Returns the number of entries.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    #[inline]
    pub(crate) fn handle(&self, i: usize) -> Option<BlockHandle> {
        self.handles.get(i).copied()
    }

    /// Returns the key of an entry: not after any cell below the entry, and after every earlier cell.
    #[inline]
    pub(crate) fn key(&self, i: usize) -> Option<&CellKey> {
        (i < self.len()).then(|| CellKey::from_checked(self.keys.key(i)))
    }

    pub(crate) fn children(&self) -> &Children {
        &self.children
    }

    /// Returns the slots of the outlines of the data blocks below; none above index blocks.
    pub(crate) fn outlines(&self) -> &Arc<Slots<BlockOutline>> {
        &self.outlines
    }

    /// Whether outlines, or index blocks below, can be found next to the entries.
    pub(crate) fn has_slots(&self) -> bool {
        match &self.children {
            Children::Data(_) => !self.outlines.is_empty(),
            Children::Index(slots) => !slots.is_empty(),
        }
    }

    /// Returns the last entry whose key is not after `key`.
    #[inline]
    pub(crate) fn search(&self, key: &CellKey, order: CellOrder) -> Option<usize> {
        self.keys.floor(key.row(), |k| order.compare(CellKey::from_checked(k), key))
    }

    /// Returns the last entry whose key is known to be before every cell of a row.
    #[inline]
    pub(crate) fn search_row(&self, row: &[u8], order: CellOrder) -> Option<usize> {
        self.keys.floor(row, |key| {
            let key = CellKey::from_checked(key);
            let in_row = || if key.is_first_on_row() { Ordering::Less } else { Ordering::Greater };
            order.compare_rows(key.row(), row).then_with(in_row)
        })
    }

    /// Returns the memory size in bytes, for cache accounting.
    pub(crate) fn memory(&self) -> usize {
        let slots = match &self.children {
            Children::Data(slots) => slots.memory(),
            Children::Index(slots) => slots.memory(),
        };
        let handles = self.handles.capacity() * size_of::<BlockHandle>();
        size_of::<Self>() + handles + self.keys.memory() + slots + self.outlines.memory()
    }
}

struct Builder {
    handles: Vec<BlockHandle>,
    keys: KeyTable,
}

impl Builder {
    fn new(entries: usize, bytes: usize) -> Self {
        let keys = bytes.saturating_sub(entries * ENTRY_FIXED);
        Self { handles: Vec::with_capacity(entries), keys: KeyTable::with_capacity(entries, keys) }
    }

    fn push(&mut self, handle: BlockHandle, key: &[u8], context: &IndexContext) -> Result<(), Corruption> {
        let checked = CellKey::new(key)?;
        if let Some(last) = self.handles.last() {
            if handle.offset < last.end() {
                return Err(Corruption::Mismatch {
                    what: "index entry offset, at least the end of the previous entry",
                    expected: last.end().cast_signed(),
                    found: handle.offset.cast_signed(),
                });
            }
            let last = CellKey::from_checked(self.keys.key(self.keys.len() - 1));
            if context.order.is_some_and(|order| order.compare(last, checked).is_ge()) {
                return Err(Corruption::Malformed("index keys do not ascend"));
            }
        }
        self.handles.push(handle);
        self.keys.push(key);
        Ok(())
    }

    fn finish(mut self, children_are_index: bool, context: &IndexContext) -> IndexBlock {
        if context.order == Some(CellOrder::User) {
            self.keys.index_rows(|key| CellKey::from_checked(key).row());
        }
        let slots = |wanted: bool| if wanted { self.handles.len() } else { 0 };
        let kept = slots(context.slots != SlotUse::Unused);
        let children = if children_are_index {
            Children::Index(Arc::new(Slots::new(kept)))
        } else {
            Children::Data(Arc::new(Slots::new(slots(context.slots == SlotUse::Blocks))))
        };
        let outlines = Arc::new(Slots::new(if children_are_index { 0 } else { kept }));
        IndexBlock { handles: self.handles, keys: self.keys, children, outlines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CellType, SeekKey};
    use crate::coding::put_vlong;
    use proptest::prelude::*;

    const CONTEXT: IndexContext =
        IndexContext { order: Some(CellOrder::User), end: 1 << 40, header_len: 33, slots: SlotUse::Unused };

    fn non_root(keys: &[SeekKey]) -> Vec<u8> {
        let (mut marks, mut entries) = (Vec::new(), Vec::new());
        for (i, key) in keys.iter().enumerate() {
            marks.extend_from_slice(&(entries.len() as i32).to_be_bytes());
            entries.extend_from_slice(&(i as i64 * 100).to_be_bytes());
            entries.extend_from_slice(&100i32.to_be_bytes());
            entries.extend_from_slice(key.as_bytes());
        }
        marks.extend_from_slice(&(entries.len() as i32).to_be_bytes());
        [&(keys.len() as i32).to_be_bytes()[..], &marks, &entries].concat()
    }

    fn root(keys: &[SeekKey]) -> Vec<u8> {
        let mut out = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            out.extend_from_slice(&(i as i64 * 100).to_be_bytes());
            out.extend_from_slice(&100i32.to_be_bytes());
            put_vlong(&mut out, key.as_bytes().len() as i64);
            out.extend_from_slice(key.as_bytes());
        }
        out
    }

    proptest! {
        #[test]
        fn both_forms_are_searched_as_a_list_is(
            mut rows in proptest::collection::vec("(user0)?[a-c]{0,4}", 1..60), wanted in "(user0)?[a-c]{0,4}"
        ) {
            rows.sort();
            rows.dedup();
            let keys: Vec<_> = rows.iter().map(|r| SeekKey::first_on_row(r.as_bytes())).collect();
            let wanted = SeekKey::of(wanted.as_bytes(), b"f", b"q", 5, CellType::Put);
            let plain = keys.iter().rposition(|k| CellOrder::User.compare(k, &wanted).is_le());
            let leaf = IndexBlock::parse(&non_root(&keys), false, &CONTEXT).unwrap();
            let (root, mid) = IndexBlock::parse_root(&root(&keys), keys.len(), 1, &CONTEXT).unwrap();
            prop_assert_eq!(mid, None);
            for block in [&leaf, &root] {
                prop_assert_eq!(block.search(&wanted, CellOrder::User), plain);
                prop_assert_eq!(block.len(), keys.len());
                for (i, key) in keys.iter().enumerate() {
                    prop_assert_eq!(block.key(i), Some(key.as_key()));
                    let handle = BlockHandle { offset: i as u64 * 100, on_disk_size: 100 };
                    prop_assert_eq!(block.handle(i), Some(handle));
                }
            }
        }

        #[test]
        fn damaged_ones_never_panic(
            flips in proptest::collection::vec((0usize..400, any::<u8>()), 0..4),
            cut in 0usize..400,
        ) {
            let keys: Vec<_> = (0..8).map(|i| SeekKey::first_on_row(format!("row{i}").as_bytes())).collect();
            for mut bytes in [non_root(&keys), root(&keys)] {
                for &(at, bits) in &flips {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= bits;
                    }
                }
                bytes.truncate(cut);
                let _ = IndexBlock::parse(&bytes, true, &CONTEXT);
                let _ = IndexBlock::parse_root(&bytes, 8, 2, &CONTEXT);
                let _ = IndexBlock::parse_root(&bytes, usize::MAX, 1, &CONTEXT);
            }
        }
    }

    #[test]
    fn a_root_of_many_levels_has_a_mid_key() {
        let keys = [SeekKey::first_on_row(b"a"), SeekKey::first_on_row(b"b")];
        let mut bytes = root(&keys);
        bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 50, 0, 0, 0, 7]);
        let (_, mid) = IndexBlock::parse_root(&bytes, 2, 2, &CONTEXT).unwrap();
        let leaf = BlockHandle { offset: 100, on_disk_size: 50 };
        assert_eq!(mid, Some(MidKey { leaf, entry: 7 }));
        assert!(IndexBlock::parse_root(&bytes, 2, 1, &CONTEXT).is_err(), "one level has none");
        assert!(IndexBlock::parse_root(&bytes, 1, 2, &CONTEXT).is_err(), "an entry too few");
    }

    #[test]
    fn entries_that_lie_are_refused() {
        let keys = [SeekKey::first_on_row(b"a"), SeekKey::first_on_row(b"b")];
        let sound = non_root(&keys);
        let set = |at: usize, value: i32| {
            let mut bytes = sound.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
            IndexBlock::parse(&bytes, false, &CONTEXT).map(|_| ())
        };
        assert!(set(0, 2).is_ok());
        assert!(set(0, 0).is_err() && set(0, -1).is_err() && set(0, 1 << 30).is_err());
        assert!(set(4, 4).is_err() && set(8, 100_000).is_err() && set(12, 0).is_err());
        assert!(set(16, -1).is_err() && set(16, 1 << 20).is_err(), "offsets");
        assert!(set(24, 0).is_err() && set(24, -1).is_err(), "sizes");
        let mut swapped = keys.clone();
        swapped.reverse();
        assert!(IndexBlock::parse(&non_root(&swapped), false, &CONTEXT).is_err());
    }
}
