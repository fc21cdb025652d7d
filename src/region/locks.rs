//! Locks of rows: writes of whole values share them, who reads before writing holds them alone.

use crate::sync::unpoisoned;
use std::hash::{BuildHasher, RandomState};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How many locks the rows share.
const STRIPES: usize = 64;

/// A lock for each row; some rows share one, so nobody may hold two at once but those that [`many`](Self::many) gives.
#[derive(Debug)]
pub(super) struct RowLocks {
    stripes: Box<[RwLock<()>]>,
    hasher: RandomState,
}

/// The lock of a row, of one kind or the other.
#[derive(Debug)]
pub(super) enum RowLock<'l> {
    Shared(#[expect(dead_code, reason = "it is held, not read")] RwLockReadGuard<'l, ()>),
    Alone(#[expect(dead_code, reason = "it is held, not read")] RwLockWriteGuard<'l, ()>),
}

impl RowLocks {
    pub(super) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| RwLock::new(())).collect(), hasher: RandomState::new() }
    }

    pub(super) fn shared(&self, row: &[u8]) -> RwLockReadGuard<'_, ()> {
        shared(&self.stripes[self.stripe(row)])
    }

    pub(super) fn alone(&self, row: &[u8]) -> RwLockWriteGuard<'_, ()> {
        alone(&self.stripes[self.stripe(row)])
    }

    /// The locks of many rows, each with whether it is to be held alone. Everybody takes them in the same order, so nobody waits
    /// for somebody who waits for him.
    pub(super) fn many<'r>(&self, rows: impl Iterator<Item = (&'r [u8], bool)>) -> Vec<RowLock<'_>> {
        // of each stripe, whether it is wanted, and whether alone
        let mut wanted = [None; STRIPES];
        for (row, is_alone) in rows {
            *wanted[self.stripe(row)].get_or_insert(false) |= is_alone;
        }
        let wanted = self.stripes.iter().zip(wanted);
        let lock = |(stripe, is_alone): (_, Option<bool>)| match is_alone? {
            true => Some(RowLock::Alone(alone(stripe))),
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

fn alone(stripe: &RwLock<()>) -> RwLockWriteGuard<'_, ()> {
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
        // others may share them
        drop(locks.shared(b"a"));
    }
}
