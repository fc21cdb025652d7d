//! What the indexes say is where, to be compared with what is there.

use super::faults::{Faults, shown};
use crate::block::{BlockHandle, BlockHeader, BlockType};
use crate::error::Corruption;
use std::ops::Range;

/// A block, as an entry of an index or of a filter names it.
#[derive(Clone, Copy, Debug)]
pub(in crate::hfile) struct Reference {
    pub(in crate::hfile) handle: BlockHandle,
    /// [`BlockType::Data`] stands for encoded blocks, too.
    pub(in crate::hfile) block_type: BlockType,
    /// The block that names it.
    pub(in crate::hfile) named_by: Place,
    /// Which entry of the whole data index it is; which filter it belongs to.
    pub(in crate::hfile) number: usize,
}

/// Where a block is, and what it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::hfile) struct Place {
    pub(in crate::hfile) offset: u64,
    pub(in crate::hfile) block_type: BlockType,
}

impl Place {
    /// Notes what is wrong with the block.
    pub(in crate::hfile) fn blame(self, corruption: Corruption, faults: &mut Faults) {
        faults.add(corruption, self.offset, Some(self.block_type.name()));
    }
}

/// All blocks that are named somewhere, sorted by offset.
#[derive(Debug, Default)]
pub(in crate::hfile) struct References {
    list: Vec<Reference>,
    /// How many have been passed.
    passed: usize,
    /// Whether all that name data, index and meta blocks and chunks could be read; if not, it says nothing if a block is not named.
    pub(in crate::hfile) index_is_whole: bool,
    pub(in crate::hfile) meta_is_whole: bool,
    pub(in crate::hfile) filters_are_whole: bool,
}

impl References {
    pub(in crate::hfile) fn push(&mut self, reference: Reference) {
        self.list.push(reference);
    }

    /// Sorts what has been pushed.
    pub(in crate::hfile) fn sort(&mut self) {
        self.list.sort_by_key(|reference| reference.handle.offset);
    }

    /// What names a block at an offset.
    pub(in crate::hfile) fn at(&self, offset: u64) -> Option<&Reference> {
        let i = self.list.partition_point(|r| r.handle.offset < offset);
        self.list.get(i).filter(|r| r.handle.offset == offset)
    }

    /// The type of the block that is named at an offset.
    pub(in crate::hfile) fn type_at(&self, offset: u64) -> Option<BlockType> {
        self.at(offset).map(|r| r.block_type)
    }

    /// Where the block ends that is named at an offset.
    pub(in crate::hfile) fn end_of(&self, offset: u64) -> Option<u64> {
        self.at(offset).map(|r| r.handle.end())
    }

    /// What names blocks that begin in a part of the file.
    pub(in crate::hfile) fn within(&self, part: Range<u64>) -> impl Iterator<Item = &Reference> {
        let from = self.list.partition_point(|r| r.handle.offset < part.start);
        self.list.iter().skip(from).take_while(move |r| r.handle.offset < part.end)
    }

    /// Where the next block is named.
    pub(in crate::hfile) fn next_after(&self, offset: u64) -> Option<u64> {
        let i = self.list.partition_point(|r| r.handle.offset <= offset);
        self.list.get(i).map(|r| r.handle.offset)
    }

    /// Compares a block with what is said of it, and returns the one that names it rightly.
    pub(in crate::hfile) fn meet(
        &mut self,
        at: u64,
        header: &BlockHeader,
        faults: &mut Faults,
    ) -> Option<Reference> {
        let block_type = plain_type(header.block_type());
        self.report_before(at, faults);
        let mut met = None;
        while let Some(reference) = self.list.get(self.passed).copied().filter(|r| r.handle.offset == at) {
            self.passed += 1;
            if reference.block_type != block_type {
                let what = "type of the block that an entry names";
                let corruption = Corruption::BadMagic {
                    what,
                    expected: reference.block_type.name(),
                    found: header.block_type().magic(),
                };
                reference.named_by.blame(corruption, faults);
                continue;
            }
            if header.total_size() as u64 != u64::from(reference.handle.on_disk_size) {
                let corruption = Corruption::Mismatch {
                    what: "size of the block that an entry names",
                    expected: shown(header.total_size() as u64),
                    found: reference.handle.on_disk_size.into(),
                };
                reference.named_by.blame(corruption, faults);
            }
            met = met.or(Some(reference));
        }
        let must_be_named = match block_type {
            BlockType::Data | BlockType::LeafIndex | BlockType::IntermediateIndex => self.index_is_whole,
            BlockType::Meta => self.meta_is_whole,
            BlockType::BloomChunk => self.filters_are_whole,
            _ => false,
        };
        if must_be_named && met.is_none() {
            let corruption = Corruption::Malformed("no entry names the block");
            faults.add(corruption, at, Some(header.block_type().name()));
        }
        met
    }

    /// Passes over what is named in a damaged part, which has been reported itself.
    pub(in crate::hfile) fn skip(&mut self, damage: &Range<u64>, faults: &mut Faults) {
        self.report_before(damage.start, faults);
        while self.list.get(self.passed).is_some_and(|r| r.handle.offset < damage.end) {
            self.passed += 1;
        }
    }

    /// Reports what should have been met before an offset.
    pub(in crate::hfile) fn report_before(&mut self, offset: u64, faults: &mut Faults) {
        while let Some(reference) = self.list.get(self.passed).copied().filter(|r| r.handle.offset < offset) {
            self.passed += 1;
            let corruption = Corruption::Mismatch {
                what: "offset that an entry names: the next block is elsewhere",
                expected: shown(offset),
                found: shown(reference.handle.offset),
            };
            reference.named_by.blame(corruption, faults);
        }
    }
}

/// Data blocks are one type, encoded or not.
pub(in crate::hfile) fn plain_type(block_type: BlockType) -> BlockType {
    if block_type.is_data() { BlockType::Data } else { block_type }
}
