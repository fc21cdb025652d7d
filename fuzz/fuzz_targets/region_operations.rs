//! Operations on a region whose storage fails, against a model.
#![no_main]

mod support {
    #[path = "../../../tests/support/fault_world.rs"]
    pub(crate) mod fault_world;
    #[path = "../../../tests/support/rng.rs"]
    pub(crate) mod rng;
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| support::fault_world::play_bytes(input));
