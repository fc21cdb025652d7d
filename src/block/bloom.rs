//! A chunk of a Bloom filter: a bit array and the positions of a key's bits (hfile.md §12.3).
//!
//! HBase: `BloomFilterChunk`, `BloomFilterUtil`, `Hash`.
#![warn(clippy::indexing_slicing)]

use crate::hash::{jenkins, murmur, murmur3};

/// The maximum size of a chunk in bytes: its number of bits must fit in 31 bits.
pub(crate) const MAX_CHUNK_LEN: usize = (1 << 28) - 1;

/// The hash function of a Bloom filter (HBase: `Hash`, `hbase.hash.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BloomHashType {
    /// Bob Jenkins' lookup3.
    Jenkins,
    /// MurmurHash2, with HBase's signed tail.
    #[default]
    Murmur,
    /// MurmurHash3.
    Murmur3,
}

impl BloomHashType {
    const ALL: [Self; 3] = [Self::Jenkins, Self::Murmur, Self::Murmur3];

    /// Returns the function with this code; `None` for an unknown code.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// Returns the code in a filter's metadata.
    #[must_use]
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Returns HBase's name, the value of `hbase.hash.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jenkins => "jenkins",
            Self::Murmur => "murmur",
            Self::Murmur3 => "murmur3",
        }
    }
}

/// The hashes of a key. One pair serves every chunk of all filters with the same hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHashes {
    h1: u32,
    h2: u32,
}

impl KeyHashes {
    #[inline]
    pub(crate) fn of(kind: BloomHashType, key: &[u8]) -> Self {
        match kind {
            BloomHashType::Jenkins => Self::with(jenkins::hash, key),
            BloomHashType::Murmur => Self::with(murmur::hash, key),
            BloomHashType::Murmur3 => Self::with(murmur3::hash, key),
        }
    }

    /// Generic, so that each function is inlined and not called by pointer.
    #[inline]
    fn with(hash: impl Fn(&[u8], u32) -> u32, key: &[u8]) -> Self {
        let h1 = hash(key, 0);
        Self { h1, h2: hash(key, h1) }
    }

    /// Returns the hash values of the key. The position of a bit is the remainder of a value divided by the
    /// number of bits.
    ///
    /// HBase computes `abs(h rem bits)` of a signed `h`. Java's remainder has the sign of `h`, so the result
    /// is the remainder of `|h|`. If `bits` is a power of two, a mask replaces the division.
    #[inline]
    fn distances(self, hash_count: u32) -> impl Iterator<Item = u32> {
        let mut h = self.h1;
        (0..hash_count).map(move |_| {
            let distance = h.cast_signed().unsigned_abs();
            h = h.wrapping_add(self.h2);
            distance
        })
    }

    /// Returns the positions of the key's bits among `bits`, one for each of `hash_count` functions.
    #[inline]
    fn positions(self, hash_count: u32, bits: u32) -> impl Iterator<Item = u32> {
        self.distances(hash_count).map(move |distance| distance % bits)
    }
}

/// A row to look up in several filters. Computing its hashes is most of the cost of a lookup; they are the
/// same for all filters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashedRow<'r> {
    row: &'r [u8],
    hashes: Option<(BloomHashType, KeyHashes)>,
}

impl<'r> HashedRow<'r> {
    #[inline]
    pub(crate) fn new(row: &'r [u8]) -> Self {
        Self { row, hashes: None }
    }

    #[inline]
    pub(crate) fn row(&self) -> &'r [u8] {
        self.row
    }

    /// Returns the hashes of the row, computed on first use.
    #[inline]
    pub(crate) fn hashes(&mut self, kind: BloomHashType) -> KeyHashes {
        match self.hashes {
            Some((known, hashes)) if known == kind => hashes,
            _ => {
                let hashes = KeyHashes::of(kind, self.row);
                self.hashes = Some((kind, hashes));
                hashes
            }
        }
    }
}

/// Whether a key may have been added to a chunk; `false` is certain.
///
/// For a chunk of invalid size (0 bytes, or more than [`MAX_CHUNK_LEN`]), returns `true`.
#[inline]
pub(crate) fn probe(chunk: &[u8], hash_count: u32, key: KeyHashes) -> bool {
    probe_bytes(chunk.len(), hash_count, key, |i| chunk.get(i).copied().unwrap_or(u8::MAX))
}

/// Like [`probe`], for a chunk of `len` bytes. Requests each byte that is needed, in the order of the key's
/// bits, until one of these is not set.
#[inline]
pub(crate) fn probe_bytes(
    len: usize,
    hash_count: u32,
    key: KeyHashes,
    mut byte: impl FnMut(usize) -> u8,
) -> bool {
    let Some(bits) = bits(len) else { return true };
    let mut is_set = |position: u32| byte((position >> 3) as usize) >> (position & 7) & 1 == 1;
    if bits.is_power_of_two() {
        // a division takes as long as everything else
        return key.distances(hash_count).all(|distance| is_set(distance & (bits - 1)));
    }
    key.positions(hash_count, bits).all(is_set)
}

/// Adds a key to a chunk. A chunk of invalid size is not changed.
#[inline]
pub(crate) fn add(chunk: &mut [u8], hash_count: u32, key: KeyHashes) {
    let Some(bits) = bits(chunk.len()) else { return };
    let set = |position: u32| {
        if let Some(byte) = chunk.get_mut((position >> 3) as usize) {
            *byte |= 1 << (position & 7);
        }
    };
    if bits.is_power_of_two() {
        // as in `probe`
        key.distances(hash_count).map(|distance| distance & (bits - 1)).for_each(set);
    } else {
        key.positions(hash_count, bits).for_each(set);
    }
}

#[inline]
fn bits(len: usize) -> Option<u32> {
    match len {
        1..=MAX_CHUNK_LEN => u32::try_from(len * 8).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// hfile.md §12.3, line by line.
    fn naive_positions(kind: BloomHashType, key: &[u8], hash_count: u32, bits: i32) -> Vec<usize> {
        let hash = |seed: i32| {
            let seed = seed.cast_unsigned();
            let hash = match kind {
                BloomHashType::Jenkins => jenkins::hash(key, seed),
                BloomHashType::Murmur => murmur::hash(key, seed),
                BloomHashType::Murmur3 => murmur3::hash(key, seed),
            };
            hash.cast_signed()
        };
        let h1 = hash(0);
        let h2 = hash(h1);
        let position = |i: i32| h1.wrapping_add(i.wrapping_mul(h2)).wrapping_rem(bits).abs();
        let position = |i| usize::try_from(position(i)).unwrap();
        (0..).take(hash_count as usize).map(position).collect()
    }

    fn naive_probe(chunk: &[u8], positions: &[usize]) -> bool {
        positions.iter().all(|&position| chunk[position / 8] & 1 << (position % 8) != 0)
    }

    fn kind() -> impl Strategy<Value = BloomHashType> {
        (0..3).prop_map(|code| BloomHashType::from_code(code).unwrap())
    }

    #[test]
    fn codes() {
        assert_eq!(BloomHashType::from_code(1), Some(BloomHashType::Murmur));
        assert_eq!(BloomHashType::Murmur3.code(), 2);
        assert_eq!((BloomHashType::from_code(-1), BloomHashType::from_code(3)), (None, None));
    }

    #[test]
    fn the_least_number_has_a_position() {
        let key = KeyHashes { h1: i32::MIN.cast_unsigned(), h2: 1 };
        let java = |i: i32, bits: i32| i32::MIN.wrapping_add(i).wrapping_rem(bits).abs().cast_unsigned();
        for bits in [8, 24, 1 << 20, u32::try_from(MAX_CHUNK_LEN * 8).unwrap()] {
            let positions: Vec<_> = key.positions(3, bits).collect();
            assert_eq!(positions, [0, 1, 2].map(|i| java(i, bits.cast_signed())));
        }
    }

    #[test]
    fn impossible_chunks_deny_nothing() {
        let key = KeyHashes::of(BloomHashType::Murmur, b"row");
        assert!(probe(&[], 7, key));
        add(&mut [], 7, key);
        assert!(!probe(&[0], 7, key));
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_twin(
            kind in kind(), key: Vec<u8>, hash_count in 1u32..20, fill: Vec<u8>, len in prop_oneof![
                (0u32..10).prop_map(|n| 1 << n), 1u32..600,
            ],
        ) {
            let mut chunk: Vec<u8> = fill.iter().copied().cycle().take(len as usize).collect();
            chunk.resize(len as usize, 0);
            let hashes = KeyHashes::of(kind, &key);
            let positions = naive_positions(kind, &key, hash_count, i32::try_from(chunk.len() * 8).unwrap());
            prop_assert_eq!(probe(&chunk, hash_count, hashes), naive_probe(&chunk, &positions));
            let mut naively = chunk.clone();
            positions.iter().for_each(|&position| naively[position / 8] |= 1 << (position % 8));
            add(&mut chunk, hash_count, hashes);
            prop_assert_eq!(&chunk, &naively);
            prop_assert!(probe(&chunk, hash_count, hashes));
        }
    }
}
