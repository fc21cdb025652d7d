//! Common parts of DIFF and FAST_DIFF: keys whose family is stored once per block (hfile.md §7.4).
#![warn(clippy::indexing_slicing)]

use super::plain_cells::PlainCells;
use crate::cell::{CellKey, CellType, MAX_FAMILY_LEN, MAX_ROW_LEN, key};
use crate::coding::{Cursor, put_short, put_varint};
use crate::error::Corruption;

/// The previous decoded cell. Before the first cell of a block all fields are 0, except the family.
pub(super) struct PreviousCell<'a> {
    /// The offset of its key among the decoded cells.
    pub(super) key_at: usize,
    pub(super) key_len: usize,
    pub(super) value_len: usize,
    row_len: usize,
    pub(super) timestamp: i64,
    pub(super) type_code: u8,
    /// The payload from the length of the family on.
    family: &'a [u8],
    /// The size of the family with its length byte.
    family_size: usize,
}

impl<'a> PreviousCell<'a> {
    const TIMESTAMP_AND_TYPE: usize = 9;

    /// Reads the family that precedes the first cell of a DIFF block.
    pub(super) fn nothing(payload: &mut Cursor<'a>) -> Result<Self, Corruption> {
        let family = payload.rest();
        let len = usize::from(payload.u8("family length")?);
        if len > MAX_FAMILY_LEN {
            return Err(too_long("family length", len, MAX_FAMILY_LEN));
        }
        payload.take(len, "family")?;
        Ok(Self {
            key_at: 0,
            key_len: 0,
            value_len: 0,
            row_len: 0,
            timestamp: 0,
            type_code: 0,
            family,
            family_size: 1 + len,
        })
    }

    /// Returns the first cell of a FAST_DIFF block. Its whole key is at the start of `bytes` and was put at
    /// `key_at`.
    pub(super) fn first(bytes: &'a [u8], key: &CellKey, key_at: usize, value_len: usize) -> Self {
        let row_len = key.row().len();
        Self {
            key_at,
            key_len: key.as_bytes().len(),
            value_len,
            row_len,
            timestamp: key.timestamp(),
            type_code: key.cell_type().code(),
            family: bytes.get(2 + row_len..).unwrap_or_default(),
            family_size: 1 + key.family().len(),
        }
    }

    /// Puts a key up to its timestamp: `common` bytes of the previous key, the family, the rest from the
    /// payload.
    ///
    /// The row length and family length of the result fit `key_len`, so the key is well-formed once a
    /// timestamp and a type code have been appended.
    // `inline(always)`, as on the two other functions called for every cell: FAST_DIFF takes 19 ns per cell
    // instead of 25
    #[inline(always)]
    pub(super) fn next_key(
        &mut self,
        payload: &mut Cursor<'_>,
        cells: &mut PlainCells<'_>,
        (key_len, value_len, common): (usize, usize, usize),
    ) -> Result<(), Corruption> {
        let key_at = cells.begin(key_len, value_len)?;
        let Some(key_end) = key_len.checked_sub(Self::TIMESTAMP_AND_TYPE) else {
            return Err(too_short(key_len));
        };
        if common >= 2 + self.row_len && self.key_len > 0 {
            // the common bytes end within the qualifiers of both keys
            let least = 2 + self.row_len + self.family_size;
            let most = key_end.min(self.key_len - Self::TIMESTAMP_AND_TYPE);
            if common < least || common > most {
                return Err(out_of_range("common prefix", common, least, most));
            }
            cells.copy_back(self.key_at, common);
            cells.take_short(payload, key_end - common, "qualifier")?;
        } else {
            if common > self.key_len {
                return Err(out_of_range("common prefix", common, 0, self.key_len));
            }
            let (common, row_len) = match common {
                0 => (2, payload.u16("row length")?.into()),
                1 => (2, self.row_len & 0xff00 | usize::from(payload.u8("row length")?)),
                _ => (common, self.row_len),
            };
            if row_len > MAX_ROW_LEN {
                return Err(too_long("row length", row_len, MAX_ROW_LEN));
            }
            let Some(qualifier_len) = key_end.checked_sub(2 + row_len + self.family_size) else {
                return Err(too_long("row length", row_len, key_end.saturating_sub(2 + self.family_size)));
            };
            let [high, low] = u16::try_from(row_len).unwrap_or_default().to_be_bytes();
            cells.put_array([high, low]);
            cells.copy_back(self.key_at + 2, common - 2);
            cells.take_short(payload, 2 + row_len - common, "row")?;
            cells.put_short(self.family, self.family_size);
            cells.take_short(payload, qualifier_len, "qualifier")?;
            self.row_len = row_len;
        }
        (self.key_at, self.key_len, self.value_len) = (key_at, key_len, value_len);
        Ok(())
    }

    /// Puts the timestamp and type, which end a key.
    #[inline]
    pub(super) fn end_key(&mut self, cells: &mut PlainCells<'_>, timestamp: i64, type_code: u8) {
        cells.put_array(timestamp.to_be_bytes());
        cells.put_array([type_code]);
        (self.timestamp, self.type_code) = (timestamp, type_code);
        debug_assert!(key::check(cells.since(self.key_at)).is_ok());
    }
}

/// Reads the type of a stored cell.
#[inline]
pub(super) fn type_code(payload: &mut Cursor<'_>) -> Result<u8, Corruption> {
    let code = payload.u8("cell type")?;
    if CellType::from_code(code).is_some_and(CellType::is_stored) {
        Ok(code)
    } else {
        Err(key::unknown_type(code))
    }
}

/// Appends the parts of a key that are not common bytes, family, timestamp or type.
#[inline]
pub(super) fn put_key(out: &mut Vec<u8>, key: &CellKey, common: usize) {
    let (row, _, qualifier) = key.split();
    let bytes = key.as_bytes();
    let (row_end, end) = (2 + row.len(), bytes.len() - PreviousCell::TIMESTAMP_AND_TYPE);
    put_varint(out, common as u64);
    let mut at = common;
    if common < row_end {
        // at least twelve bytes follow the row
        put_short::<SHORT_ROW>(out, bytes.get(common..).unwrap_or_default(), row_end - common);
        at = end - qualifier.len();
    }
    // nine bytes follow the qualifier
    put_short::<SHORT_QUALIFIER>(out, bytes.get(at..).unwrap_or_default(), end - at);
}

/// The number of bytes of a row and of a qualifier that are copied without a call.
const SHORT_ROW: usize = 16;
const SHORT_QUALIFIER: usize = 8;

#[cold]
fn too_short(key_len: usize) -> Corruption {
    Corruption::Truncated { what: "key", needed: key::FIXED_LEN as u64, available: key_len as u64 }
}

#[cold]
fn too_long(what: &'static str, len: usize, most: usize) -> Corruption {
    out_of_range(what, len, 0, most)
}

#[cold]
fn out_of_range(what: &'static str, value: usize, min: usize, max: usize) -> Corruption {
    let [value, min, max] = [value, min, max].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    Corruption::out_of_range(what, value, min, max)
}
