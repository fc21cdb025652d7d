//! Random games, one for each seed, as many as the environment or the test says.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Plays until so many operations are done, `each` of them with a seed of its own; `HREGION_SEED` begins with another seed, and
/// `HREGION_OPS` sets the number. If one fails, says with which seed it does so alone.
#[expect(clippy::print_stdout, reason = "a test that stops says where")]
pub(crate) fn play_all(operations: u64, each: u64, mut play: impl FnMut(u64)) {
    let first = number("HREGION_SEED").unwrap_or(1);
    let operations = number("HREGION_OPS").unwrap_or(operations);
    println!("HREGION_SEED={first} HREGION_OPS={operations}");
    for seed in first..first + operations.div_ceil(each) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(seed))) {
            println!("it fails alone with HREGION_SEED={seed} HREGION_OPS={each}");
            resume_unwind(panic);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    Some(env::var(name).ok()?.parse().expect("a number"))
}
