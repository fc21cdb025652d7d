//! Bloom filters.

use super::input::Input;
use crate::block::BloomHashType;
use crate::block::bloom::{KeyHashes, add, probe};
use crate::hfile::BloomMeta;
use crate::hfile::bloom::size::fold;

/// Checks Bloom filters: metadata that parses is written and parses to the same again, and a key that was
/// added is found, in a chunk of any size, folded or not.
///
/// The input is the payload of a metadata block; then choices: a hash function, hash count and size; then
/// keys.
pub fn bloom(input: &[u8]) {
    meta(input);
    let mut input = Input::new(input);
    let kind = input.choose(&[BloomHashType::Jenkins, BloomHashType::Murmur, BloomHashType::Murmur3]);
    let hash_count = u32::from(input.byte()) + 1;
    let size = usize::from(input.u16());
    // a probe accepts a chunk of any bytes
    let _ = probe(input.rest(), hash_count, KeyHashes::of(kind, input.rest()));
    let mut chunk = vec![0; size];
    let mut keys = Vec::new();
    while !input.is_empty() && keys.len() < 200 {
        let key = KeyHashes::of(kind, input.run(40));
        add(&mut chunk, hash_count, key);
        keys.push(key);
    }
    let all = |chunk: &[u8]| keys.iter().all(|&key| probe(chunk, hash_count, key));
    assert!(all(&chunk), "a key is missing");
    fold(&mut chunk, 1 << 16, keys.len() as u64);
    assert!(all(&chunk), "a key was lost in a fold");
}

fn meta(payload: &[u8]) {
    const END: u64 = 1 << 40;

    let Ok(meta) = BloomMeta::parse(payload, END) else { return };
    assert!(meta.chunks().all(|(handle, _)| handle.end() <= END));
    let _ = (meta.check_flat_keys(), meta.comparator(), meta.total_bytes(), meta.max_keys());
    let mut written = Vec::new();
    meta.write(&mut written);
    assert_eq!(BloomMeta::parse(&written, END), Ok(meta));
}
