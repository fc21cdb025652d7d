//! fjall: lsm-tree with a journal and flushes in the background. The journal cannot be switched off; each
//! write passes it to the operating system without a sync, like RocksDB's log without `sync`.
//!
//! Variants: the same as for lsm-tree.

use std::sync::Arc;

use anyhow::{Result, bail};
use fjall::compaction::Leveled;
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
    HashRatioPolicy, PinningPolicy,
};
use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot,
};

use crate::engine::{Caps, Config, Engine, Log, Pairs, Reader, Writer};

pub struct Fjall {
    db: Database,
    keyspace: Keyspace,
}

fn options(config: &Config) -> Result<KeyspaceCreateOptions> {
    let bloom = BloomConstructionPolicy::BitsPerKey(config.bloom_bits as f32);
    let mut options = KeyspaceCreateOptions::default()
        .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(bloom)))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
        .max_memtable_size(config.memtable)
        // the harness decides when to compact
        .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(100)));
    if config.block > 0 {
        options = options.data_block_size_policy(BlockSizePolicy::all(u32::try_from(config.block)?));
    }
    match config.variant.as_str() {
        "default" => {}
        "tuned" => {
            options = options
                .data_block_hash_ratio_policy(HashRatioPolicy::all(0.75))
                .index_block_pinning_policy(PinningPolicy::all(true))
                .filter_block_pinning_policy(PinningPolicy::all(true))
                .index_block_partitioning_policy(PinningPolicy::all(false))
                .filter_block_partitioning_policy(PinningPolicy::all(false));
        }
        other => bail!("fjall has no variant {other}"),
    }
    Ok(options)
}

impl Engine for Fjall {
    type Reader<'a> = FjallReader<'a>;
    type Writer<'a> = FjallWriter<'a>;
    const NAME: &'static str = "fjall";

    fn caps() -> Caps {
        Caps { put_no_log: false, ..Caps::LSM }
    }

    fn about(config: &Config) -> String {
        let (fjall, tree) = (super::crate_version("fjall"), super::crate_version("lsm-tree"));
        format!("fjall {fjall} (lsm-tree {tree}), variant {}", config.variant)
    }

    fn open(config: &Config) -> Result<Self> {
        let db =
            Database::builder(&config.dir).cache_size(config.cache).max_journaling_size(8 << 30).open()?;
        let options = options(config)?;
        let keyspace = db.keyspace("t", || options.clone())?;
        Ok(Fjall { db, keyspace })
    }

    fn close(self) -> Result<()> {
        self.flush()
    }

    fn writer(&self, log: Log) -> Result<FjallWriter<'_>> {
        match log {
            Log::Off => bail!("fjall has no writes without its journal"),
            Log::Os => Ok(FjallWriter { keyspace: &self.keyspace, synced: None }),
            Log::Sync => Ok(FjallWriter { keyspace: &self.keyspace, synced: Some(&self.db) }),
        }
    }

    fn reader(&self) -> Result<FjallReader<'_>> {
        Ok(FjallReader { keyspace: &self.keyspace, snapshot: self.db.snapshot() })
    }

    fn flush(&self) -> Result<()> {
        Ok(self.keyspace.rotate_memtable_and_wait()?)
    }

    fn compact(&self) -> Result<()> {
        Ok(self.keyspace.major_compact()?)
    }

    fn runs(&self) -> Option<usize> {
        Some(self.keyspace.tree.current_version().iter_levels().map(|level| level.run_count()).sum())
    }

    fn bulk(config: &Config, pairs: Pairs<'_>) -> Result<()> {
        let engine = Fjall::open(config)?;
        let mut ingestion = engine.keyspace.start_ingestion()?;
        for (key, value) in pairs {
            ingestion.write(&key[..], &value[..])?;
        }
        ingestion.finish()?;
        Ok(())
    }

    fn disk_bytes(&self, _: &Config) -> u64 {
        self.keyspace.disk_space()
    }
}

pub struct FjallReader<'a> {
    keyspace: &'a Keyspace,
    snapshot: Snapshot,
}

fn visit(entries: impl Iterator<Item = fjall::Guard>, mut f: impl FnMut(&[u8], &[u8])) -> usize {
    let mut n = 0;
    for entry in entries {
        let (key, value) = entry.into_inner().expect("the store is sound");
        f(&key, &value);
        n += 1;
    }
    n
}

impl Reader for FjallReader<'_> {
    fn get<R>(&mut self, key: &[u8], f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.keyspace.get(key).expect("the store is sound").map(|value| f(&value))
    }

    fn scan(&mut self, from: &[u8], limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize {
        visit(self.snapshot.range(self.keyspace, from..).take(limit), f)
    }

    fn scan_rev(&mut self, limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize {
        visit(self.snapshot.iter(self.keyspace).rev().take(limit), f)
    }
}

pub struct FjallWriter<'a> {
    keyspace: &'a Keyspace,
    /// The database, if its journal is synced after each put.
    synced: Option<&'a Database>,
}

impl Writer for FjallWriter<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.keyspace.insert(key, value)?;
        if let Some(db) = self.synced {
            db.persist(PersistMode::SyncAll)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        Ok(())
    }
}
