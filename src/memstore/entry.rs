//! A cell of a segment that stays valid.

use super::flat::FlatCell;
use super::key::{Key, StoredCell};
use crate::cell::CellRef;
use bytes::Bytes;
use crossbeam_epoch as epoch;
use crossbeam_skiplist::base::{Entry, RefEntry, SkipList};
use std::cmp::Ordering;
use std::fmt;
use std::ptr;

/// The cells of a mutable segment, sorted.
pub(super) type CellList = SkipList<Key<StoredCell>, ()>;

/// An entry of the list, valid while the epoch guard is held.
pub(super) type ListEntry<'s, 'g> = Entry<'s, 'g, Key<StoredCell>, ()>;

/// A cell of a segment. It stays valid even if another cell has replaced it.
#[derive(Clone)]
pub(crate) enum SegmentEntry<'s> {
    /// In the list of a segment that accepts cells, or did.
    Listed(PinnedEntry<'s>),
    /// In the arrays of an immutable segment.
    Flat(FlatCell<'s>),
}

/// A reference-counted entry of a list.
pub(crate) struct PinnedEntry<'s>(
    /// `None` only while dropping.
    Option<RefEntry<'s, Key<StoredCell>, ()>>,
);

impl<'s> SegmentEntry<'s> {
    /// Returns the cell.
    #[inline]
    pub(crate) fn cell(&self) -> CellRef<'_> {
        match self {
            Self::Listed(entry) => entry.key().cell(),
            Self::Flat(entry) => entry.cell(),
        }
    }

    /// Returns the sequence id. Does not read the bytes of the cell.
    #[inline]
    pub(super) fn seq_id(&self) -> i64 {
        match self {
            Self::Listed(entry) => entry.key().seq_id(),
            Self::Flat(entry) => entry.seq_id(),
        }
    }

    /// Returns the row, sharing the cell's memory.
    pub(super) fn row(&self) -> Bytes {
        match self {
            Self::Listed(entry) => entry.key().row(),
            Self::Flat(entry) => entry.row(),
        }
    }

    /// Moves to the next cell. Returns false, and may not move, if there is none.
    #[inline]
    pub(super) fn move_next(&mut self) -> bool {
        match self {
            Self::Listed(entry) => entry.move_next(),
            Self::Flat(entry) => entry.next().is_some_and(|next| {
                *entry = next;
                true
            }),
        }
    }

    /// Returns the previous cell.
    pub(super) fn prev(&self) -> Option<Self> {
        match self {
            Self::Listed(entry) => entry.prev().map(Self::Listed),
            Self::Flat(entry) => entry.prev().map(Self::Flat),
        }
    }

    /// Compares the positions of two cells of one segment.
    #[inline]
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Listed(entry), Self::Listed(other)) => entry.key().cmp(other.key()),
            (Self::Flat(entry), Self::Flat(other)) => entry.number().cmp(&other.number()),
            _ => unreachable!("a segment has a list or arrays"),
        }
    }

    /// Whether two entries of one segment are the same cell. A cell and one that has replaced it are not.
    #[inline]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Listed(entry), Self::Listed(other)) => ptr::eq(entry.key(), other.key()),
            _ => self.compare(other).is_eq(),
        }
    }
}

impl<'s> PinnedEntry<'s> {
    /// Pins the entry that `find` returns. Calls `find` again if the entry was removed in between.
    pub(super) fn find<'g>(mut find: impl FnMut() -> Option<ListEntry<'s, 'g>>) -> Option<Self>
    where
        's: 'g,
    {
        loop {
            if let Some(entry) = find()?.pin() {
                return Some(Self::new(entry));
            }
        }
    }

    pub(super) fn new(entry: RefEntry<'s, Key<StoredCell>, ()>) -> Self {
        Self(Some(entry))
    }

    #[inline]
    fn get(&self) -> &RefEntry<'s, Key<StoredCell>, ()> {
        self.0.as_ref().expect("it is not being dropped")
    }

    /// Returns the cell and its position.
    #[inline]
    pub(super) fn key(&self) -> &Key<StoredCell> {
        self.get().key()
    }

    #[inline]
    fn move_next(&mut self) -> bool {
        self.0.as_mut().is_some_and(|entry| entry.move_next(&epoch::pin()))
    }

    fn prev(&self) -> Option<Self> {
        self.get().prev(&epoch::pin()).map(Self::new)
    }
}

impl Clone for PinnedEntry<'_> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Drop for PinnedEntry<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(entry) = self.0.take() {
            entry.release_with_pin(epoch::pin);
        }
    }
}

impl fmt::Debug for SegmentEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cell().fmt(f)
    }
}
