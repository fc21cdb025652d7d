//! Contiguous copies of cells of a segment.

use crate::block::data::{DataBlock, Decoded, Trust};
use crate::cell::{CellFormat, CellRef, key_value};

/// Copies of consecutive cells of a segment.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    cells: usize,
    /// The offset of the last cell.
    last: usize,
}

/// Larger cells are not copied.
pub(super) const LARGE: usize = 4 << 10;
const FORMAT: CellFormat = CellFormat { tags: true, mvcc: true };

impl Batch {
    /// Creates an empty batch in a buffer that may have been used before.
    pub(super) fn new(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, cells: 0, last: 0 }
    }

    /// Reserves room for `len` bytes.
    pub(super) fn reserve(&mut self, len: usize) {
        self.bytes.reserve(len);
    }

    /// Returns the size of the copies in bytes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[inline]
    pub(super) fn push(&mut self, cell: &CellRef<'_>) {
        self.last = self.bytes.len();
        key_value::put(&mut self.bytes, cell, FORMAT);
        self.cells += 1;
    }

    /// Returns the copies as a block; `None` if there are none.
    pub(super) fn into_block(self) -> Option<DataBlock> {
        if self.cells == 0 {
            return None;
        }
        let (len, undone) = (self.bytes.len(), Decoded { cells: self.cells, last: self.last });
        DataBlock::new(self.bytes, 0..len, FORMAT, Trust::Decoded(Some(undone)), None).ok()
    }
}
