#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| hregion_client::fuzzing::kerberos_session(input));
