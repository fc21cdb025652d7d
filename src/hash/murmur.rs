//! 32-bit MurmurHash2, with HBase's tail (hfile.md §12.3; HBase: `MurmurHash`).

const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// Returns the hash of a key.
///
/// The last one to three bytes are Java's signed bytes: those from 0x80 on are sign-extended into all higher
/// bits. So this is not the standard function.
#[inline]
#[expect(clippy::little_endian_bytes, reason = "Murmur reads little-endian words")]
#[expect(clippy::cast_possible_truncation, reason = "the length is used modulo 2^32, and keys are shorter")]
pub(crate) fn hash(key: &[u8], seed: u32) -> u32 {
    let mut h = seed ^ key.len() as u32;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let signed = |byte: u8| i32::from(byte.cast_signed()).cast_unsigned();
    match *tail {
        [a] => h = (h ^ signed(a)).wrapping_mul(M),
        [a, b] => h = (h ^ signed(b) << 8 ^ signed(a)).wrapping_mul(M),
        [a, b, c] => h = (h ^ signed(c) << 16 ^ signed(b) << 8 ^ signed(a)).wrapping_mul(M),
        _ => {}
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ h >> 15
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Byte by byte, in 64 bits.
    fn naive(key: &[u8], seed: u32) -> u32 {
        let m = u64::from(M);
        let low = |x: u64| x & 0xffff_ffff;
        let mut h = u64::from(seed) ^ key.len() as u64;
        let mut at = 0;
        while key.len() - at >= 4 {
            let mut k = 0;
            for i in (0..4).rev() {
                k = k << 8 | u64::from(key[at + i]);
            }
            k = low(k * m);
            k ^= k >> 24;
            h = low(h * m) ^ low(k * m);
            at += 4;
        }
        for i in (at..key.len()).rev() {
            let extended = if key[i] < 128 { u64::from(key[i]) } else { 0xffff_ff00 | u64::from(key[i]) };
            h ^= low(extended << (8 * (i - at)));
        }
        if at < key.len() {
            h = low(h * m);
        }
        h ^= h >> 13;
        h = low(h * m);
        u32::try_from(h ^ h >> 15).unwrap()
    }

    #[test]
    fn vectors() {
        super::super::check(
            hash,
            &[
                (b"", 0, 0),
                (b"a", -1_838_653_602, 1_529_584_742),
                (b"row-0001", 1_526_543_397, 636_375_450),
                (b"hello world, this is a key", -2_077_357_042, -1_793_036_078),
                (&[0, 0x80, 0xff, 0x7f, 0xfe], -1_804_924_138, 819_511_484),
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
