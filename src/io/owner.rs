//! The process that changes files.

use super::process_id;
use std::io;

/// The process that has opened a region, has locked a file, or writes one. A process forked from it has
/// copies of its descriptors and memory, but none of its threads, and must not change files that both have
/// open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner(u32);

impl Owner {
    /// Returns the process that calls this.
    pub(crate) fn this() -> Self {
        Self(process_id())
    }

    /// Whether it is the process that calls this.
    pub(crate) fn is_this(self) -> bool {
        self.0 == process_id()
    }

    /// Fails in any other process.
    ///
    /// # Errors
    ///
    /// Of kind [`io::ErrorKind::Unsupported`].
    pub(crate) fn check(self) -> io::Result<()> {
        match self.is_this() {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a forked process cannot change what the other process has open",
            )),
        }
    }

    /// Creates a process that is not this one.
    #[cfg(test)]
    pub(crate) fn other() -> Self {
        Self(process_id().wrapping_add(1))
    }
}
