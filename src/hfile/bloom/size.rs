//! The size of Bloom filter chunks and their capacity in keys (hfile.md §12.4; HBase: `BloomFilterUtil`).

use std::f64::consts::LN_2;

/// The size of a chunk that has not been folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkSize {
    /// The size in bytes.
    pub(crate) bytes: usize,
    /// The number of bits set for each key.
    pub(crate) hash_count: u32,
    /// The number of keys added before the next chunk begins.
    pub(crate) max_keys: u64,
}

impl ChunkSize {
    /// Returns the size of a chunk of at least `bytes` that can be halved `max_fold` times, for an error rate
    /// between 0 and 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded as HBase does")]
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
    pub(crate) fn new(bytes: usize, error_rate: f32, max_fold: u32) -> Self {
        let bytes = bytes.max(1).next_multiple_of(1 << max_fold);
        let (bits, rate) = (bytes as u64 * 8, f64::from(error_rate));
        let ideal = (bits as f64 * (LN_2 * LN_2 / -rate.ln())) as u64;
        // HBase truncates the quotient
        let hash_count = (LN_2 * (bits / ideal.max(1)) as f64).ceil().max(1.0);
        let max_keys = -(bits as f64) / hash_count * (1.0 - (rate.ln() / hash_count).exp()).ln();
        Self { bytes, hash_count: hash_count as u32, max_keys: max_keys as u64 }
    }
}

/// The number of bytes folded at a time; a piece of zeros is skipped.
const PIECE: usize = 64;

/// Returns the error rate of each of the two lookups in a ROWCOL filter that together give `error_rate`.
#[expect(clippy::cast_possible_truncation, reason = "HBase keeps rates in 32 bits")]
pub(crate) fn rowcol_error_rate(error_rate: f32) -> f32 {
    (1.0 - f64::from(1.0 - error_rate).sqrt()) as f32
}

/// Halves a finished chunk as long as its keys use less than half of its capacity. Returns the capacity
/// in keys after folding.
///
/// Keys are still found, because the smaller number of bits divides the larger one.
pub(crate) fn fold(chunk: &mut Vec<u8>, max_keys: u64, key_count: u64) -> u64 {
    let mut max_keys = max_keys;
    while !chunk.is_empty() && chunk.len().is_multiple_of(2) && max_keys > 2 * key_count {
        let half = chunk.len() / 2;
        let (low, high) = chunk.split_at_mut(half);
        // in a chunk with few keys, most pieces have no bit set
        let pieces = low.chunks_mut(PIECE).zip(high.chunks(PIECE));
        for (low, high) in pieces.filter(|(_, high)| **high != [0; PIECE][..high.len()]) {
            low.iter_mut().zip(high).for_each(|(low, high)| *low |= *high);
        }
        chunk.truncate(half);
        max_keys /= 2;
    }
    max_keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::BloomHashType;
    use crate::block::bloom::{KeyHashes, add, probe};
    use proptest::prelude::*;

    #[test]
    fn the_sizes_of_hbase() {
        let size = |bytes, error_rate| ChunkSize::new(bytes, error_rate, 7);
        assert_eq!(size(131_072, 0.01), ChunkSize { bytes: 131_072, hash_count: 7, max_keys: 109_306 });
        let rate = rowcol_error_rate(0.01);
        assert!((f64::from(rate) - 0.005_012_558_307_5).abs() < 1e-12, "{rate}: 1 - rate is a float in Java");
        assert_eq!(size(131_072, rate), ChunkSize { bytes: 131_072, hash_count: 8, max_keys: 95_069 });
        assert_eq!(size(1, 0.01).bytes, 128);
        assert_eq!(size(129, 0.01).bytes, 256);
    }

    #[test]
    fn a_chunk_of_few_keys_folds() {
        let mut chunk = vec![0; 131_072];
        assert_eq!(fold(&mut chunk, 109_306, 25), 26);
        assert_eq!(chunk.len(), 32);
        let mut odd = vec![0; 384];
        assert_eq!((fold(&mut odd, 1000, 0), odd.len()), (7, 3));
        let mut full = vec![0; 128];
        assert_eq!((fold(&mut full, 100, 50), full.len()), (100, 128));
        assert_eq!(fold(&mut Vec::new(), 100, 0), 100);
    }

    proptest! {
        #[test]
        fn folding_loses_no_key(
            keys in proptest::collection::hash_set("[a-z]{0,8}", 1..40),
            bytes in 1usize..3000,
        ) {
            let size = ChunkSize::new(bytes, 0.01, 7);
            let hashes: Vec<_> =
                keys.iter().map(|key| KeyHashes::of(BloomHashType::Murmur, key.as_bytes())).collect();
            let mut chunk = vec![0; size.bytes];
            hashes.iter().for_each(|&key| add(&mut chunk, size.hash_count, key));
            fold(&mut chunk, size.max_keys, hashes.len() as u64);
            prop_assert!(chunk.len() <= size.bytes);
            prop_assert!(hashes.iter().all(|&key| probe(&chunk, size.hash_count, key)));
        }
    }
}
