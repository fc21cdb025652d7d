//! Reads rows from parts of data blocks that are not in the cache, by means of the blocks' outlines.

use crate::block::data::{BlockOutline, OutlineSearch};
use crate::cache::FileId;
use crate::cell::CellOrder;
use crate::io::FileReader;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::Range;

/// A data block that is read in parts.
pub(super) struct OutlinedBlock<'b> {
    pub(super) file: FileId,
    pub(super) reader: &'b dyn FileReader,
    /// The offset of the block in the file.
    pub(super) offset: u64,
    pub(super) outline: &'b BlockOutline,
    /// The row of the next block's index key, if it is known.
    pub(super) next_row: Option<&'b [u8]>,
    pub(super) order: CellOrder,
}

/// The source of the part that contains a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartSource {
    /// Memory: nothing was read.
    Memory,
    File,
}

/// While this value exists, this thread reads rows in ascending order: a part of a block that has several of
/// them is read and verified once, and parts next to each other are read by one call.
pub(crate) struct BatchRead {
    /// The rows of an outer call, if observers read rows within a read.
    before: Option<Box<RowBatch>>,
    /// Makes the value neither `Send` nor `Sync`.
    thread: PhantomData<*const ()>,
}

/// The state of this thread.
#[derive(Default)]
struct PartReads {
    /// Memory for a part.
    buffer: Vec<u8>,
    batch: Option<Box<RowBatch>>,
}

thread_local! {
    static READS: Cell<PartReads> = const { Cell::new(PartReads { buffer: Vec::new(), batch: None }) };
}

/// Rows that are read together, and the parts read last.
struct RowBatch {
    /// The rows, ascending.
    rows: Vec<u8>,
    /// The end of each row in `rows`.
    ends: Vec<usize>,
    /// The first row that may be after the one read last.
    at: usize,
    /// The parts read last from each file.
    spans: Vec<Span>,
}

/// Consecutive bytes of a block; none if the file is in memory. Parts are identified by range, because
/// another outline with parts of another size may replace the block's outline.
struct Span {
    file: FileId,
    block: u64,
    is_in_place: bool,
    /// The range of the bytes in the block.
    range: Range<usize>,
    /// The range of the part verified last.
    verified: Range<usize>,
    bytes: Vec<u8>,
}

impl Span {
    /// Returns the bytes of a range, if all of them have been read.
    fn bytes_at(&self, range: &Range<usize>) -> Option<&[u8]> {
        let is_there = self.range.start <= range.start && range.end <= self.range.end;
        is_there.then_some(())?;
        self.bytes.get(range.start - self.range.start..range.end - self.range.start)
    }
}

/// The maximum number of unneeded parts that are read between two needed ones.
const GAP: usize = 1;

/// The maximum number of bytes read at once.
const MAX_SPAN: usize = 256 << 10;

impl BatchRead {
    /// Begins to read rows, which must ascend.
    pub(crate) fn begin<'r>(rows: impl Iterator<Item = &'r [u8]>) -> Self {
        let mut batch = RowBatch { rows: Vec::new(), ends: Vec::new(), at: 0, spans: Vec::new() };
        for row in rows {
            batch.rows.extend_from_slice(row);
            batch.ends.push(batch.rows.len());
        }
        let mut reads = READS.take();
        let before = reads.batch.replace(Box::new(batch));
        READS.set(reads);
        Self { before, thread: PhantomData }
    }
}

impl Drop for BatchRead {
    fn drop(&mut self) {
        let mut reads = READS.take();
        let ended = mem::replace(&mut reads.batch, self.before.take());
        if let Some(span) = ended.and_then(|mut batch| batch.spans.pop()) {
            reads.buffer = span.bytes;
        }
        READS.set(reads);
    }
}

impl fmt::Debug for BatchRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchRead").finish_non_exhaustive()
    }
}

/// Finds the cells of a row in a block. `may_read` is called before a part is read.
///
/// Returns `None` if the whole block must be read: `may_read` returns false; the part is long; or the bytes
/// cannot be read or have changed.
pub(super) fn find_row(
    block: &OutlinedBlock<'_>,
    row: &[u8],
    may_read: impl FnOnce() -> bool,
) -> Option<(OutlineSearch, PartSource)> {
    let Some(part) = block.outline.part_of(row, block.order) else {
        return Some((OutlineSearch::Absent, PartSource::Memory));
    };
    let mut reads = READS.take();
    let found = match &mut reads.batch {
        Some(batch) => batch.find_row(block, part, row, may_read, &mut reads.buffer),
        None if may_read() => find_in_place(block, part, row)
            .or_else(|| read_part(block, part, row, &mut reads.buffer))
            .map(|found| (found, PartSource::File)),
        None => None,
    };
    READS.set(reads);
    found
}

/// Finds the cells of a row in a part of a file that is in memory.
fn find_in_place(block: &OutlinedBlock<'_>, part: usize, row: &[u8]) -> Option<OutlineSearch> {
    let range = block.outline.range_of(part..part + 1)?;
    let mut found = None;
    block.reader.read_in_place(block.offset + range.start as u64, range.len(), &mut |bytes| {
        if block.outline.verify_once(part, bytes) {
            found = block.outline.find_row(part, bytes, row, block.order);
        }
    });
    found
}

/// Reads a part, and finds the cells of a row in it.
fn read_part(
    block: &OutlinedBlock<'_>,
    part: usize,
    row: &[u8],
    buffer: &mut Vec<u8>,
) -> Option<OutlineSearch> {
    let bytes = read_parts(block, part..part + 1, buffer)?;
    if !block.outline.verify(part, bytes) {
        return None;
    }
    block.outline.find_row(part, bytes, row, block.order)
}

/// Reads parts, not yet verified.
fn read_parts<'m>(
    block: &OutlinedBlock<'_>,
    parts: Range<usize>,
    buffer: &'m mut Vec<u8>,
) -> Option<&'m mut [u8]> {
    let range = block.outline.range_of(parts)?;
    if buffer.len() < range.len() {
        buffer.resize(range.len(), 0);
    }
    let bytes = buffer.get_mut(..range.len())?;
    block.reader.read_exact_at(bytes, block.offset + range.start as u64).ok()?;
    Some(bytes)
}

impl RowBatch {
    fn row(&self, i: usize) -> Option<&[u8]> {
        let from = i.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.rows.get(from..*self.ends.get(i)?)
    }

    fn find_row(
        &mut self,
        block: &OutlinedBlock<'_>,
        part: usize,
        row: &[u8],
        may_read: impl FnOnce() -> bool,
        spare: &mut Vec<u8>,
    ) -> Option<(OutlineSearch, PartSource)> {
        let mut source = PartSource::Memory;
        let at = match self.spans.iter().position(|span| span.file == block.file) {
            Some(at) => at,
            None => {
                let (file, block, bytes) = (block.file, block.offset, mem::take(spare));
                let (range, verified) = (0..0, 0..0);
                self.spans.push(Span { file, block, is_in_place: false, range, verified, bytes });
                self.spans.len() - 1
            }
        };
        let range = block.outline.range_of(part..part + 1)?;
        let span = self.spans.get_mut(at)?;
        let is_same = span.block == block.offset;
        if !is_same || span.bytes_at(&range).is_none() {
            if !(is_same && span.is_in_place || may_read()) {
                return None;
            }
            (span.block, span.range, span.verified) = (block.offset, 0..0, 0..0);
            let found = find_in_place(block, part, row);
            span.is_in_place = found.is_some();
            if let Some(found) = found {
                return Some((found, if is_same { source } else { PartSource::File }));
            }
            let parts = self.wanted(block, part, row);
            let span = self.spans.get_mut(at)?;
            read_parts(block, parts.clone(), &mut span.bytes)?;
            span.range = block.outline.range_of(parts)?;
            source = PartSource::File;
        }
        let span = self.spans.get_mut(at)?;
        let bytes = span.bytes_at(&range)?;
        if span.verified != range {
            if !block.outline.verify(part, bytes) {
                span.range = 0..0;
                return None;
            }
            span.verified = range.clone();
        }
        let bytes = span.bytes_at(&range)?;
        Some((block.outline.find_row(part, bytes, row, block.order)?, source))
    }

    /// Returns the part of a row and those after it that the following rows need.
    fn wanted(&mut self, block: &OutlinedBlock<'_>, part: usize, row: &[u8]) -> Range<usize> {
        let order = block.order;
        while self.row(self.at).is_some_and(|next| order.compare_rows(next, row).is_le()) {
            self.at += 1;
        }
        let mut parts = part..part + 1;
        for row in (self.at..).map_while(|i| self.row(i)) {
            if block.next_row.is_some_and(|next| order.compare_rows(row, next).is_ge()) {
                break;
            }
            let Some(part) = block.outline.part_of(row, order) else { break };
            let is_short = |range: &Range<usize>| range.len() <= MAX_SPAN;
            if part > parts.end + GAP
                || !block.outline.range_of(parts.start..part + 1).is_some_and(|p| is_short(&p))
            {
                break;
            }
            parts.end = parts.end.max(part + 1);
        }
        parts
    }
}

#[cfg(test)]
mod tests;
