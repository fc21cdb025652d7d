//! Encodes entries (wal.md §3 to §6, §16).

use super::cell_codec::CellWriter;
use super::checksum;
use super::header::WalHeader;
use super::key::WalKey;
use crate::cell::CellRef;
use crate::error::Corruption;

/// Encodes the entries of a log, one after the other.
#[derive(Debug)]
pub(crate) struct WalEncoder {
    cells: CellWriter,
    log_id: Option<u64>,
    /// The offset of the next entry in the file.
    offset: u64,
    /// The number of bytes of the file that are known to be on disk.
    synced: u64,
}

/// An entry whose cells are being encoded.
#[derive(Debug)]
pub(crate) struct OpenEntry {
    /// The length of its key.
    key_end: usize,
}

impl WalEncoder {
    /// Returns an encoder for the entries after a header, and the header's bytes. `zstd_framed`: whether
    /// values compressed by ZSTD have Hadoop's framing. Fails if a codec is not built in.
    pub(crate) fn new(
        header: &WalHeader,
        recovered_edits: bool,
        zstd_framed: bool,
    ) -> Result<(Self, Vec<u8>), Corruption> {
        let cells = CellWriter::new(header, recovered_edits, zstd_framed)?;
        let bytes = header.to_bytes();
        let encoder = Self { cells, log_id: header.log_id(), offset: bytes.len() as u64, synced: 0 };
        Ok((encoder, bytes))
    }

    /// Like [`new`](Self::new), for recovered edits, whose header has no compression.
    pub(crate) fn of_recovered_edits(header: &WalHeader) -> Result<(Self, Vec<u8>), Corruption> {
        Self::new(header, true, false)
    }

    /// Appends the key of an entry with `count` cells to `out`.
    pub(crate) fn begin(
        &mut self,
        key: &WalKey,
        count: u32,
        out: &mut Vec<u8>,
    ) -> Result<OpenEntry, Corruption> {
        let start = out.len();
        let checksum = self.log_id.map(|log_id| checksum::of_entry(log_id, self.offset, self.synced));
        let checksum = checksum.as_ref().map(|value| &value[..]);
        key.write(count, self.cells.dictionaries.as_mut(), checksum, out)?;
        Ok(OpenEntry { key_end: out.len() - start })
    }

    /// Appends a cell of the entry to `out`.
    pub(crate) fn cell(&mut self, cell: &CellRef<'_>, out: &mut Vec<u8>) -> Result<(), Corruption> {
        self.cells.write(cell, out)
    }

    /// Completes the entry, whose bytes are `bytes`.
    pub(crate) fn finish(&mut self, entry: &OpenEntry, bytes: &mut [u8]) {
        if self.log_id.is_some() {
            checksum::seal_entry(bytes, entry.key_end);
        }
        self.offset += bytes.len() as u64;
    }

    /// Appends an entry without cells to `out`.
    pub(crate) fn empty_entry(&mut self, key: &WalKey, out: &mut Vec<u8>) -> Result<(), Corruption> {
        let mut bytes = Vec::new();
        let entry = self.begin(key, 0, &mut bytes)?;
        self.finish(&entry, &mut bytes);
        out.append(&mut bytes);
        Ok(())
    }

    /// Whether names are written as numbers of a dictionary.
    pub(crate) fn has_dictionaries(&self) -> bool {
        self.cells.dictionaries.is_some()
    }

    /// Returns the offset after the last entry.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Moves back to an offset, because the entries after it are not in the file. Allowed only without
    /// dictionaries, which would keep the names of these entries.
    pub(crate) fn go_back(&mut self, offset: u64) {
        debug_assert!(self.cells.dictionaries.is_none());
        self.offset = offset;
    }

    /// Records that the bytes before an offset are on disk. Later entries record this.
    pub(crate) fn synced(&mut self, offset: u64) {
        self.synced = offset;
    }
}
