//! Tests for the existence of paths. Unlike the methods of [`Path`], these return errors, for example for
//! missing permissions.

use crate::failure::CommandError;
use crate::vfs;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Whether a path is a file, or a link to one.
pub(crate) fn is_file(path: &Path) -> Result<bool, CommandError> {
    if vfs::is_url(path) {
        return Ok(remote(path)?.is_some_and(|is_dir| !is_dir));
    }
    Ok(found(path, fs::metadata(path))?.is_some_and(|meta| meta.is_file()))
}

/// Whether a path is a directory, or a link to one.
pub(crate) fn is_dir(path: &Path) -> Result<bool, CommandError> {
    if vfs::is_url(path) {
        vfs::check_readable(path)?;
        return vfs::is_remote_dir(path).map_err(|error| CommandError::io("examine", path, &error));
    }
    Ok(found(path, fs::metadata(path))?.is_some_and(|meta| meta.is_dir()))
}

/// Whether there is anything but a regular file at a local path, such as a directory, a device or a pipe, or
/// a link to one.
pub(crate) fn is_special(path: &Path) -> Result<bool, CommandError> {
    Ok(found(path, fs::metadata(path))?.is_some_and(|meta| !meta.is_file()))
}

/// Whether anything has the name, including a dangling link.
pub(crate) fn exists(path: &Path) -> Result<bool, CommandError> {
    if vfs::is_url(path) {
        return Ok(remote(path)?.is_some());
    }
    Ok(found(path, path.symlink_metadata())?.is_some())
}

/// Returns the length of a file.
pub(crate) fn len_of(path: &Path) -> Result<u64, CommandError> {
    let fault = |error: io::Error| CommandError::io("open", path, &error);
    if !vfs::is_url(path) {
        return Ok(fs::metadata(path).map_err(fault)?.len());
    }
    let found = vfs::status(path).map_err(fault)?;
    found.map(|entry| entry.len).ok_or_else(|| fault(io::Error::from(ErrorKind::NotFound)))
}

/// Whether there is a directory, or else a file, at a URL.
fn remote(path: &Path) -> Result<Option<bool>, CommandError> {
    vfs::check_readable(path)?;
    let found = vfs::status(path).map_err(|error| CommandError::io("examine", path, &error))?;
    Ok(found.map(|entry| entry.is_dir))
}

fn found(path: &Path, meta: io::Result<Metadata>) -> Result<Option<Metadata>, CommandError> {
    match meta {
        Ok(meta) => Ok(Some(meta)),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => Ok(None),
            _ => Err(CommandError::io("examine", path, &error)),
        },
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn failure_to_examine_a_path_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "").unwrap();
        symlink(path("nothing"), path("dangling")).unwrap();
        symlink(path("loop"), path("loop")).unwrap();
        let all = |path: &Path| Ok::<_, CommandError>((is_file(path)?, is_dir(path)?, exists(path)?));
        assert_eq!(all(&path("file")).unwrap(), (true, false, true));
        assert_eq!(all(dir.path()).unwrap(), (false, true, true));
        assert_eq!(all(&path("dangling")).unwrap(), (false, false, true));
        for absent in ["nothing", "file/below", &"x".repeat(300)] {
            assert_eq!(all(&path(absent)).unwrap(), (false, false, false), "{absent}");
        }
        let special = |path: &Path| is_special(path).unwrap();
        symlink(dir.path(), path("directory")).unwrap();
        assert!(special(dir.path()) && special(&path("directory")) && special(Path::new("/dev/null")));
        assert!(!special(&path("file")) && !special(&path("dangling")) && !special(&path("nothing")));
        // also an error for root, which has all permissions
        assert!(is_file(&path("loop")).is_err() && is_dir(&path("loop/below")).is_err());
        assert!(exists(&path("loop/below")).is_err());
    }
}
