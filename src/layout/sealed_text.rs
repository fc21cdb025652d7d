//! Lines of text that end with their checksum: the files that only this crate has, of what is under way.
//!
//! The last line is `crc32c ` and the CRC32C of the lines before, in 8 hexadecimal digits.
#![warn(clippy::indexing_slicing)]

use crate::error::Corruption;
use crate::hash::checksum::crc32c;

/// The beginning of the last line.
const CHECKSUM: &str = "crc32c ";

/// What is wrong with a text, for one kind of file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    /// A line is none of the kind.
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

/// Returns the lines before the checksum, which must be theirs.
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
