//! The position of a cell in its block.

use crate::cell::{CellFormat, CellKey, key_value};
use crate::coding::Cursor;

/// The offset of a cell in its block and the lengths of its parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CellPosition {
    /// The offset of the cell.
    pub(super) at: usize,
    pub(super) key_len: usize,
    pub(super) value_len: usize,
    pub(super) tags_len: usize,
    pub(super) seq_id: i64,
    /// The offset of the next cell, or of the end of the cells.
    pub(super) next: usize,
    /// The result of [`prefetch`] for bytes further on.
    pub(super) ahead: u8,
}

impl CellPosition {
    /// Whether this cell comes after another one of the same block.
    #[inline]
    pub(crate) fn is_after(&self, other: &Self) -> bool {
        self.at > other.at
    }
}

/// The distance in bytes at which memory is touched ahead during a scan.
///
/// The offset of each cell depends on the lengths of the previous one, so a processor that does not prefetch
/// waits for each cell. Its prefetching works well when one block is read alone, but not when several blocks
/// alternate and scattered cells of a MemStore are read in between. If lines are touched one by one, most of
/// them are waited for one by one, so a whole [`CHUNK`] is touched at once.
pub(super) const AHEAD: usize = 2048;

/// The number of bytes touched at once.
pub(super) const CHUNK: usize = 1024;

/// The size of a cache line.
const LINE: usize = 64;

/// Touches each cache line of `bytes`. The result must be kept, or the loads are optimized away.
#[inline]
pub(crate) fn prefetch(bytes: &[u8]) -> u8 {
    bytes.iter().step_by(LINE).fold(0, |all, byte| all ^ byte)
}

/// Returns the position of the cell that starts at an offset.
#[inline(always)] // the loop of every scan
pub(super) fn position_at(bytes: &[u8], at: usize, format: CellFormat) -> CellPosition {
    let (lengths, _) = bytes[at..].split_first_chunk::<{ key_value::LENGTHS }>().expect("a cell has lengths");
    let [k0, k1, k2, k3, v0, v1, v2, v3] = *lengths;
    let key_len = u32::from_be_bytes([k0, k1, k2, k3]) as usize;
    let value_len = u32::from_be_bytes([v0, v1, v2, v3]) as usize;
    let mut position = CellPosition { at, key_len, value_len, ..CellPosition::default() };
    position.next = at + key_value::LENGTHS + key_len + value_len;
    if format.tags {
        let (tags_len, _) = bytes[position.next..].split_first_chunk().expect("a cell has a tags length");
        position.tags_len = u16::from_be_bytes(*tags_len).into();
        position.next += 2 + position.tags_len;
    }
    if format.mvcc {
        let rest = &bytes[position.next..];
        let first = rest[0].cast_signed();
        if first >= -112 {
            position.seq_id = first.into();
            position.next += 1;
        } else if let (-120..=-113, Some((bytes, _))) = (first, rest[1..].split_first_chunk::<8>()) {
            // the bytes of a non-negative number, one to eight of them, followed by unrelated bytes
            let len = u32::from(first.abs_diff(-112));
            position.seq_id = (u64::from_be_bytes(*bytes) >> (64 - 8 * len)).cast_signed();
            position.next += 1 + len as usize;
        } else {
            (position.seq_id, position.next) = vlong_at(bytes, position.next);
        }
    }
    position
}

/// Returns a number of any form, and the offset after it.
#[cold]
fn vlong_at(bytes: &[u8], at: usize) -> (i64, usize) {
    let mut cursor = Cursor::new(&bytes[at..]);
    let number = cursor.vlong("mvcc").expect("a cell's mvcc is whole");
    (number, at + cursor.position())
}

/// Returns the key of the cell at a position.
#[inline]
pub(super) fn key_at<'b>(bytes: &'b [u8], position: &CellPosition) -> &'b CellKey {
    let at = position.at + key_value::LENGTHS;
    CellKey::from_checked(&bytes[at..at + position.key_len])
}

/// Returns the row of the cell at an offset.
#[inline]
pub(super) fn row_at(bytes: &[u8], at: usize) -> &[u8] {
    let at = at + key_value::LENGTHS;
    let len = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    &bytes[at + 2..at + 2 + len]
}
