//! Entries: the cells of one atomic change of a region (HBase: `WAL.Entry`, `WALEdit`).

use super::cell_codec::IN_MEMORY;
use super::key::WalKey;
use super::marker::{self, CompactionMarker, Marker};
use crate::cell::{CellRef, key_value};
use crate::coding::Cursor;
use crate::error::Corruption;
use std::fmt;

/// An entry of a log: a key, and the cells that were written together.
///
/// HBase: `WAL.Entry`.
#[derive(Clone, PartialEq, Eq)]
pub struct WalEntry {
    pub(super) key: WalKey,
    /// The cells in [`IN_MEMORY`] form. All of them have been checked.
    pub(super) cells: Vec<u8>,
    pub(super) count: u32,
    pub(super) offset: u64,
    pub(super) end: u64,
}

impl WalEntry {
    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &WalKey {
        &self.key
    }

    /// Returns the cells in their order. Their sequence id is the key's.
    #[must_use]
    pub fn cells(&self) -> WalCells<'_> {
        WalCells { rest: Cursor::new(&self.cells), left: self.count, seq_id: self.key.cell_sequence_id() }
    }

    /// Returns the number of cells.
    #[must_use]
    pub fn cell_count(&self) -> u32 {
        self.count
    }

    /// Returns the offset of the entry in the log.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the offset after the entry.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Whether the entry records an event of the region. Its cells are not data.
    #[must_use]
    pub fn is_marker(&self) -> bool {
        self.cells().any(|cell| cell.family() == marker::FAMILY)
    }

    /// Returns the event that the entry records, if it is a marker.
    ///
    /// # Errors
    ///
    /// If the value of the marker is not the message that its qualifier announces, lacks a required field, or
    /// is larger than 16 MiB.
    pub fn marker(&self) -> Result<Option<Marker>, Corruption> {
        let cell = self.cells().find(|cell| cell.family() == marker::FAMILY);
        cell.map(|cell| Marker::parse(cell.qualifier(), cell.value())).transpose()
    }

    /// Returns the compaction that the entry records, if it is the marker of one. A replay needs and reads no
    /// other markers, which may be from a later version.
    ///
    /// # Errors
    ///
    /// Same as [`marker`](Self::marker).
    pub(crate) fn compaction(&self) -> Result<Option<CompactionMarker>, Corruption> {
        let is_compaction =
            |cell: &CellRef<'_>| cell.family() == marker::FAMILY && cell.qualifier() == marker::COMPACTION;
        let cell = self.cells().find(is_compaction);
        match cell.map(|cell| Marker::parse(cell.qualifier(), cell.value())).transpose()? {
            Some(Marker::Compaction(compaction)) => Ok(Some(compaction)),
            _ => Ok(None),
        }
    }
}

impl fmt::Debug for WalEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalEntry")
            .field("offset", &self.offset)
            .field("key", &self.key)
            .field("cells", &self.cells().collect::<Vec<_>>())
            .finish()
    }
}

/// An iterator over the cells of an entry (HBase: `WALEdit#getCells`).
#[derive(Clone, Debug)]
pub struct WalCells<'a> {
    rest: Cursor<'a>,
    left: u32,
    seq_id: i64,
}

impl<'a> Iterator for WalCells<'a> {
    type Item = CellRef<'a>;

    fn next(&mut self) -> Option<CellRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        let cell = key_value::parse(&mut self.rest, IN_MEMORY).ok()?;
        Some(cell.with_seq_id(self.seq_id))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl ExactSizeIterator for WalCells<'_> {}
