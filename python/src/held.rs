//! Values whose drop may take long, and values of another process.

use crate::error::Result;
use crate::location::check_process;
use crate::signals::check_waiting;
use pyo3::prelude::*;
use std::mem;

/// A value that is dropped without the interpreter's lock: the last handle of a table that was not closed
/// flushes its MemStore, and waits for it.
#[derive(Clone)]
pub(crate) struct Held<T: Send> {
    value: Option<T>,
    /// The only process that can use the value, if it is restricted.
    process: Option<u32>,
}

impl<T: Send> Held<T> {
    pub(crate) fn new(value: T, process: Option<u32>) -> Self {
        Self { value: Some(value), process }
    }

    /// Returns the value, to use it.
    ///
    /// # Errors
    ///
    /// In a forked process, if the value needs the threads of its parent; in the handler of a signal that has
    /// interrupted a call which may have locked it.
    pub(crate) fn get(&self) -> Result<&T> {
        check_process(self.process)?;
        if self.process.is_some() {
            check_waiting()?;
        }
        Ok(self.peek())
    }

    /// Returns the value, to use its data in memory.
    pub(crate) fn peek(&self) -> &T {
        self.value.as_ref().expect("present until dropped")
    }

    /// The only process that can use the value, if it is restricted.
    pub(crate) fn process(&self) -> Option<u32> {
        self.process
    }
}

impl<T: Send> Drop for Held<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        if check_process(self.process).is_err() {
            // its drop might wait for a thread that does not exist in this process
            mem::forget(value);
            return;
        }
        // there is no lock to release while the interpreter ends
        Python::try_attach(|py| py.detach(|| drop(value)));
    }
}
