//! Contexts of compression libraries, kept for the next block.

use crate::sync::unpoisoned;
use std::sync::Mutex;

/// Contexts that are dear to make and not in use just now.
///
/// One pool serves all files: there are as many contexts as threads ever decoded at once, not one for
/// each open file.
pub(super) struct Pool<T> {
    idle: Mutex<Vec<T>>,
}

/// More are not kept: by then it is the machine that is short of threads, not of contexts.
const MOST_IDLE: usize = 64;

impl<T> Pool<T> {
    pub(super) const fn new() -> Self {
        Self { idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn take(&self) -> Option<T> {
        unpoisoned(self.idle.lock()).pop()
    }

    /// Gives back a context that can be used again.
    pub(super) fn put(&self, context: T) {
        let mut idle = unpoisoned(self.idle.lock());
        if idle.len() < MOST_IDLE {
            idle.push(context);
        }
    }
}
