//! Scanner of the visible cells of one file of a store (read-path.md §7; HBase: `StoreFileScanner`,
//! `HalfStoreFileReader`).

use crate::block::data::RowStep;
use crate::cache::CacheFill;
use crate::cell::{CellKey, CellOrder, CellRef, CellType, SeekKey};
use crate::error::Result;
use crate::hfile::{HFileScanner, RowVisitor, RowWalk};
use crate::layout::{Half, Reference};
use crate::schema::BloomType;
use crate::store::version::file::{SeqIds, StoreFile};
use std::fmt;
use std::ops::ControlFlow;

/// A cursor over the visible cells of a file of a store.
///
/// It is positioned on a cell, which [`peek`](Self::peek) returns, or has no position: when it is new, past
/// the last cell, or after an error. After [`request_seek`](Self::request_seek) it may be on a *fake* cell,
/// which is not in the file and sorts before or with the cell that a seek would find. Unless
/// [`real_seek_done`](Self::real_seek_done) returns true, call [`enforce_seek`](Self::enforce_seek) before
/// such a cell is returned.
pub(crate) struct StoreFileScanner<'f> {
    cells: HFileScanner<'f>,
    state: CursorState,
    /// The sequence id of all cells, if it replaces the stored ones.
    seq_id: Option<i64>,
    /// Whether the next cell of the HFile is always the next visible cell.
    is_plain: bool,
    visible: Visible,
    reference: Option<&'f Reference>,
    file: &'f StoreFile,
    non_null_column: bool,
    /// Whether the scanner is on a fake cell and the HFile's cursor may be past it. A seek must not rely on
    /// the cursor's position then.
    is_lost: bool,
    delayed: Option<Delayed>,
    /// The key of the delayed seek, and the fake cell. Allocated on first use.
    delayed_key: Option<SeekKey>,
    fake: Option<SeekKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CursorState {
    Nowhere,
    Cell,
    Fake,
}

/// The kind of a delayed seek.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delayed {
    Seek,
    Reseek,
}

/// The cells that are visible to a reader.
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

/// Returns the sequence id that replaces those of all cells of a file, if any, and which cells are visible at
/// a read point.
pub(super) fn seq_ids_for(file: &StoreFile, read_point: Option<i64>) -> (Option<i64>, Visible) {
    let (seq_id, greatest) = match file.seq_ids() {
        SeqIds::Stored(greatest) => (None, greatest),
        // Sequence ids that are not stored read as 0 anyway.
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

/// The known bound of the block after the scanner's current block (HBase: `getNextIndexedKey`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextIndexedKey<'a> {
    /// Every cell of the current block is before this key, and every cell of later blocks is not.
    Key(&'a CellKey),
    /// The current block is the last one.
    LastBlock,
    /// Nothing: the scanner has no position, or reads only a half of the file.
    Unknown,
}

impl<'f> StoreFileScanner<'f> {
    pub(in crate::store) fn new(file: &'f StoreFile, read_point: Option<i64>, non_null_column: bool) -> Self {
        let (seq_id, visible) = seq_ids_for(file, read_point);
        let reference = file.reference();
        let is_cut = reference.is_some_and(|reference| reference.half == Half::Bottom);
        let mut cells = file.hfile().scanner();
        cells.read_parts(true);
        Self {
            cells,
            state: CursorState::Nowhere,
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

    /// Sets which of the blocks read go into the cache.
    pub(crate) fn set_cache_fill(&mut self, fill: CacheFill) {
        self.cells.set_cache_fill(fill);
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &'f StoreFile {
        self.file
    }

    /// Returns the current cell, real or fake.
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        if self.state == CursorState::Cell {
            let cell = self.cells.peek()?;
            return Some(match self.seq_id {
                None => cell,
                Some(id) => cell.with_seq_id(id),
            });
        }
        self.peek_fake()
    }

    fn peek_fake(&self) -> Option<CellRef<'_>> {
        let fake = self.fake.as_ref().filter(|_| self.state == CursorState::Fake)?;
        Some(CellRef::new(fake, b""))
    }

    /// Moves to the next visible cell. Returns false, with no position, if there is none. From a fake cell,
    /// moves to the first real cell after it.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<bool> {
        if self.is_plain && self.state == CursorState::Cell {
            return self.cells.advance();
        }
        self.advance_with_care()
    }

    /// Passes visible cells to `visit`, from the current one, until `visit` breaks or the cells end. After a
    /// break the scanner is on the cell that caused it.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    #[inline]
    pub(crate) fn walk<B>(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        if self.shows_all_cells() {
            return self.cells.walk(visit);
        }
        while let Some(cell) = self.peek() {
            if let ControlFlow::Break(reason) = visit(cell) {
                return Ok(Some(reason));
            }
            self.advance()?;
        }
        Ok(None)
    }

    /// Passes the visible cells of the current row to `visitor`, from the current one, until `visitor`
    /// breaks. Returns `None` if the caller must walk cell by cell. `row` is scratch memory.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    #[inline]
    pub(crate) fn walk_row<V: RowVisitor>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut V,
    ) -> Result<Option<RowWalk<V::Break>>> {
        if self.shows_all_cells() {
            return self.cells.walk_row(row, visitor).map(Some);
        }
        Ok(None)
    }

    /// If it is cheap to see that the current row has one visible cell, the current one, passes it to
    /// `visit`: see [`HFileScanner::visit_single_cell`].
    #[inline]
    pub(crate) fn visit_single_cell<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        if self.shows_all_cells() { self.cells.visit_single_cell(visit) } else { None }
    }

    /// Whether the cells from the current one on are exactly those of the HFile.
    #[inline]
    fn shows_all_cells(&self) -> bool {
        self.is_plain && self.state == CursorState::Cell && self.seq_id.is_none()
    }

    /// Takes up to `steps` steps towards the next row, if all cells are visible. Returns the result of the
    /// last step.
    #[inline]
    pub(crate) fn pass_row(&mut self, steps: usize) -> RowStep {
        if self.is_plain && self.state == CursorState::Cell {
            self.cells.pass_row(steps)
        } else {
            RowStep::End
        }
    }

    /// Returns the row of the current cell.
    #[inline]
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        if self.state == CursorState::Cell {
            self.cells.peek_row()
        } else {
            self.peek_fake().map(|cell| cell.row())
        }
    }

    fn advance_with_care(&mut self) -> Result<bool> {
        match self.state {
            CursorState::Nowhere => Ok(false),
            CursorState::Cell => {
                self.state = CursorState::Nowhere;
                self.cells.advance()?;
                self.resolve()
            }
            CursorState::Fake if self.delayed.is_some() => self.enforce_seek(),
            CursorState::Fake => {
                let Some(fake) = self.fake.take() else { return Ok(false) };
                let found = self.reseek(&fake);
                self.fake = Some(fake);
                found
            }
        }
    }

    /// Moves to the first visible cell that is not before `key`. Returns false, with no position, if there is
    /// none.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
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
        self.resolve()
    }

    /// Moves forward to the first visible cell that is not before `key`. Does not move if the current cell is
    /// not before `key`.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    pub(crate) fn reseek(&mut self, key: &CellKey) -> Result<bool> {
        if self.is_lost || self.state == CursorState::Nowhere || self.cells.peek().is_none() {
            return self.seek(key);
        }
        self.leave();
        self.cells.reseek(key)?;
        self.resolve()
    }

    /// Seeks `key`, or reseeks if `forward`, delaying the seek where possible (read-path.md §7.4).
    ///
    /// With `use_bloom`, if the Bloom filter excludes the column, the scanner moves to a fake cell after the
    /// whole column, and the seek counts as done. If the whole file is older than `key`, the scanner moves to
    /// a fake cell before all cells that the file may have in the column, and delays the seek. Otherwise it
    /// seeks.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    pub(crate) fn request_seek(&mut self, key: &CellKey, forward: bool, use_bloom: bool) -> Result<bool> {
        if self.visible == Visible::None {
            self.leave();
            return Ok(false);
        }
        let (row, family, qualifier) = key.split();
        let is_lost = self.is_lost || !forward || self.state == CursorState::Nowhere;
        if use_bloom && !self.may_have_column(key) {
            let fake = self.set_fake(None, is_lost);
            fake.set_last_on_column(row, family, qualifier);
            return Ok(true);
        }
        let max_timestamp = self.file.newest_time();
        if key.timestamp() <= max_timestamp {
            return if forward { self.reseek(key) } else { self.seek(key) };
        }
        self.delayed_key.get_or_insert_with(SeekKey::new).set_key(key);
        let delayed = if forward { Delayed::Reseek } else { Delayed::Seek };
        let fake = self.set_fake(Some(delayed), is_lost);
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

    /// Makes the delayed seek, if any.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
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

    /// Whether no seek is delayed. The cell may still be fake, if it is after its whole column.
    #[inline]
    pub(crate) fn real_seek_done(&self) -> bool {
        self.delayed.is_none()
    }

    /// Returns the known bound of the block after the current one.
    pub(crate) fn next_indexed_key(&self) -> NextIndexedKey<'_> {
        if self.is_lost || self.reference.is_some() || self.cells.peek().is_none() {
            return NextIndexedKey::Unknown;
        }
        match self.cells.next_indexed_key() {
            Some(key) => NextIndexedKey::Key(key),
            None => NextIndexedKey::LastBlock,
        }
    }

    /// Moves on, if needed, from the cursor's position to the next visible cell of the half.
    #[inline]
    fn resolve(&mut self) -> Result<bool> {
        if self.is_plain {
            self.state = CursorState::Cell;
            return Ok(self.cells.peek().is_some());
        }
        self.resolve_filtered()
    }

    fn resolve_filtered(&mut self) -> Result<bool> {
        while let Some(cell) = self.cells.peek() {
            if self.reference.is_some_and(|half| half.ends_before(cell.key(), self.order())) {
                return Ok(false);
            }
            if self.visible.shows(&cell) {
                self.state = CursorState::Cell;
                return Ok(true);
            }
            self.cells.advance()?;
        }
        Ok(false)
    }

    /// Clears the position and any delayed seek, before a new seek.
    #[inline]
    fn leave(&mut self) {
        self.state = CursorState::Nowhere;
        self.delayed = None;
        self.is_lost = false;
    }

    fn set_fake(&mut self, delayed: Option<Delayed>, is_lost: bool) -> &mut SeekKey {
        self.state = CursorState::Fake;
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
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;
