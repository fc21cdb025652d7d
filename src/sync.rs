//! What threads share, from the standard library or, under `--cfg loom`, from loom, which tries every order of steps.

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};

use std::sync::{LockResult, PoisonError};

/// What a lock guards, also if a thread panicked while it held the lock: nothing here is left half done by a panic, as each
/// change is made of one step, or of steps that do not panic.
#[inline]
pub(crate) fn unpoisoned<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}
