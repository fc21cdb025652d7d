//! Cells in a block (hfile.md §7).
//!
//! In memory the cells of a data block are always plain and contiguous (§2.1), whatever its encoding on disk.
//! Delta encodings are decoded once, when a block is loaded, so that one cursor serves them all.

mod block;
mod common_prefix;
mod delta_key;
mod diff;
mod encoder;
mod fast_diff;
mod outline;
pub(crate) mod plain;
mod plain_cells;
mod position;
mod prefix;
mod radix_table;
pub(crate) mod row_index;
mod seek_index;
mod tag_dictionary;
mod tags_and_mvcc;
#[cfg(test)]
mod tests;

pub use crate::schema::DataBlockEncoding;
pub(crate) use block::{DataBlock, RowSearch, RowSpan, RowStep, Trust};
pub(crate) use encoder::Encoder;
pub(crate) use outline::{BlockOutline, OutlineSearch, PartSize, StoredCells};
pub(crate) use position::{CellPosition, prefetch};

use crate::cell::{CellFormat, key_value};
use crate::coding::Cursor;
use crate::error::Corruption;
use delta_key::PreviousCell;
use plain_cells::PlainCells;
use std::ops::Range;
pub(crate) use tags_and_mvcc::Marks;
use tags_and_mvcc::TagsAndMvcc;

/// The properties of a file that are needed to decode its data blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataFormat {
    pub(crate) encoding: DataBlockEncoding,
    pub(crate) cells: CellFormat,
    /// Whether the delta encodings write tags with a dictionary (§7.7).
    pub(crate) tags_compressed: bool,
}

impl DataFormat {
    /// Whether the payload contains the cells in plain form.
    pub(crate) fn keeps_cells_plain(&self) -> bool {
        matches!(self.encoding, DataBlockEncoding::None | DataBlockEncoding::RowIndexV1)
    }
}

/// Returns the range of the cells in a payload with plain cells. The cells must still be checked; the rest
/// has been.
pub(crate) fn plain_cells(format: &DataFormat, payload: &[u8]) -> Result<Range<usize>, Corruption> {
    match format.encoding {
        DataBlockEncoding::RowIndexV1 => row_index::check_rows(payload, format.cells),
        _ => Ok(0..payload.len()),
    }
}

/// Appends the plain cells of a data block's payload to `out` and returns their number.
///
/// The payload is that of an `ENCODED_DATA` block, which begins with the encoding id, or, without an
/// encoding, that of a `DATA` block, which has no id. All of it is checked: lengths, keys, types, tags, and
/// that no bytes are left over.
///
/// A few bytes can encode a huge cell, so at most `limit` bytes are appended. On failure, `out` is unchanged.
pub(crate) fn decode(
    format: &DataFormat,
    payload: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<usize, Corruption> {
    let start = out.len();
    let decoded = match format.encoding {
        DataBlockEncoding::None => {
            let cells = plain::check(payload, format.cells)?;
            PlainCells::new(out, limit, payload.len()).put_all(payload)?;
            Ok(cells)
        }
        DataBlockEncoding::RowIndexV1 => {
            let cells = row_index::check(payload, format.cells)?;
            let plain = row_index::cells(payload)?;
            PlainCells::new(out, limit, plain.len()).put_all(plain)?;
            Ok(cells)
        }
        _ => decode_delta(format, payload, limit, out, None).map(|decoded| decoded.cells),
    };
    if decoded.is_err() {
        out.truncate(start);
    }
    decoded
}

/// The result of decoding a delta-encoded block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// The number of cells.
    pub(crate) cells: usize,
    /// The offset of the last cell.
    pub(crate) last: usize,
}

/// Like [`decode`], for a delta encoding. On failure, `out` keeps the bytes appended so far. If `marks` are
/// given, they are set for the cells; `out` must then be empty.
pub(crate) fn decode_delta(
    format: &DataFormat,
    payload: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
    marks: Option<&mut Marks>,
) -> Result<Decoded, Corruption> {
    let mut block = Delta::new(format, payload, limit, out)?;
    if marks.is_some() {
        block.tail.mark_cells();
    }
    let cells = match format.encoding {
        DataBlockEncoding::Prefix => prefix::decode(&mut block),
        DataBlockEncoding::Diff => diff::decode(&mut block),
        DataBlockEncoding::FastDiff => fast_diff::decode(&mut block),
        DataBlockEncoding::None | DataBlockEncoding::RowIndexV1 => Err(NOT_DELTA),
    }?;
    let last = block.cells.last();
    if let Some(marks) = marks {
        *marks = block.tail.into_marks();
    }
    Ok(Decoded { cells, last })
}

/// Appends a cell and those that follow it in a delta encoding. `first` is the plain cell, or its lengths and
/// key if the payload begins with its value. `tags` are the tags in the dictionary, if any, before the
/// payload. On failure, `out` keeps the bytes appended so far.
pub(crate) fn decode_after(
    format: &DataFormat,
    (first, tags): (&[u8], &[u8]),
    payload: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), Corruption> {
    let mut rest = Cursor::new(first);
    let (key, value_len) = key_value::parse_key(&mut rest)?;
    let key_len = key.as_bytes().len();
    let cells = PlainCells::new(out, limit, first.len().saturating_add(2 * payload.len()));
    let mut block = Delta { payload: Cursor::new(payload), cells, tail: TagsAndMvcc::after(tags, format) };
    let key_at = block.cells.position() + key_value::LENGTHS;
    if rest.is_empty() {
        let Delta { payload, cells, tail } = &mut block;
        cells.begin(key_len, value_len)?;
        cells.put_all(key.as_bytes())?;
        cells.take(payload, value_len, "value")?;
        tail.take(payload, cells)?;
    } else {
        block.cells.put_cell(first)?;
    }
    let before = PreviousCell::first(key.as_bytes(), key, key_at, value_len);
    match format.encoding {
        DataBlockEncoding::Prefix => prefix::decode_after(&mut block, key_at..key_at + key_len),
        DataBlockEncoding::Diff => diff::decode_after(&mut block, before),
        DataBlockEncoding::FastDiff => fast_diff::decode_after(&mut block, before),
        DataBlockEncoding::None | DataBlockEncoding::RowIndexV1 => Err(NOT_DELTA),
    }
    .map(drop)
}

const NOT_DELTA: Corruption = Corruption::Malformed("plain cells, expected a delta encoding");

/// A delta-encoded block being decoded: the remaining payload and the decoded cells.
struct Delta<'a, 'o> {
    payload: Cursor<'a>,
    cells: PlainCells<'o>,
    tail: TagsAndMvcc<'a>,
}

impl<'a, 'o> Delta<'a, 'o> {
    /// The claimed size is trusted up to this multiple of the payload size when allocating memory.
    const LIKELY_EXPANSION: usize = 8;

    fn new(
        format: &DataFormat,
        payload: &'a [u8],
        limit: usize,
        out: &'o mut Vec<u8>,
    ) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(payload);
        check_id(&mut cursor, format.encoding)?;
        // some writers store a wrong size; it only determines how much memory to allocate
        let unencoded = usize::try_from(cursor.i32("unencoded size")?).unwrap_or(0);
        let likely = unencoded.min(payload.len().saturating_mul(Self::LIKELY_EXPANSION));
        if cursor.is_empty() {
            return Err(NO_CELL);
        }
        Ok(Self {
            payload: cursor,
            cells: PlainCells::new(out, limit, likely),
            tail: TagsAndMvcc::after(&[], format),
        })
    }
}

const NO_CELL: Corruption = Corruption::Malformed("data block without a cell");

/// Reads the encoding id of a block, which must be that of the file.
fn check_id(payload: &mut Cursor<'_>, encoding: DataBlockEncoding) -> Result<(), Corruption> {
    /// An encoding of HBase 1.x, removed in 2.0.
    const PREFIX_TREE: u16 = 6;

    let id = payload.u16("encoding id")?;
    if id == encoding.id() {
        return Ok(());
    }
    if id == PREFIX_TREE {
        return Err(Corruption::unsupported("data block encoding", "PREFIX_TREE"));
    }
    match DataBlockEncoding::ALL.iter().any(|known| known.id() == id) {
        true => Err(Corruption::Mismatch {
            what: "encoding id",
            expected: encoding.id().into(),
            found: id.into(),
        }),
        false => Err(Corruption::Unknown { what: "data block encoding", value: id.into() }),
    }
}
