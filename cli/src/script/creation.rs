//! What a process that died has left when it created a region.

use crate::new_file::directory;
use std::fs::{self, File};
use std::path::Path;

/// Removes what processes that have died have left beside a directory that is about to become a region.
/// Until the returned file is closed, no other process does so. Where the file system has no locks, nothing
/// is removed.
pub(super) fn begin(region: &Path) -> Option<File> {
    let above = directory(region);
    let name = region.file_name()?.to_str()?;
    // What cannot be removed is left: it disturbs nothing.
    let locked = File::open(above).and_then(|file| file.lock().map(|()| file)).ok()?;
    for entry in fs::read_dir(above).into_iter().flatten().filter_map(Result::ok) {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && entry.file_name().to_str().is_some_and(|found| is_unfinished(found, name)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Some(locked)
}

/// Whether a directory has the name of a region that is being created: `.<name>.<16 hexadecimal digits>.tmp`.
fn is_unfinished(found: &str, name: &str) -> bool {
    let random = found.strip_prefix('.').and_then(|found| found.strip_prefix(name)?.strip_prefix('.'));
    let random = random.and_then(|random| random.strip_suffix(".tmp"));
    random.is_some_and(|random| random.len() == 16 && random.bytes().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unfinished_regions_of_the_name_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let names = [
            ".reg.0123456789abcdef.tmp",
            ".other.0123456789abcdef.tmp",
            ".reg.2.0123456789abcdef.tmp",
            ".reg.0123456789abcde.tmp",
            ".reg.0123456789abcdef",
            ".reg0123456789abcdef.tmp",
            ".0123456789abcdef.tmp",
            "reg",
        ];
        for name in names {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("file"), "bytes").unwrap();
        }
        fs::write(dir.path().join(".reg.1111111111111111.tmp"), "not a directory").unwrap();
        begin(&dir.path().join("reg"));
        for (i, name) in names.iter().enumerate() {
            assert_eq!(dir.path().join(name).exists(), i > 0, "{name}");
        }
        assert!(dir.path().join(".reg.1111111111111111.tmp").exists());
        begin(&dir.path().join("absent/reg"));
    }
}
