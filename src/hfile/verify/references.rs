//! The references of indexes and filters to blocks, to be compared with the blocks found.

use super::faults::{Faults, display_number};
use crate::block::{BlockHandle, BlockHeader, BlockType};
use crate::error::Corruption;
use std::ops::Range;

/// A reference to a block by an entry of an index or of a filter.
#[derive(Clone, Copy, Debug)]
pub(in crate::hfile) struct Reference {
    pub(in crate::hfile) handle: BlockHandle,
    /// [`BlockType::Data`] includes encoded blocks.
    pub(in crate::hfile) block_type: BlockType,
    /// The block that contains the entry.
    pub(in crate::hfile) named_by: BlockLocation,
    /// The number of the entry in the whole data index, or the number of the filter.
    pub(in crate::hfile) number: usize,
}

/// The offset and type of a block.
#[derive(Clone, Copy, Debug)]
pub(in crate::hfile) struct BlockLocation {
    pub(in crate::hfile) offset: u64,
    pub(in crate::hfile) block_type: BlockType,
}

impl BlockLocation {
    /// Records a fault of the block.
    pub(in crate::hfile) fn report(self, corruption: Corruption, faults: &mut Faults) {
        faults.add(corruption, self.offset, Some(self.block_type.name()));
    }
}

/// All references, sorted by offset.
#[derive(Debug, Default)]
pub(in crate::hfile) struct References {
    list: Vec<Reference>,
    /// The number of references passed.
    passed: usize,
    /// Whether all entries for data and index blocks, meta blocks and chunks could be read; if not, a block
    /// without a reference is not a fault.
    pub(in crate::hfile) index_is_whole: bool,
    pub(in crate::hfile) meta_is_whole: bool,
    pub(in crate::hfile) filters_are_whole: bool,
}

impl References {
    pub(in crate::hfile) fn push(&mut self, reference: Reference) {
        self.list.push(reference);
    }

    /// Sorts the references.
    pub(in crate::hfile) fn sort(&mut self) {
        self.list.sort_by_key(|reference| reference.handle.offset);
    }

    /// Returns the reference to the block at an offset.
    pub(in crate::hfile) fn at(&self, offset: u64) -> Option<&Reference> {
        let i = self.list.partition_point(|r| r.handle.offset < offset);
        self.list.get(i).filter(|r| r.handle.offset == offset)
    }

    /// Returns the type of the block that is referred to at an offset.
    pub(in crate::hfile) fn type_at(&self, offset: u64) -> Option<BlockType> {
        self.at(offset).map(|r| r.block_type)
    }

    /// Returns the end of the block that is referred to at an offset.
    pub(in crate::hfile) fn end_of(&self, offset: u64) -> Option<u64> {
        self.at(offset).map(|r| r.handle.end())
    }

    /// Returns the references to blocks that begin in a part of the file.
    pub(in crate::hfile) fn within(&self, part: Range<u64>) -> impl Iterator<Item = &Reference> {
        let from = self.list.partition_point(|r| r.handle.offset < part.start);
        self.list.iter().skip(from).take_while(move |r| r.handle.offset < part.end)
    }

    /// Returns the offset of the next block that is referred to.
    pub(in crate::hfile) fn next_after(&self, offset: u64) -> Option<u64> {
        let i = self.list.partition_point(|r| r.handle.offset <= offset);
        self.list.get(i).map(|r| r.handle.offset)
    }

    /// Compares a block with the references to it, and returns the first one of the right type.
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
                reference.named_by.report(corruption, faults);
                continue;
            }
            if header.total_size() as u64 != u64::from(reference.handle.on_disk_size) {
                let corruption = Corruption::Mismatch {
                    what: "size of the block that an entry names",
                    expected: display_number(header.total_size() as u64),
                    found: reference.handle.on_disk_size.into(),
                };
                reference.named_by.report(corruption, faults);
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

    /// Passes the references into a damaged part, which has been reported itself.
    pub(in crate::hfile) fn skip(&mut self, damage: &Range<u64>, faults: &mut Faults) {
        self.report_before(damage.start, faults);
        while self.list.get(self.passed).is_some_and(|r| r.handle.offset < damage.end) {
            self.passed += 1;
        }
    }

    /// Reports the references to offsets before `offset` at which no block was found.
    pub(in crate::hfile) fn report_before(&mut self, offset: u64, faults: &mut Faults) {
        while let Some(reference) = self.list.get(self.passed).copied().filter(|r| r.handle.offset < offset) {
            self.passed += 1;
            let corruption = Corruption::Mismatch {
                what: "offset that an entry names: the next block is elsewhere",
                expected: display_number(offset),
                found: display_number(reference.handle.offset),
            };
            reference.named_by.report(corruption, faults);
        }
    }
}

/// Returns the block type, with encoded data blocks as data blocks.
pub(in crate::hfile) fn plain_type(block_type: BlockType) -> BlockType {
    if block_type.is_data() { BlockType::Data } else { block_type }
}
