//! Reads a log entry by entry (wal.md §9; HBase: `ProtobufWALStreamReader`).
#![warn(clippy::indexing_slicing)]

use super::cell_codec::{CellReader, skip_plain};
use super::checksum::{self, Difference};
use super::end_mark;
use super::entry::WalEntry;
use super::header::{LOG_ID_FIELD, LOG_ID_LEN, WalHeader};
use super::key::WalKey;
use super::source::{Input, Source, Stop, are_zeros};
use super::{is_recovered_edits, trailer};
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::io::{FileReader, LocalFile, Storage};
use crate::limits::Limits;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A key in memory can be this many times as large as in the file: a message of no bytes has two there.
const KEY_GROWTH: usize = 64;

/// At the end of a file, this many zeros are those of a file system that made the file longer before a crash.
/// Up to four zeros can be the start of a trailer.
const ZEROS: u64 = 5;

/// The smallest number of bytes that a disk writes or does not write.
const UNIT: u64 = 512;

/// The number of bytes that are searched at once for later entries.
const SCAN: usize = 1 << 20;

/// Why a log that was closed may not end within an entry.
const TORN_BUT_CLOSED: &str = "the log was closed, so that a length is damaged and edits may be missing; the \
     option accept_torn_logs (hregion recover --accept-torn-logs) takes what is there";

/// The maximum length of a file of zeros that is read as a log whose header did not reach the disk.
const ZERO_FILE: u64 = 64 << 10;

/// Reads the entries of a write-ahead log, or of a file of recovered edits.
///
/// Logs of HBase have no checksums of entries: a flipped bit in a value is not noticed, and a flipped bit in
/// a length can look like the end of the log. Where reading ended early, [`WalEnd::Torn`] has the number of
/// bytes that were not read, and says if the log was closed: then it is damaged. Logs with checksums, which
/// only this crate writes, give no wrong cells.
///
/// A log with dictionaries can only be read from its start. A file is one of recovered edits if its path
/// contains `recovered.edits`, as in HBase; such a file with dictionaries must be read under that path.
///
/// HBase: `ProtobufWALStreamReader`; before 2.6, `ProtobufLogReader`.
#[derive(Debug)]
pub struct WalReader {
    input: Input,
    /// None if the file ends within its header.
    header: Option<WalHeader>,
    cells: CellReader,
    /// The maximum number of bytes of an entry, in the file and in memory.
    max_bytes: usize,
    /// The region whose cells are decoded, if not those of all.
    only: Option<Vec<u8>>,
    has_trailer: bool,
    /// The number of entries read.
    entries: u64,
    /// The length of the key of an entry whose cells have been read, if it has a checksum.
    key_end: Option<usize>,
    end: Option<WalEnd>,
    failed: Option<Error>,
}

/// How a log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalEnd {
    /// With a trailer: the log was closed, and all its entries were read.
    Trailer,
    /// After an entry, without a trailer: the server is still writing, or has died. All entries were read. In
    /// a log with checksums, room for more may follow.
    ///
    /// HBase reports an `EOFException`, and goes on.
    NoTrailer,
    /// Inside an entry or inside the header, of which nothing was read.
    ///
    /// HBase reports an `EOFException` and goes on, except after a tail of zeros, which it takes for damage.
    Torn {
        /// The offset of the entry.
        offset: u64,
        /// The number of bytes from there to the end of the file.
        unread: u64,
        /// Whether the tail of the file is zeros, as after a crash of some file systems.
        zeros: bool,
        /// Whether the file has a trailer. A log that was closed ends with an entry: a length in this one is
        /// damaged, and entries that were acknowledged may not have been read. A
        /// [recovery](crate::Table::recover) and the opening of a region refuse it.
        closed: bool,
        /// What was missing.
        reason: Corruption,
    },
}

impl WalEnd {
    /// Returns what is torn, as an error of kind [`ErrorKind::Truncated`] with the offset of the entry in the
    /// log at `path`; `None` if the log does not end within an entry.
    #[must_use]
    pub fn to_error(&self, path: &Path) -> Option<Error> {
        self.torn(path, None)
    }

    /// As [`to_error`](Self::to_error), with a reason other than what was missing.
    pub(crate) fn torn(&self, path: &Path, because: Option<&'static str>) -> Option<Error> {
        let Self::Torn { offset, unread, reason, .. } = self else { return None };
        let reason = Box::new(because.map_or_else(|| reason.clone(), Corruption::Malformed));
        Some(Corruption::TornLog { unread: *unread, reason }.at(path, *offset))
    }

    /// Returns why the log at `path` is refused unless torn logs are accepted: it was closed, and yet ends
    /// within an entry. Of kind [`ErrorKind::Truncated`].
    pub(crate) fn refused(&self, path: &Path) -> Option<Error> {
        let is_closed = matches!(self, Self::Torn { closed: true, .. });
        self.torn(path, Some(TORN_BUT_CLOSED)).filter(|_| is_closed)
    }

    /// Fails if the log at `path` is [refused](Self::refused), unless torn logs are accepted.
    pub(crate) fn check(&self, path: &Path, accept_torn: bool) -> Result<()> {
        self.refused(path).filter(|_| !accept_torn).map_or(Ok(()), Err)
    }
}

impl WalReader {
    /// Opens a log of the local file system.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), or any error of the system.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = LocalFile::open(path).map_err(|error| Error::io("open", path, error))?;
        Self::new(Arc::new(file), &Limits::new())
    }

    /// Opens a log. Reads its header and looks for its trailer.
    ///
    /// An entry takes at most [`Limits::block_bytes`] in the file and in memory, each dictionary and the
    /// header at most [`Limits::load_on_open_bytes`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if this is not a log, or if its header is damaged; [`ErrorKind::Unsupported`]
    /// if it is encrypted, older than HBase 0.96, or needs a class or codec that this build does not have;
    /// any error of the system. A log that ends within its header is no error: it has no entries.
    pub fn new(file: Arc<dyn FileReader>, limits: &Limits) -> Result<Self> {
        let recovered_edits = is_recovered_edits(file.path());
        let max_bytes = limits.block_bytes;
        let mut input = Input::new(Arc::clone(&file), max_bytes);
        let at = |corruption: Corruption| corruption.at(file.path(), 0);
        let (header, end) = match WalHeader::read(&mut input, limits.load_on_open_bytes) {
            Ok(header) => (Some(header), None),
            Err(Stop::Torn(reason)) if has_log_id(&*file)? => return Err(at(reason)),
            Err(Stop::Torn(reason)) => {
                // Where entries begin is not known, so that only a trailer without a message is.
                let closed = trailer::find(&*file, 0, true)?.is_some();
                (None, Some(WalEnd::Torn { offset: 0, unread: file.len(), zeros: false, closed, reason }))
            }
            Err(Stop::Damaged(reason)) if file.len() <= ZERO_FILE && are_zeros(&*file, 0, file.len())? => {
                let (unread, zeros, closed) = (file.len(), true, false);
                (None, Some(WalEnd::Torn { offset: 0, unread, zeros, closed, reason }))
            }
            Err(Stop::Damaged(corruption)) => return Err(at(corruption)),
            Err(Stop::Io(error)) => return Err(Error::io("read", file.path(), error)),
        };
        let settings = header.clone().unwrap_or_default();
        let cells =
            CellReader::new(&settings, recovered_edits, max_bytes, limits.load_on_open_bytes).map_err(at)?;
        let mut has_trailer = false;
        if header.is_some()
            && let Some(trailer) = trailer::find(&*file, input.offset(), settings.log_id().is_some())?
        {
            has_trailer = true;
            input.set_end(trailer);
        }
        Ok(Self {
            input,
            header,
            cells,
            max_bytes,
            only: None,
            has_trailer,
            entries: 0,
            key_end: None,
            end,
            failed: None,
        })
    }

    /// Fails if logs may have more entries than can be read: their servers have not closed them, and the
    /// storage [hides](Storage::can_hide_writes) what was written. Logs that do not exist any more are left
    /// out.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidArgument`](ErrorKind::InvalidArgument) if there is such a log; as [`new`](Self::new).
    pub(crate) fn refuse_unclosed<'a>(
        storage: &dyn Storage,
        logs: impl IntoIterator<Item = &'a Path>,
        limits: &Limits,
    ) -> Result<()> {
        for path in logs.into_iter().filter(|path| storage.can_hide_writes(path)) {
            let file = match storage.open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(|error| Error::io("open", path, error))?,
            };
            if !Self::new(file, limits)?.has_trailer {
                let message = "a log that its server has not closed may have more than can be read: first a \
                               recovery of the root must end its writing";
                return Err(Error::invalid_argument(format!("{message} ({})", path.display())));
            }
        }
        Ok(())
    }

    /// Returns the greatest length of a key that is read, if an entry has at most so many bytes.
    pub(crate) fn max_key_len(entry_bytes: usize) -> usize {
        entry_bytes / KEY_GROWTH
    }

    /// Leaves out the cells of entries of other regions than one, where they need not be decoded to read on:
    /// in a log with checksums and without dictionaries.
    pub(crate) fn only_cells_of(mut self, encoded_region_name: &[u8]) -> Self {
        let is_checked = self.header.as_ref().and_then(WalHeader::log_id).is_some();
        if is_checked && self.cells.dictionaries.is_none() {
            self.only = Some(encoded_region_name.to_vec());
        }
        self
    }

    /// Returns the settings with which the log was written; `None` if the file ends before it has them.
    #[must_use]
    pub fn header(&self) -> Option<&WalHeader> {
        self.header.as_ref()
    }

    /// Returns the name of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.input.path()
    }

    /// Returns the offset after the last entry read. Once [`end`](Self::end) is known, the offset at which
    /// the entries end.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match &self.end {
            Some(WalEnd::Torn { offset, .. }) => *offset,
            _ => self.input.offset(),
        }
    }

    /// Returns the number of entries read.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Returns how the log ends, after [`next_entry`](Self::next_entry) has returned `None`.
    #[must_use]
    pub fn end(&self) -> Option<&WalEnd> {
        self.end.as_ref()
    }

    /// Returns the next entry, or `None` after the last. [`end`](Self::end) then says how the log ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if bytes are wrong that are not the torn end of the log; [`ErrorKind::Limit`]
    /// if an entry is too large; any error of the system. The same error is returned again by later calls:
    /// where the next entry begins is not known.
    pub fn next_entry(&mut self) -> Result<Option<WalEntry>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.end.is_some() {
            return Ok(None);
        }
        let offset = self.input.offset();
        if self.input.left() == 0 {
            self.end = Some(if self.has_trailer { WalEnd::Trailer } else { WalEnd::NoTrailer });
            return Ok(None);
        }
        self.input.mark();
        let read = match self.read_entry(offset) {
            Err(torn @ Stop::Torn(_)) if self.has_trailer && self.reads_again() => {
                self.read_over_trailer(offset, torn)
            }
            read => read,
        };
        match read {
            Ok(entry) => {
                self.entries += 1;
                Ok(Some(entry))
            }
            Err(stop) => match self.classify(offset, stop) {
                Ok(end) => {
                    self.end = Some(end);
                    Ok(None)
                }
                // The writer may have written the entry after it was read, and later ones, too.
                Err(error) => match self.read_again(offset) {
                    Some(entry) => {
                        self.entries += 1;
                        Ok(Some(entry))
                    }
                    None => {
                        self.failed = Some(error.clone());
                        Err(error)
                    }
                },
            },
        }
    }

    /// Whether an entry can be read again: it has a checksum, and nothing else depends on what was read.
    fn reads_again(&self) -> bool {
        let is_checked = self.header.as_ref().and_then(WalHeader::log_id).is_some();
        is_checked && self.cells.dictionaries.is_none()
    }

    fn read_again(&mut self, offset: u64) -> Option<WalEntry> {
        if !self.reads_again() {
            return None;
        }
        self.input.reread();
        self.read_entry(offset).ok()
    }

    /// Reads the entry at `offset`, which the trailer cuts off, with the trailer's bytes. If its checksum is
    /// right, they are those of a value or tag, and the log has no trailer.
    fn read_over_trailer(&mut self, offset: u64, torn: Stop) -> Result<WalEntry, Stop> {
        let trailer = self.input.end();
        self.input.reread();
        self.input.set_end(self.input.file().len());
        if let Ok(entry) = self.read_entry(offset) {
            self.has_trailer = false;
            return Ok(entry);
        }
        self.key_end = None;
        self.input.set_end(trailer);
        Err(torn)
    }

    /// Passes each entry that is left to `see`, and returns how the log ends.
    pub(crate) fn for_each_entry(mut self, mut see: impl FnMut(&WalEntry) -> Result<()>) -> Result<WalEnd> {
        while let Some(entry) = self.next_entry()? {
            see(&entry)?;
        }
        let at = |corruption: Corruption| corruption.at(self.input.path(), 0);
        self.end.ok_or_else(|| at(Corruption::Malformed("a log without an end")))
    }

    fn read_entry(&mut self, offset: u64) -> Result<WalEntry, Stop> {
        let max_key = Self::max_key_len(self.max_bytes);
        let len = self.input.varint("length of a key")?;
        if len > max_key as u64 && len <= self.input.left() {
            let limit = max_key as u64;
            return Err(Corruption::Limit { what: "bytes of a key", value: len, limit }.into());
        }
        let log_id = self.header.as_ref().and_then(WalHeader::log_id);
        let bytes = self.input.take(usize::try_from(len).unwrap_or(usize::MAX), "key")?;
        let dictionaries = self.cells.dictionaries.as_mut();
        let parsed = WalKey::parse(bytes, dictionaries, log_id.is_some(), max_key)?;
        let key_end = usize::try_from(self.input.offset() - offset).unwrap_or(usize::MAX);
        let (mut cells, mut count) = (Vec::new(), parsed.cells);
        if self.only.as_ref().is_some_and(|only| *only != parsed.key.encoded_region_name) {
            (0..parsed.cells).try_for_each(|_| skip_plain(&mut self.input))?;
            count = 0;
        } else {
            for _ in 0..parsed.cells {
                self.cells.read(&mut self.input, &mut cells)?;
            }
        }
        if let Some(log_id) = log_id {
            let (bytes, sum) = (self.input.marked(), parsed.checksum.as_deref());
            if let Err(corruption) = checksum::check_entry(sum, log_id, offset, bytes, key_end) {
                self.key_end = Some(key_end);
                return Err(corruption.into());
            }
        }
        Ok(WalEntry { key: parsed.key, cells, count, offset, end: self.input.offset() })
    }

    /// Returns how the log ends if its entries end inside the one at `offset`, which could not be read.
    fn classify(&mut self, offset: u64, stop: Stop) -> Result<WalEnd> {
        if let Some(log_id) = self.header.as_ref().and_then(WalHeader::log_id) {
            return self.classify_checked(log_id, offset, stop);
        }
        let (path, end) = (self.input.path(), self.input.end());
        let unread = self.input.file().len().saturating_sub(offset);
        match stop {
            Stop::Torn(reason) => {
                Ok(WalEnd::Torn { offset, unread, zeros: false, closed: self.has_trailer, reason })
            }
            Stop::Io(error) => Err(Error::io("read", path, error)),
            Stop::Damaged(reason) if reason.kind() != ErrorKind::Corrupt || self.has_trailer => {
                Err(reason.at(path, offset))
            }
            Stop::Damaged(reason) => {
                let zeros = self.ends_in_zeros(offset)?;
                if zeros || self.is_part_of_trailer(offset, end)? {
                    return Ok(WalEnd::Torn { offset, unread, zeros, closed: false, reason });
                }
                Err(reason.at(path, offset))
            }
        }
    }

    /// As [`classify`](Self::classify), in a log with checksums. An entry that cannot be read is torn if it
    /// may not have reached the disk. It is damaged if an entry after it says that it was on disk, or if one
    /// bit is wrong in bytes that were written.
    fn classify_checked(&mut self, log_id: u64, offset: u64, stop: Stop) -> Result<WalEnd> {
        let (reason, is_cut) = match stop {
            Stop::Io(error) => return Err(Error::io("read", self.input.path(), error)),
            Stop::Damaged(reason) => (reason, false),
            Stop::Torn(reason) => (reason, true),
        };
        let key_end = self.key_end.take();
        if !self.has_trailer && end_mark::is_at(self.input.file(), offset, self.input.end())? {
            self.input.reread();
            return Ok(WalEnd::NoTrailer);
        }
        let is_whole = match key_end {
            None => false,
            Some(key_end) => {
                let difference = checksum::difference(self.input.marked(), key_end, true);
                self.is_written(offset, difference)?
            }
        };
        if self.has_trailer || is_whole || self.was_on_disk(log_id, offset)? {
            return Err(reason.at(self.input.path(), offset));
        }
        let unread = self.input.end().saturating_sub(offset);
        let zeros = !is_cut && self.ends_in_zeros(offset)?;
        Ok(WalEnd::Torn { offset, unread, zeros, closed: false, reason })
    }

    /// Whether all bytes of the entry at `offset` were written, by how they differ from the checksum: not at
    /// all, or by one bit. A wrong bit in a unit of the disk that is all zeros is that of a unit that a crash
    /// left unwritten. The unit after which a synced entry ends has the mark of the end, and is not all
    /// zeros.
    fn is_written(&self, offset: u64, difference: Difference) -> Result<bool> {
        let place = match difference {
            // an entry of another place
            Difference::None => return Ok(true),
            Difference::OneBit(place) => offset + place as u64,
            Difference::More => return Ok(false),
        };
        let unit = place - place % UNIT;
        let end = self.input.file().len().min(unit + UNIT);
        Ok(!are_zeros(self.input.file(), unit, end)?)
    }

    /// Whether the file ends in zeros, from the last byte that was read of the entry at `offset`.
    fn ends_in_zeros(&self, offset: u64) -> Result<bool> {
        let (consumed, end) = (self.input.offset().saturating_sub(1), self.input.end());
        let from = consumed.min(end.saturating_sub(ZEROS)).max(offset);
        Ok(end.saturating_sub(from) >= ZEROS && are_zeros(self.input.file(), from, end)?)
    }

    /// Whether the entry at `offset`, which could not be read, was on disk: a later entry says so, or its
    /// bytes are all there, and at most one bit is wrong.
    fn was_on_disk(&self, log_id: u64, offset: u64) -> Result<bool> {
        let (file, end) = (self.input.file(), self.input.end());
        let read = |from: u64, len: usize| {
            let mut bytes = vec![0; len];
            let done = file.read_exact_at(&mut bytes, from);
            done.map(|()| bytes).map_err(|error| Error::io("read", file.path(), error))
        };
        // The entries of a log take no more than its bytes. A file with many false ones is damaged.
        let mut budget = (end - offset).saturating_mul(4);
        let mut at = offset;
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(SCAN);
            let bytes = read(at, len)?;
            for found in checksum::find_entries(log_id, at, &bytes) {
                if found.offset < offset || found.offset >= found.end || found.to() > end {
                    continue;
                }
                let is_this = found.offset == offset;
                if found.end > found.to() || !is_this && found.synced <= offset {
                    continue;
                }
                let len = usize::try_from(found.len).unwrap_or(usize::MAX);
                budget = budget.saturating_sub(found.len.into());
                if len > self.max_bytes || budget == 0 {
                    return Ok(true);
                }
                let mut entry = read(found.offset, len)?;
                let place = usize::try_from(found.end - found.offset).unwrap_or(usize::MAX);
                let difference = checksum::difference(&mut entry, place, is_this);
                if difference == Difference::None || is_this && self.is_written(offset, difference)? {
                    return Ok(true);
                }
            }
            if len < SCAN {
                break;
            }
            at += (SCAN - checksum::OVERLAP) as u64;
        }
        Ok(false)
    }

    /// Whether the bytes from `offset` to the end are the start of a trailer, but not all of it.
    fn is_part_of_trailer(&self, offset: u64, end: u64) -> Result<bool> {
        let len = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = trailer::BYTES;
        let Some(part) = bytes.get_mut(..len).filter(|part| part.len() < trailer::BYTES.len()) else {
            return Ok(false);
        };
        let (file, path) = (self.input.file(), self.input.path());
        file.read_exact_at(part, offset).map_err(|error| Error::io("read", path, error))?;
        Ok(trailer::BYTES.starts_with(part))
    }
}

/// Whether a file has all of the field with a log's id, which is the last of the header. A header that is
/// said to be longer than the file is damaged then.
fn has_log_id(file: &dyn FileReader) -> Result<bool> {
    let len = usize::try_from(file.len()).unwrap_or(usize::MAX).min(SCAN);
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).map_err(|error| Error::io("read", file.path(), error))?;
    Ok(bytes.windows(LOG_ID_FIELD.len() + LOG_ID_LEN).any(|field| field.starts_with(&LOG_ID_FIELD)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Sink, cells, key};
    use super::super::{END_MARK, WalWriterOptions};
    use super::*;
    use crate::cell::{CellRef, CellType, SeekKey};
    use crate::io::MemoryFile;
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn read(bytes: &[u8]) -> Result<(Vec<WalEntry>, WalEnd)> {
        let file = MemoryFile::new("dir/log", bytes.to_vec());
        let mut reader = WalReader::new(Arc::new(file), &Limits::new().with_block_bytes(1 << 20))?;
        let mut entries = Vec::new();
        loop {
            match reader.next_entry() {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next_entry().unwrap_err().to_string(), error.to_string());
                    return Err(error);
                }
            }
        }
        assert!(reader.next_entry().unwrap().is_none());
        assert_eq!(reader.entries(), entries.len() as u64);
        Ok((entries, reader.end().unwrap().clone()))
    }

    /// A log of three entries, and the offsets at which they begin and end.
    fn log(options: &WalWriterOptions) -> (Vec<u8>, Vec<u64>) {
        let sink = Sink::default();
        let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
        let mut offsets = vec![writer.offset()];
        for n in 1..4 {
            writer.append(&key(n), cells(n).iter().map(|cell| cell.as_ref())).unwrap();
            offsets.push(writer.offset());
        }
        (sink.bytes(), offsets)
    }

    fn all_options() -> Vec<WalWriterOptions> {
        let plain = WalWriterOptions::new();
        let packed = plain.clone().compression(true);
        vec![plain.clone(), packed.clone(), plain.checksums(Some(5)), packed.checksums(Some(6))]
    }

    /// Logs of HBase have no checksums. What a flip can hide in a log that was closed is noticed: the trailer
    /// says that all entries were there.
    #[test]
    fn a_flipped_bit_hides_no_entry_of_a_closed_log() {
        for options in [WalWriterOptions::new(), WalWriterOptions::new().compression(true)] {
            let (mut bytes, _) = log(&options);
            bytes.extend(trailer::BYTES);
            let (entries, end) = read(&bytes).unwrap();
            assert_eq!((entries.len(), end), (3, WalEnd::Trailer));
            let mut closed_and_torn = 0;
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let Ok((entries, end)) = read(&flipped) else { continue };
                let refused = end.refused(Path::new("log"));
                assert!(entries.len() == 3 || refused.is_some(), "bit {bit}: {}, {end:?}", entries.len());
                if let Some(error) = refused {
                    assert_eq!(error.kind(), ErrorKind::Truncated);
                    assert!(error.to_string().contains("--accept-torn-logs"), "{error}");
                    closed_and_torn += 1;
                }
            }
            assert!(closed_and_torn > 0);
        }
    }

    #[test]
    fn an_end_is_with_a_trailer_or_without_or_torn() {
        for options in all_options() {
            let (bytes, offsets) = log(&options);
            let (entries, end) = read(&bytes).unwrap();
            assert_eq!((entries.len(), end), (3, WalEnd::NoTrailer));
            for (n, entry) in (1..4).zip(&entries) {
                assert_eq!(entry.key(), &key(n));
                let found: Vec<_> = entry.cells().map(crate::cell::Cell::from).collect();
                let seq_id = key(n).sequence_id;
                let expected: Vec<_> = cells(n)
                    .iter()
                    .map(|cell| crate::cell::Cell::from(cell.as_ref().with_seq_id(seq_id)))
                    .collect();
                assert_eq!(found, expected);
                assert_eq!(entry.cells().len(), expected.len());
            }
            let spans: Vec<_> = entries.iter().map(|entry| (entry.offset(), entry.end())).collect();
            assert_eq!(spans, offsets.windows(2).map(|w| (w[0], w[1])).collect::<Vec<_>>());

            let closed = [&bytes[..], &trailer::BYTES].concat();
            assert_eq!(read(&closed).unwrap(), (entries.clone(), WalEnd::Trailer));
            for len in 0..closed.len() {
                let found = read(&closed[..len]).unwrap();
                let whole = offsets.iter().skip(1).filter(|offset| **offset <= len as u64).count();
                assert_eq!(found.0, entries[..whole], "{len}");
                match found.1 {
                    WalEnd::NoTrailer => assert!(offsets.contains(&(len as u64)), "{len}"),
                    WalEnd::Torn { offset, unread, zeros, .. } => {
                        assert!(!offsets.contains(&(len as u64)) && !zeros, "{len}");
                        let started = offsets.iter().filter(|offset| **offset <= len as u64).max();
                        assert_eq!(offset, started.copied().unwrap_or(0));
                        assert_eq!(offset + unread, len as u64);
                    }
                    end => panic!("{end:?} at {len}"),
                }
            }
        }
    }

    /// The region, span and number of cells of each entry, and whether reading ends with an error.
    type Outcome = (Vec<(Vec<u8>, u64, u64, u32)>, bool);

    fn outcome(bytes: &[u8], only: Option<&[u8]>) -> Outcome {
        let file = Arc::new(MemoryFile::new("dir/log", bytes.to_vec()));
        let mut reader = match WalReader::new(file, &Limits::new()) {
            Ok(reader) => only.into_iter().fold(reader, WalReader::only_cells_of),
            Err(_) => return (Vec::new(), true),
        };
        let mut entries = Vec::new();
        loop {
            match reader.next_entry() {
                Ok(Some(entry)) => {
                    let region = entry.key().encoded_region_name.clone();
                    entries.push((region, entry.offset(), entry.end(), entry.cell_count()));
                }
                Ok(None) => return (entries, false),
                Err(_) => return (entries, true),
            }
        }
    }

    #[test]
    fn entries_of_other_regions_are_read_without_their_cells() {
        for (at, options) in all_options().into_iter().enumerate() {
            let (bytes, offsets) = log(&options);
            let own = key(1).encoded_region_name;
            let file = Arc::new(MemoryFile::new("log", bytes.clone()));
            let skips = WalReader::new(file, &Limits::new()).unwrap().only_cells_of(&own).only.is_some();
            assert_eq!(skips, at == 2, "only in a log with checksums and without dictionaries");
            // All bits but those of a long value.
            let last = usize::try_from(offsets[2]).unwrap();
            for bit in (0..(last + 200) * 8).chain((bytes.len() - 9) * 8..=bytes.len() * 8) {
                let mut bad = bytes.clone();
                if let Some(byte) = bad.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                let of = |only| {
                    let (mut entries, is_error) = outcome(&bad, only);
                    let others = entries.iter_mut().filter(|(region, ..)| *region != own);
                    others.for_each(|(.., cells)| *cells = 0);
                    (entries, is_error)
                };
                assert_eq!(of(Some(&own)), of(None), "bit {bit} of {options:?}");
            }
        }
    }

    #[test]
    fn a_tail_of_zeros_is_torn() {
        for options in all_options() {
            let (bytes, offsets) = log(&options);
            let (entries, _) = read(&bytes).unwrap();
            for zeros in [1, 4, 5, 100, 100_000] {
                let (found, end) = read(&[&bytes[..], &vec![0; zeros]].concat()).unwrap();
                assert_eq!(found, entries);
                let WalEnd::Torn { offset, unread, zeros: is_zeros, .. } = end else { panic!("{end:?}") };
                assert_eq!((offset, unread, is_zeros), (offsets[3], zeros as u64, zeros > 4));
            }
            // all but the first bytes of the last entry
            let mut bad = bytes.clone();
            bad[usize::try_from(offsets[2]).unwrap() + 20..].fill(0);
            let (found, end) = read(&bad).unwrap();
            assert_eq!(found, entries[..2]);
            assert!(matches!(end, WalEnd::Torn { zeros: true, .. }), "{end:?}");
        }
    }

    #[test]
    fn damage_is_an_error_with_its_place() {
        let (bytes, offsets) = log(&WalWriterOptions::new());
        let at = usize::try_from(offsets[1]).unwrap();
        let mut bad = bytes.clone();
        bad[at + 1] = 0x0f;
        let error = read(&bad).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (ErrorKind::Corrupt, Some(offsets[1])));
        assert_eq!(error.path(), Some(Path::new("dir/log")));
        // five zeros, and then more
        let bad = [&bytes[..], &[0; 50], b"x"].concat();
        assert_eq!(read(&bad).unwrap_err().offset(), Some(offsets[3]));
        // zeros before a trailer
        let bad = [&bytes[..], &[0; 50], &trailer::BYTES].concat();
        assert_eq!(read(&bad).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(read(b"HFile").unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn an_entry_that_reaches_into_the_trailer_is_torn() {
        let (bytes, offsets) = log(&WalWriterOptions::new());
        let bad = [&bytes[..bytes.len() - 3], &trailer::BYTES].concat();
        let (found, end) = read(&bad).unwrap();
        assert_eq!(found.len(), 2);
        assert!(matches!(end, WalEnd::Torn { offset, closed: true, .. } if offset == offsets[2]));
        // within the header
        let bad = [&bytes[..7], &trailer::BYTES].concat();
        let (found, end) = read(&bad).unwrap();
        assert!(found.is_empty() && matches!(end, WalEnd::Torn { offset: 0, closed: true, .. }), "{end:?}");
    }

    /// A file whose bytes from an offset on are zeros when a chunk of them is read first.
    #[derive(Debug)]
    struct Growing {
        bytes: MemoryFile,
        written: u64,
        is_read: AtomicBool,
    }

    impl FileReader for Growing {
        fn path(&self) -> &Path {
            self.bytes.path()
        }

        fn len(&self) -> u64 {
            self.bytes.len()
        }

        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
            self.bytes.read_exact_at(buf, offset)?;
            let is_chunk = buf.len() > 1_000 && offset + buf.len() as u64 > self.written;
            if is_chunk && !self.is_read.swap(true, Ordering::Relaxed) {
                let zeros = usize::try_from(self.written - offset).unwrap();
                buf[zeros..].fill(0);
            }
            Ok(())
        }
    }

    #[test]
    fn an_entry_may_end_with_the_bytes_of_a_trailer() {
        let sink = Sink::default();
        let options = WalWriterOptions::new().checksums(Some(5));
        let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
        let place = SeekKey::of(b"r", b"f", b"q", 1, CellType::Put);
        let value = [&b"value"[..], &trailer::BYTES].concat();
        writer.append(&key(1), [CellRef::new(&place, b"v")]).unwrap();
        let offset = writer.offset();
        writer.append(&key(2), [CellRef::new(&place, &value)]).unwrap();
        let bytes = sink.bytes();
        let (entries, end) = read(&bytes).unwrap();
        assert_eq!((entries.len(), end), (2, WalEnd::NoTrailer));
        assert_eq!(entries[1].cells().next().unwrap().value(), value);
        let (entries, end) = read(&[&bytes[..], &trailer::BYTES].concat()).unwrap();
        assert_eq!((entries.len(), end), (2, WalEnd::Trailer));
        // A trailer is one if the entry before it is not whole with its bytes.
        let mut bad = bytes.clone();
        bad[usize::try_from(offset).unwrap() + 30] ^= 1;
        assert_eq!(read(&bad).unwrap_err().offset(), Some(offset));
        let cut = [&bytes[..bytes.len() - 9], &trailer::BYTES].concat();
        assert_eq!(read(&cut).unwrap_err().offset(), Some(offset));
    }

    #[test]
    fn an_entry_that_was_not_there_yet_is_no_damage() {
        let sink = Sink::default();
        let options = WalWriterOptions::new().checksums(Some(5));
        let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
        let mut offsets = Vec::new();
        for n in 1..400 {
            offsets.push(writer.offset());
            writer.append(&key(n), cells(n).iter().map(|cell| cell.as_ref())).unwrap();
            writer.sync().unwrap();
        }
        for written in [offsets[2], offsets[2] + 1, offsets[3] - 1, offsets[200] + 30] {
            let bytes = MemoryFile::new("log", sink.bytes());
            let file = Growing { bytes, written, is_read: AtomicBool::new(false) };
            let mut reader = WalReader::new(Arc::new(file), &Limits::new()).unwrap();
            while reader.next_entry().unwrap().is_some() {}
            assert_eq!((reader.entries(), reader.end()), (399, Some(&WalEnd::NoTrailer)), "{written}");
        }
    }

    #[test]
    fn zeros_after_the_mark_of_the_end_are_no_tear() {
        let (bytes, offsets) = log(&WalWriterOptions::new().checksums(Some(5)));
        for zeros in [0, 1, 5, 200_000] {
            let longer = [&bytes[..], &END_MARK, &vec![0; zeros]].concat();
            let (entries, end) = read(&longer).unwrap();
            assert_eq!((entries.len(), end), (3, WalEnd::NoTrailer));
            let torn = [&bytes[..], &END_MARK, &vec![0; zeros], b"x"].concat();
            let (entries, end) = read(&torn).unwrap();
            assert_eq!(entries.len(), 3);
            assert!(matches!(end, WalEnd::Torn { offset, .. } if offset == offsets[3]), "{end:?}");
        }
    }

    /// A log of two entries, the second without cells: the last byte of its checksum has one bit, and is the
    /// first byte of a unit of the disk.
    fn log_with_a_byte_in_the_next_unit() -> (Vec<u8>, u64, u64) {
        let unit = usize::try_from(UNIT).unwrap();
        for log_id in 1.. {
            let options = WalWriterOptions::new().checksums(Some(log_id));
            let written = |padding: usize| {
                let sink = Sink::default();
                let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
                let place = SeekKey::of(b"r", b"f", b"q", 1, CellType::Put);
                writer.append(&key(1), [CellRef::new(&place, &vec![b'v'; padding])]).unwrap();
                let offset = writer.offset();
                writer.append(&key(2), []).unwrap();
                (sink.bytes(), offset)
            };
            let (bytes, _) = written(500);
            let (bytes, offset) = written(500 + unit - (bytes.len() - 1) % unit);
            assert_eq!((bytes.len() - 1) % unit, 0);
            if bytes.last().unwrap().count_ones() == 1 {
                let end = bytes.len() as u64;
                return (bytes, offset, end);
            }
        }
        unreachable!()
    }

    #[test]
    fn an_entry_of_which_a_unit_is_missing_is_torn() {
        let (bytes, offset, end) = log_with_a_byte_in_the_next_unit();
        let mut torn = bytes.clone();
        *torn.last_mut().unwrap() = 0;
        for zeros in [0, 1, 4, 5, 511, 512, 40_000] {
            let (entries, found) = read(&[&torn[..], &vec![0; zeros]].concat()).unwrap();
            assert_eq!(entries.len(), 1, "{zeros}");
            assert!(matches!(found, WalEnd::Torn { offset: at, .. } if at == offset), "{found:?}");
        }
        // The unit was written, and a bit of it has changed.
        let synced = [&torn[..], &END_MARK, &[0; 100]].concat();
        assert_eq!(read(&synced).unwrap_err().offset(), Some(offset));
        // A bit of another unit has changed.
        for place in [offset + 30, end - 2] {
            let mut bad = bytes.clone();
            bad[usize::try_from(place).unwrap()] ^= 4;
            assert_eq!(read(&bad).unwrap_err().offset(), Some(offset), "{place}");
        }
    }

    #[test]
    fn large_entries_are_over_the_limit() {
        let (bytes, _) = log(&WalWriterOptions::new());
        let file = MemoryFile::new("log", bytes);
        let limits = Limits::new().with_block_bytes(64 * 128);
        let mut reader = WalReader::new(Arc::new(file), &limits).unwrap();
        for _ in 0..2 {
            assert!(reader.next_entry().unwrap().is_some());
        }
        assert_eq!(reader.next_entry().unwrap_err().kind(), ErrorKind::Limit, "a value of 9,000 bytes");
    }
}
