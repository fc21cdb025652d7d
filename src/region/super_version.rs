//! A state that is replaced as a whole, and can be read consistently with a number.

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::unpoisoned;
use crate::sync::{Mutex, MutexGuard};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A state that is read often and replaced rarely. A reader that holds an old state can continue to use it.
pub(super) struct SuperVersionCell<T> {
    current: Current<T>,
    /// Twice the number of swaps so far; odd while a swap is in progress.
    swaps: AtomicU64,
    swapping: Mutex<()>,
}

impl<T> SuperVersionCell<T> {
    pub(super) fn new(state: T) -> Self {
        Self { current: Current::new(Arc::new(state)), swaps: AtomicU64::new(0), swapping: Mutex::new(()) }
    }

    /// Returns the current state.
    #[inline]
    pub(super) fn load(&self) -> impl Deref<Target = Arc<T>> {
        self.current.load()
    }

    /// Replaces the state by the result of `change`.
    pub(super) fn swap(&self, change: impl FnOnce(&T) -> T) {
        let _swapping: MutexGuard<'_, ()> = unpoisoned(self.swapping.lock());
        let next = Arc::new(change(&self.load()));
        // `swapping` is held, so there is no other swap.
        self.swaps.fetch_add(1, Ordering::Relaxed);
        self.current.store(next);
        self.swaps.fetch_add(1, Ordering::Release);
    }

    /// Passes a state to `read`, with a number taken while that state was current.
    ///
    /// `number` must return the last write visible to all, and acquire everything that happened before that
    /// write. Every write it covers then went to this state or to an earlier one; none went to a newer one.
    #[inline]
    pub(super) fn read_at<N, R>(&self, number: impl Fn() -> N, read: impl FnOnce(&Arc<T>, N) -> R) -> R {
        loop {
            let swaps = self.swaps.load(Ordering::Acquire);
            let state = self.load();
            let number = number();
            // A write to a newer state happens after `swaps` became odd for that state, and before the number
            // covers it. So a thread that acquired such a number finds `swaps` changed, and a thread that
            // found `swaps` even at first has acquired everything swapped before. In the middle of a swap the
            // states themselves are compared.
            let unchanged = swaps.is_multiple_of(2) && self.swaps.load(Ordering::Relaxed) == swaps;
            if unchanged || Arc::ptr_eq(&state, &self.load()) {
                return read(&state, number);
            }
        }
    }
}

impl<T> fmt::Debug for SuperVersionCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SuperVersionCell").finish_non_exhaustive()
    }
}

#[cfg(not(loom))]
use arc_swap::ArcSwap as Current;

/// A replacement for `arc_swap`, which loom cannot model.
#[cfg(loom)]
struct Current<T>(Mutex<Arc<T>>);

#[cfg(loom)]
impl<T> Current<T> {
    fn new(state: Arc<T>) -> Self {
        Self(Mutex::new(state))
    }

    fn load(&self) -> Box<Arc<T>> {
        Box::new(Arc::clone(&*unpoisoned(self.0.lock())))
    }

    fn store(&self, state: Arc<T>) {
        *unpoisoned(self.0.lock()) = state;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn old_states_live_while_referenced() {
        let cell = SuperVersionCell::new(1);
        let old = Arc::clone(&cell.load());
        cell.swap(|state| state + 1);
        assert_eq!((*old, **cell.load()), (1, 2));
        assert_eq!(cell.read_at(|| 7, |state, number| (**state, number)), (2, 7));
    }
}

/// Checks every interleaving: `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`.
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::RwLock;
    use loom::thread;

    /// Segments, the newest last. A write goes to the newest segment, and then advances the visible number.
    type Segments = Vec<Arc<AtomicU64>>;

    #[test]
    fn a_number_covers_no_write_that_the_state_does_not_have() {
        loom::model(|| {
            let cell = Arc::new(SuperVersionCell::new(vec![Arc::new(AtomicU64::new(0))] as Segments));
            let (updates, visible) = (Arc::new(RwLock::new(())), Arc::new(AtomicU64::new(0)));
            let writer = {
                let (cell, updates, visible) =
                    (Arc::clone(&cell), Arc::clone(&updates), Arc::clone(&visible));
                thread::spawn(move || {
                    let _updates = updates.read().unwrap();
                    cell.load().last().unwrap().store(1, Ordering::Relaxed);
                    visible.store(1, Ordering::Release);
                })
            };
            let freezer = {
                let (cell, updates) = (Arc::clone(&cell), Arc::clone(&updates));
                thread::spawn(move || {
                    let _updates = updates.write().unwrap();
                    cell.swap(|segments| {
                        let new = Arc::new(AtomicU64::new(0));
                        segments.iter().cloned().chain([new]).collect()
                    });
                })
            };
            let (found, number) = cell.read_at(
                || visible.load(Ordering::Acquire),
                |segments, number| {
                    let found = segments.iter().map(|segment| segment.load(Ordering::Relaxed)).max();
                    (found.unwrap(), number)
                },
            );
            assert!(found >= number, "write {number} is visible, and not there");
            writer.join().unwrap();
            freezer.join().unwrap();
        });
    }
}
