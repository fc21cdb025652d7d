//! A mapped file. The one place where mapping happens.

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
    /// Whatever the system says.
    ///
    /// # Safety
    ///
    /// Nothing may shorten or write to the file while the result is alive. HBase never changes a store file once it has
    /// been renamed into place, so a file under a region's family directory qualifies as long as no other program rewrites it.
    #[allow(unsafe_code, reason = "mapping a file is unsafe by nature")]
    pub unsafe fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let file = File::open(&path)?;
        // SAFETY: the caller promises that the file stays as it is for as long as the mapping lives, which is what
        // `Mmap::map` asks for.
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
