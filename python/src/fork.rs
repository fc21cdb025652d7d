//! Forks of the process.

use hregion::HeldThreads;
use pyo3::prelude::*;
use std::cell::RefCell;

thread_local! {
    /// What the thread that forks holds meanwhile.
    static HELD: RefCell<Option<HeldThreads>> = const { RefCell::new(None) };
}

/// Python calls this before it forks: the new process has no threads that read ahead, but would have their
/// locks.
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
