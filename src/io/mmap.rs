//! A memory-mapped file. Only this module maps files.

use super::FileReader;
use super::memory::copy_at;
use memmap2::Mmap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A file mapped into memory.
#[derive(Debug)]
pub struct MmapFile {
    map: Mmap,
    path: PathBuf,
}

impl MmapFile {
    /// Maps a whole file.
    ///
    /// # Errors
    ///
    /// Any error of the system.
    ///
    /// # Safety
    ///
    /// The file must not be truncated or written to while the result is alive. HBase never changes a store
    /// file after renaming it into place, so a file in a region's family directory qualifies as long as no
    /// other program rewrites it.
    #[allow(unsafe_code, reason = "mapping a file is unsafe by nature")]
    pub unsafe fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let file = File::open(&path)?;
        // SAFETY: the caller guarantees that the file does not change while the mapping exists, as
        // `Mmap::map` requires.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { map, path })
    }
}

impl FileReader for MmapFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> u64 {
        self.map.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        copy_at(&self.map, buf, offset)
    }
}
