//! The cells of one file of a store that a reader may see (read-path.md §7; HBase: `StoreFileScanner`,
//! `HalfStoreFileReader`).

use super::file::{SeqIds, StoreFile};
use crate::block::data::Step;
use crate::cache::CacheFill;
use crate::cell::{CellKey, CellOrder, CellRef, CellType, SeekKey};
use crate::error::Result;
use crate::hfile::{HFileScanner, RowVisitor, RowWalk};
use crate::layout::{Half, Reference};
use crate::schema::BloomType;
use std::fmt;
use std::ops::ControlFlow;

/// A cursor over the visible cells of a file of a store.
///
/// It stands on a cell, which [`peek`](Self::peek) lends, or nowhere: when it is new, past the last cell, or after an
/// error. After [`request_seek`](Self::request_seek) it may stand on a *fake* cell, which is not in the file and sorts before
/// or with the one that a seek would find. Unless [`real_seek_done`](Self::real_seek_done) says otherwise,
/// [`enforce_seek`](Self::enforce_seek) must come before such a cell is handed out.
pub(crate) struct StoreFileScanner<'f> {
    cells: HFileScanner<'f>,
    stand: Stand,
    /// The sequence id of all cells, if it is not their own.
    seq_id: Option<i64>,
    /// Whether to go forward is to go to the next cell of the HFile: all that follows is visible.
    is_plain: bool,
    visible: Visible,
    reference: Option<&'f Reference>,
    file: &'f StoreFile,
    non_null_column: bool,
    /// The scanner stands on a fake cell, and the HFile's cursor perhaps not before it: a seek must not count on where
    /// that is.
    is_lost: bool,
    delayed: Option<Delayed>,
    /// The seek put off, and the fake cell; no memory unless they are needed.
    delayed_key: Option<SeekKey>,
    fake: Option<SeekKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Nowhere,
    Cell,
    Fake,
}

/// A seek put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delayed {
    Seek,
    Reseek,
}

/// Which cells a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visible {
    All,
    UpTo(i64),
    None,
}

impl Visible {
    pub(super) fn shows(self, cell: &CellRef<'_>) -> bool {
        match self {
            Self::All => true,
            Self::UpTo(point) => cell.seq_id() <= point,
            Self::None => false,
        }
    }
}

/// The sequence id that all cells of a file have, if it is not their own, and which cells a reader sees.
pub(super) fn seq_ids_for(file: &StoreFile, read_point: Option<i64>) -> (Option<i64>, Visible) {
    let (seq_id, greatest) = match file.seq_ids() {
        SeqIds::Stored(greatest) => (None, greatest),
        // what is not stored reads as 0 anyway
        SeqIds::All(0) if !file.hfile().has_seq_ids() => (None, 0),
        SeqIds::All(id) => (Some(id), id),
    };
    let visible = match read_point {
        Some(point) if point < greatest && seq_id.is_some() => Visible::None,
        Some(point) if point < greatest => Visible::UpTo(point),
        _ => Visible::All,
    };
    (seq_id, visible)
}

/// What is known of the block behind the one where a scanner stands (HBase: `getNextIndexedKey`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextIndexedKey<'a> {
    /// Every cell of the scanner's block is before this key, and every cell behind the block is not.
    Key(&'a CellKey),
    /// There is no block behind.
    LastBlock,
    /// Nothing: the scanner stands nowhere, or has only a half of the file.
    Unknown,
}

impl<'f> StoreFileScanner<'f> {
    pub(super) fn new(file: &'f StoreFile, read_point: Option<i64>, non_null_column: bool) -> Self {
        let (seq_id, visible) = seq_ids_for(file, read_point);
        let reference = file.reference();
        let is_cut = reference.is_some_and(|reference| reference.half == Half::Bottom);
        Self {
            cells: file.hfile().scanner(),
            stand: Stand::Nowhere,
            seq_id,
            is_plain: visible == Visible::All && !is_cut,
            visible,
            reference,
            file,
            non_null_column,
            is_lost: false,
            delayed: None,
            delayed_key: None,
            fake: None,
        }
    }

    /// Which of the blocks that are read go into the cache.
    pub(crate) fn set_cache_fill(&mut self, fill: CacheFill) {
        self.cells.set_cache_fill(fill);
    }

    /// The file.
    pub(crate) fn file(&self) -> &'f StoreFile {
        self.file
    }

    /// The cell it stands on, real or fake.
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        if self.stand == Stand::Cell {
            let cell = self.cells.peek()?;
            return Some(match self.seq_id {
                None => cell,
                Some(id) => cell.with_seq_id(id),
            });
        }
        self.peek_fake()
    }

    fn peek_fake(&self) -> Option<CellRef<'_>> {
        let fake = self.fake.as_ref().filter(|_| self.stand == Stand::Fake)?;
        Some(CellRef::new(fake, b""))
    }

    /// Goes to the next visible cell; false, and nowhere, if there is none. From a fake cell it goes to the first one
    /// behind that is real.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool> {
        if self.is_plain && self.stand == Stand::Cell {
            return self.cells.advance();
        }
        self.advance_with_care()
    }

    /// Lends visible cells from the one it stands on on, until `visit` breaks off or there are no more; it stands on the
    /// cell that it broke off at then.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    #[inline]
    pub(crate) fn walk<B>(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        if self.lends_as_it_is() {
            return self.cells.walk(visit);
        }
        while let Some(cell) = self.peek() {
            if let ControlFlow::Break(broken_off) = visit(cell) {
                return Ok(Some(broken_off));
            }
            self.advance()?;
        }
        Ok(None)
    }

    /// Lends the visible cells of a row from the one it stands on on, until `visitor` breaks off; none if it must be walked
    /// cell by cell. `row` is memory to use.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    #[inline]
    pub(crate) fn walk_row<V: RowVisitor>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut V,
    ) -> Result<Option<RowWalk<V::Break>>> {
        if self.lends_as_it_is() {
            return self.cells.walk_row(row, visitor).map(Some);
        }
        Ok(None)
    }

    /// Lends the cell it stands on if it is seen at once that its row, as far as it is visible, begins and ends there: see
    /// [`HFileScanner::walk_lone`].
    #[inline]
    pub(crate) fn walk_lone<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        if self.lends_as_it_is() { self.cells.walk_lone(visit) } else { None }
    }

    /// Whether the cells are those of the HFile, one by one, from the one it stands on on.
    #[inline]
    fn lends_as_it_is(&self) -> bool {
        self.is_plain && self.stand == Stand::Cell && self.seq_id.is_none()
    }

    /// Takes so many steps at most towards the next row, if that is plain to do; where the last one led.
    #[inline]
    pub(crate) fn pass_row(&mut self, steps: usize) -> Step {
        if self.is_plain && self.stand == Stand::Cell { self.cells.pass_row(steps) } else { Step::End }
    }

    /// The row of the cell it stands on.
    #[inline]
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        if self.stand == Stand::Cell {
            self.cells.peek_row()
        } else {
            self.peek_fake().map(|cell| cell.row())
        }
    }

    fn advance_with_care(&mut self) -> Result<bool> {
        match self.stand {
            Stand::Nowhere => Ok(false),
            Stand::Cell => {
                self.stand = Stand::Nowhere;
                self.cells.advance()?;
                self.settle()
            }
            Stand::Fake if self.delayed.is_some() => self.enforce_seek(),
            Stand::Fake => {
                let Some(fake) = self.fake.take() else { return Ok(false) };
                let found = self.reseek(&fake);
                self.fake = Some(fake);
                found
            }
        }
    }

    /// Goes to the first visible cell that is not before `key`; false, and nowhere, if there is none.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub(crate) fn seek(&mut self, key: &CellKey) -> Result<bool> {
        self.leave();
        if self.visible == Visible::None {
            return Ok(false);
        }
        let key = match self.reference {
            Some(Reference { split_key, half: Half::Top }) if self.is_before(key, split_key) => split_key,
            Some(Reference { split_key, half: Half::Bottom }) if !self.is_before(key, split_key) => {
                return Ok(false);
            }
            _ => key,
        };
        self.cells.seek(key)?;
        self.settle()
    }

    /// Goes forward to the first visible cell that is not before `key`; stays where it is if that is not before `key`.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub(crate) fn reseek(&mut self, key: &CellKey) -> Result<bool> {
        if self.is_lost || self.stand == Stand::Nowhere || self.cells.peek().is_none() {
            return self.seek(key);
        }
        self.leave();
        self.cells.reseek(key)?;
        self.settle()
    }

    /// A seek, or a reseek if `forward`, that is put off where possible (read-path.md §7.4).
    ///
    /// With `use_bloom`, a filter that knows nothing of the column makes the scanner stand on a fake cell behind all of
    /// the column, and the seek counts as done. Where all of the file is older than `key`, it stands on a fake cell before all
    /// that the file may have of the column, and the seek is put off. Otherwise it is made.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub(crate) fn request_seek(&mut self, key: &CellKey, forward: bool, use_bloom: bool) -> Result<bool> {
        if self.visible == Visible::None {
            self.leave();
            return Ok(false);
        }
        let (row, family, qualifier) = key.split();
        let is_lost = self.is_lost || !forward || self.stand == Stand::Nowhere;
        if use_bloom && !self.may_have_column(key) {
            let fake = self.stand_on_fake(None, is_lost);
            fake.set_last_on_column(row, family, qualifier);
            return Ok(true);
        }
        let max_timestamp = self.file.time_range().map_or(i64::MAX, |(_, max)| max);
        if key.timestamp() <= max_timestamp {
            return if forward { self.reseek(key) } else { self.seek(key) };
        }
        self.delayed_key.get_or_insert_with(SeekKey::new).set_key(key);
        let delayed = if forward { Delayed::Reseek } else { Delayed::Seek };
        let fake = self.stand_on_fake(Some(delayed), is_lost);
        fake.set(row, family, qualifier, max_timestamp, CellType::Maximum);
        Ok(true)
    }

    /// Whether there may be cells of the column of `key`, or a marker that deletes its row.
    fn may_have_column(&self, key: &CellKey) -> bool {
        let (row, family, qualifier) = key.split();
        if family.is_empty() {
            return true;
        }
        let hfile = self.file.hfile();
        if hfile.general_bloom().is_some_and(|bloom| bloom.bloom_type() == BloomType::RowCol) {
            return hfile.may_contain_column(row, qualifier);
        }
        !self.non_null_column || !key.cell_type().is_family_delete() || hfile.may_contain_delete_family(row)
    }

    /// Makes the seek that was put off, if one was.
    ///
    /// # Errors
    ///
    /// As [`advance`](Self::advance).
    pub(crate) fn enforce_seek(&mut self) -> Result<bool> {
        let Some(delayed) = self.delayed else { return Ok(self.peek().is_some()) };
        let Some(key) = self.delayed_key.take() else { return Ok(false) };
        let found = match delayed {
            Delayed::Seek => self.seek(&key),
            Delayed::Reseek => self.reseek(&key),
        };
        self.delayed_key = Some(key);
        found
    }

    /// Whether no seek has been put off. The cell may be fake all the same, if it is behind all of its column.
    #[inline]
    pub(crate) fn real_seek_done(&self) -> bool {
        self.delayed.is_none()
    }

    /// What is known of the block behind the one where the scanner stands.
    pub(crate) fn next_indexed_key(&self) -> NextIndexedKey<'_> {
        if self.is_lost || self.reference.is_some() || self.cells.peek().is_none() {
            return NextIndexedKey::Unknown;
        }
        match self.cells.next_indexed_key() {
            Some(key) => NextIndexedKey::Key(key),
            None => NextIndexedKey::LastBlock,
        }
    }

    /// Goes on, if need be, from where the cursor stands to the next cell that is visible; not beyond the half.
    #[inline]
    fn settle(&mut self) -> Result<bool> {
        if self.is_plain {
            self.stand = Stand::Cell;
            return Ok(self.cells.peek().is_some());
        }
        self.settle_with_care()
    }

    fn settle_with_care(&mut self) -> Result<bool> {
        while let Some(cell) = self.cells.peek() {
            if self.reference.is_some_and(|half| half.ends_before(cell.key(), self.order())) {
                return Ok(false);
            }
            if self.visible.shows(&cell) {
                self.stand = Stand::Cell;
                return Ok(true);
            }
            self.cells.advance()?;
        }
        Ok(false)
    }

    /// Whatever comes of a seek, no other is pending, and the cell it stood on is gone.
    #[inline]
    fn leave(&mut self) {
        self.stand = Stand::Nowhere;
        self.delayed = None;
        self.is_lost = false;
    }

    fn stand_on_fake(&mut self, delayed: Option<Delayed>, is_lost: bool) -> &mut SeekKey {
        self.stand = Stand::Fake;
        self.delayed = delayed;
        self.is_lost = is_lost;
        self.fake.get_or_insert_with(SeekKey::new)
    }

    fn order(&self) -> CellOrder {
        self.file.order()
    }

    fn is_before(&self, a: &CellKey, b: &CellKey) -> bool {
        self.order().compare(a, b).is_lt()
    }
}

impl fmt::Debug for StoreFileScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFileScanner")
            .field("file", &self.file.name())
            .field("on", &self.peek())
            .field("stand", &self.stand)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;
