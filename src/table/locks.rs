//! Locks of a table. The locks that a thread holds are recorded, so that hooks that use the table cannot
//! deadlock with it or with a thread that waits for it (`region/observer/held.rs`).
//!
//! Nothing is recorded for a table whose regions have no observers.

use super::TableCore;
use super::regions::RegionSlot;
use crate::error::Result;
use crate::region::{Held, HeldMark};
use crate::sync::unpoisoned;
use std::sync::{Arc, MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// The lock of a writer to a region, which keeps the region from being split or merged.
///
/// The fields are dropped in this order: when nothing is being written, the slots of regions are free.
pub(super) struct Writing<'t> {
    is_current: RwLockReadGuard<'t, bool>,
    _writing: Option<RwLockReadGuard<'t, ()>>,
    _held: Option<HeldMark>,
}

impl Writing<'_> {
    /// Whether the region is in the table's current list.
    pub(super) fn is_current(&self) -> bool {
        *self.is_current
    }
}

/// The lock of changes of the table.
pub(super) struct Changing<'t> {
    _changing: MutexGuard<'t, ()>,
    _held: Option<HeldMark>,
}

impl TableCore {
    /// Takes the lock of a writer to a region.
    ///
    /// # Errors
    ///
    /// In a hook that is called by work for which a split or merge waits.
    pub(super) fn enter<'t>(&'t self, slot: &'t RegionSlot) -> Result<Writing<'t>> {
        let (_writing, _held) =
            if self.options.has_observers() { self.enter_observed()? } else { (None, None) };
        Ok(Writing { is_current: unpoisoned(slot.is_current.read()), _writing, _held })
    }

    #[cold]
    fn enter_observed(&self) -> Result<(Option<RwLockReadGuard<'_, ()>>, Option<HeldMark>)> {
        let id = self.options.table_id();
        id.check_not_held(&Held::BY_WORK, "write to its table")?;
        // A hook within a write is covered by the lock of the write.
        let is_within = id.is_held(Held::TableWrite);
        let writing = (!is_within).then(|| unpoisoned(self.writing.read()));
        Ok((writing, Some(id.mark_held(Held::TableWrite))))
    }

    /// Fails as [`enter`](Self::enter) does. A flush takes only the slot of its region: its hooks do not
    /// write, so writers to other regions need not wait for it.
    pub(super) fn check_may_flush(&self) -> Result<()> {
        if !self.options.has_observers() {
            return Ok(());
        }
        self.options.table_id().check_not_held(&Held::BY_WORK, "flush its table")
    }

    /// Takes slots of regions exclusively. `changing` must be held.
    pub(super) fn take<'s>(&self, slots: &'s [Arc<RegionSlot>]) -> Vec<RwLockWriteGuard<'s, bool>> {
        // A hook within a write may write to any region, and must not wait for a change that waits for the
        // write. So this waits until nothing is being written, and then only for flushes.
        let _writing = self.options.has_observers().then(|| unpoisoned(self.writing.write()));
        slots.iter().map(|slot| unpoisoned(slot.is_current.write())).collect()
    }

    /// Takes the lock of changes, for the operation `asked`.
    ///
    /// # Errors
    ///
    /// In a hook that is called by a change, or by work for which a change waits.
    pub(super) fn change(&self, asked: &str) -> Result<Changing<'_>> {
        self.check_may_change(asked)?;
        let _changing = unpoisoned(self.changing.lock());
        let _held =
            self.options.has_observers().then(|| self.options.table_id().mark_held(Held::TableChange));
        Ok(Changing { _changing, _held })
    }

    /// Fails as [`change`](Self::change) does.
    pub(super) fn check_may_change(&self, asked: &str) -> Result<()> {
        if !self.options.has_observers() {
            return Ok(());
        }
        self.options.table_id().check_not_held(&Held::ANY, asked)
    }

    /// Marks that the thread opens a region.
    ///
    /// # Errors
    ///
    /// In a hook that is called while a region of the table is opened: two threads could wait for each other.
    pub(super) fn mark_opening(&self) -> Result<Option<HeldMark>> {
        if !self.options.has_observers() {
            return Ok(None);
        }
        let id = self.options.table_id();
        id.check_not_held(&[Held::Open], "open a region of its table")?;
        Ok(Some(id.mark_held(Held::Open)))
    }
}
