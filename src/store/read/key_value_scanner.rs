//! A cursor over one source of a store's cells: a segment or a file (HBase: `KeyValueScanner`).

use super::file_scanner::StoreFileScanner;
use crate::block::data::RowStep;
use crate::cell::{CellKey, CellRef, same_bytes};
use crate::error::Result;
use crate::hfile::{RowVisitor, RowWalk};
use crate::memstore::SegmentScanner;
use std::ops::ControlFlow;

/// A cursor over one source of cells.
#[allow(clippy::large_enum_variant, reason = "few scanners; a box would add an indirection per cell")]
pub(crate) enum KeyValueScanner<'s> {
    Segment(SegmentScanner<'s>),
    File(StoreFileScanner<'s>),
}

impl KeyValueScanner<'_> {
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        match self {
            Self::Segment(scanner) => scanner.peek(),
            Self::File(scanner) => scanner.peek(),
        }
    }

    #[inline]
    pub(super) fn advance(&mut self) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.advance();
                Ok(())
            }
            Self::File(scanner) => scanner.advance().map(drop),
        }
    }

    #[inline]
    pub(super) fn walk<B>(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        match self {
            Self::File(scanner) => scanner.walk(visit),
            Self::Segment(scanner) => {
                while let Some(cell) = scanner.peek() {
                    if let ControlFlow::Break(reason) = visit(cell) {
                        return Ok(Some(reason));
                    }
                    scanner.advance();
                }
                Ok(None)
            }
        }
    }

    /// Passes the cells of the current row to `visitor`, from the current one, until `visitor` breaks. `row`
    /// is scratch memory.
    #[inline]
    pub(super) fn walk_row<V: RowVisitor>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut V,
    ) -> Result<RowWalk<V::Break>> {
        match self {
            Self::File(scanner) => {
                if let Some(walked) = scanner.walk_row(row, visitor)? {
                    return Ok(walked);
                }
            }
            Self::Segment(scanner) => match scanner.walk_row(|cell| visitor.visit_in_row(cell)) {
                Some(ControlFlow::Break(reason)) => return Ok(RowWalk::Stopped(reason)),
                Some(ControlFlow::Continue(RowStep::End)) => return self.walk_row_on(row, visitor),
                Some(ControlFlow::Continue(_)) => return Ok(RowWalk::RowEnd),
                None => {}
            },
        }
        self.walk_row_by_cell(row, visitor)
    }

    /// If it is cheap to see that the current row ends at the current cell, passes the cell to `visit`. Moves
    /// on if `visit` returns `Some`; otherwise stays and returns `None`.
    #[inline]
    pub(super) fn visit_single_cell<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        match self {
            Self::File(scanner) => scanner.visit_single_cell(visit),
            Self::Segment(scanner) => scanner.visit_single_cell(visit),
        }
    }

    /// Same as [`walk_row`](Self::walk_row), for any source.
    fn walk_row_by_cell<B>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut dyn RowVisitor<Break = B>,
    ) -> Result<RowWalk<B>> {
        let Some(cell) = self.peek() else { return Ok(RowWalk::End) };
        match visitor.visit_in_row(cell) {
            ControlFlow::Break(reason) => Ok(RowWalk::Stopped(reason)),
            ControlFlow::Continue(()) => self.walk_row_on(row, visitor),
        }
    }

    /// Continues [`walk_row`](Self::walk_row) after the current cell.
    fn walk_row_on<B>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut dyn RowVisitor<Break = B>,
    ) -> Result<RowWalk<B>> {
        row.clear();
        row.extend_from_slice(self.peek_row().unwrap_or_default());
        loop {
            self.advance()?;
            let Some(cell) = self.peek() else { return Ok(RowWalk::End) };
            if !same_bytes(cell.row(), row) {
                return Ok(RowWalk::RowEnd);
            }
            if let ControlFlow::Break(reason) = visitor.visit_in_row(cell) {
                return Ok(RowWalk::Stopped(reason));
            }
        }
    }

    /// Returns the row of the current cell.
    #[inline(always)] // the loop of every scan
    pub(super) fn peek_row(&self) -> Option<&[u8]> {
        match self {
            Self::File(scanner) => scanner.peek_row(),
            Self::Segment(scanner) => scanner.peek_row(),
        }
    }

    /// Passes the first and the last row of the source to `see`.
    pub(super) fn bounds(&self, mut see: impl FnMut(&[u8])) {
        match self {
            Self::File(scanner) => {
                [scanner.file().first_row(), scanner.file().last_row()].into_iter().flatten().for_each(see);
            }
            Self::Segment(scanner) => {
                [scanner.first_row(), scanner.last_row()].into_iter().flatten().for_each(|row| see(&row));
            }
        }
    }

    pub(super) fn seek(&mut self, key: &CellKey) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.seek(key);
                Ok(())
            }
            Self::File(scanner) => scanner.seek(key).map(drop),
        }
    }

    pub(super) fn reseek(&mut self, key: &CellKey) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.reseek(key);
                Ok(())
            }
            Self::File(scanner) => scanner.reseek(key).map(drop),
        }
    }

    /// Same as [`reseek`](Self::reseek) if `forward`, else [`seek`](Self::seek), but a file may delay the
    /// seek.
    pub(super) fn request_seek(&mut self, key: &CellKey, forward: bool, use_bloom: bool) -> Result<()> {
        match self {
            Self::File(scanner) => scanner.request_seek(key, forward, use_bloom).map(drop),
            Self::Segment(_) if forward => self.reseek(key),
            Self::Segment(_) => self.seek(key),
        }
    }

    #[inline]
    pub(super) fn real_seek_done(&self) -> bool {
        match self {
            Self::Segment(_) => true,
            Self::File(scanner) => scanner.real_seek_done(),
        }
    }

    pub(super) fn enforce_seek(&mut self) -> Result<()> {
        match self {
            Self::Segment(_) => Ok(()),
            Self::File(scanner) => scanner.enforce_seek().map(drop),
        }
    }
}
