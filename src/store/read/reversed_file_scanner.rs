//! Scanner of the visible cells of one file of a store, row by row from the last to the first
//! (read-path.md §7.6, §7.7; HBase: `StoreFileScanner`, `HalfStoreFileReader`).

use super::file_scanner::{Visible, seq_ids_for};
use crate::cache::CacheFill;
use crate::cell::{CellKey, CellRef};
use crate::error::Result;
use crate::hfile::ReversedHFileScanner;
use crate::layout::{Half, Reference};
use crate::store::version::file::StoreFile;
use std::fmt;
use std::ops::ControlFlow;

/// A cursor over the visible cells of a file of a store. It moves backward from row to row, and forward
/// within a row.
///
/// It is on a cell of its row, or after the row's last cell. It has no row when it is new, before the first
/// row, or after an error.
pub(crate) struct ReversedStoreFileScanner<'f> {
    cells: ReversedHFileScanner<'f>,
    /// The sequence id of all cells, if it replaces the stored ones.
    seq_id: Option<i64>,
    visible: Visible,
    /// Whether all cells of the HFile are visible and in the half.
    is_plain: bool,
    reference: Option<&'f Reference>,
    file: &'f StoreFile,
}

impl<'f> ReversedStoreFileScanner<'f> {
    pub(in crate::store) fn new(file: &'f StoreFile, read_point: i64) -> Self {
        let (seq_id, visible) = seq_ids_for(file, Some(read_point));
        let reference = file.reference();
        Self {
            cells: file.hfile().reversed_scanner(),
            seq_id,
            visible,
            is_plain: visible == Visible::All && reference.is_none(),
            reference,
            file,
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

    /// Returns the current cell.
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        let cell = self.cells.peek()?;
        Some(match self.seq_id {
            None => cell,
            Some(id) => cell.with_seq_id(id),
        })
    }

    /// Moves to the next visible cell of the row, or to the end of the row if there is none.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<()> {
        self.cells.advance()?;
        if self.is_plain { Ok(()) } else { self.skip_invisible() }
    }

    /// Passes visible cells of the row to `visit`, from the current one, until `visit` breaks or the cells
    /// end. After a break the scanner is on the cell that caused it.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    #[inline]
    pub(crate) fn walk<B>(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        if self.is_plain && self.seq_id.is_none() {
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

    /// If it is cheap to see that the current row ends at the current cell, passes the cell to `visit`.
    /// Otherwise returns `None`.
    #[inline]
    pub(crate) fn peek_single_cell<R>(&self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        if self.is_plain && self.seq_id.is_none() { self.cells.peek_single_cell(visit) } else { None }
    }

    /// Moves to the first visible cell of the last row that has one, or to no position if there is none.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    pub(crate) fn seek_to_last_row(&mut self) -> Result<()> {
        match self.reference {
            Some(Reference { split_key, half: Half::Bottom }) => self.seek_before(split_key),
            _ if self.visible == Visible::None => Ok(()),
            _ => {
                let found = self.cells.seek_to_last_row()?;
                self.skip_invisible_rows(found)
            }
        }
    }

    /// Moves to the first visible cell of the last row that has one before `key`, or to no position if there
    /// is none. `key` must not be within a row.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    pub(crate) fn seek_before(&mut self, key: &CellKey) -> Result<()> {
        if self.visible == Visible::None {
            return Ok(());
        }
        let found = self.cells.seek_before(self.within_half(key))?;
        self.skip_invisible_rows(found)
    }

    /// Same as [`seek_before`](Self::seek_before), for a `key` before the current row.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged; or if cells are out of order, so that the search leads
    /// forward.
    pub(crate) fn reseek_before(&mut self, key: &CellKey) -> Result<()> {
        if self.visible == Visible::None {
            return Ok(());
        }
        let found = self.cells.reseek_before(self.within_half(key))?;
        self.skip_invisible_rows(found)
    }

    /// Returns the key, or the end of the half if that is before the key.
    fn within_half<'k>(&self, key: &'k CellKey) -> &'k CellKey
    where
        'f: 'k,
    {
        match self.reference {
            Some(Reference { split_key, half: Half::Bottom }) if self.is_before(split_key, key) => split_key,
            _ => key,
        }
    }

    /// Moves to the first visible cell of the nearest previous row that has one, or to no position if there
    /// is none.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    #[inline]
    pub(crate) fn previous_row(&mut self) -> Result<()> {
        let found = self.cells.previous_row()?;
        if self.is_plain { Ok(()) } else { self.skip_invisible_rows(found) }
    }

    /// Moves forward within the row to the first visible cell that is not before `key`, or to the end of the
    /// row if there is none. Does not move if the current cell is not before `key`.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    pub(crate) fn reseek(&mut self, key: &CellKey) -> Result<()> {
        self.cells.reseek(key)?;
        self.skip_invisible()
    }

    /// Moves from the beginning of a row to its first visible cell in the half or, if it has none, to a
    /// previous row. `found`: whether there is a row.
    fn skip_invisible_rows(&mut self, mut found: bool) -> Result<()> {
        while found {
            if let Some(Reference { split_key, half: Half::Top }) = self.reference {
                self.cells.reseek(split_key)?;
                if self.cells.peek().is_none() {
                    self.cells.leave();
                    return Ok(());
                }
            }
            self.skip_invisible()?;
            if self.cells.peek().is_some() {
                return Ok(());
            }
            found = self.cells.previous_row()?;
        }
        Ok(())
    }

    /// Moves on, if needed, to the next visible cell of the row. Moves to the end of the row if the half ends
    /// first.
    fn skip_invisible(&mut self) -> Result<()> {
        if self.is_plain {
            return Ok(());
        }
        while let Some(cell) = self.cells.peek() {
            let is_past_half =
                self.reference.is_some_and(|half| half.ends_before(cell.key(), self.file.order()));
            if self.visible.shows(&cell) && !is_past_half {
                return Ok(());
            }
            self.cells.advance()?;
        }
        Ok(())
    }

    fn is_before(&self, a: &CellKey, b: &CellKey) -> bool {
        self.file.order().compare(a, b).is_lt()
    }
}

impl fmt::Debug for ReversedStoreFileScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReversedStoreFileScanner")
            .field("file", &self.file.name())
            .field("on", &self.peek())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
