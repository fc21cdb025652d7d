//! Locks, which are held by values.

use std::fmt;
use std::io;

/// A lock of a file, which is held until this value is dropped. See
/// [`Storage::lock`](super::Storage::lock).
#[derive(Debug)]
pub struct FileLock {
    held: Box<dyn Held>,
    can_be_lost: bool,
}

impl FileLock {
    /// Creates a lock that is released when `held` is dropped, and not before.
    pub fn new(held: impl Send + Sync + fmt::Debug + 'static) -> Self {
        Self { can_be_lost: false, ..Self::with_check(held, |_| Ok(())) }
    }

    /// Creates a lock that is released when `held` is dropped, and can be lost before, such as one in an
    /// object store. `check` then fails: see [`check`](Self::check).
    pub fn with_check<T>(held: T, check: fn(&T) -> io::Result<()>) -> Self
    where
        T: Send + Sync + fmt::Debug + 'static,
    {
        Self::with_release(held, check, |_| Ok(()))
    }

    /// Like [`with_check`](Self::with_check), for a lock whose release may fail: see
    /// [`release`](Self::release). `held` is dropped after `release`.
    pub fn with_release<T>(
        held: T,
        check: fn(&T) -> io::Result<()>,
        release: fn(&T) -> io::Result<()>,
    ) -> Self
    where
        T: Send + Sync + fmt::Debug + 'static,
    {
        Self { held: Box::new(Checked { held, check, release }), can_be_lost: true }
    }

    /// Fails if the lock is no longer held, according to the file system or server that granted it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if the lock was lost; otherwise any error of the system.
    pub fn check(&self) -> io::Result<()> {
        self.held.check()
    }

    /// Whether the lock can be lost before it is released: another process may then have it, and the storage
    /// may execute earlier requests of this one late.
    #[must_use]
    pub fn can_be_lost(&self) -> bool {
        self.can_be_lost
    }

    /// Releases the lock like a drop, but can return an error.
    ///
    /// # Errors
    ///
    /// Any error of the system. The lock may then still appear to be held.
    pub fn release(self) -> io::Result<()> {
        self.held.release()
    }
}

/// A value that represents a held lock.
trait Held: Send + Sync + fmt::Debug {
    fn check(&self) -> io::Result<()>;

    fn release(&self) -> io::Result<()>;
}

struct Checked<T> {
    held: T,
    check: fn(&T) -> io::Result<()>,
    release: fn(&T) -> io::Result<()>,
}

impl<T: fmt::Debug> fmt::Debug for Checked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.held.fmt(f)
    }
}

impl<T: Send + Sync + fmt::Debug> Held for Checked<T> {
    fn check(&self) -> io::Result<()> {
        (self.check)(&self.held)
    }

    fn release(&self) -> io::Result<()> {
        (self.release)(&self.held)
    }
}
