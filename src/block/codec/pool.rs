//! A pool of contexts of compression libraries.

use crate::sync::unpoisoned;
use std::sync::Mutex;

/// Idle contexts that are expensive to create.
///
/// One pool serves all files: the number of contexts is the number of threads that decoded concurrently, not
/// the number of open files.
pub(super) struct Pool<T> {
    idle: Mutex<Vec<T>>,
}

/// The maximum number of idle contexts. More concurrent decoders than this are limited by the number of
/// processors, not by creating contexts.
const MAX_IDLE: usize = 64;

impl<T> Pool<T> {
    pub(super) const fn new() -> Self {
        Self { idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn take(&self) -> Option<T> {
        unpoisoned(self.idle.lock()).pop()
    }

    /// Returns a reusable context to the pool.
    pub(super) fn put(&self, context: T) {
        let mut idle = unpoisoned(self.idle.lock());
        if idle.len() < MAX_IDLE {
            idle.push(context);
        }
    }
}
