//! Blocks that a long scan reads before it needs them, so that a helper thread can decode them.
//!
//! Blocks of local files ([`FileReader::may_read_ahead`]) are also read by the helper: reading takes as long
//! as verifying. All blocks of other files are read by the scan's own thread, in the order of the file, and
//! each once, unless it turns out to be damaged or too large: the calls to the storage are the same as
//! without the helper, but some are made earlier.
//!
//! The helper verifies, decrypts, decompresses and decodes; the scan does so itself for blocks that the
//! helper has not begun. So a scan never waits for other scans, and two threads share its work. Several
//! scanning threads have several helpers if there are enough processors. If a block cannot be read or
//! decoded, the scan reads or decodes it once more, which gives the error.

use super::block_decoder::{BlockDecoder, DecodeBuffers};
use super::index::IndexPath;
use super::job_queue::{Claim, HeldQueue, Job, JobQueue, Task};
use super::reader_core::ReaderCore;
use crate::block::data::DataBlock;
use crate::block::index::IndexBlock;
use crate::block::{BlockHandle, BlockHeader};
use crate::cell::CellOrder;
use crate::error::Error;
use crate::io::FileReader;
use crate::sync::{cores, unpoisoned};
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Instant;

/// The maximum number of blocks that are read ahead.
const MAX_BLOCKS: usize = 8;

/// One block is read ahead for this many that the scan has passed since its last seek, so that a scan that
/// ends early has read few unneeded blocks.
const PASSED: u32 = 4;

/// The helpers of the process: scans that find them busy decode their blocks themselves.
static HELPERS: JobQueue<Decoding> = JobQueue::new("hregion-decode");

/// The threads that scan.
static SCANNING: Mutex<Scanning> = Mutex::new(Scanning(Vec::new()));

/// Threads that read ahead, each with its number of files.
#[derive(Debug)]
struct Scanning(Vec<(ThreadId, usize)>);

impl Scanning {
    fn begin(&mut self, thread: ThreadId) {
        match self.0.iter_mut().find(|(known, _)| *known == thread) {
            Some((_, files)) => *files += 1,
            None => self.0.push((thread, 1)),
        }
    }

    fn end(&mut self, thread: ThreadId) {
        if let Some(of_thread) = self.0.iter_mut().find(|(known, _)| *known == thread) {
            of_thread.1 -= 1;
        }
        self.0.retain(|(_, files)| *files > 0);
    }

    /// Returns the number of helpers: one for each scanning thread, but no more than the processors that the
    /// scanning threads leave, and at least one.
    fn helpers(&self, cores: usize) -> usize {
        let threads = self.0.len();
        cores.saturating_sub(threads).clamp(1, threads.max(1))
    }
}

/// Holds the queue of blocks that are decoded.
pub(super) fn hold_queue(end: Instant) -> Box<dyn HeldQueue> {
    HELPERS.hold(end)
}

/// The blocks after the current one of a scan.
pub(super) struct ReadAhead {
    /// In the order of the file.
    blocks: VecDeque<Pending>,
    /// The index block with their entries.
    leaf: Option<Arc<IndexBlock>>,
    /// The entry of the block to read next.
    next: usize,
    /// The memory of the blocks in bytes, stored and decoded.
    held: usize,
    /// The block after these, if it could not be read.
    failed: Option<Failed>,
    /// Whether no more blocks are read ahead.
    is_off: bool,
    /// The thread that created this.
    thread: ThreadId,
    /// Jobs and memory for reuse.
    jobs: Vec<Arc<Job<Decoding>>>,
    stored: Vec<Vec<u8>>,
    plain: Vec<Vec<u8>>,
}

/// A block that is read ahead.
struct Pending {
    offset: u64,
    /// Its entry in the index block.
    entry: usize,
    /// Its memory in bytes.
    memory: usize,
    job: Arc<Job<Decoding>>,
}

/// A block that could not be read.
struct Failed {
    offset: u64,
    entry: usize,
    error: Error,
}

/// A block to decode.
struct Decoding {
    decoder: Arc<BlockDecoder>,
    handle: BlockHandle,
    index: Option<CellOrder>,
    /// The file, if the block has not been read yet.
    reader: Option<Arc<dyn FileReader>>,
    /// The block as stored, or memory for it.
    stored: Vec<u8>,
    /// The memory for the cells; of a plain block, for all of it.
    plain: Vec<u8>,
    /// The maximum size of the cells of an encoded block.
    limit: usize,
}

/// A decoded block, and its stored bytes, unless these were in the block's memory. No block if the bytes
/// cannot be read, are damaged, or take more memory than expected.
struct Decoded {
    block: Option<DataBlock>,
    stored: Vec<u8>,
}

impl Task for Decoding {
    type Output = Decoded;

    fn run(self, scratch: &mut Vec<u8>) -> Decoded {
        let Self { decoder, handle, index, reader, mut stored, mut plain, limit } = self;
        if let Some(reader) = reader {
            let is_in_place = decoder.keeps_buffer();
            let memory = if is_in_place { &mut plain } else { &mut stored };
            memory.resize(handle.on_disk_size as usize, 0);
            // after a failure the scan reads it again, which gives the error
            if reader.read_exact_at(memory, handle.offset).is_err() {
                return Decoded { block: None, stored: Vec::new() };
            }
            if is_in_place {
                let block = decoder.finish_in_place(handle, plain, index).ok();
                return Decoded { block, stored: Vec::new() };
            }
            // not verified yet: used only to limit the decoder's memory
            let plain_len = BlockHeader::parse(&stored, decoder.context.has_checksums)
                .map(|header| header.uncompressed_size_without_header() as usize);
            if plain_len.is_ok_and(|len| len > limit) {
                return Decoded { block: None, stored };
            }
        }
        let memory = DecodeBuffers { out: plain, encoded: scratch, limit };
        let block = decoder.decode(handle, &stored, memory, index, None).map(|(block, _)| block).ok();
        Decoded { block, stored }
    }
}

/// A block to read ahead.
#[derive(Clone, Copy)]
struct NextBlock {
    handle: BlockHandle,
    /// The order of its seek index, if it gets one.
    index: Option<CellOrder>,
    /// The size in bytes of the cells of the last block that the scan has passed.
    cells: usize,
}

impl NextBlock {
    fn stored_len(&self) -> usize {
        self.handle.on_disk_size as usize
    }

    /// Returns the expected bytes of its cells: a quarter more than those of the last block.
    fn expected_cells(&self) -> usize {
        self.cells.saturating_add(self.cells / 4)
    }
}

/// A block that was read ahead.
#[allow(clippy::large_enum_variant, reason = "a box would be an allocation for each block")]
pub(super) enum AheadBlock {
    Decoded(DataBlock),
    /// Its bytes have been read, but not decoded.
    Stored,
    /// It could not be read.
    Failed(Error),
}

impl ReadAhead {
    /// Begins to read ahead, if there is a helper thread.
    pub(super) fn new() -> Self {
        let thread = thread::current().id();
        let mut scanning = unpoisoned(SCANNING.lock());
        scanning.begin(thread);
        HELPERS.set_max_threads(scanning.helpers(cores()));
        drop(scanning);
        Self {
            blocks: VecDeque::new(),
            leaf: None,
            next: 0,
            held: 0,
            failed: None,
            is_off: cores() == 1 || !HELPERS.start(),
            thread,
            jobs: Vec::new(),
            stored: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// Reads blocks after the one of `path`; how many depends on `passed`, the number of blocks that the scan
    /// has passed. The last of these had `cells` bytes of cells. `spare` is its memory, if nothing else uses
    /// it.
    pub(super) fn read(
        &mut self,
        file: &ReaderCore,
        path: &IndexPath,
        (passed, cells): (u32, usize),
        spare: &mut Vec<u8>,
    ) {
        let Some((leaf, at)) = path.leaf() else { return };
        self.keep(mem::take(spare));
        let is_known = self.leaf.as_ref().is_some_and(|known| Arc::ptr_eq(known, leaf));
        if !is_known || !(at..=at + 1 + MAX_BLOCKS).contains(&self.next) {
            self.cancel();
            self.leaf = Some(Arc::clone(leaf));
        }
        // found in the cache, and therefore never taken
        while self.blocks.front().is_some_and(|block| block.entry < at) {
            self.forget_first();
        }
        self.failed.take_if(|failed| failed.entry < at);
        self.next = self.next.max(at + 1);
        let most = usize::try_from(passed / PASSED).map_or(MAX_BLOCKS, |most| most.min(MAX_BLOCKS));
        let end = leaf.len().min(at + 1 + most);
        while self.next < end && self.failed.is_none() && !self.is_off {
            let Some(handle) = leaf.handle(self.next) else { return };
            if file.is_to_be_read(leaf, self.next, handle) {
                let index = file.index_for_passing(handle, path.fill());
                if !self.read_block(file, NextBlock { handle, index, cells }) {
                    return;
                }
            }
            self.next += 1;
        }
    }

    /// Reads a block and adds it to the jobs. Returns false if no block can be read ahead now.
    fn read_block(&mut self, file: &ReaderCore, next: NextBlock) -> bool {
        let decoder = &file.source.decoder;
        if file.source.reader.may_read_ahead() {
            return self.push_unread(file, next);
        }
        let NextBlock { handle, index, cells } = next;
        let left = decoder.context.limits.read_ahead_bytes.saturating_sub(self.held);
        let memory_for = |cells| next.stored_len().saturating_add(decoder.memory_for(cells, index));
        if memory_for(cells) > left {
            return false;
        }
        let mut stored = self.stored.pop().unwrap_or_default();
        if let Err(error) = file.source.read_stored(handle, &mut stored) {
            self.failed = Some(Failed { offset: handle.offset, entry: self.next, error });
            return false;
        }
        // the header is not verified yet: its sizes only decide whether to continue
        let Ok(header) = BlockHeader::parse(&stored, decoder.context.has_checksums) else {
            self.is_off = true;
            return false;
        };
        let plain_len = header.uncompressed_size_without_header() as usize;
        let limit =
            if decoder.format.keeps_cells_plain() { plain_len } else { plain_len.max(next.expected_cells()) };
        if limit > decoder.context.limits.block_bytes || memory_for(limit) > left {
            self.is_off = true;
            return false;
        }
        let plain = self.plain.pop().unwrap_or_default();
        let (decoder, memory) = (Arc::clone(decoder), memory_for(limit));
        self.push(Decoding { decoder, handle, index, reader: None, stored, plain, limit }, memory);
        true
    }

    /// Adds an unread block to the jobs, which read it. Returns false if no block can be read ahead now.
    fn push_unread(&mut self, file: &ReaderCore, next: NextBlock) -> bool {
        let NextBlock { handle, index, .. } = next;
        let decoder = &file.source.decoder;
        let (limits, len) = (&decoder.context.limits, next.stored_len());
        let is_in_place = decoder.keeps_buffer();
        let limit = if is_in_place { len } else { next.expected_cells().min(limits.block_bytes) };
        let for_cells = decoder.memory_for(limit, index);
        let memory = if is_in_place { for_cells } else { for_cells.saturating_add(len) };
        if len > limits.block_bytes || memory > limits.read_ahead_bytes.saturating_sub(self.held) {
            return false;
        }
        let mut plain = self.plain.pop().unwrap_or_default();
        // the old contents are overwritten, which is faster than clearing them
        plain.reserve(for_cells.saturating_sub(plain.len()));
        let stored = if is_in_place { Vec::new() } else { self.stored.pop().unwrap_or_default() };
        let (decoder, reader) = (Arc::clone(decoder), Some(Arc::clone(&file.source.reader)));
        self.push(Decoding { decoder, handle, index, reader, stored, plain, limit }, memory);
        true
    }

    fn push(&mut self, task: Decoding, memory: usize) {
        let offset = task.handle.offset;
        let job = self.jobs.pop().unwrap_or_else(|| Arc::new(Job::new()));
        job.set(task);
        HELPERS.push(&job);
        self.held += memory;
        self.blocks.push_back(Pending { offset, entry: self.next, memory, job });
    }

    /// Returns the block at an offset, if it was read, and drops earlier ones. If it is not decoded, its
    /// bytes are in `stored`. `spare` becomes memory for its cells, if available. `encoded` is scratch space.
    pub(super) fn take(
        &mut self,
        offset: u64,
        stored: &mut Vec<u8>,
        encoded: &mut Vec<u8>,
        spare: &mut Vec<u8>,
    ) -> Option<AheadBlock> {
        if spare.capacity() == 0 {
            *spare = self.plain.pop().unwrap_or_default();
        }
        if let Some(failed) = self.failed.take_if(|failed| failed.offset == offset) {
            return Some(AheadBlock::Failed(failed.error));
        }
        let at = self.blocks.iter().position(|block| block.offset == offset)?;
        for _ in 0..at {
            self.forget_first();
        }
        let Pending { memory, job, .. } = self.blocks.pop_front()?;
        self.held -= memory;
        let mut claim = job.claim();
        if matches!(claim, Claim::Running) {
            // this thread decodes later blocks while it waits
            while let Claim::Running = claim
                && self.blocks.iter().any(|block| block.job.run(encoded))
            {
                claim = job.claim();
            }
            if matches!(claim, Claim::Running) {
                claim = job.wait().map_or(Claim::Empty, Claim::Done);
            }
        }
        self.jobs.push(job);
        match claim {
            // the helper panicked, and this thread will too after reading the block again
            Claim::Empty | Claim::Running => None,
            Claim::Waiting(Decoding { reader: Some(_), stored: unused, mut plain, .. }) => {
                self.keep_stored(unused);
                // the scan reserves memory in addition to the buffer's contents
                plain.clear();
                self.keep(mem::replace(spare, plain));
                None
            }
            Claim::Waiting(Decoding { stored: bytes, plain, .. }) => {
                self.stored.push(mem::replace(stored, bytes));
                self.keep(mem::replace(spare, plain));
                Some(AheadBlock::Stored)
            }
            Claim::Done(Decoded { block: Some(block), stored: bytes }) => {
                self.keep_stored(bytes);
                Some(AheadBlock::Decoded(block))
            }
            Claim::Done(Decoded { block: None, stored: bytes }) if bytes.is_empty() => None,
            Claim::Done(Decoded { block: None, stored: bytes }) => {
                self.stored.push(mem::replace(stored, bytes));
                Some(AheadBlock::Stored)
            }
        }
    }

    /// Keeps the memory of stored bytes for reuse.
    fn keep_stored(&mut self, stored: Vec<u8>) {
        if stored.capacity() > 0 {
            self.stored.push(stored);
        }
    }

    /// Keeps the memory of a block for reuse.
    fn keep(&mut self, plain: Vec<u8>) {
        if plain.capacity() > 0 && self.plain.len() <= MAX_BLOCKS {
            self.plain.push(plain);
        }
    }

    /// Forgets the first block.
    fn forget_first(&mut self) {
        let Some(Pending { memory, job, .. }) = self.blocks.pop_front() else { return };
        self.held -= memory;
        match job.claim() {
            Claim::Empty => {}
            // the helper owns the job and drops its result
            Claim::Running => return,
            Claim::Waiting(Decoding { stored, plain, .. }) => {
                self.keep_stored(stored);
                self.keep(plain);
            }
            Claim::Done(Decoded { block, stored }) => {
                self.keep_stored(stored);
                self.keep(block.map(DataBlock::into_buffer).unwrap_or_default());
            }
        }
        self.jobs.push(job);
    }

    /// Forgets all blocks.
    fn cancel(&mut self) {
        while !self.blocks.is_empty() {
            self.forget_first();
        }
        (self.leaf, self.next, self.failed) = (None, 0, None);
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.cancel();
        let mut scanning = unpoisoned(SCANNING.lock());
        scanning.end(self.thread);
        HELPERS.set_max_threads(scanning.helpers(cores()));
    }
}

impl fmt::Debug for ReadAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offsets: Vec<u64> = self.blocks.iter().map(|block| block.offset).collect();
        f.debug_struct("ReadAhead").field("blocks", &offsets).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
