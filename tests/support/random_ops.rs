//! Random test runs, one for each seed; the test or the environment sets their number.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Plays games, each with its own seed and `each` operations, until `operations` operations are done. The
/// seeds differ in each run and are printed. `HREGION_SEED` sets the first seed, and `HREGION_OPS` the number
/// of operations. If a game fails, prints the settings that replay it alone.
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

/// Returns the first seed of a test that has the same seeds in each run, unless `HREGION_SEED` sets it.
pub(crate) fn first_seed() -> u64 {
    number("HREGION_SEED").unwrap_or(1)
}

/// Returns a random seed that is short enough to type.
pub(crate) fn fresh_seed() -> u64 {
    RandomState::new().hash_one(0) % 1_000_000_000
}

/// Writes to standard error past the test harness's capture, so that the log of a passing run has the seeds.
pub(crate) fn say(line: &str) {
    writeln!(io::stderr(), "{line}").expect("standard error is open");
}

/// Returns the number in a variable of the environment, if it is set.
pub(crate) fn number(name: &str) -> Option<u64> {
    Some(env::var(name).ok()?.parse().expect("a number"))
}
