//! A deterministic pseudo-random generator.

/// A splitmix64 generator that first returns the bytes of a fuzzer, if there are any.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64, Vec<u8>);

impl Rng {
    #[allow(dead_code, reason = "not for fuzz targets")]
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed, Vec::new())
    }

    /// A generator whose first numbers are a fuzzer's bytes, taken from the last to the first.
    #[allow(dead_code, reason = "for fuzz targets")]
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self(bytes.len() as u64, bytes.to_vec())
    }

    pub(crate) fn next(&mut self) -> u64 {
        if let Some(byte) = self.1.pop() {
            return byte.into();
        }
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`, which must not be 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("usize fits u64");
        usize::try_from(self.next() % end).expect("smaller than a usize")
    }
}
