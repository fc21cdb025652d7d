//! The sort order of cells (hfile.md §3; HBase: `CellComparatorImpl`, `MetaCellComparator`).

use super::{CellKey, CellType};
use std::cmp::Ordering;

/// An order of cells: that of user tables, or that of `hbase:meta` (HBase: `CellComparatorImpl`,
/// `MetaCellComparator`).
///
/// Cells compare by row, family and qualifier ascending as unsigned bytes, then by timestamp and type
/// *descending*. The sequence id, which comes last, is not part of a [`CellKey`]. A key with empty family and
/// qualifier and type `Minimum` sorts after all others of its row. The order of `hbase:meta` differs only in
/// the comparison of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CellOrder {
    /// Rows as unsigned bytes.
    #[default]
    User,
    /// Rows as `table,start key,region id`, part by part.
    Meta,
}

impl CellOrder {
    /// Compares two keys.
    #[inline]
    #[must_use]
    pub fn compare(self, a: &CellKey, b: &CellKey) -> Ordering {
        match self.compare_rows(a.row(), b.row()) {
            Ordering::Equal => Self::compare_in_row(a, b),
            different => different,
        }
    }

    /// Compares two keys of one row.
    #[inline]
    pub(crate) fn compare_in_row(a: &CellKey, b: &CellKey) -> Ordering {
        compare_after_row(a, b)
    }

    /// Compares two rows.
    #[inline]
    #[must_use]
    pub fn compare_rows(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Self::User => compare_bytes(a, b),
            Self::Meta => compare_meta_rows(a, b),
        }
    }
}

/// Compares like slices. Most rows are short, and inline word comparisons are cheaper than a call of
/// `memcmp`.
#[inline]
pub(crate) fn compare_bytes(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.len().min(b.len());
    let (a_common, b_common) = (&a[..common], &b[..common]);
    let (Some(a_last), Some(b_last)) = (a_common.last_chunk::<8>(), b_common.last_chunk::<8>()) else {
        return a.cmp(b);
    };
    for (a_word, b_word) in a_common.as_chunks::<8>().0.iter().zip(b_common.as_chunks::<8>().0) {
        if a_word != b_word {
            return u64::from_be_bytes(*a_word).cmp(&u64::from_be_bytes(*b_word));
        }
    }
    // the last word may overlap the previous one, whose bytes are equal
    u64::from_be_bytes(*a_last).cmp(&u64::from_be_bytes(*b_last)).then_with(|| a.len().cmp(&b.len()))
}

/// Whether two slices are equal. Most are short, and comparing them inline is cheaper than a call of
/// `memcmp`.
#[inline]
pub(crate) fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if let (Some(a_last), Some(b_last)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        // the last word may overlap the previous one
        let (a_words, b_words) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
        return a_last == b_last && a_words.iter().zip(b_words).all(|(a, b)| a == b);
    }
    if let (Some(a_last), Some(b_last)) = (a.last_chunk::<4>(), b.last_chunk::<4>()) {
        return a_last == b_last && a.first_chunk::<4>() == b.first_chunk::<4>();
    }
    a.iter().zip(b).all(|(a, b)| a == b)
}

/// Compares keys of one column.
#[inline]
fn compare_times(a: &CellKey, b: &CellKey) -> Ordering {
    b.timestamp().cmp(&a.timestamp()).then_with(|| b.type_code().cmp(&a.type_code()))
}

#[inline]
fn compare_after_row(a: &CellKey, b: &CellKey) -> Ordering {
    let (a_column, b_column) = (a.column_bytes(), b.column_bytes());
    // most comparisons of keys of one row are between versions of one column
    if a_column != [0] && same_bytes(a_column, b_column) {
        return compare_times(a, b);
    }
    compare_columns(a, b)
}

/// Compares keys of one row.
fn compare_columns(a: &CellKey, b: &CellKey) -> Ordering {
    let (a_column, b_column) = (a.column_bytes(), b.column_bytes());
    // keys without family and qualifier are rare, and keys at the end of a row even rarer
    let ends_row =
        |column: &[u8], key: &CellKey| column == [0] && key.type_code() == CellType::Minimum.code();
    match (ends_row(a_column, a), ends_row(b_column, b)) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        // common case: the same column
        (false, false) if a_column == b_column => compare_times(a, b),
        (false, false) => {
            let ((_, a_family, a_qualifier), (_, b_family, b_qualifier)) = (a.split(), b.split());
            compare_bytes(a_family, b_family).then_with(|| compare_bytes(a_qualifier, b_qualifier))
        }
    }
}

const DELIMITER: u8 = b',';

/// Compares rows of `hbase:meta`: table, start key and region id, each separately (hfile.md §3.2).
///
/// If the second delimiter is missing, HBase compares bytes that precede the row in its array; here the row
/// without the delimiter sorts first.
fn compare_meta_rows(a: &[u8], b: &[u8]) -> Ordering {
    let first = |row: &[u8]| row.iter().position(|&c| c == DELIMITER);
    let (a_first, b_first) = (first(a), first(b));
    let (a_table, b_table) = (&a[..a_first.unwrap_or(a.len())], &b[..b_first.unwrap_or(b.len())]);
    let tables = a_table.cmp(b_table);
    if tables.is_ne() {
        return tables;
    }
    let (Some(a_first), Some(b_first)) = (a_first, b_first) else {
        return a_first.is_some().cmp(&b_first.is_some());
    };
    let (a, b) = (&a[a_first + 1..], &b[b_first + 1..]);
    let last = |row: &[u8]| row.iter().rposition(|&c| c == DELIMITER);
    let (a_last, b_last) = (last(a), last(b));
    let starts = a[..a_last.unwrap_or(a.len())].cmp(&b[..b_last.unwrap_or(b.len())]);
    if starts.is_ne() {
        return starts;
    }
    match (a_last, b_last) {
        (Some(a_last), Some(b_last)) => a[a_last + 1..].cmp(&b[b_last + 1..]),
        _ => a_last.is_some().cmp(&b_last.is_some()),
    }
}

/// Returns the eight bytes of `row` after the first `common`, as a number; missing bytes count as 0.
///
/// If two rows share their first `common` bytes, the smaller row never has the greater number.
#[inline]
pub(crate) fn prefix(row: &[u8], common: usize) -> u64 {
    let rest = row.get(common..).unwrap_or_default();
    match rest.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            u64::from_be_bytes(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{LATEST_TIMESTAMP, SeekKey};
    use proptest::prelude::*;

    fn key(row: &str, qualifier: &str, timestamp: i64, cell_type: CellType) -> SeekKey {
        SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), timestamp, cell_type)
    }

    #[test]
    fn newer_and_greater_types_come_first() {
        let sorted = [
            SeekKey::first_on_row(b"r"),
            key("r", "", 9, CellType::DeleteFamily),
            key("r", "", 9, CellType::DeleteFamilyVersion),
            SeekKey::first_on_column(b"r", b"f", b"a"),
            key("r", "a", LATEST_TIMESTAMP, CellType::Put),
            key("r", "a", 5, CellType::DeleteColumn),
            key("r", "a", 5, CellType::Delete),
            key("r", "a", 5, CellType::Put),
            key("r", "a", -5, CellType::Put),
            SeekKey::last_on_column(b"r", b"f", b"a"),
            key("r", "aa", 5, CellType::Put),
            SeekKey::last_on_row(b"r"),
            key("r\0", "", 5, CellType::Put),
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(CellOrder::User.compare(a, b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn meta_rows_sort_by_table_then_start_then_id() {
        let sorted: [&[u8]; 8] = [b"", b"t", b"t,", b"t,a", b"t,,1", b"t,,2", b"t,a,1", b"t1,,0"];
        // a row without a second delimiter sorts by its partial start key
        let order = |a: &[u8], b: &[u8]| CellOrder::Meta.compare_rows(a, b);
        assert_eq!(order(sorted[2], sorted[4]), Ordering::Less);
        for pair in [0usize, 1, 2, 4, 5, 6, 7].windows(2) {
            assert_eq!(order(sorted[pair[0]], sorted[pair[1]]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(order(b"t,a,b,1", b"t,a,1"), Ordering::Greater, "the start key is a,b");
        assert_eq!(order(b"t-x,,1", b"t,zzz,1"), Ordering::Greater, "unlike bytes: '-' > ','");
    }

    #[test]
    fn bytes_are_the_same_when_slices_are() {
        let bytes: Vec<u8> = (0..40).collect();
        for len in 0..bytes.len() {
            assert!(same_bytes(&bytes[..len], &bytes[..len]));
            assert!(!same_bytes(&bytes[..len], &bytes[..=len]));
            for at in 0..len {
                let mut other = bytes[..len].to_vec();
                other[at] ^= 0x80;
                assert!(!same_bytes(&bytes[..len], &other), "{len} {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn keys_compare_part_by_part(
            parts in proptest::collection::vec(("[ab]{0,9}", "[ab]{0,9}", -1i64..2, 0usize..4), 2), meta: bool
        ) {
            let order = if meta { CellOrder::Meta } else { CellOrder::User };
            let types = [CellType::Put, CellType::DeleteFamily, CellType::Maximum, CellType::Minimum];
            let keys: Vec<_> = parts
                .iter()
                .map(|(row, q, ts, ty)| {
                    let family: &[u8] = if q.is_empty() { b"" } else { b"f" };
                    SeekKey::of(row.as_bytes(), family, q.as_bytes(), *ts, types[*ty])
                })
                .collect();
            let naive = order.compare_rows(keys[0].row(), keys[1].row());
            let naive = naive.then_with(|| compare_columns(&keys[0], &keys[1]));
            prop_assert_eq!(order.compare(&keys[0], &keys[1]), naive);
        }

        #[test]
        fn bytes_compare_as_slices_do(common: Vec<u8>, a in ".{0,3}", b in ".{0,3}") {
            let (a, b) = ([&common, a.as_bytes()].concat(), [&common, b.as_bytes()].concat());
            prop_assert_eq!(compare_bytes(&a, &b), a.cmp(&b));
        }

        #[test]
        fn meta_rows_are_ordered(rows in proptest::collection::vec("[a,b]{0,6}", 3)) {
            let (a, b, c) = (rows[0].as_bytes(), rows[1].as_bytes(), rows[2].as_bytes());
            let order = |a, b| CellOrder::Meta.compare_rows(a, b);
            prop_assert_eq!(order(a, b), order(b, a).reverse());
            if order(a, b).is_le() && order(b, c).is_le() {
                prop_assert!(order(a, c).is_le());
            }
        }
    }
}
