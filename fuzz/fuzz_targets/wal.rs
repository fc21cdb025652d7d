#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| hregion::fuzzing::wal(input));
