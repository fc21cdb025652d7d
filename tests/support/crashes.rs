//! The calls that fail, and the crashes after a call.

use super::random_ops::{fresh_seed, number, say};

/// Returns an endless series of numbers of calls or other cases: one in `every`, as all would take long. The
/// first is random, so that each is selected in some run; `HREGION_SEED` sets it, and `HREGION_EVERY` sets
/// `every`.
pub(crate) fn one_in(every: usize) -> impl Iterator<Item = u64> + Clone {
    let every = number("HREGION_EVERY").map_or(every, |every| every.try_into().expect("a small number"));
    let seed = number("HREGION_SEED").unwrap_or_else(fresh_seed);
    if every > 1 {
        say(&format!("HREGION_SEED={seed}: one in {every}"));
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
