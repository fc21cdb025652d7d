//! hregion in a measuring harness of storage engines: as a reader of HFiles that HBase wrote, and as a writer of them.
//! Regions are still to come, so there is no store to open.

use crate::engine::{Caps, Config, Engine, Log, Pairs, Reader, Writer};
use crate::hfile::FileReader;
use crate::workload::{Key, Kind, FAMILY, QUALIFIER, ROW, TIMESTAMP};
use anyhow::{bail, Result};
use hregion::{
    BlockCache, BloomType, CellRef, CellType, DataBlockEncoding, HFile, HFileScanner, HFileWriter, SeekKey,
    StoreFileOrigin, StoreFileWriter,
};
use std::path::Path;

/// Writes files; holds none. Variants: "default", "fast_diff", "row_index".
pub enum Hregion {}

impl Engine for Hregion {
    type Reader<'a> = Hregion;
    type Writer<'a> = Hregion;
    const NAME: &'static str = "hregion";

    fn caps() -> Caps {
        Caps {
            runs: false,
            put_no_wal: false,
            put_wal: false,
            put_sync: false,
            put_threads: false,
            lz4: false,
            cache: false,
            ..Caps::LSM
        }
    }

    fn about(cfg: &Config) -> String {
        format!("hregion {}, variant {}, files only", super::crate_version("hregion"), cfg.variant)
    }

    fn open(_: &Config) -> Result<Self> {
        bail!("hregion has no regions yet")
    }

    fn close(self) -> Result<()> {
        match self {}
    }

    fn writer(&self, _: Log) -> Result<Hregion> {
        match *self {}
    }

    fn reader(&self) -> Result<Hregion> {
        match *self {}
    }

    fn flush(&self) -> Result<()> {
        match *self {}
    }

    fn compact(&self) -> Result<()> {
        match *self {}
    }

    fn runs(&self) -> Option<usize> {
        match *self {}
    }

    // a store file with a ROW filter, synced: what HBase's StoreFileWriter makes, and more than it waits for
    fn bulk(cfg: &Config, pairs: Pairs<'_>) -> Result<()> {
        let encoding = match cfg.variant.as_str() {
            "default" => DataBlockEncoding::None,
            "fast_diff" => DataBlockEncoding::FastDiff,
            "row_index" => DataBlockEncoding::RowIndexV1,
            other => bail!("hregion has no variant {other}"),
        };
        let block = if cfg.block > 0 { cfg.block } else { 64 << 10 };
        let options = HFileWriter::options().data_block_encoding(encoding).bloom(BloomType::Row).block_size(block);
        let mut file = StoreFileWriter::create(options, cfg.dir.join("bulk.hfile"))?;
        let mut cell_key = SeekKey::new();
        for (key, value) in pairs {
            cell_key.set(&key[..ROW], FAMILY, QUALIFIER, TIMESTAMP as i64, CellType::Put);
            file.append(CellRef::new(&cell_key, &value))?;
        }
        file.finish(&StoreFileOrigin::flush(1))?;
        Ok(())
    }
}

impl Reader for Hregion {
    fn get<R>(&mut self, _: &[u8], _: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match *self {}
    }

    fn scan(&mut self, _: &[u8], _: usize, _: impl FnMut(&[u8], &[u8])) -> usize {
        match *self {}
    }

    fn scan_rev(&mut self, _: usize, _: impl FnMut(&[u8], &[u8])) -> usize {
        match *self {}
    }

    fn store_key(_: &[u8]) -> Key {
        unreachable!("there is no reader")
    }
}

impl Writer for Hregion {
    fn put(&mut self, _: &[u8], _: &[u8]) -> Result<()> {
        match *self {}
    }

    fn put_version(&mut self, _: u64, _: u64, _: Kind, _: &[u8]) -> Result<()> {
        match *self {}
    }

    fn finish(self) -> Result<()> {
        match self {}
    }
}

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
