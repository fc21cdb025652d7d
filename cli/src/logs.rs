//! Finds write-ahead logs.

use crate::concurrent_changes::list_again;
use crate::directories::{LOGS, OLD_LOGS};
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::probe;
use crate::vfs;
use hregion::io::FileReader;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The logs below paths.
#[derive(Debug, Default)]
pub(crate) struct FoundLogs {
    /// The logs, in the order of their names.
    pub(crate) logs: Vec<PathBuf>,
    /// Symbolic links that were not followed, because they may be circular, or that have no target.
    pub(crate) links: Vec<PathBuf>,
}

impl FoundLogs {
    /// Adds the logs below a path.
    pub(crate) fn add(&mut self, path: &Path) -> Result<(), CommandError> {
        let failed = |error| CommandError::io("open", path, &error);
        if !probe::is_dir(path)? {
            if probe::is_special(path)? {
                // a pipe has no length, and would look like an empty log
                let message =
                    "not a regular file: logs are read up to their length, which a pipe does not have";
                return Err(CommandError::unsupported(path, message));
            }
            self.logs.push(path.to_owned());
            return Ok(());
        }
        for (entry, is_symlink) in vfs::list(path).map_err(failed)? {
            if entry.file_name().is_some_and(is_no_log) {
                continue;
            }
            if is_symlink && !entry.is_file() {
                self.links.push(entry);
            } else {
                self.add(&entry)?;
            }
        }
        Ok(())
    }

    /// Returns the error for a link that was not followed.
    pub(crate) fn refused(link: &Path) -> CommandError {
        let message = "a symbolic link among logs, which is not followed: name its target";
        CommandError::unsupported(link, message)
    }
}

/// The logs below paths, which another process may move while they are read.
#[derive(Debug)]
pub(crate) struct LogList<'p> {
    given: &'p [PathBuf],
    logs: Vec<PathBuf>,
    /// The paths of `logs`, in the form that [`vfs::absolute`] returns.
    known: BTreeSet<PathBuf>,
}

impl<'p> LogList<'p> {
    /// Lists the logs. Warns of symbolic links that are not followed.
    pub(crate) fn find(given: &'p [PathBuf], out: &Output) -> Result<Self, Failure> {
        let FoundLogs { logs, links } = list_again(|| {
            let mut found = FoundLogs::default();
            given.iter().try_for_each(|path| found.add(path))?;
            Ok(found)
        })?;
        for link in &links {
            out.warn_always(&FoundLogs::refused(link).line());
        }
        let known = logs.iter().map(|log| vfs::absolute(log)).collect();
        Ok(Self { given, logs, known })
    }

    /// Returns the logs, in the order of their names.
    pub(crate) fn logs(&self) -> &[PathBuf] {
        &self.logs
    }

    /// Returns the length of all logs.
    pub(crate) fn bytes(&self) -> u64 {
        self.logs.iter().map(|log| vfs::len(log)).fold(0, u64::saturating_add)
    }

    /// Opens a log, even if it was moved after it was listed. If it no longer exists, and was not given by
    /// its name, warns and returns `None`.
    pub(crate) fn open(&self, log: &Path, out: &Output) -> Result<Option<Arc<dyn FileReader>>, CommandError> {
        // One that was moved between two listings is in the list by both names.
        if moved(log).iter().any(|moved| self.known.contains(moved)) && !probe::exists(log)? {
            return Ok(None);
        }
        let file = open_moved(log, self.given)?;
        if file.is_none() {
            let message = "another process has moved or removed the log since it was listed: skipped";
            out.warn_always(&CommandError::invalid_file(log, message).line());
        }
        Ok(file)
    }
}

/// Opens a log, even if it was moved after it was listed. Returns `None` if it no longer exists and is not
/// one of those `given`.
fn open_moved(path: &Path, given: &[PathBuf]) -> Result<Option<Arc<dyn FileReader>>, CommandError> {
    let is_given = given.iter().any(|log| log == path);
    match vfs::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_given => {
            for moved in moved(path) {
                match vfs::open(&moved) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    opened => {
                        return opened.map(Some).map_err(|error| CommandError::io("open", &moved, &error));
                    }
                }
            }
            Ok(None)
        }
        opened => opened.map(Some).map_err(|error| CommandError::io("open", path, &error)),
    }
}

/// Returns the paths to which a server's log may have been moved from `WALs/<server>`: to
/// `WALs/<server>-splitting` when the server has died, then to `oldWALs` when all regions have its cells in
/// files. Nothing for a log elsewhere.
fn moved(log: &Path) -> Vec<PathBuf> {
    // The directory may no longer have its name.
    let full = vfs::absolute(log);
    let Some((name, server)) = full.file_name().zip(full.parent()) else { return Vec::new() };
    let Some((server, logs)) = server.file_name().zip(server.parent()) else { return Vec::new() };
    if logs.file_name().is_none_or(|dir| dir != LOGS) {
        return Vec::new();
    }
    let mut splitting = server.to_owned();
    splitting.push("-splitting");
    vec![logs.join(splitting).join(name), logs.with_file_name(OLD_LOGS).join(name)]
}

/// Whether a file of this name among logs is not a log: an empty file whose name contains a sequence id, or
/// the checksums that Hadoop's local file system keeps for another file.
pub(crate) fn is_no_log(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let is_seq_id = name.ends_with(b".seqid") || name.ends_with(b"_seqid");
    is_seq_id || name.starts_with(b".") && name.ends_with(b".crc")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_log_is_read_where_it_was_moved_to() {
        let dir = tempfile::tempdir().unwrap();
        let [listed, splitting, log] =
            ["WALs/server/log", "WALs/server-splitting/log", "oldWALs/log"].map(|name| dir.path().join(name));
        assert!(open_moved(&listed, &[]).unwrap().is_none(), "it is gone");
        assert!(open_moved(&listed, std::slice::from_ref(&listed)).is_err(), "it was given");
        for path in [&log, &splitting, &listed] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "bytes").unwrap();
            assert_eq!(open_moved(&listed, &[]).unwrap().unwrap().path(), path);
        }
        assert!(open_moved(&dir.path().join("recovered.edits/7"), &[]).unwrap().is_none());
        // The name of a relative path may be that of the current directory.
        let name = std::env::current_dir().unwrap().join("WALs/server/log");
        assert_eq!(moved(Path::new("WALs/server/log")), moved(&name));
        assert_eq!(moved(Path::new("log")), Vec::<PathBuf>::new());
    }
}
