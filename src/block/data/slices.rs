//! Sorted numbers, cut into slices of equal range: a search looks at one slice, which is a few lines of memory that lie
//! side by side. Halving would wait for one line after the other.

/// As many bits of a number tell its slice: those of a block of 64 KiB have some 15 rows of 100 bytes each then.
const SLICE_BITS: u32 = 5;
const SLICES: usize = 1 << SLICE_BITS;

/// Where the slices begin.
#[derive(Debug)]
pub(super) struct Slices {
    /// How many numbers are before each slice, and behind the last one, how many there are.
    starts: [u32; SLICES + 1],
    /// What is left of a number if it is shifted by this is its slice.
    shift: u32,
}

impl Default for Slices {
    fn default() -> Self {
        Self { starts: [0; SLICES + 1], shift: 0 }
    }
}

impl Slices {
    /// Of numbers of so many bits, at least five, which do not descend.
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
        // wider numbers than there can be are in the last slice
        usize::try_from(number >> shift).map_or(SLICES - 1, |slice| slice.min(SLICES - 1))
    }

    /// The index of the first of `items` whose number is not below `target`, or how many there are.
    ///
    /// `is_below` says it of an item's number. Of `WINDOW` items all are asked, without a branch between.
    #[inline]
    pub(super) fn lower_bound<T: Copy, const WINDOW: usize>(
        &self,
        items: &[T],
        target: u64,
        is_below: impl Fn(T) -> bool,
    ) -> usize {
        let slice = Self::slice(target, self.shift);
        let (mut low, mut high) = (self.starts[slice] as usize, self.starts[slice + 1] as usize);
        // one that is crowded
        while high - low > WINDOW {
            let middle = low.midpoint(high);
            if is_below(items[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // all before `low` are below, and none from `high` on: it does no harm to count more of them
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
            mut numbers in proptest::collection::vec(prop_oneof![0u64..1 << 16, 0u64..200, 40_000u64..40_010], 0..400),
            others: Vec<u16>,
        ) {
            numbers.sort_unstable();
            let slices = Slices::new(16, numbers.iter().copied());
            let near = numbers.iter().flat_map(|&n| [n, n.saturating_sub(1), (n + 1).min(0xffff)]);
            for target in near.chain(others.into_iter().map(u64::from)) {
                let plain = numbers.partition_point(|&n| n < target);
                prop_assert_eq!(slices.lower_bound::<_, 32>(&numbers, target, |n| n < target), plain);
                prop_assert_eq!(slices.lower_bound::<_, 3>(&numbers, target, |n| n < target), plain);
            }
        }
    }
}
