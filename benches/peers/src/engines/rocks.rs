//! RocksDB, through the crate `rocksdb`.
//!
//! Variants: `default` is the block-based table with RocksDB's defaults (LRU cache, binary search in blocks,
//! index and filter not in the cache) and a Bloom filter; `tuned` has the HyperClockCache, a hash index in
//! data blocks and a Bloom filter for the memtable.

use anyhow::{Result, bail};
use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, CompactOptions, DB, DBCompressionType,
    DataBlockIndexType, Options, SstFileWriter, WriteOptions,
};

use crate::engine::{Caps, Config, Engine, Log, Pairs, Reader, Writer};
use crate::workload::Key;

pub struct Rocks {
    db: DB,
    /// Kept as long as the database.
    _cache: Cache,
}

fn options(config: &Config) -> Result<(Options, Cache)> {
    let cache_bytes = usize::try_from(config.cache)?;
    let mut table = BlockBasedOptions::default();
    if config.block > 0 {
        table.set_block_size(config.block);
    }
    table.set_bloom_filter(config.bloom_bits, false);
    let mut options = Options::default();
    let cache = match config.variant.as_str() {
        "default" => Cache::new_lru_cache(cache_bytes),
        "tuned" => {
            table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
            table.set_data_block_hash_ratio(0.75);
            options.set_memtable_whole_key_filtering(true);
            options.set_memtable_prefix_bloom_ratio(0.05);
            Cache::new_hyper_clock_cache(cache_bytes, if config.block > 0 { config.block } else { 4096 })
        }
        other => bail!("rocksdb has no variant {other}"),
    };
    table.set_block_cache(&cache);
    options.set_block_based_table_factory(&table);
    options.create_if_missing(true);
    options.set_compression_type(DBCompressionType::None);
    options.set_bottommost_compression_type(DBCompressionType::None);
    options.set_write_buffer_size(usize::try_from(config.memtable)?);
    options.set_max_write_buffer_number(4);
    // the harness decides when to flush and to compact
    options.set_disable_auto_compactions(true);
    options.set_level_zero_file_num_compaction_trigger(1000);
    options.set_level_zero_slowdown_writes_trigger(1000);
    options.set_level_zero_stop_writes_trigger(1000);
    // a full compaction writes one file
    options.set_target_file_size_base(1 << 40);
    options.set_max_compaction_bytes(1 << 50);
    Ok((options, cache))
}

impl Engine for Rocks {
    type Reader<'a> = RocksReader<'a>;
    type Writer<'a> = RocksWriter<'a>;
    const NAME: &'static str = "rocksdb";

    fn caps() -> Caps {
        Caps::LSM
    }

    fn about(config: &Config) -> String {
        // the part after the plus sign is the version of the library in the package
        let library = super::crate_version("librocksdb-sys").split('+').next_back().unwrap_or_default();
        let binding = super::crate_version("rocksdb");
        format!("RocksDB {library} (crate rocksdb {binding}), variant {}", config.variant)
    }

    fn open(config: &Config) -> Result<Self> {
        let (options, cache) = options(config)?;
        Ok(Rocks { db: DB::open(&options, &config.dir)?, _cache: cache })
    }

    fn close(self) -> Result<()> {
        Ok(self.db.flush()?)
    }

    fn writer(&self, log: Log) -> Result<RocksWriter<'_>> {
        let mut options = WriteOptions::default();
        options.disable_wal(log == Log::Off);
        options.set_sync(log == Log::Sync);
        Ok(RocksWriter { db: &self.db, options })
    }

    fn reader(&self) -> Result<RocksReader<'_>> {
        Ok(RocksReader(&self.db))
    }

    fn flush(&self) -> Result<()> {
        Ok(self.db.flush()?)
    }

    fn compact(&self) -> Result<()> {
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        options.set_exclusive_manual_compaction(true);
        self.db.compact_range_opt(None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    fn runs(&self) -> Option<usize> {
        let files = self.db.live_files().ok()?;
        // each file of level 0 is a run, and so is each other level
        let first = files.iter().filter(|f| f.level == 0).count();
        let mut levels: Vec<i32> = files.iter().map(|f| f.level).filter(|&l| l > 0).collect();
        levels.sort_unstable();
        levels.dedup();
        Some(first + levels.len())
    }

    fn bulk(config: &Config, pairs: Pairs<'_>) -> Result<()> {
        let (options, _cache) = options(config)?;
        let mut file = SstFileWriter::create(&options);
        file.open(config.dir.join("bulk.sst"))?;
        for (key, value) in pairs {
            file.put(key, value)?;
        }
        Ok(file.finish()?)
    }
}

pub struct RocksReader<'a>(&'a DB);

impl Reader for RocksReader<'_> {
    fn get<R>(&mut self, key: &[u8], f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.get_pinned(key).expect("the store is sound").map(|value| f(&value))
    }

    fn get_many(&mut self, keys: &[Key], mut f: impl FnMut(&[u8])) -> usize {
        let values = self.0.multi_get(keys).into_iter();
        values.filter_map(|value| value.expect("the store is sound")).map(|value| f(&value)).count()
    }

    fn scan(&mut self, from: &[u8], limit: usize, mut f: impl FnMut(&[u8], &[u8])) -> usize {
        let mut entries = self.0.raw_iterator();
        if from.is_empty() {
            entries.seek_to_first();
        } else {
            entries.seek(from);
        }
        let mut n = 0;
        while n < limit {
            let Some((key, value)) = entries.item() else { break };
            f(key, value);
            n += 1;
            if n < limit {
                entries.next();
            }
        }
        entries.status().expect("the store is sound");
        n
    }

    fn scan_rev(&mut self, limit: usize, mut f: impl FnMut(&[u8], &[u8])) -> usize {
        let mut entries = self.0.raw_iterator();
        entries.seek_to_last();
        let mut n = 0;
        while n < limit {
            let Some((key, value)) = entries.item() else { break };
            f(key, value);
            n += 1;
            if n < limit {
                entries.prev();
            }
        }
        entries.status().expect("the store is sound");
        n
    }
}

pub struct RocksWriter<'a> {
    db: &'a DB,
    options: WriteOptions,
}

impl Writer for RocksWriter<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.db.put_opt(key, value, &self.options)?)
    }

    fn finish(self) -> Result<()> {
        Ok(())
    }
}
