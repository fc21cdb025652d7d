//! Ids of the calls of a connection.

use std::sync::atomic::{AtomicU64, Ordering};

/// Gives each call of a connection an id, of 31 bits. Ids in use are far apart: a response whose id was
/// damaged or miscounted is not mistaken for another call's.
#[derive(Debug, Default)]
pub(crate) struct CallIds {
    /// The number of ids given.
    given: AtomicU64,
}

const MASK: u32 = u32::MAX >> 1;
/// An odd number: all numbers below 2^31 have different products.
const FACTOR: u32 = 0x5B2F_0D35;
/// The product of both is 1.
const INVERSE: u32 = inverse(FACTOR);

const fn inverse(factor: u32) -> u32 {
    // each step doubles the number of bits that are right
    let (mut inverse, mut step) = (factor, 0);
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(factor.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

impl CallIds {
    pub(crate) fn next(&self) -> u32 {
        let number = self.given.fetch_add(1, Ordering::Relaxed) & u64::from(MASK);
        u32::try_from(number).unwrap_or_default().wrapping_mul(FACTOR) & MASK
    }

    /// Whether an id was given, as far as can be known: after 2^31 calls, each was.
    pub(crate) fn was_given(&self, id: u32) -> bool {
        let given = self.given.load(Ordering::Relaxed);
        id & !MASK == 0 && u64::from(id.wrapping_mul(INVERSE) & MASK) < given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_use_are_far_apart() {
        for distance in 1..=50_000_u32 {
            let up = distance.wrapping_mul(FACTOR) & MASK;
            let down = up.wrapping_neg() & MASK;
            for difference in [up, down] {
                assert!(difference > 1000, "{distance}");
                // two ids whose difference is not a power of two differ in more than one bit
                assert!(!difference.is_power_of_two(), "{distance}");
            }
        }
    }

    #[test]
    fn ids_are_known_once_they_are_given() {
        let ids = CallIds::default();
        assert!(!ids.was_given(0));
        let given: Vec<u32> = (0..1000).map(|_| ids.next()).collect();
        assert!(given.iter().all(|id| ids.was_given(*id) && !ids.was_given(id | !MASK)));
        assert!(given.iter().all(|id| (1..4).all(|more| !ids.was_given(id + more))));
        assert!(given.iter().all(|id| (0..31).all(|bit| !ids.was_given(id ^ 1 << bit))));
        ids.given.store(1 << 31, Ordering::Relaxed);
        assert!(ids.was_given(12345));
    }
}
