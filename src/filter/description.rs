//! Descriptions of filters.

use super::column::{
    ColumnPrefixFilter, ColumnRangeFilter, FamilyFilter, MultipleColumnPrefixFilter, QualifierFilter,
};
use super::fuzzy::FuzzyRowFilter;
use super::key::{FirstKeyMatchingFilter, FirstKeyOnlyFilter, KeyOnlyFilter, TimestampsFilter};
use super::list::{FilterListWithAnd, FilterListWithOr};
use super::page::{ColumnCountGetFilter, ColumnPageFilter, ColumnPaginationFilter, PageFilter};
use super::ranges::MultiRowRangeFilter;
use super::row::{InclusiveStopFilter, PrefixFilter, RandomRowFilter, RowFilter};
use super::skip::{SkipFilter, WhileMatchFilter};
use super::value::{Column, ColumnValueFilter, DependentColumnFilter, SingleColumnValue, ValueFilter};
use super::{CellFilter, Comparator, Compare, CustomFilter, language};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

/// Maximum nesting depth of filters, and of parentheses in expressions.
pub const MAX_DEPTH: usize = 250;

/// A description of a filter (read-path.md §13; HBase: `Filter` as a client builds it). Cheap to clone;
/// [`FilterEvaluator`](super::FilterEvaluator) evaluates it.
#[derive(Clone, PartialEq)]
pub struct Filter {
    pub(super) kind: Arc<Kind>,
    /// Nesting depth: 1 without inner filters. At most [`MAX_DEPTH`], so that walking a filter may recurse.
    depth: usize,
}

/// The kinds of filters. Leaf filters are stored in their initial state.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Row(RowFilter),
    Family(FamilyFilter),
    Qualifier(QualifierFilter),
    Value(ValueFilter),
    DependentColumn(DependentColumnFilter),
    SingleColumnValue(SingleColumnValue),
    ColumnValue(ColumnValueFilter),
    Prefix(PrefixFilter),
    InclusiveStop(InclusiveStopFilter),
    Page(PageFilter),
    ColumnCountGet(ColumnCountGetFilter),
    ColumnPagination(ColumnPaginationFilter),
    ColumnPage(ColumnPageFilter),
    ColumnPrefix(ColumnPrefixFilter),
    MultipleColumnPrefix(MultipleColumnPrefixFilter),
    ColumnRange(ColumnRangeFilter),
    FirstKeyOnly(FirstKeyOnlyFilter),
    FirstKeyMatching(FirstKeyMatchingFilter),
    KeyOnly(KeyOnlyFilter),
    Timestamps(TimestampsFilter),
    RandomRow(RandomRowFilter),
    FuzzyRow(FuzzyRowFilter),
    MultiRowRange(MultiRowRangeFilter),
    Skip(Filter),
    WhileMatch(Filter),
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Custom(Custom),
}

#[derive(Debug)]
pub(super) struct Custom(Arc<dyn CustomFilter>);

impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Filter {
    fn leaf(kind: Kind) -> Self {
        Self { kind: Arc::new(kind), depth: 1 }
    }

    fn holding(depth: usize, kind: impl FnOnce() -> Kind) -> Result<Self> {
        if depth >= MAX_DEPTH {
            return Err(Error::invalid_argument(format!("filters nest deeper than {MAX_DEPTH}")));
        }
        Ok(Self { kind: Arc::new(kind()), depth: depth + 1 })
    }

    /// Parses an expression of HBase's filter language (read-path.md §16):
    ///
    /// ```
    /// use hregion::filter::Filter;
    ///
    /// # fn main() -> hregion::Result<()> {
    /// Filter::parse("(PrefixFilter('user') AND SKIP ValueFilter(!=, 'binary:')) OR PageFilter(10)")?;
    /// let error = Filter::parse("PrefixFilter('user') AND").unwrap_err();
    /// assert_eq!(error.to_string(), "filter at 24: expected a filter, found the end");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the expression is invalid. The error gives the byte offset and what was expected there.
    pub fn parse(expression: impl AsRef<[u8]>) -> Result<Self> {
        language::parse(expression.as_ref())
    }

    /// Returns the filter in HBase's filter language; `None` if the language cannot express a filter, setting
    /// or comparator. [`parse`](Self::parse) of the result returns an equal filter.
    #[must_use]
    pub fn to_expression(&self) -> Option<Vec<u8>> {
        language::print(self)
    }

    /// Passes rows whose keys satisfy a comparison (HBase: `RowFilter`).
    #[must_use]
    pub fn row(compare: Compare, comparator: Comparator) -> Self {
        Self::leaf(Kind::Row(RowFilter::new(compare, comparator)))
    }

    /// Passes families that satisfy a comparison (HBase: `FamilyFilter`).
    #[must_use]
    pub fn family(compare: Compare, comparator: Comparator) -> Self {
        Self::leaf(Kind::Family(FamilyFilter { compare, comparator }))
    }

    /// Passes qualifiers that satisfy a comparison (HBase: `QualifierFilter`).
    #[must_use]
    pub fn qualifier(compare: Compare, comparator: Comparator) -> Self {
        Self::leaf(Kind::Qualifier(QualifierFilter { compare, comparator }))
    }

    /// Passes values that satisfy a comparison (HBase: `ValueFilter`).
    #[must_use]
    pub fn value(compare: Compare, comparator: Comparator) -> Self {
        Self::leaf(Kind::Value(ValueFilter { compare, comparator }))
    }

    /// Passes cells that have the timestamp of some cell of the given column in the row. With a condition,
    /// only column cells whose values satisfy it count. `drop_dependent` excludes the column itself (HBase:
    /// `DependentColumnFilter`).
    #[must_use]
    pub fn dependent_column(
        family: impl Into<Bytes>,
        qualifier: impl Into<Bytes>,
        drop_dependent: bool,
        condition: Option<(Compare, Comparator)>,
    ) -> Self {
        let column = Column::new(family.into(), qualifier.into());
        Self::leaf(Kind::DependentColumn(DependentColumnFilter::new(column, drop_dependent, condition)))
    }

    /// Passes rows in which the value of one column satisfies a comparison (HBase: `SingleColumnValueFilter`,
    /// `SingleColumnValueExcludeFilter`). With [`Compare::NoOp`] a read fails at the first cell of the
    /// column.
    #[must_use]
    pub fn single_column_value(condition: SingleColumnValue) -> Self {
        Self::leaf(Kind::SingleColumnValue(condition))
    }

    /// Passes the cells of one column whose values satisfy a comparison (HBase: `ColumnValueFilter`).
    #[must_use]
    pub fn column_value(
        family: impl Into<Bytes>,
        qualifier: impl Into<Bytes>,
        compare: Compare,
        comparator: Comparator,
    ) -> Self {
        let column = Column::new(family.into(), qualifier.into());
        Self::leaf(Kind::ColumnValue(ColumnValueFilter::new(column, compare, comparator)))
    }

    /// Passes rows that start with a prefix (HBase: `PrefixFilter`).
    #[must_use]
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        Self::leaf(Kind::Prefix(PrefixFilter::new(prefix.into())))
    }

    /// Passes rows up to and including `row` (HBase: `InclusiveStopFilter`).
    #[must_use]
    pub fn inclusive_stop(row: impl Into<Bytes>) -> Self {
        Self::leaf(Kind::InclusiveStop(InclusiveStopFilter::new(row.into())))
    }

    /// Passes up to `rows` rows per region (HBase: `PageFilter`).
    #[must_use]
    pub fn page(rows: u64) -> Self {
        Self::leaf(Kind::Page(PageFilter::new(rows)))
    }

    /// Passes the first `columns` columns of a row. Meant for gets: a scan ends at a row that has more
    /// (HBase: `ColumnCountGetFilter`).
    #[must_use]
    pub fn column_count(columns: u32) -> Self {
        Self::leaf(Kind::ColumnCountGet(ColumnCountGetFilter::new(columns)))
    }

    /// Passes up to `limit` columns of each row after skipping `offset`, across all families (HBase:
    /// `ColumnPaginationFilter`).
    #[must_use]
    pub fn column_pagination(limit: u32, offset: u32) -> Self {
        Self::leaf(Kind::ColumnPagination(ColumnPaginationFilter::new(limit, offset)))
    }

    /// Passes up to `limit` columns of each row, starting at the qualifier `from` (HBase:
    /// `ColumnPaginationFilter`).
    #[must_use]
    pub fn column_page(limit: u32, from: impl Into<Bytes>) -> Self {
        Self::leaf(Kind::ColumnPage(ColumnPageFilter::new(limit, from.into())))
    }

    /// Passes qualifiers that start with a prefix (HBase: `ColumnPrefixFilter`).
    #[must_use]
    pub fn column_prefix(prefix: impl Into<Bytes>) -> Self {
        Self::leaf(Kind::ColumnPrefix(ColumnPrefixFilter::new(prefix.into())))
    }

    /// Passes qualifiers that start with one of several prefixes (HBase: `MultipleColumnPrefixFilter`). Where
    /// prefixes are prefixes of each other, only the greatest one not greater than the qualifier counts: with
    /// `a` and `ab`, `ac` does not pass. Without any prefix, all qualifiers pass.
    ///
    /// # Errors
    ///
    /// If a prefix is given twice.
    pub fn column_prefixes(prefixes: impl IntoIterator<Item = impl Into<Bytes>>) -> Result<Self> {
        let prefixes = prefixes.into_iter().map(Into::into).collect();
        Ok(Self::leaf(Kind::MultipleColumnPrefix(MultipleColumnPrefixFilter::new(prefixes)?)))
    }

    /// Passes qualifiers in a range with inclusive or exclusive bounds; `None` is unbounded (HBase:
    /// `ColumnRangeFilter`).
    #[must_use]
    pub fn column_range(
        min: Option<Bytes>,
        include_min: bool,
        max: Option<Bytes>,
        include_max: bool,
    ) -> Self {
        Self::leaf(Kind::ColumnRange(ColumnRangeFilter::new(min, include_min, max, include_max)))
    }

    /// Passes the first cell of each row (HBase: `FirstKeyOnlyFilter`).
    #[must_use]
    pub fn first_key_only() -> Self {
        Self::leaf(Kind::FirstKeyOnly(FirstKeyOnlyFilter::default()))
    }

    /// Passes the cells of each row up to and including the first one of any of the given columns (HBase
    /// until 2.6: `FirstKeyValueMatchingQualifiersFilter`).
    #[must_use]
    pub fn first_key_matching(qualifiers: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        let qualifiers = qualifiers.into_iter().map(Into::into).collect();
        Self::leaf(Kind::FirstKeyMatching(FirstKeyMatchingFilter::new(qualifiers)))
    }

    /// Returns cells with empty values or, with `len_as_value`, with the four-byte length of the value
    /// (HBase: `KeyOnlyFilter`).
    #[must_use]
    pub fn key_only(len_as_value: bool) -> Self {
        Self::leaf(Kind::KeyOnly(KeyOnlyFilter::new(len_as_value)))
    }

    /// Passes cells with one of the given timestamps, in milliseconds. With `can_hint`, a read seeks from one
    /// timestamp to the next (HBase: `TimestampsFilter`).
    ///
    /// # Errors
    ///
    /// If a timestamp is negative.
    pub fn timestamps(timestamps: impl IntoIterator<Item = i64>, can_hint: bool) -> Result<Self> {
        Ok(Self::leaf(Kind::Timestamps(TimestampsFilter::new(timestamps.into_iter().collect(), can_hint)?)))
    }

    /// Passes each row with the probability `chance`, from 0 to 1 (HBase: `RandomRowFilter`).
    #[must_use]
    pub fn random_row(chance: f32) -> Self {
        Self::leaf(Kind::RandomRow(RandomRowFilter::new(chance)))
    }

    /// Passes rows that match one of several keys (HBase: `FuzzyRowFilter`). Each key has a mask of the same
    /// length. In a mask, 0 marks a fixed byte, and 1 a byte that may have any value. A mask already used by
    /// HBase has 255 and 2 instead of these, and is also accepted.
    ///
    /// # Errors
    ///
    /// If there is no key, or a mask differs in length from its key, mixes these forms, or contains other
    /// bytes.
    pub fn fuzzy_row<K: AsRef<[u8]>, M: AsRef<[u8]>>(keys: impl IntoIterator<Item = (K, M)>) -> Result<Self> {
        Ok(Self::leaf(Kind::FuzzyRow(FuzzyRowFilter::new(keys)?)))
    }

    /// Passes rows in one of several ranges; an empty row leaves that side unbounded (HBase:
    /// `MultiRowRangeFilter`).
    ///
    /// # Errors
    ///
    /// If there is no range, or a range is empty.
    pub fn row_ranges<R: AsRef<[u8]>>(
        ranges: impl IntoIterator<Item = (Bound<R>, Bound<R>)>,
    ) -> Result<Self> {
        Ok(Self::leaf(Kind::MultiRowRange(MultiRowRangeFilter::new(ranges)?)))
    }

    /// Passes rows that start with one of several prefixes (HBase: `MultiRowRangeFilter`).
    ///
    /// # Errors
    ///
    /// If there is no prefix.
    pub fn row_prefixes(prefixes: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self> {
        Ok(Self::leaf(Kind::MultiRowRange(MultiRowRangeFilter::of_prefixes(prefixes)?)))
    }

    /// Passes rows in which `filter` includes every cell (HBase: `SkipFilter`). Only the verdicts on cells
    /// count: a filter that drops rows by key drops none here.
    ///
    /// # Errors
    ///
    /// If filters nest deeper than [`MAX_DEPTH`].
    pub fn skip(filter: Self) -> Result<Self> {
        Self::holding(filter.depth, || Kind::Skip(filter))
    }

    /// Passes everything of a region until `filter` first excludes something (HBase: `WhileMatchFilter`).
    ///
    /// # Errors
    ///
    /// If filters nest deeper than [`MAX_DEPTH`].
    pub fn while_match(filter: Self) -> Result<Self> {
        Self::holding(filter.depth, || Kind::WhileMatch(filter))
    }

    /// Passes cells that all of `filters` pass (HBase: `FilterList`, `MUST_PASS_ALL`). An empty list passes
    /// everything.
    ///
    /// # Errors
    ///
    /// If filters nest deeper than [`MAX_DEPTH`].
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Result<Self> {
        let filters: Vec<_> = filters.into_iter().collect();
        Self::holding(deepest(&filters), || Kind::And(filters))
    }

    /// Passes cells that any of `filters` passes (HBase: `FilterList`, `MUST_PASS_ONE`). An empty list passes
    /// everything.
    ///
    /// # Errors
    ///
    /// If filters nest deeper than [`MAX_DEPTH`].
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Result<Self> {
        let filters: Vec<_> = filters.into_iter().collect();
        Self::holding(deepest(&filters), || Kind::Or(filters))
    }

    /// Creates a user-defined filter (HBase: a class that extends `FilterBase`).
    #[must_use]
    pub fn custom(filter: impl CustomFilter + 'static) -> Self {
        Self::leaf(Kind::Custom(Custom(Arc::new(filter))))
    }

    /// Whether a scan of several regions may end at one although rows of later ones would pass: it ends where
    /// a region has returned nothing and the filter accepts no more of its rows. The regions of such a scan
    /// must be read one after the other. True for a filter that has a `WhileMatchFilter`, a `PageFilter` or a
    /// `ColumnCountGetFilter`, also within lists, or a user-defined one.
    #[must_use]
    pub fn may_end_scan(&self) -> bool {
        match &*self.kind {
            Kind::WhileMatch(_) | Kind::Page(_) | Kind::ColumnCountGet(_) | Kind::Custom(_) => true,
            Kind::And(filters) | Kind::Or(filters) => filters.iter().any(Self::may_end_scan),
            // these accept no more rows of later regions either
            Kind::Prefix(_)
            | Kind::InclusiveStop(_)
            | Kind::FuzzyRow(_)
            | Kind::MultiRowRange(_)
            // these never end a read
            | Kind::Row(_)
            | Kind::RandomRow(_)
            | Kind::Family(_)
            | Kind::Qualifier(_)
            | Kind::Value(_)
            | Kind::DependentColumn(_)
            | Kind::SingleColumnValue(_)
            | Kind::ColumnValue(_)
            | Kind::ColumnPagination(_)
            | Kind::ColumnPage(_)
            | Kind::ColumnPrefix(_)
            | Kind::MultipleColumnPrefix(_)
            | Kind::ColumnRange(_)
            | Kind::FirstKeyOnly(_)
            | Kind::FirstKeyMatching(_)
            | Kind::KeyOnly(_)
            | Kind::Timestamps(_)
            | Kind::Skip(_) => false,
        }
    }

    /// Whether the filter may end the read, or reject a row by its key.
    pub(super) fn checks_row_keys(&self) -> bool {
        match &*self.kind {
            Kind::Row(_)
            | Kind::Prefix(_)
            | Kind::InclusiveStop(_)
            | Kind::Page(_)
            | Kind::ColumnCountGet(_)
            | Kind::RandomRow(_)
            | Kind::FuzzyRow(_)
            | Kind::MultiRowRange(_)
            | Kind::WhileMatch(_)
            | Kind::Custom(_) => true,
            Kind::And(filters) | Kind::Or(filters) => filters.iter().any(Self::checks_row_keys),
            Kind::Family(_)
            | Kind::Qualifier(_)
            | Kind::Value(_)
            | Kind::DependentColumn(_)
            | Kind::SingleColumnValue(_)
            | Kind::ColumnValue(_)
            | Kind::ColumnPagination(_)
            | Kind::ColumnPage(_)
            | Kind::ColumnPrefix(_)
            | Kind::MultipleColumnPrefix(_)
            | Kind::ColumnRange(_)
            | Kind::FirstKeyOnly(_)
            | Kind::FirstKeyMatching(_)
            | Kind::KeyOnly(_)
            | Kind::Timestamps(_)
            // only the verdicts on cells count
            | Kind::Skip(_) => false,
        }
    }

    /// Creates the filter's state for a new read.
    pub(super) fn start(&self) -> Box<dyn CellFilter> {
        fn own<F: CellFilter + Clone + 'static>(filter: &F) -> Box<dyn CellFilter> {
            Box::new(filter.clone())
        }

        match &*self.kind {
            Kind::Row(filter) => own(filter),
            Kind::Family(filter) => own(filter),
            Kind::Qualifier(filter) => own(filter),
            Kind::Value(filter) => own(filter),
            Kind::DependentColumn(filter) => own(filter),
            Kind::SingleColumnValue(filter) => own(filter),
            Kind::ColumnValue(filter) => own(filter),
            Kind::Prefix(filter) => own(filter),
            Kind::InclusiveStop(filter) => own(filter),
            Kind::Page(filter) => own(filter),
            Kind::ColumnCountGet(filter) => own(filter),
            Kind::ColumnPagination(filter) => own(filter),
            Kind::ColumnPage(filter) => own(filter),
            Kind::ColumnPrefix(filter) => own(filter),
            Kind::MultipleColumnPrefix(filter) => own(filter),
            Kind::ColumnRange(filter) => own(filter),
            Kind::FirstKeyOnly(filter) => own(filter),
            Kind::FirstKeyMatching(filter) => own(filter),
            Kind::KeyOnly(filter) => own(filter),
            Kind::Timestamps(filter) => own(filter),
            Kind::RandomRow(filter) => own(filter),
            Kind::FuzzyRow(filter) => own(filter),
            Kind::MultiRowRange(filter) => own(filter),
            Kind::Skip(filter) => Box::new(SkipFilter::new(filter.start())),
            Kind::WhileMatch(filter) => Box::new(WhileMatchFilter::new(filter.start())),
            Kind::And(filters) => Box::new(FilterListWithAnd::new(filters.iter().map(Self::start))),
            Kind::Or(filters) => Box::new(FilterListWithOr::new(filters.iter().map(Self::start))),
            Kind::Custom(Custom(filter)) => filter.start(),
        }
    }
}

fn deepest(filters: &[Filter]) -> usize {
    filters.iter().map(|filter| filter.depth).max().unwrap_or(0)
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}
