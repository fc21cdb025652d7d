//! Sorted numbers, cut into slices of equal range. A search reads one slice, which is a few adjacent cache
//! lines. Binary search would wait for one line after the other.

/// The number of bits that select the slice. A slice of a 64 KiB block then has about 15 rows of 100 bytes.
const SLICE_BITS: u32 = 5;
const SLICES: usize = 1 << SLICE_BITS;

/// The boundaries of the slices.
#[derive(Debug)]
pub(super) struct RadixTable {
    /// The number of numbers before each slice, and at the end the total.
    starts: [u32; SLICES + 1],
    /// The slice of a number is the number shifted right by this.
    shift: u32,
}

impl Default for RadixTable {
    fn default() -> Self {
        Self { starts: [0; SLICES + 1], shift: 0 }
    }
}

impl RadixTable {
    /// Creates the slices of numbers that do not descend. The numbers have `bits` bits, at least five.
    pub(super) fn new(bits: u32, numbers: impl Iterator<Item = u64>) -> Self {
        let shift = bits - SLICE_BITS;
        let mut starts = [0; SLICES + 1];
        for number in numbers {
            starts[Self::slice(number, shift) + 1] += 1;
        }
        for i in 0..SLICES {
            starts[i + 1] += starts[i];
        }
        Self { starts, shift }
    }

    #[inline]
    fn slice(number: u64, shift: u32) -> usize {
        // numbers wider than `bits` are in the last slice
        usize::try_from(number >> shift).map_or(SLICES - 1, |slice| slice.min(SLICES - 1))
    }

    /// Returns the number of numbers before the slice of `target`: where a search begins.
    #[inline]
    pub(super) fn slice_start(&self, target: u64) -> usize {
        self.starts[Self::slice(target, self.shift)] as usize
    }

    /// Returns the index of the first of `items` whose number is not below `target`, or `items.len()`.
    ///
    /// `is_below` compares an item's number with `target`. It is called for `WINDOW` items, without branches
    /// in between.
    #[inline]
    pub(super) fn lower_bound<T: Copy, const WINDOW: usize>(
        &self,
        items: &[T],
        target: u64,
        is_below: impl Fn(T) -> bool,
    ) -> usize {
        let slice = Self::slice(target, self.shift);
        let (mut low, mut high) = (self.starts[slice] as usize, self.starts[slice + 1] as usize);
        // halves crowded slices
        while high - low > WINDOW {
            let middle = low.midpoint(high);
            if is_below(items[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // all items before `low` are below, none from `high` on: counting a wider window does no harm
        let start = low.min(items.len().saturating_sub(WINDOW));
        let count = |items: &[T]| items.iter().map(|&item| u32::from(is_below(item))).sum::<u32>() as usize;
        match items[start..].first_chunk::<WINDOW>() {
            Some(window) => start + count(window),
            None => start + count(&items[start..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_search_is_that_of_a_list(
            mut numbers in proptest::collection::vec(
                prop_oneof![0u64..1 << 16, 0u64..200, 40_000u64..40_010],
                0..400,
            ),
            others: Vec<u16>,
        ) {
            numbers.sort_unstable();
            let slices = RadixTable::new(16, numbers.iter().copied());
            let near = numbers.iter().flat_map(|&n| [n, n.saturating_sub(1), (n + 1).min(0xffff)]);
            for target in near.chain(others.into_iter().map(u64::from)) {
                let plain = numbers.partition_point(|&n| n < target);
                prop_assert_eq!(slices.lower_bound::<_, 32>(&numbers, target, |n| n < target), plain);
                prop_assert_eq!(slices.lower_bound::<_, 3>(&numbers, target, |n| n < target), plain);
            }
        }
    }
}
