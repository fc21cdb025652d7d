//! The blocks of a file, in a bounded number of pieces.

use crate::block_totals::BlockTotals;
use hregion::{BlockHeader, BlockType};
use serde_json::{Value, json};

/// The purposes of blocks, which are the colours of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Data,
    Index,
    Bloom,
    Other,
}

impl Purpose {
    const COUNT: usize = 4;

    fn of(block: BlockType) -> Self {
        match block {
            BlockType::Data | BlockType::EncodedData => Self::Data,
            BlockType::LeafIndex | BlockType::IntermediateIndex | BlockType::RootIndex => Self::Index,
            BlockType::BloomChunk | BlockType::GeneralBloomMeta | BlockType::DeleteFamilyBloomMeta => {
                Self::Bloom
            }
            _ => Self::Other,
        }
    }
}

/// Blocks that follow each other in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Piece {
    offset: u64,
    blocks: u64,
    /// Bytes on disk by purpose, headers included.
    bytes: [u64; Purpose::COUNT],
}

/// A map of a file's blocks. Memory does not depend on their number.
#[derive(Debug)]
pub(crate) struct BlockMap {
    /// The maximum number of pieces that are kept.
    most: usize,
    /// The number of blocks of each piece except the last.
    per_piece: u64,
    pieces: Vec<Piece>,
    types: BlockTotals,
    blocks: u64,
}

impl BlockMap {
    /// Creates an empty map of up to `most` pieces, at least 2.
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(2), per_piece: 1, pieces: Vec::new(), types: BlockTotals::default(), blocks: 0 }
    }

    /// Adds the next block.
    pub(crate) fn add(&mut self, offset: u64, header: &BlockHeader) {
        let (bytes, uncompressed) =
            (header.total_size() as u64, u64::from(header.uncompressed_size_without_header()));
        self.add_block(offset, header.block_type(), bytes, uncompressed);
    }

    fn add_block(&mut self, offset: u64, block_type: BlockType, bytes: u64, uncompressed: u64) {
        self.blocks += 1;
        self.types.add(block_type, bytes, uncompressed);
        if self.pieces.last().is_none_or(|piece| piece.blocks >= self.per_piece) {
            if self.pieces.len() >= self.most {
                self.halve();
            }
            if self.pieces.last().is_none_or(|piece| piece.blocks >= self.per_piece) {
                self.pieces.push(Piece { offset, ..Piece::default() });
            }
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.blocks += 1;
            // the sizes in files may be wrong
            let sum = &mut piece.bytes[Purpose::of(block_type) as usize];
            *sum = sum.saturating_add(bytes);
        }
    }

    /// Joins each two pieces.
    fn halve(&mut self) {
        let join = |pair: &[Piece]| {
            let mut joined = pair[0];
            for other in &pair[1..] {
                joined.blocks += other.blocks;
                let sums = joined.bytes.iter_mut().zip(other.bytes);
                sums.for_each(|(sum, bytes)| *sum = sum.saturating_add(bytes));
            }
            joined
        };
        self.pieces = self.pieces.chunks(2).map(join).collect();
        self.per_piece *= 2;
    }

    /// Returns `{"count","per_piece","types","pieces"}`.
    pub(crate) fn json(&self) -> Value {
        let types = self.types.types().iter().map(|total| {
            json!({
                "type": total.block_type.name(), "blocks": total.blocks, "bytes": total.bytes,
                "uncompressed": total.uncompressed,
            })
        });
        let pieces = self.pieces.iter().map(|piece| {
            let of = |purpose: Purpose| piece.bytes[purpose as usize];
            json!({
                "offset": piece.offset, "blocks": piece.blocks, "data": of(Purpose::Data),
                "index": of(Purpose::Index), "bloom": of(Purpose::Bloom), "other": of(Purpose::Other),
            })
        });
        json!({
            "count": self.blocks, "per_piece": self.per_piece,
            "types": types.collect::<Vec<_>>(), "pieces": pieces.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_bounded_and_lose_no_byte() {
        for most in [2, 3, 7, 240] {
            for count in [0, 1, 2, 3, 7, 8, 100, 241, 1000] {
                let mut map = BlockMap::new(most);
                let (mut offset, mut data) = (0, 0);
                for i in 0..count {
                    let (block_type, bytes) = match i % 5 {
                        4 => (BlockType::LeafIndex, 11),
                        _ => (BlockType::Data, 100 + i),
                    };
                    map.add_block(offset, block_type, bytes, 2 * bytes);
                    offset += bytes;
                    data += if i % 5 == 4 { 0 } else { bytes };
                }
                assert!(map.pieces.len() <= most, "{most} {count}");
                assert!(map.pieces.len() as u64 >= count.min(most as u64) / 2, "{most} {count}");
                let mut next = 0;
                for piece in &map.pieces {
                    assert_eq!(piece.offset, next);
                    next += piece.bytes.iter().sum::<u64>();
                }
                assert_eq!((next, map.blocks), (offset, count));
                assert_eq!(map.pieces.iter().map(|piece| piece.blocks).sum::<u64>(), count);
                let json = map.json();
                let types = json["types"].as_array().unwrap();
                let of_data = types.iter().find(|one| one["type"] == "DATA");
                assert_eq!(of_data.map_or(0, |one| one["bytes"].as_u64().unwrap()), data);
                assert_eq!(json["count"], count);
            }
        }
    }

    #[test]
    fn sums_of_files_that_lie_do_not_overflow() {
        let mut map = BlockMap::new(2);
        for at in 0..9 {
            map.add_block(at, BlockType::Data, u64::MAX / 2, u64::MAX);
        }
        let json = map.json();
        assert_eq!(
            (&json["types"][0]["bytes"], &json["pieces"][0]["data"]),
            (&json!(u64::MAX), &json!(u64::MAX))
        );
    }

    #[test]
    fn few_blocks_are_a_piece_each() {
        let mut map = BlockMap::new(240);
        map.add_block(0, BlockType::Data, 40, 70);
        map.add_block(40, BlockType::BloomChunk, 30, 30);
        map.add_block(70, BlockType::FileInfo, 5, 5);
        assert_eq!(
            map.json(),
            json!({
                "count": 3, "per_piece": 1,
                "types": [
                    {"type": "DATA", "blocks": 1, "bytes": 40, "uncompressed": 70},
                    {"type": "BLOOM_CHUNK", "blocks": 1, "bytes": 30, "uncompressed": 30},
                    {"type": "FILE_INFO", "blocks": 1, "bytes": 5, "uncompressed": 5},
                ],
                "pieces": [
                    {"offset": 0, "blocks": 1, "data": 40, "index": 0, "bloom": 0, "other": 0},
                    {"offset": 40, "blocks": 1, "data": 0, "index": 0, "bloom": 30, "other": 0},
                    {"offset": 70, "blocks": 1, "data": 0, "index": 0, "bloom": 0, "other": 5},
                ],
            })
        );
    }
}
