//! A pinned cell of a segment.

use super::key::{Key, StoredCell};
use crate::cell::CellRef;
use crossbeam_epoch as epoch;
use crossbeam_skiplist::base::{Entry, RefEntry, SkipList};
use std::fmt;

/// The cells of a segment, sorted.
pub(super) type CellList = SkipList<Key<StoredCell>, ()>;

/// An entry of the list, valid while the epoch guard is held.
pub(super) type ListEntry<'s, 'g> = Entry<'s, 'g, Key<StoredCell>, ()>;

/// A reference-counted entry of a segment. It stays valid even if another cell has replaced it.
pub(crate) struct SegmentEntry<'s>(
    /// None only while dropping.
    Option<RefEntry<'s, Key<StoredCell>, ()>>,
);

impl<'s> SegmentEntry<'s> {
    /// Pins the entry that `find` returns. Calls `find` again if the entry was removed meanwhile.
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

    /// The cell and its position.
    #[inline]
    pub(super) fn key(&self) -> &Key<StoredCell> {
        self.get().key()
    }

    pub(crate) fn cell(&self) -> CellRef<'_> {
        self.key().cell()
    }

    /// Moves to the next cell. Returns false if there is none.
    #[inline]
    pub(super) fn move_next(&mut self) -> bool {
        self.0.as_mut().is_some_and(|entry| entry.move_next(&epoch::pin()))
    }

    /// The previous cell.
    pub(super) fn prev(&self) -> Option<Self> {
        self.get().prev(&epoch::pin()).map(Self::new)
    }
}

impl Clone for SegmentEntry<'_> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Drop for SegmentEntry<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(entry) = self.0.take() {
            entry.release_with_pin(epoch::pin);
        }
    }
}

impl fmt::Debug for SegmentEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key().fmt(f)
    }
}
