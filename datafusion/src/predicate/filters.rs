//! Filters of the reader that test a column, or membership in a set.

use super::MAX_COLUMN_RANGES;
use crate::ranges::{Range, RangeSet};
use hregion::filter::{Comparator, Compare, Filter, SingleColumnValue};
use hregion_arrow::Column;

/// Drops rows in which the newest value of a column does not satisfy a comparison, and rows without one.
fn test(column: &Column, compare: Compare, bytes: &[u8]) -> Filter {
    let (family, qualifier) = (column.family().to_vec(), column.qualifier().to_vec());
    let comparator = Comparator::binary(bytes.to_vec());
    let value = SingleColumnValue::new(family, qualifier, compare, comparator);
    Filter::single_column_value(value.filter_if_missing(true).latest_version_only(true))
}

/// Drops rows without a column.
pub(super) fn present(column: &Column) -> Filter {
    test(column, Compare::GreaterOrEqual, b"")
}

/// Drops rows in which the newest value of a column is not in a set.
pub(super) fn column_filter(column: &Column, set: &RangeSet) -> Option<Filter> {
    if set.is_all() || set.is_empty() {
        return Some(present(column));
    }
    if set.ranges().len() > MAX_COLUMN_RANGES {
        return None;
    }
    if let [gap] = set.complement().ranges()
        && let Some(point) = gap.point()
    {
        return Some(test(column, Compare::NotEqual, point));
    }
    any_of(set, |compare, bytes| test(column, compare, bytes)).ok()
}

/// Returns a filter that passes the members of a set, composed of comparisons.
///
/// # Errors
///
/// If the filter nests too deep.
pub(crate) fn any_of(set: &RangeSet, test: impl Fn(Compare, &[u8]) -> Filter) -> hregion::Result<Filter> {
    let of_range = |range: &Range| {
        if let Some(point) = range.point() {
            return Ok(test(Compare::Equal, point));
        }
        // a bound with a zero at its end is the first byte string after another
        let above = match range.start.split_last() {
            Some((0, bytes)) => test(Compare::Greater, bytes),
            _ => test(Compare::GreaterOrEqual, &range.start),
        };
        let below = |end: &Vec<u8>| match end.split_last() {
            Some((0, bytes)) => test(Compare::LessOrEqual, bytes),
            _ => test(Compare::Less, end),
        };
        match &range.end {
            None => Ok(above),
            Some(end) if range.start.is_empty() => Ok(below(end)),
            Some(end) => Filter::all([above, below(end)]),
        }
    };
    let mut tests = set.ranges().iter().map(of_range).collect::<hregion::Result<Vec<_>>>()?;
    match (tests.len(), tests.pop()) {
        (1, Some(only)) => Ok(only),
        (_, last) => Filter::any(tests.into_iter().chain(last)),
    }
}
