//! Values that only one call at a time may use.

use crate::error::{Failure, Result};
use std::cell::RefCell;
use std::ptr;
use std::sync::{Mutex, PoisonError};

thread_local! {
    /// The addresses of the values in use by calls of this thread.
    static USED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// A value that only one call at a time may use. Calls of other threads wait.
pub(crate) struct Exclusive<T>(Mutex<T>);

impl<T> Exclusive<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Calls `function` with the value.
    ///
    /// # Errors
    ///
    /// If this thread is using the value, in a call that the handler of a signal has interrupted: it would
    /// wait for itself. Errors of `function`.
    pub(crate) fn with<R, E>(&self, function: impl FnOnce(&mut T) -> Result<R, E>) -> Result<R>
    where
        Failure: From<E>,
    {
        let address = ptr::from_ref(self).addr();
        if USED.with_borrow(|used| used.contains(&address)) {
            return Err(Failure::argument("a signal has interrupted a call that reads it already"));
        }
        USED.with_borrow_mut(|used| used.push(address));
        // also after a panic
        let _last = RemoveLast;
        let mut value = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(function(&mut value)?)
    }
}

/// Removes the address that was added last.
struct RemoveLast;

impl Drop for RemoveLast {
    fn drop(&mut self) {
        USED.with_borrow_mut(Vec::pop);
    }
}
