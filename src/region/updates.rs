//! Locks writers out while the active segments are replaced (HBase: `HRegion.updatesLock`).

use crate::metrics;
use crate::sync::{Padded, unpoisoned};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

/// The number of locks. Each thread uses one of them.
const STRIPES: usize = 16;

/// Held shared by writers, and exclusively by a flush while it replaces the active segments.
///
/// A shared lock changes only the stripe of the thread, so that writers do not wait for each other's cache
/// lines. An exclusive one takes all stripes, always in the same order.
#[derive(Debug, Default)]
pub(super) struct Updates([Padded<RwLock<()>>; STRIPES]);

impl Updates {
    pub(super) fn shared(&self) -> RwLockReadGuard<'_, ()> {
        unpoisoned(self.0[metrics::stripe() % STRIPES].0.read())
    }

    /// Like [`exclusive`](Self::exclusive), if no other thread has a lock.
    pub(super) fn try_exclusive(&self) -> Option<Vec<RwLockWriteGuard<'_, ()>>> {
        let stripes = self.0.iter().map(|stripe| match stripe.0.try_write() {
            Ok(stripe) => Some(stripe),
            Err(TryLockError::Poisoned(stripe)) => Some(stripe.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        stripes.collect()
    }

    /// Excludes all writers, after those that have a lock.
    pub(super) fn exclusive(&self) -> [RwLockWriteGuard<'_, ()>; STRIPES] {
        self.0.each_ref().map(|stripe| unpoisoned(stripe.0.write()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    #[test]
    fn an_exclusive_lock_excludes_writers_of_all_stripes() {
        let (updates, running) = (Updates::default(), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _shared = updates.shared();
                        running.fetch_add(1, Ordering::Relaxed);
                        running.fetch_sub(1, Ordering::Relaxed);
                    }
                });
            }
            for _ in 0..50 {
                let _alone = updates.exclusive();
                assert_eq!(running.load(Ordering::Relaxed), 0);
            }
        });
    }
}
