//! A state that is swapped whole, and read together with a number that grows with it.

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::unpoisoned;
use crate::sync::{Mutex, MutexGuard};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// What everybody reads and few replace. Who holds an old state goes on with it.
pub(super) struct StateCell<T> {
    current: Current<T>,
    /// How often the state has been swapped, twice: odd while it is being.
    swaps: AtomicU64,
    swapping: Mutex<()>,
}

impl<T> StateCell<T> {
    pub(super) fn new(state: T) -> Self {
        Self { current: Current::new(Arc::new(state)), swaps: AtomicU64::new(0), swapping: Mutex::new(()) }
    }

    /// The state as it is now.
    #[inline]
    pub(super) fn load(&self) -> impl Deref<Target = Arc<T>> {
        self.current.load()
    }

    /// Puts what `change` makes of the state in its place.
    pub(super) fn swap(&self, change: impl FnOnce(&T) -> T) {
        let _swapping: MutexGuard<'_, ()> = unpoisoned(self.swapping.lock());
        let next = Arc::new(change(&self.load()));
        // only who holds `swapping` is here
        self.swaps.fetch_add(1, Ordering::Relaxed);
        self.current.store(next);
        self.swaps.fetch_add(1, Ordering::Release);
    }

    /// Hands a state to `read` with a number that was taken while this was the state.
    ///
    /// `number` gives the last write that all may see, and acquires what happened before that write. So a write that it covers
    /// went to this state, or to one before it; none went to a newer one.
    #[inline]
    pub(super) fn read_at<N, R>(&self, number: impl Fn() -> N, read: impl FnOnce(&Arc<T>, N) -> R) -> R {
        loop {
            let swaps = self.swaps.load(Ordering::Acquire);
            let state = self.load();
            let number = number();
            // A write to a newer state happens after `swaps` became odd for that state, and before the number covers it. So
            // whoever acquired such a number finds `swaps` changed; and whoever found it even at first acquired all that was
            // swapped before. In the middle of a swap the states themselves are compared.
            let unchanged = swaps.is_multiple_of(2) && self.swaps.load(Ordering::Relaxed) == swaps;
            if unchanged || Arc::ptr_eq(&state, &self.load()) {
                return read(&state, number);
            }
        }
    }
}

impl<T> fmt::Debug for StateCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateCell").finish_non_exhaustive()
    }
}

#[cfg(not(loom))]
use arc_swap::ArcSwap as Current;

/// What loom can see into, in place of the crate that it cannot.
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
    fn old_states_stay_with_who_holds_them() {
        let cell = StateCell::new(1);
        let old = Arc::clone(&cell.load());
        cell.swap(|state| state + 1);
        assert_eq!((*old, **cell.load()), (1, 2));
        assert_eq!(cell.read_at(|| 7, |state, number| (**state, number)), (2, 7));
    }
}

/// Every order of steps: `RUSTFLAGS="--cfg loom" cargo test --release --lib loom`.
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::RwLock;
    use loom::thread;

    /// Segments, the newest last; a write goes to the newest and then moves the number.
    type Segments = Vec<Arc<AtomicU64>>;

    #[test]
    fn a_number_covers_no_write_that_the_state_does_not_have() {
        loom::model(|| {
            let cell = Arc::new(StateCell::new(vec![Arc::new(AtomicU64::new(0))] as Segments));
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
