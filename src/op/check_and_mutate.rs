//! Conditional writes (read-path.md §19.3).

use super::{Compare, Mutation, TimeRange};
use crate::filter::Filter;
use bytes::Bytes;

/// Writes to a row if a condition on one of its columns, or a filter, holds. The check and the write are
/// atomic (HBase: `CheckAndMutate`).
///
/// ```
/// use hregion::{CheckAndMutate, Put};
///
/// let _lock = CheckAndMutate::if_not_exists("job-7", "f", "owner")
///     .then(Put::new("job-7").cell("f", "owner", "me"));
/// // An empty value counts as missing. A delete would hide an owner of the same millisecond.
/// let _unlock = CheckAndMutate::if_equals("job-7", "f", "owner", "me")
///     .then(Put::new("job-7").cell("f", "owner", ""));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CheckAndMutate {
    pub(crate) row: Bytes,
    pub(crate) condition: Condition,
    pub(crate) time_range: TimeRange,
    pub(crate) mutations: Vec<Mutation>,
}

/// The condition on a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    Column(ColumnCondition),
    /// Holds if a get of the row with this filter returns any cell.
    Filter(Filter),
}

/// A condition on the newest version of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnCondition {
    pub(crate) family: Bytes,
    pub(crate) qualifier: Bytes,
    pub(crate) compare: Compare,
    pub(crate) value: Bytes,
}

impl CheckAndMutate {
    /// Writes if `value` compares to the stored value as given, with `value` on the left: [`Compare::Less`]
    /// holds if `value` is less than the stored value. (In filters, the operands are reversed.) No comparison
    /// holds for a missing column.
    ///
    /// An empty `value` tests for existence: with [`Compare::NotEqual`] the column must have a non-empty
    /// value; with any other operator the column must be missing or empty.
    #[must_use]
    pub fn if_matches(
        row: impl Into<Bytes>,
        family: impl Into<Bytes>,
        qualifier: impl Into<Bytes>,
        compare: Compare,
        value: impl Into<Bytes>,
    ) -> Self {
        let (family, qualifier, value) = (family.into(), qualifier.into(), value.into());
        Self::of(row, Condition::Column(ColumnCondition { family, qualifier, compare, value }))
    }

    /// Writes if the column has this value. If `value` is empty, writes if the column is missing or empty.
    #[must_use]
    pub fn if_equals(
        row: impl Into<Bytes>,
        family: impl Into<Bytes>,
        qualifier: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Self {
        Self::if_matches(row, family, qualifier, Compare::Equal, value)
    }

    /// Writes if the column is missing or empty.
    #[must_use]
    pub fn if_not_exists(
        row: impl Into<Bytes>,
        family: impl Into<Bytes>,
        qualifier: impl Into<Bytes>,
    ) -> Self {
        Self::if_matches(row, family, qualifier, Compare::Equal, Bytes::new())
    }

    /// Writes if a get of the row with this filter returns any cell.
    #[must_use]
    pub fn if_filter(row: impl Into<Bytes>, filter: Filter) -> Self {
        Self::of(row, Condition::Filter(filter))
    }

    fn of(row: impl Into<Bytes>, condition: Condition) -> Self {
        Self { row: row.into(), condition, time_range: TimeRange::ALL, mutations: Vec::new() }
    }

    /// Sets the timestamps in which the newest version is searched (default: all).
    #[must_use]
    pub fn time_range(mut self, range: TimeRange) -> Self {
        self.time_range = range;
        self
    }

    /// Adds a mutation to write if the condition holds. Several mutations are written atomically, as by
    /// [`Region::mutate_row`](crate::Region::mutate_row).
    #[must_use]
    pub fn then(mut self, mutation: impl Into<Mutation>) -> Self {
        self.mutations.push(mutation.into());
        self
    }

    /// Returns the row.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        &self.row
    }
}

impl ColumnCondition {
    /// Whether the condition holds for the stored value of the column; `None` if the column is missing.
    pub(crate) fn matches(&self, stored: Option<&[u8]>) -> bool {
        if self.value.is_empty() {
            stored.is_none_or(<[u8]>::is_empty) == (self.compare != Compare::NotEqual)
        } else {
            stored.is_some_and(|stored| self.compare.matches(self.value[..].cmp(stored)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_given_is_on_the_left() {
        let holds = |compare, value: &'static str, stored: Option<&str>| {
            let value = Bytes::from(value);
            let condition = ColumnCondition { family: "f".into(), qualifier: "q".into(), compare, value };
            condition.matches(stored.map(str::as_bytes))
        };
        // stored: less than, equal to, greater than the value, empty, missing
        let stored = [Some("a"), Some("b"), Some("c"), Some(""), None];
        for (compare, expected) in [
            (Compare::Less, [false, false, true, false, false]),
            (Compare::LessOrEqual, [false, true, true, false, false]),
            (Compare::Equal, [false, true, false, false, false]),
            (Compare::NotEqual, [true, false, true, true, false]),
            (Compare::GreaterOrEqual, [true, true, false, true, false]),
            (Compare::Greater, [true, false, false, true, false]),
        ] {
            assert_eq!(stored.map(|stored| holds(compare, "b", stored)), expected, "{compare:?}");
            let is_there = compare == Compare::NotEqual;
            assert_eq!(
                stored.map(|stored| holds(compare, "", stored)),
                [is_there, is_there, is_there, !is_there, !is_there],
                "{compare:?}"
            );
        }
    }
}
