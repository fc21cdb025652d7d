//! Plain cells, followed by the offset of each row (hfile.md §7.6; HBase: `RowIndexCodecV1`).
//!
//! | field | bytes | |
//! |---|---|---|
//! | encoding id | 2 | 7 |
//! | cells | | plain, tags never compressed |
//! | rows | 4 | number of rows |
//! | offsets | 4 each | offset of the row's first cell, from the first cell of the block |
//! | size | 4 | size of all cells |
#![warn(clippy::indexing_slicing)]

use super::{DataBlockEncoding, NO_CELL, check_id};
use crate::cell::{CellFormat, key_value};
use crate::coding::Cursor;
use crate::error::Corruption;
use std::ops::Range;

const ID_LEN: usize = 2;

/// Returns the cells of a payload. Checks only the frame around them.
pub(crate) fn cells(payload: &[u8]) -> Result<&[u8], Corruption> {
    split(payload).map(|(cells, _)| cells)
}

/// Returns the cells of a payload, and the offsets of its rows. Checks only the frame around them.
pub(crate) fn split(payload: &[u8]) -> Result<(&[u8], RowOffsets<'_>), Corruption> {
    let Some((body, size)) = payload.split_last_chunk::<4>() else {
        return Err(Corruption::Truncated {
            what: "cell area size",
            needed: 4,
            available: payload.len() as u64,
        });
    };
    let size = Cursor::new(size).len("cell area size")?;
    let mut body = Cursor::new(body);
    check_id(&mut body, DataBlockEncoding::RowIndexV1)?;
    let cells = body.take(size, "cells")?;
    let rows = body.len("row count")?;
    let offsets = body.take(rows.saturating_mul(4), "row offsets")?;
    body.finish("bytes after the row offsets")?;
    let (offsets, _) = offsets.as_chunks::<4>();
    Ok((cells, RowOffsets { rest: offsets }))
}

/// Checks a whole payload, the cells and that the offsets are those of the rows, and returns the number of
/// cells.
pub(crate) fn check(payload: &[u8], format: CellFormat) -> Result<usize, Corruption> {
    let (bytes, mut rows) = split(payload)?;
    let mut cursor = Cursor::new(bytes);
    let mut row = None;
    let mut cells = 0;
    while !cursor.is_empty() {
        let offset = cursor.position();
        let cell = key_value::parse(&mut cursor, format)?;
        if row != Some(cell.row()) {
            row = Some(cell.row());
            rows.take(offset)?;
        }
        cells += 1;
    }
    rows.finish()?;
    if cells == 0 { Err(NO_CELL) } else { Ok(cells) }
}

/// Returns the range of the cells in a payload. Checks the cells, the frame around them, and that the offsets
/// are those of the rows.
pub(crate) fn check_rows(payload: &[u8], format: CellFormat) -> Result<Range<usize>, Corruption> {
    check(payload, format)?;
    let (cells, _) = split(payload)?;
    Ok(ID_LEN..ID_LEN + cells.len())
}

/// The row offsets of a block, compared in order with the actual starts of rows.
#[derive(Clone, Debug)]
pub(crate) struct RowOffsets<'a> {
    rest: &'a [[u8; 4]],
}

impl RowOffsets<'_> {
    /// Checks that the next row offset is `offset`.
    #[inline]
    pub(crate) fn take(&mut self, offset: usize) -> Result<(), Corruption> {
        let Some((&stored, rest)) = self.rest.split_first() else {
            return Err(Corruption::Malformed("fewer row offsets than rows"));
        };
        self.rest = rest;
        let stored = i32::from_be_bytes(stored).into();
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        if stored == offset {
            return Ok(());
        }
        Err(Corruption::Mismatch { what: "row offset", expected: offset, found: stored })
    }

    /// Checks that there are no further row offsets.
    pub(crate) fn finish(&self) -> Result<(), Corruption> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(Corruption::Malformed("more row offsets than rows"))
    }
}
