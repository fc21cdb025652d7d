//! Locks of local files.

use super::owner::Owner;
use std::fs::{File, TryLockError};
use std::io;

/// A local file that this process has locked.
///
/// A child process has a copy of the descriptor from `fork` to `exec`, so closing the file would not always
/// release the lock: it is released explicitly.
#[derive(Debug)]
pub(super) struct LockedFile {
    file: File,
    /// The process that has locked it. A forked one must not release the lock.
    owner: Owner,
}

impl LockedFile {
    /// Locks a file.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if the lock is held; otherwise any error of the system.
    pub(super) fn new(file: File) -> io::Result<Self> {
        match file.try_lock() {
            Ok(()) => Ok(Self { file, owner: Owner::this() }),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        if self.owner.is_this() {
            // If this fails, closing the file releases the lock.
            let _ = self.file.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_the_descriptor_do_not_hold_the_lock() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().write(true).open(file.path()).unwrap();
        let held = LockedFile::new(open()).unwrap();
        let copy = held.file().try_clone().unwrap();
        assert_eq!(LockedFile::new(open()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        LockedFile::new(open()).unwrap();
        drop(copy);
    }

    #[test]
    fn only_the_owner_releases_the_lock() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().write(true).open(file.path()).unwrap();
        let mut held = LockedFile::new(open()).unwrap();
        held.owner = Owner::other();
        let copy = held.file().try_clone().unwrap();
        drop(held);
        assert_eq!(LockedFile::new(open()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(copy);
        LockedFile::new(open()).unwrap();
    }
}
