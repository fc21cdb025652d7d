//! What is kept of a data block that has left the cache: enough to read one row of it from the file.
//!
//! A cache that is much smaller than the data loses most blocks before they are used again. Reading a block
//! of 64 KiB, checking all of it and building an index for a single look-up takes several times as long as
//! the look-up needs: it needs the one checksum chunk that has the row. An outline has the checksums of a
//! block, the rows at which its chunks begin, and the offsets of some more rows. It takes about one percent
//! of the block.
//!
//! Bytes read by means of an outline are verified with the checksums that the whole block had when its cells
//! were checked, so they are the same bytes.
#![warn(clippy::indexing_slicing)]

use super::block::DataBlock;
use crate::block::checksum::ChunkSums;
use crate::cell::{CellFormat, CellOrder, key_value};
use crate::coding::Cursor;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering as Memory};

/// An outline of a data block. All offsets are from the block's header.
pub(crate) struct BlockOutline {
    sums: ChunkSums,
    format: CellFormat,
    /// The offset after the last cell.
    end: usize,
    /// The number of bytes that are read at once: one or more chunks.
    unit: usize,
    /// The offsets of cells that are the first of their row, ascending.
    starts: Box<[u32]>,
    /// The first of the starts in each unit that has one.
    heads: Box<[Head]>,
    /// The rows of the heads.
    rows: Box<[u8]>,
    /// The number of look-ups since the block was in the cache.
    lookups: AtomicU32,
}

struct Head {
    /// The index of the start.
    start: u32,
    /// The end of the row in the rows.
    row_end: u32,
}

/// The result of a search for a row.
pub(crate) enum OutlineSearch {
    /// The cells that the row has in the block, possibly followed by one of the next row.
    Found(Arc<DataBlock>),
    /// The row is not in this block, but a greater row is, or may be.
    Absent,
    /// All cells are before the row.
    Behind,
}

/// The minimum number of bytes of a read: smaller ones save less than a system call costs.
const MIN_UNIT: usize = 4 << 10;

/// Smaller blocks are read as a whole.
const MIN_BLOCK: usize = 8 << 10;

/// There is a start for about this many bytes.
const SPACING: usize = 2 << 10;

/// The rows of the heads are at most one in this many bytes of the block.
const MAX_ROWS: usize = 32;

/// A row that needs more bytes than this many units is read with its whole block.
const MAX_UNITS: usize = 3;

impl BlockOutline {
    /// Returns the outline of a block; `None` if it has no index or no checksums, is small, or has few rows
    /// or long ones.
    pub(crate) fn of(block: &DataBlock) -> Option<Self> {
        let sums = block.sums().filter(|sums| sums.len() >= MIN_BLOCK)?;
        let unit = MIN_UNIT.div_ceil(sums.chunk_len()).checked_mul(sums.chunk_len())?;
        let (mut starts, mut heads, mut rows) = (Vec::new(), Vec::<Head>::new(), Vec::new());
        let (mut wanted, mut unit_end) = (0, 0);
        for entry in block.entries() {
            let at = block.entry_at(entry);
            if at < wanted {
                continue;
            }
            let Some(row) = block.begun_row(entry) else { continue };
            if at >= unit_end {
                rows.extend_from_slice(row);
                let start = u32::try_from(starts.len()).ok()?;
                heads.push(Head { start, row_end: u32::try_from(rows.len()).ok()? });
                unit_end = (at / unit + 1).saturating_mul(unit);
            }
            starts.push(u32::try_from(at).ok()?);
            wanted = unit_end.min(at + SPACING);
        }
        if heads.is_empty() || rows.len() > sums.len() / MAX_ROWS {
            return None;
        }
        Some(Self {
            sums: sums.clone(),
            format: block.format(),
            end: block.end(),
            unit,
            starts: starts.into(),
            heads: heads.into(),
            rows: rows.into(),
            lookups: AtomicU32::new(0),
        })
    }

    /// The memory size in bytes, for cache accounting.
    pub(crate) fn memory(&self) -> usize {
        let heads = size_of_val(&*self.heads);
        size_of::<Self>() + self.sums.memory() + size_of_val(&*self.starts) + heads + self.rows.len()
    }

    /// Counts a look-up. Returns the number of those before it.
    pub(crate) fn count_lookup(&self) -> u32 {
        self.lookups.fetch_add(1, Memory::Relaxed)
    }

    /// Forgets the look-ups, because the block is in the cache.
    pub(crate) fn forget_lookups(&self) {
        self.lookups.store(0, Memory::Relaxed);
    }

    /// Finds the cells of a row. `read` fills a buffer with the bytes of the block at an offset; `buffer` is
    /// reused memory.
    ///
    /// Returns `None` if the whole block must be read: the row is long, the bytes cannot be read, or they are
    /// not those that the block had.
    pub(crate) fn find_row(
        &self,
        row: &[u8],
        order: CellOrder,
        buffer: &mut Vec<u8>,
        read: impl FnMut(usize, &mut [u8]) -> bool,
    ) -> Option<OutlineSearch> {
        let mut row_start = 0;
        let is_after = |head: &Head| {
            let head_row = self.rows.get(row_start..head.row_end as usize).unwrap_or_default();
            row_start = head.row_end as usize;
            order.compare_rows(head_row, row).is_gt()
        };
        let next_head = self.heads.iter().position(is_after).unwrap_or(self.heads.len());
        let Some(head) = next_head.checked_sub(1) else { return Some(OutlineSearch::Absent) };
        let first = self.heads.get(head)?.start as usize;
        let last = self.heads.get(next_head).map_or(self.starts.len(), |head| head.start as usize);
        // Rows that begin before this offset end there at the latest.
        let limit = self.starts.get(last).map_or(self.end, |&start| start as usize);
        let starts = self.starts.get(first..last)?;
        let mut window = Window { outline: self, base: 0, filled: 0, bytes: buffer, read };
        window.base = *starts.first()? as usize / self.unit * self.unit;
        let mut at = *starts.first()? as usize;
        let (mut low, mut high) = (1, starts.len());
        while low < high {
            let middle = low.midpoint(high);
            let start = *starts.get(middle)? as usize;
            if window.compare_row(start, row, order)?.is_le() {
                (low, at) = (middle + 1, start);
            } else {
                high = middle;
            }
        }
        loop {
            match window.compare_row(at, row, order)? {
                Ordering::Less => at = window.cell(at)?.1,
                Ordering::Equal => {
                    return window.take_row(at, row, limit).map(Arc::new).map(OutlineSearch::Found);
                }
                Ordering::Greater => return Some(OutlineSearch::Absent),
            }
            if at >= limit {
                let is_behind = limit == self.end;
                return Some(if is_behind { OutlineSearch::Behind } else { OutlineSearch::Absent });
            }
        }
    }
}

/// The verified bytes of a block from an offset on, read as they are needed.
struct Window<'w, R> {
    outline: &'w BlockOutline,
    /// The offset of the first byte.
    base: usize,
    /// The number of verified bytes at the start of the buffer.
    filled: usize,
    bytes: &'w mut Vec<u8>,
    read: R,
}

impl<R: FnMut(usize, &mut [u8]) -> bool> Window<'_, R> {
    /// Returns the row of a cell, as a range of the buffer, and the offset after the cell.
    fn cell(&mut self, at: usize) -> Option<(Range<usize>, usize)> {
        loop {
            let cells = self.outline.end.saturating_sub(self.base).min(self.filled);
            let bytes = self.bytes.get(..cells)?;
            let (from, format) = (at.checked_sub(self.base)?, self.outline.format);
            if let Some((row, next)) = key_value::fast_parse(bytes, from, format) {
                return Some((row, self.base + next));
            }
            let mut cursor = Cursor::new(bytes.get(from..).unwrap_or_default());
            if let Ok(cell) = key_value::parse(&mut cursor, format) {
                let row = from + key_value::LENGTHS + 2;
                return Some((row..row + cell.row().len(), at + cursor.position()));
            }
            // The cell is not whole.
            self.extend()?;
        }
    }

    fn compare_row(&mut self, at: usize, row: &[u8], order: CellOrder) -> Option<Ordering> {
        let (found, _) = self.cell(at)?;
        self.bytes.get(found).map(|found| order.compare_rows(found, row))
    }

    /// Reads one more unit.
    fn extend(&mut self) -> Option<()> {
        let BlockOutline { sums, unit, .. } = self.outline;
        let from = self.base + self.filled;
        let len = sums.len().saturating_sub(from).min(*unit);
        if len == 0 || self.filled >= MAX_UNITS * unit {
            return None;
        }
        let end = self.filled + len;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let bytes = self.bytes.get_mut(self.filled..end)?;
        if !(self.read)(from, bytes) || !sums.verify(from, bytes) {
            return None;
        }
        self.filled = end;
        Some(())
    }

    /// Copies the cells of the row that begins at an offset. The first cell of the next row is added if it
    /// is at hand, so that the row is seen to end.
    fn take_row(&mut self, start: usize, row: &[u8], limit: usize) -> Option<DataBlock> {
        let (mut at, mut last, mut count) = (start, start, 0);
        let mut is_of_row = true;
        while is_of_row && at < limit {
            let (found, next) = self.cell(at)?;
            is_of_row = self.bytes.get(found)? == row;
            (last, at) = (at, next);
            count += 1;
        }
        let cells = self.bytes.get(start - self.base..at - self.base)?.to_vec();
        Some(DataBlock::of_checked(cells, self.outline.format, count, last - start))
    }
}

impl fmt::Debug for BlockOutline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockOutline").field("starts", &self.starts.len()).finish_non_exhaustive()
    }
}
