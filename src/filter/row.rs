//! Filters on the row key.

use super::{CellFilter, Comparator, Compare, Verdict};
use crate::cell::{CellRef, MAX_ROW_LEN, SeekKey};
use crate::error::Result;
use bytes::Bytes;
use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};

/// Passes rows whose keys satisfy a comparison (HBase: `RowFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowFilter {
    pub(super) compare: Compare,
    pub(super) comparator: Comparator,
    dropped: bool,
}

impl RowFilter {
    pub(super) fn new(compare: Compare, comparator: Comparator) -> Self {
        Self { compare, comparator, dropped: false }
    }
}

impl CellFilter for RowFilter {
    fn reset(&mut self) {
        self.dropped = false;
    }

    fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        self.dropped |= !self.compare.passes(&self.comparator, row)?;
        Ok(self.dropped)
    }

    fn filter_cell(&mut self, _: CellRef<'_>) -> Result<Verdict> {
        Ok(if self.dropped { Verdict::NextRow } else { Verdict::Include })
    }

    fn filter_row(&mut self) -> bool {
        self.dropped
    }
}

/// Passes rows that start with a prefix (read-path.md §13.3; HBase: `PrefixFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PrefixFilter {
    pub(super) prefix: Bytes,
    reversed: bool,
    /// Whether the read has passed the last row of the prefix.
    passed: bool,
    row_dropped: bool,
    provide_hint: bool,
}

impl PrefixFilter {
    pub(super) fn new(prefix: Bytes) -> Self {
        Self { prefix, reversed: false, passed: false, row_dropped: true, provide_hint: false }
    }
}

impl CellFilter for PrefixFilter {
    fn reset(&mut self) {
        self.row_dropped = true;
    }

    fn filter_all_remaining(&self) -> bool {
        self.passed
    }

    fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        if self.passed {
            return Ok(true);
        }
        // read-path.md §23.5: a row that is a proper prefix of the prefix sorts before it
        let there = row.get(..self.prefix.len()).unwrap_or(row).cmp(&self.prefix);
        let there = if self.reversed { there.reverse() } else { there };
        self.passed = there.is_gt();
        self.row_dropped = there.is_ne();
        self.provide_hint = there.is_lt();
        Ok(self.passed)
    }

    fn filter_cell(&mut self, _: CellRef<'_>) -> Result<Verdict> {
        Ok(if self.provide_hint {
            Verdict::SeekNextUsingHint
        } else if self.row_dropped {
            Verdict::NextRow
        } else {
            Verdict::Include
        })
    }

    fn next_cell_hint(&mut self, _: CellRef<'_>, hint: &mut SeekKey) -> bool {
        if self.reversed {
            set_first_on_row(hint, &increment_last_byte(&self.prefix));
        } else {
            set_first_on_row(hint, &self.prefix);
        }
        true
    }

    fn filter_row(&mut self) -> bool {
        self.row_dropped
    }

    fn is_hinting(&self) -> bool {
        true
    }

    fn set_reversed(&mut self, reversed: bool) {
        self.reversed = reversed;
    }

    fn take_back_row(&mut self) {
        self.passed = false;
    }
}

/// Sets a hint to a row. Rows have at most [`MAX_ROW_LEN`] bytes, so a longer one is truncated.
pub(super) fn set_first_on_row(hint: &mut SeekKey, row: &[u8]) {
    hint.set_first_on_row(row.get(..MAX_ROW_LEN).unwrap_or(row));
}

/// Increments the last byte whose signed value is below 127, as HBase does (read-path.md §23.4).
pub(super) fn increment_last_byte(row: &[u8]) -> Vec<u8> {
    let mut row = row.to_vec();
    if let Some(byte) = row.iter_mut().rfind(|byte| byte.cast_signed() < i8::MAX) {
        *byte = byte.wrapping_add(1);
    }
    row
}

/// Passes rows up to and including `stop` (HBase: `InclusiveStopFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InclusiveStopFilter {
    pub(super) stop: Bytes,
    reversed: bool,
    done: bool,
}

impl InclusiveStopFilter {
    pub(super) fn new(stop: Bytes) -> Self {
        Self { stop, reversed: false, done: false }
    }
}

impl CellFilter for InclusiveStopFilter {
    fn filter_all_remaining(&self) -> bool {
        self.done
    }

    fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        let beyond = if self.reversed { Ordering::Less } else { Ordering::Greater };
        self.done = row.cmp(&self.stop) == beyond;
        Ok(self.done)
    }

    fn filter_cell(&mut self, _: CellRef<'_>) -> Result<Verdict> {
        Ok(if self.done { Verdict::NextRow } else { Verdict::Include })
    }

    fn set_reversed(&mut self, reversed: bool) {
        self.reversed = reversed;
    }

    fn take_back_row(&mut self) {
        self.done = false;
    }
}

/// Passes rows at random (HBase: `RandomRowFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RandomRowFilter {
    pub(super) chance: f32,
    /// The state of the generator; 0 until it is seeded.
    seed: u64,
    dropped: bool,
}

impl RandomRowFilter {
    pub(super) fn new(chance: f32) -> Self {
        Self { chance, seed: 0, dropped: false }
    }

    /// Returns a number in [0, 1) (SplitMix64).
    fn next(&mut self) -> f32 {
        if self.seed == 0 {
            self.seed = RandomState::new().hash_one(0u64);
        }
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ self.seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [high, middle, low, ..] = (mixed ^ mixed >> 31).to_be_bytes();
        // 24 bits, as many as a number of this type has
        (f32::from(high) * 65_536.0 + f32::from(u16::from_be_bytes([middle, low]))) / 16_777_216.0
    }
}

impl CellFilter for RandomRowFilter {
    fn reset(&mut self) {
        self.dropped = false;
    }

    fn filter_row_key(&mut self, _: &[u8]) -> Result<bool> {
        // no row passes with a chance below 0 or NaN; every row passes with one above 1
        self.dropped = !(self.chance > 1.0 || self.next() < self.chance);
        Ok(self.dropped)
    }

    fn filter_cell(&mut self, _: CellRef<'_>) -> Result<Verdict> {
        Ok(if self.dropped { Verdict::NextRow } else { Verdict::Include })
    }

    fn filter_row(&mut self) -> bool {
        self.dropped
    }

    fn has_filter_row(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_chances_are_not_rounded() {
        let passed = |chance: f32, rows: u32| {
            let mut filter = RandomRowFilter::new(chance);
            filter.seed = 1;
            (0..rows).filter(|_| !filter.filter_row_key(b"row").unwrap()).count()
        };
        let few = passed(1.0 / 262_144.0, 1 << 22);
        assert!((4..40).contains(&few), "{few} of 16");
        for (chance, expected) in
            [(f32::NAN, 0), (-0.5, 0), (0.0, 0), (1.0, 100), (2.0, 100), (f32::INFINITY, 100)]
        {
            assert_eq!(passed(chance, 100), expected, "{chance}");
        }
    }
}
