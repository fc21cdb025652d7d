//! Names for new files: 32 hexadecimal digits, as HBase's are.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_128;

/// A name that no other file has.
pub(crate) fn new_file_name(now: i64) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // keyed anew in each process, so that two of them do not agree
    let random = RandomState::new().hash_one((now, count, std::process::id()));
    let words = [random, now.cast_unsigned(), count, std::process::id().into()].map(u64::to_be_bytes);
    format!("{:032x}", xxh3_128(words.as_flattened()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_hexadecimal_and_differ() {
        let names: BTreeSet<String> = (0..1000).map(|_| new_file_name(5)).collect();
        assert_eq!(names.len(), 1000);
        let hex = |name: &String| name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(names.iter().all(hex));
    }
}
