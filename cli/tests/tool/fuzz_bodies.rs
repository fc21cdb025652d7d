//! Runs the tool's fuzz targets on their seeds and on random mutations of these. Writes the seeds of all
//! targets.

use crate::library::rng::Rng;
use crate::library::{seeds, tool_seeds};
use hregion_cli::fuzzing::{cells_json, script};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Few, because a script takes milliseconds.
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

/// Writes inputs for every fuzz target, parts of the files of `testdata`, to folders named after the targets.
#[test]
#[ignore = "writes files: see fuzz/seed.sh"]
fn seeds_are_written() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
    let folder = PathBuf::from(env::var_os("HREGION_SEEDS").expect("HREGION_SEEDS, a folder"));
    let mut count = 0;
    let mut write = |target: &str, name: String, bytes: &[u8]| {
        fs::create_dir_all(folder.join(target)).unwrap();
        fs::write(folder.join(target).join(name), bytes).unwrap();
        count += 1;
    };
    for (name, bytes) in seeds::files(&testdata).unwrap() {
        for (i, seed) in seeds::of(&bytes).into_iter().enumerate() {
            write(seed.target, format!("{name}-{i}"), &seed.bytes);
        }
    }
    // Any bytes are operations: these form a first corpus with several lengths.
    for len in [20, 60, 200, 600] {
        let bytes: Vec<u8> = (0..len).map(|i: u32| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        write("region_operations", format!("mixed-{len}"), &bytes);
    }
    let others = seeds::of_regions(&testdata).unwrap().into_iter().chain(seeds::of_filters());
    let others = others.chain(seeds::of_filter_messages(&testdata).unwrap());
    let others = others.chain(seeds::of_znodes(&testdata).unwrap());
    let others = others.chain(seeds::of_catalog(&testdata).unwrap());
    for (i, seed) in others.chain(seeds::of_wals(&testdata).unwrap()).enumerate() {
        write(seed.target, format!("other-{i}"), &seed.bytes);
    }
    for (i, (target, bytes)) in tool_seeds::of_tool(&testdata).unwrap().into_iter().enumerate() {
        write(target, format!("golden-{i}"), &bytes);
    }
    #[cfg(feature = "cluster")]
    for (i, bytes) in hregion_client::fuzzing::seeds().into_iter().enumerate() {
        write("client_answers", format!("pages-{i}"), &bytes);
    }
    #[cfg(feature = "kerberos")]
    for (i, bytes) in hregion_client::fuzzing::kerberos_seeds().into_iter().enumerate() {
        write("client_kerberos", format!("session-{i}"), &bytes);
    }
    println!("{count} seeds in {}", folder.display());
    assert!(count > 1000, "{count}");
}
