//! Runs the bodies of the fuzz targets on files that HBase wrote, on parts of them, and on mutations of both:
//! a short version of `fuzz/` for the stable compiler.

use crate::support::rng::Rng;
use crate::support::seeds::{self, Seed};
use hregion::fuzzing::{TARGETS, Target};
use std::path::Path;
use std::thread;

/// The number of mutated inputs for each target. Whole files take longer.
const CASES: usize = 8_000;
const WHOLE_FILES: usize = 3_000;

fn is_whole(target: &str) -> bool {
    target.starts_with("hfile") || matches!(target, "write_read" | "store_files" | "region_dir" | "wal")
}

fn all_seeds() -> Vec<Seed> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let files = seeds::files(&testdata).expect("testdata is there");
    let regions = seeds::of_regions(&testdata).expect("testdata is there");
    let messages = seeds::of_filter_messages(&testdata).expect("testdata is there");
    let others = regions.into_iter().chain(seeds::of_filters()).chain(messages);
    let znodes = seeds::of_znodes(&testdata).expect("testdata is there");
    let catalog = seeds::of_catalog(&testdata).expect("testdata is there");
    let logs = seeds::of_wals(&testdata).expect("testdata is there");
    let others = others.chain(znodes).chain(catalog).chain(logs);
    files.iter().flat_map(|(_, bytes)| seeds::of(bytes)).chain(others).collect()
}

#[test]
fn every_target_has_seeds_and_bears_them() {
    let seeds = all_seeds();
    for &(name, body) in TARGETS {
        let mut count = 0;
        for seed in seeds.iter().filter(|seed| seed.target == name) {
            body(&seed.bytes);
            count += 1;
        }
        assert!(count >= 20, "{name} has {count} seeds");
        [&[][..], &[0], &[0xff; 64], &[0; 5000]].into_iter().for_each(body);
    }
}

#[test]
fn mutations_end_in_an_error_or_in_the_right_answer() {
    let seeds = all_seeds();
    let run = |&(name, body): &Target| {
        let seeds: Vec<&[u8]> = seeds.iter().filter(|s| s.target == name).map(|s| &s.bytes[..]).collect();
        let cases = if is_whole(name) { WHOLE_FILES } else { CASES };
        for case in 0..cases {
            let mut rng = Rng::new(u64::try_from(case).expect("a small number"));
            let mut input = seeds[rng.below(seeds.len())].to_vec();
            let other = seeds[rng.below(seeds.len())];
            for _ in 0..1 + rng.below(4) {
                mutate(&mut input, other, &mut rng);
            }
            let told = OnPanic(name, case);
            body(&input);
            drop(told);
        }
    };
    thread::scope(|scope| {
        let (files, parts): (Vec<_>, Vec<_>) = TARGETS.iter().partition(|(name, _)| is_whole(name));
        scope.spawn(move || parts.into_iter().for_each(run));
        files.into_iter().for_each(run);
    });
}

/// Applies one mutation of a kind that a fuzzer makes.
fn mutate(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    if input.is_empty() {
        return;
    }
    let at = rng.below(input.len());
    let byte = rng.next().to_be_bytes()[0];
    match rng.below(9) {
        0 | 1 => input[at] ^= 1 << (byte & 7),
        2 => input[at] = byte,
        // nearly right or extreme lengths and counts
        3 => input[at] = input[at].wrapping_add(byte & 7).wrapping_sub(3),
        4 => input[at] = [0, 1, 0x7f, 0x80, 0xff][usize::from(byte) % 5],
        5 => input.truncate(at),
        6 => drop(input.remove(at)),
        7 => input.insert(at, byte),
        _ => {
            let from = rng.below(other.len().max(1));
            let len = rng.below(64).min(other.len().saturating_sub(from)).min(input.len() - at);
            input[at..at + len].copy_from_slice(&other[from..from + len]);
        }
    }
}

/// Prints the case if it panics.
struct OnPanic<'a>(&'a str, usize);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}: case {} panicked", self.0, self.1);
        }
    }
}

/// Inputs that once caused a panic or a hang, by target.
#[test]
fn inputs_found_by_fuzzing_do_not_panic() {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz");
    let mut count = 0;
    for folder in std::fs::read_dir(&found).expect("testdata is there") {
        let folder = folder.expect("a directory that is read").path();
        // an input for an unknown target would never be played
        let target = TARGETS.iter().find(|(name, _)| folder.ends_with(name));
        let (_, body) = target.unwrap_or_else(|| panic!("{}: no target", folder.display()));
        for input in std::fs::read_dir(&folder).expect("a directory of inputs") {
            body(&std::fs::read(input.expect("a directory that is read").path()).expect("an input"));
            count += 1;
        }
    }
    assert!(count >= 2, "{count} inputs in {}", found.display());
}
