//! Names incomplete files and directories, and removes those that dead processes have left.

#[cfg(unix)]
use super::parent;
use super::process_id;
#[cfg(unix)]
use std::ffi::OsStr;
#[cfg(unix)]
use std::fs::TryLockError;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::time::Duration;

/// Returns a hidden name in the directory of `path`, for a file that gets that path when it is complete:
/// `.<16 hexadecimal digits>.tmp`. Half of the digits depend on the path, the others are random. The length
/// is always the same, because the name of `path` may already have the maximum length.
pub fn name_unfinished(path: &Path) -> PathBuf {
    // Each state has random keys. If another process uses the same name nevertheless, creating the file
    // fails.
    let random = RandomState::new().hash_one(process_id());
    path.with_file_name(format!(".{}{:08x}.tmp", digits_of(path), random >> 32))
}

/// Returns the digits that all unfinished names for a path have.
fn digits_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    // FNV-1a
    let add = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    format!("{:08x}", name.iter().fold(0x811c_9dc5, add))
}

/// Whether a name is one of those for a path with these digits.
#[cfg(unix)]
fn is_unfinished(name: &OsStr, digits: &str) -> bool {
    let random =
        name.to_str().and_then(|name| name.strip_prefix('.')?.strip_prefix(digits)?.strip_suffix(".tmp"));
    let is_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    random.is_some_and(|random| random.len() == 8 && random.bytes().all(is_hex))
}

/// Creates a local directory with an [unfinished name](name_unfinished). On Unix it is locked as long as the
/// returned file is open.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if the name exists; otherwise any error of the system.
pub fn create_unfinished_dir(path: &Path) -> io::Result<Option<File>> {
    #[cfg(unix)]
    return create_locked(path, || {
        loop {
            fs::create_dir(path)?;
            match File::open(path) {
                // Another process has treated it as left over and removed it before it was opened.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => {
                    return opened.inspect_err(|_| {
                        // The first error is reported.
                        let _ = fs::remove_dir(path);
                    });
                }
            }
        }
    })
    .map(Some);
    #[cfg(not(unix))]
    fs::create_dir(path).map(|()| None)
}

/// Removes the local files, or the directories, with [unfinished names](name_unfinished) for a path that are
/// no longer locked, because the processes that wrote them have died. Where a file system has no locks,
/// nothing is removed. Failures to remove a file are ignored.
#[cfg(unix)]
pub fn remove_unfinished(path: &Path, dirs: bool) {
    let Ok(entries) = fs::read_dir(parent(path)) else { return };
    let digits = digits_of(path);
    for entry in entries.filter_map(Result::ok).filter(|entry| is_unfinished(&entry.file_name(), &digits)) {
        // Links are not unfinished files.
        let is_kind = |kind: fs::FileType| if dirs { kind.is_dir() } else { kind.is_file() };
        if !entry.file_type().is_ok_and(is_kind) {
            continue;
        }
        let left = parent(path).join(entry.file_name());
        let Ok(file) = File::open(&left) else { continue };
        if file.try_lock().is_ok() && is_at(&file, &left).unwrap_or(false) {
            let _ = if dirs { fs::remove_dir_all(&left) } else { fs::remove_file(&left) };
        }
    }
}

/// Removes nothing: no lock tells whether the process that wrote a file has died.
#[cfg(not(unix))]
pub fn remove_unfinished(_path: &Path, _dirs: bool) {}

/// Creates a file or directory and locks it while it is open, which distinguishes it from one that a dead
/// process has left. Where the file system has no locks, it is not locked.
#[cfg(unix)]
pub(super) fn create_locked(path: &Path, create: impl Fn() -> io::Result<File>) -> io::Result<File> {
    /// The number of attempts to create a file that another process may remove as left over before it is
    /// locked.
    const ATTEMPTS: u32 = 1_000;
    let mut file = create()?;
    for _ in 0..ATTEMPTS {
        let locked = file.try_lock();
        // It may have been removed before it was locked. If this cannot be detected, its rename fails later.
        let is_there = is_at(&file, path).unwrap_or(true);
        match locked {
            Err(TryLockError::Error(_)) => return Ok(file),
            Ok(()) if is_there => return Ok(file),
            Err(TryLockError::WouldBlock) if is_there => std::thread::sleep(Duration::from_millis(1)),
            Ok(()) | Err(TryLockError::WouldBlock) => file = create()?,
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Whether an open file still has its name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let named = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        named => named?,
    };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{FileWriter, LocalFileWriter, LocalStorage, NewFile, Storage, is_new_file};
    use std::sync::Arc;

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn only_files_that_are_not_being_written_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let left = || {
            let left = name_unfinished(&path);
            assert!(is_new_file(left.file_name().unwrap().to_str().unwrap()));
            left
        };
        let (written, written_dir) = (left(), left());
        let mut writer = LocalFileWriter::create_new(&written).unwrap();
        // A long file, written by a thread.
        writer.write_all(&vec![7; 3 << 20]).unwrap();
        writer.write_all(&vec![7; 3 << 20]).unwrap();
        let held = create_unfinished_dir(&written_dir).unwrap().unwrap();
        let (dead, dead_dir, link) = (left(), left(), left());
        fs::write(&dead, "some").unwrap();
        fs::create_dir_all(dead_dir.join("part")).unwrap();
        fs::write(dead_dir.join("part/file"), "some").unwrap();
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let other = name_unfinished(&dir.path().join("other"));
        for kept in [&other, &path, &dir.path().join(".0123456789abcdef.tmp"), &dir.path().join("x.tmp")] {
            fs::write(kept, "some").unwrap();
        }
        let all = names(dir.path());
        remove_unfinished(&path, false);
        let without = |removed: &Path| {
            let mut names = all.clone();
            names.retain(|name| !removed.ends_with(name));
            names
        };
        assert_eq!(names(dir.path()), without(&dead));
        remove_unfinished(&path, true);
        let mut kept = without(&dead);
        kept.retain(|name| !dead_dir.ends_with(name));
        assert_eq!(names(dir.path()), kept);
        // When they are no longer written.
        drop((writer, held));
        remove_unfinished(&path, true);
        assert!(written.exists() && !written_dir.exists());
        remove_unfinished(&path, false);
        assert!(!written.exists() && link.is_symlink() && other.exists() && path.exists());
        remove_unfinished(&dir.path().join("absent/out"), true);
        remove_unfinished(Path::new("no such name"), false);
    }

    /// A directory is removed neither between its creation and its lock nor later.
    #[test]
    fn directories_are_complete_while_others_remove_what_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..300 {
                            let aside = name_unfinished(&path);
                            let held = create_unfinished_dir(&aside).unwrap();
                            fs::write(aside.join("file"), "bytes").unwrap();
                            fs::remove_dir_all(&aside).unwrap();
                            drop(held);
                        }
                    })
                })
                .collect();
            while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                remove_unfinished(&path, true);
            }
            writers.into_iter().for_each(|writer| writer.join().unwrap());
        });
        assert_eq!(names(dir.path()), [""; 0]);
    }

    /// A file is removed neither between its creation and its lock nor later.
    #[test]
    fn files_are_complete_while_others_remove_what_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let storage: Arc<dyn Storage> = Arc::new(LocalStorage);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..100 {
                            let mut file = NewFile::create(&storage, &path).unwrap();
                            file.write_all(b"bytes").unwrap();
                            file.persist().unwrap();
                        }
                    })
                })
                .collect();
            while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                remove_unfinished(&path, false);
            }
            writers.into_iter().for_each(|writer| writer.join().unwrap());
        });
        assert_eq!(
            (names(dir.path()), fs::read(&path).unwrap()),
            (vec!["out".to_owned()], b"bytes".to_vec())
        );
    }
}
