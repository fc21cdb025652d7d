//! Decides which blocks enter the second tier of a cache, and reads them from it.

use super::frequency::Frequency;
use super::tier::{Tier, TierBlock};
use super::{BlockCache, BlockKey, CachedBlock, Entry, FileId, SecondTierStats};
use crate::io::{FileIdentity, FileReader};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The second tier, and the rule for the blocks that enter it.
pub(super) struct SecondTier {
    tier: Arc<Tier>,
    frequency: Arc<Frequency>,
    min_reads: u32,
}

impl SecondTier {
    /// Creates the tier of a cache with `capacity` bytes in memory.
    pub(super) fn new(tier: Arc<Tier>, capacity: u64, min_reads: u32) -> Self {
        Self { tier, frequency: Arc::new(Frequency::new(capacity)), min_reads }
    }

    /// Returns a function that offers the tier the blocks that leave memory, while the cache exists.
    pub(super) fn taker(to: Option<&Self>) -> impl Fn(&BlockKey, &Entry) + Send + Sync + 'static {
        let to = to.map(|to| (Arc::downgrade(&to.tier), Arc::clone(&to.frequency), to.min_reads));
        move |key, entry| {
            if let Some((tier, frequency, min_reads)) = &to
                && let Some(tier) = tier.upgrade()
            {
                offer(&tier, frequency, *min_reads, key, entry);
            }
        }
    }

    pub(super) fn offer(&self, key: &BlockKey, entry: &Entry) {
        offer(&self.tier, &self.frequency, self.min_reads, key, entry);
    }

    pub(super) fn forget_file(&self, file: FileId) {
        self.tier.forget_file(file);
    }

    /// Whether a block is there. Does not count as a use.
    pub(super) fn has(&self, key: &BlockKey) -> bool {
        self.tier.has(key)
    }

    pub(super) fn stats(&self) -> SecondTierStats {
        self.tier.stats()
    }
}

/// Offers a block that has left memory to the tier, if it is read often enough.
fn offer(tier: &Tier, frequency: &Frequency, min_reads: u32, key: &BlockKey, entry: &Entry) {
    if let CachedBlock::Data(block) = &entry.block
        && frequency.of(key) >= u64::from(min_reads)
    {
        tier.offer(key, block);
    }
}

impl BlockCache {
    /// Returns the reason that the second tier is not used, if a system call failed.
    #[must_use]
    pub fn second_tier_failure(&self) -> Option<String> {
        self.0.second_tier.as_ref()?.tier.failure()
    }

    /// Counts a read of a block that was not found in memory.
    pub(super) fn count_read(&self, key: &BlockKey) {
        if let Some(second) = &self.0.second_tier {
            second.frequency.count(key, self.blocks().entry_count());
        }
    }

    /// Returns a data block of the second tier.
    pub(crate) fn second_tier_block(&self, key: &BlockKey) -> Option<TierBlock> {
        self.0.second_tier.as_ref()?.tier.get(key)
    }

    /// Forgets a block of the second tier that turned out to be damaged.
    pub(crate) fn reject(&self, key: &BlockKey) {
        self.0.second_tier.as_ref().inspect(|second| second.tier.reject(key));
    }

    /// Returns the bytes of a block, read from the second tier if it has them unchanged from the file. They
    /// are not verified.
    pub(crate) fn reader_of<'r>(&'r self, key: BlockKey, file: &'r dyn FileReader) -> BlockReader<'r> {
        let tier = self.0.second_tier.as_ref().map(|second| &*second.tier);
        BlockReader { tier, key, file, was_in_tier: AtomicBool::new(false) }
    }
}

/// The bytes of one block, in the second tier or in the file.
#[derive(Debug)]
pub(crate) struct BlockReader<'r> {
    tier: Option<&'r Tier>,
    key: BlockKey,
    file: &'r dyn FileReader,
    was_in_tier: AtomicBool,
}

impl BlockReader<'_> {
    /// Whether bytes came from the second tier.
    pub(crate) fn was_in_tier(&self) -> bool {
        self.was_in_tier.load(Ordering::Relaxed)
    }
}

impl FileReader for BlockReader<'_> {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.file.identity()
    }

    fn is_remote(&self) -> bool {
        self.file.is_remote()
    }

    fn may_read_ahead(&self) -> bool {
        self.file.may_read_ahead()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let from = offset.checked_sub(self.key.offset);
        let read = |(tier, from): (&Tier, u64)| tier.read_part(&self.key, from, buf);
        if self.tier.zip(from).is_some_and(read) {
            self.was_in_tier.store(true, Ordering::Relaxed);
            return Ok(());
        }
        self.file.read_exact_at(buf, offset)
    }

    fn read_in_place(&self, offset: u64, len: usize, read: &mut dyn FnMut(&[u8])) -> bool {
        self.file.read_in_place(offset, len, read)
    }
}
