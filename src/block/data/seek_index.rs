//! Where cells are in a data block, so that a seek need not walk it.
//!
//! One entry for the first cell of each row, and one for every 16th cell within a row. An entry is a number: the row's
//! bytes behind what the block's rows have in common, as far as they fit, above the cell's offset:
//!
//! | form | row bits | offset bits | for blocks |
//! |---|--:|--:|---|
//! | narrow | 16 | 16 | up to 64 KiB whose rows spread |
//! | wide | 48 | 16 | up to 64 KiB whose rows crowd |
//! | far | 32 | 32 | over 64 KiB |
//!
//! The row bits are `(prefix - first prefix) >> shift`, so that they use their width whatever the keys look like. Rows
//! that share them are told apart by whole keys. The entries lie behind the cells, in the block's own allocation: a
//! seek touches one or two cache lines of them and one cell.
#![expect(
    clippy::host_endian_bytes,
    reason = "the entries stay in memory, and are compared many at a time as they lie there"
)]

use super::slices::Slices;
use crate::block::search::{common_prefix, compare_to_common};
use crate::cell::{CellOrder, prefix};
use std::cmp::Ordering;

/// A cell within a row gets an entry when this many have had none.
pub(super) const STRIDE: u32 = 16;

/// One entry in so many may share its row bits with the one before; more of them are worth wider entries, since each
/// key that must be looked at is a cache miss.
const CROWDED: usize = 8;

/// So many bytes in common are kept beside their number.
const NEAR: usize = 16;

#[derive(Debug, Default)]
pub(super) struct SeekIndex {
    form: Form,
    entries: usize,
    /// Where the entries start in the block's bytes.
    at: usize,
    /// How many bytes all rows of the block have in common.
    common: usize,
    /// These bytes, if they are so few: else the first row has them, which is another cache miss.
    near_common: [u8; NEAR],
    /// The prefix of the first row behind these.
    first: u64,
    shift: u32,
    slices: Slices,
    /// Whether rows sort as bytes, so that the row bits mean something.
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

/// Which entries a key lies between.
pub(super) enum Candidates {
    /// Before all cells.
    Before,
    /// Behind all cells.
    Behind,
    /// Cells of entries before `low` are smaller, those of `high` and later greater. Those in between share the row bits.
    Between { low: usize, high: usize },
}

impl SeekIndex {
    /// Makes the index of cells that start at `starts` (offsets from `cells_at` in `bytes`, ascending, the first is 0) and appends its entries to `bytes`.
    ///
    /// `row` gives the row of the cell at an offset. Rows that do not ascend make an index without entries: the block is then searched cell by cell.
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
            index.slices = Slices::new(index.form.row_bits(), numbers);
        }
        index
    }

    fn without_entries(self, bytes: &mut Vec<u8>) -> Self {
        bytes.truncate(self.at);
        Self { at: self.at, ..Self::default() }
    }

    /// Whether many entries in a row would have the same 16 row bits.
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

    /// How many entries there are; none if the block must be searched cell by cell.
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

    /// The offset of an entry's cell from the first.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "masked to 16 or 32 bits")]
    pub(super) fn offset(&self, bytes: &[u8], i: usize) -> u32 {
        let entry = self.entry(bytes, i);
        match self.form.offset_bits() {
            16 => (entry & 0xffff) as u32,
            _ => entry as u32,
        }
    }

    /// The entries that a row may be at. `first_row` gives the row of the first cell.
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
        let sides = match self.near_common.get(..self.common) {
            Some(common) => compare_to_common(row, common),
            None => compare_to_common(row, &first_row(bytes)[..self.common]),
        };
        match sides {
            Ordering::Less => return Candidates::Before,
            Ordering::Greater => return Candidates::Behind,
            Ordering::Equal => {}
        }
        let Some(ahead) = prefix(row, self.common).checked_sub(self.first) else {
            return Candidates::Before;
        };
        let target = ahead >> self.shift;
        if target >> self.form.row_bits() != 0 {
            return Candidates::Behind;
        }
        let entries = &bytes[self.at..];
        // an entry is below if its number is, whatever its offset
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

    /// Of the entries, those with the row bits `target`; and perhaps some behind them. All before `bound` have lesser ones.
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
