//! Outlines of data blocks that are not in the cache, with which one row of a block can be read from the
//! file.
//!
//! A cache that is much smaller than the data loses most blocks before they are used again. Reading a block
//! of 64 KiB, checking all of it and building an index for a single lookup takes ten times as long as the
//! lookup needs. An outline divides a block into parts of 4 or 16 KiB, each of whole rows, and has the first
//! row and a checksum of each part. It takes about one percent of the block.
//!
//! In a delta encoding, a cell can only be decoded after the previous one. An outline then has the key of the
//! first cell of each part, and the stored part begins with the value of that cell. If the value is not
//! stored, because it equals the previous cell's, the outline has the whole cell, and the stored part begins
//! after it. If tags are references to a dictionary, the outline has the tags that were in it before each
//! part.
//!
//! The checksums are computed when the block's own checksums and cells are checked, so bytes read by means of
//! an outline are known to be unchanged. HBase's checksums of 16 KiB would require reading four times as
//! much.
#![warn(clippy::indexing_slicing)]

use super::block::{DataBlock, Trust};
use super::position::row_at;
use super::{CellPosition, DataBlockEncoding, DataFormat, Marks, decode_after};
use crate::cell::{CellOrder, key_value};
use crate::coding::Cursor;
use crate::hash::checksum::crc32c;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering as Memory};

/// An outline of a data block. All offsets are from the block's header.
pub(crate) struct BlockOutline {
    format: DataFormat,
    /// The parts, in order.
    parts: Box<[Part]>,
    /// The first rows of the parts; in a delta encoding, the keys of their first cells, or the whole cells.
    firsts: Box<[u8]>,
    /// The tags to which the parts refer, if any.
    tags: Option<Box<KnownTags>>,
    /// The number of lookups since the block was read as a whole.
    lookups: AtomicU32,
    /// A bit for each of the first 64 parts that has been verified, if the file is in memory.
    verified: AtomicU64,
    prev_block_offset: i64,
}

/// The cells of some rows.
struct Part {
    /// The stored bytes.
    start: u32,
    end: u32,
    /// The CRC32C of the stored bytes.
    sum: u32,
    /// The offset of the first cell in the block that is decoded as a whole.
    at: u32,
    /// The end of the part's piece of `firsts`.
    first_end: u32,
}

impl Part {
    /// Whether the part may be read without its block.
    fn is_short(&self) -> bool {
        (self.end - self.start) as usize <= MAX_PART
    }
}

/// The dictionary of tags of a block in which no tag has replaced another: each keeps its slot.
struct KnownTags {
    /// The tags, each after its length, in the order in which they were added.
    all: Box<[u8]>,
    /// For each part, the end of the tags added before its stored bytes.
    ends: Box<[u32]>,
}

/// The stored cells of a block.
#[derive(Clone, Copy)]
pub(crate) struct StoredCells<'s> {
    pub(crate) format: DataFormat,
    pub(crate) bytes: &'s [u8],
    /// The offset of the bytes in the block.
    pub(crate) at: usize,
    /// Used in a delta encoding.
    pub(crate) marks: &'s Marks,
}

impl StoredCells<'_> {
    /// Returns an outline's data for the cell with which a part begins, and the start of the stored part in
    /// the bytes. `number` is the cell's number, `before` the position of the previous cell.
    fn begin_part<'b>(
        &self,
        block: &'b DataBlock,
        number: usize,
        position: &CellPosition,
        before: Option<&CellPosition>,
    ) -> Option<(&'b [u8], usize)> {
        if self.format.keeps_cells_plain() {
            return Some((block.row(position), self.end_before(number, position)?));
        }
        let (cell, mark) = (block.cell(position), self.marks.cells.get(number)?);
        let plain = block.bytes_of(position);
        let may_be_that_before = self.format.encoding == DataBlockEncoding::FastDiff
            && before.is_some_and(|before| block.cell(before).value() == cell.value());
        if may_be_that_before {
            return Some((plain, self.place_of(mark.after)?));
        }
        let key = plain.get(..key_value::LENGTHS + cell.key().as_bytes().len())?;
        Some((key, self.place_of(mark.after_value)?.checked_sub(cell.value().len())?))
    }

    /// Returns the end of the stored part that ends before a cell.
    fn end_before(&self, number: usize, position: &CellPosition) -> Option<usize> {
        if self.format.keeps_cells_plain() {
            return DataBlock::offset_of(position).checked_sub(self.at);
        }
        self.place_of(self.marks.cells.get(number.checked_sub(1)?)?.after)
    }

    /// Returns the offset at which `left` bytes remain.
    fn place_of(&self, left: u32) -> Option<usize> {
        self.bytes.len().checked_sub(left as usize)
    }
}

/// A part that has begun but not ended.
struct OpenPart {
    /// The offsets of the first cell in the decoded block, and of the stored bytes.
    at: usize,
    start: usize,
    /// The least size, in decoded bytes.
    least: usize,
}

/// The result of a search for a row.
pub(crate) enum OutlineSearch {
    /// The cells that the row has in the block, possibly followed by one of the next row.
    Found(Arc<DataBlock>),
    /// The row is not in this block, but a greater row is, or may be.
    Absent,
    /// All cells are before the row.
    After,
}

/// The size of parts: a part ends with the first row that reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartSize {
    /// 4 KiB: reading less costs as much as the system call.
    Fine,
    /// 16 KiB: takes a microsecond more to read, and the outline half as much memory.
    Coarse,
}

impl PartSize {
    /// Returns the least number of bytes.
    fn least(self) -> usize {
        match self {
            Self::Fine => 4 << 10,
            Self::Coarse => 16 << 10,
        }
    }
}

/// A longer part is not read without its block.
const MAX_PART: usize = 48 << 10;

/// Smaller blocks are read as a whole.
const MIN_BLOCK: usize = 8 << 10;

/// A part is at least this many times as long as the outline's data for its first cell.
const MAX_FIRST: usize = 16;

/// `firsts` and the tags take at most one in this many bytes of the block.
const MAX_FIRSTS: usize = 8;

impl BlockOutline {
    /// Returns the outline of a block; `None` if its [stored cells](DataBlock::stored_cells) differ, or it
    /// has no index, is small, or has few rows or long ones.
    pub(crate) fn of(block: &DataBlock, size: PartSize) -> Option<Self> {
        let bytes = block.stored_cells()?;
        let format = DataFormat { cells: block.format(), ..DataFormat::default() };
        let (at, marks) = (block.start(), Marks::default());
        Self::build(block, &StoredCells { format, bytes, at, marks: &marks }, size)
    }

    /// Like [`of`](Self::of), for a block that was decoded from a delta encoding. Also returns `None` if it
    /// had more tags than its dictionary has slots.
    pub(crate) fn of_delta(block: &DataBlock, stored: &StoredCells<'_>, size: PartSize) -> Option<Self> {
        stored.marks.tags.as_ref()?;
        Self::build(block, stored, size)
    }

    /// Divides a block into parts of a size.
    fn build(block: &DataBlock, stored: &StoredCells<'_>, size: PartSize) -> Option<Self> {
        let short = |n: usize| u32::try_from(n).ok();
        let len = block.cell_bytes().len();
        if len < MIN_BLOCK || !block.is_indexed() {
            return None;
        }
        let (mut parts, mut firsts) = (Vec::new(), Vec::<u8>::new());
        let all_tags = stored.marks.tags.as_deref().unwrap_or_default();
        let mut added_tags = all_tags.iter().peekable();
        let (mut tags, mut tag_ends) = (Vec::<u8>::new(), Vec::new());
        let mut end_part = |part: &OpenPart, end: usize, first_end: usize| {
            let sum = crc32c(stored.bytes.get(part.start..end)?);
            let (start, end) = (short(stored.at + part.start)?, short(stored.at + end)?);
            parts.push(Part { start, end, sum, at: short(part.at)?, first_end: short(first_end)? });
            Some(())
        };
        let mut part: Option<OpenPart> = None;
        let mut before = None;
        let mut position = block.first();
        for number in 0.. {
            let at = DataBlock::offset_of(&position);
            let is_due = match (&part, &before) {
                (Some(part), Some(before)) => {
                    at >= part.at + part.least && block.row(&position) != block.row(before)
                }
                _ => true,
            };
            if is_due {
                if let Some(part) = &part {
                    end_part(part, stored.end_before(number, &position)?, firsts.len())?;
                }
                let (first, start) = stored.begin_part(block, number, &position, before.as_ref())?;
                firsts.extend_from_slice(first);
                if !all_tags.is_empty() {
                    while let Some(tag) = added_tags.next_if(|tag| tag.start < at + first.len()) {
                        tags.extend_from_slice(block.content().0.get(tag.clone())?);
                    }
                    tag_ends.push(short(tags.len())?);
                }
                part = Some(OpenPart { at, start, least: size.least().max(first.len() * MAX_FIRST) });
            }
            before = Some(position);
            if !block.advance(&mut position) {
                break;
            }
        }
        end_part(&part?, stored.bytes.len(), firsts.len())?;
        if firsts.len() + tags.len() > len / MAX_FIRSTS || !parts.iter().any(Part::is_short) {
            return None;
        }
        Some(Self {
            format: stored.format,
            parts: parts.into(),
            firsts: firsts.into(),
            tags: (!tags.is_empty()).then(|| Box::new(KnownTags { all: tags.into(), ends: tag_ends.into() })),
            lookups: AtomicU32::new(0),
            verified: AtomicU64::new(0),
            prev_block_offset: block.prev_block_offset(),
        })
    }

    /// Returns the memory size in bytes, for cache accounting.
    pub(crate) fn memory(&self) -> usize {
        let known = |tags: &KnownTags| size_of_val(tags) + tags.all.len() + size_of_val(&*tags.ends);
        let tags = self.tags.as_deref().map_or(0, known);
        size_of::<Self>() + size_of_val(&*self.parts) + self.firsts.len() + tags
    }

    /// Counts a lookup. Returns the number of previous ones.
    pub(crate) fn count_lookup(&self) -> u32 {
        self.lookups.fetch_add(1, Memory::Relaxed)
    }

    /// Forgets the lookups, because the block is in the cache.
    pub(crate) fn forget_lookups(&self) {
        self.lookups.store(0, Memory::Relaxed);
    }

    /// Returns the only part that a row can be in; `None` if all cells are after the row.
    pub(crate) fn part_of(&self, row: &[u8], order: CellOrder) -> Option<usize> {
        let (mut low, mut high) = (0, self.parts.len());
        while low < high {
            let middle = low.midpoint(high);
            if order.compare_rows(self.first_row(middle), row).is_le() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }

    fn first(&self, part: usize) -> &[u8] {
        let end = |part: &Part| part.first_end as usize;
        let from = part.checked_sub(1).and_then(|before| self.parts.get(before)).map_or(0, end);
        let to = self.parts.get(part).map_or(from, end);
        self.firsts.get(from..to).unwrap_or_default()
    }

    /// Returns the tags that are in the dictionary before the stored bytes of a part.
    fn tags_before(&self, part: usize) -> &[u8] {
        let known = self.tags.as_deref().and_then(|tags| tags.all.get(..*tags.ends.get(part)? as usize));
        known.unwrap_or_default()
    }

    fn first_row(&self, part: usize) -> &[u8] {
        let first = self.first(part);
        if self.is_plain() || first.is_empty() { first } else { row_at(first, 0) }
    }

    /// Whether stored parts are plain cells.
    pub(crate) fn is_plain(&self) -> bool {
        self.format.keeps_cells_plain()
    }

    /// Returns the number of parts.
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Returns the range of consecutive parts in the stored block; `None` if one is too long to be read
    /// without the block.
    pub(crate) fn range_of(&self, parts: Range<usize>) -> Option<Range<usize>> {
        let parts = self.parts.get(parts)?;
        let (first, last) = (parts.first()?, parts.last()?);
        parts.iter().all(Part::is_short).then_some(first.start as usize..last.end as usize)
    }

    /// Returns the offset of a part's first cell in the block that is decoded as a whole.
    pub(crate) fn offset_of(&self, part: usize) -> Option<usize> {
        self.parts.get(part).map(|part| part.at as usize)
    }

    /// Whether the stored bytes of a part are unchanged.
    pub(crate) fn verify(&self, part: usize, stored: &[u8]) -> bool {
        self.parts.get(part).is_some_and(|part| crc32c(stored) == part.sum)
    }

    /// Like [`verify`](Self::verify), for bytes that never change: they are verified once.
    pub(crate) fn verify_once(&self, part: usize, stored: &[u8]) -> bool {
        let bit = u32::try_from(part).ok().and_then(|part| 1_u64.checked_shl(part)).unwrap_or(0);
        if self.verified.load(Memory::Relaxed) & bit != 0 {
            return true;
        }
        let is_sound = self.verify(part, stored);
        if is_sound {
            self.verified.fetch_or(bit, Memory::Relaxed);
        }
        is_sound
    }

    /// Appends the cells of a part, given its verified bytes. Returns `None` if these are not cells.
    pub(crate) fn decode(&self, part: usize, stored: &[u8], cells: &mut Vec<u8>) -> Option<()> {
        if self.is_plain() {
            cells.extend_from_slice(stored);
            return Some(());
        }
        let before = (self.first(part), self.tags_before(part));
        decode_after(&self.format, before, stored, MAX_DECODED, cells).ok()
    }

    /// Returns a block of consecutive cells. Returns `None` if the bytes are not cells.
    pub(crate) fn block(&self, bytes: Vec<u8>) -> Option<DataBlock> {
        let cells = 0..bytes.len();
        let block = DataBlock::new(bytes, cells, self.format.cells, Trust::Unchecked, None).ok()?;
        Some(block.with_prev_block_offset(self.prev_block_offset))
    }

    /// Finds the cells of a row in the verified bytes of [its part](Self::part_of). Returns `None` if the
    /// bytes are not cells.
    pub(crate) fn find_row(
        &self,
        part: usize,
        stored: &[u8],
        row: &[u8],
        order: CellOrder,
    ) -> Option<OutlineSearch> {
        if self.is_plain() {
            return self.find_in(part, stored, row, order);
        }
        let mut cells = Vec::new();
        self.decode(part, stored, &mut cells)?;
        self.find_in(part, &cells, row, order)
    }

    /// Like [`find_row`](Self::find_row), in the cells of the part.
    fn find_in(&self, part: usize, cells: &[u8], row: &[u8], order: CellOrder) -> Option<OutlineSearch> {
        let mut at = 0;
        while at < cells.len() {
            let (found, next) = self.cell(cells, at)?;
            match order.compare_rows(found, row) {
                Ordering::Less => at = next,
                Ordering::Equal => {
                    return self.take_row(cells, at, row).map(Arc::new).map(OutlineSearch::Found);
                }
                Ordering::Greater => return Some(OutlineSearch::Absent),
            }
        }
        let is_last = part + 1 == self.parts.len();
        Some(if is_last { OutlineSearch::After } else { OutlineSearch::Absent })
    }

    /// Returns the row of a cell, and the offset after the cell.
    fn cell<'b>(&self, cells: &'b [u8], at: usize) -> Option<(&'b [u8], usize)> {
        if let Some((row, next)) = key_value::fast_parse(cells, at, self.format.cells) {
            return Some((cells.get(row)?, next));
        }
        let mut cursor = Cursor::new(cells.get(at..)?);
        let cell = key_value::parse(&mut cursor, self.format.cells).ok()?;
        Some((cell.row(), at + cursor.position()))
    }

    /// Copies the cells of the row that begins at an offset. The first cell of the next row is added if
    /// available, to show that the row ends.
    fn take_row(&self, cells: &[u8], start: usize, row: &[u8]) -> Option<DataBlock> {
        let (mut at, mut last, mut count) = (start, start, 0);
        let mut is_of_row = true;
        while is_of_row && at < cells.len() {
            let (found, next) = self.cell(cells, at)?;
            is_of_row = found == row;
            (last, at) = (at, next);
            count += 1;
        }
        let cells = cells.get(start..at)?.to_vec();
        Some(DataBlock::of_checked(cells, self.format.cells, count, last - start))
    }
}

/// The maximum number of bytes that a part is decoded to.
const MAX_DECODED: usize = 1 << 20;

impl fmt::Debug for BlockOutline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockOutline").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}
