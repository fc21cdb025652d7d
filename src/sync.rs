//! Synchronization primitives from the standard library or, under `--cfg loom`, from loom, which tests all
//! interleavings.

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};

use std::sync::{LockResult, PoisonError};

/// A value on cache lines of its own, so that threads that change its neighbours do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

/// Returns the guard of a lock, even if a thread panicked while holding it. The guarded data is consistent
/// all the same: each change is a single step, or consists of steps that do not panic.
#[inline]
pub(crate) fn unpoisoned<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}
