//! Text files that end with their checksum: files of this crate only, about changes in progress.
//!
//! The last line is `crc32c ` and the CRC32C of the lines before, in 8 hexadecimal digits.
#![warn(clippy::indexing_slicing)]

use crate::error::Corruption;
use crate::hash::checksum::crc32c;

/// The beginning of the last line.
const CHECKSUM: &str = "crc32c ";

/// The messages for faults of one kind of file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    /// A line is not one of the kind.
    pub(super) line: &'static str,
    /// There is no checksum at the end.
    pub(super) no_checksum: &'static str,
    /// The checksum is not a number.
    pub(super) no_number: &'static str,
}

/// Returns the bytes of a text of whole lines, with its checksum.
pub(super) fn seal(text: &str) -> Vec<u8> {
    format!("{text}{CHECKSUM}{:08x}\n", crc32c(text.as_bytes())).into_bytes()
}

/// Returns the lines before the checksum, which must match them.
pub(super) fn unseal(bytes: &[u8], faults: Faults) -> Result<&str, Corruption> {
    let text = std::str::from_utf8(bytes).map_err(|_| Corruption::Malformed(faults.line))?;
    let (text, sum) = text.rsplit_once(CHECKSUM).ok_or(Corruption::Malformed(faults.no_checksum))?;
    let computed = crc32c(text.as_bytes());
    if *sum == format!("{computed:08x}\n") {
        return Ok(text);
    }
    Err(match u32::from_str_radix(sum.trim_end(), 16) {
        Ok(stored) if stored != computed => Corruption::Checksum { chunk: 0, stored, computed },
        _ => Corruption::Malformed(faults.no_number),
    })
}

/// Code shared by the tests of such files.
#[cfg(test)]
pub(super) mod tests {
    use crate::hash::checksum::crc32c;

    /// Returns the bytes of a text with its checksum, according to the format.
    pub(in crate::layout) fn sealed(text: impl AsRef<[u8]>) -> Vec<u8> {
        let text = text.as_ref();
        let sum = format!("crc32c {:08x}\n", crc32c(text));
        [text, sum.as_bytes()].concat()
    }

    /// Flips each bit of a file. Fails if `is_read` accepts one of the results.
    pub(in crate::layout) fn expect_flips_found(bytes: &[u8], is_read: impl Fn(&[u8]) -> bool) {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_read(&flipped), "bit {bit}");
        }
    }

    /// Flips a bit of the lines of a file, and corrects the checksum.
    pub(in crate::layout) fn flipped_and_sealed(mut bytes: Vec<u8>, flip: usize) -> Vec<u8> {
        bytes.truncate(bytes.len() - "crc32c 00000000\n".len());
        let bit = flip % (8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        sealed(bytes)
    }
}
