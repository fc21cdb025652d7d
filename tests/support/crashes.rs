//! The calls that fail, and the crashes after a call.

use super::random_ops::{fresh_seed, number, say};

/// Returns an endless series of numbers of calls: one in `every`, as a failure of each call would take long.
/// The first is random, so that each call is selected in some run; `HREGION_SEED` sets it. Returns all
/// numbers if `HREGION_EVERY` is 1.
pub(crate) fn one_in(every: usize) -> impl Iterator<Item = u64> {
    let every = if number("HREGION_EVERY") == Some(1) { 1 } else { every };
    let seed = number("HREGION_SEED").unwrap_or_else(fresh_seed);
    if every > 1 {
        say(&format!("HREGION_SEED={seed}: one call in {every}"));
    }
    (seed % u64::try_from(every).expect("usize fits u64")..).step_by(every)
}

/// Returns the first crash, and one of the others in turn, as trying all of them at each call would take
/// long. Returns all if `HREGION_EVERY` is 1.
pub(crate) fn crashes_at<C: Copy>(n: u64, crashes: &[C]) -> Vec<C> {
    match crashes {
        [first, others @ ..] if !others.is_empty() && number("HREGION_EVERY") != Some(1) => {
            vec![*first, others[usize::try_from(n).unwrap() % others.len()]]
        }
        all => all.to_vec(),
    }
}
