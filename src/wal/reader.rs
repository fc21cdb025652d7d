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
use crate::block::crypto::{MasterKeys, SecretKey};
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::io::{FileReader, LocalFile, Storage};
use crate::limits::Limits;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The maximum factor by which a key grows in memory: an empty message takes two bytes in the file.
const KEY_GROWTH: usize = 64;

/// The maximum number of bytes that a key grows by when it is written to recovered edits, in addition to
/// names from dictionaries: its checksum, and longer lengths of its parts.
const REWRITTEN_KEY: usize = 1 << 10;

/// At the end of a file, this many zeros come from a file system that extended the file before a crash. Up to
/// four zeros can be the start of a trailer.
const ZEROS: u64 = 5;

/// The number of bytes that a disk writes atomically.
const UNIT: u64 = 512;

/// The number of bytes that are searched at once for later entries.
const SCAN: usize = 1 << 20;

/// The reason to refuse a closed log that ends within an entry.
const TORN_BUT_CLOSED: &str = "the log was closed, so that a length is damaged and edits may be missing; the \
     option accept_torn_logs (hregion recover --accept-torn-logs) takes what is there";

/// The maximum length of a file of zeros that is read as a log whose header did not reach the disk.
const ZERO_FILE: u64 = 64 << 10;

/// Options for reading a log: the limits, and the master keys for an encrypted one.
#[derive(Clone, Debug, Default)]
pub struct WalReaderOptions {
    limits: Limits,
    master_keys: MasterKeys,
}

impl WalReaderOptions {
    /// Returns the defaults: without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the options with limits and master keys of files.
    pub(crate) fn of_files(limits: &Limits, master_keys: &MasterKeys) -> Self {
        Self { limits: limits.clone(), master_keys: master_keys.clone() }
    }

    /// Sets the limits on the memory that a log may cause to be allocated, as [`WalReader::new`] says.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns the limits.
    pub(crate) fn limit_values(&self) -> &Limits {
        &self.limits
    }

    /// Sets the cluster's master key, for an encrypted log: the bytes of an AES key. Needs the feature
    /// `crypto`. HBase: the key that `hbase.crypto.wal.key.name` names, or else
    /// `hbase.crypto.master.key.name`.
    #[must_use]
    pub fn master_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        self.master_keys.current = Some(SecretKey::from(key));
        self
    }

    /// Sets another master key, which is tried if the [master key](Self::master_key) does not unwrap a log's
    /// data key: the cluster's previous one, or the master key of its files if logs have one of their own
    /// (HBase: `hbase.crypto.master.alternate.key.name`).
    #[must_use]
    pub fn alternate_master_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        self.master_keys.alternate = Some(SecretKey::from(key));
        self
    }

    /// Opens a log of the local file system.
    ///
    /// # Errors
    ///
    /// Same as [`open_reader`](Self::open_reader), or any error of the system.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<WalReader> {
        let path = path.as_ref();
        let file = LocalFile::open(path).map_err(|error| Error::io("open", path, error))?;
        self.open_reader(Arc::new(file))
    }

    /// Opens a log. Reads its header and looks for its trailer.
    ///
    /// # Errors
    ///
    /// Same as [`WalReader::new`], except that a log is [`Unsupported`](ErrorKind::Unsupported) for its
    /// encryption only without a master key or the feature `crypto`. A key that does not unwrap the data key
    /// is [`Corrupt`](ErrorKind::Corrupt): it cannot be distinguished from a damaged data key.
    pub fn open_reader(&self, file: Arc<dyn FileReader>) -> Result<WalReader> {
        WalReader::with_options(file, self)
    }
}

/// Reads the entries of a write-ahead log, or of a file of recovered edits.
///
/// Logs of HBase have no checksums of entries, neither plain nor encrypted: a flipped bit in a value is not
/// detected, and a flipped bit in a length can look like the end of the log. If reading ended early,
/// [`WalEnd::Torn`] has the number of unread bytes, and whether the log was closed, in which case it is
/// damaged. Logs with checksums, which only this crate writes, never return wrong cells.
///
/// A log with dictionaries can only be read from its start. A file is one of recovered edits if its path
/// contains `recovered.edits`, as in HBase; such a file with dictionaries must be read under that path.
///
/// HBase: `ProtobufWALStreamReader`; before 2.6, `ProtobufLogReader`.
#[derive(Debug)]
pub struct WalReader {
    input: Input,
    /// `None` if the file ends within its header.
    header: Option<WalHeader>,
    cells: CellReader,
    /// The maximum number of bytes of an entry, in the file and in memory.
    max_bytes: usize,
    /// The maximum number of bytes of a key.
    max_key: usize,
    /// The region whose cells are decoded; `None` for all.
    only: Option<Vec<u8>>,
    has_trailer: bool,
    /// The number of entries read.
    entries: u64,
    /// The length of the key of an entry whose cells have been read, if it has a checksum.
    key_end: Option<usize>,
    end: Option<WalEnd>,
    failed: Option<Error>,
}

/// The end of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WalEnd {
    /// With a trailer: the log was closed, and all its entries were read.
    Trailer,
    /// After an entry, without a trailer: the server is still writing, or has died. All entries were read. In
    /// a log with checksums, reserved space may follow.
    ///
    /// HBase reports an `EOFException`, and continues.
    NoTrailer,
    /// Inside an entry or inside the header, of which nothing was read.
    ///
    /// HBase reports an `EOFException` and continues, except after a tail of zeros, which it treats as
    /// damage.
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
        /// The missing part.
        reason: Corruption,
    },
}

impl WalEnd {
    /// Returns the torn end as an error of kind [`ErrorKind::Truncated`] with the offset of the entry in the
    /// log at `path`; `None` if the log does not end within an entry.
    #[must_use]
    pub fn to_error(&self, path: &Path) -> Option<Error> {
        self.torn(path, None)
    }

    /// Like [`to_error`](Self::to_error), with a reason other than the missing part.
    pub(crate) fn torn(&self, path: &Path, because: Option<&'static str>) -> Option<Error> {
        let Self::Torn { offset, unread, reason, .. } = self else { return None };
        let reason = Box::new(because.map_or_else(|| reason.clone(), Corruption::Malformed));
        Some(Corruption::TornLog { unread: *unread, reason }.at(path, *offset))
    }

    /// Returns the error with which the log at `path` is refused if torn logs are not accepted: it was
    /// closed, but ends within an entry. Of kind [`ErrorKind::Truncated`].
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
    /// Opens a log of the local file system that is not encrypted.
    ///
    /// # Errors
    ///
    /// Same as [`new`](Self::new), or any error of the system.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        WalReaderOptions::new().open(path)
    }

    /// Opens a log that is not encrypted; [`WalReaderOptions`] opens any. Reads its header and looks for its
    /// trailer.
    ///
    /// An entry takes at most [`Limits::block_bytes`] in the file and in memory, each dictionary and the
    /// header at most [`Limits::load_on_open_bytes`]. In recovered edits, an entry may take half as much
    /// again, so that each one that was read from a log can also be read there: without dictionaries, but
    /// with a checksum.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if this is not a log, or if its header is damaged; [`ErrorKind::Unsupported`]
    /// if it is encrypted, older than HBase 0.96, or needs a class or codec that this build does not have;
    /// any error of the system. A log that ends within its header is not an error: it has no entries.
    pub fn new(file: Arc<dyn FileReader>, limits: &Limits) -> Result<Self> {
        WalReaderOptions::new().limits(limits.clone()).open_reader(file)
    }

    fn with_options(file: Arc<dyn FileReader>, options: &WalReaderOptions) -> Result<Self> {
        let limits = &options.limits;
        let recovered_edits = is_recovered_edits(file.path());
        let (mut max_bytes, mut max_key) = (limits.block_bytes, Self::max_key_len(limits.block_bytes));
        if recovered_edits {
            // The lengths of parts of a cell are at most a sixth of its memory. A key whose names are all
            // written out is about twice as long at most.
            max_bytes = max_bytes.saturating_add(max_bytes / 2).saturating_add(REWRITTEN_KEY);
            max_key = max_key.saturating_mul(3).saturating_add(REWRITTEN_KEY);
        }
        let mut input = Input::new(Arc::clone(&file), max_bytes);
        let at = |corruption: Corruption| corruption.at(file.path(), 0);
        let (header, end) = match WalHeader::read(&mut input, limits.load_on_open_bytes) {
            Ok(header) => (Some(header), None),
            Err(Stop::Torn(reason)) if has_log_id(&*file)? => return Err(at(reason)),
            Err(Stop::Torn(reason)) => {
                // The start of the entries is unknown, so only a trailer without a message is recognized.
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
        let cipher = settings.cipher(&options.master_keys).map_err(at)?;
        let cells = CellReader::new(&settings, cipher, recovered_edits, max_bytes, limits.load_on_open_bytes)
            .map_err(at)?;
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
            max_key,
            only: None,
            has_trailer,
            entries: 0,
            key_end: None,
            end,
            failed: None,
        })
    }

    /// Fails if logs may have more entries than can be read: their servers have not closed them, and the
    /// storage [hides](Storage::can_hide_writes) written bytes. Logs that no longer exist are skipped.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidArgument`](ErrorKind::InvalidArgument) if there is such a log; otherwise the same as
    /// [`WalReaderOptions::open_reader`].
    pub(crate) fn refuse_unclosed<'a>(
        storage: &dyn Storage,
        logs: impl IntoIterator<Item = &'a Path>,
        options: &WalReaderOptions,
    ) -> Result<()> {
        for path in logs.into_iter().filter(|path| storage.can_hide_writes(path)) {
            let file = match storage.open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened.map_err(|error| Error::io("open", path, error))?,
            };
            if !options.open_reader(file)?.has_trailer {
                let message = "a log that its server has not closed may have more than can be read: first a \
                               recovery of the root must end its writing";
                return Err(Error::invalid_argument(format!("{message} ({})", path.display())));
            }
        }
        Ok(())
    }

    /// Returns the maximum length of a key, if an entry has at most that many bytes.
    pub(crate) fn max_key_len(entry_bytes: usize) -> usize {
        entry_bytes / KEY_GROWTH
    }

    /// Skips the cells of entries of all regions but one, if they need not be decoded to continue: in a log
    /// with checksums, without dictionaries and encryption.
    pub(crate) fn only_cells_of(mut self, encoded_region_name: &[u8]) -> Self {
        let is_checked = self.header.as_ref().and_then(WalHeader::log_id).is_some();
        if is_checked && self.cells.can_skip() {
            self.only = Some(encoded_region_name.to_vec());
        }
        self
    }

    /// Returns the settings with which the log was written; `None` if the file ends before them.
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

    /// Returns the next entry, or `None` after the last. [`end`](Self::end) then returns how the log ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if bytes are wrong that are not the torn end of the log; [`ErrorKind::Limit`]
    /// if an entry is too large; any error of the system. Later calls return the same error, because the
    /// start of the next entry is unknown.
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
                // The writer may have written this and later entries after it was read.
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

    /// Whether an entry can be read again: it has a checksum, and nothing else depends on the bytes read.
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

    /// Reads the entry at `offset`, which overlaps the trailer, including the trailer's bytes. If its
    /// checksum is right, these belong to a value or tag, and the log has no trailer.
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

    /// Passes each remaining entry to `see`, and returns how the log ends.
    pub(crate) fn for_each_entry(mut self, mut see: impl FnMut(&WalEntry) -> Result<()>) -> Result<WalEnd> {
        while let Some(entry) = self.next_entry()? {
            see(&entry)?;
        }
        let at = |corruption: Corruption| corruption.at(self.input.path(), 0);
        self.end.ok_or_else(|| at(Corruption::Malformed("a log without an end")))
    }

    fn read_entry(&mut self, offset: u64) -> Result<WalEntry, Stop> {
        let max_key = self.max_key;
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

    /// Like [`classify`](Self::classify), in a log with checksums. An entry that cannot be read is torn if it
    /// may not have reached the disk. It is damaged if a later entry records that it was on disk, or if one
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
    /// all, or by one bit. A wrong bit in a disk unit of zeros means that a crash left the unit unwritten.
    /// The unit after which a synced entry ends has the mark of the end, and is not all zeros.
    fn is_written(&self, offset: u64, difference: Difference) -> Result<bool> {
        let place = match difference {
            // an entry from another offset
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

    /// Whether the entry at `offset`, which could not be read, was on disk: a later entry records it, or all
    /// its bytes exist with at most one wrong bit.
    fn was_on_disk(&self, log_id: u64, offset: u64) -> Result<bool> {
        let (file, end) = (self.input.file(), self.input.end());
        let read = |from: u64, len: usize| {
            let mut bytes = vec![0; len];
            let done = file.read_exact_at(&mut bytes, from);
            done.map(|()| bytes).map_err(|error| Error::io("read", file.path(), error))
        };
        // Entries cannot exceed the bytes of the log. A file with many false ones is damaged.
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

/// Whether a file has the complete field with a log's id, the last one of the header. A header whose length
/// exceeds the file is then damaged.
fn has_log_id(file: &dyn FileReader) -> Result<bool> {
    let len = usize::try_from(file.len()).unwrap_or(usize::MAX).min(SCAN);
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).map_err(|error| Error::io("read", file.path(), error))?;
    Ok(bytes.windows(LOG_ID_FIELD.len() + LOG_ID_LEN).any(|field| field.starts_with(&LOG_ID_FIELD)))
}

#[cfg(test)]
mod tests;
