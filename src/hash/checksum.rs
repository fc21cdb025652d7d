//! The CRCs of blocks (hfile.md §6.3). Only this module uses the crate `crc-fast`.

/// CRC32 as in zlib (IEEE 802.3).
#[inline]
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iso_hdlc(bytes)
}

/// CRC32C (Castagnoli), as in iSCSI.
#[inline]
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit by bit, with the reflected polynomial.
    fn naive(bytes: &[u8], polynomial: u32) -> u32 {
        let mut sum = u32::MAX;
        for byte in bytes {
            sum ^= u32::from(*byte);
            for _ in 0..8 {
                sum = if sum & 1 == 1 { sum >> 1 ^ polynomial } else { sum >> 1 };
            }
        }
        !sum
    }

    #[test]
    fn check_values() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!((crc32(b""), crc32c(b"")), (0, 0));
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_twin(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert_eq!(crc32(&bytes), naive(&bytes, 0xedb8_8320));
            prop_assert_eq!(crc32c(&bytes), naive(&bytes, 0x82f6_3b78));
        }
    }
}
