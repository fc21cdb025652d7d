#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| hregion_cli::fuzzing::cells_json(input));
