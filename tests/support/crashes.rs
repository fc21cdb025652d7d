//! The calls that fail, and the crashes that happen at a call.

use super::random_ops::{fresh_seed, number, say};
use hregion::io::faulty::Crash;

/// Returns numbers of calls, without end: one in `every`, as a failure of each call would take long. The
/// first is chosen at random, so that each call is among those of some run; `HREGION_SEED` sets it. Returns
/// all numbers if `HREGION_EVERY` is 1.
pub(crate) fn one_in(every: usize) -> impl Iterator<Item = u64> {
    let every = if number("HREGION_EVERY") == Some(1) { 1 } else { every };
    let seed = number("HREGION_SEED").unwrap_or_else(fresh_seed);
    if every > 1 {
        say(&format!("HREGION_SEED={seed}: one call in {every}"));
    }
    (seed % u64::try_from(every).expect("usize fits u64")..).step_by(every)
}

/// Returns the first of some crashes, and one of the others in turn, as all of them at each call would take
/// long; all of them if `HREGION_EVERY` is 1.
pub(crate) fn crashes_at(n: u64, crashes: &[Crash]) -> Vec<Crash> {
    match crashes {
        [first, others @ ..] if !others.is_empty() && number("HREGION_EVERY") != Some(1) => {
            vec![*first, others[usize::try_from(n).unwrap() % others.len()]]
        }
        all => all.to_vec(),
    }
}
