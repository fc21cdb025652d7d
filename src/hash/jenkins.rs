//! Bob Jenkins' lookup3, `hashlittle` (hfile.md §12.3; HBase: `JenkinsHash`).

/// Returns the hash of a key.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the length is used modulo 2^32, and keys are shorter")]
pub(crate) fn hash(key: &[u8], seed: u32) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(key.len() as u32).wrapping_add(seed);
    let mut state = [start; 3];
    if key.is_empty() {
        return start;
    }
    // the last block is never empty: a key of twelve bytes has only the last block
    let (blocks, tail) = key.split_at((key.len() - 1) / 12 * 12);
    for block in blocks.as_chunks::<12>().0 {
        add(&mut state, block);
        mix(&mut state);
    }
    let mut last = [0; 12];
    last[..tail.len()].copy_from_slice(tail);
    add(&mut state, &last);
    finish(state)
}

#[inline]
#[expect(clippy::little_endian_bytes, reason = "hashlittle reads little-endian words")]
fn add(state: &mut [u32; 3], block: &[u8; 12]) {
    let (words, _) = block.as_chunks::<4>();
    for (s, word) in state.iter_mut().zip(words) {
        *s = s.wrapping_add(u32::from_le_bytes(*word));
    }
}

#[inline]
fn mix(state: &mut [u32; 3]) {
    let [a, b, c] = state;
    let step = |x: &mut u32, y: &mut u32, z: &u32, by| {
        *x = x.wrapping_sub(*y) ^ y.rotate_left(by);
        *y = y.wrapping_add(*z);
    };
    step(a, c, b, 4);
    step(b, a, c, 6);
    step(c, b, a, 8);
    step(a, c, b, 16);
    step(b, a, c, 19);
    step(c, b, a, 4);
}

#[inline]
fn finish([mut a, mut b, mut c]: [u32; 3]) -> u32 {
    let step = |x: &mut u32, y: u32, by| *x = (*x ^ y).wrapping_sub(y.rotate_left(by));
    step(&mut c, b, 14);
    step(&mut a, c, 11);
    step(&mut b, a, 25);
    step(&mut c, b, 16);
    step(&mut a, c, 4);
    step(&mut b, a, 14);
    step(&mut c, b, 24);
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Byte by byte, in 64 bits, as a table of shifts.
    fn naive(key: &[u8], seed: u32) -> u32 {
        const ALL: u64 = 0xffff_ffff;
        let rotated = |x: u64, by: u64| (x << by | x >> (32 - by)) & ALL;
        let minus = |x: u64, y: u64| (x + ALL + 1 - y) & ALL;
        let mut s = [(0xdead_beef + key.len() as u64 + u64::from(seed)) & ALL; 3];
        let mut at = 0;
        while at < key.len() {
            for i in 0..12 {
                let byte = key.get(at + i).copied().unwrap_or(0);
                s[i / 4] = (s[i / 4] + (u64::from(byte) << (8 * (i % 4)))) & ALL;
            }
            at += 12;
            if at < key.len() {
                for (i, by) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
                    let (x, y, z) = (i % 3, (i + 2) % 3, (i + 1) % 3);
                    s[x] = minus(s[x], s[y]) ^ rotated(s[y], by);
                    s[y] = (s[y] + s[z]) & ALL;
                }
            } else {
                for (i, by) in [14, 11, 25, 16, 4, 14, 24].into_iter().enumerate() {
                    let (x, y) = ((i + 2) % 3, (i + 1) % 3);
                    s[x] = minus(s[x] ^ s[y], rotated(s[y], by));
                }
            }
        }
        u32::try_from(s[2]).unwrap()
    }

    #[test]
    fn vectors() {
        super::super::check(
            hash,
            &[
                (b"", -559_038_737, -1_118_077_474),
                (b"a", 1_490_454_280, 12_273_821),
                (b"row-0001", 1_743_648_622, 194_781_601),
                (b"hello world, this is a key", -1_957_157_194, 216_134_211),
                (&[0, 0x80, 0xff, 0x7f, 0xfe], 752_481_222, -247_708_819),
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
