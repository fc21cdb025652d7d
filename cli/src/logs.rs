//! Finds write-ahead logs.

use crate::failure::CommandError;
use crate::places;
use crate::probe;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Adds the logs below a path, in the order of their names.
pub(crate) fn find_logs(path: &Path, logs: &mut Vec<PathBuf>) -> Result<(), CommandError> {
    let failed = |error| CommandError::io("open", path, &error);
    if !probe::is_dir(path)? {
        logs.push(path.to_owned());
        return Ok(());
    }
    let mut paths = Vec::new();
    for (entry, is_symlink) in places::list(path).map_err(failed)? {
        // Links to directories may be circular.
        if !entry.file_name().is_some_and(is_no_log) && (!is_symlink || entry.is_file()) {
            paths.push(entry);
        }
    }
    paths.iter().try_for_each(|path| find_logs(path, logs))
}

/// Whether a file of this name beside logs is none: an empty one whose name holds a sequence id, or the
/// checksums that Hadoop's local file system keeps of another.
fn is_no_log(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let is_seq_id = name.ends_with(b".seqid") || name.ends_with(b"_seqid");
    is_seq_id || name.starts_with(b".") && name.ends_with(b".crc")
}
