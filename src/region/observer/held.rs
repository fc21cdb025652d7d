//! What a thread holds of a region while it calls observers. A hook that needs it again fails, instead of
//! waiting for its own thread.

use crate::error::{Error, Result};
use crate::region::RegionCore;
use std::cell::RefCell;
use std::ptr;

/// What is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::region) enum Held {
    /// Locks of rows.
    Rows,
    /// The lock of the region's flushes.
    Flush,
    /// The lock of the compactions of a family.
    Compaction,
    /// The lock of a close.
    Close,
}

type Marks = Vec<(*const RegionCore, Held)>;

thread_local! {
    static HELD: RefCell<Marks> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the marks of the thread, unless it is ending.
fn marks<R: Default>(f: impl FnOnce(&mut Marks) -> R) -> R {
    HELD.try_with(|held| f(&mut held.borrow_mut())).unwrap_or_default()
}

/// Marks what the thread holds, until it is dropped. It is not `Send`.
#[derive(Debug)]
#[must_use = "a mark that is dropped has no effect"]
pub(in crate::region) struct HeldMark(*const RegionCore, Held);

impl Drop for HeldMark {
    fn drop(&mut self) {
        let mark = (self.0, self.1);
        marks(|held| {
            if let Some(at) = held.iter().rposition(|other| *other == mark) {
                held.remove(at);
            }
        });
    }
}

/// Whether the thread is in a hook that is called with a lock held, of any region.
pub(in crate::region) fn is_held() -> bool {
    marks(|held| !held.is_empty())
}

impl RegionCore {
    /// Marks what the thread holds. `None` without observers, as no hook is called then.
    pub(in crate::region) fn mark_held(&self, what: Held) -> Option<HeldMark> {
        if self.observers.is_empty() {
            return None;
        }
        let region: *const Self = ptr::from_ref(self);
        marks(|held| held.push((region, what)));
        Some(HeldMark(region, what))
    }

    /// Fails in a hook that is called while the thread holds any of `held`, with which the region cannot be
    /// `asked`.
    pub(in crate::region) fn check_not_held(&self, held: &[Held], asked: &str) -> Result<()> {
        if self.observers.is_empty() {
            return Ok(());
        }
        let is_of = |mark: &&(*const Self, Held)| ptr::eq(mark.0, self) && held.contains(&mark.1);
        let Some(what) = marks(|marks| marks.iter().find(is_of).map(|mark| mark.1)) else {
            return Ok(());
        };
        let called = match what {
            Held::Rows => "with rows locked",
            Held::Flush => "by a flush",
            Held::Compaction => "by a compaction",
            Held::Close => "by a close",
        };
        Err(Error::invalid_argument(format!(
            "an observer cannot {asked} its region in a hook that is called {called}"
        )))
    }
}
