//! The bytes of a log, read in order, and the reasons for which reading stops.
#![warn(clippy::indexing_slicing)]

use crate::coding::{Cursor, read_varint};
use crate::error::{Corruption, Error};
use crate::io::FileReader;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Bytes that are read in order: a file, or the bytes of a field.
pub(super) trait Source {
    type Error: From<Corruption>;

    /// Returns the next `len` bytes.
    fn take(&mut self, len: usize, what: &'static str) -> Result<&[u8], Self::Error>;

    fn u8(&mut self, what: &'static str) -> Result<u8, Self::Error> {
        Ok(self.take(1, what)?.first().copied().unwrap_or_default())
    }

    /// Reads a protobuf varint of at most 64 bits.
    fn varint(&mut self, what: &'static str) -> Result<u64, Self::Error> {
        read_varint(|| self.u8(what))
    }
}

impl Source for Cursor<'_> {
    type Error = Corruption;

    fn take(&mut self, len: usize, what: &'static str) -> Result<&[u8], Corruption> {
        Cursor::take(self, len, what)
    }
}

/// The reason that an entry could not be read.
#[derive(Debug)]
pub(super) enum Stop {
    /// The entries end inside this one.
    Torn(Corruption),
    /// The bytes exist, but are wrong.
    Damaged(Corruption),
    /// The system failed.
    Io(io::Error),
}

impl From<Corruption> for Stop {
    /// A parser of a part reports a length that does not fit the part. All bytes of the part exist, so this
    /// is not a tear.
    fn from(corruption: Corruption) -> Self {
        let signed = |value| i64::try_from(value).unwrap_or(i64::MAX);
        Self::Damaged(match corruption {
            Corruption::Truncated { what, needed, available } => {
                Corruption::out_of_range(what, signed(needed), 0, signed(available))
            }
            other => other,
        })
    }
}

/// The number of bytes read at once.
const CHUNK: usize = 64 << 10;

/// A file that is read in order, through a window with at least the bytes since the last [mark](Self::mark).
#[derive(Debug)]
pub(super) struct Input {
    file: Arc<dyn FileReader>,
    window: Vec<u8>,
    /// The offset of the window in the file.
    base: u64,
    /// The offset of the mark in the window.
    start: usize,
    /// The offset of the next byte in the window.
    next: usize,
    /// The offset in the file at which the bytes to be read end.
    end: u64,
    /// The maximum number of bytes after the mark.
    max_bytes: usize,
}

impl Input {
    pub(super) fn new(file: Arc<dyn FileReader>, max_bytes: usize) -> Self {
        let end = file.len();
        Self { file, window: Vec::new(), base: 0, start: 0, next: 0, end, max_bytes }
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn file(&self) -> &dyn FileReader {
        &*self.file
    }

    /// Ends reading before the end of the file.
    pub(super) fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    /// Returns the offset at which reading ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Returns the offset of the next byte in the file.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.next as u64
    }

    /// Returns the number of bytes that are not read yet.
    pub(super) fn left(&self) -> u64 {
        self.end.saturating_sub(self.offset())
    }

    /// Reads the bytes from the mark on again.
    pub(super) fn reread(&mut self) {
        self.base += self.start as u64;
        self.window.clear();
        (self.start, self.next) = (0, 0);
    }

    /// Marks the next byte. The bytes from here on are kept in memory.
    pub(super) fn mark(&mut self) {
        self.start = self.next;
    }

    /// Returns the bytes read since the mark.
    pub(super) fn marked(&mut self) -> &mut [u8] {
        self.window.get_mut(self.start..self.next).unwrap_or_default()
    }

    /// Reads until `len` bytes are in the window.
    fn fill(&mut self, len: usize, what: &'static str) -> Result<(), Stop> {
        let (needed, available) = (len as u64, self.left());
        if needed > available {
            return Err(Stop::Torn(Corruption::Truncated { what, needed, available }));
        }
        let there = self.window.len() - self.next;
        if there >= len {
            return Ok(());
        }
        let marked = (self.next - self.start).saturating_add(len);
        if marked > self.max_bytes {
            let (value, limit) = (marked as u64, self.max_bytes as u64);
            return Err(Stop::Damaged(Corruption::Limit { what: "bytes of an entry", value, limit }));
        }
        self.window.drain(..self.start);
        self.base += self.start as u64;
        self.next -= self.start;
        self.start = 0;

        let held = self.window.len();
        let unread = available.saturating_sub(there as u64);
        let count = usize::try_from(unread).unwrap_or(usize::MAX).min((len - there).max(CHUNK));
        self.window.resize(held + count, 0);
        let room = self.window.get_mut(held..).unwrap_or_default();
        self.file.read_exact_at(room, self.base + held as u64).map_err(|error| {
            self.window.truncate(held);
            Stop::Io(error)
        })
    }
}

impl Source for Input {
    type Error = Stop;

    fn take(&mut self, len: usize, what: &'static str) -> Result<&[u8], Stop> {
        self.fill(len, what)?;
        let from = self.next;
        self.next += len;
        Ok(self.window.get(from..self.next).unwrap_or_default())
    }
}

/// Whether all bytes of a file from `from` to `to` are zero.
pub(super) fn are_zeros(file: &dyn FileReader, from: u64, to: u64) -> Result<bool, Error> {
    let mut at = from;
    let mut chunk = vec![0; CHUNK];
    while at < to {
        let len = usize::try_from(to - at).unwrap_or(usize::MAX).min(CHUNK);
        let room = chunk.get_mut(..len).unwrap_or_default();
        file.read_exact_at(room, at).map_err(|error| Error::io("read", file.path(), error))?;
        if room.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        at += len as u64;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryFile;

    fn input(bytes: Vec<u8>, max_bytes: usize) -> Input {
        Input::new(Arc::new(MemoryFile::new("log", bytes)), max_bytes)
    }

    #[test]
    fn bytes_come_in_order_and_stay_from_the_mark_on() {
        let bytes: Vec<u8> = (0..300_000u32).map(|n| n.to_be_bytes()[3]).collect();
        let mut input = input(bytes.clone(), 200_000);
        assert_eq!(input.take(10, "x").unwrap(), &bytes[..10]);
        input.mark();
        assert_eq!(input.take(70_000, "x").unwrap(), &bytes[10..70_010]);
        assert_eq!(input.u8("x").unwrap(), bytes[70_010]);
        assert_eq!(input.marked(), &bytes[10..70_011]);
        assert!(matches!(input.take(150_000, "x"), Err(Stop::Damaged(Corruption::Limit { .. }))));
        input.mark();
        assert_eq!(input.take(150_000, "x").unwrap(), &bytes[70_011..220_011]);
        assert_eq!(input.offset(), 220_011);
        input.set_end(220_020);
        assert_eq!(input.left(), 9);
        let torn = input.take(10, "x");
        assert!(matches!(torn, Err(Stop::Torn(Corruption::Truncated { needed: 10, available: 9, .. }))));
        assert_eq!(input.take(9, "x").unwrap(), &bytes[220_011..220_020]);
    }

    #[test]
    fn zeros_are_found() {
        let file = MemoryFile::new("log", [vec![1; 3], vec![0; 200_000]].concat());
        assert!(are_zeros(&file, 3, 200_003).unwrap());
        assert!(!are_zeros(&file, 2, 200_003).unwrap());
        assert!(are_zeros(&file, 5, 5).unwrap());
        assert!(are_zeros(&file, 5, 200_004).is_err());
    }
}
