//! Rows in several ranges (read-path.md §13.5; HBase: `MultiRowRangeFilter`).

use super::{CellFilter, Verdict};
use crate::binary::StringBinary;
use crate::cell::{CellRef, MAX_ROW_LEN, SeekKey};
use crate::error::{Error, Result};
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

/// A range of rows; an empty row leaves that side unbounded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowRange {
    pub(super) start: Vec<u8>,
    pub(super) include_start: bool,
    pub(super) stop: Vec<u8>,
    pub(super) include_stop: bool,
}

impl RowRange {
    fn new<R: AsRef<[u8]>>(rows: &(Bound<R>, Bound<R>)) -> Result<Self> {
        let side = |bound: &Bound<R>| match bound {
            Bound::Included(row) => (row.as_ref().to_vec(), true),
            Bound::Excluded(row) => (row.as_ref().to_vec(), false),
            Bound::Unbounded => (Vec::new(), false),
        };
        let ((start, include_start), (stop, include_stop)) = (side(&rows.0), side(&rows.1));
        let order = if start.is_empty() || stop.is_empty() { Ordering::Less } else { start.cmp(&stop) };
        if order.is_gt() || order.is_eq() && !include_stop {
            let (start, stop) = (StringBinary(&start), StringBinary(&stop));
            return Err(Error::invalid_argument(format!(
                "a filter has an empty range of rows: {start} to {stop}"
            )));
        }
        let len = start.len().max(stop.len());
        if len > MAX_ROW_LEN {
            return Err(Error::invalid_argument(format!(
                "a filter has a row of {len} bytes, expected {MAX_ROW_LEN} at most"
            )));
        }
        Ok(Self { start, include_start, stop, include_stop })
    }

    /// Returns the range of rows that start with a prefix.
    fn of_prefix(prefix: &[u8]) -> Result<Self> {
        let mut stop = prefix.to_vec();
        while stop.last() == Some(&0xff) {
            stop.pop();
        }
        if let Some(last) = stop.last_mut() {
            *last += 1;
        }
        let stop = if stop.is_empty() { Bound::Unbounded } else { Bound::Excluded(&stop[..]) };
        Self::new(&(Bound::Included(prefix), stop))
    }

    /// Compares `row` with the start of the range.
    fn row_to_start(&self, row: &[u8]) -> Ordering {
        if self.start.is_empty() { Ordering::Greater } else { row.cmp(&self.start) }
    }

    fn row_to_stop(&self, row: &[u8]) -> Ordering {
        if self.stop.is_empty() { Ordering::Less } else { row.cmp(&self.stop) }
    }

    fn contains(&self, row: &[u8]) -> bool {
        let after_start = match self.row_to_start(row) {
            Ordering::Equal => self.include_start,
            order => order.is_gt(),
        };
        after_start
            && match self.row_to_stop(row) {
                Ordering::Equal => self.include_stop,
                order => order.is_lt(),
            }
    }

    /// Whether there is a gap between this range and `next`, which does not start before this range.
    fn is_apart_from(&self, next: &Self) -> bool {
        match self.row_to_stop(&next.start) {
            Ordering::Less => false,
            Ordering::Equal => !self.include_stop && !next.include_start,
            Ordering::Greater => true,
        }
    }
}

/// Merges ranges without a gap between them, with HBase's rules for the bounds. Of ranges with the same
/// start, the first one given decides whether the start is included. Once a range has been extended by
/// another, it includes its stop if any later range inside it includes its own stop.
fn unite(mut ranges: Vec<RowRange>) -> Vec<RowRange> {
    // stable: ranges with the same start keep their order
    ranges.sort_by(|a, b| a.start.cmp(&b.start));
    let mut united: Vec<RowRange> = Vec::with_capacity(ranges.len());
    let mut is_longer = false;
    for range in ranges {
        let Some(last) = united.last_mut().filter(|last| !last.is_apart_from(&range)) else {
            united.push(range);
            is_longer = false;
            continue;
        };
        if last.stop.is_empty() {
            // it contains all following ranges
        } else if range.stop.is_empty() || last.stop < range.stop {
            (last.stop, last.include_stop) = (range.stop, range.include_stop);
            is_longer = true;
        } else if is_longer || last.stop == range.stop {
            last.include_stop |= range.include_stop;
        }
    }
    united
}

/// Passes the rows of several ranges.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MultiRowRangeFilter {
    /// Sorted, with gaps between them; at least one.
    pub(super) ranges: Arc<[RowRange]>,
    reversed: bool,
    current: Option<usize>,
    verdict: Verdict,
    done: bool,
}

impl MultiRowRangeFilter {
    pub(super) fn new<R: AsRef<[u8]>>(
        ranges: impl IntoIterator<Item = (Bound<R>, Bound<R>)>,
    ) -> Result<Self> {
        Self::of(ranges.into_iter().map(|range| RowRange::new(&range)).collect::<Result<_>>()?)
    }

    pub(super) fn of_prefixes(prefixes: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self> {
        let ranges = prefixes.into_iter().map(|prefix| RowRange::of_prefix(prefix.as_ref()));
        Self::of(ranges.collect::<Result<_>>()?)
    }

    fn of(ranges: Vec<RowRange>) -> Result<Self> {
        let united = unite(ranges);
        if united.is_empty() {
            return Err(Error::invalid_argument("a filter of row ranges needs at least one"));
        }
        Ok(Self {
            ranges: united.into(),
            reversed: false,
            current: None,
            verdict: Verdict::Include,
            done: false,
        })
    }

    /// Returns the `n`th range in the direction of the read, with its index.
    fn nth(&self, n: usize) -> Option<(usize, &RowRange)> {
        let at = if self.reversed { self.ranges.len().checked_sub(n + 1)? } else { n };
        self.ranges.get(at).map(|range| (at, range))
    }

    /// Compares `row` with the beginning of the range in the direction of the read.
    fn row_to_first(&self, range: &RowRange, row: &[u8]) -> Ordering {
        if self.reversed { range.row_to_stop(row).reverse() } else { range.row_to_start(row) }
    }

    /// Sets the current range to the one that contains the row, or the next one, and returns the verdict on
    /// the row's cells.
    fn find(&mut self, row: &[u8]) -> Verdict {
        // the number of ranges that begin before the row
        let before = if self.reversed {
            self.ranges.len() - self.ranges.partition_point(|range| self.row_to_first(range, row).is_le())
        } else {
            self.ranges.partition_point(|range| self.row_to_first(range, row).is_gt())
        };
        let last = before.checked_sub(1).and_then(|n| self.nth(n)).filter(|(_, range)| range.contains(row));
        let Some((at, range)) = last.or_else(|| self.nth(before)) else {
            self.done = true;
            return Verdict::NextRow;
        };
        let verdict = if range.contains(row) {
            Verdict::Include
        } else if self.row_to_first(range, row).is_eq() {
            // the range begins immediately after this row
            Verdict::NextRow
        } else {
            Verdict::SeekNextUsingHint
        };
        self.current = Some(at);
        verdict
    }
}

impl CellFilter for MultiRowRangeFilter {
    fn filter_all_remaining(&self) -> bool {
        self.done
    }

    fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        if self.done {
            return Ok(true);
        }
        let current = self.current.and_then(|at| self.ranges.get(at));
        self.verdict =
            if current.is_some_and(|range| range.contains(row)) { Verdict::Include } else { self.find(row) };
        Ok(false)
    }

    fn filter_cell(&mut self, _: CellRef<'_>) -> Result<Verdict> {
        Ok(self.verdict)
    }

    fn next_cell_hint(&mut self, _: CellRef<'_>, hint: &mut SeekKey) -> bool {
        let Some(range) = self.current.and_then(|at| self.ranges.get(at)) else { return false };
        hint.set_first_on_row(if self.reversed { &range.stop } else { &range.start });
        true
    }

    fn is_hinting(&self) -> bool {
        true
    }

    fn set_reversed(&mut self, reversed: bool) {
        self.reversed = reversed;
    }

    fn take_back_row(&mut self) {
        self.done = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Bound::{Excluded, Included, Unbounded};
    use proptest::prelude::*;

    type Rows = (Bound<&'static str>, Bound<&'static str>);

    fn filter(ranges: &[Rows]) -> MultiRowRangeFilter {
        MultiRowRangeFilter::new(ranges.iter().copied()).unwrap()
    }

    #[test]
    fn ranges_are_united() {
        let count = |ranges: &[Rows]| filter(ranges).ranges.len();
        assert_eq!(count(&[(Included("c"), Included("d")), (Included("a"), Excluded("b"))]), 2);
        assert_eq!(count(&[(Included("b"), Included("d")), (Included("a"), Excluded("b"))]), 1);
        assert_eq!(count(&[(Excluded("b"), Included("d")), (Included("a"), Excluded("b"))]), 2);
        assert_eq!(count(&[(Included("a"), Unbounded), (Included("x"), Excluded("z"))]), 1);
        assert_eq!(count(&[(Unbounded, Excluded("b")), (Unbounded, Excluded("c"))]), 1);
    }

    /// Where one range excludes a row and another includes it, HBase's rules decide.
    #[test]
    fn ranges_are_united_as_hbase_does() {
        let has = |ranges: &[Rows], row: &str| {
            filter(ranges).ranges.iter().any(|range| range.contains(row.as_bytes()))
        };
        // of ranges with the same start, the first decides
        let (open, closed) = ((Excluded("f"), Excluded("h")), (Included("f"), Included("g")));
        assert!(!has(&[open, closed], "f") && has(&[closed, open], "f"));
        // of ranges with the same stop, any
        let (open, closed) = ((Included("a"), Excluded("h")), (Included("b"), Included("h")));
        assert!(has(&[open, closed], "h") && has(&[closed, open], "h"));
        // once a range is extended, any inside it
        let (long, inside) = ((Included("a"), Excluded("f")), (Included("e"), Included("e")));
        let longer = [(Excluded("a"), Excluded("d")), inside, (Excluded("c"), Excluded("f"))];
        assert!(!has(&[long, inside], "f") && has(&longer, "f"));
    }

    #[test]
    fn empty_ranges_are_refused() {
        let refused = |range: Rows| MultiRowRangeFilter::new([range]).is_err();
        assert!(refused((Included("b"), Included("a"))));
        assert!(refused((Included("a"), Excluded("a"))));
        assert!(!refused((Included("a"), Included("a"))));
        assert!(MultiRowRangeFilter::of_prefixes([""; 0]).is_err());
    }

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        let range = |prefix: &[u8]| RowRange::of_prefix(prefix).unwrap().stop;
        assert_eq!(
            (range(b"ab"), range(b"a\xff"), range(b"\xff"), range(b"")),
            (b"ac".to_vec(), b"b".to_vec(), vec![], vec![])
        );
    }

    proptest! {
        /// Row by row, in either direction, the filter includes exactly the rows that one of the given ranges
        /// contains, and its hints skip none of them. (For rows that some ranges include and others exclude,
        /// see above.)
        #[test]
        fn exactly_the_rows_of_the_ranges_are_included(
            bounds in proptest::collection::vec(("[a-d]{0,2}", "[a-d]{0,2}"), 1..5),
            include: (bool, bool),
            reversed: bool,
        ) {
            let side = |row: String, include| match (row.is_empty(), include) {
                (true, _) => Unbounded,
                (false, true) => Included(row),
                (false, false) => Excluded(row),
            };
            let ranges = bounds.into_iter().map(|(a, b)| (side(a, include.0), side(b, include.1)));
            let ranges: Vec<_> = ranges.filter(|range| RowRange::new(range).is_ok()).collect();
            let Ok(mut filter) = MultiRowRangeFilter::new(ranges.iter().cloned()) else { return Ok(()) };
            filter.set_reversed(reversed);
            let letters = ["", "a", "b", "c", "d"];
            let mut rows: Vec<_> =
                letters[1..].iter().flat_map(|a| letters.map(|b| format!("{a}{b}"))).collect();
            rows.sort();
            if reversed {
                rows.reverse();
            }
            let mut hint = SeekKey::new();
            let mut from: Option<String> = None;
            for row in rows {
                let wanted = ranges.iter().any(|range| std::ops::RangeBounds::contains(range, &row));
                if filter.filter_row_key(row.as_bytes()).unwrap() {
                    prop_assert!(!wanted);
                    continue;
                }
                let key = SeekKey::first_on_row(row.as_bytes());
                let verdict = filter.filter_cell(CellRef::new(&key, b"")).unwrap();
                prop_assert_eq!(verdict == Verdict::Include, wanted, "{}", row);
                if verdict == Verdict::SeekNextUsingHint {
                    prop_assert!(filter.next_cell_hint(CellRef::new(&key, b""), &mut hint));
                    from = Some(String::from_utf8(hint.row().to_vec()).unwrap());
                } else if wanted && let Some(from) = &from {
                    let ahead = if reversed { row <= *from } else { row >= *from };
                    prop_assert!(ahead);
                }
            }
        }
    }
}
