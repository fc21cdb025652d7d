//! The list of a table's regions at one point in time. A split or merge makes a new list.

use crate::error::{Error, ErrorKind, Result};
use crate::layout::{RegionChange, Snapshot};
use crate::locator::{LocateType, RegionInconsistency, check_region_chain};
use crate::region::{Region, RegionOptions};
use crate::schema::RegionInfo;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

/// The regions that serve rows.
pub(super) struct RegionList {
    /// The regions in row order.
    pub(super) slots: Vec<Arc<RegionSlot>>,
    /// The inconsistencies between regions, in row order.
    pub(super) inconsistencies: Vec<RegionInconsistency>,
}

/// A region that serves rows.
pub(super) struct RegionSlot {
    pub(super) info: RegionInfo,
    pub(super) source: RegionSource,
    pub(super) region: OnceLock<Region>,
    /// Held while the region is being opened, so that it is opened only once.
    pub(super) opening: Mutex<()>,
    /// A split or merge of the region that may have failed, to be resolved before the region is opened.
    pub(super) unfinished: Option<Arc<UnfinishedChange>>,
    /// Whether the region is in the table's current list. Held shared by writers, and exclusively by a split
    /// or merge. Locked by [`TableCore::enter`](super::TableCore::enter).
    pub(super) is_current: RwLock<bool>,
    /// Whether the region turned out not to exist when it was to be opened. The table then has a later list.
    is_gone: AtomicBool,
}

/// A split or merge that may have failed. The parents of a merge share it.
pub(super) struct UnfinishedChange {
    pub(super) change: RegionChange,
    /// Whether it turned out to have been made, if known.
    pub(super) is_made: Mutex<Option<bool>>,
}

impl UnfinishedChange {
    pub(super) fn new(change: RegionChange) -> Arc<Self> {
        Arc::new(Self { change, is_made: Mutex::new(None) })
    }
}

/// The source from which a region is opened.
pub(super) enum RegionSource {
    /// A directory.
    Dir(PathBuf),
    /// The region of a snapshot at an index.
    Snapshot(Arc<Snapshot>, usize),
}

impl RegionSource {
    pub(super) fn open(&self, options: RegionOptions) -> Result<Region> {
        match self {
            Self::Dir(path) => options.open(path),
            Self::Snapshot(snapshot, index) => match snapshot.region(*index) {
                Some(region) => options.open_of_snapshot(snapshot, region),
                None => Err(Error::new(ErrorKind::RegionNotFound, "the snapshot has fewer regions")),
            },
        }
    }
}

impl RegionSlot {
    pub(super) fn new(
        info: RegionInfo,
        source: RegionSource,
        unfinished: Option<Arc<UnfinishedChange>>,
    ) -> Self {
        let (region, opening) = (OnceLock::new(), Mutex::new(()));
        let (is_current, is_gone) = (RwLock::new(true), AtomicBool::new(false));
        Self { info, source, region, opening, unfinished, is_current, is_gone }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    pub(super) fn set_gone(&self) {
        self.is_gone.store(true, Ordering::Release);
    }

    /// Returns the region's directory; `None` if it is in a snapshot.
    pub(super) fn dir(&self) -> Option<&Path> {
        match &self.source {
            RegionSource::Dir(path) => Some(path),
            RegionSource::Snapshot(..) => None,
        }
    }
}

impl RegionList {
    /// Creates a list of regions in row order.
    pub(super) fn new(slots: Vec<Arc<RegionSlot>>) -> Self {
        let inconsistencies = check_region_chain(slots.iter().map(|slot| &slot.info));
        Self { slots, inconsistencies }
    }

    /// Returns the list with some regions replaced by others; `None` if it does not have the former.
    pub(super) fn with(&self, old: &[Arc<RegionSlot>], new: &[Arc<RegionSlot>]) -> Option<Self> {
        let is_old = |slot: &Arc<RegionSlot>| old.iter().any(|old| Arc::ptr_eq(old, slot));
        let left = self.slots.iter().filter(|slot| !is_old(slot));
        let mut slots: Vec<Arc<RegionSlot>> = left.chain(new).cloned().collect();
        if slots.len() + old.len() != self.slots.len() + new.len() {
            return None;
        }
        slots.sort_by(|a, b| a.info.start_key().cmp(b.info.start_key()));
        Some(Self::new(slots))
    }

    /// Returns the index of the region that has a row.
    #[inline]
    pub(super) fn find(&self, row: &[u8]) -> Result<usize> {
        if !self.inconsistencies.is_empty() {
            let end = [row, &[0]].concat();
            if let Some(fault) = self.inconsistencies.iter().find(|fault| fault.touches(row, &end)) {
                return Err(fault.to_error());
            }
        }
        let begun = self.slots.partition_point(|slot| slot.info.start_key() <= row);
        self.last_of(begun, |info| info.contains(row))
    }

    /// Whether the region at an index has a row.
    pub(super) fn has_row(&self, at: usize, row: &[u8]) -> bool {
        self.slots.get(at).is_some_and(|slot| slot.info.contains(row))
    }

    /// Returns the index of the region at, before or after a row.
    pub(super) fn locate(&self, row: &[u8], position: LocateType) -> Result<usize> {
        match position {
            LocateType::At => self.find(row),
            LocateType::After => self.find(&[row, &[0]].concat()),
            LocateType::Before if row.is_empty() => {
                self.last_of(self.slots.len(), |info| info.end_key().is_empty())
            }
            LocateType::Before => {
                let begun = self.slots.partition_point(|slot| slot.info.start_key() < row);
                self.last_of(begun, |info| info.end_key().is_empty() || row <= info.end_key())
            }
        }
    }

    /// Returns the index of the last of the first `begun` regions for which `is_wanted` returns true. Unless
    /// regions overlap, it is the last one or none.
    #[inline]
    fn last_of(&self, begun: usize, is_wanted: impl Fn(&RegionInfo) -> bool) -> Result<usize> {
        let begun = self.slots.get(..begun).unwrap_or_default();
        begun.iter().rposition(|slot| is_wanted(&slot.info)).ok_or_else(Self::no_region)
    }

    #[cold]
    fn no_region() -> Error {
        Error::new(ErrorKind::RegionNotFound, "no region of the table has the row")
    }
}
