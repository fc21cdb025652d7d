//! Keys as differences from the previous key (hfile.md §7.4; HBase: `DiffKeyDeltaEncoder`).
//!
//! The block starts with its family: a length byte and the name. Then follows, for each cell:
//!
//! | field | bytes | |
//! |---|---|---|
//! | flags | 1 | |
//! | key length | cint | unless the same |
//! | value length | cint | unless the same |
//! | common | cint | number of leading bytes shared with the previous key; 0 in the first cell |
//! | key | | the bytes up to the timestamp that are neither common nor the family |
//! | timestamp | 1 to 8 | little-endian magnitude of the timestamp, or of the previous one minus this one |
//! | type | 1 | unless the same |
//! | value | | |
//! | tail | | |
#![warn(clippy::indexing_slicing)]

use super::common_prefix::common_prefix;
use super::delta_key::{PreviousCell, put_key, type_code};
use super::{Delta, encoder::Previous};
use crate::cell::CellRef;
use crate::coding::{Cursor, put_short, put_varint};
use crate::error::Corruption;

const SAME_KEY_LEN: u8 = 0x01;
const SAME_VALUE_LEN: u8 = 0x02;
const SAME_TYPE: u8 = 0x04;
const TIMESTAMP_IS_DIFF: u8 = 0x08;
const TIMESTAMP_BYTES: u8 = 0x70;
const NEGATIVE: u8 = 0x80;

/// Decodes all cells and returns their number.
pub(super) fn decode(block: &mut Delta<'_, '_>) -> Result<usize, Corruption> {
    let before = PreviousCell::nothing(&mut block.payload)?;
    if block.payload.is_empty() {
        block.payload.u8("flags")?;
    }
    decode_after(block, before)
}

/// Decodes the cells after the previous one, if any, and returns their number.
pub(super) fn decode_after(
    block: &mut Delta<'_, '_>,
    mut before: PreviousCell<'_>,
) -> Result<usize, Corruption> {
    let Delta { payload, cells, tail } = block;
    let mut count = 0;
    while !payload.is_empty() {
        let flags = payload.u8("flags")?;
        let same = |flag| flags & flag != 0;
        if before.key_len == 0 && same(SAME_KEY_LEN | SAME_VALUE_LEN | SAME_TYPE | TIMESTAMP_IS_DIFF) {
            return Err(Corruption::Malformed("the first cell of a block refers to a previous one"));
        }
        let key_len = if same(SAME_KEY_LEN) { before.key_len } else { payload.cint("key length")? };
        let value_len = if same(SAME_VALUE_LEN) { before.value_len } else { payload.cint("value length")? };
        let common = payload.cint("common prefix")?;
        before.next_key(payload, cells, (key_len, value_len, common))?;
        let number = number(payload, flags)?;
        let timestamp = if same(TIMESTAMP_IS_DIFF) { before.timestamp.wrapping_sub(number) } else { number };
        let type_code = if same(SAME_TYPE) { before.type_code } else { type_code(payload)? };
        before.end_key(cells, timestamp, type_code);
        cells.take(payload, value_len, "value")?;
        tail.take(payload, cells)?;
        count += 1;
    }
    Ok(count)
}

/// Reads the number that encodes a timestamp.
#[expect(clippy::little_endian_bytes, reason = "the one little-endian number of the format")]
#[inline]
fn number(payload: &mut Cursor<'_>, flags: u8) -> Result<i64, Corruption> {
    let len = 1 + ((flags & TIMESTAMP_BYTES) >> 4);
    let bytes = payload.rest();
    let taken = payload.take(len.into(), "timestamp")?;
    let magnitude = match bytes.first_chunk() {
        // eight bytes, the last of which belong to other fields
        Some(&eight) => u64::from_le_bytes(eight) & u64::MAX >> (8 * (8 - len)),
        None => taken.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)),
    };
    let magnitude = magnitude.cast_signed();
    Ok(if flags & NEGATIVE != 0 { magnitude.wrapping_neg() } else { magnitude })
}

/// Appends a cell without its tail.
pub(super) fn put(out: &mut Vec<u8>, cell: &CellRef<'_>, previous: Option<Previous<'_>>) {
    let key_len = cell.key.as_bytes().len();
    if previous.is_none() {
        let family = cell.family();
        out.extend(u8::try_from(family.len()).iter());
        out.extend_from_slice(family);
    }
    let same_key_len = previous.is_some_and(|p| p.key.as_bytes().len() == key_len);
    let same_value_len = previous.is_some_and(|p| p.value_len == cell.value.len());
    let same_type = previous.is_some_and(|p| p.key.type_code() == cell.key.type_code());
    let timestamp = cell.timestamp();
    let difference = previous.map(|p| p.key.timestamp().wrapping_sub(timestamp));
    let difference = difference.filter(|&d| magnitude_len(d) < magnitude_len(timestamp));
    let number = difference.unwrap_or(timestamp);
    let number_len = magnitude_len(number);
    let flag = |flag, set| if set { flag } else { 0 };
    out.push(
        (number_len - 1) << 4
            | flag(SAME_KEY_LEN, same_key_len)
            | flag(SAME_VALUE_LEN, same_value_len)
            | flag(SAME_TYPE, same_type)
            | flag(TIMESTAMP_IS_DIFF, difference.is_some())
            | flag(NEGATIVE, number < 0),
    );
    if !same_key_len {
        put_varint(out, key_len as u64);
    }
    if !same_value_len {
        put_varint(out, cell.value.len() as u64);
    }
    put_key(out, cell.key, previous.map_or(0, |p| common_prefix(p.key, cell.key)));
    put_magnitude(out, number, number_len);
    if !same_type {
        out.push(cell.key.type_code());
    }
    out.extend_from_slice(cell.value);
}

/// Returns the minimum number of bytes that hold the magnitude of a number, at least one.
fn magnitude_len(number: i64) -> u8 {
    let bits = 64 - number.unsigned_abs().leading_zeros();
    u8::try_from(bits.div_ceil(8)).unwrap_or(8).max(1)
}

#[expect(clippy::little_endian_bytes, reason = "the one little-endian number of the format")]
fn put_magnitude(out: &mut Vec<u8>, number: i64, len: u8) {
    put_short::<8>(out, &number.unsigned_abs().to_le_bytes(), len.into());
}
