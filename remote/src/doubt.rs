//! Changes without a response, whose outcome is unknown.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a change got no response, so that it may be made at any time.
#[derive(Debug, Default)]
pub(crate) struct InDoubt(AtomicBool);

impl InDoubt {
    /// Begins a change. Without [`Doubt::disarm`] it counts as one without a response.
    pub(crate) fn begin(&self) -> Doubt<'_> {
        Doubt { flag: &self.0, is_armed: true }
    }

    /// Fails if an earlier change may still be made.
    pub(crate) fn check(&self) -> io::Result<()> {
        if !self.0.load(Ordering::SeqCst) {
            return Ok(());
        }
        let message = "an earlier change had no answer, and may be made yet: nothing more is changed; make \
                       another storage, and open the region again";
        Err(io::Error::other(message))
    }
}

/// Sets the flag unless it is disarmed, also if the request is ended by the deadline.
pub(crate) struct Doubt<'f> {
    flag: &'f AtomicBool,
    is_armed: bool,
}

impl Doubt<'_> {
    pub(crate) fn disarm(mut self) {
        self.is_armed = false;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if self.is_armed {
            self.flag.store(true, Ordering::SeqCst);
        }
    }
}
