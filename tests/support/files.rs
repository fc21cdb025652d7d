//! Files of directories that tests change.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use hregion::Storage;
use std::fs;
use std::path::Path;

/// Returns the number of directories of regions in that of a table.
pub(crate) fn region_dirs(storage: &dyn Storage, table: &Path) -> usize {
    let entries = storage.list_dir(table).unwrap();
    entries.iter().filter(|entry| entry.is_dir && !entry.name.to_string_lossy().starts_with('.')).count()
}

/// Copies a directory and all below it.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
