//! A slot for a decoded block, next to the block's index entry.
//!
//! Looking a block up in a shared cache costs more than searching the block, and a reference count or lock on
//! a hot block makes two threads slower than one. So readers that have the index entry find the block in the
//! slot next to it. The cache fills and empties the slots. A reader only marks a slot as used, and only if it
//! is not marked yet.

use arc_swap::{ArcSwapOption, Guard};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The slots for the children of one index block, or for the chunks of one filter.
pub(crate) struct Slots<T>(Box<[Slot<T>]>);

struct Slot<T> {
    block: ArcSwapOption<T>,
    /// The reference bit of the CLOCK algorithm.
    used: AtomicBool,
}

impl<T> Slots<T> {
    pub(crate) fn new(len: usize) -> Self {
        let empty = || Slot { block: ArcSwapOption::empty(), used: AtomicBool::new(false) };
        Self((0..len).map(|_| empty()).collect())
    }

    /// Returns the block in a slot; `None` if the slot is empty or does not exist.
    #[inline]
    pub(crate) fn get(&self, i: usize) -> Option<Arc<T>> {
        let slot = self.0.get(i)?;
        let block = slot.block.load_full()?;
        slot.mark_used();
        Some(block)
    }

    /// Calls `read` with the block in a slot, without counting a reference.
    #[inline]
    pub(crate) fn with<R>(&self, i: usize, read: impl FnOnce(&T) -> R) -> Option<R> {
        let slot = self.0.get(i)?;
        let block = slot.block.load();
        let result = read(block.as_deref()?);
        slot.mark_used();
        Some(result)
    }

    /// Returns the block in a slot, guarded while it is read, without counting a reference.
    #[inline]
    pub(crate) fn hold(&self, i: usize) -> Option<BlockGuard<T>> {
        let slot = self.0.get(i)?;
        let block = slot.block.load();
        if block.is_none() {
            return None;
        }
        slot.mark_used();
        Some(BlockGuard(block))
    }

    /// Whether there is a block in a slot. Does not count as a use.
    pub(crate) fn has(&self, i: usize) -> bool {
        self.0.get(i).is_some_and(|slot| slot.block.load().is_some())
    }

    pub(crate) fn put(&self, i: usize, block: Arc<T>) {
        if let Some(slot) = self.0.get(i) {
            slot.block.store(Some(block));
        }
    }

    /// Puts a block into an empty slot. Returns false if it is not empty, or does not exist.
    pub(crate) fn fill(&self, i: usize, block: &Arc<T>) -> bool {
        let fill = |slot: &Slot<T>| slot.block.compare_and_swap(&None::<Arc<T>>, Some(Arc::clone(block)));
        self.0.get(i).is_some_and(|slot| fill(slot).is_none())
    }

    /// Whether there is no slot.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the approximate size in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.0.len() * size_of::<Slot<T>>()
    }
}

/// A guard that keeps a block in memory even if its slot is emptied. A thread should hold few at a time.
pub(crate) struct BlockGuard<T>(Guard<Option<Arc<T>>>);

impl<T> BlockGuard<T> {
    /// Guards a block that is in no slot.
    pub(crate) fn of(block: Arc<T>) -> Self {
        Self(Guard::from_inner(Some(block)))
    }
}

impl<T> Deref for BlockGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_deref().expect("an empty slot is not held")
    }
}

impl<T> Slot<T> {
    #[inline]
    fn mark_used(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

impl<T> fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = self.0.iter().filter(|slot| slot.block.load().is_some()).count();
        write!(f, "{full} of {} full", self.0.len())
    }
}

/// The interface of slots for caches.
pub(crate) trait Evict: Send + Sync {
    /// Returns whether the block has been used since the last call.
    fn take_used(&self, i: usize) -> bool;

    /// Empties a slot.
    fn clear(&self, i: usize);
}

impl<T: Send + Sync> Evict for Slots<T> {
    fn take_used(&self, i: usize) -> bool {
        self.0.get(i).is_some_and(|slot| slot.used.swap(false, Ordering::Relaxed))
    }

    fn clear(&self, i: usize) {
        if let Some(slot) = self.0.get(i) {
            slot.block.store(None);
        }
    }
}
