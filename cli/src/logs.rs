//! Finds write-ahead logs.

use crate::failure::CommandError;
use crate::probe;
use crate::vfs;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The logs below paths.
#[derive(Debug, Default)]
pub(crate) struct FoundLogs {
    /// The logs, in the order of their names.
    pub(crate) logs: Vec<PathBuf>,
    /// Symbolic links that were not followed, as they may be circular, or that lead nowhere.
    pub(crate) links: Vec<PathBuf>,
}

impl FoundLogs {
    /// Adds the logs below a path.
    pub(crate) fn add(&mut self, path: &Path) -> Result<(), CommandError> {
        let failed = |error| CommandError::io("open", path, &error);
        if !probe::is_dir(path)? {
            if probe::is_special(path)? {
                // a pipe has no length, and would be taken for an empty log
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

    /// Returns what is wrong with a link that was not followed.
    pub(crate) fn refused(link: &Path) -> CommandError {
        let message = "a symbolic link among logs, which is not followed: name what it leads to";
        CommandError::unsupported(link, message)
    }
}

/// Returns where a server's log may have been moved to from `WALs/<server>`: to `WALs/<server>-splitting`
/// when the server has died, then to `oldWALs` once all regions have its cells in files. Nothing for a log
/// elsewhere.
pub(crate) fn moved(log: &Path) -> Vec<PathBuf> {
    // The directory may not have its name any more.
    let full = vfs::absolute(log);
    let Some((name, server)) = full.file_name().zip(full.parent()) else { return Vec::new() };
    let Some((server, logs)) = server.file_name().zip(server.parent()) else { return Vec::new() };
    if logs.file_name().is_none_or(|dir| dir != "WALs") {
        return Vec::new();
    }
    let mut splitting = server.to_owned();
    splitting.push("-splitting");
    vec![logs.join(splitting).join(name), logs.with_file_name("oldWALs").join(name)]
}

/// Whether a file of this name beside logs is none: an empty one whose name holds a sequence id, or the
/// checksums that Hadoop's local file system keeps of another.
fn is_no_log(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let is_seq_id = name.ends_with(b".seqid") || name.ends_with(b"_seqid");
    is_seq_id || name.starts_with(b".") && name.ends_with(b".crc")
}
