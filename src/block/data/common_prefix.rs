//! The number of leading bytes of a key that are omitted because the previous key also has them (hfile.md
//! §7.2).
//!
//! HBase compares part by part, not byte by byte; this does the same, so that the output is the same. Both
//! keys are of one family.

use crate::cell::CellKey;

/// For DIFF and FAST_DIFF: the number of equal leading bytes, not counting the timestamp and type.
#[inline]
pub(super) fn common_prefix(previous: &CellKey, key: &CellKey) -> usize {
    let ((previous_row, _, previous_qualifier), (row, family, qualifier)) = (previous.split(), key.split());
    if previous_row.len() != row.len() {
        // bytes of the row length: its first byte, or none
        return usize::from(previous_row.len() >> 8 == row.len() >> 8);
    }
    let common = 2 + equal_bytes(previous_row, row);
    if common < 2 + row.len() {
        return common;
    }
    common + 1 + family.len() + equal_bytes(previous_qualifier, qualifier)
}

/// For PREFIX: the number of equal leading bytes.
pub(super) fn common_prefix_with_timestamp(previous: &CellKey, key: &CellKey) -> usize {
    let common = common_prefix(previous, key);
    let end = key.as_bytes().len() - TIMESTAMP_AND_TYPE;
    if common < end || previous.as_bytes().len() != key.as_bytes().len() {
        return common;
    }
    common + equal_bytes(&previous.as_bytes()[end..], &key.as_bytes()[end..])
}

const TIMESTAMP_AND_TYPE: usize = 9;

/// Returns the number of equal leading bytes. Compares a word at a time.
#[inline]
fn equal_bytes(a: &[u8], b: &[u8]) -> usize {
    let (a_words, b_words) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let mut common = 0;
    for (a, b) in a_words.iter().zip(b_words) {
        let differ = u64::from_be_bytes(*a) ^ u64::from_be_bytes(*b);
        if differ != 0 {
            return common + differ.leading_zeros() as usize / 8;
        }
        common += 8;
    }
    common + a[common..].iter().zip(&b[common..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_agree_with_bytes(common: Vec<u8>, a: Vec<u8>, b: Vec<u8>) {
            let (a, b) = ([common.clone(), a].concat(), [common, b].concat());
            let naive = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(equal_bytes(&a, &b), naive);
        }
    }
}
