//! A walk from block to block through the bytes of a file, which continues after damage.
#![warn(clippy::indexing_slicing)]

use super::references::References;
use crate::block::header::BlockSizes;
use crate::block::{BlockHeader, BlockType};
use crate::error::{Corruption, Error, Result};
use crate::hfile::source::BlockSource;

/// The number of bytes searched for a magic at a time.
const WINDOW: usize = 64 << 10;
const MAGIC_LEN: usize = 8;
/// The number of bytes of invalid blocks that may be read, per byte of the part, besides
/// `MIN_DAMAGED_READS`.
const DAMAGED_READS: u64 = 4;
const MIN_DAMAGED_READS: u64 = 1 << 20;

/// A walk over a part of a file that consists of consecutive blocks.
pub(in crate::hfile) struct Walk<'a> {
    source: &'a BlockSource,
    at: u64,
    end: u64,
    /// The number of bytes of invalid blocks that may still be read: a file of nothing but headers, each of a
    /// huge block, must not take forever.
    damaged_reads: u64,
    /// Whether payloads are not decompressed.
    is_stored: bool,
    /// A limit on the bytes of a plain payload, in addition to the one for any block.
    plain_limit: Option<usize>,
    stored: Vec<u8>,
    plain: Vec<u8>,
}

/// A step of a walk.
#[derive(Debug)]
pub(in crate::hfile) enum WalkStep {
    /// A valid block. Its payload is [`Walk::payload`].
    Block { at: u64, header: BlockHeader },
    /// Bytes that are not a valid block, and their end.
    Damage {
        at: u64,
        to: u64,
        /// The type and end of the block according to its header; neither is verified.
        claim: Option<(BlockType, u64)>,
        error: Error,
    },
}

impl<'a> Walk<'a> {
    pub(in crate::hfile) fn new(source: &'a BlockSource, from: u64, to: u64) -> Self {
        let damaged_reads = (to - from).saturating_mul(DAMAGED_READS).saturating_add(MIN_DAMAGED_READS);
        let (stored, plain) = (Vec::new(), Vec::new());
        Self { source, at: from, end: to, damaged_reads, is_stored: false, plain_limit: None, stored, plain }
    }

    /// Makes the walk check blocks as stored, by their checksums: nothing is decompressed, and only the
    /// stored payload is available.
    pub(in crate::hfile) fn of_stored(self) -> Self {
        Self { is_stored: true, ..self }
    }

    /// Makes the walk refuse blocks whose plain payload exceeds the limit for the load-on-open section.
    pub(in crate::hfile) fn of_load_on_open(self) -> Self {
        let limit = self.source.context().limits.load_on_open_bytes;
        Self { plain_limit: Some(limit), ..self }
    }

    /// Returns the offset of the next block.
    pub(in crate::hfile) fn position(&self) -> u64 {
        self.at
    }

    /// Returns the plain payload of the last block. The caller may take the buffer, and put it back.
    pub(in crate::hfile) fn payload(&mut self) -> &mut Vec<u8> {
        &mut self.plain
    }

    /// Returns the payload of the last block as stored.
    pub(in crate::hfile) fn stored_payload(&self, header: &BlockHeader) -> &[u8] {
        self.stored.get(header.payload()).unwrap_or_default()
    }

    /// Returns the next block, or the damage at its offset. Fails only if the file cannot be read.
    pub(in crate::hfile) fn next(&mut self, references: &References) -> Result<Option<WalkStep>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let at = self.at;
        let error = match self.read(at)?.and_then(|header| self.expand(&header)) {
            Ok(header) => {
                self.at += header.total_size() as u64;
                return Ok(Some(WalkStep::Block { at, header }));
            }
            Err(corruption) => match references.type_at(at).or_else(|| self.stored_type()) {
                Some(block_type) => self.source.error(corruption, at, block_type),
                None => corruption.at(self.source.reader.path(), at),
            },
        };
        let claim = self.claim(at);
        self.at = if self.charge() { self.skip_damage(at, references)? } else { self.end };
        Ok(Some(WalkStep::Damage { at, to: self.at, claim, error }))
    }

    /// Reads the block at an offset as stored, and checks it.
    fn read(&mut self, at: u64) -> Result<Result<BlockHeader, Corruption>> {
        let left = usize::try_from(self.end - at).unwrap_or(usize::MAX);
        self.fill(at, 0, left.min(self.source.context().header_len()))?;
        let total = match BlockSizes::parse(&self.stored, self.source.context().has_checksums) {
            Ok(sizes) => sizes.total_size(),
            Err(corruption) => return Ok(Err(corruption)),
        };
        let limit = self.source.context().limits.block_bytes;
        if total > left {
            let (needed, available) = (total as u64, left as u64);
            return Ok(Err(Corruption::Truncated { what: "block", needed, available }));
        }
        if total > limit {
            let (value, limit) = (total as u64, limit as u64);
            return Ok(Err(Corruption::Limit { what: "stored size of a block", value, limit }));
        }
        self.fill(at, self.stored.len(), total)?;
        Ok(self.source.context().check(&self.stored).map(|(header, _)| header))
    }

    /// Reads the bytes from `have` to `want` of the block at `at` into `stored`.
    fn fill(&mut self, at: u64, have: usize, want: usize) -> Result<()> {
        self.stored.resize(want, 0);
        let Some(rest) = self.stored.get_mut(have..) else { return Ok(()) };
        read_at(self.source, rest, at + have as u64)
    }

    fn expand(&mut self, header: &BlockHeader) -> Result<BlockHeader, Corruption> {
        self.plain.clear();
        if self.is_stored {
            return Ok(*header);
        }
        let value = u64::from(header.uncompressed_size_without_header());
        if let Some(limit) = self.plain_limit.map(|limit| limit as u64).filter(|limit| value > *limit) {
            return Err(Corruption::Limit { what: "plain size of a load-on-open block", value, limit });
        }
        let payload = self.stored.get(header.payload()).unwrap_or_default();
        if self.source.context().is_plain() {
            self.plain.extend_from_slice(payload);
        } else {
            self.source.context().expand(header, payload, &mut self.plain)?;
        }
        Ok(*header)
    }

    /// Returns the type of the last block read, if its magic is valid.
    fn stored_type(&self) -> Option<BlockType> {
        self.stored.first_chunk().and_then(|magic| BlockType::from_magic(*magic))
    }

    fn claim(&self, at: u64) -> Option<(BlockType, u64)> {
        let sizes = BlockSizes::parse(&self.stored, self.source.context().has_checksums).ok()?;
        Some((self.stored_type()?, at + sizes.total_size() as u64))
    }

    /// Returns where to continue: after the block that an index lists at `at`, else at the next block
    /// according to the header, else at the next block found by a search; but no later than at the next block
    /// that an index lists.
    fn skip_damage(&mut self, at: u64, references: &References) -> Result<u64> {
        let limit = references.next_after(at).map_or(self.end, |next| next.min(self.end));
        if let Some(end) = references.end_of(at).filter(|&end| end <= limit) {
            return Ok(end);
        }
        if let Ok(sizes) = BlockSizes::parse(&self.stored, self.source.context().has_checksums) {
            let end = at + sizes.total_size() as u64;
            if end == limit || end < limit && self.has_magic(end)? {
                return Ok(end);
            }
        }
        self.search(at + 1, limit)
    }

    fn has_magic(&self, at: u64) -> Result<bool> {
        let mut magic = [0; MAGIC_LEN];
        if at + MAGIC_LEN as u64 > self.end {
            return Ok(false);
        }
        read_at(self.source, &mut magic, at)?;
        Ok(BlockType::from_magic(magic).is_some())
    }

    /// Counts the bytes read of an invalid block; returns false if the limit is reached, and the rest is
    /// skipped.
    fn charge(&mut self) -> bool {
        let left = self.damaged_reads.checked_sub(self.stored.len() as u64);
        self.damaged_reads = left.unwrap_or(0);
        left.is_some()
    }

    /// Returns the first offset from `from` on and before `limit` at which there is a valid block; otherwise
    /// `limit`.
    fn search(&mut self, from: u64, limit: u64) -> Result<u64> {
        let mut window = Vec::new();
        let mut at = from;
        // a magic that begins before the limit may end after it
        while at < limit {
            let left = usize::try_from(self.end - at).unwrap_or(usize::MAX);
            window.resize(left.min(WINDOW + MAGIC_LEN - 1), 0);
            read_at(self.source, &mut window, at)?;
            for (candidate, _) in (at..limit).zip(window.windows(MAGIC_LEN)).filter(|(_, w)| is_magic(w)) {
                if self.read(candidate)?.is_ok() {
                    return Ok(candidate);
                }
                if !self.charge() {
                    return Ok(self.end);
                }
            }
            at += WINDOW as u64;
        }
        Ok(limit)
    }
}

fn is_magic(bytes: &[u8]) -> bool {
    bytes.first_chunk().is_some_and(|magic| BlockType::from_magic(*magic).is_some())
}

fn read_at(source: &BlockSource, buffer: &mut [u8], at: u64) -> Result<()> {
    source.reader.read_exact_at(buffer, at).map_err(|error| Error::io("read", source.reader.path(), error))
}
