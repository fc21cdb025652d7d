//! Files of directories that tests change.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use hregion::{Error, Storage};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Returns the number of region directories in a table's directory.
pub(crate) fn region_dirs(storage: &dyn Storage, table: &Path) -> usize {
    let entries = storage.list_dir(table).unwrap();
    entries.iter().filter(|entry| entry.is_dir && !entry.name.to_string_lossy().starts_with('.')).count()
}

/// Writes a file of a storage, replacing an existing one, and syncs it.
pub(crate) fn write_synced(storage: &dyn Storage, path: &Path, bytes: &[u8]) {
    let mut file = storage.create(path).unwrap();
    file.write_all(bytes).unwrap();
    file.sync().unwrap();
}

/// Copies a directory recursively.
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

/// Returns the files below a directory, sorted; none if it does not exist.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Returns the files below a directory, with their contents.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// As [`contents`], without locks.
pub(crate) fn unlocked_contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = contents(dir);
    found.retain(|path, _| !path.ends_with(".hregion.lock"));
    found
}

/// Returns files of a directory by their paths below it.
pub(crate) fn relative_to(dir: &Path, files: BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, Vec<u8>> {
    let relative = |(path, bytes): (PathBuf, Vec<u8>)| (path.strip_prefix(dir).unwrap().to_owned(), bytes);
    files.into_iter().map(relative).collect()
}

/// Replaces bytes in a table's descriptor by bytes of the same length, as another program may do.
pub(crate) fn replace_in_descriptor(table: &Path, from: &[u8], to: &[u8]) {
    let mut found = contents(&table.join(".tabledesc")).into_iter();
    let is_descriptor = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with(".tableinfo");
    let (path, mut bytes) = found.find(|(path, _)| is_descriptor(path)).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + from.len()].copy_from_slice(to);
    // without the seal at its end, as HBase writes it
    if let Some(seal) = bytes.windows(10).rposition(|window| window == b"\xc2\x3e\x0bhregion") {
        bytes.truncate(seal);
    }
    fs::write(path, bytes).unwrap();
}

/// Returns the kind of the failed call of the file system or the network that has caused the error, if any.
pub(crate) fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind)
}
