//! Finds write-ahead logs.

use crate::failure::CommandError;
use crate::places;
use crate::probe;
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
        // Files of this name are empty: the name holds a sequence id. Links to directories may be circular.
        let is_seq_id = entry.extension().is_some_and(|extension| extension == "seqid");
        if !is_seq_id && (!is_symlink || entry.is_file()) {
            paths.push(entry);
        }
    }
    paths.iter().try_for_each(|path| find_logs(path, logs))
}
