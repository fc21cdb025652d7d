//! The blocks of files by type.

use hregion::BlockType;

/// The blocks of one type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypeTotal {
    pub(crate) block_type: BlockType,
    pub(crate) blocks: u64,
    /// Bytes on disk, headers included.
    pub(crate) bytes: u64,
    /// Payload bytes before compression and encryption.
    pub(crate) uncompressed: u64,
    /// The number of runs of adjacent blocks of the type.
    pub(crate) runs: u64,
}

/// The blocks of each type, in the order of their first blocks.
#[derive(Debug, Default)]
pub(crate) struct BlockTotals {
    types: Vec<TypeTotal>,
    /// The type of the block before, in the same file.
    before: Option<BlockType>,
}

impl BlockTotals {
    /// Adds the next block of a file.
    pub(crate) fn add(&mut self, block_type: BlockType, bytes: u64, uncompressed: u64) {
        let known = self.types.iter().position(|total| total.block_type == block_type);
        let at = known.unwrap_or_else(|| {
            self.types.push(TypeTotal { block_type, blocks: 0, bytes: 0, uncompressed: 0, runs: 0 });
            self.types.len() - 1
        });
        let total = &mut self.types[at];
        total.blocks += 1;
        // the sizes in files may be wrong
        total.bytes = total.bytes.saturating_add(bytes);
        total.uncompressed = total.uncompressed.saturating_add(uncompressed);
        total.runs += u64::from(self.before.replace(block_type) != Some(block_type));
    }

    /// Adds the blocks of other files.
    pub(crate) fn add_all(&mut self, others: &Self) {
        for other in &others.types {
            match self.types.iter_mut().find(|total| total.block_type == other.block_type) {
                Some(total) => {
                    total.blocks += other.blocks;
                    total.bytes = total.bytes.saturating_add(other.bytes);
                    total.uncompressed = total.uncompressed.saturating_add(other.uncompressed);
                    total.runs += other.runs;
                }
                None => self.types.push(*other),
            }
        }
    }

    pub(crate) fn types(&self) -> &[TypeTotal] {
        &self.types
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_added() {
        let files = [
            &[BlockType::Data, BlockType::Data, BlockType::LeafIndex, BlockType::Data][..],
            &[BlockType::Data, BlockType::BloomChunk],
        ];
        let mut sum = BlockTotals::default();
        for (bytes, types) in (1..).zip(files) {
            let mut file = BlockTotals::default();
            types.iter().for_each(|block_type| file.add(*block_type, bytes, 10 * bytes));
            sum.add_all(&file);
        }
        let shown: Vec<_> = sum
            .types()
            .iter()
            .map(|total| (total.block_type, total.blocks, total.bytes, total.uncompressed, total.runs))
            .collect();
        let expected = [
            (BlockType::Data, 4, 5, 50, 3),
            (BlockType::LeafIndex, 1, 1, 10, 1),
            (BlockType::BloomChunk, 1, 2, 20, 1),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn sums_of_files_that_lie_do_not_overflow() {
        let mut totals = BlockTotals::default();
        for _ in 0..3 {
            totals.add(BlockType::Data, u64::MAX - 1, u64::MAX);
        }
        let [total] = totals.types() else { panic!("{totals:?}") };
        assert_eq!((total.blocks, total.bytes, total.uncompressed), (3, u64::MAX, u64::MAX));
    }
}
