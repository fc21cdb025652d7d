//! The end of a log that is longer than its entries (wal.md §16).
#![warn(clippy::indexing_slicing)]

use super::source::are_zeros;
use crate::error::{Error, Result};
use crate::io::FileReader;

/// Follows the last entry if zeros follow: the length of a key that is longer than any file. HBase treats it
/// as a truncated entry, and zeros alone as damage. The next entry replaces it.
pub(crate) const END_MARK: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x07];

/// Whether a file has the mark at an offset, and only zeros from there to `end`.
pub(super) fn is_at(file: &dyn FileReader, offset: u64, end: u64) -> Result<bool> {
    let zeros = offset.saturating_add(END_MARK.len() as u64);
    if zeros > end {
        return Ok(false);
    }
    let mut bytes = END_MARK;
    file.read_exact_at(&mut bytes, offset).map_err(|error| Error::io("read", file.path(), error))?;
    Ok(bytes == END_MARK && are_zeros(file, zeros, end)?)
}
