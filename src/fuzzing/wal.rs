//! Write-ahead logs.

use super::input::Input;
use crate::cell::Cell;
use crate::io::{FileWriter, MemoryFile};
use crate::limits::Limits;
use crate::sync::{Mutex, unpoisoned};
use crate::wal::{WalEnd, WalEntry, WalKey, WalReaderOptions, WalWriterOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Checks a log: the entries read from it are in order and within the limits, and are the same when they are
/// written and read again. The first byte decides whether the rest is a file of recovered edits. Encrypted
/// logs are read with the master key of those in `testdata`.
pub fn wal(input: &[u8]) {
    const MAX_BYTES: usize = 1 << 20;

    let mut input = Input::new(input);
    let (path, most) = match input.byte().is_multiple_of(2) {
        true => ("WALs/log", MAX_BYTES),
        // half as much again, and a checksum
        false => ("recovered.edits/1", 2 * MAX_BYTES),
    };
    let bytes = input.rest().to_vec();
    let limits = Limits::new().with_block_bytes(MAX_BYTES).with_load_on_open_bytes(MAX_BYTES);
    let Some(entries) = read(path, bytes, &limits) else { return };

    let sink = Sink(Arc::default());
    let options = WalWriterOptions::new().checksums(Some(1));
    let mut writer = options.open_writer(Box::new(sink.clone())).expect("a header");
    let mut kept = Vec::new();
    for entry in &entries {
        assert!(entry.cells().map(|cell| cell.value().len()).sum::<usize>() <= most);
        let _ = entry.marker();
        // an entry without a region or a table is not written
        if writer.append(entry.key(), entry.cells()).is_ok() {
            kept.push(edit(entry));
        }
    }
    writer.close().expect("a writer in memory");
    let bytes = unpoisoned(sink.0.lock()).clone();
    let again = read("log", bytes, &Limits::new()).expect("a log that was written here");
    assert_eq!(again.iter().map(edit).collect::<Vec<_>>(), kept);
}

/// The master key of the encrypted logs in `testdata`.
const MASTER_KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Returns the entries, if the bytes begin with the header of a log.
fn read(path: &str, bytes: Vec<u8>, limits: &Limits) -> Option<Vec<WalEntry>> {
    let len = bytes.len() as u64;
    let options = WalReaderOptions::new().limits(limits.clone()).master_key(MASTER_KEY);
    let mut reader = options.open_reader(Arc::new(MemoryFile::new(path, bytes))).ok()?;
    let mut entries: Vec<WalEntry> = Vec::new();
    let mut next = reader.offset();
    while let Ok(Some(entry)) = reader.next_entry() {
        assert!(entry.offset() == next && entry.end() > next && entry.end() <= len);
        assert_eq!(entry.cells().count(), entry.cells().len());
        next = entry.end();
        entries.push(entry);
    }
    match reader.end() {
        Some(WalEnd::Torn { offset, unread, .. }) => assert_eq!(offset + unread, len),
        Some(WalEnd::NoTrailer) => assert_eq!(next, len),
        Some(WalEnd::Trailer) => assert!(next + 8 <= len),
        None => assert!(reader.next_entry().is_err()),
    }
    Some(entries)
}

/// Returns the written parts of an entry: all but the attribute with a checksum.
fn edit(entry: &WalEntry) -> (WalKey, Vec<Cell>) {
    let mut key = entry.key().clone();
    key.extended_attributes.retain(|(name, _)| name != "hregion");
    (key, entry.cells().map(Cell::from).collect())
}

/// A file in memory.
#[derive(Clone, Debug)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl FileWriter for Sink {
    fn path(&self) -> &Path {
        Path::new("log")
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        unpoisoned(self.0.lock()).extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
