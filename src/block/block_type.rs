//! The block types and their magics (hfile.md §6.1; HBase: `BlockType`).

/// The type of a block (HBase: `BlockType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockType {
    /// Plain cells.
    Data,
    /// Cells in a data block encoding.
    EncodedData,
    /// Index entries of data blocks, among the data blocks.
    LeafIndex,
    /// A piece of a Bloom filter, among the data blocks.
    BloomChunk,
    /// A named application-defined block.
    Meta,
    /// Index entries of index blocks.
    IntermediateIndex,
    /// The root of the data index, or the meta index.
    RootIndex,
    /// The file info.
    FileInfo,
    /// The locations of the chunks of the general Bloom filter.
    GeneralBloomMeta,
    /// The locations of the chunks of the delete-family Bloom filter.
    DeleteFamilyBloomMeta,
}

impl BlockType {
    /// The number of types.
    pub(crate) const COUNT: usize = Self::ALL.len();

    const ALL: [(Self, [u8; 8], &'static str); 10] = [
        (Self::Data, *b"DATABLK*", "DATA"),
        (Self::EncodedData, *b"DATABLKE", "ENCODED_DATA"),
        (Self::LeafIndex, *b"IDXLEAF2", "LEAF_INDEX"),
        (Self::BloomChunk, *b"BLMFBLK2", "BLOOM_CHUNK"),
        (Self::Meta, *b"METABLKc", "META"),
        (Self::IntermediateIndex, *b"IDXINTE2", "INTERMEDIATE_INDEX"),
        (Self::RootIndex, *b"IDXROOT2", "ROOT_INDEX"),
        (Self::FileInfo, *b"FILEINF2", "FILE_INFO"),
        (Self::GeneralBloomMeta, *b"BLMFMET2", "GENERAL_BLOOM_META"),
        (Self::DeleteFamilyBloomMeta, *b"DFBLMET2", "DELETE_FAMILY_BLOOM_META"),
    ];

    /// Returns the type with this magic; `None` for an unknown magic.
    #[must_use]
    pub fn from_magic(magic: [u8; 8]) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, m, _)| *m == magic).map(|(t, ..)| t)
    }

    /// Returns the eight bytes at the start of a block of this type.
    #[must_use]
    pub fn magic(self) -> [u8; 8] {
        Self::ALL[self as usize].1
    }

    /// Returns HBase's name: `DATA`, `LEAF_INDEX` …
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].2
    }

    /// Whether the block contains cells.
    #[must_use]
    pub fn is_data(self) -> bool {
        matches!(self, Self::Data | Self::EncodedData)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_types() {
        for (i, (block_type, magic, name)) in BlockType::ALL.into_iter().enumerate() {
            assert_eq!(block_type as usize, i);
            assert_eq!((block_type.magic(), block_type.name()), (magic, name));
            assert_eq!(BlockType::from_magic(magic), Some(block_type));
        }
        assert_eq!(BlockType::from_magic(*b"IDXBLK)+"), None);
    }
}
