//! An index of the cells of a data block, which saves seeks from walking the block.
//!
//! The first cell of each row has an entry, and every 16th cell within a row. An entry is a number. Its upper
//! bits are the bytes of the row after the common prefix of the block's rows, as far as they fit; its lower
//! bits are the offset of the cell:
//!
//! | form | row bits | offset bits | for blocks |
//! |---|--:|--:|---|
//! | narrow | 16 | 16 | up to 64 KiB, few rows share their bits |
//! | wide | 48 | 16 | up to 64 KiB, many rows share their bits |
//! | far | 32 | 32 | over 64 KiB |
//!
//! The row bits are `(prefix - first prefix) >> shift`, so that they use their full width for any keys. Rows
//! with equal bits are distinguished by whole keys. The entries are stored after the cells, in the same
//! allocation: a seek touches one or two cache lines of entries and one cell.
#![expect(
    clippy::host_endian_bytes,
    reason = "the entries stay in memory and are compared in place, many at a time"
)]

use super::radix_table::RadixTable;
use crate::block::search::{common_prefix, compare_to_common};
use crate::cell::{CellOrder, prefix};
use std::cmp::Ordering;
use std::hint;

/// A cell within a row gets an entry when this many cells have none.
pub(super) const STRIDE: u32 = 16;

/// If more than one in this many entries has the same row bits as the previous one, wider entries pay off,
/// since each key comparison is a cache miss.
const CROWDED: usize = 8;

/// Up to this many bytes of the common prefix are kept in the index itself.
const NEAR: usize = 16;

#[derive(Debug, Default)]
pub(super) struct SeekIndex {
    form: Form,
    entries: usize,
    /// The offset of the entries in the block's bytes.
    at: usize,
    /// The length of the common prefix of all rows of the block.
    common: usize,
    /// The common prefix, if it fits. Otherwise it is read from the first row, at the cost of another cache
    /// miss.
    near_common: [u8; NEAR],
    /// The prefix of the first row after the common bytes.
    first: u64,
    shift: u32,
    slices: RadixTable,
    /// Whether rows sort as bytes. Only then are the row bits meaningful.
    by_row: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    #[default]
    Narrow,
    Wide,
    Far,
}

impl Form {
    fn width(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Wide | Self::Far => 8,
        }
    }

    fn offset_bits(self) -> u32 {
        match self {
            Self::Narrow | Self::Wide => 16,
            Self::Far => 32,
        }
    }

    fn row_bits(self) -> u32 {
        match self {
            Self::Narrow => 16,
            Self::Wide => 48,
            Self::Far => 32,
        }
    }
}

/// The entries among which a key may be.
pub(super) enum Candidates {
    /// The key is before all cells.
    Before,
    /// The key is after all cells.
    After,
    /// Cells of entries before `low` are less, those of entries from `high` on are greater. The entries
    /// between share the key's row bits.
    Between { low: usize, high: usize },
}

impl SeekIndex {
    /// Builds the index of the cells that start at `starts`, and appends its entries to `bytes`. `starts` are
    /// offsets from the first cell, ascending; the first is 0.
    ///
    /// `row` returns the row of the cell at an offset. If the rows do not ascend, the index has no entries,
    /// and the block is searched cell by cell.
    pub(super) fn build<'b>(
        bytes: &'b mut Vec<u8>,
        starts: &[u32],
        order: CellOrder,
        row: impl for<'r> Fn(&'r [u8], u32) -> &'r [u8],
    ) -> Self {
        let at = bytes.len();
        let (Some(&first_start), Some(&last_start)) = (starts.first(), starts.last()) else {
            return Self { at, ..Self::default() };
        };
        let by_row = order == CellOrder::User;
        let mut index = Self { at, entries: starts.len(), by_row, ..Self::default() };
        let cells: &'b mut Vec<u8> = bytes;
        if by_row {
            let (first_row, last_row) = (row(cells, first_start), row(cells, last_start));
            index.common = common_prefix(first_row, last_row);
            if let Some(near) = index.near_common.get_mut(..index.common) {
                near.copy_from_slice(&first_row[..index.common]);
            }
            index.first = prefix(first_row, index.common);
            let last = prefix(last_row, index.common);
            let span = last.saturating_sub(index.first);
            let bits = u64::BITS - span.leading_zeros();
            index.form = if last_start > u32::from(u16::MAX) {
                Form::Far
            } else if index.is_crowded(cells, starts, bits.saturating_sub(16), &row) {
                Form::Wide
            } else {
                Form::Narrow
            };
            index.shift = bits.saturating_sub(index.form.row_bits());
        } else if last_start > u32::from(u16::MAX) {
            index.form = Form::Far;
        }
        cells.reserve_exact(starts.len() * index.form.width());
        let mut previous = 0;
        for &start in starts {
            let bits = if by_row {
                let Some(ahead) = prefix(row(cells, start), index.common).checked_sub(index.first) else {
                    return index.without_entries(cells);
                };
                ahead >> index.shift
            } else {
                0
            };
            let entry = bits << index.form.offset_bits() | u64::from(start);
            if bits < previous || bits >> index.form.row_bits() != 0 {
                return index.without_entries(cells);
            }
            previous = bits;
            match index.form {
                Form::Narrow => {
                    let entry = u32::try_from(entry).expect("16 bits of row and 16 of offset");
                    cells.extend_from_slice(&entry.to_ne_bytes());
                }
                Form::Wide | Form::Far => cells.extend_from_slice(&entry.to_ne_bytes()),
            }
        }
        if by_row {
            let numbers = (0..index.entries).map(|i| index.entry(cells, i) >> index.form.offset_bits());
            index.slices = RadixTable::new(index.form.row_bits(), numbers);
        }
        index
    }

    fn without_entries(self, bytes: &mut Vec<u8>) -> Self {
        bytes.truncate(self.at);
        Self { at: self.at, ..Self::default() }
    }

    /// Whether many consecutive entries would have the same 16 row bits.
    fn is_crowded(
        &self,
        cells: &[u8],
        starts: &[u32],
        shift: u32,
        row: &impl for<'r> Fn(&'r [u8], u32) -> &'r [u8],
    ) -> bool {
        let number = |&start| prefix(row(cells, start), self.common) >> shift;
        let numbers = starts.iter().map(number);
        let crowded = numbers.clone().zip(numbers.skip(1)).filter(|(a, b)| a == b).count();
        crowded > starts.len() / CROWDED
    }

    /// Returns the number of entries; 0 if the block must be searched cell by cell.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.entries
    }

    #[inline]
    fn entry(&self, bytes: &[u8], i: usize) -> u64 {
        match self.form {
            Form::Narrow => {
                let at = self.at + 4 * i;
                let (entry, _) = bytes[at..].split_first_chunk().expect("an entry has four bytes");
                u32::from_ne_bytes(*entry).into()
            }
            Form::Wide | Form::Far => {
                let at = self.at + 8 * i;
                let (entry, _) = bytes[at..].split_first_chunk().expect("an entry has eight bytes");
                u64::from_ne_bytes(*entry)
            }
        }
    }

    /// Returns the offset of an entry's cell, relative to the first cell.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to 16 or 32 bits")]
    pub(super) fn offset(&self, bytes: &[u8], i: usize) -> u32 {
        let entry = self.entry(bytes, i);
        match self.form.offset_bits() {
            16 => (entry & 0xffff) as u32,
            _ => entry as u32,
        }
    }

    /// Returns the entries where a row may be. `first_row` returns the row of the first cell.
    #[inline]
    pub(super) fn candidates<'b>(
        &self,
        bytes: &'b [u8],
        row: &[u8],
        first_row: impl FnOnce(&'b [u8]) -> &'b [u8],
    ) -> Candidates {
        if !self.by_row {
            return Candidates::Between { low: 0, high: self.entries };
        }
        let target = match self.row_bits_of(bytes, row, first_row) {
            Ok(target) => target,
            Err(outside) => return outside,
        };
        let entries = &bytes[self.at..];
        // an entry is below the bound if its row bits are below the target, whatever its offset
        let bound = target << self.form.offset_bits();
        match self.form {
            Form::Narrow => {
                let bound = u32::try_from(bound).unwrap_or(u32::MAX);
                let entries = entries.as_chunks().0;
                self.between::<_, _, 32>(target, bound, entries, u32::from_ne_bytes, |e| u64::from(e >> 16))
            }
            Form::Wide => {
                self.between::<_, _, 16>(target, bound, entries.as_chunks().0, u64::from_ne_bytes, |e| {
                    e >> 16
                })
            }
            Form::Far => {
                self.between::<_, _, 16>(target, bound, entries.as_chunks().0, u64::from_ne_bytes, |e| {
                    e >> 32
                })
            }
        }
    }

    /// Returns the row bits of `row`, if it is not before or after all cells of the block.
    #[inline]
    fn row_bits_of<'b>(
        &self,
        bytes: &'b [u8],
        row: &[u8],
        first_row: impl FnOnce(&'b [u8]) -> &'b [u8],
    ) -> Result<u64, Candidates> {
        let sides = match self.near_common.get(..self.common) {
            Some(common) => compare_to_common(row, common),
            None => compare_to_common(row, &first_row(bytes)[..self.common]),
        };
        match sides {
            Ordering::Less => return Err(Candidates::Before),
            Ordering::Greater => return Err(Candidates::After),
            Ordering::Equal => {}
        }
        let Some(ahead) = prefix(row, self.common).checked_sub(self.first) else {
            return Err(Candidates::Before);
        };
        let target = ahead >> self.shift;
        if target >> self.form.row_bits() != 0 {
            return Err(Candidates::After);
        }
        Ok(target)
    }

    /// Touches the fields that searches read.
    #[inline]
    pub(super) fn prefetch_fields(&self) {
        hint::black_box((
            self.entries,
            self.first,
            self.slices.slice_start(0),
            self.slices.slice_start(u64::MAX),
        ));
    }

    /// Touches the entries that a search for `row` reads first.
    #[inline]
    pub(super) fn prefetch_entries(&self, bytes: &[u8], row: &[u8]) {
        if !self.by_row || self.common > NEAR {
            return;
        }
        if let Ok(target) = self.row_bits_of(bytes, row, |bytes| bytes) {
            let at = self.at + self.form.width() * self.slices.slice_start(target);
            hint::black_box((bytes.get(at).copied(), bytes.get(at + 64).copied()));
        }
    }

    /// Returns the entries with the row bits `target`, possibly with some later ones. All entries before
    /// `bound` have lesser row bits.
    #[inline]
    fn between<E: Copy, N: Copy + Ord, const WINDOW: usize>(
        &self,
        target: u64,
        bound: N,
        entries: &[E],
        entry: impl Fn(E) -> N,
        row_bits: impl Fn(N) -> u64,
    ) -> Candidates {
        let entries = &entries[..self.entries];
        let low = self.slices.lower_bound::<_, WINDOW>(entries, target, |e| entry(e) < bound);
        let mut high = low;
        let mut step = 1;
        while high < entries.len() && row_bits(entry(entries[high])) == target {
            high += step;
            step *= 2;
        }
        Candidates::Between { low, high: high.min(entries.len()) }
    }
}
