//! Checksums of the header and of entries, which only logs of this crate have (wal.md §16).
//!
//! A checksum is the CRC32C of all bytes of the header or entry, with zeros in place of the checksum.
#![warn(clippy::indexing_slicing)]

use crate::coding::Cursor;
use crate::error::Corruption;
use crate::hash::checksum::crc32c;

/// The name of the extended attribute of an entry.
pub(super) const ATTRIBUTE: &str = "hregion";

const CRC_LEN: usize = 4;

/// Returns the value of the header's field: the log's id, and space for the checksum.
pub(super) fn of_header(log_id: u64) -> Vec<u8> {
    [&log_id.to_be_bytes()[..], &[0; CRC_LEN]].concat()
}

/// The length of the value of an entry's attribute.
pub(super) const ENTRY_LEN: usize = 8 + 8 + 8 + 4 + CRC_LEN;

/// Returns the value of an entry's attribute: the log's id, the entry's offset, the number of bytes of the
/// log that are known to be on disk, and space for the entry's length and the checksum.
pub(super) fn of_entry(log_id: u64, offset: u64, synced: u64) -> [u8; ENTRY_LEN] {
    let mut value = [0; ENTRY_LEN];
    for (part, number) in value.chunks_exact_mut(8).zip([log_id, offset, synced]) {
        part.copy_from_slice(&number.to_be_bytes());
    }
    value
}

/// Writes the length and the checksum of an entry before the offset `end` in it. The bytes there must be
/// zeros.
pub(super) fn seal_entry(bytes: &mut [u8], end: usize) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let field = end.checked_sub(CRC_LEN + 4).and_then(|at| bytes.get_mut(at..end - CRC_LEN));
    if let Some(field) = field {
        field.copy_from_slice(&len);
    }
    seal(bytes, end);
}

/// Writes the checksum of `bytes` before the offset `end` in it. The bytes there must be zeros.
pub(super) fn seal(bytes: &mut [u8], end: usize) {
    let sum = crc32c(bytes).to_be_bytes();
    if let Some(field) = end.checked_sub(CRC_LEN).and_then(|at| bytes.get_mut(at..end)) {
        field.copy_from_slice(&sum);
    }
}

/// Checks the header's field, whose checksum is before the offset `end` in the bytes of the header. Returns
/// the log's id. Sets the checksum to zeros if it is right.
pub(super) fn check_header(field: &[u8], bytes: &mut [u8], end: usize) -> Result<u64, Corruption> {
    let mut cursor = Cursor::new(field);
    let log_id = u64::from_be_bytes(cursor.array("id of the log")?);
    check(&mut cursor, bytes, end)?;
    Ok(log_id)
}

/// Checks an entry's attribute, whose checksum is before the offset `end` in the bytes of the entry. Sets
/// the checksum to zeros if it is right.
pub(super) fn check_entry(
    attribute: Option<&[u8]>,
    log_id: u64,
    offset: u64,
    bytes: &mut [u8],
    end: usize,
) -> Result<(), Corruption> {
    let missing = Corruption::Malformed("entry without a checksum, in a log with checksums");
    let mut cursor = Cursor::new(attribute.ok_or(missing)?);
    for (what, expected) in [("id of the log", log_id), ("offset of the entry", offset)] {
        let found = u64::from_be_bytes(cursor.array(what)?);
        if found != expected {
            let (expected, found) = (expected.cast_signed(), found.cast_signed());
            return Err(Corruption::Mismatch { what, expected, found });
        }
    }
    cursor.take(8, "length that is on disk")?;
    cursor.take(4, "length of an entry")?;
    check(&mut cursor, bytes, end)
}

/// The attribute of an entry, found by the id of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The offset of the entry.
    pub(super) offset: u64,
    /// The number of bytes of the log that were on disk when the entry was written.
    pub(super) synced: u64,
    /// The length of the entry.
    pub(super) len: u32,
    /// The offset of the end of the attribute.
    pub(super) end: u64,
}

impl Found {
    /// Returns the offset after the entry.
    pub(super) fn to(&self) -> u64 {
        self.offset.saturating_add(self.len.into())
    }
}

/// Finds the attributes of entries of a log in some of its bytes, which begin at `base`. Returns those that
/// are complete, without checking them.
pub(super) fn find_entries(log_id: u64, base: u64, bytes: &[u8]) -> impl Iterator<Item = Found> {
    let id = log_id.to_be_bytes();
    bytes.windows(ENTRY_LEN).enumerate().filter(move |(_, value)| value.starts_with(&id)).filter_map(
        move |(at, value)| {
            let mut cursor = Cursor::new(value.get(8..)?);
            let offset = u64::from_be_bytes(cursor.array("offset").ok()?);
            let synced = u64::from_be_bytes(cursor.array("length on disk").ok()?);
            let len = u32::from_be_bytes(cursor.array("length").ok()?);
            Some(Found { offset, synced, len, end: base + (at + ENTRY_LEN) as u64 })
        },
    )
}

/// The number of bytes that successive calls of [`find_entries`] must overlap by.
pub(super) const OVERLAP: usize = ENTRY_LEN - 1;

/// The difference of bytes from their checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    None,
    /// By one flipped bit, of the byte at this offset.
    OneBit(usize),
    More,
}

/// Compares bytes with the checksum before the offset `end` in them. Changes the bytes. Looks for a single
/// bit only if `by_bits`, which takes longer.
pub(super) fn difference(bytes: &mut [u8], end: usize, by_bits: bool) -> Difference {
    let Some(field) = end.checked_sub(CRC_LEN).and_then(|at| bytes.get_mut(at..end)) else {
        return Difference::More;
    };
    let stored = field.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
    field.fill(0);
    let wrong = crc32c(bytes) ^ stored;
    match wrong.count_ones() {
        0 => return Difference::None,
        // of the checksum, whose first byte has the highest bits
        1 => return Difference::OneBit(end - 1 - wrong.trailing_zeros() as usize / 8),
        _ if !by_bits => return Difference::More,
        _ => {}
    }
    // A checksum is linear: flipping a bit changes it by a value that depends only on the number of bits
    // after this one. `changes` are those of the eight bits of a byte, from the last byte to the first.
    let shifted = |sum: u32| (0..8).fold(sum, |sum, _| sum >> 1 ^ (POLYNOMIAL & (sum & 1).wrapping_neg()));
    let mut changes: [u32; 8] = std::array::from_fn(|bit| shifted(1 << bit));
    for at in (0..bytes.len()).rev() {
        if changes.contains(&wrong) {
            return Difference::OneBit(at);
        }
        changes = changes.map(shifted);
    }
    Difference::More
}

/// The polynomial of CRC32C, with the lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82F6_3B78;

fn check(cursor: &mut Cursor<'_>, bytes: &mut [u8], end: usize) -> Result<(), Corruption> {
    let stored = cursor.array::<CRC_LEN>("checksum")?;
    cursor.finish("bytes after a checksum")?;
    let field = end.checked_sub(CRC_LEN).and_then(|at| bytes.get_mut(at..end));
    match field {
        Some(field) if *field == stored => field.fill(0),
        _ => return Err(Corruption::Malformed("checksum that is not the last field")),
    }
    let (sum, computed) = (u32::from_be_bytes(stored), crc32c(bytes));
    if sum == computed {
        return Ok(());
    }
    if let Some(field) = end.checked_sub(CRC_LEN).and_then(|at| bytes.get_mut(at..end)) {
        field.copy_from_slice(&stored);
    }
    Err(Corruption::Checksum { chunk: 0, stored: sum, computed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_are_accepted_and_others_are_not() {
        let sealed = |value: &[u8]| {
            let mut bytes = [b"before".as_slice(), value, b"after"].concat();
            seal(&mut bytes, 6 + value.len());
            let value = bytes[6..6 + value.len()].to_vec();
            (bytes, value)
        };
        let (bytes, field) = sealed(&of_header(7));
        assert_eq!(check_header(&field, &mut bytes.clone(), 18), Ok(7));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let field = bad[6..18].to_vec();
            assert!(check_header(&field, &mut bad, 18).is_err(), "{bit}");
        }
        let (bytes, value) = sealed(&of_entry(7, 100, 50));
        let end = 6 + ENTRY_LEN;
        let check = |value, log_id, offset| check_entry(value, log_id, offset, &mut bytes.clone(), end);
        assert_eq!(check(Some(&value), 7, 100), Ok(()));
        assert!(matches!(
            check(Some(&value), 8, 100),
            Err(Corruption::Mismatch { what: "id of the log", .. })
        ));
        assert!(matches!(check(Some(&value), 7, 101), Err(Corruption::Mismatch { .. })));
        assert!(check(None, 7, 100).is_err());
        assert!(check(Some(&value[..19]), 7, 100).is_err());
        assert!(check(Some(&[&value[..], b"x"].concat()), 7, 100).is_err());
        assert!(check_entry(Some(&value), 7, 100, &mut bytes.clone(), 3).is_err());
    }

    #[test]
    fn one_flipped_bit_is_distinguished_from_more() {
        let mut bytes = [b"some bytes before, ".as_slice(), &of_entry(7, 100, 50), b"and after"].concat();
        let end = bytes.len() - 9;
        seal_entry(&mut bytes, end);
        assert_eq!(difference(&mut bytes.clone(), end, true), Difference::None);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(difference(&mut bad.clone(), end, true), Difference::OneBit(bit / 8), "{bit}");
            bad[(bit / 8 + 11) % bytes.len()] ^= 0x81;
            assert_eq!(difference(&mut bad, end, true), Difference::More, "{bit}");
        }
        assert_eq!(difference(&mut bytes, 3, true), Difference::More);
    }

    #[test]
    fn attributes_are_found_by_the_id() {
        let mut bytes = [b"before".as_slice(), &of_entry(7, 100, 50), b"after"].concat();
        seal_entry(&mut bytes, 6 + ENTRY_LEN);
        let len = u32::try_from(bytes.len()).unwrap();
        let found = Found { offset: 100, synced: 50, len, end: 1_000 + 6 + ENTRY_LEN as u64 };
        assert_eq!(find_entries(7, 1_000, &bytes).collect::<Vec<_>>(), [found]);
        assert_eq!(find_entries(8, 1_000, &bytes).count(), 0);
        assert_eq!(find_entries(7, 0, &bytes[..6 + ENTRY_LEN - 1]).count(), 0);
    }
}
