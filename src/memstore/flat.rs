//! The cells of an immutable segment, in arrays (HBase: `CellChunkMap`, `CellChunkImmutableSegment`).

use super::data_len;
use super::key::{Key, KeyParts, Mark, Prefix, compare, prefix};
use crate::cell::{CellKey, CellOrder, CellRef};
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Bound;

/// Sorted cells that do not change: their bytes in a few large buffers, and an index of them.
///
/// A search touches a few neighbouring cache lines of the index instead of a list node for each level, and a
/// cell takes an index entry instead of a list node.
#[derive(Clone, Debug)]
pub(super) struct FlatCells {
    order: CellOrder,
    /// Each has cells in their order.
    buffers: Vec<Bytes>,
    index: Vec<IndexEntry>,
    /// The prefix of every [`SAMPLE`]th entry of the index, from the first on.
    samples: Vec<Prefix>,
    /// The bytes of all cells, as `KeyValue`s.
    data_size: u64,
}

/// The location of a cell, and the prefix that is compared first.
#[derive(Clone, Copy, Debug)]
struct IndexEntry {
    prefix: Prefix,
    seq_id: i64,
    buffer: u32,
    offset: u32,
}

/// The number of index entries for each sample: they are in one page of memory.
const SAMPLE: usize = 64;

/// The number of index entries of the last step of a search.
const STEP: usize = 8;

/// A buffer takes no further cell after this many bytes. Small in tests, so that they have several.
const MAX_BUFFER: usize = if cfg!(test) { 16 << 10 } else { 1 << 30 };

/// The memory of a cell in addition to its bytes as a `KeyValue`, whose lengths are counted there.
pub(super) const OVERHEAD: usize = size_of::<IndexEntry>();

/// A cell among flat cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlatCell<'s> {
    cells: &'s FlatCells,
    at: usize,
}

/// An index entry whose cell is read only if its prefix does not decide.
struct Indexed<'s> {
    cells: &'s FlatCells,
    entry: IndexEntry,
}

impl KeyParts for Indexed<'_> {
    #[inline]
    fn order(&self) -> CellOrder {
        self.cells.order
    }

    #[inline]
    fn mark(&self) -> Mark<'_> {
        Mark::Key(self.cells.cell(&self.entry).key)
    }
}

/// The lengths of a cell's parts, before its bytes: most cells need four bytes for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lengths {
    key: usize,
    value: usize,
    tags: usize,
}

impl Lengths {
    /// The lengths of key and value, of 16 bits each. The first bit is not set.
    const SHORT: usize = 4;
    /// The lengths of key, value and tags, of 32, 32 and 16 bits. The first bit is set.
    const LONG: usize = 10;
    const IS_LONG: u32 = 1 << 31;

    fn of(cell: CellRef<'_>) -> Self {
        Self { key: cell.key.as_bytes().len(), value: cell.value.len(), tags: cell.tags.len() }
    }

    fn write(self, out: &mut Vec<u8>) {
        match (u16::try_from(self.key), u16::try_from(self.value)) {
            (Ok(key @ 0..0x8000), Ok(value)) if self.tags == 0 => {
                out.extend_from_slice(&key.to_be_bytes());
                out.extend_from_slice(&value.to_be_bytes());
            }
            _ => {
                let key = u32::try_from(self.key).ok().filter(|key| key & Self::IS_LONG == 0);
                let key = key.expect("a key is below 2 GiB") | Self::IS_LONG;
                let value = u32::try_from(self.value).expect("a value is below 4 GiB");
                let tags = u16::try_from(self.tags).expect("a tag area has at most 65,535 bytes");
                out.extend_from_slice(&key.to_be_bytes());
                out.extend_from_slice(&value.to_be_bytes());
                out.extend_from_slice(&tags.to_be_bytes());
            }
        }
    }

    /// Returns the lengths at the start of these bytes, and what follows them.
    #[inline]
    fn read(bytes: &[u8]) -> (Self, &[u8]) {
        let (first, rest) = bytes.split_first_chunk::<{ Self::SHORT }>().expect("a cell has lengths");
        let first = u32::from_be_bytes(*first);
        if first & Self::IS_LONG == 0 {
            return (Self { key: (first >> 16) as usize, value: (first & 0xffff) as usize, tags: 0 }, rest);
        }
        let (others, rest) = rest.split_first_chunk::<6>().expect("a cell has lengths");
        let [v0, v1, v2, v3, t0, t1] = *others;
        let lengths = Self {
            key: (first & !Self::IS_LONG) as usize,
            value: u32::from_be_bytes([v0, v1, v2, v3]) as usize,
            tags: u16::from_be_bytes([t0, t1]).into(),
        };
        (lengths, rest)
    }
}

/// Collects cells in their order.
pub(super) struct FlatBuilder {
    cells: FlatCells,
    buffer: Vec<u8>,
}

impl FlatBuilder {
    /// Creates a builder for about this many cells with this many bytes.
    pub(super) fn new(order: CellOrder, cells: usize, bytes: usize) -> Self {
        // the lengths of a `KeyValue` have at most two bytes less
        let most = bytes.saturating_add((Lengths::LONG - 8) * cells);
        let buffer = Vec::with_capacity(most.min(MAX_BUFFER));
        let (index, samples) = (Vec::with_capacity(cells), Vec::with_capacity(cells.div_ceil(SAMPLE)));
        Self { cells: FlatCells { order, buffers: Vec::new(), index, samples, data_size: 0 }, buffer }
    }

    /// Adds a cell after all others.
    ///
    /// # Panics
    ///
    /// Same as [`Segment::insert`](super::Segment::insert).
    pub(super) fn push(&mut self, cell: CellRef<'_>) {
        if self.buffer.len() >= MAX_BUFFER {
            self.end_buffer();
        }
        let entry = IndexEntry {
            prefix: prefix(self.cells.order, cell.row()),
            seq_id: cell.seq_id,
            buffer: u32::try_from(self.cells.buffers.len()).expect("a buffer is large"),
            offset: u32::try_from(self.buffer.len()).expect("it is below the limit"),
        };
        Lengths::of(cell).write(&mut self.buffer);
        [cell.key.as_bytes(), cell.value, cell.tags]
            .iter()
            .for_each(|part| self.buffer.extend_from_slice(part));
        self.cells.push_entry(entry);
        self.cells.data_size += data_len(&cell);
    }

    pub(super) fn finish(mut self) -> FlatCells {
        self.end_buffer();
        self.cells
    }

    fn end_buffer(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.shrink_to_fit();
        self.cells.buffers.push(Bytes::from(buffer));
    }
}

impl FlatCells {
    /// Merges newer cells into these. Of cells with the same key and sequence id, the newer one is kept. The
    /// bytes of cells are not copied.
    pub(super) fn merge(&self, newer: &Self) -> Self {
        let len = self.index.len() + newer.index.len();
        let mut merged = Self {
            order: self.order,
            buffers: [self.buffers.as_slice(), &newer.buffers].concat(),
            index: Vec::with_capacity(len),
            samples: Vec::with_capacity(len.div_ceil(SAMPLE)),
            data_size: self.data_size + newer.data_size,
        };
        let shift = u32::try_from(self.buffers.len()).expect("a buffer is large");
        let mut rest = self.index.as_slice();
        for entry in &newer.index {
            let key = newer.key(entry);
            let order = |old: &IndexEntry| compare(&self.key(old), &key);
            let (before, after) = rest.split_at(count_before(rest, |old| order(old).is_lt()));
            merged.push_entries(before);
            rest = match after.split_first() {
                Some((same, after)) if order(same).is_eq() => after,
                _ => after,
            };
            merged.push_entry(IndexEntry { buffer: entry.buffer + shift, ..*entry });
        }
        merged.push_entries(rest);
        merged
    }

    /// Returns the number of cells.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Returns the bytes of all cells, as `KeyValue`s. Cells that newer ones have replaced still count.
    pub(super) fn data_size(&self) -> u64 {
        self.data_size
    }

    /// Returns all cells, in order.
    pub(super) fn cells(&self) -> impl Iterator<Item = CellRef<'_>> {
        self.index.iter().map(|entry| self.cell(entry))
    }

    /// Returns the cell with this number, if any.
    pub(super) fn get(&self, at: usize) -> Option<FlatCell<'_>> {
        (at < self.index.len()).then_some(FlatCell { cells: self, at })
    }

    /// Returns the first cell at a position or after it; only after it if `from` excludes the position.
    pub(super) fn lower_bound(&self, from: Bound<&Key<dyn KeyParts + '_>>) -> Option<FlatCell<'_>> {
        self.get(match from {
            Bound::Included(key) => self.count(key, Ordering::is_lt),
            Bound::Excluded(key) => self.count(key, Ordering::is_le),
            Bound::Unbounded => 0,
        })
    }

    /// Returns the last cell before a position.
    pub(super) fn before(&self, key: &Key<dyn KeyParts + '_>) -> Option<FlatCell<'_>> {
        self.get(self.count(key, Ordering::is_lt).checked_sub(1)?)
    }

    /// Returns the number of cells, from the first, whose order relative to a position satisfies `is_before`.
    fn count(&self, key: &Key<dyn KeyParts + '_>, is_before: impl Fn(Ordering) -> bool) -> usize {
        let first = self.first_from(key.prefix());
        first + count_before(&self.index[first..], |entry| is_before(compare(&self.key(entry), key)))
    }

    /// Returns the number of cells with a lesser prefix. Reads some entries of the index between two samples,
    /// then those between two of these: the cache misses of each step overlap, because there are no branches.
    #[inline]
    fn first_from(&self, prefix: Prefix) -> usize {
        let is_below = |entry: &IndexEntry| usize::from(entry.prefix < prefix);
        let sample = self.samples.partition_point(|sample| *sample < prefix).saturating_sub(1);
        let mut first = sample * SAMPLE;
        let between = &self.index[first..self.index.len().min(first + SAMPLE)];
        first += STEP * between.iter().skip(STEP).step_by(STEP).map(is_below).sum::<usize>();
        let between = &self.index[first..self.index.len().min(first + STEP)];
        first + between.iter().map(is_below).sum::<usize>()
    }

    #[inline]
    fn key(&self, entry: &IndexEntry) -> Key<Indexed<'_>> {
        Key::new(entry.prefix, entry.seq_id, Indexed { cells: self, entry: *entry })
    }

    /// Returns the bytes from a cell on, and its lengths first.
    #[inline]
    fn bytes(&self, entry: &IndexEntry) -> &[u8] {
        &self.buffers[entry.buffer as usize][entry.offset as usize..]
    }

    #[inline]
    fn cell(&self, entry: &IndexEntry) -> CellRef<'_> {
        let (lengths, rest) = Lengths::read(self.bytes(entry));
        let (key, rest) = rest.split_at(lengths.key);
        let (value, rest) = rest.split_at(lengths.value);
        let (tags, _) = rest.split_at(lengths.tags);
        CellRef { key: CellKey::from_checked(key), value, tags, seq_id: entry.seq_id }
    }

    fn push_entry(&mut self, entry: IndexEntry) {
        if self.index.len().is_multiple_of(SAMPLE) {
            self.samples.push(entry.prefix);
        }
        self.index.push(entry);
    }

    fn push_entries(&mut self, mut entries: &[IndexEntry]) {
        while !entries.is_empty() {
            let (some, rest) = entries.split_at(entries.len().min(SAMPLE - self.index.len() % SAMPLE));
            if self.index.len().is_multiple_of(SAMPLE) {
                self.samples.push(some[0].prefix);
            }
            self.index.extend_from_slice(some);
            entries = rest;
        }
    }
}

impl<'s> FlatCell<'s> {
    /// Returns the cell.
    #[inline]
    pub(super) fn cell(&self) -> CellRef<'s> {
        self.cells.cell(&self.cells.index[self.at])
    }

    /// Returns the row, sharing the cell's memory.
    pub(super) fn row(&self) -> Bytes {
        let entry = &self.cells.index[self.at];
        self.cells.buffers[entry.buffer as usize].slice_ref(self.cell().row())
    }

    /// Returns the sequence id. Does not read the bytes of the cell.
    #[inline]
    pub(super) fn seq_id(&self) -> i64 {
        self.cells.index[self.at].seq_id
    }

    /// Returns the number of the cell.
    #[inline]
    pub(super) fn number(&self) -> usize {
        self.at
    }

    /// Loads the first bytes of the cell. The result must be kept, or the load is optimized away.
    #[inline]
    pub(super) fn touch(&self) -> u8 {
        self.cells.bytes(&self.cells.index[self.at]).first().copied().unwrap_or_default()
    }

    /// Returns the next cell.
    #[inline]
    pub(super) fn next(&self) -> Option<Self> {
        self.cells.get(self.at + 1)
    }

    /// Returns the previous cell.
    pub(super) fn prev(&self) -> Option<Self> {
        self.cells.get(self.at.checked_sub(1)?)
    }
}

/// Returns the number of entries at the start for which `is_before` holds; it holds for none after them.
/// Takes time in proportion to the logarithm of the result.
fn count_before(entries: &[IndexEntry], is_before: impl Fn(&IndexEntry) -> bool) -> usize {
    let mut end = 1;
    while entries.get(end - 1).is_some_and(&is_before) {
        end *= 2;
    }
    let (first, end) = (end / 2, end.min(entries.len()));
    first + entries[first..end].partition_point(is_before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_they_were_written() {
        let parts = [0, 1, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff];
        for (key, value, tags) in parts
            .iter()
            .flat_map(|key| parts.iter().map(move |value| (key, value)))
            .flat_map(|(key, value)| [0, 1, 0xffff].map(|tags| (*key, *value, tags)))
        {
            let (lengths, mut bytes) = (Lengths { key, value, tags }, Vec::new());
            lengths.write(&mut bytes);
            let is_short = key < 0x8000 && value < 0x1_0000 && tags == 0;
            assert_eq!(bytes.len(), if is_short { Lengths::SHORT } else { Lengths::LONG });
            bytes.push(7);
            assert_eq!(Lengths::read(&bytes), (lengths, &[7][..]));
        }
    }
}
