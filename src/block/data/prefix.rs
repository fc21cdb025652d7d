//! Keys without the bytes they share with the previous key (hfile.md §7.3; HBase: `PrefixKeyDeltaEncoder`).
//!
//! | field | bytes | |
//! |---|---|---|
//! | suffix length | cint | |
//! | value length | cint | |
//! | common | cint | number of leading bytes shared with the previous key; 0 in the first cell |
//! | key suffix | | |
//! | value | | |
//! | tail | | |
#![warn(clippy::indexing_slicing)]

use super::common_prefix::common_prefix_with_timestamp;
use super::{Delta, encoder::Previous};
use crate::cell::{CellRef, key_value};
use crate::coding::put_varint;
use crate::error::Corruption;
use std::ops::Range;

/// Decodes all cells and returns their number.
pub(super) fn decode(block: &mut Delta<'_, '_>) -> Result<usize, Corruption> {
    decode_after(block, 0..0)
}

/// Decodes the cells after another one, whose key is at `before`, and returns their number.
pub(super) fn decode_after(block: &mut Delta<'_, '_>, before: Range<usize>) -> Result<usize, Corruption> {
    let Delta { payload, cells, tail } = block;
    let (mut key_at, mut key_len) = (before.start, before.len());
    let mut count = 0;
    while !payload.is_empty() {
        let suffix_len = payload.cint("key suffix length")?;
        let value_len = payload.cint("value length")?;
        let common = payload.cint("common prefix")?;
        if common > key_len {
            return Err(beyond(common, key_len));
        }
        let at = cells.begin(common.saturating_add(suffix_len), value_len)?;
        cells.copy_back(key_at, common);
        cells.take_short(payload, suffix_len, "key suffix")?;
        key_value::checked_key(cells.since(at))?;
        cells.take(payload, value_len, "value")?;
        tail.take(payload, cells)?;
        (key_at, key_len) = (at, common + suffix_len);
        count += 1;
    }
    Ok(count)
}

#[cold]
fn beyond(common: usize, previous: usize) -> Corruption {
    let [common, previous] = [common, previous].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    Corruption::out_of_range("common prefix", common, 0, previous)
}

/// Appends a cell without its tail.
pub(super) fn put(out: &mut Vec<u8>, cell: &CellRef<'_>, previous: Option<Previous<'_>>) {
    let key = cell.key.as_bytes();
    let common = previous.map_or(0, |p| common_prefix_with_timestamp(p.key, cell.key));
    let suffix = key.get(common..).unwrap_or_default();
    put_varint(out, suffix.len() as u64);
    put_varint(out, cell.value.len() as u64);
    put_varint(out, common as u64);
    out.extend_from_slice(suffix);
    out.extend_from_slice(cell.value);
}
