//! Finds write-ahead logs.

use crate::failure::CommandError;
use std::fs;
use std::path::{Path, PathBuf};

/// Adds the logs below a path, in the order of their names.
pub(crate) fn find_logs(path: &Path, logs: &mut Vec<PathBuf>) -> Result<(), CommandError> {
    let failed = |error| CommandError::io("open", path, &error);
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        logs.push(path.to_owned());
        return Ok(());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Files of this name are empty: the name holds a sequence id. Links to directories may be circular.
        let is_seq_id = entry.path().extension().is_some_and(|extension| extension == "seqid");
        if !is_seq_id && (!entry.file_type().map_err(failed)?.is_symlink() || entry.path().is_file()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths.iter().try_for_each(|path| find_logs(path, logs))
}
