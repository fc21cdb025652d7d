//! Checks the order of all cells and collects the statistics that the file info records.

use crate::block::data::DataBlock;
use crate::cell::{CellFormat, CellKey, CellOrder, CellRef, CellType, SeekKey};
use crate::error::Corruption;
use crate::hfile::FileTimeRange;

/// The statistics of the cells read so far.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) cells: u64,
    pub(super) key_bytes: u64,
    pub(super) value_bytes: u64,
    /// The length of the largest tags.
    pub(super) max_tags_len: usize,
    pub(super) max_seq_id: i64,
    pub(super) time_range: FileTimeRange,
    pub(super) earliest_put: i64,
    pub(super) family_deletes: u64,
    /// The key of the first of the biggest cells, and its size.
    pub(super) biggest: Option<(SeekKey, u64)>,
    /// The size of the cell that the file info names as the biggest, if it was found.
    pub(super) named_biggest: Option<u64>,
    pub(super) last_key: Option<SeekKey>,
    /// The family of the first cell.
    family: Option<Vec<u8>>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            cells: 0,
            key_bytes: 0,
            value_bytes: 0,
            max_tags_len: 0,
            max_seq_id: 0,
            // the initial state of HBase's tracker
            time_range: FileTimeRange { min: i64::MAX, max: -1 },
            earliest_put: i64::MAX,
            family_deletes: 0,
            biggest: None,
            named_biggest: None,
            last_key: None,
            family: None,
        }
    }
}

impl Tally {
    /// Adds a cell. `named_biggest` is the key of the biggest cell according to the file info.
    #[inline]
    fn add(&mut self, cell: &CellRef<'_>, format: CellFormat, named_biggest: Option<&CellKey>) {
        self.cells += 1;
        self.key_bytes += cell.key.as_bytes().len() as u64;
        self.value_bytes += cell.value.len() as u64;
        self.max_tags_len = self.max_tags_len.max(cell.tags.len());
        self.max_seq_id = self.max_seq_id.max(cell.seq_id);
        let (timestamp, cell_type) = (cell.timestamp(), cell.cell_type());
        let FileTimeRange { min, max } = &mut self.time_range;
        *min = timestamp.min(*min);
        *max = timestamp.max(*max);
        match cell_type {
            CellType::Put => self.earliest_put = self.earliest_put.min(timestamp),
            // these affect everything older
            CellType::DeleteColumn | CellType::DeleteFamily => (*min, *max) = (0.min(*min), 0.max(*max)),
            _ => {}
        }
        self.family_deletes += u64::from(cell_type.is_family_delete());
        let size = size_in_memory(cell, format);
        match &mut self.biggest {
            Some((_, most)) if *most >= size => {}
            Some((key, most)) => {
                key.set_key(cell.key);
                *most = size;
            }
            None => self.biggest = Some((SeekKey::from(cell.key), size)),
        }
        if self.named_biggest.is_none() && named_biggest == Some(cell.key) {
            self.named_biggest = Some(size);
        }
    }

    /// Adds the cells of a block and passes each to `see`; returns the first fault in their order, and the
    /// first in a cell.
    pub(super) fn add_block<E>(
        &mut self,
        block: &DataBlock,
        format: CellFormat,
        order: Option<CellOrder>,
        named_biggest: Option<&CellKey>,
        mut see: impl FnMut(&CellRef<'_>) -> Result<(), E>,
    ) -> Result<[Option<Corruption>; 2], E> {
        let (mut wrong, mut wrong_cell) = (None, None);
        let mut position = block.first();
        let first = block.key(&position);
        let is_before = |a: &CellKey, b: &CellKey| order.is_some_and(|order| order.compare(a, b).is_lt());
        if self.last_key.as_ref().is_some_and(|last| is_before(first, last)) {
            wrong = Some(Corruption::Malformed(
                "first cell of the block is before the last cell of the one before",
            ));
        }
        loop {
            let cell = block.cell(&position);
            self.add(&cell, format, named_biggest);
            if wrong_cell.is_none() {
                wrong_cell = self.check_cell(&cell);
            }
            see(&cell)?;
            if !block.advance(&mut position) {
                break;
            }
            if wrong.is_none() && is_before(block.key(&position), cell.key) {
                wrong = Some(Corruption::Malformed("cells of the block are not in order"));
            }
        }
        let last = block.key(&position);
        match &mut self.last_key {
            Some(key) => {
                key.set_key(last);
            }
            None => self.last_key = Some(SeekKey::from(last)),
        }
        Ok([wrong, wrong_cell])
    }

    /// Returns a fault that makes a store scan refuse a cell, although a block may contain it.
    fn check_cell(&mut self, cell: &CellRef<'_>) -> Option<Corruption> {
        let family = self.family.get_or_insert_with(|| cell.family().to_vec());
        if family != cell.family() {
            return Some(Corruption::Malformed("cell of another family than the first cell of the file"));
        }
        let ttl = cell.tags().ttl()?;
        (ttl.len() != TTL_LEN).then(|| Corruption::length("TTL tag", TTL_LEN, ttl.len()))
    }
}

/// The length of a time to live in bytes.
const TTL_LEN: usize = size_of::<i64>();

/// Returns the size by which HBase finds the biggest cell: four bytes more than on disk, without the sequence
/// id (hfile.md §11.3).
fn size_in_memory(cell: &CellRef<'_>, format: CellFormat) -> u64 {
    let tags = if format.tags && !cell.tags.is_empty() { 2 + cell.tags.len() } else { 0 };
    (4 + 8 + cell.key.as_bytes().len() + cell.value.len() + tags) as u64
}
