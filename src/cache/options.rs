//! The options of a block cache.

use super::BlockCache;
use super::tier::Tier;
use crate::io::{LocalStorage, Storage};
use std::path::PathBuf;
use std::sync::Arc;

/// Options for making a [`BlockCache`]. Created by [`BlockCache::options`]. Sizes are in bytes. HBase:
/// `hfile.block.cache.size`, `hbase.bucketcache.size`, `hbase.bucketcache.ioengine`.
#[derive(Clone, Debug)]
pub struct BlockCacheOptions {
    capacity: u64,
    filter_capacity: u64,
    second_tier: Option<(PathBuf, u64)>,
    min_reads: u32,
    storage: Arc<dyn Storage>,
    huge_pages: bool,
}

impl BlockCacheOptions {
    pub(super) fn new() -> Self {
        let storage = LocalStorage::shared();
        Self { capacity: 0, filter_capacity: 0, second_tier: None, min_reads: 2, storage, huge_pages: true }
    }

    /// Sets the bytes in memory (default: none, so that nothing is cached).
    #[must_use]
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// Sets the bytes that only Bloom filters take, in addition to the capacity (HBase:
    /// `CombinedBlockCache`, whose first level has no data blocks). Default: none; filters then compete with
    /// data blocks for the capacity.
    ///
    /// This is useful if the data are much larger than the cache, and many gets are of rows that do not
    /// exist. A million rows have filters of 1.2 MB with the default error rate of 1 %. Has no effect without
    /// a capacity.
    #[must_use]
    pub fn filter_capacity(mut self, bytes: u64) -> Self {
        self.filter_capacity = bytes;
        self
    }

    /// Adds a second tier of `bytes` bytes, a file in a directory of a local disk, for data blocks that leave
    /// memory (HBase: `hbase.bucketcache.ioengine=file:…` and `hbase.bucketcache.size`; default: none).
    ///
    /// The directory is created if it is missing, and only one cache at a time can use it. The file has its
    /// full size from the start, and is removed with the cache; a process that dies leaves it, and the next
    /// cache in the directory replaces it without reading it. It contains the decoded cells of the blocks,
    /// and only its owner may read it; blocks of encrypted files are never in it. A separate thread writes
    /// it. If it waits for a slow disk, blocks are dropped instead; no read waits for a write.
    ///
    /// Blocks read from it are verified, and damage counts as a miss. After a failed system call, for example
    /// because the disk is full, the cache continues without the tier: [`CacheStats::second_tier`] shows it,
    /// and [`BlockCache::second_tier_failure`] returns the reason. Needs Unix and threads.
    ///
    /// [`CacheStats::second_tier`]: super::CacheStats::second_tier
    #[must_use]
    pub fn second_tier(mut self, dir: impl Into<PathBuf>, bytes: u64) -> Self {
        self.second_tier = Some((dir.into(), bytes));
        self
    }

    /// Sets how often a block must have been read recently to enter the second tier. Default: 2, so that a
    /// scan of all rows does not replace the blocks in it; at most 15.
    #[must_use]
    pub fn second_tier_min_reads(mut self, reads: u32) -> Self {
        self.min_reads = reads.min(15);
        self
    }

    /// Sets the storage that has the file of the second tier (default: the local file system).
    #[must_use]
    pub fn second_tier_storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = storage;
        self
    }

    /// Sets whether the memory of data blocks and Bloom filters is moved to huge pages (default: true), which
    /// makes gets from large caches faster. Has no effect except on Linux since 6.1, if
    /// `/sys/kernel/mm/transparent_hugepage/enabled` is `madvise` or `always` (HBase:
    /// `-XX:+UseTransparentHugePages`).
    ///
    /// A helper thread moves each two megabytes, after the cache has filled most of them.
    #[must_use]
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.huge_pages = yes;
        self
    }

    /// Makes the cache. It never fails: see [`second_tier`](Self::second_tier).
    #[must_use]
    pub fn build(&self) -> BlockCache {
        let open = |(dir, bytes): &(PathBuf, u64)| Arc::new(Tier::open(&self.storage, dir, *bytes));
        let tier = self.second_tier.as_ref().filter(|_| self.capacity > 0).map(open);
        let filter_bytes = if self.capacity > 0 { self.filter_capacity } else { 0 };
        BlockCache::new(self.capacity, filter_bytes, tier, self.min_reads, self.huge_pages)
    }
}
