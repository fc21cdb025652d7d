//! Index keys shorter than the cells they separate (hfile.md §10.6; HBase: `HFileWriterImpl.getMidpoint`).

use crate::cell::{CellKey, CellOrder, SeekKey};

/// Sets `key` to the index key of a block that begins with the cell `first`: greater than `previous`, the
/// last cell of the previous block, and not greater than `first`.
///
/// The first block of a file has the key of its first cell, as do all blocks of a file of `hbase:meta`, whose
/// rows cannot be cut at arbitrary bytes.
pub(super) fn separate(order: CellOrder, previous: Option<&CellKey>, first: &CellKey, key: &mut SeekKey) {
    let Some(previous) = previous.filter(|_| order == CellOrder::User) else {
        key.set_key(first);
        return;
    };
    let mut part = Vec::new();
    let ((row, family, qualifier), (first_row, first_family, first_qualifier)) =
        (previous.split(), first.split());
    if shorten(row, first_row, &mut part) {
        key.set_first_on_row(&part);
    } else if shorten(family, first_family, &mut part) {
        key.set_first_on_column(first_row, &part, b"");
    } else if shorten(qualifier, first_qualifier, &mut part) {
        key.set_first_on_column(first_row, first_family, &part);
    } else {
        key.set_key(first);
    }
}

/// Sets `out` to the bytes `s` with `left` < `s` <= `right` that HBase 2.5 and later choose. Returns false if
/// the two are equal.
fn shorten(left: &[u8], right: &[u8], out: &mut Vec<u8>) -> bool {
    let common = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    out.clear();
    out.extend_from_slice(&right[..common]);
    match (left.get(common), right.get(common)) {
        // `left`'s byte is below `right`'s, so it has a successor
        (Some(byte), _) => out.push(byte.saturating_add(1)),
        (None, Some(_)) => out.push(0),
        (None, None) => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::CellType;
    use proptest::prelude::*;

    fn key((row, family, qualifier, timestamp): (&str, &str, &str, i64)) -> SeekKey {
        SeekKey::of(row.as_bytes(), family.as_bytes(), qualifier.as_bytes(), timestamp, CellType::Put)
    }

    fn between(previous: &CellKey, first: &CellKey) -> SeekKey {
        let mut found = SeekKey::new();
        separate(CellOrder::User, Some(previous), first, &mut found);
        found
    }

    #[test]
    fn the_rules_in_turn() {
        let previous = key(("row1", "f", "q5", 7));
        assert_eq!(between(&previous, &key(("row77", "f", "q", 1))), SeekKey::first_on_row(b"row2"));
        assert_eq!(between(&previous, &key(("row1000", "f", "q", 1))), SeekKey::first_on_row(b"row1\0"));
        let next = between(&previous, &key(("row1", "g7", "q", 1)));
        assert_eq!(next, SeekKey::first_on_column(b"row1", b"g", b""));
        let next = between(&previous, &key(("row1", "f", "q8z", 1)));
        assert_eq!(next, SeekKey::first_on_column(b"row1", b"f", b"q6"));
        let older = key(("row1", "f", "q5", 6));
        assert_eq!(between(&previous, &older), older);
    }

    #[test]
    fn the_first_key_of_a_file_and_those_of_meta_files_are_keys_of_cells() {
        let (previous, first) = (key(("a", "f", "q", 1)), key(("zzz", "f", "q", 1)));
        let mut found = SeekKey::new();
        separate(CellOrder::User, None, &first, &mut found);
        assert_eq!(found, first);
        separate(CellOrder::Meta, Some(&previous), &first, &mut found);
        assert_eq!(found, first);
    }

    fn any_key() -> impl Strategy<Value = (String, String, String, i64)> {
        ("[a-c]{0,4}", "[fg]{1,2}", "[a-c]{0,4}", 0i64..3)
    }

    proptest! {
        #[test]
        fn a_separator_separates(a in any_key(), b in any_key()) {
            let of = |(r, f, q, t): &(String, String, String, i64)| key((r, f, q, *t));
            let order = CellOrder::User;
            let (mut low, mut high) = (of(&a), of(&b));
            match order.compare(&low, &high) {
                std::cmp::Ordering::Equal => return Ok(()),
                std::cmp::Ordering::Greater => std::mem::swap(&mut low, &mut high),
                std::cmp::Ordering::Less => {}
            }
            let found = between(&low, &high);
            prop_assert!(order.compare(&low, &found).is_lt(), "{low:?} {found:?} {high:?}");
            prop_assert!(order.compare(&found, &high).is_le(), "{low:?} {found:?} {high:?}");
            prop_assert!(found.as_bytes().len() <= high.as_bytes().len());
        }
    }
}
