//! Runs the tool's fuzz targets on their seeds and on random mutations of these.

#[path = "../../tests/support/rng.rs"]
mod rng;
#[path = "../../tests/support/tool_seeds.rs"]
mod tool_seeds;

use hregion_cli::fuzzing::{cells_json, script};
use rng::Rng;
use std::path::Path;

/// Few, because one script takes milliseconds.
const SCRIPTS: usize = 100;
const CELLS: usize = 3_000;

#[test]
fn seeds_and_changes_of_them_end_in_an_error_or_an_answer() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let seeds = tool_seeds::of_tool(&testdata).expect("testdata is there");
    for (target, body, cases) in
        [("cells_json", cells_json as fn(&[u8]), CELLS), ("script", script as fn(&[u8]), SCRIPTS)]
    {
        let seeds: Vec<&[u8]> =
            seeds.iter().filter(|seed| seed.0 == target).map(|seed| &seed.1[..]).collect();
        assert!(seeds.len() >= 20, "{target} has {} seeds", seeds.len());
        if target == "cells_json" {
            seeds.iter().for_each(|seed| body(seed));
        }
        for case in 0..cases {
            let mut rng = Rng::new(u64::try_from(case).expect("a small number"));
            let mut input = seeds[rng.below(seeds.len())].to_vec();
            for _ in 0..1 + rng.below(6) {
                let at = rng.below(input.len().max(1));
                if input.is_empty() {
                    break;
                }
                let byte = rng.next().to_be_bytes()[0];
                match rng.below(4) {
                    0 => input[at] = b"0129-\"{}[],:\\aeftnxu"[usize::from(byte) % 20],
                    1 => drop(input.remove(at)),
                    2 => input.insert(at, byte),
                    _ => input[at] ^= 1 << (byte & 7),
                }
            }
            body(&input);
        }
    }
}
