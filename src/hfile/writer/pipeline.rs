//! Data blocks that are filled but not written, so that a helper thread can compress them.
//!
//! The writer's own thread writes all blocks in order. When it does so depends only on the sizes of the
//! blocks before compression, so a storage gets the same calls in every run, and the same bytes as without
//! the helper. The writer compresses blocks itself that the helper has not begun.

use crate::block::codec::Compressor;
use crate::block::writer::{BlockWriter, compress};
use crate::error::Corruption;
use crate::hfile::job_queue::{Claim, HeldQueue, Job, JobQueue, Task};
use crate::sync::{cores, unpoisoned};
use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The maximum number of blocks that wait to be written.
const MAX_BLOCKS: usize = 8;

/// One thread for the process: writers that find it busy compress their blocks themselves.
static HELPER: JobQueue<Compressing> = JobQueue::new("hregion-compress");

/// Holds the queue of blocks that are compressed.
pub(in crate::hfile) fn hold_queue(end: Instant) -> Box<dyn HeldQueue> {
    HELPER.hold(end)
}

/// The last data blocks of a file, which are not written yet.
pub(super) struct Pipeline {
    /// In the order of the file.
    blocks: VecDeque<Pending>,
    /// The memory of the blocks in bytes.
    held: usize,
    /// The maximum of `held`.
    limit: usize,
    compressor: Arc<HelperCompressor>,
    /// Jobs and memory for reuse.
    jobs: Vec<Arc<Job<Compressing>>>,
    memory: Vec<Memory>,
}

/// The compressor of the helper for the blocks of one file.
struct HelperCompressor {
    compressor: Mutex<Compressor>,
    /// The space in bytes before the payload of a block.
    room: usize,
}

/// The memory of a block.
#[derive(Default)]
struct Memory {
    plain: Vec<u8>,
    stored: Vec<u8>,
}

/// A block that waits to be written.
struct Pending {
    /// Its memory in bytes.
    bytes: usize,
    job: Arc<Job<Compressing>>,
    /// The result, if the writer compressed it.
    done: Option<Compressed>,
}

/// A block to compress.
struct Compressing {
    compressor: Arc<HelperCompressor>,
    memory: Memory,
}

/// A compressed block.
struct Compressed {
    memory: Memory,
    result: Result<(), Corruption>,
}

impl Task for Compressing {
    type Output = Compressed;

    fn run(self, _: &mut Vec<u8>) -> Compressed {
        let Self { compressor, mut memory } = self;
        let Memory { plain, stored } = &mut memory;
        let mut by = unpoisoned(compressor.compressor.lock());
        let result = compress(&mut by, compressor.room, plain, stored);
        drop(by);
        Compressed { memory, result }
    }
}

/// The reason that there is no compressed block.
pub(super) enum Failure {
    Codec(Corruption),
    /// The helper panicked.
    Panic,
}

/// A compressed block to write.
pub(super) struct CompressedBlock {
    /// The payload, after space for the header.
    pub(super) stored: Vec<u8>,
    /// The size in bytes of the payload before compression.
    pub(super) plain_size: usize,
    plain: Vec<u8>,
}

impl Pipeline {
    /// Creates a pipeline for blocks of up to `limit` bytes in total. `None` if there is no helper thread.
    pub(super) fn new(compressor: Compressor, blocks: &BlockWriter, limit: usize) -> Option<Self> {
        let is_off = limit == 0 || cores() == 1 || !HELPER.start();
        let compressor = Mutex::new(compressor);
        (!is_off).then(|| Self {
            blocks: VecDeque::new(),
            held: 0,
            limit,
            compressor: Arc::new(HelperCompressor { compressor, room: blocks.room() }),
            jobs: Vec::new(),
            memory: Vec::new(),
        })
    }

    /// Adds a block whose payload is appended by `fill`.
    pub(super) fn push(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        let mut memory = self.memory.pop().unwrap_or_default();
        memory.plain.clear();
        fill(&mut memory.plain);
        // most blocks shrink, and no codec makes them much larger
        let bytes = 2 * memory.plain.len();
        let job = self.jobs.pop().unwrap_or_else(|| Arc::new(Job::new()));
        job.set(Compressing { compressor: Arc::clone(&self.compressor), memory });
        HELPER.push(&job);
        self.held += bytes;
        self.blocks.push_back(Pending { bytes, job, done: None });
    }

    /// Whether blocks must be written before another one is added.
    pub(super) fn is_full(&self) -> bool {
        self.held > self.limit || self.blocks.len() > MAX_BLOCKS
    }

    /// Takes the first block once it is compressed; `writer` compresses what the helper has not begun.
    /// `None` if there is no block.
    pub(super) fn take(&mut self, writer: &mut BlockWriter) -> Option<Result<CompressedBlock, Failure>> {
        let Pending { bytes, job, mut done } = self.blocks.pop_front()?;
        self.held -= bytes;
        if done.is_none() {
            let mut claim = job.claim();
            // this thread compresses later blocks while it waits
            while let Claim::Running = claim
                && self.compress_another(writer)
            {
                claim = job.claim();
            }
            done = match claim {
                Claim::Empty => None,
                Claim::Waiting(task) => Some(compress_by(writer, task)),
                Claim::Running => job.wait(),
                Claim::Done(compressed) => Some(compressed),
            };
        }
        self.jobs.push(job);
        let Some(Compressed { memory: Memory { plain, stored }, result }) = done else {
            return Some(Err(Failure::Panic));
        };
        let block = CompressedBlock { plain_size: plain.len(), stored, plain };
        Some(result.map(|()| block).map_err(Failure::Codec))
    }

    /// Compresses the first block that has not begun. Returns false if there is none.
    fn compress_another(&mut self, writer: &mut BlockWriter) -> bool {
        for block in self.blocks.iter_mut().filter(|block| block.done.is_none()) {
            match block.job.claim() {
                // the error is returned when this block's turn comes
                Claim::Empty | Claim::Running => {}
                Claim::Done(compressed) => block.done = Some(compressed),
                Claim::Waiting(task) => {
                    block.done = Some(compress_by(writer, task));
                    return true;
                }
            }
        }
        false
    }

    /// Takes back the memory of a block that was written.
    pub(super) fn reuse(&mut self, block: CompressedBlock) {
        let CompressedBlock { stored, plain, .. } = block;
        let most = self.limit / MAX_BLOCKS;
        if self.memory.len() < MAX_BLOCKS && stored.capacity() <= most && plain.capacity() <= most {
            self.memory.push(Memory { plain, stored });
        }
    }
}

fn compress_by(writer: &mut BlockWriter, task: Compressing) -> Compressed {
    let Compressing { mut memory, .. } = task;
    let result = writer.compress(&memory.plain, &mut memory.stored);
    Compressed { memory, result }
}

impl Drop for Pipeline {
    /// Takes back the jobs that the helper has not begun, so that it does no useless work.
    fn drop(&mut self) {
        for Pending { job, .. } in mem::take(&mut self.blocks) {
            drop(job.claim());
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
