//! Renames files atomically, without replacing a file or by exchanging two.

use std::io;
use std::path::Path;

/// Renames a file or directory if nothing has the new name.
///
/// Fails with [`io::ErrorKind::AlreadyExists`] otherwise. Where the system cannot do that atomically, the
/// check precedes the rename.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(renamed) = system::rename_new(from, to) {
        return renamed;
    }
    match to.symlink_metadata() {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => std::fs::rename(from, to),
        Err(error) => Err(error),
    }
}

/// Exchanges the names of two files or directories atomically. Returns false if the system cannot.
pub(crate) fn exchange(a: &Path, b: &Path) -> io::Result<bool> {
    system::exchange(a, b).map_or(Ok(false), |exchanged| exchanged.map(|()| true))
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    use std::io;
    use std::path::Path;

    pub(super) fn rename_new(from: &Path, to: &Path) -> Option<io::Result<()>> {
        rename(from, to, RenameFlags::NOREPLACE)
    }

    pub(super) fn exchange(a: &Path, b: &Path) -> Option<io::Result<()>> {
        rename(a, b, RenameFlags::EXCHANGE)
    }

    /// Returns `None` if the system or the file system does not support the flags.
    fn rename(from: &Path, to: &Path, flags: RenameFlags) -> Option<io::Result<()>> {
        match renameat_with(CWD, from, CWD, to, flags) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => None,
            renamed => Some(renamed.map_err(io::Error::from)),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::path::Path;

    pub(super) fn rename_new(_: &Path, _: &Path) -> Option<io::Result<()>> {
        None
    }

    pub(super) fn exchange(_: &Path, _: &Path) -> Option<io::Result<()>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn names_are_taken_or_exchanged() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&a, "a").unwrap();
        fs::create_dir(&b).unwrap();
        assert_eq!(rename_new(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        if exchange(&a, &b).unwrap() {
            assert!(a.is_dir() && b.is_file());
        }
        let new = dir.path().join("new");
        rename_new(&a, &new).unwrap();
        assert!(!a.exists() && new.exists());
    }
}
