//! Row locks: plain writes hold them shared, operations that read before they write hold them exclusively.

use super::RegionCore;
use super::observer::{Held, HeldMark};
use crate::sync::unpoisoned;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use xxhash_rust::xxh3::xxh3_64;

/// The number of locks that all rows share.
const STRIPES: usize = 64;

/// A lock for each row. Rows may share a lock, so a caller must not hold two locks at once, except those
/// returned by [`many`](Self::many).
#[derive(Debug)]
pub(super) struct RowLocks {
    stripes: Box<[Stripe]>,
}

/// A lock on a cache line of its own: writers of other rows do not contend for the line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe(RwLock<()>);

/// A held lock of a row, either shared or exclusive.
#[derive(Debug)]
enum RowLock<'l> {
    Shared(#[expect(dead_code, reason = "held, never read")] RwLockReadGuard<'l, ()>),
    Alone(#[expect(dead_code, reason = "held, never read")] RwLockWriteGuard<'l, ()>),
}

/// The held locks of rows. A single lock is not allocated.
#[derive(Debug)]
pub(super) struct RowsLocked<'l> {
    #[cfg_attr(not(test), expect(dead_code, reason = "held, never read"))]
    first: Option<RowLock<'l>>,
    #[cfg_attr(not(test), expect(dead_code, reason = "held, never read"))]
    others: Vec<RowLock<'l>>,
}

/// A row that is locked exclusively.
#[derive(Debug)]
pub(super) struct LockedRow<'l> {
    _lock: RwLockWriteGuard<'l, ()>,
    _held: Option<HeldMark>,
}

impl RegionCore {
    /// Locks a row exclusively, for a call that also calls observers with the lock held.
    pub(super) fn lock_row(&self, row: &[u8]) -> LockedRow<'_> {
        LockedRow { _lock: self.rows.exclusive(row), _held: self.mark_held(Held::Rows) }
    }
}

impl RowLocks {
    pub(super) fn new() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Stripe::default()).collect() }
    }

    pub(super) fn shared(&self, row: &[u8]) -> RwLockReadGuard<'_, ()> {
        shared(&self.stripes[self.stripe(row)])
    }

    fn exclusive(&self, row: &[u8]) -> RwLockWriteGuard<'_, ()> {
        lock_exclusive(&self.stripes[self.stripe(row)])
    }

    /// Locks many rows, each shared or exclusively. All callers take the locks in the same order, so they
    /// cannot deadlock.
    pub(super) fn many<'r>(&self, mut rows: impl Iterator<Item = (&'r [u8], bool)>) -> RowsLocked<'_> {
        let first = rows.next().map(|(row, is_alone)| (self.stripe(row), is_alone));
        let second = rows.next();
        if second.is_none() {
            return RowsLocked {
                first: first.map(|(stripe, is_alone)| lock(&self.stripes[stripe], is_alone)),
                others: Vec::new(),
            };
        }
        // For each stripe: none if it is not needed, else whether it is locked exclusively.
        let mut wanted = [None; STRIPES];
        let rest = second.into_iter().chain(rows).map(|(row, is_alone)| (self.stripe(row), is_alone));
        for (stripe, is_alone) in first.into_iter().chain(rest) {
            *wanted[stripe].get_or_insert(false) |= is_alone;
        }
        let wanted = self.stripes.iter().zip(wanted);
        let locked = wanted.filter_map(|(stripe, is_alone)| Some(lock(stripe, is_alone?)));
        RowsLocked { first: None, others: locked.collect() }
    }

    fn stripe(&self, row: &[u8]) -> usize {
        usize::try_from(xxh3_64(row) % STRIPES as u64).unwrap_or_default()
    }
}

fn lock(stripe: &Stripe, is_alone: bool) -> RowLock<'_> {
    match is_alone {
        true => RowLock::Alone(lock_exclusive(stripe)),
        false => RowLock::Shared(shared(stripe)),
    }
}

fn shared(stripe: &Stripe) -> RwLockReadGuard<'_, ()> {
    unpoisoned(stripe.0.read())
}

fn lock_exclusive(stripe: &Stripe) -> RwLockWriteGuard<'_, ()> {
    unpoisoned(stripe.0.write())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_named_twice_is_locked_once() {
        let locks = RowLocks::new();
        let held = locks.many([(&b"a"[..], false), (b"a", true), (b"a", false)].into_iter());
        assert!(matches!((&held.first, &held.others[..]), (None, [RowLock::Alone(_)])));
        drop(held);
        let rows: Vec<_> = (0..1000u32).map(u32::to_be_bytes).collect();
        let held = locks.many(rows.iter().map(|row| (&row[..], false)));
        assert_eq!(held.others.len(), STRIPES);
        assert!(held.others.iter().all(|lock| matches!(lock, RowLock::Shared(_))));
        let held_alone = locks.many([(&b"a"[..], false)].into_iter());
        assert!(matches!((&held_alone.first, &held_alone.others[..]), (Some(RowLock::Shared(_)), [])));
        // A shared lock can be taken by others.
        drop(locks.shared(b"a"));
    }
}
