//! The cells of several sources as one sequence, in either direction.

use super::file_scanner::NextIndexedKey;
use super::heap::{KeyValueHeap, SeekMode};
use super::reversed_heap::ReversedKeyValueHeap;
use crate::cell::{CellKey, CellRef};
use crate::error::Result;
use std::ops::ControlFlow;
use std::path::Path;

/// A heap of scanners that reads rows from the first to the last, or from the last to the first. The cells of
/// a row are always read forward.
#[derive(Debug)]
pub(super) enum MergingIterator<'s> {
    Forward(KeyValueHeap<'s>),
    Reversed(Box<ReversedKeyValueHeap<'s>>),
}

impl MergingIterator<'_> {
    /// Whether rows come from the last to the first.
    #[inline]
    pub(super) fn is_reversed(&self) -> bool {
        matches!(self, Self::Reversed(_))
    }

    /// Returns the cell on top.
    #[inline]
    pub(super) fn peek(&self) -> Option<CellRef<'_>> {
        match self {
            Self::Forward(heap) => heap.peek(),
            Self::Reversed(heap) => heap.peek(),
        }
    }

    /// Returns the row of the cell on top.
    #[inline]
    pub(super) fn peek_row(&self) -> Option<&[u8]> {
        match self {
            Self::Forward(heap) => heap.peek_row(),
            Self::Reversed(heap) => heap.peek().map(|cell| cell.row()),
        }
    }

    /// Moves to the next cell.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<()> {
        match self {
            Self::Forward(heap) => heap.advance(),
            Self::Reversed(heap) => heap.advance(),
        }
    }

    /// Passes cells to `visit`, from the one on top, until `visit` breaks or the cells end. After a break the
    /// cell that caused it is on top.
    #[inline]
    pub(super) fn walk<B>(&mut self, visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>) -> Result<Option<B>> {
        match self {
            Self::Forward(heap) => heap.walk(visit),
            Self::Reversed(heap) => heap.walk(visit),
        }
    }

    /// Same as [`walk`](Self::walk), at less cost for a few cells.
    pub(super) fn step<B>(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        while let Some(cell) = self.peek() {
            if let ControlFlow::Break(reason) = visit(cell) {
                return Ok(Some(reason));
            }
            self.advance()?;
        }
        Ok(None)
    }

    /// If it is cheap to see that the cell on top is the last of its row, passes it to `visit`. Moves on if
    /// `visit` returns `Some`; otherwise stays and returns `None`.
    #[inline(always)] // the loop of every scan
    pub(super) fn visit_single_cell<R>(
        &mut self,
        visit: impl FnOnce(CellRef<'_>) -> Option<R>,
    ) -> Result<Option<R>> {
        match self {
            Self::Forward(heap) => heap.visit_single_cell(visit),
            Self::Reversed(heap) => heap.visit_single_cell(visit),
        }
    }

    /// Whether it is cheap to see that the cell on top is of a row that no other source has.
    #[inline]
    pub(super) fn has_unshared_row(&self) -> bool {
        match self {
            Self::Forward(heap) => heap.has_unshared_row(),
            Self::Reversed(_) => false,
        }
    }

    /// Moves on, in the direction of the scan, to the first cell that is not before `key`: one of its row or
    /// after it in a forward scan, one of its row or of a previous row in a reversed scan. No seek is delayed
    /// in reverse.
    pub(super) fn reseek(&mut self, key: &CellKey, mode: SeekMode) -> Result<()> {
        match self {
            Self::Forward(heap) => heap.reseek(key, mode),
            Self::Reversed(heap) => heap.reseek(key),
        }
    }

    /// Returns the known bound of the block after the current one of the scanner on top.
    pub(super) fn next_indexed_key(&self) -> NextIndexedKey<'_> {
        match self {
            Self::Forward(heap) => heap.next_indexed_key(),
            Self::Reversed(_) => NextIndexedKey::Unknown,
        }
    }

    /// Returns the index of the source that the cell on top comes from.
    pub(super) fn source_of_top(&self) -> usize {
        match self {
            Self::Forward(heap) => heap.source_of_top(),
            Self::Reversed(heap) => heap.source_of_top(),
        }
    }

    /// Returns the path of the file that the cell on top comes from, for errors.
    #[cold]
    pub(super) fn path_of_top(&self) -> &Path {
        match self {
            Self::Forward(heap) => heap.path_of_top(),
            Self::Reversed(heap) => heap.path_of_top(),
        }
    }
}
