//! The order of a file's blocks, the links between them, and their totals.

use super::faults::{Faults, display_number, mismatch};
use super::references::plain_type;
use crate::block::{BlockHeader, BlockType};
use crate::error::Corruption;

const TYPES: usize = 10;

/// Returns the number of the file section that contains blocks of a type, in file order (hfile.md §4).
fn section(block_type: BlockType) -> u8 {
    match block_type {
        BlockType::Data | BlockType::EncodedData | BlockType::LeafIndex | BlockType::BloomChunk => 0,
        BlockType::Meta => 1,
        BlockType::IntermediateIndex => 2,
        BlockType::RootIndex => 3,
        BlockType::FileInfo => 4,
        BlockType::GeneralBloomMeta => 5,
        BlockType::DeleteFamilyBloomMeta => 6,
    }
}

const LOAD_ON_OPEN: u8 = 3;

/// The blocks seen so far.
#[derive(Debug, Default)]
pub(in crate::hfile) struct Layout {
    chains: [Chain; TYPES],
    /// The type of the last block.
    last: Option<BlockType>,
    /// The number of root indexes seen.
    roots: u32,
    /// The number of valid blocks.
    pub(in crate::hfile) blocks: u64,
    /// Whether a part of the file was not a valid block; the totals are then meaningless.
    pub(in crate::hfile) is_damaged: bool,
    pub(in crate::hfile) first_data: Option<u64>,
    pub(in crate::hfile) last_data: Option<u64>,
    pub(in crate::hfile) file_info: Option<u64>,
    /// The plain bytes of leaf, intermediate and data root index blocks.
    pub(in crate::hfile) index_bytes: u64,
    /// The plain bytes and headers of the blocks counted in the trailer's total: all but intermediate and
    /// data root index blocks.
    pub(in crate::hfile) counted_bytes: u64,
}

/// The blocks of one type; each has the offset of the previous one.
#[derive(Clone, Copy, Debug, Default)]
struct Chain {
    last: Option<u64>,
    /// The offset of the first damage since `last`, which may have been a block of this type.
    damage: Option<u64>,
}

impl Layout {
    /// Records a valid block. `load_on_open` is whether it is after the start of the load-on-open section, if
    /// that is known.
    pub(in crate::hfile) fn see(
        &mut self,
        at: u64,
        header: &BlockHeader,
        load_on_open: Option<bool>,
        faults: &mut Faults,
    ) {
        let block_type = header.block_type();
        self.blocks += 1;
        self.check_place(at, block_type, load_on_open, faults);
        self.check_link(at, header, faults);
        self.last = Some(block_type);

        let plain = u64::from(header.uncompressed_size_without_header());
        let is_data_root = block_type == BlockType::RootIndex && self.roots == 0;
        let is_index = matches!(block_type, BlockType::LeafIndex | BlockType::IntermediateIndex);
        if is_index || is_data_root {
            self.index_bytes += plain;
        }
        if block_type != BlockType::IntermediateIndex && !is_data_root {
            self.counted_bytes += plain + header.header_size() as u64;
        }
        if block_type == BlockType::RootIndex {
            self.roots += 1;
        }
        if block_type.is_data() {
            self.first_data = self.first_data.or(Some(at));
            self.last_data = Some(at);
        }
        if block_type == BlockType::FileInfo {
            self.file_info = self.file_info.or(Some(at));
        }
        self.links_mut(block_type).last = Some(at);
    }

    /// Records damage at an offset.
    pub(in crate::hfile) fn damage(&mut self, at: u64) {
        self.is_damaged = true;
        for chain in &mut self.chains {
            chain.damage = chain.damage.or(Some(at));
        }
    }

    /// Begins a new part of the file with the next block.
    pub(in crate::hfile) fn begin_part(&mut self) {
        self.last = None;
    }

    fn check_place(&self, at: u64, block_type: BlockType, load_on_open: Option<bool>, faults: &mut Faults) {
        let name = Some(block_type.name());
        let here = section(block_type);
        if load_on_open.is_some_and(|load_on_open| load_on_open != (here >= LOAD_ON_OPEN)) {
            let what = "type of the block";
            let expected = if load_on_open == Some(true) {
                "one that is read on open"
            } else {
                "one that is not read on open"
            };
            faults.add(Corruption::BadMagic { what, expected, found: block_type.magic() }, at, name);
            return;
        }
        let Some(last) = self.last else { return };
        // the blocks of the load-on-open section occur once, except for the root index, which occurs twice
        let one_too_many =
            here == section(last) && (here > LOAD_ON_OPEN || here == LOAD_ON_OPEN && self.roots > 1);
        if here < section(last) || one_too_many {
            faults.add(Corruption::Malformed("block of a type that cannot follow the one before"), at, name);
        }
    }

    fn check_link(&mut self, at: u64, header: &BlockHeader, faults: &mut Faults) {
        let found = header.prev_block_offset();
        let chain = self.links_mut(header.block_type());
        let damage = chain.damage.take();
        // the previous block may be among the damaged bytes
        let into_damage =
            damage.is_some_and(|from| u64::try_from(found).is_ok_and(|found| (from..at).contains(&found)));
        if into_damage {
            return;
        }
        let expected = chain.last.map_or(-1, display_number);
        if let Some(corruption) = mismatch("offset of the block before of the same type", expected, found) {
            faults.add(corruption, at, Some(header.block_type().name()));
        }
    }

    fn links_mut(&mut self, block_type: BlockType) -> &mut Chain {
        &mut self.chains[plain_type(block_type) as usize]
    }
}
