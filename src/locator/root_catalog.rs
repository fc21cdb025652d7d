//! The two-level catalog before 0.96: `-ROOT-` over `.META.` (locator.md §6; HBase 0.94:
//! `KeyValue.RootComparator`).
//!
//! Rows of `.META.` have the format and the order of today's catalog; [`CatalogRow`](super::CatalogRow)
//! parses them. Rows of `-ROOT-` have the same format, one level up: each is the name of a region of
//! `.META.`, whose start key is a row of `.META.`.

use super::search::NINES;
use crate::cell::CellOrder;
use std::cmp::Ordering;

/// The prefix of the rows of `-ROOT-`.
const META_PREFIX: &[u8] = b".META.,";

/// Compares rows of `-ROOT-`: by the row of `.META.` in them, in its order, then by the id.
#[must_use]
pub fn compare_root_rows(a: &[u8], b: &[u8]) -> Ordering {
    let (Some((a_row, a_id)), Some((b_row, b_id))) = (split(a), split(b)) else {
        return split(a).is_some().cmp(&split(b).is_some()).then_with(|| a.cmp(b));
    };
    CellOrder::Meta.compare_rows(a_row, b_row).then_with(|| a_id.cmp(b_id))
}

/// Returns the row of `.META.`, and the id of its region; `None` if there are not two commas.
fn split(row: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = row.strip_prefix(META_PREFIX)?;
    let comma = rest.iter().rposition(|&c| c == b',')?;
    let (row, id) = rest.split_at_checked(comma)?;
    Some((row, id.get(1..)?))
}

/// Returns the key to search `-ROOT-` for the region of `.META.` that contains a row: the keys nest.
#[must_use]
pub fn nested_key(meta_row: &[u8]) -> Vec<u8> {
    [META_PREFIX, meta_row, b",", NINES].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_of_root_sort_by_the_rows_in_them() {
        let sorted: [&[u8]; 7] = [
            b"x",
            b".META.,,1",
            b".META.,t,,1,1",
            b".META.,t,a,1,1",
            b".META.,t,a,1,2",
            // in byte order it would precede t,a
            b".META.,t,a!,1,1",
            b".META.,t1,,1,1",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare_root_rows(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(nested_key(b"t,row,99999999999999"), b".META.,t,row,99999999999999,99999999999999");
        assert!(compare_root_rows(b".META.,t,row,1,1", &nested_key(b"t,row,99999999999999")).is_lt());
    }

    proptest! {
        #[test]
        fn rows_of_root_are_ordered(rows in proptest::collection::vec("(\\.META\\.,)?[a,b1]{0,6}", 3)) {
            let (a, b, c) = (rows[0].as_bytes(), rows[1].as_bytes(), rows[2].as_bytes());
            prop_assert_eq!(compare_root_rows(a, b), compare_root_rows(b, a).reverse());
            if compare_root_rows(a, b).is_le() && compare_root_rows(b, c).is_le() {
                prop_assert!(compare_root_rows(a, c).is_le());
            }
        }
    }
}
