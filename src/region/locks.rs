//! Row locks: plain writes hold them shared, operations that read before they write hold them exclusively.

use crate::sync::unpoisoned;
use std::hash::{BuildHasher, RandomState};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The number of locks that all rows share.
const STRIPES: usize = 64;

/// A lock for each row. Rows may share a lock, so a caller must not hold two locks at once, except those
/// returned by [`many`](Self::many).
#[derive(Debug)]
pub(super) struct RowLocks {
    stripes: Box<[RwLock<()>]>,
    hasher: RandomState,
}

/// A held lock of a row, either shared or exclusive.
#[derive(Debug)]
pub(super) enum RowLock<'l> {
    Shared(#[expect(dead_code, reason = "held, never read")] RwLockReadGuard<'l, ()>),
    Alone(#[expect(dead_code, reason = "held, never read")] RwLockWriteGuard<'l, ()>),
}

impl RowLocks {
    pub(super) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| RwLock::new(())).collect(), hasher: RandomState::new() }
    }

    pub(super) fn shared(&self, row: &[u8]) -> RwLockReadGuard<'_, ()> {
        shared(&self.stripes[self.stripe(row)])
    }

    pub(super) fn exclusive(&self, row: &[u8]) -> RwLockWriteGuard<'_, ()> {
        lock_exclusive(&self.stripes[self.stripe(row)])
    }

    /// Locks many rows, each shared or exclusively. All callers take the locks in the same order, so they
    /// cannot deadlock.
    pub(super) fn many<'r>(&self, rows: impl Iterator<Item = (&'r [u8], bool)>) -> Vec<RowLock<'_>> {
        // For each stripe: none if it is not needed, else whether it is locked exclusively.
        let mut wanted = [None; STRIPES];
        for (row, is_alone) in rows {
            *wanted[self.stripe(row)].get_or_insert(false) |= is_alone;
        }
        let wanted = self.stripes.iter().zip(wanted);
        let lock = |(stripe, is_alone): (_, Option<bool>)| match is_alone? {
            true => Some(RowLock::Alone(lock_exclusive(stripe))),
            false => Some(RowLock::Shared(shared(stripe))),
        };
        wanted.filter_map(lock).collect()
    }

    fn stripe(&self, row: &[u8]) -> usize {
        usize::try_from(self.hasher.hash_one(row) % STRIPES as u64).unwrap_or_default()
    }
}

fn shared(stripe: &RwLock<()>) -> RwLockReadGuard<'_, ()> {
    unpoisoned(stripe.read())
}

fn lock_exclusive(stripe: &RwLock<()>) -> RwLockWriteGuard<'_, ()> {
    unpoisoned(stripe.write())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_named_twice_is_locked_once() {
        let locks = RowLocks::new();
        let held = locks.many([(&b"a"[..], false), (b"a", true), (b"a", false)].into_iter());
        assert!(matches!(held[..], [RowLock::Alone(_)]));
        drop(held);
        let rows: Vec<_> = (0..1000u32).map(u32::to_be_bytes).collect();
        let held = locks.many(rows.iter().map(|row| (&row[..], false)));
        assert_eq!(held.len(), STRIPES);
        assert!(held.iter().all(|lock| matches!(lock, RowLock::Shared(_))));
        // A shared lock can be taken by others.
        drop(locks.shared(b"a"));
    }
}
