//! Encodes cells as the payload of a data block, byte for byte as HBase does (hfile.md §7).

use super::tag_dictionary::TagEncoder;
use super::{DataBlockEncoding, DataFormat, diff, fast_diff, prefix, tags_and_mvcc};
use crate::cell::{CellKey, CellRef, key_value};
use crate::error::{Error, Result};
use std::fmt;
use std::ops::Range;

/// Regions accept fewer for new cells, but cells of HBase's files and logs can have this many.
const MAX_TAGS_LEN: usize = u16::MAX as usize;
/// Sizes within a block are signed.
const MAX_BLOCK_LEN: usize = i32::MAX as usize;

/// Encodes data blocks, one after the other.
pub(crate) struct Encoder {
    format: DataFormat,
    /// The encoded cells, without the preceding and following parts of the payload.
    cells: Vec<u8>,
    unencoded: usize,
    /// The key of the last cell of this block or the previous one; empty before the first cell.
    key: Vec<u8>,
    /// The range of the last value in `cells`.
    value: Range<usize>,
    /// The row offsets, for `ROW_INDEX_V1`.
    rows: Vec<u8>,
    tags: TagEncoder,
}

/// The cell before the one being encoded.
#[derive(Clone, Copy)]
pub(super) struct Previous<'a> {
    pub(super) key: &'a CellKey,
    pub(super) value_len: usize,
    /// Whether its value equals that of the next cell.
    pub(super) same_value: bool,
}

impl Encoder {
    /// Creates an encoder of blocks of this format.
    pub(crate) fn new(format: &DataFormat) -> Self {
        Self {
            format: *format,
            cells: Vec::new(),
            unencoded: 0,
            key: Vec::new(),
            value: 0..0,
            rows: Vec::new(),
            tags: TagEncoder::new(),
        }
    }

    /// Appends a cell to the open block. The caller must append cells in order.
    ///
    /// Tags and sequence id are omitted if the format has none.
    ///
    /// # Errors
    ///
    /// If the cell cannot be written: its family differs from the previous cell's in an encoding that omits
    /// families, its tags have 64 KiB or more, or the block would have 2 GiB or more.
    #[inline]
    pub(crate) fn append(&mut self, cell: &CellRef<'_>) -> Result<()> {
        if self.format.cells.tags && cell.tags.len() > MAX_TAGS_LEN {
            return Err(Error::invalid_argument("tags of a cell: at most 65,535 bytes can be written"));
        }
        let unencoded = self.unencoded + key_value::len(cell, self.format.cells);
        if unencoded > MAX_BLOCK_LEN {
            return Err(Error::invalid_argument("a block of 2 GiB or more cannot be written"));
        }
        match self.format.encoding {
            DataBlockEncoding::None => key_value::put(&mut self.cells, cell, self.format.cells),
            DataBlockEncoding::RowIndexV1 => self.append_with_row(cell),
            _ => self.append_delta(cell)?,
        }
        self.unencoded = unencoded;
        self.key.clear();
        self.key.extend_from_slice(cell.key.as_bytes());
        Ok(())
    }

    fn append_with_row(&mut self, cell: &CellRef<'_>) {
        if self.previous_key().is_none_or(|key| key.row() != cell.row()) {
            put_len(&mut self.rows, self.cells.len());
        }
        key_value::put(&mut self.cells, cell, self.format.cells);
    }

    fn append_delta(&mut self, cell: &CellRef<'_>) -> Result<()> {
        let key = (!self.cells.is_empty()).then(|| CellKey::from_checked(&self.key));
        if key.is_some_and(|key| !key.is_of_family(cell.key.family())) {
            return Err(Error::invalid_argument(
                "cells of two families cannot be in one delta-encoded block",
            ));
        }
        let value = self.cells.get(self.value.clone()).unwrap_or_default();
        // most values differ in the first byte; checking it is cheaper than calling `memcmp`
        let same_value =
            value.len() == cell.value.len() && value.first() == cell.value.first() && value == cell.value;
        let previous = key.map(|key| Previous { key, value_len: value.len(), same_value });
        match self.format.encoding {
            DataBlockEncoding::Diff => diff::put(&mut self.cells, cell, previous),
            DataBlockEncoding::FastDiff => fast_diff::put(&mut self.cells, cell, previous),
            _ => prefix::put(&mut self.cells, cell, previous),
        }
        // the value is written last; an omitted value is where the previous one is
        if !same_value {
            self.value = self.cells.len() - cell.value.len()..self.cells.len();
        }
        let dictionary = if self.format.tags_compressed { Some(&mut self.tags) } else { None };
        tags_and_mvcc::put(&mut self.cells, cell, self.format.cells, dictionary);
        Ok(())
    }

    /// Returns the key of the last cell of the open block.
    fn previous_key(&self) -> Option<&CellKey> {
        self.last_key().filter(|_| !self.is_empty())
    }

    /// Returns the key of the last cell written.
    #[inline]
    pub(crate) fn last_key(&self) -> Option<&CellKey> {
        (!self.key.is_empty()).then(|| CellKey::from_checked(&self.key))
    }

    /// Returns the encoded size of the open block as HBase counts it to decide whether the block is full
    /// (§14.1): cells and row offsets, without the parts that a block has once.
    #[inline]
    pub(crate) fn encoded_size(&self) -> usize {
        self.cells.len() + self.rows.len()
    }

    /// Returns the size of the cells of the open block in plain form.
    #[inline]
    pub(crate) fn unencoded_size(&self) -> usize {
        self.unencoded
    }

    /// Whether the open block has no cell yet.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Appends the payload of the open block to `out` and starts the next block.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let encoding = self.format.encoding;
        if encoding != DataBlockEncoding::None {
            out.extend_from_slice(&encoding.id().to_be_bytes());
        }
        if !matches!(encoding, DataBlockEncoding::None | DataBlockEncoding::RowIndexV1) {
            put_len(out, self.unencoded);
        }
        out.extend_from_slice(&self.cells);
        if encoding == DataBlockEncoding::RowIndexV1 {
            put_len(out, self.rows.len() / 4);
            out.extend_from_slice(&self.rows);
            put_len(out, self.cells.len());
        }
        self.cells.clear();
        self.rows.clear();
        self.tags.clear();
        (self.unencoded, self.value) = (0, 0..0);
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = i32::try_from(len).expect("a block is below 2 GiB, which append checks");
    out.extend_from_slice(&len.to_be_bytes());
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("format", &self.format)
            .field("encoded_size", &self.encoded_size())
            .field("unencoded_size", &self.unencoded)
            .finish_non_exhaustive()
    }
}
