//! Random games, one for each seed, as many as the environment or the test says.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Plays until so many operations are done, `each` of them with a seed of its own. The seeds are others in each run, and are
/// printed; `HREGION_SEED` sets the first, and `HREGION_OPS` the number of operations. If one fails, prints with which seed it does
/// so alone.
pub(crate) fn play_all(operations: u64, each: u64, mut play: impl FnMut(u64)) {
    let first = number("HREGION_SEED").unwrap_or_else(fresh_seed);
    let operations = number("HREGION_OPS").unwrap_or(operations);
    say(&format!("HREGION_SEED={first} HREGION_OPS={operations}"));
    for seed in first..first + operations.div_ceil(each) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(seed))) {
            say(&format!("it fails alone with HREGION_SEED={seed} HREGION_OPS={each}"));
            resume_unwind(panic);
        }
    }
}

/// A seed that no run before had, small enough to be typed.
pub(crate) fn fresh_seed() -> u64 {
    RandomState::new().hash_one(0) % 1_000_000_000
}

/// Writes past the capture of a test's output, so that the seeds of a run that passes are in its log.
pub(crate) fn say(line: &str) {
    writeln!(io::stderr(), "{line}").expect("standard error is open");
}

pub(crate) fn number(name: &str) -> Option<u64> {
    Some(env::var(name).ok()?.parse().expect("a number"))
}
