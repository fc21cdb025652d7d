//! Where a cell is in its block.

use crate::cell::{CellFormat, CellKey, key_value};
use crate::coding::Cursor;

/// Where a cell and its parts are in its block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CellPlace {
    /// Where it starts.
    pub(super) at: usize,
    pub(super) key_len: usize,
    pub(super) value_len: usize,
    pub(super) tags_len: usize,
    pub(super) seq_id: i64,
    /// Where the cell behind it starts, or the cells end.
    pub(super) next: usize,
    /// What [`touch`] has made of bytes further on.
    pub(super) ahead: u8,
}

impl CellPlace {
    /// Whether the cell comes after another one of the same block.
    #[inline]
    pub(crate) fn is_after(&self, other: &Self) -> bool {
        self.at > other.at
    }
}

/// So many bytes further on memory is touched while one walks.
///
/// Cells follow each other by their lengths, so a processor that does not guess waits for each. It guesses well where one
/// block is read alone, but not where several take turns and a MemStore's cells are fetched from all over between them. Touched
/// one by one, most lines are waited for one by one; so it is done for a [`CHUNK`] at a time.
pub(super) const AHEAD: usize = 2048;

/// The bytes that are touched at once.
pub(super) const CHUNK: usize = 1024;

/// The bytes that come into a cache together.
const LINE: usize = 64;

/// Touches each line of some bytes; what comes of it must be kept, or nothing is done.
#[inline]
pub(crate) fn touch(bytes: &[u8]) -> u8 {
    bytes.iter().step_by(LINE).fold(0, |all, byte| all ^ byte)
}

/// The place of the cell that starts at an offset.
#[inline(always)] // the loop of every scan
pub(super) fn place_at(bytes: &[u8], at: usize, format: CellFormat) -> CellPlace {
    let (lengths, _) = bytes[at..].split_first_chunk::<{ key_value::LENGTHS }>().expect("a cell has lengths");
    let [k0, k1, k2, k3, v0, v1, v2, v3] = *lengths;
    let key_len = u32::from_be_bytes([k0, k1, k2, k3]) as usize;
    let value_len = u32::from_be_bytes([v0, v1, v2, v3]) as usize;
    let mut place = CellPlace { at, key_len, value_len, ..CellPlace::default() };
    place.next = at + key_value::LENGTHS + key_len + value_len;
    if format.tags {
        let (tags_len, _) = bytes[place.next..].split_first_chunk().expect("a cell has a tags length");
        place.tags_len = u16::from_be_bytes(*tags_len).into();
        place.next += 2 + place.tags_len;
    }
    if format.mvcc {
        let rest = &bytes[place.next..];
        let first = rest[0].cast_signed();
        if first >= -112 {
            place.seq_id = first.into();
            place.next += 1;
        } else if let (-120..=-113, Some((bytes, _))) = (first, rest[1..].split_first_chunk::<8>()) {
            // one to eight bytes of a number that is not negative, and others behind them
            let len = u32::from(first.abs_diff(-112));
            place.seq_id = (u64::from_be_bytes(*bytes) >> (64 - 8 * len)).cast_signed();
            place.next += 1 + len as usize;
        } else {
            (place.seq_id, place.next) = vlong_at(bytes, place.next);
        }
    }
    place
}

/// A number of any form, and where it ends.
#[cold]
fn vlong_at(bytes: &[u8], at: usize) -> (i64, usize) {
    let mut cursor = Cursor::new(&bytes[at..]);
    let number = cursor.vlong("mvcc").expect("a cell's mvcc is whole");
    (number, at + cursor.position())
}

/// The key of the cell at a place.
#[inline]
pub(super) fn key_at<'b>(bytes: &'b [u8], place: &CellPlace) -> &'b CellKey {
    let at = place.at + key_value::LENGTHS;
    CellKey::from_checked(&bytes[at..at + place.key_len])
}

/// The row of the cell at an offset.
#[inline]
pub(super) fn row_at(bytes: &[u8], at: usize) -> &[u8] {
    let at = at + key_value::LENGTHS;
    let len = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    &bytes[at + 2..at + 2 + len]
}
