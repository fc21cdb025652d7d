//! Checksums of the header and of entries, which only logs of this crate have (wal.md §16).
//!
//! A checksum is the CRC32C of all bytes of the header or entry with zeros in its own place.
#![warn(clippy::indexing_slicing)]

use crate::coding::Cursor;
use crate::error::Corruption;
use crate::hash::checksum::crc32c;

/// The name of the extended attribute of an entry.
pub(super) const ATTRIBUTE: &str = "hregion";

const CRC_LEN: usize = 4;

/// Returns the value of the header's field: the log's id, and room for the checksum.
pub(super) fn of_header(log_id: u64) -> Vec<u8> {
    [&log_id.to_be_bytes()[..], &[0; CRC_LEN]].concat()
}

/// Returns the value of an entry's attribute: the log's id, the entry's offset, and room for the checksum.
pub(super) fn of_entry(log_id: u64, offset: u64) -> Vec<u8> {
    [&log_id.to_be_bytes()[..], &offset.to_be_bytes(), &[0; CRC_LEN]].concat()
}

/// Writes the checksum of `bytes` before the offset `end` in it. There must be zeros.
pub(super) fn seal(bytes: &mut [u8], end: usize) {
    let sum = crc32c(bytes).to_be_bytes();
    if let Some(place) = end.checked_sub(CRC_LEN).and_then(|at| bytes.get_mut(at..end)) {
        place.copy_from_slice(&sum);
    }
}

/// Checks the header's field, whose checksum is before the offset `end` in the bytes of the header. Returns
/// the log's id. Changes the bytes.
pub(super) fn check_header(field: &[u8], bytes: &mut [u8], end: usize) -> Result<u64, Corruption> {
    let mut cursor = Cursor::new(field);
    let log_id = u64::from_be_bytes(cursor.array("id of the log")?);
    check(&mut cursor, bytes, end)?;
    Ok(log_id)
}

/// Checks an entry's attribute, whose checksum is before the offset `end` in the bytes of the entry. Changes
/// the bytes.
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
    check(&mut cursor, bytes, end)
}

fn check(cursor: &mut Cursor<'_>, bytes: &mut [u8], end: usize) -> Result<(), Corruption> {
    let stored = cursor.array::<CRC_LEN>("checksum")?;
    cursor.finish("bytes after a checksum")?;
    let place = end.checked_sub(CRC_LEN).and_then(|at| bytes.get_mut(at..end));
    match place {
        Some(place) if *place == stored => place.fill(0),
        _ => return Err(Corruption::Malformed("checksum that is not the last field")),
    }
    let (stored, computed) = (u32::from_be_bytes(stored), crc32c(bytes));
    if stored != computed {
        return Err(Corruption::Checksum { chunk: 0, stored, computed });
    }
    Ok(())
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
        let (bytes, value) = sealed(&of_entry(7, 100));
        let check = |value, log_id, offset| check_entry(value, log_id, offset, &mut bytes.clone(), 26);
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
}
