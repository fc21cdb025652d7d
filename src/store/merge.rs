//! The cells of some sources as one sequence, in either direction.

use super::file_scanner::NextIndexedKey;
use super::heap::{KeyValueHeap, SeekMode};
use super::reversed_heap::ReversedKeyValueHeap;
use crate::cell::{CellKey, CellRef};
use crate::error::Result;
use std::ops::ControlFlow;
use std::path::Path;

/// A heap of scanners that goes through the rows from the first to the last, or from the last to the first; through the
/// cells of a row always forward.
#[derive(Debug)]
pub(super) enum Merge<'s> {
    Forward(KeyValueHeap<'s>),
    Reversed(Box<ReversedKeyValueHeap<'s>>),
}

impl Merge<'_> {
    /// Whether rows come from the last to the first.
    #[inline]
    pub(super) fn is_reversed(&self) -> bool {
        matches!(self, Self::Reversed(_))
    }

    /// The cell on top.
    #[inline]
    pub(super) fn peek(&self) -> Option<CellRef<'_>> {
        match self {
            Self::Forward(heap) => heap.peek(),
            Self::Reversed(heap) => heap.peek(),
        }
    }

    /// The row of the cell on top.
    #[inline]
    pub(super) fn peek_row(&self) -> Option<&[u8]> {
        match self {
            Self::Forward(heap) => heap.peek_row(),
            Self::Reversed(heap) => heap.peek().map(|cell| cell.row()),
        }
    }

    /// Goes to the next cell.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<()> {
        match self {
            Self::Forward(heap) => heap.advance(),
            Self::Reversed(heap) => heap.advance(),
        }
    }

    /// Lends cells from the one on top on, until `visit` breaks off or there are no more; the cell that it broke off at
    /// is on top then.
    #[inline]
    pub(super) fn walk<B>(&mut self, visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>) -> Result<Option<B>> {
        match self {
            Self::Forward(heap) => heap.walk(visit),
            Self::Reversed(heap) => heap.walk(visit),
        }
    }

    /// Lends the cell on top if it is seen at once that there is no other behind it in its row, and goes on if `visit` has a result;
    /// else there is none, and it stays.
    #[inline(always)] // the loop of every scan
    pub(super) fn walk_lone<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Result<Option<R>> {
        match self {
            Self::Forward(heap) => heap.walk_lone(visit),
            Self::Reversed(heap) => heap.walk_lone(visit),
        }
    }

    /// Whether no other source has a cell of the row of the cell on top, as far as that is easily told.
    #[inline]
    pub(super) fn has_row_alone(&self) -> bool {
        match self {
            Self::Forward(heap) => heap.has_row_alone(),
            Self::Reversed(_) => false,
        }
    }

    /// Goes on, in the direction of the scan, to the first cell that is not before `key`: forward that is so of the cells
    /// of its row and of those behind, backward of those of the row before. Nothing is put off backward.
    pub(super) fn reseek(&mut self, key: &CellKey, mode: SeekMode) -> Result<()> {
        match self {
            Self::Forward(heap) => heap.reseek(key, mode),
            Self::Reversed(heap) => heap.reseek(key),
        }
    }

    /// What is known of the block behind the one in which the top stands.
    pub(super) fn next_indexed_key(&self) -> NextIndexedKey<'_> {
        match self {
            Self::Forward(heap) => heap.next_indexed_key(),
            Self::Reversed(_) => NextIndexedKey::Unknown,
        }
    }

    /// Where the cell on top comes from, for errors.
    #[cold]
    pub(super) fn path_of_top(&self) -> &Path {
        match self {
            Self::Forward(heap) => heap.path_of_top(),
            Self::Reversed(heap) => heap.path_of_top(),
        }
    }
}
