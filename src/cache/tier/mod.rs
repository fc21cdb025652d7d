//! The second tier of the block cache: data blocks that have left memory, in a file on a local disk (HBase:
//! `BucketCache` with a file as its engine, below an LRU cache for all blocks).
//!
//! Blocks are stored as they are in memory, plain and decoded. Their files are identified by the numbers of
//! open files, so a block is only found for the file that it was read from, whatever its path, and by the
//! process that wrote it. Every block has a checksum over its bytes, file and offset, and is checked as
//! if it came from a store file. A failed system call ends the use of the tier, but fails no read.

mod entry;
mod ring;

pub(crate) use entry::TierBlock;

use super::BlockKey;
use super::key::FileId;
use crate::block::data::DataBlock;
use crate::io::{FileLock, Owner, ScratchFile, Storage};
use crate::metrics::SharedCounter;
use crate::sync::unpoisoned;
use ring::Ring;
use std::fmt;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// The file of the blocks, in the directory of the tier.
const FILE: &str = "block-cache";

/// The file whose lock keeps other processes from using the directory.
const LOCK: &str = "block-cache.lock";

/// The maximum number of bytes of blocks that wait to be written; also limited to [`QUEUE`] blocks.
const QUEUE_BYTES: u64 = 8 << 20;

/// See [`QUEUE_BYTES`].
const QUEUE: usize = 256;

/// The state of the second tier of a [`BlockCache`](super::BlockCache) at one moment (HBase:
/// `BucketCacheStats`). Counts are since the cache was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecondTierStats {
    /// Blocks found there.
    pub hits: u64,
    /// Rows and parts of blocks read from blocks there.
    pub partial_reads: u64,
    /// Blocks that were neither in memory nor there.
    pub misses: u64,
    /// Blocks written.
    pub writes: u64,
    /// Blocks not written because too many others waited.
    pub dropped: u64,
    /// Blocks that were damaged there, and were read from their store files instead.
    pub mismatches: u64,
    /// Failed system calls: the first ends the use of the tier, and others may have begun before.
    pub failures: u64,
    /// Blocks that wait to be written.
    pub queued: u64,
    /// Blocks there, of files that are open.
    pub blocks: u64,
    /// The size of these blocks in bytes.
    pub bytes: u64,
    /// The capacity in bytes.
    pub capacity: u64,
    /// Whether a system call failed, so that the tier is no longer used.
    pub is_disabled: bool,
}

/// A second tier that is in use, or has failed.
pub(super) struct Tier {
    shared: Arc<TierShared>,
    queue: Option<SyncSender<(BlockKey, Arc<DataBlock>)>>,
    writer: Option<JoinHandle<()>>,
    storage: Arc<dyn Storage>,
    path: PathBuf,
    lock: Option<FileLock>,
    /// The process that writes the file, and removes it. A forked one has no record of its contents, and may
    /// find the ring locked by a thread that it does not have.
    owner: Owner,
}

struct TierShared {
    /// `None` if it could not be created.
    file: Option<Arc<dyn ScratchFile>>,
    capacity: u64,
    ring: Mutex<Ring>,
    is_off: AtomicBool,
    failure: Mutex<Option<String>>,
    queued: AtomicU64,
    queued_bytes: AtomicU64,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    hits: SharedCounter,
    partial_reads: SharedCounter,
    misses: SharedCounter,
    writes: SharedCounter,
    dropped: SharedCounter,
    mismatches: SharedCounter,
    failures: SharedCounter,
}

impl Tier {
    /// Creates a tier of `capacity` bytes in a directory. If a system call fails, the tier exists but is not
    /// used.
    pub(super) fn open(storage: &Arc<dyn Storage>, dir: &Path, capacity: u64) -> Self {
        Self::open_with(storage, dir, capacity, thread::Builder::new().name("hregion-tier".into()))
    }

    fn open_with(storage: &Arc<dyn Storage>, dir: &Path, capacity: u64, writer: thread::Builder) -> Self {
        let path = dir.join(FILE);
        let mut lock = None;
        let mut begin = || -> io::Result<Arc<dyn ScratchFile>> {
            storage.create_dir_all(dir)?;
            lock = Some(storage.lock(&dir.join(LOCK))?);
            storage.create_scratch(&path, capacity)
        };
        let counters = Counters::default();
        let (file, failure) = match begin() {
            Ok(file) => (Some(file), None),
            Err(error) => {
                // another cache may use the directory
                lock = None;
                counters.failures.add(1);
                (None, Some(failure("create", &path, &error)))
            }
        };
        let shared = Arc::new(TierShared {
            file,
            capacity,
            ring: Mutex::new(Ring::new(capacity)),
            is_off: AtomicBool::new(failure.is_some()),
            failure: Mutex::new(failure),
            queued: AtomicU64::new(0),
            queued_bytes: AtomicU64::new(0),
            counters,
        });
        let (queue, blocks) = sync_channel(QUEUE);
        let (storage, owner) = (Arc::clone(storage), Owner::this());
        let mut tier = Self { shared, queue: None, writer: None, storage, path, lock, owner };
        if tier.is_on() {
            let shared = Arc::clone(&tier.shared);
            match writer.spawn(move || shared.write_all(&blocks)) {
                Ok(writer) => (tier.queue, tier.writer) = (Some(queue), Some(writer)),
                Err(error) => {
                    tier.shared.fail("start a thread for", &error);
                    tier.leave_dir();
                }
            }
        }
        tier
    }

    /// Removes the file, which no thread uses, and unlocks the directory: another cache may use it.
    fn leave_dir(&mut self) {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            // its space is only free once it is closed
            shared.file = None;
        }
        if self.lock.is_some() {
            // the next process that uses the directory replaces a file that is still there
            let _ = self.storage.remove(&self.path);
            self.lock = None;
        }
    }

    pub(super) fn is_on(&self) -> bool {
        !self.shared.is_off.load(Ordering::Relaxed) && self.owner.is_this()
    }

    /// Returns the reason that the tier is not used.
    pub(super) fn failure(&self) -> Option<String> {
        unpoisoned(self.shared.failure.lock()).clone()
    }

    /// Accepts a block that leaves memory, unless too many others wait to be written.
    pub(super) fn offer(&self, key: &BlockKey, block: &Arc<DataBlock>) {
        let Some(queue) = self.queue.as_ref().filter(|_| self.is_on() && !key.file.is_secret()) else {
            return;
        };
        if unpoisoned(self.shared.ring.lock()).find(key).is_some() {
            return;
        }
        let len = block.memory() as u64;
        let waiting = self.shared.queued_bytes.fetch_add(len, Ordering::Relaxed);
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        if waiting > 0 && waiting + len > QUEUE_BYTES || queue.try_send((*key, Arc::clone(block))).is_err() {
            self.shared.leave_queue(len);
            self.shared.counters.dropped.add(1);
        }
    }

    /// Returns a block that is there; one that is damaged is not.
    pub(super) fn get(&self, key: &BlockKey) -> Option<TierBlock> {
        let file = self.shared.file.as_ref().filter(|_| self.is_on())?;
        let counters = &self.shared.counters;
        let extent = unpoisoned(self.shared.ring.lock()).find(key);
        let Some(extent) = extent else {
            counters.misses.add(1);
            return None;
        };
        let mut stored = vec![0; usize::try_from(extent.len).ok()?];
        if let Err(error) = file.read_exact_at(&mut stored, extent.at) {
            self.shared.fail("read", &error);
            return None;
        }
        let block = entry::read(key, stored);
        if block.is_some() {
            counters.hits.add(1);
        } else if unpoisoned(self.shared.ring.lock()).forget(key, extent) {
            counters.mismatches.add(1);
        } else {
            // overwritten while it was read
            counters.misses.add(1);
        }
        block
    }

    /// Whether a block is there.
    pub(super) fn has(&self, key: &BlockKey) -> bool {
        self.is_on() && unpoisoned(self.shared.ring.lock()).find(key).is_some()
    }

    /// Forgets a block whose cells turned out to be damaged.
    pub(super) fn reject(&self, key: &BlockKey) {
        if !self.owner.is_this() {
            return;
        }
        let mut ring = unpoisoned(self.shared.ring.lock());
        if let Some(extent) = ring.find(key) {
            ring.forget(key, extent);
        }
        self.shared.counters.mismatches.add(1);
    }

    /// Fills `buf` with bytes of a block from `from` on, if the tier has them unchanged from its store file.
    /// They are not verified.
    pub(super) fn read_part(&self, key: &BlockKey, from: u64, buf: &mut [u8]) -> bool {
        let Some(file) = self.shared.file.as_ref().filter(|_| self.is_on()) else { return false };
        let Some(extent) = unpoisoned(self.shared.ring.lock()).find(key) else { return false };
        if !extent.as_stored || from.saturating_add(buf.len() as u64) > extent.len {
            return false;
        }
        match file.read_exact_at(buf, extent.at + from) {
            Ok(()) => self.shared.counters.partial_reads.add(1),
            Err(error) => self.shared.fail("read", &error),
        }
        self.is_on()
    }

    /// Forgets the blocks of a file that is closed.
    pub(super) fn forget_file(&self, file: FileId) {
        if self.owner.is_this() {
            unpoisoned(self.shared.ring.lock()).forget_file(file);
        }
    }

    pub(super) fn stats(&self) -> SecondTierStats {
        let counters = &self.shared.counters;
        let (blocks, bytes) = match self.owner.is_this() {
            true => unpoisoned(self.shared.ring.lock()).size(),
            false => (0, 0),
        };
        SecondTierStats {
            hits: counters.hits.get(),
            partial_reads: counters.partial_reads.get(),
            misses: counters.misses.get(),
            writes: counters.writes.get(),
            dropped: counters.dropped.get(),
            mismatches: counters.mismatches.get(),
            failures: counters.failures.get(),
            queued: self.shared.queued.load(Ordering::Relaxed),
            blocks,
            bytes,
            capacity: self.shared.capacity,
            is_disabled: !self.is_on(),
        }
    }
}

impl Drop for Tier {
    /// Ends the writer, and removes the file. In a forked process, both belong to the other one.
    fn drop(&mut self) {
        if !self.owner.is_this() {
            mem::forget((self.queue.take(), self.writer.take()));
            return;
        }
        self.shared.is_off.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // a panic has been printed
            let _ = writer.join();
        }
        self.leave_dir();
    }
}

impl TierShared {
    /// Ends the use of the tier.
    #[cold]
    fn fail(&self, doing: &str, error: &io::Error) {
        self.counters.failures.add(1);
        self.is_off.store(true, Ordering::Relaxed);
        let mut first = unpoisoned(self.failure.lock());
        first.get_or_insert_with(|| failure(doing, Path::new(FILE), error));
        drop(first);
        unpoisoned(self.ring.lock()).clear();
    }

    fn leave_queue(&self, len: u64) {
        self.queued_bytes.fetch_sub(len, Ordering::Relaxed);
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }

    /// Writes blocks until the queue is closed.
    fn write_all(&self, blocks: &Receiver<(BlockKey, Arc<DataBlock>)>) {
        let mut stored = Vec::new();
        for (key, block) in blocks {
            if !self.is_off.load(Ordering::Relaxed) {
                self.write(&key, &block, &mut stored);
            }
            self.leave_queue(block.memory() as u64);
        }
    }

    fn write(&self, key: &BlockKey, block: &DataBlock, stored: &mut Vec<u8>) {
        let Some(file) = &self.file else { return };
        let mut ring = unpoisoned(self.ring.lock());
        if ring.find(key).is_some() {
            return;
        }
        // readers must not find the blocks that are about to be overwritten
        let Some(mut extent) = ring.reserve(entry::len(block)) else { return };
        extent.as_stored = block.content().2;
        drop(ring);
        entry::write(key, block, stored);
        match file.write_all_at(stored, extent.at) {
            Ok(()) => {
                self.counters.writes.add(1);
                unpoisoned(self.ring.lock()).insert(*key, extent);
            }
            Err(error) => self.fail("write", &error),
        }
    }
}

#[cold]
fn failure(doing: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {doing} {}: {error}", path.display())
}

impl fmt::Debug for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier").field("path", &self.path).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
