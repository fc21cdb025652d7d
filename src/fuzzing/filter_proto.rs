//! Filters as clients send them.

use super::filter_language::read;
use crate::filter::Filter;

/// Checks a message: it is refused, or it is written and parses to the same filter again, which is written as
/// before and accepts any cells.
pub fn filter_proto(input: &[u8]) {
    let Ok(filter) = Filter::from_proto_bytes(input.to_vec()) else { return };
    let message = filter.to_proto_bytes().expect("a filter that parsed can be written");
    let again = Filter::from_proto_bytes(message.clone()).expect("what was written can be read");
    // not the filters themselves: a chance that is not a number does not equal itself
    assert_eq!(format!("{again:?}"), format!("{filter:?}"));
    assert_eq!(again.to_proto_bytes().ok().as_ref(), Some(&message));
    for reversed in [false, true] {
        read(&filter, input, reversed);
    }
}
