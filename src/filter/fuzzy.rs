//! Rows that match some bytes of a key (read-path.md §13.4; HBase: `FuzzyRowFilter`).

use super::row::{increment_last_byte, set_first_on_row};
use super::{CellFilter, Verdict};
use crate::cell::{CellRef, MAX_ROW_LEN, SeekKey};
use crate::error::{Error, Result};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

/// A row key in which some bytes may have any value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FuzzyKey {
    /// 0 where any byte matches.
    pub(super) key: Vec<u8>,
    pub(super) fixed: Vec<bool>,
}

impl FuzzyKey {
    /// Builds a key from its bytes and a mask of the same length. In the mask, 0 is a fixed byte and 1 any
    /// byte; or −1 and 2, if there is nothing else (HBase: `isPreprocessedMask`). Messages may mix them: see
    /// `proto::read`.
    fn new(key: &[u8], mask: &[u8]) -> Result<Self> {
        if key.len() != mask.len() || key.len() > MAX_ROW_LEN {
            let (key, mask) = (key.len(), mask.len());
            return Err(Error::invalid_argument(format!(
                "a fuzzy key of {key} bytes with a mask of {mask}, expected equal lengths, \
                 {MAX_ROW_LEN} at most"
            )));
        }
        const PREPARED_FIXED: u8 = 0xff;
        let prepared = mask.iter().all(|byte| matches!(*byte, PREPARED_FIXED | 2));
        let fixed = |byte: &u8| match (prepared, *byte) {
            (true, byte) => Ok(byte == PREPARED_FIXED),
            (false, 0) => Ok(true),
            (false, 1) => Ok(false),
            (false, byte) => Err(Error::invalid_argument(format!(
                "byte {byte} in the mask of a fuzzy key, expected 0 (fixed) or 1 (any)"
            ))),
        };
        let fixed = mask.iter().map(fixed).collect::<Result<Vec<_>>>()?;
        let key = key.iter().zip(&fixed).map(|(byte, fixed)| if *fixed { *byte } else { 0 }).collect();
        Ok(Self { key, fixed })
    }

    /// Whether the row equals the key at the fixed positions, up to the shorter length.
    fn matches(&self, row: &[u8]) -> bool {
        row.iter().zip(&self.key).zip(&self.fixed).all(|((row, key), fixed)| !fixed || row == key)
    }

    /// Sets `next` to the nearest row ahead of `row` that may match. Returns false if there is none.
    fn next(&self, row: &[u8], reversed: bool, next: &mut Vec<u8>) -> bool {
        // the greatest and the least byte in the direction of the read
        let (most, least) = if reversed { (0, 0xff) } else { (0xff, 0) };
        next.clear();
        next.extend_from_slice(&self.key);
        next.resize(self.key.len().max(row.len()), 0);
        if reversed {
            next.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0xff);
        }
        let mut grow = None;
        let mut ahead = false;
        for (i, byte) in next.iter_mut().enumerate() {
            // read-path.md §23.5: missing bytes of the row count as 0
            let of_row = row.get(i).copied().unwrap_or(0);
            let Some(of_key) = self.fixed_at(i) else {
                *byte = of_row;
                if of_row != most {
                    grow = Some(i);
                }
                continue;
            };
            let there = if reversed { of_key.cmp(&of_row) } else { of_row.cmp(&of_key) };
            if there != Ordering::Equal {
                ahead = there.is_lt();
                break;
            }
        }
        if !ahead {
            let Some(grow) = grow else { return false };
            for (i, byte) in next.iter_mut().enumerate().skip(grow) {
                if i == grow {
                    *byte = if reversed { byte.wrapping_sub(1) } else { byte.wrapping_add(1) };
                } else if self.fixed_at(i).is_none() {
                    *byte = least;
                }
            }
        }
        let last_fixed = self.fixed.iter().rposition(|fixed| *fixed);
        next.truncate(last_fixed.max(grow).map_or(0, |at| at + 1));
        if reversed {
            *next = increment_last_byte(next);
        }
        true
    }

    fn fixed_at(&self, i: usize) -> Option<u8> {
        self.key.get(i).copied().filter(|_| self.fixed.get(i) == Some(&true))
    }
}

/// Passes rows that match one of several keys.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FuzzyRowFilter {
    pub(super) keys: Arc<[FuzzyKey]>,
    reversed: bool,
    /// Index of the key that matched last.
    last: usize,
    row_dropped: bool,
    done: bool,
    /// The next row for each key, nearest first; `None` until first needed.
    next_rows: Option<VecDeque<(Vec<u8>, usize)>>,
}

impl FuzzyRowFilter {
    pub(super) fn new<K: AsRef<[u8]>, M: AsRef<[u8]>>(
        pairs: impl IntoIterator<Item = (K, M)>,
    ) -> Result<Self> {
        let keys = pairs.into_iter().map(|(key, mask)| FuzzyKey::new(key.as_ref(), mask.as_ref()));
        let keys: Arc<[FuzzyKey]> = keys.collect::<Result<_>>()?;
        if keys.is_empty() {
            return Err(Error::invalid_argument("a filter of fuzzy rows needs at least one key"));
        }
        Ok(Self { keys, reversed: false, last: 0, row_dropped: false, done: false, next_rows: None })
    }

    /// Whether `a` comes before `b` in the direction of the read.
    fn is_before(&self, a: &[u8], b: &[u8]) -> bool {
        if self.reversed { a > b } else { a < b }
    }

    /// Advances the queue until its first row is ahead of `row`, unless some key's next row cannot be ahead.
    ///
    /// Computes the next row of each key at most once: in a reversed read it may not advance (§23.4), and the
    /// loop would not end.
    fn advance(&mut self, row: &[u8]) {
        let mut queue = self.next_rows.take().unwrap_or_else(|| {
            let mut queue = VecDeque::with_capacity(self.keys.len());
            for key in 0..self.keys.len() {
                self.put(&mut queue, row, key, Vec::new());
            }
            queue
        });
        while let Some((next, _)) = queue.front()
            && !self.is_before(row, next)
            && let Some((next, key)) = queue.pop_front()
        {
            if self.put(&mut queue, row, key, next) == Some(false) {
                break;
            }
        }
        self.next_rows = Some(queue);
    }

    /// Queues the next row of a key, if any, and returns whether that row is ahead of `row`.
    fn put(
        &self,
        queue: &mut VecDeque<(Vec<u8>, usize)>,
        row: &[u8],
        key: usize,
        mut next: Vec<u8>,
    ) -> Option<bool> {
        if !self.keys.get(key)?.next(row, self.reversed, &mut next) {
            return None;
        }
        let is_ahead = self.is_before(row, &next);
        let at = queue.partition_point(|(other, _)| !self.is_before(&next, other));
        queue.insert(at, (next, key));
        Some(is_ahead)
    }
}

impl CellFilter for FuzzyRowFilter {
    fn reset(&mut self) {
        self.row_dropped = false;
    }

    fn filter_all_remaining(&self) -> bool {
        self.done
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let row = cell.row();
        let (before, from) = self.keys.split_at(self.last);
        let found = from.iter().chain(before).position(|key| key.matches(row));
        if let Some(found) = found {
            self.last = (self.last + found) % self.keys.len();
            return Ok(Verdict::Include);
        }
        self.last = 0;
        self.row_dropped = true;
        let first = self.next_rows.as_ref().and_then(VecDeque::front);
        let stays = self.reversed && first.is_some_and(|(next, _)| next == row);
        Ok(if stays { Verdict::NextRow } else { Verdict::SeekNextUsingHint })
    }

    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        self.advance(cell.row());
        let Some((next, _)) = self.next_rows.as_ref().and_then(VecDeque::front) else {
            self.done = true;
            return false;
        };
        set_first_on_row(hint, next);
        self.is_before(cell.row(), next)
    }

    fn filter_row(&mut self) -> bool {
        self.row_dropped
    }

    fn is_hinting(&self) -> bool {
        true
    }

    fn set_reversed(&mut self, reversed: bool) {
        self.reversed = reversed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(key: &[u8], mask: &[u8]) -> FuzzyKey {
        FuzzyKey::new(key, mask).unwrap()
    }

    fn next(fuzzy: &FuzzyKey, row: &[u8], reversed: bool) -> Option<Vec<u8>> {
        let mut next = Vec::new();
        fuzzy.next(row, reversed, &mut next).then_some(next)
    }

    #[test]
    fn the_next_row_ahead() {
        let fuzzy = key(b"??99", &[1, 1, 0, 0]);
        assert_eq!(next(&fuzzy, b"ab10", false), Some(b"ab99".to_vec()));
        assert_eq!(next(&fuzzy, b"abzz", false), Some(b"ac99".to_vec()));
        assert_eq!(next(&fuzzy, b"a\xffzz", false), Some(b"b\x0099".to_vec()));
        assert_eq!(next(&fuzzy, b"\xff\xffzz", false), None);
        let fixed = key(b"ab", &[0, 0]);
        assert_eq!(next(&fixed, b"aa", false), Some(b"ab".to_vec()));
        assert_eq!(next(&fixed, b"ac", false), None);
        assert_eq!(next(&fuzzy, b"ab10", true), Some(b"aa9:".to_vec()), "increased in its last byte");
    }

    #[test]
    fn masks_are_checked() {
        assert!(FuzzyKey::new(b"a", &[]).is_err());
        assert!(FuzzyKey::new(b"a", &[3]).is_err());
        for mixed in [[0xff, 1], [0xff, 0], [2, 0], [2, 1]] {
            assert!(FuzzyKey::new(b"ab", &mixed).is_err(), "{mixed:?}: neither form");
        }
        assert_eq!(key(b"ab", &[0xff, 2]), key(b"ac", &[0, 1]));
    }

    /// In a reversed read, the next row of either key is not ahead of the row, so the read steps. Regression
    /// test: this looped forever.
    #[test]
    fn keys_that_lead_nowhere_backward_end() {
        for masks in [[[1, 0], [1, 0]], [[0, 1], [1, 0]]] {
            let keys = [b"\x7f\x7f", b"\x7e\x7f"].into_iter().zip(masks);
            let mut filter = FuzzyRowFilter::new(keys).unwrap();
            filter.set_reversed(true);
            let mut hint = SeekKey::new();
            for row in [b"\xff\x00", b"\xfe\xff", b"\x80\x00", b"\x01\x00"] {
                let key = SeekKey::first_on_row(row);
                let cell = CellRef::new(&key, b"");
                if filter.filter_cell(cell).unwrap() == Verdict::SeekNextUsingHint
                    && filter.next_cell_hint(cell, &mut hint)
                {
                    assert!(hint.row() < &row[..]);
                }
            }
        }
    }

    proptest! {
        /// For any keys and rows, every call returns, and every hint given is ahead of the row.
        #[test]
        fn hints_are_ahead(
            keys in proptest::collection::vec(proptest::collection::vec((any::<u8>(), 0u8..2), 0..4), 1..4),
            mut rows in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..4), 1..20),
            edges: bool,
            reversed: bool,
        ) {
            // around the extremes of signed and unsigned bytes, hints can point backward
            let edge = |byte: u8| {
                if edges { [0, 1, 0x7e, 0x7f, 0x80, 0xff][usize::from(byte) % 6] } else { byte }
            };
            let pair = |bytes: Vec<(u8, u8)>| -> (Vec<u8>, Vec<u8>) {
                bytes.into_iter().map(|(byte, mask)| (edge(byte), mask)).unzip()
            };
            let mut filter = FuzzyRowFilter::new(keys.into_iter().map(pair)).unwrap();
            filter.set_reversed(reversed);
            rows.iter_mut().flatten().for_each(|byte| *byte = edge(*byte));
            rows.sort();
            if reversed {
                rows.reverse();
            }
            let mut hint = SeekKey::new();
            for row in rows {
                let key = SeekKey::first_on_row(&row);
                let cell = CellRef::new(&key, b"");
                if filter.filter_cell(cell).unwrap() == Verdict::SeekNextUsingHint
                    && filter.next_cell_hint(cell, &mut hint)
                {
                    prop_assert!(filter.is_before(&row, hint.row()));
                }
                filter.reset();
            }
        }

        /// No matching row lies between a row and its next row.
        #[test]
        fn nothing_is_passed_over(
            bytes in proptest::collection::vec((0u8..3, 0u8..2), 1..4),
            row in proptest::collection::vec(0u8..3, 3),
            other in proptest::collection::vec(0u8..3, 3),
        ) {
            let (bytes, mask): (Vec<_>, Vec<_>) = bytes.into_iter().unzip();
            let fuzzy = key(&bytes, &mask);
            if !fuzzy.matches(&row) && fuzzy.matches(&other) && other > row {
                let next = next(&fuzzy, &row, false);
                prop_assert!(next.as_ref().is_some_and(|next| *next > row && *next <= other), "{:?}", next);
            }
        }
    }
}
