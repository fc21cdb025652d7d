//! Hash functions and checksums of bytes.

pub(crate) mod checksum;
pub(crate) mod jenkins;
pub(crate) mod murmur;
pub(crate) mod murmur3;

use md5::{Digest, Md5};
use std::fmt::Write;

/// Returns the MD5 hash as lower-case hexadecimal digits. Used for the directory names of regions, not for
/// security.
pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().fold(String::with_capacity(32), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes anything");
        hex
    })
}

/// The expected Bloom hashes for the keys of hfile.md §12.3: `(key, h1, h2)`, where h2 is seeded with h1.
#[cfg(test)]
pub(crate) type Vector = (&'static [u8], i32, i32);

#[cfg(test)]
fn check(hash: fn(&[u8], u32) -> u32, vectors: &[Vector]) {
    for &(key, h1, h2) in vectors {
        assert_eq!(hash(key, 0).cast_signed(), h1, "{key:x?}");
        assert_eq!(hash(key, h1.cast_unsigned()).cast_signed(), h2, "{key:x?}");
    }
}

/// Keys of lengths around the word and block sizes of the hashes.
#[cfg(test)]
fn keys() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    proptest::collection::vec(proptest::num::u8::ANY, 0..40)
}

#[cfg(test)]
mod tests {
    #[test]
    fn vectors_of_rfc_1321() {
        assert_eq!(super::md5_hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(super::md5_hex(b"message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    }
}
