//! The output buffer for the plain bytes of one block.
#![warn(clippy::indexing_slicing)]

use crate::error::Corruption;

/// The end of a buffer, to be filled with exactly the declared number of plain bytes of a block.
///
/// A codec requests [room](Self::room), writes to its start, and [reports](Self::advance) the number of bytes
/// written. The room never exceeds the declared size. Memory is allocated only as codecs request it, so a
/// large declared size alone costs nothing.
#[derive(Debug)]
pub(super) struct Plain<'a> {
    out: &'a mut Vec<u8>,
    /// The offset of the next byte; the contents of `out` from here on are scratch.
    written: usize,
    end: usize,
}

impl<'a> Plain<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, len: usize) -> Self {
        let written = out.len();
        Self { out, written, end: written.saturating_add(len) }
    }

    /// Returns the number of missing bytes.
    pub(super) fn left(&self) -> usize {
        self.end - self.written
    }

    /// Returns a buffer to write to: the missing bytes, but at most `at_most`.
    #[allow(dead_code, reason = "unused if no codec is built in")]
    pub(super) fn room(&mut self, at_most: usize) -> &mut [u8] {
        let to = self.written + at_most.min(self.left());
        if to > self.out.len() {
            if to > self.out.capacity() {
                // doubles as a Vec does, but not beyond the final size
                let capacity = self.out.capacity().saturating_mul(2).clamp(to, self.end);
                self.out.reserve_exact(capacity - self.out.len());
            }
            self.out.resize(to, 0);
        }
        self.out.get_mut(self.written..to).unwrap_or_default()
    }

    /// Marks the first `len` bytes of the room as plain bytes.
    pub(super) fn advance(&mut self, len: usize) {
        self.written = self.written.saturating_add(len).min(self.out.len()).min(self.end);
    }

    /// Appends `bytes` unless that exceeds the number of missing bytes. Returns whether it did.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.left() {
            return false;
        }
        self.out.truncate(self.written);
        self.out.reserve_exact(bytes.len());
        self.out.extend_from_slice(bytes);
        self.advance(bytes.len());
        true
    }

    /// Calls `fill` with the number of missing bytes limited to `len`.
    pub(super) fn within<R>(&mut self, len: usize, fill: impl FnOnce(&mut Self) -> R) -> R {
        let end = self.end;
        self.end = end.min(self.written.saturating_add(len));
        let result = fill(self);
        self.end = end;
        result
    }

    /// Truncates the buffer after the last plain byte.
    pub(super) fn truncate(&mut self) {
        self.out.truncate(self.written);
    }

    /// Truncates the buffer after the last plain byte. Fails if any is missing.
    pub(super) fn finish(mut self) -> Result<(), Corruption> {
        self.truncate();
        match self.left() as u64 {
            0 => Ok(()),
            needed => Err(Corruption::Truncated { what: "plain block", needed, available: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_never_room_beyond_the_promise() {
        let mut out = b"before".to_vec();
        let mut plain = Plain::new(&mut out, 10);
        assert_eq!(plain.room(4).len(), 4);
        assert_eq!(plain.room(100).len(), 10);
        plain.room(8).fill(b'x');
        plain.advance(8);
        assert_eq!(plain.left(), 2);
        assert!(!plain.extend(b"abc"));
        assert_eq!(plain.within(1, |plain| plain.room(9).len()), 1);
        assert!(plain.extend(b"ab"));
        plain.advance(1);
        assert_eq!(plain.left(), 0);
        assert_eq!(plain.finish(), Ok(()));
        assert_eq!(out, b"beforexxxxxxxxab");
    }

    #[test]
    fn a_promise_alone_takes_no_memory() {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out, 1 << 30);
        plain.room(1000);
        plain.advance(1000);
        plain.room(1);
        assert!(plain.finish().is_err());
        assert_eq!(out.len(), 1000);
        assert!(out.capacity() <= 2000);
    }
}
