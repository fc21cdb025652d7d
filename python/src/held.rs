//! Values whose drop may take long.

use pyo3::prelude::*;
use std::ops::Deref;

/// A value that is dropped without the interpreter's lock: the last handle of a table that was not closed
/// flushes its memory, and waits for it.
#[derive(Clone)]
pub(crate) struct Held<T: Send>(Option<T>);

impl<T: Send> Held<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T: Send> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("present until dropped")
    }
}

impl<T: Send> Drop for Held<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        // there is no lock to release while the interpreter ends
        Python::try_attach(|py| py.detach(|| drop(value)));
    }
}
