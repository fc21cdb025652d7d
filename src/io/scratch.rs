//! Local files that are overwritten in place.

use super::ScratchFile;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// A local file of a fixed length. Only its owner may read it.
#[derive(Debug)]
pub(super) struct LocalScratchFile(File);

impl LocalScratchFile {
    /// Creates a file, replacing an existing one. No link is followed.
    ///
    /// # Errors
    ///
    /// Any error of the system, for example if the disk lacks room for `len` bytes.
    pub(super) fn create(path: &Path, len: u64) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        match allocate(&file, len) {
            Ok(()) => Ok(Self(file)),
            Err(error) => {
                // the first error is the cause
                let _ = fs::remove_file(path);
                Err(error)
            }
        }
    }
}

/// Allocates the disk space, so that later writes do not find the disk full, where the system can do so.
fn allocate(file: &File, len: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::{Errno, retry_on_intr};

        match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, len)) {
            // Not every kernel, sandbox and file system has the call; none accepts a length of 0.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            allocated => return Ok(allocated?),
        }
    }
    file.set_len(len)
}

impl ScratchFile for LocalScratchFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_scratch_file_replaces_what_has_its_name_and_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("scratch"), dir.path().join("other"));
        fs::write(&other, b"kept").unwrap();
        symlink(&other, &path).unwrap();
        for _ in 0..2 {
            let file = LocalScratchFile::create(&path, 1000).unwrap();
            assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let mut bytes = [1; 4];
            file.read_exact_at(&mut bytes, 996).unwrap();
            assert_eq!(bytes, [0; 4]);
            file.write_all_at(b"here", 500).unwrap();
            file.read_exact_at(&mut bytes, 500).unwrap();
            assert_eq!(&bytes, b"here");
            assert_eq!(file.read_exact_at(&mut bytes, 997).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        assert_eq!(fs::read(&other).unwrap(), b"kept");
        // A length for which the system allocates nothing.
        let empty = LocalScratchFile::create(&path, 0).unwrap();
        assert_eq!(empty.read_exact_at(&mut [0], 0).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        LocalScratchFile::create(&path, u64::MAX >> 2).unwrap_err();
        assert!(!path.exists());
        LocalScratchFile::create(&path, u64::MAX).unwrap_err();
        assert!(!path.exists());
        LocalScratchFile::create(&dir.path().join("absent/scratch"), 1).unwrap_err();
        LocalScratchFile::create(dir.path(), 1).unwrap_err();
    }
}
