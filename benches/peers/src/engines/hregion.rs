//! hregion: a region with one family as a store.
//!
//! Variants: `fast_diff` and `row_index` have that data block encoding, `rowcol` has ROWCOL Bloom filters;
//! `filters` has separate memory for Bloom filters beside the block cache, like RocksDB and lsm-tree;
//! `mapped` maps its files; `small_blocks` has blocks of 16 KiB; `mapped_small_blocks` combines the last two.

use std::sync::Arc;

use anyhow::{Result, bail};
use hregion::filter::SingleColumnValue;
use hregion::io::MmapStorage;
use hregion::{
    BlockCache, BloomType, CellRef, CellType, Compaction, Comparator, Compare, DataBlockEncoding, Delete,
    Durability, Family, Filter, Get, HFileWriter, MemoryLimit, Put, Region, RowBuf, Scan, SeekKey,
    StoreFileOrigin, StoreFileWriter,
};

use crate::engine::{Caps, Config, Engine, Log, Pairs, Reader, Writer};
use crate::workload::{self, KEY, Key, Kind, ROW, Row, TIMESTAMP};

const FAMILY: &[u8] = workload::FAMILY;
const QUALIFIER: &[u8] = workload::QUALIFIER;

/// A region.
pub struct Hregion {
    region: Region,
}

fn encoding(config: &Config) -> Result<DataBlockEncoding> {
    Ok(match config.variant.as_str() {
        "default" | "rowcol" | "filters" | "mapped" | "small_blocks" | "mapped_small_blocks" => {
            DataBlockEncoding::None
        }
        "fast_diff" => DataBlockEncoding::FastDiff,
        "row_index" => DataBlockEncoding::RowIndexV1,
        other => bail!("hregion has no variant {other}"),
    })
}

fn block(config: &Config) -> usize {
    match config.block {
        0 if config.variant.ends_with("small_blocks") => 16 << 10,
        0 => 64 << 10,
        block => block,
    }
}

impl Engine for Hregion {
    type Reader<'a> = RegionReader<'a>;
    type Writer<'a> = RegionWriter<'a>;
    const NAME: &'static str = "hregion";

    fn caps() -> Caps {
        Caps::LSM
    }

    fn about(config: &Config) -> String {
        format!("hregion {}, variant {}", super::crate_version("hregion"), config.variant)
    }

    fn open(config: &Config) -> Result<Self> {
        let family = Family::new(FAMILY)
            .max_versions(config.versions)
            .bloom(if config.variant == "rowcol" { BloomType::RowCol } else { BloomType::Row })
            .block_size(block(config) as u32)
            .data_block_encoding(encoding(config)?);
        let filters = if config.variant == "filters" { 64 << 20 } else { 0 };
        let cache = BlockCache::options().capacity(config.cache).filter_capacity(filters).build();
        // the harness decides when to flush
        let options = Region::options()
            .cache(&cache)
            .create_if_missing(true)
            .memstore_flush_size(u64::MAX)
            .memory_limit(&MemoryLimit::new(u64::MAX))
            .family(family);
        let options = if config.variant.starts_with("mapped") {
            // SAFETY: no other program writes to the directory.
            options.storage(Arc::new(unsafe { MmapStorage::new() }))
        } else {
            options
        };
        Ok(Self { region: options.open(&config.dir)? })
    }

    fn close(self) -> Result<()> {
        Ok(self.region.close()?)
    }

    fn writer(&self, log: Log) -> Result<RegionWriter<'_>> {
        let durability = match log {
            Log::Off => Durability::SkipWal,
            Log::Os => Durability::SyncWal,
            Log::Sync => Durability::FsyncWal,
        };
        Ok(RegionWriter { region: &self.region, durability })
    }

    fn reader(&self) -> Result<RegionReader<'_>> {
        Ok(RegionReader {
            region: &self.region,
            column: Get::new([]).column(FAMILY, QUALIFIER),
            qualifier: QUALIFIER.to_vec(),
            whole: Get::new([]).family(FAMILY),
            many: Vec::new(),
            row: RowBuf::new(),
        })
    }

    fn flush(&self) -> Result<()> {
        Ok(self.region.flush()?)
    }

    fn compact(&self) -> Result<()> {
        Ok(self.region.compact(Compaction::Major)?)
    }

    fn runs(&self) -> Option<usize> {
        self.region.store_file_count(FAMILY)
    }

    // like HBase's StoreFileWriter, plus a sync
    fn bulk(config: &Config, pairs: Pairs<'_>) -> Result<()> {
        let options = HFileWriter::options()
            .data_block_encoding(encoding(config)?)
            .bloom(BloomType::Row)
            .block_size(block(config));
        let mut file = StoreFileWriter::create(options, config.dir.join("bulk.hfile"))?;
        let mut cell_key = SeekKey::new();
        for (key, value) in pairs {
            cell_key.set(&key[..ROW], FAMILY, QUALIFIER, TIMESTAMP as i64, CellType::Put);
            file.append(CellRef::new(&cell_key, &value))?;
        }
        file.finish(&StoreFileOrigin::flush(1))?;
        Ok(())
    }
}

/// Gets that are reused from read to read, and the row that they fill.
pub struct RegionReader<'r> {
    region: &'r Region,
    column: Get,
    qualifier: Vec<u8>,
    whole: Get,
    /// Gets of the column that every row has.
    many: Vec<Get>,
    row: RowBuf,
}

impl RegionReader<'_> {
    fn each(&self, scan: &Scan, limit: usize, mut f: impl FnMut(&[u8], &[u8])) -> usize {
        let mut n = 0;
        let view = self.region.view();
        let mut rows = view.scan(scan).expect("the harness asks for what is there");
        // rows as a user receives them: copied once
        while let Some(row) = rows.next_row().expect("the file is sound") {
            for cell in row.cells() {
                f(cell.key().as_bytes(), cell.value());
                n += 1;
                if n == limit {
                    return n;
                }
            }
        }
        n
    }
}

impl Reader for RegionReader<'_> {
    // a Get of one named column without a timestamp, as in HBase
    fn get<R>(&mut self, key: &[u8], f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let cell = workload::split(key);
        if self.qualifier != cell.qualifier {
            self.qualifier = cell.qualifier.to_vec();
            self.column = Get::new([]).column(FAMILY, self.qualifier.clone());
        }
        self.column.set_row(cell.row);
        self.region.get_into(&self.column, &mut self.row).expect("the file is sound");
        self.row.as_row().cells().next().map(|cell| f(cell.value()))
    }

    fn get_many(&mut self, keys: &[Key], mut f: impl FnMut(&[u8])) -> usize {
        let cells: Vec<_> = keys.iter().map(|key| workload::split(key)).collect();
        self.many.resize_with(cells.len(), || Get::new([]));
        for (get, cell) in self.many.iter_mut().zip(&cells) {
            if get.row().is_empty() {
                *get = Get::new([]).column(FAMILY, cell.qualifier.to_vec());
            }
            get.set_row(cell.row);
        }
        let rows = self.region.get_many(&self.many).expect("the file is sound");
        rows.iter().filter_map(|row| row.cells().next()).map(|cell| f(cell.value())).count()
    }

    fn scan(&mut self, from: &[u8], limit: usize, mut f: impl FnMut(&[u8], &[u8])) -> usize {
        // a scan of one entry from a bare row is the harness's row seek; HBase uses a Get of the row
        if limit == 1 && from.len() == ROW {
            self.whole.set_row(from);
            self.region.get_into(&self.whole, &mut self.row).expect("the file is sound");
            if let Some(cell) = self.row.as_row().cells().next() {
                f(cell.key().as_bytes(), cell.value());
                return 1;
            }
        }
        let scan = Scan::new().family(FAMILY);
        match from.get(..ROW) {
            Some(row) => self.each(&scan.rows(row..), limit, f),
            None => self.each(&scan, limit, f),
        }
    }

    fn scan_rev(&mut self, limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize {
        self.each(&Scan::new().family(FAMILY).reversed(true), limit, f)
    }

    // the filter that HBase uses
    fn scan_filter(&mut self, below: &[u8], f: impl FnMut(&[u8], &[u8])) -> usize {
        let below = Comparator::binary(below.to_vec());
        let filter = SingleColumnValue::new(FAMILY, QUALIFIER, Compare::Less, below);
        let scan = Scan::new().family(FAMILY).filter(Filter::single_column_value(filter));
        self.each(&scan, usize::MAX, f)
    }

    fn get_row(&mut self, row: &Row, _: usize, mut f: impl FnMut(&[u8])) -> usize {
        self.whole.set_row(row);
        self.region.get_into(&self.whole, &mut self.row).expect("the file is sound");
        self.row.as_row().cells().map(|cell| f(cell.value())).count()
    }

    fn get_versions(&mut self, row: &Row, _: usize, max: usize, mut f: impl FnMut(&[u8])) -> usize {
        let get = Get::new(row).column(FAMILY, QUALIFIER).max_versions(max as u32);
        self.region.get_into(&get, &mut self.row).expect("the file is sound");
        self.row.as_row().cells().map(|cell| f(cell.value())).count()
    }

    // key part of a KeyValue: row length, row, family length, family, qualifier, timestamp, type
    fn store_key(native: &[u8]) -> Key {
        let mut key = [0u8; KEY];
        key[..16].copy_from_slice(&native[2..18]);
        key[16..22].copy_from_slice(&native[19..25]);
        for (to, from) in key[22..].iter_mut().zip(&native[25..33]) {
            *to = !from;
        }
        key
    }
}

/// Writes without a log.
pub struct RegionWriter<'r> {
    region: &'r Region,
    durability: Durability,
}

impl Writer for RegionWriter<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let cell = workload::split(key);
        let put = Put::new(cell.row.to_vec()).cell_at(
            FAMILY,
            cell.qualifier.to_vec(),
            cell.timestamp as i64,
            value.to_vec(),
        );
        Ok(self.region.put(put.durability(self.durability))?)
    }

    fn put_version(&mut self, i: u64, timestamp: u64, kind: Kind, value: &[u8]) -> Result<()> {
        let (row, timestamp) = (workload::row(i).to_vec(), timestamp as i64);
        match kind {
            Kind::Put => {
                let put = Put::new(row).cell_at(FAMILY, QUALIFIER, timestamp, value.to_vec());
                self.region.put(put.durability(self.durability))?;
            }
            Kind::Delete => {
                let delete = Delete::new(row).version_at(FAMILY, QUALIFIER, timestamp);
                self.region.delete(delete.durability(self.durability))?;
            }
            Kind::DeleteColumn => {
                let delete = Delete::new(row).column_at(FAMILY, QUALIFIER, timestamp);
                self.region.delete(delete.durability(self.durability))?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        Ok(())
    }
}
