//! Filters from messages.

use super::{MAX_EXPRESSIONS, PACKAGE, compare_of, decode, missing};
use crate::error::{Error, Result};
use crate::filter::{Comparator, Compare, Filter, MAX_DEPTH, SingleColumnValue};
use crate::proto::filter as proto;
use bytes::Bytes;
use std::ops::Bound;

/// Decodes one message, including all nested messages.
pub(super) struct Reader {
    /// The number of regular expressions so far.
    expressions: usize,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { expressions: 0 }
    }

    pub(super) fn count_expression(&mut self) -> Result<()> {
        self.expressions += 1;
        if self.expressions > MAX_EXPRESSIONS {
            return Err(Error::invalid_argument(format!(
                "a filter has more than {MAX_EXPRESSIONS} regular expressions"
            )));
        }
        Ok(())
    }

    /// Decodes a filter at the nesting depth `depth`.
    pub(super) fn filter(&mut self, message: proto::Filter, depth: usize) -> Result<Filter> {
        if depth > MAX_DEPTH {
            return Err(Error::invalid_argument(format!("filters nest deeper than {MAX_DEPTH}")));
        }
        let name = message.name.ok_or_else(|| missing("a filter", "name"))?;
        let bytes = message.serialized.unwrap_or_default();
        let Some(class) = name.strip_prefix(PACKAGE) else { return Err(unknown(&name)) };
        match class {
            "RowFilter" | "FamilyFilter" | "QualifierFilter" | "ValueFilter" => {
                let message: proto::ComparisonFilter = decode(class, bytes)?;
                let (compare, comparator) = self.comparison(class, message.compare_filter)?;
                let comparator = comparator.ok_or_else(|| missing(class, "comparator"))?;
                Ok(match class {
                    "RowFilter" => Filter::row(compare, comparator),
                    "FamilyFilter" => Filter::family(compare, comparator),
                    "QualifierFilter" => Filter::qualifier(compare, comparator),
                    _ => Filter::value(compare, comparator),
                })
            }
            "DependentColumnFilter" => self.dependent_column(class, bytes),
            "SingleColumnValueFilter" => {
                Ok(Filter::single_column_value(self.single(class, decode(class, bytes)?)?))
            }
            "SingleColumnValueExcludeFilter" => {
                let message: proto::SingleColumnValueExcludeFilter = decode(class, bytes)?;
                let single = message.single_column_value_filter;
                let single = single.ok_or_else(|| missing(class, "single_column_value_filter"))?;
                Ok(Filter::single_column_value(self.single(class, single)?.exclude(true)))
            }
            "ColumnValueFilter" => self.column_value(class, bytes),
            "FilterList" => self.list(class, bytes, depth),
            "SkipFilter" => Filter::skip(self.wrapped(class, bytes, depth)?),
            "WhileMatchFilter" => Filter::while_match(self.wrapped(class, bytes, depth)?),
            // the servers' wrapper adds nothing
            "FilterWrapper" => self.wrapped(class, bytes, depth),
            _ => leaf(class, bytes)?.ok_or_else(|| unknown(&name)),
        }
    }

    /// Decodes an operator and its comparator, if any.
    fn comparison(
        &mut self,
        class: &str,
        message: Option<proto::CompareFilter>,
    ) -> Result<(Compare, Option<Comparator>)> {
        let message = message.ok_or_else(|| missing(class, "compare_filter"))?;
        let compare = compare_of(class, message.compare_op)?;
        let comparator = message.comparator.map(|comparator| self.comparator(Some(comparator), class));
        Ok((compare, comparator.transpose()?))
    }

    fn dependent_column(&mut self, class: &str, bytes: Bytes) -> Result<Filter> {
        let message: proto::DependentColumnFilter = decode(class, bytes)?;
        let (compare, comparator) = self.comparison(class, message.compare_filter)?;
        Ok(Filter::dependent_column(
            message.column_family.unwrap_or_default(),
            message.column_qualifier.unwrap_or_default(),
            message.drop_dependent_column.unwrap_or_default(),
            comparator.map(|comparator| (compare, comparator)),
        ))
    }

    fn single(&mut self, class: &str, message: proto::SingleColumnValueFilter) -> Result<SingleColumnValue> {
        let compare = compare_of(class, message.compare_op)?;
        let comparator = self.comparator(message.comparator, class)?;
        let (family, qualifier) = (message.column_family, message.column_qualifier);
        let single = SingleColumnValue::new(
            family.unwrap_or_default(),
            qualifier.unwrap_or_default(),
            compare,
            comparator,
        );
        Ok(single
            .filter_if_missing(message.filter_if_missing.unwrap_or(false))
            .latest_version_only(message.latest_version_only.unwrap_or(false)))
    }

    fn column_value(&mut self, class: &str, bytes: Bytes) -> Result<Filter> {
        let message: proto::ColumnValueFilter = decode(class, bytes)?;
        let family = message.family.ok_or_else(|| missing(class, "family"))?;
        let qualifier = message.qualifier.ok_or_else(|| missing(class, "qualifier"))?;
        let compare = compare_of(class, message.compare_op)?;
        Ok(Filter::column_value(family, qualifier, compare, self.comparator(message.comparator, class)?))
    }

    fn list(&mut self, class: &str, bytes: Bytes, depth: usize) -> Result<Filter> {
        let message: proto::FilterList = decode(class, bytes)?;
        let members = message.filters.into_iter().map(|member| self.filter(member, depth + 1));
        let members = members.collect::<Result<Vec<_>>>()?;
        match message.operator {
            Some(1) => Filter::all(members),
            Some(2) => Filter::any(members),
            _ => Err(missing(class, "operator")),
        }
    }

    fn wrapped(&mut self, class: &str, bytes: Bytes, depth: usize) -> Result<Filter> {
        let message: proto::WrappingFilter = decode(class, bytes)?;
        self.filter(message.filter.ok_or_else(|| missing(class, "filter"))?, depth + 1)
    }
}

/// Decodes a filter without inner filters or comparators; `None` if the class is unknown.
fn leaf(class: &str, bytes: Bytes) -> Result<Option<Filter>> {
    let one = |bytes| -> Result<Bytes> {
        let message: proto::BytesFilter = decode(class, bytes)?;
        message.value.ok_or_else(|| missing(class, "its value"))
    };
    Ok(Some(match class {
        "PrefixFilter" => Filter::prefix(one(bytes)?),
        "ColumnPrefixFilter" => Filter::column_prefix(one(bytes)?),
        "InclusiveStopFilter" => Filter::inclusive_stop(one(bytes)?),
        "MultipleColumnPrefixFilter" => {
            Filter::column_prefixes(decode::<proto::ManyBytesFilter>(class, bytes)?.values)?
        }
        "FirstKeyValueMatchingQualifiersFilter" => {
            Filter::first_key_matching(decode::<proto::ManyBytesFilter>(class, bytes)?.values)
        }
        "PageFilter" => {
            let message: proto::PageFilter = decode(class, bytes)?;
            let rows = message.page_size.ok_or_else(|| missing(class, "page_size"))?;
            Filter::page(u64::try_from(rows).map_err(|_| negative(class))?)
        }
        "ColumnCountGetFilter" => {
            let message: proto::ColumnCountGetFilter = decode(class, bytes)?;
            Filter::column_count(count(class, message.limit)?)
        }
        "ColumnPaginationFilter" => {
            let message: proto::ColumnPaginationFilter = decode(class, bytes)?;
            let limit = count(class, message.limit)?;
            match message.column_offset {
                Some(column) => Filter::column_page(limit, column),
                None => Filter::column_pagination(limit, count(class, message.offset.or(Some(0)))?),
            }
        }
        "ColumnRangeFilter" => {
            let message: proto::ColumnRangeFilter = decode(class, bytes)?;
            Filter::column_range(
                message.min_column,
                message.min_column_inclusive.unwrap_or(false),
                message.max_column,
                message.max_column_inclusive.unwrap_or(false),
            )
        }
        "FirstKeyOnlyFilter" => Filter::first_key_only(),
        "KeyOnlyFilter" => {
            let message: proto::KeyOnlyFilter = decode(class, bytes)?;
            Filter::key_only(message.len_as_val.ok_or_else(|| missing(class, "len_as_val"))?)
        }
        "TimestampsFilter" => {
            let message: proto::TimestampsFilter = decode(class, bytes)?;
            Filter::timestamps(message.timestamps, message.can_hint.unwrap_or(false))?
        }
        "RandomRowFilter" => {
            let message: proto::RandomRowFilter = decode(class, bytes)?;
            Filter::random_row(message.chance.ok_or_else(|| missing(class, "chance"))?)
        }
        "FuzzyRowFilter" => fuzzy_row(class, decode(class, bytes)?)?,
        "MultiRowRangeFilter" => {
            let message: proto::MultiRowRangeFilter = decode(class, bytes)?;
            Filter::row_ranges(message.row_range_list.into_iter().map(|range| {
                let start = bound(range.start_row, range.start_row_inclusive);
                (start, bound(range.stop_row, range.stop_row_inclusive))
            }))?
        }
        _ => return Ok(None),
    }))
}

fn count(class: &str, number: Option<i32>) -> Result<u32> {
    let number = number.ok_or_else(|| missing(class, "a number"))?;
    u32::try_from(number).map_err(|_| negative(class))
}

fn bound(row: Option<Bytes>, inclusive: Option<bool>) -> Bound<Bytes> {
    let row = row.unwrap_or_default();
    if inclusive.unwrap_or(false) { Bound::Included(row) } else { Bound::Excluded(row) }
}

fn fuzzy_row(class: &str, message: proto::FuzzyRowFilter) -> Result<Filter> {
    let second = message.is_mask_v2.unwrap_or(false);
    let keys = message.fuzzy_keys_data.into_iter().map(|pair| {
        let key = pair.first.ok_or_else(|| missing(class, "a key"))?;
        let mask = pair.second.ok_or_else(|| missing(class, "a mask"))?;
        Ok((key, plain_mask(&mask, second)?))
    });
    Filter::fuzzy_row(keys.collect::<Result<Vec<_>>>()?)
}

/// Converts a mask from the message to one with 0 for a fixed byte and 1 for any byte. Clients send that form
/// or, after using the filter, its prepared form: −1 for a fixed byte and 2 for any. If the message's flag is
/// not set and the mask contains only 0 and −1, 0 means any byte.
fn plain_mask(mask: &[u8], second: bool) -> Result<Vec<u8>> {
    const FIXED: u8 = 0xff;
    let zero_is_any = !second && mask.iter().all(|byte| matches!(*byte, 0 | FIXED));
    let plain = |byte: &u8| match *byte {
        0 => Ok(zero_is_any.into()),
        FIXED => Ok(0),
        1 | 2 => Ok(1),
        other => Err(Error::invalid_argument(format!(
            "byte {other} in the mask of a fuzzy key, expected 0, 1, 2 or -1"
        ))),
    };
    mask.iter().map(plain).collect()
}

#[cold]
fn negative(class: &str) -> Error {
    Error::invalid_argument(format!("{class} with a negative number"))
}

#[cold]
fn unknown(name: &str) -> Error {
    let name: String = name.chars().take(200).collect();
    Error::invalid_argument(format!("filter of the class {name:?}, which is not one of HBase's"))
}
