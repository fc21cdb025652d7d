//! Handles files that another process archives, and regions that it replaces, while a command reads them.

use crate::directories::{ARCHIVE, DATA};
use crate::failure::{CommandError, Failure};
use crate::probe;
use std::path::{Path, PathBuf};

/// The maximum number of repeated lookups or listings.
pub(crate) const ATTEMPTS: usize = 20;

/// An error that may be about something that no longer exists.
pub(crate) trait MayBeChange {
    /// Whether a file or directory does not exist, or a region was replaced.
    fn may_be_change(&self) -> bool;
}

impl MayBeChange for CommandError {
    fn may_be_change(&self) -> bool {
        self.is_missing()
    }
}

impl MayBeChange for Failure {
    fn may_be_change(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.is_missing())
    }
}

/// Calls `read` with the path of a store file that was listed, or, if that has been archived since, with its
/// path in the archive.
pub(crate) fn read_listed<T, E: MayBeChange + From<CommandError>>(
    path: &Path,
    mut read: impl FnMut(&Path) -> Result<T, E>,
) -> Result<T, E> {
    let mut found = read(path);
    for _ in 0..ATTEMPTS {
        match &found {
            Err(error) if error.may_be_change() => {}
            _ => break,
        }
        // Its target may also have been archived.
        if probe::is_file(path)? {
            found = read(path);
        } else if let Some(archived) = in_archive(path)? {
            found = read(&archived);
        } else {
            break;
        }
    }
    found
}

/// Returns the path in the archive of a file of a table under a root directory; `None` if it is not there.
pub(crate) fn in_archive(path: &Path) -> Result<Option<PathBuf>, CommandError> {
    for root in path.ancestors().skip(1) {
        let below = path.strip_prefix(root).unwrap_or(path);
        let archived = root.join(ARCHIVE).join(below);
        if below.starts_with(DATA) && probe::is_file(&archived)? {
            return Ok(Some(archived));
        }
    }
    Ok(None)
}

/// Calls `list`, and again if it fails because something no longer exists.
pub(crate) fn list_again<T>(mut list: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    for _ in 1..ATTEMPTS {
        match list() {
            Err(failure) if failure.may_be_change() => {}
            listed => return listed,
        }
    }
    list()
}

/// Calls `read`, which adds unreadable files to its faults, until nothing is missing, or the same twice in
/// succession. Returns the last result, and adds its faults to `faults`.
pub(crate) fn read_again<T>(
    faults: &mut Vec<CommandError>,
    mut read: impl FnMut(&mut Vec<CommandError>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut before: Option<Vec<String>> = None;
    for _ in 1..ATTEMPTS {
        let mut found = Vec::new();
        let value = read(&mut found)?;
        let is_change = |fault: &&CommandError| fault.may_be_change();
        let lines: Vec<String> = found.iter().filter(is_change).map(CommandError::line).collect();
        if lines.is_empty() || before.as_ref() == Some(&lines) {
            faults.extend(found);
            return Ok(value);
        }
        before = Some(lines);
    }
    read(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io;

    fn missing(path: &Path) -> CommandError {
        CommandError::io("open", path, &io::ErrorKind::NotFound.into())
    }

    #[test]
    fn a_file_is_read_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let [path, archived] =
            ["data/ns/t/r/f/h", "archive/data/ns/t/r/f/h"].map(|name| dir.path().join(name));
        for path in [&path, &archived] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        let read = |path: &Path| fs::read(path).map_err(|error| CommandError::io("open", path, &error));
        assert!(read_listed(&path, read).unwrap_err().is_missing());
        fs::write(&path, "here").unwrap();
        assert_eq!(read_listed(&path, read).unwrap(), b"here");
        fs::rename(&path, &archived).unwrap();
        assert_eq!(read_listed(&path, read).unwrap(), b"here");
        // Something else, to which it refers, was missing for a while.
        let mut calls = 0;
        let refers = |path: &Path| {
            calls += 1;
            if calls < 3 { Err(missing(Path::new("other"))) } else { read(path) }
        };
        assert_eq!((read_listed(&path, refers).unwrap(), calls), (b"here".to_vec(), 3));
        // On NFS, another host has removed it after it was opened.
        let mut error = Some(CommandError::io("read", &path, &io::ErrorKind::StaleNetworkFileHandle.into()));
        let stale = |path: &Path| error.take().map_or_else(|| read(path), Err);
        assert_eq!(read_listed(&path, stale).unwrap(), b"here");
        let denied = |path: &Path| {
            Err::<(), _>(CommandError::io("open", path, &io::ErrorKind::PermissionDenied.into()))
        };
        assert!(!read_listed(&path, denied).unwrap_err().is_missing());
    }

    #[test]
    fn what_changes_is_listed_again_and_what_is_missing_is_said() {
        let mut calls = 0;
        let listed = list_again(|| {
            calls += 1;
            if calls < 3 { Err(missing(Path::new("region")).into()) } else { Ok(calls) }
        });
        assert_eq!(listed.unwrap(), 3);
        let always = list_again(|| Err::<(), _>(missing(Path::new("region")).into()));
        assert!(always.unwrap_err().may_be_change());
        for (missing_in, expected) in [(0, (1, 0)), (1, (2, 0)), (usize::MAX, (2, 1))] {
            let (mut calls, mut faults) = (0, Vec::new());
            let read = read_again(&mut faults, |faults| {
                calls += 1;
                faults.extend((calls <= missing_in).then(|| missing(Path::new("file"))));
                Ok(calls)
            });
            assert_eq!((read.unwrap(), faults.len()), expected);
        }
    }
}
