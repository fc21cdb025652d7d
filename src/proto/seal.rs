//! Seals: checksums of small files that HBase writes without one (hfile.md §15.9).
//!
//! A seal is the last field of the message that ends the file. HBase skips it, like any unknown field.
//!
//! | bytes | |
//! |------:|-----------------------------------------------------------|
//! |     2 | tag: field 1000, bytes                                     |
//! |     1 | length of the field, 11                                   |
//! |     7 | `hregion`                                                 |
//! |     4 | CRC32C of all bytes of the file before these, big-endian  |
#![warn(clippy::indexing_slicing)]

use super::wire::{Fields, Value};
use crate::error::Corruption;
use crate::hash::checksum::crc32c;

/// The number of the field.
const FIELD: u32 = 1000;
const NAME: &[u8] = b"hregion";
/// A seal without its checksum.
const START: [u8; 10] = *b"\xc2\x3e\x0bhregion";

/// The length of a seal in bytes.
pub(crate) const SEAL_LEN: usize = START.len() + 4;

/// The number of bits in which the end of a file may differ from the start of a seal to be taken for a
/// damaged seal. Two random values differ in 40 of these 80 bits.
const DAMAGED_BITS: u32 = 8;

/// Appends the seal of a file that ends with a message. If the message has a length, it is that with the
/// seal.
pub(crate) fn seal(file: &mut Vec<u8>) {
    file.extend_from_slice(&START);
    file.extend_from_slice(&crc32c(file).to_be_bytes());
}

/// Checks the seal at the end of a file. Returns whether there is one; files of HBase have none.
///
/// # Errors
///
/// If the seal is damaged, or does not match the file.
pub(crate) fn check(file: &[u8]) -> Result<bool, Corruption> {
    let Some((before, sum)) = file.split_last_chunk::<4>() else { return Ok(false) };
    let Some((_, start)) = before.split_last_chunk::<{ START.len() }>() else { return Ok(false) };
    let bits: u32 = start.iter().zip(START).map(|(found, expected)| (found ^ expected).count_ones()).sum();
    if bits > DAMAGED_BITS {
        return Ok(false);
    }
    let (stored, computed) = (u32::from_be_bytes(*sum), crc32c(before));
    // A damaged start also changes the checksum.
    if stored != computed {
        return Err(Corruption::Checksum { chunk: 0, stored, computed });
    }
    if *start != START {
        return Err(Corruption::Malformed("damaged seal at the end of a file"));
    }
    Ok(true)
}

/// Checks that a message of a file without a seal at its end has none elsewhere.
///
/// # Errors
///
/// If it has one, followed by other bytes.
pub(crate) fn refuse_seal_in(message: &[u8]) -> Result<(), Corruption> {
    let is_seal = |field| matches!(field, (FIELD, Value::Bytes(value)) if value.starts_with(NAME));
    // A message that cannot be walked is refused by its decoder.
    match Fields::new(message).filter_map(Result::ok).any(is_seal) {
        false => Ok(()),
        true => Err(Corruption::Malformed("bytes after the seal of a file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::wire::put_bytes;
    use proptest::prelude::*;

    fn sealed(message: &[u8]) -> Vec<u8> {
        let mut file = message.to_vec();
        seal(&mut file);
        file
    }

    #[test]
    fn a_seal_is_a_field_of_bytes() {
        let file = sealed(b"\x0a\x01x");
        let sum = crc32c(&file[..file.len() - 4]).to_be_bytes();
        let mut expected = b"\x0a\x01x".to_vec();
        put_bytes(&mut expected, FIELD, &[NAME, &sum].concat());
        assert_eq!(file, expected);
        assert_eq!((file.len(), check(&file)), (3 + SEAL_LEN, Ok(true)));
    }

    #[test]
    fn files_without_a_seal_are_of_hbase() {
        for file in [&b""[..], b"PBUF", b"\x0a\x01x", b"0123456789abcdef", &START, &[0xff; 64]] {
            assert_eq!((check(file), refuse_seal_in(file)), (Ok(false), Ok(())), "{file:x?}");
        }
    }

    #[test]
    fn seals_elsewhere_are_refused() {
        let mut file = sealed(b"\x0a\x01x");
        assert!(refuse_seal_in(&file).is_err());
        put_bytes(&mut file, 1, &[b'y'; 20]);
        assert_eq!(check(&file), Ok(false));
        assert!(refuse_seal_in(&file).is_err());
    }

    proptest! {
        #[test]
        fn damage_is_found(message: Vec<u8>, flips in proptest::collection::btree_set(0..4000usize, 1..4)) {
            let mut file = sealed(&message);
            prop_assert_eq!(check(&file), Ok(true));
            let bits = file.len() * 8;
            for flip in flips.iter().map(|flip| flip % bits).collect::<std::collections::BTreeSet<_>>() {
                file[flip / 8] ^= 1 << (flip % 8);
            }
            prop_assert!(check(&file).is_err());
        }
    }
}
