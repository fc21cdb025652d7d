//! Rows to write and read, each made from its number.

/// A number of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) count: u64,
    /// The length of values, in bytes.
    pub(crate) value_bytes: u32,
}

impl Rows {
    /// Returns the key of a row: 16 bytes, in random order. Each number has its own.
    pub(crate) fn key(&self, number: u64) -> String {
        format!("{:016x}", mix(number))
    }

    /// Returns the value of a row: random bytes, each twice, so that half of them compress.
    pub(crate) fn value(&self, number: u64) -> Vec<u8> {
        let len = usize::try_from(self.value_bytes).unwrap_or(usize::MAX);
        let words = (1..).map(|at| mix(number ^ at << 40)).flat_map(u64::to_le_bytes);
        let mut value: Vec<u8> = words.take(len.div_ceil(2)).collect();
        value.extend_from_within(..len / 2);
        value
    }

    /// Returns random numbers of rows, without end.
    pub(crate) fn random(&self, seed: u64) -> impl Iterator<Item = u64> + use<> {
        let count = self.count.max(1);
        (0..).map(move |at: u64| mix(at << 16 ^ seed ^ SEED) % count)
    }
}

const SEED: u64 = 0x5DEE_CE66_D1CE_4E5B;

/// Mixes the bits of a number; no two numbers become the same.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_differ_and_have_values_of_the_length() {
        for value_bytes in [0, 1, 7, 100] {
            let rows = Rows { count: 1000, value_bytes };
            let keys: BTreeSet<String> = (0..2000).map(|number| rows.key(number)).collect();
            assert_eq!(keys.len(), 2000);
            assert!((0..100).all(|number| rows.value(number).len() == value_bytes as usize));
            assert!(value_bytes < 7 || rows.value(1) != rows.value(2));
            let numbers: BTreeSet<u64> = rows.random(1).take(10_000).collect();
            assert!(numbers.len() > 990 && numbers.last() < Some(&1000));
        }
    }
}
