//! Conditions, and their combinations.

use super::{MAX_COLUMN_RANGES, Translator};
use crate::ranges::RangeSet;
use hregion::filter::Filter;
use std::collections::{BTreeMap, BTreeSet};

/// A condition that all rows of a predicate satisfy; no other rows do if it is exact.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// The bytes of each part of the row key.
    pub(super) parts: Vec<RangeSet>,
    /// The row keys, in addition to the sets of their parts; for several predicates, at most the intersection
    /// of their ranges.
    pub(super) keys: RangeSet,
    /// The families of cells.
    pub(crate) families: RangeSet,
    pub(crate) qualifiers: RangeSet,
    /// Filters, each of which drops rows without any of the columns that it tests.
    pub(crate) filters: Vec<Filter>,
    /// The columns of the mapping that the filters test.
    pub(crate) columns: BTreeSet<usize>,
    /// The least timestamp of a column of the mapping; number 0 is for the timestamp of a table of cells.
    pub(crate) since: BTreeMap<usize, i64>,
    /// The columns of the SQL table that must be decoded, so that values of another type are detected.
    pub(crate) decoded: BTreeSet<usize>,
    /// Whether the condition, without `since`, is equivalent to the predicate.
    pub(super) is_exact: bool,
}

impl Translator {
    /// Returns the condition that at least one of several holds.
    pub(super) fn any(&self, conditions: Vec<Condition>) -> Option<Condition> {
        let filtered = conditions.iter().filter(|condition| !condition.filters.is_empty()).count();
        let part_of = |condition: &Condition| match &condition.kinds()[..] {
            [Kind::Part(at)] => Some(*at),
            _ => None,
        };
        let part = part_of(conditions.first()?);
        let is_of_part = part.is_some() && conditions.iter().all(|condition| part_of(condition) == part);
        let prepared = conditions.into_iter().map(|condition| {
            let condition = match filtered > MAX_COLUMN_RANGES {
                true => {
                    let (filters, columns) = (Vec::new(), BTreeSet::new());
                    Condition { filters, columns, is_exact: false, ..condition }
                }
                false => condition,
            };
            // many sets of a part may together give too many ranges of row keys
            if is_of_part { condition } else { self.by_keys(condition) }
        });
        joined(prepared.collect(), |a, b| self.or(a, b))
    }

    /// Returns the same condition, with the sets of parts of the row key converted to ranges of row keys.
    fn by_keys(&self, condition: Condition) -> Condition {
        let (keys, is_exact) = self.ranges(&condition);
        let parts = vec![RangeSet::all(); condition.parts.len()];
        Condition { parts, keys, is_exact: condition.is_exact && is_exact, ..condition }
    }

    pub(super) fn or(&self, a: Condition, b: Condition) -> Condition {
        let (one, other) = (a.kinds(), b.kinds());
        let mut either = Condition {
            decoded: a.decoded.union(&b.decoded).copied().collect(),
            is_exact: a.is_exact && b.is_exact,
            ..self.all()
        };
        match (&one[..], &other[..]) {
            // a union of sets of the same part
            ([Kind::Part(at)], [Kind::Part(same)]) if at == same => {
                if let (Some(to), Some(a), Some(b)) =
                    (either.parts.get_mut(*at), a.parts.get(*at), b.parts.get(*at))
                {
                    *to = a.union(b);
                }
                return either;
            }
            ([Kind::Families], [Kind::Families]) => {
                either.families = a.families.union(&b.families);
                return either;
            }
            ([Kind::Qualifiers], [Kind::Qualifiers]) => {
                either.qualifiers = a.qualifiers.union(&b.qualifiers);
                return either;
            }
            _ => {}
        }
        // A condition concerns row keys, or a filter, or more than that; omitting the rest makes the union
        // larger.
        let ((a_keys, a_exact), (b_keys, b_exact)) = (self.ranges(&a), self.ranges(&b));
        let is_of_keys = |kinds: &[Kind]| kinds.iter().all(|kind| matches!(kind, Kind::Part(_) | Kind::Keys));
        let is_filter = |kinds: &[Kind]| matches!(kinds, [Kind::Filter]);
        either.is_exact &= a_exact && b_exact;
        either.is_exact &= is_of_keys(&one) && is_of_keys(&other) || is_filter(&one) && is_filter(&other);
        either.keys = a_keys.union(&b_keys);
        either.families = a.families.union(&b.families);
        either.qualifiers = a.qualifiers.union(&b.qualifiers);
        if let (Ok(Some(a)), Ok(Some(b))) = (a.filter(), b.filter()) {
            either.filters.extend(Filter::any([a, b]).ok());
        }
        either.is_exact &= !either.filters.is_empty() || !is_filter(&one);
        if !either.filters.is_empty() {
            either.columns = a.columns.union(&b.columns).copied().collect();
        }
        let least = |(at, since): (&usize, &i64)| Some((*at, *since.min(b.since.get(at)?)));
        either.since = a.since.iter().filter_map(least).collect();
        either
    }
}

/// The subject of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Part(usize),
    Keys,
    Families,
    Qualifiers,
    Filter,
    Since,
}

impl Condition {
    fn kinds(&self) -> Vec<Kind> {
        let parts = self.parts.iter().enumerate().filter(|(_, part)| !part.is_all());
        let others = [
            (Kind::Keys, !self.keys.is_all()),
            (Kind::Families, !self.families.is_all()),
            (Kind::Qualifiers, !self.qualifiers.is_all()),
            (Kind::Filter, !self.filters.is_empty()),
            (Kind::Since, !self.since.is_empty()),
        ];
        let others = others.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind);
        parts.map(|(at, _)| Kind::Part(at)).chain(others).collect()
    }

    /// Returns one filter for all filters.
    ///
    /// # Errors
    ///
    /// If they nest too deep.
    pub(crate) fn filter(&self) -> hregion::Result<Option<Filter>> {
        match &self.filters[..] {
            [] => Ok(None),
            [filter] => Ok(Some(filter.clone())),
            filters => Filter::all(filters.to_vec()).map(Some),
        }
    }

    /// Whether some rows may not satisfy the condition.
    pub(super) fn narrows(&self) -> bool {
        !self.kinds().is_empty()
    }

    pub(super) fn and(self, other: Self) -> Self {
        let mut since = self.since;
        for (at, least) in other.since {
            since.entry(at).and_modify(|since| *since = (*since).max(least)).or_insert(least);
        }
        let mut filters = self.filters;
        filters.extend(other.filters);
        Self {
            parts: self.parts.iter().zip(&other.parts).map(|(a, b)| a.intersect(b)).collect(),
            keys: self.keys.intersect(&other.keys),
            families: self.families.intersect(&other.families),
            qualifiers: self.qualifiers.intersect(&other.qualifiers),
            filters,
            columns: self.columns.union(&other.columns).copied().collect(),
            since,
            decoded: self.decoded.union(&other.decoded).copied().collect(),
            is_exact: self.is_exact && other.is_exact,
        }
    }
}

/// Joins neighbours until one is left, always with operands of about the same size.
pub(super) fn joined<T>(mut all: Vec<T>, join: impl Fn(T, T) -> T) -> Option<T> {
    while all.len() > 1 {
        let mut rest = all.into_iter();
        let mut pairs = Vec::with_capacity(rest.len().div_ceil(2));
        while let Some(one) = rest.next() {
            pairs.push(match rest.next() {
                Some(other) => join(one, other),
                None => one,
            });
        }
        all = pairs;
    }
    all.pop()
}
