//! Synchronization primitives from the standard library or, under `--cfg loom`, from loom, which tests all
//! interleavings.

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};

use std::num::NonZero;
use std::sync::{LockResult, OnceLock, PoisonError};
use std::thread;

/// A value on cache lines of its own, so that threads that change its neighbours do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

/// Returns the number of threads that can run at the same time; at least two in tests of this crate.
pub(crate) fn cores() -> usize {
    // The system reads files to count them.
    static CORES: OnceLock<usize> = OnceLock::new();
    let count = || thread::available_parallelism().map_or(1, NonZero::get);
    (*CORES.get_or_init(count)).max(if cfg!(test) { 2 } else { 1 })
}

/// Returns the guard of a lock, even if a thread panicked while holding it. The guarded data is consistent
/// nevertheless: each change is a single step, or consists of steps that do not panic.
#[inline]
pub(crate) fn unpoisoned<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}
