//! MD5, used for the directory names of regions. Not used for security.

use md5::{Digest, Md5};

/// The hash as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Md5::digest(bytes).iter().fold(String::with_capacity(32), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes anything");
        hex
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn vectors_of_rfc_1321() {
        assert_eq!(super::hex(b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(super::hex(b"message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    }
}
