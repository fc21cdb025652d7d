//! MurmurHash3 for x86, 32 bits (hfile.md §12.3; HBase: `MurmurHash3`).

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// Returns the hash of a key.
#[inline]
#[expect(clippy::little_endian_bytes, reason = "Murmur reads little-endian words")]
#[expect(clippy::cast_possible_truncation, reason = "the length is used modulo 2^32, and keys are shorter")]
pub(crate) fn hash(key: &[u8], seed: u32) -> u32 {
    let mut h = seed;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        h ^= scramble(u32::from_le_bytes(*word));
        h = h.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    match *tail {
        [a] => h ^= scramble(u32::from_le_bytes([a, 0, 0, 0])),
        [a, b] => h ^= scramble(u32::from_le_bytes([a, b, 0, 0])),
        [a, b, c] => h ^= scramble(u32::from_le_bytes([a, b, c, 0])),
        _ => {}
    }
    h ^= key.len() as u32;
    h = (h ^ h >> 16).wrapping_mul(0x85eb_ca6b);
    h = (h ^ h >> 13).wrapping_mul(0xc2b2_ae35);
    h ^ h >> 16
}

#[inline]
fn scramble(word: u32) -> u32 {
    word.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Byte by byte, in 64 bits.
    fn naive(key: &[u8], seed: u32) -> u32 {
        let low = |x: u64| x & 0xffff_ffff;
        let rotated = |x: u64, by: u32| low(x << by) | x >> (32 - by);
        let mut h = u64::from(seed);
        let mut word = 0;
        for (i, &byte) in key.iter().enumerate() {
            word |= u64::from(byte) << (8 * (i % 4));
            let (full, last) = (i % 4 == 3, i + 1 == key.len());
            if full || last {
                h ^= low(rotated(low(word * u64::from(C1)), 15) * u64::from(C2));
                word = 0;
            }
            if full {
                h = low(rotated(h, 13) * 5 + 0xe654_6b64);
            }
        }
        h ^= key.len() as u64;
        for (shift, factor) in [(16, 0x85eb_ca6b), (13, 0xc2b2_ae35), (16, 1)] {
            h = low((h ^ h >> shift) * factor);
        }
        u32::try_from(h).unwrap()
    }

    #[test]
    fn vectors() {
        super::super::check(
            hash,
            &[
                (b"", 0, 0),
                (b"a", 1_009_084_850, -1_992_951_912),
                (b"row-0001", 800_641_604, 986_390_727),
                (b"hello world, this is a key", 518_750_954, 201_193_292),
                (&[0, 0x80, 0xff, 0x7f, 0xfe], 927_235_936, 84_088_661),
            ],
        );
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_twin(key in super::super::keys(), seed: u32) {
            prop_assert_eq!(hash(&key, seed), naive(&key, seed));
        }
    }
}
