//! The cells of one row in one buffer: reused during a scan, or owned.

use super::key_value::estimated_size;
use super::{CellKey, CellOrder, CellRef, StringBinary};
use crate::error::{Error, Result};
use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// The header of each cell: key length, value length, tags length (`u32` each) and sequence id.
const HEADER_LEN: usize = 4 + 4 + 4 + 8;

/// The cells of a row, in order, in a buffer that is reused for each row: reads into it do not allocate
/// (HBase: the list that `RegionScanner#next` fills).
#[derive(Clone)]
pub struct RowBuf {
    /// The cells are in the first `used` bytes; the later ones are reusable memory.
    bytes: Vec<u8>,
    used: usize,
    len: usize,
    /// The limit on the cells of a family that a read adds, in bytes as HBase counts them.
    limit: usize,
    /// The recent surplus of gets that found nothing over gets that found something, from 0 to
    /// [`MAX_MISSES`].
    misses: u8,
    /// The recent surplus of files that have the row of a get over those that do not, from minus to plus
    /// [`MAX_FILES`].
    files: i8,
    scratch: Scratch,
}

const MAX_MISSES: u8 = 7;

const MAX_FILES: i8 = 32;

/// The buffers of a read, kept with its result so that reading the next row does not allocate. They have no
/// content between reads.
#[derive(Default)]
struct Scratch(Option<Box<dyn Any + Send + Sync>>);

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl UnwindSafe for Scratch {}
impl RefUnwindSafe for Scratch {}

impl Default for RowBuf {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            used: 0,
            len: 0,
            limit: usize::MAX,
            misses: 0,
            files: 0,
            scratch: Scratch::default(),
        }
    }
}

impl RowBuf {
    /// Creates an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes the cells, but keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.used = 0;
        self.len = 0;
    }

    /// Sets the limit, in bytes, on the cells of each family that are [added](Self::try_push) after this
    /// call. The buffer must not have cells of these families.
    #[inline]
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        // The limit is checked only when the buffer grows.
        let end = self.used.saturating_add(limit);
        if self.bytes.len() > end {
            self.bytes.truncate(end);
        }
    }

    /// Appends a copy of a cell.
    ///
    /// # Panics
    ///
    /// If key, value or tags have 4 GiB or more, which no valid cell has.
    #[inline]
    pub fn push(&mut self, cell: CellRef<'_>) {
        let end = self.end_with(cell);
        if end > self.bytes.len() {
            self.grow(end, usize::MAX);
        }
        self.copy(cell, end);
    }

    /// Appends a copy of a cell that is read. Fails if its family has more bytes than a read may return.
    #[inline]
    pub(crate) fn try_push(&mut self, cell: CellRef<'_>) -> Result<()> {
        let end = self.end_with(cell);
        if end > self.bytes.len() {
            self.grow_within_limit(cell, end)?;
        }
        self.copy(cell, end);
        Ok(())
    }

    /// Returns the number of bytes used with one more cell.
    #[inline]
    fn end_with(&self, cell: CellRef<'_>) -> usize {
        self.used + HEADER_LEN + cell.key().as_bytes().len() + cell.value().len() + cell.tag_bytes().len()
    }

    /// Appends a copy of a cell, which ends at `end`.
    #[inline]
    fn copy(&mut self, cell: CellRef<'_>, end: usize) {
        let key = cell.key().as_bytes();
        let (value, tags) = (cell.value(), cell.tag_bytes());
        let header = header(key.len(), value.len(), tags.len(), cell.seq_id());
        let (header_place, rest) = self.bytes[self.used..end].split_at_mut(HEADER_LEN);
        let (key_place, rest) = rest.split_at_mut(key.len());
        let (value_place, tags_place) = rest.split_at_mut(value.len());
        header_place.copy_from_slice(&header);
        key_place.copy_from_slice(key);
        value_place.copy_from_slice(value);
        if !tags.is_empty() {
            tags_place.copy_from_slice(tags);
        }
        self.used = end;
        self.len += 1;
    }

    /// Grows to `len` bytes or more, but at most to `max`. Not to the full capacity: after a larger row,
    /// that could take longer than to read this one.
    #[cold]
    fn grow(&mut self, len: usize, max: usize) {
        let doubled = self.bytes.len().saturating_mul(2).clamp(len, max);
        self.bytes.reserve_exact(doubled - self.bytes.len());
        self.bytes.resize(doubled, 0);
    }

    /// Grows for a cell that ends at `len`, if its family remains within the limit. The buffer stays so small
    /// that it must grow before a family can exceed the limit: a cell takes more bytes here than HBase counts
    /// for it.
    #[cold]
    fn grow_within_limit(&mut self, cell: CellRef<'_>, len: usize) -> Result<()> {
        let mut max = self.limit;
        if len > max {
            let family = self.as_row().cells().filter(|other| other.family() == cell.family());
            let bytes = family.map(estimated_size).fold(estimated_size(cell), u64::saturating_add);
            let Some(left) = (self.limit as u64).checked_sub(bytes) else {
                return Err(too_big(cell, self.limit));
            };
            max = len.saturating_add(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.grow(len, max);
        Ok(())
    }

    /// Returns a reference to the row.
    #[inline]
    #[must_use]
    pub fn as_row(&self) -> RowRef<'_> {
        RowRef { bytes: &self.bytes[..self.used], len: self.len }
    }

    /// Returns an owned copy of the row, in one allocation.
    #[must_use]
    pub fn freeze(&self) -> Row {
        self.as_row().to_row()
    }

    /// Returns the number of cells.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no cells.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the position of the next cell.
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.used, self.len)
    }

    /// Whether the next get is likely to find nothing, judging by recent gets.
    #[inline]
    pub(crate) fn expects_nothing(&self) -> bool {
        self.misses > MAX_MISSES / 2
    }

    /// Records whether a get has found anything.
    #[inline]
    pub(crate) fn note_found(&mut self, found: bool) {
        self.misses = if found { self.misses.saturating_sub(1) } else { MAX_MISSES.min(self.misses + 1) };
    }

    /// Whether most files are likely to have the row of the next get, judging by recent gets.
    #[inline]
    pub(crate) fn expects_most_files(&self) -> bool {
        self.files > MAX_FILES / 2
    }

    /// Records the numbers of files with and without the row of a get.
    #[inline]
    pub(crate) fn note_files(&mut self, with: usize, without: usize) {
        let few = |files: usize| i8::try_from(files).unwrap_or(i8::MAX);
        let surplus = few(with).saturating_sub(few(without));
        self.files = self.files.saturating_add(surplus).clamp(-MAX_FILES, MAX_FILES);
    }

    /// Removes the cells after a mark.
    pub(crate) fn truncate(&mut self, (bytes, len): (usize, usize)) {
        self.used = bytes.min(self.used);
        self.len = len;
    }

    /// Removes the cells for which `keep` returns false.
    pub fn retain(&mut self, mut keep: impl FnMut(CellRef<'_>) -> bool) {
        let (mut from, mut to, mut len) = (0, 0, 0);
        // A panic of `keep` leaves no cells, instead of a partly moved row.
        let (used, left) = (std::mem::take(&mut self.used), std::mem::take(&mut self.len));
        loop {
            let mut cells = Cells { rest: &self.bytes[from..used], left };
            let Some(cell) = cells.next() else { break };
            let kept = keep(cell);
            let next = used - cells.rest.len();
            if kept {
                self.bytes.copy_within(from..next, to);
                to += next - from;
                len += 1;
            }
            from = next;
        }
        (self.used, self.len) = (to, len);
    }

    /// Sorts the cells.
    pub(crate) fn sort(&mut self, order: CellOrder) {
        let compare = |a: &CellRef<'_>, b: &CellRef<'_>| {
            order.compare(a.key(), b.key()).then(b.seq_id().cmp(&a.seq_id()))
        };
        let row = self.as_row();
        if row.cells().is_sorted_by(|a, b| compare(a, b).is_le()) {
            return;
        }
        let mut cells: Vec<_> = row.cells().collect();
        cells.sort_by(compare);
        let mut sorted = Self::new();
        cells.into_iter().for_each(|cell| sorted.push(cell));
        self.replace(sorted);
    }

    /// Takes the cells of another buffer.
    pub(crate) fn replace(&mut self, other: Self) {
        (self.bytes, self.used, self.len) = (other.bytes, other.used, other.len);
    }

    /// Takes the buffers of a read, until they are returned.
    #[inline]
    pub(crate) fn take_scratch<T: Any + Default>(&mut self) -> Box<T> {
        self.scratch.0.take().and_then(|scratch| scratch.downcast().ok()).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn keep_scratch<T: Any + Send + Sync>(&mut self, scratch: Box<T>) {
        self.scratch.0 = Some(scratch);
    }
}

/// Returns the error of a row with too many bytes in the family of `cell` (HBase: `RowTooBigException`).
#[cold]
fn too_big(cell: CellRef<'_>, limit: usize) -> Error {
    let (row, family) = (StringBinary(cell.row()), StringBinary(cell.family()));
    let message = format!("row {row:.64} has more than {limit} bytes in family {family}, the limit of a row");
    Error::over_limit(message)
}

#[inline]
fn header(key: usize, value: usize, tags: usize, seq_id: i64) -> [u8; HEADER_LEN] {
    let word = |len: usize| u32::try_from(len).expect("parts of a cell have less than 4 GiB").to_be_bytes();
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&word(key));
    header[4..8].copy_from_slice(&word(value));
    header[8..12].copy_from_slice(&word(tags));
    header[12..].copy_from_slice(&seq_id.to_be_bytes());
    header
}

/// The cells of a row, in order, borrowed from a scanner until its next step (HBase: `Result`).
#[derive(Clone, Copy)]
pub struct RowRef<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> RowRef<'a> {
    /// Returns the row key; empty if there are no cells.
    #[inline]
    #[must_use]
    pub fn key(self) -> &'a [u8] {
        self.cells().next().map_or(&[], |cell| cell.row())
    }

    /// Returns the cells.
    #[inline]
    #[must_use]
    pub fn cells(self) -> Cells<'a> {
        Cells { rest: self.bytes, left: self.len }
    }

    /// Returns the number of cells.
    #[inline]
    #[must_use]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are no cells.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Returns the first cell of a column: its newest version.
    #[must_use]
    pub fn cell(self, family: impl AsRef<[u8]>, qualifier: impl AsRef<[u8]>) -> Option<CellRef<'a>> {
        let (family, qualifier) = (family.as_ref(), qualifier.as_ref());
        self.cells().find(|cell| cell.qualifier() == qualifier && cell.family() == family)
    }

    /// Returns the value of the first cell of a column.
    #[must_use]
    pub fn value(self, family: impl AsRef<[u8]>, qualifier: impl AsRef<[u8]>) -> Option<&'a [u8]> {
        self.cell(family, qualifier).map(|cell| cell.value())
    }

    /// Returns an owned copy, in one allocation.
    #[must_use]
    pub fn to_row(self) -> Row {
        Row { bytes: self.bytes.into(), len: self.len, stale: false }
    }
}

/// An owned row (HBase: `Result`).
///
/// Rows are equal if all parts of their cells are. These include the sequence ids, which a compaction may set
/// to 0.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    bytes: Box<[u8]>,
    len: usize,
    stale: bool,
}

impl Row {
    /// Returns a reference to the row.
    #[inline]
    #[must_use]
    pub fn as_row(&self) -> RowRef<'_> {
        RowRef { bytes: &self.bytes, len: self.len }
    }

    /// Returns the row key; empty if there are no cells.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        self.as_row().key()
    }

    /// Returns the cells, in order.
    #[must_use]
    pub fn cells(&self) -> Cells<'_> {
        self.as_row().cells()
    }

    /// Returns the number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no cells: the row does not exist, or has none of the cells requested.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the first cell of a column: its newest version.
    #[must_use]
    pub fn cell(&self, family: impl AsRef<[u8]>, qualifier: impl AsRef<[u8]>) -> Option<CellRef<'_>> {
        self.as_row().cell(family, qualifier)
    }

    /// Returns the value of the first cell of a column.
    #[must_use]
    pub fn value(&self, family: impl AsRef<[u8]>, qualifier: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.as_row().value(family, qualifier)
    }

    /// Whether the row was read from a replica of its region other than the primary, so that the last writes
    /// may be missing (HBase: `Result.isStale`). Only reads of a cluster with
    /// [`Consistency::Timeline`](crate::Consistency::Timeline) return such rows.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Sets whether the row is stale.
    #[must_use]
    pub fn with_stale(mut self, stale: bool) -> Self {
        self.stale = stale;
        self
    }
}

/// An iterator over the cells of a row, in their order (HBase: `CellScanner`).
#[derive(Clone)]
pub struct Cells<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for Cells<'a> {
    type Item = CellRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<CellRef<'a>> {
        let (header, rest) = self.rest.split_first_chunk::<HEADER_LEN>()?;
        let word =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (seq_id, _) = header[12..].split_first_chunk().expect("a header ends with eight bytes");
        let (key, rest) = rest.split_at(word(0) as usize);
        let (value, rest) = rest.split_at(word(4) as usize);
        let (tags, rest) = rest.split_at(word(8) as usize);
        self.rest = rest;
        self.left -= 1;
        Some(CellRef { key: CellKey::from_checked(key), value, tags, seq_id: i64::from_be_bytes(*seq_id) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Cells<'_> {}

impl fmt::Debug for Cells<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl fmt::Debug for RowRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cells().fmt(f)
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cells().fmt(f)
    }
}

impl fmt::Debug for RowBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_row().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CellType, LATEST_TIMESTAMP, SeekKey};

    #[test]
    fn a_row_gives_back_its_cells() {
        let key = |qualifier: &str, ts| SeekKey::of(b"r", b"f", qualifier.as_bytes(), ts, CellType::Put);
        let keys = [key("a", 2), key("a", 1), key("b", LATEST_TIMESTAMP)];
        let tags = [0, 2, 9, 1];
        let cells = [
            CellRef::new(&keys[0], b"new").with_seq_id(7),
            CellRef::new(&keys[1], b"").with_tag_bytes(&tags).unwrap(),
            CellRef::new(&keys[2], b"other").with_seq_id(-1),
        ];
        let mut buffer = RowBuf::new();
        assert!(buffer.freeze().is_empty() && buffer.as_row().key().is_empty());
        cells.iter().for_each(|cell| buffer.push(*cell));
        let row = buffer.freeze();
        assert!(row.cells().eq(cells) && row.cells().len() == 3 && row.key() == b"r");
        assert_eq!(row.value("f", "a"), Some(&b"new"[..]));
        assert_eq!(row.value("f", "c"), None);
        assert_eq!(buffer.as_row().to_row(), row);
        buffer.retain(|cell| cell.qualifier() == b"a");
        assert!(buffer.as_row().cells().eq([cells[0], cells[1]]) && buffer.len() == 2);
        buffer.retain(|cell| cell.timestamp() == 1);
        assert!(buffer.as_row().cells().eq([cells[1]]));
        buffer.clear();
        assert!(buffer.is_empty() && row.len() == 3);
        [2, 0, 1].into_iter().for_each(|i| buffer.push(cells[i]));
        buffer.sort(CellOrder::User);
        assert!(buffer.as_row().cells().eq(cells));
    }

    /// A caller whose hook has panicked may continue to use the buffer.
    #[test]
    fn a_panic_while_cells_are_removed_leaves_none() {
        let keys = [1, 2, 3].map(|ts| SeekKey::of(b"r", b"f", b"q", ts, CellType::Put));
        let mut buffer = RowBuf::new();
        for (key, value) in keys.iter().zip([&b"a long value"[..], b"", b"v"]) {
            buffer.push(CellRef::new(key, value));
        }
        let mut count = 0;
        let removed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            buffer.retain(|cell| {
                count += 1;
                assert!(count < 3, "as a hook may");
                cell.timestamp() == 2
            });
        }));
        assert!(removed.is_err() && buffer.is_empty());
        assert_eq!(buffer.as_row().cells().count(), 0);
        buffer.push(CellRef::new(&keys[0], b"v"));
        assert_eq!(buffer.freeze().value("f", "q"), Some(&b"v"[..]));
    }

    /// For each limit, a buffer accepts as many cells of a family as fit, whatever it held before.
    #[test]
    fn a_read_adds_no_more_bytes_of_a_family_than_the_limit() {
        let key = |family: &str, i: i64| SeekKey::of(b"r", family.as_bytes(), b"q", i, CellType::Put);
        let tags = [0, 2, 9, 1];
        let values = [&b""[..], b"v", b"a longer value", b"", b"seven", b""];
        let keys: Vec<_> =
            ["f", "g", "h"].iter().flat_map(|family| (0..40).map(|i| key(family, 100 - i))).collect();
        let cells: Vec<CellRef<'_>> = (keys.iter().zip(values.iter().cycle()).enumerate())
            .map(|(i, (key, value))| {
                let cell = CellRef::new(key, value);
                if i % 7 == 3 { cell.with_tag_bytes(&tags).unwrap() } else { cell }
            })
            .collect();
        let mut used = RowBuf::new();
        (0..200).for_each(|_| used.push(cells[2]));
        let different = [[0, 500, 100], [1500, 0, 40], [100, 1500, 700]];
        for limits in (0..1500).chain([usize::MAX]).map(|limit| [limit; 3]).chain(different) {
            for mut buffer in [RowBuf::new(), used.clone()] {
                buffer.clear();
                let (mut kept, mut bytes) = (Vec::new(), 0);
                for (i, &cell) in cells.iter().enumerate() {
                    let limit = limits[i / 40];
                    if i % 40 == 0 {
                        bytes = 0;
                        // A limit that is the same for all families may be set once.
                        if i == 0 || limit != limits[0] || limit % 2 == 0 {
                            buffer.set_limit(limit);
                        }
                    }
                    let fits = bytes + estimated_size(cell) <= limit as u64;
                    let pushed = buffer.try_push(cell);
                    assert_eq!(pushed.is_ok(), fits, "{limits:?} {i}");
                    if let Err(error) = pushed {
                        assert_eq!(error.kind(), crate::ErrorKind::Limit);
                        assert!(error.to_string().contains("row r has more than"), "{error}");
                        continue;
                    }
                    bytes += estimated_size(cell);
                    kept.push(cell);
                }
                assert!(buffer.as_row().cells().eq(kept));
            }
        }
    }

    /// For each row, the limit of one family shortens the buffer, and the cells of another family need more
    /// of it.
    #[test]
    fn a_limit_does_not_make_each_row_as_expensive_as_the_largest() {
        let keys = ["f", "g"].map(|family| SeekKey::of(b"r", family.as_bytes(), b"q", 1, CellType::Put));
        let mut buffer = RowBuf::new();
        let mut read = |len: usize| {
            let value = vec![b'v'; len];
            buffer.clear();
            buffer.set_limit(usize::MAX);
            buffer.try_push(CellRef::new(&keys[0], &value)).unwrap();
            let len = buffer.bytes.len();
            buffer.set_limit(100);
            buffer.try_push(CellRef::new(&keys[1], b"v")).unwrap();
            len
        };
        assert!(read(1 << 20) > 1 << 20);
        read(10);
        for len in [300, 700, 10, 1000] {
            let grown = read(len);
            assert!(grown < 4000, "{len}: {grown}");
        }
    }
}
