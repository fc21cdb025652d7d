//! The crashes that happen at a call.

use super::random_ops::number;
use hregion::io::faulty::Crash;

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
