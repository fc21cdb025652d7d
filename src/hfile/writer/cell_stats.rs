//! The file info entries about the cells of a file (hfile.md §11.3).

use crate::cell::{CellFormat, CellRef, SeekKey};
use crate::error::Result;
use crate::hfile::file_info::{FileInfoBuilder, names};

/// The statistics of the cells.
#[derive(Debug, Default)]
pub(super) struct CellStats {
    cells: u64,
    key_bytes: u64,
    value_bytes: u64,
    max_tags_len: usize,
    max_seq_id: i64,
    biggest: SeekKey,
    biggest_len: usize,
}

impl CellStats {
    #[inline]
    pub(super) fn count(&mut self, cell: &CellRef<'_>) {
        self.cells += 1;
        self.key_bytes += cell.key.as_bytes().len() as u64;
        self.value_bytes += cell.value.len() as u64;
        self.max_tags_len = self.max_tags_len.max(cell.tags.len());
        self.max_seq_id = self.max_seq_id.max(cell.seq_id);
        let len = len_in_memory(cell);
        if len > self.biggest_len {
            self.biggest_len = len;
            self.biggest.set_key(cell.key);
        }
    }

    pub(super) fn cells(&self) -> u64 {
        self.cells
    }

    pub(super) fn put(&self, info: &mut FileInfoBuilder, format: CellFormat) -> Result<()> {
        let average = |bytes: u64| {
            let average = bytes.checked_div(self.cells).unwrap_or(0);
            i32::try_from(average).unwrap_or(i32::MAX).to_be_bytes()
        };
        info.put(names::AVG_KEY_LEN, average(self.key_bytes))?;
        info.put(names::AVG_VALUE_LEN, average(self.value_bytes))?;
        if self.cells > 0 {
            info.put(names::KEY_OF_BIGGEST_CELL, self.biggest.as_bytes())?;
            info.put(names::LEN_OF_BIGGEST_CELL, (self.biggest_len as u64).to_be_bytes())?;
        }
        if format.tags {
            let len = i32::try_from(self.max_tags_len).unwrap_or(i32::MAX);
            info.put(names::MAX_TAGS_LEN, len.to_be_bytes())?;
        }
        if format.mvcc {
            info.put(names::KEY_VALUE_VERSION, names::VERSION_WITH_SEQ_IDS.to_be_bytes())?;
            info.put(names::MAX_MEMSTORE_TS, self.max_seq_id.to_be_bytes())?;
        }
        Ok(())
    }
}

/// Returns the size of a cell in bytes as HBase estimates it: its size in a block plus four.
#[inline]
fn len_in_memory(cell: &CellRef<'_>) -> usize {
    let tags = if cell.tags.is_empty() { 0 } else { 2 + cell.tags.len() };
    4 + 8 + cell.key.as_bytes().len() + cell.value.len() + tags
}
