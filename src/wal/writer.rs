//! Writes a log (wal.md §13, §16; HBase: `ProtobufLogWriter`).

use super::encoder::WalEncoder;
use super::header::WalHeader;
use super::key::WalKey;
use super::{is_recovered_edits, trailer};
use crate::block::codec::Codec;
use crate::cell::CellRef;
use crate::coding::Cursor;
use crate::error::{Corruption, Error, Result};
use crate::io::{FileWriter, LocalStorage, Storage};
use std::path::Path;

/// Settings of a log to be written. By default as in HBase: without compression, and without checksums.
#[derive(Clone, Debug, Default)]
pub struct WalWriterOptions {
    compression: bool,
    no_tag_compression: bool,
    value_compression: Option<Codec>,
    zstd_framed: bool,
    log_id: Option<u64>,
}

impl WalWriterOptions {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whether names, rows and columns are compressed with dictionaries. Default: false.
    ///
    /// HBase: `hbase.regionserver.wal.enablecompression`.
    #[must_use]
    pub fn compression(mut self, compression: bool) -> Self {
        self.compression = compression;
        self
    }

    /// Sets whether tags are compressed with a dictionary. Has an effect only with
    /// [`compression`](Self::compression). Default: true.
    ///
    /// HBase: `hbase.regionserver.wal.tags.enablecompression`.
    #[must_use]
    pub fn tag_compression(mut self, compression: bool) -> Self {
        self.no_tag_compression = !compression;
        self
    }

    /// Sets the codec of the values. Has an effect only with [`compression`](Self::compression). Default:
    /// none.
    ///
    /// HBase: `hbase.regionserver.wal.value.enablecompression` and `….value.compression.type`.
    #[must_use]
    pub fn value_compression(mut self, codec: Option<Codec>) -> Self {
        self.value_compression = codec;
        self
    }

    /// Sets whether values compressed by Zstandard have Hadoop's framing, as HBase's own codec classes read
    /// and write them. Default: false; frames are bare, as with Hadoop's class, which is HBase's default.
    /// HBase cannot read one kind with the class for the other; [`WalReader`](super::WalReader) reads both.
    ///
    /// HBase: `hbase.io.compress.zstd.codec`.
    #[must_use]
    pub fn zstd_framed(mut self, framed: bool) -> Self {
        self.zstd_framed = framed;
        self
    }

    /// Sets the id of the log, with which its header and entries get checksums. Default: none.
    ///
    /// HBase reads such a log, but does not check it. The id is part of each checksum, so that entries of
    /// another log are recognized; it should differ from that of every other log of the directory.
    #[must_use]
    pub fn checksums(mut self, log_id: Option<u64>) -> Self {
        self.log_id = log_id;
        self
    }

    /// Creates a log in the local file system.
    ///
    /// # Errors
    ///
    /// Same as [`open_writer`](Self::open_writer), or if the file exists.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<WalWriter> {
        self.create_in(&LocalStorage, path.as_ref())
    }

    /// Creates a log in a file system.
    ///
    /// # Errors
    ///
    /// Same as [`open_writer`](Self::open_writer), or if the file exists.
    pub fn create_in(&self, storage: &dyn Storage, path: &Path) -> Result<WalWriter> {
        let file = storage.create_new(path).map_err(|error| Error::io("create", path, error))?;
        self.open_writer(file)
    }

    /// Begins a log in an empty file, and writes its header.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the codec is not built in; any error of
    /// the system.
    pub fn open_writer(&self, file: Box<dyn FileWriter>) -> Result<WalWriter> {
        let mut header = WalHeader::default();
        if self.compression {
            header = header.with_compression(!self.no_tag_compression, self.value_compression);
        }
        if let Some(log_id) = self.log_id {
            header = header.with_log_id(log_id);
        }
        let recovered_edits = is_recovered_edits(file.path());
        let created = WalEncoder::new(&header, recovered_edits, self.zstd_framed);
        let (encoder, entry) = created.map_err(|corruption| corruption.at(file.path(), 0))?;
        let mut writer = WalWriter { file, encoder, entry, failed: None };
        writer.write_entry()?;
        Ok(writer)
    }
}

/// Writes a write-ahead log, or a file of recovered edits, that HBase can read.
///
/// An entry is written by one call, so that a log that is not closed ends after an entry, or inside one that
/// was never acknowledged. After a failure of [`append`](Self::append) or [`sync`](Self::sync), the end of
/// the file is unknown: every later call fails, and the caller must continue with a new log.
///
/// A writer that is dropped leaves a log without a trailer, as after a crash.
///
/// HBase: `ProtobufLogWriter`.
#[derive(Debug)]
pub struct WalWriter {
    file: Box<dyn FileWriter>,
    encoder: WalEncoder,
    /// The bytes of the next entry.
    entry: Vec<u8>,
    failed: Option<Error>,
}

impl WalWriter {
    /// Appends an entry: cells that are one atomic change of the key's region, or the cell of a
    /// [`Marker`](super::Marker). Returns the offset after it. The entry survives a crash after a
    /// [`sync`](Self::sync).
    ///
    /// The sequence ids of the cells are not written: readers use the key's.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if there is no region or table, if a
    /// scope's family or an attribute's value is empty in a log with dictionaries (HBase could not read it),
    /// if the tags are malformed, or if a cell is larger than 2 GiB. Nothing has been written then, and the
    /// log can be continued. After any other error it cannot.
    pub fn append<'c>(&mut self, key: &WalKey, cells: impl IntoIterator<Item = CellRef<'c>>) -> Result<u64> {
        self.check()?;
        let cells: Vec<CellRef<'c>> = cells.into_iter().collect();
        if self.encoder.has_dictionaries() {
            check_names(key)?;
        }
        let count = check_entry(key, &cells)?;
        if let Err(error) = self.encode(key, &cells, count) {
            // The dictionaries have names that the file lacks.
            return Err(self.fail(error));
        }
        self.write_entry()?;
        Ok(self.offset())
    }

    fn encode(&mut self, key: &WalKey, cells: &[CellRef<'_>], count: u32) -> Result<()> {
        let offset = self.offset();
        let at = |corruption: Corruption| corruption.at(self.file.path(), offset);
        self.entry.clear();
        let entry = self.encoder.begin(key, count, &mut self.entry).map_err(at)?;
        cells.iter().try_for_each(|cell| self.encoder.cell(cell, &mut self.entry)).map_err(at)?;
        self.encoder.finish(&entry, &mut self.entry);
        Ok(())
    }

    fn write_entry(&mut self) -> Result<()> {
        if let Err(error) = self.file.write_all(&self.entry) {
            let error = Error::io("write", self.file.path(), error);
            return Err(self.fail(error));
        }
        Ok(())
    }

    /// Waits until all entries are on disk.
    ///
    /// # Errors
    ///
    /// Any error of the system. It is then unknown which entries are on disk.
    pub fn sync(&mut self) -> Result<()> {
        self.check()?;
        if let Err(error) = self.file.sync() {
            let error = Error::io("sync", self.file.path(), error);
            return Err(self.fail(error));
        }
        self.encoder.synced(self.offset());
        Ok(())
    }

    /// Writes the trailer after all entries are on disk, and waits until it is on disk as well.
    ///
    /// # Errors
    ///
    /// Any error of the system, or of an earlier call.
    pub fn close(mut self) -> Result<()> {
        self.sync()?;
        self.finish()
    }

    /// Like [`close`](Self::close), for a file that nothing reads before this has succeeded: the trailer need
    /// not follow entries that are on disk. Object stores do not continue a long file that was synced.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.check()?;
        self.entry.clear();
        self.entry.extend_from_slice(&trailer::BYTES);
        self.write_entry()?;
        self.sync()
    }

    /// Returns the offset after the last entry, which is the length of the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.encoder.offset()
    }

    /// Returns the name of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    fn check(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error.clone());
        error
    }
}

/// Checks that HBase can read a key that is written with dictionaries.
fn check_names(key: &WalKey) -> Result<()> {
    let mut families = key.scopes.iter().map(|(family, _)| family);
    let mut values = key.extended_attributes.iter().map(|(_, value)| value);
    if families.any(Vec::is_empty) || values.any(Vec::is_empty) {
        let message = "HBase cannot read a key with an empty family or attribute value from a dictionary";
        return Err(Error::invalid_argument(message));
    }
    Ok(())
}

/// Returns the number of cells, if the entry can be written.
fn check_entry(key: &WalKey, cells: &[CellRef<'_>]) -> Result<u32> {
    if key.encoded_region_name.is_empty() || key.table_name.is_empty() {
        return Err(Error::invalid_argument("an entry needs the names of a region and a table"));
    }
    for cell in cells {
        if !cell.cell_type().is_stored() {
            let name = cell.cell_type().name();
            return Err(Error::invalid_argument(format!("a cell of type {name} is not written to a log")));
        }
        let len = 64 + cell.key.as_bytes().len() as u64 + cell.value.len() as u64 + cell.tags.len() as u64;
        if len > i32::MAX as u64 {
            return Err(Error::invalid_argument(format!("a cell of {len} bytes is too large for a log")));
        }
        let mut area = Cursor::new(cell.tags);
        while !area.is_empty() {
            let tag = area.u16("tag length").and_then(|len| area.take(len.into(), "tag"));
            if tag.is_err() {
                return Err(Error::invalid_argument("a cell whose tags are malformed"));
            }
        }
    }
    u32::try_from(cells.len()).map_err(|_| Error::invalid_argument("an entry of more than 2^32 - 1 cells"))
}

#[cfg(test)]
mod tests {
    use super::super::ReplicationScope;
    use super::super::testing::{Sink, cells, key};
    use super::*;
    use crate::cell::{CellType, SeekKey};
    use crate::io::MemoryFile;
    use crate::limits::Limits;
    use crate::wal::WalReader;
    use std::sync::Arc;

    #[test]
    fn a_closed_log_has_a_trailer() {
        let sink = Sink::default();
        let mut writer = WalWriterOptions::new().open_writer(Box::new(sink.clone())).unwrap();
        assert_eq!(sink.bytes(), WalHeader::default().to_bytes());
        let end = writer.append(&key(1), []).unwrap();
        assert_eq!((writer.offset(), sink.bytes().len() as u64), (end, end));
        assert_eq!(sink.synced(), 0);
        writer.sync().unwrap();
        assert_eq!(sink.synced() as u64, end);
        writer.close().unwrap();
        assert_eq!(sink.bytes()[usize::try_from(end).unwrap()..], trailer::BYTES);
        assert_eq!(sink.synced(), sink.bytes().len());
    }

    #[test]
    fn what_cannot_be_written_is_refused_and_the_log_goes_on() {
        let sink = Sink::default();
        let mut writer =
            WalWriterOptions::new().compression(true).open_writer(Box::new(sink.clone())).unwrap();
        assert!(writer.append(&WalKey::new("", "t", 1, 1), []).is_err());
        assert!(writer.append(&WalKey::new("r", "", 1, 1), []).is_err());
        let mut no_family = key(1);
        no_family.scopes.push((Vec::new(), ReplicationScope::Global));
        assert!(writer.append(&no_family, []).is_err());
        let mut no_value = key(1);
        no_value.extended_attributes.push(("name".to_owned(), Vec::new()));
        assert!(writer.append(&no_value, []).is_err());
        let search = SeekKey::of(b"r", b"f", b"q", 1, CellType::Maximum);
        assert!(writer.append(&key(1), [CellRef::new(&search, b"")]).is_err());
        assert_eq!(sink.bytes().len() as u64, writer.offset());
        writer.append(&key(1), cells(1).iter().map(|cell| cell.as_ref())).unwrap();
    }

    /// Servers write such attributes, and recovered edits have the keys of their logs.
    #[test]
    fn empty_values_of_attributes_are_written_without_dictionaries() {
        let sink = Sink::default();
        let mut writer = WalWriterOptions::new().open_writer(Box::new(sink.clone())).unwrap();
        let mut empty = key(1);
        empty.extended_attributes.push(("schema".to_owned(), Vec::new()));
        writer.append(&empty, cells(1).iter().map(|cell| cell.as_ref())).unwrap();
        writer.close().unwrap();
        let file = Arc::new(MemoryFile::new("log", sink.bytes()));
        let mut reader = WalReader::new(file, &Limits::new()).unwrap();
        let entry = reader.next_entry().unwrap().unwrap();
        assert_eq!(entry.key().extended_attributes, empty.extended_attributes);
    }

    /// As read and written by HBase's default class.
    #[cfg(feature = "zstd")]
    #[test]
    fn values_compressed_by_zstd_are_bare_by_default() {
        let options = WalWriterOptions::new().compression(true).value_compression(Some(Codec::Zstd));
        for (options, framed) in [(options.clone(), false), (options.zstd_framed(true), true)] {
            let sink = Sink::default();
            let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
            let written = cells(3);
            writer.append(&key(1), written.iter().map(|cell| cell.as_ref())).unwrap();
            writer.close().unwrap();
            let bytes = sink.bytes();
            let frame = bytes.windows(4).position(|bytes| bytes == [0x28, 0xb5, 0x2f, 0xfd]).unwrap();
            // The first value has five bytes.
            assert_eq!(bytes[frame - 8..frame - 4] == [0, 0, 0, 5], framed);
            let mut reader = WalReader::new(Arc::new(MemoryFile::new("log", bytes)), &Limits::new()).unwrap();
            let entry = reader.next_entry().unwrap().unwrap();
            let read: Vec<_> = entry.cells().map(|cell| cell.value().to_vec()).collect();
            let expected: Vec<_> = written.iter().map(|cell| cell.as_ref().value().to_vec()).collect();
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn after_a_failure_nothing_is_written() {
        for sync in [false, true] {
            let sink = Sink::default();
            let mut writer = WalWriterOptions::new().open_writer(Box::new(sink.clone())).unwrap();
            sink.fail();
            let error = if sync { writer.sync() } else { writer.append(&key(1), []).map(drop) };
            let error = error.unwrap_err().to_string();
            sink.recover();
            assert_eq!(writer.append(&key(1), []).unwrap_err().to_string(), error);
            assert_eq!(writer.sync().unwrap_err().to_string(), error);
            assert_eq!(writer.close().unwrap_err().to_string(), error);
        }
    }
}
