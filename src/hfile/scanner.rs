//! A cursor over the cells of one file (HBase: `HFileScanner`, `HFileReaderImpl`).

mod reversed;

pub(crate) use reversed::ReversedHFileScanner;

use super::index::{IndexPath, Sought};
use super::inner::Inner;
use super::source::Buffers;
use crate::block::BlockType;
use crate::block::data::{CellPlace, DataBlock, Step};
use crate::cache::CacheFill;
use crate::cell::{CellKey, CellRef, same_bytes};
use crate::error::{Corruption, Error, Result};
use std::cmp::Ordering;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a seek found, in the terms of HBase's `seekTo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seek {
    /// The very key.
    Exact,
    /// Not the key, but there are cells before it.
    After,
    /// The key is before the first cell of the file; or, for a [`reseek`](HFileScanner::reseek), before where the scanner stood.
    Before,
    /// The key is in the gap between two blocks: behind the index key of the second, which is a shortened one, and before
    /// its first cell. Where blocks have an index of rows (`ROW_INDEX_V1`), HBase says the same of a key between the row
    /// it is of and that row's first cell in the block.
    Gap,
}

impl Seek {
    /// HBase's code: 0, 1, -1, -2.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Exact => 0,
            Self::After => 1,
            Self::Before => -1,
            Self::Gap => -2,
        }
    }
}

/// Takes the cells of a row, one after the other. A trait and no closure, so that it becomes part of each loop that has one.
pub(crate) trait RowVisitor {
    /// Why it wants no more.
    type Break;

    /// Takes the next cell, which is of the row.
    fn visit_in_row(&mut self, cell: CellRef<'_>) -> ControlFlow<Self::Break>;
}

/// How a walk over the cells of a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowWalk<B> {
    /// It was broken off; the scanner stands on the cell where it was.
    BrokenOff(B),
    /// With the row; the scanner stands on the first cell of the next one.
    RowEnd,
    /// With the last row: the scanner stands nowhere.
    End,
}

/// A cursor over the cells of one file.
///
/// It stands on a cell, which [`peek`](Self::peek) lends, or nowhere: when it is new, past the last cell, or after an
/// error. It keeps the block it stands in, and the memory that blocks are read to.
///
/// Blocks are checked as they are passed: checksums, the link to the block before, that the cells lie between the index
/// keys around them; and when a walk from the first cell reaches the end, that it met as many cells as the file says it has.
pub struct HFileScanner<'f> {
    file: &'f Inner,
    path: IndexPath,
    /// The block the scanner stands in; none if it stands nowhere.
    block: Option<Arc<DataBlock>>,
    place: CellPlace,
    buffers: Buffers,
    hits: u64,
    /// Cells in the blocks met since the first, if none has been left out.
    met: Option<u64>,
}

/// Hits are reported to the cache in lots, since a counter shared by threads is slow.
const REPORT_HITS: u64 = 1 << 10;

impl<'f> HFileScanner<'f> {
    pub(super) fn new(file: &'f Inner) -> Self {
        Self {
            file,
            path: IndexPath::new(&file.root),
            block: None,
            place: CellPlace::default(),
            buffers: Buffers::default(),
            hits: 0,
            met: None,
        }
    }

    /// Whether data blocks that are read go into the cache (default: yes). Blocks that are there are used in any case, and
    /// index blocks are cached (HBase: `cacheBlocks`).
    #[must_use]
    pub fn cache_blocks(mut self, cache: bool) -> Self {
        self.set_cache_fill(CacheFill::of_read(cache));
        self
    }

    /// Which of the blocks that are read go into the cache.
    pub(crate) fn set_cache_fill(&mut self, fill: CacheFill) {
        self.path.set_fill(fill);
    }

    /// Goes to the first cell; false if there is none.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    pub fn seek_to_first(&mut self) -> Result<bool> {
        self.met = None;
        let same = self.block.is_some() && self.path.is_first();
        if !same {
            self.leave_block();
            if !self.path.first_below(self.file, 0)? {
                return Ok(false);
            }
            self.enter_block(false)?;
        }
        let Some(block) = &self.block else { return Ok(false) };
        self.place = block.first();
        self.met = Some(u64::from(block.count()));
        Ok(true)
    }

    /// Goes to the first cell that is not before `key`; nowhere if there is none.
    ///
    /// The result is what HBase's `seekTo` would say. Unlike that, this stands *on* the cell where the result is
    /// [`Seek::After`] or [`Seek::Before`]; [`seek_to`](Self::seek_to) stands where HBase does.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged, or the file's order is unknown.
    #[inline]
    pub fn seek(&mut self, key: &CellKey) -> Result<Seek> {
        if !self.find_block(key)? {
            self.seek_to_first()?;
            self.met = None;
            return Ok(Seek::Before);
        }
        self.seek_in_block(key)
    }

    /// Goes where HBase's `seekTo` goes: to `key`, or to the last cell before it ([`Seek::After`]), or to the first cell
    /// of a block ([`Seek::Gap`]), or nowhere ([`Seek::Before`]).
    ///
    /// # Errors
    ///
    /// As [`seek`](Self::seek).
    pub fn seek_to(&mut self, key: &CellKey) -> Result<Seek> {
        let order = self.file.known_order()?;
        if !self.find_block(key)? {
            self.leave_block();
            return Ok(Seek::Before);
        }
        let Some(block) = &self.block else { return Ok(Seek::Before) };
        let (seek, place) = match block.seek(key, order) {
            Some((place, how)) => (self.judge(block, &place, how, key), Some(place)),
            None => (Seek::After, None),
        };
        let place = if seek == Seek::After { block.seek_before(key, order) } else { place };
        self.place = place.unwrap_or_else(|| block.first());
        Ok(seek)
    }

    /// Goes forward to the first cell that is not before `key`. Stays where it is, with [`Seek::Before`], if that is
    /// behind `key`, and with [`Seek::Exact`] if it is on it.
    ///
    /// Cheaper than [`seek`](Self::seek) when the cell wanted is in the block where the scanner stands.
    ///
    /// # Errors
    ///
    /// As [`seek`](Self::seek); if cells or index keys are out of order, so that the search leads backward.
    pub fn reseek(&mut self, key: &CellKey) -> Result<Seek> {
        let order = self.file.known_order()?;
        let Some(block) = &self.block else { return self.seek(key) };
        match order.compare(block.key(&self.place), key) {
            Ordering::Equal => return Ok(Seek::Exact),
            Ordering::Greater => return Ok(Seek::Before),
            Ordering::Less => {}
        }
        if self.path.next_key().is_none_or(|next| order.compare(key, next).is_lt()) {
            return self.reseek_in_block(key);
        }
        let from = self.offset();
        let seek = self.seek(key)?;
        if self.block.is_some() && self.offset() <= from { Err(self.disorder()) } else { Ok(seek) }
    }

    /// As [`reseek`](Self::reseek), if `key` is in the block.
    #[inline]
    fn reseek_in_block(&mut self, key: &CellKey) -> Result<Seek> {
        let order = self.file.known_order()?;
        let Some(block) = &self.block else { return Ok(Seek::Before) };
        match block.seek(key, order) {
            Some((place, how)) if place.is_after(&self.place) => {
                self.place = place;
                Ok(self.judge(block, &place, how, key))
            }
            Some(_) => Err(self.disorder()),
            None => {
                self.next_block()?;
                Ok(Seek::After)
            }
        }
    }

    /// Goes to the last cell before `key`; false, and nowhere, if there is none.
    ///
    /// # Errors
    ///
    /// As [`seek`](Self::seek).
    pub fn seek_before(&mut self, key: &CellKey) -> Result<bool> {
        let order = self.file.known_order()?;
        if !self.find_block(key)? {
            self.leave_block();
            return Ok(false);
        }
        let before = self.block.as_ref().and_then(|block| block.seek_before(key, order));
        if let Some(before) = before {
            self.place = before;
            return Ok(true);
        }
        // the block's first cell is not before the key, though its index key is
        let link = self.block.as_ref().map_or(-1, |block| block.prev_block_offset());
        let offset = self.offset();
        self.leave_block();
        if !self.path.prev(self.file)? {
            return Ok(false);
        }
        self.check_link(link, offset)?;
        self.enter_block(true)?;
        let Some(block) = &self.block else { return Ok(false) };
        let Some(before) = block.seek_before(key, order) else {
            let error =
                Corruption::Malformed("first cell of the block is not before the index key of the next");
            let offset = self.offset();
            self.leave_block();
            return Err(error.at(self.file.path(), offset));
        };
        self.place = before;
        Ok(true)
    }

    /// Goes to the next cell; false, and nowhere, if there is none.
    ///
    /// # Errors
    ///
    /// At the end of a block, if the next one cannot be read or is damaged.
    #[inline]
    pub fn advance(&mut self) -> Result<bool> {
        let Some(block) = &self.block else { return Ok(false) };
        if block.advance(&mut self.place) {
            return Ok(true);
        }
        self.next_block()
    }

    /// Lends cells from the one it stands on on, until `visit` breaks off or there are no more; it stands on the cell that
    /// it broke off at then.
    #[inline]
    pub(crate) fn walk<B>(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        loop {
            let Some(block) = &self.block else { return Ok(None) };
            // in a register for as long as it goes within the block
            let mut place = self.place;
            let broken_off = loop {
                match visit(block.cell(&place)) {
                    ControlFlow::Break(broken_off) => break Some(broken_off),
                    ControlFlow::Continue(()) if block.advance(&mut place) => {}
                    ControlFlow::Continue(()) => break None,
                }
            };
            self.place = place;
            if broken_off.is_some() {
                return Ok(broken_off);
            }
            self.next_block()?;
        }
    }

    /// Lends the cells of a row from the one it stands on on, until `visitor` breaks off. `row` is memory to
    /// use.
    #[inline]
    pub(crate) fn walk_row<V: RowVisitor>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut V,
    ) -> Result<RowWalk<V::Break>> {
        let Some(block) = &self.block else { return Ok(RowWalk::End) };
        // in a register for as long as it goes within the block
        let mut place = self.place;
        let walked = block.walk_row(&mut place, |cell| visitor.visit_in_row(cell));
        self.place = place;
        match walked {
            ControlFlow::Break(broken_off) => return Ok(RowWalk::BrokenOff(broken_off)),
            ControlFlow::Continue(Step::End) => {}
            ControlFlow::Continue(_) => return Ok(RowWalk::RowEnd),
        }
        self.walk_row_on(row, visitor)
    }

    /// Lends the cell it stands on if it is seen at once that its row ends there, and goes behind it if `visit` has a result; else
    /// there is none, and it stays.
    #[inline]
    pub(crate) fn walk_lone<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        self.block.as_ref()?.walk_lone(&mut self.place, visit)
    }

    /// Goes on with [`walk_row`](Self::walk_row) behind the last cell of a block.
    #[cold]
    fn walk_row_on<B>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut dyn RowVisitor<Break = B>,
    ) -> Result<RowWalk<B>> {
        row.clear();
        row.extend_from_slice(self.peek_row().unwrap_or_default());
        while self.advance()? {
            let Some(cell) = self.peek().filter(|cell| same_bytes(cell.row(), row)) else {
                return Ok(RowWalk::RowEnd);
            };
            if let ControlFlow::Break(broken_off) = visitor.visit_in_row(cell) {
                return Ok(RowWalk::BrokenOff(broken_off));
            }
        }
        Ok(RowWalk::End)
    }

    /// Takes so many steps at most towards the next row, and none beyond the block. Where the last one led, if it was not the last
    /// cell of the block that it came to.
    #[inline]
    pub(crate) fn pass_row(&mut self, steps: usize) -> Step {
        let Some(block) = &self.block else { return Step::End };
        let mut place = self.place;
        let mut step = Step::InRow;
        for _ in 0..steps {
            step = block.advance_in_row(&mut place);
            if step != Step::InRow {
                break;
            }
        }
        self.place = place;
        step
    }

    /// The row of the cell it stands on.
    #[inline]
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        Some(self.block.as_ref()?.row(&self.place))
    }

    /// The cell it stands on.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<CellRef<'_>> {
        Some(self.block.as_ref()?.cell(&self.place))
    }

    /// The index key of the block behind: every cell of the block where the scanner stands is before it. None in the last block.
    #[must_use]
    pub fn next_indexed_key(&self) -> Option<&CellKey> {
        self.block.as_ref()?;
        self.path.next_key()
    }

    /// Stands in the block that `key` is in; false if it is before the first cell.
    #[inline]
    fn find_block(&mut self, key: &CellKey) -> Result<bool> {
        let order = self.file.known_order()?;
        self.met = None;
        let sought = match self.path.seek(self.file, key, order) {
            Ok(sought) => sought,
            Err(error) => {
                self.leave_block();
                return Err(error);
            }
        };
        match sought {
            Sought::Before => Ok(false),
            Sought::Same if self.block.is_some() => Ok(true),
            _ => {
                self.leave_block();
                self.enter_block(true)?;
                Ok(true)
            }
        }
    }

    /// Goes to the first cell not before `key`, which is here or first in the next block.
    #[inline]
    fn seek_in_block(&mut self, key: &CellKey) -> Result<Seek> {
        let order = self.file.known_order()?;
        let Some(block) = &self.block else { return Ok(Seek::Before) };
        match block.seek(key, order) {
            Some((place, how)) => {
                self.place = place;
                Ok(self.judge(block, &place, how, key))
            }
            None => {
                self.next_block()?;
                Ok(Seek::After)
            }
        }
    }

    /// What HBase says of a key, given the first cell of the block that is not before it.
    #[inline]
    fn judge(&self, block: &DataBlock, place: &CellPlace, how: Ordering, key: &CellKey) -> Seek {
        if how.is_eq() {
            Seek::Exact
        } else if block.is_first(place) || self.file.is_row_indexed() && self.is_first_of(block, place, key) {
            Seek::Gap
        } else {
            Seek::After
        }
    }

    /// Whether a cell behind `key` is of its row, and the one before is not.
    fn is_first_of(&self, block: &DataBlock, place: &CellPlace, key: &CellKey) -> bool {
        block.key(place).row() == key.row()
            && self
                .file
                .known_order()
                .ok()
                .and_then(|order| block.seek_before(key, order))
                .is_none_or(|before| block.key(&before).row() != key.row())
    }

    /// Stands in the block of the path, on its first cell.
    #[inline]
    fn enter_block(&mut self, seeking: bool) -> Result<()> {
        let block = self.file.data_block(&self.path, &mut self.buffers, seeking, &mut self.hits)?;
        if self.hits >= REPORT_HITS {
            self.report_hits();
        }
        self.place = if seeking { block.first() } else { block.first_of_many() };
        self.block = Some(block);
        Ok(())
    }

    #[cold]
    fn next_block(&mut self) -> Result<bool> {
        let Some(block) = self.block.take() else { return Ok(false) };
        let Some(handle) = self.path.handle() else { return Ok(false) };
        let met = self.met.take();
        if !self.path.next(self.file)? {
            return self.at_end(&block, met).map(|()| false);
        }
        self.reuse(block);
        self.enter_block(false)?;
        let Some(block) = &self.block else { return Ok(false) };
        let (link, count) = (block.prev_block_offset(), u64::from(block.count()));
        if link != handle.offset.cast_signed() {
            let here = self.offset();
            self.leave_block();
            return Err(self.file.wrong_link(handle.offset, link, here));
        }
        self.met = met.map(|met| met + count);
        Ok(true)
    }

    /// What a walk over all cells shows: their number, and the last of them (hfile.md §17.1).
    fn at_end(&self, last: &DataBlock, met: Option<u64>) -> Result<()> {
        self.file.check_last_key(last.key(&last.last()))?;
        match met {
            Some(met) => self.file.check_entry_count(met),
            None => Ok(()),
        }
    }

    fn check_link(&self, link: i64, here: u64) -> Result<()> {
        match self.path.handle() {
            Some(handle) if handle.offset.cast_signed() != link => {
                Err(self.file.wrong_link(handle.offset, link, here))
            }
            _ => Ok(()),
        }
    }

    /// Where the block of the path begins in the file.
    fn offset(&self) -> u64 {
        self.path.handle().map_or(0, |handle| handle.offset)
    }

    /// The scanner would go backward where it must go forward, or the other way. It stands nowhere after that.
    #[cold]
    fn disorder(&mut self) -> Error {
        let offset = self.offset();
        self.leave_block();
        Corruption::Malformed("cells or index keys are out of order").in_block(
            self.file.path(),
            offset,
            BlockType::Data.name(),
        )
    }

    fn leave_block(&mut self) {
        if let Some(block) = self.block.take() {
            self.reuse(block);
        }
    }

    /// A block that no cache holds gives its memory to the next.
    fn reuse(&mut self, block: Arc<DataBlock>) {
        if let Some(block) = Arc::into_inner(block) {
            self.buffers.spare = block.into_buffer();
        }
    }

    fn report_hits(&mut self) {
        self.file.count_hits(std::mem::take(&mut self.hits));
    }
}

impl Drop for HFileScanner<'_> {
    fn drop(&mut self) {
        self.report_hits();
    }
}

impl fmt::Debug for HFileScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HFileScanner").field("file", &self.file.path()).field("on", &self.peek()).finish()
    }
}

#[cfg(test)]
mod tests;
