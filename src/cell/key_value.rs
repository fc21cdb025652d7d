//! The serialized form of a cell (hfile.md §2.1; HBase: `KeyValue`).
#![warn(clippy::indexing_slicing)]

use super::{CellKey, CellRef, MAX_FAMILY_LEN, MAX_ROW_LEN, key, tags};
use crate::coding::{Cursor, put_vlong, vlong_len};
use crate::error::Corruption;
use std::ops::Range;

/// The optional parts of the cells of a file. Decided per file, never per cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct CellFormat {
    /// A `u16` length and a tag area.
    pub(crate) tags: bool,
    /// A vlong sequence id.
    pub(crate) mvcc: bool,
}

/// The size of the two lengths before the key.
pub(crate) const LENGTHS: usize = 8;

/// Reads one cell and checks all of it: lengths, key, type, tags.
#[inline]
pub(crate) fn parse<'a>(cursor: &mut Cursor<'a>, format: CellFormat) -> Result<CellRef<'a>, Corruption> {
    let (key, value_len) = parse_key(cursor)?;
    let value = cursor.take(value_len, "value")?;
    let tags = if format.tags {
        let len = cursor.u16("tags length")?;
        let area = cursor.take(len.into(), "tags")?;
        tags::check(area)?;
        area
    } else {
        &[]
    };
    let seq_id = if format.mvcc { cursor.vlong("mvcc")? } else { 0 };
    Ok(CellRef { key, value, tags, seq_id })
}

/// Reads the lengths and the key of a cell, and checks them. Returns the key and the length of the value.
#[inline]
pub(crate) fn parse_key<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a CellKey, usize), Corruption> {
    let [k0, k1, k2, k3, v0, v1, v2, v3] = cursor.array("key and value length")?;
    let key_len = u32::from_be_bytes([k0, k1, k2, k3]);
    let value_len = u32::from_be_bytes([v0, v1, v2, v3]);
    // lengths with the sign bit are negative, and too large for a block
    if (key_len | value_len).cast_signed() < 0 {
        return Err(negative(key_len, value_len));
    }
    let key = checked_key(cursor.take(key_len as usize, "key")?)?;
    Ok((key, value_len as usize))
}

/// Returns the range of the row of the cell at `at`, and the end of the cell, if [`parse`] would accept it.
///
/// Performs the same checks as `parse` in fewer steps, for the walk over every cell of every block that is
/// read. Returns `None` for invalid cells and for some valid ones (those with tags); then `parse` decides.
#[inline(always)] // half of the time of a cold scan is spent here
pub(crate) fn fast_parse(bytes: &[u8], at: usize, format: CellFormat) -> Option<(Range<usize>, usize)> {
    let [k0, k1, k2, k3, v0, v1, v2, v3, r0, r1] = *bytes.get(at..)?.first_chunk()?;
    let key_len = u32::from_be_bytes([k0, k1, k2, k3]) as usize;
    let value_len = u32::from_be_bytes([v0, v1, v2, v3]) as usize;
    // so that no sum below overflows, even in 32 bits
    if key_len > MAX_LEN || value_len > MAX_LEN {
        return None;
    }
    let row_len = usize::from(u16::from_be_bytes([r0, r1]));
    let row = at + LENGTHS + 2;
    let value = at + LENGTHS + key_len;
    let mut next = value + value_len;
    let family_len = usize::from(*bytes.get(row + row_len)?);
    let code = *bytes.get(value.wrapping_sub(1))?;
    let fits = row_len <= MAX_ROW_LEN
        && family_len <= MAX_FAMILY_LEN
        && key::FIXED_LEN + row_len + family_len <= key_len
        && next <= bytes.len()
        && key::is_stored(code);
    if !fits {
        return None;
    }
    if format.tags {
        if *bytes.get(next..)?.first_chunk()? != [0, 0] {
            return None;
        }
        next += 2;
    }
    if format.mvcc {
        // the first byte of a vlong determines its length
        next += match bytes.get(next)?.cast_signed() {
            -112.. => 1,
            first @ -120.. => 1 + usize::from((-112 - first).unsigned_abs()),
            first => 1 + usize::from((-120 - first).unsigned_abs()),
        };
        if next > bytes.len() {
            return None;
        }
    }
    Some((row..row + row_len, next))
}

/// The maximum length of a key or value that `fast_parse` accepts.
const MAX_LEN: usize = 1 << 29;

#[cold]
fn negative(key_len: u32, value_len: u32) -> Corruption {
    let (key_len, value_len) = (key_len.cast_signed(), value_len.cast_signed());
    let (what, len) = if key_len < 0 { ("key length", key_len) } else { ("value length", value_len) };
    Corruption::out_of_range(what, len.into(), 0, i32::MAX.into())
}

/// Checks the key of a stored cell: well-formed, and of a type that a stored cell may have.
#[inline]
pub(crate) fn checked_key(bytes: &[u8]) -> Result<&CellKey, Corruption> {
    key::check_stored(bytes)?;
    Ok(CellKey::from_checked(bytes))
}

/// Appends one cell.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, cell: &CellRef<'_>, format: CellFormat) {
    let lens = [cell.key.as_bytes().len(), cell.value.len()].map(len_bytes);
    // reserves room for the whole cell at once
    out.reserve(MAX_BESIDE + cell.key.as_bytes().len() + cell.value.len() + cell.tags.len());
    out.extend_from_slice(lens.as_flattened());
    out.extend_from_slice(cell.key.as_bytes());
    out.extend_from_slice(cell.value);
    if format.tags {
        let len = u16::try_from(cell.tags.len()).expect("a tag area has at most 65,535 bytes");
        out.extend_from_slice(&len.to_be_bytes());
        if len > 0 {
            out.extend_from_slice(cell.tags);
        }
    }
    if format.mvcc {
        put_vlong(out, cell.seq_id);
    }
}

/// Returns the number of bytes that [`put`] writes.
#[inline]
pub(crate) fn len(cell: &CellRef<'_>, format: CellFormat) -> usize {
    let tags = if format.tags { 2 + cell.tags.len() } else { 0 };
    let mvcc = if format.mvcc { vlong_len(cell.seq_id) } else { 0 };
    LENGTHS + cell.key.as_bytes().len() + cell.value.len() + tags + mvcc
}

/// Returns the bytes of a cell as HBase estimates them for limits: as a `KeyValue` with its length before it
/// (read-path.md §1.1; HBase: `PrivateCellUtil.estimatedSerializedSizeOf`).
pub(crate) fn estimated_size(cell: CellRef<'_>) -> u64 {
    let format = CellFormat { tags: !cell.tags.is_empty(), mvcc: false };
    4 + len(&cell, format) as u64
}

/// The maximum size of a cell without key, value and tags: two lengths, the tags length, a vlong.
const MAX_BESIDE: usize = LENGTHS + 2 + 9;

fn len_bytes(len: usize) -> [u8; 4] {
    i32::try_from(len).expect("keys and values are below 2 GiB").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::to_hex;
    use crate::cell::{CellType, SeekKey};
    use proptest::prelude::*;

    #[test]
    fn the_first_cell_of_the_specification() {
        let key = SeekKey::of(b"row1", b"f", b"a", 1000, CellType::Put);
        let cell = CellRef { key: &key, value: b"v1", tags: &[], seq_id: 5 };
        let mvcc = CellFormat { tags: false, mvcc: true };
        let mut out = Vec::new();
        put(&mut out, &cell, mvcc);
        assert_eq!(to_hex(&out), "00000012000000020004726f773101666100000000000003e804763105");
        assert_eq!(len(&cell, mvcc), out.len());
        let mut cursor = Cursor::new(&out);
        assert_eq!(parse(&mut cursor, mvcc), Ok(cell));
        assert!(cursor.is_empty());
    }

    proptest! {
        /// `parse` accepts all cells that `fast_parse` accepts, with the same end; `fast_parse` accepts all
        /// valid cells without tags.
        #[test]
        fn a_glance_agrees_with_parsing(
            row in "[a-c]{0,9}",
            value: Vec<u8>,
            seq_id: i64,
            at in 0usize..60,
            bits: u8,
            after in 0usize..4,
            tags: bool,
            mvcc: bool,
        ) {
            let format = CellFormat { tags, mvcc };
            let key = SeekKey::of(row.as_bytes(), b"f", b"q", 7, CellType::Put);
            let cell = CellRef { key: &key, value: &value, tags: &[], seq_id: if mvcc { seq_id } else { 0 } };
            let mut bytes = vec![9; 3];
            put(&mut bytes, &cell, format);
            prop_assert_eq!(fast_parse(&bytes, 3, format), Some((13..13 + row.len(), bytes.len())));
            bytes.resize(bytes.len() + after, 0);
            if let Some(byte) = bytes.get_mut(3 + at) {
                *byte ^= bits;
            }
            let mut cursor = Cursor::new(&bytes[3..]);
            let parsed = parse(&mut cursor, format);
            if let Some((row, next)) = fast_parse(&bytes, 3, format) {
                prop_assert_eq!(parsed.map(|cell| cell.row()), Ok(&bytes[row]));
                prop_assert_eq!(next, 3 + cursor.position());
            } else if let Ok(cell) = parsed {
                prop_assert!(!cell.tags.is_empty());
            }
        }
    }

    #[test]
    fn keys_of_searches_are_no_cells() {
        assert!(checked_key(SeekKey::first_on_row(b"r").as_bytes()).is_err());
    }
}
