//! The locks of directories that a storage holds, and those that it has lost.
//!
//! The lock of a file is that of the lowest locked directory above it: a region has its own, below the
//! root's.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A lock of a directory, by a lock file in it.
pub(crate) trait DirLock {
    /// Returns the key of the lock file.
    fn key(&self) -> &str;

    /// Whether nothing depends on the lock any longer: it was released, or its file was removed here.
    fn is_over(&self) -> bool;

    /// Records that nothing depends on the lock any longer.
    fn end(&self);
}

/// The locks of a storage.
pub(crate) struct Locks<L> {
    held: Mutex<Vec<Weak<L>>>,
    /// The lock files that were lost. Nothing is changed in their directories until they are locked again,
    /// except in directories below that have locks of their own.
    lost: Mutex<BTreeSet<String>>,
}

impl<L> Default for Locks<L> {
    fn default() -> Self {
        Self { held: Mutex::default(), lost: Mutex::default() }
    }
}

impl<L> fmt::Debug for Locks<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks").finish_non_exhaustive()
    }
}

impl<L: DirLock> Locks<L> {
    pub(crate) fn add(&self, lock: &Arc<L>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|lock| lock.strong_count() > 0);
        held.push(Arc::downgrade(lock));
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).remove(lock.key());
    }

    pub(crate) fn lose(&self, lock: &L) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(lock.key().to_owned());
    }

    #[cfg(feature = "hdfs")]
    pub(crate) fn is_lost(&self, lock: &L) -> bool {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).contains(lock.key())
    }

    /// Whether this storage has the lock, even if it was lost: its holder's changes would be attributed to
    /// another one.
    #[cfg(feature = "aws")]
    pub(crate) fn has(&self, lock_file: &str) -> bool {
        self.held().iter().any(|lock| lock.key() == lock_file && !lock.is_over())
    }

    /// Ends the locks whose file was removed here.
    pub(crate) fn forget(&self, removed: &str) {
        self.held().iter().filter(|lock| lock.key() == removed).for_each(|lock| lock.end());
    }

    /// Returns the lock of a file. It may have several holders, all but one of which have lost it.
    pub(crate) fn of(&self, key: &str) -> Vec<Arc<L>> {
        let mut covering = self.held();
        covering
            .retain(|lock| key.starts_with(prefix_of(lock.key())) && key != lock.key() && !lock.is_over());
        let depth = depth_of(&covering);
        covering.retain(|lock| Some(prefix_of(lock.key()).len()) == depth);
        covering
    }

    /// The same.
    ///
    /// # Errors
    ///
    /// The lock was lost.
    pub(crate) fn not_lost(&self, key: &str) -> io::Result<Vec<Arc<L>>> {
        let covering = self.of(key);
        let depth = depth_of(&covering);
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let mut prefixes = lost.iter().map(|lock_file| prefix_of(lock_file));
        if prefixes.any(|prefix| key.starts_with(prefix) && Some(prefix.len()) >= depth) {
            return Err(lock_lost());
        }
        Ok(covering)
    }

    /// Returns all locks that have a holder, also lost ones.
    pub(crate) fn held(&self) -> Vec<Arc<L>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().filter_map(Weak::upgrade).collect()
    }
}

/// Returns the length of the part that a key has in common with the locks of the lowest locked directory.
fn depth_of<L: DirLock>(locks: &[Arc<L>]) -> Option<usize> {
    locks.iter().map(|lock| prefix_of(lock.key()).len()).max()
}

/// Returns the prefix of the keys of files in the directory of a lock file.
fn prefix_of(key: &str) -> &str {
    key.rfind('/').and_then(|at| key.get(..=at)).unwrap_or_default()
}

#[cold]
pub(crate) fn lock_lost() -> io::Error {
    io::Error::new(io::ErrorKind::WouldBlock, "the lock was lost: another process may have taken it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    struct Held(&'static str, AtomicBool);

    impl DirLock for Held {
        fn key(&self) -> &str {
            self.0
        }

        fn is_over(&self) -> bool {
            self.1.load(Ordering::SeqCst)
        }

        fn end(&self) {
            self.1.store(true, Ordering::SeqCst);
        }
    }

    fn held(locks: &Locks<Held>, key: &'static str) -> Arc<Held> {
        let lock = Arc::new(Held(key, AtomicBool::new(false)));
        locks.add(&lock);
        lock
    }

    fn of(locks: &Locks<Held>, key: &str) -> Option<Vec<&'static str>> {
        Some(locks.not_lost(key).ok()?.iter().map(|lock| lock.0).collect())
    }

    #[test]
    fn the_lowest_locked_directory_counts() {
        let locks = Locks::default();
        let root = held(&locks, "hbase/.lock");
        let region = held(&locks, "hbase/data/t/r/.lock");
        assert_eq!(of(&locks, "hbase/data/t/r/f/1"), Some(vec!["hbase/data/t/r/.lock"]));
        assert_eq!(of(&locks, "hbase/data/t/.tabledesc"), Some(vec!["hbase/.lock"]));
        assert_eq!(of(&locks, "hbase/data/t/r/.lock"), Some(vec!["hbase/.lock"]), "not a lock of itself");
        assert_eq!(of(&locks, "other/f"), Some(Vec::new()));

        // A lost lock above one that is held does not count, one at or below it does.
        locks.lose(&root);
        assert_eq!(of(&locks, "hbase/data/t/.tabledesc"), None);
        assert_eq!(of(&locks, "hbase/data/t/r/f/1"), Some(vec!["hbase/data/t/r/.lock"]));
        locks.lose(&region);
        assert_eq!(of(&locks, "hbase/data/t/r/f/1"), None);
        drop(region);
        let _again = held(&locks, "hbase/data/t/r/.lock");
        assert_eq!(of(&locks, "hbase/data/t/r/f/1"), Some(vec!["hbase/data/t/r/.lock"]));
    }

    #[cfg(feature = "hdfs")]
    #[test]
    fn a_lock_is_lost_until_it_is_taken_again() {
        let locks = Locks::default();
        let (root, region) = (held(&locks, ".lock"), held(&locks, "r/.lock"));
        locks.lose(&region);
        assert!(locks.is_lost(&region) && !locks.is_lost(&root));
        assert!(!locks.is_lost(&held(&locks, "r/.lock")));
    }

    #[test]
    fn a_removed_lock_file_is_no_lock() {
        let locks = Locks::default();
        let region = held(&locks, "r/.lock");
        locks.forget("r/other");
        assert!(!region.is_over());
        locks.forget("r/.lock");
        assert!(region.is_over());
        assert_eq!(of(&locks, "r/f"), Some(Vec::new()));
    }
}
