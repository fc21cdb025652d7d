//! hregion in a benchmark of HFile readers: one HFile that HBase wrote, no region around it.

use crate::hfile::FileReader;
use crate::workload::{FAMILY, QUALIFIER, ROW, TIMESTAMP};
use anyhow::Result;
use hregion::{BlockCache, CellType, HFile, HFileScanner, SeekKey};
use std::path::Path;

/// A file, a scanner that is kept from look-up to look-up, as HBase's is, and a key that is kept, too.
pub struct File {
    file: &'static HFile,
    cells: HFileScanner<'static>,
    key: SeekKey,
}

impl FileReader for File {
    fn name() -> String {
        format!("hregion-{}", super::crate_version("hregion"))
    }

    fn open(path: &Path, cache: bool) -> Result<Option<Self>> {
        let mut options = HFile::options().verify_checksums(true);
        if cache {
            options = options.cache(&BlockCache::with_capacity(4 << 30));
        }
        // the trait wants a value that owns all it needs; the process ends soon
        let file: &'static HFile = Box::leak(Box::new(options.open(path)?));
        Ok(Some(File { file, cells: file.scanner(), key: SeekKey::new() }))
    }

    fn get<R>(&mut self, row: &[u8; ROW], bloom: bool, f: impl FnOnce(&[u8]) -> R) -> Result<Option<Option<R>>> {
        if bloom && !self.file.may_contain_row(row) {
            return Ok(Some(None));
        }
        self.key.set(row, FAMILY, QUALIFIER, TIMESTAMP as i64, CellType::Put);
        self.cells.seek(&self.key)?;
        Ok(Some(match self.cells.peek() {
            Some(cell) if cell.row() == row => Some(f(cell.value())),
            _ => None,
        }))
    }

    fn scan(&mut self, mut f: impl FnMut(&[u8], &[u8])) -> Result<u64> {
        let mut n = 0;
        let mut cells = self.file.scanner();
        let mut more = cells.seek_to_first()?;
        while more {
            if let Some(cell) = cells.peek() {
                f(cell.row(), cell.value());
                n += 1;
            }
            more = cells.advance()?;
        }
        Ok(n)
    }
}
