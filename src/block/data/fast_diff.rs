//! Keys as differences from the previous key, equal values omitted (hfile.md §7.5; HBase:
//! `FastDiffDeltaEncoder`).
//!
//! | field | bytes | |
//! |---|---|---|
//! | flags | 1 | |
//! | key length | cint | unless the same |
//! | value length | cint | unless the same |
//! | common | cint | number of leading bytes shared with the previous key |
//! | key | | the bytes up to the timestamp that are neither common nor the family |
//! | timestamp | 1 to 8 | its last bytes; the others are those of the previous timestamp |
//! | type | 1 | unless the same |
//! | value | | unless the same |
//! | tail | | |
//!
//! For the first cell of a block, flags and common are 0, and the whole key is stored.
#![warn(clippy::indexing_slicing)]

use super::common_prefix::common_prefix;
use super::delta_key::{PreviousCell, put_key, type_code};
use super::{Delta, encoder::Previous};
use crate::cell::{CellRef, key_value};
use crate::coding::{Cursor, put_short, put_varint};
use crate::error::Corruption;

const TIMESTAMP_PREFIX: u8 = 0x07;
const SAME_KEY_LEN: u8 = 0x08;
const SAME_VALUE_LEN: u8 = 0x10;
const SAME_TYPE: u8 = 0x20;
const SAME_VALUE: u8 = 0x40;
const NO_FLAG: u8 = 0x80;

/// Decodes all cells and returns their number.
pub(super) fn decode(block: &mut Delta<'_, '_>) -> Result<usize, Corruption> {
    let first = decode_first(block)?;
    Ok(1 + decode_after(block, first)?)
}

/// Decodes the cells after another one and returns their number.
pub(super) fn decode_after(
    block: &mut Delta<'_, '_>,
    mut before: PreviousCell<'_>,
) -> Result<usize, Corruption> {
    let Delta { payload, cells, tail } = block;
    let mut count = 0;
    while !payload.is_empty() {
        let flags = payload.u8("flags")?;
        let same = |flag| flags & flag != 0;
        let key_len = if same(SAME_KEY_LEN) { before.key_len } else { payload.cint("key length")? };
        let value_len = if same(SAME_VALUE_LEN) { before.value_len } else { payload.cint("value length")? };
        let common = payload.cint("common prefix")?;
        if same(NO_FLAG) {
            return Err(UNKNOWN_FLAG);
        }
        if same(SAME_VALUE) && value_len != before.value_len {
            return Err(Corruption::Malformed("the same value with a different length"));
        }
        let value_before = before.key_at + before.key_len;
        before.next_key(payload, cells, (key_len, value_len, common))?;
        let timestamp = timestamp(payload, before.timestamp, flags & TIMESTAMP_PREFIX)?;
        let type_code = if same(SAME_TYPE) { before.type_code } else { type_code(payload)? };
        before.end_key(cells, timestamp, type_code);
        if same(SAME_VALUE) {
            cells.copy_back(value_before, value_len);
        } else {
            cells.take(payload, value_len, "value")?;
        }
        tail.take(payload, cells)?;
        count += 1;
    }
    Ok(count)
}

fn decode_first<'a>(block: &mut Delta<'a, '_>) -> Result<PreviousCell<'a>, Corruption> {
    let Delta { payload, cells, tail } = block;
    if payload.u8("flags")? != 0 {
        return Err(FIRST_CELL);
    }
    let key_len = payload.cint("key length")?;
    let value_len = payload.cint("value length")?;
    if payload.cint("common prefix")? != 0 {
        return Err(FIRST_CELL);
    }
    let at = cells.begin(key_len, value_len)?;
    let key_bytes = payload.rest();
    let key = key_value::checked_key(payload.take(key_len, "key")?)?;
    cells.put_short(key_bytes, key_len);
    cells.take(payload, value_len, "value")?;
    tail.take(payload, cells)?;
    Ok(PreviousCell::first(key_bytes, key, at, value_len))
}

const FIRST_CELL: Corruption = Corruption::Malformed("the first cell of a block refers to a previous one");
const UNKNOWN_FLAG: Corruption = Corruption::Malformed("flags of a cell: an undefined bit is set");

/// Reads all but the first `prefix` bytes, at most 7, of a timestamp; those are taken from the previous
/// timestamp.
#[inline]
fn timestamp(payload: &mut Cursor<'_>, before: i64, prefix: u8) -> Result<i64, Corruption> {
    let bytes = payload.rest();
    let suffix = payload.take(8 - usize::from(prefix), "timestamp")?;
    let suffix = match bytes.first_chunk() {
        // eight bytes, the last of which belong to other fields
        Some(&eight) => u64::from_be_bytes(eight) >> (8 * prefix),
        None => suffix.iter().fold(0, |n, &byte| n << 8 | u64::from(byte)),
    };
    let ours = u64::MAX >> (8 * prefix);
    Ok((before.cast_unsigned() & !ours | suffix).cast_signed())
}

/// Appends a cell without its tail.
pub(super) fn put(out: &mut Vec<u8>, cell: &CellRef<'_>, previous: Option<Previous<'_>>) {
    let key = cell.key.as_bytes();
    let Some(previous) = previous else {
        out.push(0);
        put_varint(out, key.len() as u64);
        put_varint(out, cell.value.len() as u64);
        put_varint(out, 0);
        out.extend_from_slice(key);
        out.extend_from_slice(cell.value);
        return;
    };
    let differ = (previous.key.timestamp() ^ cell.timestamp()).leading_zeros() / 8;
    let prefix = differ.min(TIMESTAMP_PREFIX.into());
    let same_value = previous.same_value;
    let flag = |flag, set| if set { flag } else { 0 };
    let same_key_len = previous.key.as_bytes().len() == key.len();
    let same_value_len = previous.value_len == cell.value.len();
    let same_type = previous.key.type_code() == cell.key.type_code();
    out.push(
        u8::try_from(prefix).unwrap_or(TIMESTAMP_PREFIX)
            | flag(SAME_KEY_LEN, same_key_len)
            | flag(SAME_VALUE_LEN, same_value_len)
            | flag(SAME_TYPE, same_type)
            | flag(SAME_VALUE, same_value),
    );
    if !same_key_len {
        put_varint(out, key.len() as u64);
    }
    if !same_value_len {
        put_varint(out, cell.value.len() as u64);
    }
    put_key(out, cell.key, common_prefix(previous.key, cell.key));
    put_timestamp(out, cell.timestamp(), prefix);
    if !same_type {
        out.push(cell.key.type_code());
    }
    if !same_value {
        out.extend_from_slice(cell.value);
    }
}

/// Appends all but the first `prefix` bytes, at most 7, of a timestamp.
#[inline]
fn put_timestamp(out: &mut Vec<u8>, timestamp: i64, prefix: u32) {
    let ours = (timestamp.cast_unsigned() << (8 * prefix)).to_be_bytes();
    put_short::<8>(out, &ours, 8 - prefix as usize);
}
