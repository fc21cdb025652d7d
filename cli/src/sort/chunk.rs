//! Cells in memory, in the format of temporary files.

use crate::cell_source::CellSource;
use crate::failure::CommandError;
use crate::merge::compare;
use hregion::{CellKey, CellOrder, CellRef};

/// Cells with their line numbers.
#[derive(Debug)]
pub(super) struct Chunk {
    order: CellOrder,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    at: usize,
}

/// The position of a cell, and the beginning of its row, which decides most comparisons.
#[derive(Clone, Copy, Debug)]
struct Entry {
    prefix: u64,
    start: usize,
}

impl Chunk {
    pub(super) fn new(order: CellOrder) -> Self {
        Self { order, bytes: Vec::new(), entries: Vec::new(), at: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the memory used if `cell` were added.
    pub(super) fn bytes_with(&self, cell: &CellRef<'_>) -> usize {
        self.bytes.len() + record_len(cell) + (self.entries.len() + 1) * size_of::<Entry>()
    }

    pub(super) fn push(&mut self, cell: &CellRef<'_>, line: u64) {
        let prefix = match self.order {
            CellOrder::User => prefix(cell.row()),
            // other orders do not keep rows with a common prefix together
            _ => 0,
        };
        self.entries.push(Entry { prefix, start: self.bytes.len() });
        put_record(&mut self.bytes, cell, line);
    }

    /// Sorts the cells, stably, and moves to the first one.
    pub(super) fn sort(&mut self) {
        let (order, bytes) = (self.order, &self.bytes);
        self.entries.sort_unstable_by(|a, b| {
            let by_cell = || compare(order, &record(&bytes[a.start..]).0, &record(&bytes[b.start..]).0);
            a.prefix.cmp(&b.prefix).then_with(by_cell).then_with(|| a.start.cmp(&b.start))
        });
        self.at = 0;
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Returns the line number of the current cell.
    pub(super) fn line(&self) -> u64 {
        self.here().map_or(0, |(_, line)| line)
    }

    fn here(&self) -> Option<(CellRef<'_>, u64)> {
        self.entries.get(self.at).map(|entry| record(&self.bytes[entry.start..]))
    }
}

impl CellSource for Chunk {
    fn peek(&self) -> Option<CellRef<'_>> {
        self.here().map(|(cell, _)| cell)
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        self.at += 1;
        Ok(())
    }
}

/// Returns the first bytes of a row as a number with the same order.
fn prefix(row: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = row.len().min(8);
    bytes[..len].copy_from_slice(&row[..len]);
    u64::from_be_bytes(bytes)
}

/// The length of a record's header: the lengths of key, value and tags, the sequence id, and the line number.
pub(super) const HEADER: usize = 4 + 4 + 4 + 8 + 8;

fn record_len(cell: &CellRef<'_>) -> usize {
    HEADER + cell.key().as_bytes().len() + cell.value().len() + cell.tag_bytes().len()
}

/// Appends a record.
pub(super) fn put_record(out: &mut Vec<u8>, cell: &CellRef<'_>, line: u64) {
    let parts = [cell.key().as_bytes(), cell.value(), cell.tag_bytes()];
    for part in parts {
        let len = u32::try_from(part.len()).expect("a part of a line of 2 GiB at most");
        out.extend_from_slice(&len.to_be_bytes());
    }
    out.extend_from_slice(&cell.seq_id().to_be_bytes());
    out.extend_from_slice(&line.to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Returns the lengths of key, value and tags in a header.
pub(super) fn lengths(header: &[u8; HEADER]) -> [usize; 3] {
    let len = |i: usize| u32::from_be_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
    [0, 4, 8].map(|i| usize::try_from(len(i)).unwrap_or(usize::MAX))
}

/// Decodes the record at the start of `bytes`: the cell and its line number.
pub(super) fn record(bytes: &[u8]) -> (CellRef<'_>, u64) {
    let (header, rest) = bytes.split_first_chunk::<HEADER>().expect("a header was put there");
    let [key, value, tags] = lengths(header);
    let long = |i: usize| header[i..i + 8].first_chunk().copied().unwrap_or_default();
    let (key, rest) = rest.split_at(key);
    let (value, rest) = rest.split_at(value);
    let cell = CellRef::new(CellKey::new(key).expect("a key was put there"), value);
    let cell = cell.with_seq_id(i64::from_be_bytes(long(12)));
    (cell.with_tag_bytes(&rest[..tags]).unwrap_or(cell), u64::from_be_bytes(long(20)))
}
