//! Items with numbers, at stable addresses.

use std::fmt;
use std::sync::OnceLock;

/// A sequence of items that only grows. Items are made when the first of their chunk is asked for, and are
/// changed through shared references, so the item must be an atomic or a lock.
///
/// Chunk group `g` has `FIRST << g` items, in chunks of at most `CHUNK` items: a short sequence takes little
/// memory, and a long one has few unused items.
pub(super) struct Slots<T> {
    groups: [OnceLock<Box<[Chunk<T>]>>; GROUPS],
}

type Chunk<T> = OnceLock<Box<[T]>>;

/// The number of items of the first group.
const FIRST: usize = 64;
const FIRST_BITS: u32 = FIRST.ilog2();
/// The maximum number of items of a chunk.
const CHUNK: usize = 2048;
/// The groups have room for all numbers of 32 bits.
const GROUPS: usize = 32 - FIRST_BITS as usize + 1;

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { groups: std::array::from_fn(|_| OnceLock::new()) }
    }
}

/// Returns the group of an item, its chunk in the group, and its place in the chunk.
#[inline]
fn address(number: u32) -> (usize, usize, usize) {
    let number = number as usize + FIRST;
    let bits = number.ilog2();
    let offset = number - (1 << bits);
    ((bits - FIRST_BITS) as usize, offset / CHUNK, offset % CHUNK)
}

impl<T> Slots<T> {
    /// Returns an item. None if no item of its chunk has been made.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (group, chunk, place) = address(number);
        self.groups.get(group)?.get()?.get(chunk)?.get()?.get(place)
    }

    /// The bytes of all chunks.
    #[cfg(feature = "internals")]
    pub(super) fn allocated(&self) -> usize {
        let chunks = self.groups.iter().filter_map(OnceLock::get).flatten().filter_map(OnceLock::get);
        chunks.map(|chunk| size_of_val(&**chunk)).sum()
    }
}

impl<T: Default> Slots<T> {
    /// Returns an item, which is made with the others of its chunk if it does not exist.
    #[inline]
    pub(super) fn get_or_make(&self, number: u32) -> &T {
        let (group, chunk, place) = address(number);
        let len = FIRST << group;
        let chunks = self.groups[group].get_or_init(|| boxed(len.div_ceil(CHUNK)));
        &chunks[chunk].get_or_init(|| boxed(len.min(CHUNK)))[place]
    }
}

fn boxed<T: Default>(len: usize) -> Box<[T]> {
    (0..len).map(|_| T::default()).collect()
}

impl<T> fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn each_number_has_an_item_of_its_own() {
        let slots = Slots::<AtomicU32>::default();
        assert!(slots.get(0).is_none());
        let numbers = || (0..40_000).chain([1 << 20, (1 << 20) + 1]);
        for number in numbers() {
            slots.get_or_make(number).store(number + 1, Ordering::Relaxed);
        }
        for number in numbers() {
            assert_eq!(slots.get(number).unwrap().load(Ordering::Relaxed), number + 1);
        }
        assert!(slots.get(u32::MAX).is_none());
        assert_eq!(address(u32::MAX).0, GROUPS - 1);
        // at most a chunk is not used, beside those of the last two numbers
        assert!(slots.allocated() <= (40_000 + 3 * CHUNK) * size_of::<AtomicU32>(), "{}", slots.allocated());
    }

    #[test]
    fn a_short_sequence_takes_little_memory() {
        let slots = Slots::<AtomicU32>::default();
        assert_eq!(slots.allocated(), 0);
        slots.get_or_make(FIRST as u32 - 1);
        assert_eq!(slots.allocated(), FIRST * size_of::<AtomicU32>());
    }
}
