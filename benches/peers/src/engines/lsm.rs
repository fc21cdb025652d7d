//! lsm-tree: the tree of fjall, without a journal.
//!
//! Variants: `default` has the crate's defaults (index and filter in partitions below level 2, pinned in
//! level 0); `tuned` has index and filter whole and pinned in every level, and a hash index in data blocks.

use std::sync::Arc;

use anyhow::{Result, bail};
use lsm_tree::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry,
    HashRatioPolicy, PinningPolicy,
};
use lsm_tree::{AbstractTree, AnyTree, Cache, CompressionType, Guard, SeqNo, SequenceNumberCounter};

use crate::engine::{Caps, Config, Engine, Log, Pairs, Reader, Writer};

pub struct Lsm {
    tree: AnyTree,
    seqno: SequenceNumberCounter,
    visible: SequenceNumberCounter,
}

impl Engine for Lsm {
    type Reader<'a> = LsmReader<'a>;
    type Writer<'a> = LsmWriter<'a>;
    const NAME: &'static str = "lsm-tree";

    fn caps() -> Caps {
        Caps { put_log: false, put_sync: false, ..Caps::LSM }
    }

    fn about(config: &Config) -> String {
        format!("lsm-tree {}, variant {}", super::crate_version("lsm-tree"), config.variant)
    }

    fn open(config: &Config) -> Result<Self> {
        let (seqno, visible) = (SequenceNumberCounter::default(), SequenceNumberCounter::default());
        let bloom = BloomConstructionPolicy::BitsPerKey(config.bloom_bits as f32);
        let mut options = lsm_tree::Config::new(&config.dir, seqno.clone(), visible.clone())
            .use_cache(Arc::new(Cache::with_capacity_bytes(config.cache)))
            .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(bloom)))
            .data_block_compression_policy(CompressionPolicy::all(CompressionType::None));
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
            other => bail!("lsm-tree has no variant {other}"),
        }
        let tree = options.open()?;
        if let Some(highest) = tree.get_highest_seqno() {
            seqno.set(highest + 1);
            visible.set(highest + 1);
        }
        Ok(Lsm { tree, seqno, visible })
    }

    fn close(self) -> Result<()> {
        self.flush()
    }

    fn writer(&self, log: Log) -> Result<LsmWriter<'_>> {
        match log {
            Log::Off => Ok(LsmWriter(self)),
            Log::Os | Log::Sync => bail!("lsm-tree has no log"),
        }
    }

    fn reader(&self) -> Result<LsmReader<'_>> {
        Ok(LsmReader(&self.tree))
    }

    fn flush(&self) -> Result<()> {
        self.tree.flush_active_memtable(0)?;
        Ok(())
    }

    fn compact(&self) -> Result<()> {
        self.tree.major_compact(u64::MAX, self.visible.get())?;
        Ok(())
    }

    fn runs(&self) -> Option<usize> {
        Some(self.tree.current_version().iter_levels().map(|level| level.run_count()).sum())
    }

    fn bulk(config: &Config, pairs: Pairs<'_>) -> Result<()> {
        let engine = Lsm::open(config)?;
        let mut ingestion = engine.tree.ingestion()?;
        for (key, value) in pairs {
            ingestion.write(&key[..], &value[..])?;
        }
        ingestion.finish()?;
        Ok(())
    }
}

pub struct LsmReader<'a>(&'a AnyTree);

fn visit(entries: impl Iterator<Item = impl Guard>, mut f: impl FnMut(&[u8], &[u8])) -> usize {
    let mut n = 0;
    for entry in entries {
        let (key, value) = entry.into_inner().expect("the store is sound");
        f(&key, &value);
        n += 1;
    }
    n
}

impl Reader for LsmReader<'_> {
    fn get<R>(&mut self, key: &[u8], f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.get(key, SeqNo::MAX).expect("the store is sound").map(|value| f(&value))
    }

    fn scan(&mut self, from: &[u8], limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize {
        visit(self.0.range(from.., SeqNo::MAX, None).take(limit), f)
    }

    fn scan_rev(&mut self, limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize {
        visit(self.0.iter(SeqNo::MAX, None).rev().take(limit), f)
    }
}

pub struct LsmWriter<'a>(&'a Lsm);

impl Writer for LsmWriter<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let seqno = self.0.seqno.next();
        self.0.tree.insert(key, value, seqno);
        self.0.visible.fetch_max(seqno + 1);
        Ok(())
    }

    fn finish(self) -> Result<()> {
        Ok(())
    }
}
