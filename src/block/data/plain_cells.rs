//! A buffer for plain cells being decoded.
#![warn(clippy::indexing_slicing)]

use crate::coding::{Cursor, put_short};
use crate::error::Corruption;

/// Short runs are copied as this many bytes; the excess is then truncated.
const SHORT: usize = 16;
/// The same for copies from an earlier cell, usually most of a key.
const SHORT_BACK: usize = 64;

/// Whatever the limit, no block has more bytes of cells: HBase counts them with 31 bits, and a block in
/// memory with 32.
const MAX_LEN: usize = i32::MAX as usize;

/// The cells decoded so far, after the previous contents of the buffer. A copy from an earlier cell is a copy
/// within the buffer, so a decoder does not keep a key of its own.
pub(super) struct PlainCells<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    limit: usize,
    /// The offset of the last cell.
    last: usize,
}

impl<'o> PlainCells<'o> {
    /// Appends a whole cell.
    pub(super) fn put_cell(&mut self, cell: &[u8]) -> Result<(), Corruption> {
        self.last = self.position();
        self.put_all(cell)
    }

    /// Appends cells to `out`: at most `limit` bytes, with an estimate of `likely` bytes.
    pub(super) fn new(out: &'o mut Vec<u8>, limit: usize, likely: usize) -> Self {
        let limit = limit.min(MAX_LEN);
        out.reserve(likely.min(limit).saturating_add(SHORT_BACK));
        Self { start: out.len(), last: out.len(), out, limit }
    }

    /// Returns the offset of the next byte.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.out.len()
    }

    /// Returns the offset of the last cell.
    pub(super) fn last(&self) -> usize {
        self.last
    }

    /// Returns the bytes put since a position.
    #[inline]
    pub(super) fn since(&self, position: usize) -> &[u8] {
        self.out.get(position..).unwrap_or_default()
    }

    /// Checks that `len` more bytes are within the limit.
    #[inline]
    pub(super) fn allow(&self, len: usize) -> Result<(), Corruption> {
        let size = (self.out.len() - self.start).saturating_add(len);
        if size <= self.limit { Ok(()) } else { Err(over(size, self.limit)) }
    }

    /// Starts a cell: puts the two lengths, and checks that key and value fit the limit. Returns the offset
    /// of the key.
    #[inline]
    pub(super) fn begin(&mut self, key_len: usize, value_len: usize) -> Result<usize, Corruption> {
        self.allow(key_len.saturating_add(value_len).saturating_add(8))?;
        let (Ok(key), Ok(value)) = (i32::try_from(key_len), i32::try_from(value_len)) else {
            return Err(Corruption::Malformed("key or value of 2 GiB or more"));
        };
        let lengths = u64::from(key.cast_unsigned()) << 32 | u64::from(value.cast_unsigned());
        self.last = self.position();
        self.put_array(lengths.to_be_bytes());
        Ok(self.position())
    }

    /// Puts an array of bytes.
    #[inline]
    pub(super) fn put_array<const N: usize>(&mut self, bytes: [u8; N]) {
        self.out.extend_from_slice(&bytes);
    }

    /// Puts the first `len` of `bytes`, which must have at least that many. Optimized for short runs.
    #[inline]
    pub(super) fn put_short(&mut self, bytes: &[u8], len: usize) {
        put_short::<SHORT>(self.out, bytes, len);
    }

    /// Moves `len` bytes from the payload to the buffer. Optimized for short runs.
    #[inline]
    pub(super) fn take_short(
        &mut self,
        payload: &mut Cursor<'_>,
        len: usize,
        what: &'static str,
    ) -> Result<(), Corruption> {
        let bytes = payload.rest();
        payload.take(len, what)?;
        self.put_short(bytes, len);
        Ok(())
    }

    /// Moves `len` bytes from the payload to the buffer.
    #[inline]
    pub(super) fn take(
        &mut self,
        payload: &mut Cursor<'_>,
        len: usize,
        what: &'static str,
    ) -> Result<(), Corruption> {
        self.out.extend_from_slice(payload.take(len, what)?);
        Ok(())
    }

    /// Copies `len` bytes that were put before, usually a part of a key.
    ///
    /// The caller must have checked that they exist.
    // see `PreviousCell::next_key`
    #[inline(always)]
    pub(super) fn copy_back(&mut self, from: usize, len: usize) {
        let end = self.out.len() + len;
        if len <= SHORT_BACK && from + SHORT_BACK <= self.out.len() {
            self.out.extend_from_within(from..from + SHORT_BACK);
            self.out.truncate(end);
        } else {
            self.out.extend_from_within(from..from + len);
        }
    }

    /// Puts cells that are already plain.
    pub(super) fn put_all(&mut self, cells: &[u8]) -> Result<(), Corruption> {
        self.allow(cells.len())?;
        self.out.extend_from_slice(cells);
        Ok(())
    }
}

#[cold]
fn over(size: usize, limit: usize) -> Corruption {
    Corruption::Limit { what: "decoded data block", value: size as u64, limit: limit as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few kilobytes of a delta encoding can be gigabytes of cells.
    #[test]
    fn more_cells_than_a_block_can_have_are_refused_without_a_limit() {
        let mut out = Vec::new();
        let cells = PlainCells::new(&mut out, usize::MAX, 0);
        assert_eq!(cells.allow(MAX_LEN), Ok(()));
        let refused = cells.allow(MAX_LEN + 1).unwrap_err();
        assert!(matches!(refused, Corruption::Limit { limit, .. } if limit == MAX_LEN as u64), "{refused}");
    }
}
