//! Compares operations on a region in a failing storage with a model.
#![no_main]

#[path = "../../tests/support/fault_world.rs"]
#[allow(dead_code, reason = "the library's tests use the rest")]
mod fault_world;
#[path = "../../tests/support/rng.rs"]
mod rng;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fault_world::play_bytes(input));
