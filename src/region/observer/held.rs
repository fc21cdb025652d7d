//! Tracks the locks of a region or table that a thread holds while it calls observers or event subscribers. A
//! call from there that needs the same lock fails, instead of waiting for its own thread.

use crate::error::{Error, Result};
use crate::region::RegionCore;
use std::cell::RefCell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// A kind of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Locks of rows.
    Rows,
    /// The lock of the region's flushes.
    Flush,
    /// The lock of the compactions of a family.
    Compaction,
    /// The lock of a close.
    Close,
    /// The lock with which a table opens a region.
    Open,
    /// The lock that keeps the regions of a table from being split or merged.
    TableWrite,
    /// The lock of changes of a table.
    TableChange,
}

impl Held {
    /// The locks held during work on a region's rows or files, for which other threads wait.
    pub(crate) const BY_WORK: [Self; 5] =
        [Self::Rows, Self::Flush, Self::Compaction, Self::Close, Self::Open];
    /// All kinds.
    pub(crate) const ANY: [Self; 7] = [
        Self::Rows,
        Self::Flush,
        Self::Compaction,
        Self::Close,
        Self::Open,
        Self::TableWrite,
        Self::TableChange,
    ];

    /// Returns a description of a hook that is called while this is held.
    fn called(self) -> &'static str {
        match self {
            Self::Rows => "with rows locked",
            Self::Flush => "by a flush",
            Self::Compaction => "by a compaction",
            Self::Close => "by a close",
            Self::Open => "while a region is opened",
            Self::TableWrite => "by a write to the table",
            Self::TableChange => "by a change of the table",
        }
    }
}

/// Identifies an open table of this process to its regions. The default is that of a region without a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableId(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    what: Held,
    /// The region, or null if it is of a table.
    region: *const RegionCore,
    table: TableId,
    /// Whether the region is still being opened, maybe by another thread, which waits for this one.
    is_opening: bool,
}

thread_local! {
    static HELD: RefCell<Vec<Mark>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the marks of the thread, unless it is ending.
fn marks<R: Default>(f: impl FnOnce(&mut Vec<Mark>) -> R) -> R {
    HELD.try_with(|held| f(&mut held.borrow_mut())).unwrap_or_default()
}

/// Marks a lock as held by the thread, until dropped. Not `Send`.
#[derive(Debug)]
#[must_use = "a mark that is dropped has no effect"]
pub(crate) struct HeldMark(Mark);

impl HeldMark {
    fn new(mark: Mark) -> Self {
        marks(|held| held.push(mark));
        Self(mark)
    }
}

impl Drop for HeldMark {
    fn drop(&mut self) {
        marks(|held| {
            if let Some(at) = held.iter().rposition(|other| *other == self.0) {
                held.remove(at);
            }
        });
    }
}

/// Whether the thread is in a hook called with a lock of any region for which a flush may wait.
pub(in crate::region) fn is_held() -> bool {
    marks(|held| held.iter().any(|mark| Held::BY_WORK.contains(&mark.what)))
}

#[cold]
fn refused(asked: &str, what: Held) -> Error {
    let called = what.called();
    Error::invalid_argument(format!("an observer cannot {asked} in a hook that is called {called}"))
}

impl RegionCore {
    /// Whether no code of the caller runs while a thread holds this. Without observers, only subscribers to
    /// the [events](crate::region::events) of flushes, compactions and closes run.
    fn is_unobserved(&self, what: Held) -> bool {
        self.observers.is_empty() && (what == Held::Rows || !cfg!(feature = "tracing"))
    }

    /// Marks a lock as held by the thread. `None` if no code of the caller runs while it is held.
    pub(in crate::region) fn mark_held(&self, what: Held) -> Option<HeldMark> {
        if self.is_unobserved(what) {
            return None;
        }
        let is_opening = !self.is_open.load(Ordering::Acquire);
        Some(HeldMark::new(Mark { what, region: ptr::from_ref(self), table: self.table_id, is_opening }))
    }

    /// Whether the thread is in a hook that is called while it holds any of `held`, of this region.
    pub(in crate::region) fn held(&self, held: &[Held]) -> Option<Held> {
        if held.iter().all(|what| self.is_unobserved(*what)) {
            return None;
        }
        let is_of = |mark: &&Mark| ptr::eq(mark.region, self) && held.contains(&mark.what);
        marks(|marks| marks.iter().find(is_of).map(|mark| mark.what))
    }

    /// Fails in a hook that is called while the thread holds any of `held`, which excludes the operation
    /// `asked`.
    pub(in crate::region) fn check_not_held(&self, held: &[Held], asked: &str) -> Result<()> {
        self.held(held).map_or(Ok(()), |what| Err(refused(&format!("{asked} its region"), what)))
    }
}

/// Used by tables whose regions have observers.
impl TableId {
    /// Returns the id of a table that is being opened.
    pub(in crate::region) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Marks a lock as held by the thread.
    pub(crate) fn mark_held(self, what: Held) -> HeldMark {
        HeldMark::new(Mark { what, region: ptr::null(), table: self, is_opening: false })
    }

    /// Whether the thread holds any of `held` of the table or a region of it.
    fn held(self, held: &[Held]) -> Option<Held> {
        let what = |mark: &Mark| match mark {
            mark if mark.table != self => None,
            mark if held.contains(&mark.what) => Some(mark.what),
            Mark { is_opening: true, .. } if held.contains(&Held::Open) => Some(Held::Open),
            _ => None,
        };
        marks(|marks| marks.iter().find_map(what))
    }

    /// Whether the thread holds this lock of the table.
    pub(crate) fn is_held(self, what: Held) -> bool {
        self.held(&[what]).is_some()
    }

    /// Fails in a hook that is called while the thread holds any of `held`, which excludes the operation
    /// `asked`.
    pub(crate) fn check_not_held(self, held: &[Held], asked: &str) -> Result<()> {
        self.held(held).map_or(Ok(()), |what| Err(refused(asked, what)))
    }
}
