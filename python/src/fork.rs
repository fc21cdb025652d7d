//! Forks of the process.

use hregion::HeldThreads;
use pyo3::prelude::*;
use std::cell::RefCell;

thread_local! {
    /// The locks that the forking thread holds during the fork.
    static HELD: RefCell<Option<HeldThreads>> = const { RefCell::new(None) };
}

/// Python calls this before it forks: the new process lacks the threads that read ahead, but would inherit
/// their locks.
#[pyfunction]
#[pyo3(name = "_before_fork")]
pub(crate) fn before() {
    HELD.with_borrow_mut(|held| {
        if held.is_none() {
            *held = Some(HeldThreads::hold());
        }
    });
}

/// Python calls this after it has forked, in both processes.
#[pyfunction]
#[pyo3(name = "_after_fork")]
pub(crate) fn after() {
    drop(HELD.take());
}
